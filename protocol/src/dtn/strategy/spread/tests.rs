//! What neighbours give each other, without a node around.

use super::*;
use crate::{
    bundle::CreationTimestamp,
    dtn::strategy::{FloodingConfig, Role, Summary},
    time::DtnTime,
};
use core::time::Duration;
use proptest::{
    prelude::{any, prop},
    prop_assert, proptest,
};

const NONE: [u64; 0] = [];
const NOW: Instant = Instant::ZERO;
const ME: NodeId = NodeId(1);
const PEER: NodeId = NodeId(2);
const OTHER: NodeId = NodeId(3);
const FAR: NodeId = NodeId(9);

fn name(source: u64, sequence: u64) -> BundleId {
    let creation = CreationTimestamp { time: DtnTime(1), sequence };
    BundleId { source: NodeId(source).endpoint(1), creation, fragment: None }
}

fn carried(sequence: u64, destination: NodeId) -> Carried {
    Carried::new(name(1, sequence), destination, Priority::Normal, Instant::MAX)
}

fn spread(config: RoutingConfig) -> Spread {
    Spread::new(ME, &config, [7; 32]).expect("a strategy of copies")
}

fn epidemic() -> Spread {
    spread(RoutingConfig::Epidemic(SpreadSettings::default()))
}

fn held(spread: &mut Spread, bundles: impl IntoIterator<Item = (u64, NodeId)>) {
    for (number, destination) in bundles {
        spread.insert(NOW, StoreKey(number), carried(number, destination));
    }
}

/// Tells `spread` that `peer` has these of node 1's bundles, and that this is all.
fn tell(spread: &mut Spread, peer: NodeId, has: &[u64]) {
    let has = has.iter().map(|sequence| name(1, *sequence)).collect();
    let summary = Summary { first: true, last: true, has, ..Summary::default() };
    spread.on_summary(NOW, peer, &summary.encode()).expect("a summary");
}

fn selected(spread: &mut Spread, peer: NodeId) -> Vec<u64> {
    core::iter::from_fn(|| spread.select(peer, |_| true)).map(|key| key.0).collect()
}

fn told(spread: &mut Spread, peer: NodeId) -> Option<Summary> {
    Some(Summary::decode(&spread.next_summary(NOW, peer)?).expect("our own"))
}

#[test]
fn a_neighbour_gets_what_its_summary_lacks_and_only_then() {
    let mut spread = epidemic();
    held(&mut spread, (0..5).map(|number| (number, FAR)));
    spread.link_up(NOW, PEER);
    assert_eq!(selected(&mut spread, PEER), NONE, "its summary is not in");
    tell(&mut spread, PEER, &[1, 3, 77]);
    assert_eq!(selected(&mut spread, PEER), [0, 2, 4]);
    assert_eq!(spread.next_deadline(), None, "nothing is waited for");
}

#[test]
fn a_summary_that_begins_anew_too_soon_only_adds_names() {
    let mut spread = epidemic();
    held(&mut spread, (0..3).map(|number| (number, FAR)));
    spread.link_up(NOW, PEER);
    tell(&mut spread, PEER, &[0]);
    tell(&mut spread, PEER, &[1]);
    assert_eq!(selected(&mut spread, PEER), [2], "nothing is forgotten, nothing planned again");
    let later = NOW.saturating_add(SpreadSettings::default().patience);
    let empty = Summary { first: true, last: true, ..Summary::default() };
    assert_eq!(spread.on_summary(later, PEER, &empty.encode()), Ok(()));
    assert_eq!(selected(&mut spread, PEER), [0, 1, 2]);
}

#[test]
fn after_some_patience_a_silent_neighbour_is_offered_everything() {
    let mut spread = epidemic();
    held(&mut spread, [(0, FAR)]);
    spread.link_up(NOW, PEER);
    let due = spread.next_deadline().expect("it waits");
    assert_eq!(due, NOW.saturating_add(SpreadSettings::default().patience));
    spread.on_deadline(due);
    assert_eq!(selected(&mut spread, PEER), [0]);
}

