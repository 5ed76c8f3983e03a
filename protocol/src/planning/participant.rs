//! One asset's side of the exchange rounds: [`Participant`].
//!
//! In round `k` it minimises `fᵢ(x) + ρ/2 ‖S x − tᵢ‖²` over its own set, where `tᵢ = zᵢ − u`; only `sᵢ = S x` leaves.
//! With relaxation α the coordinator's state moves as (Boyd et al. 2011 §3.4.3 applied to §7.3)
//!
//! ```text
//! u'  = u + α s̄            zᵢ' = α sᵢ + (1 − α) zᵢ − α s̄
//! tᵢ' = zᵢ' − u' = α sᵢ + (1 − α) tᵢ − w      with  w = u' + α s̄ − (1 − α) u
//! ```
//!
//! so a signal needs one vector `w` only, for any α and through changes of ρ (`u` is rescaled before it is sent). A
//! participant that missed rounds holds a `tᵢ` that is off by a multiple of (1 − α)ʲ, which dies out; every fixed point is
//! the optimum whatever `tᵢ` was.

mod snapshot;

use alloc::{vec, vec::Vec};

use super::{
    exchange::PlanError,
    message::{Contribution, MAX_SIGNAL, Outcome, Signal},
    problem::LocalProblem,
    qp::{Qp, QpSettings, QpSolution},
};
use crate::id::NodeId;

/// The residual up to which a local solution that stopped short of its tolerance is still used.
const ACCEPTED: f64 = 1e-7;

/// One asset's side of the plan. Sans-IO; its state must survive as long as the coordinator's.
#[derive(Clone, Debug)]
pub struct Participant {
    node: NodeId,
    settings: QpSettings,
    problem: LocalProblem,
    qp: Qp,
    /// The penalty that is built into `qp`.
    rho: f64,
    horizon: u64,
    x: Vec<f64>,
    share: Vec<f64>,
    target: Vec<f64>,
    last: Option<(Signal, Contribution)>,
    committed: Option<Outcome>,
}

impl Participant {
    /// A participant in horizon 0, whose values are its own optimum until the first signal.
    ///
    /// # Errors
    /// [`PlanError::Problem`] or [`PlanError::NotSolved`] when the local problem has no solution.
    pub fn new(node: NodeId, problem: LocalProblem, settings: QpSettings) -> Result<Self, PlanError> {
        let (parts, m) = (problem.parts(), problem.couplings());
        let qp = Qp::new(&problem.hessian_dense(), &parts.lower, &parts.upper, &parts.rows)?;
        let x = accept(qp.solve(&parts.linear, settings)?)?;
        let (share, target, rho) = (vec![0.0; m], vec![0.0; m], 0.0);
        let (horizon, last, committed) = (0, None, None);
        Ok(Self { node, settings, problem, qp, rho, horizon, x, share, target, last, committed })
    }

    /// Replaces the problem for `horizon`, keeping the exchange state as a warm start when the couplings are as many.
    ///
    /// # Errors
    /// [`PlanError::Horizon`] unless `horizon` is later; else as [`Participant::new`].
    pub fn replace_problem(&mut self, horizon: u64, problem: LocalProblem) -> Result<(), PlanError> {
        if horizon <= self.horizon {
            return Err(PlanError::Horizon { found: horizon, expected: self.horizon + 1 });
        }
        let mut next = Self::new(self.node, problem, self.settings)?;
        if next.share.len() == self.share.len() {
            next.share.clone_from(&self.share);
            next.target.clone_from(&self.target);
        }
        next.horizon = horizon;
        *self = next;
        Ok(())
    }

