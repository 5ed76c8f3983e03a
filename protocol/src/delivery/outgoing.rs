//! The sending end of a stream.

use super::{Acknowledgement, Forward};
use crate::{
    dtn::store::{Priority, StoreKey},
    envelope::Purpose,
    time::Instant,
};
use alloc::{collections::BTreeMap, vec::Vec};
use core::time::Duration;

/// Where a message is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The host has not answered the persist request that covers it.
    AwaitingPersist,
    /// In this node's bundle store.
    Stored(StoreKey),
    /// Sent, or dropped by the store: due again at the deadline unless acknowledged.
    InFlight {
        /// When its last frame left.
        sent: Instant,
        /// When an acknowledgement can be back, as far as that is known; else when it was sent.
        due: Instant,
        /// When it is sent again.
        deadline: Instant,
    },
}

/// A message that is not acknowledged yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The sealed envelope: every retransmission carries the same bytes.
    pub sealed: Vec<u8>,
    /// Class of service.
    pub priority: Priority,
    /// End of its lifetime.
    pub expires: Instant,
    /// How often it was handed to the store.
    pub attempts: u32,
    /// How often in a row its timer ran out, without an acknowledgement of what was sent later.
    pub silences: u32,
    /// Where it is.
    pub place: Place,
}

/// The window of unacknowledged messages is full: back-pressure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{window} messages of this stream are unacknowledged, the most allowed")]
pub struct StreamFull {
    /// The limit.
    pub window: u64,
}

/// The sending end of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    epoch: u32,
    next_sequence: u64,
    pending: BTreeMap<u64, Pending>,
    window: u64,
    /// Highest cumulative acknowledgement.
    acknowledged: u64,
    /// When the receiver must hear of abandoned messages (again).
    forward_due: Option<Instant>,
    /// How often in a row it was told of them and answered nothing.
    forwards_unheard: u32,
}

impl Outgoing {
    /// A stream opened in incarnation `epoch`.
    #[must_use]
    pub const fn new(epoch: u32, window: u64) -> Self {
        Self {
            epoch,
            next_sequence: 1,
            pending: BTreeMap::new(),
            window,
            acknowledged: 0,
            forward_due: None,
            forwards_unheard: 0,
        }
    }

    /// A stream as it was persisted. `forward_due`: the receiver may not have heard of everything that was abandoned.
    #[must_use]
    pub const fn restored(epoch: u32, window: u64, next_sequence: u64, forward_due: Instant) -> Self {
        Self {
            epoch,
            next_sequence,
            pending: BTreeMap::new(),
            window,
            acknowledged: 0,
            forward_due: Some(forward_due),
            forwards_unheard: 0,
        }
    }

    /// The number that the next message gets.
    ///
    /// # Errors
    /// [`StreamFull`] when the receiver's gap buffer could not hold one more.
    pub fn next_sequence(&self) -> Result<u64, StreamFull> {
        let oldest = self.pending.keys().next().copied().unwrap_or(self.next_sequence);
        if self.next_sequence - oldest >= self.window {
            return Err(StreamFull { window: self.window });
        }
        Ok(self.next_sequence)
    }

    /// Takes message [`Outgoing::next_sequence`].
    pub fn push(&mut self, message: Pending) -> u64 {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.pending.insert(sequence, message);
        sequence
    }

    /// Puts a persisted message back (on restart).
    pub fn restore_pending(&mut self, sequence: u64, message: Pending) {
        if sequence < self.next_sequence {
            self.pending.insert(sequence, message);
        }
    }

    /// Applies an acknowledgement; the messages that it frees go to `freed`, in order.
    ///
    /// An acknowledgement of another epoch, or of messages that were never sent, frees nothing.
    pub fn acknowledge(&mut self, ack: &Acknowledgement, freed: &mut Vec<(u64, Pending)>) {
        let highest = ack.ranges.last().map_or(ack.through, |range| range.1);
        if ack.epoch != self.epoch || highest >= self.next_sequence {
            return;
        }
        self.acknowledged = self.acknowledged.max(ack.through);
        self.free(0, ack.through, freed);
        for &(first, last) in &ack.ranges {
            self.free(first, last, freed);
        }
        let back = core::mem::take(&mut self.forwards_unheard) > 1;
        if back || self.forward_through() <= self.acknowledged {
            // A receiver that speaks again is told at once and not at the end of a pause that grew with its silence.
            self.forward_due = None;
        }
    }

