//! The earliest arrivals at all nodes, from one search: what a router keeps between bundles.

use super::{Limits, RouteQuery};
use crate::{
    dtn::contact_plan::{ContactId, ContactPlan, Edge, PlannedContact, open_at, serialisation_ns},
    id::NodeId,
};
use alloc::{collections::BinaryHeap, vec::Vec};
use core::cmp::Reverse;

const NEVER: u64 = u64::MAX;

/// Earliest arrivals from one source at one time, with nothing waiting there, and a route of that arrival to each node.
///
/// Every arrival is a bound: nothing arrives before it, under the tree's conditions or harder ones. [`Tree::improve`] keeps it
/// one when a contact is added; when one is lost it stays one, and [`Tree::mend`] finds other routes for what was behind it.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    pub(super) asked: u64,
    pub(super) bytes: u64,
    /// The neighbour that may not come first.
    barred: Option<NodeId>,
    /// Whether a contact was passed over because its volume is promised.
    pub(super) refused: bool,
    source: u32,
    labels: Vec<Label>,
}

#[derive(Clone, Copy, Debug)]
struct Label {
    arrival: u64,
    hops: u32,
    /// The node before, and the contact from there.
    parent: u32,
    contact: ContactId,
}

/// Nodes to go on from: arrival, hops, node.
pub(super) type Frontier = BinaryHeap<Reverse<(u64, u32, u32)>>;

impl Tree {
    /// Searches from the query's source over the whole plan, for a bundle of `bytes`; the query's destination, deadline, queues and
    /// exclusions do not matter. Of routes that arrive at once, the one of fewer contacts is kept where one label per node can tell.
    /// O(E + N log N).
    pub(super) fn grow(
        plan: &ContactPlan,
        query: &RouteQuery<'_>,
        (bytes, barred): (u64, Option<NodeId>),
        limits: &Limits<'_>,
        frontier: &mut Frontier,
    ) -> Option<Self> {
        let source = plan.node_index(query.from)?;
        let unreached = Label { arrival: NEVER, hops: 0, parent: source, contact: ContactId(0) };
        let mut tree =
            Self { asked: query.now.as_nanos(), bytes, barred, refused: false, source, labels: Vec::new() };
        tree.labels.resize(plan.nodes().len(), unreached);
        tree.labels[source as usize].arrival = tree.asked;
        frontier.clear();
        frontier.push(Reverse((tree.asked, 0, source)));
        tree.spread(plan, limits, frontier);
        Some(tree)
    }

    /// Takes note of a contact that is new, or better than it was: only what it improves is searched.
    pub(super) fn improve(
        &mut self,
        plan: &ContactPlan,
        id: ContactId,
        contact: &PlannedContact,
        limits: &Limits<'_>,
        frontier: &mut Frontier,
    ) {
        let (Some(from), Some(to)) = (plan.node_index(contact.from), plan.node_index(contact.to)) else {
            return;
        };
        let unreached = Label { arrival: NEVER, hops: 0, parent: self.source, contact: id };
        self.labels.resize(plan.nodes().len(), unreached);
        let here = self.labels[from as usize];
        if here.arrival == NEVER || here.arrival > contact.end.as_nanos() {
            return;
        }
        let edges = open_at(&plan.nodes()[from as usize].out, here.arrival);
        frontier.clear();
        if let Some(edge) = edges.iter().find(|edge| edge.id == id && edge.to == to) {
            self.relax(plan, limits, from, here, edge, frontier);
            self.spread(plan, limits, frontier);
        }
    }

