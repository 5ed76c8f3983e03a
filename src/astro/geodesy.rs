//! Places on ellipsoids: [`Geodetic`] to body-fixed coordinates and back, elevation above a horizon.

use super::{Body, Geodetic, Vec3};

/// The outward normal of the ellipsoid at a latitude and longitude, body-fixed.
#[must_use]
pub fn ellipsoid_normal(place: &Geodetic) -> Vec3 {
    let (sin_lat, cos_lat) = libm::sincos(place.latitude_deg.to_radians());
    let (sin_lon, cos_lon) = libm::sincos(place.longitude_deg.to_radians());
    Vec3::new(cos_lat * cos_lon, cos_lat * sin_lon, sin_lat)
}

/// Body-fixed position, metres, of a place on `body`.
#[must_use]
pub fn body_fixed(body: Body, place: &Geodetic) -> Vec3 {
    let normal = ellipsoid_normal(place);
    let (foot, _) = foot_point(body, &normal, &Vec3::zeros());
    foot + normal * place.height_m
}

/// The ellipsoid's point with outward normal `normal`, and its velocity when the normal changes at `rate`.
pub(super) fn foot_point(body: Body, normal: &Vec3, rate: &Vec3) -> (Vec3, Vec3) {
    let (a, b) = (body.equatorial_radius_m(), body.polar_radius_m());
    let squared = Vec3::new(a * a, a * a, b * b);
    let scaled = squared.component_mul(normal);
    let scaled_rate = squared.component_mul(rate);
    let size = normal.dot(&scaled).sqrt();
    let foot = scaled / size;
    (foot, scaled_rate / size - scaled * (normal.dot(&scaled_rate) / (size * size * size)))
}

/// Geodetic coordinates of a body-fixed position, metres. Longitude in -180 to 180.
#[must_use]
pub fn geodetic(body: Body, position_m: &Vec3) -> Geodetic {
    /// Each turn shrinks the error by the squared eccentricity (below 0.012): twelve leave nothing above 1e-20.
    const TURNS: usize = 12;
    let (a, b) = (body.equatorial_radius_m(), body.polar_radius_m());
    let e2 = 1.0 - (b / a) * (b / a);
    let across = (position_m.x * position_m.x + position_m.y * position_m.y).sqrt();
    let mut latitude = libm::atan2(position_m.z, across * (1.0 - e2));
    for _ in 0..TURNS {
        let sin = libm::sin(latitude);
        let prime_vertical = a / (1.0 - e2 * sin * sin).sqrt();
        latitude = libm::atan2(position_m.z + e2 * prime_vertical * sin, across);
    }
    let (sin, cos) = libm::sincos(latitude);
    Geodetic {
        latitude_deg: latitude.to_degrees(),
        longitude_deg: libm::atan2(position_m.y, position_m.x).to_degrees(),
        height_m: across * cos + position_m.z * sin - a * (1.0 - e2 * sin * sin).sqrt(),
    }
}

/// Elevation, radians, of `to` seen at `from` above the plane across the unit normal `up`; all on the same axes and centre.
#[must_use]
pub fn elevation_rad(up: &Vec3, from: &Vec3, to: &Vec3) -> f64 {
    let sight = to - from;
    let rise = sight.dot(up);
    libm::atan2(rise, (sight - up * rise).norm())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn geodetic_coordinates_survive_a_round_trip(lat in -90.0..90.0_f64, lon in -180.0..180.0_f64, h in -5e3..4e7_f64) {
            for body in Body::ALL {
                let place = Geodetic { latitude_deg: lat, longitude_deg: lon, height_m: h };
                let position = body_fixed(body, &place);
                let again = body_fixed(body, &geodetic(body, &position));
                // Half a micrometre on bodies, a rounding error of the Sun's size on the Sun.
                prop_assert!((position - again).norm() < 1e-14 * position.norm() + 5e-7);
            }
        }
    }

    #[test]
    fn the_pole_and_the_equator_stand_on_the_ellipsoid() {
        let pole =
            body_fixed(Body::Mars, &Geodetic { latitude_deg: 90.0, longitude_deg: 0.0, height_m: 10.0 });
        assert!((pole.z - 3_376_210.0).abs() < 1e-6);
        let east =
            body_fixed(Body::Earth, &Geodetic { latitude_deg: 0.0, longitude_deg: 90.0, height_m: 0.0 });
        assert!((east - Vec3::new(0.0, 6_378_137.0, 0.0)).norm() < 1e-6);
    }
}
