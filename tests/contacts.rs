//! Contact windows against an oracle outside the product and against brute force; other tools' plans read unchanged.

use std::num::NonZeroUsize;

use cosmosmesh::{
    astro::{
        Body, ElementKind, Elements, Ephemeris, Epoch, Geodetic, GroundTrack, Motion, OrbitModel, Trajectory,
        Waypoint, elevation_rad, parse_tle,
    },
    contact::{
        Contact, ContactPlan, Terminal, find,
        import::{ImportWarning, ImportedPlan, PlanFormat, import},
    },
    link::{Access, Capacity, LinkClass, LinkConvergence, RadioSpec},
    units::{AssetIndex, BitsPerSecond, Hertz, Meters, SimTime, Watts},
};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/contacts");

fn class(min_contact_s: i64) -> LinkClass {
    LinkClass {
        name: "test".to_owned(),
        frequency: Hertz(2.2e9),
        capacity: Capacity::Fixed { rate: BitsPerSecond(1e6), bit_error_rate: 0.0 },
        mtu_bytes: 1024,
        frame_overhead_bytes: 0,
        burst_loss: None,
        frame_loss: 0.0,
        max_range: None,
        crosslinks: true,
        min_contact: SimTime::from_secs(min_contact_s),
        solar_exclusion_deg: 0.0,
        sessions: false,
        access: Access::FullDuplex,
        convergence: LinkConvergence::SmallFrame,
    }
}

fn radio(min_elevation_deg: f64) -> RadioSpec {
    RadioSpec {
        name: "radio".to_owned(),
        class: 0,
        eirp_dbw: Some(10.0),
        g_over_t_db_k: Some(0.0),
        receive_gain_dbi: None,
        min_elevation_deg,
        max_peers: None,
        queue_frames: 10,
        transmit_power: Watts(1.0),
        receive_power: Watts(1.0),
    }
}

fn site(body: Body, latitude_deg: f64, longitude_deg: f64, height_m: f64) -> Motion {
    let place = Geodetic { latitude_deg, longitude_deg, height_m };
    Motion::Ground(GroundTrack { body, waypoints: vec![Waypoint { time: SimTime::ZERO, place }] })
}

fn orbit(
    body: Body,
    semi_major_axis_m: f64,
    inclination_deg: f64,
    raan_deg: f64,
    mean_anomaly_deg: f64,
) -> Motion {
    let elements = Elements {
        kind: ElementKind::Osculating,
        semi_major_axis_m,
        eccentricity: 0.001,
        inclination_deg,
        raan_deg,
        argument_of_periapsis_deg: 30.0,
        mean_anomaly_deg,
    };
    Motion::Orbit { body, elements, model: OrbitModel::TwoBody }
}

struct Fleet {
    ephemeris: Ephemeris,
    span: (SimTime, SimTime),
    trajectories: Vec<Trajectory>,
}

impl Fleet {
    fn new(epoch: &str, hours: i64, motions: &[Motion]) -> Self {
        let span = (SimTime::ZERO, SimTime::from_secs(3600 * hours));
        let ephemeris = Ephemeris::new(Epoch::parse(epoch).expect("an epoch"), span).expect("an ephemeris");
        let trajectories =
            motions.iter().map(|motion| Trajectory::new(motion, &ephemeris).expect("a motion")).collect();
        Self { ephemeris, span, trajectories }
    }

    fn find(&self, radios: &[RadioSpec], class: &LinkClass, threads: usize) -> ContactPlan {
        let terminals: Vec<Terminal<'_>> = (0..)
            .zip(self.trajectories.iter().zip(radios))
            .map(|(asset, (trajectory, spec))| Terminal {
                asset: AssetIndex(asset),
                radio: 0,
                trajectory,
                spec,
            })
            .collect();
        let classes = std::slice::from_ref(class);
        find(&self.ephemeris, &terminals, classes, self.span, NonZeroUsize::new(threads)).expect("contacts")
    }
}

fn rows(file: &str) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_path(format!("{DATA}/{file}")).expect("a test file");
    reader.records().map(|row| row.expect("a row").iter().map(str::to_owned).collect()).collect()
}

