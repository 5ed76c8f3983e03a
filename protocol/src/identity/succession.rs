//! [`Succession`]: one key hands over to the next, signed by both, so that whoever knows the first can walk to the last.

use super::{
    key::{KeyPair, PublicKey, PublicKeyError, SIGNATURE_LEN},
    sign1::{Sign1, Sign1Error, sign1},
    thumbprint::KeyId,
};
use crate::{
    cbor::{self, CborError, Reader},
    id::NodeId,
    time::DtnTime,
};
use alloc::vec::Vec;

/// Longest statement in bytes.
pub const MAX_SUCCESSION_LEN: usize = 288;
/// Most links that are walked at once.
pub const MAX_CHAIN: usize = 64;
/// Stands for the authority in the place of a node's number, which is never 0.
pub const AUTHORITY: NodeId = NodeId(0);

const DOMAIN: &[u8] = b"cosmosmesh-succession-v1";
const POSSESSION: &[u8] = b"cosmosmesh-possession-v1";

/// From `since` on, `next` speaks for `subject` in place of the key that signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Succession {
    /// Whose key: a node's, or [`AUTHORITY`].
    pub subject: NodeId,
    /// Which one it is in a row, from 1.
    pub number: u64,
    /// The key that takes over.
    pub next: PublicKey,
    /// From when on, by the subject's clock.
    pub since: DtnTime,
}

/// Why a link does not follow on a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SuccessionError {
    /// Not a signed statement of the expected form.
    #[error(transparent)]
    Form(#[from] Sign1Error),
    /// Not the expected content.
    #[error(transparent)]
    Content(#[from] CborError),
    /// The next key is none that can be trusted.
    #[error(transparent)]
    Key(#[from] PublicKeyError),
    /// Another key than the one in force is said to have signed.
    #[error("signed by key {found}, {expected} is in force")]
    OtherKey {
        /// The first bytes of the key identifier named.
        found: KeyId,
        /// The key in force.
        expected: KeyId,
    },
    /// For another subject.
    #[error("for node {found}, expected {expected}")]
    OtherSubject {
        /// The subject named.
        found: NodeId,
        /// The subject whose key it was to follow on.
        expected: NodeId,
    },
    /// Not the next in the row.
    #[error("number {found}, expected {expected}")]
    Number {
        /// The number found.
        found: u64,
        /// The number that would follow.
        expected: u64,
    },
    /// The key before did not sign it.
    #[error("bad signature of the key before")]
    BadSignature,
    /// The next key's holder did not sign it.
    #[error("bad signature of the next key")]
    NotInPossession,
    /// More links than are walked at once.
    #[error("{found} links, at most {MAX_CHAIN} are walked")]
    TooLong {
        /// Links found.
        found: usize,
    },
}

impl SuccessionError {
    /// A stable word.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Form(error) => error.reason(),
            Self::Content(error) => error.reason(),
            Self::Key(_) => "succession_key",
            Self::OtherKey { .. } => "succession_other_key",
            Self::OtherSubject { .. } => "succession_subject",
            Self::Number { .. } => "succession_number",
            Self::BadSignature => "bad_succession_signature",
            Self::NotInPossession => "succession_possession",
            Self::TooLong { .. } => "succession_too_long",
        }
    }
}

impl Succession {
    /// The statement that hands over from `before` to `next`.
    #[must_use]
    pub fn sign(subject: NodeId, number: u64, since: DtnTime, before: &KeyPair, next: &KeyPair) -> Vec<u8> {
        let statement = Self { subject, number, next: next.public().clone(), since };
        let former = KeyId::of(before.public());
        let possession = next.sign(&statement.possession(former));
        let mut payload = Vec::with_capacity(160);
        cbor::put_head(&mut payload, cbor::ARRAY, 5);
        cbor::put_uint(&mut payload, subject.0);
        cbor::put_uint(&mut payload, number);
        cbor::put_bytes(&mut payload, next.public().as_bytes());
        cbor::put_uint(&mut payload, since.0);
        cbor::put_bytes(&mut payload, &possession);
        sign1(before, &former.0, DOMAIN, &payload)
    }

