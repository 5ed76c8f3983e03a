//! Exchange ADMM (Boyd et al. 2011 §7.3) for general couplings, from sums alone.
//!
//! The fleet's constraint set is `{z : Σ zᵢ within the bounds}`, whose projection moves every `zᵢ` by the same vector. With
//! relaxation α, means written s̄, and `ŝᵢ = α sᵢ + (1 − α) zᵢ`:
//!
//! ```text
//! z̄' = clip(ŝ̄ + u)      u' = u + ŝ̄ − z̄'      zᵢ' = ŝᵢ − ŝ̄ + z̄'      tᵢ' = zᵢ' − u' = α sᵢ + (1 − α) tᵢ − w
//! w  = (u' − u) − (1 − α) u + u'                (the last u' in the next round's scale)
//! ```
//!
//! so that an asset needs `w`, and the coordinator the sums of `sᵢ`, `‖sᵢ‖²` and `‖sᵢ − zᵢ‖²`. After a round with stale shares
//! α is 1 for two rounds: then `tᵢ'` depends on nothing that a missing member did not do.

use alloc::{vec, vec::Vec};

use super::{
    layout::Blocks,
    method::{Method, MethodSettings, Progress, Tally, norm, power_of_two},
    request::Question,
};
use crate::planning::{fleet::Couplings, message::MAX_SIGNAL};

const CALM: u32 = 2;

/// The state of the exchange.
#[derive(Clone, Debug)]
pub struct Exchange {
    settings: MethodSettings,
    couplings: Couplings,
    members: f64,
    rho: f64,
    /// The relaxation of the last step.
    relaxation: f64,
    /// The scaled dual `u`.
    dual: Vec<f64>,
    /// `z̄`.
    mean: Vec<f64>,
    prices: Vec<f64>,
    shift: Vec<f64>,
    unit: f64,
    calm: u32,
    penalty: Penalty,
}

/// When ρ changes.
#[derive(Clone, Debug, Default)]
pub(super) struct Penalty {
    steps: u32,
    changes: u32,
    last: u32,
}

impl Penalty {
    /// Boyd et al. 2011, equation (3.13), on residuals relative to their scales: the factor by which ρ changes.
    pub(super) fn factor(&mut self, settings: &MethodSettings, rho: f64, primal: f64, dual: f64) -> f64 {
        self.steps += 1;
        let Some(adaptation) = settings.adaptation else { return 1.0 };
        if self.changes >= adaptation.limit || self.steps - self.last < adaptation.every {
            return 1.0;
        }
        let factor = if primal > adaptation.ratio * dual {
            adaptation.factor
        } else if dual > adaptation.ratio * primal {
            1.0 / adaptation.factor
        } else {
            return 1.0;
        };
        if !(1e-9..=1e9).contains(&(rho * factor)) {
            return 1.0;
        }
        self.changes += 1;
        self.last = self.steps;
        factor
    }
}

impl Exchange {
    pub(super) fn new(settings: MethodSettings, couplings: Couplings, members: usize) -> Self {
        let zero = vec![0.0; couplings.len()];
        Self {
            settings,
            couplings,
            members: members as f64,
            rho: settings.rho,
            relaxation: 1.0,
            dual: zero.clone(),
            mean: zero.clone(),
            prices: zero.clone(),
            shift: zero,
            unit: 1.0,
            calm: CALM,
            penalty: Penalty::default(),
        }
    }

