//! A replica: its cells, its version, local writes and reads.

use super::{
    cell::{Cell, CellKey, Content, Kind, Leaf, Marks, Op, cell_bytes, check_cell, leaf},
    clock::{Hlc, Role, Roles},
    delta::{Delta, Run},
    head::{Head, signed_text},
    limits::{SyncError, SyncLimits},
    resolve::{Writers, concurrent, is_member, sum, value, winner},
    version::{Actor, Dot, VersionVector},
};
use crate::{id::NodeId, identity::KeyPair, time::DtnTime};
use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};
use sha2::{Digest, Sha256};

type Items = BTreeMap<Arc<[u8]>, Writers>;

/// What a replica was when its host gave it back.
#[derive(Clone, Debug)]
pub(super) struct Restored {
    pub(super) next_life: u32,
    /// This life's last write then.
    pub(super) last: u64,
    /// Its increments and decrements then, by counter.
    pub(super) totals: BTreeMap<Arc<[u8]>, (u64, u64)>,
}

/// Named objects of replicated data, as one actor holds them.
#[derive(Clone, Debug)]
pub struct Replica {
    pub(super) actor: Actor,
    pub(super) limits: SyncLimits,
    pub(super) roles: Arc<Roles>,
    pub(super) version: VersionVector,
    /// The actors' newest signatures.
    pub(super) heads: BTreeMap<Actor, Head>,
    /// Later than every write that is here.
    pub(super) clock: Hlc,
    /// What there was when the host gave it back, and the life to begin if the host gave back less than there had been.
    pub(super) restored: Option<Restored>,
    /// What came in parts so far, by sender and actor.
    pub(super) stages: BTreeMap<(NodeId, Actor), Run>,
    /// Objects by name, per [`Kind`].
    objects: [BTreeMap<Arc<[u8]>, Items>; Kind::COUNT],
    /// Where each living dot is, and its digest.
    by_dot: BTreeMap<Dot, (CellKey, Leaf)>,
    bytes: usize,
}

impl Replica {
    /// An empty replica, which never wrote.
    #[must_use]
    pub fn new(actor: impl Into<Actor>, limits: SyncLimits) -> Self {
        Self {
            actor: actor.into(),
            limits,
            roles: Arc::default(),
            version: VersionVector::new(),
            heads: BTreeMap::new(),
            clock: Hlc::ZERO,
            restored: None,
            stages: BTreeMap::new(),
            objects: Default::default(),
            by_dot: BTreeMap::new(),
            bytes: 0,
        }
    }

    /// What is here was given back by the host, which may have lost the end of it. When another member shows a write of this
    /// life that is not here, `next_life` begins: a number that no life of this member had before.
    pub fn came_back(&mut self, next_life: u32) {
        let totals = self.range(self.actor, 1, u64::MAX).filter_map(|(_, key, _)| {
            let Content::Total { plus, minus } = self.cell(key)?.content else { return None };
            Some((key.name.clone(), (plus, minus)))
        });
        let totals = totals.collect();
        self.restored = Some(Restored { next_life, last: self.version.get(self.actor), totals });
    }

    /// The replica with these roles; without any, all are equal.
    #[must_use]
    pub fn with_roles(self, roles: Arc<Roles>) -> Self {
        Self { roles, ..self }
    }

    /// Writes locally, under the role that this actor was granted.
    ///
    /// `time` is civil time now, [`DtnTime::UNKNOWN`] without a clock. O(log n).
    ///
    /// # Errors
    /// [`SyncError`]: nothing was written.
    pub fn write(&mut self, op: Op<'_>, time: DtnTime) -> Result<Dot, SyncError> {
        let (kind, name, item) = place(op);
        let clock = self.clock.tick(time);
        let content = self.content(op, self.writers(kind, name, item), clock)?;
        self.put(kind, name, item, content)
    }

    /// Makes the next dot.
    pub(super) fn put(
        &mut self,
        kind: Kind,
        name: &[u8],
        item: &[u8],
        content: Content,
    ) -> Result<Dot, SyncError> {
        let made = self.version.get(self.actor);
        if made >= self.limits.sequence {
            return Err(SyncError::Sequence { actor: self.actor, found: made, max: self.limits.sequence });
        }
        let cell = Cell { sequence: made + 1, content };
        let key = CellKey { kind, name: name.into(), item: item.into(), actor: self.actor };
        check_cell(&key, &cell, &self.limits)?;
        let old = self.cell(&key).map(|old| cell_bytes(&key, old));
        self.check_room(usize::from(old.is_none()), old.unwrap_or(0), cell_bytes(&key, &cell))?;
        let dot = Dot { actor: self.actor, sequence: cell.sequence };
        let digest = leaf(&key, &cell);
        self.join_cell(key, cell, digest);
        self.version.cover(self.actor, dot.sequence);
        Ok(dot)
    }

