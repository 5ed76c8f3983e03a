//! The one interface of the coordinator's methods: [`Method`].

use alloc::{boxed::Box, vec::Vec};
use core::fmt::Debug;

use super::{
    anderson::Anderson,
    asynchronous::Asynchronous,
    asynchronous_exchange::AsynchronousExchange,
    consensus::Consensus,
    exchange::Exchange,
    layout::{Blocks, Curvature, Layout, MAX_ENTRIES},
    quasi_newton::QuasiNewton,
    request::{MAX_MEMORY, MAX_TRIALS, Question},
};
use crate::planning::{
    exchange::{Adaptation, PlanError},
    fleet::Couplings,
};

/// The method by which the fleet agrees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// Exchange ADMM (Boyd et al. 2011 §7.3), over-relaxed, for general couplings.
    #[default]
    Exchange,
    /// Consensus ADMM (Boyd et al. 2011 §7.1) on the assets' copies of the prices.
    Consensus,
    /// Exchange ADMM with Anderson acceleration.
    Anderson,
    /// A quasi-Newton method on the dual.
    QuasiNewton,
    /// Contributions of any age, each the affine model of one asset's response: ALADIN (Houska et al. 2016), incremental.
    Asynchronous,
    /// Exchange ADMM with contributions of any age.
    AsynchronousExchange,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Exchange,
        Self::Consensus,
        Self::Anderson,
        Self::QuasiNewton,
        Self::Asynchronous,
        Self::AsynchronousExchange,
    ];

    /// A stable word for scenarios, reports and traces.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Exchange => "exchange",
            Self::Consensus => "consensus",
            Self::Anderson => "anderson",
            Self::QuasiNewton => "quasi_newton",
            Self::Asynchronous => "asynchronous",
            Self::AsynchronousExchange => "asynchronous_exchange",
        }
    }

    /// Whether a step needs everyone's answer to one question.
    #[must_use]
    pub const fn rounds(self) -> bool {
        !matches!(self, Self::Asynchronous | Self::AsynchronousExchange)
    }
}

/// Settings of a method. Each reads what concerns it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MethodSettings {
    /// The method.
    pub kind: Kind,
    /// The first penalty ρ of the ADMM family, greater than zero.
    pub rho: f64,
    /// The relaxation α in \[1, 1.95\] of the ADMM family.
    pub relaxation: f64,
    /// How exchange and consensus adapt ρ; `None` keeps it.
    pub adaptation: Option<Adaptation>,
    /// What assets tell of their slope, for the quasi-Newton and the asynchronous method.
    pub curvature: Curvature,
    /// How many rounds Anderson remembers, and quasi-Newton with one trial and no matrices, 1 to [`MAX_MEMORY`].
    pub memory: usize,
    /// At how many prices the quasi-Newton method asks in a round, 1 to [`MAX_TRIALS`].
    pub trials: usize,
    /// The absolute tolerance per entry.
    pub eps_abs: f64,
    /// The relative tolerance.
    pub eps_rel: f64,
}

impl MethodSettings {
    /// The settings that the published figures use, for that method.
    #[must_use]
    pub fn of(kind: Kind) -> Self {
        let matrix = matches!(kind, Kind::Asynchronous | Kind::QuasiNewton);
        let curvature = if matrix { Curvature::Matrix } else { Curvature::Diagonal };
        Self {
            kind,
            rho: 1.0,
            relaxation: 1.6,
            adaptation: None,
            curvature,
            memory: 8,
            trials: 8,
            eps_abs: 1e-6,
            eps_rel: 1e-6,
        }
    }

