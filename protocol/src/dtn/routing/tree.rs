//! The earliest arrivals at all nodes, from one search: what a router keeps between bundles.

use super::{Limits, RouteQuery};
use crate::{
    dtn::contact_plan::{ContactId, ContactPlan, Edge, PlannedContact, open_at},
    id::NodeId,
};
use alloc::{collections::BinaryHeap, vec::Vec};
use core::cmp::Reverse;

const NEVER: u64 = u64::MAX;

/// Earliest arrivals from one source at one time, with nothing waiting there, and a route of that arrival to each node.
///
/// The search goes no further than it is asked ([`Tree::settle`]): in the order of time, over contacts that begin before the node in
/// question is reached, and on from there when a later one is asked. Every arrival that was asked for is a bound: nothing arrives
/// before it, under the tree's conditions or harder ones. [`Tree::improve`] keeps it one when a contact is added; when one is lost it
/// stays one, and [`Tree::mend`] finds other routes for what was behind it.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    pub(super) asked: u64,
    pub(super) bytes: u64,
    /// The neighbour that may not come first.
    pub(super) barred: Option<NodeId>,
    /// Whether a contact was passed over because its volume is promised.
    pub(super) refused: bool,
    source: u32,
    labels: Vec<Label>,
    frontier: BinaryHeap<Reverse<Pending>>,
}

#[derive(Clone, Copy, Debug)]
struct Label {
    arrival: u64,
    hops: u32,
    /// The node before, and the contact from there.
    parent: u32,
    contact: ContactId,
    /// Which look at the node's contacts is the valid one.
    look: u32,
}

/// A node whose contacts, from some place on, are still to be looked at; by time, then hops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Pending {
    /// Nothing that is left to look at arrives before this.
    at: u64,
    hops: u32,
    node: u32,
    look: u32,
    /// The next of its contacts, by end; [`FIRST`]: the first that has not ended at its arrival.
    place: u32,
}

const FIRST: u32 = u32::MAX;
/// Contacts of a node that are looked at together, before any that begins later than others arrive.
const AT_ONCE: u32 = 8;

impl Tree {
    /// Begins a search from the query's source for a bundle of `bytes`; the query's destination, deadline, queues and exclusions do not
    /// matter. False where the plan does not know the source.
    pub(super) fn plant(
        &mut self,
        plan: &ContactPlan,
        query: &RouteQuery<'_>,
        bytes: u64,
        barred: Option<NodeId>,
    ) -> bool {
        let Some(source) = plan.node_index(query.from) else { return false };
        (self.asked, self.bytes, self.barred) = (query.now.as_nanos(), bytes, barred);
        (self.source, self.refused) = (source, false);
        self.labels.clear();
        self.labels.resize(plan.nodes().len(), unreached(source));
        self.labels[source as usize].arrival = self.asked;
        self.frontier.clear();
        self.look_again(source);
        true
    }

    /// Searches on until nothing can arrive at `target` before its label says. Of routes that arrive at once, the one of fewer contacts is
    /// kept where one label per node can tell. O(E + N log N) at the most, over contacts that begin before the arrival.
    pub(super) fn settle(&mut self, plan: &ContactPlan, limits: &Limits<'_>, target: u32) {
        let Some(label) = self.labels.get(target as usize) else { return };
        let mut known = (label.arrival, label.hops);
        while let Some(&Reverse(next)) = self.frontier.peek() {
            if (next.at, next.hops) >= known {
                return;
            }
            self.frontier.pop();
            self.look(plan, limits, next);
            let label = &self.labels[target as usize];
            known = (label.arrival, label.hops);
        }
    }

    /// Takes note of a contact that is new, or better than it was: only what it improves is searched.
    pub(super) fn improve(
        &mut self,
        plan: &ContactPlan,
        id: ContactId,
        contact: &PlannedContact,
        limits: &Limits<'_>,
    ) {
        let (Some(from), Some(to)) = (plan.node_index(contact.from), plan.node_index(contact.to)) else {
            return;
        };
        self.labels.resize(plan.nodes().len(), unreached(self.source));
        // The places of its sender's other contacts have changed.
        self.look_again(from);
        let here = self.labels[from as usize];
        if here.arrival <= contact.end.as_nanos() {
            self.relax(plan, limits, from, here, &plan.edge_of(id, contact, to));
        }
    }

