//! Only the newest question to a member, and the newest answer to a coordinator, is worth a contact.
//!
//! A request that waits here for a contact is overtaken by every step that the coordinator takes meanwhile. When a link comes up,
//! and whenever a newer one is due, it is replaced under its own number as long as no link has had any of it: the receiver misses nothing, and
//! what leaves is what is known at the contact. A member that was asked, and may have answered, hears of newer prices at its next
//! contact too; an asset of the asynchronous method then renews the answer that is on its way. (Not under masks: one masked answer is
//! outstanding at a time.) What is under way already, and says the same, is not sent again: its delivery is the transport's affair.

use super::Node;
use crate::{
    delivery::Place,
    dtn::store::Queue,
    envelope::{Header, Purpose, seal},
    id::NodeId,
    node::{Followup, Report, StreamKey},
};
use alloc::{collections::BTreeMap, vec::Vec};
use sha2::{Digest as _, Sha256};

/// What is replaced by its successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slot {
    Request,
    Answer,
    /// Calls, allotments, and what candidates say: each takes the place of the last.
    Notice,
}

/// The last message in a slot.
#[derive(Clone, Copy, Debug)]
struct Sent {
    sequence: u64,
    /// The round that it asks or answers.
    round: u32,
    digest: [u8; 32],
}

/// What was said last: one request, one answer and one notice for each member.
#[derive(Debug, Default)]
pub(super) struct Latest {
    sent: BTreeMap<(NodeId, Slot), Sent>,
}

impl Node {
    /// Sends a message that takes the place of the last one in its slot.
    pub(super) fn send_latest(&mut self, to: NodeId, slot: Slot, round: u32, payload: Vec<u8>) {
        let digest: [u8; 32] = Sha256::digest(&payload).into();
        let Some(planning) = &self.planning else { return };
        let stream = StreamKey { peer: to, purpose: Purpose::Plan };
        if let Some(last) = planning.latest.sent.get(&(to, slot)).copied()
            && let Some(place) = self.place(stream, last.sequence)
        {
            if last.digest == digest {
                return;
            }
            if let Place::Stored(_) = place
                && self.replace(stream, last.sequence, &payload)
            {
                return self.note_request(to, slot, Sent { sequence: last.sequence, round, digest });
            }
        }
        if let Some(sequence) = self.send_plan(to, payload) {
            self.note_request(to, slot, Sent { sequence, round, digest });
        }
    }

    fn note_request(&mut self, to: NodeId, slot: Slot, sent: Sent) {
        let Some(planning) = self.planning.as_mut() else { return };
        planning.latest.sent.insert((to, slot), sent);
    }

    fn place(&mut self, stream: StreamKey, sequence: u64) -> Option<Place> {
        Some(self.outgoing.get_mut(&stream)?.pending_mut(sequence)?.place)
    }

    /// Whether the message is here in whole, and waits for `neighbour` or anybody.
    fn is_untouched(&mut self, stream: StreamKey, sequence: u64, neighbour: Option<NodeId>) -> bool {
        let pending = self.outgoing.get_mut(&stream).and_then(|out| out.pending_mut(sequence));
        let Some((Place::Stored(key), 1)) = pending.map(|message| (message.place, message.attempts)) else {
            return false;
        };
        self.store.get(key).is_some_and(|entry| {
            let waits = match entry.queue {
                Queue::Hop(hop) => neighbour.is_none_or(|neighbour| neighbour == hop),
                Queue::Limbo => neighbour.is_none(),
                Queue::Spread | Queue::Sending(_) | Queue::Local => false,
            };
            waits && !entry.value.handed
        })
    }

    /// Puts other words into a message of which nothing has left; `false` when something may have, or when the log already holds its words.
    fn replace(&mut self, stream: StreamKey, sequence: u64, payload: &[u8]) -> bool {
        let is_written_down = self.journal().is_some();
        if is_written_down
            || payload.len() > self.config.max_payload
            || !self.is_untouched(stream, sequence, None)
        {
            return false;
        }
        let (now, created, lifetime) =
            (self.now, self.civil_now(), self.planning.as_ref().map(|planning| planning.config.lifetime));
        let (Some(outgoing), Some(lifetime)) = (self.outgoing.get_mut(&stream), lifetime) else {
            return false;
        };
        let header = Header {
            sender: self.config.id,
            incarnation: outgoing.epoch(),
            purpose: stream.purpose,
            destination: stream.peer,
            sequence,
            created,
        };
        let Some(message) = outgoing.pending_mut(sequence) else { return false };
        let Place::Stored(key) = message.place else { return false };
        message.sealed = seal(&self.keys, &header, payload);
        (message.expires, message.attempts) = (now.saturating_add(lifetime), 0);
        message.place = Place::AwaitingPersist;
        let message = message.clone();
        self.signatures.made += 1;
        self.release(key);
        self.keep_outgoing_message(stream, sequence, &message);
        let StreamKey { peer: destination, purpose } = stream;
        self.report_durable(Report::Reworded { destination, purpose, sequence, bytes: payload.len() });
        self.followups.push(Followup::Launch(stream, sequence));
        true
    }

    /// A link to `neighbour` came up: who is asked over it is asked what is newest.
    pub(in crate::node) fn renew_requests(&mut self, neighbour: NodeId) {
        let now = self.now;
        let Some(planning) = self.planning.as_ref().filter(|planning| planning.coordinator.is_some()) else {
            return;
        };
        let masked = planning.private.is_some();
        let asked = planning.latest.sent.iter().filter(|((_, slot), _)| *slot == Slot::Request);
        let asked: Vec<(NodeId, Sent)> = asked.map(|((member, _), sent)| (*member, *sent)).collect();
        let mut told = Vec::new();
        for (member, sent) in asked {
            let stream = StreamKey { peer: member, purpose: Purpose::Plan };
            let waits = self.is_untouched(stream, sent.sequence, Some(neighbour));
            // Who has the question may be at work on it: masked, a second answer would not be counted.
            let reached = waits || !masked && member == neighbour;
            let coordinator = self.planning.as_mut().and_then(|planning| planning.coordinator.as_mut());
            if reached && coordinator.is_some_and(|coordinator| coordinator.renew(now, member, sent.round)) {
                told.push(member);
            }
        }
        if !told.is_empty() {
            self.tell(&told);
            self.arm_plan_round();
        }
    }
}
