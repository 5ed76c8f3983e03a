//! Clarabel as the oracle of the tests, and the laws that compare with it.

extern crate std;

use alloc::{vec, vec::Vec};

use clarabel::{algebra::CscMatrix, solver::*};
use proptest::prelude::*;

use super::*;

/// The optimum of a local problem alone.
fn central(problem: &LocalProblem) -> f64 {
    let (parts, n) = (problem.parts(), problem.variables());
    let mut hessian: (Vec<usize>, Vec<usize>, Vec<f64>) = Default::default();
    let mut rows: Vec<(Vec<(usize, f64)>, f64)> = Vec::new();
    let mut equalities = Vec::new();
    for row in 0..n {
        for column in row..n {
            hessian.0.push(row);
            hessian.1.push(column);
            hessian.2.push(problem.hessian_entry(row, column));
        }
        two_sided(&mut rows, &mut equalities, vec![(row, 1.0)], parts.lower[row], parts.upper[row]);
    }
    for row in &parts.rows {
        two_sided(&mut rows, &mut equalities, row.terms.clone(), row.lower, row.upper);
    }
    let cones = [ZeroConeT(equalities.len()), NonnegativeConeT(rows.len())];
    let all: Vec<_> = equalities.into_iter().chain(rows).collect();
    let (mut i, mut j, mut v, mut b) = (vec![], vec![], vec![], vec![]);
    for (index, (terms, side)) in all.into_iter().enumerate() {
        for (variable, a) in terms {
            i.push(index);
            j.push(variable);
            v.push(a);
        }
        b.push(side);
    }
    let p = CscMatrix::new_from_triplets(n, n, hessian.0, hessian.1, hessian.2);
    let a = CscMatrix::new_from_triplets(b.len(), n, i, j, v);
    let settings = DefaultSettings {
        verbose: false,
        tol_gap_abs: 1e-11,
        tol_gap_rel: 1e-11,
        tol_feas: 1e-11,
        ..DefaultSettings::default()
    };
    let mut solver = DefaultSolver::new(&p, &parts.linear, &a, &b, &cones, settings).expect("valid");
    solver.solve();
    let status = solver.solution.status;
    assert!(matches!(status, SolverStatus::Solved | SolverStatus::AlmostSolved), "{status:?}");
    solver.solution.obj_val + parts.constant
}

/// As `a x ≤ b` rows, or one equality.
fn two_sided(
    rows: &mut Vec<(Vec<(usize, f64)>, f64)>,
    equalities: &mut Vec<(Vec<(usize, f64)>, f64)>,
    terms: Vec<(usize, f64)>,
    lower: f64,
    upper: f64,
) {
    if lower == upper {
        equalities.push((terms, lower));
        return;
    }
    if lower.is_finite() {
        rows.push((terms.iter().map(|&(variable, a)| (variable, -a)).collect(), -lower));
    }
    if upper.is_finite() {
        rows.push((terms, upper));
    }
}

/// A fleet of 5 × 4 (seed 12) and a linear term on which the full Mehrotra correction cycles for ever.
#[test]
fn a_problem_that_makes_the_full_correction_cycle_is_solved() {
    let problem = LocalProblem::new(ProblemParts {
        hessian: Hessian::Diagonal(vec![
            1.2747927309024016,
            1.557_928_593_080_967,
            1.3223286811163168,
            2.392240726369602,
        ]),
        linear: vec![4.300126177415363, 0.14890310589195166, -4.963132419683475, -1.5255301504654692],
        constant: 0.0,
        lower: vec![-1.4720807839129502, -3.854841167119693, 0.10556846191406777, -0.08829945331592004],
        upper: vec![2.147945457152685, 1.7100029767495877, 5.142050433192287, 2.981488025562616],
        rows: [Row {
            terms: (0..4).map(|i| (i, 1.0)).collect(),
            lower: 1.1988194674302606,
            upper: 3.3510732467227875,
        }]
        .into_iter()
        .chain((0..3).map(|i| Row {
            terms: vec![(i, -1.0), (i + 1, 1.0)],
            lower: -4.022553716475309,
            upper: 4.022553716475309,
        }))
        .collect(),
        shared: Vec::new(),
        couplings: 1,
    })
    .expect("valid");
    let parts = problem.parts();
    let qp = Qp::new(&problem.hessian_dense(), &parts.lower, &parts.upper, &parts.rows).expect("valid");
    let solution = qp.solve(&parts.linear, QpSettings::default()).expect("sizes fit");
    assert_eq!(solution.stop, Stop::Solved, "{solution:?}");
    let best = central(&problem);
    assert!((problem.cost(&solution.x) - best).abs() < 1e-8);
}

