//! What a run's plan is measured against: the fleet's problem of each horizon, and its central optimum.

use crate::{
    metrics::{PlanReference, PlanSituation, Replan},
    oracle::{self, CentralProblem},
    runtime::{Done, Fleet},
    scenario::PlanSpec,
    units::AssetIndex,
};
use cosmosmesh_protocol::planning::{
    Couplings, FleetProblem, IntegerFleet, LocalProblem, QpSettings, integer::fixed,
};
use std::{collections::BTreeMap, sync::Arc};

/// The reference of the plan as it begins; none without a plan.
///
/// # Errors
/// Why there is no optimum.
pub(super) fn of_start(fleet: &Fleet) -> Result<Option<PlanReference>, String> {
    let Some(plan) = &fleet.scenario().planning else { return Ok(None) };
    reference(fleet, plan, &PlanSituation::default()).map(Some)
}

/// The references of later horizons, other members, and requests that are whole.
pub(super) fn later(fleet: Arc<Fleet>) -> Replan {
    Replan(Arc::new(move |situation| {
        let plan = fleet.scenario().planning.as_ref()?;
        reference(&fleet, plan, situation).ok()
    }))
}

fn reference(fleet: &Fleet, plan: &PlanSpec, situation: &PlanSituation) -> Result<PlanReference, String> {
    let slots = plan.rolling.map_or(0, |rolling| rolling.shift as usize);
    let (mut problems, mut requests, mut bounds) = (BTreeMap::new(), BTreeMap::new(), None);
    for participant in &plan.participants {
        let asset = participant.asset;
        let begins = participant.joins.is_none();
        if !situation.members.get(&asset).copied().unwrap_or(begins) {
            continue;
        }
        let done = situation.done.get(&asset).map_or(&[][..], Vec::as_slice);
        let part = fleet.horizon(asset, situation.horizon, &Done::of(done, slots));
        let Some((couplings, Some(problem), own)) = part.map_err(|error| error.to_string())? else {
            continue;
        };
        let mut problem = problem;
        if let Some(granted) = situation.granted.as_ref().and_then(|granted| granted.get(&asset)) {
            let decided = own.own.iter().copied().zip(granted.iter().copied());
            problem = fixed(&problem, decided).map_err(|error| error.to_string())?;
        }
        problems.insert(asset, problem);
        requests.insert(asset, own.own);
        bounds = Some(couplings);
    }
    let couplings = bounds.ok_or("nobody takes part")?;
    let sides = couplings.as_slice().iter().map(|coupling| (coupling.lower, coupling.upper));
    let participants = problems.iter().map(|(asset, problem)| participant(*asset, problem));
    let problem =
        CentralProblem::new(participants.collect()).map_err(|error| error.to_string())?.bounded(sides);
    let mut optimum = problem.solve().map_err(|error| format!("central optimum of the plan: {error}"))?;
    if requests.values().all(Vec::is_empty) {
        requests.clear();
    } else {
        optimum.integrality_gap = central_rounding(fleet, &couplings, situation, &problems, &requests)?;
    }
    Ok(PlanReference { problem, optimum, requests })
}

/// What rounding costs where all is known: the reference of what the fleet does by messages.
fn central_rounding(
    fleet: &Fleet,
    couplings: &Couplings,
    situation: &PlanSituation,
    problems: &BTreeMap<AssetIndex, LocalProblem>,
    requests: &BTreeMap<AssetIndex, Vec<usize>>,
) -> Result<Option<f64>, String> {
    if situation.granted.is_some() {
        // Told with the relaxed reference.
        let relaxed = PlanSituation { granted: None, ..situation.clone() };
        let plan = fleet.scenario().planning.as_ref().ok_or("no plan")?;
        return reference(fleet, plan, &relaxed).map(|reference| reference.optimum.integrality_gap);
    }
    let whole = |error: &dyn std::fmt::Display| format!("plan with whole requests: {error}");
    let locals = problems.iter().map(|(asset, problem)| (fleet.node(*asset), problem.clone())).collect();
    let problem = FleetProblem::new(couplings.clone(), locals).map_err(|error| whole(&error))?;
    let integer = IntegerFleet::new(problem, requests.values().cloned().collect());
    let rounded = integer.and_then(|fleet| fleet.solve_centrally(QpSettings::default()));
    Ok(Some(rounded.map_err(|error| whole(&error))?.gap))
}

fn participant(asset: AssetIndex, problem: &LocalProblem) -> oracle::Participant {
    let (parts, n) = (problem.parts(), problem.variables());
    let upper = (0..n).flat_map(|row| (row..n).map(move |column| (row, column)));
    let entries = upper.map(|(row, column)| (row, column, problem.hessian_entry(row, column)));
    let row = |row: &cosmosmesh_protocol::planning::Row| oracle::Row {
        terms: row.terms.clone(),
        lower: row.lower,
        upper: row.upper,
    };
    let shared = |term: &cosmosmesh_protocol::planning::SharedTerm| oracle::SharedTerm {
        coupling: term.coupling,
        variable: term.variable,
        coefficient: term.coefficient,
    };
    oracle::Participant {
        asset,
        quadratic: entries.filter(|entry| entry.2 != 0.0).collect(),
        linear: parts.linear.clone(),
        constant: parts.constant,
        lower: parts.lower.clone(),
        upper: parts.upper.clone(),
        rows: parts.rows.iter().map(row).collect(),
        shared: parts.shared.iter().map(shared).collect(),
    }
}
