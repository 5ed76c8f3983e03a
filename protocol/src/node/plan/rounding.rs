//! Requests that are made whole by the nodes: bids, allotment, and the rest of the plan once more.
//!
//! When the rounds of the relaxed plan are over, its coordinator calls for bids: what each request is in the relaxed plan, and
//! what it is worth to its asset alone. Of all of them it grants by the rule of [`integer::allot`], under the couplings, and sends
//! each member its allotment. A member takes what its own constraints allow in that order, and declines the rest for good; then
//! what is free is granted anew, until nobody declines: at most as often as there are bids. Members fix what they took, and
//! the fleet solves the continuous rest from the prices of the relaxed plan. Should the rest not converge within its limit of rounds,
//! the granted request that ranks last is withdrawn, as in the central reference.
//!
//! A successor that heard of a call, or of rounds after one, calls again: members answer with the relaxed plan that they
//! had at the first call, so that equal bids are decided alike. A member that does not answer is retired, unless fewer than the quorum would be
//! left: then it is the coordinator that is cut off, and it goes on asking.

use super::{Node, PlanStage, latest::Slot};
use crate::{
    id::NodeId,
    node::{Kept, Report},
    planning::{
        LocalProblem,
        integer::{self, Bid, Verdict},
        notice::{BidNotice, Notice},
    },
    time::Instant,
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec,
    vec::Vec,
};

/// How often members are asked again before those who are silent are retired.
const MAX_REPEATS: u32 = 12;

/// What a member has decided of its requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Choice {
    /// The horizon that all of this is about.
    pub(super) horizon: u64,
    /// The relaxed plan at the first call; empty before.
    pub(super) relaxed: Vec<f64>,
    /// The stage for which requests are decided, and those that were taken, ascending.
    pub(super) taken: Option<(u64, Vec<usize>)>,
    /// The last allotment answered: its name, and what was declined of it.
    answered: Option<(AllotmentName, Vec<usize>)>,
    pub(super) requests: Vec<usize>,
}

/// Term, stage and attempt: a later allotment has a greater name.
type AllotmentName = (u32, u64, u32);

/// What a coordinator is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Bids,
    Answers,
    /// The rest is being solved.
    Solved,
}

/// A coordinator's rounding of requests.
#[derive(Debug)]
pub(super) struct Auction {
    stage: PlanStage,
    round: u32,
    prices: Vec<f64>,
    step: Step,
    waiting: BTreeSet<NodeId>,
    members: BTreeSet<NodeId>,
    bids: Vec<Bid>,
    /// What else is in the couplings, by member.
    rest: BTreeMap<NodeId, Vec<(usize, f64)>>,
    declined: BTreeSet<(NodeId, usize)>,
    /// Those of them that were granted first: nobody declined them.
    withdrawn: BTreeSet<(NodeId, usize)>,
    granted: BTreeMap<NodeId, Vec<usize>>,
    attempt: u32,
    due: Instant,
    repeats: u32,
}

impl Auction {
    pub(super) fn is_open(&self) -> bool {
        self.step != Step::Solved
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.is_open().then_some(self.due)
    }
}

impl Choice {
    /// The problem with requests fixed as they were taken for `stage`. `None` when they are not decided, or leave no plan.
    pub(super) fn fix(&self, stage: PlanStage, problem: &LocalProblem) -> Option<LocalProblem> {
        let (decided, taken) = self.taken.as_ref()?;
        if *decided != stage.0 {
            return None;
        }
        let decided = self.requests.iter().map(|variable| (*variable, taken.contains(variable)));
        integer::fixed(problem, decided).ok()
    }

    /// Takes of an allotment what the problem's own constraints allow, best ranked first; answers what it declines.
    fn take(&mut self, stage: u64, problem: &LocalProblem, own: &[usize], granted: &[usize]) -> Vec<usize> {
        let (taken, declined) = integer::take(problem, own, granted);
        (self.taken, self.requests) = (Some((stage, taken)), own.to_vec());
        declined
    }

