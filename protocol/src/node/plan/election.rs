//! How a successor is elected.
//!
//! Terms have one candidate each, in the published order ([`super::succession`]), as views have their primary in Viewstamped Replication (Liskov and
//! Cowling 2012, §4.2): no two can stand for one term, so that no vote is ever split. A candidate that misses the coordinator for its
//! place in the order times the configured silence asks those who take part whether they miss it too ([`Notice::Stand`]). A member that heard of it within half
//! of that silence says nothing. Any other votes, and its vote carries the last prices that it heard; with a majority the candidate
//! begins its term from where enough of them say that the plan is ([`super::told`]). So a candidate that is cut off with a minority deposes nobody, and what a
//! majority has heard is not lost.
//!
//! A vote binds nobody: what binds a member is its answer, which is durable, and after which it refuses every lesser term. A
//! coordinator that a majority answered no more commits nothing ([`super::commit`]), and of two majorities one member is in both. So the promise of Raft
//! (Ongaro and Ousterhout 2014, §5.2) is given with an answer instead of with the vote, and costs no durable write and no leg of its own.
//!
//! The first coordinator is the mission's to appoint: term 0 needs no vote.

use super::{
    Heard, Node, PlanStage, Planning,
    latest::Slot,
    told::{Told, told},
};
use crate::{
    id::NodeId,
    node::Report,
    planning::{notice::Notice, secure::Window},
    time::Instant,
};
use alloc::{collections::BTreeMap, vec::Vec};

/// How often the pause between two tries doubles at the most.
const MAX_DOUBLINGS: u32 = 4;

/// So often a candidate asks in vain before those vote for it who hold the version that it missed.
const PATIENCE: u32 = 3;

/// What a candidate has heard of those who take part.
#[derive(Debug)]
pub(super) struct Standing {
    term: u32,
    /// Who misses the coordinator too, and what each heard of it, where that is of this horizon.
    votes: BTreeMap<NodeId, Option<Told>>,
    due: Instant,
    tries: u32,
}

impl Standing {
    /// When it asks again.
    pub(super) fn due(&self) -> Instant {
        self.due
    }
}

impl Planning {
    /// Stands for the next term of this node; whom it has to ask. `None` when it is no candidate, or could not coordinate in that term.
    fn stand(&mut self, now: Instant, id: NodeId) -> Option<Vec<NodeId>> {
        let place = self.place(id).filter(|_| self.coordinator.is_none())?;
        let term = self.term.checked_add(place)?;
        // Under masks each term needs keys of its own.
        if self.private.as_ref().is_some_and(|private| !private.covers(term)) {
            return None;
        }
        let own = (self.elects(id) && self.asset.is_some() && !self.gone).then_some((id, None));
        let mut standing = self
            .standing
            .take()
            .filter(|standing| standing.term == term)
            .unwrap_or_else(|| Standing { term, votes: own.into_iter().collect(), due: now, tries: 0 });
        let pause = self.config.pace.deadline * (1 << standing.tries.min(MAX_DOUBLINGS));
        (standing.due, standing.tries) = (now.saturating_add(pause), standing.tries.saturating_add(1));
        let electorate = self.membership.electorate();
        let asked = electorate.filter(|one| *one != id && !standing.votes.contains_key(one)).collect();
        self.standing = Some(standing);
        Some(asked)
    }

    /// Whether a member that is asked misses the coordinator too.
    fn misses(&self, now: Instant, term: u32, tries: u32) -> bool {
        let Some(silence) = self.config.succession else { return false };
        let Some(heard) = &self.heard else { return true };
        // The same candidate asks again when a vote was lost.
        let silent = term == self.voted || heard.at.saturating_add(silence / 2) <= now;
        // A coordinator has nothing more to say of a plan that is committed: who missed that is told it by the coordinator, unless it is gone.
        silent && (!heard.committed || tries >= PATIENCE)
    }

    /// What a voter heard, as far as it is of use here.
    fn usable(&self, vote: Heard) -> Option<Told> {
        let own = self.heard.as_ref()?;
        // A member that claims to be further than a horizon's rounds go would leave no rounds to count.
        let near = vote.round.saturating_sub(own.round) <= self.config.pace.max_rounds;
        let current = PlanStage(vote.horizon).horizon() == self.config.horizon;
        let fits = vote.prices.len() == self.config.couplings.len();
        (near && current && fits).then(|| Told::of(vote))
    }
}

