//! Schedule-aware routing under the node: volumes booked and given back, queues that are known, contacts that are lost, critical bundles.

use cosmosmesh_protocol::{
    bundle::Bundle,
    dtn::{
        contact_plan::{ContactId, ContactPlan, PlannedContact},
        routing::{SERVICE_BLOCK, whole_volume},
        store::Priority,
    },
    id::NodeId,
    node::{BundleSubmission, Convergence, Input, LinkId, LinkUp, Node, NodeConfig, Output, WholeLink},
    time::Instant,
};
use laws::{config, keys};
use proptest::prelude::*;
use std::time::Duration;

#[allow(dead_code, reason = "the doors are for another test")]
mod laws;

const LIFETIME: Duration = Duration::from_secs(100_000);

const fn at(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * 1_000_000_000)
}

/// `rate` in bytes per second.
fn contact(from: u64, to: u64, start: u64, end: u64, rate: u64) -> PlannedContact {
    let (from, to, start, end) = (NodeId(from), NodeId(to), at(start), at(end));
    PlannedContact { from, to, start, end, rate_bps: rate * 8, owlt: Duration::ZERO }
}

fn plan(contacts: impl IntoIterator<Item = PlannedContact>) -> ContactPlan {
    ContactPlan::from_contacts(contacts).expect("a plan")
}

/// What a node did with an input: bundles for its application, and batches answered.
fn input(node: &mut Node, now: u64, input: Input<'_>) -> Vec<Vec<u8>> {
    node.handle_input(at(now), input).expect("a plain input");
    drain(node, now)
}

fn drain(node: &mut Node, now: u64) -> Vec<Vec<u8>> {
    let mut delivered = Vec::new();
    while let Some(output) = node.poll_output() {
        if let Output::Persist(batch) = output {
            delivered.extend(batch.bundles.into_iter().map(|bundle| bundle.payload));
            node.handle_input(at(now), Input::Persisted(batch.ticket)).expect("an answer");
        }
    }
    delivered
}

fn node(id: u64, plan: &ContactPlan, settings: impl FnOnce(&mut NodeConfig)) -> Node {
    let mut config = config(id);
    settings(&mut config);
    let mut node = Node::new(config, keys(id as u8), [id as u8; 32], Instant::ZERO);
    input(&mut node, 0, Input::ContactPlan(plan.clone()));
    node
}

fn link_up(node: &mut Node, now: u64, peer: u64, until: Option<u64>, rate: u64) {
    let up = LinkUp {
        link: LinkId(peer as u32),
        peer: NodeId(peer),
        mtu: 70_000,
        rate_bps: rate * 8,
        until: until.map(at),
        convergence: Convergence::Whole(WholeLink { window: 1 }),
        session: false,
    };
    input(node, now, Input::LinkUp(up));
}

fn link_down(node: &mut Node, now: u64, peer: u64) {
    input(node, now, Input::LinkDown { link: LinkId(peer as u32) });
}

fn offer(node: &Node, to: u64, priority: Priority, bytes: usize) -> BundleSubmission {
    let payload = vec![priority as u8; bytes];
    let (source, destination) = (node.id().endpoint(7), NodeId(to).endpoint(7));
    BundleSubmission { priority, ..BundleSubmission::new(source, destination, LIFETIME, payload) }
}

fn send(node: &mut Node, now: u64, to: u64, priority: Priority, bytes: usize) {
    let submission = offer(node, to, priority, bytes);
    input(node, now, Input::SendBundle(submission));
}

/// The next bundle for the peer, which is told to have been transmitted: its payload and destination.
fn leaves(node: &mut Node, now: u64, peer: u64) -> Option<(Vec<u8>, u64)> {
    let link = LinkId(peer as u32);
    let (transfer, wire) = node.poll_bundle(at(now), link)?;
    input(node, now, Input::Transmitted { link, transfer });
    let bundle = Bundle::decode(&wire).expect("nodes send bundles");
    Some((bundle.payload().to_vec(), bundle.primary().destination.node()?.0))
}

/// Bytes that expedited, normal and bulk bundles have taken of a contact.
fn taken(node: &Node, contact: u32) -> [u64; 3] {
    let up_to = Priority::ALL.map(|priority| node.volumes().booked(ContactId(contact), priority));
    [up_to[0], up_to[1] - up_to[0], up_to[2] - up_to[1]]
}

