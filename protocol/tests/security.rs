//! Bundle security at nodes: what the source signs, every hop checks.

use cosmosmesh_protocol::{
    bpsec::SecurityPolicy,
    bundle::CrcKind,
    dtn::{
        contact_plan::{ContactPlan, PlannedContact},
        store::{Priority, StoreLimits},
        strategy::RoutingConfig,
    },
    envelope::Purpose,
    id::NodeId,
    identity::{Directory, KeyPair},
    node::{BundleSecurity, Input, LinkId, LinkUp, Node, NodeConfig, Output, Retransmission, Submission},
    time::{DtnTime, Instant, UtcEstimate},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

const MEMBERS: std::ops::RangeInclusive<u64> = 1..=3;

fn keys(node: u64) -> KeyPair {
    KeyPair::from_seed([node as u8; 32])
}

fn config(node: u64, directory: Arc<Directory>, security: Option<BundleSecurity>) -> NodeConfig {
    NodeConfig { security, ..NodeConfig::new(NodeId(node), directory) }
}

/// Nodes 1 - 2 - 3 whose frames arrive at once.
struct Line {
    nodes: BTreeMap<u64, Node>,
    delivered: usize,
}

impl Line {
    fn new(security: impl Fn(u64) -> Option<BundleSecurity>, key: impl Fn(u64) -> KeyPair) -> Self {
        let directory: Directory = MEMBERS.map(|node| (NodeId(node), keys(node).public().clone())).collect();
        let directory = Arc::new(directory);
        let contact = |from, to| PlannedContact {
            from: NodeId(from),
            to: NodeId(to),
            start: Instant::ZERO,
            end: Instant::from_nanos(1 << 60),
            rate_bps: 64_000,
            owlt: Duration::ZERO,
        };
        let contacts = [contact(1, 2), contact(2, 1), contact(2, 3), contact(3, 2)];
        let plan = ContactPlan::from_contacts(contacts).expect("a plain plan");
        let utc = DtnTime(800_000_000_000);
        let civil = UtcEstimate { at: Instant::ZERO, utc, uncertainty: Duration::from_millis(1) };
        let mut line = Self { nodes: BTreeMap::new(), delivered: 0 };
        for node in MEMBERS {
            let settings = config(node, directory.clone(), security(node));
            let mut fresh = Node::new(settings, key(node), [node as u8; 32], Instant::ZERO);
            fresh.handle_input(Instant::ZERO, Input::Civil(civil)).expect("an estimate");
            fresh.handle_input(Instant::ZERO, Input::ContactPlan(plan.clone())).expect("a plan");
            for peer in MEMBERS.filter(|peer| peer.abs_diff(node) == 1) {
                let link = LinkId(peer as u32);
                let up = LinkUp { link, peer: NodeId(peer), mtu: 233, rate_bps: 64_000, until: None };
                fresh.handle_input(Instant::ZERO, Input::LinkUp(up)).expect("a link");
            }
            line.nodes.insert(node, fresh);
        }
        line
    }

    /// Sends a message from 1 to 3, and lets everything settle.
    fn send(&mut self) {
        let submission = Submission {
            destination: NodeId(3),
            purpose: Purpose::Telemetry,
            priority: Priority::Normal,
            lifetime: Duration::from_secs(600),
            payload: b"measured here".to_vec(),
        };
        let source = self.nodes.get_mut(&1).expect("the source");
        source.handle_input(Instant::ZERO, Input::Submit(submission)).expect("taken");
        loop {
            let mut frames = Vec::new();
            for (id, node) in &mut self.nodes {
                while let Some(output) = node.poll_output() {
                    if let Output::Persist(batch) = output {
                        self.delivered += batch.deliveries.len();
                        let answer = Input::Persisted(batch.ticket);
                        node.handle_input(Instant::ZERO, answer).expect("in order");
                    }
                }
                for peer in MEMBERS.filter(|peer| peer.abs_diff(*id) == 1) {
                    while let Some(frame) = node.poll_transmit(Instant::ZERO, LinkId(peer as u32)) {
                        frames.push((*id, peer, frame));
                    }
                }
            }
            if frames.is_empty() {
                break;
            }
            for (from, to, bytes) in frames {
                let input = Input::Frame { link: LinkId(from as u32), bytes: &bytes };
                // Refusals are counted by the node.
                let _ = self.nodes.get_mut(&to).expect("a neighbour").handle_input(Instant::ZERO, input);
            }
        }
    }

    fn refused(&self, node: u64, reason: &str) -> u64 {
        self.nodes[&node].refusals().get(reason).copied().unwrap_or(0)
    }
}

#[test]
fn a_signed_bundle_is_checked_at_every_hop_and_delivered() {
    let mut line = Line::new(|_| Some(BundleSecurity::hop_by_hop()), keys);
    line.send();
    assert_eq!(line.delivered, 1);
    // Envelope and bundle at the source; the bundle at the relay; both at the destination.
    assert_eq!(line.nodes[&1].signatures().made, 2);
    assert_eq!(line.nodes[&2].signatures().checked, 1);
    assert_eq!(line.nodes[&3].signatures().checked, 2);
}

#[test]
fn a_relay_stops_bundles_that_nobody_signed_and_counts_them() {
    let secure = BundleSecurity::hop_by_hop();
    let mut line = Line::new(|node| (node != 1).then_some(secure), keys);
    line.send();
    assert_eq!(line.delivered, 0);
    assert_eq!(line.refused(2, "missing_security_operation"), 1);
    assert_eq!((line.nodes[&2].stored(), line.refused(3, "missing_security_operation")), (0, 0));
}

#[test]
fn a_relay_stops_bundles_that_an_impostor_signed() {
    let impostor = |node| keys(if node == 1 { 77 } else { node });
    let mut line = Line::new(|_| Some(BundleSecurity::hop_by_hop()), impostor);
    line.send();
    assert_eq!((line.delivered, line.refused(2, "no_security_key")), (0, 1));
}

#[test]
fn nodes_that_demand_nothing_carry_what_is_secured() {
    let lenient = BundleSecurity { sign: false, policy: SecurityPolicy::default() };
    let signing = BundleSecurity { sign: true, ..lenient };
    let mut line = Line::new(
        |node| match node {
            1 => Some(signing),
            2 => None,
            _ => Some(lenient),
        },
        keys,
    );
    line.send();
    assert_eq!((line.delivered, line.nodes[&2].signatures().checked), (1, 0));
}
