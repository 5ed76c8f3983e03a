//! The entries of the node's log in the store: read when somebody asks for them, and dropped when they lie in the archive.
//!
//! The node goes on from the log's frontier, which is a record of its own; so nothing here is read at a start.

use super::{Disk, DiskError, RECORDS, guarded};
use cosmosmesh_protocol::{
    id::NodeId,
    log::{Hash, Journal, LogId},
    node::{Change, Kept},
};
use redb::{ReadableDatabase as _, ReadableTable as _, TableDefinition};
use std::ops::Range;

/// A segment has `2^SEGMENT_LEVEL` entries.
pub(crate) const SEGMENT_LEVEL: u32 = 14;
/// Entries that are archived as one file.
pub(crate) const SEGMENT: u64 = 1 << SEGMENT_LEVEL;
/// The roots of the segments that were archived, by their numbers.
const SEGMENTS: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("log segments");
/// The first key of an entry, and the one after the last.
pub(super) const FIRST: &[u8] = &[Kept::LogEntry as u8];
pub(super) const END: &[u8] = &[Kept::LogEntry as u8 + 1];
/// Under which the log's frontier is kept.
const HEAD: &[u8] = &[Kept::LogHead as u8];

fn key(index: u64) -> [u8; 9] {
    let mut key = [Kept::LogEntry as u8; 9];
    key[1..].copy_from_slice(&index.to_be_bytes());
    key
}

fn index(key: &[u8]) -> Result<u64, DiskError> {
    let digits = key.get(1..).and_then(|digits| digits.try_into().ok());
    digits.map(u64::from_be_bytes).ok_or(DiskError::Damaged)
}

/// Whether the first entry of a segment is among the changes.
pub(crate) fn begins_segment(changes: &[Change]) -> bool {
    changes.iter().any(|change| match change {
        Change::Put { key, .. } if key.starts_with(FIRST) => {
            index(key).is_ok_and(|index| index.is_multiple_of(SEGMENT))
        }
        Change::Put { .. } | Change::Delete { .. } => false,
    })
}

impl Disk {
    /// Which log it holds: none of a node that keeps none.
    pub(crate) fn log_id(&self, node: NodeId) -> Result<Option<LogId>, DiskError> {
        guarded(|| {
            let head = self.database.begin_read()?.open_table(RECORDS)?.get(HEAD)?;
            let journal = head.map(|head| Journal::restore(node, head.value())).transpose();
            Ok(journal.map_err(|_| DiskError::Damaged)?.map(|journal| journal.id()))
        })
    }

    /// The entries that are here: those before lie in the archive. O(log n).
    pub(crate) fn log_entries(&self) -> Result<Range<u64>, DiskError> {
        guarded(|| {
            let reading = self.database.begin_read()?;
            let table = reading.open_table(RECORDS)?;
            let mut entries = table.range(FIRST..END)?;
            let Some(first) = entries.next() else { return Ok(0..0) };
            let first = index(first?.0.value())?;
            let last = entries.next_back().map_or(Ok(first), |last| index(last?.0.value()))?;
            Ok(first..last + 1)
        })
    }

    /// The entries of a range, as far as they are here and follow on one another.
    pub(crate) fn log_part(&self, range: Range<u64>) -> Result<Vec<Vec<u8>>, DiskError> {
        guarded(|| {
            let table = self.database.begin_read()?.open_table(RECORDS)?;
            let mut entries = Vec::new();
            let (first, end) = (key(range.start), key(range.end));
            for (entry, expected) in table.range(first.as_slice()..end.as_slice())?.zip(range) {
                let (key, value) = entry?;
                if index(key.value())? != expected {
                    break;
                }
                entries.push(value.value().to_vec());
            }
            Ok(entries)
        })
    }

    /// The roots of the segments that were archived, from the first one on.
    pub(crate) fn log_roots(&self) -> Result<Vec<Hash>, DiskError> {
        guarded(|| {
            let table = match self.database.begin_read()?.open_table(SEGMENTS) {
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                other => other?,
            };
            let mut roots = Vec::new();
            for (entry, expected) in table.iter()?.zip(0..) {
                let (number, root) = entry?;
                let root = root.value().try_into().ok().filter(|_| number.value() == expected);
                roots.push(root.ok_or(DiskError::Damaged)?);
            }
            Ok(roots)
        })
    }

    /// Drops the entries of a segment that lies in the archive. Its root stays.
    pub(crate) fn drop_segment(&self, number: u64, root: &Hash) -> Result<(), DiskError> {
        self.transact(|transaction| {
            transaction.open_table(SEGMENTS)?.insert(number, root.as_slice())?;
            let (first, end) = (key(number * SEGMENT), key((number + 1) * SEGMENT));
            transaction.open_table(RECORDS)?.retain_in(first.as_slice()..end.as_slice(), |_, _| false)?;
            Ok(())
        })
    }
}
