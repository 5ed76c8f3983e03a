//! [`SharedChannel`]: one LoRa channel for all radios of a class.
//!
//! A transmission is heard by every radio in range. Light time is neglected: at the ranges of LoRa it is below the length
//! of a chip. So all radios of a channel run in one partition.
//!
//! - *Listen before talk*: a radio that wants to send first senses the channel ([`SharedChannel::is_busy`]) and waits while
//!   it is busy, a random number of slots ([`Contention`]). It senses what has been on air for the length of a channel
//!   activity detection; so two that start within that time, or that do not hear each other, collide.
//! - *Collision*: decided at the end of reception. A frame survives each overlapping one that it exceeds by the capture
//!   threshold at this receiver; compared in pairs, as Bor et al. do ("Do LoRa low-power wide-area networks scale?", ACM
//!   MSWiM 2016, §3.3, who measured 6 dB). Any overlap counts, also one of the preamble alone.
//! - *Half duplex*: a radio that sent during any part of a frame did not hear it.
//!
//! Who receives with what power is the caller's business: a function from (sender, receiver) to dBm, −∞ for no path.

use std::collections::VecDeque;

use super::{Interval, LoraModulation};
use crate::{
    engine::{LossReason, Rng},
    units::{AssetIndex, Decibels, SimTime},
};

/// Names a transmission on its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TransmissionId(u64);

#[derive(Clone, Copy, Debug)]
struct Transmission {
    sender: AssetIndex,
    on_air: Interval,
    /// Who has still to judge it.
    listeners: u32,
}

impl Transmission {
    const fn is_finished(&self) -> bool {
        self.listeners == 0
    }
}

/// What a radio made of a transmission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reception {
    /// It was heard whole.
    Heard,
    /// It was too weak to be noticed.
    TooWeak,
    /// It was strong enough, and lost.
    Lost(LossReason),
}

/// The channel: what is on air, and what was while a frame that is not yet judged.
///
/// Memory is bounded by the radios: each sends one frame at a time, and a transmission is forgotten when no unfinished one
/// overlaps it.
#[derive(Clone, Debug)]
pub struct SharedChannel {
    sensitivity_dbm: f64,
    capture: Decibels,
    detection: SimTime,
    /// In order of their start, numbered from `first`.
    transmissions: VecDeque<Transmission>,
    first: u64,
}

impl SharedChannel {
    /// A channel of radios that hear from `sensitivity_dbm` on.
    #[must_use]
    pub fn new(modulation: &LoraModulation, sensitivity_dbm: f64, capture: Decibels) -> Self {
        let detection = SimTime(modulation.symbol_time().as_nanos() * CAD_SYMBOLS);
        Self { sensitivity_dbm, capture, detection, transmissions: VecDeque::new(), first: 0 }
    }

    /// Whether `listener` senses another's transmission at `now`: one that it receives with at least its sensitivity, and
    /// that has been on air for two symbols (the channel activity detection, Semtech AN1200.48). O(n) in what is on air.
    pub fn is_busy(
        &self,
        listener: AssetIndex,
        now: SimTime,
        power_dbm: impl Fn(AssetIndex, AssetIndex) -> f64,
    ) -> bool {
        self.transmissions.iter().any(|other| {
            other.sender != listener
                && other.on_air.contains(now)
                && other.on_air.start + self.detection <= now
                && power_dbm(other.sender, listener) >= self.sensitivity_dbm
        })
    }

    /// Puts a frame on air for so many `listeners`. Each judges it at its end, then [`SharedChannel::finish`]es it.
    ///
    /// # Panics
    ///
    /// If nobody listens, `sender` still sends, or a transmission started later than `now` already.
    pub fn begin(
        &mut self,
        sender: AssetIndex,
        now: SimTime,
        airtime: SimTime,
        listeners: u32,
    ) -> TransmissionId {
        let id = TransmissionId(self.first + self.transmissions.len() as u64);
        let sends = |other: &Transmission| other.sender == sender && other.on_air.contains(now);
        assert!(!self.transmissions.iter().any(sends), "asset {} sends one frame at a time", sender.0);
        assert!(
            self.transmissions.back().is_none_or(|last| last.on_air.start <= now),
            "frames start in order"
        );
        assert!(listeners > 0, "a frame is for somebody");
        let on_air = Interval { start: now, end: now + airtime };
        self.transmissions.push_back(Transmission { sender, on_air, listeners });
        id
    }

