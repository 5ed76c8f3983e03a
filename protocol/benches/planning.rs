//! Local problems of 24 variables beside Clarabel, and the rounds of the published fleets to gaps of 1e-3 and 1e-6.
#![expect(clippy::print_stdout, reason = "rounds are counts, which criterion does not report")]

use clarabel::{algebra::CscMatrix, solver::*};
use core::hint::black_box;
use cosmosmesh_protocol::{
    id::NodeId,
    planning::{Coordinator, ExchangeSettings, LocalProblem, Participant, Qp, QpSettings, generate},
    time::Instant,
};
use criterion::{Criterion, criterion_group, criterion_main};

const SEEDS: core::ops::Range<u64> = 0..5;

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

/// The composite problem for Clarabel; coupled by balance when there is more than one member.
fn clarabel(fleet: &[LocalProblem]) -> DefaultSolver<f64> {
    let n = fleet[0].variables();
    let (mut sides, mut linear, mut diagonal) = (Sides::default(), Vec::new(), Vec::new());
    let mut balance = vec![Vec::new(); if fleet.len() > 1 { n } else { 0 }];
    for problem in fleet {
        let (parts, first) = (problem.parts(), linear.len());
        for i in 0..n {
            sides.push(vec![(first + i, 1.0)], parts.lower[i], parts.upper[i]);
            diagonal.push(problem.hessian_entry(i, i));
        }
        for row in &parts.rows {
            let terms = row.terms.iter().map(|&(variable, a)| (first + variable, a)).collect();
            sides.push(terms, row.lower, row.upper);
        }
        for term in parts.shared.iter().filter(|_| fleet.len() > 1) {
            balance[term.coupling].push((first + term.variable, term.coefficient));
        }
        linear.extend_from_slice(&parts.linear);
    }
    sides.equal.extend(balance.into_iter().map(|terms| (terms, 0.0)));
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
    let total = linear.len();
    let p = CscMatrix::new_from_triplets(total, total, (0..total).collect(), (0..total).collect(), diagonal);
    let a = CscMatrix::new_from_triplets(b.len(), total, i, j, v);
    let tolerance = 1e-10;
    let settings = DefaultSettings {
        verbose: false,
        tol_gap_abs: tolerance,
        tol_gap_rel: tolerance,
        tol_feas: tolerance,
        ..DefaultSettings::default()
    };
    DefaultSolver::new(&p, &linear, &a, &b, &cones, settings).expect("valid")
}

/// The last rounds at which the gap was above 1e-3 and 1e-6, plus one, and the rounds until convergence.
fn rounds(problems: &[LocalProblem], best: f64, settings: ExchangeSettings) -> [u32; 3] {
    let node = |i: usize| NodeId(i as u64 + 1);
    let mut fleet: Vec<Participant> = problems
        .iter()
        .enumerate()
        .map(|(i, p)| Participant::new(node(i), p.clone(), QpSettings::default()).expect("feasible"))
        .collect();
    let members = (0..fleet.len()).map(node).collect();
    let mut coordinator = Coordinator::new(settings, members, problems[0].couplings()).expect("valid");
    let mut signal = coordinator.start(Instant::ZERO);
    let mut to = [1, 1, 0];
    while signal.committed.is_none() {
        let mut next = None;
        for participant in &mut fleet {
            let answer = participant.on_signal(&signal).expect("accepted").expect("open");
            let closed = coordinator.on_contribution(Instant::ZERO, participant.node(), &answer);
            next = next.or(closed.expect("accepted"));
        }
        let gap = gap(&fleet, best);
        for (to, limit) in to.iter_mut().zip([1e-3, 1e-6]) {
            if gap > limit {
                *to = signal.round + 1;
            }
        }
        to[2] = signal.round;
        signal = next.expect("everyone answered");
    }
    to
}

fn gap(fleet: &[Participant], best: f64) -> f64 {
    let cost: f64 = fleet.iter().map(|p| p.problem().cost(p.values())).sum();
    let mut sums = vec![0.0; fleet[0].share().len()];
    for participant in fleet {
        let share = participant.problem().share(participant.values());
        sums.iter_mut().zip(share).for_each(|(sum, share)| *sum += share);
    }
    // Balance is Σ s = 0, so the scale of violations, max(1, ‖b‖∞), is 1.
    let imbalance = sums.iter().fold(0.0_f64, |most, sum: &f64| most.max(sum.abs()));
    ((cost - best).abs() / best.abs().max(1.0)).max(imbalance)
}

fn fleets() {
    println!("fleet of 16 x 24: seed, method: rounds to a gap of 1e-3, of 1e-6, to convergence at 1e-9");
    for seed in SEEDS {
        let problems = generate::fleet(seed, 16, 24).expect("valid");
        let mut solver = clarabel(&problems);
        solver.solve();
        let constant: f64 = problems.iter().map(|problem| problem.parts().constant).sum();
        let best = solver.solution.obj_val + constant;
        let adaptation = ExchangeSettings::default().adaptation;
        for (name, relaxation, adaptation) in
            [("plain", 1.0, None), ("over-relaxed", 1.6, None), ("over-relaxed, adapted", 1.6, adaptation)]
        {
            let settings = ExchangeSettings {
                relaxation,
                adaptation,
                eps_abs: 1e-9,
                eps_rel: 1e-9,
                max_rounds: 3000,
                ..ExchangeSettings::default()
            };
            println!("{seed}, {name}: {:?}", rounds(&problems, best, settings));
        }
    }
}

fn local(criterion: &mut Criterion) {
    fleets();
    let problem = generate::fleet(0, 16, 24).expect("valid").swap_remove(0);
    let parts = problem.parts();
    let qp = Qp::new(&problem.hessian_dense(), &parts.lower, &parts.upper, &parts.rows).expect("valid");
    let mut group = criterion.benchmark_group("local problem, 24 variables");
    group.bench_function("own", |bencher| {
        bencher.iter(|| qp.solve(black_box(&parts.linear), QpSettings::default()).expect("sizes fit"));
    });
    group.bench_function("clarabel, solve only", |bencher| {
        bencher.iter_batched_ref(
            || clarabel(core::slice::from_ref(&problem)),
            |solver| solver.solve(),
            criterion::BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, local);
criterion_main!(benches);
