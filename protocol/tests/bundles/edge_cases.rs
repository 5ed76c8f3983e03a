//! Cases on which public implementations disagree or crash, at the node: what is refused is counted, and nothing else happens.

use crate::bench::{Bench, LEFT, RIGHT, Setup, UTC, foreign, primary};
use cosmosmesh_protocol::{
    bundle::{BlockFlags, BlockKind, Bundle, BundleFlags, CreationTimestamp, HopCount, Primary},
    node::DropReason,
    time::DtnTime,
};
use proptest::prelude::*;
use std::time::Duration;

/// The bundle's bytes with the payload block, at its end, written anew.
fn with_payload_block(block: &[u8]) -> Vec<u8> {
    let bundle = foreign("ipn:1.7", "ipn:2.42", 0, b"");
    let mut bytes = bundle.encode();
    // The last array of six: the payload block with its CRC-32C, which is short enough to hold no such byte.
    let at = bytes.iter().rposition(|byte| *byte == 0x86).unwrap();
    bytes.truncate(at);
    bytes.extend_from_slice(block);
    bytes.push(0xff);
    bytes
}

/// A canonical block without checksum.
fn block(kind: u8, number: u8, data: &[u8]) -> Vec<u8> {
    let mut block = vec![0x85, kind, number, 0, 0];
    block.extend_from_slice(data);
    block
}

#[test]
fn a_well_formed_payload_block_is_the_yardstick() {
    let mut bench = Bench::new();
    bench.hear_bytes(LEFT, &with_payload_block(&block(1, 1, &[0x41, b'x']))).unwrap();
    assert_eq!(bench.payloads(), [b"x"]);
}

#[test]
fn malformed_blocks_are_refused_by_reason() {
    let payload = block(1, 1, &[0x41, b'x']);
    let join = |parts: &[&[u8]]| parts.concat();
    let cases: [(&str, Vec<u8>); 8] = [
        ("no_payload", join(&[&payload, &block(0x0c, 2, &[0x40])])),
        ("bad_block_number", block(1, 2, &[0x41, b'x'])),
        ("malformed", block(1, 1, &[0x61, b'x'])),
        ("bad_block_number", join(&[&block(0x0c, 2, &[0x40]), &block(0x0c, 2, &[0x40]), &payload])),
        ("undefined_crc_type", vec![0x85, 1, 1, 0, 3, 0x41, b'x']),
        ("truncated", block(1, 1, &[0x5a, 0xff, 0xff, 0xff, 0xff])),
        ("truncated", block(1, 1, &[0x5b, 0x80, 0, 0, 0, 0, 0, 0, 0])),
        ("no_payload", Vec::new()),
    ];
    for (reason, blocks) in cases {
        let mut bench = Bench::new();
        assert!(bench.hear_bytes(LEFT, &with_payload_block(&blocks)).is_err());
        assert_eq!(bench.refused(reason), 1, "{reason}: {:?}", bench.node.refusals());
        assert!(bench.delivered.is_empty() && bench.kept.is_empty());
    }
}

#[test]
fn hundreds_of_blocks_are_refused() {
    let mut blocks = Vec::new();
    for number in 0..500_u16 {
        let [high, low] = (number + 1000).to_be_bytes();
        blocks.extend_from_slice(&[0x85, 0x18, 200, 0x19, high, low, 0, 0, 0x40]);
    }
    blocks.extend_from_slice(&block(1, 1, &[0x41, b'x']));
    let mut bench = Bench::new();
    assert!(bench.hear_bytes(LEFT, &with_payload_block(&blocks)).is_err());
    assert_eq!(bench.refused("too_many_blocks"), 1);
}

#[test]
fn reserved_flag_bits_are_accepted_ignored_and_carried_on() {
    let mut bench = Bench::new();
    let flags = BundleFlags(1 << 3 | 1 << 20 | 1 << 40);
    for (sequence, destination) in ["ipn:2.42", "ipn:3.42"].into_iter().enumerate() {
        let primary = Primary { flags, ..primary("ipn:1.7", destination, sequence as u64) };
        let mut bundle = Bundle::new(primary, b"x".to_vec());
        bundle.push_block(BlockKind(200), BlockFlags(1 << 3 | 1 << 6 | 1 << 30), vec![]);
        bench.hear(LEFT, &bundle).unwrap();
    }
    let sent = bench.sent(RIGHT);
    assert_eq!((bench.payloads().len(), sent[0].primary().flags), (1, flags));
    assert_eq!(sent[0].block(BlockKind(200)).map(|block| block.flags.0), Some(1 << 3 | 1 << 6 | 1 << 30));
}

#[test]
fn a_bundle_without_creation_time_is_taken_with_an_age_and_refused_without() {
    let creation = CreationTimestamp { time: DtnTime::UNKNOWN, sequence: 7 };
    let timeless = Primary { creation, ..primary("ipn:1.7", "ipn:2.42", 0) };
    let mut bench = Bench::new();
    assert!(bench.hear(LEFT, &Bundle::new(timeless.clone(), vec![1])).is_err());
    assert_eq!(bench.refused("no_age"), 1);
    let mut aged = Bundle::new(timeless.clone(), vec![1]);
    aged.set_age_ms(599_999);
    bench.hear(LEFT, &aged).unwrap();
    let mut old = Bundle::new(timeless, vec![1]);
    old.set_age_ms(600_000);
    bench.hear(LEFT, &old).unwrap();
    assert_eq!((bench.delivered.len(), bench.drops()), (1, vec![DropReason::Expired]));
}

