//! The receiving side: sessions of the peer's.

use super::{
    super::{
        config::{Event, Limits},
        error::{CancelReason, SegmentError},
        import::{Import, Placed},
        segment::{CheckpointTag, Color, DataSegment, SessionId, put_report_segment},
        timers::Timer,
    },
    Closed, Control, Engine, first_serial,
};
use crate::time::Instant;
use alloc::vec::Vec;

impl Engine {
    pub(super) fn on_data(
        &mut self,
        now: Instant,
        session: SessionId,
        segment: &DataSegment<'_>,
    ) -> Result<(), SegmentError> {
        if self.cancelling.contains_key(&session) {
            self.counters.late += 1;
            return Ok(());
        }
        if self.closed.contains_key(&session) {
            self.on_late_data(session, segment);
            return Ok(());
        }
        if !self.imports.contains_key(&session) {
            self.open(session)?;
        }
        let limits = self.config.limits;
        if segment.client_service != self.config.client_service {
            self.abort(now, session, CancelReason::Unreachable);
            return Ok(());
        }
        if segment.end() > limits.block as u64 {
            self.abort(now, session, CancelReason::System);
            return Ok(());
        }
        self.watch(now, session);
        match segment.color {
            Color::Red { checkpoint, last_red } => self.on_red(now, session, segment, checkpoint, last_red),
            Color::Green => {
                self.on_green(now, session, segment);
                Ok(())
            }
        }
    }

    fn open(&mut self, session: SessionId) -> Result<(), SegmentError> {
        let limit = self.config.limits.sessions_in;
        if self.imports.len() >= limit {
            self.counters.overflows += 1;
            return Err(SegmentError::Full { limit });
        }
        let Limits { block, buffer, .. } = self.config.limits;
        if !self.imports.is_empty() && self.held.saturating_add(block) > buffer {
            // What is begun is to be finished first.
            self.counters.overflows += 1;
            return Err(SegmentError::Full { limit: buffer });
        }
        let serial = first_serial(!self.config.seed, session.number);
        self.imports.insert(session, Import::new(serial));
        Ok(())
    }

    /// Bytes that `session` may add. Room for the whole block of the oldest session is kept free of the others, so that sessions which
    /// fill the buffer do not wait for each other. O(log n) while there is room for another block, else O(n).
    fn room(&self, session: SessionId) -> usize {
        let Limits { block, buffer, .. } = self.config.limits;
        let free = buffer.saturating_sub(self.held);
        if free >= block.saturating_mul(2) {
            return free - block;
        }
        let oldest = self.imports.iter().find(|(_, import)| !import.delivered && !import.is_green());
        match oldest {
            Some((first, import)) if *first != session => {
                free.saturating_sub(block.saturating_sub(import.held()))
            }
            _ => free,
        }
    }

    fn watch(&mut self, now: Instant, session: SessionId) {
        let light = self.path.light_time.saturating_mul(2);
        let at = now.saturating_add(self.config.limits.idle).saturating_add(light);
        self.timers.arm(Timer::Idle(session), at, None);
    }

    fn on_red(
        &mut self,
        now: Instant,
        session: SessionId,
        segment: &DataSegment<'_>,
        checkpoint: Option<CheckpointTag>,
        last_red: bool,
    ) -> Result<(), SegmentError> {
        let (limits, mtu) = (self.config.limits, self.path.mtu);
        let room = self.room(session);
        let Some(import) = self.imports.get_mut(&session) else { return Ok(()) };
        if import.contradicts_red(segment.end(), last_red) {
            self.abort(now, session, CancelReason::Miscolored);
            return Ok(());
        }
        if checkpoint.is_some_and(|tag| import.is_foreign(tag)) {
            self.abort(now, session, CancelReason::System);
            return Ok(());
        }
        let before = import.held();
        let placed = import.place(segment, last_red, room, &limits);
        match placed {
            Placed::Overflow => {
                self.counters.overflows += 1;
                return Err(SegmentError::Full { limit: limits.buffer });
            }
            Placed::Duplicate => self.counters.duplicates += 1,
            Placed::Kept => {}
        }
        let mut made = core::mem::take(&mut self.made);
        let mut within = true;
        let completes = import.is_complete() && !import.delivered;
        if let Some(tag) = checkpoint {
            if completes || import.is_undecided() {
                import.owe(tag);
            } else if import.is_crowded(tag, room) {
                self.counters.unanswered += 1;
            } else {
                within = import.answer(session, tag, segment.end(), mtu, &limits, &mut made);
            }
        }
        if completes {
            let data = import.deliver();
            self.events.push_back(Event::Block { session, data });
        }
        self.held = self.held - before + import.held();
        self.queue_reports(now, session, &mut made);
        self.made = made;
        if !within {
            self.abort(now, session, CancelReason::RetransmissionLimit);
        }
        Ok(())
    }

