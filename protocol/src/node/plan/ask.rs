//! The coordinator's side: who is asked, and what their answers lead to.

use super::{Node, PlanStage};
use crate::{
    id::NodeId,
    node::{Report, Timer},
    planning::solver::Contribution,
    time::Instant,
};
use alloc::vec::Vec;
use core::time::Duration;

/// Between two answers of this coordinator's own asset to prices that nobody else need answer.
const OWN_PAUSE: Duration = Duration::from_secs(1);

/// The candidates among the members.
fn planning_successors(node: &Node) -> Vec<NodeId> {
    let Some(planning) = &node.planning else { return Vec::new() };
    planning.candidates().into_iter().filter(|candidate| planning.membership.holds(*candidate)).collect()
}

impl Node {
    pub(in crate::node) fn on_plan_round(&mut self) {
        let now = self.now;
        let Some(planning) = self.planning.as_ref() else { return };
        if planning.auction.as_ref().is_some_and(|auction| auction.is_open()) {
            return self.repeat_auction();
        }
        if planning.commit.is_some() {
            return self.repeat_commit();
        }
        if self.retire_absent() {
            return;
        }
        if self.ask_own_asset() {
            return;
        }
        let Some(planning) = self.planning.as_mut() else { return };
        let Some(coordinator) = planning.coordinator.as_mut() else { return };
        let round = coordinator.round();
        let mut asked = match &mut planning.private {
            Some(private) => private.on_timeout(now, coordinator),
            None => coordinator.on_timeout(now),
        };
        if coordinator.round() == round && coordinator.outcome().is_none() && !asked.is_empty() {
            // The round is extended: those who would take this node's place hear that it waits.
            let successors = planning_successors(self);
            asked.extend(successors);
            asked.sort_unstable();
            asked.dedup();
        }
        self.run_masks(asked);
    }

    /// Asks this coordinator's own asset, when it is the only one to be asked and its pause is over.
    fn ask_own_asset(&mut self) -> bool {
        let (now, own) = (self.now, self.config.id);
        let Some(planning) = self.planning.as_mut() else { return false };
        let Some(coordinator) =
            planning.own_due.take_if(|due| *due <= now).and(planning.coordinator.as_ref())
        else {
            return false;
        };
        let Some(request) = coordinator.request(own).filter(|_| coordinator.outcome().is_none()) else {
            return false;
        };
        self.on_request(own, &request);
        self.arm_plan_round();
        true
    }

    pub(super) fn on_contribution(&mut self, from: NodeId, contribution: &Contribution) {
        let now = self.now;
        if self.is_back(from) {
            return;
        }
        let Some(coordinator) = self.planning.as_mut().and_then(|planning| planning.coordinator.as_mut())
        else {
            return self.report(Report::ModuleRefused { reason: "plan_not_coordinator" });
        };
        let (horizon, round) = (PlanStage(coordinator.horizon()).horizon(), coordinator.round());
        let counted = !coordinator.retired().any(|one| one == from);
        let taken = coordinator.on_contribution(now, from, contribution);
        if counted && coordinator.retired().any(|one| one == from) {
            // Its host lost its memory too often in this horizon.
            let (member, present, why) = (from, false, "forgets");
            self.report(Report::PlanMember { horizon, round, member, present, why });
        }
        match taken {
            Ok(asked) => self.ask(asked),
            Err(error) => self.report(Report::ModuleRefused { reason: error.reason() }),
        }
    }

    /// Sends the request in force to those who are to be asked; this node's own asset hears it without a message.
    pub(super) fn ask(&mut self, asked: Vec<NodeId>) {
        self.after_step();
        let (now, own) = (self.now, self.config.id);
        let Some(planning) = self.planning.as_mut() else { return };
        let Some(coordinator) = &planning.coordinator else { return };
        if let Some(outcome) = coordinator.outcome() {
            return self.conclude(outcome);
        }
        // This node answers itself at once. Asked alone it would go round in circles, so then it takes its time.
        let asked_itself = asked.contains(&own);
        let others: Vec<NodeId> = asked.into_iter().filter(|member| *member != own).collect();
        // Whose answer waits under masks is not asked again.
        let others: Vec<NodeId> =
            others.into_iter().filter(|member| planning.asking(*member).is_some()).collect();
        if others.is_empty() {
            let alone = coordinator.members().all(|member| member == own);
            if asked_itself && (alone || coordinator.waits_for_only(own)) {
                planning.own_due = Some(now.saturating_add(OWN_PAUSE));
                self.arm_plan_round();
            }
            return;
        }
        planning.own_due = None;
        let owing: Vec<NodeId> = coordinator.missing().filter(|member| others.contains(member)).collect();
        planning.membership.asked(now, &owing);
        let request = coordinator.request(own).filter(|_| planning.asking(own).is_some());
        self.tell(&others);
        if let Some(request) = request {
            self.on_request(own, &request);
        }
    }

    /// Tells of steps taken, and sets the next deadline.
    pub(super) fn after_step(&mut self) {
        let Some(coordinator) = self.planning.as_mut().and_then(|planning| planning.coordinator.as_mut())
        else {
            return;
        };
        let reports: Vec<_> = core::iter::from_fn(|| coordinator.take_report()).collect();
        for report in reports {
            self.report(Report::PlanRound(report));
        }
        self.keep_led();
        self.arm_plan_round();
    }

    /// Sets the deadline of [`Timer::PlanRound`].
    pub(super) fn arm_plan_round(&mut self) {
        let due = self.planning.as_ref().and_then(|planning| {
            let coordinator = planning.coordinator.as_ref().and_then(|coordinator| match &planning.private {
                Some(private) => private.poll_timeout(coordinator),
                None => coordinator.poll_timeout(),
            });
            let auction = planning.auction.as_ref().and_then(|auction| auction.due());
            let commit = planning.commit.as_ref().and_then(|commit| commit.due());
            [coordinator, auction, commit, planning.own_due].into_iter().flatten().min()
        });
        match due {
            Some(at) => self.timers.arm(Timer::PlanRound, Instant::max(at, self.now)),
            None => self.timers.disarm(Timer::PlanRound),
        }
    }
}
