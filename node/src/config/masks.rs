//! The masks of a plan: who opens sums, of how many answers at least, and where everybody's keys are.

use super::{
    check::Mistakes,
    place::Step,
    plan::{RawAnswers, RawPlan},
};
use cosmosmesh_protocol::{id::NodeId, planning::LocalProblem, planning::message::MAX_SHARE};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Fewer answers are not opened, unless it is said.
const K_MIN: usize = 3;
/// With so many seats, the key of one that is lost is recovered by others.
const SEATS: usize = 4;

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
    committee.sort_unstable();
    committee.dedup();
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
