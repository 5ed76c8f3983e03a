//! What a route may use beyond what the plan says: volume that is left, contacts that work and are likely enough.

use super::Volumes;
use crate::dtn::{
    contact_plan::{Confidence, ContactId, ContactPlan, Edge},
    store::Priority,
};

/// Limits on the contacts of a route. [`Limits::NONE`] takes the plan at its word.
#[derive(Clone, Copy, Debug)]
pub struct Limits<'a> {
    /// What is promised already; `None`: every contact is empty.
    pub volumes: Option<&'a Volumes>,
    /// Contacts that do not keep what the plan promises, in ascending order.
    pub lost: &'a [ContactId],
    /// The bundle's priority: what lower ones have taken does not count.
    pub priority: Priority,
    /// Whether what is booked on a contact further on goes first there, and so delays this bundle (the queue delay of
    /// Unibo-CGR and A-SABR). Without it contacts further on open at their start (CCSDS 734.3-B-1 §3.2.6.3). At the node itself
    /// the queues count either way ([`RouteQuery::backlog`](super::RouteQuery::backlog)).
    pub queue_delay: bool,
    /// The least confidence of a whole route, the product over its contacts.
    pub min_confidence: Confidence,
}

impl Limits<'_> {
    /// Every contact is empty, works and is certain.
    pub const NONE: Self = Self {
        volumes: None,
        lost: &[],
        priority: Priority::Normal,
        queue_delay: false,
        min_confidence: Confidence::NONE,
    };

    /// Whether a bundle of `bytes` may still be booked on `edge` at `now`. Whether there is time for it is asked elsewhere.
    pub(super) fn has_room(&self, plan: &ContactPlan, edge: &Edge, bytes: u64, now: u64) -> bool {
        let Some(volumes) = self.volumes else { return true };
        let booked = volumes.booked(edge.id, self.priority);
        // Most contacts hold nothing yet, and those need no arithmetic.
        booked == 0 || booked.saturating_add(bytes) <= plan.capacity(edge, edge.start.max(now))
    }

    /// When a contact further on is free for the bundle, nanoseconds.
    pub(super) fn opens(&self, plan: &ContactPlan, edge: &Edge) -> u64 {
        match self.volumes.filter(|_| self.queue_delay) {
            Some(volumes) => match volumes.booked(edge.id, self.priority) {
                0 => edge.start,
                booked => plan.free_after(edge, edge.start, booked),
            },
            None => edge.start,
        }
    }

    /// Whether a contact is known not to work.
    pub(super) fn is_lost(&self, id: ContactId) -> bool {
        !self.lost.is_empty() && self.lost.binary_search(&id).is_ok()
    }

    /// Whether a contact is likely enough to be on any route.
    pub(super) fn is_likely(&self, plan: &ContactPlan, id: ContactId) -> bool {
        self.min_confidence == Confidence::NONE || plan.confidence(id) >= self.min_confidence
    }

    /// Whether a whole route is likely enough.
    pub(super) fn trusts(&self, plan: &ContactPlan, hops: &[ContactId]) -> bool {
        self.min_confidence == Confidence::NONE || confidence(plan, hops) >= self.min_confidence
    }
}

/// The confidence of a route: the product over its contacts, rounded down at each.
#[must_use]
pub fn confidence(plan: &ContactPlan, hops: &[ContactId]) -> Confidence {
    hops.iter().fold(Confidence::CERTAIN, |sum, id| sum.and(plan.confidence(*id)))
}
