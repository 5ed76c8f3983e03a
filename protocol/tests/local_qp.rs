//! The local solver beside Clarabel: random problems, the small problems of Maros and Mészáros, and fleets as a whole.

use std::{fs, path::Path};

use clarabel::{algebra::CscMatrix, solver::*};
use cosmosmesh_protocol::planning::{
    Qp, QpSettings, QpSolution, Row, Stop,
    generate::{Binding, FleetSpec},
};
use proptest::prelude::*;

/// Minimise `½ xᵀP x + qᵀx` within bounds and rows.
#[derive(Clone, Debug, Default)]
struct Program {
    hessian: Vec<f64>,
    linear: Vec<f64>,
    lower: Vec<f64>,
    upper: Vec<f64>,
    rows: Vec<Row>,
}

impl Program {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).expect("readable");
        let (mut program, mut n) = (Self::default(), 0);
        for line in text.lines() {
            let mut words = line.split(' ');
            let kind = words.next().expect("a word");
            let mut number = || words.next().map(|word| word.parse::<f64>().expect("a number"));
            match kind {
                "n" => {
                    n = number().expect("variables") as usize;
                    program.hessian = vec![0.0; n * n];
                }
                "p" => {
                    let (i, j) = (number().expect("row") as usize, number().expect("column") as usize);
                    let value = number().expect("value");
                    (program.hessian[i * n + j], program.hessian[j * n + i]) = (value, value);
                }
                "x" => {
                    program.linear.push(number().expect("linear"));
                    program.lower.push(number().expect("lower"));
                    program.upper.push(number().expect("upper"));
                }
                "r" => {
                    let (lower, upper) = (number().expect("lower"), number().expect("upper"));
                    let mut terms = Vec::new();
                    while let Some(column) = number() {
                        terms.push((column as usize, number().expect("value")));
                    }
                    program.rows.push(Row { terms, lower, upper });
                }
                other => panic!("{other}"),
            }
        }
        program
    }

    fn qp(&self) -> Qp {
        Qp::new(&self.hessian, &self.lower, &self.upper, &self.rows).expect("convex")
    }

    fn cost(&self, x: &[f64]) -> f64 {
        let n = x.len();
        let curved: f64 = (0..n * n).map(|k| self.hessian[k] * x[k / n] * x[k % n]).sum();
        0.5 * curved + self.linear.iter().zip(x).map(|(q, x)| q * x).sum::<f64>()
    }

    /// The greatest violation, relative to the greatest bound.
    fn violation(&self, x: &[f64]) -> f64 {
        let (mut worst, mut scale) = (0.0_f64, 1.0_f64);
        let mut side = |value: f64, lower: f64, upper: f64| {
            worst = worst.max(lower - value).max(value - upper);
            for bound in [lower, upper].into_iter().filter(|bound| bound.is_finite()) {
                scale = scale.max(bound.abs());
            }
        };
        for (i, x) in x.iter().enumerate() {
            side(*x, self.lower[i], self.upper[i]);
        }
        for row in &self.rows {
            side(row.terms.iter().map(|&(i, a)| a * x[i]).sum(), row.lower, row.upper);
        }
        worst / scale
    }

    /// Clarabel's optimum.
    fn reference(&self) -> f64 {
        let n = self.linear.len();
        let (mut equal, mut less) = (Vec::new(), Vec::new());
        let bounds = (0..n).map(|i| (vec![(i, 1.0)], self.lower[i], self.upper[i]));
        let rows = self.rows.iter().map(|row| (row.terms.clone(), row.lower, row.upper));
        for (terms, lower, upper) in bounds.chain(rows) {
            if lower == upper {
                equal.push((terms, lower));
                continue;
            }
            if lower.is_finite() {
                less.push((terms.iter().map(|&(i, a)| (i, -a)).collect(), -lower));
            }
            if upper.is_finite() {
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
        let upper = (0..n * n).filter(|k| k / n <= k % n && self.hessian[*k] != 0.0);
        let upper: Vec<usize> = upper.collect();
        let (pi, pj) = upper.iter().map(|k| (k / n, k % n)).unzip();
        let pv = upper.iter().map(|k| self.hessian[*k]).collect();
        let p = CscMatrix::new_from_triplets(n, n, pi, pj, pv);
        let a = CscMatrix::new_from_triplets(b.len(), n, i, j, v);
        let settings = DefaultSettings {
            verbose: false,
            tol_gap_abs: 1e-11,
            tol_gap_rel: 1e-11,
            tol_feas: 1e-11,
            ..DefaultSettings::default()
        };
        let mut solver = DefaultSolver::new(&p, &self.linear, &a, &b, &cones, settings).expect("valid");
        solver.solve();
        let status = solver.solution.status;
        assert!(matches!(status, SolverStatus::Solved | SolverStatus::AlmostSolved), "{status:?}");
        solver.solution.obj_val
    }

    fn check(&self, name: &str, solution: &QpSolution) {
        assert_eq!(solution.stop, Stop::Solved, "{name}: {:?} {}", solution.stop, solution.residual);
        assert!(solution.residual <= 1e-8, "{name}: {}", solution.residual);
        assert!(self.violation(&solution.x) <= 1e-8, "{name}: {}", self.violation(&solution.x));
        let (found, best) = (self.cost(&solution.x), self.reference());
        assert!((found - best).abs() <= 1e-6 * best.abs().max(1.0), "{name}: {found} against {best}");
    }
}

/// How many are in the folder.
const PROBLEMS: usize = 22;

#[test]
fn the_small_problems_of_maros_and_meszaros_are_solved() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/maros_meszaros");
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable").path());
    let mut paths: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|kind| kind == "txt")).collect();
    paths.sort();
    assert_eq!(paths.len(), PROBLEMS);
    for path in paths {
        let name = path.file_stem().expect("a name").to_string_lossy();
        let program = Program::read(&path);
        let solution = program.qp().solve(&program.linear, QpSettings::default()).expect("sizes fit");
        program.check(&name, &solution);
        if name == "QAFIRO" {
            // Published: −1.59078179 (Maros and Mészáros 1999, Table; also the tests of RipQP.jl).
            assert!((program.cost(&solution.x) + 1.590_781_79).abs() < 1e-7);
        }
    }
}

