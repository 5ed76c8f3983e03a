//! What a peer cannot do, and what comes of a lost memory.

use super::*;
use crate::sync::{
    cell::{Cell, CellKey, Content},
    delta::Run,
    spans::Spans,
};

fn run(upto: u64, cells: Vec<(CellKey, Cell)>) -> Run {
    Run { base: 0, upto, head: upto, signature: None, patch: false, cells }
}

fn total(actor: u64, plus: u64, sequence: u64) -> (CellKey, Cell) {
    let key = CellKey {
        kind: Kind::Counter,
        name: b"c"[..].into(),
        item: [][..].into(),
        actor: NodeId(actor).into(),
    };
    (key, Cell { sequence, content: Content::Total { plus, minus: 0 } })
}

fn refused(victim: &mut Replica, actor: u64, run: Run) -> SyncError {
    let before = victim.digest();
    let applied = apply(victim, 9, &Delta { runs: [(NodeId(actor).into(), run)].into() });
    assert_eq!(victim.digest(), before);
    assert!(applied.news.is_empty());
    applied.refused[0].1
}

#[test]
fn poison_is_refused_with_its_reason() {
    let mut victim = replica(1);
    let jump = refused(&mut victim, 2, run(u64::MAX, vec![]));
    assert!(matches!(jump, SyncError::Sequence { found: u64::MAX, .. }), "{jump:?}");
    let counter = refused(&mut victim, 2, run(1, vec![total(2, 1 << 63, 1)]));
    assert!(matches!(counter, SyncError::Counter { .. }), "{counter:?}");
    let outside = refused(&mut victim, 2, run(1, vec![total(2, 1, 2)]));
    assert!(matches!(outside, SyncError::Inconsistent { sequence: 2, .. }), "{outside:?}");
    let twice = refused(&mut victim, 2, run(2, vec![total(2, 1, 1), total(2, 2, 1)]));
    assert!(matches!(twice, SyncError::Inconsistent { sequence: 1, .. }), "{twice:?}");
    let mut spans = Spans::new();
    spans.insert(1, 9);
    let key = CellKey { kind: Kind::Dropped, name: [].into(), item: [].into(), actor: NodeId(2).into() };
    let dropped = (key, Cell { sequence: 5, content: Content::Dropped(spans) });
    let future = refused(&mut victim, 2, run(5, vec![dropped]));
    assert!(matches!(future, SyncError::Inconsistent { sequence: 5, .. }), "{future:?}");
    assert_eq!(
        refused(&mut victim, 2, run(1, vec![total(2, 1, 1)])),
        SyncError::Signature { actor: NodeId(2).into() }
    );
    assert_eq!(
        refused(&mut victim, 1_000, run(1, vec![total(1_000, 1, 1)])),
        SyncError::Stranger { actor: NodeId(1_000).into() }
    );
}

/// Two writes of which the second replaces the first, and one beside them.
fn history() -> (Replica, Delta) {
    let mut writer = replica(2);
    put(&mut writer, b"a", b"1", 1);
    put(&mut writer, b"b", b"1", 2);
    put(&mut writer, b"a", b"2", 3);
    let delta = delta(&mut writer, &VersionVector::new(), usize::MAX).unwrap();
    (writer, delta)
}

#[test]
fn a_relay_can_hand_on_what_a_third_party_checks() {
    let (mut writer, _) = history();
    let (mut relay, mut third) = (replica(3), replica(4));
    sync(&mut writer, &mut relay);
    let applied = sync(&mut relay, &mut third).unwrap();
    assert_eq!((applied.checked, applied.news[0].last), (1, 3));
    assert_eq!(third.digest(), writer.digest());
}

#[test]
fn a_relay_cannot_change_leave_out_or_bring_back() {
    let (_, good) = history();
    let tampered = |change: &dyn Fn(&mut Run)| {
        let mut run = good.runs[&NodeId(2).into()].clone();
        change(&mut run);
        run
    };
    let refusals = [
        tampered(&|run| {
            let Content::Value { value, .. } = &mut run.cells[0].1.content else { panic!("a value") };
            *value = Some(b"x"[..].into());
        }),
        tampered(&|run| {
            let Content::Value { role, .. } = &mut run.cells[0].1.content else { panic!("a value") };
            role.0 = 0;
            run.cells[0].0.item = b"z"[..].into();
        }),
        tampered(&|run| drop(run.cells.remove(0))),
        tampered(&|run| run.cells[0].1.sequence = 1),
        tampered(&|run| {
            run.head = 4;
            run.upto = 4;
        }),
        tampered(&|run| run.signature = None),
    ];
    for run in refusals {
        assert_eq!(refused(&mut replica(4), 2, run), SyncError::Signature { actor: NodeId(2).into() });
    }
    // What was signed before is no news to who knows what came later.
    let (mut writer, _) = history();
    let mut third = replica(4);
    sync(&mut writer, &mut third);
    put(&mut writer, b"a", b"3", 9);
    sync(&mut writer, &mut third);
    assert!(apply(&mut third, 3, &good).news.is_empty());
    assert_eq!(third.map_get(b"m", b"a"), Some(&b"3"[..]));
}

