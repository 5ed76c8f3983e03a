//! Members that misbehave inside of handshakes that hold: each is given up, and others get through.

use super::*;
use crate::{client::Client, config::Config, daemon::Daemon, key};
use cosmosmesh_protocol::{envelope::Purpose, id::NodeId, identity::KeyPair};
use std::{net::SocketAddr, sync::Arc};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const PATIENCE: Duration = Duration::from_secs(60);
const LIMITS: &str =
    "limits: (patience_s: 1, connections: 12, retransmission_ms: 200, acknowledgement_ms: 10, drain_s: 5)";

/// A daemon that listens, the key of a member that misbehaves, and an honest member.
struct Target {
    folder: TempDir,
    address: SocketAddr,
    daemon: Client,
    honest: Client,
}

fn keys(folder: &TempDir, node: u64) -> KeyPair {
    key::read_or_create(&folder.path().join(format!("state-{node}/key"))).unwrap()
}

fn daemon(folder: &TempDir, node: u64, rest: &str) -> Client {
    let text = format!("(node: {node}, state: \"state-{node}\", {rest}, {LIMITS})");
    let config = Config::parse("test.ron", &text, folder.path()).unwrap_or_else(|error| panic!("{error}"));
    Client::of(Arc::new(Daemon::start(config).unwrap_or_else(|error| panic!("{error}"))))
}

impl Target {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let peer = |node, via: &str| {
            format!("(node: {node}, did: \"{}\", via: {via}),", key::did(&keys(&folder, node)))
        };
        let peers = [peer(1, "Inbound"), peer(3, "Inbound")].concat();
        let listening = Config::parse(
            "test.ron",
            &format!(
                "(node: 2, state: \"state-2\", listen: (quic: \"127.0.0.1:0\"), peers: [{peers}], {LIMITS})"
            ),
            folder.path(),
        )
        .unwrap_or_else(|error| panic!("{error}"));
        let listening = Arc::new(Daemon::start(listening).unwrap_or_else(|error| panic!("{error}")));
        let address = listening.addresses().quic.unwrap();
        let honest = daemon(&folder, 3, &format!("peers: [{}]", peer(2, &format!("Quic(\"{address}\")"))));
        let target = Self { folder, address, daemon: Client::of(listening), honest };
        target.works("at first");
        target
    }

    /// An honest message comes through.
    fn works(&self, when: &str) {
        self.honest.send(NodeId(2), Purpose::Telemetry, PATIENCE, when.as_bytes()).unwrap();
        let message = self.daemon.receive(PATIENCE).unwrap().expect("it comes");
        assert_eq!(message.payload, when.as_bytes());
        self.daemon.take(&message).unwrap();
    }

    fn count(&self, door: &str, reason: &str) -> u64 {
        let metrics = self.daemon.metrics().unwrap();
        let line = format!("cosmosmesh_refused_total{{door=\"{door}\",reason=\"{reason}\"}} ");
        metrics.lines().find_map(|found| found.strip_prefix(&line)?.parse().ok()).unwrap_or(0)
    }

    fn wait_for(&self, door: &str, reason: &str, count: u64) {
        let begun = monotonic();
        while self.count(door, reason) < count {
            assert!(begun.elapsed() < PATIENCE, "{door} {reason}: {}", self.daemon.metrics().unwrap());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// A handshake that node 1 may have. Whoever drops the runtime says nothing more.
    fn member(&self) -> (Runtime, Endpoint, Connection) {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (own, other) = (keys(&self.folder, 1), keys(&self.folder, 2));
        let setup = TlsSetup::new(NodeId(1), &own, [(NodeId(2), other.public().clone())], None).unwrap();
        let (rustls, _) = setup.quic_client().unwrap();
        let client = ClientConfig::new(Arc::new(QuicClientConfig::try_from(rustls).unwrap()));
        let (endpoint, connection) = runtime.block_on(async {
            let mut endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
            endpoint.set_default_client_config(client);
            let connection = endpoint.connect(self.address, "cosmosmesh").unwrap().await.unwrap();
            (endpoint, connection)
        });
        (runtime, endpoint, connection)
    }
}

/// The daemon ends the connection.
async fn is_ended(connection: &Connection) {
    timeout(PATIENCE, connection.closed()).await.expect("the daemon gives it up");
}

#[test]
fn a_member_that_opens_no_stream_is_given_up() {
    let target = Target::new();
    let (runtime, _endpoint, connection) = target.member();
    let begun = monotonic();
    runtime.block_on(is_ended(&connection));
    assert!(begun.elapsed() < Duration::from_secs(20));
    target.wait_for("quic", "timed_out", 1);
    target.works("after nobody opened a stream");
}

#[test]
fn a_member_that_stays_silent_on_its_stream_or_sends_a_byte_now_and_then_is_given_up() {
    let target = Target::new();
    let (runtime, _endpoint, connection) = target.member();
    runtime.block_on(async {
        let (mut send, _receive) = connection.open_bi().await.unwrap();
        send.write_all(b"d").await.unwrap();
        is_ended(&connection).await;
    });
    target.wait_for("tcpcl", "contact_timeout", 1);
    let (runtime, _endpoint, connection) = target.member();
    runtime.block_on(async {
        let (mut send, _receive) = connection.open_bi().await.unwrap();
        let begun = monotonic();
        for byte in b"dtn!\x04\x00".iter().chain(&[0; 200]) {
            if send.write_all(&[*byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(300)).await;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "it is not patient for ever");
        is_ended(&connection).await;
    });
    target.works("after silence");
}

#[test]
fn a_member_that_floods_streams_and_datagrams_has_one_stream_and_no_datagrams() {
    let target = Target::new();
    let (runtime, _endpoint, connection) = target.member();
    runtime.block_on(async {
        let (mut send, _receive) = connection.open_bi().await.unwrap();
        send.write_all(b"dtn!\x04\x00").await.unwrap();
        for _ in 0..3 {
            assert!(
                timeout(Duration::from_millis(100), connection.open_bi()).await.is_err(),
                "a second stream"
            );
            assert!(timeout(Duration::from_millis(100), connection.open_uni()).await.is_err(), "a way in");
        }
        assert!(connection.send_datagram(vec![0; 100].into()).is_err());
        is_ended(&connection).await;
    });
    target.works("after a flood of streams");
}

#[test]
fn garbage_and_lies_about_lengths_on_a_members_stream_end_its_connection_only() {
    let target = Target::new();
    let lie = [b"dtn!\x04\x00".as_slice(), &[7, 0, 15, 0xff, 0xff, 0xff, 0xff], &[0xff; 32]].concat();
    for words in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), &[0xff; 300_000], &lie] {
        let (runtime, _endpoint, connection) = target.member();
        runtime.block_on(async {
            let (mut send, _receive) = connection.open_bi().await.unwrap();
            // It may be ended while it is written.
            let _ = send.write_all(words).await;
            is_ended(&connection).await;
        });
    }
    target.works("after garbage");
}

#[test]
fn a_member_that_connects_again_and_again_keeps_nobody_out() {
    let target = Target::new();
    let mut flood = Vec::new();
    for _ in 0..30 {
        let (runtime, endpoint, connection) = target.member();
        runtime.block_on(async {
            if let Ok((mut send, _)) = connection.open_bi().await {
                let _ = send.write_all(b"d").await;
            }
        });
        flood.push((runtime, endpoint, connection));
    }
    target.works("during a flood of connections");
    drop(flood);
    target.works("after a flood of connections");
}
