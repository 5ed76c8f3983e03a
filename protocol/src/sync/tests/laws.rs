//! Laws: whatever the history and the order of arrival.

use super::*;
use crate::sync::delta::Run;
use alloc::{collections::BTreeMap, sync::Arc};
use proptest::prelude::*;

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
        3 => (0..4usize, 0..4usize, 200..900usize, any::<bool>(), any::<bool>())
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

/// Replicas after a random history, and every delta without unfinished parts that was ever made in it.
fn play(steps: &[Step]) -> (Vec<Replica>, Vec<(u64, Delta)>) {
    let roles = Arc::new(Roles::new(BTreeMap::from([(NodeId(2), Role(3))]), Role(1)));
    let mut replicas: Vec<Replica> = (1..=4).map(|actor| replica(actor).with_roles(roles.clone())).collect();
    let mut deltas: Vec<(u64, Delta)> = vec![];
    for step in steps {
        match *step {
            Step::Write(index, op, item, time) => write(&mut replicas[index], op, item, time),
            Step::Gossip(from, to, bytes, lost, twice) => {
                let version = replicas[to].version().clone();
                let Some(delta) = delta(&mut replicas[from], &version, bytes) else { continue };
                for _ in 0..(usize::from(!lost) * (1 + usize::from(twice))) {
                    unrefused(&mut replicas[to], from as u64 + 1, &delta);
                }
                if delta.runs.values().all(Run::is_complete) {
                    deltas.push((from as u64 + 1, delta));
                }
            }
            Step::Replay(index, to) if !deltas.is_empty() => {
                let (from, delta) = &deltas[index % deltas.len()];
                unrefused(&mut replicas[to], *from, delta);
            }
            Step::Replay(..) => {}
        }
        check_equal_versions_mean_equal_state(&replicas);
    }
    (replicas, deltas)
}

fn unrefused(to: &mut Replica, from: u64, delta: &Delta) -> Applied {
    let applied = apply(to, from, delta);
    assert_eq!((&applied.refused, &applied.reseed), (&vec![], &vec![]));
    applied
}

fn check_equal_versions_mean_equal_state(replicas: &[Replica]) {
    for pair in replicas.windows(2) {
        assert_eq!(pair[0].version() == pair[1].version(), pair[0].digest() == pair[1].digest());
    }
}

fn heal(replicas: &mut [Replica], bytes: usize) {
    for _ in 0..2 {
        for from in 0..replicas.len() {
            for to in (0..replicas.len()).filter(|to| *to != from) {
                let [from, to] = replicas.get_disjoint_mut([from, to]).unwrap();
                let mut assumed = to.version().clone();
                while let Some(part) = delta(from, &assumed, bytes) {
                    let before = assumed.clone();
                    part.steps().for_each(|(actor, _, upto)| assumed.cover(actor, upto));
                    assert_ne!(assumed, before, "every delta makes progress");
                    assert!(unrefused(to, from.actor.node.0, &part).gaps.is_empty());
                }
                assert!(to.version().covers(from.version()));
            }
        }
    }
}

fn everything(replica: &mut Replica) -> Delta {
    delta(replica, &VersionVector::new(), usize::MAX).unwrap_or_default()
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
    fn replicas_converge_after_any_history(steps in prop::collection::vec(any_step(), 1..60), bytes in 250..500usize) {
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
        let states: Vec<Delta> = replicas.clone().iter_mut().map(everything).collect();
        let join = |order: &[usize]| {
            let mut joined = replica(9).with_roles(replicas[0].roles.clone());
            order.iter().for_each(|&index| drop(unrefused(&mut joined, index as u64 + 1, &states[index])));
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
        unrefused(&mut grouped, 8, &everything(&mut join(&[2, 3])));
        prop_assert_eq!(grouped.digest(), straight.digest());
    }

    #[test]
    fn deltas_of_a_history_join_in_any_order_to_the_same(steps in prop::collection::vec(any_step(), 1..50)) {
        let (replicas, deltas) = play(&steps);
        let fresh = replica(9).with_roles(replicas[0].roles.clone());
        let (mut forward, mut backward) = (fresh.clone(), fresh);
        // What is kept out for want of an earlier delta is accepted in a later round.
        for _ in 0..=deltas.len() {
            deltas.iter().for_each(|(from, delta)| drop(apply(&mut forward, *from, delta)));
            deltas.iter().rev().for_each(|(from, delta)| drop(apply(&mut backward, *from, delta)));
        }
        prop_assert_eq!(forward.digest(), backward.digest());
    }

    #[test]
    fn the_write_that_stands_is_the_greatest_of_those_that_nobody_replaced(
        steps in prop::collection::vec(any_step(), 1..60),
    ) {
        let (mut replicas, _) = play(&steps);
        heal(&mut replicas, usize::MAX);
        for key in 0..3u8 {
            let explanations: Vec<_> = replicas.iter().map(|replica| replica.explain(b"m", &[key])).collect();
            prop_assert!(explanations.windows(2).all(|pair| pair[0] == pair[1]));
            let Some(Explanation { stands, others }) = explanations[0].clone() else { continue };
            let rank = |write: &Write| Rank { role: write.role, clock: write.clock, actor: write.dot.actor };
            for (other, because) in &others {
                // A total order: no two writes of an item are of one rank.
                prop_assert_ne!(rank(other), rank(&stands));
                match because {
                    Because::Replaced(by) => {
                        let writes = others.iter().map(|(write, _)| write).chain([&stands]);
                        prop_assert!(writes.filter(|write| write.dot == *by).all(|by| by.clock > other.clock));
                    }
                    Because::Role | Because::Clock | Because::Actor => prop_assert!(rank(other) < rank(&stands)),
                }
            }
        }
    }

    #[test]
    fn messages_survive_the_wire_within_their_size(steps in prop::collection::vec(any_step(), 1..40), bytes in 300..900usize) {
        let (replicas, deltas) = play(&steps);
        for (_, delta) in deltas {
            prop_assert_eq!(Delta::decode(&delta.encode()), Ok(delta));
        }
        for replica in &replicas {
            if let Some(delta) = replica.delta_since(&VersionVector::new(), bytes) {
                prop_assert!(delta.encode().len() <= bytes);
                let message = SyncMessage::Delta(delta);
                prop_assert_eq!(SyncMessage::decode(&message.encode()), Ok(message));
            }
            let message = SyncMessage::Version(replica.version().clone());
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
    fn lives_survive_the_wire_and_storage(lives in prop::collection::btree_map((1..5u64, 0..4u32), 1..9u64, 0..12)) {
        let mut version = VersionVector::new();
        let mut reader = replica(9);
        for (&(node, life), &writes) in &lives {
            let actor = Actor { node: NodeId(node), life };
            version.cover(actor, writes);
            let mut writer = Replica::new(actor, SyncLimits::default());
            for write in 0..writes {
                // Each life replaces what it has seen of those before it.
                writer.apply_kept(&Delta::decode(&reader.snapshot()).unwrap()).unwrap();
                put(&mut writer, &[write as u8 % 3], &[life as u8], 1);
            }
            unrefused(&mut reader, node, &delta(&mut writer, &VersionVector::new(), usize::MAX).unwrap());
        }
        prop_assert_eq!(VersionVector::decode(&version.encode()), Ok(version.clone()));
        prop_assert_eq!(reader.version(), &version);
        let again = Replica::restore(NodeId(9), SyncLimits::default(), &reader.snapshot()).unwrap();
        prop_assert_eq!(again.digest(), reader.digest());
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
            let _ = replica(9).apply_from(NodeId(1), &delta, trust()());
        }
    }
}
