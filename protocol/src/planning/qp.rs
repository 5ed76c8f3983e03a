//! A small dense solver for strictly convex quadratic programs: [`Qp`].
//!
//! Mehrotra's predictor-corrector interior point method (Nocedal and Wright 2006, Algorithm 16.4) with dense Cholesky
//! factors, fixed variables eliminated and equality rows by Schur complement. It starts cold each time: about a dozen
//! iterations whatever the warmth of the guess. One iteration costs O(n³/6 + Σ terms²).

use alloc::{vec, vec::Vec};

use super::{
    cholesky::{dot, factor, solve},
    problem::Row,
};

/// When the solver stops.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QpSettings {
    /// The relative KKT residual at which a solution is accepted.
    pub tolerance: f64,
    /// The most iterations.
    pub max_iterations: u32,
}

impl Default for QpSettings {
    fn default() -> Self {
        Self { tolerance: 1e-10, max_iterations: 60 }
    }
}

/// Why the solver stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The KKT residual met the tolerance.
    Solved,
    /// The limit of iterations was reached.
    IterationLimit,
    /// No step improved the iterate further (infeasible rows or the end of what `f64` resolves).
    Stalled,
}

/// The best iterate.
#[derive(Clone, Debug, PartialEq)]
pub struct QpSolution {
    /// All variables, fixed ones included.
    pub x: Vec<f64>,
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
    /// With the variables that are fixed by their bounds, a row cannot be met.
    #[error("row {row} excludes the values that the bounds fix")]
    Infeasible {
        /// The row.
        row: usize,
    },
}

const CENTRAL: f64 = 1e-4;

/// Sparse rows `terms · x` with a right-hand side, in one flat store.
#[derive(Clone, Debug, Default)]
struct Rows {
    ends: Vec<usize>,
    columns: Vec<usize>,
    values: Vec<f64>,
    rhs: Vec<f64>,
}

impl Rows {
    fn push(&mut self, terms: &[(usize, f64)], sign: f64, rhs: f64) {
        self.columns.extend(terms.iter().map(|term| term.0));
        self.values.extend(terms.iter().map(|term| sign * term.1));
        self.ends.push(self.columns.len());
        self.rhs.push(sign * rhs);
    }

    fn len(&self) -> usize {
        self.rhs.len()
    }

    fn row(&self, index: usize) -> (&[usize], &[f64]) {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        (&self.columns[start..self.ends[index]], &self.values[start..self.ends[index]])
    }

    fn product(&self, index: usize, x: &[f64]) -> f64 {
        let (columns, values) = self.row(index);
        columns.iter().zip(values).map(|(&column, value)| value * x[column]).sum()
    }

    /// `target += scale · rowᵀ`.
    fn add_to(&self, index: usize, scale: f64, target: &mut [f64]) {
        let (columns, values) = self.row(index);
        for (&column, value) in columns.iter().zip(values) {
            target[column] += scale * value;
        }
    }

    fn magnitude(&self) -> f64 {
        self.rhs.iter().fold(1.0, |most, value| most.max(value.abs()))
    }
}

/// Minimise `½ xᵀH x + gᵀx` within bounds and rows, prepared for many linear terms `g`.
#[derive(Clone, Debug)]
pub struct Qp {
    variables: usize,
    /// The variables that their bounds leave free.
    free: Vec<usize>,
    /// The values of the fixed variables; zero for free ones.
    fixed: Vec<f64>,
    /// The Hessian of the free variables, row-major.
    hessian: Vec<f64>,
    /// What the fixed variables add to the linear term of the free ones.
    offset: Vec<f64>,
    /// `C x ≥ d`: bounds, then rows.
    inequalities: Rows,
    /// `E x = e`.
    equalities: Rows,
    /// The middle of the box, or the point of it that is nearest to zero.
    middle: Vec<f64>,
}

