//! The tables of a run folder, read for plotting: one pass each, bounded memory.

use super::{ReportError, RunFacts, Series, folder::io};
use crate::{metrics::Latencies, units::SimTime};
use serde::{Deserialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
};

/// Reads the tables of one run folder.
pub(super) struct Source<'a> {
    folder: &'a Path,
    assets: BTreeMap<&'a str, usize>,
}

/// The convergence table's lines.
#[derive(Default)]
pub(super) struct Convergence {
    pub(super) gap: Series,
    pub(super) primal: Series,
    pub(super) dual: Series,
    pub(super) by_round: BTreeMap<u64, Round>,
}

/// The last values of a round.
#[derive(Clone, Copy, Default)]
pub(super) struct Round {
    pub(super) gap: Option<f64>,
    pub(super) primal: Option<f64>,
    pub(super) dual: Option<f64>,
}

/// What went over one link, one way.
pub(super) struct LinkRow {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) bytes: f64,
    pub(super) frames: u64,
    pub(super) received: u64,
}

/// A contact: assets by index, times in seconds.
pub(super) struct ContactRow {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) start_s: f64,
    pub(super) end_s: f64,
    pub(super) busy_s: Option<f64>,
}

/// A closed round: who it waited for, and where its time went, seconds.
pub(super) struct RoundTimes {
    pub(super) round: u64,
    /// Whose answer came last, if it was waited for.
    pub(super) slowest: Option<String>,
    /// Who had not answered when it closed.
    pub(super) late: Vec<String>,
    pub(super) bytes: u64,
    /// Of these, what it took to open masked answers.
    pub(super) committee_bytes: u64,
    pub(super) light_s: f64,
    pub(super) contacts_s: f64,
    pub(super) computation_s: f64,
}

/// What an asset plans in the end: by quantity, its values slot by slot.
pub(super) type Held = BTreeMap<String, Vec<f64>>;

#[derive(Deserialize)]
struct RawRound {
    round: u64,
    slowest: String,
    late: String,
    bytes: u64,
    committee_bytes: u64,
    light_time_s: f64,
    contacts_s: f64,
    computation_s: f64,
}

#[derive(Deserialize)]
struct PriceRow {
    time_s: f64,
    constraint: String,
    price: f64,
}

#[derive(Deserialize)]
struct HeldRow {
    asset: String,
    quantity: String,
    slot: Option<u32>,
    value: f64,
}

#[derive(Deserialize)]
struct ConvergenceRow {
    time_s: f64,
    round: u64,
    gap: Option<f64>,
    primal_residual: Option<f64>,
    dual_residual: Option<f64>,
}

#[derive(Deserialize)]
struct DeliveryRow {
    kind: String,
    latency_s: f64,
}

#[derive(Deserialize)]
struct RawContact {
    from: String,
    to: String,
    start_s: f64,
    end_s: f64,
    busy_s: Option<f64>,
}

#[derive(Deserialize)]
struct RawLink {
    from: String,
    to: String,
    frames_sent: u64,
    bytes_sent: u64,
    frames_received: u64,
}

#[derive(Deserialize)]
struct StalenessRow {
    time_s: f64,
    asset: String,
    staleness_s: f64,
}

#[derive(Deserialize)]
struct EnergyRow {
    time_s: f64,
    asset: String,
    state_of_charge: f64,
}

/// Where a row stands.
struct Place<'a> {
    path: &'a Path,
    line: u64,
}

impl Place<'_> {
    fn finite(&self, field: &'static str, value: f64) -> Result<f64, ReportError> {
        if value.is_finite() {
            return Ok(value);
        }
        Err(self.refuse(field, value.to_string(), "a finite number"))
    }

    fn maybe_finite(&self, field: &'static str, value: Option<f64>) -> Result<Option<f64>, ReportError> {
        value.map(|value| self.finite(field, value)).transpose()
    }

    fn refuse(&self, field: &'static str, found: String, allowed: &'static str) -> ReportError {
        ReportError::Value { path: self.path.into(), line: self.line, field, found, allowed }
    }
}

