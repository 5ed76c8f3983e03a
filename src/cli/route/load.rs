//! A contact plan from a file, as the router reads it.

use std::{
    collections::BTreeMap,
    fmt::Arguments,
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, ValueEnum};
use cosmosmesh_protocol::{
    dtn::contact_plan::{Confidence, ContactId, ContactPlan, PlannedContact, Step},
    id::NodeId,
    time::Instant,
};

use crate::{
    cli::CliError,
    contact::import::{
        ImportOptions, ImportedContact, ImportedPlan, Manager, PlanFormat, Shifts, earliest_date, epoch,
        import_with,
    },
    units::SimTime,
};

/// Which plan, and how it is read.
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// The contact plan.
    #[arg(long = "plan", value_name = "FILE")]
    path: PathBuf,
    /// What the plan is written in [default: what it looks like].
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// What ION's `@` does.
    #[arg(long, value_enum, default_value_t = ShiftsOf::Auto)]
    shifts: ShiftsOf,
    /// The moment that times count from, where an ION plan has absolute ones: 2026-01-01T00:00:00Z or 2026/01/01-00:00:00 [default: the
    /// plan's earliest].
    #[arg(long, value_name = "UTC", value_parser = moment)]
    epoch: Option<i64>,
    /// The manager of A-SABR's contacts that name none: evl, eto, qd, with priorities (p…) and budgets (pb…), seg or pseg.
    #[arg(long, value_name = "NAME", default_value = "evl", value_parser = manager)]
    manager: Manager,
    /// The bundle's priority, by which A-SABR's budgets are read.
    #[arg(long, value_enum, default_value_t = PriorityOf::Normal)]
    priority: PriorityOf,
}

/// A format of contact plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Commands for ION's ionadmin.
    Ion,
    /// HDTN's JSON.
    Hdtn,
    /// A-SABR's text.
    Asabr,
}

/// What ION's `@` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ShiftsOf {
    /// As `apply`, unless that moves contacts past the end of the plan's last range.
    Auto,
    /// Moves the reference of later times on, as ionadmin does.
    Apply,
    /// Nothing: all times count from the plan's base.
    Ignore,
}

/// A priority, the lowest first as A-SABR counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PriorityOf {
    Bulk,
    Normal,
    Expedited,
}

/// A plan, and the budgets of its contacts for the bundle at hand.
pub(super) struct Loaded {
    pub(super) plan: ContactPlan,
    pub(super) budgets: BTreeMap<ContactId, u64>,
}

/// A contact of the file with all its parts.
struct Whole {
    contact: PlannedContact,
    steps: Vec<Step>,
    confidence: Option<f64>,
    budget: Option<u64>,
}

impl PlanArgs {
    /// The plan for a bundle of `size` bytes. What it cannot hold is told on standard error.
    pub(super) fn load(&self, size: u64) -> Result<Loaded, CliError> {
        let path = &self.path;
        let bytes = std::fs::read(path).map_err(|source| CliError::File { path: path.clone(), source })?;
        let imported = self.import(&bytes)?;
        if !imported.warnings.is_empty() {
            let (count, first) = (imported.warnings.len(), &imported.warnings[0]);
            tell(format_args!("warning: {count} times something was left out, first: {first}"))?;
        }
        let (whole, left_out) = self.whole_contacts(&imported);
        if left_out > 0 {
            tell(format_args!("warning: {left_out} contacts that nothing can use are left out"))?;
        }
        loaded(whole, size).map_err(|reason| CliError::Input { path: path.clone(), reason })
    }

    fn import(&self, bytes: &[u8]) -> Result<ImportedPlan, CliError> {
        let format = match self.format {
            Some(Format::Ion) => PlanFormat::Ion,
            Some(Format::Hdtn) => PlanFormat::Hdtn,
            Some(Format::Asabr) => PlanFormat::Asabr,
            None => PlanFormat::of(bytes),
        };
        let shifts = if self.shifts == ShiftsOf::Ignore { Shifts::Ignored } else { Shifts::Applied };
        let epoch_unix_s = match self.epoch {
            None if format == PlanFormat::Ion => base(bytes)?,
            epoch => epoch,
        };
        let options = ImportOptions { epoch_unix_s, shifts, manager: self.manager };
        let imported = self.read(bytes, format, options)?;
        if self.shifts == ShiftsOf::Auto && imported.beyond_ranges > 0 {
            let unmoved = self.read(bytes, format, ImportOptions { shifts: Shifts::Ignored, ..options })?;
            if unmoved.beyond_ranges == 0 {
                tell(format_args!(
                    "warning: `@` would move {} contacts past the end of the plan's last range; all times are read from the \
                     plan's base instead, which ionadmin would not do (--shifts apply does as ionadmin)",
                    imported.beyond_ranges
                ))?;
                return Ok(unmoved);
            }
        }
        Ok(imported)
    }