#[test]
fn what_is_destined_to_the_neighbour_goes_first_then_the_urgent_then_the_older() {
    let mut spread = epidemic();
    spread.link_up(NOW, PEER);
    tell(&mut spread, PEER, &[]);
    held(&mut spread, [(0, FAR), (1, FAR), (2, PEER), (3, PEER)]);
    let urgent = Carried { priority: Priority::Expedited, ..carried(4, FAR) };
    spread.insert(NOW, StoreKey(4), urgent);
    assert_eq!(selected(&mut spread, PEER), [2, 3, 4, 0, 1]);
    // The same list made at once.
    let mut other = epidemic();
    held(&mut other, [(0, FAR), (1, FAR), (2, PEER), (3, PEER)]);
    other.insert(NOW, StoreKey(4), Carried { priority: Priority::Expedited, ..carried(4, FAR) });
    other.link_up(NOW, PEER);
    tell(&mut other, PEER, &[]);
    assert_eq!(selected(&mut other, PEER), [2, 3, 4, 0, 1]);
}

#[test]
fn a_random_order_is_another_at_each_meeting_and_the_same_for_a_seed() {
    let order = |meetings: usize| {
        let settings = SpreadSettings { order: SendOrder::Random, ..SpreadSettings::default() };
        let mut spread = spread(RoutingConfig::Epidemic(settings));
        held(&mut spread, (0..10).map(|number| (number, FAR)));
        let mut last = Vec::new();
        for _ in 0..meetings {
            spread.link_up(NOW, PEER);
            tell(&mut spread, PEER, &[]);
            last = selected(&mut spread, PEER);
            spread.link_down(PEER);
        }
        last
    };
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
    let mut sorted = order(2);
    sorted.sort_unstable();
    assert_eq!(sorted, (0..10).collect::<Vec<_>>());
}

#[test]
fn what_does_not_fit_is_passed_over_and_kept() {
    let mut spread = epidemic();
    held(&mut spread, (0..4).map(|number| (number, FAR)));
    spread.link_up(NOW, PEER);
    tell(&mut spread, PEER, &[]);
    assert_eq!(spread.select(PEER, |key| key.0 == 2), Some(StoreKey(2)));
    assert_eq!(spread.select(PEER, |key| key.0 > 3), None);
    assert_eq!(selected(&mut spread, PEER), [0, 1, 3]);
}

#[test]
fn what_was_sent_is_not_offered_again_and_what_failed_is() {
    let mut spread = epidemic();
    held(&mut spread, [(0, FAR), (1, FAR)]);
    spread.link_up(NOW, PEER);
    tell(&mut spread, PEER, &[]);
    for (number, fails) in [(0, false), (1, true), (1, false)] {
        let key = spread.select(PEER, |_| true).expect("one is left");
        assert_eq!(key.0, number);
        let gives = spread.begin(key);
        assert!(spread.is_sending(key));
        if fails {
            spread.failed(PEER, key, gives);
        } else {
            assert_eq!(spread.sent(PEER, key), Fate::Stays);
        }
        assert!(!spread.is_sending(key));
    }
    assert_eq!(selected(&mut spread, PEER), NONE);
    assert_eq!(spread.carried(StoreKey(0)).map(|carried| carried.given), Some(1));
}

#[test]
fn a_bundle_does_not_go_back_to_its_source_nor_beyond_its_hops() {
    let mut spread = epidemic();
    spread.link_up(NOW, PEER);
    tell(&mut spread, PEER, &[]);
    let own = Carried { id: name(PEER.0, 0), from: Some(OTHER), ..carried(0, FAR) };
    spread.insert(NOW, StoreKey(0), own);
    spread.insert(NOW, StoreKey(1), Carried { hops_left: 1, from: Some(OTHER), ..carried(1, FAR) });
    spread.insert(NOW, StoreKey(2), Carried { hops_left: 1, from: Some(OTHER), ..carried(2, PEER) });
    assert_eq!(selected(&mut spread, PEER), [2]);
}

