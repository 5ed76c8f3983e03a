//! The node's records, its inbox and its incarnation in one `redb` database.

use crate::inbox::{self, InboxEntry, InboxNumber};
use cosmosmesh_protocol::node::{Batch, Change};
use redb::{
    Builder, Database, Durability, ReadableDatabase as _, ReadableTable as _, StorageBackend,
    TableDefinition, WriteTransaction,
};
use std::path::Path;

const RECORDS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("records");
const INBOX: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("inbox");
/// Running numbers: of the inbox, of incarnations; and the format's.
const NUMBERS: TableDefinition<'static, &str, u64> = TableDefinition::new("numbers");
const INCARNATION: &str = "incarnation";
const NEXT_IN_INBOX: &str = "next in inbox";
const FORMAT: &str = "format";
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
        Self::prepare(Builder::new().create(path)?)
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
        disk.transact(|transaction| {
            transaction.open_table(RECORDS)?;
            transaction.open_table(INBOX)?;
            let mut numbers = transaction.open_table(NUMBERS)?;
            let found = numbers.get(FORMAT)?.map(|number| number.value());
            match found {
                None => drop(numbers.insert(FORMAT, FORMAT_VERSION)?),
                Some(FORMAT_VERSION) => {}
                Some(found) => return Err(DiskError::Format { found }),
            }
            Ok(())
        })?;
        Ok(disk)
    }

    /// Begins a new incarnation of the node: 1 at first, then one more each time. Durable when it returns.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn begin_incarnation(&self) -> Result<u32, DiskError> {
        self.transact(|transaction| {
            let mut numbers = transaction.open_table(NUMBERS)?;
            let last = numbers.get(INCARNATION)?.map_or(0, |number| number.value());
            let next = u32::try_from(last + 1).map_err(|_| DiskError::Incarnations)?;
            numbers.insert(INCARNATION, u64::from(next))?;
            Ok(next)
        })
    }

    /// Makes a batch durable: all of it, or nothing of it.
    ///
    /// # Errors
    /// [`DiskError`]; the batch is then not there, and the node must not be told that it is.
    pub fn commit(&self, batch: &Batch) -> Result<(), DiskError> {
        self.transact(|transaction| {
            let mut records = transaction.open_table(RECORDS)?;
            for change in &batch.changes {
                match change {
                    Change::Put { key, value } => drop(records.insert(key.as_slice(), value.as_slice())?),
                    Change::Delete { key } => drop(records.remove(key.as_slice())?),
                }
            }
            if batch.deliveries.is_empty() && batch.bundles.is_empty() {
                return Ok(());
            }
            let mut numbers = transaction.open_table(NUMBERS)?;
            let mut next = numbers.get(NEXT_IN_INBOX)?.map_or(0, |number| number.value());
            let mut table = transaction.open_table(INBOX)?;
            let messages = batch.deliveries.iter().map(inbox::encode_message);
            for value in messages.chain(batch.bundles.iter().map(inbox::encode_bundle)) {
                table.insert(next, value.as_slice())?;
                next += 1;
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
