//! pyD3TN 0.15: MTCP both ways, and its own reader and writer of bundles.

use super::{
    host::{MtcpReceiver, bundle, read, send_mtcp},
    peer::{Process, accept, connect, free, program},
};
use cosmosmesh_protocol::bundle::Policy;
use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    process::{Command, Stdio},
};

/// Accepts one connection, takes two bundles with its MTCP, reads them with its BPv7, and prints source and payload.
const RECEIVER: &str = "
import socket, sys
from pyd3tn.mtcp import MTCPSocket
from pyd3tn.bundle7 import Bundle
server = socket.create_server(('127.0.0.1', int(sys.argv[1])))
peer, _ = server.accept()
with MTCPSocket(peer, timeout=20) as connection:
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

fn python(script: &str, port: u16) -> Command {
    let mut command = Command::new(program("python3"));
    command.args(["-c", script, &port.to_string()]);
    command
}

#[test]
#[ignore = "needs pyD3TN 0.15 for the first python3"]
fn pyd3tn_takes_our_bundles_over_mtcp() {
    let port = free().port();
    let mut process = Process::start(python(RECEIVER, port).stdout(Stdio::piped()));
    let bundles = [b"first".to_vec(), vec![7; 70_000]]
        .map(|payload| bundle("dtn://ours/out", "dtn://peer/in", &payload));
    send_mtcp(&mut connect(port), &bundles);
    let mut lines = BufReader::new(process.0.stdout.take().expect("piped")).lines();
    let mut line = || lines.next().expect("a bundle").expect("text");
    assert_eq!(line(), "dtn://ours/out 6669727374");
    assert_eq!(line(), format!("dtn://ours/out {}", "07".repeat(70_000)));
}

#[test]
#[ignore = "needs pyD3TN 0.15 for the first python3"]
fn we_take_pyd3tns_bundles_over_mtcp() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let _process = Process::start(&mut python(SENDER, listener.local_addr().expect("an address").port()));
    let mut stream = accept(&listener);
    let mut connection = MtcpReceiver::new(&mut stream);
    let first = read(&connection.receive(), Policy::Strict);
    assert_eq!(first.payload(), b"first");
    assert_eq!(first.primary().source.to_string(), "dtn://peer/out");
    assert_eq!(read(&connection.receive(), Policy::Strict).payload(), [b'x'; 70_000]);
}
