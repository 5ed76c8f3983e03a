//! Requests that the nodes make whole: as the central rule does, with a coordinator that fails in any phase, and after crashes.

use super::harness::{Fleet, NODES, Setup};
use cosmosmesh_protocol::{
    id::NodeId,
    node::{Input, Report},
    planning::{
        Coupling, Couplings, FleetProblem, Hessian, IntegerFleet, LocalProblem, Outcome, ProblemParts,
        QpSettings, Rounded, Row, SharedTerm, integrality_gap, solver::Kind,
    },
};
use std::time::Duration;

const SLOTS: usize = 4;

/// A satellite that wants passes, at most two, and sends at most one unit in each: requests, then amounts. Couplings: an antenna for
/// each slot, then a budget.
fn satellite(index: usize) -> LocalProblem {
    let n = 2 * SLOTS;
    let mut rows: Vec<Row> = (0..SLOTS)
        .map(|t| Row { terms: vec![(t, -1.0), (SLOTS + t, 1.0)], lower: f64::NEG_INFINITY, upper: 0.0 })
        .collect();
    rows.push(Row { terms: (0..SLOTS).map(|t| (t, 1.0)).collect(), lower: 0.0, upper: 2.0 });
    let worth = |t: usize| 0.6 + 0.13 * ((3 * index + 5 * t) % 7) as f64;
    let mut linear: Vec<f64> = (0..SLOTS).map(|t| -worth(t)).collect();
    linear.extend((0..SLOTS).map(|t| -0.8 - 0.1 * ((index + t) % 3) as f64));
    let antennas = (0..SLOTS).map(|t| SharedTerm { variable: t, coupling: t, coefficient: 1.0 });
    let budget = (0..SLOTS).map(|t| SharedTerm { variable: SLOTS + t, coupling: SLOTS, coefficient: 1.0 });
    LocalProblem::new(ProblemParts {
        hessian: Hessian::Diagonal((0..n).map(|i| if i < SLOTS { 0.7 } else { 1.0 }).collect()),
        linear,
        constant: 0.0,
        lower: vec![0.0; n],
        upper: vec![1.0; n],
        rows,
        shared: antennas.chain(budget).collect(),
        couplings: SLOTS + 1,
    })
    .expect("valid")
}

pub(crate) fn auction(kind: Kind) -> (Setup, Rounded) {
    let antennas = (0..SLOTS).map(|t| Coupling::mutual_exclusion(format!("antenna[{t}]"), 1.0));
    let couplings =
        Couplings::new(antennas.chain([Coupling::budget("budget", 2.5)]).collect()).expect("valid");
    let locals = (1..=NODES).map(|node| (NodeId(node), satellite(node as usize))).collect();
    let problem = FleetProblem::new(couplings, locals).expect("reachable");
    let requests = vec![(0..SLOTS).collect::<Vec<_>>(); NODES as usize];
    let fleet = IntegerFleet::new(problem.clone(), requests.clone()).expect("requests");
    let rounded = fleet.solve_centrally(QpSettings::default()).expect("rounded");
    let best = rounded.plan.cost;
    let contested = (0..SLOTS).collect();
    let setup = Setup { problem, best, requests, contested, ..Setup::planted(Some(kind)) };
    (setup, rounded)
}

pub(crate) fn assert_rounded(fleet: &Fleet, rounded: &Rounded, what: &str) {
    let held = fleet.held();
    for (values, granted) in held.iter().zip(&rounded.choice) {
        let whole: Vec<f64> = granted.iter().map(|granted| if *granted { 1.0 } else { 0.0 }).collect();
        assert_eq!(values[..SLOTS], whole, "{what}");
    }
    assert!(fleet.gap() < 1e-5, "{what}: {}", fleet.gap());
    let gap = integrality_gap(rounded.relaxed, fleet.setup.problem.cost(&held));
    assert!((gap - rounded.gap).abs() < 1e-4, "{what}: {gap} and {}", rounded.gap);
    for node in 1..=NODES {
        let last = fleet.committed(node).last().map(|version| version.2);
        assert_eq!(last, Some(Outcome::Converged), "{what} at {node}");
    }
}

