//! Whole flights: what the simulator costs beside the arithmetic of signatures, and what a second thread brings.
//!
//! `cargo bench --bench flight [-- RUNS]`. Loads: `scenarios/mars_relay.ron` as shipped (7 sols), and the generated fleet
//! of [`fleet`] (190 satellites in 19 planes, 10 stations, two hours), without and with links between satellites. Sinks: the digest, as the fingerprint always costs
//! it; tables, plots and metrics are excluded. Setting out (orbits, contacts, keys) is timed apart. The price of a
//! signature is measured in the same process, on this crate's own `KeyPair` and `PublicKey`, over the same length.

use cosmosmesh::{
    engine::Digest,
    scenario::Scenario,
    sim::{Options, Simulation, Summary},
};
use cosmosmesh_protocol::identity::KeyPair;
use std::{
    fmt::Write as _,
    io::{self, Write as _},
    num::NonZeroUsize,
    ops::ControlFlow,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// Length of a sealed envelope's signed part on `mars_relay`, nearly [bytes].
const SIGNED_BYTES: usize = 240;

fn main() -> io::Result<()> {
    let runs = std::env::args().skip(1).find_map(|text| text.parse().ok()).unwrap_or(3);
    let mut out = io::stdout().lock();
    let (sign, check) = signature_prices();
    writeln!(out, "one signature: made in {sign:.1?}, checked in {check:.1?} (median of 2000, one thread)")?;
    mars_relay(&mut out, runs, sign, check)?;
    threads(&mut out, runs, "Never")?;
    threads(&mut out, runs, "Allowed")
}

fn mars_relay(out: &mut impl io::Write, runs: usize, sign: Duration, check: Duration) -> io::Result<()> {
    let scenario = Scenario::load(Path::new("scenarios/mars_relay.ron"));
    let scenario = Arc::new(scenario.map_err(|error| io::Error::other(error.render()))?);
    let (set_out, single, summary) = median(&scenario, 1, runs);
    let (_, double, _) = median(&scenario, 2, runs);
    let arithmetic = sign * summary.signatures.made as u32 + check * summary.signatures.checked as u32;
    let own = single.saturating_sub(arithmetic);
    let per_event = own.as_secs_f64() * 1e6 / summary.events as f64;
    writeln!(out, "mars_relay: {} events, {:?}", summary.events, summary.signatures)?;
    writeln!(out, "  set out in {set_out:.2?}; flown in {single:.2?} on 1 thread, {double:.2?} on 2")?;
    writeln!(
        out,
        "  signature arithmetic {arithmetic:.2?}; all else {own:.2?} = {per_event:.2} µs per event (target: 2)"
    )?;
    let total = (set_out + double).as_secs_f64();
    writeln!(out, "  set out and flown on 2 threads: {total:.2} s (target: 10)")
}

fn threads(out: &mut impl io::Write, runs: usize, crosslinks: &str) -> io::Result<()> {
    let scenario = Arc::new(
        Scenario::parse("fleet.ron", &fleet(crosslinks)).map_err(|error| io::Error::other(error.render()))?,
    );
    let (_, single, summary) = median(&scenario, 1, runs);
    let (_, double, _) = median(&scenario, 2, runs);
    let ratio = single.as_secs_f64() / double.as_secs_f64();
    writeln!(
        out,
        "190 satellites and 10 stations, crosslinks {crosslinks}: {} events, {:?}",
        summary.events, summary.signatures
    )?;
    writeln!(out, "  {single:.2?} on 1 thread, {double:.2?} on 2: {ratio:.2} times as fast (target: 1.5)")
}

/// Median times of setting out and flying, and what was flown.
fn median(scenario: &Arc<Scenario>, threads: usize, runs: usize) -> (Duration, Duration, Summary) {
    let options =
        Options { threads: NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN), ..Options::default() };
    let mut times = Vec::new();
    let mut fingerprint = None;
    let mut last = None;
    for _ in 0..runs.max(1) {
        let start = now();
        let simulation = Simulation::new(scenario.clone(), options).expect("the scenario can be set out");
        let set_out = start.elapsed();
        let mut digest = Digest::new();
        let start = now();
        let summary =
            simulation.run(&mut digest, &mut |_| ControlFlow::Continue(())).expect("nobody interrupts");
        times.push((start.elapsed(), set_out));
        let found = digest.fingerprint();
        assert_eq!(*fingerprint.get_or_insert(found), found, "equal runs differ");
        last = Some(summary);
    }
    times.sort_unstable();
    let (flown, set_out) = times[times.len() / 2];
    (set_out, flown, last.expect("at least one run"))
}

