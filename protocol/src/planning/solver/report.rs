//! What a coordinator tells of its rounds: [`RoundReport`].

use alloc::vec::Vec;

/// How many reports wait to be taken before the oldest is dropped.
pub const MAX_REPORTS: usize = 64;

/// What one closed round amounted to.
#[derive(Clone, Debug, PartialEq)]
pub struct RoundReport {
    /// The horizon.
    pub horizon: u64,
    /// The round that closed.
    pub round: u32,
    /// `√N ‖s̄‖`: how far the fleet is from balance (Boyd et al. 2011 §3.3, with `z` balanced).
    pub primal_residual: f64,
    /// `‖ρ (sᵢ − zᵢ − α s̄)‖` over all members: how far each is from optimal at the published prices.
    pub dual_residual: f64,
    /// The tolerance of the primal residual in this round (§3.3.1).
    pub primal_tolerance: f64,
    /// The tolerance of the dual residual in this round.
    pub dual_tolerance: f64,
    /// The penalty of the round.
    pub rho: f64,
    /// The relaxation of the step that the round ended with.
    pub relaxation: f64,
    /// Members that answered this round.
    pub contributions: usize,
    /// Members whose last known share was used instead.
    pub stale: usize,
    /// The prices λ = ρ u after the round, one per coupling: what the pool pays for a unit taken.
    pub prices: Vec<f64>,
}
