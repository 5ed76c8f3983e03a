//! What a driver tells a node.

use super::{
    convergence::{Convergence, Transfer},
    output::Ticket,
    plan::PlanHorizon,
};
use crate::{
    bundle::BundleFlags,
    dtn::{contact_plan::ContactPlan, store::Priority},
    envelope::Purpose,
    governance::Content,
    id::{EndpointId, NodeId},
    identity::{Cause, KeyPair, Statement},
    sync::Op,
    time::{Instant, UtcEstimate},
};
use alloc::{boxed::Box, vec::Vec};
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
    /// Largest frame in bytes: at least [`crate::convergence::small_frame::MIN_MTU`], with LTP [`crate::convergence::ltp::MIN_MTU`].
    pub mtu: u32,
    /// Data rate in bits per second.
    pub rate_bps: u64,
    /// When it is planned to go down, if that is known. No bundle is started that could not be sent by then.
    pub until: Option<Instant>,
    /// How bundles cross it.
    pub convergence: Convergence,
    /// Whether the driver tells by [`Input::Sent`] when a bundle's last frame has left. Until then the bundle stays, and nothing follows
    /// it; when the link goes down before, it was not sent.
    pub session: bool,
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
    /// Whether it travels from custodian to custodian, which the node is set up for by [`super::CustodySettings`].
    pub custody: bool,
    /// Whether it goes every way that leads there, at once, so that it comes by the first one that works
    /// ([`crate::dtn::routing::SERVICE_BLOCK`]). Not with custody.
    pub critical: bool,
    /// Class of service here; the bundle does not carry it (RFC 9171 has none).
    pub priority: Priority,
    /// How long it is worth delivering.
    pub lifetime: Duration,
    /// What it says.
    pub payload: Vec<u8>,
    /// Payload bytes that are counted and not carried, in studies of routing; 0, or the payload is empty.
    pub absent: u32,
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
            custody: false,
            critical: false,
            priority: Priority::Normal,
            lifetime,
            payload,
            absent: 0,
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
    /// On a link with sessions: the last frame of what [`super::Node::poll_transmit`] gave has left.
    Sent {
        /// Which.
        link: LinkId,
    },
    /// On a link with sessions: a bundle of so many bytes begins to come in. The store makes room for it now.
    Incoming {
        /// How many.
        bytes: u32,
    },
    /// How strongly the peer of a link is heard, where the medium tells: for strategies that let the farthest speak first.
    Heard {
        /// Which link.
        link: LinkId,
        /// Signal-to-noise ratio in dB.
        snr_db: i8,
    },
    /// A link went down.
    LinkDown {
        /// Which.
        link: LinkId,
    },
    /// A bundle of [`super::Node::poll_bundle`] is at the peer, or as near to it as the driver's convergence layer can tell.
    Transmitted {
        /// On which link.
        link: LinkId,
        /// Which.
        transfer: Transfer,
    },
    /// A bundle of [`super::Node::poll_bundle`] did not reach the peer, or was refused there: it goes back to its queue.
    TransmissionFailed {
        /// On which link.
        link: LinkId,
        /// Which.
        transfer: Transfer,
    },
    /// The contact plan, on this node's clock. Replaces the one before.
    ContactPlan(ContactPlan),
    /// The application sends a message.
    Submit(Submission),
    /// The application sends a bundle without an envelope.
    SendBundle(BundleSubmission),
    /// The application writes to replicated state.
    Write(Op<'a>),
    /// The replicated state is to be compared with that of another member, cell by cell, and mended.
    AuditSharedState {
        /// The other member.
        peer: NodeId,
    },
    /// The plan begins: everyone who takes part from the beginning is told, and again after a restart. Its coordinator opens it.
    StartPlan,
    /// Time has passed: the plan's next horizon begins. Every node that takes part is told, the coordinator last.
    PlanHorizon(Box<PlanHorizon>),
    /// A signed statement about identities came by another way: from the authority's own machine, or by hand.
    Learn(Statement),
    /// Somebody wants to read the log that the host keeps: refused unless the policy lets it.
    ReadLog {
        /// Who.
        reader: NodeId,
    },
    /// This node's key hands over to another. The host gives the new one at a restart.
    RotateKey(Box<KeyPair>),
    /// The key in force of a member is taken back. Only where the authority's key is.
    Revoke {
        /// Whose.
        node: NodeId,
        /// Why.
        cause: Cause,
    },
    /// This node proposes that the fleet decides upon something. It proposes again in later slots while others are decided upon.
    Propose(Box<Content>),
    /// What this node's voter thinks of a content, by its digest: as soon as it is proposed, it votes so.
    Opinion {
        /// [`Content::digest`].
        content: crate::log::Hash,
        /// Whether it approves.
        approves: bool,
    },
    /// This node's asset takes part in the plan from now on.
    JoinPlan,
    /// This node's asset takes part in the plan no more.
    LeavePlan,
    /// What time it is.
    Civil(UtcEstimate),
    /// A persist request is done. Requests are answered in order.
    Persisted(Ticket),
    /// The time of [`super::Node::poll_timeout`] has come. Too early, it does nothing.
    Timeout,
}
