//! Attacks on shared state by a member: another's name, counters beyond all bounds, floods of what is removed again.

use crate::fleet::{Fleet, keys};
use cosmosmesh_protocol::{
    contract::{Field, Registry, Schema, Type, standard},
    envelope::Purpose,
    id::NodeId,
    identity::{Cause, Certificate, KeyId, KeyPair, RevocationList, Revoked, Statement, Succession},
    node::{Input, SharedStateConfig},
    sync::{Op, Replica, SyncLimits, SyncMessage, VersionVector},
    time::DtnTime,
};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// Node 3 alone, in shared state with 1, 2 and 4; the attacker brings it what he likes.
fn victim() -> Fleet {
    victim_at("")
}

/// As [`victim`], in a part of the fleet.
fn victim_at(home: &str) -> Fleet {
    Fleet::built(&[(3, 3, &[])], &[], |_, config| {
        config.trust.as_mut().expect("made above").scope = home.parse().expect("a scope");
        let limits = SyncLimits { cells: 1000, ..SyncLimits::default() };
        config.shared_state = Some(SharedStateConfig {
            members: (1..=4).map(NodeId).collect(),
            limits,
            push_interval: Duration::from_secs(10),
            anti_entropy_interval: HOUR,
            audit_every: 0,
            horizon: 24 * HOUR,
            roles: std::sync::Arc::default(),
            max_delta: 2000,
            lifetime: 24 * HOUR,
        });
    })
}

/// A replica that knows no limits.
fn lawless(actor: u64) -> Replica {
    let limits = SyncLimits { cells: 1 << 20, counter: u64::MAX, ..SyncLimits::default() };
    Replica::new(NodeId(actor), limits)
}

/// All that a replica has, signed.
fn delta(mut replica: Replica, keys: &KeyPair) -> Vec<u8> {
    replica.sign(keys);
    SyncMessage::Delta(replica.delta_since(&VersionVector::default(), usize::MAX).expect("writes")).encode()
}

/// A member brings a message of shared state: what the replica refuses of it.
fn bring(fleet: &mut Fleet, from: u64, sequence: u64, payload: &[u8]) -> Vec<&'static str> {
    let known = fleet.module_refusals(3).len();
    let header = fleet.header(from, 3, Purpose::Sync, sequence);
    assert_eq!(fleet.forge_bytes(&keys(from), header, payload), None, "the envelope is the member's");
    fleet.module_refusals(3).split_off(known)
}

fn digest(fleet: &Fleet) -> [u8; 32] {
    fleet.hosts[&3].node.replica().expect("configured").digest()
}

#[test]
fn a_write_in_anothers_name_is_refused() {
    let mut fleet = victim();
    let before = digest(&fleet);
    let mut forged = lawless(1);
    forged.write(Op::Register { name: b"goal", value: b"crater" }, DtnTime::UNKNOWN).expect("a write");
    assert_eq!(bring(&mut fleet, 2, 1, &delta(forged, &keys(2))), ["sync_bad_signature"]);
    let mut stranger = lawless(77);
    stranger.write(Op::Register { name: b"goal", value: b"crater" }, DtnTime::UNKNOWN).expect("a write");
    assert_eq!(bring(&mut fleet, 2, 2, &delta(stranger, &keys(77))), ["sync_unknown_actor"]);
    assert_eq!(digest(&fleet), before);
    // Its own writes are taken.
    let mut own = lawless(2);
    own.write(Op::Register { name: b"goal", value: b"ridge" }, DtnTime::UNKNOWN).expect("a write");
    assert!(bring(&mut fleet, 2, 3, &delta(own, &keys(2))).is_empty());
    assert_ne!(digest(&fleet), before);
}

#[test]
fn a_counter_beyond_2_to_the_63_is_refused() {
    let mut fleet = victim();
    let before = digest(&fleet);
    let mut replica = lawless(2);
    for _ in 0..2 {
        replica.write(Op::Count { name: b"samples", by: i64::MAX }, DtnTime::UNKNOWN).expect("no limit");
    }
    assert_eq!(bring(&mut fleet, 2, 1, &delta(replica, &keys(2))), ["sync_counter"]);
    assert_eq!(digest(&fleet), before);
    assert_eq!(fleet.hosts[&3].node.replica().expect("configured").counter(b"samples"), 0);
}

