//! Sessions inside of TLS, and who is refused one.

use super::place::{PATIENCE, Place, QUICK, clock, free, receive, send, wait_until};
use cosmosmesh_node::Client;
use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

fn listening(place: &Place, address: SocketAddr, tls: &str, peer: u64) -> Client {
    let peers = place.peer(peer, "Inbound");
    Client::of(
        place.daemon(2, &format!("tls: {tls}, listen: (tcpcl: \"{address}\"), peers: [{peers}], {QUICK}")),
    )
}

fn dialling(place: &Place, address: SocketAddr, tls: &str, node: u64) -> Client {
    let peers = place.peer(2, &format!("Tcpcl(\"{address}\")"));
    Client::of(place.daemon(node, &format!("tls: {tls}, peers: [{peers}], {QUICK}")))
}

fn refusals(at: &Client, door: &str) -> bool {
    at.metrics().expect("metrics").contains(&format!("cosmosmesh_refused_total{{door=\"{door}\""))
}

#[test]
fn messages_cross_inside_of_tls_both_ways() {
    let (place, address) = (Place::new(), free());
    let two = listening(&place, address, "Require", 1);
    let one = dialling(&place, address, "Require", 1);
    for number in 0..100 {
        send(&one, 2, &format!("there {number} {}", "x".repeat(number * 300)));
        send(&two, 1, &format!("back {number}"));
    }
    for number in 0..100 {
        assert_eq!(receive(&two), format!("there {number} {}", "x".repeat(number * 300)));
        assert_eq!(receive(&one), format!("back {number}"));
    }
    assert!(!refusals(&one, "tls") && !refusals(&two, "tls") && !refusals(&two, "tcpcl"));
}

/// One who listens only, so that what is sent can be seen.
fn words(address: SocketAddr, hello: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let _ = stream.write_all(hello);
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    all
}

#[test]
fn who_does_not_speak_tls_gets_no_session_where_it_is_required() {
    let (place, address) = (Place::new(), free());
    let two = listening(&place, address, "Require", 1);
    let plain = dialling(&place, address, "Refuse", 1);
    send(&plain, 2, "in the clear");
    wait_until("it is refused", || refusals(&two, "tcpcl"));
    // A contact header that offers TLS, and then no TLS.
    let heard = words(address, &[b"dtn!\x04\x01".as_slice(), &[0x2a; 300]].concat());
    assert!(!heard.windows(7).any(|part| part == b"ipn:2.0"), "it does not even say who it is");
    wait_until("garbage is refused", || refusals(&two, "tls"));
    assert!(two.receive(Duration::from_millis(300)).expect("an answer").is_none());
    assert_eq!(two.peers().expect("peers")[0].links_up, 0);
}

#[test]
fn a_key_that_is_not_configured_gets_no_session() {
    let (place, address) = (Place::new(), free());
    // It expects node 1; node 3 comes.
    let two = listening(&place, address, "Require", 1);
    let three = dialling(&place, address, "Require", 3);
    send(&three, 2, "let me in");
    wait_until("the certificate is refused", || {
        two.metrics().expect("metrics").contains("door=\"tls\",reason=\"unknown_key\"")
    });
    assert!(two.receive(Duration::from_millis(300)).expect("an answer").is_none());
}

#[test]
fn a_member_that_says_it_is_another_gets_no_session() {
    let (place, address) = (Place::new(), free());
    // Node 3 has a key that node 2 knows, and calls itself node 1.
    let peers = [place.peer(1, "Inbound"), place.peer(3, "Inbound")].concat();
    let two = Client::of(
        place.daemon(2, &format!("tls: Require, listen: (tcpcl: \"{address}\"), peers: [{peers}], {QUICK}")),
    );
    let liar = Place::new();
    let key = std::fs::read(place.state(3).join("key")).expect("a key");
    liar.did(1);
    std::fs::write(liar.state(1).join("key"), key).expect("the key of node 3");
    let two_did = place.did(2);
    let rest =
        format!("tls: Require, peers: [(node: 2, did: \"{two_did}\", via: Tcpcl(\"{address}\"))], {QUICK}");
    let _liar = liar.daemon(1, &rest);
    wait_until("the lie is refused", || refusals(&two, "tcpcl"));
    assert!(two.peers().expect("peers").iter().all(|peer| peer.links_up == 0));
}

#[test]
fn who_begins_tls_and_falls_silent_is_given_up() {
    let (place, address) = (Place::new(), free());
    let _two = listening(&place, address, "Require", 1);
    let begun = clock();
    let heard = words(address, b"dtn!\x04\x01");
    assert!(heard.starts_with(b"dtn!\x04\x01"), "{heard:?}");
    assert!(begun.elapsed() < Duration::from_secs(20));
    thread::sleep(Duration::from_millis(10));
}
