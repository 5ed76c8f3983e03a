//! To one recipient: HPKE as COSE_Encrypt0 (draft-ietf-cose-hpke-27 §3.2).
//!
//! `16([<<{1: 42}>>, {4: kid, -4: ek}, ciphertext])`: `kid` the recipient's [`KeyId`], `ek` the encapsulated key, 32 bytes. 61 bytes more than
//! what is sealed, when that is short.

use super::{ALG, KID, SealError, TAG, protected, structure};
use crate::{
    cbor::{self, CborError, Reader},
    identity::{KEY_ID_LEN, KeyId, KeyPair, PublicKey},
};
use alloc::vec::Vec;
use core::fmt;
use hpke::{
    Deserializable as _, OpModeR, OpModeS, Serializable as _, aead::ChaCha20Poly1305, kdf::HkdfSha256,
    kem::X25519HkdfSha256, single_shot_open, single_shot_seal_with_rng,
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

type Kem = X25519HkdfSha256;
type PrivateKey = <Kem as hpke::Kem>::PrivateKey;
type EncappedKey = <Kem as hpke::Kem>::EncappedKey;

/// HPKE-4, integrated encryption: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305.
const HPKE_4: u64 = 42;
/// Header parameter -4, in CBOR a negative integer with argument 3.
const EK: (u8, u64) = (cbor::NEGATIVE, 3);

/// Seals `plaintext` for the holder of `recipient`, bound to `binding`.
///
/// # Panics
/// Never: a key that this crate has read has an X25519 form that is not of small order.
#[must_use]
pub fn seal_to(recipient: &PublicKey, binding: &[u8], plaintext: &[u8], rng: &mut impl CryptoRng) -> Vec<u8> {
    let protected = protected(HPKE_4);
    let aad = structure(&protected, binding);
    let key = <Kem as hpke::Kem>::PublicKey::from_bytes(&recipient.agreement_key()).expect("32 bytes");
    let (ek, ciphertext) = single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, Kem>(
        &OpModeS::Base,
        &key,
        b"",
        plaintext,
        &aad,
        rng,
    )
    .expect("a key of full order, and less than 2^32 bytes");
    let mut out = Vec::with_capacity(64 + ciphertext.len());
    cbor::put_head(&mut out, cbor::TAG, TAG);
    cbor::put_head(&mut out, cbor::ARRAY, 3);
    cbor::put_bytes(&mut out, &protected);
    cbor::put_head(&mut out, cbor::MAP, 2);
    cbor::put_uint(&mut out, KID);
    cbor::put_bytes(&mut out, &KeyId::of(recipient).0);
    cbor::put_head(&mut out, EK.0, EK.1);
    cbor::put_bytes(&mut out, &ek.to_bytes());
    cbor::put_bytes(&mut out, &ciphertext);
    out
}

/// Sealed bytes in their parts.
struct Parts<'a> {
    protected: &'a [u8],
    kid: &'a [u8],
    ek: &'a [u8],
    ciphertext: &'a [u8],
}

fn parse(bytes: &[u8]) -> Result<Parts<'_>, SealError> {
    let mut reader = Reader::new(bytes);
    if reader.tag()? != TAG {
        return Err(SealError::Form { at: reader.position() });
    }
    reader.array_of(3)?;
    let protected = reader.bytes()?;
    check_protected(protected)?;
    if reader.map()? != 2 || reader.head()? != (cbor::UINT, KID) {
        return Err(SealError::Form { at: reader.position() });
    }
    let kid = reader.bytes()?;
    if reader.head()? != EK {
        return Err(SealError::Form { at: reader.position() });
    }
    let (ek, ciphertext) = (reader.bytes()?, reader.bytes()?);
    reader.end()?;
    Ok(Parts { protected, kid, ek, ciphertext })
}

fn check_protected(bytes: &[u8]) -> Result<(), SealError> {
    let mut reader = Reader::new(bytes);
    if reader.map()? != 1 || reader.head()? != (cbor::UINT, ALG) {
        return Err(SealError::Form { at: reader.position() });
    }
    let found = reader.uint()?;
    if found != HPKE_4 {
        return Err(SealError::Algorithm { found });
    }
    Ok(reader.end()?)
}

