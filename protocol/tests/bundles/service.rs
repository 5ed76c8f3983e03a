//! The plain bundle service.

use crate::bench::{Bench, LEFT, RIGHT, Setup, UTC, eid, foreign, primary, submission};
use cosmosmesh_protocol::{
    bundle::{Bundle, BundleFlags, CrcKind, CreationTimestamp, Policy, Primary},
    delivery::RateLimit,
    dtn::strategy::{COPIES_BLOCK, RoutingConfig, read_copies},
    id::{EndpointId, NodeId},
    node::{BundleSettings, BundleSubmission, DropReason, InputError, Report, SubmitError},
    time::DtnTime,
};
use std::time::Duration;

fn named() -> BundleSettings {
    BundleSettings {
        names: vec!["us".into()],
        nodes: [("right".into(), NodeId(RIGHT))].into(),
        ..BundleSettings::default()
    }
}

#[test]
fn an_applications_bundle_goes_to_any_service_of_any_node() {
    let mut bench = Bench::new();
    bench.send(submission("ipn:3.42", b"hello")).unwrap();
    let sent = bench.sent(RIGHT);
    assert_eq!(sent.len(), 1);
    let primary = sent[0].primary();
    assert_eq!((&primary.source, &primary.destination), (&eid("ipn:2.7"), &eid("ipn:3.42")));
    assert_eq!((primary.lifetime_ms, sent[0].payload()), (600_000, &b"hello"[..]));
    assert_eq!(sent[0].check(Policy::Strict), Ok(()));
    assert!(
        matches!(&bench.reports[..], [Report::BundleAccepted { bytes: 5, id, .. }] if *id == sent[0].id())
    );
}

#[test]
fn a_foreign_bundle_is_delivered_once_even_after_a_restart() {
    let mut bench = Bench::new();
    let bundle = foreign("ipn:1.7", "ipn:2.42", 0, b"hello");
    bench.hear(LEFT, &bundle).unwrap();
    assert!(bench.hear(RIGHT, &bundle).is_err());
    bench.crash();
    assert!(bench.hear(LEFT, &bundle).is_err());
    assert_eq!(bench.payloads(), [b"hello"]);
    assert_eq!(bench.delivered[0].source, eid("ipn:1.7"));
    // Its name is forgotten when it has expired: then its lifetime refuses it.
    bench.pass(Duration::from_secs(601));
    assert!(bench.kept.is_empty(), "{:?}", bench.kept);
    bench.hear(LEFT, &bundle).unwrap();
    assert_eq!((bench.payloads().len(), bench.drops()), (1, vec![DropReason::Expired]));
}

#[test]
fn a_full_memory_of_delivered_bundles_delivers_no_more() {
    let settings = BundleSettings { max_remembered: 2, ..BundleSettings::default() };
    let mut bench = Bench::with(Setup { settings, ..Setup::default() });
    for sequence in 0..3 {
        let _ = bench.hear(LEFT, &foreign("ipn:1.7", "ipn:2.42", sequence, b"x"));
    }
    assert_eq!((bench.payloads().len(), bench.refused("delivered_memory_full")), (2, 1));
}

#[test]
fn a_peer_that_sets_no_end_to_its_bundles_does_not_fill_the_memory_for_good() {
    let max_lifetime = Duration::from_secs(1000);
    let settings = BundleSettings { max_remembered: 2, max_lifetime, ..BundleSettings::default() };
    let mut bench = Bench::with(Setup { settings, ..Setup::default() });
    let endless = |sequence, at| {
        let creation = CreationTimestamp { time: DtnTime(UTC.0 + at), sequence };
        let primary = primary("ipn:1.7", "ipn:2.42", 0);
        Bundle::new(Primary { lifetime_ms: u64::MAX, creation, ..primary }, b"x".to_vec())
    };
    // The second one claims to be made in ten minutes, the third in half an hour.
    let (first, second) = (endless(0, 0), endless(1, 600_000));
    bench.hear(LEFT, &first).unwrap();
    bench.hear(LEFT, &second).unwrap();
    bench.hear(LEFT, &endless(2, 1_800_000)).unwrap();
    assert_eq!((bench.payloads().len(), bench.drops()), (2, vec![DropReason::Expired]));
    assert!(bench.hear(LEFT, &endless(3, 0)).is_err());
    bench.pass(Duration::from_secs(500));
    bench.crash();
    assert!(bench.hear(LEFT, &endless(4, 0)).is_err());
    bench.pass(Duration::from_secs(510));
    // The first one's name is forgotten, and no copy of it is new; the second one's is not.
    bench.hear(LEFT, &first).unwrap();
    assert!(bench.hear(LEFT, &second).is_err());
    bench.hear(LEFT, &endless(5, 1_000_000)).unwrap();
    assert_eq!((bench.payloads().len(), bench.refused("duplicate_bundle")), (3, 1));
}

