//! A small dense solver for convex quadratic programs: [`Qp`].
//!
//! A dual active set method: exact up to rounding once the set is found, at O(n²) for each constraint that enters or leaves,
//! and one or two corrections of O(n²) where the set of the last solve is still the right one. An interior point method takes
//! a dozen factorisations of O(n³) whatever the warmth of the guess, which is why this is not one: rounds change little.

mod active;
mod rows;
mod solve;

use alloc::{vec, vec::Vec};

use rows::Rows;
use solve::{Program, Solve, State};

use super::{
    cholesky::{dot, factor},
    problem::{Row, SharedTerm},
};

/// When the solver stops.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QpSettings {
    /// The relative KKT residual at which a solution is accepted.
    pub tolerance: f64,
    /// The most iterations: constraints that enter or leave the active set.
    pub max_iterations: u32,
}

impl Default for QpSettings {
    fn default() -> Self {
        Self { tolerance: 1e-10, max_iterations: 2000 }
    }
}

/// Why the solver stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The KKT residual met the tolerance.
    Solved,
    /// The limit of iterations was reached.
    IterationLimit,
    /// The rows exclude each other.
    Infeasible,
    /// The active set is final, but the residual is above the tolerance (the end of what `f64` resolves).
    Stalled,
}

/// The last iterate.
#[derive(Clone, Debug, PartialEq)]
pub struct QpSolution {
    /// All variables, fixed ones included.
    pub x: Vec<f64>,
    /// The multiplier of each row, in `½ xᵀH x + gᵀx + Σ multiplier·(row·x)`: positive at the upper bound, negative at the lower.
    pub multipliers: Vec<f64>,
    /// The greatest of the relative residuals of stationarity, feasibility and complementarity.
    pub residual: f64,
    /// Iterations made.
    pub iterations: u32,
    /// Why the solver stopped.
    pub stop: Stop,
}

/// Why a program cannot be prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QpError {
    /// A list has the wrong length for the number of variables.
    #[error("a list has {found} entries, expected {expected}")]
    Length {
        /// Its length.
        found: usize,
        /// The length that fits.
        expected: usize,
    },
    /// The Hessian has an eigenvalue well below zero.
    #[error("the Hessian is not positive semidefinite")]
    NotConvex,
    /// With the variables that are fixed by their bounds, a row cannot be met.
    #[error("row {row} excludes the values that the bounds fix")]
    Infeasible {
        /// The row.
        row: usize,
    },
}

/// Minimise `½ xᵀH x + gᵀx` within bounds and rows, prepared for many linear terms `g`.
#[derive(Clone, Debug)]
pub struct Qp {
    variables: usize,
    /// The variables that their bounds leave free.
    free: Vec<usize>,
    /// The values of the fixed variables; zero for free ones.
    fixed: Vec<f64>,
    /// What the fixed variables add to the linear term of the free ones.
    offset: Vec<f64>,
    /// How many general rows were given, and which of them each of the program's last rows is.
    general: usize,
    origins: Vec<usize>,
    program: Program,
    state: State,
}

/// Pivots below this part of the greatest diagonal entry make a cost "not strictly convex".
const FLAT: f64 = 1e-11;
/// The weight of the proximal term for such a cost, relative to the greatest diagonal entry.
const PROXIMAL: f64 = 1e-6;