#[test]
fn nodes_make_requests_whole_as_the_central_rule_does() {
    for kind in [Kind::QuasiNewton, Kind::Anderson, Kind::AsynchronousExchange] {
        let (setup, rounded) = auction(kind);
        let mut fleet = Fleet::with(setup);
        fleet.input(1, Input::StartPlan);
        fleet.run_for(Duration::from_secs(20_000));
        assert_rounded(&fleet, &rounded, kind.word());
        assert!(rounded.gap > 1e-3, "rounding costs something: {}", rounded.gap);
        let told = fleet.hosts[&1].reports.iter().find_map(|report| match report {
            Report::PlanRequests { bids, granted, withdrawn, .. } => Some((*bids, *granted, *withdrawn)),
            _ => None,
        });
        let granted = rounded.choice.iter().flatten().filter(|granted| **granted).count();
        assert_eq!(told, Some((SLOTS * NODES as usize, granted, 0)));
        // Only whole plans are committed.
        assert_eq!(fleet.committed(2).len(), 1);
    }
}

/// When something of the run happens first at the coordinator, in whole seconds.
pub(crate) fn moment(kind: Kind, holds: impl Fn(&Fleet) -> bool) -> u64 {
    let mut fleet = Fleet::with(auction(kind).0);
    fleet.input(1, Input::StartPlan);
    (0..5000)
        .find(|_| {
            fleet.run_for(Duration::from_secs(1));
            holds(&fleet)
        })
        .expect("it happens")
}

fn is_whole(report: &Report) -> bool {
    matches!(report, Report::PlanLocal { whole: true, .. })
}

#[test]
fn a_successor_takes_over_in_every_phase() {
    let kind = Kind::QuasiNewton;
    let requests = moment(kind, |fleet| {
        fleet.hosts[&1].reports.iter().any(|report| matches!(report, Report::PlanRequests { .. }))
    });
    let solved = moment(kind, |fleet| fleet.hosts[&1].reports.iter().any(is_whole));
    // Light time is 3 s: before the call, with bids on their way, with allotments on their way, while the rest is solved.
    for fails_at in [requests - 18, requests - 10, requests - 4, requests, solved + 2, solved + 5, solved + 8]
    {
        let (setup, rounded) = auction(kind);
        let mut fleet = Fleet::with(setup);
        fleet.input(1, Input::StartPlan);
        fleet.run_for(Duration::from_secs(fails_at));
        fleet.hosts.get_mut(&1).expect("a host").down = true;
        fleet.run_for(Duration::from_secs(500));
        fleet.hosts.get_mut(&1).expect("a host").down = false;
        fleet.input(1, Input::Timeout);
        fleet.run_for(Duration::from_secs(20_000));
        assert_rounded(&fleet, &rounded, &format!("failed at {fails_at} s"));
    }
}

#[test]
fn a_member_that_crashes_keeps_to_what_it_was_granted() {
    let kind = Kind::QuasiNewton;
    let solved = moment(kind, |fleet| fleet.hosts[&3].reports.iter().any(is_whole));
    for fails_at in [solved - 12, solved - 5, solved, solved + 3] {
        let (setup, rounded) = auction(kind);
        let mut fleet = Fleet::with(setup);
        fleet.input(1, Input::StartPlan);
        fleet.run_for(Duration::from_secs(fails_at));
        fleet.hosts.get_mut(&3).expect("a host").down = true;
        fleet.run_for(Duration::from_secs(90));
        fleet.restart(3);
        fleet.run_for(Duration::from_secs(20_000));
        assert_rounded(&fleet, &rounded, &format!("crashed at {fails_at} s"));
    }
}

