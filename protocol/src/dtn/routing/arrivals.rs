//! Estimates of when something that another node sends would be here: what a timer for its answer waits for.

use super::{Limits, RouteQuery, RouteScratch, earliest_arrival, walk::time};
use crate::{
    dtn::contact_plan::{ContactId, ContactPlan, PlanVersion},
    id::NodeId,
    time::Instant,
};
use alloc::{collections::BTreeMap, sync::Arc};
use core::time::Duration;

/// The last estimate for each sender, towards one receiver.
///
/// An estimate also answers for later questions and larger bundles, whose arrival it bounds: it is timed anew, and stands when that is at
/// most the slack after the bound. So an answer is never earlier than the earliest arrival, and at most the slack later. What others
/// have waiting is not known here.
#[derive(Clone, Debug)]
pub struct Arrivals {
    slack: Duration,
    capacity: usize,
    version: PlanVersion,
    known: BTreeMap<NodeId, Estimate>,
    scratch: RouteScratch,
}

#[derive(Clone, Debug)]
struct Estimate {
    asked: Instant,
    bytes: u64,
    /// The earliest arrival and its route; `None`: there is none.
    best: Option<(Instant, Arc<[ContactId]>)>,
}

impl Arrivals {
    /// No estimates, for up to `capacity` senders. When there are more, it starts anew.
    #[must_use]
    pub fn new(slack: Duration, capacity: usize) -> Self {
        let (version, known) = (PlanVersion::default(), BTreeMap::new());
        Self { slack, capacity, version, known, scratch: RouteScratch::default() }
    }

    /// When `bytes` that leave `from` at `at` are at `to`, which is the same in every question.
    pub fn arrival(
        &mut self,
        plan: &ContactPlan,
        from: NodeId,
        to: NodeId,
        at: Instant,
        bytes: u64,
    ) -> Option<Instant> {
        if self.version != plan.version() {
            self.known.clear();
            self.version = plan.version();
        }
        let query = RouteQuery::new(from, to, at, bytes);
        if let Some(known) = self.known.get(&from).filter(|known| at >= known.asked && bytes >= known.bytes) {
            let (earliest, hops) = known.best.as_ref()?;
            let latest = earliest.saturating_add(self.slack);
            let timed = time(plan, hops, &query, &Limits::NONE);
            if let Some(timed) = timed.filter(|timed| timed.arrival <= latest) {
                return Some(timed.arrival);
            }
        }
        // Names that the plan does not know push nothing out.
        plan.node_index(from)?;
        let route = earliest_arrival(plan, &query, &mut self.scratch);
        if self.known.len() >= self.capacity && !self.known.contains_key(&from) {
            self.known.clear();
        }
        let best = route.map(|route| (route.arrival, route.hops));
        let arrival = best.as_ref().map(|(arrival, _)| *arrival);
        if self.capacity > 0 {
            self.known.insert(from, Estimate { asked: at, bytes, best });
        }
        arrival
    }
}
