//! The fleet as one program: the reference that federated plans are measured against.

use alloc::{vec, vec::Vec};

use super::FleetProblem;
use crate::planning::{
    problem::Row,
    qp::{Qp, QpError, QpSettings, Stop},
};

/// The central optimum.
#[derive(Clone, Debug, PartialEq)]
pub struct CentralSolution {
    /// The values, in the members' order.
    pub values: Vec<Vec<f64>>,
    /// The prices, in the couplings' order.
    pub prices: Vec<f64>,
    /// The cost `Σ fᵢ(xᵢ)`.
    pub cost: f64,
    /// The relative KKT residual.
    pub residual: f64,
    /// Why the solver stopped.
    pub stop: Stop,
}

impl FleetProblem {
    /// Solves the whole fleet at once, which takes all local problems to one place: O(N³) in the number of all variables.
    ///
    /// # Errors
    /// [`QpError`] when fixed variables alone violate a row or coupling.
    pub fn solve_centrally(&self, settings: QpSettings) -> Result<CentralSolution, QpError> {
        let total: usize = self.locals.iter().map(|(_, local)| local.variables()).sum();
        let mut hessian = vec![0.0; total * total];
        let (mut linear, mut lower, mut upper) = (Vec::new(), Vec::new(), Vec::new());
        let couplings = self.couplings.as_slice();
        let mut rows: Vec<Row> = (couplings.iter())
            .map(|coupling| Row { terms: Vec::new(), lower: coupling.lower, upper: coupling.upper })
            .collect();
        for (_, local) in &self.locals {
            let (parts, n, first) = (local.parts(), local.variables(), linear.len());
            for i in 0..n {
                for j in 0..n {
                    hessian[(first + i) * total + first + j] = local.hessian_entry(i, j);
                }
            }
            linear.extend_from_slice(&parts.linear);
            lower.extend_from_slice(&parts.lower);
            upper.extend_from_slice(&parts.upper);
            let mut shared = parts.shared.clone();
            shared.sort_by_key(|term| (term.coupling, term.variable));
            for same in shared.chunk_by(|a, b| (a.coupling, a.variable) == (b.coupling, b.variable)) {
                let coefficient = same.iter().map(|term| term.coefficient).sum();
                rows[same[0].coupling].terms.push((first + same[0].variable, coefficient));
            }
            rows.extend(parts.rows.iter().map(|row| Row {
                terms: row.terms.iter().map(|&(variable, a)| (first + variable, a)).collect(),
                ..*row
            }));
        }
        let solution = Qp::new(&hessian, &lower, &upper, &rows)?.solve(&linear, settings)?;
        let mut rest = solution.x.as_slice();
        let values = self.locals.iter().map(|(_, local)| {
            let (own, others) = rest.split_at(local.variables());
            rest = others;
            own.to_vec()
        });
        let values: Vec<Vec<f64>> = values.collect();
        Ok(CentralSolution {
            cost: self.cost(&values),
            values,
            prices: solution.multipliers[..couplings.len()].to_vec(),
            residual: solution.residual,
            stop: solution.stop,
        })
    }
}