    /// `horizon (8), stage (8), relaxed, taken, requests`, each list with its 32-bit length, big-endian.
    fn snapshot(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let (stage, taken) = self.taken.clone().unwrap_or((u64::MAX, Vec::new()));
        bytes.extend_from_slice(&self.horizon.to_be_bytes());
        bytes.extend_from_slice(&stage.to_be_bytes());
        let list = |bytes: &mut Vec<u8>, words: &mut dyn ExactSizeIterator<Item = u64>| {
            bytes.extend_from_slice(&(words.len() as u32).to_be_bytes());
            words.for_each(|word| bytes.extend_from_slice(&word.to_be_bytes()));
        };
        list(&mut bytes, &mut self.relaxed.iter().map(|value| value.to_bits()));
        list(&mut bytes, &mut taken.iter().map(|variable| *variable as u64));
        list(&mut bytes, &mut self.requests.iter().map(|variable| *variable as u64));
        bytes
    }

    /// Reads a snapshot. `None` when the bytes are not one. One of an earlier horizon than `current` is over.
    pub(super) fn restore(bytes: &[u8], current: u64) -> Option<Self> {
        let (horizon, rest) = bytes.split_first_chunk::<8>()?;
        let (stage, mut rest) = rest.split_first_chunk::<8>()?;
        let (horizon, stage) = (u64::from_be_bytes(*horizon), u64::from_be_bytes(*stage));
        let mut list = || {
            let (length, after) = rest.split_first_chunk::<4>()?;
            let length = (u32::from_be_bytes(*length) as usize).checked_mul(8)?;
            let (words, after) = after.split_at_checked(length)?;
            rest = after;
            let word = |word: &[u8]| u64::from_be_bytes(word.try_into().unwrap_or_default());
            Some(words.chunks_exact(8).map(word).collect::<Vec<u64>>())
        };
        let relaxed: Vec<f64> = list()?.into_iter().map(f64::from_bits).collect();
        let places = |list: Vec<u64>| list.into_iter().map(|place| place as usize).collect::<Vec<_>>();
        let (taken, requests) = (places(list()?), places(list()?));
        if !rest.is_empty() || relaxed.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let taken = (stage != u64::MAX).then_some((stage, taken));
        let choice = Self { horizon, relaxed, taken, answered: None, requests };
        Some(if horizon < current { Self::default() } else { choice })
    }
}

impl Node {
    /// The relaxed plan is agreed on: every member's bids are due, for `stage`.
    pub(super) fn call_for_bids(&mut self, stage: PlanStage, round: u32, prices: Vec<f64>) {
        let (now, own) = (self.now, self.config.id);
        let Some(planning) = self.planning.as_mut() else { return };
        let members: BTreeSet<NodeId> = planning.membership.present().into_iter().collect();
        let others: Vec<NodeId> = members.iter().copied().filter(|member| *member != own).collect();
        planning.membership.settle();
        planning.auction = Some(Auction {
            stage,
            round,
            prices,
            step: Step::Bids,
            waiting: members.clone(),
            members,
            bids: Vec::new(),
            rest: BTreeMap::new(),
            declined: BTreeSet::new(),
            withdrawn: BTreeSet::new(),
            granted: BTreeMap::new(),
            attempt: 0,
            due: now.saturating_add(planning.config.pace.deadline),
            repeats: 0,
        });
        let call = Notice::Call { horizon: stage.0, term: planning.term, round };
        for member in others {
            self.send_latest(member, Slot::Notice, round, call.encode());
        }
        self.arm_plan_round();
        self.on_call(own, stage, round);
    }

