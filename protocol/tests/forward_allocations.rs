//! What a relay allocates for a bundle that is not for it, beyond the bundle itself: counted by the allocator, in the steady state.
//!
//! The bundle itself is what [`Bundle::decode`] makes of the frame (primary block, list of blocks, their data, payload), and the frame that
//! leaves, which is the host's from then on. All else is beyond it.

use allocation_counter::{AllocationInfo, measure};
use cosmosmesh_protocol::{
    bundle::Bundle,
    dtn::contact_plan::{ContactPlan, PlannedContact},
    id::NodeId,
    node::{Convergence, Input, LinkId, LinkUp, Node},
    time::Instant,
};
use laws::{carrier, config, keys};
use std::time::Duration;

#[allow(dead_code, reason = "the doors are for another test")]
mod laws;

/// Node 2, between 1 and 3.
fn relay() -> Node {
    let mut node = Node::new(config(2), keys(2), [2; 32], Instant::ZERO);
    let contact = |from: u64, to: u64| PlannedContact {
        from: NodeId(from),
        to: NodeId(to),
        start: Instant::ZERO,
        end: Instant::from_nanos(1 << 60),
        rate_bps: 1_000_000,
        owlt: Duration::from_millis(1),
    };
    let plan = ContactPlan::from_contacts([contact(1, 2), contact(2, 3), contact(2, 1)]).expect("a plan");
    let set_up = [
        Input::ContactPlan(plan),
        Input::LinkUp(LinkUp {
            link: LinkId(3),
            peer: NodeId(3),
            mtu: 70_000,
            rate_bps: 1_000_000,
            until: None,
            convergence: Convergence::default(),
            session: false,
        }),
    ];
    for input in set_up {
        node.handle_input(Instant::ZERO, input).expect("a plain input");
    }
    node
}

/// A frame in, a frame out.
fn forward(node: &mut Node, at: u64, frame: &[u8]) -> Vec<u8> {
    let now = Instant::from_nanos(at);
    node.handle_input(now, Input::Frame { link: LinkId(1), bytes: frame }).expect("a good bundle");
    while node.poll_output().is_some() {}
    node.poll_transmit(now, LinkId(3)).expect("the bundle goes on")
}

/// What is allocated for one bundle with a payload of `length` bytes, once the relay has forwarded others.
struct Cost {
    all: AllocationInfo,
    /// The bundle itself: its parts as they wait, and the frame that leaves.
    itself: (u64, u64),
}

fn steady(length: usize) -> Cost {
    let mut node = relay();
    let mut bundle = carrier(3, &vec![5; length]);
    bundle.set_previous_node(&NodeId(1).endpoint(0));
    let wire = bundle.encode();
    let frame = [&[0x40][..], &wire].concat();
    for at in 1..50 {
        forward(&mut node, at, &frame);
    }
    let all = measure(|| drop(forward(&mut node, 50, &frame)));
    let parts = measure(|| drop(Bundle::decode(&wire)));
    Cost { all, itself: (parts.count_total + 1, parts.bytes_total + frame.len() as u64) }
}

#[test]
fn a_relay_allocates_nothing_beyond_the_bundle() {
    let (small, large) = (steady(100), steady(60_000));
    let beyond = |cost: &Cost| cost.all.count_total - cost.itself.0;
    let told = format!("{:?} of {:?}, {:?} of {:?}", small.itself, small.all, large.itself, large.all);
    assert_eq!((beyond(&small), beyond(&large)), (0, 0), "{told}");
    // But the few bytes of room before the bundle that its frame needs.
    assert!(small.all.bytes_total <= small.itself.1 + 8, "{told}");
    assert!(large.all.bytes_total <= large.itself.1 + 8, "{told}");
    // And nothing stays.
    assert_eq!((small.all.count_current, large.all.count_current), (0, 0), "{told}");
}
