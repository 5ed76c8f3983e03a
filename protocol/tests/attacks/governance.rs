//! The fleet's own decisions at whole nodes: partitions, liars, and what an adopted decision does.

use crate::fleet::{BEGIN, DAY, Fleet, authority, certificate, keys};
use cosmosmesh_protocol::{
    access::{Action, Policy},
    discovery::{Pace, Presence},
    envelope::{Header, Parsed, Purpose},
    governance::{Content, Electorate, GovernanceMessage},
    id::NodeId,
    identity::{Cause, KeyId, RevocationList, Revoked, Statement},
    log::{Brief, Event},
    node::{
        DiscoveryConfig, GovernanceConfig, Input, InputError, Issuer, Kept, NodeConfig, Report, SubmitError,
    },
    time::DtnTime,
};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const ALL: [(u64, u64, &[u64]); 4] =
    [(1, 1, &[2, 3, 4]), (2, 2, &[1, 3, 4]), (3, 3, &[1, 2, 4]), (4, 4, &[1, 2, 3])];

fn governed(config: &mut NodeConfig) {
    let voters = (1..=4).map(|node| (NodeId(node), keys(node).public().clone()));
    let standby = (config.id == NodeId(2)).then(|| Issuer {
        keys: keys(222),
        lifetime: Duration::from_millis(30 * DAY),
        renew_before: Duration::from_millis(10 * DAY),
    });
    config.governance = Some(GovernanceConfig {
        electorate: Electorate::new(voters).expect("four voters"),
        approves: true,
        patience: 6 * HOUR,
        interval: Duration::from_secs(600),
        lifetime: 48 * HOUR,
        standby,
    });
    // Tests of days need no exchange every minute.
    config.trust.as_mut().expect("made by the fleet").interval = 2 * HOUR;
}

fn fleet() -> Fleet {
    let pairs: Vec<(u64, u64)> = (1..=4).flat_map(|a| (1..=4).map(move |b| (a, b))).collect();
    Fleet::built(&ALL, &pairs, |_, config| governed(config))
}

/// From now on only members may report, and nobody may do anything else.
fn strict() -> Content {
    let standard = Policy::default();
    let rules = standard.rules().iter().filter(|rule| &*rule.name == "members-report").cloned();
    Content::Policy(Box::new(Policy::new(rules.collect(), Vec::new()).expect("one rule")))
}

fn decisions(fleet: &Fleet, name: u64) -> usize {
    fleet.hosts[&name].node.ledger().expect("a ledger").decisions().len()
}

fn cut_off(fleet: &mut Fleet, name: u64, meets: bool) {
    for other in (1..=4).filter(|other| *other != name) {
        fleet.meet(name, other, meets);
    }
}

fn may_command(fleet: &Fleet, at: u64, who: u64) -> bool {
    let decision = fleet.hosts[&at].node.decide(NodeId(who), Action::Command, None);
    decision.expect("certificates").expect("a speaker").allowed
}

#[test]
fn an_adopted_policy_is_in_force_everywhere_and_in_every_log() {
    let mut fleet = fleet();
    assert!(may_command(&fleet, 3, 2));
    fleet.input(1, Input::Propose(Box::new(strict()))).expect("an admin may");
    fleet.run_for(HOUR);
    let head = fleet.hosts[&1].node.ledger().expect("a ledger").head();
    for name in 1..=4 {
        assert_eq!(decisions(&fleet, name), 1, "at {name}");
        assert_eq!(fleet.hosts[&name].node.ledger().expect("a ledger").head(), head);
        assert!(!may_command(&fleet, name, 2), "at {name}");
        let anchored = |event: &Event| matches!(event, Event::Governed { step, record, .. } if **step == *"adopted" && record.0 == head[..8]);
        assert!(fleet.events(name).iter().any(anchored), "in the log of {name}");
    }
    // A restart brings the policy back.
    fleet.restart(3);
    assert!(!may_command(&fleet, 3, 2));
    fleet.submit(2, 3, Purpose::Command, "dig");
    fleet.run_for(HOUR);
    assert!(fleet.texts(3).is_empty());
}

