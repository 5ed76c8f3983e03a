//! The daemon and other people's nodes, over sockets of this machine. `docs/INTEROP.md` says how the peers are installed.

use cosmosmesh_node::{Client, Config, Daemon, Message};
use std::{sync::Arc, time::Duration};
use tempfile::TempDir;

#[path = "interop/air.rs"]
mod air;
#[path = "interop/direwolf.rs"]
mod direwolf;
#[path = "../../protocol/tests/interop/peer.rs"]
#[expect(dead_code, reason = "a daemon accepts its peers itself")]
mod peer;

use peer::{PATIENCE, Process, clock, connect, free, program};

const LIFETIME: Duration = Duration::from_secs(3600);

/// Our daemon, with the rest of its configuration.
fn ours(rest: &str) -> (Client, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!("(node: 1, state: \"state\", {rest}, limits: (udp_bytes: 60000))");
    let config = Config::parse("test.ron", &text, folder.path()).unwrap_or_else(|error| panic!("{error}"));
    let daemon = Daemon::start(config).unwrap_or_else(|error| panic!("{error}"));
    (Client::of(Arc::new(daemon)), folder)
}

fn send(client: &Client, to: &str, payload: &[u8]) {
    client.send_bundle(&to.parse().expect("an endpoint"), LIFETIME, payload).expect("accepted");
}

fn receive(client: &Client) -> Message {
    let message = client.receive(PATIENCE).expect("an answer").expect("a bundle of the peer");
    client.take(&message).expect("taken");
    message
}

fn long_payload() -> Vec<u8> {
    (0..20_000_u32).map(|at| b'a' + (at % 26) as u8).collect()
}

mod dtnd {
    use super::{PATIENCE, Process, clock, connect, free, long_payload, ours, program, receive, send};
    use std::{fs, net::SocketAddr, process::Command, thread, time::Duration};
    use tempfile::TempDir;

    /// A dtnd `dtn://peer/` with one convergence layer, that knows us as `dtn://ours/` at an address.
    struct Dtnd {
        _process: Process,
        web: SocketAddr,
        port: SocketAddr,
        folder: TempDir,
    }

    impl Dtnd {
        fn start(layer: &str, our_address: SocketAddr) -> Self {
            let (web, port, folder) = (free(), free(), tempfile::tempdir().expect("a folder"));
            let mut command = Command::new(program("dtnd"));
            command.args([
                "--nodeid",
                "peer",
                "--endpoint",
                "in",
                "--db",
                "mem",
                "--disable_nd",
                "--interval",
                "0",
            ]);
            command.args(["--routing", "epidemic", "--janitor", "1s", "--web-port", &web.port().to_string()]);
            command.arg("--workdir").arg(folder.path());
            command.args(["--cla", &format!("{layer}:port={}:bind=127.0.0.1", port.port())]);
            command.args(["--static-peer", &format!("{layer}://{our_address}/ours")]);
            let process = Process::start(&mut command);
            connect(web.port());
            Self { _process: process, web, port, folder }
        }

        fn received(&self) -> Vec<u8> {
            let begun = clock();
            loop {
                let mut command = Command::new(program("dtnrecv"));
                command.args(["--port", &self.web.port().to_string(), "--endpoint", "in"]);
                let output = command.output().expect("dtnrecv runs");
                if output.status.success()
                    && !output.stdout.is_empty()
                    && output.stdout != b"Nothing to fetch.\n"
                {
                    return output.stdout;
                }
                assert!(begun.elapsed() < PATIENCE, "dtnd has nothing for its endpoint: {output:?}");
                thread::sleep(Duration::from_millis(100));
            }
        }

        fn send(&self, payload: &[u8]) {
            let file = self.folder.path().join("payload");
            fs::write(&file, payload).expect("a file");
            let mut command = Command::new(program("dtnsend"));
            command.args(["--port", &self.web.port().to_string(), "--receiver", "dtn://ours/in"]).arg(&file);
            assert!(command.status().expect("dtnsend runs").success());
        }
    }

