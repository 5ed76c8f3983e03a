//! What goes wrong: [`Violation`] by the peer, [`SendError`] for the host, and how transfers and sessions end.

use super::codes::TerminationReason;

/// What a peer did against the standard or our limits. Each is counted by [`Violation::reason`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The connection does not start with `dtn!` (RFC 9174 §4.3).
    #[error("the contact header does not start with dtn!")]
    Magic,
    /// Another version of the protocol (§4.3).
    #[error("version {found}, expected 4")]
    Version {
        /// The version found.
        found: u8,
    },
    /// TLS is asked for on one side and impossible on the other (§4.3).
    #[error("no agreement on TLS")]
    Tls,
    /// A type that no message has (§5.1.2).
    #[error("unknown message type {found:#04x}")]
    UnknownType {
        /// The type found.
        found: u8,
    },
    /// A message that does not fit the state of the session (§5.1.2).
    #[error("unexpected message of type {found:#04x}")]
    Unexpected {
        /// The message's type.
        found: u8,
    },
    /// Extension items beyond our limit.
    #[error("{found} bytes of extension items, at most {max} are read")]
    ExtensionsTooLong {
        /// Bytes announced.
        found: u32,
        /// Bytes allowed.
        max: u32,
    },
    /// Extension items that overrun their list, or that are there twice (§4.6, §5.2.2, §5.2.5.1).
    #[error("malformed extension items")]
    Extensions,
    /// A critical extension item of a type that is not known (§4.8, §5.2.5).
    #[error("unknown critical extension item {kind:#06x}")]
    CriticalExtension {
        /// The item's type.
        kind: u16,
    },
    /// A node ID that is no endpoint, or not the one that the certificate proves (§4.6, §4.4.4.3).
    #[error("node ID that is malformed or not authenticated")]
    NodeId,
    /// A segment MRU that no segment is worth sending for (§4.7).
    #[error("segment MRU {found}, at least {min} is needed")]
    SegmentMru {
        /// Bytes offered.
        found: u64,
        /// Bytes needed.
        min: u64,
    },
    /// A segment beyond our segment MRU (§4.6). Its length is never allocated nor waited for.
    #[error("segment of {found} bytes, at most {max} are taken")]
    SegmentTooLong {
        /// Bytes announced.
        found: u64,
        /// Bytes allowed.
        max: u64,
    },
    /// A bundle beyond our transfer MRU (§4.6).
    #[error("transfer of {found} bytes, at most {max} are taken")]
    TransferTooLong {
        /// Bytes announced or sent so far.
        found: u64,
        /// Bytes allowed.
        max: u64,
    },
    /// A transfer of another length than its Transfer Length item says, or of none (§5.2.5.1).
    #[error("transfer of {found} bytes, announced were {expected}")]
    TransferLength {
        /// Bytes sent so far.
        found: u64,
        /// Bytes announced.
        expected: u64,
    },
    /// An acknowledgement that is not that of a segment on its way (§5.2.3).
    #[error("acknowledgement of {acknowledged} bytes of transfer {transfer} fits no segment")]
    Acknowledgement {
        /// The transfer.
        transfer: u64,
        /// The length acknowledged.
        acknowledged: u64,
    },
    /// One of our messages came back rejected (§5.1.2).
    #[error("our message of type {kind:#04x} was rejected")]
    Rejected {
        /// Our message's type.
        kind: u8,
    },
}

impl Violation {
    /// A stable word for counters and traces.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Magic => "bad_magic",
            Self::Version { .. } => "unknown_version",
            Self::Tls => "no_tls_agreement",
            Self::UnknownType { .. } => "unknown_message",
            Self::Unexpected { .. } => "unexpected_message",
            Self::ExtensionsTooLong { .. } => "extensions_too_long",
            Self::Extensions => "malformed_extensions",
            Self::CriticalExtension { .. } => "unknown_critical_extension",
            Self::NodeId => "bad_node_id",
            Self::SegmentMru { .. } => "segment_mru_too_small",
            Self::SegmentTooLong { .. } => "segment_too_long",
            Self::TransferTooLong { .. } => "transfer_too_large",
            Self::TransferLength { .. } => "transfer_length_mismatch",
            Self::Acknowledgement { .. } => "bad_acknowledgement",
            Self::Rejected { .. } => "message_rejected",
        }
    }
}

/// Why a bundle was not taken for sending. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The session is not established yet, is ending or has ended.
    #[error("no established session")]
    NotEstablished,
    /// A bundle of no bytes is none.
    #[error("empty bundle")]
    Empty,
    /// The peer takes no bundle of this length (RFC 9174 §4.7).
    #[error("bundle of {found} bytes, the peer takes at most {max}")]
    TooLarge {
        /// Bytes of the bundle.
        found: u64,
        /// The peer's transfer MRU.
        max: u64,
    },
    /// Too much waits already: back-pressure.
    #[error("{bundles} bundles of {bytes} bytes wait already")]
    QueueFull {
        /// Bundles that wait.
        bundles: usize,
        /// Their bytes.
        bytes: usize,
    },
}

/// Why a transfer of ours ended without acknowledgement or refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailureReason {
    /// The session ended first.
    SessionEnded,
    /// The peer acknowledged nothing for too long.
    NotAcknowledged,
}

/// Why a session is closed: the driver writes what is left and closes the TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closure {
    /// SESS_TERM was exchanged, and transfers in progress are done.
    Terminated(TerminationReason),
    /// A SESS_TERM of ours was sent and its answer not waited for.
    Aborted(TerminationReason),
    /// The peer left the protocol.
    Violated(Violation),
    /// No session within the contact timeout.
    ContactTimeout,
    /// The transfers in progress did not end in time after SESS_TERM.
    EndingTimeout,
    /// The TLS handshake failed.
    TlsFailed,
    /// The TCP connection is gone.
    ConnectionLost,
}

impl Closure {
    /// A stable word for counters and traces.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Terminated(reason) | Self::Aborted(reason) => reason.reason(),
            Self::Violated(violation) => violation.reason(),
            Self::ContactTimeout => "contact_timeout",
            Self::EndingTimeout => "ending_timeout",
            Self::TlsFailed => "tls_failed",
            Self::ConnectionLost => "connection_lost",
        }
    }
}
