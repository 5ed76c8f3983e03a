use super::*;
use crate::{
    id::NodeId,
    time::{DtnTime, Instant},
};
use alloc::{vec, vec::Vec};
use core::time::Duration;
use proptest::prelude::*;

fn replica(actor: u64) -> Replica {
    Replica::new(NodeId(actor), SyncLimits::default())
}

fn sync(from: &Replica, to: &mut Replica) -> Option<Applied> {
    let delta = from.delta_since(to.version(), usize::MAX)?;
    Some(to.apply_from(from.actor(), &delta).unwrap())
}

fn put(replica: &mut Replica, key: &[u8], value: &[u8], time: u64) {
    replica.write(Op::MapPut { name: b"m", key, value }, DtnTime(time)).unwrap();
}

#[test]
fn an_addition_wins_over_a_concurrent_removal() {
    let (mut left, mut right) = (replica(1), replica(2));
    left.write(Op::SetAdd { name: b"s", member: b"x" }, DtnTime(1)).unwrap();
    sync(&left, &mut right);
    left.write(Op::SetAdd { name: b"s", member: b"x" }, DtnTime(2)).unwrap();
    right.write(Op::SetRemove { name: b"s", member: b"x" }, DtnTime(3)).unwrap();
    assert!(!right.set_contains(b"s", b"x"));
    sync(&left, &mut right);
    sync(&right, &mut left);
    assert!(left.set_contains(b"s", b"x") && right.set_contains(b"s", b"x"));
    assert_eq!(left.digest(), right.digest());
}

#[test]
fn an_addition_by_the_remover_does_not_bring_back_what_it_removed() {
    let (mut x, mut y, mut z) = (replica(1), replica(2), replica(3));
    let (add, remove) = (Op::SetAdd { name: b"s", member: b"e" }, Op::SetRemove { name: b"s", member: b"e" });
    y.write(add, DtnTime(1)).unwrap();
    sync(&y, &mut x);
    x.write(remove, DtnTime(2)).unwrap();
    x.write(add, DtnTime(3)).unwrap();
    // z sees only what x wrote, and removes it; then y's addition, which x had removed, reaches z.
    let mut only_x = x.delta_since(z.version(), usize::MAX).unwrap();
    only_x.runs.remove(&NodeId(2));
    z.apply(&only_x).unwrap();
    z.write(remove, DtnTime(4)).unwrap();
    sync(&y, &mut z);
    assert!(!z.set_contains(b"s", b"e"));
}

#[test]
fn the_later_write_wins_whatever_arrives_first() {
    let (mut left, mut right) = (replica(1), replica(2));
    left.write(Op::Register { name: b"r", value: b"late" }, DtnTime(9)).unwrap();
    right.write(Op::Register { name: b"r", value: b"early" }, DtnTime(5)).unwrap();
    sync(&left, &mut right);
    sync(&right, &mut left);
    assert_eq!((left.register(b"r"), right.register(b"r")), (Some(&b"late"[..]), Some(&b"late"[..])));
    // Whoever has seen a value can replace it, even with a slow clock.
    right.write(Op::Register { name: b"r", value: b"mine" }, DtnTime(1)).unwrap();
    sync(&right, &mut left);
    assert_eq!(left.register(b"r"), Some(&b"mine"[..]));
}

#[test]
fn a_counter_adds_up_over_actors() {
    let (mut left, mut right) = (replica(1), replica(2));
    for by in [5, -7, i64::MIN / 4] {
        left.write(Op::Count { name: b"c", by }, DtnTime(0)).unwrap();
    }
    right.write(Op::Count { name: b"c", by: 10 }, DtnTime(0)).unwrap();
    sync(&left, &mut right);
    assert_eq!(right.counter(b"c"), 8 + i128::from(i64::MIN / 4));
}

#[test]
fn a_peer_that_has_everything_gets_nothing() {
    let (mut left, mut right) = (replica(1), replica(2));
    put(&mut left, b"k", b"v", 1);
    assert!(sync(&left, &mut right).is_some());
    assert_eq!(left.delta_since(right.version(), usize::MAX), None);
    assert_eq!(right.delta_since(left.version(), usize::MAX), None);
}

