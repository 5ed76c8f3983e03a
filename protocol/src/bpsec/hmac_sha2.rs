//! BIB-HMAC-SHA2 (RFC 9173 §3): a check value under a shared key.

use alloc::{borrow::Cow, vec::Vec};

use super::{
    asb::SecurityBlock,
    error::BpsecError,
    item::Item,
    keys::KeyUse,
    operation::Operation,
    primitive::{ShaVariant, unwrap},
    rules::target_data,
    scope::{Header, ScopeFlags, associated_data},
};
use crate::{
    bundle::Bundle,
    cbor::{self, head_len},
};

/// Parameters (RFC 9173 §3.3).
pub(super) const SHA_VARIANT: u64 = 1;
pub(super) const WRAPPED_KEY: u64 = 2;
pub(super) const SCOPE_FLAGS: u64 = 3;
/// The one result (RFC 9173 §3.4).
pub(super) const EXPECTED_HMAC: u64 = 1;

struct Parameters<'a> {
    variant: ShaVariant,
    wrapped: Option<&'a [u8]>,
    scope: ScopeFlags,
}

impl<'a> Parameters<'a> {
    fn read(security: &'a SecurityBlock) -> Result<Self, BpsecError> {
        let mut found = Self { variant: ShaVariant::default(), wrapped: None, scope: ScopeFlags::default() };
        for item in security.parameters() {
            let malformed = BpsecError::Parameter { id: item.id };
            match item.id {
                SHA_VARIANT => {
                    let code = item.as_uint().ok_or(malformed)?;
                    let id = i64::try_from(code).unwrap_or(i64::MAX);
                    found.variant = ShaVariant::from_code(id).ok_or(BpsecError::UnknownAlgorithm { id })?;
                }
                WRAPPED_KEY => found.wrapped = Some(item.as_bytes().ok_or(malformed)?),
                SCOPE_FLAGS => found.scope = read_scope(item)?,
                _ => return Err(malformed),
            }
        }
        Ok(found)
    }
}

/// Scope flags, in RFC 9173's 16 bits.
pub(super) fn read_scope(item: &Item) -> Result<ScopeFlags, BpsecError> {
    let flags = item.as_uint().filter(|flags| *flags <= ScopeFlags::MAX);
    flags.map(ScopeFlags).ok_or(BpsecError::Parameter { id: item.id })
}

/// What stands before the target's data in the integrity-protected plaintext (RFC 9173 §3.7): scope, headers, and the head of the data's
/// byte string.
pub(super) fn plaintext_prefix(
    bundle: &Bundle,
    security: Header,
    target: u64,
    scope: ScopeFlags,
) -> Result<Vec<u8>, BpsecError> {
    let mut out = associated_data(bundle, security, target, scope)?;
    let length = target_data(bundle, target)?.len() as u64;
    out.reserve(head_len(length));
    cbor::put_head(&mut out, cbor::BYTES, length);
    Ok(out)
}

/// Checks an operation.
pub(super) fn verify(operation: &Operation<'_>) -> Result<(), BpsecError> {
    let parameters = Parameters::read(operation.security)?;
    let [Item { id: EXPECTED_HMAC, .. }] = operation.results else {
        return Err(BpsecError::Outcome { id: EXPECTED_HMAC });
    };
    let expected = operation.results[0].as_bytes().ok_or(BpsecError::Outcome { id: EXPECTED_HMAC })?;
    operation.refuse_crc()?;
    let key = match parameters.wrapped {
        None => Cow::Borrowed(operation.key(KeyUse::Integrity, &[])?),
        Some(wrapped) => Cow::Owned(unwrap(operation.key(KeyUse::Wrapping, &[])?, wrapped)?),
    };
    let prefix = plaintext_prefix(operation.bundle, operation.header, operation.target, parameters.scope)?;
    let data = &*target_data(operation.bundle, operation.target)?;
    if parameters.variant.holds(&key, &[&prefix, data], expected) { Ok(()) } else { Err(operation.failed()) }
}

/// Whether the check values cover the security block's number, so that they would not hold in another block.
pub(super) fn covers_own_header(security: &SecurityBlock) -> bool {
    Parameters::read(security).is_ok_and(|found| found.scope.contains(ScopeFlags::SECURITY_HEADER))
}
