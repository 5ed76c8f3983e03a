//! Contact graph routing: earliest arrival, then fewest hops, then latest route end, then smallest first neighbour
//! (CCSDS 734.3-B-1 §3.2.8).
//!
//! Arriving earlier at a node never makes the next arrival later, so the earliest arrival alone is Dijkstra's shortest
//! path over nodes. The tie-breaks are not: the fewest hops may need a *later* arrival at an inner node, which a label
//! per node loses. They are found exactly by searches in layers (earliest arrival in at most h hops) under the known
//! arrival: first the fewest layers, then the highest floor under all contact ends, then the first neighbour.

use super::{Route, RouteQuery};
use crate::{
    dtn::contact_plan::{ContactId, ContactPlan, Edge, open_at, serialisation_ns},
    id::NodeId,
    time::Instant,
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

struct Search<'a> {
    plan: &'a ContactPlan,
    query: &'a RouteQuery<'a>,
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
    let search = Search { plan, query, source, target };
    search.first_hops(scratch);
    let arrival = search.best_arrival(scratch)?;
    let mut bounds = Bounds { floor: 0, neighbour: None, hops: plan.nodes().len() - 1, arrival };
    bounds.hops = search.layered(scratch, bounds)?;
    bounds.floor = search.highest_floor(scratch, bounds);
    bounds.neighbour = search.smallest_neighbour(scratch, bounds);
    let hops = search.layered(scratch, bounds)?;
    let hops = search.trace(scratch, hops);
    walk(plan, &hops, query)
}

/// Times a given sequence of contacts for a query; `None` when it does not fit, is excluded, or does not lead there.
#[must_use]
pub fn walk(plan: &ContactPlan, hops: &[ContactId], query: &RouteQuery<'_>) -> Option<Route> {
    let (mut at, mut node, mut end, mut departure) = (query.now, query.from, Instant::MAX, None);
    for (index, id) in hops.iter().enumerate() {
        let contact = plan.get(*id)?;
        if contact.from != node || query.excluded.contains(id) {
            return None;
        }
        if index == 0 {
            if query.excluded_neighbours.contains(&contact.to) {
                return None;
            }
            at = behind_backlog(plan, query, *id, contact.to)?;
        }
        at = at.max(contact.start);
        departure.get_or_insert(at);
        let sent = at.saturating_add(contact.serialisation(query.bytes));
        if sent > contact.end || sent == Instant::MAX {
            return None;
        }
        at = sent.saturating_add(contact.owlt);
        (node, end) = (contact.to, end.min(contact.end));
    }
    if node != query.to || at > query.deadline {
        return None;
    }
    let first = *hops.first()?;
    let neighbour = plan.get(first)?.to;
    Some(Route { arrival: at, departure: departure?, end, first, neighbour, hops: hops.to_vec() })
}

/// When `first` is free for a new bundle: what waits for the neighbour takes the earlier contacts to it, and then this
/// one (CCSDS 734.3-B-1 §3.2.6.2, the earliest transmission opportunity).
fn behind_backlog(
    plan: &ContactPlan,
    query: &RouteQuery<'_>,
    first: ContactId,
    neighbour: NodeId,
) -> Option<Instant> {
    let mut waiting = (query.backlog)(neighbour);
    let source = plan.node_index(query.from)?;
    let to = plan.node_index(neighbour)?;
    for edge in open_at(&plan.nodes()[source as usize].out, query.now.as_nanos()) {
        if edge.to != to || (edge.id != first && query.excluded.contains(&edge.id)) {
            continue;
        }
        let start = edge.start.max(query.now.as_nanos());
        if edge.id == first {
            return Some(Instant::from_nanos(start.saturating_add(serialisation_ns(waiting, edge.rate_bps))));
        }
        waiting = waiting.saturating_sub(capacity(edge, start));
    }
    None
}

/// Whole bytes that a contact carries from `start` on.
fn capacity(edge: &Edge, start: u64) -> u64 {
    let bits_ns = u128::from(edge.end.saturating_sub(start)) * u128::from(edge.rate_bps);
    u64::try_from(bits_ns / 8_000_000_000).unwrap_or(u64::MAX)
}

impl Search<'_> {
    /// Lists the usable contacts of the source, each behind what waits for its neighbour.
    fn first_hops(&self, scratch: &mut RouteScratch) {
        scratch.first.clear();
        let (query, now) = (self.query, self.query.now.as_nanos());
        let all = &self.plan.nodes()[self.source as usize].out;
        let open = open_at(all, now);
        let skipped = all.len() - open.len();
        // What still waits for each neighbour after the contacts seen so far; neighbours are few, so a list does.
        let mut waiting: Vec<(u32, NodeId, u64, bool)> = Vec::new();
        for (index, edge) in open.iter().enumerate() {
            if query.excluded.contains(&edge.id) {
                continue;
            }
            let slot = waiting.iter().position(|&(to, ..)| to == edge.to).unwrap_or_else(|| {
                let id = self.plan.nodes()[edge.to as usize].id;
                waiting.push((edge.to, id, (query.backlog)(id), !query.excluded_neighbours.contains(&id)));
                waiting.len() - 1
            });
            let (_, neighbour, left, allowed) = &mut waiting[slot];
            let start = edge.start.max(now);
            let free = start.saturating_add(serialisation_ns(*left, edge.rate_bps));
            if *left > 0 {
                *left = left.saturating_sub(capacity(edge, start));
            }
            let Some(arrival) = arrive(edge, free, query.bytes).filter(|_| *allowed) else { continue };
            let position = (skipped + index) as u32;
            scratch.first.push(FirstHop { edge: *edge, position, neighbour: *neighbour, arrival });
        }
    }

    /// Dijkstra over nodes, until the target is settled.
    fn best_arrival(&self, scratch: &mut RouteScratch) -> Option<u64> {
        let RouteScratch { arrival, heap, first, .. } = scratch;
        arrival.clear();
        arrival.resize(self.plan.nodes().len(), NEVER);
        arrival[self.source as usize] = self.query.now.as_nanos();
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
                let Some(then) = arrive(edge, at, self.query.bytes) else { continue };
                if then < (*best).min(bound) {
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
        let RouteScratch { layers, parents, frontier, next_frontier, .. } = scratch;
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
                let Some(then) = arrive(edge, at, self.query.bytes) else { continue };
                if then > bounds.arrival || then >= best {
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
fn arrive(edge: &Edge, at: u64, bytes: u64) -> Option<u64> {
    let sent = at.max(edge.start).checked_add(serialisation_ns(bytes, edge.rate_bps))?;
    if sent > edge.end {
        return None;
    }
    sent.checked_add(edge.owlt).filter(|&arrival| arrival != NEVER)
}
