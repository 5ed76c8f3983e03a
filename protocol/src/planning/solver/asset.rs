//! The asset's side of every method: [`Asset`].

mod foresight;
mod snapshot;

use alloc::{collections::VecDeque, vec, vec::Vec};

use foresight::Foresight;

use super::{
    contribution::Contribution,
    layout::{Blocks, Curvature},
    local::{accept, penalised},
    request::{MAX_MEMORY, Question, Request},
    response::slope,
    thresholds::COUNT,
};
use crate::{
    id::NodeId,
    planning::{
        cholesky::dot,
        exchange::PlanError,
        integer::Offer,
        message::{FRACTION_BITS, MAX_SIGNAL, Outcome},
        problem::LocalProblem,
        qp::{Qp, QpSettings},
    },
};

/// How many answers of the asynchronous method may be on their way. Each is made from what is in the coordinator's sum: a later one
/// replaces an earlier one for newer prices, and never builds on it.
const RENEWALS: usize = 3;

/// An answer, and what the next one starts from.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Answer {
    pub(super) round: u32,
    /// All entries, not the difference.
    pub(super) entries: Vec<i64>,
    /// The share block, as quantised.
    pub(super) share: Vec<f64>,
    /// Exchange: the target `t`.
    pub(super) target: Vec<f64>,
    pub(super) rho: f64,
    /// The plan that it tells of.
    pub(super) x: Vec<f64>,
}

/// One asset's problem and its place in the rounds. Sans-IO; memory is a few vectors, with Anderson two per remembered round.
#[derive(Clone, Debug)]
pub struct Asset {
    node: NodeId,
    settings: QpSettings,
    problem: LocalProblem,
    /// Prepared with the penalty `rho`.
    qp: Qp,
    rho: f64,
    horizon: u64,
    x: Vec<f64>,
    /// What the coordinator's sum holds of this asset.
    base: Option<Answer>,
    /// The last request, and its answer.
    last: Option<(Request, Answer)>,
    /// Anderson: the steps and residuals of accepted rounds, newest first.
    steps: VecDeque<(Vec<f64>, Vec<f64>)>,
    residual: Vec<f64>,
    /// Intercept: the model in the coordinator's sum. A snapshot does not keep it; the exact response takes its place.
    foresight: Option<Foresight>,
    /// Intercept: the answers on their way, oldest first; the newest is the last one. At most [`RENEWALS`].
    sent: VecDeque<(Answer, Foresight)>,
    committed: Option<Outcome>,
    /// What requests are answered from, while they are made whole.
    offer: Option<Offer>,
}

/// What solving a question gave.
struct Solved {
    x: Vec<f64>,
    blocks: Blocks,
    target: Vec<f64>,
    residual: Vec<f64>,
    rho: f64,
}

impl Asset {
    /// An asset at horizon 0. The local optimum is its first plan.
    ///
    /// # Errors
    /// [`PlanError::Problem`] or [`PlanError::NotSolved`] when the local problem cannot be solved.
    pub fn new(node: NodeId, problem: LocalProblem, settings: QpSettings) -> Result<Self, PlanError> {
        let parts = problem.parts();
        let qp = Qp::new(&problem.hessian_dense(), &parts.lower, &parts.upper, &parts.rows)?;
        let x = accept(qp.solve(&parts.linear, settings)?)?;
        Ok(Self {
            node,
            settings,
            problem,
            qp,
            rho: 0.0,
            horizon: 0,
            x,
            base: None,
            last: None,
            steps: VecDeque::new(),
            residual: Vec::new(),
            foresight: None,
            sent: VecDeque::new(),
            committed: None,
            offer: None,
        })
    }

    /// The same asset, which begins at a later horizon.
    #[must_use]
    pub fn in_horizon(self, horizon: u64) -> Self {
        Self { horizon, ..self }
    }

    /// The same asset, which is asked what of its requests it takes.
    #[must_use]
    pub fn offering(self, offer: Offer) -> Self {
        Self { offer: Some(offer), ..self }
    }

    /// What its requests are answered from, while they are made whole.
    #[must_use]
    pub fn offer(&self) -> Option<&Offer> {
        self.offer.as_ref()
    }

