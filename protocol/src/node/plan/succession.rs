//! Who coordinates when the coordinator is silent.
//!
//! Candidates stand in an order that everyone knows: the coordinator, then its successors. The term counts through them, over and
//! over, so that the coordinator of a term needs no vote. A candidate that hears nothing of the coordinator for its place in the
//! order times the configured silence begins the next term that is its own, from the prices that it heard last: nothing but a
//! round's answers is lost, and those are asked for again. Everyone follows the greatest term. Two coordinators (of a fleet that
//! was cut in two) last until the one of the lesser term hears of the other.

use super::{Node, PlanStage, Planning};
use crate::{
    id::NodeId,
    node::{Report, Timer},
    planning::secure::Window,
};

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
        (self.coordinator, self.auction, self.commit) = (None, None, None);
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
        self.watch_join();
    }

    pub(in crate::node) fn on_plan_succession(&mut self) {
        let (now, id) = (self.now, self.config.id);
        let max_payload = self.config.max_payload;
        let Some(planning) = self.planning.as_mut() else { return };
        let (Some(place), Some(heard)) = (planning.place(id), planning.heard.clone()) else { return };
        let Some(term) = planning.term.checked_add(place) else { return };
        if planning.private.as_ref().is_some_and(|private| !private.covers(term)) {
            // The term stays: the coordinator may only be out of reach, and nobody else can ask.
            return self.report(Report::PlanWindow(Window::Unopened { reason: "no_epoch" }));
        }
        planning.term = term;
        (planning.auction, planning.commit) = (None, None);
        let (stage, round) = (PlanStage(heard.horizon), heard.round.saturating_add(1));
        let begun = planning.coordinate(id, now, &self.plan, max_payload, round);
        let Some((coordinator, settings, _)) = begun else { return };
        self.report(Report::PlanSolver { solver: settings.kind.word(), why: "the coordinator is silent" });
        self.report(Report::PlanTerm { term, coordinator: id });
        let calls = heard.calling || !stage.is_relaxed();
        if let (true, Some(planning)) = (calls && !stage.is_last(), self.planning.as_mut()) {
            // What others were granted is not known here: equal bids are decided alike once more.
            planning.coordinator = Some(coordinator);
            return self.call_for_bids(stage.next(), round, heard.prices);
        }
        self.coordinate_from(stage, round, &heard.prices);
    }
}
