//! A committee member's side: it answers one survivor set in a round with the sum of its masks, and nothing else.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec,
    vec::Vec,
};
use core::fmt;

use super::{
    error::PrivacyError,
    groups::Groups,
    keystream::{MaskKey, Sign, pack},
    message::{MaskSum, Survivor, Survivors, digest},
    recovery::{Deal, Guardian, Recover, ReturnedShare},
    secret::SeatSecret,
    terms::Terms,
};
use crate::{
    cbor::{self, ARRAY, Reader},
    id::NodeId,
};

/// A member of the committee under the terms of one epoch.
///
/// What holds privacy is here: every contribution's mask goes into at most one sum, of at least `k_min` contributions, and no sum of
/// another set of the same round is told. It answers for one generation of the sum after the other, and for sets from nothing only as
/// the terms permit; and what it says is counted of an asset is what it has summed itself. While one member that is neither corrupt nor recovered keeps to
/// it, no two sums that differ by one asset can be opened. Between two crashes the host keeps [`CommitteeMember::snapshot`] before an answer leaves.
#[derive(Clone)]
pub struct CommitteeMember {
    terms: Arc<Terms>,
    node: NodeId,
    coordinator: NodeId,
    keys: Vec<MaskKey>,
    /// The last contribution of each asset whose mask is in a sum; 0 for none.
    used: Vec<u64>,
    /// Sets that were summed from nothing.
    groups: Groups,
    answered: Option<Survivors>,
    guardian: Guardian,
}

impl CommitteeMember {
    /// A member that has answered nothing in this epoch. Costs one X25519 for each asset.
    ///
    /// # Errors
    /// [`PrivacyError::NotEnrolled`] when the terms do not list this node with this secret's keys.
    pub fn new(
        terms: Arc<Terms>,
        node: NodeId,
        secret: SeatSecret,
        coordinator: NodeId,
    ) -> Result<Self, PrivacyError> {
        let place = terms.seat(node).filter(|place| {
            let seat = &terms.parts().committee[*place];
            seat.mask_key == secret.mask_key() && seat.share_key == secret.share_key()
        });
        let place = place.ok_or(PrivacyError::NotEnrolled { node })?;
        let (keys, used) = (secret.mask_keys(&terms, node)?, vec![0; terms.parts().roster.len()]);
        let guardian = Guardian::new(Arc::clone(&terms), place, secret);
        let groups = Groups::default();
        Ok(Self { terms, node, coordinator, keys, used, groups, answered: None, guardian })
    }

    /// Follows the election of another coordinator. What was answered stays answered.
    pub fn elect(&mut self, coordinator: NodeId) {
        self.coordinator = coordinator;
    }

    /// Answers a published survivor set with the sum of the own masks over it. The same set gets the same answer again.
    ///
    /// Costs one keystream for each survivor.
    ///
    /// # Errors
    /// [`PrivacyError`] when another than the coordinator asks, the round is over or was answered for another set, there are fewer
    /// survivors than `k_min` or fewer newcomers than a cohort, a mask was used before, the generation is over or begins with a set that tells
    /// too few apart, a set leaves out who would be told apart, or less is said to be counted of an asset than is.
    pub fn on_survivors(&mut self, from: NodeId, survivors: &Survivors) -> Result<MaskSum, PrivacyError> {
        self.authorise(from)?;
        self.terms.check_epoch(survivors.epoch)?;
        if !self.has_answered(survivors)? {
            let (newcomers, settled) = self.check(survivors)?;
            self.groups.take(&survivors.occasion, newcomers, settled);
            for one in &survivors.entries {
                self.used[one.place] = one.sequence;
            }
            self.answered = Some(survivors.clone());
        }
        Ok(self.sum(self.node, &self.keys, survivors))
    }

