//! How a run is asked for, how far it is, what it amounted to, and why there is none.

use super::outside::BindError;
use crate::{units::SimTime, world::CourseError};
use cosmosmesh_protocol::{dtn::contact_plan::PlanError, node::Signatures, planning::ProblemError};
use std::num::NonZeroUsize;

/// How to run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Seed in place of the scenario's.
    pub seed: Option<u64>,
    /// Threads; the result does not depend on it.
    pub threads: NonZeroUsize,
    /// Where to stop before the scenario's end.
    pub until: Option<SimTime>,
    /// Whether sinks are told every bundle that is sent. The trace does not depend on it.
    pub capture: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: None, threads: NonZeroUsize::MIN, until: None, capture: false }
    }
}

/// Why a scenario cannot be simulated.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// It cannot be set out.
    #[error(transparent)]
    Course(#[from] CourseError),
    /// Nodes cannot hold its contact plan.
    #[error("contact plan: {0}")]
    Plan(#[from] PlanError),
    /// A participant's planning problem has no single solution.
    #[error("planning problem of `{asset}`: {source}")]
    Problem {
        /// The asset's name.
        asset: String,
        /// Why.
        source: ProblemError,
    },
    /// The plan's settings contradict each other.
    #[error("planning: {0}")]
    Planning(#[from] cosmosmesh_protocol::planning::PlanError),
    /// Something cannot be real.
    #[error("bind: {0}")]
    Bind(#[from] BindError),
    /// Threads cannot be started.
    #[error("cannot start {0} threads")]
    Threads(NonZeroUsize),
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Simulated time.
    pub now: SimTime,
    /// When it ends.
    pub end: SimTime,
    /// Events handled.
    pub events: u64,
}

/// What a run amounted to, beside its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// When it ended.
    pub end: SimTime,
    /// Events handled.
    pub events: u64,
    /// Records written.
    pub records: u64,
    /// Signatures made and checked by all nodes.
    pub signatures: Signatures,
}
