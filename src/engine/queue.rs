//! The order of events: [`WakeQueue`], which asset acts next, and [`Inbox`], what it acts on.
//!
//! Events happen in the order (time, asset, source asset, sequence). The two structures split that order where it splits
//! by itself: the queue orders assets by (earliest time, asset) and holds one entry per asset, so it is as long as the
//! fleet and not as the traffic; each asset keeps what awaits it in its own inbox, in the order (time, source, sequence).
//! Together they give the exact total order, whatever the order in which anything was put in.
//!
//! # The wake-up queue
//!
//! A tournament among the assets: a tree over the dense list of assets in which every node stands for a block of eight
//! children and knows the earliest among them. The children of a block lie side by side in one cache line, and ties go to
//! the lower index, which is the order of the assets. Looking at the next wake-up follows one path of winners down the
//! tree; changing an asset's time replays the matches on its path up, and stops where nothing changes. Postponing an
//! asset that was not next in its block, and an earlier time that does not win its block, cost one write.
//!
//! Compared with a binary heap of events: no position map is needed for changing an asset's time, and at a million
//! assets a change touches 7 cache lines, of which only the first is cold.
//!
//! | Operation | Cost for n assets |
//! |---|---|
//! | [`WakeQueue::peek`] | log₈ n |
//! | [`WakeQueue::set`] | 1 to 8 · log₈ n |
//! | [`Inbox::push`], [`Inbox::pop`] | log₂ of what waits, and one comparison when nothing does |

use std::{cmp::Ordering, collections::BinaryHeap};

use crate::units::{AssetIndex, SimTime};

/// Children of a block: eight 64-bit times fill a cache line.
const ARITY: usize = 8;
const ARITY_LOG2: u32 = 3;

#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Block([i64; ARITY]);

impl Block {
    const EMPTY: Self = Self([i64::MAX; ARITY]);

    /// Place and time of the earliest child; of equals, the first.
    fn earliest(&self) -> (u8, i64) {
        // Matches in pairs have no long chain of dependencies, which a scan from left to right would have. `<=` keeps
        // the left of equals.
        let t = &self.0;
        let play = |a: (u8, i64), b: (u8, i64)| if a.1 <= b.1 { a } else { b };
        let first = play(play((0, t[0]), (1, t[1])), play((2, t[2]), (3, t[3])));
        let second = play(play((4, t[4]), (5, t[5])), play((6, t[6]), (7, t[7])));
        play(first, second)
    }
}

/// One level of the tournament: its blocks, and who wins each.
#[derive(Clone, Debug, Default)]
struct Level {
    blocks: Vec<Block>,
    winners: Vec<u8>,
}

impl Level {
    fn reset(&mut self, blocks: usize) {
        self.blocks.clear();
        self.blocks.resize(blocks, Block::EMPTY);
        self.winners.clear();
        self.winners.resize(blocks, 0);
    }
}

/// Which assets a queue orders.
#[derive(Clone, Debug)]
enum Members {
    /// All from 0: an asset's slot is its index.
    Fleet,
    /// A part of the fleet, in ascending order.
    Part(Vec<AssetIndex>),
}

/// Assets by the time at which each wants to act next, in the order (time, asset).
///
/// A queue holds a fixed set of members: the whole fleet, or one partition of it. [`SimTime::MAX`] means that an asset
/// waits for nothing.
#[derive(Clone, Debug)]
pub struct WakeQueue {
    members: Members,
    size: usize,
    depth: usize,
    /// From the assets' own times upwards; the first `depth` are in use, the last of which has one block.
    levels: Vec<Level>,
}

impl WakeQueue {
    /// A queue for all of a fleet of `assets`, none of which waits for anything.
    #[must_use]
    pub fn for_fleet(assets: usize) -> Self {
        let mut queue = Self { members: Members::Fleet, size: 0, depth: 0, levels: Vec::new() };
        queue.resize(assets);
        queue
    }

    /// A queue for some assets of a fleet, none of which waits for anything.
    ///
    /// # Panics
    ///
    /// If `members` is not in strictly ascending order.
    #[must_use]
    pub fn for_members(members: &[AssetIndex]) -> Self {
        let mut queue = Self::for_fleet(0);
        queue.assign(members);
        queue
    }

