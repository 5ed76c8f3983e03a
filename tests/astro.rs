//! Bodies, frames and trajectories against references from other libraries (headers of `tests/data/astro` name them).

use cosmosmesh::astro::*;
use cosmosmesh::units::SimTime;

const EPOCH: &str = "2026-01-01T00:00:00Z";

/// Rows of a golden file, without its comment and column names.
fn rows(text: &str) -> Vec<Vec<&str>> {
    text.lines().filter(|l| !l.starts_with('#')).skip(1).map(|l| l.split(',').collect()).collect()
}

fn number(word: &str) -> f64 {
    word.trim().parse().expect("a number")
}

fn ten_years() -> Ephemeris {
    let epoch = Epoch::parse(EPOCH).expect("valid");
    Ephemeris::new(epoch, (SimTime::ZERO, SimTime::from_secs(86_400 * 4050))).expect("inside the table")
}

fn month() -> Ephemeris {
    let epoch = Epoch::parse(EPOCH).expect("valid");
    Ephemeris::new(epoch, (SimTime::ZERO, SimTime::from_secs(86_400 * 30))).expect("inside the table")
}

fn at_tdb(epoch: Epoch, days: f64) -> SimTime {
    SimTime::from_secs_f64((days - epoch.tdb(SimTime::ZERO).days_since_j2000()) * 86_400.0)
}

fn body(name: &str) -> Body {
    match name {
        "sun" => Body::Sun,
        "earth" => Body::Earth,
        "moon" => Body::Moon,
        "mars" => Body::Mars,
        other => panic!("{other}"),
    }
}

#[test]
fn ranges_between_bodies_hold_against_de421_for_ten_years() {
    let ephemeris = ten_years();
    let table = rows(include_str!("data/astro/de421_positions.csv"));
    let (mut mars_worst, mut moon_worst, mut place_worst) = (0.0_f64, 0.0_f64, 0.0_f64);
    for date in table.chunks(4) {
        let at = at_tdb(ephemeris.epoch(), number(date[0][0]));
        let want = |i: usize| Vec3::new(number(date[i][2]), number(date[i][3]), number(date[i][4]));
        for (i, row) in date.iter().enumerate() {
            let got = ephemeris.body_state(body(row[1]), at).position_m;
            place_worst = place_worst.max((got - want(i)).norm());
        }
        let range = |a, b| ephemeris.relative_state(a, b, at).position_m.norm();
        mars_worst = mars_worst.max((range(Body::Earth, Body::Mars) - (want(1) - want(3)).norm()).abs());
        moon_worst = moon_worst.max((range(Body::Earth, Body::Moon) - (want(1) - want(2)).norm()).abs());
    }
    assert!(mars_worst < 700.0 && moon_worst < 5.0 && place_worst < 500.0);
}

#[test]
fn light_time_between_bodies_matches_skyfield() {
    let ephemeris = ten_years();
    for row in rows(include_str!("data/astro/body_ranges_sample.csv")) {
        let stamp = row[0].replace(" TDB", "Z");
        let tdb_minus_utc_s = 69.184;
        let at = ephemeris.epoch().sim_time_of(Epoch::parse(&stamp).expect("valid"))
            - SimTime::from_secs_f64(tdb_minus_utc_s);
        for (target, range_km, owlt_s) in [(Body::Mars, row[1], row[3]), (Body::Moon, row[4], row[6])] {
            let range_m = ephemeris.relative_state(target, Body::Earth, at).position_m.norm();
            assert!((range_m - number(range_km) * 1e3).abs() < 1_000.0, "{row:?} {range_m}");
            let from = ephemeris.body_state(Body::Earth, at).position_m;
            let mut owlt = 0.0;
            for _ in 0..6 {
                let to = ephemeris.body_state(target, at + SimTime::from_secs_f64(owlt)).position_m;
                owlt = (to - from).norm() / SPEED_OF_LIGHT_MPS;
            }
            assert!((owlt - number(owlt_s)).abs() < 5e-6, "{row:?} {owlt}");
        }
    }
}

