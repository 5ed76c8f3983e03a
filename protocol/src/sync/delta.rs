//! What one replica sends to another: [`Delta`], and how it is cut.

use super::{
    cell::{Cell, CellKey, Content, Kind},
    replica::Replica,
    version::{Actor, Dot, VersionVector},
    wire::{cell_len, object_len},
};
use crate::identity::SIGNATURE_LEN;
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

/// What a peer lacks, by the actors that wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    pub(super) runs: BTreeMap<Actor, Run>,
}

/// One actor's part of a delta: its living cells with sequence numbers in `(base, upto]`.
///
/// A run from 0 is all there is of the actor, and replaces what the receiver has. A run that ends before the actor's head is a part:
/// the receiver keeps it aside until the rest comes, since only the whole is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// What the receiver must cover already, or keep aside.
    pub(super) base: u64,
    pub(super) upto: u64,
    /// The actor's last write.
    pub(super) head: u64,
    /// The actor's signature at its head; in a part, and in what is kept before it is signed, `None`.
    pub(super) signature: Option<[u8; SIGNATURE_LEN]>,
    /// Whether the cells are single ones that the receiver was found to lack, wherever they are.
    pub(super) patch: bool,
    /// By sequence.
    pub(super) cells: Vec<(CellKey, Cell)>,
}

impl Run {
    /// Whether it comes with its last part.
    pub(super) const fn is_complete(&self) -> bool {
        self.upto == self.head
    }

    /// Whether it replaces all that is there.
    pub(super) const fn is_whole(&self) -> bool {
        self.base == 0 && !self.patch
    }
}

/// Upper bounds on what a delta and a run add to the encoding of their cells.
const DELTA_OVERHEAD: usize = 96;
const RUN_OVERHEAD: usize = 56;

impl Delta {
    /// What a receiver has of each actor when this arrived behind all before it: the last dot that it follows on, and its own last
    /// one. Single cells of a repair move nothing.
    pub fn steps(&self) -> impl Iterator<Item = (Actor, u64, u64)> {
        let runs = self.runs.iter().filter(|(_, run)| !run.patch);
        runs.map(|(&actor, run)| (actor, run.base, run.upto))
    }

    /// The actors whose cells it carries.
    pub fn actors(&self) -> impl ExactSizeIterator<Item = Actor> {
        self.runs.keys().copied()
    }

    /// The objects that a node's cells in it belong to.
    pub fn objects_of(&self, node: crate::id::NodeId) -> BTreeSet<&[u8]> {
        let runs = self.runs.iter().filter(|(actor, _)| actor.node == node);
        runs.flat_map(|(_, run)| &run.cells).map(|(key, _)| &*key.name).collect()
    }

    /// One actor's part of it.
    #[must_use]
    pub fn only(&self, actor: Actor) -> Self {
        Self { runs: self.runs.get(&actor).map(|run| (actor, run.clone())).into_iter().collect() }
    }

    /// The values that it carries of maps and registers, with the names of these; `None`: removed.
    pub fn values(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.runs.values().flat_map(|run| &run.cells).filter_map(|(key, cell)| match &cell.content {
            Content::Value { value, .. } => Some((&*key.name, value.as_deref())),
            Content::Member { .. } | Content::Total { .. } | Content::Dropped(_) => None,
        })
    }

    /// Number of cells carried.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.runs.values().map(|run| run.cells.len()).sum()
    }

    /// Number of signatures carried: one for each actor whose part is complete.
    #[must_use]
    pub fn signatures(&self) -> usize {
        self.runs.values().filter(|run| run.signature.is_some()).count()
    }

    /// Takes up another's parts; its actors are none of these.
    pub fn add(&mut self, other: Self) {
        self.runs.extend(other.runs);
    }

    /// Whether nothing is carried.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }
}

impl Replica {
    /// What a replica at `peer` lacks, or `None` when it lacks nothing.
    ///
    /// Its encoding is at most `max_bytes` long, except that one cell is always carried, so that there is progress: give at
    /// least the size of the largest cell. What does not fit comes in the next call, after `peer` has moved.
    /// O(a + d log n) with a actors and d cells carried.
    #[must_use]
    pub fn delta_since(&self, peer: &VersionVector, max_bytes: usize) -> Option<Delta> {
        let mut delta = Delta::default();
        let mut left = max_bytes.saturating_sub(DELTA_OVERHEAD);
        for (actor, head) in self.version.iter() {
            let base = peer.get(actor);
            if base >= head {
                continue;
            }
            let overhead = RUN_OVERHEAD + SIGNATURE_LEN;
            if overhead > left && !delta.runs.is_empty() {
                break;
            }
            left = left.saturating_sub(overhead);
            let (cells, upto) = self.cut(actor, base, head, &mut left, delta.runs.is_empty());
            if upto > base {
                let signature =
                    self.head(actor).filter(|head| upto == head.sequence).map(|head| head.signature);
                delta.runs.insert(actor, Run { base, upto, head, signature, patch: false, cells });
            }
            if upto < head {
                break;
            }
        }
        (!delta.runs.is_empty()).then_some(delta)
    }

    /// The cells after `base` as far as they fit, and how far that is.
    fn cut(
        &self,
        actor: Actor,
        base: u64,
        head: u64,
        left: &mut usize,
        force: bool,
    ) -> (Vec<(CellKey, Cell)>, u64) {
        let mut cells = Vec::new();
        let mut objects: BTreeSet<(Kind, &[u8])> = BTreeSet::new();
        for (sequence, key, _) in self.range(actor, base + 1, head) {
            let Some(cell) = self.cell(key) else { continue };
            let is_new = !objects.contains(&(key.kind, &*key.name));
            let bytes = cell_len(key, cell) + if is_new { object_len(key) } else { 0 };
            if bytes > *left && !(force && cells.is_empty()) {
                return (cells, sequence - 1);
            }
            *left = left.saturating_sub(bytes);
            objects.insert((key.kind, &*key.name));
            cells.push((key.clone(), cell.clone()));
        }
        (cells, head)
    }

    /// Single cells for a peer that was found to lack them. Actors whose cells would take more than `max_bytes` are left out and
    /// told: they get everything, in parts.
    pub(super) fn patch(&self, dots: &BTreeSet<Dot>, max_bytes: usize) -> (Delta, Vec<Actor>) {
        let (mut delta, mut large) = (Delta::default(), Vec::new());
        let mut left = max_bytes.saturating_sub(DELTA_OVERHEAD);
        let actors: BTreeSet<Actor> = dots.iter().map(|dot| dot.actor).collect();
        for actor in actors {
            let wanted = dots.range(Dot { actor, sequence: 0 }..=Dot { actor, sequence: u64::MAX });
            let cells: Vec<(CellKey, Cell)> = wanted
                .filter_map(|dot| self.cell_at(*dot))
                .map(|(key, cell)| (key.clone(), cell.clone()))
                .collect();
            let bytes = cells.iter().map(|(key, cell)| cell_len(key, cell) + object_len(key)).sum::<usize>()
                + RUN_OVERHEAD
                + SIGNATURE_LEN;
            let Some(head) = self.head(actor).filter(|_| bytes <= left) else {
                large.push(actor);
                continue;
            };
            left -= bytes;
            let (sequence, signature) = (head.sequence, Some(head.signature));
            let run = Run { base: 0, upto: sequence, head: sequence, signature, patch: true, cells };
            delta.runs.insert(actor, run);
        }
        (delta, large)
    }
}
