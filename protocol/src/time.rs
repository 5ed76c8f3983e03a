//! Time as the stack sees it: a monotonic [`Instant`] that the driver passes in, and civil time as an estimate.
//!
//! Spans are [`core::time::Duration`].

use core::time::Duration;

/// A point on the driver's monotonic clock, in nanoseconds from an origin that the driver chooses.
///
/// Comparable only within one incarnation of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The origin of the driver's clock.
    pub const ZERO: Self = Self(0);
    /// Later than every instant that a driver can reach (year 584 of its clock).
    pub const MAX: Self = Self(u64::MAX);

    /// The instant `nanos` nanoseconds after the origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time since `earlier`, or zero when `earlier` is later.
    #[must_use]
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This instant moved later by `span`; [`Instant::MAX`] when that cannot be represented.
    #[must_use]
    pub fn saturating_add(self, span: Duration) -> Self {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }

    /// This instant moved earlier by `span`; the origin when that would be before it.
    #[must_use]
    pub fn saturating_sub(self, span: Duration) -> Self {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(nanos))
    }
}

/// Milliseconds since 2000-01-01T00:00:00 UTC (RFC 9171 §4.2.6). Zero means "the source has no accurate clock".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DtnTime(pub u64);

impl DtnTime {
    /// The value that says that no accurate clock was at hand (RFC 9171 §4.2.7).
    pub const UNKNOWN: Self = Self(0);

    /// Milliseconds since the DTN epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }
}

/// The host's estimate of civil time: at `at` on the monotonic clock it was `utc`, give or take `uncertainty`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UtcEstimate {
    /// When the estimate was made, on the monotonic clock.
    pub at: Instant,
    /// The estimated civil time at that instant.
    pub utc: DtnTime,
    /// Half width of the interval in which the host trusts the true time to lie.
    pub uncertainty: Duration,
}

impl UtcEstimate {
    /// The civil time at `now`, carried forward on the monotonic clock.
    #[must_use]
    pub fn dtn_time(&self, now: Instant) -> DtnTime {
        let forward = now.saturating_since(self.at).as_millis() as u64;
        let back = self.at.saturating_since(now).as_millis() as u64;
        DtnTime(self.utc.0.saturating_add(forward).saturating_sub(back))
    }
}
