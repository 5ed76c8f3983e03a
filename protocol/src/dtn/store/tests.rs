use super::*;
use alloc::vec;
use proptest::prelude::*;

const LIMITS: StoreLimits = StoreLimits { bytes: 1_000, count: 8 };

fn meta(priority: Priority, bytes: u32, expires: u64) -> StoreMeta {
    let expires = Instant::from_nanos(expires);
    StoreMeta { destination: NodeId(9), priority, expires, bytes, received: Instant::ZERO }
}

#[test]
fn the_most_urgent_leaves_first_then_by_arrival() {
    let mut store = Store::new(LIMITS);
    let queue = Queue::Hop(NodeId(2));
    for (value, priority) in ["b1", "n1", "e1", "n2", "e2"].into_iter().zip([
        Priority::Bulk,
        Priority::Normal,
        Priority::Expedited,
        Priority::Normal,
        Priority::Expedited,
    ]) {
        store.insert(meta(priority, 10, 5), queue, value).unwrap();
    }
    let order: Vec<_> = core::iter::from_fn(|| store.pop(queue)).map(|(_, entry)| entry.value).collect();
    assert_eq!(order, ["e1", "e2", "n1", "n2", "b1"]);
}

/// Shares of bytes that leave while all three classes always have more.
#[test]
fn every_class_has_its_share_of_a_busy_link_and_none_starves() {
    let mut store = Store::new(StoreLimits { bytes: 1 << 40, count: 1 << 20 });
    let queue = Queue::Hop(NodeId(2));
    let sizes = [(Priority::Expedited, 900), (Priority::Normal, 100), (Priority::Bulk, 5_000)];
    for (priority, bytes) in sizes {
        (0..40_000 / bytes * 100)
            .for_each(|_| drop(store.insert(meta(priority, bytes, 5), queue, ()).unwrap()));
    }
    let mut left = [0u64; 3];
    while left.iter().sum::<u64>() < 2_100_000 {
        let (_, entry) = store.pop(queue).unwrap();
        left[entry.meta.priority as usize] += u64::from(entry.meta.bytes);
    }
    for (class, share) in left.into_iter().zip([1_600_000, 400_000, 100_000]) {
        assert!(class.abs_diff(share) <= 16_000, "{left:?}");
    }
}

#[test]
fn what_is_expedited_passes_all_that_waits_at_an_idle_link() {
    let mut store = Store::new(StoreLimits { bytes: 1 << 40, count: 1 << 20 });
    let queue = Queue::Hop(NodeId(2));
    for _ in 0..20 {
        store.insert(meta(Priority::Normal, 100, 5), queue, "normal").unwrap();
        store.insert(meta(Priority::Bulk, 100, 5), queue, "bulk").unwrap();
    }
    assert!((0..7).all(|_| store.pop(queue).is_some()));
    store.insert(meta(Priority::Expedited, 60_000, 5), queue, "order").unwrap();
    assert_eq!(store.pop(queue).map(|(_, entry)| entry.value), Some("order"));
}

#[test]
fn a_full_store_evicts_the_least_urgent_that_expires_first() {
    let mut store = Store::new(LIMITS);
    store.insert(meta(Priority::Bulk, 400, 90), Queue::Limbo, "late bulk").unwrap();
    store.insert(meta(Priority::Bulk, 400, 10), Queue::Limbo, "early bulk").unwrap();
    store.insert(meta(Priority::Normal, 200, 1), Queue::Limbo, "normal").unwrap();
    let inserted = store.insert(meta(Priority::Normal, 300, 50), Queue::Limbo, "new").unwrap();
    assert_eq!(inserted.evicted.iter().map(|(_, entry)| entry.value).collect::<Vec<_>>(), ["early bulk"]);
}

#[test]
fn a_refused_insertion_evicts_nothing_and_gives_the_value_back() {
    let mut store = Store::new(LIMITS);
    store.insert(meta(Priority::Bulk, 300, 90), Queue::Limbo, "bulk").unwrap();
    store.insert(meta(Priority::Expedited, 700, 90), Queue::Limbo, "urgent").unwrap();
    let full = store.insert(meta(Priority::Normal, 400, 90), Queue::Limbo, "new").unwrap_err();
    assert_eq!((full.value, full.used_bytes, store.len()), ("new", 1_000, 2));
}

#[test]
fn a_moved_entry_keeps_its_place_by_arrival() {
    let mut store = Store::new(LIMITS);
    let hop = Queue::Hop(NodeId(1));
    let first = store.insert(meta(Priority::Normal, 1, 9), Queue::Limbo, 1).unwrap().key;
    store.insert(meta(Priority::Normal, 1, 9), hop, 2).unwrap();
    assert!(store.assign(first, hop));
    assert_eq!(store.peek(hop).unwrap().0, first);
    assert_eq!(store.load(Queue::Limbo), QueueLoad::default());
}

#[derive(Clone, Debug)]
enum Step {
    Insert(Priority, u32, u64, Queue),
    Remove(u64),
    Assign(u64, Queue),
    Pop(Queue),
    Expire(u64),
}

fn any_priority() -> impl Strategy<Value = Priority> {
    prop_oneof![Just(Priority::Expedited), Just(Priority::Normal), Just(Priority::Bulk)]
}

fn any_queue() -> impl Strategy<Value = Queue> {
    prop_oneof![Just(Queue::Limbo), Just(Queue::Local), (0..3u64).prop_map(|node| Queue::Hop(NodeId(node)))]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any_priority(), 0..600u32, 0..40u64, any_queue()).prop_map(|(p, b, e, q)| Step::Insert(p, b, e, q)),
        1 => (0..40u64).prop_map(Step::Remove),
        2 => (0..40u64, any_queue()).prop_map(|(key, queue)| Step::Assign(key, queue)),
        1 => any_queue().prop_map(Step::Pop),
        1 => (0..40u64).prop_map(Step::Expire),
    ]
}

