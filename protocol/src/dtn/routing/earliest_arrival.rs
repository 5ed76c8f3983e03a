//! Contact graph routing: earliest arrival, then fewest hops, then latest route end, then smallest first neighbour
//! (CCSDS 734.3-B-1 §3.2.8).
//!
//! Arriving earlier at a node never makes the next arrival later, so the earliest arrival alone is Dijkstra's shortest
//! path over nodes. The tie-breaks are not: the fewest hops may need a *later* arrival at an inner node, which a label
//! per node loses. They are found exactly by searches in layers (earliest arrival in at most h hops) under the known
//! arrival: first the fewest layers, then the highest floor under all contact ends, then the first neighbour.

use super::{Limits, Route, RouteQuery, k_routes_within, walk_within};
use crate::{
    dtn::contact_plan::{Confidence, ContactId, ContactPlan, Edge, open_at},
    id::NodeId,
};
use alloc::{collections::BinaryHeap, vec::Vec};
use core::cmp::Reverse;

const NEVER: u64 = u64::MAX;

/// Buffers of the search, reused from call to call: after the first calls a search allocates only its answer.
#[derive(Clone, Debug, Default)]
pub struct RouteScratch {
    /// Earliest arrival per node.
    arrival: Vec<u64>,
    heap: BinaryHeap<Reverse<(u64, u32)>>,
    /// Contacts from the source that may be used, each with the earliest start behind the backlog.
    first: Vec<FirstHop>,
    /// Arrivals per layer and node, at `layer * nodes + node`.
    layers: Vec<u64>,
    /// The edge that set each arrival in `layers`, as (sender, position among the sender's contacts).
    parents: Vec<(u32, u32)>,
    /// Nodes whose arrival the last layer improved.
    frontier: Vec<u32>,
    next_frontier: Vec<u32>,
    floors: Vec<u64>,
    /// Whether the last search passed over a contact because its volume is promised.
    refused: bool,
}

impl RouteScratch {
    /// Whether the last search passed over a contact because its volume is promised: if not, giving volume back changes
    /// nothing for that question.
    pub(super) const fn refused_for_volume(&self) -> bool {
        self.refused
    }

    pub(super) const fn set_refused(&mut self, refused: bool) {
        self.refused = refused;
    }
}

#[derive(Clone, Copy, Debug)]
struct FirstHop {
    edge: Edge,
    position: u32,
    neighbour: NodeId,
    arrival: u64,
}

/// What a layered search may use.
#[derive(Clone, Copy)]
struct Bounds {
    /// Contacts that end before this are not used.
    floor: u64,
    /// Only this first neighbour.
    neighbour: Option<NodeId>,
    hops: usize,
    arrival: u64,
}

/// Where a search sets out, and what it may not do.
#[derive(Clone, Copy)]
pub(super) struct Start<'a> {
    /// The node, and when the bundle is there.
    pub(super) node: u32,
    pub(super) at: u64,
    /// Whether this is the query's own node, where queues wait and neighbours are excluded.
    pub(super) at_source: bool,
    /// Nodes that the route passed before.
    pub(super) passed: &'a [u32],
    /// Contacts that may not come first.
    pub(super) not_first: &'a [ContactId],
    /// The only neighbour that may come first.
    pub(super) only: Option<NodeId>,
}

struct Search<'a> {
    plan: &'a ContactPlan,
    query: &'a RouteQuery<'a>,
    limits: &'a Limits<'a>,
    start: Start<'a>,
    source: u32,
    target: u32,
}

/// The best route under the order above. O(E + N log N) for the arrival, O(h·E·log E) for the tie-breaks with h hops,
/// over the contacts that are open between now and the arrival.
#[must_use]
pub fn earliest_arrival(
    plan: &ContactPlan,
    query: &RouteQuery<'_>,
    scratch: &mut RouteScratch,
) -> Option<Route> {
    let (source, target) = (plan.node_index(query.from)?, plan.node_index(query.to)?);
    if source == target {
        return None;
    }
    let passed = passed(plan, query);
    let start = Start { passed: passed.as_slice(), ..Start::of(source, query) };
    let hops = best_hops(plan, query, &Limits::NONE, start, target, scratch)?;
    walk_within(plan, &hops, query, &Limits::NONE)
}

/// The most routes that are tried for one that is likely enough as a whole.
const TRUST_TRIES: usize = 16;

