mod alternatives;
mod router;
mod volumes;

use super::*;
use crate::dtn::{
    contact_plan::{Confidence, ContactPlan, PlannedContact},
    store::Priority,
};
use alloc::{vec, vec::Vec};
use core::{cmp::Reverse, time::Duration};
use proptest::prelude::*;

fn at(nanos: u64) -> Instant {
    Instant::from_nanos(nanos)
}

/// Rates are chosen so that a byte takes a whole number of nanoseconds.
fn contact(from: u64, to: u64, start: u64, length: u64, byte_ns: u64, owlt: u64) -> PlannedContact {
    let (start, end) = (at(start), at(start + length));
    let rate_bps = 8_000_000_000 / byte_ns;
    PlannedContact {
        from: NodeId(from),
        to: NodeId(to),
        start,
        end,
        rate_bps,
        owlt: Duration::from_nanos(owlt),
    }
}

fn route(plan: &ContactPlan, query: &RouteQuery<'_>) -> Option<Route> {
    earliest_arrival(plan, query, &mut RouteScratch::default())
}

#[test]
fn a_backlog_moves_on_to_the_next_contact_with_the_neighbour() {
    let plan = ContactPlan::from_contacts([contact(1, 2, 0, 10, 1, 0), contact(1, 2, 20, 30, 1, 0)]).unwrap();
    let query = RouteQuery { backlog: &|_| 12, ..RouteQuery::new(NodeId(1), NodeId(2), at(0), 5) };
    let found = route(&plan, &query).unwrap();
    // Ten of the twelve bytes leave in the first contact, two in the second, and then ours.
    assert_eq!((found.departure, found.arrival), (at(22), at(27)));
}

#[test]
fn a_contact_with_too_little_time_left_is_not_used() {
    let plan = ContactPlan::from_contacts([contact(1, 2, 0, 10, 1, 3)]).unwrap();
    let arrival = |now, bytes| {
        route(&plan, &RouteQuery::new(NodeId(1), NodeId(2), at(now), bytes)).map(|found| found.arrival)
    };
    assert_eq!(arrival(5, 5), Some(at(13)));
    assert_eq!(arrival(5, 6), None);
    assert_eq!(arrival(11, 0), None);
}

#[test]
fn the_deadline_and_the_exclusions_hold() {
    let plan = ContactPlan::from_contacts([contact(1, 2, 0, 10, 1, 3), contact(1, 2, 20, 10, 1, 3)]).unwrap();
    let base = RouteQuery::new(NodeId(1), NodeId(2), at(0), 5);
    assert_eq!(route(&plan, &RouteQuery { deadline: at(7), ..base }), None);
    assert_eq!(route(&plan, &RouteQuery { excluded: &[ContactId(0)], ..base }).unwrap().arrival, at(28));
    assert_eq!(route(&plan, &RouteQuery { excluded_neighbours: &[NodeId(2)], ..base }), None);
}

#[test]
fn an_estimate_of_others_arrivals_is_timed_anew_and_searched_when_it_is_late() {
    let mut plan =
        ContactPlan::from_contacts([contact(1, 2, 0, 50, 1, 0), contact(1, 3, 60, 50, 1, 0)]).unwrap();
    plan.add(contact(2, 4, 100, 50, 1, 0)).unwrap();
    plan.add(contact(3, 4, 110, 50, 1, 0)).unwrap();
    let mut arrivals = Arrivals::new(Duration::ZERO, 2);
    let mut ask = |plan: &ContactPlan, from, now| arrivals.arrival(plan, NodeId(from), NodeId(4), at(now), 5);
    let answers = [0, 40, 51].map(|now| ask(&plan, 1, now));
    assert_eq!(answers, [Some(at(105)), Some(at(105)), Some(at(115))]);
    // An earlier question, another sender, nobody, and another plan.
    assert_eq!(ask(&plan, 1, 3), Some(at(105)));
    assert_eq!((ask(&plan, 3, 3), ask(&plan, 9, 3)), (Some(at(115)), None));
    plan.add(contact(1, 4, 55, 50, 1, 0)).unwrap();
    assert_eq!(ask(&plan, 1, 3), Some(at(60)));
}

