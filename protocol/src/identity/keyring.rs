//! [`Keyring`]: who may speak for whom, as far as what has come through tells.
//!
//! It starts from the authority's key and takes three kinds of signed statements, in any order and from anybody: certificates, successions
//! and revocation lists. Each is judged by its own signature, so it does not matter who passes it on. What it has, it gives away again.

use super::{
    certificate::{Certificate, CertificateError, Clock, Standing, TimeRule, ValidityError},
    key::PublicKey,
    revocation::{Cause, RevocationError, RevocationList, Revoked},
    role::Role,
    scope::Scope,
    succession::{AUTHORITY, MAX_CHAIN, Succession, SuccessionError},
    thumbprint::KeyId,
};
use crate::{id::NodeId, time::DtnTime};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

/// Why a statement or a speaker is refused. Refusal changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// A certificate that is none.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A succession that does not follow.
    #[error(transparent)]
    Succession(#[from] SuccessionError),
    /// A revocation list that is none.
    #[error(transparent)]
    Revocation(#[from] RevocationError),
    /// A certificate whose time is not now.
    #[error(transparent)]
    Validity(#[from] ValidityError),
    /// Nobody of that number has a certificate.
    #[error("node {node} has no certificate")]
    NoCertificate {
        /// Which.
        node: NodeId,
    },
    /// The key was taken back.
    #[error("a key of node {node} was taken back: {}", revoked.cause.word())]
    Revoked {
        /// Whose.
        node: NodeId,
        /// When and why.
        revoked: Revoked,
    },
    /// What is there is as new, or newer.
    #[error("not newer than what is known")]
    Stale,
    /// No more members can be remembered.
    #[error("{max} members are remembered already")]
    Full {
        /// The limit.
        max: usize,
    },
    /// Two statements of one signer that exclude each other: the proof that its key is not in one hand, or its holder lies.
    #[error("two keys follow on one of node {subject}")]
    Forked {
        /// Whose key; [`AUTHORITY`] for the authority's.
        subject: NodeId,
    },
}

impl TrustError {
    /// A stable word.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Certificate(error) => error.reason(),
            Self::Succession(error) => error.reason(),
            Self::Revocation(error) => error.reason(),
            Self::Validity(error) => error.reason(),
            Self::NoCertificate { .. } => "no_certificate",
            Self::Revoked { revoked, .. } => match revoked.cause {
                Cause::Superseded => "key_superseded",
                Cause::Blocked => "key_blocked",
                Cause::Compromised => "key_compromised",
            },
            Self::Stale => "trust_stale",
            Self::Full { .. } => "keyring_full",
            Self::Forked { .. } => "succession_forked",
        }
    }
}

/// As what a member speaks now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speaker {
    /// Who.
    pub node: NodeId,
    /// In which role.
    pub role: Role,
    /// For which part of the fleet.
    pub scope: Scope,
    /// Whether its certificate holds, or is in grace.
    pub standing: Standing,
}

/// A key of the authority, and when the next one took over.
#[derive(Clone, Debug, PartialEq, Eq)]
struct AuthorityKey {
    key: PublicKey,
    until: DtnTime,
    /// How many decisions of the fleet upon its authority came before this key.
    generation: u64,
    /// The fleet has replaced it because somebody else may have it: what it has signed counts as far as it is installed.
    stolen: bool,
}

