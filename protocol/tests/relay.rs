//! What a node does with others' bundles that wait: where they go when the way changes, whom it lets pass, and what that costs.

use allocation_counter::measure;
use cosmosmesh_protocol::{
    bundle::{Bundle, CreationTimestamp, Primary},
    dtn::{
        contact_plan::{ContactPlan, PlannedContact},
        store::StoreLimits,
    },
    envelope::{Header, Purpose, seal},
    id::{EndpointId, NodeId},
    node::{BundleSubmission, Convergence, Input, LinkId, LinkUp, Node, NodeConfig, WholeLink},
    time::{DtnTime, Instant, UtcEstimate},
};
use laws::{carrier, config, keys, split};
use std::{sync::Arc, time::Duration};

#[allow(dead_code, reason = "the doors are for another test")]
mod laws;

const fn at(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * 1_000_000_000)
}

fn contact(from: u64, to: u64, start: u64, end: u64) -> PlannedContact {
    let (from, to, start, end) = (NodeId(from), NodeId(to), at(start), at(end));
    PlannedContact { from, to, start, end, rate_bps: 1_000_000, owlt: Duration::from_millis(1) }
}

fn input(node: &mut Node, now: u64, input: Input<'_>) {
    node.handle_input(at(now), input).expect("a plain input");
    while node.poll_output().is_some() {}
}

fn link_up(node: &mut Node, now: u64, peer: u64) {
    let up = LinkUp {
        link: LinkId(peer as u32),
        peer: NodeId(peer),
        mtu: 70_000,
        rate_bps: 1_000_000,
        until: None,
        convergence: Convergence::Whole(WholeLink { window: 16 }),
        session: false,
    };
    input(node, now, Input::LinkUp(up));
}

/// Node 2 gets a bundle for node 4 from node 1.
fn take(node: &mut Node, number: u64, payload: &[u8]) {
    let mut bundle = carrier(4, payload);
    bundle.set_previous_node(&NodeId(1).endpoint(0));
    for frame in split(&bundle.encode(), 70_000) {
        input(node, number, Input::Frame { link: LinkId(9), bytes: &frame });
    }
}

#[test]
fn a_bundle_that_did_not_get_through_is_not_sent_back_to_whom_it_came_from() {
    let mut node = Node::new(config(2), keys(2), [2; 32], Instant::ZERO);
    // By node 1 it would be there first; the next contact with node 3 is later.
    let contacts = [
        contact(2, 3, 0, 1000),
        contact(2, 3, 5000, 6000),
        contact(3, 4, 0, 9000),
        contact(2, 1, 0, 9000),
        contact(1, 4, 0, 9000),
    ];
    input(&mut node, 0, Input::ContactPlan(ContactPlan::from_contacts(contacts).expect("a plan")));
    for peer in [1, 3] {
        link_up(&mut node, 0, peer);
    }
    take(&mut node, 1, b"onward");
    assert_eq!(node.poll_bundle(at(1), LinkId(1)), None);
    let (transfer, _) = node.poll_bundle(at(1), LinkId(3)).expect("onward");
    input(&mut node, 2, Input::TransmissionFailed { link: LinkId(3), transfer });
    input(&mut node, 3, Input::LinkDown { link: LinkId(3) });
    assert_eq!(node.poll_bundle(at(4), LinkId(1)), None, "not back");
    link_up(&mut node, 5000, 3);
    assert!(node.poll_bundle(at(5000), LinkId(3)).is_some());
}

#[test]
fn to_route_waiting_bundles_anew_copies_none_of_them() {
    let mut node = Node::new(config(2), keys(2), [2; 32], Instant::ZERO);
    let plan =
        ContactPlan::from_contacts([contact(2, 3, 1000, 9000), contact(3, 4, 0, 9000)]).expect("a plan");
    input(&mut node, 0, Input::ContactPlan(plan.clone()));
    for number in 0..10 {
        take(&mut node, number, &[7; 40_000]);
    }
    assert_eq!(node.stored(), 10);
    for _ in 0..2 {
        input(&mut node, 20, Input::ContactPlan(plan.clone()));
    }
    let again = plan.clone();
    let cost = measure(|| input(&mut node, 20, Input::ContactPlan(again)));
    assert!(cost.bytes_total < 40_000, "{cost:?}");
}

/// A bundle for node 4 with an envelope of node 1.
fn letter(purpose: Purpose, source: EndpointId, service: u64, sequence: u64) -> Bundle {
    let creation = CreationTimestamp { time: DtnTime(850_000_000_000), sequence };
    let primary = Primary::new(source, NodeId(4).endpoint(service), creation, 60_000_000);
    let header = Header {
        sender: NodeId(1),
        incarnation: 1,
        purpose,
        destination: NodeId(4),
        sequence,
        created: creation.time,
    };
    Bundle::new(primary, seal(&keys(1), &header, b"letter"))
}

