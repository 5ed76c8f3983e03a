//! Custody transfer by encapsulation, hop by hop.

use crate::bench::{Bench, LEFT, RIGHT, Setup, US, UTC, carry, eid, foreign, keys, primary, submission};
use cosmosmesh_protocol::{
    bundle::{AdministrativeRecord, Bpdu, Bundle, BundleFlags, CustodySignal, Disposition, Policy, Primary},
    dtn::{
        store::{Priority, StoreLimits},
        strategy::{RoutingConfig, SpreadSettings},
    },
    envelope::{Header, Purpose, seal},
    id::NodeId,
    node::{
        BundleSettings, BundleSubmission, CustodySettings, DropReason, InputError, Kept, Report, SubmitError,
    },
};
use std::time::Duration;

fn setup(id: u64, via: &[(u64, u64)]) -> Setup {
    let via = via.iter().map(|(to, next)| (NodeId(*to), NodeId(*next))).collect();
    let custody = Some(CustodySettings { via, ..CustodySettings::default() });
    Setup { id, settings: BundleSettings { custody, ..BundleSettings::default() }, ..Setup::default() }
}

fn entrusted(destination: &str, payload: &[u8]) -> BundleSubmission {
    let source = NodeId(LEFT).endpoint(7);
    BundleSubmission { custody: true, source, ..submission(destination, payload) }
}

fn record(bundle: &Bundle) -> AdministrativeRecord {
    assert!(bundle.primary().flags.contains(BundleFlags::ADMINISTRATIVE_RECORD));
    AdministrativeRecord::decode(bundle.payload()).unwrap()
}

fn tunnel(from: &str, sequence: u64, bpdu: &Bpdu) -> Bundle {
    let flags = BundleFlags::ADMINISTRATIVE_RECORD;
    Bundle::new(Primary { flags, ..primary(from, "ipn:2.0", sequence) }, bpdu.encode())
}

fn signal(from: &str, sequence: u64, disposition: Disposition, id: u64) -> Bundle {
    let flags = BundleFlags::ADMINISTRATIVE_RECORD;
    let signal = CustodySignal::new(disposition, [id]);
    Bundle::new(Primary { flags, ..primary(from, "ipn:2.0", sequence) }, signal.encode())
}

/// The signals that the node has for a neighbour.
fn signals(bench: &mut Bench, to: u64) -> Vec<CustodySignal> {
    bench.pass(Duration::from_secs(2));
    let sent = bench.sent(to);
    sent.iter()
        .filter(|bundle| bundle.primary().flags.contains(BundleFlags::ADMINISTRATIVE_RECORD))
        .filter_map(|bundle| match record(bundle) {
            AdministrativeRecord::CustodySignal(signal) => Some(signal),
            _ => None,
        })
        .collect()
}

fn released(bench: &Bench) -> usize {
    bench.reports.iter().filter(|report| matches!(report, Report::CustodyReleased { .. })).count()
}

/// First fragments of other bundles, more than there is room for.
fn flood(bench: &mut Bench) {
    for sequence in 1..20 {
        let parts = foreign("ipn:1.7", "ipn:2.42", sequence, &[7; 100]).fragment(60).unwrap();
        bench.hear(LEFT, &parts[0]).unwrap();
    }
}

#[test]
fn custody_passes_from_custodian_to_custodian_and_the_bundle_arrives_once() {
    let mut left = Bench::with(setup(LEFT, &[(3, 2)]));
    let mut us = Bench::with(setup(US, &[]));
    let mut right = Bench::with(setup(RIGHT, &[]));
    left.send(entrusted("ipn:3.42", b"precious")).unwrap();
    let mut draw = 1_u32;
    for round in 0..60 {
        // Half of all bundles are lost in each direction, and every node crashes now and then.
        let mut air = |_: &Bundle| {
            draw = draw.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            draw >> 31 == 0
        };
        carry(&mut left, &mut us, &mut air);
        carry(&mut us, &mut right, &mut air);
        carry(&mut right, &mut us, &mut air);
        carry(&mut us, &mut left, &mut air);
        for (index, bench) in [&mut left, &mut us, &mut right].into_iter().enumerate() {
            bench.pass(Duration::from_secs(5));
            if round % 7 == index {
                bench.crash();
            }
        }
    }
    assert_eq!(right.payloads(), [b"precious"]);
    assert_eq!(right.delivered[0].source, eid("ipn:1.7"));
    assert_eq!((released(&left), released(&us)), (1, 1));
    for bench in [&mut left, &mut us, &mut right] {
        bench.pass(Duration::from_secs(600));
        assert!(bench.kept.is_empty(), "{:?}", bench.kept);
    }
}

