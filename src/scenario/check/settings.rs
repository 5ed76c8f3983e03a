//! Protocol settings, stores, tolerances.

use super::{Checker, service::policy};
use crate::scenario::{
    checked::{Better, CrcKind, ProtocolSettings, Retransmission, Routing, Service, StorageSpec, Tolerance},
    decode::{List, Spanned},
    diagnostic::Mistake,
    raw::{
        RawBetter, RawBundleSecurity, RawCompression, RawCrc, RawFlooding, RawForeknowledge, RawLifetimes,
        RawMedium, RawProtocol, RawRateLimit, RawRetransmission, RawRouting, RawSendOrder, RawService,
        RawSpray, RawSpread, RawStorage, RawTolerance, RawTransit,
    },
};
use crate::units::SimTime;
use cosmosmesh_protocol::{
    delivery::RateLimit,
    dtn::strategy::{SendOrder, SpreadSettings},
    node::CompressionSettings,
};

/// Most copies of a spray.
const MAX_COPIES: u32 = 1_000_000;

impl Checker<'_> {
    fn routing(&mut self, raw: &RawRouting) -> Routing {
        match raw {
            RawRouting::Sabr => Routing::Sabr,
            RawRouting::Static => Routing::Static,
            RawRouting::DirectDelivery(raw) => Routing::DirectDelivery(spread(raw)),
            RawRouting::Epidemic(raw) => Routing::Epidemic(spread(raw)),
            RawRouting::Prophet(raw) => Routing::Prophet(spread(raw)),
            RawRouting::ManagedFlooding(raw) => {
                let RawFlooding { medium, order, delete_delivered, purge_delivered } = raw.clone();
                Routing::ManagedFlooding {
                    channel: medium.is_some_and(|medium| matches!(medium.value, RawMedium::Channel)),
                    settings: spread(&RawSpread { order, delete_delivered, purge_delivered }),
                }
            }
            RawRouting::SprayAndWait(raw) => {
                let RawSpray { copies, binary, order, delete_delivered, purge_delivered } = raw.clone();
                let holds = (1..=MAX_COPIES).contains(&copies.value);
                self.expect(holds, &copies.place, format!("a whole number from 1 to {MAX_COPIES}"));
                Routing::SprayAndWait {
                    copies: copies.value,
                    binary: binary.is_none_or(|binary| binary.value),
                    settings: spread(&RawSpread { order, delete_delivered, purge_delivered }),
                }
            }
        }
    }

    pub(super) fn protocol(&mut self, raw: Option<&Spanned<RawProtocol>>) -> ProtocolSettings {
        let default = ProtocolSettings::default();
        let Some(raw) = raw.map(|raw| &raw.value) else { return default };
        let service = service(raw.service.as_ref());
        if let Some(limit) = &raw.hop_limit {
            self.expect(limit.value > 0, &limit.place, "a whole number from 1 to 255");
        }
        ProtocolSettings {
            lifetimes: raw
                .lifetimes
                .as_ref()
                .map_or(default.lifetimes, |l| self.lifetimes(&l.value, default)),
            hop_limit: raw.hop_limit.as_ref().map_or(default.hop_limit, |limit| limit.value),
            crc: raw.crc.as_ref().map_or(default.crc, |crc| match crc.value {
                RawCrc::Crc16 => CrcKind::Crc16,
                RawCrc::Crc32c => CrcKind::Crc32c,
            }),
            signs_bundles: raw.bundle_security.as_ref().map_or(default.signs_bundles, |security| {
                match security.value {
                    RawBundleSecurity::Off => false,
                    RawBundleSecurity::HopByHop => true,
                }
            }),
            retransmission: raw
                .retransmission
                .as_ref()
                .map_or(default.retransmission, |raw| self.retransmission(&raw.value)),
            storage: raw.storage.as_ref().map_or(default.storage, |storage| self.storage(&storage.value)),
            replay_window: self.count_or(raw.replay_window.as_ref(), default.replay_window, 1, 65_536),
            max_payload: self.count_or(raw.max_payload_bytes.as_ref(), default.max_payload, 1, 1 << 24),
            stream_window: self.count_or(raw.stream_window.as_ref(), default.stream_window, 1, 1 << 16),
            submission_rate: raw.submission_rate.as_ref().map(|limit| self.rate_limit(&limit.value)),
            reroute_after: self.above_zero_or(raw.reroute_after.as_ref(), default.reroute_after),
            clock_uncertainty: self
                .not_negative_or(raw.clock_uncertainty.as_ref(), default.clock_uncertainty),
            plan_known: match raw.foreknowledge.as_ref().map(|known| &known.value) {
                None | Some(RawForeknowledge::ContactPlan) => true,
                Some(RawForeknowledge::Nothing) => false,
            },
            routing: raw.routing.as_ref().map_or(default.routing, |routing| self.routing(&routing.value)),
            service,
            custody: raw.custody.as_ref().map(|raw| self.custody_settings(&raw.value)),
            min_fragment: raw
                .min_fragment_bytes
                .as_ref()
                .map(|_| self.count_or(raw.min_fragment_bytes.as_ref(), 1, 1, 1 << 24)),
            status_reports: raw.status_reports.as_ref().map(|raw| self.status_reports(&raw.value)),
            policy: policy(raw.policy.as_ref()).unwrap_or(default.policy),
            compression: raw.compression.as_ref().map(|raw| self.compression(raw, service)),
        }
    }

    fn lifetimes(&mut self, raw: &RawLifetimes, default: ProtocolSettings) -> [SimTime; 3] {
        let [expedited, normal, bulk] = default.lifetimes;
        [
            self.above_zero_or(raw.expedited.as_ref(), expedited),
            self.above_zero_or(raw.normal.as_ref(), normal),
            self.above_zero_or(raw.bulk.as_ref(), bulk),
        ]
    }

    fn retransmission(&mut self, raw: &RawRetransmission) -> Retransmission {
        let default = Retransmission::default();
        Retransmission {
            max_attempts: self.count_or(raw.max_attempts.as_ref(), default.max_attempts, 1, 1000),
            min_timeout: self.above_zero_or(raw.min_timeout.as_ref(), default.min_timeout),
            ack_delay: self.not_negative_or(raw.ack_delay.as_ref(), default.ack_delay),
            margin_factor: self.within_or(raw.margin_factor.as_ref(), default.margin_factor, 1.0, 100.0),
        }
    }

    fn compression(&mut self, raw: &Spanned<RawCompression>, service: Service) -> CompressionSettings {
        if service == (Service::Datagrams { size_only: true }) {
            let found = "compression of payloads that are counted and not carried";
            let allowed = "payloads that are carried: `service: Datagrams()` or `Streams`";
            self.report(&raw.place, Mistake::Inconsistent, found, allowed);
        }
        let (raw, default) = (&raw.value, CompressionSettings::default());
        let shortest = default.min_payload as u32;
        let margin = u32::from(default.margin_percent);
        CompressionSettings {
            min_payload: self.count_or(raw.min_payload_bytes.as_ref(), shortest, 1, 1 << 24) as usize,
            margin_percent: self.count_or(raw.margin_percent.as_ref(), margin, 0, 99) as u8,
        }
    }

    pub(super) fn rate_limit(&mut self, raw: &RawRateLimit) -> RateLimit {
        let rate = raw.rate.value.0;
        self.expect((8.0..=1e15).contains(&rate), &raw.rate.place, "from 8 bit/s to 1000000 Gbit/s");
        let burst = self.amount_or(raw.burst.as_ref(), 64_000.0, |size| size.0);
        RateLimit { bytes_per_second: (rate / 8.0) as u64, burst_bytes: burst as u64 }
    }

    pub(super) fn storage(&mut self, raw: &RawStorage) -> StorageSpec {
        let bytes = raw.capacity.value.0;
        self.expect((1000.0..=1e15).contains(&bytes), &raw.capacity.place, "from 1 kB to 1000000 GB");
        StorageSpec {
            bytes: bytes as u64,
            bundles: self.count_or(raw.bundles.as_ref(), 65_536, 1, u32::MAX),
            commit: self.not_negative_or(raw.commit.as_ref(), SimTime::ZERO),
            keeps_transit: raw
                .transit
                .as_ref()
                .is_none_or(|transit| matches!(transit.value, RawTransit::Kept)),
        }
    }

    pub(super) fn tolerances(&mut self, raw: Option<&List<RawTolerance>>) -> Vec<Tolerance> {
        let Some(raw) = raw else { return Vec::new() };
        self.unique(raw.value.iter().map(|tolerance| &tolerance.value.metric), "each metric");
        raw.value.iter().map(|tolerance| self.tolerance(&tolerance.value)).collect()
    }

    fn tolerance(&mut self, raw: &RawTolerance) -> Tolerance {
        let name = raw.metric.value.strip_suffix('*').unwrap_or(&raw.metric.value);
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_'));
        self.expect(
            plain && !raw.metric.value.is_empty(),
            &raw.metric.place,
            "a metric's name, such as \"delivery.ratio\" or \"plan.*\"",
        );
        Tolerance {
            metric: raw.metric.value.clone(),
            absolute: self.amount_or(raw.absolute.as_ref(), 0.0, |number| *number),
            relative: self.amount_or(raw.relative.as_ref(), 0.0, |number| *number),
            better: match raw.better.as_ref().map(|better| &better.value) {
                Some(RawBetter::Lower) => Better::Lower,
                Some(RawBetter::Higher) => Better::Higher,
                Some(RawBetter::Neither) | None => Better::Neither,
            },
        }
    }
}

fn service(raw: Option<&Spanned<RawService>>) -> Service {
    match raw.map(|service| &service.value) {
        None | Some(RawService::Streams) => Service::Streams,
        Some(RawService::Datagrams(datagrams)) => {
            Service::Datagrams { size_only: datagrams.size_only.as_ref().is_some_and(|only| only.value) }
        }
    }
}

fn spread(raw: &RawSpread) -> SpreadSettings {
    let default = SpreadSettings::default();
    SpreadSettings {
        order: match raw.order.as_ref().map(|order| &order.value) {
            None | Some(RawSendOrder::Received) => SendOrder::Received,
            Some(RawSendOrder::Random) => SendOrder::Random,
        },
        delete_delivered: raw.delete_delivered.as_ref().map_or(default.delete_delivered, |flag| flag.value),
        purge_delivered: raw.purge_delivered.as_ref().map_or(default.purge_delivered, |flag| flag.value),
        ..default
    }
}
