//! Who takes part in a stage of a horizon, where masks let not everybody be summed.
//!
//! A horizon begins with whoever is there. What members of the committee open from nothing within it is bounded by the terms' `changes`
//! ([`crate::planning::privacy`]), over all its stages. So a later stage goes on with those who were in the last one's sum: who came late waits for the next
//! horizon. When one of them has gone, the others can be summed only if as many are left out as may be told apart: then those of whom nothing came for longest are left out too,
//! and what was decided of requests is decided anew without them. Where too few would remain, or that was done before, the horizon ends: nobody takes anything.

use super::{Node, PlanStage, Planning, thresholds::Thresholds};
use crate::{id::NodeId, planning::solver::Coordinator, time::Instant};
use alloc::vec::Vec;

impl Planning {
    /// Those whom a coordinator of `stage` asks; `None` when members would open no sum of any of them.
    pub(super) fn members_of(&self, stage: PlanStage) -> Option<Vec<NodeId>> {
        let here = self.all_of(stage);
        let binds = self.last_in(stage).is_some();
        if !binds || self.could_begin_with(&here) { Some(here) } else { self.most_of(&here) }
    }

    /// Those who take part in `stage`, whoever may be summed.
    pub(super) fn all_of(&self, stage: PlanStage) -> Vec<NodeId> {
        self.last_in(stage).map_or_else(|| self.membership.present(), |last| self.here(last))
    }

    /// The coordinator of an earlier stage, or of this one, in a horizon whose sums bind later ones.
    fn last_in(&self, stage: PlanStage) -> Option<&Coordinator> {
        let last = self.coordinator.as_ref().filter(|_| self.private.is_some() && !stage.is_relaxed())?;
        (PlanStage(last.horizon()).horizon() == stage.horizon()).then_some(last)
    }

    /// Those in a coordinator's sum who are here still.
    fn here(&self, last: &Coordinator) -> Vec<NodeId> {
        counted(last).filter(|one| self.membership.holds(*one)).collect()
    }

    /// Whether the next stage is of those who decided of their requests in this one.
    pub(super) fn are_all_here(&self, coordinator: &Coordinator) -> bool {
        counted(coordinator).eq(self.here(coordinator))
    }

    /// Whether members would open a sum that begins anew with these.
    pub(super) fn could_begin_with(&self, members: &[NodeId]) -> bool {
        let sums = self.private.as_ref().and_then(|private| private.aggregator());
        sums.is_none_or(|sums| sums.could_begin_with(members))
    }

    /// Whether members would open a sum that begins anew in the stage that there is.
    pub(super) fn could_begin_again(&self) -> bool {
        let stage = self.coordinator.as_ref().map_or(0, Coordinator::horizon);
        self.could_begin_with(&self.all_of(PlanStage(stage)))
    }

    /// The most of `here` whom members would sum: blocks of whom nobody is gone, or all but those of whom nothing came for longest. Candidates stay, or
    /// they would take the coordinator for silent.
    fn most_of(&self, here: &[NodeId]) -> Option<Vec<NodeId>> {
        let candidates = self.candidates();
        let least = self.config.pace.quorum.max(1);
        let fits = |set: &Vec<NodeId>| {
            let led = here.iter().filter(|one| candidates.contains(one)).all(|one| set.contains(one));
            led && set.len() >= least && self.could_begin_with(set)
        };
        let sums = self.private.as_ref()?.aggregator()?;
        // Blocks use nothing up.
        let blocks = Some(sums.whole_blocks(here)).filter(fits);
        let mut order: Vec<NodeId> = here.iter().copied().filter(|one| !candidates.contains(one)).collect();
        // Who is not asked has just answered.
        order.sort_by_key(|one| (self.membership.asked_since(*one).unwrap_or(Instant::MAX), *one));
        let without = |set: &[NodeId], one: &NodeId| -> Vec<NodeId> {
            set.iter().copied().filter(|other| other != one).collect()
        };
        let others = core::iter::successors(Some(here.to_vec()), |set| {
            let (apart, mut order) = (sums.apart(set), order.iter().filter(|one| set.contains(one)));
            order.find_map(|one| Some(without(set, one)).filter(|fewer| sums.apart(fewer) > apart))
        })
        .find(fits);
        others.into_iter().chain(blocks).max_by_key(Vec::len)
    }
}

