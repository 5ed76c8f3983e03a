//! A session of the peer's: a block that is coming in (RFC 5326 §8.2).

use super::{
    config::Limits,
    sdnv,
    segment::{CheckpointTag, DataSegment, SessionId, header_len},
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

/// Reports that wait for their acknowledgement. A checkpoint beyond them gets none; the sender asks again.
const MAX_WAITING: usize = 16;
/// What a claim in a report that waits takes, in bytes.
const CLAIM_BYTES: usize = 16;

/// A report that waits for its acknowledgement. It is the same each time that it is sent (§6.8).
#[derive(Clone, Debug)]
pub(super) struct Report {
    pub(super) checkpoint: u64,
    pub(super) scope: (u64, u64),
    pub(super) claims: Vec<(u64, u64)>,
    pub(super) sent: u32,
}

/// What became of red data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// Kept.
    Kept,
    /// Here already.
    Duplicate,
    /// No room.
    Overflow,
}

#[derive(Clone, Debug)]
pub(super) struct Import {
    /// The block up to the first gap.
    prefix: Vec<u8>,
    /// What is behind gaps, by offset.
    early: BTreeMap<u64, Vec<u8>>,
    /// Bytes in both.
    held: usize,
    /// Bytes that the claims of waiting reports take.
    claimed: usize,
    /// Where the red part ends, once known.
    red: Option<u64>,
    /// Whether the end of the block was here.
    pub(super) ended: bool,
    /// Whether the driver has the block.
    pub(super) delivered: bool,
    /// Whether the driver answers for it.
    pub(super) accepted: bool,
    /// The last checkpoint that waits for the driver's word.
    owed: u64,
    /// Offset of the last red segment, and of the first green one (§6.21).
    red_from: Option<u64>,
    green_from: Option<u64>,
    /// Checkpoints that were reported on.
    checkpoints: BTreeSet<u64>,
    /// Where the scope of each report starts.
    scopes: BTreeMap<u64, u64>,
    pub(super) reports: BTreeMap<u64, Report>,
    /// Where the scope of the last primary report ends.
    reported: u64,
    next_serial: u64,
}

impl Import {
    pub(super) const fn new(first_serial: u64) -> Self {
        Self {
            prefix: Vec::new(),
            early: BTreeMap::new(),
            held: 0,
            claimed: 0,
            red: None,
            ended: false,
            delivered: false,
            accepted: false,
            owed: 0,
            red_from: None,
            green_from: None,
            checkpoints: BTreeSet::new(),
            scopes: BTreeMap::new(),
            reports: BTreeMap::new(),
            reported: 0,
            next_serial: first_serial,
        }
    }

    /// Bytes that it holds, of data and of reports.
    pub(super) const fn held(&self) -> usize {
        self.held + self.claimed
    }

    /// Whether a report that answers `tag` has to wait for the acknowledgement of others. `room`: bytes that are free.
    pub(super) fn is_crowded(&self, tag: CheckpointTag, room: usize) -> bool {
        let full = self.reports.len() >= MAX_WAITING || (room == 0 && !self.reports.is_empty());
        full && !self.checkpoints.contains(&tag.serial)
    }

    /// A report need not be repeated any more.
    pub(super) fn forget_report(&mut self, serial: u64) {
        if let Some(report) = self.reports.remove(&serial) {
            self.claimed -= report.claims.len() * CLAIM_BYTES;
        }
    }

    /// Where the red part ends, once known.
    pub(super) const fn red(&self) -> Option<u64> {
        self.red
    }

    pub(super) const fn next_serial(&self) -> u64 {
        self.next_serial
    }

    /// Whether no red data was here: silence is then all that can end it.
    pub(super) const fn is_green(&self) -> bool {
        self.red_from.is_none()
    }

    /// Whether nothing more is awaited: all red data, all acknowledgements, the end of the block.
    pub(super) fn is_done(&self) -> bool {
        self.accepted && self.ended && self.reports.is_empty()
    }