#[test]
fn velocities_are_the_rates_of_positions() {
    let ephemeris = month();
    let at = SimTime::from_secs(1_234_567);
    let dt = SimTime::from_secs(10);
    for body in Body::ALL {
        let rate = (ephemeris.body_state(body, at + dt).position_m
            - ephemeris.body_state(body, at - dt).position_m)
            / 20.0;
        assert!((rate - ephemeris.body_state(body, at).velocity_mps).norm() < 1e-3, "{body:?}");
        let point = Vec3::new(1e6, 2e6, 3e6);
        let turned = |at| ephemeris.rotation(body, at) * point;
        let second = SimTime::from_secs(1);
        let rate = (turned(at + second) - turned(at - second)) / 2.0;
        // The Moon's pole itself moves 1 cm/s at this distance.
        assert!((rate - ephemeris.spin_rad_s(body, at).cross(&turned(at))).norm() < 2e-2, "{body:?}");
    }
}

#[test]
fn earth_and_teme_axes_agree_with_erfa_to_a_metre() {
    for row in rows(include_str!("data/astro/earth_rotation.csv")) {
        let ephemeris = Ephemeris::new(Epoch::parse(row[0]).expect("valid"), (SimTime::ZERO, SimTime::ZERO))
            .expect("valid");
        let want = |from: usize| Mat3::from_row_iterator(row[from..from + 9].iter().map(|w| number(w)));
        let earth = (ephemeris.rotation(Body::Earth, SimTime::ZERO) - want(1)).norm() * 6.4e6;
        let teme = (ephemeris.teme_to_icrf(SimTime::ZERO) - want(10)).norm() * 6.4e6;
        assert!(earth < 0.2 && teme < 0.2, "{} {earth} {teme}", row[0]);
    }
}

#[test]
fn the_moon_faces_the_way_de421_librations_say() {
    let ephemeris = ten_years();
    let mut worst = 0.0_f64;
    for row in rows(include_str!("data/astro/moon_orientation.csv")) {
        let at = at_tdb(ephemeris.epoch(), number(row[0]));
        let want = Mat3::from_row_iterator(row[1..10].iter().map(|w| number(w)));
        worst = worst.max((ephemeris.rotation(Body::Moon, at) - want).norm() * 1.7374e6 / 2.0_f64.sqrt());
    }
    assert!(worst < 160.0, "{worst}");
}

fn sgp4_worst(text: &str, scale_m: f64) -> (usize, f64) {
    let (mut count, mut worst) = (0, 0.0_f64);
    for row in rows(text) {
        let elements = parse_tle(None, row[0], row[1]).expect("valid");
        let text = format!("{}Z", elements.datetime.format("%Y-%m-%dT%H:%M:%S%.9f"));
        let epoch = Epoch::parse(&text).expect("valid");
        let at = SimTime::from_secs_f64(number(row[2]) * 60.0);
        let Ok(ephemeris) = Ephemeris::new(epoch, (at, at)) else { continue };
        let Ok(trajectory) = Trajectory::new(&Motion::Sgp4(Box::new(elements)), &ephemeris) else { continue };
        let state = trajectory.state(&ephemeris, at);
        let teme = ephemeris.teme_to_icrf(at).transpose() * state.position_m;
        let want = Vec3::new(number(row[3]), number(row[4]), number(row[5])) * scale_m;
        worst = worst.max((teme - want).norm());
        count += 1;
    }
    (count, worst)
}

#[test]
fn sgp4_reproduces_vallados_verification_set() {
    let (count, worst) = sgp4_worst(include_str!("data/astro/sgp4_verification.csv"), 1e3);
    assert!(count > 500 && worst < 0.02, "{count} {worst}");
    let (count, worst) = sgp4_worst(include_str!("data/astro/sgp4_states.csv"), 1e3);
    assert!(count == 18 && worst < 0.02, "{count} {worst}");
}

fn low_orbit(kind: ElementKind) -> Elements {
    Elements {
        kind,
        semi_major_axis_m: 7.0e6,
        eccentricity: 0.002,
        inclination_deg: 97.8,
        raan_deg: 40.0,
        argument_of_periapsis_deg: 70.0,
        mean_anomaly_deg: 10.0,
    }
}

fn fly(body: Body, elements: Elements, model: OrbitModel, ephemeris: &Ephemeris) -> Trajectory {
    Trajectory::new(&Motion::Orbit { body, elements, model }, ephemeris).expect("flies")
}

