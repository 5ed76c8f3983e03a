//! Seeded random fleets, for tests and published benchmarks.
//!
//! [`FleetSpec`] draws fleets whose optimum is known. [`fleet`] is the older exchange problem, whose optimum is not.

mod planted;

use alloc::{vec, vec::Vec};

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

pub use planted::{Binding, FleetSpec, Planted, SpecError};

use super::{
    problem::{LocalProblem, ProblemError},
    schedule::{Commodity, Schedule},
};

/// A fleet of `assets` that exchange one commodity over `slots`: boxes, windows (slots in which an asset is fixed at zero),
/// total energy and ramp limits.
///
/// A balanced schedule that satisfies every constraint with some room is drawn first, so that the plan is feasible. The same
/// arguments give the same fleet on every machine.
///
/// # Errors
/// [`ProblemError`] when `assets` or `slots` is 0 or too large.
pub fn fleet(seed: u64, assets: usize, slots: usize) -> Result<Vec<LocalProblem>, ProblemError> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut open = vec![vec![true; slots]; assets];
    for asset in open.iter_mut().skip(1).step_by(3) {
        let (start, length) = (below(&mut rng, slots), slots / 4);
        (start..slots.min(start + length)).for_each(|slot| asset[slot] = false);
    }
    let mut balanced = vec![vec![0.0; slots]; assets];
    for slot in 0..slots {
        let drawn: Vec<f64> = (0..assets).map(|_| between(&mut rng, -3.0, 3.0)).collect();
        let present = (0..assets).filter(|&asset| open[asset][slot]);
        let mean =
            present.clone().map(|asset| drawn[asset]).sum::<f64>() / present.clone().count().max(1) as f64;
        present.for_each(|asset| balanced[asset][slot] = drawn[asset] - mean);
    }
    open.iter().zip(&balanced).map(|(open, balanced)| asset(&mut rng, open, balanced).problem()).collect()
}

fn asset(rng: &mut ChaCha8Rng, open: &[bool], balanced: &[f64]) -> Schedule {
    let slots = open.len();
    let room = |rng: &mut ChaCha8Rng| {
        open.iter().map(|&open| if open { between(rng, 0.1, 3.0) } else { 0.0 }).collect()
    };
    let (below, above): (Vec<f64>, Vec<f64>) = (room(rng), room(rng));
    let steepest = balanced.windows(2).fold(0.0_f64, |most, pair| most.max((pair[1] - pair[0]).abs()));
    let total: f64 = balanced.iter().sum();
    let commodity = Commodity {
        preferred: balanced.iter().map(|value| value + between(rng, -4.0, 4.0)).collect(),
        curvature: (0..slots).map(|_| between(rng, 0.2, 2.0)).collect(),
        minimum: balanced.iter().zip(&below).map(|(value, room)| value - room).collect(),
        maximum: balanced.iter().zip(&above).map(|(value, room)| value + room).collect(),
        total_minimum: Some(total - between(rng, 0.1, 4.0)),
        total_maximum: Some(total + between(rng, 0.1, 4.0)),
        ramp: Some(steepest + between(rng, 0.1, 1.0)),
    };
    Schedule { slots, commodities: vec![commodity] }
}

/// Uniform in \[low, high): 53 random bits.
fn between(rng: &mut ChaCha8Rng, low: f64, high: f64) -> f64 {
    low + (high - low) * ((rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64)
}

fn below(rng: &mut ChaCha8Rng, limit: usize) -> usize {
    ((u128::from(rng.next_u64()) * limit as u128) >> 64) as usize
}
