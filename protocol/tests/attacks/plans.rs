//! Attacks on the plan: numbers that are none, members that claim too much, coordinators that are none or tell two stories.

use crate::fleet::{Fleet, keys};
use cosmosmesh_protocol::{
    envelope::Purpose,
    id::NodeId,
    log::Event,
    node::{Input, PlanConfig, PrivacyConfig, Requests},
    planning::{
        Outcome,
        generate::{Binding, FleetSpec},
        notice::Notice,
        privacy::Receipt,
        secure::{Enrolment, EpochSeed, MaskedRequest, Opening, Width},
        solver::{Contribution, Kind, MethodSettings, Pace, Question, Request},
    },
};
use std::{sync::Arc, time::Duration};

const HOUR: Duration = Duration::from_secs(3600);

/// Hosts of a plan that `coordinator` coordinates, each by itself: the attacker brings what he likes.
fn alone(hosts: &[(u64, u64, &[u64])], coordinator: u64) -> Fleet {
    let spec = FleetSpec { assets: 4, slots: 4, binding: Binding::Mixed, ..FleetSpec::published(5, 10.0) };
    let problem = spec.draw().expect("valid").problem;
    Fleet::built(hosts, &[], |_, config| {
        let own = problem.locals().iter().find(|(id, _)| *id == config.id);
        config.plan = Some(PlanConfig {
            coordinator: NodeId(coordinator),
            successors: Vec::new(),
            succession: None,
            participants: [2, 3].map(NodeId).to_vec(),
            joiners: Vec::new(),
            horizon: 0,
            requests: Requests { own: Vec::new(), couplings: Vec::new() },
            absence: None,
            settings: MethodSettings::of(Kind::Exchange),
            auto: None,
            pace: Pace { deadline: HOUR, quorum: 2, ..Pace::default() },
            couplings: problem.couplings().clone(),
            problem: own.map(|(_, problem)| problem.clone()),
            privacy: None,
            lifetime: 24 * HOUR,
        });
    })
}

/// The same with masks of three members: node 2 coordinates, node 1 is to succeed it, and keys are there for two epochs.
fn masked(hosts: &[(u64, u64, &[u64])], kind: Kind) -> Fleet {
    masked_for(hosts, kind, 2)
}

fn masked_for(hosts: &[(u64, u64, &[u64])], kind: Kind, epochs: u64) -> Fleet {
    let spec = FleetSpec { assets: 4, slots: 4, binding: Binding::Mixed, ..FleetSpec::published(5, 10.0) };
    let problem = spec.draw().expect("valid").problem;
    let seed = |node: u64| EpochSeed::new([0x60 | node as u8; 32]);
    let members = |nodes: &[u64]| nodes.iter().map(|node| (NodeId(*node), seed(*node))).collect::<Vec<_>>();
    let mut enrolment = Enrolment {
        plan: 1,
        k_min: 2,
        cohort: 2,
        changes: 2,
        threshold: 0,
        recoveries: 0,
        greatest: 1 << 34,
        total: None,
        grain: 0,
        epochs: Vec::new(),
    };
    enrolment.epochs = enrolment.published(&members(&[1, 3]), &members(&[2, 3]), epochs);
    let enrolment = Arc::new(enrolment);
    Fleet::built(hosts, &[], |_, config| {
        let own = problem.locals().iter().find(|(id, _)| *id == config.id);
        config.plan = Some(PlanConfig {
            coordinator: NodeId(2),
            successors: vec![NodeId(1)],
            succession: None,
            participants: [2, 3].map(NodeId).to_vec(),
            joiners: Vec::new(),
            horizon: 0,
            requests: Requests { own: Vec::new(), couplings: Vec::new() },
            absence: None,
            settings: MethodSettings::of(kind),
            auto: None,
            pace: Pace { deadline: HOUR, quorum: 2, ..Pace::default() },
            couplings: problem.couplings().clone(),
            problem: own.map(|(_, problem)| problem.clone()),
            privacy: Some(PrivacyConfig {
                enrolment: Arc::clone(&enrolment),
                seed: seed(config.id.0),
                noise: None,
                delta: 1e-6,
                patience: HOUR,
                changes: 2,
            }),
            lifetime: 24 * HOUR,
        });
    })
}

