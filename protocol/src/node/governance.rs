//! The fleet's decisions at a node: what comes of its ledger, what its voter says, and what an adopted decision does here.
//!
//! Proposals and ballots go to every member as soon as they are signed and durable; what that misses, members mend by telling one after the other
//! what they have. [`Input::Propose`](super::Input::Propose) and [`Input::Opinion`](super::Input::Opinion) are the operator's; whom nobody told
//! its opinion votes as [`GovernanceConfig::approves`] says. A proposer whom the policy does not let change it is rejected at every voter.

mod effect;
mod keeping;

use super::{GovernanceStep, InputError, Issuer, Node, Report, Submission, Timer};
use crate::{
    access::Action,
    dtn::store::Priority,
    envelope::Purpose,
    governance::{
        Choice, Content, Decision, Electorate, Exposure, GovernanceError, GovernanceMessage, Inserted,
        Ledger, MAX_LINKS, Proposal, Stance,
    },
    id::NodeId,
    log::{Brief, Event, Hash},
};
use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};
use core::time::Duration;

/// Most opinions that are kept ready.
const MAX_OPINIONS: usize = 64;
/// Most contents that this node wants to propose, beside those on the table.
const MAX_WANTED: usize = 8;
/// How often it proposes one content.
const MAX_ATTEMPTS: u8 = 4;

/// How a node takes part in the fleet's decisions.
#[derive(Clone, Debug)]
pub struct GovernanceConfig {
    /// Who votes in the first slot: the same at every member.
    pub electorate: Electorate,
    /// What this node's voter thinks of what nobody told it about: that it approves, or that it does not know.
    pub approves: bool,
    /// After so long without a decision it gives up: what no quorum has approved by then is to be closed with nothing. A matter of patience, not of
    /// what is decided.
    pub patience: Duration,
    /// It tells one member after the other what it has, this often.
    pub interval: Duration,
    /// Lifetime of these messages.
    pub lifetime: Duration,
    /// A key of the authority that serves from the moment on when the fleet decides upon it.
    pub standby: Option<Issuer>,
}

/// The fleet's decisions at this node.
#[derive(Debug)]
pub(super) struct Governing {
    config: GovernanceConfig,
    ledger: Ledger,
    /// Opinions by the digest of the content.
    opinions: BTreeMap<Hash, bool>,
    /// What this node wants to propose, and how often it has.
    wanted: VecDeque<(Content, u8)>,
    /// The successions since this voter got its vote.
    links: Vec<Vec<u8>>,
    /// Decisions that have taken effect here.
    applied: u64,
    /// Whether the table has changed since it was last kept.
    unsaved: bool,
    turn: usize,
}

impl Governing {
    pub(super) fn new(config: GovernanceConfig) -> Self {
        Self {
            ledger: Ledger::new(config.electorate.clone()),
            opinions: BTreeMap::new(),
            wanted: VecDeque::new(),
            links: Vec::new(),
            applied: 0,
            unsaved: false,
            turn: 0,
            config,
        }
    }
}

impl Node {
    /// The fleet's ledger, if this node keeps one.
    #[must_use]
    pub fn ledger(&self) -> Option<&Ledger> {
        self.governing.as_ref().map(|governing| &governing.ledger)
    }

    pub(super) fn arm_governance(&mut self) {
        let Some(governing) = &self.governing else { return };
        let interval = governing.config.interval;
        let at = self.now.saturating_add(self.jittered(interval));
        self.timers.arm(Timer::Governance, at);
    }

    pub(super) fn on_governance_timer(&mut self) {
        let own = self.config.id;
        let others = self.config.directory.members().map(|(node, _)| node).filter(|node| *node != own);
        let others: Vec<NodeId> = others.collect();
        if let Some(governing) = self.governing.as_mut() {
            governing.turn = governing.turn.wrapping_add(1);
            let partner = others.get(governing.turn % others.len().max(1)).copied();
            let message = GovernanceMessage::of(&governing.ledger, true, Vec::new());
            if let Some(partner) = partner {
                self.send_governance(partner, &message);
            }
        }
        self.arm_governance();
    }

