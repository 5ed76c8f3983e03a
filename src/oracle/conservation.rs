//! Nothing comes from nowhere: frames and messages are conserved.

use super::{IntervalSet, OracleReport, Pairs, StreamId};
use crate::{
    engine::{Record, RecordKind},
    units::{AssetIndex, SimTime},
    world::Lives,
};
use std::collections::{BTreeMap, BTreeSet};

/// Frames of one directed pair.
#[derive(Clone, Copy, Debug, Default)]
struct Pair {
    sent: u64,
    sent_bytes: u64,
    decided: u64,
    decided_bytes: u64,
    last_sent: SimTime,
}

/// Frames sent = received + lost + in flight, for every directed pair, in number and in bytes, at every moment.
#[derive(Clone, Debug, Default)]
pub struct FrameConservation {
    pairs: Pairs<Pair>,
    longest_flight: Option<SimTime>,
    /// Pairs between which frames take ways that nobody sees.
    unseen: Vec<(AssetIndex, AssetIndex)>,
}

impl FrameConservation {
    /// `longest_flight`: the longest time from the start of a frame to the verdict on it, where it is known.
    #[must_use]
    pub const fn new(longest_flight: Option<SimTime>) -> Self {
        Self { pairs: Pairs::new(), longest_flight, unseen: Vec::new() }
    }

    /// Between these, sender first, frames take ways that nobody sees: they are passed over.
    pub fn pass_over(&mut self, pairs: Vec<(AssetIndex, AssetIndex)>) {
        self.unseen = pairs;
    }

    /// Takes the next record.
    pub fn record(&mut self, record: &Record, report: &mut OracleReport) {
        let pair = match record.kind {
            RecordKind::FrameSent { peer, .. } => (record.asset, peer),
            RecordKind::FrameReceived { peer, .. } | RecordKind::FrameLost { peer, .. } => {
                (peer, record.asset)
            }
            _ => return,
        };
        if !self.unseen.is_empty() && self.unseen.contains(&pair) {
            return;
        }
        match record.kind {
            RecordKind::FrameSent { peer, bytes, .. } => {
                let pair = self.pairs.of(record.asset, peer);
                pair.sent += 1;
                pair.sent_bytes += u64::from(bytes);
                pair.last_sent = record.time;
            }
            RecordKind::FrameReceived { peer, bytes } | RecordKind::FrameLost { peer, bytes, .. } => {
                let pair = self.pairs.of(peer, record.asset);
                pair.decided += 1;
                pair.decided_bytes += u64::from(bytes);
                if pair.decided > pair.sent || pair.decided_bytes > pair.sent_bytes {
                    let Pair { sent, sent_bytes, decided, decided_bytes, .. } = *pair;
                    report.push(record.time, "frame conservation", || {
                        format!(
                            "asset {} has received or lost {decided} frames ({decided_bytes} bytes) from asset {}, which \
                             sent it {sent} ({sent_bytes} bytes)",
                            record.asset.0, peer.0
                        )
                    });
                }
            }
            _ => {}
        }
    }

    /// Frames without a verdict.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.pairs.values().map(|pair| pair.sent.saturating_sub(pair.decided)).sum()
    }

    /// Reports frames that should have had their verdict by `end`.
    pub fn finish(&self, end: SimTime, report: &mut OracleReport) {
        let Some(longest) = self.longest_flight else { return };
        for ((from, to), pair) in self.pairs.iter() {
            if pair.decided < pair.sent && end - pair.last_sent > longest {
                report.push(end, "frame conservation", || {
                    format!(
                        "{} frames from asset {} to asset {} have no verdict, though the last was sent {} before the end",
                        pair.sent - pair.decided,
                        from.0,
                        to.0,
                        end - pair.last_sent
                    )
                });
            }
        }
    }
}

/// What is acknowledged is delivered: at once, or when the gap before it closes. A source gives up or repeats only what it submitted.
///
/// An acknowledgement may run ahead of the delivery, since a receiver that keeps a message beyond a gap has it. But once a
/// later message of the stream is delivered, the acknowledged one must have been. Not so at a receiver that has lost its disk, and with it what it had
/// acknowledged.
#[derive(Clone, Debug, Default)]
pub struct MessageConservation {
    lives: Lives,
    streams: BTreeMap<StreamId, Messages>,
}

#[derive(Clone, Debug, Default)]
struct Messages {
    submitted: IntervalSet,
    delivered: IntervalSet,
    /// Acknowledged, and not delivered yet.
    owed: BTreeSet<u64>,
}

impl MessageConservation {
    /// For a run in which assets lose what they keep.
    #[must_use]
    pub fn new(lives: Lives) -> Self {
        Self { lives, ..Self::default() }
    }

    /// Takes the next record.
    pub fn record(&mut self, record: &Record, report: &mut OracleReport) {
        let mine = |destination, kind| StreamId { source: record.asset, destination, kind };
        match record.kind {
            RecordKind::Submitted { sequence, destination, kind, .. } => {
                self.streams.entry(mine(destination, kind)).or_default().submitted.insert(sequence);
            }
            RecordKind::Delivered { source, sequence, kind, .. } => {
                let id = StreamId { source, destination: record.asset, kind };
                let messages = self.streams.entry(id).or_default();
                messages.delivered.insert(sequence);
                if self.lives.at(record.asset, record.time) > 0 {
                    messages.owed.clear();
                }
                messages.owed.remove(&sequence);
                while let Some(skipped) = messages.owed.first().copied().filter(|owed| *owed < sequence) {
                    messages.owed.remove(&skipped);
                    report.push(record.time, "message conservation", || {
                        format!(
                            "{id} had message {skipped} acknowledged, but {sequence} is delivered without it"
                        )
                    });
                }
            }
            RecordKind::Acknowledged { destination, sequence, kind } => {
                let id = mine(destination, kind);
                let messages = self.streams.entry(id).or_default();
                if !messages.submitted.contains(sequence) {
                    report.push(record.time, "message conservation", || {
                        format!("{id} had message {sequence} acknowledged, which was never submitted")
                    });
                } else if !messages.delivered.contains(sequence)
                    && self.lives.at(destination, record.time) == 0
                {
                    messages.owed.insert(sequence);
                }
            }
            RecordKind::Abandoned { destination, sequence, kind }
            | RecordKind::Retransmitted { destination, sequence, kind } => {
                let id = mine(destination, kind);
                if !self.streams.get(&id).is_some_and(|messages| messages.submitted.contains(sequence)) {
                    report.push(record.time, "message conservation", || {
                        format!("{id} repeated or gave up message {sequence}, which was never submitted")
                    });
                }
            }
            _ => {}
        }
    }
}
