//! From what was typed to what it means: every mistake of meaning at once, each with its place.

use super::{
    Config, Listen, Peer, Via,
    gossip::check_gossip,
    place::{ConfigError, Step, find, path_of},
    plan::check_plan,
    radio::{Radio, check_radio, station},
    raw::{RawAt, RawConfig, RawPeer, RawVia},
    sense::check_sense,
    state::check_state,
    trust::check_trust,
};
use crate::tls::Tls;
use cosmosmesh_protocol::{
    delivery::MAX_WINDOW,
    id::{NodeId, is_dtn_name},
    identity::Did,
};
use std::{fmt, net::SocketAddr, path::Path};

/// A TCP connection on one machine carries more than this; it is what is planned with.
const TCP_RATE_BPS: u64 = 1_000_000_000;
/// Datagrams are paced to this, so that they do not overrun the receiver's buffers.
const UDP_RATE_BPS: u64 = 100_000_000;

/// Every mistake that was found in a configuration; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if at > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

pub(super) struct Mistakes<'a> {
    file: &'a str,
    text: &'a str,
    pub(super) found: Vec<ConfigError>,
}

impl Mistakes<'_> {
    pub(super) fn add(&mut self, steps: &[Step], problem: String) {
        let (line, column) = find(self.text, steps);
        let (file, field) = (self.file.to_owned(), path_of(steps));
        self.found.push(ConfigError { file, line, column, field, problem, suggestion: None });
    }
}

pub(super) fn check(file: &str, text: &str, folder: &Path, raw: RawConfig) -> Result<Config, ConfigErrors> {
    let mut mistakes = Mistakes { file, text, found: Vec::new() };
    check_node(&raw, &mut mistakes);
    check_addresses(&raw, &mut mistakes);
    check_limits(&raw, &mut mistakes);
    check_routes(&raw, &mut mistakes);
    check_sense(&raw, &mut mistakes);
    let trust = check_trust(&raw, folder, &mut mistakes);
    let gossip = check_gossip(&raw, &mut mistakes);
    let shared_state = check_state(&raw, &mut mistakes);
    let plan = check_plan(&raw, folder, &mut mistakes);
    let radios: Vec<Option<Radio>> =
        (0..raw.radios.len()).map(|place| check_radio(&raw.radios, place, &mut mistakes)).collect();
    let mut peers: Vec<Peer> = Vec::new();
    for place in 0..raw.peers.len() {
        let peer = check_peer(&raw, &radios, place, &mut mistakes);
        let same = |other: &Peer, peer: &Peer| matches!(peer.via, Via::Radio { .. }) && other.via == peer.via;
        if let Some(peer) = &peer
            && peers.iter().any(|other| same(other, peer))
        {
            let steps = [Step::Field("peers"), Step::Item(place), Step::Field("via")];
            mistakes.add(&steps, "another peer is there".to_owned());
        }
        peers.extend(peer);
    }
    if !mistakes.found.is_empty() {
        mistakes.found.sort_by_key(|mistake| (mistake.line, mistake.column));
        return Err(ConfigErrors(mistakes.found));
    }
    Ok(Config {
        node: NodeId(raw.node),
        names: raw.names,
        preset: raw.preset,
        state: folder.join(raw.state),
        control: raw.control,
        listen: Listen {
            tcpcl: raw.listen.tcpcl,
            mtcp: raw.listen.mtcp,
            udp: raw.listen.udp,
            quic: raw.listen.quic,
        },
        mdns: raw.mdns,
        beyond_loopback: raw.beyond_loopback,
        tls: raw.tls,
        trust,
        gossip,
        shared_state,
        plan,
        peers,
        radios: radios.into_iter().flatten().collect(),
        routes: raw.routes.iter().map(|route| (NodeId(route.to), NodeId(route.via))).collect(),
        cpu: raw.cpu,
        limits: raw.limits,
    })
}

/// Numbers that stand for nobody in particular (RFC 9758 §3.4).
const fn is_reserved(node: u64) -> bool {
    node == 0 || node == NodeId::LOCAL.0
}

