//! Mean and osculating states: the short-period effect of J2 to first order (Brouwer, Astron. J. 64, 1959, §3).
//!
//! Brouwer's determining function S1 generates the transformation. It is written here with quantities that stay regular in
//! circular and equatorial orbits and differentiated in Cartesian coordinates, in which a canonical transformation has the
//! same form as in Delaunay's: r = r' − ∂S/∂v', v = v' + ∂S/∂r'. So no angle that is undefined appears. The long-period
//! terms (J3 and second order) are not part of it.

use super::{State, Vec3};

/// The osculating state that belongs to a mean `state`, in the body's equatorial frame (z along the pole).
pub(super) fn osculating(mean: &State, gm: f64, (j2, radius_m): (f64, f64)) -> State {
    /// Central differences with this share of the state's size: truncation and rounding are both below 1e-9 of the effect.
    const SHARE: f64 = 1e-4;
    if j2 == 0.0 {
        return *mean;
    }
    let generator = |state: &State| determining_function(state, gm, 0.5 * j2 * radius_m * radius_m);
    let steps = (mean.position_m.norm() * SHARE, mean.velocity_mps.norm() * SHARE);
    let mut by_position = Vec3::zeros();
    let mut by_velocity = Vec3::zeros();
    for axis in 0..3 {
        let mut ends = [*mean; 4];
        ends[0].position_m[axis] += steps.0;
        ends[1].position_m[axis] -= steps.0;
        ends[2].velocity_mps[axis] += steps.1;
        ends[3].velocity_mps[axis] -= steps.1;
        by_position[axis] = (generator(&ends[0]) - generator(&ends[1])) / (2.0 * steps.0);
        by_velocity[axis] = (generator(&ends[2]) - generator(&ends[3])) / (2.0 * steps.1);
    }
    State { position_m: mean.position_m - by_velocity, velocity_mps: mean.velocity_mps + by_position }
}

/// The mean state whose osculating state is `state`: fixed-point iteration, each turn gaining a factor of J2.
pub(super) fn mean(osculating_state: &State, gm: f64, j2: (f64, f64)) -> State {
    const TURNS: usize = 12;
    let mut mean = *osculating_state;
    for _ in 0..TURNS {
        let excess = osculating(&mean, gm, j2) - *osculating_state;
        mean = mean - excess;
    }
    mean
}

/// S1 = μ²k2/G³ { (−½ + 3/2 cos²i)(f − l + e sin f) + ¾ sin²i [sin 2u + e sin(2u − f) + (e/3) sin(2u + f)] }.
fn determining_function(state: &State, gm: f64, k2: f64) -> f64 {
    let (r, v) = (state.position_m, state.velocity_mps);
    let distance = r.norm();
    let momentum = r.cross(&v);
    let g = momentum.norm();
    let a = 1.0 / (2.0 / distance - v.norm_squared() / gm);
    let radial_product = r.dot(&v);
    let (e_sin_anomaly, e_cos_anomaly) = (radial_product / (gm * a).sqrt(), 1.0 - distance / a);
    let p = g * g / gm;
    let eta = (p / a).sqrt();
    let (e_cos_f, e_sin_f) = (p / distance - 1.0, g * radial_product / (gm * distance));
    // f − l = (f − E) + e sin E.
    let center_equation = 2.0 * libm::atan2(e_sin_anomaly, 1.0 + eta - e_cos_anomaly) + e_sin_anomaly;
    let cos_incl = momentum.z / g;
    let outward = r / distance;
    let forward = momentum.cross(&outward) / g;
    // sin i sin u and sin i cos u are the heights of the radial and the transverse direction.
    let (sin_u, cos_u) = (outward.z, forward.z);
    let (sin_2u, cos_2u) = (2.0 * sin_u * cos_u, cos_u * cos_u - sin_u * sin_u);
    let behind = sin_2u * e_cos_f - cos_2u * e_sin_f;
    let ahead = sin_2u * e_cos_f + cos_2u * e_sin_f;
    gm * gm * k2 / (g * g * g)
        * ((1.5 * cos_incl * cos_incl - 0.5) * (center_equation + e_sin_f)
            + 0.75 * (sin_2u + behind + ahead / 3.0))
}