#[test]
fn a_member_that_never_bids_is_planned_without() {
    let kind = Kind::QuasiNewton;
    let requests = moment(kind, |fleet| {
        fleet.hosts[&1].reports.iter().any(|report| matches!(report, Report::PlanRequests { .. }))
    });
    let mut fleet = Fleet::with(auction(kind).0);
    fleet.input(1, Input::StartPlan);
    fleet.run_for(Duration::from_secs(requests - 12));
    fleet.hosts.get_mut(&4).expect("a host").down = true;
    fleet.run_for(Duration::from_secs(20_000));
    for node in 1..=3 {
        let last = fleet.committed(node).last().map(|version| version.2);
        assert_eq!(last, Some(Outcome::Converged), "at {node}");
    }
    let whole = fleet.held().into_iter().take(3).all(|x| x[..SLOTS].iter().all(|x| *x == 0.0 || *x == 1.0));
    assert!(whole);
}

/// Under masks: nobody bids, and thresholds rise until what is taken fits.
pub(crate) fn assert_whole_and_feasible(fleet: &Fleet, read: &Rounded, what: &str) -> f64 {
    let held = fleet.held();
    let whole: Vec<Vec<bool>> = held.iter().map(|x| x[..SLOTS].iter().map(|x| *x == 1.0).collect()).collect();
    let fixed = |x: &f64| *x == 0.0 || *x == 1.0;
    assert!(held.iter().all(|x| x[..SLOTS].iter().all(fixed)), "{what}: {held:?}");
    let problem = &fleet.setup.problem;
    let violation = problem.couplings().violation(&problem.sums(&held));
    assert!(violation < 1e-4, "{what}: {violation}");
    let integer = IntegerFleet::new(problem.clone(), fleet.setup.requests.clone()).expect("requests");
    let best =
        integer.fix(&whole).expect("rows hold").solve_centrally(QpSettings::default()).expect("solved").cost;
    let cost = problem.cost(&held);
    assert!((cost - best).abs() < 1e-3, "{what}: the rest costs {cost}, at best {best}");
    for node in 1..=NODES {
        let last = fleet.committed(node).last().map(|version| version.2);
        assert_eq!(last, Some(Outcome::Converged), "{what} at {node}");
    }
    let gap = integrality_gap(read.relaxed, cost);
    assert!(gap >= -1e-4, "{what}: {gap}");
    gap
}

fn masked(kind: Kind) -> (Fleet, Rounded) {
    let (setup, rounded) = auction(kind);
    (Fleet::with(Setup { masks: Some(2), ..setup }), rounded)
}

#[test]
fn under_masks_requests_are_made_whole_from_sums() {
    for kind in
        [Kind::QuasiNewton, Kind::Asynchronous, Kind::Anderson, Kind::Exchange, Kind::AsynchronousExchange]
    {
        let (mut fleet, read) = masked(kind);
        fleet.input(1, Input::StartPlan);
        fleet.run_for(Duration::from_secs(60_000));
        let gap = assert_whole_and_feasible(&fleet, &read, kind.word());
        assert!(gap <= read.gap + 0.02, "{}: {gap}, and {} where bids are read", kind.word(), read.gap);
        // How many were taken is told as a sum, where answers have room for it.
        let told = fleet.hosts[&1].reports.iter().find_map(|report| match report {
            Report::PlanRequests { bids, granted, withdrawn, .. } => Some((*bids, *granted, *withdrawn)),
            _ => None,
        });
        let taken = fleet.held().iter().flat_map(|x| &x[..SLOTS]).filter(|x| **x == 1.0).count();
        let expected = (kind != Kind::AsynchronousExchange).then_some((SLOTS * NODES as usize, taken, 0));
        assert_eq!(told, expected, "{}", kind.word());
    }
}