/// Keys, certificates and revocations. Lookups cost O(log members); at most `max_members` are remembered, each with at most [`MAX_CHAIN`]
/// successions, and so many of the authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyring {
    rule: TimeRule,
    max_members: usize,
    authority: PublicKey,
    /// The key from which the authority's successions lead on: the provisioned one, or the last that the fleet decided upon.
    root: PublicKey,
    /// The authority's keys before, from the provisioned one on.
    formers: Vec<AuthorityKey>,
    /// The successions from the root on.
    authority_chain: Vec<Vec<u8>>,
    /// Keys that the fleet itself has blocked.
    blocked: BTreeMap<(NodeId, KeyId), Revoked>,
    members: BTreeMap<NodeId, Member>,
    list: RevocationList,
    list_bytes: Vec<u8>,
    /// Another list of the same version by the same key, which takes back what that one does not: both count, until the next version.
    rival: Vec<u8>,
    /// What tells lists of one version apart.
    list_tag: u64,
    /// When each entry of that was heard of first, by the clock here: no signer writes that.
    list_heard: BTreeMap<(NodeId, KeyId), DtnTime>,
    /// Which key has signed that, by its place among the authority's; their number for the one in force.
    list_signer: usize,
    /// How many decisions of the fleet upon its authority there were.
    generation: u64,
    /// The latest time that the authority has signed: it never runs backwards, whatever a later list says.
    heard: DtnTime,
    /// Whether a second key was found to follow on one of the authority's: told once.
    authority_forked: bool,
}

/// What a statement changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// A member's certificate: its first, a renewal, or one for another key.
    Certificate(NodeId),
    /// A member's key has a successor; [`AUTHORITY`]: the authority's.
    Succession(NodeId),
    /// A newer revocation list of this version.
    Revocations(u64),
}

impl Keyring {
    /// A keyring that knows the authority's key and nobody yet.
    #[must_use]
    pub fn new(authority: PublicKey, rule: TimeRule, max_members: usize) -> Self {
        Self {
            rule,
            max_members,
            root: authority.clone(),
            authority,
            formers: Vec::new(),
            authority_chain: Vec::new(),
            blocked: BTreeMap::new(),
            members: BTreeMap::new(),
            list: RevocationList::default(),
            list_bytes: Vec::new(),
            rival: Vec::new(),
            list_tag: 0,
            list_heard: BTreeMap::new(),
            list_signer: 0,
            generation: 0,
            heard: DtnTime::UNKNOWN,
            authority_forked: false,
        }
    }

    /// How time is judged.
    #[must_use]
    pub const fn rule(&self) -> &TimeRule {
        &self.rule
    }

    /// The latest time that the authority has signed and that has come through.
    #[must_use]
    pub const fn heard(&self) -> DtnTime {
        self.heard
    }

    /// The revocation list in force, with what another of its version takes back; version 0 before the first.
    #[must_use]
    pub const fn list(&self) -> &RevocationList {
        &self.list
    }

    /// The length of that list, as it was signed, in bytes.
    #[must_use]
    pub const fn list_len(&self) -> usize {
        self.list_bytes.len()
    }

    /// The certificate of a member.
    #[must_use]
    pub fn certificate(&self, node: NodeId) -> Option<&Certificate> {
        self.members.get(&node).map(|member| &member.certificate)
    }

    /// The key in force of a member.
    #[must_use]
    pub fn key(&self, node: NodeId) -> Option<&PublicKey> {
        self.members.get(&node).map(|member| &member.key)
    }

    /// The successions that have followed on the key of a member's certificate.
    pub fn chain(&self, node: NodeId) -> impl Iterator<Item = &[u8]> {
        self.members.get(&node).into_iter().flat_map(Member::chain)
    }

    /// How many successions have followed on the key of a member's certificate.
    #[must_use]
    pub fn successions(&self, node: NodeId) -> u64 {
        self.members.get(&node).map_or(0, Member::links)
    }

    /// Takes a certificate, from whoever brings it.
    ///
    /// One for a key of the member's line leaves the successions on that key as they are. One for another key begins a new line.
    ///
    /// # Errors
    /// [`TrustError`] when it is not the authority's, its time is not now, its key was taken back, or it is no newer than what is known.
    pub fn install(&mut self, bytes: &[u8], clock: Clock) -> Result<Learned, TrustError> {
        let certificate = self.open_certificate(bytes, clock)?;
        self.rule.judge(&certificate, clock, self.heard())?;
        self.put(certificate, bytes)
    }

