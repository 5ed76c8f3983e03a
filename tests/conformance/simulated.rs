//! The simulator's driver: two [`Runtime`]s of a real scenario, in simulated time.

use super::{Air, Delivered, Driver, Side};
use cosmosmesh::{
    engine::{MessageKind, RandomStreams, Record, RecordKind},
    runtime::{Fleet, Runtime, Storage},
    scenario::Scenario,
    units::{AssetIndex, SimTime},
    world::Writing,
};
use cosmosmesh_protocol::{
    dtn::{
        contact_plan::{ContactPlan, PlannedContact},
        store::Priority,
    },
    envelope::Purpose,
    id::NodeId,
    node::{Convergence, LinkId, LinkUp, Node, Submission},
    time::Instant,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

const SCENARIO: &str = r#"(
    version: 1,
    name: "pair",
    epoch: "2026-11-01T00:00:00Z",
    duration: "1 d",
    classes: [(name: "uhf", frequency: "437 MHz", capacity: Fixed(rate: "64 kbit/s"))],
    kits: [(name: "surface", radios: [(class: "uhf", min_elevation_deg: -90.0)])],
    assets: [
        (name: "a", kind: Habitat, node: 1, kit: "surface", motion: Site(body: Mars, latitude_deg: 18.44, longitude_deg: 77.45)),
        (name: "b", kind: Rover, node: 2, kit: "surface", motion: Site(body: Mars, latitude_deg: 18.45, longitude_deg: 77.45)),
    ],
    protocol: (retransmission: (max_attempts: 100, min_timeout: "5 s", ack_delay: "500 ms")),
    shared_state: (members: ["@all"], writes: Poisson(mean: "1 d"), push_interval: "2 s"),
)"#;
/// As the scenario says.
const NODES: [NodeId; 2] = [NodeId(1), NodeId(2)];
const RATE_BPS: i64 = 64_000;
const LIGHT_TIME: SimTime = SimTime::from_secs(1);
/// The link's number at both ends.
const LINK: u32 = 0;

/// What happens to a frame on its way; `false`: it is lost.
type Effect = Box<dyn FnMut(&mut Vec<u8>) -> bool>;

enum Event {
    Frame(Side, Vec<u8>),
    RadioFree(Side),
    Timer(Side),
}

struct Host {
    runtime: Runtime,
    storage: Storage,
    trace: Vec<Record>,
    radio_free: SimTime,
}

pub(super) struct SimulatedPair {
    now: SimTime,
    streams: RandomStreams,
    plan: ContactPlan,
    hosts: [Host; 2],
    /// By time, then by the order in which they were caused.
    queue: BTreeMap<(SimTime, u64), Event>,
    caused: u64,
    air: Effect,
}

impl SimulatedPair {
    pub(super) fn new() -> Self {
        let scenario = Arc::new(Scenario::parse("pair.ron", SCENARIO).expect("a valid scenario"));
        let streams = RandomStreams::new(7);
        let fleet = Arc::new(Fleet::new(scenario, streams).expect("there is no plan to be wrong"));
        let contact = |from: usize, to: usize| PlannedContact {
            from: NODES[from],
            to: NODES[to],
            start: Instant::ZERO,
            end: Instant::ZERO.saturating_add(Duration::from_secs(86_400)),
            rate_bps: RATE_BPS as u64,
            owlt: Duration::from_nanos(LIGHT_TIME.as_nanos() as u64),
        };
        let plan = ContactPlan::from_contacts([contact(0, 1), contact(1, 0)]).expect("a plain plan");
        let host = |number| {
            let runtime = Runtime::new(AssetIndex(number), fleet.clone(), &streams, SimTime::ZERO);
            let (storage, trace, radio_free) = (Storage::default(), Vec::new(), SimTime::ZERO);
            Host { runtime, storage, trace, radio_free }
        };
        let hosts = [host(0), host(1)];
        let air = Box::new(Air::Clear.effect());
        let mut pair =
            Self { now: SimTime::ZERO, streams, plan, hosts, queue: BTreeMap::new(), caused: 0, air };
        for side in [Side::A, Side::B] {
            let plan = pair.plan.clone();
            pair.with(side, |host, now| host.runtime.brief(now, &plan, &mut host.storage, &mut host.trace));
            pair.connect(side);
        }
        pair
    }

    fn connect(&mut self, side: Side) {
        let peer = NODES[1 - side as usize];
        let up = LinkUp {
            link: LinkId(LINK),
            peer,
            mtu: 512,
            rate_bps: RATE_BPS as u64,
            until: None,
            convergence: Convergence::SmallFrame,
            session: false,
        };
        self.with(side, |host, now| host.runtime.link_up(now, up, &mut host.storage, &mut host.trace));
    }

