//! [`Chebyshev`]: three functions of time as polynomials over equal pieces.

use super::Vec3;

/// Three functions of time, each a Chebyshev series on every one of equal, adjoining segments.
#[derive(Clone, Debug)]
pub(super) struct Chebyshev {
    first_s: f64,
    segment_s: f64,
    degree_count: usize,
    /// Segment by segment, order by order.
    coefficients: Vec<Vec3>,
}

impl Chebyshev {
    /// From coefficients listed by segment, then by order (`degree_count` each); the first segment begins at `first_s`.
    pub(super) fn new(first_s: f64, segment_s: f64, degree_count: usize, coefficients: Vec<Vec3>) -> Self {
        assert!(
            degree_count >= 2 && !coefficients.is_empty() && coefficients.len().is_multiple_of(degree_count)
        );
        Self { first_s, segment_s, degree_count, coefficients }
    }

    /// Interpolates `function` at the Chebyshev nodes of every segment needed to cover [`first_s`, `last_s`].
    pub(super) fn fit(
        (first_s, last_s): (f64, f64),
        segment_s: f64,
        degree_count: usize,
        function: impl Fn(f64) -> Vec3,
    ) -> Self {
        let segments = ((last_s - first_s) / segment_s).ceil().max(1.0) as usize;
        let n = degree_count;
        let mut coefficients = Vec::with_capacity(segments * n);
        for segment in 0..segments {
            let middle_s = first_s + (segment as f64 + 0.5) * segment_s;
            let angle = |k: usize| std::f64::consts::PI * (k as f64 + 0.5) / n as f64;
            let values: Vec<Vec3> =
                (0..n).map(|k| function(middle_s + 0.5 * segment_s * libm::cos(angle(k)))).collect();
            for order in 0..n {
                let scale = if order == 0 { 1.0 } else { 2.0 } / n as f64;
                let sum = values
                    .iter()
                    .enumerate()
                    .fold(Vec3::zeros(), |sum, (k, value)| sum + value * libm::cos(order as f64 * angle(k)));
                coefficients.push(sum * scale);
            }
        }
        Self::new(first_s, segment_s, n, coefficients)
    }

    /// Values and rates per second at `at_s` (Clenshaw's recurrence). Outside the segments the nearest is extended.
    pub(super) fn at(&self, at_s: f64) -> (Vec3, Vec3) {
        let n = self.degree_count;
        let last = self.coefficients.len() / n - 1;
        let place = (at_s - self.first_s) / self.segment_s;
        let segment = (place.max(0.0) as usize).min(last);
        let x = 2.0 * (place - segment as f64) - 1.0;
        let c = &self.coefficients[segment * n..(segment + 1) * n];
        let (mut b1, mut b2) = (Vec3::zeros(), Vec3::zeros());
        let (mut d1, mut d2) = (Vec3::zeros(), Vec3::zeros());
        for ck in c[1..].iter().rev() {
            let d0 = d1 * (2.0 * x) - d2 + b1 * 2.0;
            (d2, d1) = (d1, d0);
            let b0 = b1 * (2.0 * x) - b2 + ck;
            (b2, b1) = (b1, b0);
        }
        let value = b1 * x - b2 + c[0];
        let slope = d1 * x - d2 + b1;
        (value, slope * (2.0 / self.segment_s))
    }
}