impl<'a> Source<'a> {
    pub(super) fn new(folder: &'a Path, facts: &'a RunFacts) -> Self {
        let assets = facts.assets.iter().enumerate().map(|(index, asset)| (asset.name.as_str(), index));
        Self { folder, assets: assets.collect() }
    }

    pub(super) fn convergence(&self) -> Result<Convergence, ReportError> {
        let mut table = Convergence::default();
        self.rows(
            "convergence.csv",
            &["time_s", "round", "gap", "primal_residual", "dual_residual"],
            |place, row: ConvergenceRow| {
                let time = place.finite("time_s", row.time_s)?;
                let round = table.by_round.entry(row.round).or_default();
                round.gap = row.gap.or(round.gap);
                round.primal = row.primal_residual.or(round.primal);
                round.dual = row.dual_residual.or(round.dual);
                for (field, value, series) in [
                    ("gap", row.gap, &mut table.gap),
                    ("primal_residual", row.primal_residual, &mut table.primal),
                    ("dual_residual", row.dual_residual, &mut table.dual),
                ] {
                    if let Some(value) = place.maybe_finite(field, value)? {
                        series.push(time, value);
                    }
                }
                Ok(())
            },
        )?;
        Ok(table)
    }

    /// The rounds, in order.
    pub(super) fn rounds(&self, facts: &RunFacts) -> Result<Vec<RoundTimes>, ReportError> {
        let mut rounds = Vec::new();
        if facts.plan.is_none() {
            return Ok(rounds);
        }
        let columns = [
            "round",
            "slowest",
            "late",
            "light_time_s",
            "contacts_s",
            "computation_s",
            "bytes",
            "committee_bytes",
        ];
        self.rows("rounds.csv", &columns, |place, row: RawRound| {
            rounds.push(RoundTimes {
                round: row.round,
                slowest: Some(row.slowest).filter(|name| !name.is_empty()),
                late: row.late.split(' ').filter(|name| !name.is_empty()).map(Into::into).collect(),
                bytes: row.bytes,
                committee_bytes: row.committee_bytes.min(row.bytes),
                light_s: place.finite("light_time_s", row.light_time_s)?,
                contacts_s: place.finite("contacts_s", row.contacts_s)?,
                computation_s: place.finite("computation_s", row.computation_s)?,
            });
            Ok(())
        })?;
        Ok(rounds)
    }

    /// By constraint: its price over time.
    pub(super) fn prices(&self, facts: &RunFacts) -> Result<BTreeMap<String, Series>, ReportError> {
        let mut prices: BTreeMap<String, Series> = BTreeMap::new();
        if facts.plan.is_none() {
            return Ok(prices);
        }
        self.rows("prices.csv", &["time_s", "constraint", "price"], |place, row: PriceRow| {
            let (time, price) = (place.finite("time_s", row.time_s)?, place.finite("price", row.price)?);
            prices.entry(row.constraint).or_default().push(time, price);
            Ok(())
        })?;
        Ok(prices)
    }

    /// By asset: what it plans in the end, of quantities that have slots.
    pub(super) fn plans(&self, facts: &RunFacts) -> Result<BTreeMap<usize, Held>, ReportError> {
        let mut plans: BTreeMap<usize, Held> = BTreeMap::new();
        let Some(plan) = &facts.plan else { return Ok(plans) };
        self.rows("plans.csv", &["asset", "quantity", "slot", "value"], |place, row: HeldRow| {
            let Some(slot) = row.slot else { return Ok(()) };
            if slot >= plan.span() {
                return Err(place.refuse("slot", slot.to_string(), "a slot of the horizon in run.json"));
            }
            let held = plans.entry(self.asset(place, "asset", &row.asset)?).or_default();
            let values = held.entry(row.quantity).or_insert_with(|| vec![0.0; plan.span() as usize]);
            values[slot as usize] = place.finite("value", row.value)?;
            Ok(())
        })?;
        Ok(plans)
    }

    /// By kind, application messages only.
    pub(super) fn latencies(&self) -> Result<BTreeMap<String, Latencies>, ReportError> {
        let mut kinds: BTreeMap<String, Latencies> = BTreeMap::new();
        self.rows("deliveries.csv", &["kind", "latency_s"], |place, row: DeliveryRow| {
            let latency = place.finite("latency_s", row.latency_s)?;
            if matches!(row.kind.as_str(), "telemetry" | "command" | "event" | "datagram") {
                kinds.entry(row.kind).or_default().record(SimTime::from_secs_f64(latency));
            }
            Ok(())
        })?;
        Ok(kinds)
    }

