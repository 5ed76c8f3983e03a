//! The dual from contributions of any age: every asset's last answer as an affine model of its response.
//!
//! An asset that was asked at prices `λᵢ` answers with an affine model `aᵢ − Jᵢ λ` of its response ([`Question::Intercept`]). Models
//! add up over assets although each was made at prices of its own, so that the coordinator holds two running sums, replaces an
//! asset's part by the difference to its last one, and always steps to the prices at which the sum of models keeps the couplings. An
//! asset has at most one answer on its way.
//!
//! What makes old models agree with young ones is which limits they hold active. With the active sets of the exact responses,
//! this is an incremental Newton method (Rodomanov and Kropotov 2016), and far from the optimum it cycles: most assets are at
//! bounds that have nothing to do with the optimum. Here
//!
//! 1. the first answer is that of the problem without the asset's own limits, and no step is taken before four in five members gave it:
//!    the prices that follow are those of an unlimited fleet, already near the optimum's;
//! 2. each further answer holds those limits active that a proximal step from what the last model foresaw would meet (ALADIN: the
//!    asset's side says how);
//! 3. the slope may be blended with the one without limits. That one is the steepest there can be, so with it alone the dual
//!    can only rise (it majorises), slowly; with none of it, steps are Newton's, exact once the active sets are found.
//!
//! The blend is nil unless prices cease to settle: when they moved hardly less than in the sweep before, it doubles, else it
//! falls (a sweep: everyone has contributed anew).

use alloc::{vec, vec::Vec};

use super::{
    exchange::tolerance,
    layout::{Blocks, Curvature},
    method::{Method, MethodSettings, Progress, Stir, Tally, difference, norm},
    price_model::{PriceModel, spread},
    request::Question,
};
use crate::planning::{cholesky::dot, fleet::Couplings, message::MAX_SIGNAL};

/// The weight of the proximal step: between 1 and 10 were measured to need about as many slots, at 0 and from 30 it cycles.
const PROXIMAL: f64 = 3.0;
/// The least blend but none.
const LEAST: f64 = 0.02;
/// Prices settle while they move by less than this part of what they moved in the sweep before; by as much the blend falls then.
const SETTLING: f64 = 0.7;

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
    /// Nothing is known: the problem without limits is asked for.
    cold: bool,
    /// Of the slope without limits.
    blend: f64,
}

impl Asynchronous {
    pub(super) fn new(settings: MethodSettings, couplings: Couplings) -> Self {
        let prices = vec![0.0; couplings.len()];
        let (moved, stirred) = (f64::INFINITY, f64::INFINITY);
        Self { settings, couplings, swept: prices.clone(), prices, moved, stirred, cold: true, blend: 0.0 }
    }

    /// Blends more unless the prices moved clearly less than in the sweep before.
    fn settle(&mut self, moved: f64) {
        if moved < SETTLING * self.moved {
            self.blend = if self.blend > LEAST { SETTLING * self.blend } else { 0.0 };
        } else {
            self.blend = (2.0 * self.blend).clamp(LEAST, 0.9);
        }
    }
}

impl Method for Asynchronous {
    fn question(&self) -> Question {
        let none = self.settings.curvature == Curvature::None;
        Question::Intercept {
            curvature: if none { Curvature::Diagonal } else { self.settings.curvature },
            blend: if self.cold { 1.0 } else { self.blend },
            proximal: PROXIMAL,
        }
    }

    fn prices(&self) -> &[f64] {
        &self.prices
    }

    fn rounds(&self) -> bool {
        false
    }

    fn ready(&self, tally: Tally) -> bool {
        5 * tally.known >= 4 * tally.members
    }

    fn advance(&mut self, sum: &Blocks, tally: Tally) -> Progress {
        let m = self.prices.len();
        // Members that were not heard yet are taken to be like those that were.
        let share = tally.members as f64 / tally.known.max(1) as f64;
        let mut slope = spread(self.question().layout(m).curvature, &sum.curvature, m, 0.0);
        slope.iter_mut().for_each(|entry| *entry *= share);
        // But where nobody responds to a price (whole requests), what is known is counted as it is: a price would only rise.
        let floor = 1e-3 * slope.iter().step_by(m + 1).sum::<f64>() / m as f64;
        let responds = |k: usize| slope[k * m + k] > floor;
        let intercept: Vec<f64> = (sum.share.iter().enumerate())
            .map(|(k, sum)| if responds(k) { sum * share } else { *sum })
            .collect();
        let model = PriceModel { intercept, slope };
        let next = model.solve(&self.couplings, &self.prices, 0.0);
        let next = next.iter().map(|price| price.clamp(-MAX_SIGNAL / 8.0, MAX_SIGNAL / 8.0)).collect();
        let before = core::mem::replace(&mut self.prices, next);
        let change = difference(&self.prices, &self.swept);
        let step = difference(&self.prices, &before);
        let sums = |vector: &[f64]| -> Vec<f64> {
            model.slope.chunks_exact(m).map(|row| dot(row, vector)).collect()
        };
        let (moved, stirred) = (norm(&change), norm(&sums(&change)));
        let modelled = difference(&model.intercept, &sums(&self.prices));
        // What a quantity that nobody gives leaves open counts too: prices that hardly move are not converged for that.
        let open: Vec<f64> = (modelled.iter().zip(self.couplings.as_slice()))
            .map(|(sum, coupling)| sum - coupling.project(*sum))
            .collect();
        let (primal_tolerance, dual_tolerance) =
            (tolerance(&self.settings, m, &modelled), tolerance(&self.settings, m, &self.prices));
        let in_tolerances = |shares: f64, prices: f64| {
            let most = (shares / primal_tolerance).max(prices / dual_tolerance);
            if most.is_finite() { most } else { f64::INFINITY }
        };
        // The first question was another one altogether.
        let stepped = if self.cold { f64::INFINITY } else { in_tolerances(norm(&sums(&step)), norm(&step)) };
        let last = if self.moved.is_finite() { in_tolerances(self.stirred, self.moved) } else { 0.0 };
        let progress = Progress {
            primal: stirred.max(self.stirred).max(norm(&open)),
            dual: moved.max(self.moved),
            primal_tolerance,
            dual_tolerance,
            // Two sweeps, since what arrives in the first may answer prices from before it.
            conclusive: tally.swept && tally.known == tally.members && !self.cold,
            rho: self.blend,
            stir: Some(Stir { step: stepped, sweep: last }),
        };
        // The first step is not judged: answers without limits say nothing of the optimum's own.
        let first = core::mem::replace(&mut self.cold, false);
        if first {
            self.swept.clone_from(&self.prices);
        } else if tally.swept {
            self.settle(moved);
            (self.moved, self.stirred) = (moved, stirred);
            self.swept.clone_from(&self.prices);
        }
        progress
    }

    fn resume(&mut self, prices: &[f64]) {
        (self.prices, self.swept) = (prices.to_vec(), prices.to_vec());
        (self.moved, self.stirred) = (f64::INFINITY, f64::INFINITY);
        (self.cold, self.blend) = (prices.iter().all(|price| *price == 0.0), 0.0);
    }
}
