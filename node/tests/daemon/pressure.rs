//! Daemons that have more than they can hold: full inboxes, strangers in numbers, peers that take nothing.

use super::place::{LIFETIME, PATIENCE, Place, QUICK, free, receive, send, wait_until};
use cosmosmesh_node::Client;
use cosmosmesh_protocol::{envelope::Purpose, id::NodeId};
use std::{
    io::Write as _,
    net::{TcpListener, TcpStream, UdpSocket},
    thread,
    time::Duration,
};

/// A metric's value; 0 where there is none.
fn metric(client: &Client, name: &str) -> u64 {
    let metrics = client.metrics().expect("metrics");
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    line.unwrap_or(0)
}

/// A receiver whose inbox is full, a sender whose messages have filled it, and where the receiver listens.
fn full(place: &Place, limits: &str) -> (Client, Client, std::net::SocketAddr) {
    let address = free();
    let limits = format!("limits: (retransmission_ms: 200, acknowledgement_ms: 10, {limits})");
    let listen = format!("listen: (tcpcl: \"{address}\"), peers: [{}], {limits}", place.peer(1, "Inbound"));
    let via = format!("Tcpcl(\"{address}\")");
    let sender = Client::of(place.daemon(1, &format!("peers: [{}], {limits}", place.peer(2, &via))));
    let receiver = Client::of(place.daemon(2, &listen));
    for number in 0..40 {
        send(&sender, 2, &format!("{number} {}", "x".repeat(2000)));
    }
    wait_until("the inbox is full", || !receiver.health().expect("health").ready);
    (sender, receiver, address)
}

#[test]
fn an_inbox_is_full_by_its_bytes_too_and_nothing_is_lost_by_that() {
    let place = Place::new();
    let (_sender, receiver, _) = full(&place, "inbox_bytes: 20000");
    let held = metric(&receiver, "cosmosmesh_queue_depth{queue=\"inbox_bytes\"}");
    assert!(held >= 20_000, "{held}");
    for number in 0..40 {
        assert!(receive(&receiver).starts_with(&format!("{number} ")));
    }
    wait_until("it has room again", || receiver.health().expect("health").ready);
    wait_until("nothing is in it", || {
        metric(&receiver, "cosmosmesh_queue_depth{queue=\"inbox_bytes\"}") == 0
    });
}

#[test]
fn a_contact_outlives_an_inbox_that_stays_full_and_goes_on_in_the_other_direction() {
    let place = Place::new();
    let (sender, receiver, _) = full(&place, "inbox: 10, keepalive_s: 3, patience_s: 1");
    let contact = || receiver.peers().expect("peers")[0].addresses.clone();
    let before = contact();
    assert_eq!(before.len(), 1);
    // Twice as long as a silent peer is given.
    thread::sleep(Duration::from_secs(12));
    assert_eq!(contact(), before, "it is the same connection");
    send(&receiver, 1, "the other way");
    assert_eq!(receive(&sender), "the other way");
    assert!((0..40).all(|number| receive(&receiver).starts_with(&format!("{number} "))));
    assert_eq!(contact(), before);
}

#[test]
fn a_contact_begins_while_the_inbox_is_full() {
    let place = Place::new();
    let (sender, receiver, address) = full(&place, "inbox: 10, patience_s: 1, drain_s: 1, keepalive_s: 1");
    drop(sender);
    wait_until("the contact ends", || receiver.peers().expect("peers")[0].links_up == 0);
    let via = format!("Tcpcl(\"{address}\")");
    let sender = Client::of(place.daemon(1, &format!("peers: [{}], {QUICK}", place.peer(2, &via))));
    wait_until("the contact begins", || receiver.peers().expect("peers")[0].links_up == 1);
    send(&receiver, 1, "the other way");
    assert_eq!(receive(&sender), "the other way");
}