#[test]
fn a_minority_changes_nothing_and_has_the_same_history_after_the_link_is_back() {
    let mut fleet = fleet();
    cut_off(&mut fleet, 1, false);
    fleet.input(1, Input::Propose(Box::new(strict()))).expect("an admin may propose");
    fleet.run_for(24 * HOUR);
    for name in 1..=4 {
        assert_eq!(decisions(&fleet, name), 0, "one of four decides nothing, at {name}");
        assert!(may_command(&fleet, name, 2));
    }
    cut_off(&mut fleet, 1, true);
    fleet.run_for(24 * HOUR);
    let head = fleet.hosts[&1].node.ledger().expect("a ledger").head();
    for name in 1..=4 {
        assert!(decisions(&fleet, name) >= 1, "at {name}");
        assert_eq!(fleet.hosts[&name].node.ledger().expect("a ledger").head(), head, "at {name}");
        assert!(!may_command(&fleet, name, 2));
    }
}

#[test]
fn who_may_not_change_the_policy_is_denied_at_its_own_door() {
    let mut fleet = fleet();
    let refused = crate::fleet::refused(fleet.input(3, Input::Propose(Box::new(strict()))));
    assert_eq!(refused, Some("denied"));
    fleet.run_for(HOUR);
    assert_eq!(decisions(&fleet, 1), 0);
}

#[test]
fn a_policy_that_three_do_not_want_is_closed_with_nothing() {
    let mut fleet = fleet();
    for name in 2..=4 {
        let opinion = Input::Opinion { content: strict().digest(), approves: false };
        fleet.input(name, opinion).expect("an opinion");
    }
    fleet.input(1, Input::Propose(Box::new(strict()))).expect("an admin may propose");
    fleet.run_for(2 * HOUR);
    for name in 1..=4 {
        let ledger = fleet.hosts[&name].node.ledger().expect("a ledger");
        assert_eq!((ledger.decisions().len(), ledger.is_idle()), (1, true), "at {name}");
        assert_eq!(ledger.decisions()[0].adopted, None);
        assert!(may_command(&fleet, name, 2));
    }
}

#[test]
fn a_member_that_the_fleet_blocks_is_heard_no_more_even_by_its_friends() {
    let mut fleet = fleet();
    let block =
        Content::Block { node: NodeId(4), key: KeyId::of(keys(4).public()), since: DtnTime(BEGIN + DAY) };
    fleet.input(1, Input::Propose(Box::new(block))).expect("an admin may");
    fleet.run_for(HOUR);
    for name in 1..=3 {
        let ledger = fleet.hosts[&name].node.ledger().expect("a ledger");
        assert_eq!(ledger.electorate().len(), 3, "at {name}");
    }
    fleet.submit(4, 3, Purpose::Telemetry, "hello");
    fleet.run_for(HOUR);
    assert!(fleet.texts(3).is_empty());
    assert!(fleet.refusals(3, "blocked_source") + fleet.refusals(3, "key_blocked") > 0);
    // And nothing more is sent to it, by nobody.
    let refused = fleet.try_submit(3, 4, Purpose::Telemetry, "hello");
    assert_eq!(refused, Err(InputError::Submit(SubmitError::Blocked(NodeId(4)))));
    fleet.hosts.values_mut().for_each(|host| host.reports.clear());
    fleet.run_for(24 * HOUR);
    for name in 1..=3 {
        // But for the list of keys that are taken back, once, and the fleet's decision, a few times.
        let to_it = |report: &&Report| match report {
            Report::Accepted { destination, purpose, .. }
            | Report::Retransmitted { destination, purpose, .. } => {
                *destination == NodeId(4) && !matches!(purpose, Purpose::Trust | Purpose::Governance)
            }
            _ => false,
        };
        assert_eq!(fleet.hosts[&name].reports.iter().filter(to_it).count(), 0, "at {name}");
        let decision = |report: &&Report| {
            matches!(report, Report::Accepted { destination: NodeId(4), purpose: Purpose::Governance, .. })
        };
        assert!(fleet.hosts[&name].reports.iter().filter(decision).count() <= 3, "at {name}");
    }
}