impl Node {
    /// The coordinator was silent for too long: those who take part are asked whether they miss it too.
    pub(in crate::node) fn on_plan_succession(&mut self) {
        let (now, id) = (self.now, self.config.id);
        let Some(planning) = self.planning.as_mut() else { return };
        if planning.succession_due(id).is_none_or(|due| due > now) {
            return self.watch_coordinator();
        }
        let Some(asked) = planning.stand(now, id) else {
            // The term stays: the coordinator may only be out of reach, and nobody else can ask.
            return self.report(Report::PlanWindow(Window::Unopened { reason: "no_epoch" }));
        };
        let (Some(standing), Some(heard)) = (&planning.standing, &planning.heard) else { return };
        let (horizon, term, tries) = (heard.horizon, standing.term, standing.tries - 1);
        if tries > 0 {
            self.report(Report::ModuleRefused { reason: "plan_no_majority" });
        }
        let notice = Notice::Stand { horizon, term, tries }.encode();
        for member in asked {
            self.send_latest(member, Slot::Notice, 0, notice.clone());
        }
        self.watch_coordinator();
        self.count_votes();
    }

    /// A candidate asks whether the coordinator is missed here too.
    pub(super) fn on_stand(&mut self, source: NodeId, term: u32, tries: u32) {
        let (now, id) = (self.now, self.config.id);
        let Some(planning) = self.planning.as_mut() else { return };
        let near = planning.may_follow(now, term);
        if term < planning.term || !planning.may_lead(source, term) || !near {
            return self.refuse_coordinator(source, term);
        }
        if let Some(coordinator) = &planning.coordinator {
            // Its coordinator is here. What the candidate waits for may have been lost.
            let round = coordinator.round();
            return match planning.asking(source).filter(|_| planning.auction.is_none()) {
                Some(request) => self.send_latest(source, Slot::Request, round, request),
                None => self.tell_term(source),
            };
        }
        if planning.gone
            || planning.asset.is_none()
            || !planning.elects(id)
            || !planning.misses(now, term, tries)
        {
            return;
        }
        planning.voted = planning.voted.max(term);
        let unheard = planning.unheard(now);
        let heard = planning.heard.get_or_insert(unheard);
        // The others wait until this one had its time.
        heard.at = now;
        let Heard { horizon, round, calling, prices, .. } = heard.clone();
        let vote = Notice::Vote { horizon, term, round, calling, prices };
        self.watch_coordinator();
        self.send_latest(source, Slot::Answer, round, vote.encode());
    }

    /// A member misses the coordinator too, and heard this of it; the term is the candidate's.
    pub(super) fn on_vote(&mut self, source: NodeId, vote: Heard) {
        let Some(planning) = self.planning.as_mut() else { return };
        if !planning.elects(source) {
            return self.report(Report::ModuleRefused { reason: "plan_not_enrolled" });
        }
        let term = vote.term;
        let told = planning.usable(vote);
        let Some(standing) = planning.standing.as_mut().filter(|standing| standing.term == term) else {
            return;
        };
        standing.votes.insert(source, told);
        self.count_votes();
    }

    /// With a majority this node coordinates, from where enough of it say that the plan is.
    fn count_votes(&mut self) {
        let (now, id) = (self.now, self.config.id);
        let max_payload = self.config.max_payload;
        let Some(planning) = self.planning.as_mut() else { return };
        let majority = planning.majority();
        let Some(elected) = planning.standing.take_if(|standing| standing.votes.len() >= majority) else {
            return;
        };
        let electors = planning.membership.electorate().count();
        let Some(heard) = planning.heard.as_mut() else { return };
        let start = told(&Told::of(heard.clone()), elected.votes.into_values().flatten().collect(), electors);
        (heard.horizon, heard.round, heard.calling) = (start.stage, start.round, start.calling);
        heard.prices = start.prices;
        let heard = heard.clone();
        let term = elected.term;
        planning.term = term;
        (planning.auction, planning.commit, planning.thresholds) = (None, None, None);
        let (stage, round) = (PlanStage(heard.horizon), heard.round.saturating_add(1));
        let members = planning.membership.present();
        let begun = planning.coordinator_of(id, now, &self.plan, max_payload, round, members);
        let Some((coordinator, settings, _)) = begun else { return };
        self.report(Report::PlanSolver { solver: settings.kind.word(), why: "the coordinator is silent" });
        self.report(Report::PlanTerm { term, coordinator: id });
        let calls = heard.calling || !stage.is_relaxed();
        let masked = self.planning.as_ref().is_some_and(Planning::rounds_by_thresholds);
        if calls && masked && !stage.is_last() {
            return self.begin_thresholds(stage.next(), round, &heard.prices, 0);
        }
        if let (true, Some(planning)) = (calls && !stage.is_last(), self.planning.as_mut()) {
            // What others were granted is not known here: equal bids are decided alike once more.
            planning.coordinator = Some(coordinator);
            self.call_for_bids(stage.next(), round, heard.prices);
            return self.keep_led();
        }
        self.coordinate_from(stage, round, &heard.prices);
    }
}