/// What a coordinator of a term asks first under masks.
fn masked_request(couplings: usize, term: u32, question: Question) -> Vec<u8> {
    let receipt = Receipt { epoch: u64::from(term) + 1, generation: 1, counted: 0, resolved: 0 };
    let request = Request { term, question, ..request(couplings, 0.5, None) };
    MaskedRequest { request, receipt }.encode()
}

/// What the victim's modules refuse of a message of the plan.
fn bring(fleet: &mut Fleet, (from, to): (u64, u64), sequence: u64, payload: &[u8]) -> Vec<&'static str> {
    let known = fleet.module_refusals(to).len();
    let header = fleet.header(from, to, Purpose::Plan, sequence);
    assert_eq!(fleet.forge_bytes(&keys(from), header, payload), None, "the envelope is the member's");
    fleet.module_refusals(to).split_off(known)
}

fn entries(fleet: &Fleet) -> usize {
    let _ = fleet;
    // Shares of the exchange, and two squares.
    let spec = FleetSpec { assets: 4, slots: 4, binding: Binding::Mixed, ..FleetSpec::published(5, 10.0) };
    spec.draw().expect("valid").problem.couplings().len() + 2
}

#[test]
fn numbers_that_are_none_and_claims_beyond_all_bounds_are_refused() {
    let mut fleet = alone(&[(3, 3, &[])], 3);
    fleet.input(3, Input::StartPlan).expect("it coordinates");
    let count = entries(&fleet);
    // An answer is a list of whole numbers: a float has no place in it, whatever it says.
    let floats = |value: f64| {
        let mut bytes = vec![0x85, 0, 0, 1, 0, 0x98, count as u8];
        for _ in 0..count {
            bytes.push(0xfb);
            bytes.extend_from_slice(&value.to_be_bytes());
        }
        bytes
    };
    let mut sequence = 0;
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308, 0.5] {
        sequence += 1;
        assert_eq!(bring(&mut fleet, (2, 3), sequence, &floats(value)), ["plan_malformed"], "{value}");
    }
    let answer = |entry: i64| {
        let entries = vec![entry; count];
        Contribution { horizon: 0, term: 0, round: 1, base: 0, entries }.encode()
    };
    for entry in [i64::MAX, i64::MIN, 1 << 60] {
        sequence += 1;
        assert_eq!(bring(&mut fleet, (2, 3), sequence, &answer(entry)), ["plan_magnitude"], "{entry}");
    }
    // An observer contributes nothing, and an answer within bounds is taken.
    assert_eq!(bring(&mut fleet, (4, 3), 1, &answer(0)), ["denied"]);
    assert!(bring(&mut fleet, (2, 3), sequence + 1, &answer(1 << 30)).is_empty());
}

fn request(couplings: usize, price: f64, committed: Option<Outcome>) -> Request {
    Request {
        horizon: 0,
        term: 0,
        round: 1,
        accepted: 0,
        committed,
        unit: 1.0,
        prices: vec![price; couplings],
        question: Question::Exchange { rho: 1.0, relaxation: 1.0, shift: vec![0.0; couplings] },
    }
}

#[test]
fn prices_that_are_no_numbers_and_coordinators_that_are_none_are_refused() {
    let mut fleet = alone(&[(3, 3, &[])], 2);
    let couplings = entries(&fleet) - 2;
    let before = fleet.hosts[&3].node.plan_values().expect("a plan").to_vec();
    for (number, price) in [f64::NAN, f64::INFINITY, 1e308, -1e16].into_iter().enumerate() {
        let bytes = request(couplings, price, None).encode();
        assert_eq!(bring(&mut fleet, (2, 3), number as u64 + 1, &bytes), ["plan_malformed"], "{price}");
    }
    // Node 1 may coordinate by its role, and does not coordinate this plan.
    let bytes = request(couplings, 1.0, None).encode();
    assert_eq!(bring(&mut fleet, (1, 3), 1, &bytes), ["plan_not_coordinator"]);
    // An observer has no right to.
    assert_eq!(bring(&mut fleet, (4, 3), 1, &bytes), ["denied"]);
    assert_eq!(fleet.hosts[&3].node.plan_values().expect("a plan"), before);
    assert!(bring(&mut fleet, (2, 3), 5, &bytes).is_empty());
}