#[test]
fn a_bundle_is_sent_again_until_its_custodian_signals() {
    let mut bench = Bench::with(setup(US, &[]));
    bench.send(BundleSubmission { custody: true, ..submission("ipn:3.42", b"x") }).unwrap();
    bench.pass(Duration::ZERO);
    let AdministrativeRecord::Encapsulated(first) = record(&bench.sent(RIGHT)[0]) else { panic!() };
    assert!(first.retransmission_time.0 > 0);
    bench.pass(Duration::from_secs(60));
    let AdministrativeRecord::Encapsulated(again) = record(&bench.sent(RIGHT)[0]) else { panic!() };
    assert_eq!((again.transmission_id, &again.bundle), (first.transmission_id, &first.bundle));
    assert!(bench.reports.iter().any(|report| matches!(report, Report::CustodyRepeated { .. })));
    bench.hear(RIGHT, &signal("ipn:3.0", 0, Disposition::ACCEPTED, first.transmission_id)).unwrap();
    assert_eq!(released(&bench), 1);
    bench.pass(Duration::from_secs(300));
    assert!(bench.sent(RIGHT).is_empty() && bench.kept.is_empty());
}

#[test]
fn only_the_custodian_that_was_asked_releases_a_bundle() {
    let mut bench = Bench::with(setup(US, &[]));
    bench.send(BundleSubmission { custody: true, ..submission("ipn:3.42", b"x") }).unwrap();
    bench.pass(Duration::ZERO);
    let AdministrativeRecord::Encapsulated(bpdu) = record(&bench.sent(RIGHT)[0]) else { panic!() };
    let id = bpdu.transmission_id;
    assert!(bench.hear(LEFT, &signal("ipn:1.0", 0, Disposition::ACCEPTED, id)).is_err());
    assert!(bench.hear(RIGHT, &signal("ipn:3.0", 1, Disposition::ACCEPTED, id + 1)).is_err());
    let refusals = ["custody_signal_stranger", "custody_signal_unknown"];
    assert_eq!((released(&bench), refusals.map(|reason| bench.refused(reason))), (0, [1, 1]));
    // A refusal is told, and leaves the bundle where it is.
    bench.hear(RIGHT, &signal("ipn:3.0", 2, Disposition::DEPLETED_STORAGE, id)).unwrap();
    let refused = Report::CustodyRefused {
        id: Bundle::decode(&bpdu.bundle).unwrap().id(),
        custodian: NodeId(RIGHT),
        disposition: Disposition::DEPLETED_STORAGE,
    };
    assert_eq!(bench.reports.last(), Some(&refused));
    bench.pass(Duration::from_secs(100));
    assert!(matches!(record(&bench.sent(RIGHT)[0]), AdministrativeRecord::Encapsulated(_)));
    // A signal over all numbers is no way around it.
    let flags = BundleFlags::ADMINISTRATIVE_RECORD;
    let all = [0x82, 4, 0x82, 0, 0x81, 0x82, 0, 0x1b, 255, 255, 255, 255, 255, 255, 255, 255];
    let all = Bundle::new(Primary { flags, ..primary("ipn:1.0", "ipn:2.0", 3) }, all.to_vec());
    assert!(bench.hear(LEFT, &all).is_err());
    assert_eq!(released(&bench), 0);
}

#[test]
fn custody_is_not_signalled_before_the_bundle_is_durable() {
    let mut bench = Bench::with(Setup { slow_disk: true, ..setup(US, &[]) });
    let bundle = foreign("ipn:1.7", "ipn:2.42", 0, b"x").encode();
    let bpdu = Bpdu { transmission_id: 9, retransmission_time: Default::default(), bundle };
    bench.hear(LEFT, &tunnel("ipn:1.0", 0, &bpdu)).unwrap();
    assert!(signals(&mut bench, LEFT).is_empty());
    // Nor is the copy that the impatient sender makes.
    assert!(bench.hear(LEFT, &tunnel("ipn:1.0", 1, &bpdu)).is_err());
    assert!(signals(&mut bench, LEFT).is_empty());
    bench.answer();
    let all = signals(&mut bench, LEFT);
    let expected = [Disposition::ACCEPTED, Disposition::REDUNDANT].map(|what| CustodySignal::new(what, [9]));
    assert_eq!((all, bench.payloads()), (expected.to_vec(), vec![&b"x"[..]]));
}

