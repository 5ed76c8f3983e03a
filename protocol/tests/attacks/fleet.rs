//! A small fleet that trusts by certificates, in virtual time, every node beside every other; and an attacker who brings bundles of his own.

use cosmosmesh_protocol::{
    bundle::{Bundle, CreationTimestamp, Primary},
    dtn::{
        contact_plan::{ContactPlan, PlannedContact},
        store::Priority,
    },
    envelope::{Header, Purpose, seal},
    id::NodeId,
    identity::{Certificate, Directory, KeyPair, RevocationList, Role, Scope, Statement, TimeRule},
    log::{Entry, Event},
    node::{
        BundleSettings, Change, Convergence, Delivery, Input, InputError, Issuer, Kept, LinkId, LinkUp, Node,
        NodeConfig, Output, Report, Submission, TrustConfig, WholeLink,
    },
    time::{DtnTime, Instant, UtcEstimate},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

pub(crate) const BEGIN: u64 = 847_000_000_000;
pub(crate) const DAY: u64 = 86_400_000;
/// Hosts 1 to 4, each beside every other.
const ALL: [(u64, u64, &[u64]); 4] =
    [(1, 1, &[2, 3, 4]), (2, 2, &[1, 3, 4]), (3, 3, &[1, 2, 4]), (4, 4, &[1, 2, 3])];
/// The link by which the attacker brings bundles.
const ATTACKER: LinkId = LinkId(999);

pub(crate) fn keys(number: u64) -> KeyPair {
    KeyPair::from_seed([number as u8; 32])
}

pub(crate) fn authority() -> KeyPair {
    KeyPair::from_seed([200; 32])
}

/// Node 1 has the authority's key and is an admin, 2 an operator, 3 a contributor, 4 an observer.
pub(crate) fn role(node: u64) -> Role {
    [Role::Admin, Role::Operator, Role::Contributor, Role::Observer][(node as usize - 1).min(3)]
}

pub(crate) fn certificate(node: u64, key: u64, from: u64, to: u64) -> Certificate {
    Certificate {
        subject: NodeId(node),
        key: keys(key).public().clone(),
        role: role(node),
        scope: Scope::everything(),
        not_before: DtnTime(BEGIN + from * DAY),
        expires: DtnTime(BEGIN + to * DAY),
    }
}

pub(crate) fn trust(node: u64) -> TrustConfig {
    let certificates =
        (1..=4).map(|node| Statement::Certificate(certificate(node, node, 0, 30).issue(&authority())));
    let list = RevocationList { version: 1, issued: DtnTime(BEGIN), ..RevocationList::default() };
    let day = Duration::from_millis(DAY);
    TrustConfig {
        authority: authority().public().clone(),
        statements: certificates.chain([Statement::Revocations(list.issue(&authority()))]).collect(),
        issuer: (node == 1).then(|| Issuer { keys: authority(), lifetime: 30 * day, renew_before: 10 * day }),
        rule: TimeRule::default(),
        policy: Arc::default(),
        scope: Scope::everything(),
        witness: node == 1,
        share: None,
        interval: Duration::from_secs(60),
        lifetime: Duration::from_secs(86_400),
    }
}

/// A host: its node, and what it keeps for it.
pub(crate) struct Host {
    pub(crate) node: Node,
    id: u64,
    kept: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) delivered: Vec<Delivery>,
    pub(crate) reports: Vec<Report>,
    /// It takes what others give it, and gives nothing on.
    swallows: bool,
    /// It does not know the time of day.
    clockless: bool,
    neighbours: Vec<u64>,
    incarnation: u32,
    config: NodeConfig,
    keys: KeyPair,
}

pub(crate) struct Fleet {
    pub(crate) now: Instant,
    pub(crate) hosts: BTreeMap<u64, Host>,
    plan: ContactPlan,
    civil: UtcEstimate,
}

impl Fleet {
    /// Nodes 1 to 4.
    pub(crate) fn new() -> Self {
        Self::with(&ALL, |_, _| {})
    }

    /// Nodes 2 and 3 alone, that take what a key signed before it was followed for so long.
    pub(crate) fn draining(drain: Duration) -> Self {
        Self::built(&[(2, 2, &[3]), (3, 3, &[2])], &[(2, 3), (3, 2)], |_, config| {
            config.trust.as_mut().expect("made above").rule.drain = drain;
        })
    }

    /// Nodes 1 to 4, that tell each other what they know every six hours: for tests of months.
    pub(crate) fn slow() -> Self {
        Self::with(&ALL, |_, trust| trust.interval = Duration::from_secs(6 * 3600))
    }

