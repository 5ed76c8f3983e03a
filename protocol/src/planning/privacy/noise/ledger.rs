//! What an asset has told, in zero-concentrated differential privacy (Bun, Steinke 2016), and what that is as (ε, δ).

use crate::{
    cbor::{self, ARRAY, Reader},
    planning::privacy::PrivacyError,
};

/// Amounts of ρ are whole multiples of 2⁻⁴⁰, rounded up: the ledger never shows less than was spent.
pub const RHO_STEPS: u64 = 1 << 40;

/// The sum of ρ over an asset's releases, held below a budget.
///
/// ρ-zCDP adds up over releases, each of which may depend on the ones before (Bun, Steinke 2016, lemma 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ledger {
    budget: u64,
    spent: u64,
    releases: u64,
}

impl Ledger {
    /// An empty ledger with a budget of ρ in steps of 2⁻⁴⁰.
    #[must_use]
    pub const fn new(budget: u64) -> Self {
        Self { budget, spent: 0, releases: 0 }
    }

    /// Books a release.
    ///
    /// # Errors
    /// [`PrivacyError::Spent`] when the budget does not cover it: nothing is booked, and nothing may be released.
    pub fn charge(&mut self, cost: u64) -> Result<(), PrivacyError> {
        let left = self.budget - self.spent;
        if cost > left {
            return Err(PrivacyError::Spent { cost, left });
        }
        self.spent += cost;
        self.releases += 1;
        Ok(())
    }

    /// ρ of all releases, in steps of 2⁻⁴⁰.
    #[must_use]
    pub const fn spent(&self) -> u64 {
        self.spent
    }

    /// The budget, in steps of 2⁻⁴⁰.
    #[must_use]
    pub const fn budget(&self) -> u64 {
        self.budget
    }

    /// How many releases were booked.
    #[must_use]
    pub const fn releases(&self) -> u64 {
        self.releases
    }

    /// ρ of all releases.
    #[must_use]
    pub fn rho(&self) -> f64 {
        self.spent as f64 / RHO_STEPS as f64
    }

    /// ε at this δ, of all releases together.
    #[must_use]
    pub fn epsilon(&self, delta: f64) -> f64 {
        epsilon(self.rho(), delta)
    }

    /// What the host keeps before a release leaves: `[spent, releases]`. A forgotten ledger spends twice.
    #[must_use]
    pub fn snapshot(&self) -> alloc::vec::Vec<u8> {
        let mut out = alloc::vec::Vec::with_capacity(19);
        cbor::put_head(&mut out, ARRAY, 2);
        cbor::put_uint(&mut out, self.spent);
        cbor::put_uint(&mut out, self.releases);
        out
    }

    /// Takes a snapshot back. A budget that was lowered meanwhile is spent.
    ///
    /// # Errors
    /// [`PrivacyError::Malformed`] when it is not a snapshot; nothing changes.
    pub fn restore(&mut self, snapshot: &[u8]) -> Result<(), PrivacyError> {
        let mut reader = Reader::new(snapshot);
        reader.array_of(2)?;
        let (spent, releases) = (reader.uint()?, reader.uint()?);
        reader.end()?;
        (self.spent, self.releases) = (spent, releases);
        self.budget = self.budget.max(spent);
        Ok(())
    }
}

