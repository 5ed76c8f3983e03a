//! Motion: places, tracks, orbits, element sets, ephemerides.

use super::Checker;
use crate::{
    astro::{
        Body, ElementKind, Elements, Epoch, Geodetic, GroundTrack, Motion, OrbitModel, Waypoint, parse_oem,
        parse_omm_json, parse_tle,
    },
    scenario::{
        checked::{Asset, AssetKind, has_surface},
        decode::Spanned,
        diagnostic::Mistake,
        quantity::Length,
        raw::{
            RawAsset, RawBody, RawElementSet, RawElements, RawModel, RawMotion, RawOem, RawOmm, RawOrbit,
            RawSite, RawTle, RawTrack, RawWaypoint,
        },
    },
    units::SimTime,
};

/// Deepest and highest a surface asset may be, from the ellipsoid.
const HEIGHTS_M: (f64, f64) = (-20_000.0, 100_000.0);

impl Checker<'_> {
    /// The motion, or `None` when it was refused.
    pub(super) fn motion(
        &mut self,
        asset: &RawAsset,
        kind: AssetKind,
        epoch: Option<Epoch>,
    ) -> Option<Motion> {
        let written = &asset.motion;
        let on_ground = matches!(written.value, RawMotion::Site(_) | RawMotion::Track(_));
        let nowhere = matches!(written.value, RawMotion::Nowhere);
        if !nowhere && on_ground == (kind == AssetKind::Satellite) {
            let allowed = if on_ground { "Orbit, Tle, Omm or Oem" } else { "Site or Track" };
            let found = format!("a {} with this motion", kind.name());
            self.report(&written.place, Mistake::Inconsistent, found, allowed);
        }
        match &written.value {
            RawMotion::Site(site) => Some(self.site(site)),
            RawMotion::Track(track) => Some(self.track(track)),
            RawMotion::Orbit(orbit) => Some(self.orbit(orbit)),
            RawMotion::Tle(tle) => self.tle(tle),
            RawMotion::Omm(omm) => self.omm(omm),
            RawMotion::Oem(oem) => self.oem(oem, epoch?),
            RawMotion::Nowhere => Some(Motion::Nowhere),
        }
    }

    /// With computed contacts, every asset is somewhere.
    pub(super) fn all_have_places(&mut self, assets: &[Asset]) {
        for asset in assets {
            if asset.motion == Motion::Nowhere && self.files.drafts.is_empty() {
                let place = self.files.root_place();
                let found = format!("\"{}\" with the motion Nowhere", asset.name);
                self.report(&place, Mistake::Inconsistent, found, "Nowhere only with Imported contacts");
            }
        }
    }

    fn surface(&mut self, body: &Spanned<RawBody>) -> Body {
        let checked = body_of(&body.value);
        if !has_surface(checked) {
            let found = format!("{}, which has no surface", self.written(&body.place));
            self.report(&body.place, Mistake::Inconsistent, found, "Earth, Moon or Mars");
        }
        checked
    }

    fn place(
        &mut self,
        latitude: &Spanned<f64>,
        longitude: &Spanned<f64>,
        height: Option<&Spanned<Length>>,
    ) -> Geodetic {
        if let Some(height) = height {
            let holds = (HEIGHTS_M.0..=HEIGHTS_M.1).contains(&height.value.0);
            self.expect(holds, &height.place, "a height from -20 km to 100 km");
        }
        Geodetic {
            latitude_deg: self.within(latitude, -90.0, 90.0),
            longitude_deg: self.within(longitude, -180.0, 360.0),
            height_m: height.map_or(0.0, |height| height.value.0),
        }
    }

    fn site(&mut self, raw: &RawSite) -> Motion {
        let body = self.surface(&raw.body);
        let place = self.place(&raw.latitude_deg, &raw.longitude_deg, raw.height.as_ref());
        Motion::Ground(GroundTrack { body, waypoints: vec![Waypoint { time: SimTime::ZERO, place }] })
    }

    fn track(&mut self, raw: &RawTrack) -> Motion {
        let body = self.surface(&raw.body);
        if raw.waypoints.value.is_empty() {
            self.report(&raw.waypoints.place, Mistake::OutOfRange, "an empty list", "at least one waypoint");
        }
        for pair in raw.waypoints.value.windows(2) {
            let [earlier, later] = [&pair[0].value.at, &pair[1].value.at];
            if later.value.0 <= earlier.value.0 {
                let found = self.written(&later.place);
                let allowed =
                    format!("a time later than the waypoint before, {}", self.written(&earlier.place));
                let related = vec![(earlier.place.span, "the waypoint before".to_owned())];
                self.draft(&later.place, Mistake::Inconsistent, found, allowed, None, related);
            }
        }
        let waypoints = raw.waypoints.value.iter().map(|waypoint| self.waypoint(&waypoint.value)).collect();
        Motion::Ground(GroundTrack { body, waypoints })
    }

    fn waypoint(&mut self, raw: &RawWaypoint) -> Waypoint {
        let time = self.not_negative_or(Some(&raw.at), SimTime::ZERO);
        Waypoint { time, place: self.place(&raw.latitude_deg, &raw.longitude_deg, raw.height.as_ref()) }
    }

    fn orbit(&mut self, raw: &RawOrbit) -> Motion {
        let body = self.surface(&raw.body);
        let (kind, written) = match &raw.elements.value {
            RawElementSet::Mean(elements) => (ElementKind::Mean, elements),
            RawElementSet::Osculating(elements) => (ElementKind::Osculating, elements),
        };
        let model = match raw.model.as_ref().map(|model| &model.value) {
            Some(RawModel::TwoBody) => OrbitModel::TwoBody,
            Some(RawModel::Numeric) => OrbitModel::Numeric,
            Some(RawModel::SecularJ2) | None => OrbitModel::SecularJ2,
        };
        if model == OrbitModel::SecularJ2 && kind == ElementKind::Osculating {
            let found = "Osculating elements with the model SecularJ2";
            let allowed = "Mean elements with SecularJ2; Osculating ones with Numeric or TwoBody";
            self.report(&raw.elements.place, Mistake::Inconsistent, found, allowed);
        }
        Motion::Orbit { body, elements: self.elements(written, kind, body), model }
    }

    fn elements(&mut self, raw: &RawElements, kind: ElementKind, body: Body) -> Elements {
        let semi_major_axis_m = self.positive(&raw.semi_major_axis, |axis| axis.0);
        let eccentricity = raw.eccentricity.value;
        let elliptic = (0.0..1.0).contains(&eccentricity);
        self.expect(elliptic, &raw.eccentricity.place, "an eccentricity, 0 to below 1");
        if elliptic && semi_major_axis_m > 0.0 {
            self.periapsis(raw, semi_major_axis_m * (1.0 - eccentricity), body.equatorial_radius_m());
        }
        Elements {
            kind,
            semi_major_axis_m,
            eccentricity,
            inclination_deg: self.within(&raw.inclination_deg, 0.0, 180.0),
            raan_deg: self.within(&raw.raan_deg, -360.0, 360.0),
            argument_of_periapsis_deg: self.within(&raw.argument_of_periapsis_deg, -360.0, 360.0),
            mean_anomaly_deg: self.within(&raw.mean_anomaly_deg, -360.0, 360.0),
        }
    }

    fn periapsis(&mut self, raw: &RawElements, periapsis_m: f64, radius_m: f64) {
        if periapsis_m > radius_m {
            return;
        }
        let axis = &raw.semi_major_axis.place;
        let found = format!("a periapsis {:.1} km from the centre", periapsis_m / 1000.0);
        let allowed = format!("above the surface: more than {:.1} km", radius_m / 1000.0);
        let related = vec![(raw.eccentricity.place.span, "with this eccentricity".to_owned())];
        self.draft(&axis.clone(), Mistake::Inconsistent, found, allowed, None, related);
    }

    fn tle(&mut self, raw: &RawTle) -> Option<Motion> {
        let mut whole = true;
        for (line, number) in [(&raw.line1, '1'), (&raw.line2, '2')] {
            whole &= self.tle_line(line, number);
        }
        if !whole {
            return None;
        }
        match parse_tle(None, &raw.line1.value, &raw.line2.value) {
            Ok(elements) => Some(Motion::Sgp4(Box::new(elements))),
            Err(error) => {
                let found = error.to_string();
                self.report(&raw.line1.place, Mistake::OutOfRange, found, "a two-line element set");
                None
            }
        }
    }

    /// Length, number and checksum (digits add up, a minus counts one, modulo ten).
    fn tle_line(&mut self, line: &Spanned<String>, number: char) -> bool {
        let text = &line.value;
        if !text.is_ascii() || text.len() != 69 || !text.starts_with(number) {
            let found = format!("{} characters", text.chars().count());
            let allowed = format!("69 ASCII characters that begin with `{number}`");
            self.report(&line.place, Mistake::OutOfRange, found, allowed);
            return false;
        }
        let (body, check) = text.split_at(68);
        let sum: u32 = body.chars().map(|c| if c == '-' { 1 } else { c.to_digit(10).unwrap_or(0) }).sum();
        let right = sum % 10;
        if check.parse() == Ok(right) {
            return true;
        }
        self.report(
            &line.place,
            Mistake::Inconsistent,
            format!("the checksum {check}"),
            format!("the checksum {right}, which the line's digits add up to"),
        );
        false
    }

    fn omm(&mut self, raw: &RawOmm) -> Option<Motion> {
        let text = self.files.import(&raw.file)?;
        let record = self.omm_record(raw, &text)?;
        match parse_omm_json(&record) {
            Ok(elements) => Some(Motion::Sgp4(Box::new(elements))),
            Err(error) => {
                self.report(&raw.file.place, Mistake::Include, error.to_string(), "an OMM in JSON");
                None
            }
        }
    }

    /// The one record of the file that is meant, as JSON.
    fn omm_record(&mut self, raw: &RawOmm, text: &str) -> Option<String> {
        let records = match serde_json::from_str(text) {
            Ok(serde_json::Value::Array(records)) => records,
            Ok(record) => vec![record],
            Err(error) => {
                self.report(&raw.file.place, Mistake::Include, error.to_string(), "an OMM in JSON");
                return None;
            }
        };
        let Some(object) = &raw.object else {
            if let [record] = records.as_slice() {
                return Some(record.to_string());
            }
            let found = format!("a file with {} records", records.len());
            self.report(
                &raw.file.place,
                Mistake::Inconsistent,
                found,
                "one record, or `object` to choose one",
            );
            return None;
        };
        let named = |record: &serde_json::Value| record["OBJECT_NAME"].as_str().map(str::to_owned);
        let chosen = records.iter().find(|record| named(record).as_ref() == Some(&object.value));
        if chosen.is_none() {
            let known: Vec<String> = records.iter().filter_map(named).collect();
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            self.unknown_name(object, "a record of the file", &known);
        }
        chosen.map(ToString::to_string)
    }

    fn oem(&mut self, raw: &RawOem, epoch: Epoch) -> Option<Motion> {
        let text = self.files.import(&raw.file)?;
        let motion = match parse_oem(&text, epoch) {
            Ok(motion) => motion,
            Err(error) => {
                self.report(&raw.file.place, Mistake::Include, error.to_string(), "an OEM in KVN");
                return None;
            }
        };
        if let Motion::Table { rows, .. } = &motion {
            let covers = rows.first().is_some_and(|row| row.time <= SimTime::ZERO)
                && rows.last().is_some_and(|row| row.time >= self.run);
            if !covers {
                let found = "an ephemeris that does not cover the run";
                self.report(
                    &raw.file.place,
                    Mistake::Inconsistent,
                    found,
                    "rows from the epoch to the run's end",
                );
            }
        }
        Some(motion)
    }
}

const fn body_of(raw: &RawBody) -> Body {
    match raw {
        RawBody::Sun => Body::Sun,
        RawBody::Earth => Body::Earth,
        RawBody::Moon => Body::Moon,
        RawBody::Mars => Body::Mars,
    }
}
