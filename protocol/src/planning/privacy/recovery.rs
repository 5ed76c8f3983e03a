//! Recovery of a lost member: its mask key is shared among the others, and rebuilt at one deputy.
//!
//! ```cddl
//! deal    = [4, epoch: uint, dealer: uint, [+ commitment: bstr .size 32], [+ sealed: bstr .size 48]] ; member → members
//! recover = [5, epoch: uint, lost: uint, deputy: uint]                   ; coordinator → members
//! share   = [6, epoch: uint, lost: uint, sealed: bstr .size 48]          ; member → deputy
//! ```
//!
//! A share is sealed with AES-256-GCM under a key of its own (X25519 between the share keys), so a nonce of zeros is used
//! once: a dealer deals one polynomial in an epoch, and a guardian returns one share to one deputy.
//!
//! The deputy learns the lost member's mask key of this epoch: from then on it counts as two. The coordinator learns mask sums, as before.

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};
use core::fmt;

use aes_gcm::{AeadInOut as _, Aes256Gcm, KeyInit as _, Nonce, Tag};
use curve25519_dalek::scalar::Scalar;
use zeroize::{Zeroize as _, Zeroizing};

use super::{
    error::PrivacyError,
    keystream::MaskKey,
    message::{digest, head, read_head},
    secret::{SeatSecret, recovered_mask_keys},
    sharing::{Commitments, combine, share},
    terms::{MAX_COMMITTEE, Terms},
};
use crate::{
    cbor::{self, ARRAY, Reader},
    id::NodeId,
};

/// The length of a sealed share in bytes: a scalar and a tag.
pub const SEALED_LEN: usize = 48;

const DEALT: &[u8] = b"dealt";
const RETURNED: &[u8] = b"returned";

/// A member's mask key in shares, one for each other seat, with commitments that they are checked against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deal {
    /// The epoch.
    pub epoch: u64,
    /// Whose key.
    pub dealer: NodeId,
    /// Compressed points, as many as the threshold.
    pub commitments: Vec<[u8; 32]>,
    /// Sealed shares, in the order of the other seats.
    pub sealed: Vec<[u8; SEALED_LEN]>,
}

/// The coordinator says that a member is lost, and who stands in for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recover {
    /// The epoch.
    pub epoch: u64,
    /// The member.
    pub lost: NodeId,
    /// Who stands in.
    pub deputy: NodeId,
}

/// A guardian's share of a lost member's key, sealed to the deputy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnedShare {
    /// The epoch.
    pub epoch: u64,
    /// Whose key.
    pub lost: NodeId,
    /// The share.
    pub sealed: [u8; SEALED_LEN],
}

impl Deal {
    /// The message's bytes: 34 for each of the threshold and 50 for each other seat.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32 + 34 * self.commitments.len() + 50 * self.sealed.len());
        head(&mut out, 5, 4, &[self.epoch, self.dealer.0]);
        cbor::put_head(&mut out, ARRAY, self.commitments.len() as u64);
        self.commitments.iter().for_each(|point| cbor::put_bytes(&mut out, point));
        cbor::put_head(&mut out, ARRAY, self.sealed.len() as u64);
        self.sealed.iter().for_each(|sealed| cbor::put_bytes(&mut out, sealed));
        out
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`PrivacyError`] unless the bytes are exactly one message of at most [`MAX_COMMITTEE`] seats.
    pub fn decode(bytes: &[u8]) -> Result<Self, PrivacyError> {
        let mut reader = Reader::new(bytes);
        let [epoch, dealer] = read_head(&mut reader, 5, 4)?;
        let commitments = (0..seats(&mut reader)?).map(|_| digest(&mut reader));
        let commitments = commitments.collect::<Result<_, _>>()?;
        let sealed = (0..seats(&mut reader)?).map(|_| read_sealed(&mut reader));
        let sealed = sealed.collect::<Result<_, _>>()?;
        reader.end()?;
        Ok(Self { epoch, dealer: NodeId(dealer), commitments, sealed })
    }
}

impl Recover {
    /// The message's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(29);
        head(&mut out, 4, 5, &[self.epoch, self.lost.0, self.deputy.0]);
        out
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`PrivacyError`] unless the bytes are exactly one message.
    pub fn decode(bytes: &[u8]) -> Result<Self, PrivacyError> {
        let mut reader = Reader::new(bytes);
        let [epoch, lost, deputy] = read_head(&mut reader, 4, 5)?;
        reader.end()?;
        Ok(Self { epoch, lost: NodeId(lost), deputy: NodeId(deputy) })
    }
}

impl ReturnedShare {
    /// The message's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(22 + SEALED_LEN);
        head(&mut out, 4, 6, &[self.epoch, self.lost.0]);
        cbor::put_bytes(&mut out, &self.sealed);
        out
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`PrivacyError`] unless the bytes are exactly one message.
    pub fn decode(bytes: &[u8]) -> Result<Self, PrivacyError> {
        let mut reader = Reader::new(bytes);
        let [epoch, lost] = read_head(&mut reader, 4, 6)?;
        let sealed = read_sealed(&mut reader)?;
        reader.end()?;
        Ok(Self { epoch, lost: NodeId(lost), sealed })
    }
}