/// The least ε, within numerical search, such that ρ-zCDP implies (ε, δ)-differential privacy.
///
/// Canonne, Kamath, Steinke 2020, proposition 12 and corollary 13: `δ = inf over α > 1 of exp((α − 1)(α ρ − ε)) (1 − 1/α)^α / (α − 1)`. Solved for ε, each α gives a
/// valid bound; the least of those that the search looks at is returned. Never above `ρ + 2 √(ρ ln 1/δ)` (Bun, Steinke 2016, proposition 1.3). Infinite unless
/// δ is in (0, 1).
#[must_use]
pub fn epsilon(rho: f64, delta: f64) -> f64 {
    if rho == 0.0 {
        return 0.0;
    }
    if !(rho > 0.0 && delta > 0.0 && delta < 1.0) {
        return f64::INFINITY;
    }
    let budget = -libm::log(delta);
    let at = |log_excess: f64| {
        let excess = libm::exp(log_excess);
        let alpha = 1.0 + excess;
        let rest = budget + alpha * libm::log1p(-1.0 / alpha) - log_excess;
        alpha * rho + rest / excess
    };
    // Golden-section search over ln(α − 1).
    const RATIO: f64 = 0.618_033_988_749_894_9;
    let (mut low, mut high) = (-14.0, 40.0);
    let mut best = rho + 2.0 * libm::sqrt(rho * budget);
    for _ in 0..120 {
        let width = RATIO * (high - low);
        let (left, right) = (high - width, low + width);
        let (at_left, at_right) = (at(left), at(right));
        best = best.min(at_left).min(at_right);
        if at_left < at_right {
            high = right;
        } else {
            low = left;
        }
    }
    best.max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epsilon_is_that_of_the_authors_program() {
        // cdp2adp.py of github.com/IBM/discrete-gaussian-differential-privacy, `cdp_eps(rho, delta)`, by the paper's authors.
        for (rho, delta, expected) in REFERENCE {
            let found = epsilon(rho, delta);
            assert!((found / expected - 1.0).abs() < 1e-9, "{rho}, {delta}: {found}, expected {expected}");
        }
    }

    const REFERENCE: [(f64, f64, f64); 6] = [
        (1e-4, 1e-5, 0.045_047_462_087_777_23),
        (0.025, 1e-6, 1.014_074_254_726_128),
        (0.5, 1e-6, 5.221_534_444_530_169),
        (1.0, 1e-9, 9.521_463_671_792_233),
        (10.0, 1e-6, 32.221_660_949_097_604),
        (100.0, 1e-6, 172.177_551_475_899_43),
    ];

    #[test]
    fn epsilon_is_never_above_the_older_bound_and_grows_with_rho() {
        for delta in [1e-3, 1e-6, 1e-12] {
            let mut last = 0.0;
            for rho in [1e-9, 1e-6, 1e-3, 0.1, 1.0, 7.0, 300.0] {
                let found = epsilon(rho, delta);
                assert!(found <= rho + 2.0 * libm::sqrt(-rho * libm::log(delta)));
                assert!(found >= last, "{rho}: {found} after {last}");
                last = found;
            }
        }
        assert_eq!(epsilon(0.0, 1e-6), 0.0);
        for (rho, delta) in [(1.0, 0.0), (1.0, 1.0), (1.0, f64::NAN), (-1.0, 0.5), (f64::NAN, 0.5)] {
            assert_eq!(epsilon(rho, delta), f64::INFINITY);
        }
    }

    #[test]
    fn a_spent_budget_books_nothing_more() {
        let mut ledger = Ledger::new(10);
        ledger.charge(7).unwrap();
        assert_eq!(ledger.charge(4), Err(PrivacyError::Spent { cost: 4, left: 3 }));
        assert_eq!((ledger.spent(), ledger.releases()), (7, 1));
        ledger.charge(3).unwrap();
        assert_eq!(ledger.charge(1), Err(PrivacyError::Spent { cost: 1, left: 0 }));
    }

    #[test]
    fn a_restarted_ledger_has_spent_the_same() {
        let mut ledger = Ledger::new(10);
        ledger.charge(7).unwrap();
        let mut again = Ledger::new(10);
        again.restore(&ledger.snapshot()).unwrap();
        assert_eq!(again, ledger);
        let mut less = Ledger::new(5);
        less.restore(&ledger.snapshot()).unwrap();
        assert_eq!(less.charge(1), Err(PrivacyError::Spent { cost: 1, left: 0 }));
        assert_eq!(ledger.restore(&[0x82, 0x01]).unwrap_err().reason(), "truncated");
        assert_eq!(ledger.spent(), 7);
    }
}
