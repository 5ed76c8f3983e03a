//! The dual from contributions of any age: every asset's last answer as an affine model of its response.
//!
//! An asset that was asked at prices `λᵢ` answers with the intercept `aᵢ = sᵢ + Jᵢ λᵢ` and the slope `Jᵢ` of its response
//! `Sᵢxᵢ(λ) ≈ aᵢ − Jᵢ λ`. Both add up over assets although each was asked at prices of its own, so that the coordinator holds
//! two running sums, replaces an asset's part by the difference to its last one, and always steps to the prices at which the sum
//! of models meets the bounds. This is an incremental Newton method (Rodomanov and Kropotov 2016, "A Superlinearly-Convergent
//! Proximal Newton-type Method for the Optimization of Finite Sums", NIM) on the dual of a piecewise quadratic problem: exact
//! once the active sets are found. An asset has at most one answer on its way.
//!
//! On fleets of few active local constraints it needs the fewest slots of all. On the published fleets, where most assets are at
//! bounds at first, the models of different prices contradict each other and it hardly settles: `docs/BENCHMARKS.md`.
//!
//! Far from the optimum an affine model holds only near the prices that it was made at, so that steps are damped: less when
//! prices moved clearly less than in the sweep before (a sweep: everyone has contributed anew), more when they did not.

use alloc::{vec, vec::Vec};

use super::{
    exchange::tolerance,
    layout::{Blocks, Curvature},
    method::{Method, MethodSettings, Progress, Tally, difference, norm},
    price_model::{PriceModel, spread},
    request::Question,
};
use crate::planning::{cholesky::dot, fleet::Couplings, message::MAX_SIGNAL};

/// The state of the method.
#[derive(Clone, Debug)]
pub struct Asynchronous {
    settings: MethodSettings,
    couplings: Couplings,
    prices: Vec<f64>,
    /// The prices when the last sweep ended, and how far they had moved in it.
    swept: Vec<f64>,
    moved: f64,
    /// How far the modelled shares moved in the last sweep.
    stirred: f64,
    /// Relative to the mean slope.
    damping: f64,
}

impl Asynchronous {
    pub(super) fn new(settings: MethodSettings, couplings: Couplings) -> Self {
        let prices = vec![0.0; couplings.len()];
        let (moved, stirred, damping) = (f64::INFINITY, f64::INFINITY, 1.0);
        Self { settings, couplings, swept: prices.clone(), prices, moved, stirred, damping }
    }

    /// Damps more unless the prices moved clearly less than in the sweep before.
    fn settle(&mut self, moved: f64) {
        let calmer = moved < 0.7 * self.moved;
        self.damping = if calmer { (0.7 * self.damping).max(1e-3) } else { (2.0 * self.damping).min(4.0) };
    }
}

impl Method for Asynchronous {
    fn question(&self) -> Question {
        let none = self.settings.curvature == Curvature::None;
        Question::Intercept { curvature: if none { Curvature::Diagonal } else { self.settings.curvature } }
    }

    fn prices(&self) -> &[f64] {
        &self.prices
    }

    fn rounds(&self) -> bool {
        false
    }

    fn advance(&mut self, sum: &Blocks, tally: Tally) -> Progress {
        let m = self.prices.len();
        // Members that were not heard yet are taken to be like those that were.
        let share = tally.members as f64 / tally.known.max(1) as f64;
        let mut slope = spread(self.question().layout(m).curvature, &sum.curvature, m, 0.0);
        slope.iter_mut().for_each(|entry| *entry *= share);
        let intercept: Vec<f64> = sum.share.iter().map(|sum| sum * share).collect();
        let model = PriceModel { intercept, slope };
        let mean = model.mean();
        let next = model.solve(&self.couplings, &self.prices, self.damping * mean);
        self.prices = next.iter().map(|price| price.clamp(-MAX_SIGNAL / 8.0, MAX_SIGNAL / 8.0)).collect();
        let change = difference(&self.prices, &self.swept);
        let sums = |vector: &[f64]| -> Vec<f64> {
            model.slope.chunks_exact(m).map(|row| dot(row, vector)).collect()
        };
        let (moved, stirred) = (norm(&change), norm(&sums(&change)));
        let modelled = difference(&model.intercept, &sums(&self.prices));
        // What damping leaves open counts too: prices that hardly move are not converged for that.
        let open: Vec<f64> = (modelled.iter().zip(self.couplings.as_slice()))
            .map(|(sum, coupling)| sum - coupling.project(*sum))
            .collect();
        let progress = Progress {
            primal: stirred.max(self.stirred).max(norm(&open)),
            dual: moved.max(self.moved),
            primal_tolerance: tolerance(&self.settings, m, &modelled),
            dual_tolerance: tolerance(&self.settings, m, &self.prices),
            // Two sweeps, since what arrives in the first may answer prices from before it.
            conclusive: tally.swept && tally.known == tally.members,
            rho: self.damping,
        };
        if tally.swept {
            self.settle(moved);
            (self.moved, self.stirred) = (moved, stirred);
            self.swept.clone_from(&self.prices);
        }
        progress
    }

    fn resume(&mut self, prices: &[f64]) {
        (self.prices, self.swept) = (prices.to_vec(), prices.to_vec());
        (self.moved, self.stirred, self.damping) = (f64::INFINITY, f64::INFINITY, 1.0);
    }
}
