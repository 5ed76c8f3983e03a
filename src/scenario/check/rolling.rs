//! A plan that is solved again as time passes, and participants that come and go.

use super::Checker;
use crate::{
    scenario::{
        checked::Rolling,
        raw::{RawParticipant, RawPlan},
    },
    units::SimTime,
};

impl Checker<'_> {
    /// How horizons follow each other.
    pub(super) fn rolling(&mut self, raw: &RawPlan, slot: SimTime) -> Option<Rolling> {
        let rolling = &raw.rolling.as_ref()?.value;
        let every = self.above_zero(&rolling.every);
        let whole = slot > SimTime::ZERO && every.0 % slot.0.max(1) == 0;
        self.expect(whole, &rolling.every.place, format!("a whole number of slots of {slot}"));
        let horizons = self.count_or(Some(&rolling.horizons), 2, 2, 1000).clamp(2, 1000);
        let start = raw.start.as_ref().map_or(SimTime::ZERO, |start| start.value.0);
        let last = every.0.saturating_mul(i64::from(horizons) - 1).saturating_add(start.0);
        let allowed = format!("so many that the last one begins before the run's end, {}", self.run);
        self.expect(SimTime(last) < self.run, &rolling.horizons.place, allowed);
        let shift = u32::try_from(every.0 / slot.0.max(1)).unwrap_or(u32::MAX);
        let holds = shift > 0 && shift <= raw.slots.value;
        self.expect(holds, &rolling.every.place, "at least one slot, at most a horizon");
        Some(Rolling { every, shift: shift.clamp(1, raw.slots.value.max(1)), horizons })
    }

    /// When a participant joins and leaves.
    pub(super) fn presence(&mut self, raw: &RawParticipant) -> (Option<SimTime>, Option<SimTime>) {
        let run = self.run;
        let joins = raw.joins.as_ref().map(|joins| {
            let holds = (SimTime::ZERO..run).contains(&joins.value.0);
            self.expect(holds, &joins.place, format!("a time within the run, 0 s to below {run}"));
            joins.value.0
        });
        let leaves = raw.leaves.as_ref().map(|leaves| {
            let first = joins.unwrap_or(SimTime::ZERO);
            let holds = leaves.value.0 > first && leaves.value.0 < run;
            self.expect(holds, &leaves.place, format!("a time after {first}, before the run's end {run}"));
            leaves.value.0
        });
        (joins, leaves)
    }
}