/// Those in a coordinator's sum; those whom it asks, while nobody is.
fn counted(coordinator: &Coordinator) -> impl Iterator<Item = NodeId> + '_ {
    let any = coordinator.members().any(|one| coordinator.has_share(one));
    coordinator.members().filter(move |one| !any || coordinator.has_share(*one))
}

impl Node {
    /// Those who are left out of a stage, or take part again.
    pub(super) fn tell_left_out(&mut self, stage: PlanStage, round: u32, news: &[(NodeId, bool)]) {
        for (member, present) in news {
            let why = if *present { "taken_in" } else { "left_out" };
            self.tell_members(stage, round, &[*member], *present, why);
        }
    }

    /// Decides requests anew when a member is gone while they are decided: the rest of the plan could not be summed without it. Whether that is possible.
    pub(super) fn begins_thresholds_without(&mut self, gone: &[NodeId], why: &'static str) -> bool {
        let Some(planning) = self.planning.as_ref().filter(|planning| planning.rounds_by_thresholds()) else {
            return false;
        };
        let Some(coordinator) = planning.coordinator.as_ref().filter(|own| own.is_rounding()) else {
            return false;
        };
        let stage = PlanStage(coordinator.horizon());
        let asked = coordinator.members().any(|one| gone.contains(&one));
        let ended = coordinator.outcome().is_some() || !stage.has_two_more();
        if !asked || ended || planning.members_of(stage).is_none() {
            return false;
        }
        let (round, prices) = (coordinator.round().saturating_add(1), coordinator.prices().to_vec());
        let withdrawn = planning.thresholds.map_or(0, Thresholds::withdrawn);
        self.tell_members(stage, round, gone, false, why);
        self.begin_thresholds(stage.next(), round, &prices, withdrawn);
        true
    }

    /// In a later stage nobody can be summed with whoever is here: it goes on with the most that can, or ends. Whether it did.
    pub(super) fn goes_on_without(&mut self) -> bool {
        let Some(planning) = self.planning.as_mut() else { return false };
        let blocked = planning.private.as_mut().is_some_and(super::privacy::Private::take_blocked);
        let Some(coordinator) =
            planning.coordinator.as_ref().filter(|own| blocked && own.outcome().is_none())
        else {
            return false;
        };
        let stage = PlanStage(coordinator.horizon());
        let (round, prices) = (coordinator.round().saturating_add(1), coordinator.prices().to_vec());
        let withdrawn = planning.thresholds.map_or(0, Thresholds::withdrawn);
        let others = planning.members_of(stage).is_some();
        // Where too few have agreed on anything, it waits for who is missing.
        let ends = coordinator.agreed() >= planning.quorum(coordinator);
        if others && stage.has_two_more() {
            self.begin_thresholds(stage.next(), round, &prices, withdrawn);
        } else if ends {
            self.end_stage();
        }
        others && stage.has_two_more() || ends
    }

    /// Ends the horizon in a `stage` in which nobody can be summed: what was taken of requests stays, and where that is not decided nobody takes anything; the rest
    /// follows the prices that were agreed on.
    pub(super) fn end_in(&mut self, stage: PlanStage, round: u32, prices: &[f64]) {
        let Some(planning) = self.planning.as_ref() else { return };
        let here = planning.all_of(stage);
        if self.open_stage(stage, round, prices, here).is_some() {
            self.end_stage();
        }
    }

    fn end_stage(&mut self) {
        let now = self.now;
        let coordinator = self.planning.as_mut().and_then(|planning| planning.coordinator.as_mut());
        let told = coordinator.map(|coordinator| coordinator.end(now)).unwrap_or_default();
        self.run_masks(told);
    }
}