#[test]
fn under_masks_a_successor_and_a_member_that_crashes_go_on_with_thresholds() {
    let kind = Kind::QuasiNewton;
    let asks = |fleet: &Fleet| {
        fleet.hosts[&1].reports.iter().any(|report| matches!(report, Report::PlanRequests { .. }))
    };
    let moment = {
        let (mut fleet, _) = masked(kind);
        fleet.input(1, Input::StartPlan);
        (0..5000_u64).find(|_| {
            fleet.run_for(Duration::from_secs(1));
            asks(&fleet)
        })
    };
    let moment = moment.expect("it happens");
    for (node, fails_at) in
        [(1, moment - 20), (1, moment - 4), (1, moment + 4), (4, moment - 9), (4, moment + 3)]
    {
        let (mut fleet, read) = masked(kind);
        fleet.input(1, Input::StartPlan);
        fleet.run_for(Duration::from_secs(fails_at));
        fleet.hosts.get_mut(&node).expect("a host").down = true;
        fleet.run_for(Duration::from_secs(if node == 1 { 500 } else { 90 }));
        fleet.restart(node);
        fleet.run_for(Duration::from_secs(60_000));
        assert_whole_and_feasible(&fleet, &read, &format!("{node} failed at {fails_at} s"));
    }
}

fn told(fleet: &Fleet, node: u64) -> Vec<(u64, bool, &'static str)> {
    let reports = fleet.hosts[&node].reports.iter();
    let member = |report: &Report| match report {
        Report::PlanMember { member, present, why, .. } => Some((member.0, *present, *why)),
        _ => None,
    };
    reports.filter_map(member).collect()
}

fn outcomes(fleet: &Fleet, nodes: &[u64]) -> Vec<Option<Outcome>> {
    nodes.iter().map(|node| fleet.committed(*node).last().map(|version| version.2)).collect()
}

/// A sum that is opened shows `least` assets at least, whatever sums before it are taken off: then some of the four may stay.
fn masked_without_successors(kind: Kind) -> Fleet {
    let (setup, _) = auction(kind);
    Fleet::with(Setup { masks: Some(2), quorum: 2, successors: Vec::new(), ..setup })
}

/// Seconds until a stage after the relaxed one is asked for.
fn asked_by_thresholds(fleet: &mut Fleet) -> u64 {
    let whole = |report: &Report| matches!(report, Report::PlanRound(round) if round.horizon > 0);
    let asked = (0..20_000_u64).find(|_| {
        fleet.run_for(Duration::from_secs(1));
        fleet.hosts[&1].reports.iter().any(whole)
    });
    asked.expect("it happens")
}

#[test]
fn under_masks_who_is_gone_before_requests_are_decided_is_planned_without() {
    for kind in [Kind::QuasiNewton, Kind::Asynchronous, Kind::AsynchronousExchange] {
        let moment = asked_by_thresholds(&mut {
            let mut fleet = masked_without_successors(kind);
            fleet.input(1, Input::StartPlan);
            fleet
        });
        // Before the first question by thresholds, and after it.
        for fails_at in [moment - 40, moment + 2] {
            let what = format!("{} at {fails_at} s", kind.word());
            let mut fleet = masked_without_successors(kind);
            fleet.input(1, Input::StartPlan);
            fleet.run_for(Duration::from_secs(fails_at));
            fleet.put_down(4);
            fleet.run_for(Duration::from_secs(60_000));
            // Without one more the others' sums would show what it wants.
            let told = told(&fleet, 1);
            let left: Vec<u64> = told.iter().filter(|one| one.2 == "left_out").map(|one| one.0).collect();
            assert!(matches!(left[..], [2] | [3]), "{what}: {told:?}");
            assert!(told.iter().any(|one| one.0 == 4 && !one.1), "{what}: {told:?}");
            let kept = [1, if left == [2] { 3 } else { 2 }];
            let converged = Some(Outcome::Converged);
            assert_eq!(outcomes(&fleet, &kept), [converged; 2], "{what}");
            assert_eq!(
                outcomes(&fleet, &left),
                [None],
                "{what}: nobody has a plan that others do not count on"
            );
            let held = fleet.held();
            let passes = |node: u64| &held[node as usize - 1][..SLOTS];
            assert!(kept.iter().all(|node| passes(*node).iter().all(|x| *x == 0.0 || *x == 1.0)), "{what}");
            let used = |slot: usize| kept.iter().map(|node| passes(*node)[slot]).sum::<f64>();
            assert!((0..SLOTS).all(|slot| used(slot) <= 1.0) && (0..SLOTS).any(|slot| used(slot) == 1.0));
            // The next horizon begins with whoever is there.
            fleet.enter_horizon(1, &[1, 2, 3]);
            fleet.run_for(Duration::from_secs(60_000));
            assert_eq!(outcomes(&fleet, &[1, 2, 3]), [converged; 3], "{what}");
        }
    }
}

