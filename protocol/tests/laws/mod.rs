//! What must hold for every input to every door that bytes of a peer come through. The tests here feed it what they can think of, and the
//! targets in `fuzz/` whatever their engine finds. Another door is one more entry in [`DOORS`].

use cosmosmesh_protocol::{
    bundle::{
        BlockFlags, BlockKind, Bundle, CrcKind, CreationTimestamp, HopCount, Policy, Primary, ReportReason,
        Status, StatusReport,
    },
    contract::{Record, Registry, Value, standard},
    convergence::small_frame::{Fragmenter, Reassembler, ReassemblyLimits},
    delivery::Control,
    dtn::{store::StoreLimits, strategy::RoutingConfig},
    envelope::{Header, Parsed, Purpose, seal},
    id::NodeId,
    identity::{Directory, KeyPair},
    node::{BundleSettings, Input, InputError, LinkId, Node, NodeConfig, Retransmission},
    planning::{Contribution, Signal},
    sync::{Delta, Op, Replica, SyncLimits, SyncMessage, VersionVector},
    time::{DtnTime, Instant},
};
use std::{sync::Arc, time::Duration};

/// The reason of a refusal: a stable word.
pub(crate) type Verdict = Result<(), &'static str>;

/// A door: its name, what it does with bytes, and good examples of them.
pub(crate) struct Door {
    pub(crate) name: &'static str,
    /// Feeds it; asserts what must hold whatever the bytes are.
    pub(crate) feed: fn(&[u8]) -> Verdict,
    pub(crate) examples: fn() -> Vec<Vec<u8>>,
}

/// All doors.
pub(crate) const DOORS: [Door; 8] = [
    Door { name: "bundle", feed: bundle, examples: bundles },
    Door { name: "bundle, lenient", feed: lenient_bundle, examples: bundles },
    Door { name: "status report", feed: status_report, examples: status_reports },
    Door { name: "envelope", feed: envelope, examples: envelopes },
    Door { name: "small frames", feed: small_frames, examples: frame_runs },
    Door { name: "small frame", feed: small_frame, examples: frames },
    Door { name: "messages", feed: messages, examples: message_bytes },
    Door { name: "node", feed: node, examples: frames },
];

/// The door of this name.
#[allow(dead_code, reason = "the fuzz targets name one, the tests take all")]
pub(crate) fn door(name: &str) -> &'static Door {
    DOORS.iter().find(|door| door.name == name).expect("a door of this name")
}

fn bundle(bytes: &[u8]) -> Verdict {
    let bundle = Bundle::decode(bytes).map_err(|error| error.reason())?;
    judged(bytes, &bundle);
    assert!(Bundle::decode_with(bytes, Policy::Lenient).is_ok(), "lenient accepts what strict accepts");
    Ok(())
}

fn lenient_bundle(bytes: &[u8]) -> Verdict {
    let bundle = Bundle::decode_with(bytes, Policy::Lenient).map_err(|error| error.reason())?;
    judged(bytes, &bundle);
    // What strict would say needs no second reading.
    assert_eq!(bundle.check(Policy::Strict).err(), Bundle::decode(bytes).err());
    Ok(())
}

/// What is accepted is the only encoding of what it says, and can be split and joined again.
fn judged(bytes: &[u8], bundle: &Bundle) {
    assert_eq!(bundle.encode(), bytes, "one encoding");
    assert_eq!(bundle.encoded_len(), bytes.len());
    if bundle.payload().len() > 1
        && bundle.primary().fragment.is_none()
        && let Ok(parts) = bundle.clone().fragment(bundle.payload().len().div_ceil(2))
    {
        let whole = cosmosmesh_protocol::bundle::reassemble(&parts).expect("its own fragments");
        assert_eq!(whole.payload(), bundle.payload());
    }
}

fn status_report(bytes: &[u8]) -> Verdict {
    let report = StatusReport::decode(bytes).map_err(|error| error.reason())?;
    let again = StatusReport::decode(&report.encode()).expect("its own bytes");
    assert_eq!(again, report);
    Ok(())
}

fn envelope(bytes: &[u8]) -> Verdict {
    let parsed = Parsed::parse(bytes).map_err(|error| error.reason())?;
    let directory = Directory::from_iter([(NodeId(1), keys(1).public().clone())]);
    parsed.verify(&directory).map(drop).map_err(|error| error.reason())
}

/// One frame for a fresh peer.
fn small_frame(bytes: &[u8]) -> Verdict {
    let mut reassembler = Reassembler::new(LIMITS);
    reassembler.accept(Instant::ZERO, bytes).map(drop).map_err(|error| error.reason())
}

const LIMITS: ReassemblyLimits =
    ReassemblyLimits { transfers: 8, bytes: 1 << 16, timeout: Duration::from_secs(60) };

/// Frames of one peer, each behind two bytes with its length; the first that is refused is told.
fn small_frames(bytes: &[u8]) -> Verdict {
    let mut reassembler = Reassembler::new(LIMITS);
    let (mut rest, mut now, mut verdict) = (bytes, 0, Ok(()));
    while let Some((head, behind)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*head)).min(behind.len());
        let (frame, next) = behind.split_at(length);
        rest = next;
        now += 1_000_000_000;
        let accepted = reassembler.accept(Instant::from_nanos(now), frame);
        assert!(reassembler.bytes() <= LIMITS.bytes && reassembler.transfers() <= LIMITS.transfers);
        verdict = verdict.and(accepted.map(drop).map_err(|error| error.reason()));
    }
    verdict
}

