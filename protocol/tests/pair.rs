//! Nodes in virtual time: the whole stack between two ends and a relay, over links that lose, with crashes.

use cosmosmesh_protocol::{
    bundle::CrcKind,
    dtn::{
        contact_plan::{ContactPlan, PlannedContact},
        store::{Priority, StoreLimits},
        strategy::RoutingConfig,
    },
    envelope::Purpose,
    id::NodeId,
    identity::{Directory, KeyPair},
    node::{
        BundleSettings, Change, Convergence, Delivery, Input, InputError, LinkId, LinkUp, Node, NodeConfig,
        Output, Report, Retransmission, SharedStateConfig, Submission, SubmitError, Ticket,
    },
    sync::{Op, SyncLimits},
    time::{DtnTime, Instant, UtcEstimate},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

const RATE_BPS: u64 = 64_000;
const OWLT: Duration = Duration::from_secs(3);

/// A host: a node, what it keeps, what it was given.
struct Host {
    node: Node,
    kept: BTreeMap<Vec<u8>, Vec<u8>>,
    delivered: Vec<Delivery>,
    reports: Vec<Report>,
    unanswered: Vec<Ticket>,
    slow_disk: bool,
    incarnation: u32,
    neighbours: Vec<u64>,
}

/// A chain of hosts 1 - 2 - … - n in virtual time.
struct Chain {
    now: Instant,
    hosts: BTreeMap<u64, Host>,
    flights: Vec<(Instant, u64, u64, Vec<u8>)>,
    directory: Arc<Directory>,
    plan: ContactPlan,
    lose_every: usize,
    sent: usize,
    tamper: bool,
}

fn keys(node: u64) -> KeyPair {
    KeyPair::from_seed([node as u8; 32])
}

fn config(node: u64, count: u64, directory: &Arc<Directory>) -> NodeConfig {
    NodeConfig {
        id: NodeId(node),
        directory: directory.clone(),
        routing: RoutingConfig::default(),
        store: StoreLimits { bytes: 1 << 20, count: 4096 },
        keep_bundles: true,
        hop_limit: 8,
        crc: CrcKind::Castagnoli,
        window: 256,
        submission_rate: None,
        replay_window: 1024,
        max_payload: 4096,
        retransmission: Retransmission {
            max_attempts: 20,
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
        contracts: false,
        shared_state: Some(SharedStateConfig {
            members: (1..=count).map(NodeId).collect(),
            limits: SyncLimits::default(),
            push_interval: Duration::from_secs(10),
            anti_entropy_interval: Duration::from_secs(600),
            audit_every: 0,
            horizon: Duration::from_secs(86_400),
            roles: Arc::default(),
            max_delta: 4000,
            lifetime: Duration::from_secs(7200),
        }),
        plan: None,
        trust: None,
        governance: None,
        discovery: None,
        sealing: None,
    }
}

impl Chain {
    fn new(count: u64) -> Self {
        let directory: Directory =
            (1..=count).map(|node| (NodeId(node), keys(node).public().clone())).collect();
        let directory = Arc::new(directory);
        let contact = |from: u64, to: u64| PlannedContact {
            from: NodeId(from),
            to: NodeId(to),
            start: Instant::ZERO,
            end: Instant::from_nanos(1_000_000_000_000_000),
            rate_bps: RATE_BPS,
            owlt: OWLT,
        };
        let contacts = (1..count).flat_map(|node| [contact(node, node + 1), contact(node + 1, node)]);
        let plan = ContactPlan::from_contacts(contacts).expect("a plain plan");
        let mut chain = Self {
            now: Instant::ZERO,
            hosts: BTreeMap::new(),
            flights: Vec::new(),
            directory,
            plan,
            lose_every: usize::MAX,
            sent: 0,
            tamper: false,
        };
        for node in 1..=count {
            let neighbours = (1..=count).filter(|other| node.abs_diff(*other) == 1).collect();
            let fresh =
                Node::new(config(node, count, &chain.directory), keys(node), [node as u8; 32], chain.now);
            let host = Host {
                node: fresh,
                kept: BTreeMap::new(),
                delivered: Vec::new(),
                reports: Vec::new(),
                unanswered: Vec::new(),
                slow_disk: false,
                incarnation: 1,
                neighbours,
            };
            chain.hosts.insert(node, host);
            chain.connect(node);
        }
        chain
    }

    fn connect(&mut self, node: u64) {
        let estimate = UtcEstimate {
            at: Instant::ZERO,
            utc: DtnTime(800_000_000_000),
            uncertainty: Duration::from_millis(10),
        };
        self.input(node, Input::Civil(estimate));
        let plan = self.plan.clone();
        self.input(node, Input::ContactPlan(plan));
        for peer in self.hosts[&node].neighbours.clone() {
            let up = LinkUp {
                link: LinkId(peer as u32),
                peer: NodeId(peer),
                mtu: 233,
                rate_bps: RATE_BPS,
                until: None,
                convergence: Convergence::SmallFrame,
                session: false,
            };
            self.input(node, Input::LinkUp(up));
        }
    }

    fn input(&mut self, node: u64, input: Input<'_>) {
        let now = self.now;
        let host = self.hosts.get_mut(&node).expect("a host");
        let _ = host.node.handle_input(now, input);
        self.drain(node);
    }

    fn drain(&mut self, node: u64) {
        let now = self.now;
        let host = self.hosts.get_mut(&node).expect("a host");
        loop {
            while let Some(output) = host.node.poll_output() {
                match output {
                    Output::Report(report) => host.reports.push(report),
                    Output::Persist(batch) => {
                        for change in batch.changes {
                            match change {
                                Change::Put { key, value } => drop(host.kept.insert(key, value)),
                                Change::Delete { key } => drop(host.kept.remove(&key)),
                            }
                        }
                        host.delivered.extend(batch.deliveries);
                        host.reports.extend(batch.reports);
                        host.unanswered.push(batch.ticket);
                    }
                }
            }
            if host.slow_disk || host.unanswered.is_empty() {
                break;
            }
            for ticket in host.unanswered.drain(..) {
                host.node.handle_input(now, Input::Persisted(ticket)).expect("tickets in order");
            }
        }
        for peer in host.neighbours.clone() {
            while let Some(mut frame) = host.node.poll_transmit(now, LinkId(peer as u32)) {
                self.sent += 1;
                if self.sent.is_multiple_of(self.lose_every) {
                    continue;
                }
                if self.tamper {
                    let middle = frame.len() / 2;
                    frame[middle] ^= 1;
                }
                let airtime = Duration::from_nanos(frame.len() as u64 * 8 * 1_000_000_000 / RATE_BPS);
                self.flights.push((now.saturating_add(airtime + OWLT), node, peer, frame));
            }
        }
    }

    fn run_for(&mut self, span: Duration) {
        let end = self.now.saturating_add(span);
        loop {
            let flight = self.flights.iter().enumerate().map(|(at, flight)| (flight.0, at)).min();
            let timer =
                self.hosts.iter().filter_map(|(id, host)| Some((host.node.poll_timeout()?, *id))).min();
            let next = flight.map(|f| f.0).into_iter().chain(timer.map(|t| t.0)).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = next.max(self.now);
            match (flight, timer) {
                (Some((at, index)), _) if at == next => {
                    let (_, from, to, frame) = self.flights.remove(index);
                    self.input(to, Input::Frame { link: LinkId(from as u32), bytes: &frame });
                }
                (_, Some((_, id))) => self.input(id, Input::Timeout),
                _ => break,
            }
        }
        self.now = end;
    }

    fn submit(&mut self, from: u64, to: u64, text: &str) {
        let submission = Submission {
            destination: NodeId(to),
            purpose: Purpose::Telemetry,
            priority: Priority::Normal,
            lifetime: Duration::from_secs(7200),
            payload: text.as_bytes().to_vec(),
        };
        self.input(from, Input::Submit(submission));
    }

    /// The host loses everything that was not kept.
    fn crash(&mut self, node: u64) {
        let (now, count) = (self.now, self.hosts.len() as u64);
        let host = self.hosts.get_mut(&node).expect("a host");
        host.incarnation += 1;
        host.unanswered.clear();
        let seed = [(node + 100 * u64::from(host.incarnation)) as u8; 32];
        let kept = host.kept.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
        let settings = config(node, count, &self.directory);
        host.node = Node::restore(settings, keys(node), seed, now, host.incarnation, None, kept)
            .expect("own records");
        self.connect(node);
    }

    fn texts(&self, node: u64) -> Vec<String> {
        self.hosts[&node].delivered.iter().map(|d| String::from_utf8_lossy(&d.payload).into_owned()).collect()
    }
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("reading {number}")).collect()
}

#[test]
fn messages_arrive_once_and_in_order_over_a_relay_that_loses_frames() {
    let mut chain = Chain::new(3);
    // Not every fourth: a message and its acknowledgement are four frames on this chain, and the same one would be lost each time.
    chain.lose_every = 5;
    for text in numbered(40) {
        chain.submit(1, 3, &text);
        chain.run_for(Duration::from_secs(1));
    }
    chain.run_for(Duration::from_secs(3600));
    assert_eq!(chain.texts(3), numbered(40));
    let acknowledged = |r: &&Report| matches!(r, Report::Acknowledged { purpose: Purpose::Telemetry, .. });
    assert_eq!(chain.hosts[&1].reports.iter().filter(acknowledged).count(), 40);
    let again = |r: &&Report| matches!(r, Report::Retransmitted { .. });
    assert!(chain.hosts[&1].reports.iter().filter(again).count() > 0, "losses were repaired end to end");
}

#[test]
fn a_loss_that_an_acknowledgement_shows_makes_the_next_wait_no_longer() {
    let mut chain = Chain::new(2);
    let again = |chain: &Chain| {
        let again = |report: &&Report| matches!(report, Report::Retransmitted { .. });
        chain.hosts[&1].reports.iter().filter(again).count()
    };
    let lose = |chain: &mut Chain, seconds| {
        chain.lose_every = 1;
        chain.run_for(Duration::from_secs(seconds));
        chain.lose_every = usize::MAX;
    };
    chain.lose_every = 1;
    chain.submit(1, 2, "first");
    lose(&mut chain, 19);
    assert_eq!(again(&chain), 1, "its timer ran out");
    chain.submit(1, 2, "second");
    chain.run_for(Duration::from_secs(6));
    // The acknowledgement of the second is on its way; what it makes the sender repeat is lost too.
    lose(&mut chain, 2);
    assert_eq!(again(&chain), 2);
    // Light time there and back and the delay of the acknowledgement, half as much again, and up to a quarter of that at random.
    chain.run_for(Duration::from_secs(14));
    assert_eq!(again(&chain), 3);
    chain.run_for(Duration::from_secs(5));
    assert_eq!(chain.texts(2), ["first", "second"]);
}

#[test]
fn nothing_is_lost_or_doubled_when_both_ends_crash() {
    let mut chain = Chain::new(2);
    chain.lose_every = 5;
    for (number, text) in numbered(60).iter().enumerate() {
        chain.submit(1, 2, text);
        chain.run_for(Duration::from_millis(700));
        match number % 10 {
            3 => chain.crash(2),
            7 => chain.crash(1),
            _ => {}
        }
    }
    chain.run_for(Duration::from_secs(3600));
    assert_eq!(chain.texts(2), numbered(60));
}

#[test]
fn nothing_is_acknowledged_before_it_is_durable() {
    let mut chain = Chain::new(2);
    chain.hosts.get_mut(&2).expect("host 2").slow_disk = true;
    chain.submit(1, 2, "reading 0");
    chain.run_for(Duration::from_secs(60));
    let acknowledged = |chain: &Chain| {
        chain.hosts[&1].reports.iter().any(|report| matches!(report, Report::Acknowledged { .. }))
    };
    assert!(!acknowledged(&chain));
    chain.hosts.get_mut(&2).expect("host 2").slow_disk = false;
    chain.drain(2);
    chain.run_for(Duration::from_secs(60));
    assert!(acknowledged(&chain));
    assert_eq!(chain.texts(2), numbered(1));
}

#[test]
fn a_tampered_frame_moves_nothing_but_a_counter() {
    let mut chain = Chain::new(2);
    chain.tamper = true;
    chain.submit(1, 2, "reading 0");
    chain.run_for(Duration::from_secs(30));
    assert!(chain.texts(2).is_empty());
    assert!(chain.hosts[&2].kept.is_empty());
    assert!(chain.hosts[&2].node.refusals().values().sum::<u64>() > 0);
}

#[test]
fn replicas_agree_after_writes_everywhere_and_crashes() {
    let mut chain = Chain::new(3);
    chain.lose_every = 6;
    for round in 0..20u64 {
        for node in 1..=3 {
            let (key, value) = (format!("key {}", round % 5), format!("{node}:{round}"));
            let write = Op::MapPut { name: b"state", key: key.as_bytes(), value: value.as_bytes() };
            chain.input(node, Input::Write(write));
        }
        chain.run_for(Duration::from_secs(15));
        if round == 9 {
            chain.crash(2);
        }
    }
    chain.run_for(Duration::from_secs(7200));
    let digest = |node: u64| chain.hosts[&node].node.replica().expect("a member").digest();
    assert_eq!(digest(1), digest(2));
    assert_eq!(digest(2), digest(3));
    assert!(chain.hosts[&1].node.replica().expect("a member").map_entries(b"state").count() == 5);
}

#[test]
fn an_early_timeout_changes_nothing_and_a_clock_that_steps_back_is_misuse() {
    let mut chain = Chain::new(2);
    chain.submit(1, 2, "reading 0");
    chain.run_for(Duration::from_secs(1));
    let host = chain.hosts.get_mut(&1).expect("host 1");
    let due = host.node.poll_timeout().expect("an acknowledgement is awaited");
    assert_eq!(host.node.poll_timeout(), Some(due));
    host.node.handle_input(chain.now, Input::Timeout).expect("early is allowed");
    assert_eq!(host.node.poll_timeout(), Some(due));
    assert_eq!(host.node.poll_output(), None);
    assert!(host.node.handle_input(Instant::ZERO, Input::Timeout).is_err());
}

#[test]
fn a_replica_comes_back_from_a_snapshot_and_the_writes_after_it() {
    let mut chain = Chain::new(2);
    for number in 0..300_u64 {
        let (key, value) = (format!("key {}", number % 7), format!("{number}"));
        chain.input(
            1,
            Input::Write(Op::MapPut { name: b"state", key: key.as_bytes(), value: value.as_bytes() }),
        );
    }
    let before = chain.hosts[&1].node.replica().expect("a member").digest();
    chain.crash(1);
    assert_eq!(chain.hosts[&1].node.replica().expect("a member").digest(), before);
    chain.run_for(Duration::from_secs(7200));
    assert_eq!(chain.hosts[&2].node.replica().expect("a member").digest(), before);
}

fn put(chain: &mut Chain, node: u64, key: &str) {
    chain.input(node, Input::Write(Op::MapPut { name: b"state", key: key.as_bytes(), value: b"v" }));
}

fn digest(chain: &Chain, node: u64) -> [u8; 32] {
    chain.hosts[&node].node.replica().expect("a member").digest()
}

fn entries(chain: &Chain, node: u64) -> usize {
    chain.hosts[&node].node.replica().expect("a member").map_entries(b"state").count()
}

#[test]
fn a_member_that_lost_its_disk_and_writes_at_once_loses_nothing_of_before() {
    let mut chain = Chain::new(2);
    for number in 0..5 {
        put(&mut chain, 1, &format!("before {number}"));
    }
    chain.run_for(Duration::from_secs(60));
    assert_eq!(entries(&chain, 2), 5);
    chain.hosts.get_mut(&1).expect("host 1").kept.clear();
    chain.crash(1);
    assert_eq!(entries(&chain, 1), 0);
    for number in 0..8 {
        put(&mut chain, 1, &format!("after {number}"));
    }
    chain.run_for(Duration::from_secs(7200));
    assert_eq!((entries(&chain, 1), entries(&chain, 2)), (13, 13));
    assert_eq!(digest(&chain, 1), digest(&chain, 2));
}

#[test]
fn a_member_that_lost_its_disk_is_not_misled_by_one_who_knows_nothing_of_it() {
    let mut chain = Chain::new(3);
    let cut = |chain: &mut Chain, (one, other): (u64, u64)| {
        chain.input(one, Input::LinkDown { link: LinkId(other as u32) });
        chain.input(other, Input::LinkDown { link: LinkId(one as u32) });
    };
    // The third never hears of what the second writes, and is the only one that the second hears of when it is back.
    cut(&mut chain, (2, 3));
    for number in 0..5 {
        put(&mut chain, 2, &format!("before {number}"));
    }
    chain.run_for(Duration::from_secs(60));
    assert_eq!((entries(&chain, 1), entries(&chain, 3)), (5, 0));
    cut(&mut chain, (1, 2));
    chain.hosts.get_mut(&2).expect("host 2").kept.clear();
    chain.crash(2);
    chain.connect(3);
    cut(&mut chain, (1, 2));
    for number in 0..8 {
        put(&mut chain, 2, &format!("after {number}"));
    }
    chain.run_for(Duration::from_secs(1800));
    assert_eq!(entries(&chain, 3), 8);
    chain.connect(1);
    chain.connect(2);
    chain.run_for(Duration::from_secs(7200));
    for node in 1..=3 {
        assert_eq!((entries(&chain, node), digest(&chain, node)), (13, digest(&chain, 1)), "{node}");
    }
    // It goes on in that life after a crash that loses nothing.
    chain.crash(2);
    put(&mut chain, 2, "after all");
    chain.run_for(Duration::from_secs(7200));
    assert_eq!((entries(&chain, 1), digest(&chain, 1)), (14, digest(&chain, 2)));
    let lives = chain.hosts[&1].node.replica().expect("a member").version().lives(NodeId(2)).count();
    assert_eq!(lives, 2);
}

#[test]
fn an_audit_on_request_brings_what_no_push_has_brought() {
    let mut chain = Chain::new(2);
    put(&mut chain, 2, "written there");
    chain.input(1, Input::AuditSharedState { peer: NodeId(2) });
    // There and back; a push would not have left yet.
    chain.run_for(Duration::from_secs(8));
    assert_eq!(entries(&chain, 1), 1);
    assert_eq!(digest(&chain, 1), digest(&chain, 2));
    let at = chain.now;
    let host = chain.hosts.get_mut(&1).expect("host 1");
    assert!(host.node.handle_input(at, Input::AuditSharedState { peer: NodeId(9) }).is_err());
}

#[test]
fn what_all_have_seen_removed_goes_and_who_was_away_for_long_gets_everything() {
    let mut chain = Chain::new(3);
    let churn = |chain: &mut Chain, round: u64| {
        for number in 0..100 {
            put(chain, 1, &format!("{round} {number}"));
        }
        chain.run_for(Duration::from_secs(600));
        for number in 0..100 {
            let key = format!("{round} {number}");
            chain.input(2, Input::Write(Op::MapRemove { name: b"state", key: key.as_bytes() }));
        }
        chain.run_for(Duration::from_secs(6 * 3600));
    };
    let cells = |chain: &Chain, node: u64| chain.hosts[&node].node.replica().expect("a member").cells();
    churn(&mut chain, 0);
    assert!((1..=3).all(|node| cells(&chain, node) <= 2), "{}", cells(&chain, 3));
    // The third one has writes that it does not know to be removed when it goes away.
    for number in 0..100 {
        put(&mut chain, 1, &format!("kept {number}"));
    }
    chain.run_for(Duration::from_secs(600));
    assert_eq!(entries(&chain, 3), 100);
    chain.input(2, Input::LinkDown { link: LinkId(3) });
    chain.input(3, Input::LinkDown { link: LinkId(2) });
    for number in 0..100 {
        let key = format!("kept {number}");
        chain.input(2, Input::Write(Op::MapRemove { name: b"state", key: key.as_bytes() }));
    }
    put(&mut chain, 3, "of the one away");
    // Longer than the horizon; and some more, so that what was dropped first is not named any more.
    chain.run_for(Duration::from_secs(90_000));
    churn(&mut chain, 1);
    churn(&mut chain, 2);
    assert!(cells(&chain, 1) <= 3, "{}", cells(&chain, 1));
    chain.connect(2);
    chain.connect(3);
    chain.run_for(Duration::from_secs(4 * 3600));
    for node in 1..=3 {
        assert_eq!((entries(&chain, node), digest(&chain, node)), (1, digest(&chain, 1)), "{node}");
    }
}

#[test]
fn what_was_given_up_in_the_middle_does_not_hold_up_what_follows() {
    let mut chain = Chain::new(2);
    // The second message's lifetime is over before anything can be sent.
    chain.input(1, Input::LinkDown { link: LinkId(2) });
    chain.submit(1, 2, "reading 0");
    let short = Submission {
        destination: NodeId(2),
        purpose: Purpose::Telemetry,
        priority: Priority::Normal,
        lifetime: Duration::from_secs(5),
        payload: b"too late".to_vec(),
    };
    chain.input(1, Input::Submit(short));
    chain.submit(1, 2, "reading 1");
    chain.run_for(Duration::from_secs(60));
    let up = LinkUp {
        link: LinkId(2),
        peer: NodeId(2),
        mtu: 233,
        rate_bps: RATE_BPS,
        until: None,
        convergence: Convergence::SmallFrame,
        session: false,
    };
    chain.input(1, Input::LinkUp(up));
    chain.run_for(Duration::from_secs(1800));
    assert_eq!(chain.texts(2), numbered(2));
}

#[test]
fn a_peer_that_is_silent_for_a_day_is_told_ever_more_rarely_and_heard_at_once_when_it_is_back() {
    let mut chain = Chain::new(2);
    chain.lose_every = 1;
    chain.submit(1, 2, "lost");
    chain.run_for(Duration::from_secs(4 * 3600));
    let before = chain.sent;
    chain.run_for(Duration::from_secs(24 * 3600));
    let in_a_day = chain.sent - before;
    assert!(in_a_day < 7000, "{in_a_day} frames to a peer that never answers");
    chain.lose_every = usize::MAX;
    for index in 0..3 {
        chain.submit(1, 2, &format!("reading {index}"));
    }
    chain.run_for(Duration::from_secs(60));
    assert_eq!(chain.texts(2), numbered(3));
}

#[test]
fn a_bundle_on_its_way_survives_the_crash_of_its_relay() {
    let mut chain = Chain::new(3);
    chain.input(2, Input::LinkDown { link: LinkId(3) });
    chain.submit(1, 3, "on its way");
    chain.run_for(Duration::from_secs(5));
    assert_eq!(chain.hosts[&2].node.stored(), 1);
    chain.crash(2);
    chain.run_for(Duration::from_secs(60));
    assert_eq!(chain.texts(3), ["on its way"]);
    let again = |report: &Report| matches!(report, Report::Retransmitted { .. });
    assert!(!chain.hosts[&1].reports.iter().any(again), "the relay's copy was enough");
    let bundle_records = chain.hosts[&2].kept.keys().filter(|key| key[0] == 7).count();
    assert_eq!(bundle_records, 0, "what was sent on is no longer kept");
}

#[test]
fn a_disk_slower_than_the_traffic_does_not_starve_acknowledgements() {
    let mut chain = Chain::new(2);
    chain.hosts.get_mut(&2).expect("a host").slow_disk = true;
    for text in numbered(60) {
        chain.submit(1, 2, &text);
        chain.run_for(Duration::from_secs(1));
        let now = chain.now;
        let host = chain.hosts.get_mut(&2).expect("a host");
        if host.unanswered.len() > 3 {
            let oldest = host.unanswered.remove(0);
            host.node.handle_input(now, Input::Persisted(oldest)).expect("tickets in order");
            chain.drain(2);
        }
    }
    let acknowledged =
        chain.hosts[&1].reports.iter().filter(|report| matches!(report, Report::Acknowledged { .. })).count();
    assert!(acknowledged > 30, "{acknowledged} of 60 acknowledged while the disk lagged");
}

#[test]
fn an_application_that_is_too_fast_is_told_and_told_again_when_there_is_room() {
    let mut chain = Chain::new(2);
    chain.input(1, Input::LinkDown { link: LinkId(2) });
    let submission = |text: &str| Submission {
        destination: NodeId(2),
        purpose: Purpose::Telemetry,
        priority: Priority::Normal,
        lifetime: Duration::from_secs(7200),
        payload: text.as_bytes().to_vec(),
    };
    for text in numbered(256) {
        chain.submit(1, 2, &text);
    }
    let now = chain.now;
    let node = &mut chain.hosts.get_mut(&1).expect("a host").node;
    let refused = node.handle_input(now, Input::Submit(submission("one too many")));
    assert!(matches!(refused, Err(InputError::Submit(SubmitError::StreamFull(_)))), "{refused:?}");
    let writable = |chain: &Chain| {
        let reports = &chain.hosts[&1].reports;
        reports.iter().filter(|report| matches!(report, Report::Writable { .. })).count()
    };
    assert_eq!(writable(&chain), 0);
    chain.connect(1);
    chain.run_for(Duration::from_secs(600));
    assert_eq!(writable(&chain), 1, "told once");
    chain.submit(1, 2, "again");
    chain.run_for(Duration::from_secs(60));
    assert_eq!(chain.texts(2).len(), 257);
}
