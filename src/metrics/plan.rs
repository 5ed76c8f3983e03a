//! `plan.*`: how far the plans that assets hold are from the central optimum, and when that became little.

use super::{ConvergenceRow, DerivedRow, MetricsSet};
use crate::{
    engine::{Record, RecordKind},
    oracle::{CentralProblem, Gap, HeldPlan, Optimum},
    units::SimTime,
};

/// The problem and its central optimum, which plans are measured against.
#[derive(Clone, Debug)]
pub struct PlanReference {
    /// The problem that the fleet solves.
    pub problem: CentralProblem,
    /// Its central optimum.
    pub optimum: Optimum,
}

/// When a threshold was crossed downwards for good, so far.
#[derive(Clone, Copy, Debug)]
struct Threshold {
    limit: f64,
    below_since: Option<(SimTime, u32)>,
}

impl Threshold {
    const fn new(limit: f64) -> Self {
        Self { limit, below_since: None }
    }

    fn observe(&mut self, gap: f64, time: SimTime, round: u32) {
        if gap < self.limit {
            self.below_since.get_or_insert((time, round));
        } else {
            self.below_since = None;
        }
    }

    fn write(&self, name: &str, set: &mut MetricsSet) {
        set.set(
            format!("plan.time_to_gap_{name}_s"),
            self.below_since.map(|(time, _)| time.as_secs_f64()),
            "s",
        );
        set.set(
            format!("plan.rounds_to_gap_{name}"),
            self.below_since.map(|(_, round)| f64::from(round)),
            "1",
        );
    }
}

/// Follows the rounds.
///
/// The gap exists from the moment at which every participant holds a plan. The round of a gap is the highest round that
/// any participant has reached by then.
#[derive(Clone, Debug)]
pub struct PlanRecorder {
    reference: Option<(PlanReference, HeldPlan)>,
    coarse: Threshold,
    fine: Threshold,
    round: u32,
    gap: Option<Gap>,
    primal: Option<f64>,
    dual: Option<f64>,
    rounds_closed: u32,
}

impl PlanRecorder {
    /// Measures against `reference`; without one there are residuals only.
    #[must_use]
    pub fn new(reference: Option<PlanReference>) -> Self {
        let reference = reference.map(|reference| {
            let held = HeldPlan::new(&reference.problem);
            (reference, held)
        });
        Self {
            reference,
            coarse: Threshold::new(1e-3),
            fine: Threshold::new(1e-6),
            round: 0,
            gap: None,
            primal: None,
            dual: None,
            rounds_closed: 0,
        }
    }

    /// Takes the next record; `rows` gets a row when the gap or the residuals changed.
    pub fn record(&mut self, record: &Record, rows: &mut Vec<DerivedRow>) {
        match &record.kind {
            RecordKind::PlanLocal { round, values } => {
                let Some((reference, held)) = &mut self.reference else { return };
                if !held.hold(&reference.problem, record.asset, values) {
                    return;
                }
                self.round = self.round.max(*round);
                self.gap = held.gap(&reference.problem, &reference.optimum);
                let Some(gap) = self.gap else { return };
                self.coarse.observe(gap.value(), record.time, self.round);
                self.fine.observe(gap.value(), record.time, self.round);
            }
            RecordKind::PlanRound { round, primal_residual, dual_residual, .. } => {
                self.rounds_closed = self.rounds_closed.max(*round);
                self.round = self.round.max(*round);
                // Infinite: the method does not know it yet.
                self.primal = Some(*primal_residual).filter(|residual| residual.is_finite());
                self.dual = Some(*dual_residual).filter(|residual| residual.is_finite());
            }
            _ => return,
        }
        rows.push(DerivedRow::Convergence(ConvergenceRow {
            time: record.time,
            round: self.round,
            objective_gap: self.gap.map(|gap| gap.objective),
            violation: self.gap.map(|gap| gap.violation),
            primal_residual: self.primal,
            dual_residual: self.dual,
        }));
    }

    /// Writes `plan.*`.
    pub fn write(&self, set: &mut MetricsSet) {
        self.coarse.write("1e3", set);
        self.fine.write("1e6", set);
        set.set("plan.optimality_gap", self.gap.map(Gap::value), "1");
        let whole = self.reference.as_ref().and_then(|(reference, _)| reference.optimum.integrality_gap);
        if whole.is_some() {
            set.set("plan.integrality_gap", whole, "1");
        }
        set.set("plan.objective_gap", self.gap.map(|gap| gap.objective), "1");
        set.set("plan.constraint_violation", self.gap.map(|gap| gap.violation), "1");
        set.set("plan.primal_residual", self.primal, "1");
        set.set("plan.dual_residual", self.dual, "1");
        set.count("plan.rounds", u64::from(self.rounds_closed), "1");
    }
}
