//! [`Witness`]: what a node knows of the others' logs, and how it catches one that shows different logs to different members.
//!
//! It remembers the newest checkpoint of each log, and takes another only with a proof that it grew out of that one. Checkpoints also come from
//! third parties, as the owner signed them for those:
//!
//! - Of the same size with another root: *a proof of a fork*, for anybody who has the owner's key. Both are kept.
//! - Of another size: nobody can tell without the owner. It waits, and the owner is asked to prove that its log passed through it. An owner whose
//!   answer does not hold is caught likewise; one that does not answer is left standing as *unproven*.
//!
//! An owner that cannot answer for what is known here any more (it lost what it remembered of that moment), and proves that it grew out of a
//! checkpoint that waits, is followed from there: the gap stays on record, another log in it is still caught, and nobody vouches for a log
//! with a gap.

use super::{
    checkpoint::{Checkpoint, LogId},
    hash::Hash,
    proof::{ProofError, verify_consistency},
};
use crate::id::NodeId;
use alloc::{
    boxed::Box,
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};

/// Most checkpoints of third parties that wait for a proof, per log; for a further one the oldest goes.
pub const MAX_PENDING: usize = 4;
/// Checkpoints that an owner has proven and that newer ones have followed, per log: others may still show another of their size.
const HISTORY: usize = 16;
/// Most logs that are remembered of one node: who begins more is followed no further.
pub const MAX_LOGS: usize = 4;
/// So many checkpoints without the proof that was asked for, and the log is followed from one that is proven.
const PATIENCE: u8 = 3;

/// A checkpoint whose signature holds, and the bytes that prove it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// As its owner signed it.
    pub bytes: Vec<u8>,
}

/// Two checkpoints of one log that exclude each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fork {
    /// How it was found.
    pub kind: ForkKind,
    /// The one that was known.
    pub first: Proven,
    /// The one that came.
    pub second: Proven,
}

/// How a fork was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForkKind {
    /// Of one size, with two roots: the two checkpoints prove it to anybody.
    TwoRoots,
    /// The owner's proof that one grew out of the other does not hold.
    BadProof(ProofError),
}

impl ForkKind {
    /// A stable word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::TwoRoots => "two_roots",
            Self::BadProof(_) => "inconsistent_log",
        }
    }
}

/// What became of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observed {
    /// The first of its log.
    First,
    /// It grew out of the one known, and takes its place.
    Grown,
    /// It grew out of one that waited, and takes the place of the one known, of which the owner has not proven that it grew out of it.
    Resumed,
    /// It is the one known, or one that the owner showed before and proved.
    Known,
    /// It waits for the owner's proof.
    Pending,
    /// Its owner was caught before: nothing more is taken of this log.
    Distrusted,
    /// No room to remember another log of this node.
    Full,
    /// The owner is caught.
    Forked(Box<Fork>),
}

/// One log, as it is known here.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    newest: Proven,
    history: VecDeque<Proven>,
    pending: VecDeque<Proven>,
    fork: Option<Fork>,
    /// Whether a proof has led to the newest.
    proven: bool,
    /// Whether all that was known has been proven to lead to the newest.
    gap: bool,
    /// Checkpoints in a row without the proof that was asked for.
    unanswered: u8,
}

/// The others' logs. At most `max_logs`, of one node at most [`MAX_LOGS`], each with at most [`MAX_PENDING`] checkpoints that wait.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Witness {
    max_logs: usize,
    logs: BTreeMap<LogId, Seen>,
}

impl Witness {
    /// A witness that has seen nothing.
    #[must_use]
    pub const fn new(max_logs: usize) -> Self {
        Self { max_logs, logs: BTreeMap::new() }
    }

    /// The newest checkpoint known of each log of `node`, the youngest log last.
    pub fn newest(&self, node: NodeId) -> impl Iterator<Item = &Proven> {
        let logs = LogId { node, born: 0 }..=LogId { node, born: u32::MAX };
        self.logs.range(logs).map(|(_, seen)| &seen.newest)
    }

