//! Attacks on logs: forks, cuts, forged checkpoints.

use crate::{
    fleet::{Fleet, keys},
    lines::trust_message,
};
use cosmosmesh_protocol::{
    envelope::{Header, Purpose},
    id::NodeId,
    log::{Checkpoint, Event, SignedCheckpoint, Tree, leaf_hash},
    node::Kept,
    time::DtnTime,
};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// The tree over what a host has kept of its node's log.
fn tree(fleet: &Fleet, name: u64) -> Tree {
    fleet.entries(name).iter().map(|entry| leaf_hash(entry)).collect()
}

#[test]
fn every_checkpoint_that_others_hold_is_a_moment_of_the_log() {
    let mut fleet = Fleet::new();
    for number in 0..20 {
        fleet.submit(2, 3, Purpose::Command, &format!("order {number}"));
        fleet.run_for(HOUR / 4);
    }
    let mut compared = 0;
    for (name, host) in &fleet.hosts {
        let witness = host.node.witness().expect("trust is on");
        assert_eq!(witness.forks().count(), 0);
        for proven in witness.all() {
            let checkpoint = proven.checkpoint;
            assert!(checkpoint.size > 10, "{name} follows the log of {}", checkpoint.log.node);
            assert_eq!(tree(&fleet, checkpoint.log.node.0).root(checkpoint.size), Some(checkpoint.root));
            compared += 1;
        }
    }
    assert_eq!(compared, 12, "each knows the three others");
    let cosigned = fleet.hosts[&3].node.cosignatures().expect("trust is on");
    let bytes = cosigned.get(&NodeId(1)).expect("node 1 is a witness");
    let read = SignedCheckpoint::parse_cosignature(bytes).expect("a cosignature");
    assert_eq!(read.verify(keys(1).public()).map(|checkpoint| checkpoint.log.node), Ok(NodeId(3)));
    assert!(!cosigned.contains_key(&NodeId(4)), "an observer is no witness");
}

#[test]
fn a_log_goes_on_after_a_restart_and_others_follow_it() {
    let mut fleet = Fleet::new();
    fleet.run_for(HOUR);
    let before = fleet.entries(3).len() as u64;
    fleet.restart(3);
    fleet.submit(3, 2, Purpose::Telemetry, "back");
    fleet.run_for(HOUR);
    let started = fleet.events(3).into_iter().filter(|event| matches!(event, Event::Started { .. })).count();
    assert_eq!(started, 2);
    for name in [1, 2, 4] {
        let witness = fleet.hosts[&name].node.witness().expect("trust is on");
        let newest = witness.newest(NodeId(3)).last().expect("known").checkpoint;
        assert_eq!(witness.forks().count(), 0);
        assert_eq!(tree(&fleet, 3).root(newest.size), Some(newest.root), "one log through both lives");
        assert_eq!(newest.log.born, 1);
        assert!(newest.size > before, "{name} follows it on: {} after {before}", newest.size);
        assert!(witness.vouches(newest.log), "with a proof from what it knew before");
    }
}