    /// Hosts by name, the node that each runs, and its neighbours' names; `change` may change a node's settings.
    pub(crate) fn with(hosts: &[(u64, u64, &[u64])], change: impl Fn(u64, &mut TrustConfig)) -> Self {
        let all: Vec<(u64, u64)> = (1..=4).flat_map(|a| (1..=4).map(move |b| (a, b))).collect();
        Self::built(hosts, &all, |name, config| change(name, config.trust.as_mut().expect("made above")))
    }

    /// Hosts, the pairs of nodes that the contact plan knows, and a change of each node's settings.
    pub(crate) fn built(
        hosts: &[(u64, u64, &[u64])],
        pairs: &[(u64, u64)],
        change: impl Fn(u64, &mut NodeConfig),
    ) -> Self {
        let contact = |from: u64, to: u64| PlannedContact {
            from: NodeId(from),
            to: NodeId(to),
            start: Instant::ZERO,
            end: Instant::from_nanos(1 << 62),
            rate_bps: 1_000_000,
            owlt: Duration::ZERO,
        };
        let pairs = pairs.iter().filter(|(from, to)| from != to);
        let contacts = pairs.map(|(from, to)| contact(*from, *to));
        let plan = ContactPlan::from_contacts(contacts).expect("a plain plan");
        let directory: Directory = (1..=4).map(|node| (NodeId(node), keys(node).public().clone())).collect();
        let directory = Arc::new(directory);
        let utc = DtnTime(BEGIN + DAY);
        let civil = UtcEstimate { at: Instant::ZERO, utc, uncertainty: Duration::from_millis(10) };
        let mut fleet = Self { now: Instant::ZERO, hosts: BTreeMap::new(), plan, civil };
        for (name, id, neighbours) in hosts {
            // Tests of clocks must not end at bundles that are too old.
            let max_lifetime = Duration::from_millis(20_000 * DAY);
            let bundles = BundleSettings { max_lifetime, ..BundleSettings::default() };
            let trust = Some(trust(*id));
            let mut config = NodeConfig { bundles, trust, ..NodeConfig::new(NodeId(*id), directory.clone()) };
            change(*name, &mut config);
            let node = Node::new(config.clone(), keys(*id), [*id as u8; 32], Instant::ZERO);
            let host = Host {
                node,
                id: *id,
                kept: BTreeMap::new(),
                delivered: Vec::new(),
                reports: Vec::new(),
                swallows: false,
                clockless: false,
                neighbours: neighbours.to_vec(),
                incarnation: 1,
                config,
                keys: keys(*id),
            };
            fleet.hosts.insert(*name, host);
        }
        // Each must know which nodes its neighbours run.
        for (name, ..) in hosts {
            fleet.brief(*name);
        }
        fleet
    }

    fn brief(&mut self, name: u64) {
        let (civil, plan) = (self.civil, self.plan.clone());
        if !self.hosts[&name].clockless {
            self.input(name, Input::Civil(civil)).expect("an estimate");
        }
        self.input(name, Input::ContactPlan(plan)).expect("a plan");
        let whole = Convergence::Whole(WholeLink { window: 1 });
        self.link(name, ATTACKER, 3, whole);
        for peer in self.hosts[&name].neighbours.clone() {
            let id = self.hosts.get(&peer).map_or(peer, |host| host.id);
            self.link(name, LinkId(peer as u32), id, Convergence::SmallFrame);
        }
    }

    fn link(&mut self, name: u64, link: LinkId, peer: u64, convergence: Convergence) {
        let (peer, mtu, rate_bps) = (NodeId(peer), 4096, 1_000_000);
        let up = LinkUp { link, peer, mtu, rate_bps, until: None, convergence, session: false };
        self.input(name, Input::LinkUp(up)).expect("a link");
        if link == ATTACKER {
            // He listens to nothing.
            self.input(name, Input::LinkDown { link }).expect("a link");
        }
    }

    /// From now on these two hear each other, or no more.
    pub(crate) fn meet(&mut self, a: u64, b: u64, meets: bool) {
        for (name, peer) in [(a, b), (b, a)] {
            let host = self.hosts.get_mut(&name).expect("a host");
            host.neighbours.retain(|known| *known != peer);
            if meets {
                host.neighbours.push(peer);
                self.link(name, LinkId(peer as u32), peer, Convergence::SmallFrame);
            } else {
                self.input(name, Input::LinkDown { link: LinkId(peer as u32) }).expect("a link");
            }
        }
    }

