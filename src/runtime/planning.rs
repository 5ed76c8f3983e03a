//! From a scenario's plan to the fleet's problem.

use crate::{
    scenario::{ConstraintKind, PlanParticipant, PlanSpec, PlanTerm},
    units::AssetIndex,
};
use cosmosmesh_protocol::{
    id::NodeId,
    planning::{
        Assembly, Commodity, CouplingKind, FleetError, LocalProblem, ProblemError, Row, Rule, Schedule,
    },
};

/// The constraints that bind the fleet: balances in the order of commodities, then the further ones.
///
/// # Errors
/// [`FleetError`], which the check of a scenario leaves no room for.
pub(super) fn assembly(plan: &PlanSpec, node: impl Fn(AssetIndex) -> NodeId) -> Result<Assembly, FleetError> {
    let slots = plan.slots as usize;
    let balanced = plan.commodities.iter().enumerate().filter(|(index, _)| plan.balanced[*index]);
    let balances = balanced.map(|(index, name)| Rule::balance(name.clone(), index, slots));
    let further = plan.constraints.iter().map(|constraint| Rule {
        name: constraint.name.clone(),
        kind: match constraint.kind {
            ConstraintKind::Budget => CouplingKind::Budget,
            ConstraintKind::Exclusion => CouplingKind::MutualExclusion,
            ConstraintKind::Envelope => CouplingKind::SafetyEnvelope,
            ConstraintKind::Total => CouplingKind::Total,
        },
        commodity: constraint.commodity,
        members: (constraint.assets.as_ref()).map(|assets| assets.iter().map(|asset| node(*asset)).collect()),
        window: constraint.slots.clone(),
        each_slot: constraint.each_slot(),
        lower: constraint.min,
        upper: constraint.max,
    });
    Assembly::new(slots, balances.chain(further).collect())
}

/// A participant's own problem: for each commodity of the plan, in order, its values in every slot, then those of its private
/// quantities. What it has no term for it neither gives nor takes.
pub(super) fn local_problem(
    plan: &PlanSpec,
    participant: &PlanParticipant,
    node: NodeId,
    assembly: &Assembly,
) -> Result<LocalProblem, ProblemError> {
    let slots = plan.slots as usize;
    let shared = (0..plan.commodities.len()).map(|index| {
        let term = participant.terms.iter().find(|term| term.commodity == index);
        term.map_or_else(|| absent(slots), |term| commodity(term, slots))
    });
    let private = participant.private.iter().map(|term| commodity(term, slots));
    let schedule = Schedule { slots, commodities: shared.chain(private).collect() };
    let mut parts = schedule.problem()?.parts().clone();
    parts.shared = assembly.shared(node);
    parts.couplings = assembly.couplings().len();
    for relation in &participant.relations {
        parts.rows.extend((0..slots).map(|slot| Row {
            terms: relation.terms.iter().map(|&(index, weight)| (index * slots + slot, weight)).collect(),
            lower: relation.min[slot],
            upper: relation.max[slot],
        }));
    }
    for reserve in &participant.reserves {
        let first = reserve.commodity * slots;
        parts.rows.extend((0..slots).map(|slot| Row {
            terms: (first..=first + slot).map(|variable| (variable, 1.0)).collect(),
            lower: reserve.initial - reserve.max,
            upper: reserve.initial - reserve.min,
        }));
    }
    LocalProblem::new(parts)
}

/// The variables of a participant that are requests, ascending.
pub(super) fn requests(plan: &PlanSpec, participant: &PlanParticipant) -> Vec<usize> {
    let slots = plan.slots as usize;
    let terms = participant.terms.iter().chain(&participant.private).filter(|term| term.requests);
    let open = terms.flat_map(|term| {
        (0..slots).filter(|&slot| term.max[slot] > 0.0).map(move |slot| term.commodity * slots + slot)
    });
    open.collect()
}

fn commodity(term: &PlanTerm, slots: usize) -> Commodity {
    Commodity {
        preferred: term.preferred.clone(),
        curvature: vec![term.curvature; slots],
        minimum: term.min.clone(),
        maximum: term.max.clone(),
        total_minimum: term.total_min,
        total_maximum: term.total_max,
        ramp: term.ramp,
    }
}

fn absent(slots: usize) -> Commodity {
    Commodity {
        preferred: vec![0.0; slots],
        curvature: vec![1.0; slots],
        minimum: vec![0.0; slots],
        maximum: vec![0.0; slots],
        total_minimum: None,
        total_maximum: None,
        ramp: None,
    }
}
