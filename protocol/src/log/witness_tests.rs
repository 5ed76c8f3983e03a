//! Logs that grow, and logs that fork.

use super::{ForkKind, Hash, Journal, LogId, MAX_PENDING, Observed, Proven, Tree, Witness, leaf_hash};
use crate::{id::NodeId, identity::KeyPair, time::DtnTime};
use alloc::vec::Vec;

const LOG: LogId = LogId { node: NodeId(7), born: 1 };

/// A log of `size` entries that says something else from entry `fork` on.
struct Log {
    journal: Journal,
    tree: Tree,
    fork: u64,
}

impl Log {
    fn new(fork: u64) -> Self {
        Self { journal: Journal::new(LOG), tree: Tree::new(), fork }
    }

    fn at(&mut self, size: u64) -> Proven {
        while self.journal.size() < size {
            let number = self.journal.size();
            let entry = [number.to_be_bytes(), [u8::from(number >= self.fork); 8]].concat();
            self.journal.append(&entry);
            self.tree.push(leaf_hash(&entry));
        }
        let checkpoint = self.journal.checkpoint(DtnTime(size));
        Proven { checkpoint, bytes: checkpoint.sign(&KeyPair::from_seed([7; 32])) }
    }

    fn proof(&self, from: u64, to: u64) -> (u64, Vec<Hash>) {
        (from, self.tree.consistency(from, to).unwrap())
    }
}

#[test]
fn a_log_that_grows_is_followed() {
    let (mut log, mut witness) = (Log::new(u64::MAX), Witness::new(4));
    assert_eq!(witness.observe(log.at(3), &[]), Observed::First);
    assert_eq!(witness.observe(log.at(3), &[]), Observed::Known);
    let came = log.at(9);
    assert_eq!(witness.observe(came, &[log.proof(3, 9)]), Observed::Grown);
    assert_eq!(witness.newest(NodeId(7)).map(|proven| proven.checkpoint.size).collect::<Vec<_>>(), [9]);
    assert_eq!(witness.to_prove(LOG), [9]);
}

#[test]
fn two_roots_of_one_size_prove_a_fork_and_nothing_more_is_taken() {
    let (mut log, mut other, mut witness) = (Log::new(u64::MAX), Log::new(2), Witness::new(4));
    witness.observe(log.at(5), &[]);
    let Observed::Forked(fork) = witness.hear(other.at(5)) else { panic!("caught") };
    assert_eq!(fork.kind, ForkKind::TwoRoots);
    assert_eq!((fork.first.checkpoint.size, fork.second.checkpoint.size), (5, 5));
    assert_ne!(fork.first.checkpoint.root, fork.second.checkpoint.root);
    assert_eq!(witness.forks().next(), Some((LOG, &*fork)));
    let came = log.at(6);
    assert_eq!(witness.observe(came, &[log.proof(5, 6)]), Observed::Distrusted);
}

#[test]
fn a_third_partys_checkpoint_waits_until_the_owner_proves_it_or_is_caught() {
    let caught = |fork: u64| {
        let (mut log, mut other, mut witness) = (Log::new(u64::MAX), Log::new(fork), Witness::new(4));
        witness.observe(log.at(3), &[]);
        assert_eq!(witness.hear(other.at(5)), Observed::Pending);
        assert_eq!(witness.to_prove(LOG), [3, 5]);
        let came = log.at(8);
        let proofs = [log.proof(3, 8), log.proof(5, 8)];
        let observed = witness.observe(came, &proofs);
        (observed, witness.to_prove(LOG))
    };
    assert_eq!(caught(u64::MAX), (Observed::Grown, [8].to_vec()));
    let (Observed::Forked(fork), _) = caught(4) else { panic!("caught") };
    assert_eq!(fork.kind.word(), "inconsistent_log");
}

#[test]
fn an_owner_that_does_not_answer_is_neither_followed_nor_accused() {
    let (mut log, mut witness) = (Log::new(u64::MAX), Witness::new(4));
    witness.observe(log.at(3), &[]);
    assert_eq!(witness.observe(log.at(8), &[]), Observed::Pending, "no proof");
    assert_eq!(witness.newest(NodeId(7)).next().map(|proven| proven.checkpoint.size), Some(3));
    let came = log.at(9);
    let proofs = [log.proof(3, 9), log.proof(8, 9)];
    assert_eq!(witness.observe(came, &proofs), Observed::Grown);
    assert_eq!(witness.to_prove(LOG), [9]);
}

#[test]
fn another_root_of_a_size_that_was_passed_is_caught() {
    let (mut log, mut other, mut witness) = (Log::new(u64::MAX), Log::new(2), Witness::new(4));
    witness.observe(log.at(3), &[]);
    for size in 4..9 {
        let came = log.at(size);
        assert_eq!(witness.observe(came, &[log.proof(size - 1, size)]), Observed::Grown);
    }
    let Observed::Forked(fork) = witness.hear(other.at(5)) else { panic!("caught") };
    assert_eq!((fork.kind, fork.first.checkpoint.size), (ForkKind::TwoRoots, 5));
}

#[test]
fn a_log_that_was_cut_and_written_again_is_caught() {
    let (mut log, mut again, mut witness) = (Log::new(u64::MAX), Log::new(4), Witness::new(4));
    witness.observe(log.at(8), &[]);
    let came = again.at(10);
    let Observed::Forked(fork) = witness.observe(came, &[again.proof(8, 10)]) else { panic!("caught") };
    assert!(matches!(fork.kind, ForkKind::BadProof(_)));
}

#[test]
fn what_is_remembered_is_bounded() {
    let (mut log, mut witness) = (Log::new(u64::MAX), Witness::new(1));
    witness.observe(log.at(1), &[]);
    for size in 2..2 + MAX_PENDING as u64 {
        assert_eq!(witness.hear(log.at(size)), Observed::Pending);
    }
    assert_eq!(witness.hear(log.at(20)), Observed::Pending);
    assert_eq!(witness.to_prove(LOG), [1, 3, 4, 5, 20], "the oldest that waited has gone");
    let other = Journal::new(LogId { node: NodeId(8), born: 1 }).checkpoint(DtnTime(0));
    assert_eq!(witness.hear(Proven { checkpoint: other, bytes: Vec::new() }), Observed::Full);
}
