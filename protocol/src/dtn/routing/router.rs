//! The router of a node: lists of candidate routes, bookings, and what a change of the plan leaves standing.

use super::{
    Limits, Route, RouteQuery, RouteScratch, Volumes, earliest_arrival_within, routes_by_neighbour,
    tree::{Frontier, Tree},
    walk_within,
};
use crate::{
    dtn::{
        contact_plan::{Confidence, ContactId, ContactPlan, PlanError, PlanVersion, PlannedContact},
        store::Priority,
    },
    id::NodeId,
    time::Instant,
};
use alloc::{collections::BTreeMap, vec::Vec};
use core::time::Duration;

/// Schedule-aware bundle routing (CCSDS 734.3-B-1) as one node does it.
///
/// One search finds a candidate route to *every* destination, and a bound on each: before it nothing arrives. A bundle takes the
/// candidate, timed anew with the bookings and queues of the moment; when that arrives at most `slack` after the bound,
/// nothing is searched. So with a slack of zero every answer arrives as early as the best route does, and with some slack at
/// most so much later. Where queues make the candidate late, the search that knows them decides ([`earliest_arrival_within`]).
///
/// Bounds hold as long as things only get worse: later questions, larger bundles, more bookings. When a contact is lost or
/// changed, only the nodes behind it are searched anew; one that is added is carried into the candidates that it improves.
/// Volume that is given back is looked for where volume was short.
#[derive(Clone, Debug)]
pub struct Router {
    slack: Duration,
    capacity: usize,
    queue_delay: bool,
    min_confidence: Confidence,
    version: PlanVersion,
    volumes: Volumes,
    trees: BTreeMap<Kind, Kept>,
    scratch: RouteScratch,
    frontier: Frontier,
    hops: Vec<ContactId>,
    counts: RouterCounts,
}

/// What a [`Router`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouterCounts {
    /// Questions answered without a search.
    pub reused: u64,
    /// Searches that found candidates for all destinations.
    pub grown: u64,
    /// Searches for one bundle, in view of queues and deadlines.
    pub searched: u64,
}

/// Questions that share candidates: source, magnitude of the bundle (the position of its size's highest bit), priority.
type Kind = (NodeId, u32, Priority);

#[derive(Clone, Debug)]
struct Kept {
    tree: Tree,
    /// How often volume had been given back when it was grown.
    releases: u64,
}

impl Router {
    /// A router that keeps up to `capacity` searches, each with candidates for all destinations: one per source, priority and
    /// power of two of bundle sizes in use. When it is full it starts anew; it keeps one at least.
    #[must_use]
    pub fn new(slack: Duration, capacity: usize) -> Self {
        Self {
            slack,
            capacity,
            queue_delay: false,
            min_confidence: Confidence::NONE,
            version: PlanVersion::default(),
            volumes: Volumes::default(),
            trees: BTreeMap::new(),
            scratch: RouteScratch::default(),
            frontier: Frontier::default(),
            hops: Vec::new(),
            counts: RouterCounts::default(),
        }
    }

    /// The same router, which takes no route that is less likely than this as a whole.
    #[must_use]
    pub fn with_min_confidence(mut self, least: Confidence) -> Self {
        self.min_confidence = least;
        self.trees.clear();
        self
    }

    /// The same router, which lets what it booked on contacts further on go first there ([`Limits::queue_delay`]).
    #[must_use]
    pub fn with_queue_delay(mut self) -> Self {
        self.queue_delay = true;
        self.trees.clear();
        self
    }

