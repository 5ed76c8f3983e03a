//! One asset's part of the plan: [`LocalProblem`].

use alloc::{vec, vec::Vec};

use super::cholesky;

/// The most variables that one problem may have.
pub const MAX_VARIABLES: usize = 1024;
/// The most general rows that one problem may have.
pub const MAX_ROWS: usize = 4096;
/// The most quantities that a fleet may exchange.
pub const MAX_COUPLINGS: usize = 4096;

/// The quadratic part `P` of a cost `½ xᵀP x + qᵀx + c`.
#[derive(Clone, Debug, PartialEq)]
pub enum Hessian {
    /// The diagonal of `P`, `n` entries.
    Diagonal(Vec<f64>),
    /// All of `P`, row-major, `n`² entries, symmetric.
    Dense(Vec<f64>),
}

/// A general row `lower ≤ Σ coefficient·x ≤ upper`. Infinite bounds mean "none"; equal bounds an equality.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Pairs of variable and coefficient, in ascending order of variable, each at most once.
    pub terms: Vec<(usize, f64)>,
    /// The least value allowed.
    pub lower: f64,
    /// The greatest value allowed.
    pub upper: f64,
}

/// One entry of the shared map `S`: `s[coupling] += coefficient · x[variable]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SharedTerm {
    /// The local variable.
    pub variable: usize,
    /// The quantity that the fleet exchanges.
    pub coupling: usize,
    /// Positive when the variable gives to the pool.
    pub coefficient: f64,
}

/// What a [`LocalProblem`] is made of, unchecked.
#[derive(Clone, Debug, PartialEq)]
pub struct ProblemParts {
    /// `P`.
    pub hessian: Hessian,
    /// `q`; its length is the number of variables.
    pub linear: Vec<f64>,
    /// `c`.
    pub constant: f64,
    /// Lower bounds of the variables, −∞ for none.
    pub lower: Vec<f64>,
    /// Upper bounds of the variables, +∞ for none.
    pub upper: Vec<f64>,
    /// General rows.
    pub rows: Vec<Row>,
    /// The shared map.
    pub shared: Vec<SharedTerm>,
    /// How many quantities the fleet exchanges (`m`).
    pub couplings: usize,
}

/// Which list of a problem an error speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of the fields of `ProblemParts`")]
pub enum Part {
    Hessian,
    Linear,
    Constant,
    Lower,
    Upper,
    Rows,
    Shared,
    Couplings,
}

/// Why parts do not make a convex problem.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProblemError {
    /// A list has the wrong length.
    #[error("{part:?} has {found} entries, expected {expected}")]
    Length {
        /// The list.
        part: Part,
        /// Its length.
        found: usize,
        /// The length that fits.
        expected: usize,
    },
    /// A list is empty or longer than the limit.
    #[error("{part:?} has {found} entries, allowed are 1..={limit}")]
    Limit {
        /// The list.
        part: Part,
        /// Its length.
        found: usize,
        /// The greatest length allowed.
        limit: usize,
    },
    /// A number is not finite (or, for a bound, not a number or infinite on the wrong side).
    #[error("{part:?}[{index}] is not finite")]
    NotFinite {
        /// The list.
        part: Part,
        /// The entry.
        index: usize,
    },
    /// A variable or coupling does not exist, or a row's terms are not in ascending order.
    #[error("{part:?}[{index}] refers to {found}, which is out of order or not below {limit}")]
    Reference {
        /// The list.
        part: Part,
        /// The entry.
        index: usize,
        /// The variable or coupling named.
        found: usize,
        /// How many there are.
        limit: usize,
    },
    /// A variable's or row's bounds exclude each other.
    #[error("{part:?}[{index}]: lower bound {lower} is above upper bound {upper}")]
    Crossed {
        /// [`Part::Lower`] for a variable, [`Part::Rows`] for a row.
        part: Part,
        /// The variable or row.
        index: usize,
        /// Its lower bound.
        lower: f64,
        /// Its upper bound.
        upper: f64,
    },
    /// The Hessian is not symmetric.
    #[error("Hessian entries ({row}, {column}) and ({column}, {row}) differ")]
    NotSymmetric {
        /// Row of the first entry.
        row: usize,
        /// Column of the first entry.
        column: usize,
    },
    /// The Hessian is not positive definite (Cholesky).
    #[error("the cost is not strictly convex: pivot {pivot} of the Hessian is not positive")]
    NotConvex {
        /// The pivot that failed.
        pivot: usize,
    },
    /// No point within the bounds of the variables satisfies a row.
    #[error(
        "row {row} reaches [{reach_min}, {reach_max}] within the bounds, but must lie in [{lower}, {upper}]"
    )]
    RowInfeasible {
        /// The row.
        row: usize,
        /// The least value within the variables' bounds.
        reach_min: f64,
        /// The greatest value within the variables' bounds.
        reach_max: f64,
        /// The row's lower bound.
        lower: f64,
        /// The row's upper bound.
        upper: f64,
    },
}

