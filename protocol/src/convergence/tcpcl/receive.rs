//! [`Reception`]: transfers of the peer, and our answers to their segments (RFC 9174 §5.2.2 to §5.2.5).

use super::{
    codes::{TransferRefusal, XferFlags, kind},
    config::{Acknowledgements, Config},
    error::Violation,
    extension::{ExtensionItems, TRANSFER_LENGTH},
    message::{Message, XferSegment},
};
use alloc::{collections::VecDeque, vec::Vec};

/// Transfers that ended and are remembered, so that segments that crossed a refusal are told from strangers.
const MAX_RECENT: usize = 64;
/// Answers that may wait for the peer to read.
const MAX_ANSWERS: usize = 1024;

/// What the peer sends.
#[derive(Debug, Default)]
pub(super) struct Reception {
    incoming: Option<Incoming>,
    /// The segment whose data is arriving.
    segment: Option<Segment>,
    answers: VecDeque<Answer>,
    /// Transfers that ended, oldest first, and why if they were refused.
    recent: VecDeque<(u64, Option<TransferRefusal>)>,
}

/// A transfer in progress.
#[derive(Debug)]
struct Incoming {
    transfer: u64,
    /// From its Transfer Length item.
    total: Option<u64>,
    /// Grows with what came, never with what was announced.
    bundle: Vec<u8>,
}

/// A segment whose head came.
#[derive(Debug)]
struct Segment {
    transfer: u64,
    flags: XferFlags,
    /// Bytes of data that are still to come.
    remaining: u64,
    /// Whether the data goes into the bundle, or nowhere.
    kept: bool,
}

#[derive(Debug)]
enum Answer {
    Acknowledge { flags: XferFlags, transfer: u64, acknowledged: u64, held: bool },
    Refuse { reason: TransferRefusal, transfer: u64 },
}

/// How the head of a segment is judged.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Its data belongs to the transfer in progress.
    Kept,
    /// Its transfer is refused; the data is skipped.
    Refused(Option<Violation>),
    /// It has no place here; the data is skipped. The transfer in progress, if named, is given up.
    Unexpected {
        /// A transfer that will not be finished.
        given_up: Option<u64>,
    },
    /// The stream cannot be followed any longer.
    Fatal(Violation),
}

impl Reception {
    /// Judges the head of a segment; its data follows.
    pub(super) fn on_segment(&mut self, config: &Config, head: &XferSegment, ending: bool) -> Judgement {
        if head.data_len > config.segment_mru {
            return Judgement::Fatal(Violation::SegmentTooLong {
                found: head.data_len,
                max: config.segment_mru,
            });
        }
        let judgement = self.judge(config, head, ending);
        self.segment = Some(Segment {
            transfer: head.transfer,
            flags: head.flags,
            remaining: head.data_len,
            kept: judgement == Judgement::Kept,
        });
        judgement
    }

    /// Passes over the data of a segment that came where no segment may come.
    pub(super) fn skip(&mut self, config: &Config, head: &XferSegment) -> Judgement {
        if head.data_len > config.segment_mru {
            return Judgement::Fatal(Violation::SegmentTooLong {
                found: head.data_len,
                max: config.segment_mru,
            });
        }
        let (transfer, flags, remaining) = (head.transfer, head.flags, head.data_len);
        self.segment = Some(Segment { transfer, flags, remaining, kept: false });
        Judgement::Unexpected { given_up: None }
    }

