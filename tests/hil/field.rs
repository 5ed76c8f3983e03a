//! Scenarios and sessions to test with.

use cosmosmesh::{
    engine::{Digest, Fingerprint, Record, Sink, Tee},
    hil::{
        Binding, ClockMode, Ended, JournalReader, JournalWriter, LagPolicy, Live, Mailbox, Replay, Replayed,
        Session, SessionReport, Setup, open,
    },
    scenario::Scenario,
    sim::{Options, Simulation},
    units::SimTime,
};
use std::{
    fs,
    num::NonZeroUsize,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Three assets with a radio each; `rover` (node 2) is a light second from `relay` (node 3), none from `habitat` (node 1). The link of rover and habitat
/// has a pause from 2 s to 3 s.
pub(crate) fn scenario(folder: &Path, duration: &str, loss: f64, traffic: &str) -> PathBuf {
    let contacts = "a contact +0 +2 1 2 8000\na contact +0 +2 2 1 8000\na contact +3 +600 1 2 8000\na contact +3 +600 2 1 8000\n\
                    a contact +0 +600 2 3 8000\na contact +0 +600 3 2 8000\n\
                    a range +0 +600 1 2 0\na range +0 +600 2 3 1\n";
    fs::write(folder.join("plan.ionrc"), contacts).unwrap();
    let text = format!(
        r#"(
    version: 1,
    name: "field",
    epoch: "2026-11-01T00:00:00Z",
    duration: "{duration}",
    seed: 5,
    contacts: Imported(file: "plan.ionrc", format: Ion),
    classes: [(name: "uhf", frequency: "437 MHz", capacity: Fixed(rate: "64 kbit/s"), mtu_bytes: 512, frame_loss: {loss:?})],
    kits: [(name: "kit", radios: [(class: "uhf")])],
    assets: [
        (name: "habitat", kind: Habitat, node: 1, kit: "kit", motion: Nowhere),
        (name: "rover", kind: Rover, node: 2, kit: "kit", motion: Nowhere),
        (name: "relay", kind: Satellite, node: 3, kit: "kit", motion: Nowhere),
    ],
    protocol: (lifetimes: (normal: "1 h"), retransmission: (max_attempts: 20, min_timeout: "500 ms", ack_delay: "20 ms")),
    traffic: [{traffic}],
)"#
    );
    let path = folder.join("field.ron");
    fs::write(&path, text).unwrap();
    path
}

/// Messages from habitat to rover, and from rover to relay.
pub(crate) fn traffic(interval: &str) -> String {
    format!(
        r#"(name: "down", kind: Command, from: ["habitat"], to: ["rover"], size_bytes: 60, arrivals: Periodic(interval: "{interval}")),
           (name: "over", kind: Telemetry, from: ["relay"], to: ["habitat"], size_bytes: 40, arrivals: Periodic(interval: "{interval}"))"#
    )
}

pub(crate) fn threads(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

/// What a session or a replay reached.
#[derive(Debug)]
pub(crate) struct Reached {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) records: Vec<Record>,
}

/// How a session is to be.
pub(crate) struct Plan<'a> {
    pub(crate) scenario: &'a Path,
    pub(crate) bindings: &'a [String],
    /// Programs that are applications.
    pub(crate) attachments: &'a [String],
    pub(crate) mode: ClockMode,
    pub(crate) policy: LagPolicy,
    pub(crate) links_alone: bool,
    pub(crate) civil_offset: bool,
    pub(crate) threads: usize,
    pub(crate) until: Option<SimTime>,
    /// The mailbox, before the session begins.
    pub(crate) meanwhile: &'a dyn Fn(Arc<Mailbox>),
}

impl<'a> Plan<'a> {
    pub(crate) fn new(scenario: &'a Path, bindings: &'a [String]) -> Self {
        Self {
            scenario,
            bindings,
            attachments: &[],
            mode: ClockMode::Realtime,
            policy: LagPolicy::BestEffort,
            links_alone: false,
            civil_offset: false,
            threads: 1,
            until: None,
            meanwhile: &|_| {},
        }
    }

