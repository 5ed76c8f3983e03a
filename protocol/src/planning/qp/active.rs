//! The active set of a program and its factors: [`Active`].
//!
//! With `P = L Lᵀ` and the active normals as the columns of `N`, it keeps `J = L⁻ᵀ Q` and `R`, where `Qᵀ L⁻¹ N = [R; 0]`
//! (Goldfarb and Idnani 1983, "A numerically stable dual method for solving strictly convex quadratic programs",
//! Mathematical Programming 27, §4). `J J₂ᵀ`, its last columns, project onto what the active constraints leave free.

use alloc::{vec, vec::Vec};

use super::rows::Rows;
use crate::planning::cholesky::dot;

/// A row on one of its sides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Side {
    pub(super) row: usize,
    /// `1` at the lower bound, `−1` at the upper: the normal is `sign · row`, and `sign · row · x ≥ sign · bound`.
    pub(super) sign: f64,
    pub(super) equality: bool,
}

impl Side {
    pub(super) fn bound(self, rows: &Rows) -> f64 {
        if self.sign > 0.0 { rows.lower[self.row] } else { rows.upper[self.row] }
    }

    /// Negative when violated.
    pub(super) fn slack(self, rows: &Rows, x: &[f64]) -> f64 {
        self.sign * (rows.product(self.row, x) - self.bound(rows))
    }
}

/// The active constraints, their multipliers and the factors.
#[derive(Clone, Debug)]
pub(super) struct Active {
    n: usize,
    /// The columns of `J`, one after the other.
    basis: Vec<f64>,
    /// The columns of `R`, each `n` apart.
    triangle: Vec<f64>,
    pub(super) set: Vec<Side>,
    /// One multiplier for each side of the set.
    pub(super) multipliers: Vec<f64>,
    /// Whether a row is in the set.
    pub(super) held: Vec<bool>,
    /// `Jᵀ` times the normal in question.
    image: Vec<f64>,
    /// The primal step `J₂ J₂ᵀ · normal`.
    pub(super) step: Vec<f64>,
    /// The dual step `R⁻¹ J₁ᵀ · normal`.
    pub(super) dual_step: Vec<f64>,
    scratch: Vec<f64>,
}

/// What a new constraint's normal is to the active ones.
pub(super) struct Direction {
    /// `‖J₂ᵀ normal‖²`: how fast the slack grows along the step; zero when the normal depends on the active ones.
    pub(super) rate: f64,
    /// The squared sine of the angle to the active normals, in the metric of the cost.
    pub(super) sine: f64,
}

impl Active {
    /// No active constraints. `basis` is `L⁻¹`, row-major.
    pub(super) fn new(basis: Vec<f64>, n: usize, rows: usize) -> Self {
        Self {
            n,
            basis,
            triangle: vec![0.0; n * n],
            set: Vec::with_capacity(n),
            multipliers: Vec::with_capacity(n),
            held: vec![false; rows],
            image: vec![0.0; n],
            step: vec![0.0; n],
            dual_step: vec![0.0; n],
            scratch: vec![0.0; n],
        }
    }

    /// Starts over with another `basis`, without active constraints.
    pub(super) fn reset(&mut self, basis: &[f64]) {
        self.basis.copy_from_slice(basis);
        self.set.clear();
        self.multipliers.clear();
        self.held.fill(false);
    }

    fn column(&self, k: usize) -> &[f64] {
        &self.basis[k * self.n..(k + 1) * self.n]
    }

    /// Prepares the steps for the normal of `side`; O(n²).
    pub(super) fn aim(&mut self, rows: &Rows, side: Side) -> Direction {
        let (n, active) = (self.n, self.set.len());
        for k in 0..n {
            self.image[k] = side.sign * rows.product(side.row, &self.basis[k * n..(k + 1) * n]);
        }
        self.step.fill(0.0);
        for k in active..n {
            add(&mut self.step, self.image[k], &self.basis[k * n..(k + 1) * n]);
        }
        self.dual_step[..active].copy_from_slice(&self.image[..active]);
        back_substitute(&self.triangle, n, &mut self.dual_step[..active]);
        let rate = dot(&self.image[active..], &self.image[active..]);
        let whole = rate + dot(&self.image[..active], &self.image[..active]);
        Direction { rate, sine: if whole > 0.0 { rate / whole } else { 0.0 } }
    }