/// Minimise `½ xᵀP x + qᵀx + c` subject to bounds and rows; `s = S x` is what the fleet exchanges.
///
/// Strictly convex; every row taken alone can be met. Rows that exclude each other only together are found by the solver.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalProblem {
    parts: ProblemParts,
}

impl LocalProblem {
    /// Checks the parts.
    ///
    /// # Errors
    /// The first [`ProblemError`] found.
    pub fn new(parts: ProblemParts) -> Result<Self, ProblemError> {
        check_sizes(&parts)?;
        check_numbers(&parts)?;
        check_convex(&parts)?;
        check_rows(&parts)?;
        check_shared(&parts)?;
        Ok(Self { parts })
    }

    /// The number of variables (`n`).
    #[must_use]
    pub fn variables(&self) -> usize {
        self.parts.linear.len()
    }

    /// The number of quantities that the fleet exchanges (`m`).
    #[must_use]
    pub fn couplings(&self) -> usize {
        self.parts.couplings
    }

    /// All parts, for a solver that assembles the composite problem.
    #[must_use]
    pub fn parts(&self) -> &ProblemParts {
        &self.parts
    }

    /// `P[row, column]`.
    #[must_use]
    pub fn hessian_entry(&self, row: usize, column: usize) -> f64 {
        match &self.parts.hessian {
            Hessian::Diagonal(diagonal) if row == column => diagonal[row],
            Hessian::Diagonal(_) => 0.0,
            Hessian::Dense(entries) => entries[row * self.variables() + column],
        }
    }

    /// `P`, row-major.
    #[must_use]
    pub fn hessian_dense(&self) -> Vec<f64> {
        let n = self.variables();
        match &self.parts.hessian {
            Hessian::Dense(entries) => entries.clone(),
            Hessian::Diagonal(diagonal) => {
                let mut entries = vec![0.0; n * n];
                for (i, value) in diagonal.iter().enumerate() {
                    entries[i * n + i] = *value;
                }
                entries
            }
        }
    }

    /// The cost at `x`, which must have one entry per variable.
    #[must_use]
    pub fn cost(&self, x: &[f64]) -> f64 {
        let n = self.variables();
        let quadratic: f64 = match &self.parts.hessian {
            Hessian::Diagonal(diagonal) => diagonal.iter().zip(x).map(|(p, x)| p * x * x).sum(),
            Hessian::Dense(entries) => {
                entries.chunks_exact(n).zip(x).map(|(row, value)| value * cholesky::dot(row, x)).sum()
            }
        };
        0.5 * quadratic + cholesky::dot(&self.parts.linear, x) + self.parts.constant
    }