#[test]
fn the_planted_optimum_is_that_of_the_whole_fleet() {
    for (binding, dense, seed) in
        [(Binding::Balance, false, 0), (Binding::Mixed, false, 1), (Binding::Mixed, true, 2)]
    {
        for condition in [1e2, 1e4] {
            let spec =
                FleetSpec { binding, dense, assets: 8, slots: 12, ..FleetSpec::published(seed, condition) };
            let fleet = spec.draw().expect("valid");
            let mut whole = Program::default();
            let locals = fleet.problem.locals();
            let total: usize = locals.iter().map(|(_, local)| local.variables()).sum();
            whole.hessian = vec![0.0; total * total];
            let couplings = fleet.problem.couplings().as_slice();
            let mut shared: Vec<Row> = (couplings.iter())
                .map(|c| Row { terms: Vec::new(), lower: c.lower, upper: c.upper })
                .collect();
            for (_, local) in locals {
                let (first, n, parts) = (whole.linear.len(), local.variables(), local.parts());
                for k in 0..n * n {
                    whole.hessian[(first + k / n) * total + first + k % n] =
                        local.hessian_entry(k / n, k % n);
                }
                whole.linear.extend(&parts.linear);
                whole.lower.extend(&parts.lower);
                whole.upper.extend(&parts.upper);
                let moved = |row: &Row| {
                    let terms = row.terms.iter().map(|&(i, a)| (first + i, a)).collect();
                    Row { terms, ..row.clone() }
                };
                whole.rows.extend(parts.rows.iter().map(moved));
                for term in &parts.shared {
                    shared[term.coupling].terms.push((first + term.variable, term.coefficient));
                }
            }
            whole.rows.extend(shared);
            let best = whole.reference();
            assert!((fleet.best - best).abs() <= 1e-7 * best.abs().max(1.0), "{} {best}", fleet.best);
            let own = whole.qp().solve(&whole.linear, QpSettings::default()).expect("sizes fit");
            whole.check("fleet", &own);
            let planted: Vec<f64> = fleet.values.concat();
            let off = own.x.iter().zip(&planted).fold(0.0_f64, |most, (a, b)| most.max((a - b).abs()));
            assert!(off < 1e-6, "{binding:?} {condition}: {off}");
        }
    }
}

