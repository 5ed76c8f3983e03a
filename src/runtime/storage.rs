//! An asset's disk: what survives a crash, and what a crash tears.

use crate::{engine::Rng, units::SimTime};
use bevy_ecs::component::Component;
use cosmosmesh_protocol::node::{Batch, Change, Kept};
use std::collections::{BTreeMap, VecDeque};

/// The records that an asset keeps for its node, behind a journal that is written in order.
#[derive(Component, Clone, Debug, Default)]
pub struct Storage {
    /// Time that one batch takes.
    commit_time: SimTime,
    kept: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Whether nothing is ever read from it, so that nothing need be there.
    unread: bool,
    /// The entries of the node's log, in order: kept apart, since the node never reads them again.
    log: Vec<Vec<u8>>,
    /// The logs that were on it when it was lost, which nothing but an audit reads.
    earlier: Vec<Vec<Vec<u8>>>,
    /// Batches on their way to the disk, and when each is there.
    journal: VecDeque<(SimTime, Batch)>,
}

impl Storage {
    /// An empty disk that takes `commit_time`, zero or more, for each batch.
    #[must_use]
    pub fn new(commit_time: SimTime) -> Self {
        Self { commit_time, ..Self::default() }
    }

    /// The disk of an asset that never restarts: it takes its time, and keeps no records.
    #[must_use]
    pub fn unread(commit_time: SimTime) -> Self {
        Self { commit_time, unread: true, ..Self::default() }
    }

    /// All durable records by key.
    #[must_use]
    pub const fn records(&self) -> &BTreeMap<Vec<u8>, Vec<u8>> {
        &self.kept
    }

    /// The durable entries of the node's log, in order.
    #[must_use]
    pub fn log(&self) -> &[Vec<u8>] {
        &self.log
    }

    /// The logs that were on it when it was lost, in order.
    #[must_use]
    pub fn earlier_logs(&self) -> &[Vec<Vec<u8>>] {
        &self.earlier
    }

    /// All that was on it is lost.
    pub fn lose(&mut self) {
        self.kept.clear();
        self.journal.clear();
        let log = std::mem::take(&mut self.log);
        if !log.is_empty() {
            self.earlier.push(log);
        }
    }

    /// Begins to write a batch, behind those that are being written.
    pub fn write(&mut self, now: SimTime, batch: Batch) {
        let begins = self.journal.back().map_or(now, |(done, _)| (*done).max(now));
        self.journal.push_back((begins + self.commit_time, batch));
    }

    /// When the batch that is being written is durable.
    #[must_use]
    pub fn next_commit(&self) -> Option<SimTime> {
        self.journal.front().map(|(done, _)| *done)
    }

    /// The next batch that is durable at `now`: its changes are made, the rest is for the caller.
    pub fn commit(&mut self, now: SimTime) -> Option<Batch> {
        if self.next_commit()? > now {
            return None;
        }
        let (_, batch) = self.journal.pop_front()?;
        Some(self.apply(batch))
    }

    /// The asset loses power: the journal ends at some byte of what was not durable yet. Batches that lie before it whole are found
    /// again on restart; the one that is cut fails its check and counts as never written. Returns the former.
    pub fn tear(&mut self, cut: &mut Rng) -> Vec<Batch> {
        let journal = std::mem::take(&mut self.journal);
        let total: u64 = journal.iter().map(|(_, batch)| length(batch)).sum();
        let mut left = cut.range(total + 1);
        let whole = journal.into_iter().map_while(|(_, batch)| {
            left = left.checked_sub(length(&batch))?;
            Some(batch)
        });
        let whole: Vec<Batch> = whole.collect();
        whole.into_iter().map(|batch| self.apply(batch)).collect()
    }

    fn apply(&mut self, mut batch: Batch) -> Batch {
        for change in batch.changes.drain(..) {
            match change {
                Change::Put { key, value } if key.first() == Some(&(Kept::LogEntry as u8)) => {
                    self.log.push(value)
                }
                _ if self.unread => {}
                Change::Put { key, value } => drop(self.kept.insert(key, value)),
                Change::Delete { key } => drop(self.kept.remove(&key)),
            }
        }
        batch
    }
}

/// Bytes of a batch in the journal, nearly.
fn length(batch: &Batch) -> u64 {
    let change = |change: &Change| match change {
        Change::Put { key, value } => key.len() + value.len() + 8,
        Change::Delete { key } => key.len() + 8,
    };
    let changes: usize = batch.changes.iter().map(change).sum();
    let deliveries: usize = batch.deliveries.iter().map(|delivery| delivery.payload.len() + 32).sum();
    let bundles: usize = batch.bundles.iter().map(|bundle| bundle.payload.len() + 32).sum();
    (16 + changes + deliveries + bundles) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{RandomStreams, Stream};
    use cosmosmesh_protocol::{
        bundle::{BundleFlags, CreationTimestamp},
        id::NodeId,
        node::{BundleDelivery, Ticket},
    };

    fn batch(number: u64) -> Batch {
        let key = vec![number as u8];
        let changes = vec![Change::Put { key, value: vec![0; 100] }];
        Batch { ticket: Ticket(number), changes, ..Batch::default() }
    }

    #[test]
    fn batches_become_durable_one_after_the_other() {
        let mut disk = Storage::new(SimTime::from_secs(2));
        disk.write(SimTime::ZERO, batch(0));
        disk.write(SimTime::from_secs(1), batch(1));
        assert!(disk.commit(SimTime::from_secs(1)).is_none());
        assert_eq!(disk.commit(SimTime::from_secs(2)).map(|batch| batch.ticket), Some(Ticket(0)));
        assert_eq!(disk.next_commit(), Some(SimTime::from_secs(4)));
        assert_eq!(disk.records().len(), 1);
    }

    #[test]
    fn a_bundle_for_the_application_takes_its_room_in_the_journal() {
        let mut with_bundle = batch(0);
        let empty = length(&with_bundle);
        with_bundle.bundles.push(BundleDelivery {
            source: NodeId(1).endpoint(7),
            destination: NodeId(2).endpoint(7),
            creation: CreationTimestamp::default(),
            flags: BundleFlags::default(),
            payload: vec![0; 1000],
            absent: 0,
        });
        assert!(length(&with_bundle) >= empty + 1000);
    }

    #[test]
    fn a_crash_keeps_a_beginning_of_the_journal_and_no_half_of_a_batch() {
        let streams = RandomStreams::new(1);
        let survivors: Vec<usize> = (0..64)
            .map(|entity| {
                let mut disk = Storage::new(SimTime::from_secs(1));
                (0..4).for_each(|number| disk.write(SimTime::ZERO, batch(number)));
                let whole = disk.tear(&mut streams.stream(Stream::TornWrites, entity));
                let tickets: Vec<u64> = whole.iter().map(|batch| batch.ticket.0).collect();
                assert_eq!(tickets, (0..whole.len() as u64).collect::<Vec<_>>());
                assert_eq!(disk.records().len(), whole.len());
                assert_eq!(disk.next_commit(), None);
                whole.len()
            })
            .collect();
        assert!((0..4).all(|count| survivors.contains(&count)), "every cut occurs: {survivors:?}");
    }
}
