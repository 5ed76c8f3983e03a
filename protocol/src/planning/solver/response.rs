//! How an asset's share answers to prices: its slope on the active set.

use alloc::{vec, vec::Vec};

use super::layout::Curvature;
use crate::planning::{
    cholesky,
    problem::{Hessian, LocalProblem},
};

/// A variable or row closer than this to a side, relative to the side's magnitude, counts as held by it.
const ACTIVE: f64 = 1e-6;

/// The entries of `S (H⁻¹ − H⁻¹Aᵀ(A H⁻¹Aᵀ)⁻¹A H⁻¹) Sᵀ` in the free variables of `x` with its active rows `A`: the slope of
/// the share `S x(λ)` of `argmin f(x) + λᵀS x`, with its sign turned (an element of its generalised Jacobian, Sun and Sun
/// 2002). O(n³ + n² m) for a dense Hessian, O(n m (m + rows)) for a diagonal one.
#[must_use]
pub fn slope(problem: &LocalProblem, x: &[f64], curvature: Curvature) -> Vec<f64> {
    let m = problem.couplings();
    if curvature == Curvature::None {
        return Vec::new();
    }
    let free = free(problem, x);
    let touched = touched(problem, &free);
    let mut columns: Vec<Vec<f64>> = touched.iter().map(|(_, column)| column.clone()).collect();
    let mut rows = active_rows(problem, x, &free);
    whiten(problem, &free, columns.iter_mut().chain(&mut rows));
    let basis = orthonormal(rows);
    for column in &mut columns {
        project_out(column, &basis);
    }
    let product = |a: usize, b: usize| cholesky::dot(&columns[a], &columns[b]);
    let mut entries = vec![0.0; curvature.entries(m)];
    for (a, (coupling, _)) in touched.iter().enumerate() {
        match curvature {
            Curvature::None => {}
            Curvature::Scalar => entries[0] += product(a, a) / m as f64,
            Curvature::Diagonal => entries[*coupling] = product(a, a),
            Curvature::Matrix => {
                let first = coupling * (coupling + 1) / 2;
                for (b, (other, _)) in touched[..=a].iter().enumerate() {
                    entries[first + other] = product(a, b);
                }
            }
        }
    }
    entries
}

/// The variables that no bound holds.
fn free(problem: &LocalProblem, x: &[f64]) -> Vec<usize> {
    let parts = problem.parts();
    let holds = |side: f64, value: f64| (side - value).abs() <= ACTIVE * side.abs().max(1.0);
    (0..x.len())
        .filter(|&i| parts.lower[i] < parts.upper[i])
        .filter(|&i| !holds(parts.lower[i], x[i]) && !holds(parts.upper[i], x[i]))
        .collect()
}

/// The couplings that free variables share in, ascending, each with its column of `Sᵀ`.
fn touched(problem: &LocalProblem, free: &[usize]) -> Vec<(usize, Vec<f64>)> {
    let mut terms: Vec<(usize, usize, f64)> = problem
        .parts()
        .shared
        .iter()
        .filter_map(|term| Some((term.coupling, free.binary_search(&term.variable).ok()?, term.coefficient)))
        .collect();
    terms.sort_by_key(|&(coupling, variable, _)| (coupling, variable));
    let column = |group: &[(usize, usize, f64)]| {
        let mut column = vec![0.0; free.len()];
        group.iter().for_each(|&(_, variable, coefficient)| column[variable] += coefficient);
        (group[0].0, column)
    };
    terms.chunk_by(|a, b| a.0 == b.0).map(column).collect()
}

/// The rows that hold `x`, in the free variables.
fn active_rows(problem: &LocalProblem, x: &[f64], free: &[usize]) -> Vec<Vec<f64>> {
    let mut active = Vec::new();
    for row in &problem.parts().rows {
        let value: f64 = row.terms.iter().map(|&(variable, a)| a * x[variable]).sum();
        let magnitude =
            row.terms.iter().fold(1.0_f64, |most, &(variable, a)| most.max((a * x[variable]).abs()));
        let holds = |side: f64| (side - value).abs() <= ACTIVE * magnitude.max(value.abs());
        if holds(row.lower) || holds(row.upper) {
            let mut column = vec![0.0; free.len()];
            for &(variable, a) in &row.terms {
                if let Ok(reduced) = free.binary_search(&variable) {
                    column[reduced] = a;
                }
            }
            active.push(column);
        }
    }
    active
}

