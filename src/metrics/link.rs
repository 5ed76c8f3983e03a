//! `link.*`: what the fleet put on air.

use super::MetricsSet;
use crate::{
    engine::{LossReason, Record, RecordKind},
    oracle::Pairs,
    units::{AssetIndex, SimTime},
};
use std::collections::BTreeMap;

/// Reasons in the order of the loss counters.
pub const LOSS_REASONS: [(LossReason, &str); 7] = [
    (LossReason::BitErrors, "bit_errors"),
    (LossReason::Burst, "burst"),
    (LossReason::Random, "random"),
    (LossReason::Collision, "collision"),
    (LossReason::HalfDuplex, "half_duplex"),
    (LossReason::WindowClosed, "window_closed"),
    (LossReason::Fault, "fault"),
];

/// Sums over one directed pair of assets.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LinkTotals {
    /// Frames that `from` started to send.
    pub frames_sent: u64,
    /// Their bytes, overhead on air included.
    pub bytes_sent: u64,
    /// Their time on air.
    pub airtime: SimTime,
    /// Frames that `to` received whole.
    pub frames_received: u64,
    /// Frames lost, in the order of [`LOSS_REASONS`].
    pub frames_lost: [u64; 7],
    /// Contacts that opened.
    pub contacts: u64,
    /// How long they were open, together; overlapping contacts of several radios each count.
    pub contact_time: SimTime,
}

/// Counts frames and contact time, pair by pair.
///
/// `link.contact_utilisation` is all time on air over all time in which contacts were open.
#[derive(Clone, Debug, Default)]
pub struct LinkRecorder {
    pairs: Pairs<LinkTotals>,
    /// Since when contacts are open, and from whom to whom.
    open: BTreeMap<u32, (AssetIndex, AssetIndex, SimTime)>,
}

impl LinkRecorder {
    /// Takes the next record.
    pub fn record(&mut self, record: &Record) {
        match record.kind {
            RecordKind::ContactOpened { peer, contact } => {
                self.pair(record.asset, peer).contacts += 1;
                self.open.insert(contact, (record.asset, peer, record.time));
            }
            RecordKind::ContactClosed { contact, .. } => {
                if let Some((from, to, since)) = self.open.remove(&contact) {
                    self.pair(from, to).contact_time += record.time - since;
                }
            }
            RecordKind::FrameSent { peer, bytes, airtime } => {
                let pair = self.pair(record.asset, peer);
                pair.frames_sent += 1;
                pair.bytes_sent += u64::from(bytes);
                pair.airtime += airtime;
            }
            RecordKind::FrameReceived { peer, .. } => self.pair(peer, record.asset).frames_received += 1,
            RecordKind::FrameLost { peer, reason, .. } => {
                let place = LOSS_REASONS.iter().position(|(known, _)| *known == reason);
                if let Some(place) = place {
                    self.pair(peer, record.asset).frames_lost[place] += 1;
                }
            }
            _ => {}
        }
    }

    /// Closes what is open at the `end` of the run.
    pub fn finish(&mut self, end: SimTime) {
        for (from, to, since) in std::mem::take(&mut self.open).into_values() {
            self.pair(from, to).contact_time += end - since;
        }
    }

    /// The sums by (from, to).
    #[must_use]
    pub const fn pairs(&self) -> &Pairs<LinkTotals> {
        &self.pairs
    }

    /// Writes `link.*`.
    pub fn write(&self, set: &mut MetricsSet) {
        let sum = |of: fn(&LinkTotals) -> u64| self.pairs.values().map(of).sum::<u64>();
        set.count("link.bytes_on_air", sum(|pair| pair.bytes_sent), "B");
        set.count("link.frames_sent", sum(|pair| pair.frames_sent), "1");
        set.count("link.frames_received", sum(|pair| pair.frames_received), "1");
        for (place, (_, name)) in LOSS_REASONS.iter().enumerate() {
            let lost: u64 = self.pairs.values().map(|pair| pair.frames_lost[place]).sum();
            set.count(format!("link.frames_lost.{name}"), lost, "1");
        }
        let seconds = |of: fn(&LinkTotals) -> SimTime| {
            let nanos: i128 = self.pairs.values().map(|pair| i128::from(of(pair).as_nanos())).sum();
            nanos as f64 / 1e9
        };
        let (airtime, open) = (seconds(|pair| pair.airtime), seconds(|pair| pair.contact_time));
        set.set("link.contact_utilisation", (open > 0.0).then(|| airtime / open), "1");
        set.set("link.contact_time_s", Some(open), "s");
        set.count("link.contacts", sum(|pair| pair.contacts), "1");
    }

    fn pair(&mut self, from: AssetIndex, to: AssetIndex) -> &mut LinkTotals {
        self.pairs.of(from, to)
    }
}
