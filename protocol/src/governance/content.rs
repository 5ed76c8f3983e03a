//! [`Content`]: what a fleet can decide upon.

use super::{
    electorate::{Electorate, MAX_VOTERS, read_key},
    error::GovernanceError,
};
use crate::{
    access::Policy,
    cbor::{self, CborError, Reader},
    contract::Schema,
    id::NodeId,
    identity::{Cause, KEY_ID_LEN, KeyId, PublicKey},
    log::Hash,
    time::DtnTime,
};
use alloc::{boxed::Box, string::ToString as _, vec::Vec};
use sha2::{Digest as _, Sha256};

/// Longest content in bytes.
pub const MAX_CONTENT_LEN: usize = 16 * 1024;

/// What is proposed.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// This policy takes the place of the one in force.
    Policy(Box<Policy>),
    /// A schema is registered.
    Schema(Box<Schema>),
    /// A node gets a vote, or keeps it under another key.
    Seat {
        /// Who.
        node: NodeId,
        /// Under which key.
        key: PublicKey,
    },
    /// A node loses its vote.
    Unseat {
        /// Who.
        node: NodeId,
    },
    /// Nothing is taken of a node's key any more; a voter loses its vote.
    Block {
        /// Whose.
        node: NodeId,
        /// Which key.
        key: KeyId,
        /// From when on, by the proposer's clock.
        since: DtnTime,
    },
    /// Another key is the authority's.
    Authority {
        /// Which.
        key: PublicKey,
        /// From when on, by the proposer's clock: what the earlier key signed for a later time counts no more.
        since: DtnTime,
        /// Why: `Superseded` where the earlier key was lost; else somebody may have it, and it counts for nothing new, whatever times it writes.
        cause: Cause,
    },
}

impl Content {
    /// A stable word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Policy(_) => "policy",
            Self::Schema(_) => "schema",
            Self::Seat { .. } => "seat",
            Self::Unseat { .. } => "unseat",
            Self::Block { .. } => "block",
            Self::Authority { .. } => "authority",
        }
    }

    /// The content as bytes: `[kind, fields…]`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        let (kind, fields) = match self {
            Self::Policy(_) => (0, 1),
            Self::Schema(_) => (1, 1),
            Self::Seat { .. } => (2, 2),
            Self::Unseat { .. } => (3, 1),
            Self::Block { .. } => (4, 3),
            Self::Authority { .. } => (5, 3),
        };
        cbor::put_head(&mut out, cbor::ARRAY, 1 + fields);
        cbor::put_uint(&mut out, kind);
        match self {
            Self::Policy(policy) => cbor::put_bytes(&mut out, &policy.encode()),
            Self::Schema(schema) => cbor::put_text(&mut out, &schema.text().to_string()),
            Self::Seat { node, key } => {
                cbor::put_uint(&mut out, node.0);
                cbor::put_bytes(&mut out, key.as_bytes());
            }
            Self::Unseat { node } => cbor::put_uint(&mut out, node.0),
            Self::Block { node, key, since } => {
                cbor::put_uint(&mut out, node.0);
                cbor::put_bytes(&mut out, &key.0);
                cbor::put_uint(&mut out, since.0);
            }
            Self::Authority { key, since, cause } => {
                cbor::put_bytes(&mut out, key.as_bytes());
                cbor::put_uint(&mut out, since.0);
                cbor::put_uint(&mut out, *cause as u64);
            }
        }
        out
    }

    /// Reads a content.
    ///
    /// # Errors
    /// [`GovernanceError`] for anything that [`Content::encode`] does not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, GovernanceError> {
        if bytes.len() > MAX_CONTENT_LEN {
            return Err(GovernanceError::TooLong { found: bytes.len(), max: MAX_CONTENT_LEN });
        }
        let mut reader = Reader::new(bytes);
        let (items, kind) = (reader.array()?, reader.uint()?);
        let content = match (kind, items) {
            (0, 2) => Self::Policy(Box::new(Policy::decode(reader.bytes()?)?)),
            (1, 2) => Self::Schema(Box::new(schema(reader.text()?)?)),
            (2, 3) => Self::Seat { node: NodeId(reader.uint()?), key: read_key(&mut reader)? },
            (3, 2) => Self::Unseat { node: NodeId(reader.uint()?) },
            (4, 4) => Self::Block {
                node: NodeId(reader.uint()?),
                key: key_id(&mut reader)?,
                since: DtnTime(reader.uint()?),
            },
            (5, 4) => Self::Authority {
                key: read_key(&mut reader)?,
                since: DtnTime(reader.uint()?),
                cause: read_cause(&mut reader)?,
            },
            (found, _) => return Err(GovernanceError::Unknown { found }),
        };
        reader.end()?;
        Ok(content)
    }

    /// SHA-256 over its bytes: names what is proposed, whoever proposes it and when.
    #[must_use]
    pub fn digest(&self) -> Hash {
        Sha256::digest(self.encode()).into()
    }

    /// Whether it can be decided by this electorate: a function of the history alone.
    pub(super) fn check(&self, electorate: &Electorate) -> Result<(), GovernanceError> {
        let (node, holds) = match self {
            Self::Seat { node, key } => {
                let seated = electorate.key(*node);
                (*node, seated != Some(key) && (seated.is_some() || electorate.len() < MAX_VOTERS))
            }
            Self::Unseat { node } => (*node, electorate.key(*node).is_some() && electorate.len() > 1),
            Self::Block { node, .. } => (*node, electorate.key(*node).is_none() || electorate.len() > 1),
            Self::Policy(_) | Self::Schema(_) | Self::Authority { .. } => return Ok(()),
        };
        if holds { Ok(()) } else { Err(GovernanceError::Seat { node }) }
    }

    /// What it changes in the electorate.
    pub(super) fn seat(&self, electorate: &mut Electorate) {
        match self {
            Self::Seat { node, key } => electorate.seat(*node, key.clone()),
            Self::Unseat { node } | Self::Block { node, .. } => electorate.unseat(*node),
            Self::Policy(_) | Self::Schema(_) | Self::Authority { .. } => {}
        }
    }
}