#[test]
fn rows_that_exclude_each_other_are_called_infeasible() {
    let program = Program {
        hessian: vec![1.0, 0.0, 0.0, 1.0],
        linear: vec![0.0; 2],
        lower: vec![f64::NEG_INFINITY; 2],
        upper: vec![f64::INFINITY; 2],
        rows: vec![
            Row { terms: vec![(0, 1.0), (1, 1.0)], lower: 1.0, upper: f64::INFINITY },
            Row { terms: vec![(0, 2.0), (1, 2.0)], lower: f64::NEG_INFINITY, upper: 1.9 },
        ],
    };
    let mut qp = program.qp();
    for _ in 0..2 {
        let solution = qp.resume(&[0.5, 0.0], QpSettings::default()).expect("sizes fit");
        assert_eq!(solution.stop, Stop::Infeasible);
        assert!(solution.residual > 1e-3);
    }
}

#[test]
fn a_limit_of_iterations_is_kept_and_said() {
    let fleet = FleetSpec::published(0, 1e4).draw().expect("valid");
    let (_, local) = &fleet.problem.locals()[0];
    let parts = local.parts();
    let qp = Qp::new(&local.hessian_dense(), &parts.lower, &parts.upper, &parts.rows).expect("convex");
    let solution = qp.solve(&parts.linear, QpSettings { max_iterations: 3, ..QpSettings::default() });
    let solution = solution.expect("sizes fit");
    assert_eq!((solution.stop, solution.iterations), (Stop::IterationLimit, 3));
}

/// Rows through and around a point, some repeated, some parallel, some equalities.
fn program() -> impl Strategy<Value = (Program, Vec<Vec<f64>>)> {
    (2..20_usize, 0..4_u8).prop_flat_map(|(n, rank)| {
        let list = move |range: core::ops::Range<f64>| prop::collection::vec(range, n);
        let row = (list(-1.0..1.0), 0.0..1.0_f64, 0.0..1.0_f64, 0..6_u8);
        let ends = prop::collection::vec((list(0.0..2.0), list(0.0..2.0)), 1);
        let point = (prop::collection::vec(-1.0..1.0_f64, n * n), list(-5.0..5.0), list(-1.0..1.0), ends);
        (point, prop::collection::vec(row, 0..12), prop::collection::vec(list(-5.0..5.0), 3)).prop_map(
            move |((factor, linear, inside, ends), rows, later)| {
                // Semidefinite when columns of the factor are left out.
                let columns = if rank == 0 { n / 2 + 1 } else { n };
                let floor = if rank == 0 { 0.0 } else { 0.01 };
                let entry = |i: usize, j: usize| -> f64 {
                    (0..columns).map(|k| factor[i * n + k] * factor[j * n + k]).sum::<f64>()
                        + if i == j { floor } else { 0.0 }
                };
                let hessian = (0..n * n).map(|k| entry((k / n).min(k % n), (k / n).max(k % n))).collect();
                let mut all: Vec<Row> = Vec::new();
                for (a, under, over, kind) in rows {
                    let value: f64 = a.iter().zip(&inside).map(|(a, x)| a * x).sum();
                    let (lower, upper) = match kind {
                        0 => (value - under, value + over),
                        1 => (f64::NEG_INFINITY, value + over),
                        2 => (value - under, f64::INFINITY),
                        3 => (f64::NEG_INFINITY, value),
                        _ => (value, value),
                    };
                    let repeated = kind == 5 && !all.is_empty();
                    let row = Row { terms: a.into_iter().enumerate().collect(), lower, upper };
                    all.push(if repeated { all[0].clone() } else { row });
                }
                // No more equalities than leave room.
                let mut equalities = 0;
                all.retain(|row| {
                    row.lower < row.upper || {
                        equalities += 1;
                        equalities <= n / 2
                    }
                });
                let (below, above) = &ends[0];
                let program = Program {
                    hessian,
                    linear,
                    lower: inside.iter().zip(below).map(|(x, room)| x - room).collect(),
                    upper: inside.iter().zip(above).map(|(x, room)| x + room).collect(),
                    rows: all,
                };
                (program, later)
            },
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_problems_agree_with_clarabel((program, later) in program()) {
        let mut qp = program.qp();
        program.check("cold", &qp.solve(&program.linear, QpSettings::default()).expect("sizes fit"));
        for linear in later {
            let warm = qp.resume(&linear, QpSettings::default()).expect("sizes fit");
            Program { linear, ..program.clone() }.check("warm", &warm);
        }
    }
}
