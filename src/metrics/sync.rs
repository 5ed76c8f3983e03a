//! `sync.*`: replicated state.

use super::{DerivedRow, Latencies, MetricsSet, StalenessRow};
use crate::{
    engine::{Record, RecordKind},
    oracle::ReplicasEqual,
    units::{AssetIndex, SimTime},
};
use std::collections::BTreeMap;

/// Follows each write from its writer to the other replicas.
///
/// `sync.latency_s` is the time from a local write to its being visible at *every* interested replica, so one value per
/// write that got everywhere; `sync.writes_incomplete` counts the others. A replica's staleness at a moment is the age of
/// the oldest write that it does not see yet, zero when it sees all; it is sampled on a fixed grid of simulated time.
///
/// At most [`SyncRecorder::PENDING`] writes are followed at a time; beyond that the oldest counts as incomplete.
#[derive(Clone, Debug)]
pub struct SyncRecorder {
    replicas: Vec<AssetIndex>,
    /// Writes that are not visible everywhere, by (time, actor, sequence): which replicas still miss them.
    pending: BTreeMap<(SimTime, AssetIndex, u64), Vec<bool>>,
    /// (actor, sequence) → time, for those.
    written: BTreeMap<(AssetIndex, u64), SimTime>,
    writes: u64,
    given_up: u64,
    latency: Latencies,
    bytes: BTreeMap<AssetIndex, u64>,
    digests: ReplicasEqual,
    sample_every: SimTime,
    next_sample: SimTime,
}

impl SyncRecorder {
    /// Writes followed at a time.
    pub const PENDING: usize = 65_536;
    /// Staleness samples over a run.
    pub const SAMPLES: i64 = 240;

    /// `replicas` hold the shared state, in a run of length `duration`; without either nothing is sampled.
    #[must_use]
    pub fn new(replicas: &[AssetIndex], duration: SimTime) -> Self {
        let mut replicas = replicas.to_vec();
        replicas.sort();
        replicas.dedup();
        let sampled = !replicas.is_empty() && duration > SimTime::ZERO;
        Self {
            replicas,
            pending: BTreeMap::new(),
            written: BTreeMap::new(),
            writes: 0,
            given_up: 0,
            latency: Latencies::default(),
            bytes: BTreeMap::new(),
            digests: ReplicasEqual::default(),
            sample_every: SimTime::from_nanos((duration.as_nanos() / Self::SAMPLES).max(1)),
            next_sample: if sampled { SimTime::ZERO } else { SimTime::MAX },
        }
    }

    /// Takes the next record; `rows` gets the staleness samples that lie before it.
    pub fn record(&mut self, record: &Record, rows: &mut Vec<DerivedRow>) {
        self.sample_until(record.time, rows);
        match record.kind {
            RecordKind::SyncWrite { sequence } => self.write_made(record.time, record.asset, sequence),
            RecordKind::SyncVisible { actor, sequence, .. } => {
                self.write_visible(record.time, record.asset, actor, sequence);
            }
            RecordKind::SyncBytes { bytes } => {
                self.bytes.insert(record.asset, bytes);
            }
            RecordKind::ReplicaDigest { .. } => self.digests.record(record),
            _ => {}
        }
    }

    /// Takes the samples that are due up to and including `end`.
    pub fn finish(&mut self, end: SimTime, rows: &mut Vec<DerivedRow>) {
        self.sample_until(end + SimTime::from_nanos(1), rows);
    }

    /// Writes `sync.*`.
    pub fn write(&self, set: &mut MetricsSet) {
        self.latency.write("sync.latency_s", set);
        set.count("sync.writes", self.writes, "1");
        set.count("sync.writes_incomplete", self.pending.len() as u64 + self.given_up, "1");
        set.count("sync.bytes", self.bytes.values().sum(), "B");
        if self.digests.replicas() == 0 {
            set.absent("sync.replicas_diverged", "1", "no replica reported what it holds at the end");
        } else {
            set.count("sync.replicas_diverged", self.digests.diverged().len() as u64, "1");
        }
    }

    fn write_made(&mut self, time: SimTime, actor: AssetIndex, sequence: u64) {
        self.writes += 1;
        let missing: Vec<bool> = self.replicas.iter().map(|replica| *replica != actor).collect();
        if !missing.contains(&true) {
            self.latency.record(SimTime::ZERO);
            return;
        }
        self.pending.insert((time, actor, sequence), missing);
        self.written.insert((actor, sequence), time);
        if self.pending.len() > Self::PENDING
            && let Some(((_, actor, sequence), _)) = self.pending.pop_first()
        {
            self.written.remove(&(actor, sequence));
            self.given_up += 1;
        }
    }

    fn write_visible(&mut self, now: SimTime, replica: AssetIndex, actor: AssetIndex, sequence: u64) {
        let Ok(place) = self.replicas.binary_search(&replica) else { return };
        let Some(&time) = self.written.get(&(actor, sequence)) else { return };
        let Some(missing) = self.pending.get_mut(&(time, actor, sequence)) else { return };
        missing[place] = false;
        if !missing.contains(&true) {
            self.pending.remove(&(time, actor, sequence));
            self.written.remove(&(actor, sequence));
            self.latency.record(now - time);
        }
    }

    fn sample_until(&mut self, time: SimTime, rows: &mut Vec<DerivedRow>) {
        while self.next_sample < time {
            let at = self.next_sample;
            let mut oldest: Vec<Option<SimTime>> = vec![None; self.replicas.len()];
            let mut unknown = oldest.len();
            for ((written, _, _), missing) in &self.pending {
                for (oldest, _) in
                    oldest.iter_mut().zip(missing).filter(|(o, missing)| **missing && o.is_none())
                {
                    *oldest = Some(*written);
                    unknown -= 1;
                }
                if unknown == 0 {
                    break;
                }
            }
            for (replica, oldest) in self.replicas.iter().zip(oldest) {
                let staleness = oldest.map_or(SimTime::ZERO, |written| at - written);
                rows.push(DerivedRow::Staleness(StalenessRow { time: at, asset: *replica, staleness }));
            }
            self.next_sample += self.sample_every;
        }
    }
}
