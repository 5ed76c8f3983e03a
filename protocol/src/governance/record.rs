//! [`Record`]: a signed proposal or ballot on its way, with what shows that its key is the voter's.

use super::{
    ballot::{Ballot, read_hash},
    content::{Content, MAX_CONTENT_LEN},
    electorate::Electorate,
    error::GovernanceError,
};
use crate::{
    cbor::{self, CborError, Reader},
    id::NodeId,
    identity::{KeyPair, PublicKey, Sign1, Succession, kid_node, node_kid, sign1},
    log::Hash,
};
use alloc::vec::Vec;
use sha2::{Digest as _, Sha256};

/// Most successions from the key under which a voter was seated to the one that signs; with more it is seated anew.
pub const MAX_LINKS: usize = 8;
/// Longest record in bytes.
pub const MAX_RECORD_LEN: usize = MAX_PROPOSAL_LEN + MAX_LINKS * MAX_LINK_LEN;
/// Longest record of a proposal in bytes, links aside.
pub(super) const MAX_PROPOSAL_LEN: usize = MAX_CONTENT_LEN + 256 + RECORD_FRAME;
/// Longest record of a ballot in bytes, links aside.
pub(super) const MAX_BALLOT_LEN: usize = MAX_SIGNED_BALLOT + RECORD_FRAME;
/// Longest link of a record in bytes, with its head. A succession has 240 bytes at the most.
pub(super) const MAX_LINK_LEN: usize = 244;
/// Longest signed ballot in bytes.
const MAX_SIGNED_BALLOT: usize = 184;
/// What the array and the heads of its items take, with the head of the record itself.
const RECORD_FRAME: usize = 12;

const PROPOSAL_DOMAIN: &[u8] = b"cosmosmesh-proposal-v1";
const BALLOT_DOMAIN: &[u8] = b"cosmosmesh-ballot-v1";

/// What a record says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Said {
    /// A proposal for a slot, going on from this head.
    Proposal { slot: u64, parent: Hash, content: Content, digest: Hash },
    /// A ballot.
    Ballot(Ballot),
}

/// A record whose form is right. Whether it holds, `Record::verify` tells.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    signed: Sign1<'a>,
    links: Vec<&'a [u8]>,
    /// Who is said to have signed.
    pub(super) voter: NodeId,
    pub(super) said: Said,
}

impl<'a> Record<'a> {
    /// Reads a record: `[kind, signed, [succession…]]`, kind 0 a proposal, 1 a ballot.
    ///
    /// # Errors
    /// [`GovernanceError`] for another form. No signature is checked.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, GovernanceError> {
        if bytes.len() > MAX_RECORD_LEN {
            return Err(GovernanceError::TooLong { found: bytes.len(), max: MAX_RECORD_LEN });
        }
        let mut reader = Reader::new(bytes);
        reader.array_of(3)?;
        let (kind, signed) = (reader.uint()?, reader.bytes()?);
        let (at, found) = (reader.position(), reader.array()?);
        if found > MAX_LINKS as u64 {
            return Err(CborError::Items { at, expected: MAX_LINKS as u64, found }.into());
        }
        let links = (0..found).map(|_| short_link(&mut reader)).collect::<Result<_, _>>()?;
        reader.end()?;
        let max = if kind == 0 { MAX_CONTENT_LEN + 256 } else { MAX_SIGNED_BALLOT };
        let signed = Sign1::parse(signed, max)?;
        let voter = kid_node(signed.kid()).ok_or(GovernanceError::Unknown { found: 0 })?;
        let said = match kind {
            0 => proposal(voter, signed.payload())?,
            1 => Said::Ballot(Ballot::decode(signed.payload())?),
            found => return Err(GovernanceError::Unknown { found }),
        };
        Ok(Self { signed, links, voter, said })
    }

    /// Which slot it is for, and the head of the history before that.
    pub(super) const fn place(&self) -> (u64, &Hash) {
        match &self.said {
            Said::Proposal { slot, parent, .. } => (*slot, parent),
            Said::Ballot(ballot) => (ballot.slot, &ballot.parent),
        }
    }

    /// Signatures that are checked when it is.
    pub(super) const fn signatures(&self) -> u64 {
        1 + 2 * self.links.len() as u64
    }

    /// The key that is said to have signed: that of the last link, or none for that of the seat.
    pub(super) fn signer(&self) -> Option<PublicKey> {
        self.links.last().and_then(|link| Succession::claims(link).ok()).map(|(_, claimed)| claimed.next)
    }

    /// Checks that a voter of `electorate` has signed it, under the key of its seat or one that follows on that.
    pub(super) fn verify(&self, electorate: &Electorate) -> Result<(), GovernanceError> {
        let node = self.voter;
        let seat = electorate.key(node).ok_or(GovernanceError::NoVote { node })?;
        if self.links.len() > electorate.max_links() {
            // Else a certificate might not have room for it.
            return Err(GovernanceError::Seat { node });
        }
        let mut key: PublicKey = seat.clone();
        for link in &self.links {
            let (_, number) = Succession::peek(link)?;
            key = Succession::open(link, node, number.saturating_sub(1), &key)?.next;
        }
        let domain = match self.said {
            Said::Proposal { .. } => PROPOSAL_DOMAIN,
            Said::Ballot(_) => BALLOT_DOMAIN,
        };
        if self.signed.verify(domain, &key) { Ok(()) } else { Err(GovernanceError::BadSignature { node }) }
    }
}

