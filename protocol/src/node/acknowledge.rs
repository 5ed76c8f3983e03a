//! Control messages: acknowledgements and forwards between two ends.

use super::{Followup, Node, Report, StreamKey, Timer, forward::Origin, keep, send::ACKNOWLEDGEMENT_BYTES};
use crate::{
    delivery::{Acknowledgement, Control, Forward, Incoming, Pending},
    dtn::store::Priority,
    envelope::{Header, Purpose, seal},
    id::NodeId,
};
use alloc::{collections::BTreeMap, vec::Vec};
use core::time::Duration;

/// What the node remembers of a peer for control messages.
#[derive(Debug, Default)]
pub(super) struct Peer {
    /// Number of the last control message to it in this incarnation.
    sequence: u64,
    /// What the host has made durable of its streams, one for each purpose: all that may be acknowledged.
    durable: BTreeMap<Purpose, Acknowledgement>,
    /// A reception waits to be acknowledged.
    owes: bool,
}

impl Node {
    /// A message or a forward changed a stream: its state of this moment is acknowledged once it is durable.
    ///
    /// What comes in meanwhile is in a later state, so a disk slower than the traffic delays acknowledgements and never starves them.
    pub(super) fn owe_acknowledgement(&mut self, key: StreamKey) {
        let Some(stream) = self.incoming.get(&key) else { return };
        self.followups.push(Followup::Acknowledge(key.peer, stream.acknowledgement(key.purpose)));
    }

    /// The sender has not heard an acknowledgement: what is durable is said again.
    pub(super) fn repeat_acknowledgement(&mut self, peer: NodeId) {
        self.peers.entry(peer).or_default().owes = true;
        self.arm_control(peer);
    }

    pub(super) fn on_reception_durable(&mut self, peer: NodeId, state: Acknowledgement) {
        let entry = self.peers.entry(peer).or_default();
        entry.durable.insert(state.purpose, state);
        entry.owes = true;
        self.arm_control(peer);
    }

    /// After a restart: what was kept is durable.
    pub(super) fn restore_acknowledgements(&mut self) {
        for (key, stream) in &self.incoming {
            let state = stream.acknowledgement(key.purpose);
            self.peers.entry(key.peer).or_default().durable.insert(key.purpose, state);
        }
    }

    /// What a peer's streams were is no more.
    pub(super) fn forget_acknowledgements(&mut self, peer: NodeId) {
        if let Some(entry) = self.peers.get_mut(&peer) {
            entry.durable.clear();
        }
    }

    /// A control message goes to `peer` within the acknowledgement delay.
    pub(super) fn arm_control(&mut self, peer: NodeId) {
        if self.is_blocked(peer) {
            // It hears of it when its key is certified anew.
            return;
        }
        let delay = self.jittered(self.config.retransmission.ack_delay);
        self.timers.arm_by(Timer::Acknowledge(peer), self.now.saturating_add(delay));
    }

    /// Sends what `peer` should know, if it is durable here.
    pub(super) fn send_control(&mut self, peer: NodeId) {
        let entry = self.peers.entry(peer).or_default();
        let owes = core::mem::take(&mut entry.owes);
        let control = Control {
            acknowledgements: if owes { entry.durable.values().cloned().collect() } else { Vec::new() },
            forwards: self.forwards(peer, owes),
        };
        if control == Control::default() {
            return;
        }
        let entry = self.peers.entry(peer).or_default();
        entry.sequence += 1;
        let header = Header {
            sender: self.config.id,
            incarnation: self.incarnation,
            purpose: Purpose::Acknowledgement,
            destination: peer,
            sequence: entry.sequence,
            created: self.civil_now(),
        };
        let sealed = seal(&self.keys, &header, &control.encode());
        self.signatures.made += 1;
        let lifetime = self.config.control_lifetime;
        let bundle = self.make_bundle(peer, Priority::Expedited, lifetime, sealed);
        let route = if owes { self.way_back(peer) } else { None };
        if self.store_on(bundle, Priority::Expedited, lifetime, Origin::Control, route).is_none() && owes {
            // No room: the peer will ask by sending again.
            self.peers.entry(peer).or_default().owes = true;
        }
    }

