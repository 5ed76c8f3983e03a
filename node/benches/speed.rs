//! How fast daemons are on this machine, each figure over loopback with real sockets, signatures and disk.
//!
//! `cargo bench --package cosmosmesh-node` prints messages per second from one daemon to another, round trips, and bundles per second that come
//! in by MTCP; with dtnd in `COSMOSMESH_PEERS` or `PATH`, dtnd's beside them, in the same run.

use cosmosmesh_node::{Client, Config, key};
use cosmosmesh_protocol::{
    bundle::{Bundle, BundleFlags, CreationTimestamp, Primary},
    convergence::mtcp,
    envelope::Purpose,
    id::NodeId,
    time::DtnTime,
};
use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;

#[path = "../../protocol/tests/interop/peer.rs"]
#[expect(dead_code, reason = "one peer that is asked, and never asks")]
mod peer;

use peer::{Process, clock, find, free};

const MESSAGES: usize = 40_000;
const BUNDLES: u64 = 40_000;
const ROUNDS: usize = 1000;
/// Chosen so that a bundle has about 180 bytes with an envelope's 64-byte signature.
const PAYLOAD: &[u8] = &[0x55; 20];
const LIFETIME: Duration = Duration::from_secs(3600);
const PATIENCE: Duration = Duration::from_secs(60);

/// Two daemons, of which the first connects to the second.
fn pair(preset: &str) -> (Client, Client, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let did = |node: u8| {
        let keys = key::read_or_create(&folder.path().join(format!("state-{node}/key"))).expect("a key");
        key::did(&keys).to_string()
    };
    let address = free();
    let start = |node: u8, rest: String| {
        let text = format!("(node: {node}, state: \"state-{node}\", preset: {preset}, {rest})");
        Client::embed(Config::parse("bench", &text, folder.path()).expect("plain")).expect("it starts")
    };
    let listen =
        format!("listen: (tcpcl: \"{address}\"), peers: [(node: 1, did: \"{}\", via: Inbound)]", did(1));
    let two = start(2, listen);
    let one = start(1, format!("peers: [(node: 2, did: \"{}\", via: Tcpcl(\"{address}\"))]", did(2)));
    while one.peers().expect("peers")[0].links_up == 0 {
        thread::sleep(Duration::from_millis(10));
    }
    (one, two, folder)
}

/// Messages per second, from the first submission until the application has taken the last one; and bytes of a bundle.
fn throughput(preset: &str) -> (f64, u64) {
    let (one, two, _folder) = pair(preset);
    let begun = clock();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut left = MESSAGES;
            while left > 0 {
                let payloads = vec![PAYLOAD; left.min(500)];
                let sent = one.send_many(NodeId(2), Purpose::Telemetry, LIFETIME, &payloads).expect("sent");
                let accepted = sent.iter().filter(|sent| sent.is_ok()).count();
                left -= accepted;
                if accepted < payloads.len() {
                    // The window is full.
                    thread::sleep(Duration::from_millis(2));
                }
            }
        });
        let mut taken = 0;
        while taken < MESSAGES {
            let messages = two.inbox(None, 1000, PATIENCE).expect("an answer");
            taken += messages.len();
            two.take(messages.last().expect("they keep coming")).expect("taken");
        }
    });
    let rate = MESSAGES as f64 / begun.elapsed().as_secs_f64();
    let metrics = one.metrics().expect("metrics");
    let count = |name: &str| {
        let line = format!("cosmosmesh_{name}_total{{peer=\"2\"}} ");
        metrics.lines().find_map(|found| found.strip_prefix(&line)?.parse::<u64>().ok()).unwrap_or(1)
    };
    (rate, count("bytes_sent") / count("bundles_sent"))
}

/// Round trips from application to application, sorted.
fn round_trips(preset: &str) -> Vec<Duration> {
    let (one, two, _folder) = pair(preset);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..ROUNDS {
                let ping = two.receive(PATIENCE).expect("an answer").expect("a ping");
                two.send(NodeId(1), Purpose::Event, LIFETIME, &ping.payload).expect("sent");
            }
        });
        let mut spans: Vec<Duration> = (0..ROUNDS)
            .map(|_| {
                let begun = clock();
                one.send(NodeId(2), Purpose::Event, LIFETIME, PAYLOAD).expect("sent");
                one.receive(PATIENCE).expect("an answer").expect("a pong");
                begun.elapsed()
            })
            .collect();
        spans.sort_unstable();
        spans
    })
}

