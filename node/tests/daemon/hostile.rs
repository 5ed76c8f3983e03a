//! Peers that misbehave on every socket. After each, the daemon works as before.

use super::place::{PATIENCE, Place, clock, free, receive, send, wait_until};
use cosmosmesh_node::Client;
use cosmosmesh_protocol::convergence::tcpcl::{ContactHeader, Message, SessInit, XferFlags, XferSegment};
use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream, UdpSocket},
    thread,
    time::Duration,
};

/// A daemon that listens at everything, and an honest peer of it.
struct Target {
    place: Place,
    tcpcl: SocketAddr,
    mtcp: SocketAddr,
    udp: SocketAddr,
    control: SocketAddr,
    daemon: Client,
    peer: Client,
}

const LIMITS: &str = "limits: (patience_s: 1, connections: 12, retransmission_ms: 200, acknowledgement_ms: 10, bundle_bytes: 65536)";

impl Target {
    fn new() -> Self {
        let place = Place::new();
        let [tcpcl, mtcp, udp, control] = [free(), free(), free(), free()];
        // Node 3 is reached over MTCP and node 4 over UDP at addresses of this machine, so that strangers may seem to be them.
        let peers = [
            place.peer(1, "Inbound"),
            place.peer(3, &format!("Mtcp(\"{}\")", free())),
            place.peer(4, &format!("Udp(\"{}\")", free())),
        ];
        let daemon = place.daemon(
            2,
            &format!(
                "control: \"{control}\", listen: (tcpcl: \"{tcpcl}\", mtcp: \"{mtcp}\", udp: \"{udp}\"), peers: [{}], {LIMITS}",
                peers.concat()
            ),
        );
        let via = format!("Tcpcl(\"{tcpcl}\")");
        let peer = place.daemon(1, &format!("peers: [{}], {LIMITS}", place.peer(2, &via)));
        let target =
            Self { place, tcpcl, mtcp, udp, control, daemon: Client::of(daemon), peer: Client::of(peer) };
        target.works("at first");
        target
    }

    /// An honest message comes through.
    fn works(&self, when: &str) {
        send(&self.peer, 2, when);
        assert_eq!(receive(&self.daemon), when);
        assert!(self.place.path().exists());
    }

    fn refused(&self, door: &str, reason: &str) -> u64 {
        let metrics = self.daemon.metrics().expect("metrics");
        let line = format!("cosmosmesh_refused_total{{door=\"{door}\",reason=\"{reason}\"}} ");
        metrics.lines().find_map(|found| found.strip_prefix(&line)?.parse().ok()).unwrap_or(0)
    }

