//! The dual active set method on a prepared program: [`Solve`].
//!
//! Goldfarb and Idnani 1983, Algorithm 2: from the optimum for some of the constraints, the most violated one is added, and
//! what its step makes negative among the multipliers is dropped. The dual objective grows with every step, so no set comes
//! back. A Newton correction with the exact residuals ends it, which is also how a warm start begins: the last set's optimum
//! for the new linear term is one correction away; active constraints whose multipliers became negative are dropped first.
//!
//! A cost that is not strictly convex is solved by proximal points (Rockafellar 1976; Arnström, Bemporad and Axehill 2022,
//! "A dual active-set solver for embedded quadratic programming using recursive LDLᵀ updates", §IV): every outer step is a
//! strictly convex program that differs in the linear term only, and starts warm.

use alloc::{vec, vec::Vec};

use super::{
    QpSettings, Stop,
    active::{Active, Side, add},
};
use crate::planning::cholesky::dot;

/// A program on its free variables, as [`Solve`] reads it.
#[derive(Clone, Debug)]
pub(super) struct Program {
    /// `P`, row-major.
    pub(super) hessian: Vec<f64>,
    pub(super) rows: super::rows::Rows,
    /// `δ`: the weight of the proximal term; zero for a strictly convex cost.
    pub(super) proximal: f64,
    /// `L⁻¹` with `L Lᵀ = P + δI`, row-major.
    pub(super) basis: Vec<f64>,
    /// `1/‖L⁻¹ normal‖` of each row: violations are compared in the metric of the cost.
    pub(super) weights: Vec<f64>,
    /// The greatest bound, at least 1.
    pub(super) magnitude: f64,
}

/// What survives from one solve to the next.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) active: Active,
    pub(super) x: Vec<f64>,
    /// Rows that the active ones determine and that are violated by rounding only: left out for the rest of the solve.
    ignored: Vec<usize>,
    /// Whether `active` belongs to the program's present basis and `x` is of use.
    pub(super) warm: bool,
}

impl State {
    pub(super) fn new(program: &Program, n: usize) -> Self {
        let active = Active::new(program.basis.clone(), n, program.rows.len());
        Self { active, x: vec![0.0; n], ignored: Vec::new(), warm: false }
    }

    /// A place holder without allocations.
    pub(super) fn empty() -> Self {
        Self { active: Active::new(Vec::new(), 0, 0), x: Vec::new(), ignored: Vec::new(), warm: false }
    }
}

/// One solve.
pub(super) struct Solve<'a> {
    program: &'a Program,
    state: &'a mut State,
    /// The linear term, and with it the pull of the proximal centre.
    linear: &'a [f64],
    pulled: Vec<f64>,
    dual: Vec<f64>,
    primal: Vec<f64>,
    steps: u32,
    limit: u32,
}

/// Violations within this, relative to the greatest bound, are left to the final correction.
const FEASIBLE: f64 = 1e-11;
const CORRECTIONS: u32 = 4;
/// The squared sine of the angle below which a normal counts as dependent on the active ones.
const DEPENDENT: f64 = 1e-17;
/// The same for an equality that holds already: near-dependent equalities are left out rather than divided by.
const REDUNDANT: f64 = 1e-11;
/// A multiplier blocks a dual step only if it falls by more than this part of what the others change by: less is rounding.
const BLOCKING: f64 = 1e-13;
/// A row that the active ones determine may be violated by this much, relative, before it counts.
const ROUNDING: f64 = 1e-8;
/// Relative error up to which a proof of infeasibility is one.
const PROOF: f64 = 1e-7;

enum Failure {
    Infeasible,
    Lost,
    Limit,
}

impl<'a> Solve<'a> {
    pub(super) fn new(program: &'a Program, state: &'a mut State, linear: &'a [f64]) -> Self {
        let (dual, primal) = (vec![0.0; linear.len()], Vec::with_capacity(linear.len()));
        Self { program, state, linear, pulled: linear.to_vec(), dual, primal, steps: 0, limit: 0 }
    }

