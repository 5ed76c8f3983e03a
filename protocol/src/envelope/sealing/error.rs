//! [`SealError`]: why something cannot be opened.

use crate::{cbor::CborError, identity::KeyId};

/// Why sealed bytes are refused. Refusal tells nothing of what they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Not deterministic CBOR of the expected shape.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// Another CBOR tag than COSE_Encrypt0's, or other headers than the profile's.
    #[error("not a COSE_Encrypt0 of this profile before byte {at}")]
    Form {
        /// Where.
        at: usize,
    },
    /// Another algorithm.
    #[error("algorithm {found}")]
    Algorithm {
        /// The number found.
        found: u64,
    },
    /// A message about a group's keys in another version.
    #[error("version {found}")]
    Version {
        /// The number found.
        found: u64,
    },
    /// Sealed for a key that is not at hand.
    #[error("sealed for another key, {found}")]
    OtherKey {
        /// For which.
        found: KeyId,
    },
    /// Sealed in an epoch of the group whose key is not at hand.
    #[error("epoch {found} of the group")]
    Epoch {
        /// Which.
        found: u64,
    },
    /// It does not open: altered, or not sealed by whom and for what it says.
    #[error("does not open")]
    Failed,
}

impl SealError {
    /// A stable word.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Cbor(error) => error.reason(),
            Self::Form { .. } => "seal_form",
            Self::Algorithm { .. } => "seal_algorithm",
            Self::Version { .. } => "seal_version",
            Self::OtherKey { .. } => "seal_other_key",
            Self::Epoch { .. } => "seal_epoch",
            Self::Failed => "seal_failed",
        }
    }
}
