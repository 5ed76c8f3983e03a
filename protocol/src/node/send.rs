//! The sending side: from a submission to a bundle in the store, and again until it is acknowledged.

use super::{
    Followup, Node, Report, StreamKey, SubmitError, Timer, forward::Origin, input::Submission, keep,
};
use crate::{
    delivery::{Outgoing, Pending, Place},
    envelope::{Header, Parsed, Purpose, seal},
    id::NodeId,
    time::Instant,
};
use alloc::vec::Vec;
use core::time::Duration;

impl Node {
    pub(super) fn submit(&mut self, submission: Submission) -> Result<(), SubmitError> {
        match submission.purpose {
            Purpose::Telemetry | Purpose::Command | Purpose::Event => {
                self.judge_message(submission.purpose, &submission.payload)?;
                let before = self.submissions;
                if let Some(meter) = self.submissions.as_mut() {
                    meter.pass(self.now, submission.payload.len() as u64)?;
                }
                let stream = StreamKey { peer: submission.destination, purpose: submission.purpose };
                let bytes = submission.payload.len();
                let sent = self.seal_submission(submission).and_then(|sealed| self.send_of(sealed, bytes));
                sent.map(|_| ()).inspect_err(|error| {
                    // What was refused for another reason has cost the application nothing.
                    self.submissions = before;
                    if matches!(error, SubmitError::StreamFull(_)) {
                        self.blocked.insert(stream);
                    }
                })
            }
            Purpose::Sync
            | Purpose::Plan
            | Purpose::Acknowledgement
            | Purpose::Trust
            | Purpose::Governance
            | Purpose::Membership
            | Purpose::GroupKey => Err(SubmitError::Purpose),
        }
    }

    /// Numbers, seals and keeps a message; it leaves when the host has made it durable. Returns its number.
    pub(super) fn send(&mut self, submission: Submission) -> Result<u64, SubmitError> {
        let bytes = submission.payload.len();
        self.send_of(submission, bytes)
    }

    /// As [`Self::send`], of what the application gave as so many bytes, before it was sealed.
    fn send_of(&mut self, submission: Submission, bytes: usize) -> Result<u64, SubmitError> {
        let Submission { destination, purpose, priority, lifetime, payload } = submission;
        if destination == self.config.id {
            return Err(SubmitError::ToSelf);
        }
        if self.config.directory.key(destination).is_none() {
            return Err(SubmitError::UnknownDestination(destination));
        }
        if !matches!(purpose, Purpose::Trust | Purpose::Governance) && self.is_blocked(destination) {
            // It gets nothing more but what tells it why: the authority's list, and the fleet's decision.
            return Err(SubmitError::Blocked(destination));
        }
        if payload.len() > self.config.max_payload {
            return Err(SubmitError::PayloadTooLarge { found: payload.len(), max: self.config.max_payload });
        }
        let stream = StreamKey { peer: destination, purpose };
        let (window, incarnation) = (self.config.window, self.incarnation);
        let outgoing = self.outgoing.entry(stream).or_insert_with(|| Outgoing::new(incarnation, window));
        let (sequence, epoch) = (outgoing.next_sequence()?, outgoing.epoch());
        let header = Header {
            sender: self.config.id,
            incarnation: epoch,
            purpose,
            destination,
            sequence,
            created: self.civil_now(),
        };
        let message = Pending {
            sealed: seal(&self.keys, &header, &payload),
            priority,
            expires: self.now.saturating_add(lifetime),
            attempts: 0,
            silences: 0,
            place: Place::AwaitingPersist,
        };
        self.signatures.made += 1;
        self.note_sent(stream, epoch, sequence, &payload);
        self.keep_outgoing_message(stream, sequence, &message);
        self.keep_outgoing_stream(stream, epoch, sequence + 1);
        self.outgoing.get_mut(&stream).expect("made above").push(message);
        self.report_durable(Report::Accepted { destination, purpose, sequence, bytes });
        self.followups.push(Followup::Launch(stream, sequence));
        Ok(sequence)
    }