#[test]
fn a_member_that_was_away_when_the_fleet_blocked_it_is_told_so_and_nothing_else() {
    let mut fleet = fleet();
    cut_off(&mut fleet, 4, false);
    // What is under way to it when it is blocked is given up: the last word must not wait behind that.
    fleet.submit(2, 4, Purpose::Event, "are you there?");
    let block =
        Content::Block { node: NodeId(4), key: KeyId::of(keys(4).public()), since: DtnTime(BEGIN + DAY) };
    fleet.input(1, Input::Propose(Box::new(block))).expect("an admin may");
    fleet.run_for(24 * HOUR);
    assert_eq!((decisions(&fleet, 1), decisions(&fleet, 4)), (1, 0));
    cut_off(&mut fleet, 4, true);
    fleet.run_for(HOUR);
    fleet.submit(4, 3, Purpose::Telemetry, "hello");
    fleet.run_for(HOUR);
    assert_eq!(decisions(&fleet, 4), 1, "it knows");
    let ledger = |name: u64| fleet.hosts[&name].node.ledger().expect("a ledger").head();
    assert_eq!(ledger(4), ledger(1));
    assert!(fleet.texts(3).is_empty(), "and is heard no more");
    // Whoever goes on speaking in its name is told a few times, and then no more.
    for _ in 0..100 {
        fleet.forge(&keys(4), fleet.header(4, 3, Purpose::Event, 7), "hello");
        fleet.run_for(HOUR);
    }
    let sent = |report: &&Report| {
        matches!(report, Report::Accepted { destination: NodeId(4), purpose: Purpose::Governance, .. })
    };
    let told = fleet.hosts[&3].reports.iter().filter(sent).count();
    assert!((1..=8).contains(&told), "{told}");
}

#[test]
fn a_voter_that_rotates_often_is_seated_anew_and_votes_on() {
    let mut fleet = fleet();
    for key in 30..35 {
        fleet.rotate(3, key);
        fleet.run_for(6 * HOUR);
    }
    // Five successions away from its seat: who holds the authority's key has proposed the new key, and the fleet has decided so.
    for name in 1..=4 {
        let ledger = fleet.hosts[&name].node.ledger().expect("a ledger");
        assert_eq!(ledger.electorate().key(NodeId(3)), Some(keys(34).public()), "at {name}");
        assert!(ledger.is_idle());
    }
    // Its vote is needed, under that key and the next.
    cut_off(&mut fleet, 4, false);
    fleet.restart(3);
    fleet.rotate(3, 35);
    let before = decisions(&fleet, 1);
    fleet.input(1, Input::Propose(Box::new(strict()))).expect("an admin may");
    fleet.run_for(12 * HOUR);
    assert_eq!(decisions(&fleet, 1), before + 1);
    assert!(!may_command(&fleet, 3, 2));
}

#[test]
fn a_voter_whose_key_is_taken_back_loses_its_seat_until_it_has_another() {
    let mut fleet = fleet();
    fleet
        .input(1, Input::Revoke { node: NodeId(4), cause: Cause::Compromised })
        .expect("the authority's key");
    fleet.run_for(12 * HOUR);
    for name in 1..=3 {
        let ledger = fleet.hosts[&name].node.ledger().expect("a ledger");
        assert_eq!(ledger.electorate().key(NodeId(4)), None, "at {name}");
    }
    // Certified under another, it gets its seat back; the proposer asks no more than once for each key.
    let before = decisions(&fleet, 1);
    for name in [1, 4] {
        let statement = Statement::Certificate(certificate(4, 44, 1, 30).issue(&authority()));
        fleet.input(name, Input::Learn(statement)).expect("the authority's word");
    }
    fleet.rotate(4, 44);
    fleet.run_for(24 * HOUR);
    for name in 1..=4 {
        let ledger = fleet.hosts[&name].node.ledger().expect("a ledger");
        assert_eq!(ledger.electorate().key(NodeId(4)), Some(keys(44).public()), "at {name}");
    }
    assert_eq!(decisions(&fleet, 1), before + 1);
    // Whom the fleet unseats of its own will it does not seat again by itself.
    fleet.input(1, Input::Propose(Box::new(Content::Unseat { node: NodeId(4) }))).expect("an admin may");
    fleet.run_for(24 * HOUR);
    assert_eq!(decisions(&fleet, 1), before + 2);
    let ledger = fleet.hosts[&2].node.ledger().expect("a ledger");
    assert_eq!(ledger.electorate().key(NodeId(4)), None);
}

