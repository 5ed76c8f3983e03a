//! Replicas are equal once the fleet has healed.

use super::OracleReport;
use crate::{
    engine::{Record, RecordKind},
    units::{AssetIndex, SimTime},
};
use std::collections::BTreeMap;

/// Compares the digests that replicas report at the end of the run.
#[derive(Clone, Debug, Default)]
pub struct ReplicasEqual {
    digests: BTreeMap<AssetIndex, [u8; 32]>,
}

impl ReplicasEqual {
    /// Takes the next record; of several digests of one asset the last counts.
    pub fn record(&mut self, record: &Record) {
        if let RecordKind::ReplicaDigest { digest } = record.kind {
            self.digests.insert(record.asset, digest);
        }
    }

    /// How many replicas reported.
    #[must_use]
    pub fn replicas(&self) -> usize {
        self.digests.len()
    }

    /// The replicas that do not hold what most replicas hold (of equally common states, the smaller digest's).
    #[must_use]
    pub fn diverged(&self) -> Vec<AssetIndex> {
        let mut holders: BTreeMap<[u8; 32], usize> = BTreeMap::new();
        for digest in self.digests.values() {
            *holders.entry(*digest).or_default() += 1;
        }
        let Some(common) = holders.iter().rev().max_by_key(|(_, count)| **count).map(|(digest, _)| *digest)
        else {
            return Vec::new();
        };
        self.digests.iter().filter(|(_, digest)| **digest != common).map(|(asset, _)| *asset).collect()
    }

    /// Reports every replica that differs.
    pub fn finish(&self, end: SimTime, report: &mut OracleReport) {
        for asset in self.diverged() {
            report.push(end, "replicas equal", || {
                format!(
                    "asset {}'s replica differs from what most of the {} hold",
                    asset.0,
                    self.digests.len()
                )
            });
        }
    }
}
