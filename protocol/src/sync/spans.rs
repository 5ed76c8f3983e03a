//! A set of sequence numbers as disjoint, ordered, closed intervals.

use alloc::vec::Vec;

/// Sequence numbers from 1 on, as closed intervals that neither touch nor overlap, in order.
///
/// In the usual case this is one interval from 1. Operations are linear in the number of intervals.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spans(Vec<(u64, u64)>);

impl Spans {
    /// Nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The interval `[first, last]`; nothing when that is empty.
    #[must_use]
    pub fn interval(first: u64, last: u64) -> Self {
        let mut spans = Self::new();
        spans.insert(first, last);
        spans
    }

    /// Takes intervals that are in order, disjoint and apart, start at 1 or later; `None` for any others.
    #[must_use]
    pub fn from_ordered(intervals: Vec<(u64, u64)>) -> Option<Self> {
        let sound = intervals.iter().all(|&(first, last)| 1 <= first && first <= last);
        let apart = intervals.windows(2).all(|pair| pair[0].1 < pair[1].0.saturating_sub(1));
        (sound && apart).then_some(Self(intervals))
    }

    /// Adds `[first, last]`.
    pub fn insert(&mut self, first: u64, last: u64) {
        let first = first.max(1);
        if first > last {
            return;
        }
        let from = self.0.partition_point(|&(_, end)| end < first - 1);
        let to = self.0.partition_point(|&(start, _)| start <= last.saturating_add(1));
        let (mut low, mut high) = (first, last);
        if from < to {
            low = low.min(self.0[from].0);
            high = high.max(self.0[to - 1].1);
        }
        self.0.splice(from..to, [(low, high)]);
    }

    /// Adds all of `other`.
    pub fn join(&mut self, other: &Self) {
        for &(first, last) in &other.0 {
            self.insert(first, last);
        }
    }

    /// Whether `sequence` is in the set.
    #[must_use]
    pub fn contains(&self, sequence: u64) -> bool {
        let at = self.0.partition_point(|&(_, end)| end < sequence);
        self.0.get(at).is_some_and(|&(start, _)| start <= sequence)
    }

    /// Whether all of `other` is in the set.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|&(first, last)| {
            let at = self.0.partition_point(|&(_, end)| end < first);
            self.0.get(at).is_some_and(|&(start, end)| start <= first && last <= end)
        })
    }

    /// What is here and not in `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut rest = Vec::new();
        for &(first, last) in &self.0 {
            let mut next = Some(first);
            let start = other.0.partition_point(|&(_, end)| end < first);
            for &(gone_first, gone_last) in other.0[start..].iter().take_while(|gone| gone.0 <= last) {
                if let Some(start) = next.filter(|&start| start < gone_first) {
                    rest.push((start, gone_first - 1));
                }
                next = gone_last.checked_add(1);
            }
            if let Some(start) = next.filter(|&start| start <= last) {
                rest.push((start, last));
            }
        }
        Self(rest)
    }

    /// What is both here and in `other`.
    #[must_use]
    pub fn common(&self, other: &Self) -> Self {
        self.without(&self.without(other))
    }

    /// What is at `first` or later.
    #[must_use]
    pub fn since(&self, first: u64) -> Self {
        self.common(&Self::interval(first, u64::MAX))
    }

    /// The last number such that it and all before it are in the set; 0 when 1 is not.
    #[must_use]
    pub fn prefix(&self) -> u64 {
        self.0.first().filter(|&&(first, _)| first == 1).map_or(0, |&(_, last)| last)
    }

    /// The highest number; 0 when empty.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.0.last().map_or(0, |&(_, last)| last)
    }

    /// The intervals in order.
    #[must_use]
    pub fn intervals(&self) -> &[(u64, u64)] {
        &self.0
    }

    /// Whether nothing is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    fn any_intervals() -> impl Strategy<Value = Vec<(u64, u64)>> {
        prop::collection::vec((1..40u64, 0..6u64).prop_map(|(first, more)| (first, first + more)), 0..8)
    }

    fn build(intervals: &[(u64, u64)]) -> (Spans, BTreeSet<u64>) {
        let mut spans = Spans::new();
        intervals.iter().for_each(|&(first, last)| spans.insert(first, last));
        (spans, intervals.iter().flat_map(|&(first, last)| first..=last).collect())
    }

    fn numbers(spans: &Spans) -> BTreeSet<u64> {
        spans.intervals().iter().flat_map(|&(first, last)| first..=last).collect()
    }

    proptest! {
        #[test]
        fn spans_agree_with_a_plain_set(left in any_intervals(), right in any_intervals()) {
            let ((left, left_set), (right, right_set)) = (build(&left), build(&right));
            prop_assert_eq!(Spans::from_ordered(left.intervals().to_vec()), Some(left.clone()));
            prop_assert_eq!(numbers(&left), left_set.clone());
            prop_assert_eq!(numbers(&left.without(&right)), &left_set - &right_set);
            prop_assert_eq!(numbers(&left.common(&right)), &left_set & &right_set);
            prop_assert_eq!(left.covers(&right), left_set.is_superset(&right_set));
            prop_assert_eq!(left.prefix(), (1..).take_while(|n| left_set.contains(n)).last().unwrap_or(0));
            prop_assert!((1..60).all(|n| left.contains(n) == left_set.contains(&n)));
        }
    }

    #[test]
    fn the_end_of_the_numbers_does_not_overflow() {
        let mut spans = Spans::interval(1, u64::MAX);
        spans.insert(u64::MAX, u64::MAX);
        assert_eq!(spans.without(&Spans::interval(5, u64::MAX)), Spans::interval(1, 4));
        assert_eq!(Spans::from_ordered([(1, 4), (5, 6)].to_vec()), None);
    }
}
