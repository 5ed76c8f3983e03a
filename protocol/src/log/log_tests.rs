//! The tree against published vectors, and its other forms against the tree.

use super::{
    Brief, Checkpoint, EMPTY_ROOT, Entry, Event, Hash, Journal, LogId, MAX_ENTRY_LEN, MessageName,
    ProofError, SignedCheckpoint, Span, Tree, leaf_hash, verify_consistency, verify_inclusion,
};
use crate::{cbor::Reader, envelope::Purpose, id::NodeId, identity::KeyPair, time::DtnTime};
use alloc::{collections::BTreeSet, vec, vec::Vec};
use proptest::prelude::*;

/// The reference leaves, roots and proofs of Certificate Transparency, as in `proof/verify_test.go` of
/// <https://github.com/transparency-dev/merkle> (Apache-2.0), commit 02194e9. They count leaves from 1.
const LEAVES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];

const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

const A: &str = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7";
const B: &str = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e";
const C: &str = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4";
const D: &str = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b";
const E: &str = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0";
const F: &str = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7";
const G: &str = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125";
const H: &str = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
const I: &str = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a";
const J: &str = "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f";

const INCLUSION: [(u64, u64, &[&str]); 5] =
    [(1, 1, &[]), (1, 8, &[A, B, C]), (6, 8, &[D, E, F]), (3, 3, &[G]), (2, 5, &[H, B, D])];

const CONSISTENCY: [(u64, u64, &[&str]); 5] =
    [(1, 1, &[]), (1, 8, &[A, B, C]), (6, 8, &[I, E, F]), (2, 5, &[B, D]), (6, 7, &[I, J, F])];

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn hash(text: &str) -> Hash {
    unhex(text).try_into().unwrap()
}

fn hashes(texts: &[&str]) -> Vec<Hash> {
    texts.iter().map(|text| hash(text)).collect()
}

fn root(size: u64) -> Hash {
    size.checked_sub(1).map_or(EMPTY_ROOT, |last| hash(ROOTS[last as usize]))
}

fn reference() -> Tree {
    LEAVES.iter().map(|leaf| leaf_hash(&unhex(leaf))).collect()
}

fn tree(size: u64) -> Tree {
    (0..size).map(|number| leaf_hash(&number.to_be_bytes())).collect()
}

#[test]
fn the_reference_roots_are_met() {
    let tree = reference();
    let mut frontier = Span::empty(0);
    assert_eq!(frontier.root(), Some(EMPTY_ROOT));
    for size in 0..=8 {
        assert_eq!(tree.root(size), Some(root(size)));
        assert_eq!(frontier.root(), Some(root(size)));
        if let Some(leaf) = tree.leaf(size) {
            frontier.push(*leaf);
        }
    }
    assert_eq!(tree.root(9), None);
}

#[test]
fn the_reference_inclusion_proofs_are_made_and_hold() {
    let tree = reference();
    for (leaf, size, proof) in INCLUSION {
        let proof = hashes(proof);
        assert_eq!(tree.inclusion(leaf - 1, size), Some(proof.clone()));
        assert_eq!(
            verify_inclusion(*tree.leaf(leaf - 1).unwrap(), leaf - 1, size, &proof, &root(size)),
            Ok(())
        );
    }
}

#[test]
fn the_reference_consistency_proofs_are_made_and_hold() {
    let tree = reference();
    for (from, to, proof) in CONSISTENCY {
        let proof = hashes(proof);
        assert_eq!(tree.consistency(from, to), Some(proof.clone()));
        assert_eq!(verify_consistency((from, &root(from)), (to, &root(to)), &proof), Ok(()));
    }
}

