//! A local problem of 24 variables with ramp and energy rows, beside Clarabel. Rounds are in `examples/solvers.rs`.

use clarabel::{algebra::CscMatrix, solver::*};
use core::hint::black_box;
use cosmosmesh_protocol::planning::{LocalProblem, Qp, QpSettings, generate};
use criterion::{Criterion, criterion_group, criterion_main};

/// Rows of `a x ≤ b`, and equalities before them.
#[derive(Default)]
struct Sides {
    equal: Vec<(Vec<(usize, f64)>, f64)>,
    less: Vec<(Vec<(usize, f64)>, f64)>,
}

impl Sides {
    fn push(&mut self, terms: Vec<(usize, f64)>, lower: f64, upper: f64) {
        if lower == upper {
            self.equal.push((terms, lower));
            return;
        }
        if lower.is_finite() {
            self.less.push((terms.iter().map(|&(variable, a)| (variable, -a)).collect(), -lower));
        }
        if upper.is_finite() {
            self.less.push((terms, upper));
        }
    }
}

/// The problem for Clarabel.
fn clarabel(problem: &LocalProblem) -> DefaultSolver<f64> {
    let (n, parts) = (problem.variables(), problem.parts());
    let mut sides = Sides::default();
    for i in 0..n {
        sides.push(vec![(i, 1.0)], parts.lower[i], parts.upper[i]);
    }
    for row in &parts.rows {
        sides.push(row.terms.clone(), row.lower, row.upper);
    }
    let cones = [ZeroConeT(sides.equal.len()), NonnegativeConeT(sides.less.len())];
    let (mut i, mut j, mut v, mut b) = (vec![], vec![], vec![], vec![]);
    for (index, (terms, side)) in sides.equal.into_iter().chain(sides.less).enumerate() {
        for (variable, a) in terms {
            i.push(index);
            j.push(variable);
            v.push(a);
        }
        b.push(side);
    }
    let diagonal = (0..n).map(|i| problem.hessian_entry(i, i)).collect();
    let p = CscMatrix::new_from_triplets(n, n, (0..n).collect(), (0..n).collect(), diagonal);
    let a = CscMatrix::new_from_triplets(b.len(), n, i, j, v);
    let tolerance = 1e-10;
    let settings = DefaultSettings {
        verbose: false,
        tol_gap_abs: tolerance,
        tol_gap_rel: tolerance,
        tol_feas: tolerance,
        ..DefaultSettings::default()
    };
    DefaultSolver::new(&p, &parts.linear, &a, &b, &cones, settings).expect("valid")
}

fn local(criterion: &mut Criterion) {
    let problem = generate::fleet(0, 16, 24).expect("valid").swap_remove(0);
    let parts = problem.parts();
    let qp = Qp::new(&problem.hessian_dense(), &parts.lower, &parts.upper, &parts.rows).expect("valid");
    let mut group = criterion.benchmark_group("local problem, 24 variables");
    group.bench_function("own", |bencher| {
        bencher.iter(|| qp.solve(black_box(&parts.linear), QpSettings::default()).expect("sizes fit"));
    });
    group.bench_function("clarabel, solve only", |bencher| {
        bencher.iter_batched_ref(
            || clarabel(&problem),
            |solver| solver.solve(),
            criterion::BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, local);
criterion_main!(benches);