#[test]
fn strangers_take_no_more_than_their_places_while_the_inbox_is_full() {
    let place = Place::new();
    let (_sender, receiver, address) = full(&place, "inbox: 10, connections: 8, patience_s: 30");
    let places = || metric(&receiver, "cosmosmesh_queue_depth{queue=\"connection_places\"}");
    let mut most = 0;
    for _ in 0..200 {
        let mut stranger = TcpStream::connect(address).expect("somebody listens");
        for byte in b"dtn!" {
            let _ = stranger.write_all(&[*byte]);
        }
        most = most.max(places());
    }
    thread::sleep(Duration::from_secs(2));
    most = most.max(places());
    assert!(most <= 8, "{most} places of 8: each has two threads and its buffers");
    assert_eq!(receiver.peers().expect("peers")[0].links_up, 1, "who is known stays");
}

#[test]
fn a_newcomer_gets_the_place_of_one_that_only_connects() {
    let place = Place::new();
    let address = free();
    let limits = "limits: (connections: 4, patience_s: 60)";
    let listen = format!("listen: (tcpcl: \"{address}\"), peers: [{}], {limits}", place.peer(1, "Inbound"));
    let receiver = Client::of(place.daemon(2, &listen));
    let silent: Vec<_> = (0..4).map(|_| TcpStream::connect(address).expect("somebody listens")).collect();
    wait_until("all places are taken", || {
        metric(&receiver, "cosmosmesh_queue_depth{queue=\"connection_places\"}") == 4
    });
    let via = format!("Tcpcl(\"{address}\")");
    let _sender = place.daemon(1, &format!("peers: [{}], {QUICK}", place.peer(2, &via)));
    wait_until("the contact begins", || receiver.peers().expect("peers")[0].links_up == 1);
    assert!(metric(&receiver, "cosmosmesh_refused_total{door=\"connection\",reason=\"guest_gave_way\"}") > 0);
    drop(silent);
}

#[test]
fn a_peer_that_takes_nothing_over_mtcp_is_given_up_and_what_was_under_way_comes_later() {
    let place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    let (peers, back) = (place.peer(2, &format!("Mtcp(\"{address}\")")), free());
    let sender =
        Client::of(place.daemon(1, &format!("listen: (mtcp: \"{back}\"), peers: [{peers}], {QUICK}")));
    let (deaf, _) = listener.accept().expect("it connects");
    // More than the system's buffers hold.
    for number in 0..40 {
        let text = format!("{number} {}", "x".repeat(500_000));
        sender.send(NodeId(2), Purpose::Event, LIFETIME, text.as_bytes()).expect("accepted");
    }
    wait_until("it is given up", || {
        metric(&sender, "cosmosmesh_refused_total{door=\"mtcp\",reason=\"takes_nothing\"}") > 0
    });
    drop((deaf, listener));
    let listen = format!(
        "listen: (mtcp: \"{address}\"), peers: [{}], {QUICK}",
        place.peer(1, &format!("Mtcp(\"{back}\")"))
    );
    let receiver = Client::of(place.daemon(2, &listen));
    for number in 0..40 {
        let message = receiver.receive(PATIENCE).expect("an answer").expect("a message");
        assert!(message.payload.starts_with(format!("{number} ").as_bytes()));
        receiver.take(&message).expect("taken");
    }
}

#[test]
fn datagrams_to_peers_of_the_other_family_leave_too() {
    let Ok(probe) = UdpSocket::bind("[::1]:0") else { return };
    let address = probe.local_addr().expect("its address");
    drop(probe);
    let place = Place::new();
    let peers = place.peer(2, &format!("Udp(\"{address}\")"));
    let sender = Client::of(place.daemon(1, &format!("peers: [{peers}], {QUICK}")));
    let listen =
        format!("listen: (udp: \"{address}\"), peers: [{}], {QUICK}", place.peer(1, "Udp(\"[::1]:9\")"));
    let receiver = Client::of(place.daemon(2, &listen));
    send(&sender, 2, "over IPv6");
    assert_eq!(receive(&receiver), "over IPv6");
}

/// A bundle as MTCP carries it, or rather its beginning: a byte string of `length` bytes, of which the first is no bundle's.
fn mtcp_frame(length: u32) -> Vec<u8> {
    [&[0x5a], length.to_be_bytes().as_slice(), &[0]].concat()
}

