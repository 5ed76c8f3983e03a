//! An asset's local problem within a step: the penalised Hessian, and which solutions are good enough.

use alloc::vec::Vec;

use crate::planning::{LocalProblem, PlanError, QpSolution};

/// The residual up to which a local solution that stopped short of its tolerance is still used.
const ACCEPTED: f64 = 1e-7;

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
    use alloc::vec;

    use super::*;
    use crate::{
        id::NodeId,
        planning::{Commodity, QpSettings, Row, Schedule, solver::Asset},
    };

    #[test]
    fn rows_that_exclude_each_other_are_refused() {
        let commodity = Commodity {
            preferred: vec![1.0, 2.0],
            curvature: vec![1.0; 2],
            minimum: vec![0.0; 2],
            maximum: vec![4.0; 2],
            total_minimum: None,
            total_maximum: Some(5.0),
            ramp: Some(0.5),
        };
        let schedule = Schedule { slots: 2, commodities: vec![commodity] };
        let mut parts = schedule.problem().expect("valid").parts().clone();
        parts.rows.push(Row { terms: vec![(0, 1.0), (1, -1.0)], lower: 1.0, upper: 3.0 });
        let problem = LocalProblem::new(parts).expect("each row alone can be met");
        let refused = Asset::new(NodeId(1), problem, QpSettings::default());
        assert!(matches!(refused, Err(PlanError::NotSolved { .. })), "{refused:?}");
    }
}