    /// A coordinator calls for bids.
    pub(super) fn on_call(&mut self, source: NodeId, stage: PlanStage, round: u32) {
        let now = self.now;
        let Some(planning) = self.planning.as_mut() else { return };
        if !planning.is_current(stage) {
            planning.is_alive(now);
            return self.watch_coordinator();
        }
        planning.hear_call(now, stage, round);
        self.watch_coordinator();
        let Some(planning) = self.planning.as_mut() else { return };
        let (Some(asset), Some(problem)) = (&planning.asset, &planning.config.problem) else { return };
        if planning.gone {
            return;
        }
        if planning.choice.relaxed.is_empty() {
            (planning.choice.horizon, planning.choice.relaxed) = (stage.horizon(), asset.values().to_vec());
        }
        let requests = &planning.config.requests;
        let bids = integer::bids(asset.node(), problem, &requests.own, &planning.choice.relaxed);
        let share = problem.share(&planning.choice.relaxed);
        let rest = requests.couplings.iter().filter_map(|&coupling| {
            let uses = bids.iter().flat_map(|bid| bid.uses.iter().map(move |one| (one, bid.value)));
            let used: f64 =
                uses.filter(|((at, _), _)| *at == coupling).map(|((_, x), value)| x * value).sum();
            let rest = share.get(coupling)? - used;
            (rest != 0.0).then_some((coupling, rest))
        });
        let rest: Vec<(usize, f64)> = rest.collect();
        let bids = bids.into_iter().map(|bid| {
            let Bid { variable, value, worth, uses, .. } = bid;
            BidNotice { variable, value, worth, uses }
        });
        let (bids, term) = (bids.collect::<Vec<_>>(), planning.term);
        self.keep_choice();
        if source == self.config.id {
            self.on_bids(source, stage.0, bids, rest);
        } else {
            self.send_plan(source, Notice::Bids { horizon: stage.0, term, bids, rest }.encode());
        }
    }

    pub(super) fn keep_choice(&mut self) {
        let Some(planning) = &self.planning else { return };
        let state = planning.choice.snapshot();
        self.put(vec![Kept::Plan as u8, 1], state);
    }

    /// A member's bids.
    pub(super) fn on_bids(
        &mut self,
        from: NodeId,
        stage: u64,
        bids: Vec<BidNotice>,
        rest: Vec<(usize, f64)>,
    ) {
        let Some(planning) = self.planning.as_mut() else { return };
        let couplings = planning.config.couplings.len();
        let Some(auction) = planning.auction.as_mut() else { return };
        let in_range = |uses: &[(usize, f64)]| uses.iter().all(|(coupling, _)| *coupling < couplings);
        let sound = in_range(&rest) && bids.iter().all(|bid| in_range(&bid.uses));
        if auction.step != Step::Bids || auction.stage.0 != stage || !sound || !auction.waiting.remove(&from)
        {
            return;
        }
        auction.bids.extend(bids.into_iter().map(|bid| {
            let BidNotice { variable, value, worth, uses } = bid;
            Bid { node: from, variable, value, worth, uses }
        }));
        auction.rest.insert(from, rest);
        if auction.waiting.is_empty() {
            self.allot();
        }
    }

    /// Grants by the rule, and tells those for whom something is new.
    fn allot(&mut self) {
        let now = self.now;
        let Some(planning) = self.planning.as_mut() else { return };
        let couplings = &planning.config.couplings;
        let Some(auction) = planning.auction.as_mut() else { return };
        // In a fixed order, whatever the order of arrival.
        auction.bids.sort_by_key(|bid| (bid.node, bid.variable));
        let mut base = vec![0.0; couplings.len()];
        for (coupling, amount) in auction.rest.values().flatten() {
            base[*coupling] += amount;
        }
        let declined = &auction.declined;
        let verdicts = integer::allot(&auction.bids, couplings, &base, |bid| {
            !declined.contains(&(bid.node, bid.variable))
        });
        let mut granted: BTreeMap<NodeId, Vec<usize>> =
            auction.members.iter().map(|member| (*member, Vec::new())).collect();
        for index in integer::ranked(&auction.bids) {
            let bid = &auction.bids[index];
            if verdicts[index] == Verdict::Granted
                && let Some(list) = granted.get_mut(&bid.node)
            {
                list.push(bid.variable);
            }
        }
        let news = granted.iter().filter(|(member, list)| auction.granted.get(member) != Some(list));
        auction.waiting = news.map(|(member, _)| *member).collect();
        auction.granted = granted;
        auction.attempt += 1;
        (auction.step, auction.repeats) = (Step::Answers, 0);
        auction.due = now.saturating_add(planning.config.pace.deadline);
        self.tell_auction(false);
    }