/// Everything that travels inside of envelopes.
fn messages(bytes: &[u8]) -> Verdict {
    let mut known = false;
    if let Ok(message) = SyncMessage::decode(bytes) {
        assert_eq!(message.encode(), bytes);
        known = true;
    }
    // These travel in messages only, which say what they are.
    let _ = Delta::decode(bytes).map(|delta| assert_eq!(delta.encode(), bytes));
    let _ = VersionVector::decode(bytes).map(|version| assert_eq!(version.encode(), bytes));
    if let Ok(record) = Registry::standard().read(bytes) {
        assert_eq!(record.encode(), bytes);
        known = true;
    }
    known |= Signal::decode(bytes).is_ok()
        || Contribution::decode(bytes).is_ok()
        || Control::decode(bytes).is_ok();
    if known { Ok(()) } else { Err("no_message") }
}

/// A frame for a whole node: a refusal is counted by its reason, and nothing else can go wrong.
fn node(bytes: &[u8]) -> Verdict {
    let mut node = Node::new(config(2), keys(2), [2; 32], Instant::ZERO);
    let before: u64 = node.refusals().values().sum();
    let result = node.handle_input(Instant::from_nanos(1), Input::Frame { link: LinkId(1), bytes });
    while node.poll_output().is_some() {}
    let counted: u64 = node.refusals().values().sum::<u64>() - before;
    match result {
        Ok(()) => {
            assert_eq!(counted, 0);
            Ok(())
        }
        Err(InputError::Refused { reason }) => {
            assert_eq!((counted, node.refusals().get(reason)), (1, Some(&1)));
            Err(reason)
        }
        Err(error) => panic!("bytes are no misuse: {error}"),
    }
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
        bundles: BundleSettings::default(),
        counted_payloads: false,
        shared_state: None,
        plan: None,
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

fn bundles() -> Vec<Vec<u8>> {
    let mut rich = carrier(3, b"telemetry");
    rich.set_previous_node(&"dtn://relay/".parse().expect("an endpoint"));
    rich.set_age_ms(70_000);
    rich.push_block(BlockKind(192), BlockFlags::REPLICATE, vec![0x83, 1, 2, 3]);
    vec![carrier(2, b"hello").encode(), rich.encode()]
}

fn status_reports() -> Vec<Vec<u8>> {
    let bundle = carrier(2, b"");
    let time = Some(DtnTime(850_000_000_500));
    vec![StatusReport::new(bundle.id(), 9, Status::Deleted, time, ReportReason::HOP_LIMIT_EXCEEDED).encode()]
}

fn envelopes() -> Vec<Vec<u8>> {
    vec![seal(&keys(1), &header(2), b"hello")]
}

fn frames() -> Vec<Vec<u8>> {
    bundles()
        .iter()
        .flat_map(|bundle| [split(bundle, 2000), split(bundle, 60)])
        .map(|mut all| all.remove(0))
        .collect()
}

fn frame_runs() -> Vec<Vec<u8>> {
    let run = |frames: Vec<Vec<u8>>| {
        frames.iter().flat_map(|frame| [&(frame.len() as u16).to_be_bytes()[..], frame].concat()).collect()
    };
    bundles().iter().map(|bundle| run(split(bundle, 60))).collect()
}

pub(crate) fn split(bundle: &[u8], mtu: usize) -> Vec<Vec<u8>> {
    Fragmenter::new(bundle, 7, mtu).expect("it fits").collect()
}

/// What replicas say: with signatures, and in an audit.
fn sync_bytes() -> Vec<Vec<u8>> {
    let mut replica = Replica::new(NodeId(1), SyncLimits::default());
    for key in 0..8_u8 {
        let put = Op::MapPut { name: b"map", key: &[b'k', key], value: b"value" };
        replica.write(put, DtnTime(850_000_000_000)).expect("a write");
        replica.write(Op::SetAdd { name: b"set", member: &[key] }, DtnTime::UNKNOWN).expect("a write");
    }
    replica.sign(&keys(1));
    let delta = replica.delta_since(&VersionVector::new(), usize::MAX).expect("writes");
    let (_, audit) = replica.audit(NodeId(2), 7, 4);
    let repair = SyncMessage::Repair { nonce: 7, delta: delta.clone(), wanted: vec![1, 2] };
    let more = SyncMessage::More { nonce: 7, first: 4, count: 4 };
    let version = SyncMessage::Version(VersionVector::default());
    let messages = [SyncMessage::Delta(delta), audit, repair, more, version];
    messages.iter().map(SyncMessage::encode).collect()
}

/// A record with a field that nobody knows.
fn record_bytes() -> Vec<u8> {
    let schema = standard().into_iter().find(|schema| schema.version.name == "forecast").expect("a contract");
    let record = Record::new(&schema)
        .with(1, Value::Text("power".into()))
        .with(2, Value::Uint(850_000_000_000))
        .with(3, Value::Uint(60_000))
        .with(4, Value::Array(vec![Value::Float(1.5); 3]))
        .with(99, Value::Unknown(vec![0x82, 1, 2]));
    record.encode()
}

fn message_bytes() -> Vec<Vec<u8>> {
    sync_bytes().into_iter().chain([record_bytes()]).collect()
}
