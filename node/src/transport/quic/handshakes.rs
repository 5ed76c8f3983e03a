//! Handshakes that others have begun: how many there may be, and which ends when there are too many.

use crate::transport::room::next_to_leave;
use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::task::AbortHandle;

/// Handshakes at a time.
const MOST: usize = 64;

#[derive(Default)]
struct UnderWay {
    begun: u64,
    handshakes: BTreeMap<u64, (IpAddr, Option<AbortHandle>)>,
}

/// The handshakes that are under way. One more than there may be ends the oldest from the address that most are from: who begins them and never goes on
/// keeps nobody out.
#[derive(Default)]
pub(super) struct Handshakes(Mutex<UnderWay>);

impl Handshakes {
    fn lock(&self) -> MutexGuard<'_, UnderWay> {
        // Nothing that holds the lock can panic half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more; says whether another lost its own for that.
    pub(super) fn begin(self: &Arc<Self>, from: IpAddr) -> (Handshake, bool) {
        let mut under_way = self.lock();
        let full = under_way.handshakes.len() >= MOST;
        let ages = under_way.handshakes.iter().map(|(number, (from, _))| (*number, *from));
        if let Some(oldest) = next_to_leave(ages).filter(|_| full)
            && let Some((_, Some(ended))) = under_way.handshakes.remove(&oldest)
        {
            ended.abort();
        }
        under_way.begun += 1;
        let number = under_way.begun;
        under_way.handshakes.insert(number, (from, None));
        (Handshake { number, all: self.clone() }, full)
    }

    /// How the one with this number is ended.
    pub(super) fn ends_by(&self, number: u64, abort: AbortHandle) {
        if let Some((_, place)) = self.lock().handshakes.get_mut(&number) {
            *place = Some(abort);
        }
    }
}

/// The place of one handshake, until it is dropped.
pub(super) struct Handshake {
    number: u64,
    all: Arc<Handshakes>,
}

impl Handshake {
    pub(super) const fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.all.lock().handshakes.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use tokio::runtime::Builder;

    #[test]
    fn whoever_begins_the_most_handshakes_loses_the_oldest_of_them_and_nobody_else_loses_any() {
        let runtime = Builder::new_current_thread().build().unwrap();
        let address = |last: u8| IpAddr::from([192, 0, 2, last]);
        let handshakes = Arc::new(Handshakes::default());
        runtime.block_on(async {
            let begin = |from| {
                let (handshake, full) = handshakes.begin(from);
                let number = handshake.number();
                let task = tokio::spawn(async move {
                    let _handshake = handshake;
                    pending::<()>().await;
                });
                handshakes.ends_by(number, task.abort_handle());
                (task, full)
            };
            let (member, _) = begin(address(200));
            let greedy: Vec<_> = (0..1000).map(|_| begin(address(1))).collect();
            assert_eq!(greedy.iter().filter(|(_, full)| *full).count(), 1000 - (MOST - 1));
            let (last, ended) =
                greedy.into_iter().next_back().zip(Some(handshakes.lock().handshakes.len())).unwrap();
            assert_eq!(ended, MOST);
            tokio::task::yield_now().await;
            assert!(!member.is_finished() && !last.0.is_finished());
            let (other, full) = begin(address(2));
            tokio::task::yield_now().await;
            assert!(full && !other.is_finished() && !member.is_finished());
        });
        drop(runtime);
        assert_eq!(handshakes.lock().handshakes.len(), 0, "a place is free when its handshake is over");
    }
}
