//! What a mission publishes of a plan's masks before launch, and what each node keeps to itself.

use std::{sync::Arc, time::Duration};

use cosmosmesh_protocol::{
    id::NodeId,
    node::PrivacyConfig,
    planning::{
        LocalProblem,
        message::{FRACTION_BITS, MAX_SHARE},
        privacy::noise::{Mechanism, NoiseSettings, RHO_STEPS, epsilon},
        secure::{Enrolment, EpochSeed},
    },
};

use crate::{
    engine::{RandomStreams, Stream, pair},
    scenario::{MaskSpec, NoiseSpec, PlanSpec},
    units::AssetIndex,
};

/// Among an asset's draws for planning, those for its masks.
const MASKS: u32 = 1;

/// A unit of a plan's values in the solver's steps.
const UNIT: f64 = (1_u64 << FRACTION_BITS) as f64;

/// What all nodes of a plan with masks know.
#[derive(Clone, Debug)]
pub(super) struct Masks {
    enrolment: Arc<Enrolment>,
    noise: Option<NoiseSettings>,
    delta: f64,
    patience: Duration,
    changes: usize,
}

impl Masks {
    /// From every member's seed of the run: what the members of a mission make by themselves, and hand in their public keys.
    pub(super) fn new(
        (spec, plan): (&MaskSpec, &PlanSpec),
        (horizons, sums, roster): (&[Vec<LocalProblem>], Vec<Vec<f64>>, &[AssetIndex]),
        couplings: usize,
        streams: &RandomStreams,
        node: impl Fn(AssetIndex) -> NodeId,
    ) -> Self {
        let member = |asset: &AssetIndex| (node(*asset), seed(streams, *asset));
        let committee: Vec<_> = spec.committee.iter().map(member).collect();
        let roster: Vec<_> = roster.iter().map(member).collect();
        let grain = grain(plan.eps_abs, roster.len());
        let noise = spec.noise.map(|noise| settings(&noise, couplings, grain));
        let (greatest, total) = widths(horizons, sums, noise.as_ref());
        let mut enrolment = Enrolment {
            plan: 1,
            k_min: spec.k_min as usize,
            cohort: spec.cohort as usize,
            changes: spec.changes as usize,
            threshold: spec.threshold as usize,
            recoveries: spec.recoveries as usize,
            greatest,
            total,
            grain,
            epochs: Vec::new(),
        };
        enrolment.epochs = enrolment.published(&committee, &roster, spec.epochs.into());
        let patience = Duration::from_nanos(u64::try_from(spec.patience.as_nanos()).unwrap_or(0));
        let delta = spec.noise.map_or(1e-6, |noise| noise.delta);
        let changes = spec.changes as usize;
        Self { enrolment: Arc::new(enrolment), noise, delta, patience, changes }
    }

    /// What the node of an asset is given.
    pub(super) fn config(&self, streams: &RandomStreams, asset: AssetIndex) -> PrivacyConfig {
        PrivacyConfig {
            enrolment: Arc::clone(&self.enrolment),
            seed: seed(streams, asset),
            noise: self.noise,
            delta: self.delta,
            patience: self.patience,
            changes: self.changes,
        }
    }
}

fn seed(streams: &RandomStreams, asset: AssetIndex) -> EpochSeed {
    EpochSeed::new(streams.seed_256(Stream::Planning, pair(MASKS, asset.0)))
}

/// How many bits of the solver's fixed point are rounded off: so many that all assets' rounding together stays below half of the plan's absolute
/// tolerance. Finer steps cost bytes and bring nothing that the tolerance does not leave open anyway.
fn grain(tolerance: f64, assets: usize) -> u8 {
    // Each rounds by half a step: n · step / 2 ≤ tolerance / 2.
    let step = tolerance * UNIT / assets.max(1) as f64;
    if step < 2.0 { 0 } else { libm::ilogb(step).clamp(0, 30) as u8 }
}

/// The greatest magnitude of an entry of any asset's share, and of all shares together, from the bounds of the problems of every horizon and of what constraints
/// sum over slots (`sums`, by constraint and participant). With noise, room for eight standard deviations, and no less for all together.
fn widths(
    horizons: &[Vec<LocalProblem>],
    sums: Vec<Vec<f64>>,
    noise: Option<&NoiseSettings>,
) -> (u64, Option<u64>) {
    let mut entries = sums;
    for problems in horizons {
        let couplings = problems.iter().map(|problem| problem.parts().couplings).max().unwrap_or(0);
        let mut shares = vec![Vec::with_capacity(problems.len()); couplings];
        for problem in problems {
            let parts = problem.parts();
            let mut own = vec![0.0; parts.couplings];
            for term in &parts.shared {
                let bound = parts.lower[term.variable].abs().max(parts.upper[term.variable].abs());
                own[term.coupling] += term.coefficient.abs() * bound;
            }
            shares.iter_mut().zip(own).for_each(|(list, share)| list.push(share));
        }
        entries.extend(shares);
    }
    // The local solver keeps bounds to its tolerance, not exactly.
    let held = |share: &f64| share * 1.001 + 1e-3;
    let steps = |value: f64| (value.min(MAX_SHARE) * UNIT) as u64;
    let most = entries.iter().flatten().map(held).fold(1e-3, f64::max);
    let all = entries.iter().map(|list| list.iter().map(held).sum::<f64>()).fold(1e-3, f64::max);
    let Some(noise) = noise else { return (steps(most), Some((all * UNIT) as u64)) };
    let grain = libm::ldexp(1.0, noise.grain_bits as i32);
    let widest = (noise.clip as f64 + 8.0 * (noise.variance as f64).sqrt()) * grain / UNIT;
    (steps(most.max(widest)), None)
}

