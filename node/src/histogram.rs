//! [`Histogram`]: counts in buckets of fixed bounds, as OpenMetrics wants them.

use std::{fmt::Write as _, time::Duration};

/// Upper bounds of the buckets, in nanoseconds: from 10 µs to 1000 s, three to a power of ten.
const BOUNDS_NS: [u64; 25] = [
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
    2_000_000_000,
    5_000_000_000,
    10_000_000_000,
    20_000_000_000,
    50_000_000_000,
    100_000_000_000,
    200_000_000_000,
    500_000_000_000,
    1_000_000_000_000,
];

/// How often spans of which length were seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    /// The last one: beyond all bounds.
    counts: [u64; BOUNDS_NS.len() + 1],
    sum: Duration,
    longest: Duration,
}

impl Histogram {
    /// Counts a span.
    pub(crate) fn record(&mut self, span: Duration) {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_NS.partition_point(|bound| *bound < nanos);
        self.counts[bucket] += 1;
        self.sum = self.sum.saturating_add(span);
        self.longest = self.longest.max(span);
    }

    /// The longest span that was counted.
    pub(crate) const fn longest(&self) -> Duration {
        self.longest
    }

    /// Writes it as an OpenMetrics histogram.
    pub(crate) fn write(&self, out: &mut String, name: &str, help: &str) {
        // Writing into a text cannot fail.
        let _ = writeln!(out, "# TYPE {name} histogram\n# UNIT {name} seconds\n# HELP {name} {help}");
        let mut below = 0;
        for (bound, count) in BOUNDS_NS.iter().zip(self.counts) {
            below += count;
            let _ = writeln!(out, "{name}_bucket{{le=\"{:?}\"}} {below}", *bound as f64 / 1e9);
        }
        let all: u64 = self.counts.iter().sum();
        let _ = writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {all}");
        let _ = writeln!(out, "{name}_sum {:?}\n{name}_count {all}", self.sum.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_counted_in_the_first_bucket_that_holds_it() {
        let mut histogram = Histogram::default();
        for micros in [0, 10, 11, 2_000_000_000] {
            histogram.record(Duration::from_micros(micros));
        }
        let mut text = String::new();
        histogram.write(&mut text, "x_seconds", "help.");
        for line in [
            "x_seconds_bucket{le=\"1e-5\"} 2",
            "x_seconds_bucket{le=\"2e-5\"} 3",
            "x_seconds_bucket{le=\"1000.0\"} 3",
            "x_seconds_bucket{le=\"+Inf\"} 4",
            "x_seconds_count 4",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert_eq!(histogram.longest(), Duration::from_secs(2000));
    }
}
