//! The router against a fresh search at every step.

use super::*;
use crate::dtn::contact_plan::PlanError;

const FROM: NodeId = NodeId(0);
const TO: NodeId = NodeId(5);

fn ask(router: &mut Router, plan: &ContactPlan, now: u64, bytes: u64) -> Option<u64> {
    let query = RouteQuery::new(FROM, TO, at(now), bytes);
    router.route(plan, &query, Priority::Normal).map(|route| route.arrival.as_nanos())
}

/// Two ways of two contacts each: over 1 until 50, over 2 until 90.
fn diamond() -> ContactPlan {
    ContactPlan::from_contacts([
        contact(0, 1, 0, 50, 1, 0),
        contact(1, 5, 60, 40, 1, 0),
        contact(0, 2, 0, 90, 1, 0),
        contact(2, 5, 70, 40, 1, 0),
    ])
    .unwrap()
}

#[test]
fn a_lost_contact_is_mended_for_those_behind_it_and_nobody_else() {
    let mut plan = diamond();
    plan.add(contact(0, 4, 0, 90, 1, 0)).unwrap();
    let mut router = Router::new(Duration::ZERO, 8);
    assert_eq!(ask(&mut router, &plan, 0, 1), Some(61));
    let other = RouteQuery::new(FROM, NodeId(4), at(0), 1);
    assert!(router.route(&plan, &other, Priority::Normal).is_some());
    router.contact_lost(&mut plan, ContactId(1)).unwrap();
    assert!(router.route(&plan, &other, Priority::Normal).is_some());
    assert_eq!(router.counts(), RouterCounts { reused: 2, grown: 1, searched: 0 });
    assert_eq!(ask(&mut router, &plan, 0, 1), Some(71));
    assert_eq!(router.counts(), RouterCounts { reused: 3, grown: 1, searched: 0 });
    assert_eq!(router.contact_lost(&mut plan, ContactId(1)), Err(PlanError::Unknown(ContactId(1))));
}

#[test]
fn a_contact_that_is_added_costs_no_search_whether_it_helps_or_not() {
    let mut plan = diamond();
    let mut router = Router::new(Duration::ZERO, 8);
    assert_eq!(ask(&mut router, &plan, 0, 1), Some(61));
    router.contact_added(&mut plan, contact(0, 5, 61, 10, 1, 0)).unwrap();
    assert_eq!(ask(&mut router, &plan, 0, 1), Some(61));
    router.contact_added(&mut plan, contact(0, 7, 10, 10, 1, 0)).unwrap();
    router.contact_added(&mut plan, contact(7, 5, 30, 10, 1, 0)).unwrap();
    assert_eq!(ask(&mut router, &plan, 0, 1), Some(31));
    assert_eq!(router.counts(), RouterCounts { reused: 2, grown: 1, searched: 0 });
}

#[test]
fn a_plan_that_changed_elsewhere_is_another_plan() {
    let mut plan = diamond();
    let mut router = Router::new(Duration::ZERO, 8);
    assert_eq!(ask(&mut router, &plan, 0, 1), Some(61));
    plan.add(contact(0, 5, 30, 10, 1, 0)).unwrap();
    assert_eq!(ask(&mut router, &plan, 0, 1), Some(31));
    assert_eq!(router.counts().grown, 2);
}

#[test]
fn a_queue_that_makes_the_candidate_late_is_searched_around() {
    let plan = diamond();
    let mut router = Router::new(Duration::ZERO, 8);
    let backlog = |neighbour: NodeId| if neighbour == NodeId(1) { 45 } else { 0 };
    let query = RouteQuery { backlog: &backlog, ..RouteQuery::new(FROM, TO, at(0), 10) };
    let route = router.route(&plan, &query, Priority::Normal).unwrap();
    assert_eq!((route.neighbour, route.arrival), (NodeId(2), at(80)));
    assert_eq!(router.counts(), RouterCounts { reused: 0, grown: 1, searched: 1 });
}