#[test]
fn an_expedited_bundle_moves_the_latest_bulk_to_the_next_contact() {
    // 10 kB, then as much as anybody needs.
    let plan = plan([contact(1, 2, 100, 110, 1000), contact(1, 2, 200, 300, 1000)]);
    let mut node = node(1, &plan, |_| {});
    send(&mut node, 0, 2, Priority::Bulk, 4000);
    let bulk = taken(&node, 0)[2];
    assert!((4000..4100).contains(&bulk), "{bulk}");
    for _ in 0..2 {
        send(&mut node, 0, 2, Priority::Bulk, 4000);
    }
    assert_eq!((taken(&node, 0), taken(&node, 1)), ([0, 0, 2 * bulk], [0, 0, bulk]));
    send(&mut node, 0, 2, Priority::Expedited, 4000);
    // One of the two makes way; an urgent bundle counts for itself.
    assert_eq!((taken(&node, 0), taken(&node, 1)), ([bulk, 0, bulk], [0, 0, 2 * bulk]));
    // A normal one finds the contact full of its betters, and moves the other.
    send(&mut node, 0, 2, Priority::Normal, 4000);
    assert_eq!((taken(&node, 0), taken(&node, 1)), ([bulk, bulk, 0], [0, 0, 3 * bulk]));

    link_up(&mut node, 100, 2, Some(110), 1000);
    let urgency = |left: Option<(Vec<u8>, u64)>| left.map(|(payload, _)| payload[0]);
    assert_eq!([100, 105, 109].map(|now| urgency(leaves(&mut node, now, 2))), [Some(0), Some(1), None]);
    link_down(&mut node, 110, 2);
    assert_eq!((taken(&node, 0), taken(&node, 1)), ([0, 0, 0], [0, 0, 3 * bulk]));
    link_up(&mut node, 200, 2, Some(300), 1000);
    assert_eq!(
        [200, 210, 220, 230].map(|now| urgency(leaves(&mut node, now, 2))),
        [Some(2), Some(2), Some(2), None]
    );
    assert!(node.volumes().is_empty());
}

#[test]
fn queues_make_a_bundle_wait_for_a_route_until_one_of_them_has_left_as_in_asabr_eto() {
    // Source: tests/data/contact-plans/README.md. A bundle of 20 units leaves at 1 unit/s; ours are as long as their encoding is, and
    // the rate is such that one takes 20 s.
    let text = include_str!("data/contact-plans/asabr/eto_management_1.cp");
    let mut probe = node(1, &plan([contact(1, 2, 0, 100, 1000)]), |_| {});
    send(&mut probe, 15, 2, Priority::Normal, 100);
    let bytes = taken(&probe, 0)[1];
    let (payload, rate) = (100 + (20 - (bytes % 20)) as usize, bytes / 20 + 1);
    // Node numbers from 1, so that 0 of the plan is our node 1.
    let contacts = text.lines().filter_map(|line| line.strip_prefix("contact ")).map(|line| {
        let n: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let light = Duration::from_secs(n[5]);
        PlannedContact { owlt: light, ..contact(n[0] + 1, n[1] + 1, n[2], n[3], n[4] * rate) }
    });
    let mut node = node(1, &plan(contacts), |config| {
        config.reroute_after = Duration::from_secs(1);
        config.route_slack = Duration::ZERO;
    });
    let length = rate * 20;
    // The link is up, and busy until 20.
    link_up(&mut node, 14, 2, Some(100), rate);
    for to in [4, 4, 5] {
        send(&mut node, 15, to, Priority::Normal, payload);
    }
    // Behind both others the third would be at node 1 of the plan at 75, and needs the contact to node 4 until 95, which ends at 90.
    assert_eq!([0, 1, 2, 3].map(|contact| taken(&node, contact)[1]), [2 * length, 2 * length, 2 * length, 0]);
    for now in 16..20 {
        input(&mut node, now, Input::Timeout);
        assert_eq!(taken(&node, 3), [0; 3]);
    }
    assert_eq!(leaves(&mut node, 20, 2).map(|(_, to)| to), Some(4));
    // The first is dequeued: at the next time that it is asked, the third has a route.
    input(&mut node, 21, Input::Timeout);
    assert_eq!([0, 3].map(|contact| taken(&node, contact)[1]), [2 * length, length]);
    assert_eq!([40, 60, 80].map(|now| leaves(&mut node, now, 2).map(|(_, to)| to)), [Some(4), Some(5), None]);
    // Nobody tells this node when what it sent takes the contacts further on.
    assert_eq!([0, 1, 2, 3].map(|contact| taken(&node, contact)[1]), [0, 2 * length, 2 * length, length]);
}

