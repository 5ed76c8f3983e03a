//! [`Lives`]: an asset whose disk was lost numbers its messages anew, and may be brought again what it had taken.

use crate::{
    engine::{Record, RecordKind},
    units::{AssetIndex, SimTime},
};
use std::collections::BTreeMap;

/// Above this bit of a number stands the life of its sender.
const SENDER: u32 = 56;
/// Above this one, where it is asked whether something was delivered before, that of its receiver.
const RECEIVER: u32 = 48;

/// When assets lost their disks: with each of these a life begins, whose numbers are other ones.
#[derive(Clone, Debug, Default)]
pub struct Lives(BTreeMap<AssetIndex, Vec<SimTime>>);

impl Lives {
    /// These assets lose their disks at these times.
    #[must_use]
    pub fn new(losses: impl IntoIterator<Item = (AssetIndex, SimTime)>) -> Self {
        let mut lives = Self::default();
        losses.into_iter().for_each(|(asset, at)| lives.0.entry(asset).or_default().push(at));
        lives
    }

    fn life(&self, asset: AssetIndex, at: SimTime) -> u64 {
        let losses = self.0.get(&asset).into_iter().flatten();
        losses.filter(|lost| **lost <= at).count() as u64
    }

    /// The record with its number told from those of other lives of its sender; `received`: and of its receiver. `None`: as it is.
    #[must_use]
    pub fn told_apart(&self, record: &Record, received: bool) -> Option<Record> {
        if self.0.is_empty() {
            return None;
        }
        let mut told = record.clone();
        let number = match &mut told.kind {
            RecordKind::Submitted { sequence, .. }
            | RecordKind::Reworded { sequence, .. }
            | RecordKind::Acknowledged { sequence, .. }
            | RecordKind::Abandoned { sequence, .. }
            | RecordKind::Retransmitted { sequence, .. } => {
                let life = self.life(record.asset, record.time);
                (sequence, life << SENDER)
            }
            RecordKind::Delivered { source, sequence, latency, .. } => {
                let sent = self.life(*source, record.time - *latency) << SENDER;
                let taken = if received { self.life(record.asset, record.time) << RECEIVER } else { 0 };
                (sequence, sent + taken)
            }
            _ => return None,
        };
        let (sequence, life) = number;
        *sequence = sequence.wrapping_add(life);
        Some(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::MessageKind;

    #[test]
    fn a_number_of_the_next_life_is_another_and_what_is_under_way_keeps_its_own() {
        let (who, other) = (AssetIndex(1), AssetIndex(2));
        let lives = Lives::new([(who, SimTime::from_secs(10))]);
        let at = SimTime::from_secs;
        let submitted = |time| {
            let kind =
                RecordKind::Submitted { sequence: 1, destination: other, kind: MessageKind::Event, bytes: 3 };
            lives.told_apart(&Record { time, asset: who, kind }, false).expect("a stream")
        };
        let number = |record: &Record| match record.kind {
            RecordKind::Submitted { sequence, .. } | RecordKind::Delivered { sequence, .. } => sequence,
            _ => 0,
        };
        let delivered = |asset, source, latency, received| {
            let kind =
                RecordKind::Delivered { source, sequence: 1, kind: MessageKind::Event, bytes: 3, latency };
            lives.told_apart(&Record { time: at(20), asset, kind }, received).expect("a stream")
        };
        assert_ne!(number(&submitted(at(5))), number(&submitted(at(15))));
        assert_eq!(number(&delivered(other, who, at(15), false)), number(&submitted(at(5))));
        assert_eq!(number(&delivered(other, who, at(5), true)), number(&submitted(at(15))));
        // What comes to it again is another delivery of the same message.
        assert_eq!(number(&delivered(who, other, at(15), false)), 1);
        assert_ne!(number(&delivered(who, other, at(15), true)), 1);
    }
}
