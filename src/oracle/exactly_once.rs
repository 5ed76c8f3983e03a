//! Each stream delivers every sequence number at most once, and in order.

use super::{IntervalSet, OracleReport, StreamId};
use crate::engine::{MessageKind, Record, RecordKind};
use std::collections::BTreeMap;

/// Sees every delivery, whatever its kind.
#[derive(Clone, Debug, Default)]
pub struct ExactlyOnce {
    delivered: BTreeMap<StreamId, IntervalSet>,
    duplicates: u64,
}

impl ExactlyOnce {
    /// Takes the next record.
    pub fn record(&mut self, record: &Record, report: &mut OracleReport) {
        let RecordKind::Delivered { source, sequence, kind, .. } = record.kind else { return };
        let stream = StreamId { source, destination: record.asset, kind };
        let seen = self.delivered.entry(stream).or_default();
        // Datagrams have no order.
        let last = seen.last().filter(|_| kind != MessageKind::Datagram);
        if !seen.insert(sequence) {
            self.duplicates += 1;
            report
                .push(record.time, "exactly-once", || format!("{stream} delivered message {sequence} again"));
        } else if let Some(last) = last.filter(|last| *last > sequence) {
            report.push(record.time, "exactly-once", || {
                format!("{stream} delivered message {sequence} after message {last}: out of order")
            });
        }
    }

    /// Deliveries of a message that had been delivered before.
    #[must_use]
    pub const fn duplicates(&self) -> u64 {
        self.duplicates
    }
}