    /// Answers for a lost member whose key is rebuilt here: only the set that this member itself has answered.
    ///
    /// # Errors
    /// [`PrivacyError::NoShare`] when the key is not here; [`PrivacyError::SecondSet`] for another set.
    pub fn stand_in(
        &self,
        from: NodeId,
        lost: NodeId,
        survivors: &Survivors,
    ) -> Result<MaskSum, PrivacyError> {
        self.authorise(from)?;
        self.terms.check_epoch(survivors.epoch)?;
        let keys = self.guardian.stands_in(lost).ok_or(PrivacyError::NoShare { dealer: lost })?;
        if !self.has_answered(survivors)? {
            return Err(PrivacyError::SecondSet { round: survivors.round });
        }
        Ok(self.sum(lost, keys, survivors))
    }

    fn authorise(&self, from: NodeId) -> Result<(), PrivacyError> {
        if from == self.coordinator { Ok(()) } else { Err(PrivacyError::Sender { node: from }) }
    }

    /// Whether the set is the one of its round that was answered.
    fn has_answered(&self, survivors: &Survivors) -> Result<bool, PrivacyError> {
        let Some(last) = &self.answered else { return Ok(false) };
        let round = survivors.round;
        if round < last.round {
            return Err(PrivacyError::OldRound { found: round, last: last.round });
        }
        match round == last.round {
            true if survivors != last => Err(PrivacyError::SecondSet { round }),
            same => Ok(same),
        }
    }

    /// Those of a set that are summed from nothing, and the others.
    fn check(&self, survivors: &Survivors) -> Result<(BTreeSet<usize>, BTreeSet<usize>), PrivacyError> {
        let (parts, found) = (self.terms.parts(), survivors.entries.len());
        if found < parts.k_min {
            return Err(PrivacyError::TooFew { found, k_min: parts.k_min });
        }
        let ordered = survivors.entries.is_sorted_by(|a, b| a.place < b.place);
        let expected = parts.roster.len();
        if let Some(last) = survivors.entries.last().filter(|last| !ordered || last.place >= expected) {
            return Err(PrivacyError::Entries { found: last.place + 1, expected });
        }
        for Survivor { place, sequence: found, from } in survivors.entries.iter().copied() {
            let (node, floor) = (parts.roster[place].node, self.used[place]);
            if found <= floor {
                return Err(PrivacyError::Replayed { node, found, floor });
            }
            // More may be counted than this member has summed: a deputy stood in for it. Less is a lie.
            let expected = if self.groups.counts(&survivors.occasion, place) { floor } else { 0 };
            if from < expected {
                return Err(PrivacyError::Base { node, found: from, expected });
            }
        }
        let (new, settled): (Vec<&Survivor>, Vec<&Survivor>) =
            survivors.entries.iter().partition(|one| one.from == 0);
        let places = |list: Vec<&Survivor>| list.into_iter().map(|one| one.place).collect();
        let (newcomers, settled) = (places(new), places(settled));
        self.groups.permit(&self.terms, &survivors.occasion, &newcomers, &settled)?;
        Ok((newcomers, settled))
    }

    fn sum(&self, seat: NodeId, keys: &[MaskKey], survivors: &Survivors) -> MaskSum {
        let (mut sum, bits) = (vec![0; self.terms.parts().entries], self.terms.parts().bits);
        let occasion = survivors.occasion.digest();
        for one in &survivors.entries {
            keys[one.place].bound(&occasion, one.from).apply(one.sequence, bits, Sign::Add, &mut sum);
        }
        let (epoch, round, set) = (survivors.epoch, survivors.round, survivors.digest());
        MaskSum { epoch, round, seat, set, entries: pack(&sum, bits) }
    }

    /// The own mask key in shares for the other members, once at the epoch's start; `None` when the terms share no keys.
    ///
    /// # Errors
    /// [`PrivacyError::WeakKey`] when a member's key does not agree.
    pub fn deal(&self) -> Result<Option<Deal>, PrivacyError> {
        self.guardian.deal()
    }

    /// Keeps the own share of another member's key. Costs a scalar multiplication for each commitment.
    ///
    /// # Errors
    /// [`PrivacyError::BadShare`] when the shares are not of the listed key, or the own one does not fit.
    pub fn on_deal(&mut self, from: NodeId, deal: &Deal) -> Result<(), PrivacyError> {
        self.guardian.on_deal(from, deal)
    }

