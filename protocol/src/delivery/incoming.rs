//! The receiving end of a stream.

use super::{Acknowledgement, Forward, MAX_RANGES};
use crate::{envelope::Purpose, time::DtnTime};
use alloc::{collections::BTreeMap, vec::Vec};

/// A message as it comes out of its envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its number in the stream, from 1.
    pub sequence: u64,
    /// When its source sealed it, by the source's clock; [`DtnTime::UNKNOWN`] without one.
    pub created: DtnTime,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// No stream gets that far; one more can still be counted.
const MAX_SEQUENCE: u64 = 1 << 62;

/// How a message stands to the stream's state, before its signature is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not seen yet: worth a signature check.
    Fresh,
    /// Seen: the sender has not heard our acknowledgement.
    Duplicate,
    /// From an epoch that the sender has left.
    StaleEpoch,
    /// Further ahead than the gap buffer reaches. Not acknowledged, so it will come again.
    BeyondWindow,
}

/// The receiving end of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    epoch: u32,
    /// Every message up to this one is delivered or skipped.
    floor: u64,
    early: BTreeMap<u64, Message>,
    window: u64,
}

impl Incoming {
    /// A stream of which nothing was received, with a gap buffer of `window` messages.
    #[must_use]
    pub const fn new(window: u64) -> Self {
        Self { epoch: 0, floor: 0, early: BTreeMap::new(), window }
    }

    /// A stream as it was persisted.
    #[must_use]
    pub const fn restored(window: u64, epoch: u32, floor: u64) -> Self {
        Self { epoch, floor, early: BTreeMap::new(), window }
    }

    /// How message `sequence` of `epoch` stands. Changes nothing.
    #[must_use]
    pub fn standing(&self, epoch: u32, sequence: u64) -> Standing {
        if epoch < self.epoch {
            return Standing::StaleEpoch;
        }
        // A newer epoch starts from nothing.
        let floor = if epoch > self.epoch { 0 } else { self.floor };
        if sequence <= floor || epoch == self.epoch && self.early.contains_key(&sequence) {
            Standing::Duplicate
        } else if sequence - floor > self.window {
            Standing::BeyondWindow
        } else {
            Standing::Fresh
        }
    }

    /// Takes a verified message that is [`Standing::Fresh`]; the messages that are now due, in order, go to `due`.
    pub fn accept(&mut self, epoch: u32, message: Message, due: &mut Vec<Message>) {
        self.follow(epoch);
        if message.sequence == self.floor + 1 {
            self.floor = message.sequence;
            due.push(message);
            self.drain_early(due);
        } else {
            self.early.insert(message.sequence, message);
        }
    }

    /// Puts a message that was persisted beyond a gap back (on restart).
    pub fn restore_early(&mut self, message: Message) {
        if message.sequence > self.floor {
            self.early.insert(message.sequence, message);
        }
    }

    /// The sender gave up every message up to `forward.through` that we lack: those after it become due.
    ///
    /// Returns whether anything changed. However far ahead it is, a forward is believed: more than a window of messages may have been
    /// given up while the sender was out of reach, and a sender that lies harms only its own stream.
    pub fn forward(&mut self, forward: &Forward, due: &mut Vec<Message>) -> bool {
        let newer = forward.epoch > self.epoch;
        let floor = if newer { 0 } else { self.floor };
        let stale = forward.epoch < self.epoch || forward.through <= floor;
        if stale || forward.through > MAX_SEQUENCE {
            return false;
        }
        self.follow(forward.epoch);
        while let Some(entry) = self.early.first_entry() {
            if *entry.key() > forward.through {
                break;
            }
            due.push(entry.remove());
        }
        self.floor = forward.through;
        self.drain_early(due);
        true
    }

    /// What to tell the sender.
    #[must_use]
    pub fn acknowledgement(&self, purpose: Purpose) -> Acknowledgement {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for &sequence in self.early.keys() {
            let full = ranges.len() == MAX_RANGES;
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == sequence => *last = sequence,
                _ if full => break,
                _ => ranges.push((sequence, sequence)),
            }
        }
        Acknowledgement { purpose, epoch: self.epoch, through: self.floor, ranges }
    }

    /// Messages that wait beyond a gap, in order.
    pub fn early(&self) -> impl Iterator<Item = u64> + '_ {
        self.early.keys().copied()
    }

    /// The epoch that is being received.
    #[must_use]
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Every message up to this one is delivered or skipped.
    #[must_use]
    pub const fn floor(&self) -> u64 {
        self.floor
    }

    fn follow(&mut self, epoch: u32) {
        if epoch > self.epoch {
            *self = Self { epoch, ..Self::new(self.window) };
        }
    }

    fn drain_early(&mut self, due: &mut Vec<Message>) {
        while let Some(message) = self.early.remove(&(self.floor + 1)) {
            self.floor += 1;
            due.push(message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(sequence: u64) -> Message {
        Message { sequence, created: DtnTime(0), payload: Vec::new() }
    }

    #[test]
    fn a_forward_releases_what_waits_behind_a_gap() {
        let (mut stream, mut due) = (Incoming::new(8), Vec::new());
        stream.accept(1, message(3), &mut due);
        stream.accept(1, message(5), &mut due);
        assert!(due.is_empty());
        assert!(stream.forward(&Forward { purpose: Purpose::Event, epoch: 1, through: 2 }, &mut due));
        assert_eq!(due.iter().map(|m| m.sequence).collect::<Vec<_>>(), [3]);
        assert_eq!(stream.acknowledgement(Purpose::Event).ranges, [(5, 5)]);
    }

    #[test]
    fn a_forward_beyond_the_window_is_believed() {
        let mut stream = Incoming::new(8);
        let forward = Forward { purpose: Purpose::Event, epoch: 1, through: 100 };
        assert!(stream.forward(&forward, &mut Vec::new()));
        assert_eq!(stream.standing(1, 101), Standing::Fresh);
    }

    #[test]
    fn a_jump_to_the_last_number_does_not_move_the_floor() {
        let mut stream = Incoming::new(8);
        assert_eq!(stream.standing(1, u64::MAX), Standing::BeyondWindow);
        let forward = Forward { purpose: Purpose::Event, epoch: 1, through: u64::MAX };
        assert!(!stream.forward(&forward, &mut Vec::new()));
        assert_eq!(stream.standing(1, 1), Standing::Fresh);
    }

    #[test]
    fn a_new_epoch_starts_from_one_and_the_old_one_is_refused() {
        let (mut stream, mut due) = (Incoming::new(8), Vec::new());
        stream.accept(1, message(1), &mut due);
        assert_eq!(stream.standing(2, 1), Standing::Fresh);
        stream.accept(2, message(1), &mut due);
        assert_eq!(stream.standing(1, 2), Standing::StaleEpoch);
        assert_eq!(stream.standing(2, 1), Standing::Duplicate);
    }

    proptest! {
        #[test]
        fn any_order_of_arrival_delivers_each_message_once_and_in_order(
            order in Just((1..=24u64).collect::<Vec<_>>()).prop_shuffle(),
            repeats in proptest::collection::vec(0usize..24, 0..24),
        ) {
            let (mut stream, mut due) = (Incoming::new(24), Vec::new());
            let again = repeats.iter().map(|&index| order[index]);
            for sequence in order.iter().copied().chain(again) {
                if stream.standing(1, sequence) == Standing::Fresh {
                    stream.accept(1, message(sequence), &mut due);
                }
            }
            let delivered: Vec<u64> = due.iter().map(|m| m.sequence).collect();
            prop_assert_eq!(delivered, (1..=24).collect::<Vec<_>>());
        }
    }
}