    fn put(&mut self, certificate: Certificate, bytes: &[u8]) -> Result<Learned, TrustError> {
        let node = certificate.subject;
        let id = KeyId::of(&certificate.key);
        let Some(member) = self.members.get(&node) else {
            if let Some(revoked) = self.revoked(node, id).filter(is_for_cause) {
                return Err(TrustError::Revoked { node, revoked });
            }
            if self.members.len() >= self.max_members {
                return Err(TrustError::Full { max: self.max_members });
            }
            self.members.insert(node, Member::new(certificate, bytes));
            return Ok(Learned::Certificate(node));
        };
        if member.certificate.not_before >= certificate.not_before {
            return Err(TrustError::Stale);
        }
        let revoked = match member.place_of(id) {
            Some(place) => self.taken_back(node, member, place),
            None => self.revoked(node, id),
        };
        if let Some(revoked) = revoked.filter(is_for_cause) {
            return Err(TrustError::Revoked { node, revoked });
        }
        self.members.get_mut(&node).expect("looked up above").renew(certificate, bytes);
        Ok(Learned::Certificate(node))
    }

    /// Takes a succession of a member's key or of the authority's, from whoever brings it. Its place is found by the key that it names; at most
    /// one statement's signatures are checked, whatever it says.
    ///
    /// # Errors
    /// [`TrustError`] when it does not follow on the key in force, that key was taken back for a cause, or it is known.
    /// [`TrustError::Forked`] when another has followed on the same key already: what came first stands. That is told once.
    pub fn succeed(&mut self, bytes: &[u8], clock: Clock) -> Result<Learned, TrustError> {
        let (former, claimed) = Succession::claims(bytes)?;
        let subject = claimed.subject;
        if subject == AUTHORITY {
            return self.succeed_authority(&claimed, bytes, clock);
        }
        let member = self.members.get(&subject).ok_or(TrustError::NoCertificate { node: subject })?;
        let other = SuccessionError::OtherKey { found: former, expected: member.id() };
        let place = member.place_of(former).ok_or(other)?;
        if let Some(revoked) = self.taken_back(subject, member, place).filter(is_for_cause) {
            return Err(TrustError::Revoked { node: subject, revoked });
        }
        if place < member.place() {
            let member = self.members.get_mut(&subject).expect("looked up above");
            return member.compare(place, &claimed, bytes);
        }
        if member.links() >= MAX_CHAIN as u64 {
            return Err(SuccessionError::TooLong { found: MAX_CHAIN + 1 }.into());
        }
        let next = KeyId::of(&claimed.next);
        if let Some(revoked) = self.revoked(subject, next) {
            return Err(TrustError::Revoked { node: subject, revoked });
        }
        if member.place_of(next).is_some() {
            // A key that was followed does not come back.
            return Err(TrustError::Stale);
        }
        let link = Succession::follow(bytes, subject, &member.key)?;
        let until = self.not_after_now(link.since, clock).max(member.certificate.not_before);
        let member = self.members.get_mut(&subject).expect("looked up above");
        member.follow(link.next, until, bytes.to_vec());
        Ok(Learned::Succession(subject))
    }