    /// The host wants the fleet to decide upon something.
    pub(super) fn propose(&mut self, content: Content) -> Result<(), InputError> {
        let own = self.config.id;
        let Some(governing) = &self.governing else {
            return Err(InputError::NotConfigured { what: "governance" });
        };
        let has_vote = governing.ledger.electorate().key(own).is_some();
        let full = governing.wanted.len() >= MAX_WANTED;
        if !has_vote {
            return Err(self.refuse("governance_no_vote"));
        }
        if full {
            return Err(self.refuse("governance_full"));
        }
        if !self.admits_to(own, action(&content)) {
            return Err(InputError::Refused { reason: "denied" });
        }
        let governing = self.governing.as_mut().expect("looked at above");
        governing.opinions.insert(content.digest(), true);
        governing.wanted.push_back((content, 0));
        governing.unsaved = true;
        self.advance_governance(false);
        Ok(())
    }

    /// The host tells what its voter thinks of a content.
    pub(super) fn take_opinion(&mut self, content: Hash, approves: bool) -> Result<(), InputError> {
        let Some(governing) = self.governing.as_mut() else {
            return Err(InputError::NotConfigured { what: "governance" });
        };
        if governing.opinions.len() >= MAX_OPINIONS && !governing.opinions.contains_key(&content) {
            return Err(self.refuse("governance_full"));
        }
        governing.opinions.insert(content, approves);
        governing.unsaved = true;
        self.advance_governance(false);
        Ok(())
    }

    /// This node's key has a successor: its ballots show it from now on.
    pub(super) fn note_rotation(&mut self, statement: &[u8]) {
        if let Some(governing) = self.governing.as_mut() {
            governing.links.push(statement.to_vec());
            governing.unsaved = true;
            if governing.links.len() > MAX_LINKS {
                self.report(Report::ModuleRefused { reason: "governance_seat" });
            }
        }
    }

    /// Says what this voter has to say, closes what is decided, and lets it take effect. `give_up`: its patience is over.
    pub(super) fn advance_governance(&mut self, give_up: bool) {
        let mut give_up = give_up;
        loop {
            self.close_slots();
            self.propose_wanted();
            let Some(next) = self.next_ballot(give_up) else { break };
            give_up = false;
            if !self.vote(next) {
                break;
            }
        }
        let Some(governing) = &self.governing else { return };
        if governing.ledger.is_idle() {
            self.timers.disarm(Timer::Patience);
        } else {
            let patience = governing.config.patience;
            let at = self.now.saturating_add(self.jittered(patience));
            self.timers.arm_by(Timer::Patience, at);
        }
    }

    fn next_ballot(&self, give_up: bool) -> Option<(u32, Choice)> {
        let governing = self.governing.as_ref()?;
        let own = self.config.id;
        governing.ledger.next_ballot(own, |proposal| self.stance(proposal), give_up)
    }

    /// What this voter thinks of a proposal: nothing good, when its proposer may not change such a thing.
    fn stance(&self, proposal: &Proposal) -> Stance {
        let Some(governing) = &self.governing else { return Stance::Undecided };
        let decided = self.decide(proposal.proposer, action(&proposal.content), None);
        let may = decided.is_none_or(|decision| decision.is_ok_and(|decision| decision.allowed));
        match governing.opinions.get(&proposal.content.digest()) {
            _ if !may => Stance::Reject,
            Some(true) => Stance::Approve,
            Some(false) => Stance::Reject,
            None if governing.config.approves => Stance::Approve,
            None => Stance::Undecided,
        }
    }

    /// Signs a ballot, and tells the others.
    fn vote(&mut self, next: (u32, Choice)) -> bool {
        let own = self.config.id;
        let Some(governing) = self.governing.as_mut() else { return false };
        let (slot, record) =
            (governing.ledger.slot(), governing.ledger.vote(own, &self.keys, &governing.links, next));
        let Ok(record) = record.inspect_err(|error| {
            *self.refusals.entry(error.reason()).or_default() += 1;
        }) else {
            return false;
        };
        governing.unsaved = true;
        self.signatures.made += 1;
        self.note_ballot(slot, own, next.0, next.1);
        self.tell_all(record);
        true
    }

