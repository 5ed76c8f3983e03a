//! Strangers at the QUIC port, and peers that are not there.

use super::{
    hostile::greeting,
    place::{PATIENCE, Place, QUICK, clock, free, receive, send, wait_until},
    quic::stranger,
    trust::Fleet,
};
use cosmosmesh_node::Client;
use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

fn refused(at: &Client, door: &str, reason: &str) -> bool {
    at.metrics().expect("metrics").contains(&format!("door=\"{door}\",reason=\"{reason}\""))
}

#[test]
fn who_begins_handshakes_and_never_goes_on_keeps_no_newcomer_out() {
    let (place, address) = (Place::new(), free());
    let limits = "limits: (patience_s: 60, retransmission_ms: 200, acknowledgement_ms: 10, drain_s: 1)";
    let peers = place.peer(1, "Inbound");
    let two =
        Client::of(place.daemon(2, &format!("listen: (quic: \"{address}\"), peers: [{peers}], {limits}")));
    let (begun, released) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let strangers: Vec<_> = (0..80)
        .map(|_| {
            let (begun, released, over) = (begun.clone(), released.clone(), released.clone());
            thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on(async {
                    let wait = move || {
                        begun.fetch_add(1, Ordering::AcqRel);
                        while !released.load(Ordering::Acquire) {
                            thread::sleep(Duration::from_millis(20));
                        }
                    };
                    let endpoint = stranger::that_waits(b"cosmosmesh-tcpcl4", wait);
                    // On a busy machine some are refused at first, where all come at once.
                    while !over.load(Ordering::Acquire) {
                        let _ = endpoint.connect(address, "cosmosmesh").expect("an address").await;
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                });
            })
        })
        .collect();
    wait_until("more of them have begun than there may be", || begun.load(Ordering::Acquire) >= 70);
    let came = clock();
    let via = format!("Quic(\"{address}\")");
    let one = Client::of(place.daemon(1, &format!("peers: [{}], {limits}", place.peer(2, &via))));
    send(&one, 2, "through the crowd");
    assert_eq!(receive(&two), "through the crowd");
    // Well before the patience that each of them might have had.
    assert!(came.elapsed() < Duration::from_secs(30), "{:?}", came.elapsed());
    assert!(refused(&two, "connection", "guest_gave_way"));
    released.store(true, Ordering::Release);
    strangers.into_iter().for_each(|stranger| stranger.join().expect("no panic"));
}

#[test]
fn a_daemon_whose_quic_peers_are_away_ends_at_once() {
    let place = Place::new();
    // They take what is sent, and say nothing.
    let away: Vec<UdpSocket> = (0..12).map(|_| UdpSocket::bind("127.0.0.1:0").expect("a socket")).collect();
    let peers: String = (2..)
        .zip(&away)
        .map(|(node, socket)| {
            place.peer(node, &format!("Quic(\"{}\")", socket.local_addr().expect("an address")))
        })
        .collect();
    let one = place.daemon(1, &format!("peers: [{peers}], limits: (patience_s: 30)"));
    for socket in &away {
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        socket.recv(&mut [0; 2000]).expect("it is dialled");
    }
    let begun = clock();
    drop(one);
    // Not when the patience with them is over.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

/// Says over plain TCP to be `node`, and waits until that is ended.
fn claim_to_be(node: &str, address: SocketAddr) {
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(&greeting(node)).expect("written");
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard);
}

#[test]
fn nobody_is_by_plain_tcpcl_who_shows_by_quic_who_it_is() {
    let (place, [quic, tcpcl, other]) = (Place::new(), [free(), free(), free()]);
    let peers = [
        place.peer(1, "Inbound"),
        place.peer(3, &format!("Quic(\"{other}\")")),
        format!("(node: 4, did: \"{}\", via: Inbound, proven: true),", place.did(4)),
    ];
    let listen = format!("listen: (quic: \"{quic}\", tcpcl: \"{tcpcl}\")");
    let two = Client::of(place.daemon(2, &format!("{listen}, peers: [{}], {QUICK}", peers.concat())));
    let via = place.peer(2, &format!("Quic(\"{quic}\")"));
    let one = Client::of(place.daemon(1, &format!("peers: [{via}], {QUICK}")));
    send(&one, 2, "by QUIC");
    assert_eq!(receive(&two), "by QUIC");
    let session = || two.peers().expect("peers")[0].addresses.clone();
    wait_until("its session is told", || session().len() == 1);
    let before = session();
    let count = || {
        let metrics = two.metrics().expect("metrics");
        let line = "cosmosmesh_refused_total{door=\"tcpcl\",reason=\"unproven\"} ";
        metrics.lines().find_map(|found| found.strip_prefix(line)?.parse::<u32>().ok()).unwrap_or(0)
    };
    for (claims, node) in (1..).zip(["ipn:1.0", "ipn:3.0", "ipn:4.0"]) {
        claim_to_be(node, tcpcl);
        wait_until("it is refused", || count() == claims);
    }
    assert_eq!(session(), before, "the session that is proven stays");
    assert!(two.peers().expect("peers")[1..].iter().all(|peer| peer.links_up == 0));
    send(&two, 1, "for your eyes");
    assert_eq!(receive(&one), "for your eyes");
}

#[test]
fn a_session_over_quic_ends_when_its_key_is_taken_back() {
    let (fleet, address) = (Fleet::new(), free());
    fleet.certify(1, "authority");
    fleet.certify(2, "authority");
    let peers = fleet.place.peer(1, "Inbound");
    let rest = format!("listen: (quic: \"{address}\"), peers: [{peers}], {}", fleet.trust(2, ""));
    let two = Client::of(fleet.place.daemon(2, &rest));
    let peers = fleet.place.peer(2, &format!("Quic(\"{address}\")"));
    let one = Client::of(fleet.place.daemon(1, &format!("peers: [{peers}], {}", fleet.trust(1, ""))));
    send(&one, 2, "there");
    assert_eq!(receive(&two), "there");
    assert!(!refused(&two, "quic", "key_compromised"));
    fleet.revoke(1);
    let list = std::fs::read_to_string(fleet.path("revocations")).expect("a list");
    assert!(two.learn(&list).expect("an answer").iter().all(Result::is_ok));
    wait_until("its session ends", || two.peers().expect("peers")[0].links_up == 0);
    wait_until("it gets no other", || refused(&two, "quic", "key_compromised"));
    wait_until("it is told so", || refused(&one, "quic", "refused_by_peer"));
}
