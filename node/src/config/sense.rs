//! What is well written and cannot work: told at the start, and not found out by bundles that never come.

use super::{
    check::Mistakes,
    place::Step,
    raw::{RawConfig, RawPeer, RawVia},
};
use crate::tls::Tls;
use std::{fmt::Display, net::SocketAddr};

pub(super) fn check_sense(raw: &RawConfig, mistakes: &mut Mistakes<'_>) {
    if raw.beyond_loopback && !raw.preset.requires().beyond_loopback {
        let problem = format!("the preset {:?} does not go beyond this machine", raw.preset);
        mistakes.add(&[Step::Field("beyond_loopback")], problem);
    }
    if let Some(cpu) = raw.cpu
        && let Err(error) = crate::processor::check(cpu)
    {
        mistakes.add(&[Step::Field("cpu")], format!("processor {cpu}: {error}"));
    }
    if raw.mdns && !cfg!(feature = "mdns") {
        mistakes.add(&[Step::Field("mdns")], NO_MDNS.to_owned());
    }
    if raw.listen.quic.is_some() && !cfg!(feature = "quic") {
        mistakes.add(&[Step::Field("listen"), Step::Field("quic")], NO_QUIC.to_owned());
    }
    check_udp(raw, mistakes);
    check_places(raw, mistakes);
    for (place, peer) in raw.peers.iter().enumerate() {
        check_peer(raw, place, peer, mistakes);
    }
}

const NO_MDNS: &str = "this program is built without the feature `mdns`";
const NO_QUIC: &str = "this program is built without the feature `quic`";

fn check_peer(raw: &RawConfig, place: usize, peer: &RawPeer, mistakes: &mut Mistakes<'_>) {
    let at = |name| [Step::Field("peers"), Step::Item(place), Step::Field(name)];
    let same = |other: &&RawPeer| peer.did.is_some() && other.did == peer.did;
    if let Some(other) = raw.peers[..place].iter().find(same) {
        // A key is one node: with TLS it would be known by one of the two numbers only.
        mistakes.add(&at("did"), format!("it is that of peer {} already", other.node));
    }
    if matches!(peer.via, RawVia::Discovered) && !cfg!(feature = "mdns") {
        mistakes.add(&at("via"), NO_MDNS.to_owned());
    }
    if matches!(peer.via, RawVia::Quic(_)) && !cfg!(feature = "quic") {
        mistakes.add(&at("via"), NO_QUIC.to_owned());
    }
    let in_tls = matches!(peer.via, RawVia::Tcpcl(_) | RawVia::Inbound | RawVia::Discovered | RawVia::Told);
    if raw.tls != Tls::Require || !in_tls {
        return;
    }
    if peer.did.is_none() && !matches!(peer.via, RawVia::Discovered) {
        mistakes.add(&at("via"), "no `did`: with `tls: Require`, there is no session without".to_owned());
    }
    if peer.name.is_some() && !raw.names.is_empty() {
        let problem = "it would be told our name, of which our certificate says nothing: with `tls: Require`, \
                       sessions are between members by their numbers";
        mistakes.add(&at("name"), problem.to_owned());
    }
}

/// Connections that we make are among those that are allowed: where others are to come in, a place has to be left for them.
fn check_places(raw: &RawConfig, mistakes: &mut Mistakes<'_>) {
    let is_dialled = |peer: &&RawPeer| {
        matches!(
            peer.via,
            RawVia::Tcpcl(_) | RawVia::Mtcp(_) | RawVia::Quic(_) | RawVia::Discovered | RawVia::Told
        )
    };
    let (dialled, places) = (raw.peers.iter().filter(is_dialled).count(), raw.limits.connections);
    let listen = &raw.listen;
    let listens = listen.tcpcl.or(listen.mtcp).or(listen.quic).is_some();
    if listens && dialled >= usize::from(places) {
        let problem =
            format!("{places} places, and {dialled} peers are connected to: nobody else would ever come in");
        mistakes.add(&[Step::Field("limits"), Step::Field("connections")], problem);
    }
}