#[test]
fn under_masks_a_horizon_in_which_nobody_can_be_summed_ends_and_nobody_takes_anything() {
    for kind in [Kind::QuasiNewton, Kind::Asynchronous] {
        let moment = asked_by_thresholds(&mut {
            let (mut fleet, _) = masked(kind);
            fleet.input(1, Input::StartPlan);
            fleet
        });
        // Whoever else could be left out is a candidate.
        let (mut fleet, _) = masked(kind);
        fleet.input(1, Input::StartPlan);
        fleet.run_for(Duration::from_secs(moment - 40));
        fleet.put_down(4);
        fleet.run_for(Duration::from_secs(60_000));
        assert_eq!(outcomes(&fleet, &[1, 2, 3]), [Some(Outcome::Absent); 3], "{kind:?}");
        for values in fleet.held().iter().take(3) {
            assert_eq!(values[..SLOTS], [0.0; SLOTS], "{kind:?}");
            assert!(values[SLOTS..].iter().all(|sent| *sent < 1e-6), "{kind:?}: nothing is sent: {values:?}");
        }
        // What was ended is known after a crash too, at the coordinator as well, and nobody begins it again.
        let held = fleet.held();
        for node in [1, 2] {
            fleet.restart(node);
            fleet.run_for(Duration::from_secs(20_000));
            let versions: Vec<usize> = (1..=3).map(|node| fleet.committed(node).len()).collect();
            assert!(versions.iter().all(|count| *count == 1), "{kind:?} after {node}: {versions:?}");
            assert_eq!(fleet.held()[..3], held[..3], "{kind:?}");
        }
        // The next horizon begins with whoever is there.
        fleet.enter_horizon(1, &[1, 2, 3]);
        fleet.run_for(Duration::from_secs(60_000));
        assert_eq!(outcomes(&fleet, &[1, 2, 3]), [Some(Outcome::Converged); 3], "{kind:?}");
    }
}

#[test]
fn under_masks_who_comes_late_waits_for_the_next_horizon_and_keeps_nobody_from_this_one() {
    for kind in [Kind::QuasiNewton, Kind::Asynchronous, Kind::AsynchronousExchange] {
        let (mut fleet, _) = masked(kind);
        fleet.put_down(4);
        fleet.input(1, Input::StartPlan);
        // It is retired by then, and the others have begun.
        fleet.run_for(Duration::from_secs(900));
        fleet.hosts.get_mut(&4).expect("a host").down = false;
        fleet.input(4, Input::Timeout);
        fleet.run_for(Duration::from_secs(60_000));
        let converged = Some(Outcome::Converged);
        // Without rounds two of three begin, which is fewer than the quorum: they begin again when the fourth is there, and it takes part.
        let found = outcomes(&fleet, &[1, 2, 3, 4]);
        assert_eq!(found[..3], [converged; 3], "{kind:?}: {:?}", told(&fleet, 1));
        assert_eq!(found[3], converged.filter(|_| kind != Kind::QuasiNewton), "{kind:?}");
        let whole = |node: u64| {
            fleet.held_by(node).is_some_and(|x| x[..SLOTS].iter().all(|x| *x == 0.0 || *x == 1.0))
        };
        assert!((1..=3).all(whole), "{kind:?}");
        fleet.enter_horizon(1, &[1, 2, 3, 4]);
        fleet.run_for(Duration::from_secs(60_000));
        assert_eq!(outcomes(&fleet, &[1, 2, 3, 4]), [converged; 4], "{kind:?}");
    }
}
