//! Two nodes over a perfect link, each with a disk that loses power again and again.

use super::platter::Platter;
use cosmosmesh_node::{Disk, Received};
use cosmosmesh_protocol::{
    dtn::{
        contact_plan::{ContactPlan, PlannedContact},
        store::Priority,
    },
    envelope::Purpose,
    id::NodeId,
    identity::{Directory, KeyPair},
    node::{Input, LinkId, LinkUp, Node, NodeConfig, Output, Report, Retransmission, Submission},
    time::Instant,
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

const LINK: LinkId = LinkId(0);
const MESSAGES: u64 = 25;
const LINK_DELAY: Duration = Duration::from_millis(100);

fn keys(node: u64) -> KeyPair {
    KeyPair::from_seed([node as u8; 32])
}

fn config(node: u64) -> NodeConfig {
    let directory: Directory = (1..=2).map(|id| (NodeId(id), keys(id).public().clone())).collect();
    NodeConfig {
        retransmission: Retransmission {
            max_attempts: 1000,
            min_timeout: Duration::from_secs(2),
            ack_delay: Duration::from_millis(500),
            margin_percent: 150,
        },
        ..NodeConfig::new(NodeId(node), Arc::new(directory))
    }
}

fn plan() -> ContactPlan {
    let contact = |from, to| PlannedContact {
        from: NodeId(from),
        to: NodeId(to),
        start: Instant::ZERO,
        end: Instant::from_nanos(1 << 60),
        rate_bps: 1_000_000,
        owlt: LINK_DELAY,
    };
    ContactPlan::from_contacts([contact(1, 2), contact(2, 1)]).expect("a plain plan")
}

struct Host {
    id: u64,
    node: Node,
    disk: Disk,
    platter: Platter,
    rng: ChaCha8Rng,
    losses: u32,
    accepted: BTreeSet<u64>,
}

impl Host {
    fn new(id: u64, seed: u64) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed * 2 + id);
        let platter = Platter::new(Vec::new(), u64::MAX);
        let disk = Disk::open_on(platter.clone()).expect("a fresh disk");
        let node = Node::new(config(id), keys(id), [0; 32], Instant::ZERO);
        let mut host = Self { id, node, disk, platter, rng, losses: 0, accepted: BTreeSet::new() };
        host.boot(Instant::ZERO);
        host
    }

    /// Starts from what the disk holds, with a power supply that lasts for some operations.
    fn boot(&mut self, now: Instant) {
        let image = self.platter.after_power_loss(u64::from(self.rng.next_u32()));
        // Recovery itself is spared here: `main.rs` cuts that.
        let whole = Platter::new(image, u64::MAX);
        let incarnation = {
            let disk = Disk::open_on(whole.clone()).expect("readable after a power loss");
            disk.begin_incarnation().expect("writable")
        };
        let operations = 20 + u64::from(self.rng.next_u32() % 120);
        self.platter = Platter::new(whole.after_power_loss(0), operations);
        match Disk::open_on(self.platter.clone()) {
            Ok(disk) => self.disk = disk,
            Err(_) => return self.boot(now),
        }
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        let Ok(records) = self.disk.records() else { return self.boot(now) };
        let kept = records.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
        self.node = Node::restore(config(self.id), keys(self.id), seed, now, incarnation, None, kept)
            .expect("its own records");
        self.give(now, Input::ContactPlan(plan()));
        let up =
            LinkUp { link: LINK, peer: NodeId(3 - self.id), mtu: 1024, rate_bps: 1_000_000, until: None };
        self.give(now, Input::LinkUp(up));
    }

    fn give(&mut self, now: Instant, input: Input<'_>) {
        let _ = self.node.handle_input(now, input);
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Report(Report::Accepted { sequence, .. }) => drop(self.accepted.insert(sequence)),
                Output::Report(_) => {}
                Output::Persist(batch) => {
                    if self.disk.commit(&batch).is_err() {
                        self.losses += 1;
                        return self.boot(now);
                    }
                    self.node
                        .handle_input(now, Input::Persisted(batch.ticket))
                        .expect("tickets are answered in order");
                }
            }
        }
    }
}

/// Flies until the sender has no message left; returns what the receiver's application finds, and the power losses.
fn fly(seed: u64) -> (BTreeSet<u64>, Vec<u64>, u32) {
    let mut hosts = [Host::new(1, seed), Host::new(2, seed)];
    let mut now = Instant::ZERO;
    let mut flights: Vec<(Instant, usize, Vec<u8>)> = Vec::new();
    let mut submitted = 0;
    for _ in 0..40_000 {
        if submitted < MESSAGES {
            submitted += 1;
            let submission = Submission {
                destination: NodeId(2),
                purpose: Purpose::Telemetry,
                priority: Priority::Normal,
                lifetime: Duration::from_secs(1 << 20),
                payload: submitted.to_be_bytes().to_vec(),
            };
            hosts[0].give(now, Input::Submit(submission));
        }
        for (side, host) in hosts.iter_mut().enumerate() {
            while let Some(frame) = host.node.poll_transmit(now, LINK) {
                flights.push((now.saturating_add(LINK_DELAY), 1 - side, frame));
            }
        }
        let timers = hosts.iter().filter_map(|host| host.node.poll_timeout());
        let Some(next) = timers.chain(flights.iter().map(|flight| flight.0)).min() else { break };
        now = next.max(now);
        let (due, later) = flights.into_iter().partition::<Vec<_>, _>(|flight| flight.0 <= now);
        flights = later;
        for (_, side, frame) in due {
            hosts[side].give(now, Input::Frame { link: LINK, bytes: &frame });
        }
        for host in &mut hosts {
            host.give(now, Input::Timeout);
        }
    }
    let [sender, receiver] = hosts;
    let whole = Disk::open_on(Platter::new(receiver.platter.after_power_loss(seed), u64::MAX));
    let disk = whole.expect("readable");
    let mut found = Vec::new();
    while let Some(entry) = disk.next_in_inbox().expect("readable") {
        let Received::Message(message) = entry.received else { panic!("no bundle was sent") };
        found.push(u64::from_be_bytes(message.payload.as_slice().try_into().expect("a number")));
        disk.take(entry.number).expect("writable");
    }
    (sender.accepted, found, sender.losses + receiver.losses)
}

#[test]
fn between_two_nodes_nothing_accepted_is_lost_and_nothing_comes_twice() {
    let mut losses = 0;
    for seed in 0..20 {
        let (accepted, found, lost_power) = fly(seed);
        losses += lost_power;
        assert!(found.is_sorted_by(|a, b| a < b), "seed {seed}: out of order or twice: {found:?}");
        assert!(accepted.len() as u64 >= MESSAGES / 2, "seed {seed}: hardly anything was accepted");
        assert!(found.len() >= accepted.len(), "seed {seed}: {accepted:?} accepted, {found:?} delivered");
    }
    assert!(losses > 100, "{losses} power losses in 20 flights");
}