impl Qp {
    /// Prepares a program. `hessian` is row-major, symmetric, positive definite; bounds and rows are as in a checked
    /// [`super::LocalProblem`].
    ///
    /// # Errors
    /// [`QpError`] when sizes differ or fixed variables violate a row.
    pub fn new(hessian: &[f64], lower: &[f64], upper: &[f64], rows: &[Row]) -> Result<Self, QpError> {
        let n = lower.len();
        for (found, expected) in [(upper.len(), n), (hessian.len(), n * n)] {
            if found != expected {
                return Err(QpError::Length { found, expected });
            }
        }
        let free: Vec<usize> = (0..n).filter(|&i| lower[i] < upper[i]).collect();
        let fixed = (0..n).map(|i| if lower[i] < upper[i] { 0.0 } else { lower[i] }).collect();
        let middle = free.iter().map(|&i| middle_of(lower[i], upper[i])).collect();
        let mut qp = Self {
            variables: n,
            free,
            fixed,
            hessian: Vec::new(),
            offset: Vec::new(),
            inequalities: Rows::default(),
            equalities: Rows::default(),
            middle,
        };
        qp.set_hessian(hessian)?;
        for (reduced, &i) in qp.free.iter().enumerate() {
            push_sides(&mut qp.inequalities, &[(reduced, 1.0)], lower[i], upper[i]);
        }
        for (index, row) in rows.iter().enumerate() {
            qp.push_row(index, row)?;
        }
        Ok(qp)
    }

    /// Replaces the Hessian (row-major, `n`² entries).
    ///
    /// # Errors
    /// [`QpError::Length`].
    pub fn set_hessian(&mut self, hessian: &[f64]) -> Result<(), QpError> {
        let n = self.variables;
        if hessian.len() != n * n {
            return Err(QpError::Length { found: hessian.len(), expected: n * n });
        }
        self.hessian =
            self.free.iter().flat_map(|&i| self.free.iter().map(move |&j| hessian[i * n + j])).collect();
        self.offset = self.free.iter().map(|&i| dot(&hessian[i * n..(i + 1) * n], &self.fixed)).collect();
        Ok(())
    }

    fn push_row(&mut self, index: usize, row: &Row) -> Result<(), QpError> {
        let (mut terms, mut moved, mut scale) = (Vec::with_capacity(row.terms.len()), 0.0, 1.0_f64);
        for &(variable, a) in &row.terms {
            match self.free.binary_search(&variable) {
                Ok(reduced) if a != 0.0 => terms.push((reduced, a)),
                Ok(_) => {}
                Err(_) => {
                    moved += a * self.fixed[variable];
                    scale = scale.max((a * self.fixed[variable]).abs());
                }
            }
        }
        let (lower, upper) = (row.lower - moved, row.upper - moved);
        if terms.is_empty() {
            let tolerance = 1e-9 * scale;
            let met = lower <= tolerance && upper >= -tolerance;
            return if met { Ok(()) } else { Err(QpError::Infeasible { row: index }) };
        }
        if lower == upper {
            self.equalities.push(&terms, 1.0, lower);
        } else {
            push_sides(&mut self.inequalities, &terms, lower, upper);
        }
        Ok(())
    }

    /// Minimises with the linear term `linear` (`n` entries).
    ///
    /// # Errors
    /// [`QpError::Length`].
    pub fn solve(&self, linear: &[f64], settings: QpSettings) -> Result<QpSolution, QpError> {
        if linear.len() != self.variables {
            return Err(QpError::Length { found: linear.len(), expected: self.variables });
        }
        let g: Vec<f64> = self.free.iter().zip(&self.offset).map(|(&i, offset)| linear[i] + offset).collect();
        let mut iterate = Iterate::new(self, &g);
        let (stop, iterations) = iterate.run(settings);
        let mut x = self.fixed.clone();
        for (&i, value) in self.free.iter().zip(&iterate.best) {
            x[i] = *value;
        }
        Ok(QpSolution { x, residual: iterate.best_residual, iterations, stop })
    }
}

fn middle_of(lower: f64, upper: f64) -> f64 {
    if lower.is_finite() && upper.is_finite() {
        0.5 * lower + 0.5 * upper
    } else {
        0.0_f64.max(lower).min(upper)
    }
}

fn push_sides(rows: &mut Rows, terms: &[(usize, f64)], lower: f64, upper: f64) {
    if lower.is_finite() {
        rows.push(terms, 1.0, lower);
    }
    if upper.is_finite() {
        rows.push(terms, -1.0, upper);
    }
}