#[test]
fn two_logs_for_two_peers_are_caught_by_gossip_and_the_proof_spreads() {
    // Hosts 3 and 33 run the same node with the same keys, and tell 1 and 2 different stories.
    let hosts: [(u64, u64, &[u64]); 5] =
        [(1, 1, &[2, 3, 4]), (2, 2, &[1, 33, 4]), (3, 3, &[1]), (33, 3, &[2]), (4, 4, &[1, 2])];
    let mut fleet = Fleet::with(&hosts, |_, _| {});
    fleet.submit(3, 1, Purpose::Telemetry, "all is well");
    fleet.submit(33, 2, Purpose::Telemetry, "send help!!");
    fleet.run_for(2 * HOUR);
    for name in [1, 2, 4] {
        let forks: Vec<_> = fleet.hosts[&name].node.witness().expect("trust is on").forks().collect();
        assert_eq!(forks.len(), 1, "host {name}");
        assert_eq!(forks[0].0.node, NodeId(3));
        let fork = forks[0].1;
        for half in [&fork.first, &fork.second] {
            let read = SignedCheckpoint::parse(&half.bytes).expect("as signed");
            assert_eq!(read.verify(keys(3).public()), Ok(half.checkpoint), "anybody can check it");
        }
        assert!(
            fleet.events(name).iter().any(|event| matches!(event, Event::Caught { peer, .. } if peer.0 == 3))
        );
        assert_eq!(fleet.records(name, Kept::Proof).len(), 1);
    }
    // Who was caught stays caught.
    fleet.restart(1);
    fleet.run_for(HOUR);
    let witness = fleet.hosts[&1].node.witness().expect("trust is on");
    assert_eq!(witness.forks().count(), 1);
    let caught = fleet.events(1).into_iter().filter(|event| matches!(event, Event::Caught { .. })).count();
    assert_eq!(caught, 1, "and is not caught anew");
    assert!(!fleet.hosts[&33].node.cosignatures().expect("trust is on").contains_key(&NodeId(1)));
}

#[test]
fn nobody_frames_another_by_a_signature_under_a_log_that_never_was() {
    let mut fleet = Fleet::new();
    fleet.run_for(HOUR);
    let journal = fleet.hosts[&3].node.journal().expect("trust is on");
    let (log, size, root) = (journal.id(), journal.size(), journal.root());
    let time = DtnTime(0);
    let made_up = Checkpoint { log, size: 1_000_000_000, root: [7; 32], time };
    let other_root = Checkpoint { log, size, root: [7; 32], time };
    let honest = Checkpoint { log, size, root, time };
    let kept = |fleet: &Fleet| fleet.hosts[&3].node.cosignatures().expect("trust is on").clone();
    let before = kept(&fleet);
    // Node 4 is an observer, node 1 a witness.
    let attempts = [(4, made_up), (4, other_root), (4, honest), (1, made_up), (1, other_root)];
    for (number, (by, checkpoint)) in attempts.into_iter().enumerate() {
        let message = trust_message(&[], &checkpoint.cosign(NodeId(by), &keys(by)));
        let header = fleet.header(by, 3, Purpose::Trust, 1);
        let header = Header { incarnation: 10 + number as u32, ..header };
        assert_eq!(fleet.forge_bytes(&keys(by), header, &message), None);
        assert_eq!(kept(&fleet), before);
    }
    assert_eq!(fleet.module_refusals(3).iter().filter(|reason| **reason == "cosignature_refused").count(), 5);
}

#[test]
fn a_witness_signs_only_what_was_proven_to_have_grown() {
    // Whatever its own settings say, an observer's signature is not kept.
    let mut fleet = Fleet::with(
        &[(1, 1, &[2, 3, 4]), (2, 2, &[1, 3, 4]), (3, 3, &[1, 2, 4]), (4, 4, &[1, 2, 3])],
        |_, trust| trust.witness = true,
    );
    fleet.run_for(2 * HOUR);
    let cosigned = fleet.hosts[&3].node.cosignatures().expect("trust is on");
    assert_eq!(cosigned.keys().map(|node| node.0).collect::<Vec<_>>(), [1, 2], "by role");
}

#[test]
fn a_node_that_lost_its_disk_begins_a_new_log_and_is_not_taken_for_a_liar() {
    let mut fleet = Fleet::new();
    fleet.run_for(HOUR);
    fleet.lose_disk(3);
    fleet.run_for(2 * HOUR);
    for name in [1, 2, 4] {
        let witness = fleet.hosts[&name].node.witness().expect("trust is on");
        assert_eq!(witness.forks().count(), 0);
        let births: Vec<u32> = witness.newest(NodeId(3)).map(|proven| proven.checkpoint.log.born).collect();
        assert_eq!(births, [1, 2], "the old log stays on record");
    }
}
