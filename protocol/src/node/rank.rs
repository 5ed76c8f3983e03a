//! Whose bundles make way for whose in a full store.
//!
//! A bundle's urgency orders it among those that wait, whoever claims it. That others are thrown out for it is another matter: what
//! nobody vouches for throws out nothing, or a stranger could empty the store with bundles that call themselves urgent.

use super::{Node, bundle_service::Whose, forward::Origin};
use crate::{bundle::Bundle, dtn::store::Priority};

impl Node {
    /// As what a bundle evicts others.
    pub(super) fn rank(&self, bundle: &Bundle, priority: Priority, origin: Origin<'_>) -> Priority {
        if matches!(origin, Origin::Prompted) {
            self.hearsay_rank()
        } else if self.whose(&bundle.primary().source) == Whose::Ours {
            priority
        } else if self.vouches_for_source(bundle) {
            // Its source vouches for it. How urgent it is among our own is still not for others to say.
            priority.max(Priority::Normal)
        } else {
            self.hearsay_rank()
        }
    }

    /// What may go for a bundle that nobody vouches for: nothing; but among copies the oldest, as others have theirs.
    pub(super) const fn hearsay_rank(&self) -> Priority {
        if self.spread.is_some() { Priority::Normal } else { Priority::Bulk }
    }

    /// Whether this node took `bundle` only because its source's signature on the payload held. Fragments are not checked on their way.
    fn vouches_for_source(&self, bundle: &Bundle) -> bool {
        let demanded = self
            .config
            .security
            .is_some_and(|security| security.policy.payload_integrity && security.policy.by_bundle_source);
        demanded && bundle.primary().fragment.is_none()
    }
}