    /// Whether the driver has the block and has not yet said whether it answers for it.
    pub(super) const fn is_undecided(&self) -> bool {
        self.delivered && !self.accepted
    }

    /// Remembers a checkpoint until the driver has decided.
    pub(super) const fn owe(&mut self, tag: CheckpointTag) {
        self.owed = tag.serial;
    }

    /// The driver answers for the block: makes the report on all red data that was held back. False: too many.
    pub(super) fn accept(
        &mut self,
        session: SessionId,
        mtu: usize,
        limits: &Limits,
        made: &mut Vec<u64>,
    ) -> bool {
        self.accepted = true;
        // One is enough for all that asked, and it stops the sender when nothing asked.
        self.report(session, self.owed, (0, self.red.unwrap_or(0)), mtu, limits, made)
    }

    /// Whether the red part is whole.
    pub(super) fn is_complete(&self) -> bool {
        self.delivered || self.red.is_some_and(|red| self.prefix.len() as u64 >= red)
    }

    /// Whether red data that ends at `end` contradicts what is known (§6.21).
    pub(super) fn contradicts_red(&self, end: u64, last_red: bool) -> bool {
        let behind = self.green_from.is_some_and(|green| end > green);
        let ended = self.red.is_some_and(|red| end > red || (last_red && end != red));
        let passed = last_red && self.top() > end;
        behind || ended || passed
    }

    /// Whether green data at `offset` contradicts what is known (§6.21).
    pub(super) fn contradicts_green(&self, offset: u64) -> bool {
        self.red_from.is_some_and(|red| offset <= red) || self.red.is_some_and(|red| offset < red)
    }

    pub(super) fn note_green(&mut self, segment: &DataSegment<'_>) {
        self.green_from = Some(self.green_from.map_or(segment.offset, |from| from.min(segment.offset)));
        self.ended |= segment.last;
    }

    /// Keeps red data. O(log pieces), and memory for no more than the data. `room`: how many bytes may be added.
    pub(super) fn place(
        &mut self,
        segment: &DataSegment<'_>,
        last_red: bool,
        room: usize,
        limits: &Limits,
    ) -> Placed {
        let (offset, data) = (segment.offset, segment.data);
        if self.delivered {
            return Placed::Duplicate;
        }
        let here = self.prefix.len() as u64;
        if data.len() > room || (offset > here && self.early.len() >= limits.pieces) {
            return Placed::Overflow;
        }
        if last_red {
            self.red = Some(segment.end());
            self.ended |= segment.last;
        }
        self.red_from = Some(self.red_from.map_or(offset, |from| from.max(offset)));
        if segment.end() <= here || self.early.get(&offset).is_some_and(|early| early.len() >= data.len()) {
            return Placed::Duplicate;
        }
        if offset > here {
            self.held += data.len();
            let replaced = self.early.insert(offset, data.to_vec());
            self.held -= replaced.map_or(0, |early| early.len());
        } else {
            let fresh = &data[(here - offset) as usize..];
            self.held += fresh.len();
            self.prefix.extend_from_slice(fresh);
            self.absorb();
        }
        Placed::Kept
    }

    /// Moves what the prefix has reached out of `early`.
    fn absorb(&mut self) {
        while let Some(entry) = self.early.first_entry() {
            let here = self.prefix.len() as u64;
            if *entry.key() > here {
                return;
            }
            let (offset, data) = entry.remove_entry();
            let known = ((here - offset) as usize).min(data.len());
            self.held -= known;
            self.prefix.extend_from_slice(&data[known..]);
        }
    }

    /// Where the last piece ends.
    fn top(&self) -> u64 {
        let early = self.early.last_key_value().map_or(0, |(offset, data)| offset + data.len() as u64);
        early.max(self.prefix.len() as u64)
    }

    /// Hands the red part over.
    pub(super) fn deliver(&mut self) -> Vec<u8> {
        self.delivered = true;
        self.held = 0;
        self.early.clear();
        let mut data = core::mem::take(&mut self.prefix);
        data.truncate(self.red.unwrap_or(0) as usize);
        data
    }

