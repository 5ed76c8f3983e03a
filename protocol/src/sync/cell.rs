//! What a replica stores: one actor's latest write to one item of one object.

use super::{
    limits::{SyncError, SyncLimits},
    version::{Actor, Dot},
};
use crate::time::DtnTime;
use alloc::{collections::BTreeMap, sync::Arc};

/// The kind of an object. Objects of two kinds with one name are two objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Observed-remove set, where an addition wins over a concurrent removal (Bieniusa et al. 2012).
    Set = 0,
    /// Last-writer-wins register.
    Register = 1,
    /// Map of last-writer-wins registers.
    Map = 2,
    /// Counter that goes up and down.
    Counter = 3,
}

impl Kind {
    pub(super) const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Set),
            1 => Some(Self::Register),
            2 => Some(Self::Map),
            3 => Some(Self::Counter),
            _ => None,
        }
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

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Whether the actor's last write added the member, and which additions it has seen removed: per actor the last one.
    ///
    /// Every write carries on what its actor knew to be removed. Otherwise an addition could hide the same actor's
    /// removal of a third actor's addition, which would then come back.
    Member { added: bool, removed: BTreeMap<Actor, u64> },
    /// A value, or `None` when it was removed, ranked by time.
    Value { time: DtnTime, value: Option<Arc<[u8]>> },
    /// The sums of the actor's increments and decrements.
    Total { plus: u64, minus: u64 },
}

/// What a cell costs beside its name, item and value.
const CELL_OVERHEAD: usize = 48;
/// What a removal costs.
const REMOVED_BYTES: usize = 18;

impl Content {
    fn bytes(&self) -> usize {
        match self {
            Self::Member { removed, .. } => removed.len() * REMOVED_BYTES,
            Self::Value { value, .. } => value.as_ref().map_or(0, |value| value.len()),
            Self::Total { .. } => 0,
        }
    }

    const fn fits(&self, kind: Kind) -> bool {
        match self {
            Self::Member { .. } => matches!(kind, Kind::Set),
            Self::Value { value, .. } => {
                matches!(kind, Kind::Map) || (matches!(kind, Kind::Register) && value.is_some())
            }
            Self::Total { .. } => matches!(kind, Kind::Counter),
        }
    }
}

/// What a cell costs in memory, in bytes; at least the length of its encoding.
pub(super) fn cell_bytes(key: &CellKey, cell: &Cell) -> usize {
    CELL_OVERHEAD + key.name.len() + key.item.len() + cell.content.bytes()
}

/// Checks a cell from outside against the limits.
pub(super) fn check_cell(key: &CellKey, cell: &Cell, limits: &SyncLimits) -> Result<(), SyncError> {
    check_length("name", key.name.len(), limits.name_bytes)?;
    check_length("item", key.item.len(), limits.item_bytes)?;
    let dot = Dot { actor: key.actor, sequence: cell.sequence };
    let single = matches!(key.kind, Kind::Register | Kind::Counter);
    if !cell.content.fits(key.kind) || (single && !key.item.is_empty()) {
        return Err(SyncError::Inconsistent { actor: dot.actor, sequence: dot.sequence });
    }
    match &cell.content {
        Content::Member { removed, .. } => {
            if removed.len() > limits.actors {
                return Err(SyncError::TooMany {
                    what: "removals",
                    found: removed.len(),
                    max: limits.actors,
                });
            }
            let too_high = removed.iter().find(|&(_, &last)| last == 0 || last > limits.sequence);
            too_high.map_or(Ok(()), |(&actor, &found)| {
                Err(SyncError::Sequence { actor, found, max: limits.sequence })
            })
        }
        Content::Value { time, value } => {
            check_length("value", value.as_ref().map_or(0, |value| value.len()), limits.value_bytes)?;
            if *time > limits.latest {
                return Err(SyncError::Time { actor: dot.actor, found: *time, max: limits.latest });
            }
            Ok(())
        }
        Content::Total { plus, minus } => {
            let found = *plus.max(minus);
            if found > limits.counter {
                return Err(SyncError::Counter { actor: dot.actor, found, max: limits.counter });
            }
            Ok(())
        }
    }
}

pub(super) const fn check_length(what: &'static str, found: usize, max: usize) -> Result<(), SyncError> {
    if found > max { Err(SyncError::TooLong { what, found, max }) } else { Ok(()) }
}