/// As [`earliest_arrival`], within limits.
///
/// With a least confidence, routes are tried from the best on, at most 16 of them: the likeliest route is not searched for.
#[must_use]
pub fn earliest_arrival_within(
    plan: &ContactPlan,
    query: &RouteQuery<'_>,
    limits: &Limits<'_>,
    scratch: &mut RouteScratch,
) -> Option<Route> {
    let (source, target) = (plan.node_index(query.from)?, plan.node_index(query.to)?);
    if source == target {
        return None;
    }
    let passed = passed(plan, query);
    let start = Start { passed: passed.as_slice(), ..Start::of(source, query) };
    let hops = best_hops(plan, query, limits, start, target, scratch)?;
    if limits.trusts(plan, &hops) {
        return walk_within(plan, &hops, query, limits);
    }
    let any = Limits { min_confidence: Confidence::NONE, ..*limits };
    let routes = k_routes_within(plan, query, &any, TRUST_TRIES, scratch);
    routes.into_iter().find(|route| limits.trusts(plan, &route.hops))
}

/// The node that no route of the query comes through.
pub(super) fn passed(plan: &ContactPlan, query: &RouteQuery<'_>) -> Option<u32> {
    query.avoided.filter(|node| query.avoids(*node)).and_then(|node| plan.node_index(node))
}

/// The contacts of the best route from `start` to `target`.
pub(super) fn best_hops(
    plan: &ContactPlan,
    query: &RouteQuery<'_>,
    limits: &Limits<'_>,
    start: Start<'_>,
    target: u32,
    scratch: &mut RouteScratch,
) -> Option<Vec<ContactId>> {
    scratch.refused = false;
    let search = Search { plan, query, limits, start, source: start.node, target };
    search.first_hops(scratch);
    let arrival = search.best_arrival(scratch)?;
    let mut bounds = Bounds { floor: 0, neighbour: start.only, hops: plan.nodes().len() - 1, arrival };
    bounds.hops = search.layered(scratch, bounds)?;
    bounds.floor = search.highest_floor(scratch, bounds);
    if start.at_source && start.only.is_none() {
        bounds.neighbour = search.smallest_neighbour(scratch, bounds);
    }
    let hops = search.layered(scratch, bounds)?;
    Some(search.trace(scratch, hops))
}

/// The contacts of a route from the query's source that arrives at `arrival`, which is the earliest, over the fewest contacts. What
/// else makes a route better is left aside: O(h·E) for h contacts.
pub(super) fn fewest_hops(
    plan: &ContactPlan,
    query: &RouteQuery<'_>,
    limits: &Limits<'_>,
    (target, arrival): (u32, u64),
    scratch: &mut RouteScratch,
) -> Option<Vec<ContactId>> {
    let start = Start::of(plan.node_index(query.from)?, query);
    let search = Search { plan, query, limits, start, source: start.node, target };
    search.first_hops(scratch);
    let bounds = Bounds { floor: 0, neighbour: None, hops: plan.nodes().len() - 1, arrival };
    let hops = search.layered(scratch, bounds)?;
    Some(search.trace(scratch, hops))
}

impl<'a> Start<'a> {
    /// The query's own start.
    pub(super) const fn of(source: u32, query: &RouteQuery<'_>) -> Start<'a> {
        let at = query.now.as_nanos();
        Start { node: source, at, at_source: true, passed: &[], not_first: &[], only: None }
    }
}

impl Search<'_> {
    /// Lists the usable contacts of the source, each behind what waits for its neighbour.
    fn first_hops(&self, scratch: &mut RouteScratch) {
        scratch.first.clear();
        let (query, start, now) = (self.query, &self.start, self.start.at);
        let all = &self.plan.nodes()[self.source as usize].out;
        let open = open_at(all, now);
        let skipped = all.len() - open.len();
        // What still waits for each neighbour after the contacts seen so far; neighbours are few, so a list does.
        let mut waiting: Vec<(u32, NodeId, u64, bool)> = Vec::new();
        for (index, edge) in open.iter().enumerate() {
            if query.excluded.contains(&edge.id) || self.limits.is_lost(edge.id) {
                continue;
            }
            if !start.at_source {
                self.spur_hop(scratch, edge, (skipped + index) as u32);
                continue;
            }
            let slot = waiting.iter().position(|&(to, ..)| to == edge.to).unwrap_or_else(|| {
                let id = self.plan.nodes()[edge.to as usize].id;
                let allowed = !query.excluded_neighbours.contains(&id)
                    && !start.passed.contains(&edge.to)
                    && start.only.is_none_or(|only| only == id);
                waiting.push((edge.to, id, (query.backlog)(id), allowed));
                waiting.len() - 1
            });
            let (_, neighbour, left, allowed) = &mut waiting[slot];
            let opens = edge.start.max(now);
            let mut free = opens;
            if *left > 0 {
                free = self.plan.free_after(edge, opens, *left);
                *left = left.saturating_sub(self.plan.capacity(edge, opens));
            }
            let (neighbour, allowed) = (*neighbour, *allowed && !start.not_first.contains(&edge.id));
            let arrival = arrive(self.plan, edge, free, query.bytes).filter(|_| allowed);
            let Some(arrival) = arrival else { continue };
            if self.may_use(edge, &mut scratch.refused) {
                let position = (skipped + index) as u32;
                scratch.first.push(FirstHop { edge: *edge, position, neighbour, arrival });
            }
        }
    }