    /// Tells those who are waited for what is due of them; with `candidates`, also those who would take this node's place.
    fn tell_auction(&mut self, candidates: bool) {
        let own = self.config.id;
        let Some(planning) = self.planning.as_ref() else { return };
        let Some(auction) = planning.auction.as_ref() else { return };
        let (horizon, term, attempt, round) =
            (auction.stage.0, planning.term, auction.attempt, auction.round);
        let step = auction.step;
        let mut told = auction.waiting.clone();
        if candidates {
            let others = planning.candidates().into_iter().filter(|one| *one != own);
            told.extend(others.filter(|candidate| auction.members.contains(candidate)));
        }
        let notices: Vec<(NodeId, Notice, Vec<usize>)> = (told.iter())
            .map(|member| {
                let granted = auction.granted.get(member).cloned().unwrap_or_default();
                let notice = match step {
                    Step::Bids => Notice::Call { horizon, term, round },
                    Step::Answers | Step::Solved => {
                        Notice::Allotment { horizon, term, attempt, granted: granted.clone() }
                    }
                };
                (*member, notice, granted)
            })
            .collect();
        let none = notices.is_empty();
        let mut mine = None;
        for (member, notice, granted) in notices {
            if member == own {
                mine = Some(granted);
            } else {
                self.send_latest(member, Slot::Notice, round, notice.encode());
            }
        }
        self.arm_plan_round();
        match (step, mine) {
            (Step::Answers, Some(granted)) => self.on_allotment(own, horizon, attempt, &granted),
            (Step::Answers, None) if none => self.solve_rest(),
            _ => {}
        }
    }

    /// What of this node's requests is granted.
    pub(super) fn on_allotment(&mut self, source: NodeId, stage: u64, attempt: u32, granted: &[usize]) {
        let now = self.now;
        let Some(planning) = self.planning.as_mut() else { return };
        if !planning.is_current(PlanStage(stage)) {
            // Of the last horizon: what it grants is over.
            planning.is_alive(now);
            return self.watch_coordinator();
        }
        let round = planning.heard.as_ref().map_or(0, |heard| heard.round);
        planning.hear_call(now, PlanStage(stage), round);
        if planning.gone {
            return self.watch_coordinator();
        }
        let Some(problem) = &planning.config.problem else { return };
        let term = planning.term;
        let name = (term, stage, attempt);
        let declined = match &planning.choice.answered {
            Some((last, declined)) if *last == name => declined.clone(),
            Some((last, _)) if *last > name => return,
            _ => planning.choice.take(stage, problem, &planning.config.requests.own, granted),
        };
        planning.choice.horizon = PlanStage(stage).horizon();
        planning.choice.answered = Some((name, declined.clone()));
        self.keep_choice();
        self.watch_coordinator();
        if source == self.config.id {
            self.on_taken(source, stage, attempt, &declined);
        } else {
            self.send_plan(source, Notice::Taken { horizon: stage, term, attempt, declined }.encode());
        }
    }

    /// What a member made of its allotment.
    pub(super) fn on_taken(&mut self, from: NodeId, stage: u64, attempt: u32, declined: &[usize]) {
        let Some(auction) = self.planning.as_mut().and_then(|planning| planning.auction.as_mut()) else {
            return;
        };
        let expected = (auction.step, auction.stage.0, auction.attempt);
        if expected != (Step::Answers, stage, attempt) || !auction.waiting.remove(&from) {
            return;
        }
        if let Some(granted) = auction.granted.get_mut(&from) {
            let mine: Vec<usize> =
                declined.iter().copied().filter(|variable| granted.contains(variable)).collect();
            granted.retain(|variable| !mine.contains(variable));
            auction.declined.extend(mine.into_iter().map(|variable| (from, variable)));
        }
        if auction.waiting.is_empty() {
            self.after_answers();
        }
    }

    /// Everyone has answered: what was declined is free for others, or the rest is solved.
    fn after_answers(&mut self) {
        let Some(auction) = self.planning.as_ref().and_then(|planning| planning.auction.as_ref()) else {
            return;
        };
        if auction.withdrawn.is_empty() { self.allot() } else { self.solve_rest() }
    }

