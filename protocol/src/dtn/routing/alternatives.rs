//! Other routes than the best: the best K (Yen, in Lawler's form), and the best over each neighbour.
//!
//! Sources: J. Y. Yen, "Finding the K shortest loopless paths in a network", Management Science 17 (1971); E. L. Lawler, "A
//! procedure for computing the K best solutions …", Management Science 18 (1972). What is not tried yet is divided into sets
//! that share no route: those that begin as a known route does and then leave it. The best of each set is known, so the next
//! best route is the best among them, and its set is divided again. Nothing is found twice, and nothing is missed.

use super::{
    Limits, Route, RouteQuery, RouteScratch,
    earliest_arrival::{Start, best_hops, passed},
    walk::{Walk, nodes_along, walk_within},
};
use crate::{
    dtn::contact_plan::{ContactId, ContactPlan, open_at},
    id::NodeId,
};
use alloc::{collections::BTreeSet, vec::Vec};
use core::cmp::Reverse;

/// The most routes that one question lists.
pub const MAX_ROUTES: usize = 1_024;

/// The best route of a set: it begins with the first `kept` contacts of another, and its next is none of `barred`.
struct Candidate {
    route: Route,
    kept: usize,
    barred: Vec<ContactId>,
}

/// The best `k` loop-free routes, best first; fewer when there are no more. At most [`MAX_ROUTES`].
///
/// A route is a sequence of contacts, so two passes of one relay are two routes. The order is that of
/// CCSDS 734.3-B-1 §3.2.8.1.4, and then by the names of the contacts. O(k · hops) searches.
#[must_use]
pub fn k_routes(
    plan: &ContactPlan,
    query: &RouteQuery<'_>,
    k: usize,
    scratch: &mut RouteScratch,
) -> Vec<Route> {
    k_routes_within(plan, query, &Limits::NONE, k, scratch)
}

/// As [`k_routes`], within limits. Routes that are too unlikely as a whole are passed over, and count against
/// [`MAX_ROUTES`].
#[must_use]
pub fn k_routes_within(
    plan: &ContactPlan,
    query: &RouteQuery<'_>,
    limits: &Limits<'_>,
    k: usize,
    scratch: &mut RouteScratch,
) -> Vec<Route> {
    let mut routes = Vec::new();
    let (Some(source), Some(target)) = (plan.node_index(query.from), plan.node_index(query.to)) else {
        return routes;
    };
    if source == target || k == 0 {
        return routes;
    }
    let mut spurs = Spurs { plan, query, limits, target, refused: false };
    let mut candidates: Vec<Candidate> = spurs.best_of(&[], Vec::new(), scratch).into_iter().collect();
    for _ in 0..MAX_ROUTES {
        let best = (0..candidates.len()).min_by_key(|index| rank(&candidates[*index].route));
        let Some(best) = best else { break };
        let Candidate { route, kept, barred } = candidates.swap_remove(best);
        let mut barred = Some(barred);
        let last = routes.len() + 1 >= k && limits.trusts(plan, &route.hops);
        for at in kept..if last { kept } else { route.hops.len() } {
            let mut not_first = barred.take().unwrap_or_default();
            not_first.push(route.hops[at]);
            candidates.extend(spurs.best_of(&route.hops[..at], not_first, scratch));
        }
        if limits.trusts(plan, &route.hops) {
            routes.push(route);
        }
        if last {
            break;
        }
    }
    scratch.set_refused(spurs.refused);
    routes
}

/// The best route over each neighbour that has one, best first: where a critical bundle goes (as in ION), and the list of
/// one route per neighbour.
#[must_use]
pub fn routes_by_neighbour(
    plan: &ContactPlan,
    query: &RouteQuery<'_>,
    limits: &Limits<'_>,
    scratch: &mut RouteScratch,
) -> Vec<Route> {
    let mut routes = Vec::new();
    let (Some(source), Some(target)) = (plan.node_index(query.from), plan.node_index(query.to)) else {
        return routes;
    };
    if source == target {
        return routes;
    }
    let open = open_at(&plan.nodes()[source as usize].out, query.now.as_nanos());
    let neighbours: BTreeSet<NodeId> = open.iter().map(|edge| plan.nodes()[edge.to as usize].id).collect();
    let passed = passed(plan, query);
    for neighbour in neighbours {
        let start = Start { only: Some(neighbour), passed: passed.as_slice(), ..Start::of(source, query) };
        let hops = best_hops(plan, query, limits, start, target, scratch);
        routes.extend(hops.and_then(|hops| walk_within(plan, &hops, query, limits)));
    }
    routes.sort_by(|a, b| rank(a).cmp(&rank(b)));
    routes
}

/// What makes a route better: earlier arrival, fewer contacts, later end, smaller neighbour (§3.2.8.1.4), and to have one
/// order for all, the names of its contacts.
pub(super) fn rank(route: &Route) -> (u64, usize, Reverse<u64>, NodeId, &[ContactId]) {
    let (arrival, end) = (route.arrival.as_nanos(), Reverse(route.end.as_nanos()));
    (arrival, route.hops.len(), end, route.neighbour, &route.hops)
}

struct Spurs<'a> {
    plan: &'a ContactPlan,
    query: &'a RouteQuery<'a>,
    limits: &'a Limits<'a>,
    target: u32,
    refused: bool,
}

impl Spurs<'_> {
    /// The best route that begins with `kept` and goes on with none of `barred`.
    fn best_of(
        &mut self,
        kept: &[ContactId],
        barred: Vec<ContactId>,
        scratch: &mut RouteScratch,
    ) -> Option<Candidate> {
        let (plan, query) = (self.plan, self.query);
        let any = Limits { min_confidence: crate::dtn::contact_plan::Confidence::NONE, ..*self.limits };
        let mut walk = Walk::new(query);
        for id in kept {
            walk.step(plan, *id, query, &any)?;
        }
        let mut nodes = nodes_along(plan, query.from, kept)?;
        let node = nodes.pop()?;
        nodes.extend(passed(plan, query));
        let start = Start {
            node,
            at: walk.at.as_nanos(),
            at_source: kept.is_empty(),
            passed: &nodes,
            not_first: &barred,
            only: None,
        };
        let rest = best_hops(plan, query, self.limits, start, self.target, scratch);
        self.refused |= scratch.refused_for_volume();
        let mut hops = kept.to_vec();
        hops.extend(rest?);
        let route = walk_within(plan, &hops, query, &any)?;
        Some(Candidate { route, kept: kept.len(), barred })
    }
}
