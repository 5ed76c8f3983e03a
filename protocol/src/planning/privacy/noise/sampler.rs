//! The discrete Gaussian distribution, sampled exactly (Canonne, Kamath, Steinke 2020, "The Discrete Gaussian for Differential Privacy", §5).
//!
//! Every step is a comparison of integers with uniform integers: no float decides anything, so the distribution is the
//! stated one and not near it. How long a draw takes depends on what is drawn; who can time an asset to the microsecond learns of its noise.

use rand_core::Rng;

/// The greatest variance: the arithmetic of a draw stays within 128 bits.
pub const MAX_VARIANCE: u64 = 1 << 40;

/// The distribution on the integers with probability proportional to `exp(−x² / 2 σ²)`. Its variance is at most σ².
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiscreteGaussian {
    variance: u64,
    /// ⌊σ⌋ + 1: the scale of the Laplace distribution that is drawn from and thinned out.
    scale: u64,
}

impl DiscreteGaussian {
    /// With σ² = `variance`; `None` unless that is in 1..=[`MAX_VARIANCE`].
    #[must_use]
    pub fn new(variance: u64) -> Option<Self> {
        let valid = (1..=MAX_VARIANCE).contains(&variance);
        valid.then(|| Self { variance, scale: variance.isqrt() + 1 })
    }

    /// σ².
    #[must_use]
    pub const fn variance(&self) -> u64 {
        self.variance
    }

    /// Draws one integer (algorithm 3). Takes a few tens of random words on average; the random source must be a cryptographic one.
    pub fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> i64 {
        let (variance, scale) = (u128::from(self.variance), u128::from(self.scale));
        loop {
            let candidate = laplace(rng, self.scale);
            // exp(−(|y| − σ²/t)² / 2σ²) = exp(−(|y| t − σ²)² / 2σ²t²).
            let distance = (u128::from(candidate.unsigned_abs()) * scale).abs_diff(variance);
            // Beyond 64 bits |y| is more than 2²² scales away; a draw that far has probability below exp(−2²²) and is drawn again.
            let Some(square) = distance.checked_mul(distance) else { continue };
            if bernoulli_exp(rng, square, 2 * variance * scale * scale) {
                return candidate;
            }
        }
    }
}

/// The distribution on the integers with probability proportional to `exp(−|x| / scale)` (algorithm 2).
fn laplace<R: Rng + ?Sized>(rng: &mut R, scale: u64) -> i64 {
    loop {
        let remainder = below(rng, scale.into());
        if !bernoulli_exp(rng, remainder, scale.into()) {
            continue;
        }
        let mut quotient = 0_u64;
        while bernoulli_exp(rng, 1, 1) {
            quotient += 1;
        }
        let negative = rng.next_u32() & 1 == 1;
        // The quotient is geometric, and the scale at most 2²⁰ + 1: no draw of this universe overflows.
        let magnitude =
            (remainder as u64).saturating_add(quotient.saturating_mul(scale)).min(i64::MAX as u64) as i64;
        // Zero has one sign.
        if !(negative && magnitude == 0) {
            return if negative { -magnitude } else { magnitude };
        }
    }
}

/// True with probability `exp(−numerator / denominator)` (algorithm 1). The denominator is below 2⁹⁶.
fn bernoulli_exp<R: Rng + ?Sized>(rng: &mut R, numerator: u128, denominator: u128) -> bool {
    for _ in 0..numerator / denominator {
        if !bernoulli_exp_fraction(rng, 1, 1) {
            return false;
        }
    }
    bernoulli_exp_fraction(rng, numerator % denominator, denominator)
}

/// The same for a fraction of at most 1: the parity of how long a run of shrinking chances lasts.
fn bernoulli_exp_fraction<R: Rng + ?Sized>(rng: &mut R, numerator: u128, denominator: u128) -> bool {
    let mut trials = 1_u128;
    while below(rng, denominator * trials) < numerator {
        trials += 1;
    }
    trials % 2 == 1
}

