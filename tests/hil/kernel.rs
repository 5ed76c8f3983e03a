//! The seam in the kernel, with scripted frames: no clock, no socket.

use super::field;
use cosmosmesh::{
    engine::RecordKind,
    scenario::Scenario,
    sim::{
        Arrival, BindError, Departure, Entrance, Grant, Interface, Options, Outside, Part, Reality, SimError,
        Simulation,
    },
    units::{AssetIndex, SimTime},
};
use std::{path::Path, sync::Arc};

const HABITAT: AssetIndex = AssetIndex(0);
const ROVER: AssetIndex = AssetIndex(1);
const RELAY: AssetIndex = AssetIndex(2);

/// Frames at set times, and grants of a set length.
struct Script {
    frames: Vec<Arrival>,
    slice: SimTime,
    granted: SimTime,
    out: Vec<Departure>,
    end: Option<SimTime>,
}

impl Script {
    fn new(frames: Vec<Arrival>, slice: SimTime) -> Self {
        Self { frames, slice, granted: SimTime::ZERO, out: Vec::new(), end: None }
    }
}

impl Outside for Script {
    fn grant(&mut self, next: SimTime, arrivals: &mut Vec<Arrival>) -> Grant {
        if self.end.is_some_and(|end| self.granted >= end) {
            return Grant::End(self.granted);
        }
        // With whole frames in hand, the kernel may sleep over empty time; with a slice it may not.
        let until =
            (self.granted + self.slice).max(if self.slice.0 > 1_000_000_000 { next } else { SimTime::ZERO });
        let until = self.end.map_or(until, |end| until.min(end));
        let due = self.frames.iter().take_while(|frame| frame.time < until).count();
        arrivals.extend(self.frames.drain(..due));
        self.granted = until;
        Grant::Until(until)
    }

    fn depart(&mut self, departures: &mut Vec<Departure>) {
        self.out.append(departures);
    }
}

fn interface(asset: AssetIndex, peer: Option<AssetIndex>) -> Interface {
    Interface { asset, radio: 0, peer, part: Part::Node }
}

fn frame(ms: i64, interface: u32, bytes: &[u8]) -> Arrival {
    Arrival { time: SimTime(ms * 1_000_000), interface, entrance: Entrance::Air, bytes: bytes.to_vec() }
}

fn simulation(path: &Path, reality: Reality, threads: usize) -> Result<Simulation, SimError> {
    let options = Options { threads: field::threads(threads), ..Options::default() };
    Simulation::beside(Arc::new(Scenario::load(path).unwrap()), options, reality)
}

fn links_alone(interfaces: Vec<Interface>) -> Reality {
    Reality { interfaces, links_alone: true, civil_offset_ms: 0 }
}

#[test]
fn a_frame_flies_the_link_with_its_airtime_delay_and_windows() {
    let folder = tempfile::tempdir().unwrap();
    let path = field::scenario(folder.path(), "10 s", 0.0, "");
    let reality = links_alone(vec![
        interface(ROVER, Some(HABITAT)),
        interface(ROVER, Some(RELAY)),
        interface(HABITAT, None),
        interface(RELAY, None),
    ]);
    let simulation = simulation(&path, reality, 1).unwrap();
    // 100 bytes at 64 kbit/s are 12.5 ms on air. The second waits for the first; the third is for the relay, a light second away; the
    // fourth comes in the pause of the contact; the fifth leaves before it and would end in it.
    let bytes = [0x11; 100];
    let frames = vec![
        frame(1000, 0, &bytes),
        frame(1000, 0, &bytes),
        frame(1500, 1, &bytes),
        frame(1995, 0, &bytes),
        frame(2500, 0, &bytes),
        frame(3500, 2, &bytes),
    ];
    let mut script = Script::new(frames, SimTime::from_secs(100));
    let (reached, _) = field::run(&simulation, &mut script);
    let out: Vec<(i64, u32, AssetIndex)> =
        script.out.iter().map(|one| (one.time.0 / 1000, one.interface, one.from)).collect();
    let expected =
        [(1_012_500, 2, ROVER), (1_025_000, 2, ROVER), (2_512_500, 3, ROVER), (3_512_500, 0, HABITAT)];
    assert_eq!(out, expected);
    assert!(script.out.iter().all(|one| one.bytes == bytes));
    let refused = |reason| RecordKind::InputRefused { reason };
    assert_eq!(reached.records.iter().filter(|one| one.kind == refused("outside_no_contact")).count(), 1);
    let lost = reached.records.iter().filter(|one| matches!(one.kind, RecordKind::FrameLost { .. })).count();
    assert_eq!(lost, 1, "the window cut one");
}

