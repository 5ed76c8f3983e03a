//! The CSV tables of a run folder, written row by row while the run goes.

use super::{PlanFacts, ReportError, RunFacts, trail::Trail};
use crate::{
    engine::{MessageKind, Record, RecordKind},
    metrics::{DerivedRow, LOSS_REASONS, LinkRecorder, RoundRow},
    units::{AssetIndex, SimTime},
};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::File,
    io::BufWriter,
    path::{Path, PathBuf},
};

/// A CSV file that grows.
pub(super) struct Table {
    path: PathBuf,
    writer: csv::Writer<BufWriter<File>>,
    scratch: String,
}

impl Table {
    pub(super) fn create(folder: &Path, name: &str, columns: &[&str]) -> Result<Self, ReportError> {
        let path = folder.join(name);
        let file = File::create(&path).map_err(|source| ReportError::Io { path: path.clone(), source })?;
        let writer = csv::Writer::from_writer(BufWriter::new(file));
        let mut table = Self { path, writer, scratch: String::new() };
        let columns: Vec<&dyn Field> = columns.iter().map(|column| column as &dyn Field).collect();
        table.row(&columns)?;
        Ok(table)
    }

    pub(super) fn row(&mut self, fields: &[&dyn Field]) -> Result<(), ReportError> {
        let failed = |source| ReportError::Table { path: self.path.clone(), source };
        for field in fields {
            self.scratch.clear();
            field.put(&mut self.scratch);
            self.writer.write_field(&self.scratch).map_err(failed)?;
        }
        self.writer.write_record(None::<&[u8]>).map_err(failed)
    }

    pub(super) fn flush(&mut self) -> Result<(), ReportError> {
        self.writer.flush().map_err(|source| ReportError::Io { path: self.path.clone(), source })
    }
}

/// What stands in a cell. A long run has rows by the hundred thousand: whole numbers and times are put down without the formatter.
pub(super) trait Field {
    fn put(&self, out: &mut String);
}

impl Field for &str {
    fn put(&self, out: &mut String) {
        out.push_str(self);
    }
}

impl Field for String {
    fn put(&self, out: &mut String) {
        out.push_str(self);
    }
}

impl Field for u32 {
    fn put(&self, out: &mut String) {
        put_number(out, u64::from(*self), 1);
    }
}

impl Field for u64 {
    fn put(&self, out: &mut String) {
        put_number(out, *self, 1);
    }
}

impl Field for f64 {
    fn put(&self, out: &mut String) {
        write!(out, "{self}").expect("writing to a string does not fail");
    }
}

/// Appends a number with at least so many digits.
fn put_number(out: &mut String, number: u64, least: usize) {
    let (mut digits, mut left, mut first) = ([b'0'; 20], number, 20);
    while left > 0 {
        first -= 1;
        digits[first] = b'0' + (left % 10) as u8;
        left /= 10;
    }
    out.push_str(std::str::from_utf8(&digits[first.min(20 - least)..]).expect("digits are text"));
}

/// A time as plain seconds, exact to the nanosecond.
pub(super) struct Seconds(pub(super) SimTime);

impl Field for Seconds {
    fn put(&self, out: &mut String) {
        let nanos = self.0.as_nanos().unsigned_abs();
        if self.0.as_nanos() < 0 {
            out.push('-');
        }
        put_number(out, nanos / 1_000_000_000, 1);
        if !nanos.is_multiple_of(1_000_000_000) {
            out.push('.');
            put_number(out, nanos % 1_000_000_000, 9);
            out.truncate(out.trim_end_matches('0').len());
        }
    }
}

/// A number, or nothing.
struct Maybe(Option<f64>);

impl Field for Maybe {
    fn put(&self, out: &mut String) {
        if let Some(value) = self.0 {
            write!(out, "{value:e}").expect("writing to a string does not fail");
        }
    }
}

/// A number to the last bit.
struct Exact(f64);

