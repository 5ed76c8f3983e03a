//! A file that is read and never written: what is written to it stays in memory. A store is looked at so before it is known to be ours.

use redb::{BackendError, StorageBackend, backends::FileBackend};
use std::{
    collections::BTreeMap,
    io,
    ops::Bound,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Bytes that are kept in memory as one.
const BLOCK: u64 = 4096;

#[derive(Debug)]
struct Seen {
    /// How long the file seems to be.
    length: u64,
    /// How much of the file itself is still seen: what it was cut to, and grew by again, holds nothing.
    of_file: u64,
    /// What was written, by its place in blocks.
    written: BTreeMap<u64, Vec<u8>>,
}

/// A file, and what would have been written to it.
#[derive(Debug)]
pub(crate) struct Shadow {
    file: FileBackend,
    seen: Mutex<Seen>,
}

impl Shadow {
    /// Of a file of `length` bytes.
    pub(crate) const fn new(file: FileBackend, length: u64) -> Self {
        let seen = Seen { length, of_file: length, written: BTreeMap::new() };
        Self { file, seen: Mutex::new(seen) }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block as it would be.
    fn block(&self, seen: &Seen, number: u64) -> io::Result<Vec<u8>> {
        if let Some(written) = seen.written.get(&number) {
            return Ok(written.clone());
        }
        let mut block = vec![0; BLOCK as usize];
        let there = seen.of_file.saturating_sub(number * BLOCK).min(BLOCK) as usize;
        if there > 0 {
            self.file.read(number * BLOCK, &mut block[..there])?;
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
        Ok(self.lock().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
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
        let mut seen = self.lock();
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
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut seen = self.lock();
        for (number, within, place, count) in parts(offset, data.len()) {
            let mut block = self.block(&seen, number)?;
            block[within..within + count].copy_from_slice(&data[place..place + count]);
            seen.written.insert(number, block);
        }
        seen.length = seen.length.max(offset + data.len() as u64);
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, io::Write as _};

    #[test]
    fn what_is_written_is_read_again_and_the_file_stays_as_it_is() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let held: Vec<u8> = (0..10_000).map(|place| (place % 251) as u8).collect();
        file.write_all(&held).unwrap();
        let shadow = Shadow::new(FileBackend::new(file.reopen().unwrap()).unwrap(), held.len() as u64);
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
    }
}
