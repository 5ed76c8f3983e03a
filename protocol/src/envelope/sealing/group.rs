//! To a group: a key for each epoch, which every member of that epoch has, and nobody who left before.
//!
//! `16([<<{1: 24}>>, {4: epoch, 5: IV}, ciphertext])`, `epoch` as an unsigned integer in bytes. Each sender has a key of its own in each epoch,
//! HKDF-SHA256 (RFC 5869) of the group's, so that two senders never use one IV under one key; a sender draws its IVs at random.

use super::{ALG, KID, SealError, TAG, protected, structure};
use crate::{
    cbor::{self, CborError, Reader},
    id::NodeId,
};
use alloc::vec::Vec;
use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit as _,
    aead::{Aead as _, Payload},
};
use core::fmt;
use hkdf::Hkdf;
use rand_core::CryptoRng;
use sha2::Sha256;
use zeroize::Zeroizing;

/// ChaCha20/Poly1305 with a key of 256 bits and a tag of 128 (RFC 9053 §4.3).
const CHACHA20_POLY1305: u64 = 24;
/// The IV's label (RFC 9052 §3.1).
const IV: u64 = 5;
const IV_LEN: usize = 12;

/// The key of a group in an epoch. Erased from memory when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct GroupKey {
    /// Rises with every change of the group.
    pub epoch: u64,
    secret: Zeroizing<[u8; 32]>,
}

impl GroupKey {
    /// A fresh key.
    #[must_use]
    pub fn generate(epoch: u64, rng: &mut impl CryptoRng) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *secret);
        Self { epoch, secret }
    }

    /// The key of these bytes, as they came sealed from the group's keeper.
    #[must_use]
    pub fn from_bytes(epoch: u64, secret: [u8; 32]) -> Self {
        Self { epoch, secret: Zeroizing::new(secret) }
    }

    /// The key's bytes, for a member of the group.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.secret
    }

    fn cipher(&self, sender: NodeId) -> ChaCha20Poly1305 {
        let mut info = b"cosmosmesh-group-v1".to_vec();
        info.extend_from_slice(&self.epoch.to_be_bytes());
        info.extend_from_slice(&sender.0.to_be_bytes());
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, &*self.secret).expand(&info, &mut *key).expect("32 bytes can be derived");
        ChaCha20Poly1305::new((&*key).into())
    }

    /// Seals `plaintext` as `sender`, bound to `binding`.
    ///
    /// # Panics
    /// Never: no payload has 2^38 bytes.
    #[must_use]
    pub fn seal(
        &self,
        sender: NodeId,
        binding: &[u8],
        plaintext: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Vec<u8> {
        let mut iv = [0; IV_LEN];
        rng.fill_bytes(&mut iv);
        let protected = protected(CHACHA20_POLY1305);
        let aad = structure(&protected, binding);
        let payload = Payload { msg: plaintext, aad: &aad };
        let ciphertext = self.cipher(sender).encrypt((&iv).into(), payload).expect("short enough");
        let mut out = Vec::with_capacity(40 + ciphertext.len());
        cbor::put_head(&mut out, cbor::TAG, TAG);
        cbor::put_head(&mut out, cbor::ARRAY, 3);
        cbor::put_bytes(&mut out, &protected);
        cbor::put_head(&mut out, cbor::MAP, 2);
        cbor::put_uint(&mut out, KID);
        cbor::put_bytes(&mut out, &self.epoch.to_be_bytes());
        cbor::put_uint(&mut out, IV);
        cbor::put_bytes(&mut out, &iv);
        cbor::put_bytes(&mut out, &ciphertext);
        out
    }

    /// Opens what `sender` has sealed in this epoch, bound to `binding`.
    ///
    /// # Errors
    /// [`SealError`]: nothing of it can be trusted.
    pub fn open(&self, sender: NodeId, binding: &[u8], bytes: &[u8]) -> Result<Vec<u8>, SealError> {
        let parts = parse(bytes)?;
        if parts.epoch != self.epoch {
            return Err(SealError::Epoch { found: parts.epoch });
        }
        let aad = structure(parts.protected, binding);
        let payload = Payload { msg: parts.ciphertext, aad: &aad };
        self.cipher(sender).decrypt(parts.iv.into(), payload).map_err(|_| SealError::Failed)
    }
}

