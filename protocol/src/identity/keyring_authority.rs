//! Whose signature counts as the authority's: that of the key in force, and for a while a little of those before it.
//!
//! Whoever holds a key that was retired writes what times he likes. So what such a key has signed counts for the time of grace, and adds nothing to what is
//! known here: a member that is not known, the same certificate for longer, a list that takes at least as much back. What a key has signed that the
//! fleet replaced because it was stolen counts as far as it is installed, and no further. The authority signs its certificates anew under its next key.

use super::{
    AuthorityKey, Certificate, CertificateError, Clock, KeyId, Keyring, Learned, RevocationError,
    RevocationList, TrustError, is_for_cause,
};
use crate::{
    id::NodeId,
    identity::{certificate, revocation::MAX_REVOKED},
    time::DtnTime,
};
use alloc::{collections::BTreeMap, vec::Vec};

/// So much further than the one in force may the version of a list be that a retired key has signed.
const MAX_STEP: u64 = 16;
/// Versions are below this: above stands which of the fleet's decisions the authority is of.
const MAX_VERSION: u64 = (1 << VERSION_BITS) - 1;
const VERSION_BITS: u32 = 48;
/// Of so many revocations a keyring knows how it heard of them first: a whole list, and as many that it leaves out.
pub(super) const MAX_HEARD_OF: usize = 2 * MAX_REVOKED;

impl Keyring {
    /// The certificate, if the authority has signed it and that counts as of now; nothing is learned by it.
    ///
    /// # Errors
    /// [`TrustError`] otherwise.
    pub fn open_certificate(&self, bytes: &[u8], clock: Clock) -> Result<Certificate, TrustError> {
        let error = match Certificate::open(bytes, &self.authority) {
            Ok(certificate) => return Ok(certificate),
            Err(error) => error,
        };
        let former = self.former_of(error)?;
        let certificate = Certificate::open(bytes, &former.key)?;
        let counts = certificate.not_before <= former.until
            && self.still_takes(former, clock)
            && self.adds_nothing(&certificate);
        if counts { Ok(certificate) } else { Err(error.into()) }
    }

    /// A certificate that was installed before a restart.
    pub(super) fn open_installed(&self, bytes: &[u8]) -> Result<Certificate, TrustError> {
        match Certificate::open(bytes, &self.authority) {
            Ok(certificate) => Ok(certificate),
            Err(error) => Ok(Certificate::open(bytes, &self.former_of(error)?.key)?),
        }
    }

    /// The earlier key of the authority that is said to have signed.
    fn former_of(&self, error: CertificateError) -> Result<&AuthorityKey, TrustError> {
        let CertificateError::OtherAuthority { found, .. } = error else { return Err(error.into()) };
        let former = self.formers.iter().rev().find(|former| KeyId::of(&former.key) == found);
        Ok(former.ok_or(error)?)
    }

    /// Whether a certificate says nothing of a member that is not known of it, but for how long.
    fn adds_nothing(&self, certificate: &Certificate) -> bool {
        self.members.get(&certificate.subject).is_none_or(|member| {
            member.place_of(KeyId::of(&certificate.key)).is_some()
                && member.certificate.role == certificate.role
                && member.certificate.scope == certificate.scope
        })
    }

    /// Whether statements of a key that the authority has retired are still taken: for the time of grace after it, and not if it was stolen.
    fn still_takes(&self, former: &AuthorityKey, clock: Clock) -> bool {
        let grace = u64::try_from(self.rule.grace.as_millis()).unwrap_or(u64::MAX);
        !former.stolen && self.earliest(clock).0 <= former.until.0.saturating_add(grace)
    }

    /// Takes a revocation list, from whoever brings it. It holds from then on for all that comes, in flight or not. Lists of an authority that the
    /// fleet has decided upon count before those of the one before, whatever their versions.
    ///
    /// # Errors
    /// [`TrustError`] when it is not the authority's, or no newer than the one in force.
    pub fn revoke(&mut self, bytes: &[u8], clock: Clock) -> Result<Learned, TrustError> {
        let (list, signer) = match RevocationList::open(bytes, &self.authority) {
            Err(RevocationError::OtherAuthority) => self.open_retired_list(bytes, clock)?,
            // The fleet has come back to a key that it had replaced: what that signed in its earlier time counts as of then.
            Ok(list) if self.earlier_time().is_some_and(|until| list.issued <= until) => {
                self.open_retired_list(bytes, clock)?
            }
            opened => (opened?, self.formers.len()),
        };
        let now = match clock {
            // No earlier than what was known before it, whatever time its signer wrote.
            Clock::Unknown => self.heard.max(list.issued),
            Clock::Between { latest, .. } => latest,
        };
        self.put_list(list, signer, bytes, now)
    }

