//! Federated planning: every asset solves its own convex quadratic problem, and only summarised signals leave it.
//!
//! The fleet minimises `Σ fᵢ(xᵢ)` over local sets subject to `Σ Sᵢ xᵢ = 0` (the exchange problem, Boyd et al. 2011,
//! "Distributed Optimization and Statistical Learning via the Alternating Direction Method of Multipliers", §7.3). A
//! [`LocalProblem`] is one asset's part, a [`Participant`] its side of the rounds, a [`Coordinator`] the other side. Both
//! are sans-IO; [`Signal`] and [`Contribution`] are what travels.
//!
//! Arithmetic is plain IEEE loops in a fixed order, so that every machine computes the same bits.

mod cholesky;
pub mod coordinator;
pub mod exchange;
pub mod fleet;
pub mod generate;
pub mod integer;
pub mod message;
pub mod participant;
pub mod privacy;
pub mod problem;
pub mod qp;
pub mod schedule;
pub mod secure;
pub mod solver;

#[cfg(test)]
mod oracle;

pub use coordinator::{Coordinator, RoundReport};
pub use exchange::{Adaptation, ExchangeSettings, PlanError, Solver};
pub use fleet::{
    Assembly, CentralSolution, Coupling, CouplingKind, Couplings, FleetError, FleetProblem, Rule,
};
pub use integer::{IntegerError, IntegerFleet, Rounded, integrality_gap};
pub use message::{Contribution, MessageError, Outcome, Signal};
pub use participant::Participant;
pub use problem::{Hessian, LocalProblem, ProblemError, ProblemParts, Row, SharedTerm};
pub use qp::{Qp, QpError, QpSettings, QpSolution, Stop};
pub use schedule::{Commodity, Schedule};