/// Worst distance between two models over a day, metres.
fn apart(a: &Trajectory, b: &Trajectory, ephemeris: &Ephemeris) -> f64 {
    (0..1440).step_by(7).fold(0.0, |worst: f64, minute| {
        let at = SimTime::from_secs(minute * 60);
        worst.max((a.state(ephemeris, at).position_m - b.state(ephemeris, at).position_m).norm())
    })
}

#[test]
fn mean_and_osculating_elements_describe_the_same_orbit_in_every_model() {
    let ephemeris = month();
    for kind in [ElementKind::Mean, ElementKind::Osculating] {
        for body in [Body::Earth, Body::Mars] {
            let elements = low_orbit(kind);
            let numeric = fly(body, elements, OrbitModel::Numeric, &ephemeris);
            let secular = fly(body, elements, OrbitModel::SecularJ2, &ephemeris);
            let two_body = fly(body, elements, OrbitModel::TwoBody, &ephemeris);
            let start = |t: &Trajectory| t.state(&ephemeris, SimTime::ZERO).position_m;
            assert!((start(&numeric) - start(&secular)).norm() < 0.01);
            assert!((start(&numeric) - start(&two_body)).norm() < 0.01);
            let worst = apart(&numeric, &secular, &ephemeris);
            // Second order in J2 on 15 revolutions; confusing mean and osculating would leave hundreds of kilometres.
            assert!(worst < 15_000.0, "{kind:?} {body:?} {worst}");
        }
    }
    let confused = fly(Body::Earth, low_orbit(ElementKind::Mean), OrbitModel::Numeric, &ephemeris);
    let right = fly(Body::Earth, low_orbit(ElementKind::Osculating), OrbitModel::Numeric, &ephemeris);
    assert!(apart(&confused, &right, &ephemeris) > 100_000.0);
}

#[test]
fn earths_pull_moves_the_eccentricity_of_a_high_lunar_orbit() {
    let ephemeris = month();
    let elements = Elements {
        kind: ElementKind::Osculating,
        semi_major_axis_m: 6_541_400.0,
        eccentricity: 0.6,
        inclination_deg: 56.2,
        raan_deg: 0.0,
        argument_of_periapsis_deg: 90.0,
        mean_anomaly_deg: 0.0,
    };
    let numeric = fly(Body::Moon, elements, OrbitModel::Numeric, &ephemeris);
    let alone = fly(Body::Moon, elements, OrbitModel::TwoBody, &ephemeris);
    let eccentricity = |trajectory: &Trajectory, day: i64| {
        let state = trajectory.state(&ephemeris, SimTime::from_secs(day * 86_400));
        let (r, v) = (state.position_m, state.velocity_mps);
        (v.cross(&r.cross(&v)) / Body::Moon.gm_m3_s2() - r.normalize()).norm()
    };
    let swing = (0..30).fold(0.0_f64, |worst, day| worst.max((eccentricity(&numeric, day) - 0.6).abs()));
    assert!(swing > 1e-3 && swing < 0.2);
    assert!((eccentricity(&alone, 30) - 0.6).abs() < 1e-9);
}

#[test]
fn half_of_a_low_orbits_day_is_sunlit_and_noon_is_brighter_than_midnight() {
    let ephemeris = month();
    let orbit = fly(
        Body::Earth,
        Elements { inclination_deg: 5.0, ..low_orbit(ElementKind::Mean) },
        OrbitModel::SecularJ2,
        &ephemeris,
    );
    let seen: Vec<f64> =
        (0..1440).map(|m| sunlight(&orbit, &ephemeris, SimTime::from_secs(60 * m))).collect();
    let mean = seen.iter().sum::<f64>() / seen.len() as f64;
    // Equatorial shadow of a 622 km orbit: asin(6371/7000)/π = 36 % of it dark at most.
    assert!((0.60..0.75).contains(&mean), "{mean}");
    assert!(seen.contains(&0.0) && seen.contains(&1.0));
    let site = GroundTrack {
        body: Body::Earth,
        waypoints: vec![Waypoint {
            time: SimTime::ZERO,
            place: Geodetic { latitude_deg: 0.0, longitude_deg: 0.0, height_m: 0.0 },
        }],
    };
    let site = Trajectory::new(&Motion::Ground(site), &ephemeris).expect("stands");
    assert_eq!(sunlight(&site, &ephemeris, SimTime::from_secs(43_200)), 1.0);
    assert_eq!(sunlight(&site, &ephemeris, SimTime::ZERO), 0.0);
}

