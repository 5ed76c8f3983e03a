//! [`BundleError`]: why bytes are not a bundle; [`FragmentError`]: why one cannot be split or joined; [`CompressionError`]: why a payload cannot be
//! restored.

use super::block::BlockKind;
use crate::cbor::CborError;

/// Why bytes are not a bundle that is accepted. Offsets count from the start of the bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Not deterministic CBOR of the expected shape.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// The bundle is not an indefinite-length array (RFC 9171 §4.1).
    #[error("a bundle is an indefinite-length array")]
    NotABundle,
    /// Another version of the protocol.
    #[error("version {found}, expected 7")]
    Version {
        /// The version found.
        found: u64,
    },
    /// A CRC type that RFC 9171 §4.2.1 does not define.
    #[error("CRC type {found} of the block at byte {at} is undefined")]
    CrcType {
        /// Where the block starts.
        at: usize,
        /// The type found.
        found: u64,
    },
    /// A CRC of another length than its type has.
    #[error("CRC of {found} bytes in the block at byte {at}, expected {expected}")]
    CrcLength {
        /// Where the block starts.
        at: usize,
        /// Bytes found.
        found: usize,
        /// Bytes demanded by the type.
        expected: usize,
    },
    /// A block whose CRC does not hold.
    #[error("CRC of the block at byte {at} does not hold")]
    CrcMismatch {
        /// Where the block starts.
        at: usize,
    },
    /// An endpoint of a scheme other than `dtn` and `ipn`.
    #[error("unknown scheme {scheme} of the endpoint at byte {at}")]
    Scheme {
        /// Where the endpoint starts.
        at: usize,
        /// The scheme's code.
        scheme: u64,
    },
    /// An endpoint that its scheme does not allow.
    #[error("malformed endpoint at byte {at}")]
    Endpoint {
        /// Where the endpoint starts.
        at: usize,
    },
    /// More extension blocks than are accepted.
    #[error("more than {max} extension blocks")]
    TooManyBlocks {
        /// Blocks allowed.
        max: usize,
    },
    /// Two blocks with one number, or one with a reserved number (RFC 9171 §4.1).
    #[error("block number {number} is not free")]
    BlockNumber {
        /// The number.
        number: u64,
    },
    /// Two blocks of a kind of which there may be one.
    #[error("a second block of type {}", kind.0)]
    RepeatedKind {
        /// The kind.
        kind: BlockKind,
    },
    /// No payload block at the end.
    #[error("the payload block is missing")]
    NoPayload,
    /// Data that its block type does not allow.
    #[error("malformed data of block {number}, type {}", kind.0)]
    BlockData {
        /// The block's kind.
        kind: BlockKind,
        /// The block's number.
        number: u64,
    },
    /// A fragment that lies outside the payload that it is part of.
    #[error("fragment of {length} bytes at {offset} of {total}")]
    FragmentRange {
        /// Where the fragment starts.
        offset: u64,
        /// Its length.
        length: u64,
        /// The length of the whole payload.
        total: u64,
    },
    /// A primary block that neither a CRC nor an integrity block protects (RFC 9171 §4.3.1).
    #[error("the primary block is unprotected")]
    UnprotectedPrimary,
    /// No creation time and no age: nobody can tell when the bundle expires (RFC 9171 §4.4.2).
    #[error("neither creation time nor bundle age")]
    NoAge,
    /// An administrative record that is not a status report (RFC 9171 §6.1).
    #[error("administrative record of type {found}, expected 1")]
    RecordType {
        /// The type found.
        found: u64,
    },
    /// Flags that contradict each other or the source (RFC 9171 §4.2.3).
    #[error("contradicting flags {flags:#x}")]
    Flags {
        /// The bundle's flags.
        flags: u64,
    },
}

impl BundleError {
    /// A stable word for counters and traces.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Cbor(error) => error.reason(),
            Self::NotABundle => "not_a_bundle",
            Self::Version { .. } => "unknown_version",
            Self::CrcType { .. } => "undefined_crc_type",
            Self::CrcLength { .. } => "malformed",
            Self::CrcMismatch { .. } => "crc_mismatch",
            Self::Scheme { .. } => "unknown_scheme",
            Self::Endpoint { .. } => "malformed_endpoint",
            Self::TooManyBlocks { .. } => "too_many_blocks",
            Self::BlockNumber { .. } => "bad_block_number",
            Self::RepeatedKind { .. } => "repeated_block",
            Self::NoPayload => "no_payload",
            Self::BlockData { .. } => "malformed_block",
            Self::FragmentRange { .. } => "fragment_out_of_range",
            Self::UnprotectedPrimary => "unprotected_primary",
            Self::NoAge => "no_age",
            Self::RecordType { .. } => "unknown_record",
            Self::Flags { .. } => "contradicting_flags",
        }
    }
}

/// Why a bundle cannot be split, or fragments cannot be joined (RFC 9171 §5.8, §5.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FragmentError {
    /// The bundle's flags forbid it.
    #[error("the bundle must not be fragmented")]
    Forbidden,
    /// Fragments without a payload would never end.
    #[error("fragments of no payload")]
    Empty,
    /// A bundle among the fragments that is none, or is of another payload.
    #[error("bundle {index} is not a fragment of the same payload")]
    Foreign {
        /// Which one of those given.
        index: usize,
    },
    /// A part of the payload is in no fragment.
    #[error("payload bytes from {at} on are missing")]
    Missing {
        /// The first byte that is missing.
        at: u64,
    },
    /// Two fragments say different things about the same part of the payload.
    #[error("fragments contradict each other before byte {at}")]
    Conflict {
        /// Where their overlap ends.
        at: u64,
    },
}

impl FragmentError {
    /// A stable word for counters and traces.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Forbidden => "fragment_forbidden",
            Self::Empty => "fragment_empty",
            Self::Foreign { .. } => "fragment_foreign",
            Self::Missing { .. } => "fragment_missing",
            Self::Conflict { .. } => "fragment_conflict",
        }
    }
}

/// Why a compressed payload cannot be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompressionError {
    /// A mark that is malformed, or a second one.
    #[error("malformed or repeated compression block")]
    Mark,
    /// Another algorithm.
    #[error("compression algorithm {found}, expected 1")]
    Algorithm {
        /// The algorithm found.
        found: u64,
    },
    /// More bytes than are accepted.
    #[error("payload of {found} bytes when restored: at most {max} allowed")]
    TooLarge {
        /// The length that the mark tells.
        found: u64,
        /// The limit.
        max: usize,
    },
    /// The payload is not one Zstandard frame.
    #[error("the payload is not one Zstandard frame")]
    Frame,
    /// The payload has another length than the mark tells.
    #[error("payload of {at_least} bytes or more when restored, expected {expected}")]
    Length {
        /// How many bytes there were at least.
        at_least: usize,
        /// The length that the mark tells.
        expected: usize,
    },
}

impl CompressionError {
    /// A stable word for counters and traces.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Mark => "compression_mark",
            Self::Algorithm { .. } => "compression_algorithm",
            Self::TooLarge { .. } => "compression_too_large",
            Self::Frame => "compression_frame",
            Self::Length { .. } => "compression_length",
        }
    }
}
