//! The coordinator's side: who is asked, and what their answers lead to.

use super::Node;
use crate::{
    id::NodeId,
    node::{Report, Timer},
    planning::solver::Contribution,
};
use alloc::vec::Vec;

impl Node {
    pub(in crate::node) fn on_plan_round(&mut self) {
        let now = self.now;
        let Some(coordinator) = self.planning.as_mut().and_then(|planning| planning.coordinator.as_mut())
        else {
            return;
        };
        let asked = coordinator.on_timeout(now);
        self.ask(asked);
    }

    pub(super) fn on_contribution(&mut self, from: NodeId, contribution: &Contribution) {
        let now = self.now;
        let Some(coordinator) = self.planning.as_mut().and_then(|planning| planning.coordinator.as_mut())
        else {
            return self.report(Report::ModuleRefused { reason: "plan_not_coordinator" });
        };
        match coordinator.on_contribution(now, from, contribution) {
            Ok(asked) => self.ask(asked),
            Err(_) => self.report(Report::ModuleRefused { reason: "plan_contribution" }),
        }
    }

    /// Sends the request in force to those who are to be asked; this node's own asset hears it without a message.
    pub(super) fn ask(&mut self, asked: Vec<NodeId>) {
        self.after_step();
        let own = self.config.id;
        // This node answers itself at once. Asked alone it would go round in circles.
        let others: Vec<NodeId> = asked.into_iter().filter(|member| *member != own).collect();
        if others.is_empty() {
            return;
        }
        let Some(coordinator) = self.planning.as_ref().and_then(|planning| planning.coordinator.as_ref())
        else {
            return;
        };
        let requests: Vec<(NodeId, Vec<u8>)> = others
            .into_iter()
            .filter_map(|member| Some((member, coordinator.request(member)?.encode())))
            .collect();
        let request = coordinator.request(own);
        for (member, payload) in requests {
            self.send_plan(member, payload);
        }
        if let Some(request) = request {
            self.on_request(own, &request);
        }
    }

    /// Tells of steps taken, and sets the next deadline.
    fn after_step(&mut self) {
        let Some(coordinator) = self.planning.as_mut().and_then(|planning| planning.coordinator.as_mut())
        else {
            return;
        };
        let reports: Vec<_> = core::iter::from_fn(|| coordinator.take_report()).collect();
        let deadline = coordinator.poll_timeout();
        for report in reports {
            self.report(Report::PlanRound(report));
        }
        match deadline {
            Some(at) => self.timers.arm(Timer::PlanRound, at),
            None => self.timers.disarm(Timer::PlanRound),
        }
    }
}
