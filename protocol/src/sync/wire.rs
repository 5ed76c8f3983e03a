//! The bytes of versions and deltas.
//!
//! ```text
//! version = actors, column of last dots
//! actors  = varint count, varint first node, column of (next node - previous node), column of lives
//! delta   = actors, columns over the runs, objects, columns over the cells, signatures, padding
//!   runs:    base; head - base - 1; head - upto; form (0 nothing signed, 1 signed; + 2 a patch); number of cells
//!   objects: varint count, column of kinds, texts of names; in order
//!   cells:   object; sequence - previous - 1, the first one's - base - 1; texts of items (of sets and maps)
//!     values:  milliseconds; counter; role; 1 if removed; texts of what is not removed; number seen; nodes seen, their lives; dots seen
//!     members: 1 if added; number removed; nodes removed, their lives; dots removed
//!     totals:  plus; minus
//!     dropped: number of intervals; first - previous last - 1; last - first
//!   signatures: 64 bytes for each signed run
//! ```
//! Columns are those of `columns.rs`. Bytes have zeros behind them until there is one byte for every entry above [`FREE`], so that
//! decoding allocates in proportion to the input. Bytes that do not encode back to themselves are refused.

use super::{
    cell::{Cell, CellKey, Content, Kind, Marks},
    clock::{Hlc, Role},
    columns::{Input, put_column, put_texts, put_varint, varint_len},
    delta::{Delta, Run},
    limits::SyncError,
    spans::Spans,
    version::{Actor, VersionVector},
};
use crate::{id::NodeId, identity::SIGNATURE_LEN, time::DtnTime};
use alloc::{collections::BTreeSet, sync::Arc, vec::Vec};

/// Entries that a message may have beyond one for each of its bytes.
const FREE: usize = 512;
/// The longest name, item or value that is read at all; a replica's limits are narrower.
const LONGEST: usize = 1 << 20;

/// The length of what an object adds to its cells, at most.
pub(super) fn object_len(key: &CellKey) -> usize {
    3 + varint_len(key.name.len() as u64) + key.name.len()
}

/// The length of an actor in a list of marks, at most.
const fn mark_len(actor: Actor) -> usize {
    varint_len(actor.node.0) + varint_len(actor.life as u64)
}

/// The length of a cell's encoding, at most.
pub(super) fn cell_len(key: &CellKey, cell: &Cell) -> usize {
    let text = |length: usize| varint_len(length as u64) + length;
    let marks = |marks: &Marks| {
        marks.iter().map(|(actor, last)| mark_len(*actor) + varint_len(*last)).sum::<usize>()
            + varint_len(marks.len() as u64)
    };
    let content = match &cell.content {
        Content::Member { removed, .. } => 1 + marks(removed),
        Content::Value { clock, value, seen, .. } => {
            let clock = varint_len(clock.time().as_millis()) + varint_len(u64::from(clock.counter()));
            clock + 3 + value.as_ref().map_or(0, |value| text(value.len())) + marks(seen)
        }
        Content::Total { plus, minus } => varint_len(*plus) + varint_len(*minus),
        Content::Dropped(spans) => {
            let interval = |&(first, last): &(u64, u64)| varint_len(first) + varint_len(last - first);
            varint_len(spans.intervals().len() as u64) + spans.intervals().iter().map(interval).sum::<usize>()
        }
    };
    2 + varint_len(cell.sequence) + text(key.item.len()) + content
}

/// Decodes all of `bytes`, and checks that `encode` gives them back.
pub(super) fn decode_all<T>(
    bytes: &[u8],
    read: impl FnOnce(&mut Input<'_>) -> Result<T, SyncError>,
    encode: impl FnOnce(&T) -> Vec<u8>,
) -> Result<T, SyncError> {
    let mut input = Input::new(bytes);
    let value = read(&mut input)?;
    if encode(&value) == bytes { Ok(value) } else { Err(SyncError::NotDeterministic) }
}

impl VersionVector {
    /// The one encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        write_version(&mut out, self);
        out
    }

    /// Reads [`VersionVector::encode`].
    ///
    /// # Errors
    /// [`SyncError::Malformed`], [`SyncError::NotDeterministic`].
    pub fn decode(bytes: &[u8]) -> Result<Self, SyncError> {
        decode_all(bytes, read_version, Self::encode)
    }
}

