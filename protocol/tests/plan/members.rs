//! Members that come late, leave, or are gone for good; and versions that everyone holds in the end.

use super::harness::{Fleet, NODES, Setup};
use cosmosmesh_protocol::{
    id::NodeId,
    node::{Input, Report},
    planning::{
        Couplings, FleetProblem, Hessian, LocalProblem, Outcome, ProblemParts, QpSettings, SharedTerm,
        solver::Kind,
    },
};
use std::time::Duration;

/// A fleet that can plan whoever is missing: each may do nothing.
pub(crate) fn setup(kind: Kind) -> Setup {
    const SLOTS: usize = 3;
    let local = |node: u64| {
        let preferred = |slot: usize| ((5 * node as usize + 3 * slot) % 7) as f64 - 3.0;
        let curvature = 0.5 + 0.25 * node as f64;
        LocalProblem::new(ProblemParts {
            hessian: Hessian::Diagonal(vec![curvature; SLOTS]),
            linear: (0..SLOTS).map(|slot| -curvature * preferred(slot)).collect(),
            constant: 0.0,
            lower: vec![-4.0; SLOTS],
            upper: vec![4.0; SLOTS],
            rows: Vec::new(),
            shared: (0..SLOTS)
                .map(|slot| SharedTerm { variable: slot, coupling: slot, coefficient: 1.0 })
                .collect(),
            couplings: SLOTS,
        })
        .expect("valid")
    };
    let locals = (1..=NODES).map(|node| (NodeId(node), local(node))).collect();
    let problem = FleetProblem::new(Couplings::balances(SLOTS).expect("some"), locals).expect("reachable");
    let best = problem.solve_centrally(QpSettings::default()).expect("an optimum").cost;
    Setup { problem, best, ..Setup::planted(Some(kind)) }
}

/// The gap of some members' plans to the optimum among them.
pub(crate) fn gap_among(fleet: &Fleet, members: &[u64]) -> f64 {
    let locals = fleet.setup.problem.locals().iter();
    let locals = locals.filter(|(node, _)| members.contains(&node.0)).cloned().collect();
    let problem = FleetProblem::new(fleet.setup.problem.couplings().clone(), locals).expect("reachable");
    let best = problem.solve_centrally(QpSettings::default()).expect("an optimum").cost;
    let held: Vec<Vec<f64>> = members.iter().map(|node| latest(fleet, *node)).collect();
    problem.gap(&held, best)
}

fn latest(fleet: &Fleet, node: u64) -> Vec<f64> {
    let reports = fleet.hosts[&node].reports.iter().rev();
    let mut values = reports.filter_map(|report| match report {
        Report::PlanLocal { values, .. } => Some(values.clone()),
        _ => None,
    });
    values.next().expect("a plan")
}

pub(crate) fn members(fleet: &Fleet, coordinator: u64) -> Vec<(u64, bool, &'static str)> {
    let reports = fleet.hosts[&coordinator].reports.iter();
    let members = reports.filter_map(|report| match report {
        Report::PlanMember { member, present, why, .. } => Some((member.0, *present, *why)),
        _ => None,
    });
    members.collect()
}

#[test]
fn a_member_that_is_gone_for_good_does_not_keep_the_others_from_a_plan() {
    for kind in [Kind::QuasiNewton, Kind::Exchange, Kind::AsynchronousExchange] {
        let mut fleet = Fleet::with(setup(kind));
        fleet.hosts.get_mut(&4).expect("a host").down = true;
        fleet.input(1, Input::StartPlan);
        fleet.run_for(Duration::from_secs(20_000));
        assert_eq!(members(&fleet, 1), [(4, false, "absent")], "{kind:?}");
        for node in 1..=3 {
            let version = fleet.committed(node);
            assert!(matches!(version[..], [(0, _, Outcome::Converged)]), "{kind:?} at {node}: {version:?}");
        }
        let gap = gap_among(&fleet, &[1, 2, 3]);
        assert!(gap < 1e-5, "{kind:?}: {gap}");
    }
}

#[test]
fn who_was_retired_takes_part_again_when_it_is_back() {
    let mut fleet = Fleet::with(setup(Kind::Exchange));
    fleet.hosts.get_mut(&4).expect("a host").down = true;
    fleet.input(1, Input::StartPlan);
    fleet.run_for(Duration::from_secs(640));
    fleet.hosts.get_mut(&4).expect("a host").down = false;
    fleet.input(4, Input::JoinPlan);
    fleet.run_for(Duration::from_secs(20_000));
    assert_eq!(members(&fleet, 1), [(4, false, "absent"), (4, true, "joined")]);
    assert!((1..=NODES).all(|node| matches!(fleet.committed(node)[..], [(0, _, Outcome::Converged)])));
    assert!(fleet.gap() < 1e-5, "{}", fleet.gap());
}