#[test]
fn a_flood_by_one_neighbour_leaves_room_for_short_lives_and_for_others() {
    let settings = BundleSettings { max_remembered: 256, ..BundleSettings::default() };
    let mut bench = Bench::with(Setup { settings, ..Setup::default() });
    let hear = |bench: &mut Bench, from, source: u64, lifetime_ms| {
        let primary = Primary { lifetime_ms, ..primary(&format!("ipn:{source}.7"), "ipn:2.42", source) };
        bench.hear(from, &Bundle::new(primary, b"x".to_vec()))
    };
    // Names of as many nodes as one likes are easily forged.
    let month = 29 * 86_400_000;
    for source in 1000..1300 {
        let _ = hear(&mut bench, LEFT, source, month);
    }
    assert_eq!((bench.delivered.len(), bench.refused("delivered_memory_full")), (64, 236));
    hear(&mut bench, LEFT, 5, 3_600_000).unwrap();
    hear(&mut bench, RIGHT, 6, month).unwrap();
    // And nothing comes twice.
    bench.crash();
    assert!(hear(&mut bench, RIGHT, 1000, month).is_err());
    assert_eq!((bench.delivered.len(), bench.refused("duplicate_bundle")), (66, 1));
}

#[test]
fn without_clocks_too_a_bundle_waits_no_longer_than_the_bound() {
    let settings = BundleSettings { max_lifetime: Duration::from_secs(1000), ..BundleSettings::default() };
    let mut bench = Bench::with(Setup { settings, clock: false, linked: false, ..Setup::default() });
    bench.link_up(LEFT);
    let endless = Primary { lifetime_ms: u64::MAX, ..primary("ipn:1.7", "ipn:3.42", 0) };
    let bundle = Bundle::new(endless, b"x".to_vec());
    bench.hear(LEFT, &bundle).unwrap();
    bench.pass(Duration::from_secs(1001));
    assert_eq!((bench.drops(), bench.kept.len()), (vec![DropReason::Expired], 0));
}

#[test]
fn only_registered_services_take_bundles_where_they_are_listed() {
    let settings = BundleSettings { services: Some(vec![42]), ..BundleSettings::default() };
    let mut bench = Bench::with(Setup { settings, ..Setup::default() });
    bench.hear(LEFT, &foreign("ipn:1.7", "ipn:2.42", 0, b"yes")).unwrap();
    bench.hear(LEFT, &foreign("ipn:1.7", "ipn:2.43", 1, b"no")).unwrap();
    assert_eq!((bench.payloads(), bench.drops()), (vec![&b"yes"[..]], vec![DropReason::NoDestination]));
}

#[test]
fn names_of_the_dtn_scheme_are_delivered_and_routed_by_the_tables() {
    let mut bench = Bench::with(Setup { settings: named(), ..Setup::default() });
    bench.hear(LEFT, &foreign("dtn://left/app", "dtn://us/inbox", 0, b"for us")).unwrap();
    bench.hear(LEFT, &foreign("dtn://left/app", "dtn://right/inbox", 1, b"onward")).unwrap();
    bench.hear(LEFT, &foreign("dtn://left/app", "dtn://nobody/inbox", 2, b"lost")).unwrap();
    assert_eq!((bench.payloads(), bench.drops()), (vec![&b"for us"[..]], vec![DropReason::NoRoute]));
    assert_eq!(bench.sent(RIGHT)[0].payload(), b"onward");
    let source = eid("dtn://us/app");
    bench.send(BundleSubmission { source, ..submission("dtn://right/inbox", b"own") }).unwrap();
    let sent = bench.sent(RIGHT);
    assert_eq!((&sent[0].primary().source, sent[0].payload()), (&eid("dtn://us/app"), &b"own"[..]));
}