#[test]
fn routes_are_looked_for_again_when_a_contact_has_ended() {
    let plan = diamond();
    let mut router = Router::new(Duration::ZERO, 8);
    let answers: Vec<_> = [0, 49, 50, 89, 91].map(|now| ask(&mut router, &plan, now, 1)).to_vec();
    assert_eq!(answers, [Some(61), Some(61), Some(71), Some(91), None]);
}

#[test]
fn a_full_contact_sends_the_next_bundle_another_way_until_volume_comes_back() {
    let plan = diamond();
    let mut router = Router::new(Duration::ZERO, 8);
    let query = RouteQuery::new(FROM, TO, at(0), 30);
    let route = router.route(&plan, &query, Priority::Normal).unwrap();
    assert_eq!(router.book(&plan, &route.hops, 30, Priority::Normal, at(0)), 0);
    assert_eq!(ask(&mut router, &plan, 0, 30), Some(100));
    router.release(&route.hops, 30, Priority::Normal);
    assert_eq!(ask(&mut router, &plan, 0, 30), Some(90));
}

#[test]
fn one_search_serves_all_destinations_and_what_is_kept_is_bounded() {
    let plan = ContactPlan::from_contacts((1..40).map(|to| contact(0, to, 0, 50, 1, 0))).unwrap();
    let mut router = Router::new(Duration::ZERO, 4);
    for to in 1..40 {
        let query = RouteQuery::new(FROM, NodeId(to), at(0), 1);
        assert!(router.route(&plan, &query, Priority::Bulk).is_some());
    }
    assert_eq!(router.counts(), RouterCounts { reused: 38, grown: 1, searched: 0 });
    for bit in 0..40 {
        router.route(&plan, &RouteQuery::new(FROM, TO, at(0), 1 << bit), Priority::Bulk);
        assert!(router.kept() <= 4);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Send { after: u64, to: u64, bytes: u64, waiting: u64, priority: Priority },
    GiveBack { which: usize },
    Lose { which: usize },
    Shorten { which: usize },
    Add { contact: PlannedContact },
}

fn any_step() -> impl Strategy<Value = Step> {
    let send = (0..4u64, 1..6u64, 0..6u64, 0..6u64, any_priority())
        .prop_map(|(after, to, bytes, waiting, priority)| Step::Send { after, to, bytes, waiting, priority });
    let one = (0..6u64, 1..6u64, 0..40u64, 1..25u64, prop_oneof![Just(1u64), Just(2)], 0..4u64);
    let add = one.prop_map(|(from, by, start, length, byte_ns, owlt)| Step::Add {
        contact: contact(from, (from + by) % 6, start, length, byte_ns, owlt),
    });
    prop_oneof![
        6 => send,
        1 => any::<usize>().prop_map(|which| Step::GiveBack { which }),
        1 => any::<usize>().prop_map(|which| Step::Lose { which }),
        1 => any::<usize>().prop_map(|which| Step::Shorten { which }),
        1 => add,
    ]
}

fn pick(plan: &ContactPlan, which: usize) -> Option<(ContactId, PlannedContact)> {
    let all: Vec<_> = plan.iter().map(|(id, contact)| (id, *contact)).collect();
    (!all.is_empty()).then(|| all[which % all.len()])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_happens_the_router_arrives_as_early_as_a_fresh_search(
        contacts in any_contacts(),
        steps in prop::collection::vec(any_step(), 1..40),
        queue_delay in any::<bool>(),
    ) {
        let mut plan = ContactPlan::from_contacts(contacts).unwrap();
        let mut router = Router::new(Duration::ZERO, 3);
        if queue_delay {
            router = router.with_queue_delay();
        }
        let (mut now, mut sent) = (0, Vec::new());
        for step in steps {
            match step {
                Step::Send { after, to, bytes, waiting, priority } => {
                    now += after;
                    let backlog = |_| waiting;
                    let base = RouteQuery::new(FROM, NodeId(to), at(now), bytes);
                    let query = RouteQuery { backlog: &backlog, ..base };
                    let volumes = router.volumes().clone();
                    let limits = Limits { volumes: Some(&volumes), priority, queue_delay, ..Limits::NONE };
                    let fresh = earliest_arrival_within(&plan, &query, &limits, &mut RouteScratch::default());
                    let found = router.route(&plan, &query, priority);
                    let arrival = |route: &Option<Route>| route.as_ref().map(|route| route.arrival);
                    prop_assert_eq!(arrival(&found), arrival(&fresh));
                    if let Some(route) = found {
                        router.book(&plan, &route.hops, bytes, priority, at(now));
                        sent.push((route, bytes, priority));
                    }
                }
                Step::GiveBack { which } if !sent.is_empty() => {
                    let (route, bytes, priority) = sent.swap_remove(which % sent.len());
                    router.release(&route.hops, bytes, priority);
                }
                Step::GiveBack { .. } => {}
                Step::Lose { which } => {
                    if let Some((id, _)) = pick(&plan, which) {
                        router.contact_lost(&mut plan, id).unwrap();
                    }
                }
                Step::Shorten { which } => {
                    if let Some((id, contact)) = pick(&plan, which) {
                        let middle = (contact.start.as_nanos() + contact.end.as_nanos()).div_ceil(2);
                        let shorter = PlannedContact { end: at(middle), ..contact };
                        router.contact_changed(&mut plan, id, shorter).unwrap();
                    }
                }
                Step::Add { contact } => {
                    router.contact_added(&mut plan, contact).unwrap();
                }
            }
        }
    }

    #[test]
    fn whatever_a_plan_becomes_the_router_arrives_as_early_as_a_fresh_search(
        contacts in prop::collection::vec(any_contacts(), 3..8),
        steps in prop::collection::vec((0..3u64, 1..6u64, 0..4usize, any::<usize>(), any_contacts()), 1..16),
    ) {
        let mut plan = ContactPlan::from_contacts(contacts.into_iter().flatten()).unwrap();
        let mut router = Router::new(Duration::ZERO, 3);
        let (mut now, mut lost) = (0, Vec::new());
        for (after, to, change, which, new) in steps {
            now += after;
            let mut next = plan.clone();
            if let Some((id, contact)) = pick(&plan, which) {
                match change {
                    0 => drop(next.remove(id)),
                    1 => {
                        // Sometimes better, sometimes worse, sometimes between others.
                        let other = PlannedContact { from: contact.from, to: contact.to, ..new[0] };
                        next.update(id, other).unwrap();
                    }
                    2 => {
                        router.lose(&plan, id, at(now));
                        lost.push(id);
                    }
                    _ => {
                        for id in lost.drain(..) {
                            router.regain(&plan, id);
                        }
                    }
                }
            }
            if which % 3 == 0 {
                next.add(new[new.len() - 1]).unwrap();
            }
            router.update(&plan, &next);
            plan = next;
            let gone = router.lost().to_vec();
            for to in [to, 5] {
                let query = RouteQuery::new(FROM, NodeId(to), at(now), 2);
                let limits = Limits { lost: &gone, ..Limits::NONE };
                let fresh = earliest_arrival_within(&plan, &query, &limits, &mut RouteScratch::default());
                let found = router.route(&plan, &query, Priority::Normal);
                prop_assert_eq!(found.map(|route| route.arrival), fresh.map(|route| route.arrival));
            }
        }
    }

    #[test]
    fn equal_questions_get_equal_answers(
        contacts in any_contacts(),
        asked in prop::collection::vec((0..4u64, 1..6u64, 1..6u64), 1..20),
    ) {
        let plan = ContactPlan::from_contacts(contacts).unwrap();
        let run = || {
            let mut router = Router::new(Duration::from_nanos(3), 2);
            let mut now = 0;
            let mut answers = Vec::new();
            for (after, to, bytes) in &asked {
                now += after;
                let query = RouteQuery::new(FROM, NodeId(*to), at(now), *bytes);
                let route = router.route(&plan, &query, Priority::Normal);
                if let Some(route) = &route {
                    router.book(&plan, &route.hops, *bytes, Priority::Normal, at(now));
                }
                answers.push(route);
            }
            (answers, router.counts())
        };
        prop_assert_eq!(run(), run());
    }
}
