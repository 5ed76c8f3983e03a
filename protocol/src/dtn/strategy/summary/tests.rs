//! Summaries on the wire.

use super::*;
use crate::id::EndpointId;
use alloc::vec;
use proptest::{
    prelude::{Just, any, prop},
    prop_assert_eq, prop_oneof, proptest,
    strategy::Strategy as _,
};

fn name(node: u64, time: u64, sequence: u64) -> BundleId {
    let creation = CreationTimestamp { time: DtnTime(time), sequence };
    BundleId { source: NodeId(node).endpoint(1), creation, fragment: None }
}

fn refusal(bytes: &[u8]) -> &'static str {
    Summary::decode(bytes).expect_err("not a summary").reason()
}

#[test]
fn a_summary_has_the_bytes_that_its_description_says() {
    let summary = Summary {
        first: true,
        last: true,
        has: vec![name(5, 100, 0)],
        delivered: vec![],
        predictabilities: vec![(NodeId(7), Probability(1 << 31))],
    };
    let expected = [
        0x85, 0x01, 0x03, 0x81, 0x83, 0x82, 0x02, 0x82, 0x05, 0x01, 0x18, 0x64, 0x00, 0x80, 0x81, 0x82, 0x07,
        0x1a, 0x80, 0x00, 0x00, 0x00,
    ];
    assert_eq!(summary.encode(), expected);
    assert_eq!(Summary::decode(&expected), Ok(summary));
}

#[test]
fn malformed_summaries_are_refused_by_reason() {
    let good = Summary { has: vec![name(5, 1, 0), name(5, 1, 1)], ..Summary::default() }.encode();
    assert_eq!(refusal(&[]), "summary_malformed");
    assert_eq!(refusal(&good[..good.len() - 1]), "summary_malformed");
    let mut version = good.clone();
    version[1] = 2;
    assert_eq!(refusal(&version), "summary_version");
    let mut trailing = good;
    trailing.push(0);
    assert_eq!(refusal(&trailing), "summary_malformed");
    for has in [vec![name(5, 1, 1), name(5, 1, 0)], vec![name(5, 1, 1), name(5, 1, 1)]] {
        assert_eq!(refusal(&Summary { has, ..Summary::default() }.encode()), "summary_order");
    }
    let twice = (NodeId(1), Probability(1));
    let twice = Summary { predictabilities: vec![twice, twice], ..Summary::default() };
    assert_eq!(refusal(&twice.encode()), "summary_order");
    let certain = [0x85, 1, 3, 0x80, 0x80, 0x81, 0x82, 7, 0x1b, 0, 0, 0, 1, 0, 0, 0, 0];
    assert_eq!(refusal(&certain), "summary_probability");
    let nowhere = [0x85, 1, 3, 0x81, 0x83, 0x82, 0x03, 0x00, 0, 0, 0x80, 0x80];
    assert_eq!(refusal(&nowhere), "summary_malformed");
}

#[test]
fn a_count_beyond_the_bytes_is_refused_before_memory_is_taken() {
    for count in [1_u64 << 20, 1 << 40, u64::MAX] {
        for place in 0..3 {
            let mut bytes = vec![0x85, 1, 3];
            bytes.extend(core::iter::repeat_n(0x80, place));
            cbor::put_head(&mut bytes, cbor::ARRAY, count);
            assert_eq!(refusal(&bytes), "summary_count");
        }
    }
}

fn any_name() -> impl proptest::strategy::Strategy<Value = BundleId> {
    let source = prop_oneof![
        (1_u64.., any::<u64>()).prop_map(|(node, service)| NodeId(node).endpoint(service)),
        Just(EndpointId::Dtn("//rover/mail".into())),
    ];
    let fragment = prop::option::of(any::<(u64, u64)>());
    (source, any::<(u64, u64)>(), fragment).prop_map(|(source, (time, sequence), fragment)| BundleId {
        source,
        creation: CreationTimestamp { time: DtnTime(time), sequence },
        fragment: fragment.map(|(offset, total)| Fragment { offset, total }),
    })
}

proptest! {
    #[test]
    fn summaries_survive_a_round_trip(
        flags in any::<(bool, bool)>(),
        has in prop::collection::btree_set(any_name(), 0..20),
        delivered in prop::collection::btree_set(any_name(), 0..20),
        told in prop::collection::btree_map(any::<u64>(), any::<u32>(), 0..20),
    ) {
        let summary = Summary {
            first: flags.0,
            last: flags.1,
            has: has.into_iter().collect(),
            delivered: delivered.into_iter().collect(),
            predictabilities: told.into_iter().map(|(node, p)| (NodeId(node), Probability(p))).collect(),
        };
        prop_assert_eq!(Summary::decode(&summary.encode()), Ok(summary));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Summary::decode(&bytes);
    }

    #[test]
    fn a_flipped_bit_is_refused_or_reads_as_another_summary(place in 0_usize..1000, bit in 0_u8..8) {
        let has = (0..5).map(|n| name(5, 1_000_000, n)).collect();
        let good = Summary { first: true, last: true, has, ..Summary::default() };
        let mut bytes = good.encode();
        let place = place % bytes.len();
        bytes[place] ^= 1 << bit;
        if let Ok(read) = Summary::decode(&bytes) {
            // Unassigned flags are ignored.
            prop_assert_eq!(read == good, place == 2 && bit > 1);
        }
    }
}