    fn succeed_authority(
        &mut self,
        claimed: &Succession,
        bytes: &[u8],
        clock: Clock,
    ) -> Result<Learned, TrustError> {
        let links = self.authority_chain.len();
        let expected = links as u64 + 1;
        let number = SuccessionError::Number { found: claimed.number, expected };
        let place =
            claimed.number.checked_sub(1).and_then(|place| usize::try_from(place).ok()).ok_or(number)?;
        if let Some(known) = self.authority_chain.get(place) {
            if known == bytes || self.authority_forked {
                return Err(TrustError::Stale);
            }
            let key = &self.formers[self.formers.len() - links + place].key;
            // Signed by the same key as the one known: a fork. Anything else is just wrong.
            Succession::open(bytes, AUTHORITY, place as u64, key)?;
            self.authority_forked = true;
            return Err(TrustError::Forked { subject: AUTHORITY });
        }
        if links >= MAX_CHAIN {
            return Err(SuccessionError::TooLong { found: links + 1 }.into());
        }
        let link = Succession::open(bytes, AUTHORITY, links as u64, &self.authority)?;
        let until = match clock {
            Clock::Unknown => link.since,
            Clock::Between { .. } => self.not_after_now(link.since, clock),
        };
        let key = core::mem::replace(&mut self.authority, link.next);
        self.formers.push(AuthorityKey { key, until, generation: self.generation, stolen: false });
        self.authority_chain.push(bytes.to_vec());
        Ok(Learned::Succession(AUTHORITY))
    }

    /// The succession that stands in the place that another one claims: the other half of a proof that two follow on one key.
    #[must_use]
    pub fn rival(&self, bytes: &[u8]) -> Option<&[u8]> {
        let (former, claimed) = Succession::claims(bytes).ok()?;
        if claimed.subject == AUTHORITY {
            let place = usize::try_from(claimed.number.checked_sub(1)?).ok()?;
            return self.authority_chain.get(place).map(Vec::as_slice);
        }
        let member = self.members.get(&claimed.subject)?;
        member.link_after(member.place_of(former)?)
    }

    /// Why nothing counts of what a member signs now: its key, or one that its key follows from, was blocked or compromised.
    #[must_use]
    pub fn blocked(&self, node: NodeId) -> Option<Revoked> {
        let member = self.members.get(&node)?;
        self.taken_back(node, member, member.place()).filter(is_for_cause)
    }

    /// As what a member speaks, whatever it has signed. Whether a key that was superseded still counts for one message, [`Keyring::verify`] tells.
    ///
    /// # Errors
    /// [`TrustError`] when it has no certificate that holds, or its key was taken back for a cause.
    pub fn speaker(&self, node: NodeId, clock: Clock) -> Result<Speaker, TrustError> {
        let member = self.members.get(&node).ok_or(TrustError::NoCertificate { node })?;
        let standing = self.rule.judge(&member.certificate, clock, self.heard())?;
        if let Some(revoked) = self.blocked(node) {
            return Err(TrustError::Revoked { node, revoked });
        }
        let Certificate { role, scope, .. } = &member.certificate;
        Ok(Speaker { node, role: *role, scope: scope.clone(), standing })
    }

    /// As what `node` said something at `created`, by its own clock. `signed` tells whether a key signed it, and is asked for those keys only
    /// that may have; `None` when none of them did.
    ///
    /// A key that another has followed is good for what was made before, for as long as messages drain. So is one that was taken back
    /// because it was superseded. A key that was compromised or blocked, or follows from one, is good for nothing: its holder writes what times
    /// he likes.
    ///
    /// # Errors
    /// As [`Keyring::speaker`].
    pub fn verify(
        &self,
        node: NodeId,
        created: DtnTime,
        clock: Clock,
        mut signed: impl FnMut(&PublicKey) -> bool,
    ) -> Result<Option<Speaker>, TrustError> {
        let member = self.members.get(&node).ok_or(TrustError::NoCertificate { node })?;
        let standing = self.rule.judge(&member.certificate, clock, self.heard())?;
        let revoked = self.taken_back(node, member, member.place());
        let usable = revoked.is_none_or(|revoked| self.drains(revoked, created, clock));
        let former = member.place().checked_sub(1).filter(|place| {
            let retired = Revoked { since: member.until(*place), cause: Cause::Superseded };
            let revoked = self.taken_back(node, member, *place).unwrap_or(retired);
            self.drains(retired, created, clock) && self.drains(revoked, created, clock)
        });
        let former = former.map(|place| member.key_at(place));
        let keys = Some(&member.key).filter(|_| usable).into_iter().chain(former);
        for key in keys {
            if signed(key) {
                let Certificate { role, scope, .. } = &member.certificate;
                return Ok(Some(Speaker { node, role: *role, scope: scope.clone(), standing }));
            }
        }
        match revoked.filter(|_| !usable) {
            Some(revoked) => Err(TrustError::Revoked { node, revoked }),
            None => Ok(None),
        }
    }

