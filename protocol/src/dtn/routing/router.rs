//! The router of a node: lists of candidate routes, bookings, and what a change of the plan leaves standing.

use super::{
    Limits, Route, RouteQuery, RouteScratch, Volumes, alternatives::rank, earliest_arrival_within,
    routes_by_neighbour, walk_within,
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

/// The most routes in one list of candidates: an older one makes room for a newer.
const MAX_CANDIDATES: usize = 8;

/// Schedule-aware bundle routing (CCSDS 734.3-B-1) as one node does it.
///
/// Per source and destination it keeps the routes that its searches found, and a bound: the arrival before which nothing
/// arrives. A bundle takes the best candidate (§3.2.8.1.4) with the time, queues and volumes of the moment; when that arrives
/// at most `slack` after the bound, nothing is searched. So with a slack of zero every answer is the best route's arrival, and
/// with some slack it is at most so much later.
///
/// The bound holds as long as things only get worse: later questions, larger bundles, more bookings, contacts lost or cut
/// short. When something may have got better (a contact added, volume given back) the bounds that it can touch go, and the
/// candidates stay. Only routes over a contact that is lost are dropped.
#[derive(Clone, Debug)]
pub struct Router {
    slack: Duration,
    capacity: usize,
    queue_delay: bool,
    min_confidence: Confidence,
    version: PlanVersion,
    volumes: Volumes,
    lists: BTreeMap<(NodeId, NodeId), List>,
    scratch: RouteScratch,
    counts: RouterCounts,
}

/// What a [`Router`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouterCounts {
    /// Questions answered from the candidates.
    pub reused: u64,
    /// Searches through the plan.
    pub searched: u64,
    /// Candidates dropped because a contact changed.
    pub invalidated: u64,
}

#[derive(Clone, Debug, Default)]
struct List {
    /// Candidates, the most recently found last.
    routes: Vec<Route>,
    bound: Option<Bound>,
}

/// Nothing arrives before `arrival` (`None`: nothing arrives) under the conditions that follow, or harder ones.
#[derive(Clone, Debug)]
struct Bound {
    arrival: Option<Instant>,
    asked: Instant,
    bytes: u64,
    excluded: Vec<ContactId>,
    excluded_neighbours: Vec<NodeId>,
    /// If bookings may have stood in the way: the priority that met them, and how often volume had been given back.
    booked: Option<(Priority, u64)>,
}

impl Router {
    /// A router with room for the candidates of `capacity` pairs of source and destination. When it is full it starts anew.
    #[must_use]
    pub fn new(slack: Duration, capacity: usize) -> Self {
        Self {
            slack,
            capacity,
            queue_delay: false,
            min_confidence: Confidence::NONE,
            version: PlanVersion::default(),
            volumes: Volumes::default(),
            lists: BTreeMap::new(),
            scratch: RouteScratch::default(),
            counts: RouterCounts::default(),
        }
    }

    /// The same router, which takes no route that is less likely than this as a whole.
    #[must_use]
    pub fn with_min_confidence(mut self, least: Confidence) -> Self {
        self.min_confidence = least;
        self.lists.clear();
        self
    }

    /// The same router, which lets what it booked on contacts further on go first there ([`Limits::queue_delay`]).
    #[must_use]
    pub fn with_queue_delay(mut self) -> Self {
        self.queue_delay = true;
        self.lists.clear();
        self
    }

    /// The route for a bundle of this priority, or `None` when it cannot arrive in time.
    pub fn route(&mut self, plan: &ContactPlan, query: &RouteQuery<'_>, priority: Priority) -> Option<Route> {
        self.follow(plan);
        let key = (query.from, query.to);
        if let Some(answer) =
            self.lists.get(&key).and_then(|list| self.candidate(list, plan, query, priority))
        {
            self.counts.reused += 1;
            return answer;
        }
        if !self.lists.contains_key(&key) && self.lists.len() >= self.capacity {
            self.lists.clear();
        }
        let found = self.search_unloaded(plan, query, priority);
        let latest = found.as_ref()?.arrival.saturating_add(self.slack);
        let limits = limits(&self.volumes, priority, (self.queue_delay, self.min_confidence));
        let as_asked = found.and_then(|route| walk_within(plan, &route.hops, query, &limits));
        if let Some(route) = as_asked.filter(|route| route.arrival <= latest) {
            return Some(route);
        }
        // Queues stand in the way, or the deadline: the search has to see them.
        self.counts.searched += 1;
        let route = earliest_arrival_within(plan, query, &limits, &mut self.scratch);
        if let Some(route) = &route {
            self.keep(key, route);
        }
        route
    }

    /// The best route over each neighbour, best first: a critical bundle goes to all of them (§3.2.8.1.3).
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

