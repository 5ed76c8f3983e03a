//! The fleet's side of every method: [`Coordinator`], which holds one running sum.
//!
//! **Rounds.** A method that needs everyone closes a round as soon as every member has answered it. At its deadline the round
//! closes with the last known answers of missing members, if the quorum has answered. It is extended instead, and asked again,
//! while a member is not in the sum at all, while the quorum is missing, or when the sum with stale answers met the tolerances:
//! such a result is first confirmed by all. After `patience` extensions in a row the plan is committed as
//! [`Outcome::Absent`].
//!
//! **No rounds.** Other methods take a step `gather` after something arrived, and ask whose answer no longer stands (`drift`); where
//! the method does not tell, whoever the answer came from. A member that owes an answer for the deadline is asked again.
//!
//! **Sums.** A contribution says which earlier one it replaces (its base), and is accepted only when that is the one in the sum:
//! each answer counts exactly once however often it travels. A member that says that it replaces nothing although the sum holds
//! something of it has lost its memory, and the sum begins anew: everyone is asked for all of the last answer. Prices stay. From a member that does so more
//! than three times in a horizon nothing new is taken: its last answer stays in the sum.

mod drift;
mod sums;

use alloc::{boxed::Box, collections::VecDeque, vec, vec::Vec};
use core::time::Duration;

use super::{
    contribution::Contribution,
    method::{Method, MethodSettings, Progress, Tally, method},
    report::{MAX_REPORTS, RoundReport},
    request::{Question, Request},
    thresholds::Thresholds,
};
use crate::{
    id::NodeId,
    planning::{
        exchange::PlanError,
        fleet::Couplings,
        message::{MAX_MEMBERS, Outcome},
    },
    time::Instant,
};

pub use sums::{Agreed, Heading};

/// How many more steps are taken from the same answers: convergence is two sweeps.
const SWEEPS: u32 = 2;

/// How often the sum begins anew in a horizon because one member has forgotten what it said.
const MAX_ANEW: u32 = 3;

/// When a coordinator waits, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// How long a round waits before it closes without its missing members, or a silent member before it is asked again.
    pub deadline: Duration,
    /// How long a method without rounds gathers what arrives before it takes a step.
    pub gather: Duration,
    /// How many answers a round needs to close at its deadline, 1 to the number of members.
    pub quorum: usize,
    /// How many times in a row one deadline passes before the plan is committed as [`Outcome::Absent`].
    pub patience: u32,
    /// The most rounds of one horizon, at least 1; without rounds, the most sweeps.
    pub max_rounds: u32,
}

impl Default for Pace {
    fn default() -> Self {
        let (deadline, gather) = (Duration::from_secs(60), Duration::ZERO);
        Self { deadline, gather, quorum: 1, patience: 1000, max_rounds: 500 }
    }
}

impl Pace {
    fn check(&self, members: usize) -> Result<(), PlanError> {
        for (name, found, valid) in [
            ("deadline", self.deadline.as_secs_f64(), !self.deadline.is_zero()),
            ("quorum", self.quorum as f64, (1..=members).contains(&self.quorum)),
            ("max_rounds", f64::from(self.max_rounds), self.max_rounds > 0 && self.max_rounds < u32::MAX),
        ] {
            if !valid {
                return Err(PlanError::Setting { name, found });
            }
        }
        Ok(())
    }
}

#[derive(Clone, Debug)]
struct Member {
    node: NodeId,
    /// The round of its answer in the sum; 0 when there is none.
    accepted: u32,
    /// Whether that answer arrived since the last step.
    arrived: bool,
    /// Whether it has contributed since the last sweep ended.
    swept: bool,
    /// When it was last asked.
    asked: Instant,
    /// It was asked since its answer in the sum.
    owing: bool,
    /// Where the question of that answer was asked ([`drift`]).
    place: f64,
    /// How many deadlines have passed since it last answered.
    silent: u32,
    /// It answers no more: what the sum holds of it stays.
    retired: bool,
    /// How often the sum began anew for it in the horizon.
    anew: u32,
    /// Its answer is here under masks, and not in the sum yet.
    held: bool,
    /// Its answer came, and may be in no sum of the horizon.
    left_behind: bool,
}

