//! `security.refused.*`: inputs from peers that nodes refused, by reason.

use super::MetricsSet;
use crate::engine::{Record, RecordKind};
use std::collections::BTreeMap;

/// Counts refusals; reasons that did not occur have no metric of their own.
#[derive(Clone, Debug, Default)]
pub struct SecurityRecorder {
    refused: BTreeMap<&'static str, u64>,
}

impl SecurityRecorder {
    /// Takes the next record.
    pub fn record(&mut self, record: &Record) {
        if let RecordKind::InputRefused { reason } = record.kind {
            *self.refused.entry(reason).or_default() += 1;
        }
    }

    /// Writes `security.refused.*` and their sum, `security.refused_total`.
    pub fn write(&self, set: &mut MetricsSet) {
        for (reason, count) in &self.refused {
            set.count(format!("security.refused.{reason}"), *count, "1");
        }
        set.count("security.refused_total", self.refused.values().sum(), "1");
    }
}
