//! [`Trajectory`]: a motion compiled for quick sampling.

use super::ground::GroundPath;
use super::kepler::Kepler;
use super::numeric::{Forces, NumericOrbit, Stop};
use super::table::Table;
use super::{Body, ElementKind, Elements, Ephemeris, Mat3, Motion, OrbitModel, State, Vec3, short_period};
use crate::units::SimTime;

/// The motion of an asset over an ephemeris' span. Sampling costs from 0.1 µs (Kepler) to about 2 µs (SGP4, secular J2).
#[derive(Clone, Debug)]
pub struct Trajectory {
    center: Body,
    path: Path,
}

#[derive(Clone, Debug)]
enum Path {
    Ground(GroundPath),
    Orbit(Box<SecularOrbit>),
    Numeric(NumericOrbit),
    Sgp4(Box<Sgp4Orbit>),
    Table(Table),
}

/// Kepler elements with secular rates in an equatorial frame.
#[derive(Clone, Debug)]
struct SecularOrbit {
    to_icrf: Mat3,
    at_epoch: Kepler,
    node_rate: f64,
    periapsis_rate: f64,
    anomaly_rate: f64,
    /// J2 and its radius where short-period terms are added; zero in Kepler motion.
    j2: (f64, f64),
}

#[derive(Clone, Debug)]
struct Sgp4Orbit {
    constants: sgp4::Constants,
    /// Simulated time of the elements' epoch.
    elements_epoch: SimTime,
    reach_s: (f64, f64),
}

/// Where on a surface an asset is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Surface {
    /// The body.
    pub body: Body,
    /// Outward normal of the reference ellipsoid, unit length, ICRF axes.
    pub up: Vec3,
    /// Height above the ellipsoid, metres.
    pub height_m: f64,
}

/// Why a motion is not a trajectory over a span.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MotionError {
    /// The asset has no place.
    #[error("the asset has no place")]
    Nowhere,
    /// An orbital element that is not a number or out of its range.
    #[error("{element} is {found}; allowed: {min} to {max}")]
    Element {
        /// Its name.
        element: &'static str,
        /// Its value.
        found: f64,
        /// The least allowed.
        min: f64,
        /// The greatest allowed.
        max: f64,
    },
    /// The periapsis lies inside the body.
    #[error("the periapsis is {periapsis_m} m from the centre, inside the body's {radius_m} m")]
    PeriapsisInside {
        /// Its distance from the centre.
        periapsis_m: f64,
        /// The body's polar radius.
        radius_m: f64,
    },
    /// The integrated orbit meets the surface within the span.
    #[error("the orbit meets the surface at {at}")]
    Impact {
        /// When.
        at: SimTime,
    },
    /// The integration needs more steps than allowed.
    #[error("the orbit needs more than {limit} steps, at {at}")]
    TooManySteps {
        /// How far it came.
        at: SimTime,
        /// The limit.
        limit: usize,
    },
    /// The element set's epoch is not a date of this simulator.
    #[error(transparent)]
    Sgp4Epoch(#[from] super::EpochError),
    /// SGP4 refuses the elements.
    #[error("SGP4 refuses the elements: {reason}")]
    Sgp4Elements {
        /// The model's own words.
        reason: String,
    },
    /// SGP4 fails within the span: the orbit has decayed or its elements are used too far from their epoch.
    #[error("SGP4 fails at {at}: {reason}")]
    Sgp4Fails {
        /// The first sample that failed.
        at: SimTime,
        /// The model's own words.
        reason: String,
    },
    /// A ground track without waypoints or a table of fewer than two rows.
    #[error("{found} rows, at least {min}")]
    TooFewRows {
        /// How many there are.
        found: usize,
        /// How many are needed.
        min: usize,
    },
    /// Times that do not increase.
    #[error("row {row} is at {at}, not after the row before it")]
    NotIncreasing {
        /// Subscript of the row, from 0.
        row: usize,
        /// Its time.
        at: SimTime,
    },
    /// Two waypoints on opposite sides of the body: no single great circle joins them.
    #[error("waypoints {row} and the next are antipodal")]
    Antipodal {
        /// Subscript of the first.
        row: usize,
    },
    /// A value that is not a finite number.
    #[error("row {row} holds a value that is not finite")]
    NotFinite {
        /// Subscript of the row.
        row: usize,
    },
    /// The table does not span the simulation.
    #[error("the table runs from {first} to {last}, the simulation from {start} to {end}")]
    TableTooShort {
        /// Its first row.
        first: SimTime,
        /// Its last row.
        last: SimTime,
        /// The simulation's start.
        start: SimTime,
        /// The simulation's end.
        end: SimTime,
    },
}

