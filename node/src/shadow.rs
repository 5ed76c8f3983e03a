//! A file that is read and not written yet: what is written to it stays in memory, until that is to be kept. A store is looked at so before it is known
//! to be ours: what has to be repaired in it is repaired once, and written when it is.

use redb::{BackendError, StorageBackend};
use std::{
    collections::BTreeMap,
    io,
    ops::Bound,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// Bytes that are kept in memory as one.
const BLOCK: u64 = 4096;

/// Something that was done to the file.
#[derive(Debug)]
enum Done {
    Write(u64, Vec<u8>),
    Length(u64),
    Sync,
}

#[derive(Debug)]
struct Seen {
    /// How long the file seems to be.
    length: u64,
    /// How much of the file itself is still seen: what it was cut to, and grew by again, holds nothing.
    of_file: u64,
    /// What was written, by its place in blocks.
    written: BTreeMap<u64, Vec<u8>>,
    /// All of it in its order.
    done: Vec<Done>,
}

#[derive(Debug)]
struct Cast {
    file: Box<dyn StorageBackend>,
    /// What is written is written to the file.
    is_kept: AtomicBool,
    seen: Mutex<Seen>,
}

/// A file, and what would have been written to it.
#[derive(Clone, Debug)]
pub(crate) struct Shadow(Arc<Cast>);

impl Shadow {
    /// Of a file of `length` bytes.
    pub(crate) fn new(file: Box<dyn StorageBackend>, length: u64) -> Self {
        let (written, done) = (BTreeMap::new(), Vec::new());
        let seen = Mutex::new(Seen { length, of_file: length, written, done });
        Self(Arc::new(Cast { file, is_kept: AtomicBool::new(false), seen }))
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file, where what is written is kept.
    fn kept(&self) -> Option<&dyn StorageBackend> {
        self.0.is_kept.load(Ordering::Acquire).then_some(&*self.0.file)
    }

    /// Does to the file what was done here, in the same order: whatever interrupts that has interrupted the writer itself. From then on, it is the file.
    ///
    /// # Errors
    /// Those of the file. It may hold some of it then, and nothing more is written to it.
    pub(crate) fn keep(&self) -> io::Result<()> {
        let (file, mut seen) = (&self.0.file, self.lock());
        for done in std::mem::take(&mut seen.done) {
            match done {
                Done::Write(offset, data) => file.write(offset, &data)?,
                Done::Length(length) => file.set_len(length)?,
                Done::Sync => file.sync_data()?,
            }
        }
        seen.written.clear();
        self.0.is_kept.store(true, Ordering::Release);
        Ok(())
    }

    /// A block as it would be.
    fn block(&self, seen: &Seen, number: u64) -> io::Result<Vec<u8>> {
        if let Some(written) = seen.written.get(&number) {
            return Ok(written.clone());
        }
        let mut block = vec![0; BLOCK as usize];
        let there = seen.of_file.saturating_sub(number * BLOCK).min(BLOCK) as usize;
        if there > 0 {
            self.0.file.read(number * BLOCK, &mut block[..there])?;
        }
        Ok(block)
    }
}

/// The parts of `length` bytes from `offset` on: number of the block, place in it, place in the whole, and how many.
fn parts(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let within = (at % BLOCK) as usize;
        let count = (BLOCK as usize - within).min(length - done);
        let part = (at / BLOCK, within, done, count);
        done += count;
        (count > 0).then_some(part)
    })
}