fn check_node(raw: &RawConfig, mistakes: &mut Mistakes<'_>) {
    if is_reserved(raw.node) {
        mistakes.add(
            &[Step::Field("node")],
            format!("{} is no node: allowed are 1 to 4294967294, or with an allocator above", raw.node),
        );
    }
    for (place, name) in raw.names.iter().enumerate() {
        if !is_dtn_name(&format!("//{name}/")) || name.contains('/') {
            let steps = [Step::Field("names"), Step::Item(place)];
            mistakes.add(&steps, format!("{name:?} is no name: letters, digits and marks without a slash"));
        }
    }
}

fn check_addresses(raw: &RawConfig, mistakes: &mut Mistakes<'_>) {
    if let Some(control) = raw.control.filter(|address| !address.ip().is_loopback()) {
        // Whoever reaches it can send in this node's name: there is no switch for it.
        mistakes.add(
            &[Step::Field("control")],
            format!("{control} is not on this machine: allowed are 127.0.0.0/8 and [::1]"),
        );
    }
    if raw.mdns && raw.listen.tcpcl.is_none() {
        mistakes.add(&[Step::Field("mdns")], "nothing to announce: no `listen.tcpcl`".to_owned());
    }
    if raw.beyond_loopback && raw.preset.requires().protected && raw.tls != Tls::Require {
        check_discovery(raw, mistakes);
    }
    let listen = [
        ("tcpcl", raw.listen.tcpcl),
        ("mtcp", raw.listen.mtcp),
        ("udp", raw.listen.udp),
        ("quic", raw.listen.quic),
    ];
    for (name, address) in listen {
        if let Some(address) = address {
            check_reach(raw, address, &[Step::Field("listen"), Step::Field(name)], mistakes);
        }
    }
    for (place, radio) in raw.radios.iter().enumerate() {
        if let RawAt::Tcp(address) = radio.at {
            check_reach(
                raw,
                address,
                &[Step::Field("radios"), Step::Item(place), Step::Field("at")],
                mistakes,
            );
        }
    }
    for (place, peer) in raw.peers.iter().enumerate() {
        if let RawVia::Tcpcl(address) | RawVia::Mtcp(address) | RawVia::Udp(address) | RawVia::Quic(address) =
            peer.via
        {
            let steps = [Step::Field("peers"), Step::Item(place), Step::Field("via")];
            check_reach(raw, address, &steps, mistakes);
            if address.port() == 0 || address.ip().is_unspecified() {
                mistakes.add(&steps, format!("{address} leads to nobody: a peer has an address and a port"));
            }
        }
    }
}

/// What is found may be beyond this machine.
fn check_discovery(raw: &RawConfig, mistakes: &mut Mistakes<'_>) {
    for (place, peer) in raw.peers.iter().enumerate() {
        if matches!(peer.via, RawVia::Discovered | RawVia::Told) {
            let problem =
                format!("the preset {:?} goes beyond this machine with `tls: Require` only", raw.preset);
            mistakes.add(&[Step::Field("peers"), Step::Item(place), Step::Field("via")], problem);
        }
    }
}

/// Nothing leads beyond this machine unless it is asked for, and the preset allows it.
fn check_reach(raw: &RawConfig, address: SocketAddr, steps: &[Step], mistakes: &mut Mistakes<'_>) {
    if address.ip().is_loopback() {
        return;
    }
    let protected = speaks_quic(raw, steps) || raw.tls == Tls::Require && speaks_tls(raw, steps);
    if raw.preset.requires().protected && !protected {
        let problem = format!(
            "{address} is beyond this machine, where the preset {:?} goes by QUIC, or by TCPCL with `tls: Require`, only",
            raw.preset
        );
        return mistakes.add(steps, problem);
    }
    if !raw.preset.requires().beyond_loopback {
        mistakes.add(
            steps,
            format!("{address} is beyond this machine, where the preset {:?} does not go", raw.preset),
        );
    } else if !raw.beyond_loopback {
        mistakes.add(
            steps,
            format!("{address} is beyond this machine: say `beyond_loopback: true` if that is meant"),
        );
    }
}

