//! [`State`]: a position and a velocity.

/// A column of three metres, metres per second, or direction cosines.
pub type Vec3 = nalgebra::Vector3<f64>;

/// A rotation as a matrix: it takes a column in one frame to a column in another.
pub type Mat3 = nalgebra::Matrix3<f64>;

/// Position and velocity on ICRF axes relative to a centre that the function returning it names, at the moment it was
/// asked for.
///
/// [`Ephemeris::body_state`](super::Ephemeris::body_state): relative to the solar-system barycentre.
/// [`Trajectory::state`](super::Trajectory::state): relative to the trajectory's central body.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct State {
    /// Position, metres.
    pub position_m: Vec3,
    /// Velocity, metres per second.
    pub velocity_mps: Vec3,
}

impl State {
    /// At rest at the origin.
    pub const ORIGIN: Self =
        Self { position_m: Vec3::new(0.0, 0.0, 0.0), velocity_mps: Vec3::new(0.0, 0.0, 0.0) };
}

impl std::ops::Add for State {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            position_m: self.position_m + other.position_m,
            velocity_mps: self.velocity_mps + other.velocity_mps,
        }
    }
}

impl std::ops::Sub for State {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self {
            position_m: self.position_m - other.position_m,
            velocity_mps: self.velocity_mps - other.velocity_mps,
        }
    }
}

/// The frame rotation about x by `angle_rad`: coordinates in the turned frame of a fixed column.
#[must_use]
pub(super) fn turn_x(angle_rad: f64) -> Mat3 {
    let (s, c) = libm::sincos(angle_rad);
    Mat3::new(1.0, 0.0, 0.0, 0.0, c, s, 0.0, -s, c)
}

/// The frame rotation about z by `angle_rad`.
#[must_use]
pub(super) fn turn_z(angle_rad: f64) -> Mat3 {
    let (s, c) = libm::sincos(angle_rad);
    Mat3::new(c, s, 0.0, -s, c, 0.0, 0.0, 0.0, 1.0)
}
