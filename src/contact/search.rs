//! Finding the spans in which a constraint holds: rigorous marching, and Brent and golden-section refinement.
//!
//! The function searched is a *margin in seconds*: its sign says whether the constraint holds, its magnitude is a time
//! within which, before or after, the sign cannot change. Marching by that magnitude skips ahead while a window is far
//! away and cannot step over one.

/// Iteration limit of [`root`] and [`peak`]; both reach double precision long before.
const MAX_ITERATIONS: usize = 100;

/// A span in which the margin is not negative: (start, end) in seconds.
pub(crate) type Span = (f64, f64);

/// How a search proceeds. All in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search {
    /// Step taken beyond the span that the margin vouches for.
    pub step_s: f64,
    /// Windows and gaps shorter than this may be missed.
    pub resolution_s: f64,
    /// Edges are refined to this.
    pub tolerance_s: f64,
}

impl Search {
    /// The spans within [`from`, `to`] where `margin` is not negative, in order. Every span, and every gap between spans,
    /// of at least `resolution_s` is found, provided that the margin keeps its promise (see the module).
    pub(crate) fn windows(&self, from: f64, to: f64, margin: &mut impl FnMut(f64) -> f64) -> Vec<Span> {
        let mut found = Windows { open: None, spans: Vec::new() };
        if to < from {
            return found.spans;
        }
        let mut left = (from, margin(from));
        found.sees(from, left.1 >= 0.0);
        while left.0 < to {
            let next = (left.0 + left.1.abs() + self.step_s).min(to);
            let right = (next, margin(next));
            self.between(left, right, margin, &mut found);
            left = right;
        }
        if let Some(start) = found.open {
            found.spans.push((start, to));
        }
        found.spans
    }

    /// Finds the changes of sign in (left, right] in time order.
    fn between(
        &self,
        left: (f64, f64),
        right: (f64, f64),
        margin: &mut impl FnMut(f64) -> f64,
        found: &mut Windows,
    ) {
        // Neither end vouches for what lies between these two.
        let (low, high) = (left.0 + left.1.abs(), right.0 - right.1.abs());
        let changes = (left.1 >= 0.0) != (right.1 >= 0.0);
        if !changes && high - low < self.resolution_s {
            return;
        }
        let width = right.0 - left.0;
        if changes && (high - low < self.resolution_s || width <= self.tolerance_s) {
            let edge = root(left, right, self.tolerance_s, margin);
            found.sees(edge, right.1 >= 0.0);
            return;
        }
        // Where the margin promises too much (by rounding), the middle keeps the division going.
        let middle = if low < high { 0.5 * (low + high) } else { 0.5 * (left.0 + right.0) };
        let middle = (middle, margin(middle));
        self.between(left, middle, margin, found);
        self.between(middle, right, margin, found);
    }
}

/// What marching has seen so far.
struct Windows {
    open: Option<f64>,
    spans: Vec<Span>,
}

impl Windows {
    fn sees(&mut self, time: f64, holds: bool) {
        match (self.open, holds) {
            (None, true) => self.open = Some(time),
            (Some(start), false) => {
                self.spans.push((start, time));
                self.open = None;
            }
            (None, false) | (Some(_), true) => {}
        }
    }
}

/// Brent's method (Brent 1973, *Algorithms for Minimization without Derivatives*, ch. 4) between two points of opposite
/// sign; answers with the side on which `function` is not negative, within `tolerance` of the change of sign.
pub(crate) fn root(
    left: (f64, f64),
    right: (f64, f64),
    tolerance: f64,
    function: &mut impl FnMut(f64) -> f64,
) -> f64 {
    let ((mut a, mut fa), (mut b, mut fb)) = (left, right);
    let ((mut c, mut fc), mut step, mut before) = ((a, fa), b - a, b - a);
    for _ in 0..MAX_ITERATIONS {
        if (fb >= 0.0) == (fc >= 0.0) {
            ((c, fc), step, before) = ((a, fa), b - a, b - a);
        }
        if fc.abs() < fb.abs() {
            (a, b, c) = (b, c, b);
            (fa, fb, fc) = (fb, fc, fb);
        }
        let tolerance = 2.0 * f64::EPSILON * b.abs() + 0.5 * tolerance;
        let half = 0.5 * (c - b);
        if half.abs() <= tolerance || fb == 0.0 {
            break;
        }
        if before.abs() >= tolerance && fa.abs() > fb.abs() {
            let s = fb / fa;
            let (mut p, mut q) = if a == c {
                (2.0 * half * s, 1.0 - s)
            } else {
                let (q, r) = (fa / fc, fb / fc);
                (s * (2.0 * half * q * (q - r) - (b - a) * (r - 1.0)), (q - 1.0) * (r - 1.0) * (s - 1.0))
            };
            if p > 0.0 {
                q = -q
            } else {
                p = -p
            }
            if 2.0 * p < (3.0 * half * q - (tolerance * q).abs()).min((before * q).abs()) {
                (before, step) = (step, p / q);
            } else {
                (step, before) = (half, half);
            }
        } else {
            (step, before) = (half, half);
        }
        (a, fa) = (b, fb);
        b += if step.abs() > tolerance { step } else { tolerance.copysign(half) };
        fb = function(b);
    }
    if fb >= 0.0 { b } else { c }
}

