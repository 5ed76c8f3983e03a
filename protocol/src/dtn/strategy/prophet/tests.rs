//! The equations of RFC 6693 §2.1, and the laws that follow.

use super::*;
use crate::{
    bundle::{BundleId, CreationTimestamp},
    dtn::store::Priority,
};
use proptest::prelude::prop;
use proptest::{prelude::any, prop_assert, prop_oneof, proptest};

const HOUR: u64 = 3600;

fn at(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * 1_000_000_000)
}

fn value(p: Probability) -> f64 {
    f64::from(p.0) / 4_294_967_296.0
}

fn assert_near(found: Probability, expected: f64) {
    assert!((value(found) - expected).abs() < 1e-7, "{found} is not {expected}");
}

fn to(destination: u64) -> Carried {
    let id =
        BundleId { source: NodeId(1).endpoint(1), creation: CreationTimestamp::default(), fragment: None };
    Carried::new(id, NodeId(destination), Priority::Normal, Instant::MAX)
}

/// Node 1 with no aging in whole hours of this test.
fn ageless() -> Prophet {
    let config = ProphetConfig { time_unit: Duration::from_secs(1000 * HOUR), ..ProphetConfig::default() };
    Prophet::new(NodeId(1), config)
}

#[test]
fn the_constants_are_those_of_figure_3() {
    let config = ProphetConfig::default();
    let found = [
        config.encounter_max,
        config.encounter_first,
        config.first_threshold,
        config.beta,
        config.gamma,
        config.delta,
    ];
    for (found, expected) in found.into_iter().zip([0.7, 0.5, 0.1, 0.9, 0.999, 0.01]) {
        assert_near(found, expected);
    }
}

#[test]
fn a_first_encounter_and_one_after_a_typical_interval_follow_equation_1() {
    let mut node = ageless();
    node.on_encounter(at(0), NodeId(2));
    assert_near(node.predictability(NodeId(2)), 0.5);
    node.on_encounter(at(1800), NodeId(2));
    // 0.5 + (1 − 0.01 − 0.5) · 0.7
    assert_near(node.predictability(NodeId(2)), 0.843);
}

#[test]
fn an_encounter_that_follows_fast_weighs_less() {
    let mut node = ageless();
    node.on_encounter(at(0), NodeId(2));
    node.on_encounter(at(450), NodeId(2));
    // 0.5 + (1 − 0.01 − 0.5) · 0.7 · 450 / 1800
    assert_near(node.predictability(NodeId(2)), 0.58575);
    node.on_encounter(at(450), NodeId(2));
    assert_near(node.predictability(NodeId(2)), 0.58575);
}

#[test]
fn predictabilities_age_by_equation_2_in_whole_time_units() {
    let config = ProphetConfig { time_unit: Duration::from_secs(30), ..ProphetConfig::default() };
    let mut node = Prophet::new(NodeId(1), config);
    node.on_encounter(at(0), NodeId(2));
    assert_near(node.predictabilities(at(29), 10)[0].1, 0.5);
    assert_near(node.predictabilities(at(59), 10)[0].1, 0.5 * 0.999);
    // The second unit began at 30 s, not at 59 s.
    assert_near(node.predictabilities(at(60), 10)[0].1, 0.5 * 0.999 * 0.999);
    let expected = 0.5 * libm::pow(0.999, 120.0);
    assert_near(node.predictabilities(at(3600), 10)[0].1, expected);
    assert!(node.predictabilities(at(10_000 * HOUR), 10).is_empty(), "what is next to nothing is forgotten");
}

#[test]
fn after_decay_below_the_threshold_an_encounter_counts_as_the_first() {
    let mut node = Prophet::new(NodeId(1), ProphetConfig::default());
    node.on_encounter(at(0), NodeId(2));
    // 0.5 · 0.999^2000 ≈ 0.0676 < 0.1
    node.on_encounter(at(2000), NodeId(2));
    assert_near(node.predictability(NodeId(2)), 0.5);
}

#[test]
fn predictabilities_are_transitive_by_equation_3() {
    let mut node = ageless();
    node.on_encounter(at(0), NodeId(2));
    let told = [(NodeId(1), Probability::MAX), (NodeId(3), Probability::from_millionths(800_000))];
    node.on_predictabilities(at(0), NodeId(2), &told);
    assert_near(node.predictability(NodeId(3)), 0.5 * 0.8 * 0.9);
    assert_eq!(node.predictability(NodeId(1)), Probability::ZERO, "of itself a node keeps none");
    let told = [(NodeId(3), Probability::from_millionths(100_000))];
    node.on_predictabilities(at(0), NodeId(2), &told);
    assert_near(node.predictability(NodeId(3)), 0.5 * 0.8 * 0.9);
}

