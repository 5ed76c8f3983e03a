use alloc::{vec, vec::Vec};
use proptest::prelude::*;

use super::*;
use crate::{
    bundle::{
        HopCount,
        arbitrary::{bundle, endpoint, unhex},
        rfc9173_vectors::BUNDLES,
    },
    id::{EndpointId, NodeId},
};

fn sample() -> Bundle {
    let creation = CreationTimestamp { time: DtnTime(800_000_000_000), sequence: 3 };
    Bundle::new(
        Primary::new(NodeId(1).endpoint(7), NodeId(2).endpoint(7), creation, 60_000),
        b"payload".to_vec(),
    )
}

fn refused(bytes: &[u8]) -> &'static str {
    Bundle::decode(bytes).expect_err("the bundle is to be refused").reason()
}

/// A bundle around `blocks`, whose primary block has no checksum.
fn bare(blocks: &[&[u8]]) -> Vec<u8> {
    let primary = unhex("88070000820282020782028201078201008201001903e8");
    let mut bytes = vec![0x9f];
    bytes.extend_from_slice(&primary);
    blocks.iter().for_each(|block| bytes.extend_from_slice(block));
    bytes.push(0xff);
    bytes
}

const PAYLOAD: &[u8] = &[0x85, 1, 1, 0, 0, 0x41, 0xaa];

#[test]
fn the_bundles_of_rfc_9173_survive_a_round_trip() {
    assert_eq!(BUNDLES.len(), 8);
    for (name, hex) in BUNDLES {
        let bytes = unhex(hex);
        let bundle =
            Bundle::decode_with(&bytes, Policy::Lenient).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(bundle.encode(), bytes, "{name}");
        assert_eq!(bundle.primary().encode(), bundle.primary_wire, "{name}");
        assert_eq!(bundle.primary().source, NodeId(2).endpoint(1), "{name}");
    }
}

#[test]
fn a_strict_reader_asks_for_a_checksum_and_an_age() {
    let without_crc = unhex(BUNDLES[0].1);
    assert_eq!(Bundle::decode(&without_crc), Err(BundleError::UnprotectedPrimary));
    let creation = CreationTimestamp::default();
    let mut bundle = Bundle::new(Primary { creation, ..sample().primary }, Vec::new());
    assert_eq!(Bundle::decode(&bundle.encode()), Err(BundleError::NoAge));
    bundle.set_age_ms(0);
    assert_eq!(Bundle::decode(&bundle.encode()), Ok(bundle));
}

#[test]
fn an_integrity_block_on_the_primary_block_stands_in_for_its_checksum() {
    let mut bundle = Bundle::new(Primary { crc: CrcKind::None, ..sample().primary }, Vec::new());
    let asb_on_payload = vec![0x81, 1, 1, 0, 0x82, 2, 0x82, 1, 0, 0x80];
    bundle.push_block(BlockKind::BLOCK_INTEGRITY, BlockFlags::default(), asb_on_payload);
    assert_eq!(Bundle::decode(&bundle.encode()), Err(BundleError::UnprotectedPrimary));
    let asb_on_primary = vec![0x82, 0, 1, 1, 0, 0x82, 2, 0x82, 1, 0, 0x80];
    bundle.push_block(BlockKind::BLOCK_INTEGRITY, BlockFlags::default(), asb_on_primary);
    assert_eq!(Bundle::decode(&bundle.encode()), Ok(bundle));
}

#[test]
fn a_three_element_primary_block_is_forwarded_as_it_came() {
    // Destination ipn:0.2.7 in the three-element form, which the decoder reads and the encoder does not write.
    let primary = unhex("8807000082028300020782028201078201008201001903e8");
    let bytes = [&[0x9f][..], &primary, PAYLOAD, &[0xff]].concat();
    let bundle = Bundle::decode_with(&bytes, Policy::Lenient).unwrap();
    assert_eq!(bundle.primary().destination, NodeId(2).endpoint(7));
    assert_eq!(bundle.encode(), bytes);
}

#[test]
fn anything_but_the_deterministic_form_is_refused() {
    let good = bare(&[PAYLOAD]);
    assert!(Bundle::decode_with(&good, Policy::Lenient).is_ok());
    let lenient = |bytes: &[u8]| Bundle::decode_with(bytes, Policy::Lenient).unwrap_err().reason();
    let long_type = bare(&[&[0x85, 0x18, 1, 1, 0, 0, 0x41, 0xaa]]);
    assert_eq!(lenient(&long_type), "non_canonical");
    let indefinite_block = bare(&[&[0x9f, 1, 1, 0, 0, 0x41, 0xaa, 0xff]]);
    assert_eq!(lenient(&indefinite_block), "non_canonical");
    let chunked_payload = bare(&[&[0x85, 1, 1, 0, 0, 0x5f, 0x41, 0xaa, 0xff]]);
    assert_eq!(lenient(&chunked_payload), "non_canonical");
    let mut definite = good.clone();
    definite[0] = 0x82;
    definite.pop();
    assert_eq!(lenient(&definite), "not_a_bundle");
    let mut trailing = good.clone();
    trailing.push(0);
    assert_eq!(lenient(&trailing), "trailing_bytes");
    for length in 0..good.len() {
        assert!(Bundle::decode_with(&good[..length], Policy::Lenient).is_err(), "cut to {length}");
    }
}