/// The noise with which so many answers spend the budget, and no more.
fn settings(spec: &NoiseSpec, entries: usize, least: u8) -> NoiseSettings {
    let total = rho(spec.epsilon, spec.delta);
    let each = total / f64::from(spec.answers);
    // Δ in units of the values, as in `planning::privacy::noise`.
    let by_entry = 2.0 * spec.clip * (entries as f64).sqrt();
    let sensitivity = spec.norm.map_or(by_entry, |norm| by_entry.min(2.0 * norm));
    let deviation = sensitivity / (2.0 * each).sqrt();
    // Grains so fine that the deviation is 2⁸ of them or more, and so coarse that it is 2²⁰ at most.
    let scale = libm::ilogb((deviation * UNIT).max(1.0)) - 9;
    let coarsest = libm::ilogb((spec.clip * UNIT).max(1.0)) - 4;
    let grain_bits = scale.clamp(i32::from(least), coarsest.clamp(i32::from(least), 40)) as u32;
    let grain = libm::ldexp(1.0, grain_bits as i32);
    let grains = |value: f64| ((value * UNIT / grain).ceil() as u64).max(1);
    let sigma = deviation * UNIT / grain;
    let variance = (sigma * sigma).ceil().clamp(1.0, (1_u64 << 40) as f64) as u64;
    let (clip, norm) = (grains(spec.clip), spec.norm.map(grains));
    let mut settings = NoiseSettings {
        grain_bits,
        clip,
        norm,
        slope_bits: 0,
        variance,
        budget: u64::MAX,
        when_spent: spec.when_spent,
    };
    // Clips that were rounded up to whole grains must not cost more: the budget is the stated one, and lasts for an answer less if need be.
    if let Ok(mechanism) = Mechanism::new(settings, entries) {
        let stated = (total * RHO_STEPS as f64).min(u64::MAX as f64) as u64;
        while mechanism_cost(settings, entries).saturating_mul(spec.answers.into()) > stated
            && settings.variance < 1 << 40
        {
            settings.variance += settings.variance.div_ceil(1 << 10);
        }
        settings.budget = stated.max(mechanism.cost().min(stated));
    }
    settings
}

fn mechanism_cost(settings: NoiseSettings, entries: usize) -> u64 {
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
    use cosmosmesh_protocol::planning::privacy::noise::WhenSpent;

    #[test]
    fn a_budget_lasts_for_the_answers_that_it_is_meant_for_and_no_longer() {
        for (budget, answers, clip, norm) in
            [(1.0, 10, 5.0, None), (100.0, 40, 15.0, Some(20.0)), (1e5, 7, 1.0, None), (0.1, 1, 0.01, None)]
        {
            let spec = NoiseSpec {
                clip,
                norm,
                epsilon: budget,
                delta: 1e-6,
                answers,
                when_spent: WhenSpent::KeepLast,
            };
            let settings = settings(&spec, 28, 6);
            let mechanism = Mechanism::new(settings, 28).expect("in range");
            let lasts = settings.budget / mechanism.cost();
            assert_eq!(lasts, u64::from(answers), "{spec:?} {settings:?}");
            let spent = mechanism.cost() as f64 * f64::from(answers) / RHO_STEPS as f64;
            let found = epsilon(spent, 1e-6);
            assert!(found <= budget && found > 0.95 * budget, "{found} of {budget}");
        }
    }

    #[test]
    fn shares_of_unevenly_bounded_totals_are_within_the_bound() {
        // What a horizon's own problem shows of a total is less than what slots before and after it can bring.
        let (greatest, total) = widths(&[], vec![vec![48.0, 2.0], vec![10.0; 16]], None);
        assert!(greatest as f64 >= 48.0 * UNIT && greatest as f64 <= 49.0 * UNIT);
        // All together are as much as the widest constraint's, not sixteen times the widest share.
        assert!(total.is_some_and(|total| total as f64 >= 160.0 * UNIT && total as f64 <= 161.0 * UNIT));
        assert_eq!(widths(&[], vec![], None).0, (1e-3 * UNIT) as u64);
    }

    #[test]
    fn rounding_stays_below_the_tolerance() {
        for (tolerance, assets) in [(1e-6, 16), (1e-7, 6), (1e-3, 100), (1e-12, 2)] {
            let step = libm::ldexp(1.0, i32::from(grain(tolerance, assets))) / UNIT;
            let fine = grain(tolerance, assets) == 0;
            assert!(fine || assets as f64 * step / 2.0 <= tolerance / 2.0, "{tolerance} {assets}");
        }
    }
}
