//! Trust at the node: whose word counts, who may do what, and what is written down of it.
//!
//! With [`TrustConfig`] a node opens envelopes by its keyring instead of the directory, asks the policy at every door, keeps a log, and
//! exchanges certificates, revocations and checkpoints with one member after the other.

mod detour;
mod gossip;
mod intake;
mod journal;
mod message;
mod moments;
mod revoked;

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
    log::{Brief, Event, Journal, LogId, MAX_LOGS, MessageName, Witness},
    planning::solver::Request as PlanRequest,
    time::{DtnTime, Instant},
};
use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    vec::Vec,
};
use core::time::Duration;

/// Envelopes that are remembered for each stream, to catch a sender of two payloads under one number.
const REMEMBERED: usize = 8;
/// Longest envelope that is remembered whole, as one half of such a proof.
const MAX_REMEMBERED_LEN: usize = 2048;

/// So many members a node knows of at most, where its own directory is not larger: others may know more of the fleet than it was told of.
const MAX_KNOWN: usize = 1024;

/// Of how many members a node takes statements, with a directory of so many.
pub(super) const fn max_members(directory: usize) -> usize {
    if directory > MAX_KNOWN { directory } else { MAX_KNOWN }
}

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

/// What two signed statements of one member prove together, and the name under which they are kept.
#[derive(Clone, Copy, Debug)]
pub(super) enum Proof {
    /// Two votes of one voter.
    Ballots,
    /// Two decisions in one slot.
    Split {
        /// The slot.
        slot: u64,
    },
    /// Two payloads under one number.
    Payloads,
    /// Two keys that follow on one.
    Succession,
    /// Two logs of one birth.
    Log {
        /// The birth.
        born: u32,
    },
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
    pub(super) config: TrustConfig,
    pub(super) keyring: Keyring,
    journal: Journal,
    /// Whether the journal has grown since it was last kept.
    unsaved: bool,
    /// Whether the keyring has learned something since it was last kept.
    keyring_unsaved: bool,
    witness: Witness,
    /// Others' signatures of this node's newest checkpoint that they have seen.
    cosignatures: BTreeMap<NodeId, Vec<u8>>,
    moments: moments::Moments,
    /// The log of each peer that it showed itself last.
    shown: BTreeMap<NodeId, LogId>,
    /// The version of the revocation list that each peer has, or was told.
    lists: BTreeMap<NodeId, u64>,
    /// What was last signed of each peer's log as a witness.
    cosigned: BTreeMap<NodeId, (LogId, u64)>,
    /// Keys that were taken back for a cause when that was last looked at.
    taken_back: BTreeSet<(NodeId, KeyId)>,
    /// Writers whose shared state is not taken here: each is written down once.
    unwelcome: BTreeSet<NodeId>,
    /// Peers that were asked, and have not answered yet.
    asked: BTreeSet<NodeId>,
    taken: BTreeMap<StreamKey, VecDeque<Taken>>,
    detours: detour::Detours,
    /// What each member may still send, where that is limited.
    shares: BTreeMap<NodeId, RateMeter>,
    /// Position of the next partner, and of the next checkpoint that is passed on.
    turn: usize,
}

impl Trusting {
    pub(super) fn new(id: NodeId, config: TrustConfig, incarnation: u32, members: usize) -> Self {
        let members = max_members(members);
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
            keyring_unsaved: false,
            witness: Witness::new(members.saturating_mul(MAX_LOGS)),
            cosignatures: BTreeMap::new(),
            moments: moments::Moments::default(),
            shown: BTreeMap::new(),
            lists: BTreeMap::new(),
            cosigned: BTreeMap::new(),
            taken_back: BTreeSet::new(),
            unwelcome: BTreeSet::new(),
            asked: BTreeSet::new(),
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
        self.rule_ever(subject, action, None).is_none()
    }

