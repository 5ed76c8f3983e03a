//! Attacks with envelopes, at the doors of a node that trusts by certificates.

use crate::fleet::{BEGIN, DAY, Fleet, keys};
use cosmosmesh_protocol::{
    access::{Action, Actions, CERTIFICATE_GRACE, Effect, NO_RULE, Policy, Rule},
    envelope::{Header, Purpose, seal},
    id::NodeId,
    identity::Scope,
    log::Event,
    node::Kept,
    time::DtnTime,
};
use std::{sync::Arc, time::Duration};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn honest_messages_are_delivered_and_both_ends_write_them_down() {
    let mut fleet = Fleet::new();
    fleet.submit(2, 3, Purpose::Command, "dig");
    fleet.submit(4, 1, Purpose::Telemetry, "4 V");
    fleet.run_for(MINUTE);
    assert_eq!((fleet.texts(3), fleet.texts(1)), (vec!["dig".into()], vec!["4 V".into()]));
    let payload = |name, sent: bool| {
        fleet.events(name).into_iter().find_map(|event| match event {
            Event::Sent { message, payload } if sent && message.purpose == Purpose::Command => Some(payload),
            Event::Accepted { message, payload } if !sent && message.purpose == Purpose::Command => {
                Some(payload)
            }
            _ => None,
        })
    };
    assert!(payload(2, true).is_some());
    assert_eq!(payload(2, true), payload(3, false));
}

#[test]
fn forgeries_move_nothing_but_a_counter() {
    let mut fleet = Fleet::new();
    let command = fleet.header(2, 3, Purpose::Command, 1);
    assert_eq!(fleet.forge(&keys(66), command, "forged"), Some("bad_signature"));
    assert_eq!(fleet.forge(&keys(4), command, "another member's key"), Some("bad_signature"));
    let stranger = fleet.header(77, 3, Purpose::Command, 1);
    assert_eq!(fleet.forge(&keys(77), stranger, "a stranger"), Some("unknown_sender"));
    // The signer is not the bundle's source.
    let good = seal(&keys(2), &command, b"dig");
    let brought = crate::fleet::refused(fleet.bring(3, 4, 7, good.clone()));
    assert_eq!(brought, Some("source_mismatch"));
    // A message of one kind for another: the purpose is under the signature.
    let place = good.windows(5).position(|part| part == [0x85, 1, 2, 3, 1]).expect("incarnation, purpose, …");
    let mut changed = good;
    changed[place + 2] = Purpose::Event.number();
    assert_eq!(crate::fleet::refused(fleet.bring(3, 2, 8, changed)), Some("bad_signature"));
    assert!(fleet.texts(3).is_empty());
    // The honest message with that number still arrives.
    fleet.submit(2, 3, Purpose::Command, "dig");
    fleet.run_for(MINUTE);
    assert_eq!(fleet.texts(3), ["dig"]);
}

#[test]
fn a_replay_is_refused_at_once_and_after_a_restart() {
    let mut fleet = Fleet::new();
    let header = fleet.header(2, 3, Purpose::Command, 1);
    assert_eq!(fleet.forge(&keys(2), header, "dig"), None, "the first copy");
    let envelope = seal(&keys(2), &header, b"dig");
    assert_eq!(crate::fleet::refused(fleet.bring(3, 2, 1001, envelope.clone())), Some("duplicate"));
    fleet.restart(3);
    assert_eq!(crate::fleet::refused(fleet.bring(3, 2, 1002, envelope)), Some("duplicate"));
    assert_eq!(fleet.texts(3), ["dig"]);
}

#[test]
fn a_jump_to_the_greatest_number_does_not_poison_the_stream() {
    let mut fleet = Fleet::new();
    for sequence in [u64::MAX, u64::MAX - 1, 1 << 32] {
        let header = fleet.header(2, 3, Purpose::Command, sequence);
        assert_eq!(fleet.forge(&keys(2), header, "far"), Some("sequence_too_far"));
    }
    fleet.submit(2, 3, Purpose::Command, "dig");
    fleet.run_for(MINUTE);
    assert_eq!(fleet.texts(3), ["dig"]);
}

#[test]
fn a_sender_that_lost_its_state_is_heard_in_a_new_incarnation_only() {
    let mut fleet = Fleet::new();
    for sequence in 1..=3 {
        let header = fleet.header(2, 3, Purpose::Command, sequence);
        assert_eq!(fleet.forge(&keys(2), header, &format!("order {sequence}")), None);
    }
    let again = fleet.header(2, 3, Purpose::Command, 1);
    assert_eq!(fleet.forge(&keys(2), again, "after the loss"), Some("duplicate"));
    let anew = Header { incarnation: 2, ..again };
    assert_eq!(fleet.forge(&keys(2), anew, "a new start"), None);
    let old = Header { sequence: 4, ..again };
    assert_eq!(fleet.forge(&keys(2), old, "the old life"), Some("old_incarnation"));
    assert_eq!(fleet.texts(3), ["order 1", "order 2", "order 3", "a new start"]);
    let greatest = Header { incarnation: u32::MAX, ..again };
    assert_eq!(fleet.forge(&keys(66), Header { sequence: 9, ..greatest }, "forged"), Some("bad_signature"));
    assert_eq!(fleet.forge(&keys(2), Header { sequence: 2, ..anew }, "still heard"), None);
}

