//! The node's records, its inbox and its incarnation in one `redb` database.

pub(crate) mod entries;

use crate::{
    inbox::{self, InboxEntry, InboxNumber},
    shadow::Shadow,
    unflushed::Unflushed,
};
use cosmosmesh_protocol::{
    identity::{Did, PublicKey},
    node::{Batch, Change, Ticket},
};
use redb::{
    Builder, Database, Durability, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _,
    StorageBackend, TableDefinition, WriteTransaction, backends::FileBackend,
};
use std::{
    fs::{File, OpenOptions},
    io,
    panic::{self, AssertUnwindSafe},
    path::Path,
};

const RECORDS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("records");
const INBOX: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("inbox");
/// Running numbers: of the inbox, of incarnations; and the format's.
const NUMBERS: TableDefinition<'static, &str, u64> = TableDefinition::new("numbers");
/// Which store it is, and whose.
const TITLE: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("title");
const STORE: &str = "store";
const KEY: &str = "key";
const INCARNATION: &str = "incarnation";
const NEXT_IN_INBOX: &str = "next in inbox";
/// Bytes of the inbox's entries.
const INBOX_BYTES: &str = "bytes in inbox";
const FORMAT: &str = "format";
/// The last ticket that is durable, counted from 1, and 0 at the start of an incarnation.
const TICKETS: &str = "tickets";
/// Bytes of the inbox that are looked at in one go.
const EXAMINED_BYTES: usize = 1 << 20;
/// Version of what the tables hold.
const FORMAT_VERSION: u64 = 1;

/// Which store it is, and whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Title {
    /// Random, from when it was begun.
    pub(crate) store: [u8; 16],
    /// The public key of the node that it is the memory of.
    pub(crate) key: [u8; 32],
}