    /// The gradient `P x + q` of the cost.
    #[must_use]
    pub fn gradient(&self, x: &[f64]) -> Vec<f64> {
        let (n, parts) = (x.len(), &self.parts);
        let row = |i: usize| match &parts.hessian {
            Hessian::Diagonal(diagonal) => diagonal[i] * x[i],
            Hessian::Dense(entries) => entries[i * n..(i + 1) * n].iter().zip(x).map(|(p, x)| p * x).sum(),
        };
        (0..n).map(|i| row(i) + parts.linear[i]).collect()
    }

    /// `s = S x`.
    #[must_use]
    pub fn share(&self, x: &[f64]) -> Vec<f64> {
        let mut shared = vec![0.0; self.parts.couplings];
        for term in &self.parts.shared {
            shared[term.coupling] += term.coefficient * x[term.variable];
        }
        shared
    }

    /// Whether variable `i` takes part in what the fleet shares.
    #[must_use]
    pub fn is_shared(&self, variable: usize) -> bool {
        self.parts.shared.iter().any(|term| term.variable == variable && term.coefficient != 0.0)
    }

    /// Whether the cost curves by at least `minimum` along every direction of the shared variables, whatever the private
    /// ones do meanwhile: `P − minimum·D` stays positive semidefinite, `D` being the identity on shared variables.
    ///
    /// # Errors
    /// The shared variable that is too flat; with a dense `P`, the last of those whose combination is.
    pub fn curves_by(&self, minimum: f64) -> Result<(), usize> {
        let n = self.variables();
        let mut shared = vec![false; n];
        for term in self.parts.shared.iter().filter(|term| term.coefficient != 0.0) {
            shared[term.variable] = true;
        }
        match &self.parts.hessian {
            Hessian::Diagonal(diagonal) => {
                let flat = (0..n).find(|&i| shared[i] && diagonal[i] < minimum);
                flat.map_or(Ok(()), Err)
            }
            Hessian::Dense(entries) => {
                // Private variables come first, so that a pivot that fails belongs to a shared one. A curvature that is
                // exactly the minimum must pass although its pivots round.
                let order: Vec<usize> =
                    (0..n).filter(|&i| !shared[i]).chain((0..n).filter(|&i| shared[i])).collect();
                let less = minimum * (1.0 - 1e-9);
                let mut reduced = vec![0.0; n * n];
                for (row, &i) in order.iter().enumerate() {
                    for (column, &j) in order[..=row].iter().enumerate() {
                        reduced[row * n + column] = entries[i * n + j];
                    }
                    if shared[i] {
                        reduced[row * n + row] -= less;
                    }
                }
                cholesky::factor(&mut reduced, n, 0.0).map_err(|pivot| order[pivot])
            }
        }
    }

    /// The largest violation of a bound or row at `x`, in the units of that bound or row; zero when feasible.
    #[must_use]
    pub fn violation(&self, x: &[f64]) -> f64 {
        let mut worst = 0.0_f64;
        for (value, (lower, upper)) in x.iter().zip(self.parts.lower.iter().zip(&self.parts.upper)) {
            worst = worst.max(lower - value).max(value - upper);
        }
        for row in &self.parts.rows {
            let value: f64 = row.terms.iter().map(|&(variable, a)| a * x[variable]).sum();
            worst = worst.max(row.lower - value).max(value - row.upper);
        }
        worst
    }
}

fn check_sizes(parts: &ProblemParts) -> Result<(), ProblemError> {
    let n = parts.linear.len();
    for (part, found, limit) in [
        (Part::Linear, n, MAX_VARIABLES),
        (Part::Couplings, parts.couplings, MAX_COUPLINGS),
        (Part::Rows, parts.rows.len().max(1), MAX_ROWS),
        (Part::Shared, parts.shared.len().max(1), MAX_COUPLINGS * 16),
    ] {
        if found == 0 || found > limit {
            return Err(ProblemError::Limit { part, found, limit });
        }
    }
    let (hessian, size) = match &parts.hessian {
        Hessian::Diagonal(diagonal) => (diagonal.len(), n),
        Hessian::Dense(entries) => (entries.len(), n * n),
    };
    for (part, found, expected) in [
        (Part::Hessian, hessian, size),
        (Part::Lower, parts.lower.len(), n),
        (Part::Upper, parts.upper.len(), n),
    ] {
        if found != expected {
            return Err(ProblemError::Length { part, found, expected });
        }
    }
    Ok(())
}