    /// Solves the local problem of the signal's round and answers with the share; `None` when the plan is committed.
    ///
    /// A repeated signal gets the same answer again.
    ///
    /// # Errors
    /// [`PlanError`] when the signal is out of range, of another horizon, of an old round, contradicts an accepted one, or
    /// the local problem could not be solved or shared.
    pub fn on_signal(&mut self, signal: &Signal) -> Result<Option<Contribution>, PlanError> {
        self.check(signal)?;
        if let Some((last, answer)) = &self.last {
            if signal.round < last.round {
                return Err(PlanError::OldRound { found: signal.round, current: last.round });
            }
            if signal.round == last.round && signal.committed.is_none() {
                let known = signal == last;
                return if known {
                    Ok(Some(answer.clone()))
                } else {
                    Err(PlanError::Conflict { round: signal.round })
                };
            }
        }
        if self.committed.is_some() {
            return if signal.committed == self.committed { Ok(None) } else { Err(PlanError::Idle) };
        }
        if signal.committed.is_some() {
            self.committed = signal.committed;
            return Ok(None);
        }
        self.answer(signal).map(Some)
    }

    fn check(&self, signal: &Signal) -> Result<(), PlanError> {
        signal.check()?;
        if signal.horizon != self.horizon {
            return Err(PlanError::Horizon { found: signal.horizon, expected: self.horizon });
        }
        if signal.shift.len() != self.share.len() {
            return Err(PlanError::Couplings { found: signal.shift.len(), expected: self.share.len() });
        }
        Ok(())
    }

    /// Takes the step of a new round; changes nothing unless it succeeds.
    fn answer(&mut self, signal: &Signal) -> Result<Contribution, PlanError> {
        let alpha = signal.relaxation;
        let target: Vec<f64> = (self.share.iter().zip(&self.target).zip(&signal.shift))
            .map(|((share, target), shift)| alpha * share + (1.0 - alpha) * target - shift)
            .map(|target| target.clamp(-MAX_SIGNAL, MAX_SIGNAL))
            .collect();
        if signal.rho != self.rho {
            self.qp.set_hessian(&penalised(&self.problem, signal.rho))?;
            self.rho = signal.rho;
        }
        let mut linear = self.problem.parts().linear.clone();
        for term in &self.problem.parts().shared {
            linear[term.variable] -= signal.rho * term.coefficient * target[term.coupling];
        }
        let x = accept(self.qp.solve(&linear, self.settings)?)?;
        let contribution = Contribution::quantise(self.horizon, signal.round, &self.problem.share(&x))?;
        // The quantised share is what the coordinator knows, so both continue from it.
        self.share = contribution.share().collect();
        self.target = target;
        self.x = x;
        self.last = Some((signal.clone(), contribution.clone()));
        Ok(contribution)
    }

    /// The node whose problem this is.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The local problem.
    #[must_use]
    pub fn problem(&self) -> &LocalProblem {
        &self.problem
    }

    /// The horizon being planned.
    #[must_use]
    pub fn horizon(&self) -> u64 {
        self.horizon
    }

    /// The last round that was answered; 0 before the first.
    #[must_use]
    pub fn round(&self) -> u32 {
        self.last.as_ref().map_or(0, |(signal, _)| signal.round)
    }

    /// The current values of the variables: before the first round the local optimum, afterwards the last answer.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.x
    }

    /// The current share, as sent; zero before the first round.
    #[must_use]
    pub fn share(&self) -> &[f64] {
        &self.share
    }

    /// How the plan ended, once the coordinator has committed it.
    #[must_use]
    pub fn committed(&self) -> Option<Outcome> {
        self.committed
    }
}

/// `P + ρ SᵀS`, row-major.
pub(super) fn penalised(problem: &LocalProblem, rho: f64) -> Vec<f64> {
    let n = problem.variables();
    let mut hessian = problem.hessian_dense();
    let mut terms = problem.parts().shared.clone();
    terms.sort_by_key(|term| (term.coupling, term.variable));
    for group in terms.chunk_by(|a, b| a.coupling == b.coupling) {
        for a in group {
            for b in group {
                hessian[a.variable * n + b.variable] += rho * a.coefficient * b.coefficient;
            }
        }
    }
    hessian
}

