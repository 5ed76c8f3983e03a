//! Bad input of every kind at every door: refused or bounded, never a panic, never memory for what is only announced.

use allocation_counter::measure;
use cosmosmesh_protocol::{
    bundle::{BlockFlags, BlockKind, Bundle, Fragment, Primary},
    cbor,
    convergence::small_frame::{Reassembler, ReassemblyLimits},
    node::{Input, LinkId, Node},
    time::Instant,
};
use laws::{DOORS, Door, carrier, config, keys, split};
use std::{collections::BTreeMap, time::Duration};

mod laws;

/// What a door may take at once for an input of `length` bytes: copies of what is there, and its own tables.
fn allowance(length: usize) -> u64 {
    800_000 + 8 * length as u64
}

/// Feeds a door; gives its verdict, and asserts that it took no more memory than the input is worth.
#[track_caller]
fn feed(door: &Door, bytes: &[u8]) -> laws::Verdict {
    let mut verdict = Ok(());
    let taken = measure(|| verdict = (door.feed)(bytes));
    let allowed = allowance(bytes.len());
    assert!(taken.bytes_max <= allowed, "{}: {} bytes taken for {}", door.name, taken.bytes_max, bytes.len());
    verdict
}

/// Feeds every change of every example, and counts refusals by reason.
fn refusals(change: impl Fn(&[u8]) -> Vec<Vec<u8>>) -> BTreeMap<(&'static str, &'static str), usize> {
    let mut counted = BTreeMap::new();
    for door in &DOORS {
        for example in (door.examples)() {
            let changed = change(&example);
            let step = changed.len().div_ceil(door.most).max(1);
            for bytes in changed.into_iter().step_by(step) {
                if let Err(reason) = feed(door, &bytes) {
                    assert!(
                        !reason.is_empty()
                            && reason.bytes().all(|byte| byte == b'_'
                                || byte.is_ascii_lowercase()
                                || byte.is_ascii_digit())
                    );
                    *counted.entry((door.name, reason)).or_default() += 1;
                }
            }
        }
    }
    counted
}

#[test]
fn the_examples_are_good() {
    for door in &DOORS {
        for example in (door.examples)() {
            assert_eq!(feed(door, &example), Ok(()), "{}", door.name);
        }
    }
}

#[test]
fn what_is_cut_off_anywhere_is_refused() {
    for door in DOORS.iter().filter(|door| door.whole) {
        for example in (door.examples)() {
            for length in 0..example.len() {
                assert!(feed(door, &example[..length]).is_err(), "{} at {length}", door.name);
            }
        }
    }
    // A frame that is cut off holds a bundle that is; the node finds out. Parts of a transfer are judged when it is complete.
    let counted = refusals(|example| (0..example.len()).map(|length| example[..length].to_vec()).collect());
    assert!(counted[&("bundle", "truncated")] > 300 && counted[&("node", "truncated")] > 300, "{counted:?}");
}

#[test]
fn a_flipped_bit_is_noticed() {
    for door in DOORS.iter().filter(|door| ["bundle", "envelope"].contains(&door.name)) {
        for example in (door.examples)() {
            for bit in 0..8 * example.len() {
                let mut bytes = example.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert!(feed(door, &bytes).is_err(), "{}: bit {bit}", door.name);
            }
        }
    }
    let counted = refusals(|example| {
        let flip = |bit: usize| {
            let mut bytes = example.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes
        };
        (0..8 * example.len()).map(flip).collect()
    });
    assert!(
        counted[&("bundle", "crc_mismatch")] > 1000 && counted[&("envelope", "bad_signature")] > 100,
        "{counted:?}"
    );
}

#[test]
fn doubled_bytes_and_swapped_parts_are_refused() {
    let counted = refusals(|example| {
        let n = example.len();
        let doubled = (0..n).map(|at| [&example[..=at], &example[at..]].concat());
        let swapped = (1..n).map(|at| [&example[at..], &example[..at]].concat());
        doubled.chain(swapped).chain([example.repeat(2)]).collect()
    });
    for door in ["bundle", "envelope", "status report", "node"] {
        assert!(counted.keys().any(|(name, _)| *name == door), "{door}: {counted:?}");
    }
    assert!(counted.contains_key(&("bundle", "trailing_bytes")), "{counted:?}");
}