impl Member {
    fn has_answered(&self, round: u32) -> bool {
        self.retired || self.accepted == round
    }

    /// Whether an answer of it is due that did not come.
    fn is_awaited(&self) -> bool {
        self.owing && !self.retired && !self.held
    }

    fn is_known(&self) -> bool {
        self.retired || self.accepted > 0
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Idle,
    Open { deadline: Instant, extensions: u32 },
    Done(Outcome),
}

/// The fleet's side of the plan. Sans-IO; memory is one sum and the method's, whatever the number of members.
#[derive(Debug)]
pub struct Coordinator {
    method: Box<dyn Method>,
    pace: Pace,
    members: Vec<Member>,
    sum: Vec<u64>,
    horizon: u64,
    term: u32,
    round: u32,
    sweeps: u32,
    phase: Phase,
    /// When gathered answers become a step.
    step_at: Option<Instant>,
    /// Whether the last step met the tolerances with stale answers.
    unconfirmed: bool,
    drift: drift::Drift,
    /// How many are asked together at least, if anybody is.
    together: usize,
    reports: VecDeque<RoundReport>,
    /// How many were in the last sum that was agreed on before it began again, and at which prices.
    agreed: Option<Agreed>,
}

impl Coordinator {
    /// A coordinator of `members` (any order, each once).
    ///
    /// # Errors
    /// [`PlanError`] when a setting or size is out of range.
    pub fn new(
        settings: MethodSettings,
        pace: Pace,
        couplings: &Couplings,
        members: Vec<NodeId>,
    ) -> Result<Self, PlanError> {
        let found = members.len();
        let mut nodes = members;
        nodes.sort_unstable();
        nodes.dedup();
        if nodes.len() != found || found == 0 || found > MAX_MEMBERS {
            return Err(PlanError::Members { found, limit: MAX_MEMBERS });
        }
        pace.check(found)?;
        let method = method(settings, couplings, found)?;
        let member = |node| Member {
            node,
            accepted: 0,
            arrived: false,
            swept: false,
            asked: Instant::ZERO,
            owing: false,
            place: f64::NEG_INFINITY,
            silent: 0,
            retired: false,
            anew: 0,
            held: false,
            left_behind: false,
        };
        Ok(Self {
            sum: vec![0; method.layout().entries()],
            method,
            pace,
            members: nodes.into_iter().map(member).collect(),
            horizon: 0,
            term: 0,
            round: 0,
            sweeps: 0,
            phase: Phase::Idle,
            step_at: None,
            unconfirmed: false,
            drift: drift::Drift::default(),
            together: 1,
            reports: VecDeque::new(),
            agreed: None,
        })
    }

    /// The same coordinator as the `term`-th in a row: what it asks counts for more than what earlier ones ask.
    #[must_use]
    pub fn in_term(self, term: u32) -> Self {
        Self { term, ..self }
    }

    /// The same coordinator, which asks for requests to be made whole ([`super::thresholds`]), in answers as long as its method's. Nobody takes one below the `floor`.
    #[must_use]
    pub fn rounding(self, couplings: &Couplings, floor: u32) -> Self {
        let wide = !matches!(self.method.question(), Question::Exchange { .. } | Question::Proximal { .. });
        let method = Thresholds::new(couplings.clone(), self.sum.len(), wide, floor);
        Self { method: Box::new(method), ..self }
    }

    /// Whether it asks for requests to be made whole.
    #[must_use]
    pub fn is_rounding(&self) -> bool {
        matches!(self.method.question(), Question::Whole { .. })
    }

    /// How many requests members have, and how many they took at the last answers; `None` where nothing tells.
    #[must_use]
    pub fn requests(&self) -> Option<(usize, usize)> {
        self.method.requests()
    }

    /// Opens the first round, and answers who is to be asked: everyone.
    pub fn start(&mut self, now: Instant) -> Vec<NodeId> {
        if self.phase != Phase::Idle {
            return Vec::new();
        }
        self.round += 1;
        self.drift.publish(self.round);
        self.open(now);
        self.everyone(now)
    }

