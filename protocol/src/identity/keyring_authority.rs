//! Whose signature counts as the authority's: that of the key in force, and for a while a little of those before it.
//!
//! Whoever holds a key that was retired writes what times he likes. So what such a key has signed counts for the time of grace, and adds nothing to what is
//! known here: a member that is not known, the same certificate for longer, a list that takes at least as much back. What a key has signed that the
//! fleet replaced because it was stolen counts as far as it is installed, and no further. The authority signs its certificates anew under its next key.

use super::{
    AuthorityKey, Certificate, CertificateError, Clock, KeyId, Keyring, Learned, RevocationError,
    RevocationList, Revoked, TrustError, is_for_cause,
};
use crate::{
    id::NodeId,
    identity::{
        certificate,
        revocation::{MAX_LIST_LEN, MAX_REVOKED},
    },
    time::DtnTime,
};
use alloc::vec::Vec;
use sha2::{Digest as _, Sha256};

/// So much further than the one in force may the version of a list be that a retired key has signed.
const MAX_STEP: u64 = 16;
/// Versions are below this: above stands which of the fleet's decisions the authority is of, and below what a list takes back.
pub(super) const MAX_VERSION: u64 = (1 << VERSION_BITS) - 1;
const VERSION_BITS: u32 = 24;
/// Bits of [`tag`].
const TAG_BITS: u32 = 24;
/// Where the fleet's decisions stand.
const GENERATION_BITS: u32 = VERSION_BITS + TAG_BITS;

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
    /// [`TrustError`] when it is not the authority's, or no newer than the one in force. One of its version that takes back more counts beside it.
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
            Clock::Unknown => list.issued,
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
            let last =
                if self.list_number() >> GENERATION_BITS == self.generation { known.version } else { 0 };
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
        self.put_list(RevocationList::open(bytes, key)?, signer, bytes, DtnTime::UNKNOWN).map(drop)
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
        let (found, known) = (edition(generation, list.version), self.list_number() >> TAG_BITS);
        let is_rival = found == known && self.is_rival(&list, signer, bytes);
        if found <= known && !is_rival {
            return Err(TrustError::Stale);
        }
        self.heard = self.heard.max(list.issued);
        if is_rival {
            self.rival = bytes.to_vec();
            self.list.issued = self.list.issued.max(list.issued);
            for (key, revoked) in list.keys {
                let known = self.list.keys.entry(key).or_insert(revoked);
                if known.cause < revoked.cause {
                    *known = revoked;
                }
            }
        } else {
            (self.list, self.list_signer) = (list, signer);
            (self.list_bytes, self.rival) = (bytes.to_vec(), Vec::new());
        }
        let first = |key: &_| (*key, self.list_heard.get(key).copied().unwrap_or(now));
        self.list_heard = self.list.keys.keys().map(first).collect();
        self.list_tag = tag(&self.list);
        Ok(Learned::Revocations(self.list.version))
    }

    /// Whether a list of the version in force takes back what that one does not, and has room beside it. The authority has signed both: what either takes
    /// back is taken back, until the next version says what holds. There is one such list at most, and both are no longer than one may be.
    fn is_rival(&self, list: &RevocationList, signer: usize, bytes: &[u8]) -> bool {
        let adds = |(key, revoked): (&_, &Revoked)| {
            self.list.keys.get(key).is_none_or(|known| known.cause < revoked.cause)
        };
        let more = list.keys.keys().filter(|key| !self.list.keys.contains_key(key)).count();
        !self.list_bytes.is_empty()
            && self.rival.is_empty()
            && signer == self.list_signer
            && self.list_bytes.len() + bytes.len() <= MAX_LIST_LEN
            && self.list.keys.len() + more <= MAX_REVOKED
            && list.keys.iter().any(adds)
    }

    /// Whether two lists of one version are in force: the authority's next one is to hold what is in both.
    #[must_use]
    pub const fn has_rival_list(&self) -> bool {
        !self.rival.is_empty()
    }

    /// Whether the list in force is of a key that the fleet has replaced because it was stolen: the next authority has yet to say which of it holds.
    #[must_use]
    pub fn list_is_of_stolen_key(&self) -> bool {
        self.formers.get(self.list_signer).is_some_and(|former| former.stolen) && !self.list_bytes.is_empty()
    }

    /// What the authority's next list begins from: the one in force; where that is of a key that was stolen, as much of it as was heard of here before
    /// the theft. What the thief has added is nobody's word, whatever times it bears.
    #[must_use]
    pub fn list_to_continue(&self) -> RevocationList {
        let mut list = self.list.clone();
        if self.list_is_of_stolen_key() {
            let stolen = self.formers.iter().filter(|former| former.stolen);
            let theft = stolen.map(|former| former.until).max().unwrap_or(DtnTime::UNKNOWN);
            list.keys.retain(|key, _| self.list_heard.get(key).is_some_and(|heard| *heard <= theft));
        }
        list
    }

    /// What orders revocation lists: of which of the fleet's decisions upon its authority one is, then its version, then how much it takes back, with that of
    /// another of its version. Where that differs, so do the numbers, but for one in 8192. 0 before the first.
    #[must_use]
    pub fn list_number(&self) -> u64 {
        let generation =
            self.formers.get(self.list_signer).map_or(self.generation, |former| former.generation);
        if self.list_bytes.is_empty() {
            return 0;
        }
        edition(generation, self.list.version) << TAG_BITS | self.list_tag
    }

    /// The version of the next list of the authority; `None`: there is none.
    #[must_use]
    pub fn next_version(&self) -> Option<u64> {
        if self.list_number() >> GENERATION_BITS < self.generation {
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

const fn edition(generation: u64, version: u64) -> u64 {
    generation << VERSION_BITS | version
}

/// How many keys a list takes back, and 13 bits of which, and why.
fn tag(list: &RevocationList) -> u64 {
    if list.keys.is_empty() {
        return 0;
    }
    let mut hash = Sha256::new();
    for ((node, key), revoked) in &list.keys {
        hash.update(node.0.to_be_bytes());
        hash.update(key.0);
        hash.update([revoked.cause as u8]);
    }
    let digest = hash.finalize();
    (list.keys.len() as u64) << 13 | u64::from(u16::from_be_bytes([digest[0], digest[1]]) >> 3)
}