    /// Finds other routes to the nodes behind a contact that is gone, or is not what it was: only their arrivals are searched
    /// anew. False where no route used it. O(N) and the contacts to those nodes, and otherwise O(log N).
    pub(super) fn mend(
        &mut self,
        plan: &ContactPlan,
        id: ContactId,
        contact: &PlannedContact,
        limits: &Limits<'_>,
    ) -> bool {
        if let Some(sender) = plan.node_index(contact.from) {
            self.look_again(sender);
        }
        let Some(cut) = plan.node_index(contact.to) else { return false };
        let used = |label: &Label| label.arrival != NEVER && label.contact == id;
        if cut == self.source || !self.labels.get(cut as usize).is_some_and(used) {
            return false;
        }
        let behind = self.behind(cut);
        for &node in &behind {
            let label = &mut self.labels[node as usize];
            (label.arrival, label.look) = (NEVER, label.look.wrapping_add(1));
        }
        for &node in &behind {
            for &id in &plan.nodes()[node as usize].incoming {
                let Some(contact) = plan.get(id) else { continue };
                let Some(from) = plan.node_index(contact.from) else { continue };
                let here = self.labels.get(from as usize).copied();
                if let Some(here) = here.filter(|here| here.arrival != NEVER) {
                    self.relax(plan, limits, from, here, &plan.edge_of(id, contact, node));
                }
            }
        }
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

    /// Before what nothing arrives at `target`, which is settled; `None`: nothing arrives.
    pub(super) fn bound(&self, target: u32) -> Option<u64> {
        self.labels.get(target as usize).map(|label| label.arrival).filter(|arrival| *arrival != NEVER)
    }

    /// The contacts to `target`, which is settled and reached.
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

    /// All contacts of a node that is reached are to be looked at, whatever was before.
    fn look_again(&mut self, node: u32) {
        let Some(label) = self.labels.get_mut(node as usize).filter(|label| label.arrival != NEVER) else {
            return;
        };
        label.look = label.look.wrapping_add(1);
        let Label { arrival, hops, look, .. } = *label;
        self.frontier.push(Reverse(Pending { at: arrival, hops, node, look, place: FIRST }));
    }

    /// Looks at the next contacts of a node. Those that all begin later wait for their time.
    fn look(&mut self, plan: &ContactPlan, limits: &Limits<'_>, next: Pending) {
        let Pending { at, hops, node, look, place } = next;
        let here = self.labels[node as usize];
        if here.look != look {
            return;
        }
        let out = &plan.nodes()[node as usize].out;
        let first =
            if place == FIRST { out.len() - open_at(out, here.arrival).len() } else { place as usize };
        for (place, edge) in (first as u32..).zip(out.get(first..).unwrap_or_default()) {
            if place - first as u32 >= AT_ONCE && edge.earliest_start > at {
                self.frontier.push(Reverse(Pending { at: edge.earliest_start, hops, node, look, place }));
                return;
            }
            self.relax(plan, limits, node, here, edge);
        }
    }

    fn relax(&mut self, plan: &ContactPlan, limits: &Limits<'_>, node: u32, here: Label, edge: &Edge) {
        let known = self.labels[edge.to as usize];
        if edge.start > known.arrival || edge.to == self.source {
            return;
        }
        let first = node == self.source;
        let opens = if first { edge.start } else { limits.opens(plan, edge) };
        let crossing = plan.crossing(edge, here.arrival.max(opens), self.bytes);
        let Some((_, arrival)) = crossing else { return };
        let hops = here.hops + 1;
        if arrival == NEVER || (arrival, hops) >= (known.arrival, known.hops) {
            return;
        }
        if limits.is_lost(edge.id) || !limits.is_likely(plan, edge.id) {
            return;
        }
        if first && self.barred.is_some_and(|barred| barred == plan.nodes()[edge.to as usize].id) {
            return;
        }
        if !limits.has_room(plan, edge, self.bytes, self.asked) {
            self.refused = true;
            return;
        }
        let look = known.look;
        self.labels[edge.to as usize] = Label { arrival, hops, parent: node, contact: edge.id, look };
        self.look_again(edge.to);
    }
}

const fn unreached(source: u32) -> Label {
    Label { arrival: NEVER, hops: 0, parent: source, contact: ContactId(0), look: 0 }
}
