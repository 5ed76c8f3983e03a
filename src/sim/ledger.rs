//! When messages were submitted and writes made: what latencies are counted from.

use crate::{
    engine::{MessageKind, Record, RecordKind},
    units::{AssetIndex, SimTime},
};
use std::collections::{BTreeMap, VecDeque};

type MessageKey = (AssetIndex, AssetIndex, MessageKind, u64);

/// Messages under way and writes that not every replica has seen. Messages are forgotten when they are delivered, or when the
/// longest lifetime is over twice.
#[derive(Debug)]
pub(super) struct Ledger {
    longest: SimTime,
    messages: BTreeMap<MessageKey, SimTime>,
    order: VecDeque<(SimTime, MessageKey)>,
    replicas: u32,
    writes: BTreeMap<(AssetIndex, u64), (SimTime, u32)>,
}

impl Ledger {
    pub(super) fn new(longest: SimTime, replicas: u32) -> Self {
        let (messages, writes) = (BTreeMap::new(), BTreeMap::new());
        Self { longest, messages, order: VecDeque::new(), replicas, writes }
    }

    /// Notes what begins in `record`, and fills in the latency of what ends in it.
    pub(super) fn settle(&mut self, record: &mut Record) {
        let (time, asset) = (record.time, record.asset);
        match &mut record.kind {
            RecordKind::Submitted { sequence, destination, kind, .. } => {
                let key = (asset, *destination, *kind, *sequence);
                self.messages.insert(key, time);
                self.order.push_back((time, key));
                self.forget(time);
            }
            RecordKind::Delivered { source, sequence, kind, latency, .. } => {
                if let Some(submitted) = self.messages.remove(&(*source, asset, *kind, *sequence)) {
                    *latency = time - submitted;
                }
            }
            RecordKind::SyncWrite { sequence } => {
                self.writes.insert((asset, *sequence), (time, self.replicas.saturating_sub(1)));
            }
            RecordKind::SyncVisible { actor, sequence, latency } => {
                let key = (*actor, *sequence);
                if let Some((written, missing)) = self.writes.get_mut(&key) {
                    *latency = time - *written;
                    *missing = missing.saturating_sub(1);
                    if *missing == 0 {
                        self.writes.remove(&key);
                    }
                }
            }
            _ => {}
        }
    }

    fn forget(&mut self, now: SimTime) {
        while let Some((submitted, key)) = self.order.front() {
            if now.0 - submitted.0 <= self.longest.0.saturating_mul(2) && self.messages.contains_key(key) {
                break;
            }
            self.messages.remove(key);
            self.order.pop_front();
        }
    }
}
