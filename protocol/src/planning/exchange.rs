//! How a penalty adapts, and why inputs of a plan are refused.

use super::{
    message::MessageError,
    qp::{QpError, Stop},
};
use crate::id::NodeId;

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
    /// The message answers another coordinator in a row.
    #[error("an answer to term {found}, this is {expected}")]
    Term {
        /// The message's term.
        found: u32,
        /// This coordinator's.
        expected: u32,
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

impl PlanError {
    /// A stable word for counters.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Message(_) => "plan_malformed",
            Self::Problem(_) | Self::NotSolved { .. } => "plan_not_solved",
            Self::Horizon { .. } => "plan_horizon",
            Self::Term { .. } => "plan_term",
            Self::OldRound { .. } => "plan_old_round",
            Self::FutureRound { .. } => "plan_future_round",
            Self::Conflict { .. } => "plan_conflict",
            Self::Idle => "plan_over",
            Self::NotMember { .. } => "plan_not_enrolled",
            Self::Couplings { .. } => "plan_couplings",
            Self::Members { .. } | Self::Setting { .. } => "plan_setting",
        }
    }
}
