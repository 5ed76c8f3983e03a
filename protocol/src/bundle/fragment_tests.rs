use alloc::vec;
use proptest::prelude::*;

use super::*;
use crate::{bundle::CreationTimestamp, id::NodeId, time::DtnTime};

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