fn relay_with(config: NodeConfig, letters: &[Bundle]) -> Node {
    let mut node = Node::new(config, keys(2), [2; 32], Instant::ZERO);
    let plan = ContactPlan::from_contacts([contact(2, 4, 0, 9000)]).expect("a plan");
    input(&mut node, 0, Input::ContactPlan(plan));
    for letter in letters {
        for frame in split(&letter.encode(), 70_000) {
            input(&mut node, 0, Input::Frame { link: LinkId(9), bytes: &frame });
        }
    }
    link_up(&mut node, 0, 4);
    node
}

fn next_sequence(node: &mut Node) -> u64 {
    let (_, wire) = node.poll_bundle(at(1), LinkId(4)).expect("something waits");
    Bundle::decode(&wire).expect("nodes send bundles").primary().creation.sequence
}

#[test]
fn a_relay_lets_only_members_commands_pass() {
    let normal = letter(Purpose::Telemetry, NodeId(1).endpoint(1), 1, 1);
    for (source, service, passes) in [
        (NodeId(1).endpoint(1), 1, true),
        (NodeId(1).endpoint(1), 7, false),
        (NodeId(3).endpoint(1), 1, false),
        (EndpointId::Dtn("//x/y".into()), 1, false),
    ] {
        let urgent = letter(Purpose::Command, source.clone(), service, 2);
        let mut node = relay_with(config(2), &[normal.clone(), urgent]);
        assert_eq!(next_sequence(&mut node), if passes { 2 } else { 1 }, "{source} to {service}");
    }
    let stranger = NodeConfig {
        directory: Arc::new([(NodeId(2), keys(2).public().clone())].into_iter().collect()),
        ..config(2)
    };
    let urgent = letter(Purpose::Command, NodeId(1).endpoint(1), 1, 2);
    assert_eq!(next_sequence(&mut relay_with(stranger, &[normal, urgent])), 1, "of no member");
}

#[test]
fn the_urgency_of_others_bundles_evicts_nothing() {
    let small = NodeConfig { store: StoreLimits { bytes: 1 << 20, count: 1 }, ..config(2) };
    let normal = letter(Purpose::Telemetry, NodeId(1).endpoint(1), 1, 1);
    let urgent = letter(Purpose::Command, NodeId(1).endpoint(1), 1, 2);
    assert_eq!(next_sequence(&mut relay_with(small, &[normal, urgent])), 1);
}

/// The creation of the bundle that node 2 makes now.
fn created(node: &mut Node, link: u64, utc: u64) -> (u64, u64) {
    let estimate = UtcEstimate { at: at(link), utc: DtnTime(utc), uncertainty: Duration::ZERO };
    input(node, link, Input::Civil(estimate));
    let lifetime = Duration::from_secs(60);
    let submission =
        BundleSubmission::new(NodeId(2).endpoint(7), NodeId(4).endpoint(7), lifetime, b"mine".to_vec());
    input(node, link, Input::SendBundle(submission));
    let (_, wire) = node.poll_bundle(at(link), LinkId(4)).expect("it leaves");
    let creation = Bundle::decode(&wire).expect("nodes send bundles").primary().creation;
    (creation.time.0, creation.sequence)
}

#[test]
fn no_two_bundles_have_one_name_though_the_clock_steps_back_or_the_node_crashes() {
    let mut node = relay_with(config(2), &[]);
    let clock = [1000, 1000, 900, 900];
    let mut names: Vec<(u64, u64)> = (1..).zip(clock).map(|(t, utc)| created(&mut node, t, utc)).collect();
    assert_eq!(names, [(1000, 0), (1000, 1), (1000, 2), (1000, 3)]);
    let none: [(&[u8], &[u8]); 0] = [];
    let mut again =
        Node::restore(config(2), keys(2), [3; 32], Instant::ZERO, 2, None, none).expect("no records");
    let plan = ContactPlan::from_contacts([contact(2, 4, 0, 9000)]).expect("a plan");
    input(&mut again, 0, Input::ContactPlan(plan));
    link_up(&mut again, 0, 4);
    names.extend((1..).zip(clock).map(|(t, utc)| created(&mut again, t, utc)));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 8);
}

#[test]
fn a_clock_that_was_far_ahead_for_a_moment_dates_no_later_bundle_and_no_name_comes_twice() {
    let (mut node, day) = (relay_with(config(2), &[]), 86_400_000);
    let clock = [1000, 1000, 1000, 4000 * day, 4000 * day, 1005, 1000, 1000, 2000 * day, 1000, 3000 * day];
    let mut names: Vec<(u64, u64)> = (1..).zip(clock).map(|(t, utc)| created(&mut node, t, utc)).collect();
    assert!(names.iter().zip(clock).all(|((time, _), told)| time.abs_diff(told) <= 60_000), "{names:?}");
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), clock.len());
}