    pub(crate) fn input(&mut self, name: u64, input: Input<'_>) -> Result<(), InputError> {
        let (now, host) = (self.now, self.hosts.get_mut(&name).expect("a host"));
        let result = host.node.handle_input(now, input);
        host.drain(now);
        result
    }

    /// Lets time pass.
    pub(crate) fn run_for(&mut self, span: Duration) {
        let end = self.now.saturating_add(span);
        loop {
            self.exchange();
            let due =
                self.hosts.iter().filter_map(|(name, host)| Some((host.node.poll_timeout()?, *name))).min();
            let Some((at, name)) = due.filter(|(at, _)| *at <= end) else { break };
            self.now = at.max(self.now);
            self.input(name, Input::Timeout).expect("a timeout");
        }
        self.now = end;
    }

    /// Carries every frame over.
    fn exchange(&mut self) {
        loop {
            let mut frames = Vec::new();
            for (name, host) in &mut self.hosts {
                for peer in host.neighbours.clone() {
                    while let Some(frame) = host.node.poll_transmit(self.now, LinkId(peer as u32)) {
                        if host.swallows {
                            continue;
                        }
                        frames.push((*name, peer, frame));
                    }
                }
            }
            if frames.is_empty() {
                return;
            }
            for (from, to, bytes) in frames {
                let frame = Input::Frame { link: LinkId(from as u32), bytes: &bytes };
                // What is refused is counted by the node.
                let _ = self.input(to, frame);
            }
        }
    }

    pub(crate) fn submit(&mut self, from: u64, to: u64, purpose: Purpose, text: &str) {
        self.try_submit(from, to, purpose, text).expect("taken");
    }

    pub(crate) fn try_submit(
        &mut self,
        from: u64,
        to: u64,
        purpose: Purpose,
        text: &str,
    ) -> Result<(), InputError> {
        let submission = Submission {
            destination: NodeId(to),
            purpose,
            priority: Priority::Normal,
            lifetime: Duration::from_millis(10_000 * DAY),
            payload: text.as_bytes().to_vec(),
        };
        self.input(from, Input::Submit(submission))
    }

    /// The attacker brings an envelope in a bundle from `source` to a node.
    pub(crate) fn bring(
        &mut self,
        to: u64,
        source: u64,
        number: u64,
        envelope: Vec<u8>,
    ) -> Result<(), InputError> {
        let creation = CreationTimestamp { time: self.civil.dtn_time(self.now), sequence: 1 << 40 | number };
        let (from, whom) = (NodeId(source).endpoint(1), NodeId(to).endpoint(1));
        let mut bundle = Bundle::new(Primary::new(from, whom, creation, 10_000 * DAY), envelope);
        bundle.set_previous_node(&NodeId(3).endpoint(0));
        let bytes = bundle.encode();
        let up = LinkUp {
            link: ATTACKER,
            peer: NodeId(3),
            mtu: 4096,
            rate_bps: 1_000_000,
            until: None,
            convergence: Convergence::Whole(WholeLink { window: 1 }),
            session: false,
        };
        self.input(to, Input::LinkUp(up)).expect("a link");
        let result = self.input(to, Input::Frame { link: ATTACKER, bytes: &bytes });
        self.input(to, Input::LinkDown { link: ATTACKER }).expect("a link");
        result
    }

    /// An envelope from `sender` to `to`, signed by whatever key.
    pub(crate) fn header(&self, sender: u64, to: u64, purpose: Purpose, sequence: u64) -> Header {
        Header {
            sender: NodeId(sender),
            incarnation: 1,
            purpose,
            destination: NodeId(to),
            sequence,
            created: self.civil.dtn_time(self.now),
        }
    }