fn random_problem() -> impl Strategy<Value = (LocalProblem, Vec<f64>)> {
    (2..8_usize).prop_flat_map(|n| {
        let factor = prop::collection::vec(-1.0..1.0_f64, n * n);
        let list = |range: core::ops::Range<f64>| prop::collection::vec(range, n);
        let row = (list(-1.0..1.0), 0.0..1.0_f64, 0.0..1.0_f64, 0..3_u8);
        let rows = prop::collection::vec(row, 0..4);
        (factor, list(-5.0..5.0), list(-1.0..1.0), list(0.0..2.0), list(0.0..2.0), rows).prop_map(
            move |(factor, linear, inside, below, above, rows)| {
                let entry = |i: usize, j: usize| -> f64 {
                    (0..n).map(|k| factor[i * n + k] * factor[j * n + k]).sum::<f64>()
                        + if i == j { 0.1 } else { 0.0 }
                };
                let hessian = (0..n * n).map(|k| entry((k / n).min(k % n), (k / n).max(k % n))).collect();
                let rows = rows
                    .into_iter()
                    .map(|(a, under, over, kind)| {
                        let value: f64 = a.iter().zip(&inside).map(|(a, x)| a * x).sum();
                        let (lower, upper) = match kind {
                            0 => (value - under, value + over),
                            1 => (f64::NEG_INFINITY, value + over),
                            _ => (value - under, f64::INFINITY),
                        };
                        Row { terms: a.into_iter().enumerate().collect(), lower, upper }
                    })
                    .chain([Row {
                        terms: vec![(0, 1.0), (1, -2.0)],
                        lower: inside[0] - 2.0 * inside[1],
                        upper: inside[0] - 2.0 * inside[1],
                    }])
                    .collect();
                let parts = ProblemParts {
                    hessian: Hessian::Dense(hessian),
                    linear,
                    constant: 0.0,
                    lower: inside.iter().zip(&below).map(|(x, room)| x - room).collect(),
                    upper: inside.iter().zip(&above).map(|(x, room)| x + room).collect(),
                    rows,
                    shared: vec![SharedTerm { variable: 0, coupling: 0, coefficient: 1.0 }],
                    couplings: 1,
                };
                (LocalProblem::new(parts).expect("valid"), inside)
            },
        )
    })
}

/// Three scales, and prices that push every variable into a corner.
#[test]
fn local_problems_are_solved_at_any_scale() {
    for seed in 0..10 {
        for problem in generate::fleet(seed, 6, 24).expect("valid") {
            let parts = problem.parts();
            for scale in [1e-3, 1.0, 1e3] {
                let sized = |list: &[f64]| list.iter().map(|value| value * scale).collect::<Vec<_>>();
                let rows: Vec<Row> = (parts.rows.iter())
                    .map(|row| Row { lower: row.lower * scale, upper: row.upper * scale, ..row.clone() })
                    .collect();
                let (lower, upper) = (sized(&parts.lower), sized(&parts.upper));
                let qp = Qp::new(&problem.hessian_dense(), &lower, &upper, &rows).expect("valid");
                for price in [0.0, 1.0, 100.0] {
                    let linear: Vec<f64> = sized(&parts.linear).iter().map(|q| q + price * scale).collect();
                    let solution = qp.solve(&linear, QpSettings::default()).expect("sizes fit");
                    assert!(solution.residual <= 1e-8, "{seed} {scale} {price}: {solution:?}");
                    assert!(solution.iterations <= 120, "{seed} {scale} {price}: {solution:?}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn local_solutions_agree_with_clarabel((problem, inside) in random_problem()) {
        let parts = problem.parts();
        prop_assert!(problem.violation(&inside) < 1e-12);
        let qp = Qp::new(&problem.hessian_dense(), &parts.lower, &parts.upper, &parts.rows).expect("valid");
        let solution = qp.solve(&parts.linear, QpSettings::default()).expect("sizes fit");
        prop_assert!(solution.residual <= 1e-8, "{solution:?}");
        prop_assert!(problem.violation(&solution.x) <= 1e-7);
        let best = central(&problem);
        let found = problem.cost(&solution.x);
        prop_assert!((found - best).abs() <= 1e-6 * best.abs().max(1.0), "{found} against {best}");
    }
}
