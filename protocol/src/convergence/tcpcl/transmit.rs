//! [`Transmission`]: our transfers, and the peer's answers to their segments (RFC 9174 §5.2).

use super::{
    codes::{TransferRefusal, XferFlags},
    config::Acknowledgements,
    error::{FailureReason, SendError},
    extension::put_transfer_length,
    message::{Message, XferSegment},
    session::{Output, TransferToken},
};
use crate::time::Instant;
use alloc::{collections::VecDeque, vec::Vec};
use core::time::Duration;

/// Refused transfers that are remembered, so that answers that crossed on the wire are told from strangers.
const MAX_RECENT: usize = 64;

/// What we send.
#[derive(Debug, Default)]
pub(super) struct Transmission {
    /// Bundles that wait for their turn.
    queue: VecDeque<(TransferToken, Vec<u8>)>,
    /// The bundle whose segments are being sent: the last one in `in_flight`.
    current: Option<Current>,
    /// Transfers that began and are not answered, oldest first.
    in_flight: VecDeque<InFlight>,
    /// Segments on their way, oldest first.
    segments: VecDeque<SentSegment>,
    /// Bytes in `queue` and `current`.
    bytes: usize,
    pub(super) next_transfer: u64,
    /// When the oldest segment on its way was sent, the last one was answered, or answers could be read again.
    progress: Instant,
    recent: VecDeque<u64>,
}

#[derive(Debug)]
struct Current {
    transfer: u64,
    bundle: Vec<u8>,
    sent: usize,
}

#[derive(Debug)]
struct InFlight {
    token: TransferToken,
    transfer: u64,
    acknowledged: u64,
}

#[derive(Debug)]
struct SentSegment {
    transfer: u64,
    flags: XferFlags,
    /// Bytes of the transfer up to this segment's end.
    until: u64,
}

/// What an answer of the peer means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// For a transfer that goes on, or that was refused before.
    Progress,
    /// It repeats an earlier one.
    Repeated,
    /// The transfer is over.
    Done(Output),
    /// No transfer has this ID.
    Unknown,
    /// It fits no segment of its transfer.
    Wrong,
}

/// Limits on segments.
#[derive(Clone, Copy, Debug)]
pub(super) struct SegmentLimits {
    pub(super) max_bytes: usize,
    pub(super) max_unacknowledged: usize,
}

impl Transmission {
    pub(super) fn enqueue(
        &mut self,
        token: TransferToken,
        bundle: Vec<u8>,
        max_queued: usize,
        max_bytes: usize,
    ) -> Result<(), SendError> {
        let bundles = self.queue.len() + self.in_flight.len();
        if bundles >= max_queued || self.bytes.saturating_add(bundle.len()) > max_bytes {
            return Err(SendError::QueueFull { bundles, bytes: self.bytes });
        }
        self.bytes += bundle.len();
        self.queue.push_back((token, bundle));
        Ok(())
    }

    /// Whether the next bundle would need a transfer ID, and none is left (RFC 9174 §5.2.1).
    pub(super) fn is_exhausted(&self) -> bool {
        self.next_transfer == u64::MAX && self.current.is_none() && !self.queue.is_empty()
    }

    /// Appends the next segment, if one may be sent.
    pub(super) fn transmit(&mut self, now: Instant, limits: SegmentLimits, begin: bool, out: &mut Vec<u8>) {
        if self.segments.len() >= limits.max_unacknowledged.max(1) {
            return;
        }
        if self.current.is_none() && begin && self.next_transfer < u64::MAX {
            self.begin();
        }
        let Some(current) = &mut self.current else { return };
        let end = current.bundle.len().min(current.sent + limits.max_bytes.max(1));
        let flags = XferFlags::new(current.sent == 0, end == current.bundle.len());
        let mut extensions = Vec::new();
        if flags.is_start() && !flags.is_end() {
            put_transfer_length(&mut extensions, current.bundle.len() as u64);
        }
        let data = &current.bundle[current.sent..end];
        let (transfer, data_len) = (current.transfer, data.len() as u64);
        Message::XferSegment(XferSegment { flags, transfer, extensions, data_len }).encode(out);
        out.extend_from_slice(data);
        current.sent = end;
        if self.segments.is_empty() {
            self.progress = now;
        }
        self.segments.push_back(SentSegment { transfer, flags, until: end as u64 });
        if flags.is_end() {
            self.drop_current();
        }
    }

