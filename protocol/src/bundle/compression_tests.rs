use alloc::{vec, vec::Vec};
use proptest::prelude::*;

use super::*;
use crate::{
    bundle::{CreationTimestamp, Primary, reassemble},
    id::NodeId,
    time::DtnTime,
};

const MAX: usize = 1 << 20;

fn bundle(payload: Vec<u8>) -> Bundle {
    let creation = CreationTimestamp { time: DtnTime(800_000_000_000), sequence: 3 };
    Bundle::new(Primary::new(NodeId(1).endpoint(7), NodeId(2).endpoint(7), creation, 60_000), payload)
}

/// A bundle that says to hold `length` bytes in `payload`.
fn marked(payload: Vec<u8>, algorithm: u64, length: u64) -> Bundle {
    let mut bundle = bundle(payload);
    let mut mark = vec![0x82];
    cbor::put_uint(&mut mark, algorithm);
    cbor::put_uint(&mut mark, length);
    bundle.push_block(BlockKind::COMPRESSION, BlockFlags::default(), mark);
    bundle
}

/// A frame of `blocks` blocks that each repeat one byte 128 KiB times: 4 bytes a block (RFC 8878 §3.1.1.2.2).
fn bomb(blocks: usize) -> Vec<u8> {
    // Magic number; a descriptor without content size; a window of 128 KiB.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 7 << 3];
    for block in 1..=blocks {
        let header = (1_u32 << 17) << 3 | 1 << 1 | u32::from(block == blocks);
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.push(b'x');
    }
    frame
}

#[test]
fn a_payload_that_does_not_shrink_stays_as_it_is() {
    let mut noise = 1_u32;
    let noise: Vec<u8> = (0..4000)
        .map(|_| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (noise >> 24) as u8
        })
        .collect();
    for payload in [noise, vec![], vec![1, 2, 3]] {
        let mut bundle = bundle(payload);
        let before = bundle.clone();
        assert!(!bundle.compress(5));
        assert_eq!(bundle, before);
    }
}

#[test]
fn a_compressed_payload_is_smaller_marked_and_restored_even_from_fragments() {
    let text: Vec<u8> = b"bundle, contact, custody, ".iter().copied().cycle().take(9000).collect();
    let plain = bundle(text);
    let mut small = plain.clone();
    assert!(small.compress(5));
    assert!(small.encoded_len() < plain.encoded_len() / 4);
    let mark = small.block(BlockKind::COMPRESSION).unwrap();
    assert!(mark.flags.contains(BlockFlags::DELETE_BUNDLE_IF_UNPROCESSED));
    let mut parts = small.clone().fragment(20).unwrap();
    assert!(parts.len() > 1 && parts.iter().all(|part| part.block(BlockKind::COMPRESSION).is_some()));
    parts.reverse();
    let mut whole = reassemble(&parts).unwrap();
    whole.decompress(MAX).unwrap();
    assert_eq!((whole.payload(), whole.blocks()), (plain.payload(), plain.blocks()));
}

#[test]
fn a_bomb_is_refused_by_its_own_word_or_as_soon_as_it_breaks_it() {
    // 4 GiB of x in 128 KiB of blocks.
    let frame = bomb(1 << 15);
    let mut honest = marked(frame.clone(), ZSTD, 1 << 32);
    assert_eq!(honest.decompress(MAX), Err(CompressionError::TooLarge { found: 1 << 32, max: MAX }));
    let mut lying = marked(frame, ZSTD, 1 << 20);
    match lying.decompress(MAX) {
        Err(CompressionError::Length { at_least, expected }) => {
            assert!(expected == MAX && at_least <= MAX + (1 << 18), "{at_least}");
        }
        other => panic!("{other:?}"),
    }
    let mut small = marked(bomb(2), ZSTD, 1 << 18);
    small.decompress(MAX).unwrap();
    assert_eq!(small.payload(), vec![b'x'; 1 << 18]);
}

#[test]
fn a_mark_that_does_not_fit_is_refused_and_nothing_changes() {
    let mut good = bundle(vec![b'x'; 4000]);
    assert!(good.compress(5));
    let frame = good.payload().to_vec();
    let mut trailing = frame.clone();
    trailing.push(0);
    let mut twice = marked(frame.clone(), ZSTD, 4000);
    twice.push_block(BlockKind::COMPRESSION, BlockFlags::default(), vec![0x82, 1, 1]);
    let mut unreadable = bundle(frame.clone());
    unreadable.push_block(BlockKind::COMPRESSION, BlockFlags::default(), vec![0x81, 1]);
    let length = |at_least, expected| CompressionError::Length { at_least, expected };
    for (mut bundle, error) in [
        (marked(frame.clone(), 2, 4000), CompressionError::Algorithm { found: 2 }),
        (marked(frame.clone(), ZSTD, 3999), length(4000, 3999)),
        (marked(frame.clone(), ZSTD, 4001), length(4000, 4001)),
        (marked(trailing, ZSTD, 4000), CompressionError::Frame),
        (marked(frame[..frame.len() - 1].to_vec(), ZSTD, 4000), CompressionError::Frame),
        (marked(b"not a frame".to_vec(), ZSTD, 4000), CompressionError::Frame),
        (twice, CompressionError::Mark),
        (unreadable, CompressionError::Mark),
    ] {
        let before = bundle.clone();
        assert_eq!(bundle.decompress(MAX), Err(error));
        assert_eq!(bundle, before);
    }
}

proptest! {
    #[test]
    fn every_payload_survives_compression(seed: Vec<u8>, repeats in 1_usize..60) {
        let plain = bundle(seed.repeat(repeats));
        let mut small = plain.clone();
        if small.compress(0) {
            small = Bundle::decode(&small.encode()).unwrap();
        }
        small.decompress(MAX).unwrap();
        prop_assert_eq!(small.payload(), plain.payload());
    }

    #[test]
    fn no_payload_panics(bytes: Vec<u8>, flip: u16, value: u8) {
        let _ = marked(bytes, ZSTD, 4000).decompress(MAX);
        let mut frame = compress_to_vec(&b"abcdefgh".repeat(500)[..], CompressionLevel::Fastest);
        let at = usize::from(flip) % frame.len();
        frame[at] ^= value;
        let _ = marked(frame, ZSTD, 4000).decompress(MAX);
    }
}
