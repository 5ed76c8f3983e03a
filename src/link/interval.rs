//! [`Interval`] and [`Outages`]: when something is on air, and when it is out of order.

use crate::units::SimTime;

/// Time from `start` up to, but not including, `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval {
    /// First moment in it.
    pub start: SimTime,
    /// First moment after it.
    pub end: SimTime,
}

impl Interval {
    /// Its length.
    #[must_use]
    pub fn length(self) -> SimTime {
        self.end - self.start
    }

    /// Whether a moment is in both. An interval without length overlaps nothing.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.start.max(other.start) < self.end.min(other.end)
    }

    /// Whether `time` is in it.
    #[must_use]
    pub fn contains(self, time: SimTime) -> bool {
        self.start <= time && time < self.end
    }
}

/// When a link or an asset is out of order: intervals that do not touch, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outages {
    intervals: Vec<Interval>,
}

impl Outages {
    /// Never.
    pub const NONE: &'static Self = &Self { intervals: Vec::new() };

    /// The union of `intervals`, which may overlap and come in any order.
    #[must_use]
    pub fn new(mut intervals: Vec<Interval>) -> Self {
        intervals.retain(|interval| interval.start < interval.end);
        intervals.sort_unstable();
        intervals.dedup_by(|next, kept| {
            let touches = next.start <= kept.end;
            if touches {
                kept.end = kept.end.max(next.end);
            }
            touches
        });
        Self { intervals }
    }

    /// The intervals, in order.
    #[must_use]
    pub fn intervals(&self) -> &[Interval] {
        &self.intervals
    }

    /// Whether it is out of order at `time`.
    #[must_use]
    pub fn contains(&self, time: SimTime) -> bool {
        let after = self.intervals.partition_point(|outage| outage.end <= time);
        self.intervals.get(after).is_some_and(|outage| outage.contains(time))
    }

    /// Whether it is out of order at some moment of `interval`, or, when that has no length, at its moment.
    #[must_use]
    pub fn cuts(&self, interval: Interval) -> bool {
        let after = self.intervals.partition_point(|outage| outage.end <= interval.start);
        let next = self.intervals.get(after);
        next.is_some_and(|outage| outage.overlaps(interval) || outage.contains(interval.start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn interval(start: i64, end: i64) -> Interval {
        Interval { start: SimTime(start), end: SimTime(end) }
    }

    #[test]
    fn touching_and_overlapping_outages_are_one() {
        let outages = Outages::new(vec![
            interval(5, 7),
            interval(0, 2),
            interval(2, 3),
            interval(6, 9),
            interval(4, 4),
        ]);
        assert_eq!(outages.intervals(), [interval(0, 3), interval(5, 9)]);
    }

    proptest! {
        #[test]
        fn outages_answer_as_a_search_through_all_of_them(
            given in prop::collection::vec((0i64..60, 0i64..10), 0..8), start in 0i64..70, length in 0i64..10,
        ) {
            let given: Vec<_> = given.into_iter().map(|(start, length)| interval(start, start + length)).collect();
            let outages = Outages::new(given.clone());
            let down = |moment| given.iter().any(|outage| outage.contains(SimTime(moment)));
            prop_assert_eq!(outages.contains(SimTime(start)), down(start));
            let cut = (start..start + length.max(1)).any(down);
            prop_assert_eq!(outages.cuts(interval(start, start + length)), cut);
        }
    }
}