/// Replaces each column `c` by `L⁻¹c`, where `L Lᵀ` is the Hessian of the free variables.
fn whiten<'a>(problem: &LocalProblem, free: &[usize], columns: impl Iterator<Item = &'a mut Vec<f64>>) {
    let n = free.len();
    match &problem.parts().hessian {
        Hessian::Diagonal(diagonal) => {
            let roots: Vec<f64> = free.iter().map(|&i| libm::sqrt(diagonal[i])).collect();
            for column in columns {
                column.iter_mut().zip(&roots).for_each(|(value, root)| *value /= root);
            }
        }
        Hessian::Dense(_) => {
            let entry = |&i: &usize| free.iter().map(move |&j| problem.hessian_entry(i, j));
            let mut factor: Vec<f64> = free.iter().flat_map(entry).collect();
            // A principal part of a positive definite matrix is positive definite.
            if cholesky::factor(&mut factor, n, 0.0).is_err() {
                columns.for_each(|column| column.fill(0.0));
                return;
            }
            for column in columns {
                for i in 0..n {
                    let row = &factor[i * n..i * n + i + 1];
                    column[i] = (column[i] - cholesky::dot(&row[..i], &column[..i])) / row[i];
                }
            }
        }
    }
}

/// An orthonormal basis of the rows' span (modified Gram-Schmidt, twice); dependent rows add nothing.
fn orthonormal(rows: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let mut basis: Vec<Vec<f64>> = Vec::new();
    for mut row in rows {
        let before = libm::sqrt(cholesky::dot(&row, &row));
        project_out(&mut row, &basis);
        project_out(&mut row, &basis);
        let length = libm::sqrt(cholesky::dot(&row, &row));
        if length > 1e-9 * before && length > 0.0 {
            row.iter_mut().for_each(|value| *value /= length);
            basis.push(row);
        }
    }
    basis
}

fn project_out(column: &mut [f64], basis: &[Vec<f64>]) {
    for direction in basis {
        let along = cholesky::dot(column, direction);
        column.iter_mut().zip(direction).for_each(|(value, part)| *value -= along * part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planning::{Commodity, ProblemParts, Qp, QpSettings, Schedule, SharedTerm};

    /// The share at `prices`.
    fn share(problem: &LocalProblem, prices: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let parts = problem.parts();
        let qp = Qp::new(&problem.hessian_dense(), &parts.lower, &parts.upper, &parts.rows).expect("valid");
        let mut linear = parts.linear.clone();
        for term in &parts.shared {
            linear[term.variable] += term.coefficient * prices[term.coupling];
        }
        let x = qp.solve(&linear, QpSettings::default()).expect("fits").x;
        (problem.share(&x), x)
    }

    fn check(problem: &LocalProblem, prices: &[f64]) {
        let m = problem.couplings();
        let (_, x) = share(problem, prices);
        let matrix = slope(problem, &x, Curvature::Matrix);
        let diagonal = slope(problem, &x, Curvature::Diagonal);
        let scalar = slope(problem, &x, Curvature::Scalar);
        let h = 1e-4;
        for k in 0..m {
            let (mut up, mut down) = (prices.to_vec(), prices.to_vec());
            up[k] += h;
            down[k] -= h;
            let (up, down) = (share(problem, &up).0, share(problem, &down).0);
            for j in 0..m {
                let (high, low) = (k.max(j), k.min(j));
                let measured = -(up[j] - down[j]) / (2.0 * h);
                let found = matrix[high * (high + 1) / 2 + low];
                assert!((found - measured).abs() < 1e-4, "({j}, {k}): {found}, measured {measured}");
            }
            assert_eq!(diagonal[k], matrix[k * (k + 1) / 2 + k]);
        }
        assert!((scalar[0] - diagonal.iter().sum::<f64>() / m as f64).abs() < 1e-12);
    }

    #[test]
    fn the_slope_is_the_measured_one_of_a_schedule() {
        let commodity = Commodity {
            preferred: vec![1.0, 4.0, 2.0, 3.0],
            curvature: vec![1.0, 2.0, 0.5, 1.5],
            minimum: vec![0.0; 4],
            maximum: vec![3.0; 4],
            total_minimum: None,
            total_maximum: Some(6.0),
            ramp: Some(1.0),
        };
        let problem = Schedule { slots: 4, commodities: vec![commodity] }.problem().expect("valid");
        for prices in [[0.13, 0.07, -0.05, 0.21], [0.7, -0.4, 0.2, 0.3], [9.0, 0.0, -1.0, 0.1]] {
            check(&problem, &prices);
        }
    }

    #[test]
    fn the_slope_is_the_measured_one_of_a_dense_problem() {
        let parts = ProblemParts {
            hessian: Hessian::Dense(vec![2.0, 1.0, 0.0, 1.0, 3.0, 0.5, 0.0, 0.5, 1.0]),
            linear: vec![1.0, -1.0, 0.5],
            constant: 0.0,
            lower: vec![-9.0, -0.1, -9.0],
            upper: vec![9.0; 3],
            rows: vec![],
            shared: vec![
                SharedTerm { variable: 0, coupling: 0, coefficient: 1.0 },
                SharedTerm { variable: 1, coupling: 0, coefficient: -2.0 },
                SharedTerm { variable: 2, coupling: 1, coefficient: 1.0 },
            ],
            couplings: 2,
        };
        let problem = LocalProblem::new(parts).expect("valid");
        for prices in [[0.0, 0.0], [-3.0, 1.0], [2.0, -1.0]] {
            check(&problem, &prices);
        }
    }
}
