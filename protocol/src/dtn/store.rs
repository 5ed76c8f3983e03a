//! The bounded bundle store: what waits here, in which queue, in which order it leaves, and what goes first when full.
//!
//! Every operation is O(log n) in the number of entries (plus the number of entries it hands back).

use crate::{id::NodeId, time::Instant};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

/// An entry's name in one store: handed out in the order of arrival, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreKey(pub u64);

/// How urgent a bundle is. The smaller value goes before and is evicted last; each has its share of a queue, so that none starves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Commands, alarms: 16 bytes of 21 while all three wait.
    Expedited,
    /// The default: 4 bytes of 21.
    #[default]
    Normal,
    /// Science data, software images: 1 byte of 21, and whatever the others leave.
    Bulk,
}

impl Priority {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Expedited, Self::Normal, Self::Bulk];

    /// What a byte costs its class: the inverse of its weight.
    const fn cost(self) -> u64 {
        match self {
            Self::Expedited => 1,
            Self::Normal => 4,
            Self::Bulk => 16,
        }
    }
}

/// What an entry waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Queue {
    /// No route is known.
    Limbo,
    /// Whomever the strategy of copies gives it to: see [`super::strategy::Spread`].
    Spread,
    /// A contact with this neighbour.
    Hop(NodeId),
    /// The convergence layer's verdict on a transmission to this neighbour.
    Sending(NodeId),
    /// The application on this node, or the other fragments.
    Local,
}

/// What the store knows of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreMeta {
    /// The node that the bundle goes to.
    pub destination: NodeId,
    /// How urgent it is.
    pub priority: Priority,
    /// From when on it is useless.
    pub expires: Instant,
    /// What it costs in the store and on the link, in bytes.
    pub bytes: u32,
    /// When it came in.
    pub received: Instant,
}

/// An entry: metadata, its queue, and the bundle as the owner holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<T> {
    /// What the store knows of it.
    pub meta: StoreMeta,
    /// What it waits for.
    pub queue: Queue,
    /// The bundle.
    pub value: T,
    /// Where it stands when room is made: its priority, but no more than the rank that it came in with.
    rank: Priority,
}

/// What makes room in a full store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Eviction {
    /// What is less urgent: of that the lowest priority first, in it the earliest expiry first.
    #[default]
    EarliestExpiry,
    /// What is not more urgent: the lowest priority first, in it what came in first, but nothing that is being sent. For copies, of which
    /// others have theirs (the rule of The ONE's `ActiveRouter`).
    OldestReceived,
}

/// The most that a store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreLimits {
    /// Sum of the entries' bytes.
    pub bytes: u64,
    /// Number of entries.
    pub count: usize,
}

/// What waits in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueLoad {
    /// Sum of the entries' bytes.
    pub bytes: u64,
    /// Number of entries.
    pub count: usize,
}

/// A queue that is not empty: what waits, and whose turn it is.
///
/// Classes share a queue by self-clocked fair queueing (Golestani, "A Self-Clocked Fair Queueing Scheme for Broadband
/// Applications", INFOCOM 1994), on whole numbers: the class whose first entry would finish earliest in virtual time leaves next. What
/// is expedited goes by the time at which it would start, so that a long one waits for no short ones.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    load: QueueLoad,
    waiting: [usize; 3],
    /// Virtual time from which each class's first entry is served.
    starts: [u64; 3],
    /// Virtual time of what left last.
    clock: u64,
}

/// What an accepted insertion did.
#[derive(Debug, PartialEq, Eq)]
pub struct Inserted<T> {
    /// The new entry's key.
    pub key: StoreKey,
    /// What had to go to make room, in the order of eviction.
    pub evicted: Vec<(StoreKey, Entry<T>)>,
}

/// The store has no room, even without all that is less urgent. Nothing changed; the value comes back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "store full: {bytes} bytes do not fit, {used_bytes} of {limit_bytes} bytes and {used_count} of {limit_count} entries used"
)]
pub struct StoreFull<T> {
    /// What was asked for, in bytes.
    pub bytes: u32,
    /// Bytes in use.
    pub used_bytes: u64,
    /// Bytes allowed.
    pub limit_bytes: u64,
    /// Entries in use.
    pub used_count: usize,
    /// Entries allowed.
    pub limit_count: usize,
    /// The value that was refused.
    pub value: T,
}

