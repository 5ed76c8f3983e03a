//! The CSV tables of a run folder, written row by row while the run goes.

use super::{PlanFacts, ReportError, RunFacts};
use crate::{
    engine::{MessageKind, Record, RecordKind},
    metrics::{DerivedRow, LOSS_REASONS, LinkRecorder, RoundRow},
    units::{AssetIndex, SimTime},
};
use std::{
    collections::BTreeMap,
    fmt::{Display, Write as _},
    fs::File,
    io::BufWriter,
    path::{Path, PathBuf},
};

/// A CSV file that grows.
struct Table {
    path: PathBuf,
    writer: csv::Writer<BufWriter<File>>,
    scratch: String,
}

impl Table {
    fn create(folder: &Path, name: &str, columns: &[&str]) -> Result<Self, ReportError> {
        let path = folder.join(name);
        let file = File::create(&path).map_err(|source| ReportError::Io { path: path.clone(), source })?;
        let writer = csv::Writer::from_writer(BufWriter::new(file));
        let mut table = Self { path, writer, scratch: String::new() };
        let columns: Vec<&dyn Display> = columns.iter().map(|column| column as &dyn Display).collect();
        table.row(&columns)?;
        Ok(table)
    }

    fn row(&mut self, fields: &[&dyn Display]) -> Result<(), ReportError> {
        let failed = |source| ReportError::Table { path: self.path.clone(), source };
        for field in fields {
            self.scratch.clear();
            write!(self.scratch, "{field}").expect("writing to a string does not fail");
            self.writer.write_field(&self.scratch).map_err(failed)?;
        }
        self.writer.write_record(None::<&[u8]>).map_err(failed)
    }

    fn flush(&mut self) -> Result<(), ReportError> {
        self.writer.flush().map_err(|source| ReportError::Io { path: self.path.clone(), source })
    }
}

/// A time as plain seconds, exact to the nanosecond.
struct Seconds(SimTime);

impl Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (sign, nanos) = (if self.0.as_nanos() < 0 { "-" } else { "" }, self.0.as_nanos().unsigned_abs());
        let (whole, mut fraction) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }
        let mut width = 9;
        while fraction.is_multiple_of(10) {
            fraction /= 10;
            width -= 1;
        }
        write!(f, "{sign}{whole}.{fraction:0width$}")
    }
}

/// A number, or nothing.
struct Maybe(Option<f64>);

impl Display for Maybe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(value) => write!(f, "{value:e}"),
            None => Ok(()),
        }
    }
}

/// A number to the last bit.
struct Exact(f64);

impl Display for Exact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:e}", self.0)
    }
}

/// The word for a kind of message in tables.
#[must_use]
pub const fn kind_word(kind: MessageKind) -> &'static str {
    match kind {
        MessageKind::Telemetry => "telemetry",
        MessageKind::Command => "command",
        MessageKind::Event => "event",
        MessageKind::Sync => "sync",
        MessageKind::Plan => "plan",
        MessageKind::Acknowledgement => "acknowledgement",
        MessageKind::Datagram => "datagram",
    }
}

/// All tables of a run.
pub struct Tables {
    names: Vec<String>,
    deliveries: Table,
    convergence: Table,
    rounds: Table,
    prices: Table,
    plans: Table,
    plan: Option<PlanFacts>,
    /// The values that each participant holds.
    held: BTreeMap<AssetIndex, (u32, Vec<f64>)>,
    sync: Table,
    staleness: Table,
    contacts: Table,
    links: Table,
    energy: Table,
    open: BTreeMap<(AssetIndex, AssetIndex, u32), SimTime>,
}