/// All datagrams leave by one socket: of one family, and not bound to this machine when they are for others.
fn check_udp(raw: &RawConfig, mistakes: &mut Mistakes<'_>) {
    let mut from: Option<SocketAddr> = raw.listen.udp;
    for (place, peer) in raw.peers.iter().enumerate() {
        let RawVia::Udp(to) = peer.via else { continue };
        let mut mistake = |problem: &dyn Display| {
            mistakes.add(
                &[Step::Field("peers"), Step::Item(place), Step::Field("via")],
                format!("{to} {problem}"),
            );
        };
        let local = to.ip().is_loopback();
        match from {
            None if local => from = Some(to),
            None => {
                mistake(&"is beyond this machine: `listen.udp` says where its datagrams are to leave from")
            }
            Some(from) if from.is_ipv4() != to.is_ipv4() => {
                mistake(&format_args!(
                    "cannot be sent to from {from}, where all datagrams leave: another family"
                ));
            }
            Some(from) if from.ip().is_loopback() && !local => {
                mistake(&format_args!("cannot be sent to from {from}, which stays on this machine"));
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::tests::{DID, mistakes};

    fn starts(rest: &str, expected: &[&str]) {
        let told = mistakes(&format!("(node: 1, state: \"x\",\n{rest})"));
        assert_eq!(told.len(), expected.len(), "{rest}: {told:#?}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(told.contains(expected), "{rest}: {told}\n{expected}");
        }
    }

    #[test]
    fn who_listens_has_places_left_beside_the_peers_that_it_connects_to() {
        let peers = "(node: 2, via: Mtcp(\"127.0.0.1:2\")), (node: 3, via: Mtcp(\"127.0.0.1:3\"))";
        let with =
            |listen: &str, places: u8| format!("{listen}peers: [{peers}],\nlimits: (connections: {places})");
        let listen = "listen: (mtcp: \"127.0.0.1:1\"), ";
        starts(&with(listen, 2), &["limits.connections: 2 places, and 2 peers are connected to"]);
        starts(&with(listen, 3), &[]);
        starts(&with("", 2), &[]);
    }

    #[test]
    fn a_preset_for_one_machine_is_not_led_beyond_it() {
        let discovered = format!("(node: 2, did: \"{DID}\", via: Discovered)");
        starts(
            &format!("beyond_loopback: true, peers: [{discovered}]"),
            &["node.ron:2:18: beyond_loopback: "],
        );
        starts(&format!("preset: Lightweight, beyond_loopback: true, peers: [{discovered}]"), &[]);
    }

    #[test]
    fn datagrams_that_could_not_leave_are_told() {
        let peers = |listen: &str, at: &[&str]| {
            let peer = |(place, at): (usize, &&str)| format!("(node: {}, via: Udp(\"{at}\")),", place + 2);
            let peers: String = at.iter().enumerate().map(peer).collect();
            format!("preset: Lightweight, beyond_loopback: true, {listen} peers: [{peers}]")
        };
        starts(&peers("", &["127.0.0.1:1", "127.0.0.2:2"]), &[]);
        starts(&peers("", &["[::1]:1"]), &[]);
        starts(
            &peers("", &["192.0.2.7:4556"]),
            &["peers[0].via: 192.0.2.7:4556 is beyond this machine: `listen.udp`"],
        );
        starts(&peers("", &["127.0.0.1:1", "[::1]:1"]), &["another family"]);
        starts(&peers("listen: (udp: \"127.0.0.1:1\"),", &["192.0.2.7:4556"]), &["stays on this machine"]);
        starts(&peers("listen: (udp: \"0.0.0.0:1\"),", &["192.0.2.7:4556", "127.0.0.1:9"]), &[]);
    }

    #[test]
    fn peers_that_could_never_be_met_are_told() {
        let peers = format!(
            "peers: [(node: 2, did: \"{DID}\", via: Inbound), (node: 3, did: \"{DID}\", via: Others)]"
        );
        starts(&peers, &["peers[1].did: it is that of peer 2 already"]);
        starts("tls: Require, peers: [(node: 2, via: Inbound)]", &["peers[0].via: no `did`"]);
        starts("tls: Allow, peers: [(node: 2, via: Inbound)]", &[]);
        let named = format!(
            "tls: Require, names: [\"rover\"], peers: [(node: 2, name: \"x\", did: \"{DID}\", via: Inbound)]"
        );
        starts(&named, &["peers[0].name: it would be told our name"]);
    }

    #[test]
    fn a_processor_that_is_not_there_is_told_with_its_place() {
        starts("cpu: 9999", &["node.ron:2:6: cpu: processor 9999: "]);
    }
}
