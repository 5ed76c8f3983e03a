//! [`BpsecError`]: why security blocks are not those of the standard, or an operation cannot be made or does not hold.

use crate::{
    bundle::{BundleError, ReportReason},
    cbor::CborError,
};

/// Why a security block or an operation is refused. Block number 0 is the primary block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BpsecError {
    /// Not deterministic CBOR of the expected shape. Offsets count from the start of the block's data, or of the COSE message.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// An integer beyond 64 bits with sign.
    #[error("integer at byte {at} is out of range")]
    Integer {
        /// Where it starts.
        at: usize,
    },
    /// CBOR nested deeper than any security block needs.
    #[error("more than {max} levels of nested CBOR")]
    TooDeep {
        /// The most levels.
        max: u8,
    },
    /// A map whose keys are not in deterministic order, or not unique (RFC 8949 §4.2.1).
    #[error("keys of the map are not in order before byte {at}")]
    MapOrder {
        /// Where the key that is out of order ends.
        at: usize,
    },
    /// A security source that is no endpoint.
    #[error("malformed security source")]
    Source,
    /// A security source that names nobody: no key can belong to it.
    #[error("the security source is the null endpoint")]
    NullSource,
    /// An abstract security block without targets (RFC 9172 §3.6).
    #[error("no security targets")]
    NoTargets,
    /// More entries in an array of a security block than are accepted.
    #[error("more than {max} entries")]
    TooMany {
        /// The most.
        max: usize,
    },
    /// A target that is listed twice (RFC 9172 §3.6).
    #[error("block {target} is listed twice as a target")]
    DuplicateTarget {
        /// The block's number.
        target: u64,
    },
    /// Two parameters or results with the same identifier.
    #[error("identifier {id} is used twice")]
    DuplicateId {
        /// The identifier.
        id: u64,
    },
    /// Not as many sets of results as targets (RFC 9172 §3.6).
    #[error("{results} sets of results for {targets} targets")]
    ResultSets {
        /// How many targets there are.
        targets: usize,
        /// How many sets of results there are.
        results: u64,
    },
    /// A target that is not in the bundle (RFC 9172 §3.4).
    #[error("target {target} is not in the bundle")]
    NoSuchBlock {
        /// The number that no block has.
        target: u64,
    },
    /// A target that this kind of security block must not have (RFC 9172 §3.7, §3.8).
    #[error("block {block} must not have block {target} as its target")]
    ForbiddenTarget {
        /// The security block's number.
        block: u64,
        /// The target's number.
        target: u64,
    },
    /// The same service on the same target twice (RFC 9172 §3.2).
    #[error("the same service is applied twice to block {target}")]
    RepeatedOperation {
        /// The target's number.
        target: u64,
    },
    /// A confidentiality block on the payload that is not replicated into fragments (RFC 9172 §3.8).
    #[error("confidentiality block {block} on the payload is not to be replicated")]
    NotReplicated {
        /// The security block's number.
        block: u64,
    },
    /// A confidentiality block that a node may discard, and with it the way to read its targets (RFC 9172 §3.8).
    #[error("confidentiality block {block} may be discarded")]
    Discardable {
        /// The security block's number.
        block: u64,
    },
    /// An integrity block in the clear on a target that is encrypted (RFC 9172 §3.9).
    #[error("integrity block {block} is in the clear, but its target {target} is encrypted")]
    ClearIntegrity {
        /// The integrity block's number.
        block: u64,
        /// The encrypted target's number.
        target: u64,
    },
    /// Integrity asked for on, or in, a block that is encrypted already (RFC 9172 §3.9).
    #[error("block {target} is encrypted")]
    Encrypted {
        /// The block's number.
        target: u64,
    },
    /// An operation asked for on a fragment (RFC 9172 §5.2).
    #[error("the bundle is a fragment")]
    IsFragment,
    /// An integrity block would have to be split whose results cover its own number (RFC 9172 §3.9).
    #[error("integrity block {block} cannot be split: its results cover its number")]
    Unsplittable {
        /// The integrity block's number.
        block: u64,
    },
    /// No room for another extension block.
    #[error("no room for another extension block")]
    NoRoom,
    /// The number asked for is taken, or not one of an extension block.
    #[error("block number {number} is not free")]
    BlockNumber {
        /// The number.
        number: u64,
    },
    /// A security context that is not built, or not for this kind of block.
    #[error("security context {id} is not supported here")]
    UnknownContext {
        /// Its identifier.
        id: i64,
    },
    /// A parameter that the context does not define, that is missing, or whose value it does not allow.
    #[error("parameter {id} is unknown, missing or malformed")]
    Parameter {
        /// Its identifier.
        id: u64,
    },
    /// A result that the context does not define, that is missing, or whose value it does not allow.
    #[error("result {id} is unknown, missing or malformed")]
    Outcome {
        /// Its identifier.
        id: u64,
    },
    /// An algorithm that is not built, or not for this purpose.
    #[error("algorithm {id} is not supported here")]
    UnknownAlgorithm {
        /// Its identifier in the context's registry.
        id: i64,
    },
    /// A COSE header that is missing, malformed, twice there, forbidden, or critical and not understood.
    #[error("COSE header {label} is missing, malformed or forbidden")]
    Header {
        /// Its label.
        label: i64,
    },
    /// An entry of an AAD scope that cannot be followed (draft-ietf-dtn-bpsec-cose §2.2.2).
    #[error("AAD scope {key} is not allowed or not in the bundle")]
    Scope {
        /// Its key.
        key: i64,
    },
    /// The caller has no key for the operation.
    #[error("no key for the operation on block {target}")]
    NoKey {
        /// The target's number.
        target: u64,
    },
    /// A key that the algorithm cannot use.
    #[error("key of {found} bytes")]
    KeyLength {
        /// Its length in bytes.
        found: usize,
    },
    /// An initialisation vector of another length than the context allows.
    #[error("initialisation vector of {found} bytes")]
    IvLength {
        /// Its length in bytes.
        found: usize,
    },
    /// More bytes than the cipher takes under one initialisation vector.
    #[error("too many bytes for one initialisation vector")]
    TooLong,
    /// A target of RFC 9173's contexts that has a checksum (RFC 9173 §3.8.1, §4.8.1).
    #[error("target {target} has a checksum")]
    CrcPresent {
        /// The target's number.
        target: u64,
    },
    /// A wrapped key that does not unwrap.
    #[error("the wrapped key does not unwrap")]
    Unwrap,
    /// A check value, signature or authentication tag that does not hold.
    #[error("the operation on block {target} does not hold")]
    Failed {
        /// The target's number.
        target: u64,
    },
    /// Data that was decrypted and is not what its block's type demands.
    #[error("block {target} was decrypted, and is malformed")]
    Plaintext {
        /// The target's number.
        target: u64,
        /// Why.
        error: BundleError,
    },
    /// A target on which an operation is demanded that is not there.
    #[error("no operation on block {target}")]
    Missing {
        /// The target's number.
        target: u64,
    },
    /// An operation that the policy does not take.
    #[error("block {block} holds an operation that is not expected")]
    Unexpected {
        /// The security block's number.
        block: u64,
    },
}