impl fmt::Debug for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupKey").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

struct Parts<'a> {
    protected: &'a [u8],
    epoch: u64,
    iv: &'a [u8; IV_LEN],
    ciphertext: &'a [u8],
}

/// In which epoch of a group bytes are sealed.
///
/// # Errors
/// [`SealError`] when they are not sealed for a group.
pub fn group_epoch(bytes: &[u8]) -> Result<u64, SealError> {
    parse(bytes).map(|parts| parts.epoch)
}

fn parse(bytes: &[u8]) -> Result<Parts<'_>, SealError> {
    let mut reader = Reader::new(bytes);
    if reader.tag()? != TAG {
        return Err(SealError::Form { at: reader.position() });
    }
    reader.array_of(3)?;
    let protected = reader.bytes()?;
    let mut headers = Reader::new(protected);
    if headers.map()? != 1 || headers.head()? != (cbor::UINT, ALG) {
        return Err(SealError::Form { at: reader.position() });
    }
    let found = headers.uint()?;
    if found != CHACHA20_POLY1305 {
        return Err(SealError::Algorithm { found });
    }
    headers.end()?;
    if reader.map()? != 2 || reader.head()? != (cbor::UINT, KID) {
        return Err(SealError::Form { at: reader.position() });
    }
    let (at, epoch) = (reader.position(), reader.bytes()?);
    let form = CborError::Items { at, expected: 8, found: epoch.len() as u64 };
    let epoch = u64::from_be_bytes(epoch.try_into().map_err(|_| form)?);
    if reader.head()? != (cbor::UINT, IV) {
        return Err(SealError::Form { at: reader.position() });
    }
    let (at, iv) = (reader.position(), reader.bytes()?);
    let form = CborError::Items { at, expected: IV_LEN as u64, found: iv.len() as u64 };
    let iv = iv.try_into().map_err(|_| form)?;
    let ciphertext = reader.bytes()?;
    reader.end()?;
    Ok(Parts { protected, epoch, iv, ciphertext })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::{Purpose, sealing::binding};
    use proptest::prelude::*;
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng as _};

    const SENDER: NodeId = NodeId(3);

    fn key(epoch: u64) -> GroupKey {
        GroupKey::generate(epoch, &mut ChaCha8Rng::from_seed([epoch as u8; 32]))
    }

    fn sealed() -> Vec<u8> {
        key(2).seal(
            SENDER,
            &binding(SENDER, Purpose::Event),
            b"found ice",
            &mut ChaCha8Rng::from_seed([7; 32]),
        )
    }

    #[test]
    fn members_of_the_epoch_open_it_and_those_who_left_do_not() {
        let (bytes, bound) = (sealed(), binding(SENDER, Purpose::Event));
        assert_eq!(group_epoch(&bytes), Ok(2));
        assert_eq!(key(2).open(SENDER, &bound, &bytes).as_deref(), Ok(&b"found ice"[..]));
        assert_eq!(key(1).open(SENDER, &bound, &bytes), Err(SealError::Epoch { found: 2 }));
        let guessed = GroupKey::from_bytes(2, *key(1).as_bytes());
        assert_eq!(guessed.open(SENDER, &bound, &bytes), Err(SealError::Failed));
        assert_eq!(key(2).open(NodeId(4), &bound, &bytes), Err(SealError::Failed), "another's name");
        assert_eq!(key(2).open(SENDER, &binding(SENDER, Purpose::Command), &bytes), Err(SealError::Failed));
    }

    #[test]
    fn what_is_sealed_for_a_recipient_is_not_for_a_group() {
        assert_eq!(super::super::sealed_for(&sealed()), Err(SealError::Algorithm { found: 24 }));
    }

    proptest! {
        #[test]
        fn one_flipped_bit_is_always_noticed(position: prop::sample::Index, bit in 0..8_u8) {
            let mut bytes = sealed();
            let at = position.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(key(2).open(SENDER, &binding(SENDER, Purpose::Event), &bytes).is_err());
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = key(2).open(SENDER, b"", &bytes);
        }
    }
}
