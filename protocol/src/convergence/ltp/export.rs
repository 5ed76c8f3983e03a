//! A session of ours: a block on its way out (RFC 5326 §8.1).

use super::{
    config::Limits,
    ranges::Ranges,
    sdnv,
    segment::{CheckpointTag, Color, Content, DataSegment, Extensions, Segment, SessionId, header_len},
};
use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    vec::Vec,
};

/// Part of the red data that is to be sent again.
#[derive(Clone, Copy, Debug)]
struct Job {
    from: u64,
    to: u64,
    /// Its last segment is this checkpoint.
    tag: Option<CheckpointTag>,
}

/// A checkpoint that waits for its report.
#[derive(Clone, Copy, Debug)]
struct Pending {
    from: u64,
    to: u64,
    report: u64,
    /// How often it was sent.
    sent: u32,
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reported {
    /// It was here before, or tells of what was never sent.
    Nothing,
    /// The peer has all red data, and says so in one report.
    Complete,
    /// Several reports together claim all red data: one that does alone is asked for.
    Unproven,
    /// Something is to be sent again.
    Again,
    /// Nothing is missing in its scope.
    Covered,
    /// Too many reports had gaps.
    Spent,
}

/// Room that red data leaves for a checkpoint's fields: sent again, it may become one, and should still fit in one segment.
const TAG_LEN: usize = 4;

#[derive(Clone, Debug)]
pub(super) struct Export {
    pub(super) token: u64,
    block: Vec<u8>,
    red: u64,
    service: u64,
    /// How much was sent for the first time.
    next: u64,
    jobs: VecDeque<Job>,
    claimed: Ranges,
    checkpoints: BTreeMap<u64, Pending>,
    /// Serial numbers of the reports that were here.
    reports: BTreeSet<u64>,
    /// One of them whose scope starts where the block does.
    from_start: Option<u64>,
    next_serial: u64,
    cycles: u32,
    /// Whether it stands in the engine's queue of what is to be sent again.
    pub(super) queued: bool,
    pub(super) delivered: bool,
}

impl Export {
    pub(super) fn new(block: Vec<u8>, red: usize, service: u64, token: u64, first_serial: u64) -> Self {
        Self {
            token,
            block,
            red: red as u64,
            service,
            next: 0,
            jobs: VecDeque::new(),
            claimed: Ranges::default(),
            checkpoints: BTreeMap::new(),
            reports: BTreeSet::new(),
            from_start: None,
            next_serial: first_serial,
            cycles: 0,
            queued: false,
            delivered: red == 0,
        }
    }

    const fn len(&self) -> u64 {
        self.block.len() as u64
    }

    /// Whether something of it was never sent.
    pub(super) const fn is_fresh(&self) -> bool {
        self.next < self.len()
    }

