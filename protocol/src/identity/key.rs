//! Ed25519 keys: [`KeyPair`] signs, [`PublicKey`] verifies strictly.

use core::fmt;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

/// The length of a signature in bytes.
pub const SIGNATURE_LEN: usize = 64;

/// Why 32 bytes are not a public key that can be trusted with anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// The y coordinate is not below the field's prime, so the point has another, shorter encoding (RFC 8032 §5.1.3).
    #[error("public key is not in canonical form")]
    NonCanonical,
    /// The bytes encode no point of the curve.
    #[error("public key is not a point of edwards25519")]
    NotOnCurve,
    /// A point of small order: a signature that verifies for every message exists.
    #[error("public key has small order")]
    SmallOrder,
}

/// A public key, decompressed once: a signature check then costs no square root.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads the 32-byte encoding of RFC 8032 §5.1.2.
    ///
    /// # Errors
    /// When the bytes are not canonical, not on the curve, or a point of small order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, PublicKeyError> {
        if !is_canonical(bytes) {
            return Err(PublicKeyError::NonCanonical);
        }
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| PublicKeyError::NotOnCurve)?;
        if key.is_weak() { Err(PublicKeyError::SmallOrder) } else { Ok(Self(key)) }
    }

    /// The 32-byte encoding.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The X25519 key of its holder: the same point on the other form of the curve (RFC 7748 §4.1). Never of small order.
    #[must_use]
    pub fn agreement_key(&self) -> [u8; 32] {
        self.0.to_montgomery().to_bytes()
    }

    /// Whether `signature` is this key's for `message`: the strict check, which also refuses `s ≥ L` and `R` of small
    /// order, so that no third party can make a second valid signature of a message.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8; SIGNATURE_LEN]) -> bool {
        self.0.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(")?;
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// Whether the y coordinate (255 bits, little-endian, without the sign bit) is below 2^255 - 19.
fn is_canonical(bytes: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = bytes;
    high & 0x7f != 0x7f || middle.iter().any(|byte| *byte != 0xff) || *low < 0xed
}

/// A private key with its public key. Erased from memory when dropped.
#[derive(Clone)]
pub struct KeyPair {
    signing: SigningKey,
    public: PublicKey,
}

impl KeyPair {
    /// The key pair of a 32-byte seed (the private key of RFC 8032 §5.1.5). Whoever knows the seed is the node.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let signing = SigningKey::from_bytes(&seed);
        // The secret scalar is clamped, so its public point never has small order.
        let public = PublicKey(signing.verifying_key());
        Self { signing, public }
    }

    /// The X25519 secret that belongs to [`PublicKey::agreement_key`]: the scalar of RFC 8032 §5.1.5, before it is clamped.
    #[must_use]
    pub fn agreement_secret(&self) -> zeroize::Zeroizing<[u8; 32]> {
        zeroize::Zeroizing::new(self.signing.to_scalar_bytes())
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The signature of `message`; the same bytes every time (RFC 8032 §5.1.6).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        self.signing.sign(message).to_bytes()
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").field("public", &self.public).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032 §7.1, test 2.
    #[test]
    fn the_rfc_8032_vector_is_signed_and_verified() {
        let seed = hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
        let pair = KeyPair::from_seed(seed);
        assert_eq!(
            *pair.public().as_bytes(),
            hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
        );
        let mut signature = [0; 64];
        signature[..32]
            .copy_from_slice(&hex("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"));
        signature[32..]
            .copy_from_slice(&hex("085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"));
        assert_eq!(pair.sign(&[0x72]), signature);
        assert!(pair.public().verify(&[0x72], &signature));
        assert!(!pair.public().verify(&[0x73], &signature));
    }

    #[test]
    fn small_order_and_non_canonical_keys_are_refused() {
        let mut identity = [0; 32];
        identity[0] = 1;
        assert_eq!(PublicKey::from_bytes(&identity), Err(PublicKeyError::SmallOrder));
        assert_eq!(PublicKey::from_bytes(&[0; 32]), Err(PublicKeyError::SmallOrder));
        let order_8 = hex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a");
        assert_eq!(PublicKey::from_bytes(&order_8), Err(PublicKeyError::SmallOrder));
        let mut above_prime = [0xff; 32];
        above_prime[31] = 0x7f;
        assert_eq!(PublicKey::from_bytes(&above_prime), Err(PublicKeyError::NonCanonical));
        let mut off_curve = [0; 32];
        off_curve[0] = 2;
        assert_eq!(PublicKey::from_bytes(&off_curve), Err(PublicKeyError::NotOnCurve));
    }

    fn hex(text: &str) -> [u8; 32] {
        core::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
    }
}
