//! A full mesh of nodes in virtual time that plan together.

use cosmosmesh_protocol::{
    bundle::CrcKind,
    dtn::{
        contact_plan::{ContactPlan, PlannedContact},
        store::StoreLimits,
        strategy::RoutingConfig,
    },
    id::NodeId,
    identity::{Directory, KeyPair},
    node::{
        BundleSettings, Change, Convergence, Input, InputError, LinkId, LinkUp, Node, NodeConfig, Output,
        PlanConfig, PlanHorizon, PrivacyConfig, Report, Requests, Retransmission,
    },
    planning::{
        FleetProblem, LocalProblem, Outcome,
        generate::{Binding, FleetSpec, Planted},
        secure::{Enrolment, EpochSeed},
        solver::{Kind, MethodSettings, Pace},
    },
    time::{DtnTime, Instant, UtcEstimate},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

const RATE_BPS: u64 = 256_000;
const OWLT: Duration = Duration::from_secs(3);
pub(crate) const NODES: u64 = 4;

pub(crate) struct Host {
    pub(crate) node: Node,
    pub(crate) kept: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) reports: Vec<Report>,
    /// Out of order: hears and says nothing.
    pub(crate) down: bool,
}

pub(crate) struct Fleet {
    pub(crate) now: Instant,
    pub(crate) hosts: BTreeMap<u64, Host>,
    pub(crate) flights: Vec<(Instant, u64, u64, Vec<u8>)>,
    pub(crate) setup: Setup,
    /// Those that are cut off from the rest: what crosses over is lost.
    pub(crate) cut: Vec<u64>,
    horizon: u64,
    directory: Arc<Directory>,
    incarnation: u32,
}

pub(crate) fn keys(node: u64) -> KeyPair {
    KeyPair::from_seed([node as u8; 32])
}

fn planted() -> Planted {
    let spec = FleetSpec {
        assets: NODES as usize,
        slots: 8,
        binding: Binding::Mixed,
        ..FleetSpec::published(5, 10.0)
    };
    spec.draw().expect("valid")
}

/// What a fleet plans, and how.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) problem: FleetProblem,
    pub(crate) best: f64,
    pub(crate) solver: Option<Kind>,
    /// Members from the beginning.
    pub(crate) members: Vec<u64>,
    /// Requests by member.
    pub(crate) requests: Vec<Vec<usize>>,
    /// Couplings in which requests take part.
    pub(crate) contested: Vec<usize>,
    pub(crate) max_attempts: u32,
    pub(crate) max_rounds: u32,
    /// How many answers a version needs.
    pub(crate) quorum: usize,
    /// Under masks, how many members have to come or go before the sum begins anew.
    pub(crate) masks: Option<usize>,
    /// Who takes the coordinator's place.
    pub(crate) successors: Vec<u64>,
    /// Who may join later.
    pub(crate) joiners: Vec<u64>,
    /// Whose own host believes so, and nobody else.
    pub(crate) strangers: Vec<u64>,
}

impl Setup {
    pub(crate) fn planted(solver: Option<Kind>) -> Self {
        let Planted { problem, best, .. } = planted();
        let requests = vec![Vec::new(); NODES as usize];
        let members = (1..=NODES).collect();
        let (max_attempts, max_rounds, quorum) = (20, 500, 3);
        let (contested, masks, joiners, strangers) = (Vec::new(), None, Vec::new(), Vec::new());
        let successors = vec![2, 3];
        Self {
            problem,
            best,
            solver,
            members,
            requests,
            contested,
            max_attempts,
            max_rounds,
            quorum,
            masks,
            successors,
            joiners,
            strangers,
        }
    }
}

impl Setup {
    /// The first coordinator has no part of its own.
    pub(crate) fn without_own_part(mut self) -> Self {
        self.members.retain(|node| *node != 1);
        self
    }

    fn part(&self, node: u64) -> Option<LocalProblem> {
        let mut parts = self.members.iter().chain(&self.joiners).chain(&self.strangers);
        let takes_part = parts.any(|one| *one == node);
        let local = self.problem.locals().iter().find(|(id, _)| *id == NodeId(node));
        local.filter(|_| takes_part).map(|(_, problem)| problem.clone())
    }
}

