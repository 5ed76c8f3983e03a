//! Every attack meets the answer that it should: nothing is accepted that should not be.

use super::OracleReport;
use crate::engine::{Record, RecordKind};

/// Reads the answers to attacks.
#[derive(Clone, Copy, Debug, Default)]
pub struct AttacksMet;

impl AttacksMet {
    /// Takes the next record.
    pub fn record(self, record: &Record, report: &mut OracleReport) {
        if let RecordKind::AttackAnswered { attack, by, answer, as_it_should: false } = record.kind {
            report.push(record.time, "attacks met", || {
                format!("asset {} answered {attack} of asset {} with {answer}", record.asset.0, by.0)
            });
        }
    }
}
