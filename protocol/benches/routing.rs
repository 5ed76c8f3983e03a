//! Costs of schedule-aware routing: one route, lists of routes, and a change of the plan against a fresh start.

use std::{cmp::Reverse, collections::BinaryHeap, hint::black_box, time::Duration};

use cosmosmesh_protocol::{
    dtn::{
        contact_plan::{ContactId, ContactPlan, PlannedContact},
        routing::{
            Limits, RouteQuery, RouteScratch, Router, earliest_arrival, k_routes, routes_by_neighbour,
        },
        store::Priority,
    },
    id::NodeId,
    time::Instant,
};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use ion::mars;

mod ion;

fn seconds(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * 1_000_000_000)
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// Contacts between random nodes over a day: 1 to 10 minutes, 9.6 kbit/s to 1 Mbit/s, up to 20 ms of light time.
fn random_plan(nodes: u64, contacts: u64) -> ContactPlan {
    let mut random = Random(7);
    let planned = (0..contacts).map(|_| {
        let from = random.below(nodes);
        let to = (from + 1 + random.below(nodes - 1)) % nodes;
        let start = seconds(random.below(86_400));
        let end = start.saturating_add(Duration::from_secs(60 + random.below(540)));
        let rate_bps = 9_600 + random.below(1_000_000);
        let owlt = Duration::from_micros(random.below(20_000));
        PlannedContact { from: NodeId(from), to: NodeId(to), start, end, rate_bps, owlt }
    });
    ContactPlan::from_contacts(planned).unwrap()
}

fn one_route(criterion: &mut Criterion) {
    let mut scratch = RouteScratch::default();
    let plan = mars();
    for now in [0, 3_000, 86_400] {
        let query = RouteQuery::new(NodeId(9), NodeId(1), seconds(now), 1_000);
        criterion.bench_function(&format!("route: ION's Mars plan, from {now} s"), |bench| {
            bench.iter(|| black_box(earliest_arrival(&plan, &query, &mut scratch)));
        });
    }
    for nodes in [100, 1_000, 10_000] {
        let plan = random_plan(nodes, 100_000);
        let query = RouteQuery::new(NodeId(0), NodeId(nodes / 2), seconds(0), 1_000);
        criterion.bench_function(&format!("route: 100,000 contacts of {nodes} nodes"), |bench| {
            bench.iter(|| black_box(earliest_arrival(&plan, &query, &mut scratch)));
        });
    }
}

/// Contacts in rounds of a minute between neighbours on a grid, with equal windows, rates and light times: many routes arrive
/// at once, so that all of the tie-breaks are needed.
fn grid_plan(side: u64, rounds: u64) -> ContactPlan {
    let mut planned = Vec::new();
    for round in 0..rounds {
        let (start, end) = (seconds(round * 60), seconds(round * 60 + 60));
        for node in 0..side * side {
            let (row, column) = (node / side, node % side);
            let beside = (column + 1 < side).then_some(node + 1);
            let below = (row + 1 < side).then_some(node + side);
            for other in [beside, below].into_iter().flatten() {
                for (from, to) in [(node, other), (other, node)] {
                    let owlt = Duration::from_millis(1);
                    let (from, to) = (NodeId(from), NodeId(to));
                    planned.push(PlannedContact { from, to, start, end, rate_bps: 1_000_000, owlt });
                }
            }
        }
    }
    ContactPlan::from_contacts(planned).unwrap()
}

fn ties(criterion: &mut Criterion) {
    let plan = grid_plan(16, 104);
    let mut scratch = RouteScratch::default();
    let query = RouteQuery::new(NodeId(0), NodeId(255), seconds(0), 1_000);
    criterion.bench_function(
        &format!("route: {} contacts on a grid, corner to corner", plan.len()),
        |bench| {
            bench.iter(|| black_box(earliest_arrival(&plan, &query, &mut scratch)));
        },
    );
}

fn lists(criterion: &mut Criterion) {
    let mut scratch = RouteScratch::default();
    let mars = mars();
    let query = RouteQuery::new(NodeId(9), NodeId(1), seconds(0), 1_000);
    criterion.bench_function("10 best routes: ION's Mars plan", |bench| {
        bench.iter(|| black_box(k_routes(&mars, &query, 10, &mut scratch)));
    });
    let plan = random_plan(1_000, 100_000);
    let query = RouteQuery::new(NodeId(0), NodeId(500), seconds(0), 1_000);
    criterion.bench_function("10 best routes: 100,000 contacts of 1000 nodes", |bench| {
        bench.iter(|| black_box(k_routes(&plan, &query, 10, &mut scratch)));
    });
    criterion.bench_function("a route over each neighbour: 100,000 contacts of 1000 nodes", |bench| {
        bench.iter(|| black_box(routes_by_neighbour(&plan, &query, &Limits::NONE, &mut scratch)));
    });
}

const NODES: u64 = 1_000;

fn ask_all(router: &mut Router, plan: &ContactPlan) {
    for to in 1..NODES {
        let query = RouteQuery::new(NodeId(0), NodeId(to), seconds(0), 1_000);
        black_box(router.route(plan, &query, Priority::Normal));
    }
}