    /// Whether the log is known to have only grown: each of its checkpoints that was taken here led to the next by a proof, and one did at least.
    #[must_use]
    pub fn vouches(&self, log: LogId) -> bool {
        self.logs.get(&log).is_some_and(|seen| seen.proven && !seen.gap && seen.fork.is_none())
    }

    /// Every checkpoint that is remembered, as its owner signed it: the newest and what waits of each log, and both halves of each fork.
    pub fn evidence(&self) -> impl Iterator<Item = &Proven> {
        self.logs.values().flat_map(|seen| {
            let halves = seen.fork.iter().flat_map(|fork| [&fork.first, &fork.second]);
            core::iter::once(&seen.newest).chain(&seen.pending).chain(halves)
        })
    }

    /// Forgets what was seen of a node: a key of it was taken back, and what a thief may have signed says nothing of the owner. The logs that
    /// were known are returned.
    pub fn forget(&mut self, node: NodeId) -> Vec<LogId> {
        let logs = LogId { node, born: 0 }..=LogId { node, born: u32::MAX };
        let known: Vec<LogId> = self.logs.range(logs).map(|(log, _)| *log).collect();
        known.iter().for_each(|log| _ = self.logs.remove(log));
        known
    }

    /// Takes a fork back that was proven before a restart.
    pub fn restore_fork(&mut self, first: Proven, second: Proven) {
        let (from, to) = (first.checkpoint, second.checkpoint);
        let kind =
            if from.size == to.size { ForkKind::TwoRoots } else { ForkKind::BadProof(ProofError::Root) };
        let fork = Fork { kind, first: first.clone(), second };
        if let Some(seen) = self.logs.get_mut(&from.log) {
            seen.fork = Some(fork);
        } else if self.logs.len() < self.max_logs {
            self.logs.insert(from.log, Seen { fork: Some(fork), ..Seen::new(first) });
        }
    }

    /// The newest checkpoint of every log, by node and birth.
    pub fn all(&self) -> impl Iterator<Item = &Proven> {
        self.logs.values().map(|seen| &seen.newest)
    }

    /// The owners that were caught, with the proofs.
    pub fn forks(&self) -> impl Iterator<Item = (LogId, &Fork)> {
        self.logs.iter().filter_map(|(log, seen)| Some((*log, seen.fork.as_ref()?)))
    }

    /// The sizes of a log that its owner is to prove: the newest known, and those that wait.
    #[must_use]
    pub fn to_prove(&self, log: LogId) -> Vec<u64> {
        self.logs.get(&log).map_or_else(Vec::new, |seen| {
            core::iter::once(&seen.newest).chain(&seen.pending).map(|proven| proven.checkpoint.size).collect()
        })
    }

    /// Takes a checkpoint from its owner. `proofs`: for sizes that [`Witness::to_prove`] told, that it grew out of them.
    pub fn observe(&mut self, came: Proven, proofs: &[(u64, Vec<Hash>)]) -> Observed {
        let log = came.checkpoint.log;
        let seen = match self.place(log, &came) {
            Ok(seen) => seen,
            Err(observed) => return observed,
        };
        if let Some(observed) = seen.same_size(&came) {
            return observed;
        }
        // One that waits already is to be proven as if it came for the first time.
        seen.pending.retain(|pending| pending.checkpoint.size != came.checkpoint.size);
        let proof = |size: u64| proofs.iter().find(|(of, _)| *of == size).map(|(_, proof)| proof.as_slice());
        // Those of third parties first: each is proven, caught, or waits on.
        let (mut waiting, mut bridged) = (VecDeque::new(), false);
        for pending in core::mem::take(&mut seen.pending) {
            let (size, bound) = (pending.checkpoint.size, came.checkpoint.size);
            match proof(size).filter(|_| size <= bound) {
                None => waiting.push_back(pending),
                Some(hashes) => {
                    if let Some(fork) = contradiction(&pending, &came, hashes) {
                        seen.fork = Some(fork.clone());
                        return Observed::Forked(Box::new(fork));
                    }
                    bridged |= size > seen.newest.checkpoint.size;
                }
            }
        }
        seen.pending = waiting;
        let newest = seen.newest.checkpoint.size;
        if came.checkpoint.size < newest {
            // An older one, out of order or out of a forked past: it has to be proven like a third party's.
            return seen.wait(came);
        }
        let Some(hashes) = proof(newest) else {
            seen.unanswered = seen.unanswered.saturating_add(1);
            if bridged && seen.unanswered >= PATIENCE {
                seen.gap = true;
                seen.advance(came);
                return Observed::Resumed;
            }
            return seen.wait(came);
        };
        match contradiction(&seen.newest, &came, hashes) {
            Some(fork) => {
                seen.fork = Some(fork.clone());
                Observed::Forked(Box::new(fork))
            }
            None => {
                seen.advance(came);
                Observed::Grown
            }
        }
    }

