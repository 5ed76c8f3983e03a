//! Routing: which contacts a bundle takes over the [`ContactPlan`](super::contact_plan).
//!
//! A [`Router`] answers for one node, whose [`Waiting`] bundles it books; [`earliest_arrival`] answers once, for anybody; [`Arrivals`]
//! estimates how long others take. All take the same [`RouteQuery`].

mod alternatives;
mod arrivals;
mod earliest_arrival;
mod limits;
mod router;
mod service;
mod tree;
mod volume;
mod waiting;
mod walk;

pub use alternatives::{MAX_ROUTES, k_routes, k_routes_within, routes_by_neighbour};
pub use arrivals::Arrivals;
pub use earliest_arrival::{RouteScratch, earliest_arrival, earliest_arrival_within};
pub use limits::{Limits, confidence};
pub use router::{AGES, PlanChange, Router, RouterCounts};
pub use service::{SERVICE_BLOCK, critical_data, is_critical};
pub use volume::{Volumes, volume_from, whole_volume};
pub use waiting::Waiting;
pub use walk::{volume_limit, walk, walk_within};

use super::contact_plan::ContactId;
use crate::{id::NodeId, time::Instant};
use alloc::sync::Arc;

/// Bytes that wait for a neighbour already, such as the load of its queue. Bundles go behind them.
pub type Backlog<'a> = &'a dyn Fn(NodeId) -> u64;

/// A question to the router.
#[derive(Clone, Copy)]
pub struct RouteQuery<'a> {
    /// Where the bundle is.
    pub from: NodeId,
    /// Where it goes.
    pub to: NodeId,
    /// When it could leave.
    pub now: Instant,
    /// Its size on the link.
    pub bytes: u64,
    /// The latest useful arrival, such as the bundle's expiry.
    pub deadline: Instant,
    /// Contacts that may not be used, at any hop.
    pub excluded: &'a [ContactId],
    /// Neighbours that may not come first, such as the one that the bundle came from.
    pub excluded_neighbours: &'a [NodeId],
    /// The node that may be on no hop before the last: the bundle's source, which drops what comes back to it.
    pub avoided: Option<NodeId>,
    /// What waits for each neighbour of `from`.
    pub backlog: Backlog<'a>,
}

impl RouteQuery<'_> {
    /// Whether a route may not come through `node`.
    fn avoids(&self, node: NodeId) -> bool {
        self.avoided == Some(node) && node != self.to
    }

    /// A query with nothing excluded, nothing waiting, and no deadline.
    #[must_use]
    pub const fn new(from: NodeId, to: NodeId, now: Instant, bytes: u64) -> Self {
        Self {
            from,
            to,
            now,
            bytes,
            deadline: Instant::MAX,
            excluded: &[],
            excluded_neighbours: &[],
            avoided: None,
            backlog: &|_| 0,
        }
    }
}

/// A way through the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// When the last byte is at the destination.
    pub arrival: Instant,
    /// When the first byte leaves, behind what waits already.
    pub departure: Instant,
    /// The earliest end among its contacts: nothing takes this route later.
    pub end: Instant,
    /// The first contact.
    pub first: ContactId,
    /// The first contact's receiver.
    pub neighbour: NodeId,
    /// All contacts in order; at least one. Bundles that go the same way share them.
    pub hops: Arc<[ContactId]>,
}

#[cfg(test)]
mod tests;
