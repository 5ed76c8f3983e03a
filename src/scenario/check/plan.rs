//! The federated plan.

use std::collections::BTreeMap;

use cosmosmesh_protocol::planning::solver::Kind;

use super::Checker;
use crate::{
    scenario::{
        checked::{PlanParticipant, PlanSpec, PlanTerm, Priority, ProtocolSettings},
        decode::{List, Place, Series, Spanned},
        diagnostic::Mistake,
        raw::{RawParticipant, RawPlan, RawSolver, RawTerm},
    },
    units::{AssetIndex, SimTime},
};

/// Relative slack within which sums of bounds count as equal: far above rounding, far below any plan's precision.
const SUM_SLACK: f64 = 1e-9;

/// The method that a word stands for; none to pick one.
fn solver(raw: Option<&RawSolver>) -> Option<Kind> {
    match raw {
        Some(RawSolver::Auto) => None,
        None | Some(RawSolver::Exchange) => Some(Kind::Exchange),
        Some(RawSolver::Consensus) => Some(Kind::Consensus),
        Some(RawSolver::Anderson) => Some(Kind::Anderson),
        Some(RawSolver::QuasiNewton) => Some(Kind::QuasiNewton),
        Some(RawSolver::Asynchronous) => Some(Kind::Asynchronous),
        Some(RawSolver::AsynchronousExchange) => Some(Kind::AsynchronousExchange),
    }
}

