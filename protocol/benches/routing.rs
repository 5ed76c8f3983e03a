//! Costs of schedule-aware routing: one route, lists of routes, and a change of the plan against a fresh start.

use std::{hint::black_box, time::Duration};

use cosmosmesh_protocol::{
    dtn::{
        contact_plan::{ContactPlan, PlannedContact},
        routing::{RouteQuery, RouteScratch, RoutingPolicy},
    },
    id::NodeId,
    time::Instant,
};
use criterion::{Criterion, criterion_group, criterion_main};

fn seconds(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * 1_000_000_000)
}

/// ION's `a contact` and `a range` lines with ionadmin's reading of `@` (source: tests/data/contact-plans/README.md).
fn mars() -> ContactPlan {
    let (mut reference, mut contacts, mut ranges) = (0, Vec::new(), Vec::new());
    for line in include_str!("../tests/data/contact-plans/ion/cgr-test.global.ionrc").lines() {
        let n: Vec<u64> =
            line.split_whitespace().filter_map(|word| word.trim_start_matches('+').parse().ok()).collect();
        match line.split_whitespace().take(2).collect::<Vec<_>>().as_slice() {
            ["@", _] => reference += n[0],
            ["a", "range"] => ranges.push((n[2], n[3], n[4])),
            ["a", "contact"] => contacts.push((n[2], n[3], reference + n[0], reference + n[1], n[4])),
            _ => {}
        }
    }
    let planned = contacts.into_iter().map(|(from, to, start, end, rate)| {
        let range = ranges.iter().find(|r| (r.0, r.1) == (from, to) || (r.0, r.1) == (to, from)).unwrap();
        let (from, to, owlt) = (NodeId(from), NodeId(to), Duration::from_secs(range.2));
        PlannedContact { from, to, start: seconds(start), end: seconds(end), rate_bps: rate * 8, owlt }
    });
    ContactPlan::from_contacts(planned).unwrap()
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
            bench.iter(|| black_box(RoutingPolicy::EarliestArrival.route(&plan, &query, &mut scratch)));
        });
    }
    for nodes in [100, 1_000, 10_000] {
        let plan = random_plan(nodes, 100_000);
        let query = RouteQuery::new(NodeId(0), NodeId(nodes / 2), seconds(0), 1_000);
        criterion.bench_function(&format!("route: 100,000 contacts of {nodes} nodes"), |bench| {
            bench.iter(|| black_box(RoutingPolicy::EarliestArrival.route(&plan, &query, &mut scratch)));
        });
    }
}

criterion_group!(benches, one_route);
criterion_main!(benches);
