//! [`Did`]: a public key as a name, `did:key:z…` (W3C CCG "The did:key Method", v0.9).

use alloc::string::String;
use core::{fmt, str::FromStr};

use super::key::{PublicKey, PublicKeyError};

/// The multicodec of an Ed25519 public key, 0xed as an unsigned varint.
const ED25519_MULTICODEC: [u8; 2] = [0xed, 0x01];
/// Two bytes of multicodec and 32 of key.
const DECODED_LEN: usize = 34;
/// The base58btc length of 34 bytes that start with the multicodec; `did:key:z` comes before it.
const ENCODED_LEN: usize = 47;

/// Why a text is not the `did:key` of an Ed25519 key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DidError {
    /// The text does not start with `did:key:z` (multibase base58btc).
    #[error("expected did:key:z...")]
    Prefix,
    /// The part after `z` is not 47 characters long.
    #[error("{found} characters after did:key:z, expected 47")]
    Length {
        /// Characters found.
        found: usize,
    },
    /// The part after `z` is not base58btc of 34 bytes.
    #[error("not base58btc")]
    Base58,
    /// The multicodec is not that of an Ed25519 public key.
    #[error("multicodec {found:02x?}, expected Ed25519 (ed 01)")]
    Codec {
        /// The first two bytes.
        found: [u8; 2],
    },
    /// The key is refused.
    #[error(transparent)]
    Key(#[from] PublicKeyError),
}

/// The decentralised identifier of an Ed25519 key: the key itself, so nothing has to be looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Did(PublicKey);

impl Did {
    /// The name of `key`.
    #[must_use]
    pub const fn new(key: PublicKey) -> Self {
        Self(key)
    }

    /// The key that is named.
    #[must_use]
    pub const fn key(&self) -> &PublicKey {
        &self.0
    }
}

impl fmt::Display for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; DECODED_LEN];
        bytes[..2].copy_from_slice(&ED25519_MULTICODEC);
        bytes[2..].copy_from_slice(self.0.as_bytes());
        let text: String = bs58::encode(bytes).into_string();
        write!(f, "did:key:z{text}")
    }
}

impl FromStr for Did {
    type Err = DidError;

    fn from_str(text: &str) -> Result<Self, DidError> {
        let encoded = text.strip_prefix("did:key:z").ok_or(DidError::Prefix)?;
        // Base58 decoding is quadratic: the length is checked before.
        if encoded.len() != ENCODED_LEN {
            return Err(DidError::Length { found: encoded.len() });
        }
        let mut bytes = [0; DECODED_LEN];
        let length = bs58::decode(encoded).onto(&mut bytes).map_err(|_| DidError::Base58)?;
        let (codec, key) = bytes.split_first_chunk::<2>().ok_or(DidError::Base58)?;
        let key = key.first_chunk::<32>().filter(|_| length == DECODED_LEN).ok_or(DidError::Base58)?;
        if *codec != ED25519_MULTICODEC {
            return Err(DidError::Codec { found: *codec });
        }
        Ok(Self(PublicKey::from_bytes(key)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::KeyPair;
    use alloc::string::ToString as _;
    use proptest::prelude::*;

    /// W3C CCG did:key test vectors, `test-vectors/ed25519-x25519.json`: seed and identifier.
    const VECTORS: [(u8, &str); 3] = [
        (0, "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"),
        (1, "did:key:z6MkjchhfUsD6mmvni8mCdXHw216Xrm9bQe2mBH1P5RDjVJG"),
        (2, "did:key:z6MknGc3ocHs3zdPiJbnaaqDi58NGb4pk1Sp9WxWufuXSdxf"),
    ];

    #[test]
    fn the_w3c_vectors_are_named_as_published() {
        for (last, text) in VECTORS {
            let mut seed = [0; 32];
            seed[31] = last;
            let did = Did::new(KeyPair::from_seed(seed).public().clone());
            assert_eq!(did.to_string(), text);
            assert_eq!(text.parse(), Ok(did));
        }
    }

    #[test]
    fn other_names_are_refused() {
        let x25519 = "did:key:z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc";
        assert_eq!(x25519.parse::<Did>(), Err(DidError::Codec { found: [0xec, 0x01] }));
        assert_eq!("did:web:example.org".parse::<Did>(), Err(DidError::Prefix));
        assert_eq!("did:key:z6Mk".parse::<Did>(), Err(DidError::Length { found: 3 }));
        let bad_letter = VECTORS[0].1.replace("ooWp", "oo0p");
        assert_eq!(bad_letter.parse::<Did>(), Err(DidError::Base58));
    }

    proptest! {
        #[test]
        fn every_name_survives_a_round_trip(seed: [u8; 32]) {
            let did = Did::new(KeyPair::from_seed(seed).public().clone());
            prop_assert_eq!(did.to_string().len(), 9 + ENCODED_LEN);
            prop_assert_eq!(did.to_string().parse(), Ok(did));
        }

        #[test]
        fn no_text_panics(text in "did:key:z[ -~é]{0,60}") {
            let _ = text.parse::<Did>();
        }
    }
}
