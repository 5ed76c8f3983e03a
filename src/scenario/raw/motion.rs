//! How assets move.

use super::Optional;
use crate::scenario::{
    decode::{Spanned, choice, record},
    quantity::{Duration, Length},
};

choice! {
    /// Kinds of motion.
    RawMotion "Motion" {
        Site(RawSite), Track(RawTrack), Orbit(RawOrbit), Tle(RawTle), Omm(RawOmm), Oem(RawOem), Nowhere,
    }
}

choice! {
    /// Bodies.
    RawBody "Body" { Sun, Earth, Moon, Mars }
}

record! {
    /// A fixed place.
    RawSite "Site" {
        body: Spanned<RawBody>, "", "A body with a surface: Earth, Moon or Mars.";
        latitude_deg: Spanned<f64>, "", "Planetographic (on Earth: WGS-84 geodetic) latitude in degrees, -90 to 90.";
        longitude_deg: Spanned<f64>, "", "East longitude in degrees, -180 to 360.";
        height: Optional<Length>, "0 m", "Height above the body's ellipsoid.";
    }
}

record! {
    /// A path over a surface.
    RawTrack "Track" {
        body: Spanned<RawBody>, "", "A body with a surface: Earth, Moon or Mars.";
        waypoints: Spanned<Vec<Spanned<RawWaypoint>>>, "", "At least one, times strictly increasing; great circles at constant speed between them, standing before the first and after the last.";
    }
}

record! {
    /// A place at a time.
    RawWaypoint "Waypoint" {
        at: Spanned<Duration>, "", "When, from the epoch, 0 or more.";
        latitude_deg: Spanned<f64>, "", "Latitude in degrees, -90 to 90.";
        longitude_deg: Spanned<f64>, "", "East longitude in degrees, -180 to 360.";
        height: Optional<Length>, "0 m", "Height above the body's ellipsoid.";
    }
}

record! {
    /// An orbit from elements.
    RawOrbit "Orbit" {
        body: Spanned<RawBody>, "", "The central body: Earth, Moon or Mars.";
        model: Optional<RawModel>, "SecularJ2", "How the orbit is carried through time. Elements of the other kind are converted (first order in J2).";
        elements: Spanned<RawElementSet>, "", "The elements at the epoch, which must say whether they are mean or osculating.";
    }
}

choice! {
    /// Propagators.
    RawModel "Model" { TwoBody, SecularJ2, Numeric }
}

choice! {
    /// Elements by their kind.
    RawElementSet "Elements" { Mean(RawElements), Osculating(RawElements) }
}

record! {
    /// Keplerian elements.
    RawElements "KeplerianElements" {
        semi_major_axis: Spanned<Length>, "", "Semi-major axis; the periapsis must be above the surface.";
        eccentricity: Spanned<f64>, "", "Eccentricity, 0 to below 1.";
        inclination_deg: Spanned<f64>, "", "Inclination to the body's equator in degrees, 0 to 180.";
        raan_deg: Spanned<f64>, "", "Right ascension of the ascending node in degrees, -360 to 360, from the ascending node of the body's equator on the ICRF equator (Earth: mean equinox of date).";
        argument_of_periapsis_deg: Spanned<f64>, "", "Argument of periapsis in degrees, -360 to 360.";
        mean_anomaly_deg: Spanned<f64>, "", "Mean anomaly at the epoch in degrees, -360 to 360.";
    }
}

record! {
    /// A two-line element set.
    RawTle "Tle" {
        line1: Spanned<String>, "", "First line, 69 characters, with its checksum; Alpha-5 numbers are read.";
        line2: Spanned<String>, "", "Second line.";
    }
}

record! {
    /// An OMM record.
    RawOmm "Omm" {
        file: Spanned<String>, "", "A CCSDS OMM in JSON (one record or a list), relative to this file and inside the scenario's folder.";
        object: Optional<String>, "the only record", "OBJECT_NAME of the record, where the file has several.";
    }
}

record! {
    /// An ephemeris file.
    RawOem "Oem" {
        file: Spanned<String>, "", "A CCSDS OEM (KVN), relative to this file and inside the scenario's folder. It must cover the run.";
    }
}
