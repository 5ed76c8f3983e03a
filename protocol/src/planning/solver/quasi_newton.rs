//! A quasi-Newton method on the dual: assets answer prices with their share, value and, if asked, slope.
//!
//! The dual `d(λ) = Σ gᵢ(λ) − σ(λ)` is concave, and its gradient is the share that is out of bounds. The coordinator models the
//! smooth part `Σ gᵢ` around the best prices so far by BFGS updates of the summed slope (Nocedal and Wright 2006, equation 6.19,
//! limited to the latest pairs), and treats σ exactly: the next prices are those at which the model meets the bounds. This is
//! the proximal quasi-Newton method of Lee, Sun and Saunders 2014 with the sums' slope as its first metric. A step that worsens
//! `d` is not taken; the model is damped instead (Levenberg 1944).

use alloc::{collections::VecDeque, vec, vec::Vec};

use super::{
    exchange::tolerance,
    layout::{Blocks, Curvature},
    method::{Method, MethodSettings, Progress, Tally, difference, norm},
    price_model::{PriceModel, spread},
    request::Question,
};
use crate::planning::{cholesky::dot, fleet::Couplings, message::MAX_SIGNAL};

/// What is known at some prices.
#[derive(Clone, Debug)]
struct Point {
    prices: Vec<f64>,
    share: Vec<f64>,
    slope: Vec<f64>,
    value: f64,
}

/// The state of the method.
#[derive(Clone, Debug)]
pub struct QuasiNewton {
    settings: MethodSettings,
    couplings: Couplings,
    prices: Vec<f64>,
    best: Option<Point>,
    last: Option<(Vec<f64>, Vec<f64>)>,
    /// Steps in prices, and how much less was shared after them; newest last.
    pairs: VecDeque<(Vec<f64>, Vec<f64>)>,
    damping: f64,
}

impl QuasiNewton {
    pub(super) fn new(settings: MethodSettings, couplings: Couplings) -> Self {
        let prices = vec![0.0; couplings.len()];
        Self { settings, couplings, prices, best: None, last: None, pairs: VecDeque::new(), damping: 0.0 }
    }

    fn remember(&mut self, share: &[f64]) {
        if let Some((prices, before)) = self.last.take() {
            let (step, less) = (difference(&self.prices, &prices), difference(&before, share));
            // Without the curvature condition the update would not stay positive definite.
            if dot(&step, &less) > 1e-10 * norm(&step) * norm(&less) {
                if self.pairs.len() == self.settings.memory {
                    self.pairs.pop_front();
                }
                self.pairs.push_back((step, less));
            }
        }
        self.last = Some((self.prices.clone(), share.to_vec()));
    }

    /// The slope of `from` after the BFGS updates; O(pairs · m²).
    fn metric(&self, from: &Point) -> Vec<f64> {
        let m = self.prices.len();
        let mut slope = from.slope.clone();
        if self.settings.curvature == Curvature::Matrix {
            return slope;
        }
        for (step, less) in &self.pairs {
            let product: Vec<f64> = slope.chunks_exact(m).map(|row| dot(row, step)).collect();
            let (along, gained) = (dot(step, &product), dot(step, less));
            if along <= 0.0 {
                continue;
            }
            for (i, row) in slope.chunks_exact_mut(m).enumerate() {
                for (j, entry) in row.iter_mut().enumerate() {
                    *entry += less[i] * less[j] / gained - product[i] * product[j] / along;
                }
            }
        }
        slope
    }

    fn step(&mut self) {
        let Some(best) = &self.best else { return };
        let m = self.prices.len();
        let slope = self.metric(best);
        let intercept: Vec<f64> = (slope.chunks_exact(m).zip(&best.share))
            .map(|(row, share)| share + dot(row, &best.prices))
            .collect();
        let next = PriceModel { intercept, slope }.solve(&self.couplings, &best.prices, self.damping);
        self.prices = next.iter().map(|price| price.clamp(-MAX_SIGNAL / 8.0, MAX_SIGNAL / 8.0)).collect();
    }
}

impl Method for QuasiNewton {
    fn question(&self) -> Question {
        Question::Response { curvature: self.settings.curvature }
    }

    fn prices(&self) -> &[f64] {
        &self.prices
    }

    fn advance(&mut self, sum: &Blocks, tally: Tally) -> Progress {
        let m = self.prices.len();
        let value = sum.value - self.couplings.support(&self.prices);
        let slope = spread(self.settings.curvature, &sum.curvature, m, tally.members as f64);
        let mean = slope.iter().step_by(m + 1).sum::<f64>() / m as f64;
        let found = Point { prices: self.prices.clone(), share: sum.share.clone(), slope, value };
        let violation: Vec<f64> = (sum.share.iter().zip(self.couplings.as_slice()))
            .map(|(sum, coupling)| sum - coupling.project(*sum))
            .collect();
        // Complementarity: what the prices are paid for beyond what is shared; f − d at a feasible point.
        let unpaid = self.couplings.support(&self.prices) - dot(&self.prices, &sum.share);
        let root = libm::sqrt(m as f64);
        let progress = Progress {
            primal: norm(&violation),
            dual: unpaid.abs(),
            primal_tolerance: tolerance(&self.settings, m, &sum.share),
            dual_tolerance: root * self.settings.eps_abs + self.settings.eps_rel * value.abs(),
            conclusive: tally.whole(),
            rho: self.damping,
        };
        if tally.whole() {
            self.remember(&sum.share);
            // Values are rounded to 2⁻²⁰ in each member.
            let slack = 1e-6 * tally.members as f64 + 1e-12 * value.abs();
            let better = self.best.as_ref().is_none_or(|best| value >= best.value - slack);
            if better {
                self.best = Some(found);
                self.damping = if self.damping > 1e-6 * mean { self.damping / 4.0 } else { 0.0 };
            } else {
                self.damping = (4.0 * self.damping).max(0.05 * mean);
            }
        } else {
            // Answers to different prices are no gradient of one point: a careful step from here, judged by the next round.
            (self.last, self.best) = (None, Some(Point { value: f64::NEG_INFINITY, ..found }));
            self.damping = (2.0 * self.damping).max(mean);
        }
        self.step();
        progress
    }

    fn resume(&mut self, prices: &[f64]) {
        self.prices = prices.to_vec();
        (self.best, self.last, self.damping) = (None, None, 0.0);
        self.pairs.clear();
    }
}
