//! [`NumericOrbit`]: an integrated orbit, tabulated.

use super::{Body, Ephemeris, State, Vec3};
use crate::units::SimTime;

/// Radians of the fastest local motion in a step. With eighth-order steps the integration error of a low orbit stays below
/// a millimetre a day; the quintic interpolation between steps is within 1e-9 of the distance.
const STEP_RAD: f64 = 0.15;
/// The most steps of one orbit, 2 million: 6 years of low Earth orbit.
const STEP_LIMIT: usize = 2_000_000;

/// Fehlberg's 13 stages of order 7(8) (NASA TR R-287, 1968, table X): nodes, coupling, and the eighth-order weights.
const NODES: [f64; 13] = [
    0.0,
    2.0 / 27.0,
    1.0 / 9.0,
    1.0 / 6.0,
    5.0 / 12.0,
    0.5,
    5.0 / 6.0,
    1.0 / 6.0,
    2.0 / 3.0,
    1.0 / 3.0,
    1.0,
    0.0,
    1.0,
];
#[rustfmt::skip]
const COUPLING: [&[f64]; 13] = [
    &[],
    &[2.0 / 27.0],
    &[1.0 / 36.0, 1.0 / 12.0],
    &[1.0 / 24.0, 0.0, 1.0 / 8.0],
    &[5.0 / 12.0, 0.0, -25.0 / 16.0, 25.0 / 16.0],
    &[1.0 / 20.0, 0.0, 0.0, 1.0 / 4.0, 1.0 / 5.0],
    &[-25.0 / 108.0, 0.0, 0.0, 125.0 / 108.0, -65.0 / 27.0, 125.0 / 54.0],
    &[31.0 / 300.0, 0.0, 0.0, 0.0, 61.0 / 225.0, -2.0 / 9.0, 13.0 / 900.0],
    &[2.0, 0.0, 0.0, -53.0 / 6.0, 704.0 / 45.0, -107.0 / 9.0, 67.0 / 90.0, 3.0],
    &[-91.0 / 108.0, 0.0, 0.0, 23.0 / 108.0, -976.0 / 135.0, 311.0 / 54.0, -19.0 / 60.0, 17.0 / 6.0, -1.0 / 12.0],
    &[2383.0 / 4100.0, 0.0, 0.0, -341.0 / 164.0, 4496.0 / 1025.0, -301.0 / 82.0, 2133.0 / 4100.0, 45.0 / 82.0, 45.0 / 164.0, 18.0 / 41.0],
    &[3.0 / 205.0, 0.0, 0.0, 0.0, 0.0, -6.0 / 41.0, -3.0 / 205.0, -3.0 / 41.0, 3.0 / 41.0, 6.0 / 41.0, 0.0],
    &[-1777.0 / 4100.0, 0.0, 0.0, -341.0 / 164.0, 4496.0 / 1025.0, -289.0 / 82.0, 2193.0 / 4100.0, 51.0 / 82.0, 33.0 / 164.0, 12.0 / 41.0, 0.0, 1.0],
];
#[rustfmt::skip]
const WEIGHTS: [f64; 13] = [
    0.0, 0.0, 0.0, 0.0, 0.0, 34.0 / 105.0, 9.0 / 35.0, 9.0 / 35.0, 9.0 / 280.0, 9.0 / 280.0, 0.0, 41.0 / 840.0, 41.0 / 840.0,
];

/// What pulls: the centre with its J2, and other bodies as point masses.
#[derive(Clone, Debug)]
pub(super) struct Forces<'a> {
    pub(super) ephemeris: &'a Ephemeris,
    pub(super) center: Body,
    /// Unit pole of the centre, ICRF, held at the epoch's.
    pub(super) pole: Vec3,
    pub(super) j2: (f64, f64),
    pub(super) others: Vec<Body>,
}

impl Forces<'_> {
    fn acceleration(&self, at_s: f64, r: &Vec3) -> Vec3 {
        let gm = self.center.gm_m3_s2();
        let r2 = r.norm_squared();
        let distance = r2.sqrt();
        let pull = gm / (r2 * distance);
        let (j2, radius) = self.j2;
        let height = r.dot(&self.pole);
        let bulge = 1.5 * j2 * pull * radius * radius / r2;
        let mut sum =
            r * (bulge * (5.0 * height * height / r2 - 1.0) - pull) - self.pole * (2.0 * bulge * height);
        for body in &self.others {
            let place =
                self.ephemeris.relative_state(*body, self.center, SimTime::from_secs_f64(at_s)).position_m;
            let sight = place - r;
            let (near, far) = (sight.norm(), place.norm());
            sum += (sight / (near * near * near) - place / (far * far * far)) * body.gm_m3_s2();
        }
        sum
    }
}

