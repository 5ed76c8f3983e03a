//! Keys that are derived from a shared secret: HKDF with SHA-512 (RFC 5869) over a `COSE_KDF_Context` (RFC 9053 §5.2).

use alloc::vec::Vec;

use crate::{
    bpsec::{
        item::{NULL, put_int},
        primitive::{AesVariant, ShaVariant},
    },
    cbor,
};

/// direct+HKDF-SHA-512 (RFC 9053 §6.1.2).
pub(super) const DIRECT_HKDF_SHA_512: i64 = -11;

/// The key for the content.
pub(super) fn derive(
    secret: &[u8],
    salt: &[u8],
    variant: AesVariant,
    protected: &[u8],
    source: &[u8],
    additional: &[u8],
) -> Vec<u8> {
    let hash = ShaVariant::Sha512;
    let pseudorandom = hash.make(salt, &[secret]);
    // One block of the expansion is longer than any key.
    let mut key = hash.make(&pseudorandom, &[&info(variant, protected, source, additional), &[1]]);
    key.truncate(variant.key_len());
    key
}

/// The `COSE_KDF_Context`, with the other public information of draft-ietf-dtn-bpsec-cose: what names the protocol, who is the source,
/// and the additional protected headers.
fn info(variant: AesVariant, protected: &[u8], source: &[u8], additional: &[u8]) -> Vec<u8> {
    let mut other = Vec::with_capacity(16 + source.len() + additional.len());
    cbor::put_text(&mut other, "BPSec");
    other.extend_from_slice(source);
    cbor::put_bytes(&mut other, additional);
    let mut out = Vec::with_capacity(32 + protected.len() + other.len());
    cbor::put_head(&mut out, cbor::ARRAY, 4);
    put_int(&mut out, i64::from(variant.code()));
    for _party in 0..2 {
        cbor::put_head(&mut out, cbor::ARRAY, 3);
        out.extend_from_slice(&[NULL; 3]);
    }
    cbor::put_head(&mut out, cbor::ARRAY, 3);
    cbor::put_uint(&mut out, 8 * variant.key_len() as u64);
    cbor::put_bytes(&mut out, protected);
    cbor::put_bytes(&mut out, &other);
    out
}