impl Trajectory {
    /// Compiles `motion` over the ephemeris' span.
    ///
    /// # Errors
    /// [`MotionError`]: the motion is not possible or does not cover the span.
    pub fn new(motion: &Motion, ephemeris: &Ephemeris) -> Result<Self, MotionError> {
        let (center, path) = match motion {
            Motion::Nowhere => return Err(MotionError::Nowhere),
            Motion::Ground(track) => (track.body, Path::Ground(GroundPath::new(track)?)),
            Motion::Orbit { body, elements, model } => (*body, orbit(*body, elements, *model, ephemeris)?),
            Motion::Sgp4(elements) => {
                (Body::Earth, Path::Sgp4(Box::new(Sgp4Orbit::new(elements, ephemeris)?)))
            }
            Motion::Table { center, rows } => {
                (*center, Path::Table(Table::new(rows, *center, ephemeris.span())?))
            }
        };
        Ok(Self { center, path })
    }

    /// The body that [`state`](Self::state) is relative to.
    #[must_use]
    pub const fn center(&self) -> Body {
        self.center
    }

    /// State relative to the centre, ICRF axes. Holds over the ephemeris' span and an hour on both sides (a table is
    /// continued beyond its rows as a Kepler orbit there).
    #[must_use]
    pub fn state(&self, ephemeris: &Ephemeris, at: SimTime) -> State {
        match &self.path {
            Path::Ground(ground) => ground.state(ephemeris, at),
            Path::Orbit(orbit) => orbit.state(self.center.gm_m3_s2(), at),
            Path::Numeric(orbit) => orbit.state(at.as_secs_f64()),
            Path::Sgp4(orbit) => orbit.state(ephemeris, at),
            Path::Table(table) => table.state(at),
        }
    }

    /// State relative to the solar-system barycentre, ICRF axes.
    #[must_use]
    pub fn barycentric(&self, ephemeris: &Ephemeris, at: SimTime) -> State {
        ephemeris.body_state(self.center, at) + self.state(ephemeris, at)
    }

    /// The surface an asset with a ground track is on; `None` in space.
    #[must_use]
    pub fn surface(&self, ephemeris: &Ephemeris, at: SimTime) -> Option<Surface> {
        match &self.path {
            Path::Ground(ground) => Some(ground.surface(ephemeris, at)),
            Path::Orbit(_) | Path::Numeric(_) | Path::Sgp4(_) | Path::Table(_) => None,
        }
    }
}

fn orbit(
    body: Body,
    elements: &Elements,
    model: OrbitModel,
    ephemeris: &Ephemeris,
) -> Result<Path, MotionError> {
    let at_epoch = checked(body, elements)?;
    let (gm, j2) = (body.gm_m3_s2(), body.j2());
    let to_icrf = ephemeris.equator_to_icrf(body);
    let osculating = || match elements.kind {
        ElementKind::Osculating => at_epoch.state(gm),
        ElementKind::Mean => short_period::osculating(&at_epoch.state(gm), gm, j2),
    };
    let secular = match model {
        OrbitModel::TwoBody => {
            let at_epoch = match elements.kind {
                ElementKind::Osculating => at_epoch,
                ElementKind::Mean => Kepler::from_state(&osculating(), gm),
            };
            SecularOrbit {
                to_icrf,
                anomaly_rate: at_epoch.mean_motion(gm),
                at_epoch,
                node_rate: 0.0,
                periapsis_rate: 0.0,
                j2: (0.0, j2.1),
            }
        }
        OrbitModel::SecularJ2 => {
            let mean = match elements.kind {
                ElementKind::Mean => at_epoch,
                ElementKind::Osculating => {
                    Kepler::from_state(&short_period::mean(&at_epoch.state(gm), gm, j2), gm)
                }
            };
            SecularOrbit::drifting(mean, gm, j2, to_icrf)
        }
        OrbitModel::Numeric => {
            let start = turned(&to_icrf, &osculating());
            let others =
                [Body::Sun, Body::Earth, Body::Moon].into_iter().filter(|other| *other != body).collect();
            let forces = Forces { ephemeris, center: body, pole: to_icrf.column(2).into(), j2, others };
            let orbit =
                NumericOrbit::new(&forces, start, ephemeris.reach_s()).map_err(|stop| match stop {
                    Stop::Impact { at_s } => MotionError::Impact { at: SimTime::from_secs_f64(at_s) },
                    Stop::Steps { at_s, limit } => {
                        MotionError::TooManySteps { at: SimTime::from_secs_f64(at_s), limit }
                    }
                })?;
            return Ok(Path::Numeric(orbit));
        }
    };
    Ok(Path::Orbit(Box::new(secular)))
}