    /// The residuals after the step to `u + moved` (Boyd et al. 2011 §3.3, with `z` within the bounds).
    fn progress(&self, sum: &Blocks, mean: &[f64], moved: &[f64], next: &[f64]) -> (Progress, f64, f64) {
        let count = self.members;
        let [shares, steps] =
            [sum.squares[0], sum.squares[1]].map(|square| square.max(0.0) * self.unit * self.unit);
        // ‖sᵢ − zᵢ − (u' − u)‖² over all members, from Σ ‖sᵢ − zᵢ‖² and Σ (sᵢ − zᵢ).
        let cross: f64 =
            (mean.iter().zip(&self.mean).zip(moved)).map(|((s, z), moved)| (s - z) * moved).sum();
        let dual = steps - 2.0 * count * cross + count * moved.iter().map(|moved| moved * moved).sum::<f64>();
        let apart: f64 = mean.iter().zip(next).map(|(s, z)| (s - z) * (s - z)).sum();
        let (primal_scale, prices) =
            (libm::sqrt(shares), self.dual.iter().zip(moved).map(|(u, moved)| u + moved));
        let dual_scale = self.rho * libm::sqrt(count * prices.map(|u| u * u).sum::<f64>());
        let absolute = libm::sqrt(count * self.dual.len() as f64) * self.settings.eps_abs;
        let progress = Progress {
            primal: libm::sqrt(count * apart),
            dual: self.rho * libm::sqrt(dual.max(0.0)),
            primal_tolerance: absolute + self.settings.eps_rel * primal_scale,
            dual_tolerance: absolute + self.settings.eps_rel * dual_scale,
            conclusive: false,
            rho: self.rho,
            stir: None,
        };
        (progress, primal_scale, dual_scale)
    }
}

impl Method for Exchange {
    fn question(&self) -> Question {
        Question::Exchange { rho: self.rho, relaxation: self.relaxation, shift: self.shift.clone() }
    }

    fn prices(&self) -> &[f64] {
        &self.prices
    }

    fn unit(&self) -> f64 {
        self.unit
    }

    fn advance(&mut self, sum: &Blocks, tally: Tally) -> Progress {
        let count = self.members;
        self.calm = if tally.whole() { (self.calm + 1).min(CALM) } else { 0 };
        let alpha = if self.calm >= CALM { self.settings.relaxation } else { 1.0 };
        let mean: Vec<f64> = sum.share.iter().map(|sum| sum / count).collect();
        let relaxed: Vec<f64> =
            mean.iter().zip(&self.mean).map(|(s, z)| alpha * s + (1.0 - alpha) * z).collect();
        let clip = |(k, value): (usize, f64)| self.couplings.as_slice()[k].project(value * count) / count;
        let next: Vec<f64> =
            relaxed.iter().zip(&self.dual).map(|(s, u)| s + u).enumerate().map(clip).collect();
        let moved: Vec<f64> = relaxed.iter().zip(&next).map(|(s, z)| s - z).collect();
        let nearest: Vec<f64> = mean.iter().copied().enumerate().map(clip).collect();
        let (mut progress, primal_scale, dual_scale) = self.progress(sum, &mean, &moved, &nearest);
        progress.conclusive = tally.whole() && self.calm >= CALM;
        let factor = if tally.whole() {
            let floor = self.settings.eps_abs;
            let (primal, dual) =
                (progress.primal / primal_scale.max(floor), progress.dual / dual_scale.max(floor));
            self.penalty.factor(&self.settings, self.rho, primal, dual)
        } else {
            1.0
        };
        let limit = MAX_SIGNAL / 8.0;
        for (k, moved) in moved.iter().enumerate() {
            let before = self.dual[k];
            let after = (before + moved).clamp(-limit, limit);
            self.dual[k] = (after / factor).clamp(-limit, limit);
            self.shift[k] = (moved - (1.0 - alpha) * before + self.dual[k]).clamp(-MAX_SIGNAL, MAX_SIGNAL);
        }
        (self.mean, self.relaxation) = (next, alpha);
        self.rho *= factor;
        self.prices = self.dual.iter().map(|u| (self.rho * u).clamp(-MAX_SIGNAL, MAX_SIGNAL)).collect();
        self.unit = power_of_two(progress.dual / self.rho);
        progress
    }

    fn resume(&mut self, prices: &[f64]) {
        // With α = 1 assets start from t' = s − w: w = u repeats the prices.
        self.dual = prices.iter().map(|price| price / self.rho).collect();
        self.shift.clone_from(&self.dual);
        self.prices = prices.to_vec();
        self.relaxation = 1.0;
        self.mean.fill(0.0);
        (self.calm, self.unit, self.penalty) = (0, 1.0, Penalty::default());
    }
}

/// The absolute and relative tolerance of a vector of `m` entries with that norm.
pub(super) fn tolerance(settings: &MethodSettings, m: usize, vector: &[f64]) -> f64 {
    libm::sqrt(m as f64) * settings.eps_abs + settings.eps_rel * norm(vector)
}
