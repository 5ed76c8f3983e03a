//! What there is to see of the plan: [`PlanView`].

use crate::config::Plan;
use cosmosmesh_protocol::{
    node::{Node, Report},
    time::Instant,
};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

/// The plan, as a node knows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlanView {
    /// The horizon.
    pub horizon: u64,
    /// Which coordinator in a row it is, from 0.
    pub term: u32,
    /// Who coordinates.
    pub coordinator: u64,
    /// The last round that this node heard of; 0 before the first.
    pub round: u32,
    /// The method, at the coordinator.
    pub solver: Option<String>,
    /// How far the sums are from what binds them, over what is tolerated, at the coordinator.
    pub primal: Option<f64>,
    /// How far the prices still move, over what is tolerated, at the coordinator.
    pub dual: Option<f64>,
    /// The price of each constraint in each slot.
    pub prices: Vec<Price>,
    /// What this node's own asset plans.
    pub values: Vec<Values>,
    /// Whether that is committed, and how it ended.
    pub committed: Option<String>,
    /// The version that was committed last since this daemon started.
    pub version: Option<VersionView>,
    /// What this node's own answers have given away so far, under noise; nothing before its first answer since this daemon started.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub spent: Option<SpentView>,
}

/// What an asset's answers have given away of it: differential privacy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpentView {
    /// ε at `delta`.
    pub epsilon: f64,
    /// δ.
    pub delta: f64,
    /// By how many answers.
    pub answers: u64,
    /// Whether the budget covers no further one.
    pub exhausted: bool,
}

/// A constraint's price.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Price {
    /// The constraint, with its slot.
    pub name: String,
    /// What one unit more of it costs.
    pub price: f64,
}

/// An asset's plan of a commodity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Values {
    /// The commodity.
    pub commodity: String,
    /// What is given in each slot; taken, below zero.
    pub slots: Vec<f64>,
}

/// A committed version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionView {
    /// The horizon.
    pub horizon: u64,
    /// Its coordinator's term.
    pub term: u32,
    /// The round that ended it.
    pub round: u32,
    /// How it ended.
    pub outcome: String,
    /// SHA-256 of what all members were told of it, hexadecimal.
    pub digest: String,
}

/// How old what others see of a plan may be that says nothing.
const AGAIN: Duration = Duration::from_secs(1);

const fn is_of_plan(report: &Report) -> bool {
    matches!(
        report,
        Report::PlanEpoch { .. }
            | Report::PlanLeg { .. }
            | Report::PlanLocal { .. }
            | Report::PlanMember { .. }
            | Report::PlanRequests { .. }
            | Report::PlanRound(_)
            | Report::PlanSolver { .. }
            | Report::PlanSpent { .. }
            | Report::PlanTerm { .. }
            | Report::PlanVersion(_)
            | Report::PlanWindow(_)
            | Report::PlanCommitted { .. }
    )
}

/// What the engine keeps of the plan's reports.
#[derive(Debug, Default)]
pub(crate) struct PlanNotes {
    solver: Option<&'static str>,
    residuals: Option<(f64, f64)>,
    version: Option<VersionView>,
    spent: Option<SpentView>,
    /// What others see of it, and when that was put together; none when something is different since.
    told: Option<(Instant, Option<Arc<PlanView>>)>,
}

