//! The federated plan.

use super::Optional;
use crate::scenario::{
    decode::{Series, Spanned, choice, record},
    quantity::Duration,
};

record! {
    /// A federated plan.
    RawPlan "Planning" {
        coordinator: Spanned<String>, "", "The asset that gathers contributions and closes rounds.";
        slots: Spanned<u32>, "", "Slots of the horizon, 1 to 1000.";
        slot: Spanned<Duration>, "", "Length of a slot, more than zero.";
        start: Optional<Duration>, "0 s", "When the first round starts, before the run's end.";
        solver: Optional<RawSolver>, "Exchange", "The method by which the participants agree. `Auto` picks from the contact plan and says why.";
        successors: Optional<Vec<Spanned<String>>>, "none", "Assets that coordinate when the coordinator is silent, in this order.";
        succession: Optional<Duration>, "three times round_timeout", "How long a coordinator is silent before its first successor takes its place, more than zero.";
        rho: Optional<f64>, "1", "Penalty parameter of ADMM, more than zero.";
        over_relaxation: Optional<f64>, "1", "Over-relaxation, 1 (none) to below 2.";
        eps_abs: Optional<f64>, "1e-6", "Absolute stopping tolerance, more than zero.";
        eps_rel: Optional<f64>, "1e-6", "Relative stopping tolerance, 0 or more.";
        max_rounds: Optional<u32>, "500", "No more rounds than this, 1 to 100000.";
        round_timeout: Optional<Duration>, "6 h", "A round waits no longer for contributions, more than zero.";
        commodities: Spanned<Vec<Spanned<String>>>, "", "Names of what is exchanged, at least one, each once.";
        participants: Spanned<Vec<Spanned<RawParticipant>>>, "", "Who takes part, at least two. Positive values give to the pool, negative ones take, and for each commodity and slot they sum to zero.";
        lifetime: Optional<Duration>, "the protocol's for Expedited", "Lifetime of its bundles, more than zero.";
    }
}

choice! {
    /// A method of planning.
    RawSolver "Solver" { Auto, Exchange, Consensus, Anderson, QuasiNewton, Asynchronous, AsynchronousExchange }
}

record! {
    /// A participant's own problem.
    RawParticipant "Participant" {
        asset: Spanned<String>, "", "Who.";
        terms: Spanned<Vec<Spanned<RawTerm>>>, "", "At most one per commodity, at least one.";
    }
}

record! {
    /// Cost and bounds for a commodity.
    RawTerm "Term" {
        commodity: Spanned<String>, "", "Which commodity.";
        preferred: Spanned<Series>, "", "What it would do alone.";
        curvature: Spanned<f64>, "", "Cost of departing from that: ½ · curvature · Σ (x − preferred)², more than zero.";
        min: Spanned<Series>, "", "Least value.";
        max: Spanned<Series>, "", "Largest value, not below the least.";
        total_min: Optional<f64>, "none", "Least sum over the slots.";
        total_max: Optional<f64>, "none", "Largest sum over the slots.";
        ramp: Optional<f64>, "none", "Largest change between neighbouring slots, 0 or more.";
    }
}
