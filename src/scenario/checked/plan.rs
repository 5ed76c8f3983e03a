//! The federated plan.

use cosmosmesh_protocol::planning::solver::Kind;

use crate::units::{AssetIndex, SimTime};

/// A plan that the participants find together: each minimises its own cost, and for each
/// commodity and slot the sum over the participants is zero. Positive values give to the pool, negative ones take.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanSpec {
    /// Who gathers contributions and closes rounds; it may also participate.
    pub coordinator: AssetIndex,
    /// Who coordinates when it is silent, in this order.
    pub successors: Vec<AssetIndex>,
    /// How long a coordinator is silent before its first successor takes its place.
    pub succession: SimTime,
    /// The method; none to let the coordinator pick from the contact plan.
    pub solver: Option<Kind>,
    /// Number of slots of the horizon, 1 or more.
    pub slots: u32,
    /// Length of a slot.
    pub slot: SimTime,
    /// When the first round starts.
    pub start: SimTime,
    /// Penalty parameter, more than zero.
    pub rho: f64,
    /// Over-relaxation, 1 to below 2 (1: none).
    pub over_relaxation: f64,
    /// Absolute stopping tolerance.
    pub eps_abs: f64,
    /// Relative stopping tolerance.
    pub eps_rel: f64,
    /// No more rounds than this.
    pub max_rounds: u32,
    /// A round waits no longer for contributions.
    pub round_timeout: SimTime,
    /// Names of what is exchanged; [`PlanTerm::commodity`] is a position in this list.
    pub commodities: Vec<String>,
    /// Who takes part, in order of their assets.
    pub participants: Vec<PlanParticipant>,
    /// Lifetime of its bundles.
    pub lifetime: SimTime,
}

/// One participant's own problem.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanParticipant {
    /// Who.
    pub asset: AssetIndex,
    /// One per commodity that it gives or takes, in order of commodities. It exchanges nothing of the others.
    pub terms: Vec<PlanTerm>,
}

/// Cost ½ · curvature · Σ (x − preferred)² over the slots, within bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanTerm {
    /// Index into the plan's commodities.
    pub commodity: usize,
    /// What it would do alone, one per slot.
    pub preferred: Vec<f64>,
    /// Cost of departing from that, more than zero.
    pub curvature: f64,
    /// Least value, one per slot.
    pub min: Vec<f64>,
    /// Largest value, one per slot.
    pub max: Vec<f64>,
    /// Least sum over the slots.
    pub total_min: Option<f64>,
    /// Largest sum over the slots.
    pub total_max: Option<f64>,
    /// Largest change between neighbouring slots.
    pub ramp: Option<f64>,
}
