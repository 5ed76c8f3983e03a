//! A quasi-Newton method on the dual: assets answer prices with their share, value and, if asked, slope.
//!
//! The dual `d(λ) = Σ gᵢ(λ) − σ(λ)` is concave and piecewise quadratic, and its gradient is the share that is out of bounds. The
//! coordinator models the smooth part `Σ gᵢ` around the best prices so far by the summed slope, with BFGS updates (Nocedal and
//! Wright 2006, equation 6.19, of the latest pairs) where the slope is not the whole matrix, and treats σ exactly: the next prices
//! are those at which the model meets the bounds. This is the proximal (quasi-)Newton method of Lee, Sun and Saunders 2014.
//!
//! A round costs a light-time round trip, bytes cost little beside it: so a round asks at several prices, the undamped step first
//! and others damped more and more (Levenberg 1944), and goes on from the best. That is a line search without its round trips. Where only a diagonal of the slope is
//! told, most of a round's prices are probes around one of the steps: what is shared there tells the rest of the slope (`secants`).

use alloc::{collections::VecDeque, vec, vec::Vec};

use super::{
    exchange::tolerance,
    layout::{Blocks, Curvature},
    method::{Method, MethodSettings, Progress, Tally, difference, norm},
    price_model::{PriceModel, spread},
    request::Question,
    secants::Secants,
};
use crate::planning::{cholesky::dot, fleet::Couplings, message::MAX_SIGNAL};

/// Between two trials the damping grows by this factor.
const SPREAD: f64 = 4.0;

/// So many answers are remembered, two rounds of the most trials: older ones are of other active sets.
const SAMPLES: usize = 64;

/// How far probes are from their step, in the length of that step. Between 0.03 and 0.1 were measured to need about as many rounds.
const REACH: f64 = 0.1;

/// Nearer than this, in the same measure, differences of shares are lost in their fixed point.
const NEAREST: f64 = 1e-3;

/// What is known at some prices.
#[derive(Clone, Debug)]
struct Point {
    prices: Vec<f64>,
    share: Vec<f64>,
    slope: Vec<f64>,
    value: f64,
}

/// The state of the method.
#[derive(Clone, Debug)]
pub struct QuasiNewton {
    settings: MethodSettings,
    couplings: Couplings,
    /// The prices that are asked, the undamped step first.
    trials: Vec<Vec<f64>>,
    best: Option<Point>,
    /// Steps in prices, and how much less was shared after them; newest last.
    pairs: VecDeque<(Vec<f64>, Vec<f64>)>,
    /// Prices and shares of the latest answers, newest last.
    samples: VecDeque<(Vec<f64>, Vec<f64>)>,
    /// The middle damping of the trials, relative to the slope's mean.
    damping: f64,
}

impl QuasiNewton {
    pub(super) fn new(settings: MethodSettings, couplings: Couplings) -> Self {
        let trials = vec![vec![0.0; couplings.len()]; settings.trials];
        Self {
            settings,
            couplings,
            trials,
            best: None,
            pairs: VecDeque::new(),
            samples: VecDeque::new(),
            damping: 0.05,
        }
    }

    /// Whether further prices tell what the diagonal does not.
    fn probes(&self) -> bool {
        self.settings.curvature != Curvature::Matrix && self.settings.trials > 1
    }

    /// Whether the slope is made better by the steps before: where answers tell neither all of it nor what further prices do.
    fn updates(&self) -> bool {
        self.settings.curvature != Curvature::Matrix && !self.probes()
    }

    /// How many of the trials are steps.
    fn steps(&self) -> usize {
        let trials = self.settings.trials;
        if self.probes() { trials.min(3 + trials / 16) } else { trials }
    }

    /// The dampings of the steps, relative to the slope's mean.
    fn dampings(&self) -> impl Iterator<Item = f64> + use<> {
        let (count, middle) = (self.steps() as i32, self.damping);
        let first = if count == 1 && middle >= 0.05 { middle } else { 0.0 };
        core::iter::once(first)
            .chain((1..count).map(move |k| middle * libm::pow(SPREAD, f64::from(k - count / 2))))
    }

    fn remember(&mut self, from: &Point, to: &Point) {
        let (step, less) = (difference(&to.prices, &from.prices), difference(&from.share, &to.share));
        // Without the curvature condition the update would not stay positive definite.
        if dot(&step, &less) > 1e-10 * norm(&step) * norm(&less) {
            if self.pairs.len() == self.settings.memory {
                self.pairs.pop_front();
            }
            self.pairs.push_back((step, less));
        }
    }

    /// The slope of `from` after the BFGS updates; O(pairs · m²).
    fn metric(&self, from: &Point) -> Vec<f64> {
        let m = from.prices.len();
        let mut slope = from.slope.clone();
        if !self.updates() {
            return slope;
        }
        for (step, less) in &self.pairs {
            let product: Vec<f64> = slope.chunks_exact(m).map(|row| dot(row, step)).collect();
            let (along, gained) = (dot(step, &product), dot(step, less));
            if along <= 0.0 {
                continue;
            }
            for (i, row) in slope.chunks_exact_mut(m).enumerate() {
                for (j, entry) in row.iter_mut().enumerate() {
                    *entry += less[i] * less[j] / gained - product[i] * product[j] / along;
                }
            }
        }
        slope
    }

