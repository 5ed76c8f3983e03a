//! Who takes part: members that come late, leave, or are gone.
//!
//! **Joining.** A member that nobody asks tells every candidate that it is there, again and again with growing pauses, until it is
//! asked. The coordinator takes it in at once: the sum begins anew with it, from the prices of the last round. While requests
//! are being rounded, and once the plan is committed, it waits for the next horizon. Whom the mission does not name is not taken in.
//!
//! **Leaving.** A member that says so, or from which nothing came for [`PlanConfig::absence`](crate::node::PlanConfig::absence) after
//! it was asked, is retired: what it answered last leaves the sum with it, and the others agree as if it gave and took nothing.
//! A coordinator knows sums and not shares, so the sum begins anew here too. No member is retired for its absence when fewer than the
//! quorum would be left: then it is the coordinator that is cut off. Who is heard of again is taken in again.
//!
//! **Under masks** a sum with a member and the next one without it would differ by its share. So within a horizon the change waits until as many members as
//! the mission says have come or gone: who joins waits, and of who is gone the last answer stays in the sum and nobody waits for another. The next horizon begins with whoever is there.

use super::{Node, PlanStage, Planning};
use crate::{
    id::NodeId,
    node::{Report, Timer},
    planning::{notice::Notice, solver::Coordinator},
    time::Instant,
};
use alloc::{collections::BTreeMap, collections::BTreeSet, vec::Vec};
use core::time::Duration;

/// The most times that a member says that it is there.
const MAX_TRIES: u32 = 24;

/// The most members of other fleets' making that are remembered beside the configured ones.
const MAX_KNOWN: usize = crate::planning::message::MAX_MEMBERS;

/// Who takes part, as this candidate has it.
#[derive(Debug)]
pub(super) struct Membership {
    present: BTreeSet<NodeId>,
    /// Members from which nothing came for too long.
    retired: BTreeSet<NodeId>,
    /// Under masks, those whose coming or going waits for others'.
    held: BTreeSet<NodeId>,
    /// Those who are here, and are left out of the rest of the horizon, so that who is gone is not told apart.
    left_out: BTreeSet<NodeId>,
    /// Since when an answer is due, for those asked and not heard of since.
    asked: BTreeMap<NodeId, Instant>,
}

/// A member's tries to be heard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Joining {
    due: Instant,
    tries: u32,
}

impl Joining {
    /// The first one is due then.
    pub(super) const fn at(due: Instant) -> Self {
        Self { due, tries: 0 }
    }
}

impl Membership {
    pub(super) fn new(members: &[NodeId]) -> Self {
        let present = members.iter().copied().collect();
        let (retired, held, left_out) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        Self { present, retired, held, left_out, asked: BTreeMap::new() }
    }

    pub(super) fn present(&self) -> Vec<NodeId> {
        self.present.iter().copied().collect()
    }

    pub(super) fn holds(&self, node: NodeId) -> bool {
        self.present.contains(&node)
    }

    /// Those who take part, be they silent or not: who has a say in who coordinates.
    pub(super) fn electorate(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.present.union(&self.retired).copied()
    }

    pub(super) fn asked(&mut self, now: Instant, members: &[NodeId]) {
        for member in members {
            self.asked.entry(*member).or_insert(now);
        }
    }

    pub(super) fn heard(&mut self, member: NodeId) {
        self.asked.remove(&member);
    }

    /// Whether most of those who take part have not answered for so long.
    pub(super) fn is_cut_off(&self, now: Instant, silence: Duration) -> bool {
        let silent = self.asked.values().filter(|since| since.saturating_add(silence) <= now).count();
        2 * silent > self.present.len()
    }

    /// The sum begins anew with those who are there: nothing waits any more.
    pub(super) fn begin(&mut self) {
        self.held.clear();
    }

    /// Since when an answer of a node is due.
    pub(super) fn asked_since(&self, node: NodeId) -> Option<Instant> {
        self.asked.get(&node).copied()
    }

