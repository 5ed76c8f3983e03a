//! One node under test between neighbours that the test plays itself, bundle by bundle; and a host that keeps its records.

use cosmosmesh_protocol::{
    bundle::{Bundle, BundleFlags, CrcKind, CreationTimestamp, Policy, Primary},
    convergence::small_frame::{Accepted, Fragmenter, Reassembler, ReassemblyLimits},
    dtn::{
        contact_plan::{ContactPlan, PlannedContact},
        store::StoreLimits,
    },
    id::{EndpointId, NodeId},
    identity::{Directory, KeyPair},
    node::{
        BundleDelivery, BundleSettings, BundleSubmission, Change, DropReason, Input, InputError, LinkId,
        LinkUp, Node, NodeConfig, Output, Report, Retransmission, Ticket,
    },
    time::{DtnTime, Instant, UtcEstimate},
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

/// The node under test.
pub(crate) const US: u64 = 2;
/// Its neighbours.
pub(crate) const LEFT: u64 = 1;
pub(crate) const RIGHT: u64 = 3;
/// Civil time at the start.
pub(crate) const UTC: DtnTime = DtnTime(800_000_000_000);
pub(crate) const RATE_BPS: u64 = 64_000;

/// What a test sets before the node starts.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) settings: BundleSettings,
    pub(crate) clock: bool,
    pub(crate) slow_disk: bool,
    /// End of the contacts, in seconds.
    pub(crate) contact_s: u64,
    pub(crate) linked: bool,
    pub(crate) store: StoreLimits,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            settings: BundleSettings::default(),
            clock: true,
            slow_disk: false,
            contact_s: 1_000_000,
            linked: true,
            store: StoreLimits { bytes: 1 << 22, count: 4096 },
        }
    }
}

pub(crate) struct Bench {
    pub(crate) node: Node,
    pub(crate) setup: Setup,
    pub(crate) now: Instant,
    pub(crate) kept: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) delivered: Vec<BundleDelivery>,
    pub(crate) reports: Vec<Report>,
    pub(crate) unanswered: VecDeque<Ticket>,
    incarnation: u32,
    transfer: u16,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(Setup::default())
    }

    pub(crate) fn with(setup: Setup) -> Self {
        let node = Node::new(config(&setup), keys(US), [7; 32], Instant::ZERO);
        let mut bench = Self {
            node,
            setup,
            now: Instant::ZERO,
            kept: BTreeMap::new(),
            delivered: Vec::new(),
            reports: Vec::new(),
            unanswered: VecDeque::new(),
            incarnation: 1,
            transfer: 0,
        };
        bench.brief();
        bench
    }

    fn brief(&mut self) {
        if self.setup.clock {
            let utc = DtnTime(UTC.0 + self.now.as_nanos() / 1_000_000);
            self.input(Input::Civil(UtcEstimate { at: self.now, utc, uncertainty: Duration::ZERO })).unwrap();
        }
        self.input(Input::ContactPlan(plan(self.setup.contact_s))).unwrap();
        if self.setup.linked {
            self.link_up(LEFT);
            self.link_up(RIGHT);
        }
    }

    pub(crate) fn link_up(&mut self, peer: u64) {
        let until = Some(Instant::from_nanos(self.setup.contact_s * 1_000_000_000));
        let up =
            LinkUp { link: LinkId(peer as u32), peer: NodeId(peer), mtu: 1 << 14, rate_bps: RATE_BPS, until };
        self.input(Input::LinkUp(up)).unwrap();
    }

    /// The node stops, and comes back from what was kept.
    pub(crate) fn crash(&mut self) {
        self.incarnation += 1;
        self.unanswered.clear();
        let records = self.kept.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
        let civil = self.setup.clock.then(|| UtcEstimate {
            at: self.now,
            utc: DtnTime(UTC.0 + self.now.as_nanos() / 1_000_000),
            uncertainty: Duration::ZERO,
        });
        let seed = [self.incarnation as u8; 32];
        let config = config(&self.setup);
        self.node =
            Node::restore(config, keys(US), seed, self.now, self.incarnation, civil, records).unwrap();
        self.brief();
    }

    pub(crate) fn input(&mut self, input: Input<'_>) -> Result<(), InputError> {
        let result = self.node.handle_input(self.now, input);
        self.drain();
        result
    }

    fn drain(&mut self) {
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Persist(batch) => {
                    for change in batch.changes {
                        match change {
                            Change::Put { key, value } => drop(self.kept.insert(key, value)),
                            Change::Delete { key } => drop(self.kept.remove(&key)),
                        }
                    }
                    self.delivered.extend(batch.bundles);
                    self.unanswered.push_back(batch.ticket);
                }
                Output::Report(report) => self.reports.push(report),
            }
            if !self.setup.slow_disk {
                self.answer();
            }
        }
    }

    /// The disk answers what it was asked.
    pub(crate) fn answer(&mut self) {
        while let Some(ticket) = self.unanswered.pop_front() {
            self.node.handle_input(self.now, Input::Persisted(ticket)).unwrap();
            self.drain();
        }
    }

    pub(crate) fn send(&mut self, submission: BundleSubmission) -> Result<(), InputError> {
        self.input(Input::SendBundle(submission))
    }

    /// Bytes of a bundle come from a neighbour.
    pub(crate) fn hear_bytes(&mut self, from: u64, bytes: &[u8]) -> Result<(), InputError> {
        self.transfer += 1;
        let frames: Vec<_> = Fragmenter::new(bytes, self.transfer, 1 << 14).unwrap().collect();
        let mut result = Ok(());
        for frame in frames {
            result = self.input(Input::Frame { link: LinkId(from as u32), bytes: &frame });
        }
        result
    }

    pub(crate) fn hear(&mut self, from: u64, bundle: &Bundle) -> Result<(), InputError> {
        self.hear_bytes(from, &bundle.encode())
    }

    /// Every bundle that the node has to send to a neighbour now.
    pub(crate) fn sent(&mut self, to: u64) -> Vec<Bundle> {
        let mut reassembler = Reassembler::new(ReassemblyLimits::default());
        let mut bundles = Vec::new();
        while let Some(frame) = self.node.poll_transmit(self.now, LinkId(to as u32)) {
            if let Accepted::Bundle(bytes) = reassembler.accept(self.now, &frame).unwrap() {
                bundles.push(Bundle::decode_with(&bytes, Policy::Lenient).unwrap());
            }
        }
        self.drain();
        bundles
    }

    /// Time passes; what is due is done.
    pub(crate) fn pass(&mut self, span: Duration) {
        let end = self.now.saturating_add(span);
        while let Some(at) = self.node.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.input(Input::Timeout).unwrap();
        }
        self.now = end;
    }

    /// The payloads that were delivered.
    pub(crate) fn payloads(&self) -> Vec<&[u8]> {
        self.delivered.iter().map(|delivery| delivery.payload.as_slice()).collect()
    }

    /// Why bundles were dropped.
    pub(crate) fn drops(&self) -> Vec<DropReason> {
        let reason = |report: &Report| match report {
            Report::BundleDropped { reason, .. } => Some(*reason),
            _ => None,
        };
        self.reports.iter().filter_map(reason).collect()
    }

    pub(crate) fn refused(&self, reason: &str) -> u64 {
        self.node.refusals().get(reason).copied().unwrap_or(0)
    }
}