#[test]
fn windows_of_earth_satellites_agree_with_the_oracle_within_a_tenth_of_a_second() {
    let number = |text: &str| text.parse::<f64>().expect("a number");
    let (stations, golden) = (rows("stations.csv"), rows("leo_windows.csv"));
    let mut worst: f64 = 0.0;
    for tle in rows("tles.csv") {
        let mut motions: Vec<Motion> =
            stations.iter().map(|s| site(Body::Earth, number(&s[1]), number(&s[2]), number(&s[3]))).collect();
        motions.push(Motion::Sgp4(Box::new(parse_tle(Some(&tle[0]), &tle[1], &tle[2]).expect("a TLE"))));
        let fleet = Fleet::new(&tle[4], number(&tle[5]) as i64, &motions);
        let radios = vec![radio(number(&tle[6])); motions.len()];
        let plan = fleet.find(&radios, &class(1), 1);
        for (index, station) in (0..).zip(&stations) {
            for (direction, from, to) in [("down", 3, index), ("up", index, 3)] {
                let ours: Vec<&Contact> = plan
                    .contacts()
                    .iter()
                    .filter(|c| (c.from, c.to) == (AssetIndex(from), AssetIndex(to)))
                    .collect();
                let theirs: Vec<&Vec<String>> = golden
                    .iter()
                    .filter(|g| g[0] == tle[0] && g[1] == station[0] && g[2] == direction)
                    .collect();
                assert_eq!(ours.len(), theirs.len(), "{} {} {direction}", tle[0], station[0]);
                for (contact, golden) in ours.iter().zip(&theirs) {
                    let start = (contact.start.as_secs_f64() - number(&golden[3])).abs();
                    let end = (contact.end.as_secs_f64() - number(&golden[4])).abs();
                    worst = worst.max(start).max(end);
                    let top = contact.max_elevation_deg.expect("a station's elevation");
                    assert!((top - number(&golden[5])).abs() < 0.02, "{top} {golden:?}");
                }
            }
        }
    }
    assert!(worst < 0.1, "{worst} s");
}

/// Elevation of the peer at a station for a frame that the satellite sends at `time`, straight from the motions.
fn elevation_deg(fleet: &Fleet, satellite: usize, station: usize, time: SimTime) -> f64 {
    let sent = fleet.trajectories[satellite].state(&fleet.ephemeris, time).position_m;
    let mut light = SimTime::ZERO;
    for _ in 0..4 {
        let place = fleet.trajectories[station].state(&fleet.ephemeris, time + light).position_m;
        light = SimTime::from_secs_f64((place - sent).norm() / 299_792_458.0);
    }
    let place = fleet.trajectories[station].state(&fleet.ephemeris, time + light).position_m;
    let up = fleet.trajectories[station].surface(&fleet.ephemeris, time + light).expect("a station").up;
    elevation_rad(&up, &place, &sent).to_degrees()
}

fn is_open(plan: &ContactPlan, from: u32, to: u32, time: SimTime) -> bool {
    plan.contacts()
        .iter()
        .any(|c| (c.from, c.to) == (AssetIndex(from), AssetIndex(to)) && c.start <= time && time <= c.end)
}

#[test]
fn a_dense_scan_finds_no_window_that_the_search_misses() {
    let mut motions = Vec::new();
    for i in 0..6 {
        let i = f64::from(i);
        motions.push(orbit(Body::Earth, 6.8e6 + 1.9e5 * i, 28.0 + 14.0 * i, 60.0 * i, 45.0 * i));
    }
    motions.push(site(Body::Earth, 52.0, 5.0, 30.0));
    motions.push(site(Body::Earth, -78.0, 166.0, 100.0));
    let fleet = Fleet::new("2026-03-01T00:00:00Z", 8, &motions);
    let plan = fleet.find(&vec![radio(8.0); motions.len()], &class(0), 2);
    for satellite in 0..6_u32 {
        for station in 6..8_u32 {
            for second in 0..8 * 3600 {
                let time = SimTime::from_secs(second);
                let above = elevation_deg(&fleet, satellite as usize, station as usize, time) - 8.0;
                if above.abs() > 1e-4 {
                    let found = is_open(&plan, satellite, station, time);
                    assert_eq!(
                        found,
                        above > 0.0,
                        "{satellite} to {station} at {time}: {above}° over the mask"
                    );
                }
            }
        }
    }
}