#[test]
fn an_oem_is_read_and_its_faults_are_named_by_line() {
    let epoch = Epoch::parse(EPOCH).expect("valid");
    let text = "CCSDS_OEM_VERS = 2.0\nMETA_START\nCENTER_NAME = MARS\nREF_FRAME = EME2000\nTIME_SYSTEM = UTC\nMETA_STOP\n2026-01-01T00:00:00 4000 0 0 0 3 0\n2026-01-01T00:01:00.000 3990 180 0 -0.1 3 0\n";
    let Ok(Motion::Table { center: Body::Mars, rows }) = parse_oem(text, epoch) else { panic!("not read") };
    assert_eq!(
        (rows.len(), rows[1].time, rows[1].position_m),
        (2, SimTime::from_secs(60), [3.99e6, 1.8e5, 0.0])
    );
    assert!(matches!(
        parse_oem(&text.replace("EME2000", "TEME"), epoch),
        Err(OemError::Value { line: 4, key: "REF_FRAME", .. })
    ));
    assert!(matches!(
        parse_oem(&text.replace("-0.1 3 0", "-0.1 3"), epoch),
        Err(OemError::Numbers { line: 8, found: 5 })
    ));
    assert!(matches!(
        parse_oem(&text.replace("00:01:00.000", "00:00:00"), epoch),
        Err(OemError::NotIncreasing { line: 8 })
    ));
}

fn momentum(state: &State) -> Vec3 {
    state.position_m.cross(&state.velocity_mps)
}

#[test]
fn the_node_of_a_sun_synchronous_orbit_drifts_as_j2_says() {
    let ephemeris = month();
    let orbit = fly(Body::Earth, low_orbit(ElementKind::Mean), OrbitModel::Numeric, &ephemeris);
    let node = |day: i64| {
        let to_equator = ephemeris.equator_to_icrf(Body::Earth).transpose();
        let h = to_equator * momentum(&orbit.state(&ephemeris, SimTime::from_secs(day * 86_400)));
        libm::atan2(h.x, -h.y).to_degrees()
    };
    let (j2, radius) = Body::Earth.j2();
    let elements = low_orbit(ElementKind::Mean);
    let n = (Body::Earth.gm_m3_s2() / elements.semi_major_axis_m).sqrt() / elements.semi_major_axis_m;
    let ratio = radius / (elements.semi_major_axis_m * (1.0 - 0.002 * 0.002));
    let rate = -1.5 * n * j2 * ratio * ratio * libm::cos(elements.inclination_deg.to_radians());
    let expected = (rate * 86_400.0 * 20.0).to_degrees();
    let found = node(20) - node(0);
    // Short-period wobble of 0.01 degree, second order and the pull of Sun and Moon are left: 1 %.
    assert!((found - expected).abs() < 0.01 * expected.abs() + 0.02, "{found} {expected}");
}

#[test]
fn an_undisturbed_orbit_integrates_to_keplers() {
    // The Sun's J2 is 0, and the planets move this orbit near it by little: energy and place stay Kepler's.
    let ephemeris = month();
    let elements =
        Elements { semi_major_axis_m: 1.0e9, eccentricity: 0.2, ..low_orbit(ElementKind::Osculating) };
    let numeric = fly(Body::Sun, elements, OrbitModel::Numeric, &ephemeris);
    let kepler = fly(Body::Sun, elements, OrbitModel::TwoBody, &ephemeris);
    let gm = Body::Sun.gm_m3_s2();
    let energy = |state: State| 0.5 * state.velocity_mps.norm_squared() - gm / state.position_m.norm();
    for day in 0..30 {
        let at = SimTime::from_secs(day * 86_400);
        let ratio = energy(numeric.state(&ephemeris, at)) / energy(kepler.state(&ephemeris, at));
        assert!((ratio - 1.0).abs() < 1e-8, "{day} {ratio}");
    }
}

