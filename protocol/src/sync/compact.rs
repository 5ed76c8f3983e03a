//! Compaction: cells that can never be read again are dropped, once everyone has seen what replaced them.
//!
//! Each actor drops its own cells, by a write that names them ([`Kind::Dropped`]) and is signed and replicated like any other, so that all
//! replicas drop the same at the same point of that actor's history. It needs to know what every member covers: what all of them cover is
//! *stable* (Baquero, Almeida, Shoker 2017): whatever is written from now on was written by one who saw it.
//!
//! A member that is away may be left out of that, and comes back to writes that it does not know to be dropped. What it then gets does not fit
//! to the writers' signatures together with what it has, so it asks for all of them and replaces what it has. What it wrote itself while
//! away stands as concurrent with everything that it had not seen, removals that were dropped meanwhile included.

use super::{
    cell::{Cell, CellKey, Content, Kind},
    limits::SyncError,
    replica::Replica,
    resolve::{Writers, has_seen, replaced_by, winner},
    spans::Spans,
    version::{Actor, Dot, VersionVector},
};
use crate::id::NodeId;
use alloc::{collections::BTreeSet, vec::Vec};

impl Replica {
    /// What all members cover, this one included. `None` when some write that a member made before it told its version has not come yet:
    /// it may be one that saw less.
    #[must_use]
    pub fn stable<'v>(
        &self,
        told: impl IntoIterator<Item = (NodeId, &'v VersionVector)>,
    ) -> Option<VersionVector> {
        let mut stable = self.version.clone();
        for (member, version) in told {
            if version.lives(member).any(|(life, last)| self.version.get(life) < last) {
                return None;
            }
            stable.meet(version);
        }
        Some(stable)
    }

    /// Drops this actor's cells that nobody needs, if there are enough to be worth a write.
    ///
    /// Dropped are, of items all of whose cells are stable: values that another write replaced or outranks, once what they replaced themselves is
    /// gone; removals once nothing is left that they remove; additions that were removed.
    ///
    /// # Errors
    /// As [`Replica::write`].
    pub fn compact(&mut self, stable: &VersionVector) -> Result<Option<Dot>, SyncError> {
        let place = |actor: Actor| CellKey { kind: Kind::Dropped, name: [].into(), item: [].into(), actor };
        let unstable =
            |actor: Actor| self.cell(&place(actor)).is_some_and(|cell| cell.sequence > stable.get(actor));
        // Where a drop is not known everywhere, what it dropped may still stand, held down by a cell of ours.
        let others = self.version.iter().map(|(actor, _)| actor).filter(|actor| *actor != self.actor);
        if others.into_iter().any(unstable) {
            return Ok(None);
        }
        let mut spans = Spans::new();
        let droppable = self.droppable(stable);
        if droppable.len() < self.limits.compact_min.max(1) {
            return Ok(None);
        }
        // What a member may not have dropped yet is named again.
        if let Some(Cell { content: Content::Dropped(before), .. }) =
            self.cell(&place(self.actor)).filter(|_| unstable(self.actor))
        {
            spans.join(before);
        }
        for (first, last) in intervals(self, &droppable) {
            if spans.intervals().len() >= self.limits.dropped {
                break;
            }
            spans.insert(first, last);
        }
        self.put(Kind::Dropped, &[], &[], Content::Dropped(spans)).map(Some)
    }

    /// The sequence numbers of this actor's cells that nobody needs.
    fn droppable(&self, stable: &VersionVector) -> BTreeSet<u64> {
        let own = self.range(self.actor, 1, stable.get(self.actor));
        let needless = own.filter(|(_, key, _)| {
            self.writers(key.kind, &key.name, &key.item).is_some_and(|writers| {
                let all_stable = writers.iter().all(|(actor, cell)| cell.sequence <= stable.get(*actor));
                all_stable && is_needless(self.actor, writers)
            })
        });
        needless.map(|(sequence, ..)| sequence).collect()
    }
}

/// Whether the actor's cell changes no reading, now or later.
fn is_needless(actor: Actor, writers: &Writers) -> bool {
    let Some(cell) = writers.get(&actor) else { return false };
    let others = || writers.iter().filter(|(other, _)| **other != actor);
    match &cell.content {
        Content::Value { value, .. } => {
            let holds_down = others().any(|(other, below)| has_seen(cell, *other, below.sequence));
            let stands = winner(writers).is_some_and(|(winner, _)| winner == actor);
            !holds_down && (!stands || (value.is_none() && writers.len() == 1))
        }
        Content::Member { added, removed } => {
            let holds_down = others().any(|(other, below)| {
                let is_addition = matches!(below.content, Content::Member { added: true, .. });
                is_addition && removed.get(other).is_some_and(|last| *last >= below.sequence)
            });
            let was_removed = replaced_by(writers, actor, cell.sequence).is_some();
            !holds_down && (!added || was_removed)
        }
        Content::Total { .. } | Content::Dropped(_) => false,
    }
}

/// The numbers as intervals over whatever does not live any more.
fn intervals(replica: &Replica, numbers: &BTreeSet<u64>) -> Vec<(u64, u64)> {
    let mut intervals: Vec<(u64, u64)> = Vec::new();
    let mut open = false;
    for (sequence, ..) in replica.range(replica.actor, 1, u64::MAX) {
        let goes = numbers.contains(&sequence);
        match intervals.last_mut().filter(|_| open && goes) {
            Some(interval) => interval.1 = sequence,
            None if goes => intervals.push((sequence, sequence)),
            None => {}
        }
        open = goes;
    }
    intervals
}
