use proptest::prelude::*;

use super::*;
use crate::planning::{Coupling, Couplings, Hessian, ProblemParts, Row, SharedTerm};

const SLOTS: usize = 3;

/// A satellite that wants passes: a request for each slot, and what it sends in the slot, at most one per pass.
/// Variables: requests, then amounts; couplings: an antenna per slot, then a budget of energy.
fn satellite(worth: &[f64], wanted: f64, passes: f64) -> LocalProblem {
    let n = 2 * SLOTS;
    let mut rows: Vec<Row> = (0..SLOTS)
        .map(|t| Row { terms: vec![(t, -1.0), (SLOTS + t, 1.0)], lower: f64::NEG_INFINITY, upper: 0.0 })
        .collect();
    rows.push(Row { terms: (0..SLOTS).map(|t| (t, 1.0)).collect(), lower: 0.0, upper: passes });
    let mut linear: Vec<f64> = worth.iter().map(|worth| -worth).collect();
    linear.extend((0..SLOTS).map(|_| -wanted));
    let antennas = (0..SLOTS).map(|t| SharedTerm { variable: t, coupling: t, coefficient: 1.0 });
    let energy = (0..SLOTS).map(|t| SharedTerm { variable: SLOTS + t, coupling: SLOTS, coefficient: 1.0 });
    LocalProblem::new(ProblemParts {
        hessian: Hessian::Diagonal((0..n).map(|i| if i < SLOTS { 0.5 } else { 1.0 }).collect()),
        linear,
        constant: 0.0,
        lower: vec![0.0; n],
        upper: vec![1.0; n],
        rows,
        shared: antennas.chain(energy).collect(),
        couplings: SLOTS + 1,
    })
    .expect("valid")
}

fn fleet(satellites: Vec<LocalProblem>, budget: f64) -> IntegerFleet {
    let antennas = (0..SLOTS).map(|t| Coupling::mutual_exclusion(alloc::format!("antenna[{t}]"), 1.0));
    let list = antennas.chain([Coupling::budget("energy", budget)]).collect();
    let count = satellites.len();
    let locals = satellites.into_iter().enumerate().map(|(i, local)| (NodeId(i as u64 + 1), local)).collect();
    let problem = FleetProblem::new(Couplings::new(list).expect("valid"), locals).expect("reachable");
    IntegerFleet::new(problem, vec![(0..SLOTS).collect(); count]).expect("requests")
}

/// The cheapest of all choices, each solved.
fn brute_force(fleet: &IntegerFleet) -> f64 {
    let count = fleet.requests().iter().map(Vec::len).sum::<usize>();
    let costs = (0..1_u32 << count).filter_map(|bits| {
        let mut bit = 0;
        let mut next = || {
            bit += 1;
            bits >> (bit - 1) & 1 == 1
        };
        let choice = fleet.requests().iter().map(|list| list.iter().map(|_| next()).collect()).collect();
        fleet.attempt(&choice, QpSettings::default()).map(|plan| plan.cost)
    });
    costs.fold(f64::INFINITY, f64::min)
}

fn assert_whole(fleet: &IntegerFleet, rounded: &Rounded) {
    let violation = fleet.relaxed().couplings().violation(&fleet.relaxed().sums(&rounded.plan.values));
    assert!(violation < 1e-8, "{violation}");
    for ((((_, local), x), requests), granted) in
        fleet.relaxed().locals().iter().zip(&rounded.plan.values).zip(fleet.requests()).zip(&rounded.choice)
    {
        assert!(local.violation(x) < 1e-8);
        for (&variable, &granted) in requests.iter().zip(granted) {
            assert_eq!(x[variable], if granted { 1.0 } else { 0.0 });
        }
    }
}

#[test]
fn a_relaxation_that_is_whole_is_kept_without_a_gap() {
    let fleet =
        fleet(vec![satellite(&[9.0, 1.0, 1.0], 2.0, 1.0), satellite(&[1.0, 9.0, 1.0], 2.0, 1.0)], 9.0);
    let rounded = fleet.solve_centrally(QpSettings::default()).expect("feasible");
    assert_eq!(rounded.choice, [[true, false, false], [false, true, false]]);
    assert!(rounded.gap.abs() < 1e-9 && rounded.withdrawn == 0, "{rounded:?}");
}

#[test]
fn equal_bids_for_one_antenna_go_to_the_lower_node() {
    let equal = || satellite(&[2.0, 0.0, 0.0], 0.0, 1.0);
    let fleet = fleet(vec![equal(), equal()], 9.0);
    let rounded = fleet.solve_centrally(QpSettings::default()).expect("feasible");
    assert_eq!(rounded.choice[0], [true, false, false]);
    assert!(!rounded.choice[1][0]);
    assert!(rounded.gap > 0.0);
    assert_whole(&fleet, &rounded);
}