#[test]
fn a_catalogue_number_above_99999_is_read_from_tle_and_omm() {
    // Alpha-5: A0001 is 100001. The ISS's element set with another number, and the checksums that follow from it.
    let first = "1 A0001U 98067A   26071.86901803  .00011348  00000-0  21655-3 0  9991";
    let second = "2 A0001  51.6324  56.6367 0007924 186.1410 173.9482 15.48614629556826";
    assert_eq!(parse_tle(None, first, second).expect("valid").norad_id, 100_001);
    let truncated = parse_tle(None, &first[..68], "2 A0001  51.6324");
    assert!(matches!(truncated, Err(Sgp4InputError::Tle { .. })));
    let omm = r#"{"OBJECT_NAME":"X","OBJECT_ID":"2026-001A","EPOCH":"2026-03-12T20:51:23.157792","MEAN_MOTION":15.48614629,
        "ECCENTRICITY":0.0007924,"INCLINATION":51.6324,"RA_OF_ASC_NODE":56.6367,"ARG_OF_PERICENTER":186.141,
        "MEAN_ANOMALY":173.9482,"EPHEMERIS_TYPE":0,"CLASSIFICATION_TYPE":"U","NORAD_CAT_ID":270001,"ELEMENT_SET_NO":999,
        "REV_AT_EPOCH":55682,"BSTAR":0.00021655,"MEAN_MOTION_DOT":0.00011348,"MEAN_MOTION_DDOT":0}"#;
    assert_eq!(parse_omm_json(omm).expect("valid").norad_id, 270_001);
    let other = omm.replace("\"EPHEMERIS_TYPE\"", "\"REF_FRAME\":\"ICRF\",\"EPHEMERIS_TYPE\"");
    assert!(matches!(parse_omm_json(&other), Err(Sgp4InputError::Field { field: "REF_FRAME", .. })));
}

#[test]
fn mars_turns_by_the_2015_model_within_a_hundredth_of_a_degree_of_the_2009_one() {
    let ephemeris = month();
    let days = ephemeris.epoch().tt(SimTime::ZERO).days_since_j2000();
    let t = days / 36_525.0;
    let (ra, dec) = ((317.681_43 - 0.1061 * t).to_radians(), (52.8865 - 0.0609 * t).to_radians());
    let pole = Vec3::new(libm::cos(dec) * libm::cos(ra), libm::cos(dec) * libm::sin(ra), libm::sin(dec));
    let rotation = ephemeris.rotation(Body::Mars, SimTime::ZERO);
    assert!((rotation.column(2) - pole).norm() < 0.01_f64.to_radians());
    let node = Vec3::new(-libm::sin(ra), libm::cos(ra), 0.0);
    let meridian = (176.630 + 350.891_982_26 * days).to_radians();
    let prime = node * libm::cos(meridian) + pole.cross(&node) * libm::sin(meridian);
    assert!((rotation.column(0) - prime).norm() < 0.02_f64.to_radians());
}

#[test]
fn a_rover_between_waypoints_moves_with_its_stated_velocity() {
    let ephemeris = month();
    let place = |latitude_deg, longitude_deg, height_m| Geodetic { latitude_deg, longitude_deg, height_m };
    let waypoints = vec![
        Waypoint { time: SimTime::ZERO, place: place(18.4, 77.5, -2500.0) },
        Waypoint { time: SimTime::from_secs(86_400), place: place(18.6, 77.9, -2300.0) },
    ];
    let rover = Trajectory::new(&Motion::Ground(GroundTrack { body: Body::Mars, waypoints }), &ephemeris)
        .expect("drives");
    let at = SimTime::from_secs(40_000);
    let second = SimTime::from_secs(1);
    let position = |at| rover.state(&ephemeris, at).position_m;
    let rate = (position(at + second) - position(at - second)) / 2.0;
    assert!((rate - rover.state(&ephemeris, at).velocity_mps).norm() < 2e-3);
    let up = rover.surface(&ephemeris, at).expect("on the ground").up;
    assert!((up.norm() - 1.0).abs() < 1e-12 && up.dot(&position(at).normalize()) > 0.9999);
}
