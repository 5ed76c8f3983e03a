//! Routing studies: a replayed trace of contacts, and a generated plan of satellites, end nodes and ground stations.
//!
//! `cargo bench --bench study [-- replay | growth | idle | day | envelopes]`. Every load is flown once on one thread with the digest as its sink;
//! reading and checking the scenario, setting out and flying are timed apart. [`Plan`] is the generator of the plan (seeded, DtnSim's shape and
//! size); `-- --plan FILE` writes it for other simulators and stops, and `-- --folder DIR LOAD` leaves the scenarios there.

use cosmosmesh::{
    engine::{Digest, RandomStreams, Stream},
    scenario::Scenario,
    sim::{Options, Simulation, Summary},
};
use cosmosmesh_protocol::identity::KeyPair;
use std::{
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    ops::ControlFlow,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// A contact plan and messages over a day.
struct Plan {
    satellites: u32,
    end_nodes: u32,
    stations: u32,
    /// Both directions count.
    contacts: u32,
    messages: u32,
}

/// The plan of 122 nodes.
const DAY: Plan = Plan { satellites: 12, end_nodes: 100, stations: 10, contacts: 4800, messages: 100_000 };
/// Length of each contact [s].
const CONTACT_S: u64 = 300;
/// A day [s].
const DAY_S: u64 = 86_400;
/// Length of each payload [bytes].
const PAYLOAD: u32 = 100;
/// Length of a sealed envelope's signed part with such a payload, nearly [bytes].
const SIGNED_BYTES: usize = 160;

impl Plan {
    fn nodes(&self) -> u32 {
        self.satellites + self.end_nodes + self.stations
    }

    /// The plan as A-SABR's text: satellites are nodes from 1, then end nodes, then stations. Each pair of contacts joins a satellite, in turn, with
    /// a node on the ground drawn at random, at a random time: one in three a station.
    fn contacts(&self) -> String {
        let mut rng = RandomStreams::new(1).stream(Stream::Workload, 1);
        let mut text = String::new();
        for pair in 0..self.contacts / 2 {
            let satellite = 1 + pair % self.satellites;
            let ground = if rng.range(3) == 0 {
                1 + self.satellites + self.end_nodes + rng.range(u64::from(self.stations)) as u32
            } else {
                1 + self.satellites + rng.range(u64::from(self.end_nodes)) as u32
            };
            let start = rng.range(DAY_S - CONTACT_S);
            let end = start + CONTACT_S;
            for (from, to) in [(satellite, ground), (ground, satellite)] {
                let _ = writeln!(text, "contact {from} {to} {start} {end} 125000 0.01");
            }
        }
        text
    }

    /// Messages from end nodes in turn to stations drawn at random, evenly over the first half of the day.
    fn messages(&self) -> String {
        let mut rng = RandomStreams::new(1).stream(Stream::Workload, 2);
        let mut text = String::new();
        for number in 0..self.messages {
            let time = f64::from(number) * (DAY_S / 2) as f64 / f64::from(self.messages);
            let from = 1 + self.satellites + number % self.end_nodes;
            let to = 1 + self.satellites + self.end_nodes + rng.range(u64::from(self.stations)) as u32;
            let _ = writeln!(text, "{time:.3} m{number} {PAYLOAD} n{from} n{to}");
        }
        text
    }

    fn scenario(&self, folder: &Path, service: &str) -> io::Result<Arc<Scenario>> {
        fs::write(folder.join("plan.txt"), self.contacts())?;
        fs::write(folder.join("messages.txt"), self.messages())?;
        let text = format!(
            r#"(version: 1, name: "plan", epoch: "2026-11-01T00:00:00Z", duration: "1 d",
            classes: [(name: "link", frequency: "2 GHz", capacity: Fixed(rate: "1 Mbit/s"))],
            kits: [(name: "node", radios: [(class: "link")], storage: (capacity: "1 GB", bundles: 1000000, transit: Lost))],
            hosts: [(prefix: "n", count: {}, first: 1, node: 1, kind: Rover, kit: "node")],
            contacts: Imported(file: "plan.txt", format: Asabr),
            protocol: (service: {service}),
            messages: (file: "messages.txt", lifetime: "1 d"))"#,
            self.nodes()
        );
        let path = folder.join("plan.ron");
        fs::write(&path, text)?;
        load(&path)
    }
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(at) = arguments.iter().position(|text| text == "--plan") {
        let file = arguments.get(at + 1).ok_or_else(|| io::Error::other("--plan FILE"))?;
        return fs::write(file, DAY.contacts());
    }
    let mut out = io::stdout().lock();
    let kept = arguments.iter().position(|text| text == "--folder").and_then(|at| arguments.get(at + 1));
    let temporary = std::env::temp_dir().join(format!("cosmosmesh-study-{}", std::process::id()));
    let folder = kept.map_or(temporary.as_path(), Path::new);
    fs::create_dir_all(folder)?;
    let loads: [(&str, Load); 5] =
        [("replay", replay), ("growth", growth), ("idle", idle), ("day", day), ("envelopes", envelopes)];
    let named = loads.iter().any(|(name, _)| arguments.iter().any(|text| text == name));
    let chosen = loads.iter().filter(|(name, _)| !named || arguments.iter().any(|text| text == name));
    let result = chosen.into_iter().try_for_each(|(_, load)| load(&mut out, folder));
    if kept.is_none() {
        fs::remove_dir_all(folder)?;
    }
    result
}

