//! The fleet's side of the exchange rounds: [`Coordinator`].
//!
//! **Deadlines.** A round closes as soon as every member has answered it. At its deadline it closes with the last known
//! shares of missing members, if the quorum has answered. It is extended instead, and its signal sent again, while
//! a member has never answered in this horizon, while the quorum is missing, or when the shares (stale ones included)
//! would meet the tolerances: such a result must first be confirmed by all. After `patience` extensions in a row the plan is committed
//! as [`Outcome::Absent`].
//!
//! **Convergence** is declared only in a round in which every member answered that very round, and the round before too:
//! after a stale round two rounds with α = 1 bring the coordinator's copy of `zᵢ` in line with what the participants hold,
//! so that the residuals are those of the actual fleet.

use alloc::{collections::VecDeque, vec, vec::Vec};

use super::{
    exchange::{ExchangeSettings, PlanError},
    message::{Contribution, MAX_MEMBERS, MAX_SIGNAL, Outcome, Signal},
};
use crate::{id::NodeId, time::Instant};

/// How many reports wait to be taken before the oldest is dropped.
pub const MAX_REPORTS: usize = 64;
const CALM: u32 = 2;

/// What one closed round amounted to.
#[derive(Clone, Debug, PartialEq)]
pub struct RoundReport {
    /// The horizon.
    pub horizon: u64,
    /// The round that closed.
    pub round: u32,
    /// `√N ‖s̄‖`: how far the fleet is from balance (Boyd et al. 2011 §3.3, with `z` balanced).
    pub primal_residual: f64,
    /// `‖ρ (sᵢ − zᵢ − α s̄)‖` over all members: how far each is from optimal at the published prices.
    pub dual_residual: f64,
    /// The tolerance of the primal residual in this round (§3.3.1).
    pub primal_tolerance: f64,
    /// The tolerance of the dual residual in this round.
    pub dual_tolerance: f64,
    /// The penalty of the round.
    pub rho: f64,
    /// The relaxation of the step that the round ended with.
    pub relaxation: f64,
    /// Members that answered this round.
    pub contributions: usize,
    /// Members whose last known share was used instead.
    pub stale: usize,
    /// The prices λ = ρ u after the round, one per coupling: what the pool pays for a unit taken.
    pub prices: Vec<f64>,
}

#[derive(Clone, Debug)]
struct Member {
    node: NodeId,
    /// The round of the last accepted contribution in this horizon; 0 when there is none.
    round: u32,
    share: Vec<f64>,
    /// `zᵢ`: this member's part of the balanced exchange.
    balanced: Vec<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Idle,
    Open { deadline: Instant, extensions: u32 },
    Done,
}

/// The fleet's side of the plan. Sans-IO; memory is two vectors per member.
#[derive(Clone, Debug)]
pub struct Coordinator {
    settings: ExchangeSettings,
    members: Vec<Member>,
    couplings: usize,
    phase: Phase,
    /// The signal of the open round, or the committed one.
    signal: Signal,
    /// The scaled dual `u`, in the scale of `signal.rho`.
    dual: Vec<f64>,
    /// Closed rounds in a row in which everyone was fresh, up to [`CALM`].
    calm: u32,
    changes: u32,
    last_change: u32,
    reports: VecDeque<RoundReport>,
}

/// The sums and norms of a step, before anything changes.
struct Step {
    relaxation: f64,
    mean: Vec<f64>,
    primal: f64,
    dual: f64,
    primal_scale: f64,
    dual_scale: f64,
    primal_tolerance: f64,
    dual_tolerance: f64,
}

impl Step {
    fn met(&self) -> bool {
        self.primal <= self.primal_tolerance && self.dual <= self.dual_tolerance
    }
}

impl Coordinator {
    /// A coordinator of `members` (any order, each once) that exchange `couplings` quantities.
    ///
    /// # Errors
    /// [`PlanError`] when a setting or size is out of range.
    pub fn new(
        settings: ExchangeSettings,
        members: Vec<NodeId>,
        couplings: usize,
    ) -> Result<Self, PlanError> {
        settings.check(members.len(), couplings)?;
        let found = members.len();
        let mut nodes = members;
        nodes.sort_unstable();
        nodes.dedup();
        if nodes.len() != found {
            return Err(PlanError::Members { found, limit: MAX_MEMBERS });
        }
        let empty = vec![0.0; couplings];
        let members = nodes
            .into_iter()
            .map(|node| Member { node, round: 0, share: empty.clone(), balanced: empty.clone() })
            .collect();
        let signal = Signal {
            horizon: 0,
            round: 0,
            committed: None,
            rho: settings.rho,
            relaxation: settings.relaxation,
            shift: empty.clone(),
        };
        let reports = VecDeque::new();
        let (phase, calm, changes, last_change) = (Phase::Idle, CALM, 0, 0);
        Ok(Self {
            settings,
            members,
            couplings,
            phase,
            signal,
            dual: empty,
            calm,
            changes,
            last_change,
            reports,
        })
    }