fn signature_prices() -> (Duration, Duration) {
    let keys = KeyPair::from_seed([7; 32]);
    let message = [0x5a; SIGNED_BYTES];
    let signature = keys.sign(&message);
    let price = |work: &dyn Fn()| {
        let mut times: Vec<Duration> = (0..2000)
            .map(|_| {
                let start = now();
                work();
                start.elapsed()
            })
            .collect();
        times.sort_unstable();
        times[times.len() / 2]
    };
    let sign = price(&|| {
        std::hint::black_box(keys.sign(std::hint::black_box(&message)));
    });
    let check = price(&|| {
        assert!(keys.public().verify(std::hint::black_box(&message), &signature));
    });
    (sign, check)
}

/// A Walker constellation over ten stations, each satellite reporting every ten seconds to the station of its plane.
fn fleet(crosslinks: &str) -> String {
    let mut text = format!(
        "(version: 1, name: \"fleet\", epoch: \"2027-01-01T00:00:00Z\", duration: \"2 h\", seed: 1,\n\
         classes: [(name: \"s-band\", frequency: \"2.2 GHz\", capacity: Fixed(rate: \"1 Mbit/s\", bit_error_rate: 1e-8),\n\
         mtu_bytes: 1024, frame_overhead_bytes: 16, max_range: \"1400 km\", crosslinks: {crosslinks})],\n assets: [\n",
    );
    let stations = [
        (0, 0),
        (20, 40),
        (-20, 80),
        (35, 120),
        (-35, 160),
        (50, -160),
        (-50, -120),
        (60, -80),
        (10, -40),
        (70, 20),
    ];
    for (number, (latitude, longitude)) in stations.iter().enumerate() {
        let _ = writeln!(
            text,
            "(name: \"station-{number}\", kind: GroundStation, node: {}, motion: Site(body: Earth, latitude_deg: {latitude}.0, longitude_deg: {longitude}.0), radios: [(class: \"s-band\", min_elevation_deg: 25.0)]),",
            number + 1
        );
    }
    for number in 0..190 {
        let (plane, place) = (number / 10, number % 10);
        let _ = writeln!(
            text,
            "(name: \"sat-{number}\", kind: Satellite, node: {}, motion: Orbit(body: Earth, model: SecularJ2, elements: Mean(semi_major_axis: \"7000 km\", eccentricity: 0.001, inclination_deg: 70.0, raan_deg: {:.3}, argument_of_periapsis_deg: 0.0, mean_anomaly_deg: {:.3})), radios: [(class: \"s-band\")]),",
            number + 101,
            f64::from(plane) * 360.0 / 19.0,
            f64::from((place * 36 + plane * 7) % 360)
        );
    }
    text.push_str("],\ntraffic: [\n");
    for station in 0..10 {
        let names: Vec<String> = (0..190)
            .filter(|number| number % 10 == station)
            .map(|number| format!("\"sat-{number}\""))
            .collect();
        let _ = writeln!(
            text,
            "(name: \"flow-{station}\", kind: Telemetry, from: [{}], to: [\"station-{station}\"], size_bytes: (100, 200), arrivals: Periodic(interval: \"10 s\", jitter: \"5 s\")),",
            names.join(", ")
        );
    }
    text.push_str("])\n");
    text
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures wall time")]
fn now() -> Instant {
    Instant::now()
}