fn check_numbers(parts: &ProblemParts) -> Result<(), ProblemError> {
    let (Hessian::Diagonal(hessian) | Hessian::Dense(hessian)) = &parts.hessian;
    for (part, list) in [
        (Part::Hessian, hessian.as_slice()),
        (Part::Linear, &parts.linear),
        (Part::Constant, core::slice::from_ref(&parts.constant)),
    ] {
        if let Some(index) = list.iter().position(|value| !value.is_finite()) {
            return Err(ProblemError::NotFinite { part, index });
        }
    }
    for (index, (&lower, &upper)) in parts.lower.iter().zip(&parts.upper).enumerate() {
        check_bounds(Part::Lower, index, lower, upper)?;
    }
    for (index, row) in parts.rows.iter().enumerate() {
        check_bounds(Part::Rows, index, row.lower, row.upper)?;
        if row.terms.iter().any(|(_, coefficient)| !coefficient.is_finite()) {
            return Err(ProblemError::NotFinite { part: Part::Rows, index });
        }
    }
    match parts.shared.iter().position(|term| !term.coefficient.is_finite()) {
        Some(index) => Err(ProblemError::NotFinite { part: Part::Shared, index }),
        None => Ok(()),
    }
}

fn check_bounds(part: Part, index: usize, lower: f64, upper: f64) -> Result<(), ProblemError> {
    if lower.is_nan() || upper.is_nan() || lower == f64::INFINITY || upper == f64::NEG_INFINITY {
        return Err(ProblemError::NotFinite { part, index });
    }
    if lower > upper {
        return Err(ProblemError::Crossed { part, index, lower, upper });
    }
    Ok(())
}

fn check_convex(parts: &ProblemParts) -> Result<(), ProblemError> {
    let n = parts.linear.len();
    match &parts.hessian {
        Hessian::Diagonal(diagonal) => match diagonal.iter().position(|&value| value <= 0.0) {
            Some(pivot) => Err(ProblemError::NotConvex { pivot }),
            None => Ok(()),
        },
        Hessian::Dense(entries) => {
            for row in 0..n {
                for column in 0..row {
                    if entries[row * n + column] != entries[column * n + row] {
                        return Err(ProblemError::NotSymmetric { row, column });
                    }
                }
            }
            cholesky::factor(&mut entries.clone(), n, 0.0).map_err(|pivot| ProblemError::NotConvex { pivot })
        }
    }
}

fn check_rows(parts: &ProblemParts) -> Result<(), ProblemError> {
    for (index, row) in parts.rows.iter().enumerate() {
        let (mut reach_min, mut reach_max, mut scale) = (0.0, 0.0, 1.0_f64);
        let mut next = 0;
        for &(variable, a) in &row.terms {
            if variable < next || variable >= parts.linear.len() {
                let limit = parts.linear.len();
                return Err(ProblemError::Reference { part: Part::Rows, index, found: variable, limit });
            }
            next = variable + 1;
            if a == 0.0 {
                continue;
            }
            let (one, other) = (a * parts.lower[variable], a * parts.upper[variable]);
            reach_min += one.min(other);
            reach_max += one.max(other);
            scale = scale.max(one.min(other).abs()).max(one.max(other).abs());
        }
        // Sums of bounds round: a row that is met exactly at a corner must not be refused.
        let tolerance = if scale.is_finite() { 1e-12 * scale } else { 0.0 };
        if reach_max < row.lower - tolerance || reach_min > row.upper + tolerance {
            let (lower, upper) = (row.lower, row.upper);
            return Err(ProblemError::RowInfeasible { row: index, reach_min, reach_max, lower, upper });
        }
    }
    Ok(())
}