/// For which key bytes are sealed.
///
/// # Errors
/// [`SealError`] when they are not sealed for a key.
pub fn sealed_for(bytes: &[u8]) -> Result<KeyId, SealError> {
    let kid = parse(bytes)?.kid;
    let (expected, found) = (KEY_ID_LEN as u64, kid.len() as u64);
    Ok(KeyId(kid.try_into().map_err(|_| CborError::Items { at: 0, expected, found })?))
}

/// Opens what was sealed for the holder of `keys`, bound to `binding`.
///
/// # Errors
/// [`SealError`]: nothing of it can be trusted.
pub fn open_sealed(keys: &KeyPair, binding: &[u8], bytes: &[u8]) -> Result<Vec<u8>, SealError> {
    AgreementKey::of(keys).open(binding, bytes)
}

/// The half of a key pair that opens what was sealed for it, and signs nothing. Erased from memory when dropped.
#[derive(Clone)]
pub struct AgreementKey {
    id: KeyId,
    secret: Zeroizing<[u8; 32]>,
}

impl AgreementKey {
    /// That of a key pair.
    #[must_use]
    pub fn of(keys: &KeyPair) -> Self {
        Self { id: KeyId::of(keys.public()), secret: keys.agreement_secret() }
    }

    /// The key as bytes: the name of the pair, and the secret.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new([&self.id.0[..], &self.secret[..]].concat())
    }

    /// The key of these bytes; `None` when they are none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (id, secret) = bytes.split_first_chunk::<KEY_ID_LEN>()?;
        Some(Self { id: KeyId(*id), secret: Zeroizing::new(secret.try_into().ok()?) })
    }

    /// Opens what was sealed for it, bound to `binding`.
    ///
    /// # Errors
    /// [`SealError`]: nothing of it can be trusted.
    pub fn open(&self, binding: &[u8], bytes: &[u8]) -> Result<Vec<u8>, SealError> {
        let found = sealed_for(bytes)?;
        if found != self.id {
            return Err(SealError::OtherKey { found });
        }
        open_with(&self.secret, b"", binding, &parse(bytes)?)
    }
}

impl fmt::Debug for AgreementKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgreementKey").field("id", &self.id).finish_non_exhaustive()
    }
}

fn open_with(
    secret: &[u8; 32],
    info: &[u8],
    binding: &[u8],
    parts: &Parts<'_>,
) -> Result<Vec<u8>, SealError> {
    let private = PrivateKey::from_bytes(secret).map_err(|_| SealError::Failed)?;
    let ek = EncappedKey::from_bytes(parts.ek).map_err(|_| SealError::Failed)?;
    let aad = structure(parts.protected, binding);
    single_shot_open::<ChaCha20Poly1305, HkdfSha256, Kem>(
        &OpModeR::Base,
        &private,
        &ek,
        info,
        parts.ciphertext,
        &aad,
    )
    .map_err(|_| SealError::Failed)
}