    /// What the holder of the next key signs: nobody hands over to a key that is not at hand.
    fn possession(&self, former: KeyId) -> Vec<u8> {
        let mut out = POSSESSION.to_vec();
        out.extend_from_slice(&self.subject.0.to_be_bytes());
        out.extend_from_slice(&self.number.to_be_bytes());
        out.extend_from_slice(&former.0);
        out.extend_from_slice(self.next.as_bytes());
        out.extend_from_slice(&self.since.0.to_be_bytes());
        out
    }

    /// Reads a statement and checks that it hands over from `before`, the key in force after `number` successions of `subject`.
    ///
    /// # Errors
    /// [`SuccessionError`] when it does not follow.
    pub fn open(
        bytes: &[u8],
        subject: NodeId,
        number: u64,
        before: &PublicKey,
    ) -> Result<Self, SuccessionError> {
        Self::open_numbered(bytes, subject, Some(number.saturating_add(1)), before)
    }

    /// As [`Succession::open`], whatever its number: where a renewal has taken the place of the first links, the row is not counted from one.
    ///
    /// # Errors
    /// [`SuccessionError`] when it does not follow.
    pub fn follow(bytes: &[u8], subject: NodeId, before: &PublicKey) -> Result<Self, SuccessionError> {
        Self::open_numbered(bytes, subject, None, before)
    }

    fn open_numbered(
        bytes: &[u8],
        subject: NodeId,
        number: Option<u64>,
        before: &PublicKey,
    ) -> Result<Self, SuccessionError> {
        let signed = Sign1::parse(bytes, MAX_SUCCESSION_LEN)?;
        let former = KeyId::of(before);
        if signed.kid() != former.0 {
            let mut found = [0; 8];
            signed.kid().iter().zip(&mut found).for_each(|(from, to)| *to = *from);
            return Err(SuccessionError::OtherKey { found: KeyId(found), expected: former });
        }
        let (statement, possession) = Self::read(signed.payload())?;
        if statement.subject != subject {
            return Err(SuccessionError::OtherSubject { found: statement.subject, expected: subject });
        }
        if let Some(expected) = number.filter(|expected| *expected != statement.number) {
            return Err(SuccessionError::Number { found: statement.number, expected });
        }
        if !signed.verify(DOMAIN, before) {
            return Err(SuccessionError::BadSignature);
        }
        if statement.next.verify(&statement.possession(former), &possession) {
            Ok(statement)
        } else {
            Err(SuccessionError::NotInPossession)
        }
    }

    fn read(payload: &[u8]) -> Result<(Self, [u8; SIGNATURE_LEN]), SuccessionError> {
        let mut reader = Reader::new(payload);
        reader.array_of(5)?;
        let (subject, number) = (NodeId(reader.uint()?), reader.uint()?);
        let next = reader.bytes()?;
        let length = SuccessionError::Key(PublicKeyError::NotOnCurve);
        let next = PublicKey::from_bytes(next.try_into().map_err(|_| length)?)?;
        let since = DtnTime(reader.uint()?);
        let possession = reader.bytes()?.try_into().map_err(|_| SuccessionError::NotInPossession)?;
        reader.end()?;
        Ok((Self { subject, number, next, since }, possession))
    }

    /// Whose key, and which in a row, a statement says to be about: unproven, to find its place.
    ///
    /// # Errors
    /// When it is no such statement.
    pub fn peek(bytes: &[u8]) -> Result<(NodeId, u64), SuccessionError> {
        let signed = Sign1::parse(bytes, MAX_SUCCESSION_LEN)?;
        let (statement, _) = Self::read(signed.payload())?;
        Ok((statement.subject, statement.number))
    }

    /// What a statement says, and the key that is said to have signed it: unproven, to find its place before a signature is checked.
    ///
    /// # Errors
    /// When it is no such statement.
    pub fn claims(bytes: &[u8]) -> Result<(KeyId, Self), SuccessionError> {
        let signed = Sign1::parse(bytes, MAX_SUCCESSION_LEN)?;
        let (statement, _) = Self::read(signed.payload())?;
        let mut former = [0; 8];
        signed.kid().iter().zip(&mut former).for_each(|(from, to)| *to = *from);
        Ok((KeyId(former), statement))
    }

