//! The link budget: how far a radio reaches, how fast, and with how many bit errors.

use std::f64::consts::PI;

use crate::{
    astro::SPEED_OF_LIGHT_MPS,
    link::{Capacity, LinkClass, LoraModulation, LoraSettings, RadioSpec},
    units::{BitsPerSecond, Decibels, Hertz, Meters},
};

/// Boltzmann's constant, 1.380649e-23 J/K (exact, SI), in dBW/K/Hz: the −228.6 of link budgets.
pub const BOLTZMANN_DBW_K_HZ: f64 = -228.599_167_173_217_67;
/// Thermal noise at 290 K in dBm/Hz, as Semtech AN1200.22 (LoRa Modulation Basics) takes it.
const THERMAL_NOISE_DBM_HZ: f64 = -174.0;
/// Noise figure of a LoRa receiver, as Semtech AN1200.22 takes it.
const LORA_NOISE_FIGURE_DB: f64 = 6.0;
/// Distance up to which a path near the ground is taken as free space, metres.
const NEAR_GROUND_REFERENCE_M: f64 = 1.0;
/// Rates of a modem are at most this many doublings of its lowest.
const MAX_DOUBLINGS: u32 = 63;

/// Loss of free space: 20 log10(4π d f / c) (ITU-R P.525-4, equation 4 as a ratio of powers).
#[must_use]
pub fn free_space_loss(range: Meters, frequency: Hertz) -> Decibels {
    Decibels(20.0 * libm::log10(4.0 * PI * range.0 * frequency.0 / SPEED_OF_LIGHT_MPS))
}

/// The range at which the loss of free space is `loss`.
#[must_use]
pub fn free_space_range(loss: Decibels, frequency: Hertz) -> Meters {
    Meters(decibels_to_ratio(0.5 * loss.0) * SPEED_OF_LIGHT_MPS / (4.0 * PI * frequency.0))
}

/// Eb/N0 at the receiver: EIRP + G/T − losses − k − 10 log10(rate) (CCSDS 401.0-B, link design).
#[must_use]
pub fn eb_n0(eirp_dbw: f64, g_over_t_db_k: f64, losses: Decibels, rate: BitsPerSecond) -> Decibels {
    Decibels(eirp_dbw + g_over_t_db_k - losses.0 - BOLTZMANN_DBW_K_HZ - 10.0 * libm::log10(rate.0))
}

/// Bit error rate when Eb/N0 stands `excess` above the one at which it is `reference`.
///
/// The modem is taken as coherent BPSK, ½ erfc(√(Eb/N0)), with a constant coding gain that puts `reference` at the required
/// Eb/N0. Real codes fall off faster, so this errs on the side of more errors. `reference` is above 0 and below ½; 0 and
/// values from ½ on are answered as they are.
#[must_use]
pub fn bit_error_rate(reference: f64, excess: Decibels) -> f64 {
    if reference <= 0.0 || reference >= 0.5 {
        return reference;
    }
    // erfc falls steadily from 1 to below 1e-300 over this interval; 60 halvings reach double precision.
    let (mut low, mut high) = (0.0, 26.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if 0.5 * libm::erfc(middle) > reference { low = middle } else { high = middle }
    }
    0.5 * libm::erfc(high * decibels_to_ratio(0.5 * excess.0))
}

fn decibels_to_ratio(decibels: f64) -> f64 {
    libm::pow(10.0, decibels / 10.0)
}

impl LoraModulation {
    /// Lowest signal-to-noise ratio that demodulates: −7.5 dB at SF 7 and 2.5 dB less for each step (Semtech SX1276
    /// data sheet, table 13).
    #[must_use]
    pub fn snr_limit(&self) -> Decibels {
        Decibels(-7.5 - 2.5 * (f64::from(self.spreading_factor) - 7.0))
    }

    /// Weakest signal that is received, dBm: −174 + 10 log10(BW) + noise figure + SNR limit (Semtech AN1200.22).
    #[must_use]
    pub fn sensitivity_dbm(&self) -> f64 {
        THERMAL_NOISE_DBM_HZ
            + 10.0 * libm::log10(f64::from(self.bandwidth_hz))
            + LORA_NOISE_FIGURE_DB
            + self.snr_limit().0
    }
}

/// Path loss near the ground: free space up to 1 m, and 10 n log10(d / 1 m) beyond (log-distance model, Rappaport,
/// *Wireless Communications*, §4.9). With n = 2 it is free space.
#[must_use]
pub fn near_ground_loss(range: Meters, frequency: Hertz, path_loss_exponent: f64) -> Decibels {
    let reference = free_space_loss(Meters(NEAR_GROUND_REFERENCE_M), frequency);
    Decibels(reference.0 + 10.0 * path_loss_exponent * libm::log10(range.0 / NEAR_GROUND_REFERENCE_M))
}

/// A figure of a radio that the budget needs and the scenario does not give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MissingFigure {
    /// Of the sender.
    #[error("the sender's EIRP (eirp_dbw) is not given")]
    Eirp,
    /// Of the receiver.
    #[error("the receiver's G/T (g_over_t_db_k) is not given")]
    GOverT,
    /// Of the receiver.
    #[error("the receiver's antenna gain (receive_gain_dbi) is not given")]
    ReceiveGain,
}

