//! From a scenario's plan to the fleet's problem, horizon by horizon.
//!
//! A later horizon's problem is made of the scenario and of what the asset itself did before ([`Done`]); nobody else need know that.
//! What was done is carried so: totals and reserves are lowered by it, a ramp starts from it, and to a constraint that sums
//! over slots the asset contributes it as a variable that is fixed. What comes after the horizon is one variable for
//! each value that a total or such a constraint counts: the sum over the slots to come, at the cost of spreading it evenly. So a
//! horizon leaves to later ones what they need.

use crate::{
    scenario::{ConstraintKind, PlanConstraint, PlanParticipant, PlanSpec, PlanTerm},
    units::AssetIndex,
};
use cosmosmesh_protocol::{
    id::NodeId,
    planning::{
        Assembly, Commodity, CouplingKind, FleetError, Hessian, LocalProblem, ProblemError, ProblemParts,
        Row, Rule, Schedule, SharedTerm,
    },
};
use std::ops::Range;

/// What an asset did in the slots before a horizon, by term: those of the plan's commodities, then the private ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Done(Vec<Vec<f64>>);

impl Done {
    /// Adds what was done in `slots` of the horizon whose local plan is `values`: nothing where it says nothing. Answers what was added,
    /// term by term.
    pub fn extend(
        &mut self,
        plan: &PlanSpec,
        participant: &PlanParticipant,
        values: &[f64],
        slots: Range<usize>,
    ) -> Vec<f64> {
        let length = plan.slots as usize;
        let terms = participant.terms.iter().chain(&participant.private);
        let mut added = Vec::new();
        self.0.resize(terms.clone().count(), Vec::new());
        for (list, term) in self.0.iter_mut().zip(terms) {
            let first = term.commodity * length;
            let value = |slot: usize| if slot < length { values.get(first + slot).copied() } else { None };
            let part: Vec<f64> = slots.clone().map(|slot| value(slot).unwrap_or(0.0)).collect();
            list.extend_from_slice(&part);
            added.extend(part);
        }
        added
    }

    /// What was done, from what [`Done::extend`] answered horizon by horizon, `slots` each.
    #[must_use]
    pub fn of(stretches: &[Vec<f64>], slots: usize) -> Self {
        let terms = stretches.first().map_or(0, |stretch| stretch.len() / slots.max(1));
        let list = |term: usize| {
            let part = |stretch: &Vec<f64>| stretch.iter().skip(term * slots).take(slots).copied().collect();
            stretches.iter().flat_map(|stretch| -> Vec<f64> { part(stretch) }).collect()
        };
        Self((0..terms).map(list).collect())
    }

    fn term(&self, at: usize) -> &[f64] {
        self.0.get(at).map_or(&[], Vec::as_slice)
    }
}

/// The constraints that bind the fleet in a horizon: balances in the order of commodities, then the further ones.
///
/// # Errors
/// [`FleetError`], which the check of a scenario leaves no room for.
pub(super) fn assembly(
    plan: &PlanSpec,
    horizon: u64,
    node: impl Fn(AssetIndex) -> NodeId,
) -> Result<Assembly, FleetError> {
    let slots = plan.slots as usize;
    let first = plan.window(horizon).start;
    let balanced = plan.commodities.iter().enumerate().filter(|(index, _)| plan.balanced[*index]);
    let balances = balanced.map(|(index, name)| Rule::balance(name.clone(), index, slots));
    let further = plan.binding(horizon).map(|(constraint, window)| Rule {
        name: constraint.name.clone(),
        kind: match constraint.kind {
            ConstraintKind::Budget => CouplingKind::Budget,
            ConstraintKind::Exclusion => CouplingKind::MutualExclusion,
            ConstraintKind::Envelope => CouplingKind::SafetyEnvelope,
            ConstraintKind::Total => CouplingKind::Total,
        },
        commodity: constraint.commodity,
        members: (constraint.assets.as_ref()).map(|assets| assets.iter().map(|asset| node(*asset)).collect()),
        window: window.start - first..window.end - first,
        each_slot: constraint.each_slot(),
        lower: constraint.min,
        upper: constraint.max,
    });
    Assembly::beginning(first, slots, balances.chain(further).collect())
}

