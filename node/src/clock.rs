//! The machine's clocks, as the node wants them.

use cosmosmesh_protocol::time::{DtnTime, Instant, UtcEstimate};
use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Tells civil time, or that nobody knows it.
pub type CivilClock = Arc<dyn Fn() -> Option<DtnTime> + Send + Sync>;

/// Seconds from 1970 to 2000, where DTN time begins.
const DTN_EPOCH_UNIX: Duration = Duration::from_secs(946_684_800);

/// A monotonic clock that begins with the daemon, and the machine's estimate of civil time.
#[derive(Clone)]
pub(crate) struct Clock {
    started: std::time::Instant,
    uncertainty: Duration,
    civil: CivilClock,
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("started", &self.started).finish_non_exhaustive()
    }
}

impl Clock {
    /// Begins now. `uncertainty`: how far the machine's civil time may be off. `civil`: another clock than the machine's.
    pub(crate) fn start(uncertainty: Duration, civil: Option<CivilClock>) -> Self {
        let civil = civil.unwrap_or_else(|| Arc::new(self::civil));
        Self { started: monotonic(), uncertainty, civil }
    }

    /// Time since the start. Never steps back.
    pub(crate) fn now(&self) -> Instant {
        Instant::ZERO.saturating_add(self.started.elapsed())
    }

    /// What the machine says of civil time, asked anew; none before the year 2000, which tells that nobody has set the clock.
    pub(crate) fn civil(&self) -> Option<UtcEstimate> {
        let utc = self.civil_now()?;
        Some(UtcEstimate { at: self.now(), utc, uncertainty: self.uncertainty })
    }

    /// The same without its bounds.
    pub(crate) fn civil_now(&self) -> Option<DtnTime> {
        (self.civil)()
    }
}

/// The machine's monotonic clock.
#[expect(clippy::disallowed_methods, reason = "the host reads the clock, so that the node need not")]
pub(crate) fn monotonic() -> std::time::Instant {
    std::time::Instant::now()
}

/// The machine's civil time.
#[expect(clippy::disallowed_methods, reason = "the host reads the clock, so that the node need not")]
pub(crate) fn civil() -> Option<DtnTime> {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let utc = unix.checked_sub(DTN_EPOCH_UNIX)?;
    Some(DtnTime(u64::try_from(utc.as_millis()).ok()?)).filter(|utc| *utc != DtnTime::UNKNOWN)
}
