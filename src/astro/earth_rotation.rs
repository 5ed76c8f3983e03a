//! Rotation of the Earth: IAU 2006 precession, IAU 2000B nutation, Earth rotation angle; no polar motion, UT1 = UTC.

use std::f64::consts::{PI, TAU};

use super::nutation_terms::TERMS;
use super::state::{turn_x, turn_z};
use super::{JulianDate, Mat3, Vec3};

const ARCSEC: f64 = PI / 648_000.0;
const TENTH_MICROARCSEC: f64 = ARCSEC * 1e-7;
const CENTURY_DAYS: f64 = 36_525.0;
/// Turns of the Earth rotation angle in a UT1 day (IERS Conventions 2010, eq. 5.15).
const TURNS_PER_DAY: f64 = 1.002_737_811_911_354_6;
/// Rotation rate about the intermediate pole, rad/s.
pub(super) const SPIN_RAD_S: f64 = TAU * TURNS_PER_DAY / 86_400.0;

/// Earth rotation angle, radians in 0 to 2π (IERS Conventions 2010, eq. 5.15; as SOFA `era00`).
pub(super) fn rotation_angle_rad(ut1: JulianDate) -> f64 {
    let days = ut1.days_since_j2000();
    let day_turns = (ut1.day - 2_451_545.0).rem_euclid(1.0) + ut1.fraction;
    TAU * (day_turns + 0.779_057_273_264 + (TURNS_PER_DAY - 1.0) * days).rem_euclid(1.0)
}

/// Greenwich mean sidereal time, radians in 0 to 2π (IAU 1982: Aoki et al.), the one SGP4's TEME frame is tied to.
pub(super) fn sidereal_time_1982_rad(ut1: JulianDate) -> f64 {
    let t = ut1.days_since_j2000() / CENTURY_DAYS;
    let since_midnight_s = 24_110.548_41 + (8_640_184.812_866 + (0.093_104 - 6.2e-6 * t) * t) * t;
    // `day` is a midnight, from which the IAU constant counts; a mean solar day adds one whole turn.
    TAU * (since_midnight_s / 86_400.0 + ut1.fraction).rem_euclid(1.0)
}

/// Celestial intermediate pole X, Y and the CIO locator s, radians, at `days` of TT since J2000.0.
///
/// Within 1 mas (3 cm on the ground) of IAU 2006/2000A for 1995 to 2050. s from the terms above 2 µas of the IAU 2006 series
/// (Capitaine and Wallace 2006).
pub(super) fn intermediate_pole(days: f64) -> Vec3 {
    let t = days / CENTURY_DAYS;
    let [_, _, f, d, node] = delaunay_rad(t);
    let (nutation_longitude, nutation_obliquity) = nutation_rad(t);
    let matrix = true_of_date(t, nutation_longitude, nutation_obliquity);
    let (x, y) = (matrix[(2, 0)], matrix[(2, 1)]);
    let annual = 2.0 * (f - d + node);
    let polynomial = 94.0 + (3808.65 + (-122.68 - 72_574.11 * t) * t) * t;
    let periodic = (-2640.73 + 743.52 * t * t) * libm::sin(node)
        - 63.53 * libm::sin(2.0 * node)
        - 11.75 * libm::sin(annual + node)
        - 11.21 * libm::sin(annual - node)
        + (4.57 + 56.91 * t * t) * libm::sin(annual);
    Vec3::new(x, y, (polynomial + periodic) * 1e-6 * ARCSEC - 0.5 * x * y)
}

/// ITRS to GCRS from the pole (X, Y, s) and the Earth rotation angle (IERS Conventions 2010, eq. 5.1 with W = 1).
pub(super) fn terrestrial_to_celestial(pole: &Vec3, angle_rad: f64) -> Mat3 {
    let (x, y) = (pole.x, pole.y);
    let a = 1.0 / (1.0 + (1.0 - x * x - y * y).sqrt());
    let q = Mat3::new(
        1.0 - a * x * x,
        -a * x * y,
        x,
        -a * x * y,
        1.0 - a * y * y,
        y,
        -x,
        -y,
        1.0 - a * (x * x + y * y),
    );
    q * turn_z(pole.z - angle_rad)
}

/// GCRS to the mean equator and equinox of date, `days` of TT since J2000.0 (frame bias and IAU 2006 precession).
pub(super) fn mean_of_date(days: f64) -> Mat3 {
    true_of_date(days / CENTURY_DAYS, 0.0, 0.0)
}

/// GCRS to equator and equinox of date by the Fukushima–Williams angles (Capitaine and Wallace 2006; as SOFA `pfw06`).
fn true_of_date(t: f64, nutation_longitude: f64, nutation_obliquity: f64) -> Mat3 {
    let polynomial = |c: [f64; 6]| c.iter().rev().fold(0.0, |sum, term| sum * t + term) * ARCSEC;
    let gamma =
        polynomial([-0.052_928, 10.556_378, 0.493_204_4, -0.000_312_38, -0.000_002_788, 0.000_000_026_0]);
    let phi = polynomial([
        84_381.412_819,
        -46.811_016,
        0.051_126_8,
        0.000_532_89,
        -0.000_000_440,
        -0.000_000_017_6,
    ]);
    let psi =
        polynomial([-0.041_775, 5_038.481_484, 1.558_417_5, -0.000_185_22, -0.000_026_452, -0.000_000_014_8]);
    let obliquity =
        polynomial([84_381.406, -46.836_769, -0.000_183_1, 0.002_003_40, -0.000_000_576, -0.000_000_043_4]);
    turn_x(-(obliquity + nutation_obliquity))
        * turn_z(-(psi + nutation_longitude))
        * turn_x(phi)
        * turn_z(gamma)
}

/// Nutation in longitude and obliquity (IAU 2000B).
fn nutation_rad(t: f64) -> (f64, f64) {
    let arguments = delaunay_rad(t);
    let (mut longitude, mut obliquity) = (0.0, 0.0);
    // Smallest terms first, as the standard sums them.
    for (multipliers, c) in TERMS.iter().rev() {
        let angle = multipliers.iter().zip(arguments).fold(0.0, |sum, (m, a)| sum + f64::from(*m) * a);
        let (sin, cos) = libm::sincos(angle);
        longitude += (c[0] + c[1] * t) * sin + c[2] * cos;
        obliquity += (c[3] + c[4] * t) * cos + c[5] * sin;
    }
    // Fixed offsets stand for the planetary terms: -0.135 mas and 0.388 mas.
    (longitude * TENTH_MICROARCSEC - 0.135e-3 * ARCSEC, obliquity * TENTH_MICROARCSEC + 0.388e-3 * ARCSEC)
}

/// l, l', F, D, Ω (Simon et al. 1994, linear as in IAU 2000B).
fn delaunay_rad(t: f64) -> [f64; 5] {
    let angle = |at_2000: f64, rate: f64| (at_2000 + rate * t).rem_euclid(1_296_000.0) * ARCSEC;
    [
        angle(485_868.249_036, 1_717_915_923.217_8),
        angle(1_287_104.793_05, 129_596_581.048_1),
        angle(335_779.526_232, 1_739_527_262.847_8),
        angle(1_072_260.703_69, 1_602_961_601.209),
        angle(450_160.398_036, -6_962_890.543_1),
    ]
}
