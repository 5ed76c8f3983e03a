//! Blocks that the node does not know (RFC 9171 §5.6, step 4).

use crate::bench::{Bench, LEFT, RIGHT, Setup, eid, flagged, primary};
use cosmosmesh_protocol::{
    bundle::{AdministrativeRecord, BlockFlags, BlockKind, Bundle, BundleFlags, Primary, ReportReason},
    node::{BundleSettings, DropReason, StatusReportSettings},
};
use std::time::Duration;

const STRANGE: BlockKind = BlockKind(200);

fn with_block(destination: &str, sequence: u64, flags: BlockFlags) -> Bundle {
    let primary = Primary { report_to: eid("ipn:1.9"), ..primary("ipn:1.7", destination, sequence) };
    let mut bundle = Bundle::new(primary, b"x".to_vec());
    bundle.push_block(STRANGE, flags, vec![1, 2, 3]);
    bundle
}

fn reporting() -> Bench {
    let status_reports = Some(StatusReportSettings::default());
    let settings = BundleSettings { status_reports, ..BundleSettings::default() };
    Bench::with(Setup { settings, ..Setup::default() })
}

#[test]
fn an_unknown_block_is_carried_on_unless_it_asks_to_be_discarded() {
    let mut bench = Bench::new();
    bench.hear(LEFT, &with_block("ipn:3.42", 0, BlockFlags::default())).unwrap();
    bench.hear(LEFT, &with_block("ipn:3.42", 1, BlockFlags::DISCARD_IF_UNPROCESSED)).unwrap();
    let sent = bench.sent(RIGHT);
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0].block(STRANGE).map(|block| &block.data[..]), Some(&[1, 2, 3][..]));
    assert_eq!(sent[1].block(STRANGE), None);
}

#[test]
fn a_discarded_block_stays_away_after_a_restart() {
    let mut bench = Bench::with(Setup { linked: false, ..Setup::default() });
    bench.hear(LEFT, &with_block("ipn:3.42", 1, BlockFlags::DISCARD_IF_UNPROCESSED)).unwrap();
    bench.crash();
    bench.link_up(RIGHT);
    assert_eq!(bench.sent(RIGHT)[0].block(STRANGE), None);
}

#[test]
fn an_unknown_block_can_end_its_bundle_here_and_on_the_way() {
    let mut bench = Bench::new();
    for (sequence, destination) in ["ipn:2.42", "ipn:3.42"].into_iter().enumerate() {
        let bundle = with_block(destination, sequence as u64, BlockFlags::DELETE_BUNDLE_IF_UNPROCESSED);
        bench.hear(LEFT, &bundle).unwrap();
    }
    assert_eq!(bench.drops(), [DropReason::UnsupportedBlock; 2]);
    assert!(bench.delivered.is_empty() && bench.sent(RIGHT).is_empty());
}

#[test]
fn an_unknown_block_is_reported_when_it_asks_for_it() {
    let mut bench = reporting();
    bench.hear(LEFT, &with_block("ipn:2.42", 0, BlockFlags::REPORT_IF_UNPROCESSED)).unwrap();
    bench.pass(Duration::ZERO);
    let sent = bench.sent(LEFT);
    let Ok(AdministrativeRecord::StatusReport(report)) = AdministrativeRecord::decode(sent[0].payload())
    else {
        panic!("not a status report")
    };
    assert_eq!((report.items[0], report.reason), (Some(None), ReportReason::UNSUPPORTED_BLOCK));
    assert_eq!(bench.delivered.len(), 1);
}

#[test]
fn deletion_for_an_unknown_block_is_reported_by_the_bundles_flag() {
    let mut bench = reporting();
    let mut bundle = flagged("ipn:2.42", 0, BundleFlags::REPORT_DELETION, b"x");
    bundle.push_block(STRANGE, BlockFlags::DELETE_BUNDLE_IF_UNPROCESSED, vec![]);
    bench.hear(LEFT, &bundle).unwrap();
    bench.pass(Duration::ZERO);
    let sent = bench.sent(LEFT);
    let Ok(AdministrativeRecord::StatusReport(report)) = AdministrativeRecord::decode(sent[0].payload())
    else {
        panic!("not a status report")
    };
    assert_eq!((report.items[3], report.reason), (Some(None), ReportReason::UNSUPPORTED_BLOCK));
}