/// A link's bytes, if it is no longer than it may be.
fn short_link<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], GovernanceError> {
    let link = reader.bytes()?;
    let (found, max) = (link.len(), MAX_LINK_LEN - 4);
    if found > max { Err(GovernanceError::TooLong { found, max }) } else { Ok(link) }
}

fn proposal(voter: NodeId, payload: &[u8]) -> Result<Said, GovernanceError> {
    let mut reader = Reader::new(payload);
    reader.array_of(3)?;
    let slot = reader.uint()?;
    let parent = read_hash(&mut reader)?.ok_or(GovernanceError::Parent { slot })?;
    let content = Content::decode(reader.bytes()?)?;
    reader.end()?;
    Ok(Said::Proposal { slot, parent, content, digest: proposal_digest(voter, payload) })
}

/// SHA-256 over the proposer and what it signs: whatever key signs it, one proposal has one digest.
fn proposal_digest(voter: NodeId, payload: &[u8]) -> Hash {
    let mut hash = Sha256::new();
    hash.update(PROPOSAL_DOMAIN);
    hash.update(voter.0.to_be_bytes());
    hash.update(payload);
    hash.finalize().into()
}

/// A proposal of `voter`, as a record.
pub(super) fn sign_proposal(
    voter: NodeId,
    keys: &KeyPair,
    links: &[Vec<u8>],
    (slot, parent): (u64, &Hash),
    content: &Content,
) -> Vec<u8> {
    let mut payload = Vec::with_capacity(128);
    cbor::put_head(&mut payload, cbor::ARRAY, 3);
    cbor::put_uint(&mut payload, slot);
    cbor::put_bytes(&mut payload, parent);
    cbor::put_bytes(&mut payload, &content.encode());
    wrap(0, &sign1(keys, &node_kid(voter), PROPOSAL_DOMAIN, &payload), links)
}

/// A ballot of `voter`, as a record.
pub(super) fn sign_ballot(voter: NodeId, keys: &KeyPair, links: &[Vec<u8>], ballot: &Ballot) -> Vec<u8> {
    wrap(1, &sign1(keys, &node_kid(voter), BALLOT_DOMAIN, &ballot.encode()), links)
}

fn wrap(kind: u64, signed: &[u8], links: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(signed.len() + 16);
    cbor::put_head(&mut out, cbor::ARRAY, 3);
    cbor::put_uint(&mut out, kind);
    cbor::put_bytes(&mut out, signed);
    cbor::put_head(&mut out, cbor::ARRAY, links.len() as u64);
    links.iter().for_each(|link| cbor::put_bytes(&mut out, link));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::DtnTime;

    fn keys(number: u8) -> KeyPair {
        KeyPair::from_seed([number; 32])
    }

    #[test]
    fn the_longest_ballot_and_the_longest_link_are_as_long_as_is_reckoned() {
        let voter = NodeId(u64::MAX);
        let link = Succession::sign(voter, u64::MAX, DtnTime(u64::MAX), &keys(1), &keys(2));
        assert!(link.len() + 4 <= MAX_LINK_LEN, "{}", link.len());
        let ballot = Ballot { slot: u64::MAX, parent: [7; 32], step: u32::MAX, choice: Some([7; 32]) };
        let record = sign_ballot(voter, &keys(2), &[], &ballot);
        assert!(record.len() + 4 <= MAX_BALLOT_LEN, "{}", record.len());
        assert!(Record::parse(&record).is_ok());
        let with = sign_ballot(voter, &keys(2), &[link], &ballot);
        assert!(with.len() + 4 <= MAX_BALLOT_LEN + MAX_LINK_LEN, "{}", with.len());
        assert!(Record::parse(&with).is_ok_and(|record| record.signer().as_ref() == Some(keys(2).public())));
    }
}
