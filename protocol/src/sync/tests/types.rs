//! What the types mean: who wins, and why.

use super::*;
use alloc::{collections::BTreeMap, string::ToString, sync::Arc};

#[test]
fn an_addition_wins_over_a_concurrent_removal() {
    let (mut left, mut right) = (replica(1), replica(2));
    left.write(Op::SetAdd { name: b"s", member: b"x" }, DtnTime(1)).unwrap();
    sync(&mut left, &mut right);
    left.write(Op::SetAdd { name: b"s", member: b"x" }, DtnTime(2)).unwrap();
    right.write(Op::SetRemove { name: b"s", member: b"x" }, DtnTime(3)).unwrap();
    assert!(!right.set_contains(b"s", b"x"));
    sync(&mut left, &mut right);
    sync(&mut right, &mut left);
    assert!(left.set_contains(b"s", b"x") && right.set_contains(b"s", b"x"));
    assert_eq!(left.digest(), right.digest());
}

#[test]
fn an_addition_by_the_remover_does_not_bring_back_what_it_removed() {
    let (mut x, mut y, mut z) = (replica(1), replica(2), replica(3));
    let (add, remove) = (Op::SetAdd { name: b"s", member: b"e" }, Op::SetRemove { name: b"s", member: b"e" });
    y.write(add, DtnTime(1)).unwrap();
    sync(&mut y, &mut x);
    x.write(remove, DtnTime(2)).unwrap();
    x.write(add, DtnTime(3)).unwrap();
    // z sees only what x wrote, and removes it; then y's addition, which x had removed, reaches z.
    let mut only_x = delta(&mut x, z.version(), usize::MAX).unwrap();
    only_x.runs.remove(&NodeId(2).into());
    apply(&mut z, 1, &only_x);
    z.write(remove, DtnTime(4)).unwrap();
    sync(&mut y, &mut z);
    assert!(!z.set_contains(b"s", b"e"));
}

#[test]
fn the_later_write_wins_whatever_arrives_first() {
    let (mut left, mut right) = (replica(1), replica(2));
    left.write(Op::Register { name: b"r", value: b"late" }, DtnTime(9)).unwrap();
    right.write(Op::Register { name: b"r", value: b"early" }, DtnTime(5)).unwrap();
    sync(&mut left, &mut right);
    sync(&mut right, &mut left);
    assert_eq!((left.register(b"r"), right.register(b"r")), (Some(&b"late"[..]), Some(&b"late"[..])));
    // Whoever has seen a value can replace it, even with a slow clock.
    right.write(Op::Register { name: b"r", value: b"mine" }, DtnTime(1)).unwrap();
    sync(&mut right, &mut left);
    assert_eq!(left.register(b"r"), Some(&b"mine"[..]));
}

#[test]
fn of_concurrent_writes_the_greater_role_stands_and_who_saw_it_can_replace_it() {
    let roles = Arc::new(Roles::new(BTreeMap::from([(NodeId(1), Role(5))]), Role(1)));
    let member = |actor| replica(actor).with_roles(roles.clone());
    let (mut chief, mut late, mut last) = (member(1), member(2), member(3));
    put(&mut chief, b"k", b"chief", 10);
    put(&mut late, b"k", b"late", 99);
    put(&mut last, b"k", b"last", 99);
    for (from, to) in [(0, 1), (1, 2), (2, 0), (0, 1), (1, 2)] {
        let mut all = [&mut chief, &mut late, &mut last];
        let [from, to] = all.get_disjoint_mut([from, to]).unwrap();
        sync(from, to);
    }
    assert_eq!(late.map_get(b"m", b"k"), Some(&b"chief"[..]));
    assert_eq!(late.explain(b"m", b"k"), last.explain(b"m", b"k"));
    let explanation = chief.explain(b"m", b"k").unwrap();
    assert_eq!(explanation.stands.dot, Dot { actor: NodeId(1).into(), sequence: 1 });
    assert_eq!(
        explanation.others.iter().map(|(_, because)| *because).collect::<Vec<_>>(),
        [Because::Role; 2]
    );
    // Authority decides between those who did not know of each other, no further.
    put(&mut late, b"k", b"better", 20);
    sync(&mut late, &mut last);
    assert_eq!(last.map_get(b"m", b"k"), Some(&b"better"[..]));
    let text = last.explain(b"m", b"k").unwrap().to_string();
    assert!(text.starts_with("2:2 (role 1, clock 99.1) better stands"), "{text}");
    assert!(text.contains("1:1 (role 5, clock 10.0) chief was seen and replaced by 2:2"), "{text}");
    assert!(text.contains("3:1 (role 1, clock 99.0) last was seen and replaced by 2:2"), "{text}");
    assert_eq!(last.differences(&chief, b"m"), [b"k"]);
    assert_eq!(last.explanations().map(|(kind, ..)| kind).collect::<Vec<_>>(), [Kind::Map]);
    sync(&mut late, &mut chief);
    assert_eq!(last.differences(&chief, b"m"), Vec::<Vec<u8>>::new());
}

