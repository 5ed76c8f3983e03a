//! The archive of the node's log: whole segments of entries as files beside the store, so that the store does not grow with the log.
//!
//! `log/BORN-NUMBER.log` holds the entries of one segment as a CBOR sequence (RFC 8742) of byte strings. Put together in the order of their
//! names, the files of one log are its beginning. What stays in the store is the root of each: a file that was altered gives itself away, and one that was
//! moved elsewhere is missed by nobody but who asks for what is in it.

use crate::{
    disk::{
        Disk, DiskError,
        entries::{SEGMENT, SEGMENT_LEVEL},
    },
    engine::Refusal,
    folder,
};
use cosmosmesh_protocol::{
    cbor::{self, Reader},
    id::NodeId,
    log::{Hash, LogId, MAX_ENTRY_LEN, Tree, inclusion_path, leaf_hash},
};
use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

/// Segments that are archived in one go.
const AT_ONCE: usize = 4;
/// Longest file, in bytes: an entry and its head.
const MAX_FILE_BYTES: u64 = SEGMENT * (MAX_ENTRY_LEN as u64 + 3);

/// Why the log cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    /// The store.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A file of the archive.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of the archive is not what was put there.
    #[error("{}: not the entries that were archived", path.display())]
    Altered {
        /// Which.
        path: PathBuf,
    },
    /// This node keeps no log.
    #[error("this node keeps no log: its configuration says no `trust`")]
    NoLog,
    /// There is no such entry yet.
    #[error("entry {index} of a log of {size}")]
    Beyond {
        /// Its number.
        index: u64,
        /// How many there are.
        size: u64,
    },
}

impl From<ArchiveError> for Refusal {
    fn from(error: ArchiveError) -> Self {
        let reason = match &error {
            ArchiveError::Disk(_) => "store",
            ArchiveError::File { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "log_moved_elsewhere"
            }
            ArchiveError::File { .. } => "log_unreadable",
            ArchiveError::Altered { .. } => "log_altered",
            ArchiveError::NoLog => "no_log",
            ArchiveError::Beyond { .. } => "log_shorter",
        };
        Self::new(reason, error.to_string())
    }
}

/// Where the files are.
#[derive(Debug)]
pub(crate) struct Archive {
    folder: PathBuf,
    node: NodeId,
}

impl Archive {
    /// Beside the store at `store`.
    pub(crate) fn beside(store: &Path, node: NodeId) -> Self {
        Self { folder: store.with_file_name("log"), node }
    }

    /// Removes what a crash has left of a file that was being made.
    pub(crate) fn clear(&self) {
        folder::clear(&self.folder);
    }

    pub(crate) fn path(&self, log: LogId, number: u64) -> PathBuf {
        self.folder.join(format!("{}-{number:08}.log", log.born))
    }

    /// Archives what the store need not hold: all whole segments but the last. A few at a time; says how many.
    pub(crate) fn put_away(&self, disk: &Disk) -> Result<usize, ArchiveError> {
        let here = disk.log_entries()?;
        let Some(log) = disk.log_id(self.node)? else { return Ok(0) };
        let mut done = 0;
        let mut number = here.start / SEGMENT;
        while (number + 2) * SEGMENT <= here.end && done < AT_ONCE {
            let entries = disk.log_part(number * SEGMENT..(number + 1) * SEGMENT)?;
            if entries.len() as u64 != SEGMENT {
                return Err(DiskError::Damaged.into());
            }
            let path = self.path(log, number);
            let mut bytes = Vec::new();
            entries.iter().for_each(|entry| cbor::put_bytes(&mut bytes, entry));
            // The folder's own name first: what is dropped below must be found after a loss of power.
            folder::make(&self.folder)
                .and_then(|()| folder::sync(&self.folder))
                .and_then(|()| folder::replace(&path, &bytes))
                .map_err(|source| ArchiveError::File { path, source })?;
            let root = root(&tree(&entries)).ok_or(DiskError::Damaged)?;
            disk.drop_segment(number, &root)?;
            (done, number) = (done + 1, number + 1);
        }
        Ok(done)
    }

    /// The entries of a segment that was archived.
    fn segment(&self, log: LogId, number: u64, expected: Option<Hash>) -> Result<Vec<Vec<u8>>, ArchiveError> {
        let path = self.path(log, number);
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes));
        if let Err(source) = read {
            return Err(ArchiveError::File { path, source });
        }
        let (mut reader, mut entries) = (Reader::new(&bytes), Vec::new());
        while reader.position() < bytes.len() {
            let Ok(entry) = reader.bytes() else { return Err(ArchiveError::Altered { path }) };
            entries.push(entry.to_vec());
        }
        let same = entries.len() as u64 == SEGMENT && root(&tree(&entries)) == expected;
        if same && expected.is_some() { Ok(entries) } else { Err(ArchiveError::Altered { path }) }
    }

    /// How many bytes of a log lie in the archive: those of its earlier lives are no part of it.
    fn bytes(&self, log: LogId) -> u64 {
        let own = format!("{}-", log.born);
        let files = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let files = files.filter(|file| file.file_name().to_str().is_some_and(|name| name.starts_with(&own)));
        files.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum()
    }
}