    /// Replaces the problem for a later `horizon`. `moved` names, for each new coupling, the old one that it continues: from
    /// there the exchange starts warm.
    ///
    /// # Errors
    /// [`PlanError::Horizon`] unless `horizon` is later; [`PlanError::Couplings`] when `moved` does not fit; else as
    /// [`Self::new`].
    pub fn replace_problem(
        &mut self,
        horizon: u64,
        problem: LocalProblem,
        moved: &[Option<usize>],
    ) -> Result<(), PlanError> {
        if horizon <= self.horizon {
            return Err(PlanError::Horizon { found: horizon, expected: self.horizon + 1 });
        }
        let (expected, old) = (problem.couplings(), self.problem.couplings());
        if moved.len() != expected || moved.iter().flatten().any(|&from| from >= old) {
            return Err(PlanError::Couplings { found: moved.len(), expected });
        }
        let mut next = Self::new(self.node, problem, self.settings)?;
        if let Some((request, answer)) = &self.last {
            let carry = |list: &[f64]| -> Vec<f64> {
                let value =
                    |from: &Option<usize>| from.and_then(|from| list.get(from).copied()).unwrap_or(0.0);
                moved.iter().map(value).collect()
            };
            let request = Request { horizon, round: 0, prices: carry(&request.prices), ..request.clone() };
            let (share, target) = (carry(&answer.share), carry(&answer.target));
            let (round, rho, entries, x) = (0, answer.rho, Vec::new(), Vec::new());
            next.last = Some((request, Answer { round, entries, share, target, rho, x }));
        }
        next.horizon = horizon;
        *self = next;
        Ok(())
    }

    /// Solves what is asked and answers with what is to be added to the sum; `None` when that is nothing: the plan is committed,
    /// or the answer is in the sum already.
    ///
    /// A repeated request gets the same answer again. A request that needs the last answer in the sum, which is not known to
    /// be there, gets that one again.
    ///
    /// # Errors
    /// [`PlanError`] when the request is out of range, of another horizon or of an old round, or the local problem could not be
    /// solved or shared. Nothing changed.
    pub fn on_request(&mut self, request: &Request) -> Result<Option<Contribution>, PlanError> {
        self.check(request)?;
        if self.last.as_ref().is_some_and(|(last, _)| request.term > last.term) {
            self.begin_term();
        }
        let current = self.round();
        if request.round < current {
            return Err(PlanError::OldRound { found: request.round, current });
        }
        if self.committed.is_some() {
            return if request.committed == self.committed { Ok(None) } else { Err(PlanError::Idle) };
        }
        self.settle(request.accepted);
        if request.committed.is_some() {
            self.committed = request.committed;
            self.agree(request);
            return Ok(None);
        }
        let outstanding = current > 0 && current != request.accepted;
        if let Question::Intercept { proximal, .. } = request.question
            && request.round > current
        {
            if outstanding && self.sent.len() >= RENEWALS {
                // The plan follows the prices meanwhile.
                self.x = self.plan(&request.prices, proximal)?;
                return Ok(self.outstanding());
            }
            return self.foresee(request, outstanding && !self.sent.is_empty());
        }
        if outstanding && (request.round == current || request.question.one_at_a_time()) {
            return Ok(self.outstanding());
        }
        if request.round == current {
            return Ok(None);
        }
        let solved = self.solve(request)?;
        self.take(request, solved)?;
        Ok(self.outstanding())
    }

    /// What is committed is what the coordinator's sum holds of this asset, not an answer that is still on its way. Of an affine model that is
    /// the plan which it foresees at the prices agreed on. Requests that are not made whole by then are so by the thresholds committed.
    fn agree(&mut self, request: &Request) {
        if let (Question::Whole { brackets, bins, .. }, Some(offer)) = (&request.question, &mut self.offer) {
            offer.answer(brackets, *bins);
            self.x = offer.plan(&request.prices);
            return self.note_agreed(request);
        }
        if self.answer().is_none() {
            // Of a stage in which it answered nothing: the best at the prices that were agreed on before.
            let zero = vec![0.0; request.prices.len()];
            if let Ok(x) = self.nearest(0.0, &zero, &request.prices) {
                self.x = x;
            }
            return self.note_agreed(request);
        }
        let Some(base) = &self.base else { return };
        if let Question::Intercept { proximal, .. } = request.question {
            // A plan that cannot be had leaves the last answer's.
            if let Ok(x) = self.plan(&request.prices, proximal) {
                self.x = x;
            }
        } else if base.x.len() == self.x.len() {
            self.x.clone_from(&base.x);
        }
    }

    /// Remembers who committed what, where no answer tells: as one of zeros, which is in no sum.
    fn note_agreed(&mut self, request: &Request) {
        let entries = vec![0; request.question.layout(self.problem.couplings()).entries()];
        let (round, share, target) = (request.round, vec![0.0; self.problem.couplings()], Vec::new());
        let answer = Answer { round, share, entries, target, rho: 0.0, x: self.x.clone() };
        self.last = Some((request.clone(), answer));
    }

