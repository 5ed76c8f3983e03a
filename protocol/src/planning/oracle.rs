//! Clarabel as the oracle of the tests, and the laws that compare with it.

extern crate std;

use alloc::{vec, vec::Vec};

use clarabel::{algebra::CscMatrix, solver::*};
use proptest::prelude::*;

use super::*;
use crate::{id::NodeId, time::Instant};

/// The optimum of `Σ fᵢ` subject to all local constraints and, if `coupled`, `Σ Sᵢ xᵢ = 0`.
fn central(fleet: &[LocalProblem], coupled: bool) -> (Vec<f64>, f64) {
    let total: usize = fleet.iter().map(LocalProblem::variables).sum();
    let mut hessian: (Vec<usize>, Vec<usize>, Vec<f64>) = Default::default();
    let mut rows: Vec<(Vec<(usize, f64)>, f64)> = Vec::new();
    let mut equalities = vec![(Vec::new(), 0.0); if coupled { fleet[0].couplings() } else { 0 }];
    let mut first = 0;
    let mut linear = Vec::new();
    for problem in fleet {
        let (parts, n) = (problem.parts(), problem.variables());
        for row in 0..n {
            for column in row..n {
                hessian.0.push(first + row);
                hessian.1.push(first + column);
                hessian.2.push(problem.hessian_entry(row, column));
            }
            let single: Vec<(usize, f64)> = vec![(first + row, 1.0)];
            two_sided(&mut rows, &mut equalities, single, parts.lower[row], parts.upper[row]);
        }
        for row in &parts.rows {
            let terms = row.terms.iter().map(|&(variable, a)| (first + variable, a)).collect();
            two_sided(&mut rows, &mut equalities, terms, row.lower, row.upper);
        }
        if coupled {
            for term in &parts.shared {
                equalities[term.coupling].0.push((first + term.variable, term.coefficient));
            }
        }
        linear.extend_from_slice(&parts.linear);
        first += n;
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
    let p = CscMatrix::new_from_triplets(total, total, hessian.0, hessian.1, hessian.2);
    let a = CscMatrix::new_from_triplets(b.len(), total, i, j, v);
    let settings = DefaultSettings {
        verbose: false,
        tol_gap_abs: 1e-11,
        tol_gap_rel: 1e-11,
        tol_feas: 1e-11,
        ..DefaultSettings::default()
    };
    let mut solver = DefaultSolver::new(&p, &linear, &a, &b, &cones, settings).expect("valid");
    solver.solve();
    let status = solver.solution.status;
    assert!(matches!(status, SolverStatus::Solved | SolverStatus::AlmostSolved), "{status:?}");
    let constant: f64 = fleet.iter().map(|problem| problem.parts().constant).sum();
    (solver.solution.x.clone(), solver.solution.obj_val + constant)
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
    let (_, best) = central(core::slice::from_ref(&problem), false);
    assert!((problem.cost(&solution.x) - best).abs() < 1e-8);
}

struct Fleet {
    coordinator: Coordinator,
    participants: Vec<Participant>,
}

impl Fleet {
    fn new(problems: &[LocalProblem], settings: ExchangeSettings) -> Self {
        let nodes = (0..problems.len()).map(|i| NodeId(10 + i as u64));
        let participants = nodes
            .clone()
            .zip(problems)
            .map(|(node, p)| Participant::new(node, p.clone(), QpSettings::default()).expect("feasible"))
            .collect();
        let coordinator =
            Coordinator::new(settings, nodes.collect(), problems[0].couplings()).expect("valid");
        Self { coordinator, participants }
    }

    /// Rounds until the coordinator commits, everybody present.
    fn run(&mut self, signal: Signal) -> Outcome {
        let mut signal = signal;
        while signal.committed.is_none() {
            let mut next = None;
            for participant in &mut self.participants {
                let answer = participant.on_signal(&signal).expect("accepted").expect("open");
                next = next.or(self
                    .coordinator
                    .on_contribution(Instant::ZERO, participant.node(), &answer)
                    .expect("accepted"));
            }
            signal = next.expect("everyone answered");
        }
        for participant in &mut self.participants {
            assert_eq!(participant.on_signal(&signal), Ok(None));
        }
        signal.committed.expect("committed")
    }

    fn rounds(&self) -> u32 {
        self.coordinator.signal().round - 1
    }

    /// The gap of DESIGN: relative cost difference or constraint violation, whichever is greater.
    fn gap(&self, best: f64) -> f64 {
        let cost: f64 = self.participants.iter().map(|p| p.problem().cost(p.values())).sum();
        let mut sums = vec![0.0; self.participants[0].problem().couplings()];
        let mut violation = 0.0_f64;
        for participant in &self.participants {
            violation = violation.max(participant.problem().violation(participant.values()));
            let share = participant.problem().share(participant.values());
            sums.iter_mut().zip(share).for_each(|(sum, share)| *sum += share);
        }
        let imbalance = sums.iter().fold(violation, |most, sum: &f64| most.max(sum.abs()));
        ((cost - best).abs() / best.abs().max(1.0)).max(imbalance)
    }
}

fn tight() -> ExchangeSettings {
    ExchangeSettings { eps_abs: 1e-9, eps_rel: 1e-9, max_rounds: 2000, ..ExchangeSettings::default() }
}

fn small(seed: u64) -> Vec<LocalProblem> {
    generate::fleet(seed, 5, 4).expect("valid")
}

#[test]
fn the_federated_optimum_is_the_central_optimum() {
    for seed in 0..3 {
        let problems = generate::fleet(seed, 16, 24).expect("valid");
        let (_, best) = central(&problems, true);
        let mut fleet = Fleet::new(&problems, tight());
        let signal = fleet.coordinator.start(Instant::ZERO);
        assert_eq!(fleet.run(signal), Outcome::Converged, "seed {seed}");
        let gap = fleet.gap(best);
        assert!(gap <= 1e-6, "seed {seed}: gap {gap} after {} rounds", fleet.rounds());
    }
}

#[test]
fn over_relaxation_takes_fewer_rounds_than_plain() {
    let rounds = |relaxation: f64| -> u32 {
        (0..6)
            .map(|seed| {
                let settings = ExchangeSettings { relaxation, adaptation: None, ..tight() };
                let mut fleet = Fleet::new(&small(seed), settings);
                let signal = fleet.coordinator.start(Instant::ZERO);
                assert_eq!(fleet.run(signal), Outcome::Converged);
                fleet.rounds()
            })
            .sum()
    };
    let (plain, relaxed) = (rounds(1.0), rounds(1.6));
    assert!(relaxed < plain, "{relaxed} rounds against {plain}");
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let run = || {
        let mut fleet = Fleet::new(&small(3), tight());
        let signal = fleet.coordinator.start(Instant::ZERO);
        fleet.run(signal);
        let answers: Vec<u64> =
            fleet.participants.iter().flat_map(|p| p.values().iter().map(|x| x.to_bits())).collect();
        (fleet.coordinator.signal().encode(), answers)
    };
    assert_eq!(run(), run());
}

#[test]
fn a_warm_start_takes_fewer_rounds() {
    let problems = small(1);
    let mut fleet = Fleet::new(&problems, tight());
    let signal = fleet.coordinator.start(Instant::ZERO);
    fleet.run(signal);
    let cold = fleet.rounds();
    for participant in &mut fleet.participants {
        participant.replace_problem(1, participant.problem().clone()).expect("valid");
    }
    let signal = fleet.coordinator.replan(Instant::ZERO, 1).expect("later");
    assert_eq!(fleet.run(signal), Outcome::Converged);
    assert!(fleet.rounds() * 4 < cold, "{} rounds against {cold}", fleet.rounds());
    assert!(fleet.gap(central(&problems, true).1) <= 1e-6);
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
        let (_, best) = central(core::slice::from_ref(&problem), false);
        let found = problem.cost(&solution.x);
        prop_assert!((found - best).abs() <= 1e-6 * best.abs().max(1.0), "{found} against {best}");
    }

    #[test]
    fn lost_repeated_and_reordered_answers_do_not_change_the_optimum(seed in 0..20_u64, noise: u64) {
        let problems = small(seed);
        let (_, best) = central(&problems, true);
        let mut fleet = Fleet::new(&problems, ExchangeSettings { quorum: 3, ..tight() });
        let mut random = noise;
        let mut draw = |limit: u64| {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (random >> 33) % limit
        };
        let mut now = Instant::ZERO;
        let mut signal = fleet.coordinator.start(now);
        let mut late: Vec<(NodeId, Contribution)> = Vec::new();
        while signal.committed.is_none() {
            let mut arriving: Vec<(NodeId, Contribution)> = core::mem::take(&mut late);
            for participant in &mut fleet.participants {
                if draw(8) == 0 { continue; }
                let answer = participant.on_signal(&signal).expect("accepted").expect("open");
                let copies = match draw(8) { 0 => 0, 1 => 2, _ => 1 };
                let queue = if draw(8) == 0 { &mut late } else { &mut arriving };
                queue.extend((0..copies).map(|_| (participant.node(), answer.clone())));
            }
            let turn = draw(5) as usize;
            if !arriving.is_empty() { let k = turn % arriving.len(); arriving.rotate_left(k); }
            let mut next = None;
            for (node, answer) in arriving {
                match fleet.coordinator.on_contribution(now, node, &answer) {
                    Ok(signal) => next = next.or(signal),
                    Err(PlanError::OldRound { .. } | PlanError::Idle) => {}
                    Err(error) => prop_assert!(false, "{error}"),
                }
            }
            if next.is_none() {
                now = fleet.coordinator.poll_timeout().expect("open");
                next = fleet.coordinator.on_timeout(now);
            }
            signal = next.expect("closed or extended");
        }
        prop_assert_eq!(signal.committed, Some(Outcome::Converged));
        let gap = fleet.gap(best);
        prop_assert!(gap <= 1e-6, "gap {gap} after {} rounds", fleet.rounds());
    }
}
