//! Kepler motion: elements to states and back.

use std::f64::consts::{PI, TAU};

use super::{State, Vec3};

/// Elements in radians, in the frame of whoever holds them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Kepler {
    pub(super) semi_major_axis_m: f64,
    pub(super) eccentricity: f64,
    pub(super) inclination: f64,
    pub(super) node: f64,
    pub(super) periapsis: f64,
    pub(super) mean_anomaly: f64,
}

impl Kepler {
    pub(super) fn mean_motion(&self, gm: f64) -> f64 {
        (gm / self.semi_major_axis_m).sqrt() / self.semi_major_axis_m
    }

    pub(super) fn state(&self, gm: f64) -> State {
        let (a, e) = (self.semi_major_axis_m, self.eccentricity);
        let (sin, cos) = libm::sincos(eccentric_anomaly(self.mean_anomaly, e));
        let eta = (1.0 - e * e).sqrt();
        let speed = (gm * a).sqrt() / (a * (1.0 - e * cos));
        let (sin_node, cos_node) = libm::sincos(self.node);
        let (sin_peri, cos_peri) = libm::sincos(self.periapsis);
        let (sin_incl, cos_incl) = libm::sincos(self.inclination);
        let p = Vec3::new(
            cos_peri * cos_node - sin_peri * sin_node * cos_incl,
            cos_peri * sin_node + sin_peri * cos_node * cos_incl,
            sin_peri * sin_incl,
        );
        let q = Vec3::new(
            -sin_peri * cos_node - cos_peri * sin_node * cos_incl,
            -sin_peri * sin_node + cos_peri * cos_node * cos_incl,
            cos_peri * sin_incl,
        );
        State {
            position_m: p * (a * (cos - e)) + q * (a * eta * sin),
            velocity_mps: p * (-speed * sin) + q * (speed * eta * cos),
        }
    }

    /// The Kepler orbit through `state`. In circular or equatorial orbits the undefined angles are 0 and the others take
    /// up what they would have held.
    pub(super) fn from_state(state: &State, gm: f64) -> Self {
        let (r, v) = (state.position_m, state.velocity_mps);
        let h = r.cross(&v);
        let distance = r.norm();
        let a = 1.0 / (2.0 / distance - v.norm_squared() / gm);
        let e_cos = 1.0 - distance / a;
        let e_sin = r.dot(&v) / (gm * a).sqrt();
        let e = (e_cos * e_cos + e_sin * e_sin).sqrt();
        let anomaly = libm::atan2(e_sin, e_cos);
        let across = (h.x * h.x + h.y * h.y).sqrt();
        let node = if across > 0.0 { libm::atan2(h.x, -h.y) } else { 0.0 };
        let (sin_node, cos_node) = libm::sincos(node);
        let along = Vec3::new(cos_node, sin_node, 0.0);
        let latitude_argument = libm::atan2(r.dot(&h.normalize().cross(&along)), r.dot(&along));
        let eta = (1.0 - e * e).max(0.0).sqrt();
        let true_anomaly = libm::atan2(eta * libm::sin(anomaly), libm::cos(anomaly) - e);
        Self {
            semi_major_axis_m: a,
            eccentricity: e,
            inclination: libm::atan2(across, h.z),
            node: node.rem_euclid(TAU),
            periapsis: (latitude_argument - true_anomaly).rem_euclid(TAU),
            mean_anomaly: (anomaly - e_sin).rem_euclid(TAU),
        }
    }
}

/// Solves M = E − e sin E for 0 ≤ e < 1: Newton steps kept inside a shrinking bracket, so it converges for every e below 1.
pub(super) fn eccentric_anomaly(mean_anomaly: f64, e: f64) -> f64 {
    /// Bisection alone would need 53.
    const LIMIT: usize = 60;
    let m = mean_anomaly - TAU * (mean_anomaly / TAU).round();
    let (mut low, mut high) = (m - e, m + e);
    let mut anomaly = m + 0.85 * e * if m < 0.0 { -1.0 } else { 1.0 };
    if m.abs() < PI * 0.5 && e < 0.5 {
        anomaly = m + e * libm::sin(m);
    }
    for _ in 0..LIMIT {
        let (sin, cos) = libm::sincos(anomaly);
        let excess = anomaly - e * sin - m;
        if excess > 0.0 {
            high = anomaly;
        } else {
            low = anomaly;
        }
        let mut next = anomaly - excess / (1.0 - e * cos);
        if !(next > low && next < high) {
            next = 0.5 * (low + high);
        }
        if (next - anomaly).abs() <= 1e-15 * (1.0 + anomaly.abs()) {
            return next;
        }
        anomaly = next;
    }
    anomaly
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GM: f64 = 3.986_004_354_360_96e14;

    proptest! {
        #[test]
        fn keplers_equation_is_solved_for_every_ellipse(m in -20.0..20.0_f64, e in 0.0..0.999_999_f64) {
            let anomaly = eccentric_anomaly(m, e);
            let residual = anomaly - e * libm::sin(anomaly) - m;
            prop_assert!((residual - TAU * (residual / TAU).round()).abs() < 1e-13);
        }

        #[test]
        fn elements_survive_a_round_trip_through_a_state(
            a in 6.6e6..5e7_f64, e in 0.0..0.95_f64, i in 0.0..179.9_f64.to_radians(),
            node in 0.0..TAU, peri in 0.0..TAU, m in 0.0..TAU,
        ) {
            let kepler = Kepler {
                semi_major_axis_m: a, eccentricity: e, inclination: i, node, periapsis: peri, mean_anomaly: m,
            };
            let state = kepler.state(GM);
            let again = Kepler::from_state(&state, GM).state(GM);
            prop_assert!((state.position_m - again.position_m).norm() < 1e-6 * a);
            prop_assert!((state.velocity_mps - again.velocity_mps).norm() < 1e-6 * state.velocity_mps.norm());
        }
    }
}