    /// Takes a checkpoint from a third party.
    pub fn hear(&mut self, came: Proven) -> Observed {
        let log = came.checkpoint.log;
        let seen = match self.place(log, &came) {
            Ok(seen) => seen,
            Err(observed) => return observed,
        };
        let waits = |pending: &Proven| pending.checkpoint.agrees(&came.checkpoint);
        if seen.pending.iter().any(waits) {
            return Observed::Pending;
        }
        seen.same_size(&came).unwrap_or_else(|| seen.wait(came))
    }

    /// Where a log is remembered; or, when that settles it, what became of its checkpoint.
    fn place(&mut self, log: LogId, came: &Proven) -> Result<&mut Seen, Observed> {
        if !self.logs.contains_key(&log) {
            let known = self.newest(log.node).count();
            if known >= MAX_LOGS || self.logs.len() >= self.max_logs {
                return Err(Observed::Full);
            }
            self.logs.insert(log, Seen::new(came.clone()));
            return Err(Observed::First);
        }
        let seen = self.logs.get_mut(&log).expect("looked up above");
        if seen.fork.is_some() { Err(Observed::Distrusted) } else { Ok(seen) }
    }
}

impl Seen {
    const fn new(newest: Proven) -> Self {
        let history = VecDeque::new();
        let pending = VecDeque::new();
        Self { newest, history, pending, fork: None, proven: false, gap: false, unanswered: 0 }
    }

    /// What becomes of a checkpoint of a size that is known. One that agrees with what only waits is not settled by that.
    fn same_size(&mut self, came: &Proven) -> Option<Observed> {
        let size = came.checkpoint.size;
        let same = |known: &&Proven| known.checkpoint.size == size;
        let shown = || core::iter::once(&self.newest).chain(&self.history).filter(same);
        let other = |known: &&Proven| !known.checkpoint.agrees(&came.checkpoint);
        if let Some(other) = shown().chain(self.pending.iter().filter(same)).find(other) {
            let fork = Fork { kind: ForkKind::TwoRoots, first: other.clone(), second: came.clone() };
            self.fork = Some(fork.clone());
            return Some(Observed::Forked(Box::new(fork)));
        }
        shown().next().is_some().then_some(Observed::Known)
    }

    /// A newer checkpoint takes the place of the newest.
    fn advance(&mut self, came: Proven) {
        if self.history.len() >= HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(core::mem::replace(&mut self.newest, came));
        (self.proven, self.unanswered) = (true, 0);
    }

    fn wait(&mut self, came: Proven) -> Observed {
        if self.pending.len() >= MAX_PENDING {
            self.pending.pop_front();
        }
        self.pending.push_back(came);
        Observed::Pending
    }
}

/// The fork, if the owner's proof that `newer` grew out of `older` does not hold.
fn contradiction(older: &Proven, newer: &Proven, hashes: &[Hash]) -> Option<Fork> {
    let (from, to) = (&older.checkpoint, &newer.checkpoint);
    let error = verify_consistency((from.size, &from.root), (to.size, &to.root), hashes).err()?;
    Some(Fork { kind: ForkKind::BadProof(error), first: older.clone(), second: newer.clone() })
}