impl Field for Exact {
    fn put(&self, out: &mut String) {
        write!(out, "{:e}", self.0).expect("writing to a string does not fail");
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
        MessageKind::Trust => "trust",
        MessageKind::Governance => "governance",
        MessageKind::Membership => "membership",
        MessageKind::GroupKey => "group-key",
    }
}

/// A table that is there from its first row on.
fn table<'t>(
    table: &'t mut Option<Table>,
    folder: &Path,
    name: &'static str,
    columns: &[&str],
) -> Result<&'t mut Table, ReportError> {
    if table.is_none() {
        *table = Some(Table::create(folder, name, columns)?);
    }
    Ok(table.as_mut().expect("made above"))
}

/// All tables of a run.
pub struct Tables {
    names: Vec<String>,
    deliveries: Table,
    convergence: Table,
    rounds: Table,
    privacy: Table,
    prices: Table,
    plans: Table,
    horizons: Table,
    versions: Table,
    plan: Option<PlanFacts>,
    /// The horizon in which each asset is.
    horizon: BTreeMap<AssetIndex, u64>,
    /// The values that each participant holds, of each horizon the last.
    held: BTreeMap<(AssetIndex, u64), (u32, Vec<f64>)>,
    sync: Table,
    trail: Trail,
    staleness: Table,
    contacts: Table,
    links: Table,
    energy: Table,
    open: BTreeMap<(AssetIndex, AssetIndex, u32), SimTime>,
    /// What the fleet decided, and what assets believe of each other: only of runs that have such.
    governance: Option<Table>,
    presence: Option<Table>,
    folder: PathBuf,
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
                    "uplink_bytes",
                    "committee_bytes",
                ],
            )?,
            privacy: Table::create(
                folder,
                "privacy.csv",
                &["time_s", "asset", "releases", "rho", "epsilon", "delta", "exhausted"],
            )?,
            prices: Table::create(folder, "prices.csv", &["time_s", "round", "constraint", "price"])?,
            plans: Table::create(
                folder,
                "plans.csv",
                &["asset", "horizon", "round", "quantity", "slot", "value"],
            )?,
            horizons: Table::create(
                folder,
                "horizons.csv",
                &["horizon", "began_s", "round", "members", "gap", "integrality_gap", "versions"],
            )?,
            versions: Table::create(
                folder,
                "versions.csv",
                &["time_s", "asset", "horizon", "term", "round", "outcome", "version"],
            )?,
            plan: facts.plan.clone(),
            horizon: BTreeMap::new(),
            held: BTreeMap::new(),
            sync: Table::create(
                folder,
                "sync.csv",
                &["time_s", "event", "asset", "actor", "sequence", "latency_s"],
            )?,
            trail: Trail::create(folder)?,
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
            governance: None,
            presence: None,
            folder: folder.to_path_buf(),
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
                let horizon = self.horizon.get(&asset).copied().unwrap_or(0);
                let held = self.held.entry((asset, horizon)).or_default();
                held.0 = *round;
                held.1.clone_from(values);
                Ok(())
            }
            RecordKind::PlanRound { round, prices, .. } => {
                let Some(plan) = &self.plan else { return Ok(()) };
                plan.binding(self.horizon.get(&asset).copied().unwrap_or(0))
                    .iter()
                    .zip(prices)
                    .try_for_each(|(name, price)| self.prices.row(&[&time, round, name, &Exact(*price)]))
            }
            &RecordKind::PlanSpent { rho, epsilon, delta, releases, exhausted } => self.privacy.row(&[
                &time,
                &name(asset),
                &releases,
                &Exact(rho),
                &Exact(epsilon),
                &Exact(delta),
                &if exhausted { "yes" } else { "no" },
            ]),
            RecordKind::Governance { slot, step, about, what, record } => {
                let columns = ["time_s", "asset", "slot", "step", "about", "what", "record"];
                let record = format!("{:016x}", u64::from_be_bytes(*record));
                let about = about.map_or("", name);
                table(&mut self.governance, &self.folder, "decisions.csv", &columns)?.row(&[
                    &time,
                    &name(asset),
                    slot,
                    step,
                    &about,
                    what,
                    &record,
                ])
            }
            RecordKind::Presence { about, presence } => {
                let columns = ["time_s", "asset", "about", "presence"];
                table(&mut self.presence, &self.folder, "presence.csv", &columns)?.row(&[
                    &time,
                    &name(asset),
                    &name(*about),
                    presence,
                ])
            }
            RecordKind::PlanHorizon { horizon, .. } => {
                self.horizon.insert(asset, *horizon);
                Ok(())
            }
            RecordKind::PlanCommitted { horizon, term, round, outcome, digest } => {
                // As the logs have it.
                let version: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
                self.versions.row(&[&time, &name(asset), horizon, term, round, outcome, &version])
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
            _ => self.trail.record(&self.names, record),
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
                DerivedRow::Horizon(row) => self.horizons.row(&[
                    &row.horizon,
                    &Seconds(row.began),
                    &row.round,
                    &(row.members as u32),
                    &Maybe(row.gap),
                    &Maybe(row.integrality_gap),
                    &row.versions,
                ])?,
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
            &row.uplink,
            &row.committee,
        ])
    }

    /// What each participant holds in the end.
    fn held(&mut self) -> Result<(), ReportError> {
        let Some(plan) = &self.plan else { return Ok(()) };
        for ((asset, horizon), (round, values)) in &self.held {
            let name = self.names[asset.get()].as_str();
            for (at, value) in values.iter().enumerate() {
                let (quantity, slot) = plan.quantity(*horizon, at);
                self.plans.row(&[&name, horizon, round, &quantity, &slot, &Exact(*value)])?;
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
        self.trail.flush()?;
        let names = &self.names;
        let name = |asset: &AssetIndex| names[asset.get()].as_str();
        for ((from, to, contact), start) in &self.open {
            self.contacts.row(&[&name(from), &name(to), contact, &Seconds(*start), &Seconds(end), &""])?;
        }
        for ((from, to), pair) in links.pairs().iter() {
            let (from, to, airtime) = (name(&from), name(&to), Seconds(pair.airtime));
            let contact_time = Seconds(pair.contact_time);
            let mut row: Vec<&dyn Field> =
                vec![&from, &to, &pair.frames_sent, &pair.bytes_sent, &airtime, &pair.frames_received];
            row.extend(pair.frames_lost.iter().map(|lost| lost as &dyn Field));
            row.push(&pair.contacts);
            row.push(&contact_time);
            self.links.row(&row)?;
        }
        let tables = [
            &mut self.deliveries,
            &mut self.convergence,
            &mut self.rounds,
            &mut self.privacy,
            &mut self.prices,
            &mut self.plans,
            &mut self.horizons,
            &mut self.versions,
            &mut self.sync,
            &mut self.staleness,
            &mut self.contacts,
            &mut self.links,
            &mut self.energy,
        ];
        let optional = self.governance.as_mut().into_iter().chain(self.presence.as_mut());
        tables.into_iter().chain(optional).try_for_each(Table::flush)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_plain_seconds_to_the_last_digit_that_counts() {
        let text = |nanos| {
            let mut out = String::new();
            Seconds(SimTime(nanos)).put(&mut out);
            out
        };
        for (nanos, expected) in [
            (0, "0"),
            (1, "0.000000001"),
            (-1_500_000_000, "-1.5"),
            (60_000_000_000, "60"),
            (100_000_000_090_000_000, "100000000.09"),
            (i64::MIN, "-9223372036.854775808"),
        ] {
            assert_eq!(text(nanos), expected);
        }
    }

    #[test]
    fn whole_numbers_are_written_in_full() {
        for number in [0, 7, 10, 4_294_967_296, u64::MAX] {
            let mut out = String::new();
            number.put(&mut out);
            assert_eq!(out, number.to_string());
        }
    }
}