    fn read(
        &self,
        bytes: &[u8],
        format: PlanFormat,
        options: ImportOptions,
    ) -> Result<ImportedPlan, CliError> {
        let path = &self.path;
        let name = path
            .file_name()
            .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
        import_with(&name, bytes, format, options)
            .map_err(|error| CliError::Input { path: path.clone(), reason: error.to_string() })
    }

    /// The contacts, each with all its parts, and how many parts a plan cannot hold: of a node with itself, of no length, of no rate, beyond
    /// a day of light, over before the epoch.
    fn whole_contacts(&self, imported: &ImportedPlan) -> (Vec<Whole>, usize) {
        let mut whole: Vec<Whole> = Vec::new();
        let (mut left_out, mut broken) = (0, false);
        for (index, contact) in imported.contacts.iter().enumerate() {
            let continues = imported.continues.contains(&index) && !broken;
            let Some(part) = planned(contact) else {
                (left_out, broken) = (left_out + 1, true);
                continue;
            };
            broken = false;
            let step = Step { start: part.start, rate_bps: part.rate_bps, owlt: part.owlt };
            if let Some(before) = whole.last_mut().filter(|_| continues) {
                before.contact.end = part.end;
                before.steps.push(step);
            } else {
                let confidence = imported.confidences.get(&index).copied();
                let budget = imported.budgets.get(&index).map(|budgets| budgets[self.priority as usize]);
                whole.push(Whole { contact: part, steps: vec![step], confidence, budget });
            }
        }
        (whole, left_out)
    }
}

/// The plan of these contacts, without those whose budget a bundle of `size` bytes exceeds: A-SABR's managers refuse it there
/// (`contact_manager/legacy/mod.rs`, `dry_run_tx`).
fn loaded(mut whole: Vec<Whole>, size: u64) -> Result<Loaded, String> {
    whole.retain(|whole| whole.budget.is_none_or(|budget| size <= budget));
    let contacts = whole.iter().map(|whole| whole.contact);
    let mut plan = ContactPlan::from_contacts(contacts).map_err(|error| error.to_string())?;
    let mut budgets = BTreeMap::new();
    let ids: Vec<_> = plan.iter().map(|(id, _)| id).collect();
    for (id, Whole { steps, confidence, budget, .. }) in ids.into_iter().zip(whole) {
        if steps.len() > 1 {
            plan.set_steps(id, &steps).map_err(|error| error.to_string())?;
        }
        if let Some(confidence) = confidence {
            plan.set_confidence(id, from_share(confidence)).map_err(|error| error.to_string())?;
        }
        budgets.extend(budget.map(|budget| (id, budget)));
    }
    Ok(Loaded { plan, budgets })
}

/// The plan's earliest absolute time, in seconds since 1970, where it has any.
fn base(bytes: &[u8]) -> Result<Option<i64>, CliError> {
    let text = String::from_utf8_lossy(bytes);
    let Some((word, seconds)) = earliest_date(&text) else { return Ok(None) };
    tell(format_args!(
        "note: times are seconds from {word} UTC, the plan's earliest (--epoch sets another)"
    ))?;
    Ok(Some(seconds))
}

/// The contact, from the epoch on.
fn planned(contact: &ImportedContact) -> Option<PlannedContact> {
    let at = |time: SimTime| u64::try_from(time.as_nanos()).ok();
    let rate_bps = contact.rate.map_or(u64::MAX, |rate| rate.0 as u64);
    let planned = PlannedContact {
        from: NodeId(contact.from),
        to: NodeId(contact.to),
        start: Instant::from_nanos(at(contact.start.max(SimTime::ZERO))?),
        end: Instant::from_nanos(at(contact.end)?),
        rate_bps,
        owlt: Duration::from_nanos(at(contact.owlt)?),
    };
    planned.check().is_ok().then_some(planned)
}

pub(super) fn from_share(share: f64) -> Confidence {
    Confidence::from_ppm((share * 1e6).round() as u32)
}

fn moment(word: &str) -> Result<i64, String> {
    epoch(word).ok_or_else(|| "a UTC date such as 2026-01-01T00:00:00Z or 2026/01/01-00:00:00".to_owned())
}

fn manager(word: &str) -> Result<Manager, String> {
    Manager::of(word).ok_or_else(|| format!("one of A-SABR's managers: {}", Manager::WORDS.join(", ")))
}

fn tell(text: Arguments<'_>) -> Result<(), CliError> {
    writeln!(io::stderr().lock(), "{text}")?;
    Ok(())
}
