//! Relays that take and do not give, and clocks that are wrong.

use crate::fleet::{BEGIN, DAY, Fleet, authority, keys};
use cosmosmesh_protocol::{
    envelope::Purpose,
    identity::{RevocationList, Statement},
    node::{Input, Report},
    time::DtnTime,
};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// Node 2 and node 3 hear each other over node 1 or node 4 only.
fn diamond() -> Fleet {
    let pairs = [(2, 1), (1, 2), (2, 4), (4, 2), (3, 1), (1, 3), (3, 4), (4, 3)];
    let hosts: [(u64, u64, &[u64]); 4] = [(1, 1, &[2, 3]), (2, 2, &[1, 4]), (3, 3, &[1, 4]), (4, 4, &[2, 3])];
    Fleet::built(&hosts, &pairs, |_, _| {})
}

fn repeats(fleet: &Fleet) -> usize {
    let reports = fleet.hosts[&2].reports.iter();
    let orders = |report: &&Report| matches!(report, Report::Retransmitted { purpose: Purpose::Command, .. });
    reports.filter(orders).count()
}

#[test]
fn messages_find_the_way_around_a_relay_that_never_forwards() {
    for swallows in [1, 4] {
        let mut fleet = diamond();
        fleet.swallow(swallows);
        for number in 0..30 {
            fleet.submit(2, 3, Purpose::Command, &format!("order {number}"));
            fleet.run_for(Duration::from_secs(300));
        }
        fleet.run_for(HOUR);
        let wanted: Vec<String> = (0..30).map(|number| format!("order {number}")).collect();
        assert_eq!(fleet.texts(3), wanted, "past relay {swallows}");
        assert!(repeats(&fleet) <= 15, "the other way is preferred: {} repeats", repeats(&fleet));
    }
}

/// How many of 180 messages, one every twenty seconds, are not there after two.
fn late(fleet: &mut Fleet) -> usize {
    let mut late = 0;
    for number in 1..=180 {
        fleet.submit(2, 3, Purpose::Command, &format!("order {number}"));
        fleet.run_for(Duration::from_secs(2));
        late += usize::from(fleet.texts(3).len() < number);
        fleet.run_for(Duration::from_secs(18));
    }
    fleet.run_for(HOUR);
    assert_eq!(fleet.texts(3).len(), 180);
    late
}

#[test]
fn a_relay_that_never_forwards_delays_one_message_and_is_tried_with_what_nobody_waits_for() {
    for swallows in [1, 4] {
        let mut fleet = diamond();
        fleet.swallow(swallows);
        let late = late(&mut fleet);
        assert!(late <= 1, "{late} messages came late past relay {swallows}");
    }
}

#[test]
fn where_there_is_no_other_way_a_doubtful_relay_is_used_again() {
    let mut fleet = diamond();
    fleet.meet(2, 4, false);
    fleet.meet(2, 1, false);
    fleet.submit(2, 3, Purpose::Command, "dig");
    fleet.run_for(3 * HOUR);
    assert!(fleet.texts(3).is_empty());
    fleet.meet(2, 1, true);
    fleet.run_for(Duration::from_millis(2 * DAY));
    assert_eq!(fleet.texts(3), ["dig"]);
}

#[test]
fn a_node_without_a_clock_goes_by_what_the_authority_has_signed() {
    let mut fleet = Fleet::new();
    fleet.lose_clock(3);
    fleet.submit(2, 3, Purpose::Command, "dig");
    fleet.run_for(HOUR);
    assert_eq!(fleet.texts(3), ["dig"]);
    // The authority's word is the only time that it has: past it, what has ended has ended.
    let list = RevocationList { version: 9, issued: DtnTime(BEGIN + 60 * DAY), ..RevocationList::default() };
    fleet.input(3, Input::Learn(Statement::Revocations(list.issue(&authority())))).expect("the authority's");
    let late = fleet.header(2, 3, Purpose::Event, 1);
    assert_eq!(fleet.forge(&keys(2), late, "an event"), Some("certificate_expired"));
}

#[test]
fn a_clock_set_back_brings_no_ended_certificate_back() {
    let mut fleet = Fleet::new();
    let list = RevocationList { version: 9, issued: DtnTime(BEGIN + 60 * DAY), ..RevocationList::default() };
    fleet.input(3, Input::Learn(Statement::Revocations(list.issue(&authority())))).expect("the authority's");
    fleet.set_clock(3, DtnTime(BEGIN + 61 * DAY));
    let header = fleet.header(2, 3, Purpose::Event, 1);
    assert_eq!(fleet.forge(&keys(2), header, "late"), Some("certificate_expired"));
    fleet.set_clock(3, DtnTime(BEGIN + DAY));
    assert_eq!(fleet.forge(&keys(2), header, "late, with the clock set back"), Some("certificate_expired"));
}

#[test]
fn a_clock_that_drifts_within_what_it_says_changes_nothing() {
    let mut fleet = Fleet::slow();
    // A host that gains 20 s a day, and says so at its next estimate only.
    for day in 1..=25 {
        fleet.run_for(Duration::from_millis(DAY));
        fleet.set_clock(3, DtnTime(BEGIN + DAY + day * (DAY + 20_000)));
        fleet.submit(2, 3, Purpose::Command, &format!("order {day}"));
    }
    fleet.run_for(HOUR);
    assert_eq!(fleet.texts(3).len(), 25);
}