fn masks(node: u64, changes: usize) -> PrivacyConfig {
    let seed = |node: u64| EpochSeed::new([0x40 | node as u8; 32]);
    let members = |nodes: &[u64]| -> Vec<(NodeId, EpochSeed)> {
        nodes.iter().map(|node| (NodeId(*node), seed(*node))).collect()
    };
    let mut enrolment = Enrolment {
        plan: 1,
        k_min: 2,
        cohort: 2,
        changes,
        threshold: 0,
        recoveries: 0,
        greatest: 1 << 34,
        total: None,
        grain: 0,
        epochs: Vec::new(),
    };
    let roster: Vec<u64> = (1..=NODES).collect();
    enrolment.epochs = enrolment.published(&members(&[2, 3]), &members(&roster), 4);
    let (noise, delta, patience) = (None, 1e-6, Duration::from_secs(60));
    PrivacyConfig { enrolment: Arc::new(enrolment), seed: seed(node), noise, delta, patience, changes }
}

pub(crate) fn config(node: u64, directory: &Arc<Directory>, setup: &Setup) -> NodeConfig {
    let (solver, kind) = (setup.solver, setup.solver.unwrap_or_default());
    let problem = setup.part(node);
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
        max_payload: 8192,
        retransmission: Retransmission {
            max_attempts: setup.max_attempts,
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
        shared_state: None,
        trust: None,
        governance: None,
        discovery: None,
        sealing: None,
        plan: Some(PlanConfig {
            coordinator: NodeId(1),
            successors: setup.successors.iter().copied().map(NodeId).collect(),
            succession: Some(Duration::from_secs(300)),
            participants: setup.members.iter().copied().map(NodeId).collect(),
            joiners: setup.joiners.iter().copied().map(NodeId).collect(),
            horizon: 0,
            requests: Requests {
                own: setup.requests[node as usize - 1].clone(),
                couplings: setup.contested.clone(),
            },
            absence: Some(Duration::from_secs(600)),
            settings: MethodSettings { eps_abs: 1e-7, eps_rel: 1e-7, ..MethodSettings::of(kind) },
            auto: solver.is_none().then_some(Duration::from_secs(10_000)),
            pace: Pace {
                deadline: Duration::from_secs(60),
                gather: Duration::from_secs(1),
                quorum: setup.quorum,
                patience: 1000,
                max_rounds: setup.max_rounds,
            },
            couplings: setup.problem.couplings().clone(),
            problem,
            privacy: setup.masks.map(|changes| masks(node, changes)),
            lifetime: Duration::from_secs(7200),
        }),
    }
}

impl Fleet {
    pub(crate) fn new(solver: Option<Kind>) -> Self {
        Self::with(Setup::planted(solver))
    }

    pub(crate) fn with(setup: Setup) -> Self {
        let directory: Directory =
            (1..=NODES).map(|node| (NodeId(node), keys(node).public().clone())).collect();
        let directory = Arc::new(directory);
        let mut fleet = Self {
            now: Instant::ZERO,
            hosts: BTreeMap::new(),
            flights: Vec::new(),
            setup,
            cut: Vec::new(),
            horizon: 0,
            directory: directory.clone(),
            incarnation: 1,
        };
        for id in 1..=NODES {
            let settings = config(id, &directory, &fleet.setup);
            let node = Node::new(settings, keys(id), [id as u8; 32], fleet.now);
            let host = Host { node, kept: BTreeMap::new(), reports: Vec::new(), down: false };
            fleet.hosts.insert(id, host);
            fleet.connect(id);
        }
        fleet
    }

    pub(crate) fn connect(&mut self, node: u64) {
        let utc = DtnTime(800_000_000_000);
        let uncertainty = Duration::from_millis(10);
        self.input(node, Input::Civil(UtcEstimate { at: Instant::ZERO, utc, uncertainty }));
        let pairs = (1..=NODES).flat_map(|a| (1..=NODES).map(move |b| (a, b))).filter(|(a, b)| a != b);
        let contacts = pairs.map(|(from, to)| PlannedContact {
            from: NodeId(from),
            to: NodeId(to),
            start: Instant::ZERO,
            end: Instant::from_nanos(1_000_000_000_000_000),
            rate_bps: RATE_BPS,
            owlt: OWLT,
        });
        let plan = ContactPlan::from_contacts(contacts).expect("a plain plan");
        self.input(node, Input::ContactPlan(plan));
        for peer in (1..=NODES).filter(|peer| *peer != node) {
            let up = LinkUp {
                link: LinkId(peer as u32),
                peer: NodeId(peer),
                mtu: 1000,
                rate_bps: RATE_BPS,
                until: None,
                convergence: Convergence::SmallFrame,
                session: false,
            };
            self.input(node, Input::LinkUp(up));
        }
    }

