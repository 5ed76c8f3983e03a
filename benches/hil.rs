//! How a session keeps time: four simulated assets send a thousand frames per second to a real one.
//!
//! `cargo bench --bench hil [-- SECONDS]`. The real side is a UDP socket of the same process whose thread reads and counts. Each frame is a plain bundle of 60 bytes of
//! payload; the target is a lag (from the moment at which a frame is due until it is sent) of less than 2 ms for 99 of 100.

use cosmosmesh::{
    engine::Digest,
    hil::{Binding, ClockMode, JournalWriter, LagPolicy, Live, Mailbox, Session, Setup, open},
    scenario::Scenario,
    sim::{Options, Simulation},
};
use std::{
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    net::UdpSocket,
    ops::ControlFlow,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// Four assets, each with a link to the hub, and 250 messages a second each.
fn scenario(folder: &Path, seconds: u64) -> std::path::PathBuf {
    let (mut plan, mut assets, mut traffic) = (String::new(), String::new(), String::new());
    for node in 2..=5 {
        for (from, to) in [(1, node), (node, 1)] {
            let _ = writeln!(plan, "a contact +0 +3600 {from} {to} 12500000");
        }
        let _ = writeln!(plan, "a range +0 +3600 1 {node} 0");
        let _ = writeln!(
            assets,
            r#"(name: "rover-{node}", kind: Rover, node: {node}, kit: "kit", motion: Nowhere),"#
        );
        let _ = writeln!(
            traffic,
            r#"(name: "t{node}", kind: Telemetry, from: ["rover-{node}"], to: ["hub"], size_bytes: 60, arrivals: Periodic(interval: "4 ms", phase: "{node} ms")),"#
        );
    }
    fs::write(folder.join("plan.ionrc"), plan).expect("the folder is there");
    let text = format!(
        r#"(version: 1, name: "bench", epoch: "2026-11-01T00:00:00Z", duration: "{seconds} s",
        contacts: Imported(file: "plan.ionrc", format: Ion),
        classes: [(name: "net", frequency: "2.4 GHz", capacity: Fixed(rate: "100 Mbit/s"), mtu_bytes: 1200)],
        kits: [(name: "kit", radios: [(class: "net")])],
        assets: [(name: "hub", kind: Habitat, node: 1, kit: "kit", motion: Nowhere), {assets}],
        protocol: (service: Datagrams(size_only: false)), traffic: [{traffic}])"#
    );
    let path = folder.join("bench.ron");
    fs::write(&path, text).expect("the folder is there");
    path
}

fn main() {
    let seconds = std::env::args().filter_map(|word| word.parse().ok()).next().unwrap_or(10);
    let folder = tempfile::tempdir().expect("a folder");
    let (scenario, files) = Scenario::load_with_files(&scenario(folder.path(), seconds)).expect("it loads");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    let binding = format!("hub/net=udp:{}", socket.local_addr().expect("an address"));
    let (ending, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (ended, counted) = (ending.clone(), count.clone());
    let reader = thread::spawn(move || {
        let mut buffer = [0; 2048];
        while !ended.load(Ordering::Relaxed) {
            counted.fetch_add(u64::from(socket.recv(&mut buffer).is_ok()), Ordering::Relaxed);
        }
    });
    let bindings: [Binding; 1] = [binding.parse().expect("a binding")];
    let session = Session::new(&bindings, &scenario).expect("it fits");
    let mailbox = Arc::new(Mailbox::new(1));
    let wires = open(&bindings, &session, &scenario, &mailbox).expect("it opens");
    let (mode, policy) = (ClockMode::Realtime, LagPolicy::BestEffort);
    let header =
        session.header(&scenario, files, scenario.seed, None, (mode.to_string(), policy.to_string()));
    let journal = JournalWriter::create(&folder.path().join("bench.hil"), &header).expect("a log");
    let door = session.door(&scenario);
    let stop = Box::new(|| false);
    let mut live = Live::new(Setup { mode, policy, door, wires, mailbox, journal, since: None, stop });
    let simulation =
        Simulation::beside(Arc::new(scenario), Options::default(), session.reality).expect("it is set out");
    let mut digest = Digest::new();
    let summary =
        simulation.run_beside(&mut live, &mut digest, &mut |_| ControlFlow::Continue(())).expect("it runs");
    let report = live.finish(summary.end, digest.fingerprint()).expect("a log");
    ending.store(true, Ordering::Relaxed);
    reader.join().expect("it ends");
    let (out, one) = (&mut io::stdout().lock(), &report.interfaces[0]);
    let rate = one.frames_out as f64 / report.wall_s;
    let _ = writeln!(
        out,
        "frames out   {} of which {} were read, {rate:.0} per second",
        one.frames_out,
        count.load(Ordering::Relaxed)
    );
    let (sent, lag) = (one.out_delay, report.lag);
    let _ = writeln!(
        out,
        "frame lag    p50 {:.3} ms, p99 {:.3} ms, longest {:.3} ms",
        sent.p50_ms, sent.p99_ms, sent.max_ms
    );
    let _ = writeln!(
        out,
        "event lag    p50 {:.3} ms, p99 {:.3} ms, longest {:.3} ms",
        lag.p50_ms, lag.p99_ms, lag.max_ms
    );
    let word = if sent.p99_ms < 2.0 && rate > 950.0 { "met" } else { "MISSED" };
    let _ = writeln!(out, "target       p99 under 2 ms at 1,000 frames per second: {word}");
}