#[test]
fn a_flood_of_what_is_removed_again_is_refused_at_the_limit() {
    let mut fleet = victim();
    let before = digest(&fleet);
    let mut replica = lawless(2);
    for number in 0..3000_u32 {
        let key = number.to_be_bytes();
        replica.write(Op::MapPut { name: b"m", key: &key, value: b"x" }, DtnTime::UNKNOWN).expect("a write");
        replica.write(Op::MapRemove { name: b"m", key: &key }, DtnTime::UNKNOWN).expect("a write");
    }
    assert_eq!(bring(&mut fleet, 2, 1, &delta(replica, &keys(2))), ["sync_too_many"]);
    assert_eq!(digest(&fleet), before);
    // The others still write.
    let mut honest = lawless(1);
    honest.write(Op::Register { name: b"goal", value: b"ridge" }, DtnTime::UNKNOWN).expect("a write");
    assert!(bring(&mut fleet, 1, 1, &delta(honest, &keys(1))).is_empty());
}

#[test]
fn what_a_member_may_not_write_does_not_come_in_by_way_of_another() {
    let mut fleet = victim();
    let before = digest(&fleet);
    let mut observer = lawless(4);
    observer.write(Op::Register { name: b"goal", value: b"home" }, DtnTime::UNKNOWN).expect("a write");
    assert_eq!(bring(&mut fleet, 2, 1, &delta(observer.clone(), &keys(4)))[0], "denied");
    let entries = fleet.entries(3).len();
    for sequence in 2..=20 {
        bring(&mut fleet, 2, sequence, &delta(observer.clone(), &keys(4)));
    }
    let denied = fleet.events(3).into_iter().filter(
        |event| matches!(event, cosmosmesh_protocol::log::Event::Denied { subject, .. } if subject.0 == 4),
    );
    assert_eq!(denied.count(), 1, "the writer is named, once");
    assert!(fleet.entries(3).len() < entries + 40);
    assert_eq!(digest(&fleet), before);
}

#[test]
fn what_a_stolen_key_wrote_does_not_come_in_by_way_of_another_after_the_list() {
    let mut fleet = victim();
    let before = digest(&fleet);
    let revoked = Revoked { since: DtnTime(crate::fleet::BEGIN), cause: Cause::Compromised };
    let key = ((NodeId(1), KeyId::of(keys(1).public())), revoked);
    let list = RevocationList { version: 2, issued: DtnTime(crate::fleet::BEGIN), keys: [key].into() };
    let list = Statement::Revocations(list.issue(&crate::fleet::authority()));
    fleet.input(3, Input::Learn(list)).expect("the authority's");
    let mut thief = lawless(1);
    thief.write(Op::Register { name: b"goal", value: b"crater" }, DtnTime::UNKNOWN).expect("a write");
    assert!(!bring(&mut fleet, 2, 1, &delta(thief, &keys(1))).is_empty());
    assert_eq!(digest(&fleet), before);
    // The owner's, under the key that the authority has certified since, do.
    let anew = crate::fleet::certificate(1, 11, 1, 60).issue(&crate::fleet::authority());
    fleet.input(3, Input::Learn(Statement::Certificate(anew))).expect("newer");
    let mut owner = lawless(1);
    owner.write(Op::Register { name: b"goal", value: b"ridge" }, DtnTime::UNKNOWN).expect("a write");
    assert_eq!(bring(&mut fleet, 2, 2, &delta(owner, &keys(11))), [""; 0]);
    assert_ne!(digest(&fleet), before);
}

#[test]
fn a_writer_for_another_part_of_the_fleet_does_not_come_in_by_way_of_another() {
    let mut fleet = victim_at("moon/base");
    let before = digest(&fleet);
    let elsewhere =
        Certificate { scope: "mars".parse().expect("a scope"), ..crate::fleet::certificate(1, 1, 1, 60) };
    let statement = Statement::Certificate(elsewhere.issue(&crate::fleet::authority()));
    fleet.input(3, Input::Learn(statement)).expect("newer");
    let mut writer = lawless(1);
    writer.write(Op::Register { name: b"goal", value: b"crater" }, DtnTime::UNKNOWN).expect("a write");
    assert_eq!(bring(&mut fleet, 2, 1, &delta(writer, &keys(1)))[0], "denied");
    assert_eq!(digest(&fleet), before);
}