    /// The plan of the continuous rest, with the requests fixed, from the relaxed plan's prices.
    fn solve_rest(&mut self) {
        let Some(planning) = self.planning.as_mut() else { return };
        let Some(auction) = planning.auction.as_mut() else { return };
        auction.step = Step::Solved;
        let granted = auction.granted.values().map(Vec::len).sum();
        let horizon = auction.stage.horizon();
        let report = Report::PlanRequests {
            horizon,
            bids: auction.bids.len(),
            granted,
            declined: auction.declined.difference(&auction.withdrawn).count(),
            withdrawn: auction.withdrawn.len(),
        };
        let (stage, round, prices) = (auction.stage, auction.round.saturating_add(1), auction.prices.clone());
        self.report(report);
        self.coordinate_from(stage, round, &prices);
    }

    /// Withdraws the granted request that ranks last, for a plan that found no end; whether there was one.
    pub(super) fn withdraw_request(&mut self) -> bool {
        let now = self.now;
        let Some(planning) = self.planning.as_mut() else { return false };
        let Some(coordinator) = &planning.coordinator else { return false };
        let (round, prices) = (coordinator.round(), coordinator.prices().to_vec());
        let Some(auction) = planning.auction.as_mut().filter(|auction| !auction.stage.is_last()) else {
            return false;
        };
        let order = integer::ranked(&auction.bids);
        let holds =
            |bid: &Bid| auction.granted.get(&bid.node).is_some_and(|list| list.contains(&bid.variable));
        let last = order.iter().rev().map(|index| &auction.bids[*index]).find(|bid| holds(bid));
        let Some((node, variable)) = last.map(|bid| (bid.node, bid.variable)) else { return false };
        if let Some(list) = auction.granted.get_mut(&node) {
            list.retain(|one| *one != variable);
        }
        auction.declined.insert((node, variable));
        auction.withdrawn.insert((node, variable));
        (auction.stage, auction.attempt) = (auction.stage.next(), auction.attempt + 1);
        (auction.step, auction.repeats) = (Step::Answers, 0);
        (auction.round, auction.prices) = (round, prices);
        auction.waiting = auction.members.clone();
        auction.due = now.saturating_add(planning.config.pace.deadline);
        self.tell_auction(false);
        true
    }

    /// Asks those again who have not answered; retires them in the end.
    pub(super) fn repeat_auction(&mut self) {
        let now = self.now;
        let Some(planning) = self.planning.as_mut() else { return };
        let (deadline, absence) = (planning.config.pace.deadline, planning.config.absence);
        let Some(auction) = planning.auction.as_mut() else { return };
        if auction.due().is_none_or(|due| due > now) {
            return self.arm_plan_round();
        }
        auction.repeats += 1;
        auction.due = now.saturating_add(deadline);
        let patience = absence.map_or(MAX_REPEATS, |absence| {
            (absence.as_nanos() / deadline.as_nanos().max(1)).clamp(1, u128::from(MAX_REPEATS)) as u32
        });
        if auction.repeats < patience {
            return self.tell_auction(true);
        }
        let gone: Vec<NodeId> = auction.waiting.iter().copied().collect();
        let (stage, round) = (auction.stage, auction.round);
        if auction.members.len() < gone.len() + planning.config.pace.quorum.max(1) {
            // It is this coordinator that is cut off: once it is not, everyone has as much time again.
            auction.repeats = 0;
            return self.tell_auction(true);
        }
        for member in gone {
            self.retire(member, stage, round);
            self.leave_auction(member);
        }
    }

    /// A member is no longer there: what it was granted is free.
    pub(super) fn leave_auction(&mut self, member: NodeId) {
        let Some(auction) = self.planning.as_mut().and_then(|planning| planning.auction.as_mut()) else {
            return;
        };
        if !auction.members.remove(&member) {
            return;
        }
        auction.bids.retain(|bid| bid.node != member);
        auction.rest.remove(&member);
        auction.granted.remove(&member);
        auction.declined.retain(|(node, _)| *node != member);
        auction.withdrawn.retain(|(node, _)| *node != member);
        auction.waiting.remove(&member);
        if auction.waiting.is_empty() && auction.is_open() {
            match auction.step {
                Step::Bids => self.allot(),
                Step::Answers | Step::Solved => self.after_answers(),
            }
        } else if !auction.is_open() {
            self.regroup(&[], false, "left");
        }
    }
}