    fn step(&mut self) {
        let Some(best) = &self.best else { return };
        let m = best.prices.len();
        let secants = self.probes().then(|| self.secants(best));
        let slope = secants.as_ref().map_or_else(|| self.metric(best), Secants::slope);
        let intercept: Vec<f64> = (slope.chunks_exact(m).zip(&best.share))
            .map(|(row, share)| share + dot(row, &best.prices))
            .collect();
        let model = PriceModel { intercept, slope };
        let (mean, limit) = (model.mean(), MAX_SIGNAL / 8.0);
        let solve = |damping: f64| {
            let next = model.solve(&self.couplings, &best.prices, damping * mean);
            next.into_iter().map(|price| price.clamp(-limit, limit)).collect()
        };
        let mut trials: Vec<Vec<f64>> = self.dampings().map(solve).collect();
        if let Some(secants) = secants {
            let middle = trials[trials.len() / 2].clone();
            let held = |(one, other): (&f64, &f64)| *one != 0.0 || *other != 0.0;
            let matter: Vec<bool> = middle.iter().zip(&best.prices).map(held).collect();
            let length = (REACH * secants.length(&difference(&middle, &best.prices))).max(NEAREST);
            let probes = secants.probes(&matter, self.settings.trials - trials.len(), length);
            let near = |probe: Vec<f64>| -> Vec<f64> {
                middle.iter().zip(probe).map(|(price, step)| (price + step).clamp(-limit, limit)).collect()
            };
            trials.extend(probes.into_iter().map(near));
            // Where there is nothing more to ask, the answer's length stays.
            trials.resize(self.settings.trials, middle);
        }
        self.trials = trials;
    }

    /// What the latest answers tell of the slope around a point.
    fn secants(&self, around: &Point) -> Secants {
        let m = around.prices.len();
        let mean = around.slope.iter().step_by(m + 1).sum::<f64>() / m as f64;
        let floor = (1e-3 * mean).max(1e-12);
        let diagonal: Vec<f64> = around.slope.iter().step_by(m + 1).map(|entry| entry.max(floor)).collect();
        Secants::around((&around.prices, &around.share), &self.samples, &diagonal)
    }

    /// Remembers what was answered in a round.
    fn sample(&mut self, points: &[Point]) {
        for point in points {
            if self.samples.iter().all(|(prices, _)| *prices != point.prices) {
                self.samples.push_back((point.prices.clone(), point.share.clone()));
            }
        }
        let over = self.samples.len().saturating_sub(SAMPLES);
        self.samples.drain(..over);
    }

    /// The points that a sum tells of.
    fn points(&self, sum: &Blocks, members: usize) -> Vec<Point> {
        let (curvature, m) = (self.settings.curvature, self.couplings.len());
        let entries = curvature.entries(m);
        let point = |(trial, prices): (usize, &Vec<f64>)| Point {
            prices: prices.clone(),
            share: sum.share[trial * m..(trial + 1) * m].to_vec(),
            slope: spread(
                curvature,
                &sum.curvature[trial * entries..(trial + 1) * entries],
                m,
                members as f64,
            ),
            value: sum.values[trial] - self.couplings.support(prices),
        };
        self.trials.iter().enumerate().map(point).collect()
    }

    /// The residuals at the prices that assets plan by.
    fn progress(&self, at: &Point, tally: Tally) -> Progress {
        let m = at.prices.len();
        let violation: Vec<f64> = (at.share.iter().zip(self.couplings.as_slice()))
            .map(|(sum, coupling)| sum - coupling.project(*sum))
            .collect();
        // Complementarity: what the prices are paid for beyond what is shared; f − d at a feasible point.
        let unpaid = self.couplings.support(&at.prices) - dot(&at.prices, &at.share);
        Progress {
            primal: norm(&violation),
            dual: unpaid.abs(),
            primal_tolerance: tolerance(&self.settings, m, &at.share),
            dual_tolerance: libm::sqrt(m as f64) * self.settings.eps_abs
                + self.settings.eps_rel * at.value.abs(),
            conclusive: tally.swept,
            rho: self.damping,
            stir: None,
        }
    }

    /// Goes on from the best of the points, or from where it was with more damping.
    fn judge(&mut self, points: Vec<Point>, members: usize) {
        let dampings: Vec<f64> = self.dampings().collect();
        if self.probes() {
            self.sample(&points);
        }
        let Some(before) = self.best.take() else {
            self.best = points.into_iter().next();
            return;
        };
        // Values are rounded to 2⁻²⁰ in each member.
        let slack = 1e-6 * members as f64 + 1e-12 * before.value.abs();
        let chosen = (0..points.len())
            .reduce(|a, b| if points[b].value > points[a].value { b } else { a })
            .unwrap_or(0);
        if self.updates() {
            self.remember(&before, &points[0]);
        }
        if points[chosen].value < before.value - slack {
            self.damping = (self.damping * libm::pow(SPREAD, (dampings.len() / 2 + 1) as f64)).min(1e6);
            self.best = Some(before);
            return;
        }
        // A probe is no damping: nothing was wrong with its step.
        let taken = dampings.get(chosen).copied().unwrap_or(self.damping);
        self.damping =
            if taken > 0.0 && dampings.len() > 1 { taken } else { (self.damping / SPREAD).max(1e-4) };
        self.best = points.into_iter().nth(chosen);
    }
}

impl Method for QuasiNewton {
    fn question(&self) -> Question {
        Question::Response { curvature: self.settings.curvature, others: self.trials[1..].concat() }
    }

    fn prices(&self) -> &[f64] {
        &self.trials[0]
    }

    fn advance(&mut self, sum: &Blocks, tally: Tally) -> Progress {
        let points = self.points(sum, tally.members);
        let progress = self.progress(&points[0], tally);
        // Answers to different prices are no gradient and no value of one point: prices stay until everyone has answered them.
        if tally.swept {
            self.judge(points, tally.members);
            self.step();
        }
        progress
    }

    fn resume(&mut self, prices: &[f64]) {
        self.trials = vec![prices.to_vec(); self.settings.trials];
        (self.best, self.damping) = (None, 0.05);
        self.pairs.clear();
        self.samples.clear();
    }
}
