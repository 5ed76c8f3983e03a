//! Thieves who think ahead: they rotate the key that they stole, use up its numbers, and go by way of honest members.

use crate::fleet::{BEGIN, DAY, Fleet, authority, certificate, keys, refused};
use cosmosmesh_protocol::{
    cbor,
    envelope::{Header, Purpose, seal},
    id::NodeId,
    identity::{AUTHORITY, Cause, Statement, Succession, Summary},
    node::Input,
    time::DtnTime,
};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A message of trust with these statements, the successions of `link`s among them, and a cosignature.
pub(crate) fn trust_message(statements: &[Statement], cosignature: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    cbor::put_head(&mut out, cbor::ARRAY, 9);
    cbor::put_uint(&mut out, 1);
    cbor::put_uint(&mut out, 0);
    cbor::put_head(&mut out, cbor::ARRAY, 2);
    cbor::put_uint(&mut out, 0);
    cbor::put_uint(&mut out, 0);
    cbor::put_bytes(&mut out, &[]);
    for _ in 0..3 {
        cbor::put_head(&mut out, cbor::ARRAY, 0);
    }
    cbor::put_head(&mut out, cbor::ARRAY, statements.len() as u64);
    for statement in statements {
        let (number, bytes) = statement.parts();
        cbor::put_head(&mut out, cbor::ARRAY, 2);
        cbor::put_uint(&mut out, number);
        cbor::put_bytes(&mut out, bytes);
    }
    cbor::put_bytes(&mut out, cosignature);
    out
}

fn link(from: u64, to: u64) -> Statement {
    let since = DtnTime(BEGIN + DAY);
    Statement::Succession(Succession::sign(NodeId(2), 1, since, &keys(from), &keys(to)))
}

/// The authority takes a key back, and node 3 hears of it: of nothing else that node 1 knows.
fn take_back(fleet: &mut Fleet, cause: Cause) {
    fleet.input(1, Input::Revoke { node: NodeId(2), cause }).expect("the authority's key");
    let ring = fleet.hosts[&1].node.keyring().expect("trust is on");
    let all = ring.lacking(&Summary::default(), NodeId(1), 1 << 16);
    let list = all.into_iter().find(|statement| matches!(statement, Statement::Revocations(_)));
    fleet.input(3, Input::Learn(list.expect("a list"))).expect("newer");
}

fn certify(fleet: &mut Fleet, name: u64, key: u64) {
    let anew = Statement::Certificate(certificate(2, key, 1, 60).issue(&authority()));
    fleet.input(name, Input::Learn(anew)).expect("the authority's");
}

#[test]
fn a_thief_who_rotates_before_the_revocation_does_not_escape_it() {
    // Nodes 1 and 3 do not hear each other: the authority never learns of the thief's second key.
    for cause in [Cause::Compromised, Cause::Blocked] {
        let mut fleet = Fleet::with(&[(1, 1, &[]), (3, 3, &[])], |_, _| {});
        let header = fleet.header(2, 3, Purpose::Trust, 1);
        let told = trust_message(&[link(2, 66)], &[]);
        assert_eq!(fleet.forge_bytes(&keys(66), header, &told), None, "nobody can know");
        // Numbers that the owner can never pass.
        let header = Header { incarnation: u32::MAX, ..fleet.header(2, 3, Purpose::Command, 1) };
        assert_eq!(fleet.forge(&keys(66), header, "the thief's order"), None);
        let waiting = Header { sequence: 3, ..header };
        assert_eq!(fleet.forge(&keys(66), waiting, "an order behind a gap"), None);
        take_back(&mut fleet, cause);
        for key in [2, 66] {
            let header = Header { sequence: 2, ..header };
            assert_eq!(fleet.forge(&keys(key), header, "more"), Some("blocked_source"));
        }
        // Nor does he come back with a third key.
        let next = Succession::sign(NodeId(2), 2, DtnTime(BEGIN + DAY), &keys(66), &keys(67));
        let learned = fleet.input(3, Input::Learn(Statement::Succession(next)));
        assert!(refused(learned).is_some());
        // The owner is heard under what the authority certifies, from the first number of its first incarnation on.
        certify(&mut fleet, 3, 22);
        for sequence in 1..=4 {
            let header = fleet.header(2, 3, Purpose::Command, sequence);
            assert_eq!(fleet.forge(&keys(22), header, &format!("the owner's order {sequence}")), None);
        }
        let texts = fleet.texts(3);
        assert_eq!(texts[0], "the thief's order");
        let owners: Vec<String> = (1..=4).map(|sequence| format!("the owner's order {sequence}")).collect();
        assert_eq!(texts[1..], owners, "and nothing that the thief left waiting");
        for key in [2, 66] {
            let header = fleet.header(2, 3, Purpose::Command, 5);
            assert_eq!(fleet.forge(&keys(key), header, "more"), Some("bad_signature"));
        }
    }
}

