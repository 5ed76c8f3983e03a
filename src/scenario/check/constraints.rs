//! Constraints that bind the fleet of a plan, and what binds one asset's values to each other.

use std::ops::Range;

use super::{Checker, plan::SUM_SLACK};
use crate::scenario::{
    checked::{ConstraintKind, PlanConstraint, PlanRelation, PlanReserve, PlanSpec, PlanTerm},
    decode::{List, Place, Series, Spanned},
    diagnostic::Mistake,
    raw::{RawConstraint, RawParticipant, RawPlan, RawRelation, RawReserve, RawSlots},
};
use crate::units::AssetIndex;

/// The fields that all constraints have, and their bounds.
struct Fields<'a> {
    kind: ConstraintKind,
    name: &'a Spanned<String>,
    commodity: &'a Spanned<String>,
    assets: Option<&'a List<String>>,
    slots: Option<&'a Spanned<RawSlots>>,
    min: Option<&'a Spanned<f64>>,
    max: Option<&'a Spanned<f64>>,
}

impl<'a> Fields<'a> {
    fn of(raw: &'a RawConstraint) -> Self {
        macro_rules! fields {
            ($raw:expr, $kind:ident, $min:expr, $max:expr) => {
                Self {
                    kind: ConstraintKind::$kind,
                    name: &$raw.name,
                    commodity: &$raw.commodity,
                    assets: $raw.assets.as_ref(),
                    slots: $raw.slots.as_ref(),
                    min: $min,
                    max: $max,
                }
            };
        }
        match raw {
            RawConstraint::Budget(raw) => fields!(raw, Budget, None, Some(&raw.max)),
            RawConstraint::Exclusion(raw) => fields!(raw, Exclusion, None, raw.capacity.as_ref()),
            RawConstraint::Envelope(raw) => fields!(raw, Envelope, raw.min.as_ref(), raw.max.as_ref()),
            RawConstraint::Total(raw) => fields!(raw, Total, raw.min.as_ref(), raw.max.as_ref()),
        }
    }
}