#[derive(Clone, Copy, Debug)]
struct Node {
    at_s: f64,
    state: State,
    acceleration: Vec3,
}

/// States at the integrator's steps, quintic Hermite between them; relative to the centre, ICRF axes.
#[derive(Clone, Debug)]
pub(super) struct NumericOrbit {
    nodes: Vec<Node>,
}

/// Why an integration stopped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stop {
    /// The orbit reached the body's polar radius.
    Impact { at_s: f64 },
    /// More steps than allowed.
    Steps { at_s: f64, limit: usize },
}

impl NumericOrbit {
    /// Integrates from `start` at simulated time zero to both ends of `reach_s`.
    pub(super) fn new(forces: &Forces<'_>, start: State, reach_s: (f64, f64)) -> Result<Self, Stop> {
        let mut nodes = Vec::new();
        if reach_s.0 < 0.0 {
            nodes = integrate(forces, start, reach_s.0)?;
            nodes.reverse();
            nodes.pop();
        }
        nodes.extend(integrate(forces, start, reach_s.1.max(1.0))?);
        Ok(Self { nodes })
    }

    pub(super) fn state(&self, at_s: f64) -> State {
        let next = self.nodes.partition_point(|node| node.at_s <= at_s).clamp(1, self.nodes.len() - 1);
        let (from, to) = (&self.nodes[next - 1], &self.nodes[next]);
        let h = to.at_s - from.at_s;
        let x = (at_s - from.at_s) / h;
        let (p0, v0, a0) = (from.state.position_m, from.state.velocity_mps * h, from.acceleration * (h * h));
        let (p1, v1, a1) = (to.state.position_m, to.state.velocity_mps * h, to.acceleration * (h * h));
        let rest = p1 - p0 - v0 - a0 * 0.5;
        let slope = v1 - v0 - a0;
        let bend = a1 - a0;
        let c3 = rest * 10.0 - slope * 4.0 + bend * 0.5;
        let c4 = rest * -15.0 + slope * 7.0 - bend;
        let c5 = rest * 6.0 - slope * 3.0 + bend * 0.5;
        State {
            position_m: p0 + (v0 + (a0 * 0.5 + (c3 + (c4 + c5 * x) * x) * x) * x) * x,
            velocity_mps: (v0 + (a0 + (c3 * 3.0 + (c4 * 4.0 + c5 * (5.0 * x)) * x) * x) * x) / h,
        }
    }
}

fn integrate(forces: &Forces<'_>, start: State, end_s: f64) -> Result<Vec<Node>, Stop> {
    let gm = forces.center.gm_m3_s2();
    let sign = if end_s < 0.0 { -1.0 } else { 1.0 };
    let node = |at_s: f64, state: State| Node {
        at_s,
        state,
        acceleration: forces.acceleration(at_s, &state.position_m),
    };
    let mut nodes = vec![node(0.0, start)];
    let (mut at_s, mut state) = (0.0, start);
    while (end_s - at_s) * sign > 0.0 {
        let distance = state.position_m.norm();
        if distance < forces.center.polar_radius_m() {
            return Err(Stop::Impact { at_s });
        }
        if nodes.len() > STEP_LIMIT {
            return Err(Stop::Steps { at_s, limit: STEP_LIMIT });
        }
        let fastest = (gm / distance).sqrt().max(state.velocity_mps.norm()) / distance;
        let whole = sign * STEP_RAD / fastest;
        let last = (end_s - at_s).abs() <= whole.abs();
        let h = if last { end_s - at_s } else { whole };
        state = step(forces, at_s, &state, h);
        at_s = if last { end_s } else { at_s + h };
        nodes.push(node(at_s, state));
    }
    Ok(nodes)
}

fn step(forces: &Forces<'_>, at_s: f64, state: &State, h: f64) -> State {
    let mut slopes = [State::ORIGIN; 13];
    for stage in 0..13 {
        let mut place = *state;
        for (slope, weight) in slopes.iter().zip(COUPLING[stage]) {
            if *weight != 0.0 {
                place.position_m += slope.position_m * (weight * h);
                place.velocity_mps += slope.velocity_mps * (weight * h);
            }
        }
        slopes[stage] = State {
            position_m: place.velocity_mps,
            velocity_mps: forces.acceleration(at_s + NODES[stage] * h, &place.position_m),
        };
    }
    slopes.iter().zip(WEIGHTS).fold(*state, |sum, (slope, weight)| State {
        position_m: sum.position_m + slope.position_m * (weight * h),
        velocity_mps: sum.velocity_mps + slope.velocity_mps * (weight * h),
    })
}