    /// Until when the key in force was the authority's before, if the fleet has come back to it.
    fn earlier_time(&self) -> Option<DtnTime> {
        let earlier = self.formers.iter().filter(|former| former.key == self.authority);
        earlier.map(|former| former.until).max()
    }

    /// When the authority's next list is issued, where it is `now`: after every list that is known, and after whatever its key signed before the fleet
    /// came back to that.
    #[must_use]
    pub fn next_issued(&self, now: DtnTime) -> DtnTime {
        let after = self.earlier_time().map_or(DtnTime::UNKNOWN, |until| DtnTime(until.0.saturating_add(1)));
        now.max(self.heard).max(after)
    }

    /// Whether the key in force has yet to sign what the one before it, that it follows, signed last.
    #[must_use]
    pub fn list_is_of_former_key(&self) -> bool {
        let signer = self.formers.get(self.list_signer).filter(|_| !self.list_bytes.is_empty());
        signer.is_some_and(|former| former.generation == self.generation)
    }

    /// A list that a retired key has signed, and the place of that key.
    fn open_retired_list(&self, bytes: &[u8], clock: Clock) -> Result<(RevocationList, usize), TrustError> {
        // Of a key that was the authority's more than once: of the earliest time that it may be of.
        let opened = self.formers.iter().enumerate().find_map(|(place, former)| {
            let list = RevocationList::open(bytes, &former.key).ok()?;
            (list.issued <= former.until).then_some((list, place))
        });
        let counts = opened.filter(|(_, place)| {
            *place >= self.list_signer && self.still_takes(&self.formers[*place], clock)
        });
        let (list, place) = counts.ok_or(RevocationError::OtherAuthority)?;
        let known = &self.list;
        // Versions are counted anew from each decision on, so only those since the last can be used up.
        if self.formers[place].generation == self.generation {
            let last = if self.list_number() >> VERSION_BITS == self.generation { known.version } else { 0 };
            if list.version > last.saturating_add(MAX_STEP) {
                return Err(RevocationError::Version { found: list.version }.into());
            }
        }
        let for_cause = known.keys.iter().filter(|(_, revoked)| is_for_cause(revoked));
        let kept = for_cause.map(|(key, _)| key).all(|key| list.keys.get(key).is_some_and(is_for_cause));
        if kept { Ok((list, place)) } else { Err(RevocationError::OtherAuthority.into()) }
    }

    /// A list that was in force before a restart, and the place of the key that signed it.
    pub(super) fn restore_list(&mut self, bytes: &[u8], signer: usize) -> Result<(), TrustError> {
        let key = match self.formers.get(signer) {
            Some(former) => &former.key,
            None => &self.authority,
        };
        let signer = signer.min(self.formers.len());
        self.put_list(RevocationList::open(bytes, key)?, signer, bytes, self.heard).map(drop)
    }

    fn put_list(
        &mut self,
        list: RevocationList,
        signer: usize,
        bytes: &[u8],
        now: DtnTime,
    ) -> Result<Learned, TrustError> {
        if list.version > MAX_VERSION {
            return Err(RevocationError::Version { found: list.version }.into());
        }
        let generation = self.formers.get(signer).map_or(self.generation, |former| former.generation);
        if number(generation, list.version) <= self.list_number() {
            return Err(TrustError::Stale);
        }
        self.hear_of(&list, number(generation, 0) > self.list_number(), now);
        self.heard = self.heard.max(list.issued);
        (self.list, self.list_signer) = (list, signer);
        self.list_bytes = bytes.to_vec();
        Ok(Learned::Revocations(self.list.version))
    }

