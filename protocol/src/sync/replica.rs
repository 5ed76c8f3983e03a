//! A replica: its cells, its version, local writes and reads.

use super::{
    cell::{Cell, CellKey, Content, Kind, Op, cell_bytes, check_cell},
    delta::Delta,
    limits::{SyncError, SyncLimits},
    version::{Actor, Dot, VersionVector},
};
use crate::time::DtnTime;
use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};
use sha2::{Digest, Sha256};

type Writers = BTreeMap<Actor, Cell>;
type Items = BTreeMap<Arc<[u8]>, Writers>;

/// Named objects of replicated data, as one actor holds them.
#[derive(Clone, Debug)]
pub struct Replica {
    pub(super) actor: Actor,
    pub(super) limits: SyncLimits,
    pub(super) version: VersionVector,
    /// Whether dots of this actor are taken from peers.
    pub(super) recovering: bool,
    /// Objects by name, per [`Kind`].
    objects: [BTreeMap<Arc<[u8]>, Items>; 4],
    /// Where each living dot is, for deltas.
    by_dot: BTreeMap<Dot, CellKey>,
    bytes: usize,
}

impl Replica {
    /// An empty replica, which never wrote.
    #[must_use]
    pub fn new(actor: Actor, limits: SyncLimits) -> Self {
        Self {
            actor,
            limits,
            version: VersionVector::new(),
            recovering: false,
            objects: Default::default(),
            by_dot: BTreeMap::new(),
            bytes: 0,
        }
    }

    /// An empty replica of an actor that wrote before and lost its storage. Until its first write it takes its own dots
    /// from peers: write only after hearing from the peers that may have them, or a dot is used twice.
    #[must_use]
    pub fn recovering(actor: Actor, limits: SyncLimits) -> Self {
        Self { recovering: true, ..Self::new(actor, limits) }
    }

    /// Takes its own dots from outside again until the next write: for a log of deltas that goes on after a snapshot.
    pub const fn resume_log(&mut self) {
        self.recovering = true;
    }

    /// Writes locally.
    ///
    /// `time` ranks the write among others (milliseconds since 2000). When a write is there already that ranks later, this
    /// one takes the following millisecond: a hybrid clock, so who has seen a value can replace it. O(log n).
    ///
    /// # Errors
    /// [`SyncError`]: nothing was written.
    pub fn write(&mut self, op: Op<'_>, time: DtnTime) -> Result<Dot, SyncError> {
        let (kind, name, item) = place(op);
        let made = self.version.spans(self.actor).last();
        if made >= self.limits.sequence {
            return Err(SyncError::Sequence { actor: self.actor, found: made, max: self.limits.sequence });
        }
        let content = self.content(op, self.writers(kind, name, item), time)?;
        let cell = Cell { sequence: made + 1, content };
        let key = CellKey { kind, name: name.into(), item: item.into(), actor: self.actor };
        check_cell(&key, &cell, &self.limits)?;
        self.check_room([(&key, &cell)])?;
        let dot = Dot { actor: self.actor, sequence: cell.sequence };
        self.join_cell(&key, &cell);
        self.version.cover(self.actor, &super::Spans::interval(dot.sequence, dot.sequence));
        self.recovering = false;
        Ok(dot)
    }

    fn content(&self, op: Op<'_>, writers: Option<&Writers>, time: DtnTime) -> Result<Content, SyncError> {
        let own = writers.and_then(|writers| writers.get(&self.actor)).map(|cell| &cell.content);
        match op {
            Op::SetAdd { .. } => Ok(Content::Member { added: true, removed: removed_by(own) }),
            Op::SetRemove { .. } => {
                let writers = writers.filter(|writers| is_member(writers)).ok_or(SyncError::Absent)?;
                let mut removed = removed_by(own);
                for (&actor, cell) in writers {
                    if matches!(cell.content, Content::Member { added: true, .. }) {
                        removed.insert(actor, cell.sequence);
                    }
                }
                Ok(Content::Member { added: false, removed })
            }
            Op::Register { value, .. } | Op::MapPut { value, .. } => {
                Ok(Content::Value { time: self.rank(writers, time)?, value: Some(value.into()) })
            }
            Op::MapRemove { .. } => {
                writers.and_then(winner).ok_or(SyncError::Absent)?;
                Ok(Content::Value { time: self.rank(writers, time)?, value: None })
            }
            Op::Count { by, .. } => {
                let Some(&Content::Total { plus, minus }) = own else {
                    return Ok(total(0, 0, by));
                };
                Ok(total(plus, minus, by))
            }
        }
    }