/// Routes to 999 destinations are known; then one contact is lost, or added, and all are asked again. From scratch: an empty
/// router and the changed plan. `a search each`: as every bundle was routed before there were candidates for all.
fn one_change(criterion: &mut Criterion) {
    let plan = random_plan(NODES, 100_000);
    let mut known = Router::new(Duration::ZERO, 8);
    ask_all(&mut known, &plan);
    let query = RouteQuery::new(NodeId(0), NodeId(500), seconds(0), 1_000);
    let route = known.route(&plan, &query, Priority::Normal).unwrap();
    let (used, added) = (*route.hops.last().unwrap(), *plan.get(route.first).unwrap());
    let unused = (0..100_000).map(ContactId).find(|id| !route.hops.contains(id)).unwrap();
    criterion.bench_function("999 destinations: a search each", |bench| {
        let mut scratch = RouteScratch::default();
        bench.iter(|| {
            for to in 1..NODES {
                let query = RouteQuery::new(NodeId(0), NodeId(to), seconds(0), 1_000);
                black_box(earliest_arrival(&plan, &query, &mut scratch));
            }
        });
    });
    criterion.bench_function("999 destinations: router from scratch", |bench| {
        bench.iter(|| ask_all(&mut Router::new(Duration::ZERO, 8), &plan));
    });
    criterion.bench_function("999 destinations: nothing changed", |bench| {
        bench.iter(|| ask_all(&mut known, &plan));
    });
    let contacts: Vec<PlannedContact> = plan.iter().map(|(_, contact)| *contact).collect();
    // A plan of its own each time, so that no copy is made at the change.
    let fresh = || (known.clone(), ContactPlan::from_contacts(contacts.iter().copied()).unwrap());
    for (label, lost) in [("that none of them used", unused), ("that one route used last", used)] {
        criterion.bench_function(&format!("999 destinations: a contact lost {label}, all asked"), |bench| {
            bench.iter_batched_ref(
                fresh,
                |(router, plan)| {
                    router.contact_lost(plan, lost).unwrap();
                    ask_all(router, plan);
                },
                BatchSize::LargeInput,
            );
        });
        criterion.bench_function(&format!("a contact lost {label}, one destination asked"), |bench| {
            bench.iter_batched_ref(
                fresh,
                |(router, plan)| {
                    router.contact_lost(plan, lost).unwrap();
                    black_box(router.route(plan, &query, Priority::Normal))
                },
                BatchSize::LargeInput,
            );
        });
    }
    criterion.bench_function("a contact added, one destination asked", |bench| {
        bench.iter_batched_ref(
            fresh,
            |(router, plan)| {
                router.contact_added(plan, added).unwrap();
                black_box(router.route(plan, &query, Priority::Normal))
            },
            BatchSize::LargeInput,
        );
    });
}

/// 12 satellites (0 to 11), 10 ground stations (12 to 21) and 100 end nodes (22 to 121): 2,400 passes a day of 4 to 10 minutes
/// between a satellite and a site on the ground, in both directions at 9.6 to 96 kbit/s, stations twice as often as end nodes.
fn constellation() -> ContactPlan {
    let mut random = Random(122);
    let mut planned = Vec::new();
    for _ in 0..2_400 {
        let satellite = random.below(12);
        let site = if random.below(6) == 0 { 12 + random.below(10) } else { 22 + random.below(100) };
        let start = seconds(random.below(86_400));
        let end = start.saturating_add(Duration::from_secs(240 + random.below(360)));
        let rate_bps = 9_600 * (1 + random.below(10));
        for (from, to) in [(satellite, site), (site, satellite)] {
            let (from, to, owlt) = (NodeId(from), NodeId(to), Duration::from_millis(4));
            planned.push(PlannedContact { from, to, start, end, rate_bps, owlt });
        }
    }
    ContactPlan::from_contacts(planned).unwrap()
}

/// Bundles of 100 bytes between random sites over half a day, routed and booked at every node that they come to; answers the
/// decisions taken and the bundles that arrived.
fn journeys(plan: &ContactPlan, bundles: u64, slack: Duration) -> (u64, u64) {
    let mut random = Random(5);
    let mut routers: Vec<Router> = (0..122).map(|_| Router::new(slack, 4)).collect();
    let mut due = BinaryHeap::new();
    for bundle in 0..bundles {
        let (from, to) = (12 + random.below(110), 12 + random.below(110));
        due.push(Reverse((seconds(random.below(43_200)), bundle, from, to)));
    }
    let (mut decisions, mut arrived) = (0, 0);
    while let Some(Reverse((now, bundle, node, to))) = due.pop() {
        if node == to {
            arrived += 1;
            continue;
        }
        decisions += 1;
        let router = &mut routers[node as usize];
        let query = RouteQuery::new(NodeId(node), NodeId(to), now, 100);
        let Some(route) = router.route(plan, &query, Priority::Normal) else { continue };
        router.book(plan, &route.hops, 100, Priority::Normal, now);
        // It leaves at once: the bench has no links.
        router.spend(route.first, 100, Priority::Normal);
        let next = plan.get(route.first).unwrap();
        let there = route.departure.saturating_add(next.serialisation(100)).saturating_add(next.owlt);
        due.push(Reverse((there, bundle, next.to.0, to)));
    }
    (decisions, arrived)
}

#[expect(clippy::print_stdout, reason = "how many decisions were timed is part of the result")]
fn bookings(criterion: &mut Criterion) {
    let plan = constellation();
    for (label, slack) in [("no slack", Duration::ZERO), ("a second of slack", Duration::from_secs(1))] {
        let (decisions, arrived) = journeys(&plan, 100_000, slack);
        println!("100,000 bundles, {label}: {decisions} decisions, {arrived} arrived");
        criterion.bench_function(
            &format!("100,000 bundles over 122 nodes and 4,800 contacts, {label}"),
            |bench| {
                bench.iter(|| black_box(journeys(&plan, 100_000, slack)));
            },
        );
    }
}

criterion_group!(benches, one_route, ties, lists, one_change, bookings);
criterion_main!(benches);
