//! Rateless set reconciliation (Yang, Gilad, Alizadeh 2024, "Practical Rateless Set Reconciliation"): a sender streams coded symbols
//! of its set until the receiver can tell wherein the sets differ, whatever their size.
//!
//! Symbol i is the exclusive-or of the elements that map to it, and their number. An element maps to symbol 0 and then to ever rarer ones, to
//! symbol i with chance 1 / (1 + i/2) (§4.2 of the paper). The receiver takes its own set's symbols off; where one element is left, it is
//! found, taken off everywhere, and so on. For a difference of d this takes 1.35 d symbols when d is large and at most about 1.9 d on average.
//!
//! # Sizes
//! An element is 48 bits of SipHash of a cell's digest, with 24 more bits that tell whether a symbol holds one element alone. Only a
//! collision with an element of the *difference* hides anything: with 100 of 65,536 different, once in 4 · 10^7 audits, and the next audit
//! has another key. A symbol takes a chance of 2^-24 to be mistaken for one element. The number of elements is written as what it is
//! beyond the expected one, n / (1 + i/2) of n, and mostly takes one byte: a symbol is about 10 bytes.

use super::{
    columns::{Input, put_varint},
    limits::SyncError,
    siphash::SipKey,
};
use alloc::{collections::BTreeMap, vec, vec::Vec};

const HASH_BITS: u32 = 48;
const CHECK_BITS: u32 = 24;
/// The length of a symbol without its number of elements.
const SYMBOL_BYTES: usize = ((HASH_BITS + CHECK_BITS) / 8) as usize;

/// An element of a set: short hashes under an audit's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Element {
    /// Its name in an audit, of 48 bits.
    pub(super) hash: u64,
    check: u32,
    seed: u64,
}

/// The keys of one audit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys {
    elements: SipKey,
    places: SipKey,
}

impl Keys {
    pub(super) fn new(secret: [u8; 32]) -> Self {
        let (elements, places) = secret.split_at(16);
        let key = |half: &[u8]| SipKey::new(half.try_into().expect("half of 32 bytes"));
        Self { elements: key(elements), places: key(places) }
    }

    /// The element that stands for `digest`.
    pub(super) fn element(self, digest: &[u8; 32]) -> Element {
        self.named(self.elements.hash(digest) >> (64 - HASH_BITS))
    }

    /// The element of this hash.
    fn named(self, hash: u64) -> Element {
        let seed = self.places.hash(&hash.to_be_bytes());
        Element { hash, check: (seed >> (64 - CHECK_BITS)) as u32, seed }
    }
}

/// A coded symbol: the sum of the elements that map to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Symbol {
    hash: u64,
    check: u32,
    count: i64,
}

impl Symbol {
    const fn add(&mut self, element: Element, times: i64) {
        self.hash ^= element.hash;
        self.check ^= element.check;
        self.count = self.count.wrapping_add(times);
    }

    const fn is_empty(&self) -> bool {
        self.hash == 0 && self.check == 0 && self.count == 0
    }

    /// The element that is here alone, and whether it is the sender's (1) or ours (-1).
    fn alone(&self, keys: Keys) -> Option<(Element, i64)> {
        if self.count.unsigned_abs() != 1 {
            return None;
        }
        let element = keys.named(self.hash);
        (element.check == self.check).then_some((element, self.count))
    }
}

/// The symbols that an element maps to, in order.
#[derive(Clone, Copy)]
struct Places {
    state: u64,
    next: u64,
}

impl Places {
    const fn of(element: Element) -> Self {
        Self { state: element.seed, next: 0 }
    }
}

