//! A store whose file fails where nothing is committed.

use super::*;
use crate::{
    archive::tests::{NODE, filled},
    disk::{Look, OpenStore},
    mailbox::Open,
};
use cosmosmesh_protocol::log::LogId;
use redb::{StorageBackend, backends::FileBackend};

/// When a file fails, once.
#[derive(Debug, Default)]
struct Faults {
    /// The next time that something is read.
    read: AtomicBool,
    /// The first time that something is written when this file is there.
    write_beside: Mutex<Option<PathBuf>>,
}

/// A file that fails now and then.
#[derive(Debug)]
struct Faulty(FileBackend, Arc<Faults>);

impl StorageBackend for Faulty {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.1.read.swap(false, Ordering::Relaxed) {
            return Err(io::Error::other("a fault, in a test"));
        }
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut beside = self.1.write_beside.lock().unwrap();
        if beside.take_if(|file| file.exists()).is_some() {
            return Err(io::Error::other("a fault, in a test"));
        }
        drop(beside);
        self.0.write(offset, data)
    }
}

/// A store with three segments of a log, none of which lies in the archive, and what keeps it.
fn kept(folder: &Path) -> (Arc<Store>, Arc<Mailbox>, Keeper, Arc<Faults>) {
    let (disk, archive, _) = filled(folder, 3 * entries::SEGMENT, false);
    drop(disk);
    let faults = Arc::new(Faults::default());
    *faults.write_beside.lock().unwrap() = Some(archive.path(LogId { node: NODE, born: 3 }, 0));
    let (path, held) = (folder.join("store.redb"), faults.clone());
    let storage: OpenStore =
        Box::new(move |file| Ok(Box::new(Faulty(FileBackend::new(file)?, held.clone()))));
    let at = path.clone();
    let open: Opener = Box::new(move || Disk::look(&at, &storage).and_then(Look::keep));
    let store = Store::new(open().unwrap(), open, path, NODE).unwrap();
    let mailbox = Mailbox::new();
    let keeper = Keeper::start(store.clone(), mailbox.clone()).unwrap();
    (store, mailbox, keeper, faults)
}

/// What the engine is told until the store can be written again.
fn told(mailbox: &Mailbox) -> Vec<&'static str> {
    let (all, mut words) = (Open { traffic: true, commands: true }, Vec::new());
    for _ in 0..300 {
        let (events, _) = mailbox.take(Duration::from_millis(100), all, 10);
        words.extend(events.iter().map(|event| match event {
            Event::Durable(_) => "durable",
            Event::StoreFailing(_) => "failing",
            Event::StoreMended => "mended",
            _ => "other",
        }));
        if words.last() == Some(&"mended") {
            break;
        }
    }
    words
}

fn first_entry(store: &Store) -> Result<Vec<Vec<u8>>, ArchiveError> {
    store.log(|ledger| ledger.entries(0, 1))
}

#[test]
fn a_file_that_fails_while_a_segment_is_archived_is_opened_again_though_nothing_is_to_be_committed() {
    let folder = tempfile::tempdir().unwrap();
    let (store, mailbox, mut keeper, _) = kept(folder.path());
    assert!(keeper.commit(Work::default()));
    assert_eq!(told(&mailbox), ["durable", "failing", "mended"]);
    assert_eq!(first_entry(&store).unwrap(), [b"entry 0"]);
    assert!(store.inbox(None, 1, Duration::ZERO).unwrap().is_empty() && store.inbox_size().is_some());
    keeper.stop();
}

#[test]
fn a_file_that_fails_for_who_reads_is_opened_again_though_nothing_is_to_be_committed() {
    let folder = tempfile::tempdir().unwrap();
    let (store, mailbox, mut keeper, faults) = kept(folder.path());
    faults.read.store(true, Ordering::Relaxed);
    first_entry(&store).expect_err("it cannot be read");
    assert_eq!(told(&mailbox), ["failing", "mended"]);
    assert_eq!(first_entry(&store).unwrap(), [b"entry 0"]);
    keeper.stop();
}
