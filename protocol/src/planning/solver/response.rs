//! How an asset's share answers to prices: its slope on the active set ([`ActiveSet`]).

use alloc::{vec, vec::Vec};

use super::layout::Curvature;
use crate::planning::{
    cholesky,
    problem::{Hessian, LocalProblem},
};

/// A variable or row closer than this to a side, relative to the side's magnitude, counts as held by it.
const ACTIVE: f64 = 1e-6;

/// Which bounds and rows hold a point, and how the point moves where they go on holding it.
///
/// Its response is `K = H⁻¹ − H⁻¹Aᵀ(A H⁻¹Aᵀ)⁻¹A H⁻¹` in the free variables, with the holding rows `A`.
#[derive(Clone, Debug)]
pub struct ActiveSet {
    free: Vec<usize>,
    root: Root,
    /// An orthonormal basis of the whitened holding rows.
    basis: Vec<Vec<f64>>,
}

/// `L` of `L Lᵀ`, the Hessian of the free variables.
#[derive(Clone, Debug)]
enum Root {
    Diagonal(Vec<f64>),
    Dense(Vec<f64>),
}

impl ActiveSet {
    /// What holds `x`. O(n³) for a dense Hessian, O(n · rows²) for a diagonal one.
    #[must_use]
    pub fn at(problem: &LocalProblem, x: &[f64]) -> Self {
        let free = free(problem, x);
        let rows = active_rows(problem, x, &free);
        Self::new(problem, free, rows)
    }

    /// Nothing but variables that have no room at all: the response if no limit of the asset's own were in the way.
    #[must_use]
    pub fn none(problem: &LocalProblem) -> Self {
        let parts = problem.parts();
        let free = (0..parts.lower.len()).filter(|&i| parts.lower[i] < parts.upper[i]).collect();
        Self::new(problem, free, Vec::new())
    }

    fn new(problem: &LocalProblem, free: Vec<usize>, mut rows: Vec<Vec<f64>>) -> Self {
        let root = Root::of(problem, &free);
        rows.iter_mut().for_each(|row| root.whiten(row));
        Self { free, root, basis: orthonormal(rows) }
    }

    /// The entries of `S K Sᵀ`: the slope of the share `S x(λ)` of `argmin f(x) + λᵀS x`, with its sign turned (an element of
    /// its generalised Jacobian, Sun and Sun 2002). O(m² n).
    #[must_use]
    pub fn slope(&self, problem: &LocalProblem, curvature: Curvature) -> Vec<f64> {
        let m = problem.couplings();
        if curvature == Curvature::None {
            return Vec::new();
        }
        let mut touched = touched(problem, &self.free);
        for (_, column) in &mut touched {
            self.root.whiten(column);
            project_out(column, &self.basis);
        }
        let product = |a: usize, b: usize| cholesky::dot(&touched[a].1, &touched[b].1);
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

    /// `K g`: how far a point goes along `−g` to where the model of the cost is least, held as it is. O(n²).
    #[must_use]
    pub fn step(&self, gradient: &[f64]) -> Vec<f64> {
        let mut reduced: Vec<f64> = self.free.iter().map(|&i| gradient[i]).collect();
        self.root.whiten(&mut reduced);
        project_out(&mut reduced, &self.basis);
        self.root.unwhiten(&mut reduced);
        let mut step = vec![0.0; gradient.len()];
        self.free.iter().zip(reduced).for_each(|(&i, value)| step[i] = value);
        step
    }
}

impl Root {
    fn of(problem: &LocalProblem, free: &[usize]) -> Self {
        match &problem.parts().hessian {
            Hessian::Diagonal(diagonal) => {
                Self::Diagonal(free.iter().map(|&i| libm::sqrt(diagonal[i])).collect())
            }
            Hessian::Dense(_) => {
                let entry = |&i: &usize| free.iter().map(move |&j| problem.hessian_entry(i, j));
                let mut factor: Vec<f64> = free.iter().flat_map(entry).collect();
                // A principal part of a positive definite matrix is positive definite: this cannot fail but for rounding.
                match cholesky::factor(&mut factor, free.len(), 0.0) {
                    Ok(()) => Self::Dense(factor),
                    Err(_) => Self::Diagonal(vec![f64::INFINITY; free.len()]),
                }
            }
        }
    }

    /// `L⁻¹c`.
    fn whiten(&self, column: &mut [f64]) {
        match self {
            Self::Diagonal(roots) => {
                column.iter_mut().zip(roots).for_each(|(value, root)| *value /= root);
            }
            Self::Dense(factor) => {
                let n = column.len();
                for i in 0..n {
                    let row = &factor[i * n..i * n + i + 1];
                    column[i] = (column[i] - cholesky::dot(&row[..i], &column[..i])) / row[i];
                }
            }
        }
    }

    /// `L⁻ᵀc`.
    fn unwhiten(&self, column: &mut [f64]) {
        match self {
            Self::Diagonal(_) => self.whiten(column),
            Self::Dense(factor) => {
                let n = column.len();
                for i in (0..n).rev() {
                    let below: f64 = (i + 1..n).map(|j| factor[j * n + i] * column[j]).sum();
                    column[i] = (column[i] - below) / factor[i * n + i];
                }
            }
        }
    }
}

/// The slope of the share at `x`, on the active set there: [`ActiveSet::slope`].
#[must_use]
pub fn slope(problem: &LocalProblem, x: &[f64], curvature: Curvature) -> Vec<f64> {
    ActiveSet::at(problem, x).slope(problem, curvature)
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
    use crate::planning::{Commodity, ProblemParts, Qp, QpSettings, Row, Schedule, SharedTerm};

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
    fn a_step_ends_where_the_held_point_is_best() {
        let hessian = vec![2.0, 1.0, 0.0, 1.0, 3.0, 0.5, 0.0, 0.5, 1.0];
        let row = Row { terms: vec![(0, 1.0), (1, 1.0), (2, 1.0)], lower: -9.0, upper: 1.0 };
        let parts = ProblemParts {
            hessian: Hessian::Dense(hessian),
            linear: vec![-3.0, -2.0, -1.0],
            constant: 0.0,
            lower: vec![-9.0; 3],
            upper: vec![9.0; 3],
            rows: vec![row],
            shared: vec![SharedTerm { variable: 0, coupling: 0, coefficient: 1.0 }],
            couplings: 1,
        };
        let problem = LocalProblem::new(parts).expect("valid");
        // From any point on the row, one step to the optimum on it.
        let start = [0.5, 0.25, 0.25];
        let active = ActiveSet::at(&problem, &start);
        let step = active.step(&problem.gradient(&start));
        let end: Vec<f64> = start.iter().zip(step).map(|(x, step)| x - step).collect();
        let (_, best) = share(&problem, &[0.0]);
        assert!(end.iter().zip(&best).all(|(a, b)| (a - b).abs() < 1e-9), "{end:?}, {best:?}");
        let relaxed = ActiveSet::none(&problem).slope(&problem, Curvature::Matrix)[0];
        assert!(relaxed > active.slope(&problem, Curvature::Matrix)[0]);
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
