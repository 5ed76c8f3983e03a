//! [`Reassembler`]: the frames of one peer back into bundles.

use alloc::{borrow::Cow, collections::BTreeMap, vec::Vec};
use core::time::Duration;

use super::frame::{CHECKSUM_LEN, Frame, FrameError, PartHeader, checksum};
use crate::time::Instant;

/// What a peer may occupy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReassemblyLimits {
    /// How many transfers may be under way. For one more, the oldest one is evicted.
    pub transfers: usize,
    /// How many bytes all of them may take. For more, the oldest ones are evicted; a transfer that takes more by itself is
    /// refused.
    pub bytes: usize,
    /// How long a transfer may go without a new part.
    pub timeout: Duration,
}

impl Default for ReassemblyLimits {
    fn default() -> Self {
        Self { transfers: 8, bytes: 1 << 20, timeout: Duration::from_secs(120) }
    }
}

/// What a frame led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted<'a> {
    /// A bundle is complete: the frame's own bytes when it holds the whole.
    Bundle(Cow<'a, [u8]>),
    /// A bundle without its payload, of which there are so many bytes.
    Counted(&'a [u8], u32),
    /// The part is kept; so many are missing.
    Partial {
        /// Parts that are missing.
        missing: u16,
    },
    /// The part was there already.
    Duplicate,
}

/// What became of frames and transfers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bundles completed.
    pub completed: u64,
    /// Parts that were there already.
    pub duplicates: u64,
    /// Frames refused.
    pub refused: u64,
    /// Transfers dropped to make room.
    pub evicted: u64,
    /// Transfers dropped because no part came for too long.
    pub expired: u64,
    /// Transfers dropped because a new one took their number.
    pub superseded: u64,
    /// Transfers dropped because the checksum did not hold.
    pub corrupt: u64,
}

/// A transfer takes memory for what has come, whatever its parts say of those to come.
#[derive(Clone, Debug)]
struct Transfer {
    last: u16,
    /// Bytes in every part but the last; unknown as long as only the last one has come.
    part_len: Option<usize>,
    /// The parts up to the first that is missing.
    prefix: Vec<u8>,
    /// How many these are.
    next: u16,
    /// Those behind it.
    early: BTreeMap<u16, Vec<u8>>,
    /// Bytes in both.
    held: usize,
    /// When the newest part came.
    touched: Instant,
    /// The order in which transfers started.
    started: u64,
}

/// The transfers under way from one peer. Memory is bounded by [`ReassemblyLimits`]; a frame costs O(transfers + its length).
#[derive(Clone, Debug)]
pub struct Reassembler {
    limits: ReassemblyLimits,
    transfers: BTreeMap<u16, Transfer>,
    bytes: usize,
    started: u64,
    counters: Counters,
}

impl Reassembler {
    /// A reassembler without transfers.
    #[must_use]
    pub const fn new(limits: ReassemblyLimits) -> Self {
        let counters = Counters {
            completed: 0,
            duplicates: 0,
            refused: 0,
            evicted: 0,
            expired: 0,
            superseded: 0,
            corrupt: 0,
        };
        Self { limits, transfers: BTreeMap::new(), bytes: 0, started: 0, counters }
    }