#[test]
fn without_a_peer_what_is_sent_reaches_all_that_the_radio_serves() {
    let folder = tempfile::tempdir().unwrap();
    let path = field::scenario(folder.path(), "10 s", 0.0, "");
    let reality = links_alone(vec![interface(ROVER, None), interface(HABITAT, None), interface(RELAY, None)]);
    let simulation = simulation(&path, reality, 1).unwrap();
    let mut script = Script::new(vec![frame(1000, 0, &[1; 100])], SimTime::from_secs(100));
    field::run(&simulation, &mut script);
    let out: Vec<(i64, u32)> = script.out.iter().map(|one| (one.time.0 / 1000, one.interface)).collect();
    assert_eq!(out, [(1_012_500, 1), (2_012_500, 2)], "one transmission, two receptions");
}

#[test]
fn a_flood_fills_the_radios_queue_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = field::scenario(folder.path(), "10 s", 0.0, "");
    let reality = links_alone(vec![interface(ROVER, Some(RELAY)), interface(RELAY, None)]);
    let simulation = simulation(&path, reality, 1).unwrap();
    let flood = (0..5000).map(|_| frame(1000, 0, &[7; 64])).collect();
    let mut script = Script::new(flood, SimTime::from_secs(100));
    let (reached, _) = field::run(&simulation, &mut script);
    let full = RecordKind::InputRefused { reason: "outside_queue_full" };
    let full = reached.records.iter().filter(|one| one.kind == full).count();
    // What waits at the door, what waits in the radio, and the one on air.
    assert!(
        script.out.len() <= 256 + 64 + 1 && script.out.len() + full == 5000,
        "{} out, {full} refused",
        script.out.len()
    );
}

/// Frames of all kinds, some of them garbage, some at the same moment, at simulated nodes.
fn garbage() -> Vec<Arrival> {
    let mut frames = Vec::new();
    for number in 0..400_i64 {
        let bytes: Vec<u8> =
            (0..(number * 37 % 300) + 1).map(|place| (number * 31 + place * 7) as u8).collect();
        let mut bytes = bytes;
        // Every third looks like a frame of ours.
        if number % 3 == 0 {
            bytes[0] = 0x40 + (number % 4) as u8;
        }
        frames.push(Arrival { interface: (number % 2) as u32, ..frame(number / 4 * 40, 0, &bytes) });
    }
    frames
}

#[test]
fn the_trace_depends_on_frames_and_stamps_and_not_on_how_time_is_granted() {
    let folder = tempfile::tempdir().unwrap();
    let path = field::scenario(folder.path(), "8 s", 0.1, &field::traffic("200 ms"));
    let reality = || Reality {
        interfaces: vec![interface(ROVER, Some(HABITAT)), interface(ROVER, Some(RELAY))],
        ..Reality::default()
    };
    let mut found = Vec::new();
    for threads in [1, 2] {
        for slice in
            [SimTime(1_000_000), SimTime(7_777_777), SimTime(400 * 1_000_000), SimTime::from_secs(100)]
        {
            let simulation = simulation(&path, reality(), threads).unwrap();
            let mut script = Script::new(garbage(), slice);
            let (reached, _) = field::run(&simulation, &mut script);
            assert!(!script.out.is_empty());
            found.push((reached.fingerprint, script.out));
        }
    }
    assert!(found.windows(2).all(|pair| pair[0] == pair[1]), "eight ways, one trace");
}

#[test]
fn a_session_that_ends_early_has_the_trace_up_to_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = field::scenario(folder.path(), "8 s", 0.0, &field::traffic("200 ms"));
    let reality = || Reality { interfaces: vec![interface(ROVER, None)], ..Reality::default() };
    let run = |slice| {
        let mut script = Script::new(garbage(), slice);
        for one in &mut script.frames {
            one.interface = 0;
        }
        script.end = Some(SimTime(4321 * 1_000_000));
        let (reached, end) = field::run(&simulation(&path, reality(), 1).unwrap(), &mut script);
        assert_eq!(end, SimTime(4321 * 1_000_000));
        assert!(reached.records.iter().all(|one| one.time <= end));
        reached.fingerprint
    };
    assert_eq!(run(SimTime(3_000_000)), run(SimTime::from_secs(100)));
}

#[test]
fn what_does_not_fit_the_scenario_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = field::scenario(folder.path(), "8 s", 0.0, "");
    let refused = |reality| match simulation(&path, reality, 1).err() {
        Some(SimError::Bind(error)) => error,
        other => panic!("{other:?}"),
    };
    let wrong = Interface { radio: 3, ..interface(ROVER, None) };
    assert!(matches!(refused(links_alone(vec![wrong])), BindError::Radio { radio: 3, radios: 1, .. }));
    let twice = vec![interface(ROVER, None), interface(ROVER, None)];
    assert!(matches!(refused(links_alone(twice)), BindError::Twice { .. }));
    let smoke = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/smoke.ron");
    let reality = Reality { interfaces: vec![interface(ROVER, None)], ..Reality::default() };
    let member = simulation(smoke.as_ref(), reality, 1).err();
    assert!(matches!(member, Some(SimError::Bind(BindError::Module { what: "shared state", .. }))));
}

