//! Whether a frame is lost on its way: bit errors, bursts (Gilbert–Elliott), flat loss.

use super::BurstLoss;
use crate::{
    engine::{Chances, LossReason, Rng},
    units::SimTime,
};

/// Probability that a frame of `bytes` has at least one wrong bit: 1 − (1 − BER)^(8·bytes), for independent errors.
///
/// Through `log1p` and `expm1`, so that error rates far below 10⁻¹⁶ still count.
#[must_use]
pub fn frame_error_probability(bit_error_rate: f64, bytes: u32) -> f64 {
    // At rate 1, log1p is −∞ and the product of an empty frame would be NaN.
    if bytes == 0 || bit_error_rate == 0.0 {
        return 0.0;
    }
    -libm::expm1(8.0 * f64::from(bytes) * libm::log1p(-bit_error_rate))
}

/// A channel that fades in bursts: two states, good and bad, each with its own frame loss and exponentially distributed
/// stays (Gilbert 1960, Elliott 1963; here in continuous time).
///
/// It is advanced only when a frame asks, and by any span in one step: with rates λ = 1/mean good and μ = 1/mean bad, the
/// probability to be bad after t is π + (b − π)·e^{−(λ+μ)t}, where π = λ/(λ+μ) and b is 1 or 0, bad or good now. Idle
/// time costs nothing, and the states that frames see have exactly the distribution of the chain.
#[derive(Clone, Debug)]
pub struct BurstChannel {
    spec: BurstLoss,
    rng: Rng,
    /// The last moment that was asked for, and whether the state was bad. None: not asked yet.
    last: Option<(SimTime, bool)>,
}

impl BurstChannel {
    /// A channel that starts in its stationary distribution and draws from `rng` alone.
    #[must_use]
    pub const fn new(spec: BurstLoss, rng: Rng) -> Self {
        Self { spec, rng, last: None }
    }

    /// Whether the state is bad at `now`. Draws one number when `now` is later than the last time.
    ///
    /// # Panics
    ///
    /// If `now` is earlier than before: the frames of a link start in order.
    pub fn is_bad(&mut self, now: SimTime) -> bool {
        let stationary = stationary_bad(&self.spec);
        let probability = match self.last {
            None => stationary,
            Some((last, bad)) if last == now => return bad,
            Some((last, bad)) => {
                assert!(last < now, "a burst channel only moves on: at {last}, asked for {now}");
                let rate = 1.0 / self.spec.mean_good.as_secs_f64() + 1.0 / self.spec.mean_bad.as_secs_f64();
                let memory = libm::exp(-rate * (now - last).as_secs_f64());
                stationary + (f64::from(u8::from(bad)) - stationary) * memory
            }
        };
        let bad = self.rng.chance(probability);
        self.last = Some((now, bad));
        bad
    }

    /// Probability that a frame which starts at `now` is lost.
    ///
    /// # Panics
    ///
    /// If `now` is earlier than before.
    pub fn loss(&mut self, now: SimTime) -> f64 {
        if self.is_bad(now) { self.spec.loss_bad } else { self.spec.loss_good }
    }
}

/// Long-run share of time that is bad.
#[must_use]
pub fn stationary_bad(spec: &BurstLoss) -> f64 {
    let (good, bad) = (spec.mean_good.as_secs_f64(), spec.mean_bad.as_secs_f64());
    bad / (good + bad)
}

/// All ways in which a directed link loses frames by chance.
#[derive(Clone, Debug)]
pub struct FrameLoss {
    flat: f64,
    burst: Option<Box<BurstChannel>>,
    chances: Chances,
}

impl FrameLoss {
    /// Flat loss of probability `flat` and, if given, bursts; all draws come from the link's own streams.
    #[must_use]
    pub fn new(flat: f64, burst: Option<BurstChannel>, chances: Chances) -> Self {
        Self { flat, burst: burst.map(Box::new), chances }
    }

