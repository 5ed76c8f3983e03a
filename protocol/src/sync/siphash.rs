//! SipHash-2-4 (Aumasson, Bernstein 2012): a short hash that nobody without the key can make collide.

/// A key of SipHash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SipKey(u64, u64);

impl SipKey {
    /// The key of these 16 bytes.
    pub(super) fn new(bytes: [u8; 16]) -> Self {
        let number = u128::from_le_bytes(bytes);
        Self(number as u64, (number >> 64) as u64)
    }

    /// The hash of `message`.
    pub(super) fn hash(self, message: &[u8]) -> u64 {
        let Self(k0, k1) = self;
        let mut v = [
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ];
        let (words, rest) = message.as_chunks::<8>();
        for word in words {
            take_in(&mut v, u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        last[7] = message.len() as u8;
        take_in(&mut v, u64::from_le_bytes(last));
        v[2] ^= 0xff;
        (0..4).for_each(|_| round(&mut v));
        v[0] ^ v[1] ^ v[2] ^ v[3]
    }
}

const fn take_in(v: &mut [u64; 4], word: u64) {
    v[3] ^= word;
    round(v);
    round(v);
    v[0] ^= word;
}

const fn round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[2] = v[2].rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::hash::Hasher as _;

    fn key() -> SipKey {
        SipKey::new(core::array::from_fn(|i| i as u8))
    }

    /// The worked example in appendix A of the paper, and the first of the reference's vectors.
    #[test]
    fn the_hashes_of_the_paper_come_out() {
        let message: [u8; 15] = core::array::from_fn(|i| i as u8);
        assert_eq!(key().hash(&message), 0xa129_ca61_49be_45e5);
        assert_eq!(key().hash(&[]), 0x726f_db47_dd0e_0e31);
    }

    #[test]
    #[expect(deprecated, reason = "the standard library's SipHash-2-4 is an oracle")]
    fn every_length_agrees_with_the_standard_library() {
        let message: [u8; 64] = core::array::from_fn(|i| (i * 37) as u8);
        for length in 0..=64 {
            let mut oracle =
                core::hash::SipHasher::new_with_keys(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
            oracle.write(&message[..length]);
            assert_eq!(key().hash(&message[..length]), oracle.finish(), "{length}");
        }
    }
}
