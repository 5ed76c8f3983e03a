//! What a few answers tell of the slope between them: a block of secants over a known diagonal, and where to ask for more.
//!
//! A share's differences between prices that are near each other are `J s = y` for the slope `J` there. In the metric of the known diagonal `D`
//! (`s̃ = D^½ s`, `ỹ = D^-½ y`) the slope begins as the identity, and a block BFGS update (Schnabel 1983; Goldfarb, Gower and Richtárik 2016, "Stochastic Block BFGS")
//! `B = I − QQᵀ + Z M⁻¹ Zᵀ` makes it agree with all secants at once: `Q` is an orthonormal basis of the steps, `Z = B Q` what the secants say of it, and
//! `M = QᵀZ` the part within. Near samples are taken first, since only they are of the same active sets.

use alloc::{collections::VecDeque, vec, vec::Vec};

use super::method::{difference, norm};
use crate::planning::cholesky::{self, dot};

/// A step that is nearer than this to the span of nearer ones tells nothing more, relative to its length.
const APART: f64 = 0.1;

/// Secants around a point, in the metric of a diagonal.
#[derive(Clone, Debug)]
pub(super) struct Secants {
    /// `D^½`.
    root: Vec<f64>,
    /// Orthonormal steps.
    basis: Vec<Vec<f64>>,
    /// What the slope makes of each.
    images: Vec<Vec<f64>>,
}

impl Secants {
    /// Of the samples (prices and shares) around one; `diagonal` is the slope's, above zero. O(samples · m²).
    pub(super) fn around(
        (prices, share): (&[f64], &[f64]),
        samples: &VecDeque<(Vec<f64>, Vec<f64>)>,
        diagonal: &[f64],
    ) -> Self {
        let root: Vec<f64> = diagonal.iter().map(|entry| libm::sqrt(*entry)).collect();
        let mut pairs: Vec<(f64, Vec<f64>, Vec<f64>)> = Vec::new();
        for (other, told) in samples {
            let step: Vec<f64> =
                difference(other, prices).iter().zip(&root).map(|(step, root)| step * root).collect();
            let less: Vec<f64> =
                difference(share, told).iter().zip(&root).map(|(less, root)| less / root).collect();
            let length = norm(&step);
            // Without the curvature condition the update would not stay positive definite.
            if length > 0.0 && dot(&step, &less) > 1e-6 * length * norm(&less) {
                pairs.push((length, step, less));
            }
        }
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut found = Self { root, basis: Vec::new(), images: Vec::new() };
        for (length, mut step, mut less) in pairs {
            if found.basis.len() == prices.len() {
                break;
            }
            for (direction, image) in found.basis.iter().zip(&found.images) {
                let along = dot(&step, direction);
                step.iter_mut().zip(direction).for_each(|(value, part)| *value -= along * part);
                less.iter_mut().zip(image).for_each(|(value, part)| *value -= along * part);
            }
            let rest = norm(&step);
            if rest < APART * length {
                continue;
            }
            step.iter_mut().for_each(|value| *value /= rest);
            less.iter_mut().for_each(|value| *value /= rest);
            // Across active sets what is left may bend the wrong way.
            if dot(&step, &less) < 1e-3 {
                continue;
            }
            found.basis.push(step);
            found.images.push(less);
        }
        found
    }

    /// The slope with these secants, row-major; O(m² · secants).
    pub(super) fn slope(&self) -> Vec<f64> {
        let m = self.root.len();
        let mut count = self.basis.len();
        let mut solved = None;
        // Secants of different active sets may contradict each other: the farthest go first.
        while count > 0 && solved.is_none() {
            solved = self.block(count);
            count -= usize::from(solved.is_none());
        }
        let mut slope = vec![0.0; m * m];
        (0..m).for_each(|k| slope[k * m + k] = 1.0);
        if let Some(images) = solved {
            for (direction, (image, weighted)) in self.basis.iter().zip(&images) {
                for i in 0..m {
                    for j in 0..m {
                        slope[i * m + j] += image[i] * weighted[j] - direction[i] * direction[j];
                    }
                }
            }
        }
        for i in 0..m {
            for j in 0..m {
                slope[i * m + j] *= self.root[i] * self.root[j];
            }
        }
        slope
    }

    /// `Z` and `M⁻¹Zᵀ` of the nearest `count`; `None` when `M` is not safely positive definite.
    fn block(&self, count: usize) -> Option<Vec<(Vec<f64>, Vec<f64>)>> {
        let mut inner = vec![0.0; count * count];
        for a in 0..count {
            for b in 0..count {
                inner[a * count + b] =
                    0.5 * (dot(&self.basis[a], &self.images[b]) + dot(&self.basis[b], &self.images[a]));
            }
        }
        cholesky::factor(&mut inner, count, 1e-4).ok()?;
        let m = self.root.len();
        let mut weighted = vec![vec![0.0; m]; count];
        for k in 0..m {
            let mut column: Vec<f64> = self.images[..count].iter().map(|image| image[k]).collect();
            cholesky::solve(&inner, count, &mut column);
            column.iter().zip(&mut weighted).for_each(|(value, row)| row[k] = *value);
        }
        Some(self.images[..count].iter().cloned().zip(weighted).collect())
    }

