//! Requests that are taken or not (a pass, a slot on an antenna): relaxed, rounded by a stated rule, and the gap reported.
//!
//! A request is a variable with bounds 0 and 1 that must end at one of them. The fleet plans with the relaxation; [`allot`]
//! rounds; the plan is solved once more with the requests fixed, from the prices of the first. The relaxed cost is a lower
//! bound on any whole plan's, so the [`integrality_gap`] bounds what rounding lost.

mod allot;
mod offer;

use alloc::{vec, vec::Vec};

pub use allot::{Bid, STEP, Verdict, allot, ranked};
pub use offer::{Bracket, OPEN, Offer, TOP, edge};

use super::{
    fleet::{CentralSolution, FleetError, FleetProblem},
    problem::{LocalProblem, ProblemError},
    qp::{Qp, QpError, QpSettings, Stop},
};
use crate::id::NodeId;

/// Why requests cannot be rounded.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum IntegerError {
    /// There is not one list of requests per member.
    #[error("{found} lists of requests for {expected} members")]
    Members {
        /// How many lists.
        found: usize,
        /// How many members.
        expected: usize,
    },
    /// A request is no variable of its member, is out of order, or is not bounded by 0 and 1.
    #[error("node {node}: variable {variable} is not a request: ascending, bounded by 0 and 1")]
    Request {
        /// The member.
        node: NodeId,
        /// The variable.
        variable: usize,
    },
    /// A local problem with fixed requests is refused.
    #[error(transparent)]
    Problem(#[from] ProblemError),
    /// The fleet with fixed requests is refused: a coupling cannot be met.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// A program cannot be prepared.
    #[error(transparent)]
    Program(#[from] QpError),
    /// The relaxation has no solution.
    #[error("the relaxation was not solved: {stop:?}")]
    Relaxation {
        /// Why the solver stopped.
        stop: Stop,
    },
    /// No choice that the rule reaches is feasible.
    #[error("no rounding was found in {attempts} attempts")]
    NoRounding {
        /// Choices tried.
        attempts: usize,
    },
}

impl IntegerError {
    /// A stable word for counters and traces.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Members { .. } => "members",
            Self::Request { .. } => "request",
            Self::Problem(_) => "problem",
            Self::Fleet(error) => error.reason(),
            Self::Program(_) => "program",
            Self::Relaxation { .. } => "relaxation",
            Self::NoRounding { .. } => "no-rounding",
        }
    }
}

/// A fleet some of whose variables are requests.
#[derive(Clone, Debug, PartialEq)]
pub struct IntegerFleet {
    problem: FleetProblem,
    requests: Vec<Vec<usize>>,
}

/// Which requests are granted: for each member, in the order of its requests.
pub type Choice = Vec<Vec<bool>>;

/// A plan whose requests are whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Rounded {
    /// The requests granted.
    pub choice: Choice,
    /// The plan with the requests fixed.
    pub plan: CentralSolution,
    /// The cost of the relaxed plan: no whole plan is cheaper.
    pub relaxed: f64,
    /// [`integrality_gap`] of the two.
    pub gap: f64,
    /// Granted requests that were taken back because the fleet could not meet its constraints with them.
    pub withdrawn: usize,
}

/// `(f − f_relaxed) / max(1, |f_relaxed|)`: what the whole plan costs more than the relaxed one.
#[must_use]
pub fn integrality_gap(relaxed: f64, whole: f64) -> f64 {
    (whole - relaxed) / relaxed.abs().max(1.0)
}

impl IntegerFleet {
    /// A fleet with each member's requests: variables in ascending order, bounded by 0 and 1.
    ///
    /// # Errors
    /// [`IntegerError::Members`] or [`IntegerError::Request`].
    pub fn new(problem: FleetProblem, requests: Vec<Vec<usize>>) -> Result<Self, IntegerError> {
        let (found, expected) = (requests.len(), problem.locals().len());
        if found != expected {
            return Err(IntegerError::Members { found, expected });
        }
        for ((node, local), requests) in problem.locals().iter().zip(&requests) {
            check(*node, local, requests)?;
        }
        Ok(Self { problem, requests })
    }

