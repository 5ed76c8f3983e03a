//! [`Ephemeris`]: where the bodies are and how they are turned.

use super::chebyshev::Chebyshev;
use super::planets::{Planets, TABLE_DAYS, TABLE_FIRST_DAY};
use super::state::turn_z;
use super::{Body, Epoch, Mat3, State, Vec3, earth_rotation, iau_rotation};
use crate::units::SimTime;

const DAY_S: f64 = 86_400.0;
/// Room on both sides of the span for light under way (Mars at conjunction: 1340 s).
const MARGIN_S: f64 = 3_600.0;
/// The CIP moves with periods down to 5 days, the Moon's librations down to 13, Mars' pole no faster than 230.
const POLE_SEGMENT_S: f64 = 4.0 * DAY_S;
const POLE_ORDERS: usize = 12;

/// Bodies over a span of simulated time, tabulated at construction (about 1 ms for 30 days; a query takes well under a
/// microsecond).
///
/// Positions are those of JPL DE421 (within 410 m; see `planets.rs`), barycentric, ICRF axes. TT stands for TDB in the
/// rotations (1.7 ms). Earth: IAU 2006/2000B precession-nutation and Earth rotation angle, UT1 = UTC, no polar motion
/// (10 m). Sun, Moon and Mars: IAU WGCCRE 2015.
#[derive(Clone, Debug)]
pub struct Ephemeris {
    epoch: Epoch,
    span: (SimTime, SimTime),
    planets: Planets,
    earth_pole: Chebyshev,
    moon_axis: Chebyshev,
    mars_axis: Chebyshev,
    /// TT days since J2000.0 at the epoch.
    origin_days: f64,
    /// Earth rotation angle at the epoch.
    earth_angle_rad: f64,
}

/// Why there is no ephemeris for a span.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EphemerisError {
    /// The span ends before it begins.
    #[error("the span ends at {end}, before it begins at {start}")]
    Backwards {
        /// Its start.
        start: SimTime,
        /// Its end.
        end: SimTime,
    },
    /// The span reaches outside 2000-01-01 to 2050-01-31, which the embedded DE421 table covers.
    #[error("the span {from} to {to} reaches outside the planetary table, 2000-01-01 to 2050-01-31")]
    OutsideTable {
        /// Its start in civil time.
        from: String,
        /// Its end in civil time.
        to: String,
    },
}

impl Ephemeris {
    /// Tabulates the bodies for `span` (start, end) with an hour's margin on both sides.
    ///
    /// # Errors
    /// A span that is backwards or outside the table.
    pub fn new(epoch: Epoch, span: (SimTime, SimTime)) -> Result<Self, EphemerisError> {
        let (start, end) = span;
        if end < start {
            return Err(EphemerisError::Backwards { start, end });
        }
        let origin_days = epoch.tt(SimTime::ZERO).days_since_j2000();
        let (first_s, last_s) = (start.as_secs_f64() - MARGIN_S, end.as_secs_f64() + MARGIN_S);
        let inside = |at_s: f64| {
            let day = origin_days + at_s / DAY_S;
            day > TABLE_FIRST_DAY + 1.0 && day < TABLE_FIRST_DAY + TABLE_DAYS - 1.0
        };
        if !inside(first_s) || !inside(last_s) {
            return Err(EphemerisError::OutsideTable { from: epoch.utc(start), to: epoch.utc(end) });
        }
        let tabulate = |function: fn(f64) -> Vec3| {
            Chebyshev::fit((first_s, last_s), POLE_SEGMENT_S, POLE_ORDERS, |at_s| {
                function(origin_days + at_s / DAY_S)
            })
        };
        Ok(Self {
            epoch,
            span,
            planets: Planets::new(epoch, first_s, last_s),
            earth_pole: tabulate(earth_rotation::intermediate_pole),
            moon_axis: tabulate(iau_rotation::moon),
            mars_axis: tabulate(iau_rotation::mars),
            origin_days,
            earth_angle_rad: earth_rotation::rotation_angle_rad(epoch.ut1(SimTime::ZERO)),
        })
    }

    /// The instant of simulated time zero.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The span asked for; queries hold an hour beyond it on both sides.
    #[must_use]
    pub const fn span(&self) -> (SimTime, SimTime) {
        self.span
    }

    /// The span with its margin, seconds.
    pub(super) fn reach_s(&self) -> (f64, f64) {
        (self.span.0.as_secs_f64() - MARGIN_S, self.span.1.as_secs_f64() + MARGIN_S)
    }

