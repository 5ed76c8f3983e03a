use alloc::vec;
use proptest::prelude::*;

use super::*;
use crate::{
    bundle::{BundleError, CreationTimestamp, Policy, arbitrary::unhex},
    id::NodeId,
    time::DtnTime,
};

fn sample(payload: Vec<u8>) -> Bundle {
    let creation = CreationTimestamp { time: DtnTime(800_000_000_000), sequence: 3 };
    let mut bundle =
        Bundle::new(Primary::new(NodeId(1).endpoint(7), NodeId(2).endpoint(7), creation, 60_000), payload);
    bundle.set_age_ms(17);
    bundle.push_block(BlockKind(192), BlockFlags::default(), vec![1]);
    bundle.push_block(BlockKind(193), BlockFlags::REPLICATE, vec![2]);
    bundle
}

#[test]
fn blocks_go_into_the_first_fragment_and_replicated_ones_into_all() {
    let parts = sample(vec![7; 100]).fragment(40).unwrap();
    assert_eq!(parts.len(), 3);
    let kinds = |part: &Bundle| part.blocks().iter().map(|block| block.kind.0).collect::<Vec<_>>();
    assert_eq!(kinds(&parts[0]), [7, 192, 193]);
    assert_eq!(kinds(&parts[1]), [7, 193]);
    assert_eq!(parts[2].primary().fragment, Some(Fragment { offset: 80, total: 100 }));
    for part in &parts {
        assert_eq!(Bundle::decode(&part.encode()).unwrap().payload(), part.payload());
    }
}

#[test]
fn a_bundle_that_must_stay_whole_is_not_split() {
    let mut bundle = sample(vec![7; 100]);
    bundle.primary.flags = BundleFlags::MUST_NOT_FRAGMENT;
    assert_eq!(bundle.clone().fragment(99), Err(FragmentError::Forbidden));
    assert_eq!(bundle.clone().fragment(100), Ok(vec![bundle]));
}

#[test]
fn a_split_bundle_is_whole_again_and_never_has_an_empty_part() {
    let whole = sample((0..100).collect());
    let (head, tail) = whole.split(30).unwrap();
    assert_eq!((head.payload().len(), tail.payload().len()), (30, 70));
    let (middle, end) = tail.split(69).unwrap();
    assert_eq!(end.primary().fragment, Some(Fragment { offset: 99, total: 100 }));
    assert_eq!(reassemble(&[end, head, middle]), Ok(whole.clone()));
    for at in [0, 100, 101] {
        assert_eq!(whole.split(at), Err(FragmentError::Empty));
    }
}

/// An abstract security block of this context with the primary block as its target.
fn on_primary(context: u8) -> Vec<u8> {
    vec![0x81, 0, context, 0, 0x82, 2, 0x82, 1, 0, 0x81, 0x81, 0x82, 1, 0x41, 0xaa]
}

#[test]
fn fragments_without_the_integrity_block_of_the_primary_block_have_a_checksum() {
    let mut whole = sample((0..100).collect());
    whole.strip_primary_crc();
    whole.push_block(BlockKind::BLOCK_INTEGRITY, BlockFlags::default(), on_primary(1));
    let parts = whole.clone().fragment(40).unwrap();
    let crcs: Vec<CrcKind> = parts.iter().map(|part| part.primary().crc).collect();
    assert_eq!(crcs, [CrcKind::None, CrcKind::Castagnoli, CrcKind::Castagnoli]);
    for part in &parts {
        let read = Bundle::decode(&part.encode()).map(|read| read.encode());
        assert_eq!(read, Ok(part.encode()), "strict peers take every fragment");
    }
    let (head, tail) = parts[0].split(10).unwrap();
    assert_eq!((head.primary().crc, tail.primary().crc), (CrcKind::None, CrcKind::Castagnoli));
    assert_eq!(reassemble(&[parts[2].clone(), tail, head, parts[1].clone()]), Ok(whole.clone()));
    // One that goes into every fragment protects every fragment.
    let mut replicated = sample((0..100).collect());
    replicated.strip_primary_crc();
    replicated.push_block(BlockKind::BLOCK_INTEGRITY, BlockFlags::REPLICATE, on_primary(1));
    assert!(replicated.fragment(40).unwrap().iter().all(|part| part.primary().crc == CrcKind::None));
    // A bundle that nothing protects gets nothing either: strict peers did not take it whole.
    let mut bare = sample((0..100).collect());
    bare.strip_primary_crc();
    for part in bare.fragment(40).unwrap() {
        assert_eq!(Bundle::decode(&part.encode()), Err(BundleError::UnprotectedPrimary));
    }
}

