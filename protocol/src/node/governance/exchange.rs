//! How records and decisions come to all: told to every member at once, and one member after the other is asked for what that missed.

use crate::{
    delivery::Place,
    dtn::store::Priority,
    envelope::Purpose,
    governance::{Content, Exposure, GovernanceError, GovernanceMessage, Inserted},
    id::NodeId,
    log::{Brief, Event},
    node::{GovernanceStep, Node, Report, StreamKey, Submission, Timer, trust::Proof},
    time::Instant,
};
use alloc::vec::Vec;

/// So many intervals after a member of another history was told all decisions of this one, it is told them again.
const ROUND_PAUSE: u32 = 64;

/// So often a member that is blocked is told all again when something comes in its name.
const REMINDERS: u8 = 3;

/// What a member that is blocked is told next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reminder {
    /// Not before that.
    next: Instant,
    /// The place of the first decision that was not told yet, of this round.
    place: usize,
    /// How many rounds are left, with this one.
    rounds: u8,
}

impl Node {
    pub(in crate::node) fn on_governance_timer(&mut self) {
        let others = self.governance_members();
        if let Some(governing) = self.governing.as_mut() {
            governing.turn = governing.turn.wrapping_add(1);
            let turn = governing.turn;
            if let Some(partner) = others.get(turn % others.len().max(1)).copied() {
                // One member after the other is asked about one part of the table, then each about the next.
                self.ask_governance(partner, turn / others.len());
            }
        }
        self.mind_seats();
        self.arm_governance();
    }

    /// The other members, but for those that are blocked: nothing of theirs is taken.
    fn governance_members(&self) -> Vec<NodeId> {
        let own = self.config.id;
        let members = self.config.directory.members().map(|(node, _)| node);
        members.filter(|node| *node != own && !self.is_blocked(*node)).collect()
    }

    fn ask_governance(&mut self, partner: NodeId, turn: usize) {
        let now = self.now;
        let Some(governing) = self.governing.as_mut() else { return };
        governing.asked.insert(partner, now);
        let message = GovernanceMessage::asking(&governing.ledger, turn);
        self.send_governance(partner, &message);
    }

    /// A message of another member. What is in it is judged record by record.
    pub(in crate::node) fn on_governance_message(&mut self, source: NodeId, payload: &[u8]) {
        if self.governing.is_none() {
            return self.report(Report::ModuleRefused { reason: "governance_not_configured" });
        }
        let message = match GovernanceMessage::decode(payload) {
            Ok(message) => message,
            Err(error) => return self.report(Report::ModuleRefused { reason: error.reason() }),
        };
        let (mut behind, mut taught) = (false, false);
        for record in &message.records {
            match self.take_record(record) {
                Taken::New => taught = true,
                Taken::Beyond => behind = true,
                Taken::Nothing => {}
            }
        }
        self.advance_governance(false);
        if self.is_blocked(source) {
            // It was told so when that took effect, and nothing else.
            return;
        }
        if let Some(governing) = self.governing.as_mut() {
            governing.heard.insert(source, message.decisions);
        }
        let (now, turn) = (self.now, self.governing.as_ref().map_or(0, |governing| governing.turn));
        let Some(governing) = &self.governing else { return };
        behind |= message.decisions >= governing.ledger.slot();
        // What a member says to have is unproven: it is asked again at once only when it has taught something.
        let asked = governing.asked.get(&source).map(|at| at.saturating_add(governing.config.interval));
        let asks = behind && (taught || asked.is_none_or(|next| next <= now));
        if message.asks {
            let records = match governing.ledger.differs(&message) {
                true => self.contrary(source, &message),
                false => governing.ledger.lacking(&message),
            };
            if let Some(governing) = self.governing.as_ref().filter(|_| !records.is_empty()) {
                let answer = GovernanceMessage::giving(&governing.ledger, records);
                self.send_governance(source, &answer);
            }
        }
        if asks {
            self.ask_governance(source, turn);
        }
    }

    /// What shows a member of another history which slot was decided otherwise: a part in each interval, and all of it again after a long while only. Its
    /// head is unproven, and may be made up to be answered.
    fn contrary(&mut self, source: NodeId, message: &GovernanceMessage) -> Vec<Vec<u8>> {
        *self.refusals.entry("governance_other_history").or_default() += 1;
        let now = self.now;
        let Some(governing) = self.governing.as_mut() else { return Vec::new() };
        let (next, from) = governing.contrary.get(&source).copied().unwrap_or((now, 0));
        if now < next {
            return Vec::new();
        }
        let records = governing.ledger.contrary(message, from);
        let to = from + records.len();
        let interval = governing.config.interval;
        let (pause, from) = match to as u64 >= message.decisions {
            true => (interval.saturating_mul(ROUND_PAUSE), 0),
            false => (interval, to),
        };
        governing.contrary.insert(source, (now.saturating_add(pause), from));
        self.report(Report::ModuleRefused { reason: "governance_other_history" });
        records
    }

