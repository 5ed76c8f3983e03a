//! What the fleet has to do: traffic and shared state.

use super::{Checker, service::reports};
use crate::{
    engine::MessageKind,
    scenario::{
        checked::{
            Arrivals, PayloadContent, Priority, ProtocolSettings, Publication, SharedState, Traffic, WriteMix,
        },
        decode::{List, SizeRange, Spanned},
        diagnostic::Mistake,
        quantity::Duration,
        raw::{
            RawArrivals, RawContent, RawMessageKind, RawMix, RawPriority, RawSchema, RawSharedState,
            RawTraffic,
        },
    },
    units::{AssetIndex, SimTime},
};
use cosmosmesh_protocol::contract::Schema;

impl Checker<'_> {
    pub(super) fn traffic(
        &mut self,
        raw: Option<&List<RawTraffic>>,
        protocol: &ProtocolSettings,
    ) -> Vec<Traffic> {
        let Some(raw) = raw else { return Vec::new() };
        self.unique(raw.value.iter().map(|flow| &flow.value.name), "each flow's name");
        raw.value.iter().map(|flow| self.flow(&flow.value, protocol)).collect()
    }

    fn flow(&mut self, raw: &RawTraffic, protocol: &ProtocolSettings) -> Traffic {
        self.word(&raw.name);
        let from = self.members(&raw.from);
        let to = self.members(&raw.to);
        if from.len() == 1 && from == to {
            let found = "the only sender as the only addressee";
            self.report(&raw.to.place, Mistake::Inconsistent, found, "an addressee beside the sender");
        }
        let priority = match raw.priority.as_ref().map(|priority| &priority.value) {
            Some(RawPriority::Expedited) => Priority::Expedited,
            Some(RawPriority::Normal) | None => Priority::Normal,
            Some(RawPriority::Bulk) => Priority::Bulk,
        };
        let (start, end) = self.period(raw.start.as_ref(), raw.end.as_ref());
        Traffic {
            name: raw.name.value.clone(),
            kind: match raw.kind.value {
                RawMessageKind::Telemetry => MessageKind::Telemetry,
                RawMessageKind::Command => MessageKind::Command,
                RawMessageKind::Event => MessageKind::Event,
            },
            from,
            to,
            size_bytes: self.sizes(&raw.size_bytes, protocol.max_payload),
            arrivals: self.arrivals(&raw.arrivals.value),
            start,
            end,
            lifetime: self.above_zero_or(raw.lifetime.as_ref(), protocol.lifetime(priority)),
            priority,
            custody: raw.custody.as_ref().is_some_and(|custody| custody.value),
            content: match raw.content.as_ref().map(|content| &content.value) {
                None | Some(RawContent::Random) => PayloadContent::Random,
                Some(RawContent::Readings) => PayloadContent::Readings,
            },
            reports: reports(raw.reports.as_ref()),
        }
    }

    /// A stretch of the run; the whole run by default.
    fn period(
        &mut self,
        start: Option<&Spanned<Duration>>,
        end: Option<&Spanned<Duration>>,
    ) -> (SimTime, SimTime) {
        let run = self.run;
        let first = start.map_or(SimTime::ZERO, |start| {
            let holds = (SimTime::ZERO..run).contains(&start.value.0);
            self.expect(holds, &start.place, format!("a time within the run, 0 s to below {run}"));
            start.value.0
        });
        let last = end.map_or(run, |end| {
            let holds = end.value.0 > first && end.value.0 <= run;
            self.expect(holds, &end.place, format!("a time after {first}, at most the run's {run}"));
            end.value.0
        });
        (first, last)
    }

    fn sizes(&mut self, raw: &Spanned<SizeRange>, largest: u32) -> (u32, u32) {
        let SizeRange(low, high) = raw.value;
        let holds = (1..=largest).contains(&low) && (low..=largest).contains(&high);
        let allowed = format!("a size from 1 to {largest} bytes, or (least, largest), the least first");
        self.expect(holds, &raw.place, allowed);
        (low, high)
    }

    fn arrivals(&mut self, raw: &RawArrivals) -> Arrivals {
        match raw {
            RawArrivals::Poisson(poisson) => Arrivals::Poisson { mean: self.above_zero(&poisson.mean) },
            RawArrivals::Periodic(periodic) => {
                let interval = self.above_zero(&periodic.interval);
                let phase = self.not_negative_or(periodic.phase.as_ref(), SimTime::ZERO);
                let jitter = self.not_negative_or(periodic.jitter.as_ref(), SimTime::ZERO);
                if let Some(written) = periodic.jitter.as_ref().filter(|_| jitter >= interval) {
                    self.out_of_range(&written.place, format!("a time below the interval, {interval}"));
                }
                Arrivals::Periodic { interval, phase, jitter }
            }
        }
    }

    pub(super) fn shared_state(
        &mut self,
        raw: &Spanned<RawSharedState>,
        protocol: &ProtocolSettings,
    ) -> SharedState {
        let raw = &raw.value;
        let members = self.members(&raw.members);
        if members.len() == 1 {
            self.report(&raw.members.place, Mistake::OutOfRange, "one member", "two or more members");
        }
        let (start, end) = self.period(raw.start.as_ref(), raw.end.as_ref());
        let value_bytes = raw.value_bytes.as_ref().map_or((8, 64), |sizes| self.sizes(sizes, 4096));
        let schemas = raw.schemas.iter().flat_map(|list| &list.value);
        let schemas = schemas.filter_map(|schema| self.publication(&schema.value, &members)).collect();
        SharedState {
            members,
            schemas,
            writes: self.arrivals(&raw.writes.value),
            mix: raw.mix.as_ref().map_or(
                WriteMix { set: 1.0, register: 1.0, map: 1.0, counter: 1.0, trade: 0.0, records: [0.0; 5] },
                |mix| self.mix(mix),
            ),
            value_bytes,
            keys: self.count_or(raw.keys.as_ref(), 32, 1, 100_000),
            push_interval: self.above_zero_or(raw.push_interval.as_ref(), SimTime::from_secs(600)),
            horizon: self.above_zero_or(raw.horizon.as_ref(), SimTime::from_secs(7 * 86_400)),
            start,
            end,
            lifetime: self.above_zero_or(raw.lifetime.as_ref(), protocol.lifetime(Priority::Normal)),
        }
    }

    fn publication(&mut self, raw: &RawSchema, members: &[AssetIndex]) -> Option<Publication> {
        let asset = self.asset(&raw.asset)?;
        if !members.contains(&asset) {
            let found = format!("\"{}\", which is none", raw.asset.value);
            self.report(&raw.asset.place, Mistake::Inconsistent, found, "a member of the shared state");
        }
        let at = self.not_negative_or(raw.at.as_ref(), SimTime::ZERO);
        self.schema(&raw.text).map(|schema| Publication { asset, at, schema })
    }

    pub(super) fn schema(&mut self, text: &Spanned<String>) -> Option<Schema> {
        let allowed = "a schema in the canonical form of docs/CONTRACTS.md";
        let schema = Schema::parse(&text.value);
        schema
            .map_err(|error| {
                let found = format!("a text of which {error}");
                self.report(&text.place, Mistake::Inconsistent, found, allowed);
            })
            .ok()
    }

    fn mix(&mut self, raw: &Spanned<RawMix>) -> WriteMix {
        let mut weight = |weight: Option<&Spanned<f64>>| self.amount_or(weight, 0.0, |number| *number);
        let mix = WriteMix {
            set: weight(raw.value.set.as_ref()),
            register: weight(raw.value.register.as_ref()),
            map: weight(raw.value.map.as_ref()),
            counter: weight(raw.value.counter.as_ref()),
            trade: weight(raw.value.trade.as_ref()),
            records: [
                weight(raw.value.telemetry.as_ref()),
                weight(raw.value.forecast.as_ref()),
                weight(raw.value.command.as_ref()),
                weight(raw.value.event.as_ref()),
                weight(raw.value.plan.as_ref()),
            ],
        };
        if mix.set + mix.register + mix.map + mix.counter + mix.trade + mix.records.iter().sum::<f64>() <= 0.0
        {
            self.report(
                &raw.place,
                Mistake::OutOfRange,
                "no weight above zero",
                "at least one weight above zero",
            );
        }
        mix
    }
}