/// The state of one solve: `x`, slacks `y` and multipliers `λ` of the inequalities, multipliers `ν` of the equalities.
struct Iterate<'a> {
    qp: &'a Qp,
    g: &'a [f64],
    x: Vec<f64>,
    y: Vec<f64>,
    lambda: Vec<f64>,
    nu: Vec<f64>,
    /// Residuals: `H x + g − Cᵀλ − Eᵀν`, `C x − y − d`, `E x − e`.
    dual: Vec<f64>,
    primal: Vec<f64>,
    equality: Vec<f64>,
    /// The factor of `H + Cᵀ diag(λ/y) C`.
    matrix: Vec<f64>,
    /// `K⁻¹ Eᵀ`, one row per equality, and the factor of `E K⁻¹ Eᵀ`.
    eliminated: Vec<f64>,
    schur: Vec<f64>,
    step: Step,
    /// The magnitude of `H x`, for scaling.
    curvature: f64,
    best: Vec<f64>,
    best_residual: f64,
}

struct Step {
    x: Vec<f64>,
    y: Vec<f64>,
    lambda: Vec<f64>,
    nu: Vec<f64>,
    /// The right-hand side `y λ + correction` of complementarity.
    centring: Vec<f64>,
}

impl<'a> Iterate<'a> {
    fn new(qp: &'a Qp, g: &'a [f64]) -> Self {
        let (n, m, p) = (qp.free.len(), qp.inequalities.len(), qp.equalities.len());
        Self {
            qp,
            g,
            x: qp.middle.clone(),
            y: vec![1.0; m],
            lambda: vec![1.0; m],
            nu: vec![0.0; p],
            dual: vec![0.0; n],
            primal: vec![0.0; m],
            equality: vec![0.0; p],
            matrix: vec![0.0; n * n],
            eliminated: vec![0.0; n * p],
            schur: vec![0.0; p * p],
            step: Step {
                x: vec![0.0; n],
                y: vec![0.0; m],
                lambda: vec![0.0; m],
                nu: vec![0.0; p],
                centring: vec![0.0; m],
            },
            curvature: 0.0,
            best: qp.middle.clone(),
            best_residual: f64::INFINITY,
        }
    }

    fn run(&mut self, settings: QpSettings) -> (Stop, u32) {
        if !self.begin() {
            return (Stop::Stalled, 0);
        }
        let mut worse = 0;
        for iteration in 0..=settings.max_iterations {
            let residual = self.residual();
            if residual < self.best_residual {
                self.best_residual = residual;
                self.best.copy_from_slice(&self.x);
                worse = 0;
            } else {
                worse += 1;
            }
            if residual <= settings.tolerance {
                return (Stop::Solved, iteration);
            }
            if worse > 10 || !residual.is_finite() {
                return (Stop::Stalled, iteration);
            }
            if iteration == settings.max_iterations {
                break;
            }
            if !self.advance() {
                return (Stop::Stalled, iteration);
            }
        }
        (Stop::IterationLimit, settings.max_iterations)
    }

    /// The starting point of Nocedal and Wright §16.6: slacks and multipliers from one affine step.
    fn begin(&mut self) -> bool {
        for (i, y) in self.y.iter_mut().enumerate() {
            let slack = self.qp.inequalities.product(i, &self.x) - self.qp.inequalities.rhs[i];
            *y = slack.abs().max(1e-2);
        }
        let scale = self.g.iter().fold(1.0_f64, |most, value| most.max(value.abs()));
        self.lambda.fill(scale);
        self.residual();
        if !self.factorise() {
            return false;
        }
        self.predict();
        self.direction();
        shift(&mut self.y, &self.step.y);
        shift(&mut self.lambda, &self.step.lambda);
        // Half of the mean complementarity on either side keeps the pairs of one size (Mehrotra 1992, §7).
        let products = dot(&self.y, &self.lambda);
        let (slacks, multipliers): (f64, f64) = (self.y.iter().sum(), self.lambda.iter().sum());
        self.y.iter_mut().for_each(|y| *y += 0.5 * products / multipliers);
        self.lambda.iter_mut().for_each(|lambda| *lambda += 0.5 * products / slacks);
        true
    }

