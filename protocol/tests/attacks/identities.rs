//! Attacks on who speaks for whom: stolen, substituted, revoked and expired keys.

use crate::fleet::{BEGIN, DAY, Fleet, authority, certificate, keys};
use cosmosmesh_protocol::{
    envelope::{Purpose, seal},
    id::NodeId,
    identity::{Cause, RevocationList, Statement, Succession},
    node::Input,
    time::DtnTime,
};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn learn(fleet: &mut Fleet, name: u64, statement: Statement) -> Option<&'static str> {
    crate::fleet::refused(fleet.input(name, Input::Learn(statement)))
}

#[test]
fn keys_substituted_in_gossip_are_refused() {
    let mut fleet = Fleet::new();
    let thief = certificate(2, 66, 1, 40);
    let by_another = Statement::Certificate(thief.issue(&keys(66)));
    assert_eq!(learn(&mut fleet, 3, by_another), Some("other_authority"));
    let self_made = Succession::sign(NodeId(2), 1, DtnTime(BEGIN), &keys(66), &keys(67));
    assert_eq!(learn(&mut fleet, 3, Statement::Succession(self_made)), Some("succession_other_key"));
    let list = RevocationList { version: 9, issued: DtnTime(BEGIN + DAY), ..RevocationList::default() };
    assert_eq!(learn(&mut fleet, 3, Statement::Revocations(list.issue(&keys(66)))), Some("other_authority"));
    fleet.submit(2, 3, Purpose::Command, "dig");
    fleet.run_for(HOUR);
    assert_eq!(fleet.texts(3), ["dig"]);
}

#[test]
fn certificates_before_their_time_and_after_their_end_are_refused() {
    let mut fleet = Fleet::new();
    let early = Statement::Certificate(certificate(2, 2, 20, 50).issue(&authority()));
    assert_eq!(learn(&mut fleet, 3, early), Some("certificate_not_yet_valid"));
    // The authority goes on, and does not renew: member 2 is not wanted any more.
    let list = RevocationList { version: 2, issued: DtnTime(BEGIN + 45 * DAY), ..RevocationList::default() };
    assert_eq!(learn(&mut fleet, 3, Statement::Revocations(list.issue(&authority()))), None);
    fleet.set_clock(3, DtnTime(BEGIN + 45 * DAY));
    let header = fleet.header(2, 3, Purpose::Telemetry, 1);
    assert_eq!(fleet.forge(&keys(2), header, "too late"), Some("certificate_expired"));
}

#[test]
fn what_is_no_statement_is_refused_without_a_panic() {
    let mut fleet = Fleet::new();
    let nested = [0x81; 300].to_vec();
    for statement in [
        Statement::Certificate(Vec::new()),
        Statement::Certificate(nested.clone()),
        Statement::Succession(nested.clone()),
        Statement::Revocations(nested),
        Statement::Revocations(vec![0xff; 40 * 1024]),
        Statement::Certificate([&[0xd2, 0x9f][..], &[0; 200]].concat()),
    ] {
        assert!(learn(&mut fleet, 3, statement).is_some());
    }
}