    /// Empties the queue and gives it other members; keeps its memory, so that a partition per window allocates nothing.
    ///
    /// # Panics
    ///
    /// If `members` is not in strictly ascending order.
    pub fn assign(&mut self, members: &[AssetIndex]) {
        assert!(members.is_sorted_by(|a, b| a < b), "members are in ascending order");
        let mut list = match std::mem::replace(&mut self.members, Members::Fleet) {
            Members::Fleet => Vec::new(),
            Members::Part(list) => list,
        };
        list.clear();
        list.extend_from_slice(members);
        self.members = Members::Part(list);
        self.resize(members.len());
    }

    fn resize(&mut self, size: usize) {
        self.size = size;
        self.depth = 0;
        let mut blocks = size;
        loop {
            blocks = blocks.div_ceil(ARITY).max(1);
            if self.levels.len() == self.depth {
                self.levels.push(Level::default());
            }
            self.levels[self.depth].reset(blocks);
            self.depth += 1;
            if blocks == 1 {
                return;
            }
        }
    }

    /// Sets the time at which `asset` wants to act next, earlier or later than before.
    ///
    /// # Panics
    ///
    /// If the asset is not a member.
    pub fn set(&mut self, asset: AssetIndex, time: SimTime) {
        let slot = self.slot(asset);
        self.set_slot(slot, time.as_nanos());
    }

    /// Sets the time of `asset` unless it wants to act earlier already.
    ///
    /// # Panics
    ///
    /// If the asset is not a member.
    pub fn set_earlier(&mut self, asset: AssetIndex, time: SimTime) {
        let slot = self.slot(asset);
        if time.as_nanos() < self.slot_time(slot) {
            self.set_slot(slot, time.as_nanos());
        }
    }

    /// Takes `asset` out: it waits for nothing.
    ///
    /// # Panics
    ///
    /// If the asset is not a member.
    pub fn remove(&mut self, asset: AssetIndex) {
        self.set(asset, SimTime::MAX);
    }

    /// Takes the next wake-up out: the earliest time, and of equals the lowest asset.
    ///
    /// A loop that knows when the asset acts again is faster with [`WakeQueue::peek`] and one [`WakeQueue::set`].
    pub fn pop(&mut self) -> Option<(SimTime, AssetIndex)> {
        let (slot, time) = self.first()?;
        self.set_slot(slot, i64::MAX);
        Some((SimTime(time), self.member(slot)))
    }

    /// The next wake-up.
    #[must_use]
    pub fn peek(&self) -> Option<(SimTime, AssetIndex)> {
        self.first().map(|(slot, time)| (SimTime(time), self.member(slot)))
    }

    /// When `asset` wants to act next.
    ///
    /// # Panics
    ///
    /// If the asset is not a member.
    #[must_use]
    pub fn time(&self, asset: AssetIndex) -> Option<SimTime> {
        let time = self.slot_time(self.slot(asset));
        (time != i64::MAX).then_some(SimTime(time))
    }

    /// Whether no asset waits for anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first().is_none()
    }

    fn slot(&self, asset: AssetIndex) -> usize {
        match &self.members {
            Members::Fleet => {
                assert!(asset.get() < self.size, "asset {} is not in a fleet of {}", asset.0, self.size);
                asset.get()
            }
            Members::Part(list) => list.binary_search(&asset).expect("the asset is a member of the queue"),
        }
    }

    fn member(&self, slot: usize) -> AssetIndex {
        match &self.members {
            Members::Fleet => AssetIndex(slot as u32),
            Members::Part(list) => list[slot],
        }
    }

    fn slot_time(&self, slot: usize) -> i64 {
        self.levels[0].blocks[slot >> ARITY_LOG2].0[slot % ARITY]
    }

    #[inline]
    fn first(&self) -> Option<(usize, i64)> {
        let mut place = 0;
        for level in self.levels[..self.depth].iter().rev() {
            place = place << ARITY_LOG2 | usize::from(level.winners[place]);
        }
        let time = self.slot_time(place);
        (time != i64::MAX).then_some((place, time))
    }

    #[inline]
    fn set_slot(&mut self, slot: usize, time: i64) {
        let mut place = slot;
        let mut time = time;
        for level in &mut self.levels[..self.depth] {
            let (parent, child) = (place >> ARITY_LOG2, place % ARITY);
            let block = &mut level.blocks[parent];
            let winner = &mut level.winners[parent];
            let before = block.0[usize::from(*winner)];
            block.0[child] = time;
            if usize::from(*winner) == child {
                // The winner moved: earlier, it still wins; later, the block plays again.
                if time > before {
                    (*winner, time) = block.earliest();
                }
            } else if time < before || (time == before && child < usize::from(*winner)) {
                *winner = child as u8;
            } else {
                return;
            }
            if time == before {
                // The block's time is what it was: above it, nothing changes.
                return;
            }
            place = parent;
        }
    }
}

