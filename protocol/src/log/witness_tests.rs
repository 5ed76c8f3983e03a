//! Logs that grow, and logs that fork.

use super::{
    ForkKind, Hash, Journal, LogId, MAX_LOGS, MAX_PENDING, Observed, Proven, Tree, Witness, leaf_hash,
};
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
    assert!(witness.to_prove(LOG).len() <= 1 + MAX_PENDING);
    let other = Journal::new(LogId { node: NodeId(8), born: 1 }).checkpoint(DtnTime(0));
    assert_eq!(witness.hear(Proven { checkpoint: other, bytes: Vec::new() }), Observed::Full);
}

#[test]
fn a_checkpoint_that_is_shown_twice_is_no_better_proven() {
    let (mut log, mut again, mut witness) = (Log::new(u64::MAX), Log::new(2), Witness::new(4));
    witness.observe(log.at(3), &[]);
    assert!(!witness.vouches(LOG), "nothing was proven yet");
    let forked = again.at(8);
    assert_eq!(witness.observe(forked.clone(), &[]), Observed::Pending);
    assert_eq!(witness.observe(forked.clone(), &[]), Observed::Pending, "shown again, and still unproven");
    assert_eq!(witness.hear(forked.clone()), Observed::Pending);
    assert_eq!(witness.to_prove(LOG), [3, 8], "it waits once");
    assert!(!witness.vouches(LOG));
    // A proof that comes with it counts.
    assert!(matches!(witness.observe(forked, &[again.proof(3, 8)]), Observed::Forked(_)));
    let mut witness = Witness::new(4);
    witness.observe(log.at(3), &[]);
    let honest = log.at(8);
    assert_eq!(witness.observe(honest.clone(), &[]), Observed::Pending);
    assert_eq!(witness.observe(honest.clone(), &[log.proof(3, 8)]), Observed::Grown);
    assert_eq!(witness.observe(honest, &[]), Observed::Known);
    assert!(witness.vouches(LOG));
}

#[test]
fn a_log_whose_owner_forgot_a_moment_is_followed_again_with_the_gap_on_record() {
    let (mut log, mut other, mut witness) = (Log::new(u64::MAX), Log::new(2), Witness::new(4));
    witness.observe(log.at(3), &[]);
    let came = log.at(5);
    assert_eq!(witness.observe(came, &[log.proof(3, 5)]), Observed::Grown);
    assert_eq!(witness.observe(log.at(8), &[]), Observed::Pending);
    let came = log.at(9);
    assert_eq!(witness.observe(came, &[]), Observed::Pending);
    // It cannot prove anything about five entries any more, but it can about nine.
    let came = log.at(12);
    assert_eq!(witness.observe(came, &[log.proof(9, 12)]), Observed::Resumed);
    assert_eq!(witness.to_prove(LOG).first(), Some(&12));
    assert!(!witness.vouches(LOG), "nobody signs for a log with a gap");
    let Observed::Forked(fork) = witness.hear(other.at(5)) else { panic!("caught before the gap, too") };
    assert_eq!(fork.kind, ForkKind::TwoRoots);
}

#[test]
fn one_node_with_many_logs_takes_no_room_of_others() {
    let mut witness = Witness::new(8);
    let begin = |node: u64, born: u32| {
        let checkpoint = Journal::new(LogId { node: NodeId(node), born }).checkpoint(DtnTime(0));
        Proven { checkpoint, bytes: Vec::new() }
    };
    let taken = (0..100).filter(|born| witness.hear(begin(7, *born)) == Observed::First).count();
    assert_eq!(taken, MAX_LOGS);
    assert_eq!(witness.hear(begin(8, 1)), Observed::First, "others are still followed");
    assert_eq!(witness.forget(NodeId(7)).len(), MAX_LOGS);
    assert_eq!(witness.hear(begin(7, 500)), Observed::First, "after its key was taken back");
}

#[test]
fn a_fork_that_was_proven_before_a_restart_stays_proven() {
    let (mut log, mut other, mut witness) = (Log::new(u64::MAX), Log::new(2), Witness::new(4));
    witness.observe(log.at(5), &[]);
    let Observed::Forked(fork) = witness.hear(other.at(5)) else { panic!("caught") };
    let mut back = Witness::new(4);
    back.hear(log.at(5));
    back.restore_fork(fork.first.clone(), fork.second.clone());
    assert_eq!(back.forks().next(), Some((LOG, &*fork)));
    assert_eq!(back.hear(log.at(9)), Observed::Distrusted);
    assert_eq!(back.evidence().count(), 3, "the newest, and both halves");
}
