//! What binds local problems to a fleet: [`Couplings`], and [`FleetProblem`] for those who know all local problems.
//!
//! A coordinator holds the [`Couplings`] only; the whole [`FleetProblem`] is for generators, tests and the central reference.

mod coupling;

use alloc::{string::String, vec, vec::Vec};

pub use coupling::{Coupling, CouplingKind, MAX_NAME};

use super::{
    message::MAX_MEMBERS,
    problem::{LocalProblem, MAX_COUPLINGS},
};
use crate::id::NodeId;

/// Why couplings and local problems do not make a fleet.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FleetError {
    /// There are no couplings, or too many.
    #[error("{found} couplings: allowed are 1..={limit}")]
    Couplings {
        /// How many were given.
        found: usize,
        /// The greatest number allowed.
        limit: usize,
    },
    /// There are no members, too many, or one is named twice.
    #[error("{found} members: allowed are 1..={limit}, each once")]
    Members {
        /// How many were given.
        found: usize,
        /// The greatest number allowed.
        limit: usize,
    },
    /// A name is empty or too long.
    #[error("the name of coupling {coupling} has {found} bytes: allowed are 1..={limit}")]
    Name {
        /// The coupling's position.
        coupling: usize,
        /// The length of its name.
        found: usize,
        /// The greatest length allowed.
        limit: usize,
    },
    /// Two couplings have one name.
    #[error("two couplings are named {name}")]
    Repeated {
        /// The name.
        name: String,
    },
    /// A coupling's bounds contradict each other or its kind.
    #[error("coupling {name} ({lower} to {upper}): {flaw}")]
    Bounds {
        /// The coupling.
        name: String,
        /// Its lower bound.
        lower: f64,
        /// Its upper bound.
        upper: f64,
        /// What is wrong.
        flaw: &'static str,
    },
    /// A local problem was made for another number of couplings.
    #[error("node {node} shares into {found} couplings, the fleet has {expected}")]
    Length {
        /// The member.
        node: NodeId,
        /// The couplings of its problem.
        found: usize,
        /// The couplings of the fleet.
        expected: usize,
    },
    /// No values within the members' bounds satisfy a coupling.
    #[error("coupling {name} reaches [{reach_min}, {reach_max}] within the members' bounds")]
    Unreachable {
        /// The coupling.
        name: String,
        /// The least sum within the bounds of all variables.
        reach_min: f64,
        /// The greatest sum within the bounds of all variables.
        reach_max: f64,
    },
    /// A member's cost is flatter in its shared variables than the contract allows.
    #[error("node {node}: the curvature in shared variable {variable} is below {minimum}")]
    Curvature {
        /// The member.
        node: NodeId,
        /// The variable, or the last of those whose combination is too flat.
        variable: usize,
        /// The least curvature that the contract states.
        minimum: f64,
    },
}

impl FleetError {
    /// A stable word for counters and traces.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Couplings { .. } => "couplings",
            Self::Members { .. } => "members",
            Self::Name { .. } => "name",
            Self::Repeated { .. } => "repeated",
            Self::Bounds { .. } => "bounds",
            Self::Length { .. } => "length",
            Self::Unreachable { .. } => "unreachable",
            Self::Curvature { .. } => "curvature",
        }
    }
}

/// The fleet-wide constraints, checked: names are unique, bounds fit their kinds.
#[derive(Clone, Debug, PartialEq)]
pub struct Couplings(Vec<Coupling>);

impl Couplings {
    /// Checks a list.
    ///
    /// # Errors
    /// The first [`FleetError`] found.
    pub fn new(list: Vec<Coupling>) -> Result<Self, FleetError> {
        if list.is_empty() || list.len() > MAX_COUPLINGS {
            return Err(FleetError::Couplings { found: list.len(), limit: MAX_COUPLINGS });
        }
        for (coupling, entry) in list.iter().enumerate() {
            let found = entry.name.len();
            if found == 0 || found > MAX_NAME {
                return Err(FleetError::Name { coupling, found, limit: MAX_NAME });
            }
            if let Some(flaw) = entry.flaw() {
                let (lower, upper) = (entry.lower, entry.upper);
                return Err(FleetError::Bounds { name: entry.name.clone(), lower, upper, flaw });
            }
        }
        let mut names: Vec<&str> = list.iter().map(|entry| entry.name.as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(FleetError::Repeated { name: pair[0].into() });
        }
        Ok(Self(list))
    }