impl Checker<'_> {
    pub(super) fn plan(&mut self, raw: &Spanned<RawPlan>, protocol: &ProtocolSettings) -> PlanSpec {
        let raw = &raw.value;
        let mistakes_before = self.files.drafts.len();
        let slots = self.count_or(Some(&raw.slots), 1, 1, 1000).clamp(1, 1000);
        self.commodities(&raw.commodities);
        if let Some(start) = &raw.start {
            let holds = (SimTime::ZERO..self.run).contains(&start.value.0);
            self.expect(holds, &start.place, format!("a time within the run, 0 s to below {}", self.run));
        }
        if let Some(relaxation) = &raw.over_relaxation {
            let holds = (1.0..2.0).contains(&relaxation.value);
            self.expect(holds, &relaxation.place, "a number from 1 to below 2");
        }
        let above_zero = |checker: &mut Self, number: Option<&Spanned<f64>>, default| {
            number.map_or(default, |number| checker.positive(number, |number| *number))
        };
        let round_timeout = self.above_zero_or(raw.round_timeout.as_ref(), SimTime::from_secs(6 * 3600));
        let plan = PlanSpec {
            coordinator: self.asset(&raw.coordinator).unwrap_or(AssetIndex(0)),
            successors: self.successors(raw),
            succession: self
                .above_zero_or(raw.succession.as_ref(), SimTime(round_timeout.0.saturating_mul(3))),
            solver: solver(raw.solver.as_ref().map(|solver| &solver.value)),
            slots,
            slot: self.above_zero(&raw.slot),
            start: raw.start.as_ref().map_or(SimTime::ZERO, |start| start.value.0),
            rho: above_zero(self, raw.rho.as_ref(), 1.0),
            over_relaxation: raw.over_relaxation.as_ref().map_or(1.0, |number| number.value),
            eps_abs: above_zero(self, raw.eps_abs.as_ref(), 1e-6),
            eps_rel: self.amount_or(raw.eps_rel.as_ref(), 1e-6, |number| *number),
            max_rounds: self.count_or(raw.max_rounds.as_ref(), 500, 1, 100_000),
            round_timeout,
            commodities: raw.commodities.value.iter().map(|name| name.value.clone()).collect(),
            participants: self.participants(raw, slots as usize),
            lifetime: self.above_zero_or(raw.lifetime.as_ref(), protocol.lifetime(Priority::Expedited)),
        };
        // Sums of wrong values would only repeat that they are wrong.
        if self.files.drafts.len() == mistakes_before {
            self.balances(raw, &plan);
        }
        plan
    }

    /// Those who take the coordinator's place, each once and not itself.
    fn successors(&mut self, raw: &RawPlan) -> Vec<AssetIndex> {
        let Some(list) = &raw.successors else { return Vec::new() };
        self.unique(list.value.iter().chain([&raw.coordinator]), "each candidate");
        list.value.iter().filter_map(|name| self.asset(name)).collect()
    }

    fn commodities(&mut self, raw: &List<String>) {
        if raw.value.is_empty() {
            self.report(&raw.place, Mistake::OutOfRange, "an empty list", "at least one commodity");
        }
        self.unique(raw.value.iter(), "each commodity");
        for name in &raw.value {
            self.word(name);
        }
    }

    fn participants(&mut self, raw: &RawPlan, slots: usize) -> Vec<PlanParticipant> {
        if raw.participants.value.len() < 2 {
            let found = format!("{} participants", raw.participants.value.len());
            self.report(&raw.participants.place, Mistake::OutOfRange, found, "at least two");
        }
        self.unique(raw.participants.value.iter().map(|one| &one.value.asset), "each participant");
        let commodities: BTreeMap<&str, usize> =
            raw.commodities.value.iter().enumerate().map(|(at, name)| (name.value.as_str(), at)).collect();
        let mut participants: Vec<PlanParticipant> = Vec::new();
        for one in &raw.participants.value {
            participants.extend(self.participant(&one.value, &commodities, slots));
        }
        participants.sort_by_key(|one| one.asset);
        participants
    }

    fn participant(
        &mut self,
        raw: &RawParticipant,
        commodities: &BTreeMap<&str, usize>,
        slots: usize,
    ) -> Option<PlanParticipant> {
        let asset = self.asset(&raw.asset);
        if raw.terms.value.is_empty() {
            self.report(&raw.terms.place, Mistake::OutOfRange, "an empty list", "at least one term");
        }
        self.unique(raw.terms.value.iter().map(|term| &term.value.commodity), "each commodity");
        let mut terms = Vec::new();
        for term in &raw.terms.value {
            let commodity = commodities.get(term.value.commodity.value.as_str()).copied();
            if commodity.is_none() {
                let known: Vec<&str> = commodities.keys().copied().collect();
                self.unknown_name(&term.value.commodity, "a commodity", &known);
            }
            terms.push(self.term(&term.value, commodity.unwrap_or(0), slots));
        }
        terms.sort_by_key(|term| term.commodity);
        Some(PlanParticipant { asset: asset?, terms })
    }

    fn term(&mut self, raw: &RawTerm, commodity: usize, slots: usize) -> PlanTerm {
        let term = PlanTerm {
            commodity,
            preferred: self.series(&raw.preferred, slots),
            curvature: self.positive(&raw.curvature, |number| *number),
            min: self.series(&raw.min, slots),
            max: self.series(&raw.max, slots),
            total_min: raw.total_min.as_ref().map(|total| total.value),
            total_max: raw.total_max.as_ref().map(|total| total.value),
            ramp: raw.ramp.as_ref().map(|_| self.amount_or(raw.ramp.as_ref(), 0.0, |number| *number)),
        };
        self.bounds(raw, &term);
        term
    }

    fn series(&mut self, raw: &Spanned<Series>, slots: usize) -> Vec<f64> {
        match &raw.value {
            Series::Constant(value) => vec![*value; slots],
            Series::PerSlot(values) => {
                if values.len() != slots {
                    let found = format!("{} values", values.len());
                    let allowed = format!("one number, or {slots} values, one per slot");
                    self.report(&raw.place, Mistake::Inconsistent, found, allowed);
                }
                let mut values = values.clone();
                values.resize(slots, 0.0);
                values
            }
        }
    }

    /// Some values keep the bounds and totals. (A ramp can still make a problem infeasible: the solver says so.)
    fn bounds(&mut self, raw: &RawTerm, term: &PlanTerm) {
        if let Some(slot) = (0..term.min.len()).find(|&slot| term.min[slot] > term.max[slot]) {
            let found =
                format!("{} in slot {slot}, below the least value {}", term.max[slot], term.min[slot]);
            let related = vec![(raw.min.place.span, "the least value".to_owned())];
            let allowed = "at least the least value, in every slot".to_owned();
            self.draft(&raw.max.place, Mistake::Inconsistent, found, allowed, None, related);
            return;
        }
        let (least, largest): (f64, f64) = (term.min.iter().sum(), term.max.iter().sum());
        let slack = SUM_SLACK * least.abs().max(largest.abs()).max(1.0);
        if let Some(total) = raw.total_min.as_ref().filter(|total| total.value > largest + slack) {
            self.out_of_range(&total.place, format!("at most {largest}, the sum of the largest values"));
        }
        if let Some(total) = raw.total_max.as_ref().filter(|total| total.value < least - slack) {
            self.out_of_range(&total.place, format!("at least {least}, the sum of the least values"));
        }
        if let (Some(low), Some(high)) = (&raw.total_min, &raw.total_max)
            && low.value > high.value
        {
            let related = vec![(low.place.span, "the least sum".to_owned())];
            let found = format!("{}, below the least sum {}", high.value, low.value);
            let allowed = "at least the least sum".to_owned();
            self.draft(&high.place, Mistake::Inconsistent, found, allowed, None, related);
        }
    }

    /// For each commodity and slot, the bounds allow a sum of zero.
    fn balances(&mut self, raw: &RawPlan, plan: &PlanSpec) {
        for (commodity, name) in plan.commodities.iter().enumerate() {
            let terms: Vec<&PlanTerm> = plan
                .participants
                .iter()
                .flat_map(|one| &one.terms)
                .filter(|term| term.commodity == commodity)
                .collect();
            for slot in 0..plan.slots as usize {
                let least: f64 = terms.iter().map(|term| term.min[slot]).sum();
                let largest: f64 = terms.iter().map(|term| term.max[slot]).sum();
                let slack = SUM_SLACK * least.abs().max(largest.abs()).max(1.0);
                if least <= slack && largest >= -slack {
                    continue;
                }
                let found = format!("\"{name}\" in slot {slot} sums to {least} to {largest}");
                let place: Place = raw.commodities.value[commodity].place.clone();
                self.report(
                    &place,
                    Mistake::Inconsistent,
                    found,
                    "bounds of the participants that allow the sum zero",
                );
                break;
            }
        }
    }
}
