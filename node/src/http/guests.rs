//! Connections that have not shown the token: anybody on this machine makes them, so they give way to newcomers.

use std::{
    collections::BTreeMap,
    future::pending,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, time::sleep};

#[derive(Default)]
struct Present {
    came: u64,
    guests: BTreeMap<u64, Arc<Notify>>,
}

/// Those that have not shown the token, the oldest first.
#[derive(Clone, Default)]
pub(super) struct Guests(Arc<Mutex<Present>>);

impl Guests {
    fn lock(&self) -> MutexGuard<'_, Present> {
        // Nothing that holds the lock can panic half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more.
    pub(super) fn come(&self) -> Guest {
        let mut present = self.lock();
        present.came += 1;
        let (number, leave) = (present.came, Arc::new(Notify::new()));
        present.guests.insert(number, leave.clone());
        drop(present);
        Guest { number, leave, heard: Arc::default(), all: self.clone() }
    }

    /// Shows out the oldest; says whether there was one.
    pub(super) fn show_out_one(&self) -> bool {
        let oldest = self.lock().guests.pop_first();
        oldest.is_some_and(|(_, leave)| {
            leave.notify_one();
            true
        })
    }
}

/// A connection, as long as it is a guest and after.
#[derive(Clone)]
pub(super) struct Guest {
    number: u64,
    leave: Arc<Notify>,
    heard: Arc<AtomicBool>,
    all: Guests,
}

impl Guest {
    /// It has asked something; `known`: with the token, so that it gives way to nobody.
    pub(super) fn was_heard(&self, known: bool) {
        self.heard.store(true, Ordering::Release);
        if known {
            self.leave();
        }
    }

    /// It is a guest no longer.
    pub(super) fn leave(&self) {
        self.all.lock().guests.remove(&self.number);
    }

    /// Waits until it is to leave: when it is shown out, or has asked nothing for as long as `patience`.
    pub(super) async fn is_to_leave(&self, patience: Duration) {
        let silent = async {
            sleep(patience).await;
            if self.heard.load(Ordering::Acquire) {
                pending::<()>().await;
            }
        };
        tokio::select! {
            () = self.leave.notified() => {}
            () = silent => {}
        }
    }
}