/// Flies a load, given a folder to write scenarios to, and tells what it took.
type Load = fn(&mut io::StdoutLock<'static>, &Path) -> io::Result<()>;

fn replay(out: &mut io::StdoutLock<'static>, _: &Path) -> io::Result<()> {
    for name in ["helsinki_epidemic", "helsinki_direct", "helsinki_spray"] {
        let path = Path::new("scenarios").join(format!("{name}.ron"));
        let started = clock();
        let scenario = load(&path)?;
        report(out, name, started, &scenario)?;
        let text = fs::read_to_string(&path)?.replace("size_only: true", "size_only: false");
        let real = Path::new("scenarios").join(format!(".{name}_real.ron"));
        fs::write(&real, text)?;
        let started = clock();
        let scenario = load(&real);
        fs::remove_file(&real)?;
        report(out, &format!("{name}, real bytes"), started, &scenario?)?;
    }
    Ok(())
}

/// Equal traffic and contacts per node.
fn growth(out: &mut io::StdoutLock<'static>, folder: &Path) -> io::Result<()> {
    let mut flown = Vec::new();
    for fifty in [1, 4] {
        let plan = Plan {
            satellites: 5 * fifty,
            end_nodes: 41 * fifty,
            stations: 4 * fifty,
            contacts: 2000 * fifty,
            messages: 10_000 * fifty,
        };
        let started = clock();
        let folder = &folder.join(format!("nodes-{}", plan.nodes()));
        fs::create_dir_all(folder)?;
        let scenario = plan.scenario(folder, "Datagrams(size_only: true)")?;
        flown.push(report(out, &format!("{} nodes", plan.nodes()), started, &scenario)?.0);
    }
    writeln!(
        out,
        "  200 nodes cost {:.2} times 50 (target: 5)",
        flown[1].as_secs_f64() / flown[0].as_secs_f64()
    )
}

/// A busy hour, alone and before 23 hours in which nothing happens.
fn idle(out: &mut io::StdoutLock<'static>, folder: &Path) -> io::Result<()> {
    let mut flown = Vec::new();
    for duration in ["1 h", "24 h"] {
        let path = folder.join("idle.ron");
        let text = format!(
            r#"(version: 1, name: "idle", epoch: "2026-11-01T00:00:00Z", duration: "{duration}",
            classes: [(name: "link", frequency: "2 GHz", capacity: Fixed(rate: "1 Mbit/s"))],
            kits: [(name: "node", radios: [(class: "link")], storage: (capacity: "1 GB", bundles: 1000000, transit: Lost))],
            hosts: [(prefix: "n", count: 10, first: 1, node: 1, kind: Rover, kit: "node")],
            contacts: Imported(file: "idle.txt", format: Asabr),
            protocol: (service: Datagrams(size_only: true)),
            messages: (file: "idle-messages.txt", lifetime: "10 min"))"#
        );
        let mut contacts = String::new();
        for (from, to) in (1..10).flat_map(|node| [(node, node + 1), (node + 1, node)]) {
            let _ = writeln!(contacts, "contact {from} {to} 0 3600 125000 0.01");
        }
        let message =
            |number: u32| format!("{:.3} m{number} 100 n{} n10\n", f64::from(number) / 10.0, 1 + number % 9);
        fs::write(folder.join("idle.txt"), contacts)?;
        fs::write(folder.join("idle-messages.txt"), (0..30_000).map(message).collect::<String>())?;
        fs::write(&path, text)?;
        let started = clock();
        flown.push(report(out, &format!("a busy hour of {duration}"), started, &load(&path)?)?.0);
    }
    writeln!(out, "  24 h cost {:.2} times the busy hour", flown[1].as_secs_f64() / flown[0].as_secs_f64())
}

