//! The disk's own thread: groups of batches in one transaction, tried again until the disk can, and never acknowledged before.

use crate::{
    disk::{Disk, DiskError},
    inbox::{InboxEntry, InboxNumber},
    mailbox::{Event, Mailbox},
};
use cosmosmesh_protocol::node::Batch;
use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

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
    /// Counts deliveries, so that who waits for one notices.
    deliveries: Mutex<u64>,
    delivered: Condvar,
}

impl Store {
    pub(crate) fn new(disk: Disk, open: Opener) -> Arc<Self> {
        let (deliveries, delivered) = (Mutex::new(0), Condvar::new());
        Arc::new(Self { disk: RwLock::new(Some(disk)), open, deliveries, delivered })
    }

    /// Messages that wait, after `after`; waits for one at most for `patience`. None while the disk fails.
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
            Some(disk) => disk.inbox_after(after, most),
            None => Ok(Vec::new()),
        }
    }

    /// How many messages wait; none known while the disk fails.
    pub(crate) fn inbox_len(&self) -> Option<u64> {
        self.disk.read().unwrap_or_else(PoisonError::into_inner).as_ref()?.inbox_len().ok()
    }

    /// Wakes who waits for a delivery.
    fn announce(&self) {
        *self.deliveries.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.delivered.notify_all();
    }

    fn commit(&self, work: &mut Work) -> Result<(), DiskError> {
        if let Some(disk) = &*self.disk.read().unwrap_or_else(PoisonError::into_inner) {
            return disk.commit_all(&work.batches, work.taken);
        }
        let disk = (self.open)()?;
        // The commit that failed may be there nevertheless: messages would come twice.
        let mut there = 0;
        while there < work.batches.len() && disk.has(work.batches[there].ticket)? {
            there += 1;
        }
        disk.commit_all(&work.batches[there..], work.taken)?;
        *self.disk.write().unwrap_or_else(PoisonError::into_inner) = Some(disk);
        Ok(())
    }

    fn close(&self) {
        *self.disk.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// The thread that writes.
pub(crate) struct Keeper {
    work: Option<SyncSender<Work>>,
    gives_up: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(crate) fn start(store: Arc<Store>, mailbox: Arc<Mailbox>) -> std::io::Result<Self> {
        // The engine hands over the next group when it has heard of the one before.
        let (work, todo) = sync_channel(1);
        let gives_up = Arc::new(AtomicBool::new(false));
        let flag = gives_up.clone();
        let thread = thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || keep(&store, &mailbox, &todo, &flag))?;
        Ok(Self { work: Some(work), gives_up, thread: Some(thread) })
    }

    /// Hands over a group. The one before was answered.
    pub(crate) fn commit(&self, work: Work) {
        if let Some(sender) = &self.work {
            // The thread ends only after this sender.
            let _ = sender.send(work);
        }
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

fn keep(store: &Store, mailbox: &Mailbox, todo: &Receiver<Work>, gives_up: &AtomicBool) {
    for mut work in todo {
        let mut failed = false;
        while let Err(error) = store.commit(&mut work) {
            failed = true;
            // A database that had an error is of no use until it is opened again.
            store.close();
            mailbox.post_urgent(Event::StoreFailing(error.to_string()));
            thread::sleep(REST);
            if gives_up.load(Ordering::Relaxed) {
                return;
            }
        }
        let delivers =
            work.batches.iter().any(|batch| !batch.deliveries.is_empty() || !batch.bundles.is_empty());
        mailbox.post_urgent(Event::Durable(work));
        if delivers || failed {
            store.announce();
        }
    }
    store.close();
}
