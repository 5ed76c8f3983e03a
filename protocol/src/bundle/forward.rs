//! What a forwarder changes (RFC 9171 §5.4): previous node, age, hop count. The payload stays where it is.

use alloc::vec::Vec;

use super::{
    Bundle,
    block::{Block, BlockKind, PAYLOAD_NUMBER},
    decode::{FORWARDERS, MAX_BLOCKS},
    extension::{HopCount, encode_age, encode_endpoint},
    flags::BlockFlags,
};
use crate::id::EndpointId;

impl Bundle {
    /// Names the node that the bundle is forwarded by (RFC 9171 §4.4.1): ours, before the bundle leaves.
    pub fn set_previous_node(&mut self, node: &EndpointId) {
        self.set_data(BlockKind::PREVIOUS_NODE, encode_endpoint(node));
    }

    /// Sets the bundle's age (RFC 9171 §4.4.2): the one it came with, and the time that it stayed here and under way, in ms.
    pub fn set_age_ms(&mut self, age_ms: u64) {
        self.set_data(BlockKind::BUNDLE_AGE, encode_age(age_ms));
    }

    /// Sets the hop count (RFC 9171 §4.4.3).
    ///
    /// # Panics
    /// When the limit is 0, which the standard does not have.
    pub fn set_hop_count(&mut self, hops: HopCount) {
        assert!(hops.limit > 0, "a hop limit is 1 to 255");
        self.set_data(BlockKind::HOP_COUNT, hops.encode());
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
        self.blocks.push(Block { kind, number, flags, crc: self.primary.crc, data });
        number
    }

    fn set_data(&mut self, kind: BlockKind, data: Vec<u8>) {
        if let Some(block) = self.blocks.iter_mut().find(|block| block.kind == kind) {
            block.data = data;
            return;
        }
        // These three do not count towards the limit: a bundle with as many blocks as are allowed may still be forwarded.
        let number = self.free_number();
        self.blocks.push(Block { kind, number, flags: BlockFlags::default(), crc: self.primary.crc, data });
    }

    pub(crate) fn free_number(&self) -> u64 {
        let is_free = |number: &u64| self.blocks.iter().all(|block| block.number != *number);
        let first = PAYLOAD_NUMBER + 1;
        (first..=first + self.blocks.len() as u64)
            .find(is_free)
            .expect("one more number than blocks is tried")
    }
}
