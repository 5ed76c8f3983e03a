//! Deadlines of a session (RFC 9174 §4.1, §5.1.1, §6).

use super::{
    super::{
        codes::TerminationReason,
        error::{Closure, FailureReason},
        message::Message,
    },
    Session, State,
};
use crate::time::Instant;

/// What is due at a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// When the session is still not established.
    Contact,
    /// When an ending session has still not ended.
    Ending,
    /// When the peer acknowledged nothing for too long.
    Acknowledgement,
    /// When the peer sent nothing for two keepalive intervals.
    Silence,
    /// When the session did nothing but keep itself alive for too long.
    Idle,
    /// When we sent nothing for a keepalive interval.
    Keepalive,
}

impl Session {
    /// When [`Session::handle_timeout`] is to be called; `None` when never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines().into_iter().flatten().map(|(at, _)| at).min()
    }

    /// Does what is due at `now`. An early call does nothing. A driver that is late gives the bytes that have come before it calls this.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.tick(now);
        for (at, timer) in self.deadlines().into_iter().flatten() {
            if at <= self.now && self.state != State::Closed {
                self.on_timer(timer);
            }
        }
        self.heed();
    }

    fn deadlines(&self) -> [Option<(Instant, Timer)>; 4] {
        let config = &self.config;
        let keepalive = self.negotiated.as_ref().and_then(|negotiated| negotiated.keepalive);
        let contact = Some((self.since.saturating_add(config.contact_timeout), Timer::Contact));
        let ending = Some((self.since.saturating_add(config.ending_timeout), Timer::Ending));
        // Bytes that we do not take are no silence, and acknowledgements may be among them.
        let listens = !self.deaf && !self.held && self.wants_bytes();
        let acknowledgement = self
            .transmission
            .deadline(config.acknowledgement_timeout)
            .filter(|_| listens)
            .map(|at| (at, Timer::Acknowledgement));
        let alive = keepalive.map(|every| (self.last_sent.saturating_add(every), Timer::Keepalive));
        match self.state {
            State::Contact | State::Tls | State::Init => [contact, None, None, None],
            State::Established => {
                let silence = keepalive
                    .filter(|_| listens)
                    .map(|every| (self.last_received.saturating_add(every * 2), Timer::Silence));
                let is_idle = self.transmission.is_idle() && self.reception.is_idle();
                let idle = config
                    .idle_shutdown
                    .filter(|_| is_idle)
                    .map(|after| (self.last_active.saturating_add(after), Timer::Idle));
                [acknowledgement, silence, idle, alive]
            }
            State::Ending => [ending, acknowledgement, alive, None],
            State::Closed => [None; 4],
        }
    }

    fn on_timer(&mut self, timer: Timer) {
        match timer {
            // §4.1: a peer that did not say who it is gets no SESS_TERM.
            Timer::Contact if self.state != State::Init => self.close(Closure::ContactTimeout),
            Timer::Contact => self.abort(TerminationReason::CONTACT_FAILURE, Closure::ContactTimeout),
            Timer::Ending => self.close(Closure::EndingTimeout),
            Timer::Acknowledgement => {
                if self.state != State::Ending {
                    let reason = TerminationReason::UNKNOWN;
                    Message::SessTerm { flags: 0, reason }.encode(&mut self.control);
                }
                let closure = Closure::Aborted(TerminationReason::UNKNOWN);
                self.close_failing(closure, FailureReason::NotAcknowledged);
            }
            Timer::Silence | Timer::Idle => {
                if self.state == State::Established {
                    self.begin_ending(TerminationReason::IDLE_TIMEOUT, false);
                }
            }
            Timer::Keepalive => {
                // One that waits for the socket says as much as two.
                if self.control.is_empty() {
                    Message::Keepalive.encode(&mut self.control);
                }
                self.last_sent = self.now;
            }
        }
    }
}