#[test]
fn what_a_submission_may_not_ask_is_refused() {
    let mut bench = Bench::with(Setup { settings: named(), ..Setup::default() });
    let mut refused = |submission| match bench.send(submission) {
        Err(InputError::Submit(error)) => error,
        other => panic!("{other:?}"),
    };
    let good = submission("ipn:3.42", b"x");
    assert_eq!(
        refused(BundleSubmission { source: eid("ipn:3.7"), ..good.clone() }),
        SubmitError::ForeignSource
    );
    assert_eq!(refused(submission("dtn:none", b"x")), SubmitError::UnknownName);
    assert_eq!(refused(submission("dtn://nobody/", b"x")), SubmitError::UnknownName);
    let flags = BundleFlags::ADMINISTRATIVE_RECORD;
    assert_eq!(refused(BundleSubmission { flags, ..good.clone() }), SubmitError::Flags { found: 2 });
    // An anonymous bundle may neither be fragmented nor reported on (RFC 9171 §4.2.3).
    let anonymous = BundleSubmission { source: EndpointId::Null, ..good };
    assert_eq!(refused(anonymous.clone()), SubmitError::Flags { found: 0 });
    let flags = BundleFlags::MUST_NOT_FRAGMENT;
    bench.send(BundleSubmission { flags, ..anonymous }).unwrap();
    assert_eq!(bench.sent(RIGHT)[0].primary().source, EndpointId::Null);
}

#[test]
fn a_submission_is_accepted_when_it_is_durable_and_survives_a_crash() {
    let mut bench = Bench::with(Setup { slow_disk: true, ..Setup::default() });
    bench.send(submission("ipn:3.42", b"hello")).unwrap();
    assert!(bench.reports.is_empty());
    bench.answer();
    assert!(matches!(bench.reports[..], [Report::BundleAccepted { .. }]));
    bench.crash();
    assert_eq!(bench.sent(RIGHT)[0].payload(), b"hello");
}

#[test]
fn a_bundle_to_the_node_itself_is_delivered_without_a_link() {
    let mut bench = Bench::new();
    bench.send(submission("ipn:2.42", b"note")).unwrap();
    assert_eq!(bench.payloads(), [b"note"]);
}

#[test]
fn a_bundle_to_the_node_itself_is_accepted_when_its_delivery_is_durable_and_not_otherwise() {
    let settings =
        BundleSettings { max_remembered: 1, services: Some(vec![42]), ..BundleSettings::default() };
    let mut bench = Bench::with(Setup { slow_disk: true, settings, ..Setup::default() });
    bench.send(submission("ipn:2.42", b"note")).unwrap();
    assert!(bench.reports.is_empty());
    bench.answer();
    let [Report::BundleAccepted { destination, .. }] = &bench.reports[..] else {
        panic!("{:?}", bench.reports)
    };
    assert_eq!(*destination, eid("ipn:2.42"));
    let refused = |error| Err(InputError::Submit(error));
    assert_eq!(bench.send(submission("ipn:2.43", b"note")), refused(SubmitError::UnknownName));
    assert_eq!(bench.send(submission("ipn:2.42", b"full")), refused(SubmitError::StoreFull));
    bench.answer();
    assert_eq!((bench.reports.len(), bench.payloads().len()), (1, 1));
}

#[test]
fn bundles_too_are_submitted_no_faster_than_allowed() {
    let submission_rate = Some(RateLimit { bytes_per_second: 8, burst_bytes: 8 });
    let mut bench = Bench::with(Setup { submission_rate, ..Setup::default() });
    bench.send(submission("ipn:3.42", b"12345678")).unwrap();
    let refused = bench.send(submission("ipn:3.42", b"12345678"));
    assert!(matches!(refused, Err(InputError::Submit(SubmitError::RateExceeded(_)))));
}

