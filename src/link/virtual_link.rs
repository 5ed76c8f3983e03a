//! [`VirtualLink`]: frame in, verdict out.
//!
//! # When a frame arrives
//!
//! A window's times are the transmitter's: a frame may *start* within [start, end], both included; outside, it is refused.
//! What is sent after `end` never reaches the receiver. So:
//!
//! 1. A frame that starts in the window and whose last bit leaves by `end` is whole, however long it flies: the window may
//!    be closed when it arrives.
//! 2. A frame that starts in the window and whose last bit leaves after `end` is cut: it is lost
//!    ([`LossReason::WindowClosed`]).
//! 3. A fault cuts a frame when the sender is out of order while it sends, the link at any moment from the first bit's
//!    leaving to the last bit's arrival, or the receiver while it receives ([`LossReason::Fault`]). A sender that is out of
//!    order when a frame would start refuses it.
//! 4. A half-duplex receiver that sends while it receives hears nothing ([`LossReason::HalfDuplex`]).
//! 5. Chance decides last: bit errors, bursts, flat loss.
//!
//! Everything is decided at the end of reception, when it all is known, and the first of these reasons is told. Chance draws
//! its numbers for every frame, whatever else befell it, and each directed link has streams of its own: no frame's fate
//! shifts that of another link, nor a fault the draws of later frames.

use super::{BurstChannel, FrameLoss, Interval, LinkClass, Outages};
use crate::{
    engine::{Chances, LossReason, RandomStreams, Stream},
    units::{AssetIndex, SimTime},
};

/// A frame as a link sees it: bytes of unknown meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// When its first bit leaves.
    pub start: SimTime,
    /// Bytes on air, framing included.
    pub bytes: u32,
    /// Time on air.
    pub airtime: SimTime,
}

/// What a contact offers at the time at which a frame starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Passage {
    /// First moment at which a frame may start.
    pub start: SimTime,
    /// Last moment at which a frame may start, and at which a bit may leave.
    pub end: SimTime,
    /// One-way light time of what leaves now.
    pub light_time: SimTime,
    /// Probability of a bit error.
    pub bit_error_rate: f64,
}

/// Why a frame did not even start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The contact is not open.
    #[error("the window is open from {start} to {end}, not at {now}")]
    OutsideWindow {
        /// The time asked for.
        now: SimTime,
        /// The window's start.
        start: SimTime,
        /// The window's end.
        end: SimTime,
    },
    /// The sender or its radio is out of order.
    #[error("the sender is out of order at {now}")]
    OutOfOrder {
        /// The time asked for.
        now: SimTime,
    },
}

/// A frame on its way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flight {
    frame: Frame,
    passage: Passage,
}

impl Flight {
    /// Sends a frame on its way.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when it may not start: nothing was sent.
    pub fn depart(frame: Frame, passage: Passage, sender: &Outages) -> Result<Self, Refusal> {
        let (now, Passage { start, end, .. }) = (frame.start, passage);
        if now < start || end < now {
            return Err(Refusal::OutsideWindow { now, start, end });
        }
        if sender.contains(now) {
            return Err(Refusal::OutOfOrder { now });
        }
        Ok(Self { frame, passage })
    }

    /// The frame.
    #[must_use]
    pub const fn frame(&self) -> Frame {
        self.frame
    }

    /// While the sender sends.
    #[must_use]
    pub fn sending(&self) -> Interval {
        Interval { start: self.frame.start, end: self.frame.start + self.frame.airtime }
    }

    /// While the receiver receives: a light time later.
    #[must_use]
    pub fn reception(&self) -> Interval {
        let Interval { start, end } = self.sending();
        Interval { start: start + self.passage.light_time, end: end + self.passage.light_time }
    }

    /// The end of reception: when the link decides.
    #[must_use]
    pub fn arrival(&self) -> SimTime {
        self.reception().end
    }

    fn is_cut_by_window(&self) -> bool {
        self.passage.end < self.sending().end
    }

    fn is_cut_by_fault(&self, around: &Circumstances<'_>) -> bool {
        let (sending, reception) = (self.sending(), self.reception());
        let flight = Interval { start: sending.start, end: reception.end };
        around.sender.cuts(sending) || around.link.cuts(flight) || around.receiver.cuts(reception)
    }
}

/// What befell a frame beside chance, as known at the end of its reception.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// Outages of the sender.
    pub sender: &'a Outages,
    /// Outages of the link.
    pub link: &'a Outages,
    /// Outages of the receiver.
    pub receiver: &'a Outages,
    /// Whether the receiver's radio, half duplex, was sending during the reception.
    pub receiver_sending: bool,
}