/// A store of bundles of type `T`, bounded in bytes and in number.
#[derive(Clone, Debug)]
pub struct Store<T> {
    limits: StoreLimits,
    eviction: Eviction,
    entries: BTreeMap<StoreKey, Entry<T>>,
    bytes: u64,
    next_key: u64,
    /// Per queue and class, by arrival.
    queues: BTreeSet<(Queue, Priority, StoreKey)>,
    lines: BTreeMap<Queue, Line>,
    expiries: BTreeSet<(Instant, StoreKey)>,
    /// Eviction order within a priority: by expiry or reception, then by arrival.
    by_priority: BTreeSet<(Priority, Instant, StoreKey)>,
}

impl<T> Store<T> {
    /// An empty store.
    #[must_use]
    pub const fn new(limits: StoreLimits) -> Self {
        Self {
            limits,
            eviction: Eviction::EarliestExpiry,
            entries: BTreeMap::new(),
            bytes: 0,
            next_key: 0,
            queues: BTreeSet::new(),
            lines: BTreeMap::new(),
            expiries: BTreeSet::new(),
            by_priority: BTreeSet::new(),
        }
    }

    /// The same, empty, with another rule for what makes room.
    #[must_use]
    pub fn with_eviction(limits: StoreLimits, eviction: Eviction) -> Self {
        Self { eviction, ..Self::new(limits) }
    }

    /// Puts `value` at the end of `queue`.
    ///
    /// When full, others make room: see [`Eviction`].
    ///
    /// # Errors
    /// [`StoreFull`] when that is not enough. The store is then unchanged.
    pub fn insert(&mut self, meta: StoreMeta, queue: Queue, value: T) -> Result<Inserted<T>, StoreFull<T>> {
        self.insert_as(meta.priority, meta, queue, value)
    }

    /// As [`Store::insert`], and evicts what an entry of the priority `rank` may: for one whose own is not to be relied on.
    ///
    /// # Errors
    /// [`StoreFull`], as for [`Store::insert`].
    pub fn insert_as(
        &mut self,
        rank: Priority,
        meta: StoreMeta,
        queue: Queue,
        value: T,
    ) -> Result<Inserted<T>, StoreFull<T>> {
        let Some(victims) = self.victims(rank, meta.bytes) else {
            return Err(StoreFull {
                bytes: meta.bytes,
                used_bytes: self.bytes,
                limit_bytes: self.limits.bytes,
                used_count: self.entries.len(),
                limit_count: self.limits.count,
                value,
            });
        };
        let evicted = victims.into_iter().filter_map(|key| Some((key, self.remove(key)?))).collect();
        let key = StoreKey(self.next_key);
        self.next_key += 1;
        self.bytes += u64::from(meta.bytes);
        self.expiries.insert((meta.expires, key));
        // What nobody vouches for is not safe by calling itself urgent.
        let rank = meta.priority.max(rank.min(Priority::Normal));
        self.by_priority.insert((rank, self.eviction_time(&meta), key));
        self.enqueue(key, &meta, queue);
        self.entries.insert(key, Entry { meta, queue, value, rank });
        Ok(Inserted { key, evicted })
    }

    /// Takes out what an entry of this priority and size would evict now, in the order of eviction; nothing when it would be refused.
    pub fn make_room(&mut self, priority: Priority, bytes: u32) -> Vec<(StoreKey, Entry<T>)> {
        let victims = self.victims(priority, bytes).unwrap_or_default();
        victims.into_iter().filter_map(|key| Some((key, self.remove(key)?))).collect()
    }

    /// Takes an entry out.
    pub fn remove(&mut self, key: StoreKey) -> Option<Entry<T>> {
        let entry = self.entries.remove(&key)?;
        self.bytes -= u64::from(entry.meta.bytes);
        self.expiries.remove(&(entry.meta.expires, key));
        self.by_priority.remove(&(entry.rank, self.eviction_time(&entry.meta), key));
        self.dequeue(key, &entry.meta, entry.queue);
        Some(entry)
    }

