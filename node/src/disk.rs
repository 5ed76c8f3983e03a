//! The node's records, its inbox and its incarnation in one `redb` database.

use crate::inbox::{self, InboxEntry, InboxNumber};
use cosmosmesh_protocol::node::{Batch, Change, Ticket};
use redb::{
    BackendError, Builder, Database, Durability, ReadableDatabase as _, ReadableTable as _,
    ReadableTableMetadata as _, StorageBackend, TableDefinition, WriteTransaction, backends::FileBackend,
};
use std::{
    fs::OpenOptions,
    io,
    ops::Bound,
    panic::{self, AssertUnwindSafe},
    path::Path,
};

const RECORDS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("records");
const INBOX: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("inbox");
/// Running numbers: of the inbox, of incarnations; and the format's.
const NUMBERS: TableDefinition<'static, &str, u64> = TableDefinition::new("numbers");
const INCARNATION: &str = "incarnation";
const NEXT_IN_INBOX: &str = "next in inbox";
const FORMAT: &str = "format";
/// The last ticket that is durable, counted from 1, and 0 at the start of an incarnation.
const TICKETS: &str = "tickets";
/// Version of what the tables hold.
const FORMAT_VERSION: u64 = 1;

/// Why the disk could not do it. Nothing is half done: what was asked for is there as a whole or not at all.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The database.
    #[error(transparent)]
    Database(#[from] redb::Error),
    /// The file is of another version.
    #[error("format {found}: this version reads format {FORMAT_VERSION}")]
    Format {
        /// Its version.
        found: u64,
    },
    /// An entry of the inbox that this version did not write.
    #[error("malformed inbox entry {}", .0.0)]
    Inbox(InboxNumber),
    /// Parts of the file contradict each other.
    #[error("damaged: its parts contradict each other")]
    Damaged,
    /// The file cannot be opened.
    #[error(transparent)]
    File(#[from] io::Error),
    /// Every number of an incarnation was used.
    #[error("no incarnation is left")]
    Incarnations,
}

macro_rules! from_redb {
    ($($error:ident),*) => { $(
        impl From<redb::$error> for DiskError {
            fn from(error: redb::$error) -> Self {
                Self::Database(error.into())
            }
        }
    )* };
}
from_redb!(DatabaseError, TransactionError, TableError, StorageError, CommitError, SetDurabilityError);

impl DiskError {
    /// Whether the file is there and is no store of ours, or no longer: trying again does not help, and what is in it should be kept.
    #[must_use]
    pub fn is_corruption(&self) -> bool {
        match self {
            Self::Database(
                redb::Error::Corrupted(_) | redb::Error::UpgradeRequired(_) | redb::Error::RepairAborted,
            )
            | Self::Format { .. }
            | Self::Damaged
            | Self::Inbox(_) => true,
            Self::Database(redb::Error::Io(error)) => {
                matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
            }
            Self::Database(
                redb::Error::TableTypeMismatch { .. } | redb::Error::TypeDefinitionChanged { .. },
            ) => true,
            Self::Database(_) | Self::File(_) | Self::Incarnations => false,
        }
    }
}

/// Key and value of a kept record.
pub type Record = (Vec<u8>, Vec<u8>);

/// A host's durable memory.
///
/// A [`Batch`] is one transaction in two phases: records, the floor that tells duplicates, and the messages for the
/// application become durable together. Answer [`cosmosmesh_protocol::node::Input::Persisted`] when [`Disk::commit`] has returned.
#[derive(Debug)]
pub struct Disk {
    database: Database,
}

impl Disk {
    /// Opens the database at `path`, or makes it. After a power loss it is what the last finished commit left.
    ///
    /// # Errors
    /// [`DiskError`]; also when another process has it open.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, DiskError> {
        guarded(|| Self::prepare(Builder::new().create(path)?))
    }

    /// The same without flushing anything: what is committed survives the end of the process at any moment, and not that of the machine,
    /// after which the file may be unreadable.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn open_unflushed(path: impl AsRef<Path>) -> Result<Self, DiskError> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let backend = Unflushed(FileBackend::new(file)?);
        guarded(|| Self::prepare(Builder::new().create_with_backend(backend)?))
    }

    /// The same over a storage of the caller's, such as one that loses power in a test.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn open_on(backend: impl StorageBackend) -> Result<Self, DiskError> {
        Self::prepare(Builder::new().create_with_backend(backend)?)
    }

    fn prepare(database: Database) -> Result<Self, DiskError> {
        let disk = Self { database };
        // Nothing is written to a store before it is known to be one of ours.
        match disk.format()? {
            Some(FORMAT_VERSION) => return Ok(disk),
            Some(found) => return Err(DiskError::Format { found }),
            None => {}
        }
        disk.transact(|transaction| {
            transaction.open_table(RECORDS)?;
            transaction.open_table(INBOX)?;
            transaction.open_table(NUMBERS)?.insert(FORMAT, FORMAT_VERSION)?;
            Ok(())
        })?;
        Ok(disk)
    }

    /// The version of what the tables hold; none of a new file.
    fn format(&self) -> Result<Option<u64>, DiskError> {
        match self.database.begin_read()?.open_table(NUMBERS) {
            Ok(numbers) => Ok(numbers.get(FORMAT)?.map(|number| number.value())),
            Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads all that is there: a file that was damaged is found now, and not when somebody asks for what it held.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn examine(&self) -> Result<(), DiskError> {
        guarded(|| {
            self.records()?;
            let mut after = None;
            while let Some(last) = self.inbox_after(after, 256)?.last() {
                after = Some(last.number);
            }
            Ok(())
        })
    }

    /// Begins a new incarnation of the node: 1 at first, then one more each time. Durable when it returns.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn begin_incarnation(&self) -> Result<u32, DiskError> {
        self.begin_incarnation_from(1)
    }

    /// The same, with no number below `least`: for a store that takes the place of one which was lost with its count.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn begin_incarnation_from(&self, least: u32) -> Result<u32, DiskError> {
        self.transact(|transaction| {
            let mut numbers = transaction.open_table(NUMBERS)?;
            let last = numbers.get(INCARNATION)?.map_or(0, |number| number.value());
            let next = u32::try_from(last + 1).map_err(|_| DiskError::Incarnations)?.max(least);
            numbers.insert(INCARNATION, u64::from(next))?;
            numbers.insert(TICKETS, 0)?;
            Ok(next)
        })
    }

    /// Whether the batch of this ticket is durable, where its commit gave an error that leaves it open.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn has(&self, ticket: Ticket) -> Result<bool, DiskError> {
        let numbers = self.database.begin_read()?.open_table(NUMBERS)?;
        Ok(numbers.get(TICKETS)?.is_some_and(|tickets| tickets.value() > ticket.0))
    }

    /// Makes a batch durable: all of it, or nothing of it.
    ///
    /// # Errors
    /// [`DiskError`]; the batch is then not there, and the node must not be told that it is.
    pub fn commit(&self, batch: &Batch) -> Result<(), DiskError> {
        self.commit_all(std::slice::from_ref(batch), None)
    }

    /// Makes several batches durable in one transaction, in their order, and takes the messages up to `taken` out of the inbox: a group
    /// costs as much waiting as one.
    ///
    /// # Errors
    /// [`DiskError`]; then nothing of it is there, unless [`Disk::has`] says so.
    pub fn commit_all(&self, batches: &[Batch], taken: Option<InboxNumber>) -> Result<(), DiskError> {
        self.transact(|transaction| {
            let mut records = transaction.open_table(RECORDS)?;
            for change in batches.iter().flat_map(|batch| &batch.changes) {
                match change {
                    Change::Put { key, value } => drop(records.insert(key.as_slice(), value.as_slice())?),
                    Change::Delete { key } => drop(records.remove(key.as_slice())?),
                }
            }
            let mut numbers = transaction.open_table(NUMBERS)?;
            if let Some(last) = batches.last() {
                numbers.insert(TICKETS, last.ticket.0 + 1)?;
            }
            let delivers = |batch: &Batch| !batch.deliveries.is_empty() || !batch.bundles.is_empty();
            if taken.is_none() && !batches.iter().any(delivers) {
                return Ok(());
            }
            let mut table = transaction.open_table(INBOX)?;
            if let Some(taken) = taken {
                table.retain_in(..=taken.0, |_, _| false)?;
            }
            let mut next = numbers.get(NEXT_IN_INBOX)?.map_or(0, |number| number.value());
            for batch in batches {
                let messages = batch.deliveries.iter().map(inbox::encode_message);
                for value in messages.chain(batch.bundles.iter().map(inbox::encode_bundle)) {
                    table.insert(next, value.as_slice())?;
                    next += 1;
                }
            }
            numbers.insert(NEXT_IN_INBOX, next)?;
            Ok(())
        })
    }

    /// All kept records in the order of their keys, for `Node::restore`.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn records(&self) -> Result<Vec<Record>, DiskError> {
        let table = self.database.begin_read()?.open_table(RECORDS)?;
        let mut records = Vec::new();
        for entry in table.iter()? {
            let (key, value) = entry?;
            records.push((key.value().to_vec(), value.value().to_vec()));
        }
        Ok(records)
    }

    /// The oldest message that the application has not taken.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn next_in_inbox(&self) -> Result<Option<InboxEntry>, DiskError> {
        let table = self.database.begin_read()?.open_table(INBOX)?;
        let Some((number, value)) = table.first()? else { return Ok(None) };
        let number = InboxNumber(number.value());
        let received = inbox::decode(value.value()).ok_or(DiskError::Inbox(number))?;
        Ok(Some(InboxEntry { number, received }))
    }

    /// Messages that the application has not taken, the oldest first: those after `after`, at most `most`.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn inbox_after(&self, after: Option<InboxNumber>, most: usize) -> Result<Vec<InboxEntry>, DiskError> {
        let table = self.database.begin_read()?.open_table(INBOX)?;
        let Some(first) = after.map_or(Some(0), |after| after.0.checked_add(1)) else {
            return Ok(Vec::new());
        };
        let mut entries = Vec::new();
        for entry in table.range(first..)?.take(most) {
            let (number, value) = entry?;
            let number = InboxNumber(number.value());
            let received = inbox::decode(value.value()).ok_or(DiskError::Inbox(number))?;
            entries.push(InboxEntry { number, received });
        }
        Ok(entries)
    }

    /// How many messages the application has not taken.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn inbox_len(&self) -> Result<u64, DiskError> {
        Ok(self.database.begin_read()?.open_table(INBOX)?.len()?)
    }

    /// The application has dealt with a message: it does not come again, not even after a crash.
    ///
    /// # Errors
    /// [`DiskError`]; the message is then still there.
    pub fn take(&self, number: InboxNumber) -> Result<(), DiskError> {
        self.transact(|transaction| {
            transaction.open_table(INBOX)?.remove(number.0)?;
            Ok(())
        })
    }

    fn transact<T>(
        &self,
        body: impl FnOnce(&WriteTransaction) -> Result<T, DiskError>,
    ) -> Result<T, DiskError> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        transaction.set_two_phase_commit(true);
        let result = body(&transaction)?;
        transaction.commit()?;
        Ok(result)
    }
}

/// Reads a file that may be damaged: the database panics where its pages contradict each other.
fn guarded<T>(read: impl FnOnce() -> Result<T, DiskError>) -> Result<T, DiskError> {
    panic::catch_unwind(AssertUnwindSafe(read)).unwrap_or(Err(DiskError::Damaged))
}

/// A file that is never flushed.
#[derive(Debug)]
struct Unflushed(FileBackend);

impl StorageBackend for Unflushed {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.try_lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.unlock_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.lock_shared_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.query_lock_range(start, end)
    }
}