    /// Signs what is not acknowledged again, under this node's new key: the same messages, which receivers tell from others by their numbers.
    pub(super) fn seal_again(&mut self) {
        let pending = |(key, stream): (&StreamKey, &Outgoing)| {
            let key = *key;
            stream
                .pending()
                .map(move |(sequence, message)| (key, sequence, message.clone()))
                .collect::<Vec<_>>()
        };
        let messages: Vec<(StreamKey, u64, Pending)> = self.outgoing.iter().flat_map(pending).collect();
        for (stream, sequence, mut message) in messages {
            let Ok(parsed) = Parsed::parse(&message.sealed) else { continue };
            message.sealed = seal(&self.keys, parsed.header(), parsed.claimed_payload());
            self.signatures.made += 1;
            self.keep_outgoing_message(stream, sequence, &message);
            if let Some(known) = self.outgoing.get_mut(&stream).and_then(|out| out.pending_mut(sequence)) {
                known.sealed = message.sealed;
            }
        }
    }

    /// A message is overdue.
    pub(super) fn on_retransmit(&mut self, stream: StreamKey, sequence: u64) {
        let answers = !self.is_blocked(stream.peer);
        let Some(message) = self.outgoing.get_mut(&stream).and_then(|out| out.pending_mut(sequence)) else {
            return;
        };
        let spent = message.attempts >= self.config.retransmission.max_attempts;
        if spent || message.expires <= self.now {
            self.abandon(stream, sequence);
            return;
        }
        if message.attempts > 0 && !answers {
            // What is told to a member that is blocked is told once: its answer is not taken, and that none came says nothing of the way.
            self.abandon(stream, sequence);
            self.timers.disarm(Timer::Acknowledge(stream.peer));
            return;
        }
        // Before its time it is sent again because an acknowledgement shows that it was lost: the way back works.
        let shown = matches!(message.place, Place::InFlight { deadline, .. } if self.now < deadline);
        message.silences = if shown { 0 } else { message.silences.saturating_add(1) };
        let attempts = message.attempts;
        self.note_silence(stream, sequence);
        if attempts > 0 {
            self.report(Report::Retransmitted {
                destination: stream.peer,
                purpose: stream.purpose,
                sequence,
            });
        }
        self.transmit_message(stream, sequence);
    }

    /// Wraps a pending message in a bundle and puts that into the store.
    pub(super) fn transmit_message(&mut self, stream: StreamKey, sequence: u64) {
        let now = self.now;
        let Some(message) = self.outgoing.get_mut(&stream).and_then(|out| out.pending_mut(sequence)) else {
            return;
        };
        if message.expires <= now {
            self.abandon(stream, sequence);
            return;
        }
        message.attempts += 1;
        let (priority, lifetime) = (message.priority, message.expires.saturating_since(now));
        let payload = message.sealed.clone();
        let bundle = self.make_bundle(stream.peer, priority, lifetime, payload);
        let route = self.way_around((stream, sequence), &bundle, priority, now.saturating_add(lifetime));
        match self.store_on(bundle, priority, lifetime, Origin::Message(stream, sequence), route) {
            Some(key) => {
                if let Some(message) =
                    self.outgoing.get_mut(&stream).and_then(|out| out.pending_mut(sequence))
                {
                    message.place = Place::Stored(key);
                }
                self.timers.disarm(Timer::Retransmit(stream, sequence));
            }
            // The store is full of more urgent bundles: try again later.
            None => self.retry_later(stream, sequence),
        }
    }

    /// The last frame of a message's bundle has left: from now on its acknowledgement is awaited.
    pub(super) fn on_message_sent(&mut self, stream: StreamKey, sequence: u64) {
        let Some(message) = self.outgoing.get_mut(&stream).and_then(|out| out.pending_mut(sequence)) else {
            return;
        };
        let (silences, expires, bytes) = (message.silences, message.expires, message_bytes(message));
        let back = self.answer_by(stream.peer, bytes);
        let timeout = self.patience_until(back, expires, silences);
        let timeout = self.jittered(timeout);
        let due = back.unwrap_or(self.now);
        self.put_in_flight(stream, sequence, (due, self.now.saturating_add(timeout)));
    }

    /// The store let a message's bundle go before it was sent.
    pub(super) fn on_message_dropped(&mut self, stream: StreamKey, sequence: u64) {
        self.retry_later(stream, sequence);
    }

