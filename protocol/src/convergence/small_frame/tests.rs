use alloc::{vec, vec::Vec};
use core::time::Duration;
use proptest::prelude::*;

use super::*;
use crate::time::Instant;

const LORA_MTU: usize = 233;

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 7 + i / 251) as u8).collect()
}

fn frames(bundle: &[u8], transfer: u16) -> Vec<Vec<u8>> {
    Fragmenter::new(bundle, transfer, LORA_MTU).unwrap().collect()
}

fn at(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * 1_000_000_000)
}

fn reassembler(transfers: usize, bytes: usize) -> Reassembler {
    Reassembler::new(ReassemblyLimits { transfers, bytes, timeout: Duration::from_secs(60) })
}

#[test]
fn a_bundle_that_fits_in_one_frame_costs_one_byte() {
    let bundle = bytes(LORA_MTU - 1);
    let sent = frames(&bundle, 9);
    assert_eq!((sent.len(), sent[0].len()), (1, LORA_MTU));
    let mut peer = Reassembler::new(ReassemblyLimits::default());
    assert_eq!(peer.accept(at(0), &sent[0]), Ok(Accepted::Bundle(bundle.into())));
    assert_eq!(frames(&bytes(LORA_MTU), 9).len(), 2);
}

/// The format as documented: a change of any byte is a change of version.
#[test]
fn the_frames_are_as_documented() {
    let sent: Vec<Vec<u8>> = Fragmenter::new(b"abcdefghij", 0x0102, 10).unwrap().collect();
    let checksum = crc(&[1, 2, 0, 3, b'a', b'b', b'c', b'd', b'e', b'f', b'g', b'h', b'i', b'j']);
    let expected = [
        [&[0x41, 1, 2, 0x00, 0x00, 3][..], b"abcd"].concat(),
        [&[0x41, 1, 2, 0x00, 0x10, 3][..], b"efgh"].concat(),
        [&[0x41, 1, 2, 0x00, 0x20, 3][..], b"ij", &checksum[..2]].concat(),
        [&[0x41, 1, 2, 0x00, 0x30, 3][..], &checksum[2..]].concat(),
    ];
    assert_eq!(sent, expected);
}

/// CRC-32C bit by bit.
fn crc(bytes: &[u8]) -> [u8; 4] {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    (!crc).to_be_bytes()
}

#[test]
fn the_longest_bundle_fits_and_one_byte_more_does_not() {
    for mtu in [MIN_MTU, 10, 51, LORA_MTU] {
        let max = max_bundle_bytes(mtu);
        assert_eq!(Fragmenter::new(&bytes(max), 0, mtu).unwrap().frames(), MAX_PARTS, "{mtu}");
        let error = FragmenterError::TooLong { found: max + 1, max };
        assert_eq!(Fragmenter::new(&bytes(max + 1), 0, mtu).unwrap_err(), error);
    }
    assert_eq!(max_bundle_bytes(LORA_MTU), 4096 * 227 - 4);
    assert_eq!(max_bundle_bytes(5), 4);
    assert_eq!(max_bundle_bytes(0), 0);
    assert_eq!(Fragmenter::new(&bytes(4), 0, 5).unwrap().frames(), 1);
    assert_eq!(Fragmenter::new(&[], 0, 5).unwrap_err(), FragmenterError::Empty);
}

#[test]
fn parts_of_two_transfers_with_one_number_do_not_mix() {
    let (old, new) = (bytes(400), vec![1; 400]);
    let (old, new) = (frames(&old, 5), frames(&new, 5));
    let mut peer = reassembler(4, 10_000);
    assert_eq!(peer.accept(at(0), &old[0]), Ok(Accepted::Partial { missing: 1 }));
    assert_eq!(peer.accept(at(1), &new[1]), Err(FrameError::Checksum { transfer: 5 }));
    assert_eq!((peer.transfers(), peer.bytes(), peer.counters().corrupt), (0, 0, 1));
    assert_eq!(peer.accept(at(2), &new[1]), Ok(Accepted::Partial { missing: 1 }));
    assert_eq!(peer.accept(at(3), &new[0]), Ok(Accepted::Bundle(vec![1; 400].into())));
}

#[test]
fn a_number_used_again_for_another_count_drops_the_older_transfer() {
    let (old, new) = (frames(&bytes(900), 5), frames(&bytes(400), 5));
    let mut peer = reassembler(4, 10_000);
    peer.accept(at(0), &old[0]).unwrap();
    peer.accept(at(0), &new[0]).unwrap();
    assert_eq!(peer.counters().superseded, 1);
    assert_eq!(peer.accept(at(0), &new[1]), Ok(Accepted::Bundle(bytes(400).into())));
}

#[test]
fn a_stalled_transfer_expires() {
    let sent = frames(&bytes(900), 5);
    let mut peer = reassembler(4, 10_000);
    peer.accept(at(0), &sent[0]).unwrap();
    peer.accept(at(50), &sent[1]).unwrap();
    assert_eq!(peer.next_timeout(), Some(at(110)));
    assert_eq!(peer.accept(at(100), &sent[1]), Ok(Accepted::Duplicate));
    assert_eq!(peer.next_timeout(), Some(at(110)), "a duplicate is no progress");
    peer.expire(at(109));
    assert_eq!(peer.transfers(), 1);
    peer.expire(at(110));
    assert_eq!((peer.transfers(), peer.bytes(), peer.counters().expired), (0, 0, 1));
    assert_eq!(peer.next_timeout(), None);
}

