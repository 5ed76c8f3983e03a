//! The engine's timers, and how they stand still while the link is down (RFC 5326 §6.5, §6.6).

use super::segment::SessionId;
use crate::time::Instant;
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

/// What the engine waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// When the report that a checkpoint asks for should be here: session number and checkpoint serial number.
    Checkpoint(u64, u64),
    /// When the acknowledgement of a report should be here.
    Report(SessionId, u64),
    /// When the acknowledgement of a cancellation should be here.
    Cancel(SessionId),
    /// When a session of ours that waits for reports nobody asked for again has waited long enough.
    Stalled(u64),
    /// When a session of the peer's has been silent for too long.
    Idle(SessionId),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Armed {
    at: Instant,
    /// When the peer is to answer; `None` for a span of silence.
    reply: Option<Instant>,
}

/// Armed timers, at most one deadline for each.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers {
    pub(super) order: BTreeSet<(Instant, Timer)>,
    pub(super) armed: BTreeMap<Timer, Armed>,
}

impl Timers {
    /// Sets `timer` to `at`. `reply`: when the answer that it waits for leaves the peer.
    pub(super) fn arm(&mut self, timer: Timer, at: Instant, reply: Option<Instant>) {
        self.disarm(timer);
        self.armed.insert(timer, Armed { at, reply });
        self.order.insert((at, timer));
    }

    pub(super) fn disarm(&mut self, timer: Timer) {
        if let Some(armed) = self.armed.remove(&timer) {
            self.order.remove(&(armed.at, timer));
        }
    }

    /// Forgets the timers of the reports of a session.
    pub(super) fn disarm_reports(&mut self, session: SessionId) {
        let all = Timer::Report(session, 0)..=Timer::Report(session, u64::MAX);
        while let Some((&timer, _)) = self.armed.range(all.clone()).next() {
            self.disarm(timer);
        }
    }

    /// Forgets the timers of the checkpoints of a session.
    pub(super) fn disarm_checkpoints(&mut self, number: u64) {
        let all = Timer::Checkpoint(number, 0)..=Timer::Checkpoint(number, u64::MAX);
        while let Some((&timer, _)) = self.armed.range(all.clone()).next() {
            self.disarm(timer);
        }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        let (at, timer) = *self.order.first()?;
        if at > now {
            return None;
        }
        self.disarm(timer);
        Some(timer)
    }

    /// The link was down in `[down, up)`: an answer due in that time leaves at `up`, a span of silence grows by it, and what
    /// was answered before is in flight and unchanged. O(n).
    pub(super) fn resume(&mut self, down: Instant, up: Instant) {
        let held: Vec<(Timer, Armed)> = self.armed.iter().map(|(timer, armed)| (*timer, *armed)).collect();
        for (timer, armed) in held {
            let from = armed.reply.unwrap_or(down);
            if from >= down && from < up {
                let at = armed.at.saturating_add(up.saturating_since(from));
                self.arm(timer, at, armed.reply.map(|_| up));
            }
        }
    }
}
