//! What a forwarder changes (RFC 9171 §5.4): previous node, age, hop count. The payload stays where it is.
//!
//! A block that is encrypted is its acceptor's to read, and nobody else's to write (RFC 9172 §3.8): the setters leave it as it is.

use alloc::vec::Vec;

use super::{
    Bundle,
    block::{Block, BlockKind, PAYLOAD_NUMBER},
    decode::{FORWARDERS, MAX_BLOCKS},
    endpoint::put_endpoint,
    extension::HopCount,
    flags::BlockFlags,
};
use crate::{cbor, id::EndpointId};

impl Bundle {
    /// Names the node that the bundle is forwarded by (RFC 9171 §4.4.1): ours, before the bundle leaves.
    pub fn set_previous_node(&mut self, node: &EndpointId) {
        if let Some(data) = self.data_of(BlockKind::PREVIOUS_NODE) {
            put_endpoint(data, node);
        }
    }

    /// Sets the bundle's age (RFC 9171 §4.4.2): the one it came with, and the time that it stayed here and under way, in ms.
    pub fn set_age_ms(&mut self, age_ms: u64) {
        if let Some(data) = self.data_of(BlockKind::BUNDLE_AGE) {
            cbor::put_uint(data, age_ms);
        }
    }

    /// Sets the hop count (RFC 9171 §4.4.3).
    ///
    /// # Panics
    /// When the limit is 0, which the standard does not have.
    pub fn set_hop_count(&mut self, hops: HopCount) {
        assert!(hops.limit > 0, "a hop limit is 1 to 255");
        if let Some(data) = self.data_of(BlockKind::HOP_COUNT) {
            hops.encode_into(data);
        }
    }

    /// Takes the first extension block of this kind out.
    pub fn remove_block(&mut self, kind: BlockKind) -> Option<Block> {
        let index = self.blocks.iter().position(|block| block.kind == kind)?;
        Some(self.blocks.remove(index))
    }

    /// Appends an extension block with the CRC type of the primary block, and returns its number: the lowest free one.
    ///
    /// # Panics
    /// When `kind` is the payload or one of the three that have a setter, or the bundle has [`MAX_BLOCKS`] others.
    pub fn push_block(&mut self, kind: BlockKind, flags: BlockFlags, data: Vec<u8>) -> u64 {
        let single = kind == BlockKind::PAYLOAD || FORWARDERS.contains(&kind);
        assert!(!single, "a bundle has one block of type {}, and it is set elsewhere", kind.0);
        let others = self.blocks.iter().filter(|block| !FORWARDERS.contains(&block.kind)).count();
        assert!(others < MAX_BLOCKS, "a bundle has at most {MAX_BLOCKS} extension blocks");
        let number = self.free_number();
        self.blocks.push(Block { kind, number, flags, crc: self.primary.crc, data, indefinite: false });
        number
    }

    /// Where the data of the block of this kind is to be written, empty; the block is made when there is none. `None`: what is there is ciphertext.
    /// A forwarded bundle's own memory is used again.
    fn data_of(&mut self, kind: BlockKind) -> Option<&mut Vec<u8>> {
        let index = self.blocks.iter().position(|block| block.kind == kind).unwrap_or_else(|| {
            // These three do not count towards the limit: a bundle with as many blocks as are allowed may still be forwarded.
            let number = self.free_number();
            let (flags, crc, data) = (BlockFlags::default(), self.primary.crc, Vec::with_capacity(24));
            self.blocks.push(Block { kind, number, flags, crc, data, indefinite: false });
            self.blocks.len() - 1
        });
        if self.is_ciphertext(self.blocks[index].number) {
            return None;
        }
        let data = &mut self.blocks[index].data;
        data.clear();
        Some(data)
    }

    /// The lowest number that no block has and no security block speaks of: a target may be in another fragment.
    pub(crate) fn free_number(&self) -> u64 {
        let mut targets = self.targets();
        targets.sort_unstable();
        let is_free = |number: &u64| {
            self.blocks.iter().all(|block| block.number != *number) && targets.binary_search(number).is_err()
        };
        let first = PAYLOAD_NUMBER + 1;
        (first..=first + (self.blocks.len() + targets.len()) as u64)
            .find(is_free)
            .expect("one more number than are taken is tried")
    }
}