    /// Takes one record.
    fn take_record(&mut self, record: &[u8]) -> Taken {
        let Some(governing) = self.governing.as_mut() else { return Taken::Nothing };
        let (slot, checked) = (governing.ledger.slot(), governing.ledger.signatures());
        let inserted = governing.ledger.insert(record);
        self.signatures.checked += governing.ledger.signatures() - checked;
        governing.unsaved |= !matches!(inserted, Ok(Inserted::Known) | Err(_));
        match inserted {
            Ok(Inserted::Known) => return Taken::Nothing,
            Ok(Inserted::Proposed { proposer, digest }) => {
                let proposal = self.ledger().and_then(|ledger| ledger.proposals().get(&digest));
                let what = proposal.map_or("nothing", |proposal| proposal.content.word());
                let breach = proposal.and_then(|proposal| self.breach_of(&proposal.content));
                self.note(slot, GovernanceStep::Proposed, Some(proposer), what, Brief::of(record));
                if let Some(reason) = breach {
                    self.report(Report::ModuleRefused { reason });
                }
            }
            Ok(Inserted::Voted { voter, step, choice }) => self.note_ballot(slot, voter, step, choice),
            Ok(Inserted::Exposed(exposure)) => self.expose(&exposure),
            Ok(Inserted::Decided) => {
                let decision = governing.ledger.decisions().last().cloned();
                if let Some(decision) = decision {
                    self.on_decision(&decision);
                }
            }
            Err(GovernanceError::Slot { found, open }) if found > open => return Taken::Beyond,
            Err(error) => {
                if let GovernanceError::Split { slot } = error {
                    self.keep_split(slot, record);
                }
                let _ = self.refuse(error.reason());
                self.report(Report::ModuleRefused { reason: error.reason() });
                return Taken::Nothing;
            }
        }
        Taken::New
    }

    /// Two decisions in one slot: more voters lied than the rules bear. Both certificates are kept, for whoever has to mend it.
    fn keep_split(&mut self, slot: u64, second: &[u8]) {
        let place = usize::try_from(slot).ok().and_then(|slot| slot.checked_sub(1));
        let known = place.and_then(|place| self.ledger()?.decisions().get(place));
        let Some(first) = known.map(|decision| decision.certificate.clone()) else { return };
        self.keep_proof(NodeId(0), Proof::Split { slot }, &first, second);
    }

    /// Two ballots stand in a voter's name. Both are kept as proof; of the voter, if one key has signed both.
    fn expose(&mut self, exposure: &Exposure) {
        let [first, second] = &exposure.records;
        let at = if exposure.one_key { "two_ballots" } else { "two_ballots_of_two_keys" };
        self.keep_proof(exposure.voter, Proof::Ballots, first, second);
        if exposure.one_key {
            let (peer, at) = (exposure.voter, at.into());
            self.write_down(Event::Caught { peer, at, first: Brief::of(first), second: Brief::of(second) });
        }
        *self.refusals.entry(at).or_default() += 1;
        let record = Brief::of(second);
        self.note(exposure.slot, GovernanceStep::Exposed, Some(exposure.voter), "nothing", record);
    }

    /// Tells every other member of a record.
    pub(super) fn tell_all(&mut self, record: Vec<u8>) {
        let Some(governing) = &self.governing else { return };
        let message = GovernanceMessage::giving(&governing.ledger, [record].to_vec());
        for node in self.governance_members() {
            self.send_governance(node, &message);
        }
    }

    /// Something came in the name of a member whose key the fleet has blocked: it may not have heard of that. It is told on, a few times all, and no more
    /// often than in each interval; whoever writes that name gets nothing else for it.
    pub(in crate::node) fn remind_the_blocked(&mut self, node: NodeId) {
        let (now, stream) = (self.now, StreamKey { peer: node, purpose: Purpose::Governance });
        let waits = |place| !matches!(place, Place::InFlight { .. });
        let under_way = self
            .outgoing
            .get(&stream)
            .is_some_and(|stream| stream.pending().any(|(_, message)| waits(message.place)));
        let reminder = self.governing.as_ref().and_then(|governing| governing.reminders.get(&node));
        if !under_way && reminder.is_none_or(|it| now >= it.next && it.rounds > 0) {
            self.tell_the_blocked(node);
        }
    }

    /// The fleet has blocked a member, perhaps once more.
    pub(super) fn forget_reminders(&mut self, node: NodeId) {
        if let Some(governing) = self.governing.as_mut() {
            governing.reminders.remove(&node);
        }
    }

    /// The last that a member hears which the fleet has blocked: the certificates of the decisions up to that one, from what it last said to have on, in
    /// order, since each can be judged after those before it only; as many as a message has room for, and the next time those behind them. It is not asked
    /// whether it has them, since nothing that it says counts any more.
    pub(super) fn tell_the_blocked(&mut self, node: NodeId) {
        let now = self.now;
        let Some(governing) = self.governing.as_mut().filter(|_| node != self.config.id) else { return };
        let blocks = |content: &Content| matches!(content, Content::Block { node: it, .. } if *it == node);
        let mut decisions = governing.ledger.decisions().iter();
        let last = decisions
            .rposition(|decision| decision.adopted.as_ref().is_some_and(|(_, content)| blocks(content)));
        let Some(last) = last else { return };
        let heard = governing.heard.get(&node).and_then(|heard| usize::try_from(*heard).ok());
        let first = heard.unwrap_or(0).min(last);
        let begin = Reminder { next: now, place: first, rounds: REMINDERS + 1 };
        let reminder = governing.reminders.entry(node).or_insert(begin);
        let records = governing.ledger.certificates(reminder.place..last + 1);
        reminder.next = now.saturating_add(governing.config.interval);
        reminder.place += records.len();
        if reminder.place > last {
            (reminder.place, reminder.rounds) = (first, reminder.rounds.saturating_sub(1));
        }
        let message = GovernanceMessage::giving(&governing.ledger, records);
        self.send_governance(node, &message);
        // Where its stream goes on: what was under way to it has been given up. Once, since its answer does not count.
        self.send_control(node);
        self.timers.disarm(Timer::Acknowledge(node));
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

/// What came of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// It was new.
    New,
    /// It was known, or is refused.
    Nothing,
    /// It is of a slot that this node has not come to.
    Beyond,
}