    /// The relaxation: requests may be taken in part.
    #[must_use]
    pub fn relaxed(&self) -> &FleetProblem {
        &self.problem
    }

    /// Each member's requests.
    #[must_use]
    pub fn requests(&self) -> &[Vec<usize>] {
        &self.requests
    }

    /// The bids of a relaxed plan (`values` in the members' order).
    #[must_use]
    pub fn bids(&self, values: &[Vec<f64>]) -> Vec<Bid> {
        let members = self.problem.locals().iter().zip(&self.requests).zip(values);
        members.flat_map(|(((node, local), requests), x)| bids(*node, local, requests, x)).collect()
    }

    /// The fleet with its requests fixed.
    ///
    /// # Errors
    /// [`IntegerError::Problem`] or [`IntegerError::Fleet`] when a row or a coupling cannot be met any more.
    pub fn fix(&self, choice: &Choice) -> Result<FleetProblem, IntegerError> {
        let mut locals = Vec::new();
        for (((node, local), requests), granted) in
            self.problem.locals().iter().zip(&self.requests).zip(choice)
        {
            let decided = requests.iter().zip(granted).map(|(&variable, &granted)| (variable, granted));
            locals.push((*node, fixed(local, decided)?));
        }
        Ok(FleetProblem::new(self.problem.couplings().clone(), locals)?)
    }

    /// Relaxes, rounds by the rule of [`allot`], and solves again; the reference for what the fleet does by messages.
    ///
    /// When the fixed fleet has no solution, the granted request that the rule ranks last is withdrawn, again and again.
    ///
    /// # Errors
    /// [`IntegerError`] when the relaxation has no solution or no rounding is found.
    pub fn solve_centrally(&self, settings: QpSettings) -> Result<Rounded, IntegerError> {
        let relaxed = self.problem.solve_centrally(settings)?;
        if relaxed.stop != Stop::Solved {
            return Err(IntegerError::Relaxation { stop: relaxed.stop });
        }
        let bids = self.bids(&relaxed.values);
        let mut base = self.problem.sums(&relaxed.values);
        for bid in &bids {
            for &(coupling, amount) in &bid.uses {
                base[coupling] -= amount * bid.value;
            }
        }
        let mut accepted: Vec<Vec<(usize, bool)>> = vec![Vec::new(); self.requests.len()];
        let mut verdicts = allot(&bids, self.problem.couplings(), &base, |bid| {
            let member = self.problem.locals().partition_point(|(node, _)| *node < bid.node);
            let local = &self.problem.locals()[member].1;
            accepted[member].push((bid.variable, true));
            let accepts = possible(local, &accepted[member], settings);
            if !accepts {
                accepted[member].pop();
            }
            accepts
        });
        let order = ranked(&bids);
        for withdrawn in 0..=bids.len() {
            let choice = self.choice(&bids, &verdicts);
            if let Some(plan) = self.attempt(&choice, settings) {
                let gap = integrality_gap(relaxed.cost, plan.cost);
                return Ok(Rounded { choice, plan, relaxed: relaxed.cost, gap, withdrawn });
            }
            let last = order.iter().rev().find(|&&index| verdicts[index] == Verdict::Granted);
            let Some(&last) = last else {
                return Err(IntegerError::NoRounding { attempts: withdrawn + 1 });
            };
            verdicts[last] = Verdict::Declined;
        }
        Err(IntegerError::NoRounding { attempts: bids.len() + 1 })
    }

    fn attempt(&self, choice: &Choice, settings: QpSettings) -> Option<CentralSolution> {
        let plan = self.fix(choice).ok()?.solve_centrally(settings).ok()?;
        (plan.stop == Stop::Solved).then_some(plan)
    }

