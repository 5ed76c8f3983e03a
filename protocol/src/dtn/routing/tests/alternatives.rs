//! Lists of routes against all routes.

use super::*;

fn nodes(plan: &ContactPlan, route: &Route) -> Vec<u64> {
    route.hops.iter().map(|id| plan.get(*id).unwrap().to.0).collect()
}

#[test]
fn routes_differ_by_contacts_and_come_in_order() {
    let plan = ContactPlan::from_contacts([
        contact(0, 1, 0, 10, 1, 0),
        contact(0, 1, 20, 10, 1, 0),
        contact(1, 2, 0, 100, 1, 0),
        contact(0, 2, 50, 10, 1, 0),
    ])
    .unwrap();
    let query = RouteQuery::new(NodeId(0), NodeId(2), at(0), 1);
    let mut scratch = RouteScratch::default();
    let all = k_routes(&plan, &query, 9, &mut scratch);
    let arrivals: Vec<u64> = all.iter().map(|route| route.arrival.as_nanos()).collect();
    assert_eq!(arrivals, [2, 22, 51]);
    assert_eq!(
        all.iter().map(|route| nodes(&plan, route)).collect::<Vec<_>>(),
        [vec![1, 2], vec![1, 2], vec![2]]
    );
    assert_eq!(k_routes(&plan, &query, 2, &mut scratch), all[..2]);
    assert_eq!(k_routes(&plan, &query, 0, &mut scratch), []);
    let home = RouteQuery::new(NodeId(0), NodeId(0), at(0), 1);
    assert_eq!(k_routes(&plan, &home, 3, &mut scratch), []);
}

#[test]
fn a_critical_bundle_has_a_route_over_each_neighbour() {
    let plan = ContactPlan::from_contacts([
        contact(0, 1, 0, 10, 1, 0),
        contact(1, 9, 0, 90, 1, 7),
        contact(0, 2, 0, 10, 1, 0),
        contact(2, 9, 0, 90, 1, 3),
        contact(0, 3, 0, 10, 1, 0),
    ])
    .unwrap();
    let query = RouteQuery::new(NodeId(0), NodeId(9), at(0), 1);
    let mut scratch = RouteScratch::default();
    let over = |routes: Vec<Route>| routes.iter().map(|route| route.neighbour.0).collect::<Vec<_>>();
    assert_eq!(over(routes_by_neighbour(&plan, &query, &Limits::NONE, &mut scratch)), [2, 1]);
    let back = RouteQuery { excluded_neighbours: &[NodeId(2)], ..query };
    assert_eq!(over(routes_by_neighbour(&plan, &back, &Limits::NONE, &mut scratch)), [1]);
}

#[test]
fn a_route_is_as_likely_as_the_product_of_its_contacts() {
    let mut plan = ContactPlan::from_contacts([
        contact(0, 1, 0, 10, 1, 0),
        contact(1, 2, 0, 90, 1, 0),
        contact(0, 2, 50, 10, 1, 0),
    ])
    .unwrap();
    plan.set_confidence(ContactId(0), Confidence::from_ppm(900_000)).unwrap();
    plan.set_confidence(ContactId(1), Confidence::from_ppm(900_000)).unwrap();
    let query = RouteQuery::new(NodeId(0), NodeId(2), at(0), 1);
    let arrival = |least: u32| {
        let limits = Limits { min_confidence: Confidence::from_ppm(least), ..Limits::NONE };
        let route = earliest_arrival_within(&plan, &query, &limits, &mut RouteScratch::default()).unwrap();
        (route.arrival.as_nanos(), confidence(&plan, &route.hops).ppm())
    };
    assert_eq!(arrival(810_000), (2, 810_000));
    // Each contact would do, but not both.
    assert_eq!(arrival(810_001), (51, 1_000_000));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_best_k_are_the_first_of_all_routes(
        contacts in any_contacts(),
        now in 0..20u64,
        bytes in 0..6u64,
        waiting in 0..6u64,
        deadline in 20..120u64,
        k in 1..40usize,
        bookings in prop::collection::vec((0..16usize, 1..20u64, any_priority()), 0..5),
    ) {
        let plan = ContactPlan::from_contacts(contacts.iter().copied()).unwrap();
        let volumes = booked(&plan, &bookings);
        let backlog = |_: NodeId| waiting;
        let query = RouteQuery {
            deadline: at(deadline),
            backlog: &backlog,
            ..RouteQuery::new(NodeId(0), NodeId(5), at(now), bytes)
        };
        let limits = Limits { volumes: Some(&volumes), ..Limits::NONE };
        let mut all = BruteForce::ranks(&contacts, query, &bookings);
        all.truncate(k);
        let mut scratch = RouteScratch::default();
        let found = k_routes_within(&plan, &query, &limits, k, &mut scratch);
        prop_assert_eq!(found.iter().map(rank).collect::<Vec<_>>(), all);
        for (index, route) in found.iter().enumerate() {
            prop_assert!(found[..index].iter().all(|other| other.hops != route.hops));
        }
        prop_assert_eq!(k_routes_within(&plan, &query, &limits, k, &mut scratch), found);
    }

    #[test]
    fn over_each_neighbour_the_best_is_found(contacts in any_contacts(), now in 0..20u64, bytes in 0..6u64) {
        let plan = ContactPlan::from_contacts(contacts.iter().copied()).unwrap();
        let query = RouteQuery::new(NodeId(0), NodeId(5), at(now), bytes);
        let mut best: Vec<Rank> = Vec::new();
        for rank in BruteForce::ranks(&contacts, query, &[]) {
            if best.iter().all(|other| other.3 != rank.3) {
                best.push(rank);
            }
        }
        let found = routes_by_neighbour(&plan, &query, &Limits::NONE, &mut RouteScratch::default());
        prop_assert_eq!(found.iter().map(rank).collect::<Vec<_>>(), best);
    }
}
