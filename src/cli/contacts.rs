//! `cosmosmesh contacts`: the contact windows of a scenario.

use std::{
    io::{self, Write},
    num::NonZeroUsize,
    path::PathBuf,
};

use clap::{Args, ValueEnum};

use super::{CliError, Outcome};
use crate::{
    astro::{Ephemeris, Motion, Trajectory},
    contact::{
        ContactPlan, Terminal,
        export::{self, Exported, Label},
        find_between,
    },
    scenario::{ContactSource, Scenario},
    units::{AssetIndex, SimTime},
};

/// Prints the contact windows of a scenario, computed or imported.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cosmosmesh contacts scenarios/leo_ground.ron
  cosmosmesh contacts scenarios/leo_ground.ron --format csv > windows.csv
  cosmosmesh contacts scenarios/mars_relay.ron --format ion > plan.ionrc
  cosmosmesh contacts scenarios/mars_relay.ron --json | jq '.[].rate_bps'

Times are the transmitter's: a frame may start from start to end. ION and HDTN hold whole seconds only; what is lost in \
them is told on standard error. ION's rates are bytes per second, HDTN's bits per second.

Exit codes: 0 printed; 2 the scenario cannot be used.")]
pub struct ContactsArgs {
    /// The scenario file.
    #[arg(value_name = "SCENARIO")]
    scenario: PathBuf,
    /// What to print.
    #[arg(long, value_enum, default_value_t = Format::Table, conflicts_with = "json")]
    format: Format,
    /// Print a JSON list with one object per contact.
    #[arg(long)]
    json: bool,
    /// Threads to search with; the answer is the same for any number [default: all processors].
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

/// A way to print contacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// One line per contact.
    Csv,
    /// Commands for ION's ionadmin.
    Ion,
    /// HDTN's JSON.
    Hdtn,
}

/// Prints the contacts.
///
/// # Errors
/// When the scenario has mistakes or cannot be read, an asset's motion or a link budget cannot be computed, or standard
/// output cannot be written.
pub fn execute(args: ContactsArgs) -> Result<Outcome, CliError> {
    let scenario = Scenario::load(&args.scenario)?;
    let plan = contact_plan(&scenario, args.threads)
        .map_err(|reason| CliError::Input { path: args.scenario.clone(), reason })?;
    let labels: Vec<Label> =
        scenario.assets.iter().map(|asset| Label { name: asset.name.clone(), node: asset.node.0 }).collect();
    let utc = |time: SimTime| scenario.epoch.utc(time);
    let text = match (args.json, args.format) {
        (true, _) => export::json(&plan, &labels, &utc),
        (false, Format::Table) => export::table(&plan, &labels, &utc),
        (false, Format::Csv) => export::csv(&plan, &labels, &utc),
        (false, Format::Ion) => warn(export::ion(&plan, &labels))?,
        (false, Format::Hdtn) => warn(export::hdtn(&plan, &labels))?,
    };
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(Outcome::Done)
}

/// The scenario's contacts: imported, or computed from its motions. Assets without a place have none.
fn contact_plan(scenario: &Scenario, threads: Option<NonZeroUsize>) -> Result<ContactPlan, String> {
    if let ContactSource::Imported { plan, .. } = &scenario.contacts {
        return Ok(plan.clone());
    }
    let span = (SimTime::ZERO, scenario.duration);
    let ephemeris = Ephemeris::new(scenario.epoch, span).map_err(|error| error.to_string())?;
    let mut trajectories = Vec::new();
    for (asset, index) in scenario.assets.iter().zip(scenario.asset_indices()) {
        if asset.motion != Motion::Nowhere {
            let trajectory = Trajectory::new(&asset.motion, &ephemeris);
            trajectories.push((index, trajectory.map_err(|error| format!("asset {}: {error}", asset.name))?));
        }
    }
    let terminals: Vec<Terminal<'_>> =
        trajectories.iter().flat_map(|(index, trajectory)| terminals(scenario, *index, trajectory)).collect();
    let may_talk =
        |from: &Terminal<'_>, to: &Terminal<'_>| scenario.may_talk(from.spec.class, from.asset, to.asset);
    find_between(&ephemeris, &terminals, &scenario.classes, span, threads, &may_talk)
        .map_err(|error| error.to_string())
}

fn terminals<'a>(
    scenario: &'a Scenario,
    asset: AssetIndex,
    trajectory: &'a Trajectory,
) -> impl Iterator<Item = Terminal<'a>> {
    let radios = scenario.asset(asset).radios.iter().zip(0..);
    radios.map(move |(spec, radio)| Terminal { asset, radio, trajectory, spec })
}

/// Tells on standard error what the format cannot hold.
fn warn(exported: Exported) -> Result<String, CliError> {
    for loss in &exported.losses {
        writeln!(io::stderr().lock(), "warning: {loss}")?;
    }
    Ok(exported.text)
}
