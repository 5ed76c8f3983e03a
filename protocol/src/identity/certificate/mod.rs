//! [`Certificate`]: the authority's word that a key speaks for a node, in a role, for a time.
//!
//! A CBOR Web Token (RFC 8392) in COSE_Sign1, untagged as a token, of some 160 bytes:
//!
//! | Claim | Value |
//! |---|---|
//! | 2 (`sub`) | `ipn:NODE.0` |
//! | 4 (`exp`), 5 (`nbf`) | seconds since 1970 UTC |
//! | 8 (`cnf`, RFC 8747 §3.2) | `{1: COSE_Key}`, an Ed25519 key |
//! | 9 (`scope`, RFC 8693) | the scope's text; left out when it is everything |
//! | -65537 (private use) | the role's number |

mod validity;

pub use validity::{Clock, Standing, TimeRule, ValidityError};

use super::{
    key::{KeyPair, PublicKey, PublicKeyError},
    role::Role,
    scope::{Scope, ScopeError},
    sign1::{Sign1, Sign1Error, sign1},
    thumbprint::{COSE_KEY, KeyId, put_cose_key},
};
use crate::{
    cbor::{self, CborError, Reader},
    id::{EndpointId, NodeId},
    time::DtnTime,
};
use alloc::{string::ToString as _, vec::Vec};

/// Longest certificate in bytes.
pub const MAX_CERTIFICATE_LEN: usize = 320;

const DOMAIN: &[u8] = b"cosmosmesh-certificate-v1";
const SUB: u64 = 2;
const EXP: u64 = 4;
const NBF: u64 = 5;
const CNF: u64 = 8;
const SCOPE: u64 = 9;
/// Claim -65537, in CBOR a negative integer with argument 65536.
const ROLE: (u8, u64) = (cbor::NEGATIVE, 0x1_0000);
/// Seconds from 1970 to 2000, where the DTN time scale begins (RFC 9171 §4.2.6).
const UNIX_TO_DTN_S: u64 = 946_684_800;

/// What a certificate says. Times are whole seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// For whom.
    pub subject: NodeId,
    /// The key that speaks for the subject.
    pub key: PublicKey,
    /// In which role.
    pub role: Role,
    /// For which part of the fleet.
    pub scope: Scope,
    /// From when on.
    pub not_before: DtnTime,
    /// Until when.
    pub expires: DtnTime,
}