    /// Another coordinator took over: its rounds are its own, whatever the last one's were, and it counts on no answer yet. A plan
    /// that it does not know to be committed is open again.
    fn begin_term(&mut self) {
        if let Some((last, answer)) = &mut self.last {
            (last.round, answer.round) = (0, 0);
        }
        self.base = None;
        self.committed = None;
        self.steps.clear();
        self.sent.clear();
    }

    fn check(&self, request: &Request) -> Result<(), PlanError> {
        request.check()?;
        if request.horizon != self.horizon {
            return Err(PlanError::Horizon { found: request.horizon, expected: self.horizon });
        }
        let expected = self.problem.couplings();
        if request.prices.len() != expected {
            return Err(PlanError::Couplings { found: request.prices.len(), expected });
        }
        Ok(())
    }

    /// Learns which answer is in the sum.
    fn settle(&mut self, accepted: u32) {
        if accepted == 0 {
            // A coordinator that knows nothing of this asset, or nothing any more: the next answer is all there is.
            if self.base.take().is_some() {
                self.sent.clear();
            }
            return;
        }
        if self.base.as_ref().is_some_and(|base| base.round == accepted) {
            return;
        }
        if let Some(place) = self.sent.iter().position(|(answer, _)| answer.round == accepted) {
            self.sent.drain(..place);
            let (answer, known) = self.sent.pop_front().expect("it is there");
            (self.base, self.foresight) = (Some(answer), Some(known));
            return;
        }
        self.base = match &self.last {
            Some((request, answer)) if answer.round == accepted => {
                if let Question::Anderson { memory, .. } = request.question {
                    self.steps.push_front((answer.share.clone(), core::mem::take(&mut self.residual)));
                    self.steps.truncate(memory.min(MAX_MEMORY) + 1);
                }
                Some(answer.clone())
            }
            // It counts an answer that is forgotten here. The next one says that it replaces nothing.
            _ => None,
        };
    }

    /// The last answer less what is in the sum.
    fn outstanding(&self) -> Option<Contribution> {
        self.since(self.base.as_ref())
    }

    /// The last answer less an earlier one.
    fn since(&self, base: Option<&Answer>) -> Option<Contribution> {
        let (request, answer) = self.last.as_ref()?;
        let entries = match base {
            Some(base) if base.entries.len() == answer.entries.len() => {
                answer.entries.iter().zip(&base.entries).map(|(new, old)| new.wrapping_sub(*old)).collect()
            }
            _ => answer.entries.clone(),
        };
        let base = base.map_or(0, |base| base.round);
        Some(Contribution { horizon: self.horizon, term: request.term, round: answer.round, base, entries })
    }

    /// What the next step starts from: what the coordinator counts on, or what there is.
    fn start(&self) -> Option<&Answer> {
        self.base.as_ref().or_else(|| self.last.as_ref().map(|(_, answer)| answer))
    }

