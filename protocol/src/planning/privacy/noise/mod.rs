//! Local differential privacy of what an asset contributes: clipped, with discrete Gaussian noise, on a ledger.
//!
//! **Adjacency.** Two data sets of one asset are adjacent when they differ in anything at all: what the asset releases at one time is
//! protected whatever its problem is (replacement of the asset's whole data, the local model). Releases at different times add up on the
//! ledger.
//!
//! **Sensitivity.** A share is rounded to whole grains and then clipped, in integers, so the clipped integers themselves are within the stated bounds and rounding
//! adds nothing. With every entry within ±C of `m` entries, any two clipped shares are at most `Δ = 2 C √m` apart in the Euclidean norm, and within a ball of
//! radius R at most `Δ = 2 R`; the lesser counts.
//!
//! **Noise.** Independent discrete Gaussians of variance σ² on all entries give `Δ² / 2σ²`-zCDP (Canonne, Kamath, Steinke 2020, theorem 14). What is done with
//! the noisy share afterwards (masking, sums, clamping to the terms' bound, its change against the last one) costs nothing more.

mod budget;
mod ledger;
mod sampler;

use alloc::vec::Vec;

use rand_core::Rng;

use super::error::PrivacyError;
pub use budget::NoiseBudget;
pub use ledger::{Ledger, RHO_STEPS, epsilon};
pub use sampler::{DiscreteGaussian, MAX_VARIANCE};

/// The most bits of a grain.
pub const MAX_GRAIN_BITS: u32 = 40;
/// The greatest clip in grains.
pub const MAX_CLIP: u64 = 1 << 40;

/// What happens to an asset's part in the plan once its budget does not cover another release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenSpent {
    /// What it last contributed stays in the sum: the plan goes on with it, and the asset no longer answers prices.
    #[default]
    KeepLast,
    /// It withdraws by a share of zeros and leaves the plan. Zeros are the same whatever its data: they cost nothing.
    Leave,
}

/// Settings of the noise, public to all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoiseSettings {
    /// Noise and clipping are in grains of 2^`grain_bits` steps of a share.
    pub grain_bits: u32,
    /// The greatest magnitude of a clipped entry in grains, 1 to [`MAX_CLIP`].
    pub clip: u64,
    /// The greatest Euclidean norm of a clipped share in grains; `None` when only entries are clipped.
    pub norm: Option<u64>,
    /// By how many powers of two slopes are scaled up, so that the clip fits them as it fits shares: at most [`MAX_GRAIN_BITS`].
    pub slope_bits: u32,
    /// σ² in grains², 1 to [`MAX_VARIANCE`].
    pub variance: u64,
    /// The budget of ρ in steps of 2⁻⁴⁰ ([`RHO_STEPS`]).
    pub budget: u64,
    /// What happens when it is spent.
    pub when_spent: WhenSpent,
}

/// What an asset may contribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Release {
    /// The clipped share with noise, in steps.
    Noisy(Vec<i64>),
    /// The budget is spent: this happens, now and from now on.
    Spent(WhenSpent),
}

/// An asset's noise and its ledger.
#[derive(Clone, Debug)]
pub struct Mechanism {
    settings: NoiseSettings,
    gaussian: DiscreteGaussian,
    ledger: Ledger,
    cost: u64,
    entries: usize,
}

impl Mechanism {
    /// For shares of `entries` entries.
    ///
    /// # Errors
    /// [`PrivacyError::Terms`] when a setting is out of range.
    pub fn new(settings: NoiseSettings, entries: usize) -> Result<Self, PrivacyError> {
        let range = |field, found: u64, least: u64, most: u64| {
            let error = PrivacyError::Terms { field, found, least, most };
            if (least..=most).contains(&found) { Ok(()) } else { Err(error) }
        };
        range("grain_bits", settings.grain_bits.into(), 0, MAX_GRAIN_BITS.into())?;
        range("slope_bits", settings.slope_bits.into(), 0, MAX_GRAIN_BITS.into())?;
        range("clip", settings.clip, 1, MAX_CLIP)?;
        range("norm", settings.norm.unwrap_or(1), 1, MAX_CLIP)?;
        range("entries", entries as u64, 1, super::terms::MAX_ENTRIES as u64)?;
        let variance = settings.variance;
        let out = PrivacyError::Terms { field: "variance", found: variance, least: 1, most: MAX_VARIANCE };
        let gaussian = DiscreteGaussian::new(variance).ok_or(out)?;
        let cost = cost(sensitivity_squared(&settings, entries), variance);
        Ok(Self { settings, gaussian, ledger: Ledger::new(settings.budget), cost, entries })
    }