#[test]
fn a_second_copy_is_redundant_even_after_a_restart() {
    let mut bench = Bench::with(setup(US, &[]));
    for (sequence, destination) in ["ipn:2.42", "ipn:3.42"].into_iter().enumerate() {
        let bundle = foreign("ipn:1.7", destination, sequence as u64, b"x").encode();
        let bpdu = Bpdu { transmission_id: 5, retransmission_time: Default::default(), bundle };
        bench.hear(LEFT, &tunnel("ipn:1.0", sequence as u64, &bpdu)).unwrap();
        bench.crash();
        assert!(bench.hear(LEFT, &tunnel("ipn:1.0", 9, &bpdu)).is_err());
        assert_eq!(signals(&mut bench, LEFT), [CustodySignal::new(Disposition::REDUNDANT, [5])]);
    }
    assert_eq!((bench.payloads().len(), bench.sent(RIGHT).len()), (1, 1));
}

#[test]
fn bundles_without_a_source_are_told_apart_by_their_transmission() {
    let mut bench = Bench::with(setup(US, &[]));
    let anonymous = |payload: &[u8]| {
        let primary = Primary { flags: BundleFlags::MUST_NOT_FRAGMENT, ..primary("dtn:none", "ipn:2.42", 0) };
        Bundle::new(primary, payload.to_vec()).encode()
    };
    for (transmission_id, payload) in [(5, b"one"), (6, b"two"), (5, b"one")] {
        let bundle = anonymous(payload);
        let bpdu = Bpdu { transmission_id, retransmission_time: Default::default(), bundle };
        let _ = bench.hear(LEFT, &tunnel("ipn:1.0", transmission_id, &bpdu));
    }
    assert_eq!(bench.payloads(), [b"one", b"two"]);
    assert_eq!(bench.refused("custody_redundant"), 1);
}

#[test]
fn a_bundle_in_custody_tells_its_true_age() {
    let mut settings = Setup { clock: false, ..setup(US, &[]) };
    settings.settings.max_lifetime = Duration::from_secs(1000);
    let mut bench = Bench::with(settings);
    bench.pass(Duration::from_secs(10));
    let submission = submission("ipn:3.42", b"x");
    let lifetime = Duration::from_secs(100_000);
    bench.send(BundleSubmission { custody: true, lifetime, ..submission }).unwrap();
    bench.pass(Duration::from_secs(20));
    let age = |bench: &mut Bench| {
        let AdministrativeRecord::Encapsulated(bpdu) = record(&bench.sent(RIGHT)[0]) else { panic!() };
        Bundle::decode_with(&bpdu.bundle, Policy::Lenient).unwrap().age_ms()
    };
    assert_eq!(age(&mut bench), Some(0));
    bench.pass(Duration::from_secs(100));
    // The node's own bound on lifetimes is no part of it.
    let again = age(&mut bench).unwrap();
    assert!((5_000..120_000).contains(&again), "{again}");
}

#[test]
fn what_cannot_be_kept_is_refused_and_stays_with_its_custodian() {
    let mut settings = setup(US, &[(3, 1)]);
    settings.store = StoreLimits { bytes: 4096, count: 8 };
    let custody = settings.settings.custody.as_mut().unwrap();
    (custody.bytes, custody.bundles) = (400, 4);
    let mut bench = Bench::with(settings);
    let fat = foreign("ipn:1.7", "ipn:4.42", 0, &[7; 1000]).encode();
    let back = foreign("ipn:1.7", "ipn:3.42", 1, b"x").encode();
    let stranger = foreign("ipn:1.7", "dtn://stranger/x", 2, b"x").encode();
    for (id, (bundle, disposition)) in [
        (fat, Disposition::DEPLETED_STORAGE),
        // The next custodian would be the one that it comes from.
        (back, Disposition::NO_ROUTE),
        (stranger, Disposition::NO_ROUTE),
        (b"not a bundle".to_vec(), Disposition::UNINTELLIGIBLE_BLOCK),
        (foreign("ipn:1.7", "dtn:none", 3, b"x").encode(), Disposition::UNINTELLIGIBLE_DESTINATION),
    ]
    .into_iter()
    .enumerate()
    {
        let id = id as u64 + 1;
        let bpdu = Bpdu { transmission_id: id, retransmission_time: Default::default(), bundle };
        let _ = bench.hear(LEFT, &tunnel("ipn:1.0", id, &bpdu));
        assert_eq!(signals(&mut bench, LEFT), [CustodySignal::new(disposition, [id])], "{id}");
    }
    assert!(bench.kept.is_empty() && bench.drops().is_empty());
}