    /// A first contact of a route that leaves another one on the way: nothing is known of queues there.
    fn spur_hop(&self, scratch: &mut RouteScratch, edge: &Edge, position: u32) {
        let barred = self.start.not_first.contains(&edge.id) || self.start.passed.contains(&edge.to);
        let Some(arrival) = self.arrive(edge, self.start.at).filter(|_| !barred) else { return };
        if self.may_use(edge, &mut scratch.refused) {
            let neighbour = self.plan.nodes()[edge.to as usize].id;
            scratch.first.push(FirstHop { edge: *edge, position, neighbour, arrival });
        }
    }

    /// When the bundle, at the sender at `at`, arrives over a contact that is not the query's first.
    fn arrive(&self, edge: &Edge, at: u64) -> Option<u64> {
        let opens = self.limits.opens(self.plan, edge);
        arrive(self.plan, edge, at.max(opens), self.query.bytes)
    }

    /// Whether the limits let the bundle onto a contact, given that there is time for it.
    fn may_use(&self, edge: &Edge, refused: &mut bool) -> bool {
        if self.limits.is_lost(edge.id) {
            return false;
        }
        let room = self.limits.has_room(self.plan, edge, self.query.bytes, self.query.now.as_nanos());
        *refused |= !room;
        room && self.limits.is_likely(self.plan, edge.id)
    }

    /// Dijkstra over nodes, until the target is settled.
    fn best_arrival(&self, scratch: &mut RouteScratch) -> Option<u64> {
        let RouteScratch { arrival, heap, first, refused, .. } = scratch;
        arrival.clear();
        arrival.resize(self.plan.nodes().len(), NEVER);
        arrival[self.source as usize] = self.start.at;
        for node in self.start.passed {
            arrival[*node as usize] = 0;
        }
        heap.clear();
        for hop in first.iter() {
            if hop.arrival < arrival[hop.edge.to as usize] {
                arrival[hop.edge.to as usize] = hop.arrival;
                heap.push(Reverse((hop.arrival, hop.edge.to)));
            }
        }
        let deadline = self.query.deadline.as_nanos();
        while let Some(Reverse((at, node))) = heap.pop() {
            if at > deadline {
                return None;
            }
            if node == self.target {
                return Some(at);
            }
            if at > arrival[node as usize] {
                continue;
            }
            for edge in open_at(&self.plan.nodes()[node as usize].out, at) {
                let bound = arrival[self.target as usize];
                if edge.earliest_start >= bound {
                    break;
                }
                let best = &mut arrival[edge.to as usize];
                if edge.start >= *best || self.query.excluded.contains(&edge.id) {
                    continue;
                }
                let Some(then) = self.arrive(edge, at) else { continue };
                if then < (*best).min(bound) && self.may_use(edge, refused) {
                    *best = then;
                    heap.push(Reverse((then, edge.to)));
                }
            }
        }
        None
    }

    /// Fills the layers until the target is reached at the bound; answers in how many hops.
    fn layered(&self, scratch: &mut RouteScratch, bounds: Bounds) -> Option<usize> {
        let nodes = self.plan.nodes().len();
        scratch.layers.clear();
        scratch.parents.clear();
        scratch.layers.resize(nodes, NEVER);
        scratch.parents.resize(nodes, (0, 0));
        scratch.layers[self.source as usize] = 0;
        for node in self.start.passed {
            scratch.layers[*node as usize] = 0;
        }
        scratch.frontier.clear();
        scratch.frontier.push(self.source);
        for layer in 1..=bounds.hops {
            scratch.layers.extend_from_within((layer - 1) * nodes..);
            scratch.parents.extend_from_within((layer - 1) * nodes..);
            scratch.next_frontier.clear();
            if layer == 1 {
                self.first_layer(scratch, bounds);
            } else {
                self.next_layer(scratch, layer, bounds);
            }
            if scratch.layers[layer * nodes + self.target as usize] == bounds.arrival {
                return Some(layer);
            }
            core::mem::swap(&mut scratch.frontier, &mut scratch.next_frontier);
            if scratch.frontier.is_empty() {
                return None;
            }
        }
        None
    }

    fn first_layer(&self, scratch: &mut RouteScratch, bounds: Bounds) {
        let nodes = self.plan.nodes().len();
        let RouteScratch { first, layers, parents, next_frontier, .. } = scratch;
        for hop in first.iter() {
            let to = hop.edge.to as usize;
            let wrong = bounds.neighbour.is_some_and(|only| only != hop.neighbour);
            if wrong
                || hop.edge.end < bounds.floor
                || hop.arrival > bounds.arrival
                || hop.arrival >= layers[nodes + to]
            {
                continue;
            }
            if layers[nodes + to] == NEVER {
                next_frontier.push(hop.edge.to);
            }
            layers[nodes + to] = hop.arrival;
            parents[nodes + to] = (self.source, hop.position);
        }
    }