    fn begin(&mut self) {
        if let Some((token, bundle)) = self.queue.pop_front() {
            let transfer = self.next_transfer;
            self.next_transfer += 1;
            self.in_flight.push_back(InFlight { token, transfer, acknowledged: 0 });
            self.current = Some(Current { transfer, bundle, sent: 0 });
        }
    }

    fn drop_current(&mut self) {
        if let Some(current) = self.current.take() {
            self.bytes -= current.bundle.len();
        }
    }

    pub(super) fn on_acknowledgement(
        &mut self,
        now: Instant,
        how: Acknowledgements,
        (flags, transfer, acknowledged): (XferFlags, u64, u64),
    ) -> Answered {
        let Some(place) = self.in_flight.iter().position(|flight| flight.transfer == transfer) else {
            return if self.recent.contains(&transfer) { Answered::Progress } else { Answered::Unknown };
        };
        let mut own = self.segments.iter().enumerate().filter(|(_, segment)| segment.transfer == transfer);
        let last = match how {
            Acknowledgements::Strict => match own.next() {
                Some((at, next)) if next.flags == flags && next.until == acknowledged => Some(at),
                _ => return Answered::Wrong,
            },
            Acknowledgements::Lenient => {
                let farthest = own.clone().next_back().map_or(0, |(_, segment)| segment.until);
                if acknowledged > farthest.max(self.in_flight[place].acknowledged) {
                    return Answered::Wrong;
                }
                own.take_while(|(_, segment)| segment.until <= acknowledged).last().map(|(at, _)| at)
            }
        };
        let Some(last) = last else { return Answered::Repeated };
        let is_done = self.segments[last].flags.is_end();
        let mut at = 0;
        self.segments.retain(|segment| {
            at += 1;
            at - 1 > last || segment.transfer != transfer
        });
        self.progress = now;
        self.in_flight[place].acknowledged = acknowledged;
        match is_done.then(|| self.in_flight.remove(place)).flatten() {
            Some(flight) => Answered::Done(Output::TransferAcknowledged { token: flight.token }),
            None => Answered::Progress,
        }
    }

    pub(super) fn on_refusal(&mut self, now: Instant, transfer: u64, reason: TransferRefusal) -> Answered {
        let Some(place) = self.in_flight.iter().position(|flight| flight.transfer == transfer) else {
            return if self.recent.contains(&transfer) { Answered::Progress } else { Answered::Unknown };
        };
        let Some(InFlight { token, acknowledged, .. }) = self.in_flight.remove(place) else {
            return Answered::Unknown;
        };
        self.segments.retain(|segment| segment.transfer != transfer);
        self.progress = now;
        if self.current.as_ref().is_some_and(|current| current.transfer == transfer) {
            self.drop_current();
        }
        if self.recent.len() == MAX_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(transfer);
        Answered::Done(Output::TransferRefused { token, reason, acknowledged })
    }

    /// When a peer that acknowledges nothing is given up.
    pub(super) fn deadline(&self, timeout: Duration) -> Option<Instant> {
        (!self.segments.is_empty()).then(|| self.progress.saturating_add(timeout))
    }

    /// Answers can be read from now on: the peer has its whole time again.
    pub(super) fn restart(&mut self, now: Instant) {
        self.progress = self.progress.max(now);
    }

    /// Whether no transfer has begun and not ended.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Gives up the bundles that did not begin.
    pub(super) fn give_up_queue(&mut self, reason: FailureReason, outputs: &mut VecDeque<Output>) {
        for (token, bundle) in self.queue.drain(..) {
            self.bytes -= bundle.len();
            outputs.push_back(Output::TransferFailed { token, reason, acknowledged: 0 });
        }
    }

    /// Gives up everything.
    pub(super) fn give_up(&mut self, reason: FailureReason, outputs: &mut VecDeque<Output>) {
        for InFlight { token, acknowledged, .. } in self.in_flight.drain(..) {
            outputs.push_back(Output::TransferFailed { token, reason, acknowledged });
        }
        self.segments.clear();
        self.drop_current();
        self.give_up_queue(reason, outputs);
    }
}