#[test]
fn a_late_member_is_taken_in_and_one_that_leaves_is_planned_without() {
    for kind in [Kind::QuasiNewton, Kind::AsynchronousExchange] {
        let mut fewer = setup(kind);
        fewer.members = vec![1, 2, 4];
        fewer.joiners = vec![3];
        let mut fleet = Fleet::with(fewer);
        fleet.input(1, Input::StartPlan);
        fleet.run_for(Duration::from_secs(5));
        fleet.input(3, Input::JoinPlan);
        fleet.run_for(Duration::from_secs(5));
        fleet.input(4, Input::LeavePlan);
        fleet.run_for(Duration::from_secs(20_000));
        assert_eq!(members(&fleet, 1), [(3, true, "joined"), (4, false, "left")], "{kind:?}");
        for node in 1..=3 {
            let version = fleet.committed(node);
            assert!(matches!(version[..], [(0, _, Outcome::Converged)]), "{kind:?} at {node}: {version:?}");
        }
        assert!(fleet.committed(4).is_empty());
        let gap = gap_among(&fleet, &[1, 2, 3]);
        assert!(gap < 1e-5, "{kind:?}: {gap}");
    }
}

#[test]
fn a_member_that_missed_the_version_is_told_it_again() {
    let mut setup = Setup::planted(Some(Kind::Exchange));
    // Nothing is sent twice by the layers below.
    setup.max_attempts = 1;
    let mut fleet = Fleet::with(setup);
    fleet.input(1, Input::StartPlan);
    while fleet.committed(1).is_empty() {
        fleet.run_for(Duration::from_secs(1));
    }
    // Whatever is on its way to a member that is no candidate is lost, for a while.
    for _ in 0..150 {
        fleet.flights.retain(|(_, _, to, _)| *to != 4);
        fleet.run_for(Duration::from_secs(1));
    }
    assert!(fleet.committed(4).is_empty());
    fleet.run_for(Duration::from_secs(2000));
    assert_eq!(fleet.committed(4), fleet.committed(1));
}

#[test]
fn an_answer_to_another_coordinator_is_not_counted() {
    let mut fleet = Fleet::with(setup(Kind::AsynchronousExchange));
    fleet.input(1, Input::StartPlan);
    fleet.run_for(Duration::from_secs(30));
    // The coordinator is cut off with answers to it on their way, and another takes its place.
    fleet.hosts.get_mut(&1).expect("a host").down = true;
    fleet.run_for(Duration::from_secs(400));
    fleet.hosts.get_mut(&1).expect("a host").down = false;
    fleet.input(1, Input::Timeout);
    fleet.run_for(Duration::from_secs(20_000));
    assert!(matches!(fleet.committed(4)[..], [(0, _, Outcome::Converged)]));
    assert!(fleet.gap() < 1e-5, "{}", fleet.gap());
}

/// How far the plans of some members are from giving as much as they take, at the worst slot.
fn apart(fleet: &Fleet, members: &[u64]) -> f64 {
    let held: Vec<Vec<f64>> = members.iter().map(|node| latest(fleet, *node)).collect();
    let sums = (0..3).map(|slot| held.iter().map(|values| values[slot]).sum::<f64>().abs());
    sums.fold(0.0, f64::max)
}

#[test]
fn under_masks_no_two_sums_of_a_horizon_differ_by_one_member_unless_the_mission_says_so() {
    for (changes, why) in [(2, "absent_kept"), (1, "absent")] {
        let mut fleet = Fleet::with(Setup { masks: Some(changes), ..setup(Kind::Exchange) });
        fleet.input(1, Input::StartPlan);
        fleet.run_for(Duration::from_secs(60));
        fleet.hosts.get_mut(&4).expect("a host").down = true;
        fleet.run_for(Duration::from_secs(20_000));
        assert_eq!(members(&fleet, 1), [(4, false, why)]);
        assert!(matches!(fleet.committed(1)[..], [(0, _, Outcome::Converged)]), "{:?}", fleet.committed(1));
        // Had the sum begun anew, the others would balance among themselves, and the last sum less this one would be its share.
        let rest = apart(&fleet, &[1, 2, 3]);
        if changes == 1 {
            assert!(rest < 1e-3, "{rest}");
        } else {
            assert!(rest > 0.05, "{rest}");
        }
    }
}