    /// Messages that were sent at least `reorder` before one that is acknowledged now, and are not acknowledged: taken for lost,
    /// as a message that left later has overtaken them by more than different ways explain (the idea of RACK, RFC 8985 §3).
    /// With each, when it is known to be lost: one that went a slower way is not, before its own acknowledgement could be back.
    pub fn overtaken(&self, freed: &[(u64, Pending)], reorder: Duration) -> Vec<(u64, Instant)> {
        let sent = |message: &Pending| match message.place {
            Place::InFlight { sent, .. } => Some(sent),
            Place::AwaitingPersist | Place::Stored(_) => None,
        };
        let Some(newest) = freed.iter().filter_map(|(_, message)| sent(message)).max() else {
            return Vec::new();
        };
        let lost =
            |message: &Pending| sent(message).is_some_and(|sent| sent.saturating_add(reorder) <= newest);
        let highest = freed.iter().map(|(sequence, _)| *sequence).max().unwrap_or(0);
        self.pending
            .range(..highest)
            .filter(|(_, message)| lost(message))
            .filter_map(|(sequence, message)| match message.place {
                Place::InFlight { due, .. } => Some((*sequence, due)),
                Place::AwaitingPersist | Place::Stored(_) => None,
            })
            .collect()
    }

    /// Gives up on a message; the receiver must hear of it by `now` when it holds others up.
    pub fn abandon(&mut self, sequence: u64, now: Instant) -> Option<Pending> {
        let message = self.pending.remove(&sequence)?;
        if self.forward_through() > self.acknowledged {
            self.forward_due = Some(now);
        }
        Some(message)
    }

    /// The forward that the receiver should hear, if there is one.
    #[must_use]
    pub fn forward(&self, purpose: Purpose) -> Option<Forward> {
        let through = self.forward_through();
        (through > self.acknowledged).then_some(Forward { purpose, epoch: self.epoch, through })
    }

    /// The highest number up to which the receiver said to have everything.
    #[must_use]
    pub const fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// The receiver has forgotten the stream: it has to hear where it stands, from `now` on until it has.
    pub fn begin_again(&mut self, now: Instant) {
        self.acknowledged = 0;
        self.forward_due = Some(now);
        self.forwards_unheard = 0;
    }

    /// When the forward is to be sent (again).
    #[must_use]
    pub const fn forward_due(&self) -> Option<Instant> {
        self.forward_due
    }

    /// How often in a row the receiver was told of abandoned messages and answered nothing.
    #[must_use]
    pub const fn forwards_unheard(&self) -> u32 {
        self.forwards_unheard
    }

    /// The forward was sent; `again` is when to repeat it unless it was acknowledged.
    pub fn forward_sent(&mut self, again: Instant) {
        self.forwards_unheard = self.forwards_unheard.saturating_add(1);
        self.forward_due = (self.forward_through() > self.acknowledged).then_some(again);
    }

    /// The message with this number, while it is unacknowledged.
    pub fn pending_mut(&mut self, sequence: u64) -> Option<&mut Pending> {
        self.pending.get_mut(&sequence)
    }

    /// Messages that are unacknowledged, in order.
    pub fn pending(&self) -> impl Iterator<Item = (u64, &Pending)> {
        self.pending.iter().map(|(sequence, message)| (*sequence, message))
    }

    /// The epoch.
    #[must_use]
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The last number that needs no more sending: everything up to it is acknowledged or abandoned.
    fn forward_through(&self) -> u64 {
        self.pending.keys().next().copied().unwrap_or(self.next_sequence) - 1
    }

