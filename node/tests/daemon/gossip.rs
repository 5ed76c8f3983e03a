//! Who is there, by gossip.

use super::place::{Place, QUICK, free, program, wait_until};
use cosmosmesh_node::Client;

const GOSSIP: &str = "gossip: (period_ms: 200, round_trip_ms: 50, suspicion_ms: 600)";

fn presence(at: &Client, node: u64) -> Option<String> {
    let peers = at.peers().expect("peers");
    peers.into_iter().find(|peer| peer.node == node).and_then(|peer| peer.presence)
}

#[test]
fn members_know_who_is_there_and_who_is_gone_and_who_came_back() {
    let place = Place::new();
    let [first, second, control] = [free(), free(), free()];
    let one = |more: &str| {
        let peers = [
            place.peer(2, &format!("Tcpcl(\"{first}\")")),
            place.peer(3, &format!("Tcpcl(\"{second}\")")),
            place.peer(9, "Inbound"),
        ];
        place.daemon(1, &format!("{GOSSIP}, {more} peers: [{}], {QUICK}", peers.concat()))
    };
    let two = || {
        let peers = [place.peer(1, "Inbound"), place.peer(3, "Others")];
        place.daemon(
            2,
            &format!("{GOSSIP}, listen: (tcpcl: \"{first}\"), peers: [{}], {QUICK}", peers.concat()),
        )
    };
    // Without gossip: it is counted there, and harms nobody.
    let three = {
        let peers = place.peer(1, "Inbound");
        place.daemon(3, &format!("listen: (tcpcl: \"{second}\"), peers: [{peers}], {QUICK}"))
    };
    let client = Client::of(one(&format!("control: \"{control}\",")));
    let other = two();
    let seen = |word: &str| presence(&client, 2).as_deref() == Some(word);
    wait_until("each hears of the other", || seen("alive"));
    let there = Client::of(other);
    wait_until("both ways", || presence(&there, 1).as_deref() == Some("alive"));
    assert_eq!(presence(&client, 9).as_deref(), Some("unknown"), "nobody has heard of it");
    assert_eq!(presence(&Client::of(three), 1), None, "it does not gossip");
    let told = program()
        .args(["ctl", "--control", &control.to_string(), "--token"])
        .arg(place.state(1).join("token"))
        .arg("peers")
        .output()
        .expect("it runs");
    assert!(String::from_utf8_lossy(&told.stdout).contains("alive"), "{told:?}");
    let line = |state: &str| format!("cosmosmesh_member_presence{{peer=\"2\",state=\"{state}\"}} 1");
    assert!(client.metrics().expect("metrics").contains(&line("alive")));

    there.shutdown().expect("it ends");
    wait_until("its silence is noticed", || seen("down"));
    assert!(client.metrics().expect("metrics").contains(&line("down")));
    let _again = two();
    wait_until("it is found again", || seen("alive"));
}