#[test]
fn a_copy_goes_to_whom_is_likelier_to_meet_the_destination() {
    let mut node = ageless();
    for peer in [2, 4] {
        node.on_encounter(at(0), NodeId(peer));
    }
    node.on_predictabilities(at(0), NodeId(2), &[(NodeId(3), Probability::from_millionths(800_000))]);
    assert!(node.offers(NodeId(2), &to(3)), "0.8 there, 0.36 here");
    assert!(!node.offers(NodeId(2), &to(4)), "nothing there, 0.5 here");
    assert!(!node.offers(NodeId(5), &to(3)), "nothing is known of it");
    node.on_parting(NodeId(2));
    assert!(!node.offers(NodeId(2), &to(3)), "what was told is void");
}

#[test]
fn gtmx_stops_after_so_many_neighbours() {
    let config = ProphetConfig { forwarding: Forwarding::GreaterUpTo(2), ..ProphetConfig::default() };
    let mut node = Prophet::new(NodeId(1), config);
    node.on_encounter(at(0), NodeId(2));
    node.on_predictabilities(at(0), NodeId(2), &[(NodeId(3), Probability::from_millionths(800_000))]);
    assert!(node.offers(NodeId(2), &Carried { given: 1, ..to(3) }));
    assert!(!node.offers(NodeId(2), &Carried { given: 2, ..to(3) }));
}

#[test]
fn a_full_table_lets_the_least_likely_go() {
    let config = ProphetConfig { max_nodes: 2, ..ProphetConfig::default() };
    let mut node = Prophet::new(NodeId(1), config);
    node.on_encounter(at(0), NodeId(2));
    node.on_predictabilities(at(0), NodeId(2), &[(NodeId(7), Probability::from_millionths(200_000))]);
    node.on_predictabilities(at(0), NodeId(2), &[(NodeId(8), Probability::from_millionths(100_000))]);
    assert_eq!((node.known(), node.predictability(NodeId(8))), (2, Probability::ZERO));
    node.on_encounter(at(0), NodeId(9));
    assert_eq!((node.known(), node.predictability(NodeId(7))), (2, Probability::ZERO));
    assert_eq!(node.predictabilities(at(0), 1).len(), 1);
}

#[derive(Clone, Debug)]
enum Event {
    Meet(u64),
    Told(u64, Vec<(u64, u32)>),
    Part(u64),
}

fn event() -> impl proptest::strategy::Strategy<Value = Event> {
    use proptest::strategy::Strategy as _;
    let node = 2_u64..8;
    let told = prop::collection::btree_map(1_u64..20, any::<u32>(), 0..10);
    prop_oneof![
        node.clone().prop_map(Event::Meet),
        (node.clone(), told).prop_map(|(peer, told)| Event::Told(peer, told.into_iter().collect())),
        node.prop_map(Event::Part),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_predictabilities_stay_below_one_less_delta(
        events in prop::collection::vec((0_u64..5_000, event()), 0..100),
    ) {
        let config = ProphetConfig { max_nodes: 8, ..ProphetConfig::default() };
        let mut node = Prophet::new(NodeId(1), config);
        let most = Probability::MAX.minus(config.delta);
        let mut now = 0;
        for (pause, event) in events {
            now += pause;
            match event {
                Event::Meet(peer) => node.on_encounter(at(now), NodeId(peer)),
                Event::Told(peer, told) => {
                    let told: Vec<_> = told.into_iter().map(|(node, p)| (NodeId(node), Probability(p))).collect();
                    node.on_predictabilities(at(now), NodeId(peer), &told);
                }
                Event::Part(peer) => node.on_parting(NodeId(peer)),
            }
            prop_assert!(node.known() <= 8);
            for (_, p) in node.predictabilities(at(now), 8) {
                prop_assert!(p <= most && p > Probability::ZERO);
            }
        }
    }

    #[test]
    fn aging_never_raises_and_two_steps_are_nearly_one(first in 0_u64..2_000, second in 0_u64..2_000) {
        let aged = |steps: &[u64]| {
            let mut node = Prophet::new(NodeId(1), ProphetConfig::default());
            node.on_encounter(at(0), NodeId(2));
            let mut now = 0;
            for step in steps {
                now += step;
                node.predictabilities(at(now), 1);
            }
            node.predictability(NodeId(2))
        };
        let (once, twice) = (aged(&[first + second]), aged(&[first, second]));
        prop_assert!(twice <= aged(&[first]));
        prop_assert!((value(once) - value(twice)).abs() < 5e-6);
    }
}
