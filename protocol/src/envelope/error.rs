//! [`EnvelopeError`]: why an envelope is refused.

use super::replay::ReplayError;
use crate::{cbor::CborError, id::NodeId};

/// Why an envelope is refused. Refusal changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Longer than any envelope may be.
    #[error("{found} bytes, at most {max} are allowed")]
    TooLong {
        /// Bytes found.
        found: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// Not deterministic CBOR of the expected shape.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// Another CBOR tag than COSE_Sign1's.
    #[error("tag {found}, expected 18 (COSE_Sign1)")]
    Tag {
        /// The tag found.
        found: u64,
    },
    /// Headers outside the signature, which anyone on the way could change.
    #[error("{count} unprotected headers, none are allowed")]
    Unprotected {
        /// How many there are.
        count: u64,
    },
    /// An algorithm other than EdDSA.
    #[error("algorithm is not EdDSA (-8)")]
    Algorithm,
    /// A `crit` header (RFC 9052 §3.1): it names what must be understood, and none of it is.
    #[error("critical headers are not understood")]
    UnknownCritical,
    /// A protected header that the profile does not have, or one out of order.
    #[error("header at byte {at} of the protected headers is not part of the profile")]
    UnknownHeader {
        /// Where the label starts within the protected headers.
        at: usize,
    },
    /// A key identifier that is not a node number in 1 to 8 bytes without leading zeros.
    #[error("key identifier is not a node number")]
    KeyId,
    /// A value outside the range of its field.
    #[error("{field} is {found}, at most {max} is allowed")]
    Range {
        /// The field.
        field: &'static str,
        /// The value found.
        found: u64,
        /// The greatest value allowed.
        max: u64,
    },
    /// A purpose without meaning.
    #[error("unknown purpose {found}")]
    UnknownPurpose {
        /// The number found.
        found: u64,
    },
    /// A signature that is not 64 bytes long.
    #[error("signature of {found} bytes, expected 64")]
    SignatureLength {
        /// Bytes found.
        found: usize,
    },
    /// An envelope for another node.
    #[error("addressed to node {destination}")]
    OtherDestination {
        /// The node that it is for.
        destination: NodeId,
    },
    /// A sender that is not in the directory.
    #[error("unknown sender {sender}")]
    UnknownSender {
        /// The node that the envelope claims to come from.
        sender: NodeId,
    },
    /// The signature is not the sender's for these bytes.
    #[error("bad signature in the name of node {sender}")]
    BadSignature {
        /// The node that the envelope claims to come from.
        sender: NodeId,
    },
    /// The replay window refuses the number.
    #[error(transparent)]
    Replay(#[from] ReplayError),
}

impl EnvelopeError {
    /// A stable word for counters and traces.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "too_long",
            Self::Cbor(error) => error.reason(),
            Self::Tag { .. } | Self::KeyId | Self::Range { .. } | Self::SignatureLength { .. } => "malformed",
            Self::Unprotected { .. } => "unprotected_headers",
            Self::Algorithm => "wrong_algorithm",
            Self::UnknownCritical => "unknown_critical",
            Self::UnknownHeader { .. } => "unknown_header",
            Self::UnknownPurpose { .. } => "unknown_purpose",
            Self::OtherDestination { .. } => "other_destination",
            Self::UnknownSender { .. } => "unknown_sender",
            Self::BadSignature { .. } => "bad_signature",
            Self::Replay(error) => error.reason(),
        }
    }
}