/// Golden-section search (Kiefer 1953) for the highest value in [`from`, `to`]: (place, value). Where there are several
/// peaks it answers with one of them.
pub(crate) fn peak(from: f64, to: f64, tolerance: f64, function: &mut impl FnMut(f64) -> f64) -> (f64, f64) {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let (mut low, mut high) = (from, to);
    let mut left = high - GOLDEN * (high - low);
    let mut right = low + GOLDEN * (high - low);
    let (mut at_left, mut at_right) = (function(left), function(right));
    for _ in 0..MAX_ITERATIONS {
        if high - low <= tolerance {
            break;
        }
        if at_left < at_right {
            low = left;
            (left, at_left) = (right, at_right);
            right = low + GOLDEN * (high - low);
            at_right = function(right);
        } else {
            high = right;
            (right, at_right) = (left, at_left);
            left = high - GOLDEN * (high - low);
            at_left = function(left);
        }
    }
    let candidates = [(from, function(from)), (left, at_left), (right, at_right), (to, function(to))];
    candidates.into_iter().fold(candidates[0], |best, next| if next.1 > best.1 { next } else { best })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SEARCH: Search = Search { step_s: 60.0, resolution_s: 1.0, tolerance_s: 1e-6 };

    /// A margin in seconds with changes of sign at `edges`: the distance to the nearest, scaled down.
    fn margin(edges: &[f64], scale: f64) -> impl FnMut(f64) -> f64 + '_ {
        move |t| {
            let inside = edges.iter().filter(|&&edge| edge <= t).count() % 2 == 1;
            let distance = edges.iter().map(|edge| (edge - t).abs()).fold(f64::INFINITY, f64::min);
            if inside { distance * scale } else { -distance * scale }
        }
    }

    #[test]
    fn brent_finds_the_root_of_a_cubic() {
        let mut cubic = |x: f64| x * x * x - 2.0 * x - 5.0;
        let (low, high) = ((2.0, cubic(2.0)), (3.0, cubic(3.0)));
        // Wallis' equation; root 2.094551481542326591...
        assert!((root(low, high, 1e-13, &mut cubic) - 2.094_551_481_542_326_6).abs() < 1e-12);
    }

    #[test]
    fn golden_section_finds_the_top_of_a_parabola_and_of_a_slope() {
        let (place, value) = peak(0.0, 10.0, 1e-7, &mut |x| 3.0 - (x - 4.0) * (x - 4.0));
        assert!((place - 4.0).abs() < 1e-6 && (value - 3.0).abs() < 1e-12);
        assert_eq!(peak(0.0, 10.0, 1e-7, &mut |x| x), (10.0, 10.0));
    }

    #[test]
    fn a_span_that_is_open_at_both_ends_is_cut_to_the_search() {
        assert_eq!(SEARCH.windows(0.0, 100.0, &mut |_| 5.0), [(0.0, 100.0)]);
        assert_eq!(SEARCH.windows(0.0, 100.0, &mut |_| -5.0), []);
    }

    proptest! {
        #[test]
        fn every_window_and_gap_of_the_resolution_is_found(
            gaps in prop::collection::vec(1.5_f64..400.0, 0..20),
            scale in 0.001_f64..1.0,
        ) {
            let mut edges: Vec<f64> = gaps.iter().scan(0.0, |t, gap| { *t += gap; Some(*t) }).collect();
            let to = edges.last().copied().unwrap_or(0.0) + 100.0;
            let found = SEARCH.windows(0.0, to, &mut margin(&edges, scale));
            if edges.len() % 2 == 1 {
                edges.push(to);
            }
            prop_assert_eq!(found.len() * 2, edges.len());
            for (span, edge) in found.iter().zip(edges.chunks(2)) {
                prop_assert!((span.0 - edge[0]).abs() < 2e-6 && (span.1 - edge[1]).abs() < 2e-6);
            }
        }
    }
}
