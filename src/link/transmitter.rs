//! [`Transmitter`]: the sending half of a radio.

use std::collections::VecDeque;

use super::Interval;
use crate::units::SimTime;

/// One radio sends one frame at a time; others wait, first in, first out, in a bounded queue.
///
/// It also remembers when it sent, for as long as a reception that overlapped may still have to be judged: a half-duplex
/// radio hears nothing while it sends. Call [`Transmitter::forget_before`] with the start of the earliest reception that
/// is not yet judged; what it remembers is then bounded by the frames that fit in one reception.
#[derive(Clone, Debug)]
pub struct Transmitter<F> {
    room: usize,
    waiting: VecDeque<F>,
    sent: VecDeque<Interval>,
    busy_until: SimTime,
    on_air: SimTime,
}

/// The queue was full: the frame is handed back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the radio's queue is full: {room} frames wait")]
pub struct QueueFull<F> {
    /// Frames that may wait.
    pub room: usize,
    /// The frame that found no room.
    pub frame: F,
}

impl<F> Transmitter<F> {
    /// A radio in which up to `room` frames wait beyond the one on air.
    #[must_use]
    pub const fn new(room: u32) -> Self {
        Self {
            room: room as usize,
            waiting: VecDeque::new(),
            sent: VecDeque::new(),
            busy_until: SimTime(i64::MIN),
            on_air: SimTime::ZERO,
        }
    }

    /// Lets a frame wait for its turn.
    ///
    /// # Errors
    ///
    /// [`QueueFull`] with the frame: nothing changed.
    pub fn enqueue(&mut self, frame: F) -> Result<(), QueueFull<F>> {
        if self.waiting.len() >= self.room {
            return Err(QueueFull { room: self.room, frame });
        }
        self.waiting.push_back(frame);
        Ok(())
    }

    /// Frames that wait beyond the one on air, at the most.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.room
    }

    /// Whether one more frame may wait.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.waiting.len() < self.room
    }

    /// Puts a frame back whose turn it was, and still is: beside the queue's room, since it had left the queue.
    pub fn put_back(&mut self, frame: F) {
        self.waiting.push_front(frame);
    }

    /// Takes the frame whose turn it is.
    pub fn dequeue(&mut self) -> Option<F> {
        self.waiting.pop_front()
    }

    /// Drops all frames that wait: the contact is over, or the asset restarts.
    pub fn clear(&mut self) -> impl Iterator<Item = F> + use<F> {
        std::mem::take(&mut self.waiting).into_iter()
    }

    /// Starts to send for `airtime`. Returns the time at which the radio is free again.
    ///
    /// # Panics
    ///
    /// If a frame is still on air.
    pub fn begin(&mut self, now: SimTime, airtime: SimTime) -> SimTime {
        assert!(
            self.is_free(now),
            "a radio sends one frame at a time: busy until {}, now {now}",
            self.busy_until
        );
        self.busy_until = now + airtime;
        self.on_air += airtime;
        self.sent.push_back(Interval { start: now, end: self.busy_until });
        self.busy_until
    }

    /// Ends the transmission that is on air at `now`.
    pub fn abort(&mut self, now: SimTime) {
        if self.busy_until <= now {
            return;
        }
        self.on_air.0 -= self.busy_until.0 - now.0;
        self.busy_until = now;
        if let Some(last) = self.sent.back_mut() {
            last.end = now;
        }
    }

    /// Forgets what was sent and over by `time`: no reception that began before it will be asked for.
    pub fn forget_before(&mut self, time: SimTime) {
        while self.sent.front().is_some_and(|sent| sent.end <= time) {
            self.sent.pop_front();
        }
    }

    /// Whether nothing is on air at `now`.
    #[must_use]
    pub fn is_free(&self, now: SimTime) -> bool {
        self.busy_until <= now
    }

    /// When the frame on air, or the last one, ends; long ago if nothing was ever sent.
    #[must_use]
    pub const fn busy_until(&self) -> SimTime {
        self.busy_until
    }

    /// Whether it was sending at some moment of a reception.
    #[must_use]
    pub fn was_sending(&self, reception: Interval) -> bool {
        // The latest are asked for most.
        self.sent
            .iter()
            .rev()
            .take_while(|sent| sent.end > reception.start)
            .any(|sent| sent.overlaps(reception))
    }

    /// Time on air of all frames so far, the one on air in full.
    #[must_use]
    pub const fn total_on_air(&self) -> SimTime {
        self.on_air
    }

    /// Frames that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(start: i64, end: i64) -> Interval {
        Interval { start: SimTime(start), end: SimTime(end) }
    }

    #[test]
    fn a_full_queue_hands_the_frame_back() {
        let mut radio = Transmitter::new(2);
        assert_eq!((radio.enqueue('a'), radio.enqueue('b')), (Ok(()), Ok(())));
        assert_eq!(radio.enqueue('c'), Err(QueueFull { room: 2, frame: 'c' }));
        assert_eq!((radio.dequeue(), radio.waiting()), (Some('a'), 1));
        assert_eq!(radio.clear().collect::<Vec<_>>(), ['b']);
    }

    #[test]
    fn a_radio_is_busy_for_the_time_on_air() {
        let mut radio = Transmitter::<()>::new(0);
        assert!(radio.is_free(SimTime(-5)));
        assert_eq!(radio.begin(SimTime(10), SimTime(5)), SimTime(15));
        assert!(!radio.is_free(SimTime(14)) && radio.is_free(SimTime(15)));
        radio.begin(SimTime(15), SimTime(1));
        assert_eq!(radio.total_on_air(), SimTime(6));
    }

    #[test]
    #[should_panic(expected = "one frame at a time")]
    fn a_second_frame_does_not_start_meanwhile() {
        let mut radio = Transmitter::<()>::new(0);
        radio.begin(SimTime(10), SimTime(5));
        radio.begin(SimTime(14), SimTime(5));
    }

    #[test]
    fn receptions_are_judged_by_overlap_and_old_sending_is_forgotten() {
        let mut radio = Transmitter::<()>::new(0);
        radio.begin(SimTime(10), SimTime(5));
        radio.begin(SimTime(20), SimTime(5));
        assert!(radio.was_sending(interval(14, 20)) && radio.was_sending(interval(0, 11)));
        assert!(!radio.was_sending(interval(15, 20)) && !radio.was_sending(interval(25, 30)));
        radio.forget_before(SimTime(15));
        assert_eq!(radio.sent, [interval(20, 25)]);
    }
}
