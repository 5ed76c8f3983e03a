//! What must hold for every input to every door that bytes of a peer come through. The tests here feed it what they can think of, and the
//! targets in `fuzz/` whatever their engine finds. Another door is one more entry in [`DOORS`].

mod bundles;
mod links;
mod members;
mod messages;
mod nodes;
mod security;
mod sessions;

use cosmosmesh_protocol::{
    bundle::{Bundle, CrcKind, CreationTimestamp, HopCount, Primary},
    convergence::small_frame::Fragmenter,
    dtn::{store::StoreLimits, strategy::RoutingConfig},
    envelope::{Header, Purpose, seal},
    id::NodeId,
    identity::{Directory, KeyPair},
    node::{BundleSettings, NodeConfig, Retransmission},
    time::DtnTime,
};
use std::{sync::Arc, time::Duration};

/// The reason of a refusal: a stable word.
pub(crate) type Verdict = Result<(), &'static str>;

/// A door: its name, what it does with bytes, and good examples of them.
pub(crate) struct Door {
    pub(crate) name: &'static str,
    /// Whether every part of an example, cut off at its end, is refused: it is one message, and not a stream of them.
    #[allow(dead_code, reason = "a fuzzing engine does not ask")]
    pub(crate) whole: bool,
    /// Most changes of an example that are fed: what takes a whole day of a node is done for some of them.
    #[allow(dead_code, reason = "a fuzzing engine does not ask")]
    pub(crate) most: usize,
    /// Feeds it; asserts what must hold whatever the bytes are.
    pub(crate) feed: fn(&[u8]) -> Verdict,
    pub(crate) examples: fn() -> Vec<Vec<u8>>,
}

const fn message(name: &'static str, feed: fn(&[u8]) -> Verdict, examples: fn() -> Vec<Vec<u8>>) -> Door {
    Door { name, whole: true, most: usize::MAX, feed, examples }
}

const fn stream(name: &'static str, feed: fn(&[u8]) -> Verdict, examples: fn() -> Vec<Vec<u8>>) -> Door {
    Door { name, whole: false, most: 1000, feed, examples }
}

/// All doors.
pub(crate) const DOORS: [Door; 20] = [
    message("bundle", bundles::bundle, bundles::bundles),
    message("bundle, lenient", bundles::lenient_bundle, bundles::bundles),
    message("status report", bundles::status_report, bundles::status_reports),
    message("administrative record", bundles::record, bundles::records),
    stream("fragments", bundles::fragments, bundles::fragment_runs),
    message("envelope", bundles::envelope, bundles::envelopes),
    stream("messages", messages::messages, messages::examples),
    message("statement", members::statement, members::statements),
    Door { most: 50, ..stream("member", members::member, members::said) },
    message("secured bundle", security::secured_bundle, security::secured_bundles),
    message("integrity block", security::integrity_block, security::integrity_blocks),
    message("confidentiality block", security::confidentiality_block, security::confidentiality_blocks),
    stream("small frames", links::small_frames, links::frame_runs),
    stream("small frame", links::small_frame, links::frames),
    stream("ltp", sessions::ltp, sessions::ltp_runs),
    stream("mtcp", links::mtcp, links::mtcp_streams),
    stream("udpcl", links::udpcl, links::datagrams),
    stream("tcpcl", sessions::tcpcl, sessions::tcpcl_streams),
    stream("node", nodes::node, links::frames),
    stream("node at work", nodes::node_at_work, nodes::days_of_work),
];

/// The door of this name.
#[allow(dead_code, reason = "the fuzz targets name one, the tests take all")]
pub(crate) fn door(name: &str) -> &'static Door {
    DOORS.iter().find(|door| door.name == name).expect("a door of this name")
}

/// The pieces of a run: each stands behind two bytes with its length. What is cut off is a piece too.
fn pieces(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (head, behind) = rest.split_first_chunk::<2>()?;
        let (piece, next) = behind.split_at(usize::from(u16::from_be_bytes(*head)).min(behind.len()));
        rest = next;
        Some(piece)
    })
}

/// A run of pieces.
fn run<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let put = |piece: &[u8]| [&(piece.len() as u16).to_be_bytes()[..], piece].concat();
    pieces.into_iter().flat_map(put).collect()
}

pub(crate) fn keys(node: u8) -> KeyPair {
    KeyPair::from_seed([node; 32])
}

/// A node of a fleet of three.
pub(crate) fn config(node: u64) -> NodeConfig {
    let directory: Directory =
        (1..=3_u8).map(|member| (NodeId(u64::from(member)), keys(member).public().clone())).collect();
    NodeConfig {
        id: NodeId(node),
        directory: Arc::new(directory),
        store: StoreLimits { bytes: 1 << 20, count: 1024 },
        keep_bundles: false,
        hop_limit: 8,
        crc: CrcKind::Castagnoli,
        routing: RoutingConfig::default(),
        window: 64,
        submission_rate: None,
        replay_window: 64,
        max_payload: 4096,
        retransmission: Retransmission {
            max_attempts: 3,
            min_timeout: Duration::from_secs(5),
            ack_delay: Duration::from_secs(1),
            margin_percent: 150,
        },
        reroute_after: Duration::from_secs(60),
        route_slack: Duration::from_secs(30),
        control_lifetime: Duration::from_secs(3600),
        security: None,
        bundles: BundleSettings { max_payload: 1 << 16, ..BundleSettings::default() },
        counted_payloads: false,
        contracts: false,
        shared_state: None,
        plan: None,
        trust: None,
        governance: None,
        discovery: None,
        sealing: None,
    }
}

fn header(destination: u64) -> Header {
    Header {
        sender: NodeId(1),
        incarnation: 1,
        purpose: Purpose::Telemetry,
        destination: NodeId(destination),
        sequence: 1,
        created: DtnTime(850_000_000_000),
    }
}

/// A bundle from node 1 with an envelope in it.
pub(crate) fn carrier(destination: u64, payload: &[u8]) -> Bundle {
    let creation = CreationTimestamp { time: DtnTime(850_000_000_000), sequence: 1 };
    let primary = Primary::new(NodeId(1).endpoint(1), NodeId(destination).endpoint(1), creation, 60_000_000);
    let mut bundle = Bundle::new(primary, seal(&keys(1), &header(destination), payload));
    bundle.set_hop_count(HopCount { limit: 8, count: 1 });
    bundle
}

pub(crate) fn split(bundle: &[u8], mtu: usize) -> Vec<Vec<u8>> {
    Fragmenter::new(bundle, 7, mtu).expect("it fits").collect()
}