    /// The same settings, asking for less where an answer would not fit into `bytes`: fewer trials, then the diagonal of the
    /// slope only, and exchange ADMM where even that is too long. The asynchronous method needs the matrix, and gives way to the
    /// asynchronous exchange.
    #[must_use]
    pub fn fit(mut self, couplings: usize, bytes: usize) -> Self {
        let wide = couplings > super::layout::MAX_MATRIX && self.curvature == Curvature::Matrix;
        if self.kind == Kind::Asynchronous {
            let one = couplings + self.curvature.entries(couplings);
            let large = wide || 32 + 9 * one > bytes;
            let kind = if large { Kind::AsynchronousExchange } else { self.kind };
            return if large { Self { kind, curvature: Curvature::None, ..self } } else { self };
        }
        if wide {
            self.curvature = Curvature::Diagonal;
        }
        if self.kind != Kind::QuasiNewton {
            return self;
        }
        let entries = MAX_ENTRIES.min(bytes.saturating_sub(32) / 9);
        let trials = |curvature: Curvature| entries / (couplings + 1 + curvature.entries(couplings)).max(1);
        if self.curvature == Curvature::Matrix && trials(Curvature::Matrix) < 2 {
            self.curvature = Curvature::Diagonal;
        }
        match trials(self.curvature) {
            0 => self.kind = Kind::Exchange,
            most => self.trials = self.trials.min(most),
        }
        self
    }

    /// Checks every field's range.
    ///
    /// # Errors
    /// The first [`PlanError::Setting`].
    pub fn check(&self, couplings: usize) -> Result<(), PlanError> {
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let matrix = self.curvature == Curvature::Matrix;
        let asked = self.trials * (couplings + 1 + self.curvature.entries(couplings));
        let entries = if self.kind == Kind::QuasiNewton { asked } else { 0 };
        for (name, found, valid) in [
            ("rho", self.rho, positive(self.rho)),
            ("relaxation", self.relaxation, (1.0..=1.95).contains(&self.relaxation)),
            ("memory", self.memory as f64, (1..=MAX_MEMORY).contains(&self.memory)),
            ("trials", self.trials as f64, (1..=MAX_TRIALS).contains(&self.trials) && entries <= MAX_ENTRIES),
            ("eps_abs", self.eps_abs, positive(self.eps_abs)),
            ("eps_rel", self.eps_rel, self.eps_rel >= 0.0 && self.eps_rel.is_finite()),
            ("curvature", couplings as f64, !matrix || couplings <= super::layout::MAX_MATRIX),
        ] {
            if !valid {
                return Err(PlanError::Setting { name, found });
            }
        }
        Ok(())
    }
}

/// Who is in a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// The members of the plan.
    pub members: usize,
    /// Those whose contribution, of whatever age, is in the sum.
    pub known: usize,
    /// Those whose contribution answers the latest request; with a method that never waits, those that arrived since the
    /// last step.
    pub fresh: usize,
    /// Whether every member has contributed since the last step that was told so.
    pub swept: bool,
}

impl Tally {
    /// Whether everyone answered the latest request.
    #[must_use]
    pub fn whole(&self) -> bool {
        self.fresh == self.members
    }
}

/// What one step amounted to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// How far the fleet is from keeping its couplings, in units of shares (consensus: of prices).
    pub primal: f64,
    /// How far the members are from optimal at the published prices.
    pub dual: f64,
    /// The tolerance of the primal residual.
    pub primal_tolerance: f64,
    /// The tolerance of the dual residual.
    pub dual_tolerance: f64,
    /// Whether the residuals are those of the whole fleet, so that tolerances that are met mean convergence.
    pub conclusive: bool,
    /// The penalty, or the damping, of the step.
    pub rho: f64,
    /// How far the question moved, where an answer depends on nothing else.
    pub stir: Option<Stir>,
}

/// How far a question moved, in tolerances.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stir {
    /// In this step.
    pub step: f64,
    /// In the last whole sweep; nothing before the first.
    pub sweep: f64,
}

impl Progress {
    /// Whether both residuals met their tolerances.
    #[must_use]
    pub fn met(&self) -> bool {
        self.primal <= self.primal_tolerance && self.dual <= self.dual_tolerance
    }
}

/// A coordinator-side method. It sees sums over assets and nothing else, so that aggregation can be secure.
pub trait Method: Debug + Send + Sync {
    /// What to ask next. Its layout never changes.
    fn question(&self) -> Question;

    /// The prices λ.
    fn prices(&self) -> &[f64];

    /// What the squares of the next answer are relative to; a power of two.
    fn unit(&self) -> f64 {
        1.0
    }

    /// Whether a step needs everyone's answer to one question. Otherwise any new contribution is worth a step.
    fn rounds(&self) -> bool {
        true
    }

    /// Whether what is known suffices for a step. Otherwise more is waited for, until somebody was silent for a deadline.
    fn ready(&self, _tally: Tally) -> bool {
        true
    }

