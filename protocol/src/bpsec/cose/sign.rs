//! COSE_Sign1 (RFC 9052 §4.2) in an integrity block: EdDSA with Ed25519; other algorithms are the host's to check.

use alloc::vec::Vec;

use super::{COSE_SIGN1, Context, detached, header};
use crate::{
    bpsec::{error::BpsecError, keys::OtherSignature, operation::Operation, rules::target_data},
    identity::{KeyPair, SIGNATURE_LEN},
};

/// EdDSA (RFC 9053 §2.2), which is written, and Ed25519 (RFC 9864 §2.2), which says the same more exactly.
const EDDSA: i64 = -8;
const ED25519: i64 = -19;

pub(super) fn verify(
    operation: &Operation<'_>,
    context: &Context<'_>,
    message: &[u8],
) -> Result<(), BpsecError> {
    let (headers, signature) = detached::read(message, context, COSE_SIGN1)?;
    let algorithm = headers.algorithm()?;
    let aad = header::external_aad(operation, context)?;
    let signed = signature1(headers.protected, &aad, &target_data(operation.bundle, operation.target)?);
    let (source, kid) = (operation.security.source.endpoint(), headers.kid());
    let holds = if matches!(algorithm, EDDSA | ED25519) {
        let no_key = BpsecError::NoKey { target: operation.target };
        let key = operation.keys.public(source, kid).ok_or(no_key)?;
        let signature: Option<&[u8; SIGNATURE_LEN]> = signature.try_into().ok();
        signature.is_some_and(|signature| key.verify(&signed, signature))
    } else {
        let other = OtherSignature { source, kid, algorithm, message: &signed, signature };
        let unknown = BpsecError::UnknownAlgorithm { id: algorithm };
        operation.keys.verify_other(&other).ok_or(unknown)?
    };
    if holds { Ok(()) } else { Err(operation.failed()) }
}

/// A message with the signature of `payload`, without it. `kid`: empty to leave it out.
pub(in crate::bpsec) fn make(keys: &KeyPair, kid: &[u8], aad: &[u8], payload: &[u8]) -> Vec<u8> {
    let protected = header::protected(EDDSA);
    let signature = keys.sign(&signature1(&protected, aad, payload));
    detached::put(&protected, kid, &signature)
}

/// The `Sig_structure` (RFC 9052 §4.4).
fn signature1(protected: &[u8], aad: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut out = detached::structure("Signature1", protected, aad, payload.len());
    out.extend_from_slice(payload);
    out
}
