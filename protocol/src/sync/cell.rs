//! What a replica stores: one actor's latest write to one item of one object.

use super::{
    clock::{Hlc, Role},
    limits::{SyncError, SyncLimits},
    spans::Spans,
    version::Actor,
};
use alloc::{collections::BTreeMap, sync::Arc};
use sha2::{Digest, Sha256};

/// The kind of an object. Objects of two kinds with one name are two objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Observed-remove set, where an addition wins over a concurrent removal (Bieniusa et al. 2012).
    Set = 0,
    /// Register: of concurrent writes the greatest [`Rank`](super::Rank) stands.
    Register = 1,
    /// Map of such registers.
    Map = 2,
    /// Counter that goes up and down.
    Counter = 3,
    /// What an actor has dropped of its own cells, once all had seen them. One object, without a name.
    Dropped = 4,
}

impl Kind {
    /// How many there are.
    pub(super) const COUNT: usize = 5;

    pub(super) const fn from_code(code: u64) -> Option<Self> {
        match code {
            0 => Some(Self::Set),
            1 => Some(Self::Register),
            2 => Some(Self::Map),
            3 => Some(Self::Counter),
            4 => Some(Self::Dropped),
            _ => None,
        }
    }

    /// Whether its cells have items: a set's members, a map's keys.
    pub(super) const fn has_items(self) -> bool {
        matches!(self, Self::Set | Self::Map)
    }
}

/// A write. Names and items are bytes of the application's choosing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op<'a> {
    /// Adds `member` to the set `name`.
    SetAdd {
        /// The set.
        name: &'a [u8],
        /// What to add.
        member: &'a [u8],
    },
    /// Removes the additions of `member` that this replica has seen.
    SetRemove {
        /// The set.
        name: &'a [u8],
        /// What to remove.
        member: &'a [u8],
    },
    /// Writes the register `name`.
    Register {
        /// The register.
        name: &'a [u8],
        /// What to write.
        value: &'a [u8],
    },
    /// Writes `key` of the map `name`.
    MapPut {
        /// The map.
        name: &'a [u8],
        /// The key.
        key: &'a [u8],
        /// What to write.
        value: &'a [u8],
    },
    /// Removes `key` of the map `name`.
    MapRemove {
        /// The map.
        name: &'a [u8],
        /// The key.
        key: &'a [u8],
    },
    /// Adds `by` to the counter `name`.
    Count {
        /// The counter.
        name: &'a [u8],
        /// How much to add.
        by: i64,
    },
}

impl<'a> Op<'a> {
    /// The object that it writes to.
    #[must_use]
    pub const fn name(&self) -> &'a [u8] {
        match self {
            Self::SetAdd { name, .. }
            | Self::SetRemove { name, .. }
            | Self::Register { name, .. }
            | Self::MapPut { name, .. }
            | Self::MapRemove { name, .. }
            | Self::Count { name, .. } => name,
        }
    }
}

/// Where a cell is. The order is the canonical order of cells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CellKey {
    pub(super) kind: Kind,
    pub(super) name: Arc<[u8]>,
    pub(super) item: Arc<[u8]>,
    pub(super) actor: Actor,
}

/// One actor's latest write to one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) sequence: u64,
    pub(super) content: Content,
}

/// Dots of other actors: per actor the last one.
pub(super) type Marks = BTreeMap<Actor, u64>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Whether the actor's last write added the member, and which additions it has seen removed: per actor the last one.
    ///
    /// Every write carries on what its actor knew to be removed. Otherwise an addition could hide the same actor's
    /// removal of a third actor's addition, which would then come back.
    Member { added: bool, removed: Marks },
    /// A value, or `None` when it was removed; what ranks it; and the writes to the item that its writer saw and that no other
    /// write had replaced: they are replaced, whatever their rank.
    Value { role: Role, clock: Hlc, value: Option<Arc<[u8]>>, seen: Marks },
    /// The sums of the actor's increments and decrements.
    Total { plus: u64, minus: u64 },
    /// Dots of the actor's own cells that are gone for good. May name overwritten ones too.
    Dropped(Spans),
}

/// SHA-256 of a cell and its place.
pub(super) type Leaf = [u8; 32];

/// What a cell costs beside its name, item and value.
const CELL_OVERHEAD: usize = 96;
/// What a mark of another actor's dot costs.
const MARK_BYTES: usize = 24;

impl Content {
    fn bytes(&self) -> usize {
        match self {
            Self::Member { removed, .. } => removed.len() * MARK_BYTES,
            Self::Value { value, seen, .. } => {
                value.as_ref().map_or(0, |value| value.len()) + seen.len() * MARK_BYTES
            }
            Self::Total { .. } => 0,
            Self::Dropped(spans) => spans.intervals().len() * MARK_BYTES,
        }
    }

