//! [`Memory`]: names of bundles that are gone, until they expire.

use crate::{bundle::BundleId, time::Instant};
use alloc::collections::{BTreeMap, BTreeSet};

/// A set of bundle names, bounded in time by their expiry and in number by a limit. O(log n) each.
#[derive(Clone, Debug)]
pub struct Memory {
    limit: usize,
    expiries: BTreeMap<BundleId, Instant>,
    order: BTreeSet<(Instant, BundleId)>,
}

impl Memory {
    /// An empty memory for at most `limit` names.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { limit, expiries: BTreeMap::new(), order: BTreeSet::new() }
    }

    /// Remembers `id` until `expires`. When full, the name that expires first is forgotten.
    pub fn insert(&mut self, now: Instant, id: BundleId, expires: Instant) {
        self.forget_expired(now);
        if self.limit == 0 || expires <= now || self.expiries.contains_key(&id) {
            return;
        }
        while self.expiries.len() >= self.limit {
            let Some((_, forgotten)) = self.order.pop_first() else { break };
            self.expiries.remove(&forgotten);
        }
        self.order.insert((expires, id.clone()));
        self.expiries.insert(id, expires);
    }

    /// Whether `id` is remembered. An expired name may still be: the bundle is useless anyway.
    #[must_use]
    pub fn contains(&self, id: &BundleId) -> bool {
        self.expiries.contains_key(id)
    }

    /// The names after `from` in ascending order.
    pub fn after<'a>(&'a self, from: Option<&BundleId>) -> impl Iterator<Item = &'a BundleId> {
        use core::ops::Bound::{Excluded, Unbounded};
        let start = from.map_or(Unbounded, |id| Excluded(id.clone()));
        self.expiries.range((start, Unbounded)).map(|(id, _)| id)
    }

    /// Forgets what has expired at `now`.
    pub fn forget_expired(&mut self, now: Instant) {
        while self.order.first().is_some_and(|(expires, _)| *expires <= now) {
            if let Some((_, id)) = self.order.pop_first() {
                self.expiries.remove(&id);
            }
        }
    }

    /// How many names are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.expiries.len()
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.expiries.is_empty()
    }
}
