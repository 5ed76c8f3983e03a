//! How long a frame is on air: LoRa by Semtech's formula, other classes by their bit rate. All in whole nanoseconds.
//!
//! LoRa: Semtech AN1200.13 "SX1272/3/6/7/8: LoRa Modem Designer's Guide" (July 2013) §4, the same as SX1272/73 data
//! sheet rev. 2 §4.1.1.7:
//!
//! - T_sym = 2^SF / BW; T_preamble = (n_preamble + 4.25) · T_sym
//! - n_payload = 8 + max(⌈(8·PL − 4·SF + 28 + 16·CRC − 20·IH) / (4·(SF − 2·DE))⌉ · (CR + 4), 0)
//!
//! with an explicit header (IH = 0) and a CRC (CRC = 1), as Meshtastic sends. DE, the low data rate optimisation, is on
//! when a symbol lasts 16 ms or more. Every Meshtastic bandwidth divides 2^SF quarter symbols into whole nanoseconds, so
//! nothing is rounded.

use super::{Capacity, LinkClass, LoraPreset, LoraSettings};
use crate::units::{BitsPerSecond, SimTime};

/// Preamble symbols that Meshtastic sends (`preambleLength` in its firmware's `RadioInterface.h`).
pub const MESHTASTIC_PREAMBLE: u32 = 16;

/// A symbol of this length or longer needs the low data rate optimisation.
const LOW_RATE_SYMBOL_NS: i64 = 16_000_000;

/// A LoRa modulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoraModulation {
    /// Spreading factor SF, 7 to 12: bits per symbol.
    pub spreading_factor: u32,
    /// Bandwidth BW.
    pub bandwidth_hz: u32,
    /// Coding rate CR, 1 to 4: 4/5 to 4/8.
    pub coding_rate: u32,
    /// Programmed preamble symbols; the modem sends 4.25 more.
    pub preamble_symbols: u32,
}

impl LoraPreset {
    /// The modulation of the preset, as Meshtastic documents it
    /// (<https://meshtastic.org/docs/overview/radio-settings/>, table "Presets").
    #[must_use]
    pub const fn modulation(self) -> LoraModulation {
        let (spreading_factor, bandwidth_hz, coding_rate) = match self {
            Self::ShortTurbo => (7, 500_000, 1),
            Self::ShortFast => (7, 250_000, 1),
            Self::ShortSlow => (8, 250_000, 1),
            Self::MediumFast => (9, 250_000, 1),
            Self::MediumSlow => (10, 250_000, 1),
            Self::LongFast => (11, 250_000, 1),
            Self::LongModerate => (11, 125_000, 4),
            Self::LongSlow => (12, 125_000, 4),
        };
        LoraModulation { spreading_factor, bandwidth_hz, coding_rate, preamble_symbols: MESHTASTIC_PREAMBLE }
    }
}

impl LoraSettings {
    /// The modulation of the preset.
    #[must_use]
    pub const fn modulation(&self) -> LoraModulation {
        self.preset.modulation()
    }
}

impl LinkClass {
    /// Bytes on air of a frame of `bytes`: framing included.
    #[must_use]
    pub const fn bytes_on_air(&self, bytes: u32) -> u32 {
        bytes.saturating_add(self.frame_overhead_bytes)
    }

    /// Time on air of a frame of `bytes` (its framing comes on top) in a contact of this `rate`.
    ///
    /// LoRa frames take the time that their modulation gives; `rate` is not looked at.
    ///
    /// # Panics
    ///
    /// If the rate is not positive, where it is looked at.
    #[must_use]
    pub fn time_on_air(&self, bytes: u32, rate: BitsPerSecond) -> SimTime {
        let bytes = self.bytes_on_air(bytes);
        match &self.capacity {
            Capacity::Fixed { .. } | Capacity::Budget { .. } => serialisation_time(bytes, rate),
            Capacity::Lora(settings) => settings.modulation().time_on_air(bytes),
        }
    }
}

impl LoraModulation {
    /// Time on air of a frame whose payload has this many bytes; the modem takes at most 255.
    #[must_use]
    pub const fn time_on_air(&self, payload_bytes: u32) -> SimTime {
        let quarters = 4 * (self.preamble_symbols as i64 + self.payload_symbols(payload_bytes)) + 17;
        SimTime(quarters * self.quarter_symbol_ns())
    }

    /// Length of one symbol.
    #[must_use]
    pub const fn symbol_time(&self) -> SimTime {
        SimTime(4 * self.quarter_symbol_ns())
    }

    /// Raw bit rate: SF · BW / 2^SF · 4 / (4 + CR).
    #[must_use]
    pub fn bit_rate(&self) -> BitsPerSecond {
        let (spread, chips) = (f64::from(self.spreading_factor), f64::from(1u32 << self.spreading_factor));
        let code = 4.0 / f64::from(4 + self.coding_rate);
        BitsPerSecond(spread * f64::from(self.bandwidth_hz) / chips * code)
    }

    /// Whether the low data rate optimisation is on.
    #[must_use]
    pub const fn low_data_rate(&self) -> bool {
        self.symbol_time().as_nanos() >= LOW_RATE_SYMBOL_NS
    }

    const fn payload_symbols(&self, payload_bytes: u32) -> i64 {
        let spread = self.spreading_factor as i64;
        let bits = 8 * payload_bytes as i64 - 4 * spread + 28 + 16;
        let per_block = 4 * (spread - 2 * self.low_data_rate() as i64);
        let blocks = if bits > 0 { (bits + per_block - 1) / per_block } else { 0 };
        8 + blocks * (self.coding_rate as i64 + 4)
    }