/// A participant's own problem in a horizon: for each commodity of the plan, in order, its values in every slot, then those of its
/// private quantities, then what is carried from before and what comes after. What it has no term for it neither gives nor takes.
pub(super) fn local_problem(
    plan: &PlanSpec,
    participant: &PlanParticipant,
    node: NodeId,
    assembly: &Assembly,
    horizon: u64,
    done: &Done,
) -> Result<LocalProblem, ProblemError> {
    let slots = plan.slots as usize;
    let window = plan.window(horizon);
    let carried = plan.rolling.is_some();
    let own = |term: &PlanTerm| commodity(term, window.clone(), carried);
    let shared = (0..plan.commodities.len()).map(|index| {
        let term = participant.terms.iter().find(|term| term.commodity == index);
        term.map_or_else(|| absent(slots), own)
    });
    let schedule =
        Schedule { slots, commodities: shared.chain(participant.private.iter().map(own)).collect() };
    let mut parts = schedule.problem()?.parts().clone();
    parts.shared = assembly.shared(node);
    parts.couplings = assembly.couplings().len();
    for relation in &participant.relations {
        parts.rows.extend((0..slots).map(|slot| Row {
            terms: relation.terms.iter().map(|&(index, weight)| (index * slots + slot, weight)).collect(),
            lower: relation.min[window.start + slot],
            upper: relation.max[window.start + slot],
        }));
    }
    let terms: Vec<&PlanTerm> = participant.terms.iter().chain(&participant.private).collect();
    for reserve in &participant.reserves {
        let first = reserve.commodity * slots;
        let at = terms.iter().position(|term| term.commodity == reserve.commodity);
        let given: f64 = at.map_or(0.0, |at| done.term(at).iter().sum());
        let rows = (0..slots).map(|slot| Row {
            terms: (first..=first + slot).map(|variable| (variable, 1.0)).collect(),
            lower: reserve.initial - given - reserve.max,
            upper: reserve.initial - given - reserve.min,
        });
        let rows: Vec<Row> = rows.map(|row| if carried { reachable(row, &parts) } else { row }).collect();
        parts.rows.extend(rows);
    }
    if carried {
        let carry = Carry { plan, participant, assembly, horizon, window };
        for (at, term) in terms.iter().enumerate() {
            carry.term(&mut parts, term, done.term(at));
        }
    }
    LocalProblem::new(parts)
}

/// What ties a horizon to those before and after it.
struct Carry<'a> {
    plan: &'a PlanSpec,
    participant: &'a PlanParticipant,
    assembly: &'a Assembly,
    horizon: u64,
    window: Range<usize>,
}

impl Carry<'_> {
    /// Adds the variables and rows of a term.
    fn term(&self, parts: &mut ProblemParts, term: &PlanTerm, done: &[f64]) {
        let slots = self.plan.slots as usize;
        let first = term.commodity * slots;
        let later = self.window.end..term.min.len();
        let sums: Vec<(&PlanConstraint, usize)> = (self.plan.binding(self.horizon))
            .map(|(constraint, _)| constraint)
            .filter(|one| !one.each_slot() && one.commodity == term.commodity)
            .filter(|one| one.binds(self.participant.asset))
            .filter_map(|one| Some((one, self.assembly.couplings().position(&one.name)?)))
            .collect();
        let totals = term.total_min.is_some() || term.total_max.is_some();
        let mut tail = None;
        if !later.is_empty() && (totals || !sums.is_empty()) {
            let sum = |list: &[f64]| list[later.clone()].iter().sum::<f64>();
            let curvature = term.curvature / later.len() as f64;
            let (preferred, bounds) = (sum(&term.preferred), (sum(&term.min), sum(&term.max)));
            tail = Some(push(parts, curvature, preferred, bounds));
        }
        if totals {
            let used: f64 = done.iter().sum();
            let variables = (first..first + slots).chain(tail);
            let row = Row {
                terms: variables.map(|variable| (variable, 1.0)).collect(),
                lower: term.total_min.map_or(f64::NEG_INFINITY, |total| total - used),
                upper: term.total_max.map_or(f64::INFINITY, |total| total - used),
            };
            let row = reachable(row, parts);
            parts.rows.push(row);
        }
        if let (Some(ramp), Some(last)) = (term.ramp, done.last()) {
            let row = Row { terms: vec![(first, 1.0)], lower: last - ramp, upper: last + ramp };
            let row = reachable(row, parts);
            parts.rows.push(row);
        }
        for (constraint, coupling) in sums {
            let range = |slots: Range<usize>| {
                constraint.slots.start.max(slots.start)..constraint.slots.end.min(slots.end)
            };
            let before = range(0..done.len());
            if !before.is_empty() {
                let used: f64 = done[before].iter().sum();
                let variable = push(parts, 1.0, used, (used, used));
                parts.shared.push(SharedTerm { variable, coupling, coefficient: 1.0 });
            }
            let after = range(later.clone());
            if let (Some(variable), false) = (tail, after.is_empty()) {
                // Evenly spread: as much of it as the constraint has of the slots to come.
                let coefficient = after.len() as f64 / later.len() as f64;
                parts.shared.push(SharedTerm { variable, coupling, coefficient });
            }
        }
    }
}

