//! [`ReplayWindow`]: which numbers of a sender have been used.

use alloc::{boxed::Box, collections::BTreeMap, vec};

use super::header::{Header, Purpose};
use crate::id::NodeId;

/// The limits of a [`ReplayWindow`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayLimits {
    /// How many numbers, from the highest one downwards, are told apart at least (up to 127 more are). Older ones are
    /// refused. At most [`ReplayLimits::MAX_WIDTH`].
    pub width: u32,
    /// How far above the highest number the next one may be (from -1 at first). Bounds the harm of a sender that jumps.
    pub max_jump: u64,
    /// How many senders are remembered. An envelope of another is refused when that many are known.
    pub max_senders: usize,
}

impl ReplayLimits {
    /// The widest window: 65,536 numbers, 8 KiB for each purpose of a sender.
    pub const MAX_WIDTH: u32 = 1 << 16;

    pub(super) const fn words(&self) -> usize {
        let width = if self.width > Self::MAX_WIDTH { Self::MAX_WIDTH } else { self.width };
        // The window moves by whole words, so the highest one may hold a single number: one more makes up for it.
        width.div_ceil(64) as usize + 1
    }
}

impl Default for ReplayLimits {
    fn default() -> Self {
        Self { width: 1024, max_jump: 1 << 32, max_senders: 4096 }
    }
}

/// Why a number is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// The number has been used.
    #[error("sequence {sequence} has been used")]
    Replayed {
        /// The number.
        sequence: u64,
    },
    /// The number is below the window, where used and unused are not told apart.
    #[error("sequence {sequence} is older than the window, which starts at {lowest}")]
    TooOld {
        /// The number.
        sequence: u64,
        /// The lowest number that the window still judges.
        lowest: u64,
    },
    /// The number is too far above the highest one.
    #[error("sequence {sequence} is too far ahead, at most {highest} is allowed")]
    TooFarAhead {
        /// The number.
        sequence: u64,
        /// The highest number allowed now.
        highest: u64,
    },
    /// The sender has started afresh since.
    #[error("incarnation {found} has ended, {current} is running")]
    OldIncarnation {
        /// The envelope's incarnation.
        found: u32,
        /// The newest incarnation known.
        current: u32,
    },
    /// No more senders can be remembered.
    #[error("{max} senders are remembered already")]
    Full {
        /// The limit.
        max: usize,
    },
}

impl ReplayError {
    /// A stable word for counters and traces.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Replayed { .. } => "replayed",
            Self::TooOld { .. } => "sequence_too_old",
            Self::TooFarAhead { .. } => "sequence_too_far",
            Self::OldIncarnation { .. } => "old_incarnation",
            Self::Full { .. } => "replay_window_full",
        }
    }
}

/// One purpose's sliding window: bit `sequence % width` says whether that number has been used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) highest: u64,
    pub(super) used: Box<[u64]>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sender {
    pub(super) incarnation: u32,
    pub(super) streams: BTreeMap<Purpose, Stream>,
}

/// The numbers that have been used, by sender and purpose, for each sender's newest incarnation.
///
/// [`ReplayWindow::check`] asks; [`ReplayWindow::commit`] uses a number up and is for envelopes whose signature holds. A
/// greater incarnation forgets the sender's numbers, a smaller one is refused. Both cost O(log senders), and a commit
/// that moves the window O(width / 64) at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayWindow {
    pub(super) limits: ReplayLimits,
    pub(super) senders: BTreeMap<NodeId, Sender>,
}

impl ReplayWindow {
    /// A window that has seen nothing.
    #[must_use]
    pub const fn new(limits: ReplayLimits) -> Self {
        Self { limits, senders: BTreeMap::new() }
    }

    /// Asks whether the number of `header` is new. Changes nothing.
    ///
    /// # Errors
    /// When the number is used, too old or too far ahead, its incarnation has ended, or the sender finds no room.
    pub fn check(&self, header: &Header) -> Result<(), ReplayError> {
        let Some(sender) = self.senders.get(&header.sender) else {
            let max = self.limits.max_senders;
            return if self.senders.len() < max {
                self.check_jump(header.sequence, None)
            } else {
                Err(ReplayError::Full { max })
            };
        };
        let (found, current) = (header.incarnation, sender.incarnation);
        if found < current {
            return Err(ReplayError::OldIncarnation { found, current });
        }
        match sender.streams.get(&header.purpose).filter(|_| found == current) {
            Some(stream) if header.sequence <= stream.highest => stream.check_used(header.sequence),
            stream => self.check_jump(header.sequence, stream.map(|stream| stream.highest)),
        }
    }

    fn check_jump(&self, sequence: u64, highest: Option<u64>) -> Result<(), ReplayError> {
        let next = highest.map_or(0, |highest| highest.saturating_add(1));
        let highest = next.saturating_add(self.limits.max_jump.saturating_sub(1));
        if sequence > highest { Err(ReplayError::TooFarAhead { sequence, highest }) } else { Ok(()) }
    }

    /// Uses the number of `header` up. Only for an envelope whose signature holds.
    ///
    /// # Errors
    /// As [`ReplayWindow::check`]; then nothing changes.
    pub fn commit(&mut self, header: &Header) -> Result<(), ReplayError> {
        self.check(header)?;
        let words = self.limits.words();
        let sender = self.senders.entry(header.sender).or_default();
        if header.incarnation > sender.incarnation {
            *sender = Sender { incarnation: header.incarnation, ..Sender::default() };
        }
        let first = || Stream { highest: header.sequence, used: vec![0; words].into_boxed_slice() };
        sender.streams.entry(header.purpose).or_insert_with(first).set_used(header.sequence);
        Ok(())
    }

    /// Forgets the numbers of a sender: none of its keys that used them counts any more.
    pub fn forget(&mut self, sender: NodeId) {
        self.senders.remove(&sender);
    }

    /// The newest incarnation known of `sender`.
    #[must_use]
    pub fn incarnation(&self, sender: NodeId) -> Option<u32> {
        self.senders.get(&sender).map(|sender| sender.incarnation)
    }
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self::new(ReplayLimits::default())
    }
}

impl Stream {
    const fn width(&self) -> u64 {
        self.used.len() as u64 * 64
    }

    fn place(&self, sequence: u64) -> (usize, u64) {
        let bit = sequence % self.width();
        ((bit / 64) as usize, 1 << (bit % 64))
    }

    fn check_used(&self, sequence: u64) -> Result<(), ReplayError> {
        let lowest = (self.highest - (self.highest % 64)).saturating_sub(self.width() - 64);
        if sequence < lowest {
            return Err(ReplayError::TooOld { sequence, lowest });
        }
        let (word, mask) = self.place(sequence);
        if self.used[word] & mask == 0 { Ok(()) } else { Err(ReplayError::Replayed { sequence }) }
    }

    fn set_used(&mut self, sequence: u64) {
        if sequence > self.highest {
            // Words are cleared whole when the window's front enters them (RFC 6479), so it moves by 64 numbers at a time.
            let (from, to) = (self.highest / 64, sequence / 64);
            let words = self.used.len() as u64;
            for word in (from + 1)..=(to.min(from + words)) {
                self.used[(word % words) as usize] = 0;
            }
            self.highest = sequence;
        }
        let (word, mask) = self.place(sequence);
        self.used[word] |= mask;
    }
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