#[test]
fn satellites_see_each_other_unless_the_earth_stands_between() {
    let motions = [
        orbit(Body::Earth, 6.9e6, 50.0, 0.0, 0.0),
        orbit(Body::Earth, 7.4e6, 80.0, 120.0, 200.0),
        orbit(Body::Earth, 4.2164e7, 0.1, 10.0, 0.0),
    ];
    let fleet = Fleet::new("2026-03-01T00:00:00Z", 6, &motions);
    let plan = fleet.find(&vec![radio(0.0); 3], &class(0), 1);
    for (one, other) in [(0, 1), (1, 2), (2, 0)] {
        for second in (0..6 * 3600).step_by(3) {
            let time = SimTime::from_secs(second);
            let place =
                |asset: u32| fleet.trajectories[asset as usize].state(&fleet.ephemeris, time).position_m;
            let (a, b) = (place(one), place(other));
            // Points along the sight against the mean sphere: right where the ellipsoid and light time do not matter.
            let nearest =
                (0..=2000).map(|i| (a + (b - a) * (f64::from(i) / 2000.0)).norm()).fold(f64::MAX, f64::min);
            if !(6.35e6..6.385e6).contains(&nearest) {
                assert_eq!(is_open(&plan, one, other, time), nearest > 6.37e6, "{one} to {other} at {time}");
            }
        }
    }
    assert!(plan.contacts().iter().all(|c| c.max_elevation_deg.is_none()));
}

#[test]
fn an_orbiter_is_hidden_behind_mars_and_light_takes_minutes() {
    let motions = [
        site(Body::Earth, 35.4, -116.9, 1000.0),
        orbit(Body::Mars, 3.8e6, 93.0, 110.0, 0.0),
        site(Body::Mars, 18.4, 77.5, -2500.0),
    ];
    let fleet = Fleet::new("2026-11-21T00:00:00Z", 24, &motions);
    let plan = fleet.find(&vec![radio(6.0); 3], &class(60), 2);
    let between = |from: u32, to: u32| {
        plan.contacts()
            .iter()
            .filter(move |c| (c.from, c.to) == (AssetIndex(from), AssetIndex(to)))
            .collect::<Vec<_>>()
    };
    let down = between(1, 0);
    assert!((3..=14).contains(&down.len()), "{} windows", down.len());
    // DE421: 630.97 s geometric, 631.007 s to where the receiver is then, Mars to Earth distances of that day.
    for contact in down.iter().chain(&between(0, 1)) {
        let owlt = contact.owlt_at(contact.start).as_secs_f64();
        assert!((624.0..631.5).contains(&owlt), "{owlt}");
        assert!(contact.end - contact.start >= SimTime::from_secs(60));
    }
    // A frame that arrives as the orbiter's window up closes there was sent a light time earlier.
    assert!(!between(1, 2).is_empty() && !between(2, 0).is_empty());
}

#[test]
fn light_time_between_samples_is_that_of_the_motions() {
    let motions = [
        site(Body::Earth, 35.4, -116.9, 1000.0),
        orbit(Body::Mars, 3.8e6, 93.0, 20.0, 0.0),
        orbit(Body::Earth, 6.9e6, 51.0, 0.0, 0.0),
    ];
    let fleet = Fleet::new("2026-11-21T00:00:00Z", 12, &motions);
    let plan = fleet.find(&vec![radio(5.0); 3], &class(60), 2);
    for contact in plan.contacts() {
        for i in 0..=20 {
            let time = contact.start + SimTime((contact.end - contact.start).as_nanos() / 20 * i);
            let (from, to) = (&fleet.trajectories[contact.from.get()], &fleet.trajectories[contact.to.get()]);
            let truth = cosmosmesh::astro::light_time(from, to, &fleet.ephemeris, time);
            let off = (truth.owlt - contact.owlt_at(time)).as_nanos().abs();
            // Two ends around one body are judged in its frame: the light time differs by v/c of the body, 1e-4.
            let relative = if from.center() == to.center() { truth.owlt.as_nanos() / 5000 } else { 0 };
            assert!(off <= 5 + relative, "{off} ns of {} at {time}", truth.owlt);
        }
    }
}