#[test]
fn a_coordinator_that_tells_two_stories_leaves_them_in_two_logs() {
    let mut fleet = alone(&[(3, 3, &[]), (1, 1, &[])], 2);
    let couplings = entries(&fleet) - 2;
    for (to, price) in [(3, 1.0), (1, 2.0)] {
        let open = request(couplings, price, None).encode();
        assert!(bring(&mut fleet, (2, to), 1, &open).is_empty());
        let commit = Request { round: 2, ..request(couplings, price, Some(Outcome::Converged)) }.encode();
        assert!(bring(&mut fleet, (2, to), 2, &commit).is_empty());
    }
    let told = |name: u64| {
        fleet.events(name).into_iter().find_map(|event| match event {
            Event::PlanCommitted { horizon: 0, term: 0, round: 2, version, .. } => Some(version),
            _ => None,
        })
    };
    let (one, other) = (told(3), told(1));
    assert!(one.is_some() && other.is_some());
    assert_ne!(one, other, "an audit of both names the version: `cosmosmesh audit` says two plans");
}

#[test]
fn an_epoch_without_keys_deposes_nobody() {
    let mut fleet = masked(&[(3, 3, &[])], Kind::Exchange);
    let couplings = entries(&fleet) - 2;
    let entries = couplings + 2;
    let exchange = || Question::Exchange { rho: 1.0, relaxation: 1.0, shift: vec![0.0; couplings] };
    let opening = |epoch| Opening { epoch, entries, width: Width::Shares }.encode();
    // A candidate that goes far ahead: the third term is its own, and nobody published keys for it.
    assert_eq!(bring(&mut fleet, (1, 3), 1, &opening(4)), ["plan_not_coordinator"]);
    let call = Notice::Call { horizon: 0, term: 3, round: 1 }.encode();
    assert_eq!(bring(&mut fleet, (1, 3), 2, &call), ["plan_not_coordinator"]);
    let request = masked_request(couplings, 3, exchange());
    assert_eq!(bring(&mut fleet, (1, 3), 3, &request), ["plan_not_coordinator"]);
    let follows = Notice::Follows { horizon: 0, term: 3, committed: false }.encode();
    assert_eq!(bring(&mut fleet, (1, 3), 4, &follows), ["plan_not_coordinator"]);
    let stand = Notice::Stand { horizon: 0, term: 3, tries: 0 }.encode();
    assert_eq!(bring(&mut fleet, (1, 3), 5, &stand), ["plan_not_coordinator"]);
    // The coordinator is still the one that is answered.
    assert!(bring(&mut fleet, (2, 3), 1, &opening(1)).is_empty());
    assert!(bring(&mut fleet, (2, 3), 2, &masked_request(couplings, 0, exchange())).is_empty());
    // With keys the successor takes over, and the first one is answered no more.
    assert!(bring(&mut fleet, (1, 3), 6, &opening(2)).is_empty());
    let late = masked_request(couplings, 0, exchange());
    assert_eq!(bring(&mut fleet, (2, 3), 3, &late), ["plan_not_coordinator"]);
}

#[test]
fn an_epoch_far_ahead_deposes_nobody_although_there_are_keys_for_it() {
    let mut fleet = masked_for(&[(3, 3, &[])], Kind::Exchange, 40);
    let couplings = entries(&fleet) - 2;
    let entries = couplings + 2;
    let exchange = || Question::Exchange { rho: 1.0, relaxation: 1.0, shift: vec![0.0; couplings] };
    let opening = |epoch| Opening { epoch, entries, width: Width::Shares }.encode();
    let refused = ["plan_not_coordinator"];
    let mut number = 0;
    let mut say = |fleet: &mut Fleet, payload: &[u8]| {
        number += 1;
        bring(fleet, (1, 3), number, payload)
    };
    // The last term that there are keys for is the candidate's, in whatever words it says so, before anybody was heard and after.
    for heard in [false, true] {
        if heard {
            assert!(bring(&mut fleet, (2, 3), 1, &masked_request(couplings, 0, exchange())).is_empty());
        }
        assert_eq!(say(&mut fleet, &opening(40)), refused);
        assert_eq!(say(&mut fleet, &Notice::Call { horizon: 0, term: 39, round: 1 }.encode()), refused);
        assert_eq!(say(&mut fleet, &masked_request(couplings, 39, exchange())), refused);
        assert_eq!(
            say(&mut fleet, &Notice::Follows { horizon: 0, term: 39, committed: false }.encode()),
            refused
        );
        assert_eq!(say(&mut fleet, &Notice::Stand { horizon: 0, term: 39, tries: 0 }.encode()), refused);
    }
    assert!(bring(&mut fleet, (2, 3), 2, &masked_request(couplings, 0, exchange())).is_empty());
    // It takes its turn, and its next ones as often as the committee has seats, and no more in the horizon.
    for epoch in [2, 4, 6] {
        assert!(say(&mut fleet, &opening(epoch)).is_empty(), "{epoch}");
    }
    for epoch in [8, 10, 40] {
        assert_eq!(say(&mut fleet, &opening(epoch)), refused, "{epoch}");
    }
    // The other candidate's turn comes after it.
    assert!(bring(&mut fleet, (2, 3), 3, &opening(7)).is_empty());
}

