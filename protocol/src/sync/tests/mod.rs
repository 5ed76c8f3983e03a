//! Replicas against each other, in memory.

mod audits;
mod compaction;
mod laws;
mod trust;
mod types;

use super::*;
use crate::{
    id::NodeId,
    identity::{Directory, KeyPair},
    time::DtnTime,
};
use alloc::{vec, vec::Vec};
extern crate std;
use std::sync::OnceLock;

/// Actors that have keys.
const ACTORS: u64 = 60;

fn keys(actor: NodeId) -> &'static KeyPair {
    static KEYS: OnceLock<Vec<KeyPair>> = OnceLock::new();
    &KEYS.get_or_init(|| (0..=ACTORS).map(|actor| KeyPair::from_seed([actor as u8; 32])).collect())
        [actor.0 as usize]
}

fn directory() -> &'static Directory {
    static DIRECTORY: OnceLock<Directory> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        (1..=ACTORS).map(|actor| (NodeId(actor), keys(NodeId(actor)).public().clone())).collect()
    })
}

const fn trust() -> impl Fn() -> Trust<'static> {
    || Trust { directory: directory(), now: DtnTime::UNKNOWN }
}

fn replica(actor: u64) -> Replica {
    Replica::new(NodeId(actor), SyncLimits::default())
}

/// What `from` sends to one at `version`, signed.
fn delta(from: &mut Replica, version: &VersionVector, max_bytes: usize) -> Option<Delta> {
    from.sign(keys(from.actor.node));
    from.delta_since(version, max_bytes)
}

fn apply(to: &mut Replica, sender: u64, delta: &Delta) -> Applied {
    to.apply_from(NodeId(sender), delta, trust()()).unwrap()
}

fn sync(from: &mut Replica, to: &mut Replica) -> Option<Applied> {
    let delta = delta(from, to.version(), usize::MAX)?;
    Some(apply(to, from.actor.node.0, &delta))
}

/// Syncs, and asks again for whatever does not fit.
fn heal_pair(from: &mut Replica, to: &mut Replica) {
    for _ in 0..3 {
        let Some(applied) = sync(from, to) else { return };
        let mut version = to.version().clone();
        applied.reseed.iter().for_each(|actor| version.forget(*actor));
        if let Some(delta) = delta(from, &version, usize::MAX) {
            apply(to, from.actor.node.0, &delta);
        }
    }
}

fn put(replica: &mut Replica, key: &[u8], value: &[u8], time: u64) -> Dot {
    replica.write(Op::MapPut { name: b"m", key, value }, DtnTime(time)).unwrap()
}

fn remove(replica: &mut Replica, key: &[u8], time: u64) -> Dot {
    replica.write(Op::MapRemove { name: b"m", key }, DtnTime(time)).unwrap()
}
