//! The disk's own thread: groups of batches in one transaction, tried again until the disk can, and never acknowledged before.

use crate::{
    archive::{Archive, ArchiveError, Ledger},
    disk::{Disk, DiskError, entries},
    inbox::{InboxEntry, InboxNumber},
    mailbox::{Event, Mailbox},
};
use cosmosmesh_protocol::{id::NodeId, node::Batch};
use std::{
    fs::{self, Metadata},
    io,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// What is told of a store that failed where nothing was to be committed.
const FAILED: &str = "its file could not be read or written";
/// Bytes of the inbox that are read for one who asks.
const MAX_READ_BYTES: usize = 2 << 20;
/// How long a disk that fails is left alone.
const REST: Duration = Duration::from_millis(500);

/// What becomes durable as one.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// The node's batches, in their order.
    pub(crate) batches: Vec<Batch>,
    /// The application has dealt with the inbox up to here.
    pub(crate) taken: Option<InboxNumber>,
}

/// How a store is opened, and opened again after it failed.
pub(crate) type Opener = Box<dyn Fn() -> Result<Disk, DiskError> + Send + Sync>;

/// The disk as threads share it: one writes, others read the inbox.
pub(crate) struct Store {
    /// Empty while a disk that failed is not open again.
    disk: RwLock<Option<Disk>>,
    open: Opener,
    path: PathBuf,
    /// Which file it is that is open.
    file: Mutex<Option<FileId>>,
    incarnation: u32,
    /// Tickets of this incarnation whose durability was told.
    durable: AtomicU64,
    /// Counts deliveries, so that who waits for one notices.
    deliveries: Mutex<u64>,
    delivered: Condvar,
    archive: Archive,
    /// Whether the log may have grown by a segment.
    archive_due: AtomicBool,
    /// Whether somebody has found that the database takes nothing any more, though no commit has.
    needs_reopening: AtomicBool,
}

impl Store {
    /// Of the disk that is the file at `path`, and the memory of `node`.
    ///
    /// # Errors
    /// [`DiskError`].
    pub(crate) fn new(disk: Disk, open: Opener, path: PathBuf, node: NodeId) -> Result<Arc<Self>, DiskError> {
        let (incarnation, durable) = disk.standing()?;
        let file = Mutex::new(Some(file_id(&path)?));
        let (durable, deliveries, delivered) = (AtomicU64::new(durable), Mutex::new(0), Condvar::new());
        let disk = RwLock::new(Some(disk));
        let (archive, archive_due) = (Archive::beside(&path, node), AtomicBool::new(true));
        archive.clear();
        Ok(Arc::new(Self {
            disk,
            open,
            path,
            file,
            incarnation,
            durable,
            deliveries,
            delivered,
            archive,
            archive_due,
            needs_reopening: AtomicBool::new(false),
        }))
    }