#[test]
fn a_tunnel_without_custody_just_carries() {
    let mut bench = Bench::with(setup(US, &[]));
    for (sequence, destination) in ["ipn:2.42", "ipn:3.42"].into_iter().enumerate() {
        let bundle = foreign("ipn:1.7", destination, sequence as u64, b"x").encode();
        let bpdu = Bpdu { transmission_id: 0, retransmission_time: Default::default(), bundle };
        bench.hear(LEFT, &tunnel("ipn:1.0", sequence as u64, &bpdu)).unwrap();
    }
    assert_eq!(bench.payloads(), [b"x"]);
    assert_eq!(bench.sent(RIGHT)[0].primary().destination, eid("ipn:3.42"));
    assert!(signals(&mut bench, LEFT).is_empty());
}

#[test]
fn a_fragment_in_custody_survives_a_flood_and_a_restart() {
    let mut settings = setup(US, &[]);
    settings.settings.reassembly.bundles = 4;
    let mut bench = Bench::with(settings);
    let parts = foreign("ipn:1.7", "ipn:2.42", 0, &[7; 100]).fragment(60).unwrap();
    let bpdu =
        Bpdu { transmission_id: 3, retransmission_time: Default::default(), bundle: parts[0].encode() };
    bench.hear(LEFT, &tunnel("ipn:1.0", 0, &bpdu)).unwrap();
    assert_eq!(signals(&mut bench, LEFT), [CustodySignal::new(Disposition::ACCEPTED, [3])]);
    bench.crash();
    flood(&mut bench);
    bench.hear(LEFT, &parts[1]).unwrap();
    assert_eq!(bench.payloads(), [[7; 100]]);
}

#[test]
fn custody_ends_with_the_lifetime() {
    let mut bench = Bench::with(setup(US, &[]));
    bench.send(BundleSubmission { custody: true, ..submission("ipn:3.42", b"x") }).unwrap();
    bench.pass(Duration::from_secs(601));
    assert!(bench.drops().contains(&DropReason::Expired));
    assert!(bench.kept.is_empty(), "{:?}", bench.kept);
}

#[test]
fn tunnels_within_tunnels_end() {
    let mut bench = Bench::with(setup(US, &[]));
    let mut bundle = foreign("ipn:1.7", "ipn:2.42", 0, b"x");
    for sequence in 1..=5 {
        let bpdu =
            Bpdu { transmission_id: 0, retransmission_time: Default::default(), bundle: bundle.encode() };
        bundle = tunnel("ipn:1.0", sequence, &bpdu);
    }
    assert!(bench.hear(LEFT, &bundle).is_err());
    assert_eq!((bench.refused("encapsulated_too_deep"), bench.delivered.len()), (1, 0));
}

#[test]
fn custody_is_opt_in() {
    let mut bench = Bench::new();
    let refused = bench.send(BundleSubmission { custody: true, ..submission("ipn:3.42", b"x") });
    assert_eq!(refused, Err(InputError::Submit(SubmitError::NoCustodian)));
    let bundle = foreign("ipn:1.7", "ipn:2.42", 0, b"x").encode();
    let bpdu = Bpdu { transmission_id: 1, retransmission_time: Default::default(), bundle };
    assert!(bench.hear(LEFT, &tunnel("ipn:1.0", 0, &bpdu)).is_err());
    assert_eq!((bench.refused("encapsulation_not_configured"), bench.delivered.len()), (1, 0));
}