#[cfg(test)]
#[path = "rfc9180_tests.rs"]
mod rfc9180_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        envelope::{Purpose, sealing::binding},
        id::NodeId,
    };
    use proptest::prelude::*;
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng as _};

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
    }

    /// draft-ietf-cose-hpke-27, appendix C: the key of "HPKE-4 COSE_Key" and its four Encrypt0 vectors.
    const SECRET: &str = "0838e90c3407649faf0bd7eeb3e5a9fd7c643e4cb72b91997fc81d26d2f1de49";
    const PUBLIC: &str = "0191a45e7240233a4bda72ac8b38283aea336c863c7d5856b7df263038bc6907";
    const VECTORS: [(&[u8], &[u8], &str); 4] = [
        (
            b"",
            b"",
            "d08344a101182aa2044e626f622d68706b655f342d696e7423582081cbeefeef0b8a8b736f700fe52ff25f0cfc7302e5075a44b95e7cf5a82a96775821e5c0ebf3de1016b0fd33f41c0774d6b283dd494537c729ad7decab64bd5c1f43e5",
        ),
        (
            b"",
            b"external-aad",
            "d08344a101182aa2044e626f622d68706b655f342d696e742358204c41250100e5f505dd0acf8830ff1d22e7954d8f6d88d59c809c95d903849c4658218c99cbbe71f8f695e6e79dc6f412793c3ea9d1464066e2d08aaa27b5fef24ec144",
        ),
        (
            b"external-info",
            b"",
            "d08344a101182aa2044e626f622d68706b655f342d696e7423582004aa6884ce80e188a0ef5496c24f6798afde8c8dc623bc2654ce836bb2b9be4158211bc91f4db16f81fdab012e74c00ae5353eb258e433b8ea4b28893d7436fe7615f2",
        ),
        (
            b"external-info",
            b"external-aad",
            "d08344a101182aa2044e626f622d68706b655f342d696e74235820bcf1e847f43e3f4244751ce5e4ac782fc5270310590a3cf8fb825e5ad6be54145821e9c1313608956f65a12558a94ce3fa04ec84ecdeb2eed4eee2a4fbbe783cfcfdd7",
        ),
    ];

    #[test]
    fn the_drafts_vectors_open() {
        let secret: [u8; 32] = hex(SECRET).try_into().unwrap();
        let public = x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from(secret));
        assert_eq!(public.as_bytes()[..], hex(PUBLIC));
        for (info, aad, vector) in VECTORS {
            let bytes = hex(vector);
            let parts = parse(&bytes).unwrap();
            assert_eq!(parts.kid, b"bob-hpke_4-int");
            assert_eq!(open_with(&secret, info, aad, &parts).as_deref(), Ok(&b"hpke test payload"[..]));
            assert_eq!(open_with(&secret, info, b"other", &parts), Err(SealError::Failed));
        }
    }

    fn keys(number: u8) -> KeyPair {
        KeyPair::from_seed([number; 32])
    }

    fn sealed() -> Vec<u8> {
        let binding = binding(NodeId(1), Purpose::Telemetry);
        seal_to(keys(2).public(), &binding, b"a reading", &mut ChaCha8Rng::from_seed([9; 32]))
    }

    #[test]
    fn the_recipient_opens_it_and_nobody_else_and_not_in_anothers_name() {
        let bytes = sealed();
        let binding = |sender, purpose| binding(NodeId(sender), purpose);
        let right = binding(1, Purpose::Telemetry);
        assert_eq!(open_sealed(&keys(2), &right, &bytes).as_deref(), Ok(&b"a reading"[..]));
        let error = open_sealed(&keys(3), &right, &bytes);
        assert_eq!(error, Err(SealError::OtherKey { found: KeyId::of(keys(2).public()) }));
        assert_eq!(open_sealed(&keys(2), &binding(4, Purpose::Telemetry), &bytes), Err(SealError::Failed));
        assert_eq!(open_sealed(&keys(2), &binding(1, Purpose::Command), &bytes), Err(SealError::Failed));
        assert!(bytes.len() <= 9 + super::super::MAX_SEAL_OVERHEAD, "{}", bytes.len());
    }

    #[test]
    fn both_forms_of_a_key_belong_together() {
        for number in 1..40 {
            let secret = x25519_dalek::StaticSecret::from(*keys(number).agreement_secret());
            let public = x25519_dalek::PublicKey::from(&secret);
            assert_eq!(*public.as_bytes(), keys(number).public().agreement_key());
        }
    }

    proptest! {
        #[test]
        fn one_flipped_bit_is_always_noticed(position: prop::sample::Index, bit in 0..8_u8) {
            let mut bytes = sealed();
            let at = position.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let opened = open_sealed(&keys(2), &binding(NodeId(1), Purpose::Telemetry), &bytes);
            // RFC 7748 §5: the top bit of an encapsulated key means nothing; but HPKE binds the key as it came.
            prop_assert!(opened.is_err());
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = open_sealed(&keys(2), b"", &bytes);
        }
    }
}