#[test]
fn one_and_two_threads_find_the_same() {
    let mut motions: Vec<Motion> =
        (0..12).map(|i| orbit(Body::Earth, 7.0e6, 60.0, f64::from(i) * 30.0, f64::from(i) * 27.0)).collect();
    motions.push(site(Body::Earth, 10.0, 20.0, 0.0));
    let fleet = Fleet::new("2026-03-01T00:00:00Z", 12, &motions);
    let radios = vec![radio(5.0); motions.len()];
    assert_eq!(fleet.find(&radios, &class(10), 1), fleet.find(&radios, &class(10), 2));
}

#[test]
fn neighbours_on_a_surface_see_each_other_to_the_horizon_of_the_smooth_body() {
    let motions = [
        site(Body::Mars, 18.4, 77.5, -2500.0),
        site(Body::Mars, 18.4, 77.53, -2500.0),
        site(Body::Mars, 18.4, 78.5, -2500.0),
        site(Body::Earth, 46.0, 7.0, 1500.0),
        site(Body::Earth, 46.2, 7.0, 900.0),
    ];
    let fleet = Fleet::new("2026-03-01T00:00:00Z", 24, &motions);
    let plan = fleet.find(&vec![radio(10.0); 5], &class(0), 1);
    // 1.7 km apart with 2 m antennas: the horizon is at 2 · √(2 · 3396 km · 2 m) = 7.4 km; the third is 56 km away.
    let pairs: Vec<_> = plan.contacts().iter().map(|c| (c.from.0, c.to.0, c.start, c.end)).collect();
    let whole = (SimTime::ZERO, SimTime::from_secs(86_400));
    let expected = [(0, 1), (1, 0), (3, 4), (4, 3)].map(|(from, to)| (from, to, whole.0, whole.1));
    assert_eq!(pairs.iter().filter(|p| p.0 / 3 == p.1 / 3).copied().collect::<Vec<_>>(), expected);
    let mut near = class(0);
    near.max_range = Some(Meters(1000.0));
    assert_eq!(fleet.find(&vec![radio(10.0); 5], &near, 1).contacts(), []);
}

#[test]
fn the_sun_between_earth_and_mars_closes_the_link() {
    // Mars stands in conjunction with the Sun on 2026-01-09.
    let motions = [orbit(Body::Earth, 4.2164e7, 0.1, 10.0, 0.0), orbit(Body::Mars, 2.0e7, 5.0, 0.0, 0.0)];
    let fleet = Fleet::new("2026-01-09T00:00:00Z", 48, &motions);
    let free = fleet.find(&vec![radio(0.0); 2], &class(0), 1);
    assert!(!free.contacts().is_empty());
    let mut excluding = class(0);
    excluding.solar_exclusion_deg = 3.0;
    assert_eq!(fleet.find(&vec![radio(0.0); 2], &excluding, 1).contacts(), []);
}

#[test]
fn a_budget_limits_the_window_to_where_it_closes() {
    let motions = [site(Body::Earth, 52.0, 5.0, 30.0), orbit(Body::Earth, 7.0e6, 80.0, 0.0, 0.0)];
    let fleet = Fleet::new("2026-03-01T00:00:00Z", 24, &motions);
    let mut budget = class(0);
    budget.capacity = Capacity::Budget {
        required_eb_n0: cosmosmesh::units::Decibels(4.0),
        margin: cosmosmesh::units::Decibels(3.0),
        bit_error_rate: 1e-6,
        min_rate: BitsPerSecond(2e6),
        max_rate: BitsPerSecond(3.2e7),
        other_losses: cosmosmesh::units::Decibels(1.0),
    };
    // 10 + 0 − 1 + 228.6 − 63.01 − 7 = 167.59 dB of free-space loss: 2.6e6 m at 2.2 GHz.
    let plan = fleet.find(&vec![radio(0.0); 2], &budget, 1);
    assert!(!plan.contacts().is_empty());
    for contact in plan.contacts() {
        for time in [contact.start, contact.end] {
            let edge = contact.range_at(time);
            assert!(edge < 2.61e6, "{edge}");
        }
        assert!(contact.rate.0 >= 2e6 && contact.bit_error_rate <= 1e-6);
    }
}

