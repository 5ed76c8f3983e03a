//! dtn7-rs 0.21: TCPCLv4, MTCP and UDP, both ways. Its acknowledgements have flags 0 and its primary blocks no CRC: lenient.

use super::{
    host::{MtcpReceiver, TcpclHost, bundle, read, send_mtcp},
    peer::{PATIENCE, Process, accept, clock, connect, free, program},
};
use cosmosmesh_protocol::{
    bundle::{BundleError, Policy},
    convergence::{
        tcpcl::{Acknowledgements, Role},
        udpcl,
    },
};
use std::{
    env, fs,
    net::{TcpListener, UdpSocket},
    path::PathBuf,
    process::Command,
    thread,
    time::Duration,
};

/// A daemon `dtn://peer/` with one convergence layer, and us as `dtn://ours/` at `our_port`.
struct Dtnd {
    _process: Process,
    web: u16,
    port: u16,
    folder: PathBuf,
}

impl Dtnd {
    fn start(layer: &str, our_port: u16) -> Self {
        let (web, port) = (free().port(), free().port());
        let folder = env::temp_dir().join(format!("cosmosmesh-dtnd-{layer}-{web}"));
        fs::create_dir_all(&folder).expect("a folder");
        let process = Process::start(
            Command::new(program("dtnd"))
                .args([
                    "--nodeid",
                    "peer",
                    "--endpoint",
                    "in",
                    "--db",
                    "mem",
                    "--disable_nd",
                    "--interval",
                    "0",
                ])
                .args(["--routing", "epidemic", "--janitor", "1s", "--web-port", &web.to_string()])
                .arg("--workdir")
                .arg(&folder)
                .args(["--cla", &format!("{layer}:port={port}:bind=127.0.0.1")])
                .args(["--static-peer", &format!("{layer}://127.0.0.1:{our_port}/ours")]),
        );
        drop(connect(web));
        Self { _process: process, web, port, folder }
    }

    /// What came for `dtn://peer/in`.
    fn received(&self) -> Vec<u8> {
        let start = clock();
        loop {
            let output = Command::new(program("dtnrecv"))
                .args(["--port", &self.web.to_string(), "--endpoint", "in"])
                .output()
                .expect("dtnrecv runs");
            if output.status.success() && !output.stdout.is_empty() && output.stdout != b"Nothing to fetch.\n"
            {
                return output.stdout;
            }
            assert!(start.elapsed() < PATIENCE, "dtnd has nothing for its endpoint: {output:?}");
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Lets it send `payload` to us.
    fn send(&self, payload: &[u8]) {
        let file = self.folder.join("payload");
        fs::write(&file, payload).expect("a file");
        let status = Command::new(program("dtnsend"))
            .args(["--port", &self.web.to_string(), "--receiver", "dtn://ours/in"])
            .arg(&file)
            .status()
            .expect("dtnsend runs");
        assert!(status.success());
    }
}

impl Drop for Dtnd {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn long_payload() -> Vec<u8> {
    (0..5000_u32).map(|at| b'a' + (at % 26) as u8).collect()
}

/// The payload of its bundle, whose primary block has no CRC: a strict reader refuses it, and for that reason alone.
fn payload_of(bytes: &[u8]) -> Vec<u8> {
    let bundle = read(bytes, Policy::Lenient);
    assert_eq!(bundle.check(Policy::Strict), Err(BundleError::UnprotectedPrimary));
    bundle.into_payload()
}

#[test]
#[ignore = "needs dtnd, dtnsend and dtnrecv of dtn7 0.21"]
fn dtnd_takes_our_bundles_over_tcpcl() {
    let dtnd = Dtnd::start("tcp", free().port());
    let mut host =
        TcpclHost::start(connect(dtnd.port), Role::Active, "dtn://ours/", Acknowledgements::Lenient);
    host.send(1, bundle("dtn://ours/out", "dtn://peer/in", &long_payload()));
    assert_eq!(dtnd.received(), long_payload());
    host.send(2, bundle("dtn://ours/out", "dtn://peer/in", b"short"));
    assert_eq!(dtnd.received(), b"short");
    host.finish();
}

#[test]
#[ignore = "needs dtnd, dtnsend and dtnrecv of dtn7 0.21"]
fn we_take_dtnds_bundles_over_tcpcl() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let dtnd = Dtnd::start("tcp", listener.local_addr().expect("an address").port());
    dtnd.send(&long_payload());
    let mut host =
        TcpclHost::start(accept(&listener), Role::Passive, "dtn://ours/", Acknowledgements::Lenient);
    assert_eq!(payload_of(&host.receive()), long_payload());
    dtnd.send(b"short");
    assert_eq!(payload_of(&host.receive()), b"short");
    host.finish();
}

#[test]
#[ignore = "needs dtnd, dtnsend and dtnrecv of dtn7 0.21"]
fn dtnd_takes_our_bundles_over_mtcp() {
    let dtnd = Dtnd::start("mtcp", free().port());
    let mut stream = connect(dtnd.port);
    send_mtcp(&mut stream, &[bundle("dtn://ours/out", "dtn://peer/in", &long_payload())]);
    assert_eq!(dtnd.received(), long_payload());
    send_mtcp(&mut stream, &[bundle("dtn://ours/out", "dtn://peer/in", b"short")]);
    assert_eq!(dtnd.received(), b"short");
}

#[test]
#[ignore = "needs dtnd, dtnsend and dtnrecv of dtn7 0.21"]
fn we_take_dtnds_bundles_over_mtcp() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let dtnd = Dtnd::start("mtcp", listener.local_addr().expect("an address").port());
    dtnd.send(&long_payload());
    let mut stream = accept(&listener);
    let mut connection = MtcpReceiver::new(&mut stream);
    assert_eq!(payload_of(&connection.receive()), long_payload());
    dtnd.send(b"short");
    assert_eq!(payload_of(&connection.receive()), b"short");
}

#[test]
#[ignore = "needs dtnd, dtnsend and dtnrecv of dtn7 0.21"]
fn dtnd_takes_our_bundles_over_udp() {
    let dtnd = Dtnd::start("udp", free().port());
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let bundle = bundle("dtn://ours/out", "dtn://peer/in", b"one datagram");
    let datagram = udpcl::datagram(&bundle, 1400).expect("a short bundle");
    socket.send_to(datagram, ("127.0.0.1", dtnd.port)).expect("sent");
    assert_eq!(dtnd.received(), b"one datagram");
}

#[test]
#[ignore = "needs dtnd, dtnsend and dtnrecv of dtn7 0.21"]
fn we_take_dtnds_bundles_over_udp() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let dtnd = Dtnd::start("udp", socket.local_addr().expect("an address").port());
    dtnd.send(b"one datagram");
    let mut buffer = [0; 65_536];
    let count = socket.recv(&mut buffer).expect("a datagram");
    let mut messages = udpcl::Messages::new(&buffer[..count]);
    match messages.next() {
        Some(Ok(udpcl::UdpclMessage::Bundle(bytes))) => assert_eq!(payload_of(bytes), b"one datagram"),
        other => panic!("{other:?}"),
    }
    assert_eq!(messages.next(), None);
}
