//! Whose turn it is when the coordinator is silent, and which of two coordinators is followed.
//!
//! Candidates stand in an order that everyone knows: the coordinator, then its successors. The term counts through them, over and
//! over, so that every term has one candidate. A candidate that hears nothing of the coordinator for its place in the
//! order times the configured silence stands for the next term that is its own ([`super::election`]). Elected, it goes on from the prices that a
//! majority heard: nothing but a round's answers is lost, and those are asked for again. Everyone follows the greatest term in which it was
//! asked. Of two coordinators (of a fleet that was cut in two) the one of the lesser term hears of the other from whoever refuses it
//! ([`Notice::Follows`]); on a member's word it asks the other itself, and only that one's own word deposes it.

use super::{Node, PlanStage, Planning, latest::Slot, membership::Joining};
use crate::{
    id::NodeId,
    node::{Report, Timer},
    planning::notice::Notice,
    time::Instant,
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

    /// Whether `id` may coordinate in a term: it is that one's candidate, and under masks the mission published keys for it. How far ahead it may be is
    /// [`Planning::may_follow`].
    pub(super) fn may_lead(&self, id: NodeId, term: u32) -> bool {
        id == self.leader(term) && self.private.as_ref().is_none_or(|private| private.covers(term))
    }

    /// How many terms it takes from this one to the next of `id`; `None` when it is no candidate.
    pub(super) fn place(&self, id: NodeId) -> Option<u32> {
        let count = self.config.successors.len() as u32 + 1;
        (1..=count).find(|ahead| self.leader(self.term.wrapping_add(*ahead)) == id)
    }

    /// Another coordinator has a later term.
    pub(super) fn step_down(&mut self, term: u32) {
        let (same, horizon) = (self.leader(term) == self.leader(self.term), self.config.horizon);
        if let Some(private) = self.private.as_mut().filter(|_| same) {
            private.jump(horizon);
        }
        self.term = term;
        (self.coordinator, self.auction, self.commit) = (None, None, None);
        (self.standing, self.thresholds) = (None, None);
    }

    /// When silence makes a candidate of `id`, or it asks for votes again.
    pub(super) fn succession_due(&self, id: NodeId) -> Option<Instant> {
        let silence = self.config.succession?;
        let heard = self.heard.as_ref().filter(|heard| !heard.committed)?;
        let place = self.place(id).filter(|_| self.coordinator.is_none())?;
        let again = self.standing.as_ref().map(super::Standing::due);
        Some(again.unwrap_or_else(|| heard.at.saturating_add(silence * place)))
    }
}

impl Node {
    /// Sets the time at which silence makes this node a candidate.
    pub(in crate::node) fn watch_coordinator(&mut self) {
        let id = self.config.id;
        let Some(planning) = &self.planning else { return };
        match planning.succession_due(id) {
            Some(at) => self.timers.arm(Timer::PlanSuccession, at),
            None => self.timers.disarm(Timer::PlanSuccession),
        }
        self.watch_join();
    }

    /// Refuses a coordinator that is none, and tells one of a lesser term which one is followed here.
    pub(super) fn refuse_coordinator(&mut self, source: NodeId, term: u32) {
        self.report(Report::ModuleRefused { reason: "plan_not_coordinator" });
        let known = self.planning.as_ref();
        if known.is_some_and(|planning| source == planning.leader(term) && term < planning.term) {
            self.tell_term(source);
        }
    }

    /// Tells another node whom this one follows.
    pub(super) fn tell_term(&mut self, to: NodeId) {
        let Some(planning) = &self.planning else { return };
        let (horizon, term) = (PlanStage::relaxed(planning.config.horizon).0, planning.term);
        let committed = match &planning.coordinator {
            Some(_) => planning.commit.is_some(),
            None => planning.heard.as_ref().is_some_and(|heard| heard.committed),
        };
        let follows = Notice::Follows { horizon, term, committed };
        self.send_latest(to, Slot::Notice, 0, follows.encode());
    }

    /// Somebody says whom it follows.
    pub(super) fn on_follows(&mut self, source: NodeId, stage: PlanStage, term: u32, committed: bool) {
        let (now, own) = (self.now, self.config.id);
        let Some(planning) = self.planning.as_mut() else { return };
        let leader = planning.leader(term);
        if term < planning.term {
            if planning.candidates().contains(&source) {
                self.tell_term(source);
            }
            return;
        }
        let near = source != leader || planning.may_follow(now, term);
        if !planning.may_lead(leader, term) || !near {
            // Nobody can be answered in a term without keys: it deposes nobody. Nor does one far ahead.
            return self.report(Report::ModuleRefused { reason: "plan_not_coordinator" });
        }
        if source != leader {
            // Only the coordinator of a term may say that it is one.
            if term > planning.term && leader != own {
                self.tell_term(leader);
            }
            return;
        }
        if term > planning.term {
            planning.step_down(term);
            if planning.asset.is_some() && !planning.gone {
                // It may have been retired meanwhile.
                planning.joining = Some(Joining::at(now));
            }
        }
        let joining = planning.joining;
        planning.is_alive(now);
        planning.joining = joining;
        let current = planning.is_current(stage);
        let without_part = planning.asset.is_none() || planning.gone;
        if let (Some(heard), true) = (&mut planning.heard, current && committed && without_part) {
            // Without a part there is nothing more to hear in this horizon.
            heard.committed = true;
        }
        self.arm_plan_round();
        self.on_plan_join();
    }
}
