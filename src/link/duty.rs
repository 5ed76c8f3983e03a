//! [`DutyCycle`]: the share of time that one transmitter may be on air, over a sliding hour.

use std::collections::VecDeque;

use super::Interval;
use crate::units::SimTime;

/// The span that the share is counted over (ETSI EN 300 220-1 §5.4: the observation period is one hour).
const PERIOD: SimTime = SimTime::from_secs(3600);
/// Frames that are remembered one by one.
const MEMORY: usize = 1024;

/// Limits a transmitter to a share of time on air: in no hour, wherever it begins, is it exceeded.
///
/// Memory is bounded: beyond 1,024 frames within the hour the two oldest count as one, as if both had been sent as late
/// as the younger. That may delay a frame, and never exceeds the share.
#[derive(Clone, Debug)]
pub struct DutyCycle {
    /// Nanoseconds on air that the period allows; `None`: no limit.
    budget: Option<SimTime>,
    /// What was sent within the last period, in order, without overlap.
    sent: VecDeque<Interval>,
    total: SimTime,
}

impl DutyCycle {
    /// A limit of `share`, 0 to 1; 1 is no limit.
    #[must_use]
    pub fn new(share: f64) -> Self {
        let budget = (share < 1.0).then(|| SimTime((share * PERIOD.as_nanos() as f64).floor() as i64));
        Self { budget, sent: VecDeque::new(), total: SimTime::ZERO }
    }

    /// The earliest time from `now` on at which a frame may start; `None` if it is longer than the share allows at all.
    #[must_use]
    pub fn next_allowed(&self, now: SimTime, airtime: SimTime) -> Option<SimTime> {
        let Some(budget) = self.budget else { return Some(now) };
        if airtime > budget {
            return None;
        }
        // The fullest hour is the one that ends with the frame. As much as is too much has to have left it by then.
        let mut excess = self.total + airtime - budget;
        if excess <= SimTime::ZERO {
            return Some(now);
        }
        for sent in &self.sent {
            if excess <= sent.length() {
                return Some(now.max(sent.start + excess + PERIOD - airtime));
            }
            excess = excess - sent.length();
        }
        unreachable!("the frame fits an empty period")
    }

    /// Counts a frame that starts at `start`. Frames come in order and do not overlap.
    ///
    /// # Panics
    ///
    /// If the frame starts before the last one ended.
    pub fn count(&mut self, start: SimTime, airtime: SimTime) {
        if self.budget.is_none() || airtime <= SimTime::ZERO {
            return;
        }
        if let Some(last) = self.sent.back() {
            assert!(last.end <= start, "one radio sends one frame at a time");
        }
        while self.sent.front().is_some_and(|sent| sent.end + PERIOD <= start) {
            if let Some(sent) = self.sent.pop_front() {
                self.total = self.total - sent.length();
            }
        }
        if self.sent.len() == MEMORY {
            let oldest = self.sent.pop_front().expect("the memory is full");
            self.sent[0].start = self.sent[0].start - oldest.length();
        }
        self.sent.push_back(Interval { start, end: start + airtime });
        self.total += airtime;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: fn(i64) -> SimTime = SimTime::from_secs;

    #[test]
    fn next_allowed_start_by_share_and_history_is_this_table() {
        // (share, history (start, airtime) in s, now, airtime, earliest start), worked out by hand.
        let table: [(f64, &[(i64, i64)], i64, i64, Option<i64>); 8] = [
            (1.0, &[(0, 4000)], 4000, 4000, Some(4000)),
            (0.01, &[], 5, 36, Some(5)),
            (0.01, &[], 5, 37, None),
            (0.01, &[(0, 36)], 36, 36, Some(3600)),
            (0.01, &[(0, 30)], 30, 6, Some(30)),
            (0.01, &[(0, 30)], 30, 10, Some(3594)),
            (0.1, &[(0, 180), (1000, 180)], 1200, 180, Some(3600)),
            (0.1, &[(0, 180), (1000, 180)], 1200, 360, Some(4420)),
        ];
        for (share, history, now, airtime, expected) in table {
            let mut duty = DutyCycle::new(share);
            history.iter().for_each(|&(start, airtime)| duty.count(S(start), S(airtime)));
            assert_eq!(duty.next_allowed(S(now), S(airtime)), expected.map(S), "{share} {history:?}");
        }
    }

    #[test]
    fn memory_stays_bounded_and_the_share_holds() {
        // 1 % in frames of 10 ms: 3,600 fit an hour, more than are remembered one by one.
        let (airtime, mut now, mut duty) = (SimTime(10_000_000), SimTime::ZERO, DutyCycle::new(0.01));
        let mut starts = Vec::new();
        for _ in 0..10_000 {
            now = duty.next_allowed(now, airtime).expect("a short frame is allowed");
            duty.count(now, airtime);
            starts.push(now);
            now += airtime;
        }
        assert!(duty.sent.len() <= MEMORY);
        assert!(starts.iter().zip(&starts[3600..]).all(|(&first, &next)| next - first >= PERIOD));
    }

    fn on_air(frames: &[Interval], hour: Interval) -> i64 {
        frames.iter().map(|f| (f.end.min(hour.end).0 - f.start.max(hour.start).0).max(0)).sum()
    }

    proptest! {
        #[test]
        fn no_hour_exceeds_the_share(
            frames in prop::collection::vec((1i64..400, 0i64..2000), 1..60), percent in 1u8..50,
        ) {
            let share = f64::from(percent) / 100.0;
            let (mut duty, mut sent, mut now) = (DutyCycle::new(share), Vec::new(), SimTime::ZERO);
            for (airtime, pause) in frames {
                now += S(pause);
                if let Some(start) = duty.next_allowed(now, S(airtime)) {
                    prop_assert!(start >= now);
                    duty.count(start, S(airtime));
                    now = start + S(airtime);
                    sent.push(Interval { start, end: now });
                }
            }
            let budget = (share * 3.6e12) as i64;
            // The fullest hours begin with a frame or end with one.
            for frame in &sent {
                let ends = Interval { start: frame.end - PERIOD, end: frame.end };
                let begins = Interval { start: frame.start, end: frame.start + PERIOD };
                prop_assert!(on_air(&sent, ends) <= budget && on_air(&sent, begins) <= budget);
            }
        }
    }
}