    /// Takes a contact that will not happen out of the plan, and with it the candidates over it. All others stand.
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
        self.drop_routes_over(id);
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
        self.drop_routes_over(id);
        if !is_part_of(&contact, &before) {
            self.drop_bounds_after(&contact);
        }
        self.version = plan.version();
        Ok(())
    }

    /// Adds a contact. Candidates stand; bounds that it could beat go.
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
        self.drop_bounds_after(&contact);
        self.version = plan.version();
        Ok(id)
    }

    /// What was done so far.
    #[must_use]
    pub const fn counts(&self) -> RouterCounts {
        self.counts
    }

    /// A plan that changed without being told here is another plan: candidates and bounds go, bookings of contacts that it
    /// still has stay.
    fn follow(&mut self, plan: &ContactPlan) {
        if self.version != plan.version() {
            self.version = plan.version();
            self.lists.clear();
            self.volumes.forget_before(plan.first_id());
        }
    }

    /// The answer of the candidates, if they may answer.
    fn candidate(
        &self,
        list: &List,
        plan: &ContactPlan,
        query: &RouteQuery<'_>,
        priority: Priority,
    ) -> Option<Option<Route>> {
        let bound = list.bound.as_ref().filter(|bound| bound.holds(query, priority, &self.volumes))?;
        let Some(earliest) = bound.arrival.filter(|arrival| *arrival <= query.deadline) else {
            return Some(None);
        };
        let limits = limits(&self.volumes, priority, (self.queue_delay, self.min_confidence));
        let timed = list.routes.iter().filter_map(|route| walk_within(plan, &route.hops, query, &limits));
        let best = timed.min_by(|a, b| rank(a).cmp(&rank(b)))?;
        (best.arrival <= earliest.saturating_add(self.slack)).then_some(Some(best))
    }

    /// The best route with nothing waiting and no deadline: its arrival is the new bound.
    fn search_unloaded(
        &mut self,
        plan: &ContactPlan,
        query: &RouteQuery<'_>,
        priority: Priority,
    ) -> Option<Route> {
        let free = RouteQuery { deadline: Instant::MAX, backlog: &|_| 0, ..*query };
        let limits = limits(&self.volumes, priority, (self.queue_delay, self.min_confidence));
        self.counts.searched += 1;
        let route = earliest_arrival_within(plan, &free, &limits, &mut self.scratch);
        let bound = Bound {
            arrival: route.as_ref().map(|route| route.arrival),
            asked: query.now,
            bytes: query.bytes,
            excluded: query.excluded.to_vec(),
            excluded_neighbours: query.excluded_neighbours.to_vec(),
            booked: (self.queue_delay || self.scratch.refused_for_volume())
                .then(|| (priority, self.volumes.releases())),
        };
        if self.capacity > 0 {
            self.lists.entry((query.from, query.to)).or_default().bound = Some(bound);
        }
        if let Some(route) = &route {
            self.keep((query.from, query.to), route);
        }
        route
    }

    fn keep(&mut self, key: (NodeId, NodeId), route: &Route) {
        let Some(list) = self.lists.get_mut(&key) else { return };
        if let Some(known) = list.routes.iter().position(|other| other.hops == route.hops) {
            list.routes.remove(known);
        } else if list.routes.len() >= MAX_CANDIDATES {
            list.routes.remove(0);
        }
        list.routes.push(route.clone());
    }

    fn drop_routes_over(&mut self, id: ContactId) {
        for list in self.lists.values_mut() {
            let before = list.routes.len();
            list.routes.retain(|route| !route.hops.contains(&id));
            self.counts.invalidated += (before - list.routes.len()) as u64;
        }
    }

    /// Drops the bounds that a new contact could beat: nothing comes over it before its start and its light time.
    fn drop_bounds_after(&mut self, contact: &PlannedContact) {
        let earliest = contact.start.saturating_add(contact.owlt);
        for list in self.lists.values_mut() {
            let safe = |bound: &Bound| bound.arrival.is_some_and(|arrival| arrival <= earliest);
            list.bound = list.bound.take().filter(safe);
        }
    }
}

impl Bound {
    fn holds(&self, query: &RouteQuery<'_>, priority: Priority, volumes: &Volumes) -> bool {
        let harder = query.now >= self.asked
            && query.bytes >= self.bytes
            && self.excluded.iter().all(|id| query.excluded.contains(id))
            && self.excluded_neighbours.iter().all(|id| query.excluded_neighbours.contains(id));
        // Higher priorities pass over the bookings of lower ones.
        harder && self.booked.is_none_or(|(met, releases)| priority >= met && releases == volumes.releases())
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
