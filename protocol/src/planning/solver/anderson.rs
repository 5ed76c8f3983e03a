//! Exchange ADMM with Anderson acceleration, whose Gram matrix is a sum over assets.
//!
//! The exchange is a fixed-point iteration of `wᵢ = zᵢ + u` (Douglas-Rachford): with `u = w̄ − clip(w̄)` and `zᵢ = wᵢ − u`,
//!
//! ```text
//! sᵢ = S argmin fᵢ(x) + ρ/2 ‖S x − (zᵢ − u)‖²        T(w)ᵢ = wᵢ + rᵢ,  rᵢ = α (sᵢ − zᵢ)
//! ```
//!
//! Every asset holds its own `wᵢ`, remembers its last steps `T(w)ᵢ`, and answers `T(w)ᵢ` with the inner products of `rᵢ` and the
//! remembered residuals. Their sums are the Gram matrix of the whole fleet's residuals, from which the coordinator computes the
//! weights of type-II Anderson acceleration (Walker and Ni 2011), regularised; every asset mixes its own steps with them.
//!
//! Safeguard (after Zhang, O'Donoghue and Boyd 2020): after an accelerated step whose residual is larger than the last plain one,
//! the memory is cleared and plain steps are made until it has filled again. Anything but a whole round clears it too.

use alloc::{collections::VecDeque, vec, vec::Vec};

use super::{
    exchange::tolerance,
    layout::Blocks,
    method::{Method, MethodSettings, Progress, Tally, norm, power_of_two},
    request::Question,
};
use crate::planning::{cholesky, fleet::Couplings, message::MAX_SIGNAL};

/// The state of the iteration.
#[derive(Clone, Debug)]
pub struct Anderson {
    settings: MethodSettings,
    couplings: Couplings,
    members: f64,
    /// `w̄` of the question in force.
    mean: Vec<f64>,
    /// `u`.
    dual: Vec<f64>,
    prices: Vec<f64>,
    /// Of remembered rounds, newest first: the mean of `T(w)`, and the inner products with the older ones.
    steps: VecDeque<(Vec<f64>, Vec<f64>)>,
    weights: Vec<f64>,
    unit: f64,
    /// The residual that an accelerated step must not exceed.
    guard: f64,
}

impl Anderson {
    pub(super) fn new(settings: MethodSettings, couplings: Couplings, members: usize) -> Self {
        let zero = vec![0.0; couplings.len()];
        Self {
            settings,
            couplings,
            members: members as f64,
            mean: zero.clone(),
            dual: zero.clone(),
            prices: zero,
            steps: VecDeque::new(),
            weights: Vec::new(),
            unit: 1.0,
            guard: f64::INFINITY,
        }
    }

