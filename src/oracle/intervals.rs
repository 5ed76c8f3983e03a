//! [`IntervalSet`]: a set of sequence numbers that costs memory per gap, not per number.

use std::collections::BTreeMap;

/// A set of numbers, held as disjoint closed intervals that do not touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IntervalSet {
    /// First → last.
    intervals: BTreeMap<u64, u64>,
}

impl IntervalSet {
    /// Adds `number`; false when it was there already. O(log gaps).
    pub fn insert(&mut self, number: u64) -> bool {
        let before = self.intervals.range(..=number).next_back().map(|(first, last)| (*first, *last));
        if before.is_some_and(|(_, last)| last >= number) {
            return false;
        }
        let after = number.checked_add(1).and_then(|next| self.intervals.remove(&next));
        let last = after.unwrap_or(number);
        match before {
            Some((first, end)) if end + 1 == number => self.intervals.insert(first, last),
            _ => self.intervals.insert(number, last),
        };
        true
    }

    /// Whether `number` is in it. O(log gaps).
    #[must_use]
    pub fn contains(&self, number: u64) -> bool {
        self.intervals.range(..=number).next_back().is_some_and(|(_, last)| *last >= number)
    }

    /// The largest number.
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        self.intervals.values().next_back().copied()
    }

    /// How many intervals it takes.
    #[must_use]
    pub fn intervals(&self) -> usize {
        self.intervals.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_the_set_that_a_tree_of_numbers_is(numbers in prop::collection::vec(0_u64..40, 0..80)) {
            let (mut intervals, mut model) = (IntervalSet::default(), BTreeSet::new());
            for number in numbers {
                prop_assert_eq!(intervals.insert(number), model.insert(number));
            }
            for number in 0..41 {
                prop_assert_eq!(intervals.contains(number), model.contains(&number));
            }
            prop_assert_eq!(intervals.last(), model.last().copied());
            let gaps = model.iter().filter(|n| **n == 0 || !model.contains(&(**n - 1))).count();
            prop_assert_eq!(intervals.intervals(), gaps);
        }
    }

    #[test]
    fn the_ends_of_the_range_are_numbers_like_others() {
        let mut set = IntervalSet::default();
        assert!(set.insert(u64::MAX) && set.insert(u64::MAX - 1) && set.insert(0) && !set.insert(u64::MAX));
        assert_eq!(set.intervals(), 2);
    }
}