#[test]
fn neighbours_are_told_of_what_comes_in_while_they_are_linked() {
    let mut spread = epidemic();
    held(&mut spread, [(0, FAR)]);
    for peer in [PEER, OTHER] {
        spread.link_up(NOW, peer);
        let summary = told(&mut spread, peer).expect("a summary");
        assert_eq!((summary.first, summary.last, summary.has.len()), (true, true, 1));
        tell(&mut spread, peer, &[]);
    }
    assert_eq!(told(&mut spread, PEER), None, "it knows all");
    spread.insert(NOW, StoreKey(1), Carried { from: Some(OTHER), ..carried(1, FAR) });
    assert_eq!(told(&mut spread, OTHER), None, "it has it");
    let news = told(&mut spread, PEER).expect("news");
    assert_eq!((news.first, news.has), (false, alloc::vec![name(1, 1)]));
    held(&mut spread, [(2, FAR)]);
    assert_eq!(told(&mut spread, PEER), None, "what was made here it gets from nobody else first");
    spread.on_delivered(NOW, name(4, 4), Instant::MAX, Some(PEER));
    assert_eq!(told(&mut spread, PEER), None);
    assert_eq!(told(&mut spread, OTHER).map(|news| news.has), Some(alloc::vec![name(4, 4)]));
}

#[test]
fn a_long_summary_goes_in_parts_of_bounded_size() {
    let settings = SpreadSettings { names_per_message: 2, ..SpreadSettings::default() };
    let mut spread = spread(RoutingConfig::Epidemic(settings));
    held(&mut spread, (0..4).map(|number| (number, FAR)));
    spread.on_delivered(NOW, name(1, 10), Instant::MAX, None);
    spread.link_up(NOW, PEER);
    let parts: Vec<Summary> = core::iter::from_fn(|| told(&mut spread, PEER)).collect();
    let shape: Vec<_> = parts.iter().map(|part| (part.first, part.last, part.has.len())).collect();
    assert_eq!(shape, [(true, false, 2), (false, false, 2), (false, true, 1)]);
    let names: Vec<_> = parts.into_iter().flat_map(|part| part.has).collect();
    assert_eq!(names, [0, 1, 2, 3, 10].map(|sequence| name(1, sequence)));
}

#[test]
fn the_parts_of_a_long_summary_are_put_together() {
    let mut spread = epidemic();
    held(&mut spread, (0..5).map(|number| (number, FAR)));
    spread.link_up(NOW, PEER);
    for (first, last, has) in [(true, false, [0, 1]), (false, true, [2, 4])] {
        assert_eq!(selected(&mut spread, PEER), NONE);
        let has = has.iter().map(|sequence| name(1, *sequence)).collect();
        let part = Summary { first, last, has, ..Summary::default() };
        assert_eq!(spread.on_summary(NOW, PEER, &part.encode()), Ok(()));
    }
    assert_eq!(selected(&mut spread, PEER), [3]);
}

#[test]
fn a_bundle_given_to_its_destination_is_kept_only_on_demand() {
    for (delete_delivered, fate) in [(true, Fate::Done), (false, Fate::Stays)] {
        let settings = SpreadSettings { delete_delivered, ..SpreadSettings::default() };
        let mut spread = spread(RoutingConfig::DirectDelivery(settings));
        held(&mut spread, [(0, PEER), (1, FAR)]);
        spread.link_up(NOW, PEER);
        let key = spread.select(PEER, |_| true).expect("it is for the peer");
        spread.begin(key);
        assert_eq!(spread.sent(PEER, key), fate);
        assert_eq!(selected(&mut spread, PEER), NONE, "the other waits for its own destination");
    }
}

