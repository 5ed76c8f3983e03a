//! The engine of one link: sessions of both ends, timers, what is to be sent.

mod receiving;
mod sending;

use super::{
    config::{Config, Counters, Event, LinkPath, Windows},
    error::{CancelReason, SegmentError},
    export::Export,
    import::Import,
    segment::{Content, Extensions, Segment, SessionId},
    timers::{Timer, Timers},
};
use crate::time::Instant;
use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};
use core::time::Duration;

/// A short segment that waits for the link: these go before data.
#[derive(Clone, Copy, Debug)]
enum Control {
    Report(SessionId, u64),
    /// On a session that is closed: checkpoint, serial number, end of the red part.
    LateReport(SessionId, u64, u64, u64),
    ReportAcknowledgement(SessionId, u64),
    Cancel(SessionId),
    LateCancel(SessionId),
    CancelAcknowledgement(SessionId),
}

/// A session that is cancelled from here, until the peer says that it knows.
#[derive(Clone, Copy, Debug)]
struct Cancelling {
    reason: CancelReason,
    sent: u32,
}

/// What is remembered of a closed session of the peer's.
#[derive(Clone, Copy, Debug)]
struct Closed {
    /// Where its red part ended; `None` when it was cancelled.
    red: Option<u64>,
    next_serial: u64,
}

/// One end of a link that speaks LTP.
///
/// Sans-IO: segments and time go in; segments, events and a deadline come out. Every operation is O(log n) in what it holds,
/// and O(its bytes). A driver calls `handle_segment` or `handle_timeout`, drains [`Engine::poll_event`], and asks
/// [`Engine::poll_segment`] when the link is free.
#[derive(Clone, Debug)]
pub struct Engine {
    config: Config,
    path: LinkPath,
    /// Since when the link has been down; `None` while it is up.
    down: Option<Instant>,
    windows: Windows,
    next_session: u64,
    exports: BTreeMap<u64, Export>,
    tokens: BTreeMap<u64, u64>,
    imports: BTreeMap<SessionId, Import>,
    cancelling: BTreeMap<SessionId, Cancelling>,
    closed: BTreeMap<SessionId, Closed>,
    closed_order: VecDeque<SessionId>,
    /// Bytes that the imports hold.
    held: usize,
    control: VecDeque<Control>,
    again: VecDeque<u64>,
    fresh: VecDeque<u64>,
    timers: Timers,
    events: VecDeque<Event>,
    counters: Counters,
    /// Reused for the serial numbers of reports just made.
    made: Vec<u64>,
}

impl Engine {
    /// An engine without sessions, whose link is down at `now`.
    #[must_use]
    pub const fn new(config: Config, now: Instant) -> Self {
        Self {
            config,
            path: LinkPath { mtu: 0, light_time: Duration::ZERO, margin: Duration::ZERO },
            down: Some(now),
            windows: Vec::new(),
            // RFC 5326 §3.1.2: numbers start at random and are not used again. 32 bits keep them short.
            next_session: (mix(config.seed) >> 32) | 1,
            exports: BTreeMap::new(),
            tokens: BTreeMap::new(),
            imports: BTreeMap::new(),
            cancelling: BTreeMap::new(),
            closed: BTreeMap::new(),
            closed_order: VecDeque::new(),
            held: 0,
            control: VecDeque::new(),
            again: VecDeque::new(),
            fresh: VecDeque::new(),
            timers: Timers { order: alloc::collections::BTreeSet::new(), armed: BTreeMap::new() },
            events: VecDeque::new(),
            counters: Counters {
                data_sent: 0,
                data_again: 0,
                checkpoint_timeouts: 0,
                report_timeouts: 0,
                reports: 0,
                late: 0,
                duplicates: 0,
                overflows: 0,
                unanswered: 0,
            },
            made: Vec::new(),
        }
    }

