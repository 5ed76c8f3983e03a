//! COSE_Mac0 (RFC 9052 §6.2) in an integrity block: HMAC with SHA-2.

use alloc::vec::Vec;

use super::{
    COSE_MAC0, Context,
    header::{self, Headers},
};
use crate::{
    bpsec::{
        error::BpsecError, item::NULL, keys::KeyUse, operation::Operation, primitive::ShaVariant,
        rules::target_data,
    },
    cbor::{self, Reader},
};

pub(super) fn verify(
    operation: &Operation<'_>,
    context: &Context<'_>,
    message: &[u8],
) -> Result<(), BpsecError> {
    let mut reader = Reader::new(message);
    reader.array_of(4)?;
    let headers = Headers::read(&mut reader)?.with_additional(context)?;
    read_detached(&mut reader)?;
    let tag = reader.bytes()?;
    reader.end()?;
    let id = headers.algorithm()?;
    let algorithm = ShaVariant::from_code(id).ok_or(BpsecError::UnknownAlgorithm { id })?;
    let key = checked_key(algorithm, operation.key(KeyUse::Integrity, headers.kid())?)?;
    let aad = header::external_aad(operation, context)?;
    let payload = target_data(operation.bundle, operation.target)?;
    let prefix = structure(headers.protected, &aad, payload.len());
    if algorithm.holds(key, &[&prefix, payload], tag) { Ok(()) } else { Err(operation.failed()) }
}

/// A message with the check value of `payload`, without it. `kid`: empty when the parameters hold it.
pub(in crate::bpsec) fn make(
    algorithm: ShaVariant,
    key: &[u8],
    kid: &[u8],
    aad: &[u8],
    payload: &[u8],
) -> Result<Vec<u8>, BpsecError> {
    let key = checked_key(algorithm, key)?;
    let protected = header::protected(i64::from(algorithm.code()));
    let tag = algorithm.make(key, &[&structure(&protected, aad, payload.len()), payload]);
    let mut out = Vec::with_capacity(96 + kid.len());
    cbor::put_head(&mut out, cbor::ARRAY, 4);
    cbor::put_bytes(&mut out, &protected);
    header::put_map(&mut out, None, kid, None, None);
    out.push(NULL);
    cbor::put_bytes(&mut out, &tag);
    Ok(out)
}

/// Payloads are detached: they are in the target, not in the message (draft-ietf-dtn-bpsec-cose §2.3).
pub(super) fn read_detached(reader: &mut Reader<'_>) -> Result<(), BpsecError> {
    if reader.skip_byte(NULL) { Ok(()) } else { Err(BpsecError::Outcome { id: COSE_MAC0 }) }
}

/// Keys are as long as the hash's output (draft-ietf-dtn-bpsec-cose §3.2.2).
fn checked_key(algorithm: ShaVariant, key: &[u8]) -> Result<&[u8], BpsecError> {
    if key.len() == algorithm.output_len() {
        Ok(key)
    } else {
        Err(BpsecError::KeyLength { found: key.len() })
    }
}

/// The `MAC_structure` (RFC 9052 §6.3) up to the payload's bytes.
fn structure(protected: &[u8], aad: &[u8], payload_len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(32 + protected.len() + aad.len());
    cbor::put_head(&mut out, cbor::ARRAY, 4);
    cbor::put_text(&mut out, "MAC0");
    cbor::put_bytes(&mut out, protected);
    cbor::put_bytes(&mut out, aad);
    cbor::put_head(&mut out, cbor::BYTES, payload_len as u64);
    out
}