#[test]
fn who_was_out_of_contact_for_long_follows_whoever_coordinates_now() {
    let mut fleet = masked_for(&[(3, 3, &[])], Kind::Exchange, 40);
    let couplings = entries(&fleet) - 2;
    let entries = couplings + 2;
    let exchange = || Question::Exchange { rho: 1.0, relaxation: 1.0, shift: vec![0.0; couplings] };
    assert!(bring(&mut fleet, (2, 3), 1, &masked_request(couplings, 0, exchange())).is_empty());
    let opening = Opening { epoch: 30, entries, width: Width::Shares }.encode();
    assert_eq!(bring(&mut fleet, (1, 3), 1, &opening), ["plan_not_coordinator"]);
    fleet.run_for(2 * HOUR);
    assert!(bring(&mut fleet, (1, 3), 2, &opening).is_empty());
}

#[test]
fn a_question_of_another_kind_than_the_missions_is_not_answered() {
    // Masks are not bound to questions that may be of any age: a plan with rounds is not asked such.
    let mut fleet = masked(&[(3, 3, &[])], Kind::Exchange);
    let couplings = entries(&fleet) - 2;
    let exchange = Question::Exchange { rho: 1.0, relaxation: 1.0, shift: vec![0.0; couplings] };
    let proximal = Question::Proximal { rho: 1.0, shift: vec![0.0; couplings] };
    let asked = masked_request(couplings, 0, proximal.clone());
    assert_eq!(bring(&mut fleet, (2, 3), 1, &asked), ["plan_question"]);
    assert!(bring(&mut fleet, (2, 3), 2, &masked_request(couplings, 0, exchange)).is_empty());
    let mut fleet = masked(&[(3, 3, &[])], Kind::AsynchronousExchange);
    assert!(bring(&mut fleet, (2, 3), 1, &masked_request(couplings, 0, proximal)).is_empty());
}

#[test]
fn under_masks_nobody_bids_and_nobody_is_granted_anything_alone() {
    let mut fleet = masked(&[(3, 3, &[])], Kind::Exchange);
    let couplings = entries(&fleet) - 2;
    let call = Notice::Call { horizon: 1, term: 0, round: 4 }.encode();
    let allotment = Notice::Allotment { horizon: 1, term: 0, attempt: 1, granted: vec![0] }.encode();
    for (sequence, notice) in [call, allotment].iter().enumerate() {
        assert_eq!(bring(&mut fleet, (2, 3), 1 + sequence as u64, notice), ["plan_question"]);
    }
    // Nor is anybody asked by thresholds where the mission has no requests.
    let brackets = vec![(0, 9); couplings];
    let whole = Question::Whole { brackets, bins: 1, filler: 2, wide: false };
    assert_eq!(bring(&mut fleet, (2, 3), 3, &masked_request(couplings, 0, whole)), ["plan_question"]);
}

#[test]
fn a_contributor_gives_no_orders_in_the_form_of_a_notice() {
    // Node 3 may contribute, and has a right to nothing else; by the plan's own settings it would lead.
    let mut fleet = alone(&[(2, 2, &[])], 3);
    let call = Notice::Call { horizon: 0, term: 0, round: 1 }.encode();
    let granted = vec![0; 4];
    let allotment = Notice::Allotment { horizon: 0, term: 0, attempt: 1, granted }.encode();
    for (sequence, notice) in [call, allotment].iter().enumerate() {
        assert_eq!(bring(&mut fleet, (3, 2), 1 + sequence as u64, notice), ["denied"]);
    }
    let join = Notice::Join.encode();
    assert!(!bring(&mut fleet, (3, 2), 3, &join).contains(&"denied"), "it may want to take part");
}
