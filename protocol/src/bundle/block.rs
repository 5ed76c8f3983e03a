//! [`Block`]: a canonical block (RFC 9171 §4.3.2), with its data still encoded.

use alloc::vec::Vec;

use super::{crc::CrcKind, flags::BlockFlags};

/// The block number of the payload block (RFC 9171 §4.1).
pub const PAYLOAD_NUMBER: u64 = 1;

/// A block type code (RFC 9171 §9.1). Every number is a kind; the named ones are understood here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockKind(pub u64);

impl BlockKind {
    /// The payload (RFC 9171 §4.3.3).
    pub const PAYLOAD: Self = Self(1);
    /// Who forwarded the bundle to us (RFC 9171 §4.4.1).
    pub const PREVIOUS_NODE: Self = Self(6);
    /// How long ago the bundle was made (RFC 9171 §4.4.2).
    pub const BUNDLE_AGE: Self = Self(7);
    /// How often the bundle was forwarded, and how often it may be (RFC 9171 §4.4.3).
    pub const HOP_COUNT: Self = Self(10);
    /// BPSec's integrity block (RFC 9172 §3.7).
    pub const BLOCK_INTEGRITY: Self = Self(11);
    /// How the payload is compressed: ours, of the range for private use (RFC 9171 §9.1).
    pub const COMPRESSION: Self = Self(198);
    /// BPSec's confidentiality block (RFC 9172 §3.8): its targets' data is ciphertext.
    pub const BLOCK_CONFIDENTIALITY: Self = Self(12);
}

/// A canonical block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What the data is.
    pub kind: BlockKind,
    /// The block's name within the bundle: 1 for the payload, greater for the others.
    pub number: u64,
    /// What a node does that does not understand the block.
    pub flags: BlockFlags,
    /// The checksum over the block.
    pub crc: CrcKind,
    /// The content of the block-type-specific data field.
    pub data: Vec<u8>,
    /// Whether its array is of indefinite length on the wire: such a block is sent on as it came.
    pub indefinite: bool,
}
