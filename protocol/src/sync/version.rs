//! Names of writes, and sets of them: [`Dot`] and [`VersionVector`].

use super::spans::Spans;
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

/// The dots that a replica covers, per actor: usually all up to some number, and sometimes later ones too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionVector(BTreeMap<Actor, Spans>);

impl VersionVector {
    /// Covers nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// The last dot of `actor` such that it and all before it are covered; 0 when the first is not.
    #[must_use]
    pub fn get(&self, actor: Actor) -> u64 {
        self.0.get(&actor).map_or(0, Spans::prefix)
    }

    /// All that is covered of `actor`.
    #[must_use]
    pub fn spans(&self, actor: Actor) -> &Spans {
        const NONE: &Spans = &Spans::new();
        self.0.get(&actor).unwrap_or(NONE)
    }

    /// Whether `dot` is covered.
    #[must_use]
    pub fn contains(&self, dot: Dot) -> bool {
        self.spans(dot.actor).contains(dot.sequence)
    }

    /// Whether everything that `other` covers is covered.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|(&actor, spans)| self.spans(actor).covers(spans))
    }

    /// Covers all that `other` does, too.
    pub fn join(&mut self, other: &Self) {
        for (&actor, spans) in &other.0 {
            self.cover(actor, spans);
        }
    }

    /// Covers these dots of `actor`, too.
    pub fn cover(&mut self, actor: Actor, spans: &Spans) {
        if !spans.is_empty() {
            self.0.entry(actor).or_default().join(spans);
        }
    }

    /// The actors with something covered, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Actor, &Spans)> {
        self.0.iter().map(|(&actor, spans)| (actor, spans))
    }

    /// Whether nothing is covered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