impl Title {
    /// [`DiskError::Key`] where the keys differ.
    pub(crate) fn check_key(&self, own: &PublicKey) -> Result<(), DiskError> {
        if self.key == *own.as_bytes() {
            return Ok(());
        }
        let found = PublicKey::from_bytes(&self.key).map_err(|_| DiskError::Damaged)?;
        let [found, own] = [found, own.clone()].map(|key| Box::new(Did::new(key)));
        Err(DiskError::Key { found, own })
    }
}

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
    /// There was a store, and there is none.
    #[error("the store is gone: a file was here, and it held what was acknowledged")]
    Gone,
    /// The file holds nothing: no store is ever so.
    #[error("the file is empty, which no store is")]
    Empty,
    /// It is not the store that was here.
    #[error("another store is here than there was")]
    Other,
    /// It is an older state of the store than what was acknowledged.
    #[error("the store is older than what was acknowledged")]
    Older,
    /// It is the store of another node.
    #[error("it is the store of {found}, and the key here is that of {own}")]
    Key {
        /// Whose store it is.
        found: Box<Did>,
        /// Whose key is here.
        own: Box<Did>,
    },
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
    /// Whether the database takes nothing any more until it is opened again: it had an error of its file.
    pub(crate) const fn needs_reopening(&self) -> bool {
        matches!(
            self,
            Self::Database(redb::Error::Io(_) | redb::Error::PreviousIo | redb::Error::LockPoisoned(_))
        )
    }

    /// Whether the file is there and is no store of ours, or no longer: trying again does not help, and what is in it should be kept.
    #[must_use]
    pub fn is_corruption(&self) -> bool {
        match self {
            Self::Database(
                redb::Error::Corrupted(_) | redb::Error::UpgradeRequired(_) | redb::Error::RepairAborted,
            )
            | Self::Format { .. }
            | Self::Damaged
            | Self::Gone
            | Self::Empty
            | Self::Other
            | Self::Older
            | Self::Key { .. }
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

/// Makes a storage of the file of a store.
pub type OpenStore = Box<dyn Fn(File) -> Result<Box<dyn StorageBackend>, DiskError> + Send + Sync>;

/// The storage of a file, flushed or not as for [`Disk::open_existing`].
pub(crate) fn plain(flushed: bool) -> OpenStore {
    Box::new(move |file| {
        let file = FileBackend::new(file)?;
        Ok(if flushed { Box::new(file) } else { Box::new(Unflushed(file)) })
    })
}

/// The file of a store, which is there.
fn existing(path: &Path) -> Result<File, DiskError> {
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(DiskError::Gone),
        other => other?,
    };
    if file.metadata()?.len() == 0 {
        return Err(DiskError::Empty);
    }
    Ok(file)
}

/// Key and value of a kept record.
pub type Record = (Vec<u8>, Vec<u8>);

/// A store that is looked at, and may be kept: until then nothing was written to its file, not even that it was open.
pub(crate) struct Look {
    disk: Disk,
    shadow: Shadow,
}

impl Look {
    /// What there is to see. What is written to it is not written to the file.
    pub(crate) const fn disk(&self) -> &Disk {
        &self.disk
    }

    /// It is the store that is wanted: it was open, and repaired where that was needed.
    ///
    /// # Errors
    /// [`DiskError::File`]: the file cannot be written.
    pub(crate) fn keep(self) -> Result<Disk, DiskError> {
        let Self { disk, shadow } = self;
        // Where the storage has panicked, nothing more is written.
        guarded(|| Ok(shadow.keep()?))?;
        Ok(disk)
    }
}

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

    /// Opens the database at `path`, which is there. `flushed`: what is committed survives the end of the machine too; otherwise it survives the
    /// end of the process at any moment, and not that of the machine, after which the file may be unreadable.
    ///
    /// # Errors
    /// [`DiskError`]; [`DiskError::Gone`] and [`DiskError::Empty`] where none is there.
    pub fn open_existing(path: impl AsRef<Path>, flushed: bool) -> Result<Self, DiskError> {
        let file = existing(path.as_ref())?;
        if flushed {
            return guarded(|| Self::prepare(Builder::new().create_with_backend(FileBackend::new(file)?)?));
        }
        guarded(|| Self::prepare(Builder::new().create_with_backend(Unflushed(FileBackend::new(file)?))?))
    }

    /// Opens the database at `path` to look at it, whatever it is: nothing is written to the file unless it is kept.
    ///
    /// # Errors
    /// [`DiskError`]; [`DiskError::Gone`] and [`DiskError::Empty`] where none is there.
    pub(crate) fn look(path: &Path, storage: &OpenStore) -> Result<Look, DiskError> {
        let file = existing(path)?;
        let length = file.metadata()?.len();
        guarded(|| {
            let shadow = Shadow::new(storage(file)?, length);
            let mut builder = Builder::new();
            builder.set_repair_callback(|repair| {
                if repair.progress() == 0.0 {
                    tracing::info!("the store was not closed in order: all of it is looked through");
                }
            });
            let disk = Self::prepare(builder.create_with_backend(shadow.clone())?)?;
            Ok(Look { disk, shadow })
        })
    }

    /// Begins a store in a file that is empty. Its first incarnation will be `incarnation`.
    pub(crate) fn begin(file: File, title: &Title, incarnation: u32) -> Result<Self, DiskError> {
        guarded(|| {
            let disk = Self::prepare(Builder::new().create_with_backend(FileBackend::new(file)?)?)?;
            disk.set_title(title)?;
            disk.transact(|transaction| {
                let before = u64::from(incarnation.saturating_sub(1));
                transaction.open_table(NUMBERS)?.insert(INCARNATION, before)?;
                Ok(())
            })?;
            Ok(disk)
        })
    }

    /// The same over a storage of the caller's, such as one that loses power in a test.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn open_on(backend: impl StorageBackend) -> Result<Self, DiskError> {
        guarded(|| Self::prepare(Builder::new().create_with_backend(backend)?))
    }

    fn prepare(database: Database) -> Result<Self, DiskError> {
        let disk = Self { database };
        // Nothing is written to a store before it is known to be one of ours.
        match disk.format()? {
            Some(FORMAT_VERSION) => disk.count_inbox()?,
            Some(found) => return Err(DiskError::Format { found }),
            None => disk.transact(|transaction| {
                transaction.open_table(RECORDS)?;
                transaction.open_table(INBOX)?;
                let mut numbers = transaction.open_table(NUMBERS)?;
                numbers.insert(FORMAT, FORMAT_VERSION)?;
                numbers.insert(INBOX_BYTES, 0)?;
                Ok(())
            })?,
        }
        Ok(disk)
    }

    /// Counts the inbox's bytes in a store of a version that did not.
    fn count_inbox(&self) -> Result<(), DiskError> {
        let reading = self.database.begin_read()?;
        if reading.open_table(NUMBERS)?.get(INBOX_BYTES)?.is_some() {
            return Ok(());
        }
        let mut bytes = 0;
        for entry in reading.open_table(INBOX)?.iter()? {
            bytes += entry?.1.value().len() as u64;
        }
        self.transact(|transaction| {
            transaction.open_table(NUMBERS)?.insert(INBOX_BYTES, bytes)?;
            Ok(())
        })
    }

    /// Which store it is; none of a version that did not say it.
    pub(crate) fn title(&self) -> Result<Option<Title>, DiskError> {
        guarded(|| {
            let table = match self.database.begin_read()?.open_table(TITLE) {
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
                other => other?,
            };
            let (store, key) = (table.get(STORE)?, table.get(KEY)?);
            let (Some(store), Some(key)) = (store, key) else { return Err(DiskError::Damaged) };
            let damaged = |_| DiskError::Damaged;
            let store = store.value().try_into().map_err(damaged)?;
            Ok(Some(Title { store, key: key.value().try_into().map_err(damaged)? }))
        })
    }

    pub(crate) fn set_title(&self, title: &Title) -> Result<(), DiskError> {
        self.transact(|transaction| {
            let mut table = transaction.open_table(TITLE)?;
            table.insert(STORE, title.store.as_slice())?;
            table.insert(KEY, title.key.as_slice())?;
            Ok(())
        })
    }

    /// Its incarnation, and how many of that one's tickets are durable.
    pub(crate) fn standing(&self) -> Result<(u32, u64), DiskError> {
        guarded(|| {
            let numbers = self.database.begin_read()?.open_table(NUMBERS)?;
            let number = |name| Ok::<u64, DiskError>(numbers.get(name)?.map_or(0, |number| number.value()));
            let incarnation = u32::try_from(number(INCARNATION)?).map_err(|_| DiskError::Damaged)?;
            Ok((incarnation, number(TICKETS)?))
        })
    }

    /// The version of what the tables hold; none of a new file.
    fn format(&self) -> Result<Option<u64>, DiskError> {
        match self.database.begin_read()?.open_table(NUMBERS) {
            Ok(numbers) => Ok(numbers.get(FORMAT)?.map(|number| number.value())),
            Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads all that is there, but for the entries of the log: a file that was damaged is found now, and not when somebody asks for what it held.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn examine(&self) -> Result<(), DiskError> {
        guarded(|| {
            self.records()?;
            let mut after = None;
            while let Some(last) = self.inbox_within(after, 256, EXAMINED_BYTES)?.last() {
                after = Some(last.number);
            }
            Ok(())
        })
    }

    /// Begins a new incarnation of the node: 1 at first, or what the store was begun with, then one more each time. Durable when it returns.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn begin_incarnation(&self) -> Result<u32, DiskError> {
        self.transact(|transaction| {
            let mut numbers = transaction.open_table(NUMBERS)?;
            let last = numbers.get(INCARNATION)?.map_or(0, |number| number.value());
            let next = u32::try_from(last + 1).map_err(|_| DiskError::Incarnations)?;
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
        Ok(self.standing()?.1 > ticket.0)
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
            let mut bytes = numbers.get(INBOX_BYTES)?.map_or(0, |number| number.value());
            if let Some(taken) = taken {
                table.retain_in(..=taken.0, |_, value| {
                    bytes = bytes.saturating_sub(value.len() as u64);
                    false
                })?;
            }
            let mut next = numbers.get(NEXT_IN_INBOX)?.map_or(0, |number| number.value());
            for batch in batches {
                let messages = batch.deliveries.iter().map(inbox::encode_message);
                for value in messages.chain(batch.bundles.iter().map(inbox::encode_bundle)) {
                    table.insert(next, value.as_slice())?;
                    bytes += value.len() as u64;
                    next += 1;
                }
            }
            numbers.insert(NEXT_IN_INBOX, next)?;
            numbers.insert(INBOX_BYTES, bytes)?;
            Ok(())
        })
    }

    /// All kept records in the order of their keys, for `Node::restore`; but for the entries of the log, which it does not ask for.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn records(&self) -> Result<Vec<Record>, DiskError> {
        guarded(|| {
            let table = self.database.begin_read()?.open_table(RECORDS)?;
            let mut records = Vec::new();
            for entry in table.range(..entries::FIRST)?.chain(table.range(entries::END..)?) {
                let (key, value) = entry?;
                records.push((key.value().to_vec(), value.value().to_vec()));
            }
            Ok(records)
        })
    }

    /// The oldest message that the application has not taken.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn next_in_inbox(&self) -> Result<Option<InboxEntry>, DiskError> {
        Ok(self.inbox_within(None, 1, usize::MAX)?.pop())
    }

    /// Messages that the application has not taken, the oldest first: those after `after`, at most `most`.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn inbox_after(&self, after: Option<InboxNumber>, most: usize) -> Result<Vec<InboxEntry>, DiskError> {
        self.inbox_within(after, most, usize::MAX)
    }

    /// The same, of at most `most_bytes`: but one message at least, however large.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn inbox_within(
        &self,
        after: Option<InboxNumber>,
        most: usize,
        most_bytes: usize,
    ) -> Result<Vec<InboxEntry>, DiskError> {
        let Some(first) = after.map_or(Some(0), |after| after.0.checked_add(1)) else {
            return Ok(Vec::new());
        };
        guarded(|| {
            let table = self.database.begin_read()?.open_table(INBOX)?;
            let (mut entries, mut bytes) = (Vec::new(), 0_usize);
            for entry in table.range(first..)?.take(most) {
                let (number, value) = entry?;
                bytes = bytes.saturating_add(value.value().len());
                if bytes > most_bytes && !entries.is_empty() {
                    break;
                }
                let number = InboxNumber(number.value());
                let received = inbox::decode(value.value()).ok_or(DiskError::Inbox(number))?;
                entries.push(InboxEntry { number, received });
            }
            Ok(entries)
        })
    }

    /// How many messages the application has not taken, and how many bytes they are.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn inbox_size(&self) -> Result<(u64, u64), DiskError> {
        guarded(|| {
            let reading = self.database.begin_read()?;
            let bytes = reading.open_table(NUMBERS)?.get(INBOX_BYTES)?.map_or(0, |number| number.value());
            Ok((reading.open_table(INBOX)?.len()?, bytes))
        })
    }

    /// The application has dealt with a message: it does not come again, not even after a crash.
    ///
    /// # Errors
    /// [`DiskError`]; the message is then still there.
    pub fn take(&self, number: InboxNumber) -> Result<(), DiskError> {
        self.transact(|transaction| {
            let gone =
                transaction.open_table(INBOX)?.remove(number.0)?.map_or(0, |value| value.value().len());
            let mut numbers = transaction.open_table(NUMBERS)?;
            let bytes = numbers.get(INBOX_BYTES)?.map_or(0, |number| number.value());
            numbers.insert(INBOX_BYTES, bytes.saturating_sub(gone as u64))?;
            Ok(())
        })
    }

    fn transact<T>(
        &self,
        body: impl FnOnce(&WriteTransaction) -> Result<T, DiskError>,
    ) -> Result<T, DiskError> {
        guarded(|| {
            let mut transaction = self.database.begin_write()?;
            transaction.set_durability(Durability::Immediate)?;
            transaction.set_two_phase_commit(true);
            let result = body(&transaction)?;
            transaction.commit()?;
            Ok(result)
        })
    }
}

/// Works on a file that may be damaged: the database panics where its pages contradict each other. What has panicked is of no use any more.
fn guarded<T>(read: impl FnOnce() -> Result<T, DiskError>) -> Result<T, DiskError> {
    panic::catch_unwind(AssertUnwindSafe(read)).unwrap_or(Err(DiskError::Damaged))
}
