//! A set of byte ranges.

use alloc::collections::BTreeMap;

/// Ranges that neither touch nor overlap, by start.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges {
    ends: BTreeMap<u64, u64>,
}

impl Ranges {
    /// Adds `[from, to)`. O(log n) and what it swallows.
    pub(super) fn insert(&mut self, mut from: u64, mut to: u64) {
        if let Some((&start, &end)) = self.ends.range(..=from).next_back()
            && end >= from
        {
            from = start;
            to = to.max(end);
        }
        while let Some((&start, &end)) = self.ends.range(from..=to).next() {
            self.ends.remove(&start);
            to = to.max(end);
        }
        self.ends.insert(from, to);
    }

    /// Takes `[from, to)` out. O(log n) and what it cuts.
    pub(super) fn remove(&mut self, from: u64, to: u64) {
        if from >= to {
            return;
        }
        if let Some((&start, &end)) = self.ends.range(..from).next_back()
            && end > from
        {
            self.ends.insert(start, from);
            if end > to {
                self.ends.insert(to, end);
            }
        }
        while let Some((&start, &end)) = self.ends.range(from..to).next() {
            self.ends.remove(&start);
            if end > to {
                self.ends.insert(to, end);
            }
        }
    }

    /// Whether all of `[from, to)` is in the set.
    pub(super) fn covers(&self, from: u64, to: u64) -> bool {
        from >= to || self.ends.range(..=from).next_back().is_some_and(|(_, &end)| end >= to)
    }

    /// What of `[from, to)` is not in the set, by offset.
    pub(super) fn gaps(&self, from: u64, to: u64) -> impl Iterator<Item = (u64, u64)> {
        let before = self.ends.range(..from).next_back().map_or(from, |(_, &end)| end.max(from));
        let mut at = before;
        let mut rest = self.ends.range(from..to.max(from));
        core::iter::from_fn(move || {
            loop {
                if at >= to {
                    return None;
                }
                let (start, end) = rest.next().map_or((to, to), |(&start, &end)| (start, end));
                let gap = (at, start);
                at = end.max(at);
                if gap.0 < gap.1 {
                    return Some(gap);
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ranges_equal_a_set_of_bytes(
            added in proptest::collection::vec((0_u64..60, 0_u64..12, proptest::bool::weighted(0.7)), 0..16),
            from in 0_u64..70, length in 0_u64..70,
        ) {
            let (mut ranges, mut bytes) = (Ranges::default(), [false; 160]);
            for (start, length, is_added) in added {
                if !is_added {
                    ranges.remove(start, start + length);
                } else if length > 0 {
                    ranges.insert(start, start + length);
                }
                bytes[start as usize..(start + length) as usize].fill(is_added);
            }
            let to = from + length;
            prop_assert_eq!(ranges.covers(from, to), bytes[from as usize..to as usize].iter().all(|byte| *byte));
            let missing: Vec<u64> = ranges.gaps(from, to).flat_map(|(from, to)| from..to).collect();
            let expected: Vec<u64> = (from..to).filter(|at| !bytes[*at as usize]).collect();
            prop_assert_eq!(missing, expected);
        }
    }
}
