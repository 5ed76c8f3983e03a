//! Messages between daemons, over each transport.

use super::place::{LIFETIME, PATIENCE, Place, QUICK, free, pair, receive, send, wait_until};
use cosmosmesh_node::{Client, Daemon};
use cosmosmesh_protocol::{envelope::Purpose, id::NodeId};
use std::{
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// Each sends a hundred to the other; each comes once and in order.
fn exchange(one: Arc<Daemon>, other: Arc<Daemon>) -> (Client, Client) {
    let clients = [Client::of(one), Client::of(other)];
    thread::scope(|scope| {
        for (from, to, number) in [(&clients[0], &clients[1], 2), (&clients[1], &clients[0], 1)] {
            scope.spawn(move || (0..100).for_each(|at| send(from, number, &format!("message {at}"))));
            scope.spawn(move || (0..100).for_each(|at| assert_eq!(receive(to), format!("message {at}"))));
        }
    });
    for client in &clients {
        assert!(
            client.receive(Duration::from_millis(300)).expect("an answer").is_none(),
            "nothing comes twice"
        );
    }
    let [one, other] = clients;
    (one, other)
}

#[test]
fn messages_cross_a_tcpcl_session_both_ways_once_and_in_order() {
    let place = Place::new();
    let (one, other) = pair(&place);
    let (client, _other) = exchange(one, other);
    for line in [
        "cosmosmesh_messages_total{fate=\"accepted\",purpose=\"telemetry\"} 100",
        "cosmosmesh_messages_total{fate=\"delivered\",purpose=\"telemetry\"} 100",
        "cosmosmesh_messages_total{fate=\"acknowledged\",purpose=\"telemetry\"} 100",
        "cosmosmesh_contact_links_up{peer=\"2\"} 1",
    ] {
        wait_until(line, || client.metrics().expect("metrics").lines().any(|found| found == line));
    }
}

#[test]
fn messages_cross_mtcp_both_ways() {
    let place = Place::new();
    let [one, other] = [free(), free()];
    let config = |own, peer, via| {
        format!(
            "listen: (mtcp: \"{own}\"), peers: [{}], {QUICK}",
            place.peer(peer, &format!("Mtcp(\"{via}\")"))
        )
    };
    exchange(place.daemon(1, &config(one, 2, other)), place.daemon(2, &config(other, 1, one)));
}

/// Passes datagrams on in both directions, all but one of so many.
fn lossy_relay(one: SocketAddr, other: SocketAddr, lost: u64) -> [SocketAddr; 2] {
    let sockets = [(); 2].map(|()| Arc::new(UdpSocket::bind("127.0.0.1:0").expect("a port")));
    let count = Arc::new(AtomicU64::new(0));
    for (from, to, target) in [(0, 1, other), (1, 0, one)] {
        let (from, to, count) = (sockets[from].clone(), sockets[to].clone(), count.clone());
        thread::spawn(move || {
            let mut buffer = [0; 2000];
            while let Ok(length) = from.recv(&mut buffer) {
                if count.fetch_add(1, Ordering::AcqRel) % lost != 0 {
                    let _ = to.send_to(&buffer[..length], target);
                }
            }
        });
    }
    sockets.map(|socket| socket.local_addr().expect("its address"))
}

#[test]
fn what_datagrams_lose_is_sent_again() {
    let (place, ours, theirs) = (Place::new(), free(), free());
    // Each sees the other at the relay's address.
    let [near, far] = lossy_relay(ours, theirs, 3);
    let listen = |own: SocketAddr, peer: u64, at: SocketAddr| {
        format!("listen: (udp: \"{own}\"), peers: [{}], {QUICK}", place.peer(peer, &format!("Udp(\"{at}\")")))
    };
    let one = Client::of(place.daemon(1, &listen(ours, 2, near)));
    let two = Client::of(place.daemon(2, &listen(theirs, 1, far)));
    for number in 0..20 {
        send(&one, 2, &format!("there {number}"));
        send(&two, 1, &format!("back {number}"));
    }
    for number in 0..20 {
        assert_eq!(receive(&two), format!("there {number}"));
        assert_eq!(receive(&one), format!("back {number}"));
    }
}

#[test]
fn messages_cross_datagrams_both_ways() {
    let place = Place::new();
    let [one, other] = [free(), free()];
    let config = |own, peer, via| {
        format!(
            "listen: (udp: \"{own}\"), peers: [{}], {QUICK}",
            place.peer(peer, &format!("Udp(\"{via}\")"))
        )
    };
    exchange(place.daemon(1, &config(one, 2, other)), place.daemon(2, &config(other, 1, one)));
}

#[test]
fn messages_cross_between_two_daemons_of_one_process_and_wait_while_they_are_parted() {
    let place = Place::new();
    let config = |peer| format!("peers: [{}], {QUICK}", place.peer(peer, "Process"));
    let (one, other) = (place.daemon(1, &config(2)), place.daemon(2, &config(1)));
    let sender = Client::of(one.clone());
    send(&sender, 2, "before they meet");
    Daemon::pair(&one, &other);
    let receiver = Client::of(other.clone());
    assert_eq!(receive(&receiver), "before they meet");
    Daemon::part(&one, &other);
    wait_until("the contact ends", || sender.peers().expect("peers")[0].links_up == 0);
    send(&sender, 2, "while they are parted");
    assert!(receiver.receive(Duration::from_millis(300)).expect("an answer").is_none());
    Daemon::pair(&one, &other);
    assert_eq!(receive(&receiver), "while they are parted");
    exchange(one, other);
}

#[test]
fn what_crosses_while_two_daemons_of_one_process_are_being_joined_is_answered_for_itself() {
    for _ in 0..6 {
        let place = Place::new();
        let config = |peer| format!("peers: [{}], {QUICK}", place.peer(peer, "Process"));
        let (one, other) = (place.daemon(1, &config(2)), place.daemon(2, &config(1)));
        let clients = [Client::of(one.clone()), Client::of(other.clone())];
        for number in 0..20 {
            send(&clients[0], 2, &number.to_string());
            send(&clients[1], 1, &number.to_string());
        }
        // Whoever hears of it first sends before the other knows.
        for _ in 0..5 {
            Daemon::pair(&one, &other);
            Daemon::part(&one, &other);
        }
        Daemon::pair(&one, &other);
        for number in 0..20 {
            assert!(clients.iter().all(|client| receive(client) == number.to_string()));
        }
        let acknowledged = |client: &Client| {
            client.metrics().expect("metrics").contains("fate=\"acknowledged\",purpose=\"telemetry\"} 20")
        };
        wait_until("all is acknowledged", || clients.iter().all(acknowledged));
    }
}

#[test]
fn messages_go_through_a_relay_that_production_asks_to_check_them() {
    let place = Place::new();
    let address = free();
    let production = "preset: Production";
    let relay = format!(
        "{production}, listen: (tcpcl: \"{address}\"), peers: [{} {}], {QUICK}",
        place.peer(1, "Inbound"),
        place.peer(3, "Inbound")
    );
    let end = |far| {
        let via = format!("Tcpcl(\"{address}\")");
        let peers = format!("{} {}", place.peer(2, &via), place.peer(far, "Others"));
        format!("{production}, peers: [{peers}], routes: [(to: {far}, via: 2)], {QUICK}")
    };
    let relay = place.daemon(2, &relay);
    let (one, three) = (Client::of(place.daemon(1, &end(3))), Client::of(place.daemon(3, &end(1))));
    for number in 0..20 {
        send(&one, 3, &format!("{number}"));
    }
    for number in 0..20 {
        assert_eq!(receive(&three), format!("{number}"));
    }
    let relay = Client::of(relay);
    wait_until("the relay has counted them", || {
        relay.metrics().expect("metrics").contains("cosmosmesh_bundles_sent_total{peer=\"3\"}")
    });
}

#[test]
fn a_large_message_crosses_in_many_segments() {
    let place = Place::new();
    let (one, other) = pair(&place);
    let payload: Vec<u8> = (0..900_000_u32).map(|at| (at % 251) as u8).collect();
    let sender = Client::of(one);
    sender.send(NodeId(2), Purpose::Event, LIFETIME, &payload).expect("accepted");
    let message = Client::of(other).receive(PATIENCE).expect("an answer").expect("a message");
    assert!(message.payload == payload && message.purpose.as_deref() == Some("event"));
}

#[test]
fn a_message_that_was_not_taken_is_given_again_by_a_daemon_that_comes_back() {
    let place = Place::new();
    let (one, other) = pair(&place);
    let sender = Client::of(one);
    send(&sender, 2, "read me twice");
    let client = Client::of(other);
    let first = client.receive(PATIENCE).expect("an answer").expect("a message");
    client.shutdown().expect("ended");
    let again = Client::of(place.daemon(2, QUICK));
    assert_eq!(again.receive(PATIENCE).expect("an answer").as_ref(), Some(&first));
    again.take(&first).expect("taken");
    again.shutdown().expect("ended");
    let third = Client::of(place.daemon(2, QUICK));
    assert!(third.receive(Duration::from_millis(100)).expect("an answer").is_none());
}

#[test]
fn a_plain_bundle_reaches_an_endpoint() {
    let place = Place::new();
    let (one, other) = pair(&place);
    let to = "ipn:2.7".parse().expect("an endpoint");
    let sender = Client::of(one);
    sender.send_bundle(&to, LIFETIME, b"plain").expect("accepted");
    let bundle = Client::of(other).receive(PATIENCE).expect("an answer").expect("a bundle");
    assert_eq!((bundle.source.as_str(), bundle.purpose.as_deref()), ("ipn:1.2", None));
    assert_eq!(
        (bundle.destination.as_deref(), bundle.payload.as_slice()),
        (Some("ipn:2.7"), b"plain".as_slice())
    );
}

#[test]
fn what_an_application_may_not_send_is_refused_with_a_reason() {
    let place = Place::new();
    let (one, _other) = pair(&place);
    let client = Client::of(one);
    let refusal = |to, bytes| match client.send(NodeId(to), Purpose::Telemetry, LIFETIME, &vec![0; bytes]) {
        Err(cosmosmesh_node::ClientError::Refused(refusal)) => refusal.reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(refusal(9, 1), "unknown_destination");
    assert_eq!(refusal(1, 1), "to_self");
    assert_eq!(refusal(2, 2 << 20), "payload_too_large");
}
