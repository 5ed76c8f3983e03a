//! COSE_Encrypt0 and COSE_Encrypt (RFC 9052 §5) in a confidentiality block: AES-GCM, with a key that is shared, wrapped or derived.

use alloc::{borrow::Cow, vec::Vec};

use super::{
    COSE_ENCRYPT0, Context,
    detached::read_detached,
    header::{self, Headers},
    kdf,
};
use crate::{
    bpsec::{
        error::BpsecError,
        item::NULL,
        keys::KeyUse,
        operation::Operation,
        primitive::{AesVariant, IV_LEN, TAG_LEN, unwrap, wrap},
        rules::target_data,
    },
    cbor::{self, Reader},
};

/// Algorithms of recipients (RFC 9053 §6.1, §6.2).
const A128KW: i64 = -3;
const A192KW: i64 = -4;
const A256KW: i64 = -5;
const DIRECT: i64 = -6;

/// How the one recipient of a COSE_Encrypt comes to the content's key.
#[derive(Clone, Copy, Debug)]
pub enum Recipient<'a> {
    /// AES key wrap (RFC 9053 §6.2.1).
    KeyWrap {
        /// The key-encryption key: 16, 24 or 32 bytes.
        kek: &'a [u8],
        /// The content's key: 16 or 32 bytes, fresh from the caller.
        key: &'a [u8],
    },
    /// direct+HKDF-SHA-512 (RFC 9053 §6.1.2). A fresh salt gives each target a key of its own.
    Derived {
        /// The secret that is shared.
        secret: &'a [u8],
    },
}

/// What the content's key is.
#[derive(Clone, Copy, Debug)]
pub(in crate::bpsec) enum Content<'a> {
    /// A key that both ends have: COSE_Encrypt0.
    Shared(&'a [u8]),
    /// A key for a recipient: COSE_Encrypt. With the salt for one that is derived.
    For(Recipient<'a>, &'a [u8]),
}

/// Encrypts `data`, tag at its end, and gives the message without it.
pub(in crate::bpsec) fn seal(
    content: Content<'_>,
    kid: &[u8],
    (source, additional): (&[u8], &[u8]),
    iv: &[u8; IV_LEN],
    aad: &[u8],
    data: &mut Vec<u8>,
) -> Result<Vec<u8>, BpsecError> {
    let key: Cow<'_, [u8]> = match content {
        Content::Shared(key) | Content::For(Recipient::KeyWrap { key, .. }, _) => Cow::Borrowed(key),
        Content::For(Recipient::Derived { secret }, salt) => {
            let variant = AesVariant::A256Gcm;
            let protected = header::protected(kdf::DIRECT_HKDF_SHA_512);
            Cow::Owned(kdf::derive(secret, salt, variant, &protected, source, additional))
        }
    };
    let variant =
        if key.len() == AesVariant::A128Gcm.key_len() { AesVariant::A128Gcm } else { AesVariant::A256Gcm };
    let is_direct = matches!(content, Content::Shared(_));
    let protected = header::protected(i64::from(variant.code()));
    let tag = variant.encrypt(&key, iv, &structure(is_direct, &protected, aad), data)?;
    data.extend_from_slice(&tag);
    let mut out = Vec::with_capacity(128);
    cbor::put_head(&mut out, cbor::ARRAY, if is_direct { 3 } else { 4 });
    cbor::put_bytes(&mut out, &protected);
    header::put_map(&mut out, None, if is_direct { kid } else { &[] }, Some(iv), None);
    out.push(NULL);
    if let Content::For(recipient, salt) = content {
        cbor::put_head(&mut out, cbor::ARRAY, 1);
        put_recipient(&mut out, recipient, kid, salt)?;
    }
    Ok(out)
}