impl Circumstances<'static> {
    /// Nothing befell it.
    pub const CLEAR: Self =
        Self { sender: Outages::NONE, link: Outages::NONE, receiver: Outages::NONE, receiver_sending: false };
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It arrives whole.
    Arrives {
        /// The end of its reception.
        at: SimTime,
    },
    /// It does not.
    Lost {
        /// The end of its reception, had it been received.
        at: SimTime,
        /// Why.
        reason: LossReason,
    },
    /// It was not sent.
    Refused {
        /// Why.
        reason: Refusal,
    },
}

/// A directed link's number among the entities of random streams.
///
/// # Panics
///
/// If an asset's index exceeds 2²⁴ − 1 or a radio's 255.
#[must_use]
pub const fn directed_link(from: AssetIndex, from_radio: u32, to: AssetIndex, to_radio: u32) -> u64 {
    assert!(from.0 < 1 << 24 && to.0 < 1 << 24 && from_radio < 256 && to_radio < 256);
    (from.0 as u64) << 40 | (from_radio as u64) << 32 | (to.0 as u64) << 8 | to_radio as u64
}

/// One directed link.
#[derive(Clone, Debug)]
pub struct VirtualLink {
    loss: FrameLoss,
    extra: Chances,
}

impl VirtualLink {
    /// The link that is number `link` (see [`directed_link`]) of a class.
    #[must_use]
    pub fn new(class: &LinkClass, streams: &RandomStreams, link: u64) -> Self {
        let burst =
            class.burst_loss.map(|spec| BurstChannel::new(spec, streams.stream(Stream::BurstState, link)));
        let chances = |purpose| Chances::new(*streams, purpose, link);
        let loss = FrameLoss::new(class.frame_loss, burst, chances(Stream::FrameLoss));
        Self { loss, extra: chances(Stream::ExtraLoss) }
    }

    /// Whether a fault that loses frames with this probability strikes one.
    pub fn is_struck(&mut self, probability: f64) -> bool {
        self.extra.chance(probability)
    }

    /// Decides what became of a frame: [`Verdict::Arrives`] or [`Verdict::Lost`]. Frames come in the order of their start.
    ///
    /// # Panics
    ///
    /// If a frame started before the one that was decided last, on a class with bursts.
    pub fn decide(&mut self, flight: &Flight, around: &Circumstances<'_>) -> Verdict {
        let frame = flight.frame;
        let chance = self.loss.strike(frame.start, frame.bytes, flight.passage.bit_error_rate);
        let reason = if flight.is_cut_by_window() {
            Some(LossReason::WindowClosed)
        } else if flight.is_cut_by_fault(around) {
            Some(LossReason::Fault)
        } else if around.receiver_sending {
            Some(LossReason::HalfDuplex)
        } else {
            chance
        };
        let at = flight.arrival();
        reason.map_or(Verdict::Arrives { at }, |reason| Verdict::Lost { at, reason })
    }

