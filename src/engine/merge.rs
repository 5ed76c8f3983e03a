//! Merging the records of partitions that ran side by side.

use super::Record;

/// Moves the records of all partitions to the end of `out`, in the order (time, asset, order at the asset).
///
/// Every asset is in one partition, so its records stand in one list and in the order in which it wrote them; the sort
/// is stable and keeps it. The result does not depend on the order of the partitions. The lists keep their memory.
///
/// Takes n log p comparisons for n records of p partitions that are each in order: the sort finds their runs.
pub fn merge_records<'a>(partitions: impl IntoIterator<Item = &'a mut Vec<Record>>, out: &mut Vec<Record>) {
    let start = out.len();
    for records in partitions {
        out.append(records);
    }
    out[start..].sort_by_key(|record| (record.time, record.asset));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::RecordKind,
        units::{AssetIndex, SimTime},
    };
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_merge_does_not_depend_on_the_partitions(
            events in prop::collection::vec((0i64..20, 0u32..6), 0..100),
            partition_of in prop::collection::vec(0usize..4, 6),
            swap: bool,
        ) {
            let mut events: Vec<_> = events.into_iter().enumerate().map(|(order, (time, asset))| Record {
                time: SimTime(time),
                asset: AssetIndex(asset),
                kind: RecordKind::SyncWrite { sequence: order as u64 },
            }).collect();
            // One thread writes in (time, asset) order, and at one asset in the order of its writing.
            events.sort_by_key(|record| (record.time, record.asset));
            let mut partitions = vec![Vec::new(); 4];
            for record in &events {
                partitions[partition_of[record.asset.get()]].push(record.clone());
            }
            if swap {
                partitions.reverse();
            }
            let mut merged = Vec::new();
            merge_records(&mut partitions, &mut merged);
            prop_assert_eq!(merged, events);
            prop_assert!(partitions.iter().all(Vec::is_empty));
        }
    }
}