    /// As [`Node::may_ever`], with a contract: the rule that denies it, or nothing.
    fn rule_ever(&self, subject: NodeId, action: Action, contract: Option<&str>) -> Option<&str> {
        let trusting = self.trusting.as_ref()?;
        let Some(certificate) = trusting.keyring.certificate(subject) else { return Some("no_certificate") };
        let Certificate { role, scope, .. } = certificate.clone();
        let speaker = Speaker { node: subject, role, scope, standing: Standing::Valid };
        let request = Request { action, contract, scope: &trusting.config.scope };
        let decision = trusting.config.policy.decide(&speaker, &request);
        (!decision.allowed).then_some(decision.rule)
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
        let lacks = match verified {
            Ok(signed) => !signed,
            Err(TrustError::NoCertificate { .. } | TrustError::Validity(_)) => true,
            Err(TrustError::Revoked { revoked, .. }) => revoked.cause == Cause::Superseded,
            Err(_) => false,
        };
        if lacks && self.learn_of_sender(&parsed) {
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

    /// Who has rotated its key tells so under the new one, and whose certificate has ended brings the new one itself. Such statements are judged
    /// by their own signatures, so those about the sender are taken before the envelope's holds. The first that does not hold ends it: what an
    /// outsider makes up costs one check. Whether there was one.
    fn learn_of_sender(&mut self, parsed: &Parsed<'_>) -> bool {
        let Header { sender, purpose, .. } = *parsed.header();
        if purpose != Purpose::Trust {
            return false;
        }
        let members = max_members(self.config.directory.len());
        let Ok(message) = message::TrustMessage::decode(parsed.claimed_payload(), members) else {
            return false;
        };
        let of_sender = message.statements.iter().filter(|statement| match statement {
            Statement::Certificate(bytes) => Certificate::claimed_subject(bytes) == Some(sender),
            Statement::Succession(bytes) => {
                Succession::peek(bytes).is_ok_and(|(subject, _)| subject == sender)
            }
            Statement::Revocations(_) => false,
        });
        let mut learned = false;
        for statement in of_sender.take(MAX_CHAIN + 1) {
            match self.learn(statement) {
                Ok(_) => learned = true,
                Err(TrustError::Stale) => {}
                Err(_) => break,
            }
        }
        learned
    }

    /// Whether nothing is taken of what says to come from this node: its key is blocked or compromised.
    pub(super) fn is_blocked(&self, source: NodeId) -> bool {
        self.keyring().is_some_and(|keyring| keyring.blocked(source).is_some())
    }

    /// The door of a message: whether its source may have it take effect here. A refusal is written down with its rule.
    ///
    /// It stands behind the stream: a message that is denied counts as received, so that it is not sent again and again.
    pub(super) fn admits(&mut self, source: NodeId, purpose: Purpose) -> bool {
        let contract = super::contracts::contract(purpose).and_then(|name| core::str::from_utf8(name).ok());
        match purpose {
            Purpose::Telemetry | Purpose::Event => self.admits_with(source, Action::Report, contract),
            Purpose::Command => self.admits_with(source, Action::Command, contract),
            // What a delta is about, and who wrote it, the door of the replica asks when it has read the message; which of the two a plan's
            // message is, the plan's.
            Purpose::Sync => self.admits_any(source, &[Action::Share]),
            Purpose::Plan => self.admits_any(source, &[Action::Contribute, Action::Coordinate]),
            // What comes with these is judged by its own signatures, record by record.
            Purpose::Trust | Purpose::Governance | Purpose::GroupKey => true,
            Purpose::Acknowledgement | Purpose::Membership => true,
        }
    }

    /// Whether one of these actions is not denied whatever it is about: a rule about a contract can only be asked with one.
    fn admits_any(&mut self, source: NodeId, actions: &[Action]) -> bool {
        let (last, others) = actions.split_last().expect("one action at least");
        let may =
            others.iter().any(|action| self.may_at_all(source, *action)) || self.may_at_all(source, *last);
        may || self.admits_to(source, *last)
    }

    /// Whether an action is allowed here with some contract.
    fn may_at_all(&self, source: NodeId, action: Action) -> bool {
        let Some(trusting) = &self.trusting else { return true };
        let contracts = trusting.config.policy.contracts(action).map(Some);
        contracts.chain([None]).any(|contract| self.would_admit(source, action, contract))
    }

    fn would_admit(&self, source: NodeId, action: Action, contract: Option<&str>) -> bool {
        match self.decide(source, action, contract) {
            None => true,
            Some(decision) => decision.is_ok_and(|decision| decision.allowed),
        }
    }

    /// The door of an action. A refusal is written down with its rule.
    pub(super) fn admits_to(&mut self, source: NodeId, action: Action) -> bool {
        self.admits_with(source, action, None)
    }

    /// The door of an action with a contract. A refusal is written down with its rule.
    pub(super) fn admits_with(&mut self, source: NodeId, action: Action, contract: Option<&str>) -> bool {
        let rule = match self.decide(source, action, contract) {
            None => return true,
            Some(Ok(decision)) if decision.allowed => return true,
            Some(Ok(decision)) => decision.rule.into(),
            Some(Err(error)) => error.reason().into(),
        };
        self.deny(source, action, rule);
        false
    }

    fn deny(&mut self, subject: NodeId, action: Action, rule: Box<str>) {
        self.write_down(Event::Denied { subject, action: action.word().into(), rule });
        *self.refusals.entry("denied").or_default() += 1;
        self.report(super::Report::ModuleRefused { reason: "denied" });
    }

    /// Writes down that a version of the plan is committed, and this node's own part of it.
    pub(super) fn note_plan_commit(
        &mut self,
        horizon: u64,
        request: &PlanRequest,
        outcome: &'static str,
        digest: &[u8; 32],
    ) {
        let asset = self.planning.as_ref().and_then(|planning| planning.asset.as_ref());
        let Some(asset) = asset.filter(|_| self.journal().is_some()) else { return };
        let values: Vec<u8> = asset.values().iter().flat_map(|value| value.to_be_bytes()).collect();
        let (outcome, values) = (outcome.into(), Brief::of(&values));
        let version = Brief::cut(digest);
        let PlanRequest { term, round, .. } = *request;
        self.write_down(Event::PlanCommitted { horizon, term, round, outcome, values, version });
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

    /// A message came under a number that was used: its sender has not heard the answer, or says two things under one number.
    pub(super) fn on_repeated(
        &mut self,
        key: StreamKey,
        header: &Header,
        parsed: Parsed<'_>,
        (sealed, from): (&[u8], Option<NodeId>),
    ) {
        if self.may_doubt_way_of(key.peer) && self.verify_by_keyring(&parsed) == Ok(true) {
            self.note_unheard_answer(key.peer, from);
        }
        self.compare_with_taken(key, header, parsed, sealed);
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
        self.keep_proof(key.peer, Proof::Payloads, &bytes, sealed);
        self.write_down(Event::Caught { peer: key.peer, at: "two_payloads".into(), first, second: came });
    }

    /// Takes a signed statement, from whoever brings it.
    pub(super) fn learn(&mut self, statement: &Statement) -> Result<Learned, TrustError> {
        let clock = self.trust_clock();
        let not_here = TrustError::NoCertificate { node: self.config.id };
        let trusting = self.trusting.as_mut().ok_or(not_here)?;
        if !matches!(statement, Statement::Revocations(_)) {
            self.signatures.checked += 1;
        }
        // A certificate lifts its member's block, and the list of the next authority whichever it does not name.
        let mut blocked: Vec<NodeId> = match statement {
            Statement::Certificate(bytes) => Certificate::claimed_subject(bytes).into_iter().collect(),
            Statement::Revocations(_) => trusting.keyring.summary().members.into_keys().collect(),
            Statement::Succession(_) => Vec::new(),
        };
        blocked.retain(|node| trusting.keyring.blocked(*node).is_some());
        let known: BTreeSet<_> = trusting.keyring.list().keys.keys().copied().collect();
        let learned = match trusting.keyring.learn(statement, clock) {
            Ok(learned) => learned,
            Err(error) => {
                if let TrustError::Forked { subject } = error {
                    let (_, rival) = statement.parts();
                    let known = trusting.keyring.rival(rival).unwrap_or_default().to_vec();
                    let (peer, first, second) = (subject, Brief::of(&known), Brief::of(rival));
                    self.keep_proof(peer, Proof::Succession, &known, rival);
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
        trusting.keyring_unsaved = true;
        if matches!(learned, Learned::Revocations(_)) {
            self.forget_taken_back();
        }
        let statement = Brief::of(statement.parts().1);
        self.write_down(Event::Learned { what: what.into(), about, statement });
        if matches!(learned, Learned::Revocations(_)) {
            self.forget_blocked();
            let taken_back =
                self.keyring().is_some_and(|ring| ring.list().keys.keys().any(|key| !known.contains(key)));
            if taken_back {
                self.tell_list();
            }
        }
        blocked.retain(|node| !self.is_blocked(*node));
        blocked.into_iter().for_each(|back| self.send_again(back));
        self.rekey_groups();
        Ok(learned)
    }

    /// This node's key hands over to `next`; or `next` is the key that the authority has certified in place of one that was taken back. What is
    /// not acknowledged yet is signed again; the host gives the new keys at a restart.
    pub(super) fn rotate_key(&mut self, next: KeyPair) -> Result<(), InputError> {
        let (id, since) = (self.config.id, self.civil_now());
        let not_here = InputError::NotConfigured { what: "trust by certificates" };
        let Some(trusting) = &self.trusting else { return Err(not_here) };
        let certified = trusting.keyring.key(id) == Some(next.public());
        if !certified {
            let number = trusting.keyring.successions(id) + 1;
            let statement = Statement::Succession(Succession::sign(id, number, since, &self.keys, &next));
            self.learn(&statement).map_err(|error| InputError::Refused { reason: error.reason() })?;
            self.note_rotation(statement.parts().1);
        }
        let former = core::mem::replace(&mut self.keys, next);
        self.keep_former_key(&former, certified);
        self.seal_again();
        self.sign_shared_state_again();
        self.tell_own_key();
        self.check_seat();
        if certified {
            self.forget_rotations();
            // Receivers have forgotten what hung on the key before.
            let (now, mut peers) = (self.now, BTreeSet::new());
            for (key, stream) in &mut self.outgoing {
                stream.begin_again(now);
                peers.insert(key.peer);
            }
            peers.into_iter().for_each(|peer| self.arm_control(peer));
        }
        Ok(())
    }

    /// Takes back the key in force of a member; blocked or compromised, with all that it is known to follow from, since who holds the one may have
    /// had the others. Only where the authority's key is.
    pub(super) fn revoke(&mut self, node: NodeId, cause: Cause) -> Result<(), InputError> {
        let not_here = InputError::NotConfigured { what: "the authority's key" };
        let now = self.civil_now();
        let Some(trusting) = &self.trusting else { return Err(not_here) };
        let Some(issuer) = &trusting.config.issuer else { return Err(not_here) };
        let keyring = &trusting.keyring;
        let mut list = keyring.list_to_continue();
        let revoked = Revoked { since: now.max(keyring.heard()), cause };
        let count = if cause == Cause::Superseded { 1 } else { usize::MAX };
        let line: Vec<KeyId> = keyring.line(node).take(count).collect();
        if line.is_empty() {
            return Err(InputError::Refused { reason: "no_certificate" });
        }
        for key in line {
            let known = list.keys.entry((node, key)).or_insert(revoked);
            if known.cause < cause {
                *known = revoked;
            }
        }
        if list.keys.len() > crate::identity::MAX_REVOKED {
            // Nobody can say here which certificates are left: whose key is dropped for it might be believed again.
            return Err(InputError::Refused { reason: "revocations_full" });
        }
        let exhausted = InputError::Refused { reason: "revocations_exhausted" };
        let version = keyring.next_version().ok_or(exhausted)?;
        let bytes = next_list(list, version, keyring.next_issued(now), &issuer.keys);
        self.learn_own(&Statement::Revocations(bytes));
        Ok(())
    }

    /// Renews what is about to expire, and gives a sign of life. Only where the authority's key is, and a clock.
    fn issue(&mut self) {
        let (now, clock) = (self.civil_now(), self.trust_clock());
        let Some(trusting) = &self.trusting else { return };
        let (Some(issuer), Clock::Between { .. }) = (&trusting.config.issuer, clock) else { return };
        if issuer.keys.public() != trusting.keyring.authority() {
            return;
        }
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let mut statements = Vec::new();
        let list = trusting.keyring.list();
        // A thief's list may be of a time to come, which the fleet's decision has taken back.
        let signed = list.issued.min(trusting.keyring.heard());
        let due = now.0.saturating_sub(signed.0) >= millis(issuer.renew_before) / 2;
        let keyring = &trusting.keyring;
        let of_another = keyring.list_is_of_former_key() || keyring.list_is_of_stolen_key();
        // Two that it has signed as one version: the next one is both.
        let of_another = of_another || keyring.has_rival_list();
        if due || of_another {
            let issued = trusting.keyring.next_issued(now);
            let version = trusting.keyring.next_version();
            let list = trusting.keyring.list_to_continue();
            let next = version.map(|version| next_list(list, version, issued, &issuer.keys));
            statements.extend(next.map(Statement::Revocations));
        }
        for node in trusting.keyring.summary().members.into_keys() {
            let Some(certificate) = trusting.keyring.certificate(node) else { continue };
            let Some(key) = trusting.keyring.key(node) else { continue };
            let taken_back = trusting.keyring.blocked(node).is_some();
            // What an earlier key has signed is signed anew: it may be stolen, and is soon not taken any more.
            let due = certificate.expires.0 <= now.0.saturating_add(millis(issuer.renew_before))
                || trusting.keyring.is_of_earlier_authority(node);
            if !due || taken_back || trusting.keyring.revoked(node, KeyId::of(key)).is_some() {
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

/// The list that follows.
fn next_list(mut list: RevocationList, version: u64, issued: DtnTime, keys: &KeyPair) -> Vec<u8> {
    (list.version, list.issued) = (version, issued);
    list.issue(keys)
}

/// Milliseconds on the node's clock.
const fn clock_ms(now: Instant) -> u64 {
    now.as_nanos() / 1_000_000
}