fn checked(body: Body, elements: &Elements) -> Result<Kepler, MotionError> {
    let range = |element, found: f64, min, max| {
        if found >= min && found <= max {
            Ok(found)
        } else {
            Err(MotionError::Element { element, found, min, max })
        }
    };
    let e = range("eccentricity", elements.eccentricity, 0.0, 1.0 - 1e-6)?;
    let a = range("semi-major axis in metres", elements.semi_major_axis_m, 1.0, 1e12)?;
    let inclination = range("inclination in degrees", elements.inclination_deg, 0.0, 180.0)?;
    let angle = |element, found| range(element, found, -360.0, 720.0);
    let radius_m = body.polar_radius_m();
    let periapsis_m = a * (1.0 - e);
    if periapsis_m < radius_m {
        return Err(MotionError::PeriapsisInside { periapsis_m, radius_m });
    }
    Ok(Kepler {
        semi_major_axis_m: a,
        eccentricity: e,
        inclination: inclination.to_radians(),
        node: angle("right ascension of the node in degrees", elements.raan_deg)?.to_radians(),
        periapsis: angle("argument of periapsis in degrees", elements.argument_of_periapsis_deg)?
            .to_radians(),
        mean_anomaly: angle("mean anomaly in degrees", elements.mean_anomaly_deg)?.to_radians(),
    })
}

fn turned(rotation: &Mat3, state: &State) -> State {
    State { position_m: rotation * state.position_m, velocity_mps: rotation * state.velocity_mps }
}

impl SecularOrbit {
    /// First-order secular rates on mean elements (Brouwer 1959; Vallado, Fundamentals of Astrodynamics, 4th ed., §9.6).
    fn drifting(mean: Kepler, gm: f64, j2: (f64, f64), to_icrf: Mat3) -> Self {
        let n = mean.mean_motion(gm);
        let eta2 = 1.0 - mean.eccentricity * mean.eccentricity;
        let ratio = j2.1 / (mean.semi_major_axis_m * eta2);
        let factor = 0.75 * n * j2.0 * ratio * ratio;
        let cos = libm::cos(mean.inclination);
        Self {
            to_icrf,
            at_epoch: mean,
            node_rate: -2.0 * factor * cos,
            periapsis_rate: factor * (5.0 * cos * cos - 1.0),
            anomaly_rate: n + factor * eta2.sqrt() * (3.0 * cos * cos - 1.0),
            j2,
        }
    }

    fn state(&self, gm: f64, at: SimTime) -> State {
        let at_s = at.as_secs_f64();
        let now = Kepler {
            node: self.at_epoch.node + self.node_rate * at_s,
            periapsis: self.at_epoch.periapsis + self.periapsis_rate * at_s,
            mean_anomaly: self.at_epoch.mean_anomaly + self.anomaly_rate * at_s,
            ..self.at_epoch
        };
        turned(&self.to_icrf, &short_period::osculating(&now.state(gm), gm, self.j2))
    }
}

impl Sgp4Orbit {
    fn new(elements: &sgp4::Elements, ephemeris: &Ephemeris) -> Result<Self, MotionError> {
        /// SGP4 fails where drag has changed the mean orbit too far, which takes far longer than this.
        const CHECK_S: f64 = 300.0;
        let constants = sgp4::Constants::from_elements_afspc_compatibility_mode(elements)
            .map_err(|error| MotionError::Sgp4Elements { reason: error.to_string() })?;
        let elements_epoch = ephemeris.epoch().sim_time_of(super::sgp4_input::elements_epoch(elements)?);
        let reach_s = ephemeris.reach_s();
        let orbit = Self { constants, elements_epoch, reach_s };
        let checks = ((reach_s.1 - reach_s.0) / CHECK_S).ceil() as usize;
        for check in 0..=checks {
            let at = SimTime::from_secs_f64((reach_s.0 + check as f64 * CHECK_S).min(reach_s.1));
            orbit.predict(at).map_err(|error| MotionError::Sgp4Fails { at, reason: error.to_string() })?;
        }
        Ok(orbit)
    }

    fn predict(&self, at: SimTime) -> Result<sgp4::Prediction, sgp4::Error> {
        let minutes = (at - self.elements_epoch).as_secs_f64() / 60.0;
        self.constants.propagate_afspc_compatibility_mode(sgp4::MinutesSinceEpoch(minutes))
    }

    fn state(&self, ephemeris: &Ephemeris, at: SimTime) -> State {
        let within = SimTime::from_secs_f64(at.as_secs_f64().clamp(self.reach_s.0, self.reach_s.1));
        let at = if within == at { at } else { within };
        let teme = self.predict(at).expect("the span was checked at construction");
        let scaled = |km: [f64; 3]| Vec3::from(km) * 1e3;
        turned(
            &ephemeris.teme_to_icrf(at),
            &State { position_m: scaled(teme.position), velocity_mps: scaled(teme.velocity) },
        )
    }
}
