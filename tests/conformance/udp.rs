//! The plain driver: two hosts of `examples/udp_pair` on loopback sockets, each served by a thread of its own.

use super::{
    Air, Delivered, Driver, Side,
    udp_driver::{UdpHost, always_up},
};
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
    node::{BundleSettings, Input, Node, NodeConfig, Report, Retransmission, SharedStateConfig, Submission},
    sync::{Op, SyncLimits},
    time::Instant,
};
use std::{collections::BTreeMap, net::UdpSocket, sync::Arc, thread, time::Duration};

const NODES: [NodeId; 2] = [NodeId(1), NodeId(2)];

pub(super) struct UdpPair([UdpHost; 2]);

impl UdpPair {
    pub(super) fn new() -> Self {
        let [first, second] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").expect("a loopback socket"));
        let address = |socket: &UdpSocket| socket.local_addr().expect("it is bound");
        first.connect(address(&second)).expect("an address of this machine");
        second.connect(address(&first)).expect("an address of this machine");
        let keys = [1, 2].map(|number| KeyPair::from_seed([number; 32]));
        let members = NODES.into_iter().zip(keys.iter().map(|pair| pair.public().clone()));
        let directory = Arc::new(members.collect::<Directory>());
        let contact = |from, to| PlannedContact {
            from,
            to,
            start: Instant::ZERO,
            end: Instant::ZERO.saturating_add(Duration::from_secs(3600)),
            rate_bps: 10_000_000,
            owlt: Duration::from_millis(1),
        };
        let [a, b] = NODES;
        let plan = ContactPlan::from_contacts([contact(a, b), contact(b, a)]).expect("a plain plan");
        let [keys_a, keys_b] = keys;
        Self([
            UdpHost::start(config(a, &directory), keys_a, first, plan.clone(), always_up(b)),
            UdpHost::start(config(b, &directory), keys_b, second, plan, always_up(a)),
        ])
    }

    fn host(&self, side: Side) -> &UdpHost {
        &self.0[side as usize]
    }

    fn input(&mut self, at: Side, input: Input<'_>) {
        // What is refused has moved a counter, which the claims look at.
        let _ = self.0[at as usize].input(input);
    }

    fn numbers(&self, at: Side, number: impl Fn(&Report) -> Option<u64>) -> Vec<u64> {
        self.host(at).reports.iter().filter_map(number).collect()
    }
}

fn config(id: NodeId, directory: &Arc<Directory>) -> NodeConfig {
    NodeConfig {
        id,
        directory: directory.clone(),
        routing: RoutingConfig::default(),
        store: StoreLimits { bytes: 1 << 20, count: 1024 },
        keep_bundles: true,
        hop_limit: 4,
        crc: CrcKind::Castagnoli,
        window: 256,
        submission_rate: None,
        replay_window: 1024,
        max_payload: 4096,
        retransmission: Retransmission {
            max_attempts: 1000,
            min_timeout: Duration::from_millis(150),
            ack_delay: Duration::from_millis(10),
            margin_percent: 150,
        },
        reroute_after: Duration::from_secs(10),
        route_slack: Duration::from_secs(1),
        control_lifetime: Duration::from_secs(10),
        security: None,
        bundles: BundleSettings::default(),
        counted_payloads: false,
        contracts: false,
        shared_state: Some(SharedStateConfig {
            members: NODES.to_vec(),
            limits: SyncLimits::default(),
            push_interval: Duration::from_millis(30),
            anti_entropy_interval: Duration::from_secs(3600),
            audit_every: 0,
            horizon: Duration::from_secs(86_400),
            roles: Arc::default(),
            max_delta: 4000,
            lifetime: Duration::from_secs(3600),
        }),
        plan: None,
        trust: None,
        governance: None,
        discovery: None,
        sealing: None,
    }
}

impl Driver for UdpPair {
    fn submit(&mut self, from: Side, bytes: usize) {
        let submission = Submission {
            destination: NODES[1 - from as usize],
            purpose: Purpose::Telemetry,
            priority: Priority::Normal,
            lifetime: Duration::from_secs(3600),
            payload: vec![0x55; bytes],
        };
        self.input(from, Input::Submit(submission));
    }

    fn write(&mut self, at: Side, key: &str, value: &str) {
        let operation = Op::MapPut { name: b"status", key: key.as_bytes(), value: value.as_bytes() };
        self.input(at, Input::Write(operation));
    }

    fn pass(&mut self) {
        let span = Duration::from_millis(10);
        let [a, b] = &mut self.0;
        thread::scope(|scope| {
            let other = scope.spawn(|| b.serve(span));
            a.serve(span).expect("the socket works");
            other.join().expect("serving does not panic").expect("the socket works");
        });
    }

    fn air(&mut self, air: Air) {
        for host in &mut self.0 {
            host.air = Box::new(air.effect());
        }
    }

    fn hear(&mut self, at: Side, bytes: &[u8]) {
        self.0[1 - at as usize].socket.send(bytes).expect("the socket works");
    }

    fn crash(&mut self, at: Side) {
        self.0[at as usize].crash();
    }

    fn restore(&mut self, at: Side) {
        self.0[at as usize].boot();
    }

    fn stall_disk(&mut self, at: Side, stalls: bool) -> bool {
        let host = &mut self.0[at as usize];
        host.disk_stalls = stalls;
        host.drain(host.now());
        true
    }

    fn time_out(&mut self, at: Side) {
        self.input(at, Input::Timeout);
    }

    fn now(&self, at: Side) -> Instant {
        self.host(at).now()
    }

    fn node(&self, at: Side) -> &Node {
        self.host(at).node().expect("it is running")
    }

    fn kept(&self, at: Side) -> &BTreeMap<Vec<u8>, Vec<u8>> {
        &self.host(at).disk
    }

    fn delivered(&self, at: Side) -> Vec<Delivered> {
        self.host(at).deliveries.iter().map(|delivery| (delivery.sequence, delivery.payload.len())).collect()
    }

    fn accepted(&self, at: Side) -> Vec<u64> {
        self.numbers(at, |report| match report {
            Report::Accepted { purpose: Purpose::Telemetry, sequence, .. } => Some(*sequence),
            _ => None,
        })
    }

    fn acknowledged(&self, at: Side) -> Vec<u64> {
        self.numbers(at, |report| match report {
            Report::Acknowledged { purpose: Purpose::Telemetry, sequence, .. } => Some(*sequence),
            _ => None,
        })
    }

    fn retransmissions(&self, at: Side) -> usize {
        let again = |report: &Report| match report {
            Report::Retransmitted { purpose: Purpose::Telemetry, sequence, .. } => Some(*sequence),
            _ => None,
        };
        self.numbers(at, again).len()
    }
}
