//! Guests inside of TLS: those who begin a handshake and never go on keep nobody out.

use super::{
    hostile::greeting,
    place::{PATIENCE, Place, QUICK, free, receive, send, wait_until},
};
use cosmosmesh_node::Client;
use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

const LIMITS: &str =
    "limits: (connections: 6, patience_s: 60, retransmission_ms: 200, acknowledgement_ms: 10, drain_s: 1)";

/// Offers TLS (RFC 9174 §4.1), and reads as much of an answer; none: it was turned away.
fn begin_tls(address: SocketAddr) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(b"dtn!\x04\x01").ok()?;
    let mut answer = [0; 6];
    stream.read_exact(&mut answer).ok()?;
    assert_eq!(&answer, b"dtn!\x04\x01");
    Some(stream)
}

#[test]
fn guests_inside_of_tls_leave_at_once_when_they_are_shown_out() {
    let (place, address) = (Place::new(), free());
    let peers = place.peer(1, "Inbound");
    let listen = format!("tls: Require, listen: (tcpcl: \"{address}\"), peers: [{peers}], {LIMITS}");
    let two = Client::of(place.daemon(2, &listen));
    // There are six places. If each of the others kept its own for as long as last words may take, most would be turned away. Some are where the
    // machine is busy.
    let strangers: Vec<TcpStream> = (0..40).filter_map(|_| begin_tls(address)).collect();
    assert!(strangers.len() > 20, "{} of 40 were let in", strangers.len());
    let peers = place.peer(2, &format!("Tcpcl(\"{address}\")"));
    let one = Client::of(place.daemon(1, &format!("tls: Require, peers: [{peers}], {LIMITS}")));
    send(&one, 2, "among guests");
    assert_eq!(receive(&two), "among guests");
    drop(strangers);
}

#[test]
fn nobody_is_without_tls_who_has_a_session_inside_of_it() {
    let (place, address) = (Place::new(), free());
    let peers = place.peer(1, "Inbound");
    let listen = format!("tls: Allow, listen: (tcpcl: \"{address}\"), peers: [{peers}], {QUICK}");
    let two = Client::of(place.daemon(2, &listen));
    // Where it may be done without, it is: until the peer has shown who it is.
    let claim = || {
        let mut stream = TcpStream::connect(address).expect("somebody listens");
        stream.write_all(&greeting("ipn:1.0")).expect("written");
        stream
    };
    let first = claim();
    let session = || two.peers().expect("peers")[0].addresses.clone();
    wait_until("it is taken for the peer", || session() == [first.local_addr().expect("one").to_string()]);
    let peers = place.peer(2, &format!("Tcpcl(\"{address}\")"));
    let one = Client::of(place.daemon(1, &format!("tls: Allow, peers: [{peers}], {QUICK}")));
    send(&one, 2, "inside of TLS");
    assert_eq!(receive(&two), "inside of TLS");
    wait_until("the peer is known", || {
        session().len() == 1 && session() != [first.local_addr().expect("one").to_string()]
    });
    let before = session();
    let _second = claim();
    wait_until("it is refused", || {
        two.metrics().expect("metrics").contains("door=\"tcpcl\",reason=\"unproven\"")
    });
    assert_eq!(session(), before);
}