fn put_recipient(
    out: &mut Vec<u8>,
    recipient: Recipient<'_>,
    kid: &[u8],
    salt: &[u8],
) -> Result<(), BpsecError> {
    cbor::put_head(out, cbor::ARRAY, 3);
    match recipient {
        Recipient::KeyWrap { kek, key } => {
            let algorithm = match kek.len() {
                16 => A128KW,
                24 => A192KW,
                _ => A256KW,
            };
            cbor::put_bytes(out, &[]);
            header::put_map(out, Some(algorithm), kid, None, None);
            cbor::put_bytes(out, &wrap(kek, key)?);
        }
        Recipient::Derived { .. } => {
            cbor::put_bytes(out, &header::protected(kdf::DIRECT_HKDF_SHA_512));
            header::put_map(out, None, kid, None, Some(salt));
            cbor::put_bytes(out, &[]);
        }
    }
    Ok(())
}

/// The plaintext of an operation's target.
pub(super) fn open(
    operation: &Operation<'_>,
    context: &Context<'_>,
    id: u64,
    message: &[u8],
) -> Result<Vec<u8>, BpsecError> {
    let is_direct = id == COSE_ENCRYPT0;
    let mut reader = Reader::new(message);
    reader.array_of(if is_direct { 3 } else { 4 })?;
    let mut headers = Headers::read(&mut reader)?;
    read_detached(&mut reader, id)?;
    if is_direct {
        // The additional headers belong to the last layer.
        headers = headers.with_additional(context)?;
    }
    let algorithm = headers.algorithm()?;
    let unknown = BpsecError::UnknownAlgorithm { id: algorithm };
    let variant = AesVariant::from_code(algorithm).ok_or(unknown)?;
    let key = if is_direct {
        Cow::Borrowed(operation.key(KeyUse::Confidentiality, headers.kid())?)
    } else {
        // One recipient: there is one acceptor that this implementation writes for or is.
        reader.array_of(1)?;
        read_recipient(operation, context, variant, &mut reader)?
    };
    reader.end()?;
    if key.len() != variant.key_len() {
        return Err(BpsecError::KeyLength { found: key.len() });
    }
    let aad = structure(is_direct, headers.protected, &header::external_aad(operation, context)?);
    let mut data = target_data(operation.bundle, operation.target)?.into_owned();
    let start = data.len().checked_sub(TAG_LEN).ok_or(operation.failed())?;
    let tag = data.split_off(start).try_into().map_err(|_| operation.failed())?;
    let iv = headers.iv()?;
    // RFC 9053 §4.1: the nonce of AES-GCM in COSE has 96 bits.
    if iv.len() != IV_LEN {
        return Err(BpsecError::IvLength { found: iv.len() });
    }
    if variant.decrypt(&key, iv, &aad, &mut data, &tag)? { Ok(data) } else { Err(operation.failed()) }
}

fn read_recipient<'a>(
    operation: &Operation<'a>,
    context: &Context<'_>,
    variant: AesVariant,
    reader: &mut Reader<'_>,
) -> Result<Cow<'a, [u8]>, BpsecError> {
    reader.array_of(3)?;
    let headers = Headers::read(reader)?.with_additional(context)?;
    let ciphertext = reader.bytes()?;
    match headers.algorithm()? {
        A128KW | A192KW | A256KW if headers.protected.is_empty() => {
            let kek = operation.key(KeyUse::Wrapping, headers.kid())?;
            unwrap(kek, ciphertext).map(Cow::Owned)
        }
        DIRECT if headers.protected.is_empty() && ciphertext.is_empty() => {
            operation.key(KeyUse::Confidentiality, headers.kid()).map(Cow::Borrowed)
        }
        kdf::DIRECT_HKDF_SHA_512 if ciphertext.is_empty() => {
            let secret = operation.key(KeyUse::Derivation, headers.kid())?;
            let source = operation.security.source.wire();
            let (salt, protected) = (headers.salt()?, headers.protected);
            Ok(Cow::Owned(kdf::derive(secret, salt, variant, protected, source, context.protected)))
        }
        id => Err(BpsecError::UnknownAlgorithm { id }),
    }
}

/// The `Enc_structure` (RFC 9052 §5.3).
pub(super) fn structure(is_direct: bool, protected: &[u8], aad: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(32 + protected.len() + aad.len());
    cbor::put_head(&mut out, cbor::ARRAY, 3);
    cbor::put_text(&mut out, if is_direct { "Encrypt0" } else { "Encrypt" });
    cbor::put_bytes(&mut out, protected);
    cbor::put_bytes(&mut out, aad);
    out
}
