//! What a route may use beyond what the plan says: volume that is left, contacts that are likely enough.

use super::Volumes;
use crate::dtn::{
    contact_plan::{Confidence, ContactId, ContactPlan, Edge, capacity},
    store::Priority,
};

/// Limits on the contacts of a route. [`Limits::NONE`] takes the plan at its word.
#[derive(Clone, Copy, Debug)]
pub struct Limits<'a> {
    /// What is promised already; `None`: every contact is empty.
    pub volumes: Option<&'a Volumes>,
    /// The bundle's priority: what lower ones have taken does not count.
    pub priority: Priority,
    /// The least confidence of a whole route, the product over its contacts.
    pub min_confidence: Confidence,
}

impl Limits<'_> {
    /// Every contact is empty and certain.
    pub const NONE: Self =
        Self { volumes: None, priority: Priority::Normal, min_confidence: Confidence::NONE };

    /// Whether a bundle of `bytes` may still be booked on `edge`. Whether there is time for it is asked elsewhere.
    pub(super) fn has_room(&self, edge: &Edge, bytes: u64) -> bool {
        let Some(volumes) = self.volumes else { return true };
        let booked = volumes.booked(edge.id, self.priority);
        // Most contacts hold nothing yet, and those need no arithmetic.
        booked == 0 || booked.saturating_add(bytes) <= capacity(edge, edge.start)
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