    /// Opens the first round of horizon 0 and answers its signal, for every member. Again, it answers the signal in force.
    pub fn start(&mut self, now: Instant) -> Signal {
        if self.phase == Phase::Idle {
            self.signal.round = 1;
            self.open(now);
        }
        self.signal.clone()
    }

    /// Begins `horizon`: prices, ρ and shares stay as a warm start; unfinished rounds are abandoned.
    ///
    /// # Errors
    /// [`PlanError::Horizon`] unless `horizon` is later than the current one.
    pub fn replan(&mut self, now: Instant, horizon: u64) -> Result<Signal, PlanError> {
        if horizon <= self.signal.horizon {
            return Err(PlanError::Horizon { found: horizon, expected: self.signal.horizon + 1 });
        }
        for member in &mut self.members {
            member.round = 0;
        }
        // Participants keep t = z − u. With α = 1 they start from t' = s − w, so that w = u repeats the last prices.
        self.signal = Signal {
            horizon,
            round: 1,
            committed: None,
            rho: self.signal.rho,
            relaxation: 1.0,
            shift: self.dual.clone(),
        };
        for member in &mut self.members {
            member.balanced.clone_from(&member.share);
        }
        (self.calm, self.changes, self.last_change) = (0, 0, 0);
        self.open(now);
        Ok(self.signal.clone())
    }

    /// Takes a member's answer; closes the round when it was the last one missing, and answers the next signal.
    ///
    /// A repeated answer changes nothing. A late answer to an earlier round replaces the member's stale share.
    ///
    /// # Errors
    /// [`PlanError`] when the answer is refused.
    pub fn on_contribution(
        &mut self,
        now: Instant,
        from: NodeId,
        contribution: &Contribution,
    ) -> Result<Option<Signal>, PlanError> {
        let index = self
            .members
            .binary_search_by_key(&from, |member| member.node)
            .map_err(|_| PlanError::NotMember { node: from })?;
        self.check(contribution)?;
        let (found, current) = (contribution.round, self.signal.round);
        let member = &mut self.members[index];
        if found == member.round {
            let same = contribution.share().eq(member.share.iter().copied());
            return if same { Ok(None) } else { Err(PlanError::Conflict { round: found }) };
        }
        if found > current {
            return Err(PlanError::FutureRound { found, current });
        }
        if found < member.round || found == 0 {
            return Err(PlanError::OldRound { found, current });
        }
        member.round = found;
        member.share = contribution.share().collect();
        let complete = self.members.iter().all(|member| member.round == current);
        Ok(complete.then(|| self.close(now)))
    }

    fn check(&self, contribution: &Contribution) -> Result<(), PlanError> {
        contribution.check()?;
        if contribution.shared.len() != self.couplings {
            return Err(PlanError::Couplings { found: contribution.shared.len(), expected: self.couplings });
        }
        if contribution.horizon != self.signal.horizon {
            return Err(PlanError::Horizon { found: contribution.horizon, expected: self.signal.horizon });
        }
        match self.phase {
            Phase::Open { .. } => Ok(()),
            Phase::Idle | Phase::Done => Err(PlanError::Idle),
        }
    }