/// A plain list that sorts whenever it is asked.
#[derive(Default)]
struct Model {
    entries: Vec<(StoreKey, StoreMeta, Queue)>,
    next: u64,
}

impl Model {
    fn fits(&self, bytes: u32) -> bool {
        let used: u64 = self.entries.iter().map(|(_, meta, _)| u64::from(meta.bytes)).sum();
        used + u64::from(bytes) <= LIMITS.bytes && self.entries.len() < LIMITS.count
    }

    fn insert(&mut self, meta: StoreMeta, queue: Queue) -> Option<(StoreKey, Vec<StoreKey>)> {
        let before = self.entries.clone();
        let mut evicted = vec![];
        while !self.fits(meta.bytes) {
            let lower = self.entries.iter().filter(|(_, other, _)| other.priority > meta.priority);
            let victim =
                lower.min_by_key(|(key, other, _)| (core::cmp::Reverse(other.priority), other.expires, *key));
            let Some(&(victim, _, _)) = victim else {
                self.entries = before;
                return None;
            };
            evicted.push(victim);
            self.entries.retain(|&(key, _, _)| key != victim);
        }
        let key = StoreKey(self.next);
        self.next += 1;
        self.entries.push((key, meta, queue));
        Some((key, evicted))
    }

    /// Whether `key` may leave `queue` next: it is the first of its class, or nothing waits.
    fn may_leave(&self, queue: Queue, key: Option<StoreKey>) -> bool {
        let queued = || self.entries.iter().filter(|&&(_, _, other)| other == queue);
        let Some(found) = key else { return queued().next().is_none() };
        queued().find(|entry| entry.0 == found).is_some_and(|entry| {
            queued().filter(|other| other.1.priority == entry.1.priority).all(|other| other.0 >= found)
        })
    }
}

proptest! {
    #[test]
    fn the_store_agrees_with_a_plain_list(steps in prop::collection::vec(any_step(), 1..80)) {
        let (mut store, mut model) = (Store::new(LIMITS), Model::default());
        for step in steps {
            match step {
                Step::Insert(priority, bytes, expires, queue) => {
                    let meta = meta(priority, bytes, expires);
                    let expected = model.insert(meta, queue);
                    let found = store.insert(meta, queue, ()).ok();
                    let found = found.map(|i| (i.key, i.evicted.iter().map(|&(key, _)| key).collect::<Vec<_>>()));
                    prop_assert_eq!(found, expected);
                }
                Step::Remove(key) => {
                    let existed = model.entries.iter().any(|e| e.0 == StoreKey(key));
                    model.entries.retain(|e| e.0 != StoreKey(key));
                    prop_assert_eq!(store.remove(StoreKey(key)).is_some(), existed);
                }
                Step::Assign(key, queue) => {
                    let entry = model.entries.iter_mut().find(|e| e.0 == StoreKey(key));
                    prop_assert_eq!(store.assign(StoreKey(key), queue), entry.is_some());
                    if let Some(entry) = entry {
                        entry.2 = queue;
                    }
                }
                Step::Pop(queue) => {
                    let found = store.pop(queue).map(|(key, _)| key);
                    prop_assert!(model.may_leave(queue, found));
                    model.entries.retain(|e| Some(e.0) != found);
                }
                Step::Expire(now) => {
                    let now = Instant::from_nanos(now);
                    let mut expected: Vec<_> =
                        model.entries.iter().filter(|e| e.1.expires <= now).map(|e| (e.1.expires, e.0)).collect();
                    expected.sort();
                    model.entries.retain(|e| e.1.expires > now);
                    let found: Vec<_> = store.expire(now).iter().map(|(key, e)| (e.meta.expires, *key)).collect();
                    prop_assert_eq!(found, expected);
                }
            }
            prop_assert_eq!(store.len(), model.entries.len());
            prop_assert_eq!(store.bytes(), model.entries.iter().map(|e| u64::from(e.1.bytes)).sum::<u64>());
            prop_assert_eq!(store.next_expiry(), model.entries.iter().map(|e| e.1.expires).min());
            for (queue, load) in store.queues() {
                prop_assert!(model.may_leave(queue, store.peek(queue).map(|(key, _)| key)));
                let bytes: u64 = model.entries.iter().filter(|e| e.2 == queue).map(|e| u64::from(e.1.bytes)).sum();
                prop_assert_eq!(load.bytes, bytes);
            }
        }
    }
}

#[test]
fn among_copies_the_oldest_makes_room_but_none_that_is_being_sent_nor_one_more_urgent() {
    let mut store = Store::with_eviction(LIMITS, Eviction::OldestReceived);
    let received = |priority, at| StoreMeta {
        received: Instant::from_nanos(at),
        ..meta(priority, 400, 5 + 10 * (9 - at))
    };
    let urgent = store.insert(received(Priority::Expedited, 1), Queue::Spread, "urgent").unwrap().key;
    let sending = store.insert(received(Priority::Normal, 2), Queue::Spread, "sending").unwrap().key;
    store.assign(sending, Queue::Sending(NodeId(2)));
    assert!(store.insert(received(Priority::Normal, 3), Queue::Spread, "no room").is_err());
    store.assign(sending, Queue::Spread);
    let inserted = store.insert(received(Priority::Normal, 4), Queue::Spread, "newer").unwrap();
    assert_eq!(inserted.evicted.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [sending]);
    let inserted = store.insert(received(Priority::Expedited, 5), Queue::Spread, "urgent too").unwrap();
    assert_eq!(inserted.evicted[0].1.value, "newer");
    assert!(store.get(urgent).is_some());
}