#[test]
fn a_node_without_a_clock_ages_what_it_forwards_by_its_stay_and_the_way_to_it() {
    let creation = CreationTimestamp { time: DtnTime::UNKNOWN, sequence: 7 };
    let mut bundle = Bundle::new(Primary { creation, ..primary("ipn:1.7", "ipn:3.42", 0) }, vec![1]);
    bundle.set_age_ms(1000);
    let mut bench = Bench::with(Setup { clock: false, ..Setup::default() });
    bench.pass(Duration::from_secs(10));
    // The contact plan has three seconds of light time to the left.
    bench.hear(LEFT, &bundle).unwrap();
    bench.pass(Duration::from_secs(5));
    assert_eq!(bench.sent(RIGHT)[0].age_ms(), Some(9000));
    let mut late = bundle.clone();
    late.set_age_ms(597_000);
    bench.hear(LEFT, &late).unwrap();
    assert_eq!(bench.drops(), [DropReason::Expired]);
}

#[test]
fn the_hop_limit_ends_a_bundle_and_every_hop_counts() {
    let mut bench = Bench::new();
    for (sequence, count) in [(0, 2), (1, 3), (2, 200)] {
        let mut bundle = foreign("ipn:1.7", "ipn:3.42", sequence, b"x");
        bundle.set_hop_count(HopCount { limit: 3, count });
        bench.hear(LEFT, &bundle).unwrap();
    }
    let sent = bench.sent(RIGHT);
    assert_eq!((sent.len(), sent[0].hop_count()), (1, Some(HopCount { limit: 3, count: 3 })));
    assert_eq!(bench.drops(), [DropReason::HopLimit; 2]);
}

#[test]
fn a_bundle_beyond_its_hop_limit_is_not_delivered_either() {
    let mut bench = Bench::new();
    for (sequence, count) in [(0, 3), (1, 4)] {
        let mut bundle = foreign("ipn:1.7", "ipn:2.42", sequence, b"x");
        bundle.set_hop_count(HopCount { limit: 3, count });
        bench.hear(LEFT, &bundle).unwrap();
    }
    assert_eq!((bench.delivered.len(), bench.drops()), (1, vec![DropReason::HopLimit]));
}

#[test]
fn a_name_that_means_whoever_reads_it_is_refused_from_others() {
    let mut bench = Bench::new();
    for (source, destination) in [("ipn:!.7", "ipn:2.42"), ("ipn:1.7", "ipn:!.42")] {
        assert!(bench.hear(LEFT, &foreign(source, destination, 0, b"x")).is_err());
    }
    assert_eq!((bench.refused("local_node"), bench.delivered.len()), (2, 0));
}

#[test]
fn an_anonymous_source_is_taken_as_null_however_it_is_written() {
    // ipn:0.9 as source: two elements, node 0.
    let anonymous = Primary { flags: BundleFlags::MUST_NOT_FRAGMENT, ..primary("ipn:0.9", "ipn:2.42", 0) };
    let mut bench = Bench::new();
    bench.hear(LEFT, &Bundle::new(anonymous, vec![1])).unwrap();
    assert_eq!(bench.delivered[0].source, "dtn:none".parse().unwrap());
}

#[test]
fn lifetimes_count_from_creation_by_the_clock() {
    let mut bench = Bench::new();
    let at = |time| CreationTimestamp { time: DtnTime(time), sequence: 0 };
    for (creation, lifetime_ms) in [(at(UTC.0 - 10), 10), (at(UTC.0 - 9), 10), (at(UTC.0 + 9999), u64::MAX)] {
        let primary = Primary { creation, lifetime_ms, ..primary("ipn:1.7", "ipn:2.42", 0) };
        bench.hear(LEFT, &Bundle::new(primary, vec![1])).unwrap();
    }
    assert_eq!((bench.delivered.len(), bench.drops()), (2, vec![DropReason::Expired]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a neighbour sends, the node neither panics nor delivers a bundle twice.
    #[test]
    fn no_neighbour_makes_the_node_panic(
        changes in prop::collection::vec((0_usize..200, any::<u8>()), 0..4),
        cut in 0_usize..200,
        fragment in prop::option::of(1_usize..30),
    ) {
        let mut bench = Bench::new();
        let mut bundle = foreign("ipn:1.7", "ipn:2.42", 0, &[7; 40]);
        bundle.push_block(BlockKind(200), BlockFlags(0x16), vec![1]);
        for part in bundle.fragment(fragment.unwrap_or(40)).unwrap() {
            let mut bytes = part.encode();
            for (at, value) in &changes {
                let at = at % bytes.len();
                bytes[at] ^= value;
            }
            let _ = bench.hear_bytes(LEFT, &bytes[..bytes.len() - cut % bytes.len()]);
            let _ = bench.hear_bytes(LEFT, &bytes);
        }
        prop_assert!(bench.delivered.len() <= 1);
    }
}
