//! How fast an application may hand messages over.

use crate::time::Instant;
use core::time::Duration;

/// A rate and how far it may be exceeded for a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Sustained rate in bytes per second, 1 or more.
    pub bytes_per_second: u64,
    /// Bytes that may come at once after a pause. A single message longer than this passes after a pause that makes up for it.
    pub burst_bytes: u64,
}

/// Too fast: back-pressure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("faster than {} bytes/s: come back in {:.3} s", limit.bytes_per_second, wait.as_secs_f64())]
pub struct RateExceeded {
    /// The limit.
    pub limit: RateLimit,
    /// After this long the same message is taken.
    pub wait: Duration,
}

/// Holds a flow of messages to a [`RateLimit`]: the generic cell rate algorithm (ITU-T I.371 annex A, virtual scheduling), in whole nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct RateMeter {
    limit: RateLimit,
    /// When a flow at exactly the sustained rate would send its next byte.
    due: Instant,
}

impl RateMeter {
    /// A meter that nothing has passed yet.
    #[must_use]
    pub const fn new(limit: RateLimit) -> Self {
        Self { limit, due: Instant::ZERO }
    }

    /// Lets a message of `bytes` pass, or says how long to wait.
    ///
    /// # Errors
    /// [`RateExceeded`]; nothing changed then.
    pub fn pass(&mut self, now: Instant, bytes: u64) -> Result<(), RateExceeded> {
        let ahead = self.due.saturating_since(now);
        let tolerated = self.span(self.limit.burst_bytes.max(bytes)).saturating_sub(self.span(bytes));
        if ahead > tolerated {
            return Err(RateExceeded { limit: self.limit, wait: ahead - tolerated });
        }
        self.due = self.due.max(now).saturating_add(self.span(bytes));
        Ok(())
    }

    fn span(&self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.limit.bytes_per_second.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn a_burst_passes_at_once_and_the_rest_waits_as_long_as_it_is_told() {
        let mut meter = RateMeter::new(RateLimit { bytes_per_second: 1_000, burst_bytes: 3_000 });
        (0..3).for_each(|_| meter.pass(at(0), 1_000).unwrap());
        let refused = meter.pass(at(0), 1_000).unwrap_err();
        assert_eq!(refused.wait, Duration::from_secs(1));
        assert!(meter.pass(at(999), 1_000).is_err());
        assert!(meter.pass(at(1_000), 1_000).is_ok());
    }

    #[test]
    fn a_message_longer_than_the_burst_passes_after_a_pause() {
        let mut meter = RateMeter::new(RateLimit { bytes_per_second: 1_000, burst_bytes: 100 });
        assert!(meter.pass(at(0), 5_000).is_ok());
        assert!(meter.pass(at(4_000), 5_000).is_err());
        assert!(meter.pass(at(5_000), 5_000).is_ok());
    }

    proptest! {
        #[test]
        fn what_passes_never_exceeds_burst_and_rate(
            steps in proptest::collection::vec((0u64..2_000, 1u64..2_000), 1..60),
        ) {
            let limit = RateLimit { bytes_per_second: 1_000, burst_bytes: 2_000 };
            let (mut meter, mut now, mut passed) = (RateMeter::new(limit), 0, 0);
            for (pause, bytes) in steps {
                now += pause;
                if meter.pass(at(now), bytes).is_ok() {
                    passed += bytes;
                }
                prop_assert!(passed <= limit.burst_bytes + now);
            }
        }
    }
}