/// Two ways to node 4: over 2, and later over 3. Contact 4 is a later one with 2.
fn diamond() -> ContactPlan {
    plan([
        contact(1, 2, 10, 1000, 1000),
        contact(2, 4, 10, 5000, 1000),
        contact(1, 3, 2000, 3000, 1000),
        contact(3, 4, 2000, 5000, 1000),
        contact(1, 2, 4000, 5000, 1000),
    ])
}

#[test]
fn what_waits_for_a_lost_contact_goes_another_way_and_all_else_waits_on() {
    let mut node = node(1, &diamond(), |_| {});
    send(&mut node, 0, 4, Priority::Normal, 500);
    let bytes = taken(&node, 0)[1];
    let over = |node: &Node| [0, 1, 2, 3, 4].map(|contact| taken(node, contact)[1] / bytes);
    assert_eq!(over(&node), [1, 1, 0, 0, 0]);
    // The contact does not begin as planned.
    assert_eq!(node.poll_timeout(), Some(at(70)));
    input(&mut node, 70, Input::Timeout);
    assert_eq!(over(&node), [0, 0, 1, 1, 0]);
    // While it is lost, nothing is planned over it; for node 2 itself the later one is taken.
    send(&mut node, 71, 2, Priority::Normal, 500);
    assert_eq!(over(&node), [0, 0, 1, 1, 1]);
    // It works after all: what comes now takes it, what has another way keeps that.
    link_up(&mut node, 100, 2, Some(1000), 1000);
    send(&mut node, 100, 4, Priority::Normal, 500);
    assert_eq!(over(&node), [1, 1, 1, 1, 1]);
    // It breaks, with one bundle under way and one waiting.
    send(&mut node, 100, 4, Priority::Normal, 500);
    assert!(node.poll_bundle(at(101), LinkId(2)).is_some());
    link_down(&mut node, 102, 2);
    assert_eq!(over(&node), [0, 0, 3, 3, 1]);
}

#[test]
fn a_new_plan_moves_only_what_used_what_is_gone_unless_there_is_something_new() {
    let mut node = node(1, &diamond(), |_| {});
    for to in [4, 3, 2] {
        send(&mut node, 0, to, Priority::Normal, 500);
    }
    let bytes = taken(&node, 3)[1].max(taken(&node, 2)[1]);
    let over = |node: &Node| [0, 1, 2, 3, 4, 5].map(|contact| taken(node, contact)[1] / bytes);
    assert_eq!(over(&node), [2, 1, 1, 0, 0, 0]);
    let mut less = diamond();
    less.remove(ContactId(1)).expect("a contact");
    input(&mut node, 5, Input::ContactPlan(less.clone()));
    assert_eq!(over(&node), [1, 0, 2, 1, 0, 0]);
    let mut more = less.clone();
    more.add(contact(1, 4, 20, 40, 1000)).expect("a contact");
    input(&mut node, 6, Input::ContactPlan(more));
    assert_eq!(over(&node), [1, 0, 1, 0, 0, 1]);
    input(&mut node, 7, Input::ContactPlan(plan([contact(2, 3, 0, 9, 1)])));
    assert_eq!(over(&node), [0; 6]);
    input(&mut node, 8, Input::ContactPlan(diamond()));
    assert_eq!(over(&node), [2, 1, 1, 0, 0, 0]);
}

