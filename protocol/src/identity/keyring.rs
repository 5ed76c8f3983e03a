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
use alloc::{collections::BTreeMap, vec::Vec};

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

/// A member's key that another has followed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Former {
    key: PublicKey,
    /// When the next one took over.
    until: DtnTime,
}

/// What is known of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    certificate: Certificate,
    bytes: Vec<u8>,
    /// The key in force: the certificate's, or one that followed on it.
    key: PublicKey,
    /// The successions since the certificate's key, as they came.
    chain: Vec<Vec<u8>>,
    former: Option<Former>,
}

/// A key of the authority, and when the next one took over.
#[derive(Clone, Debug, PartialEq, Eq)]
struct AuthorityKey {
    key: PublicKey,
    until: DtnTime,
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
        self.list.issued
    }

    /// The revocation list in force; version 0 before the first.
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
    #[must_use]
    pub fn chain(&self, node: NodeId) -> &[Vec<u8>] {
        self.members.get(&node).map_or(&[], |member| &member.chain)
    }

    /// How many successions have followed on the key of a member's certificate.
    #[must_use]
    pub fn successions(&self, node: NodeId) -> u64 {
        self.members.get(&node).map_or(0, |member| member.chain.len() as u64)
    }

    /// Takes a certificate, from whoever brings it.
    ///
    /// # Errors
    /// [`TrustError`] when it is not the authority's, its time is not now, its key was taken back, or it is no newer than what is known.
    pub fn install(&mut self, bytes: &[u8], clock: Clock) -> Result<Learned, TrustError> {
        let certificate = self.open_certificate(bytes)?;
        self.rule.judge(&certificate, clock, self.heard())?;
        self.put(certificate, bytes)
    }

    fn open_certificate(&self, bytes: &[u8]) -> Result<Certificate, TrustError> {
        let error = match Certificate::open(bytes, &self.authority) {
            Ok(certificate) => return Ok(certificate),
            Err(error) => error,
        };
        let CertificateError::OtherAuthority { found, .. } = error else { return Err(error.into()) };
        // What an earlier key signed before it handed over stays signed.
        let former = self.formers.iter().find(|former| KeyId::of(&former.key) == found).ok_or(error)?;
        let certificate = Certificate::open(bytes, &former.key)?;
        if certificate.not_before <= former.until { Ok(certificate) } else { Err(error.into()) }
    }

    fn put(&mut self, certificate: Certificate, bytes: &[u8]) -> Result<Learned, TrustError> {
        let node = certificate.subject;
        if let Some(revoked) = self.revoked(node, KeyId::of(&certificate.key)) {
            return Err(TrustError::Revoked { node, revoked });
        }
        let Some(member) = self.members.get_mut(&node) else {
            if self.members.len() >= self.max_members {
                return Err(TrustError::Full { max: self.max_members });
            }
            let (key, bytes) = (certificate.key.clone(), bytes.to_vec());
            self.members.insert(node, Member { certificate, bytes, key, chain: Vec::new(), former: None });
            return Ok(Learned::Certificate(node));
        };
        if member.certificate.not_before >= certificate.not_before {
            return Err(TrustError::Stale);
        }
        if certificate.key == member.certificate.key {
            // The authority had not heard of successions since: they hold on.
        } else {
            if certificate.key != member.key {
                member.former = Some(Former { key: member.key.clone(), until: certificate.not_before });
            }
            member.key = certificate.key.clone();
            member.chain.clear();
        }
        member.certificate = certificate;
        member.bytes = bytes.to_vec();
        Ok(Learned::Certificate(node))
    }

    /// Takes a succession of a member's key or of the authority's, from whoever brings it.
    ///
    /// # Errors
    /// [`TrustError`] when it does not follow on the key in force, that key was taken back, or it is known.
    /// [`TrustError::Forked`] when another has followed on the same key already: what came first stands.
    pub fn succeed(&mut self, bytes: &[u8]) -> Result<Learned, TrustError> {
        let (subject, number) = Succession::peek(bytes)?;
        if subject == AUTHORITY {
            return self.succeed_authority(number, bytes);
        }
        let member = self.members.get(&subject).ok_or(TrustError::NoCertificate { node: subject })?;
        check_new(subject, &member.certificate.key, &member.chain, number, bytes)?;
        if let Some(revoked) = self.revoked(subject, KeyId::of(&member.key)) {
            return Err(TrustError::Revoked { node: subject, revoked });
        }
        if member.chain.len() >= MAX_CHAIN {
            return Err(SuccessionError::TooLong { found: member.chain.len() + 1 }.into());
        }
        let link = Succession::open(bytes, subject, member.chain.len() as u64, &member.key)?;
        if let Some(revoked) = self.revoked(subject, KeyId::of(&link.next)) {
            return Err(TrustError::Revoked { node: subject, revoked });
        }
        let member = self.members.get_mut(&subject).expect("looked up above");
        let key = core::mem::replace(&mut member.key, link.next);
        member.former = Some(Former { key, until: link.since });
        member.chain.push(bytes.to_vec());
        Ok(Learned::Succession(subject))
    }

    fn succeed_authority(&mut self, number: u64, bytes: &[u8]) -> Result<Learned, TrustError> {
        check_new(AUTHORITY, &self.root, &self.authority_chain, number, bytes)?;
        let links = self.authority_chain.len();
        if links >= MAX_CHAIN {
            return Err(SuccessionError::TooLong { found: links + 1 }.into());
        }
        let link = Succession::open(bytes, AUTHORITY, links as u64, &self.authority)?;
        let key = core::mem::replace(&mut self.authority, link.next);
        self.formers.push(AuthorityKey { key, until: link.since });
        self.authority_chain.push(bytes.to_vec());
        Ok(Learned::Succession(AUTHORITY))
    }

    /// Takes a revocation list, from whoever brings it. It holds from then on for all that comes, in flight or not.
    ///
    /// # Errors
    /// [`TrustError`] when it is not the authority's, or no newer than the one in force.
    pub fn revoke(&mut self, bytes: &[u8]) -> Result<Learned, TrustError> {
        let list = match RevocationList::open(bytes, &self.authority) {
            Err(RevocationError::OtherAuthority) => {
                let earlier = |former: &AuthorityKey| {
                    let list = RevocationList::open(bytes, &former.key).ok()?;
                    (list.issued <= former.until).then_some(list)
                };
                self.formers.iter().find_map(earlier).ok_or(RevocationError::OtherAuthority)?
            }
            opened => opened?,
        };
        if list.version <= self.list.version {
            return Err(TrustError::Stale);
        }
        self.list = list;
        self.list_bytes = bytes.to_vec();
        Ok(Learned::Revocations(self.list.version))
    }

    /// As what a member speaks, whatever it has signed.
    ///
    /// # Errors
    /// [`TrustError`] when it has no certificate that holds, or its key was taken back.
    pub fn speaker(&self, node: NodeId, clock: Clock) -> Result<Speaker, TrustError> {
        let member = self.members.get(&node).ok_or(TrustError::NoCertificate { node })?;
        let standing = self.rule.judge(&member.certificate, clock, self.heard())?;
        if let Some(revoked) = self.revoked(node, KeyId::of(&member.key)) {
            return Err(TrustError::Revoked { node, revoked });
        }
        let Certificate { role, scope, .. } = &member.certificate;
        Ok(Speaker { node, role: *role, scope: scope.clone(), standing })
    }

    /// As what `node` said something at `created`, by its own clock. `signed` tells whether a key signed it, and is asked for those keys only
    /// that may have; `None` when none of them did.
    ///
    /// A key that another has followed is good for what was made before, for as long as messages drain. So is one that was taken back
    /// because it was superseded. A key that was compromised or blocked is good for nothing: its holder writes what times he likes.
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
        let revoked = self.revoked(node, KeyId::of(&member.key));
        let usable = revoked.is_none_or(|revoked| self.drains(revoked, created, clock));
        let former = member.former.as_ref().filter(|former| {
            let retired = Revoked { since: former.until, cause: Cause::Superseded };
            let revoked = self.revoked(node, KeyId::of(&former.key)).unwrap_or(retired);
            self.drains(retired, created, clock) && self.drains(revoked, created, clock)
        });
        let keys = Some(&member.key).filter(|_| usable).into_iter().chain(former.map(|former| &former.key));
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

    /// Whether what was made at `created` under a key that is taken back still counts.
    fn drains(&self, revoked: Revoked, created: DtnTime, clock: Clock) -> bool {
        let now = match clock {
            Clock::Unknown => self.heard(),
            Clock::Between { earliest, .. } => earliest.max(self.heard()),
        };
        let drain = u64::try_from(self.rule.drain.as_millis()).unwrap_or(u64::MAX);
        revoked.cause == Cause::Superseded
            && created <= revoked.since
            && now.0 <= revoked.since.0.saturating_add(drain)
    }
}

/// Checks that a link that says to be the `number`th is not among those known, and not in the place of one of them.
fn check_new(
    subject: NodeId,
    first: &PublicKey,
    chain: &[Vec<u8>],
    number: u64,
    bytes: &[u8],
) -> Result<(), TrustError> {
    let Some(place) = number.checked_sub(1).and_then(|place| usize::try_from(place).ok()) else {
        return Err(SuccessionError::Number { found: number, expected: chain.len() as u64 + 1 }.into());
    };
    let Some(known) = chain.get(place) else { return Ok(()) };
    if known == bytes {
        return Err(TrustError::Stale);
    }
    let before = chain[..place].iter().map(Vec::as_slice);
    let (key, links) = Succession::walk(subject, 0, first.clone(), before)?;
    // Signed by the same key as the one known: a fork. Anything else is just wrong.
    Succession::open(bytes, subject, links, &key)?;
    Err(TrustError::Forked { subject })
}

#[path = "keyring_decided.rs"]
mod decided;
#[path = "keyring_wire.rs"]
mod wire;
pub use wire::{KeyringError, Statement, Summary};

#[cfg(test)]
#[path = "keyring_tests.rs"]
mod tests;
