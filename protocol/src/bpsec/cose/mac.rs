//! COSE_Mac0 (RFC 9052 §6.2) in an integrity block: HMAC with SHA-2.

use alloc::vec::Vec;

use super::{
    COSE_MAC0, Context,
    detached::{self, structure},
    header,
};
use crate::bpsec::{
    error::BpsecError, keys::KeyUse, operation::Operation, primitive::ShaVariant, rules::target_data,
};

/// RFC 9052 §6.3.
const STRUCTURE: &str = "MAC0";

pub(super) fn verify(
    operation: &Operation<'_>,
    context: &Context<'_>,
    message: &[u8],
) -> Result<(), BpsecError> {
    let (headers, tag) = detached::read(message, context, COSE_MAC0)?;
    let id = headers.algorithm()?;
    let algorithm = ShaVariant::from_code(id).ok_or(BpsecError::UnknownAlgorithm { id })?;
    let key = checked_key(algorithm, operation.key(KeyUse::Integrity, headers.kid())?)?;
    let aad = header::external_aad(operation, context)?;
    let payload = &*target_data(operation.bundle, operation.target)?;
    let prefix = structure(STRUCTURE, headers.protected, &aad, payload.len());
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
    let tag = algorithm.make(key, &[&structure(STRUCTURE, &protected, aad, payload.len()), payload]);
    Ok(detached::put(&protected, kid, &tag))
}

/// Keys are as long as the hash's output (draft-ietf-dtn-bpsec-cose §3.2.2).
fn checked_key(algorithm: ShaVariant, key: &[u8]) -> Result<&[u8], BpsecError> {
    if key.len() == algorithm.output_len() {
        Ok(key)
    } else {
        Err(BpsecError::KeyLength { found: key.len() })
    }
}
