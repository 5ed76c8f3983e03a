//! Bookings, priorities, and what they leave.

use super::*;

fn relay() -> ContactPlan {
    // Ten bytes fit into each contact.
    ContactPlan::from_contacts([
        contact(0, 1, 0, 10, 1, 0),
        contact(1, 2, 0, 100, 1, 0),
        contact(0, 1, 50, 10, 1, 0),
    ])
    .unwrap()
}

fn arrival(plan: &ContactPlan, volumes: &Volumes, priority: Priority, bytes: u64) -> Option<u64> {
    let query = RouteQuery::new(NodeId(0), NodeId(2), at(0), bytes);
    let limits = Limits { volumes: Some(volumes), priority, ..Limits::NONE };
    let route = earliest_arrival_within(plan, &query, &limits, &mut RouteScratch::default())?;
    Some(route.arrival.as_nanos())
}

#[test]
fn what_is_booked_by_equals_and_betters_counts_and_what_is_below_does_not() {
    let plan = relay();
    let mut volumes = Volumes::default();
    let query = RouteQuery::new(NodeId(0), NodeId(2), at(0), 6);
    let first = route(&plan, &query).unwrap();
    volumes.book(&plan, &first.hops, 6, Priority::Normal);
    assert_eq!(volumes.residual(&plan, ContactId(0), Priority::Bulk, at(0)), 4);
    assert_eq!(volumes.residual(&plan, ContactId(0), Priority::Expedited, at(0)), 10);
    assert_eq!(arrival(&plan, &volumes, Priority::Normal, 4), Some(8));
    assert_eq!(arrival(&plan, &volumes, Priority::Normal, 5), Some(60));
    assert_eq!(arrival(&plan, &volumes, Priority::Bulk, 5), Some(60));
    assert_eq!(arrival(&plan, &volumes, Priority::Expedited, 5), Some(10));
    volumes.release(&first.hops, 6, Priority::Normal);
    assert_eq!(arrival(&plan, &volumes, Priority::Bulk, 5), Some(10));
}

#[test]
fn an_expedited_bundle_overbooks_what_bulk_has_taken() {
    let plan = relay();
    let mut volumes = Volumes::default();
    let query = RouteQuery::new(NodeId(0), NodeId(2), at(0), 8);
    let first = route(&plan, &query).unwrap();
    let over = |volumes: &Volumes, id, now| volumes.overbooked(&plan, ContactId(id), at(now));
    volumes.book(&plan, &first.hops, 8, Priority::Bulk);
    assert_eq!((over(&volumes, 0, 0), over(&volumes, 0, 3)), (0, 1));
    volumes.book(&plan, &first.hops, 7, Priority::Expedited);
    assert_eq!((over(&volumes, 0, 0), over(&volumes, 1, 0)), (5, 0));
    volumes.release(&first.hops, 8, Priority::Bulk);
    assert_eq!(over(&volumes, 0, 0), 0);
    // Handed to the link, it holds no volume but the time that it takes.
    volumes.spend(ContactId(0), 7, Priority::Expedited);
    assert_eq!(
        (volumes.booked(ContactId(0), Priority::Bulk), volumes.booked(ContactId(1), Priority::Bulk)),
        (0, 7)
    );
    volumes.spend(ContactId(1), 7, Priority::Expedited);
    assert!(volumes.is_empty());
}

#[test]
fn bookings_of_contacts_that_are_gone_are_forgotten() {
    let mut plan = relay();
    let mut volumes = Volumes::default();
    let first = route(&plan, &RouteQuery::new(NodeId(0), NodeId(2), at(0), 6)).unwrap();
    volumes.book(&plan, &first.hops, 6, Priority::Normal);
    plan.forget_before(at(11));
    volumes.forget_before(plan.first_id());
    assert_eq!(volumes.booked(ContactId(0), Priority::Bulk), 0);
    assert_eq!(volumes.booked(ContactId(1), Priority::Bulk), 6);
    // Booking an older name again makes room for it in front.
    volumes.book(&relay(), &[ContactId(0)], 3, Priority::Bulk);
    assert_eq!(volumes.booked(ContactId(0), Priority::Bulk), 3);
    assert_eq!(volumes.booked(ContactId(1), Priority::Bulk), 6);
}

#[test]
fn the_volume_limit_of_a_route_is_its_narrowest_contact() {
    let plan = ContactPlan::from_contacts([
        contact(0, 1, 0, 100, 1, 0),
        // From 20 on, two nanoseconds a byte until 50: fifteen bytes.
        contact(1, 2, 20, 30, 2, 0),
    ])
    .unwrap();
    let query = RouteQuery::new(NodeId(0), NodeId(2), at(0), 4);
    let found = route(&plan, &query).unwrap();
    assert_eq!(volume_limit(&plan, &found, &query, &Limits::NONE), 15);
    let mut volumes = Volumes::default();
    volumes.book(&plan, &found.hops, 6, Priority::Normal);
    let limits = Limits { volumes: Some(&volumes), ..Limits::NONE };
    assert_eq!(volume_limit(&plan, &found, &query, &limits), 9);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_best_route_has_room_for_the_bundle(
        contacts in any_contacts(),
        now in 0..20u64,
        bytes in 1..6u64,
        priority in any_priority(),
        queue_delay in any::<bool>(),
        bookings in prop::collection::vec((0..16usize, 1..20u64, any_priority()), 0..8),
    ) {
        let plan = ContactPlan::from_contacts(contacts.iter().copied()).unwrap();
        let volumes = booked(&plan, &bookings);
        let query = RouteQuery::new(NodeId(0), NodeId(5), at(now), bytes);
        let limits = Limits { volumes: Some(&volumes), priority, queue_delay, ..Limits::NONE };
        let best = BruteForce::ranks_for((priority, queue_delay), &contacts, query, &bookings).first().copied();
        let found = earliest_arrival_within(&plan, &query, &limits, &mut RouteScratch::default());
        prop_assert_eq!(found.as_ref().map(rank), best);
        if let Some(found) = found {
            // §3.2.6.9 g): timed to the last byte, a route's volume limit is never below the bundle.
            prop_assert!(volume_limit(&plan, &found, &query, &limits) >= bytes);
        }
    }

    #[test]
    fn bookings_never_exceed_the_volume_of_a_contact(
        contacts in any_contacts(),
        bundles in prop::collection::vec((1..6u64, any_priority()), 1..30),
    ) {
        let plan = ContactPlan::from_contacts(contacts.iter().copied()).unwrap();
        let mut volumes = Volumes::default();
        for (bytes, priority) in bundles {
            let query = RouteQuery::new(NodeId(0), NodeId(5), at(0), bytes);
            let limits = Limits { volumes: Some(&volumes), priority, ..Limits::NONE };
            let Some(found) = earliest_arrival_within(&plan, &query, &limits, &mut RouteScratch::default())
            else { continue };
            volumes.book(&plan, &found.hops, bytes, priority);
            let over = volumes.overbooked(&plan, found.first, at(0));
            prop_assert!(over == 0 || priority != Priority::Bulk);
            for id in found.hops.iter() {
                let volume = whole_volume(plan.get(*id).unwrap());
                prop_assert!(volumes.booked(*id, priority) <= volume);
            }
        }
    }
}
