//! Horizons that follow one another: the plan is solved again as time passes, from where the last one's prices lead.

use super::{Heard, Node};
use crate::node::InputError;
use alloc::vec::Vec;

/// A later horizon of the plan, as its driver gives it.
#[derive(Clone, Debug)]
pub struct PlanHorizon {
    /// Its number, greater than the last one's.
    pub horizon: u64,
    /// This node's problem in it, if it takes part.
    pub problem: Option<crate::planning::LocalProblem>,
    /// For each coupling, the one of the last horizon that it continues.
    pub moved: Vec<Option<usize>>,
}

impl Node {
    /// Begins a later horizon, from where the last one's prices lead.
    pub(in crate::node) fn replan(&mut self, next: PlanHorizon) -> Result<(), InputError> {
        let now = self.now;
        let refused = InputError::NotConfigured { what: "this horizon of the plan" };
        let planning = self.planning.as_mut().ok_or(InputError::NotConfigured { what: "planning" })?;
        if next.moved.len() != planning.config.couplings.len() {
            return Err(refused);
        }
        if let (Some(asset), Some(problem)) = (planning.asset.as_mut(), next.problem) {
            asset.replace_problem(next.horizon, problem, &next.moved).map_err(|_| refused)?;
        }
        let mut asked = Vec::new();
        if let Some(coordinator) = planning.coordinator.as_mut() {
            let before = coordinator.prices();
            let price = |from: &Option<usize>| from.and_then(|from| before.get(from).copied()).unwrap_or(0.0);
            let prices: Vec<f64> = next.moved.iter().map(price).collect();
            asked = coordinator
                .resume(now, next.horizon, 1, &prices)
                .map_err(|_| InputError::NotConfigured { what: "this horizon of the plan" })?;
        } else if let Some(heard) = &mut planning.heard {
            // Should its coordinator not open it, a candidate does, from where the last horizon's prices lead.
            let price = |from: &Option<usize>| from.and_then(|from| heard.prices.get(from).copied());
            let prices = next.moved.iter().map(|from| price(from).unwrap_or(0.0)).collect();
            *heard = Heard { at: now, horizon: next.horizon, round: 0, prices, committed: false };
        }
        self.watch_coordinator();
        self.ask(asked);
        Ok(())
    }
}
