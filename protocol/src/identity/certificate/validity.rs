//! [`TimeRule`]: when a certificate holds, by a clock that may be wrong or missing.
//!
//! A node knows two things about time: its clock's estimate with an uncertainty, and `heard`, the latest time that the authority has
//! signed and that has come through to it (revocation lists carry one). The first may be wrong in any way; the second is a lower bound that
//! no member and no clock can move. The rule:
//!
//! 1. A clock whose uncertainty, grown by its drift since it was set, is above the limit counts as none. With none, the time is at least
//!    `heard`, and nothing else is known.
//! 2. *Not yet valid*: the clock's latest time is before `nbf`. Without a clock this is not judged.
//! 3. *Valid*: the clock's earliest time, or `heard` where that is later, is before `exp`.
//! 4. *Grace*: for a stated time after `exp`, since an asset out of contact cannot renew; and beyond it for as long as `heard` is before
//!    `exp`, that is, while nothing that the authority said later has come through: then nobody can have renewed. What a subject in grace may
//!    still do is the policy's to say; orders it may not give.
//! 5. *Expired*: otherwise.
//!
//! So a clock set far ahead turns certificates to grace, and expires none that the authority has not outlived; a clock set back makes no
//! certificate valid that expired before `heard`.

use super::Certificate;
use crate::time::{DtnTime, Instant, UtcEstimate};
use core::time::Duration;

/// What a node's clock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Nothing that could be relied on.
    Unknown,
    /// Between these times.
    Between {
        /// No earlier than this.
        earliest: DtnTime,
        /// No later than this.
        latest: DtnTime,
    },
}

/// How certificates are judged by time. The same for all of a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRule {
    /// How long after its end a certificate counts as in grace.
    pub grace: Duration,
    /// How long after a key was superseded messages of before are still taken, for those that are on their way.
    pub drain: Duration,
    /// A clock that is less certain than this counts as none.
    pub max_uncertainty: Duration,
    /// By how much a clock may go wrong since it was set, in parts per million.
    pub drift_ppm: u32,
}

impl Default for TimeRule {
    /// Two weeks of grace (longer than a solar conjunction of Mars keeps quiet), three days of drain, an hour of uncertainty, 50 ppm.
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(14 * 86_400),
            drain: Duration::from_secs(3 * 86_400),
            max_uncertainty: Duration::from_secs(3600),
            drift_ppm: 50,
        }
    }
}

/// How a certificate stands when it is not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Its time is over, and it may not have been possible to renew it.
    Grace,
    /// It holds.
    Valid,
}

/// Why a certificate does not hold now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValidityError {
    /// Its time has not come.
    #[error("valid from {}, it is {} at the latest", not_before.0, latest.0)]
    NotYet {
        /// From when on it holds.
        not_before: DtnTime,
        /// The latest time that it may be.
        latest: DtnTime,
    },
    /// Its time is over, and that of grace.
    #[error("expired at {}, it is {} at least", expires.0, earliest.0)]
    Expired {
        /// When it ended.
        expires: DtnTime,
        /// The earliest time that it may be.
        earliest: DtnTime,
    },
}

impl ValidityError {
    /// A stable word.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NotYet { .. } => "certificate_not_yet_valid",
            Self::Expired { .. } => "certificate_expired",
        }
    }
}

impl TimeRule {
    /// What an estimate tells at `now`.
    #[must_use]
    pub fn clock(&self, estimate: Option<UtcEstimate>, now: Instant) -> Clock {
        let Some(estimate) = estimate else { return Clock::Unknown };
        let age = now.saturating_since(estimate.at);
        let drift = age.as_nanos() * u128::from(self.drift_ppm) / 1_000_000;
        let drift = Duration::from_nanos(u64::try_from(drift).unwrap_or(u64::MAX));
        let width = estimate.uncertainty.saturating_add(drift);
        let time = estimate.dtn_time(now);
        if width > self.max_uncertainty || time == DtnTime::UNKNOWN {
            return Clock::Unknown;
        }
        let width = width.as_millis() as u64;
        Clock::Between {
            earliest: DtnTime(time.0.saturating_sub(width)),
            latest: DtnTime(time.0.saturating_add(width)),
        }
    }

    /// How `certificate` stands by a clock and by the latest time that the authority signed ([`DtnTime::UNKNOWN`] if nothing came).
    ///
    /// # Errors
    /// [`ValidityError`] when it does not hold.
    pub fn judge(
        &self,
        certificate: &Certificate,
        clock: Clock,
        heard: DtnTime,
    ) -> Result<Standing, ValidityError> {
        let &Certificate { not_before, expires, .. } = certificate;
        let earliest = match clock {
            Clock::Unknown => heard,
            Clock::Between { earliest, latest } => {
                let latest = latest.max(heard);
                if latest < not_before {
                    return Err(ValidityError::NotYet { not_before, latest });
                }
                earliest.max(heard)
            }
        };
        let grace = u64::try_from(self.grace.as_millis()).unwrap_or(u64::MAX);
        if earliest < expires {
            Ok(Standing::Valid)
        } else if heard < expires || earliest.0 < expires.0.saturating_add(grace) {
            Ok(Standing::Grace)
        } else {
            Err(ValidityError::Expired { expires, earliest })
        }
    }
}

#[cfg(test)]
#[path = "validity_tests.rs"]
mod tests;