    /// Recomputes the residuals and answers the greatest relative one.
    fn residual(&mut self) -> f64 {
        let (qp, n) = (self.qp, self.g.len());
        self.curvature = 0.0;
        let mut quadratic = 0.0;
        for i in 0..n {
            let product = dot(&qp.hessian[i * n..(i + 1) * n], &self.x);
            self.curvature = self.curvature.max(product.abs());
            quadratic += product * self.x[i];
            self.dual[i] = product + self.g[i];
        }
        let objective = 0.5 * quadratic + dot(self.g, &self.x);
        let mut gap = 0.0;
        for i in 0..self.y.len() {
            qp.inequalities.add_to(i, -self.lambda[i], &mut self.dual);
            self.primal[i] = qp.inequalities.product(i, &self.x) - self.y[i] - qp.inequalities.rhs[i];
            gap += self.y[i] * self.lambda[i];
        }
        for i in 0..self.nu.len() {
            qp.equalities.add_to(i, -self.nu[i], &mut self.dual);
            self.equality[i] = qp.equalities.product(i, &self.x) - qp.equalities.rhs[i];
        }
        let forces = self.g.iter().fold(1.0_f64.max(self.curvature), |most, value| most.max(value.abs()));
        let sides = qp.inequalities.magnitude().max(qp.equalities.magnitude());
        let largest = |list: &[f64]| list.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
        let stationarity = largest(&self.dual) / forces;
        let feasibility = largest(&self.primal).max(largest(&self.equality)) / sides;
        let total = stationarity.max(feasibility).max(gap / (1.0 + objective.abs()));
        // `max` skips NaN: a sum does not.
        if (stationarity + feasibility + gap).is_finite() { total } else { f64::NAN }
    }

    /// One predictor-corrector step.
    fn advance(&mut self) -> bool {
        if !self.factorise() {
            return false;
        }
        self.predict();
        self.direction();
        if !self.y.is_empty() {
            let mu = self.complementarity(0.0);
            let affine = self.reach();
            let ratio = self.complementarity(affine) / mu;
            let target = ratio * ratio * ratio * mu;
            // Mehrotra's full correction can cycle (Cartis 2009): it is weighted by what the affine step could reach, as
            // Colombo and Gondzio 2008 propose, and dropped where it does not lead towards the centre.
            for i in 0..self.y.len() {
                self.step.centring[i] += affine * affine * self.step.y[i] * self.step.lambda[i] - target;
            }
            self.direction();
            if self.length() < 0.2 {
                self.predict();
                self.step.centring.iter_mut().for_each(|value| *value -= 0.5 * mu);
                self.direction();
            }
        }
        let length = self.length();
        move_along(&mut self.x, length, &self.step.x);
        move_along(&mut self.y, length, &self.step.y);
        move_along(&mut self.lambda, length, &self.step.lambda);
        move_along(&mut self.nu, length, &self.step.nu);
        length > 1e-12
    }

    /// The mean of `y λ` after a step of `length` along the direction.
    fn complementarity(&self, length: f64) -> f64 {
        let mut sum = 0.0;
        for i in 0..self.y.len() {
            sum += (self.y[i] + length * self.step.y[i]) * (self.lambda[i] + length * self.step.lambda[i]);
        }
        sum / self.y.len() as f64
    }

    /// The centring of the affine (predictor) step: aim at zero complementarity.
    fn predict(&mut self) {
        for (target, (y, lambda)) in self.step.centring.iter_mut().zip(self.y.iter().zip(&self.lambda)) {
            *target = y * lambda;
        }
    }

    /// The longest step, at most 1, that keeps slacks and multipliers from becoming negative.
    fn reach(&self) -> f64 {
        let pairs = self.y.iter().zip(&self.step.y).chain(self.lambda.iter().zip(&self.step.lambda));
        pairs.fold(1.0, |reach, (value, step)| if *step < 0.0 { reach.min(-value / step) } else { reach })
    }

