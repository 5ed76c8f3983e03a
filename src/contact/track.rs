//! [`Track`]: a motion sampled once and interpolated, so that searching for windows costs no propagation.

use crate::{
    astro::{State, Vec3},
    units::SimTime,
};

/// Half an interval's error falls by 2⁴ with cubic interpolation, so that one more division brings this to 0.1 m.
const TOLERANCE_M: f64 = 1.6;
/// Intervals are not divided below this: where a velocity jumps (a waypoint), cubic interpolation gains little.
const MIN_INTERVAL_NS: i64 = 500_000_000;

/// States at times that lie closer where the motion bends more; cubic Hermite interpolation between them is within about
/// 0.1 m, and within a metre or two for half a second around a waypoint at which a fast drone turns.
#[derive(Clone, Debug)]
pub(crate) struct Track {
    start_s: f64,
    cell_s: f64,
    /// Index of each cell's first node, and of the last cell's end.
    cells: Vec<u32>,
    nodes: Vec<Node>,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    time_s: f64,
    state: State,
}

impl Track {
    /// Samples `motion` over [`from`, `to`], which is not empty, starting with intervals of `cell`. O(samples), about 1,600 a day for a low
    /// Earth orbit.
    pub(crate) fn sample(
        from: SimTime,
        to: SimTime,
        cell: SimTime,
        motion: &mut impl FnMut(SimTime) -> State,
    ) -> Self {
        let count = ((to - from).as_nanos() - 1).div_euclid(cell.as_nanos()) + 1;
        let mut track = Self {
            start_s: from.as_secs_f64(),
            cell_s: cell.as_secs_f64(),
            cells: Vec::with_capacity(count as usize + 1),
            nodes: Vec::new(),
        };
        let mut left = (from, motion(from));
        for index in 1..=count {
            let time = (from + SimTime(cell.as_nanos() * index)).min(to);
            let right = (time, motion(time));
            track.cells.push(track.nodes.len() as u32);
            track.push(left);
            track.divide(left, right, motion);
            left = right;
        }
        track.cells.push(track.nodes.len() as u32);
        track.push(left);
        track
    }

    fn push(&mut self, (time, state): (SimTime, State)) {
        self.nodes.push(Node { time_s: time.as_secs_f64(), state });
    }

    fn divide(
        &mut self,
        left: (SimTime, State),
        right: (SimTime, State),
        motion: &mut impl FnMut(SimTime) -> State,
    ) {
        let width = right.0 - left.0;
        if width.as_nanos() < MIN_INTERVAL_NS {
            return;
        }
        let time = left.0 + SimTime(width.as_nanos() / 2);
        let middle = (time, motion(time));
        let ends = [left, right].map(|(time, state)| Node { time_s: time.as_secs_f64(), state });
        let guess = between(&ends[0], &ends[1], time.as_secs_f64());
        let error_m = (guess.position_m - middle.1.position_m).norm();
        let error_mps = (guess.velocity_mps - middle.1.velocity_mps).norm();
        let close = error_m.max(error_mps * width.as_secs_f64() / 2.0) <= TOLERANCE_M;
        if !close {
            self.divide(left, middle, motion);
        }
        self.push(middle);
        if !close {
            self.divide(middle, right, motion);
        }
    }

    /// The state at a time, in seconds; outside the sampled span the outermost interval is continued.
    pub(crate) fn state(&self, time_s: f64) -> State {
        let (left, right) = self.around(time_s);
        between(left, right, time_s)
    }

    /// The position at a time.
    pub(crate) fn position(&self, time_s: f64) -> Vec3 {
        let (left, right) = self.around(time_s);
        let width = right.time_s - left.time_s;
        let u = (time_s - left.time_s) / width;
        let v = 1.0 - u;
        let (position, velocity) = (u * u * (3.0 - 2.0 * u), u * v * width);
        left.state.position_m
            + (right.state.position_m - left.state.position_m) * position
            + left.state.velocity_mps * (velocity * v)
            - right.state.velocity_mps * (velocity * u)
    }

    /// The states at the sampled times.
    pub(crate) fn states(&self) -> impl Iterator<Item = (f64, &State)> {
        self.nodes.iter().map(|node| (node.time_s, &node.state))
    }

