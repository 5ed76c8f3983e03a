//! Members that the fleet has blocked: what they are told, once, and what that does to nobody else.

use crate::{
    fleet::{BEGIN, DAY, Fleet, keys},
    governance::{HOUR, decisions, governed},
};
use cosmosmesh_protocol::{
    dtn::contact_plan::{ContactPlan, PlannedContact},
    envelope::Purpose,
    governance::Content,
    id::NodeId,
    identity::{Cause, KeyId},
    node::{Input, Report},
    time::{DtnTime, Instant},
};
use std::time::Duration;

fn block(node: u64) -> Content {
    Content::Block { node: NodeId(node), key: KeyId::of(keys(node).public()), since: DtnTime(BEGIN + DAY) }
}

#[test]
fn what_a_blocked_member_is_told_makes_nobody_doubt_the_relay_that_brings_it() {
    // Node 4 hears the others by node 3 only, and node 2 hears node 1 by node 3 now, directly tomorrow.
    let pairs = [(1, 3), (3, 1), (2, 3), (3, 2), (3, 4), (4, 3)];
    let hosts: [(u64, u64, &[u64]); 4] = [(1, 1, &[3]), (2, 2, &[3]), (3, 3, &[1, 2, 4]), (4, 4, &[3])];
    let mut fleet = Fleet::built(&hosts, &pairs, |_, config| governed(config));
    let contact = |from: u64, to: u64, start: Duration| PlannedContact {
        from: NodeId(from),
        to: NodeId(to),
        start: Instant::ZERO.saturating_add(start),
        end: Instant::from_nanos(1 << 62),
        rate_bps: 1_000_000,
        owlt: Duration::ZERO,
    };
    let now = pairs.iter().map(|(from, to)| contact(*from, *to, Duration::ZERO));
    let later = [(1, 2), (2, 1)].map(|(from, to)| contact(from, to, 48 * HOUR));
    let plan = ContactPlan::from_contacts(now.chain(later)).expect("a plain plan");
    for name in 1..=4 {
        fleet.input(name, Input::ContactPlan(plan.clone())).expect("a plan");
    }
    fleet.input(1, Input::Propose(Box::new(block(4)))).expect("an admin may");
    fleet.run_for(HOUR);
    assert_eq!(decisions(&fleet, 2), 1);
    fleet.hosts.values_mut().for_each(|host| host.reports.clear());
    // Somebody writes its name: that is no signature yet.
    for number in 1..=8 {
        let header = fleet.header(4, 2, Purpose::Event, number);
        assert_eq!(fleet.forge(&keys(99), header, "in its name"), Some("blocked_source"));
        fleet.run_for(Duration::from_secs(601));
    }
    let told = |report: &&Report| {
        matches!(report, Report::Accepted { destination: NodeId(4), purpose: Purpose::Governance, .. })
    };
    let again = |report: &&Report| matches!(report, Report::Retransmitted { destination: NodeId(4), .. });
    let count = |fleet: &Fleet, what: &dyn Fn(&&Report) -> bool| {
        fleet.hosts[&2].reports.iter().filter(|report| what(report)).count()
    };
    fleet.submit(2, 1, Purpose::Event, "found ice");
    fleet.run_for(Duration::from_secs(60));
    assert_eq!(fleet.texts(1), ["found ice"], "by the relay, which has brought everything on");
    assert!((1..=3).contains(&count(&fleet, &told)), "{}", count(&fleet, &told));
    assert_eq!(count(&fleet, &again), 0, "its answer does not count, so none is waited for");
}

#[test]
fn a_blocked_member_that_lacks_many_decisions_hears_all_up_to_its_own_also_of_tellers_that_were_restarted() {
    let pairs: Vec<(u64, u64)> = (1..=4).flat_map(|a| (1..=4).map(move |b| (a, b))).collect();
    let all: [(u64, u64, &[u64]); 4] =
        [(1, 1, &[2, 3, 4]), (2, 2, &[1, 3, 4]), (3, 3, &[1, 2, 4]), (4, 4, &[1, 2, 3])];
    let mut fleet = Fleet::built(&all, &pairs, |_, config| governed(config));
    (1..=3).for_each(|other| fleet.meet(4, other, false));
    for number in 0..9 {
        let (key, since, cause) = (keys(222).public().clone(), DtnTime(BEGIN + number), Cause::Superseded);
        let content = Content::Authority { key, since, cause };
        for name in 2..=3 {
            let opinion = Input::Opinion { content: content.digest(), approves: false };
            fleet.input(name, opinion).expect("an opinion");
        }
        fleet.input(1, Input::Propose(Box::new(content))).expect("an admin may");
        fleet.run_for(7 * HOUR);
    }
    let before = decisions(&fleet, 1);
    assert!(before >= 9, "{before}");
    fleet.input(1, Input::Propose(Box::new(block(4)))).expect("an admin may");
    fleet.run_for(HOUR);
    (1..=3).for_each(|name| fleet.restart(name));
    (1..=3).for_each(|other| fleet.meet(4, other, true));
    fleet.run_for(12 * HOUR);
    assert_eq!((decisions(&fleet, 1), decisions(&fleet, 4)), (before + 1, before + 1));
}
