//! Exchange ADMM with contributions of any age.
//!
//! As [`super::exchange`] with α = 1, but a step is taken with whatever arrived: an asset starts from its own last share,
//! `tᵢ = sᵢ − (s̄ − z̄) − u`, and the dual moves by the part of the fleet that arrived, `u' = u + (arrived/N)(s̄ − z̄)`. An asset
//! has at most one answer on its way: without that rule the stale shares of one asset are counted against it several times, and
//! the iteration diverges.

use alloc::{vec, vec::Vec};

use super::{
    exchange::tolerance,
    layout::Blocks,
    method::{Method, MethodSettings, Progress, Tally, difference, norm},
    request::Question,
};
use crate::planning::{fleet::Couplings, message::MAX_SIGNAL};

/// The state of the exchange.
#[derive(Clone, Debug)]
pub struct AsynchronousExchange {
    settings: MethodSettings,
    couplings: Couplings,
    members: f64,
    prices: Vec<f64>,
    shift: Vec<f64>,
    /// The sums when the last sweep ended, and how far they and the prices had moved in it.
    swept: (Vec<f64>, Vec<f64>),
    stirred: f64,
}

impl AsynchronousExchange {
    pub(super) fn new(settings: MethodSettings, couplings: Couplings, members: usize) -> Self {
        let zero = vec![0.0; couplings.len()];
        Self {
            settings,
            couplings,
            members: members as f64,
            prices: zero.clone(),
            shift: zero.clone(),
            swept: (zero.clone(), zero),
            stirred: f64::INFINITY,
        }
    }
}

impl Method for AsynchronousExchange {
    fn question(&self) -> Question {
        Question::Proximal { rho: self.settings.rho, shift: self.shift.clone() }
    }

    fn prices(&self) -> &[f64] {
        &self.prices
    }

    fn rounds(&self) -> bool {
        false
    }

    fn advance(&mut self, sum: &Blocks, tally: Tally) -> Progress {
        let (count, rho, m) = (self.members, self.settings.rho, self.prices.len());
        let part = tally.fresh as f64 / count;
        let limit = MAX_SIGNAL / 8.0;
        for (k, coupling) in self.couplings.as_slice().iter().enumerate() {
            let (mean, dual) = (sum.share[k] / count, self.prices[k] / rho);
            let apart = |dual: f64| mean - coupling.project(count * (mean + dual)) / count;
            let next = (dual + part * apart(dual)).clamp(-limit, limit);
            self.shift[k] = (next + apart(next)).clamp(-MAX_SIGNAL, MAX_SIGNAL);
            self.prices[k] = (rho * next).clamp(-MAX_SIGNAL, MAX_SIGNAL);
        }
        let violation: Vec<f64> = (sum.share.iter().zip(self.couplings.as_slice()))
            .map(|(sum, coupling)| sum - coupling.project(*sum))
            .collect();
        let moved = norm(&difference(&self.prices, &self.swept.1))
            + rho * norm(&difference(&sum.share, &self.swept.0));
        let progress = Progress {
            primal: norm(&violation),
            dual: moved.max(self.stirred),
            primal_tolerance: tolerance(&self.settings, m, &sum.share),
            dual_tolerance: tolerance(&self.settings, m, &self.prices),
            conclusive: tally.swept && tally.known == tally.members,
            rho,
            stir: None,
        };
        if tally.swept {
            self.swept = (sum.share.clone(), self.prices.clone());
            self.stirred = moved;
        }
        progress
    }

    fn resume(&mut self, prices: &[f64]) {
        self.prices = prices.to_vec();
        self.shift = prices.iter().map(|price| price / self.settings.rho).collect();
        self.stirred = f64::INFINITY;
    }
}