/// The ways in which the reference tests corrupt an inclusion proof.
#[test]
fn a_corrupted_inclusion_proof_does_not_hold() {
    let tree = reference();
    for (leaf, size, proof) in INCLUSION.into_iter().skip(1) {
        let (leaf, proof) = (leaf - 1, hashes(proof));
        let node = *tree.leaf(leaf).unwrap();
        let holds = |leaf: u64, size: u64, node: Hash, proof: &[Hash], root: &Hash| {
            verify_inclusion(node, leaf, size, proof, root).is_ok()
        };
        let root = root(size);
        assert!(!holds(leaf.wrapping_sub(1), size, node, &proof, &root));
        assert!(!holds(leaf + 1, size, node, &proof, &root));
        assert!(!holds(leaf ^ 2, size, node, &proof, &root));
        assert!(!holds(leaf, size * 2, node, &proof, &root));
        assert!(!holds(leaf, size / 2, node, &proof, &root));
        assert!(!holds(leaf, size, [7; 32], &proof, &root));
        assert!(!holds(leaf, size, node, &proof, &EMPTY_ROOT));
        assert!(!holds(leaf, size, node, &[&proof[..], &[root]].concat(), &root));
        assert!(!holds(leaf, size, node, &[&[root][..], &proof].concat(), &root));
        assert!(!holds(leaf, size, node, &proof[..proof.len() - 1], &root));
        for place in 0..proof.len() {
            let mut wrong = proof.clone();
            wrong[place][0] ^= 8;
            assert!(!holds(leaf, size, node, &wrong, &root));
        }
    }
    assert_eq!(
        verify_inclusion([0; 32], 0, 0, &[], &EMPTY_ROOT),
        Err(ProofError::Beyond { index: 0, size: 0 })
    );
}

/// The ways in which the reference tests corrupt a consistency proof.
#[test]
fn a_corrupted_consistency_proof_does_not_hold() {
    for (from, to, proof) in CONSISTENCY.into_iter().skip(1) {
        let proof = hashes(proof);
        let (before, after) = (root(from), root(to));
        let holds = |from: u64, to: u64, before: &Hash, after: &Hash, proof: &[Hash]| {
            verify_consistency((from, before), (to, after), proof).is_ok()
        };
        assert!(!holds(from - 1, to, &before, &after, &proof));
        assert!(!holds(from + 1, to, &before, &after, &proof));
        assert!(!holds(from ^ 2, to, &before, &after, &proof));
        assert!(!holds(from, to * 2, &before, &after, &proof));
        assert!(!holds(from, to / 2, &before, &after, &proof));
        assert!(!holds(from, to, &[7; 32], &after, &proof));
        assert!(!holds(from, to, &before, &[7; 32], &proof));
        assert!(!holds(from, to, &after, &before, &proof));
        assert!(!holds(from, to, &before, &after, &[]));
        for garbage in [before, after, proof[0]] {
            assert!(!holds(from, to, &before, &after, &[&[garbage][..], &proof].concat()));
            assert!(!holds(from, to, &before, &after, &[&proof[..], &[garbage]].concat()));
        }
        assert!(!holds(from, to, &before, &after, &proof[..proof.len() - 1]));
        for place in 0..proof.len() {
            let mut wrong = proof.clone();
            wrong[place][0] ^= 16;
            assert!(!holds(from, to, &before, &after, &wrong));
        }
    }
    let (empty, one) = (&EMPTY_ROOT, &root(1));
    assert_eq!(verify_consistency((0, empty), (1, one), &[]), Ok(()));
    assert_eq!(verify_consistency((1, one), (0, empty), &[]), Err(ProofError::Shrunk { from: 1, to: 0 }));
    assert!(verify_consistency((0, one), (1, one), &[]).is_err(), "no log of nothing has another root");
    assert!(verify_consistency((1, one), (1, one), &[*one]).is_err());
}

#[test]
fn every_proof_of_every_small_log_holds() {
    let tree = tree(70);
    for size in 0..=70 {
        let root = tree.root(size).unwrap();
        for index in 0..size {
            let proof = tree.inclusion(index, size).unwrap();
            assert_eq!(verify_inclusion(*tree.leaf(index).unwrap(), index, size, &proof, &root), Ok(()));
        }
        for from in 0..=size {
            let proof = tree.consistency(from, size).unwrap();
            assert_eq!(verify_consistency((from, &tree.root(from).unwrap()), (size, &root), &proof), Ok(()));
        }
    }
}