#[test]
fn a_part_that_needs_a_lost_delta_is_kept_out() {
    let (mut left, mut right) = (replica(1), replica(2));
    for key in 0..20u8 {
        put(&mut left, &[key], &[0; 30], 1);
    }
    put(&mut left, &[0], b"again", 2);
    let lost = left.delta_since(right.version(), 400).unwrap();
    let mut assumed = right.version().clone();
    assumed.join(&lost.covers());
    let later = left.delta_since(&assumed, 400).unwrap();
    let applied = right.apply(&later).unwrap();
    assert_eq!(applied.gaps, [Gap { actor: NodeId(1), missing: lost.covers().spans(NodeId(1)).clone() }]);
    assert!(right.version().is_empty());
    right.apply(&lost).unwrap();
    assert!(right.apply(&later).unwrap().gaps.is_empty());
}

#[test]
fn poison_is_refused_with_its_reason() {
    let mut victim = replica(1);
    let run = |actor: u64, spans: Spans, cells: Vec<(cell::CellKey, cell::Cell)>| Delta {
        runs: [(NodeId(actor), delta::Run { covers: spans, assumes: Spans::new(), cells })].into(),
    };
    let total = |plus, sequence| {
        let key = cell::CellKey {
            kind: Kind::Counter,
            name: b"c"[..].into(),
            item: [][..].into(),
            actor: NodeId(2),
        };
        (key, cell::Cell { sequence, content: cell::Content::Total { plus, minus: 0 } })
    };
    let jump = victim.apply(&run(2, Spans::interval(1, u64::MAX), vec![]));
    assert!(matches!(jump, Err(SyncError::Sequence { found: u64::MAX, .. })), "{jump:?}");
    let counter = victim.apply(&run(2, Spans::interval(1, 1), vec![total(1 << 63, 1)]));
    assert!(matches!(counter, Err(SyncError::Counter { .. })), "{counter:?}");
    let own = victim.apply(&run(1, Spans::interval(1, 1), vec![]));
    assert_eq!(own, Err(SyncError::OwnDots { found: 1, made: 0 }));
    let outside = victim.apply(&run(2, Spans::interval(1, 1), vec![total(1, 2)]));
    assert!(matches!(outside, Err(SyncError::Inconsistent { sequence: 2, .. })), "{outside:?}");
    let twice = victim.apply(&run(2, Spans::interval(1, 1), vec![total(1, 1), total(2, 1)]));
    assert!(matches!(twice, Err(SyncError::Inconsistent { sequence: 1, .. })), "{twice:?}");
    assert_eq!(victim.digest(), replica(1).digest());
}

#[test]
fn a_full_replica_refuses_and_stays_as_it_was() {
    let limits = SyncLimits { cells: 2, ..SyncLimits::default() };
    let (mut small, mut large) = (Replica::new(NodeId(1), limits), replica(2));
    for key in [b"a", b"b", b"c"] {
        put(&mut large, key, b"v", 1);
    }
    let delta = large.delta_since(small.version(), usize::MAX).unwrap();
    assert_eq!(small.apply(&delta), Err(SyncError::TooMany { what: "cells", found: 3, max: 2 }));
    assert!(small.version().is_empty());
}

#[test]
fn dots_on_their_way_are_not_pushed_twice_until_lost_or_late() {
    let (mut left, right) = (replica(1), NodeId(2));
    put(&mut left, b"k", b"v", 1);
    let mut progress = PeerProgress::new(8, 4, &SyncLimits::default());
    let (at, patience) = (Instant::from_nanos, Duration::from_nanos(10));
    let (first, _) = progress.push_for(&left, right, at(0), patience, 1_000).unwrap();
    assert_eq!(progress.push_for(&left, right, at(5), patience, 1_000), None);
    progress.on_lost(right, first);
    assert!(progress.push_for(&left, right, at(6), patience, 1_000).is_some());
    assert_eq!(progress.next_due(), Some(at(16)));
    assert!(progress.push_for(&left, right, at(16), patience, 1_000).is_some());
    progress.peer_has(right, left.version());
    assert_eq!((progress.push_for(&left, right, at(99), patience, 1_000), progress.next_due()), (None, None));
}

#[test]
fn a_peer_cannot_fill_our_memory_with_made_up_actors() {
    let limits = SyncLimits { actors: 4, ..SyncLimits::default() };
    let mut progress = PeerProgress::new(8, 4, &limits);
    for actor in 0..100 {
        let mut version = VersionVector::new();
        version.cover(NodeId(actor), &Spans::interval(1, 9));
        progress.peer_has(NodeId(7), &version);
    }
    assert_eq!(progress.known(NodeId(7)).unwrap().iter().len(), 4);
}

