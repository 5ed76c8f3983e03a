//! Routes over contact plans of A-SABR, ION and HDTN against the answers that those projects give
//! (sources: `tests/data/contact-plans/README.md`).

use std::collections::BTreeMap;
use std::time::Duration;

use cosmosmesh_protocol::{
    dtn::{
        contact_plan::{ContactPlan, PlannedContact},
        routing::{Route, RouteQuery, RouteScratch, Router, earliest_arrival, k_routes},
        store::Priority,
    },
    id::NodeId,
    time::Instant,
};

fn seconds(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * 1_000_000_000)
}

fn numbers(words: &[&str]) -> Vec<u64> {
    words.iter().map(|word| word.trim_start_matches('+').parse().expect("a whole number")).collect()
}

fn contact(from: u64, to: u64, start: u64, end: u64, rate_bps: u64, owlt: u64) -> PlannedContact {
    let (from, to, start, end) = (NodeId(from), NodeId(to), seconds(start), seconds(end));
    PlannedContact { from, to, start, end, rate_bps, owlt: Duration::from_secs(owlt) }
}

/// `contact from to start end [manager] rate delay`; a bundle's size is in the units of the rate, here bytes.
fn asabr(text: &str) -> ContactPlan {
    let contacts = text.lines().filter_map(|line| line.strip_prefix("contact ")).map(|line| {
        let words: Vec<&str> =
            line.split_whitespace().filter(|word| !matches!(*word, "eto" | "evl" | "qd")).collect();
        let n = numbers(&words);
        contact(n[0], n[1], n[2], n[3], n[4] * 8, n[5])
    });
    ContactPlan::from_contacts(contacts).unwrap()
}

/// The plan of ten nodes has windows that end before they start, which nothing can use and a plan refuses.
fn hdtn(text: &str) -> ContactPlan {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let contacts = lines.map(|line| numbers(&line.split_whitespace().collect::<Vec<_>>()));
    let contacts = contacts.filter(|n| n[2] < n[3]);
    ContactPlan::from_contacts(contacts.map(|n| contact(n[0], n[1], n[2], n[3], n[4], n[5]))).unwrap()
}

/// As `ionadmin` reads it: `@ +n` moves the reference time on from where it was.
fn ion(text: &str) -> ContactPlan {
    ion_with(text, 1)
}

/// ION's loopback contacts say that a node can deliver to itself; a plan needs none.
fn ion_with(text: &str, shift: u64) -> ContactPlan {
    let mut reference = 0;
    let mut ranges = BTreeMap::new();
    let mut contacts = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["@", by] => reference += shift * numbers(&[by])[0],
            ["a", "range", rest @ ..] => {
                let n = numbers(rest);
                ranges.insert((n[2], n[3]), n[4]);
            }
            ["a", "contact", rest @ ..] => {
                let n = numbers(rest);
                contacts.push((n[2], n[3], reference + n[0], reference + n[1], n[4] * 8));
            }
            _ => {}
        }
    }
    let planned = contacts.into_iter().filter(|c| c.0 != c.1).map(|(from, to, start, end, rate)| {
        let owlt = ranges.get(&(from, to)).or_else(|| ranges.get(&(to, from)));
        contact(from, to, start, end, rate, *owlt.expect("a range for every contact"))
    });
    ContactPlan::from_contacts(planned).unwrap()
}

fn route(plan: &ContactPlan, from: u64, to: u64, now: u64, bytes: u64) -> Option<Route> {
    let query = RouteQuery::new(NodeId(from), NodeId(to), seconds(now), bytes);
    earliest_arrival(plan, &query, &mut RouteScratch::default())
}

fn contacts(route: &Route) -> Vec<u32> {
    route.hops.iter().map(|id| id.0).collect()
}

#[test]
fn a_later_arrival_at_an_inner_node_saves_a_hop_as_in_asabr_plan_1() {
    let plan = asabr(include_str!("data/contact-plans/asabr/dijkstra_accuracy_1.cp"));
    let found = route(&plan, 0, 3, 0, 0).unwrap();
    assert_eq!((found.arrival, contacts(&found)), (seconds(30), vec![1, 3]));
}

#[test]
fn a_later_arrival_before_the_last_hop_saves_a_hop_as_in_asabr_plan_2() {
    let plan = asabr(include_str!("data/contact-plans/asabr/dijkstra_accuracy_2.cp"));
    let found = route(&plan, 0, 4, 0, 0).unwrap();
    assert_eq!((found.arrival, contacts(&found)), (seconds(50), vec![1, 3, 4]));
}

