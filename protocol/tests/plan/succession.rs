//! Coordinators that are not there, die, are cut off, and come back; and what is on its way when a horizon ends.

use super::{
    harness::{Fleet, NODES, Setup},
    members::{gap_among, members, setup},
    rounding::{assert_rounded, auction, moment},
};
use cosmosmesh_protocol::{
    node::{Input, Report},
    planning::{Outcome, Version, solver::Kind},
};
use std::time::Duration;

const ALL: [u64; NODES as usize] = [1, 2, 3, 4];

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// The terms in which a node coordinated by a vote.
fn terms(fleet: &Fleet, node: u64) -> Vec<u32> {
    let reports = fleet.hosts[&node].reports.iter();
    let terms = reports.filter_map(|report| match report {
        Report::PlanTerm { term, .. } => Some(*term),
        _ => None,
    });
    terms.collect()
}

/// The versions that a node committed as coordinator.
fn versions(fleet: &Fleet, node: u64) -> Vec<Version> {
    let reports = fleet.hosts[&node].reports.iter();
    let versions = reports.filter_map(|report| match report {
        Report::PlanVersion(version) => Some(version.clone()),
        _ => None,
    });
    versions.collect()
}

/// The digest of the last version that a node holds, with its horizon.
fn digest(fleet: &Fleet, node: u64) -> Option<(u64, [u8; 32])> {
    let reports = fleet.hosts[&node].reports.iter().rev();
    let mut versions = reports.filter_map(|report| match report {
        Report::PlanCommitted { horizon, digest, .. } => Some((*horizon, *digest)),
        _ => None,
    });
    versions.next()
}

fn refused(fleet: &Fleet, node: u64, reason: &str) -> usize {
    let reports = fleet.hosts[&node].reports.iter();
    reports
        .filter(|report| matches!(report, Report::ModuleRefused { reason: found } if *found == reason))
        .count()
}

/// Everyone holds the version that one coordinator committed last, and knows it by one digest.
fn assert_one_version(fleet: &Fleet, coordinator: u64, members: &[u64]) {
    let version = versions(fleet, coordinator).pop().expect("it committed one");
    assert_eq!(version.outcome, Outcome::Converged);
    for node in members {
        assert_eq!(digest(fleet, *node), Some((version.horizon >> 8, version.digest())), "at {node}");
    }
}

#[test]
fn a_coordinator_that_is_not_there_at_the_start_is_missed() {
    for kind in [Kind::QuasiNewton, Kind::AsynchronousExchange] {
        let mut fleet = Fleet::new(Some(kind));
        fleet.put_down(1);
        fleet.start();
        fleet.run_for(secs(500));
        assert_eq!((terms(&fleet, 2), terms(&fleet, 3)), (vec![1], vec![]), "{kind:?}");
        // It comes back, begins as the mission appointed it, and hears that another was elected.
        fleet.restart(1);
        fleet.run_for(secs(20_000));
        assert_one_version(&fleet, 2, &ALL);
        assert!(versions(&fleet, 1).is_empty());
        assert!(fleet.gap() < 1e-5, "{kind:?}: {}", fleet.gap());
    }
}

#[test]
fn a_coordinator_without_a_part_that_crashes_in_the_first_round_goes_on() {
    // Alone it has to come back itself; with successors it is replaced.
    for (successors, coordinator) in [(vec![], 1), (vec![2, 3], 2)] {
        let plan = Setup { successors, ..setup(Kind::QuasiNewton).without_own_part() };
        let mut fleet = Fleet::with(Setup { quorum: 2, ..plan });
        fleet.start();
        fleet.run_for(secs(2));
        fleet.put_down(1);
        fleet.run_for(secs(400));
        fleet.restart(1);
        fleet.run_for(secs(20_000));
        assert_eq!(terms(&fleet, coordinator), [1]);
        assert_one_version(&fleet, coordinator, &[2, 3, 4]);
        assert!(gap_among(&fleet, &[2, 3, 4]) < 1e-5);
    }
}