    /// Solves from the state; answers why it stopped, the residual and the steps.
    pub(super) fn run(&mut self, settings: QpSettings) -> (Stop, f64, u32) {
        self.limit = settings.max_iterations;
        let warm = self.state.warm;
        let mut end = self.attempt(settings);
        if warm && end.0 != Stop::Solved {
            // Factors lose digits over thousands of changes, and a far guess can be worse than none.
            self.state.warm = false;
            self.pulled.copy_from_slice(self.linear);
            end = self.attempt(settings);
        }
        (end.0, end.1, self.steps)
    }

    fn attempt(&mut self, settings: QpSettings) -> (Stop, f64) {
        let outcome = if self.program.proximal > 0.0 {
            self.proximal_points(settings.tolerance)
        } else {
            self.strict()
        };
        let residual = self.residual();
        self.state.warm = outcome.is_ok();
        let stop = match outcome {
            _ if residual <= settings.tolerance => Stop::Solved,
            Ok(()) | Err(Failure::Lost) => Stop::Stalled,
            Err(Failure::Infeasible) => Stop::Infeasible,
            Err(Failure::Limit) => Stop::IterationLimit,
        };
        (stop, residual)
    }

    fn proximal_points(&mut self, tolerance: f64) -> Result<(), Failure> {
        let delta = self.program.proximal;
        if !self.state.warm {
            self.state.x.fill(0.0);
        }
        loop {
            for ((pulled, linear), x) in self.pulled.iter_mut().zip(self.linear).zip(&self.state.x) {
                *pulled = linear - delta * x;
            }
            let before = self.state.x.clone();
            self.strict()?;
            self.state.warm = true;
            let moved =
                before.iter().zip(&self.state.x).fold(0.0_f64, |most, (a, b)| most.max((a - b).abs()));
            if !moved.is_finite() || moved * delta <= 1e-2 * tolerance && self.residual() <= tolerance {
                return Ok(());
            }
            self.steps += 1;
            if self.steps >= self.limit {
                return Err(Failure::Limit);
            }
        }
    }

    /// Solves the strictly convex program with the linear term `pulled`.
    fn strict(&mut self) -> Result<(), Failure> {
        for row in self.state.ignored.drain(..) {
            self.state.active.held[row] = false;
        }
        if self.state.warm {
            self.resume()?;
        } else {
            self.begin()?;
        }
        for _ in 0..=CORRECTIONS {
            while let Some(side) = self.most_violated() {
                self.enter(side)?;
            }
            self.refine();
            if self.most_violated().is_none() {
                break;
            }
        }
        Ok(())
    }

    /// The optimum without inequalities.
    fn begin(&mut self) -> Result<(), Failure> {
        let n = self.linear.len();
        self.state.active.reset(&self.program.basis);
        self.state.x.fill(0.0);
        for row in self.program.basis.chunks_exact(n.max(1)) {
            let force = -dot(row, &self.pulled);
            add(&mut self.state.x, force, row);
        }
        let rows = &self.program.rows;
        for row in (0..rows.len()).filter(|&row| rows.is_equality(row)) {
            let above = rows.product(row, &self.state.x) > rows.lower[row];
            let sign = if above { -1.0 } else { 1.0 };
            self.enter(Side { row, sign, equality: true })?;
        }
        Ok(())
    }

    /// The last set's optimum for the new linear term, without the constraints that would pull.
    fn resume(&mut self) -> Result<(), Failure> {
        loop {
            self.correct();
            let (set, multipliers) = (&self.state.active.set, &self.state.active.multipliers);
            let mut worst: Option<(usize, f64)> = None;
            for (position, (side, &multiplier)) in set.iter().zip(multipliers).enumerate() {
                if !side.equality && multiplier < worst.map_or(0.0, |worst| worst.1) {
                    worst = Some((position, multiplier));
                }
            }
            let Some((position, _)) = worst else { return Ok(()) };
            self.state.active.remove(position);
            self.count()?;
        }
    }

