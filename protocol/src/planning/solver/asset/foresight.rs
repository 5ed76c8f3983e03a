//! The affine model of an asset's response, with an active set that follows what the last model foresaw.
//!
//! The exact response to prices far from the optimum is held by bounds that do not hold it at the optimum: a flat cost runs from one
//! bound to the other. So the active set is not the exact response's, but that of `argmin f(x) + λᵀS x + κ/2 ‖x − z‖²_P`, where
//! `z` is where the last model put the asset at these prices: a point with which the fleet would keep its couplings. The model is
//! that of the asset held as it is there. This is ALADIN (Houska, Frasch and Diehl 2016, "An augmented Lagrangian based
//! algorithm for distributed nonconvex optimization", algorithm 1) with `Σᵢ = κ Pᵢ`; of its quadratic programme that couples all assets
//! nothing is needed but the sum of the models.

use alloc::{vec, vec::Vec};

use super::{Asset, Contribution, Question, Request, Solved, product, quantised};
use crate::planning::{
    exchange::PlanError,
    message::MAX_SHARE,
    problem::LocalProblem,
    solver::{
        layout::{Blocks, Curvature},
        local::accept,
        response::ActiveSet,
    },
};

/// The least blend of an asset's first answers in a row: early active sets are guesses, and a slope between theirs and the one of
/// the problem without limits was measured to save a round trip.
const CAUTION: [f64; 3] = [0.2, 0.1, 0.03];

/// The last model: where the asset would be at other prices.
#[derive(Clone, Debug)]
pub(super) struct Foresight {
    prices: Vec<f64>,
    point: Vec<f64>,
    active: ActiveSet,
    /// How many models there were, without the one of the problem without limits.
    answers: usize,
}

impl Foresight {
    /// Where the asset would be at `prices`.
    fn at(&self, problem: &LocalProblem, prices: &[f64]) -> Vec<f64> {
        let mut change = vec![0.0; self.point.len()];
        for term in &problem.parts().shared {
            change[term.variable] += term.coefficient * (prices[term.coupling] - self.prices[term.coupling]);
        }
        self.point.iter().zip(self.active.step(&change)).map(|(x, step)| x - step).collect()
    }
}

impl Asset {
    /// Answers a later [`Question::Intercept`]. `renewed`: the last answer is on its way, and this one follows it.
    pub(super) fn foresee(
        &mut self,
        request: &Request,
        renewed: bool,
    ) -> Result<Option<Contribution>, PlanError> {
        let Question::Intercept { curvature, blend, proximal } = request.question else { return Ok(None) };
        let (solved, known) = self.model(&request.prices, (curvature, blend, proximal))?;
        let before = self.last.as_ref().map(|(_, answer)| answer.clone()).filter(|_| renewed);
        self.take(request, solved)?;
        if let Some((_, answer)) = &self.last {
            self.sent.push_back((answer.clone(), known));
        }
        Ok(if renewed { self.since(before.as_ref()) } else { self.outstanding() })
    }

    /// Lets the plan follow newer prices while the last answer is on its way and another may not be given yet. Other questions than [`Question::Intercept`] are not
    /// followed: what they lead to depends on what is counted.
    pub fn follow(&mut self, request: &Request) {
        let Question::Intercept { blend, proximal, .. } = request.question else { return };
        let later =
            request.horizon == self.horizon && request.round > self.round() && self.committed.is_none();
        if later && blend < 1.0 && self.check(request).is_ok() {
            // A plan that cannot be had leaves the last answer's.
            if let Ok(x) = self.plan(&request.prices, proximal) {
                self.x = x;
            }
        }
    }

    /// The answer to [`Question::Intercept`], and what it says of other prices.
    pub(super) fn model(
        &mut self,
        prices: &[f64],
        (curvature, blend, proximal): (Curvature, f64, f64),
    ) -> Result<(Solved, Foresight), PlanError> {
        let before = self.foresight.as_ref().map_or(0, |known| known.answers);
        let (x, active, answers) = if blend >= 1.0 {
            (self.best(prices)?, ActiveSet::none(&self.problem), 0)
        } else {
            let x = self.plan(prices, proximal)?;
            let active = ActiveSet::at(&self.problem, &x);
            (x, active, before + 1)
        };
        let mut gradient = self.problem.gradient(&x);
        for term in &self.problem.parts().shared {
            gradient[term.variable] += term.coefficient * prices[term.coupling];
        }
        let point: Vec<f64> = x.iter().zip(active.step(&gradient)).map(|(x, step)| x - step).collect();
        let share = self.problem.share(&point);
        if share.iter().any(|share| share.abs() > 0.5 * MAX_SHARE) {
            // A nearly linear cost without its limits: what the limits leave is what can be told.
            let x = self.best(prices)?;
            let (share, active) = (self.problem.share(&x), ActiveSet::at(&self.problem, &x));
            let known = Foresight { prices: prices.to_vec(), point: x.clone(), active, answers };
            return Ok((self.told(prices, x, share, &known, (curvature, 0.0)), known));
        }
        let caution = if blend < 1.0 { CAUTION.get(before).copied().unwrap_or(0.0) } else { 0.0 };
        let blend = if blend < 1.0 { blend.max(caution) } else { 0.0 };
        let known = Foresight { prices: prices.to_vec(), point, active, answers };
        Ok((self.told(prices, x, share, &known, (curvature, blend)), known))
    }