fn day(out: &mut io::StdoutLock<'static>, folder: &Path) -> io::Result<()> {
    for (title, service) in [
        ("122 nodes, 100,000 bundles, size only", "Datagrams(size_only: true)"),
        ("122 nodes, 100,000 bundles, real bytes", "Datagrams(size_only: false)"),
    ] {
        let started = clock();
        let scenario = DAY.scenario(folder, service)?;
        report(out, title, started, &scenario)?;
    }
    Ok(())
}

/// The day with envelopes, and beside it bare signatures: as many made and checked, by as many keys, over as many bytes.
fn envelopes(out: &mut io::StdoutLock<'static>, folder: &Path) -> io::Result<()> {
    let started = clock();
    let scenario = DAY.scenario(folder, "Streams")?;
    let (total, summary) = report(out, "122 nodes, 100,000 messages, envelopes", started, &scenario)?;
    let signatures = summary.signatures;
    let arithmetic = bare(signatures.made, signatures.checked);
    let ratio = total.as_secs_f64() / arithmetic.as_secs_f64();
    writeln!(out, "  {signatures:?}, bare: {arithmetic:.2?}; ratio {ratio:.2} (target: 1.25)")
}

fn load(path: &Path) -> io::Result<Arc<Scenario>> {
    Scenario::load(path).map(Arc::new).map_err(|mistakes| io::Error::other(mistakes.render()))
}

/// Sets out and flies; returns the whole time since `started`, before the scenario was read.
fn report(
    out: &mut impl io::Write,
    title: &str,
    started: Instant,
    scenario: &Arc<Scenario>,
) -> io::Result<(Duration, Summary)> {
    let read = started.elapsed();
    let simulation = Simulation::new(scenario.clone(), Options::default()).map_err(io::Error::other)?;
    let set_out = started.elapsed();
    let mut digest = Digest::new();
    let summary =
        simulation.run(&mut digest, &mut |_| ControlFlow::Continue(())).map_err(io::Error::other)?;
    let total = started.elapsed();
    writeln!(
        out,
        "{title}: {total:.3?} in all ({read:.3?} read, {:.3?} set out, {:.3?} flown); {} events, {} records",
        set_out - read,
        total - set_out,
        summary.events,
        summary.records
    )?;
    Ok((total, summary))
}

/// How long signatures take alone: `made` of them, and `checked` strictly, each over another message, the keys in turn.
fn bare(made: u64, checked: u64) -> Duration {
    let keys: Vec<KeyPair> = (0..DAY.nodes()).map(|node| KeyPair::from_seed([node as u8; 32])).collect();
    let mut message = [0x55; SIGNED_BYTES];
    let mut signed = Vec::with_capacity(keys.len());
    let started = clock();
    for number in 0..made {
        message[..8].copy_from_slice(&number.to_le_bytes());
        let signer = &keys[number as usize % keys.len()];
        let signature = signer.sign(std::hint::black_box(&message));
        if signed.len() < keys.len() {
            signed.push((signer.public(), message, signature));
        }
    }
    for number in 0..checked {
        let (key, message, signature) = &signed[number as usize % signed.len()];
        assert!(key.verify(std::hint::black_box(message), signature));
    }
    started.elapsed()
}

#[expect(clippy::disallowed_methods, reason = "a bench measures wall time")]
fn clock() -> Instant {
    Instant::now()
}