    fn count(&mut self) -> Result<(), Failure> {
        self.steps += 1;
        if self.steps >= self.limit { Err(Failure::Limit) } else { Ok(()) }
    }

    /// The side that is violated most in the metric of the cost; the first of equals.
    fn most_violated(&self) -> Option<Side> {
        let (rows, state) = (&self.program.rows, &self.state);
        let tolerance = FEASIBLE * self.program.magnitude;
        let mut worst = None;
        let mut most = 0.0;
        for row in 0..rows.len() {
            if state.active.held[row] || rows.is_equality(row) {
                continue;
            }
            let value = rows.product(row, &state.x);
            let (under, over) = (rows.lower[row] - value, value - rows.upper[row]);
            let (violation, sign) = if under > over { (under, 1.0) } else { (over, -1.0) };
            if violation > tolerance && violation * self.program.weights[row] > most {
                most = violation * self.program.weights[row];
                worst = Some(Side { row, sign, equality: false });
            }
        }
        worst
    }

    /// Makes a violated side active, dropping those that it pushes off.
    fn enter(&mut self, side: Side) -> Result<(), Failure> {
        let rows = &self.program.rows;
        let mut multiplier = 0.0;
        loop {
            self.count()?;
            let active = &mut self.state.active;
            let direction = active.aim(rows, side);
            let slack = side.slack(rows, &self.state.x);
            if side.equality && direction.sine <= REDUNDANT {
                let scale = 1.0 + rows.size(side.row, &self.state.x);
                if slack.abs() <= 1e-9 * scale {
                    return Ok(());
                }
            }
            let dependent = direction.sine <= DEPENDENT;
            let steps = &active.dual_step[..active.set.len()];
            let least = BLOCKING * steps.iter().fold(0.0_f64, |most, step| most.max(step.abs()));
            let mut drop: Option<(usize, f64)> = None;
            for (position, entry) in active.set.iter().enumerate() {
                let fall = active.dual_step[position];
                if !entry.equality && fall > least {
                    let length = active.multipliers[position].max(0.0) / fall;
                    if drop.is_none_or(|(_, least)| length < least) {
                        drop = Some((position, length));
                    }
                }
            }
            let full = if dependent { f64::INFINITY } else { -slack / direction.rate };
            let partial = drop.map_or(f64::INFINITY, |(_, length)| length);
            let length = full.min(partial);
            if length == f64::INFINITY {
                if slack.abs() <= ROUNDING * (self.program.magnitude + rows.size(side.row, &self.state.x)) {
                    self.state.active.held[side.row] = true;
                    self.state.ignored.push(side.row);
                    return Ok(());
                }
                return Err(if self.excludes(side) { Failure::Infeasible } else { Failure::Lost });
            }
            for (value, step) in active.multipliers.iter_mut().zip(&active.dual_step) {
                *value -= length * step;
            }
            multiplier += length;
            if !dependent {
                add(&mut self.state.x, length, &active.step);
            }
            if full <= partial {
                active.add(side, multiplier);
                return Ok(());
            }
            if let Some((position, _)) = drop {
                active.remove(position);
            }
        }
    }

