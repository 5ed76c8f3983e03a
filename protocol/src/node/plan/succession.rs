//! Who coordinates when the coordinator is silent.
//!
//! Candidates stand in an order that everyone knows: the coordinator, then its successors. The term counts through them, over and
//! over, so that the coordinator of a term needs no vote. A candidate that hears nothing of the coordinator for its place in the
//! order times the configured silence begins the next term that is its own, from the prices that it heard last: nothing but a
//! round's answers is lost, and those are asked for again. Everyone follows the greatest term. Two coordinators (of a fleet that
//! was cut in two) last until the one of the lesser term hears of the other.

use super::{Node, Planning};
use crate::{
    id::NodeId,
    node::{Report, Timer},
};
use alloc::vec;

impl Planning {
    /// The coordinator of a term.
    pub(super) fn leader(&self, term: u32) -> NodeId {
        let successors = &self.config.successors;
        match (term as usize % (successors.len() + 1)).checked_sub(1) {
            None => self.config.coordinator,
            Some(place) => successors[place],
        }
    }

    /// How many terms it takes from this one to the next of `id`; `None` when it is no candidate.
    fn place(&self, id: NodeId) -> Option<u32> {
        let count = self.config.successors.len() as u32 + 1;
        (1..=count).find(|ahead| self.leader(self.term.wrapping_add(*ahead)) == id)
    }

    /// Another coordinator has a later term.
    pub(super) fn step_down(&mut self, term: u32) {
        self.term = term;
        self.coordinator = None;
    }
}

impl Node {
    /// Sets the time at which silence makes this node a coordinator.
    pub(in crate::node) fn watch_coordinator(&mut self) {
        let id = self.config.id;
        let Some(planning) = &self.planning else { return };
        let due = planning.config.succession.and_then(|silence| {
            let heard = planning.heard.as_ref().filter(|heard| !heard.committed)?;
            let place = planning.place(id).filter(|_| planning.coordinator.is_none())?;
            Some(heard.at.saturating_add(silence * place))
        });
        match due {
            Some(at) => self.timers.arm(Timer::PlanSuccession, at),
            None => self.timers.disarm(Timer::PlanSuccession),
        }
    }

    pub(in crate::node) fn on_plan_succession(&mut self) {
        let (now, id) = (self.now, self.config.id);
        let Some(planning) = self.planning.as_mut() else { return };
        let (Some(place), Some(heard)) = (planning.place(id), planning.heard.clone()) else { return };
        let Some(term) = planning.term.checked_add(place) else { return };
        planning.term = term;
        let (mut coordinator, settings, _) =
            planning.coordinate(id, now, &self.plan, self.config.max_payload);
        let round = heard.round.saturating_add(1);
        // Prices that are none are no reason to leave the fleet without a coordinator.
        let zeros = vec![0.0; planning.config.couplings.len()];
        let resumed = coordinator
            .resume(now, heard.horizon, round, &heard.prices)
            .or_else(|_| coordinator.resume(now, heard.horizon, round, &zeros));
        let Ok(asked) = resumed else { return };
        planning.coordinator = Some(coordinator);
        if !self.open_masks() {
            return;
        }
        self.report(Report::PlanSolver { solver: settings.kind.word(), why: "the coordinator is silent" });
        self.report(Report::PlanTerm { term, coordinator: id });
        self.run_masks(asked);
    }
}