    /// `count` balances with the names `0`, `1`, …: the exchange problem.
    ///
    /// # Errors
    /// [`FleetError::Couplings`].
    pub fn balances(count: usize) -> Result<Self, FleetError> {
        if count == 0 || count > MAX_COUPLINGS {
            return Err(FleetError::Couplings { found: count, limit: MAX_COUPLINGS });
        }
        Ok(Self((0..count).map(|k| Coupling::balance(alloc::format!("{k}"))).collect()))
    }

    /// How many there are; never none.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is always at least one")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// In the order of the shared map's rows.
    #[must_use]
    pub fn as_slice(&self) -> &[Coupling] {
        &self.0
    }

    /// The position of the coupling with that name.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|coupling| coupling.name == name)
    }

    /// Whether every coupling is a balance, as in the exchange problem.
    #[must_use]
    pub fn balanced(&self) -> bool {
        self.0.iter().all(|coupling| coupling.kind == CouplingKind::Balance)
    }

    /// The nearest sums that are allowed, in place; O(m). Entries beyond the couplings are left alone.
    pub fn project(&self, sums: &mut [f64]) {
        for (sum, coupling) in sums.iter_mut().zip(&self.0) {
            *sum = coupling.project(*sum);
        }
    }

    /// The greatest distance of a sum from its bounds, in that coupling's units; zero when all are allowed.
    #[must_use]
    pub fn violation(&self, sums: &[f64]) -> f64 {
        sums.iter().zip(&self.0).fold(0.0, |worst, (sum, coupling)| coupling.violation(*sum).max(worst))
    }

    /// `max(1, ‖b‖∞)` over the finite bounds: the scale to which a gap relates violations.
    #[must_use]
    pub fn scale(&self) -> f64 {
        let sides = self.0.iter().flat_map(|coupling| [coupling.lower, coupling.upper]);
        sides.filter(|side| side.is_finite()).fold(1.0, |most, side| most.max(side.abs()))
    }

    /// Drops the signs that a price cannot have: a bound that is infinite never binds. In place; O(m).
    pub fn project_prices(&self, prices: &mut [f64]) {
        for (price, coupling) in prices.iter_mut().zip(&self.0) {
            if coupling.upper == f64::INFINITY {
                *price = price.min(0.0);
            }
            if coupling.lower == f64::NEG_INFINITY {
                *price = price.max(0.0);
            }
        }
    }

    /// `sup { λᵀz : z within the bounds }`: what the dual function subtracts,
    /// `g(λ) = Σ min (fᵢ(xᵢ) + λᵀSᵢxᵢ) − support(λ)`. Infinite for a price whose sign its coupling excludes.
    #[must_use]
    pub fn support(&self, prices: &[f64]) -> f64 {
        prices
            .iter()
            .zip(&self.0)
            .map(|(&price, coupling)| match price {
                price if price > 0.0 => price * coupling.upper,
                price if price < 0.0 => price * coupling.lower,
                _ => 0.0,
            })
            .sum()
    }

    /// Prices with the names that an operator reads, in the couplings' order.
    pub fn priced<'a>(&'a self, prices: &'a [f64]) -> impl Iterator<Item = (&'a Coupling, f64)> {
        self.0.iter().zip(prices.iter().copied())
    }
}

/// Minimise `Σ fᵢ(xᵢ)` over the local sets subject to every coupling.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetProblem {
    couplings: Couplings,
    locals: Vec<(NodeId, LocalProblem)>,
}

