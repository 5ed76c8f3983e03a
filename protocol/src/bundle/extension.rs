//! The data of the extension blocks of RFC 9171 §4.4: previous node, bundle age, hop count.

use alloc::vec::Vec;

use super::{
    Bundle,
    block::{Block, BlockKind},
    endpoint::read_endpoint,
    error::BundleError,
};
use crate::{
    cbor::{self, Lengths, Reader},
    id::EndpointId,
};

/// How often a bundle may be forwarded, and how often it was (RFC 9171 §4.4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HopCount {
    /// How often it may be, 1 to 255.
    pub limit: u8,
    /// How often it was.
    pub count: u64,
}

impl HopCount {
    /// Whether the bundle has gone too far and is to be deleted.
    #[must_use]
    pub const fn exceeded(self) -> bool {
        self.count > self.limit as u64
    }

    pub(super) fn encode_into(self, out: &mut Vec<u8>) {
        cbor::put_head(out, cbor::ARRAY, 2);
        cbor::put_uint(out, u64::from(self.limit));
        cbor::put_uint(out, self.count);
    }
}

impl Bundle {
    /// The node that forwarded the bundle to us, when the bundle says so and the block is not encrypted.
    #[must_use]
    pub fn previous_node(&self) -> Option<EndpointId> {
        previous_node(&self.plain(BlockKind::PREVIOUS_NODE)?.data, Lengths::Any)
    }

    /// The bundle's age when it was last forwarded, in ms, when the bundle says so and the block is not encrypted.
    #[must_use]
    pub fn age_ms(&self) -> Option<u64> {
        bundle_age(&self.plain(BlockKind::BUNDLE_AGE)?.data)
    }

    /// The hop count, when the bundle has one and the block is not encrypted.
    #[must_use]
    pub fn hop_count(&self) -> Option<HopCount> {
        hop_count(&self.plain(BlockKind::HOP_COUNT)?.data, Lengths::Any)
    }

    /// The first block of this kind, unless its data is ciphertext: that can look like anything.
    fn plain(&self, kind: BlockKind) -> Option<&Block> {
        self.block(kind).filter(|block| !self.is_ciphertext(block.number))
    }
}

/// Checks the data of a block whose kind is understood; that of others is their owners' business.
pub(super) fn check_data(block: &Block, lengths: Lengths) -> Result<(), BundleError> {
    let well_formed = match block.kind {
        BlockKind::PREVIOUS_NODE => previous_node(&block.data, lengths).is_some(),
        BlockKind::BUNDLE_AGE => bundle_age(&block.data).is_some(),
        BlockKind::HOP_COUNT => hop_count(&block.data, lengths).is_some(),
        _ => true,
    };
    if well_formed { Ok(()) } else { Err(BundleError::BlockData { kind: block.kind, number: block.number }) }
}

fn previous_node(data: &[u8], lengths: Lengths) -> Option<EndpointId> {
    let mut reader = Reader::with(data, lengths);
    let endpoint = read_endpoint(&mut reader).ok()?;
    reader.end().ok().map(|()| endpoint)
}

fn bundle_age(data: &[u8]) -> Option<u64> {
    let mut reader = Reader::new(data);
    let age_ms = reader.uint().ok()?;
    reader.end().ok().map(|()| age_ms)
}

fn hop_count(data: &[u8], lengths: Lengths) -> Option<HopCount> {
    let mut reader = Reader::with(data, lengths);
    let array = reader.open().ok()?;
    let limit = u8::try_from(reader.uint().ok()?).ok().filter(|limit| *limit > 0)?;
    let count = reader.uint().ok()?;
    reader.close(array, 2).ok()?;
    reader.end().ok().map(|()| HopCount { limit, count })
}
