//! Which blocks a security block names (RFC 9172 §3.6): as much of it as every node must know, whether it has keys or not.

use alloc::vec::Vec;

use super::{
    Bundle,
    block::{Block, BlockKind},
};
use crate::cbor::Reader;

/// The most targets of one security block: more than a bundle has blocks.
pub const MAX_TARGETS: usize = 64;
/// The primary block as a target (RFC 9172 §3.4).
const PRIMARY: u64 = 0;
/// BIB-HMAC-SHA2 (RFC 9173 §3).
const HMAC_SHA2: u64 = 1;

impl Bundle {
    /// Whether the data of the block with this number is ciphertext, or may be: a confidentiality block has it as its target, or has targets that
    /// cannot be read.
    #[must_use]
    pub fn is_ciphertext(&self, number: u64) -> bool {
        self.blocks
            .iter()
            .filter(|block| block.kind == BlockKind::BLOCK_CONFIDENTIALITY)
            .any(|block| any_target(&block.data, |target| target == number).unwrap_or(true))
    }

    /// Whether a security operation that can be read is on the block with this number.
    pub(crate) fn is_secured(&self, number: u64) -> bool {
        let covers = |block: &Block| any_target(&block.data, |target| target == number) == Some(true);
        self.blocks.iter().any(|block| is_security(block) && covers(block))
    }

    /// What the targets of all security blocks are; nothing is allocated where there is none.
    pub(super) fn targets(&self) -> Vec<u64> {
        let mut targets = Vec::new();
        for block in self.blocks.iter().filter(|block| is_security(block)) {
            let _ = any_target(&block.data, |target| {
                targets.push(target);
                false
            });
        }
        targets
    }

    /// Whether the primary block is authenticated by the context that takes its checksum out (RFC 9173 §3.8.1).
    pub(super) fn hmac_covers_primary(&self) -> bool {
        let mut integrity = self.blocks.iter().filter(|block| block.kind == BlockKind::BLOCK_INTEGRITY);
        integrity.any(|block| {
            let mut reader = Reader::new(&block.data);
            read_targets(&mut reader, |target| target == PRIMARY) == Some(true)
                && reader.uint() == Ok(HMAC_SHA2)
        })
    }
}

fn is_security(block: &Block) -> bool {
    block.kind == BlockKind::BLOCK_INTEGRITY || block.kind == BlockKind::BLOCK_CONFIDENTIALITY
}

/// Whether the primary block is among the targets in the data of a security block. `None` when they cannot be read.
pub(super) fn targets_primary(data: &[u8]) -> Option<bool> {
    any_target(data, |target| target == PRIMARY)
}

fn any_target(data: &[u8], wanted: impl FnMut(u64) -> bool) -> Option<bool> {
    read_targets(&mut Reader::new(data), wanted)
}

/// Asks `wanted` of every target, and says whether any was.
fn read_targets(reader: &mut Reader<'_>, mut wanted: impl FnMut(u64) -> bool) -> Option<bool> {
    let count = reader.array().ok().filter(|count| *count <= MAX_TARGETS as u64)?;
    let mut found = false;
    for _ in 0..count {
        found |= wanted(reader.uint().ok()?);
    }
    Some(found)
}