    /// Moves an entry to `queue`, where it keeps its place by priority and arrival. False when there is no such entry.
    ///
    /// To [`Queue::Sending`] it leaves its queue for a link, which counts against its class's share.
    pub fn assign(&mut self, key: StoreKey, queue: Queue) -> bool {
        let Some(entry) = self.entries.get_mut(&key) else { return false };
        let (meta, old) = (entry.meta, core::mem::replace(&mut entry.queue, queue));
        if old != queue {
            if matches!(queue, Queue::Sending(_)) {
                self.serve(old, &meta);
            }
            self.dequeue(key, &meta, old);
            self.enqueue(key, &meta, queue);
        }
        true
    }

    /// The entry that leaves `queue` next.
    #[must_use]
    pub fn peek(&self, queue: Queue) -> Option<(StoreKey, &Entry<T>)> {
        self.queued(queue).next()
    }

    /// Takes the entry that leaves `queue` next out of the store.
    pub fn pop(&mut self, queue: Queue) -> Option<(StoreKey, Entry<T>)> {
        let (key, entry) = self.peek(queue)?;
        let meta = entry.meta;
        self.serve(queue, &meta);
        Some((key, self.remove(key)?))
    }

    /// Takes out all that has expired at `now` (an entry expires *at* its expiry), earliest first.
    pub fn expire(&mut self, now: Instant) -> Vec<(StoreKey, Entry<T>)> {
        let mut expired = Vec::new();
        while let Some(&(expires, key)) = self.expiries.first() {
            if expires > now {
                break;
            }
            if let Some(entry) = self.remove(key) {
                expired.push((key, entry));
            }
        }
        expired
    }

