//! `plan.*`: how far the plans that assets hold are from the central optimum, and when that became little.

use super::{ConvergenceRow, DerivedRow, MetricsSet};
use crate::{
    engine::{Record, RecordKind},
    oracle::{CentralProblem, Gap, HeldPlan, Optimum},
    units::{AssetIndex, SimTime},
};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// The problem and its central optimum, which plans are measured against.
#[derive(Clone, Debug)]
pub struct PlanReference {
    /// The problem that the fleet solves.
    pub problem: CentralProblem,
    /// Its central optimum.
    pub optimum: Optimum,
    /// Which variables of a participant are requests; empty without requests.
    pub requests: BTreeMap<AssetIndex, Vec<usize>>,
}

/// Where the plan is, for the reference that it is measured against.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlanSituation {
    /// The horizon.
    pub horizon: u64,
    /// What each participant did before it, horizon by horizon.
    pub done: BTreeMap<AssetIndex, Vec<Vec<f64>>>,
    /// Who takes part, where that is not who begins.
    pub members: BTreeMap<AssetIndex, bool>,
    /// The requests that are granted, participant by participant: the rest is measured with these fixed.
    pub granted: Option<BTreeMap<AssetIndex, Vec<bool>>>,
}

/// Makes the reference of a situation; `None` when it has no optimum.
#[derive(Clone)]
pub struct Replan(pub Arc<Reference>);

/// The central optimum of a situation, where it has one.
type Reference = dyn Fn(&PlanSituation) -> Option<PlanReference> + Send + Sync;

impl fmt::Debug for Replan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Replan")
    }
}

/// A row of the table of horizons: one that is over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HorizonRow {
    /// The horizon.
    pub horizon: u64,
    /// When it began.
    pub began: SimTime,
    /// The highest round reached in it.
    pub round: u32,
    /// How many took part in the end.
    pub members: usize,
    /// The plan-optimality gap in the end.
    pub gap: Option<f64>,
    /// What the plan that is held costs more than the relaxed optimum, once its requests are whole.
    pub integrality_gap: Option<f64>,
    /// Versions committed.
    pub versions: u32,
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
/// any participant has reached by then. It is that of the horizon under way, among those who take part, and, once everyone's
/// requests are whole, with these fixed.
#[derive(Clone, Debug)]
pub struct PlanRecorder {
    reference: Option<(PlanReference, HeldPlan)>,
    replan: Option<Replan>,
    situation: PlanSituation,
    /// The situation has changed, and the reference not yet.
    outdated: bool,
    /// What participants hold, and whether its requests are whole.
    held: BTreeMap<AssetIndex, (Vec<f64>, bool)>,
    /// The optimum with requests in part.
    relaxed: Option<f64>,
    began: SimTime,
    versions: (u32, Option<(u64, u32, u32)>),
    all_versions: u64,
    horizons: u64,
    worst: Option<f64>,
    retired: u64,
    coarse: Threshold,
    fine: Threshold,
    round: u32,
    gap: Option<Gap>,
    integrality: Option<f64>,
    primal: Option<f64>,
    dual: Option<f64>,
    rounds_closed: u32,
}

impl PlanRecorder {
    /// Measures against `reference`, and what `replan` makes of it when the plan goes on; without one there are residuals only.
    #[must_use]
    pub fn new(reference: Option<PlanReference>, replan: Option<Replan>) -> Self {
        let relaxed = reference.as_ref().map(|reference| reference.optimum.value);
        let reference = reference.map(|reference| {
            let held = HeldPlan::new(&reference.problem);
            (reference, held)
        });
        Self {
            reference,
            replan,
            situation: PlanSituation::default(),
            outdated: false,
            held: BTreeMap::new(),
            relaxed,
            began: SimTime::ZERO,
            versions: (0, None),
            all_versions: 0,
            horizons: 0,
            worst: None,
            retired: 0,
            coarse: Threshold::new(1e-3),
            fine: Threshold::new(1e-6),
            round: 0,
            gap: None,
            integrality: None,
            primal: None,
            dual: None,
            rounds_closed: 0,
        }
    }