    /// Whether something is to be sent again.
    pub(super) fn has_jobs(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// Whether it waits for a report that nothing of ours asks for.
    pub(super) fn is_stalled(&self) -> bool {
        !self.delivered && !self.is_fresh() && self.jobs.is_empty() && self.checkpoints.is_empty()
    }

    /// The next segment of what is to be sent again, and the serial number of the checkpoint in it.
    pub(super) fn put_again(&mut self, session: SessionId, mtu: usize) -> Option<(Vec<u8>, Option<u64>)> {
        let job = *self.jobs.front()?;
        let to = self.cut(session, mtu, job.from, job.to, job.tag)?;
        let tag = job.tag.filter(|_| to == job.to);
        if to == job.to {
            self.jobs.pop_front();
        } else if let Some(job) = self.jobs.front_mut() {
            job.from = to;
        }
        Some(self.put(session, mtu, job.from, to, tag))
    }

    /// The next segment of what was never sent, and the serial number of the checkpoint in it.
    pub(super) fn put_fresh(&mut self, session: SessionId, mtu: usize) -> Option<(Vec<u8>, Option<u64>)> {
        let from = self.next;
        if from >= self.red {
            let to = self.cut(session, mtu, from, self.len(), None)?;
            self.next = to;
            return Some(self.put(session, mtu, from, to, None));
        }
        let tag = CheckpointTag { serial: self.next_serial, report: 0 };
        let to = self.cut(session, mtu, from, self.red, Some(tag))?;
        let ends = to == self.red;
        self.next = to;
        self.next_serial += u64::from(ends);
        Some(self.put(session, mtu, from, to, ends.then_some(tag)))
    }

    /// How many bytes of data a segment at `from` holds; `None` when it is not even one.
    fn room(&self, session: SessionId, mtu: usize, from: u64, tag: Option<CheckpointTag>) -> Option<u64> {
        let tag = match tag {
            Some(tag) => sdnv::len(tag.serial) + sdnv::len(tag.report),
            None if from < self.red => TAG_LEN,
            None => 0,
        };
        let fixed =
            header_len(session) + sdnv::len(self.service) + sdnv::len(from) + sdnv::len(mtu as u64) + tag;
        mtu.checked_sub(fixed).filter(|room| *room > 0).map(|room| room as u64)
    }

    /// Where the segment that starts at `from` ends. The one that ends at `to` has room for the checkpoint's fields.
    fn cut(
        &self,
        session: SessionId,
        mtu: usize,
        from: u64,
        to: u64,
        tag: Option<CheckpointTag>,
    ) -> Option<u64> {
        let left = to - from;
        if left <= self.room(session, mtu, from, tag)? {
            return Some(to);
        }
        Some(from + self.room(session, mtu, from, None)?.min(left - 1))
    }

    fn put(
        &mut self,
        session: SessionId,
        mtu: usize,
        from: u64,
        to: u64,
        tag: Option<CheckpointTag>,
    ) -> (Vec<u8>, Option<u64>) {
        if let Some(tag) = tag {
            let pending = Pending { from, to, report: tag.report, sent: 0 };
            let pending = self.checkpoints.entry(tag.serial).or_insert(pending);
            pending.sent += 1;
            pending.from = from;
        }
        let color = if to <= self.red {
            // §3.1.1: the end of the red part is a checkpoint.
            Color::Red { checkpoint: tag, last_red: to == self.red && tag.is_some() }
        } else {
            Color::Green
        };
        let data = DataSegment {
            client_service: self.service,
            offset: from,
            color,
            last: to == self.len(),
            data: &self.block[from as usize..to as usize],
        };
        let none = Extensions::default();
        let segment = Segment { session, header: none, content: Content::Data(data), trailer: none };
        let mut out = Vec::with_capacity(mtu.min(data.data.len() + 64));
        segment.put(&mut out);
        (out, tag.map(|tag| tag.serial))
    }

    /// The timer of a checkpoint ran out; false when it was sent as often as is allowed (§6.7).
    pub(super) fn ask_again(&mut self, serial: u64, limit: u32) -> bool {
        let Some(pending) = self.checkpoints.get(&serial) else { return true };
        if pending.sent > limit {
            return false;
        }
        let tag = CheckpointTag { serial, report: pending.report };
        self.jobs.push_back(Job { from: pending.from, to: pending.to, tag: Some(tag) });
        true
    }

    /// Takes a report (§6.13).
    ///
    /// The block is with the peer when one report alone says so. Claims of several may be of different incarnations of a peer that lost
    /// its memory in between, and then no one of them ever had all of it.
    pub(super) fn report(
        &mut self,
        serial: u64,
        checkpoint: u64,
        (lower, upper): (u64, u64),
        claims: impl Iterator<Item = (u64, u64)>,
        limits: &Limits,
    ) -> Reported {
        if upper > self.next.min(self.red) || !self.reports.insert(serial) {
            return Reported::Nothing;
        }
        if self.reports.len() > limits.reports {
            return Reported::Spent;
        }
        if self.checkpoints.remove(&checkpoint).is_some() {
            // Its repetition, if one waits to be sent, is needless.
            self.jobs.retain(|job| job.tag.is_none_or(|tag| tag.serial != checkpoint));
        }
        // A report says all of its scope: a peer that lost its memory since the one before does not have what that one claimed.
        self.claimed.remove(lower, upper);
        for (from, to) in claims {
            self.claimed.insert(from, to);
        }
        if lower == 0 {
            self.from_start = Some(serial);
        }
        if self.claimed.covers(0, self.red) {
            self.jobs.clear();
            self.checkpoints.clear();
            // Within its scope, what is claimed is this report's alone.
            return if lower == 0 && upper == self.red {
                Reported::Complete
            } else {
                self.ask_for_all(limits)
            };
        }
        let gaps: Vec<(u64, u64)> = self.claimed.gaps(lower, upper).collect();
        let Some(last) = gaps.len().checked_sub(1) else { return Reported::Covered };
        self.cycles += 1;
        if self.cycles > limits.cycles {
            return Reported::Spent;
        }
        let tag = CheckpointTag { serial: self.next_serial, report: serial };
        self.next_serial += 1;
        for (index, (from, to)) in gaps.into_iter().enumerate() {
            self.jobs.push_back(Job { from, to, tag: (index == last).then_some(tag) });
        }
        Reported::Again
    }

    /// Asks for a report on all red data: in answer to a checkpoint that names a report from the block's start, its scope starts there
    /// too (§6.11). An incarnation of the peer that did not make that report does not know it, and cancels.
    fn ask_for_all(&mut self, limits: &Limits) -> Reported {
        self.cycles += 1;
        let Some(report) = self.from_start.filter(|_| self.cycles <= limits.cycles) else {
            return Reported::Spent;
        };
        let tag = CheckpointTag { serial: self.next_serial, report };
        self.next_serial += 1;
        self.jobs.push_back(Job { from: self.red - 1, to: self.red, tag: Some(tag) });
        Reported::Unproven
    }
}