#[test]
fn block_numbers_and_order_are_judged() {
    let unknown = |number: u8| [0x85, 0x18, 192, number, 0, 0, 0x40];
    let lenient = |blocks: &[&[u8]]| Bundle::decode_with(&bare(blocks), Policy::Lenient).map(|_| ());
    assert_eq!(lenient(&[&unknown(2), &unknown(3), PAYLOAD]), Ok(()));
    assert_eq!(lenient(&[&unknown(2), &unknown(2), PAYLOAD]), Err(BundleError::BlockNumber { number: 2 }));
    assert_eq!(lenient(&[&unknown(0), PAYLOAD]), Err(BundleError::BlockNumber { number: 0 }));
    assert_eq!(lenient(&[&unknown(1), PAYLOAD]), Err(BundleError::BlockNumber { number: 1 }));
    assert_eq!(lenient(&[&[0x85, 1, 2, 0, 0, 0x40]]), Err(BundleError::BlockNumber { number: 2 }));
    assert_eq!(lenient(&[PAYLOAD, &unknown(2)]), Err(BundleError::NoPayload));
    assert_eq!(lenient(&[&unknown(2)]), Err(BundleError::NoPayload));
    let age = |number: u8| [0x85, 7, number, 0, 0, 0x41, 0];
    assert_eq!(
        lenient(&[&age(2), &age(3), PAYLOAD]),
        Err(BundleError::RepeatedKind { kind: BlockKind::BUNDLE_AGE })
    );
}

#[test]
fn too_many_blocks_are_refused() {
    let blocks: Vec<[u8; 8]> =
        (0..=MAX_BLOCKS as u8).map(|n| [0x85, 0x18, 192, 0x18, n + 24, 0, 0, 0x40]).collect();
    let mut list: Vec<&[u8]> = blocks.iter().map(|block| &block[..]).collect();
    list.push(PAYLOAD);
    let error = BundleError::TooManyBlocks { max: MAX_BLOCKS };
    assert_eq!(Bundle::decode_with(&bare(&list), Policy::Lenient), Err(error));
    assert!(Bundle::decode_with(&bare(&list[1..]), Policy::Lenient).is_ok());
}

#[test]
fn malformed_extension_data_is_refused_unless_it_may_be_ciphertext() {
    let zero_limit = [0x85, 10, 2, 0, 0, 0x43, 0x82, 0, 0];
    let confidentiality = [0x85, 12, 3, 0, 0, 0x41, 0xaa];
    let error = BundleError::BlockData { kind: BlockKind::HOP_COUNT, number: 2 };
    assert_eq!(Bundle::decode_with(&bare(&[&zero_limit, PAYLOAD]), Policy::Lenient), Err(error));
    let encrypted =
        Bundle::decode_with(&bare(&[&zero_limit, &confidentiality, PAYLOAD]), Policy::Lenient).unwrap();
    assert_eq!(encrypted.hop_count(), None);
}

#[test]
fn huge_lengths_are_refused_before_memory_is_taken() {
    for length in [unhex("5b0000000100000000"), unhex("5b8000000000000000"), unhex("5affffffff")] {
        let block = [&[0x85, 1, 1, 0, 0][..], &length].concat();
        assert_eq!(refused(&bare(&[&block])), "truncated");
    }
}

#[test]
fn undefined_checksums_are_refused_and_reserved_flags_kept() {
    let crc_3 = bare(&[&[0x86, 1, 1, 0, 3, 0x41, 0xaa, 0x42, 0, 0]]);
    assert_eq!(refused(&crc_3), "undefined_crc_type");
    let long_crc = bare(&[&[0x86, 1, 1, 0, 1, 0x41, 0xaa, 0x44, 0, 0, 0, 0]]);
    assert_eq!(refused(&long_crc), "malformed");
    let mut primary = sample().primary;
    primary.flags = BundleFlags(1 << 40 | 0x08);
    let bundle = Bundle::new(primary, Vec::new());
    let read = Bundle::decode(&bundle.encode()).unwrap();
    assert_eq!(read.primary().flags.0, 1 << 40 | 0x08);
}