/// A length of 2^63, of 4 GiB and of all ones for every major type that has one, in place of every byte.
#[test]
fn announced_lengths_take_no_memory() {
    let counted = refusals(|example| {
        let mut changed = Vec::new();
        for length in [1 << 32, 1 << 63, u64::MAX] {
            for major in [cbor::BYTES, cbor::TEXT, cbor::ARRAY, cbor::MAP] {
                for at in 0..example.len() {
                    let mut bytes = example[..at].to_vec();
                    cbor::put_head(&mut bytes, major, length);
                    bytes.extend_from_slice(&example[at + 1..]);
                    changed.push(bytes);
                }
            }
        }
        changed
    });
    assert!(counted[&("bundle", "truncated")] >= 60, "{counted:?}");
}

#[test]
fn nesting_without_end_is_refused_without_recursion() {
    for byte in [0x9f, 0xbf, 0x5f, 0x7f, 0x81, 0xa1, 0xc1, 0xff] {
        let deep = vec![byte; 1 << 20];
        for door in &DOORS {
            for start in [&[][..], &[0x9f], &[0x40], &[0x9f, 0x88, 7, 0, 0]] {
                let bytes = [start, &deep].concat();
                if door.whole {
                    assert!(feed(door, &bytes).is_err(), "{} {byte:x} {start:x?}", door.name);
                } else {
                    let _ = feed(door, &bytes);
                }
            }
        }
    }
}

/// Steele, Lea and Flood's generator: the same changes on every machine.
struct Draw(u64);

impl Draw {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    const fn below(&mut self, end: usize) -> usize {
        (self.next() % if end == 0 { 1 } else { end as u64 }) as usize
    }

    /// Changes `bytes` in one of the ways of a fuzzing engine. `other`: another example to take a part from.
    fn change(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let (at, end) = (self.below(bytes.len()), self.below(bytes.len() + 1));
        let (low, high) = (at.min(end), at.max(end));
        match self.below(8) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
            1 if !bytes.is_empty() => bytes[at] = self.next() as u8,
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(low..high)),
            4 => {
                let part = bytes[low..high].to_vec();
                bytes.splice(low..low, part);
            }
            5 => {
                let (from, to) = (self.below(other.len() + 1), self.below(other.len() + 1));
                bytes.splice(low..high, other[from.min(to)..from.max(to)].iter().copied());
            }
            6 => {
                let edge =
                    [0, 1, 23, 24, 255, 256, 65_535, 1 << 31, 1 << 32, 1 << 63, u64::MAX][self.below(11)];
                let mut head = Vec::new();
                cbor::put_head(&mut head, self.below(8) as u8, edge);
                bytes.splice(low..(low + 1).min(bytes.len()), head);
            }
            _ => bytes.insert(at, self.next() as u8),
        }
    }
}

/// What a fuzzing engine does in its first seconds, for those who have none: see `fuzz/`. `COSMOSMESH_MUTATIONS` makes it longer.
#[test]
fn a_thousand_changes_at_every_door_break_no_law() {
    let rounds = std::env::var("COSMOSMESH_MUTATIONS").map_or(1000, |text| text.parse().expect("a number"));
    for (seed, door) in (1..).zip(&DOORS) {
        let (examples, mut draw) = ((door.examples)(), Draw(seed));
        let rounds = if door.most < 1000 { rounds / 4 } else { rounds };
        let mut refused: BTreeMap<&str, usize> = BTreeMap::new();
        for round in 0..rounds {
            let mut bytes = examples[round % examples.len()].clone();
            let other = &examples[draw.below(examples.len())];
            for _ in 0..=draw.below(4) {
                draw.change(&mut bytes, other);
            }
            if let Err(reason) = feed(door, &bytes) {
                *refused.entry(reason).or_default() += 1;
            }
        }
        let all: usize = refused.values().sum();
        assert!(all > rounds / 10, "{}: {refused:?}", door.name);
        assert!(refused.len() > 1 || door.name == "messages", "{}: {refused:?}", door.name);
    }
}