impl Delta {
    /// The one encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        write_delta(&mut out, self);
        out
    }

    /// Reads [`Delta::encode`]. Limits and signatures are checked when it is applied.
    ///
    /// # Errors
    /// [`SyncError::Malformed`], [`SyncError::NotDeterministic`].
    pub fn decode(bytes: &[u8]) -> Result<Self, SyncError> {
        decode_all(bytes, read_delta, Self::encode)
    }
}

/// Fills up so that there is a byte for each entry that is not free.
fn pad(out: &mut Vec<u8>, from: usize, entries: usize) {
    let least = from + entries.saturating_sub(FREE);
    if out.len() < least {
        out.resize(least, 0);
    }
}

/// The most entries that what is left can have.
const fn most(input: &Input<'_>) -> usize {
    FREE + input.rest()
}

fn put_actors(out: &mut Vec<u8>, actors: &[Actor]) {
    put_varint(out, actors.len() as u64);
    if let Some(first) = actors.first() {
        put_varint(out, first.node.0);
    }
    put_column(out, &actors.windows(2).map(|pair| pair[1].node.0 - pair[0].node.0).collect::<Vec<_>>());
    put_column(out, &actors.iter().map(|actor| u64::from(actor.life)).collect::<Vec<_>>());
}

fn actors(input: &mut Input<'_>) -> Result<Vec<Actor>, SyncError> {
    let count = input.count(most(input))?;
    let mut nodes = Vec::with_capacity(count);
    if count > 0 {
        let mut node = input.varint()?;
        nodes.push(node);
        for gap in input.column(count - 1)? {
            node = node.checked_add(gap).ok_or_else(|| input.malformed())?;
            nodes.push(node);
        }
    }
    let actors = named(nodes, input.column(count)?).ok_or_else(|| input.malformed())?;
    let ordered = actors.is_sorted_by(|one, next| one < next);
    if ordered { Ok(actors) } else { Err(input.malformed()) }
}

/// Actors of these nodes and lives.
fn named(nodes: Vec<u64>, lives: Vec<u64>) -> Option<Vec<Actor>> {
    let actor = |(node, life)| Some(Actor { node: NodeId(node), life: u32::try_from(life).ok()? });
    nodes.into_iter().zip(lives).map(actor).collect()
}

pub(super) fn write_version(out: &mut Vec<u8>, version: &VersionVector) {
    let from = out.len();
    put_actors(out, &version.iter().map(|(actor, _)| actor).collect::<Vec<_>>());
    put_column(out, &version.iter().map(|(_, last)| last).collect::<Vec<_>>());
    pad(out, from, version.iter().len());
}

pub(super) fn read_version(input: &mut Input<'_>) -> Result<VersionVector, SyncError> {
    let mut version = VersionVector::new();
    let actors = actors(input)?;
    for (actor, last) in actors.iter().zip(input.column(actors.len())?) {
        version.cover(*actor, last);
    }
    Ok(version)
}

/// Columns over cells of one kind of content.
#[derive(Default)]
struct Columns<'a> {
    values: [Vec<u64>; 4],
    texts: Vec<&'a [u8]>,
    seen: [Vec<u64>; 4],
    members: Vec<u64>,
    removed: [Vec<u64>; 4],
    totals: [Vec<u64>; 2],
    dropped: [Vec<u64>; 3],
}

fn gather_marks(columns: &mut [Vec<u64>; 4], marks: &Marks) {
    columns[0].push(marks.len() as u64);
    columns[1].extend(marks.keys().map(|actor| actor.node.0));
    columns[2].extend(marks.keys().map(|actor| u64::from(actor.life)));
    columns[3].extend(marks.values());
}

