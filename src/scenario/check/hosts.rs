//! Series of like assets.

use super::Checker;
use crate::scenario::{
    decode::{List, Spanned},
    raw::{RawAsset, RawHosts, RawMotion},
};

/// Most assets of one series.
const MAX_COUNT: u32 = 100_000;

impl Spanned<RawHosts> {
    /// The assets that a series stands for, each as if it were written where the series is.
    pub(in crate::scenario) fn assets(&self) -> impl Iterator<Item = Spanned<RawAsset>> + '_ {
        let raw = &self.value;
        let place = &self.place;
        let first = raw.first.as_ref().map_or(0, |first| first.value);
        let node = raw.node.as_ref().map_or(1, |node| node.value);
        let node_place = raw.node.as_ref().map_or(place, |node| &node.place);
        // A longer series is refused by the check, and its first assets are enough to check the rest with.
        (0..raw.count.value.min(MAX_COUNT)).map(move |index| {
            let name = format!("{}{}", raw.prefix.value, u64::from(first) + u64::from(index));
            let node = node.saturating_add(u64::from(index));
            let asset = RawAsset {
                name: Spanned { value: name, place: raw.prefix.place.clone() },
                kind: raw.kind.clone(),
                node: Spanned { value: node, place: node_place.clone() },
                motion: Spanned { value: RawMotion::Nowhere, place: place.clone() },
                kit: raw.kit.clone(),
                groups: raw.groups.clone(),
                role: None,
                radios: None,
                power: None,
                storage: None,
                routes: None,
                custodians: None,
                policy: None,
                clock: None,
                dtn_name: None,
            };
            Spanned { value: asset, place: place.clone() }
        })
    }
}

impl Checker<'_> {
    pub(super) fn hosts(&mut self, raw: Option<&List<RawHosts>>) {
        for series in raw.map(|raw| raw.value.as_slice()).unwrap_or_default() {
            let count = &series.value.count;
            let holds = (1..=MAX_COUNT).contains(&count.value);
            self.expect(holds, &count.place, format!("a whole number from 1 to {MAX_COUNT}"));
        }
    }
}