fn tree(entries: &[Vec<u8>]) -> Tree {
    entries.iter().map(|entry| leaf_hash(entry)).collect()
}

/// The root of a whole segment.
fn root(tree: &Tree) -> Option<Hash> {
    tree.subtree(0, SEGMENT_LEVEL)
}

/// The log as it lies in store and archive: what of it is asked for is read, and nothing else.
pub(crate) struct Ledger<'a> {
    disk: &'a Disk,
    archive: &'a Archive,
    log: LogId,
    /// The roots of the segments that were archived.
    archived: Vec<Hash>,
    size: u64,
}

impl<'a> Ledger<'a> {
    pub(crate) fn open(disk: &'a Disk, archive: &'a Archive) -> Result<Self, ArchiveError> {
        let log = disk.log_id(archive.node)?.ok_or(ArchiveError::NoLog)?;
        let (archived, size) = (disk.log_roots()?, disk.log_entries()?.end);
        Ok(Self { disk, archive, log, archived, size })
    }

    /// Entries that are durable.
    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// Segments that lie in the archive.
    pub(crate) const fn archived(&self) -> u64 {
        self.archived.len() as u64
    }

    /// Bytes that lie in the archive.
    pub(crate) fn archived_bytes(&self) -> u64 {
        self.archive.bytes(self.log)
    }

    /// Entries from `first` on, `most` at most, and no more than are in one segment.
    pub(crate) fn entries(&self, first: u64, most: u64) -> Result<Vec<Vec<u8>>, ArchiveError> {
        let number = first / SEGMENT;
        let end = first.saturating_add(most).min((number + 1).saturating_mul(SEGMENT)).min(self.size);
        if first >= end {
            return Ok(Vec::new());
        }
        if number >= self.archived() {
            let entries = self.disk.log_part(first..end)?;
            if entries.len() as u64 == end - first {
                return Ok(entries);
            }
        }
        let entries = self.segment(number)?;
        Ok(entries[(first % SEGMENT) as usize..][..(end - first) as usize].to_vec())
    }

    /// All entries of a segment that there are.
    fn segment(&self, number: u64) -> Result<Vec<Vec<u8>>, ArchiveError> {
        if number < self.archived() {
            let expected = self.archived.get(number as usize).copied();
            return self.archive.segment(self.log, number, expected);
        }
        let range = number * SEGMENT..((number + 1) * SEGMENT).min(self.size);
        let entries = self.disk.log_part(range.clone())?;
        if entries.len() as u64 == range.end - range.start {
            return Ok(entries);
        }
        // It was archived since this was opened.
        let expected = self.disk.log_roots()?.get(number as usize).copied();
        self.archive.segment(self.log, number, expected)
    }

