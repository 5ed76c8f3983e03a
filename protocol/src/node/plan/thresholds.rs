//! Requests that are made whole under masks: nobody's bids are read, the fleet's sums are.
//!
//! When the rounds of the relaxed plan are over, its coordinator begins a stage in which it asks by thresholds
//! ([`crate::planning::solver::thresholds`]): in rounds, under masks that are bound to each question, until what members take fits. Then the next stage fixes
//! what each member took at the last question, and the fleet solves the continuous rest, as without masks. Should the rest not converge within its limit
//! of rounds, thresholds begin again from a higher floor, at last from one that nobody reaches.
//!
//! A successor that heard of any such stage begins the one after it. Members answer from the relaxed plan that they had when they were first asked.

use super::{Node, PlanStage, Planning, rounding::Choice};
use crate::{
    node::Report,
    planning::{
        LocalProblem, Outcome, QpSettings,
        integer::{OPEN, Offer, TOP},
        solver::{Asset, Question, Request},
    },
};

/// In how many steps the floor rises to where nobody takes anything.
const FLOORS: u32 = 8;

/// The stage in which a coordinator asks by thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Thresholds {
    stage: PlanStage,
    /// How often the rest of the plan found no end.
    withdrawn: u32,
}

impl Thresholds {
    /// A stage in which nobody takes anything.
    const fn nothing(stage: PlanStage) -> Self {
        Self { stage, withdrawn: FLOORS }
    }

    pub(super) const fn withdrawn(self) -> u32 {
        self.withdrawn
    }

    /// The floor of a coordinator that coordinates `stage`, if that is the stage of thresholds.
    pub(super) fn floor(self, stage: PlanStage) -> Option<u32> {
        let steps = self.withdrawn.min(FLOORS);
        (stage == self.stage).then(|| OPEN + (TOP - OPEN) / FLOORS * steps).map(|floor| match steps {
            FLOORS => TOP,
            _ => floor,
        })
    }
}

impl Choice {
    /// What the requests are answered from in a stage of thresholds; keeps the relaxed plan when it is the first.
    fn offer(
        &mut self,
        stage: PlanStage,
        (problem, own): (&LocalProblem, &[usize]),
        values: &[f64],
        seed: &[u8; 32],
    ) -> Offer {
        if self.relaxed.len() != problem.variables() {
            (self.horizon, self.relaxed) = (stage.horizon(), values.to_vec());
        }
        Offer::new(problem.clone(), own, &self.relaxed, seed)
    }

    /// Notes what was taken at a question of `stage`: it is fixed in the next one.
    fn note(&mut self, stage: PlanStage, own: &[usize], taken: &[usize]) {
        self.horizon = stage.horizon();
        (self.taken, self.requests) = (Some((stage.next().0, taken.to_vec())), own.to_vec());
    }

    /// Whether `stage` was one of thresholds here.
    fn offered(&self, stage: PlanStage) -> bool {
        self.taken.as_ref().is_some_and(|(next, _)| *next == stage.next().0) && !self.relaxed.is_empty()
    }
}

impl Planning {
    /// Whether requests are made whole by thresholds: where nobody may read bids.
    pub(super) fn rounds_by_thresholds(&self) -> bool {
        self.private.is_some() && self.config.requests.any()
    }

    /// This node's asset at a stage of thresholds, as it begins. `None` without a part, or without masks.
    pub(super) fn offering(&mut self, stage: PlanStage) -> Option<Asset> {
        let seed = self.private.as_ref()?.tickets(stage.horizon());
        let asset = self.asset.as_ref()?;
        let problem = self.config.problem.as_ref()?;
        let own = &self.config.requests.own;
        let offer = self.choice.offer(stage, (problem, own), asset.values(), &seed);
        let fresh = Asset::new(asset.node(), problem.clone(), QpSettings::default()).ok()?;
        Some(fresh.in_horizon(stage.0).offering(offer))
    }

    /// After a crash in a stage of thresholds.
    pub(super) fn offering_again(&mut self, stage: PlanStage) -> Option<Asset> {
        if self.choice.offered(stage) { self.offering(stage) } else { None }
    }
}