#[test]
fn contradicting_flags_are_refused() {
    let with = |source: EndpointId, flags: BundleFlags| {
        let bundle = Bundle::new(Primary { source, flags, ..sample().primary }, Vec::new());
        Bundle::decode(&bundle.encode()).map(|_| ())
    };
    let named = || NodeId(1).endpoint(1);
    let report_on_record = BundleFlags::ADMINISTRATIVE_RECORD.with(BundleFlags::REPORT_DELIVERY);
    assert!(with(named(), report_on_record).is_err());
    assert!(with(EndpointId::Null, BundleFlags::default()).is_err());
    assert!(with(EndpointId::Null, BundleFlags::MUST_NOT_FRAGMENT).is_ok());
    assert!(with(named(), BundleFlags::REPORT_DELIVERY).is_ok());
    // RFC 9171 §4.2.4: nor may a block ask for one.
    let asking = |source: EndpointId, flags: BundleFlags| {
        let mut bundle = Bundle::new(Primary { source, flags, ..sample().primary }, Vec::new());
        bundle.push_block(BlockKind(200), BlockFlags::REPORT_IF_UNPROCESSED, vec![0]);
        Bundle::decode(&bundle.encode()).map(|_| ())
    };
    assert!(asking(named(), BundleFlags::default()).is_ok());
    assert!(asking(named(), BundleFlags::ADMINISTRATIVE_RECORD).is_err());
    assert!(asking(EndpointId::Null, BundleFlags::MUST_NOT_FRAGMENT).is_err());
}

#[test]
fn a_fragment_outside_its_payload_is_refused() {
    for (offset, total) in [(0, 6), (1, 7), (u64::MAX, u64::MAX)] {
        let primary = Primary { fragment: Some(Fragment { offset, total }), ..sample().primary };
        let bytes = Bundle::new(primary, b"payload".to_vec()).encode();
        assert_eq!(Bundle::decode(&bytes), Err(BundleError::FragmentRange { offset, length: 7, total }));
    }
}

#[test]
fn a_forwarder_changes_three_blocks_and_nothing_else() {
    let mut bundle = sample();
    bundle.set_hop_count(HopCount { limit: 30, count: 0 });
    bundle.set_age_ms(5);
    let mut forwarded = Bundle::decode(&bundle.encode()).unwrap();
    forwarded.set_previous_node(&NodeId(9).endpoint(0));
    forwarded.set_hop_count(HopCount { limit: 30, count: 1 });
    forwarded.set_age_ms(1_000_000);
    let received = Bundle::decode(&forwarded.encode()).unwrap();
    assert_eq!(received.previous_node(), Some(NodeId(9).endpoint(0)));
    assert_eq!(received.hop_count(), Some(HopCount { limit: 30, count: 1 }));
    assert_eq!(received.age_ms(), Some(1_000_000));
    assert_eq!(received.primary_wire, bundle.primary_wire);
    assert_eq!(received.payload_block(), bundle.payload_block());
    assert_eq!(received.blocks().iter().map(|block| block.number).collect::<Vec<_>>(), [2, 3, 4]);
}

proptest! {
    #[test]
    fn every_bundle_survives_a_round_trip(bundle in bundle(endpoint())) {
        let bytes = bundle.encode();
        prop_assert_eq!(bytes.len(), bundle.encoded_len());
        let read = Bundle::decode(&bytes).unwrap();
        prop_assert_eq!(read.encode(), bytes);
        prop_assert_eq!(read.payload(), bundle.payload());
        prop_assert_eq!(read.blocks(), bundle.blocks());
        prop_assert_eq!(read.id(), bundle.id());
    }

    #[test]
    fn one_flipped_bit_is_always_noticed(bundle in bundle(endpoint()), position: prop::sample::Index, bit in 0..8_u8) {
        let mut bytes = bundle.encode();
        let at = position.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(Bundle::decode(&bytes).is_err());
    }

    #[test]
    fn what_is_accepted_is_the_only_encoding(
        bundle in bundle(endpoint()),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..6),
    ) {
        let mut bytes = bundle.encode();
        for (position, value, edit) in edits {
            let at = position.index(bytes.len());
            match edit {
                0 => bytes[at] = value,
                1 => bytes.insert(at, value),
                _ => drop(bytes.remove(at)),
            }
        }
        if let Ok(read) = Bundle::decode_with(&bytes, Policy::Lenient) {
            prop_assert_eq!(read.encode(), bytes);
        }
    }

    #[test]
    fn no_bytes_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), known_start: bool) {
        if known_start && bytes.len() > 4 {
            bytes[..4].copy_from_slice(&[0x9f, 0x88, 0x07, 0x00]);
        }
        let _ = Bundle::decode_with(&bytes, Policy::Lenient);
    }
}
