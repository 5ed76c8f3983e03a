//! [`Electorate`]: who votes, and how many make a quorum.

use super::{
    certificate::{FRAME_LEN, MAX_CERTIFICATE_LEN},
    error::GovernanceError,
    record::{MAX_BALLOT_LEN, MAX_LINK_LEN, MAX_LINKS, MAX_PROPOSAL_LEN},
};
use crate::{
    cbor::{self, CborError, Reader},
    id::NodeId,
    identity::PublicKey,
    log::Hash,
};
use alloc::{collections::BTreeMap, vec::Vec};
use sha2::{Digest as _, Sha256};

/// Most voters.
pub const MAX_VOTERS: usize = 64;

/// The voters of a slot, each with the key under which it was given its vote. One at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Electorate(BTreeMap<NodeId, PublicKey>);

impl Electorate {
    /// These voters.
    ///
    /// # Errors
    /// [`GovernanceError::Voters`] for none, or more than [`MAX_VOTERS`].
    pub fn new(voters: impl IntoIterator<Item = (NodeId, PublicKey)>) -> Result<Self, GovernanceError> {
        let voters: BTreeMap<NodeId, PublicKey> = voters.into_iter().take(MAX_VOTERS + 1).collect();
        let found = voters.len();
        if (1..=MAX_VOTERS).contains(&found) {
            Ok(Self(voters))
        } else {
            Err(GovernanceError::Voters { found })
        }
    }

    /// How many they are, n.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is one voter at least")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// How many make a quorum: q = ⌊2(n + f)/3⌋ + 1, so that of any q ballots for one of two things more than n − q + f are for one of them.
    #[must_use]
    pub fn quorum(&self) -> usize {
        2 * (self.len() + self.tolerated()) / 3 + 1
    }

    /// How many of them may lie without harm to a decision: f = ⌊(n−1)/6⌋.
    #[must_use]
    pub fn tolerated(&self) -> usize {
        (self.len() - 1) / 6
    }

    /// So many ballots for something in a step show that nothing else was decided in it: n − q + f + 1.
    pub(super) fn way_on(&self) -> usize {
        self.len() - self.quorum() + self.tolerated() + 1
    }

    /// Most successions from the key of a voter's seat to the one that signs: as many as a certificate with a quorum of such records has room for.
    #[must_use]
    pub fn max_links(&self) -> usize {
        let room = MAX_CERTIFICATE_LEN - FRAME_LEN - MAX_PROPOSAL_LEN - self.quorum() * MAX_BALLOT_LEN;
        (room / ((1 + self.quorum()) * MAX_LINK_LEN)).min(MAX_LINKS)
    }

    /// The key under which a voter was given its vote.
    #[must_use]
    pub fn key(&self, voter: NodeId) -> Option<&PublicKey> {
        self.0.get(&voter)
    }

    /// The voters by rising number.
    pub fn voters(&self) -> impl Iterator<Item = (NodeId, &PublicKey)> {
        self.0.iter().map(|(node, key)| (*node, key))
    }

    pub(super) fn seat(&mut self, voter: NodeId, key: PublicKey) {
        self.0.insert(voter, key);
    }

    pub(super) fn unseat(&mut self, voter: NodeId) {
        self.0.remove(&voter);
    }

    /// Where the chain of decisions begins: SHA-256 over a name and the voters.
    pub(super) fn genesis(&self) -> Hash {
        let mut bytes = Vec::with_capacity(48 * self.len() + 32);
        cbor::put_text(&mut bytes, "cosmosmesh-ledger-v1");
        self.encode(&mut bytes);
        Sha256::digest(&bytes).into()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        cbor::put_head(out, cbor::ARRAY, self.len() as u64);
        for (node, key) in &self.0 {
            cbor::put_head(out, cbor::ARRAY, 2);
            cbor::put_uint(out, node.0);
            cbor::put_bytes(out, key.as_bytes());
        }
    }
}

/// A key of 32 bytes.
pub(super) fn read_key(reader: &mut Reader<'_>) -> Result<PublicKey, GovernanceError> {
    let (at, bytes) = (reader.position(), reader.bytes()?);
    let found = bytes.len() as u64;
    let bytes: &[u8; 32] = bytes.try_into().map_err(|_| CborError::Items { at, expected: 32, found })?;
    PublicKey::from_bytes(bytes).map_err(|_| GovernanceError::Key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::KeyPair;

    fn of(count: u64) -> Result<Electorate, GovernanceError> {
        let voter = |node: u64| (NodeId(node), KeyPair::from_seed([node as u8; 32]).public().clone());
        Electorate::new((1..=count).map(voter))
    }

    #[test]
    fn two_quorums_share_more_than_the_liars_and_a_split_step_always_has_a_way_on() {
        for count in 1..=MAX_VOTERS as u64 {
            let electorate = of(count).unwrap();
            let (n, q, f) = (electorate.len(), electorate.quorum(), electorate.tolerated());
            assert!(q <= n && 3 * q > 2 * n, "more than two thirds of {n}");
            assert!(2 * q - n > 2 * f, "two quorums of {n} share more than the liars");
            assert!(q <= n - f, "with all liars of {n} silent the others are a quorum");
            let more = q.div_ceil(2);
            assert!(more >= electorate.way_on(), "of any {q} ballots of {n} one choice at least goes on");
            assert!(q - f > n - electorate.way_on(), "what {q} of {n} decided leaves nothing else a way on");
        }
        assert_eq!(
            [1, 2, 3, 4, 5, 6, 7, 10, 13].map(|n| of(n).unwrap().quorum()),
            [1, 2, 3, 3, 4, 5, 6, 8, 11]
        );
    }

    #[test]
    fn a_certificate_of_voters_who_have_all_rotated_has_room() {
        for count in 1..=MAX_VOTERS as u64 {
            let electorate = of(count).unwrap();
            let (q, links) = (electorate.quorum(), electorate.max_links());
            let (ballots, proposal) =
                (q * (MAX_BALLOT_LEN + links * MAX_LINK_LEN), MAX_PROPOSAL_LEN + links * MAX_LINK_LEN);
            assert!(links >= 1 && FRAME_LEN + ballots + proposal <= MAX_CERTIFICATE_LEN, "{count} voters");
        }
        assert_eq!([4, 13, 64].map(|n| of(n).unwrap().max_links()), [8, 8, 2]);
    }

    #[test]
    fn nobody_and_too_many_are_refused() {
        assert_eq!(of(0), Err(GovernanceError::Voters { found: 0 }));
        assert_eq!(of(65), Err(GovernanceError::Voters { found: 65 }));
    }
}
