//! The arithmetic of the contexts: HMAC-SHA2 (RFC 2104), AES-GCM (NIST SP 800-38D) and AES key wrap (RFC 3394).

use aes::cipher::{
    BlockCipherEncrypt, BlockSizeUser,
    array::ArraySize,
    consts::{U8, U9, U10, U11, U12, U13, U14, U15, U16},
};
use aes::{Aes128, Aes192, Aes256};
use aes_gcm::{AeadInOut as _, AesGcm, Nonce, Tag};
use aes_kw::AesKw;
use alloc::{vec, vec::Vec};
use hmac::{Hmac, KeyInit, Mac as _};
use sha2::{Sha256, Sha384, Sha512};

use super::error::BpsecError;

/// The length of an authentication tag in bytes (RFC 9173 §4.4.1).
pub(super) const TAG_LEN: usize = 16;
/// The length of an initialisation vector in bytes that is recommended (RFC 9173 §4.3.1).
pub(super) const IV_LEN: usize = 12;

/// An HMAC that has taken the parts in.
macro_rules! taken_in {
    ($hash:ty, $key:expr, $parts:expr) => {{
        let mut mac = Hmac::<$hash>::new_from_slice($key).expect("HMAC takes keys of any length");
        $parts.iter().for_each(|part| mac.update(part));
        mac
    }};
}
/// Which SHA-2 an HMAC uses. The codes are those of RFC 9173 §3.3.1, which took them from COSE (RFC 9053 §3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ShaVariant {
    /// HMAC 256/256.
    Sha256 = 5,
    /// HMAC 384/384: the default.
    #[default]
    Sha384 = 6,
    /// HMAC 512/512.
    Sha512 = 7,
}

impl ShaVariant {
    /// The variant with this code.
    #[must_use]
    pub const fn from_code(code: i64) -> Option<Self> {
        match code {
            5 => Some(Self::Sha256),
            6 => Some(Self::Sha384),
            7 => Some(Self::Sha512),
            _ => None,
        }
    }

    /// The code on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The length of the check value in bytes.
    #[must_use]
    pub const fn output_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The check value of the parts in turn.
    pub(super) fn make(self, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        match self {
            Self::Sha256 => taken_in!(Sha256, key, parts).finalize().into_bytes().to_vec(),
            Self::Sha384 => taken_in!(Sha384, key, parts).finalize().into_bytes().to_vec(),
            Self::Sha512 => taken_in!(Sha512, key, parts).finalize().into_bytes().to_vec(),
        }
    }

    /// Whether `found` is the whole check value of the parts; takes the same time wherever the first difference is.
    pub(super) fn holds(self, key: &[u8], parts: &[&[u8]], found: &[u8]) -> bool {
        match self {
            Self::Sha256 => taken_in!(Sha256, key, parts).verify_slice(found).is_ok(),
            Self::Sha384 => taken_in!(Sha384, key, parts).verify_slice(found).is_ok(),
            Self::Sha512 => taken_in!(Sha512, key, parts).verify_slice(found).is_ok(),
        }
    }
}

/// Which AES-GCM encrypts. The codes are those of RFC 9173 §4.3.2, which took them from COSE (RFC 9053 §4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum AesVariant {
    /// 128-bit keys.
    A128Gcm = 1,
    /// 256-bit keys: the default.
    #[default]
    A256Gcm = 3,
}

impl AesVariant {
    /// The variant with this code.
    #[must_use]
    pub const fn from_code(code: i64) -> Option<Self> {
        match code {
            1 => Some(Self::A128Gcm),
            3 => Some(Self::A256Gcm),
            _ => None,
        }
    }

    /// The code on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The length of a key in bytes.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::A128Gcm => 16,
            Self::A256Gcm => 32,
        }
    }

    /// Encrypts `data` in place and returns the tag.
    pub(super) fn encrypt(
        self,
        key: &[u8],
        iv: &[u8],
        aad: &[u8],
        data: &mut [u8],
    ) -> Result<[u8; TAG_LEN], BpsecError> {
        match self {
            Self::A128Gcm => encrypt::<Aes128>(key, iv, aad, data),
            Self::A256Gcm => encrypt::<Aes256>(key, iv, aad, data),
        }
    }

    /// Decrypts `data` in place. Whether the tag holds; when not, `data` is as it was.
    pub(super) fn decrypt(
        self,
        key: &[u8],
        iv: &[u8],
        aad: &[u8],
        data: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<bool, BpsecError> {
        match self {
            Self::A128Gcm => decrypt::<Aes128>(key, iv, aad, data, tag),
            Self::A256Gcm => decrypt::<Aes256>(key, iv, aad, data, tag),
        }
    }
}

/// What AES-GCM asks of its block cipher.
trait Cipher: BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt + KeyInit {}
impl<C: BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt + KeyInit> Cipher for C {}

