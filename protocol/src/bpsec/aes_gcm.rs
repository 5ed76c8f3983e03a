//! BCB-AES-GCM (RFC 9173 §4): encryption under a shared key, or one that travels wrapped.

use alloc::{borrow::Cow, vec::Vec};

use super::{
    asb::SecurityBlock,
    error::BpsecError,
    hmac_sha2::read_scope,
    keys::KeyUse,
    operation::Operation,
    primitive::{AesVariant, TAG_LEN, unwrap},
    rules::target_data,
    scope::{ScopeFlags, associated_data},
};

/// Parameters (RFC 9173 §4.3).
pub(super) const INITIALISATION_VECTOR: u64 = 1;
pub(super) const AES_VARIANT: u64 = 2;
pub(super) const WRAPPED_KEY: u64 = 3;
pub(super) const SCOPE_FLAGS: u64 = 4;
/// The one result (RFC 9173 §4.4), which is absent when the tag ends the ciphertext.
pub(super) const AUTHENTICATION_TAG: u64 = 1;

struct Parameters<'a> {
    iv: &'a [u8],
    variant: AesVariant,
    wrapped: Option<&'a [u8]>,
    scope: ScopeFlags,
}

impl<'a> Parameters<'a> {
    fn read(security: &'a SecurityBlock) -> Result<Self, BpsecError> {
        let mut iv = None;
        let (mut variant, mut wrapped, mut scope) = (AesVariant::default(), None, ScopeFlags::default());
        for item in security.parameters() {
            let malformed = BpsecError::Parameter { id: item.id };
            match item.id {
                INITIALISATION_VECTOR => iv = Some(item.as_bytes().ok_or(malformed)?),
                AES_VARIANT => {
                    let code = item.as_uint().ok_or(malformed)?;
                    let id = i64::try_from(code).unwrap_or(i64::MAX);
                    variant = AesVariant::from_code(id).ok_or(BpsecError::UnknownAlgorithm { id })?;
                }
                WRAPPED_KEY => wrapped = Some(item.as_bytes().ok_or(malformed)?),
                SCOPE_FLAGS => scope = read_scope(item)?,
                _ => return Err(malformed),
            }
        }
        let iv = iv.ok_or(BpsecError::Parameter { id: INITIALISATION_VECTOR })?;
        Ok(Self { iv, variant, wrapped, scope })
    }
}

/// The plaintext of an operation's target.
pub(super) fn decrypt(operation: &Operation<'_>) -> Result<Vec<u8>, BpsecError> {
    let parameters = Parameters::read(operation.security)?;
    operation.refuse_crc()?;
    let mut data = target_data(operation.bundle, operation.target)?.into_owned();
    let malformed = BpsecError::Outcome { id: AUTHENTICATION_TAG };
    let tag: [u8; TAG_LEN] = match operation.results {
        [] => {
            // RFC 9173 §4.4.1: the tag is the ciphertext's end.
            let start = data.len().checked_sub(TAG_LEN).ok_or(operation.failed())?;
            data.split_off(start).try_into().map_err(|_| malformed)?
        }
        [item] if item.id == AUTHENTICATION_TAG => {
            item.as_bytes().and_then(|tag| tag.try_into().ok()).ok_or(malformed)?
        }
        _ => return Err(malformed),
    };
    let key = match parameters.wrapped {
        None => Cow::Borrowed(operation.key(KeyUse::Confidentiality, &[])?),
        Some(wrapped) => Cow::Owned(unwrap(operation.key(KeyUse::Wrapping, &[])?, wrapped)?),
    };
    let aad = associated_data(operation.bundle, operation.header, operation.target, parameters.scope)?;
    if parameters.variant.decrypt(&key, parameters.iv, &aad, &mut data, &tag)? {
        Ok(data)
    } else {
        Err(operation.failed())
    }
}