#[test]
fn a_critical_bundle_goes_over_every_neighbour_and_is_delivered_once() {
    // Nodes 1 to 3 are members; 2 and 3 lead from 1 to the other, and to each other.
    let everybody =
        plan([(1, 2), (1, 3), (2, 3), (3, 2)].map(|(from, to)| contact(from, to, 0, 9000, 100_000)));
    let [mut source, mut relay, mut sink] = [1, 2, 3].map(|id| node(id, &everybody, |_| {}));
    for peer in [2, 3] {
        link_up(&mut source, 1, peer, None, 100_000);
    }
    link_up(&mut relay, 1, 3, None, 100_000);
    let plain = offer(&source, 3, Priority::Normal, 50);
    input(&mut source, 1, Input::SendBundle(BundleSubmission { critical: true, ..plain }));
    let (_, direct) = source.poll_bundle(at(1), LinkId(3)).expect("over node 3");
    let (_, around) = source.poll_bundle(at(1), LinkId(2)).expect("over node 2");
    let marked = |wire: &[u8]| Bundle::decode(wire).expect("a bundle").block(SERVICE_BLOCK).is_some();
    assert!(marked(&direct) && marked(&around));
    // The relay sends it on once, however often it comes.
    let frame = |wire: &[u8]| [&[0x40], wire].concat();
    for _ in 0..2 {
        input(&mut relay, 2, Input::Frame { link: LinkId(9), bytes: &frame(&around) });
    }
    assert_eq!(relay.refusals().get("critical_seen"), Some(&1));
    let (_, onward) = relay.poll_bundle(at(2), LinkId(3)).expect("onward");
    assert_eq!((relay.poll_bundle(at(2), LinkId(3)), relay.stored()), (None, 1));
    let first = input(&mut sink, 3, Input::Frame { link: LinkId(9), bytes: &frame(&direct) });
    assert_eq!(first, [vec![1; 50]]);
    assert!(sink.handle_input(at(4), Input::Frame { link: LinkId(9), bytes: &frame(&onward) }).is_err());
    assert_eq!((drain(&mut sink, 4).len(), sink.refusals().get("duplicate_bundle")), (0, Some(&1)));
}

#[test]
fn a_bundle_never_goes_by_its_source_which_would_drop_it() {
    // From node 2 the ways to node 4 lead over node 1, at once and by node 5; later there is one over node 3.
    let by_source = [(2, 1), (2, 5), (5, 1)].map(|(from, to)| contact(from, to, 0, 9000, 100_000));
    let late = contact(1, 4, 1500, 2000, 100_000);
    let around = [contact(2, 3, 5000, 6000, 100_000), contact(3, 4, 5000, 6000, 100_000)];
    let first = plan(by_source.into_iter().chain([late]));
    let mut relay = node(2, &first, |_| {});
    for peer in [1, 5] {
        link_up(&mut relay, 1, peer, None, 100_000);
    }
    let mut source = node(1, &plan([contact(1, 2, 0, 10, 100_000), contact(2, 4, 0, 10, 100_000)]), |_| {});
    link_up(&mut source, 1, 2, None, 100_000);
    send(&mut source, 1, 4, Priority::Normal, 50);
    let (_, wire) = source.poll_bundle(at(1), LinkId(2)).expect("over node 2");
    input(&mut relay, 2, Input::Frame { link: LinkId(9), bytes: &[&[0x40], &wire[..]].concat() });
    assert_eq!([1, 5].map(|peer| leaves(&mut relay, 3, peer)), [None, None]);
    assert_eq!(relay.stored(), 1);
    input(&mut relay, 10, Input::ContactPlan(plan(by_source.into_iter().chain([late]).chain(around))));
    assert_eq!([1, 5].map(|peer| leaves(&mut relay, 11, peer)), [None, None]);
    link_up(&mut relay, 5000, 3, None, 100_000);
    assert_eq!(leaves(&mut relay, 5000, 3), Some((vec![1; 50], 4)));
}

#[derive(Clone, Debug)]
enum Step {
    Send { to: u64, priority: Priority, bytes: usize, lifetime: u64 },
    Wait { seconds: u64 },
    Up { peer: u64 },
    Down { peer: u64 },
    Poll { peer: u64, done: bool },
    Plan { without: u32 },
}

fn any_step() -> impl Strategy<Value = Step> {
    let priority = prop::sample::select(Priority::ALL.to_vec());
    let send = (2..6u64, priority, 0..400usize, 5..400u64)
        .prop_map(|(to, priority, bytes, lifetime)| Step::Send { to, priority, bytes, lifetime });
    prop_oneof![
        8 => send,
        3 => (0..40u64).prop_map(|seconds| Step::Wait { seconds }),
        2 => (2..4u64).prop_map(|peer| Step::Up { peer }),
        1 => (2..4u64).prop_map(|peer| Step::Down { peer }),
        4 => (2..4u64, any::<bool>()).prop_map(|(peer, done)| Step::Poll { peer, done }),
        1 => (0..12u32).prop_map(|without| Step::Plan { without }),
    ]
}

