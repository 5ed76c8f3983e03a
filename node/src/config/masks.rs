//! The masks of a plan: who opens sums, of how many answers at least, and where everybody's keys are.

use super::{
    check::Mistakes,
    place::Step,
    plan::{RawAnswers, RawPlan},
};
use cosmosmesh_protocol::{
    id::NodeId,
    planning::{
        LocalProblem,
        message::MAX_SHARE,
        privacy::noise::{NoiseBudget, WhenSpent},
    },
};
use serde::Deserialize;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Fewer answers are not opened, unless it is said.
const K_MIN: usize = 3;
/// With so many seats, the key of one that is lost is recovered by others.
const SEATS: usize = 4;

/// More is no budget.
const MAX_EPSILON: f64 = 1e7;

/// Noise on every answer, as it is typed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename = "Noise")]
pub(super) struct RawNoise {
    clip: f64,
    #[serde(default)]
    norm: Option<f64>,
    epsilon: f64,
    #[serde(default = "default_delta")]
    delta: f64,
    answers: u32,
    #[serde(default)]
    when_spent: RawWhenSpent,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
enum RawWhenSpent {
    #[default]
    KeepLast,
    Leave,
}

const fn default_delta() -> f64 {
    1e-6
}

impl RawNoise {
    const fn budget(&self) -> NoiseBudget {
        let Self { clip, norm, epsilon, delta, answers, when_spent } = *self;
        let when_spent = match when_spent {
            RawWhenSpent::KeepLast => WhenSpent::KeepLast,
            RawWhenSpent::Leave => WhenSpent::Leave,
        };
        NoiseBudget { clip, norm, epsilon, delta, answers, when_spent }
    }
}

/// Masks, checked.
#[derive(Clone, Debug)]
pub struct Masks {
    /// The file of everybody's public keys.
    pub keys: PathBuf,
    /// Who masks and opens, in ascending order.
    pub committee: Vec<NodeId>,
    /// What no asset's share of a constraint is greater than, whichever way.
    pub most: f64,
    /// Fewer answers than this are not opened.
    pub k_min: usize,
    /// Fewer newcomers than this are not opened.
    pub cohort: usize,
    /// By how many assets two sums of a horizon have to differ.
    pub changes: usize,
    /// Shares that recover a lost seat's key; 0: none do.
    pub threshold: usize,
    /// Seats that are recovered under one coordinator.
    pub recoveries: usize,
    /// How long the committee is waited for.
    pub patience: Duration,
    /// Noise on every answer, if there is any.
    pub noise: Option<NoiseBudget>,
}

pub(super) fn check_masks(
    plan: &RawPlan,
    known: impl Fn(u64) -> bool,
    folder: &Path,
    problem: Option<&LocalProblem>,
    mistakes: &mut Mistakes<'_>,
) -> Option<Masks> {
    let RawAnswers::Masked {
        keys,
        committee,
        most,
        k_min,
        cohort,
        changes,
        threshold,
        recoveries,
        patience_s,
        noise,
    } = &plan.answers
    else {
        return None;
    };
    // A variant's fields have no places of their own.
    let mut add = |name: &str, problem: String| {
        mistakes.add(&[Step::Field("plan"), Step::Field("answers")], format!("{name}: {problem}"));
    };
    let mut committee = committee.clone();
    for node in committee.iter().filter(|node| !known(**node)) {
        add("committee", format!("{node} is no member: no peer with a `did`"));
    }
    for (place, node) in committee.iter().enumerate() {
        if committee[..place].contains(node) {
            add("committee", format!("{node} is given twice"));
        }
    }
    committee.sort_unstable();
    let (seats, assets) = (committee.len(), plan.participants.len() + plan.joiners.len());
    let masks = Masks {
        keys: folder.join(keys),
        k_min: k_min.unwrap_or(K_MIN.min(assets)),
        cohort: cohort.or(*k_min).unwrap_or(K_MIN.min(assets)),
        changes: changes.or(*k_min).unwrap_or(K_MIN.min(assets)),
        threshold: threshold.unwrap_or(if seats >= SEATS { 3 } else { 0 }),
        recoveries: recoveries.unwrap_or(usize::from(threshold.map_or(seats >= SEATS, |own| own > 0))),
        patience: Duration::from_secs(u64::from(patience_s.unwrap_or(plan.round_s))),
        committee: committee.into_iter().map(NodeId).collect(),
        most: *most,
        noise: noise.as_ref().map(RawNoise::budget),
    };
    let mut expect = |holds: bool, name, problem: String| {
        if !holds {
            add(name, problem);
        }
    };
    expect((2..=16).contains(&seats), "committee", format!("{seats} seats: allowed are 2 to 16"));
    let within = |value: usize, least: usize, most: usize| (least..=most).contains(&value);
    let range = |least: usize, most: usize| format!("out of range: allowed are {least} to {most}");
    expect(within(masks.k_min, 2, assets), "k_min", range(2, assets));
    expect(within(masks.cohort, 1, assets), "cohort", range(1, assets));
    expect(within(masks.changes, 1, 10_000), "changes", range(1, 10_000));
    let shared = masks.threshold == 0 || (3..seats).contains(&masks.threshold);
    let problem_of = format!("0, or 3 to {}: one less than the seats", seats.max(1) - 1);
    expect(shared, "threshold", problem_of);
    let most_recoveries = masks.threshold.saturating_sub(2);
    expect(masks.recoveries <= most_recoveries, "recoveries", range(0, most_recoveries));
    expect((1..=86_400 * 365).contains(&masks.patience.as_secs()), "patience_s", range(1, 86_400 * 365));
    let most_of_all = MAX_SHARE;
    expect(
        masks.most > 0.0 && masks.most <= most_of_all,
        "most",
        format!("out of range: above 0, at most {most_of_all}"),
    );
    let own = problem.map_or(0.0, widest);
    expect(
        own <= masks.most,
        "most",
        format!("this asset's own share of a constraint may be {own}: it would give it away"),
    );
    if let Some(noise) = &masks.noise {
        let magnitude = |value: f64| value > 0.0 && value <= 1e6;
        let range = || "out of range: above 0, at most 1e6".to_owned();
        expect(magnitude(noise.clip), "noise.clip", range());
        expect(noise.norm.is_none_or(magnitude), "noise.norm", range());
        let budget = noise.epsilon > 0.0 && noise.epsilon <= MAX_EPSILON;
        expect(budget, "noise.epsilon", format!("out of range: above 0, at most {MAX_EPSILON:e}"));
        let is_chance = noise.delta > 0.0 && noise.delta < 1.0;
        expect(is_chance, "noise.delta", "out of range: above 0, below 1".to_owned());
        let answers = (1..=100_000).contains(&noise.answers);
        expect(answers, "noise.answers", "out of range: allowed are 1 to 100000".to_owned());
        if !plan.solver.needs_shares_alone() {
            let problem = "noise spoils the squares, values or slopes that other methods live on: Exchange and AsynchronousExchange need shares alone";
            mistakes.add(&[Step::Field("plan"), Step::Field("solver")], problem.to_owned());
        }
    }
    Some(masks)
}

/// The greatest share that a problem's bounds allow in a constraint, with what a solver needs beyond them.
pub(super) fn widest(problem: &LocalProblem) -> f64 {
    let parts = problem.parts();
    let mut shares = vec![0.0; parts.couplings];
    for term in &parts.shared {
        let bound = parts.lower[term.variable].abs().max(parts.upper[term.variable].abs());
        shares[term.coupling] += term.coefficient.abs() * bound;
    }
    shares.into_iter().fold(0.0, f64::max) * 1.001 + 1e-3
}
