//! Routes as they are timed: when the last byte arrives over a given sequence of contacts (CCSDS 734.3-B-1 §3.2.6).

use super::{Limits, Route, RouteQuery};
use crate::{
    dtn::contact_plan::{ContactId, ContactPlan, open_at},
    id::NodeId,
    time::Instant,
};
use alloc::{sync::Arc, vec::Vec};

/// Times a given sequence of contacts for a query; `None` when it does not fit, is excluded, or does not lead there.
#[must_use]
pub fn walk(plan: &ContactPlan, hops: &[ContactId], query: &RouteQuery<'_>) -> Option<Route> {
    walk_within(plan, hops, query, &Limits::NONE)
}

/// As [`walk`], within limits. The arrival is SABR's projected bundle arrival time (§3.2.6.7).
#[must_use]
pub fn walk_within(
    plan: &ContactPlan,
    hops: &[ContactId],
    query: &RouteQuery<'_>,
    limits: &Limits<'_>,
) -> Option<Route> {
    Some(time(plan, hops, query, limits)?.over(hops.into()))
}

/// A route's times, without the route.
#[derive(Clone, Copy)]
pub(super) struct Timed {
    pub(super) arrival: Instant,
    departure: Instant,
    end: Instant,
    first: ContactId,
    neighbour: NodeId,
}

impl Timed {
    pub(super) const fn over(self, hops: Arc<[ContactId]>) -> Route {
        let Self { arrival, departure, end, first, neighbour } = self;
        Route { arrival, departure, end, first, neighbour, hops }
    }
}

/// As [`walk_within`], without an allocation.
pub(super) fn time(
    plan: &ContactPlan,
    hops: &[ContactId],
    query: &RouteQuery<'_>,
    limits: &Limits<'_>,
) -> Option<Timed> {
    if !limits.trusts(plan, hops) {
        return None;
    }
    let mut walk = Walk::new(query);
    for id in hops {
        walk.step(plan, *id, query, limits)?;
    }
    if walk.node != query.to || walk.at > query.deadline {
        return None;
    }
    let (first, departure) = (*hops.first()?, walk.departure?);
    let neighbour = plan.get(first)?.to;
    Some(Timed { arrival: walk.at, departure, end: walk.end, first, neighbour })
}

/// The most bytes that `route` takes when the first of them leaves with it: the route volume limit (§3.2.6.8.10), the least
/// of its contacts' effective volume limits (§3.2.6.8.5 to §3.2.6.8.9). What is to be cut into fragments is cut to this.
#[must_use]
pub fn volume_limit(plan: &ContactPlan, route: &Route, query: &RouteQuery<'_>, limits: &Limits<'_>) -> u64 {
    let mut walk = Walk::new(query);
    let mut least = u64::MAX;
    for (index, id) in route.hops.iter().enumerate() {
        let later = route.hops[index..].iter().filter_map(|id| plan.get(*id));
        let (Some(contact), Some(stop)) = (plan.get(*id), later.map(|contact| contact.end).min()) else {
            return 0;
        };
        let Some(first_byte) = walk.step(plan, *id, query, limits) else { return 0 };
        let timely = plan.volume_between(*id, contact, first_byte, stop);
        let free = limits.volumes.map_or(u64::MAX, |v| v.residual(plan, *id, limits.priority, query.now));
        least = least.min(timely).min(free);
    }
    least
}

/// A bundle on its way along a route.
pub(super) struct Walk {
    pub(super) node: NodeId,
    pub(super) at: Instant,
    departure: Option<Instant>,
    end: Instant,
}

impl Walk {
    pub(super) const fn new(query: &RouteQuery<'_>) -> Self {
        Self { node: query.from, at: query.now, departure: None, end: Instant::MAX }
    }

    /// Takes the next contact; answers when the first byte leaves (§3.2.6.3).
    pub(super) fn step(
        &mut self,
        plan: &ContactPlan,
        id: ContactId,
        query: &RouteQuery<'_>,
        limits: &Limits<'_>,
    ) -> Option<Instant> {
        let contact = plan.get(id)?;
        if contact.from != self.node
            || query.avoids(contact.to)
            || query.excluded.contains(&id)
            || limits.is_lost(id)
        {
            return None;
        }
        if self.departure.is_none() {
            if query.excluded_neighbours.contains(&contact.to) {
                return None;
            }
            self.at = behind_backlog(plan, query, limits, id, contact.to)?;
        }
        let edge = plan.edge_of(id, contact, 0);
        let opens = match self.departure {
            None => contact.start,
            Some(_) => Instant::from_nanos(limits.opens(plan, &edge)),
        };
        let first_byte = self.at.max(opens);
        self.departure.get_or_insert(first_byte);
        let (sent, arrival) = plan.crossing(&edge, first_byte.as_nanos(), query.bytes)?;
        if sent == u64::MAX {
            return None;
        }
        if let Some(volumes) = limits.volumes {
            let booked = volumes.booked(id, limits.priority);
            // What nobody has booked has room: there is time, as was just seen.
            let after = booked.saturating_add(query.bytes);
            if booked > 0 && after > plan.volume_from(id, query.now) {
                return None;
            }
        }
        self.at = Instant::from_nanos(arrival);
        (self.node, self.end) = (contact.to, self.end.min(contact.end));
        Some(first_byte)
    }
}

/// When `first` is free for a new bundle: what waits for the neighbour takes the earlier contacts to it, and then this
/// one (§3.2.6.2, the earliest transmission opportunity).
fn behind_backlog(
    plan: &ContactPlan,
    query: &RouteQuery<'_>,
    limits: &Limits<'_>,
    first: ContactId,
    neighbour: NodeId,
) -> Option<Instant> {
    let mut waiting = (query.backlog)(neighbour);
    if waiting == 0 {
        let open = plan.get(first).filter(|contact| contact.end >= query.now)?;
        return Some(open.start.max(query.now));
    }
    let source = plan.node_index(query.from)?;
    let to = plan.node_index(neighbour)?;
    for edge in open_at(&plan.nodes()[source as usize].out, query.now.as_nanos()) {
        let unused = query.excluded.contains(&edge.id) || limits.is_lost(edge.id);
        if edge.to != to || (edge.id != first && unused) {
            continue;
        }
        let start = edge.start.max(query.now.as_nanos());
        if edge.id == first {
            return Some(Instant::from_nanos(plan.free_after(edge, start, waiting)));
        }
        waiting = waiting.saturating_sub(plan.capacity(edge, start));
    }
    None
}

/// The nodes that a sequence of contacts passes, as indices: one more than its contacts.
pub(super) fn nodes_along(plan: &ContactPlan, from: NodeId, hops: &[ContactId]) -> Option<Vec<u32>> {
    let mut nodes = Vec::with_capacity(hops.len() + 1);
    nodes.push(plan.node_index(from)?);
    for id in hops {
        nodes.push(plan.node_index(plan.get(*id)?.to)?);
    }
    Some(nodes)
}
