//! What one replica sends to another: [`Delta`], how it is cut, and how it joins.

use super::{
    cell::{Cell, CellKey, Kind, check_cell},
    limits::{SyncError, SyncLimits},
    replica::Replica,
    spans::Spans,
    version::{Actor, Dot, VersionVector},
    wire::{cell_len, object_len},
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

/// Cells that a peer lacks, and which dots it covers when it has joined them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    pub(super) runs: BTreeMap<Actor, Run>,
}

/// One actor's part of a delta.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// The dots that the receiver covers afterwards. Never empty.
    pub(super) covers: Spans,
    /// The dots above the lowest of `covers` that the receiver must cover already: a write among `covers` may be missing
    /// from `cells` because one of these replaced it.
    pub(super) assumes: Spans,
    /// In the order of their keys.
    pub(super) cells: Vec<(CellKey, Cell)>,
}

/// What applying a delta did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The writes that are new here, in order. Writes that were replaced before they came are covered without being listed.
    pub new_dots: Vec<Dot>,
    /// The parts that were kept out, because an earlier delta is missing. Answer with our version to get them again.
    pub gaps: Vec<Gap>,
    /// The actors other than the sender whose dots came.
    pub relayed: Vec<Actor>,
}

/// A part of a delta that was kept out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Whose dots.
    pub actor: Actor,
    /// What would have to be covered first.
    pub missing: Spans,
}

/// Upper bounds on what a delta and a run add to the encoding of their cells.
const DELTA_OVERHEAD: usize = 8;
const RUN_OVERHEAD: usize = 40;
const INTERVAL_BYTES: usize = 18;

impl Delta {
    /// The dots that a receiver covers when it has joined this.
    #[must_use]
    pub fn covers(&self) -> VersionVector {
        let mut version = VersionVector::new();
        self.runs.iter().for_each(|(&actor, run)| version.cover(actor, &run.covers));
        version
    }