    /// Begins `horizon` from `prices`: another coordinator's last ones, or the last horizon's moved on in time.
    ///
    /// # Errors
    /// [`PlanError::Horizon`] when `horizon` is over, [`PlanError::Couplings`] when there are not as many prices as couplings.
    pub fn resume(
        &mut self,
        now: Instant,
        horizon: u64,
        round: u32,
        prices: &[f64],
    ) -> Result<Vec<NodeId>, PlanError> {
        if (horizon, round) < (self.horizon, self.round) {
            return Err(PlanError::Horizon { found: horizon, expected: self.horizon });
        }
        let expected = self.method.prices().len();
        if prices.len() != expected || prices.iter().any(|price| !price.is_finite()) {
            return Err(PlanError::Couplings { found: prices.len(), expected });
        }
        self.method.resume(prices);
        (self.horizon, self.round) = (horizon, round.max(1));
        (self.sweeps, self.unconfirmed, self.drift) = (0, false, drift::Drift::default());
        self.drift.publish(self.round);
        self.members.iter_mut().for_each(|member| member.anew = 0);
        self.agreed = None;
        self.forget();
        self.open(now);
        Ok(self.everyone(now))
    }

    /// The question in force for a member: it says which answer of it is in the sum. `None` for a stranger.
    #[must_use]
    pub fn request(&self, node: NodeId) -> Option<Request> {
        let member = &self.members[self.position(node).ok()?];
        Some(Request {
            horizon: self.horizon,
            term: self.term,
            round: self.round,
            accepted: member.accepted,
            committed: self.outcome(),
            unit: self.method.unit(),
            prices: self.method.prices().to_vec(),
            question: self.method.question(),
        })
    }

    /// Adds a contribution to the sum, and answers who is to be asked.
    ///
    /// # Errors
    /// [`PlanError`] when it is refused: nothing changed. A repeated contribution is refused as [`PlanError::OldRound`].
    pub fn on_contribution(
        &mut self,
        now: Instant,
        from: NodeId,
        contribution: &Contribution,
    ) -> Result<Vec<NodeId>, PlanError> {
        let index = self.position(from)?;
        let (found, expected) = (contribution.entries.len(), self.sum.len());
        if found != expected {
            return Err(PlanError::Couplings { found, expected });
        }
        if contribution.horizon != self.horizon {
            return Err(PlanError::Horizon { found: contribution.horizon, expected: self.horizon });
        }
        if contribution.term != self.term {
            return Err(PlanError::Term { found: contribution.term, expected: self.term });
        }
        if !matches!(self.phase, Phase::Open { .. }) {
            return Err(PlanError::Idle);
        }
        let (found, current) = (contribution.round, self.round);
        if found > current {
            return Err(PlanError::FutureRound { found, current });
        }
        let accepted = self.members[index].accepted;
        let late = self.method.rounds() && found < current;
        if late || found <= accepted || (contribution.base != accepted && contribution.base != 0) {
            return Err(PlanError::OldRound { found, current });
        }
        let anew = contribution.base == 0 && accepted != 0;
        if anew && self.members[index].anew == MAX_ANEW {
            // One that forgets again and again does not keep the others from a plan: its last answer stays.
            return Ok(self.retire(now, from, 1));
        }
        if anew {
            self.members[index].anew += 1;
            self.forget();
        }
        for (sum, entry) in self.sum.iter_mut().zip(&contribution.entries) {
            *sum = sum.wrapping_add(*entry as u64);
        }
        self.take(index, found);
        let mut asked = self.after(now);
        if anew {
            asked = self.everyone(now);
        }
        Ok(asked)
    }

    /// A member's answer to a round is in the sum.
    fn take(&mut self, index: usize, round: u32) {
        let place = self.drift.place(round);
        let member = &mut self.members[index];
        (member.accepted, member.arrived, member.swept, member.silent) = (round, true, true, 0);
        (member.owing, member.place, member.held) = (false, place, false);
    }

    /// What an addition leads to.
    fn after(&mut self, now: Instant) -> Vec<NodeId> {
        if self.method.rounds() {
            let complete = self.members.iter().all(|member| member.has_answered(self.round));
            return if complete { self.close(now) } else { Vec::new() };
        }
        if self.pace.gather.is_zero() {
            return self.step(now);
        }
        self.step_at.get_or_insert(now.saturating_add(self.pace.gather));
        Vec::new()
    }

