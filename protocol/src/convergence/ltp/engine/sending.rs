//! The sending side: sessions of ours.

use super::{
    super::{
        config::{Event, SendError},
        error::CancelReason,
        export::{Export, Reported},
        segment::{ReportSegment, SessionId},
        timers::Timer,
    },
    Control, Engine, first_serial,
};
use crate::time::Instant;
use alloc::vec::Vec;

impl Engine {
    /// Sends a block, all of it red (RFC 5326 §4.1). `token` comes back with what becomes of it, and names one block at a time.
    ///
    /// # Errors
    /// [`SendError`]: nothing changed, and the block is gone.
    pub fn send(&mut self, block: Vec<u8>, token: u64) -> Result<(), SendError> {
        let red = block.len();
        self.send_with_green(block, red, token)
    }

    /// Sends a block whose first `red` bytes are red and whose others are green.
    ///
    /// # Errors
    /// [`SendError`]: nothing changed, and the block is gone.
    pub fn send_with_green(&mut self, block: Vec<u8>, red: usize, token: u64) -> Result<(), SendError> {
        let limits = &self.config.limits;
        if block.is_empty() || red > block.len() {
            return Err(SendError::Extent { block: block.len(), red });
        }
        if block.len() > limits.block {
            return Err(SendError::TooLong { found: block.len(), max: limits.block });
        }
        if !self.has_room() {
            return Err(SendError::Full { limit: limits.sessions_out });
        }
        let number = self.next_session;
        self.next_session += 1;
        let serial = first_serial(self.config.seed, number);
        self.exports.insert(number, Export::new(block, red, self.config.client_service, token, serial));
        self.tokens.insert(token, number);
        self.fresh.push_back(number);
        Ok(())
    }