/// Hands frames from one interface to the other after a while, and loses some.
struct RealAir {
    under_way: Vec<Arrival>,
    granted: SimTime,
    count: usize,
    out: Vec<Departure>,
}

impl Outside for RealAir {
    fn grant(&mut self, _next: SimTime, arrivals: &mut Vec<Arrival>) -> Grant {
        self.granted += SimTime(10_000_000);
        let granted = self.granted;
        arrivals.extend(self.under_way.extract_if(.., |one| one.time < granted));
        Grant::Until(granted)
    }

    fn depart(&mut self, departures: &mut Vec<Departure>) {
        for one in departures.drain(..) {
            self.count += 1;
            if !self.count.is_multiple_of(10) {
                let time = one.time.max(self.granted) + SimTime(30_000_000);
                let interface = 1 - one.interface;
                self.under_way.push(Arrival {
                    time,
                    interface,
                    entrance: Entrance::Air,
                    bytes: one.bytes.clone(),
                });
            }
            self.out.push(one);
        }
    }
}

#[test]
fn between_two_simulated_nodes_a_real_way_carries_frames_and_the_link_adds_its_light_time_and_windows() {
    let folder = tempfile::tempdir().unwrap();
    let path = field::scenario(folder.path(), "8 s", 0.0, &field::traffic("200 ms"));
    let way = |asset, peer| Interface { part: Part::Way, ..interface(asset, Some(peer)) };
    let reality = || Reality { interfaces: vec![way(ROVER, RELAY), way(RELAY, ROVER)], ..Reality::default() };
    let mut found = Vec::new();
    for threads in [1, 2] {
        let simulation = simulation(&path, reality(), threads).unwrap();
        let mut air = RealAir { under_way: Vec::new(), granted: SimTime::ZERO, count: 0, out: Vec::new() };
        let (reached, _) = field::run(&simulation, &mut air);
        let delivered: Vec<SimTime> = reached
            .records
            .iter()
            .filter_map(|one| match one.kind {
                RecordKind::Delivered { source: RELAY, latency, .. } if one.asset == HABITAT => Some(latency),
                _ => None,
            })
            .collect();
        assert!(delivered.len() > 15, "{delivered:?}");
        // The real air takes 30 ms and more, and the virtual link a light second.
        assert!(delivered.iter().all(|latency| *latency >= SimTime(1_030_000_000)), "{delivered:?}");
        found.push((reached.fingerprint, air.out));
    }
    assert_eq!(found[0], found[1]);
    let half = vec![Interface { peer: None, ..way(ROVER, RELAY) }];
    let refused = simulation(&path, Reality { interfaces: half, ..Reality::default() }, 1).err();
    assert!(matches!(refused, Some(SimError::Bind(BindError::Way { .. }))));
}

#[test]
fn frames_for_all_outlive_the_window_of_one_and_those_that_are_lost_are_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let path = field::scenario(folder.path(), "10 s", 0.0, "");
    let lost = RecordKind::InputRefused { reason: "outside_lost" };
    // Thirty frames of 50 ms on air, a tenth of a second before the habitat is gone.
    let frames = |interface| (0..30).map(|_| frame(1900, interface, &[7; 400])).collect();
    let reality = links_alone(vec![interface(ROVER, None), interface(RELAY, None)]);
    let mut script = Script::new(frames(0), SimTime::from_secs(100));
    let (reached, _) = field::run(&simulation(&path, reality, 1).unwrap(), &mut script);
    assert_eq!(script.out.len(), 30, "the relay hears them all");
    assert!(reached.records.iter().all(|one| one.kind != lost));
    let reality = links_alone(vec![interface(ROVER, Some(HABITAT)), interface(HABITAT, None)]);
    let mut script = Script::new(frames(0), SimTime::from_secs(100));
    let (reached, _) = field::run(&simulation(&path, reality, 1).unwrap(), &mut script);
    let count =
        |wanted: fn(&RecordKind) -> bool| reached.records.iter().filter(|one| wanted(&one.kind)).count();
    let sent = count(|kind| matches!(kind, RecordKind::FrameSent { .. }));
    let lost = count(|kind| *kind == RecordKind::InputRefused { reason: "outside_lost" });
    assert!(sent >= 2 && lost > 20 && sent + lost == 30, "{sent} sent, {lost} lost");
}