/// Arrival, hops, route end, first neighbour: smaller is better.
type Rank = (u64, usize, Reverse<u64>, u64);

/// A contact, the bytes taken from it, and by whom.
type Booking = (usize, u64, Priority);

/// Tries every loop-free sequence of contacts.
struct BruteForce<'a> {
    contacts: &'a [PlannedContact],
    query: RouteQuery<'a>,
    bookings: &'a [Booking],
    priority: Priority,
    queue_delay: bool,
    found: Vec<Rank>,
}

impl<'a> BruteForce<'a> {
    /// The ranks of all routes, best first.
    fn ranks(contacts: &'a [PlannedContact], query: RouteQuery<'a>, bookings: &'a [Booking]) -> Vec<Rank> {
        Self::ranks_for((Priority::Normal, false), contacts, query, bookings)
    }

    fn ranks_for(
        (priority, queue_delay): (Priority, bool),
        contacts: &'a [PlannedContact],
        query: RouteQuery<'a>,
        bookings: &'a [Booking],
    ) -> Vec<Rank> {
        let mut brute = Self { contacts, query, bookings, priority, queue_delay, found: Vec::new() };
        brute.search(&mut vec![query.from], query.now.as_nanos(), u64::MAX, None);
        brute.found.sort_unstable();
        brute.found
    }

    fn taken(&self, index: usize) -> u64 {
        let counts = |booking: &&Booking| booking.0 == index && booking.2 <= self.priority;
        self.bookings.iter().filter(counts).map(|booking| booking.1).sum()
    }

    fn has_room(&self, index: usize) -> bool {
        let contact = self.contacts[index];
        let byte_ns = 8_000_000_000 / contact.rate_bps;
        let volume =
            contact.end.saturating_since(contact.start.max(self.query.now)).as_nanos() as u64 / byte_ns;
        let taken = self.taken(index);
        taken == 0 || taken + self.query.bytes <= volume
    }

    fn free_from(&self, first: usize) -> u64 {
        let mut order: Vec<_> = (0..self.contacts.len()).collect();
        order.sort_by_key(|&i| (self.contacts[i].end, self.contacts[i].start, i));
        let target = self.contacts[first];
        let mut waiting = (self.query.backlog)(target.to);
        for i in order {
            let other = self.contacts[i];
            let usable = other.end >= self.query.now && !self.query.excluded.contains(&ContactId(i as u32));
            if i == first {
                let start = target.start.max(self.query.now).as_nanos();
                return start + waiting * (8_000_000_000 / target.rate_bps);
            }
            if usable && other.from == target.from && other.to == target.to {
                let time = other.end.saturating_since(other.start.max(self.query.now)).as_nanos() as u64;
                waiting = waiting.saturating_sub(time * other.rate_bps / 8_000_000_000);
            }
        }
        unreachable!("the first contact is in the list")
    }

    fn search(&mut self, visited: &mut Vec<NodeId>, now: u64, end: u64, first: Option<u64>) {
        let node = *visited.last().unwrap();
        if node == self.query.to {
            let rank = (now, visited.len() - 1, Reverse(end), first.unwrap());
            if now <= self.query.deadline.as_nanos() {
                self.found.push(rank);
            }
            return;
        }
        for (index, contact) in self.contacts.iter().enumerate() {
            let excluded = self.query.excluded.contains(&ContactId(index as u32))
                || self.query.avoided == Some(contact.to);
            if contact.from != node || visited.contains(&contact.to) || excluded || !self.has_room(index) {
                continue;
            }
            let mut ready = now;
            if first.is_none() {
                if self.query.excluded_neighbours.contains(&contact.to) || contact.end < self.query.now {
                    continue;
                }
                ready = self.free_from(index);
            } else if self.queue_delay {
                let queue = self.taken(index) * (8_000_000_000 / contact.rate_bps);
                ready = now.max(contact.start.as_nanos() + queue);
            }
            let sent =
                ready.max(contact.start.as_nanos()) + self.query.bytes * (8_000_000_000 / contact.rate_bps);
            if sent <= contact.end.as_nanos() {
                visited.push(contact.to);
                let first = first.or(Some(contact.to.0));
                let arrival = sent + contact.owlt.as_nanos() as u64;
                self.search(visited, arrival, end.min(contact.end.as_nanos()), first);
                visited.pop();
            }
        }
    }
}

