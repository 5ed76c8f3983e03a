//! Random fleets whose optimum is known, because it is drawn first: [`Planted`].
//!
//! For every asset a point `x*`, multipliers of its own constraints and the fleet's prices `λ*` are drawn; bounds are placed
//! around the point (exactly at it where a constraint is to be active), and the linear cost is what makes the point satisfy the
//! conditions of Karush, Kuhn and Tucker: `q = −(P x* + Sᵀλ* + Aᵀy*)`. A strictly convex problem has no other optimum, so a
//! figure that names the specification and the seed needs no other solver to be checked.

use alloc::{format, vec, vec::Vec};

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

use super::{below, between};
use crate::{
    id::NodeId,
    planning::{
        fleet::{Coupling, Couplings, FleetError, FleetProblem},
        problem::{Hessian, LocalProblem, ProblemError, ProblemParts, Row, SharedTerm},
    },
};

/// Which fleet-wide constraints a planted fleet has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// One balance per slot: the exchange problem.
    Balance,
    /// One safety envelope per slot and a weighted budget per eight slots. Of all, five in six are active: in 24 slots, 23 of 27.
    Mixed,
}

/// What a planted fleet is drawn from. The same specification gives the same fleet on every machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FleetSpec {
    /// Seed of ChaCha8.
    pub seed: u64,
    /// How many assets.
    pub assets: usize,
    /// How many slots; an asset has one variable for each.
    pub slots: usize,
    /// The condition number κ of every asset's Hessian, at least 1: eigenvalues are log-uniform in `[κ^-½, κ^½]`, and both ends
    /// occur.
    pub condition: f64,
    /// Whether the Hessians are rotated (by a random reflection, so that they are dense) or diagonal.
    pub dense: bool,
    /// The fleet-wide constraints.
    pub binding: Binding,
}

impl FleetSpec {
    /// The published fleet: 16 assets, 24 slots, diagonal Hessians, mixed constraints.
    #[must_use]
    pub const fn published(seed: u64, condition: f64) -> Self {
        Self { seed, assets: 16, slots: 24, condition, dense: false, binding: Binding::Mixed }
    }
}

/// Why a specification gives no fleet.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// A local problem is out of range.
    #[error(transparent)]
    Problem(#[from] ProblemError),
    /// The fleet is out of range.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// The condition number is below 1 or not finite.
    #[error("condition number {found}, expected at least 1")]
    Condition {
        /// The number given.
        found: f64,
    },
}

/// A fleet with its optimum.
#[derive(Clone, Debug, PartialEq)]
pub struct Planted {
    /// The fleet.
    pub problem: FleetProblem,
    /// The optimal values, in the members' order.
    pub values: Vec<Vec<f64>>,
    /// The optimal prices, in the couplings' order.
    pub prices: Vec<f64>,
    /// The optimal cost.
    pub best: f64,
}

impl FleetSpec {
    /// Draws the fleet.
    ///
    /// An asset has bounds (about one in six active), a window (every third asset is absent for a quarter of the slots: its
    /// variables are fixed at zero), a total energy (active for every second asset) and a ramp limit (active for every fourth).
    ///
    /// # Errors
    /// [`SpecError`] when a size is 0 or too large.
    pub fn draw(&self) -> Result<Planted, SpecError> {
        if !(self.condition >= 1.0 && self.condition.is_finite()) {
            return Err(SpecError::Condition { found: self.condition });
        }
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let open = self.windows(&mut rng);
        let values = self.points(&mut rng, &open);
        let (terms, prices) = self.couple(&mut rng);
        let mut locals = Vec::new();
        for (index, (open, x)) in open.iter().zip(&values).enumerate() {
            let terms = terms.iter().map(|(slot, coupling, weights)| SharedTerm {
                variable: *slot,
                coupling: *coupling,
                coefficient: weights[index],
            });
            let parts = self.asset(&mut rng, index, open, x, terms.collect(), &prices);
            locals.push((NodeId(index as u64 + 1), LocalProblem::new(parts)?));
        }
        let problem = self.bind(&mut rng, locals, &values, &prices)?;
        let best = problem.cost(&values);
        Ok(Planted { problem, values, prices, best })
    }

    fn windows(&self, rng: &mut ChaCha8Rng) -> Vec<Vec<bool>> {
        let mut open = vec![vec![true; self.slots]; self.assets];
        for asset in open.iter_mut().skip(1).step_by(3) {
            let start = below(rng, self.slots);
            asset[start..self.slots.min(start + self.slots / 4)].fill(false);
        }
        open
    }

