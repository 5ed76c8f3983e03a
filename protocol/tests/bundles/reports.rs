//! Status reports (RFC 9171 §5 and §6.1.1).

use crate::bench::{Bench, LEFT, RIGHT, Setup, UTC, eid, flagged, foreign, primary, submission};
use cosmosmesh_protocol::{
    bundle::{
        AdministrativeRecord, Bundle, BundleFlags, HopCount, Primary, ReportReason, Status, StatusReport,
    },
    dtn::strategy::{RoutingConfig, SpreadSettings, Summary},
    id::EndpointId,
    node::{BundleSettings, BundleSubmission, DropReason, Report, StatusReportSettings},
    time::DtnTime,
};
use std::time::Duration;

fn reporting() -> Setup {
    let status_reports = Some(StatusReportSettings::default());
    Setup { settings: BundleSettings { status_reports, ..BundleSettings::default() }, ..Setup::default() }
}

/// The reports that the node has for the left neighbour: what came over a bundle, and why.
fn reports(bench: &mut Bench) -> Vec<(Status, ReportReason, Option<DtnTime>)> {
    bench.pass(Duration::ZERO);
    let mut found = Vec::new();
    for bundle in bench.sent(LEFT) {
        assert!(bundle.primary().flags.contains(BundleFlags::ADMINISTRATIVE_RECORD));
        assert_eq!(bundle.primary().source, eid("ipn:2.0"));
        assert_eq!(bundle.primary().destination, eid("ipn:1.9"));
        assert_eq!(bundle.primary().report_to, EndpointId::Null);
        let Ok(AdministrativeRecord::StatusReport(report)) = AdministrativeRecord::decode(bundle.payload())
        else {
            panic!("not a status report")
        };
        let all = [Status::Received, Status::Forwarded, Status::Delivered, Status::Deleted];
        let happened: Vec<_> = all.iter().zip(report.items).filter_map(|(s, i)| Some((*s, i?))).collect();
        assert_eq!(happened.len(), 1);
        found.push((happened[0].0, report.reason, happened[0].1));
    }
    found
}

#[test]
fn reception_forwarding_and_delivery_are_reported_on_request_and_with_the_time_only_if_asked() {
    let mut bench = Bench::with(reporting());
    let timed = BundleFlags::ANY_REPORT.with(BundleFlags::STATUS_TIME_REQUESTED);
    bench.hear(LEFT, &flagged("ipn:2.42", 0, timed, b"for us")).unwrap();
    assert_eq!(
        reports(&mut bench),
        [
            (Status::Received, ReportReason::NONE, Some(UTC)),
            (Status::Delivered, ReportReason::NONE, Some(UTC))
        ]
    );
    bench.hear(LEFT, &flagged("ipn:3.42", 1, BundleFlags::ANY_REPORT, b"onward")).unwrap();
    assert_eq!(bench.sent(RIGHT).len(), 1);
    assert_eq!(
        reports(&mut bench),
        [(Status::Received, ReportReason::NONE, None), (Status::Forwarded, ReportReason::NONE, None)]
    );
}

#[test]
fn a_delivery_is_reported_when_it_is_durable() {
    let mut bench = Bench::with(Setup { slow_disk: true, ..reporting() });
    bench.hear(LEFT, &flagged("ipn:2.42", 0, BundleFlags::REPORT_DELIVERY, b"x")).unwrap();
    assert_eq!(reports(&mut bench), []);
    bench.answer();
    assert_eq!(reports(&mut bench), [(Status::Delivered, ReportReason::NONE, None)]);
}

#[test]
fn neighbours_hear_of_a_delivery_when_it_is_durable() {
    let routing = RoutingConfig::Epidemic(SpreadSettings { purge_delivered: true, ..Default::default() });
    let mut bench = Bench::with(Setup { slow_disk: true, routing, ..Setup::default() });
    bench.hear(LEFT, &foreign("ipn:1.7", "ipn:2.42", 0, b"x")).unwrap();
    let told = |bench: &mut Bench| {
        let summaries = bench.sent(RIGHT);
        let read = |bundle: &Bundle| Summary::decode(bundle.payload()).unwrap();
        summaries.iter().map(read).any(|summary| !(summary.has.is_empty() && summary.delivered.is_empty()))
    };
    assert!(!told(&mut bench));
    bench.answer();
    assert!(told(&mut bench));
}

#[test]
fn each_flag_asks_for_its_own_report() {
    let mut bench = Bench::with(reporting());
    for (sequence, (flag, status)) in
        [(BundleFlags::REPORT_RECEPTION, Status::Received), (BundleFlags::REPORT_DELIVERY, Status::Delivered)]
            .into_iter()
            .enumerate()
    {
        bench.hear(LEFT, &flagged("ipn:2.42", sequence as u64, flag, b"x")).unwrap();
        assert_eq!(reports(&mut bench), [(status, ReportReason::NONE, None)]);
    }
}