impl BpsecError {
    /// A stable word for counters and traces.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Cbor(error) => error.reason(),
            Self::Integer { .. } | Self::TooDeep { .. } | Self::Source => "malformed_security_block",
            Self::MapOrder { .. } => "non_canonical",
            Self::NullSource => "null_security_source",
            Self::NoTargets => "no_security_targets",
            Self::TooMany { .. } => "too_many_entries",
            Self::DuplicateTarget { .. } => "duplicate_target",
            Self::DuplicateId { .. } => "duplicate_identifier",
            Self::ResultSets { .. } => "result_sets",
            Self::NoSuchBlock { .. } => "no_such_target",
            Self::ForbiddenTarget { .. } => "forbidden_target",
            Self::RepeatedOperation { .. } => "repeated_operation",
            Self::NotReplicated { .. } => "not_replicated",
            Self::Discardable { .. } => "discardable_confidentiality",
            Self::ClearIntegrity { .. } => "clear_integrity",
            Self::Encrypted { .. } => "encrypted_target",
            Self::IsFragment => "secured_fragment",
            Self::Unsplittable { .. } => "unsplittable_integrity",
            Self::NoRoom => "too_many_blocks",
            Self::BlockNumber { .. } => "bad_block_number",
            Self::UnknownContext { .. } => "unknown_security_context",
            Self::Parameter { .. } => "security_parameter",
            Self::Outcome { .. } => "security_result",
            Self::UnknownAlgorithm { .. } => "unknown_algorithm",
            Self::Header { .. } => "cose_header",
            Self::Scope { .. } => "aad_scope",
            Self::NoKey { .. } => "no_security_key",
            Self::KeyLength { .. } => "key_length",
            Self::IvLength { .. } => "iv_length",
            Self::TooLong => "too_long_to_encrypt",
            Self::CrcPresent { .. } => "crc_on_target",
            Self::Unwrap => "key_unwrap_failed",
            Self::Failed { .. } => "failed_security_operation",
            Self::Plaintext { .. } => "malformed_plaintext",
            Self::Missing { .. } => "missing_security_operation",
            Self::Unexpected { .. } => "unexpected_security_operation",
        }
    }

    /// What a status report says of it (RFC 9172 §7.1).
    #[must_use]
    pub const fn report_reason(&self) -> ReportReason {
        match self {
            Self::Failed { .. } | Self::Unwrap | Self::CrcPresent { .. } | Self::Plaintext { .. } => {
                ReportReason::FAILED_SECURITY_OPERATION
            }
            Self::Missing { .. } => ReportReason::MISSING_SECURITY_OPERATION,
            Self::Unexpected { .. } => ReportReason::UNEXPECTED_SECURITY_OPERATION,
            Self::NoKey { .. } | Self::UnknownContext { .. } | Self::UnknownAlgorithm { .. } => {
                ReportReason::UNKNOWN_SECURITY_OPERATION
            }
            Self::RepeatedOperation { .. }
            | Self::DuplicateTarget { .. }
            | Self::ForbiddenTarget { .. }
            | Self::ClearIntegrity { .. }
            | Self::Encrypted { .. } => ReportReason::CONFLICTING_SECURITY_OPERATION,
            _ => ReportReason::UNINTELLIGIBLE_BLOCK,
        }
    }
}
