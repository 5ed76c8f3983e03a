//! `delivery.*`: application messages end to end.

use super::{Latencies, MetricsSet};
use crate::{
    engine::{MessageKind, Record, RecordKind},
    oracle::{Brought, ExactlyOnce, OracleReport},
    world::Lives,
};

/// Whether the fleet's application, and not the stack itself, sends messages of `kind`.
#[must_use]
pub const fn is_application(kind: MessageKind) -> bool {
    match kind {
        MessageKind::Telemetry | MessageKind::Command | MessageKind::Event | MessageKind::Datagram => true,
        MessageKind::Sync | MessageKind::Plan | MessageKind::Acknowledgement | MessageKind::Trust => false,
        MessageKind::Governance | MessageKind::Membership | MessageKind::GroupKey => false,
    }
}

/// Counts telemetry, commands and events; replicated state and planning signals have metrics of their own.
///
/// `delivery.ratio` is delivered over submitted: a message still on its way at the end counts as not delivered.
/// What an asset that has lost its disk is brought again is no duplicate, and no second delivery of the message: `delivery.brought_anew`, where there is any.
/// `delivery.in_flight_at_end` says how many are submitted, not delivered, and not given up by their source: under way, or where no source gives
/// up, dropped or expired on the way.
#[derive(Clone, Debug, Default)]
pub struct DeliveryRecorder {
    submitted: u64,
    delivered: u64,
    abandoned: u64,
    refused: u64,
    retransmitted: u64,
    anew: u64,
    bytes: u64,
    latency: Latencies,
    once: ExactlyOnce,
    seen: OracleReport,
}

impl DeliveryRecorder {
    /// For a run in which assets lose what they keep.
    #[must_use]
    pub fn new(lives: Lives) -> Self {
        Self { once: ExactlyOnce::new(lives), ..Self::default() }
    }

    /// Takes the next record.
    pub fn record(&mut self, record: &Record) {
        match record.kind {
            RecordKind::Submitted { kind, .. } if is_application(kind) => self.submitted += 1,
            RecordKind::Delivered { kind, bytes, latency, .. } if is_application(kind) => {
                match self.once.record(record, &mut self.seen) {
                    Some(Brought::First) => {}
                    Some(Brought::Anew) => return self.anew += 1,
                    Some(Brought::Again) | None => return,
                }
                self.delivered += 1;
                self.bytes += u64::from(bytes);
                self.latency.record(latency);
            }
            RecordKind::Abandoned { kind, .. } if is_application(kind) => self.abandoned += 1,
            RecordKind::Retransmitted { kind, .. } if is_application(kind) => self.retransmitted += 1,
            RecordKind::SubmissionRefused { kind, .. } if is_application(kind) => self.refused += 1,
            _ => {}
        }
    }

    /// Payload bytes of application messages delivered, duplicates not counted.
    #[must_use]
    pub const fn delivered_bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes `delivery.*`.
    pub fn write(&self, set: &mut MetricsSet) {
        let ratio = (self.submitted > 0).then(|| self.delivered as f64 / self.submitted as f64);
        set.set("delivery.ratio", ratio, "1");
        set.count("delivery.submitted", self.submitted, "1");
        set.count("delivery.delivered", self.delivered, "1");
        set.count("delivery.abandoned", self.abandoned, "1");
        set.count("delivery.submissions_refused", self.refused, "1");
        set.count("delivery.retransmitted", self.retransmitted, "1");
        set.count("delivery.duplicates_delivered", self.once.duplicates(), "1");
        if self.anew > 0 {
            set.count("delivery.brought_anew", self.anew, "1");
        }
        let settled = self.delivered + self.abandoned;
        set.count("delivery.in_flight_at_end", self.submitted.saturating_sub(settled), "1");
        set.count("delivery.bytes", self.bytes, "B");
        self.latency.write("delivery.latency_s", set);
    }
}