    fn content(&self, op: Op<'_>, writers: Option<&Writers>, clock: Hlc) -> Result<Content, SyncError> {
        let own = writers.and_then(|writers| writers.get(&self.actor)).map(|cell| &cell.content);
        let written = |value: Option<&[u8]>| Content::Value {
            role: self.roles.of(self.actor.node),
            clock,
            value: value.map(Into::into),
            seen: writers.map_or_else(Marks::new, |writers| self.seen(writers)),
        };
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
            Op::Register { value, .. } | Op::MapPut { value, .. } => Ok(written(Some(value))),
            Op::MapRemove { .. } => {
                writers.and_then(value).ok_or(SyncError::Absent)?;
                Ok(written(None))
            }
            Op::Count { by, .. } => {
                let Some(&Content::Total { plus, minus }) = own else {
                    return Ok(total(0, 0, by));
                };
                Ok(total(plus, minus, by))
            }
        }
    }

    /// The other actors' writes that a new one replaces. This actor's own is replaced by being overwritten, and what it had
    /// replaced must be named again.
    fn seen(&self, writers: &Writers) -> Marks {
        let mut others = writers.clone();
        others.remove(&self.actor);
        concurrent(&others).map(|(actor, cell)| (actor, cell.sequence)).collect()
    }

    /// Signs all that this actor has written, unless that is done; says whether it was to do. A delta carries what is not signed
    /// only where it is kept, never to a peer. O(cells of this actor).
    pub fn sign(&mut self, keys: &KeyPair) -> bool {
        let sequence = self.version.get(self.actor);
        if sequence == 0 || self.head(self.actor).is_some() {
            return false;
        }
        let leaves = self.leaves(self.actor).map(|(_, leaf)| leaf);
        let signature = keys.sign(&signed_text(self.actor, sequence, leaves));
        self.heads.insert(self.actor, Head { sequence, signature });
        true
    }

    /// This actor signs with another key from now on: what it has written is to be signed again.
    pub fn forget_own_signature(&mut self) {
        self.heads.remove(&self.actor);
    }

    /// The signature of all that is here of `actor`.
    pub(super) fn head(&self, actor: Actor) -> Option<&Head> {
        self.heads.get(&actor).filter(|head| head.sequence == self.version.get(actor))
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
        value(self.writers(Kind::Register, name, &[])?)
    }

    /// The value under `key` of the map `name`.
    #[must_use]
    pub fn map_get(&self, name: &[u8], key: &[u8]) -> Option<&[u8]> {
        value(self.writers(Kind::Map, name, key)?)
    }

    /// The dot, clock and value of the write that stands under `key` of the map `name`, also when it is a removal (`None`).
    #[must_use]
    pub fn map_write(&self, name: &[u8], key: &[u8]) -> Option<(Dot, Hlc, Option<&[u8]>)> {
        let (actor, cell) = winner(self.writers(Kind::Map, name, key)?)?;
        let Content::Value { clock, value, .. } = &cell.content else { return None };
        Some((Dot { actor, sequence: cell.sequence }, *clock, value.as_deref()))
    }

    /// The role of the write that stands under `key` of the map `name`.
    #[must_use]
    pub fn map_role(&self, name: &[u8], key: &[u8]) -> Option<Role> {
        let (_, cell) = winner(self.writers(Kind::Map, name, key)?)?;
        if let Content::Value { role, .. } = cell.content { Some(role) } else { None }
    }

    /// The entries of the map `name`, by key.
    pub fn map_entries(&self, name: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.items(Kind::Map, name).filter_map(|(key, writers)| Some((key, value(writers)?)))
    }

    /// The value of the counter `name`; 0 when nobody counted.
    #[must_use]
    pub fn counter(&self, name: &[u8]) -> i128 {
        self.writers(Kind::Counter, name, &[]).map_or(0, sum)
    }

    /// The names of the objects of a kind, in order. Sets and maps that became empty are among them until they are compacted.
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

    /// SHA-256 of the version and of all cells: equal if and only if the replicas are. O(n).
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for (actor, last) in self.version.iter() {
            hash.update(signed_text(actor, last, self.leaves(actor).map(|(_, leaf)| leaf)));
        }
        hash.finalize().into()
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

    /// The digests of the living cells of `actor`, by sequence.
    pub(super) fn leaves(&self, actor: Actor) -> impl Iterator<Item = (u64, &Leaf)> {
        self.range(actor, 1, u64::MAX).map(|(sequence, _, leaf)| (sequence, leaf))
    }

    /// All living cells: whose, and their digests.
    pub(super) fn all_leaves(&self) -> impl Iterator<Item = (Dot, &Leaf)> {
        self.by_dot.iter().map(|(dot, (_, leaf))| (*dot, leaf))
    }

    pub(super) fn cell(&self, key: &CellKey) -> Option<&Cell> {
        self.writers(key.kind, &key.name, &key.item)?.get(&key.actor)
    }

    /// The living cell of a dot.
    pub(super) fn cell_at(&self, dot: Dot) -> Option<(&CellKey, &Cell)> {
        let (key, _) = self.by_dot.get(&dot)?;
        Some((key, self.cell(key)?))
    }

    /// The living cells of `actor` with sequence numbers in `[first, last]`, in order.
    pub(super) fn range(
        &self,
        actor: Actor,
        first: u64,
        last: u64,
    ) -> impl Iterator<Item = (u64, &CellKey, &Leaf)> {
        let range = Dot { actor, sequence: first }..=Dot { actor, sequence: last.max(first) };
        self.by_dot.range(range).map(|(dot, (key, leaf))| (dot.sequence, key, leaf))
    }

    /// Puts a cell in the place of the same actor's earlier one.
    pub(super) fn join_cell(&mut self, key: CellKey, cell: Cell, leaf: Leaf) {
        if let Content::Value { clock, .. } = cell.content {
            self.clock = self.clock.max(clock);
        }
        let dropped = if let Content::Dropped(spans) = &cell.content { Some(spans.clone()) } else { None };
        let items = self.objects[key.kind as usize].entry(key.name.clone()).or_default();
        let writers = items.entry(key.item.clone()).or_default();
        self.bytes += cell_bytes(&key, &cell);
        let dot = Dot { actor: key.actor, sequence: cell.sequence };
        if let Some(old) = writers.insert(key.actor, cell) {
            self.bytes -= cell_bytes(&key, &old);
            self.by_dot.remove(&Dot { actor: key.actor, sequence: old.sequence });
        }
        self.by_dot.insert(dot, (key, leaf));
        for (first, last) in dropped.iter().flat_map(|spans| spans.intervals()) {
            let gone: Vec<u64> =
                self.range(dot.actor, *first, *last).map(|(sequence, ..)| sequence).collect();
            gone.into_iter().for_each(|sequence| self.retire(Dot { actor: dot.actor, sequence }));
        }
    }

    /// Takes a living cell out.
    pub(super) fn retire(&mut self, dot: Dot) {
        let Some((key, _)) = self.by_dot.remove(&dot) else { return };
        let objects = &mut self.objects[key.kind as usize];
        let Some(items) = objects.get_mut(&key.name) else { return };
        if let Some(writers) = items.get_mut(&key.item) {
            if let Some(old) = writers.remove(&key.actor) {
                self.bytes -= cell_bytes(&key, &old);
            }
            if writers.is_empty() {
                items.remove(&key.item);
            }
        }
        if items.is_empty() {
            objects.remove(&key.name);
        }
    }

    /// Whether so many more cells fit, when `gone` bytes go and `come` bytes come.
    pub(super) fn check_room(&self, more: usize, gone: usize, come: usize) -> Result<(), SyncError> {
        let SyncLimits { cells, total_bytes, .. } = self.limits;
        let (count, bytes) = (self.cells() + more, (self.bytes + come).saturating_sub(gone));
        if count > cells {
            return Err(SyncError::TooMany { what: "cells", found: count, max: cells });
        }
        if bytes > total_bytes {
            return Err(SyncError::TooMany { what: "bytes", found: bytes, max: total_bytes });
        }
        Ok(())
    }

    pub(super) fn writers(&self, kind: Kind, name: &[u8], item: &[u8]) -> Option<&Writers> {
        self.objects[kind as usize].get(name)?.get(item)
    }

    /// The items of an object with their writers, in order.
    pub(super) fn items(&self, kind: Kind, name: &[u8]) -> impl Iterator<Item = (&[u8], &Writers)> {
        let items = self.objects[kind as usize].get(name);
        items.into_iter().flatten().map(|(item, writers)| (&**item, writers))
    }

    /// All that is here of `actor`, for a replica that replaces what it has of it.
    pub(super) fn whole(&self, actor: Actor) -> Option<Run> {
        let mut others = self.version.clone();
        others.forget(actor);
        self.delta_since(&others, usize::MAX)?.runs.remove(&actor)
    }

    /// Bytes that [`Replica::restore`] reads.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        self.delta_since(&VersionVector::new(), usize::MAX).unwrap_or_default().encode()
    }

    /// The replica that wrote `bytes` with [`Replica::snapshot`].
    ///
    /// # Errors
    /// [`SyncError`] when they are no snapshot, or hold more than the limits allow.
    pub fn restore(actor: impl Into<Actor>, limits: SyncLimits, bytes: &[u8]) -> Result<Self, SyncError> {
        // The state is our own: its numbers start from nothing, so the limit on jumps does not apply.
        let unbounded = SyncLimits { jump: limits.sequence, ..limits };
        let mut replica = Self::new(actor, unbounded);
        replica.apply_kept(&Delta::decode(bytes)?)?;
        Ok(Self { limits, ..replica })
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

fn removed_by(content: Option<&Content>) -> Marks {
    match content {
        Some(Content::Member { removed, .. }) => removed.clone(),
        Some(Content::Value { .. } | Content::Total { .. } | Content::Dropped(_)) | None => Marks::new(),
    }
}