impl Qp {
    /// Prepares a program. `hessian` is row-major, symmetric, positive semidefinite; bounds and rows are as in a checked
    /// [`super::LocalProblem`]. O(n³ + n² · rows).
    ///
    /// # Errors
    /// [`QpError`] when sizes differ, fixed variables violate a row, or the cost is not convex.
    pub fn new(hessian: &[f64], lower: &[f64], upper: &[f64], rows: &[Row]) -> Result<Self, QpError> {
        let n = lower.len();
        if upper.len() != n {
            return Err(QpError::Length { found: upper.len(), expected: n });
        }
        let free: Vec<usize> = (0..n).filter(|&i| lower[i] < upper[i]).collect();
        let fixed: Vec<f64> = (0..n).map(|i| if lower[i] < upper[i] { 0.0 } else { lower[i] }).collect();
        let mut store = Rows::default();
        for (reduced, &i) in free.iter().enumerate() {
            if lower[i].is_finite() || upper[i].is_finite() {
                store.push(&[(reduced, 1.0)], lower[i], upper[i]);
            }
        }
        let mut origins = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            if push_row(&mut store, &free, &fixed, index, row)? {
                origins.push(index);
            }
        }
        let magnitude = store.magnitude();
        let (hessian_free, proximal, basis, weights) = (Vec::new(), 0.0, Vec::new(), Vec::new());
        let program = Program { hessian: hessian_free, rows: store, proximal, basis, weights, magnitude };
        let state = State::new(&program, 0);
        let (offset, general) = (Vec::new(), rows.len());
        let mut qp = Self { variables: n, free, fixed, offset, general, origins, program, state };
        qp.set_hessian(hessian)?;
        Ok(qp)
    }

    /// Replaces the Hessian (row-major, `n`² entries). The next [`Self::resume`] starts cold.
    ///
    /// # Errors
    /// [`QpError::Length`], or [`QpError::NotConvex`]; nothing changes then.
    pub fn set_hessian(&mut self, hessian: &[f64]) -> Result<(), QpError> {
        let (n, free) = (self.variables, self.free.len());
        if hessian.len() != n * n {
            return Err(QpError::Length { found: hessian.len(), expected: n * n });
        }
        let reduced: Vec<f64> =
            self.free.iter().flat_map(|&i| self.free.iter().map(move |&j| hessian[i * n + j])).collect();
        let (basis, proximal) = inverse_factor(&reduced, free).ok_or(QpError::NotConvex)?;
        self.offset = self.free.iter().map(|&i| dot(&hessian[i * n..(i + 1) * n], &self.fixed)).collect();
        let program = &mut self.program;
        (program.hessian, program.basis, program.proximal) = (reduced, basis, proximal);
        program.weights = (0..program.rows.len())
            .map(|row| {
                let image =
                    (0..free).map(|k| program.rows.product(row, &program.basis[k * free..(k + 1) * free]));
                let squared: f64 = image.map(|value| value * value).sum();
                if squared > 0.0 { 1.0 / libm::sqrt(squared) } else { 1.0 }
            })
            .collect();
        self.state = State::new(program, free);
        Ok(())
    }

    /// Minimises with the linear term `linear` (`n` entries), from nothing.
    ///
    /// # Errors
    /// [`QpError::Length`].
    pub fn solve(&self, linear: &[f64], settings: QpSettings) -> Result<QpSolution, QpError> {
        let mut state = State::new(&self.program, self.free.len());
        self.solve_with(&mut state, linear, settings)
    }

    /// Minimises with the linear term `linear` (`n` entries), from where the last call ended.
    ///
    /// The optimum is that of [`Self::solve`] up to rounding: its last bits depend on the calls before.
    ///
    /// # Errors
    /// [`QpError::Length`].
    pub fn resume(&mut self, linear: &[f64], settings: QpSettings) -> Result<QpSolution, QpError> {
        let mut state = core::mem::replace(&mut self.state, State::empty());
        let solution = self.solve_with(&mut state, linear, settings);
        self.state = state;
        solution
    }

    fn solve_with(
        &self,
        state: &mut State,
        linear: &[f64],
        settings: QpSettings,
    ) -> Result<QpSolution, QpError> {
        if linear.len() != self.variables {
            return Err(QpError::Length { found: linear.len(), expected: self.variables });
        }
        let g: Vec<f64> = self.free.iter().zip(&self.offset).map(|(&i, offset)| linear[i] + offset).collect();
        let (stop, residual, iterations) = Solve::new(&self.program, state, &g).run(settings);
        let mut x = self.fixed.clone();
        for (&i, value) in self.free.iter().zip(&state.x) {
            x[i] = *value;
        }
        let mut multipliers = vec![0.0; self.general];
        let bounds = self.program.rows.len() - self.origins.len();
        for (side, multiplier) in state.active.set.iter().zip(&state.active.multipliers) {
            if side.row >= bounds {
                multipliers[self.origins[side.row - bounds]] -= side.sign * multiplier;
            }
        }
        Ok(QpSolution { x, multipliers, residual, iterations, stop })
    }

    /// How far each shared quantity `(S x)ₖ` of the last [`Self::resume`] falls per unit of its price while the active set
    /// stays: the diagonal of `S Z S ᵀ`, where `Z` inverts the Hessian on what the active constraints leave free. Summed over a
    /// fleet it is the diagonal of the dual function's curvature, which a coordinator may use as a metric. O(couplings · n²).
    #[must_use]
    pub fn compliance(&self, shared: &[SharedTerm], couplings: usize) -> Vec<f64> {
        let mut direction = vec![0.0; self.free.len()];
        let answer = |coupling| {
            direction.fill(0.0);
            for term in shared.iter().filter(|term| term.coupling == coupling) {
                if let Ok(reduced) = self.free.binary_search(&term.variable) {
                    direction[reduced] += term.coefficient;
                }
            }
            self.state.active.compliance(&direction)
        };
        (0..couplings).map(answer).collect()
    }
}

