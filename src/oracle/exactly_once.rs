//! Each stream delivers every sequence number at most once, and in order.

use super::{IntervalSet, OracleReport, StreamId};
use crate::{
    engine::{MessageKind, Record, RecordKind},
    world::Lives,
};
use std::collections::BTreeMap;

/// How often a message has been delivered with this delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brought {
    /// For the first time.
    First,
    /// To an asset that has lost it with its disk.
    Anew,
    /// Once more: a violation.
    Again,
}

/// Sees every delivery, whatever its kind.
#[derive(Clone, Debug, Default)]
pub struct ExactlyOnce {
    lives: Lives,
    /// By the receiver's life too: what it has lost it may be brought again.
    delivered: BTreeMap<(StreamId, u32), IntervalSet>,
    duplicates: u64,
}

impl ExactlyOnce {
    /// For a run in which assets lose what they keep.
    #[must_use]
    pub fn new(lives: Lives) -> Self {
        Self { lives, ..Self::default() }
    }

    /// Takes the next record. `None`: it is no delivery.
    pub fn record(&mut self, record: &Record, report: &mut OracleReport) -> Option<Brought> {
        let RecordKind::Delivered { source, sequence, kind, .. } = record.kind else { return None };
        let stream = StreamId { source, destination: record.asset, kind };
        let life = self.lives.at(record.asset, record.time);
        let before = |life| self.delivered.get(&(stream, life)).is_some_and(|seen| seen.contains(sequence));
        let anew = (0..life).any(before);
        let seen = self.delivered.entry((stream, life)).or_default();
        // Datagrams have no order.
        let last = seen.last().filter(|_| kind != MessageKind::Datagram);
        if !seen.insert(sequence) {
            self.duplicates += 1;
            report
                .push(record.time, "exactly-once", || format!("{stream} delivered message {sequence} again"));
            return Some(Brought::Again);
        }
        if let Some(last) = last.filter(|last| *last > sequence) {
            report.push(record.time, "exactly-once", || {
                format!("{stream} delivered message {sequence} after message {last}: out of order")
            });
        }
        Some(if anew { Brought::Anew } else { Brought::First })
    }

    /// Deliveries of a message that had been delivered before.
    #[must_use]
    pub const fn duplicates(&self) -> u64 {
        self.duplicates
    }
}
