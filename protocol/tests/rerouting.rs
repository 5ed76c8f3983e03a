//! What a node does with bundles that wait for a neighbour when the way there changes, and what that costs.

use allocation_counter::measure;
use cosmosmesh_protocol::{
    dtn::contact_plan::{ContactPlan, PlannedContact},
    id::NodeId,
    node::{Convergence, Input, LinkId, LinkUp, Node, WholeLink},
    time::Instant,
};
use laws::{carrier, config, keys, split};
use std::time::Duration;

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
        convergence: Convergence::Whole(WholeLink { window: 4 }),
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
