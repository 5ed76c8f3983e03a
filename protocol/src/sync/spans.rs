//! A set of sequence numbers as disjoint, ordered, closed intervals.

use alloc::vec::Vec;

/// Sequence numbers from 1 on, as closed intervals that neither touch nor overlap, in order.
///
/// Operations are linear in the number of intervals.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spans(Vec<(u64, u64)>);

impl Spans {
    /// Nothing.
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Takes intervals that are in order, disjoint and apart, start at 1 or later; `None` for any others.
    pub(super) fn from_ordered(intervals: Vec<(u64, u64)>) -> Option<Self> {
        let sound = intervals.iter().all(|&(first, last)| 1 <= first && first <= last);
        let apart = intervals.windows(2).all(|pair| pair[0].1 < pair[1].0.saturating_sub(1));
        (sound && apart).then_some(Self(intervals))
    }

    /// Adds `[first, last]`.
    pub(super) fn insert(&mut self, first: u64, last: u64) {
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
    pub(super) fn join(&mut self, other: &Self) {
        for &(first, last) in &other.0 {
            self.insert(first, last);
        }
    }

    /// Whether `sequence` is in the set.
    pub(super) fn contains(&self, sequence: u64) -> bool {
        let at = self.0.partition_point(|&(_, end)| end < sequence);
        self.0.get(at).is_some_and(|&(start, _)| start <= sequence)
    }

    /// The highest number; 0 when empty.
    pub(super) fn last(&self) -> u64 {
        self.0.last().map_or(0, |&(_, last)| last)
    }

    /// The intervals in order.
    pub(super) fn intervals(&self) -> &[(u64, u64)] {
        &self.0
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
            let ((mut left, left_set), (right, right_set)) = (build(&left), build(&right));
            prop_assert_eq!(Spans::from_ordered(left.intervals().to_vec()), Some(left.clone()));
            prop_assert_eq!(numbers(&left), left_set.clone());
            prop_assert!((1..60).all(|n| left.contains(n) == left_set.contains(&n)));
            left.join(&right);
            prop_assert_eq!(numbers(&left), &left_set | &right_set);
            prop_assert_eq!(left.last(), (&left_set | &right_set).last().copied().unwrap_or(0));
        }
    }

    #[test]
    fn the_end_of_the_numbers_does_not_overflow() {
        let mut spans = Spans::new();
        spans.insert(1, u64::MAX);
        spans.insert(u64::MAX, u64::MAX);
        assert_eq!(spans.intervals(), [(1, u64::MAX)]);
        assert_eq!(Spans::from_ordered([(1, 4), (5, 6)].to_vec()), None);
    }
}