impl Tables {
    /// Creates the files in `folder` with their headings.
    ///
    /// # Errors
    /// [`ReportError::Io`] and [`ReportError::Table`] when they cannot be written.
    pub fn create(folder: &Path, facts: &RunFacts) -> Result<Self, ReportError> {
        let mut links = vec!["from", "to", "frames_sent", "bytes_sent", "airtime_s", "frames_received"];
        let lost: Vec<String> = LOSS_REASONS.iter().map(|(_, word)| format!("lost_{word}")).collect();
        links.extend(lost.iter().map(String::as_str));
        links.extend(["contacts", "contact_s"]);
        let deliveries = ["delivered_s", "source", "destination", "kind", "sequence", "bytes", "latency_s"];
        let convergence =
            ["time_s", "round", "gap", "objective_gap", "violation", "primal_residual", "dual_residual"];
        Ok(Self {
            names: facts.assets.iter().map(|asset| asset.name.clone()).collect(),
            deliveries: Table::create(folder, "deliveries.csv", &deliveries)?,
            convergence: Table::create(folder, "convergence.csv", &convergence)?,
            rounds: Table::create(
                folder,
                "rounds.csv",
                &[
                    "round",
                    "opened_s",
                    "closed_s",
                    "contributions",
                    "slowest",
                    "late",
                    "light_time_s",
                    "contacts_s",
                    "computation_s",
                    "bytes",
                ],
            )?,
            prices: Table::create(folder, "prices.csv", &["time_s", "round", "constraint", "price"])?,
            plans: Table::create(folder, "plans.csv", &["asset", "round", "quantity", "slot", "value"])?,
            plan: facts.plan.clone(),
            held: BTreeMap::new(),
            sync: Table::create(
                folder,
                "sync.csv",
                &["time_s", "event", "asset", "actor", "sequence", "latency_s"],
            )?,
            staleness: Table::create(folder, "staleness.csv", &["time_s", "asset", "staleness_s"])?,
            contacts: Table::create(
                folder,
                "contacts.csv",
                &["from", "to", "contact", "start_s", "end_s", "busy_s"],
            )?,
            links: Table::create(folder, "links.csv", &links)?,
            energy: Table::create(
                folder,
                "energy.csv",
                &["time_s", "asset", "state_of_charge", "radio_joules"],
            )?,
            open: BTreeMap::new(),
        })
    }

    /// Writes the rows of one record.
    ///
    /// # Errors
    /// [`ReportError::Table`] when a file cannot be written.
    pub fn record(&mut self, record: &Record) -> Result<(), ReportError> {
        let (names, time, asset) = (&self.names, Seconds(record.time), record.asset);
        let name = |asset: AssetIndex| names[asset.get()].as_str();
        match &record.kind {
            RecordKind::PlanLocal { round, values } => {
                let held = self.held.entry(asset).or_default();
                held.0 = *round;
                held.1.clone_from(values);
                Ok(())
            }
            RecordKind::PlanRound { round, prices, .. } => {
                let Some(plan) = &self.plan else { return Ok(()) };
                plan.constraints
                    .iter()
                    .zip(prices)
                    .try_for_each(|(name, price)| self.prices.row(&[&time, round, name, &Exact(*price)]))
            }
            &RecordKind::Delivered { source, sequence, kind, bytes, latency } => self.deliveries.row(&[
                &time,
                &name(source),
                &name(asset),
                &kind_word(kind),
                &sequence,
                &bytes,
                &Seconds(latency),
            ]),
            &RecordKind::SyncWrite { sequence } => {
                self.sync.row(&[&time, &"write", &name(asset), &name(asset), &sequence, &""])
            }
            &RecordKind::SyncVisible { actor, sequence, latency } => {
                self.sync.row(&[&time, &"visible", &name(asset), &name(actor), &sequence, &Seconds(latency)])
            }
            &RecordKind::ContactOpened { peer, contact } => {
                self.open.insert((asset, peer, contact), record.time);
                Ok(())
            }
            &RecordKind::ContactClosed { peer, contact, busy } => {
                let Some(start) = self.open.remove(&(asset, peer, contact)) else { return Ok(()) };
                self.contacts.row(&[
                    &name(asset),
                    &name(peer),
                    &contact,
                    &Seconds(start),
                    &time,
                    &Seconds(busy),
                ])
            }
            &RecordKind::Energy { state_of_charge, radio_joules } => {
                self.energy.row(&[&time, &name(asset), &state_of_charge, &radio_joules])
            }
            _ => Ok(()),
        }
    }