pub(crate) fn keys(node: u64) -> KeyPair {
    KeyPair::from_seed([node as u8; 32])
}

fn config(setup: &Setup) -> NodeConfig {
    let directory: Directory = (1..=3).map(|node| (NodeId(node), keys(node).public().clone())).collect();
    NodeConfig {
        store: setup.store,
        hop_limit: 8,
        retransmission: Retransmission {
            max_attempts: 20,
            min_timeout: Duration::from_secs(5),
            ack_delay: Duration::from_secs(1),
            margin_percent: 150,
        },
        reroute_after: Duration::from_secs(60),
        route_slack: Duration::from_secs(30),
        control_lifetime: Duration::from_secs(3600),
        bundles: setup.settings.clone(),
        ..NodeConfig::new(NodeId(US), Arc::new(directory))
    }
}

fn plan(contact_s: u64) -> ContactPlan {
    let contact = |from: u64, to: u64| PlannedContact {
        from: NodeId(from),
        to: NodeId(to),
        start: Instant::ZERO,
        end: Instant::from_nanos(contact_s * 1_000_000_000),
        rate_bps: RATE_BPS,
        owlt: Duration::from_secs(3),
    };
    let contacts = [(LEFT, US), (US, RIGHT)].into_iter().flat_map(|(a, b)| [contact(a, b), contact(b, a)]);
    ContactPlan::from_contacts(contacts).unwrap()
}

/// An endpoint from its text.
pub(crate) fn eid(text: &str) -> EndpointId {
    text.parse().unwrap()
}

/// A submission of the node under test.
pub(crate) fn submission(destination: &str, payload: &[u8]) -> BundleSubmission {
    let source = NodeId(US).endpoint(7);
    BundleSubmission::new(source, eid(destination), Duration::from_secs(600), payload.to_vec())
}

/// A primary block of the present with ten minutes of life.
pub(crate) fn primary(source: &str, destination: &str, sequence: u64) -> Primary {
    Primary::new(eid(source), eid(destination), CreationTimestamp { time: UTC, sequence }, 600_000)
}

/// A foreign bundle of the present.
pub(crate) fn foreign(source: &str, destination: &str, sequence: u64, payload: &[u8]) -> Bundle {
    Bundle::new(primary(source, destination, sequence), payload.to_vec())
}

/// The same with flags, and reports to the left neighbour.
pub(crate) fn flagged(destination: &str, sequence: u64, flags: BundleFlags, payload: &[u8]) -> Bundle {
    let primary = Primary { flags, report_to: eid("ipn:1.9"), ..primary("ipn:1.7", destination, sequence) };
    Bundle::new(primary, payload.to_vec())
}
