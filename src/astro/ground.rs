//! [`GroundPath`]: a ground track compiled to body-fixed arcs.

use super::geodesy::{ellipsoid_normal, foot_point};
use super::trajectory::{MotionError, Surface};
use super::{Body, Ephemeris, GroundTrack, State, Vec3};
use crate::units::SimTime;

/// Waypoints as normals of the ellipsoid and heights. Between them the normal turns uniformly along a great circle, so the
/// speed over an ellipsoid is constant but for its flattening (0.6 % on Mars).
#[derive(Clone, Debug)]
pub(super) struct GroundPath {
    body: Body,
    stops: Vec<Stop>,
}

#[derive(Clone, Copy, Debug)]
struct Stop {
    time: SimTime,
    normal: Vec3,
    height_m: f64,
}

/// Normal, height and their rates at a moment, body-fixed.
struct Place {
    normal: Vec3,
    normal_rate: Vec3,
    height_m: f64,
    climb_mps: f64,
}

impl GroundPath {
    pub(super) fn new(track: &GroundTrack) -> Result<Self, MotionError> {
        if track.waypoints.is_empty() {
            return Err(MotionError::TooFewRows { found: 0, min: 1 });
        }
        let mut stops: Vec<Stop> = Vec::with_capacity(track.waypoints.len());
        for (row, waypoint) in track.waypoints.iter().enumerate() {
            let place = &waypoint.place;
            if ![place.latitude_deg, place.longitude_deg, place.height_m]
                .iter()
                .all(|value| value.is_finite())
            {
                return Err(MotionError::NotFinite { row });
            }
            if place.latitude_deg.abs() > 90.0 {
                let found = place.latitude_deg;
                return Err(MotionError::Element {
                    element: "latitude in degrees",
                    found,
                    min: -90.0,
                    max: 90.0,
                });
            }
            let stop =
                Stop { time: waypoint.time, normal: ellipsoid_normal(place), height_m: place.height_m };
            if let Some(before) = stops.last() {
                if stop.time <= before.time {
                    return Err(MotionError::NotIncreasing { row, at: stop.time });
                }
                if (stop.normal + before.normal).norm() < 1e-9 {
                    return Err(MotionError::Antipodal { row: row - 1 });
                }
            }
            stops.push(stop);
        }
        Ok(Self { body: track.body, stops })
    }

    pub(super) fn state(&self, ephemeris: &Ephemeris, at: SimTime) -> State {
        let place = self.place(at);
        let (foot, foot_rate) = foot_point(self.body, &place.normal, &place.normal_rate);
        let fixed = foot + place.normal * place.height_m;
        let fixed_rate = foot_rate + place.normal * place.climb_mps + place.normal_rate * place.height_m;
        let rotation = ephemeris.rotation(self.body, at);
        let position_m = rotation * fixed;
        let carried = ephemeris.spin_rad_s(self.body, at).cross(&position_m);
        State { position_m, velocity_mps: rotation * fixed_rate + carried }
    }

    pub(super) fn surface(&self, ephemeris: &Ephemeris, at: SimTime) -> Surface {
        let place = self.place(at);
        Surface {
            body: self.body,
            up: ephemeris.rotation(self.body, at) * place.normal,
            height_m: place.height_m,
        }
    }

    fn place(&self, at: SimTime) -> Place {
        let next = self.stops.partition_point(|stop| stop.time <= at);
        let still = |stop: &Stop| Place {
            normal: stop.normal,
            normal_rate: Vec3::zeros(),
            height_m: stop.height_m,
            climb_mps: 0.0,
        };
        if next == 0 || next == self.stops.len() {
            return still(&self.stops[next.saturating_sub(1)]);
        }
        let (from, to) = (&self.stops[next - 1], &self.stops[next]);
        let whole_s = (to.time - from.time).as_secs_f64();
        let share = (at - from.time).as_secs_f64() / whole_s;
        let climb_mps = (to.height_m - from.height_m) / whole_s;
        let height_m = from.height_m + climb_mps * (share * whole_s);
        let axis = from.normal.cross(&to.normal);
        let sine = axis.norm();
        if sine < 1e-15 {
            return Place { height_m, climb_mps, ..still(from) };
        }
        let arc = libm::atan2(sine, from.normal.dot(&to.normal));
        let ahead = (axis / sine).cross(&from.normal);
        let (sin, cos) = libm::sincos(share * arc);
        Place {
            normal: from.normal * cos + ahead * sin,
            normal_rate: (ahead * cos - from.normal * sin) * (arc / whole_s),
            height_m,
            climb_mps,
        }
    }
}
