//! Why an input was not taken.

use super::{convergence::Transfer, input::LinkId, output::Ticket};
use crate::{
    delivery::{RateExceeded, StreamFull},
    id::NodeId,
    sync::SyncError,
    time::Instant,
};

/// An input was refused: nothing but a counter changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// The driver's clock went backwards.
    #[error("clock stepped back: {} ns after {} ns", now.as_nanos(), last.as_nanos())]
    ClockSteppedBack {
        /// The time given.
        now: Instant,
        /// The latest time given before.
        last: Instant,
    },
    /// A link that was never up.
    #[error("unknown link {}", .0.0)]
    UnknownLink(LinkId),
    /// A transfer that does not wait for the driver's word.
    #[error("no transfer {} waits for an answer", .0.0)]
    UnknownTransfer(Transfer),
    /// A ticket that is not the oldest one waiting for an answer.
    #[error("persist ticket {} is not the oldest unanswered one", .0.0)]
    UnknownTicket(Ticket),
    /// The application's message was refused.
    #[error(transparent)]
    Submit(SubmitError),
    /// The application's write was refused.
    #[error(transparent)]
    Write(SyncError),
    /// The application's write breaks a data contract.
    #[error("the write breaks its contract: {reason}")]
    Contract {
        /// A stable word, that of [`crate::contract::Breach::reason`].
        reason: &'static str,
    },
    /// This node takes no part in shared state or planning, or does not coordinate.
    #[error("not configured for this: {what}")]
    NotConfigured {
        /// What was asked for.
        what: &'static str,
    },
    /// A kept record that this version did not write.
    #[error("malformed kept record of kind {kind:#04x}")]
    Kept {
        /// First byte of its key; 0 for an empty key.
        kind: u8,
    },
    /// Bytes from a peer that deserve no answer.
    #[error("refused: {reason}")]
    Refused {
        /// A stable word.
        reason: &'static str,
    },
}

/// Why an application's message was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// Nobody of that number is in the directory.
    #[error("node {0} is not a member")]
    UnknownDestination(NodeId),
    /// A message to the node itself.
    #[error("a message to the node itself")]
    ToSelf,
    /// A purpose that is the node's own.
    #[error("applications send telemetry, commands and events only")]
    Purpose,
    /// The payload is too long.
    #[error("payload of {found} bytes: at most {max} allowed")]
    PayloadTooLarge {
        /// Its length.
        found: usize,
        /// The limit.
        max: usize,
    },
    /// The payload is no record of the contract of its purpose.
    #[error("the payload breaks its contract: {reason}")]
    Contract {
        /// A stable word, that of [`crate::contract::Breach::reason`].
        reason: &'static str,
    },
    /// A bundle whose source is another node's endpoint.
    #[error("the source is not an endpoint of this node")]
    ForeignSource,
    /// A bundle without a source where neighbours get copies, which are known by its name.
    #[error("a bundle without a source cannot be copied to neighbours")]
    Anonymous,
    /// A bundle for nobody, for an endpoint of this node where nobody takes bundles, or for a `dtn` name that is in no table.
    #[error("the destination is nobody that is known")]
    UnknownName,
    /// Custody is asked for, and nobody would take it for this destination.
    #[error("no custodian for the destination")]
    NoCustodian,
    /// Flags that an application may not set, or that contradict the source.
    #[error("flags {found:#x} are not the application's to set")]
    Flags {
        /// The flags.
        found: u64,
    },
    /// The group's key has not come yet.
    #[error("no key of the group yet")]
    NoGroupKey,
    /// The destination's key is blocked or compromised: who holds it is not to have what is sent.
    #[error("the key of node {0} is taken back")]
    Blocked(NodeId),
    /// The bundle store is full of what is as urgent.
    #[error("the bundle store is full")]
    StoreFull,
    /// Too many messages of this stream are unacknowledged. [`super::Report::Writable`] tells when there is room.
    #[error(transparent)]
    StreamFull(#[from] StreamFull),
    /// The application is faster than it may be.
    #[error(transparent)]
    RateExceeded(#[from] RateExceeded),
}

impl SubmitError {
    /// A stable word.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::UnknownDestination(_) => "unknown_destination",
            Self::ToSelf => "to_self",
            Self::Purpose => "purpose",
            Self::PayloadTooLarge { .. } => "payload_too_large",
            Self::Contract { reason } => reason,
            Self::ForeignSource => "foreign_source",
            Self::Anonymous => "anonymous",
            Self::UnknownName => "unknown_name",
            Self::NoCustodian => "no_custodian",
            Self::Flags { .. } => "flags",
            Self::NoGroupKey => "no_group_key",
            Self::Blocked(_) => "blocked_destination",
            Self::StoreFull => "store_full",
            Self::StreamFull(_) => "stream_full",
            Self::RateExceeded(_) => "rate_exceeded",
        }
    }
}