#[test]
fn what_a_writer_signed_before_its_key_changed_is_still_known_by_that() {
    let mut fleet = victim();
    let before = digest(&fleet);
    let link = Succession::sign(NodeId(2), 1, DtnTime(crate::fleet::BEGIN), &keys(2), &keys(22));
    fleet.input(3, Input::Learn(Statement::Succession(link))).expect("signed by the key in force");
    let mut silent = lawless(2);
    silent.write(Op::Register { name: b"goal", value: b"ridge" }, DtnTime::UNKNOWN).expect("a write");
    assert_eq!(bring(&mut fleet, 1, 1, &delta(silent, &keys(2))), [""; 0]);
    assert_ne!(digest(&fleet), before);
}

#[test]
fn an_observer_writes_nothing_and_a_clock_far_ahead_wins_nothing() {
    let mut fleet = victim();
    let before = digest(&fleet);
    let mut replica = lawless(4);
    replica.write(Op::Register { name: b"goal", value: b"home" }, DtnTime::UNKNOWN).expect("a write");
    assert_eq!(bring(&mut fleet, 4, 1, &delta(replica, &keys(4))), ["denied"]);
    let mut ahead = lawless(2);
    let late = DtnTime(crate::fleet::BEGIN + 400 * crate::fleet::DAY);
    ahead.write(Op::Register { name: b"goal", value: b"home" }, late).expect("a write");
    assert_eq!(bring(&mut fleet, 2, 1, &delta(ahead, &keys(2))), ["sync_time"]);
    assert_eq!(digest(&fleet), before);
}

/// The next version of trades, with one more field.
fn next_trade() -> Schema {
    let mut schema =
        standard().into_iter().find(|schema| schema.version.name == "trade").expect("a standard contract");
    schema.version.minor = 1;
    schema.fields.push(Field { number: 40, name: "note".into(), required: false, holds: Type::Bool });
    schema
}

#[test]
fn only_who_may_change_schemas_publishes_one() {
    let mut fleet = victim();
    let schema = next_trade();
    // Node 3 itself is a contributor: its own door says no.
    let own = Registry::standard().publish(&schema, |op| fleet.input(3, Input::Write(op)));
    assert_eq!(crate::fleet::refused(own.expect("compatible")), Some("denied"));
    let published = |author: u64| {
        let mut replica = lawless(author);
        let write = |op: Op<'_>| replica.write(op, DtnTime::UNKNOWN).map(drop);
        Registry::standard().publish(&schema, write).expect("compatible").expect("a write");
        delta(replica, &keys(author))
    };
    let knows = |fleet: &Fleet| {
        let registry = fleet.hosts[&3].node.registry().expect("shared state");
        registry.schema(schema.id()).is_some()
    };
    // Nor does an operator's count, though its write is signed and stays in the state.
    assert_eq!(bring(&mut fleet, 2, 1, &published(2)), ["contract_denied"]);
    assert!(!knows(&fleet));
    // An admin's does.
    let mut other = victim();
    assert!(bring(&mut other, 1, 1, &published(1)).is_empty());
    assert!(knows(&other));
}

#[test]
fn only_members_read_the_log() {
    let mut fleet = Fleet::new();
    let ask = |fleet: &mut Fleet, reader: u64| {
        crate::fleet::refused(fleet.input(3, Input::ReadLog { reader: NodeId(reader) }))
    };
    assert_eq!(ask(&mut fleet, 4), None, "an observer reads what happened");
    assert_eq!(ask(&mut fleet, 77), Some("denied"));
    let denied = fleet.events(3).into_iter().any(|event| {
        matches!(event, cosmosmesh_protocol::log::Event::Denied { subject, action, rule }
            if subject.0 == 77 && &*action == "read-log" && &*rule == "no_certificate")
    });
    assert!(denied, "and that somebody else asked is written down");
}