    const fn quarter_symbol_ns(&self) -> i64 {
        (1i64 << self.spreading_factor) * 250_000_000 / self.bandwidth_hz as i64
    }
}

/// Time on air of a frame at a bit rate, rounded up to the nanosecond; none at an unlimited one.
///
/// # Panics
///
/// If the rate is not positive, which a checked scenario refuses, or the frame would take 292 years.
#[must_use]
pub fn serialisation_time(bytes: u32, rate: BitsPerSecond) -> SimTime {
    assert!(rate.0 > 0.0, "a data rate is positive, found {rate}");
    if rate.0 == f64::INFINITY {
        return SimTime::ZERO;
    }
    let bits = u64::from(bytes) * 8;
    // Whole rates are exact in integers; a double would round 10⁹ times the bits of a large frame.
    let nanos = if rate.0 >= 1.0 && rate.0 <= 9.0e15 && rate.0.fract() == 0.0 {
        (u128::from(bits) * 1_000_000_000).div_ceil(rate.0 as u128) as f64
    } else {
        (bits as f64 * 1e9 / rate.0).ceil()
    };
    assert!(nanos < 9.2e18, "{bytes} bytes at {rate} take longer than simulated time reaches");
    SimTime(nanos as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lorawan(spreading_factor: u32) -> LoraModulation {
        LoraModulation { spreading_factor, bandwidth_hz: 125_000, coding_rate: 1, preamble_symbols: 8 }
    }

    #[test]
    fn time_on_air_equals_published_values() {
        // 13 bytes at SF9: T_sym 4.096 ms, T_preamble 50.176 ms, 28 payload symbols, 164.864 ms in all: a public
        // evaluation of AN1200.13 (spreadsheet 1voGAtQAjC1qBmaVuP1ApNKs1ekgUjavHuVQIXyYSvNc linked by The Things Network).
        // 13 bytes at SF7 and SF12, 46.336 ms and 1155.072 ms, and 64 bytes at SF12, 2793 ms: published LoRaWAN airtimes.
        assert_eq!(lorawan(9).symbol_time(), SimTime(4_096_000));
        assert_eq!(lorawan(9).payload_symbols(13), 28);
        assert_eq!(lorawan(9).time_on_air(13), SimTime(164_864_000));
        assert_eq!(lorawan(7).time_on_air(13), SimTime(46_336_000));
        assert_eq!(lorawan(12).time_on_air(13), SimTime(1_155_072_000));
        assert_eq!(lorawan(12).time_on_air(64), SimTime(2_793_472_000));
    }

    #[test]
    fn bit_rates_equal_the_table_of_meshtastic() {
        // kbit/s from https://meshtastic.org/docs/overview/radio-settings/, rounded there to two digits.
        let table = [
            (LoraPreset::ShortTurbo, 21.88),
            (LoraPreset::ShortFast, 10.94),
            (LoraPreset::ShortSlow, 6.25),
            (LoraPreset::MediumFast, 3.52),
            (LoraPreset::MediumSlow, 1.95),
            (LoraPreset::LongFast, 1.07),
            (LoraPreset::LongModerate, 0.34),
            (LoraPreset::LongSlow, 0.18),
        ];
        for (preset, kbps) in table {
            let rate = preset.modulation().bit_rate().0 / 1e3;
            assert!((rate - kbps).abs() <= 0.005_1, "{preset:?}: {rate}");
        }
    }

    #[test]
    fn presets_have_these_airtimes() {
        // Own evaluation of the formula in Python, not published values; 16 + 4.25 preamble symbols. The preamble of LongFast alone is
        // 20.25 · 8.192 ms = 165.888 ms, which Meshtastic's firmware rounds to 165 (`preambleTimeMsec`).
        let table = [
            (LoraPreset::ShortTurbo, 100, 45_632_000),
            (LoraPreset::LongFast, 0, 231_424_000),
            (LoraPreset::LongFast, 100, 1_009_664_000),
            (LoraPreset::LongFast, 255, 2_156_544_000),
            (LoraPreset::LongModerate, 100, 3_477_504_000),
            (LoraPreset::LongSlow, 100, 6_168_576_000),
        ];
        for (preset, bytes, nanos) in table {
            assert_eq!(preset.modulation().time_on_air(bytes), SimTime(nanos), "{preset:?}, {bytes} bytes");
        }
    }

    #[test]
    fn only_the_slow_presets_use_the_low_data_rate_optimisation() {
        assert!(LoraPreset::LongSlow.modulation().low_data_rate());
        assert!(LoraPreset::LongModerate.modulation().low_data_rate());
        assert!(!LoraPreset::LongFast.modulation().low_data_rate());
    }

    #[test]
    fn serialisation_rounds_up_and_is_exact_for_whole_rates() {
        assert_eq!(serialisation_time(125, BitsPerSecond(1e6)), SimTime(1_000_000));
        assert_eq!(serialisation_time(1, BitsPerSecond(3.0)), SimTime(2_666_666_667));
        assert_eq!(serialisation_time(u32::MAX, BitsPerSecond(1e10)), SimTime(3_435_973_836));
        assert_eq!(serialisation_time(1, BitsPerSecond(0.5)), SimTime(16_000_000_000));
        assert_eq!(serialisation_time(0, BitsPerSecond(9600.0)), SimTime(0));
    }
}
