//! The scenario's form of a local problem: commodities over time slots.

use alloc::{vec, vec::Vec};

use super::problem::{Hessian, LocalProblem, Part, ProblemError, ProblemParts, Row, SharedTerm};

/// What one asset would like to give to the pool of one commodity, slot by slot; taking is negative.
///
/// The cost is `Σ ½ curvature·(x − preferred)²`. Every list has one entry per slot.
#[derive(Clone, Debug, PartialEq)]
pub struct Commodity {
    /// The value that costs nothing.
    pub preferred: Vec<f64>,
    /// How fast the cost grows; greater than zero.
    pub curvature: Vec<f64>,
    /// The least value.
    pub minimum: Vec<f64>,
    /// The greatest value.
    pub maximum: Vec<f64>,
    /// The least sum over all slots (energy).
    pub total_minimum: Option<f64>,
    /// The greatest sum over all slots (energy).
    pub total_maximum: Option<f64>,
    /// The greatest change from one slot to the next, at least zero.
    pub ramp: Option<f64>,
}

/// An asset's commodities over a horizon. The coupling of commodity `k` in slot `t` is `k · slots + t`.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// How many slots the horizon has.
    pub slots: usize,
    /// One entry per commodity, in the fleet's order.
    pub commodities: Vec<Commodity>,
}

impl Schedule {
    /// The local problem with shared coefficients of 1.
    ///
    /// # Errors
    /// A [`ProblemError`] that indexes the lists of [`ProblemParts`].
    pub fn problem(&self) -> Result<LocalProblem, ProblemError> {
        let n = self.slots.saturating_mul(self.commodities.len());
        let mut parts = ProblemParts {
            hessian: Hessian::Diagonal(Vec::new()),
            linear: Vec::new(),
            constant: 0.0,
            lower: Vec::new(),
            upper: Vec::new(),
            rows: Vec::new(),
            shared: Vec::new(),
            couplings: n,
        };
        let mut diagonal = Vec::new();
        for (k, commodity) in self.commodities.iter().enumerate() {
            self.check_lengths(commodity)?;
            diagonal.extend_from_slice(&commodity.curvature);
            parts.lower.extend_from_slice(&commodity.minimum);
            parts.upper.extend_from_slice(&commodity.maximum);
            for (curvature, preferred) in commodity.curvature.iter().zip(&commodity.preferred) {
                parts.linear.push(-curvature * preferred);
                parts.constant += 0.5 * curvature * preferred * preferred;
            }
            self.push_rows(k * self.slots, commodity, &mut parts.rows);
        }
        parts.hessian = Hessian::Diagonal(diagonal);
        parts.shared = (0..parts.linear.len())
            .map(|i| SharedTerm { variable: i, coupling: i, coefficient: 1.0 })
            .collect();
        LocalProblem::new(parts)
    }

    fn check_lengths(&self, commodity: &Commodity) -> Result<(), ProblemError> {
        for (part, list) in [
            (Part::Linear, &commodity.preferred),
            (Part::Hessian, &commodity.curvature),
            (Part::Lower, &commodity.minimum),
            (Part::Upper, &commodity.maximum),
        ] {
            if list.len() != self.slots {
                return Err(ProblemError::Length { part, found: list.len(), expected: self.slots });
            }
        }
        Ok(())
    }

    fn push_rows(&self, first: usize, commodity: &Commodity, rows: &mut Vec<Row>) {
        if commodity.total_minimum.is_some() || commodity.total_maximum.is_some() {
            rows.push(Row {
                terms: (first..first + self.slots).map(|variable| (variable, 1.0)).collect(),
                lower: commodity.total_minimum.unwrap_or(f64::NEG_INFINITY),
                upper: commodity.total_maximum.unwrap_or(f64::INFINITY),
            });
        }
        if let Some(ramp) = commodity.ramp {
            rows.extend((first..(first + self.slots).saturating_sub(1)).map(|variable| Row {
                terms: vec![(variable, -1.0), (variable + 1, 1.0)],
                lower: -ramp,
                upper: ramp,
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_becomes_bounds_and_rows() {
        let commodity = Commodity {
            preferred: vec![1.0, 2.0, 3.0],
            curvature: vec![2.0; 3],
            minimum: vec![-1.0; 3],
            maximum: vec![4.0; 3],
            total_minimum: None,
            total_maximum: Some(5.0),
            ramp: Some(0.5),
        };
        let problem = Schedule { slots: 3, commodities: vec![commodity] }.problem().expect("valid");
        assert_eq!(problem.parts().rows.len(), 3);
        assert_eq!(problem.cost(&[1.0, 2.0, 3.0]), 0.0);
        assert_eq!(problem.cost(&[0.0, 2.0, 3.0]), 1.0);
        assert_eq!(problem.violation(&[1.0, 2.0, 3.0]), 1.0);
        assert_eq!(problem.share(&[1.0, 2.0, 3.0]), [1.0, 2.0, 3.0]);
    }
}