    /// The forwards that are due for `peer`; with an acknowledgement that goes to it anyway (`along`), all of them.
    fn forwards(&mut self, peer: NodeId, along: bool) -> Vec<Forward> {
        let mut forwards = Vec::new();
        for purpose in Purpose::ALL {
            let key = StreamKey { peer, purpose };
            let Some(stream) = self.outgoing.get(&key) else { continue };
            let Some(forward) = stream.forward(purpose) else { continue };
            if let Some(due) = stream.forward_due().filter(|due| !along && *due > self.now) {
                self.timers.arm_by(Timer::Acknowledge(peer), due);
                continue;
            }
            let again = self.now.saturating_add(self.pause_of_forward(peer, stream.forwards_unheard()));
            self.timers.arm_by(Timer::Acknowledge(peer), again);
            if let Some(stream) = self.outgoing.get_mut(&key) {
                stream.forward_sent(again);
                forwards.push(forward);
            }
        }
        forwards
    }

    /// How long to wait for the answer to a forward that was not heard `unheard` times before.
    ///
    /// A forward has no lifetime: it stands until it is acknowledged, which a member that is gone never does. Each one without an
    /// answer doubles the pause, so that a peer that is away or shut out costs a few frames a day.
    fn pause_of_forward(&mut self, peer: NodeId, unheard: u32) -> Duration {
        let expires = self.now.saturating_add(self.config.control_lifetime);
        let answer = self.round_trip(peer, ACKNOWLEDGEMENT_BYTES, expires);
        let doubled = answer.saturating_mul(1 << unheard.min(MAX_FORWARD_DOUBLINGS));
        answer.max(doubled.min(LONGEST_FORWARD_PAUSE))
    }

    /// A verified control message.
    pub(super) fn on_control(&mut self, peer: NodeId, payload: &[u8]) -> Result<(), &'static str> {
        let control = Control::decode(payload).map_err(|_| "malformed_control")?;
        for acknowledgement in &control.acknowledgements {
            let key = StreamKey { peer, purpose: acknowledgement.purpose };
            let mut freed = Vec::new();
            self.begin_again(key, acknowledgement);
            if let Some(stream) = self.outgoing.get_mut(&key) {
                stream.acknowledge(acknowledgement, &mut freed);
            }
            self.resend_overtaken(key, &freed);
            for (sequence, message) in freed {
                self.note_answer(key, sequence, true);
                self.forget_message(key, sequence, &message);
                self.report(Report::Acknowledged { destination: peer, purpose: key.purpose, sequence });
                self.on_module_message_acknowledged(key, sequence);
            }
        }
        for acknowledgement in &control.acknowledgements {
            // What was given up behind a message that is acknowledged only now holds the stream up from here on.
            let stream = self.outgoing.get(&StreamKey { peer, purpose: acknowledgement.purpose });
            if stream.is_some_and(|stream| {
                stream.forward(acknowledgement.purpose).is_some() && stream.forward_due().is_none()
            }) {
                self.arm_control(peer);
            }
        }
        for forward in &control.forwards {
            self.on_forward(StreamKey { peer, purpose: forward.purpose }, forward);
        }
        Ok(())
    }

    /// What an acknowledgement shows to be lost is sent again at once, or when its own acknowledgement could have come by a slower way.
    fn resend_overtaken(&mut self, key: StreamKey, freed: &[(u64, Pending)]) {
        let reorder = self.config.retransmission.min_timeout;
        let lost = self.outgoing.get(&key).map_or_else(Vec::new, |stream| stream.overtaken(freed, reorder));
        for (sequence, due) in lost {
            self.timers.arm_by(Timer::Retransmit(key, sequence), due.max(self.now));
        }
    }

    fn on_forward(&mut self, key: StreamKey, forward: &Forward) {
        let window = self.config.window;
        self.forget_old_epoch(key, forward.epoch);
        let stream = self.incoming.entry(key).or_insert_with(|| Incoming::new(window));
        let mut due = core::mem::take(&mut self.due);
        let changed = stream.forward(forward, &mut due);
        if changed {
            let (epoch, floor) = (stream.epoch(), stream.floor());
            self.report(Report::Skipped { source: key.peer, forward: *forward });
            self.keep_incoming_stream(key, epoch, floor);
            for message in due.drain(..) {
                self.delete(keep::key(keep::Kept::EarlyMessage, key, message.sequence));
                self.consume(key, epoch, message);
            }
        }
        self.due = due;
        if changed {
            self.owe_acknowledgement(key);
        } else {
            // Heard before: the sender has not heard our acknowledgement.
            self.repeat_acknowledgement(key.peer);
        }
    }
}

/// How often the pause between two forwards doubles at the most.
const MAX_FORWARD_DOUBLINGS: u32 = 16;

/// The longest pause between two forwards, unless one answer takes longer.
const LONGEST_FORWARD_PAUSE: Duration = Duration::from_secs(6 * 3600);