    /// The driver answers for the block of [`Event::Block`]: only now does a report say that all of it is here, upon which the peer may
    /// forget it. False when no block of this session waits for that.
    pub fn accept(&mut self, now: Instant, session: SessionId) -> bool {
        let mtu = self.path.mtu;
        let Some(import) = self.imports.get_mut(&session).filter(|import| import.is_undecided()) else {
            return false;
        };
        let mut made = core::mem::take(&mut self.made);
        let before = import.held();
        let within = import.accept(session, mtu, &self.config.limits, &mut made);
        self.held = self.held - before + import.held();
        self.queue_reports(now, session, &mut made);
        self.made = made;
        if !within {
            self.abort(now, session, CancelReason::RetransmissionLimit);
        }
        true
    }

    /// The driver cannot take the block of [`Event::Block`]: its session is cancelled, so that the peer keeps it. False when no block of
    /// this session waits for that.
    pub fn refuse(&mut self, now: Instant, session: SessionId) -> bool {
        let waits = self.imports.get(&session).is_some_and(Import::is_undecided);
        if waits {
            self.abort(now, session, CancelReason::System);
        }
        waits
    }

    fn queue_reports(&mut self, now: Instant, session: SessionId, made: &mut Vec<u64>) {
        for serial in made.drain(..) {
            if !self.push(Control::Report(session, serial)) {
                self.arm(now, Timer::Report(session, serial));
            }
        }
    }

    fn on_green(&mut self, now: Instant, session: SessionId, segment: &DataSegment<'_>) {
        let Some(import) = self.imports.get_mut(&session) else { return };
        if import.contradicts_green(segment.offset) {
            return self.abort(now, session, CancelReason::Miscolored);
        }
        import.note_green(segment);
        let (offset, last, data) = (segment.offset, segment.last, segment.data.to_vec());
        self.events.push_back(Event::Green { session, offset, last, data });
        self.close_if_done(session);
    }

    /// Data of a session that is over: what asks for a report gets an answer, and nothing else happens.
    fn on_late_data(&mut self, session: SessionId, segment: &DataSegment<'_>) {
        self.counters.late += 1;
        let Color::Red { checkpoint: Some(tag), .. } = segment.color else { return };
        let Some(closed) = self.closed.get_mut(&session) else { return };
        let serial = closed.next_serial;
        let answer = match closed.red {
            Some(red) => {
                closed.next_serial += 1;
                Control::LateReport(session, tag.serial, serial, red)
            }
            None => Control::LateCancel(session),
        };
        self.push(answer);
    }

    pub(super) fn put_report(&mut self, now: Instant, session: SessionId, serial: u64) -> Option<Vec<u8>> {
        let report = self.imports.get_mut(&session)?.reports.get_mut(&serial)?;
        report.sent += 1;
        let mut out = Vec::with_capacity(self.path.mtu.min(64 + report.claims.len() * 10));
        put_report_segment(&mut out, session, (serial, report.checkpoint), report.scope, &report.claims);
        self.counters.reports += 1;
        self.arm(now, Timer::Report(session, serial));
        Some(out)
    }

