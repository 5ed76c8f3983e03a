//! The plain bundle service.

use crate::bench::{Bench, LEFT, RIGHT, Setup, eid, foreign, primary, submission};
use cosmosmesh_protocol::{
    bundle::{Bundle, BundleFlags, CrcKind, Policy, Primary},
    id::{EndpointId, NodeId},
    node::{BundleSettings, BundleSubmission, DropReason, InputError, Report, SubmitError},
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
    assert!(matches!(&bench.reports[..], [Report::BundleAccepted { bytes: 5, id }] if *id == sent[0].id()));
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
    assert_eq!((bench.payloads(), bench.drops()), (vec![&b"for us"[..]], vec![DropReason::NoDestination]));
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