pub(super) fn accept(solution: QpSolution) -> Result<Vec<f64>, PlanError> {
    if solution.residual <= ACCEPTED {
        Ok(solution.x)
    } else {
        Err(PlanError::NotSolved { stop: solution.stop, residual: solution.residual })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planning::schedule::{Commodity, Schedule};

    fn problem(total_maximum: f64) -> LocalProblem {
        let commodity = Commodity {
            preferred: vec![1.0, 2.0],
            curvature: vec![1.0; 2],
            minimum: vec![0.0; 2],
            maximum: vec![4.0; 2],
            total_minimum: None,
            total_maximum: Some(total_maximum),
            ramp: Some(0.5),
        };
        Schedule { slots: 2, commodities: vec![commodity] }.problem().expect("valid")
    }

    pub(super) fn participant() -> Participant {
        Participant::new(NodeId(1), problem(5.0), QpSettings::default()).expect("feasible")
    }

    pub(super) fn signal(round: u32) -> Signal {
        Signal { horizon: 0, round, committed: None, rho: 1.0, relaxation: 1.5, shift: vec![0.25, -0.5] }
    }

    #[test]
    fn a_repeated_signal_gets_the_same_answer() {
        let mut participant = participant();
        let first = participant.on_signal(&signal(1)).expect("accepted").expect("open");
        let second = participant.on_signal(&signal(2)).expect("accepted").expect("open");
        assert_ne!(first.shared, second.shared);
        assert_eq!(participant.on_signal(&signal(2)), Ok(Some(second)));
        assert_eq!(participant.round(), 2);
    }

    #[test]
    fn refused_signals_change_nothing() {
        let mut participant = participant();
        participant.on_signal(&signal(2)).expect("accepted");
        let before = alloc::format!("{participant:?}");
        for (signal, expected) in [
            (signal(1), PlanError::OldRound { found: 1, current: 2 }),
            (Signal { rho: 2.0, ..signal(2) }, PlanError::Conflict { round: 2 }),
            (Signal { horizon: 1, ..signal(3) }, PlanError::Horizon { found: 1, expected: 0 }),
            (Signal { shift: vec![0.0; 3], ..signal(3) }, PlanError::Couplings { found: 3, expected: 2 }),
        ] {
            assert_eq!(participant.on_signal(&signal), Err(expected));
        }
        let nan = Signal { shift: vec![f64::NAN; 2], ..signal(3) };
        assert!(matches!(participant.on_signal(&nan), Err(PlanError::Message(_))));
        assert_eq!(alloc::format!("{participant:?}"), before);
    }

    #[test]
    fn a_committed_plan_is_kept() {
        let mut participant = participant();
        participant.on_signal(&signal(1)).expect("accepted");
        let values = participant.values().to_vec();
        let last = Signal { committed: Some(Outcome::Converged), ..signal(2) };
        assert_eq!(participant.on_signal(&last), Ok(None));
        assert_eq!(participant.on_signal(&last), Ok(None), "repeated");
        assert_eq!(participant.on_signal(&signal(2)), Err(PlanError::Idle));
        assert_eq!(participant.values(), values);
        participant.replace_problem(1, problem(4.0)).expect("later");
        assert_eq!(participant.committed(), None);
        let next = Signal { horizon: 1, ..signal(1) };
        assert!(participant.on_signal(&next).expect("accepted").is_some());
        let old = participant.replace_problem(1, problem(4.0));
        assert_eq!(old, Err(PlanError::Horizon { found: 1, expected: 2 }));
    }

    #[test]
    fn rows_that_exclude_each_other_are_refused() {
        let mut parts = problem(5.0).parts().clone();
        parts.rows.push(crate::planning::Row { terms: vec![(0, 1.0), (1, -1.0)], lower: 1.0, upper: 3.0 });
        let problem = LocalProblem::new(parts).expect("each row alone can be met");
        let refused = Participant::new(NodeId(1), problem, QpSettings::default());
        assert!(matches!(refused, Err(PlanError::NotSolved { .. })), "{refused:?}");
    }
}
