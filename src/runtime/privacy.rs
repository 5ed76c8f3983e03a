//! What a mission publishes of a plan's masks before launch, and what each node keeps to itself.

use std::{sync::Arc, time::Duration};

use cosmosmesh_protocol::{
    id::NodeId,
    node::PrivacyConfig,
    planning::{
        LocalProblem,
        message::{FRACTION_BITS, MAX_SHARE},
        privacy::noise::NoiseSettings,
        secure::{Enrolment, EpochSeed},
    },
};

use crate::{
    engine::{RandomStreams, Stream, pair},
    scenario::{MaskSpec, PlanSpec},
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
        let noise = spec.noise.map(|noise| noise.settings(couplings, grain));
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
    (steps(most.max(noise.widest())), None)
}

#[cfg(test)]
mod tests {
    use super::*;

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
