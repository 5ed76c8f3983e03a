//! Critical bundles: a copy over every neighbour that leads to the destination, as in ION, and one of them is enough.
//!
//! Every node on the way does the same, so each remembers their names until they expire, and lets further copies go. Who is no member
//! of the directory has no critical bundles: whoever could, would have every bundle go every way.

use super::{
    Node,
    delivered::Delivered,
    forward::Origin,
    ingress::{Arrival, Fate},
    output::DropReason,
};
use crate::{
    bundle::{BlockFlags, Bundle},
    dtn::{
        routing::{RouteQuery, SERVICE_BLOCK, critical_data, is_critical},
        store::{Priority, StoreKey},
    },
    id::NodeId,
};
use alloc::vec::Vec;
use core::time::Duration;

/// The critical bundles that came by.
pub(super) type Seen = Delivered;

impl Node {
    /// Says in a bundle of ours that it is critical.
    pub(super) fn mark_critical(bundle: &mut Bundle, priority: Priority) {
        bundle.push_block(SERVICE_BLOCK, BlockFlags::REPLICATE, critical_data(priority));
    }

    /// Whether a bundle is to go every way: it says so, its source is a member, and routes are what this node goes by.
    pub(super) fn is_critical(&self, bundle: &Bundle) -> bool {
        self.table.is_none()
            && self.spread.is_none()
            && bundle.block(SERVICE_BLOCK).is_some_and(|block| is_critical(&block.data))
            && bundle.primary().source.node().is_some_and(|node| self.config.directory.key(node).is_some())
    }

    /// A critical bundle of somebody else: sent every way when it is here for the first time.
    pub(super) fn pass_on_critical(
        &mut self,
        bundle: Bundle,
        priority: Priority,
        left: Duration,
        encoded: &[u8],
        arrival: Arrival,
    ) -> Fate {
        let id = bundle.id();
        drop(self.critical.expire(self.now));
        if self.critical.knows(&id) {
            self.count("critical_seen");
            return Fate::Taken;
        }
        let memorable = self.memorable(&bundle, left);
        let max = self.config.bundles.max_remembered;
        let stored = if self.critical.has_room(&id, arrival.from, memorable, max) {
            let stored = self.store_critical(bundle, priority, left, encoded);
            if stored.is_some() {
                // What found no room is not here: its sender keeps it, and may try again.
                self.critical.remember(id, self.now.saturating_add(memorable), arrival.from);
            }
            stored
        } else {
            // Without a memory of it, it would go round: it goes the best way only.
            self.store_bundle(bundle, priority, left, Origin::Kept(encoded))
        };
        if stored.is_some() { Fate::Taken } else { Fate::Dropped(DropReason::StoreFull) }
    }

    /// Stores a copy of a bundle for the best route over each neighbour, the best of all first, and names that one. Where there is no
    /// route it waits for one, as others do. `None`: no room for any.
    pub(super) fn store_critical(
        &mut self,
        bundle: Bundle,
        priority: Priority,
        left: Duration,
        encoded: &[u8],
    ) -> Option<StoreKey> {
        let destination = self.node_of(&bundle.primary().destination)?;
        let previous = bundle.previous_node().and_then(|node| node.node());
        let source = self.node_of(&bundle.primary().source).filter(|source| *source != self.config.id);
        let mut excluded: Vec<NodeId> = previous.into_iter().collect();
        let mut first = None;
        loop {
            let waiting = &self.waiting;
            let query = RouteQuery {
                deadline: self.now.saturating_add(left),
                excluded_neighbours: &excluded,
                avoided: source,
                backlog: &|neighbour| waiting.backlog(neighbour, priority),
                ..RouteQuery::new(self.config.id, destination, self.now, bundle.full_len() as u64)
            };
            let Some(route) = self.router.search(&self.plan, &query, priority) else { break };
            excluded.push(route.neighbour);
            let stored = self.store_on(bundle.clone(), priority, left, Origin::Kept(encoded), Some(route));
            first = first.or(stored);
            if stored.is_none() {
                return first;
            }
        }
        first.or_else(|| self.store_bundle(bundle, priority, left, Origin::Kept(encoded)))
    }
}
