//! [`RevocationList`]: the keys that the authority has taken back, as one signed list of which the newest version counts.

use super::{
    key::{KeyPair, PublicKey},
    sign1::{Sign1, Sign1Error, sign1},
    thumbprint::{KEY_ID_LEN, KeyId},
};
use crate::{
    cbor::{self, CborError, Reader},
    id::NodeId,
    time::DtnTime,
};
use alloc::{collections::BTreeMap, vec::Vec};

/// Most keys in a list. None leaves it: nobody can say which certificates are left of one.
pub const MAX_REVOKED: usize = 1024;
/// Longest list in bytes.
pub const MAX_LIST_LEN: usize = 40 * 1024;

const DOMAIN: &[u8] = b"cosmosmesh-revocations-v1";

/// Why a key was taken back, and with that what becomes of messages in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Cause {
    /// Another took its place; nobody else has it. Messages made before are taken while they drain.
    Superseded = 0,
    /// The member is blocked. As compromised.
    Blocked = 1,
    /// Somebody else may have it. Whoever has it can write any time into a message, so nothing more is taken, in flight or not; the honest
    /// owner sends again what is not acknowledged, under a new key.
    Compromised = 2,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Superseded, Self::Blocked, Self::Compromised];

    /// A stable word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Superseded => "superseded",
            Self::Blocked => "blocked",
            Self::Compromised => "compromised",
        }
    }
}

/// When and why a key was taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// From when on, by the authority's clock.
    pub since: DtnTime,
    /// Why.
    pub cause: Cause,
}

/// All keys that are taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevocationList {
    /// Greater than that of every list before.
    pub version: u64,
    /// When it was signed: a sign of life of the authority, and a lower bound of time for whoever reads it.
    pub issued: DtnTime,
    /// The keys by node and name; the node tells whose it was.
    pub keys: BTreeMap<(NodeId, KeyId), Revoked>,
}

/// Why bytes are not a list of this authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevocationError {
    /// Not a signed statement of the expected form.
    #[error(transparent)]
    Form(#[from] Sign1Error),
    /// Not the expected content.
    #[error(transparent)]
    Content(#[from] CborError),
    /// More keys than a list may have.
    #[error("{found} keys, at most {MAX_REVOKED} are allowed")]
    TooMany {
        /// Keys announced.
        found: u64,
    },
    /// An entry out of order, or with an unknown cause.
    #[error("entry out of order or unknown before byte {at}")]
    Entry {
        /// Where.
        at: usize,
    },
    /// Another key than the authority's is said to have signed.
    #[error("not the authority's key")]
    OtherAuthority,
    /// The signature is not the authority's.
    #[error("bad signature")]
    BadSignature,
    /// A version beyond all that there are, or too far ahead for a key that the authority has retired.
    #[error("version {found}")]
    Version {
        /// The version found.
        found: u64,
    },
}

impl RevocationError {
    /// A stable word.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Form(error) => error.reason(),
            Self::Content(error) => error.reason(),
            Self::TooMany { .. } => "revocations_too_many",
            Self::Entry { .. } => "revocations_malformed",
            Self::OtherAuthority => "other_authority",
            Self::BadSignature => "bad_revocation_signature",
            Self::Version { .. } => "revocations_version",
        }
    }
}

impl RevocationList {
    /// The list as the authority signs it.
    ///
    /// # Panics
    /// With more than [`MAX_REVOKED`] keys: the issuer refuses one more.
    #[must_use]
    pub fn issue(&self, authority: &KeyPair) -> Vec<u8> {
        assert!(self.keys.len() <= MAX_REVOKED, "at most {MAX_REVOKED} keys are taken back at a time");
        let mut payload = Vec::with_capacity(32 + self.keys.len() * 32);
        cbor::put_head(&mut payload, cbor::ARRAY, 3);
        cbor::put_uint(&mut payload, self.version);
        cbor::put_uint(&mut payload, self.issued.0);
        cbor::put_head(&mut payload, cbor::ARRAY, self.keys.len() as u64);
        for ((node, key), revoked) in &self.keys {
            put_entry(&mut payload, (*node, *key), *revoked);
        }
        sign1(authority, &KeyId::of(authority.public()).0, DOMAIN, &payload)
    }

