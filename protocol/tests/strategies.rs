//! Nodes that meet and part, without a contact plan: each routing strategy in whole nodes, driven by hand in virtual time.

use cosmosmesh_protocol::{
    bundle::{BlockFlags, Bundle, CreationTimestamp, HopCount, Primary},
    convergence::small_frame::{Accepted, Fragmenter, Reassembler, ReassemblyLimits},
    dtn::{
        store::{Priority, StoreLimits},
        strategy::{
            COPIES_BLOCK, FloodingConfig, ProphetConfig, Role, RoutingConfig, SpreadSettings, StaticRoute,
            Summary, read_copies,
        },
    },
    envelope::Purpose,
    id::NodeId,
    identity::{Directory, KeyPair},
    node::{
        BundleSecurity, Convergence, Input, LinkId, LinkUp, Node, NodeConfig, Output, Report, Retransmission,
        Submission,
    },
    time::{DtnTime, Instant, UtcEstimate},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

const RATE_BPS: u64 = 1_000_000;
const MTU: u32 = 1000;
const NODES: u64 = 8;

/// Nodes 1 to 8, who hear each other while they are linked.
struct Crowd {
    now: Instant,
    nodes: BTreeMap<u64, Node>,
    links: BTreeSet<(u64, u64)>,
    flights: Vec<(Instant, u64, u64, Vec<u8>)>,
    /// Whole bundles that came over, by receiver.
    heard: Vec<(u64, Bundle)>,
    reassemblers: BTreeMap<(u64, u64), Reassembler>,
    texts: BTreeMap<u64, Vec<String>>,
    reports: Vec<(u64, Report)>,
}

fn keys(node: u64) -> KeyPair {
    KeyPair::from_seed([node as u8; 32])
}

fn config(node: u64, directory: &Arc<Directory>, routing: RoutingConfig) -> NodeConfig {
    NodeConfig {
        routing,
        store: StoreLimits { bytes: 1 << 20, count: 64 },
        hop_limit: 8,
        max_payload: 4096,
        retransmission: Retransmission {
            max_attempts: 20,
            min_timeout: Duration::from_secs(5),
            ack_delay: Duration::from_secs(1),
            margin_percent: 150,
        },
        control_lifetime: Duration::from_secs(36_000),
        keep_bundles: false,
        ..NodeConfig::new(NodeId(node), directory.clone())
    }
}

impl Crowd {
    fn new(routing: impl Fn(u64) -> RoutingConfig) -> Self {
        Self::with(routing, None)
    }

    fn with(routing: impl Fn(u64) -> RoutingConfig, security: Option<BundleSecurity>) -> Self {
        let directory: Directory =
            (1..=NODES).map(|node| (NodeId(node), keys(node).public().clone())).collect();
        let directory = Arc::new(directory);
        let mut crowd = Self {
            now: Instant::ZERO,
            nodes: BTreeMap::new(),
            links: BTreeSet::new(),
            flights: Vec::new(),
            heard: Vec::new(),
            reassemblers: BTreeMap::new(),
            texts: BTreeMap::new(),
            reports: Vec::new(),
        };
        for node in 1..=NODES {
            let settings = NodeConfig { security, ..config(node, &directory, routing(node)) };
            crowd.nodes.insert(node, Node::new(settings, keys(node), [node as u8; 32], crowd.now));
            let estimate = UtcEstimate {
                at: Instant::ZERO,
                utc: DtnTime(800_000_000_000),
                uncertainty: Duration::from_millis(10),
            };
            crowd.input(node, Input::Civil(estimate)).expect("a clock");
        }
        crowd
    }

    fn input(&mut self, node: u64, input: Input<'_>) -> Result<(), String> {
        let now = self.now;
        let result = self.nodes.get_mut(&node).expect("a node").handle_input(now, input);
        self.drain(node);
        result.map_err(|error| error.to_string())
    }

    fn drain(&mut self, id: u64) {
        let now = self.now;
        let node = self.nodes.get_mut(&id).expect("a node");
        while let Some(output) = node.poll_output() {
            match output {
                Output::Report(report) => self.reports.push((id, report)),
                Output::Persist(batch) => {
                    let texts =
                        batch.deliveries.iter().map(|d| String::from_utf8_lossy(&d.payload).into_owned());
                    self.texts.entry(id).or_default().extend(texts);
                    node.handle_input(now, Input::Persisted(batch.ticket)).expect("tickets in order");
                }
            }
        }
        for (_, peer) in self.links.iter().filter(|(from, _)| *from == id) {
            while let Some(frame) = node.poll_transmit(now, LinkId(*peer as u32)) {
                let airtime = Duration::from_nanos(frame.len() as u64 * 8 * 1_000_000_000 / RATE_BPS);
                self.flights.push((now.saturating_add(airtime), id, *peer, frame));
            }
        }
    }

    fn run_for(&mut self, seconds: u64) {
        let end = self.now.saturating_add(Duration::from_secs(seconds));
        loop {
            let flight = self.flights.iter().enumerate().map(|(at, flight)| (flight.0, at)).min();
            let timer = self.nodes.iter().filter_map(|(id, node)| Some((node.poll_timeout()?, *id))).min();
            let next = flight.map(|f| f.0).into_iter().chain(timer.map(|t| t.0)).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = next.max(self.now);
            match (flight, timer) {
                (Some((at, index)), _) if at == next => {
                    let (_, from, to, frame) = self.flights.remove(index);
                    self.note(from, to, &frame);
                    let _ = self.input(to, Input::Frame { link: LinkId(from as u32), bytes: &frame });
                }
                (_, Some((_, id))) => self.input(id, Input::Timeout).expect("a timeout"),
                _ => break,
            }
        }
        self.now = end;
    }

    fn note(&mut self, from: u64, to: u64, frame: &[u8]) {
        let now = self.now;
        let fresh = || Reassembler::new(ReassemblyLimits::default());
        let reassembler = self.reassemblers.entry((from, to)).or_insert_with(fresh);
        if let Ok(Accepted::Bundle(bytes)) = reassembler.accept(now, frame) {
            self.heard.push((to, Bundle::decode(&bytes).expect("nodes send bundles")));
        }
    }

    /// Two nodes are linked for some time, in which all that is due goes over.
    fn meet(&mut self, a: u64, b: u64) {
        self.link(a, b);
        self.run_for(60);
        self.part(a, b);
    }

    fn link(&mut self, a: u64, b: u64) {
        for (from, to) in [(a, b), (b, a)] {
            self.links.insert((from, to));
            let up = LinkUp {
                link: LinkId(to as u32),
                peer: NodeId(to),
                mtu: MTU,
                rate_bps: RATE_BPS,
                until: None,
                convergence: Convergence::SmallFrame,
                session: false,
            };
            self.input(from, Input::LinkUp(up)).expect("a link");
        }
    }

    fn part(&mut self, a: u64, b: u64) {
        for (from, to) in [(a, b), (b, a)] {
            self.links.remove(&(from, to));
            self.input(from, Input::LinkDown { link: LinkId(to as u32) }).expect("a link");
        }
    }

    fn submit(&mut self, from: u64, to: u64, text: &str) {
        let submission = Submission {
            destination: NodeId(to),
            purpose: Purpose::Telemetry,
            priority: Priority::Normal,
            lifetime: Duration::from_secs(36_000),
            payload: text.as_bytes().to_vec(),
        };
        self.input(from, Input::Submit(submission)).expect("a submission");
    }

    fn texts(&self, node: u64) -> Vec<String> {
        self.texts.get(&node).cloned().unwrap_or_default()
    }

    fn stored(&self, node: u64) -> usize {
        self.nodes[&node].stored()
    }

    fn refused(&self, node: u64, reason: &str) -> u64 {
        self.nodes[&node].refusals().get(reason).copied().unwrap_or(0)
    }

    /// Bundles that came over to `node`, without summaries.
    fn heard_by(&self, node: u64) -> usize {
        self.heard.iter().filter(|(to, bundle)| *to == node && !is_summary(bundle)).count()
    }

    fn acknowledged(&self, node: u64) -> usize {
        let acknowledged =
            |(id, report): &&(u64, Report)| *id == node && matches!(report, Report::Acknowledged { .. });
        self.reports.iter().filter(acknowledged).count()
    }
}

fn is_summary(bundle: &Bundle) -> bool {
    bundle.primary().destination.to_string().ends_with(".127")
}

fn epidemic(_: u64) -> RoutingConfig {
    RoutingConfig::Epidemic(SpreadSettings::default())
}

#[test]
fn an_epidemic_carries_a_message_by_strangers_and_its_acknowledgement_back() {
    let mut crowd = Crowd::new(epidemic);
    crowd.submit(1, 4, "by strangers");
    for (a, b) in [(1, 2), (2, 3), (3, 4)] {
        crowd.meet(a, b);
    }
    assert_eq!(crowd.texts(4), ["by strangers"]);
    assert_eq!(crowd.acknowledged(1), 0);
    for (a, b) in [(4, 3), (3, 2), (2, 1)] {
        crowd.meet(a, b);
    }
    assert_eq!(crowd.acknowledged(1), 1);
    assert_eq!(crowd.stored(1), 0, "what is acknowledged is not spread any further by its source");
    let again = crowd.reports.iter().filter(|(_, report)| matches!(report, Report::Retransmitted { .. }));
    assert_eq!(again.count(), 0, "while its bundle spreads, a message is not sent in another one");
}

#[test]
fn neighbours_that_meet_again_exchange_summaries_and_no_bundles() {
    let mut crowd = Crowd::new(epidemic);
    for number in 0..5 {
        crowd.submit(1, 8, &format!("message {number}"));
    }
    crowd.meet(1, 2);
    assert_eq!((crowd.heard_by(2), crowd.heard_by(1)), (5, 0));
    let before = crowd.heard.len();
    for _ in 0..3 {
        crowd.meet(1, 2);
    }
    assert_eq!((crowd.heard_by(2), crowd.heard_by(1)), (5, 0));
    assert_eq!(crowd.heard.len() - before, 6, "a summary each way at each meeting");
}

#[test]
fn a_bundle_that_comes_in_while_others_are_linked_goes_on_to_them_at_once() {
    let mut crowd = Crowd::new(epidemic);
    crowd.link(2, 3);
    crowd.link(3, 4);
    crowd.run_for(20);
    crowd.submit(1, 4, "at once");
    crowd.link(1, 2);
    crowd.run_for(1);
    assert_eq!(crowd.texts(4), ["at once"]);
}

#[test]
fn direct_delivery_waits_for_the_destination_itself() {
    let mut crowd = Crowd::new(|_| RoutingConfig::DirectDelivery(SpreadSettings::default()));
    crowd.submit(1, 4, "from hand to hand");
    crowd.meet(1, 2);
    crowd.meet(2, 4);
    assert_eq!((crowd.stored(2), crowd.texts(4).len(), crowd.heard.len()), (0, 0, 0));
    crowd.meet(1, 4);
    assert_eq!(crowd.texts(4), ["from hand to hand"]);
    assert_eq!((crowd.stored(1), crowd.acknowledged(1)), (0, 1));
}

#[test]
fn spray_and_wait_makes_no_more_copies_than_it_may_and_tells_each_how_many() {
    let settings = SpreadSettings::default();
    let mut crowd = Crowd::new(|_| RoutingConfig::SprayAndWait { copies: 4, binary: true, settings });
    crowd.submit(1, 8, "sprayed");
    // All but the destination, again and again.
    for (a, b) in [(1, 2), (1, 3), (1, 4), (2, 5), (2, 6), (3, 7), (4, 5), (1, 6), (5, 7)] {
        crowd.meet(a, b);
    }
    let holders: Vec<u64> = (1..=NODES).filter(|node| crowd.stored(*node) > 0).collect();
    assert_eq!(holders, [1, 2, 3, 5]);
    let counts: Vec<(u64, Option<u32>)> = crowd
        .heard
        .iter()
        .filter(|(_, bundle)| !is_summary(bundle))
        .map(|(to, bundle)| (*to, bundle.block(COPIES_BLOCK).and_then(|block| read_copies(&block.data))))
        .collect();
    // 4 at the source: 2 to node 2, which gives 1 of them to node 5; and 1 to node 3.
    assert_eq!(counts, [(2, Some(2)), (3, Some(1)), (5, Some(1))]);
    crowd.meet(5, 8);
    assert_eq!(crowd.texts(8), ["sprayed"]);
}

#[test]
fn a_foreign_node_discards_the_number_of_copies() {
    let settings = SpreadSettings::default();
    let mut crowd = Crowd::new(|_| RoutingConfig::SprayAndWait { copies: 4, binary: true, settings });
    crowd.submit(1, 8, "sprayed");
    crowd.meet(1, 2);
    let (_, bundle) = crowd.heard.iter().find(|(_, bundle)| !is_summary(bundle)).expect("a bundle");
    let block = bundle.block(COPIES_BLOCK).expect("a number of copies");
    assert_eq!(block.flags, BlockFlags::DISCARD_IF_UNPROCESSED);
}

#[test]
fn prophet_gives_a_copy_to_whom_met_the_destination_before() {
    let settings = SpreadSettings::default();
    let mut crowd = Crowd::new(|_| RoutingConfig::Prophet { config: ProphetConfig::default(), settings });
    crowd.meet(2, 8);
    crowd.submit(1, 8, "likelier there");
    crowd.meet(1, 3);
    crowd.meet(1, 2);
    assert_eq!((crowd.stored(3), crowd.stored(2)), (0, 1));
    crowd.meet(2, 8);
    assert_eq!(crowd.texts(8), ["likelier there"]);
}

#[test]
fn a_static_table_routes_along_a_line_without_a_plan() {
    let line = |destination, next| StaticRoute { destination, next: NodeId(next) };
    let mut crowd = Crowd::new(|node| {
        let right = line(None, node + 1);
        let left = (1..node).map(|to| line(Some(NodeId(to)), node - 1));
        RoutingConfig::Static(left.chain([right]).collect())
    });
    for node in 1..4 {
        crowd.link(node, node + 1);
    }
    crowd.submit(1, 4, "by the table");
    crowd.run_for(60);
    assert_eq!((crowd.texts(4), crowd.acknowledged(1)), (vec!["by the table".to_owned()], 1));
    assert_eq!((1..=4).map(|node| crowd.stored(node)).sum::<usize>(), 0, "one copy each");
}

fn flooding(role: Role) -> RoutingConfig {
    let config = FloodingConfig { role, ..FloodingConfig::default() };
    RoutingConfig::ManagedFlooding { config, settings: SpreadSettings::default() }
}

#[test]
fn a_flood_reaches_its_destination_once_and_ends() {
    // A diamond: 1 hears 2 and 3, both hear 4.
    let mut crowd = Crowd::new(|_| flooding(Role::Router));
    for (a, b) in [(1, 2), (1, 3), (2, 4), (3, 4), (4, 5)] {
        crowd.link(a, b);
    }
    crowd.submit(1, 5, "flooded");
    crowd.run_for(600);
    assert_eq!((crowd.texts(5), crowd.acknowledged(1)), (vec!["flooded".to_owned()], 1));
    assert!(crowd.refused(4, "duplicate_bundle") > 0, "it came by both ways");
    assert_eq!((1..=5).map(|node| crowd.stored(node)).sum::<usize>(), 0, "nothing is kept");
}

#[test]
fn a_flood_goes_no_further_than_its_hop_limit() {
    let mut crowd = Crowd::new(|_| flooding(Role::Client));
    for node in 1..NODES {
        crowd.link(node, node + 1);
    }
    crowd.submit(1, 8, "seven hops");
    crowd.run_for(600);
    assert_eq!(crowd.texts(8), ["seven hops"], "the limit is 8 transmissions");
    let hops: Vec<u64> =
        crowd.heard.iter().filter_map(|(_, bundle)| Some(bundle.hop_count()?.count)).collect();
    assert_eq!(hops.iter().max(), Some(&7));
}

#[test]
fn a_full_store_lets_go_what_came_first() {
    let mut crowd = Crowd::new(epidemic);
    for number in 0..70 {
        crowd.submit(1, 8, &format!("message {number}"));
    }
    assert_eq!(crowd.stored(1), 64);
    let dropped = crowd.reports.iter().filter(|(_, report)| matches!(report, Report::BundleDropped { .. }));
    assert_eq!(dropped.count(), 6);
}

fn frames_of(bundle: &Bundle) -> Vec<Vec<u8>> {
    Fragmenter::new(&bundle.encode(), 0, MTU as usize).expect("it is short").collect()
}

fn summary_of(node: u64, to: u64) -> Bundle {
    let creation = CreationTimestamp { time: DtnTime(800_000_000_000), sequence: 77 };
    let primary = Primary::new(NodeId(node).endpoint(127), NodeId(to).endpoint(127), creation, 1_000_000);
    let empty = Summary { first: true, last: true, ..Summary::default() };
    Bundle::new(primary, empty.encode())
}

#[test]
fn a_summary_is_taken_only_from_the_neighbour_itself() {
    let mut crowd = Crowd::new(epidemic);
    crowd.link(1, 2);
    crowd.link(1, 3);
    crowd.run_for(1);
    // Link 4 has never been up: nobody has said yet who is at its other end.
    for (link, taken) in [(2, true), (3, false), (4, true)] {
        for frame in frames_of(&summary_of(2, 1)) {
            let result = crowd.input(1, Input::Frame { link: LinkId(link), bytes: &frame });
            assert_eq!(result.is_ok(), taken, "by link {link}");
        }
    }
    assert_eq!(crowd.refused(1, "summary_not_of_the_neighbour"), 1);
}

#[test]
fn where_bundles_are_signed_summaries_are_too() {
    let mut crowd = Crowd::with(epidemic, Some(BundleSecurity::hop_by_hop()));
    crowd.submit(1, 3, "signed");
    crowd.meet(1, 2);
    crowd.meet(2, 3);
    assert_eq!(crowd.texts(3), ["signed"]);
    let refused: u64 = (1..=3).flat_map(|node| crowd.nodes[&node].refusals().values()).sum();
    assert_eq!(refused, 0);
    crowd.link(1, 2);
    for frame in frames_of(&summary_of(2, 1)) {
        assert!(crowd.input(1, Input::Frame { link: LinkId(2), bytes: &frame }).is_err(), "not signed");
    }
}

#[test]
fn a_duplicate_in_another_neighbours_name_suppresses_no_flood() {
    let mut crowd = Crowd::new(|_| flooding(Role::Client));
    for peer in [2, 3, 4] {
        crowd.link(1, peer);
    }
    let creation = CreationTimestamp { time: DtnTime(800_000_000_000), sequence: 77 };
    let primary = Primary::new(NodeId(9).endpoint(1), NodeId(8).endpoint(1), creation, 1_000_000);
    let mut bundle = Bundle::new(primary, b"flooded".to_vec());
    bundle.set_hop_count(HopCount { limit: 8, count: 1 });
    for previous in [2, 4] {
        bundle.set_previous_node(&NodeId(previous).endpoint(0));
        for frame in frames_of(&bundle) {
            let _ = crowd.input(1, Input::Frame { link: LinkId(2), bytes: &frame });
        }
    }
    assert_eq!(crowd.refused(1, "duplicate_bundle"), 1);
    crowd.run_for(60);
    assert_eq!((crowd.heard_by(3), crowd.heard_by(4)), (1, 1));
}

#[test]
fn malformed_summaries_are_refused_by_reason_and_move_nothing() {
    for (payload, reason) in [
        (vec![], "summary_malformed"),
        (vec![0x85, 2, 0, 0x80, 0x80, 0x80], "summary_version"),
        (vec![0x85, 1, 0, 0x9b, 0x7f, 255, 255, 255, 255, 255, 255, 255], "summary_count"),
    ] {
        let mut crowd = Crowd::new(epidemic);
        crowd.link(1, 2);
        crowd.run_for(1);
        let creation = CreationTimestamp { time: DtnTime(800_000_000_000), sequence: 77 };
        let primary = Primary::new(NodeId(2).endpoint(127), NodeId(1).endpoint(127), creation, 1_000_000);
        for frame in frames_of(&Bundle::new(primary, payload)) {
            let refused = crowd.input(1, Input::Frame { link: LinkId(2), bytes: &frame });
            assert_eq!(refused, Err(format!("refused: {reason}")));
        }
        assert_eq!((crowd.refused(1, reason), crowd.stored(1)), (1, 0));
    }
}
