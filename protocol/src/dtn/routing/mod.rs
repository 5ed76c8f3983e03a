//! Routing: which contacts a bundle takes over the [`ContactPlan`](super::contact_plan).
//!
//! [`RoutingPolicy`] is the seam: each way of choosing is a variant, and all answer the same [`RouteQuery`].

mod alternatives;
mod cache;
mod earliest_arrival;
mod limits;
mod router;
mod tree;
mod volume;
mod walk;

pub use alternatives::{MAX_ROUTES, k_routes, k_routes_within, routes_by_neighbour};
pub use cache::{AGES, RouteCache};
pub use earliest_arrival::{RouteScratch, earliest_arrival, earliest_arrival_within};
pub use limits::{Limits, confidence};
pub use router::{Router, RouterCounts};
pub use volume::{Volumes, whole_volume};
pub use walk::{volume_limit, walk, walk_within};

use super::contact_plan::{ContactId, ContactPlan};
use crate::{id::NodeId, time::Instant};
use alloc::vec::Vec;

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
    /// What waits for each neighbour of `from`.
    pub backlog: Backlog<'a>,
}

impl RouteQuery<'_> {
    /// A query with nothing excluded, nothing waiting, and no deadline.
    #[must_use]
    pub const fn new(from: NodeId, to: NodeId, now: Instant, bytes: u64) -> Self {
        let (excluded, excluded_neighbours) = (&[], &[]);
        Self { from, to, now, bytes, deadline: Instant::MAX, excluded, excluded_neighbours, backlog: &|_| 0 }
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
    /// All contacts in order; at least one.
    pub hops: Vec<ContactId>,
}

/// How routes are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RoutingPolicy {
    /// Schedule-aware: the earliest arrival over the contact plan (CCSDS 734.3-B-1 §3.2).
    #[default]
    EarliestArrival,
}

impl RoutingPolicy {
    /// The best route, or `None` when the bundle cannot arrive by the deadline. A bundle for its own node has none.
    #[must_use]
    pub fn route(
        self,
        plan: &ContactPlan,
        query: &RouteQuery<'_>,
        scratch: &mut RouteScratch,
    ) -> Option<Route> {
        match self {
            Self::EarliestArrival => earliest_arrival(plan, query, scratch),
        }
    }
}

#[cfg(test)]
mod tests;