    /// The length of the step: short of the boundary, and within the neighbourhood N₋∞(10⁻⁴) of the central path (Nocedal
    /// and Wright, equation 14.22), without which pairs that fall behind shorten every later step.
    fn length(&self) -> f64 {
        let reach = self.reach();
        let mut length = if reach < 1.0 { reach * 0.995 } else { 1.0 };
        for _ in 0..20 {
            let least = CENTRAL * self.complementarity(length);
            let inside = |i: usize| {
                let y = self.y[i] + length * self.step.y[i];
                y * (self.lambda[i] + length * self.step.lambda[i]) >= least
            };
            if (0..self.y.len()).all(inside) {
                break;
            }
            length *= 0.8;
        }
        length
    }

    /// Factors `K = H + Cᵀ diag(λ/y) C` and the Schur complement of the equalities.
    fn factorise(&mut self) -> bool {
        let (qp, n, p) = (self.qp, self.g.len(), self.nu.len());
        // Near a corner with steep prices, rounding can take the definiteness of K. A slightly heavier diagonal gives it
        // back; the residuals stay exact, so that later steps correct what this one lacks.
        let definite = [0.0, 1e-14, 1e-12, 1e-10].into_iter().any(|extra| {
            self.assemble(extra);
            factor(&mut self.matrix, n, 0.0).is_ok()
        });
        if !definite {
            return false;
        }
        self.eliminated.fill(0.0);
        for i in 0..p {
            let row = &mut self.eliminated[i * n..(i + 1) * n];
            qp.equalities.add_to(i, 1.0, row);
            solve(&self.matrix, n, row);
        }
        for i in 0..p {
            for j in 0..=i {
                self.schur[i * p + j] = qp.equalities.product(i, &self.eliminated[j * n..(j + 1) * n]);
            }
            // Repeated equalities make the complement singular; this picks the smallest multipliers.
            self.schur[i * p + i] *= 1.0 + 1e-13;
        }
        factor(&mut self.schur, p, 0.0).is_ok()
    }

    fn assemble(&mut self, extra: f64) {
        let (qp, n) = (self.qp, self.g.len());
        self.matrix.copy_from_slice(&qp.hessian);
        for i in 0..self.y.len() {
            let weight = self.lambda[i] / self.y[i];
            let (columns, values) = qp.inequalities.row(i);
            for (a, &row) in columns.iter().enumerate() {
                let scaled = weight * values[a];
                for (&column, value) in columns[..=a].iter().zip(values) {
                    self.matrix[row * n + column] += scaled * value;
                }
            }
        }
        if extra > 0.0 {
            self.matrix.iter_mut().step_by(n + 1).for_each(|entry| *entry *= 1.0 + extra);
        }
    }

    /// Solves the Newton system for the current centring.
    fn direction(&mut self) {
        let (qp, n, p) = (self.qp, self.g.len(), self.nu.len());
        for (target, dual) in self.step.x.iter_mut().zip(&self.dual) {
            *target = -dual;
        }
        for i in 0..self.y.len() {
            let force = (self.step.centring[i] + self.lambda[i] * self.primal[i]) / self.y[i];
            qp.inequalities.add_to(i, -force, &mut self.step.x);
        }
        solve(&self.matrix, n, &mut self.step.x);
        if p > 0 {
            for i in 0..p {
                self.step.nu[i] = -self.equality[i] - qp.equalities.product(i, &self.step.x);
            }
            solve(&self.schur, p, &mut self.step.nu);
            for i in 0..p {
                move_along(&mut self.step.x, self.step.nu[i], &self.eliminated[i * n..(i + 1) * n]);
            }
        }
        for i in 0..self.y.len() {
            let moved = qp.inequalities.product(i, &self.step.x) + self.primal[i];
            self.step.y[i] = moved;
            self.step.lambda[i] = -(self.step.centring[i] + self.lambda[i] * moved) / self.y[i];
        }
    }
}

/// Adds the step and then as much to all entries as makes the least of them positive.
fn shift(point: &mut [f64], step: &[f64]) {
    move_along(point, 1.0, step);
    let (least, most) = point
        .iter()
        .fold((0.0_f64, 0.0_f64), |(least, most), value| (least.min(*value), most.max(value.abs())));
    point.iter_mut().for_each(|value| *value += -1.5 * least + 1e-3 * most.max(1e-3));
}

fn move_along(point: &mut [f64], length: f64, step: &[f64]) {
    for (value, step) in point.iter_mut().zip(step) {
        *value += length * step;
    }
}