    /// The other actors' dots that it names.
    pub(super) fn marks(&self) -> Option<&Marks> {
        match self {
            Self::Member { removed: marks, .. } | Self::Value { seen: marks, .. } => Some(marks),
            Self::Total { .. } | Self::Dropped(_) => None,
        }
    }

    const fn fits(&self, kind: Kind) -> bool {
        match self {
            Self::Member { .. } => matches!(kind, Kind::Set),
            Self::Value { value, .. } => {
                matches!(kind, Kind::Map) || (matches!(kind, Kind::Register) && value.is_some())
            }
            Self::Total { .. } => matches!(kind, Kind::Counter),
            Self::Dropped(_) => matches!(kind, Kind::Dropped),
        }
    }
}

/// What a cell costs in memory, in bytes.
pub(super) fn cell_bytes(key: &CellKey, cell: &Cell) -> usize {
    CELL_OVERHEAD + key.name.len() + key.item.len() + cell.content.bytes()
}

/// The digest that stands for a cell under its writer's signature. Lengths go before bytes, so that no two cells share their text.
pub(super) fn leaf(key: &CellKey, cell: &Cell) -> Leaf {
    let mut hash = Sha256::new();
    hash.update(b"cosmosmesh cell 2");
    hash.update([key.kind as u8]);
    let number = |hash: &mut Sha256, value: u64| hash.update(value.to_be_bytes());
    let text = |hash: &mut Sha256, bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    let named = |hash: &mut Sha256, actor: Actor| {
        hash.update(actor.node.0.to_be_bytes());
        hash.update(actor.life.to_be_bytes());
    };
    named(&mut hash, key.actor);
    number(&mut hash, cell.sequence);
    text(&mut hash, &key.name);
    text(&mut hash, &key.item);
    match &cell.content {
        Content::Member { added, .. } => hash.update([u8::from(*added)]),
        Content::Value { role, clock, value, .. } => {
            hash.update([role.0]);
            number(&mut hash, clock.time().as_millis());
            number(&mut hash, u64::from(clock.counter()));
            match value {
                Some(value) => {
                    hash.update([1]);
                    text(&mut hash, value);
                }
                None => hash.update([0]),
            }
        }
        Content::Total { plus, minus } => {
            number(&mut hash, *plus);
            number(&mut hash, *minus);
        }
        Content::Dropped(spans) => spans.intervals().iter().for_each(|&(first, last)| {
            number(&mut hash, first);
            number(&mut hash, last);
        }),
    }
    for (actor, last) in cell.content.marks().into_iter().flatten() {
        named(&mut hash, *actor);
        number(&mut hash, *last);
    }
    hash.finalize().into()
}

/// Checks a cell from outside against the limits.
pub(super) fn check_cell(key: &CellKey, cell: &Cell, limits: &SyncLimits) -> Result<(), SyncError> {
    check_length("name", key.name.len(), limits.name_bytes)?;
    check_length("item", key.item.len(), limits.item_bytes)?;
    let inconsistent = SyncError::Inconsistent { actor: key.actor, sequence: cell.sequence };
    let nameless = key.kind == Kind::Dropped && !key.name.is_empty();
    if !cell.content.fits(key.kind) || nameless || !(key.kind.has_items() || key.item.is_empty()) {
        return Err(inconsistent);
    }
    if let Some(marks) = cell.content.marks() {
        check_count("marks", marks.len(), limits.actors)?;
        if marks.contains_key(&key.actor) && matches!(cell.content, Content::Value { .. }) {
            return Err(inconsistent);
        }
        let too_high = marks.iter().find(|&(_, &last)| last == 0 || last > limits.sequence);
        if let Some((&actor, &found)) = too_high {
            return Err(SyncError::Sequence { actor, found, max: limits.sequence });
        }
    }
    match &cell.content {
        Content::Member { .. } => Ok(()),
        Content::Value { clock, value, .. } => {
            check_length("value", value.as_ref().map_or(0, |value| value.len()), limits.value_bytes)?;
            let (found, max) = (clock.time(), limits.latest);
            if found > max { Err(SyncError::Time { actor: key.actor, found, max }) } else { Ok(()) }
        }
        Content::Total { plus, minus } => {
            let (found, max) = (*plus.max(minus), limits.counter);
            if found > max { Err(SyncError::Counter { actor: key.actor, found, max }) } else { Ok(()) }
        }
        Content::Dropped(spans) => {
            check_count("dropped intervals", spans.intervals().len(), limits.dropped)?;
            // What is dropped was written before.
            if spans.last() >= cell.sequence { Err(inconsistent) } else { Ok(()) }
        }
    }
}

pub(super) const fn check_length(what: &'static str, found: usize, max: usize) -> Result<(), SyncError> {
    if found > max { Err(SyncError::TooLong { what, found, max }) } else { Ok(()) }
}

pub(super) const fn check_count(what: &'static str, found: usize, max: usize) -> Result<(), SyncError> {
    if found > max { Err(SyncError::TooMany { what, found, max }) } else { Ok(()) }
}