#[test]
fn a_revocation_names_every_key_that_the_authority_knows_of_the_line() {
    let mut fleet = Fleet::with(&[(1, 1, &[]), (3, 3, &[])], |_, _| {});
    // Node 1 has heard of the thief's key; node 3 has not.
    fleet.input(1, Input::Learn(link(2, 66))).expect("signed by the key in force");
    take_back(&mut fleet, Cause::Compromised);
    let header = fleet.header(2, 3, Purpose::Command, 1);
    assert_eq!(fleet.forge(&keys(2), header, "the first key"), Some("blocked_source"));
}

#[test]
fn an_owner_whose_key_was_stolen_goes_on_under_a_certified_key() {
    let hosts: [(u64, u64, &[u64]); 4] =
        [(1, 1, &[2, 3, 4]), (2, 2, &[1, 3, 4]), (3, 3, &[1, 2, 4]), (4, 4, &[1, 2, 3])];
    let pairs: Vec<(u64, u64)> = (1..=4).flat_map(|a| (1..=4).map(move |b| (a, b))).collect();
    let mut fleet = Fleet::built(&hosts, &pairs, |_, config| config.window = 64);
    // More than a receiver's window.
    for number in 0..80 {
        fleet.submit(2, 3, Purpose::Command, &format!("order {number}"));
        fleet.run_for(MINUTE / 2);
    }
    assert_eq!(fleet.texts(3).len(), 80);
    fleet.input(1, Input::Revoke { node: NodeId(2), cause: Cause::Compromised }).expect("the authority's");
    fleet.run_for(HOUR / 4);
    fleet.submit(2, 3, Purpose::Command, "kept back");
    fleet.run_for(Duration::from_secs(1));
    assert_eq!(fleet.texts(3).len(), 80, "its key does not count");
    certify(&mut fleet, 1, 22);
    certify(&mut fleet, 2, 22);
    fleet.rotate(2, 22);
    fleet.run_for(3 * HOUR);
    fleet.submit(2, 3, Purpose::Command, "after");
    fleet.run_for(HOUR);
    assert_eq!(fleet.texts(3)[80..], ["kept back", "after"]);
    fleet.submit(3, 2, Purpose::Telemetry, "4 V");
    fleet.run_for(HOUR);
    assert_eq!(fleet.texts(2), ["4 V"], "and it hears the others");
}

#[test]
fn what_a_node_kept_is_sealed_with_the_keys_that_it_comes_back_with() {
    let mut fleet = Fleet::with(&[(2, 2, &[]), (3, 3, &[])], |_, _| {});
    fleet.submit(2, 3, Purpose::Command, "dig");
    fleet.run_for(MINUTE);
    for name in [2, 3] {
        certify(&mut fleet, name, 22);
    }
    fleet.give_keys(2, 22);
    fleet.restart(2);
    fleet.meet(2, 3, true);
    fleet.run_for(HOUR);
    assert_eq!(fleet.texts(3), ["dig"]);
}

#[test]
fn what_was_in_flight_when_a_key_was_superseded_takes_effect_and_the_key_hands_over() {
    let mut fleet = Fleet::new();
    let flying = seal(&keys(2), &fleet.header(2, 3, Purpose::Command, 1), b"in flight");
    fleet.input(1, Input::Revoke { node: NodeId(2), cause: Cause::Superseded }).expect("the authority's");
    // Longer than a day: what is made now is made after.
    fleet.run_for(MINUTE * 20);
    assert_eq!(refused(fleet.bring(3, 2, 9, flying)), None);
    assert_eq!(fleet.texts(3), ["in flight"], "and is not acknowledged and thrown away");
    let late = fleet.header(2, 3, Purpose::Command, 2);
    assert_eq!(fleet.forge(&keys(2), late, "made after"), Some("key_superseded"));
    fleet.rotate(2, 22);
    fleet.run_for(HOUR);
    let header = fleet.header(2, 3, Purpose::Command, 2);
    assert_eq!(fleet.forge(&keys(22), header, "under the next key"), None);
}

#[test]
fn a_renewal_that_crosses_a_rotation_locks_nobody_out() {
    let mut fleet = Fleet::new();
    fleet.rotate(2, 22);
    fleet.run_for(HOUR);
    fleet.rotate(2, 23);
    // The authority has renewed on the second key meanwhile.
    let renewed = Statement::Certificate(certificate(2, 22, 1, 60).issue(&authority()));
    for name in [1, 2, 3, 4] {
        let learned = fleet.input(name, Input::Learn(renewed.clone()));
        learned.expect("newer");
    }
    fleet.run_for(HOUR);
    for (name, host) in &fleet.hosts {
        let ring = host.node.keyring().expect("trust is on");
        assert_eq!(ring.key(NodeId(2)), Some(keys(23).public()), "at {name}");
    }
    fleet.submit(2, 3, Purpose::Command, "dig");
    fleet.run_for(HOUR);
    fleet.rotate(2, 24);
    fleet.submit(2, 3, Purpose::Command, "dig on");
    fleet.run_for(HOUR);
    assert_eq!(fleet.texts(3), ["dig", "dig on"]);
}