#[test]
fn a_minority_neither_elects_nor_commits_and_follows_when_the_fleet_is_whole_again() {
    for own_part in [true, false] {
        let plan = setup(Kind::Exchange);
        let plan = if own_part { plan } else { Setup { quorum: 2, ..plan.without_own_part() } };
        let parts: Vec<u64> = plan.members.clone();
        let mut fleet = Fleet::with(plan);
        fleet.start();
        fleet.run_for(secs(10));
        // The coordinator is alone, and the others elect another. Horizons pass on both sides.
        fleet.cut = vec![1];
        for horizon in 1..=2 {
            fleet.run_for(secs(3000));
            fleet.enter_horizon(horizon, &ALL);
        }
        fleet.run_for(secs(3000));
        assert!(versions(&fleet, 1).is_empty(), "alone it commits nothing");
        assert_eq!(terms(&fleet, 2), [1]);
        assert_one_version(&fleet, 2, &[2, 3, 4]);
        fleet.cut.clear();
        fleet.run_for(secs(4000));
        fleet.enter_horizon(3, &ALL);
        fleet.run_for(secs(6000));
        assert!(versions(&fleet, 1).is_empty(), "it heard of its successor");
        assert_eq!(terms(&fleet, 1), Vec::<u32>::new());
        assert_one_version(&fleet, 2, &parts);
        assert!(gap_among(&fleet, &parts) < 1e-5);
    }
}

#[test]
fn a_candidate_that_is_cut_off_deposes_nobody() {
    let mut fleet = Fleet::with(setup(Kind::QuasiNewton));
    // It begins, and hears nothing any more; those who hear it are too few.
    fleet.start();
    fleet.run_for(secs(5));
    fleet.cut = vec![2];
    fleet.run_for(secs(550));
    assert!(terms(&fleet, 2).is_empty());
    fleet.cut.clear();
    fleet.run_for(secs(20_000));
    assert!(ALL.iter().all(|node| terms(&fleet, *node).is_empty()));
    assert_one_version(&fleet, 1, &ALL);
}

#[test]
fn what_a_majority_heard_is_where_the_successor_goes_on() {
    let mut fleet = Fleet::new(Some(Kind::Exchange));
    fleet.start();
    fleet.run_for(secs(10));
    // The first successor hears nothing of what the others agree on meanwhile. (The round waits for it, and is closed without it.)
    fleet.cut = vec![2];
    fleet.run_for(secs(250));
    let round = |fleet: &Fleet, node: u64| {
        let reports = fleet.hosts[&node].reports.iter().rev();
        let mut rounds = reports.filter_map(|report| match report {
            Report::PlanLocal { round, .. } => Some(*round),
            _ => None,
        });
        rounds.next().unwrap_or(0)
    };
    let ahead = round(&fleet, 3);
    assert!(ahead > round(&fleet, 2), "{ahead}");
    fleet.put_down(1);
    fleet.cut.clear();
    fleet.flights.clear();
    while terms(&fleet, 2).is_empty() {
        fleet.run_for(secs(1));
    }
    fleet.run_for(secs(20));
    assert!(round(&fleet, 2) > ahead, "it begins after the others' last round");
}

#[test]
fn a_commit_of_the_last_horizon_does_not_switch_off_the_succession_in_the_next() {
    let mut fleet = Fleet::with(setup(Kind::QuasiNewton));
    fleet.start();
    while fleet.committed(1).is_empty() {
        fleet.run_for(secs(1));
    }
    assert!(fleet.committed(2).is_empty(), "it is on its way");
    // The others' hosts are in the next horizon, which the coordinator does not live to see.
    fleet.enter_horizon(1, &[2, 3, 4]);
    fleet.run_for(secs(10));
    fleet.put_down(1);
    fleet.run_for(secs(20_000));
    assert_eq!(terms(&fleet, 2), [1]);
    assert_one_version(&fleet, 2, &[2, 3, 4]);
    assert_eq!(fleet.committed(3).last().map(|version| version.0), Some(1));
}

#[test]
fn an_auction_that_a_horizon_ends_leaves_nothing_behind() {
    let kind = Kind::QuasiNewton;
    let requests = moment(kind, |fleet| {
        fleet.hosts[&1].reports.iter().any(|report| matches!(report, Report::PlanRequests { .. }))
    });
    // Light time is 3 s: with the call on its way, with bids, with allotments, with answers.
    for ends_at in [requests - 11, requests - 8, requests - 5, requests - 2] {
        let (plan, rounded) = auction(kind);
        let mut fleet = Fleet::with(plan);
        fleet.start();
        fleet.run_for(secs(ends_at));
        fleet.enter_horizon(1, &ALL);
        fleet.run_for(secs(20_000));
        assert_eq!(members(&fleet, 1), [], "ended at {ends_at} s");
        assert_rounded(&fleet, &rounded, &format!("ended at {ends_at} s"));
        for node in ALL {
            assert_eq!(fleet.committed(node).last().map(|version| version.0), Some(1));
        }
    }
}

