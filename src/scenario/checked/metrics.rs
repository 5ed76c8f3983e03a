//! How far metrics may be from a baseline.

/// How far a metric may be from its baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct Tolerance {
    /// The metric's name; a trailing `*` stands for every metric that begins so.
    pub metric: String,
    /// Allowed absolute difference, 0 or more.
    pub absolute: f64,
    /// Allowed difference relative to the baseline, 0 or more; the larger of both holds.
    pub relative: f64,
    /// Which direction is an improvement, and so never fails.
    pub better: Better,
}

/// Which direction of a metric is an improvement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Smaller values.
    Lower,
    /// Larger values.
    Higher,
    /// Neither: any departure counts.
    Neither,
}