    /// Clips the share, adds noise and books it: or says that the budget is spent. The result is within ±`bound` steps.
    ///
    /// One call is one release: a contribution that is repeated repeats its bytes, and is not drawn again.
    ///
    /// # Errors
    /// [`PrivacyError::Entries`] when the share has another length.
    pub fn release<R: Rng + ?Sized>(
        &mut self,
        share: &[i64],
        bound: u64,
        rng: &mut R,
    ) -> Result<Release, PrivacyError> {
        if share.len() != self.entries {
            return Err(PrivacyError::Entries { found: share.len(), expected: self.entries });
        }
        if self.ledger.charge(self.cost).is_err() {
            return Ok(Release::Spent(self.settings.when_spent));
        }
        let bound = i128::from(bound);
        let grains = self.clip(share);
        let noisy = grains.into_iter().map(|grain| {
            let noisy = i128::from(grain) + i128::from(self.gaussian.sample(rng));
            (noisy << self.settings.grain_bits).clamp(-bound, bound) as i64
        });
        Ok(Release::Noisy(noisy.collect()))
    }

    /// The share in whole grains within the stated bounds: no two results are further apart than the sensitivity.
    fn clip(&self, share: &[i64]) -> Vec<i64> {
        let (bits, limit) = (self.settings.grain_bits, self.settings.clip as i128);
        let half = (1_i128 << bits) >> 1;
        let round = |steps: &i64| ((i128::from(*steps) + half) >> bits).clamp(-limit, limit);
        let mut grains: Vec<i128> = share.iter().map(round).collect();
        if let Some(norm) = self.settings.norm {
            // Entries are at most 2⁴⁰ and there are at most 2¹³: the sum of squares is at most 2⁹³.
            let square: u128 = grains.iter().map(|grain| grain.unsigned_abs().pow(2)).sum();
            if square > u128::from(norm).pow(2) {
                let root = square.isqrt();
                let length = (root + u128::from(root * root < square)) as i128;
                // Towards zero: never longer than the norm.
                grains.iter_mut().for_each(|grain| *grain = *grain * norm as i128 / length);
            }
        }
        grains.into_iter().map(|grain| grain as i64).collect()
    }

    /// Entries of a share.
    #[must_use]
    pub const fn entries(&self) -> usize {
        self.entries
    }

    /// By how many powers of two slopes are scaled up.
    #[must_use]
    pub const fn slope_bits(&self) -> u32 {
        self.settings.slope_bits
    }

    /// Whether the budget does not cover another release.
    #[must_use]
    pub const fn is_spent(&self) -> bool {
        self.ledger.budget() - self.ledger.spent() < self.cost
    }

    /// What happens then.
    #[must_use]
    pub const fn when_spent(&self) -> WhenSpent {
        self.settings.when_spent
    }

    /// What one release costs, in steps of 2⁻⁴⁰ of ρ.
    #[must_use]
    pub const fn cost(&self) -> u64 {
        self.cost
    }

    /// The ledger.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The same noise for shares of another length. What was spent stays spent.
    ///
    /// # Errors
    /// [`PrivacyError::Terms`] when there are no entries, or too many.
    pub fn resized(&self, entries: usize) -> Result<Self, PrivacyError> {
        let ledger = self.ledger;
        Ok(Self { ledger, ..Self::new(self.settings, entries)? })
    }

    /// The ledger, to take a snapshot back.
    pub const fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }
}

/// Δ² in grains².
fn sensitivity_squared(settings: &NoiseSettings, entries: usize) -> u128 {
    let by_entry = entries as u128 * (2 * u128::from(settings.clip)).pow(2);
    settings.norm.map_or(by_entry, |norm| by_entry.min((2 * u128::from(norm)).pow(2)))
}