#[test]
fn a_new_key_is_told_at_once() {
    let mut fleet = Fleet::with(&[(2, 2, &[3, 4]), (3, 3, &[2, 4]), (4, 4, &[2, 3])], |_, trust| {
        trust.interval = 24 * HOUR;
    });
    fleet.rotate(2, 22);
    fleet.run_for(MINUTE);
    fleet.submit(2, 3, Purpose::Command, "dig");
    fleet.run_for(5 * MINUTE);
    assert_eq!(fleet.texts(3), ["dig"], "a day before the next round");
}

#[test]
fn a_node_whose_members_have_all_expired_is_brought_up_to_date() {
    let mut fleet = Fleet::slow();
    for peer in [1, 2, 4] {
        fleet.meet(3, peer, false);
    }
    fleet.run_for(Duration::from_millis(60 * DAY));
    // All that it hears of the authority is a list: by that, everybody it knows has ended.
    let ring = fleet.hosts[&1].node.keyring().expect("trust is on");
    let all = ring.lacking(&Summary::default(), NodeId(1), 1 << 16);
    let list = all.into_iter().find(|statement| matches!(statement, Statement::Revocations(_)));
    fleet.input(3, Input::Learn(list.expect("a list"))).expect("newer");
    let header = fleet.header(2, 3, Purpose::Event, 1 << 5);
    assert_eq!(fleet.forge(&keys(2), header, "an event"), Some("certificate_expired"));
    for peer in [1, 2, 4] {
        fleet.meet(3, peer, true);
    }
    fleet.run_for(Duration::from_millis(2 * DAY));
    fleet.submit(2, 3, Purpose::Command, "dig");
    fleet.run_for(HOUR);
    assert_eq!(fleet.texts(3), ["dig"]);
}

#[test]
fn an_outsiders_made_up_rotations_cost_one_check_a_message() {
    let mut fleet = Fleet::new();
    let checked = |fleet: &Fleet| fleet.hosts[&3].node.signatures().checked;
    let (before, entries) = (checked(&fleet), fleet.entries(3).len());
    let forged: Vec<Statement> = (0..60)
        .map(|number| {
            let since = DtnTime(BEGIN + number);
            let Statement::Succession(mut bytes) =
                Statement::Succession(Succession::sign(NodeId(2), 1, since, &keys(2), &keys(66)))
            else {
                unreachable!("made above")
            };
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            Statement::Succession(bytes)
        })
        .collect();
    let message = trust_message(&forged, &[]);
    for sequence in 1..=10 {
        let header = fleet.header(2, 3, Purpose::Trust, sequence);
        assert_eq!(fleet.forge_bytes(&keys(66), header, &message), Some("bad_signature"));
    }
    assert!(checked(&fleet) - before <= 30, "{} checks", checked(&fleet) - before);
    assert!(fleet.entries(3).len() - entries < 10);
}

#[test]
fn a_fork_of_keys_is_written_down_once_with_both_halves() {
    use cosmosmesh_protocol::{log::Event, node::Kept};
    let mut fleet = Fleet::new();
    fleet.input(3, Input::Learn(link(2, 22))).expect("signed by the key in force");
    let message = trust_message(&vec![link(2, 66); 60], &[]);
    for sequence in 1..=5 {
        let header = fleet.header(4, 3, Purpose::Trust, sequence);
        assert_eq!(fleet.forge_bytes(&keys(4), header, &message), None);
    }
    let caught = |event: &Event| matches!(event, Event::Caught { at, .. } if &**at == "succession_forked");
    assert_eq!(fleet.events(3).iter().filter(|event| caught(event)).count(), 1);
    let proofs = fleet.records(3, Kept::Proof);
    assert_eq!(proofs.len(), 1);
    for half in [link(2, 22), link(2, 66)] {
        let half = half.parts().1.to_vec();
        assert!(proofs[0].windows(half.len()).any(|part| part == half), "both halves");
    }
}

#[test]
fn two_that_refuse_each_others_statements_do_not_answer_without_end() {
    let mut fleet = Fleet::with(&[(3, 3, &[4]), (4, 4, &[3])], |_, _| {});
    // Two keys follow on the authority's: each of the two has heard of one, and of a certificate under it.
    for (name, authority_key, node) in [(3, 201, 2), (4, 202, 1)] {
        let since = DtnTime(BEGIN + DAY);
        let link = Succession::sign(AUTHORITY, 1, since, &authority(), &keys(authority_key));
        fleet.input(name, Input::Learn(Statement::Succession(link))).expect("the first");
        let anew = certificate(node, node, 1, 60).issue(&keys(authority_key));
        fleet.input(name, Input::Learn(Statement::Certificate(anew))).expect("newer");
    }
    fleet.run_for(10 * MINUTE);
    for name in [3, 4] {
        let made = fleet.hosts[&name].node.signatures().made;
        assert!(made < 200, "{made} signatures of {name} in ten rounds");
    }
}
