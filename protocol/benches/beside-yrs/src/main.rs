//! Bytes of delta-sync beside those of yrs: 50 actors share a map of 1,000 keys and each writes one key, all at once; one who has all of that sends it
//! to one who has none of it.
//!
//! Both name the same actors (100 to 149), keys (`k000` to `k999`, written by the actors in turn) and values (numbers from 1,000 to 1,049: two
//! bytes here, a tag and two bytes in yrs). Only ours carry a clock and a role, by which concurrent writes are ranked; the clocks are within a minute.

use cosmosmesh_protocol::{
    id::NodeId,
    identity::{Directory, KeyPair},
    sync::{Op, Replica, SyncLimits, Trust, VersionVector},
    time::DtnTime,
};
use yrs::{
    Doc, Map, MapRef, ReadTxn, StateVector, Transact, Update,
    updates::{decoder::Decode, encoder::Encode},
};

const ACTORS: u64 = 50;
const KEYS: u64 = 1_000;

fn key(index: u64) -> String {
    format!("k{index:03}")
}

/// The key that an actor updates: all different.
fn updated(actor: u64) -> u64 {
    (actor * 389 + 1) % KEYS
}

struct Ours {
    keys: Vec<KeyPair>,
    directory: Directory,
    replicas: Vec<Replica>,
}

impl Ours {
    fn new() -> Self {
        let id = |index: u64| NodeId(100 + index);
        let keys: Vec<KeyPair> = (0..=ACTORS).map(|index| KeyPair::from_seed([index as u8; 32])).collect();
        let directory = (0..=ACTORS).map(|index| (id(index), keys[index as usize].public().clone())).collect();
        let replicas = (0..=ACTORS).map(|index| Replica::new(id(index), SyncLimits::default())).collect();
        Self { keys, directory, replicas }
    }

    fn put(&mut self, actor: u64, key_index: u64, value: u16, time: u64) {
        let (key, value) = (key(key_index), value.to_be_bytes());
        let put = Op::MapPut { name: b"m", key: key.as_bytes(), value: &value };
        self.replicas[actor as usize].write(put, DtnTime(time)).expect("a write");
    }

    fn sync(&mut self, from: u64, to: u64) {
        self.replicas[from as usize].sign(&self.keys[from as usize]);
        let version = self.replicas[to as usize].version().clone();
        let Some(delta) = self.replicas[from as usize].delta_since(&version, usize::MAX) else { return };
        let trust = Trust { directory: &self.directory, now: DtnTime::UNKNOWN };
        let applied = self.replicas[to as usize].apply_from(NodeId(100 + from), &delta, trust).expect("joins");
        assert!(applied.refused.is_empty() && applied.gaps.is_empty() && applied.reseed.is_empty());
    }

    /// The delta, the signatures in it, and the version.
    fn measure(mut self) -> (usize, usize, usize) {
        let hub = ACTORS;
        for index in 0..KEYS {
            self.put(index % ACTORS, index, index as u16, 800_000_000_000 + index);
        }
        (0..ACTORS).for_each(|actor| self.sync(actor, hub));
        (0..ACTORS).for_each(|actor| self.sync(hub, actor));
        let before: VersionVector = self.replicas[hub as usize].version().clone();
        for actor in 0..ACTORS {
            self.put(actor, updated(actor), 1_000 + actor as u16, 800_000_100_000 + actor * 7_919 % 60_000);
        }
        (0..ACTORS).for_each(|actor| self.sync(actor, hub));
        let delta = self.replicas[hub as usize].delta_since(&before, usize::MAX).expect("updates");
        assert_eq!(delta.cells(), ACTORS as usize);
        (delta.encode().len(), 64 * delta.signatures(), before.encode().len())
    }
}

struct Theirs {
    docs: Vec<Doc>,
    maps: Vec<MapRef>,
}

impl Theirs {
    fn new() -> Self {
        let docs: Vec<Doc> = (0..=ACTORS).map(|index| Doc::with_client_id(100 + index)).collect();
        let maps = docs.iter().map(|doc| doc.get_or_insert_map("m")).collect();
        Self { docs, maps }
    }

    fn put(&self, actor: u64, key_index: u64, value: u16) {
        let mut txn = self.docs[actor as usize].transact_mut();
        self.maps[actor as usize].insert(&mut txn, key(key_index), u32::from(value));
    }

    fn version(&self, of: u64) -> StateVector {
        self.docs[of as usize].transact().state_vector()
    }

    fn sync(&self, from: u64, to: u64) {
        let bytes = self.docs[from as usize].transact().encode_diff_v1(&self.version(to));
        let update = Update::decode_v1(&bytes).expect("its own bytes");
        self.docs[to as usize].transact_mut().apply_update(update).expect("joins");
    }

    /// The update in both of its formats, and the state vector.
    fn measure(self) -> (usize, usize, usize) {
        let hub = ACTORS;
        (0..KEYS).for_each(|index| self.put(index % ACTORS, index, index as u16));
        (0..ACTORS).for_each(|actor| self.sync(actor, hub));
        (0..ACTORS).for_each(|actor| self.sync(hub, actor));
        let before = self.version(hub);
        (0..ACTORS).for_each(|actor| self.put(actor, updated(actor), 1_000 + actor as u16));
        (0..ACTORS).for_each(|actor| self.sync(actor, hub));
        let txn = self.docs[hub as usize].transact();
        (txn.encode_diff_v1(&before).len(), txn.encode_diff_v2(&before).len(), before.encode_v1().len())
    }
}

fn main() {
    let (delta, signatures, version) = Ours::new().measure();
    let (first, second, vector) = Theirs::new().measure();
    println!("| | delta [B] | version [B] |\n|---|---|---|");
    println!("| cosmosmesh, before authentication | {} | {version} |", delta - signatures);
    println!("| cosmosmesh, with {} signatures of the writers | {delta} | {version} |", signatures / 64);
    println!("| yrs, update format 1 | {first} | {vector} |");
    println!("| yrs, update format 2 | {second} | {vector} |");
    assert!(delta - signatures <= first.min(second) && version <= vector);
}