    fn free(&mut self, first: u64, last: u64, freed: &mut Vec<(u64, Pending)>) {
        while let Some(sequence) = self.pending.range(first..=last).next().map(|entry| *entry.0) {
            freed.extend(self.pending.remove(&sequence).map(|message| (sequence, message)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending() -> Pending {
        Pending {
            sealed: Vec::new(),
            priority: Priority::Normal,
            expires: Instant::MAX,
            attempts: 0,
            silences: 0,
            place: Place::AwaitingPersist,
        }
    }

    fn stream_of(count: u64) -> Outgoing {
        let mut stream = Outgoing::new(1, 4);
        for _ in 0..count {
            stream.push(pending());
        }
        stream
    }

    fn ack(through: u64, ranges: &[(u64, u64)]) -> Acknowledgement {
        Acknowledgement { purpose: Purpose::Event, epoch: 1, through, ranges: ranges.to_vec() }
    }

    #[test]
    fn a_full_window_is_answered_with_back_pressure() {
        let mut stream = stream_of(4);
        assert_eq!(stream.next_sequence(), Err(StreamFull { window: 4 }));
        stream.acknowledge(&ack(0, &[(2, 4)]), &mut Vec::new());
        assert_eq!(stream.next_sequence(), Err(StreamFull { window: 4 }), "the gap at 1 is still open");
        stream.acknowledge(&ack(4, &[]), &mut Vec::new());
        assert_eq!(stream.next_sequence(), Ok(5));
    }

    #[test]
    fn an_acknowledgement_of_what_was_never_sent_frees_nothing() {
        let (mut stream, mut freed) = (stream_of(2), Vec::new());
        stream.acknowledge(&ack(3, &[]), &mut freed);
        stream.acknowledge(&ack(1, &[(2, u64::MAX)]), &mut freed);
        assert!(freed.is_empty());
    }

    #[test]
    fn a_message_that_later_ones_overtook_is_taken_for_lost() {
        let mut stream = stream_of(3);
        for (sequence, seconds) in [(1, 10), (2, 12), (3, 20)] {
            let sent = Instant::from_nanos(seconds * 1_000_000_000);
            // By its way, the first one's acknowledgement can be back after 30 s.
            let due = Instant::from_nanos((seconds + 20) * 1_000_000_000);
            stream.pending_mut(sequence).expect("pending").place =
                Place::InFlight { sent, due, deadline: Instant::MAX };
        }
        let mut freed = Vec::new();
        stream.acknowledge(&ack(0, &[(3, 3)]), &mut freed);
        let lost_at = Instant::from_nanos(30_000_000_000);
        assert_eq!(stream.overtaken(&freed, Duration::from_secs(10)), [(1, lost_at)]);
        assert!(stream.overtaken(&[], Duration::ZERO).is_empty());
    }

    #[test]
    fn an_abandoned_message_is_announced_until_it_is_acknowledged() {
        let mut stream = stream_of(3);
        let now = Instant::from_nanos(9);
        assert!(stream.abandon(2, now).is_some());
        assert_eq!(stream.forward_due(), None, "message 1 is still to come");
        assert!(stream.abandon(1, now).is_some());
        assert_eq!(stream.forward_due(), Some(now));
        assert_eq!(stream.forward(Purpose::Event).map(|f| f.through), Some(2));
        stream.acknowledge(&ack(2, &[]), &mut Vec::new());
        assert_eq!(stream.forward_due(), None);
        assert_eq!(stream.forward(Purpose::Event), None);
    }

    #[test]
    fn a_receiver_that_speaks_again_is_told_at_once_of_what_it_did_not_hear() {
        let mut stream = stream_of(3);
        assert!(stream.abandon(1, Instant::ZERO).is_some());
        for seconds in [10, 30, 70] {
            stream.forward_sent(Instant::from_nanos(seconds * 1_000_000_000));
        }
        assert_eq!(stream.forwards_unheard(), 3);
        stream.acknowledge(&ack(0, &[(2, 2)]), &mut Vec::new());
        assert_eq!((stream.forwards_unheard(), stream.forward_due()), (0, None));
        assert!(stream.forward(Purpose::Event).is_some());
    }
}