    /// Releases the own share of a lost member's key to its deputy; `None` at the deputy itself.
    ///
    /// # Errors
    /// [`PrivacyError`] when another than the coordinator asks, it is this member that is said to be lost, the member has another
    /// deputy, or as many are recovered as the terms permit.
    pub fn on_recover(
        &mut self,
        from: NodeId,
        recover: &Recover,
    ) -> Result<Option<ReturnedShare>, PrivacyError> {
        self.authorise(from)?;
        self.guardian.on_recover(recover)
    }

    /// Takes a guardian's share at the deputy; whether the lost member's key is rebuilt, so that [`CommitteeMember::stand_in`] answers.
    ///
    /// # Errors
    /// [`PrivacyError::BadShare`] when the share is not the one that was dealt: the guardian lies, and is named by who sent it.
    pub fn on_share(&mut self, from: NodeId, returned: &ReturnedShare) -> Result<bool, PrivacyError> {
        self.guardian.on_share(from, returned)
    }

    /// Lost members whose keys are rebuilt here, in ascending order.
    pub fn wards(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.guardian.wards()
    }

    /// The node.
    #[must_use]
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// The survivor set that was answered last: what it attests to.
    #[must_use]
    pub const fn answered(&self) -> Option<&Survivors> {
        self.answered.as_ref()
    }

    /// What the host keeps before an answer leaves: `[3, terms, answered, [* used], [* (lost, deputy)], groups…]`. Nothing in it is secret; shares of
    /// others' keys come again with their deals.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + 9 * self.used.len());
        cbor::put_head(&mut out, ARRAY, 13);
        cbor::put_uint(&mut out, 3);
        cbor::put_bytes(&mut out, self.terms.digest());
        cbor::put_bytes(&mut out, &self.answered.as_ref().map_or_else(Vec::new, Survivors::encode));
        cbor::put_head(&mut out, ARRAY, self.used.len() as u64);
        self.used.iter().for_each(|sequence| cbor::put_uint(&mut out, *sequence));
        let released: Vec<_> = self.guardian.released().collect();
        cbor::put_head(&mut out, ARRAY, 2 * released.len() as u64);
        for (lost, deputy) in released {
            cbor::put_uint(&mut out, lost.0);
            cbor::put_uint(&mut out, deputy.0);
        }
        self.groups.write(&mut out);
        out
    }

    /// Takes a snapshot of the same terms back.
    ///
    /// # Errors
    /// [`PrivacyError`] when the snapshot is not one of these terms; nothing changes.
    pub fn restore(&mut self, snapshot: &[u8]) -> Result<(), PrivacyError> {
        let mut reader = Reader::new(snapshot);
        reader.array_of(13)?;
        let version = reader.uint()?;
        if version != 3 || digest(&mut reader)? != *self.terms.digest() {
            return Err(PrivacyError::Epoch { found: version, expected: self.terms.parts().epoch });
        }
        let answered = reader.bytes()?;
        let answered = if answered.is_empty() { None } else { Some(Survivors::decode(answered)?) };
        reader.array_of(self.used.len() as u64)?;
        let used = (0..self.used.len()).map(|_| reader.uint()).collect::<Result<Vec<u64>, _>>()?;
        let mut released = BTreeMap::new();
        for _ in 0..reader.array()? / 2 {
            released.insert(NodeId(reader.uint()?), NodeId(reader.uint()?));
        }
        let groups = Groups::read(&mut reader, self.used.len())?;
        reader.end()?;
        (self.answered, self.used, self.groups) = (answered, used, groups);
        self.guardian.restore_released(released);
        Ok(())
    }
}

impl fmt::Debug for CommitteeMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let round = self.answered.as_ref().map(|survivors| survivors.round);
        f.debug_struct("CommitteeMember")
            .field("node", &self.node)
            .field("round", &round)
            .finish_non_exhaustive()
    }
}