#[test]
fn a_router_saves_the_same_hops() {
    for (text, to, expected) in [
        (include_str!("data/contact-plans/asabr/dijkstra_accuracy_1.cp"), 3, vec![1, 3]),
        (include_str!("data/contact-plans/asabr/dijkstra_accuracy_2.cp"), 4, vec![1, 3, 4]),
    ] {
        let plan = asabr(text);
        let query = RouteQuery::new(NodeId(0), NodeId(to), seconds(0), 0);
        let found = Router::new(Duration::ZERO, 1).route(&plan, &query, Priority::Normal).unwrap();
        assert_eq!(contacts(&found), expected);
    }
}

#[test]
fn a_queue_makes_a_contact_unreachable_until_it_drains_as_in_asabr_eto() {
    let plan = asabr(include_str!("data/contact-plans/asabr/eto_management_1.cp"));
    let third_bundle = |waiting: u64| {
        let backlog = move |_| waiting;
        let base = RouteQuery::new(NodeId(0), NodeId(4), seconds(15), 20);
        let query = RouteQuery { backlog: &backlog, ..base };
        earliest_arrival(&plan, &query, &mut RouteScratch::default())
    };
    // Behind both earlier bundles it would reach node 1 at 75 and need 1→4 until 95, which closes at 90.
    assert_eq!(third_bundle(40), None);
    let after_one_left = third_bundle(20).unwrap();
    assert_eq!((after_one_left.arrival, contacts(&after_one_left)), (seconds(75), vec![0, 3]));
}

#[test]
fn hdtn_plans_give_the_contacts_of_hdtn() {
    let diamond = hdtn(include_str!("data/contact-plans/hdtn/diamond.txt"));
    let found = route(&diamond, 1, 4, 0, 0).unwrap();
    assert_eq!((found.neighbour, contacts(&found), found.arrival), (NodeId(2), vec![1, 2], seconds(12)));
    assert_eq!(route(&diamond, 4, 1, 0, 0), None);

    let tutorial = hdtn(include_str!("data/contact-plans/hdtn/tutorial.txt"));
    let found = route(&tutorial, 1, 5, 0, 0).unwrap();
    assert_eq!((found.neighbour, contacts(&found), found.arrival), (NodeId(3), vec![4, 6, 10], seconds(3)));

    let ten_nodes = hdtn(include_str!("data/contact-plans/hdtn/ten_nodes.txt"));
    let found = route(&ten_nodes, 20, 40, 0, 0).unwrap();
    assert_eq!((found.neighbour, found.arrival), (NodeId(3686), seconds(2)));
}

fn nodes(plan: &ContactPlan, route: &Route) -> Vec<u64> {
    route.hops.iter().map(|id| plan.get(*id).unwrap().to.0).collect()
}

#[test]
fn the_mars_relay_plan_of_ion_takes_pure_light_time_when_the_reference_does_not_move() {
    let plan = ion_with(include_str!("data/contact-plans/ion/cgr-test.global.ionrc"), 0);
    assert_eq!(plan.len(), 678);
    let found = route(&plan, 9, 1, 0, 0).unwrap();
    // 20 s to an orbiter, 324 s to Earth, 1 s to the control centre: the answer that comes with the plan, 9-5-2-1 at 345 s.
    assert_eq!((found.hops.len(), found.arrival), (3, seconds(345)));
    assert_eq!(found.arrival, earliest_by_relaxation(&plan, 9, 1));
    // As early over orbiter 7, whose pass of 300 s outlasts the 120 s of orbiter 5: later is better (CCSDS 734.3-B-1 §3.2.8.1.4).
    assert_eq!((nodes(&plan, &found), found.end), (vec![7, 2, 1], seconds(300)));
    let back = RouteQuery {
        excluded_neighbours: &[NodeId(7)],
        ..RouteQuery::new(NodeId(9), NodeId(1), seconds(0), 0)
    };
    let other = earliest_arrival(&plan, &back, &mut RouteScratch::default()).unwrap();
    assert_eq!((nodes(&plan, &other), other.arrival), (vec![5, 2, 1], seconds(345)));
}

#[test]
fn the_mars_relay_plan_of_ion_waits_for_the_orbiters_when_the_reference_moves_as_ionadmin_moves_it() {
    let plan = ion(include_str!("data/contact-plans/ion/cgr-test.global.ionrc"));
    let found = route(&plan, 9, 1, 0, 0).unwrap();
    // The moves add up: every orbiter first sees Earth at 3600 s, then 324 s and 1 s of light time.
    // Over orbiter 5 the route ends at 1320 s with the rover's second pass, over orbiter 7 at 2700 s: later is better.
    assert_eq!(nodes(&plan, &found), [7, 4, 1]);
    assert_eq!((found.arrival, found.end), (seconds(3_925), seconds(2_700)));
    assert_eq!(found.arrival, earliest_by_relaxation(&plan, 9, 1));
}