impl PlanNotes {
    /// Takes note of a report, if it is of the plan.
    pub(crate) fn note(&mut self, report: &Report) {
        if is_of_plan(report) {
            self.told = None;
        }
        match report {
            Report::PlanSolver { solver, why } => {
                self.solver = Some(solver);
                tracing::info!(solver, why, "this node coordinates the plan");
            }
            Report::PlanRound(round) => {
                let over = |residual: f64, tolerance: f64| residual / tolerance.max(f64::MIN_POSITIVE);
                let primal = over(round.primal_residual, round.primal_tolerance);
                self.residuals = Some((primal, over(round.dual_residual, round.dual_tolerance)));
            }
            Report::PlanCommitted { horizon, term, round, outcome, digest } => {
                let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
                let (horizon, term, round, outcome) = (*horizon, *term, *round, outcome.word().to_owned());
                tracing::info!(horizon, term, round, outcome, digest, "a version of the plan is committed");
                self.version = Some(VersionView { horizon, term, round, outcome, digest });
            }
            Report::PlanSpent { epsilon, delta, releases, exhausted, .. } => {
                let (epsilon, delta, answers, exhausted) = (*epsilon, *delta, *releases, *exhausted);
                if exhausted {
                    tracing::info!(
                        epsilon,
                        delta,
                        answers,
                        "the budget of noise is spent: this node's asset answers no more"
                    );
                }
                self.spent = Some(SpentView { epsilon, delta, answers, exhausted });
            }
            Report::PlanMember { member, present, why, .. } => {
                tracing::info!(%member, present, why, "the plan has other members");
            }
            _ => {}
        }
    }

    /// What there is to see, put together anew when the plan has said something, and now and then; nothing where there is no plan.
    pub(crate) fn shown(&mut self, plan: Option<&Plan>, node: &Node, now: Instant) -> Option<Arc<PlanView>> {
        match &self.told {
            Some((at, view)) if now.saturating_since(*at) < AGAIN => view.clone(),
            _ => {
                let view = self.view(plan, node).map(Arc::new);
                self.told = Some((now, view.clone()));
                view
            }
        }
    }

    fn view(&self, plan: Option<&Plan>, node: &Node) -> Option<PlanView> {
        let (plan, status) = (plan?, node.plan_status()?);
        let names = plan.config.couplings.as_slice().iter().map(|coupling| coupling.name.clone());
        let prices = names.zip(status.prices).map(|(name, price)| Price { name, price: *price });
        let lists = plan.commodities.iter().zip(status.values.chunks(plan.slots.max(1)));
        let values = lists.map(|(name, slots)| Values { commodity: name.clone(), slots: slots.to_vec() });
        let leads = status.coordinator == node.id();
        // A residual that is not known yet is none.
        let finite = |residual: f64| Some(residual).filter(|residual| leads && residual.is_finite());
        Some(PlanView {
            horizon: status.horizon,
            term: status.term,
            coordinator: status.coordinator.0,
            round: status.round,
            solver: self.solver.filter(|_| leads).map(str::to_owned),
            primal: self.residuals.and_then(|(primal, _)| finite(primal)),
            dual: self.residuals.and_then(|(_, dual)| finite(dual)),
            prices: prices.collect(),
            values: values.collect(),
            committed: status.committed.map(|outcome| outcome.word().to_owned()),
            version: self.version.clone(),
            spent: self.spent.clone(),
        })
    }
}

impl std::fmt::Display for PlanView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { horizon, term, coordinator, round, .. } = self;
        writeln!(f, "horizon {horizon}, round {round}, node {coordinator} coordinates in term {term}")?;
        if let (Some(primal), Some(dual)) = (self.primal, self.dual) {
            let solver = self.solver.as_deref().unwrap_or("?");
            writeln!(f, "{solver}: residuals {primal:.3e} and {dual:.3e} of what is tolerated")?;
        }
        match (&self.committed, &self.version) {
            (Some(outcome), Some(version)) => {
                writeln!(
                    f,
                    "committed: {outcome}, version {}",
                    &version.digest[..version.digest.len().min(16)]
                )?;
            }
            (Some(outcome), None) => writeln!(f, "committed: {outcome}")?,
            (None, _) => writeln!(f, "not committed")?,
        }
        for price in &self.prices {
            writeln!(f, "price {:<24} {:>14.6}", price.name, price.price)?;
        }
        for values in &self.values {
            write!(f, "own {}:", values.commodity)?;
            values.slots.iter().try_for_each(|value| write!(f, " {value:.4}"))?;
            writeln!(f)?;
        }
        if let Some(SpentView { epsilon, delta, answers, exhausted }) = &self.spent {
            let rest = if *exhausted { ": its budget is spent" } else { "" };
            writeln!(f, "given away by {answers} answers: epsilon {epsilon:.3} at delta {delta:e}{rest}")?;
        }
        Ok(())
    }
}
