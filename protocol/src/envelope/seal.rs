//! [`seal`]: a payload into a signed envelope.

use alloc::vec::Vec;

use super::header::Header;
use crate::{
    cbor,
    identity::{KeyPair, SIGNATURE_LEN, with_sig_structure},
};

/// The longest envelope that is opened: 1 MiB. A larger payload is split by its owner.
pub const MAX_ENVELOPE_LEN: usize = 1 << 20;

/// The most bytes that an envelope adds to its payload, when every field is at its greatest.
///
/// With node numbers of the default allocator (below 2^32) it is 120; about 100 is typical.
pub const MAX_OVERHEAD: usize = 128;

/// The tag of COSE_Sign1 (RFC 9052 §2).
pub(super) const TAG: u64 = 18;

/// The external additional authenticated data (RFC 9052 §4.4). It is signed and not sent: a signature that the same key
/// makes for another protocol, or another version of this one, never verifies here.
pub(super) const DOMAIN: &[u8] = b"cosmosmesh-envelope-v1";

/// The envelope of `payload`: a tagged COSE_Sign1 in deterministic CBOR, signed by `keys`.
///
/// It is tagged because one byte lets any tool tell what it sees, and leaves room for other COSE messages in its place.
/// `keys` are to be those that the directory has for `header.sender`, a node number above 0, or nobody will open it; so
/// is the whole to stay within [`MAX_ENVELOPE_LEN`].
#[must_use]
pub fn seal(keys: &KeyPair, header: &Header, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + MAX_OVERHEAD);
    cbor::put_head(&mut out, cbor::TAG, TAG);
    cbor::put_head(&mut out, cbor::ARRAY, 4);
    // The headers in their place, and before them the head that their length calls for: nothing else is allocated.
    let start = out.len();
    header.encode_into(&mut out);
    let length = out.len() - start;
    let signature = with_sig_structure(&out[start..], DOMAIN, payload, |bytes| keys.sign(bytes));
    if length < 24 {
        out.insert(start, cbor::BYTES << 5 | length as u8);
    } else {
        out.splice(start..start, [cbor::BYTES << 5 | 24, length as u8]);
    }
    cbor::put_head(&mut out, cbor::MAP, 0);
    cbor::put_bytes(&mut out, payload);
    cbor::put_bytes(&mut out, &signature);
    debug_assert!(out.len() <= payload.len() + MAX_OVERHEAD, "an envelope adds at most {MAX_OVERHEAD} bytes");
    out
}

/// The Sig_structure of RFC 9052 §4.4.
#[cfg(test)]
pub(super) fn to_be_signed(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    crate::identity::sig_structure(protected, DOMAIN, payload)
}

const _: () = assert!(SIGNATURE_LEN == 64, "the overhead counts 64 bytes of signature");