    /// One input, and then what the simulator does after every input: frames onto the free radio, and the next timer.
    fn with(&mut self, side: Side, input: impl FnOnce(&mut Host, SimTime)) {
        let now = self.now;
        input(&mut self.hosts[side as usize], now);
        while self.hosts[side as usize].radio_free <= now {
            let host = &mut self.hosts[side as usize];
            let Some(mut frame) = host.runtime.poll_transmit(now, LINK) else { break };
            let airtime = SimTime(frame.len() as i64 * 8 * 1_000_000_000 / RATE_BPS);
            host.radio_free = now + airtime;
            self.cause(now + airtime, Event::RadioFree(side));
            if (self.air)(&mut frame) {
                let to = if side == Side::A { Side::B } else { Side::A };
                self.cause(now + airtime + LIGHT_TIME, Event::Frame(to, frame));
            }
        }
        if let Some(due) = self.hosts[side as usize].runtime.next_timer(&self.hosts[side as usize].storage) {
            self.cause(due.max(now), Event::Timer(side));
        }
    }

    fn cause(&mut self, time: SimTime, event: Event) {
        self.caused += 1;
        self.queue.insert((time, self.caused), event);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Frame(side, bytes) => self.hear(side, &bytes),
            Event::RadioFree(side) => self.with(side, |_, _| {}),
            Event::Timer(side) => self.time_out(side),
        }
    }

    fn numbers(&self, at: Side, number: impl Fn(&RecordKind) -> Option<u64>) -> Vec<u64> {
        self.hosts[at as usize].trace.iter().filter_map(|record| number(&record.kind)).collect()
    }
}

impl Driver for SimulatedPair {
    fn submit(&mut self, from: Side, bytes: usize) {
        let submission = Submission {
            destination: NODES[1 - from as usize],
            purpose: Purpose::Telemetry,
            priority: Priority::Normal,
            lifetime: Duration::from_secs(7200),
            payload: vec![0x55; bytes],
        };
        self.with(from, |host, now| {
            host.runtime.submit(now, submission, &mut host.storage, &mut host.trace);
        });
    }

    fn write(&mut self, at: Side, key: &str, value: &str) {
        let writing = Writing::MapPut(key.into(), value.into());
        self.with(at, |host, now| host.runtime.write(now, &writing, &mut host.storage, &mut host.trace));
    }

    /// Half a second: a quarter of the light time there and back.
    fn pass(&mut self) {
        let end = self.now + SimTime(500_000_000);
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > end {
                break;
            }
            let ((time, _), event) = entry.remove_entry();
            self.now = time;
            self.happen(event);
        }
        self.now = end;
    }

    fn air(&mut self, air: Air) {
        self.air = Box::new(air.effect());
    }

    fn hear(&mut self, at: Side, bytes: &[u8]) {
        self.with(at, |host, now| {
            host.runtime.frame(now, LINK, bytes, &mut host.storage, &mut host.trace);
        });
    }

    fn crash(&mut self, at: Side) {
        let streams = self.streams;
        self.with(at, |host, now| host.runtime.crash(now, &streams, &mut host.storage, &mut host.trace));
    }

    fn restore(&mut self, at: Side) {
        let (streams, plan) = (self.streams, self.plan.clone());
        self.with(at, |host, now| {
            host.runtime.restart(now, &streams, &plan, &mut host.storage, &mut host.trace);
        });
        self.connect(at);
    }

    /// The simulated disk takes no time.
    fn stall_disk(&mut self, _: Side, _: bool) -> bool {
        false
    }

    fn time_out(&mut self, at: Side) {
        self.with(at, |host, now| host.runtime.timeout(now, &mut host.storage, &mut host.trace));
    }

    fn now(&self, _: Side) -> Instant {
        Instant::from_nanos(self.now.as_nanos() as u64)
    }

    fn node(&self, at: Side) -> &Node {
        self.hosts[at as usize].runtime.node().expect("it is running")
    }

    fn kept(&self, at: Side) -> &BTreeMap<Vec<u8>, Vec<u8>> {
        self.hosts[at as usize].storage.records()
    }

    fn delivered(&self, at: Side) -> Vec<Delivered> {
        let delivered = self.hosts[at as usize].trace.iter().filter_map(|record| match record.kind {
            RecordKind::Delivered { kind: MessageKind::Telemetry, sequence, bytes, .. } => {
                Some((sequence, bytes as usize))
            }
            _ => None,
        });
        delivered.collect()
    }

    fn accepted(&self, at: Side) -> Vec<u64> {
        self.numbers(at, |kind| match kind {
            RecordKind::Submitted { kind: MessageKind::Telemetry, sequence, .. } => Some(*sequence),
            _ => None,
        })
    }

    fn acknowledged(&self, at: Side) -> Vec<u64> {
        self.numbers(at, |kind| match kind {
            RecordKind::Acknowledged { kind: MessageKind::Telemetry, sequence, .. } => Some(*sequence),
            _ => None,
        })
    }

    fn retransmissions(&self, at: Side) -> usize {
        let again = |kind: &RecordKind| match kind {
            RecordKind::Retransmitted { kind: MessageKind::Telemetry, sequence, .. } => Some(*sequence),
            _ => None,
        };
        self.numbers(at, again).len()
    }
}