#[test]
fn what_its_destination_says_it_has_is_purged_and_told_on_and_what_others_say_is_not() {
    for (destination, purge_delivered, expected) in
        [(PEER, true, Some(StoreKey(0))), (PEER, false, None), (FAR, true, None)]
    {
        let settings = SpreadSettings { purge_delivered, ..SpreadSettings::default() };
        let mut spread = spread(RoutingConfig::Epidemic(settings));
        held(&mut spread, [(0, destination)]);
        spread.link_up(NOW, PEER);
        spread.link_up(NOW, OTHER);
        told(&mut spread, OTHER);
        let delivered = alloc::vec![name(1, 0), name(1, 50)];
        let summary = Summary { first: true, last: true, delivered, ..Summary::default() };
        assert_eq!(spread.on_summary(NOW, PEER, &summary.encode()), Ok(()));
        assert_eq!(spread.take_done(), expected);
        assert_eq!(selected(&mut spread, PEER), NONE, "whoever says so gets no copy");
        if expected.is_none() && purge_delivered {
            assert!(told(&mut spread, OTHER).is_none(), "hearsay is not told on");
        }
        if expected.is_some() {
            spread.remove(StoreKey(0));
            assert!(spread.knows(&name(1, 0)), "it does not come back");
            let news = told(&mut spread, OTHER).expect("news");
            assert_eq!(news.delivered, [name(1, 0)], "of what is not held nothing is known");
        }
    }
}

#[test]
fn memory_stays_bounded_under_a_flood_of_summaries() {
    let settings =
        SpreadSettings { max_names: 100, max_strangers: 4, max_remembered: 10, ..SpreadSettings::default() };
    let mut spread = spread(RoutingConfig::Epidemic(settings));
    spread.link_up(NOW, PEER);
    for round in 0..50 {
        for peer in 2..30 {
            let has = (0..60).map(|n| name(5, round * 1000 + n)).collect();
            let summary = Summary { first: round % 7 == 0, last: round % 3 == 0, has, ..Summary::default() };
            let result = spread.on_summary(NOW, NodeId(peer), &summary.encode());
            match result {
                Ok(()) => assert!(peer <= 6),
                Err(error) => assert_eq!(error.reason(), "summary_stranger"),
            }
        }
        spread.on_delivered(NOW, name(6, round), Instant::MAX, None);
    }
    let (neighbours, names, gone) = spread.remembered();
    assert_eq!((neighbours, gone), (5, 10));
    assert!(names <= 500, "{names}");
}

#[test]
fn copies_on_their_way_to_two_neighbours_are_not_given_twice() {
    let settings = SpreadSettings::default();
    let mut spread = spread(RoutingConfig::SprayAndWait { copies: 10, binary: true, settings });
    let copies = spread.initial_copies();
    spread.insert(NOW, StoreKey(0), Carried { copies, ..carried(0, FAR) });
    for peer in [PEER, OTHER] {
        spread.link_up(NOW, peer);
        tell(&mut spread, peer, &[]);
        assert_eq!(spread.select(peer, |_| true), Some(StoreKey(0)));
    }
    assert_eq!((spread.begin(StoreKey(0)), spread.begin(StoreKey(0))), (5, 3));
    assert_eq!(spread.carried(StoreKey(0)).map(|carried| carried.copies), Some(2));
    spread.failed(PEER, StoreKey(0), 5);
    assert_eq!(spread.carried(StoreKey(0)).map(|carried| carried.copies), Some(7));
}

fn flooding(role: Role) -> Spread {
    let config = FloodingConfig { role, ..FloodingConfig::default() };
    let settings = SpreadSettings::default();
    let mut spread = spread(RoutingConfig::ManagedFlooding { config, settings });
    for peer in [PEER, OTHER, NodeId(4)] {
        spread.link_up(NOW, peer);
    }
    spread
}

fn passed_on() -> Carried {
    Carried { from: Some(PEER), hops_left: 3, ..carried(0, FAR) }
}

#[test]
fn a_flooded_bundle_goes_once_to_all_others_after_its_delay() {
    let mut spread = flooding(Role::Client);
    spread.insert(NOW, StoreKey(0), passed_on());
    assert_eq!(selected(&mut spread, OTHER), NONE, "its turn has not come");
    let due = spread.next_deadline().expect("a delay");
    assert!(due >= NOW.saturating_add(FloodingConfig::default().slot * 16));
    spread.on_deadline(due);
    assert_eq!(selected(&mut spread, PEER), NONE, "it came from there");
    for (peer, done) in [(OTHER, None), (NodeId(4), Some(StoreKey(0)))] {
        assert_eq!(spread.select(peer, |_| true), Some(StoreKey(0)));
        spread.begin(StoreKey(0));
        spread.sent(peer, StoreKey(0));
        assert_eq!(spread.take_done(), done);
    }
    spread.remove(StoreKey(0));
    assert!(spread.knows(&name(1, 0)), "heard once is heard for all");
}