    /// Finds other routes to the nodes behind a contact that is gone, or is not what it was: only their arrivals are searched
    /// anew. False where no route used it, and nothing changed. O(N) and the contacts to those nodes, and otherwise O(1).
    pub(super) fn mend(
        &mut self,
        plan: &ContactPlan,
        id: ContactId,
        receiver: NodeId,
        limits: &Limits<'_>,
        frontier: &mut Frontier,
    ) -> bool {
        let Some(cut) = plan.node_index(receiver) else { return false };
        let used = |label: &Label| label.arrival != NEVER && label.contact == id;
        if cut == self.source || !self.labels.get(cut as usize).is_some_and(used) {
            return false;
        }
        let behind = self.behind(cut);
        for &node in &behind {
            self.labels[node as usize].arrival = NEVER;
        }
        frontier.clear();
        for &node in &behind {
            for &id in &plan.nodes()[node as usize].incoming {
                let Some(contact) = plan.get(id) else { continue };
                let Some(from) = plan.node_index(contact.from) else { continue };
                let here = self.labels.get(from as usize).copied();
                if let Some(here) = here.filter(|here| here.arrival != NEVER) {
                    self.relax(plan, limits, from, here, &Edge::of(id, contact, node), frontier);
                }
            }
        }
        self.spread(plan, limits, frontier);
        true
    }

    /// The nodes whose route passes `cut`, itself among them.
    fn behind(&self, cut: u32) -> Vec<u32> {
        // Whether a node is behind: not known yet, no, yes.
        let mut known: Vec<Option<bool>> = Vec::new();
        known.resize(self.labels.len(), None);
        known[self.source as usize] = Some(false);
        known[cut as usize] = Some(true);
        let mut way = Vec::new();
        for node in 0..self.labels.len() as u32 {
            let mut at = node;
            let verdict = loop {
                if let Some(verdict) = known[at as usize] {
                    break verdict;
                }
                let label = self.labels[at as usize];
                if label.arrival == NEVER || way.len() >= self.labels.len() {
                    break false;
                }
                way.push(at);
                at = label.parent;
            };
            for passed in way.drain(..) {
                known[passed as usize] = Some(verdict);
            }
        }
        (0..).zip(&known).filter(|(_, behind)| **behind == Some(true)).map(|(node, _)| node).collect()
    }

    /// Before what nothing arrives at `target`; `None`: nothing arrives.
    pub(super) fn bound(&self, target: u32) -> Option<u64> {
        self.labels.get(target as usize).map(|label| label.arrival).filter(|arrival| *arrival != NEVER)
    }

    /// The contacts to `target`, which is reached.
    pub(super) fn trace(&self, target: u32) -> Vec<ContactId> {
        let mut hops = Vec::new();
        let mut node = target;
        // Labels grow along a route, so it ends; that it has no more contacts than there are nodes is for safety.
        while node != self.source && hops.len() < self.labels.len() {
            let label = self.labels[node as usize];
            hops.push(label.contact);
            node = label.parent;
        }
        hops.reverse();
        hops
    }

    fn spread(&mut self, plan: &ContactPlan, limits: &Limits<'_>, frontier: &mut Frontier) {
        while let Some(Reverse((at, hops, node))) = frontier.pop() {
            let here = self.labels[node as usize];
            if (at, hops) != (here.arrival, here.hops) {
                continue;
            }
            for edge in open_at(&plan.nodes()[node as usize].out, at) {
                self.relax(plan, limits, node, here, edge, frontier);
            }
        }
    }

    fn relax(
        &mut self,
        plan: &ContactPlan,
        limits: &Limits<'_>,
        node: u32,
        here: Label,
        edge: &Edge,
        frontier: &mut Frontier,
    ) {
        let known = self.labels[edge.to as usize];
        if edge.start > known.arrival || edge.to == self.source {
            return;
        }
        let first = node == self.source;
        let opens = if first { edge.start } else { limits.opens(edge.id, edge.start, edge.rate_bps) };
        let sent = here.arrival.max(opens).saturating_add(serialisation_ns(self.bytes, edge.rate_bps));
        let arrival = sent.saturating_add(edge.owlt);
        let hops = here.hops + 1;
        if sent > edge.end || arrival == NEVER || (arrival, hops) >= (known.arrival, known.hops) {
            return;
        }
        if limits.is_lost(edge.id) || !limits.is_likely(plan, edge.id) {
            return;
        }
        if first && self.barred.is_some_and(|barred| barred == plan.nodes()[edge.to as usize].id) {
            return;
        }
        if !limits.has_room(edge, self.bytes, self.asked) {
            self.refused = true;
            return;
        }
        self.labels[edge.to as usize] = Label { arrival, hops, parent: node, contact: edge.id };
        frontier.push(Reverse((arrival, hops, edge.to)));
    }
}
