use alloc::string::ToString;

use super::*;
use crate::planning::{Hessian, ProblemParts, SharedTerm};

fn local(shared: &[(usize, usize, f64)], couplings: usize) -> LocalProblem {
    let term = |&(variable, coupling, coefficient)| SharedTerm { variable, coupling, coefficient };
    LocalProblem::new(ProblemParts {
        hessian: Hessian::Diagonal(vec![2.0, 0.5]),
        linear: vec![0.0, 1.0],
        constant: 0.0,
        lower: vec![0.0, -1.0],
        upper: vec![3.0, 1.0],
        rows: Vec::new(),
        shared: shared.iter().map(term).collect(),
        couplings,
    })
    .expect("valid")
}

fn couplings() -> Couplings {
    Couplings::new(vec![
        Coupling::balance("power"),
        Coupling::budget("downlink", 4.0),
        Coupling::safety_envelope("mass", -2.0, 3.0),
        Coupling::total("science", 1.0, f64::INFINITY),
    ])
    .expect("valid")
}

#[test]
fn sums_are_projected_into_the_bounds_and_prices_onto_their_signs() {
    let couplings = couplings();
    let mut sums = [0.5, 9.0, -3.0, 0.0];
    assert_eq!(couplings.violation(&sums), 5.0);
    couplings.project(&mut sums);
    assert_eq!(sums, [0.0, 4.0, -2.0, 1.0]);
    assert_eq!(couplings.violation(&sums), 0.0);
    let mut prices = [-1.0, -1.0, -1.0, 1.0];
    assert_eq!(couplings.support(&prices), f64::INFINITY, "an excluded sign");
    couplings.project_prices(&mut prices);
    assert_eq!(prices, [-1.0, 0.0, -1.0, 0.0]);
    assert_eq!(couplings.support(&prices), 2.0);
    assert_eq!(couplings.scale(), 4.0);
    let named: Vec<_> = couplings.priced(&prices).map(|(c, price)| (c.name.as_str(), price)).collect();
    assert_eq!(named[2], ("mass", -1.0));
    assert_eq!(couplings.position("science"), Some(3));
}

#[test]
fn couplings_that_contradict_themselves_are_refused() {
    for (coupling, reason) in [
        (Coupling::budget("", 1.0), "name"),
        (Coupling::budget("x".repeat(65), 1.0), "name"),
        (Coupling::budget("power", 1.0), "repeated"),
        (Coupling::budget("b", f64::INFINITY), "bounds"),
        (Coupling::mutual_exclusion("b", 0.0), "bounds"),
        (Coupling::total("b", f64::NEG_INFINITY, f64::INFINITY), "bounds"),
        (Coupling::safety_envelope("b", 2.0, 1.0), "bounds"),
        (Coupling::total("b", f64::NAN, 1.0), "bounds"),
        (Coupling { upper: 1.0, ..Coupling::balance("b") }, "bounds"),
    ] {
        let error = Couplings::new(vec![Coupling::balance("power"), coupling]).expect_err("flawed");
        assert_eq!(error.reason(), reason, "{error}");
    }
    assert_eq!(Couplings::new(Vec::new()).expect_err("empty").reason(), "couplings");
}

#[test]
fn a_fleet_that_cannot_meet_a_coupling_names_it() {
    let couplings = Couplings::new(vec![Coupling::total("science", 7.0, 9.0)]).expect("valid");
    let member = local(&[(0, 0, 1.0)], 1);
    let fleet = vec![(NodeId(2), member.clone()), (NodeId(1), member.clone())];
    let error = FleetProblem::new(couplings.clone(), fleet.clone()).expect_err("at most 6");
    assert!(error.to_string().contains("science reaches [0, 6]"), "{error}");
    let three = FleetProblem::new(couplings, [fleet, vec![(NodeId(3), member)]].concat()).expect("reachable");
    assert_eq!(three.locals()[0].0, NodeId(1));
    let values = [[3.0, 0.0], [3.0, 0.0], [1.0, 0.0]];
    assert_eq!(three.sums(&values), [7.0]);
    assert_eq!(three.cost(&values), 19.0);
    assert_eq!(three.gap(&values, 19.0), 0.0);
    assert_eq!(three.gap(&[[3.0, 0.0]; 2], 18.0), 1.0 / 9.0);
}

#[test]
fn members_must_fit_the_fleet() {
    let couplings = Couplings::balances(1).expect("valid");
    let new = |locals| FleetProblem::new(couplings.clone(), locals).map_err(|error| error.reason());
    let member = || local(&[(0, 0, 1.0)], 1);
    assert_eq!(new(Vec::new()), Err("members"));
    assert_eq!(new(vec![(NodeId(1), member()), (NodeId(1), member())]), Err("members"));
    assert_eq!(new(vec![(NodeId(1), local(&[], 2))]), Err("length"));
}

#[test]
fn curvature_counts_in_shared_variables_only() {
    let couplings = Couplings::balances(1).expect("valid");
    let fleet = |variable| {
        let members = vec![(NodeId(1), local(&[(variable, 0, 1.0)], 1))];
        FleetProblem::new(couplings.clone(), members).expect("valid")
    };
    assert_eq!(fleet(0).check_curvature(1.0), Ok(()));
    let expected = FleetError::Curvature { node: NodeId(1), variable: 1, minimum: 1.0 };
    assert_eq!(fleet(1).check_curvature(1.0), Err(expected));
    assert_eq!(fleet(1).check_curvature(0.5), Ok(()));
}