    /// The time at which a write outranks all that is there.
    fn rank(&self, writers: Option<&Writers>, time: DtnTime) -> Result<DtnTime, SyncError> {
        let there = writers.and_then(winning_cell).map(|(time, actor, _)| (time, actor));
        let rank = match there {
            Some((before, actor)) if (before, actor) >= (time, self.actor) => {
                DtnTime(before.0.saturating_add(1))
            }
            _ => time,
        };
        if rank > self.limits.latest {
            return Err(SyncError::Time { actor: self.actor, found: rank, max: self.limits.latest });
        }
        Ok(rank)
    }

    /// Whether `member` is in the set `name`.
    #[must_use]
    pub fn set_contains(&self, name: &[u8], member: &[u8]) -> bool {
        self.writers(Kind::Set, name, member).is_some_and(is_member)
    }

    /// The members of the set `name`, in order.
    pub fn set_members(&self, name: &[u8]) -> impl Iterator<Item = &[u8]> {
        self.items(Kind::Set, name).filter(|(_, writers)| is_member(writers)).map(|(member, _)| member)
    }

    /// The value of the register `name`.
    #[must_use]
    pub fn register(&self, name: &[u8]) -> Option<&[u8]> {
        winner(self.writers(Kind::Register, name, &[])?)
    }

    /// The value under `key` of the map `name`.
    #[must_use]
    pub fn map_get(&self, name: &[u8], key: &[u8]) -> Option<&[u8]> {
        winner(self.writers(Kind::Map, name, key)?)
    }

    /// The dot, time and value under `key` of the map `name`, also when the value was removed (`None`).
    #[must_use]
    pub fn map_write(&self, name: &[u8], key: &[u8]) -> Option<(Dot, DtnTime, Option<&[u8]>)> {
        let writers = self.writers(Kind::Map, name, key)?;
        let (time, actor, value) = winning_cell(writers)?;
        let sequence = writers.get(&actor)?.sequence;
        Some((Dot { actor, sequence }, time, value))
    }

    /// The entries of the map `name`, by key.
    pub fn map_entries(&self, name: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.items(Kind::Map, name).filter_map(|(key, writers)| Some((key, winner(writers)?)))
    }

    /// The value of the counter `name`; 0 when nobody counted.
    #[must_use]
    pub fn counter(&self, name: &[u8]) -> i128 {
        let writers = self.writers(Kind::Counter, name, &[]);
        let cells = writers.into_iter().flat_map(BTreeMap::values);
        cells
            .map(|cell| match cell.content {
                Content::Total { plus, minus } => i128::from(plus) - i128::from(minus),
                Content::Member { .. } | Content::Value { .. } => 0,
            })
            .sum()
    }

    /// The names of the objects of a kind, in order. Sets and maps that became empty are among them.
    pub fn names(&self, kind: Kind) -> impl Iterator<Item = &[u8]> {
        self.objects[kind as usize].keys().map(|name| &**name)
    }

    /// What is covered. Two replicas with equal versions are equal.
    #[must_use]
    pub const fn version(&self) -> &VersionVector {
        &self.version
    }

    /// Who writes here.
    #[must_use]
    pub const fn actor(&self) -> Actor {
        self.actor
    }

