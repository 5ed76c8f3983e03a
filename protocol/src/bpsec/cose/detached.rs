//! What COSE_Sign1 and COSE_Mac0 have in common here (RFC 9052 §4.2, §6.2): four elements, of which the payload is left out, and a
//! structure that is signed or checked in its stead.

use alloc::vec::Vec;

use super::{
    Context,
    header::{self, Headers},
};
use crate::{
    bpsec::{error::BpsecError, item::NULL},
    cbor::{self, Reader},
};

/// The headers of a message, and its last element: a signature or a check value. `kind`: of the message, for the error.
pub(super) fn read<'a>(
    message: &'a [u8],
    context: &Context<'a>,
    kind: u64,
) -> Result<(Headers<'a>, &'a [u8]), BpsecError> {
    let mut reader = Reader::new(message);
    reader.array_of(4)?;
    let headers = Headers::read(&mut reader)?.with_additional(context)?;
    read_detached(&mut reader, kind)?;
    let value = reader.bytes()?;
    reader.end()?;
    Ok((headers, value))
}

/// Payloads are detached: they are in the target, not in the message (draft-ietf-dtn-bpsec-cose §2.3).
pub(super) fn read_detached(reader: &mut Reader<'_>, kind: u64) -> Result<(), BpsecError> {
    if reader.skip_byte(NULL) { Ok(()) } else { Err(BpsecError::Outcome { id: kind }) }
}

/// The message around `value`. `kid`: empty when the parameters hold it.
pub(super) fn put(protected: &[u8], kid: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(96 + kid.len());
    cbor::put_head(&mut out, cbor::ARRAY, 4);
    cbor::put_bytes(&mut out, protected);
    header::put_map(&mut out, None, kid, None, None);
    out.push(NULL);
    cbor::put_bytes(&mut out, value);
    out
}

/// The `Sig_structure` (RFC 9052 §4.4) or the `MAC_structure` (§6.3), up to the payload's bytes.
pub(super) fn structure(context: &str, protected: &[u8], aad: &[u8], payload_len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(32 + protected.len() + aad.len());
    cbor::put_head(&mut out, cbor::ARRAY, 4);
    cbor::put_text(&mut out, context);
    cbor::put_bytes(&mut out, protected);
    cbor::put_bytes(&mut out, aad);
    cbor::put_head(&mut out, cbor::BYTES, payload_len as u64);
    out
}
