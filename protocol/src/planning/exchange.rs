//! Settings and refusals of the exchange rounds (Boyd et al. 2011 §7.3).

use core::time::Duration;

use super::{
    message::{MAX_MEMBERS, MessageError},
    problem::MAX_COUPLINGS,
    qp::{QpError, Stop},
};
use crate::id::NodeId;

/// The method by which the fleet agrees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Solver {
    /// Exchange ADMM (Boyd et al. 2011 §7.3).
    #[default]
    Exchange,
}

/// When the penalty ρ is adapted to balance the relative residuals (Boyd et al. 2011 §3.4.1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adaptation {
    /// ρ changes when one relative residual exceeds the other by this ratio; above 1.
    pub ratio: f64,
    /// ρ is multiplied or divided by this; above 1.
    pub factor: f64,
    /// Rounds between two changes; at least 1.
    pub every: u32,
    /// The most changes in one horizon. After them ρ is constant, for which ADMM is proven to converge.
    pub limit: u32,
}

impl Default for Adaptation {
    fn default() -> Self {
        Self { ratio: 5.0, factor: 2.0, every: 5, limit: 20 }
    }
}

/// Settings of a coordinator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExchangeSettings {
    /// The method.
    pub solver: Solver,
    /// The first penalty ρ, greater than zero.
    pub rho: f64,
    /// The relaxation α in \[1, 1.95\] (§3.4.3); 1 is plain ADMM.
    pub relaxation: f64,
    /// How ρ adapts; `None` keeps it.
    pub adaptation: Option<Adaptation>,
    /// The absolute tolerance per entry (§3.3.1).
    pub eps_abs: f64,
    /// The relative tolerance (§3.3.1).
    pub eps_rel: f64,
    /// The most rounds of one horizon, at least 1.
    pub max_rounds: u32,
    /// How long a round waits before it closes without its missing members.
    pub deadline: Duration,
    /// How many fresh contributions a round needs to close at its deadline, 1 to the number of members.
    pub quorum: usize,
    /// How many times in a row one round's deadline is extended before the plan is committed as [`super::Outcome::Absent`].
    pub patience: u32,
}

impl Default for ExchangeSettings {
    fn default() -> Self {
        Self {
            solver: Solver::Exchange,
            rho: 1.0,
            relaxation: 1.6,
            adaptation: Some(Adaptation::default()),
            eps_abs: 1e-6,
            eps_rel: 1e-5,
            max_rounds: 500,
            deadline: Duration::from_secs(60),
            quorum: 1,
            patience: 1000,
        }
    }
}

/// Why a planning input is refused. The state did not change.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The message's content is out of range.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The local problem cannot be prepared.
    #[error(transparent)]
    Problem(#[from] QpError),
    /// The local problem was not solved: its rows exclude each other, or it is badly scaled.
    #[error("local problem not solved: {stop:?} with residual {residual}")]
    NotSolved {
        /// Why the solver stopped.
        stop: Stop,
        /// Its KKT residual.
        residual: f64,
    },
    /// The message is of another horizon.
    #[error("horizon {found}, expected {expected}")]
    Horizon {
        /// The message's horizon.
        found: u64,
        /// The horizon in progress.
        expected: u64,
    },
    /// The message answers or opens a round that is over.
    #[error("round {found} is over, at round {current}")]
    OldRound {
        /// The message's round.
        found: u32,
        /// The round in progress.
        current: u32,
    },
    /// The contribution answers a round that has not begun.
    #[error("round {found} has not begun, at round {current}")]
    FutureRound {
        /// The message's round.
        found: u32,
        /// The round in progress.
        current: u32,
    },
    /// Another message of the same sender and round says something else.
    #[error("a different message was already accepted for round {round}")]
    Conflict {
        /// The round.
        round: u32,
    },
    /// The plan is committed, or was never begun.
    #[error("no round is open")]
    Idle,
    /// The sender takes no part in the plan.
    #[error("node {node} is not a member of the plan")]
    NotMember {
        /// The sender.
        node: NodeId,
    },
    /// The message has the wrong number of couplings.
    #[error("{found} couplings, expected {expected}")]
    Couplings {
        /// The message's number.
        found: usize,
        /// The plan's number.
        expected: usize,
    },
    /// The members are none, too many, or one is named twice.
    #[error("{found} members: allowed are 1..={limit}, each once")]
    Members {
        /// How many were given.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// A setting is out of its range.
    #[error("setting {name} is out of range: {found}")]
    Setting {
        /// The setting's field.
        name: &'static str,
        /// Its value.
        found: f64,
    },
}

impl ExchangeSettings {
    /// Checks every field's range for a plan of `members` and `couplings`.
    ///
    /// # Errors
    /// The first [`PlanError::Setting`], [`PlanError::Members`] or [`PlanError::Message`].
    pub fn check(&self, members: usize, couplings: usize) -> Result<(), PlanError> {
        if members == 0 || members > MAX_MEMBERS {
            return Err(PlanError::Members { found: members, limit: MAX_MEMBERS });
        }
        if couplings == 0 || couplings > MAX_COUPLINGS {
            return Err(MessageError::Couplings { found: couplings as u64, limit: MAX_COUPLINGS }.into());
        }
        let adaptation = self.adaptation.unwrap_or_default();
        let positive = |value: f64| value > 0.0 && value.is_finite();
        for (name, found, valid) in [
            ("rho", self.rho, positive(self.rho)),
            ("relaxation", self.relaxation, (1.0..=1.95).contains(&self.relaxation)),
            ("eps_abs", self.eps_abs, positive(self.eps_abs)),
            ("eps_rel", self.eps_rel, self.eps_rel >= 0.0 && self.eps_rel.is_finite()),
            ("max_rounds", f64::from(self.max_rounds), self.max_rounds > 0 && self.max_rounds < u32::MAX),
            ("deadline", self.deadline.as_secs_f64(), !self.deadline.is_zero()),
            ("quorum", self.quorum as f64, (1..=members).contains(&self.quorum)),
            ("adaptation.ratio", adaptation.ratio, adaptation.ratio > 1.0),
            ("adaptation.factor", adaptation.factor, adaptation.factor > 1.0 && adaptation.factor <= 1e3),
            ("adaptation.every", f64::from(adaptation.every), adaptation.every > 0),
        ] {
            if !valid {
                return Err(PlanError::Setting { name, found });
            }
        }
        Ok(())
    }
}