fn seats(reader: &mut Reader<'_>) -> Result<u64, PrivacyError> {
    let (found, most) = (reader.array()?, MAX_COMMITTEE as u64);
    let error = PrivacyError::Terms { field: "committee", found, least: 0, most };
    if found > most { Err(error) } else { Ok(found) }
}

fn read_sealed(reader: &mut Reader<'_>) -> Result<[u8; SEALED_LEN], PrivacyError> {
    let bytes = reader.bytes()?;
    bytes.try_into().map_err(|_| PrivacyError::Entries { found: bytes.len(), expected: SEALED_LEN })
}

/// What a member keeps of others' keys, and what it collects when it stands in for one.
#[derive(Clone)]
pub(super) struct Guardian {
    terms: Arc<Terms>,
    seat: usize,
    secret: SeatSecret,
    /// Own share of each dealer's key.
    kept: BTreeMap<NodeId, (Commitments, Zeroizing<Scalar>)>,
    /// Lost members, and the deputy that each one's share is for.
    released: BTreeMap<NodeId, NodeId>,
    /// Shares of those that this member stands in for, by index.
    collected: BTreeMap<NodeId, BTreeMap<u8, Zeroizing<Scalar>>>,
    /// Mask keys of those that it stands in for, in the order of the roster.
    recovered: BTreeMap<NodeId, Vec<MaskKey>>,
}

impl Guardian {
    pub(super) fn new(terms: Arc<Terms>, seat: usize, secret: SeatSecret) -> Self {
        let (kept, released) = (BTreeMap::new(), BTreeMap::new());
        let (collected, recovered) = (BTreeMap::new(), BTreeMap::new());
        Self { terms, seat, secret, kept, released, collected, recovered }
    }

    fn node(&self) -> NodeId {
        self.terms.parts().committee[self.seat].node
    }

    /// Own key in shares; `None` when the terms share none.
    pub(super) fn deal(&self) -> Result<Option<Deal>, PrivacyError> {
        if self.terms.parts().threshold == 0 {
            return Ok(None);
        }
        let (polynomial, dealer) = (self.secret.polynomial(&self.terms), self.node());
        let others = self.terms.parts().committee.iter().enumerate().filter(|(place, _)| *place != self.seat);
        let sealed = others.map(|(place, other)| {
            let key = self.secret.sealing_key(&self.terms, DEALT, dealer, dealer, other)?;
            Ok(seal(&key, Zeroizing::new(share(&polynomial, index(place)))))
        });
        let sealed = sealed.collect::<Result<_, PrivacyError>>()?;
        let commitments = Commitments::new(&polynomial).encode();
        Ok(Some(Deal { epoch: self.terms.parts().epoch, dealer, commitments, sealed }))
    }

    /// Keeps the own share of another's key.
    pub(super) fn on_deal(&mut self, from: NodeId, deal: &Deal) -> Result<(), PrivacyError> {
        self.terms.check_epoch(deal.epoch)?;
        let dealer = deal.dealer;
        let place = self.terms.seat(dealer).filter(|place| from == dealer && *place != self.seat);
        let place = place.ok_or(PrivacyError::Sender { node: from })?;
        let bad = PrivacyError::BadShare { dealer };
        let (threshold, others) = (self.terms.parts().threshold, self.terms.parts().committee.len() - 1);
        if threshold == 0 || deal.commitments.len() != threshold || deal.sealed.len() != others {
            return Err(bad);
        }
        let commitments = Commitments::decode(&deal.commitments).ok_or(bad)?;
        let seat = &self.terms.parts().committee[place];
        // The shared key is the one that masks are made with: not another.
        if commitments.public_key() != Some(seat.mask_key) {
            return Err(bad);
        }
        if let Some((known, _)) = self.kept.get(&dealer) {
            return if *known == commitments { Ok(()) } else { Err(bad) };
        }
        let own = if self.seat > place { self.seat - 1 } else { self.seat };
        let key = self.secret.sealing_key(&self.terms, DEALT, dealer, dealer, seat)?;
        let share = open(&key, &deal.sealed[own]).filter(|share| commitments.fit(index(self.seat), share));
        self.kept.insert(dealer, (commitments, share.ok_or(bad)?));
        Ok(())
    }