/// Whether what a field is an address for can be inside of TLS.
fn speaks_tls(raw: &RawConfig, steps: &[Step]) -> bool {
    match steps {
        [Step::Field("peers"), Step::Item(place), ..] => matches!(raw.peers[*place].via, RawVia::Tcpcl(_)),
        [Step::Field("listen"), Step::Field(name)] => *name == "tcpcl",
        _ => false,
    }
}

/// QUIC is never without TLS.
fn speaks_quic(raw: &RawConfig, steps: &[Step]) -> bool {
    match steps {
        [Step::Field("peers"), Step::Item(place), ..] => matches!(raw.peers[*place].via, RawVia::Quic(_)),
        [Step::Field("listen"), Step::Field(name)] => *name == "quic",
        _ => false,
    }
}

fn check_limits(raw: &RawConfig, mistakes: &mut Mistakes<'_>) {
    let limits = &raw.limits;
    let mut within = |name: &'static str, value: u64, least: u64, most: u64| {
        if !(least..=most).contains(&value) {
            let problem = format!("{value} is out of range: allowed are {least} to {most}");
            mistakes.add(&[Step::Field("limits"), Step::Field(name)], problem);
        }
    };
    within("store_bytes", limits.store_bytes, 1 << 16, 1 << 40);
    within("store_bundles", u64::from(limits.store_bundles), 16, 1 << 24);
    within("remembered", u64::from(limits.remembered), 64, 1 << 24);
    within("inbox", limits.inbox, 1, 1 << 32);
    within("inbox_bytes", limits.inbox_bytes, 1 << 12, 1 << 50);
    within("connections", u64::from(limits.connections), 1, 4096);
    within("bundle_bytes", u64::from(limits.bundle_bytes), 1 << 12, 1 << 30);
    within("window", u64::from(limits.window), 1, MAX_WINDOW);
    within("udp_bytes", u64::from(limits.udp_bytes), 256, 65_507);
    within("retransmission_ms", u64::from(limits.retransmission_ms), 10, 86_400_000);
    within("acknowledgement_ms", u64::from(limits.acknowledgement_ms), 0, 3_600_000);
    within("patience_s", u64::from(limits.patience_s), 1, 60);
    within("drain_s", u64::from(limits.drain_s), 0, 600);
    within("budget_ms", u64::from(limits.budget_ms), 1, 60_000);
}

fn check_routes(raw: &RawConfig, mistakes: &mut Mistakes<'_>) {
    for (place, route) in raw.routes.iter().enumerate() {
        let steps = |name| [Step::Field("routes"), Step::Item(place), Step::Field(name)];
        let via = raw.peers.iter().find(|peer| peer.node == route.via);
        if via.is_none_or(|peer| matches!(peer.via, RawVia::Others)) {
            mistakes.add(&steps("via"), format!("{} is no neighbour", route.via));
        }
        if raw.routes[..place].iter().any(|other| other.to == route.to) {
            mistakes.add(&steps("to"), format!("{} has a route already", route.to));
        }
    }
}

