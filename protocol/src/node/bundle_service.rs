//! The plain bundle service: an application's own bundles, without envelopes, to and from any node of any DTN.
//!
//! Best effort, as RFC 9171 has it: whoever wants more asks for reports or for custody. Each bundle is delivered at most once.

use super::{
    BundleSubmission, InputError, Node, Report, SubmitError, Timer,
    config::BundleSettings,
    forward::{ENVELOPES, Origin},
    ingress::{Arrival, Fate},
    output::{BundleDelivery, DropReason},
};
use crate::{
    bundle::{Bundle, BundleFlags, HopCount, Policy, Primary, ReportReason, Status},
    dtn::store::Priority,
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
        let before = self.submissions;
        if let Some(meter) = self.submissions.as_mut() {
            meter.pass(self.now, submission.payload.len() as u64 + u64::from(submission.absent))?;
        }
        self.accept_bundle(submission).inspect_err(|_| {
            // What was refused for another reason has cost the application nothing.
            self.submissions = before;
        })
    }

    fn accept_bundle(&mut self, submission: BundleSubmission) -> Result<(), SubmitError> {
        let (priority, lifetime, custody) = (submission.priority, submission.lifetime, submission.custody);
        let critical = submission.critical && !custody;
        let absent = submission.absent;
        let mut bundle = self.plain_bundle(submission);
        bundle.set_absent(absent);
        if bundle.check(Policy::Strict).is_err() {
            return Err(SubmitError::Flags { found: bundle.primary().flags.0 });
        }
        let accepted = Report::BundleAccepted {
            id: bundle.id(),
            destination: bundle.primary().destination.clone(),
            bytes: bundle.payload().len() + absent as usize,
        };
        let destination = match self.whose(&bundle.primary().destination) {
            Whose::Ours => {
                if self.lacks_memory_for(&bundle, lifetime, None) {
                    return Err(SubmitError::StoreFull);
                }
                return match self.deliver_bundle(&bundle, lifetime, Arrival::default()) {
                    Ok(Fate::Taken) => {
                        self.report_durable(accepted);
                        Ok(())
                    }
                    Ok(Fate::Dropped(_)) | Err(_) => Err(SubmitError::UnknownName),
                };
            }
            Whose::Node(destination) => destination,
            Whose::Nobody | Whose::Unknown => return Err(SubmitError::UnknownName),
        };
        if critical {
            Self::mark_critical(&mut bundle, priority);
        }
        if self.config.directory.key(destination).is_some() {
            // Others would have to delete it: they do not know the mark.
            self.compress(&mut bundle, priority);
        }
        self.sign_plain(&mut bundle);
        if custody {
            let custodian = self.custodian(destination).ok_or(SubmitError::NoCustodian)?;
            if !self.take_custody(bundle, custodian, priority, lifetime) {
                return Err(SubmitError::StoreFull);
            }
        } else {
            let encoded = bundle.encode();
            let stored = if self.is_critical(&bundle) {
                self.store_critical(bundle, priority, lifetime, &encoded)
            } else {
                self.store_bundle(bundle, priority, lifetime, Origin::Kept(&encoded))
            };
            if stored.is_none() {
                return Err(SubmitError::StoreFull);
            }
        }
        if custody || self.config.keep_bundles {
            self.report_durable(accepted);
        } else {
            self.report(accepted);
        }
        Ok(())
    }

    /// Signs a bundle of ours, unless nobody is its source.
    pub(super) fn sign_plain(&mut self, bundle: &mut Bundle) {
        if bundle.primary().source != EndpointId::Null {
            self.sign_bundle(bundle);
        }
    }

    /// Compresses a bundle of ours where that is wanted and pays. What is expedited stays readable for relays, which take its urgency
    /// from the envelope.
    pub(super) fn compress(&self, bundle: &mut Bundle, priority: Priority) {
        if let Some(compression) = self.config.bundles.compression
            && priority != Priority::Expedited
            && bundle.payload().len() >= compression.min_payload
        {
            bundle.compress(compression.margin_percent);
        }
    }

    fn check_submission(&self, submission: &BundleSubmission) -> Result<(), SubmitError> {
        let max = self.config.bundles.max_payload;
        let found = submission.payload.len() + submission.absent as usize;
        if found > max || (submission.absent > 0 && !submission.payload.is_empty()) {
            return Err(SubmitError::PayloadTooLarge { found, max });
        }
        match self.whose(&submission.source) {
            Whose::Ours => {}
            Whose::Nobody if self.spread.is_none() => {}
            Whose::Nobody => return Err(SubmitError::Anonymous),
            Whose::Node(_) | Whose::Unknown => return Err(SubmitError::ForeignSource),
        }
        match self.whose(&submission.destination) {
            Whose::Ours if !self.is_registered(&submission.destination) => {
                return Err(SubmitError::UnknownName);
            }
            Whose::Ours | Whose::Node(_) => {}
            Whose::Nobody | Whose::Unknown => return Err(SubmitError::UnknownName),
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
            // The endpoint without a demux is the node's administrative one (RFC 9171 §4.2.5.1.1).
            (EndpointId::Dtn(name), _) => !name.ends_with('/') || name.matches('/').count() > 3,
            (EndpointId::Null, _) => false,
        }
    }

    /// Whether a bundle for this node goes to its applications, and not to the node itself.
    const fn is_applications(primary: &Primary) -> bool {
        !primary.flags.contains(BundleFlags::ADMINISTRATIVE_RECORD)
            && !matches!(primary.destination, EndpointId::Ipn { service: ENVELOPES, .. })
    }

    /// Whether somebody takes this bundle for this node, so that its fragments are worth keeping.
    pub(super) fn is_wanted(&self, primary: &Primary) -> bool {
        !Self::is_applications(primary) || self.is_registered(&primary.destination)
    }

    /// Whether a bundle for this node cannot be delivered now because too many were.
    pub(super) fn lacks_memory_for(&self, bundle: &Bundle, left: Duration, from: Option<NodeId>) -> bool {
        let primary = bundle.primary();
        let max = self.config.bundles.max_remembered;
        // The name of the whole: a fragment's differs only where nobody looks.
        Self::is_applications(primary)
            && primary.source != EndpointId::Null
            && !self.delivered.has_room(&bundle.id(), from, self.memorable(bundle, left), max)
    }

    /// Hands a whole bundle for one of our endpoints to the application, unless it was handed over before.
    pub(super) fn deliver_bundle(
        &mut self,
        bundle: &Bundle,
        left: Duration,
        arrival: Arrival,
    ) -> Result<Fate, InputError> {
        let primary = bundle.primary();
        if !self.is_registered(&primary.destination) {
            return Ok(self.turn_away(bundle, DropReason::NoDestination, arrival));
        }
        let id = bundle.id();
        // An anonymous bundle has no name that could tell it from another (RFC 9171 §4.2.3).
        if primary.source != EndpointId::Null {
            if self.delivered.knows(&id) {
                return Err(self.refuse("duplicate_bundle"));
            }
            if self.lacks_memory_for(bundle, left, arrival.from) {
                self.turn_away(bundle, DropReason::StoreFull, arrival);
                return Err(self.refuse("delivered_memory_full"));
            }
            let left = self.memorable(bundle, left);
            self.delivered.remember(id.clone(), self.now.saturating_add(left), arrival.from);
            self.keep_delivered(&id, left);
            self.arm_forgetting();
        }
        self.batch.bundles.push(BundleDelivery {
            source: primary.source.clone(),
            destination: primary.destination.clone(),
            creation: primary.creation,
            flags: primary.flags,
            payload: bundle.payload().to_vec(),
            absent: bundle.absent(),
        });
        self.report_status(bundle, Status::Delivered, ReportReason::NONE);
        Ok(Fate::Taken)
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
}