#[test]
fn the_oldest_transfer_makes_room() {
    let mut peer = reassembler(2, 10_000);
    for transfer in 1..=3 {
        peer.accept(at(0), &frames(&bytes(400), transfer)[0]).unwrap();
    }
    assert_eq!((peer.transfers(), peer.counters().evicted), (2, 1));
    assert_eq!(peer.accept(at(0), &frames(&bytes(400), 2)[1]), Ok(Accepted::Bundle(bytes(400).into())));
    let mut small = reassembler(9, 1000);
    for transfer in 1..=3 {
        for part in &frames(&bytes(600), transfer)[..2] {
            small.accept(at(0), part).unwrap();
            assert!(small.bytes() <= 1000);
        }
    }
    assert_eq!((small.transfers(), small.counters().evicted), (2, 1));
}

#[test]
fn a_transfer_larger_than_a_peers_memory_is_refused() {
    let mut peer = reassembler(9, 1000);
    let error = peer.accept(at(0), &frames(&bytes(5000), 1)[0]).unwrap_err();
    assert_eq!(error.reason(), "transfer_too_large");
    assert_eq!((peer.transfers(), peer.bytes(), peer.counters().refused), (0, 0, 1));
}

#[test]
fn malformed_frames_are_refused() {
    let mut peer = reassembler(4, 10_000);
    let mut reason = |frame: &[u8]| peer.accept(at(0), frame).unwrap_err().reason();
    assert_eq!(reason(&[]), "short_frame");
    assert_eq!(reason(&[0x40]), "short_frame");
    assert_eq!(reason(&[0x41, 0, 0, 0, 0, 1]), "short_frame");
    assert_eq!(reason(&[0x42, 0]), "short_frame");
    assert_eq!(reason(&[0x43, 0]), "unknown_frame");
    assert_eq!(reason(&[0x51, 0]), "unknown_frame");
    assert_eq!(reason(&[0x41, 0, 0, 0, 0x20, 1, 0]), "bad_part_index");
    assert_eq!(reason(&[0x41, 0, 0, 0, 0, 0, 0]), "bad_part_index");
    peer.accept(at(0), &[0x41, 0, 0, 0, 0x00, 2, 7, 7]).unwrap();
    let mut reason = |frame: &[u8]| peer.accept(at(0), frame).unwrap_err().reason();
    assert_eq!(reason(&[0x41, 0, 0, 0, 0x10, 2, 7]), "bad_part_length");
    assert_eq!(reason(&[0x41, 0, 0, 0, 0x20, 2, 7, 7, 7]), "bad_part_length");
}

proptest! {
    #[test]
    fn bundles_cross_whatever_the_order_and_however_often_frames_come(
        lengths in prop::collection::vec(1..2000_usize, 1..4),
        mtu in MIN_MTU + 4..300,
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..200),
    ) {
        let mut peer = Reassembler::new(ReassemblyLimits::default());
        let bundles: Vec<Vec<u8>> = lengths.iter().map(|length| bytes(*length)).collect();
        let mut sent: Vec<(usize, Vec<u8>)> = Vec::new();
        for (i, bundle) in bundles.iter().enumerate() {
            let fragmenter = Fragmenter::new(bundle, i as u16, mtu).unwrap();
            prop_assert_eq!(fragmenter.len(), fragmenter.frames());
            sent.extend(fragmenter.map(|frame| (i, frame)));
        }
        prop_assert!(sent.iter().all(|(_, frame)| frame.len() <= mtu));
        let count = sent.len();
        for (i, index) in order.iter().enumerate() {
            sent.swap(i % count, index.index(count));
        }
        // Every frame comes twice, the second time at once, so that a bundle may be completed twice but never wrongly.
        let mut arrived = vec![0_usize; bundles.len()];
        for (i, frame) in &sent {
            for _ in 0..2 {
                if let Accepted::Bundle(bundle) = peer.accept(at(0), frame).unwrap() {
                    prop_assert_eq!(&bundle, &bundles[*i]);
                    arrived[*i] += 1;
                }
            }
        }
        prop_assert!(arrived.iter().all(|count| *count >= 1));
        prop_assert_eq!(peer.counters().corrupt, 0);
    }

    #[test]
    fn no_frames_panic_and_memory_stays_bounded(
        frames in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..40), 0..4_u16), 0..100),
    ) {
        let mut peer = reassembler(3, 2000);
        for (i, (shaped, mut frame, last)) in frames.into_iter().enumerate() {
            if shaped && frame.len() > 6 {
                // Few transfers with few parts, so that they meet.
                let transfer = frame[2] % 4;
                frame[..3].copy_from_slice(&[0x41, 0, transfer]);
                frame[3] = 0;
                frame[4] = (frame[4] % 4) << 4;
                frame[5] = last as u8;
            }
            let _ = peer.accept(at(i as u64), &frame);
            prop_assert!(peer.bytes() <= 2000 && peer.transfers() <= 3);
        }
    }
}
