//! What assets answer is quantised to fixed point: numbers beyond its range are told here, not in flight.
//!
//! An answer holds shares (steps of 2⁻³⁰ up to ±2²²), costs (steps of 2⁻²⁰ up to ±2³²) and slopes (as shares). A share is a value, or the
//! sum of values that a constraint counts; a slope is at most the number of values in it over their curvature.

use cosmosmesh_protocol::planning::message::MAX_SHARE;

use super::Checker;
use crate::scenario::{
    checked::{PlanParticipant, PlanSpec, PlanTerm},
    decode::Place,
    diagnostic::Mistake,
    raw::{RawParticipant, RawPlan, RawTerm},
};

/// The greatest cost that fits: 2³².
const MAX_VALUE: f64 = MAX_SHARE * 1024.0;

impl Checker<'_> {
    /// Every answer of every participant fits, whatever it plans within its bounds.
    pub(super) fn fixed_point(&mut self, raw: &RawPlan, plan: &PlanSpec) {
        for one in &raw.participants.value {
            let asset = self.names.get(&one.value.asset.value).copied();
            let checked = plan.participants.iter().find(|checked| Some(checked.asset) == asset);
            if let Some(checked) = checked {
                self.answers_fit(&one.value, checked, plan);
            }
        }
    }

    fn answers_fit(&mut self, raw: &RawParticipant, checked: &PlanParticipant, plan: &PlanSpec) {
        let mut cost = 0.0;
        for term in &raw.terms.value {
            let name = &term.value.commodity.value;
            let Some(commodity) = plan.commodities.iter().position(|known| known == name) else { continue };
            let Some(found) = checked.terms.iter().find(|found| found.commodity == commodity) else {
                continue;
            };
            let binding = plan
                .constraints
                .iter()
                .filter(|one| one.commodity == commodity && one.binds(checked.asset) && !one.each_slot());
            // The most values that one constraint sums.
            let summed = binding.map(|one| one.slots.len()).max().unwrap_or(1);
            self.term_fits(&term.value, found, summed);
            cost += most_cost(found);
            self.fits(&term.value.curvature.place, "costs add up to", cost, MAX_VALUE);
        }
        for (term, found) in raw.private.iter().flat_map(|list| &list.value).zip(&checked.private) {
            cost += most_cost(found);
            self.fits(&term.value.curvature.place, "costs add up to", cost, MAX_VALUE);
        }
    }

    fn term_fits(&mut self, raw: &RawTerm, term: &PlanTerm, summed: usize) {
        let (mut least, mut largest) = (term.min.clone(), term.max.clone());
        // The greatest magnitudes come last.
        least.sort_by(|a, b| b.total_cmp(a));
        largest.sort_by(f64::total_cmp);
        let sum = |list: &[f64]| list.iter().rev().take(summed).sum::<f64>().abs();
        self.fits(&raw.min.place, "values that a constraint sums reach", sum(&least), MAX_SHARE);
        self.fits(&raw.max.place, "values that a constraint sums reach", sum(&largest), MAX_SHARE);
        let slope = summed as f64 / term.curvature;
        self.fits(&raw.curvature.place, "answers to a price move by", slope, MAX_SHARE);
    }

    fn fits(&mut self, place: &Place, what: &str, found: f64, most: f64) {
        if found.is_nan() || found > most {
            self.report(
                place,
                Mistake::OutOfRange,
                format!("{what} {found:e}"),
                format!("at most {most}, the range of the fixed point in which answers are added: choose a larger unit"),
            );
        }
    }
}

/// The greatest cost within a term's bounds, over its slots.
fn most_cost(term: &PlanTerm) -> f64 {
    let bounds = term.min.iter().zip(&term.max).zip(&term.preferred);
    let farthest = bounds.map(|((min, max), preferred)| (max - preferred).abs().max((preferred - min).abs()));
    farthest.map(|far| 0.5 * term.curvature * far * far).sum()
}