    /// Takes the step that the sum of all known contributions leads to.
    fn advance(&mut self, sum: &Blocks, tally: Tally) -> Progress;

    /// Goes on from prices that another coordinator published, or that a shifted horizon suggests. What was remembered of
    /// the rounds before is forgotten.
    fn resume(&mut self, prices: &[f64]);

    /// Whether a step from anyone's stale answer is worth nothing, so that a round waits beyond its deadline.
    fn insists(&self) -> bool {
        false
    }

    /// It ends without convergence: from here on it asks for what can be had in any case, where not everything can.
    fn give_up(&mut self) {}

    /// How many requests members have, and how many they took at the last answers; `None` where nothing tells.
    fn requests(&self) -> Option<(usize, usize)> {
        None
    }

    /// The layout of answers.
    fn layout(&self) -> Layout {
        self.question().layout(self.prices().len())
    }
}

/// Makes the method of the settings for `members`.
///
/// # Errors
/// [`PlanError::Setting`].
pub fn method(
    settings: MethodSettings,
    couplings: &Couplings,
    members: usize,
) -> Result<Box<dyn Method>, PlanError> {
    settings.check(couplings.len())?;
    let couplings = couplings.clone();
    Ok(match settings.kind {
        Kind::Exchange => Box::new(Exchange::new(settings, couplings, members)),
        Kind::Consensus => Box::new(Consensus::new(settings, couplings, members)),
        Kind::Anderson => Box::new(Anderson::new(settings, couplings, members)),
        Kind::QuasiNewton => Box::new(QuasiNewton::new(settings, couplings)),
        Kind::Asynchronous => Box::new(Asynchronous::new(settings, couplings)),
        Kind::AsynchronousExchange => Box::new(AsynchronousExchange::new(settings, couplings, members)),
    })
}

/// A power of two near `value`, so that dividing by it is exact.
pub(super) fn power_of_two(value: f64) -> f64 {
    let held = if value.is_finite() { value.clamp(1e-14, 1e14) } else { 1e14 };
    libm::ldexp(1.0, libm::ilogb(held))
}

/// The Euclidean norm.
pub(super) fn norm(vector: &[f64]) -> f64 {
    libm::sqrt(vector.iter().map(|value| value * value).sum())
}

/// `a − b`.
pub(super) fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_are_near() {
        for value in [1e-20, 3e-7, 1.0, 1.5, 1e9, f64::INFINITY, f64::NAN] {
            let power = power_of_two(value);
            assert!(power > 0.0 && power.is_finite() && libm::frexp(power).0 == 0.5, "{value}: {power}");
        }
        assert_eq!(power_of_two(5.0), 4.0);
    }

    #[test]
    fn answers_are_made_to_fit_into_messages() {
        let wide = MethodSettings::of(Kind::QuasiNewton);
        assert_eq!(wide.fit(27, 1 << 20), wide);
        let narrow = wide.fit(27, 16_000);
        assert_eq!((narrow.trials, narrow.curvature), (4, Curvature::Matrix));
        let least = wide.fit(27, 4000);
        assert_eq!((least.trials, least.curvature), (8, Curvature::Diagonal));
        assert_eq!(wide.fit(500, 1 << 20).check(500), Ok(()));
        let one = MethodSettings::of(Kind::Asynchronous);
        assert_eq!(one.fit(27, 4000), one);
        assert_eq!(one.fit(27, 3000).kind, Kind::AsynchronousExchange);
        assert_eq!(one.fit(97, 1 << 20).check(97), Ok(()));
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let good = MethodSettings::of(Kind::Asynchronous);
        assert_eq!(good.check(24), Ok(()));
        for (name, wrong) in [
            ("rho", MethodSettings { rho: f64::NAN, ..good }),
            ("relaxation", MethodSettings { relaxation: 2.0, ..good }),
            ("memory", MethodSettings { memory: 0, ..good }),
            ("eps_abs", MethodSettings { eps_abs: 0.0, ..good }),
        ] {
            assert!(matches!(wrong.check(24), Err(PlanError::Setting { name: found, .. }) if found == name));
        }
        assert!(good.check(97).is_err(), "the matrix is too large");
    }
}