    /// Puts what this node wants on the table, once in a slot.
    fn propose_wanted(&mut self) {
        let own = self.config.id;
        let Some(governing) = self.governing.as_mut() else { return };
        let on_table = governing.ledger.proposals().values().any(|proposal| proposal.proposer == own);
        let spoken = governing.ledger.has_approved(own);
        let Some((content, attempts)) = governing.wanted.front_mut().filter(|_| !on_table && !spoken) else {
            return;
        };
        *attempts += 1;
        let (content, spent) = (content.clone(), *attempts >= MAX_ATTEMPTS);
        let proposed = governing.ledger.propose(own, &self.keys, &governing.links, &content);
        governing.unsaved = true;
        if spent || proposed.is_err() {
            governing.wanted.pop_front();
        }
        match proposed {
            Ok(record) => {
                let slot = governing.ledger.slot();
                self.signatures.made += 1;
                self.note(slot, GovernanceStep::Proposed, Some(own), content.word(), Brief::of(&record));
                self.tell_all(record);
            }
            Err(error) => self.report(Report::ModuleRefused { reason: error.reason() }),
        }
    }

    /// Closes every slot that is decided.
    fn close_slots(&mut self) {
        loop {
            let Some(governing) = self.governing.as_mut() else { return };
            let rejections = governing.ledger.approvals(None);
            let blocking = governing.ledger.electorate().len() - governing.ledger.electorate().quorum();
            let own = governing.ledger.proposals().values().find(|p| p.proposer == self.config.id).cloned();
            let Some(decision) = governing.ledger.close().cloned() else { return };
            // What so many do not want will not do better in the next slot.
            if rejections > blocking
                && let Some(own) = own
            {
                governing.wanted.retain(|(content, _)| *content != own.content);
            }
            self.on_decision(&decision);
        }
    }

    fn on_decision(&mut self, decision: &Decision) {
        let (step, about, what) = match &decision.adopted {
            Some((proposer, content)) => (GovernanceStep::Adopted, Some(*proposer), content.word()),
            None => (GovernanceStep::Closed, None, "nothing"),
        };
        self.keep_decision(decision);
        self.note(decision.slot, step, about, what, Brief(head_brief(&decision.head)));
        if let (Some(governing), Some((_, content))) = (self.governing.as_mut(), &decision.adopted) {
            governing.wanted.retain(|(wanted, _)| wanted != content);
            governing.opinions.remove(&content.digest());
        }
        self.take_effect(decision);
        // A new slot: others' patience has begun anew, and so has this one's.
        self.timers.disarm(Timer::Patience);
    }

    /// A message of another member. What is in it is judged record by record.
    pub(super) fn on_governance_message(&mut self, source: NodeId, payload: &[u8]) {
        if self.governing.is_none() {
            return self.report(Report::ModuleRefused { reason: "governance_not_configured" });
        }
        let message = match GovernanceMessage::decode(payload) {
            Ok(message) => message,
            Err(error) => return self.report(Report::ModuleRefused { reason: error.reason() }),
        };
        let mut behind = false;
        for record in &message.records {
            behind |= self.take_record(record);
        }
        self.advance_governance(false);
        let Some(governing) = &self.governing else { return };
        behind |= message.decisions >= governing.ledger.slot();
        if !message.asks && !behind {
            return;
        }
        match governing.ledger.lacking(&message) {
            Ok(records) => {
                let records = if message.asks { records } else { Vec::new() };
                let answer = GovernanceMessage::of(&governing.ledger, behind, records);
                if behind || !answer.records.is_empty() {
                    self.send_governance(source, &answer);
                }
            }
            Err(error) => {
                let _ = self.refuse(error.reason());
            }
        }
    }