    /// Those who are here and not among `members`, or were not before and are now: who of them that is news of.
    pub(super) fn leave_out(&mut self, members: &[NodeId]) -> Vec<(NodeId, bool)> {
        let out: BTreeSet<NodeId> =
            self.present.iter().copied().filter(|one| !members.contains(one)).collect();
        let news = self.left_out.symmetric_difference(&out).map(|one| (*one, !out.contains(one))).collect();
        self.left_out = out;
        news
    }

    /// Nothing is due any more.
    pub(super) fn settle(&mut self) {
        self.asked.clear();
    }

    /// Takes a node in; whether it was none before. Full, nobody more is taken in.
    fn take(&mut self, node: NodeId) -> bool {
        self.retired.remove(&node);
        self.present.len() < MAX_KNOWN && self.present.insert(node)
    }

    fn drop(&mut self, node: NodeId) -> bool {
        self.retired.remove(&node);
        self.left_out.remove(&node);
        self.asked.remove(&node);
        self.present.remove(&node)
    }

    /// Retires those of `missing` that have been asked for so long; answers who they are. None when fewer than `quorum` would be left.
    pub(super) fn retire(
        &mut self,
        now: Instant,
        absence: Duration,
        quorum: usize,
        missing: &[NodeId],
    ) -> Vec<NodeId> {
        let late = |node: &&NodeId| {
            self.present.contains(node)
                && self.asked.get(node).is_some_and(|since| since.saturating_add(absence) <= now)
        };
        let gone: Vec<NodeId> = missing.iter().filter(late).copied().collect();
        if self.present.len() < gone.len() + quorum.max(1) {
            return Vec::new();
        }
        for node in &gone {
            self.drop(*node);
            self.retired.insert(*node);
        }
        gone
    }
}

impl Planning {
    /// Whether the mission names a node as one that takes part, from the beginning or later: a stranger's share is in no sum.
    fn is_enrolled(&self, node: NodeId) -> bool {
        self.config.participants.contains(&node) || self.config.joiners.contains(&node)
    }

    /// Everyone who may coordinate.
    pub(super) fn candidates(&self) -> Vec<NodeId> {
        core::iter::once(self.config.coordinator).chain(self.config.successors.iter().copied()).collect()
    }
}

impl Node {
    /// This node's asset takes part from now on.
    pub(in crate::node) fn join_plan(&mut self) -> Result<(), crate::node::InputError> {
        let now = self.now;
        let planning = self.planning.as_mut().filter(|planning| planning.asset.is_some());
        let planning =
            planning.ok_or(crate::node::InputError::NotConfigured { what: "a part in the plan" })?;
        planning.gone = false;
        planning.joining = Some(Joining::at(now));
        self.on_plan_join();
        Ok(())
    }

    /// This node's asset takes part no more.
    pub(in crate::node) fn leave_plan(&mut self) -> Result<(), crate::node::InputError> {
        let id = self.config.id;
        let planning = self.planning.as_mut().filter(|planning| planning.asset.is_some());
        let planning =
            planning.ok_or(crate::node::InputError::NotConfigured { what: "a part in the plan" })?;
        (planning.gone, planning.joining) = (true, None);
        let candidates = planning.candidates();
        for candidate in candidates.into_iter().filter(|candidate| *candidate != id) {
            self.send_plan(candidate, Notice::Leave.encode());
        }
        self.on_leave(id);
        self.watch_coordinator();
        Ok(())
    }

    /// When this node's asset should say that it is there.
    pub(super) fn join_due(&self) -> Option<Instant> {
        let planning = self.planning.as_ref()?;
        if planning.gone || planning.asset.is_none() || planning.leader(planning.term) == self.config.id {
            return None;
        }
        if let Some(joining) = planning.joining {
            return Some(joining.due);
        }
        // Silence for as long as it takes to be retired: it was, or it missed the end.
        let heard = planning.heard.as_ref().filter(|heard| !heard.committed)?;
        Some(heard.at.saturating_add(planning.config.absence?))
    }