    pub(crate) fn input(&mut self, node: u64, input: Input<'_>) {
        let now = self.now;
        let host = self.hosts.get_mut(&node).expect("a host");
        if host.down {
            return;
        }
        let _ = host.node.handle_input(now, input);
        loop {
            let mut tickets = Vec::new();
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
                        host.reports.extend(batch.reports);
                        tickets.push(batch.ticket);
                    }
                }
            }
            if tickets.is_empty() {
                break;
            }
            for ticket in tickets {
                host.node.handle_input(now, Input::Persisted(ticket)).expect("tickets in order");
            }
        }
        for peer in (1..=NODES).filter(|peer| *peer != node) {
            while let Some(frame) = host.node.poll_transmit(now, LinkId(peer as u32)) {
                let airtime = Duration::from_nanos(frame.len() as u64 * 8 * 1_000_000_000 / RATE_BPS);
                if self.cut.contains(&node) == self.cut.contains(&peer) {
                    self.flights.push((now.saturating_add(airtime + OWLT), node, peer, frame));
                }
            }
        }
    }

    /// The plan begins: everyone is told.
    pub(crate) fn start(&mut self) {
        for node in (1..=NODES).rev() {
            self.input(node, Input::StartPlan);
        }
    }

    /// Hosts enter the next horizon, of the same problem; prices are carried over.
    pub(crate) fn enter_horizon(&mut self, horizon: u64, nodes: &[u64]) {
        self.horizon = horizon;
        for node in nodes.iter().rev().copied() {
            let next = self.horizon_of(node);
            self.input(node, Input::PlanHorizon(Box::new(next)));
        }
    }

    fn horizon_of(&self, node: u64) -> PlanHorizon {
        let couplings = self.setup.problem.couplings().clone();
        let moved = (0..couplings.len()).map(Some).collect();
        let own = self.setup.requests[node as usize - 1].clone();
        let requests = Requests { own, couplings: self.setup.contested.clone() };
        PlanHorizon { horizon: self.horizon, couplings, problem: self.setup.part(node), moved, requests }
    }

    pub(crate) fn put_down(&mut self, node: u64) {
        self.hosts.get_mut(&node).expect("a host").down = true;
    }

    pub(crate) fn run_for(&mut self, span: Duration) {
        let end = self.now.saturating_add(span);
        loop {
            let flight = self.flights.iter().enumerate().map(|(at, flight)| (flight.0, at)).min();
            let awake = self.hosts.iter().filter(|(_, host)| !host.down);
            let timer = awake.filter_map(|(id, host)| Some((host.node.poll_timeout()?, *id))).min();
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

    /// The values that nodes hold, by their latest reports.
    pub(crate) fn held(&self) -> Vec<Vec<f64>> {
        (1..=NODES).map(|node| self.held_by(node).expect("a plan")).collect()
    }

    pub(crate) fn held_by(&self, node: u64) -> Option<Vec<f64>> {
        self.hosts[&node].reports.iter().rev().find_map(|report| match report {
            Report::PlanLocal { values, .. } => Some(values.clone()),
            _ => None,
        })
    }

    /// What becomes of a node that crashes from what its host kept.
    pub(crate) fn restored(&self, node: u64) -> Result<Node, InputError> {
        let mut settings = config(node, &self.directory, &self.setup);
        settings.plan.as_mut().expect("it plans").horizon = self.horizon;
        let kept = self.hosts[&node].kept.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
        Node::restore(settings, keys(node), [99; 32], self.now, self.incarnation, None, kept)
    }

    /// A node crashes, and comes back from what its host kept.
    pub(crate) fn restart(&mut self, node: u64) {
        self.incarnation += 1;
        let restored = self.restored(node).expect("its own");
        let host = self.hosts.get_mut(&node).expect("a host");
        (host.node, host.down) = (restored, false);
        self.connect(node);
        self.input(node, Input::StartPlan);
    }

    pub(crate) fn gap(&self) -> f64 {
        let values = self.held();
        self.setup.problem.gap(&values, self.setup.best)
    }

    pub(crate) fn committed(&self, node: u64) -> Vec<(u64, u32, Outcome)> {
        let reports = self.hosts[&node].reports.iter();
        reports
            .filter_map(|report| match report {
                Report::PlanCommitted { horizon, round, outcome, .. } => Some((*horizon, *round, *outcome)),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn solver(&self, node: u64) -> Vec<(&'static str, &'static str)> {
        let reports = self.hosts[&node].reports.iter();
        reports
            .filter_map(|report| match report {
                Report::PlanSolver { solver, why } => Some((*solver, *why)),
                _ => None,
            })
            .collect()
    }
}
