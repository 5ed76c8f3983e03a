//! How far metrics may be from a baseline.

use super::Optional;
use crate::scenario::decode::{Spanned, choice, record};

record! {
    /// A tolerance of `check`.
    RawTolerance "Tolerance" {
        metric: Spanned<String>, "", "The metric's name; a trailing `*` stands for all that begin so.";
        absolute: Optional<f64>, "0", "Allowed absolute difference, 0 or more.";
        relative: Optional<f64>, "0", "Allowed difference relative to the baseline, 0 or more; the larger of both holds.";
        better: Optional<RawBetter>, "Neither", "Which direction is an improvement and never fails.";
    }
}

choice! {
    /// Directions of improvement.
    RawBetter "Better" { Lower, Higher, Neither }
}
