//! Poles and prime meridians of Sun, Moon and Mars: IAU WGCCRE 2015 (Archinal et al., Celest. Mech. Dyn. Astr. 130:22,
//! 2018; digits as in NAIF `pck00011.tpc`). Earth's is in [`earth_rotation`](super::earth_rotation).

use std::f64::consts::FRAC_PI_2;

use super::state::{turn_x, turn_z};
use super::{Mat3, Vec3};

const CENTURY_DAYS: f64 = 36_525.0;

/// Prime meridian rates, degrees per day.
pub(super) const SUN_SPIN_DEG_DAY: f64 = 14.184_4;
pub(super) const MOON_SPIN_DEG_DAY: f64 = 13.176_358_15;
pub(super) const MARS_SPIN_DEG_DAY: f64 = 350.891_982_443_297;

/// Moon: argument and its rate in degrees and degrees per day; amplitudes in degrees for right ascension (sine),
/// declination (cosine) and meridian (sine): E1 to E13.
const MOON_TERMS: [(f64, f64, f64, f64, f64); 13] = [
    (125.045, -0.052_992_1, -3.8787, 1.5419, 3.5610),
    (250.089, -0.105_984_2, -0.1204, 0.0239, 0.1208),
    (260.008, 13.012_000_9, 0.0700, -0.0278, -0.0642),
    (176.625, 13.340_715_4, -0.0172, 0.0068, 0.0158),
    (357.529, 0.985_600_3, 0.0, 0.0, 0.0252),
    (311.589, 26.405_708_4, 0.0072, -0.0029, -0.0066),
    (134.963, 13.064_993_0, 0.0, 0.0009, -0.0047),
    (276.617, 0.328_714_6, 0.0, 0.0, -0.0046),
    (34.226, 1.748_487_7, 0.0, 0.0, 0.0028),
    (15.134, -0.158_976_3, -0.0052, 0.0008, 0.0052),
    (119.743, 0.003_609_6, 0.0, 0.0, 0.0040),
    (239.961, 0.164_357_3, 0.0, 0.0, 0.0019),
    (25.053, 12.959_008_8, 0.0043, -0.0009, -0.0044),
];

/// Mars: amplitude in degrees, argument in degrees, its rate in degrees per century.
const MARS_RIGHT_ASCENSION: [(f64, f64, f64); 5] = [
    (0.000_068, 198.991_226, 19_139.481_998_5),
    (0.000_238, 226.292_679, 38_280.851_128_1),
    (0.000_052, 249.663_391, 57_420.725_159_3),
    (0.000_009, 266.183_510, 76_560.636_795_0),
    (0.419_057, 79.398_797, 0.504_261_5),
];
const MARS_DECLINATION: [(f64, f64, f64); 5] = [
    (0.000_051, 122.433_576, 19_139.940_747_6),
    (0.000_141, 43.058_401, 38_280.875_327_2),
    (0.000_031, 57.663_379, 57_420.751_720_5),
    (0.000_005, 79.476_401, 76_560.649_500_4),
    (1.591_274, 166.325_722, 0.504_261_5),
];
const MARS_MERIDIAN: [(f64, f64, f64); 6] = [
    (0.000_145, 129.071_773, 19_140.032_824_4),
    (0.000_157, 36.352_167, 38_281.047_359_1),
    (0.000_040, 56.668_646, 57_420.929_536_0),
    (0.000_001, 67.364_003, 76_560.255_221_5),
    (0.000_001, 104.792_680, 95_700.438_757_8),
    (0.584_542, 95.391_654, 0.504_261_5),
];

/// Right ascension and declination of the pole and the meridian without its uniform part, degrees, `days` of TDB since
/// J2000.0.
pub(super) fn sun(_days: f64) -> Vec3 {
    Vec3::new(286.13, 63.87, 84.176)
}

/// As [`sun`], for the Moon (mean Earth/polar axis frame; the series is within about 155 m of the DE421 librations).
pub(super) fn moon(days: f64) -> Vec3 {
    let t = days / CENTURY_DAYS;
    let start = Vec3::new(269.9949 + 0.0031 * t, 66.5392 + 0.0130 * t, 38.3213 - 1.4e-12 * days * days);
    MOON_TERMS.iter().fold(start, |sum, (at_2000, rate, alpha, delta, meridian)| {
        let (sin, cos) = libm::sincos((at_2000 + rate * days).to_radians());
        sum + Vec3::new(alpha * sin, delta * cos, meridian * sin)
    })
}

/// As [`sun`], for Mars (Kuchynka et al. 2014, adopted by the report).
pub(super) fn mars(days: f64) -> Vec3 {
    let t = days / CENTURY_DAYS;
    let sum = |terms: &[(f64, f64, f64)], wave: fn(f64) -> f64| {
        terms
            .iter()
            .fold(0.0, |sum, (size, at_2000, rate)| sum + size * wave((at_2000 + rate * t).to_radians()))
    };
    Vec3::new(
        317.269_202 - 0.109_275_47 * t + sum(&MARS_RIGHT_ASCENSION, libm::sin),
        54.432_516 - 0.058_271_05 * t + sum(&MARS_DECLINATION, libm::cos),
        176.049_863 + sum(&MARS_MERIDIAN, libm::sin),
    )
}

/// Equator of a pole (degrees) to ICRF: z along the pole, x along the node of that equator on the ICRF equator.
pub(super) fn equator_to_icrf(right_ascension_deg: f64, declination_deg: f64) -> Mat3 {
    (turn_x(FRAC_PI_2 - declination_deg.to_radians()) * turn_z(FRAC_PI_2 + right_ascension_deg.to_radians()))
        .transpose()
}
