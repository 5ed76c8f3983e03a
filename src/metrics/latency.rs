//! [`Latencies`]: a histogram of times.

use super::MetricsSet;
use crate::units::SimTime;
use hdrhistogram::Histogram;

/// Times in microseconds, to three significant digits (an error of at most 0.1 %), whatever their number; the largest
/// exactly.
#[derive(Clone, Debug)]
pub struct Latencies {
    histogram: Histogram<u64>,
    max: SimTime,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { histogram: Histogram::new(3).expect("three digits are allowed"), max: SimTime::ZERO }
    }
}

impl Latencies {
    /// Counts one time. A negative time cannot come from a sound trace and counts as zero.
    pub fn record(&mut self, latency: SimTime) {
        self.max = self.max.max(latency);
        let micros = u64::try_from(latency.as_nanos() / 1000).unwrap_or(0);
        self.histogram.record(micros).expect("a histogram that resizes takes every number");
    }

    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The time that the share `quantile` (0 to 1) of them does not exceed; none without any.
    #[must_use]
    pub fn quantile_s(&self, quantile: f64) -> Option<f64> {
        if self.histogram.is_empty() {
            return None;
        }
        let micros = self.histogram.value_at_quantile(quantile);
        Some((micros as f64 / 1e6).min(self.max.as_secs_f64()))
    }

    /// Writes `PREFIX.{p50,p95,p99,max}`.
    pub fn write(&self, prefix: &str, set: &mut MetricsSet) {
        for (name, quantile) in [("p50", 0.50), ("p95", 0.95), ("p99", 0.99)] {
            set.set(format!("{prefix}.{name}"), self.quantile_s(quantile), "s");
        }
        let max = (self.count() > 0).then(|| self.max.as_secs_f64());
        set.set(format!("{prefix}.max"), max, "s");
    }
}