#[test]
fn a_role_that_was_not_granted_is_refused() {
    let (_, good) = history();
    let mut run = good.runs[&NodeId(2).into()].clone();
    let Content::Value { role, .. } = &mut run.cells[0].1.content else { panic!("a value") };
    role.0 = 7;
    let found = refused(&mut replica(4), 2, run);
    assert_eq!(found, SyncError::Role { actor: NodeId(2).into(), found: Role(7), max: Role(0) });
}

#[test]
fn a_clock_far_ahead_waits_for_its_time() {
    let (mut writer, mut third) = (replica(2), replica(4));
    put(&mut writer, b"a", b"1", 2_000_000);
    let delta = delta(&mut writer, &VersionVector::new(), usize::MAX).unwrap();
    let at = |now: u64| Trust { directory: directory(), now: DtnTime(now) };
    let early = third.apply_from(NodeId(2), &delta, at(1_399_999)).unwrap();
    let (found, max) = (DtnTime(2_000_000), DtnTime(1_999_999));
    assert_eq!(early.refused, [(NodeId(2).into(), SyncError::Time { actor: NodeId(2).into(), found, max })]);
    assert!(third.version().is_empty());
    assert_eq!(third.apply_from(NodeId(2), &delta, at(1_400_000)).unwrap().news.len(), 1);
}

#[test]
fn parts_are_kept_aside_until_the_whole_is_signed() {
    let (mut left, mut right) = (replica(1), replica(2));
    for key in 0..20u8 {
        put(&mut left, &[key], &[0; 30], 1);
    }
    put(&mut left, &[0], b"again", 2);
    let mut assumed = VersionVector::new();
    let mut parts = vec![];
    while let Some(part) = delta(&mut left, &assumed, 600) {
        part.steps().for_each(|(actor, _, upto)| assumed.cover(actor, upto));
        parts.push(part);
    }
    assert!(parts.len() > 2);
    // Without the first, nothing of the rest is kept.
    assert_eq!(apply(&mut right, 1, &parts[1]).gaps, [NodeId(1).into()]);
    for part in &parts {
        assert!(right.version().is_empty());
        assert!(apply(&mut right, 1, part).gaps.is_empty());
    }
    assert_eq!(right.digest(), left.digest());
}

#[test]
fn parts_that_never_end_take_what_the_limit_says() {
    let limits = SyncLimits { staged_bytes: 3_000, ..SyncLimits::default() };
    let mut victim = Replica::new(NodeId(9), limits);
    for sender in 1..=ACTORS {
        let mut writer = replica(sender);
        for key in 0..20u8 {
            put(&mut writer, &[key], &[0; 30], 1);
        }
        let part = delta(&mut writer, &VersionVector::new(), 900).unwrap();
        apply(&mut victim, sender, &part);
        let staged: usize = victim.stages.len();
        assert!(staged <= 3_000 / 500, "{staged} stages");
    }
    assert!(victim.version().is_empty());
}

#[test]
fn a_full_replica_refuses_and_stays_as_it_was() {
    let limits = SyncLimits { cells: 2, ..SyncLimits::default() };
    let (mut small, mut large) = (Replica::new(NodeId(1), limits), replica(2));
    for key in [b"a", b"b", b"c"] {
        put(&mut large, key, b"v", 1);
    }
    let applied = sync(&mut large, &mut small).unwrap();
    assert_eq!(applied.refused, [(NodeId(2).into(), SyncError::TooMany { what: "cells", found: 3, max: 2 })]);
    assert!(small.version().is_empty());
}

/// Member 2 after it lost its storage.
fn amnesiac() -> Replica {
    Replica::new(Actor { node: NodeId(2), life: 1 }, SyncLimits::default())
}

#[test]
fn who_lost_its_memory_and_wrote_meanwhile_keeps_both() {
    let (mut writer, mut peer) = (replica(2), replica(3));
    put(&mut writer, b"old", b"1", 1);
    writer.write(Op::Count { name: b"c", by: 5 }, DtnTime(1)).unwrap();
    put(&mut writer, b"both", b"1", 1);
    put(&mut writer, b"older", b"1", 1);
    sync(&mut writer, &mut peer);
    let mut amnesiac = amnesiac();
    put(&mut amnesiac, b"new", b"2", 5);
    put(&mut amnesiac, b"both", b"2", 5);
    amnesiac.write(Op::Count { name: b"c", by: 7 }, DtnTime(5)).unwrap();
    sync(&mut peer, &mut amnesiac);
    sync(&mut amnesiac, &mut peer);
    assert_eq!(amnesiac.digest(), peer.digest());
    assert_eq!(peer.map_entries(b"m").count(), 4);
    assert_eq!((peer.map_get(b"m", b"both"), peer.counter(b"c")), (Some(&b"2"[..]), 12));
    // Its next write replaces what it had written before.
    put(&mut amnesiac, b"old", b"3", 0);
    assert_eq!(amnesiac.explain(b"m", b"old").unwrap().stands.value.as_deref(), Some(&b"3"[..]));
}

