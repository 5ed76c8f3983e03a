//! The audit trail of shared state in a run folder: what was written (`writes.csv`), dropped (`drops.csv`) and is read in the end
//! (`held.csv`). With the times at which writes became visible (`sync.csv`) it says why replicas agree: see [`super::Agreement`].

use super::{
    ReportError,
    tables::{Field, Seconds, Table},
};
use crate::{
    engine::{Record, RecordKind},
    units::AssetIndex,
};
use std::path::Path;

/// Most rows of a table: a longer trail ends there, and says so by its length.
pub(super) const MAX_ROWS: u64 = 1 << 20;

/// The tables.
pub(super) struct Trail {
    writes: Bounded,
    drops: Bounded,
    held: Bounded,
}

struct Bounded {
    table: Table,
    rows: u64,
}

impl Bounded {
    fn create(folder: &Path, name: &str, columns: &[&str]) -> Result<Self, ReportError> {
        Ok(Self { table: Table::create(folder, name, columns)?, rows: 0 })
    }

    fn row(&mut self, fields: &[&dyn Field]) -> Result<(), ReportError> {
        self.rows += 1;
        if self.rows <= MAX_ROWS { self.table.row(fields) } else { Ok(()) }
    }
}

impl Trail {
    pub(super) fn create(folder: &Path) -> Result<Self, ReportError> {
        let writes = [
            "time_s",
            "asset",
            "sequence",
            "item",
            "role",
            "clock_ms",
            "clock_counter",
            "removed",
            "value",
            "replaces",
        ];
        Ok(Self {
            writes: Bounded::create(folder, "writes.csv", &writes)?,
            drops: Bounded::create(folder, "drops.csv", &["time_s", "asset", "sequence", "spans"])?,
            held: Bounded::create(folder, "held.csv", &["asset", "item", "actor", "sequence", "others"])?,
        })
    }

    /// Writes the row of one record, if it is of the trail.
    pub(super) fn record(&mut self, names: &[String], record: &Record) -> Result<(), ReportError> {
        let name = |asset: &AssetIndex| names[asset.get()].as_str();
        let (time, asset) = (Seconds(record.time), name(&record.asset));
        match &record.kind {
            RecordKind::SyncContent { sequence, item, role, clock_ms, clock_counter, value, replaces } => {
                let removed = if value.is_none() { "true" } else { "false" };
                let replaces: Vec<String> =
                    replaces.iter().map(|(asset, sequence)| format!("{}:{sequence}", name(asset))).collect();
                self.writes.row(&[
                    &time,
                    &asset,
                    sequence,
                    item,
                    &u32::from(*role),
                    clock_ms,
                    &u32::from(*clock_counter),
                    &removed,
                    &value.as_deref().unwrap_or_default(),
                    &replaces.join(" "),
                ])
            }
            RecordKind::SyncDropped { sequence, spans } => {
                let spans: Vec<String> =
                    spans.iter().map(|(first, last)| format!("{first}-{last}")).collect();
                self.drops.row(&[&time, &asset, sequence, &spans.join(" ")])
            }
            RecordKind::SyncHeld { item, actor, sequence, others } => {
                self.held.row(&[&asset, item, &name(actor), sequence, others])
            }
            _ => Ok(()),
        }
    }

    pub(super) fn flush(&mut self) -> Result<(), ReportError> {
        let tables = [&mut self.writes, &mut self.drops, &mut self.held];
        tables.into_iter().try_for_each(|bounded| bounded.table.flush())
    }
}
