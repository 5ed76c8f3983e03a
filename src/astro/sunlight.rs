//! [`sunlight`]: how much of the Sun an asset sees.

use std::f64::consts::{FRAC_PI_2, PI};

use super::{Body, Ephemeris, Trajectory, Vec3};
use crate::units::SimTime;

/// Fraction of the Sun's disk in view, 0 (umbra, night) to 1. Conical shadows of Earth, Moon and Mars as spheres of their
/// mean radii (Montenbruck and Gill, Satellite Orbits, §3.4.2); on a surface also the plane horizon at the asset. Without
/// limb darkening, refraction, terrain, or the Sun's light time.
#[must_use]
pub fn sunlight(trajectory: &Trajectory, ephemeris: &Ephemeris, at: SimTime) -> f64 {
    let center = trajectory.center();
    let local = trajectory.state(ephemeris, at).position_m;
    let to_sun = ephemeris.relative_state(Body::Sun, center, at).position_m - local;
    let surface = trajectory.surface(ephemeris, at);
    let mut seen = surface.map_or(1.0, |surface| above_horizon(&to_sun, &surface.up));
    for body in [Body::Earth, Body::Moon, Body::Mars] {
        // An asset's own ground is its horizon; from outside, a body hides the Sun only within its own system or when the
        // asset orbits it, planets being otherwise smaller than the Sun's disk.
        let own_ground = surface.is_some_and(|surface| surface.body == body);
        if seen == 0.0 || own_ground || !shades(body, center) {
            continue;
        }
        let to_body = ephemeris.relative_state(body, center, at).position_m - local;
        seen *= 1.0 - hidden(&to_sun, &to_body, body.occultation_radius_m());
    }
    seen
}

fn shades(body: Body, center: Body) -> bool {
    matches!((body, center), (Body::Earth | Body::Moon, Body::Earth | Body::Moon) | (Body::Mars, Body::Mars))
}

/// Share of the disk above the plane across `up`.
fn above_horizon(to_sun: &Vec3, up: &Vec3) -> f64 {
    let distance = to_sun.norm();
    let elevation = FRAC_PI_2 - libm::acos((to_sun.dot(up) / distance).clamp(-1.0, 1.0));
    let radius = libm::asin(Body::Sun.occultation_radius_m() / distance);
    let x = (elevation / radius).clamp(-1.0, 1.0);
    0.5 + (x * (1.0 - x * x).sqrt() + libm::asin(x)) / PI
}

/// Share of the Sun's disk behind a sphere.
fn hidden(to_sun: &Vec3, to_body: &Vec3, radius_m: f64) -> f64 {
    let (sun_distance, body_distance) = (to_sun.norm(), to_body.norm());
    if body_distance > sun_distance {
        return 0.0;
    }
    let a = libm::asin((Body::Sun.occultation_radius_m() / sun_distance).min(1.0));
    let b = libm::asin((radius_m / body_distance).min(1.0));
    let c = libm::atan2(to_sun.cross(to_body).norm(), to_sun.dot(to_body));
    if c >= a + b {
        0.0
    } else if c <= b - a {
        1.0
    } else if c <= a - b {
        (b * b) / (a * a)
    } else {
        let x = (c * c + a * a - b * b) / (2.0 * c);
        let y = (a * a - x * x).max(0.0).sqrt();
        let lens =
            a * a * libm::acos((x / a).clamp(-1.0, 1.0)) + b * b * libm::acos(((c - x) / b).clamp(-1.0, 1.0));
        ((lens - c * y) / (PI * a * a)).clamp(0.0, 1.0)
    }
}