    /// Takes one record. Returns whether this node is behind whoever sent it.
    fn take_record(&mut self, record: &[u8]) -> bool {
        let Some(governing) = self.governing.as_mut() else { return false };
        let slot = governing.ledger.slot();
        self.signatures.checked += 1;
        match governing.ledger.insert(record) {
            Ok(Inserted::Known) => {}
            Ok(Inserted::Proposed { proposer, digest }) => {
                governing.unsaved = true;
                let what = governing.ledger.proposals().get(&digest).map_or("nothing", |p| p.content.word());
                self.note(slot, GovernanceStep::Proposed, Some(proposer), what, Brief::of(record));
            }
            Ok(Inserted::Voted { voter, step, choice }) => {
                governing.unsaved = true;
                self.note_ballot(slot, voter, step, choice);
            }
            Ok(Inserted::Exposed(exposure)) => {
                governing.unsaved = true;
                self.expose(&exposure);
            }
            Ok(Inserted::Decided) => {
                governing.unsaved = true;
                let decision = governing.ledger.decisions().last().cloned();
                if let Some(decision) = decision {
                    self.on_decision(&decision);
                }
            }
            Err(GovernanceError::Slot { found, open }) if found > open => return true,
            Err(error) => {
                let _ = self.refuse(error.reason());
                self.report(Report::ModuleRefused { reason: error.reason() });
            }
        }
        false
    }

    /// A voter lies: both ballots are void, and kept as proof.
    fn expose(&mut self, exposure: &Exposure) {
        let [first, second] = &exposure.records;
        self.keep_proof(exposure.voter, super::trust::Proof::Ballots, first, second);
        let (peer, at) = (exposure.voter, "two_ballots".into());
        self.write_down(Event::Caught { peer, at, first: Brief::of(first), second: Brief::of(second) });
        *self.refusals.entry("two_ballots").or_default() += 1;
        let record = Brief::of(second);
        self.note(exposure.slot, GovernanceStep::Exposed, Some(exposure.voter), "nothing", record);
    }

    fn note_ballot(&mut self, slot: u64, voter: NodeId, step: u32, choice: Choice) {
        let said = match (step, choice) {
            (0, Some(_)) => GovernanceStep::Approved,
            (0, None) => GovernanceStep::Rejected,
            _ => GovernanceStep::Committed,
        };
        let proposal = choice.and_then(|digest| self.ledger()?.proposals().get(&digest));
        let what = proposal.map_or("nothing", |proposal| proposal.content.word());
        let record = Brief(choice.as_ref().map_or([0; 8], head_brief));
        self.note(slot, said, Some(voter), what, record);
    }

    /// Writes a step down, and tells the driver.
    fn note(
        &mut self,
        slot: u64,
        step: GovernanceStep,
        about: Option<NodeId>,
        what: &'static str,
        record: Brief,
    ) {
        let who = about.unwrap_or(NodeId(0));
        self.write_down(Event::Governed { slot, step: step.word().into(), about: who, record });
        self.report(Report::Governance { slot, step, about, what, record });
    }

    /// Tells every other member of a record.
    fn tell_all(&mut self, record: Vec<u8>) {
        let own = self.config.id;
        let Some(governing) = &self.governing else { return };
        let message = GovernanceMessage {
            names: Vec::new(),
            ..GovernanceMessage::of(&governing.ledger, false, [record].to_vec())
        };
        let others = self.config.directory.members().map(|(node, _)| node).filter(|node| *node != own);
        for node in others.collect::<Vec<_>>() {
            self.send_governance(node, &message);
        }
    }

    fn send_governance(&mut self, destination: NodeId, message: &GovernanceMessage) {
        let Some(governing) = &self.governing else { return };
        let lifetime = governing.config.lifetime;
        let (purpose, priority) = (Purpose::Governance, Priority::Normal);
        let submission = Submission { destination, purpose, priority, lifetime, payload: message.encode() };
        if self.send(submission).is_err() {
            // The exchange mends it.
            self.report(Report::ModuleRefused { reason: "governance_not_sent" });
        }
    }
}

/// What one must be allowed to do, to propose this.
const fn action(content: &Content) -> Action {
    match content {
        Content::Schema(_) => Action::ChangeSchema,
        Content::Policy(_)
        | Content::Seat { .. }
        | Content::Unseat { .. }
        | Content::Block { .. }
        | Content::Authority { .. } => Action::ChangePolicy,
    }
}

/// The first bytes of a hash.
const fn head_brief(hash: &Hash) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = *hash;
    [a, b, c, d, e, f, g, h]
}