    fn around(&self, time_s: f64) -> (&Node, &Node) {
        let last = self.cells.len() - 2;
        let cell = (((time_s - self.start_s) / self.cell_s).max(0.0) as usize).min(last);
        let (low, high) = (self.cells[cell] as usize, self.cells[cell + 1] as usize);
        let right = low + 1 + self.nodes[low + 1..high].partition_point(|node| node.time_s <= time_s);
        (&self.nodes[right - 1], &self.nodes[right])
    }
}

/// Cubic Hermite interpolation.
fn between(left: &Node, right: &Node, time_s: f64) -> State {
    let width = right.time_s - left.time_s;
    let u = (time_s - left.time_s) / width;
    let v = 1.0 - u;
    let step = right.state.position_m - left.state.position_m;
    let (from, to) = (left.state.velocity_mps, right.state.velocity_mps);
    State {
        position_m: left.state.position_m
            + step * (u * u * (3.0 - 2.0 * u))
            + (from * v - to * u) * (u * v * width),
        velocity_mps: step * (6.0 * u * v / width)
            + from * (v * (1.0 - 3.0 * u))
            + to * (u * (3.0 * u - 2.0)),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Kepler motion about a centre of `gm`, started at periapsis on the x axis, in the plane tilted about x.
    pub(crate) fn kepler(gm: f64, a: f64, e: f64, tilt: f64, phase: f64) -> impl FnMut(SimTime) -> State {
        move |time| {
            let n = (gm / (a * a * a)).sqrt();
            let mean = phase + n * time.as_secs_f64();
            let mut anomaly = mean;
            for _ in 0..50 {
                anomaly -= (anomaly - e * libm::sin(anomaly) - mean) / (1.0 - e * libm::cos(anomaly));
            }
            let (sin, cos) = libm::sincos(anomaly);
            let (root, rate) = ((1.0 - e * e).sqrt(), n / (1.0 - e * cos));
            let plane = |x: f64, y: f64| Vec3::new(x, y * libm::cos(tilt), y * libm::sin(tilt));
            State {
                position_m: plane(a * (cos - e), a * root * sin),
                velocity_mps: plane(-a * sin * rate, a * root * cos * rate),
            }
        }
    }

    #[test]
    fn interpolation_is_within_a_fifth_of_a_metre_on_low_and_on_eccentric_orbits() {
        for (gm, a, e) in [(3.986e14, 6.9e6, 0.001), (4.28e13, 9.35e6, 0.6), (4.9e12, 6.1e6, 0.6)] {
            let mut motion = kepler(gm, a, e, 0.7, 0.3);
            let hours = SimTime::from_secs(3600);
            let track = Track::sample(SimTime::ZERO, SimTime::from_secs(86_400), hours, &mut motion);
            for i in 0..5000 {
                let time = SimTime::from_secs_f64(f64::from(i) * 17.2801);
                let (truth, state) = (motion(time), track.state(time.as_secs_f64()));
                let error = (truth.position_m - state.position_m).norm();
                assert!(error < 0.2, "{error} m at {time}");
                assert!((truth.velocity_mps - state.velocity_mps).norm() < 0.02);
                assert!((track.position(time.as_secs_f64()) - state.position_m).norm() < 1e-6);
            }
        }
    }

    #[test]
    fn a_waypoint_is_followed_closely() {
        let mut motion = |time: SimTime| {
            let t = time.as_secs_f64();
            let (x, v) = if t < 1000.3 { (20.0 * t, 20.0) } else { (20.0 * 1000.3, 0.0) };
            State { position_m: Vec3::new(x, 0.0, 0.0), velocity_mps: Vec3::new(v, 0.0, 0.0) }
        };
        let track =
            Track::sample(SimTime::ZERO, SimTime::from_secs(7200), SimTime::from_secs(3600), &mut motion);
        for i in 0..7200 {
            let time = SimTime::from_secs(i);
            let error = (track.position(time.as_secs_f64()) - motion(time).position_m).norm();
            assert!(error < 2.0, "{error} m at {time}");
        }
        assert!(track.nodes.len() < 100);
    }
}