    fn choice(&self, bids: &[Bid], verdicts: &[Verdict]) -> Choice {
        let mut verdicts = bids.iter().zip(verdicts).map(|(_, verdict)| *verdict == Verdict::Granted);
        self.requests.iter().map(|requests| verdicts.by_ref().take(requests.len()).collect()).collect()
    }
}

/// One asset's bids at its relaxed plan `x`, in the order of its requests.
#[must_use]
pub fn bids(node: NodeId, local: &LocalProblem, requests: &[usize], x: &[f64]) -> Vec<Bid> {
    let n = local.variables();
    let bid = |&variable: &usize| {
        let others: f64 =
            (0..n).filter(|&j| j != variable).map(|j| local.hessian_entry(variable, j) * x[j]).sum();
        let worth =
            -(0.5 * local.hessian_entry(variable, variable) + local.parts().linear[variable] + others);
        let mut terms: Vec<_> =
            local.parts().shared.iter().filter(|term| term.variable == variable).collect();
        terms.sort_by_key(|term| term.coupling);
        let uses = terms.chunk_by(|a, b| a.coupling == b.coupling);
        let uses =
            uses.map(|same| (same[0].coupling, same.iter().map(|term| term.coefficient).sum())).collect();
        Bid { node, variable, value: x[variable].clamp(0.0, 1.0), worth, uses }
    };
    requests.iter().map(bid).collect()
}

/// The local problem with some requests fixed.
///
/// # Errors
/// [`ProblemError`] when a row cannot be met any more.
pub fn fixed(
    local: &LocalProblem,
    decided: impl IntoIterator<Item = (usize, bool)>,
) -> Result<LocalProblem, ProblemError> {
    let mut parts = local.parts().clone();
    for (variable, granted) in decided {
        let value = if granted { 1.0 } else { 0.0 };
        (parts.lower[variable], parts.upper[variable]) = (value, value);
    }
    LocalProblem::new(parts)
}

/// Takes of what is granted, best first, what the problem's own constraints allow beside its other requests, which are left: what is taken, ascending, and what is declined.
#[must_use]
pub fn take(local: &LocalProblem, own: &[usize], granted: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let settings = QpSettings::default();
    let (mut decided, mut declined) = (Vec::new(), Vec::new());
    for variable in granted.iter().filter(|variable| own.contains(variable)) {
        decided.push((*variable, true));
        if !possible(local, &decided, settings) {
            decided.pop();
            declined.push(*variable);
        }
    }
    let mut taken: Vec<usize> = decided.into_iter().map(|(variable, _)| variable).collect();
    let whole = |taken: &[usize]| -> Vec<(usize, bool)> {
        own.iter().map(|variable| (*variable, taken.contains(variable))).collect()
    };
    // What is not granted is fixed too, which may exclude the last of those that were.
    while !taken.is_empty() && !possible(local, &whole(&taken), settings) {
        declined.extend(taken.pop());
    }
    taken.sort_unstable();
    (taken, declined)
}

/// Whether the asset's own constraints can be met with these requests fixed and the others open.
#[must_use]
pub fn possible(local: &LocalProblem, decided: &[(usize, bool)], settings: QpSettings) -> bool {
    let Ok(local) = fixed(local, decided.iter().copied()) else { return false };
    let parts = local.parts();
    let Ok(qp) = Qp::new(&local.hessian_dense(), &parts.lower, &parts.upper, &parts.rows) else {
        return false;
    };
    qp.solve(&parts.linear, settings).is_ok_and(|solution| solution.stop == Stop::Solved)
}

fn check(node: NodeId, local: &LocalProblem, requests: &[usize]) -> Result<(), IntegerError> {
    let parts = local.parts();
    let mut next = 0;
    for &variable in requests {
        let valid = variable >= next
            && variable < local.variables()
            && parts.lower[variable] == 0.0
            && parts.upper[variable] == 1.0;
        if !valid {
            return Err(IntegerError::Request { node, variable });
        }
        next = variable + 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