/// Why bytes are not a certificate of this fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not a signed statement of the expected form.
    #[error(transparent)]
    Form(#[from] Sign1Error),
    /// The claims are not those of the profile.
    #[error(transparent)]
    Claims(#[from] CborError),
    /// A claim that the profile does not have, or one in another place.
    #[error("unknown claim before byte {at}")]
    UnknownClaim {
        /// Where.
        at: usize,
    },
    /// The subject is not a node's name.
    #[error("the subject is not a node")]
    Subject,
    /// The key is none that can be trusted.
    #[error(transparent)]
    Key(#[from] PublicKeyError),
    /// The key is not an Ed25519 key in a COSE_Key.
    #[error("not an Ed25519 COSE_Key")]
    KeyType,
    /// A role without meaning.
    #[error("unknown role {found}")]
    Role {
        /// The number found.
        found: u64,
    },
    /// A scope that is none.
    #[error(transparent)]
    Scope(#[from] ScopeError),
    /// It ends before it begins, or lies before 2000.
    #[error("from {not_before} to {expires} seconds of 1970 is no time that a certificate may have")]
    Period {
        /// First second.
        not_before: u64,
        /// Last second.
        expires: u64,
    },
    /// Another key than the authority's is said to have signed.
    #[error("signed by key {found}, the authority's is {expected}")]
    OtherAuthority {
        /// The key named.
        found: KeyId,
        /// The authority's.
        expected: KeyId,
    },
    /// The signature is not the authority's.
    #[error("bad signature")]
    BadSignature,
}

impl CertificateError {
    /// A stable word.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Form(error) => error.reason(),
            Self::Claims(error) => error.reason(),
            Self::UnknownClaim { .. } => "certificate_claim",
            Self::Subject => "certificate_subject",
            Self::Key(_) | Self::KeyType => "certificate_key",
            Self::Role { .. } => "certificate_role",
            Self::Scope(_) => "certificate_scope",
            Self::Period { .. } => "certificate_period",
            Self::OtherAuthority { .. } => "other_authority",
            Self::BadSignature => "bad_certificate_signature",
        }
    }
}

/// The key that a certificate says to be signed by: unproven.
pub(super) fn claimed_signer(bytes: &[u8]) -> Option<KeyId> {
    let signed = Sign1::parse(bytes, MAX_CERTIFICATE_LEN).ok()?;
    signed.kid().try_into().ok().map(KeyId)
}

impl Certificate {
    /// The certificate as the authority signs it. Times are cut to whole seconds.
    #[must_use]
    pub fn issue(&self, authority: &KeyPair) -> Vec<u8> {
        sign1(authority, &KeyId::of(authority.public()).0, DOMAIN, &self.claims())
    }

    fn claims(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(96);
        cbor::put_head(&mut out, cbor::MAP, if self.scope.as_str().is_empty() { 5 } else { 6 });
        cbor::put_uint(&mut out, SUB);
        cbor::put_text(&mut out, &self.subject.endpoint(0).to_string());
        cbor::put_uint(&mut out, EXP);
        cbor::put_uint(&mut out, seconds(self.expires));
        cbor::put_uint(&mut out, NBF);
        cbor::put_uint(&mut out, seconds(self.not_before));
        cbor::put_uint(&mut out, CNF);
        cbor::put_head(&mut out, cbor::MAP, 1);
        cbor::put_uint(&mut out, 1);
        put_cose_key(&mut out, &self.key);
        if !self.scope.as_str().is_empty() {
            cbor::put_uint(&mut out, SCOPE);
            cbor::put_text(&mut out, self.scope.as_str());
        }
        cbor::put_head(&mut out, ROLE.0, ROLE.1);
        cbor::put_uint(&mut out, u64::from(self.role.number()));
        out
    }

    /// Reads a certificate and checks that `authority` signed it. Whether its time has come is [`TimeRule::judge`]'s to say.
    ///
    /// From cheap to dear: form, key identifier, claims, signature.
    ///
    /// # Errors
    /// [`CertificateError`] for anything else.
    pub fn open(bytes: &[u8], authority: &PublicKey) -> Result<Self, CertificateError> {
        let signed = Sign1::parse(bytes, MAX_CERTIFICATE_LEN)?;
        let expected = KeyId::of(authority);
        let mut found = [0; super::thumbprint::KEY_ID_LEN];
        let kid = signed.kid();
        found[..kid.len().min(8)].copy_from_slice(&kid[..kid.len().min(8)]);
        if kid != expected.0 {
            return Err(CertificateError::OtherAuthority { found: KeyId(found), expected });
        }
        let certificate = Self::read(signed.payload())?;
        if signed.verify(DOMAIN, authority) { Ok(certificate) } else { Err(CertificateError::BadSignature) }
    }

    /// Of whom a certificate says to be: unproven, to find out whether it is worth a check.
    #[must_use]
    pub fn claimed_subject(bytes: &[u8]) -> Option<NodeId> {
        let signed = Sign1::parse(bytes, MAX_CERTIFICATE_LEN).ok()?;
        Self::read(signed.payload()).ok().map(|certificate| certificate.subject)
    }

    fn read(claims: &[u8]) -> Result<Self, CertificateError> {
        let mut reader = Reader::new(claims);
        let count = reader.map()?;
        claim(&mut reader, (cbor::UINT, SUB))?;
        let subject = match reader.text()?.parse::<EndpointId>() {
            Ok(EndpointId::Ipn { node, service: 0 }) => node,
            _ => return Err(CertificateError::Subject),
        };
        claim(&mut reader, (cbor::UINT, EXP))?;
        let expires = reader.uint()?;
        claim(&mut reader, (cbor::UINT, NBF))?;
        let not_before = reader.uint()?;
        claim(&mut reader, (cbor::UINT, CNF))?;
        let key = read_key(&mut reader)?;
        let scope = if count == 6 {
            claim(&mut reader, (cbor::UINT, SCOPE))?;
            reader.text()?.parse()?
        } else {
            Scope::everything()
        };
        claim(&mut reader, ROLE)?;
        let number = reader.uint()?;
        let role = Role::from_number(number).ok_or(CertificateError::Role { found: number })?;
        if !(5..=6).contains(&count) || (count == 6 && scope.as_str().is_empty()) {
            return Err(CertificateError::UnknownClaim { at: reader.position() });
        }
        reader.end()?;
        let period = CertificateError::Period { not_before, expires };
        let time = |unix: u64| unix.checked_sub(UNIX_TO_DTN_S)?.checked_mul(1000).map(DtnTime);
        let (Some(from), Some(to)) = (time(not_before), time(expires)) else { return Err(period) };
        if from >= to {
            return Err(period);
        }
        Ok(Self { subject, key, role, scope, not_before: from, expires: to })
    }
}

fn claim(reader: &mut Reader<'_>, expected: (u8, u64)) -> Result<(), CertificateError> {
    let at = reader.position();
    if reader.head()? == expected { Ok(()) } else { Err(CertificateError::UnknownClaim { at }) }
}

/// `{1: COSE_Key}` of an Ed25519 key.
fn read_key(reader: &mut Reader<'_>) -> Result<PublicKey, CertificateError> {
    let map = reader.map()?;
    if map != 1 || reader.uint()? != 1 {
        return Err(CertificateError::KeyType);
    }
    for expected in &COSE_KEY[..6] {
        if !reader.skip_byte(*expected) {
            return Err(CertificateError::KeyType);
        }
    }
    let bytes: &[u8; 32] = reader.bytes()?.try_into().map_err(|_| CertificateError::KeyType)?;
    Ok(PublicKey::from_bytes(bytes)?)
}

const fn seconds(time: DtnTime) -> u64 {
    time.0 / 1000 + UNIX_TO_DTN_S
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