    /// Sends both ways, what is long only where it fits.
    fn both_ways_with_dtnd(layer: &str, via: &str, listen: &str, long: &[u8]) {
        let address = free();
        let dtnd = Dtnd::start(layer, address);
        let (client, _folder) = ours(&format!(
            "names: [\"ours\"], listen: ({listen}: \"{address}\"),
             peers: [(node: 9, name: \"peer\", via: {via}(\"{}\"), lenient: true)]",
            dtnd.port
        ));
        for payload in [b"short".as_slice(), long] {
            send(&client, "dtn://peer/in", payload);
            assert_eq!(dtnd.received(), payload);
            dtnd.send(payload);
            let message = receive(&client);
            assert_eq!(message.payload, payload);
            assert_eq!(message.destination.as_deref(), Some("dtn://ours/in"));
        }
    }

    #[test]
    #[ignore = "needs dtnd, dtnsend and dtnrecv of dtn7 0.21"]
    fn the_daemon_and_dtnd_exchange_bundles_over_tcpcl() {
        both_ways_with_dtnd("tcp", "Tcpcl", "tcpcl", &long_payload());
    }

    #[test]
    #[ignore = "needs dtnd, dtnsend and dtnrecv of dtn7 0.21"]
    fn the_daemon_and_dtnd_exchange_bundles_over_mtcp() {
        both_ways_with_dtnd("mtcp", "Mtcp", "mtcp", &long_payload());
    }

    #[test]
    #[ignore = "needs dtnd, dtnsend and dtnrecv of dtn7 0.21"]
    fn the_daemon_and_dtnd_exchange_bundles_over_udp() {
        both_ways_with_dtnd("udp", "Udp", "udp", &[b'x'; 1000]);
    }
}

mod hardy {
    use super::{Process, free, long_payload, ours, program, receive, send};
    use cosmosmesh_node::Client;
    use std::{
        net::SocketAddr,
        process::{Command, Stdio},
    };

    /// hardy's echo service answers what it gets.
    fn echo(client: &Client) {
        for payload in [b"ping".as_slice(), &long_payload()] {
            send(client, "ipn:2.7", payload);
            let answer = receive(client);
            assert_eq!((answer.source.as_str(), answer.payload.as_slice()), ("ipn:2.7", payload));
        }
        let metrics = client.metrics().expect("metrics");
        assert!(!metrics.contains("cosmosmesh_refused_total{"), "strict peers find no fault: {metrics}");
    }

    fn hardy(listen: SocketAddr, connect_to: Option<SocketAddr>) -> Process {
        let mut command = Command::new(program("hardy-peer"));
        command.arg("2").arg(listen.to_string()).stdin(Stdio::piped()).stdout(Stdio::null());
        command.args(connect_to.map(|address| address.to_string()));
        Process::start(&mut command)
    }

    #[test]
    #[ignore = "needs hardy-peer, which protocol/tests/interop/hardy-peer builds"]
    fn the_daemon_connects_to_hardy_and_gets_its_bundles_back() {
        let address = free();
        let _hardy = hardy(address, None);
        let (client, _folder) = ours(&format!("peers: [(node: 2, via: Tcpcl(\"{address}\"))]"));
        echo(&client);
    }

    #[test]
    #[ignore = "needs hardy-peer, which protocol/tests/interop/hardy-peer builds"]
    fn hardy_connects_to_the_daemon_and_sends_its_bundles_back() {
        let address = free();
        let (client, _folder) =
            ours(&format!("listen: (tcpcl: \"{address}\"), peers: [(node: 2, via: Inbound)]"));
        let _hardy = hardy(free(), Some(address));
        echo(&client);
    }
}

/// Accepts one connection, takes two bundles with its MTCP, reads them with its BPv7, and prints source and payload.
const RECEIVER: &str = "
import socket, sys
from pyd3tn.mtcp import MTCPSocket
from pyd3tn.bundle7 import Bundle
server = socket.create_server(('127.0.0.1', int(sys.argv[1])))
peer, _ = server.accept()
with MTCPSocket(peer, timeout=30) as connection:
    for _ in range(2):
        bundle = Bundle.parse(connection.recv_bundle())
        print(bundle.primary_block.source, bundle.payload_block.data.hex(), flush=True)
";

/// Connects, and sends two bundles of its own making.
const SENDER: &str = "
import sys
from pyd3tn.mtcp import MTCPConnection
from pyd3tn.bundle7 import create_bundle7
with MTCPConnection('127.0.0.1', int(sys.argv[1])) as connection:
    for payload in (b'first', b'x' * 70000):
        connection.send_bundle(bytes(create_bundle7('dtn://peer/out', 'dtn://ours/in', payload)))
";

mod pyd3tn {
    use super::{Process, RECEIVER, SENDER, free, ours, program, receive, send};
    use std::{
        io::{BufRead as _, BufReader},
        process::{Command, Stdio},
    };

    fn python(script: &str, port: u16) -> Command {
        let mut command = Command::new(program("python3"));
        command.args(["-c", script, &port.to_string()]);
        command
    }

    #[test]
    #[ignore = "needs pyD3TN 0.15 for the first python3"]
    fn the_daemon_and_pyd3tn_exchange_bundles_over_mtcp() {
        let [theirs, address] = [free(), free()];
        let mut receiver = Process::start(python(RECEIVER, theirs.port()).stdout(Stdio::piped()));
        let (client, _folder) = ours(&format!(
            "names: [\"ours\"], listen: (mtcp: \"{address}\"), peers: [(node: 9, name: \"peer\", via: Mtcp(\"{theirs}\"))]"
        ));
        send(&client, "dtn://peer/in", b"first");
        send(&client, "dtn://peer/in", &[7; 70_000]);
        let mut lines = BufReader::new(receiver.0.stdout.take().expect("piped")).lines();
        let mut line = || lines.next().expect("a bundle").expect("text");
        assert_eq!(line(), "dtn://ours/out 6669727374");
        assert_eq!(line(), format!("dtn://ours/out {}", "07".repeat(70_000)));
        let _sender = Process::start(&mut python(SENDER, address.port()));
        assert_eq!(receive(&client).payload, b"first");
        assert_eq!(receive(&client).payload, [b'x'; 70_000]);
    }
}
