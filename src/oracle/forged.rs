//! Nothing is delivered that was not submitted: same stream, same number, same length, and no earlier.

use super::{OracleReport, StreamId};
use crate::{
    engine::{Record, RecordKind},
    oracle::IntervalSet,
    units::{AssetIndex, SimTime},
};
use std::collections::BTreeMap;

/// What is known of one stream.
#[derive(Clone, Debug, Default)]
struct Stream {
    submitted: IntervalSet,
    /// Length and time of what is not delivered yet.
    outstanding: BTreeMap<u64, (u32, SimTime)>,
}

/// Compares deliveries with submissions.
///
/// The details of undelivered messages are kept for the newest [`NothingForged::OUTSTANDING`] of a stream; of older ones
/// only that they were submitted.
#[derive(Clone, Debug, Default)]
pub struct NothingForged {
    streams: BTreeMap<StreamId, Stream>,
    /// Assets whose submissions nobody sees.
    unseen: Vec<AssetIndex>,
}

impl NothingForged {
    /// Of what these assets submit there is no record: their messages are passed over.
    pub fn pass_over(&mut self, assets: Vec<AssetIndex>) {
        self.unseen = assets;
    }

    /// Undelivered messages of a stream whose length and time are remembered.
    pub const OUTSTANDING: usize = 65_536;

    /// Takes the next record.
    pub fn record(&mut self, record: &Record, report: &mut OracleReport) {
        match record.kind {
            RecordKind::Submitted { sequence, destination, kind, bytes } => {
                let id = StreamId { source: record.asset, destination, kind };
                let stream = self.streams.entry(id).or_default();
                if !stream.submitted.insert(sequence) {
                    report.push(record.time, "nothing forged", || {
                        format!("{id} gave the number {sequence} to a second message")
                    });
                }
                stream.outstanding.insert(sequence, (bytes, record.time));
                if stream.outstanding.len() > Self::OUTSTANDING {
                    stream.outstanding.pop_first();
                }
            }
            RecordKind::Reworded { sequence, destination, kind, bytes } => {
                let id = StreamId { source: record.asset, destination, kind };
                let stream = self.streams.entry(id).or_default();
                if !stream.submitted.contains(sequence) {
                    report.push(record.time, "nothing forged", || {
                        format!("{id} gave other words to message {sequence}, which it had not submitted")
                    });
                }
                if let Some(message) = stream.outstanding.get_mut(&sequence) {
                    message.0 = bytes;
                }
            }
            RecordKind::Delivered { source, .. } if self.unseen.contains(&source) => {}
            RecordKind::Delivered { source, sequence, kind, bytes, latency } => {
                let id = StreamId { source, destination: record.asset, kind };
                let stream = self.streams.entry(id).or_default();
                if !stream.submitted.contains(sequence) {
                    report.push(record.time, "nothing forged", || {
                        format!("{id} delivered message {sequence}, which was never submitted")
                    });
                    return;
                }
                let Some((submitted_bytes, at)) = stream.outstanding.remove(&sequence) else { return };
                if submitted_bytes != bytes {
                    report.push(record.time, "nothing forged", || {
                        format!("{id} delivered message {sequence} with {bytes} bytes; {submitted_bytes} were submitted")
                    });
                }
                if record.time - at != latency {
                    report.push(record.time, "nothing forged", || {
                        format!(
                            "{id} delivered message {sequence} with a latency of {latency}; it took {}",
                            record.time - at
                        )
                    });
                }
            }
            _ => {}
        }
    }
}