    /// SHA-256 of the canonical encoding of the version and all cells: equal if and only if the replicas are. O(n).
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.everything().encode()).into()
    }

    /// What the cells cost, in bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Number of cells.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.by_dot.len()
    }

    /// The whole state as a delta for an empty replica.
    pub(super) fn everything(&self) -> Delta {
        self.delta_since(&VersionVector::new(), usize::MAX).unwrap_or_default()
    }

    pub(super) fn cell(&self, key: &CellKey) -> Option<&Cell> {
        self.writers(key.kind, &key.name, &key.item)?.get(&key.actor)
    }

    /// The living cells of `actor` with sequence numbers in `[first, last]`, the newest first.
    pub(super) fn newest_first(
        &self,
        actor: Actor,
        first: u64,
        last: u64,
    ) -> impl Iterator<Item = (&CellKey, &Cell)> {
        let range = Dot { actor, sequence: first }..=Dot { actor, sequence: last };
        self.by_dot.range(range).rev().filter_map(|(_, key)| Some((key, self.cell(key)?)))
    }

    /// Keeps the later of what is there and `cell`.
    pub(super) fn join_cell(&mut self, key: &CellKey, cell: &Cell) {
        let items = self.objects[key.kind as usize].entry(key.name.clone()).or_default();
        let writers = items.entry(key.item.clone()).or_default();
        let old = writers.get(&key.actor);
        if old.is_some_and(|old| old.sequence >= cell.sequence) {
            return;
        }
        if let Some(old) = old {
            self.bytes -= cell_bytes(key, old);
            self.by_dot.remove(&Dot { actor: key.actor, sequence: old.sequence });
        }
        self.bytes += cell_bytes(key, cell);
        self.by_dot.insert(Dot { actor: key.actor, sequence: cell.sequence }, key.clone());
        writers.insert(key.actor, cell.clone());
    }

    /// Whether these cells fit, which are at different places.
    pub(super) fn check_room<'a>(
        &self,
        cells: impl IntoIterator<Item = (&'a CellKey, &'a Cell)>,
    ) -> Result<(), SyncError> {
        let (mut count, mut bytes) = (self.cells(), self.bytes);
        for (key, cell) in cells {
            let old = self.cell(key);
            count += usize::from(old.is_none());
            bytes = bytes + cell_bytes(key, cell) - old.map_or(0, |old| cell_bytes(key, old));
        }
        let SyncLimits { cells, total_bytes, .. } = self.limits;
        if count > cells {
            return Err(SyncError::TooMany { what: "cells", found: count, max: cells });
        }
        if bytes > total_bytes {
            return Err(SyncError::TooMany { what: "bytes", found: bytes, max: total_bytes });
        }
        Ok(())
    }

    fn writers(&self, kind: Kind, name: &[u8], item: &[u8]) -> Option<&Writers> {
        self.objects[kind as usize].get(name)?.get(item)
    }

    fn items(&self, kind: Kind, name: &[u8]) -> impl Iterator<Item = (&[u8], &Writers)> {
        let items = self.objects[kind as usize].get(name);
        items.into_iter().flatten().map(|(item, writers)| (&**item, writers))
    }

    /// Bytes that [`Replica::restore`] reads.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        self.everything().encode()
    }

    /// The replica that wrote `bytes` with [`Replica::snapshot`].
    ///
    /// # Errors
    /// [`SyncError`] when they are no snapshot, or hold more than the limits allow.
    pub fn restore(actor: Actor, limits: SyncLimits, bytes: &[u8]) -> Result<Self, SyncError> {
        // The state is our own: its numbers start from nothing, so the limit on jumps does not apply.
        let unbounded = SyncLimits { jump: limits.sequence, ..limits };
        let mut replica = Self::recovering(actor, unbounded);
        replica.apply(&Delta::decode(bytes)?)?;
        Ok(Self { recovering: false, limits, ..replica })
    }
}

const fn place<'a>(op: Op<'a>) -> (Kind, &'a [u8], &'a [u8]) {
    match op {
        Op::SetAdd { name, member } | Op::SetRemove { name, member } => (Kind::Set, name, member),
        Op::Register { name, .. } => (Kind::Register, name, &[]),
        Op::MapPut { name, key, .. } | Op::MapRemove { name, key } => (Kind::Map, name, key),
        Op::Count { name, .. } => (Kind::Counter, name, &[]),
    }
}

const fn total(plus: u64, minus: u64, by: i64) -> Content {
    let size = by.unsigned_abs();
    if by < 0 {
        Content::Total { plus, minus: minus.saturating_add(size) }
    } else {
        Content::Total { plus: plus.saturating_add(size), minus }
    }
}

fn removed_by(content: Option<&Content>) -> BTreeMap<Actor, u64> {
    match content {
        Some(Content::Member { removed, .. }) => removed.clone(),
        Some(Content::Value { .. } | Content::Total { .. }) | None => BTreeMap::new(),
    }
}

/// Whether some addition has not been seen by any removal.
fn is_member(writers: &Writers) -> bool {
    writers.iter().any(|(&actor, cell)| {
        let added = matches!(cell.content, Content::Member { added: true, .. });
        added && !writers.values().any(|other| has_removed(&other.content, actor, cell.sequence))
    })
}

fn has_removed(content: &Content, actor: Actor, sequence: u64) -> bool {
    match content {
        Content::Member { removed, .. } => removed.get(&actor).is_some_and(|&last| last >= sequence),
        Content::Value { .. } | Content::Total { .. } => false,
    }
}

/// The last write, by time and then by actor.
fn winning_cell(writers: &Writers) -> Option<(DtnTime, Actor, Option<&[u8]>)> {
    let values = writers.iter().filter_map(|(&actor, cell)| match &cell.content {
        Content::Value { time, value } => Some((*time, actor, value.as_deref())),
        Content::Member { .. } | Content::Total { .. } => None,
    });
    values.max_by_key(|&(time, actor, _)| (time, actor))
}

fn winner(writers: &Writers) -> Option<&[u8]> {
    winning_cell(writers)?.2
}