    fn points(&self, rng: &mut ChaCha8Rng, open: &[Vec<bool>]) -> Vec<Vec<f64>> {
        let mut draw = |&open: &bool| if open { between(rng, -3.0, 3.0) } else { 0.0 };
        let mut values: Vec<Vec<f64>> =
            open.iter().map(|open| open.iter().map(&mut draw).collect()).collect();
        if self.binding == Binding::Balance {
            for slot in 0..self.slots {
                let present = open.iter().filter(|open| open[slot]).count().max(1) as f64;
                let mean = values.iter().map(|x| x[slot]).sum::<f64>() / present;
                for (x, _) in values.iter_mut().zip(open).filter(|(_, open)| open[slot]) {
                    x[slot] -= mean;
                }
            }
        }
        values
    }

    /// The entries of the shared map (slot, coupling and each asset's weight), and the prices.
    #[expect(clippy::type_complexity, reason = "read in one place, right after")]
    fn couple(&self, rng: &mut ChaCha8Rng) -> (Vec<(usize, usize, Vec<f64>)>, Vec<f64>) {
        let mut terms: Vec<_> = (0..self.slots).map(|slot| (slot, slot, vec![1.0; self.assets])).collect();
        let mut couplings = self.slots;
        if self.binding == Binding::Mixed {
            for slot in 0..self.slots {
                if slot.is_multiple_of(8) {
                    couplings += 1;
                }
                let weights = (0..self.assets).map(|_| between(rng, 0.5, 1.5)).collect();
                terms.push((slot, couplings - 1, weights));
            }
        }
        let price = |k: usize, rng: &mut ChaCha8Rng| {
            let price = between(rng, 0.2, 3.0);
            match (self.binding, k) {
                (Binding::Balance, _) => price * if below(rng, 2) == 0 { 1.0 } else { -1.0 },
                (Binding::Mixed, k) if k % 6 == 5 => 0.0,
                // A budget only ever charges; an envelope charges or rewards.
                (Binding::Mixed, k) if k >= self.slots || k % 2 == 0 => price,
                (Binding::Mixed, _) => -price,
            }
        };
        let prices = (0..couplings).map(|k| price(k, rng)).collect();
        (terms, prices)
    }

    /// One asset whose optimum at `prices` is `x`.
    fn asset(
        &self,
        rng: &mut ChaCha8Rng,
        index: usize,
        open: &[bool],
        x: &[f64],
        shared: Vec<SharedTerm>,
        prices: &[f64],
    ) -> ProblemParts {
        let n = x.len();
        let hessian = self.hessian(rng, n);
        // The forces that hold the point: prices, then active bounds, energy and ramp.
        let mut force = vec![0.0; n];
        for term in &shared {
            force[term.variable] += term.coefficient * prices[term.coupling];
        }
        let (mut lower, mut upper) = (x.to_vec(), x.to_vec());
        for i in (0..n).filter(|&i| open[i]) {
            let (under, over) = (between(rng, 0.1, 3.0), between(rng, 0.1, 3.0));
            match below(rng, 12) {
                0 => (force[i], upper[i]) = (force[i] - between(rng, 0.1, 2.0), x[i] + over),
                1 => (force[i], lower[i]) = (force[i] + between(rng, 0.1, 2.0), x[i] - under),
                _ => (lower[i], upper[i]) = (x[i] - under, x[i] + over),
            }
        }
        let rows = rows(rng, index, x, &mut force);
        let linear = (0..n).map(|i| {
            let row: f64 = match &hessian {
                Hessian::Diagonal(diagonal) => diagonal[i] * x[i],
                Hessian::Dense(entries) => (0..n).map(|j| entries[i * n + j] * x[j]).sum(),
            };
            -(row + force[i])
        });
        let linear = linear.collect();
        ProblemParts { linear, hessian, constant: 0.0, lower, upper, rows, shared, couplings: prices.len() }
    }

    fn hessian(&self, rng: &mut ChaCha8Rng, n: usize) -> Hessian {
        let mut diagonal: Vec<f64> =
            (0..n).map(|_| libm::pow(self.condition, between(rng, -0.5, 0.5))).collect();
        if n > 1 {
            let least = below(rng, n);
            diagonal[least] = 1.0 / libm::sqrt(self.condition);
            diagonal[(least + 1 + below(rng, n - 1)) % n] = libm::sqrt(self.condition);
        }
        if !self.dense {
            return Hessian::Diagonal(diagonal);
        }
        // (I − 2vvᵀ) D (I − 2vvᵀ) with a unit v keeps the eigenvalues.
        let mut v: Vec<f64> = (0..n).map(|_| between(rng, -1.0, 1.0)).collect();
        let length = libm::sqrt(v.iter().map(|v| v * v).sum());
        v.iter_mut().for_each(|v| *v /= length);
        let inner: f64 = diagonal.iter().zip(&v).map(|(d, v)| d * v * v).sum();
        let entry = |i: usize, j: usize| {
            let own = if i == j { diagonal[i] } else { 0.0 };
            own + v[i] * v[j] * (4.0 * inner - 2.0 * (diagonal[i] + diagonal[j]))
        };
        Hessian::Dense((0..n * n).map(|k| entry((k / n).min(k % n), (k / n).max(k % n))).collect())
    }

