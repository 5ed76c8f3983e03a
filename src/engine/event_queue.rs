//! [`EventQueue`]: all events of all assets in one queue, in the total order (time, asset, source asset, sequence).
//!
//! [`WakeQueue`](super::WakeQueue) and [`Inbox`](super::Inbox) give the same order, and let an asset's wake-up move; but an
//! event that is put in touches its receiver, which on a large fleet is a cache miss of its own. This queue touches the
//! receiver only when the event happens, and serves where an event, once caused, stays.
//!
//! It is a ladder queue (Tang, Goh, Thng, "Ladder queue: an O(1) priority queue structure for large-scale discrete event
//! simulation", ACM TOMACS 15(3), 2005): far events lie unsorted at the top; when their time comes, they are dealt into
//! the buckets of a rung, each a span of time; a bucket that is still large into a finer rung; and a small one into the
//! bottom, which alone is sorted. So the queue grows with the events in flight, but its cost per event does not: each is
//! dealt a few times and sorted among some tens, and only the ends of buckets are touched. Two events of one time are
//! always in the same bucket, and the bottom orders them by their whole key: the total order is exact.

use std::{cmp::Ordering, collections::BinaryHeap};

use super::Entry;
use crate::units::{AssetIndex, SimTime};

/// Events that a bucket holds on average when it is dealt, and with which it goes to the bottom as it is.
const BUCKET: usize = 48;

/// An event and the asset at which it happens. In a max-heap, the next one is the greatest.
#[derive(Clone, Debug)]
struct Item<T> {
    asset: AssetIndex,
    entry: Entry<T>,
}

impl<T> Item<T> {
    fn nanos(&self) -> i64 {
        self.entry.time.as_nanos()
    }

    fn key(&self) -> (SimTime, AssetIndex, AssetIndex, u64) {
        (self.entry.time, self.asset, self.entry.source, self.entry.sequence)
    }
}

impl<T> PartialEq for Item<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Item<T> {}

impl<T> PartialOrd for Item<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Item<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        // Times nearly always differ.
        other.nanos().cmp(&self.nanos()).then_with(|| other.key().cmp(&self.key()))
    }
}

/// Buckets of equal spans of time; those before `next` are dealt.
#[derive(Clone, Debug)]
struct Rung<T> {
    start: i64,
    width: i64,
    next: usize,
    /// Where the buckets that are not yet dealt begin.
    undealt: i64,
    buckets: Vec<Vec<Item<T>>>,
}

impl<T> Rung<T> {
    fn place(&self, time: i64) -> usize {
        ((time - self.start) / self.width) as usize
    }
}

/// Events in the order (time, asset, source, sequence).
#[derive(Clone, Debug)]
pub struct EventQueue<T> {
    /// Earlier than everything else.
    bottom: BinaryHeap<Item<T>>,
    /// From coarse to fine; each finer rung lies before what is undealt of the coarser one.
    rungs: Vec<Rung<T>>,
    /// Events from `top_start` on.
    top: Vec<Item<T>>,
    top_start: i64,
    /// Empty buckets that keep their memory.
    spare: Vec<Vec<Item<T>>>,
    len: usize,
}