fn rank(route: &Route) -> Rank {
    (route.arrival.as_nanos(), route.hops.len(), Reverse(route.end.as_nanos()), route.neighbour.0)
}

fn any_priority() -> impl Strategy<Value = Priority> {
    prop_oneof![Just(Priority::Expedited), Just(Priority::Normal), Just(Priority::Bulk)]
}

/// A ledger with these bookings, as far as there are such contacts.
fn booked(plan: &ContactPlan, bookings: &[Booking]) -> Volumes {
    let mut volumes = Volumes::default();
    for &(index, bytes, priority) in bookings {
        let id = ContactId(index as u32);
        if plan.get(id).is_some() {
            volumes.book(plan, &[id], bytes, priority);
        }
    }
    volumes
}

fn any_contacts() -> impl Strategy<Value = Vec<PlannedContact>> {
    let one = (0..6u64, 0..6u64, 0..40u64, 1..25u64, prop_oneof![Just(1u64), Just(2), Just(4)], 0..4u64);
    let one = one.prop_filter("a contact has two ends", |c| c.0 != c.1);
    prop::collection::vec(one.prop_map(|(f, t, s, l, r, o)| contact(f, t, s, l, r, o)), 1..16)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn the_route_is_the_best_of_all_routes(
        contacts in any_contacts(),
        now in 0..20u64,
        bytes in 0..6u64,
        waiting in 0..12u64,
        deadline in 20..80u64,
        excluded in prop::collection::vec((0..16u32).prop_map(ContactId), 0..3),
        avoided in prop::option::of((1..5u64).prop_map(NodeId)),
    ) {
        let plan = ContactPlan::from_contacts(contacts.iter().copied()).unwrap();
        let backlog = |neighbour: NodeId| if neighbour.0.is_multiple_of(2) { waiting } else { 0 };
        let excluded_neighbours = [NodeId(3)];
        let query = RouteQuery {
            deadline: at(deadline),
            excluded: &excluded,
            excluded_neighbours: &excluded_neighbours,
            avoided,
            backlog: &backlog,
            ..RouteQuery::new(NodeId(0), NodeId(5), at(now), bytes)
        };
        let best = BruteForce::ranks(&contacts, query, &[]).first().copied();
        let found = route(&plan, &query);
        prop_assert_eq!(found.as_ref().map(rank), best);
        if let Some(found) = found {
            prop_assert_eq!(walk(&plan, &found.hops, &query), Some(found));
        }
    }

    #[test]
    fn estimates_without_slack_are_the_earliest_arrivals(
        contacts in any_contacts(),
        asked in prop::collection::vec((0..30u64, 0..6u64, 0..5u64), 1..12),
        capacity in 0..4usize,
    ) {
        let plan = ContactPlan::from_contacts(contacts.iter().copied()).unwrap();
        let mut arrivals = Arrivals::new(Duration::ZERO, capacity);
        for (now, bytes, from) in asked {
            let query = RouteQuery::new(NodeId(from), NodeId(5), at(now), bytes);
            let estimate = arrivals.arrival(&plan, NodeId(from), NodeId(5), at(now), bytes);
            prop_assert_eq!(estimate, route(&plan, &query).map(|route| route.arrival));
        }
    }

    #[test]
    fn single_changes_route_like_a_fresh_plan(contacts in any_contacts(), extra in any_contacts(), gone in 0..16usize) {
        let mut plan = ContactPlan::from_contacts(contacts.iter().copied()).unwrap();
        for contact in &extra {
            plan.add(*contact).unwrap();
        }
        let gone = ContactId((gone % (contacts.len() + extra.len())) as u32);
        plan.remove(gone).unwrap();
        let fresh = ContactPlan::from_contacts(plan.iter().map(|(_, contact)| *contact)).unwrap();
        let query = RouteQuery::new(NodeId(0), NodeId(5), at(0), 3);
        prop_assert_eq!(route(&plan, &query).as_ref().map(rank), route(&fresh, &query).as_ref().map(rank));
    }
}