    /// Places the couplings' bounds at or around the sums of the point.
    fn bind(
        &self,
        rng: &mut ChaCha8Rng,
        locals: Vec<(NodeId, LocalProblem)>,
        values: &[Vec<f64>],
        prices: &[f64],
    ) -> Result<FleetProblem, SpecError> {
        let mut sums = vec![0.0; prices.len()];
        for ((_, local), x) in locals.iter().zip(values) {
            for term in &local.parts().shared {
                sums[term.coupling] += term.coefficient * x[term.variable];
            }
        }
        let mut list = Vec::new();
        for (k, (&sum, &price)) in sums.iter().zip(prices).enumerate() {
            let (under, over) = (between(rng, 0.5, 4.0), between(rng, 0.5, 4.0));
            let lower = if price < 0.0 { sum } else { sum - under };
            let upper = if price > 0.0 { sum } else { sum + over };
            list.push(match self.binding {
                Binding::Balance => Coupling::balance(format!("power[{k}]")),
                Binding::Mixed if k < self.slots => {
                    Coupling::safety_envelope(format!("power[{k}]"), lower, upper)
                }
                Binding::Mixed => Coupling::budget(format!("budget[{}]", k - self.slots), upper),
            });
        }
        Ok(FleetProblem::new(Couplings::new(list)?, locals)?)
    }
}

/// An energy row and ramp rows around `x`, with the forces of those that are active.
fn rows(rng: &mut ChaCha8Rng, index: usize, x: &[f64], force: &mut [f64]) -> Vec<Row> {
    let total: f64 = x.iter().sum();
    let (mut lower, mut upper) = (total - between(rng, 0.5, 4.0), total + between(rng, 0.5, 4.0));
    let pull = between(rng, 0.1, 1.0);
    match index % 4 {
        0 => (upper, _) = (total, force.iter_mut().for_each(|force| *force += pull)),
        2 => (lower, _) = (total, force.iter_mut().for_each(|force| *force -= pull)),
        _ => {}
    }
    let mut rows = vec![Row { terms: (0..x.len()).map(|i| (i, 1.0)).collect(), lower, upper }];
    let step = |i: usize| x[i + 1] - x[i];
    let steps = 0..x.len().saturating_sub(1);
    let steepest = steps.clone().reduce(|a, b| if step(b).abs() > step(a).abs() { b } else { a });
    let (room, pull) = (between(rng, 0.1, 1.0), between(rng, 0.1, 1.0));
    if let Some(steepest) = steepest {
        let mut ramp = step(steepest).abs();
        if index.is_multiple_of(4) {
            let sign = if step(steepest) > 0.0 { pull } else { -pull };
            force[steepest + 1] += sign;
            force[steepest] -= sign;
        } else {
            ramp += room;
        }
        let row = |i| Row { terms: vec![(i, -1.0), (i + 1, 1.0)], lower: -ramp, upper: ramp };
        rows.extend(steps.map(row));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_planted_point_is_feasible_and_the_same_everywhere() {
        for binding in [Binding::Balance, Binding::Mixed] {
            for dense in [false, true] {
                let spec = FleetSpec { dense, binding, ..FleetSpec::published(7, 1e4) };
                let fleet = spec.draw().expect("valid");
                assert!(fleet.problem.gap(&fleet.values, fleet.best) < 1e-12);
                assert_eq!(spec.draw(), Ok(fleet));
            }
        }
    }

    #[test]
    fn the_published_fleet_has_about_twenty_active_couplings() {
        let fleet = FleetSpec::published(0, 1e2).draw().expect("valid");
        let sums = fleet.problem.sums(&fleet.values);
        let couplings = fleet.problem.couplings().as_slice();
        let active = couplings.iter().zip(&sums).filter(|(c, sum)| **sum == c.lower || **sum == c.upper);
        assert_eq!((active.count(), couplings.len()), (23, 27));
        assert_eq!(fleet.prices.iter().filter(|price| **price != 0.0).count(), 23);
        fleet.problem.check_curvature(0.1).expect("the flattest is 0.1");
        assert!(fleet.problem.check_curvature(0.1001).is_err());
    }

    #[test]
    fn sizes_and_conditions_out_of_range_are_refused() {
        let spec = FleetSpec::published(0, 1e2);
        assert!(FleetSpec { assets: 0, ..spec }.draw().is_err());
        assert!(FleetSpec { slots: 0, ..spec }.draw().is_err());
        assert!(FleetSpec { condition: 0.5, ..spec }.draw().is_err());
        FleetSpec { assets: 1, slots: 1, ..spec }.draw().expect("the least fleet");
    }
}
