//! Where things are: bodies, frames, trajectories of assets. SI units, ICRF axes.
//!
//! Order of use: an [`Epoch`] ties simulated time to civil time, an [`Ephemeris`] tabulates the bodies over a span, a
//! [`Trajectory`] compiles an asset's [`Motion`] over it; [`light_time`] and [`sunlight`] ask questions of both. Queries hold
//! from one hour before the span to one hour after it (room for light under way).

mod body;
mod chebyshev;
mod earth_rotation;
mod ephemeris;
mod epoch;
mod geodesy;
mod ground;
mod iau_rotation;
mod kepler;
mod light_time;
mod motion;
mod numeric;
mod nutation_terms;
mod oem;
mod planets;
mod sgp4_input;
mod short_period;
mod state;
mod sunlight;
mod table;
mod trajectory;

pub use body::SPEED_OF_LIGHT_MPS;
pub use ephemeris::{Ephemeris, EphemerisError};
pub use epoch::{Epoch, EpochError, JulianDate};
pub use geodesy::{body_fixed, elevation_rad, ellipsoid_normal, geodetic};
pub use light_time::{LightTime, light_time};
pub use motion::{
    Body, ElementKind, Elements, Geodetic, GroundTrack, Motion, OrbitModel, StateRow, Waypoint,
};
pub use oem::{OemError, parse_oem};
pub use sgp4_input::{Sgp4InputError, parse_omm_json, parse_tle};
pub use state::{Mat3, State, Vec3};
pub use sunlight::sunlight;
pub use trajectory::{MotionError, Surface, Trajectory};
