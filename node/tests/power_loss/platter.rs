//! A disk in memory that loses power: what was not synced may be there, in part or not at all.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use redb::StorageBackend;
use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

/// What a drive writes as one.
const SECTOR: usize = 512;

#[derive(Clone, Debug)]
enum Pending {
    Length(u64),
    Write(u64, Vec<u8>),
}

#[derive(Debug)]
struct State {
    /// What a reader sees.
    seen: Vec<u8>,
    /// What is on the platter for certain.
    synced: Vec<u8>,
    /// What happened since the last sync.
    pending: Vec<Pending>,
    /// Writes and syncs until the power goes.
    left: u64,
}

/// The drive, shared between the database and the test.
#[derive(Clone, Debug)]
pub(crate) struct Platter(Arc<Mutex<State>>);

impl Platter {
    pub(crate) fn new(image: Vec<u8>, operations_until_power_loss: u64) -> Self {
        let state = State {
            seen: image.clone(),
            synced: image,
            pending: Vec::new(),
            left: operations_until_power_loss,
        };
        Self(Arc::new(Mutex::new(state)))
    }

    /// The power is gone: what a reader finds afterwards. Each write since the last sync is there or not, whole or up to some sector.
    pub(crate) fn after_power_loss(&self, seed: u64) -> Vec<u8> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut image = state.synced.clone();
        for operation in &state.pending {
            match operation {
                Pending::Length(length) => {
                    if rng.next_u32().is_multiple_of(2) {
                        image.resize(*length as usize, 0);
                    }
                }
                Pending::Write(offset, data) => {
                    let kept = match rng.next_u32() % 3 {
                        0 => 0,
                        1 => data.len(),
                        _ => rng.next_u32() as usize % (data.len() / SECTOR + 1) * SECTOR,
                    };
                    let (start, end) = (*offset as usize, *offset as usize + kept);
                    if image.len() < end {
                        image.resize(end, 0);
                    }
                    image[start..end].copy_from_slice(&data[..kept]);
                }
            }
        }
        image
    }

    fn change(&self, change: impl FnOnce(&mut State)) -> io::Result<()> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.left == 0 {
            return Err(io::Error::other("the power is gone"));
        }
        state.left -= 1;
        change(&mut state);
        Ok(())
    }
}

impl StorageBackend for Platter {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let range = offset as usize..offset as usize + out.len();
        let from = state.seen.get(range).ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        out.copy_from_slice(from);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.change(|state| {
            state.seen.resize(length as usize, 0);
            state.pending.push(Pending::Length(length));
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change(|state| {
            state.synced.clone_from(&state.seen);
            state.pending.clear();
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(|state| {
            let end = offset as usize + data.len();
            if state.seen.len() < end {
                state.seen.resize(end, 0);
            }
            state.seen[offset as usize..end].copy_from_slice(data);
            state.pending.push(Pending::Write(offset, data.to_vec()));
        })
    }
}
