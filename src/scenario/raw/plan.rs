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
        successors: Optional<Vec<Spanned<String>>>, "none", "Participants that coordinate when the coordinator is silent, in this order: a majority of all participants elects them, so that at least three are needed, or two and a coordinator that takes no part.";
        succession: Optional<Duration>, "three times round_timeout", "How long a coordinator is silent before its first successor takes its place, more than zero.";
        rho: Optional<f64>, "1", "Penalty parameter of ADMM, more than zero.";
        over_relaxation: Optional<f64>, "1", "Over-relaxation, 1 (none) to 1.95.";
        eps_abs: Optional<f64>, "1e-6", "Absolute stopping tolerance, more than zero.";
        eps_rel: Optional<f64>, "1e-6", "Relative stopping tolerance, 0 or more.";
        max_rounds: Optional<u32>, "500", "No more rounds than this, 1 to 100000.";
        round_timeout: Optional<Duration>, "6 h", "A round waits no longer for contributions, more than zero.";
        commodities: Spanned<Vec<Spanned<String>>>, "", "Names of what is exchanged, at least one, each once.";
        participants: Spanned<Vec<Spanned<RawParticipant>>>, "", "Who takes part, at least two. Positive values give to the pool, negative ones take.";
        balance: Optional<Vec<Spanned<String>>>, "every commodity", "Commodities whose values sum to zero in every slot.";
        constraints: Optional<Vec<Spanned<RawConstraint>>>, "none", "Further constraints that bind the fleet, each with its price.";
        min_curvature: Optional<f64>, "0", "The contract: no term of a commodity has less curvature than this, 0 or more. The flatter the costs, the more rounds.";
        lifetime: Optional<Duration>, "the protocol's for Expedited", "Lifetime of its bundles, more than zero.";
        privacy: Optional<RawPrivacy>, "Masked() where four take part and three others can be the committee, else Off", "Whether the coordinator sees sums of answers only, or every answer.";
        rolling: Optional<RawRolling>, "none", "Receding horizon: the plan is solved again as time passes. Every per-slot value then counts from the first horizon's first slot to the last one's last.";
        absence: Optional<Duration>, "ten times round_timeout", "How long after it was asked a participant from which nothing came is retired, more than zero: its values leave the sums. Heard of again, it takes part again.";
    }
}

choice! {
    /// What protects the participants' answers.
    RawPrivacy "Privacy" { Off, Masked(RawMasks) }
}

record! {
    /// Secure aggregation: answers are masked, and a committee opens sums of several.
    RawMasks "Masks" {
        committee: Optional<Vec<Spanned<String>>>, "four habitats, satellites or ground stations, those that take part first, without the coordinator", "Who masks and opens: 2 to 16 assets or `@group`s. Each has to answer for every sum.";
        k_min: Optional<u32>, "3", "Fewer answers than this are not opened, 2 to the number of participants.";
        cohort: Optional<u32>, "k_min", "Fewer participants than this are not opened for the first time in one sum.";
        threshold: Optional<u32>, "3 with four seats or more, else 0", "Shares of a lost member's key that recover it, 3 to one less than the seats; 0: keys are not shared.";
        recoveries: Optional<u32>, "1 with a threshold, else 0", "Lost members that are recovered under one coordinator. Fewer than threshold − recoveries members may collude with it.";
        patience: Optional<Duration>, "round_timeout", "How long the coordinator waits for the committee before it asks again, then recovers a member, then gives the sum up; more than zero.";
        coordinators: Optional<u32>, "8, or as many as the horizons need and two more for each candidate", "For how many coordinators in a row keys are published: as many as the horizons need (one, and one for each candidate whenever the number of prices changes) to 1024.";
        changes: Optional<u32>, "k_min", "How many participants have to come or go within a horizon before the others begin their sum anew, 1 to 10000. Until then the last answer of who is gone stays in the plan, and who joins waits for the next horizon; 1 shows the share of a single one.";
        noise: Optional<RawNoise>, "none", "Noise on every answer, so that even sums tell little: local differential privacy. For the solvers Exchange and AsynchronousExchange, which need shares alone; `Auto` takes the latter.";
    }
}

record! {
    /// Local differential privacy of answers: clipped, with discrete Gaussian noise, within a budget.
    RawNoise "Noise" {
        clip: Spanned<f64>, "", "Values are clipped to ± this, more than zero.";
        norm: Optional<f64>, "none", "And whole answers to this Euclidean norm, more than zero.";
        epsilon: Spanned<f64>, "", "The budget ε of each participant for the whole plan, more than zero.";
        delta: Optional<f64>, "1e-6", "At this δ, above 0 and below 1.";
        answers: Spanned<u32>, "", "For how many answers the budget lasts, 1 to 100000: the more, the more noise on each.";
        when_spent: Optional<RawWhenSpent>, "KeepLast", "What becomes of a participant's part when its budget is spent: its last answer stays in the sum, or it leaves by an answer of zeros.";
    }
}

choice! {
    /// What a spent budget leads to.
    RawWhenSpent "WhenSpent" { KeepLast, Leave }
}

choice! {
    /// A method of planning.
    RawSolver "Solver" { Auto, Exchange, Consensus, Anderson, QuasiNewton, Asynchronous, AsynchronousExchange }
}