#[test]
fn a_client_that_hears_another_send_keeps_quiet_and_a_router_does_not() {
    for (role, suppressed) in [(Role::Client, true), (Role::Router, false), (Role::RouterLate, false)] {
        let mut spread = flooding(role);
        spread.insert(NOW, StoreKey(0), passed_on());
        let due = spread.next_deadline();
        spread.on_duplicate(NOW, &name(1, 0), Some(PEER));
        assert_eq!(spread.take_done(), None, "the one that it came from does not count");
        spread.on_duplicate(NOW, &name(1, 0), Some(OTHER));
        assert_eq!(spread.take_done().is_some(), suppressed, "{role:?}");
        let later = spread.next_deadline() > due;
        assert_eq!(later, role == Role::RouterLate);
    }
}

fn on_a_channel() -> Spread {
    let config = FloodingConfig { shared: true, ..FloodingConfig::default() };
    let settings = SpreadSettings::default();
    let mut spread = spread(RoutingConfig::ManagedFlooding { config, settings });
    for peer in [PEER, OTHER, NodeId(4)] {
        spread.link_up(NOW, peer);
    }
    spread
}

#[test]
fn on_a_channel_a_bundle_leaves_once_and_to_its_destination_where_that_is_near() {
    let mut spread = on_a_channel();
    spread.insert(NOW, StoreKey(0), passed_on());
    let due = spread.next_deadline().expect("a delay");
    spread.on_deadline(due);
    assert_eq!(spread.select(OTHER, |_| true), Some(StoreKey(0)));
    assert_eq!(selected(&mut spread, NodeId(4)), NONE, "it hears what goes to another");
    spread.begin(StoreKey(0));
    spread.sent(OTHER, StoreKey(0));
    assert_eq!(spread.take_done(), Some(StoreKey(0)));
    spread.insert(NOW, StoreKey(1), carried(1, NodeId(4)));
    assert_eq!(selected(&mut spread, OTHER), NONE);
    assert_eq!(selected(&mut spread, NodeId(4)), [1]);
}

#[test]
fn on_a_channel_a_client_keeps_quiet_even_when_its_turn_has_come() {
    let mut spread = on_a_channel();
    spread.insert(NOW, StoreKey(0), passed_on());
    let due = spread.next_deadline().expect("a delay");
    spread.on_deadline(due);
    spread.on_duplicate(due, &name(1, 0), Some(NodeId(4)));
    assert_eq!(spread.take_done(), Some(StoreKey(0)));
    spread.remove(StoreKey(0));
    assert_eq!(selected(&mut spread, OTHER), NONE);
    // One of its own it sends in any case.
    spread.insert(NOW, StoreKey(1), carried(1, FAR));
    spread.on_duplicate(due, &name(1, 1), Some(NodeId(4)));
    assert_eq!(spread.take_done(), None);
    // And what is on its way it cannot take back.
    spread.insert(NOW, StoreKey(2), Carried { id: name(1, 2), ..passed_on() });
    spread.on_deadline(spread.next_deadline().expect("a delay"));
    let sent = [PEER, OTHER, NodeId(4)].map(|peer| selected(&mut spread, peer)).concat();
    assert_eq!(sent, [1, 2]);
    spread.begin(StoreKey(2));
    spread.on_duplicate(due, &name(1, 2), Some(NodeId(4)));
    assert_eq!(spread.take_done(), None);
}