impl Checker<'_> {
    /// For each commodity, whether it is balanced.
    pub(super) fn balanced(&mut self, raw: &RawPlan) -> Vec<bool> {
        let commodities = &raw.commodities.value;
        let Some(balance) = &raw.balance else { return vec![true; commodities.len()] };
        self.unique(balance.value.iter(), "each commodity");
        let known: Vec<&str> = commodities.iter().map(|name| name.value.as_str()).collect();
        for name in balance.value.iter().filter(|name| !known.contains(&name.value.as_str())) {
            self.unknown_name(name, "a commodity", &known);
        }
        known.iter().map(|name| balance.value.iter().any(|balanced| balanced.value == *name)).collect()
    }

    pub(super) fn constraints(&mut self, raw: &RawPlan, slots: usize) -> Vec<PlanConstraint> {
        let Some(list) = &raw.constraints else { return Vec::new() };
        let known: Vec<&str> = raw.commodities.value.iter().map(|name| name.value.as_str()).collect();
        // Prices are told by name: those of a balance have its commodity's.
        let names = list.value.iter().map(|one| Fields::of(&one.value).name);
        self.unique(raw.commodities.value.iter().chain(names), "each name of a commodity or constraint");
        list.value.iter().map(|one| self.constraint(one, raw, &known, slots)).collect()
    }

    fn constraint(
        &mut self,
        raw: &Spanned<RawConstraint>,
        plan: &RawPlan,
        known: &[&str],
        slots: usize,
    ) -> PlanConstraint {
        let fields = Fields::of(&raw.value);
        self.word(fields.name);
        let commodity = known.iter().position(|name| *name == fields.commodity.value);
        if commodity.is_none() {
            self.unknown_name(fields.commodity, "a commodity", known);
        }
        let (mut min, mut max) = (f64::NEG_INFINITY, f64::INFINITY);
        match (fields.kind, fields.min, fields.max) {
            (ConstraintKind::Exclusion, _, capacity) => {
                max = capacity.map_or(1.0, |capacity| self.positive(capacity, |number| *number));
            }
            (_, None, None) => {
                self.report(
                    &raw.place,
                    Mistake::Inconsistent,
                    "neither `min` nor `max`",
                    "one of them, or both",
                );
            }
            (_, low, high) => {
                min = low.map_or(min, |low| low.value);
                max = high.map_or(max, |high| high.value);
            }
        }
        if let (Some(low), Some(high)) = (fields.min, fields.max)
            && low.value > high.value
        {
            let related = vec![(low.place.span, "the least sum".to_owned())];
            let found = format!("{}, below the least sum {}", high.value, low.value);
            let allowed = "at least the least sum".to_owned();
            self.draft(&high.place, Mistake::Inconsistent, found, allowed, None, related);
        }
        let assets = fields.assets.map(|assets| self.bound(assets, plan));
        PlanConstraint {
            name: fields.name.value.clone(),
            kind: fields.kind,
            commodity: commodity.unwrap_or(0),
            assets,
            slots: fields.slots.map_or(0..slots, |window| self.slots(window, slots)),
            min,
            max,
        }
    }

    /// Whom a constraint binds. Groups may hold others too, but who is named takes part.
    fn bound(&mut self, assets: &List<String>, raw: &RawPlan) -> Vec<AssetIndex> {
        for name in &assets.value {
            let takes_part = raw.participants.value.iter().any(|one| one.value.asset.value == name.value);
            if self.names.contains_key(&name.value) && !takes_part {
                let found = format!("\"{}\"", name.value);
                self.report(&name.place, Mistake::Inconsistent, found, "a participant of the plan");
            }
        }
        self.members(assets)
    }

    /// Neighbouring slots of the horizon, at least one.
    pub(super) fn slots(&mut self, raw: &Spanned<RawSlots>, slots: usize) -> Range<usize> {
        let first = raw.value.first.as_ref().map_or(0, |first| first.value as usize);
        let last = raw.value.last.as_ref().map_or(slots - 1, |last| last.value as usize);
        let place = raw.value.last.as_ref().or(raw.value.first.as_ref()).map_or(&raw.place, |end| &end.place);
        if first > last || last >= slots {
            let found = format!("slots {first} to {last}");
            self.report(
                place,
                Mistake::OutOfRange,
                found,
                format!("slots in order, from 0 to {}", slots - 1),
            );
            return 0..slots;
        }
        first..last + 1
    }

    /// The participants' bounds allow every constraint.
    pub(super) fn reach(&mut self, raw: &RawPlan, plan: &PlanSpec) {
        for (at, constraint) in plan.constraints.iter().enumerate() {
            let place = raw.constraints.as_ref().map(|list| list.value[at].place.clone());
            let Some(place) = place else { continue };
            let bound = plan.participants.iter().filter(|one| constraint.binds(one.asset));
            let terms: Vec<&PlanTerm> = bound
                .flat_map(|one| &one.terms)
                .filter(|term| term.commodity == constraint.commodity)
                .collect();
            let windows: Vec<Range<usize>> = if constraint.each_slot() {
                constraint.slots.clone().map(|slot| slot..slot + 1).collect()
            } else {
                vec![constraint.slots.clone()]
            };
            for window in windows {
                if !self.reaches(&place, constraint, &terms, window) {
                    break;
                }
            }
        }
    }

    fn reaches(
        &mut self,
        place: &Place,
        constraint: &PlanConstraint,
        terms: &[&PlanTerm],
        window: Range<usize>,
    ) -> bool {
        let sum = |list: fn(&PlanTerm) -> &[f64]| -> f64 {
            terms.iter().flat_map(|term| &list(term)[window.clone()]).sum()
        };
        let (least, largest) = (sum(|term| &term.min), sum(|term| &term.max));
        let slack = SUM_SLACK * least.abs().max(largest.abs()).max(1.0);
        let holds = least <= constraint.max + slack && largest >= constraint.min - slack;
        if !holds {
            let found = format!(
                "\"{}\" in slots {} to {} sums to {least} to {largest}",
                constraint.name,
                window.start,
                window.end - 1
            );
            let allowed = format!("bounds that allow a sum of {} to {}", constraint.min, constraint.max);
            self.report(place, Mistake::Inconsistent, found, allowed);
        }
        holds
    }

    /// `known` are the names of the values that the asset has, with their numbers.
    pub(super) fn relations(
        &mut self,
        raw: &RawParticipant,
        known: &[(&str, usize)],
        slots: usize,
    ) -> Vec<PlanRelation> {
        let list = raw.relations.iter().flat_map(|list| &list.value);
        list.map(|one| self.relation(one, known, slots)).collect()
    }

    fn relation(
        &mut self,
        raw: &Spanned<RawRelation>,
        known: &[(&str, usize)],
        slots: usize,
    ) -> PlanRelation {
        let list = &raw.value.terms;
        if list.value.is_empty() {
            self.report(&list.place, Mistake::OutOfRange, "an empty list", "at least one value");
        }
        self.unique(list.value.iter().map(|one| &one.value.commodity), "each value");
        let mut terms: Vec<(usize, f64)> = (list.value.iter())
            .map(|one| {
                let weight = one.value.weight.as_ref().map_or(1.0, |weight| weight.value);
                (self.quantity(&one.value.commodity, known), weight)
            })
            .collect();
        terms.sort_by_key(|term| term.0);
        let mut side = |side: Option<&Spanned<Series>>, open: f64| {
            side.map_or_else(|| vec![open; slots], |series| self.series(series, slots))
        };
        let min = side(raw.value.min.as_ref(), f64::NEG_INFINITY);
        let max = side(raw.value.max.as_ref(), f64::INFINITY);
        if raw.value.min.is_none() && raw.value.max.is_none() {
            self.report(&raw.place, Mistake::Inconsistent, "neither `min` nor `max`", "one of them, or both");
        } else if let Some(slot) = (0..slots).find(|&slot| min[slot] > max[slot]) {
            let found = format!("{} in slot {slot}, below the least sum {}", max[slot], min[slot]);
            let place = raw.value.max.as_ref().map_or(&raw.place, |max| &max.place);
            self.report(place, Mistake::Inconsistent, found, "at least the least sum, in every slot");
        }
        PlanRelation { terms, min, max }
    }

    pub(super) fn reserves(&mut self, raw: &RawParticipant, known: &[(&str, usize)]) -> Vec<PlanReserve> {
        let list = raw.reserves.iter().flat_map(|list| &list.value);
        list.map(|one| self.reserve(&one.value, known)).collect()
    }

    fn reserve(&mut self, raw: &RawReserve, known: &[(&str, usize)]) -> PlanReserve {
        let min = raw.min.as_ref().map_or(0.0, |min| min.value);
        let (initial, max) = (raw.initial.value, raw.max.value);
        self.expect(max >= min, &raw.max.place, format!("at least the least level {min}"));
        if max >= min {
            let holds = (min..=max).contains(&initial);
            self.expect(holds, &raw.initial.place, format!("a level from {min} to {max}"));
        }
        PlanReserve { commodity: self.quantity(&raw.commodity, known), initial, min, max }
    }

    fn quantity(&mut self, name: &Spanned<String>, known: &[(&str, usize)]) -> usize {
        let found = known.iter().find(|one| one.0 == name.value).map(|one| one.1);
        if found.is_none() {
            let names: Vec<&str> = known.iter().map(|one| one.0).collect();
            self.unknown_name(name, "a value for which the asset has a term", &names);
        }
        found.unwrap_or(0)
    }
}
