//! [`Member`]: one member's certificate and its line of keys.
//!
//! A line is the keys in the order in which they spoke for the member. Between two of them stands the succession that led from one to the next, or
//! nothing where the authority certified a key of its own accord. What is taken back for a cause takes with it all that successions lead to
//! from there, and nothing that the authority certified afresh.

use super::{Certificate, DtnTime, KeyId, Learned, PublicKey, Succession, SuccessionError, TrustError};
use crate::identity::succession::MAX_CHAIN;
use alloc::vec::Vec;

/// Most earlier keys that are remembered of a member; beyond them the oldest go.
pub(super) const MAX_FORMERS: usize = 2 * MAX_CHAIN;

/// A member's key that another has followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Former {
    pub(super) key: PublicKey,
    pub(super) id: KeyId,
    /// When the next one took over, as far as it can be believed.
    pub(super) until: DtnTime,
    /// The succession to the next key; empty where the authority certified that one.
    pub(super) link: Vec<u8>,
    /// Whether another key was found to follow on this one, too.
    pub(super) forked: bool,
}

/// What is known of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) certificate: Certificate,
    pub(super) bytes: Vec<u8>,
    /// The key in force: the certificate's, or one that followed on it.
    pub(super) key: PublicKey,
    pub(super) id: KeyId,
    /// The keys before, the oldest first.
    pub(super) formers: Vec<Former>,
    /// The certificate's key, by its place among them; their number when it is the key in force.
    pub(super) certified: usize,
}

impl Member {
    pub(super) fn new(certificate: Certificate, bytes: &[u8]) -> Self {
        let key = certificate.key.clone();
        let id = KeyId::of(&key);
        Self { certificate, bytes: bytes.to_vec(), key, id, formers: Vec::new(), certified: 0 }
    }

    pub(super) const fn id(&self) -> KeyId {
        self.id
    }

    /// The place of the key in force.
    pub(super) const fn place(&self) -> usize {
        self.formers.len()
    }

    pub(super) fn key_at(&self, place: usize) -> &PublicKey {
        self.formers.get(place).map_or(&self.key, |former| &former.key)
    }

    pub(super) fn id_at(&self, place: usize) -> KeyId {
        self.formers.get(place).map_or(self.id, |former| former.id)
    }

    pub(super) fn until(&self, place: usize) -> DtnTime {
        self.formers.get(place).map_or(DtnTime::UNKNOWN, |former| former.until)
    }

    /// Where a key last stood in the line.
    pub(super) fn place_of(&self, id: KeyId) -> Option<usize> {
        if self.id == id {
            return Some(self.place());
        }
        self.formers.iter().rposition(|former| former.id == id)
    }

    /// The succession from the key at a place, if one led on.
    pub(super) fn link_after(&self, place: usize) -> Option<&[u8]> {
        self.formers.get(place).map(|former| former.link.as_slice()).filter(|link| !link.is_empty())
    }

    /// The successions since the certificate's key.
    pub(super) fn chain(&self) -> impl Iterator<Item = &[u8]> {
        self.formers[self.certified..].iter().map(|former| former.link.as_slice())
    }

    pub(super) const fn links(&self) -> u64 {
        (self.formers.len() - self.certified) as u64
    }

    /// The keys from which successions lead to the one at a place, youngest first.
    pub(super) fn before(&self, place: usize) -> impl Iterator<Item = KeyId> {
        self.formers[..place]
            .iter()
            .rev()
            .take_while(|former| !former.link.is_empty())
            .map(|former| former.id)
    }

    /// The key in force, and those from which successions lead to it.
    pub(super) fn line(&self) -> impl Iterator<Item = KeyId> {
        core::iter::once(self.id).chain(self.before(self.place()))
    }

    /// Takes a newer certificate.
    pub(super) fn renew(&mut self, certificate: Certificate, bytes: &[u8]) {
        let place = self.place_of(KeyId::of(&certificate.key)).filter(|place| {
            let later = &self.formers[*place..];
            later.len() <= MAX_CHAIN && later.iter().all(|former| !former.link.is_empty())
        });
        match place {
            // What has followed on its key since holds on: the authority need not have heard of it.
            Some(place) => self.certified = place,
            None => {
                self.push(certificate.key.clone(), certificate.not_before, Vec::new());
                self.certified = self.place();
            }
        }
        self.certificate = certificate;
        self.bytes = bytes.to_vec();
    }

    /// The key in force has a successor.
    pub(super) fn follow(&mut self, next: PublicKey, until: DtnTime, link: Vec<u8>) {
        self.push(next, until, link);
    }

    fn push(&mut self, next: PublicKey, until: DtnTime, link: Vec<u8>) {
        let id = KeyId::of(&next);
        let key = core::mem::replace(&mut self.key, next);
        let former = Former { key, id: core::mem::replace(&mut self.id, id), until, link, forked: false };
        self.formers.push(former);
        if self.formers.len() > MAX_FORMERS {
            // At most half of them stand since the certificate's key: that stays.
            self.formers.remove(0);
            self.certified = self.certified.saturating_sub(1);
        }
    }

    /// A succession in a place that another took: the same, one that shows how a certified key came about, or a fork.
    pub(super) fn compare(
        &mut self,
        place: usize,
        claimed: &Succession,
        bytes: &[u8],
    ) -> Result<Learned, TrustError> {
        let subject = claimed.subject;
        let same = *self.key_at(place + 1) == claimed.next;
        let (found, expected) = (self.id_at(place), self.id);
        let former = &mut self.formers[place];
        if former.forked || (same && !former.link.is_empty()) {
            return Err(TrustError::Stale);
        }
        if former.link.is_empty() && !same {
            // The authority put another key in its place, and that stands.
            return Err(SuccessionError::OtherKey { found, expected }.into());
        }
        Succession::follow(bytes, subject, &former.key)?;
        if same {
            former.link = bytes.to_vec();
            return Ok(Learned::Succession(subject));
        }
        former.forked = true;
        Err(TrustError::Forked { subject })
    }
}
