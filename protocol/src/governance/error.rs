//! [`GovernanceError`]: why a record or a wish is refused.

use crate::{
    access::PolicyWireError,
    cbor::CborError,
    id::NodeId,
    identity::{Sign1Error, SuccessionError},
};

/// Why something is refused. Refusal changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GovernanceError {
    /// Not deterministic CBOR of the expected shape.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// Not a signed statement of the expected form.
    #[error(transparent)]
    Form(#[from] Sign1Error),
    /// More bytes than there may be.
    #[error("{found} bytes, at most {max} are allowed")]
    TooLong {
        /// Bytes found.
        found: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// A kind of record, content or step without meaning.
    #[error("{found} has no meaning here")]
    Unknown {
        /// The number found.
        found: u64,
    },
    /// A message in a version that this code does not know.
    #[error("version {found}, expected 1")]
    Version {
        /// The version found.
        found: u64,
    },
    /// Nobody votes, or too many.
    #[error("{found} voters, expected 1 to 64")]
    Voters {
        /// How many.
        found: usize,
    },
    /// Who speaks has no vote.
    #[error("node {node} has no vote in this slot")]
    NoVote {
        /// Who.
        node: NodeId,
    },
    /// Another slot than the one that is open.
    #[error("slot {found}, slot {open} is open")]
    Slot {
        /// The slot found.
        found: u64,
        /// The open one.
        open: u64,
    },
    /// It goes on from another history.
    #[error("another history before slot {slot}")]
    Parent {
        /// The slot.
        slot: u64,
    },
    /// A key that is none.
    #[error("not a key")]
    Key,
    /// A key that does not follow on the voter's.
    #[error(transparent)]
    Succession(#[from] SuccessionError),
    /// The signature is not the voter's.
    #[error("not signed by node {node}")]
    BadSignature {
        /// Who is said to have signed.
        node: NodeId,
    },
    /// A policy that is none.
    #[error(transparent)]
    Policy(#[from] PolicyWireError),
    /// A schema that is none.
    #[error("not a schema")]
    Schema,
    /// A change of the electorate that is none, or would leave nobody.
    #[error("node {node} cannot be seated or unseated")]
    Seat {
        /// Whose seat.
        node: NodeId,
    },
    /// No room for more.
    #[error("no room for another {what}")]
    Full {
        /// Of what.
        what: &'static str,
    },
    /// Two certificates for one slot: more voters lied than the rules bear.
    #[error("two decisions in slot {slot}")]
    Split {
        /// Which.
        slot: u64,
    },
    /// A certificate that proves nothing.
    #[error("the certificate of slot {slot} proves nothing")]
    Certificate {
        /// Which slot it is said to decide.
        slot: u64,
    },
}

impl GovernanceError {
    /// A stable word.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Cbor(error) => error.reason(),
            Self::Form(error) => error.reason(),
            Self::TooLong { .. } => "too_long",
            Self::Unknown { .. } => "governance_malformed",
            Self::Version { .. } => "governance_version",
            Self::Voters { .. } => "governance_voters",
            Self::NoVote { .. } => "governance_no_vote",
            Self::Slot { .. } => "governance_slot",
            Self::Parent { .. } => "governance_parent",
            Self::Key => "governance_key",
            Self::Succession(error) => error.reason(),
            Self::BadSignature { .. } => "governance_signature",
            Self::Policy(error) => error.reason(),
            Self::Schema => "governance_schema",
            Self::Seat { .. } => "governance_seat",
            Self::Full { .. } => "governance_full",
            Self::Split { .. } => "governance_split",
            Self::Certificate { .. } => "governance_certificate",
        }
    }
}