    /// Remembers what a list says for the first time. `next`: it is the first of another authority, which says what of the lists before still holds.
    fn hear_of(&mut self, list: &RevocationList, next: bool, now: DtnTime) {
        if next {
            let carried = self.list_to_continue();
            self.list_heard.retain(|entry, _| says(&carried, entry) || says(list, entry));
        }
        for ((node, key), revoked) in &list.keys {
            self.list_heard.entry((*node, *key, is_for_cause(revoked))).or_insert((now, *revoked));
        }
        let excess = self.list_heard.len().saturating_sub(MAX_HEARD_OF);
        if excess > 0 {
            // Of what the list leaves out, what was heard of last: a thief comes after those whom he would drive out.
            let left_out = self.list_heard.iter().filter(|(key, _)| !says(list, key));
            let mut left_out: Vec<_> = left_out.map(|(key, (heard, _))| (*heard, *key)).collect();
            left_out.sort_unstable();
            for (_, key) in left_out.into_iter().rev().take(excess) {
                self.list_heard.remove(&key);
            }
        }
    }

    /// Whether the list in force is of a key that the fleet has replaced because it was stolen: the next authority has yet to say which of it holds.
    #[must_use]
    pub fn list_is_of_stolen_key(&self) -> bool {
        self.formers.get(self.list_signer).is_some_and(|former| former.stolen) && !self.list_bytes.is_empty()
    }

    /// What the authority's next list begins from: the one in force; where that is of a key that was stolen, what was heard of here before the theft, as it
    /// was said then. What the thief has added, left out or put in other words is nobody's word, whatever times it bears.
    #[must_use]
    pub fn list_to_continue(&self) -> RevocationList {
        let Some(theft) = self.theft() else { return self.list.clone() };
        let before = self.list_heard.iter().filter(|(_, (heard, _))| *heard <= theft);
        let mut before: Vec<_> = before.map(|((node, key, _), said)| ((*node, *key), said)).collect();
        // What was said for a cause counts before what was not, and is what matters where there is no room for all.
        before.sort_by_key(|(_, (heard, revoked))| (!is_for_cause(revoked), *heard));
        let mut keys = BTreeMap::new();
        for (key, (_, revoked)) in before {
            if keys.len() < MAX_REVOKED {
                keys.entry(key).or_insert(*revoked);
            }
        }
        let RevocationList { version, issued, .. } = self.list;
        RevocationList { version, issued, keys }
    }

    /// Since when the list in force may be of a thief's making, if it may: since the first theft of the key that signed it, or of one that followed from it.
    fn theft(&self) -> Option<DtnTime> {
        let holders = self.formers.get(self.list_signer..).filter(|_| self.list_is_of_stolen_key())?;
        let thefts = holders.iter().filter(|former| former.theft).map(|former| former.until).min();
        thefts.or_else(|| holders.iter().filter(|former| former.stolen).map(|former| former.until).max())
    }

    /// What orders revocation lists: of which of the fleet's decisions upon its authority one is, then its version. 0 before the first.
    #[must_use]
    pub fn list_number(&self) -> u64 {
        let generation =
            self.formers.get(self.list_signer).map_or(self.generation, |former| former.generation);
        if self.list_bytes.is_empty() { 0 } else { number(generation, self.list.version) }
    }

    /// The version of the next list of the authority; `None`: there is none.
    #[must_use]
    pub fn next_version(&self) -> Option<u64> {
        if self.list_number() >> VERSION_BITS < self.generation {
            return Some(1);
        }
        self.list.version.checked_add(1).filter(|version| *version <= MAX_VERSION)
    }

    /// Whether a member's certificate is signed by an earlier key of the authority.
    #[must_use]
    pub fn is_of_earlier_authority(&self, node: NodeId) -> bool {
        let signer = self.members.get(&node).and_then(|member| certificate::claimed_signer(&member.bytes));
        signer.is_some_and(|signer| signer != KeyId::of(&self.authority))
    }
}

/// Whether a list says of a key what an entry of those heard of is about: that it was taken back for a cause, or for none.
fn says(list: &RevocationList, (node, key, cause): &(NodeId, KeyId, bool)) -> bool {
    list.get(*node, *key).is_some_and(|revoked| is_for_cause(&revoked) == *cause)
}

const fn number(generation: u64, version: u64) -> u64 {
    generation << VERSION_BITS | version
}