/// A uniform integer below `bound`, which is not 0: bits, drawn again when they are too many.
fn below<R: Rng + ?Sized>(rng: &mut R, bound: u128) -> u128 {
    let bits = u128::BITS - (bound - 1).leading_zeros();
    if bits == 0 {
        return 0;
    }
    let mask = u128::MAX >> (u128::BITS - bits);
    loop {
        let high = if bits > 64 { rng.next_u64() } else { 0 };
        let drawn = (u128::from(high) << 64 | u128::from(rng.next_u64())) & mask;
        if drawn < bound {
            return drawn;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{vec, vec::Vec};
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    const DRAWS: usize = 200_000;

    /// Pearson's statistic of draws against probabilities `weight(x) / Σ weight`, over −reach..=reach, each with the tail beyond it at the ends.
    fn chi_square(draws: impl Iterator<Item = i64>, reach: i64, weight: impl Fn(i64) -> f64) -> f64 {
        let far = 60 * (reach + 1);
        let total: f64 = (-far..=far).map(&weight).sum();
        let cells = (2 * reach + 1) as usize;
        let (mut seen, mut expected) = (vec![0_u32; cells], vec![0.0; cells]);
        for x in -far..=far {
            expected[(x.clamp(-reach, reach) + reach) as usize] += weight(x) / total * DRAWS as f64;
        }
        for x in draws.take(DRAWS) {
            seen[(x.clamp(-reach, reach) + reach) as usize] += 1;
        }
        assert!(expected.iter().all(|count| *count > 10.0), "cells are large enough for the statistic");
        let off = seen.iter().zip(&expected).map(|(seen, expected)| f64::from(*seen) - expected);
        off.zip(&expected).map(|(off, expected)| off * off / expected).sum()
    }

    /// The 0.999 quantiles of χ² with 2 × reach degrees of freedom.
    const CRITICAL: [(i64, f64); 4] = [(4, 26.124), (7, 36.123), (9, 42.312), (12, 51.179)];

    fn critical(reach: i64) -> f64 {
        CRITICAL.iter().find(|(known, _)| *known == reach).expect("tabulated").1
    }

    fn gaussian_weight(variance: f64) -> impl Fn(i64) -> f64 {
        move |x| libm::exp(-((x * x) as f64) / (2.0 * variance))
    }

    #[test]
    fn draws_follow_the_discrete_gaussian() {
        for (variance, reach) in [(1, 4), (2, 4), (4, 7), (6, 9), (10, 12)] {
            for seed in [1, 2, 3] {
                let mut rng = ChaCha20Rng::seed_from_u64(seed);
                let gaussian = DiscreteGaussian::new(variance).unwrap();
                let draws = core::iter::repeat_with(|| gaussian.sample(&mut rng));
                let statistic = chi_square(draws, reach, gaussian_weight(variance as f64));
                assert!(statistic < critical(reach), "σ² = {variance}, seed {seed}: {statistic}");
            }
        }
    }

    #[test]
    fn the_test_notices_another_distribution() {
        // A twentieth more variance, and a rounded continuous normal of the right one (variance 1/12 too large), do not pass.
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let gaussian = DiscreteGaussian::new(4).unwrap();
        let draws: Vec<i64> = core::iter::repeat_with(|| gaussian.sample(&mut rng)).take(DRAWS).collect();
        for wrong in [4.2, 4.0 + 1.0 / 12.0] {
            assert!(chi_square(draws.iter().copied(), 7, gaussian_weight(wrong)) > critical(7), "{wrong}");
        }
    }

    #[test]
    fn draws_follow_the_discrete_laplace() {
        for (scale, reach) in [(1, 7), (2, 12)] {
            let mut rng = ChaCha20Rng::seed_from_u64(5);
            let draws = core::iter::repeat_with(|| laplace(&mut rng, scale));
            let statistic =
                chi_square(draws, reach, |x| libm::exp(-(x.unsigned_abs() as f64) / scale as f64));
            assert!(statistic < critical(reach), "{scale}: {statistic}");
        }
    }

    #[test]
    fn chances_are_exponentials_of_fractions() {
        let mut rng = ChaCha20Rng::seed_from_u64(11);
        for (numerator, denominator) in [(0, 1), (1, 7), (1, 1), (5, 2), (1 << 80, (1 << 81) + 1)] {
            let probability = libm::exp(-(numerator as f64) / denominator as f64);
            let hits = (0..DRAWS).filter(|_| bernoulli_exp(&mut rng, numerator, denominator)).count();
            let sigma = libm::sqrt(probability * (1.0 - probability) * DRAWS as f64);
            let off = (hits as f64 - probability * DRAWS as f64).abs();
            assert!(off <= 3.3 * sigma, "{numerator}/{denominator}: {off} with σ {sigma}");
        }
    }

    #[test]
    fn mean_and_variance_are_those_of_the_distribution() {
        for variance in [1_u64, 9, 1 << 20, MAX_VARIANCE] {
            let mut rng = ChaCha20Rng::seed_from_u64(variance);
            let gaussian = DiscreteGaussian::new(variance).unwrap();
            let draws: Vec<f64> = (0..DRAWS / 4).map(|_| gaussian.sample(&mut rng) as f64).collect();
            let (n, variance) = (draws.len() as f64, variance as f64);
            let mean = draws.iter().sum::<f64>() / n;
            let square = draws.iter().map(|x| x * x).sum::<f64>() / n;
            assert!(mean.abs() < 3.3 * libm::sqrt(variance / n), "σ² = {variance}: mean {mean}");
            // The variance of x² is 2σ⁴.
            assert!((square / variance - 1.0).abs() < 3.3 * libm::sqrt(2.0 / n), "σ² = {variance}: {square}");
        }
    }

    #[test]
    fn uniform_integers_are_below_their_bound_and_reach_it() {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        for bound in [1_u128, 2, 3, 7, 64] {
            let mut seen = vec![false; bound as usize];
            (0..2000).for_each(|_| seen[below(&mut rng, bound) as usize] = true);
            assert!(seen.iter().all(|seen| *seen), "{bound}");
        }
        let wide = (1_u128 << 90) + 1;
        assert!((0..100).map(|_| below(&mut rng, wide)).any(|drawn| drawn > wide / 2));
        assert!((0..100).all(|_| below(&mut rng, wide) < wide));
    }

    #[test]
    fn variances_out_of_range_are_refused() {
        assert_eq!(DiscreteGaussian::new(0), None);
        assert_eq!(DiscreteGaussian::new(MAX_VARIANCE + 1), None);
    }
}