/// One direction between two radios of a class, ready to answer for any range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkBudget {
    model: Model,
    frequency: Hertz,
    max_range: Option<Meters>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Model {
    Fixed {
        rate: BitsPerSecond,
        bit_error_rate: f64,
    },
    Adaptive {
        /// EIRP + G/T − other losses − k, dBHz without free-space loss.
        carrier_db_hz: f64,
        required: Decibels,
        margin: Decibels,
        bit_error_rate: f64,
        min_rate: BitsPerSecond,
        max_rate: BitsPerSecond,
    },
    Lora {
        modulation: LoraModulation,
        /// EIRP + receive gain − sensitivity.
        max_loss: Decibels,
        path_loss_exponent: f64,
    },
}

impl LinkBudget {
    /// The budget from `sender` to `receiver`.
    ///
    /// # Errors
    /// When the class's capacity needs a figure that a radio lacks.
    pub fn new(class: &LinkClass, sender: &RadioSpec, receiver: &RadioSpec) -> Result<Self, MissingFigure> {
        let eirp = || sender.eirp_dbw.ok_or(MissingFigure::Eirp);
        let model = match class.capacity {
            Capacity::Fixed { rate, bit_error_rate } => Model::Fixed { rate, bit_error_rate },
            Capacity::Budget {
                required_eb_n0: required,
                margin,
                bit_error_rate,
                min_rate,
                max_rate,
                other_losses,
            } => {
                let g_over_t = receiver.g_over_t_db_k.ok_or(MissingFigure::GOverT)?;
                let carrier_db_hz = eb_n0(eirp()?, g_over_t, other_losses, BitsPerSecond(1.0)).0;
                Model::Adaptive { carrier_db_hz, required, margin, bit_error_rate, min_rate, max_rate }
            }
            Capacity::Lora(LoraSettings { preset, path_loss_exponent, .. }) => {
                let gain = receiver.receive_gain_dbi.ok_or(MissingFigure::ReceiveGain)?;
                let modulation = preset.modulation();
                let max_loss = Decibels(eirp()? + 30.0 + gain - modulation.sensitivity_dbm());
                Model::Lora { modulation, max_loss, path_loss_exponent }
            }
        };
        Ok(Self { model, frequency: class.frequency, max_range: class.max_range })
    }

    /// The longest range over which the link closes (at its lowest rate), if there is a limit.
    #[must_use]
    pub fn reach(&self) -> Option<Meters> {
        let closes = match self.model {
            Model::Fixed { .. } => None,
            Model::Adaptive { min_rate, .. } => self.reach_at(min_rate),
            Model::Lora { max_loss, path_loss_exponent, .. } => {
                let reference = free_space_loss(Meters(NEAR_GROUND_REFERENCE_M), self.frequency);
                let decades = (max_loss.0 - reference.0) / (10.0 * path_loss_exponent);
                Some(Meters(NEAR_GROUND_REFERENCE_M * libm::pow(10.0, decades)))
            }
        };
        match (closes, self.max_range) {
            (Some(closes), Some(limit)) => Some(Meters(closes.0.min(limit.0))),
            (closes, limit) => closes.or(limit),
        }
    }

    /// The longest range over which `rate` closes with the margin, where the rate adapts.
    fn reach_at(&self, rate: BitsPerSecond) -> Option<Meters> {
        let Model::Adaptive { carrier_db_hz, required, margin, .. } = self.model else { return None };
        let loss = carrier_db_hz - 10.0 * libm::log10(rate.0) - required.0 - margin.0;
        Some(free_space_range(Decibels(loss), self.frequency))
    }

    /// The ranges below [`LinkBudget::reach`] at which the data rate changes, falling; empty where it does not adapt.
    #[must_use]
    pub fn rate_steps(&self) -> Vec<Meters> {
        let Model::Adaptive { min_rate, max_rate, .. } = self.model else { return Vec::new() };
        let rates = (1..=MAX_DOUBLINGS).map(|k| BitsPerSecond(min_rate.0 * (1_u64 << k) as f64));
        rates.take_while(|rate| rate.0 <= max_rate.0).filter_map(|rate| self.reach_at(rate)).collect()
    }

    /// Data rate and bit error rate at `range`: the highest rate that closes there with the margin, or the lowest where
    /// none does. LoRa frames above the sensitivity are taken as free of bit errors: what they suffer is collision and the
    /// class's frame loss.
    #[must_use]
    pub fn at(&self, range: Meters) -> (BitsPerSecond, f64) {
        match self.model {
            Model::Fixed { rate, bit_error_rate } => (rate, bit_error_rate),
            Model::Lora { modulation, .. } => (modulation.bit_rate(), 0.0),
            Model::Adaptive { carrier_db_hz, required, bit_error_rate: reference, min_rate, .. } => {
                let doublings = self.rate_steps().iter().take_while(|reach| range.0 <= reach.0).count();
                let rate = BitsPerSecond(min_rate.0 * (1_u64 << doublings) as f64);
                let loss = free_space_loss(range, self.frequency);
                let excess = carrier_db_hz - loss.0 - 10.0 * libm::log10(rate.0) - required.0;
                (rate, bit_error_rate(reference, Decibels(excess)))
            }
        }
    }
}
