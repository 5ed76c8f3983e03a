//! Where things are: bodies, frames, trajectories of assets.
//!
//! Signatures (the folder's contract; SI units, ICRF axes):
//!
//! ```text
//! Epoch::parse(&str) -> Result<Epoch, EpochError>        Display: RFC 3339 UTC
//! Epoch::utc(SimTime) -> String                          Epoch::sim_time_of(Epoch) -> SimTime (other - self)
//! Epoch::{tt,tdb,ut1}(SimTime) -> JulianDate{day,fraction}; Epoch::dtn_time_ms(SimTime) -> u64
//! Ephemeris::new(Epoch, (SimTime, SimTime)) -> Result<Ephemeris, EphemerisError>
//!   .epoch() .span()
//!   .body_state(Body, SimTime) -> State                  relative to the solar-system barycentre
//!   .relative_state(of: Body, to: Body, SimTime) -> State
//!   .rotation(Body, SimTime) -> Mat3                     body-fixed -> ICRF
//!   .spin_rad_s(Body, SimTime) -> Vec3                   angular velocity, ICRF
//!   .teme_to_icrf(SimTime) -> Mat3
//! Trajectory::new(&Motion, &Ephemeris) -> Result<Trajectory, MotionError>
//!   .state(&Ephemeris, SimTime) -> State                 relative to center()
//!   .center() -> Body
//!   .surface(&Ephemeris, SimTime) -> Option<Surface { body, up: Vec3 (ICRF geodetic normal), height_m }>
//!   .barycentric(&Ephemeris, SimTime) -> State
//! light_time(tx, rx: &Trajectory, &Ephemeris, t_tx) -> LightTime { owlt: SimTime, range_m: f64 }
//! sunlight(&Trajectory, &Ephemeris, SimTime) -> f64      0 dark .. 1 full disk
//! body_fixed(Body, &Geodetic) -> Vec3, geodetic(Body, Vec3) -> Geodetic
//! elevation_rad(up: &Vec3, from: &Vec3, to: &Vec3) -> f64
//! parse_tle(name: Option<&str>, l1, l2) -> Result<sgp4::Elements, Sgp4InputError>; parse_omm_json(&str) -> Result<sgp4::Elements, _>
//! parse_oem(&str, Epoch) -> Result<Motion, OemError>
//! ```
//! All queries hold from one hour before the ephemeris' span to one hour after it (room for light time).

mod body;
mod motion;
mod state;

pub use body::SPEED_OF_LIGHT_MPS;
pub use motion::{
    Body, ElementKind, Elements, Geodetic, GroundTrack, Motion, OrbitModel, StateRow, Waypoint,
};
pub use state::{Mat3, State, Vec3};