/// Stores a row on the free variables; answers whether anything is left of it.
fn push_row(
    store: &mut Rows,
    free: &[usize],
    fixed: &[f64],
    index: usize,
    row: &Row,
) -> Result<bool, QpError> {
    let (mut terms, mut moved, mut scale) = (Vec::with_capacity(row.terms.len()), 0.0, 1.0_f64);
    for &(variable, a) in &row.terms {
        match free.binary_search(&variable) {
            Ok(reduced) if a != 0.0 => terms.push((reduced, a)),
            Ok(_) => {}
            Err(_) => {
                moved += a * fixed[variable];
                scale = scale.max((a * fixed[variable]).abs());
            }
        }
    }
    let (lower, upper) = (row.lower - moved, row.upper - moved);
    if terms.is_empty() {
        let tolerance = 1e-9 * scale;
        let met = lower <= tolerance && upper >= -tolerance;
        return if met { Ok(false) } else { Err(QpError::Infeasible { row: index }) };
    }
    let bounded = lower.is_finite() || upper.is_finite();
    if bounded {
        store.push(&terms, lower, upper);
    }
    Ok(bounded)
}

/// `L⁻¹` with `L Lᵀ = P + δI`, row-major, and `δ`, which is zero when `P` is safely definite. `None` for an indefinite `P`.
fn inverse_factor(hessian: &[f64], n: usize) -> Option<(Vec<f64>, f64)> {
    let most = (0..n).map(|i| hessian[i * n + i]).fold(0.0_f64, f64::max);
    let most = if most > 0.0 { most } else { 1.0 };
    let mut matrix = hessian.to_vec();
    let mut proximal = 0.0;
    if factor(&mut matrix, n, FLAT * most).is_err() {
        proximal = PROXIMAL * most;
        matrix.copy_from_slice(hessian);
        matrix.iter_mut().step_by(n + 1).for_each(|entry| *entry += proximal);
        factor(&mut matrix, n, 0.0).ok()?;
    }
    let mut inverse = vec![0.0; n * n];
    for k in 0..n {
        let (above, rest) = inverse.split_at_mut(k * n);
        let pivot = 1.0 / matrix[k * n + k];
        for i in 0..k {
            active::add(&mut rest[..=i], -matrix[k * n + i] * pivot, &above[i * n..i * n + i + 1]);
        }
        rest[k] = pivot;
    }
    Some((inverse, proximal))
}

#[cfg(test)]
mod tests;