#[test]
fn a_voter_that_the_fleet_does_not_want_back_is_proposed_once_for_each_key() {
    let mut fleet = fleet();
    fleet
        .input(1, Input::Revoke { node: NodeId(4), cause: Cause::Compromised })
        .expect("the authority's key");
    fleet.run_for(12 * HOUR);
    let seat = Content::Seat { node: NodeId(4), key: keys(44).public().clone() };
    for name in [2, 3] {
        fleet.input(name, Input::Opinion { content: seat.digest(), approves: false }).expect("an opinion");
    }
    let before = decisions(&fleet, 1);
    let statement = Statement::Certificate(certificate(4, 44, 1, 30).issue(&authority()));
    fleet.input(1, Input::Learn(statement)).expect("the authority's word");
    fleet.run_for(96 * HOUR);
    let ledger = fleet.hosts[&1].node.ledger().expect("a ledger");
    assert_eq!(ledger.electorate().key(NodeId(4)), None);
    let closed = ledger.decisions().iter().skip(before);
    assert!(closed.clone().all(|decision| decision.adopted.is_none()));
    assert!((1..=4).contains(&closed.count()), "and not again and again");
}

#[test]
fn a_voter_with_many_opinions_and_many_failed_proposals_comes_back_after_a_restart() {
    let mut fleet = fleet();
    let content = |number| {
        let (key, since, cause) = (keys(222).public().clone(), DtnTime(BEGIN + number), Cause::Superseded);
        Content::Authority { key, since, cause }
    };
    for number in 0..70 {
        for name in 2..=4 {
            let opinion = Input::Opinion { content: content(number).digest(), approves: false };
            fleet.input(name, opinion).expect("an opinion");
        }
        fleet.input(1, Input::Propose(Box::new(content(number)))).expect("an admin may");
        fleet.run_for(HOUR / 60);
    }
    assert_eq!(decisions(&fleet, 1), 70, "all with nothing");
    cut_off(&mut fleet, 1, false);
    for number in 70..78 {
        fleet.input(1, Input::Propose(Box::new(content(number)))).expect("an admin may");
    }
    fleet.restart(1);
    assert!(fleet.hosts[&1].node.ledger().is_some_and(|ledger| !ledger.is_idle()));
}

#[test]
fn patience_does_not_begin_anew_with_every_restart() {
    let mut fleet = fleet();
    // Two of four are cut off; the other two wait, and one restarts again and again.
    cut_off(&mut fleet, 3, false);
    cut_off(&mut fleet, 4, false);
    fleet.input(1, Input::Propose(Box::new(strict()))).expect("an admin may");
    let committed = |event: &Event| matches!(event, Event::Governed { step, about, .. } if **step == *"committed" && *about == NodeId(2));
    for hour in 1..=10 {
        fleet.run_for(HOUR);
        assert!(hour >= 6 || !fleet.events(2).iter().any(committed), "it has waited {hour} hours only");
        fleet.restart(2);
    }
    assert!(fleet.events(2).iter().any(committed), "it has given up after six hours and a bit");
}