impl Node {
    /// The relaxed plan is agreed on, or the rest of a whole one cannot be: requests are made whole by thresholds.
    pub(super) fn begin_thresholds(&mut self, stage: PlanStage, round: u32, prices: &[f64], withdrawn: u32) {
        let Some(planning) = self.planning.as_mut() else { return };
        let members = planning.members_of(stage);
        planning.membership.settle();
        let Some(members) = members else {
            planning.thresholds = Some(Thresholds::nothing(stage));
            return self.end_in(stage, round, prices);
        };
        planning.thresholds = Some(Thresholds { stage, withdrawn });
        self.coordinate(stage, round, prices, members);
    }

    /// The coordinator's rounds are over, in a plan whose requests are made whole by thresholds; whether it goes on.
    pub(super) fn conclude_thresholds(&mut self, outcome: Outcome) -> bool {
        let Some(planning) = self.planning.as_ref().filter(|planning| planning.rounds_by_thresholds()) else {
            return false;
        };
        let Some(coordinator) = &planning.coordinator else { return false };
        let stage = PlanStage(coordinator.horizon());
        let (round, prices) = (coordinator.round().saturating_add(1), coordinator.prices().to_vec());
        let withdrawn = planning.thresholds.map_or(0, Thresholds::withdrawn);
        let (rounding, counts) = (coordinator.is_rounding(), coordinator.requests());
        let all_here = planning.are_all_here(coordinator);
        if stage.is_relaxed() {
            self.begin_thresholds(stage.next(), round, &prices, 0);
        } else if rounding && outcome == Outcome::Converged {
            let others = planning.members_of(stage.next()).is_some();
            if !all_here && others && stage.has_two_more() {
                // Somebody has gone meanwhile, and the rest could not be summed without it.
                self.begin_thresholds(stage.next(), round, &prices, withdrawn);
                return true;
            }
            if let Some((bids, granted)) = counts {
                let (horizon, withdrawn) = (stage.horizon(), withdrawn as usize);
                self.report(Report::PlanRequests { horizon, bids, granted, declined: 0, withdrawn });
            }
            match all_here && others {
                true => drop(self.coordinate_from(stage.next(), round, &prices)),
                false => self.end_in(stage.next(), round, &prices),
            }
        } else if outcome == Outcome::RoundLimit && withdrawn < FLOORS && stage.has_two_more() {
            self.begin_thresholds(stage.next(), round, &prices, withdrawn + 1);
        } else {
            return false;
        }
        true
    }

    /// Brings this node's asset to a stage of thresholds.
    pub(super) fn enter_thresholds(&mut self, stage: PlanStage) {
        let Some(planning) = self.planning.as_mut() else { return };
        if !planning.rounds_by_thresholds() || stage.is_relaxed() {
            return;
        }
        match planning.offering(stage) {
            Some(asset) => {
                planning.asset = Some(asset);
                self.keep_choice();
            }
            None => self.report(Report::ModuleRefused { reason: "plan_stage" }),
        }
    }

    /// Keeps what was taken at a question, before the answer leaves.
    pub(super) fn keep_choices_taken(&mut self, request: &Request) {
        let Some(planning) = self.planning.as_mut() else { return };
        let Some(asset) = planning.asset.as_ref().filter(|asset| asset.horizon() == request.horizon) else {
            return;
        };
        if let (Question::Whole { .. }, Some(offer)) = (&request.question, asset.offer()) {
            planning.choice.note(PlanStage(request.horizon), &planning.config.requests.own, offer.taken());
            self.keep_choice();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floors_rise_to_where_nobody_takes_anything() {
        let stage = PlanStage::relaxed(2).next();
        let floor = |withdrawn| Thresholds { stage, withdrawn }.floor(stage);
        assert_eq!((floor(0), floor(FLOORS), floor(FLOORS + 1)), (Some(OPEN), Some(TOP), Some(TOP)));
        assert!((1..=FLOORS).all(|step| floor(step) > floor(step - 1)));
        assert_eq!(Thresholds { stage, withdrawn: 0 }.floor(stage.next()), None);
    }
}