    /// Takes a frame that came at `now`.
    ///
    /// # Errors
    /// When the frame is malformed, contradicts its transfer, is of a transfer that is too large, or completes one whose
    /// checksum does not hold, which is dropped.
    pub fn accept<'a>(&mut self, now: Instant, frame: &'a [u8]) -> Result<Accepted<'a>, FrameError> {
        self.expire(now);
        let result = match Frame::parse(frame) {
            Ok(Frame::Whole(bundle)) => Ok(Accepted::Bundle(Cow::Borrowed(bundle))),
            Ok(Frame::Counted(bundle, absent)) => Ok(Accepted::Counted(bundle, absent)),
            Ok(Frame::Part(header, data)) => self.accept_part(now, header, data),
            Err(error) => Err(error),
        };
        match &result {
            Ok(Accepted::Bundle(_) | Accepted::Counted(..)) => self.counters.completed += 1,
            Ok(Accepted::Duplicate) => self.counters.duplicates += 1,
            Ok(Accepted::Partial { .. }) => {}
            Err(_) => self.counters.refused += 1,
        }
        result
    }

    /// Drops the transfers that have waited too long by `now`.
    pub fn expire(&mut self, now: Instant) {
        let before = self.transfers.len();
        let timeout = self.limits.timeout;
        self.transfers.retain(|_, transfer| now < transfer.touched.saturating_add(timeout));
        self.counters.expired += (before - self.transfers.len()) as u64;
        if self.transfers.len() < before {
            self.bytes = self.transfers.values().map(Transfer::cost).sum();
        }
    }

    /// When [`Reassembler::expire`] has something to do next.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.transfers.values().map(|transfer| transfer.touched.saturating_add(self.limits.timeout)).min()
    }

    /// What became of frames and transfers so far.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How many transfers are under way.
    #[must_use]
    pub fn transfers(&self) -> usize {
        self.transfers.len()
    }

    /// The bytes that the transfers under way take.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    fn accept_part(
        &mut self,
        now: Instant,
        header: PartHeader,
        data: &[u8],
    ) -> Result<Accepted<'static>, FrameError> {
        let PartHeader { transfer: number, last, .. } = header;
        let mut transfer = match self.take(number) {
            Some(transfer) if transfer.last == last => transfer,
            other => {
                // The peer has used the number again: the older transfer will not go on.
                self.counters.superseded += u64::from(other.is_some());
                self.started += 1;
                Transfer::new(last, self.started)
            }
        };
        let is_new = transfer.held == 0;
        let result = transfer.put(header, data, self.limits.bytes);
        if matches!(result, Ok(true)) {
            transfer.touched = now;
        }
        if transfer.missing() == 0 {
            let complete = transfer.finish(number);
            self.counters.corrupt += u64::from(complete.is_err());
            return complete.map(|bundle| Accepted::Bundle(bundle.into()));
        }
        let missing = transfer.missing();
        if result.is_ok() || !is_new {
            self.make_room(transfer.cost());
            self.bytes += transfer.cost();
            self.transfers.insert(number, transfer);
        }
        result.map(|kept| if kept { Accepted::Partial { missing } } else { Accepted::Duplicate })
    }

    fn take(&mut self, number: u16) -> Option<Transfer> {
        let transfer = self.transfers.remove(&number)?;
        self.bytes -= transfer.cost();
        Some(transfer)
    }

    fn make_room(&mut self, cost: usize) {
        while self.transfers.len() >= self.limits.transfers.max(1) || self.bytes + cost > self.limits.bytes {
            let oldest =
                self.transfers.iter().min_by_key(|(_, transfer)| transfer.started).map(|(number, _)| *number);
            let Some(oldest) = oldest else { return };
            self.take(oldest);
            self.counters.evicted += 1;
        }
    }
}

impl Transfer {
    const fn new(last: u16, started: u64) -> Self {
        Self {
            last,
            part_len: None,
            prefix: Vec::new(),
            next: 0,
            early: BTreeMap::new(),
            held: 0,
            touched: Instant::ZERO,
            started,
        }
    }

    const fn cost(&self) -> usize {
        self.held
    }

    fn missing(&self) -> u16 {
        self.last + 1 - self.next - self.early.len() as u16
    }

    /// Keeps a part; `false` when it is there already.
    fn put(
        &mut self,
        PartHeader { index, last, .. }: PartHeader,
        part: &[u8],
        max: usize,
    ) -> Result<bool, FrameError> {
        if index < self.next || self.early.contains_key(&index) {
            return Ok(false);
        }
        let full = if index == last { self.part_len } else { Some(self.part_len.unwrap_or(part.len())) };
        let tail_len = if index == last { part.len() } else { self.early.get(&last).map_or(0, Vec::len) };
        if let Some(expected) = full {
            let fits = if index == last { part.len() <= expected } else { part.len() == expected };
            if !fits || tail_len > expected {
                return Err(FrameError::Length { found: part.len(), expected });
            }
        }
        let room = full.unwrap_or(part.len()).saturating_mul(usize::from(last) + 1);
        if room > max {
            return Err(FrameError::TooLarge { found: room, max });
        }
        if index != last {
            self.part_len = Some(part.len());
        }
        self.held += part.len();
        if index == self.next {
            self.prefix.extend_from_slice(part);
            self.next += 1;
            self.absorb();
        } else {
            self.early.insert(index, part.to_vec());
        }
        Ok(true)
    }

    /// Moves what the prefix has reached out of `early`.
    fn absorb(&mut self) {
        while let Some(part) = self.early.remove(&self.next) {
            self.prefix.extend_from_slice(&part);
            self.next += 1;
        }
    }

    /// The bundle, when its checksum holds. All parts are there.
    fn finish(self, number: u16) -> Result<Vec<u8>, FrameError> {
        let mut bundle = self.prefix;
        let refused = FrameError::Checksum { transfer: number };
        let (content, found) = bundle.split_last_chunk::<CHECKSUM_LEN>().ok_or(refused)?;
        if content.is_empty() || checksum(number, self.last, content) != *found {
            return Err(refused);
        }
        let length = content.len();
        bundle.truncate(length);
        Ok(bundle)
    }
}