impl<T> EventQueue<T> {
    /// A queue with nothing in it.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bottom: BinaryHeap::new(),
            rungs: Vec::new(),
            top: Vec::new(),
            top_start: i64::MIN,
            spare: Vec::new(),
            len: 0,
        }
    }

    /// Puts in an event of `asset`.
    ///
    /// # Panics
    ///
    /// If its time is [`SimTime::MAX`], which is later than every event.
    #[inline]
    pub fn push(&mut self, asset: AssetIndex, entry: Entry<T>) {
        assert!(entry.time < SimTime::MAX, "an event happens at some time");
        let item = Item { asset, entry };
        self.len += 1;
        let time = item.nanos();
        if time >= self.top_start {
            self.top.push(item);
            return;
        }
        for rung in &mut self.rungs {
            if time >= rung.undealt {
                let bucket = rung.place(time);
                rung.buckets[bucket].push(item);
                return;
            }
        }
        self.bottom.push(item);
    }

    /// Takes the next event out, with the asset at which it happens.
    #[inline]
    pub fn pop(&mut self) -> Option<(AssetIndex, Entry<T>)> {
        if self.bottom.is_empty() {
            self.refill();
        }
        let Item { asset, entry } = self.bottom.pop()?;
        self.len -= 1;
        Some((asset, entry))
    }

    /// Time and asset of the next event. Deals events where needed, which changes the queue, but not its order.
    pub fn peek(&mut self) -> Option<(SimTime, AssetIndex)> {
        if self.bottom.is_empty() {
            self.refill();
        }
        self.bottom.peek().map(|item| (item.entry.time, item.asset))
    }

    /// Events in it.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Deals until the bottom holds the next events, if there are any.
    #[cold]
    fn refill(&mut self) {
        loop {
            let Some(rung) = self.rungs.last_mut() else {
                if self.top.len() <= 2 * BUCKET {
                    self.take_top();
                    return;
                }
                self.deal_top();
                continue;
            };
            let Some(ahead) = rung.buckets[rung.next..].iter().position(|bucket| !bucket.is_empty()) else {
                let rung = self.rungs.pop().expect("there is a rung");
                rung.buckets.into_iter().for_each(|bucket| self.keep(bucket));
                continue;
            };
            let (index, width) = (rung.next + ahead, rung.width);
            let start = rung.start + width * index as i64;
            rung.next = index + 1;
            rung.undealt = start.saturating_add(width);
            let mut bucket = std::mem::take(&mut rung.buckets[index]);
            if bucket.len() > 2 * BUCKET && width > 1 {
                let finer = self.rung(start, width, &mut bucket);
                self.rungs.push(finer);
                self.keep(bucket);
                continue;
            }
            // Made of a vector, a heap is built in linear time; the vectors trade places and keep their memory.
            let sorted = std::mem::take(&mut self.bottom).into_vec();
            self.bottom = bucket.into();
            self.keep(sorted);
            return;
        }
    }

    /// Makes the few events of the top the bottom; without any, starts afresh.
    fn take_top(&mut self) {
        self.top_start = self.top.iter().map(|item| item.nanos() + 1).max().unwrap_or(i64::MIN);
        self.bottom.extend(self.top.drain(..));
    }

    /// Makes the first rung of the top's events: of all, unless their span cannot be counted.
    fn deal_top(&mut self) {
        let mut near = std::mem::take(&mut self.top);
        let first = near.iter().map(Item::nanos).min().expect("the top is not empty");
        let last = near.iter().map(Item::nanos).max().expect("the top is not empty");
        let span = last.checked_sub(first).unwrap_or(i64::MAX).min(i64::MAX / 2) + 1;
        let end = first.saturating_add(span);
        if end <= last {
            (near, self.top) = near.into_iter().partition(|item| item.nanos() < end);
        }
        let rung = self.rung(first, span, &mut near);
        self.rungs.push(rung);
        self.top_start = end;
        if self.top.is_empty() {
            self.top = near;
        }
    }

    /// A rung over [start, start + span) with the events of `bucket`, which is left empty.
    fn rung(&mut self, start: i64, span: i64, bucket: &mut Vec<Item<T>>) -> Rung<T> {
        let up = |a: i64, b: i64| a / b + i64::from(a % b != 0);
        let width = up(span, (bucket.len() / BUCKET).max(1) as i64);
        let count = up(span, width) as usize;
        let mut buckets = Vec::with_capacity(count);
        buckets.extend(std::iter::repeat_with(|| self.spare.pop().unwrap_or_default()).take(count));
        let mut rung = Rung { start, width, next: 0, undealt: start, buckets };
        for item in bucket.drain(..) {
            let place = rung.place(item.nanos());
            rung.buckets[place].push(item);
        }
        rung
    }

    /// Keeps the memory of an empty bucket for another, unless the bucket was unusually large.
    fn keep(&mut self, bucket: Vec<Item<T>>) {
        if (1..=4 * BUCKET).contains(&bucket.capacity()) {
            self.spare.push(bucket);
        }
    }
}