    /// Takes the next record; `rows` gets a row when the gap or the residuals changed.
    pub fn record(&mut self, record: &Record, rows: &mut Vec<DerivedRow>) {
        match &record.kind {
            RecordKind::PlanHorizon { horizon, done } => return self.horizon(record, *horizon, done, rows),
            RecordKind::PlanMember { member, present, .. } => {
                self.retired += u64::from(!present);
                self.situation.members.insert(*member, *present);
                self.outdated = true;
                return;
            }
            RecordKind::PlanWhole { .. } => {
                self.held.entry(record.asset).or_default().1 = true;
                return;
            }
            RecordKind::PlanCommitted { horizon, term, round, .. } => {
                let version = (*horizon, *term, *round);
                if self.versions.1.is_none_or(|last| last < version) {
                    self.versions = (self.versions.0 + 1, Some(version));
                    self.all_versions += 1;
                }
                return;
            }
            RecordKind::PlanLocal { round, values } => {
                if self.reference.is_none() && self.replan.is_none() {
                    return;
                }
                self.held.entry(record.asset).or_default().0.clone_from(values);
                self.round = self.round.max(*round);
                self.measure(record.time, record.asset, values);
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

    /// An asset enters a later horizon: the last one is over when the first does.
    fn horizon(&mut self, record: &Record, horizon: u64, done: &[f64], rows: &mut Vec<DerivedRow>) {
        if horizon > self.situation.horizon {
            self.finish(rows);
            (self.situation.horizon, self.situation.granted) = (horizon, None);
            (self.began, self.versions.0) = (record.time, 0);
            (self.gap, self.integrality, self.coarse.below_since, self.fine.below_since) =
                (None, None, None, None);
            self.held.clear();
        }
        self.outdated = true;
        if !done.is_empty() {
            self.situation.done.entry(record.asset).or_default().push(done.to_vec());
        }
    }

    /// The gap, now that `asset` holds `values`.
    fn measure(&mut self, now: SimTime, asset: AssetIndex, values: &[f64]) {
        if self.outdated && now == self.began {
            // Others enter the horizon at the same moment.
            return;
        }
        if self.outdated {
            self.follow();
        }
        let granted = self.granted();
        if granted.is_some() && granted != self.situation.granted {
            self.situation.granted = granted;
            self.follow();
        }
        let Some((reference, held)) = &mut self.reference else { return };
        if !held.hold(&reference.problem, asset, values) {
            return;
        }
        self.gap = held.gap(&reference.problem, &reference.optimum);
        if let (Some(relaxed), Some(_), Some(_)) = (self.relaxed, &self.situation.granted, self.gap) {
            self.integrality = Some((held.cost() - relaxed) / relaxed.abs().max(1.0));
        }
    }

    /// The requests that are granted, once every participant's are whole.
    fn granted(&self) -> Option<BTreeMap<AssetIndex, Vec<bool>>> {
        let (reference, _) = self.reference.as_ref()?;
        if reference.requests.is_empty() {
            return None;
        }
        let part = |participant: &crate::oracle::Participant| {
            let (values, whole) = self.held.get(&participant.asset)?;
            let requests = reference.requests.get(&participant.asset).map_or(&[][..], Vec::as_slice);
            let granted = |variable: &usize| values.get(*variable).is_some_and(|value| *value > 0.5);
            whole.then(|| (participant.asset, requests.iter().map(granted).collect()))
        };
        reference.problem.participants().iter().map(part).collect()
    }

    /// The reference of the situation as it is now, with what is held already.
    fn follow(&mut self) {
        self.outdated = false;
        let Some(replan) = &self.replan else { return };
        let Some(reference) = (replan.0)(&self.situation) else {
            self.reference = None;
            return;
        };
        // What whole requests cost is told beside the relaxed plan of the same members.
        self.relaxed = match self.situation.granted {
            None => Some(reference.optimum.value),
            Some(_) => {
                let in_part = PlanSituation { granted: None, ..self.situation.clone() };
                (replan.0)(&in_part).map(|reference| reference.optimum.value)
            }
        };
        let mut held = HeldPlan::new(&reference.problem);
        for (asset, (values, _)) in &self.held {
            held.hold(&reference.problem, *asset, values);
        }
        self.reference = Some((reference, held));
    }

    /// Tells of the horizon under way, which is over.
    pub fn finish(&mut self, rows: &mut Vec<DerivedRow>) {
        let Some((reference, _)) = &self.reference else { return };
        self.horizons += 1;
        let gap = self.gap.map(Gap::value);
        self.worst = match (self.worst, gap) {
            (Some(worst), Some(gap)) => Some(worst.max(gap)),
            (worst, gap) => worst.or(gap),
        };
        rows.push(DerivedRow::Horizon(HorizonRow {
            horizon: self.situation.horizon,
            began: self.began,
            round: self.round,
            members: reference.problem.participants().len(),
            gap,
            integrality_gap: self.integrality,
            versions: self.versions.0,
        }));
    }

    /// Writes `plan.*`.
    pub fn write(&self, set: &mut MetricsSet) {
        self.coarse.write("1e3", set);
        self.fine.write("1e6", set);
        set.set("plan.optimality_gap", self.gap.map(Gap::value), "1");
        let central = self.reference.as_ref().and_then(|(reference, _)| reference.optimum.integrality_gap);
        if central.is_some() || self.integrality.is_some() {
            set.set("plan.integrality_gap", self.integrality, "1");
            set.set("plan.integrality_gap_central", central, "1");
        }
        if self.situation.horizon > 0 {
            set.count("plan.horizons", self.horizons, "1");
            set.set("plan.worst_horizon_gap", self.worst, "1");
        }
        if !self.situation.members.is_empty() {
            set.count("plan.retired", self.retired, "1");
        }
        if self.rounds_closed > 0 {
            set.count("plan.versions", self.all_versions, "1");
        }
        set.set("plan.objective_gap", self.gap.map(|gap| gap.objective), "1");
        set.set("plan.constraint_violation", self.gap.map(|gap| gap.violation), "1");
        set.set("plan.primal_residual", self.primal, "1");
        set.set("plan.dual_residual", self.dual, "1");
        set.count("plan.rounds", u64::from(self.rounds_closed), "1");
    }
}