#[test]
fn what_a_write_replaced_stays_replaced_when_its_writer_writes_again() {
    let (mut low, mut high, mut third) = (replica(1), replica(9), replica(5));
    put(&mut high, b"k", b"replaced", 50);
    sync(&mut high, &mut low);
    put(&mut low, b"k", b"first", 1);
    put(&mut low, b"k", b"second", 2);
    sync(&mut low, &mut third);
    assert_eq!(third.map_get(b"m", b"k"), Some(&b"second"[..]));
    assert_eq!(third.map_write(b"m", b"k").unwrap().0, Dot { actor: NodeId(1).into(), sequence: 2 });
}

#[test]
fn a_counter_adds_up_over_actors() {
    let (mut left, mut right) = (replica(1), replica(2));
    for by in [5, -7, i64::MIN / 4] {
        left.write(Op::Count { name: b"c", by }, DtnTime(0)).unwrap();
    }
    right.write(Op::Count { name: b"c", by: 10 }, DtnTime(0)).unwrap();
    sync(&mut left, &mut right);
    assert_eq!(right.counter(b"c"), 8 + i128::from(i64::MIN / 4));
}

#[test]
fn a_peer_that_has_everything_gets_nothing() {
    let (mut left, mut right) = (replica(1), replica(2));
    put(&mut left, b"k", b"v", 1);
    assert!(sync(&mut left, &mut right).is_some());
    assert_eq!(left.delta_since(right.version(), usize::MAX), None);
    assert_eq!(right.delta_since(left.version(), usize::MAX), None);
}

#[test]
fn fifty_updates_by_fifty_actors_take_few_bytes() {
    let mut shared = replica(ACTORS);
    let mut writers: Vec<Replica> = (1..=50).map(replica).collect();
    for key in 0..1_000_u64 {
        let writer = &mut writers[(key % 50) as usize];
        put(writer, alloc::format!("k{key:03}").as_bytes(), &[7, 1], 1_000);
    }
    for writer in &mut writers {
        sync(writer, &mut shared);
    }
    for writer in &mut writers {
        sync(&mut shared, writer);
    }
    let before = shared.version().clone();
    for (index, writer) in writers.iter_mut().enumerate() {
        let key = alloc::format!("k{:03}", (index * 389 + 1) % 1_000);
        put(writer, key.as_bytes(), &[index as u8, 2], 800_000_000_000 + (index as u64 * 7_919) % 60_000);
        sync(writer, &mut shared);
    }
    let delta = shared.delta_since(&before, usize::MAX).unwrap();
    assert_eq!((delta.cells(), delta.signatures()), (50, 50));
    let plain = delta.encode().len() - 50 * 64;
    assert!(plain <= 361, "{plain} bytes");
    assert!(shared.version().encode().len() <= 123);
    assert_eq!(Delta::decode(&delta.encode()), Ok(delta));
}