/// Adds a variable; answers its place.
fn push(parts: &mut ProblemParts, curvature: f64, preferred: f64, (lower, upper): (f64, f64)) -> usize {
    if let Hessian::Diagonal(diagonal) = &mut parts.hessian {
        diagonal.push(curvature);
    }
    parts.linear.push(-curvature * preferred);
    parts.constant += 0.5 * curvature * preferred * preferred;
    parts.lower.push(lower);
    parts.upper.push(upper);
    parts.linear.len() - 1
}

/// The row, opened as far as it takes to be met within the variables' bounds: what was done may have left no more, be it by the last
/// bits of a solver or because a plan was carried out that was not agreed on.
fn reachable(row: Row, parts: &ProblemParts) -> Row {
    let (mut least, mut largest) = (0.0, 0.0);
    for &(variable, weight) in &row.terms {
        let (one, other) = (weight * parts.lower[variable], weight * parts.upper[variable]);
        least += one.min(other);
        largest += one.max(other);
    }
    Row { lower: row.lower.min(largest), upper: row.upper.max(least), ..row }
}

/// The variables of a participant that are requests in a horizon, ascending.
pub(super) fn requests(plan: &PlanSpec, participant: &PlanParticipant, horizon: u64) -> Vec<usize> {
    let slots = plan.slots as usize;
    let first = plan.window(horizon).start;
    let terms = participant.terms.iter().chain(&participant.private).filter(|term| term.requests);
    let open = terms.flat_map(|term| {
        let open = (0..slots).filter(move |&slot| term.max[first + slot] > 0.0);
        open.map(move |slot| term.commodity * slots + slot)
    });
    open.collect()
}

/// The couplings in which anybody's requests take part, ascending.
pub(super) fn contested(plan: &PlanSpec, assembly: &Assembly, horizon: u64) -> Vec<usize> {
    let commodities: Vec<usize> = (plan.participants.iter())
        .flat_map(|one| one.terms.iter().filter(|term| term.requests).map(|term| term.commodity))
        .collect();
    let balances = plan.commodities.iter().enumerate().filter(|(index, _)| plan.balanced[*index]);
    let balances = balances.flat_map(|(index, _)| vec![index; plan.slots as usize]);
    let further = plan.binding(horizon).flat_map(|(constraint, window)| {
        vec![constraint.commodity; if constraint.each_slot() { window.len() } else { 1 }]
    });
    let of: Vec<usize> = balances.chain(further).collect();
    debug_assert_eq!(of.len(), assembly.couplings().len());
    (0..of.len()).filter(|coupling| commodities.contains(&of[*coupling])).collect()
}

fn commodity(term: &PlanTerm, window: Range<usize>, carried: bool) -> Commodity {
    Commodity {
        preferred: term.preferred[window.clone()].to_vec(),
        curvature: vec![term.curvature; window.len()],
        minimum: term.min[window.clone()].to_vec(),
        maximum: term.max[window].to_vec(),
        total_minimum: term.total_min.filter(|_| !carried),
        total_maximum: term.total_max.filter(|_| !carried),
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
