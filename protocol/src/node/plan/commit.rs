//! The end of a plan: a version is committed, and told until everyone holds it.
//!
//! A version of the plan is (horizon, term, round): what of every member is in the sum when its coordinator says so. The coordinator's
//! envelope signs it, as it signs every request. What all members are told of it has a digest ([`Version::digest`]). Members answer that they hold it, and
//! which digest it has; who does not is told again at each deadline, at most [`MAX_REPEATS`] times, and whenever it asks ([`super::membership`]).
//!
//! Nothing is committed that less than the quorum has answered in the coordinator's term: a coordinator that is cut off with a few
//! goes on asking. With a quorum that is a majority, no two coordinators can commit side by side.

use super::{Node, PlanStage, Planning, latest::Slot};
use crate::{
    id::NodeId,
    node::Report,
    planning::{
        Outcome, Version,
        notice::Notice,
        solver::{Coordinator, Request},
    },
    time::Instant,
};
use alloc::{collections::BTreeSet, vec::Vec};

/// How often a version is told again to those who have not answered.
const MAX_REPEATS: u32 = 32;

/// Who has not answered that it holds the version.
#[derive(Debug)]
pub(super) struct Distribution {
    waiting: BTreeSet<NodeId>,
    due: Instant,
    repeats: u32,
}

impl Distribution {
    pub(super) fn due(&self) -> Option<Instant> {
        (!self.waiting.is_empty() && self.repeats < MAX_REPEATS).then_some(self.due)
    }
}

impl Planning {
    /// How many answers a version needs: fewer than configured only where as many have left.
    pub(super) fn quorum(&self, coordinator: &Coordinator) -> usize {
        self.config.pace.quorum.min(coordinator.members().count())
    }
}

impl Node {
    /// The coordinator's rounds are over. Requests are made whole first, if there are any.
    pub(super) fn conclude(&mut self, outcome: Outcome) {
        let (now, own) = (self.now, self.config.id);
        let Some(planning) = self.planning.as_mut() else { return };
        let Some(coordinator) = &planning.coordinator else { return };
        if planning.commit.is_some() || planning.auction.as_ref().is_some_and(|auction| auction.is_open()) {
            return;
        }
        let stage = PlanStage(coordinator.horizon());
        if coordinator.agreed() < planning.quorum(coordinator) {
            let (round, prices) = (coordinator.round().saturating_add(1), coordinator.prices().to_vec());
            let all = planning.all_of(stage);
            self.report(Report::ModuleRefused { reason: "plan_no_quorum" });
            if !self.coordinate_from(stage, round, &prices) {
                self.coordinate(stage, round, &prices, all);
            }
            return;
        }
        if self.conclude_thresholds(outcome) {
            return;
        }
        let Some(planning) = self.planning.as_mut() else { return };
        let Some(coordinator) = &planning.coordinator else { return };
        if planning.config.requests.any() && stage.is_relaxed() {
            let (round, prices) = (coordinator.round(), coordinator.prices().to_vec());
            return self.call_for_bids(stage.next(), round, prices);
        }
        if outcome == Outcome::RoundLimit && !stage.is_relaxed() && self.withdraw_request() {
            return;
        }
        let Some(planning) = self.planning.as_mut() else { return };
        let Some(coordinator) = &planning.coordinator else { return };
        planning.membership.settle();
        let waiting: BTreeSet<NodeId> = coordinator.members().filter(|member| *member != own).collect();
        let due = now.saturating_add(planning.config.pace.deadline);
        let told: Vec<NodeId> = waiting.iter().copied().collect();
        planning.commit = Some(Distribution { waiting, due, repeats: 0 });
        if let Some(version) = coordinator.version() {
            self.report(Report::PlanVersion(version));
        }
        self.keep_led();
        self.arm_plan_round();
        self.tell(&told);
        let Some(coordinator) = self.planning.as_ref().and_then(|planning| planning.coordinator.as_ref())
        else {
            return;
        };
        if let Some(request) = coordinator.request(own) {
            self.on_request(own, &request);
        }
    }

    /// Tells members the request in force.
    pub(super) fn tell(&mut self, members: &[NodeId]) {
        let Some(planning) = &self.planning else { return };
        let Some(round) = planning.coordinator.as_ref().map(Coordinator::round) else { return };
        let requests: Vec<(NodeId, Vec<u8>)> =
            members.iter().filter_map(|member| Some((*member, planning.asking(*member)?))).collect();
        for (member, payload) in requests {
            self.send_latest(member, Slot::Request, round, payload);
        }
    }

    /// Tells the version again to those who have not answered.
    pub(super) fn repeat_commit(&mut self) {
        let now = self.now;
        let Some(planning) = self.planning.as_mut() else { return };
        let deadline = planning.config.pace.deadline;
        let Some(commit) = planning.commit.as_mut() else { return };
        if commit.due().is_some_and(|due| due <= now) {
            commit.repeats += 1;
            commit.due = now.saturating_add(deadline);
            let told: Vec<NodeId> = commit.waiting.iter().copied().collect();
            self.tell(&told);
        }
        self.arm_plan_round();
    }

    /// A member holds a version. One that holds another under the same name is told of, and is asked again.
    pub(super) fn on_held(&mut self, from: NodeId, name: (u64, u32, u32), digest: &[u8; 32]) {
        let Some(planning) = self.planning.as_mut() else { return };
        let Some(coordinator) = &planning.coordinator else { return };
        let Some(version) = coordinator.version() else { return };
        if name != (version.horizon, version.term, version.round) {
            return;
        }
        if version.digest() != *digest {
            return self.report(Report::ModuleRefused { reason: "plan_other_version" });
        }
        if let Some(commit) = planning.commit.as_mut() {
            commit.waiting.remove(&from);
        }
        self.arm_plan_round();
    }

    /// Tells the coordinator that its version is held here.
    pub(super) fn acknowledge_version(&mut self, coordinator: NodeId, request: &Request) {
        let Some(version) = Version::of(request) else { return };
        let (horizon, term, round) = (version.horizon, version.term, version.round);
        let digest = version.digest();
        self.send_plan(coordinator, Notice::Held { horizon, term, round, digest }.encode());
    }
}
