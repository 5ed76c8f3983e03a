//! The bundles that wait for this node's contacts, by contact: who has to look for another way when one is lost or overbooked, and how
//! much goes before a new one.

use crate::{
    dtn::{
        contact_plan::ContactId,
        store::{Priority, StoreKey},
    },
    id::NodeId,
};
use alloc::collections::{BTreeMap, BTreeSet};

/// What waits for this node's neighbours. Every change is O(log n) in the bundles that wait.
#[derive(Clone, Debug, Default)]
pub struct Waiting {
    bundles: BTreeSet<(NodeId, ContactId, Priority, StoreKey)>,
    backlogs: BTreeMap<NodeId, Backlog>,
}

/// What waits for one neighbour.
#[derive(Clone, Copy, Debug, Default)]
struct Backlog {
    /// Bytes of each priority.
    bytes: [u64; 3],
    count: usize,
    /// No bundle is shorter than this, while there are any.
    least: u64,
}

impl Waiting {
    /// A bundle waits for the contact `first` with `neighbour`.
    pub fn insert(
        &mut self,
        neighbour: NodeId,
        first: ContactId,
        priority: Priority,
        key: StoreKey,
        bytes: u64,
    ) {
        if self.bundles.insert((neighbour, first, priority, key)) {
            let backlog = self.backlogs.entry(neighbour).or_default();
            backlog.bytes[priority as usize] += bytes;
            backlog.least = if backlog.count == 0 { bytes } else { backlog.least.min(bytes) };
            backlog.count += 1;
        }
    }

    /// It does not any more.
    pub fn remove(
        &mut self,
        neighbour: NodeId,
        first: ContactId,
        priority: Priority,
        key: StoreKey,
        bytes: u64,
    ) {
        if self.bundles.remove(&(neighbour, first, priority, key))
            && let Some(backlog) = self.backlogs.get_mut(&neighbour)
        {
            backlog.bytes[priority as usize] -= bytes;
            backlog.count -= 1;
        }
    }

    /// Bytes that leave for `neighbour` before a new bundle of `priority`: those of equals and betters (CCSDS 734.3-B-1 §3.2.6.2).
    #[must_use]
    pub fn backlog(&self, neighbour: NodeId, priority: Priority) -> u64 {
        self.backlogs.get(&neighbour).map_or(0, |waits| waits.bytes[..=priority as usize].iter().sum())
    }

    /// Whether all that waits for `neighbour` is longer than `bytes`, as far as is known without looking at each. Not when nothing
    /// waits.
    #[must_use]
    pub fn all_exceed(&self, neighbour: NodeId, bytes: u64) -> bool {
        self.backlogs.get(&neighbour).is_some_and(|waits| waits.count > 0 && waits.least > bytes)
    }

    /// The contacts with `neighbour` that something waits for. O(log n) for each.
    pub fn contacts(&self, neighbour: NodeId) -> impl Iterator<Item = ContactId> {
        let mut next = Some(ContactId(0));
        core::iter::from_fn(move || {
            let from = (neighbour, next?, Priority::Expedited, StoreKey(0));
            let to = (neighbour, ContactId(u32::MAX), Priority::Bulk, StoreKey(u64::MAX));
            let (_, contact, ..) = *self.bundles.range(from..=to).next()?;
            next = contact.0.checked_add(1).map(ContactId);
            Some(contact)
        })
    }

    /// The bundles that wait for `first`: the most urgent ones first, in each priority the oldest.
    pub fn bundles(&self, neighbour: NodeId, first: ContactId) -> impl Iterator<Item = StoreKey> {
        let from = (neighbour, first, Priority::Expedited, StoreKey(0));
        let to = (neighbour, first, Priority::Bulk, StoreKey(u64::MAX));
        self.bundles.range(from..=to).map(|&(.., key)| key)
    }

    /// The bundles that wait for `first` and are less urgent than `priority`: the least urgent ones first, in each priority the newest.
    pub fn lower(
        &self,
        neighbour: NodeId,
        first: ContactId,
        priority: Priority,
    ) -> impl Iterator<Item = StoreKey> {
        let lower = Priority::ALL.into_iter().rev().take_while(move |lower| *lower > priority);
        lower.flat_map(move |lower| {
            let (from, to) = (StoreKey(0), StoreKey(u64::MAX));
            let range = (neighbour, first, lower, from)..=(neighbour, first, lower, to);
            self.bundles.range(range).rev().map(|&(.., key)| key)
        })
    }

    /// All bundles that wait, by neighbour and contact.
    pub fn iter(&self) -> impl Iterator<Item = (Priority, StoreKey)> {
        self.bundles.iter().map(|&(.., priority, key)| (priority, key))
    }
}
