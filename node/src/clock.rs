//! The machine's clocks, as the node wants them.

use cosmosmesh_protocol::time::{DtnTime, Instant, UtcEstimate};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds from 1970 to 2000, where DTN time begins.
const DTN_EPOCH_UNIX: Duration = Duration::from_secs(946_684_800);

/// A monotonic clock that begins with the daemon, and the machine's estimate of civil time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: std::time::Instant,
    uncertainty: Duration,
}

impl Clock {
    /// Begins now. `uncertainty`: how far the machine's civil time may be off.
    pub(crate) fn start(uncertainty: Duration) -> Self {
        Self { started: monotonic(), uncertainty }
    }

    /// Time since the start. Never steps back.
    pub(crate) fn now(&self) -> Instant {
        Instant::ZERO.saturating_add(self.started.elapsed())
    }

    /// What the machine says of civil time, asked anew; none before the year 2000, which tells that nobody has set the clock.
    pub(crate) fn civil(&self) -> Option<UtcEstimate> {
        let utc = civil()?;
        Some(UtcEstimate { at: self.now(), utc, uncertainty: self.uncertainty })
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
