//! Names of writes, and sets of them: [`Dot`] and [`VersionVector`].

use crate::id::NodeId;
use alloc::collections::BTreeMap;

/// Who writes.
pub type Actor = NodeId;

/// Names a write: the actor's `sequence`-th, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dot {
    /// Who wrote.
    pub actor: Actor,
    /// The how-manieth write of this actor it is, from 1.
    pub sequence: u64,
}

/// The dots that a replica covers: per actor, all up to some number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionVector(BTreeMap<Actor, u64>);

impl VersionVector {
    /// Covers nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// The last dot of `actor` that is covered; 0 when none is.
    #[must_use]
    pub fn get(&self, actor: Actor) -> u64 {
        self.0.get(&actor).copied().unwrap_or(0)
    }

    /// Whether `dot` is covered.
    #[must_use]
    pub fn contains(&self, dot: Dot) -> bool {
        dot.sequence <= self.get(dot.actor)
    }

    /// Whether everything that `other` covers is covered.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|(&actor, &last)| self.get(actor) >= last)
    }

    /// Covers the dots of `actor` up to `last`, too.
    pub fn cover(&mut self, actor: Actor, last: u64) {
        if last > 0 {
            let covered = self.0.entry(actor).or_default();
            *covered = last.max(*covered);
        }
    }

    /// Covers nothing of `actor`.
    pub fn forget(&mut self, actor: Actor) {
        self.0.remove(&actor);
    }

    /// Covers what both cover.
    pub fn meet(&mut self, other: &Self) {
        self.0.retain(|&actor, last| {
            *last = other.get(actor).min(*last);
            *last > 0
        });
    }

    /// The actors with something covered and their last dots, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Actor, u64)> {
        self.0.iter().map(|(&actor, &last)| (actor, last))
    }

    /// Whether nothing is covered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
