//! [`Mailbox`]: what reader threads tell the session, bounded.

use super::clock;
use crate::sim::Entrance;
use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Frames of one interface that may wait; more are dropped and counted, as a network does.
const MAX_WAITING: usize = 2048;
/// Their bytes, likewise.
const MAX_WAITING_BYTES: usize = 4 << 20;
/// The longest frame of an interface that has no limit of its own: a datagram.
const LONGEST: usize = 65_535;

/// A frame as an interface heard it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The interface's number.
    pub interface: u32,
    /// Its number among the interface's frames, from 1; those that were dropped have one too.
    pub sequence: u64,
    /// When it came, by the monotonic clock.
    pub wall: Instant,
    /// The same, nanoseconds since 1970.
    pub unix_ns: u64,
    /// How strongly it was heard, dBm, where the interface says.
    pub rssi_dbm: Option<i16>,
    /// Over the noise, quarters of a dB, where the interface says.
    pub snr_quarter_db: Option<i16>,
    /// How it enters the simulation.
    pub entrance: Entrance,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    sequence: u64,
    waiting: usize,
    waiting_bytes: usize,
    longest: usize,
    dropped: u64,
    too_long: u64,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<Incoming>,
    lanes: Vec<Lane>,
    steps: u64,
    ended: bool,
}

/// What reader threads tell the session.
#[derive(Debug, Default)]
pub struct Mailbox {
    state: Mutex<State>,
    changed: Condvar,
}

/// What is new since the last look.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) frames: Vec<Incoming>,
    /// Steps that were asked for so far.
    pub(super) steps: u64,
    pub(super) ended: bool,
}

impl Mailbox {
    /// For so many interfaces.
    #[must_use]
    pub fn new(interfaces: usize) -> Self {
        let state = State {
            lanes: vec![Lane { longest: LONGEST, ..Lane::default() }; interfaces],
            ..State::default()
        };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Frames of an interface that are longer than this are refused.
    pub fn limit(&self, interface: u32, longest: usize) {
        if let Some(lane) = self.lock().lanes.get_mut(interface as usize) {
            lane.longest = longest;
        }
    }

    /// A frame came in by an interface: numbered and stamped with the machine's time. Says whether there was room.
    pub fn post(
        &self,
        interface: u32,
        bytes: Vec<u8>,
        rssi_dbm: Option<i16>,
        snr_quarter_db: Option<i16>,
    ) -> bool {
        self.enter(interface, bytes, Entrance::Air, (rssi_dbm, snr_quarter_db))
    }

    /// The same, with the way it enters.
    pub fn enter(
        &self,
        interface: u32,
        bytes: Vec<u8>,
        entrance: Entrance,
        (rssi_dbm, snr_quarter_db): (Option<i16>, Option<i16>),
    ) -> bool {
        let mut state = self.lock();
        // Within the lock: who comes first has the earlier stamp.
        let (wall, unix_ns) = (clock::now(), clock::unix_ns());
        let Some(lane) = state.lanes.get_mut(interface as usize) else { return false };
        lane.sequence += 1;
        if bytes.len() > lane.longest {
            lane.too_long += 1;
            return false;
        }
        if lane.waiting >= MAX_WAITING || lane.waiting_bytes + bytes.len() > MAX_WAITING_BYTES {
            lane.dropped += 1;
            return false;
        }
        lane.waiting += 1;
        lane.waiting_bytes += bytes.len();
        let sequence = lane.sequence;
        state.frames.push_back(Incoming {
            interface,
            sequence,
            wall,
            unix_ns,
            rssi_dbm,
            snr_quarter_db,
            entrance,
            bytes,
        });
        self.changed.notify_one();
        true
    }

    /// Asks a stepped clock for so many steps.
    pub fn step(&self, steps: u64) {
        let mut state = self.lock();
        state.steps = state.steps.saturating_add(steps);
        drop(state);
        self.changed.notify_one();
    }

    /// Asks the session to end.
    pub fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_one();
    }

    /// Frames that were dropped for want of room, of an interface.
    #[must_use]
    pub fn dropped(&self, interface: u32) -> u64 {
        self.lock().lanes.get(interface as usize).map_or(0, |lane| lane.dropped)
    }

    /// Frames that were longer than the interface's frames may be.
    #[must_use]
    pub fn too_long(&self, interface: u32) -> u64 {
        self.lock().lanes.get(interface as usize).map_or(0, |lane| lane.too_long)
    }

    /// What there is, at once.
    pub(super) fn look(&self) -> News {
        Self::take(&mut self.lock())
    }

    /// Waits until there is a frame, the end, or more steps than `steps`, or until `deadline`.
    pub(super) fn wait(&self, deadline: Instant, steps: u64) {
        let state = self.lock();
        let span = deadline.saturating_duration_since(clock::now());
        if span > Duration::ZERO {
            let idle = |state: &mut State| state.frames.is_empty() && !state.ended && state.steps <= steps;
            let waited = self.changed.wait_timeout_while(state, span, idle);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
    }

    fn take(state: &mut State) -> News {
        let frames: Vec<Incoming> = state.frames.drain(..).collect();
        for frame in &frames {
            let lane = &mut state.lanes[frame.interface as usize];
            lane.waiting -= 1;
            lane.waiting_bytes -= frame.bytes.len();
        }
        News { frames, steps: state.steps, ended: state.ended }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_on_one_interface_is_dropped_and_leaves_the_others_their_room() {
        let mailbox = Mailbox::new(2);
        for _ in 0..MAX_WAITING + 5 {
            mailbox.post(0, vec![1], None, None);
        }
        assert!(mailbox.post(1, vec![2], None, None));
        assert!(!mailbox.post(7, vec![2], None, None), "no such interface");
        assert_eq!((mailbox.dropped(0), mailbox.dropped(1)), (5, 0));
        let news = mailbox.look();
        assert_eq!(news.frames.len(), MAX_WAITING + 1);
        assert!(mailbox.post(0, vec![3], None, None), "room again");
        assert_eq!(mailbox.look().frames[0].sequence, MAX_WAITING as u64 + 6);
    }

    #[test]
    fn long_frames_fill_the_bytes_there_are_and_those_above_the_limit_take_no_room() {
        let mailbox = Mailbox::new(2);
        mailbox.limit(1, 512);
        assert!(!mailbox.post(1, vec![0; 513], None, None) && mailbox.post(1, vec![0; 512], None, None));
        let posted = (0..200).filter(|_| mailbox.post(0, vec![0; LONGEST], None, None)).count();
        assert_eq!(posted, MAX_WAITING_BYTES / LONGEST);
        assert_eq!((mailbox.too_long(1), mailbox.dropped(0)), (1, 200 - posted as u64));
        mailbox.look();
        assert!(mailbox.post(0, vec![0; LONGEST], None, None), "room again");
    }
}
