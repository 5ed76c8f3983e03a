//! Members that find each other.

use super::place::{Place, QUICK, receive, send, wait_until};
use cosmosmesh_node::{Client, Config};
use std::path::Path;

#[test]
fn a_peer_is_found_by_its_key_and_its_session_is_inside_of_tls() {
    let place = Place::new();
    // A third announces itself too, and is nobody's peer.
    let other = Place::new();
    let announce = |peers: &str| {
        format!("tls: Require, mdns: true, listen: (tcpcl: \"127.0.0.1:0\"), peers: [{peers}], {QUICK}")
    };
    let _stranger = other.daemon(2, &announce(&other.peer(1, "Inbound")));
    let two = Client::of(place.daemon(2, &announce(&place.peer(1, "Inbound"))));
    let one = Client::of(
        place.daemon(1, &format!("tls: Require, peers: [{}], {QUICK}", place.peer(2, "Discovered"))),
    );
    send(&one, 2, "found you");
    assert_eq!(receive(&two), "found you");
    wait_until("the contact is told", || one.peers().expect("peers")[0].links_up == 1);
    assert_eq!(one.peers().expect("peers")[0].via, "discovered");
}

#[test]
fn what_cannot_be_found_or_announced_is_a_mistake() {
    let told = |rest: &str| {
        let text = format!("(node: 1, state: \"x\", {rest})");
        let read = Config::parse("node.ron", &text, Path::new("/folder"));
        read.err().map_or(Vec::new(), |errors| errors.0.iter().map(|error| error.field.clone()).collect())
    };
    assert_eq!(told("mdns: true"), ["mdns"]);
    assert_eq!(told("peers: [(node: 2, via: Discovered)]"), ["peers[0].via"]);
    let place = Place::new();
    let peer = place.peer(2, "Discovered");
    assert_eq!(
        told(&format!("preset: Production, beyond_loopback: true, peers: [{peer}]")),
        ["peers[0].via"]
    );
    assert!(
        told(&format!("preset: Production, tls: Require, beyond_loopback: true, peers: [{peer}]")).is_empty()
    );
}