impl StorageBackend for Shadow {
    fn len(&self) -> io::Result<u64> {
        self.kept().map_or_else(|| Ok(self.lock().length), |file| file.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if let Some(file) = self.kept() {
            return file.read(offset, out);
        }
        let seen = self.lock();
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > seen.length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (number, within, place, count) in parts(offset, out.len()) {
            let block = self.block(&seen, number)?;
            out[place..place + count].copy_from_slice(&block[within..within + count]);
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        if let Some(file) = self.kept() {
            return file.set_len(length);
        }
        let mut seen = self.lock();
        seen.done.push(Done::Length(length));
        if length < seen.length {
            seen.written.split_off(&length.div_ceil(BLOCK));
            if let Some(last) = seen.written.get_mut(&(length / BLOCK)) {
                last[(length % BLOCK) as usize..].fill(0);
            }
            seen.of_file = seen.of_file.min(length);
        }
        seen.length = length;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        if let Some(file) = self.kept() {
            return file.sync_data();
        }
        self.lock().done.push(Done::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if let Some(file) = self.kept() {
            return file.write(offset, data);
        }
        let mut seen = self.lock();
        seen.done.push(Done::Write(offset, data.to_vec()));
        for (number, within, place, count) in parts(offset, data.len()) {
            let mut block = self.block(&seen, number)?;
            block[within..within + count].copy_from_slice(&data[place..place + count]);
            seen.written.insert(number, block);
        }
        seen.length = seen.length.max(offset + data.len() as u64);
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.0.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.try_lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.unlock_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.lock_shared_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redb::backends::FileBackend;
    use std::{fs, io::Write as _};

    fn shadow(file: &tempfile::NamedTempFile, length: u64) -> Shadow {
        Shadow::new(Box::new(FileBackend::new(file.reopen().unwrap()).unwrap()), length)
    }

    #[test]
    fn what_is_written_is_read_again_and_the_file_stays_as_it_is_until_that_is_to_be_kept() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let held: Vec<u8> = (0..10_000).map(|place| (place % 251) as u8).collect();
        file.write_all(&held).unwrap();
        let shadow = shadow(&file, held.len() as u64);
        let mut expected = held.clone();
        expected[4000..4200].fill(9);
        shadow.write(4000, &[9; 200]).unwrap();
        // Cut, and grown again: what was cut off is gone.
        expected.truncate(4100);
        expected.resize(20_000, 0);
        shadow.set_len(4100).unwrap();
        shadow.set_len(20_000).unwrap();
        expected[19_990..].fill(7);
        shadow.write(19_990, &[7; 10]).unwrap();
        let mut read = vec![0; 20_000];
        shadow.read(0, &mut read).unwrap();
        assert_eq!(read, expected);
        assert!(shadow.read(19_999, &mut [0; 2]).is_err(), "beyond its end");
        assert_eq!(fs::read(file.path()).unwrap(), held);
        shadow.keep().unwrap();
        assert_eq!(fs::read(file.path()).unwrap(), expected);
        // From then on it is the file.
        shadow.write(3, &[5; 4]).unwrap();
        expected[3..7].fill(5);
        shadow.read(0, &mut read).unwrap();
        assert_eq!((fs::read(file.path()).unwrap(), read), (expected.clone(), expected));
    }

    /// Takes so many writes, and no more.
    #[derive(Debug)]
    struct Few(FileBackend, std::sync::atomic::AtomicUsize);

    impl StorageBackend for Few {
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
            let left = self.1.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
            left.map_err(|_| io::Error::from(io::ErrorKind::StorageFull))?;
            self.0.write(offset, data)
        }
    }

    #[test]
    fn what_cannot_be_kept_leaves_the_file_as_if_the_writer_had_been_interrupted() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&[0; 100]).unwrap();
        let few = Few(FileBackend::new(file.reopen().unwrap()).unwrap(), 2.into());
        let shadow = Shadow::new(Box::new(few), 100);
        for place in [90, 0, 50, 20] {
            shadow.write(place, &[1; 5]).unwrap();
        }
        assert_eq!(shadow.keep().unwrap_err().kind(), io::ErrorKind::StorageFull);
        shadow.write(30, &[2; 5]).unwrap();
        let held = fs::read(file.path()).unwrap();
        let written = held.iter().enumerate().filter(|(_, byte)| **byte > 0).map(|(place, _)| place);
        assert!(written.eq((0..5).chain(90..95)), "the first two, and nothing after them");
    }
}