#[derive(Clone, Debug)]
enum Step {
    Write(usize, u8, u8, u64),
    /// From, to, bytes; whether it is lost, and whether it comes twice.
    Gossip(usize, usize, usize, bool, bool),
    /// An old delta arrives (again).
    Replay(usize, usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..4usize, 0..6u8, 0..3u8, 0..20u64).prop_map(|(r, op, item, time)| Step::Write(r, op, item, time)),
        3 => (0..4usize, 0..4usize, 100..500usize, any::<bool>(), any::<bool>())
            .prop_map(|(from, to, bytes, lost, twice)| Step::Gossip(from, to, bytes, lost, twice)),
        1 => (any::<usize>(), 0..4usize).prop_map(|(delta, to)| Step::Replay(delta, to)),
    ]
}

fn write(replica: &mut Replica, op: u8, item: u8, time: u64) {
    let item = &[item][..];
    let value = &time.to_be_bytes()[..];
    let op = match op {
        0 => Op::SetAdd { name: b"s", member: item },
        1 => Op::SetRemove { name: b"s", member: item },
        2 => Op::Register { name: item, value },
        3 => Op::MapPut { name: b"m", key: item, value },
        4 => Op::MapRemove { name: b"m", key: item },
        _ => Op::Count { name: item, by: time as i64 - 10 },
    };
    match replica.write(op, DtnTime(time)) {
        Ok(_) | Err(SyncError::Absent) => {}
        Err(error) => panic!("{error}"),
    }
}

/// Replicas after a random history, and every delta that was ever made in it.
fn play(steps: &[Step]) -> (Vec<Replica>, Vec<Delta>) {
    let mut replicas: Vec<Replica> = (1..=4).map(replica).collect();
    let mut deltas: Vec<Delta> = vec![];
    for step in steps {
        match *step {
            Step::Write(index, op, item, time) => write(&mut replicas[index], op, item, time),
            Step::Gossip(from, to, bytes, lost, twice) => {
                let Some(delta) = replicas[from].delta_since(replicas[to].version(), bytes) else { continue };
                for _ in 0..(usize::from(!lost) * (1 + usize::from(twice))) {
                    replicas[to].apply(&delta).unwrap();
                }
                deltas.push(delta);
            }
            Step::Replay(index, to) if !deltas.is_empty() => {
                let delta = &deltas[index % deltas.len()];
                replicas[to].apply(delta).unwrap();
            }
            Step::Replay(..) => {}
        }
        check_equal_versions_mean_equal_state(&replicas);
    }
    (replicas, deltas)
}

fn check_equal_versions_mean_equal_state(replicas: &[Replica]) {
    for pair in replicas.windows(2) {
        assert_eq!(pair[0].version() == pair[1].version(), pair[0].digest() == pair[1].digest());
    }
}

fn heal(replicas: &mut [Replica], bytes: usize) {
    for _ in 0..400 {
        let mut moved = false;
        for from in 0..replicas.len() {
            for to in 0..replicas.len() {
                let Some(delta) = replicas[from].delta_since(replicas[to].version(), bytes) else { continue };
                let before = replicas[to].version().clone();
                assert!(replicas[to].apply(&delta).unwrap().gaps.is_empty());
                assert_ne!(replicas[to].version(), &before, "every delta makes progress");
                moved = true;
            }
        }
        if !moved {
            return;
        }
    }
    panic!("no convergence");
}

/// What applications can read: members, entries, registers, counters.
type Visible = (Vec<Vec<u8>>, Vec<(Vec<u8>, Vec<u8>)>, Vec<Option<Vec<u8>>>, Vec<i128>);