    /// The plan at `prices`: near what the last model foresees there, or the exact response when there is none.
    pub(super) fn plan(&mut self, prices: &[f64], proximal: f64) -> Result<Vec<f64>, PlanError> {
        let Some(known) = &self.foresight else { return self.best(prices) };
        let point = known.at(&self.problem, prices);
        // Over 1 + κ, so that the prepared Hessian serves: the pull of κ/2 ‖x − z‖²_P is κ P z.
        let pull: Vec<f64> = (self.problem.gradient(&point).iter().zip(&self.problem.parts().linear))
            .map(|(gradient, linear)| gradient - linear)
            .collect();
        self.prepare(0.0)?;
        let mut linear = self.problem.parts().linear.clone();
        for term in &self.problem.parts().shared {
            linear[term.variable] += term.coefficient * prices[term.coupling];
        }
        for (linear, pull) in linear.iter_mut().zip(pull) {
            *linear = (*linear - proximal * pull) / (1.0 + proximal);
        }
        accept(self.qp.solve(&linear, self.settings)?)
    }

    /// The exact response to `prices`.
    fn best(&mut self, prices: &[f64]) -> Result<Vec<f64>, PlanError> {
        let zero = vec![0.0; prices.len()];
        self.nearest(0.0, &zero, prices)
    }

    /// The model around `share` at `prices`, as it is told.
    fn told(
        &self,
        prices: &[f64],
        x: Vec<f64>,
        mut share: Vec<f64>,
        known: &Foresight,
        (curvature, blend): (Curvature, f64),
    ) -> Solved {
        let m = prices.len();
        let mut matrix = known.active.slope(&self.problem, Curvature::Matrix);
        if blend > 0.0 {
            let relaxed = ActiveSet::none(&self.problem).slope(&self.problem, Curvature::Matrix);
            matrix.iter_mut().zip(relaxed).for_each(|(own, relaxed)| *own += blend * (relaxed - *own));
        }
        // From the slope as it will be read, so that the model is exact at its own prices.
        let mut slope: Vec<f64> = reduced(matrix, m, curvature).into_iter().map(quantised).collect();
        let mut along = product(curvature, &slope, prices);
        // A flatter model is still exact there: the sums' range must not be exceeded.
        let most = share.iter().zip(&along).fold(0.0_f64, |most, (s, a)| most.max((s + a).abs()));
        if most > MAX_SHARE {
            slope.iter_mut().for_each(|entry| *entry = quantised(*entry * (0.25 * MAX_SHARE / most)));
            along = product(curvature, &slope, prices);
        }
        share.iter_mut().zip(along).for_each(|(share, along)| *share += along);
        let blocks = Blocks { share, squares: Vec::new(), values: Vec::new(), curvature: slope };
        Solved { x, blocks, target: Vec::new(), residual: Vec::new(), rho: 0.0 }
    }
}

/// What is told of a slope. Less than the matrix is never flatter than it in any direction (each entry of the diagonal is its row's sum
/// of magnitudes, the scalar the greatest of them), so that steps by it do not overshoot.
fn reduced(matrix: Vec<f64>, m: usize, curvature: Curvature) -> Vec<f64> {
    if curvature == Curvature::Matrix {
        return matrix;
    }
    let mut sums = vec![0.0; m];
    let mut entries = matrix.iter();
    for row in 0..m {
        for (column, entry) in (0..=row).zip(&mut entries) {
            sums[row] += entry.abs();
            if column < row {
                sums[column] += entry.abs();
            }
        }
    }
    match curvature {
        Curvature::Diagonal => sums,
        Curvature::Scalar => vec![sums.into_iter().fold(0.0, f64::max)],
        Curvature::None | Curvature::Matrix => Vec::new(),
    }
}
