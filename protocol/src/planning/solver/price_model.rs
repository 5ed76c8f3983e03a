//! Where the fleet's response, modelled as affine in the prices, would meet the limits.

use alloc::{vec, vec::Vec};

use super::layout::Curvature;
use crate::planning::fleet::Couplings;

const MAX_SWEEPS: u32 = 2000;

/// The model `Σ Sᵢxᵢ(λ) ≈ intercept − slope λ`, with a symmetric, positive semidefinite slope.
#[derive(Clone, Debug, PartialEq)]
pub struct PriceModel {
    /// The sums at λ = 0, one per coupling.
    pub intercept: Vec<f64>,
    /// The slope, row-major `m × m`.
    pub slope: Vec<f64>,
}

/// Spreads a curvature's entries to a row-major matrix of `m` rows; `fallback` is the diagonal when there are none.
#[must_use]
pub fn spread(curvature: Curvature, entries: &[f64], m: usize, fallback: f64) -> Vec<f64> {
    let mut matrix = vec![0.0; m * m];
    match curvature {
        Curvature::None => (0..m).for_each(|k| matrix[k * m + k] = fallback),
        Curvature::Scalar => (0..m).for_each(|k| matrix[k * m + k] = entries[0]),
        Curvature::Diagonal => (0..m).for_each(|k| matrix[k * m + k] = entries[k]),
        Curvature::Matrix => {
            let mut next = entries.iter();
            for row in 0..m {
                for (column, value) in (0..=row).zip(&mut next) {
                    matrix[row * m + column] = *value;
                    matrix[column * m + row] = *value;
                }
            }
        }
    }
    matrix
}

impl PriceModel {
    /// The mean of the slope's diagonal: the scale of damping.
    #[must_use]
    pub fn mean(&self) -> f64 {
        let m = self.intercept.len();
        self.slope.iter().step_by(m + 1).sum::<f64>() / m as f64
    }

    /// The prices at which the model meets the limits, with the slope heavier by `damping` around `start`.
    ///
    /// It minimises `½ λᵀ(J + δI)λ − (a + δ λ₀)ᵀλ + σ(λ)` by cyclic coordinate descent, O(m²) a sweep. Where nobody responds
    /// the slope is raised to a thousandth of its mean, since no price would be high enough.
    #[must_use]
    pub fn solve(&self, couplings: &Couplings, start: &[f64], damping: f64) -> Vec<f64> {
        let m = self.intercept.len();
        let floor = (1e-3 * self.mean()).max(1e-12);
        let weight: Vec<f64> = (0..m).map(|k| self.slope[k * m + k].max(floor) + damping).collect();
        let extra: Vec<f64> = (0..m).map(|k| weight[k] - self.slope[k * m + k]).collect();
        let mut prices = start.to_vec();
        // What remains of a + δλ₀ beyond (J + δI)λ.
        let mut rest: Vec<f64> = (0..m)
            .map(|k| {
                let product: f64 =
                    self.slope[k * m..(k + 1) * m].iter().zip(&prices).map(|(j, p)| j * p).sum();
                self.intercept[k] - product
            })
            .collect();
        let scale = start.iter().fold(1.0_f64, |most, price| most.max(price.abs()));
        for _ in 0..MAX_SWEEPS {
            let mut moved = 0.0_f64;
            for k in 0..m {
                // `rest` holds the terms of `extra` relative to the start, so that the damping pulls towards it.
                let force = rest[k] - extra[k] * (prices[k] - start[k]) + weight[k] * prices[k];
                let (low, high) = (couplings.as_slice()[k].lower, couplings.as_slice()[k].upper);
                let next = if force > high {
                    (force - high) / weight[k]
                } else if force < low {
                    (force - low) / weight[k]
                } else {
                    0.0
                };
                let change = next - prices[k];
                if change != 0.0 {
                    for (rest, slope) in rest.iter_mut().zip(&self.slope[k * m..(k + 1) * m]) {
                        *rest -= slope * change;
                    }
                    prices[k] = next;
                    moved = moved.max(change.abs());
                }
            }
            if moved <= 1e-13 * scale {
                break;
            }
        }
        prices
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planning::fleet::Coupling;

    #[test]
    fn prices_rise_until_the_model_meets_its_limits() {
        let couplings = Couplings::new(vec![
            Coupling::budget("a", 1.0),
            Coupling::safety_envelope("b", -1.0, 1.0),
            Coupling::total("c", 2.0, 9.0),
        ])
        .expect("ordered");
        let slope = spread(Curvature::Matrix, &[2.0, 0.5, 1.0, 0.0, 0.0, 4.0], 3, 0.0);
        let model = PriceModel { intercept: vec![5.0, 0.5, 0.0], slope };
        let prices = model.solve(&couplings, &[0.0; 3], 0.0);
        let sums: Vec<f64> = (0..3)
            .map(|k| model.intercept[k] - (0..3).map(|j| model.slope[k * 3 + j] * prices[j]).sum::<f64>())
            .collect();
        assert!((sums[0] - 1.0).abs() < 1e-9 && prices[0] > 0.0, "{sums:?} {prices:?}");
        assert!((sums[1] + 0.5).abs() < 1e-9 && prices[1] == 0.0, "{sums:?} {prices:?}");
        assert!((sums[2] - 2.0).abs() < 1e-9 && prices[2] < 0.0, "{sums:?} {prices:?}");
    }

    #[test]
    fn damping_holds_prices_near_their_start() {
        let couplings = Couplings::balances(1).expect("one");
        let model = PriceModel { intercept: vec![4.0], slope: vec![1.0] };
        assert!((model.solve(&couplings, &[1.0], 0.0)[0] - 4.0).abs() < 1e-12);
        assert!((model.solve(&couplings, &[1.0], 2.0)[0] - 2.0).abs() < 1e-12);
    }

    #[test]
    fn a_quantity_that_nobody_gives_has_a_finite_price() {
        let equal = |name: &str| Coupling::total(name, 1.0, 1.0);
        let couplings = Couplings::new(vec![equal("a"), equal("b")]).expect("equal");
        let model = PriceModel { intercept: vec![0.0; 2], slope: vec![1.0, 0.0, 0.0, 0.0] };
        assert!(model.solve(&couplings, &[0.0; 2], 0.0).iter().all(|price| price.abs() < 1e4));
    }
}