fn check_peer(
    raw: &RawConfig,
    radios: &[Option<Radio>],
    place: usize,
    mistakes: &mut Mistakes<'_>,
) -> Option<Peer> {
    let peer: &RawPeer = &raw.peers[place];
    let before = mistakes.found.len();
    let steps = |name| [Step::Field("peers"), Step::Item(place), Step::Field(name)];
    if is_reserved(peer.node) {
        mistakes.add(&steps("node"), format!("{} is no node", peer.node));
    }
    if peer.node == raw.node {
        mistakes.add(&steps("node"), format!("{} is this node itself", peer.node));
    }
    if raw.peers[..place].iter().any(|other| other.node == peer.node) {
        mistakes.add(&steps("node"), format!("{} is given twice", peer.node));
    }
    let did = peer.did.as_deref().map(str::parse::<Did>);
    if let Some(Err(error)) = &did {
        mistakes.add(&steps("did"), error.to_string());
    }
    if let Some(name) = peer.name.as_deref().filter(|name| !is_dtn_name(&format!("//{name}/"))) {
        mistakes.add(&steps("name"), format!("{name:?} is no name"));
    }
    if matches!(peer.via, RawVia::Discovered) && peer.did.is_none() {
        mistakes.add(&steps("via"), "no `did`: by it, a peer is found".to_owned());
    }
    if matches!(peer.via, RawVia::Told) && (peer.did.is_none() || raw.shared_state.is_none()) {
        let problem = "without its `did` and `shared_state`, nobody tells where it is";
        mistakes.add(&steps("via"), problem.to_owned());
    }
    if matches!(peer.via, RawVia::Quic(_)) && peer.did.is_none() {
        mistakes.add(&steps("via"), "no `did`: QUIC is for members".to_owned());
    }
    if raw.preset.requires().signed_bundles && peer.did.is_none() {
        let problem = format!("no `did`: the preset {:?} takes nothing that is not signed", raw.preset);
        mistakes.add(&[Step::Field("peers"), Step::Item(place)], problem);
    }
    if raw.preset.requires().signed_bundles && peer.lenient {
        mistakes.add(&steps("lenient"), format!("the preset {:?} judges everybody strictly", raw.preset));
    }
    if peer.proven {
        check_proof(raw, peer, &steps("proven"), mistakes);
    }
    if peer.rate_bps == Some(0) {
        mistakes.add(&steps("rate_bps"), "0 carries nothing".to_owned());
    }
    let radio = match &peer.via {
        RawVia::Radio { radio, address } => station((&raw.radios, radios), radio, address.as_deref()),
        _ => Ok(None),
    };
    if let Err(problem) = &radio {
        mistakes.add(&steps("via"), problem.clone());
    }
    if mistakes.found.len() > before {
        return None;
    }
    let (via, rate_bps) = match peer.via {
        RawVia::Radio { .. } => {
            // Of a radio that is wrong itself, that was told.
            let (place, station) = radio.ok().flatten()?;
            (Via::Radio { radio: place, station }, radios[place].as_ref()?.rate_bps)
        }
        RawVia::Tcpcl(address) => (Via::Tcpcl(address), TCP_RATE_BPS),
        RawVia::Mtcp(address) => (Via::Mtcp(address), TCP_RATE_BPS),
        RawVia::Udp(address) => (Via::Udp(address), UDP_RATE_BPS),
        RawVia::Quic(address) => (Via::Quic(address), TCP_RATE_BPS),
        RawVia::Discovered => (Via::Discovered, TCP_RATE_BPS),
        RawVia::Told => (Via::Told, TCP_RATE_BPS),
        RawVia::Inbound => (Via::Inbound, TCP_RATE_BPS),
        RawVia::Process => (Via::Process, TCP_RATE_BPS),
        RawVia::Others => (Via::Others, TCP_RATE_BPS),
    };
    Some(Peer {
        node: NodeId(peer.node),
        key: did.and_then(Result::ok).map(|did| did.key().clone()),
        name: peer.name.clone(),
        via,
        lenient: peer.lenient,
        proven: peer.proven || matches!(peer.via, RawVia::Quic(_)),
        rate_bps: peer.rate_bps.unwrap_or(rate_bps),
    })
}

