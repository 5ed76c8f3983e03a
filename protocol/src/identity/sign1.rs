//! [`Sign1`]: COSE_Sign1 (RFC 9052 §4.2) in the one form that this fleet writes: EdDSA, a key identifier, nothing unprotected.
//!
//! What a signature is for is its *domain*: the external additional data (RFC 9052 §4.4), signed and not sent. A certificate's signature
//! never verifies as a checkpoint's, whatever their bytes.

use super::key::{KeyPair, PublicKey, SIGNATURE_LEN};
use crate::cbor::{self, CborError, Reader, head_len};
use alloc::vec::Vec;

const TAG: u64 = 18;
const ALG: u64 = 1;
const CRIT: u64 = 2;
const KID: u64 = 4;
/// EdDSA is algorithm -8, in CBOR a negative integer with argument 7 (RFC 9053 §2.2).
const EDDSA: (u8, u64) = (cbor::NEGATIVE, 7);
/// Longest key identifier in bytes.
const MAX_KID: usize = 16;

/// Why bytes are not a signed statement of the expected form. Refusal changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Sign1Error {
    /// More bytes than a statement of this kind may have.
    #[error("{found} bytes, at most {max} are allowed")]
    TooLong {
        /// Bytes found.
        found: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// Not deterministic CBOR of the expected shape.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// Another CBOR tag than COSE_Sign1's.
    #[error("tag {found}, expected 18 (COSE_Sign1)")]
    Tag {
        /// The tag found.
        found: u64,
    },
    /// Headers that nobody signed.
    #[error("{count} unprotected headers")]
    Unprotected {
        /// How many.
        count: u64,
    },
    /// Another algorithm than EdDSA.
    #[error("algorithm is not EdDSA")]
    Algorithm,
    /// Headers that must be understood, and are not.
    #[error("unknown critical headers")]
    UnknownCritical,
    /// A header that the form does not have.
    #[error("unknown header before byte {at}")]
    UnknownHeader {
        /// Where.
        at: usize,
    },
    /// A key identifier of no or too many bytes.
    #[error("key identifier of {found} bytes, expected 1 to 16")]
    KeyId {
        /// Bytes found.
        found: usize,
    },
    /// A signature that is not 64 bytes long.
    #[error("signature of {found} bytes, expected 64")]
    SignatureLength {
        /// Bytes found.
        found: usize,
    },
}

impl Sign1Error {
    /// A stable word.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "too_long",
            Self::Cbor(error) => error.reason(),
            Self::Tag { .. } | Self::KeyId { .. } | Self::SignatureLength { .. } => "malformed",
            Self::Unprotected { .. } => "unprotected_headers",
            Self::Algorithm => "wrong_algorithm",
            Self::UnknownCritical => "unknown_critical",
            Self::UnknownHeader { .. } => "unknown_header",
        }
    }
}

/// A statement whose form is right. Nothing in it is proven before [`Sign1::verify`].
#[derive(Clone, Copy, Debug)]
pub struct Sign1<'a> {
    kid: &'a [u8],
    protected: &'a [u8],
    payload: &'a [u8],
    signature: &'a [u8; SIGNATURE_LEN],
}

impl<'a> Sign1<'a> {
    /// Reads a statement of at most `max` bytes. Borrows; allocates nothing.
    ///
    /// # Errors
    /// [`Sign1Error`] for another form.
    pub fn parse(bytes: &'a [u8], max: usize) -> Result<Self, Sign1Error> {
        if bytes.len() > max {
            return Err(Sign1Error::TooLong { found: bytes.len(), max });
        }
        let mut reader = Reader::new(bytes);
        let found = reader.tag()?;
        if found != TAG {
            return Err(Sign1Error::Tag { found });
        }
        reader.array_of(4)?;
        let protected = reader.bytes()?;
        let count = reader.map()?;
        if count != 0 {
            return Err(Sign1Error::Unprotected { count });
        }
        let payload = reader.bytes()?;
        let signature = reader.bytes()?;
        reader.end()?;
        let signature =
            signature.try_into().map_err(|_| Sign1Error::SignatureLength { found: signature.len() })?;
        Ok(Self { kid: read_protected(protected)?, protected, payload, signature })
    }

    /// Whose key is said to have signed.
    #[must_use]
    pub const fn kid(&self) -> &'a [u8] {
        self.kid
    }

    /// What is said.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Whether `key` signed it, in this domain.
    #[must_use]
    pub fn verify(&self, domain: &[u8], key: &PublicKey) -> bool {
        let signed = |bytes: &[u8]| key.verify(bytes, self.signature);
        with_sig_structure(self.protected, domain, self.payload, signed)
    }
}