    /// The route for a bundle of this priority, or `None` when it cannot arrive in time.
    pub fn route(&mut self, plan: &ContactPlan, query: &RouteQuery<'_>, priority: Priority) -> Option<Route> {
        self.follow(plan);
        let target = plan.node_index(query.to)?;
        let kind = (query.from, query.bytes.checked_ilog2().map_or(0, |bit| bit + 1), priority);
        let free = RouteQuery { deadline: Instant::MAX, backlog: &|_| 0, ..*query };
        let mut fresh = false;
        if !self.is_in_time(plan, &free, kind, target) {
            self.grow(plan, &free, kind)?;
            fresh = true;
        }
        let kept = self.trees.get(&kind)?;
        // Nothing arrives, or nothing in time.
        let bound = kept.tree.bound(target)?;
        if bound > query.deadline.as_nanos() || target == plan.node_index(query.from)? {
            self.counts.reused += u64::from(!fresh);
            return None;
        }
        let limits = limits(&self.volumes, priority, (self.queue_delay, self.min_confidence));
        kept.tree.trace(target, &mut self.hops);
        let latest = Instant::from_nanos(bound).saturating_add(self.slack);
        let candidate = walk_within(plan, &self.hops, query, &limits).filter(|route| route.arrival <= latest);
        if candidate.is_some() {
            self.counts.reused += u64::from(!fresh);
            return candidate;
        }
        self.counts.searched += 1;
        earliest_arrival_within(plan, query, &limits, &mut self.scratch)
    }

    /// The best route over each neighbour, best first: a critical bundle goes to all of them, as in ION.
    pub fn route_critical(
        &mut self,
        plan: &ContactPlan,
        query: &RouteQuery<'_>,
        priority: Priority,
    ) -> Vec<Route> {
        self.follow(plan);
        self.counts.searched += 1;
        let limits = limits(&self.volumes, priority, (self.queue_delay, self.min_confidence));
        routes_by_neighbour(plan, query, &limits, &mut self.scratch)
    }

    /// Takes the bundle's volume from the contacts of its route. Answers by how many bytes the first contact is now
    /// overbooked: so much of what waits for it, lowest priority first, is to be released and routed anew.
    pub fn book(&mut self, plan: &ContactPlan, route: &Route, bytes: u64, priority: Priority) -> u64 {
        self.volumes.book(plan, route, bytes, priority)
    }

    /// Gives a bundle's volume back: it goes another way, or not at all. Not for a bundle that was sent.
    pub fn release(&mut self, route: &Route, bytes: u64, priority: Priority) {
        self.volumes.release(route, bytes, priority);
    }

    /// What is booked.
    #[must_use]
    pub const fn volumes(&self) -> &Volumes {
        &self.volumes
    }

    /// Takes a contact that will not happen out of the plan. Candidates over it are replaced, all others stand.
    ///
    /// # Errors
    /// [`PlanError::Unknown`]: nothing changed then.
    pub fn contact_lost(
        &mut self,
        plan: &mut ContactPlan,
        id: ContactId,
    ) -> Result<PlannedContact, PlanError> {
        self.follow(plan);
        let contact = plan.remove(id)?;
        self.mend(plan, id, contact.to);
        self.version = plan.version();
        Ok(contact)
    }

    /// Replaces a contact, which keeps its name and its bookings: cut short, moved, slower, faster.
    ///
    /// # Errors
    /// [`PlanError`]: nothing changed then.
    pub fn contact_changed(
        &mut self,
        plan: &mut ContactPlan,
        id: ContactId,
        contact: PlannedContact,
    ) -> Result<(), PlanError> {
        self.follow(plan);
        let before = *plan.get(id).ok_or(PlanError::Unknown(id))?;
        plan.update(id, contact)?;
        self.mend(plan, id, before.to);
        if !is_part_of(&contact, &before) {
            self.improve(plan, id, &contact);
        }
        self.version = plan.version();
        Ok(())
    }

    /// Adds a contact, and carries it into the candidates that it improves.
    ///
    /// # Errors
    /// [`PlanError`]: nothing changed then.
    pub fn contact_added(
        &mut self,
        plan: &mut ContactPlan,
        contact: PlannedContact,
    ) -> Result<ContactId, PlanError> {
        self.follow(plan);
        let id = plan.add(contact)?;
        self.improve(plan, id, &contact);
        self.version = plan.version();
        Ok(id)
    }