    fn wait_for(&self, door: &str, reason: &str) {
        let begun = clock();
        while self.refused(door, reason) == 0 {
            let metrics = self.daemon.metrics().expect("metrics");
            assert!(begun.elapsed() < PATIENCE, "{door} {reason} is not counted:\n{metrics}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn dial(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// Reads until the daemon ends the connection.
fn read_to_end(mut stream: TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    match stream.read_to_end(&mut all) {
        Ok(_) => all,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => all,
        Err(error) => panic!("the daemon does not end the connection: {error}"),
    }
}

/// The first words of a session of `node`.
pub(super) fn greeting(node: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    ContactHeader { version: 4, flags: 0 }.encode(&mut bytes);
    let init = SessInit {
        keepalive_s: 0,
        segment_mru: 1 << 16,
        transfer_mru: 1 << 20,
        node_id: node.as_bytes().to_vec(),
        extensions: Vec::new(),
    };
    Message::SessInit(init).encode(&mut bytes);
    bytes
}

#[test]
fn garbage_and_half_frames_on_the_tcpcl_port_end_their_connection_only() {
    let target = Target::new();
    for bytes in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), &[0xff; 5000], b"dtn!\x09\x00garbage"] {
        let mut stream = dial(target.tcpcl);
        // The daemon may end it while it is written.
        let _ = stream.write_all(bytes);
        read_to_end(stream);
    }
    let whole = greeting("ipn:1.0");
    for end in 0..whole.len() {
        dial(target.tcpcl).write_all(&whole[..end]).expect("written");
    }
    let mut stream = dial(target.tcpcl);
    let _ = stream.write_all(&[&whole[..], &[0xee; 100_000]].concat());
    read_to_end(stream);
    target.works("after garbage");
}

#[test]
fn a_silent_peer_and_one_that_sends_a_byte_now_and_then_are_given_up() {
    let target = Target::new();
    let begun = clock();
    read_to_end(dial(target.tcpcl));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    target.wait_for("tcpcl", "contact_timeout");
    let mut stream = dial(target.tcpcl);
    for byte in greeting("ipn:1.0") {
        if stream.write_all(&[byte]).is_err() {
            break;
        }
        thread::sleep(Duration::from_millis(200));
    }
    read_to_end(stream);
    target.works("after silence");
}

#[test]
fn a_session_of_a_stranger_is_refused() {
    let target = Target::new();
    for name in ["ipn:77.0", "dtn://stranger/", "nonsense", ""] {
        let refused = || {
            let metrics = target.daemon.metrics().expect("metrics");
            let lines = metrics.lines().filter(|line| line.contains("door=\"tcpcl\""));
            lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum::<u64>()
        };
        let before = refused();
        let mut stream = dial(target.tcpcl);
        stream.write_all(&greeting(name)).expect("written");
        wait_until("the stranger is counted", || refused() > before);
        drop(stream);
    }
    assert!(target.refused("tcpcl", "unknown_peer") >= 2);
    target.works("after strangers");
}

#[test]
fn a_segment_that_lies_about_its_length_takes_no_memory() {
    let target = Target::new();
    for length in [1 << 20, 1 << 40, u64::MAX] {
        let mut bytes = greeting("ipn:1.0");
        let segment =
            XferSegment { flags: XferFlags::START, transfer: 0, extensions: Vec::new(), data_len: length };
        Message::XferSegment(segment).encode(&mut bytes);
        bytes.extend_from_slice(&[0x9f; 1000]);
        let mut stream = dial(target.tcpcl);
        let _ = stream.write_all(&bytes);
        let mut answer = [0; 1];
        let _ = stream.read(&mut answer);
        drop(stream);
    }
    target.works("after lies");
}

#[test]
fn more_connections_than_allowed_are_turned_away_and_the_others_stay() {
    let target = Target::new();
    let flood: Vec<TcpStream> = (0..40).map(|_| dial(target.tcpcl)).collect();
    target.wait_for("connection", "guest_gave_way");
    target.works("during a flood of connections");
    drop(flood);
    target.works("after a flood of connections");
}

#[test]
fn garbage_lies_and_slowness_on_the_mtcp_port_end_their_connection_only() {
    let target = Target::new();
    let cases: [(&[u8], &str); 3] = [
        (&[0x40; 10], "empty_bundle"),
        (&[0x5b, 0, 0, 1, 0, 0, 0, 0, 0], "bundle_too_large"),
        (&[0xff; 10], "not_a_byte_string"),
    ];
    for (bytes, reason) in cases {
        let mut stream = dial(target.mtcp);
        stream.write_all(bytes).expect("written");
        read_to_end(stream);
        target.wait_for("mtcp", reason);
    }
    let mut slow = dial(target.mtcp);
    slow.write_all(&[0x59, 0x10, 0x00, 0x9f]).expect("written");
    read_to_end(slow);
    target.wait_for("mtcp", "bundle_too_slow");
    dial(target.mtcp).write_all(&[0x59, 0x10]).expect("written");
    target.wait_for("mtcp", "bundle_cut_off");
    let mut bundles = dial(target.mtcp);
    for _ in 0..100 {
        bundles.write_all(&[0x44, 0x9f, 0x00, 0x01, 0xff]).expect("written");
    }
    wait_until("bundles of garbage are counted", || {
        target.daemon.metrics().expect("metrics").contains("door=\"node\"")
    });
    target.works("after garbage over MTCP");
}

#[test]
fn a_flood_of_datagrams_is_dropped_and_counted() {
    let target = Target::new();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for number in 0..20_000_u32 {
        // Garbage, truncated bundles, nothing at all.
        let cut = [0x9f, number as u8];
        let bytes = [cut.as_slice(), &[0xff; 30], b"", &[0x9f; 1000]][number as usize % 4];
        let _ = socket.send_to(bytes, target.udp);
    }
    target.wait_for("udp", "unknown_first_octet");
    target.works("after a flood of datagrams");
}

#[test]
fn the_control_port_survives_garbage_slowness_and_floods() {
    let target = Target::new();
    let answer = |bytes: &[u8]| {
        let mut stream = dial(target.control);
        let _ = stream.write_all(bytes);
        String::from_utf8_lossy(&read_to_end(stream)).lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(answer(&[0xff; 100]), "HTTP/1.1 400 Bad Request");
    assert_eq!(
        answer(b"POST /v1/send?to=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n"),
        "HTTP/1.1 401 Unauthorized"
    );
    assert_eq!(
        answer(b"POST /v1/send?to=1 HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\n\r\n"),
        "HTTP/1.1 403 Forbidden"
    );
    assert_eq!(
        answer(&[b"GET /healthz HTTP/1.1\r\n".as_slice(), &[b'x'; 20_000]].concat()),
        "HTTP/1.1 431 Request Header Fields Too Large"
    );
    let flood: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = dial(target.control);
            let _ = stream.write_all(b"GET /heal");
            stream
        })
        .collect();
    drop(flood);
    wait_until("it answers again", || {
        answer(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n") == "HTTP/1.1 200 OK"
    });
    target.works("after a flood of requests");
}