    /// The weights of the remembered steps, newest first, that minimise `‖Σ γⱼ rⱼ‖` with `Σ γⱼ = 1`.
    fn mix(&self) -> Vec<f64> {
        let count = self.steps.len();
        let mut gram = vec![0.0; count * count];
        for (j, (_, products)) in self.steps.iter().enumerate() {
            for (k, product) in products.iter().take(count - j).enumerate() {
                gram[j * count + j + k] = *product;
                gram[(j + k) * count + j] = *product;
            }
        }
        // Scaled to a unit diagonal: old residuals are orders of magnitude larger than new ones.
        let scale: Vec<f64> = (0..count).map(|j| libm::sqrt(gram[j * count + j].max(1e-300))).collect();
        for j in 0..count {
            for k in 0..count {
                gram[j * count + k] /= scale[j] * scale[k];
            }
            gram[j * count + j] += 1e-8;
        }
        if cholesky::factor(&mut gram, count, 0.0).is_err() {
            return vec![1.0];
        }
        let mut weights: Vec<f64> = scale.iter().map(|scale| 1.0 / scale).collect();
        cholesky::solve(&gram, count, &mut weights);
        weights.iter_mut().zip(&scale).for_each(|(weight, scale)| *weight /= scale);
        let total: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= total);
        // Weights without bound come from residuals that are almost dependent.
        if weights.iter().all(|weight| weight.abs() <= 1e4) { weights } else { vec![1.0] }
    }

    fn set_mean(&mut self, mean: Vec<f64>) {
        let (count, rho) = (self.members, self.settings.rho);
        for (k, coupling) in self.couplings.as_slice().iter().enumerate() {
            let dual = mean[k] - coupling.project(count * mean[k]) / count;
            self.dual[k] = dual.clamp(-MAX_SIGNAL / 8.0, MAX_SIGNAL / 8.0);
            self.prices[k] = (rho * self.dual[k]).clamp(-MAX_SIGNAL, MAX_SIGNAL);
        }
        self.mean = mean;
    }

    fn progress(&self, sum: &Blocks, stepped: &[f64], residual: f64, tally: Tally) -> Progress {
        let (count, rho, alpha) = (self.members, self.settings.rho, self.settings.relaxation);
        // s̄ = z̄ + (T(w) − w)/α in the mean, z̄ = w̄ − u.
        let apart: f64 = (0..stepped.len())
            .map(|k| {
                let share = self.mean[k] - self.dual[k] + (stepped[k] - self.mean[k]) / alpha;
                share - self.couplings.as_slice()[k].project(count * share) / count
            })
            .map(|apart| apart * apart)
            .sum();
        let shares = libm::sqrt(sum.squares[0].max(0.0)) * self.unit;
        let absolute = libm::sqrt(count) * tolerance(&self.settings, stepped.len(), &[]);
        Progress {
            primal: libm::sqrt(count * apart),
            dual: rho * residual / alpha,
            primal_tolerance: absolute + self.settings.eps_rel * shares,
            dual_tolerance: absolute + self.settings.eps_rel * libm::sqrt(count) * norm(&self.prices),
            conclusive: tally.whole() && !self.weights.is_empty(),
            rho,
            stir: None,
        }
    }
}

impl Method for Anderson {
    fn question(&self) -> Question {
        Question::Anderson {
            rho: self.settings.rho,
            relaxation: self.settings.relaxation,
            memory: self.settings.memory,
            weights: self.weights.clone(),
        }
    }

    fn prices(&self) -> &[f64] {
        &self.prices
    }

    fn unit(&self) -> f64 {
        self.unit
    }

    fn advance(&mut self, sum: &Blocks, tally: Tally) -> Progress {
        let stepped: Vec<f64> = sum.share.iter().map(|sum| sum / self.members).collect();
        let square = self.unit * self.unit;
        let residual = libm::sqrt(sum.squares[1].max(0.0)) * self.unit;
        let progress = self.progress(sum, &stepped, residual, tally);
        let accelerated = self.weights.len() > 1;
        // The first answers start from the prices, which is no step of the iteration.
        let kept = tally.whole() && !self.weights.is_empty() && !(accelerated && residual > self.guard);
        if kept {
            let products = sum.squares[1..].iter().map(|product| product * square).collect();
            self.steps.push_front((stepped.clone(), products));
            self.steps.truncate(self.settings.memory + 1);
            if !accelerated {
                self.guard = residual;
            }
        } else {
            self.steps.clear();
        }
        self.weights = if self.steps.len() > 1 { self.mix() } else { vec![1.0] };
        let mean = if self.weights.len() > 1 {
            let mut mean = vec![0.0; stepped.len()];
            for (weight, (step, _)) in self.weights.iter().zip(&self.steps) {
                mean.iter_mut().zip(step).for_each(|(mean, step)| *mean += weight * step);
            }
            mean
        } else {
            stepped
        };
        self.set_mean(mean);
        self.unit = power_of_two(residual);
        progress
    }

    fn resume(&mut self, prices: &[f64]) {
        let dual: Vec<f64> = prices.iter().map(|price| price / self.settings.rho).collect();
        (self.mean, self.dual, self.prices) = (dual.clone(), dual, prices.to_vec());
        self.steps.clear();
        self.weights.clear();
        (self.unit, self.guard) = (1.0, f64::INFINITY);
    }
}