#[test]
fn an_authority_that_the_fleet_decides_upon_issues_and_the_earlier_one_does_no_more() {
    let mut fleet = fleet();
    let since = DtnTime(BEGIN + DAY);
    let cause = Cause::Compromised;
    let content = Content::Authority { key: keys(222).public().clone(), since, cause };
    fleet.input(1, Input::Propose(Box::new(content))).expect("an admin may");
    fleet.run_for(HOUR);
    let late = certificate(3, 33, 2, 40);
    let by = |keys: &cosmosmesh_protocol::identity::KeyPair| Statement::Certificate(late.clone().issue(keys));
    fleet.run_for(26 * HOUR);
    let learn = |fleet: &mut Fleet, statement| crate::fleet::refused(fleet.input(2, Input::Learn(statement)));
    assert_eq!(learn(&mut fleet, by(&authority())), Some("other_authority"));
    assert_eq!(learn(&mut fleet, by(&keys(222))), None);
    // It signs every member's certificate anew: nothing of the key that may be stolen is needed any more.
    fleet.run_for(10 * HOUR);
    for name in 1..=4 {
        let keyring = fleet.hosts[&name].node.keyring().expect("a keyring");
        assert!((1..=4).all(|of| !keyring.is_of_earlier_authority(NodeId(of))), "at {name}");
    }
    // It takes keys back, and its list is taken: node 2 holds its key.
    fleet.input(2, Input::Revoke { node: NodeId(4), cause: Cause::Blocked }).expect("the authority's key");
    fleet.run_for(10 * HOUR);
    let refused = InputError::NotConfigured { what: "the authority's key" };
    let revoke = Input::Revoke { node: NodeId(3), cause: Cause::Blocked };
    assert_eq!(fleet.input(1, revoke), Err(refused), "the earlier holder issues no more");
    for name in 1..=3 {
        let keyring = fleet.hosts[&name].node.keyring().expect("a keyring");
        assert!(keyring.revoked(NodeId(4), KeyId::of(keys(4).public())).is_some(), "at {name}");
        assert_eq!(keyring.authority(), keys(222).public());
    }
}

#[test]
fn an_authority_that_the_fleet_comes_back_to_issues_again() {
    let mut fleet = fleet();
    let revoke = |fleet: &mut Fleet, who: u64| {
        fleet.input(who, Input::Revoke { node: NodeId(4), cause: Cause::Superseded }).is_ok()
    };
    for (number, (key, holder)) in [(keys(222), 2), (authority(), 1)].into_iter().enumerate() {
        let (key, since) = (key.public().clone(), DtnTime(BEGIN + DAY + number as u64));
        let content = Content::Authority { key, since, cause: Cause::Superseded };
        fleet.input(1, Input::Propose(Box::new(content))).expect("an admin may");
        fleet.run_for(HOUR);
        assert_eq!(decisions(&fleet, 1), number + 1);
        assert_eq!((revoke(&mut fleet, holder), revoke(&mut fleet, 3 - holder)), (true, false));
        fleet.run_for(12 * HOUR);
        for name in 1..=4 {
            // Everybody takes the list, and has it after a restart.
            let list = |fleet: &Fleet| fleet.hosts[&name].node.keyring().expect("a keyring").list_number();
            let before = list(&fleet);
            assert_eq!(before >> 48, number as u64 + 1, "at {name}");
            fleet.restart(name);
            assert_eq!(list(&fleet), before, "at {name}");
        }
    }
    // And the one after that.
    let before = fleet.hosts[&1].node.keyring().expect("a keyring").list_number();
    assert!(revoke(&mut fleet, 1));
    fleet.run_for(12 * HOUR);
    for name in 1..=4 {
        let list = fleet.hosts[&name].node.keyring().expect("a keyring").list_number();
        assert_eq!(list, before + 1, "at {name}");
    }
}

#[test]
fn a_fleet_without_certificates_blocks_a_member_by_its_directory() {
    let pairs: Vec<(u64, u64)> = (1..=4).flat_map(|a| (1..=4).map(move |b| (a, b))).collect();
    let seconds = Duration::from_secs;
    let pace = Pace { period: seconds(20), round_trip: seconds(5), suspicion: seconds(60) };
    let mut fleet = Fleet::built(&ALL, &pairs, |_, config| {
        governed(config);
        config.trust = None;
        let (max_light_time, margin) = (seconds(1), seconds(60));
        config.discovery = Some(DiscoveryConfig { pace, max_light_time, margin });
    });
    fleet.run_for(HOUR / 4);
    assert_eq!(fleet.hosts[&1].node.presence(NodeId(4)), Some(Presence::Alive));
    let block =
        Content::Block { node: NodeId(4), key: KeyId::of(keys(4).public()), since: DtnTime(BEGIN + DAY) };
    fleet.input(1, Input::Propose(Box::new(block))).expect("everybody may");
    fleet.run_for(HOUR);
    for name in 1..=3 {
        assert_eq!(fleet.hosts[&name].node.presence(NodeId(4)), Some(Presence::Down), "at {name}");
        let refused = fleet.try_submit(name, 4, Purpose::Telemetry, "hello");
        let unknown = SubmitError::UnknownDestination(NodeId(4));
        assert_eq!(refused, Err(InputError::Submit(unknown)), "at {name}");
    }
    fleet.submit(4, 3, Purpose::Telemetry, "hello");
    fleet.run_for(HOUR);
    assert!(fleet.texts(3).is_empty());
}