#[test]
fn a_successor_whose_auction_a_horizon_ends_opens_the_next() {
    let kind = Kind::QuasiNewton;
    let requests = moment(kind, |fleet| {
        fleet.hosts[&1].reports.iter().any(|report| matches!(report, Report::PlanRequests { .. }))
    });
    let (plan, rounded) = auction(kind);
    let mut fleet = Fleet::with(plan);
    fleet.start();
    fleet.run_for(secs(requests - 4));
    fleet.put_down(1);
    while terms(&fleet, 2).is_empty() {
        fleet.run_for(secs(1));
    }
    // It called for bids before it had a round of its own.
    fleet.enter_horizon(1, &[2, 3, 4]);
    fleet.restart(1);
    fleet.run_for(secs(20_000));
    assert_rounded(&fleet, &rounded, "after the successor's call");
    assert_one_version(&fleet, 2, &ALL);
}

#[test]
fn a_coordinator_that_is_cut_off_in_an_auction_retires_nobody() {
    let kind = Kind::QuasiNewton;
    let requests = moment(kind, |fleet| {
        fleet.hosts[&1].reports.iter().any(|report| matches!(report, Report::PlanRequests { .. }))
    });
    let (plan, rounded) = auction(kind);
    // Nobody takes its place.
    let mut fleet = Fleet::with(Setup { successors: Vec::new(), ..plan });
    fleet.start();
    fleet.run_for(secs(requests - 5));
    fleet.cut = vec![1];
    fleet.run_for(secs(4000));
    assert_eq!(members(&fleet, 1), []);
    assert!(versions(&fleet, 1).is_empty());
    fleet.cut.clear();
    fleet.run_for(secs(20_000));
    assert_rounded(&fleet, &rounded, "whole again");
}

#[test]
fn who_leaves_after_its_request_was_withdrawn_is_planned_without() {
    let withdrawn = |fleet: &Fleet| {
        let reports = fleet.hosts[&1].reports.iter().rev();
        let mut told = reports.filter_map(|report| match report {
            Report::PlanRequests { withdrawn, declined, .. } => Some((*withdrawn, *declined)),
            _ => None,
        });
        told.next().unwrap_or_default()
    };
    // A withdrawal takes 12 s, answers and rounds: whoever leaves does so at every moment of it.
    for after in 0..12 {
        let (plan, _) = auction(Kind::Exchange);
        // Too few rounds for any plan: requests are withdrawn one after the other.
        let mut fleet = Fleet::with(Setup { max_rounds: 2, quorum: 1, ..plan });
        fleet.start();
        while withdrawn(&fleet).0 < 2 {
            fleet.run_for(secs(1));
        }
        fleet.run_for(secs(after));
        for node in [4, 3, 2] {
            fleet.input(node, Input::LeavePlan);
        }
        fleet.run_for(secs(2000));
        let (withdrawn, declined) = withdrawn(&fleet);
        assert!(withdrawn + declined <= 16, "{withdrawn}, {declined}");
        assert!(!fleet.committed(1).is_empty(), "{after} s");
    }
}

#[test]
fn whom_the_mission_does_not_name_is_not_taken_in() {
    let mut plan = setup(Kind::QuasiNewton);
    // Its own host believes that it takes part.
    plan.members = vec![1, 2, 3];
    plan.strangers = vec![4];
    let mut fleet = Fleet::with(plan);
    fleet.start();
    fleet.run_for(secs(5));
    fleet.input(4, Input::JoinPlan);
    fleet.run_for(secs(20_000));
    assert_eq!(members(&fleet, 1), []);
    assert!(refused(&fleet, 1, "plan_not_enrolled") > 0);
    assert_one_version(&fleet, 1, &[1, 2, 3]);
    assert!(fleet.committed(4).is_empty());
}