    /// Number of cells carried.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.runs.values().map(|run| run.cells.len()).sum()
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
        for (actor, held) in self.version.iter() {
            let known = peer.spans(actor);
            let lacking = held.without(known);
            if lacking.is_empty() {
                continue;
            }
            let intervals = lacking.intervals().len() + held.intervals().len() + known.intervals().len() + 1;
            let overhead = RUN_OVERHEAD + intervals * INTERVAL_BYTES;
            if overhead > left && !delta.runs.is_empty() {
                break;
            }
            left = left.saturating_sub(overhead);
            let first_run = delta.runs.is_empty();
            let (cells, cut) = self.cut(actor, &lacking, &mut left, first_run);
            let covers = cut.map_or(lacking.clone(), |at| lacking.since(at + 1));
            if let Some(&(lowest, _)) = covers.intervals().first() {
                let assumes = held.common(known).since(lowest);
                delta.runs.insert(actor, Run { covers, assumes, cells });
            }
            if cut.is_some() {
                break;
            }
        }
        (!delta.runs.is_empty()).then_some(delta)
    }

    /// The cells of `lacking`, the newest first, as far as they fit; and the first one that does not.
    ///
    /// Newest first, because then what replaced a missing write is always carried before or with the dot it replaced.
    fn cut(
        &self,
        actor: Actor,
        lacking: &Spans,
        left: &mut usize,
        force: bool,
    ) -> (Vec<(CellKey, Cell)>, Option<u64>) {
        let mut cells = Vec::new();
        let mut cut = None;
        let mut objects: BTreeSet<(Kind, &[u8])> = BTreeSet::new();
        let intervals = lacking.intervals().iter().rev();
        for (key, cell) in intervals.flat_map(|&(first, last)| self.newest_first(actor, first, last)) {
            let is_new = !objects.contains(&(key.kind, &*key.name));
            let bytes = cell_len(key, cell, lacking.last()) + if is_new { object_len(key) } else { 0 };
            if bytes > *left && !(force && cells.is_empty()) {
                cut = Some(cell.sequence);
                break;
            }
            *left = left.saturating_sub(bytes);
            objects.insert((key.kind, &*key.name));
            cells.push((key.clone(), cell.clone()));
        }
        cells.sort_unstable_by(|left, right| left.0.cmp(&right.0));
        (cells, cut)
    }

    /// Joins a delta, whoever sent it. See [`Replica::apply_from`].
    ///
    /// # Errors
    /// As there.
    pub fn apply(&mut self, delta: &Delta) -> Result<Applied, SyncError> {
        self.check_delta(delta)?;
        let (accepted, gaps) = self.sort_runs(delta);
        let news = |actor: Actor, cell: &Cell| !self.version.contains(Dot { actor, sequence: cell.sequence });
        let new: Vec<&(CellKey, Cell)> = accepted
            .iter()
            .flat_map(|&(actor, run)| run.cells.iter().filter(move |(_, cell)| news(actor, cell)))
            .collect();
        self.check_room(new.iter().map(|(key, cell)| (key, cell)))?;
        let mut applied = Applied { gaps, ..Applied::default() };
        applied.new_dots =
            new.iter().map(|(key, cell)| Dot { actor: key.actor, sequence: cell.sequence }).collect();
        applied.new_dots.sort_unstable();
        for (key, cell) in new {
            self.join_cell(key, cell);
        }
        for (actor, run) in accepted {
            self.version.cover(actor, &run.covers);
        }
        Ok(applied)
    }

    /// Joins a delta that `sender` sent. Joining one again changes nothing, and the order of deltas does not matter.
    ///
    /// # Errors
    /// [`SyncError`] when any part breaks a limit or contradicts itself: nothing of it is then joined.
    pub fn apply_from(&mut self, sender: Actor, delta: &Delta) -> Result<Applied, SyncError> {
        let mut applied = self.apply(delta)?;
        applied.relayed = delta.runs.keys().copied().filter(|&actor| actor != sender).collect();
        Ok(applied)
    }

    /// The runs that may join, and the gaps of those that may not.
    fn sort_runs<'d>(&self, delta: &'d Delta) -> (Vec<(Actor, &'d Run)>, Vec<Gap>) {
        let (mut accepted, mut gaps) = (Vec::new(), Vec::new());
        for (&actor, run) in &delta.runs {
            let missing = run.assumes.without(self.version.spans(actor));
            if missing.is_empty() {
                accepted.push((actor, run));
            } else {
                gaps.push(Gap { actor, missing });
            }
        }
        (accepted, gaps)
    }

    fn check_delta(&self, delta: &Delta) -> Result<(), SyncError> {
        let strangers = delta.runs.keys().filter(|&&actor| self.version.spans(actor).is_empty()).count();
        check_count("actors", self.version.iter().len() + strangers, self.limits.actors)?;
        for (&actor, run) in &delta.runs {
            self.check_run(actor, run)?;
        }
        Ok(())
    }

    fn check_run(&self, actor: Actor, run: &Run) -> Result<(), SyncError> {
        let SyncLimits { sequence, jump, spans, .. } = self.limits;
        let known = self.version.spans(actor);
        let found = run.covers.last();
        let max = sequence.min(known.last().saturating_add(jump));
        if found == 0 || found > max {
            return Err(SyncError::Sequence { actor, found, max });
        }
        if actor == self.actor && !self.recovering && found > known.last() {
            return Err(SyncError::OwnDots { found, made: known.last() });
        }
        check_count("spans", run.assumes.intervals().len(), spans)?;
        let mut joined = known.clone();
        joined.join(&run.covers);
        check_count("spans", joined.intervals().len(), spans)?;
        for (key, cell) in &run.cells {
            if !run.covers.contains(cell.sequence) || key.actor != actor {
                return Err(SyncError::Inconsistent { actor, sequence: cell.sequence });
            }
            check_cell(key, cell, &self.limits)?;
        }
        let mut sequences: Vec<u64> = run.cells.iter().map(|(_, cell)| cell.sequence).collect();
        sequences.sort_unstable();
        match sequences.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(SyncError::Inconsistent { actor, sequence: pair[0] }),
            None => Ok(()),
        }
    }
}

const fn check_count(what: &'static str, found: usize, max: usize) -> Result<(), SyncError> {
    if found > max { Err(SyncError::TooMany { what, found, max }) } else { Ok(()) }
}