    /// Whether the active constraints prove that `side`, just aimed at, cannot be met: its normal is `Σ rₖ·normalₖ` with `rₖ ≤ 0` for
    /// inequalities, so that every feasible point stays below `Σ rₖ·boundₖ`, which is below its bound (Farkas).
    fn excludes(&mut self, side: Side) -> bool {
        let (rows, active) = (&self.program.rows, &self.state.active);
        self.dual.fill(0.0);
        rows.add_to(side.row, side.sign, &mut self.dual);
        let most = |list: &[f64]| list.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
        let mut scale = most(&self.dual);
        let mut margin = side.sign * side.bound(rows);
        let mut sides = 1.0 + margin.abs();
        for (entry, factor) in active.set.iter().zip(&active.dual_step) {
            rows.add_to(entry.row, -factor * entry.sign, &mut self.dual);
            margin -= factor * entry.sign * entry.bound(rows);
            scale = scale.max(factor.abs());
            sides = sides.max((factor * entry.bound(rows)).abs());
        }
        most(&self.dual) <= PROOF * scale && margin > PROOF * sides
    }

    /// Newton corrections while they help.
    fn refine(&mut self) {
        let mut last = f64::INFINITY;
        for _ in 0..CORRECTIONS {
            let size = self.imbalance();
            if size.is_nan() || size >= 0.5 * last || size == 0.0 {
                break;
            }
            last = size;
            self.state.active.correct(&mut self.state.x, &self.dual, &self.primal);
        }
    }

    fn correct(&mut self) {
        self.imbalance();
        self.state.active.correct(&mut self.state.x, &self.dual, &self.primal);
    }

    /// Recomputes the residuals of the active constraints' conditions; answers the greatest, relative.
    fn imbalance(&mut self) -> f64 {
        let (program, state) = (self.program, &*self.state);
        let n = state.x.len();
        let (mut forces, mut most) = (1.0_f64, 0.0_f64);
        for (i, target) in self.dual.iter_mut().enumerate() {
            let product = dot(&program.hessian[i * n..(i + 1) * n], &state.x);
            forces = forces.max(product.abs()).max(self.pulled[i].abs());
            *target = product + program.proximal * state.x[i] + self.pulled[i];
        }
        self.primal.clear();
        for (side, multiplier) in state.active.set.iter().zip(&state.active.multipliers) {
            program.rows.add_to(side.row, -side.sign * multiplier, &mut self.dual);
            self.primal.push(side.slack(&program.rows, &state.x));
        }
        for value in &self.primal {
            most = most.max(value.abs() / program.magnitude);
        }
        self.dual.iter().fold(most, |most, value| most.max(value.abs() / forces))
    }

    /// The greatest relative residual of stationarity, feasibility and complementarity, without the proximal term and with
    /// negative multipliers counted as zero.
    fn residual(&mut self) -> f64 {
        let (program, state) = (self.program, &*self.state);
        let n = state.x.len();
        let (mut forces, mut quadratic) = (1.0_f64, 0.0);
        for (i, target) in self.dual.iter_mut().enumerate() {
            let product = dot(&program.hessian[i * n..(i + 1) * n], &state.x);
            forces = forces.max(product.abs()).max(self.linear[i].abs());
            quadratic += product * state.x[i];
            *target = product + self.linear[i];
        }
        let objective = 0.5 * quadratic + dot(self.linear, &state.x);
        let mut gap = 0.0;
        for (side, multiplier) in state.active.set.iter().zip(&state.active.multipliers) {
            let multiplier = if side.equality { *multiplier } else { multiplier.max(0.0) };
            program.rows.add_to(side.row, -side.sign * multiplier, &mut self.dual);
            gap += (multiplier * side.slack(&program.rows, &state.x)).abs();
        }
        let mut violation = 0.0_f64;
        for row in 0..program.rows.len() {
            let value = program.rows.product(row, &state.x);
            violation = violation.max(program.rows.lower[row] - value).max(value - program.rows.upper[row]);
        }
        let stationarity = self.dual.iter().fold(0.0_f64, |most, value| most.max(value.abs())) / forces;
        let total = stationarity.max(violation / program.magnitude).max(gap / (1.0 + objective.abs()));
        // `max` skips NaN: a sum does not.
        let whole = stationarity + violation + gap + self.dual.iter().sum::<f64>();
        if whole.is_finite() { total } else { f64::INFINITY }
    }
}