#[test]
fn a_checksum_that_another_node_gave_the_first_fragment_goes_where_hmac_had_none() {
    for (context, crc) in [(1, CrcKind::None), (3, CrcKind::Castagnoli)] {
        let mut whole = sample((0..100).collect());
        whole.push_block(BlockKind::BLOCK_INTEGRITY, BlockFlags::default(), on_primary(context));
        // Every part with a checksum of its own.
        let parts = whole.fragment(40).unwrap();
        assert_eq!(reassemble(&parts).unwrap().primary().crc, crc, "context {context}");
    }
}

#[test]
fn fragments_and_what_is_made_of_them_keep_the_form_of_every_name() {
    // Destination ipn:0.2.7 of three elements, source ipn:2.7, report-to ipn:0.9, which is nobody.
    let names = "82028300020782028202078202820009";
    let primary = unhex(&["880700 00", names, "82192710 00 1903e8"].concat().replace(' ', ""));
    let payload = [&[0x85, 1, 1, 0, 0, 0x58, 100][..], &[7; 100]].concat();
    let bytes = [&[0x9f][..], &primary, &payload, &[0xff]].concat();
    let whole = Bundle::decode_with(&bytes, Policy::Lenient).unwrap();
    assert_eq!(whole.primary().destination, NodeId(2).endpoint(7));
    let mut parts = Vec::new();
    for part in whole.fragment(40).unwrap() {
        parts.extend(part.fragment(30).unwrap());
    }
    assert_eq!(parts.len(), 5);
    for part in &parts {
        assert_eq!(part.primary_wire[4..4 + names.len() / 2], unhex(names), "{part:x?}");
        assert!(Bundle::decode_with(&part.encode(), Policy::Lenient).is_ok());
    }
    assert_eq!(reassemble(&parts).unwrap().encode(), bytes);
}

#[test]
fn gaps_strangers_and_contradictions_are_refused() {
    let parts = sample((0..100).collect()).fragment(40).unwrap();
    assert_eq!(reassemble(&[]), Err(FragmentError::Missing { at: 0 }));
    assert_eq!(reassemble(&[parts[0].clone(), parts[2].clone()]), Err(FragmentError::Missing { at: 40 }));
    assert_eq!(reassemble(&parts[..2]), Err(FragmentError::Missing { at: 80 }));
    let mut stranger = parts[1].clone();
    stranger.primary.creation.sequence += 1;
    let with_stranger = [parts[0].clone(), stranger, parts[2].clone()];
    assert_eq!(reassemble(&with_stranger), Err(FragmentError::Foreign { index: 1 }));
    let mut forged = parts[1].clone();
    forged.payload.data[0] ^= 1;
    let contradicting = [parts[0].clone(), parts[1].clone(), forged, parts[2].clone()];
    assert_eq!(reassemble(&contradicting), Err(FragmentError::Conflict { at: 80 }));
}

proptest! {
    #[test]
    fn fragments_in_any_order_and_split_again_give_the_bundle_back(
        payload in prop::collection::vec(any::<u8>(), 2..400), first in 1..200_usize, second in 1..50_usize, seed: u64,
    ) {
        let whole = sample(payload);
        let mut parts: Vec<Bundle> = Vec::new();
        let first = first.min(whole.payload().len() - 1);
        for part in whole.clone().fragment(first).unwrap() {
            parts.push(part.clone());
            parts.extend(part.fragment(second).unwrap());
        }
        let count = parts.len();
        for i in (1..count).rev() {
            parts.swap(i, (seed.wrapping_mul(i as u64 + 1) % (i as u64 + 1)) as usize);
        }
        prop_assert_eq!(reassemble(&parts).unwrap(), whole);
    }
}
