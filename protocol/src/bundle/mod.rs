//! Bundles of the Bundle Protocol Version 7 (RFC 9171): their parts, and their one deterministic encoding.
//!
//! [`Bundle::decode`] judges form; [`Policy`] says which of the standard's rules on content are asked too.

mod absent;
mod administrative;
mod amend;
mod bibe;
mod block;
mod canonical;
mod compression;
mod crc;
mod decode;
mod encode;
mod endpoint;
mod error;
mod extension;
mod flags;
mod forward;
mod fragment;
mod policy;
mod primary;
mod report;
mod section;
mod targets;

use alloc::vec::Vec;

pub use absent::absent_len;
pub use administrative::AdministrativeRecord;
pub use bibe::{Bpdu, CustodySignal, Disposition, MAX_SPANS, Span};
pub use block::{Block, BlockKind, PAYLOAD_NUMBER};
pub use crc::CrcKind;
pub(crate) use crc::crc_32c;
pub use decode::{MAX_BLOCKS, MAX_ENDPOINT_NAME};
pub(crate) use endpoint::{put_endpoint, read_endpoint};
pub use error::{BundleError, CompressionError, FragmentError};
pub use extension::HopCount;
pub use flags::{BlockFlags, BundleFlags};
pub use fragment::reassemble;
pub use policy::Policy;
pub use primary::{BundleId, CreationTimestamp, Fragment, Primary};
pub use report::{ReportReason, Status, StatusReport};
pub use targets::MAX_TARGETS;

/// A bundle: a primary block, extension blocks in their order on the wire, and the payload block, which is last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The primary block never changes on the way (RFC 9171 §4.3.1), hence no setter.
    primary: Primary,
    /// Its bytes as received or first encoded: a forwarder sends these, whichever `ipn` form the source chose.
    primary_wire: Vec<u8>,
    blocks: Vec<Block>,
    payload: Block,
    /// Payload bytes that are counted and not there.
    absent: u32,
}

impl Bundle {
    /// A bundle without extension blocks; its payload block has the CRC type of `primary`.
    #[must_use]
    pub fn new(primary: Primary, payload: Vec<u8>) -> Self {
        let payload = Block {
            kind: BlockKind::PAYLOAD,
            number: PAYLOAD_NUMBER,
            flags: BlockFlags::default(),
            crc: primary.crc,
            data: payload,
            indefinite: false,
        };
        let primary_wire = primary.encode();
        Self { primary, primary_wire, blocks: Vec::new(), payload, absent: 0 }
    }

    /// The primary block.
    #[must_use]
    pub const fn primary(&self) -> &Primary {
        &self.primary
    }

    /// The name of this bundle, or of this fragment of one.
    #[must_use]
    pub fn id(&self) -> BundleId {
        self.primary.id()
    }

    /// The extension blocks, in their order on the wire. Those of unknown kind are kept as they came.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The first extension block of this kind.
    #[must_use]
    pub fn block(&self, kind: BlockKind) -> Option<&Block> {
        self.blocks.iter().find(|block| block.kind == kind)
    }

    /// The payload block.
    #[must_use]
    pub const fn payload_block(&self) -> &Block {
        &self.payload
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload.data
    }

    /// The payload, without a copy.
    #[must_use]
    pub fn into_payload(self) -> Vec<u8> {
        self.payload.data
    }
}

#[cfg(test)]
pub(crate) mod arbitrary;
#[cfg(test)]
mod disagreements;
#[cfg(test)]
mod interop_tests;
#[cfg(test)]
pub(crate) mod rfc9173_vectors;
