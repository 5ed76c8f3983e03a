//! The fleet's decisions at a node: what comes of its ledger, what its voter says, and what an adopted decision does here.
//!
//! Proposals and ballots go to every member as soon as they are signed and durable; what that misses, members mend by telling one after the other
//! what they have. [`Input::Propose`](super::Input::Propose) and [`Input::Opinion`](super::Input::Opinion) are the operator's; whom nobody told
//! its opinion votes as [`GovernanceConfig::approves`] says. A proposer whom the policy does not let change it is rejected at every voter.

mod effect;
mod exchange;
mod keeping;
mod seats;

use super::{GovernanceStep, InputError, Issuer, Node, Report, Timer};
use crate::{
    access::Action,
    governance::{Choice, Content, Decision, Electorate, Ledger, Proposal, Stance},
    id::NodeId,
    log::{Brief, Event, Hash},
    time::{DtnTime, Instant},
};
use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
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
    /// Opinions by the digest of the content, the oldest first.
    opinions: VecDeque<(Hash, bool)>,
    /// What this node wants to propose, and how often it has.
    wanted: VecDeque<(Content, u8)>,
    /// The successions that lead to this node's key, the last few.
    links: Vec<Vec<u8>>,
    /// Since when this voter waits, by the clock.
    waits_since: DtnTime,
    /// When each member was last asked for what it says to have.
    asked: BTreeMap<NodeId, Instant>,
    /// How many decisions each member has last said to have.
    heard: BTreeMap<NodeId, u64>,
    /// What each member that is blocked is told next.
    reminders: BTreeMap<NodeId, exchange::Reminder>,
    /// When each member of another history is told again what was decided here, and from which decision on.
    contrary: BTreeMap<NodeId, (Instant, usize)>,
    /// Voters whose seats this node has proposed to take since their keys were taken back: they get them back with other keys.
    lost_with_key: BTreeSet<NodeId>,
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
            opinions: VecDeque::new(),
            wanted: VecDeque::new(),
            links: Vec::new(),
            waits_since: DtnTime::UNKNOWN,
            asked: BTreeMap::new(),
            heard: BTreeMap::new(),
            reminders: BTreeMap::new(),
            contrary: BTreeMap::new(),
            lost_with_key: BTreeSet::new(),
            applied: 0,
            unsaved: false,
            turn: 0,
            config,
        }
    }

    fn opinion(&self, content: &Hash) -> Option<bool> {
        self.opinions.iter().find(|(known, _)| known == content).map(|(_, approves)| *approves)
    }

    /// Remembers an opinion. With too many the oldest goes that is about nothing on the table.
    fn remember(&mut self, content: Hash, approves: bool) {
        self.opinions.retain(|(known, _)| *known != content);
        self.opinions.push_back((content, approves));
        if self.opinions.len() > MAX_OPINIONS {
            let table: Vec<Hash> =
                self.ledger.proposals().values().map(|proposal| proposal.content.digest()).collect();
            let oldest = self.opinions.iter().position(|(known, _)| !table.contains(known)).unwrap_or(0);
            self.opinions.remove(oldest);
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
        if let Content::Schema(schema) = &content {
            if self.registry().is_none() {
                return Err(InputError::NotConfigured { what: "shared state" });
            }
            if let Some(reason) = self.breach_of_schema(schema) {
                return Err(InputError::Contract { reason });
            }
        }
        let governing = self.governing.as_mut().expect("looked at above");
        governing.remember(content.digest(), true);
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
        governing.remember(content, approves);
        governing.unsaved = true;
        self.advance_governance(false);
        Ok(())
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
        } else if !self.timers.is_armed(Timer::Patience) {
            let patience = governing.config.patience;
            let at = self.now.saturating_add(self.jittered(patience));
            self.timers.arm(Timer::Patience, at);
            let since = self.civil_now();
            if let Some(governing) = self.governing.as_mut() {
                (governing.waits_since, governing.unsaved) = (since, true);
            }
        }
    }

    fn next_ballot(&self, give_up: bool) -> Option<(u32, Choice)> {
        let governing = self.governing.as_ref()?;
        let own = self.config.id;
        governing.ledger.next_ballot(own, |proposal| self.stance(proposal), give_up)
    }

    /// Why a content cannot be in force beside what is.
    fn breach_of(&self, content: &Content) -> Option<&'static str> {
        match content {
            Content::Schema(schema) => self.breach_of_schema(schema),
            _ => None,
        }
    }

    /// What this voter thinks of a proposal: nothing good, when its proposer may not change such a thing, or a schema breaks those that count.
    fn stance(&self, proposal: &Proposal) -> Stance {
        let Some(governing) = &self.governing else { return Stance::Undecided };
        let decided = self.decide(proposal.proposer, action(&proposal.content), None);
        let may = decided.is_none_or(|decision| decision.is_ok_and(|decision| decision.allowed));
        match governing.opinion(&proposal.content.digest()) {
            _ if !may || self.breach_of(&proposal.content).is_some() => Stance::Reject,
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
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                *self.refusals.entry(error.reason()).or_default() += 1;
                self.report(Report::ModuleRefused { reason: error.reason() });
                return false;
            }
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
        let wanted = self.governing.as_ref().and_then(|governing| governing.wanted.front());
        if let Some(reason) = wanted.and_then(|(content, _)| self.breach_of(content)) {
            // What came meanwhile stands against it.
            if let Some(governing) = self.governing.as_mut() {
                governing.wanted.pop_front();
                governing.unsaved = true;
            }
            return self.report(Report::ModuleRefused { reason });
        }
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
            let digest = content.digest();
            governing.opinions.retain(|(known, _)| *known != digest);
        }
        self.take_effect(decision);
        // A new slot: others' patience has begun anew, and so has this one's.
        self.timers.disarm(Timer::Patience);
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