    /// What of `[lower, upper)` is here, as claims by rising offset with gaps between them.
    fn claims(&self, lower: u64, upper: u64) -> Vec<(u64, u64)> {
        let mut claims: Vec<(u64, u64)> = Vec::new();
        let prefix = if self.delivered { self.red.unwrap_or(0) } else { self.prefix.len() as u64 };
        let early = self.early.iter().map(|(offset, data)| (*offset, offset + data.len() as u64));
        for (from, to) in [(0, prefix)].into_iter().chain(early) {
            let (from, to) = (from.max(lower), to.min(upper));
            if from >= to {
                continue;
            }
            match claims.last_mut() {
                Some(last) if last.1 >= from => last.1 = last.1.max(to),
                _ => claims.push((from, to)),
            }
        }
        claims
    }

    /// Whether a checkpoint answers a report that was never made here: it is of an earlier incarnation, and what that had is gone.
    pub(super) fn is_foreign(&self, tag: CheckpointTag) -> bool {
        tag.report != 0 && !self.scopes.contains_key(&tag.report)
    }

    /// Makes the reports that a checkpoint asks for (§6.11), and adds their serial numbers to `made`. False: too many.
    pub(super) fn answer(
        &mut self,
        session: SessionId,
        tag: CheckpointTag,
        upper: u64,
        mtu: usize,
        limits: &Limits,
        made: &mut Vec<u64>,
    ) -> bool {
        if !self.checkpoints.insert(tag.serial) {
            // Asked again: what waits for its acknowledgement is sent again at once.
            let waiting = self.reports.iter().filter(|(_, report)| report.checkpoint == tag.serial);
            made.extend(waiting.map(|(serial, _)| *serial));
            return true;
        }
        if self.checkpoints.len() > limits.reports {
            return false;
        }
        if self.accepted {
            // Whatever it asks about: all of it is here.
            return self.report(session, tag.serial, (0, self.red.unwrap_or(0)), mtu, limits, made);
        }
        let lower = match tag.report {
            0 => self.reported,
            report => self.scopes.get(&report).copied().unwrap_or(0),
        };
        if lower >= upper {
            // §6.11: overtaken by a later checkpoint, whose report tells more.
            return true;
        }
        if tag.report == 0 {
            self.reported = upper;
        }
        self.report(session, tag.serial, (lower, upper), mtu, limits, made)
    }

    /// Makes reports on `scope`, each with as many claims as a segment holds. False: too many.
    pub(super) fn report(
        &mut self,
        session: SessionId,
        checkpoint: u64,
        (lower, upper): (u64, u64),
        mtu: usize,
        limits: &Limits,
        made: &mut Vec<u64>,
    ) -> bool {
        let claims = self.claims(lower, upper);
        let (mut from, mut rest) = (lower, &claims[..]);
        loop {
            let fixed = header_len(session)
                + [self.next_serial, checkpoint, upper, from].map(sdnv::len).iter().sum::<usize>()
                + sdnv::len(rest.len() as u64);
            let mut room = mtu.saturating_sub(fixed);
            let fits = rest
                .iter()
                .take_while(|claim| {
                    let size = sdnv::len(claim.0 - from) + sdnv::len(claim.1 - claim.0);
                    let fits = size <= room;
                    room = room.saturating_sub(size);
                    fits
                })
                .count()
                .max(1);
            let (now, later) = rest.split_at(fits.min(rest.len()));
            let to = if later.is_empty() { upper } else { now.last().map_or(upper, |claim| claim.1) };
            if self.scopes.len() >= limits.reports {
                return false;
            }
            let serial = self.next_serial;
            self.next_serial += 1;
            self.scopes.insert(serial, from);
            self.claimed += now.len() * CLAIM_BYTES;
            self.reports
                .insert(serial, Report { checkpoint, scope: (from, to), claims: now.to_vec(), sent: 0 });
            made.push(serial);
            if later.is_empty() {
                return true;
            }
            (from, rest) = (to, later);
        }
    }
}