/// A bundle in a tunnel that asks for custody.
fn entrust(bench: &mut Bench, sequence: u64, transmission_id: u64, bundle: &Bundle) {
    let bpdu = Bpdu { transmission_id, retransmission_time: Default::default(), bundle: bundle.encode() };
    let _ = bench.hear(LEFT, &tunnel("ipn:1.0", sequence, &bpdu));
}

#[test]
fn a_fragment_that_is_called_redundant_is_as_safe_as_one_in_custody() {
    let mut settings = setup(US, &[]);
    settings.settings.reassembly.bundles = 4;
    let mut bench = Bench::with(settings);
    let parts = foreign("ipn:1.7", "ipn:2.42", 0, &[7; 100]).fragment(60).unwrap();
    // It is here already, without custody, and could make way.
    bench.hear(LEFT, &parts[0]).unwrap();
    entrust(&mut bench, 0, 3, &parts[0]);
    assert_eq!(signals(&mut bench, LEFT), [CustodySignal::new(Disposition::REDUNDANT, [3])]);
    bench.crash();
    flood(&mut bench);
    bench.hear(LEFT, &parts[1]).unwrap();
    assert_eq!(bench.payloads(), [[7; 100]]);
}

#[test]
fn a_forged_fragment_makes_way_for_the_entrusted_one() {
    let mut bench = Bench::with(setup(US, &[]));
    let parts = foreign("ipn:1.7", "ipn:2.42", 0, &[7; 100]).fragment(60).unwrap();
    let forged = foreign("ipn:1.7", "ipn:2.42", 0, &[9; 100]).fragment(60).unwrap();
    bench.hear(RIGHT, &forged[0]).unwrap();
    entrust(&mut bench, 0, 3, &parts[0]);
    assert_eq!(signals(&mut bench, LEFT), [CustodySignal::new(Disposition::ACCEPTED, [3])]);
    bench.hear(RIGHT, &parts[1]).unwrap();
    assert_eq!(bench.payloads(), [[7; 100]]);
    bench.pass(Duration::from_secs(700));
    assert!(bench.kept.is_empty(), "{:?}", bench.kept);
}

#[test]
fn a_forged_last_fragment_costs_no_fragment_in_custody() {
    let mut bench = Bench::with(setup(US, &[]));
    let parts = foreign("ipn:1.7", "ipn:2.42", 0, &[7; 100]).fragment(60).unwrap();
    // It overlaps the first, and says something else there.
    let mut forged = foreign("ipn:1.7", "ipn:2.42", 0, &[9; 100]).fragment(50).unwrap();
    entrust(&mut bench, 0, 3, &parts[0]);
    assert!(bench.hear(RIGHT, &forged.pop().unwrap()).is_err());
    assert_eq!((bench.refused("fragment_conflict"), bench.delivered.len()), (1, 0));
    bench.crash();
    bench.hear(RIGHT, &parts[1]).unwrap();
    assert_eq!(bench.payloads(), [[7; 100]]);
    bench.pass(Duration::from_secs(700));
    assert!(bench.kept.is_empty(), "{:?}", bench.kept);
}

#[test]
fn fragments_wait_in_custody_until_their_bundle_can_be_delivered() {
    let mut settings = setup(US, &[]);
    settings.settings.max_remembered = 2;
    let mut bench = Bench::with(settings);
    let parts = foreign("ipn:1.7", "ipn:2.42", 0, &[7; 100]).fragment(60).unwrap();
    entrust(&mut bench, 0, 3, &parts[0]);
    signals(&mut bench, LEFT);
    for sequence in 1..3 {
        let primary = Primary { lifetime_ms: 60_000, ..primary("ipn:1.7", "ipn:2.42", sequence) };
        bench.hear(LEFT, &Bundle::new(primary, b"short".to_vec())).unwrap();
    }
    entrust(&mut bench, 1, 4, &parts[1]);
    assert_eq!(signals(&mut bench, LEFT), [CustodySignal::new(Disposition::DEPLETED_STORAGE, [4])]);
    bench.crash();
    bench.pass(Duration::from_secs(60));
    entrust(&mut bench, 2, 4, &parts[1]);
    assert_eq!(signals(&mut bench, LEFT), [CustodySignal::new(Disposition::ACCEPTED, [4])]);
    assert_eq!(bench.payloads().last(), Some(&&[7; 100][..]));
    bench.pass(Duration::from_secs(700));
    assert!(bench.kept.is_empty(), "{:?}", bench.kept);
}