/// Something that awaits an asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<T> {
    /// When it happens.
    pub time: SimTime,
    /// Who caused it.
    pub source: AssetIndex,
    /// The source's own count of what it caused: tells apart what it caused for the same time.
    pub sequence: u64,
    /// What it is.
    pub event: T,
}

impl<T> Entry<T> {
    fn key(&self) -> (SimTime, AssetIndex, u64) {
        (self.time, self.source, self.sequence)
    }
}

/// What awaits one asset, in the order (time, source, sequence).
///
/// The next entry lies in the inbox itself: an inbox of at most one entry never allocates.
#[derive(Clone, Debug)]
pub struct Inbox<T> {
    first: Option<Entry<T>>,
    rest: BinaryHeap<Later<T>>,
}

impl<T> Inbox<T> {
    /// An inbox with nothing in it.
    #[must_use]
    pub const fn new() -> Self {
        Self { first: None, rest: BinaryHeap::new() }
    }

    /// Puts an entry in. Returns whether it is now the next one, so that the asset's wake-up may have to move.
    #[inline]
    pub fn push(&mut self, entry: Entry<T>) -> bool {
        let Some(first) = &mut self.first else {
            self.first = Some(entry);
            return true;
        };
        if entry.key() < first.key() {
            let second = std::mem::replace(first, entry);
            self.rest.push(Later(second));
            return true;
        }
        self.rest.push(Later(entry));
        false
    }

    /// Takes the next entry out.
    #[inline]
    pub fn pop(&mut self) -> Option<Entry<T>> {
        let next = if self.rest.is_empty() { None } else { self.rest.pop().map(|later| later.0) };
        std::mem::replace(&mut self.first, next)
    }

    /// Takes the next entry out if it is due at `now`.
    #[inline]
    pub fn pop_due(&mut self, now: SimTime) -> Option<Entry<T>> {
        if self.first.as_ref()?.time <= now { self.pop() } else { None }
    }

    /// The next entry.
    #[must_use]
    pub const fn peek(&self) -> Option<&Entry<T>> {
        self.first.as_ref()
    }

    /// When the next entry happens.
    #[must_use]
    pub fn next_time(&self) -> Option<SimTime> {
        self.first.as_ref().map(|entry| entry.time)
    }

    /// Entries that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.first.is_none()
    }
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// An entry in a max-heap: the next one is the greatest.
#[derive(Clone, Debug)]
struct Later<T>(Entry<T>);

impl<T> PartialEq for Later<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.key() == other.0.key()
    }
}

impl<T> Eq for Later<T> {}