#[test]
fn deletion_is_reported_with_its_reason() {
    let mut bench = Bench::with(reporting());
    let flags = BundleFlags::REPORT_DELETION;
    let mut tired = flagged("ipn:3.42", 0, flags, b"x");
    tired.set_hop_count(HopCount { limit: 3, count: 3 });
    let overdue = Primary { lifetime_ms: 0, ..flagged("ipn:3.42", 1, flags, b"x").primary().clone() };
    let cases = [
        (tired, ReportReason::HOP_LIMIT_EXCEEDED),
        (Bundle::new(overdue, vec![1]), ReportReason::LIFETIME_EXPIRED),
        (flagged("ipn:2.1000000", 2, flags, b"x"), ReportReason::NONE),
        (flagged("dtn://stranger/x", 3, flags, b"x"), ReportReason::NO_ROUTE),
        (flagged("dtn:none", 4, flags, b"x"), ReportReason::UNAVAILABLE_DESTINATION),
    ];
    for (bundle, reason) in cases {
        bench.hear(LEFT, &bundle).unwrap();
        let expected =
            if reason == ReportReason::NONE { vec![] } else { vec![(Status::Deleted, reason, None)] };
        assert_eq!(reports(&mut bench), expected);
    }
    // It waits for a node that no contact reaches, and expires in the store.
    bench.hear(LEFT, &flagged("ipn:77.1", 5, flags, b"x")).unwrap();
    bench.pass(Duration::from_secs(601));
    assert_eq!(reports(&mut bench), [(Status::Deleted, ReportReason::LIFETIME_EXPIRED, None)]);
    assert_eq!(bench.drops().last(), Some(&DropReason::Expired));
}

#[test]
fn nothing_is_reported_about_records_nor_to_nobody_nor_unless_the_node_is_set_up_for_it() {
    let mut bench = Bench::with(reporting());
    let flags = BundleFlags::ANY_REPORT;
    let to_nobody = Primary { flags, ..primary("ipn:1.7", "ipn:2.42", 0) };
    bench.hear(LEFT, &Bundle::new(to_nobody, vec![1])).unwrap();
    let report = StatusReport::new(
        foreign("ipn:2.7", "ipn:3.1", 0, b"x").id(),
        1,
        Status::Received,
        None,
        ReportReason::NONE,
    );
    // The strict policy refuses a record that asks for reports at all (RFC 9171 §4.2.3).
    let record = flagged("ipn:2.0", 1, flags.with(BundleFlags::ADMINISTRATIVE_RECORD), &report.encode());
    assert!(bench.hear(LEFT, &record).is_err());
    assert_eq!(reports(&mut bench), []);
    let mut silent = Bench::new();
    silent.hear(LEFT, &flagged("ipn:2.42", 2, flags, b"x")).unwrap();
    assert_eq!(reports(&mut silent), []);
}

#[test]
fn reports_are_limited_in_rate_and_counted_beyond() {
    let settings = StatusReportSettings { burst: 3, interval: Duration::from_secs(60), ..Default::default() };
    let settings = BundleSettings { status_reports: Some(settings), ..BundleSettings::default() };
    let mut bench = Bench::with(Setup { settings, ..Setup::default() });
    for sequence in 0..5 {
        let bundle = flagged("ipn:2.42", sequence, BundleFlags::REPORT_RECEPTION, b"x");
        bench.hear(LEFT, &bundle).unwrap();
    }
    assert_eq!((reports(&mut bench).len(), bench.refused("status_report_rate")), (3, 2));
    bench.pass(Duration::from_secs(61));
    bench.hear(LEFT, &flagged("ipn:2.42", 9, BundleFlags::REPORT_RECEPTION, b"x")).unwrap();
    assert_eq!(reports(&mut bench).len(), 1);
}

#[test]
fn without_a_clock_a_report_has_no_time() {
    let mut bench = Bench::with(Setup { clock: false, ..reporting() });
    let flags = BundleFlags::REPORT_RECEPTION.with(BundleFlags::STATUS_TIME_REQUESTED);
    bench.hear(LEFT, &flagged("ipn:2.42", 0, flags, b"x")).unwrap();
    assert_eq!(reports(&mut bench), [(Status::Received, ReportReason::NONE, None)]);
}

#[test]
fn a_report_about_our_bundle_reaches_the_application() {
    let mut bench = Bench::with(reporting());
    let ask = BundleSubmission {
        flags: BundleFlags::REPORT_DELIVERY,
        report_to: eid("ipn:2.7"),
        ..submission("ipn:3.42", b"hello")
    };
    bench.send(ask).unwrap();
    let ours = bench.sent(RIGHT).remove(0);
    let report = StatusReport::new(ours.id(), 5, Status::Delivered, None, ReportReason::NONE);
    let record = Primary {
        flags: BundleFlags::ADMINISTRATIVE_RECORD,
        ..primary("ipn:3.0", &ours.primary().report_to.to_string(), 0)
    };
    bench.hear(RIGHT, &Bundle::new(record, report.encode())).unwrap();
    assert_eq!(bench.reports.last(), Some(&Report::Status { from: eid("ipn:3.0"), report }));
    assert!(bench.delivered.is_empty());
}

#[test]
fn records_of_unknown_type_are_refused() {
    let mut bench = Bench::new();
    for (sequence, payload) in [&[0x82, 9, 0x80][..], b"", &[0xff; 40]].into_iter().enumerate() {
        let flags = BundleFlags::ADMINISTRATIVE_RECORD;
        let record = Primary { flags, ..primary("ipn:3.0", "ipn:2.0", sequence as u64) };
        assert!(bench.hear(RIGHT, &Bundle::new(record, payload.to_vec())).is_err());
    }
    assert_eq!(bench.refused("unknown_record"), 1);
}