#[test]
fn a_coupling_that_is_short_is_raised_by_denied_bids() {
    let couplings = Couplings::new(vec![Coupling::total("passes", 2.0, f64::INFINITY)]).expect("valid");
    let bid = |node, value| Bid { node: NodeId(node), variable: 0, value, worth: 0.0, uses: vec![(0, 1.0)] };
    let bids = [bid(1, 0.0), bid(2, 1.0), bid(3, 0.0)];
    let verdicts = allot(&bids, &couplings, &[0.0], |_| true);
    assert_eq!(verdicts, [Verdict::Granted, Verdict::Granted, Verdict::Declined]);
    let verdicts = allot(&bids, &couplings, &[0.0], |bid| bid.node != NodeId(1));
    assert_eq!(verdicts, [Verdict::Declined, Verdict::Granted, Verdict::Granted]);
}

#[test]
fn a_full_antenna_is_named() {
    let couplings = Couplings::new(vec![Coupling::mutual_exclusion("antenna", 1.0)]).expect("valid");
    let bid = |node, value| Bid { node: NodeId(node), variable: 0, value, worth: 0.0, uses: vec![(0, 1.0)] };
    // Within one step of each other, so that the node decides.
    let bids = [bid(2, 0.5 + 1e-9), bid(1, 0.5)];
    let verdicts = allot(&bids, &couplings, &[0.0], |_| true);
    assert_eq!(verdicts, [Verdict::NoRoom { coupling: 0 }, Verdict::Granted]);
}

#[test]
fn requests_must_be_bounded_by_zero_and_one() {
    let whole = fleet(vec![satellite(&[1.0; SLOTS], 1.0, 1.0)], 1.0);
    let problem = whole.relaxed().clone();
    let new = |requests| IntegerFleet::new(problem.clone(), requests).map_err(|error| error.reason());
    assert_eq!(new(vec![]), Err("members"));
    assert_eq!(new(vec![vec![1, 0]]), Err("request"));
    assert_eq!(new(vec![vec![6]]), Err("request"));
    let mut parts = problem.locals()[0].1.parts().clone();
    parts.upper[0] = 2.0;
    let local = LocalProblem::new(parts).expect("valid");
    let other = FleetProblem::new(problem.couplings().clone(), vec![(NodeId(1), local)]).expect("valid");
    assert_eq!(IntegerFleet::new(other, vec![vec![0]]).map_err(|error| error.reason()), Err("request"));
}

/// What the rule loses on fleets from a fixed sequence; a changed rule changes it.
#[test]
fn rounding_loses_little_against_brute_force() {
    let mut state = 1_u64;
    let mut draw = |low: f64, high: f64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        low + (high - low) * (state >> 33) as f64 / f64::from(1_u32 << 31)
    };
    let mut losses: Vec<f64> = (0..40)
        .map(|_| {
            let satellites = (0..3).map(|_| {
                let worth: Vec<f64> = (0..SLOTS).map(|_| draw(-0.5, 3.0)).collect();
                satellite(&worth, draw(0.0, 2.0), libm::floor(draw(1.0, 4.0)))
            });
            let satellites = satellites.collect();
            let fleet = fleet(satellites, draw(0.5, 4.0));
            let rounded = fleet.solve_centrally(QpSettings::default()).expect("all denied is feasible");
            let best = brute_force(&fleet);
            (rounded.plan.cost - best) / best.abs().max(1.0)
        })
        .collect();
    losses.sort_by(f64::total_cmp);
    assert!(losses[30] < 1e-6, "three in four are optimal: {losses:?}");
    assert!(losses[39] < 0.05, "{losses:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn rounding_is_feasible_and_between_brute_force_and_its_gap(
        satellites in prop::collection::vec(
            (prop::collection::vec(-0.5..3.0_f64, SLOTS), 0.0..2.0_f64, 1..4_u8), 2..4),
        budget in 0.5..4.0_f64,
    ) {
        let satellites = satellites.iter().map(|(worth, wanted, passes)| satellite(worth, *wanted, f64::from(*passes)));
        let fleet = fleet(satellites.collect(), budget);
        let rounded = fleet.solve_centrally(QpSettings::default()).expect("all denied is feasible");
        assert_whole(&fleet, &rounded);
        let best = brute_force(&fleet);
        prop_assert!(rounded.relaxed <= best + 1e-8, "{} {best}", rounded.relaxed);
        prop_assert!(best <= rounded.plan.cost + 1e-8, "{best} {}", rounded.plan.cost);
        prop_assert!((rounded.gap - integrality_gap(rounded.relaxed, rounded.plan.cost)).abs() < 1e-15);
    }
}