fn read_protected(protected: &[u8]) -> Result<&[u8], Sign1Error> {
    let mut reader = Reader::new(protected);
    let count = reader.map()?;
    label(&mut reader, ALG)?;
    if reader.head()? != EDDSA {
        return Err(Sign1Error::Algorithm);
    }
    label(&mut reader, KID)?;
    let kid = reader.bytes()?;
    if kid.is_empty() || kid.len() > MAX_KID {
        return Err(Sign1Error::KeyId { found: kid.len() });
    }
    if count != 2 {
        return Err(Sign1Error::UnknownHeader { at: reader.position() });
    }
    reader.end()?;
    Ok(kid)
}

fn label(reader: &mut Reader<'_>, expected: u64) -> Result<(), Sign1Error> {
    let at = reader.position();
    match reader.head()? {
        found if found == (cbor::UINT, expected) => Ok(()),
        (cbor::UINT, CRIT) => Err(Sign1Error::UnknownCritical),
        _ => Err(Sign1Error::UnknownHeader { at }),
    }
}

/// `payload`, signed by `keys` in `domain`, as a tagged COSE_Sign1 in deterministic CBOR. `kid`: 1 to 16 bytes.
#[must_use]
pub fn sign1(keys: &KeyPair, kid: &[u8], domain: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut protected = Vec::with_capacity(5 + kid.len());
    cbor::put_head(&mut protected, cbor::MAP, 2);
    cbor::put_uint(&mut protected, ALG);
    cbor::put_head(&mut protected, EDDSA.0, EDDSA.1);
    cbor::put_uint(&mut protected, KID);
    cbor::put_bytes(&mut protected, kid);
    let signature = with_sig_structure(&protected, domain, payload, |bytes| keys.sign(bytes));
    let mut out = Vec::with_capacity(protected.len() + payload.len() + 80);
    cbor::put_head(&mut out, cbor::TAG, TAG);
    cbor::put_head(&mut out, cbor::ARRAY, 4);
    cbor::put_bytes(&mut out, &protected);
    cbor::put_head(&mut out, cbor::MAP, 0);
    cbor::put_bytes(&mut out, payload);
    cbor::put_bytes(&mut out, &signature);
    out
}

/// Longest Sig_structure that needs no memory but the stack's: that of a payload of some 400 bytes.
const ON_STACK: usize = 512;