/// Calls a function with the type that stands for the vector's length (RFC 9173 §4.3.1: 8 to 16 bytes).
macro_rules! by_iv_len {
    ($run:ident, $cipher:ty, $iv:ident, $($argument:expr),*) => {
        match $iv.len() {
            8 => $run::<$cipher, U8>($iv, $($argument),*),
            9 => $run::<$cipher, U9>($iv, $($argument),*),
            10 => $run::<$cipher, U10>($iv, $($argument),*),
            11 => $run::<$cipher, U11>($iv, $($argument),*),
            12 => $run::<$cipher, U12>($iv, $($argument),*),
            13 => $run::<$cipher, U13>($iv, $($argument),*),
            14 => $run::<$cipher, U14>($iv, $($argument),*),
            15 => $run::<$cipher, U15>($iv, $($argument),*),
            16 => $run::<$cipher, U16>($iv, $($argument),*),
            found => Err(BpsecError::IvLength { found }),
        }
    };
}

fn encrypt<C: Cipher>(
    key: &[u8],
    iv: &[u8],
    aad: &[u8],
    data: &mut [u8],
) -> Result<[u8; TAG_LEN], BpsecError> {
    by_iv_len!(seal, C, iv, key, aad, data)
}

fn decrypt<C: Cipher>(
    key: &[u8],
    iv: &[u8],
    aad: &[u8],
    data: &mut [u8],
    tag: &[u8; TAG_LEN],
) -> Result<bool, BpsecError> {
    by_iv_len!(open, C, iv, key, aad, data, tag)
}

fn seal<C: Cipher, N: ArraySize>(
    iv: &[u8],
    key: &[u8],
    aad: &[u8],
    data: &mut [u8],
) -> Result<[u8; TAG_LEN], BpsecError> {
    let (cipher, nonce) = gcm::<C, N>(iv, key)?;
    let tag = cipher.encrypt_inout_detached(&nonce, aad, data.into());
    tag.map(Into::into).map_err(|_| BpsecError::TooLong)
}

fn open<C: Cipher, N: ArraySize>(
    iv: &[u8],
    key: &[u8],
    aad: &[u8],
    data: &mut [u8],
    tag: &[u8; TAG_LEN],
) -> Result<bool, BpsecError> {
    let (cipher, nonce) = gcm::<C, N>(iv, key)?;
    // The tag is compared before anything is decrypted.
    Ok(cipher.decrypt_inout_detached(&nonce, aad, data.into(), &Tag::from(*tag)).is_ok())
}

fn gcm<C: Cipher, N: ArraySize>(iv: &[u8], key: &[u8]) -> Result<(AesGcm<C, N>, Nonce<N>), BpsecError> {
    let cipher = AesGcm::new_from_slice(key).map_err(|_| BpsecError::KeyLength { found: key.len() })?;
    let nonce = Nonce::<N>::try_from(iv).map_err(|_| BpsecError::IvLength { found: iv.len() })?;
    Ok((cipher, nonce))
}

/// The most bytes of a key that travels wrapped.
const MAX_WRAPPED: usize = 64;

/// Wraps `key`, a multiple of 8 bytes, with a key-encryption key of 16, 24 or 32 bytes (RFC 3394).
pub(super) fn wrap(kek: &[u8], key: &[u8]) -> Result<Vec<u8>, BpsecError> {
    if !key.len().is_multiple_of(8) || !(16..=MAX_WRAPPED).contains(&key.len()) {
        return Err(BpsecError::KeyLength { found: key.len() });
    }
    let mut out = vec![0; key.len() + 8];
    let wrapped = match kek.len() {
        16 => AesKw::<Aes128>::new_from_slice(kek).map(|kw| kw.wrap_key(key, &mut out).is_ok()),
        24 => AesKw::<Aes192>::new_from_slice(kek).map(|kw| kw.wrap_key(key, &mut out).is_ok()),
        32 => AesKw::<Aes256>::new_from_slice(kek).map(|kw| kw.wrap_key(key, &mut out).is_ok()),
        found => return Err(BpsecError::KeyLength { found }),
    };
    if wrapped == Ok(true) { Ok(out) } else { Err(BpsecError::KeyLength { found: key.len() }) }
}

/// Unwraps a key (RFC 3394).
pub(super) fn unwrap(kek: &[u8], wrapped: &[u8]) -> Result<Vec<u8>, BpsecError> {
    if !wrapped.len().is_multiple_of(8) || !(24..=MAX_WRAPPED + 8).contains(&wrapped.len()) {
        return Err(BpsecError::Unwrap);
    }
    let mut out = vec![0; wrapped.len() - 8];
    let unwrapped = match kek.len() {
        16 => AesKw::<Aes128>::new_from_slice(kek).map(|kw| kw.unwrap_key(wrapped, &mut out).is_ok()),
        24 => AesKw::<Aes192>::new_from_slice(kek).map(|kw| kw.unwrap_key(wrapped, &mut out).is_ok()),
        32 => AesKw::<Aes256>::new_from_slice(kek).map(|kw| kw.unwrap_key(wrapped, &mut out).is_ok()),
        found => return Err(BpsecError::KeyLength { found }),
    };
    if unwrapped == Ok(true) { Ok(out) } else { Err(BpsecError::Unwrap) }
}

#[cfg(test)]
#[path = "primitive_tests.rs"]
mod tests;