impl<T> Default for EventQueue<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Key = (i64, u32, u32, u64);

    fn push(queue: &mut EventQueue<()>, (time, asset, source, sequence): Key) {
        let (time, source) = (SimTime(time), AssetIndex(source));
        queue.push(AssetIndex(asset), Entry { time, source, sequence, event: () });
    }

    fn pop(queue: &mut EventQueue<()>) -> Option<Key> {
        let (asset, entry) = queue.pop()?;
        Some((entry.time.0, asset.0, entry.source.0, entry.sequence))
    }

    #[test]
    fn an_empty_queue_gives_nothing_and_takes_events_again() {
        let mut queue = EventQueue::new();
        assert_eq!(pop(&mut queue), None);
        for time in [5, -3] {
            push(&mut queue, (time, 1, 2, 3));
            assert_eq!(queue.peek(), Some((SimTime(time), AssetIndex(1))));
            assert_eq!(pop(&mut queue), Some((time, 1, 2, 3)));
        }
        assert_eq!(queue.peek(), None);
    }

    #[test]
    fn times_as_far_apart_as_can_be_are_in_order() {
        let mut queue = EventQueue::new();
        let mut keys: Vec<_> = (0..200).map(|n| (i64::MIN + n, 0, 0, 0)).collect();
        keys.extend((0..200).map(|n| (i64::MAX - 200 + n, 0, 0, 0)));
        keys.extend((0..200).map(|n| (n, 0, 0, 0)));
        keys.iter().rev().for_each(|&key| push(&mut queue, key));
        keys.sort_unstable();
        assert_eq!(std::iter::from_fn(|| pop(&mut queue)).collect::<Vec<_>>(), keys);
    }

    fn delay(rng: &mut crate::engine::Rng, scale: u32) -> i64 {
        let bits = rng.range(u64::from(scale) + 1);
        rng.range(1 << bits) as i64
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Pops equal those of a sorted reference; rounds of many events, so that rungs form, and of few times, so that
        /// ties are common; delays at every scale, so that events fall into the bottom, finer rungs and the top.
        #[test]
        fn the_queue_equals_a_sorted_set(
            rounds in prop::collection::vec((0usize..700, 0usize..700, 0u32..45), 1..8), seed: u64,
        ) {
            let mut rng = crate::engine::RandomStreams::new(seed).stream(crate::engine::Stream::Workload, 0);
            let (mut queue, mut reference) = (EventQueue::new(), std::collections::BTreeSet::new());
            let (mut now, mut sequence) = (0, 0);
            for (pushes, pops, scale) in rounds {
                for _ in 0..pushes {
                    let time = now + delay(&mut rng, scale);
                    sequence += 1;
                    let key = (time, rng.range(9) as u32, rng.range(9) as u32, sequence);
                    push(&mut queue, key);
                    reference.insert(key);
                }
                for _ in 0..pops {
                    let expected = reference.pop_first();
                    prop_assert_eq!(pop(&mut queue), expected);
                    now = expected.map_or(now, |key| key.0);
                    if expected.is_some() && rng.chance(0.5) {
                        sequence += 1;
                        let key = (now + delay(&mut rng, scale), 0, 1, sequence);
                        push(&mut queue, key);
                        reference.insert(key);
                    }
                }
                prop_assert_eq!(queue.len(), reference.len());
            }
            while let Some(expected) = reference.pop_first() {
                prop_assert_eq!(pop(&mut queue), Some(expected));
            }
            prop_assert!(queue.is_empty() && queue.pop().is_none());
        }
    }
}