impl Iterator for Places {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let place = self.next;
        // SplitMix64 (Steele, Lea, Flood 2014).
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut draw = self.state;
        draw = (draw ^ draw >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        draw = (draw ^ draw >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        draw ^= draw >> 31;
        // Uniform in (0, 1), and the gap whose distribution is the mapping's: ⌈(i + 3/2) (u^(-1/2) - 1)⌉. A root is exact to the last bit
        // wherever floats are those of IEEE 754.
        let uniform = ((draw >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        let gap = libm::ceil((place as f64 + 1.5) * (1.0 / libm::sqrt(uniform) - 1.0));
        self.next = place.saturating_add((gap as u64).max(1));
        Some(place)
    }
}

/// The symbols `first` to `first + count - 1` of a set. O(n log m) for n elements and m symbols.
pub(super) fn symbols(elements: &[Element], first: u64, count: usize) -> Vec<Symbol> {
    let mut symbols = vec![Symbol::default(); count];
    let end = first.saturating_add(count as u64);
    for &element in elements {
        for place in Places::of(element).take_while(|place| *place < end).filter(|place| *place >= first) {
            symbols[(place - first) as usize].add(element, 1);
        }
    }
    symbols
}

/// Wherein two sets differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// The hashes of the sender's elements that are not ours, in order.
    pub(super) theirs: Vec<u64>,
    /// The hashes of our elements that are not the sender's, in order.
    pub(super) ours: Vec<u64>,
}

/// What the symbols from the first on tell of the difference to our elements; `None`: not enough.
///
/// Whatever the symbols are, at most as many elements as symbols are taken off, each once, so that the work is bounded.
pub(super) fn difference(keys: Keys, received: &[Symbol], elements: &[Element]) -> Option<Difference> {
    let mut rest = received.to_vec();
    for (symbol, own) in rest.iter_mut().zip(symbols(elements, 0, received.len())) {
        symbol.hash ^= own.hash;
        symbol.check ^= own.check;
        symbol.count = symbol.count.wrapping_sub(own.count);
    }
    let end = rest.len() as u64;
    let mut found: BTreeMap<u64, i64> = BTreeMap::new();
    let mut due: Vec<usize> = (0..rest.len()).collect();
    while let Some(at) = due.pop() {
        let Some((element, times)) = rest[at].alone(keys) else { continue };
        if found.len() >= rest.len() || found.insert(element.hash, times).is_some() {
            return None;
        }
        for place in Places::of(element).take_while(|place| *place < end) {
            rest[place as usize].add(element, -times);
            due.push(place as usize);
        }
    }
    if received.is_empty() || !rest.iter().all(Symbol::is_empty) {
        return None;
    }
    let side =
        |which: i64| found.iter().filter(|(_, times)| **times == which).map(|(hash, _)| *hash).collect();
    Some(Difference { theirs: side(1), ours: side(-1) })
}

/// How many of `elements` map to symbol `index`, as expected.
const fn expected(elements: u64, index: u64) -> i64 {
    let elements = elements as u128 * 2;
    (elements / (index as u128 + 2)) as i64
}

pub(super) fn put_symbols(out: &mut Vec<u8>, symbols: &[Symbol], elements: u64, first: u64) {
    put_varint(out, symbols.len() as u64);
    for (symbol, index) in symbols.iter().zip(first..) {
        out.extend_from_slice(&symbol.hash.to_be_bytes()[8 - HASH_BITS as usize / 8..]);
        out.extend_from_slice(&symbol.check.to_be_bytes()[4 - CHECK_BITS as usize / 8..]);
        let beyond = symbol.count.wrapping_sub(expected(elements, index));
        put_varint(out, (beyond << 1 ^ beyond >> 63) as u64);
    }
}

pub(super) fn read_symbols(
    input: &mut Input<'_>,
    elements: u64,
    first: u64,
) -> Result<Vec<Symbol>, SyncError> {
    let count = input.count(input.rest() / (SYMBOL_BYTES + 1))?;
    let mut symbols = Vec::with_capacity(count);
    for offset in 0..count as u64 {
        let index = first.checked_add(offset).ok_or_else(|| input.malformed())?;
        let (mut hash, mut check) = ([0; 8], [0; 4]);
        hash[2..].copy_from_slice(&input.array::<6>()?);
        check[1..].copy_from_slice(&input.array::<3>()?);
        let zigzag = input.varint()?;
        let beyond = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
        let count = expected(elements, index).wrapping_add(beyond);
        symbols.push(Symbol { hash: u64::from_be_bytes(hash), check: u32::from_be_bytes(check), count });
    }
    Ok(symbols)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(keys: Keys, numbers: impl Iterator<Item = u64>) -> Vec<Element> {
        let digest = |number: u64| core::array::from_fn(|i| number.to_be_bytes()[i % 8] ^ i as u8);
        numbers.map(|number| keys.element(&digest(number))).collect()
    }

    fn hashes(elements: &[Element]) -> Vec<u64> {
        let mut hashes: Vec<u64> = elements.iter().map(|element| element.hash).collect();
        hashes.sort_unstable();
        hashes
    }

    /// The fewest symbols that tell the difference.
    fn needed(keys: Keys, theirs: &[Element], ours: &[Element]) -> usize {
        let all = symbols(theirs, 0, 4_000);
        let (mut low, mut high) = (0, 1);
        while difference(keys, &all[..high], ours).is_none() {
            (low, high) = (high, 2 * high);
        }
        while high - low > 1 {
            let middle = low.midpoint(high);
            if difference(keys, &all[..middle], ours).is_some() { high = middle } else { low = middle }
        }
        high
    }

    #[test]
    fn a_hundred_of_ten_thousand_take_at_most_two_kilobytes_one_way() {
        let mut worst = 0;
        for seed in 0..20 {
            let keys = Keys::new([seed; 32]);
            let theirs = set(keys, 0..10_000);
            let ours = set(keys, 100..10_000);
            let count = needed(keys, &theirs, &ours);
            let mut bytes = Vec::new();
            put_symbols(&mut bytes, &symbols(&theirs, 0, count), 10_000, 0);
            worst = worst.max(bytes.len());
        }
        assert!(worst <= 2_000, "{worst} bytes");
    }

    #[test]
    fn the_overhead_is_that_of_the_paper() {
        for (different, least, most) in [(10, 1.0, 1.95), (100, 1.3, 1.65), (1_000, 1.3, 1.45)] {
            let rounds = (2_000 / different).min(40);
            let mut sum = 0;
            for round in 0..rounds {
                let keys = Keys::new([round as u8 + 1; 32]);
                let theirs = set(keys, 0..2_000);
                let ours = set(keys, different / 2..2_000 + different / 2);
                sum += needed(keys, &theirs, &ours);
            }
            let overhead = sum as f64 / (rounds * different) as f64;
            assert!((least..=most).contains(&overhead), "{different}: {overhead}");
        }
    }

    #[test]
    fn hostile_symbols_end_and_tell_nothing() {
        let keys = Keys::new([5; 32]);
        let ours = set(keys, 0..50);
        // One element in every symbol: taking it off where it maps to leaves it elsewhere, where it is found again.
        let stranger = set(keys, 99..100)[0];
        let mut one = Symbol::default();
        one.add(stranger, 1);
        assert_eq!(difference(keys, &[one; 300], &ours), None);
        assert_eq!(difference(keys, &[], &ours), None);
        let wild = Symbol { hash: u64::MAX >> 16, check: 0xff_ffff, count: i64::MIN };
        assert_eq!(difference(keys, &[wild; 300], &ours), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn differences_are_told_on_both_sides(
            seed in any::<u8>(),
            common in 0..200u64,
            theirs in 0..40u64,
            ours in 0..40u64,
        ) {
            let keys = Keys::new([seed; 32]);
            let base = 0..common;
            let left = set(keys, base.clone().chain(1_000..1_000 + theirs));
            let right = set(keys, base.chain(2_000..2_000 + ours));
            let count = needed(keys, &left, &right);
            let mut bytes = Vec::new();
            let sent = symbols(&left, 0, count);
            put_symbols(&mut bytes, &sent, left.len() as u64, 0);
            let mut input = Input::new(&bytes);
            let received = read_symbols(&mut input, left.len() as u64, 0);
            prop_assert_eq!(received.as_ref(), Ok(&sent));
            let found = difference(keys, &sent, &right).unwrap();
            prop_assert_eq!(found.theirs, hashes(&left[common as usize..]));
            prop_assert_eq!(found.ours, hashes(&right[common as usize..]));
        }

        #[test]
        fn the_stream_continues_where_it_ended(count in 0..300u64, cut in 0..60usize) {
            let keys = Keys::new([1; 32]);
            let elements = set(keys, 0..count);
            let mut parts = symbols(&elements, 0, cut);
            parts.extend(symbols(&elements, cut as u64, 60 - cut));
            prop_assert_eq!(parts, symbols(&elements, 0, 60));
        }

        #[test]
        fn random_symbols_end(bytes in prop::collection::vec(any::<u8>(), 0..400), cells in any::<u64>()) {
            let keys = Keys::new([2; 32]);
            if let Ok(symbols) = read_symbols(&mut Input::new(&bytes), cells, 0) {
                let _ = difference(keys, &symbols, &set(keys, 0..20));
            }
        }
    }
}