    fn solve(&mut self, request: &Request) -> Result<Solved, PlanError> {
        let m = self.problem.couplings();
        let zero = vec![0.0; m];
        let (share, target, old) = match self.start() {
            Some(start) => (start.share.clone(), start.target.clone(), start.rho),
            None => (zero.clone(), zero.clone(), 0.0),
        };
        match &request.question {
            Question::Exchange { rho, relaxation, shift } => {
                let next: Vec<f64> = (share
                    .iter()
                    .zip(target.iter().chain(core::iter::repeat(&0.0)))
                    .zip(shift))
                .map(|((share, target), shift)| relaxation * share + (1.0 - relaxation) * target - shift)
                .collect();
                let x = self.nearest(*rho, &next, &zero)?;
                let share = self.problem.share(&x);
                let apart =
                    share.iter().zip(&next).zip(&request.prices).map(|((s, t), price)| s - t - price / rho);
                let squares = vec![dot(&share, &share), apart.map(|apart| apart * apart).sum()];
                Ok(self.solved(x, share, request.unit, squares, next, *rho))
            }
            Question::Proximal { rho, shift } => {
                let next: Vec<f64> = share.iter().zip(shift).map(|(share, shift)| share - shift).collect();
                let x = self.nearest(*rho, &next, &zero)?;
                let share = self.problem.share(&x);
                Ok(self.solved(x, share, 1.0, Vec::new(), next, *rho))
            }
            Question::Consensus { rho, relaxation } => {
                // yᵢ' = (v − λ')/ρ, in the scale in which v was answered; at first nothing is known.
                let multiplier: Vec<f64> = if old > 0.0 {
                    share.iter().zip(&request.prices).map(|(v, price)| (v - price) / old).collect()
                } else {
                    zero
                };
                let x = self.nearest(*rho, &multiplier, &request.prices)?;
                let share = self.problem.share(&x);
                let apart: Vec<f64> = share.iter().zip(&multiplier).map(|(s, y)| rho * (s - y)).collect();
                let copies =
                    apart.iter().zip(&request.prices).map(|(apart, price)| price + relaxation * apart);
                let answer = copies.zip(&multiplier).map(|(copy, y)| copy + rho * y).collect();
                let squares = vec![dot(&apart, &apart)];
                Ok(self.solved(x, answer, request.unit, squares, Vec::new(), *rho))
            }
            Question::Anderson { rho, relaxation, memory, weights } => {
                self.accelerate(request, *rho, *relaxation, *memory, weights)
            }
            Question::Response { curvature, others } => {
                let mut solved = self.respond(&request.prices, *curvature)?;
                for prices in others.chunks_exact(m) {
                    let other = self.respond(prices, *curvature)?.blocks;
                    solved.blocks.share.extend(other.share);
                    solved.blocks.values.extend(other.values);
                    solved.blocks.curvature.extend(other.curvature);
                }
                Ok(solved)
            }
            Question::Whole { brackets, bins, filler, .. } => {
                let offer = self.offer.as_mut().ok_or(PlanError::Idle)?;
                let share = offer.answer(brackets, *bins);
                let counts = [offer.requests(), offer.taken().len()];
                let mut squares: Vec<f64> = counts.iter().map(|count| *count as f64 * COUNT).collect();
                squares.resize(*filler, 0.0);
                let x = offer.plan(&request.prices);
                Ok(self.solved(x, share, 1.0, squares, Vec::new(), 0.0))
            }
            Question::Intercept { curvature, blend, proximal } => {
                Ok(self.model(&request.prices, (*curvature, *blend, *proximal))?.0)
            }
        }
    }

    fn solved(
        &self,
        x: Vec<f64>,
        share: Vec<f64>,
        unit: f64,
        squares: Vec<f64>,
        target: Vec<f64>,
        rho: f64,
    ) -> Solved {
        let squares = squares.iter().map(|square| square / (unit * unit)).collect();
        let blocks = Blocks { share, squares, ..Blocks::default() };
        Solved { x, blocks, target, residual: Vec::new(), rho }
    }

    /// Prepares the solver for the penalty ρ.
    fn prepare(&mut self, rho: f64) -> Result<(), PlanError> {
        if rho != self.rho {
            self.qp.set_hessian(&penalised(&self.problem, rho))?;
            self.rho = rho;
        }
        Ok(())
    }

    /// `argmin f(x) + pricesᵀS x + ρ/2 ‖S x − target‖²`.
    fn nearest(&mut self, rho: f64, target: &[f64], prices: &[f64]) -> Result<Vec<f64>, PlanError> {
        self.prepare(rho)?;
        let mut linear = self.problem.parts().linear.clone();
        for term in &self.problem.parts().shared {
            let target = target[term.coupling].clamp(-MAX_SIGNAL, MAX_SIGNAL);
            linear[term.variable] += term.coefficient * (prices[term.coupling] - rho * target);
        }
        accept(self.qp.solve(&linear, self.settings)?)
    }

    /// A step from the mixture of remembered steps, and the inner products of its residual with theirs.
    fn accelerate(
        &mut self,
        request: &Request,
        rho: f64,
        relaxation: f64,
        memory: usize,
        weights: &[f64],
    ) -> Result<Solved, PlanError> {
        let dual: Vec<f64> = request.prices.iter().map(|price| price / rho).collect();
        let from = if weights.len() > 1 && weights.len() <= self.steps.len() {
            let mut from = vec![0.0; dual.len()];
            for (weight, (step, _)) in weights.iter().zip(&self.steps) {
                from.iter_mut().zip(step).for_each(|(from, step)| *from += weight * step);
            }
            from
        } else {
            // The start, a plain step, or a mixture of what is forgotten here: the residuals will tell.
            match self.start() {
                Some(start) if !start.share.is_empty() => start.share.clone(),
                _ => dual.clone(),
            }
        };
        let target: Vec<f64> = from.iter().zip(&dual).map(|(w, u)| w - 2.0 * u).collect();
        let x = self.nearest(rho, &target, &vec![0.0; dual.len()])?;
        let share = self.problem.share(&x);
        let residual: Vec<f64> =
            (share.iter().zip(&from).zip(&dual)).map(|((s, w), u)| relaxation * (s - w + u)).collect();
        let stepped = from.iter().zip(&residual).map(|(w, r)| w + r).collect();
        let mut squares = vec![dot(&share, &share), dot(&residual, &residual)];
        squares.extend(
            self.steps
                .iter()
                .take(memory)
                .map(|(_, older)| if older.is_empty() { 0.0 } else { dot(&residual, older) }),
        );
        squares.resize(2 + memory, 0.0);
        let solved = self.solved(x, stepped, request.unit, squares, Vec::new(), rho);
        Ok(Solved { residual, ..solved })
    }

