//! Planning through the whole stack: nodes in a full mesh in virtual time, with coordinators that fail, members that come and go, and
//! horizons that move on.

mod harness;
mod masks;
mod members;
mod rounding;
mod slots;
mod succession;

use cosmosmesh_protocol::{
    id::NodeId,
    node::{Input, PlanHorizon, Requests},
    planning::{Outcome, solver::Kind},
};
use harness::{Fleet, NODES};
use std::time::Duration;

#[test]
fn every_method_plans_through_the_stack_and_everyone_holds_the_same_version() {
    for kind in Kind::ALL {
        let mut fleet = Fleet::new(Some(kind));
        fleet.input(1, Input::StartPlan);
        fleet.run_for(Duration::from_secs(20_000));
        let version = fleet.committed(1);
        assert!(matches!(version[..], [(0, _, Outcome::Converged)]), "{kind:?}: {version:?}");
        assert!((2..=NODES).all(|node| fleet.committed(node) == version), "{kind:?}");
        assert!(fleet.gap() < 1e-5, "{kind:?}: {}", fleet.gap());
    }
}

#[test]
fn the_coordinator_picks_from_the_contact_plan_and_says_why() {
    let mut fleet = Fleet::new(None);
    fleet.input(1, Input::StartPlan);
    assert_eq!(fleet.solver(1), [("quasi_newton", "everyone can answer in a round")]);
    fleet.run_for(Duration::from_secs(5000));
    assert!(fleet.gap() < 1e-5);
}

#[test]
fn a_coordinator_that_fails_is_replaced_without_losing_progress() {
    for kind in [Kind::AsynchronousExchange, Kind::QuasiNewton, Kind::Exchange] {
        let mut fleet = Fleet::new(Some(kind));
        fleet.input(1, Input::StartPlan);
        fleet.run_for(Duration::from_secs(20));
        fleet.hosts.get_mut(&1).expect("a host").down = true;
        fleet.run_for(Duration::from_secs(600));
        assert_eq!(fleet.solver(2).len(), 1, "{kind:?}: the first successor coordinates");
        assert!(fleet.solver(3).is_empty(), "{kind:?}: the second one heard of it");
        // The first coordinator comes back, hears of the later term and takes part.
        fleet.hosts.get_mut(&1).expect("a host").down = false;
        fleet.input(1, Input::Timeout);
        fleet.run_for(Duration::from_secs(20_000));
        assert!(matches!(fleet.committed(3)[..], [(0, _, Outcome::Converged)]), "{kind:?}");
        assert!(fleet.gap() < 1e-5, "{kind:?}: {}", fleet.gap());
    }
}

#[test]
fn a_later_horizon_goes_on_from_the_prices_of_the_last() {
    let mut fleet = Fleet::new(Some(Kind::QuasiNewton));
    fleet.input(1, Input::StartPlan);
    fleet.run_for(Duration::from_secs(3000));
    let (_, cold, _) = fleet.committed(1)[0];
    let moved: Vec<Option<usize>> = (0..fleet.setup.problem.couplings().len()).map(Some).collect();
    for node in (1..=NODES).rev() {
        let locals = fleet.setup.problem.locals();
        let problem = locals.iter().find(|(id, _)| *id == NodeId(node)).map(|(_, problem)| problem.clone());
        let couplings = fleet.setup.problem.couplings().clone();
        let requests = Requests::default();
        let next = PlanHorizon { horizon: 1, couplings, problem, moved: moved.clone(), requests };
        fleet.input(node, Input::PlanHorizon(Box::new(next)));
    }
    fleet.run_for(Duration::from_secs(3000));
    let (horizon, warm, outcome) = *fleet.committed(1).last().expect("committed");
    assert_eq!((horizon, outcome), (1, Outcome::Converged));
    // Rounds count on.
    let warm = warm - cold;
    assert!(warm < cold, "{warm} rounds warm, {cold} cold");
    assert!(fleet.gap() < 1e-5);
    assert_eq!(fleet.committed(3).last(), fleet.committed(1).last());
}