fn schema(text: &str) -> Result<Schema, GovernanceError> {
    let schema = Schema::parse(text).map_err(|_| GovernanceError::Schema)?;
    // One schema, one form.
    if schema.text() == text { Ok(schema) } else { Err(GovernanceError::Schema) }
}

fn read_cause(reader: &mut Reader<'_>) -> Result<Cause, GovernanceError> {
    let found = reader.uint()?;
    let cause = Cause::ALL.into_iter().find(|cause| *cause as u64 == found);
    cause.ok_or(GovernanceError::Unknown { found })
}

fn key_id(reader: &mut Reader<'_>) -> Result<KeyId, GovernanceError> {
    let (at, bytes) = (reader.position(), reader.bytes()?);
    let (expected, found) = (KEY_ID_LEN as u64, bytes.len() as u64);
    Ok(KeyId(bytes.try_into().map_err(|_| CborError::Items { at, expected, found })?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{contract::standard, identity::KeyPair};
    use proptest::prelude::*;

    fn key(number: u8) -> PublicKey {
        KeyPair::from_seed([number; 32]).public().clone()
    }

    fn contents() -> Vec<Content> {
        let schema = standard().into_iter().next().unwrap();
        let (node, since) = (NodeId(7), DtnTime(9));
        [
            Content::Policy(Box::default()),
            Content::Schema(Box::new(schema)),
            Content::Seat { node, key: key(7) },
            Content::Unseat { node },
            Content::Block { node, key: KeyId([1; 8]), since },
            Content::Authority { key: key(8), since, cause: Cause::Compromised },
        ]
        .to_vec()
    }

    #[test]
    fn every_content_survives_the_way() {
        for content in contents() {
            assert_eq!(Content::decode(&content.encode()), Ok(content.clone()), "{}", content.word());
            assert!(Content::decode(&[&content.encode()[..], &[0]].concat()).is_err());
        }
    }

    #[test]
    fn the_last_voter_keeps_its_vote_and_nobody_is_seated_twice() {
        let two = Electorate::new([(NodeId(1), key(1)), (NodeId(2), key(2))]).unwrap();
        let one = Electorate::new([(NodeId(1), key(1))]).unwrap();
        let unseat = Content::Unseat { node: NodeId(1) };
        assert_eq!(unseat.check(&two), Ok(()));
        assert_eq!(unseat.check(&one), Err(GovernanceError::Seat { node: NodeId(1) }));
        let again = Content::Seat { node: NodeId(1), key: key(1) };
        assert_eq!(again.check(&one), Err(GovernanceError::Seat { node: NodeId(1) }));
        assert_eq!(Content::Seat { node: NodeId(1), key: key(9) }.check(&one), Ok(()), "another key");
        let block = Content::Block { node: NodeId(1), key: KeyId::of(&key(1)), since: DtnTime(0) };
        assert!(block.check(&one).is_err() && block.check(&two).is_ok());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = Content::decode(&bytes);
        }
    }
}