    fn next_layer(&self, scratch: &mut RouteScratch, layer: usize, bounds: Bounds) {
        let nodes = self.plan.nodes().len();
        let RouteScratch { layers, parents, frontier, next_frontier, refused, .. } = scratch;
        let (before, here) = layers.split_at_mut(layer * nodes);
        let before = &before[(layer - 1) * nodes..];
        let parents = &mut parents[layer * nodes..];
        for &node in frontier.iter() {
            let at = before[node as usize];
            let all = &self.plan.nodes()[node as usize].out;
            let open = open_at(all, at.max(bounds.floor));
            let skipped = all.len() - open.len();
            for (index, edge) in open.iter().enumerate() {
                if edge.earliest_start > bounds.arrival {
                    break;
                }
                let best = here[edge.to as usize];
                if edge.start >= best || self.query.excluded.contains(&edge.id) {
                    continue;
                }
                let Some(then) = self.arrive(edge, at) else { continue };
                if then > bounds.arrival || then >= best || !self.may_use(edge, refused) {
                    continue;
                }
                if best == before[edge.to as usize] {
                    next_frontier.push(edge.to);
                }
                here[edge.to as usize] = then;
                parents[edge.to as usize] = (node, (skipped + index) as u32);
            }
        }
    }

    /// The latest route end among the routes with this arrival and this many hops.
    fn highest_floor(&self, scratch: &mut RouteScratch, bounds: Bounds) -> u64 {
        let known = self.route_end(scratch, bounds.hops);
        let mut floors = core::mem::take(&mut scratch.floors);
        floors.clear();
        let highest = scratch.first.iter().map(|hop| hop.edge.end).max().unwrap_or(known);
        for node in self.plan.nodes() {
            for edge in open_at(&node.out, known.saturating_add(1)) {
                if edge.earliest_start > bounds.arrival || edge.end > highest {
                    break;
                }
                if edge.start <= bounds.arrival {
                    floors.push(edge.end);
                }
            }
        }
        floors.sort_unstable();
        floors.dedup();
        // Feasibility falls with the floor, so the last feasible one is found by halving.
        let (mut feasible, mut low, mut high) = (known, 0, floors.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.layered(scratch, Bounds { floor: floors[middle], ..bounds }).is_some() {
                feasible = floors[middle];
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        scratch.floors = floors;
        feasible
    }

    /// The smallest first neighbour among the routes that are otherwise as good.
    fn smallest_neighbour(&self, scratch: &mut RouteScratch, bounds: Bounds) -> Option<NodeId> {
        let mut after: Option<NodeId> = None;
        loop {
            let usable = scratch
                .first
                .iter()
                .filter(|hop| hop.edge.end >= bounds.floor && hop.arrival <= bounds.arrival);
            let later = usable.map(|hop| hop.neighbour).filter(|id| after.is_none_or(|after| *id > after));
            let neighbour = later.min()?;
            if self.layered(scratch, Bounds { neighbour: Some(neighbour), ..bounds }).is_some() {
                return Some(neighbour);
            }
            after = Some(neighbour);
        }
    }

    fn route_end(&self, scratch: &RouteScratch, hops: usize) -> u64 {
        self.edges(scratch, hops).map(|edge| edge.end).min().unwrap_or(0)
    }

    fn trace(&self, scratch: &RouteScratch, hops: usize) -> Vec<ContactId> {
        let mut route: Vec<_> = self.edges(scratch, hops).map(|edge| edge.id).collect();
        route.reverse();
        route
    }

    /// The edges that led to the target in the last layered search, last first.
    fn edges<'s>(&'s self, scratch: &'s RouteScratch, hops: usize) -> impl Iterator<Item = &'s Edge> {
        let nodes = self.plan.nodes().len();
        let mut node = self.target;
        (1..=hops).rev().map_while(move |layer| {
            if node == self.source {
                return None;
            }
            let (from, position) = scratch.parents[layer * nodes + node as usize];
            node = from;
            self.plan.nodes()[from as usize].out.get(position as usize)
        })
    }
}

/// When a bundle that is at the sender at `at` arrives over `edge`; `None` when not enough of the contact is left.
fn arrive(plan: &ContactPlan, edge: &Edge, at: u64, bytes: u64) -> Option<u64> {
    let (_, arrival) = plan.crossing(edge, at.max(edge.start), bytes)?;
    Some(arrival).filter(|&arrival| arrival != NEVER)
}
