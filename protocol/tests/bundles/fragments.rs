//! Fragmentation and reassembly by the node (RFC 9171 §5.8, §5.9).

use crate::bench::{Bench, LEFT, RATE_BPS, RIGHT, Setup, carry, foreign, primary, submission};
use cosmosmesh_protocol::{
    bundle::{Bundle, BundleFlags, Fragment, Primary},
    node::{BundleSettings, BundleSubmission, DropReason, ReassemblySettings},
};
use std::time::Duration;

fn parts(sequence: u64, payload: &[u8], max: usize) -> Vec<Bundle> {
    foreign("ipn:1.7", "ipn:2.42", sequence, payload).fragment(max).unwrap()
}

fn bounded(reassembly: ReassemblySettings) -> Bench {
    let settings = BundleSettings { reassembly, ..BundleSettings::default() };
    Bench::with(Setup { settings, ..Setup::default() })
}

#[test]
fn fragments_in_any_order_and_over_a_restart_are_delivered_once() {
    let mut bench = Bench::new();
    let payload: Vec<u8> = (0..=255).collect();
    let parts = parts(0, &payload, 100);
    bench.hear(LEFT, &parts[2]).unwrap();
    bench.crash();
    bench.hear(RIGHT, &parts[0]).unwrap();
    assert!(bench.hear(LEFT, &parts[2]).is_err());
    assert!(bench.delivered.is_empty());
    bench.hear(LEFT, &parts[1]).unwrap();
    assert_eq!(bench.payloads(), [payload]);
    // A late copy of a part is a copy of what was delivered.
    assert!(bench.hear(LEFT, &parts[1]).is_err());
    assert_eq!((bench.refused("duplicate_fragment"), bench.refused("duplicate_bundle")), (1, 1));
    bench.pass(Duration::from_secs(700));
    assert!(bench.kept.is_empty(), "{:?}", bench.kept);
}

#[test]
fn a_bundle_that_never_completes_is_given_up_and_counted() {
    let settings = ReassemblySettings { timeout: Duration::from_secs(60), ..ReassemblySettings::default() };
    let mut bench = bounded(settings);
    let parts = parts(0, &[7; 100], 40);
    bench.hear(LEFT, &parts[0]).unwrap();
    bench.pass(Duration::from_secs(50));
    bench.hear(LEFT, &parts[1]).unwrap();
    bench.pass(Duration::from_secs(59));
    assert_eq!(bench.refused("reassembly_timeout"), 0);
    bench.pass(Duration::from_secs(2));
    assert_eq!(bench.refused("reassembly_timeout"), 1);
    assert_eq!(bench.drops(), [DropReason::Incomplete; 2]);
    assert!(bench.kept.is_empty());
}

#[test]
fn fragments_do_not_outlive_their_bundle() {
    let mut bench = Bench::new();
    bench.hear(LEFT, &parts(0, &[7; 100], 40)[0]).unwrap();
    bench.pass(Duration::from_secs(601));
    assert_eq!((bench.refused("reassembly_timeout"), bench.drops()), (1, vec![DropReason::Incomplete]));
}

#[test]
fn a_flood_of_fragments_takes_no_more_than_its_share() {
    let settings = ReassemblySettings { bundles: 10, bytes: 2000, ..ReassemblySettings::default() };
    let mut bench = bounded(settings);
    for sequence in 0..500 {
        bench.hear(LEFT, &parts(sequence, &[7; 100], 40)[0]).unwrap();
    }
    assert_eq!(bench.refused("reassembly_evicted"), 490);
    assert_eq!(bench.kept.len(), 10);
    // What came last still completes.
    for part in &parts(499, &[7; 100], 40)[1..] {
        bench.hear(LEFT, part).unwrap();
    }
    assert_eq!(bench.payloads(), [[7; 100]]);
}