    /// Walks a chain from `key`, in force after `number` successions, to its end: the last key, and how many successions there were.
    ///
    /// # Errors
    /// The first link that does not follow, or too many.
    pub fn walk<'a>(
        subject: NodeId,
        mut number: u64,
        mut key: PublicKey,
        chain: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(PublicKey, u64), SuccessionError> {
        for (links, bytes) in chain.into_iter().enumerate() {
            if links >= MAX_CHAIN {
                return Err(SuccessionError::TooLong { found: links + 1 });
            }
            let link = Self::open(bytes, subject, number, &key)?;
            (key, number) = (link.next, link.number);
        }
        Ok((key, number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NODE: NodeId = NodeId(7);

    fn keys(number: u8) -> KeyPair {
        KeyPair::from_seed([number; 32])
    }

    fn link(number: u8) -> Vec<u8> {
        Succession::sign(NODE, u64::from(number), DtnTime(1000), &keys(number), &keys(number + 1))
    }

    fn reason(bytes: &[u8], number: u64) -> &'static str {
        let before = keys(number as u8 + 1);
        Succession::open(bytes, NODE, number, before.public())
            .map_or_else(|error| error.reason(), |_| "taken")
    }

    #[test]
    fn a_node_offline_through_three_rotations_walks_the_chain() {
        let chain = [link(1), link(2), link(3)];
        let walked = Succession::walk(NODE, 0, keys(1).public().clone(), chain.iter().map(Vec::as_slice));
        assert_eq!(walked, Ok((keys(4).public().clone(), 3)));
        assert!(chain.iter().all(|link| link.len() < 240), "a rotation costs less than 240 bytes");
        let gap = Succession::walk(NODE, 0, keys(1).public().clone(), [&chain[0][..], &chain[2]]);
        assert_eq!(gap.map_err(|error| error.reason()), Err("succession_other_key"));
    }

    #[test]
    fn a_link_follows_on_its_key_its_number_and_its_node_only() {
        assert_eq!(reason(&link(1), 0), "taken");
        assert_eq!(reason(&link(1), 1), "succession_other_key");
        let wrong_number = Succession::sign(NODE, 9, DtnTime(0), &keys(1), &keys(2));
        assert_eq!(reason(&wrong_number, 0), "succession_number");
        let other = Succession::sign(NodeId(8), 1, DtnTime(0), &keys(1), &keys(2));
        assert_eq!(reason(&other, 0), "succession_subject");
    }

    #[test]
    fn nobody_hands_over_to_a_key_that_another_holds() {
        // The thief of key 1 would like key 9, whose holder did not sign.
        let mut bytes = Succession::sign(NODE, 1, DtnTime(0), &keys(1), &keys(9));
        let (statement, _) = Succession::read(Sign1::parse(&bytes, 288).unwrap().payload()).unwrap();
        let mut payload = Vec::new();
        cbor::put_head(&mut payload, cbor::ARRAY, 5);
        cbor::put_uint(&mut payload, 7);
        cbor::put_uint(&mut payload, 1);
        cbor::put_bytes(&mut payload, statement.next.as_bytes());
        cbor::put_uint(&mut payload, 0);
        cbor::put_bytes(&mut payload, &[1; 64]);
        bytes = sign1(&keys(1), &KeyId::of(keys(1).public()).0, DOMAIN, &payload);
        assert_eq!(reason(&bytes, 0), "succession_possession");
    }

    #[test]
    fn a_chain_without_end_is_not_walked() {
        let links: Vec<Vec<u8>> = (0..65_u64)
            .map(|number| {
                let keys = |n: u64| KeyPair::from_seed([n as u8 + 1; 32]);
                Succession::sign(NODE, number + 1, DtnTime(0), &keys(number), &keys(number + 1))
            })
            .collect();
        let walked = Succession::walk(NODE, 0, keys(1).public().clone(), links.iter().map(Vec::as_slice));
        assert_eq!(walked, Err(SuccessionError::TooLong { found: 65 }));
    }

    proptest! {
        #[test]
        fn one_flipped_bit_is_always_noticed(position: prop::sample::Index, bit in 0..8_u8) {
            let mut bytes = link(1);
            let at = position.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(Succession::open(&bytes, NODE, 0, keys(1).public()).is_err());
        }
    }
}