#[test]
fn two_payloads_under_one_number_are_kept_as_proof_and_the_first_stands() {
    let mut fleet = Fleet::new();
    let header = fleet.header(2, 3, Purpose::Command, 1);
    assert_eq!(fleet.forge(&keys(2), header, "dig"), None);
    assert_eq!(fleet.forge(&keys(2), header, "do not"), Some("duplicate"));
    assert_eq!(fleet.texts(3), ["dig"]);
    let caught = fleet.events(3).into_iter().filter(
        |event| matches!(event, Event::Caught { peer, at, .. } if peer.0 == 2 && **at == *"two_payloads"),
    );
    assert_eq!(caught.count(), 1);
    let proofs = fleet.records(3, Kept::Proof);
    let text = |words: &str| proofs[0].windows(words.len()).any(|part| part == words.as_bytes());
    assert!(text("dig") && text("do not"), "both envelopes, as they were signed");
    assert_eq!(fleet.refusals(3, "equivocation"), 1);
    // A forger cannot make an honest sender look like a liar.
    assert_eq!(fleet.forge(&keys(66), fleet.header(4, 3, Purpose::Telemetry, 1), "x"), Some("bad_signature"));
    assert_eq!(fleet.forge(&keys(4), fleet.header(4, 3, Purpose::Telemetry, 1), "x"), None);
    assert_eq!(fleet.forge(&keys(66), fleet.header(4, 3, Purpose::Telemetry, 1), "other"), Some("duplicate"));
    assert_eq!(fleet.refusals(3, "equivocation"), 1);
}

#[test]
fn who_may_not_command_is_denied_by_a_named_rule_and_not_asked_again() {
    let mut fleet = Fleet::new();
    fleet.submit(3, 2, Purpose::Command, "a contributor's order");
    fleet.submit(3, 2, Purpose::Telemetry, "a contributor's reading");
    fleet.run_for(Duration::from_secs(3600));
    assert_eq!(fleet.texts(2), ["a contributor's reading"]);
    let denied: Vec<Event> =
        fleet.events(2).into_iter().filter(|event| matches!(event, Event::Denied { .. })).collect();
    let [Event::Denied { subject, action, rule }] = &denied[..] else { panic!("once: {denied:?}") };
    assert_eq!((subject.0, &**action, &**rule), (3, "command", NO_RULE));
    assert_eq!(fleet.refusals(2, "denied"), 1);
}

#[test]
fn a_rule_about_a_contract_is_kept_at_the_door_as_it_is_explained() {
    let rule = |name: &str, effect, contract: Option<&str>| Rule {
        name: name.into(),
        effect,
        roles: Vec::new(),
        actions: Actions::all(),
        contract: contract.map(Into::into),
        scope: Scope::everything(),
    };
    let rules = vec![
        rule("no-commands", Effect::Deny, Some("command")),
        rule("no-readings", Effect::Deny, Some("telemetry")),
        rule("no-goals", Effect::Deny, Some("goal")),
        rule("all-else", Effect::Allow, None),
    ];
    let policy = Arc::new(Policy::new(rules, Vec::new()).expect("four rules"));
    let hosts: [(u64, u64, &[u64]); 4] =
        [(1, 1, &[2, 3, 4]), (2, 2, &[1, 3, 4]), (3, 3, &[1, 2, 4]), (4, 4, &[1, 2, 3])];
    let mut fleet = Fleet::with(&hosts, |_, trust| trust.policy = policy.clone());
    for (purpose, text) in
        [(Purpose::Command, "dig"), (Purpose::Telemetry, "4 V"), (Purpose::Event, "a rock")]
    {
        fleet.submit(2, 3, purpose, text);
    }
    fleet.run_for(Duration::from_secs(3600));
    assert_eq!(fleet.texts(3), ["a rock"]);
    let node = &fleet.hosts[&3].node;
    for (action, contract) in [(Action::Command, "command"), (Action::Report, "telemetry")] {
        let explained = node.decide(NodeId(2), action, Some(contract)).expect("trust").expect("certified");
        let told = fleet.events(3).into_iter().any(|event| {
            matches!(event, Event::Denied { action: word, rule, .. } if &*word == action.word() && *rule == *explained.rule)
        });
        assert!(!explained.allowed && told, "{}", explained.rule);
    }
    assert!(
        node.decide(NodeId(2), Action::Report, Some("event")).expect("trust").expect("certified").allowed
    );
}

#[test]
fn a_flood_of_forgeries_does_not_fill_the_log_and_harms_nobody_else() {
    let mut fleet = Fleet::new();
    let before = fleet.entries(3).len();
    for sequence in 1..=2000 {
        let header = fleet.header(2, 3, Purpose::Command, 1 + sequence % 4000);
        assert_eq!(fleet.forge(&keys(66), header, &sequence.to_string()), Some("bad_signature"));
    }
    assert_eq!(fleet.refusals(3, "bad_signature"), 2000);
    assert!(fleet.entries(3).len() - before <= 12, "counts that are powers of two");
    fleet.submit(2, 3, Purpose::Command, "dig");
    fleet.run_for(MINUTE);
    assert_eq!(fleet.texts(3), ["dig"]);
}

#[test]
fn a_clock_set_far_ahead_takes_orders_from_nobody_and_readings_from_all() {
    let mut fleet = Fleet::new();
    fleet.set_clock(3, DtnTime(BEGIN + 4000 * DAY));
    fleet.submit(2, 3, Purpose::Command, "dig");
    fleet.submit(2, 3, Purpose::Telemetry, "4 V");
    fleet.run_for(MINUTE);
    assert_eq!(fleet.texts(3), ["4 V"]);
    let by_grace =
        |event: &Event| matches!(event, Event::Denied { rule, .. } if **rule == *CERTIFICATE_GRACE);
    assert_eq!(fleet.events(3).iter().filter(|event| by_grace(event)).count(), 1);
    fleet.set_clock(3, DtnTime(BEGIN + 2 * DAY));
    fleet.submit(2, 3, Purpose::Command, "dig again");
    fleet.run_for(MINUTE);
    assert_eq!(fleet.texts(3), ["4 V", "dig again"]);
}