    /// What `receiver` makes of a transmission, asked for at its end. O(n) in the transmissions that overlap.
    ///
    /// # Panics
    ///
    /// If the transmission is finished.
    pub fn judge(
        &self,
        id: TransmissionId,
        receiver: AssetIndex,
        power_dbm: impl Fn(AssetIndex, AssetIndex) -> f64,
    ) -> Reception {
        let place = self.place(id);
        let frame = &self.transmissions[place];
        let power = power_dbm(frame.sender, receiver);
        if power < self.sensitivity_dbm || frame.sender == receiver {
            return Reception::TooWeak;
        }
        let mut reason = None;
        for (index, other) in self.transmissions.iter().enumerate() {
            if index == place || !other.on_air.overlaps(frame.on_air) {
                continue;
            }
            if other.sender == receiver {
                return Reception::Lost(LossReason::HalfDuplex);
            }
            if power < power_dbm(other.sender, receiver) + self.capture.0 {
                reason = Some(LossReason::Collision);
            }
        }
        reason.map_or(Reception::Heard, Reception::Lost)
    }

    /// One listener has judged a transmission; with the last one it ends.
    ///
    /// # Panics
    ///
    /// If it is finished already.
    pub fn finish(&mut self, id: TransmissionId) {
        let place = self.place(id);
        self.transmissions[place].listeners -= 1;
        // What starts later starts after this one's end: only unfinished ones can still overlap anything.
        let unfinished = self.transmissions.iter().filter(|transmission| !transmission.is_finished());
        let earliest = unfinished.map(|transmission| transmission.on_air.start).min().unwrap_or(SimTime::MAX);
        while self
            .transmissions
            .front()
            .is_some_and(|front| front.is_finished() && front.on_air.end <= earliest)
        {
            self.transmissions.pop_front();
            self.first += 1;
        }
    }

    /// Transmissions that are on air or still matter to one that is.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.transmissions.len()
    }

    fn place(&self, id: TransmissionId) -> usize {
        let place = id.0.checked_sub(self.first).map(|place| place as usize);
        let open =
            place.filter(|&place| self.transmissions.get(place).is_some_and(|found| !found.is_finished()));
        open.expect("the transmission is not finished")
    }
}

/// Symbols that a channel activity detection takes (`NUM_SYM_CAD` in Meshtastic's `RadioInterface.h`).
const CAD_SYMBOLS: i64 = 2;

/// How long a radio waits before it senses the channel (again).
///
/// Ours, after Meshtastic's `RadioInterface`: the wait is a uniform number of slots below 2^CW with CW from 3 to 8. There,
/// CW grows with the measured utilisation of the channel; here by one with each time that the channel was sensed busy for
/// the same frame, which needs no measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contention {
    slot: SimTime,
}

impl Contention {
    const MIN_EXPONENT: u32 = 3;
    const MAX_EXPONENT: u32 = 8;
    /// Propagation 0.2 ms, turn-around 0.4 ms and processing 7 ms (`computeSlotTimeMsec` in Meshtastic's firmware).
    const TURNAROUND: SimTime = SimTime(7_600_000);

    /// The slots of a modulation: 2.5 symbols for the detection, and the turn-around.
    #[must_use]
    pub fn new(modulation: &LoraModulation) -> Self {
        Self { slot: SimTime(modulation.symbol_time().as_nanos() * 5 / 2) + Self::TURNAROUND }
    }

    /// The length of a slot.
    #[must_use]
    pub const fn slot(&self) -> SimTime {
        self.slot
    }

