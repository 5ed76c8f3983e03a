use alloc::{vec, vec::Vec};
use proptest::prelude::*;

use super::*;
use crate::{
    bundle::{
        CreationTimestamp, HopCount,
        arbitrary::{bundle, endpoint, unhex},
        reassemble,
        rfc9173_vectors::BUNDLES,
    },
    cbor::Lengths,
    id::{EndpointId, NodeId},
    time::DtnTime,
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
    // RFC 9171 §4.3.2: the one byte string that must be of definite length.
    let chunked_payload = bare(&[&[0x85, 1, 1, 0, 0, 0x5f, 0x41, 0xaa, 0xff]]);
    assert_eq!(lenient(&chunked_payload), "non_canonical");
    let chunked_crc = bare(&[&[0x86, 1, 1, 0, 1, 0x41, 0xaa, 0x5f, 0x42, 0, 0, 0xff]]);
    assert_eq!(lenient(&chunked_crc), "non_canonical");
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

/// A primary block with indefinite lengths wherever they are possible: of itself, of endpoints, of a name in two texts, of the creation time;
/// source ipn:2.7, destination dtn://ab/c, report-to ipn:0.2.1, creation time 5000.
const INDEFINITE_PRIMARY: &str =
    "9f0700029f017f632f2f6163622f63ffff9f029f0207ffff9f029f000201ffff9f19138800ff1903e8";

/// A bundle around blocks with indefinite lengths, its checksums made right.
fn indefinite() -> Vec<u8> {
    let mut primary = unhex(INDEFINITE_PRIMARY);
    CrcKind::Castagnoli.put(&mut primary, 0);
    // Previous node ipn:3.0, hop count 3 of 9, both in arrays of indefinite length.
    let mut previous = unhex("9f06020002479f029f0300ffff");
    CrcKind::Castagnoli.put(&mut previous, 0);
    let mut hops = unhex("9f0a030001449f0903ff");
    CrcKind::X25.put(&mut hops, 0);
    let payload = unhex("9f0101000041aaff");
    [&[0x9f][..], &primary, &previous, &hops, &payload, &[0xff]].concat()
}

#[test]
fn indefinite_lengths_are_taken_by_lenient_readers_and_sent_on_as_they_came() {
    let bytes = indefinite();
    let bundle = Bundle::decode_with(&bytes, Policy::Lenient).unwrap();
    assert_eq!(bundle.primary().destination, "dtn://ab/c".parse().unwrap());
    assert_eq!(bundle.primary().source, NodeId(2).endpoint(7));
    assert_eq!(bundle.primary().report_to, NodeId(2).endpoint(1));
    assert_eq!(bundle.primary().creation.time, DtnTime(5000));
    assert_eq!(bundle.previous_node(), Some(NodeId(3).endpoint(0)));
    assert_eq!(bundle.hop_count(), Some(HopCount { limit: 9, count: 3 }));
    assert_eq!((bundle.encode(), bundle.encoded_len()), (bytes.clone(), bytes.len()));
    assert_eq!(refused(&bytes), "non_canonical");
    // Every checksum counts, and nothing that is cut off passes.
    for at in 1..bytes.len() - 1 {
        assert!(Bundle::decode_with(&bytes[..at], Policy::Lenient).is_err(), "cut to {at}");
    }
    let mut broken = bytes.clone();
    broken[13] ^= 1;
    assert_eq!(Bundle::decode_with(&broken, Policy::Lenient).unwrap_err().reason(), "crc_mismatch");
}

#[test]
fn an_array_of_indefinite_length_has_as_many_items_as_one_of_definite_length() {
    let lenient = |block: &[u8]| {
        Bundle::decode_with(&bare(&[block, PAYLOAD]), Policy::Lenient).map_err(|error| error.reason()).err()
    };
    assert_eq!(lenient(&unhex("9f18c002000040ff")), None);
    assert_eq!(lenient(&unhex("9f18c00200004000ff")), Some("malformed"));
    assert_eq!(lenient(&unhex("9f18c0020000ff")), Some("non_canonical"));
    // Of names, too: one part, four parts, a scheme alone.
    for name in ["9f029f02ffff", "82029f02030405ff", "9f02ff", "9f02820201", "9f0282020100ff"] {
        let data = unhex(name);
        let block = [&[0x85, 6, 2, 0, 0, 0x40 | data.len() as u8][..], &data].concat();
        assert_eq!(lenient(&block), Some("malformed_block"), "{name}");
    }
    // A name in parts is refused as soon as it is too long.
    let mut endless = unhex("82017f");
    (0..1024).for_each(|_| endless.extend_from_slice(&[0x61, b'a']));
    let mut reader = Reader::with(&endless, Lengths::Any);
    assert_eq!(read_endpoint(&mut reader), Err(BundleError::Endpoint { at: 0 }));
}

#[test]
fn fragments_of_a_bundle_of_indefinite_lengths_are_whole_again_byte_for_byte() {
    let mut bundle = Bundle::decode_with(&indefinite(), Policy::Lenient).unwrap();
    bundle.payload.data = (0..90).collect();
    let parts = bundle.clone().fragment(40).unwrap();
    for part in &parts {
        assert_eq!(
            Bundle::decode_with(&part.encode(), Policy::Lenient).map(|read| read.encode()),
            Ok(part.encode())
        );
    }
    assert_eq!(reassemble(&parts), Ok(bundle));
}

#[test]
fn security_covers_a_primary_block_in_deterministic_form() {
    let bundle = Bundle::decode_with(&indefinite(), Policy::Lenient).unwrap();
    let definite = bundle.canonical_primary();
    // RFC 9172 §4: all lengths definite, the rest as it came, the name of three elements too.
    let expected = "890700028201662f2f61622f63820282020782028300020182191388001903e844";
    assert_eq!(definite[..definite.len() - 4], unhex(expected));
    assert_eq!(definite[definite.len() - 4..], bundle.primary_wire[bundle.primary_wire.len() - 5..][..4]);
    assert_eq!(sample().canonical_primary(), sample().primary_wire);
}

#[test]
fn what_is_encrypted_is_neither_read_nor_written_by_a_forwarder() {
    let mut bundle = sample();
    bundle.set_previous_node(&NodeId(3).endpoint(0));
    bundle.set_hop_count(HopCount { limit: 9, count: 1 });
    bundle.set_age_ms(5);
    // Targets 2, 3 and 4: their data, which looks like plaintext, is not.
    let asb = unhex("8302030402008202820100838081824041aa80");
    bundle.push_block(BlockKind::BLOCK_CONFIDENTIALITY, BlockFlags::default(), asb);
    assert_eq!((bundle.previous_node(), bundle.hop_count(), bundle.age_ms()), (None, None, None));
    let before = bundle.clone();
    bundle.set_previous_node(&NodeId(4).endpoint(0));
    bundle.set_hop_count(HopCount { limit: 9, count: 2 });
    bundle.set_age_ms(6);
    assert_eq!(bundle, before);
}

#[test]
fn a_new_block_takes_no_number_that_a_security_block_speaks_of() {
    let mut bundle = sample();
    // An encrypted hop count, number 2, that is in another fragment.
    let asb = unhex("82020102008202820100828080");
    assert_eq!(bundle.push_block(BlockKind::BLOCK_CONFIDENTIALITY, BlockFlags::REPLICATE, asb), 2);
    bundle.blocks[0].number = 3;
    bundle.set_hop_count(HopCount { limit: 9, count: 2 });
    assert_eq!(bundle.block(BlockKind::HOP_COUNT).unwrap().number, 4);
    assert_eq!(bundle.hop_count(), Some(HopCount { limit: 9, count: 2 }));
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