fn visible(replica: &Replica) -> Visible {
    let set = replica.set_members(b"s").map(<[u8]>::to_vec).collect();
    let map = replica.map_entries(b"m").map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
    let registers = (0..3).map(|name| replica.register(&[name]).map(<[u8]>::to_vec)).collect();
    (set, map, registers, (0..3).map(|name| replica.counter(&[name])).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn replicas_converge_after_any_history(steps in prop::collection::vec(any_step(), 1..60), bytes in 100..400usize) {
        let (mut replicas, _) = play(&steps);
        heal(&mut replicas, bytes);
        for other in &replicas[1..] {
            prop_assert_eq!(other.digest(), replicas[0].digest());
            prop_assert_eq!(visible(other), visible(&replicas[0]));
        }
    }

    #[test]
    fn joins_commute_associate_and_repeat(steps in prop::collection::vec(any_step(), 1..50), swap in any::<u64>()) {
        let (replicas, _) = play(&steps);
        let states: Vec<Delta> = replicas.iter().map(Replica::everything).collect();
        let join = |order: &[usize]| {
            let mut joined = replica(9);
            order.iter().for_each(|&index| { joined.apply(&states[index]).unwrap(); });
            joined
        };
        let mut order = [0, 1, 2, 3];
        for (index, by) in [(3, swap % 4), (2, swap / 4 % 3), (1, swap / 12 % 2)] {
            order.swap(index, by as usize);
        }
        let straight = join(&[0, 1, 2, 3]);
        prop_assert_eq!(join(&order).digest(), straight.digest());
        prop_assert_eq!(join(&[0, 1, 0, 2, 1, 3, 0]).digest(), straight.digest());
        // (a ⊔ b) ⊔ (c ⊔ d), where the right half is joined elsewhere first.
        let mut grouped = join(&[0, 1]);
        grouped.apply(&join(&[2, 3]).everything()).unwrap();
        prop_assert_eq!(grouped.digest(), straight.digest());
    }

    #[test]
    fn deltas_of_a_history_join_in_any_order_to_the_same(steps in prop::collection::vec(any_step(), 1..50)) {
        let (replicas, deltas) = play(&steps);
        let (mut forward, mut backward) = (replicas[0].clone(), replicas[0].clone());
        // What is kept out for want of an earlier delta is accepted in a later round.
        for _ in 0..=deltas.len() {
            deltas.iter().for_each(|delta| { forward.apply(delta).unwrap(); });
            deltas.iter().rev().for_each(|delta| { backward.apply(delta).unwrap(); });
        }
        prop_assert_eq!(forward.digest(), backward.digest());
    }

    #[test]
    fn messages_survive_the_wire_within_their_size(steps in prop::collection::vec(any_step(), 1..40), bytes in 150..600usize) {
        let (replicas, deltas) = play(&steps);
        for delta in deltas {
            prop_assert_eq!(Delta::decode(&delta.encode()), Ok(delta));
        }
        for replica in &replicas {
            if let Some(delta) = replica.delta_since(&VersionVector::new(), bytes) {
                prop_assert!(delta.encode().len() <= bytes);
                let message = SyncMessage::Delta { version: replica.version().clone(), delta };
                prop_assert_eq!(SyncMessage::decode(&message.encode()), Ok(message));
            }
            let message = SyncMessage::Version { version: replica.version().clone() };
            prop_assert_eq!(SyncMessage::decode(&message.encode()), Ok(message));
            let restored = Replica::restore(replica.actor(), SyncLimits::default(), &replica.snapshot()).unwrap();
            prop_assert_eq!(restored.digest(), replica.digest());
            prop_assert_eq!((restored.bytes(), restored.cells()), (replica.bytes(), replica.cells()));
        }
    }

    #[test]
    fn a_delta_carries_only_what_the_peer_lacks(steps in prop::collection::vec(any_step(), 1..50)) {
        let (replicas, _) = play(&steps);
        for (from, to) in [(0, 1), (1, 2), (2, 3), (3, 0)] {
            let Some(delta) = replicas[from].delta_since(replicas[to].version(), usize::MAX) else { continue };
            for run in delta.runs.values() {
                for (key, cell) in &run.cells {
                    let dot = Dot { actor: key.actor, sequence: cell.sequence };
                    prop_assert!(!replicas[to].version().contains(dot));
                }
            }
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = SyncMessage::decode(&bytes);
        let _ = VersionVector::decode(&bytes);
        let _ = Replica::restore(NodeId(1), SyncLimits::default(), &bytes);
    }

    #[test]
    fn broken_messages_never_panic(
        steps in prop::collection::vec(any_step(), 1..30),
        at in any::<usize>(),
        byte in any::<u8>(),
    ) {
        let (replicas, _) = play(&steps);
        let mut bytes = replicas[0].snapshot();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(delta) = Delta::decode(&bytes) {
            prop_assert_eq!(delta.encode(), bytes);
            let _ = replica(9).apply(&delta);
        }
    }
}