#[test]
fn signatures_with_s_above_the_order_are_refused() {
    /// The order of the base point, little-endian (RFC 8032 §5.1).
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut bytes = certificate(2, 2, 1, 50).issue(&authority());
    let at = bytes.len() - 32;
    let mut carry = 0_u16;
    for (byte, order) in bytes[at..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    let mut fleet = Fleet::new();
    assert_eq!(learn(&mut fleet, 3, Statement::Certificate(bytes)), Some("bad_certificate_signature"));
    let good = Statement::Certificate(certificate(2, 2, 1, 50).issue(&authority()));
    assert_eq!(learn(&mut fleet, 3, good), None);
}

#[test]
fn a_stolen_key_is_good_until_the_revocation_comes_and_nothing_in_flight_passes_after() {
    let mut fleet = Fleet::new();
    let before = fleet.header(2, 3, Purpose::Command, 1);
    assert_eq!(fleet.forge(&keys(2), before, "a thief's order"), None, "nobody can know");
    // In flight when the key is taken back.
    let flying = fleet.header(2, 3, Purpose::Command, 2);
    let envelope = seal(&keys(2), &flying, b"in flight");
    fleet
        .input(1, Input::Revoke { node: NodeId(2), cause: Cause::Compromised })
        .expect("the authority's key");
    fleet.run_for(HOUR);
    let revoked = fleet.hosts[&3].node.keyring().map(|ring| ring.list().version);
    assert!(revoked.is_some_and(|version| version > 1), "the list has spread");
    let brought = crate::fleet::refused(fleet.bring(3, 2, 5000, envelope));
    assert_eq!(brought, Some("blocked_source"));
    assert_eq!(fleet.texts(3), ["a thief's order"]);
    // The owner is heard again under a new key.
    let anew = certificate(2, 22, 1, 60);
    fleet.input(1, Input::Learn(Statement::Certificate(anew.issue(&authority())))).expect("new");
    fleet.run_for(HOUR);
    let header = fleet.header(2, 3, Purpose::Command, 2);
    assert_eq!(fleet.forge(&keys(22), header, "the owner's order"), None);
    assert_eq!(
        fleet.forge(&keys(2), fleet.header(2, 3, Purpose::Command, 3), "the thief's"),
        Some("bad_signature")
    );
}

#[test]
fn neighbours_hear_of_a_key_that_was_taken_back_before_their_turn_and_pass_it_on() {
    // Turns come every six hours.
    let mut fleet = Fleet::slow();
    // Node 4 hears of node 1 through 3 alone.
    for peer in [1, 2] {
        fleet.meet(4, peer, false);
    }
    fleet
        .input(1, Input::Revoke { node: NodeId(2), cause: Cause::Compromised })
        .expect("the authority's key");
    fleet.run_for(Duration::from_secs(60));
    for node in [3, 4] {
        let blocked = fleet.hosts[&node].node.keyring().and_then(|ring| ring.blocked(NodeId(2)));
        assert!(blocked.is_some(), "node {node} knows");
    }
}

#[test]
fn only_the_holder_of_the_authoritys_key_takes_keys_back() {
    let mut fleet = Fleet::new();
    let revoke = Input::Revoke { node: NodeId(1), cause: Cause::Blocked };
    assert!(fleet.input(3, revoke).is_err());
}

#[test]
fn a_node_offline_through_three_rotations_walks_the_chain() {
    let mut fleet = Fleet::new();
    for peer in [1, 2, 3] {
        fleet.meet(4, peer, false);
    }
    for key in [22, 23, 24] {
        fleet.rotate(2, key);
        fleet.run_for(HOUR);
    }
    fleet.submit(2, 3, Purpose::Telemetry, "under the fourth key");
    fleet.run_for(HOUR);
    assert_eq!(fleet.texts(3), ["under the fourth key"]);
    let known = |fleet: &Fleet| fleet.hosts[&4].node.keyring().map(|ring| ring.successions(NodeId(2)));
    assert_eq!(known(&fleet), Some(0));
    for peer in [1, 3] {
        fleet.meet(4, peer, true);
    }
    fleet.run_for(HOUR);
    assert_eq!(known(&fleet), Some(3));
    fleet.meet(4, 2, true);
    fleet.submit(2, 4, Purpose::Telemetry, "heard again");
    fleet.run_for(HOUR);
    assert_eq!(fleet.texts(4), ["heard again"]);
    fleet.restart(2);
    fleet.submit(2, 4, Purpose::Telemetry, "after a restart");
    fleet.run_for(HOUR);
    assert_eq!(fleet.texts(4), ["heard again", "after a restart"]);
}

#[test]
fn what_is_not_acknowledged_when_a_key_rotates_arrives_under_the_new_one() {
    let mut fleet = Fleet::draining(HOUR);
    fleet.meet(2, 3, false);
    fleet.submit(2, 3, Purpose::Command, "dig");
    fleet.run_for(HOUR);
    fleet.rotate(2, 22);
    fleet.run_for(2 * HOUR);
    // The drain is over: only the new key is good.
    fleet.meet(2, 3, true);
    fleet.run_for(HOUR);
    assert_eq!(fleet.texts(3), ["dig"]);
}

#[test]
fn certificates_are_renewed_over_the_network_before_they_end() {
    let mut fleet = Fleet::slow();
    fleet.run_for(Duration::from_millis(40 * DAY));
    let end = DtnTime(BEGIN + 45 * DAY);
    for (name, host) in &fleet.hosts {
        let ring = host.node.keyring().expect("trust is on");
        for node in 1..=4 {
            let expires = ring.certificate(NodeId(node)).map(|certificate| certificate.expires);
            assert!(expires > Some(end), "node {node} at {name}: {expires:?}");
        }
        assert!(ring.heard() > DtnTime(BEGIN + 30 * DAY), "a sign of life");
    }
    fleet.submit(2, 3, Purpose::Command, "dig");
    fleet.run_for(HOUR);
    assert_eq!(fleet.texts(3), ["dig"]);
}

#[test]
fn an_authority_out_of_reach_for_months_leaves_readings_and_takes_orders_away() {
    let mut fleet = Fleet::built(&[(2, 2, &[3]), (3, 3, &[2])], &[(2, 3), (3, 2)], |_, config| {
        let trust = config.trust.as_mut().expect("these trust");
        (trust.interval, trust.lifetime) = (24 * HOUR, Duration::from_secs(60));
    });
    fleet.run_for(Duration::from_millis(150 * DAY));
    fleet.submit(2, 3, Purpose::Command, "dig");
    fleet.submit(2, 3, Purpose::Telemetry, "4 V");
    fleet.run_for(HOUR);
    assert_eq!(fleet.texts(3), ["4 V"]);
}
