//! How the cells of one item become one value.
//!
//! A write replaces what its writer had seen. Of the writes that nobody saw and replaced, the concurrent ones, the greatest
//! [`Rank`] stands. Arrival plays no part.

use super::{
    cell::{Cell, Content},
    clock::Rank,
    version::Actor,
};
use alloc::collections::BTreeMap;

/// The cells of one item, by their writers.
pub(super) type Writers = BTreeMap<Actor, Cell>;

/// What ranks a write of a value.
pub(super) const fn rank(actor: Actor, cell: &Cell) -> Option<Rank> {
    match cell.content {
        Content::Value { role, clock, .. } => Some(Rank { role, clock, actor }),
        Content::Member { .. } | Content::Total { .. } | Content::Dropped(_) => None,
    }
}

/// Whether `cell` was written by one who saw this dot, or a later one of the same actor to the item.
pub(super) fn has_seen(cell: &Cell, actor: Actor, sequence: u64) -> bool {
    cell.content.marks().is_some_and(|marks| marks.get(&actor).is_some_and(|&last| last >= sequence))
}

/// The write that replaced this one.
pub(super) fn replaced_by(writers: &Writers, actor: Actor, sequence: u64) -> Option<(Actor, &Cell)> {
    let mut others = writers.iter().filter(|(other, _)| **other != actor);
    others.find(|(_, cell)| has_seen(cell, actor, sequence)).map(|(other, cell)| (*other, cell))
}

/// The writes that no other one replaced.
pub(super) fn concurrent(writers: &Writers) -> impl Iterator<Item = (Actor, &Cell)> {
    let cells = writers.iter().map(|(&actor, cell)| (actor, cell));
    cells.filter(move |(actor, cell)| replaced_by(writers, *actor, cell.sequence).is_none())
}

/// The write of a value that stands. O(w²) for w writers of the item.
pub(super) fn winner(writers: &Writers) -> Option<(Actor, &Cell)> {
    concurrent(writers)
        .filter_map(|(actor, cell)| Some((rank(actor, cell)?, cell)))
        .max_by_key(|(rank, _)| *rank)
        .map(|(rank, cell)| (rank.actor, cell))
}

/// The value that stands, unless it was removed.
pub(super) fn value(writers: &Writers) -> Option<&[u8]> {
    match &winner(writers)?.1.content {
        Content::Value { value, .. } => value.as_deref(),
        Content::Member { .. } | Content::Total { .. } | Content::Dropped(_) => None,
    }
}

/// Whether some addition has not been seen by any removal.
pub(super) fn is_member(writers: &Writers) -> bool {
    writers.iter().any(|(&actor, cell)| {
        let added = matches!(cell.content, Content::Member { added: true, .. });
        added && !writers.values().any(|other| has_seen(other, actor, cell.sequence))
    })
}

/// The sum of the totals.
pub(super) fn sum(writers: &Writers) -> i128 {
    let total = |cell: &Cell| match cell.content {
        Content::Total { plus, minus } => i128::from(plus) - i128::from(minus),
        Content::Member { .. } | Content::Value { .. } | Content::Dropped(_) => 0,
    };
    writers.values().map(total).sum()
}