    /// Whether another block is taken.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.exports.len() < self.config.limits.sessions_out
    }

    /// Gives a block up (§4.2). The peer is told; no event follows. False when there is no such block.
    pub fn cancel(&mut self, now: Instant, token: u64, reason: CancelReason) -> bool {
        let Some(&number) = self.tokens.get(&token) else { return false };
        self.forget(number);
        self.announce_cancel(now, self.own(number), reason);
        true
    }

    /// Tokens of the blocks that have not left in full, in order.
    pub fn unsent(&self) -> impl Iterator<Item = u64> {
        self.exports.values().filter(|export| export.is_fresh()).map(|export| export.token)
    }

    /// Tokens of all blocks under way, in order.
    pub fn under_way(&self) -> impl Iterator<Item = u64> {
        self.tokens.keys().copied()
    }

    const fn own(&self, number: u64) -> SessionId {
        SessionId { originator: self.config.engine, number }
    }

    /// The next data segment: first what is to be sent again.
    pub(super) fn poll_data(&mut self, now: Instant) -> Option<Vec<u8>> {
        while let Some(&number) = self.again.front() {
            let (session, mtu) = (self.own(number), self.path.mtu);
            let Some(export) = self.exports.get_mut(&number).filter(|export| export.has_jobs()) else {
                self.unqueue(number);
                continue;
            };
            let (segment, checkpoint) = export.put_again(session, mtu)?;
            if !export.has_jobs() {
                self.unqueue(number);
            }
            self.counters.data_again += 1;
            self.on_data_sent(now, number, checkpoint);
            return Some(segment);
        }
        while let Some(&number) = self.fresh.front() {
            let (session, mtu) = (self.own(number), self.path.mtu);
            let Some(export) = self.exports.get_mut(&number) else {
                self.fresh.pop_front();
                continue;
            };
            let (segment, checkpoint) = export.put_fresh(session, mtu)?;
            if !export.is_fresh() {
                self.fresh.pop_front();
            }
            self.on_data_sent(now, number, checkpoint);
            return Some(segment);
        }
        None
    }

    fn unqueue(&mut self, number: u64) {
        self.again.pop_front();
        if let Some(export) = self.exports.get_mut(&number) {
            export.queued = false;
        }
    }

    fn queue_again(&mut self, number: u64) {
        if let Some(export) = self.exports.get_mut(&number)
            && export.has_jobs()
            && !core::mem::replace(&mut export.queued, true)
        {
            self.again.push_back(number);
        }
    }

    fn on_data_sent(&mut self, now: Instant, number: u64, checkpoint: Option<u64>) {
        self.counters.data_sent += 1;
        if let Some(serial) = checkpoint {
            self.arm(now, Timer::Checkpoint(number, serial));
        }
        self.conclude(now, number);
    }

    /// Closes a session of which all was sent and all red data reported (§6.12, §6.20); watches one that waits for nothing.
    fn conclude(&mut self, now: Instant, number: u64) {
        let Some(export) = self.exports.get(&number) else { return };
        let (token, stalled) = (export.token, export.is_stalled());
        if export.delivered && !export.is_fresh() {
            self.forget(number);
            self.events.push_back(Event::Delivered { token });
        } else if stalled {
            // The peer repeats its reports; when it has given that up, so does this end.
            let (_, due) = self.answer_due(now);
            let tries = self.config.limits.retransmissions.saturating_add(2);
            let at = now.saturating_add(due.saturating_since(now).saturating_mul(tries));
            self.timers.arm(Timer::Stalled(number), at, None);
        } else {
            self.timers.disarm(Timer::Stalled(number));
        }
    }

    pub(super) fn on_report(&mut self, now: Instant, session: SessionId, report: &ReportSegment<'_>) {
        // §6.13: an acknowledgement is due whatever the report says, and also when the session is closed.
        self.push(Control::ReportAcknowledgement(session, report.serial));
        let number = session.number;
        let Some(export) = self.exports.get_mut(&number) else {
            self.counters.late += 1;
            return;
        };
        let (scope, limits) = ((report.lower, report.upper), &self.config.limits);
        match export.report(report.serial, report.checkpoint, scope, report.claims, limits) {
            Reported::Nothing => return,
            Reported::Complete => {
                export.delivered = true;
                self.timers.disarm_checkpoints(number);
            }
            Reported::Again => {
                self.timers.disarm(Timer::Checkpoint(number, report.checkpoint));
                self.queue_again(number);
            }
            Reported::Covered => self.timers.disarm(Timer::Checkpoint(number, report.checkpoint)),
            Reported::Unproven => {
                self.timers.disarm_checkpoints(number);
                self.queue_again(number);
            }
            Reported::Spent => return self.give_up(now, number, CancelReason::CycleLimit),
        }
        self.conclude(now, number);
    }

    pub(super) fn on_checkpoint_timeout(&mut self, now: Instant, number: u64, serial: u64) {
        let Some(export) = self.exports.get_mut(&number) else { return };
        self.counters.checkpoint_timeouts += 1;
        if export.ask_again(serial, self.config.limits.retransmissions) {
            self.queue_again(number);
        } else {
            self.give_up(now, number, CancelReason::RetransmissionLimit);
        }
    }

    /// Gives a session of ours up, and tells both the peer and the driver.
    pub(super) fn give_up(&mut self, now: Instant, number: u64, reason: CancelReason) {
        let Some(export) = self.forget(number) else { return };
        self.announce_cancel(now, self.own(number), reason);
        self.note_cancelled(&export, reason, false);
    }

    pub(super) fn on_cancel_by_receiver(&mut self, _now: Instant, session: SessionId, reason: CancelReason) {
        // §6.17: acknowledged also when the session is closed.
        self.push(Control::CancelAcknowledgement(session));
        self.on_cancel_acknowledged(session);
        if let Some(export) = self.forget(session.number) {
            self.note_cancelled(&export, reason, true);
        }
    }

    fn note_cancelled(&mut self, export: &Export, reason: CancelReason, by_peer: bool) {
        let token = export.token;
        // What the peer has is delivered, also when a green part behind it was not sent in full.
        let event = if export.delivered {
            Event::Delivered { token }
        } else {
            Event::Cancelled { token, reason, by_peer }
        };
        self.events.push_back(event);
    }

    fn forget(&mut self, number: u64) -> Option<Export> {
        let export = self.exports.remove(&number)?;
        self.tokens.remove(&export.token);
        self.timers.disarm(Timer::Stalled(number));
        self.timers.disarm_checkpoints(number);
        Some(export)
    }
}
