//! The checksums of blocks (RFC 9171 §4.2.1, §4.2.2): CRC-16/X.25 and CRC-32C.

use alloc::vec::Vec;
use crc::{CRC_16_IBM_SDLC, Crc, Table};

use crate::cbor::{BREAK, INDEFINITE_ARRAY};

// A table of 16 rows takes 16 bytes a step: both may guard payloads.
#[cfg_attr(
    all(feature = "fast", any(target_arch = "x86_64", target_arch = "aarch64"), not(target_os = "none")),
    cfg(test)
)]
static CRC_32C: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&crc::CRC_32_ISCSI);
static X_25: Crc<u16, Table<16>> = Crc::<u16, Table<16>>::new(&CRC_16_IBM_SDLC);

/// A CRC type code (RFC 9171 §4.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum CrcKind {
    /// No checksum.
    None = 0,
    /// CRC-16/X.25, two bytes.
    X25 = 1,
    /// CRC-32C (Castagnoli), four bytes.
    #[default]
    Castagnoli = 2,
}

impl CrcKind {
    /// The code on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The kind with this code.
    #[must_use]
    pub const fn from_code(code: u64) -> Option<Self> {
        match code {
            0 => Some(Self::None),
            1 => Some(Self::X25),
            2 => Some(Self::Castagnoli),
            _ => None,
        }
    }

    /// The length of the checksum in bytes.
    #[must_use]
    pub const fn len(self) -> usize {
        match self {
            Self::None => 0,
            Self::X25 => 2,
            Self::Castagnoli => 4,
        }
    }

    /// Whether there is no checksum.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        matches!(self, Self::None)
    }

    /// Ends the block that starts at `start` in `out`: with the CRC field, but for [`CrcKind::None`], and with the break of an array of
    /// indefinite length.
    pub(super) fn put(self, out: &mut Vec<u8>, start: usize) {
        let at = out.len() + 1;
        if !self.is_empty() {
            out.push(0x40 | self.len() as u8);
            out.resize(at + self.len(), 0);
        }
        if out.get(start) == Some(&INDEFINITE_ARRAY) {
            out.push(BREAK);
        }
        if !self.is_empty() {
            // RFC 9171 §4.2.2: computed over the whole block with the CRC field's bytes at zero.
            let checksum = self.checksum(&[&out[start..]]).to_be_bytes();
            out[at..at + self.len()].copy_from_slice(&checksum[4 - self.len()..]);
        }
    }

    /// Whether `block`, which ends with its CRC's bytes, and with a break if its array is of indefinite length, is intact. A block
    /// shorter than its CRC is not.
    #[must_use]
    pub fn holds(self, block: &[u8]) -> bool {
        let end = usize::from(block.first() == Some(&INDEFINITE_ARRAY));
        let Some(at) = block.len().checked_sub(self.len() + end) else { return false };
        let (content, rest) = block.split_at(at);
        let (found, end) = rest.split_at(self.len());
        let found = found.iter().fold(0, |value, byte| value << 8 | u32::from(*byte));
        self.checksum(&[content, &[0; 4][..self.len()], end]) == found
    }

    /// The checksum of the parts in turn.
    fn checksum(self, parts: &[&[u8]]) -> u32 {
        match self {
            Self::None => 0,
            Self::X25 => {
                let mut digest = X_25.digest();
                parts.iter().for_each(|part| digest.update(part));
                u32::from(digest.finalize())
            }
            Self::Castagnoli => crc_32c(parts),
        }
    }
}

/// CRC-32C over the parts in turn.
#[must_use]
#[cfg(all(feature = "fast", any(target_arch = "x86_64", target_arch = "aarch64"), not(target_os = "none")))]
pub(crate) fn crc_32c(parts: &[&[u8]]) -> u32 {
    parts.iter().fold(0, |crc, part| crc32c::crc32c_append(crc, part))
}

/// CRC-32C over the parts in turn.
#[must_use]
#[cfg(not(all(
    feature = "fast",
    any(target_arch = "x86_64", target_arch = "aarch64"),
    not(target_os = "none")
)))]
pub(crate) fn crc_32c(parts: &[&[u8]]) -> u32 {
    crc_32c_by_table(parts)
}

/// The same for processors without an instruction for it.
#[cfg_attr(
    all(feature = "fast", any(target_arch = "x86_64", target_arch = "aarch64"), not(target_os = "none")),
    cfg(test)
)]
fn crc_32c_by_table(parts: &[&[u8]]) -> u32 {
    let mut digest = CRC_32C.digest();
    parts.iter().for_each(|part| digest.update(part));
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The check values of the CRC catalogue (reveng), which RFC 9171's two checksums name.
    #[test]
    fn the_catalogues_check_values_are_met() {
        assert_eq!(CrcKind::X25.checksum(&[b"123456789"]), 0x906e);
        assert_eq!(CrcKind::Castagnoli.checksum(&[b"123456789"]), 0xe306_9283);
    }

    proptest! {
        /// Whatever computes it, in however many parts.
        #[test]
        fn the_processors_instruction_and_the_table_agree(bytes in proptest::collection::vec(any::<u8>(), 0..3000), at: prop::sample::Index) {
            let (first, second) = bytes.split_at(at.index(bytes.len() + 1));
            prop_assert_eq!(crc_32c(&[first, second]), crc_32c_by_table(&[&bytes]));
        }
    }
}
