//! [`KeyId`]: a short name of a key.

use super::key::PublicKey;
use crate::cbor;
use alloc::vec::Vec;
use core::fmt;
use sha2::{Digest as _, Sha256};

/// Bytes of a [`KeyId`].
pub const KEY_ID_LEN: usize = 8;

/// The first eight bytes of a key's COSE thumbprint (RFC 9679 §3: SHA-256 over the required parameters of its COSE_Key). It serves to find
/// a key, never to trust one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; KEY_ID_LEN]);

impl KeyId {
    /// The name of `key`.
    #[must_use]
    pub fn of(key: &PublicKey) -> Self {
        let mut cose_key = Vec::with_capacity(40);
        put_cose_key(&mut cose_key, key);
        let digest: [u8; 32] = Sha256::digest(&cose_key).into();
        let [a, b, c, d, e, f, g, h, ..] = digest;
        Self([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// Key type OKP, curve Ed25519 and the key (RFC 9053 §7.2): 40 bytes of deterministic CBOR.
pub(super) fn put_cose_key(out: &mut Vec<u8>, key: &PublicKey) {
    out.extend_from_slice(&COSE_KEY);
    out.extend_from_slice(key.as_bytes());
}

/// `{1: 1, -1: 6, -2: h'…'}` up to the key's bytes.
pub(super) const COSE_KEY: [u8; 8] = [cbor::MAP << 5 | 3, 1, 1, 0x20, 6, 0x21, 0x58, 32];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::KeyPair;
    use coset::{CborSerializable as _, iana};

    #[test]
    fn the_thumbprint_is_that_of_the_cose_key() {
        let key = KeyPair::from_seed([3; 32]).public().clone();
        let theirs = coset::CoseKeyBuilder::new_okp_key()
            .param(iana::OkpKeyParameter::Crv as i64, (iana::EllipticCurve::Ed25519 as u64).into())
            .param(iana::OkpKeyParameter::X as i64, key.as_bytes().to_vec().into())
            .build()
            .to_vec()
            .unwrap();
        let digest: [u8; 32] = Sha256::digest(&theirs).into();
        assert_eq!(KeyId::of(&key).0, digest[..8]);
    }
}
