//! What `foca` wants done: packets to send, timers to keep. It reads no clock: the node's is an argument.

use super::identity::Life;
use crate::{id::NodeId, time::Instant};
use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};
use core::time::Duration;
use foca::{Notification, Runtime, Timer};

/// Most timers. One for each member, and a few: with more, the latest verdict upon a suspect is let go, and counted; a suspect then stays one.
const MAX_TIMERS: usize = 1024;
/// Most packets that wait to be sent. With so many, further ones are lost, as on a bad link.
const MAX_PACKETS: usize = 128;

/// The queue of timers and packets.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) now: Instant,
    pub(super) timers: BTreeMap<(Instant, u64), Timer<Life>>,
    numbered: u64,
    pub(super) packets: VecDeque<(NodeId, Vec<u8>)>,
    /// Packets and timers that found no room.
    pub(super) dropped: u64,
}

impl Queue {
    pub(super) fn arm(&mut self, at: Instant, timer: Timer<Life>) {
        self.numbered += 1;
        self.timers.insert((at, self.numbered), timer);
        if self.timers.len() > MAX_TIMERS {
            // Never one of those by which probes and announcements go on.
            let is_verdict = |entry: &(&(Instant, u64), &Timer<Life>)| {
                matches!(entry.1, Timer::ChangeSuspectToDown { .. })
            };
            let latest = self.timers.iter().rev().find(is_verdict).map(|(key, _)| *key);
            match latest {
                Some(latest) => drop(self.timers.remove(&latest)),
                None => drop(self.timers.pop_last()),
            }
            self.dropped += 1;
        }
    }

    /// The next timer that is due.
    pub(super) fn pop_due(&mut self) -> Option<Timer<Life>> {
        let first = self.timers.first_entry()?;
        (first.key().0 <= self.now).then(|| first.remove())
    }
}

impl Runtime<Life> for &mut Queue {
    /// What changes is read from the members' states: one truth, not two.
    fn notify(&mut self, _: Notification<'_, Life>) {}

    fn send_to(&mut self, to: Life, data: &[u8]) {
        if self.packets.len() < MAX_PACKETS {
            self.packets.push_back((to.node, data.to_vec()));
        } else {
            self.dropped += 1;
        }
    }

    fn submit_after(&mut self, event: Timer<Life>, after: Duration) {
        self.arm(self.now.saturating_add(after), event);
    }
}