#[test]
fn a_history_that_is_made_up_is_answered_once_an_interval() {
    let mut fleet = fleet();
    fleet.input(1, Input::Propose(Box::new(strict()))).expect("an admin may");
    fleet.run_for(HOUR);
    assert_eq!(decisions(&fleet, 1), 1);
    cut_off(&mut fleet, 4, false);
    let told = |fleet: &Fleet| {
        let pending = fleet.records(1, Kept::OutgoingMessage);
        let headers = pending.iter().filter_map(|record| Some(*Parsed::parse(&record[17..]).ok()?.header()));
        headers.filter(|it| it.purpose == Purpose::Governance && it.destination == NodeId(4)).count()
    };
    let before = told(&fleet);
    for sequence in 1..=5 {
        let (range, names) = ((Brief([0; 8]), Brief([0xff; 8])), Vec::new());
        let (head, records) = ([sequence as u8; 32], Vec::new());
        let asks = GovernanceMessage { asks: true, decisions: 1, head, range, names, records };
        let header = fleet.header(4, 1, Purpose::Governance, sequence);
        let header = Header { incarnation: 2, ..header };
        assert_eq!(fleet.forge_bytes(&keys(4), header, &asks.encode()), None, "a member's own message");
    }
    assert_eq!((told(&fleet) - before, fleet.refusals(1, "governance_other_history")), (1, 5));
}

#[test]
fn streams_to_who_a_stolen_authority_had_blocked_go_on_with_the_next_ones_list() {
    let mut fleet = fleet();
    fleet.run_for(HOUR);
    fleet.meet(2, 3, false);
    for other in [1, 4] {
        fleet.meet(3, other, false);
    }
    fleet.submit(2, 3, Purpose::Telemetry, "given up");
    // The thief's list reaches all but its victim.
    let revoked = Revoked { since: DtnTime(BEGIN), cause: Cause::Blocked };
    let blocks = [((NodeId(3), KeyId::of(keys(3).public())), revoked)].into_iter().collect();
    let list = RevocationList { version: 9, issued: DtnTime(BEGIN + DAY), keys: blocks };
    fleet.input(2, Input::Learn(Statement::Revocations(list.issue(&authority())))).expect("its key is good");
    fleet.run_for(3 * HOUR);
    let content = Content::Authority {
        key: keys(222).public().clone(),
        since: DtnTime(BEGIN + DAY),
        cause: Cause::Compromised,
    };
    fleet.input(1, Input::Propose(Box::new(content))).expect("an admin may");
    fleet.run_for(HOUR);
    let ring = fleet.hosts[&2].node.keyring().expect("a keyring");
    assert_eq!(
        ring.authority(),
        keys(222).public(),
        "three of four decide, whatever else they decided upon the victim's seat"
    );
    fleet.run_for(3 * HOUR);
    let ring = fleet.hosts[&2].node.keyring().expect("a keyring");
    assert!(!ring.list_is_of_stolen_key(), "the standby has issued a list of its own");
    assert_eq!(
        (ring.list_number(), ring.list().keys.len()),
        ((1 << 48) + (1 << 24), 0),
        "with nothing of the thief's"
    );
    fleet.submit(2, 3, Purpose::Telemetry, "and on");
    // The victim says nothing by itself: what it does not owe an answer for tells nobody to go on.
    fleet.swallow(3);
    fleet.meet(2, 3, true);
    // The word of what was given up is said again after a pause that has grown while the link was down.
    fleet.run_for(3 * HOUR);
    assert_eq!(fleet.texts(3), ["and on"], "what was given up is told of, and leaves no gap");
}
