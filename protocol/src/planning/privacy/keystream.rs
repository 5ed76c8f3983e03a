//! Masks: the ChaCha20 keystream (RFC 8439) of a key that an asset and a member share, as integers mod 2^(8 × width).

use alloc::vec::Vec;

use chacha20::{ChaCha20, KeyIvInit as _, cipher::StreamCipher as _};
use zeroize::{Zeroize as _, Zeroizing};

/// A key that one asset and one member share in one epoch.
#[derive(Clone)]
pub(super) struct MaskKey(Zeroizing<[u8; 32]>);

/// Whether masks are put on or taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Add,
    Subtract,
}

/// Bytes of keystream made at once: eight blocks, as wide as the widest machine works.
const CHUNK: usize = 512;

impl MaskKey {
    pub(super) const fn new(key: Zeroizing<[u8; 32]>) -> Self {
        Self(key)
    }

    /// Adds the mask of contribution `sequence` to every entry, or subtracts it: `width` bytes of keystream for each.
    ///
    /// The nonce is the sequence number, so a mask is used once when a sequence number is.
    pub(super) fn apply(&self, sequence: u64, width: u8, sign: Sign, entries: &mut [u64]) {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&sequence.to_be_bytes());
        let mut cipher = ChaCha20::new((&*self.0).into(), (&nonce).into());
        let width = usize::from(width);
        let mut stream = [0_u8; CHUNK];
        for part in entries.chunks_mut(CHUNK / width) {
            let stream = &mut stream[..part.len() * width];
            stream.fill(0);
            cipher.apply_keystream(stream);
            for (entry, bytes) in part.iter_mut().zip(stream.chunks_exact(width)) {
                let mask = little_endian(bytes);
                *entry = match sign {
                    Sign::Add => entry.wrapping_add(mask),
                    Sign::Subtract => entry.wrapping_sub(mask),
                };
            }
        }
        stream.zeroize();
    }
}

/// The low `width` bytes of every entry, least significant first.
pub(super) fn pack(entries: &[u64], width: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(entries.len() * usize::from(width));
    for entry in entries {
        out.extend_from_slice(&entry.to_le_bytes()[..usize::from(width)]);
    }
    out
}

/// Adds a packed vector to `sum`, or subtracts it.
pub(super) fn accumulate(sum: &mut [u64], packed: &[u8], width: u8, sign: Sign) {
    for (entry, bytes) in sum.iter_mut().zip(packed.chunks_exact(usize::from(width))) {
        let value = little_endian(bytes);
        *entry = match sign {
            Sign::Add => entry.wrapping_add(value),
            Sign::Subtract => entry.wrapping_sub(value),
        };
    }
}

/// The integer of least magnitude that is `value` mod 2^(8 × width).
pub(super) const fn signed(value: u64, width: u8) -> i64 {
    let unused = 64 - 8 * width as u32;
    ((value << unused) as i64) >> unused
}

fn little_endian(bytes: &[u8]) -> u64 {
    let mut whole = [0; 8];
    whole[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_the_keystream_of_rfc_8439() {
        // RFC 8439 §2.3.2 has this key, nonce and block; a fresh stream begins at block 0, so the second block is it.
        let key: [u8; 32] = core::array::from_fn(|i| i as u8);
        let mut cipher = ChaCha20::new((&key).into(), (&[0, 0, 0, 9, 0, 0, 0, 0x4a, 0, 0, 0, 0]).into());
        let mut stream = [0_u8; 128];
        cipher.apply_keystream(&mut stream);
        assert_eq!(stream[64..72], [0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15]);
        // And a mask is the stream whose nonce is the sequence number.
        let sequence = 0x0102_0304_0506_0708_u64;
        let mut cipher = ChaCha20::new((&key).into(), (&[0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]).into());
        let mut stream = [0_u8; 1600];
        cipher.apply_keystream(&mut stream);
        for width in 1..=8_u8 {
            let mut entries = [0; 200];
            MaskKey::new(Zeroizing::new(key)).apply(sequence, width, Sign::Add, &mut entries);
            assert_eq!(pack(&entries, width), stream[..200 * usize::from(width)], "width {width}");
        }
    }

    #[test]
    fn a_packed_sum_is_the_sum_of_least_magnitude() {
        for (width, value) in [(1, -128), (1, 127), (3, -8_388_608), (7, -1), (8, i64::MIN), (8, i64::MAX)] {
            let mut sum = [0];
            accumulate(&mut sum, &pack(&[value as u64], width), width, Sign::Add);
            assert_eq!(signed(sum[0], width), value);
        }
        let mut sum = [0];
        for value in [-100_i64, 60, -7] {
            accumulate(&mut sum, &pack(&[value as u64], 1), 1, Sign::Add);
        }
        assert_eq!(signed(sum[0], 1), -47);
    }
}