    /// Writes rows that the metrics computed.
    ///
    /// # Errors
    /// [`ReportError::Table`] when a file cannot be written.
    pub fn derived(&mut self, rows: &[DerivedRow]) -> Result<(), ReportError> {
        for row in rows {
            match row {
                DerivedRow::Convergence(row) => {
                    let gap = row.objective_gap.zip(row.violation).map(|(gap, violation)| gap.max(violation));
                    self.convergence.row(&[
                        &Seconds(row.time),
                        &row.round,
                        &Maybe(gap),
                        &Maybe(row.objective_gap),
                        &Maybe(row.violation),
                        &Maybe(row.primal_residual),
                        &Maybe(row.dual_residual),
                    ])?;
                }
                DerivedRow::Round(row) => self.round(row)?,
                DerivedRow::Staleness(row) => {
                    let name = self.names[row.asset.get()].as_str();
                    self.staleness.row(&[&Seconds(row.time), &name, &Seconds(row.staleness)])?;
                }
            }
        }
        Ok(())
    }

    fn round(&mut self, row: &RoundRow) -> Result<(), ReportError> {
        let name = |asset: AssetIndex| self.names[asset.get()].as_str();
        let late: Vec<&str> = row.late.iter().map(|asset| name(*asset)).collect();
        self.rounds.row(&[
            &row.round,
            &Seconds(row.opened),
            &Seconds(row.closed),
            &row.contributions,
            &row.slowest.map_or("", name),
            &late.join(" "),
            &Seconds(row.light),
            &Seconds(row.contacts),
            &Seconds(row.computation),
            &row.bytes,
        ])
    }

    /// What each participant holds in the end.
    fn held(&mut self) -> Result<(), ReportError> {
        let Some(plan) = &self.plan else { return Ok(()) };
        for (asset, (round, values)) in &self.held {
            let name = self.names[asset.get()].as_str();
            for (at, value) in values.iter().enumerate() {
                let (quantity, slot) = plan.quantity(at);
                self.plans.row(&[&name, round, &quantity, &slot, &Exact(*value)])?;
            }
        }
        Ok(())
    }

    /// Writes what is only known at the `end` and closes the files. A contact that is still open then gets an empty busy
    /// time: its radio has not reported.
    ///
    /// # Errors
    /// [`ReportError::Table`] and [`ReportError::Io`] when a file cannot be written.
    pub fn finish(mut self, end: SimTime, links: &LinkRecorder) -> Result<(), ReportError> {
        self.held()?;
        let names = &self.names;
        let name = |asset: &AssetIndex| names[asset.get()].as_str();
        for ((from, to, contact), start) in &self.open {
            self.contacts.row(&[&name(from), &name(to), contact, &Seconds(*start), &Seconds(end), &""])?;
        }
        for ((from, to), pair) in links.pairs() {
            let (from, to, airtime) = (name(from), name(to), Seconds(pair.airtime));
            let contact_time = Seconds(pair.contact_time);
            let mut row: Vec<&dyn Display> =
                vec![&from, &to, &pair.frames_sent, &pair.bytes_sent, &airtime, &pair.frames_received];
            row.extend(pair.frames_lost.iter().map(|lost| lost as &dyn Display));
            row.push(&pair.contacts);
            row.push(&contact_time);
            self.links.row(&row)?;
        }
        let tables = [
            &mut self.deliveries,
            &mut self.convergence,
            &mut self.rounds,
            &mut self.prices,
            &mut self.plans,
            &mut self.sync,
            &mut self.staleness,
            &mut self.contacts,
            &mut self.links,
            &mut self.energy,
        ];
        tables.into_iter().try_for_each(Table::flush)
    }
}
