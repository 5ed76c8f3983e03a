//! Self-Delimiting Numeric Values (RFC 5326 §2 takes them from RFC 6256): seven bits a byte, most significant first.

use super::error::SegmentError;
use alloc::vec::Vec;

/// Most bytes of a number of 64 bits.
pub(super) const MAX_LEN: usize = 10;

/// Appends `value` in as few bytes as hold it.
pub(super) fn put(out: &mut Vec<u8>, value: u64) {
    for index in (0..len(value)).rev() {
        let more = if index > 0 { 0x80 } else { 0 };
        out.push((value >> (7 * index)) as u8 & 0x7f | more);
    }
}

/// How many bytes [`put`] appends.
pub(super) const fn len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Takes a number off the front of `bytes`.
///
/// # Errors
/// [`SegmentError::Truncated`], or [`SegmentError::Number`] for one that 64 bits or [`MAX_LEN`] bytes do not hold.
pub(super) fn take(bytes: &mut &[u8]) -> Result<u64, SegmentError> {
    let mut value: u64 = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        if index == MAX_LEN || value > u64::MAX >> 7 {
            return Err(SegmentError::Number);
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            *bytes = &bytes[index + 1..];
            return Ok(value);
        }
    }
    Err(SegmentError::Truncated)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_rfc_6256_are_met() {
        // RFC 6256 §2: 0xABC is 0x95 0x3C, 0x1234 is 0xA4 0x34, 0x4234 is 0x81 0x84 0x34, 0x7F is 0x7F.
        let examples: [(u64, &[u8]); 4] =
            [(0xabc, &[0x95, 0x3c]), (0x1234, &[0xa4, 0x34]), (0x4234, &[0x81, 0x84, 0x34]), (0x7f, &[0x7f])];
        for (value, bytes) in examples {
            let mut out = Vec::new();
            put(&mut out, value);
            assert_eq!(out, bytes);
            assert_eq!(take(&mut &out[..]), Ok(value));
        }
    }

    #[test]
    fn numbers_beyond_64_bits_and_endless_ones_are_refused() {
        let mut over = [0xff_u8; 10];
        over[9] = 0x7f;
        assert_eq!(take(&mut &over[..]), Err(SegmentError::Number));
        assert_eq!(take(&mut &[0x80; 40][..]), Err(SegmentError::Number));
        assert_eq!(take(&mut &[0x80; 4][..]), Err(SegmentError::Truncated));
    }

    proptest! {
        #[test]
        fn every_number_survives_a_round_trip(value: u64) {
            let mut out = Vec::new();
            put(&mut out, value);
            prop_assert_eq!(out.len(), len(value));
            let mut rest = &out[..];
            prop_assert_eq!(take(&mut rest), Ok(value));
            prop_assert!(rest.is_empty());
        }
    }
}