    /// A random wait for a frame for which the channel was sensed busy `busy` times.
    pub fn backoff(&self, busy: u32, rng: &mut Rng) -> SimTime {
        let exponent = Self::MIN_EXPONENT.saturating_add(busy).min(Self::MAX_EXPONENT);
        SimTime(self.slot.as_nanos() * rng.range(1 << exponent) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::{RandomStreams, Stream},
        link::LoraPreset,
    };

    const A: AssetIndex = AssetIndex(0);
    const B: AssetIndex = AssetIndex(1);
    const C: AssetIndex = AssetIndex(2);
    const MS: fn(i64) -> SimTime = |ms| SimTime(ms * 1_000_000);

    fn channel() -> SharedChannel {
        SharedChannel::new(&LoraPreset::LongFast.modulation(), -130.0, Decibels(6.0))
    }

    /// In a row A, B, C: neighbours hear each other, the ends do not; B hears C better by `difference`.
    fn row(difference: f64) -> impl Fn(AssetIndex, AssetIndex) -> f64 {
        move |from, to| match (from, to) {
            (A, B) | (B, A | C) => -100.0,
            (C, B) => -100.0 + difference,
            _ => f64::NEG_INFINITY,
        }
    }

    #[test]
    fn a_frame_alone_is_heard_by_who_is_in_range() {
        let mut channel = channel();
        let id = channel.begin(A, MS(0), MS(100), 1);
        assert_eq!(channel.judge(id, B, row(0.0)), Reception::Heard);
        assert_eq!(channel.judge(id, C, row(0.0)), Reception::TooWeak);
        assert_eq!(channel.judge(id, A, |_, _| 0.0), Reception::TooWeak, "a radio does not hear itself");
    }

    #[test]
    fn hidden_radios_collide_unless_one_is_stronger_by_the_threshold() {
        // (C over A in dB) → what B makes of A's and of C's frame.
        let (heard, lost) = (Reception::Heard, Reception::Lost(LossReason::Collision));
        for (difference, from_a, from_c) in [
            (0.0, lost, lost),
            (5.9, lost, lost),
            (6.0, lost, heard),
            (-6.0, heard, lost),
            (20.0, lost, heard),
        ] {
            let mut channel = channel();
            let a = channel.begin(A, MS(0), MS(100), 1);
            assert!(!channel.is_busy(C, MS(50), row(difference)), "C cannot hear A");
            let c = channel.begin(C, MS(50), MS(100), 1);
            assert_eq!(channel.judge(a, B, row(difference)), from_a, "{difference}");
            channel.finish(a);
            assert_eq!(channel.judge(c, B, row(difference)), from_c, "{difference}");
        }
    }

    #[test]
    fn frames_that_touch_do_not_collide() {
        let mut channel = channel();
        let a = channel.begin(A, MS(0), MS(100), 1);
        let c = channel.begin(C, MS(100), MS(100), 1);
        assert_eq!(channel.judge(a, B, row(0.0)), Reception::Heard);
        assert_eq!(channel.judge(c, B, row(0.0)), Reception::Heard);
    }

    #[test]
    fn a_radio_that_sends_does_not_hear() {
        let mut channel = channel();
        let a = channel.begin(A, MS(0), MS(100), 1);
        let b = channel.begin(B, MS(10), MS(20), 1);
        assert_eq!(channel.judge(b, A, row(0.0)), Reception::Lost(LossReason::HalfDuplex));
        channel.finish(b);
        assert_eq!(channel.judge(a, B, row(0.0)), Reception::Lost(LossReason::HalfDuplex));
    }

    #[test]
    fn the_channel_is_sensed_busy_once_it_was_detected() {
        let mut channel = channel();
        channel.begin(A, MS(0), MS(100), 1);
        // Two symbols of 8.192 ms.
        let busy = |now| channel.is_busy(B, now, row(0.0));
        assert!(!busy(SimTime(16_383_999)) && busy(SimTime(16_384_000)) && busy(MS(99)) && !busy(MS(100)));
        assert!(!channel.is_busy(A, MS(50), row(0.0)), "a radio does not sense itself");
        assert!(!channel.is_busy(C, MS(50), row(0.0)));
    }

    #[test]
    fn a_frame_for_several_is_on_the_channel_until_the_last_has_judged_it() {
        let mut channel = channel();
        let id = channel.begin(A, MS(0), MS(100), 2);
        assert_eq!(channel.judge(id, B, |_, _| -100.0), Reception::Heard);
        channel.finish(id);
        assert_eq!(channel.judge(id, C, |_, _| -100.0), Reception::Heard);
        channel.finish(id);
        assert_eq!(channel.remembered(), 0);
    }

    #[test]
    fn what_no_longer_matters_is_forgotten() {
        let mut channel = channel();
        let long = channel.begin(A, MS(0), MS(1_000), 1);
        for n in 0..5 {
            let short = channel.begin(C, MS(n * 100), MS(100), 1);
            channel.finish(short);
        }
        assert_eq!(channel.remembered(), 6, "all overlap the long one");
        channel.finish(long);
        assert_eq!(channel.remembered(), 0);
        let next = channel.begin(A, MS(2_000), MS(10), 1);
        assert_eq!(channel.judge(next, B, row(0.0)), Reception::Heard);
    }

    #[test]
    fn waits_are_whole_slots_and_grow_with_a_busy_channel() {
        // LongFast: 2.5 · 8.192 ms + 7.6 ms.
        let contention = Contention::new(&LoraPreset::LongFast.modulation());
        assert_eq!(contention.slot(), SimTime(28_080_000));
        let mut rng = RandomStreams::new(1).stream(Stream::Backoff, 0);
        for (busy, slots) in [(0, 8), (1, 16), (5, 256), (6, 256), (u32::MAX, 256)] {
            let waits: Vec<_> = (0..4_000).map(|_| contention.backoff(busy, &mut rng).0).collect();
            assert!(waits.iter().all(|wait| wait % 28_080_000 == 0));
            // 4,000 draws miss the last of 256 slots with probability (255/256)^4000 < 2e-7.
            assert_eq!(waits.iter().max(), Some(&(28_080_000 * (slots - 1))));
        }
    }
}
