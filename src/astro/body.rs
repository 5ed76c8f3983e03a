//! Constants of the bodies.

use super::Body;

/// Speed of light in vacuum, metres per second (exact).
pub const SPEED_OF_LIGHT_MPS: f64 = 299_792_458.0;

impl Body {
    /// Every body.
    pub const ALL: [Self; 4] = [Self::Sun, Self::Earth, Self::Moon, Self::Mars];

    /// Gravitational parameter, m³/s². Sun, Earth, Moon and Mars (the planet without its moons; 0.02 ppm of the system):
    /// DE430 (Folkner et al., IPN Progress Report 42-196, 2014, table 8), converted from TDB-compatible km³/s².
    #[must_use]
    pub const fn gm_m3_s2(self) -> f64 {
        match self {
            Self::Sun => 1.327_124_400_419_394e20,
            Self::Earth => 3.986_004_354_360_96e14,
            Self::Moon => 4.902_800_066_163_796e12,
            Self::Mars => 4.282_837_521_4e13,
        }
    }

    /// Equatorial radius of the reference ellipsoid, metres. Earth: WGS-84. Others: IAU WGCCRE 2015 (Archinal et al. 2018,
    /// tables 4 and 5).
    #[must_use]
    pub const fn equatorial_radius_m(self) -> f64 {
        match self {
            Self::Sun => 695_700_000.0,
            Self::Earth => 6_378_137.0,
            Self::Moon => 1_737_400.0,
            Self::Mars => 3_396_190.0,
        }
    }

    /// Polar radius of the reference ellipsoid, metres; sources as for the equatorial radius.
    #[must_use]
    pub const fn polar_radius_m(self) -> f64 {
        match self {
            Self::Sun => 695_700_000.0,
            Self::Earth => 6_356_752.314_245_179,
            Self::Moon => 1_737_400.0,
            Self::Mars => 3_376_200.0,
        }
    }

    /// Radius of the sphere that blocks a line of sight or the Sun, metres: the mean radius (IAU WGCCRE 2015). Atmospheres
    /// are left out, and the true limb differs by up to 14 km (Earth) from it.
    #[must_use]
    pub const fn occultation_radius_m(self) -> f64 {
        match self {
            Self::Sun => 695_700_000.0,
            Self::Earth => 6_371_008.4,
            Self::Moon => 1_737_400.0,
            Self::Mars => 3_389_500.0,
        }
    }

    /// Unnormalised J2, and the reference radius in metres that belongs to it. Earth: EGM2008 (C20 = -4.841 651 437 908 15e-4
    /// normalised, tide-free). Moon and Mars: rounded values of the GRAIL and MRO gravity fields (five digits; not checked
    /// against a file of coefficients). The Sun's is taken as 0.
    #[must_use]
    pub const fn j2(self) -> (f64, f64) {
        match self {
            Self::Sun => (0.0, 695_700_000.0),
            Self::Earth => (1.082_626_173_852_223e-3, 6_378_136.3),
            Self::Moon => (2.032_1e-4, 1_738_000.0),
            Self::Mars => (1.956_6e-3, 3_396_000.0),
        }
    }
}