fn journal() -> Journal {
    Journal::new(LogId { node: NodeId(7), born: 1 })
}

#[test]
fn a_journal_proves_its_growth_as_the_tree_does_from_every_moment_that_it_remembers() {
    let (tree, mut journal) = (tree(200), journal());
    let mut marks = Vec::new();
    for number in 0..200_u64 {
        if [1, 2, 3, 7, 8, 40, 64, 65, 128, 199].contains(&number) {
            marks.push(journal.checkpoint(DtnTime(0)));
        }
        journal.append(&number.to_be_bytes());
        assert_eq!(journal.root(), tree.root(number + 1).unwrap());
        for mark in &marks {
            assert_eq!(journal.consistency(mark.size), tree.consistency(mark.size, number + 1));
        }
    }
    assert_eq!(journal.consistency(50), None, "nobody was told of that moment");
    journal.keep_only(&BTreeSet::from([40, 128]));
    for (size, kept) in [(3, false), (40, true), (64, false), (128, true), (199, true)] {
        assert_eq!(journal.consistency(size).is_some(), kept, "{size}");
    }
    assert_eq!(journal.consistency(40), tree.consistency(40, 200));
    let restored = Journal::restore(NodeId(7), &journal.snapshot()).unwrap();
    assert_eq!(restored, journal);
    assert!(Journal::restore(NodeId(7), &journal.snapshot()[..90]).is_err());
}

#[test]
fn a_journals_memory_does_not_grow_with_the_log() {
    let mut journal = journal();
    for number in 0..20_000_u64 {
        journal.append(&number.to_be_bytes());
        if number.is_multiple_of(10) {
            journal.checkpoint(DtnTime(0));
            journal.keep_only(&BTreeSet::from([11, 5001]));
        }
    }
    assert!(journal.snapshot().len() < 3000, "{} bytes", journal.snapshot().len());
    for number in 0..1000_u64 {
        journal.append(&number.to_be_bytes());
        journal.checkpoint(DtnTime(0));
    }
    let all: BTreeSet<u64> = (0..30_000).collect();
    journal.keep_only(&all);
    assert!(Journal::restore(NodeId(7), &journal.snapshot()).is_ok_and(|restored| restored == journal));
}

#[test]
fn checkpoints_and_cosignatures_do_not_stand_in_for_each_other() {
    let (owner, witness) = (KeyPair::from_seed([7; 32]), KeyPair::from_seed([8; 32]));
    let checkpoint = journal().checkpoint(DtnTime(5));
    let signed = checkpoint.sign(&owner);
    let read = SignedCheckpoint::parse(&signed).unwrap();
    assert_eq!(read.verify(owner.public()), Ok(checkpoint));
    assert_eq!(
        read.verify(witness.public()).map_err(|error| error.reason()),
        Err("bad_checkpoint_signature")
    );
    let cosigned = checkpoint.cosign(NodeId(8), &witness);
    let read = SignedCheckpoint::parse_cosignature(&cosigned).unwrap();
    assert_eq!((read.signer(), read.verify(witness.public())), (NodeId(8), Ok(checkpoint)));
    assert_eq!(
        SignedCheckpoint::parse(&cosigned).map_err(|error| error.reason()).err(),
        Some("checkpoint_signer")
    );
    let own = checkpoint.cosign(NodeId(7), &owner);
    assert!(SignedCheckpoint::parse(&own).unwrap().verify(owner.public()).is_err(), "another domain");
}

