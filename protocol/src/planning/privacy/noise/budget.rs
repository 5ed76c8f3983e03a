//! [`NoiseBudget`]: noise as it is stated, by what it may give away, and the settings that give away no more.

use super::{Mechanism, NoiseSettings, RHO_STEPS, WhenSpent, epsilon};
use crate::planning::message::FRACTION_BITS;

/// A unit of a plan's values in the solver's steps.
const UNIT: f64 = (1_u64 << FRACTION_BITS) as f64;

/// What an asset's answers may give away of it, in the units of its values. The same at everyone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoiseBudget {
    /// Values are clipped to ± this.
    pub clip: f64,
    /// And whole answers to this norm.
    pub norm: Option<f64>,
    /// The budget ε for the plan.
    pub epsilon: f64,
    /// At this δ.
    pub delta: f64,
    /// For how many answers it lasts.
    pub answers: u32,
    /// What happens then.
    pub when_spent: WhenSpent,
}

impl NoiseBudget {
    /// The noise with which so many answers of so many `entries` spend the budget, and no more; in grains of 2^`least` steps at least.
    #[must_use]
    pub fn settings(&self, entries: usize, least: u8) -> NoiseSettings {
        let total = rho(self.epsilon, self.delta);
        let each = total / f64::from(self.answers);
        // Δ in units of the values.
        let by_entry = 2.0 * self.clip * libm::sqrt(entries as f64);
        let sensitivity = self.norm.map_or(by_entry, |norm| by_entry.min(2.0 * norm));
        let deviation = sensitivity / libm::sqrt(2.0 * each);
        // Grains so fine that the deviation is 2⁸ of them or more, and so coarse that it is 2²⁰ at most.
        let scale = libm::ilogb((deviation * UNIT).max(1.0)) - 9;
        let coarsest = libm::ilogb((self.clip * UNIT).max(1.0)) - 4;
        let grain_bits = scale.clamp(i32::from(least), coarsest.clamp(i32::from(least), 40)) as u32;
        let grain = libm::ldexp(1.0, grain_bits as i32);
        let grains = |value: f64| (libm::ceil(value * UNIT / grain) as u64).max(1);
        let sigma = deviation * UNIT / grain;
        let variance = libm::ceil(sigma * sigma).clamp(1.0, (1_u64 << 40) as f64) as u64;
        let (clip, norm) = (grains(self.clip), self.norm.map(grains));
        let (budget, when_spent) = (u64::MAX, self.when_spent);
        let mut settings =
            NoiseSettings { grain_bits, clip, norm, slope_bits: 0, variance, budget, when_spent };
        // Clips that were rounded up to whole grains must not cost more: the budget is the stated one, and lasts for an answer less if need be.
        if let Ok(mechanism) = Mechanism::new(settings, entries) {
            let stated = (total * RHO_STEPS as f64).min(u64::MAX as f64) as u64;
            while cost(settings, entries).saturating_mul(self.answers.into()) > stated
                && settings.variance < 1 << 40
            {
                settings.variance += settings.variance.div_ceil(1 << 10);
            }
            settings.budget = stated.max(mechanism.cost().min(stated));
        }
        settings
    }
}

impl NoiseSettings {
    /// How far from zero an entry of a noisy answer is, in the units of its values: by the clip and eight standard deviations at most, but for one in 10¹⁵.
    #[must_use]
    pub fn widest(&self) -> f64 {
        let grain = libm::ldexp(1.0, self.grain_bits as i32);
        (self.clip as f64 + 8.0 * libm::sqrt(self.variance as f64)) * grain / UNIT
    }
}

fn cost(settings: NoiseSettings, entries: usize) -> u64 {
    Mechanism::new(settings, entries).map_or(u64::MAX, |mechanism| mechanism.cost())
}

/// The greatest ρ whose ε at this δ is within the budget, by bisection.
fn rho(budget: f64, delta: f64) -> f64 {
    let (mut low, mut high) = (0.0, budget.max(1e-9));
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if epsilon(middle, delta) <= budget { low = middle } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_lasts_for_the_answers_that_it_is_meant_for_and_no_longer() {
        let when_spent = WhenSpent::KeepLast;
        for (budget, answers, clip, norm) in
            [(1.0, 10, 5.0, None), (100.0, 40, 15.0, Some(20.0)), (1e5, 7, 1.0, None), (0.1, 1, 0.01, None)]
        {
            let stated = NoiseBudget { clip, norm, epsilon: budget, delta: 1e-6, answers, when_spent };
            let settings = stated.settings(28, 6);
            let mechanism = Mechanism::new(settings, 28).expect("in range");
            let lasts = settings.budget / mechanism.cost();
            assert_eq!(lasts, u64::from(answers), "{stated:?} {settings:?}");
            let spent = mechanism.cost() as f64 * f64::from(answers) / RHO_STEPS as f64;
            let found = epsilon(spent, 1e-6);
            assert!(found <= budget && found > 0.95 * budget, "{found} of {budget}");
            assert!(settings.widest() > clip);
        }
    }
}