    /// Adds the side last aimed at, by one reflection; O(n²).
    pub(super) fn add(&mut self, side: Side, multiplier: f64) {
        let (n, active) = (self.n, self.set.len());
        let length = libm::sqrt(dot(&self.image[active..], &self.image[active..]));
        let pivot = if self.image[active] > 0.0 { -length } else { length };
        // The reflection I − βvvᵀ takes the rest of the image to the pivot; J₂v follows from the step.
        self.scratch.copy_from_slice(&self.step);
        add(&mut self.scratch, -pivot, &self.basis[active * n..(active + 1) * n]);
        let first = self.image[active] - pivot;
        self.image[active] = first;
        let squared = dot(&self.image[active..], &self.image[active..]);
        if squared > 0.0 {
            for k in active..n {
                let scale = -2.0 * self.image[k] / squared;
                add(&mut self.basis[k * n..(k + 1) * n], scale, &self.scratch);
            }
        }
        let target = &mut self.triangle[active * n..active * n + active + 1];
        target[..active].copy_from_slice(&self.image[..active]);
        target[active] = pivot;
        self.set.push(side);
        self.multipliers.push(multiplier);
        self.held[side.row] = true;
    }

    /// Removes an active constraint and makes `R` triangular again by rotations; O(n²).
    pub(super) fn remove(&mut self, position: usize) {
        let n = self.n;
        let side = self.set.remove(position);
        self.multipliers.remove(position);
        self.held[side.row] = false;
        let active = self.set.len();
        for column in position..active {
            let (left, right) = self.triangle.split_at_mut((column + 1) * n);
            left[column * n..column * n + column + 2].copy_from_slice(&right[..column + 2]);
        }
        for k in position..active {
            let (a, b) = (self.triangle[k * n + k], self.triangle[k * n + k + 1]);
            let length = libm::sqrt(a * a + b * b);
            if length == 0.0 {
                continue;
            }
            let (cosine, sine) = (a / length, b / length);
            for column in k..active {
                let entry = &mut self.triangle[column * n + k..column * n + k + 2];
                (entry[0], entry[1]) =
                    (cosine * entry[0] + sine * entry[1], cosine * entry[1] - sine * entry[0]);
            }
            let (upper, lower) = self.basis[k * n..(k + 2) * n].split_at_mut(n);
            for (u, l) in upper.iter_mut().zip(lower) {
                (*u, *l) = (cosine * *u + sine * *l, cosine * *l - sine * *u);
            }
        }
    }

    /// One Newton step on the active constraints taken as equalities: `x` and the multipliers move so that
    /// `P x + g − N u = 0` and `Nᵀx = d`, given by how much (`dual`, `primal`) they are not; O(n²).
    pub(super) fn correct(&mut self, x: &mut [f64], dual: &[f64], primal: &[f64]) {
        let active = self.set.len();
        let mut y = core::mem::take(&mut self.image);
        let mut change = core::mem::take(&mut self.dual_step);
        for (k, y) in y.iter_mut().enumerate() {
            *y = -dot(self.column(k), dual);
        }
        for (k, primal) in primal.iter().enumerate() {
            let column = &self.triangle[k * self.n..k * self.n + k + 1];
            self.scratch[k] = (-primal - dot(&column[..k], &self.scratch[..k])) / column[k];
        }
        for k in 0..active {
            // y₁ = −R⁻ᵀ·primal, and R·Δu = y₁ + J₁ᵀ·dual.
            change[k] = self.scratch[k] - y[k];
            y[k] = self.scratch[k];
        }
        back_substitute(&self.triangle, self.n, &mut change[..active]);
        for (k, y) in y.iter().enumerate() {
            add(x, *y, self.column(k));
        }
        for (multiplier, change) in self.multipliers.iter_mut().zip(&change) {
            *multiplier += change;
        }
        (self.image, self.dual_step) = (y, change);
    }

    /// The diagonal of `J₂ J₂ᵀ` in the metric of `direction`: `dᵀ J₂ J₂ᵀ d`, how far the optimum moves along `d` per unit of
    /// force along `d` while the active set stays.
    pub(super) fn compliance(&self, direction: &[f64]) -> f64 {
        let free = self.set.len()..self.n;
        free.map(|k| dot(self.column(k), direction)).map(|part| part * part).sum()
    }
}

/// `target += scale · step`.
pub(super) fn add(target: &mut [f64], scale: f64, step: &[f64]) {
    for (value, step) in target.iter_mut().zip(step) {
        *value += scale * step;
    }
}

/// Solves `R y = b` in place, `R` by columns.
fn back_substitute(triangle: &[f64], n: usize, b: &mut [f64]) {
    for k in (0..b.len()).rev() {
        let column = &triangle[k * n..k * n + k + 1];
        let value = b[k] / column[k];
        b[k] = value;
        add(&mut b[..k], -value, &column[..k]);
    }
}