    fn judge(&mut self, config: &Config, head: &XferSegment, ending: bool) -> Judgement {
        let ended =
            self.recent.iter().rev().find(|(transfer, _)| *transfer == head.transfer).map(|(_, why)| *why);
        if head.flags.is_start() {
            if self.incoming.is_some() || ended.is_some() {
                let given_up = self.incoming.take().map(|incoming| incoming.transfer);
                return Judgement::Unexpected { given_up };
            }
            if ending {
                return self.refuse_now(head.transfer, TransferRefusal::SESSION_TERMINATING, None);
            }
            match transfer_length(config, &head.extensions) {
                Err(violation) => {
                    return self.refuse_now(
                        head.transfer,
                        TransferRefusal::EXTENSION_FAILURE,
                        Some(violation),
                    );
                }
                Ok(total) => {
                    self.incoming = Some(Incoming { transfer: head.transfer, total, bundle: Vec::new() });
                }
            }
        } else if let Some(Some(reason)) = ended {
            // It crossed our refusal on the wire (§5.2.4).
            return self.refuse_now(head.transfer, reason, None);
        }
        match &self.incoming {
            Some(incoming) if incoming.transfer == head.transfer => match incoming.judge_length(config, head)
            {
                Ok(()) => Judgement::Kept,
                Err((reason, violation)) => self.refuse_now(head.transfer, reason, Some(violation)),
            },
            _ => Judgement::Unexpected { given_up: None },
        }
    }

    fn refuse_now(
        &mut self,
        transfer: u64,
        reason: TransferRefusal,
        violation: Option<Violation>,
    ) -> Judgement {
        self.incoming = None;
        self.end(transfer, Some(reason));
        self.answers.push_back(Answer::Refuse { reason, transfer });
        Judgement::Refused(violation)
    }

    fn end(&mut self, transfer: u64, refused: Option<TransferRefusal>) {
        if self.recent.back().is_some_and(|(last, _)| *last == transfer) {
            return;
        }
        if self.recent.len() == MAX_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((transfer, refused));
    }

    /// Whether data of a segment is still to come.
    pub(super) fn expects_data(&self) -> bool {
        self.segment.as_ref().is_some_and(|segment| segment.remaining > 0)
    }

    /// Takes data of the segment from the start of `bytes`; gives how many.
    pub(super) fn take_data(&mut self, bytes: &[u8]) -> usize {
        let Some(segment) = &mut self.segment else { return 0 };
        let taken = usize::try_from(segment.remaining).unwrap_or(usize::MAX).min(bytes.len());
        segment.remaining -= taken as u64;
        if segment.kept
            && let Some(incoming) = &mut self.incoming
        {
            incoming.bundle.extend_from_slice(&bytes[..taken]);
        }
        taken
    }

    /// When a segment is complete: acknowledges it, and gives the bundle that it completes.
    pub(super) fn finish_segment(&mut self, hold_final: bool) -> Option<(u64, Vec<u8>)> {
        let segment = self.segment.take_if(|segment| segment.remaining == 0)?;
        // A host may have refused the transfer while its data arrived.
        let incoming = self
            .incoming
            .as_ref()
            .filter(|incoming| segment.kept && incoming.transfer == segment.transfer)?;
        let (flags, transfer) = (segment.flags, segment.transfer);
        let acknowledged = incoming.bundle.len() as u64;
        let held = hold_final && flags.is_end();
        self.answers.push_back(Answer::Acknowledge { flags, transfer, acknowledged, held });
        if !flags.is_end() {
            return None;
        }
        self.end(transfer, None);
        self.incoming.take().map(|incoming| (transfer, incoming.bundle))
    }

    /// Lets the last acknowledgement of `transfer` go. Says whether one was held.
    pub(super) fn accept(&mut self, accepted: u64) -> bool {
        for answer in &mut self.answers {
            if let Answer::Acknowledge { transfer, held, .. } = answer
                && *held
                && *transfer == accepted
            {
                *held = false;
                return true;
            }
        }
        false
    }

    /// Refuses a transfer in progress, or one whose last acknowledgement is held. Says whether there was one.
    pub(super) fn refuse(&mut self, refused: u64, reason: TransferRefusal) -> bool {
        if self.incoming.as_ref().is_some_and(|incoming| incoming.transfer == refused) {
            self.refuse_now(refused, reason, None);
            return true;
        }
        for answer in &mut self.answers {
            if let Answer::Acknowledge { transfer, held: true, .. } = answer
                && *transfer == refused
            {
                *answer = Answer::Refuse { reason, transfer: refused };
                return true;
            }
        }
        false
    }

