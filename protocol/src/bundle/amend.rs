//! What security operations change in a bundle (RFC 9172): blocks by their number, and the checksum of the primary block.

use alloc::vec::Vec;

use super::{
    Bundle,
    block::{Block, PAYLOAD_NUMBER},
    crc::CrcKind,
    decode::{FORWARDERS, MAX_BLOCKS},
    error::BundleError,
    extension::check_data,
};
use crate::cbor::Lengths;

impl Bundle {
    /// The extension or payload block with this number.
    pub(crate) fn numbered(&self, number: u64) -> Option<&Block> {
        if number == PAYLOAD_NUMBER {
            return Some(&self.payload);
        }
        self.blocks.iter().find(|block| block.number == number)
    }

    /// The extension or payload block with this number, to be changed.
    pub(crate) fn numbered_mut(&mut self, number: u64) -> Option<&mut Block> {
        if number == PAYLOAD_NUMBER {
            return Some(&mut self.payload);
        }
        self.blocks.iter_mut().find(|block| block.number == number)
    }

    /// Takes the extension block with this number out.
    pub(crate) fn remove_numbered(&mut self, number: u64) -> Option<Block> {
        let index = self.blocks.iter().position(|block| block.number == number)?;
        Some(self.blocks.remove(index))
    }

    /// Puts an extension block before the one that is now at `index`.
    pub(crate) fn insert_block(&mut self, index: usize, block: Block) {
        self.blocks.insert(index, block);
    }

    /// How many extension blocks may still be added.
    pub(crate) fn room(&self) -> usize {
        MAX_BLOCKS - self.blocks.iter().filter(|block| !FORWARDERS.contains(&block.kind)).count()
    }

    /// Takes the checksum out of the primary block, which else stays as it is.
    pub(crate) fn strip_primary_crc(&mut self) {
        self.set_primary_crc(CrcKind::None);
    }

    pub(super) fn set_primary_crc(&mut self, crc: CrcKind) {
        self.primary.crc = crc;
        self.primary_wire = self.primary.encode_as(&self.primary_wire);
    }

    /// Judges the data of the block with this number, now that it is readable.
    pub(crate) fn check_numbered(&self, number: u64) -> Result<(), BundleError> {
        self.numbered(number).map_or(Ok(()), |block| check_data(block, Lengths::Definite))
    }

    /// The extension blocks' numbers, in their order.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.blocks.iter().map(|block| block.number).collect()
    }
}
