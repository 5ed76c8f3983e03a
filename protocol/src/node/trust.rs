//! Trust at the node: whose word counts, who may do what, and what is written down of it.
//!
//! With [`TrustConfig`] a node opens envelopes by its keyring instead of the directory, asks the policy at every door, keeps a log, and
//! exchanges certificates, revocations and checkpoints with one member after the other.

mod detour;
mod gossip;
mod intake;
mod journal;
mod message;

use super::{InputError, Node, StreamKey};
use crate::{
    access::{Action, Decision, Policy, Request},
    delivery::{RateLimit, RateMeter},
    envelope::{Header, Opened, Parsed, Purpose},
    id::NodeId,
    identity::{
        Cause, Certificate, Clock, KeyId, KeyPair, Keyring, Learned, MAX_CHAIN, PublicKey, RevocationList,
        Revoked, Scope, Speaker, Standing, Statement, Succession, TimeRule, TrustError,
    },
    log::{Brief, Event, Journal, LogId, MessageName, Witness},
    planning::solver::Request as PlanRequest,
    time::{DtnTime, Instant},
};
use alloc::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    vec::Vec,
};
use core::time::Duration;

/// Envelopes that are remembered for each stream, to catch a sender of two payloads under one number.
const REMEMBERED: usize = 8;
/// Longest envelope that is remembered whole, as one half of such a proof.
const MAX_REMEMBERED_LEN: usize = 2048;

/// How a node trusts.
#[derive(Clone, Debug)]
pub struct TrustConfig {
    /// The authority's key, as provisioned.
    pub authority: PublicKey,
    /// Certificates and other statements, as provisioned.
    pub statements: Vec<Statement>,
    /// The authority's key, if this node holds it.
    pub issuer: Option<Issuer>,
    /// How certificates are judged by time.
    pub rule: TimeRule,
    /// Who may do what.
    pub policy: Arc<Policy>,
    /// The part of the fleet that this node belongs to: who commands it must be certified for that.
    pub scope: Scope,
    /// Whether it signs the others' checkpoints when it has seen that their logs have only grown.
    pub witness: bool,
    /// How fast one member's messages are taken; none: as fast as they come.
    pub share: Option<RateLimit>,
    /// It tells one member after the other what it knows, this often.
    pub interval: Duration,
    /// Lifetime of these messages.
    pub lifetime: Duration,
}

/// What the holder of the authority's key does.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The authority's key.
    pub keys: KeyPair,
    /// How long a certificate holds.
    pub lifetime: Duration,
    /// How long before its end it is renewed.
    pub renew_before: Duration,
}

/// An envelope that was taken.
#[derive(Debug)]
struct Taken {
    epoch: u32,
    sequence: u64,
    payload: Brief,
    /// The envelope, unless it is too long to remember.
    sealed: Vec<u8>,
}

/// Trust at this node.
#[derive(Debug)]
pub(super) struct Trusting {
    config: TrustConfig,
    keyring: Keyring,
    journal: Journal,
    /// Whether the journal has grown since it was last kept.
    unsaved: bool,
    witness: Witness,
    /// Others' signatures of this node's newest checkpoint that they have seen.
    cosignatures: BTreeMap<NodeId, Vec<u8>>,
    /// The sizes of this node's log that each peer says to know.
    known_by: BTreeMap<NodeId, Vec<u64>>,
    /// Sizes that others were told lately, and may still answer to.
    told: VecDeque<u64>,
    taken: BTreeMap<StreamKey, VecDeque<Taken>>,
    detours: detour::Detours,
    /// What each member may still send, where that is limited.
    shares: BTreeMap<NodeId, RateMeter>,
    /// Position of the next partner, and of the next checkpoint that is passed on.
    turn: usize,
}