    /// When something is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let Phase::Open { deadline, .. } = self.phase else { return None };
        if self.method.rounds() {
            return Some(deadline);
        }
        let asked = self.members.iter().filter(|member| member.is_awaited());
        let silent = asked.map(|member| member.asked.saturating_add(self.pace.deadline)).min();
        self.step_at.into_iter().chain(silent).min()
    }

    /// Takes a step, or closes or extends a round, whose time has come; answers who is to be asked.
    pub fn on_timeout(&mut self, now: Instant) -> Vec<NodeId> {
        let Phase::Open { deadline, extensions } = self.phase else { return Vec::new() };
        if !self.method.rounds() {
            return self.on_silence(now);
        }
        if now < deadline {
            return Vec::new();
        }
        let fresh = self.members.iter().filter(|member| member.has_answered(self.round)).count();
        let known = self.members.iter().all(Member::is_known);
        if known && fresh >= self.pace.quorum && !self.unconfirmed && !self.method.insists() {
            return self.close(now);
        }
        if extensions >= self.pace.patience {
            return self.commit(now, Outcome::Absent);
        }
        self.open(now);
        if let Phase::Open { extensions: count, .. } = &mut self.phase {
            *count = extensions + 1;
        }
        let missing = self.members.iter().filter(|member| !member.has_answered(self.round));
        missing.map(|member| member.node).collect()
    }

    fn on_silence(&mut self, now: Instant) -> Vec<NodeId> {
        let mut asked = match self.step_at {
            Some(at) if at <= now => self.step(now),
            _ => Vec::new(),
        };
        let deadline = self.pace.deadline;
        for member in self.members.iter_mut().filter(|member| member.is_awaited()) {
            if self.phase != Phase::Idle && member.asked.saturating_add(deadline) <= now {
                (member.asked, member.silent) = (now, member.silent.saturating_add(1));
                asked.push(member.node);
            }
        }
        let patience = self.pace.patience;
        if self.outcome().is_none() && self.members.iter().any(|member| member.silent > patience) {
            return self.commit(now, Outcome::Absent);
        }
        asked.sort_unstable();
        asked.dedup();
        asked
    }

    /// A step of a method without rounds.
    fn step(&mut self, now: Instant) -> Vec<NodeId> {
        self.step_at = None;
        let waiting = self.members.iter().all(|member| member.silent == 0);
        if waiting && !self.method.ready(self.tally()) {
            return Vec::new();
        }
        // While all answers stand, further steps need no new ones.
        for again in 0..=SWEEPS {
            let progress = self.advance();
            if progress.conclusive {
                self.sweeps += 1;
            }
            if progress.conclusive && progress.met() {
                return self.commit(now, Outcome::Converged);
            }
            if self.sweeps >= self.pace.max_rounds {
                return self.commit(now, Outcome::RoundLimit);
            }
            self.round += 1;
            self.drift.publish(self.round);
            self.members.iter_mut().for_each(|member| member.arrived = false);
            if again == SWEEPS || !self.stands() {
                break;
            }
        }
        self.ask_anew(now)
    }

    fn close(&mut self, now: Instant) -> Vec<NodeId> {
        let progress = self.advance();
        if progress.conclusive && progress.met() {
            return self.commit(now, Outcome::Converged);
        }
        self.unconfirmed = progress.met() && !progress.conclusive;
        if self.round >= self.pace.max_rounds {
            return self.commit(now, Outcome::RoundLimit);
        }
        self.round += 1;
        self.open(now);
        self.everyone(now)
    }