impl<T> PartialOrd for Later<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Later<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.key().cmp(&self.0.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn of_equal_times_the_lowest_asset_is_next() {
        let mut queue = WakeQueue::for_fleet(100);
        for asset in [70, 3, 99, 12, 4] {
            queue.set(AssetIndex(asset), SimTime(5));
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).map(|(_, asset)| asset.0).collect();
        assert_eq!(order, [3, 4, 12, 70, 99]);
    }

    #[test]
    fn a_queue_without_members_is_empty() {
        assert_eq!(WakeQueue::for_fleet(0).peek(), None);
        assert_eq!(WakeQueue::for_members(&[]).pop(), None);
    }

    #[test]
    fn other_members_start_with_nothing() {
        let mut queue = WakeQueue::for_members(&[AssetIndex(4), AssetIndex(9)]);
        queue.set(AssetIndex(9), SimTime(1));
        queue.assign(&[AssetIndex(2), AssetIndex(9)]);
        assert!(queue.is_empty());
        queue.set_earlier(AssetIndex(9), SimTime(7));
        queue.set_earlier(AssetIndex(9), SimTime(8));
        assert_eq!(queue.time(AssetIndex(9)), Some(SimTime(7)));
        assert_eq!(queue.pop(), Some((SimTime(7), AssetIndex(9))));
        assert_eq!(queue.time(AssetIndex(9)), None);
    }

    #[test]
    #[should_panic(expected = "member")]
    fn a_stranger_is_no_member() {
        WakeQueue::for_members(&[AssetIndex(4)]).set(AssetIndex(5), SimTime(1));
    }

    fn reference_first(times: &[i64]) -> Option<(SimTime, usize)> {
        let (slot, time) = times.iter().enumerate().min_by_key(|&(slot, time)| (*time, slot))?;
        (*time != i64::MAX).then_some((SimTime(*time), slot))
    }

    proptest! {
        #[test]
        fn the_queue_equals_a_sorted_list(
            size in 1usize..700,
            operations in prop::collection::vec((0u8..8, any::<u32>(), -20i64..20), 1..400),
            spread in 1u32..5,
        ) {
            // Members with gaps, so that a slot is not the asset's index; times collide often.
            let members: Vec<_> = (0..size as u32).map(|slot| AssetIndex(slot * spread)).collect();
            let mut queue = WakeQueue::for_members(&members);
            let mut times = vec![i64::MAX; size];
            for (operation, slot, time) in operations {
                let slot = slot as usize % size;
                match operation {
                    0..4 => { queue.set(members[slot], SimTime(time)); times[slot] = time; }
                    4 => { queue.set_earlier(members[slot], SimTime(time)); times[slot] = times[slot].min(time); }
                    5 => { queue.remove(members[slot]); times[slot] = i64::MAX; }
                    _ => {
                        let expected = reference_first(&times);
                        prop_assert_eq!(queue.pop(), expected.map(|(time, slot)| (time, members[slot])));
                        if let Some((_, slot)) = expected { times[slot] = i64::MAX; }
                    }
                }
                let expected = reference_first(&times).map(|(time, slot)| (time, members[slot]));
                prop_assert_eq!(queue.peek(), expected);
            }
            while let Some((time, slot)) = reference_first(&times) {
                prop_assert_eq!(queue.pop(), Some((time, members[slot])));
                times[slot] = i64::MAX;
            }
            prop_assert!(queue.is_empty());
        }

        #[test]
        fn an_inbox_equals_a_sorted_list(
            operations in prop::collection::vec((any::<bool>(), 0i64..6, 0u32..4), 1..200),
        ) {
            let (mut inbox, mut list) = (Inbox::new(), Vec::new());
            for (sequence, (push, time, source)) in operations.into_iter().enumerate() {
                if push {
                    let key = (time, source, sequence as u64);
                    let is_next = list.first().is_none_or(|first| key < *first);
                    let (time, source) = (SimTime(time), AssetIndex(source));
                    let entry = Entry { time, source, sequence: sequence as u64, event: () };
                    prop_assert_eq!(inbox.push(entry), is_next);
                    list.push(key);
                    list.sort_unstable();
                } else {
                    let expected = (!list.is_empty()).then(|| list.remove(0));
                    prop_assert_eq!(inbox.pop().map(|e| (e.time.0, e.source.0, e.sequence)), expected);
                }
                prop_assert_eq!(inbox.len(), list.len());
                prop_assert_eq!(inbox.next_time().map(|time| time.0), list.first().map(|first| first.0));
            }
        }

        /// Pops are the sorted order of (time, asset, source, sequence), whatever the order of the pushes.
        #[test]
        fn queue_and_inboxes_give_the_total_order(
            events in prop::collection::btree_set((0i64..8, 0u32..20, 0u32..5, 0u64..5), 0..150),
            shuffle: u64,
        ) {
            let mut pushes: Vec<_> = events.iter().copied().collect();
            let mut rng = crate::engine::RandomStreams::new(shuffle).stream(crate::engine::Stream::Workload, 0);
            for last in (1..pushes.len()).rev() {
                pushes.swap(last, rng.range(last as u64 + 1) as usize);
            }
            let mut queue = WakeQueue::for_fleet(20);
            let mut inboxes: Vec<Inbox<()>> = vec![Inbox::new(); 20];
            for (time, asset, source, sequence) in pushes {
                let entry = Entry { time: SimTime(time), source: AssetIndex(source), sequence, event: () };
                if inboxes[asset as usize].push(entry) {
                    queue.set(AssetIndex(asset), SimTime(time));
                }
            }
            let mut popped = Vec::new();
            while let Some((time, asset)) = queue.peek() {
                let inbox = &mut inboxes[asset.get()];
                let entry = inbox.pop_due(time).expect("a wake-up has something that is due");
                popped.push((entry.time.0, asset.0, entry.source.0, entry.sequence));
                queue.set(asset, inbox.next_time().unwrap_or(SimTime::MAX));
            }
            prop_assert_eq!(popped, events.into_iter().collect::<Vec<_>>());
        }
    }
}
