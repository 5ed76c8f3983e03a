//! One constraint that binds the whole fleet: [`Coupling`].

use alloc::string::String;

/// The longest name of a coupling, in bytes.
pub const MAX_NAME: usize = 64;

/// What a fleet-wide constraint is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum CouplingKind {
    /// What is given equals what is taken: exactly zero.
    Balance,
    /// No more than a shared budget (energy, seconds of downlink).
    Budget,
    /// At most so many at once (a landing corridor, an antenna); of binary variables, relaxed to `[0, 1]`.
    MutualExclusion,
    /// A quantity that the fleet as a whole keeps within limits.
    SafetyEnvelope,
    /// A least or greatest total.
    Total,
}

impl CouplingKind {
    /// A stable word for reports and traces.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Balance => "balance",
            Self::Budget => "budget",
            Self::MutualExclusion => "exclusion",
            Self::SafetyEnvelope => "envelope",
            Self::Total => "total",
        }
    }
}

/// A fleet-wide constraint `lower ≤ Σᵢ (Sᵢ xᵢ)ₖ ≤ upper`, in the units of the shared map's rows.
///
/// Its *price* is its multiplier in `Σ fᵢ + λᵀ(Σ Sᵢ xᵢ)`: positive where the upper bound binds (each unit is charged), negative
/// where the lower bound binds (each unit is rewarded), zero where neither does.
#[derive(Clone, Debug, PartialEq)]
pub struct Coupling {
    /// A name that is unique in the fleet, at most [`MAX_NAME`] bytes.
    pub name: String,
    /// What it is for.
    pub kind: CouplingKind,
    /// The least sum, −∞ for none.
    pub lower: f64,
    /// The greatest sum, +∞ for none.
    pub upper: f64,
}

impl Coupling {
    /// The shares sum to zero.
    #[must_use]
    pub fn balance(name: impl Into<String>) -> Self {
        Self { name: name.into(), kind: CouplingKind::Balance, lower: 0.0, upper: 0.0 }
    }

    /// The shares sum to at most `upper`.
    #[must_use]
    pub fn budget(name: impl Into<String>, upper: f64) -> Self {
        Self { name: name.into(), kind: CouplingKind::Budget, lower: f64::NEG_INFINITY, upper }
    }

    /// At most `capacity` assets at once, each with a share in `[0, 1]`: the relaxation of a choice.
    #[must_use]
    pub fn mutual_exclusion(name: impl Into<String>, capacity: f64) -> Self {
        let lower = f64::NEG_INFINITY;
        Self { name: name.into(), kind: CouplingKind::MutualExclusion, lower, upper: capacity }
    }

    /// The sum stays within `lower` and `upper`.
    #[must_use]
    pub fn safety_envelope(name: impl Into<String>, lower: f64, upper: f64) -> Self {
        Self { name: name.into(), kind: CouplingKind::SafetyEnvelope, lower, upper }
    }

    /// The sum is at least and at most these; an infinite bound is none.
    #[must_use]
    pub fn total(name: impl Into<String>, lower: f64, upper: f64) -> Self {
        Self { name: name.into(), kind: CouplingKind::Total, lower, upper }
    }

    /// The nearest sum that is allowed.
    #[must_use]
    pub fn project(&self, sum: f64) -> f64 {
        sum.max(self.lower).min(self.upper)
    }

    /// How far a sum is outside of the bounds; zero when allowed.
    #[must_use]
    pub fn violation(&self, sum: f64) -> f64 {
        (self.lower - sum).max(sum - self.upper).max(0.0)
    }

    /// Why the bounds do not fit the kind, if so.
    pub(super) fn flaw(&self) -> Option<&'static str> {
        let (lower, upper) = (self.lower, self.upper);
        if lower.is_nan() || upper.is_nan() || lower == f64::INFINITY || upper == f64::NEG_INFINITY {
            return Some("a bound is not a number, or infinite on the wrong side");
        }
        if lower > upper {
            return Some("the lower bound is above the upper bound");
        }
        match self.kind {
            CouplingKind::Balance if lower != 0.0 || upper != 0.0 => Some("a balance is exactly zero"),
            CouplingKind::Budget if upper.is_infinite() => Some("a budget has an upper bound"),
            CouplingKind::MutualExclusion if !(upper.is_finite() && upper > 0.0) => {
                Some("a capacity is finite and above zero")
            }
            _ if lower.is_infinite() && upper.is_infinite() => Some("neither bound is finite"),
            _ => None,
        }
    }
}