    /// When the next entry expires.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Instant> {
        self.expiries.first().map(|&(expires, _)| expires)
    }

    /// The entry under `key`.
    #[must_use]
    pub fn get(&self, key: StoreKey) -> Option<&Entry<T>> {
        self.entries.get(&key)
    }

    /// The value under `key`, to change. Its metadata stays: to change that, remove and insert.
    pub fn value_mut(&mut self, key: StoreKey) -> Option<&mut T> {
        self.entries.get_mut(&key).map(|entry| &mut entry.value)
    }

    /// All entries by arrival.
    pub fn iter(&self) -> impl Iterator<Item = (StoreKey, &Entry<T>)> {
        self.entries.iter().map(|(&key, entry)| (key, entry))
    }

    /// The entries of `queue`: first those of the class whose turn it is, in each class by arrival.
    pub fn queued(&self, queue: Queue) -> impl Iterator<Item = (StoreKey, &Entry<T>)> {
        let classes = self.turns(queue).into_iter().flatten();
        classes
            .flat_map(move |class| self.class_keys(queue, class))
            .filter_map(|key| Some((key, self.entries.get(&key)?)))
    }

    /// The queues that are not empty, in order, with what waits in each.
    pub fn queues(&self) -> impl Iterator<Item = (Queue, QueueLoad)> {
        self.lines.iter().map(|(&queue, line)| (queue, line.load))
    }

    /// What waits in `queue`.
    #[must_use]
    pub fn load(&self, queue: Queue) -> QueueLoad {
        self.lines.get(&queue).map_or_else(QueueLoad::default, |line| line.load)
    }

    /// Bytes in use.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The most that this store holds.
    #[must_use]
    pub const fn limits(&self) -> StoreLimits {
        self.limits
    }

    fn class_keys(&self, queue: Queue, class: Priority) -> impl Iterator<Item = StoreKey> {
        let (first, last) = ((queue, class, StoreKey(0)), (queue, class, StoreKey(u64::MAX)));
        self.queues.range(first..=last).map(|&(_, _, key)| key)
    }

    /// The classes that wait in `queue`, by turn.
    fn turns(&self, queue: Queue) -> [Option<Priority>; 3] {
        let Some(line) = self.lines.get(&queue) else { return [None; 3] };
        let waiting = |class: &Priority| line.waiting[*class as usize] > 0;
        if Priority::ALL.iter().filter(|class| waiting(class)).count() < 2 {
            return [Priority::ALL.into_iter().find(waiting), None, None];
        }
        let mut turns = Priority::ALL.map(|class| {
            let first = self.class_keys(queue, class).next().and_then(|key| self.entries.get(&key))?;
            Some((line.turn(&first.meta), class))
        });
        turns.sort_by_key(|turn| turn.unwrap_or((u64::MAX, Priority::Bulk)));
        turns.map(|turn| turn.map(|(_, class)| class))
    }

    /// An entry of `queue` leaves for a link.
    fn serve(&mut self, queue: Queue, meta: &StoreMeta) {
        if let Some(line) = self.lines.get_mut(&queue) {
            line.clock = line.clock.max(line.turn(meta));
            line.starts[meta.priority as usize] = line.finish(meta);
        }
    }

    const fn eviction_time(&self, meta: &StoreMeta) -> Instant {
        match self.eviction {
            Eviction::EarliestExpiry => meta.expires,
            Eviction::OldestReceived => meta.received,
        }
    }

    fn may_evict(&self, priority: Priority, other: Priority) -> bool {
        match self.eviction {
            Eviction::EarliestExpiry => other > priority,
            Eviction::OldestReceived => other >= priority,
        }
    }

    /// Who has to go so that `bytes` more fit; `None` when only what is as urgent is left.
    fn victims(&self, priority: Priority, bytes: u32) -> Option<Vec<StoreKey>> {
        let bytes = u64::from(bytes);
        if bytes > self.limits.bytes || self.limits.count == 0 {
            return None;
        }
        let (mut used_bytes, mut used_count) = (self.bytes, self.entries.len());
        let mut victims = Vec::new();
        let lower = Priority::ALL.into_iter().rev().filter(|&lower| self.may_evict(priority, lower));
        let mut candidates = lower.flat_map(|lower| {
            let range = (lower, Instant::ZERO, StoreKey(0))..=(lower, Instant::MAX, StoreKey(u64::MAX));
            self.by_priority.range(range).map(|&(_, _, key)| key)
        });
        while used_bytes + bytes > self.limits.bytes || used_count >= self.limits.count {
            let key = candidates.next()?;
            let Some(entry) = self.entries.get(&key) else { continue };
            if self.eviction == Eviction::OldestReceived && matches!(entry.queue, Queue::Sending(_)) {
                continue;
            }
            used_bytes -= u64::from(entry.meta.bytes);
            used_count -= 1;
            victims.push(key);
        }
        Some(victims)
    }

    fn enqueue(&mut self, key: StoreKey, meta: &StoreMeta, queue: Queue) {
        self.queues.insert((queue, meta.priority, key));
        let line = self.lines.entry(queue).or_default();
        let class = meta.priority as usize;
        if line.waiting[class] == 0 {
            // Who did not wait has saved nothing up.
            line.starts[class] = line.starts[class].max(line.clock);
        }
        line.waiting[class] += 1;
        line.load.bytes += u64::from(meta.bytes);
        line.load.count += 1;
    }

    fn dequeue(&mut self, key: StoreKey, meta: &StoreMeta, queue: Queue) {
        self.queues.remove(&(queue, meta.priority, key));
        if let Some(line) = self.lines.get_mut(&queue) {
            line.waiting[meta.priority as usize] -= 1;
            line.load.bytes -= u64::from(meta.bytes);
            line.load.count -= 1;
            if line.load.count == 0 {
                self.lines.remove(&queue);
            }
        }
    }
}

impl Line {
    /// Where the first entry of its class stands in the order of departure.
    fn turn(&self, first: &StoreMeta) -> u64 {
        match first.priority {
            Priority::Expedited => self.starts[Priority::Expedited as usize],
            Priority::Normal | Priority::Bulk => self.finish(first),
        }
    }

    /// When the first entry of its class is served in virtual time.
    fn finish(&self, first: &StoreMeta) -> u64 {
        let service = u64::from(first.bytes).saturating_mul(first.priority.cost());
        self.starts[first.priority as usize].saturating_add(service)
    }
}

#[cfg(test)]
mod tests;
