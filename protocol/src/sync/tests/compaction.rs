//! What everyone has seen replaced goes, and nobody is the worse for it.

use super::*;

const LIMITS: SyncLimits = SyncLimits {
    cells: 1 << 16,
    name_bytes: 64,
    item_bytes: 256,
    value_bytes: 4_096,
    total_bytes: 16 << 20,
    staged_bytes: 1 << 20,
    actors: 1_024,
    lives: 16,
    dropped: 1_024,
    compact_min: 1,
    sequence: 1 << 48,
    jump: 1 << 24,
    counter: 1 << 62,
    latest: DtnTime(3_155_760_000_000),
    drift: core::time::Duration::from_secs(600),
    symbols: 4_096,
};

fn fleet(count: u64) -> Vec<Replica> {
    (1..=count).map(|actor| Replica::new(NodeId(actor), LIMITS)).collect()
}

fn exchange(fleet: &mut [Replica]) {
    for _ in 0..2 {
        for from in 0..fleet.len() {
            for to in (0..fleet.len()).filter(|to| *to != from) {
                let [from, to] = fleet.get_disjoint_mut([from, to]).unwrap();
                sync(from, to);
            }
        }
    }
}

/// Each of `members` tells the others what it covers, and drops what it can.
fn compact(fleet: &mut [Replica], members: &[usize]) -> usize {
    let told: Vec<(NodeId, VersionVector)> =
        members.iter().map(|at| (fleet[*at].actor().node, fleet[*at].version().clone())).collect();
    let mut dropped = 0;
    for &at in members {
        let stable = fleet[at].stable(told.iter().map(|(actor, version)| (*actor, version)));
        dropped += usize::from(stable.is_some_and(|stable| fleet[at].compact(&stable).unwrap().is_some()));
    }
    dropped
}

/// The first one writes and the last one removes what it sees, twenty times.
fn churn(fleet: &mut [Replica], time: u64) {
    for key in 0..20u8 {
        put(&mut fleet[0], &[key], b"v", time);
    }
    exchange(fleet);
    let last = fleet.last_mut().unwrap();
    for key in 0..20u8 {
        remove(last, &[key], time + 1);
    }
    exchange(fleet);
}

#[test]
fn removed_entries_leave_nothing_behind_when_all_have_seen_it() {
    let mut fleet = fleet(3);
    churn(&mut fleet, 1);
    let all = [0, 1, 2];
    assert_eq!(fleet[1].cells(), 40);
    // First what was removed goes, and when all know that, the removals.
    for _ in 0..3 {
        compact(&mut fleet, &all);
        exchange(&mut fleet);
    }
    for replica in &fleet {
        // What is left: one list of dropped dots for each that dropped.
        assert_eq!((replica.cells(), replica.names(Kind::Map).count()), (2, 0));
        assert_eq!(replica.digest(), fleet[0].digest());
    }
    assert_eq!(compact(&mut fleet, &all), 0);
    // And it can all begin again.
    put(&mut fleet[1], &[7], b"new", 0);
    exchange(&mut fleet);
    assert_eq!(fleet[2].map_get(b"m", &[7]), Some(&b"new"[..]));
}

#[test]
fn nothing_goes_while_a_member_has_not_seen_it() {
    let mut fleet = fleet(3);
    churn(&mut fleet[..2], 1);
    assert_eq!(compact(&mut fleet, &[0, 1, 2]), 0);
    exchange(&mut fleet);
    assert!(compact(&mut fleet, &[0, 1, 2]) > 0);
}

#[test]
fn a_write_that_is_on_its_way_keeps_what_it_did_not_see() {
    let mut fleet = fleet(2);
    put(&mut fleet[0], b"k", b"v", 1);
    exchange(&mut fleet);
    // The second one writes, tells that it covers its write, and the write has not come yet.
    put(&mut fleet[1], b"x", b"v", 2);
    let told = fleet[1].version().clone();
    assert_eq!(fleet[0].stable([(NodeId(2), &told)]), None);
}

#[test]
fn a_member_that_was_away_gets_everything_and_keeps_what_it_wrote() {
    let mut fleet = fleet(4);
    churn(&mut fleet, 1);
    // The third and the fourth are away; the others go on without them, round after round.
    let mut away = fleet.split_off(2);
    for round in 0..4 {
        for key in 30..50u8 {
            put(&mut fleet[0], &[key], b"w", 10 + round);
        }
        exchange(&mut fleet);
        for key in 30..50u8 {
            remove(&mut fleet[1], &[key], 11 + round);
        }
        exchange(&mut fleet);
        for _ in 0..3 {
            compact(&mut fleet, &[0, 1]);
            exchange(&mut fleet);
        }
    }
    assert!(fleet[0].cells() < away[0].cells());
    put(&mut away[0], b"mine", b"here", 5);
    // Back: what fits joins, what does not is asked for again in whole.
    let mut reseeded = 0;
    for (from, to) in [(0, 0), (1, 1)] {
        reseeded += sync(&mut fleet[from], &mut away[to]).unwrap().reseed.len();
    }
    assert!(reseeded > 0, "the dropped dots of long ago are not named any more");
    fleet.append(&mut away);
    for from in 0..4 {
        for to in (0..4).filter(|to| *to != from) {
            let [from, to] = fleet.get_disjoint_mut([from, to]).unwrap();
            heal_pair(from, to);
        }
    }
    exchange(&mut fleet);
    for replica in &fleet {
        assert_eq!(replica.digest(), fleet[0].digest());
        assert_eq!(replica.map_get(b"m", b"mine"), Some(&b"here"[..]));
        assert_eq!(replica.map_entries(b"m").count(), 1);
    }
}

#[test]
fn a_crash_between_compactions_loses_nothing() {
    let mut fleet = fleet(3);
    churn(&mut fleet, 1);
    for round in 0..4 {
        // Whoever compacted crashes before or after it told anyone.
        compact(&mut fleet, &[0, 1, 2]);
        let crashed = &mut fleet[round % 3];
        let restored = Replica::restore(crashed.actor(), LIMITS, &crashed.snapshot()).unwrap();
        assert_eq!(restored.digest(), crashed.digest());
        *crashed = restored;
        exchange(&mut fleet);
    }
    for replica in &fleet {
        assert_eq!((replica.cells(), replica.digest()), (2, fleet[0].digest()));
    }
}

#[test]
fn members_of_sets_go_too() {
    let mut fleet = fleet(2);
    for member in 0..20u8 {
        fleet[0].write(Op::SetAdd { name: b"s", member: &[member] }, DtnTime(1)).unwrap();
    }
    exchange(&mut fleet);
    for member in 0..19u8 {
        fleet[1].write(Op::SetRemove { name: b"s", member: &[member] }, DtnTime(2)).unwrap();
    }
    exchange(&mut fleet);
    for _ in 0..3 {
        compact(&mut fleet, &[0, 1]);
        exchange(&mut fleet);
    }
    assert_eq!(fleet[0].cells(), 3);
    assert_eq!(fleet[0].set_members(b"s").collect::<Vec<_>>(), [[19]]);
    assert_eq!(fleet[0].digest(), fleet[1].digest());
}