    /// State of `body` relative to the solar-system barycentre, ICRF axes.
    #[must_use]
    pub fn body_state(&self, body: Body, at: SimTime) -> State {
        let at_s = at.as_secs_f64();
        let (position_m, velocity_mps) = match body {
            Body::Sun => self.planets.sun(at_s),
            Body::Earth => self.planets.earth(at_s),
            Body::Moon => self.planets.moon(at_s),
            Body::Mars => self.planets.mars(at_s),
        };
        State { position_m, velocity_mps }
    }

    /// State of `of` relative to `center`, ICRF axes.
    #[must_use]
    pub fn relative_state(&self, of: Body, center: Body, at: SimTime) -> State {
        let at_s = at.as_secs_f64();
        match (of, center) {
            _ if of == center => State::ORIGIN,
            (Body::Moon, Body::Earth) => {
                let (position_m, velocity_mps) = self.planets.moon_from_earth(at_s);
                State { position_m, velocity_mps }
            }
            (Body::Earth, Body::Moon) => {
                let (position_m, velocity_mps) = self.planets.moon_from_earth(at_s);
                State { position_m: -position_m, velocity_mps: -velocity_mps }
            }
            _ => self.body_state(of, at) - self.body_state(center, at),
        }
    }

    /// Body-fixed axes to ICRF axes. Earth: ITRF without polar motion.
    #[must_use]
    pub fn rotation(&self, body: Body, at: SimTime) -> Mat3 {
        self.attitude(body, at).0
    }

    /// Angular velocity of `body`, radians per second on ICRF axes, along its pole (the pole's own motion, below 1e-4 of a
    /// metre per second on the ground, is left out).
    #[must_use]
    pub fn spin_rad_s(&self, body: Body, at: SimTime) -> Vec3 {
        let (rotation, rate) = self.attitude(body, at);
        rotation.column(2) * rate
    }

    /// SGP4's TEME axes to ICRF axes: TEME to the pseudo Earth-fixed frame by IAU 1982 sidereal time (Vallado et al., AIAA
    /// 2006-6753, appendix C), then as [`rotation`](Self::rotation). The TEME axes turn by 50″ a year, so velocities need
    /// no further term.
    #[must_use]
    pub fn teme_to_icrf(&self, at: SimTime) -> Mat3 {
        self.rotation(Body::Earth, at) * turn_z(earth_rotation::sidereal_time_1982_rad(self.epoch.ut1(at)))
    }

    /// Equatorial frame of `body` at simulated time zero to ICRF: the frame of [`Elements`](super::Elements).
    #[must_use]
    pub fn equator_to_icrf(&self, body: Body) -> Mat3 {
        let axis = match body {
            Body::Earth => return earth_rotation::mean_of_date(self.origin_days).transpose(),
            Body::Sun => iau_rotation::sun(self.origin_days),
            Body::Moon => iau_rotation::moon(self.origin_days),
            Body::Mars => iau_rotation::mars(self.origin_days),
        };
        iau_rotation::equator_to_icrf(axis.x, axis.y)
    }

    fn attitude(&self, body: Body, at: SimTime) -> (Mat3, f64) {
        let at_s = at.as_secs_f64();
        let (axis, axis_rate, spin_deg_day) = match body {
            Body::Earth => {
                let angle = self.earth_angle_rad + earth_rotation::SPIN_RAD_S * at_s;
                let (pole, _) = self.earth_pole.at(at_s);
                return (earth_rotation::terrestrial_to_celestial(&pole, angle), earth_rotation::SPIN_RAD_S);
            }
            Body::Sun => (iau_rotation::sun(0.0), Vec3::zeros(), iau_rotation::SUN_SPIN_DEG_DAY),
            Body::Moon => {
                let (axis, rate) = self.moon_axis.at(at_s);
                (axis, rate, iau_rotation::MOON_SPIN_DEG_DAY)
            }
            Body::Mars => {
                let (axis, rate) = self.mars_axis.at(at_s);
                (axis, rate, iau_rotation::MARS_SPIN_DEG_DAY)
            }
        };
        let meridian_deg = axis.z + spin_deg_day * (self.origin_days + at_s / DAY_S);
        let rotation = iau_rotation::equator_to_icrf(axis.x, axis.y) * turn_z(-meridian_deg.to_radians());
        // The node the meridian is counted from moves with the pole's right ascension.
        let node_rate = axis_rate.x * libm::sin(axis.y.to_radians());
        (rotation, (spin_deg_day / DAY_S + axis_rate.z + node_rate).to_radians())
    }
}
