//! Horizons that follow one another (receding horizon): the plan is solved again as time passes, from where the last one's prices
//! lead.
//!
//! The host gives each node its part of the next horizon, with what was done meanwhile already in it. A horizon whose fleet has
//! requests is planned in stages: relaxed first, then with the requests fixed. To the solvers each stage is a horizon of its
//! own ([`PlanStage`]), so that no answer of one is ever taken for an answer of the other. Rounds count on from stage to stage and
//! from horizon to horizon: a round names one question of the whole run.

use super::{Heard, Node, rounding::Choice};
use crate::{
    node::{InputError, Report},
    planning::{
        Couplings, LocalProblem, QpSettings,
        privacy::STAGE_BITS,
        solver::{Asset, Question, Request},
    },
};
use alloc::vec::Vec;

/// A later horizon of the plan, as its driver gives it.
#[derive(Clone, Debug)]
pub struct PlanHorizon {
    /// Its number, greater than the last one's.
    pub horizon: u64,
    /// What binds the fleet in it.
    pub couplings: Couplings,
    /// This node's problem in it, if it takes part.
    pub problem: Option<LocalProblem>,
    /// For each coupling, the one of the last horizon that it continues.
    pub moved: Vec<Option<usize>>,
    /// Which variables are requests.
    pub requests: Requests,
}

/// Requests of a plan: variables that are to be 0 or 1 in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// This node's own: variables of its problem in ascending order, bounded by 0 and 1.
    pub own: Vec<usize>,
    /// The couplings in which anybody's requests take part, ascending; none when nobody has requests.
    pub couplings: Vec<usize>,
}

impl Requests {
    /// Whether anybody has requests.
    #[must_use]
    pub fn any(&self) -> bool {
        !self.couplings.is_empty()
    }
}

/// What the solvers count as a horizon: the horizon, and how often its requests have been fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PlanStage(pub(super) u64);

impl PlanStage {
    const BITS: u32 = STAGE_BITS;

    /// The first stage of a horizon: requests may be taken in part.
    pub(super) const fn relaxed(horizon: u64) -> Self {
        Self(horizon << Self::BITS)
    }

    pub(super) const fn horizon(self) -> u64 {
        self.0 >> Self::BITS
    }

    pub(super) const fn is_relaxed(self) -> bool {
        self.0.trailing_zeros() >= Self::BITS
    }

    /// The stage after this one.
    pub(super) const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Whether the horizon has no further stage.
    pub(super) const fn is_last(self) -> bool {
        self.next().is_relaxed()
    }

    /// Whether it has two: as many as it takes to decide requests and to plan the rest.
    pub(super) const fn has_two_more(self) -> bool {
        !self.is_last() && !self.next().is_last()
    }
}

impl Node {
    /// Begins a later horizon, from where the last one's prices lead.
    pub(in crate::node) fn replan(&mut self, next: PlanHorizon) -> Result<(), InputError> {
        let (now, id) = (self.now, self.config.id);
        let refused = InputError::NotConfigured { what: "this horizon of the plan" };
        let planning = self.planning.as_mut().ok_or(InputError::NotConfigured { what: "planning" })?;
        let before = planning.config.couplings.len();
        let moves = next.moved.len() == next.couplings.len()
            && next.moved.iter().flatten().all(|&from| from < before)
            && next.problem.as_ref().is_none_or(|problem| problem.couplings() == next.couplings.len());
        if !moves || next.horizon <= planning.config.horizon {
            return Err(refused);
        }
        let stage = PlanStage::relaxed(next.horizon);
        if let Some(problem) = &next.problem {
            match planning.asset.as_mut() {
                Some(asset) => asset.replace_problem(stage.0, problem.clone(), &next.moved),
                None => Asset::new(id, problem.clone(), QpSettings::default())
                    .map(|asset| planning.asset = Some(asset.in_horizon(stage.0))),
            }
            .map_err(|_| refused)?;
        }
        let config = &mut planning.config;
        (config.horizon, config.couplings) = (next.horizon, next.couplings);
        (config.problem, config.requests) = (next.problem, next.requests);
        (planning.choice, planning.auction, planning.commit) = (Choice::default(), None, None);
        planning.thresholds = None;
        let carry = |list: &[f64]| -> Vec<f64> {
            let price = |from: &Option<usize>| from.and_then(|from| list.get(from).copied()).unwrap_or(0.0);
            next.moved.iter().map(price).collect()
        };
        let led = planning.coordinator.as_ref().map(|own| (own.round(), carry(own.prices())));
        let heard = planning.heard.as_ref().map(|heard| (heard.round, carry(&heard.prices)));
        if let Some((round, prices)) = heard.clone() {
            // Should its coordinator not open it, a candidate does, from where the last horizon's prices lead.
            let (term, horizon) = (planning.term, stage.0);
            let (committed, calling) = (false, false);
            planning.heard = Some(Heard { at: now, term, horizon, round, prices, committed, calling });
        }
        planning.standing = None;
        // A successor that called for bids first has no round of its own yet: it goes on from what it heard.
        let began = led.as_ref().filter(|(round, _)| *round > 0).cloned();
        if let Some((round, prices)) = led.and(began.or(heard)) {
            self.coordinate_from(stage, round.saturating_add(1), &prices);
        }
        self.watch_coordinator();
        Ok(())
    }

    /// Brings this node's asset to the stage that a request is about, where it can.
    pub(super) fn enter_stage(&mut self, request: &Request) {
        let id = self.config.id;
        let Some(planning) = self.planning.as_mut() else { return };
        let (Some(asset), Some(problem)) = (planning.asset.as_mut(), planning.config.problem.as_ref()) else {
            return;
        };
        let (stage, current) = (PlanStage(request.horizon), PlanStage(asset.horizon()));
        let whole = matches!(request.question, Question::Whole { .. });
        let there = stage == current && asset.offer().is_some() == whole;
        if there || stage.horizon() != current.horizon() {
            return;
        }
        let later = asset.request().is_none_or(|last| request.term > last.term);
        if stage <= current && !later {
            return;
        }
        if whole {
            return self.enter_thresholds(stage);
        }
        let next =
            if stage.is_relaxed() { Some(problem.clone()) } else { planning.choice.fix(stage, problem) };
        let Some(next) = next else { return };
        let entered = if stage > current && asset.offer().is_none() {
            let same: Vec<Option<usize>> = (0..next.couplings()).map(Some).collect();
            asset.replace_problem(stage.0, next, &same)
        } else {
            // A successor that heard less: it begins again where the others were before.
            Asset::new(id, next, QpSettings::default()).map(|fresh| *asset = fresh.in_horizon(stage.0))
        };
        if entered.is_err() {
            self.report(Report::ModuleRefused { reason: "plan_stage" });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_of_a_horizon_come_between_it_and_the_next() {
        let relaxed = PlanStage::relaxed(3);
        assert!(relaxed.is_relaxed() && PlanStage(0).is_relaxed());
        assert!(!relaxed.next().is_relaxed() && relaxed.next() < PlanStage::relaxed(4));
        assert_eq!((relaxed.next().horizon(), PlanStage(0).0), (3, 0));
        assert!(PlanStage(relaxed.0 + 255).is_last() && !relaxed.is_last());
    }
}