#[test]
fn the_tutorial_of_hdtn_has_exactly_seven_routes() {
    let plan = hdtn(include_str!("data/contact-plans/hdtn/tutorial.txt"));
    let query = RouteQuery::new(NodeId(1), NodeId(5), seconds(0), 0);
    let routes = k_routes(&plan, &query, 100, &mut RouteScratch::default());
    let neighbours: Vec<u64> = routes.iter().map(|route| route.neighbour.0).collect();
    assert_eq!(neighbours, [3, 2, 5, 3, 2, 3, 2]);
    let arrivals: Vec<Instant> = routes.iter().map(|route| route.arrival).collect();
    assert_eq!(arrivals, [3, 4, 11, 31, 31, 51, 51].map(seconds));
}

#[test]
fn bundles_behind_each_other_arrive_as_in_asabr_eto() {
    let plan = asabr(include_str!("data/contact-plans/asabr/eto_management_1.cp"));
    let mut router = Router::new(Duration::ZERO, 8).with_queue_delay();
    let send = |to: u64, waiting: u64, router: &mut Router| {
        let backlog = move |_| waiting;
        let base = RouteQuery::new(NodeId(0), NodeId(to), seconds(15), 20);
        let query = RouteQuery { backlog: &backlog, ..base };
        let route = router.route(&plan, &query, Priority::Normal)?;
        assert_eq!(router.book(&plan, &route.hops, 20, Priority::Normal, seconds(15)), 0);
        Some((route.arrival, contacts(&route)))
    };
    assert_eq!(send(3, 0, &mut router), Some((seconds(220), vec![0, 1, 2])));
    // On its last contact the second one goes behind the first.
    assert_eq!(send(3, 20, &mut router), Some((seconds(240), vec![0, 1, 2])));
    assert_eq!(send(4, 40, &mut router), None);
    // The first one has left the queue.
    assert_eq!(send(4, 20, &mut router), Some((seconds(75), vec![0, 3])));
}

#[test]
fn the_diamond_of_ion_changes_sides_with_its_windows() {
    let plan = ion(include_str!("data/contact-plans/ion/bug-0002-cgr-recompute.global.ionrc"));
    let side = |now| route(&plan, 1, 4, now, 100).unwrap().neighbour.0;
    assert_eq!([2, 35, 65, 95, 125].map(side), [3, 2, 3, 2, 3]);
}

#[test]
fn the_diamond_of_ion_is_routed_anew_when_a_contact_ends_and_only_then() {
    let plan = ion(include_str!("data/contact-plans/ion/bug-0002-cgr-recompute.global.ionrc"));
    let mut router = Router::new(Duration::from_secs(30), 8);
    let (mut sides, mut changes) = (Vec::new(), Vec::new());
    for now in 2..160 {
        let query = RouteQuery::new(NodeId(1), NodeId(4), seconds(now), 100);
        let side = router.route(&plan, &query, Priority::Normal).unwrap().neighbour.0;
        if sides.last() != Some(&side) {
            sides.push(side);
            changes.push(now);
        }
    }
    assert_eq!(sides, [3, 2, 3, 2, 3, 2]);
    // One second of light time before the window of the far side ends, the near side is too late for it.
    assert_eq!(changes, [2, 29, 59, 89, 119, 149]);
    let counts = router.counts();
    assert_eq!((counts.grown + counts.reused, counts.searched), (158, 0));
    assert!(counts.grown < 20, "{counts:?}");
}

#[test]
fn light_times_of_ion_may_differ_by_direction() {
    let plan = ion(include_str!("data/contact-plans/ion/asymmetric-range.global.ionrc"));
    assert_eq!(route(&plan, 9, 5, 0, 0).unwrap().arrival, seconds(1));
    assert_eq!(route(&plan, 5, 9, 0, 0).unwrap().arrival, seconds(5));
}

/// Relaxes every contact until nothing moves: slow, and nothing like the search under test.
fn earliest_by_relaxation(plan: &ContactPlan, from: u64, to: u64) -> Instant {
    let mut at = BTreeMap::from([(NodeId(from), Instant::ZERO)]);
    loop {
        let before = at.clone();
        for (_, contact) in plan.iter() {
            let Some(&ready) = at.get(&contact.from).filter(|&&ready| ready <= contact.end) else { continue };
            let then = ready.max(contact.start).saturating_add(contact.owlt);
            let best = at.entry(contact.to).or_insert(Instant::MAX);
            *best = then.min(*best);
        }
        if at == before {
            return at[&NodeId(to)];
        }
    }
}
