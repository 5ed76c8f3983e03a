//! [`SessionReport`]: how a session kept time. It differs between equal sessions, and lies in the run folder as `hil.json`.

use hdrhistogram::Histogram;
use serde::Serialize;
use std::time::Duration;

/// Longest lag that is told apart.
const LONGEST: Duration = Duration::from_secs(3600);

/// Spans with their percentiles.
#[derive(Clone, Debug)]
pub(super) struct Spans(Histogram<u64>);

impl Spans {
    pub(super) fn new() -> Self {
        let longest = u64::try_from(LONGEST.as_nanos()).unwrap_or(u64::MAX);
        Self(Histogram::new_with_bounds(1, longest, 3).expect("the bounds are in order"))
    }

    pub(super) fn record(&mut self, span: Duration) {
        self.0.saturating_record(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(super) fn summary(&self) -> SpanSummary {
        let ms = |nanos: u64| nanos as f64 / 1e6;
        SpanSummary {
            count: self.0.len(),
            p50_ms: ms(self.0.value_at_quantile(0.5)),
            p99_ms: ms(self.0.value_at_quantile(0.99)),
            max_ms: ms(self.0.max()),
        }
    }
}

/// Percentiles of spans, milliseconds of the machine's time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SpanSummary {
    /// How many.
    pub count: u64,
    /// Half of them are no longer.
    pub p50_ms: f64,
    /// 99 of 100 are no longer.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

/// What went through an interface.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InterfaceReport {
    /// The binding.
    pub binding: String,
    /// Where the real side is.
    pub place: String,
    /// Frames that came in and were stamped.
    pub frames_in: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Frames that went out.
    pub frames_out: u64,
    /// Their bytes.
    pub bytes_out: u64,
    /// Frames that the operating system did not take.
    pub send_errors: u64,
    /// Frames that came in faster than the session takes them, and were dropped.
    pub dropped: u64,
    /// What came from strangers, or was no frame at all.
    pub refused: u64,
    /// How often the line to the modem was lost.
    pub lines_lost: u64,
    /// Frames longer than the link's MTU.
    pub too_long: u64,
    /// What held no bundle where bundles are expected, or made none on its way out.
    pub unreadable: u64,
    /// Frames that came in for a moment that had passed in the simulation, and were stamped later.
    pub late_in: u64,
    /// From a frame's coming in until the simulation has it.
    pub in_delay: SpanSummary,
    /// From the moment at which a frame is due until it is sent.
    pub out_delay: SpanSummary,
}

/// How a session went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SessionReport {
    /// The clock's mode.
    pub clock: String,
    /// The lag policy.
    pub policy: String,
    /// Why it ended.
    pub reason: String,
    /// Its length, seconds of the machine's time.
    pub wall_s: f64,
    /// Its length, simulated seconds.
    pub simulated_s: f64,
    /// From the moment at which the simulation has something to do until it begins to.
    pub lag: SpanSummary,
    /// How often that took more than a millisecond.
    pub late_events: u64,
    /// How often the clock was moved.
    pub slips: u64,
    /// By how much in all, milliseconds.
    pub slipped_ms: f64,
    /// The interfaces.
    pub interfaces: Vec<InterfaceReport>,
}