    /// Keys of a member whose word stands whatever the time, the one in force first: for evidence, which is not an order. At most
    /// four; none that was blocked or compromised, or follows from one.
    pub fn evidence_keys(&self, node: NodeId) -> impl Iterator<Item = &PublicKey> {
        let member = self.members.get(&node);
        member.into_iter().flat_map(move |member| {
            let good = move |place: &usize| {
                !self.taken_back(node, member, *place).is_some_and(|revoked| is_for_cause(&revoked))
            };
            (0..=member.place()).rev().take(EVIDENCE_KEYS).filter(good).map(|place| member.key_at(place))
        })
    }

    /// The line of a member's key in force: itself and all that it is known to follow from by successions, youngest first.
    pub fn line(&self, node: NodeId) -> impl Iterator<Item = KeyId> {
        self.members.get(&node).into_iter().flat_map(Member::line)
    }

    /// The keys that the list, or the fleet itself, takes back because they are blocked or compromised.
    #[must_use]
    pub fn taken_back_for_cause(&self) -> BTreeSet<(NodeId, KeyId)> {
        let entries = self.list.keys.iter();
        let entries = entries.chain(&self.blocked);
        entries.filter(|(_, revoked)| is_for_cause(revoked)).map(|(key, _)| *key).collect()
    }

    /// What takes back the key at a place of a member's line: its own entry in the list, or one for a cause of a key that it follows from.
    fn taken_back(&self, node: NodeId, member: &Member, place: usize) -> Option<Revoked> {
        let own = self.revoked(node, member.id_at(place));
        let before = member.before(place).filter_map(|id| self.revoked(node, id)).filter(is_for_cause);
        before.chain(own).max_by_key(|revoked| revoked.cause)
    }

    /// The earliest time that it may be.
    fn earliest(&self, clock: Clock) -> DtnTime {
        match clock {
            Clock::Unknown => self.heard(),
            Clock::Between { earliest, .. } => earliest.max(self.heard()),
        }
    }

    /// A time that a signer wrote, or now where that is later: nobody says by himself for how long after now his earlier key counts.
    fn not_after_now(&self, since: DtnTime, clock: Clock) -> DtnTime {
        let latest = match clock {
            Clock::Unknown => self.heard(),
            Clock::Between { latest, .. } => latest.max(self.heard()),
        };
        since.min(latest)
    }

    /// Whether what was made at `created` under a key that is taken back still counts.
    fn drains(&self, revoked: Revoked, created: DtnTime, clock: Clock) -> bool {
        let drain = u64::try_from(self.rule.drain.as_millis()).unwrap_or(u64::MAX);
        revoked.cause == Cause::Superseded
            && created <= revoked.since
            && self.earliest(clock).0 <= revoked.since.0.saturating_add(drain)
    }
}

/// Most keys that a piece of evidence is held against.
const EVIDENCE_KEYS: usize = 4;

/// Whether a key was taken back because of who may hold it, and not just because another took its place.
fn is_for_cause(revoked: &Revoked) -> bool {
    revoked.cause != Cause::Superseded
}

#[path = "keyring_line.rs"]
mod line;
use line::Member;
#[path = "keyring_authority.rs"]
mod authority;
#[path = "keyring_decided.rs"]
mod decided;
#[path = "keyring_wire.rs"]
mod wire;
pub use wire::{KeyringError, Statement, Summary};

#[cfg(test)]
#[path = "keyring_tests.rs"]
mod tests;