    /// The length of a step in the metric.
    pub(super) fn length(&self, step: &[f64]) -> f64 {
        let scaled: Vec<f64> = step.iter().zip(&self.root).map(|(step, root)| step * root).collect();
        norm(&scaled)
    }

    /// Up to `count` steps of `length` in the metric, in which the couplings that `matter` move and that the secants say least of. When they say
    /// something of all, it is asked anew from the beginning. O(count · m²).
    pub(super) fn probes(&self, matter: &[bool], count: usize, length: f64) -> Vec<Vec<f64>> {
        let m = self.root.len();
        let mut known = self.basis.clone();
        let mut fresh: Vec<Vec<f64>> = Vec::new();
        while fresh.len() < count {
            let unknown = |k: usize| 1.0 - known.iter().map(|one| one[k] * one[k]).sum::<f64>();
            let candidates = (0..m).filter(|&k| matter[k]).map(|k| (k, unknown(k)));
            let best = candidates.reduce(|a, b| if b.1 > a.1 { b } else { a });
            let Some((k, _)) = best.filter(|(_, unknown)| *unknown > 0.1) else {
                if known.len() == fresh.len() {
                    break;
                }
                known.clone_from(&fresh);
                continue;
            };
            let mut direction = vec![0.0; m];
            direction[k] = 1.0;
            for other in known.iter().chain(&known) {
                let along = dot(&direction, other);
                direction.iter_mut().zip(other).for_each(|(value, part)| *value -= along * part);
            }
            let size = norm(&direction);
            direction.iter_mut().for_each(|value| *value /= size);
            fresh.push(direction.clone());
            known.push(direction);
        }
        let scaled = |direction: &Vec<f64>| {
            direction.iter().zip(&self.root).map(|(value, root)| length * value / root).collect()
        };
        fresh.iter().map(scaled).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `D^½ (I + u uᵀ) D^½`, whose diagonal is not `D`, of four prices.
    fn product(step: &[f64]) -> Vec<f64> {
        let (root, u) = ([1.0, 2.0, 0.5, 3.0], [0.6, -0.3, 0.8, 0.1]);
        let scaled: Vec<f64> = step.iter().zip(root).map(|(step, root)| step * root).collect();
        let along = dot(&scaled, &u);
        scaled.iter().zip(u).zip(root).map(|((value, u), root)| root * (value + along * u)).collect()
    }

    fn sample(prices: [f64; 4]) -> (Vec<f64>, Vec<f64>) {
        (prices.to_vec(), product(&prices).iter().map(|less| 7.0 - less).collect())
    }

    fn diagonal() -> Vec<f64> {
        let unit = |k: usize| (0..4).map(|j| f64::from(u8::from(j == k))).collect::<Vec<f64>>();
        (0..4).map(|k| product(&unit(k))[k]).collect()
    }

    #[test]
    fn the_slope_agrees_with_all_secants_at_once() {
        let samples = VecDeque::from([
            sample([0.1, 0.0, 0.0, 0.2]),
            sample([0.0, -0.3, 0.1, 0.0]),
            sample([4.0, 4.0, 4.0, 4.0]),
        ]);
        let share = [7.0; 4];
        let secants = Secants::around((&[0.0; 4], &share), &samples, &diagonal());
        let slope = secants.slope();
        for (prices, told) in &samples {
            for (row, told) in slope.chunks_exact(4).zip(told) {
                assert!((dot(row, prices) - (7.0 - told)).abs() < 1e-9, "{slope:?}");
            }
        }
        for k in 0..16 {
            assert!((slope[k] - slope[k % 4 * 4 + k / 4]).abs() < 1e-12, "symmetric");
        }
    }

    #[test]
    fn probes_tell_what_is_not_known_and_move_only_what_matters() {
        let samples = VecDeque::from([sample([0.1, 0.0, 0.0, 0.0])]);
        let secants = Secants::around((&[0.0; 4], &[7.0; 4]), &samples, &diagonal());
        let probes = secants.probes(&[true, true, true, false], 2, 0.5);
        assert_eq!(probes.len(), 2);
        for probe in &probes {
            assert!(probe[0].abs() < 1e-12 && probe[3] == 0.0, "{probe:?}");
            assert!((secants.length(probe) - 0.5).abs() < 1e-12);
        }
        // With more than is unknown, it begins again; never with more than there is.
        assert_eq!(secants.probes(&[true, true, true, false], 9, 0.5).len(), 3);
        assert!(secants.probes(&[false; 4], 3, 0.5).is_empty());
    }

    #[test]
    fn what_bends_the_wrong_way_is_left_out() {
        let mut wrong = sample([0.2, 0.1, 0.0, 0.0]);
        wrong.1.iter_mut().for_each(|share| *share = 14.0 - *share);
        let diagonal = diagonal();
        let secants = Secants::around((&[0.0; 4], &[7.0; 4]), &VecDeque::from([wrong]), &diagonal);
        let slope = secants.slope();
        assert!((0..4).all(|k| (slope[k * 5] - diagonal[k]).abs() < 1e-12), "{slope:?}");
    }
}
