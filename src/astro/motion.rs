//! What a scenario says about an asset's motion, checked: [`Motion`].

use crate::units::SimTime;

/// A celestial body with an embedded model of its place and rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Body {
    /// The Sun.
    Sun,
    /// The Earth.
    Earth,
    /// The Earth's Moon.
    Moon,
    /// Mars.
    Mars,
}

/// A place relative to a body's reference ellipsoid (WGS-84 on Earth; IAU WGCCRE 2015 elsewhere).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Geodetic {
    /// Geodetic (planetographic) latitude, -90 to 90.
    pub latitude_deg: f64,
    /// East longitude, -180 to 360.
    pub longitude_deg: f64,
    /// Height above the ellipsoid.
    pub height_m: f64,
}

/// A place at a time on a ground track.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Waypoint {
    /// When the asset is there, from the scenario's epoch.
    pub time: SimTime,
    /// Where it is.
    pub place: Geodetic,
}

/// A path over a body's surface. Between waypoints: the great circle at constant speed, height linear. Before the first
/// and after the last the asset stands still.
#[derive(Clone, Debug, PartialEq)]
pub struct GroundTrack {
    /// The body whose surface it is.
    pub body: Body,
    /// At least one, strictly increasing in time. One waypoint is a fixed site.
    pub waypoints: Vec<Waypoint>,
}

/// Whether orbital elements are mean (secular, short-period terms removed) or osculating.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementKind {
    /// Mean elements in the sense of first-order Brouwer theory in J2.
    Mean,
    /// The instantaneous Kepler orbit.
    Osculating,
}

/// How an orbit given by elements is carried through time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrbitModel {
    /// Kepler motion.
    TwoBody,
    /// Secular drift of node, perigee and anomaly by J2 on mean elements.
    SecularJ2,
    /// Numeric integration: J2 of the central body, and Sun, Earth and Moon (where they are not the centre) as point masses.
    Numeric,
}

/// Keplerian elements at the scenario's epoch, in the body's equatorial frame of that date: z along the body's pole (IAU),
/// x along the ascending node of the body's equator on the ICRF equator (on Earth: the mean equinox of date).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Elements {
    /// Mean or osculating.
    pub kind: ElementKind,
    /// Semi-major axis.
    pub semi_major_axis_m: f64,
    /// Eccentricity, 0 to below 1.
    pub eccentricity: f64,
    /// Inclination to the body's equator.
    pub inclination_deg: f64,
    /// Right ascension of the ascending node.
    pub raan_deg: f64,
    /// Argument of periapsis.
    pub argument_of_periapsis_deg: f64,
    /// Mean anomaly at the scenario's epoch.
    pub mean_anomaly_deg: f64,
}

/// One row of an OEM ephemeris (CCSDS 502.0-B-3).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StateRow {
    /// When, from the scenario's epoch.
    pub time: SimTime,
    /// Position relative to the centre, ICRF axes.
    pub position_m: [f64; 3],
    /// Velocity relative to the centre, ICRF axes.
    pub velocity_mps: [f64; 3],
}

/// How an asset moves.
#[derive(Clone, Debug, PartialEq)]
pub enum Motion {
    /// On or over a surface.
    Ground(GroundTrack),
    /// An orbit from elements.
    Orbit {
        /// The central body.
        body: Body,
        /// The elements at the scenario's epoch.
        elements: Elements,
        /// The propagator.
        model: OrbitModel,
    },
    /// An Earth orbit by SGP4, from a TLE or an OMM record.
    Sgp4(Box<sgp4::Elements>),
    /// A tabulated ephemeris, interpolated (cubic Hermite) between its rows, refused outside of them.
    Table {
        /// The central body.
        center: Body,
        /// At least two rows, strictly increasing in time.
        rows: Vec<StateRow>,
    },
    /// No place: the asset takes part only through an imported contact plan.
    Nowhere,
}