    pub(in crate::node) fn on_plan_join(&mut self) {
        let (now, id) = (self.now, self.config.id);
        if self.join_due().is_none_or(|due| due > now) {
            return self.watch_coordinator();
        }
        let Some(planning) = self.planning.as_mut() else { return };
        let tries = planning.joining.map_or(0, |joining| joining.tries);
        if tries >= MAX_TRIES {
            planning.joining = Some(Joining { due: Instant::MAX, tries });
            return self.watch_coordinator();
        }
        let pause = planning.config.pace.deadline * (1 << tries.min(4));
        planning.joining = Some(Joining { due: now.saturating_add(pause), tries: tries + 1 });
        let candidates = planning.candidates();
        for candidate in candidates.into_iter().filter(|candidate| *candidate != id) {
            self.send_plan(candidate, Notice::Join.encode());
        }
        self.watch_coordinator();
    }

    /// A member is there: it is taken in, or told again what it missed.
    pub(super) fn on_join(&mut self, from: NodeId) {
        let Some(planning) = self.planning.as_mut() else { return };
        if !planning.is_enrolled(from) {
            return self.report(Report::ModuleRefused { reason: "plan_not_enrolled" });
        }
        planning.membership.heard(from);
        let new = planning.membership.take(from);
        let of = |coordinator: &Coordinator| coordinator.members().any(|one| one == from);
        if planning.coordinator.as_ref().is_some_and(of) {
            planning.membership.held.remove(&from);
        }
        let Some(coordinator) = &planning.coordinator else { return };
        let open = coordinator.outcome().is_none() && coordinator.round() > 0;
        if let Some(request) = planning.asking(from).filter(|_| planning.auction.is_none()) {
            self.send_plan(from, request);
            return;
        }
        let relaxed = planning.auction.is_none() && PlanStage(coordinator.horizon()).is_relaxed();
        let begun = coordinator.round() > 0;
        if new && open && relaxed && !self.waits_for_others(&[from]) {
            return self.regroup(&[from], true, "joined");
        }
        let Some(coordinator) = self.planning.as_ref().and_then(|planning| planning.coordinator.as_ref())
        else {
            return;
        };
        if new && begun {
            let (stage, round) = (PlanStage(coordinator.horizon()), coordinator.round());
            self.tell_members(stage, round, &[from], true, "joins_later");
        }
    }

    /// A member leaves.
    pub(super) fn on_leave(&mut self, from: NodeId) {
        let Some(planning) = self.planning.as_mut() else { return };
        let was = planning.membership.drop(from);
        let Some(coordinator) = &planning.coordinator else { return };
        let open = coordinator.outcome().is_none() && coordinator.round() > 0;
        if was && planning.auction.is_some() {
            let (stage, round) = (PlanStage(coordinator.horizon()), coordinator.round());
            self.tell_members(stage, round, &[from], false, "left");
            self.leave_auction(from);
        } else if was && open {
            if !self.begins_thresholds_without(&[from], "left") && !self.keep_shares(&[from], "left_kept") {
                self.regroup(&[from], false, "left");
            }
        } else if was {
            let (stage, round) = (PlanStage(coordinator.horizon()), coordinator.round());
            self.tell_members(stage, round, &[from], false, "left");
        }
    }

    /// A plan message of a node: it is there. Whether it had been retired, and is taken in again.
    pub(super) fn is_back(&mut self, from: NodeId) -> bool {
        let Some(planning) = self.planning.as_mut() else { return false };
        planning.membership.heard(from);
        let back = planning.coordinator.is_some() && planning.membership.retired.contains(&from);
        if back {
            self.on_join(from);
        }
        back
    }