/// ρ = Δ² / 2σ², rounded up to steps of 2⁻⁴⁰.
fn cost(sensitivity_squared: u128, variance: u64) -> u64 {
    // Δ² is at most 2⁹⁵, so it is divided before it is scaled where it would not fit.
    let double = 2 * u128::from(variance);
    let (whole, part) = (sensitivity_squared / double, sensitivity_squared % double);
    let fraction = (part * u128::from(RHO_STEPS)).div_ceil(double);
    let steps = whole.saturating_mul(u128::from(RHO_STEPS)).saturating_add(fraction);
    u64::try_from(steps).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    const SETTINGS: NoiseSettings = NoiseSettings {
        grain_bits: 10,
        clip: 100,
        norm: None,
        slope_bits: 0,
        variance: 400,
        budget: 1000 * RHO_STEPS,
        when_spent: WhenSpent::KeepLast,
    };

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(9)
    }

    #[test]
    fn a_release_costs_the_squared_sensitivity_over_twice_the_variance() {
        // Δ² = 3 (2 × 100)² = 120,000; ρ = 120,000 / 800 = 150.
        assert_eq!(Mechanism::new(SETTINGS, 3).unwrap().cost(), 150 * RHO_STEPS);
        // In a ball of radius 10, Δ² = 400 and ρ = 1/2.
        let ball = NoiseSettings { norm: Some(10), ..SETTINGS };
        assert_eq!(Mechanism::new(ball, 3).unwrap().cost(), RHO_STEPS / 2);
        // A ball that is wider than the box does not count.
        assert_eq!(
            Mechanism::new(NoiseSettings { norm: Some(1000), ..SETTINGS }, 3).unwrap().cost(),
            150 * RHO_STEPS
        );
        // Rounded up, and never wrapped.
        assert_eq!(cost(1, 3), RHO_STEPS / 6 + 1);
        assert_eq!(cost(1 << 93, 1), u64::MAX);
    }

    #[test]
    fn a_spent_budget_stops_contributions_and_says_so() {
        for when_spent in [WhenSpent::KeepLast, WhenSpent::Leave] {
            let settings = NoiseSettings { budget: 320 * RHO_STEPS, when_spent, ..SETTINGS };
            let mut mechanism = Mechanism::new(settings, 3).unwrap();
            for _ in 0..2 {
                let release = mechanism.release(&[1, 2, 3], 1 << 40, &mut rng()).unwrap();
                assert!(matches!(release, Release::Noisy(_)));
            }
            for _ in 0..3 {
                let release = mechanism.release(&[1, 2, 3], 1 << 40, &mut rng()).unwrap();
                assert_eq!(release, Release::Spent(when_spent));
            }
            assert_eq!((mechanism.ledger().rho(), mechanism.ledger().releases()), (300.0, 2));
        }
    }

    #[test]
    fn noise_has_the_stated_variance_in_whole_grains() {
        let settings = NoiseSettings { budget: u64::MAX, norm: Some(1), ..SETTINGS };
        let mut mechanism = Mechanism::new(settings, 4000).unwrap();
        let Release::Noisy(noisy) = mechanism.release(&vec![0; 4000], u64::MAX >> 1, &mut rng()).unwrap()
        else {
            panic!("within the budget")
        };
        assert!(noisy.iter().all(|steps| steps % 1024 == 0));
        let square: f64 = noisy.iter().map(|steps| (*steps as f64 / 1024.0) * (*steps as f64 / 1024.0)).sum();
        let variance = square / 4000.0;
        assert!((variance / 400.0 - 1.0).abs() < 3.3 * libm::sqrt(2.0 / 4000.0), "{variance}");
    }

    #[test]
    fn what_is_released_stays_within_the_terms_bound() {
        let mut mechanism = Mechanism::new(NoiseSettings { budget: u64::MAX, ..SETTINGS }, 2).unwrap();
        for _ in 0..50 {
            let Release::Noisy(noisy) =
                mechanism.release(&[i64::MAX, i64::MIN], 100_000, &mut rng()).unwrap()
            else {
                panic!("within the budget")
            };
            assert!(noisy.iter().all(|steps| steps.unsigned_abs() <= 100_000));
        }
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        for settings in [
            NoiseSettings { grain_bits: 41, ..SETTINGS },
            NoiseSettings { clip: 0, ..SETTINGS },
            NoiseSettings { clip: MAX_CLIP + 1, ..SETTINGS },
            NoiseSettings { norm: Some(0), ..SETTINGS },
            NoiseSettings { variance: 0, ..SETTINGS },
            NoiseSettings { variance: MAX_VARIANCE + 1, ..SETTINGS },
        ] {
            assert_eq!(Mechanism::new(settings, 3).unwrap_err().reason(), "terms");
        }
        assert!(Mechanism::new(SETTINGS, 0).is_err());
        let mut mechanism = Mechanism::new(SETTINGS, 3).unwrap();
        assert_eq!(mechanism.release(&[0; 2], 1, &mut rng()).unwrap_err().reason(), "entries");
        assert_eq!(mechanism.ledger().spent(), 0, "a refusal costs nothing");
    }

    proptest! {
        #[test]
        fn no_two_clipped_shares_are_further_apart_than_the_sensitivity(
            a in prop::collection::vec(any::<i64>(), 5), b in prop::collection::vec(any::<i64>(), 5),
            shift in 0..60_u32, grain_bits in 0..41_u32, clip in 1..=MAX_CLIP, norm in prop::option::of(1..=MAX_CLIP),
        ) {
            let settings = NoiseSettings { grain_bits, clip, norm, ..SETTINGS };
            let mechanism = Mechanism::new(settings, 5).unwrap();
            let near: Vec<i64> = a.iter().map(|value| value >> shift).collect();
            let opposite: Vec<i64> = near.iter().map(|value| value.wrapping_neg()).collect();
            for (one, other) in [(&a, &b), (&near, &opposite), (&near, &b)] {
                let apart = mechanism.clip(one).iter().zip(mechanism.clip(other))
                    .map(|(x, y)| u128::from(x.abs_diff(y)).pow(2)).sum::<u128>();
                prop_assert!(apart <= sensitivity_squared(&settings, 5));
            }
        }

        #[test]
        fn a_share_within_the_bounds_is_only_rounded(share in prop::collection::vec(-100_000..100_000_i64, 3)) {
            let mechanism = Mechanism::new(SETTINGS, 3).unwrap();
            for (grain, steps) in mechanism.clip(&share).iter().zip(&share) {
                prop_assert!((grain * 1024 - steps).abs() <= 512);
            }
        }
    }
}