    /// Runs it, and logs it at `log`.
    pub(crate) fn run(&self, log: &Path) -> (Reached, SessionReport, Ended) {
        let (scenario, files) = Scenario::load_with_files(self.scenario).unwrap();
        let bindings: Vec<Binding> = self.bindings.iter().map(|text| text.parse().unwrap()).collect();
        let mut session = Session::new(&bindings, &scenario).unwrap();
        for text in self.attachments {
            session.attach(&text.parse().unwrap(), &scenario).unwrap();
        }
        session.reality.links_alone = self.links_alone;
        if self.civil_offset {
            let ours = scenario.epoch.dtn_time_ms(SimTime::ZERO).unwrap() as i64;
            session.reality.civil_offset_ms = cosmosmesh::hil::dtn_now_ms() - ours;
        }
        let mailbox = Arc::new(Mailbox::new(session.bindings.len()));
        let wires = open(&bindings, &session, &scenario, &mailbox).unwrap();
        let words = (self.mode.to_string(), self.policy.to_string());
        let header = session.header(&scenario, files, scenario.seed, self.until, words);
        let journal = JournalWriter::create(log, &header).unwrap();
        let door = session.door(&scenario);
        (self.meanwhile)(mailbox.clone());
        let stop = Box::new(|| false);
        let (mode, policy) = (self.mode, self.policy);
        let mut live = Live::new(Setup { mode, policy, door, wires, mailbox, journal, since: None, stop });
        let options = Options { threads: threads(self.threads), until: self.until, ..Options::default() };
        let simulation = Simulation::beside(Arc::new(scenario), options, session.reality).unwrap();
        let (reached, end) = run(&simulation, &mut live);
        let ended = live.ended().clone();
        let report = live.finish(end, reached.fingerprint).unwrap();
        (reached, report, ended)
    }
}

pub(crate) fn run(simulation: &Simulation, outside: &mut dyn cosmosmesh::sim::Outside) -> (Reached, SimTime) {
    let (mut digest, mut records) = (Digest::new(), Vec::new());
    let mut tee = Tee::new().with(&mut digest).with(&mut records as &mut dyn Sink);
    let summary = simulation.run_beside(outside, &mut tee, &mut |_| ControlFlow::Continue(())).unwrap();
    (Reached { fingerprint: digest.fingerprint(), records }, summary.end)
}

/// Replays a log.
pub(crate) fn replay(log: &Path, count: usize) -> (Reached, Replayed) {
    let (reader, header) = JournalReader::open(log).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = header.unpack(folder.path()).unwrap().unwrap();
    let scenario = Scenario::load(&path).unwrap();
    let session = Session::of_header(&header, &scenario).unwrap();
    let mut replay = Replay::new(reader, session.door(&scenario), session.framings.len());
    let until = header.until_ns.map(SimTime);
    let options = Options { seed: Some(header.seed), threads: threads(count), until, ..Options::default() };
    let simulation = Simulation::beside(Arc::new(scenario), options, session.reality).unwrap();
    let (reached, _) = run(&simulation, &mut replay);
    (reached, replay.finish().unwrap())
}

/// A replay on one thread and on two is the live session, in trace and in what went out.
pub(crate) fn assert_replays(log: &Path, live: &Reached) {
    for count in [1, 2] {
        let (again, found) = replay(log, count);
        if again.fingerprint != live.fingerprint {
            let differ = again.records.iter().zip(&live.records).position(|(one, other)| one != other);
            let place = differ.unwrap_or_else(|| again.records.len().min(live.records.len()));
            panic!(
                "{count} threads: record {place} of {} and {}: replay {:?}, live {:?}",
                again.records.len(),
                live.records.len(),
                again.records.get(place),
                live.records.get(place)
            );
        }
        assert_eq!((found.different, found.missing), (None, 0), "{count} threads");
        assert_eq!(found.end.unwrap().fingerprint, live.fingerprint);
    }
}

/// A free port of this machine; it stays free unless another process is given it meanwhile.
pub(crate) fn port() -> u16 {
    std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(crate) fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}
