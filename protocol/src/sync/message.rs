//! What two replicas say to each other.

use super::{
    delta::Delta,
    limits::SyncError,
    version::VersionVector,
    wire::{
        Encoded, Writer, decode_all, expect_array, into_vec, read_delta, read_version, write_delta,
        write_version,
    },
};
use alloc::vec::Vec;
use minicbor::Decoder;

/// A message between replicas: `[version]` or `[version, delta]`, in deterministic CBOR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncMessage {
    /// What the sender covers: an acknowledgement, and a request for what it lacks.
    Version {
        /// What the sender covers.
        version: VersionVector,
    },
    /// What the sender covers, and what it thinks that the receiver lacks.
    Delta {
        /// What the sender covers.
        version: VersionVector,
        /// What the receiver lacks.
        delta: Delta,
    },
}

impl SyncMessage {
    /// What the sender covers.
    #[must_use]
    pub const fn version(&self) -> &VersionVector {
        match self {
            Self::Version { version } | Self::Delta { version, .. } => version,
        }
    }

    /// The deterministic encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        into_vec(|out| self.write(out))
    }

    /// Reads [`SyncMessage::encode`]. Limits are checked when a delta is applied.
    ///
    /// # Errors
    /// [`SyncError::Malformed`], [`SyncError::NotDeterministic`].
    pub fn decode(bytes: &[u8]) -> Result<Self, SyncError> {
        decode_all(bytes, Self::read, Self::encode)
    }

    fn write(&self, out: &mut Writer<'_>) -> Encoded {
        match self {
            Self::Version { version } => {
                out.array(1)?;
                write_version(out, version)
            }
            Self::Delta { version, delta } => {
                out.array(2)?;
                write_version(out, version)?;
                write_delta(out, delta)
            }
        }
    }

    fn read(input: &mut Decoder<'_>) -> Result<Self, minicbor::decode::Error> {
        if input.probe().array()? == Some(1) {
            expect_array(input, 1)?;
            return Ok(Self::Version { version: read_version(input)? });
        }
        expect_array(input, 2)?;
        Ok(Self::Delta { version: read_version(input)?, delta: read_delta(input)? })
    }
}