    /// Messages that wait, after `after`, not much more than [`MAX_READ_BYTES`]; waits for one at most for `patience`. None while the disk fails.
    pub(crate) fn inbox(
        &self,
        after: Option<InboxNumber>,
        most: usize,
        patience: Duration,
    ) -> Result<Vec<InboxEntry>, DiskError> {
        let seen = *self.deliveries.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = self.read(after, most)?;
        if !entries.is_empty() || patience.is_zero() {
            return Ok(entries);
        }
        let guard = self.deliveries.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.delivered.wait_timeout_while(guard, patience, |deliveries| *deliveries == seen));
        self.read(after, most)
    }

    fn read(&self, after: Option<InboxNumber>, most: usize) -> Result<Vec<InboxEntry>, DiskError> {
        match &*self.disk.read().unwrap_or_else(PoisonError::into_inner) {
            Some(disk) => {
                disk.inbox_within(after, most, MAX_READ_BYTES).inspect_err(|error| self.suspect(error))
            }
            None => Ok(Vec::new()),
        }
    }

    /// Something has failed that was no commit: where the database is of no use now, it is opened again, whether anything is to be committed or not.
    fn suspect(&self, error: &DiskError) {
        if error.needs_reopening() {
            self.needs_reopening.store(true, Ordering::Relaxed);
        }
    }

    /// The incarnation, and how many of its batches are durable.
    pub(crate) fn standing(&self) -> (u32, u64) {
        (self.incarnation, self.durable.load(Ordering::Relaxed))
    }

    /// How many messages wait, and how many bytes they are; not known while the disk fails.
    pub(crate) fn inbox_size(&self) -> Option<(u64, u64)> {
        self.disk.read().unwrap_or_else(PoisonError::into_inner).as_ref()?.inbox_size().ok()
    }

    /// Reads the log: what is in the store, and what was archived.
    pub(crate) fn log<T>(
        &self,
        read: impl FnOnce(&Ledger<'_>) -> Result<T, ArchiveError>,
    ) -> Result<T, ArchiveError> {
        match &*self.disk.read().unwrap_or_else(PoisonError::into_inner) {
            Some(disk) => {
                Ledger::open(disk, &self.archive).and_then(|ledger| read(&ledger)).inspect_err(|error| {
                    if let ArchiveError::Disk(error) = error {
                        self.suspect(error);
                    }
                })
            }
            None => Err(DiskError::Gone.into()),
        }
    }

    /// Archives what of the log the store need not hold. What cannot be archived stays where it is.
    fn put_away(&self) {
        if !self.archive_due.swap(false, Ordering::Relaxed) {
            return;
        }
        let Some(disk) = &*self.disk.read().unwrap_or_else(PoisonError::into_inner) else { return };
        match self.archive.put_away(disk) {
            // There may be more.
            Ok(done) => self.archive_due.store(done > 0, Ordering::Relaxed),
            Err(error) => {
                tracing::warn!(%error, "the log cannot be archived: its entries stay in the store");
                if let ArchiveError::Disk(error) = &error {
                    self.suspect(error);
                }
            }
        }
    }

    /// Wakes who waits for a delivery.
    fn announce(&self) {
        *self.deliveries.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.delivered.notify_all();
    }

    fn commit(&self, work: &Work) -> Result<(), DiskError> {
        if let Some(disk) = &*self.disk.read().unwrap_or_else(PoisonError::into_inner) {
            // A file that was removed can still be written, and nobody will ever read it.
            if Some(file_id(&self.path)?) != *self.file.lock().unwrap_or_else(PoisonError::into_inner) {
                return Err(DiskError::Gone);
            }
            disk.commit_all(&work.batches, work.taken)?;
        } else {
            let disk = (self.open)()?;
            let (incarnation, tickets) = disk.standing()?;
            if (incarnation, true) != (self.incarnation, tickets >= self.durable.load(Ordering::Relaxed)) {
                return Err(DiskError::Older);
            }
            // The commit that failed may be there nevertheless: messages would come twice.
            let there = work.batches.iter().take_while(|batch| batch.ticket.0 < tickets).count();
            disk.commit_all(&work.batches[there..], work.taken)?;
            *self.file.lock().unwrap_or_else(PoisonError::into_inner) = Some(file_id(&self.path)?);
            *self.disk.write().unwrap_or_else(PoisonError::into_inner) = Some(disk);
        }
        if work.batches.iter().any(|batch| entries::begins_segment(&batch.changes)) {
            self.archive_due.store(true, Ordering::Relaxed);
        }
        if let Some(last) = work.batches.last() {
            self.durable.store(last.ticket.0 + 1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Closes it. A database that has panicked may do so once more.
    fn close(&self) {
        let disk = self.disk.write().unwrap_or_else(PoisonError::into_inner).take();
        let _ = panic::catch_unwind(AssertUnwindSafe(|| drop(disk)));
    }
}

/// Which file a name leads to.
type FileId = (u64, u64);

#[cfg(unix)]
fn file_id(path: &Path) -> Result<FileId, DiskError> {
    use std::os::unix::fs::MetadataExt as _;
    let found = metadata(path)?;
    Ok((found.dev(), found.ino()))
}

/// Elsewhere a file that is open cannot be removed.
#[cfg(not(unix))]
fn file_id(path: &Path) -> Result<FileId, DiskError> {
    metadata(path).map(|_| (0, 0))
}

fn metadata(path: &Path) -> Result<Metadata, DiskError> {
    fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => DiskError::Gone,
        _ => error.into(),
    })
}

/// The thread that writes.
pub(crate) struct Keeper {
    work: Option<SyncSender<Work>>,
    gives_up: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(crate) fn start(store: Arc<Store>, mailbox: Arc<Mailbox>) -> io::Result<Self> {
        // The engine hands over the next group when it has heard of the one before.
        let (work, todo) = sync_channel(1);
        let gives_up = Arc::new(AtomicBool::new(false));
        let flag = gives_up.clone();
        let thread = thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || keep(&store, &mailbox, &todo, &flag))?;
        Ok(Self { work: Some(work), gives_up, thread: Some(thread) })
    }

    /// Hands over a group. The one before was answered. Says whether there is still a thread that writes.
    #[must_use]
    pub(crate) fn commit(&self, work: Work) -> bool {
        self.work.as_ref().is_some_and(|sender| sender.send(work).is_ok())
    }

    /// Ends the thread. A group that the disk cannot take is given up: nobody was told that it is durable.
    pub(crate) fn stop(&mut self) {
        self.gives_up.store(true, Ordering::Relaxed);
        self.work = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Tells when its thread ends by a defect of ours.
struct Alarm<'a>(&'a Mailbox);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.post_urgent(Event::StoreGone);
        }
    }
}

fn keep(store: &Store, mailbox: &Mailbox, todo: &Receiver<Work>, gives_up: &AtomicBool) {
    let _alarm = Alarm(mailbox);
    loop {
        match todo.recv_timeout(REST) {
            Ok(work) => {
                let Some(failed) = write(store, mailbox, &work, gives_up) else { return };
                let delivers = work
                    .batches
                    .iter()
                    .any(|batch| !batch.deliveries.is_empty() || !batch.bundles.is_empty());
                mailbox.post_urgent(Event::Durable(work));
                if delivers || failed {
                    store.announce();
                }
                store.put_away();
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if store.needs_reopening.swap(false, Ordering::Relaxed) {
            store.close();
            mailbox.post_urgent(Event::StoreFailing(FAILED.to_owned()));
            if write(store, mailbox, &Work::default(), gives_up).is_none() {
                return;
            }
            mailbox.post_urgent(Event::StoreMended);
            store.announce();
        }
    }
    store.close();
}

/// Writes a group, and tries again until the disk can. Says whether it could not at first; nothing where it is given up.
fn write(store: &Store, mailbox: &Mailbox, work: &Work, gives_up: &AtomicBool) -> Option<bool> {
    let mut failed = false;
    while let Err(error) = store.commit(work) {
        failed = true;
        // A database that had an error is of no use until it is opened again. One that was put away is whole, and may be put back.
        if !matches!(error, DiskError::Gone) {
            store.close();
        }
        mailbox.post_urgent(Event::StoreFailing(error.to_string()));
        thread::sleep(REST);
        if gives_up.load(Ordering::Relaxed) {
            return None;
        }
    }
    Some(failed)
}

#[cfg(test)]
mod tests;