    fn advance(&mut self) -> Progress {
        let tally = self.tally();
        let relaxation = match self.method.question() {
            Question::Exchange { relaxation, .. }
            | Question::Consensus { relaxation, .. }
            | Question::Anderson { relaxation, .. } => relaxation,
            Question::Proximal { .. }
            | Question::Response { .. }
            | Question::Intercept { .. }
            | Question::Whole { .. } => 1.0,
        };
        let sum: Vec<i64> = self.sum.iter().map(|&sum| sum as i64).collect();
        let blocks = self.method.layout().blocks(&sum).expect("the sum has the layout's entries");
        let progress = self.method.advance(&blocks, tally);
        self.drift.step(progress.stir);
        if self.reports.len() == MAX_REPORTS {
            self.reports.pop_front();
        }
        self.reports.push_back(RoundReport {
            horizon: self.horizon,
            round: self.round,
            primal_residual: progress.primal,
            dual_residual: progress.dual,
            primal_tolerance: progress.primal_tolerance,
            dual_tolerance: progress.dual_tolerance,
            rho: progress.rho,
            relaxation,
            contributions: tally.fresh,
            stale: tally.members - tally.fresh,
            prices: self.method.prices().to_vec(),
        });
        if tally.swept {
            self.members.iter_mut().for_each(|member| member.swept = false);
        }
        progress
    }

    fn tally(&self) -> Tally {
        let count = |holds: fn(&Member, u32) -> bool| {
            self.members.iter().filter(|member| holds(member, self.round)).count()
        };
        let fresh = if self.method.rounds() {
            count(|member, round| member.has_answered(round))
        } else {
            count(|member, _| member.arrived)
        };
        let known = count(|member, _| member.is_known());
        let swept = self.members.iter().all(|member| member.swept || self.stands_by(member));
        Tally { members: self.members.len(), known, fresh, swept }
    }

    fn commit(&mut self, now: Instant, outcome: Outcome) -> Vec<NodeId> {
        // A plan that ends unfinished is the last that was agreed on, not what few of a new sum lead to.
        let agreed =
            self.agreed.as_ref().filter(|_| outcome == Outcome::Absent).and_then(|_| self.agreement());
        if let Some(agreed) = agreed {
            self.method.resume(agreed.prices());
        }
        if outcome != Outcome::Converged {
            self.method.give_up();
        }
        self.phase = Phase::Done(outcome);
        self.step_at = None;
        self.round += 1;
        self.everyone(now);
        self.members().collect()
    }

    fn open(&mut self, now: Instant) {
        self.phase = Phase::Open { deadline: now.saturating_add(self.pace.deadline), extensions: 0 };
    }

    /// Everyone who answers, as asked now.
    fn everyone(&mut self, now: Instant) -> Vec<NodeId> {
        for member in &mut self.members {
            (member.asked, member.arrived, member.owing, member.held) = (now, false, true, false);
        }
        self.members.iter().filter(|member| !member.retired).map(|member| member.node).collect()
    }

    /// Empties the sum. Who was retired is asked again, since nothing of it is left.
    fn forget(&mut self) {
        self.sum.fill(0);
        self.step_at = None;
        for member in &mut self.members {
            (member.accepted, member.arrived, member.swept, member.silent) = (0, false, false, 0);
            (member.retired, member.owing, member.place) = (false, true, f64::NEG_INFINITY);
            (member.held, member.left_behind) = (false, false);
        }
    }

    fn position(&self, node: NodeId) -> Result<usize, PlanError> {
        self.members
            .binary_search_by_key(&node, |member| member.node)
            .map_err(|_| PlanError::NotMember { node })
    }

    /// Takes the oldest report of a step that was not taken yet; [`MAX_REPORTS`] are kept.
    pub fn take_report(&mut self) -> Option<RoundReport> {
        self.reports.pop_front()
    }

    /// The horizon being planned.
    #[must_use]
    pub fn horizon(&self) -> u64 {
        self.horizon
    }

    /// The round in force; 0 before the start.
    #[must_use]
    pub fn round(&self) -> u32 {
        self.round
    }

    /// How the plan ended, if it did.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        match self.phase {
            Phase::Done(outcome) => Some(outcome),
            Phase::Idle | Phase::Open { .. } => None,
        }
    }

    /// The members in ascending order.
    pub fn members(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.members.iter().map(|member| member.node)
    }

    /// The members whose answer to the question in force is not in the sum.
    pub fn missing(&self) -> impl Iterator<Item = NodeId> + '_ {
        let open = matches!(self.phase, Phase::Open { .. });
        self.members
            .iter()
            .filter(move |member| open && !member.has_answered(self.round))
            .map(|member| member.node)
    }

    /// The prices λ.
    #[must_use]
    pub fn prices(&self) -> &[f64] {
        self.method.prices()
    }
}