    /// Retires who is gone; whether the round goes on without them from here.
    pub(super) fn retire_absent(&mut self) -> bool {
        let now = self.now;
        let Some(planning) = self.planning.as_mut() else { return false };
        let (Some(absence), Some(coordinator)) = (planning.config.absence, &planning.coordinator) else {
            return false;
        };
        let missing: Vec<NodeId> = coordinator.missing().collect();
        // Who is gone is asked again when the sum had to begin anew, for a member that forgot what it said.
        let again =
            |node: &&NodeId| planning.membership.held.contains(node) && !planning.membership.holds(**node);
        let again: Vec<NodeId> = missing.iter().filter(again).copied().collect();
        let quorum = planning.config.pace.quorum;
        let gone = planning.membership.retire(now, absence, quorum, &missing);
        if gone.is_empty() && again.is_empty() {
            return false;
        }
        if !again.is_empty() {
            self.leave_out(&again);
        }
        if !gone.is_empty()
            && !self.begins_thresholds_without(&gone, "absent")
            && !self.keep_shares(&gone, "absent_kept")
        {
            self.regroup(&gone, false, "absent");
        }
        true
    }

    /// Whether members that come or go have to wait until as many do as may be told apart from the rest. Without masks nobody waits.
    fn waits_for_others(&mut self, changed: &[NodeId]) -> bool {
        let Some(planning) = self.planning.as_mut() else { return false };
        let Some(least) = planning.config.privacy.as_ref().map(|masks| masks.changes) else { return false };
        planning.membership.held.extend(changed);
        // What members would not open is not begun.
        planning.membership.held.len() < least || !planning.could_begin_again()
    }

    /// Under masks, keeps the last answers of members that are gone in the sum, unless enough of them are; whether it did.
    fn keep_shares(&mut self, gone: &[NodeId], why: &'static str) -> bool {
        let coordinator = self.planning.as_ref().and_then(|planning| planning.coordinator.as_ref());
        let Some(coordinator) = coordinator else { return false };
        let (stage, round) = (PlanStage(coordinator.horizon()), coordinator.round());
        // Of whom nothing is in the sum, nothing shows when it is gone.
        let shares: Vec<NodeId> = gone.iter().copied().filter(|node| coordinator.has_share(*node)).collect();
        if !self.waits_for_others(&shares) {
            return false;
        }
        self.tell_members(stage, round, gone, false, why);
        self.leave_out(gone);
        true
    }

    /// Nobody waits for these members' answers any more.
    fn leave_out(&mut self, gone: &[NodeId]) {
        let now = self.now;
        let Some(planning) = self.planning.as_mut() else { return };
        let least = planning.config.privacy.as_ref().map_or(1, |masks| masks.enrolment.k_min);
        let Some(coordinator) = planning.coordinator.as_mut() else { return };
        let mut asked = Vec::new();
        for node in gone {
            asked.extend(coordinator.retire(now, *node, least));
        }
        self.run_masks(asked);
    }

    /// Retires a member that does not answer for its requests.
    pub(super) fn retire(&mut self, member: NodeId, stage: PlanStage, round: u32) {
        let Some(planning) = self.planning.as_mut() else { return };
        if planning.membership.drop(member) {
            planning.membership.retired.insert(member);
            self.tell_members(stage, round, &[member], false, "absent");
        }
    }

    /// The plan goes on with the members that there are, from the last prices.
    pub(super) fn regroup(&mut self, changed: &[NodeId], present: bool, why: &'static str) {
        let Some(planning) = self.planning.as_ref() else { return };
        let Some(coordinator) = &planning.coordinator else { return };
        let (stage, round) = (PlanStage(coordinator.horizon()), coordinator.round().saturating_add(1));
        let prices = coordinator.prices().to_vec();
        self.after_step();
        self.tell_members(stage, round, changed, present, why);
        self.coordinate_from(stage, round, &prices);
    }

    pub(super) fn tell_members(
        &mut self,
        stage: PlanStage,
        round: u32,
        changed: &[NodeId],
        present: bool,
        why: &'static str,
    ) {
        let horizon = stage.horizon();
        for member in changed {
            self.report(Report::PlanMember { horizon, round, member: *member, present, why });
        }
    }

    /// Sets the deadline of [`Timer::PlanJoin`].
    pub(super) fn watch_join(&mut self) {
        match self.join_due().filter(|due| *due != Instant::MAX) {
            Some(at) => self.timers.arm(Timer::PlanJoin, at),
            None => self.timers.disarm(Timer::PlanJoin),
        }
    }
}