    /// Brings what `key` signed in the name of `sender`: the reason why it is refused, or nothing.
    pub(crate) fn forge(&mut self, key: &KeyPair, header: Header, text: &str) -> Option<&'static str> {
        self.forge_bytes(key, header, text.as_bytes())
    }

    pub(crate) fn forge_bytes(
        &mut self,
        key: &KeyPair,
        header: Header,
        payload: &[u8],
    ) -> Option<&'static str> {
        let number = header.sequence.wrapping_mul(31).wrapping_add(payload.len() as u64) % (1 << 39);
        let (sender, to) = (header.sender.0, header.destination.0);
        refused(self.bring(to, sender, number, seal(key, &header, payload)))
    }

    /// The host loses what it has not kept, and comes back.
    pub(crate) fn restart(&mut self, name: u64) {
        let (now, host) = (self.now, self.hosts.get_mut(&name).expect("a host"));
        host.incarnation += 1;
        let kept = host.kept.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
        let seed = [name as u8 + 100 + host.incarnation as u8; 32];
        let (config, keys) = (host.config.clone(), host.keys.clone());
        host.node = Node::restore(config, keys, seed, now, host.incarnation, Some(self.civil), kept)
            .expect("own records");
        self.brief(name);
    }

    /// The host loses all that it kept, and comes back.
    pub(crate) fn lose_disk(&mut self, name: u64) {
        self.hosts.get_mut(&name).expect("a host").kept.clear();
        self.restart(name);
    }

    /// The node's key hands over to another, which its host remembers.
    pub(crate) fn rotate(&mut self, name: u64, key: u64) {
        self.input(name, Input::RotateKey(Box::new(keys(key)))).expect("its own key");
        self.hosts.get_mut(&name).expect("a host").keys = keys(key);
    }

    /// The host has another key for its node's next restart.
    pub(crate) fn give_keys(&mut self, name: u64, key: u64) {
        self.hosts.get_mut(&name).expect("a host").keys = keys(key);
    }

    /// The clock of one node, or what it takes for it.
    pub(crate) fn set_clock(&mut self, name: u64, utc: DtnTime) {
        let civil = UtcEstimate { at: self.now, utc, uncertainty: Duration::from_millis(10) };
        self.input(name, Input::Civil(civil)).expect("an estimate");
    }

    /// From now on it gives nothing on.
    pub(crate) fn swallow(&mut self, name: u64) {
        self.hosts.get_mut(&name).expect("a host").swallows = true;
    }

    /// It comes back without a clock, and without what it kept.
    pub(crate) fn lose_clock(&mut self, name: u64) {
        self.hosts.get_mut(&name).expect("a host").clockless = true;
        let (now, host) = (self.now, self.hosts.get_mut(&name).expect("a host"));
        host.node = Node::new(host.config.clone(), host.keys.clone(), [name as u8 + 50; 32], now);
        host.kept.clear();
        self.brief(name);
    }

    /// What modules have refused at a host, by their words.
    pub(crate) fn module_refusals(&self, name: u64) -> Vec<&'static str> {
        let reports = self.hosts[&name].reports.iter();
        let refused = reports.filter_map(|report| match report {
            Report::ModuleRefused { reason } => Some(*reason),
            _ => None,
        });
        refused.collect()
    }

    pub(crate) fn texts(&self, name: u64) -> Vec<String> {
        self.hosts[&name].delivered.iter().map(|d| String::from_utf8_lossy(&d.payload).into_owned()).collect()
    }

    pub(crate) fn refusals(&self, name: u64, reason: &str) -> u64 {
        self.hosts[&name].node.refusals().get(reason).copied().unwrap_or(0)
    }

    /// What a node has written down.
    pub(crate) fn events(&self, name: u64) -> Vec<Event> {
        self.entries(name).iter().map(|bytes| Entry::decode(bytes).expect("its own entry").event).collect()
    }

    pub(crate) fn entries(&self, name: u64) -> Vec<Vec<u8>> {
        self.records(name, Kept::LogEntry)
    }

    pub(crate) fn records(&self, name: u64, kind: Kept) -> Vec<Vec<u8>> {
        let kept = self.hosts[&name].kept.iter();
        kept.filter(|(key, _)| key[0] == kind as u8).map(|(_, value)| value.clone()).collect()
    }
}

impl Host {
    fn drain(&mut self, now: Instant) {
        while let Some(output) = self.node.poll_output() {
            let batch = match output {
                Output::Persist(batch) => batch,
                Output::Report(report) => {
                    self.reports.push(report);
                    continue;
                }
            };
            for change in batch.changes {
                match change {
                    Change::Put { key, value } => drop(self.kept.insert(key, value)),
                    Change::Delete { key } => drop(self.kept.remove(&key)),
                }
            }
            self.delivered.extend(batch.deliveries);
            self.reports.extend(batch.reports);
            self.node.handle_input(now, Input::Persisted(batch.ticket)).expect("in order");
        }
    }
}

pub(crate) fn refused(result: Result<(), InputError>) -> Option<&'static str> {
    match result {
        Ok(()) => None,
        Err(InputError::Refused { reason }) => Some(reason),
        Err(error) => panic!("misuse: {error}"),
    }
}
