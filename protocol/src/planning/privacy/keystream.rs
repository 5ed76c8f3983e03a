//! Masks: the ChaCha20 keystream (RFC 8439) of a key that an asset and a member share, as integers mod 2^bits.

use alloc::vec::Vec;

use chacha20::{ChaCha20, KeyIvInit as _, cipher::StreamCipher as _};
use hkdf::Hkdf;
use sha2::Sha256;
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

    /// The key for contributions to one occasion, as a change of contribution `from`: another key for whatever differs (HKDF-Expand, RFC 5869).
    pub(super) fn bound(&self, occasion: &[u8; 32], from: u64) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        let kdf = Hkdf::<Sha256>::from_prk(self.0.as_ref()).expect("32 bytes are a whole key");
        let info: [&[u8]; 3] = [b"occasion", occasion, &from.to_be_bytes()];
        kdf.expand_multi_info(&info, key.as_mut()).expect("32 bytes are one block");
        Self(key)
    }

    /// Adds the mask of contribution `sequence` to every entry, or subtracts it: ⌈bits / 8⌉ bytes of keystream for each.
    ///
    /// The nonce is the sequence number, so a mask is used once when a sequence number is.
    pub(super) fn apply(&self, sequence: u64, bits: u8, sign: Sign, entries: &mut [u64]) {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&sequence.to_be_bytes());
        let mut cipher = ChaCha20::new((&*self.0).into(), (&nonce).into());
        let width = usize::from(bits).div_ceil(8);
        let mut stream = [0_u8; CHUNK];
        for part in entries.chunks_mut(CHUNK / width) {
            let stream = &mut stream[..part.len() * width];
            stream.fill(0);
            cipher.apply_keystream(stream);
            for (entry, bytes) in part.iter_mut().zip(stream.chunks_exact(width)) {
                *entry = sign.apply(*entry, little_endian(bytes));
            }
        }
        stream.zeroize();
    }
}

impl Sign {
    const fn apply(self, entry: u64, value: u64) -> u64 {
        match self {
            Self::Add => entry.wrapping_add(value),
            Self::Subtract => entry.wrapping_sub(value),
        }
    }
}

/// The low `bits` of every entry one after the other, least significant first; the last byte is filled up with zeros.
pub(super) fn pack(entries: &[u64], bits: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(packed_len(entries.len(), bits));
    let (mut held, mut count) = (0_u128, 0);
    for entry in entries {
        held |= u128::from(entry & mask(bits)) << count;
        count += u32::from(bits);
        while count >= 8 {
            out.push(held as u8);
            held >>= 8;
            count -= 8;
        }
    }
    if count > 0 {
        out.push(held as u8);
    }
    out
}

/// The length in bytes of a packed vector.
pub(super) const fn packed_len(entries: usize, bits: u8) -> usize {
    (entries * bits as usize).div_ceil(8)
}

/// Adds a packed vector to `sum`, or subtracts it.
pub(super) fn accumulate(sum: &mut [u64], packed: &[u8], bits: u8, sign: Sign) {
    let (mut held, mut count) = (0_u128, 0);
    let mut bytes = packed.iter();
    for entry in sum {
        while count < u32::from(bits) {
            held |= u128::from(bytes.next().copied().unwrap_or(0)) << count;
            count += 8;
        }
        *entry = sign.apply(*entry, held as u64 & mask(bits));
        held >>= bits;
        count -= u32::from(bits);
    }
}

/// The integer of least magnitude that is `value` mod 2^bits.
pub(super) const fn signed(value: u64, bits: u8) -> i64 {
    let unused = 64 - bits as u32;
    ((value << unused) as i64) >> unused
}

const fn mask(bits: u8) -> u64 {
    u64::MAX >> (64 - bits as u32)
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
            MaskKey::new(Zeroizing::new(key)).apply(sequence, 8 * width, Sign::Add, &mut entries);
            assert_eq!(pack(&entries, 8 * width), stream[..200 * usize::from(width)], "{width} bytes");
        }
    }

    #[test]
    fn a_packed_sum_is_the_sum_of_least_magnitude() {
        for (bits, value) in
            [(8, -128), (8, 127), (2, -2), (24, -8_388_608), (41, -1), (64, i64::MIN), (64, i64::MAX)]
        {
            let mut sum = [0; 3];
            accumulate(&mut sum, &pack(&[1, value as u64, 1], bits), bits, Sign::Add);
            assert_eq!(sum.map(|entry| signed(entry, bits)), [1, value, 1]);
        }
        let mut sum = [0];
        for value in [-100_i64, 60, -7] {
            accumulate(&mut sum, &pack(&[value as u64], 8), 8, Sign::Add);
        }
        assert_eq!(signed(sum[0], 8), -47);
    }

    #[test]
    fn packed_entries_leave_no_gaps() {
        assert_eq!(pack(&[0b101, 0b011, 0b110], 3), [0b10_011_101, 0b1]);
        assert_eq!(pack(&[u64::MAX; 5], 3), [0xff, 0x7f]);
        for bits in 1..=64 {
            let entries: Vec<u64> = (0..9).map(|i| 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(i + 1)).collect();
            let packed = pack(&entries, bits);
            assert_eq!(packed.len(), packed_len(9, bits));
            let mut sum = [0; 9];
            accumulate(&mut sum, &packed, bits, Sign::Add);
            assert!(sum.iter().zip(&entries).all(|(found, entry)| *found == entry & mask(bits)), "{bits}");
        }
    }
}
