//! A whole node: one frame, or days of work among neighbours, crashes and slow disks.

use super::{
    Verdict,
    bundles::{bundles, status_reports},
    carrier, config, keys, pieces, run,
    sessions::ltp_segments,
    split,
};
use cosmosmesh_protocol::{
    bundle::{AdministrativeRecord, Bpdu, Bundle, BundleFlags, CreationTimestamp, Primary, StatusReport},
    dtn::{
        contact_plan::{ContactPlan, PlannedContact},
        store::StoreLimits,
    },
    id::{EndpointId, NodeId},
    node::{
        Batch, BundleSecurity, BundleSettings, BundleSubmission, Change, Convergence, CustodySettings, Input,
        InputError, Kept, LinkId, LinkUp, LtpLink, Node, NodeConfig, Output, ReassemblySettings,
        StatusReportSettings, WholeLink,
    },
    time::{DtnTime, Instant, UtcEstimate},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// A frame for a whole node: a refusal is counted by its reason, and nothing else can go wrong.
pub(super) fn node(bytes: &[u8]) -> Verdict {
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

const UTC: DtnTime = DtnTime(850_000_000_000);
const LAYERS: [Convergence; 3] = [
    Convergence::Whole(WholeLink { window: 4 }),
    Convergence::SmallFrame,
    Convergence::Ltp(LtpLink::over(Duration::from_secs(1))),
];
/// Most records of all kinds that the settings below let a node keep.
const MOST_RECORDS: usize = 64 + 8 * 16 + 2 * 64 + 8 + 16;

/// Node 2 with everything switched on and every bound low.
fn busy_config(secured: bool) -> NodeConfig {
    NodeConfig {
        store: StoreLimits { bytes: 1 << 16, count: 64 },
        keep_bundles: true,
        security: secured.then(BundleSecurity::hop_by_hop),
        bundles: BundleSettings {
            max_payload: 4096,
            max_remembered: 64,
            reassembly: ReassemblySettings {
                bundles: 8,
                bytes: 1 << 14,
                fragments: 16,
                timeout: Duration::from_secs(60),
            },
            status_reports: Some(StatusReportSettings::default()),
            min_fragment: Some(64),
            custody: Some(CustodySettings { bundles: 8, bytes: 1 << 14, ..CustodySettings::default() }),
            ..BundleSettings::default()
        },
        ..config(2)
    }
}

/// Node 2 and its host.
struct Host {
    node: Node,
    secured: bool,
    layer: Convergence,
    slow_disk: bool,
    now: Instant,
    incarnation: u32,
    kept: BTreeMap<Vec<u8>, Vec<u8>>,
    unwritten: Vec<Batch>,
    delivered: BTreeSet<(EndpointId, CreationTimestamp)>,
    own: u64,
}

/// What neighbours, the disk and the power do to a node. The first byte sets it up; then each piece is a frame, behind a byte that says how
/// many seconds pass before it and what happens then.
pub(super) fn node_at_work(bytes: &[u8]) -> Verdict {
    let Some((&setting, rest)) = bytes.split_first() else { return Err("no_day") };
    let secured = setting & 4 != 0;
    let mut host = Host {
        node: Node::new(busy_config(secured), keys(2), [2; 32], Instant::ZERO),
        secured,
        layer: LAYERS[usize::from(setting & 3) % LAYERS.len()],
        slow_disk: setting & 8 != 0,
        now: Instant::ZERO,
        incarnation: 1,
        kept: BTreeMap::new(),
        unwritten: Vec::new(),
        delivered: BTreeSet::new(),
        own: 0,
    };
    host.brief();
    let mut verdict = Ok(());
    for piece in pieces(rest) {
        let Some((how, frame)) = piece.split_first() else { continue };
        host.pass(u64::from(how & 0x0f));
        let link = host.act(how >> 4);
        let before: u64 = host.node.refusals().values().sum();
        let answer = host.input(Input::Frame { link, bytes: frame });
        let counted = host.node.refusals().values().sum::<u64>() - before;
        verdict = verdict.and(match answer {
            Ok(()) => Ok(()),
            Err(InputError::Refused { reason }) => {
                assert!(counted > 0, "{reason} is counted");
                Err(reason)
            }
            Err(error) => panic!("bytes are no misuse: {error}"),
        });
        assert!(host.node.stored() <= 64);
        assert!(host.kept.len() <= MOST_RECORDS, "{} records", host.kept.len());
    }
    // The neighbours are gone, and months later nothing of all that is left.
    host.slow_disk = false;
    host.write();
    for link in [LinkId(1), LinkId(3)] {
        host.input(Input::LinkDown { link }).expect("a driver's own inputs");
    }
    // No lifetime here is longer than 30 days, and nothing is remembered for more than twice that.
    for _ in 0..3 {
        host.now = host.now.saturating_add(Duration::from_secs(61 * 86_400));
        host.input(Input::Timeout).expect("a timeout is never misuse");
    }
    // Where a stream stands is known for ever.
    let streams = [Kept::IncomingStream as u8, Kept::OutgoingStream as u8];
    let left: Vec<_> = host.kept.keys().filter(|key| !streams.contains(&key[0])).collect();
    assert_eq!((host.node.stored(), left), (0, vec![]));
    verdict
}

impl Host {
    fn brief(&mut self) {
        let utc = DtnTime(UTC.0 + self.now.as_nanos() / 1_000_000);
        let civil = UtcEstimate { at: self.now, utc, uncertainty: Duration::ZERO };
        let contact = |from, to| PlannedContact {
            from: NodeId(from),
            to: NodeId(to),
            start: Instant::ZERO,
            end: Instant::from_nanos(100_000_000_000_000),
            rate_bps: 1_000_000,
            owlt: Duration::from_secs(1),
        };
        let plan = [contact(1, 2), contact(2, 1), contact(2, 3), contact(3, 2)];
        let plan = ContactPlan::from_contacts(plan).expect("a plain plan");
        for input in [Input::Civil(civil), Input::ContactPlan(plan)] {
            self.input(input).expect("a driver's own inputs");
        }
        self.link_up(1);
        self.link_up(3);
    }

    fn link_up(&mut self, peer: u64) {
        let up = LinkUp {
            link: LinkId(peer as u32),
            peer: NodeId(peer),
            mtu: 1 << 12,
            rate_bps: 1_000_000,
            until: None,
            convergence: self.layer,
            session: false,
        };
        self.input(Input::LinkUp(up)).expect("a driver's own inputs");
    }

    /// Does what a piece says before its frame, and tells by which link that comes.
    fn act(&mut self, what: u8) -> LinkId {
        match what {
            1 => return LinkId(3),
            2 => self.crash(),
            3 => self.write(),
            4 => {
                self.input(Input::LinkDown { link: LinkId(1) }).expect("a driver's own inputs");
                self.link_up(1);
            }
            5 => {
                self.own += 1;
                let (from, to) = (NodeId(2).endpoint(7), NodeId(3).endpoint(7));
                let payload = self.own.to_be_bytes().to_vec();
                let mut submission = BundleSubmission::new(from, to, Duration::from_secs(100), payload);
                submission.custody = self.own.is_multiple_of(2);
                // A full store is an answer.
                let _ = self.input(Input::SendBundle(submission));
            }
            _ => {}
        }
        LinkId(1)
    }

    fn pass(&mut self, seconds: u64) {
        let end = self.now.saturating_add(Duration::from_secs(seconds));
        while let Some(at) = self.node.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.input(Input::Timeout).expect("a timeout is never misuse");
        }
        self.now = end;
    }

    fn input(&mut self, input: Input<'_>) -> Result<(), InputError> {
        let answer = self.node.handle_input(self.now, input);
        self.drain();
        answer
    }

    fn drain(&mut self) {
        loop {
            while let Some(output) = self.node.poll_output() {
                if let Output::Persist(batch) = output {
                    self.unwritten.push(batch);
                }
            }
            for link in [LinkId(1), LinkId(3)] {
                while let Some((transfer, _)) = self.node.poll_bundle(self.now, link) {
                    let sent = Input::Transmitted { link, transfer };
                    self.node.handle_input(self.now, sent).expect("its own transfer");
                }
                while !matches!(self.layer, Convergence::Whole(_))
                    && self.node.poll_transmit(self.now, link).is_some()
                {}
            }
            if self.unwritten.is_empty() || self.slow_disk {
                return;
            }
            self.commit();
        }
    }

    fn commit(&mut self) {
        for batch in std::mem::take(&mut self.unwritten) {
            for change in batch.changes {
                match change {
                    Change::Put { key, value } => drop(self.kept.insert(key, value)),
                    Change::Delete { key } => drop(self.kept.remove(&key)),
                }
            }
            for bundle in batch.bundles {
                let anonymous = bundle.source == EndpointId::Null;
                let first = self.delivered.insert((bundle.source, bundle.creation));
                assert!(first || anonymous, "delivered twice");
            }
            self.node.handle_input(self.now, Input::Persisted(batch.ticket)).expect("tickets in order");
        }
    }

    /// The disk does what it was asked.
    fn write(&mut self) {
        while !self.unwritten.is_empty() {
            self.commit();
            self.drain();
        }
    }

    /// The power goes: what is not written is gone.
    fn crash(&mut self) {
        self.unwritten.clear();
        self.incarnation += 1;
        let utc = DtnTime(UTC.0 + self.now.as_nanos() / 1_000_000);
        let civil = Some(UtcEstimate { at: self.now, utc, uncertainty: Duration::ZERO });
        let kept = self.kept.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
        let (seed, config) = ([self.incarnation as u8; 32], busy_config(self.secured));
        self.node = Node::restore(config, keys(2), seed, self.now, self.incarnation, civil, kept)
            .expect("a node reads its own records");
        self.brief();
    }
}

/// Bundles for node 2 and through it: an envelope, fragments, tunnels with and without custody, a report.
fn mixed_bundles() -> Vec<Bundle> {
    let long = Bundle::new(plain("ipn:2.7", 1).primary().clone(), vec![7; 200]);
    let mut all = long.fragment(90).expect("it may be split");
    all.extend([carrier(2, b"hello"), plain("ipn:3.7", 2)]);
    let retransmission_time = DtnTime(UTC.0 + 60_000);
    let tunnels =
        [(0, "ipn:2.7"), (7, "ipn:3.7"), (8, "ipn:2.7")].into_iter().map(|(transmission_id, to)| {
            let bundle = plain(to, 10 + transmission_id).encode();
            AdministrativeRecord::Encapsulated(Bpdu { transmission_id, retransmission_time, bundle })
        });
    let report = StatusReport::decode(&status_reports()[0]).expect("an example");
    let records = tunnels.chain([AdministrativeRecord::StatusReport(report)]);
    all.extend((100..).zip(records).map(|(sequence, record)| {
        let flags = BundleFlags::ADMINISTRATIVE_RECORD;
        let creation = CreationTimestamp { time: UTC, sequence };
        let primary = Primary::new(NodeId(1).endpoint(0), NodeId(2).endpoint(0), creation, 60_000_000);
        Bundle::new(Primary { flags, ..primary }, record.encode())
    }));
    all
}

fn plain(destination: &str, sequence: u64) -> Bundle {
    let creation = CreationTimestamp { time: UTC, sequence };
    let destination = destination.parse().expect("an endpoint");
    Bundle::new(Primary::new(NodeId(1).endpoint(7), destination, creation, 60_000_000), b"plain".to_vec())
}

pub(super) fn days_of_work() -> Vec<Vec<u8>> {
    let day = |setting: u8, frames: &[Vec<u8>]| {
        let acts = [0x01, 0x20, 0x51, 0x31, 0x42, 0x50];
        let pieces =
            frames.iter().zip(acts.iter().cycle()).map(|(frame, act)| [&[*act], &frame[..]].concat());
        let pieces: Vec<Vec<u8>> = pieces.collect();
        [&[setting][..], &run(pieces.iter().map(Vec::as_slice))].concat()
    };
    let whole: Vec<Vec<u8>> = mixed_bundles().iter().map(Bundle::encode).collect();
    let frames: Vec<Vec<u8>> = bundles().iter().flat_map(|bundle| split(bundle, 1000)).collect();
    vec![day(0, &whole), day(8, &whole), day(1, &frames), day(2, &ltp_segments())]
}