    /// Appends the answers up to the first that is held.
    pub(super) fn transmit(&mut self, out: &mut Vec<u8>) {
        while let Some(answer) = self.answers.pop_front_if(|answer| !answer.is_held()) {
            match answer {
                Answer::Acknowledge { flags, transfer, acknowledged, .. } => {
                    Message::XferAck { flags, transfer, acknowledged }.encode(out);
                }
                Answer::Refuse { reason, transfer } => Message::XferRefuse { reason, transfer }.encode(out),
            }
        }
    }

    /// Whether more segments may come: neither unread answers nor held bundles pile up.
    pub(super) fn has_room(&self, max_held: usize) -> bool {
        self.answers.len() < MAX_ANSWERS && self.held() < max_held.max(1)
    }

    fn held(&self) -> usize {
        self.answers.iter().filter(|answer| answer.is_held()).count()
    }

    /// Whether no transfer is in progress and no bundle is held.
    pub(super) fn is_idle(&self) -> bool {
        self.incoming.is_none() && self.segment.is_none() && self.held() == 0
    }

    /// Gives up the transfer in progress and what is held: the session is over.
    pub(super) fn give_up(&mut self) -> Option<u64> {
        self.segment = None;
        self.answers.retain(|answer| !answer.is_held());
        self.incoming.take().map(|incoming| incoming.transfer)
    }

    /// Bytes of the transfer in progress.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.incoming.as_ref().map_or(0, |incoming| incoming.bundle.capacity())
    }
}

impl Incoming {
    fn judge_length(&self, config: &Config, head: &XferSegment) -> Result<(), (TransferRefusal, Violation)> {
        let found = (self.bundle.len() as u64).saturating_add(head.data_len);
        let max = config.transfer_mru;
        let longest = found.max(self.total.unwrap_or(0));
        if longest > max {
            return Err((TransferRefusal::NO_RESOURCES, Violation::TransferTooLong { found: longest, max }));
        }
        let is_end = head.flags.is_end();
        match self.total {
            Some(expected) if found > expected || (is_end && found < expected) => {
                Err((TransferRefusal::NOT_ACCEPTABLE, Violation::TransferLength { found, expected }))
            }
            // A bundle of no bytes is none.
            _ if is_end && found == 0 => {
                Err((TransferRefusal::NOT_ACCEPTABLE, Violation::TransferLength { found, expected: 1 }))
            }
            _ => Ok(()),
        }
    }
}

impl Answer {
    const fn is_held(&self) -> bool {
        matches!(self, Self::Acknowledge { held: true, .. })
    }
}

/// The length that the transfer's extension items announce (RFC 9174 §5.2.5).
fn transfer_length(config: &Config, items: &[u8]) -> Result<Option<u64>, Violation> {
    let mut total = None;
    for item in ExtensionItems::new(items) {
        let item = item.ok_or(Violation::Extensions)?;
        match (item.kind, <[u8; 8]>::try_from(item.value)) {
            (TRANSFER_LENGTH, Ok(value)) if total.is_none() => total = Some(u64::from_be_bytes(value)),
            (TRANSFER_LENGTH, Err(_))
                if config.acknowledgements == Acknowledgements::Lenient && !item.is_critical() => {}
            (TRANSFER_LENGTH, _) => return Err(Violation::Extensions),
            (kind, _) if item.is_critical() => return Err(Violation::CriticalExtension { kind }),
            _ => {}
        }
    }
    Ok(total)
}

/// The violation of a segment that has no place.
pub(super) const UNEXPECTED_SEGMENT: Violation = Violation::Unexpected { found: kind::XFER_SEGMENT };
