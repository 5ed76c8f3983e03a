//! Where daemons live in a test: a folder, keys, configurations, processes.

use cosmosmesh_node::{Client, Config, Daemon, key};
use cosmosmesh_protocol::{envelope::Purpose, id::NodeId};
use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The lifetime of what is sent.
pub(crate) const LIFETIME: Duration = Duration::from_secs(3600);

#[expect(clippy::disallowed_methods, reason = "tests of real time read the clock")]
pub(crate) fn clock() -> Instant {
    Instant::now()
}

/// Waits until something holds.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = clock();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "it never came about: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// An address of this machine that nobody listens at.
pub(crate) fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port")
}

/// A folder with a key for each of some nodes.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    pub(crate) fn state(&self, node: u64) -> PathBuf {
        self.folder.path().join(format!("state-{node}"))
    }

    /// The public name of a node.
    pub(crate) fn did(&self, node: u64) -> String {
        key::did(&key::read_or_create(&self.state(node).join("key")).expect("a key")).to_string()
    }

    /// A peer as a configuration names it.
    pub(crate) fn peer(&self, node: u64, via: &str) -> String {
        format!("(node: {node}, did: \"{}\", via: {via}),", self.did(node))
    }

    /// A configuration: `rest` is whatever beside node and state.
    pub(crate) fn text(&self, node: u64, rest: &str) -> String {
        format!("(node: {node}, state: \"state-{node}\", {rest})")
    }

    pub(crate) fn config(&self, node: u64, rest: &str) -> Config {
        Config::parse("test.ron", &self.text(node, rest), self.folder.path())
            .unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn daemon(&self, node: u64, rest: &str) -> Arc<Daemon> {
        Arc::new(Daemon::start(self.config(node, rest)).unwrap_or_else(|error| panic!("{error}")))
    }

    /// Writes a configuration to a file.
    pub(crate) fn file(&self, node: u64, rest: &str) -> PathBuf {
        let path = self.folder.path().join(format!("node-{node}.ron"));
        fs::write(&path, self.text(node, rest)).expect("a file");
        path
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Limits that make a pair of nodes on one machine quick to notice.
pub(crate) const QUICK: &str =
    "limits: (retransmission_ms: 200, acknowledgement_ms: 10, patience_s: 1, drain_s: 5)";

/// Two daemons that speak TCPCLv4: the first connects.
pub(crate) fn pair(place: &Place) -> (Arc<Daemon>, Arc<Daemon>) {
    let address = free();
    let listen = format!("listen: (tcpcl: \"{address}\"), peers: [{}], {QUICK}", place.peer(1, "Inbound"));
    let dial = format!("peers: [{}], {QUICK}", place.peer(2, &format!("Tcpcl(\"{address}\")")));
    let second = place.daemon(2, &listen);
    let first = place.daemon(1, &dial);
    (first, second)
}

/// Sends a text, which is accepted.
pub(crate) fn send(from: &Client, to: u64, text: &str) {
    let sent = from.send(NodeId(to), Purpose::Telemetry, LIFETIME, text.as_bytes());
    sent.unwrap_or_else(|error| panic!("{text}: {error}"));
}

/// The next text, taken.
pub(crate) fn receive(at: &Client) -> String {
    let message = at.receive(PATIENCE).expect("an answer").expect("a message");
    at.take(&message).expect("taken");
    String::from_utf8(message.payload).expect("text")
}

/// A daemon in a process of its own, killed with the test.
pub(crate) struct Process {
    pub(crate) child: Child,
}

/// The program under test.
pub(crate) fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_cosmosmesh-node"))
}

impl Process {
    pub(crate) fn start(config: &Path) -> Self {
        let mut command = program();
        command.args(["node", "--log-level", "error", "--config"]).arg(config).stdin(Stdio::null());
        Self { child: command.spawn().expect("the program starts") }
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it was killed");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Connects to the daemon of a configuration, which may still be starting.
pub(crate) fn connect(file: &Path) -> Client {
    let (begun, config) = (clock(), Config::read(file).unwrap_or_else(|error| panic!("{error}")));
    loop {
        match Client::connect_to(&config) {
            Ok(client) => return client,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
        }
        thread::sleep(Duration::from_millis(10));
    }
}