    /// Decides for a frame of `bytes` that started at `start`. `None`: it survives.
    ///
    /// Each cause draws its own number, whether or not an earlier one already struck: so a changed error rate never
    /// shifts the draws of the frames that follow. Reported is the first in the order bit errors, burst, flat.
    pub fn strike(&mut self, start: SimTime, bytes: u32, bit_error_rate: f64) -> Option<LossReason> {
        let bits = self.chances.chance(frame_error_probability(bit_error_rate, bytes));
        let burst_loss = self.burst.as_mut().map_or(0.0, |burst| burst.loss(start));
        let burst = self.chances.chance(burst_loss);
        let flat = self.chances.chance(self.flat);
        match (bits, burst, flat) {
            (true, _, _) => Some(LossReason::BitErrors),
            (_, true, _) => Some(LossReason::Burst),
            (_, _, true) => Some(LossReason::Random),
            (false, false, false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{RandomStreams, Stream};

    fn rng(seed: u64) -> Rng {
        RandomStreams::new(seed).stream(Stream::FrameLoss, 0)
    }

    fn chances(seed: u64) -> Chances {
        Chances::new(RandomStreams::new(seed), Stream::FrameLoss, 0)
    }

    fn spec() -> BurstLoss {
        let (mean_good, mean_bad) = (SimTime::from_secs(9), SimTime::from_secs(1));
        BurstLoss { mean_good, mean_bad, loss_good: 0.01, loss_bad: 0.6 }
    }

    #[test]
    fn loss_by_size_and_error_rate_is_this_table() {
        // Independent values: Python's `decimal` with 50 digits, 1 − (1 − BER)^(8·bytes).
        let table = [
            (1e-9, 1_500, 1.199_992_800_628_793e-5),
            (1e-6, 1, 7.999_972_000_056e-6),
            (1e-6, 256, 2.045_905_300_828_732e-3),
            (1e-6, 1_500, 1.192_829_306_650_367e-2),
            (1e-5, 256, 0.020_271_809_480_450_3),
            (1e-4, 1_500, 0.698_823_860_403_168_8),
            (1e-20, 100, 8e-18),
            (0.5, 1, 0.996_093_75),
            (0.0, 1_500, 0.0),
            (1.0, 1, 1.0),
            (1.0, 0, 0.0),
        ];
        for (rate, bytes, expected) in table {
            let found = frame_error_probability(rate, bytes);
            assert!(
                (found - expected).abs() <= 1e-13 * expected,
                "{rate}, {bytes} bytes: {found}, not {expected}"
            );
        }
    }

    #[test]
    fn rare_samples_see_the_stationary_share_of_bad_time() {
        // One sample per 100 s is as good as independent (memory e^−111): n = 20,000, π = 0.1, σ = √(π(1−π)/n); 3σ.
        let mut channel = BurstChannel::new(spec(), rng(1));
        let bad = (1..=20_000).filter(|&n| channel.is_bad(SimTime::from_secs(100 * n))).count();
        let sigma = (0.1f64 * 0.9 / 20_000.0).sqrt();
        assert!((bad as f64 / 20_000.0 - 0.1).abs() < 3.0 * sigma, "{bad}");
    }

    #[test]
    fn close_samples_show_bursts_of_the_mean_length() {
        // Sampled every 10 ms, the chance to leave the bad state in a step is (1 − π)(1 − e^{−(1/9 + 1)·0.01}): a mean
        // run of 100.6 samples. About 10,000 runs: σ = 1 %; 4σ.
        let mut channel = BurstChannel::new(spec(), rng(2));
        let (mut bad, mut runs, mut before) = (0u32, 0u32, false);
        for n in 0..10_000_000 {
            let now = channel.is_bad(SimTime(10_000_000 * n));
            bad += u32::from(now);
            runs += u32::from(now && !before);
            before = now;
        }
        let mean = f64::from(bad) / f64::from(runs);
        assert!((mean - 100.6).abs() < 4.1, "{mean} over {runs} runs");
    }

    #[test]
    fn frame_losses_have_their_probability() {
        // Flat 0.2, bit errors 0.0202718 and bursts with 0.1·0.6 + 0.9·0.01 = 0.069: all three survive with 0.7297;
        // n = 20,000, σ = 0.0031; 3σ.
        let burst = BurstChannel::new(spec(), RandomStreams::new(3).stream(Stream::BurstState, 0));
        let mut loss = FrameLoss::new(0.2, Some(burst), chances(3));
        let whole =
            (1..=20_000).filter(|&n| loss.strike(SimTime::from_secs(100 * n), 256, 1e-5).is_none()).count();
        let share = whole as f64 / 20_000.0;
        assert!((share - 0.729_70).abs() < 3.0 * 0.003_14, "{share}");
    }

    #[test]
    fn a_changed_error_rate_does_not_shift_other_draws() {
        let fates = |rate| {
            let mut loss = FrameLoss::new(0.3, None, chances(4));
            (0..200).map(|n| loss.strike(SimTime(n), 100, rate)).collect::<Vec<_>>()
        };
        let (clean, dirty) = (fates(0.0), fates(1e-4));
        let spared = |fates: &[Option<LossReason>]| fates.iter().filter(|fate| fate.is_none()).count();
        assert!(spared(&dirty) < spared(&clean));
        for (clean, dirty) in clean.iter().zip(&dirty) {
            assert!(*dirty == Some(LossReason::BitErrors) || clean == dirty);
        }
    }
}