#[test]
fn who_lost_its_memory_gives_no_dot_to_two_writes_though_nobody_tells_it_of_the_first() {
    let (mut writer, mut peer) = (replica(2), replica(3));
    put(&mut writer, b"old", b"1", 1);
    sync(&mut writer, &mut peer);
    let mut amnesiac = amnesiac();
    for key in 0..5u8 {
        put(&mut amnesiac, &[key], b"2", 5);
    }
    // More than it had written before, and nobody has told it of that.
    sync(&mut amnesiac, &mut peer);
    assert_eq!(peer.map_entries(b"m").count(), 6);
    sync(&mut peer, &mut amnesiac);
    assert_eq!(amnesiac.digest(), peer.digest());
}

#[test]
fn who_got_an_old_state_back_begins_a_life_with_what_it_wrote_since() {
    let (mut writer, mut peer) = (replica(2), replica(3));
    put(&mut writer, b"old", b"1", 1);
    writer.write(Op::Count { name: b"c", by: 5 }, DtnTime(1)).unwrap();
    let backup = writer.snapshot();
    put(&mut writer, b"lost", b"1", 2);
    writer.write(Op::Count { name: b"c", by: 1 }, DtnTime(2)).unwrap();
    sync(&mut writer, &mut peer);
    let mut back = Replica::restore(NodeId(2), SyncLimits::default(), &backup).unwrap();
    back.came_back(6);
    put(&mut back, b"new", b"2", 5);
    back.write(Op::Count { name: b"c", by: 10 }, DtnTime(5)).unwrap();
    let whole = delta(&mut peer, &VersionVector::new(), usize::MAX).unwrap();
    assert_eq!(apply(&mut back, 3, &whole).life, Some(Actor { node: NodeId(2), life: 6 }));
    sync(&mut back, &mut peer);
    assert_eq!(back.digest(), peer.digest());
    assert_eq!((peer.map_entries(b"m").count(), peer.counter(b"c")), (3, 16));
    assert_eq!(apply(&mut back, 3, &whole).life, None);
}

#[test]
fn a_twin_takes_nothing_from_one_that_never_went_down() {
    let (mut writer, mut twin) = (replica(2), replica(2));
    put(&mut writer, b"mine", b"1", 1);
    for key in 0..3u8 {
        put(&mut twin, &[key], b"2", 5);
    }
    let theirs = delta(&mut twin, &VersionVector::new(), usize::MAX).unwrap();
    let applied = apply(&mut writer, 3, &theirs);
    assert_eq!(applied.refused, [(NodeId(2).into(), SyncError::Twin { actor: NodeId(2).into() })]);
    assert_eq!(writer.map_entries(b"m").count(), 1);
}

#[test]
fn a_member_has_no_more_lives_than_the_limit_says() {
    let mut victim = Replica::new(NodeId(3), SyncLimits { lives: 2, ..SyncLimits::default() });
    for life in 0..4 {
        let mut writer = Replica::new(Actor { node: NodeId(2), life }, SyncLimits::default());
        put(&mut writer, b"k", b"v", 1);
        let applied = sync(&mut writer, &mut victim).unwrap();
        let over = SyncError::TooMany { what: "lives", found: 3, max: 2 };
        assert_eq!(over.reason(), "sync_lives");
        assert_eq!(
            applied.refused.iter().map(|(_, error)| *error).collect::<Vec<_>>(),
            vec![over; usize::from(life >= 2)]
        );
    }
}

#[test]
fn an_actor_that_signs_two_states_is_read_alike_by_all() {
    let (mut one, mut other) = (replica(2), replica(2));
    put(&mut one, b"k", b"one", 1);
    put(&mut other, b"k", b"other", 1);
    let (mut left, mut right) = (replica(3), replica(4));
    sync(&mut one, &mut left);
    sync(&mut other, &mut right);
    assert_eq!(left.version(), right.version());
    let whole = |from: &mut Replica| delta(from, &VersionVector::new(), usize::MAX).unwrap();
    let (from_left, from_right) = (whole(&mut left), whole(&mut right));
    apply(&mut left, 4, &from_right);
    apply(&mut right, 3, &from_left);
    assert_eq!(left.digest(), right.digest());
}