fn events() -> Vec<Event> {
    let message = MessageName { peer: NodeId(9), purpose: Purpose::Command, epoch: 2, sequence: u64::MAX };
    let brief = Brief([1; 8]);
    let (peer, about) = (NodeId(9), NodeId(0));
    vec![
        Event::Started { incarnation: 3 },
        Event::Sent { message, payload: brief },
        Event::Accepted { message, payload: brief },
        Event::Refused { peer, reason: "bad_signature".into(), count: 4 },
        Event::Denied { subject: peer, action: "command".into(), rule: "operators-command".into() },
        Event::PlanCommitted {
            horizon: 1,
            term: 0,
            round: 17,
            outcome: "converged".into(),
            values: brief,
            version: brief,
        },
        Event::Reconciled { peer, writes: 12, taken: brief },
        Event::Learned { what: "revocations".into(), about, statement: brief },
        Event::Witnessed { peer, size: 1 << 40, root: brief },
        Event::Caught { peer, at: "two_roots".into(), first: brief, second: brief },
        Event::Governed { slot: 3, step: "adopted".into(), about: peer, record: brief },
    ]
}

#[test]
fn every_entry_survives_a_round_trip_and_no_other_bytes_are_one() {
    for event in events() {
        let entry = Entry { index: 5, clock_ms: 1 << 50, time: DtnTime(1 << 40), event };
        let bytes = entry.encode();
        assert!(bytes.len() <= MAX_ENTRY_LEN);
        assert_eq!(Entry::decode(&bytes), Ok(entry));
        assert!(Entry::decode(&bytes[..bytes.len() - 1]).is_err());
        assert!(Entry::decode(&[&bytes[..], &[0]].concat()).is_err());
    }
    let long = Event::Refused { peer: NodeId(1), reason: "é".repeat(60).into(), count: 1 };
    let entry = Entry { index: u64::MAX, clock_ms: u64::MAX, time: DtnTime(u64::MAX), event: long };
    assert!(Entry::decode(&entry.encode()).is_ok(), "a text is cut between characters");
}

proptest! {
    #[test]
    fn two_spans_join_to_the_one_over_both(begin in 0..300_u64, first in 0..300_u64, second in 0..300_u64) {
        let span = |from: u64, to: u64| {
            let mut span = Span::empty(from);
            (from..to).for_each(|number| span.push(leaf_hash(&number.to_be_bytes())));
            span
        };
        let (middle, end) = (begin + first, begin + first + second);
        let mut joined = span(begin, middle);
        prop_assert!(joined.join(&span(middle, end)));
        prop_assert_eq!(&joined, &span(begin, end));
        prop_assert!(second == 0 || !joined.join(&span(middle, end)), "not contiguous");
        let mut bytes = Vec::new();
        joined.encode(&mut bytes);
        prop_assert_eq!(Span::decode(&mut Reader::new(&bytes)), Ok(joined.clone()));
        prop_assert_eq!(joined.root().is_some(), begin == 0);
        prop_assert!(begin > 0 || joined.root() == tree(end).root(end));
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = Entry::decode(&bytes);
        let _ = Span::decode(&mut Reader::new(&bytes));
        let _ = Journal::restore(NodeId(1), &bytes);
        let _ = SignedCheckpoint::parse(&bytes).is_ok();
    }

    #[test]
    fn no_proof_panics(index: u64, size: u64, from: u64, proof: Vec<Hash>) {
        let _ = verify_inclusion([1; 32], index, size, &proof, &[2; 32]);
        let _ = verify_consistency((from, &[1; 32]), (size, &[2; 32]), &proof);
    }
}

#[test]
fn a_checkpoint_says_which_log_how_long_and_when() {
    let mut journal = journal();
    journal.append(b"x");
    let checkpoint = journal.checkpoint(DtnTime(9));
    let expected = Checkpoint {
        log: LogId { node: NodeId(7), born: 1 },
        size: 1,
        root: leaf_hash(b"x"),
        time: DtnTime(9),
    };
    assert_eq!(checkpoint, expected);
    assert!(checkpoint.agrees(&Checkpoint { time: DtnTime(10), ..expected }));
    assert!(!checkpoint.agrees(&Checkpoint { size: 2, ..expected }));
}