/// What is made of the Sig_structure of RFC 9052 §4.4 for COSE_Sign1, which is what is signed. Short ones are not allocated.
pub(crate) fn with_sig_structure<T>(
    protected: &[u8],
    domain: &[u8],
    payload: &[u8],
    made: impl FnOnce(&[u8]) -> T,
) -> T {
    /// `84 6a "Signature1"`: an array of four, the first of them the context.
    const CONTEXT: &[u8] = b"\x84\x6aSignature1";
    let parts = [protected, domain, payload];
    let length =
        CONTEXT.len() + parts.iter().map(|part| head_len(part.len() as u64) + part.len()).sum::<usize>();
    if length > ON_STACK {
        return made(&sig_structure(protected, domain, payload));
    }
    let (mut buffer, mut at) = ([0; ON_STACK], CONTEXT.len());
    buffer[..at].copy_from_slice(CONTEXT);
    for part in parts {
        let [high, low] = (part.len() as u16).to_be_bytes();
        let head: &[u8] = match part.len() {
            0..24 => &[cbor::BYTES << 5 | low],
            24..256 => &[cbor::BYTES << 5 | 24, low],
            _ => &[cbor::BYTES << 5 | 25, high, low],
        };
        for bytes in [head, part] {
            buffer[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        }
    }
    made(&buffer[..at])
}

/// The Sig_structure of RFC 9052 §4.4 for COSE_Sign1.
pub(crate) fn sig_structure(protected: &[u8], domain: &[u8], payload: &[u8]) -> Vec<u8> {
    const CONTEXT: &str = "Signature1";
    let parts = [CONTEXT.len(), protected.len(), domain.len(), payload.len()];
    let length = 1 + parts.iter().map(|part| head_len(*part as u64) + part).sum::<usize>();
    let mut out = Vec::with_capacity(length);
    cbor::put_head(&mut out, cbor::ARRAY, 4);
    cbor::put_text(&mut out, CONTEXT);
    cbor::put_bytes(&mut out, protected);
    cbor::put_bytes(&mut out, domain);
    cbor::put_bytes(&mut out, payload);
    out
}

/// A node's number as a key identifier: big-endian, without leading zeros.
#[must_use]
pub fn node_kid(node: crate::id::NodeId) -> Vec<u8> {
    let bytes = node.0.to_be_bytes();
    bytes[(node.0.leading_zeros() as usize / 8).min(7)..].to_vec()
}

/// The node whose number a key identifier is.
#[must_use]
pub fn kid_node(kid: &[u8]) -> Option<crate::id::NodeId> {
    if kid.is_empty() || kid.len() > 8 || kid[0] == 0 {
        return None;
    }
    Some(crate::id::NodeId(kid.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use coset::{CborSerializable as _, TaggedCborSerializable as _, iana};
    use proptest::prelude::*;

    const DOMAIN: &[u8] = b"a domain";

    fn keys() -> KeyPair {
        KeyPair::from_seed([7; 32])
    }

    fn reason(bytes: &[u8]) -> &'static str {
        Sign1::parse(bytes, 4096).map_or_else(|error| error.reason(), |_| "taken")
    }

    #[test]
    fn a_statement_holds_in_its_domain_under_its_key_only() {
        let bytes = sign1(&keys(), &[1], DOMAIN, b"so it is");
        let read = Sign1::parse(&bytes, 4096).unwrap();
        assert_eq!((read.kid(), read.payload()), (&[1][..], &b"so it is"[..]));
        assert!(read.verify(DOMAIN, keys().public()));
        assert!(!read.verify(b"another", keys().public()));
        assert!(!read.verify(DOMAIN, KeyPair::from_seed([8; 32]).public()));
    }

    #[test]
    fn other_forms_are_refused_by_reason() {
        let bytes = sign1(&keys(), &[1], DOMAIN, b"x");
        let with = |protected: &[u8]| {
            let mut out = vec![0xd2, 0x84];
            cbor::put_bytes(&mut out, protected);
            out.push(0xa0);
            cbor::put_bytes(&mut out, b"x");
            cbor::put_bytes(&mut out, &[0; 64]);
            out
        };
        assert_eq!(reason(&with(&[0xa2, 1, 0x27, 4, 0x41, 1])), "taken");
        assert_eq!(reason(&with(&[0xa2, 1, 0x26, 4, 0x41, 1])), "wrong_algorithm");
        assert_eq!(reason(&with(&[0xa3, 1, 0x27, 2, 0x81, 5, 4, 0x41, 1])), "unknown_critical");
        assert_eq!(reason(&with(&[0xa3, 1, 0x27, 4, 0x41, 1, 5, 1])), "unknown_header");
        assert_eq!(reason(&with(&[0xa2, 1, 0x27, 4, 0x40])), "malformed");
        assert_eq!(reason(&[&[0xd1][..], &bytes[1..]].concat()), "malformed");
        assert_eq!(reason(&[&bytes[..], &[0]].concat()), "trailing_bytes");
        assert_eq!(reason(&vec![0; 4097]), "too_long");
        assert_eq!(reason(&[0xd8, 18]), "non_canonical");
    }

    #[test]
    fn node_numbers_survive_as_key_identifiers() {
        for node in [1, 255, 256, u64::MAX] {
            assert_eq!(kid_node(&node_kid(crate::id::NodeId(node))), Some(crate::id::NodeId(node)));
        }
        assert_eq!(kid_node(&[0, 1]), None, "one form only");
    }

    proptest! {
        #[test]
        fn coset_reads_and_verifies_what_we_sign(payload: Vec<u8>, kid in prop::collection::vec(any::<u8>(), 1..=16)) {
            let bytes = sign1(&keys(), &kid, DOMAIN, &payload);
            let theirs = coset::CoseSign1::from_tagged_slice(&bytes).unwrap();
            prop_assert_eq!(theirs.protected.header.alg.clone(), Some(coset::Algorithm::Assigned(iana::Algorithm::EdDSA)));
            prop_assert_eq!(&theirs.protected.header.key_id, &kid);
            prop_assert_eq!(theirs.payload.as_deref(), Some(&payload[..]));
            let verified = theirs.verify_signature(DOMAIN, |signature, message| {
                let signature: &[u8; 64] = signature.try_into().unwrap();
                if keys().public().verify(message, signature) { Ok(()) } else { Err(()) }
            });
            prop_assert_eq!(verified, Ok(()));
            prop_assert!(theirs.to_vec().is_ok());
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = Sign1::parse(&bytes, 64);
        }
    }
}