    pub(super) fn put_late_report(
        &self,
        session: SessionId,
        checkpoint: u64,
        serial: u64,
        red: u64,
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        put_report_segment(&mut out, session, (serial, checkpoint), (0, red), &[(0, red)]);
        out
    }

    pub(super) fn on_report_acknowledged(&mut self, session: SessionId, serial: u64) {
        let Some(import) = self.imports.get_mut(&session) else {
            self.counters.late += 1;
            return;
        };
        self.held -= import.held();
        import.forget_report(serial);
        self.held += import.held();
        self.timers.disarm(Timer::Report(session, serial));
        self.close_if_done(session);
    }

    pub(super) fn on_report_timeout(&mut self, now: Instant, session: SessionId, serial: u64) {
        let Some(import) = self.imports.get_mut(&session) else { return };
        let Some(report) = import.reports.get(&serial) else { return };
        self.counters.report_timeouts += 1;
        let spent = report.sent > self.config.limits.retransmissions;
        if !spent {
            if !self.push(Control::Report(session, serial)) {
                self.arm(now, Timer::Report(session, serial));
            }
        } else if import.is_undecided() {
            // The driver's word brings a report that says more.
            self.held -= import.held();
            import.forget_report(serial);
            self.held += import.held();
        } else if import.accepted {
            // The block is here. Should the peer still ask, the memory of closed sessions answers.
            self.close(session);
        } else {
            self.abort(now, session, CancelReason::RetransmissionLimit);
        }
    }

    pub(super) fn on_idle(&mut self, now: Instant, session: SessionId) {
        let Some(import) = self.imports.get(&session) else { return };
        if import.accepted || import.is_green() {
            self.close(session);
        } else {
            self.abort(now, session, CancelReason::System);
        }
    }

    pub(super) fn on_cancel_by_sender(&mut self, _now: Instant, session: SessionId, reason: CancelReason) {
        // §6.17: acknowledged also when the session is closed, or was never open.
        self.push(Control::CancelAcknowledgement(session));
        self.on_cancel_acknowledged(session);
        let told = self.imports.get(&session).is_some_and(|import| !import.delivered);
        if !self.closed.contains_key(&session) {
            self.close(session);
        }
        if told {
            self.events.push_back(Event::ReceptionCancelled { session, reason });
        }
    }

    /// Gives a session of the peer's up, and tells both the peer and the driver (§6.19).
    fn abort(&mut self, now: Instant, session: SessionId, reason: CancelReason) {
        let import = self.imports.get(&session);
        let (delivered, accepted) =
            import.map_or((false, false), |import| (import.delivered, import.accepted));
        self.close(session);
        if accepted {
            // The driver answers for the block: what went wrong later is not its loss.
            return;
        }
        self.announce_cancel(now, session, reason);
        if delivered {
            // The peer keeps a block that the driver has too: better twice than not at all.
            return;
        }
        self.events.push_back(Event::ReceptionCancelled { session, reason });
    }

    fn close_if_done(&mut self, session: SessionId) {
        if self.imports.get(&session).is_some_and(Import::is_done) {
            self.close(session);
        }
    }

    /// Closes a session of the peer's and remembers it (§6.20).
    fn close(&mut self, session: SessionId) {
        let import = self.imports.remove(&session);
        self.held -= import.as_ref().map_or(0, Import::held);
        self.timers.disarm(Timer::Idle(session));
        self.timers.disarm_reports(session);
        let limit = self.config.limits.closed;
        if limit == 0 {
            return;
        }
        if self.closed_order.len() >= limit
            && let Some(oldest) = self.closed_order.pop_front()
        {
            self.closed.remove(&oldest);
        }
        let red = import.as_ref().filter(|import| import.accepted).and_then(Import::red);
        let next_serial = import.map_or(1, |import| import.next_serial());
        self.closed.insert(session, Closed { red, next_serial });
        self.closed_order.push_back(session);
    }
}
