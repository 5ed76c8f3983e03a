//! Federated planning: every asset solves its own convex quadratic problem, and only summarised signals leave it.
//!
//! The fleet minimises `Σ fᵢ(xᵢ)` over local sets subject to `lower ≤ Σ Sᵢ xᵢ ≤ upper`, of which the exchange problem (Boyd et al. 2011,
//! "Distributed Optimization and Statistical Learning via the Alternating Direction Method of Multipliers", §7.3) is the case 0.
//! A [`LocalProblem`] is one asset's part, [`Couplings`] are what binds them, and [`solver`] holds the methods, an asset's side and
//! the coordinator's. All are sans-IO.
//!
//! Arithmetic is plain IEEE loops in a fixed order, so that every machine computes the same bits.

mod cholesky;
pub mod exchange;
pub mod fleet;
pub mod generate;
pub mod integer;
pub mod message;
pub mod notice;
pub mod privacy;
pub mod problem;
pub mod qp;
pub mod schedule;
pub mod secure;
pub mod solver;
mod version;

#[cfg(test)]
mod oracle;

pub use exchange::{Adaptation, PlanError};
pub use fleet::{
    Assembly, CentralSolution, Coupling, CouplingKind, Couplings, FleetError, FleetProblem, Rule,
};
pub use integer::{IntegerError, IntegerFleet, Rounded, integrality_gap};
pub use message::{MessageError, Outcome};
pub use problem::{Hessian, LocalProblem, ProblemError, ProblemParts, Row, SharedTerm};
pub use qp::{Qp, QpError, QpSettings, QpSolution, Stop};
pub use schedule::{Commodity, Schedule};
pub use solver::RoundReport;
pub use version::Version;