/// Who is to show who it is can do so.
fn check_proof(raw: &RawConfig, peer: &RawPeer, steps: &[Step], mistakes: &mut Mistakes<'_>) {
    let can = match peer.via {
        RawVia::Quic(_) => true,
        RawVia::Tcpcl(_) | RawVia::Discovered | RawVia::Told => raw.tls != Tls::Refuse,
        RawVia::Inbound => raw.tls != Tls::Refuse || raw.listen.quic.is_some(),
        RawVia::Mtcp(_) | RawVia::Udp(_) | RawVia::Radio { .. } | RawVia::Process | RawVia::Others => false,
    };
    if !can {
        mistakes.add(steps, "nothing here shows who it is: that takes TLS or QUIC".to_owned());
    } else if peer.did.is_none() {
        mistakes.add(steps, "no `did`: nobody knows by what it would show who it is".to_owned());
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use cosmosmesh_protocol::identity::KeyPair;

    pub(in crate::config) const DID: &str = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";

    pub(in crate::config) fn mistakes(text: &str) -> Vec<String> {
        let read = Config::parse("node.ron", text, Path::new("/folder"));
        read.err().map_or(Vec::new(), |errors| errors.0.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn who_is_to_show_who_it_is_can_do_so() {
        let told = |rest: &str, peer: &str| {
            let text =
                format!("(node: 1, state: \"state\", {rest} peers: [(node: 2, proven: true, {peer})])");
            mistakes(&text).join("\n")
        };
        let known = |via: &str| format!("did: \"{DID}\", via: {via}");
        assert!(told("", &known("Inbound")).contains("peers[0].proven"));
        assert!(told("tls: Require,", &known("Udp(\"127.0.0.1:7\")")).contains("peers[0].proven"));
        assert!(told("tls: Require,", "via: Inbound").contains("no `did`"));
        let quic = "listen: (quic: \"127.0.0.1:4556\"),";
        for (rest, via) in [("tls: Allow,", "Inbound"), (quic, "Inbound"), ("", "Quic(\"127.0.0.1:4556\")")] {
            assert_eq!(told(rest, &known(via)), "");
        }
    }

    #[test]
    fn what_is_written_is_what_is_meant() {
        let other = Did::new(KeyPair::from_seed([3; 32]).public().clone());
        let text = format!(
            "(node: 1, names: [\"rover\"], preset: Production, state: \"state\", control: \"127.0.0.1:7480\",
              listen: (tcpcl: \"127.0.0.1:4556\"),
              peers: [(node: 2, did: \"{DID}\", via: Tcpcl(\"127.0.0.2:4556\")), (node: 3, did: \"{other}\", via: Others)],
              routes: [(to: 3, via: 2)], limits: (inbox: 7))"
        );
        let config = Config::parse("node.ron", &text, Path::new("/folder")).unwrap();
        assert_eq!(config.key_file(), Path::new("/folder/state/key"));
        assert_eq!(config.peers[0].via, Via::Tcpcl(([127, 0, 0, 2], 4556).into()));
        assert_eq!(config.routes, [(NodeId(3), NodeId(2))]);
        assert_eq!((config.limits.inbox, config.limits.window), (7, Limits::default().window));
    }

    use super::super::raw::Limits;

    #[test]
    fn a_mistake_of_form_is_told_with_line_column_and_field() {
        assert_eq!(
            mistakes("(\n  node: 1,\n  stat: \"x\",\n)"),
            [
                "node.ron:3:3: stat: Unexpected field named `stat` in `Node`, expected one of `node`, `names`, `preset`, `state`, \
              `control`, `listen`, `mdns`, `beyond_loopback`, `tls`, `trust`, `gossip`, `plan`, `shared_state`, `peers`, `radios`, `routes`, `cpu`, or `limits` instead; did you mean `state`?"
            ]
        );
        let wrong_type = mistakes("(node: 1, state: \"x\",\n peers: [\n  (node: \"two\", via: Inbound)])");
        assert!(wrong_type[0].starts_with("node.ron:3:10: peers[0].node: "), "{wrong_type:?}");
        let bad_address = mistakes("(node: 1, state: \"x\",\n listen: (tcpcl: \"localhost\"))");
        assert!(
            bad_address[0].starts_with("node.ron:2:") && bad_address[0].contains("listen.tcpcl"),
            "{bad_address:?}"
        );
        let variant = mistakes("(node: 1, state: \"x\", preset: Producton)");
        assert!(variant[0].contains("did you mean `Production`?"), "{variant:?}");
        let cut = mistakes("(node: 1, state: \"x\"");
        assert!(cut[0].starts_with("node.ron:1:"), "{cut:?}");
        assert!(mistakes("(state: \"x\")")[0].contains("`node`"));
    }

    #[test]
    fn all_mistakes_of_meaning_are_told_at_once_each_at_its_place() {
        let text = "(\n  node: 1,\n  state: \"x\",\n  control: \"10.0.0.1:80\",\n  listen: (udp: \"0.0.0.0:4556\"),\n  peers: [
    (node: 1, via: Inbound),
    (node: 2, did: \"did:web:x\", via: Inbound),
    (node: 2, via: Tcpcl(\"127.0.0.1:0\")),
  ],\n  routes: [(to: 9, via: 8)],\n  limits: (window: 0),\n)";
        let told = mistakes(text);
        let starts = [
            "node.ron:4:12: control: 10.0.0.1:80 is not on this machine",
            "node.ron:5:17: listen.udp: 0.0.0.0:4556 is beyond this machine",
            "node.ron:7:12: peers[0].node: 1 is this node itself",
            "node.ron:8:20: peers[1].did: expected did:key:z",
            "node.ron:9:12: peers[2].node: 2 is given twice",
            "node.ron:9:20: peers[2].via: 127.0.0.1:0 leads to nobody",
            "node.ron:11:25: routes[0].via: 8 is no neighbour",
            "node.ron:12:20: limits.window: 0 is out of range: allowed are 1 to 65536",
        ];
        assert_eq!(told.len(), starts.len(), "{told:#?}");
        for (told, start) in told.iter().zip(starts) {
            assert!(told.starts_with(start), "{told}\n{start}");
        }
    }

    #[test]
    fn nothing_leads_beyond_this_machine_unless_it_is_told() {
        let with = |preset: &str, told: &str| {
            mistakes(&format!(
                "(node: 1, state: \"x\", preset: {preset}, {told} listen: (tcpcl: \"0.0.0.0:1\"))"
            ))
            .len()
        };
        assert_eq!(with("Development", ""), 1);
        assert_eq!(with("Development", "beyond_loopback: true,"), 2);
        assert_eq!(with("Lightweight", ""), 1);
        assert_eq!(with("Lightweight", "beyond_loopback: true,"), 0);
        assert_eq!(with("Production", "beyond_loopback: true,"), 1);
        assert_eq!(with("Production", "beyond_loopback: true, tls: Allow,"), 1);
        assert_eq!(with("Production", "tls: Require,"), 1);
        assert_eq!(with("Production", "beyond_loopback: true, tls: Require,"), 0);
        let udp = "(node: 1, state: \"x\", preset: Production, beyond_loopback: true, tls: Require, listen: (udp: \"0.0.0.0:1\"))";
        assert_eq!(mistakes(udp).len(), 1);
    }

    #[test]
    fn quic_is_never_without_tls_and_for_members_only() {
        let text = |peers: &str| {
            format!(
                "(node: 1, state: \"x\", preset: Production, beyond_loopback: true, listen: (quic: \"0.0.0.0:1\"), peers: [{peers}])"
            )
        };
        assert_eq!(mistakes(&text("")).len(), 0);
        let member = format!("(node: 2, did: \"{DID}\", via: Quic(\"192.0.2.7:4556\"))");
        assert_eq!(mistakes(&text(&member)).len(), 0);
        let told = mistakes("(node: 1, state: \"x\", peers: [(node: 2, via: Quic(\"127.0.0.1:4556\"))])");
        assert!(told.len() == 1 && told[0].contains("QUIC is for members"), "{told:?}");
    }

    #[test]
    fn production_takes_signed_things_only() {
        let told = mistakes(
            "(node: 1, state: \"x\", preset: Production, peers: [(node: 2, via: Inbound, lenient: true)])",
        );
        assert_eq!(told.len(), 2, "{told:?}");
    }

    #[test]
    fn no_text_makes_it_panic() {
        let text =
            "(node: 1, state: \"x\", peers: [(node: 2, via: Udp(\"127.0.0.1:5\"))], limits: (inbox: 1))";
        for end in 0..text.len() {
            assert_eq!(mistakes(&text[..end]).len(), 1, "{end}");
        }
        assert_eq!(mistakes(&"(".repeat(100_000)).len(), 1);
        assert_eq!(mistakes("\u{0}").len(), 1);
    }
}
