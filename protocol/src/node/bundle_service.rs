//! The plain bundle service: an application's own bundles, without envelopes, to and from any node of any DTN.
//!
//! Best effort, as RFC 9171 has it: whoever wants more asks for reports or for custody. Each bundle is delivered at most once.

use super::{
    BundleSubmission, Followup, InputError, Node, Report, SubmitError, Timer,
    config::BundleSettings,
    forward::{ENVELOPES, Origin},
    output::{BundleDelivery, DropReason},
};
use crate::{
    bundle::{Bundle, BundleFlags, BundleId, HopCount, Policy, Primary},
    id::{EndpointId, NodeId},
    time::DtnTime,
};
use alloc::vec::Vec;
use core::time::Duration;

/// What an application may ask of a bundle.
const ALLOWED: BundleFlags = BundleFlags::ANY_REPORT
    .with(BundleFlags::MUST_NOT_FRAGMENT)
    .with(BundleFlags::STATUS_TIME_REQUESTED)
    .with(BundleFlags::ACKNOWLEDGEMENT_REQUESTED);

/// Whom an endpoint belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// This node's.
    Ours,
    /// Another node's, known by number.
    Node(NodeId),
    /// Nobody's: the null endpoint.
    Nobody,
    /// A name that no table knows.
    Unknown,
}

impl BundleSettings {
    /// The node of a `dtn` name, `None` when no table knows it.
    fn node_named(&self, name: &str) -> Option<Whose> {
        let node = name.strip_prefix("//")?.split('/').next()?;
        if self.names.iter().any(|own| **own == *node) {
            return Some(Whose::Ours);
        }
        self.nodes.get(node).map(|node| Whose::Node(*node))
    }
}

impl Node {
    /// Whom `endpoint` belongs to, by number or by the tables of names.
    pub(super) fn whose(&self, endpoint: &EndpointId) -> Whose {
        match endpoint {
            EndpointId::Null => Whose::Nobody,
            EndpointId::Ipn { node, .. } if *node == self.config.id => Whose::Ours,
            EndpointId::Ipn { node, .. } => Whose::Node(*node),
            EndpointId::Dtn(name) => match self.config.bundles.node_named(name) {
                Some(Whose::Node(node)) if node == self.config.id => Whose::Ours,
                Some(whose) => whose,
                None => Whose::Unknown,
            },
        }
    }

    /// The number of the node that `endpoint` belongs to.
    pub(super) fn node_of(&self, endpoint: &EndpointId) -> Option<NodeId> {
        match self.whose(endpoint) {
            Whose::Ours => Some(self.config.id),
            Whose::Node(node) => Some(node),
            Whose::Nobody | Whose::Unknown => None,
        }
    }

    /// The application sends a bundle.
    pub(super) fn send_bundle(&mut self, submission: BundleSubmission) -> Result<(), SubmitError> {
        self.check_submission(&submission)?;
        let (priority, lifetime) = (submission.priority, submission.lifetime);
        let bundle = self.plain_bundle(submission);
        if bundle.check(Policy::Strict).is_err() {
            return Err(SubmitError::Flags { found: bundle.primary().flags.0 });
        }
        let (id, bytes) = (bundle.id(), bundle.payload().len());
        if self.whose(&bundle.primary().destination) == Whose::Ours {
            self.report(Report::BundleAccepted { id, bytes });
            // Delivered or dropped, the drop told by a report of its own.
            let _ = self.deliver_bundle(&bundle, lifetime);
            return Ok(());
        }
        let encoded = bundle.encode();
        if self.store_bundle(bundle, priority, lifetime, Origin::Kept(&encoded)).is_none() {
            return Err(SubmitError::StoreFull);
        }
        if self.config.keep_bundles {
            self.followups.push(Followup::BundleAccepted(id, bytes));
        } else {
            self.report(Report::BundleAccepted { id, bytes });
        }
        Ok(())
    }

