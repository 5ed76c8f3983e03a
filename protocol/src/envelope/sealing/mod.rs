//! Sealing: what an envelope carries, for the eyes of its recipient or of a group alone.
//!
//! A payload is sealed before the envelope around it is signed, so that whoever passes it on still sees who sent it and whom it is for, and the
//! recipient refuses a forgery before it opens anything. Both forms are COSE_Encrypt0 (RFC 9052 §5.2) in deterministic CBOR:
//!
//! * to a recipient: HPKE (RFC 9180) in base mode with X25519, HKDF-SHA256 and ChaCha20-Poly1305, as draft-ietf-cose-hpke-27 §3.2 writes it
//!   (algorithm 42, the draft's assumption). The recipient's X25519 key is its Ed25519 key on the other form of the curve, so that nothing but the
//!   certificates has to spread; that the two uses of one key do not hurt each other is shown for DHKEM in Thormarker, "On using the same key
//!   pair for Ed25519 and an X25519 based KEM" (IACR ePrint 2021/509);
//! * to a group: ChaCha20-Poly1305 (RFC 9053 §4.3) under a key of the sender's own, derived from the group's key of an epoch.
//!
//! What is sealed is bound to its sender and its purpose: nobody can sign another's sealed payload as their own.
//!
//! What it does not give: secrets of the past when a recipient's key is stolen later (base mode has no ratchet); hiding of lengths, times and
//! addresses. A group's keeper knows all of the group's keys.

mod error;
mod group;
mod recipient;

pub use error::SealError;
pub use group::{GroupKey, group_epoch};
pub use recipient::{AgreementKey, open_sealed, seal_to, sealed_for};

use super::header::Purpose;
use crate::{cbor, id::NodeId};
use alloc::vec::Vec;

/// COSE_Encrypt0 (RFC 9052 §2).
const TAG: u64 = 16;
const ALG: u64 = 1;
const KID: u64 = 4;
/// Most bytes that sealing adds to a payload.
pub const MAX_SEAL_OVERHEAD: usize = 96;

/// What is bound to a sealed payload without being in it: who seals, and what for.
#[must_use]
pub fn binding(sender: NodeId, purpose: Purpose) -> Vec<u8> {
    let mut out = Vec::with_capacity(40);
    cbor::put_head(&mut out, cbor::ARRAY, 3);
    cbor::put_text(&mut out, "cosmosmesh-sealed-v1");
    cbor::put_uint(&mut out, sender.0);
    cbor::put_uint(&mut out, u64::from(purpose.number()));
    out
}

/// The `Enc_structure` (RFC 9052 §5.3).
fn structure(protected: &[u8], external: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(24 + protected.len() + external.len());
    cbor::put_head(&mut out, cbor::ARRAY, 3);
    cbor::put_text(&mut out, "Encrypt0");
    cbor::put_bytes(&mut out, protected);
    cbor::put_bytes(&mut out, external);
    out
}

/// `{1: alg}` of a number of 24 or more: five bytes or fewer.
fn protected(algorithm: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(5);
    cbor::put_head(&mut out, cbor::MAP, 1);
    cbor::put_uint(&mut out, ALG);
    cbor::put_uint(&mut out, algorithm);
    out
}
