//! [`Pairs`]: one value for each directed pair of assets that has any.

use crate::units::AssetIndex;

/// Values by directed pair, found in O(1): a record of the trace asks for one or two.
///
/// Takes 4 bytes for every asset below the highest peer of an asset, beside the values.
#[derive(Clone, Debug, Default)]
pub struct Pairs<T> {
    /// By source, then by destination: the place of its value plus one, 0 for none.
    places: Vec<Vec<u32>>,
    values: Vec<((AssetIndex, AssetIndex), T)>,
}

impl<T: Default> Pairs<T> {
    /// No pairs yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { places: Vec::new(), values: Vec::new() }
    }

    /// The value of a pair; its default when it has none yet.
    pub fn of(&mut self, from: AssetIndex, to: AssetIndex) -> &mut T {
        if from.get() >= self.places.len() {
            self.places.resize_with(from.get() + 1, Vec::new);
        }
        let row = &mut self.places[from.get()];
        if to.get() >= row.len() {
            row.resize(to.get() + 1, 0);
        }
        let place = &mut row[to.get()];
        if *place == 0 {
            self.values.push(((from, to), T::default()));
            *place = u32::try_from(self.values.len()).expect("fewer than 2³² pairs of assets");
        }
        &mut self.values[*place as usize - 1].1
    }

    /// All values, in no stated order.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.values.iter().map(|(_, value)| value)
    }

    /// All pairs and their values, by source, then by destination.
    pub fn iter(&self) -> impl Iterator<Item = ((AssetIndex, AssetIndex), &T)> {
        let places = self.places.iter().flatten().filter(|place| **place > 0);
        places.map(|place| {
            let (pair, value) = &self.values[*place as usize - 1];
            (*pair, value)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn pairs_are_a_sorted_map(asked in prop::collection::vec((0u32..6, 0u32..6), 0..60)) {
            let (mut pairs, mut map) = (Pairs::new(), BTreeMap::new());
            for (from, to) in asked {
                let pair = (AssetIndex(from), AssetIndex(to));
                *pairs.of(pair.0, pair.1) += 1;
                *map.entry(pair).or_insert(0) += 1;
            }
            prop_assert_eq!(pairs.iter().collect::<Vec<_>>(), map.iter().map(|(pair, count)| (*pair, count)).collect::<Vec<_>>());
            prop_assert_eq!(pairs.values().sum::<i32>(), map.values().sum::<i32>());
        }
    }
}
