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

    /// Power at the receiver over `range`, dBm, antenna gain included; `None` for classes without a model of it.
    #[must_use]
    pub fn received_dbm(&self, range: Meters) -> Option<f64> {
        match self.model {
            Model::Lora { modulation, max_loss, path_loss_exponent } => {
                let loss = near_ground_loss(range, self.frequency, path_loss_exponent);
                Some(modulation.sensitivity_dbm() + max_loss.0 - loss.0)
            }
            Model::Fixed { .. } | Model::Adaptive { .. } => None,
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        link::{Access, LoraPreset},
        units::{SimTime, Watts},
    };

    fn class(capacity: Capacity, max_range: Option<Meters>) -> LinkClass {
        LinkClass {
            name: "test".to_owned(),
            frequency: Hertz(8.42e9),
            capacity,
            mtu_bytes: 1024,
            frame_overhead_bytes: 0,
            burst_loss: None,
            frame_loss: 0.0,
            max_range,
            crosslinks: true,
            min_contact: SimTime::ZERO,
            solar_exclusion_deg: 0.0,
            sessions: false,
            access: Access::FullDuplex,
            convergence: crate::link::LinkConvergence::SmallFrame,
        }
    }

    fn radio() -> RadioSpec {
        RadioSpec {
            name: "radio".to_owned(),
            class: 0,
            eirp_dbw: Some(10.0),
            g_over_t_db_k: Some(20.0),
            receive_gain_dbi: Some(2.0),
            min_elevation_deg: 0.0,
            max_peers: None,
            queue_frames: 1,
            transmit_power: Watts(0.0),
            receive_power: Watts(0.0),
        }
    }

    fn adaptive() -> Capacity {
        Capacity::Budget {
            required_eb_n0: Decibels(4.0),
            margin: Decibels(3.0),
            bit_error_rate: 1e-6,
            min_rate: BitsPerSecond(1e3),
            max_rate: BitsPerSecond(1e6),
            other_losses: Decibels(1.0),
        }
    }

    #[test]
    fn free_space_loss_is_that_of_the_formula_in_kilometres_and_gigahertz() {
        // 92.45 + 20 log10(d / km) + 20 log10(f / GHz) (ITU-R P.525-4, equation 6, rounded to 0.05 dB there).
        let expected = 92.45 + 20.0 * 6.0 + 20.0 * libm::log10(8.42);
        let loss = free_space_loss(Meters(1e9), Hertz(8.42e9));
        assert!((loss.0 - expected).abs() < 0.01, "{loss}");
        assert!((free_space_range(loss, Hertz(8.42e9)).0 - 1e9).abs() < 1e-3);
    }

    #[test]
    fn boltzmann_is_ten_times_the_logarithm_of_the_exact_constant() {
        assert!((BOLTZMANN_DBW_K_HZ - 10.0 * libm::log10(1.380_649e-23)).abs() < 1e-9);
    }

    #[test]
    fn rates_double_as_the_range_shrinks_by_three_decibels() {
        let budget = LinkBudget::new(&class(adaptive(), None), &radio(), &radio()).expect("all figures");
        let reach = budget.reach().expect("a limit");
        // Rates are 1, 2, … 512 kbit/s: nine steps.
        let steps = budget.rate_steps();
        assert_eq!(steps.len(), 9);
        assert!((steps[0].0 * std::f64::consts::SQRT_2 - reach.0).abs() < 1e-6 * reach.0);
        assert_eq!(budget.at(reach).0, BitsPerSecond(1e3));
        assert_eq!(budget.at(Meters(0.6 * reach.0)).0, BitsPerSecond(2e3));
        assert_eq!(budget.at(Meters(1.0)).0, BitsPerSecond(512e3));
        // At the end of a step the margin is all that is left.
        let at_end = bit_error_rate(1e-6, Decibels(3.0));
        assert!((budget.at(reach).1 / at_end - 1.0).abs() < 1e-6);
    }

    #[test]
    fn bit_errors_follow_coherent_bpsk() {
        // Uncoded BPSK: 10.53 dB for 1e-6 and 9.59 dB for 1e-5.
        assert!((bit_error_rate(1e-6, Decibels(0.0)) / 1e-6 - 1.0).abs() < 1e-9);
        let step = bit_error_rate(1e-6, Decibels(9.59 - 10.53));
        assert!((step / 1e-5 - 1.0).abs() < 0.05, "{step}");
        assert_eq!(bit_error_rate(0.0, Decibels(5.0)), 0.0);
    }

    #[test]
    fn lora_reaches_to_its_sensitivity() {
        let modulation = LoraPreset::LongFast.modulation();
        // −174 + 53.98 + 6 − 17.5 dBm at SF 11 and 250 kHz.
        assert!((modulation.sensitivity_dbm() + 131.52).abs() < 0.01);
        let lora = LoraSettings {
            preset: LoraPreset::LongFast,
            duty_cycle: 1.0,
            capture_threshold: Decibels(6.0),
            path_loss_exponent: 3.0,
        };
        let budget =
            LinkBudget::new(&class(Capacity::Lora(lora), None), &radio(), &radio()).expect("all figures");
        let reach = budget.reach().expect("a limit");
        let received = 10.0 + 30.0 + 2.0 - near_ground_loss(reach, Hertz(8.42e9), 3.0).0;
        assert!((received - modulation.sensitivity_dbm()).abs() < 1e-6);
    }

    #[test]
    fn a_missing_figure_is_told_and_a_range_limit_holds() {
        let silent = RadioSpec { eirp_dbw: None, ..radio() };
        assert_eq!(LinkBudget::new(&class(adaptive(), None), &silent, &radio()), Err(MissingFigure::Eirp));
        let deaf = RadioSpec { g_over_t_db_k: None, ..radio() };
        assert_eq!(LinkBudget::new(&class(adaptive(), None), &radio(), &deaf), Err(MissingFigure::GOverT));
        let fixed = Capacity::Fixed { rate: BitsPerSecond(9.0), bit_error_rate: 0.0 };
        let limited =
            LinkBudget::new(&class(fixed, Some(Meters(5.0))), &silent, &deaf).expect("nothing needed");
        assert_eq!(limited.reach(), Some(Meters(5.0)));
    }
}