    /// Releases the own share of a lost member's key to its deputy; `None` when this member is the deputy.
    pub(super) fn on_recover(&mut self, recover: &Recover) -> Result<Option<ReturnedShare>, PrivacyError> {
        self.terms.check_epoch(recover.epoch)?;
        let (lost, deputy, own) = (recover.lost, recover.deputy, self.node());
        let place = self.terms.seat(deputy).filter(|_| lost != own && lost != deputy);
        let place = place.ok_or(PrivacyError::Sender { node: deputy })?;
        let (_, kept) = self.kept.get(&lost).ok_or(PrivacyError::NoShare { dealer: lost })?;
        let limit = self.terms.parts().recoveries;
        match self.released.get(&lost) {
            Some(known) if *known != deputy => return Err(PrivacyError::Recoveries { limit }),
            None if self.released.len() >= limit => return Err(PrivacyError::Recoveries { limit }),
            _ => {}
        }
        let kept = kept.clone();
        let answer = if deputy == own {
            let index = index(self.seat);
            self.collect(lost, index, kept);
            None
        } else {
            let other = &self.terms.parts().committee[place];
            let key = self.secret.sealing_key(&self.terms, RETURNED, lost, own, other)?;
            Some(ReturnedShare { epoch: recover.epoch, lost, sealed: seal(&key, kept) })
        };
        self.released.insert(lost, deputy);
        Ok(answer)
    }

    /// Takes a guardian's share, at the deputy. Whether the lost member's key is rebuilt.
    pub(super) fn on_share(&mut self, from: NodeId, returned: &ReturnedShare) -> Result<bool, PrivacyError> {
        self.terms.check_epoch(returned.epoch)?;
        let lost = returned.lost;
        if self.released.get(&lost) != Some(&self.node()) {
            return Err(PrivacyError::Sender { node: from });
        }
        let place = self.terms.seat(from).filter(|place| *place != self.seat && from != lost);
        let place = place.ok_or(PrivacyError::Sender { node: from })?;
        let (commitments, _) = self.kept.get(&lost).ok_or(PrivacyError::NoShare { dealer: lost })?;
        let guardian = &self.terms.parts().committee[place];
        let key = self.secret.sealing_key(&self.terms, RETURNED, lost, from, guardian)?;
        let share = open(&key, &returned.sealed).filter(|share| commitments.fit(index(place), share));
        let share = share.ok_or(PrivacyError::BadShare { dealer: lost })?;
        self.collect(lost, index(place), share);
        Ok(self.recovered.contains_key(&lost))
    }

    fn collect(&mut self, lost: NodeId, index: u8, share: Zeroizing<Scalar>) {
        if self.recovered.contains_key(&lost) {
            return;
        }
        let shares = self.collected.entry(lost).or_default();
        shares.insert(index, share);
        if shares.len() < self.terms.parts().threshold {
            return;
        }
        let mut known: Vec<(u8, Scalar)> = shares.iter().map(|(index, share)| (*index, **share)).collect();
        let mut key = combine(&known);
        known.iter_mut().for_each(|(_, share)| share.zeroize());
        self.collected.remove(&lost);
        self.recovered.insert(lost, recovered_mask_keys(&key, &self.terms, lost));
        key.zeroize();
    }

    /// The mask keys of a member that this one stands in for.
    pub(super) fn stands_in(&self, lost: NodeId) -> Option<&[MaskKey]> {
        self.recovered.get(&lost).map(Vec::as_slice)
    }

    /// Whose mask keys are rebuilt here.
    pub(super) fn wards(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.recovered.keys().copied()
    }

    /// Lost members, and to which deputy the own share of each went.
    pub(super) fn released(&self) -> impl Iterator<Item = (NodeId, NodeId)> + '_ {
        self.released.iter().map(|(lost, deputy)| (*lost, *deputy))
    }

    pub(super) fn restore_released(&mut self, released: BTreeMap<NodeId, NodeId>) {
        self.released = released;
    }
}

impl fmt::Debug for Guardian {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guardian").field("released", &self.released).finish_non_exhaustive()
    }
}

/// Where a seat's share is on the polynomial: 0 is the secret.
fn index(seat: usize) -> u8 {
    seat as u8 + 1
}

pub(super) fn seal(key: &Zeroizing<[u8; 32]>, share: Zeroizing<Scalar>) -> [u8; SEALED_LEN] {
    let cipher = Aes256Gcm::new((&**key).into());
    let mut sealed = [0; SEALED_LEN];
    let (text, tag) = sealed.split_at_mut(32);
    text.copy_from_slice(share.as_bytes());
    let made = cipher.encrypt_inout_detached(&Nonce::default(), &[], text.into());
    tag.copy_from_slice(&made.expect("32 bytes are within AES-GCM's limit"));
    sealed
}

fn open(key: &Zeroizing<[u8; 32]>, sealed: &[u8; SEALED_LEN]) -> Option<Zeroizing<Scalar>> {
    let cipher = Aes256Gcm::new((&**key).into());
    let (text, tag) = sealed.split_at(32);
    let tag: [u8; 16] = tag.try_into().ok()?;
    let mut text: Zeroizing<[u8; 32]> = Zeroizing::new(text.try_into().ok()?);
    let plain = text.as_mut_slice().into();
    cipher
        .decrypt_inout_detached(&Nonce::default(), &[], plain, &Tag::<aes_gcm::aead::consts::U16>::from(tag))
        .ok()?;
    Scalar::from_canonical_bytes(*text).into_option().map(Zeroizing::new)
}