    /// Sends a frame and decides in one go, for a link whose circumstances are known beforehand.
    ///
    /// # Panics
    ///
    /// As [`VirtualLink::decide`].
    pub fn carry(&mut self, frame: Frame, passage: Passage, around: &Circumstances<'_>) -> Verdict {
        match Flight::depart(frame, passage, around.sender) {
            Ok(flight) => self.decide(&flight, around),
            Err(reason) => Verdict::Refused { reason },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        link::{Access, Capacity},
        units::{BitsPerSecond, Hertz},
    };

    fn class(frame_loss: f64) -> LinkClass {
        LinkClass {
            name: "uhf".into(),
            frequency: Hertz(4.0e8),
            capacity: Capacity::Fixed { rate: BitsPerSecond(8e3), bit_error_rate: 0.0 },
            mtu_bytes: 1_000,
            frame_overhead_bytes: 0,
            burst_loss: None,
            frame_loss,
            max_range: None,
            crosslinks: true,
            min_contact: SimTime::ZERO,
            solar_exclusion_deg: 0.0,
            sessions: false,
            access: Access::FullDuplex,
            convergence: crate::link::LinkConvergence::SmallFrame,
        }
    }

    const S: fn(i64) -> SimTime = SimTime::from_secs;

    fn passage() -> Passage {
        Passage { start: S(100), end: S(200), light_time: S(600), bit_error_rate: 0.0 }
    }

    fn frame(start: i64) -> Frame {
        Frame { start: S(start), bytes: 10_000, airtime: S(10) }
    }

    fn outage(start: i64, end: i64) -> Outages {
        Outages::new(vec![Interval { start: S(start), end: S(end) }])
    }

    fn link(frame_loss: f64, number: u64) -> VirtualLink {
        VirtualLink::new(&class(frame_loss), &RandomStreams::new(1), number)
    }

    fn carry(start: i64, around: &Circumstances<'_>) -> Verdict {
        link(0.0, 0).carry(frame(start), passage(), around)
    }

    fn lost(at: i64, reason: LossReason) -> Verdict {
        Verdict::Lost { at: S(at), reason }
    }

    #[test]
    fn a_frame_arrives_after_airtime_and_light_time() {
        assert_eq!(carry(100, &Circumstances::CLEAR), Verdict::Arrives { at: S(710) });
    }

    #[test]
    fn a_frame_starts_within_the_window_or_not_at_all() {
        for now in [99, 201] {
            let reason = Refusal::OutsideWindow { now: S(now), start: S(100), end: S(200) };
            assert_eq!(carry(now, &Circumstances::CLEAR), Verdict::Refused { reason });
        }
    }

    #[test]
    fn a_window_that_closes_in_flight_spares_what_has_left_and_cuts_what_has_not() {
        assert_eq!(carry(190, &Circumstances::CLEAR), Verdict::Arrives { at: S(800) });
        assert_eq!(carry(191, &Circumstances::CLEAR), lost(801, LossReason::WindowClosed));
        assert_eq!(carry(200, &Circumstances::CLEAR), lost(810, LossReason::WindowClosed));
    }

    #[test]
    fn a_fault_cuts_what_passes_it() {
        let clear = Circumstances::CLEAR;
        let whole = Verdict::Arrives { at: S(710) };
        let cut = lost(710, LossReason::Fault);
        // (outage, of the sender, of the link, of the receiver) of a frame that is sent in [100, 110) and received in
        // [700, 710).
        let table = [
            ((50, 100), whole, whole, whole),
            ((109, 120), cut, cut, whole),
            ((110, 700), whole, cut, whole),
            ((300, 301), whole, cut, whole),
            ((705, 706), whole, cut, cut),
            ((710, 900), whole, whole, whole),
        ];
        for ((start, end), sender, link, receiver) in table {
            let fault = outage(start, end);
            assert_eq!(carry(100, &Circumstances { sender: &fault, ..clear }), sender, "sender {start}");
            assert_eq!(carry(100, &Circumstances { link: &fault, ..clear }), link, "link {start}");
            assert_eq!(
                carry(100, &Circumstances { receiver: &fault, ..clear }),
                receiver,
                "receiver {start}"
            );
        }
    }

    #[test]
    fn a_sender_out_of_order_refuses() {
        let around = Circumstances { sender: &outage(90, 105), ..Circumstances::CLEAR };
        assert_eq!(carry(100, &around), Verdict::Refused { reason: Refusal::OutOfOrder { now: S(100) } });
    }

    #[test]
    fn a_receiver_that_sends_does_not_hear() {
        let around = Circumstances { receiver_sending: true, ..Circumstances::CLEAR };
        assert_eq!(carry(100, &around), lost(710, LossReason::HalfDuplex));
    }

    #[test]
    fn a_fault_does_not_shift_the_draws_of_later_frames() {
        let fates = |number, faulty: &Outages| {
            let mut link = link(0.5, number);
            let around = Circumstances { link: faulty, ..Circumstances::CLEAR };
            let passage = Passage { end: S(10_000), light_time: SimTime::ZERO, ..passage() };
            (10..200).map(|n| link.carry(frame(10 * n), passage, &around)).collect::<Vec<_>>()
        };
        let (clear, faulty) = (fates(7, Outages::NONE), fates(7, &outage(500, 900)));
        assert_ne!(clear, faulty);
        // Frames 80 to 189 start after the outage.
        assert_eq!(clear[80..], faulty[80..]);
        assert_ne!(clear, fates(8, Outages::NONE), "another link draws other numbers");
    }

    #[test]
    fn directed_links_have_different_numbers() {
        let (a, b) = (AssetIndex(1), AssetIndex(2));
        let numbers = [directed_link(a, 0, b, 0), directed_link(b, 0, a, 0), directed_link(a, 1, b, 0)];
        assert!(numbers[0] != numbers[1] && numbers[0] != numbers[2] && numbers[1] != numbers[2]);
    }
}
