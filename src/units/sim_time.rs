//! [`SimTime`]: simulated time.

use std::{fmt, ops};

/// Simulated time or a span of it: signed nanoseconds, as a point counted from the scenario's epoch.
///
/// Uniform (SI) nanoseconds: civil time is computed from it at the edges. Arithmetic panics on overflow (292 years), which
/// a checked scenario cannot reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SimTime(pub i64);

impl SimTime {
    /// The scenario's epoch, or no time at all.
    pub const ZERO: Self = Self(0);
    /// Later than every event.
    pub const MAX: Self = Self(i64::MAX);
    const NANOS_PER_S: f64 = 1e9;

    /// From whole nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds * 1_000_000_000)
    }

    /// From seconds, rounded to the nearest nanosecond (ties away from zero).
    #[must_use]
    pub fn from_secs_f64(seconds: f64) -> Self {
        Self((seconds * Self::NANOS_PER_S).round() as i64)
    }

    /// Whole nanoseconds.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Seconds.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / Self::NANOS_PER_S
    }
}

impl ops::Add for SimTime {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.checked_add(other.0).expect("simulated time stays within 292 years"))
    }
}

impl ops::Sub for SimTime {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.checked_sub(other.0).expect("simulated time stays within 292 years"))
    }
}

impl ops::AddAssign for SimTime {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl fmt::Display for SimTime {
    /// Seconds, exactly.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let nanos = self.0.unsigned_abs();
        let (whole, fraction) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        if fraction == 0 {
            return write!(f, "{sign}{whole} s");
        }
        let digits = format!("{fraction:09}");
        write!(f, "{sign}{whole}.{} s", digits.trim_end_matches('0'))
    }
}