/// A bundle with `count` extension blocks of type 192.
fn many_blocks(count: u64) -> Vec<u8> {
    let good = carrier(3, b"x");
    let bytes = good.encode();
    let payload = {
        let mut without = good.clone();
        without.remove_block(BlockKind::HOP_COUNT);
        without.encoded_len()
    };
    let hop_count = bytes.len() - payload;
    let primary = 1 + good.encode().len() - 2 - hop_count - payload_block_len(&good);
    let mut out = bytes[..primary].to_vec();
    for number in 2..2 + count {
        out.extend_from_slice(&[0x85, 0x18, 192]);
        cbor::put_uint(&mut out, number);
        out.extend_from_slice(&[0, 0, 0x40]);
    }
    out.extend_from_slice(&bytes[primary + hop_count..]);
    out
}

fn payload_block_len(bundle: &Bundle) -> usize {
    let payload = bundle.payload().len();
    // Array head, four one-byte fields, byte string with its head, CRC-32C with its head.
    1 + 4 + cbor::head_len(payload as u64) + payload + 5
}

#[test]
fn a_million_blocks_are_refused_at_the_limit() {
    assert_eq!(feed(laws::door("bundle"), &many_blocks(32)), Ok(()));
    assert_eq!(feed(laws::door("bundle"), &many_blocks(33)), Err("too_many_blocks"));
    let million = many_blocks(1_000_000);
    assert!(million.len() > 8_000_000);
    let taken = measure(|| assert_eq!((laws::door("bundle").feed)(&million), Err("too_many_blocks")));
    assert!(taken.bytes_total < 50_000, "{} bytes for the blocks before the limit", taken.bytes_total);
}

#[test]
fn a_flood_of_first_parts_takes_what_the_limits_say() {
    let limits = ReassemblyLimits { transfers: 8, bytes: 1 << 16, timeout: Duration::from_secs(60) };
    let mut reassembler = Reassembler::new(limits);
    let bundle = carrier(3, &[7; 3000]).encode();
    let parts = split(&bundle, 200);
    let taken = measure(|| {
        for transfer in 0..20_000_u16 {
            let mut first = parts[0].clone();
            // The transfer's number follows the kind.
            first[1..3].copy_from_slice(&transfer.to_be_bytes());
            let _ = reassembler.accept(Instant::ZERO, &first);
        }
    });
    assert!(reassembler.transfers() <= 8 && reassembler.bytes() <= 1 << 16);
    assert!(reassembler.counters().evicted > 19_000, "{:?}", reassembler.counters());
    assert!(taken.bytes_max < 1 << 18, "{} bytes at once", taken.bytes_max);
    // What never completes goes when no part came for too long.
    reassembler.expire(Instant::from_nanos(61_000_000_000));
    assert_eq!((reassembler.transfers(), reassembler.bytes()), (0, 0));
}

#[test]
fn a_part_of_many_takes_no_memory_for_the_others() {
    let mut reassembler = Reassembler::new(ReassemblyLimits::default());
    // Part 4000 of 4096, of 200 bytes: 819 kB are announced.
    let mut frame = vec![0x41, 0, 1, 0xfa, 0x0f, 0xff];
    frame.extend_from_slice(&[7; 200]);
    let taken = measure(|| assert!(reassembler.accept(Instant::ZERO, &frame).is_ok()));
    assert!(taken.bytes_max < 2000 && reassembler.bytes() == 200, "{} bytes", taken.bytes_max);
}

/// Fragments of bundles that are not for the node: they are carried on as they are, and the store's limits hold.
#[test]
fn a_flood_of_fragments_through_a_relay_stays_within_its_store() {
    let mut node = Node::new(config(2), keys(2), [2; 32], Instant::ZERO);
    let limit = config(2).store.count;
    let taken = measure(|| {
        for number in 0..5_000_u64 {
            let whole = carrier(3, b"");
            let mut primary = Primary {
                fragment: Some(Fragment { offset: number, total: 1 << 40 }),
                ..whole.primary().clone()
            };
            primary.creation.sequence = number;
            let mut fragment = Bundle::new(primary, vec![1; 10]);
            fragment.push_block(BlockKind(192), BlockFlags::default(), vec![0]);
            let frame = [&[0x40][..], &fragment.encode()].concat();
            let _ = node
                .handle_input(Instant::from_nanos(number), Input::Frame { link: LinkId(1), bytes: &frame });
            while node.poll_output().is_some() {}
        }
    });
    assert!(node.stored() <= limit);
    assert!(taken.bytes_max < 8 << 20, "{} bytes at once", taken.bytes_max);
}
