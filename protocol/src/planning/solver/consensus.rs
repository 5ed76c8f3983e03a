//! Consensus ADMM (Boyd et al. 2011 §7.1) on prices: every asset keeps a copy of λ, and the fleet agrees on one.
//!
//! The dual of the fleet's problem is `min Σ −gᵢ(λᵢ) + σ(λ)` with all `λᵢ = λ`, where σ is the support function of the bounds
//! (compare Chang, Hong and Wang 2015, "Multi-Agent Distributed Optimization via Inexact Consensus ADMM"). With penalty 1/ρ on
//! prices an asset's step is, by duality, a problem of its own variables: with `yᵢ` its multiplier,
//!
//! ```text
//! xᵢ = argmin fᵢ(x) + λᵀS x + ρ/2 ‖S x − yᵢ‖²      λᵢ = λ + ρ (S xᵢ − yᵢ)      λ̂ᵢ = α λᵢ + (1 − α) λ
//! λ' = argmin σ(λ) + N/2ρ ‖λ − v̄‖²,  v̄ = mean of λ̂ᵢ + ρ yᵢ                     yᵢ' = yᵢ + (λ̂ᵢ − λ')/ρ
//! ```
//!
//! The coordinator needs the sum of `λ̂ᵢ + ρ yᵢ`, and of `‖λᵢ − λ‖²` to know when to stop.

use alloc::{vec, vec::Vec};

use super::{
    exchange::Penalty,
    layout::Blocks,
    method::{Method, MethodSettings, Progress, Tally, difference, norm, power_of_two},
    request::Question,
};
use crate::planning::{fleet::Couplings, message::MAX_SIGNAL};

/// The state of the consensus.
#[derive(Clone, Debug)]
pub struct Consensus {
    settings: MethodSettings,
    couplings: Couplings,
    members: f64,
    rho: f64,
    prices: Vec<f64>,
    unit: f64,
    /// Whether the last step had everyone.
    calm: bool,
    penalty: Penalty,
}

impl Consensus {
    pub(super) fn new(settings: MethodSettings, couplings: Couplings, members: usize) -> Self {
        let prices = vec![0.0; couplings.len()];
        let (members, rho) = (members as f64, settings.rho);
        Self { settings, couplings, members, rho, prices, unit: 1.0, calm: true, penalty: Penalty::default() }
    }
}

impl Method for Consensus {
    fn question(&self) -> Question {
        Question::Consensus { rho: self.rho, relaxation: self.settings.relaxation }
    }

    fn prices(&self) -> &[f64] {
        &self.prices
    }

    fn unit(&self) -> f64 {
        self.unit
    }

    fn advance(&mut self, sum: &Blocks, tally: Tally) -> Progress {
        let (count, rho) = (self.members, self.rho);
        let mean: Vec<f64> = sum.share.iter().map(|sum| sum / count).collect();
        // The proximal map of σ by Moreau's identity: v − ρ/N · clip(N v / ρ).
        let prices: Vec<f64> = (mean.iter().zip(self.couplings.as_slice()))
            .map(|(v, coupling)| v - rho / count * coupling.project(count * v / rho))
            .map(|price| price.clamp(-MAX_SIGNAL / 8.0, MAX_SIGNAL / 8.0))
            .collect();
        let moved = libm::sqrt(count) * norm(&difference(&prices, &self.prices)) / rho;
        let apart = libm::sqrt(sum.squares[0].max(0.0)) * self.unit;
        let demand: Vec<f64> = difference(&mean, &prices).iter().map(|part| part / rho).collect();
        let absolute = libm::sqrt(count * prices.len() as f64) * self.settings.eps_abs;
        let (price_scale, share_scale) =
            (libm::sqrt(count) * norm(&prices), libm::sqrt(count) * norm(&demand));
        let progress = Progress {
            primal: apart,
            dual: moved,
            primal_tolerance: absolute + self.settings.eps_rel * price_scale,
            dual_tolerance: absolute + self.settings.eps_rel * share_scale,
            conclusive: tally.whole() && self.calm,
            rho,
            stir: None,
        };
        self.calm = tally.whole();
        self.prices = prices;
        self.unit = power_of_two(apart);
        if tally.whole() {
            let floor = self.settings.eps_abs;
            let (primal, dual) = (apart / price_scale.max(floor), moved / share_scale.max(floor));
            // The penalty on prices is 1/ρ: what would raise it lowers ρ.
            self.rho /= self.penalty.factor(&self.settings, 1.0 / rho, primal, dual);
        }
        progress
    }

    fn resume(&mut self, prices: &[f64]) {
        self.prices = prices.to_vec();
        (self.unit, self.calm, self.penalty) = (1.0, false, Penalty::default());
    }
}