#[test]
fn fragments_beyond_a_bound_are_refused() {
    let settings = ReassemblySettings { fragments: 3, bytes: 1000, ..ReassemblySettings::default() };
    let settings = BundleSettings { reassembly: settings, max_payload: 1 << 20, ..BundleSettings::default() };
    let mut bench = Bench::with(Setup { settings, ..Setup::default() });
    let many = parts(0, &[7; 100], 10);
    many.iter().take(3).for_each(|part| bench.hear(LEFT, part).unwrap());
    assert!(bench.hear(LEFT, &many[3]).is_err());
    assert!(bench.hear(LEFT, &parts(1, &[7; 3000], 2000)[0]).is_err());
    let huge = Primary {
        fragment: Some(Fragment { offset: 0, total: 1 << 62 }),
        ..primary("ipn:1.7", "ipn:2.42", 2)
    };
    assert!(bench.hear(LEFT, &Bundle::new(huge, vec![1])).is_err());
    let refusals = ["too_many_fragments", "reassembly_full", "fragment_total_too_large"];
    assert_eq!(refusals.map(|reason| bench.refused(reason)), [1, 1, 1]);
}

#[test]
fn fragments_that_contradict_each_other_end_their_bundle() {
    let mut bench = Bench::new();
    let other = foreign("ipn:1.7", "ipn:2.42", 0, &[8; 90]).fragment(40).unwrap();
    let parts = parts(0, &[7; 100], 40);
    bench.hear(LEFT, &parts[0]).unwrap();
    assert!(bench.hear(LEFT, &other[1]).is_err());
    assert_eq!(bench.refused("fragment_foreign"), 1);
    let mut lying = foreign("ipn:1.7", "ipn:2.42", 0, &[9; 100]).fragment(60).unwrap();
    bench.hear(LEFT, &lying.pop().unwrap()).unwrap();
    assert!(bench.hear(LEFT, &parts[1]).is_err());
    assert_eq!((bench.refused("fragment_conflict"), bench.delivered.len()), (1, 0));
}

#[test]
fn a_bundle_longer_than_the_contact_leaves_in_parts_and_arrives_whole() {
    let settings = BundleSettings { min_fragment: Some(64), ..BundleSettings::default() };
    let mut sender = Bench::with(Setup { settings: settings.clone(), ..Setup::default() });
    let mut receiver = Bench::with(Setup { id: RIGHT, ..Setup::default() });
    let payload: Vec<u8> = (0..20_000_u32).map(|byte| byte as u8).collect();
    sender.send(submission("ipn:3.42", &payload)).unwrap();
    // A second of this contact is left.
    sender.setup.contact_s = 1;
    sender.link_up(RIGHT);
    let sent = sender.sent(RIGHT);
    assert_eq!(sent.len(), 1);
    let room = (RATE_BPS / 8) as usize;
    assert!(sent[0].encoded_len() <= room && sent[0].payload().len() > room - 300);
    assert_eq!(sent[0].primary().fragment.map(|part| part.offset), Some(0));
    receiver.hear(2, &sent[0]).unwrap();
    // It comes back from its record in parts, too.
    sender.setup.contact_s = 1_000_000;
    sender.pass(Duration::from_secs(5));
    sender.crash();
    carry(&mut sender, &mut receiver, |part| {
        assert!(part.hop_count().is_some());
        true
    });
    assert_eq!(receiver.payloads(), [payload]);
}

#[test]
fn a_bundle_that_must_not_be_fragmented_waits() {
    let settings = BundleSettings { min_fragment: Some(64), ..BundleSettings::default() };
    let mut bench = Bench::with(Setup { settings, ..Setup::default() });
    let flags = BundleFlags::MUST_NOT_FRAGMENT;
    bench.send(BundleSubmission { flags, ..submission("ipn:3.42", &[7; 20_000]) }).unwrap();
    bench.setup.contact_s = 1;
    bench.link_up(RIGHT);
    assert!(bench.sent(RIGHT).is_empty());
    bench.setup.contact_s = 1000;
    bench.link_up(RIGHT);
    assert_eq!(bench.sent(RIGHT)[0].payload().len(), 20_000);
}

#[test]
fn without_the_setting_nothing_is_split() {
    let mut bench = Bench::new();
    bench.send(submission("ipn:3.42", &[7; 20_000])).unwrap();
    bench.setup.contact_s = 1;
    bench.link_up(RIGHT);
    assert!(bench.sent(RIGHT).is_empty());
}