    /// The response to the prices, with its value and slope.
    fn respond(&mut self, prices: &[f64], curvature: Curvature) -> Result<Solved, PlanError> {
        let x = self.nearest(0.0, &vec![0.0; prices.len()], prices)?;
        let share = self.problem.share(&x);
        let value = self.problem.cost(&x) + dot(prices, &share);
        let curvature = slope(&self.problem, &x, curvature);
        let blocks = Blocks { share, squares: Vec::new(), values: vec![value], curvature };
        Ok(Solved { x, blocks, target: Vec::new(), residual: Vec::new(), rho: 0.0 })
    }

    fn take(&mut self, request: &Request, solved: Solved) -> Result<(), PlanError> {
        let layout = request.question.layout(self.problem.couplings());
        let entries = layout.quantise(&solved.blocks)?;
        let share = entries[..layout.couplings]
            .iter()
            .map(|&entry| libm::ldexp(entry as f64, -(FRACTION_BITS as i32)));
        let (round, target, rho) = (request.round, solved.target, solved.rho);
        let answer = Answer { round, share: share.collect(), entries, target, rho, x: solved.x.clone() };
        self.last = Some((request.clone(), answer));
        self.residual = solved.residual;
        self.x = solved.x;
        Ok(())
    }

    /// The node whose problem this is.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The local problem.
    #[must_use]
    pub fn problem(&self) -> &LocalProblem {
        &self.problem
    }

    /// The horizon being planned.
    #[must_use]
    pub fn horizon(&self) -> u64 {
        self.horizon
    }

    /// The last round that was answered; 0 before the first.
    #[must_use]
    pub fn round(&self) -> u32 {
        self.last.as_ref().map_or(0, |(_, answer)| answer.round)
    }

    /// The current values of the variables: before the first round the local optimum, afterwards the last answer.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.x
    }

    /// The prices of the last request; none before the first.
    #[must_use]
    pub fn prices(&self) -> Option<&[f64]> {
        self.last.as_ref().map(|(request, _)| request.prices.as_slice())
    }

    /// The last request that was answered.
    #[must_use]
    pub fn request(&self) -> Option<&Request> {
        self.last.as_ref().map(|(request, _)| request)
    }

    /// All entries of the last answer, whatever of it is counted; `None` before the first of a horizon.
    #[must_use]
    pub fn answer(&self) -> Option<&[i64]> {
        let (_, answer) = self.last.as_ref()?;
        (!answer.entries.is_empty()).then_some(answer.entries.as_slice())
    }

    /// How the plan ended, once the coordinator has committed it.
    #[must_use]
    pub fn committed(&self) -> Option<Outcome> {
        self.committed
    }
}

fn quantised(value: f64) -> f64 {
    let step = (1_u64 << FRACTION_BITS) as f64;
    libm::rint(value * step) / step
}

/// `J λ` from the entries of a curvature.
fn product(curvature: Curvature, entries: &[f64], prices: &[f64]) -> Vec<f64> {
    match curvature {
        Curvature::None => vec![0.0; prices.len()],
        Curvature::Scalar => prices.iter().map(|price| entries[0] * price).collect(),
        Curvature::Diagonal => prices.iter().zip(entries).map(|(price, entry)| entry * price).collect(),
        Curvature::Matrix => {
            let mut sums = vec![0.0; prices.len()];
            let mut next = entries.iter();
            for row in 0..prices.len() {
                for (column, entry) in (0..=row).zip(&mut next) {
                    sums[row] += entry * prices[column];
                    if column < row {
                        sums[column] += entry * prices[row];
                    }
                }
            }
            sums
        }
    }
}