    fn retry_later(&mut self, stream: StreamKey, sequence: u64) {
        let pause = self.jittered(self.config.retransmission.min_timeout);
        self.put_in_flight(stream, sequence, (self.now, self.now.saturating_add(pause)));
    }

    pub(super) fn abandon(&mut self, stream: StreamKey, sequence: u64) {
        let now = self.now;
        let Some(outgoing) = self.outgoing.get_mut(&stream) else { return };
        let Some(message) = outgoing.abandon(sequence, now) else { return };
        let forward = outgoing.forward_due().is_some();
        self.note_answer(stream, sequence, false);
        self.forget_message(stream, sequence, &message);
        let told = Report::Abandoned { destination: stream.peer, purpose: stream.purpose, sequence };
        match message.place {
            // After the word that it was accepted, which waits for the host.
            Place::AwaitingPersist => self.report_durable(told),
            Place::Stored(_) | Place::InFlight { .. } => self.report(told),
        }
        self.on_module_message_lost(stream, sequence);
        if stream.purpose == Purpose::GroupKey {
            self.on_group_message_lost(stream.peer);
        }
        if forward {
            self.arm_control(stream.peer);
        }
    }

    /// Acknowledged or abandoned: its record, timer and bundle go.
    pub(super) fn forget_message(&mut self, stream: StreamKey, sequence: u64, message: &Pending) {
        if self.blocked.remove(&stream) {
            self.report(Report::Writable { destination: stream.peer, purpose: stream.purpose });
        }
        self.delete(keep::key(keep::Kept::OutgoingMessage, stream, sequence));
        match message.place {
            Place::Stored(key) => self.release(key),
            Place::InFlight { .. } => self.timers.disarm(Timer::Retransmit(stream, sequence)),
            Place::AwaitingPersist => {}
        }
    }

    /// How long from now until an acknowledgement can be back, stretched by the margin.
    pub(super) fn round_trip(&mut self, peer: NodeId, bytes: u64, expires: Instant) -> Duration {
        self.patience(peer, bytes, expires, 0)
    }

    /// How long to wait for an acknowledgement: by the contact plan where it tells, else half of the lifetime that is left.
    ///
    /// `silences`: how often in a row none came. Each doubles what is waited beyond the expected time (RFC 6298 §5.5): a lost way back
    /// must not fill the contacts with copies. It does not double the expected time, of which most is the wait for contacts that the plan
    /// tells: a second loss would cost half a day of them.
    pub(super) fn patience(&mut self, peer: NodeId, bytes: u64, expires: Instant, silences: u32) -> Duration {
        let back = self.answer_by(peer, bytes);
        self.patience_until(back, expires, silences)
    }

    /// When an acknowledgement of what leaves now can be back, where the contact plan tells.
    fn answer_by(&mut self, peer: NodeId, bytes: u64) -> Option<Instant> {
        let arrival = self.arrival(self.config.id, peer, self.now, bytes)?;
        let reply = arrival.saturating_add(self.config.retransmission.ack_delay);
        self.arrival(peer, self.config.id, reply, ACKNOWLEDGEMENT_BYTES)
    }

    fn patience_until(&self, back: Option<Instant>, expires: Instant, silences: u32) -> Duration {
        let settings = self.config.retransmission;
        let doubled = |span: Duration| span.saturating_mul(1 << silences.min(MAX_DOUBLINGS));
        let wait = match back {
            Some(back) => {
                let expected = back.saturating_since(self.now);
                expected.saturating_add(doubled(expected * settings.margin_percent.saturating_sub(100) / 100))
            }
            None => doubled(expires.saturating_since(self.now) / 2),
        };
        wait.max(doubled(settings.min_timeout))
    }
}

/// How often a wait doubles at the most.
const MAX_DOUBLINGS: u32 = 3;

/// A typical acknowledgement's bundle, for the estimate of a round trip.
pub(super) const ACKNOWLEDGEMENT_BYTES: u64 = 220;

/// What a message's bundle takes on a link, nearly.
fn message_bytes(message: &Pending) -> u64 {
    message.sealed.len() as u64 + 64
}