impl Trusting {
    pub(super) fn new(id: NodeId, config: TrustConfig, incarnation: u32, members: usize) -> Self {
        let mut keyring = Keyring::new(config.authority.clone(), config.rule, members);
        for statement in &config.statements {
            // The host provisions statements as it does keys: one that does not hold is simply not there. Time is not judged here: a clock
            // comes later.
            let _ = keyring.learn(statement, Clock::Unknown);
        }
        Self {
            keyring,
            journal: Journal::new(LogId { node: id, born: incarnation }),
            unsaved: false,
            witness: Witness::new(members.saturating_mul(2)),
            cosignatures: BTreeMap::new(),
            known_by: BTreeMap::new(),
            told: VecDeque::new(),
            taken: BTreeMap::new(),
            detours: detour::Detours::default(),
            shares: BTreeMap::new(),
            turn: 0,
            config,
        }
    }
}

impl Node {
    /// The keyring, if this node trusts by certificates.
    #[must_use]
    pub fn keyring(&self) -> Option<&Keyring> {
        self.trusting.as_ref().map(|trusting| &trusting.keyring)
    }

    /// Whether a member may do something at this node, and the rule that says so: the one question of every door, also of those that the
    /// host keeps (reading the log, changing the policy).
    ///
    /// # Errors
    /// [`TrustError`] when the member has no certificate that holds. `None`: this node trusts by the directory alone.
    pub fn decide(
        &self,
        subject: NodeId,
        action: Action,
        contract: Option<&str>,
    ) -> Option<Result<Decision<'_>, TrustError>> {
        let trusting = self.trusting.as_ref()?;
        let speaker = match trusting.keyring.speaker(subject, self.trust_clock()) {
            Ok(speaker) => speaker,
            Err(error) => return Some(Err(error)),
        };
        let request = Request { action, contract, scope: &trusting.config.scope };
        Some(Ok(trusting.config.policy.decide(&speaker, &request)))
    }

    /// Whether a member's role allows something here, as long as its certificate holds: what is judged long after it was said does not depend on
    /// when it is judged.
    pub(super) fn may_ever(&self, subject: NodeId, action: Action) -> bool {
        let Some(trusting) = &self.trusting else { return true };
        let Some(certificate) = trusting.keyring.certificate(subject) else { return false };
        let Certificate { role, scope, .. } = certificate.clone();
        let speaker = Speaker { node: subject, role, scope, standing: Standing::Valid };
        let request = Request { action, contract: None, scope: &trusting.config.scope };
        trusting.config.policy.decide(&speaker, &request).allowed
    }

    /// The door of the log: whether a member may read it here. The host asks before it shows entries; a refusal is written down with its rule.
    pub(super) fn read_log(&mut self, reader: NodeId) -> Result<(), InputError> {
        if self.admits_to(reader, Action::ReadLog) {
            Ok(())
        } else {
            Err(InputError::Refused { reason: "denied" })
        }
    }

    pub(super) fn trust_clock(&self) -> Clock {
        self.trusting
            .as_ref()
            .map_or(Clock::Unknown, |trusting| trusting.config.rule.clock(self.civil, self.now))
    }

    /// Checks the signature of an envelope: by the keyring, or where there is none by the directory.
    pub(super) fn verify<'a>(&mut self, parsed: Parsed<'a>) -> Result<Opened<'a>, InputError> {
        if self.trusting.is_none() {
            self.signatures.checked += 1;
            let directory = self.config.directory.clone();
            return parsed.verify(&directory).map_err(|error| self.refuse(error.reason()));
        }
        let mut verified = self.verify_by_keyring(&parsed);
        if verified == Ok(false) && self.learn_keys_of_sender(&parsed) {
            verified = self.verify_by_keyring(&parsed);
        }
        match verified {
            Ok(true) => Ok(parsed.into_opened()),
            Ok(false) => Err(self.refuse("bad_signature")),
            Err(error) => Err(self.refuse(error.reason())),
        }
    }

    fn verify_by_keyring(&mut self, parsed: &Parsed<'_>) -> Result<bool, TrustError> {
        let clock = self.trust_clock();
        let Header { sender, created, .. } = *parsed.header();
        let Some(trusting) = &self.trusting else { return Ok(false) };
        let mut checked = 0;
        let verified = trusting.keyring.verify(sender, created, clock, |key| {
            checked += 1;
            parsed.is_signed_by(key)
        });
        self.signatures.checked += checked;
        verified.map(|speaker| speaker.is_some())
    }

    /// Who has rotated its key tells so under the new one. The successions in such a message are judged by their own signatures, so they are
    /// taken before that of the envelope holds. Whether there was one.
    fn learn_keys_of_sender(&mut self, parsed: &Parsed<'_>) -> bool {
        let Header { sender, purpose, .. } = *parsed.header();
        if purpose != Purpose::Trust {
            return false;
        }
        let members = self.config.directory.len();
        let Ok(message) = message::TrustMessage::decode(parsed.claimed_payload(), members) else {
            return false;
        };
        let of_sender = message.statements.iter().filter(|statement| {
            matches!(statement, Statement::Succession(bytes)
                if Succession::peek(bytes).is_ok_and(|(subject, _)| subject == sender))
        });
        let mut learned = false;
        for statement in of_sender.take(MAX_CHAIN) {
            learned |= self.learn(statement).is_ok();
        }
        learned
    }

    /// Whether nothing is taken of what says to come from this node: its key is blocked or compromised.
    pub(super) fn is_blocked(&self, source: NodeId) -> bool {
        let Some(Trusting { keyring, .. }) = &self.trusting else { return false };
        let revoked = keyring.key(source).and_then(|key| keyring.list().get(source, KeyId::of(key)));
        revoked.is_some_and(|revoked| revoked.cause != Cause::Superseded)
    }

    /// The door of a message: whether its source may have it take effect here. A refusal is written down with its rule.
    ///
    /// It stands behind the stream: a message that is denied counts as received, so that it is not sent again and again.
    pub(super) fn admits(&mut self, source: NodeId, purpose: Purpose) -> bool {
        let actions: &[Action] = match purpose {
            Purpose::Telemetry | Purpose::Event => &[Action::Report],
            Purpose::Command => &[Action::Command],
            Purpose::Sync => &[Action::Share],
            // Which of them it is, the plan's door asks when it has read the message.
            Purpose::Plan => &[Action::Contribute, Action::Coordinate],
            Purpose::Trust | Purpose::Acknowledgement => return true,
        };
        let (last, others) = actions.split_last().expect("one action at least");
        others.iter().any(|action| self.would_admit(source, *action)) || self.admits_to(source, *last)
    }

    fn would_admit(&self, source: NodeId, action: Action) -> bool {
        match self.decide(source, action, None) {
            None => true,
            Some(decision) => decision.is_ok_and(|decision| decision.allowed),
        }
    }

    /// The door of an action. A refusal is written down with its rule.
    pub(super) fn admits_to(&mut self, source: NodeId, action: Action) -> bool {
        let rule = match self.decide(source, action, None) {
            None => return true,
            Some(Ok(decision)) if decision.allowed => return true,
            Some(Ok(decision)) => decision.rule.into(),
            Some(Err(error)) => error.reason().into(),
        };
        self.write_down(Event::Denied { subject: source, action: action.word().into(), rule });
        *self.refusals.entry("denied").or_default() += 1;
        self.report(super::Report::ModuleRefused { reason: "denied" });
        false
    }

    /// Writes down that a version of the plan is committed, and this node's own part of it.
    pub(super) fn note_plan_commit(&mut self, horizon: u64, request: &PlanRequest, outcome: &'static str) {
        let asset = self.planning.as_ref().and_then(|planning| planning.asset.as_ref());
        let Some(asset) = asset.filter(|_| self.journal().is_some()) else { return };
        let values: Vec<u8> = asset.values().iter().flat_map(|value| value.to_be_bytes()).collect();
        let prices: Vec<u8> = request.prices.iter().flat_map(|price| price.to_be_bytes()).collect();
        let (outcome, values, prices) = (outcome.into(), Brief::of(&values), Brief::of(&prices));
        let PlanRequest { term, round, .. } = *request;
        self.write_down(Event::PlanCommitted { horizon, term, round, outcome, values, prices });
    }

    /// Writes down that a message was sent.
    pub(super) fn note_sent(&mut self, stream: StreamKey, epoch: u32, sequence: u64, payload: &[u8]) {
        if self.trusting.is_some() && stream.purpose != Purpose::Trust {
            let message = MessageName { peer: stream.peer, purpose: stream.purpose, epoch, sequence };
            self.write_down(Event::Sent { message, payload: Brief::of(payload) });
        }
    }

    /// Writes down that a message was taken, and remembers it for a while.
    pub(super) fn note_taken(&mut self, key: StreamKey, header: &Header, sealed: &[u8], payload: &[u8]) {
        let Some(trusting) = self.trusting.as_mut().filter(|_| key.purpose != Purpose::Trust) else { return };
        let brief = Brief::of(payload);
        let (epoch, sequence) = (header.incarnation, header.sequence);
        let taken = trusting.taken.entry(key).or_default();
        if taken.len() >= REMEMBERED {
            taken.pop_front();
        }
        let sealed = if sealed.len() <= MAX_REMEMBERED_LEN { sealed.to_vec() } else { Vec::new() };
        taken.push_back(Taken { epoch, sequence, payload: brief, sealed });
        let message = MessageName { peer: key.peer, purpose: key.purpose, epoch, sequence };
        self.write_down(Event::Accepted { message, payload: brief });
    }

    /// A message came under a number that was used. If it says something else and the same sender signed it, the two prove that the sender
    /// lies: the first stands, and both are kept.
    pub(super) fn compare_with_taken(
        &mut self,
        key: StreamKey,
        header: &Header,
        parsed: Parsed<'_>,
        sealed: &[u8],
    ) {
        let Some(trusting) = &self.trusting else { return };
        let place = |taken: &&Taken| (taken.epoch, taken.sequence) == (header.incarnation, header.sequence);
        let known = trusting.taken.get(&key).and_then(|taken| taken.iter().find(place));
        let came = Brief::of(parsed.claimed_payload());
        let Some((first, bytes)) =
            known.filter(|known| known.payload != came).map(|known| (known.payload, known.sealed.clone()))
        else {
            return;
        };
        if self.verify(parsed).is_err() {
            return;
        }
        if let Some(taken) = self.trusting.as_mut().and_then(|trusting| trusting.taken.get_mut(&key)) {
            // Once is enough.
            taken.retain(|taken| (taken.epoch, taken.sequence) != (header.incarnation, header.sequence));
        }
        let _ = self.refuse("equivocation");
        self.keep_proof(key.peer, &bytes, sealed);
        self.write_down(Event::Caught { peer: key.peer, at: "two_payloads".into(), first, second: came });
    }

    /// Takes a signed statement, from whoever brings it.
    pub(super) fn learn(&mut self, statement: &Statement) -> Result<Learned, TrustError> {
        let clock = self.trust_clock();
        let not_here = TrustError::NoCertificate { node: self.config.id };
        let trusting = self.trusting.as_mut().ok_or(not_here)?;
        let learned = match trusting.keyring.learn(statement, clock) {
            Ok(learned) => learned,
            Err(error) => {
                if let TrustError::Forked { subject } = error {
                    let (peer, second) = (subject, Brief::of(statement.parts().1));
                    let first = Brief([0; 8]);
                    self.write_down(Event::Caught { peer, at: "succession_forked".into(), first, second });
                }
                return Err(error);
            }
        };
        let (what, about) = match learned {
            Learned::Certificate(node) => ("certificate", node),
            Learned::Succession(node) => ("succession", node),
            Learned::Revocations(_) => ("revocations", NodeId(0)),
        };
        // Those who check signatures by the directory go by the key in force.
        if let Some(key) = trusting.keyring.key(about).cloned() {
            Arc::make_mut(&mut self.config.directory).insert(about, key);
        }
        self.keep_keyring();
        let statement = Brief::of(statement.parts().1);
        self.write_down(Event::Learned { what: what.into(), about, statement });
        Ok(learned)
    }

    /// This node's key hands over to `next`. What is not acknowledged yet is signed again; the host gives the new keys at a restart.
    pub(super) fn rotate_key(&mut self, next: KeyPair) -> Result<(), InputError> {
        let (id, since) = (self.config.id, self.civil_now());
        let not_here = InputError::NotConfigured { what: "trust by certificates" };
        let Some(trusting) = &self.trusting else { return Err(not_here) };
        let number = trusting.keyring.successions(id) + 1;
        let statement = Statement::Succession(Succession::sign(id, number, since, &self.keys, &next));
        self.learn(&statement).map_err(|error| InputError::Refused { reason: error.reason() })?;
        self.keys = next;
        self.seal_again();
        Ok(())
    }

    /// Takes back the key in force of a member. Only where the authority's key is.
    pub(super) fn revoke(&mut self, node: NodeId, cause: Cause) -> Result<(), InputError> {
        let now = self.civil_now();
        let not_here = InputError::NotConfigured { what: "the authority's key" };
        let Some(trusting) = &self.trusting else { return Err(not_here) };
        let Some(issuer) = &trusting.config.issuer else { return Err(not_here) };
        let key = trusting.keyring.key(node).ok_or(InputError::Refused { reason: "no_certificate" })?;
        let mut list = trusting.keyring.list().clone();
        list.keys.insert((node, KeyId::of(key)), Revoked { since: now, cause });
        let bytes = next_list(list, now, &issuer.keys);
        self.learn_own(&Statement::Revocations(bytes));
        Ok(())
    }

    /// Renews what is about to expire, and gives a sign of life. Only where the authority's key is, and a clock.
    fn issue(&mut self) {
        let (now, clock) = (self.civil_now(), self.trust_clock());
        let Some(trusting) = &self.trusting else { return };
        let (Some(issuer), Clock::Between { .. }) = (&trusting.config.issuer, clock) else { return };
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let mut statements = Vec::new();
        let list = trusting.keyring.list();
        if now.0.saturating_sub(list.issued.0) >= millis(issuer.renew_before) / 2 {
            statements.push(Statement::Revocations(next_list(list.clone(), now, &issuer.keys)));
        }
        for node in trusting.keyring.summary().members.into_keys() {
            let Some(certificate) = trusting.keyring.certificate(node) else { continue };
            let Some(key) = trusting.keyring.key(node) else { continue };
            let due = certificate.expires.0 <= now.0.saturating_add(millis(issuer.renew_before));
            if !due || list.get(node, KeyId::of(key)).is_some() {
                continue;
            }
            let renewed = Certificate {
                key: key.clone(),
                not_before: now,
                expires: DtnTime(now.0.saturating_add(millis(issuer.lifetime))),
                ..certificate.clone()
            };
            statements.push(Statement::Certificate(renewed.issue(&issuer.keys)));
        }
        statements.iter().for_each(|statement| self.learn_own(statement));
    }

    /// Takes what this node has signed for the authority.
    fn learn_own(&mut self, statement: &Statement) {
        self.signatures.made += 1;
        if let Err(error) = self.learn(statement) {
            self.report(super::Report::ModuleRefused { reason: error.reason() });
        }
    }
}

/// The list that follows, without keys whose revocation is so old that no certificate of theirs can be left: at most so many stay.
fn next_list(mut list: RevocationList, now: DtnTime, keys: &KeyPair) -> Vec<u8> {
    while list.keys.len() > crate::identity::MAX_REVOKED {
        let oldest = list.keys.iter().min_by_key(|(_, revoked)| revoked.since).map(|(key, _)| *key);
        oldest.and_then(|key| list.keys.remove(&key));
    }
    list.version += 1;
    list.issued = now;
    list.issue(keys)
}

/// Milliseconds on the node's clock.
const fn clock_ms(now: Instant) -> u64 {
    now.as_nanos() / 1_000_000
}
