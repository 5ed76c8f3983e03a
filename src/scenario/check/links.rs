//! Link classes.

use super::Checker;
use crate::{
    link::{Access, BurstLoss, Capacity, LinkClass, LinkConvergence, LoraPreset, LoraSettings, LtpSettings},
    scenario::{
        decode::Spanned,
        diagnostic::Mistake,
        raw::{
            RawAccess, RawBudget, RawBurstLoss, RawCapacity, RawClass, RawConvergence, RawCrosslinks,
            RawLora, RawPreset, RawTransfers,
        },
    },
    units::{BitsPerSecond, Decibels, Hertz, Meters, SimTime},
};

use cosmosmesh_protocol::convergence::ltp::MIN_MTU as LTP_MIN_MTU;

/// Largest LoRa frame: the physical layer's length field is one byte.
const LORA_MAX_FRAME: u32 = 255;
/// Meshtastic's largest payload of a frame.
const LORA_DEFAULT_MTU: u32 = 233;

impl Checker<'_> {
    pub(super) fn classes(&mut self, raw: &[Spanned<RawClass>]) -> Vec<LinkClass> {
        self.unique(raw.iter().map(|class| &class.value.name), "each class's name");
        for (at, class) in raw.iter().enumerate() {
            self.class_names.entry(class.value.name.value.clone()).or_insert(at);
        }
        raw.iter().map(|class| self.link_class(&class.value)).collect()
    }

    fn link_class(&mut self, raw: &RawClass) -> LinkClass {
        self.word(&raw.name);
        let lora = matches!(raw.capacity.value, RawCapacity::Lora(_));
        let default_mtu = if lora { LORA_DEFAULT_MTU } else { 1024 };
        let largest_mtu = if lora { LORA_MAX_FRAME } else { 1 << 24 };
        let exclusion = raw.solar_exclusion_deg.as_ref();
        if let Some(angle) = exclusion {
            let holds = (0.0..90.0).contains(&angle.value);
            self.expect(holds, &angle.place, "an angle in degrees, 0 to below 90");
        }
        LinkClass {
            name: raw.name.value.clone(),
            frequency: Hertz(self.positive(&raw.frequency, |f| f.0)),
            capacity: self.capacity(&raw.capacity.value),
            mtu_bytes: self.count_or(raw.mtu_bytes.as_ref(), default_mtu, 32, largest_mtu),
            frame_overhead_bytes: self.count_or(raw.frame_overhead_bytes.as_ref(), 0, 0, 4096),
            burst_loss: raw.burst_loss.as_ref().map(|burst| self.burst_loss(&burst.value)),
            frame_loss: self.probability(raw.frame_loss.as_ref(), 0.0),
            max_range: raw.max_range.as_ref().map(|range| Meters(self.positive(range, |range| range.0))),
            min_contact: self.not_negative_or(raw.min_contact.as_ref(), SimTime::from_secs(10)),
            solar_exclusion_deg: exclusion.map_or(0.0, |angle| angle.value),
            crosslinks: match raw.crosslinks.as_ref().map(|written| &written.value) {
                None | Some(RawCrosslinks::Allowed) => true,
                Some(RawCrosslinks::Never) => false,
            },
            access: self.access(raw, lora),
            convergence: self.convergence(raw),
            sessions: matches!(raw.transfers.as_ref().map(|t| &t.value), Some(RawTransfers::Sessions)),
        }
    }

    fn convergence(&mut self, raw: &RawClass) -> LinkConvergence {
        let Some(RawConvergence::Ltp(ltp)) = raw.convergence.as_ref().map(|written| &written.value) else {
            return LinkConvergence::SmallFrame;
        };
        if let Some(mtu) = raw.mtu_bytes.as_ref().filter(|mtu| (mtu.value as usize) < LTP_MIN_MTU) {
            self.expect(false, &mtu.place, format!("at least {LTP_MIN_MTU} bytes, as the class speaks LTP"));
        }
        LinkConvergence::Ltp(LtpSettings {
            margin: self.not_negative_or(ltp.margin.as_ref(), SimTime::from_secs(1)),
            retransmissions: self.count_or(ltp.retransmissions.as_ref(), 8, 0, 100),
            sessions: self.count_or(ltp.sessions.as_ref(), 256, 1, 4096) as u16,
        })
    }

    fn access(&mut self, raw: &RawClass, lora: bool) -> Access {
        let Some(written) = &raw.access else {
            return if lora { Access::SharedChannel } else { Access::FullDuplex };
        };
        if lora && !matches!(written.value, RawAccess::SharedChannel) {
            let found = self.written(&written.place);
            self.report(
                &written.place,
                Mistake::Inconsistent,
                found,
                "SharedChannel, as LoRa radios share one",
            );
        }
        match written.value {
            RawAccess::FullDuplex => Access::FullDuplex,
            RawAccess::HalfDuplex => Access::HalfDuplex,
            RawAccess::SharedChannel => Access::SharedChannel,
        }
    }

    fn capacity(&mut self, raw: &RawCapacity) -> Capacity {
        match raw {
            RawCapacity::Fixed(fixed) => Capacity::Fixed {
                rate: BitsPerSecond(self.positive(&fixed.rate, |rate| rate.0)),
                bit_error_rate: self.within_or(fixed.bit_error_rate.as_ref(), 0.0, 0.0, 0.5),
            },
            RawCapacity::Budget(budget) => self.budget(budget),
            RawCapacity::Lora(lora) => Capacity::Lora(self.lora(lora)),
            RawCapacity::Unlimited => {
                Capacity::Fixed { rate: BitsPerSecond(f64::INFINITY), bit_error_rate: 0.0 }
            }
        }
    }

    fn budget(&mut self, raw: &RawBudget) -> Capacity {
        let min_rate = self.positive(&raw.min_rate, |rate| rate.0);
        let max_rate = self.positive(&raw.max_rate, |rate| rate.0);
        if max_rate < min_rate {
            let found = self.written(&raw.max_rate.place);
            let allowed = format!("at least the lowest rate, {}", BitsPerSecond(min_rate));
            let related = vec![(raw.min_rate.place.span, "the lowest rate".to_owned())];
            self.draft(&raw.max_rate.place, Mistake::Inconsistent, found, allowed, None, related);
        }
        Capacity::Budget {
            required_eb_n0: Decibels(raw.required_eb_n0.value.0),
            margin: Decibels(self.amount_or(raw.margin.as_ref(), 3.0, |ratio| ratio.0)),
            bit_error_rate: self.within_or(raw.bit_error_rate.as_ref(), 1e-6, 0.0, 0.5),
            min_rate: BitsPerSecond(min_rate),
            max_rate: BitsPerSecond(max_rate),
            other_losses: Decibels(self.amount_or(raw.other_losses.as_ref(), 0.0, |ratio| ratio.0)),
        }
    }

    fn lora(&mut self, raw: &RawLora) -> LoraSettings {
        if let Some(cycle) = &raw.duty_cycle {
            let holds = cycle.value > 0.0 && cycle.value <= 1.0;
            self.expect(holds, &cycle.place, "a share of time, above 0 to 1");
        }
        LoraSettings {
            preset: preset(&raw.preset.value),
            duty_cycle: raw.duty_cycle.as_ref().map_or(1.0, |cycle| cycle.value),
            capture_threshold: Decibels(self.amount_or(raw.capture_threshold.as_ref(), 6.0, |ratio| ratio.0)),
            path_loss_exponent: self.within_or(raw.path_loss_exponent.as_ref(), 2.0, 2.0, 6.0),
        }
    }

    fn burst_loss(&mut self, raw: &RawBurstLoss) -> BurstLoss {
        BurstLoss {
            mean_good: self.above_zero(&raw.mean_good),
            mean_bad: self.above_zero(&raw.mean_bad),
            loss_good: self.probability(raw.loss_good.as_ref(), 0.0),
            loss_bad: self.probability(raw.loss_bad.as_ref(), 1.0),
        }
    }
}

const fn preset(raw: &RawPreset) -> LoraPreset {
    match raw {
        RawPreset::ShortTurbo => LoraPreset::ShortTurbo,
        RawPreset::ShortFast => LoraPreset::ShortFast,
        RawPreset::ShortSlow => LoraPreset::ShortSlow,
        RawPreset::MediumFast => LoraPreset::MediumFast,
        RawPreset::MediumSlow => LoraPreset::MediumSlow,
        RawPreset::LongFast => LoraPreset::LongFast,
        RawPreset::LongModerate => LoraPreset::LongModerate,
        RawPreset::LongSlow => LoraPreset::LongSlow,
    }
}
