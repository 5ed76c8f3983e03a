//! Names of writes, and sets of them: [`Dot`] and [`VersionVector`].

use crate::id::NodeId;
use alloc::collections::BTreeMap;
use core::fmt;

/// Who writes: a member, in one of its lives.
///
/// A member that lost its storage does not know how much it had written, so it never writes on under its old name, where it would give a
/// dot to two writes: it begins a life with a greater number. What it wrote in earlier lives stays, under their names and signatures,
/// and comes back to it from the other members as anybody's writes do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Actor {
    /// The member, whose key signs.
    pub node: NodeId,
    /// 0 until it loses its storage.
    pub life: u32,
}

impl From<NodeId> for Actor {
    fn from(node: NodeId) -> Self {
        Self { node, life: 0 }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.life {
            0 => write!(f, "{}", self.node),
            life => write!(f, "{}~{life}", self.node),
        }
    }
}

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

    /// The lives of a member of which something is covered, in order.
    pub fn lives(&self, node: NodeId) -> impl Iterator<Item = (Actor, u64)> {
        let lives = Actor { node, life: 0 }..=Actor { node, life: u32::MAX };
        self.0.range(lives).map(|(&actor, &last)| (actor, last))
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