impl<'a> Columns<'a> {
    fn gather(&mut self, content: &'a Content) {
        match content {
            Content::Value { role, clock, value, seen } => {
                let counter = u64::from(clock.counter());
                let parts =
                    [clock.time().as_millis(), counter, u64::from(role.0), u64::from(value.is_none())];
                self.values.iter_mut().zip(parts).for_each(|(column, part)| column.push(part));
                self.texts.extend(value.as_deref());
                gather_marks(&mut self.seen, seen);
            }
            Content::Member { added, removed } => {
                self.members.push(u64::from(*added));
                gather_marks(&mut self.removed, removed);
            }
            Content::Total { plus, minus } => {
                self.totals[0].push(*plus);
                self.totals[1].push(*minus);
            }
            Content::Dropped(spans) => {
                self.dropped[0].push(spans.intervals().len() as u64);
                let mut before = 0;
                for &(first, last) in spans.intervals() {
                    self.dropped[1].push(first - before - 1);
                    self.dropped[2].push(last - first);
                    before = last;
                }
            }
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.values.iter().for_each(|column| put_column(out, column));
        put_texts(out, &self.texts);
        self.seen.iter().for_each(|column| put_column(out, column));
        put_column(out, &self.members);
        let rest = self.removed.iter().chain(&self.totals).chain(&self.dropped);
        rest.for_each(|column| put_column(out, column));
    }

    fn marks(&self) -> usize {
        self.seen[1].len() + self.removed[1].len() + self.dropped[1].len()
    }
}

pub(super) fn write_delta(out: &mut Vec<u8>, delta: &Delta) {
    let from = out.len();
    put_actors(out, &delta.runs.keys().copied().collect::<Vec<_>>());
    let runs = || delta.runs.values();
    let column = |out: &mut Vec<u8>, part: fn(&Run) -> u64| {
        put_column(out, &runs().map(part).collect::<Vec<_>>());
    };
    column(out, |run| run.base);
    column(out, |run| run.head - run.base - 1);
    column(out, |run| run.head - run.upto);
    column(out, |run| u64::from(run.signature.is_some()) + 2 * u64::from(run.patch));
    column(out, |run| run.cells.len() as u64);
    let objects: BTreeSet<(Kind, &[u8])> =
        runs().flat_map(|run| &run.cells).map(|(key, _)| (key.kind, &*key.name)).collect();
    let objects: Vec<(Kind, &[u8])> = objects.into_iter().collect();
    put_varint(out, objects.len() as u64);
    put_column(out, &objects.iter().map(|(kind, _)| *kind as u64).collect::<Vec<_>>());
    put_texts(out, &objects.iter().map(|(_, name)| *name).collect::<Vec<_>>());
    let (mut object, mut gaps, mut items) = (Vec::new(), Vec::new(), Vec::new());
    let mut columns = Columns::default();
    for run in runs() {
        let mut before = run.base;
        for (key, cell) in &run.cells {
            let place = objects.binary_search(&(key.kind, &*key.name));
            object.push(place.expect("all objects are listed") as u64);
            gaps.push(cell.sequence - before - 1);
            before = cell.sequence;
            if key.kind.has_items() {
                items.push(&*key.item);
            }
            columns.gather(&cell.content);
        }
    }
    put_column(out, &object);
    put_column(out, &gaps);
    put_texts(out, &items);
    columns.write(out);
    runs().filter_map(|run| run.signature).for_each(|signature| out.extend_from_slice(&signature));
    pad(out, from, delta.runs.len() + object.len() + columns.marks());
}

pub(super) fn read_delta(input: &mut Input<'_>) -> Result<Delta, SyncError> {
    let most = most(input);
    let actors = actors(input)?;
    let count = actors.len();
    let (bases, lengths, missing) = (input.column(count)?, input.column(count)?, input.column(count)?);
    let (forms, counts) = (input.column(count)?, input.column(count)?);
    let total = counts.iter().try_fold(0_u64, |sum, count| sum.checked_add(*count));
    let total = total.and_then(|total| usize::try_from(total).ok()).filter(|total| *total <= most);
    let total = total.ok_or_else(|| input.malformed())?;
    let objects = read_objects(input, total)?;
    let mut cells = read_cells(input, &objects, total, most)?.into_iter();
    let mut delta = Delta::default();
    for (index, &actor) in actors.iter().enumerate() {
        let base = bases[index];
        let head = base.checked_add(lengths[index]).and_then(|head| head.checked_add(1));
        let upto = head.and_then(|head| head.checked_sub(missing[index]));
        let (Some(head), Some(upto)) = (head, upto) else { return Err(input.malformed()) };
        let mut before = base;
        let mut run =
            Run { base, upto, head, signature: None, patch: forms[index] & 2 != 0, cells: Vec::new() };
        for cell in cells.by_ref().take(counts[index] as usize) {
            before = before
                .checked_add(cell.gap)
                .and_then(|at| at.checked_add(1))
                .ok_or_else(|| input.malformed())?;
            let key = CellKey { kind: cell.kind, name: cell.name, item: cell.item, actor };
            run.cells.push((key, Cell { sequence: before, content: cell.content }));
        }
        delta.runs.insert(actor, run);
    }
    for (run, form) in delta.runs.values_mut().zip(&forms) {
        if form & 1 != 0 {
            run.signature = Some(input.array::<SIGNATURE_LEN>()?);
        }
    }
    Ok(delta)
}

/// An object's kind and name.
type Object = (Kind, Arc<[u8]>);

fn read_objects(input: &mut Input<'_>, cells: usize) -> Result<Vec<Object>, SyncError> {
    let count = input.count(cells)?;
    let kinds = input.column(count)?;
    let names = input.texts(count, LONGEST)?;
    let object =
        |(code, name): (u64, Vec<u8>)| Some((Kind::from_code(code)?, Arc::<[u8]>::from(name.as_slice())));
    kinds.into_iter().zip(names).map(object).collect::<Option<_>>().ok_or_else(|| input.malformed())
}

/// A cell that does not know its actor and number yet.
struct Loose {
    kind: Kind,
    name: Arc<[u8]>,
    gap: u64,
    item: Arc<[u8]>,
    content: Content,
}

fn read_cells(
    input: &mut Input<'_>,
    objects: &[Object],
    total: usize,
    most: usize,
) -> Result<Vec<Loose>, SyncError> {
    let places = input.column(total)?;
    let gaps = input.column(total)?;
    let object = |place: &u64| usize::try_from(*place).ok().and_then(|place| objects.get(place));
    let kinds: Vec<&Object> =
        places.iter().map(object).collect::<Option<_>>().ok_or_else(|| input.malformed())?;
    let with = |test: fn(Kind) -> bool| kinds.iter().filter(|(kind, _)| test(*kind)).count();
    let mut items = input.texts(with(Kind::has_items), LONGEST)?.into_iter();
    let values = with(|kind| matches!(kind, Kind::Register | Kind::Map));
    let mut values = read_values(input, values, most)?.into_iter();
    let mut members = read_members(input, with(|kind| kind == Kind::Set), most)?.into_iter();
    let mut totals = read_totals(input, with(|kind| kind == Kind::Counter))?.into_iter();
    let mut dropped = read_dropped(input, with(|kind| kind == Kind::Dropped), most)?.into_iter();
    let cell = |((kind, name), gap): (&Object, u64)| {
        let content = match kind {
            Kind::Register | Kind::Map => values.next(),
            Kind::Set => members.next(),
            Kind::Counter => totals.next(),
            Kind::Dropped => dropped.next(),
        };
        let item = if kind.has_items() { items.next()? } else { Vec::new() };
        Some(Loose { kind: *kind, name: name.clone(), gap, item: item.as_slice().into(), content: content? })
    };
    kinds.into_iter().zip(gaps).map(cell).collect::<Option<_>>().ok_or_else(|| input.malformed())
}

fn read_values(input: &mut Input<'_>, count: usize, most: usize) -> Result<Vec<Content>, SyncError> {
    let (times, counters) = (input.column(count)?, input.column(count)?);
    let (roles, removed) = (input.column(count)?, input.column(count)?);
    let present = removed.iter().filter(|removed| **removed == 0).count();
    let mut texts = input.texts(present, LONGEST)?.into_iter();
    let mut seen = read_marks(input, count, most)?.into_iter();
    let mut contents = Vec::with_capacity(count);
    for index in 0..count {
        let (counter, role) = (u16::try_from(counters[index]), u8::try_from(roles[index]));
        let (Ok(counter), Ok(role)) = (counter, role) else { return Err(input.malformed()) };
        let clock = Hlc::new(DtnTime(times[index]), counter).ok_or_else(|| input.malformed())?;
        let value = if removed[index] == 0 { texts.next().map(|text| text.as_slice().into()) } else { None };
        let seen = seen.next().unwrap_or_default();
        contents.push(Content::Value { role: Role(role), clock, value, seen });
    }
    Ok(contents)
}

fn read_members(input: &mut Input<'_>, count: usize, most: usize) -> Result<Vec<Content>, SyncError> {
    let added = input.column(count)?;
    let removed = read_marks(input, count, most)?;
    let member = |(added, removed): (u64, Marks)| Content::Member { added: added == 1, removed };
    Ok(added.into_iter().zip(removed).map(member).collect())
}

fn read_totals(input: &mut Input<'_>, count: usize) -> Result<Vec<Content>, SyncError> {
    let (plus, minus) = (input.column(count)?, input.column(count)?);
    Ok(plus.into_iter().zip(minus).map(|(plus, minus)| Content::Total { plus, minus }).collect())
}

fn read_dropped(input: &mut Input<'_>, count: usize, most: usize) -> Result<Vec<Content>, SyncError> {
    let counts = input.column(count)?;
    let total = sum_at_most(&counts, most).ok_or_else(|| input.malformed())?;
    let mut intervals = input.column(total)?.into_iter().zip(input.column(total)?);
    let mut contents = Vec::with_capacity(count);
    for count in counts {
        let (mut before, mut ordered) = (0_u64, Vec::new());
        for (gap, length) in intervals.by_ref().take(count as usize) {
            let first = before.checked_add(gap).and_then(|at| at.checked_add(1));
            let last = first.and_then(|first| first.checked_add(length));
            let (Some(first), Some(last)) = (first, last) else { return Err(input.malformed()) };
            ordered.push((first, last));
            before = last;
        }
        let spans = Spans::from_ordered(ordered).ok_or_else(|| input.malformed())?;
        contents.push(Content::Dropped(spans));
    }
    Ok(contents)
}

/// The sum of the counts, unless it is above `most`.
fn sum_at_most(counts: &[u64], most: usize) -> Option<usize> {
    let total = counts.iter().try_fold(0_u64, |sum, count| sum.checked_add(*count))?;
    usize::try_from(total).ok().filter(|total| *total <= most)
}

fn read_marks(input: &mut Input<'_>, count: usize, most: usize) -> Result<Vec<Marks>, SyncError> {
    let counts = input.column(count)?;
    let total = sum_at_most(&counts, most).ok_or_else(|| input.malformed())?;
    let actors = named(input.column(total)?, input.column(total)?).ok_or_else(|| input.malformed())?;
    let mut pairs = actors.into_iter().zip(input.column(total)?);
    let marks = |count: u64| pairs.by_ref().take(count as usize).collect();
    Ok(counts.into_iter().map(marks).collect())
}
