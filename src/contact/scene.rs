//! [`Scene`]: all that visibility asks of the surroundings, sampled.

use std::collections::BTreeMap;

use super::track::Track;
use crate::{
    astro::{Body, State, Vec3},
    units::{AssetIndex, SimTime},
};

/// Sampled speeds are raised by this to bound those between samples.
const SPEED_RESERVE: f64 = 1.02;
/// Added to every speed so that none is zero: covers what sampling and rotation leave of a standing asset, m/s.
const SPEED_FLOOR_MPS: f64 = 1e-3;

/// Bodies and assets over a span.
#[derive(Debug)]
pub(crate) struct Scene {
    bodies: Vec<Track>,
    /// Direction of each body's pole; over a scenario it is constant to better than 0.001°.
    poles: [Vec3; 4],
    assets: BTreeMap<AssetIndex, AssetTrack>,
}

/// An asset's sampled motion relative to its central body, ICRF axes.
#[derive(Debug)]
pub(crate) struct AssetTrack {
    /// The central body.
    pub center: Body,
    /// The motion.
    pub track: Track,
    /// What an asset on or over a surface adds; `None` in orbit.
    pub ground: Option<Ground>,
    /// Bounds of the distance from the centre, metres.
    pub distance_m: (f64, f64),
    /// Bound of the speed relative to the centre.
    pub speed_mps: f64,
}

/// What is known of an asset on or over the surface of its central body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ground {
    /// Least height over the ellipsoid, metres.
    pub least_height_m: f64,
    /// Bound of the speed over the surface.
    pub speed_mps: f64,
}

impl AssetTrack {
    /// Around `track`; `height_m` and `spin` (rad/s, ICRF) at a time are given for an asset on a surface.
    pub(crate) fn new(
        center: Body,
        track: Track,
        ground: Option<(impl Fn(f64) -> f64, impl Fn(f64) -> Vec3)>,
    ) -> Self {
        let bound = |speed: f64| speed * SPEED_RESERVE + SPEED_FLOOR_MPS;
        let (mut near, mut far, mut fastest) = (f64::INFINITY, 0.0_f64, 0.0_f64);
        for (_, state) in track.states() {
            let distance = state.position_m.norm();
            (near, far) = (near.min(distance), far.max(distance));
            fastest = fastest.max(state.velocity_mps.norm());
        }
        let ground = ground.map(|(height_m, spin)| {
            let (mut least, mut fastest) = (f64::INFINITY, 0.0_f64);
            for (time, state) in track.states() {
                least = least.min(height_m(time));
                fastest = fastest.max((state.velocity_mps - spin(time).cross(&state.position_m)).norm());
            }
            Ground { least_height_m: least, speed_mps: bound(fastest) }
        });
        Self {
            center,
            track,
            ground,
            distance_m: (near / SPEED_RESERVE, far * SPEED_RESERVE),
            speed_mps: bound(fastest),
        }
    }
}

impl Scene {
    /// Samples the bodies over [`from`, `to`] with `state` (relative to one origin common to all) and takes the assets in.
    pub(crate) fn new(
        (from, to): (SimTime, SimTime),
        state: impl Fn(Body, SimTime) -> State,
        poles: [Vec3; 4],
        assets: BTreeMap<AssetIndex, AssetTrack>,
    ) -> Self {
        // Intervals in which no body, the Moon least of all, bends noticeably.
        let cell = SimTime::from_secs(6 * 3600);
        let bodies = Body::ALL
            .iter()
            .map(|&body| Track::sample(from, to, cell, &mut |time| state(body, time)))
            .collect();
        Self { bodies, poles, assets }
    }

    /// The asset's motion.
    pub(crate) fn asset(&self, index: AssetIndex) -> &AssetTrack {
        &self.assets[&index]
    }

    /// A body's motion, relative to the common origin.
    pub(crate) fn body(&self, body: Body) -> &Track {
        &self.bodies[place(body)]
    }

    /// Direction of a body's pole.
    pub(crate) fn pole(&self, body: Body) -> &Vec3 {
        &self.poles[place(body)]
    }

    /// Bound of the speed of one body relative to another.
    pub(crate) fn relative_speed_mps(&self, one: Body, other: Body) -> f64 {
        self.pairs(one, other).map(|(a, b)| (a.velocity_mps - b.velocity_mps).norm()).fold(0.0, f64::max)
            * SPEED_RESERVE
    }

    /// Bound from below of the distance between two bodies, metres.
    pub(crate) fn least_distance_m(&self, one: Body, other: Body) -> f64 {
        self.pairs(one, other)
            .map(|(a, b)| (a.position_m - b.position_m).norm())
            .fold(f64::INFINITY, f64::min)
            / SPEED_RESERVE
    }

    fn pairs(&self, one: Body, other: Body) -> impl Iterator<Item = (State, State)> {
        let (one, other) = (self.body(one), self.body(other));
        one.states().map(|(time, state)| (*state, other.state(time)))
    }
}

/// A body's place in [`Body::ALL`].
const fn place(body: Body) -> usize {
    match body {
        Body::Sun => 0,
        Body::Earth => 1,
        Body::Moon => 2,
        Body::Mars => 3,
    }
}
