//! What a scenario says about radios and links, checked.

use crate::units::{BitsPerSecond, Decibels, Hertz, Meters, SimTime, Watts};

/// A kind of link. Two radios of one class can talk to each other.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkClass {
    /// The class's name, unique in a scenario.
    pub name: String,
    /// Carrier frequency; the free-space loss follows from it.
    pub frequency: Hertz,
    /// Where data rate and error rate come from.
    pub capacity: Capacity,
    /// Largest frame in bytes, header included.
    pub mtu_bytes: u32,
    /// Bytes that framing adds to each frame on air.
    pub frame_overhead_bytes: u32,
    /// Loss in bursts, on top of bit errors.
    pub burst_loss: Option<BurstLoss>,
    /// Probability that a frame is lost for no other reason, 0 to 1.
    pub frame_loss: f64,
    /// Longest range, if limited.
    pub max_range: Option<Meters>,
    /// No contact shorter than this.
    pub min_contact: SimTime,
    /// No contact while the Sun stands closer than this to the peer, seen from either end (0 = not considered).
    pub solar_exclusion_deg: f64,
    /// Whether satellites talk to each other over it: antennas that track Earth, or face the ground, do not.
    pub crosslinks: bool,
    /// How the medium is shared.
    pub access: Access,
    /// How bundles cross it.
    pub convergence: LinkConvergence,
    /// Whether the ends know of a transfer: the receiver when it begins, the sender whether it was cut.
    pub sessions: bool,
}

/// Which convergence layer the nodes at both ends of a link speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkConvergence {
    /// Bundles cut into frames; what is lost is the ends' business.
    #[default]
    SmallFrame,
    /// LTP (RFC 5326): what is lost is sent again on the link, and a bundle stays with the sender until the peer reports it.
    Ltp(LtpSettings),
}

/// How a link's ends speak LTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LtpSettings {
    /// What an answer takes beyond light time there and back, and the frames that wait in the radios.
    pub margin: SimTime,
    /// Times that a segment which asks for an answer is sent again.
    pub retransmissions: u32,
    /// Most bundles under way to a peer.
    pub sessions: u16,
}

/// Where a link's data rate comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Capacity {
    /// A constant rate and bit error rate wherever there is a line of sight.
    Fixed {
        /// The data rate.
        rate: BitsPerSecond,
        /// Probability that one bit is wrong after decoding.
        bit_error_rate: f64,
    },
    /// From the link budget, adapted to the range: the highest of the radio's rates that still closes with the margin.
    Budget {
        /// Eb/N0 that the modem needs for its rated `bit_error_rate`.
        required_eb_n0: Decibels,
        /// Margin kept beyond that.
        margin: Decibels,
        /// Bit error rate at exactly the required Eb/N0.
        bit_error_rate: f64,
        /// Lowest and highest data rate of the modem; rates are powers of two times the lowest.
        min_rate: BitsPerSecond,
        /// See `min_rate`.
        max_rate: BitsPerSecond,
        /// Losses beside free space: pointing, polarisation, atmosphere.
        other_losses: Decibels,
    },
    /// LoRa modulation: rate and time on air follow Semtech AN1200.13.
    Lora(LoraSettings),
}

/// LoRa modulation parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoraSettings {
    /// The Meshtastic preset that they come from.
    pub preset: LoraPreset,
    /// Largest share of time that one transmitter may be on air, over an hour: 0 to 1 (1 = no limit).
    pub duty_cycle: f64,
    /// A frame survives an overlapping one when it is stronger by this much.
    pub capture_threshold: Decibels,
    /// Path-loss exponent near the ground (2 = free space).
    pub path_loss_exponent: f64,
}

/// Meshtastic's modem presets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LoraPreset {
    /// SF7, 500 kHz, 4/5.
    ShortTurbo,
    /// SF7, 250 kHz, 4/5.
    ShortFast,
    /// SF8, 250 kHz, 4/5.
    ShortSlow,
    /// SF9, 250 kHz, 4/5.
    MediumFast,
    /// SF10, 250 kHz, 4/5.
    MediumSlow,
    /// SF11, 250 kHz, 4/5.
    LongFast,
    /// SF11, 125 kHz, 4/8.
    LongModerate,
    /// SF12, 125 kHz, 4/8.
    LongSlow,
}

/// Gilbert–Elliott loss: two states with their own frame loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BurstLoss {
    /// Mean time in the good state.
    pub mean_good: SimTime,
    /// Mean time in the bad state.
    pub mean_bad: SimTime,
    /// Probability to lose a frame in the good state.
    pub loss_good: f64,
    /// Probability to lose a frame in the bad state.
    pub loss_bad: f64,
}

/// How radios of a class share the medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Every pair has its own channel in each direction; a radio sends one frame at a time and hears all its peers.
    FullDuplex,
    /// As above, but a radio that sends does not hear.
    HalfDuplex,
    /// One channel for all radios of the class: half duplex, listen before talk, overlapping frames collide.
    SharedChannel,
}

/// One radio of an asset.
#[derive(Clone, Debug, PartialEq)]
pub struct RadioSpec {
    /// The radio's name, unique within its asset.
    pub name: String,
    /// Index into the scenario's link classes.
    pub class: usize,
    /// Equivalent isotropically radiated power, dBW. Needed by `Budget` and `Lora` capacities.
    pub eirp_dbw: Option<f64>,
    /// Receiver figure of merit, dB/K. Needed by `Budget`.
    pub g_over_t_db_k: Option<f64>,
    /// Receive antenna gain, dBi. Needed by `Lora`.
    pub receive_gain_dbi: Option<f64>,
    /// Lowest elevation at which the radio works, for assets on a surface, degrees.
    pub min_elevation_deg: f64,
    /// Largest number of peers that it serves at once (None: no limit).
    pub max_peers: Option<u32>,
    /// Frames that wait in the radio beyond the one on air.
    pub queue_frames: u32,
    /// Electrical power drawn while sending.
    pub transmit_power: Watts,
    /// Electrical power drawn while a contact is open and the radio listens.
    pub receive_power: Watts,
}

impl LinkClass {
    /// The LoRa settings of a LoRa class.
    #[must_use]
    pub const fn lora(&self) -> Option<LoraSettings> {
        match self.capacity {
            Capacity::Lora(settings) => Some(settings),
            Capacity::Fixed { .. } | Capacity::Budget { .. } => None,
        }
    }
}