    /// When the open round's deadline passes.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Open { deadline, .. } => Some(deadline),
            Phase::Idle | Phase::Done => None,
        }
    }

    /// Closes or extends a round whose deadline has passed; answers the signal to send, which repeats when extended.
    pub fn on_timeout(&mut self, now: Instant) -> Option<Signal> {
        let Phase::Open { deadline, extensions } = self.phase else { return None };
        if now < deadline {
            return None;
        }
        let fresh = self.fresh();
        let known = self.members.iter().all(|member| member.round > 0);
        let last = self.signal.round >= self.settings.max_rounds;
        if known && fresh >= self.settings.quorum && (last || !self.step().met()) {
            return Some(self.close(now));
        }
        if extensions >= self.settings.patience {
            return Some(self.commit(Outcome::Absent));
        }
        self.open(now);
        if let Phase::Open { extensions: count, .. } = &mut self.phase {
            *count = extensions + 1;
        }
        Some(self.signal.clone())
    }

    fn open(&mut self, now: Instant) {
        self.phase = Phase::Open { deadline: now.saturating_add(self.settings.deadline), extensions: 0 };
    }

    fn fresh(&self) -> usize {
        self.members.iter().filter(|member| member.round == self.signal.round).count()
    }

    fn close(&mut self, now: Instant) -> Signal {
        let fresh = self.fresh();
        let whole = fresh == self.members.len();
        self.calm = if whole { (self.calm + 1).min(CALM) } else { 0 };
        let step = self.step();
        self.take(&step);
        self.report(&step, fresh);
        if whole && self.calm == CALM && step.met() {
            return self.commit(Outcome::Converged);
        }
        if self.signal.round >= self.settings.max_rounds {
            return self.commit(Outcome::RoundLimit);
        }
        self.next(&step, whole);
        self.open(now);
        self.signal.clone()
    }

    fn commit(&mut self, outcome: Outcome) -> Signal {
        self.phase = Phase::Done;
        self.signal.committed = Some(outcome);
        self.signal.round += 1;
        self.signal.clone()
    }

    /// The step that the known shares lead to; O(members · couplings).
    fn step(&self) -> Step {
        let count = self.members.len() as f64;
        let relaxation = if self.calm >= CALM { self.settings.relaxation } else { 1.0 };
        let mut mean = vec![0.0; self.couplings];
        for member in &self.members {
            for (sum, share) in mean.iter_mut().zip(&member.share) {
                *sum += share;
            }
        }
        for value in &mut mean {
            *value /= count;
        }
        let (mut dual, mut shares) = (0.0, 0.0);
        for member in &self.members {
            for ((share, balanced), mean) in member.share.iter().zip(&member.balanced).zip(&mean) {
                let change = share - balanced - relaxation * mean;
                dual += change * change;
                shares += share * share;
            }
        }
        let rho = self.signal.rho;
        let price: f64 =
            self.dual.iter().zip(&mean).map(|(u, mean)| u + relaxation * mean).map(|u| u * u).sum();
        let primal_scale = libm::sqrt(shares);
        let dual_scale = rho * libm::sqrt(count * price);
        let absolute = libm::sqrt(count * self.couplings as f64) * self.settings.eps_abs;
        Step {
            relaxation,
            primal: libm::sqrt(count * mean.iter().map(|value| value * value).sum::<f64>()),
            dual: rho * libm::sqrt(dual),
            primal_scale,
            dual_scale,
            primal_tolerance: absolute + self.settings.eps_rel * primal_scale,
            dual_tolerance: absolute + self.settings.eps_rel * dual_scale,
            mean,
        }
    }

    /// Moves `zᵢ` and leaves in `signal.shift` the part of `w` that is in the old scale; `u` moves to `u'`.
    fn take(&mut self, step: &Step) {
        let alpha = step.relaxation;
        for member in &mut self.members {
            for ((balanced, share), mean) in member.balanced.iter_mut().zip(&member.share).zip(&step.mean) {
                *balanced = alpha * share + (1.0 - alpha) * *balanced - alpha * mean;
            }
        }
        for ((shift, dual), mean) in self.signal.shift.iter_mut().zip(&mut self.dual).zip(&step.mean) {
            *shift = alpha * mean - (1.0 - alpha) * *dual;
            *dual = (*dual + alpha * mean).clamp(-MAX_SIGNAL / 8.0, MAX_SIGNAL / 8.0);
        }
    }

    /// Makes `signal` that of the next round, with ρ adapted and `u` rescaled.
    fn next(&mut self, step: &Step, whole: bool) {
        let rho = if whole { self.adapted(step) } else { self.signal.rho };
        if rho != self.signal.rho {
            let scale = self.signal.rho / rho;
            for dual in &mut self.dual {
                *dual *= scale;
            }
            self.changes += 1;
            self.last_change = self.signal.round;
            self.signal.rho = rho;
        }
        self.signal.relaxation = step.relaxation;
        self.signal.round += 1;
        for (shift, dual) in self.signal.shift.iter_mut().zip(&self.dual) {
            *shift = (*shift + dual).clamp(-MAX_SIGNAL, MAX_SIGNAL);
        }
    }

    /// Boyd et al. 2011, equation (3.13), on residuals relative to their scales.
    fn adapted(&self, step: &Step) -> f64 {
        let rho = self.signal.rho;
        let Some(adaptation) = self.settings.adaptation else { return rho };
        if self.changes >= adaptation.limit || self.signal.round - self.last_change < adaptation.every {
            return rho;
        }
        let primal = step.primal / step.primal_scale.max(self.settings.eps_abs);
        let dual = step.dual / step.dual_scale.max(self.settings.eps_abs);
        let changed = if primal > adaptation.ratio * dual {
            rho * adaptation.factor
        } else if dual > adaptation.ratio * primal {
            rho / adaptation.factor
        } else {
            rho
        };
        if (1e-9..=1e9).contains(&changed) { changed } else { rho }
    }

    fn report(&mut self, step: &Step, fresh: usize) {
        if self.reports.len() == MAX_REPORTS {
            self.reports.pop_front();
        }
        self.reports.push_back(RoundReport {
            horizon: self.signal.horizon,
            round: self.signal.round,
            primal_residual: step.primal,
            dual_residual: step.dual,
            primal_tolerance: step.primal_tolerance,
            dual_tolerance: step.dual_tolerance,
            rho: self.signal.rho,
            relaxation: step.relaxation,
            contributions: fresh,
            stale: self.members.len() - fresh,
            prices: self.prices(),
        });
    }

    /// Takes the oldest report of a closed round that was not taken yet; [`MAX_REPORTS`] are kept.
    pub fn take_report(&mut self) -> Option<RoundReport> {
        self.reports.pop_front()
    }

    /// The signal in force: of the open round, or the committed one. Its round is 0 before the start.
    #[must_use]
    pub fn signal(&self) -> &Signal {
        &self.signal
    }

    /// How the plan ended, if it did.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.signal.committed
    }

    /// The members that have not answered the open round, in ascending order.
    pub fn missing(&self) -> impl Iterator<Item = NodeId> + '_ {
        let open = matches!(self.phase, Phase::Open { .. });
        self.members
            .iter()
            .filter(move |member| open && member.round < self.signal.round)
            .map(|member| member.node)
    }

    /// The prices λ = ρ u.
    #[must_use]
    pub fn prices(&self) -> Vec<f64> {
        self.dual.iter().map(|u| self.signal.rho * u).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planning::message::MessageError;

    const ALPHA: NodeId = NodeId(1);
    const BETA: NodeId = NodeId(2);

    fn pair(settings: ExchangeSettings) -> Coordinator {
        let mut coordinator = Coordinator::new(settings, vec![BETA, ALPHA], 2).expect("valid");
        assert_eq!(coordinator.start(Instant::ZERO).round, 1);
        coordinator
    }

    fn answer(round: u32, share: [f64; 2]) -> Contribution {
        Contribution::quantise(0, round, &share).expect("in range")
    }

    #[test]
    fn refused_contributions_change_nothing() {
        let mut coordinator = pair(ExchangeSettings::default());
        coordinator.on_contribution(Instant::ZERO, ALPHA, &answer(1, [1.0, 2.0])).expect("accepted");
        let before = alloc::format!("{coordinator:?}");
        let huge = Contribution { horizon: 0, round: 1, shared: vec![i64::MAX, 0] };
        let later = Contribution { horizon: 1, ..answer(1, [0.0; 2]) };
        let narrow = Contribution::quantise(0, 1, &[0.0]).expect("in range");
        let node = NodeId(3);
        for (from, contribution, expected) in [
            (node, answer(1, [0.0; 2]), PlanError::NotMember { node }),
            (
                BETA,
                huge,
                MessageError::Magnitude { index: 0, limit: super::super::message::MAX_SHARE }.into(),
            ),
            (BETA, later, PlanError::Horizon { found: 1, expected: 0 }),
            (BETA, narrow, PlanError::Couplings { found: 1, expected: 2 }),
            (BETA, answer(2, [0.0; 2]), PlanError::FutureRound { found: 2, current: 1 }),
            (ALPHA, answer(1, [1.0, 2.5]), PlanError::Conflict { round: 1 }),
            (ALPHA, answer(0, [1.0, 2.0]), PlanError::OldRound { found: 0, current: 1 }),
        ] {
            assert_eq!(coordinator.on_contribution(Instant::ZERO, from, &contribution), Err(expected));
        }
        assert_eq!(coordinator.on_contribution(Instant::ZERO, ALPHA, &answer(1, [1.0, 2.0])), Ok(None));
        assert_eq!(alloc::format!("{coordinator:?}"), before);
    }

    #[test]
    fn a_round_closes_with_stale_shares_only_of_members_that_are_known() {
        let mut coordinator = pair(ExchangeSettings::default());
        coordinator.on_contribution(Instant::ZERO, ALPHA, &answer(1, [1.0, 2.0])).expect("accepted");
        let mut now = coordinator.poll_timeout().expect("open");
        assert_eq!(coordinator.on_timeout(Instant::ZERO), None, "before the deadline");
        assert_eq!(coordinator.on_timeout(now).expect("again").round, 1, "beta never answered");
        assert_eq!(coordinator.missing().collect::<Vec<_>>(), [BETA]);

        let next = coordinator.on_contribution(now, BETA, &answer(1, [1.0, 0.0])).expect("accepted");
        assert_eq!(next.expect("closed").round, 2);
        coordinator.on_contribution(now, ALPHA, &answer(2, [0.5, 1.0])).expect("accepted");
        now = coordinator.poll_timeout().expect("open");
        let signal = coordinator.on_timeout(now).expect("closed");
        assert_eq!((signal.round, signal.relaxation), (3, 1.0), "plain until everyone is back");
        let reports = [coordinator.take_report(), coordinator.take_report()].map(|r| r.expect("closed"));
        assert_eq!(reports.each_ref().map(|r| (r.round, r.contributions, r.stale)), [(1, 2, 0), (2, 1, 1)]);
    }

    #[test]
    fn balance_with_stale_shares_is_not_called_convergence() {
        let mut coordinator =
            pair(ExchangeSettings { patience: 2, relaxation: 1.0, ..ExchangeSettings::default() });
        for (node, share) in [(ALPHA, [1.0, 0.0]), (BETA, [-1.0, 0.0])] {
            coordinator.on_contribution(Instant::ZERO, node, &answer(1, share)).expect("accepted");
        }
        coordinator.on_contribution(Instant::ZERO, ALPHA, &answer(2, [1.0, 0.0])).expect("accepted");
        for _ in 0..2 {
            let now = coordinator.poll_timeout().expect("open");
            let signal = coordinator.on_timeout(now).expect("again");
            assert_eq!((signal.round, signal.committed), (2, None));
        }
        let mut gone = coordinator.clone();
        let now = gone.poll_timeout().expect("open");
        assert_eq!(gone.on_timeout(now).expect("committed").committed, Some(Outcome::Absent));
        let last = coordinator.on_contribution(now, BETA, &answer(2, [-1.0, 0.0])).expect("accepted");
        assert_eq!(last.expect("committed").committed, Some(Outcome::Converged));
        assert_eq!(coordinator.poll_timeout(), None);
        let after = coordinator.on_contribution(now, BETA, &answer(2, [-1.0, 0.0]));
        assert_eq!(after, Err(PlanError::Idle));
    }

    #[test]
    fn rounds_are_limited() {
        let mut coordinator = pair(ExchangeSettings { max_rounds: 1, ..ExchangeSettings::default() });
        coordinator.on_contribution(Instant::ZERO, ALPHA, &answer(1, [1.0, 0.0])).expect("accepted");
        let last = coordinator.on_contribution(Instant::ZERO, BETA, &answer(1, [1.0, 0.0]));
        assert_eq!(last.expect("accepted").expect("committed").committed, Some(Outcome::RoundLimit));
    }

    #[test]
    fn settings_and_members_are_checked() {
        let refused = |settings, members| Coordinator::new(settings, members, 2).expect_err("refused");
        let settings = ExchangeSettings::default();
        assert_eq!(refused(settings, vec![]), PlanError::Members { found: 0, limit: MAX_MEMBERS });
        assert_eq!(refused(settings, vec![BETA, BETA]), PlanError::Members { found: 2, limit: MAX_MEMBERS });
        let quorum = ExchangeSettings { quorum: 3, ..settings };
        assert_eq!(refused(quorum, vec![ALPHA, BETA]), PlanError::Setting { name: "quorum", found: 3.0 });
        let relaxed = ExchangeSettings { relaxation: 2.0, ..settings };
        assert_eq!(refused(relaxed, vec![ALPHA]), PlanError::Setting { name: "relaxation", found: 2.0 });
    }
}
