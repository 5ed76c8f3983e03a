//! [`Replay`]: the outside of a session that was logged. Time is free.

use super::{
    door::Door,
    journal::{Entry, JournalError, JournalReader, LoggedEnd, LoggedFrame, Tail},
};
use crate::{
    sim::{Arrival, Departure, Grant, Outside},
    units::SimTime,
};
use std::collections::VecDeque;

/// Frames that are read ahead.
const AHEAD: usize = 4096;

/// What a replay found, beside the trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Frames of the log that went in.
    pub frames_in: u64,
    /// Frames that went out, and were the log's.
    pub frames_out: u64,
    /// The first frame that went out and was not what the log has: its interface and number there.
    pub different: Option<(u32, u64)>,
    /// Frames of the log that did not go out.
    pub missing: u64,
    /// Frames that went out and are not in the log. A log that was cut may lack some.
    pub extra: u64,
    /// How the live session ended; none when the log was cut.
    pub end: Option<LoggedEnd>,
    /// How the log ends.
    pub tail: Tail,
}

/// The outside of a session that was logged.
pub struct Replay {
    reader: JournalReader,
    door: Door,
    /// Up to where the log is known to be whole.
    granted: SimTime,
    end: Option<LoggedEnd>,
    failure: Option<JournalError>,
    exhausted: bool,
    /// Frames that the live session sent, and this one has yet to.
    expected: VecDeque<LoggedFrame>,
    /// Frames that this one sent before they were read in the log.
    early: VecDeque<(u32, SimTime, Vec<u8>)>,
    sent: Vec<u64>,
    frames_in: u64,
    frames_out: u64,
    different: Option<(u32, u64)>,
}

impl Replay {
    /// Of the log behind `reader`, which has read its header.
    #[must_use]
    pub fn new(reader: JournalReader, door: Door, interfaces: usize) -> Self {
        Self {
            reader,
            door,
            granted: SimTime::ZERO,
            end: None,
            failure: None,
            exhausted: false,
            expected: VecDeque::new(),
            early: VecDeque::new(),
            sent: vec![0; interfaces],
            frames_in: 0,
            frames_out: 0,
            different: None,
        }
    }

    /// Reads the rest of the log, which the kernel did not need, and says what was found.
    ///
    /// # Errors
    /// [`JournalError`] when the log is damaged.
    pub fn finish(mut self) -> Result<Replayed, JournalError> {
        let mut unused = Vec::new();
        while !self.exhausted {
            self.read_one(&mut unused);
            unused.clear();
        }
        match self.failure {
            Some(error) => Err(error),
            None => Ok(Replayed {
                frames_in: self.frames_in,
                frames_out: self.frames_out,
                different: self.different,
                missing: self.expected.len() as u64,
                extra: self.early.len() as u64,
                end: self.end,
                tail: self.reader.tail().unwrap_or(Tail::Whole),
            }),
        }
    }

    /// Reads on until the kernel has something to do: frames that come in go to `arrivals`, and a grant follows each batch of them.
    fn read(&mut self, arrivals: &mut Vec<Arrival>) {
        let before = self.granted;
        let enough = |replay: &Self, arrivals: &[Arrival]| {
            replay.granted > before && (arrivals.len() >= AHEAD || replay.expected.len() >= AHEAD)
        };
        while !self.exhausted && !enough(self, arrivals) {
            self.read_one(arrivals);
        }
    }

    fn read_one(&mut self, arrivals: &mut Vec<Arrival>) {
        match self.reader.next_entry() {
            // The kernel has done what is before the last grant, and knows no time after the last one.
            Ok(Some(Entry::In(frame))) if frame.time < self.granted || frame.time >= SimTime::MAX => {
                self.fail(self.reader.damaged("its stamp is not after what had happened"));
            }
            // A stamp alone grants nothing: the live session may have ended before it.
            Ok(Some(Entry::In(frame))) => {
                self.frames_in += 1;
                self.door.enter(frame, arrivals);
            }
            Ok(Some(Entry::Out(frame))) => {
                self.expected.push_back(frame);
                self.compare();
            }
            Ok(Some(Entry::Granted(time))) => self.granted = self.granted.max(time),
            Ok(Some(Entry::End(end))) => {
                self.end = Some(end);
                self.exhausted = true;
                // To know how the log ends.
                self.failure = self.reader.next_entry().err();
            }
            Ok(None) => self.exhausted = true,
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: JournalError) {
        self.failure = Some(error);
        self.exhausted = true;
    }

    fn compare(&mut self) {
        while let (Some((interface, time, bytes)), Some(logged)) = (self.early.front(), self.expected.front())
        {
            let same = (*interface, *time, bytes) == (logged.interface, logged.time, &logged.bytes);
            if !same && self.different.is_none() {
                self.different = Some((logged.interface, logged.sequence));
            }
            self.frames_out += u64::from(same);
            self.early.pop_front();
            self.expected.pop_front();
        }
    }
}

impl Outside for Replay {
    fn grant(&mut self, _next: SimTime, arrivals: &mut Vec<Arrival>) -> Grant {
        let before = self.granted;
        self.read(arrivals);
        if self.exhausted && self.granted <= before && arrivals.is_empty() {
            return Grant::End(self.granted);
        }
        Grant::Until(self.granted)
    }

    fn depart(&mut self, departures: &mut Vec<Departure>) {
        for departure in departures.drain(..) {
            if let Some(bytes) = self.door.leave(&departure) {
                self.sent[departure.interface as usize] += 1;
                self.early.push_back((departure.interface, departure.time, bytes));
                self.compare();
            }
        }
    }
}
