//! Places of Sun, Earth, Moon and Mars from embedded Chebyshev coefficients of JPL DE421.

use super::chebyshev::Chebyshev;
use super::{Epoch, Vec3};
use crate::units::SimTime;

/// DE421 (Folkner, Williams, Boggs, JPL IOM 343R-08-003, 2008; public domain), refitted and rounded by
/// `tests/data/astro/make_de421_table.py`: within 4 m (Sun), 410 m (Mars), 370 m (Earth–Moon barycentre) and 1.2 m (Moon
/// from Earth) of it.
const DE421: &[u8] = include_bytes!("data/de421.bin");

/// Mass of the Earth over that of the Moon in DE421.
const EARTH_MOON_RATIO: f64 = 81.300_569_069_915_3;
const DAY_S: f64 = 86_400.0;
/// The table's first instant, days of TDB since J2000.0: 1999-12-24T00:00.
pub(super) const TABLE_FIRST_DAY: f64 = -8.5;
/// Its length in days: to 2050-02-03.
pub(super) const TABLE_DAYS: f64 = 18_304.0;

/// Segment days, coefficients of each coordinate, metres to a step.
const SUN: Table = Table { offset: 0, days: 32, count: 8, step_m: 1.0 };
const EARTH_MOON: Table = Table { offset: SUN.end(), days: 32, count: 13, step_m: 128.0 };
const MARS: Table = Table { offset: EARTH_MOON.end(), days: 32, count: 11, step_m: 128.0 };
const MOON: Table = Table { offset: MARS.end(), days: 8, count: 15, step_m: 0.25 };

struct Table {
    offset: usize,
    days: usize,
    count: usize,
    step_m: f64,
}

impl Table {
    const fn end(&self) -> usize {
        self.offset + TABLE_DAYS as usize / self.days * self.count * 3 * 4
    }

    /// The segments that cover days `first` to `last` of TDB since J2000.0, on a clock of seconds since `origin` day.
    fn segments(&self, first: f64, last: f64, origin: f64) -> Chebyshev {
        let total = TABLE_DAYS as usize / self.days;
        let index =
            |day: f64| (((day - TABLE_FIRST_DAY) / self.days as f64).max(0.0) as usize).min(total - 1);
        let (from, to) = (index(first), index(last));
        let mut coefficients = Vec::with_capacity((to - from + 1) * self.count);
        for segment in from..=to {
            for order in 0..self.count {
                let value = |axis: usize| {
                    let at = self.offset + ((segment * 3 + axis) * self.count + order) * 4;
                    let steps = i32::from_le_bytes([DE421[at], DE421[at + 1], DE421[at + 2], DE421[at + 3]]);
                    f64::from(steps) * self.step_m
                };
                coefficients.push(Vec3::new(value(0), value(1), value(2)));
            }
        }
        let first_s = (TABLE_FIRST_DAY + (from * self.days) as f64 - origin) * DAY_S;
        Chebyshev::new(first_s, self.days as f64 * DAY_S, self.count, coefficients)
    }
}

/// Barycentric places of the bodies over a span; times are simulated seconds.
#[derive(Clone, Debug)]
pub(super) struct Planets {
    sun: Chebyshev,
    earth_moon: Chebyshev,
    mars: Chebyshev,
    moon_from_earth: Chebyshev,
}

impl Planets {
    pub(super) fn new(epoch: Epoch, first_s: f64, last_s: f64) -> Self {
        // TDB − TT swings by 1.7 ms a year: taken at the middle, it is wrong by at most 0.5 ms (15 m) in 60 days.
        let middle = SimTime::from_secs_f64(0.5 * (first_s + last_s));
        let origin = epoch.tdb(middle).days_since_j2000() - middle.as_secs_f64() / DAY_S;
        let (first, last) = (origin + first_s / DAY_S, origin + last_s / DAY_S);
        Self {
            sun: SUN.segments(first, last, origin),
            earth_moon: EARTH_MOON.segments(first, last, origin),
            mars: MARS.segments(first, last, origin),
            moon_from_earth: MOON.segments(first, last, origin),
        }
    }

    pub(super) fn sun(&self, at_s: f64) -> (Vec3, Vec3) {
        self.sun.at(at_s)
    }

    pub(super) fn mars(&self, at_s: f64) -> (Vec3, Vec3) {
        self.mars.at(at_s)
    }

    pub(super) fn earth(&self, at_s: f64) -> (Vec3, Vec3) {
        self.from_barycentre(at_s, -1.0 / (1.0 + EARTH_MOON_RATIO))
    }

    pub(super) fn moon(&self, at_s: f64) -> (Vec3, Vec3) {
        self.from_barycentre(at_s, EARTH_MOON_RATIO / (1.0 + EARTH_MOON_RATIO))
    }

    /// The Moon relative to the Earth.
    pub(super) fn moon_from_earth(&self, at_s: f64) -> (Vec3, Vec3) {
        self.moon_from_earth.at(at_s)
    }

    fn from_barycentre(&self, at_s: f64, share: f64) -> (Vec3, Vec3) {
        let (center, center_rate) = self.earth_moon.at(at_s);
        let (moon, moon_rate) = self.moon_from_earth.at(at_s);
        (center + moon * share, center_rate + moon_rate * share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_table_has_the_stated_length() {
        assert_eq!(DE421.len(), MOON.end());
    }
}
