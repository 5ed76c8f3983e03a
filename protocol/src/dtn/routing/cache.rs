//! Reuse of routes between bundles, with a bound on what reuse can cost.

use super::{Route, RouteQuery, RouteScratch, RoutingPolicy, walk};
use crate::{
    dtn::contact_plan::{ContactId, ContactPlan, PlanVersion},
    id::NodeId,
    time::Instant,
};
use alloc::{collections::BTreeMap, vec::Vec};
use core::time::Duration;

/// How many times its slack a route is reused by the time that it takes, rather than by when it arrives.
pub const AGES: u32 = 60;

/// The last routes of one node: per destination, and per neighbour that may not come first.
///
/// An entry answers for the same plan version and exclusions, an equal or later time, and an equal or larger bundle: under
/// those the entry's arrival is a lower bound of the best arrival, because earliest arrival grows with time, size and backlog. The entry's route is timed again for the bundle at hand, and reused when it arrives at most `slack` after
/// that bound; such a route is at most `slack` later than the best.
///
/// While a contact is open, bundles that take it arrive later one after the other, though nothing better came up. So an
/// entry younger than [`AGES`] times the slack is also reused when the bundle at hand is under way for at most `slack`
/// longer than the one that the entry was computed for. That is a route without waiting, for one with waiting arrives when it
/// did before; so what a better route that opened meanwhile would have saved is a matter of light time and serialisation.
///
/// With a slack of zero every answer's arrival is the earliest. Everything else is computed afresh. Entries whose first
/// contact has ended are replaced when asked for.
#[derive(Clone, Debug)]
pub struct RouteCache {
    policy: RoutingPolicy,
    slack: Duration,
    capacity: usize,
    version: PlanVersion,
    entries: BTreeMap<(NodeId, Option<NodeId>), Cached>,
    hits: u64,
    misses: u64,
}

#[derive(Clone, Debug)]
struct Cached {
    from: NodeId,
    excluded: Vec<ContactId>,
    asked: Instant,
    bytes: u64,
    route: Option<Route>,
}

impl RouteCache {
    /// An empty cache for up to `capacity` routes. When it is full it starts anew; one of capacity 0 keeps nothing.
    #[must_use]
    pub fn new(policy: RoutingPolicy, slack: Duration, capacity: usize) -> Self {
        let (version, entries) = (PlanVersion::default(), BTreeMap::new());
        Self { policy, slack, capacity, version, entries, hits: 0, misses: 0 }
    }

    /// A route that arrives at most the slack after the best one, or `None` when the bundle cannot arrive in time.
    pub fn route(
        &mut self,
        plan: &ContactPlan,
        query: &RouteQuery<'_>,
        scratch: &mut RouteScratch,
    ) -> Option<Route> {
        if self.version != plan.version() {
            self.entries.clear();
            self.version = plan.version();
        }
        if let Some(answer) =
            self.entries.get(&key_of(query)).and_then(|cached| self.reuse(cached, plan, query))
        {
            self.hits += 1;
            return answer;
        }
        // Names that the plan does not know are anybody's to make up: they push nothing out.
        plan.node_index(query.to)?;
        self.misses += 1;
        let bound = self.refresh(plan, query, scratch)?;
        let latest = bound.arrival.saturating_add(self.slack);
        let as_asked = walk(plan, &bound.hops, query).filter(|route| route.arrival <= latest);
        as_asked.or_else(|| self.policy.route(plan, query, scratch))
    }

    /// Questions answered from the cache, and questions computed.
    #[must_use]
    pub const fn hits_and_misses(&self) -> (u64, u64) {
        (self.hits, self.misses)
    }

    /// The answer of a cached entry, if it may answer.
    fn reuse(&self, cached: &Cached, plan: &ContactPlan, query: &RouteQuery<'_>) -> Option<Option<Route>> {
        let constraints = cached.from != query.from
            || cached.excluded != query.excluded
            || query.excluded_neighbours.len() > 1;
        if constraints || query.now < cached.asked || query.bytes < cached.bytes {
            return None;
        }
        // No route for less is no route for more.
        let Some(best) = &cached.route else { return Some(None) };
        if best.arrival > query.deadline {
            return Some(None);
        }
        let route = walk(plan, &best.hops, query)?;
        let latest = best.arrival.saturating_add(self.slack);
        let age = query.now.saturating_since(cached.asked);
        let fits =
            route.arrival <= latest || age < self.slack * AGES && route.arrival <= latest.saturating_add(age);
        fits.then_some(Some(route))
    }

    /// Computes and keeps the route of the same question with nothing waiting and no deadline.
    fn refresh(
        &mut self,
        plan: &ContactPlan,
        query: &RouteQuery<'_>,
        scratch: &mut RouteScratch,
    ) -> Option<Route> {
        // Asked for a somewhat smaller bundle, the entry also answers for those that are a little smaller than this one. Without
        // slack its arrival would not do for this one.
        let rounded = query.bytes.checked_next_power_of_two().map_or(query.bytes, |above| above / 2);
        let bytes = if self.slack.is_zero() { query.bytes } else { rounded };
        let mut free = RouteQuery::new(query.from, query.to, query.now, bytes);
        (free.excluded, free.excluded_neighbours) = (query.excluded, query.excluded_neighbours);
        let route = self.policy.route(plan, &free, scratch);
        let key = key_of(query);
        if self.entries.len() >= self.capacity && !self.entries.contains_key(&key) {
            // Rare with room for every pair that is in use, and simpler than knowing which one is not.
            self.entries.clear();
        }
        if self.capacity > 0 {
            let (from, excluded, asked) = (query.from, query.excluded.to_vec(), query.now);
            self.entries.insert(key, Cached { from, excluded, asked, bytes, route: route.clone() });
        }
        route
    }
}

/// What a route is kept for: the destination, and the neighbour that may not come first.
fn key_of(query: &RouteQuery<'_>) -> (NodeId, Option<NodeId>) {
    (query.to, query.excluded_neighbours.first().copied())
}