/// A bundle for node 4 with what looks like a command of node 1, which nobody signed.
fn forged_command() -> Bundle {
    let header = Header {
        sender: NodeId(LEFT),
        incarnation: 1,
        purpose: Purpose::Command,
        destination: NodeId(4),
        sequence: 1,
        created: UTC,
    };
    Bundle::new(primary("ipn:1.1", "ipn:4.1", 0), seal(&keys(9), &header, b"forged"))
}

#[test]
fn what_nobody_vouches_for_throws_nothing_out_not_even_in_a_tunnel() {
    for priority in [Priority::Normal, Priority::Bulk] {
        let mut settings = Setup { linked: false, ..setup(US, &[(4, RIGHT)]) };
        settings.store = StoreLimits { bytes: 1 << 20, count: 1 };
        let mut bench = Bench::with(settings);
        bench.send(BundleSubmission { priority, ..submission("ipn:3.42", b"ours") }).unwrap();
        let _ = bench.hear(LEFT, &forged_command());
        entrust(&mut bench, 0, 3, &forged_command());
        // Neither the tunnel onward nor the signal back.
        bench.pass(Duration::from_secs(60));
        bench.link_up(RIGHT);
        let first = bench.sent(RIGHT);
        assert_eq!(first.first().map(Bundle::payload), Some(&b"ours"[..]), "{priority:?}");
        // Once there is room, custody goes on.
        bench.pass(Duration::from_secs(120));
        assert!(matches!(record(&bench.sent(RIGHT)[0]), AdministrativeRecord::Encapsulated(_)));
    }
}

#[test]
fn fragments_for_nobody_are_not_taken_into_custody() {
    let mut settings = setup(US, &[]);
    settings.settings.services = Some(vec![42]);
    let mut bench = Bench::with(settings);
    let parts = foreign("ipn:1.7", "ipn:2.43", 0, &[7; 100]).fragment(60).unwrap();
    entrust(&mut bench, 0, 3, &parts[0]);
    let expected = CustodySignal::new(Disposition::UNINTELLIGIBLE_DESTINATION, [3]);
    assert_eq!(signals(&mut bench, LEFT), [expected]);
    assert!(bench.kept.is_empty());
}

#[test]
fn a_copy_that_may_make_way_is_no_reason_to_refuse_custody() {
    let routing = RoutingConfig::Epidemic(SpreadSettings::default());
    let mut bench = Bench::with(Setup { routing, ..setup(US, &[]) });
    let bundle = foreign("ipn:1.7", "ipn:3.42", 0, b"precious");
    bench.hear(RIGHT, &bundle).unwrap();
    entrust(&mut bench, 0, 3, &bundle);
    let custody = |bench: &Bench| bench.kept.keys().filter(|key| key[0] == Kept::Custody as u8).count();
    assert_eq!((custody(&bench), bench.refused("duplicate_bundle")), (1, 0));
    entrust(&mut bench, 1, 4, &bundle);
    assert_eq!((custody(&bench), bench.refused("custody_redundant")), (1, 1));
}

#[test]
fn a_longer_fragment_is_not_redundant_beside_a_shorter_one_of_the_same_name() {
    let mut bench = Bench::with(setup(US, &[]));
    let whole = foreign("ipn:1.7", "ipn:2.42", 0, &[7; 100]);
    let (short, long) = (whole.split(40).unwrap().0, whole.split(60).unwrap());
    entrust(&mut bench, 0, 3, &short);
    entrust(&mut bench, 1, 4, &long.0);
    assert_eq!(signals(&mut bench, LEFT), [CustodySignal::new(Disposition::ACCEPTED, [3, 4])]);
    entrust(&mut bench, 2, 4, &long.0);
    assert_eq!(signals(&mut bench, LEFT), [CustodySignal::new(Disposition::REDUNDANT, [4])]);
    bench.hear(RIGHT, &long.1).unwrap();
    assert_eq!(bench.payloads(), [[7; 100]]);
    bench.pass(Duration::from_secs(700));
    assert!(bench.kept.is_empty(), "{:?}", bench.kept);
}
