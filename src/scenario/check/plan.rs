//! The federated plan.

use std::collections::BTreeMap;

use cosmosmesh_protocol::planning::solver::Kind;

use super::Checker;
use crate::{
    scenario::{
        checked::{Asset, PlanParticipant, PlanSpec, PlanTerm, Priority, PrivacySpec, ProtocolSettings},
        decode::{List, Place, Series, Spanned},
        diagnostic::Mistake,
        raw::{RawParticipant, RawPlan, RawSolver, RawTerm},
    },
    units::{AssetIndex, SimTime},
};

/// Relative slack within which sums of bounds count as equal: far above rounding, far below any plan's precision.
pub(super) const SUM_SLACK: f64 = 1e-9;

/// The most constraints of the fleet that a plan may have, counted in every slot.
const MAX_COUPLINGS: usize = cosmosmesh_protocol::planning::problem::MAX_COUPLINGS;

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
    pub(super) fn plan(
        &mut self,
        raw: &Spanned<RawPlan>,
        protocol: &ProtocolSettings,
        assets: &[Asset],
    ) -> PlanSpec {
        let raw = &raw.value;
        let mistakes_before = self.files.drafts.len();
        let slots = self.count_or(Some(&raw.slots), 1, 1, 1000).clamp(1, 1000);
        self.commodities(&raw.commodities);
        if let Some(start) = &raw.start {
            let holds = (SimTime::ZERO..self.run).contains(&start.value.0);
            self.expect(holds, &start.place, format!("a time within the run, 0 s to below {}", self.run));
        }
        if let Some(relaxation) = &raw.over_relaxation {
            let holds = (1.0..=1.95).contains(&relaxation.value);
            self.expect(holds, &relaxation.place, "a number from 1 to 1.95");
        }
        let above_zero = |checker: &mut Self, number: Option<&Spanned<f64>>, default| {
            number.map_or(default, |number| checker.positive(number, |number| *number))
        };
        let slot = self.above_zero(&raw.slot);
        let rolling = self.rolling(raw, slot);
        let span = slots as usize + rolling.map_or(0, |one| one.shift as usize * (one.horizons as usize - 1));
        let round_timeout = self.above_zero_or(raw.round_timeout.as_ref(), SimTime::from_secs(6 * 3600));
        let mut plan = PlanSpec {
            coordinator: self.asset(&raw.coordinator).unwrap_or(AssetIndex(0)),
            successors: self.successors(raw),
            succession: self
                .above_zero_or(raw.succession.as_ref(), SimTime(round_timeout.0.saturating_mul(3))),
            solver: solver(raw.solver.as_ref().map(|solver| &solver.value)),
            slots,
            slot,
            start: raw.start.as_ref().map_or(SimTime::ZERO, |start| start.value.0),
            rho: above_zero(self, raw.rho.as_ref(), 1.0),
            over_relaxation: raw.over_relaxation.as_ref().map_or(1.0, |number| number.value),
            eps_abs: above_zero(self, raw.eps_abs.as_ref(), 1e-6),
            eps_rel: self.amount_or(raw.eps_rel.as_ref(), 1e-6, |number| *number),
            max_rounds: self.count_or(raw.max_rounds.as_ref(), 500, 1, 100_000),
            round_timeout,
            commodities: raw.commodities.value.iter().map(|name| name.value.clone()).collect(),
            participants: self.participants(raw, span),
            balanced: self.balanced(raw),
            constraints: self.constraints(raw, span),
            min_curvature: self.amount_or(raw.min_curvature.as_ref(), 0.0, |number| *number),
            lifetime: self.above_zero_or(raw.lifetime.as_ref(), protocol.lifetime(Priority::Expedited)),
            privacy: PrivacySpec::Off { why: "" },
            rolling,
            absence: self.above_zero_or(raw.absence.as_ref(), SimTime(round_timeout.0.saturating_mul(10))),
        };
        plan.privacy = self.privacy(raw, &plan, assets);
        if plan.privacy.masks().is_some_and(|masks| masks.noise.is_some()) && plan.solver.is_none() {
            // It needs shares alone, and waits for nobody.
            plan.solver = Some(Kind::AsynchronousExchange);
        }
        self.binding(raw, &plan);
        // Sums of wrong values would only repeat that they are wrong.
        if self.files.drafts.len() == mistakes_before {
            self.balances(raw, &plan);
            self.reach(raw, &plan);
            self.fixed_point(raw, &plan);
        }
        plan
    }

    /// Those who take the coordinator's place, each once and not itself.
    fn successors(&mut self, raw: &RawPlan) -> Vec<AssetIndex> {
        let Some(list) = &raw.successors else { return Vec::new() };
        self.unique(list.value.iter().chain([&raw.coordinator]), "each candidate");
        for name in &list.value {
            let takes_part = raw.participants.value.iter().any(|one| one.value.asset.value == name.value);
            // Who is asked nothing hears nothing, and does not miss the coordinator.
            self.expect(takes_part, &name.place, "the name of a participant of the plan");
        }
        let all = raw.participants.value.len();
        let coordinates = |name: &String| *name == raw.coordinator.value;
        let others = raw.participants.value.iter().filter(|one| !coordinates(&one.value.asset.value)).count();
        if !list.value.is_empty() && others < all / 2 + 1 {
            let found = format!(
                "successors of whom nobody could be elected: {others} of {all} participants is no majority"
            );
            let allowed = "three participants, or a coordinator that takes no part";
            self.report(&list.place, Mistake::OutOfRange, found, allowed);
        }
        list.value.iter().filter_map(|name| self.asset(name)).collect()
    }

    /// Something binds the fleet, and no more than a plan may have.
    fn binding(&mut self, raw: &RawPlan, plan: &PlanSpec) {
        let slots = plan.slots as usize;
        let balances = plan.balanced.iter().filter(|balanced| **balanced).count() * slots;
        let further = plan.constraints.iter();
        let further: usize =
            further.map(|one| if one.each_slot() { one.slots.len().min(slots) } else { 1 }).sum();
        let found = balances + further;
        if !(1..=MAX_COUPLINGS).contains(&found) {
            let place = raw.balance.as_ref().map_or(&raw.commodities.place, |balance| &balance.place);
            let allowed = format!("1 to {MAX_COUPLINGS}: balances and constraints, each in every slot");
            self.report(place, Mistake::OutOfRange, format!("{found} constraints of the fleet"), allowed);
        }
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
            participants.extend(self.participant(
                &one.value,
                &commodities,
                raw.min_curvature.as_ref(),
                slots,
            ));
        }
        participants.sort_by_key(|one| one.asset);
        participants
    }

    fn participant(
        &mut self,
        raw: &RawParticipant,
        commodities: &BTreeMap<&str, usize>,
        least: Option<&Spanned<f64>>,
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
            if let Some(least) = least.filter(|least| term.value.curvature.value < least.value) {
                let allowed = format!("at least {}, the plan's `min_curvature`", least.value);
                self.out_of_range(&term.value.curvature.place, allowed);
            }
            terms.push(self.term(&term.value, commodity.unwrap_or(0), slots));
        }
        terms.sort_by_key(|term| term.commodity);
        let private = self.private(raw, commodities, slots);
        let own = raw.terms.value.iter().filter_map(|term| {
            let name = term.value.commodity.value.as_str();
            commodities.get(name).map(|index| (name, *index))
        });
        let mine = raw.private.iter().flat_map(|list| &list.value).enumerate();
        let mine = mine.map(|(at, term)| (term.value.commodity.value.as_str(), commodities.len() + at));
        let known: Vec<(&str, usize)> = own.chain(mine).collect();
        let relations = self.relations(raw, &known, slots);
        let reserves = self.reserves(raw, &known);
        let (joins, leaves) = self.presence(raw);
        Some(PlanParticipant { asset: asset?, joins, leaves, terms, private, relations, reserves })
    }

    /// Quantities of the participant's own, whose names are no commodities.
    fn private(
        &mut self,
        raw: &RawParticipant,
        commodities: &BTreeMap<&str, usize>,
        slots: usize,
    ) -> Vec<PlanTerm> {
        let Some(list) = &raw.private else { return Vec::new() };
        self.unique(list.value.iter().map(|term| &term.value.commodity), "each name");
        let mut terms = Vec::new();
        for (at, term) in list.value.iter().enumerate() {
            let name = &term.value.commodity;
            self.word(name);
            self.expect(
                !commodities.contains_key(name.value.as_str()),
                &name.place,
                "a name of its own, no commodity's",
            );
            terms.push(self.term(&term.value, commodities.len() + at, slots));
        }
        terms
    }

    fn term(&mut self, raw: &RawTerm, commodity: usize, slots: usize) -> PlanTerm {
        let mut term = PlanTerm {
            commodity,
            preferred: self.series(&raw.preferred, slots),
            curvature: self.positive(&raw.curvature, |number| *number),
            min: self.series(&raw.min, slots),
            max: self.series(&raw.max, slots),
            total_min: raw.total_min.as_ref().map(|total| total.value),
            total_max: raw.total_max.as_ref().map(|total| total.value),
            ramp: raw.ramp.as_ref().map(|_| self.amount_or(raw.ramp.as_ref(), 0.0, |number| *number)),
            requests: raw.requests.as_ref().is_some_and(|requests| requests.value),
        };
        self.windows(raw, &mut term, slots);
        self.bounds(raw, &term);
        let whole =
            term.min.iter().zip(&term.max).all(|(min, max)| *min == 0.0 && (*max == 0.0 || *max == 1.0));
        if let Some(requests) = raw.requests.as_ref().filter(|_| term.requests && !whole) {
            let found = "requests with other bounds";
            self.report(
                &requests.place,
                Mistake::Inconsistent,
                found,
                "`min: 0, max: 1`, in every slot 0 or 1",
            );
        }
        term
    }

    /// Outside of its windows a value is zero.
    fn windows(&mut self, raw: &RawTerm, term: &mut PlanTerm, slots: usize) {
        let Some(windows) = &raw.windows else { return };
        let mut open = vec![false; slots];
        for window in &windows.value {
            open[self.slots(window, slots)].fill(true);
        }
        for slot in (0..slots).filter(|&slot| !open[slot]) {
            (term.min[slot], term.max[slot]) = (0.0, 0.0);
        }
    }

    pub(super) fn series(&mut self, raw: &Spanned<Series>, slots: usize) -> Vec<f64> {
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

    /// For each balanced commodity and slot, the bounds allow a sum of zero.
    fn balances(&mut self, raw: &RawPlan, plan: &PlanSpec) {
        for (commodity, name) in plan.commodities.iter().enumerate().filter(|one| plan.balanced[one.0]) {
            let terms: Vec<&PlanTerm> = plan
                .participants
                .iter()
                .flat_map(|one| &one.terms)
                .filter(|term| term.commodity == commodity)
                .collect();
            for slot in 0..plan.span() {
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
