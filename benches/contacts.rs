//! The window search: one pair over a day, and a Walker constellation of 1,000 satellites over 10 stations for a day.

use std::{hint::black_box, num::NonZeroUsize, time::Duration};

use cosmosmesh::{
    astro::{
        Body, ElementKind, Elements, Ephemeris, Epoch, Geodetic, GroundTrack, Motion, OrbitModel, Trajectory,
        Waypoint,
    },
    contact::{Terminal, find_between},
    link::{Access, Capacity, LinkClass, LinkConvergence, RadioSpec},
    units::{AssetIndex, BitsPerSecond, Hertz, SimTime, Watts},
};
use criterion::{Criterion, criterion_group, criterion_main};

const DAY: SimTime = SimTime::from_secs(86_400);

fn class() -> LinkClass {
    LinkClass {
        name: "x-band".to_owned(),
        frequency: Hertz(8.2e9),
        capacity: Capacity::Fixed { rate: BitsPerSecond(1e8), bit_error_rate: 0.0 },
        mtu_bytes: 1024,
        frame_overhead_bytes: 0,
        burst_loss: None,
        frame_loss: 0.0,
        max_range: None,
        crosslinks: true,
        min_contact: SimTime::from_secs(10),
        solar_exclusion_deg: 0.0,
        sessions: false,
        access: Access::FullDuplex,
        convergence: LinkConvergence::SmallFrame,
    }
}

fn radio() -> RadioSpec {
    RadioSpec {
        name: "radio".to_owned(),
        class: 0,
        eirp_dbw: None,
        g_over_t_db_k: None,
        receive_gain_dbi: None,
        min_elevation_deg: 10.0,
        max_peers: None,
        queue_frames: 10,
        transmit_power: Watts(1.0),
        receive_power: Watts(1.0),
    }
}

/// Walker delta 53°: total/planes/1 at 550 km.
fn walker(total: u32, planes: u32) -> Vec<Motion> {
    let per_plane = total / planes;
    let elements = (0..total).map(|index| {
        let (plane, slot) = (f64::from(index / per_plane), f64::from(index % per_plane));
        Elements {
            kind: ElementKind::Mean,
            semi_major_axis_m: 6_928_137.0,
            eccentricity: 0.0005,
            inclination_deg: 53.0,
            raan_deg: 360.0 * plane / f64::from(planes),
            argument_of_periapsis_deg: 0.0,
            mean_anomaly_deg: 360.0 * (slot / f64::from(per_plane) + plane / f64::from(total)),
        }
    });
    elements
        .map(|elements| Motion::Orbit { body: Body::Earth, elements, model: OrbitModel::SecularJ2 })
        .collect()
}

fn stations(count: u32) -> Vec<Motion> {
    let place = |i: u32| Geodetic {
        latitude_deg: -60.0 + 120.0 * f64::from(i) / f64::from(count),
        longitude_deg: f64::from(i * 137 % 360),
        height_m: 100.0,
    };
    (0..count)
        .map(|i| {
            let waypoints = vec![Waypoint { time: SimTime::ZERO, place: place(i) }];
            Motion::Ground(GroundTrack { body: Body::Earth, waypoints })
        })
        .collect()
}

/// A constellation over stations, sampled motions not included.
struct Fleet {
    ephemeris: Ephemeris,
    satellites: usize,
    trajectories: Vec<Trajectory>,
    radio: RadioSpec,
}

impl Fleet {
    fn new(satellites: u32, planes: u32, ground: u32) -> Self {
        let epoch = Epoch::parse("2026-03-01T00:00:00Z").expect("an epoch");
        let ephemeris = Ephemeris::new(epoch, (SimTime::ZERO, DAY)).expect("an ephemeris");
        let motions = [walker(satellites, planes), stations(ground)].concat();
        let trajectories =
            motions.iter().map(|motion| Trajectory::new(motion, &ephemeris).expect("a motion")).collect();
        Self { ephemeris, satellites: satellites as usize, trajectories, radio: radio() }
    }

    /// The number of contacts of a day between satellites and stations, both directions.
    fn contacts(&self, threads: usize) -> usize {
        let terminals: Vec<Terminal<'_>> = (0..)
            .zip(&self.trajectories)
            .map(|(asset, trajectory)| Terminal {
                asset: AssetIndex(asset),
                radio: 0,
                trajectory,
                spec: &self.radio,
            })
            .collect();
        let in_space = |terminal: &Terminal<'_>| terminal.asset.get() < self.satellites;
        let down_or_up = |one: &Terminal<'_>, other: &Terminal<'_>| in_space(one) != in_space(other);
        let (classes, span) = ([class()], (SimTime::ZERO, DAY));
        let threads = NonZeroUsize::new(threads);
        let plan = find_between(&self.ephemeris, &terminals, &classes, span, threads, &down_or_up);
        plan.expect("contacts").contacts().len()
    }
}

fn benchmarks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("contacts");
    group.sample_size(10).measurement_time(Duration::from_secs(10));
    let pair = Fleet::new(1, 1, 1);
    group.bench_function("one_pair_day", |bencher| bencher.iter(|| black_box(&pair).contacts(1)));
    let hundred = Fleet::new(1, 1, 100);
    group.bench_function("one_satellite_100_stations_day", |bencher| {
        bencher.iter(|| black_box(&hundred).contacts(1));
    });
    let constellation = Fleet::new(1000, 40, 10);
    for threads in [1, 2] {
        let name = format!("walker_1000_over_10_day_{threads}_threads");
        group.bench_function(name, |bencher| bencher.iter(|| black_box(&constellation).contacts(threads)));
    }
    group.finish();
}

criterion_group!(benches, benchmarks);
criterion_main!(benches);
