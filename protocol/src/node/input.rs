//! What a driver tells a node.

use super::output::Ticket;
use crate::{
    bundle::BundleFlags,
    dtn::{contact_plan::ContactPlan, store::Priority},
    envelope::Purpose,
    id::{EndpointId, NodeId},
    sync::Op,
    time::{Instant, UtcEstimate},
};
use alloc::vec::Vec;
use core::time::Duration;

/// A driver's number for a link of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u32);

/// A link to a neighbour can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkUp {
    /// The driver's number for it.
    pub link: LinkId,
    /// Who is at the other end.
    pub peer: NodeId,
    /// Largest frame in bytes, at least [`crate::convergence::small_frame::MIN_MTU`].
    pub mtu: u32,
    /// Data rate in bits per second.
    pub rate_bps: u64,
    /// When it is planned to go down, if that is known. No bundle is started that could not be sent by then.
    pub until: Option<Instant>,
}

/// A message of the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Addressee: a member of the directory.
    pub destination: NodeId,
    /// Telemetry, command or event.
    pub purpose: Purpose,
    /// Class of service.
    pub priority: Priority,
    /// How long it is worth delivering.
    pub lifetime: Duration,
    /// What it says.
    pub payload: Vec<u8>,
}

/// A bundle of the application: no envelope, no acknowledgement, any destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleSubmission {
    /// An endpoint of this node, or the null endpoint: then the bundle is anonymous, and must not be fragmented (RFC 9171 §4.2.3).
    pub source: EndpointId,
    /// Whom it is for: any `ipn` endpoint, or a `dtn` name of the node's table.
    pub destination: EndpointId,
    /// Who gets the reports that `flags` ask for.
    pub report_to: EndpointId,
    /// Reports and their time, whether it may be fragmented, whether the application asks for an acknowledgement; nothing else.
    pub flags: BundleFlags,
    /// Class of service here; the bundle does not carry it (RFC 9171 has none).
    pub priority: Priority,
    /// How long it is worth delivering.
    pub lifetime: Duration,
    /// What it says.
    pub payload: Vec<u8>,
}

impl BundleSubmission {
    /// A bundle of normal priority that asks for nothing.
    #[must_use]
    pub fn new(source: EndpointId, destination: EndpointId, lifetime: Duration, payload: Vec<u8>) -> Self {
        Self {
            source,
            destination,
            report_to: EndpointId::Null,
            flags: BundleFlags::default(),
            priority: Priority::Normal,
            lifetime,
            payload,
        }
    }
}

/// An input.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// Bytes came in.
    Frame {
        /// On which link.
        link: LinkId,
        /// The frame as the peer's `poll_transmit` made it, or anything else.
        bytes: &'a [u8],
    },
    /// A link came up, or its facts changed.
    LinkUp(LinkUp),
    /// A link went down.
    LinkDown {
        /// Which.
        link: LinkId,
    },
    /// The contact plan, on this node's clock. Replaces the one before.
    ContactPlan(ContactPlan),
    /// The application sends a message.
    Submit(Submission),
    /// The application sends a bundle without an envelope.
    SendBundle(BundleSubmission),
    /// The application writes to replicated state.
    Write(Op<'a>),
    /// The coordinator is to begin its plan.
    StartPlan,
    /// What time it is.
    Civil(UtcEstimate),
    /// A persist request is done. Requests are answered in order.
    Persisted(Ticket),
    /// The time of [`super::Node::poll_timeout`] has come. Too early, it does nothing.
    Timeout,
}