#[test]
fn who_says_anything_over_mtcp_is_not_known_by_that() {
    let place = Place::new();
    let (address, mtcp) = (free(), free());
    let third = place.peer(3, &format!("Mtcp(\"{}\")", free()));
    let (first, second) = (place.peer(1, "Inbound"), place.peer(2, &format!("Tcpcl(\"{address}\")")));
    let listen = format!("listen: (tcpcl: \"{address}\", mtcp: \"{mtcp}\"), peers: [{first} {third}]");
    let receiver =
        Client::of(place.daemon(2, &format!("{listen}, limits: (connections: 4, patience_s: 60)")));
    let places = || metric(&receiver, "cosmosmesh_queue_depth{queue=\"connection_places\"}");
    let strangers: Vec<_> = (0..4)
        .map(|_| {
            let mut stranger = TcpStream::connect(mtcp).expect("somebody listens");
            // A byte string of one byte, which is no bundle.
            stranger.write_all(&[0x41, 0]).expect("it is read");
            stranger
        })
        .collect();
    wait_until("all places are taken", || places() == 4);
    wait_until("all have said it", || {
        metric(&receiver, "cosmosmesh_bundles_received_total{peer=\"3\"}") == 4
    });
    let _sender = place.daemon(1, &format!("peers: [{second}], {QUICK}"));
    wait_until("the contact begins", || receiver.peers().expect("peers")[0].links_up == 1);
    drop(strangers);
}

#[test]
fn a_guest_whose_bytes_nobody_takes_gives_way_all_the_same() {
    let place = Place::new();
    let (address, mtcp) = (free(), free());
    let limits =
        "limits: (retransmission_ms: 200, acknowledgement_ms: 10, inbox: 10, connections: 4, patience_s: 60)";
    let peers = place.peer(1, "Inbound") + &place.peer(3, &format!("Mtcp(\"{}\")", free()));
    let listen = format!("listen: (tcpcl: \"{address}\", mtcp: \"{mtcp}\"), peers: [{peers}], {limits}");
    let via = format!("Tcpcl(\"{address}\")");
    let rest = format!("peers: [{}], {limits}", place.peer(2, &via));
    let sender = Client::of(place.daemon(1, &rest));
    let receiver = Client::of(place.daemon(2, &listen));
    for number in 0..40 {
        send(&sender, 2, &number.to_string());
    }
    wait_until("the inbox is full", || !receiver.health().expect("health").ready);
    drop(sender);
    let places = || metric(&receiver, "cosmosmesh_queue_depth{queue=\"connection_places\"}");
    wait_until("its place is free", || places() == 0);
    let strangers: Vec<_> = (0..4)
        .map(|_| {
            let mut stranger = TcpStream::connect(mtcp).expect("somebody listens");
            // One more than it has buffers, each in a packet of its own.
            for byte in mtcp_frame(1000).into_iter().take(6) {
                stranger.write_all(&[byte]).expect("it is read");
                thread::sleep(Duration::from_millis(50));
            }
            stranger
        })
        .collect();
    wait_until("all places are taken", || places() == 4);
    let _sender = place.daemon(1, &rest);
    wait_until("the contact begins", || receiver.peers().expect("peers")[0].links_up == 1);
    drop(strangers);
}

#[test]
fn a_long_bundle_over_mtcp_outlives_an_inbox_that_stays_full() {
    let place = Place::new();
    let (there, back) = (free(), free());
    let rest = |own, peer, other, limits| {
        let peers = place.peer(peer, &format!("Mtcp(\"{other}\")"));
        format!("listen: (mtcp: \"{own}\"), peers: [{peers}], limits: (retransmission_ms: 60000, {limits})")
    };
    let receiver = Client::of(place.daemon(2, &rest(there, 1, back, "inbox: 1, patience_s: 2")));
    let sender = Client::of(place.daemon(1, &rest(back, 2, there, "patience_s: 60")));
    let text = "x".repeat(800_000);
    for number in 0..4 {
        send(&sender, 2, &format!("{number} {text}"));
    }
    for number in 0..4 {
        wait_until("the inbox is full", || !receiver.health().expect("health").ready);
        thread::sleep(Duration::from_secs(3));
        assert!(receive(&receiver).starts_with(&format!("{number} ")));
    }
    let late = "cosmosmesh_refused_total{door=\"mtcp\",reason=\"bundle_too_slow\"}";
    assert_eq!(metric(&receiver, late), 0);
}