    fn check_submission(&self, submission: &BundleSubmission) -> Result<(), SubmitError> {
        let max = self.config.bundles.max_payload;
        let found = submission.payload.len();
        if found > max {
            return Err(SubmitError::PayloadTooLarge { found, max });
        }
        if !matches!(self.whose(&submission.source), Whose::Ours | Whose::Nobody) {
            return Err(SubmitError::ForeignSource);
        }
        if self.node_of(&submission.destination).is_none() {
            return Err(SubmitError::UnknownName);
        }
        let flags = submission.flags;
        if flags.without(ALLOWED) == BundleFlags::default() {
            Ok(())
        } else {
            Err(SubmitError::Flags { found: flags.0 })
        }
    }

    fn plain_bundle(&mut self, submission: BundleSubmission) -> Bundle {
        let BundleSubmission { source, destination, report_to, flags, lifetime, payload, .. } = submission;
        self.fresh_bundle(source, destination, report_to, flags, lifetime, payload)
    }

    /// A bundle of this node's own, of the present moment, with a hop count and, without a clock, an age.
    pub(super) fn fresh_bundle(
        &mut self,
        source: EndpointId,
        destination: EndpointId,
        report_to: EndpointId,
        flags: BundleFlags,
        lifetime: Duration,
        payload: Vec<u8>,
    ) -> Bundle {
        let creation = self.next_creation();
        let lifetime_ms = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        let mut primary = Primary::new(source, destination, creation, lifetime_ms);
        (primary.crc, primary.flags, primary.report_to) = (self.config.crc, flags, report_to);
        let mut bundle = Bundle::new(primary, payload);
        bundle.set_hop_count(HopCount { limit: self.config.hop_limit, count: 0 });
        if creation.time == DtnTime::UNKNOWN {
            // RFC 9171 §4.4.2: a bundle without a creation time must tell its age.
            bundle.set_age_ms(0);
        }
        bundle
    }

    /// Whether somebody here takes bundles for `endpoint`, one of ours.
    pub(super) fn is_registered(&self, endpoint: &EndpointId) -> bool {
        match (endpoint, &self.config.bundles.services) {
            (EndpointId::Ipn { service, .. }, Some(services)) => services.contains(service),
            (EndpointId::Ipn { service, .. }, None) => *service > ENVELOPES,
            (EndpointId::Dtn(_), _) => true,
            (EndpointId::Null, _) => false,
        }
    }

    /// Hands a whole bundle for one of our endpoints to the application, unless it was handed over before.
    pub(super) fn deliver_bundle(&mut self, bundle: &Bundle, left: Duration) -> Result<(), InputError> {
        let primary = bundle.primary();
        let bytes = bundle.encoded_len() as u32;
        if !self.is_registered(&primary.destination) {
            self.report(Report::BundleDropped { reason: DropReason::NoDestination, bytes });
            return Ok(());
        }
        let id = bundle.id();
        // An anonymous bundle has no name that could tell it from another (RFC 9171 §4.2.3).
        if primary.source != EndpointId::Null {
            if self.delivered.knows(&id) {
                return Err(self.refuse("duplicate_bundle"));
            }
            let expires = self.now.saturating_add(left);
            if self.delivered.remember(id.clone(), expires, self.config.bundles.max_remembered).is_err() {
                self.report(Report::BundleDropped { reason: DropReason::StoreFull, bytes });
                return Err(self.refuse("delivered_memory_full"));
            }
            self.keep_delivered(&id, left);
            self.arm_forgetting();
        }
        self.batch.bundles.push(BundleDelivery {
            source: primary.source.clone(),
            destination: primary.destination.clone(),
            creation: primary.creation,
            flags: primary.flags,
            payload: bundle.payload().to_vec(),
        });
        Ok(())
    }

    /// Delivered bundles whose lifetime is over cannot come again.
    pub(super) fn on_forget_delivered(&mut self) {
        for id in self.delivered.expire(self.now) {
            self.forget_delivered(&id);
        }
        self.arm_forgetting();
    }

    pub(super) fn arm_forgetting(&mut self) {
        if let Some(at) = self.delivered.next_expiry() {
            self.timers.arm(Timer::ForgetDelivered, at);
        }
    }

    /// A submission is durable.
    pub(super) fn on_bundle_accepted(&mut self, id: BundleId, bytes: usize) {
        self.report(Report::BundleAccepted { id, bytes });
    }
}