    pub(super) fn contacts(&self) -> Result<Vec<ContactRow>, ReportError> {
        let mut contacts = Vec::new();
        self.rows(
            "contacts.csv",
            &["from", "to", "start_s", "end_s", "busy_s"],
            |place, row: RawContact| {
                contacts.push(ContactRow {
                    from: self.asset(place, "from", &row.from)?,
                    to: self.asset(place, "to", &row.to)?,
                    start_s: place.finite("start_s", row.start_s)?,
                    end_s: place.finite("end_s", row.end_s)?,
                    busy_s: place.maybe_finite("busy_s", row.busy_s)?,
                });
                Ok(())
            },
        )?;
        Ok(contacts)
    }

    /// Links that sent something.
    pub(super) fn links(&self) -> Result<Vec<LinkRow>, ReportError> {
        let mut links = Vec::new();
        self.rows(
            "links.csv",
            &["from", "to", "frames_sent", "bytes_sent", "frames_received"],
            |place, row: RawLink| {
                let link = LinkRow {
                    from: self.asset(place, "from", &row.from)?,
                    to: self.asset(place, "to", &row.to)?,
                    bytes: row.bytes_sent as f64,
                    frames: row.frames_sent,
                    received: row.frames_received,
                };
                if link.frames > 0 {
                    links.push(link);
                }
                Ok(())
            },
        )?;
        Ok(links)
    }

    pub(super) fn staleness(&self) -> Result<BTreeMap<usize, Series>, ReportError> {
        let mut series: BTreeMap<usize, Series> = BTreeMap::new();
        self.rows("staleness.csv", &["time_s", "asset", "staleness_s"], |place, row: StalenessRow| {
            let asset = self.asset(place, "asset", &row.asset)?;
            let (time, age) =
                (place.finite("time_s", row.time_s)?, place.finite("staleness_s", row.staleness_s)?);
            series.entry(asset).or_default().push(time, age);
            Ok(())
        })?;
        Ok(series)
    }

    pub(super) fn energy(&self) -> Result<BTreeMap<usize, Series>, ReportError> {
        let mut series: BTreeMap<usize, Series> = BTreeMap::new();
        self.rows("energy.csv", &["time_s", "asset", "state_of_charge"], |place, row: EnergyRow| {
            let asset = self.asset(place, "asset", &row.asset)?;
            let (time, charge) =
                (place.finite("time_s", row.time_s)?, place.finite("state_of_charge", row.state_of_charge)?);
            series.entry(asset).or_default().push(time, charge);
            Ok(())
        })?;
        Ok(series)
    }

    fn asset(&self, place: &Place<'_>, field: &'static str, name: &str) -> Result<usize, ReportError> {
        let index = self.assets.get(name).copied();
        index.ok_or_else(|| place.refuse(field, format!("{name:?}"), "the name of an asset in run.json"))
    }

    fn rows<T: DeserializeOwned>(
        &self,
        name: &str,
        columns: &[&'static str],
        mut take: impl FnMut(&Place<'_>, T) -> Result<(), ReportError>,
    ) -> Result<(), ReportError> {
        let path: PathBuf = self.folder.join(name);
        let file = File::open(&path).map_err(io(&path))?;
        let mut reader = csv::Reader::from_reader(file);
        // Without rows the reader itself would not miss a column.
        let headings =
            reader.headers().map_err(|source| ReportError::Table { path: path.clone(), source })?;
        if let Some(missing) =
            columns.iter().find(|column| !headings.iter().any(|heading| heading == **column))
        {
            let found = "not there".into();
            return Err(ReportError::Value {
                path,
                line: 1,
                field: missing,
                found,
                allowed: "a heading of that name",
            });
        }
        for (place, row) in reader.deserialize().enumerate() {
            let row: T = row.map_err(|source| ReportError::Table { path: path.clone(), source })?;
            take(&Place { path: &path, line: place as u64 + 2 }, row)?;
        }
        Ok(())
    }
}