    /// The link is up, or what is true of it changed. Timers that stood still go on (RFC 5326 §6.6).
    pub fn link_up(&mut self, now: Instant, path: LinkPath) {
        self.path = path;
        if let Some(down) = self.down.take() {
            self.timers.resume(down, now);
        }
    }

    /// The link is down, in both directions: nothing is sent, and timers stand still (§6.5). Sessions stay.
    ///
    /// What is in flight may still come in.
    pub fn link_down(&mut self, now: Instant) {
        self.down.get_or_insert(now);
    }

    /// Whether the link is up.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.down.is_none()
    }

    /// When the peer can send, by start, not overlapping: an answer that it could not send at once is awaited for longer.
    /// Empty: always.
    pub fn set_windows(&mut self, windows: Windows) {
        self.windows = windows;
    }

    /// Takes a segment that came at `now`.
    ///
    /// # Errors
    /// [`SegmentError`]: the segment was dropped, and nothing changed.
    pub fn handle_segment(&mut self, now: Instant, bytes: &[u8]) -> Result<(), SegmentError> {
        let segment = Segment::parse(bytes)?;
        let session = segment.session;
        let ours = session.originator == self.config.engine;
        let of_sender = match segment.content {
            Content::Data(_)
            | Content::ReportAcknowledgement(_)
            | Content::CancelBySender(_)
            | Content::CancelAcknowledgementToReceiver => true,
            Content::Report(_) | Content::CancelByReceiver(_) | Content::CancelAcknowledgementToSender => {
                false
            }
        };
        let stranger = !ours && self.config.peer.is_some_and(|peer| peer != session.originator);
        if of_sender == ours || stranger {
            return Err(SegmentError::Stranger { originator: session.originator });
        }
        match segment.content {
            Content::Data(data) => self.on_data(now, session, &data)?,
            Content::Report(report) => self.on_report(now, session, &report),
            Content::ReportAcknowledgement(serial) => self.on_report_acknowledged(session, serial),
            Content::CancelBySender(reason) => self.on_cancel_by_sender(now, session, reason),
            Content::CancelByReceiver(reason) => self.on_cancel_by_receiver(now, session, reason),
            Content::CancelAcknowledgementToSender | Content::CancelAcknowledgementToReceiver => {
                self.on_cancel_acknowledged(session);
            }
        }
        Ok(())
    }

    /// The next segment for the link, which is free at `now`; `None` when nothing is due or the link is down.
    ///
    /// A timer of what it makes starts at `now` (§6.2, §6.3, §6.15).
    pub fn poll_segment(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.down.is_some() {
            return None;
        }
        while let Some(control) = self.control.pop_front() {
            if let Some(segment) = self.put_control(now, control) {
                return Some(segment);
            }
        }
        self.poll_data(now)
    }

    /// The next event, until `None`.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Engine::handle_timeout`] is due; `None` while the link is down.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.down.is_some() { None } else { self.timers.next() }
    }

    /// Fires the timers that are due at `now`. Early, or while the link is down, it does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.down.is_some() {
            return;
        }
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Checkpoint(number, serial) => self.on_checkpoint_timeout(now, number, serial),
                Timer::Report(session, serial) => self.on_report_timeout(now, session, serial),
                Timer::Cancel(session) => self.on_cancel_timeout(now, session),
                Timer::Stalled(number) => self.give_up(now, number, CancelReason::RetransmissionLimit),
                Timer::Idle(session) => self.on_idle(now, session),
            }
        }
    }

    /// What was counted.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Open sessions: ours, and the peer's.
    #[must_use]
    pub fn sessions(&self) -> (usize, usize) {
        (self.exports.len(), self.imports.len())
    }

    /// Bytes received and not yet handed over.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.held
    }

    /// Short segments that wait for the link.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.control.len()
    }

    /// Whether [`Engine::poll_segment`] has something, as far as is known without making it.
    #[must_use]
    pub fn has_segment(&self) -> bool {
        self.down.is_none() && !(self.control.is_empty() && self.again.is_empty() && self.fresh.is_empty())
    }

    /// When an answer to what leaves at `now` can leave the peer, and when it should be here.
    fn answer_due(&self, now: Instant) -> (Instant, Instant) {
        let there = now.saturating_add(self.path.light_time);
        let next = self.windows.partition_point(|(_, end)| *end <= there);
        let reply = self.windows.get(next).map_or(there, |(start, _)| there.max(*start));
        (reply, reply.saturating_add(self.path.light_time).saturating_add(self.path.margin))
    }

    fn arm(&mut self, now: Instant, timer: Timer) {
        let (reply, at) = self.answer_due(now);
        self.timers.arm(timer, at, Some(reply));
    }

    /// False when too many wait.
    fn push(&mut self, control: Control) -> bool {
        if self.control.len() >= self.config.limits.control {
            self.counters.unanswered += 1;
            return false;
        }
        self.control.push_back(control);
        true
    }

    fn put_control(&mut self, now: Instant, control: Control) -> Option<Vec<u8>> {
        let ours = |session: SessionId| session.originator == self.config.engine;
        let (session, content) = match control {
            Control::Report(session, serial) => return self.put_report(now, session, serial),
            Control::LateReport(session, checkpoint, serial, red) => {
                return Some(self.put_late_report(session, checkpoint, serial, red));
            }
            Control::ReportAcknowledgement(session, serial) => {
                (session, Content::ReportAcknowledgement(serial))
            }
            Control::Cancel(session) => {
                let cancelling = self.cancelling.get_mut(&session)?;
                cancelling.sent += 1;
                let reason = cancelling.reason;
                self.arm(now, Timer::Cancel(session));
                (session, self.cancellation(session, reason))
            }
            Control::LateCancel(session) => (session, self.cancellation(session, CancelReason::System)),
            Control::CancelAcknowledgement(session) if ours(session) => {
                (session, Content::CancelAcknowledgementToReceiver)
            }
            Control::CancelAcknowledgement(session) => (session, Content::CancelAcknowledgementToSender),
        };
        let none = Extensions::default();
        let mut out = Vec::with_capacity(32);
        Segment { session, header: none, content, trailer: none }.put(&mut out);
        Some(out)
    }

    fn cancellation(&self, session: SessionId, reason: CancelReason) -> Content<'static> {
        if session.originator == self.config.engine {
            Content::CancelBySender(reason)
        } else {
            Content::CancelByReceiver(reason)
        }
    }

    /// Tells the peer that a session is over, until it says that it knows (§6.19).
    fn announce_cancel(&mut self, now: Instant, session: SessionId, reason: CancelReason) {
        let limits = &self.config.limits;
        if self.cancelling.len() >= limits.sessions_in + limits.sessions_out {
            self.counters.unanswered += 1;
            return;
        }
        self.cancelling.insert(session, Cancelling { reason, sent: 0 });
        if !self.push(Control::Cancel(session)) {
            self.arm(now, Timer::Cancel(session));
        }
    }

    fn on_cancel_timeout(&mut self, now: Instant, session: SessionId) {
        let Some(cancelling) = self.cancelling.get(&session) else { return };
        if cancelling.sent > self.config.limits.retransmissions {
            self.cancelling.remove(&session);
        } else if !self.push(Control::Cancel(session)) {
            self.arm(now, Timer::Cancel(session));
        }
    }

    fn on_cancel_acknowledged(&mut self, session: SessionId) {
        if self.cancelling.remove(&session).is_some() {
            self.timers.disarm(Timer::Cancel(session));
        }
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014) after its increment.
const fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// RFC 5326 §3.2.1, §3.2.2: serial numbers start at random, at least 1. Two bytes hold the first and those that follow it.
const fn first_serial(seed: u64, session: u64) -> u64 {
    (mix(seed ^ session) & 0x0fff) + 1
}