    /// An entry, with the proof that it is in the log as it was with `size` entries (RFC 9162 §2.1.3.1). Reads three segments at most, and the roots of
    /// all.
    pub(crate) fn inclusion(&self, index: u64, size: u64) -> Result<(Vec<u8>, Vec<Hash>), ArchiveError> {
        let size = size.min(self.size);
        let beyond = ArchiveError::Beyond { index, size };
        if index >= size {
            return Err(beyond);
        }
        let mut roots: Tree = self.archived.iter().copied().collect();
        let mut trees = Vec::new();
        for number in self.archived()..size.div_ceil(SEGMENT) {
            let segment = tree(&self.segment(number)?);
            if let Some(root) = root(&segment) {
                roots.push(root);
            }
            trees.push((number, segment));
        }
        let own = index / SEGMENT;
        let entry = if own < self.archived() {
            let entries = self.segment(own)?;
            trees.push((own, tree(&entries)));
            entries.into_iter().nth((index % SEGMENT) as usize)
        } else {
            self.entries(index, 1)?.pop()
        };
        let subtree = |at: u64, level: u32| {
            if level >= SEGMENT_LEVEL {
                return roots.subtree(at >> SEGMENT_LEVEL, level - SEGMENT_LEVEL);
            }
            let (_, segment) = trees.iter().find(|(number, _)| *number == at / SEGMENT)?;
            segment.subtree(at % SEGMENT, level)
        };
        let proof = inclusion_path(index, size, subtree);
        entry.zip(proof).ok_or_else(|| DiskError::Damaged.into())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use cosmosmesh_protocol::{
        log::{Journal, verify_inclusion},
        node::{Batch, Change, Kept, Ticket},
    };

    pub(crate) const NODE: NodeId = NodeId(7);

    /// A store with `size` entries in its log, put away or not, and the log's frontier.
    pub(crate) fn filled(folder: &Path, size: u64, puts_away: bool) -> (Disk, Archive, Journal) {
        let store = folder.join("store.redb");
        let (disk, archive) = (Disk::open(&store).unwrap(), Archive::beside(&store, NODE));
        let mut journal = Journal::new(LogId { node: NODE, born: 3 });
        let mut ticket = 0;
        while journal.size() < size {
            let mut changes = Vec::new();
            while changes.len() < 1000 && journal.size() < size {
                let (index, value) = (journal.size(), format!("entry {}", journal.size()).into_bytes());
                journal.append(&value);
                let mut key = vec![Kept::LogEntry as u8];
                key.extend_from_slice(&index.to_be_bytes());
                changes.push(Change::Put { key, value });
            }
            let key = vec![Kept::LogHead as u8];
            changes.push(Change::Put { key, value: journal.snapshot() });
            let (deliveries, bundles, reports) = (Vec::new(), Vec::new(), Vec::new());
            disk.commit(&Batch { ticket: Ticket(ticket), changes, deliveries, bundles, reports }).unwrap();
            ticket += 1;
            if puts_away {
                archive.put_away(&disk).unwrap();
            }
        }
        (disk, archive, journal)
    }

    #[test]
    fn old_entries_are_proven_from_the_archive_after_a_restart_and_the_store_holds_no_more_than_two_segments()
    {
        let folder = tempfile::tempdir().unwrap();
        let size = 5 * SEGMENT + 321;
        let (disk, archive, journal) = filled(folder.path(), size, true);
        drop(disk);
        let disk = Disk::open(folder.path().join("store.redb")).unwrap();
        assert_eq!(disk.log_entries().unwrap(), 4 * SEGMENT..size);
        assert_eq!(disk.records().unwrap().len(), 1, "the frontier is all that a start reads");
        let ledger = Ledger::open(&disk, &archive).unwrap();
        assert_eq!((ledger.size(), ledger.archived()), (size, 4));
        for index in [0, 1, SEGMENT - 1, SEGMENT, 3 * SEGMENT + 77, 4 * SEGMENT - 1, 4 * SEGMENT, size - 1] {
            let (entry, proof) = ledger.inclusion(index, size).unwrap();
            assert_eq!(entry, format!("entry {index}").into_bytes());
            let root = journal.root();
            verify_inclusion(leaf_hash(&entry), index, size, &proof, &root).unwrap();
            assert!(verify_inclusion(leaf_hash(b"other"), index, size, &proof, &root).is_err());
        }
        assert!(matches!(ledger.inclusion(size, size), Err(ArchiveError::Beyond { .. })));
        let mut all = Vec::new();
        while let Some(more) = Some(ledger.entries(all.len() as u64, 5000).unwrap()).filter(|e| !e.is_empty())
        {
            all.extend(more);
        }
        assert_eq!(all.len() as u64, size);
        assert_eq!(tree(&all).root(size), Some(journal.root()));
    }

    #[test]
    fn a_store_that_never_archived_is_read_as_well_and_put_away_bit_by_bit() {
        let folder = tempfile::tempdir().unwrap();
        let size = 7 * SEGMENT;
        let (disk, archive, journal) = filled(folder.path(), size, false);
        let proven = |index: u64| {
            let ledger = Ledger::open(&disk, &archive).unwrap();
            let (entry, proof) = ledger.inclusion(index, size).unwrap();
            verify_inclusion(leaf_hash(&entry), index, size, &proof, &journal.root()).unwrap();
        };
        proven(5);
        // What a crash has left before the store dropped the segment is written again.
        fs::create_dir_all(&archive.folder).unwrap();
        fs::write(archive.path(LogId { node: NODE, born: 3 }, 0), b"half of it").unwrap();
        assert_eq!(archive.put_away(&disk).unwrap(), AT_ONCE);
        proven(5);
        assert_eq!(archive.put_away(&disk).unwrap(), 2);
        assert_eq!(archive.put_away(&disk).unwrap(), 0);
        proven(6 * SEGMENT);
        let bytes = || Ledger::open(&disk, &archive).unwrap().archived_bytes();
        let own = bytes();
        assert!(own > 6 * SEGMENT * 7);
        // What an earlier life of the node has left is no part of this log.
        fs::write(archive.path(LogId { node: NODE, born: 30 }, 0), vec![0; 1000]).unwrap();
        fs::write(archive.path(LogId { node: NODE, born: 2 }, 0), vec![0; 1000]).unwrap();
        assert_eq!(bytes(), own);
    }

    #[test]
    fn a_file_of_the_archive_that_was_altered_or_moved_is_told_and_the_others_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let (disk, archive, _) = filled(folder.path(), 5 * SEGMENT, true);
        let log = LogId { node: NODE, born: 3 };
        let mut bytes = fs::read(archive.path(log, 1)).unwrap();
        bytes[9] ^= 1;
        fs::write(archive.path(log, 1), &bytes).unwrap();
        fs::remove_file(archive.path(log, 2)).unwrap();
        let ledger = Ledger::open(&disk, &archive).unwrap();
        let reason =
            |index| ledger.inclusion(index, 5 * SEGMENT).map_err(|error| Refusal::from(error).reason);
        assert_eq!(reason(SEGMENT + 5), Err("log_altered".to_owned()));
        assert_eq!(reason(2 * SEGMENT), Err("log_moved_elsewhere".to_owned()));
        assert!(reason(0).is_ok() && reason(3 * SEGMENT).is_ok());
    }
}