fn read(file: &str, format: PlanFormat) -> ImportedPlan {
    let bytes = std::fs::read(format!("{DATA}/{file}")).expect("a test file");
    import(file, &bytes, format, None).expect(file)
}

#[test]
fn ions_samples_read_unchanged() {
    let mars = read("ion/cgr-test.global.ionrc", PlanFormat::Ion);
    // The sample states ranges for its first ten hours only; 532 of its 678 contacts come later.
    let without = |warning: &&ImportWarning| matches!(warning, ImportWarning::WithoutRange { .. });
    assert_eq!((mars.contacts.len(), mars.nodes.len()), (146, 9));
    assert_eq!(mars.warnings.iter().filter(without).count(), 532);
    let first = &mars.contacts[0];
    assert_eq!(
        (first.from, first.to, first.rate, first.owlt.as_secs_f64()),
        (2, 1, Some(BitsPerSecond(10_485_760.0)), 1.0)
    );
    let diamond = read("ion/bug-0002-cgr-recompute.global.ionrc", PlanFormat::Ion);
    assert_eq!((diamond.contacts.len(), diamond.warnings.len()), (23, 0));
    let asymmetric = read("ion/asymmetric-range.global.ionrc", PlanFormat::Ion);
    let lights: Vec<_> = asymmetric.contacts.iter().map(|c| (c.from, c.to, c.owlt.as_secs_f64())).collect();
    assert_eq!(lights, [(9, 5, 1.0), (5, 9, 5.0), (5, 6, 20.0), (6, 5, 20.0), (6, 9, 1.0), (9, 6, 1.0)]);
}

#[test]
fn asabrs_samples_read_unchanged() {
    let mut count = 0;
    for entry in std::fs::read_dir(format!("{DATA}/asabr")).expect("a folder") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        let format = if name.contains("ion_format") { PlanFormat::Ion } else { PlanFormat::Asabr };
        assert!(!read(&format!("asabr/{name}"), format).contacts.is_empty(), "{name}");
        count += 1;
    }
    assert_eq!(count, 11);
    let plan = read("asabr/asabr_examples_dijkstra_accuracy_contact_plan_1.cp", PlanFormat::Asabr);
    assert_eq!(plan.nodes[&2].as_deref(), Some("from_C2/C1"));
    assert_eq!(plan.contacts[1].start, SimTime::from_secs(25));
    // A-SABR's one plan in its own two syntaxes.
    let (own, ion) = (
        read("asabr/asabr_examples_contact_plans_asabr_format_static.cp", PlanFormat::Asabr),
        read("asabr/asabr_examples_contact_plans_ion_format.cp", PlanFormat::Ion),
    );
    for (own, ion) in own.contacts.iter().zip(&ion.contacts) {
        assert_eq!((own.from + 1, own.to + 1, own.start, own.end), (ion.from, ion.to, ion.start, ion.end));
        assert_eq!((own.rate, own.owlt), (ion.rate, ion.owlt));
    }
}

#[test]
fn a_plan_in_hdtns_shape_reads() {
    let plan = read("hdtn_shape.json", PlanFormat::Hdtn);
    let contacts: Vec<_> = plan.contacts.iter().map(|c| (c.from, c.to, c.rate.map(|r| r.0))).collect();
    assert_eq!(contacts, [(11, 12, Some(1e9)), (12, 11, Some(2.5e6)), (0, 14, None)]);
    assert_eq!(plan.warnings, [ImportWarning::NeverOpen { index: 2, start_s: 86_400, end_s: 0 }]);
}