record! {
    /// A receding horizon: what was done is fixed, and what is ahead is planned again, from the prices of the last plan.
    RawRolling "Rolling" {
        every: Spanned<Duration>, "", "How long after the last one a horizon begins: a whole number of slots, at least one.";
        horizons: Spanned<u32>, "", "How many horizons there are, 2 to 1000; the last one begins before the run's end.";
    }
}

record! {
    /// A participant's own problem.
    RawParticipant "Participant" {
        asset: Spanned<String>, "", "Who.";
        joins: Optional<Duration>, "the plan's start", "When it begins to take part, after the plan's start.";
        leaves: Optional<Duration>, "never", "When it ceases to take part, after it joined.";
        terms: Spanned<Vec<Spanned<RawTerm>>>, "", "At most one per commodity, at least one.";
        private: Optional<Vec<Spanned<RawTerm>>>, "none", "Further quantities of its own, whose names are no commodities: no constraint of the fleet binds them, and nobody learns of them.";
        relations: Optional<Vec<Spanned<RawRelation>>>, "none", "What holds between its values in every slot.";
        reserves: Optional<Vec<Spanned<RawReserve>>>, "none", "Stores that its values draw on from slot to slot.";
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
        windows: Optional<Vec<Spanned<RawSlots>>>, "every slot", "Slots in which its values may differ from zero.";
        requests: Optional<bool>, "false", "Its values are taken or not, 1 or 0, with `min: 0, max: 1`. Planned as if they could be taken in part, then made whole by the nodes, and the rest is planned once more. Under masks thresholds rise until the sums of what is taken fit; without, the nodes bid and the coordinator grants by a stated rule.";
    }
}

record! {
    /// Neighbouring slots.
    RawSlots "Slots" {
        first: Optional<u32>, "0", "The first slot; slots count from 0.";
        last: Optional<u32>, "the horizon's last", "The last slot, not before the first.";
    }
}

record! {
    /// A linear relation between an asset's values.
    RawRelation "Relation" {
        terms: Spanned<Vec<Spanned<RawWeighted>>>, "", "What is summed, at least one.";
        min: Optional<Series>, "none", "Least sum.";
        max: Optional<Series>, "none", "Largest sum, not below the least.";
    }
}

record! {
    /// A value with a weight.
    RawWeighted "Weighted" {
        commodity: Spanned<String>, "", "A commodity or private quantity for which it has a term.";
        weight: Optional<f64>, "1", "What the value is multiplied by.";
    }
}

record! {
    /// A store, such as a battery: its initial level less all that was given until a slot's end stays within bounds.
    RawReserve "Reserve" {
        commodity: Spanned<String>, "", "The commodity or private quantity that is given from it.";
        initial: Spanned<f64>, "", "Level before the first slot, in the unit of the values.";
        min: Optional<f64>, "0", "Least level.";
        max: Spanned<f64>, "", "Largest level, not below the least.";
    }
}

choice! {
    /// What binds the fleet.
    RawConstraint "Constraint" { Budget(RawSharedBudget), Exclusion(RawExclusion), Envelope(RawEnvelope), Total(RawTotal) }
}

record! {
    /// A shared budget, such as energy or seconds of downlink: the sum over assets and slots.
    RawSharedBudget "SharedBudget" {
        name: Spanned<String>, "", "The name of its price.";
        commodity: Spanned<String>, "", "What is summed.";
        assets: Optional<Vec<Spanned<String>>>, "every participant", "Whose values.";
        slots: Optional<RawSlots>, "the horizon", "In which slots.";
        max: Spanned<f64>, "", "Largest sum.";
    }
}

record! {
    /// Mutual exclusion, such as of an antenna or a landing corridor: in each slot, no more than the capacity at once.
    RawExclusion "Exclusion" {
        name: Spanned<String>, "", "The name of its prices, one per slot.";
        commodity: Spanned<String>, "", "What is summed: usually requests.";
        assets: Optional<Vec<Spanned<String>>>, "every participant", "Whose values.";
        slots: Optional<RawSlots>, "the horizon", "In which slots.";
        capacity: Optional<f64>, "1", "How many at once, more than zero.";
    }
}

record! {
    /// A safety envelope: in each slot, the sum over assets stays within bounds.
    RawEnvelope "Envelope" {
        name: Spanned<String>, "", "The name of its prices, one per slot.";
        commodity: Spanned<String>, "", "What is summed.";
        assets: Optional<Vec<Spanned<String>>>, "every participant", "Whose values.";
        slots: Optional<RawSlots>, "the horizon", "In which slots.";
        min: Optional<f64>, "none", "Least sum; it or `max` is given.";
        max: Optional<f64>, "none", "Largest sum, not below the least.";
    }
}

record! {
    /// A total: the sum over assets and slots is at least or at most so much.
    RawTotal "Total" {
        name: Spanned<String>, "", "The name of its price.";
        commodity: Spanned<String>, "", "What is summed.";
        assets: Optional<Vec<Spanned<String>>>, "every participant", "Whose values.";
        slots: Optional<RawSlots>, "the horizon", "In which slots.";
        min: Optional<f64>, "none", "Least sum; it or `max` is given.";
        max: Optional<f64>, "none", "Largest sum, not below the least.";
    }
}
