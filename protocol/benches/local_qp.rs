//! The local solver beside Clarabel: every asset of the published fleet, from nothing and round after round.

use clarabel::{algebra::CscMatrix, solver::*};
use core::hint::black_box;
use cosmosmesh_protocol::planning::{LocalProblem, Qp, QpSettings, generate::FleetSpec};
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime};

/// How many rounds of falling price changes an asset answers in the warm case.
const ROUNDS: usize = 16;

fn clarabel(problem: &LocalProblem, linear: &[f64], tolerance: f64) -> DefaultSolver<f64> {
    let (parts, n) = (problem.parts(), problem.variables());
    let (mut equal, mut less) = (Vec::new(), Vec::new());
    let bounds = (0..n).map(|i| (vec![(i, 1.0)], parts.lower[i], parts.upper[i]));
    let rows = parts.rows.iter().map(|row| (row.terms.clone(), row.lower, row.upper));
    for (terms, lower, upper) in bounds.chain(rows) {
        if lower == upper {
            equal.push((terms, lower));
        } else {
            less.push((terms.iter().map(|&(i, a)| (i, -a)).collect(), -lower));
            less.push((terms, upper));
        }
    }
    let cones = [ZeroConeT(equal.len()), NonnegativeConeT(less.len())];
    let (mut i, mut j, mut v, mut b) = (vec![], vec![], vec![], vec![]);
    for (index, (terms, side)) in equal.into_iter().chain(less).enumerate() {
        b.push(side);
        for (variable, a) in terms {
            i.push(index);
            j.push(variable);
            v.push(a);
        }
    }
    let upper: Vec<(usize, usize)> =
        (0..n).flat_map(|row| (row..n).map(move |column| (row, column))).collect();
    let upper: Vec<_> = upper.into_iter().filter(|&(r, c)| problem.hessian_entry(r, c) != 0.0).collect();
    let values = upper.iter().map(|&(r, c)| problem.hessian_entry(r, c)).collect();
    let (pi, pj) = upper.into_iter().unzip();
    let p = CscMatrix::new_from_triplets(n, n, pi, pj, values);
    let a = CscMatrix::new_from_triplets(b.len(), n, i, j, v);
    let settings = DefaultSettings {
        verbose: false,
        tol_gap_abs: tolerance,
        tol_gap_rel: tolerance,
        tol_feas: tolerance,
        ..DefaultSettings::default()
    };
    DefaultSolver::new(&p, linear, &a, &b, &cones, settings).expect("valid")
}

/// Costs at prices that approach the optimal ones: halfway in each round.
fn rounds(problem: &LocalProblem, prices: &[f64]) -> Vec<Vec<f64>> {
    let parts = problem.parts();
    (0..ROUNDS)
        .map(|round| {
            let mut linear = parts.linear.clone();
            let part = 1.0 - 1.0 / (1_u64 << round) as f64;
            for term in &parts.shared {
                linear[term.variable] += part * term.coefficient * prices[term.coupling];
            }
            linear
        })
        .collect()
}

fn local(criterion: &mut Criterion) {
    for (condition, dense) in [(1e2, false), (1e4, false), (1e4, true)] {
        let spec = FleetSpec { dense, ..FleetSpec::published(0, condition) };
        let fleet = spec.draw().expect("valid");
        let assets: Vec<(&LocalProblem, Qp, Vec<Vec<f64>>)> = (fleet.problem.locals().iter())
            .map(|(_, local)| {
                let parts = local.parts();
                let qp = Qp::new(&local.hessian_dense(), &parts.lower, &parts.upper, &parts.rows);
                (local, qp.expect("convex"), rounds(local, &fleet.prices))
            })
            .collect();
        let kind = if dense { "dense" } else { "diagonal" };
        let mut group = criterion.benchmark_group(format!("16 assets of 24 variables, {condition:e} {kind}"));
        group.throughput(criterion::Throughput::Elements(assets.len() as u64));
        bench(&mut group, &assets);
        group.finish();
    }
}

fn bench(group: &mut BenchmarkGroup<'_, WallTime>, assets: &[(&LocalProblem, Qp, Vec<Vec<f64>>)]) {
    group.bench_function("prepare", |bencher| {
        bencher.iter(|| {
            for (local, ..) in assets {
                let parts = local.parts();
                black_box(Qp::new(&local.hessian_dense(), &parts.lower, &parts.upper, &parts.rows))
                    .expect("convex");
            }
        });
    });
    group.bench_function("cold", |bencher| {
        bencher.iter(|| {
            for (_, qp, rounds) in assets {
                black_box(qp.solve(&rounds[ROUNDS - 1], QpSettings::default())).expect("sizes fit");
            }
        });
    });
    group.bench_function("warm, mean of 16 rounds", |bencher| {
        bencher.iter_batched_ref(
            || assets.iter().map(|(_, qp, _)| qp.clone()).collect::<Vec<_>>(),
            |qps| {
                for round in 0..ROUNDS {
                    for (qp, (.., rounds)) in qps.iter_mut().zip(assets) {
                        black_box(qp.resume(&rounds[round], QpSettings::default())).expect("sizes fit");
                    }
                }
            },
            criterion::BatchSize::SmallInput,
        );
    });
    group.bench_function("clarabel, solve only", |bencher| {
        bencher.iter_batched_ref(
            || {
                let linear = |(local, _, rounds): &(&LocalProblem, Qp, Vec<Vec<f64>>)| {
                    clarabel(local, &rounds[ROUNDS - 1], 1e-10)
                };
                assets.iter().map(linear).collect::<Vec<_>>()
            },
            |solvers| solvers.iter_mut().for_each(|solver| solver.solve()),
            criterion::BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, local);
criterion_main!(benches);