impl FleetProblem {
    /// Binds local problems (any order, each node once) to couplings.
    ///
    /// # Errors
    /// [`FleetError`] when sizes differ, or a coupling cannot be met even within the variables' bounds.
    pub fn new(couplings: Couplings, mut locals: Vec<(NodeId, LocalProblem)>) -> Result<Self, FleetError> {
        let found = locals.len();
        locals.sort_by_key(|(node, _)| *node);
        let repeated = locals.windows(2).any(|pair| pair[0].0 == pair[1].0);
        if found == 0 || found > MAX_MEMBERS || repeated {
            return Err(FleetError::Members { found, limit: MAX_MEMBERS });
        }
        let expected = couplings.len();
        for (node, local) in &locals {
            let found = local.couplings();
            if found != expected {
                return Err(FleetError::Length { node: *node, found, expected });
            }
        }
        let fleet = Self { couplings, locals };
        fleet.check_reach()?;
        Ok(fleet)
    }

    fn check_reach(&self) -> Result<(), FleetError> {
        let mut reach = vec![(0.0_f64, 0.0_f64); self.couplings.len()];
        for (_, local) in &self.locals {
            let parts = local.parts();
            for term in parts.shared.iter().filter(|term| term.coefficient != 0.0) {
                let one = term.coefficient * parts.lower[term.variable];
                let other = term.coefficient * parts.upper[term.variable];
                reach[term.coupling].0 += one.min(other);
                reach[term.coupling].1 += one.max(other);
            }
        }
        for (coupling, (reach_min, reach_max)) in self.couplings.0.iter().zip(reach) {
            // Sums of bounds round: a coupling that is met exactly at a corner must not be refused.
            let scale = [reach_min, reach_max].into_iter().filter(|side| side.is_finite());
            let tolerance = 1e-9 * scale.fold(1.0_f64, |most, side| most.max(side.abs()));
            if reach_max < coupling.lower - tolerance || reach_min > coupling.upper + tolerance {
                return Err(FleetError::Unreachable { name: coupling.name.clone(), reach_min, reach_max });
            }
        }
        Ok(())
    }

    /// Checks that every member's cost curves by at least `minimum` in the variables that it shares.
    ///
    /// Near-linear costs are the hard case of distributed planning: rounds grow as the curvature falls.
    ///
    /// # Errors
    /// [`FleetError::Curvature`], which names the first member that is too flat.
    pub fn check_curvature(&self, minimum: f64) -> Result<(), FleetError> {
        for (node, local) in &self.locals {
            if let Err(variable) = local.curves_by(minimum) {
                return Err(FleetError::Curvature { node: *node, variable, minimum });
            }
        }
        Ok(())
    }

    /// The fleet-wide constraints.
    #[must_use]
    pub fn couplings(&self) -> &Couplings {
        &self.couplings
    }

    /// The members in ascending order, with their problems.
    #[must_use]
    pub fn locals(&self) -> &[(NodeId, LocalProblem)] {
        &self.locals
    }

    /// `Σ Sᵢ xᵢ`, with `values` in the members' order.
    #[must_use]
    pub fn sums<X: AsRef<[f64]>>(&self, values: &[X]) -> Vec<f64> {
        let mut sums = vec![0.0; self.couplings.len()];
        for ((_, local), x) in self.locals.iter().zip(values) {
            for term in &local.parts().shared {
                sums[term.coupling] += term.coefficient * x.as_ref()[term.variable];
            }
        }
        sums
    }

    /// `Σ fᵢ(xᵢ)`, with `values` in the members' order.
    #[must_use]
    pub fn cost<X: AsRef<[f64]>>(&self, values: &[X]) -> f64 {
        self.locals.iter().zip(values).map(|((_, local), x)| local.cost(x.as_ref())).sum()
    }

    /// The plan-optimality gap against the optimum `best`: the greater of the relative difference in cost,
    /// `|f − f*| / max(1, |f*|)`, and the greatest violation of a coupling or local constraint over `max(1, ‖b‖∞)`.
    #[must_use]
    pub fn gap<X: AsRef<[f64]>>(&self, values: &[X], best: f64) -> f64 {
        let local = self.locals.iter().zip(values).map(|((_, local), x)| local.violation(x.as_ref()));
        let violation = local.fold(self.couplings.violation(&self.sums(values)), f64::max);
        let cost = (self.cost(values) - best).abs() / best.abs().max(1.0);
        cost.max(violation / self.couplings.scale())
    }
}

#[cfg(test)]
mod tests;