    /// Reads a list and checks that `authority` signed it. Nothing is allocated beyond what the bytes hold.
    ///
    /// # Errors
    /// [`RevocationError`] for anything else.
    pub fn open(bytes: &[u8], authority: &PublicKey) -> Result<Self, RevocationError> {
        let signed = Sign1::parse(bytes, MAX_LIST_LEN)?;
        if signed.kid() != KeyId::of(authority).0 {
            return Err(RevocationError::OtherAuthority);
        }
        // The signature before the content: a list is long, and a forger's is not worth a map.
        if !signed.verify(DOMAIN, authority) {
            return Err(RevocationError::BadSignature);
        }
        let mut reader = Reader::new(signed.payload());
        reader.array_of(3)?;
        let (version, issued) = (reader.uint()?, DtnTime(reader.uint()?));
        let found = reader.array()?;
        if found > MAX_REVOKED as u64 {
            return Err(RevocationError::TooMany { found });
        }
        let mut keys = BTreeMap::new();
        for _ in 0..found {
            let (key, revoked) = read_entry(&mut reader)?;
            if keys.last_key_value().is_some_and(|(last, _)| *last >= key) {
                return Err(RevocationError::Entry { at: reader.position() });
            }
            keys.insert(key, revoked);
        }
        reader.end()?;
        Ok(Self { version, issued, keys })
    }

    /// What the list says about a node's key.
    #[must_use]
    pub fn get(&self, node: NodeId, key: KeyId) -> Option<Revoked> {
        self.keys.get(&(node, key)).copied()
    }
}

/// Appends `[node, name of its key, since, cause]`.
pub(super) fn put_entry(out: &mut Vec<u8>, (node, key): (NodeId, KeyId), revoked: Revoked) {
    cbor::put_head(out, cbor::ARRAY, 4);
    cbor::put_uint(out, node.0);
    cbor::put_bytes(out, &key.0);
    cbor::put_uint(out, revoked.since.0);
    cbor::put_uint(out, revoked.cause as u64);
}

/// Reads what [`put_entry`] wrote.
///
/// # Errors
/// [`RevocationError`] for anything else.
pub(super) fn read_entry(reader: &mut Reader<'_>) -> Result<((NodeId, KeyId), Revoked), RevocationError> {
    reader.array_of(4)?;
    let node = NodeId(reader.uint()?);
    let key = reader.bytes()?;
    let since = DtnTime(reader.uint()?);
    let cause = reader.uint()?;
    let malformed = RevocationError::Entry { at: reader.position() };
    let key: [u8; KEY_ID_LEN] = key.try_into().map_err(|_| malformed)?;
    let cause = Cause::ALL.into_iter().find(|known| *known as u64 == cause).ok_or(malformed)?;
    Ok(((node, KeyId(key)), Revoked { since, cause }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn authority() -> KeyPair {
        KeyPair::from_seed([1; 32])
    }

    fn list(count: u64) -> RevocationList {
        let entry = |node: u64| {
            let cause = Cause::ALL[node as usize % 3];
            ((NodeId(node), KeyId([node as u8; 8])), Revoked { since: DtnTime(node * 1000), cause })
        };
        RevocationList { version: 3, issued: DtnTime(5), keys: (1..=count).map(entry).collect() }
    }

    #[test]
    fn a_list_is_read_as_issued_and_an_empty_one_is_a_short_sign_of_life() {
        for count in [0, 1, 3, 1024] {
            let bytes = list(count).issue(&authority());
            assert_eq!(RevocationList::open(&bytes, authority().public()), Ok(list(count)));
        }
        assert!(list(0).issue(&authority()).len() < 100);
    }

    #[test]
    fn lists_of_others_and_lists_out_of_order_are_refused() {
        let other = list(1).issue(&KeyPair::from_seed([2; 32]));
        assert_eq!(RevocationList::open(&other, authority().public()), Err(RevocationError::OtherAuthority));
        let signed = |payload: &[u8]| {
            let kid = KeyId::of(authority().public()).0;
            RevocationList::open(&sign1(&authority(), &kid, DOMAIN, payload), authority().public())
        };
        let entry = |node: u8| [&[0x84, node, 0x48][..], &[0; 8], &[0, 0]].concat();
        let twice = [&[0x83, 1, 0, 0x82][..], &entry(5), &entry(5)].concat();
        assert!(matches!(signed(&twice), Err(RevocationError::Entry { .. })));
        let backwards = [&[0x83, 1, 0, 0x82][..], &entry(5), &entry(4)].concat();
        assert!(matches!(signed(&backwards), Err(RevocationError::Entry { .. })));
        let endless = [0x83, 1, 0, 0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(signed(&endless), Err(RevocationError::TooMany { found: u64::MAX }));
    }

    proptest! {
        #[test]
        fn one_flipped_bit_is_always_noticed(position: prop::sample::Index, bit in 0..8_u8) {
            let mut bytes = list(3).issue(&authority());
            let at = position.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(RevocationList::open(&bytes, authority().public()).is_err());
        }
    }
}
