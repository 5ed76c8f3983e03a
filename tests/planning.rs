//! The plans of shipped scenarios: what binds the fleet, and that there is an optimum, whole requests included.

use std::sync::Arc;

use cosmosmesh::{engine::RandomStreams, runtime::Fleet, scenario::Scenario};
use cosmosmesh_protocol::planning::{CouplingKind, FleetProblem, QpSettings, Stop};

fn fleet(name: &str) -> Fleet {
    let path = format!("{}/scenarios/{name}.ron", env!("CARGO_MANIFEST_DIR"));
    let scenario = Arc::new(Scenario::load(path.as_ref()).expect("it loads"));
    let streams = RandomStreams::new(scenario.seed);
    Fleet::new(scenario, streams).expect("every participant has a problem")
}

fn problem(fleet: &Fleet) -> FleetProblem {
    let locals = fleet.problems().iter().map(|(asset, problem)| (fleet.node(*asset), problem.clone()));
    FleetProblem::new(fleet.couplings().expect("a plan").clone(), locals.collect()).expect("reachable")
}

#[test]
fn a_plan_without_further_words_balances_every_commodity() {
    let fleet = fleet("mars_relay");
    let couplings = fleet.couplings().expect("a plan");
    assert!(couplings.balanced());
    assert_eq!(couplings.len(), 14);
    assert_eq!(couplings.as_slice()[8].name, "downlink[1]");
    assert_eq!(fleet.integer(), Ok(None));
}

#[test]
fn prices_have_the_names_of_the_constraints() {
    for name in ["mars_relay", "energy_sharing", "downlink_auction"] {
        let fleet = fleet(name);
        let couplings = fleet.couplings().expect("a plan").as_slice();
        let names: Vec<&str> = couplings.iter().map(|coupling| coupling.name.as_str()).collect();
        assert_eq!(fleet.scenario().planning.as_ref().expect("a plan").coupling_names(0), names);
    }
}

#[test]
fn energy_sharing_has_an_optimum_with_a_price_for_each_constraint() {
    let fleet = fleet("energy_sharing");
    let problem = problem(&fleet);
    assert_eq!(problem.locals().len(), 16);
    problem.check_curvature(0.05).expect("the contract's curvature");
    let optimum = problem.solve_centrally(QpSettings::default()).expect("prepared");
    assert_eq!(optimum.stop, Stop::Solved);
    assert!(problem.gap(&optimum.values, optimum.cost) < 1e-8);
    let price = |name: &str| optimum.prices[problem.couplings().position(name).expect("named")];
    for name in ["reactor-output", "science"] {
        assert!(price(name) > 0.0, "{name} binds: {}", price(name));
    }
    // By night power is dear, and whoever gives it is paid: a price below zero rewards giving.
    assert!(price("power[2]") < price("power[11]"), "{} {}", price("power[2]"), price("power[11]"));
    // What the greenhouse does with its share is not shared.
    let greenhouse = &problem.locals()[7].1;
    assert_eq!(greenhouse.variables(), 72);
    assert!((0..72).all(|variable| greenhouse.is_shared(variable) == (variable < 24)));
}

#[test]
fn downlink_auction_is_rounded_with_a_reported_gap() {
    let fleet = fleet("downlink_auction").integer().expect("bound").expect("requests");
    let kinds = fleet.relaxed().couplings().as_slice().iter().map(|coupling| coupling.kind);
    assert_eq!(kinds.filter(|kind| *kind == CouplingKind::MutualExclusion).count(), 72);
    let rounded = fleet.solve_centrally(QpSettings::default()).expect("rounded");
    assert!(rounded.gap > 0.0 && rounded.gap < 0.05, "{}", rounded.gap);
    assert_eq!(rounded.withdrawn, 0);
    let plan = &rounded.plan;
    let problem = fleet.relaxed();
    assert!(problem.couplings().violation(&problem.sums(&plan.values)) < 1e-8);
    for ((x, requests), (_, local)) in plan.values.iter().zip(fleet.requests()).zip(problem.locals()) {
        assert!(local.violation(x) < 1e-8);
        assert!(requests.iter().all(|&variable| x[variable] == 0.0 || x[variable] == 1.0));
    }
    let granted = rounded.choice.iter().flatten().filter(|granted| **granted).count();
    assert!(granted >= 20, "{granted} passes");
}