#[expect(clippy::disallowed_methods, reason = "peers judge lifetimes by civil time")]
fn bundles(destination: &str) -> Vec<u8> {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let time = DtnTime((unix - Duration::from_secs(946_684_800)).as_millis() as u64);
    let mut out = Vec::new();
    for sequence in 0..BUNDLES {
        let creation = CreationTimestamp { time, sequence };
        let source = "dtn://source/out".parse().expect("an endpoint");
        let mut primary =
            Primary::new(source, destination.parse().expect("an endpoint"), creation, 3_600_000);
        primary.flags = BundleFlags::MUST_NOT_FRAGMENT;
        mtcp::put_frame(&mut out, &Bundle::new(primary, vec![0x55; 100]).encode());
    }
    out
}

/// Sends all bundles over MTCP, and waits until `arrived` says that all are there: bundles per second.
fn ingest(address: SocketAddr, destination: &str, arrived: impl Fn() -> u64) -> f64 {
    let bytes = bundles(destination);
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    let begun = clock();
    thread::scope(|scope| {
        scope.spawn(|| stream.write_all(&bytes).expect("the daemon reads"));
        while arrived() < BUNDLES {
            assert!(begun.elapsed() < PATIENCE, "{} of {BUNDLES} arrived", arrived());
            thread::sleep(Duration::from_millis(5));
        }
    });
    BUNDLES as f64 / begun.elapsed().as_secs_f64()
}

fn our_ingest(preset: &str) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let address = free();
    let text = format!(
        "(node: 2, names: [\"peer\"], state: \"state\", preset: {preset}, listen: (mtcp: \"{address}\"),
          peers: [(node: 9, name: \"source\", via: Mtcp(\"{}\"))], limits: (inbox: 1000000))",
        free()
    );
    let client =
        Client::embed(Config::parse("bench", &text, folder.path()).expect("plain")).expect("it starts");
    ingest(address, "dtn://peer/in", || {
        let metrics = client.metrics().expect("metrics");
        let line = "cosmosmesh_messages_total{fate=\"delivered\",purpose=\"bundle\"} ";
        metrics.lines().find_map(|found| found.strip_prefix(line)?.parse().ok()).unwrap_or(0)
    })
}

/// dtnd's, whose store is `mem`, or `sled` on a disk.
fn dtnd_ingest(program: &PathBuf, store: &str) -> f64 {
    let (web, address, folder) = (free(), free(), tempfile::tempdir().expect("a folder"));
    let mut command = Command::new(program);
    command.args(["--nodeid", "peer", "--endpoint", "in", "--db", store, "--disable_nd", "--interval", "0"]);
    command.args(["--web-port", &web.port().to_string(), "--cla"]);
    command.arg(format!("mtcp:port={}:bind=127.0.0.1", address.port())).arg("--workdir").arg(folder.path());
    command.env("RUST_LOG", "error").stdout(Stdio::null()).stderr(Stdio::null());
    let _process = Process(command.spawn().expect("it starts"));
    while TcpStream::connect(web).is_err() || TcpStream::connect(address).is_err() {
        thread::sleep(Duration::from_millis(50));
    }
    ingest(address, "dtn://peer/in", || {
        let mut stream = TcpStream::connect(web).expect("it answers");
        let request = format!("GET /status/info HTTP/1.1\r\nHost: {web}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("written");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("text");
        let delivered = text.split("\"delivered\":").nth(1).unwrap_or_default();
        delivered
            .trim()
            .split(|c: char| !c.is_ascii_digit())
            .next()
            .and_then(|digits| digits.parse().ok())
            .unwrap_or(0)
    })
}

#[expect(clippy::print_stdout, reason = "a bench prints what it measures")]
fn main() {
    for preset in ["Development", "Production"] {
        let (rate, bytes) = throughput(preset);
        println!("daemon to daemon, TCPCLv4, {preset}: {rate:.0} messages/s in bundles of {bytes} bytes");
    }
    for preset in ["Development", "Production"] {
        let spans = round_trips(preset);
        println!("round trip, {preset}: p50 {:?}, p99 {:?}", spans[ROUNDS / 2], spans[ROUNDS * 99 / 100]);
    }
    println!("MTCP ingest, ours, Development (survives kill -9): {:.0} bundles/s", our_ingest("Development"));
    match find("dtnd") {
        Some(program) => {
            for store in ["mem", "sled"] {
                println!("MTCP ingest, dtnd, store {store}: {:.0} bundles/s", dtnd_ingest(&program, store));
            }
        }
        None => println!("MTCP ingest, dtnd: not installed"),
    }
}