    /// How many searches are kept, at most the capacity.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.trees.len()
    }

    /// What was done so far.
    #[must_use]
    pub const fn counts(&self) -> RouterCounts {
        self.counts
    }

    /// A plan that changed without being told here is another plan: candidates go, bookings of contacts that it still has
    /// stay.
    fn follow(&mut self, plan: &ContactPlan) {
        if self.version != plan.version() {
            self.version = plan.version();
            self.trees.clear();
            self.volumes.forget_before(plan.first_id());
        }
    }

    /// Whether the kept candidate is within the slack, leaving queues aside.
    fn is_in_time(&mut self, plan: &ContactPlan, free: &RouteQuery<'_>, kind: Kind, target: u32) -> bool {
        let Some(kept) = self.trees.get(&kind).filter(|kept| self.holds(kept, free)) else { return false };
        if target as usize >= plan.nodes().len() {
            return false;
        }
        let Some(bound) = kept.tree.bound(target) else { return true };
        kept.tree.trace(target, &mut self.hops);
        let limits = limits(&self.volumes, kind.2, (self.queue_delay, Confidence::NONE));
        let latest = Instant::from_nanos(bound).saturating_add(self.slack);
        walk_within(plan, &self.hops, free, &limits).is_some_and(|route| route.arrival <= latest)
            || free.from == free.to
    }

    /// Whether the question is no easier than the one that the candidates were found for.
    fn holds(&self, kept: &Kept, query: &RouteQuery<'_>) -> bool {
        let tree = &kept.tree;
        let loaded = tree.refused || self.queue_delay;
        query.now.as_nanos() >= tree.asked
            && query.bytes >= tree.bytes
            && tree.excluded.iter().all(|id| query.excluded.contains(id))
            && tree.excluded_neighbours.iter().all(|id| query.excluded_neighbours.contains(id))
            && (!loaded || kept.releases == self.volumes.releases())
    }

    /// Searches for candidates to all destinations.
    fn grow(&mut self, plan: &ContactPlan, free: &RouteQuery<'_>, kind: Kind) -> Option<()> {
        // Grown for a somewhat smaller bundle, a tree also answers for those that are a little smaller than this one. Without
        // slack its arrivals would not do for this one.
        let rounded = if kind.1 == 0 { 0 } else { 1 << (kind.1 - 1) };
        let bytes = if self.slack.is_zero() { free.bytes } else { rounded };
        let limits = limits(&self.volumes, kind.2, (self.queue_delay, self.min_confidence));
        let tree = Tree::grow(plan, &RouteQuery { bytes, ..*free }, &limits, &mut self.frontier)?;
        self.counts.grown += 1;
        if self.trees.len() >= self.capacity.max(1) && !self.trees.contains_key(&kind) {
            self.trees.clear();
        }
        self.trees.insert(kind, Kept { tree, releases: self.volumes.releases() });
        Some(())
    }

    fn mend(&mut self, plan: &ContactPlan, id: ContactId, receiver: NodeId) {
        for ((_, _, priority), kept) in &mut self.trees {
            let limits = limits(&self.volumes, *priority, (self.queue_delay, self.min_confidence));
            kept.tree.mend(plan, id, receiver, &limits, &mut self.frontier);
        }
    }

    fn improve(&mut self, plan: &ContactPlan, id: ContactId, contact: &PlannedContact) {
        for ((_, _, priority), kept) in &mut self.trees {
            let limits = limits(&self.volumes, *priority, (self.queue_delay, self.min_confidence));
            kept.tree.improve(plan, id, contact, &limits, &mut self.frontier);
        }
    }
}

const fn limits(
    volumes: &Volumes,
    priority: Priority,
    (queue_delay, min_confidence): (bool, Confidence),
) -> Limits<'_> {
    Limits { volumes: Some(volumes), priority, queue_delay, min_confidence }
}

/// Whether nothing can be done with `new` that could not be done with `old`.
fn is_part_of(new: &PlannedContact, old: &PlannedContact) -> bool {
    (new.from, new.to) == (old.from, old.to)
        && new.start >= old.start
        && new.end <= old.end
        && new.rate_bps <= old.rate_bps
        && new.owlt >= old.owlt
}