#[test]
fn who_hears_a_bundle_weakly_sends_it_on_sooner() {
    let latest = |snr_db| {
        let delays = (0..200).map(|sequence| {
            let mut spread = on_a_channel();
            // Another draw each time.
            for _ in 0..sequence {
                spread.on_duplicate(NOW, &name(1, 0), None);
                spread.link_up(NOW, NodeId(100 + sequence));
            }
            spread.on_signal(PEER, snr_db);
            spread.insert(NOW, StoreKey(0), passed_on());
            spread.next_deadline().expect("a delay").saturating_since(NOW)
        });
        delays.max().expect("some")
    };
    let slot = FloodingConfig::default().slot;
    assert!(latest(-20) < slot * (16 + 8));
    assert!(latest(10) > slot * (16 + 8));
}

#[test]
fn a_mute_client_sends_only_its_own_and_waits_for_somebody_to_hear_it() {
    let config = FloodingConfig { role: Role::ClientMute, ..FloodingConfig::default() };
    let settings = SpreadSettings::default();
    let mut spread = spread(RoutingConfig::ManagedFlooding { config, settings });
    spread.insert(NOW, StoreKey(0), passed_on());
    assert_eq!(spread.take_done(), Some(StoreKey(0)));
    spread.remove(StoreKey(0));
    spread.insert(NOW, StoreKey(1), carried(1, FAR));
    assert_eq!(spread.take_done(), None);
    spread.link_up(NOW, PEER);
    assert_eq!(spread.select(PEER, |_| true), Some(StoreKey(1)));
    spread.link_down(PEER);
    assert_eq!(spread.take_done(), None, "nobody got it");
    spread.begin(StoreKey(1));
    spread.failed(PEER, StoreKey(1), 0);
    spread.link_up(NOW, OTHER);
    assert_eq!(spread.select(OTHER, |_| true), Some(StoreKey(1)));
}

#[test]
fn without_hops_left_nothing_is_flooded_on() {
    let mut spread = flooding(Role::Router);
    spread.insert(NOW, StoreKey(0), Carried { hops_left: 0, ..passed_on() });
    assert_eq!((spread.take_done(), spread.next_deadline()), (Some(StoreKey(0)), None));
}

/// Nodes 1 to n meet in pairs, give each other copies of bundle 0, lose some on the way.
fn copies_after(meetings: &[(usize, usize, bool)], binary: bool, copies: u32) -> u32 {
    let settings = SpreadSettings { patience: Duration::ZERO, ..SpreadSettings::default() };
    let config = RoutingConfig::SprayAndWait { copies, binary, settings };
    let mut nodes: Vec<Spread> =
        (1..=6).map(|node| Spread::new(NodeId(node), &config, [0; 32]).expect("copies")).collect();
    nodes[0].insert(NOW, StoreKey(0), Carried { copies, ..carried(0, FAR) });
    for &(from, to, lost) in meetings {
        let (sender, receiver) = (NodeId(from as u64 + 1), NodeId(to as u64 + 1));
        let held = nodes[to].carried(StoreKey(0)).is_some();
        nodes[from].link_up(NOW, receiver);
        tell(&mut nodes[from], receiver, if held { &[0] } else { &[] });
        if let Some(key) = nodes[from].select(receiver, |_| true) {
            let gives = nodes[from].begin(key);
            nodes[from].sent(receiver, key);
            if !lost {
                let given = Carried { copies: gives.max(1), from: Some(sender), ..carried(0, FAR) };
                nodes[to].insert(NOW, key, given);
            }
        }
        nodes[from].link_down(receiver);
    }
    nodes.iter().filter_map(|node| node.carried(StoreKey(0))).map(|carried| carried.copies).sum()
}

proptest! {
    #[test]
    fn sprayed_copies_never_exceed_their_number(
        meetings in prop::collection::vec((0_usize..6, 0_usize..6, any::<bool>()), 0..60),
        binary in any::<bool>(),
        copies in 1_u32..40,
    ) {
        let meetings: Vec<_> = meetings.into_iter().filter(|(from, to, _)| from != to).collect();
        let found = copies_after(&meetings, binary, copies);
        prop_assert!(found <= copies);
        let none_lost = meetings.iter().all(|(_, _, lost)| !lost);
        prop_assert!(!none_lost || found == copies);
    }
}
