//! Secrets of one epoch, and the keys that two nodes agree on (X25519, RFC 7748; HKDF-SHA256, RFC 5869).
//!
//! Every derivation has a label of its own, and every key that two nodes share is bound to the terms' digest. Secrets are
//! overwritten when they are dropped.

use alloc::vec::Vec;

use curve25519_dalek::{MontgomeryPoint, scalar::Scalar};
use hkdf::Hkdf;
use sha2::Sha256;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{Zeroize as _, Zeroizing};

use super::{error::PrivacyError, keystream::MaskKey, terms::Terms};
use crate::id::NodeId;

const SALT: &[u8] = b"CosmosMesh secure aggregation 1";

/// An asset's secret of one epoch.
#[derive(Clone)]
pub struct AssetSecret(StaticSecret);

impl AssetSecret {
    /// From 32 bytes of the caller's random source, fresh for every epoch.
    ///
    /// A seed that was used in terms whose [`super::Asset`] was forgotten must not be used again: masks would repeat.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(secret(&Zeroizing::new(seed), b"asset mask"))
    }

    /// What the terms list.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        PublicKey::from(&self.0).to_bytes()
    }

    /// The keys that this asset shares with each seat, in the order of the committee.
    pub(super) fn mask_keys(&self, terms: &Terms, asset: NodeId) -> Result<Vec<MaskKey>, PrivacyError> {
        let key = |seat: &super::Seat| {
            Ok(mask_key(&agree(&self.0, &seat.mask_key, seat.node)?, terms, asset, seat.node))
        };
        terms.parts().committee.iter().map(key).collect()
    }
}

/// A committee member's secrets of one epoch.
#[derive(Clone)]
pub struct SeatSecret {
    mask: StaticSecret,
    share: StaticSecret,
    deal: Zeroizing<[u8; 32]>,
}

impl SeatSecret {
    /// From 32 bytes of the caller's random source, fresh for every epoch.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let seed = Zeroizing::new(seed);
        let (mask, share) = (secret(&seed, b"seat mask"), secret(&seed, b"seat share"));
        Self { mask, share, deal: expand(seed.as_ref(), &[b"seat deal"]) }
    }

    /// The key for masks, as the terms list it.
    #[must_use]
    pub fn mask_key(&self) -> [u8; 32] {
        PublicKey::from(&self.mask).to_bytes()
    }

    /// The key for sealed shares, as the terms list it.
    #[must_use]
    pub fn share_key(&self) -> [u8; 32] {
        PublicKey::from(&self.share).to_bytes()
    }

    /// The keys that the seat shares with each asset, in the order of the roster: one X25519 for each.
    pub(super) fn mask_keys(&self, terms: &Terms, seat: NodeId) -> Result<Vec<MaskKey>, PrivacyError> {
        let key = |asset: &super::Enrolled| {
            Ok(mask_key(&agree(&self.mask, &asset.key, asset.node)?, terms, asset.node, seat))
        };
        terms.parts().roster.iter().map(key).collect()
    }

    /// The polynomial over the order of the base point whose value at 0 is the mask key. The same terms always give the
    /// same one, so that no two sets of shares of one key are ever dealt.
    pub(super) fn polynomial(&self, terms: &Terms) -> Zeroizing<Vec<Scalar>> {
        let mut coefficients = Zeroizing::new(Vec::with_capacity(terms.parts().threshold));
        coefficients.push(scalar(&self.mask));
        for degree in 1..terms.parts().threshold as u64 {
            let mut wide = Zeroizing::new([0_u8; 64]);
            fill(self.deal.as_ref(), &[b"coefficient", terms.digest(), &degree.to_be_bytes()], wide.as_mut());
            coefficients.push(Scalar::from_bytes_mod_order_wide(&wide));
        }
        coefficients
    }

    /// The key that seals `what` about seat `dealer` between this seat and `other`; `from` is who seals it.
    pub(super) fn sealing_key(
        &self,
        terms: &Terms,
        what: &[u8],
        dealer: NodeId,
        from: NodeId,
        other: &super::Seat,
    ) -> Result<Zeroizing<[u8; 32]>, PrivacyError> {
        let shared = agree(&self.share, &other.share_key, other.node)?;
        let (dealer, from) = (dealer.0.to_be_bytes(), from.0.to_be_bytes());
        Ok(expand(shared.as_ref(), &[b"sealed share", what, terms.digest(), &dealer, &from]))
    }
}

/// The mask keys of a recovered seat: what its member would compute, from its key modulo the order of the base point.
///
/// A clamped X25519 scalar `k` is a multiple of the cofactor 8, so `k P` is `8 (k/8 mod ℓ) P` for every `P` on the curve.
pub(super) fn recovered_mask_keys(key: &Scalar, terms: &Terms, seat: NodeId) -> Vec<MaskKey> {
    let eight = Scalar::from(8_u8);
    let mut eighth = key * eight.invert();
    let keys = terms.parts().roster.iter().map(|asset| {
        let shared = Zeroizing::new((MontgomeryPoint(asset.key) * eighth * eight).to_bytes());
        mask_key(&shared, terms, asset.node, seat)
    });
    let keys = keys.collect();
    eighth.zeroize();
    keys
}

fn mask_key(shared: &Zeroizing<[u8; 32]>, terms: &Terms, asset: NodeId, seat: NodeId) -> MaskKey {
    let (asset, seat) = (asset.0.to_be_bytes(), seat.0.to_be_bytes());
    MaskKey::new(expand(shared.as_ref(), &[b"mask key", terms.digest(), &asset, &seat]))
}

fn agree(own: &StaticSecret, other: &[u8; 32], node: NodeId) -> Result<Zeroizing<[u8; 32]>, PrivacyError> {
    let shared = own.diffie_hellman(&PublicKey::from(*other));
    if shared.was_contributory() {
        Ok(Zeroizing::new(shared.to_bytes()))
    } else {
        Err(PrivacyError::WeakKey { node })
    }
}

/// The clamped scalar of an X25519 key modulo the order of the base point.
fn scalar(secret: &StaticSecret) -> Scalar {
    let mut bytes = Zeroizing::new(secret.to_bytes());
    // RFC 7748 §5, decodeScalar25519.
    bytes[0] &= 248;
    bytes[31] = (bytes[31] & 127) | 64;
    Scalar::from_bytes_mod_order(*bytes)
}

fn secret(seed: &Zeroizing<[u8; 32]>, label: &[u8]) -> StaticSecret {
    StaticSecret::from(*expand(seed.as_ref(), &[label]))
}

fn expand(secret: &[u8], info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    fill(secret, info, out.as_mut());
    out
}

fn fill(secret: &[u8], info: &[&[u8]], out: &mut [u8]) {
    let kdf = Hkdf::<Sha256>::new(Some(SALT), secret);
    kdf.expand_multi_info(info, out).expect("64 bytes are fewer than 255 blocks");
}