/// Node 1 sees 2 and 3, and these 4 and 5, in windows that carry a few bundles.
fn windows() -> Vec<PlannedContact> {
    let windows = |from, to, offset: u64| {
        (0..3).map(move |round| {
            let start = offset + 100 * round;
            contact(from, to, start, start + 40, 20)
        })
    };
    [(1, 2, 0), (1, 3, 30), (2, 4, 60), (3, 4, 50), (2, 5, 10)]
        .into_iter()
        .flat_map(|(from, to, offset)| windows(from, to, offset))
        .collect()
}

struct Flight {
    node: Node,
    plan: ContactPlan,
    now: u64,
    up: [bool; 2],
    sent: usize,
}

impl Flight {
    fn step(&mut self, step: &Step) {
        let now = self.now;
        match *step {
            Step::Send { to, priority, bytes, lifetime } => {
                let lifetime = Duration::from_secs(lifetime);
                let plain = offer(&self.node, to, priority, bytes);
                let submission = BundleSubmission { lifetime, ..plain };
                // A full store refuses, and that is fine.
                let _ = self.node.handle_input(at(now), Input::SendBundle(submission));
                drain(&mut self.node, now);
            }
            Step::Wait { seconds } => {
                for _ in 0..seconds {
                    self.now += 1;
                    input(&mut self.node, self.now, Input::Timeout);
                }
            }
            Step::Up { peer } => {
                link_up(&mut self.node, now, peer, None, 20);
                self.up[peer as usize - 2] = true;
            }
            Step::Down { peer } if self.up[peer as usize - 2] => {
                link_down(&mut self.node, now, peer);
                self.up[peer as usize - 2] = false;
            }
            Step::Down { .. } => {}
            Step::Poll { peer, done } => {
                let link = LinkId(peer as u32);
                let Some((transfer, _)) = self.node.poll_bundle(at(now), link) else { return };
                let told = if done {
                    self.sent += 1;
                    Input::Transmitted { link, transfer }
                } else {
                    Input::TransmissionFailed { link, transfer }
                };
                input(&mut self.node, now, told);
            }
            Step::Plan { without } => {
                if self.plan.remove(ContactId(without)).is_ok() {
                    input(&mut self.node, now, Input::ContactPlan(self.plan.clone()));
                }
            }
        }
    }

    /// Bookings are within the volumes: on this node's own contacts of all priorities together, for whoever makes way is moved; further on
    /// of what goes before all else.
    fn check(&self) -> Result<(), TestCaseError> {
        for (id, contact) in self.plan.iter() {
            let level = if contact.from == NodeId(1) { Priority::Bulk } else { Priority::Expedited };
            let booked = self.node.volumes().booked(id, level);
            prop_assert!(booked <= whole_volume(contact), "{booked} of {id:?} at {}", self.now);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn bookings_never_exceed_volumes_and_all_come_back(steps in prop::collection::vec(any_step(), 1..60)) {
        let plan = plan(windows());
        let node = node(1, &plan, |config| {
            config.reroute_after = Duration::from_secs(5);
            config.route_slack = Duration::from_secs(10);
            config.store.bytes = 4000;
        });
        let mut flight = Flight { node, plan, now: 0, up: [false; 2], sent: 0 };
        for step in &steps {
            flight.step(step);
            flight.check()?;
        }
        for peer in [2, 3] {
            flight.step(&Step::Down { peer });
        }
        // All that is left expires.
        flight.step(&Step::Wait { seconds: 401 });
        prop_assert_eq!(flight.node.stored(), 0);
        for (id, contact) in flight.plan.iter() {
            let booked = flight.node.volumes().booked(id, Priority::Bulk);
            prop_assert!(booked == 0 || contact.from != NodeId(1), "{} of {:?}", booked, id);
        }
        prop_assert!(flight.sent > 0 || flight.node.volumes().is_empty());
    }
}