#[test]
fn our_own_bundle_that_comes_back_goes_no_further() {
    let mut bench = Bench::new();
    bench.send(submission("ipn:3.42", b"hello")).unwrap();
    let sent = bench.sent(RIGHT);
    bench.hear(LEFT, &sent[0]).unwrap();
    bench.hear(LEFT, &foreign("ipn:2.7", "ipn:2.42", 9, b"forged")).unwrap();
    assert_eq!(bench.drops(), [DropReason::Loop, DropReason::Loop]);
    assert!(bench.sent(RIGHT).is_empty() && bench.payloads().is_empty());
}

#[test]
fn a_peer_is_judged_by_its_own_policy() {
    let settings =
        BundleSettings { policies: [(NodeId(LEFT), Policy::Lenient)].into(), ..BundleSettings::default() };
    let mut bench = Bench::with(Setup { settings, ..Setup::default() });
    let bare = Primary { crc: CrcKind::None, ..primary("ipn:1.7", "ipn:2.42", 0) };
    let bare = Bundle::new(bare, b"bare".to_vec());
    assert!(bench.hear(RIGHT, &bare).is_err());
    assert_eq!(bench.refused("unprotected_primary"), 1);
    bench.hear(LEFT, &bare).unwrap();
    assert_eq!(bench.payloads(), [b"bare"]);
}

#[test]
fn a_bundle_for_nobody_is_dropped() {
    let mut bench = Bench::new();
    for (sequence, destination) in ["dtn:none", "ipn:0.0", "ipn:0.9"].into_iter().enumerate() {
        bench.hear(LEFT, &foreign("ipn:1.7", destination, sequence as u64, b"x")).unwrap();
    }
    assert_eq!(bench.drops(), [DropReason::NoDestination; 3]);
    assert!(bench.sent(RIGHT).is_empty() && bench.payloads().is_empty());
}

#[test]
fn a_bundle_on_its_way_grows_older_while_the_node_is_down() {
    let mut bench = Bench::with(Setup { linked: false, ..Setup::default() });
    let mut bundle = foreign("ipn:1.7", "ipn:3.42", 0, b"x");
    bundle.set_age_ms(1000);
    bench.link_up(LEFT);
    bench.hear(LEFT, &bundle).unwrap();
    bench.now = bench.now.saturating_add(Duration::from_secs(100));
    bench.crash();
    bench.link_up(RIGHT);
    let age = bench.sent(RIGHT)[0].age_ms().unwrap();
    assert!((101_000..102_000).contains(&age), "{age}");
}

#[test]
fn a_bundle_without_room_after_a_restart_waits_on_the_disk() {
    let mut bench = Bench::with(Setup { linked: false, ..Setup::default() });
    for payload in [b"one", b"two"] {
        bench.send(submission("ipn:3.42", payload)).unwrap();
    }
    bench.setup.store.count = 1;
    bench.crash();
    assert_eq!((bench.node.stored(), bench.kept.len()), (1, 2));
    bench.setup.store.count = 2;
    bench.crash();
    assert_eq!((bench.node.stored(), bench.kept.len()), (2, 2));
}

#[test]
fn what_a_payload_counts_survives_a_restart() {
    let mut bench = Bench::with(Setup { linked: false, ..Setup::default() });
    bench.send(BundleSubmission { absent: 500, ..submission("ipn:3.42", b"") }).unwrap();
    let before: Vec<Vec<u8>> = bench.kept.values().cloned().collect();
    bench.crash();
    // The record that was made anew of what is in the store.
    let after: Vec<Vec<u8>> = bench.kept.values().cloned().collect();
    assert_eq!((after[0][0] & 0x80, after), (0x80, before));
}

#[test]
fn after_a_restart_a_bundle_has_one_copy_left() {
    let routing = RoutingConfig::SprayAndWait { copies: 8, binary: true, settings: Default::default() };
    let mut bench = Bench::with(Setup { routing, linked: false, ..Setup::default() });
    bench.send(submission("ipn:3.42", b"x")).unwrap();
    bench.crash();
    let record = bench.kept.values().next().unwrap();
    let bundle = Bundle::decode(&record[17..]).unwrap();
    assert_eq!(bundle.block(COPIES_BLOCK).map(|block| read_copies(&block.data)), Some(Some(1)));
}