fn check_shared(parts: &ProblemParts) -> Result<(), ProblemError> {
    for (index, term) in parts.shared.iter().enumerate() {
        for (found, limit) in [(term.variable, parts.linear.len()), (term.coupling, parts.couplings)] {
            if found >= limit {
                return Err(ProblemError::Reference { part: Part::Shared, index, found, limit });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts() -> ProblemParts {
        ProblemParts {
            hessian: Hessian::Dense(vec![2.0, 1.0, 1.0, 2.0]),
            linear: vec![1.0, -1.0],
            constant: 3.0,
            lower: vec![-1.0, 0.0],
            upper: vec![1.0, f64::INFINITY],
            rows: vec![Row { terms: vec![(0, 1.0), (1, -1.0)], lower: f64::NEG_INFINITY, upper: 0.5 }],
            shared: vec![SharedTerm { variable: 1, coupling: 2, coefficient: -2.0 }],
            couplings: 3,
        }
    }

    #[test]
    fn a_dense_cost_is_as_flat_as_its_flattest_shared_direction() {
        // With x₁ free to follow, x₀ sees the Schur complement 2 − 1²/2 = 1.5.
        let one = SharedTerm { variable: 0, coupling: 0, coefficient: 1.0 };
        let other = SharedTerm { variable: 1, ..one };
        let problem = |shared| LocalProblem::new(ProblemParts { shared, ..parts() }).expect("valid");
        assert_eq!(problem(vec![one]).curves_by(1.5), Ok(()));
        assert_eq!(problem(vec![one]).curves_by(1.6), Err(0));
        assert_eq!(problem(vec![one, other]).curves_by(1.0), Ok(()));
        assert_eq!(problem(vec![one, other]).curves_by(1.01), Err(1));
    }

    #[test]
    fn cost_and_share_follow_their_definitions() {
        let problem = LocalProblem::new(parts()).expect("valid");
        assert_eq!(problem.cost(&[1.0, 2.0]), 0.5 * (2.0 + 4.0 + 8.0) + 1.0 - 2.0 + 3.0);
        assert_eq!(problem.share(&[1.0, 2.0]), [0.0, 0.0, -4.0]);
        assert_eq!(problem.violation(&[2.0, 1.0]), 1.0);
    }

    #[test]
    fn every_fault_is_named() {
        let fault = |change: fn(&mut ProblemParts)| {
            let mut parts = parts();
            change(&mut parts);
            LocalProblem::new(parts).expect_err("refused")
        };
        assert_eq!(
            fault(|p| p.linear[1] = f64::NAN),
            ProblemError::NotFinite { part: Part::Linear, index: 1 }
        );
        assert_eq!(
            fault(|p| p.lower.truncate(1)),
            ProblemError::Length { part: Part::Lower, found: 1, expected: 2 }
        );
        assert_eq!(
            fault(|p| p.upper[0] = -2.0),
            ProblemError::Crossed { part: Part::Lower, index: 0, lower: -1.0, upper: -2.0 }
        );
        assert_eq!(
            fault(|p| p.hessian = Hessian::Dense(vec![1.0, 2.0, 2.0, 1.0])),
            ProblemError::NotConvex { pivot: 1 }
        );
        assert_eq!(
            fault(|p| p.hessian = Hessian::Dense(vec![1.0, 0.5, 0.0, 1.0])),
            ProblemError::NotSymmetric { row: 1, column: 0 }
        );
        assert_eq!(
            fault(|p| p.rows[0] = Row { terms: vec![(0, 2.0)], lower: 3.0, upper: 4.0 }),
            ProblemError::RowInfeasible { row: 0, reach_min: -2.0, reach_max: 2.0, lower: 3.0, upper: 4.0 }
        );
        assert_eq!(
            fault(|p| p.shared[0].coupling = 3),
            ProblemError::Reference { part: Part::Shared, index: 0, found: 3, limit: 3 }
        );
    }
}
