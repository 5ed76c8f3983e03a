//! `cosmosmesh compare RUN RUN`: two runs, metric by metric.

use super::{CliError, Outcome};
use crate::{
    metrics::MetricsSet,
    report::{read_facts, read_metrics, words},
};
use comfy_table::{CellAlignment, Table, presets::UTF8_HORIZONTAL_ONLY};
use serde::Serialize;
use std::{collections::BTreeSet, io::Write, path::PathBuf};

/// Compares two runs, metric by metric; exit code 1 when they differ.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cosmosmesh compare runs/before runs/after\n  cosmosmesh compare runs/before runs/after --json"
)]
pub struct CompareArgs {
    /// The first run folder.
    pub first: PathBuf,
    /// The second run folder.
    pub second: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// A metric that is not the same in both runs.
#[derive(Debug, Serialize)]
struct Difference {
    metric: String,
    /// Null in the run that does not have it, or has no value.
    first: Option<f64>,
    second: Option<f64>,
    /// second − first, where both have a value.
    change: Option<f64>,
    unit: String,
}

/// The comparison.
#[derive(Debug, Serialize)]
struct Comparison {
    same: bool,
    same_scenario: bool,
    seeds: [u64; 2],
    fingerprints: [String; 2],
    compared: usize,
    differences: Vec<Difference>,
}

/// Compares and prints what differs.
///
/// # Errors
/// [`CliError`] when a folder is no run folder, or output cannot be written.
pub fn execute(args: &CompareArgs, out: &mut dyn Write) -> Result<Outcome, CliError> {
    let facts = [read_facts(&args.first)?, read_facts(&args.second)?];
    let metrics = [read_metrics(&args.first)?, read_metrics(&args.second)?];
    let names: BTreeSet<&str> = metrics.iter().flat_map(|set| set.iter().map(|(name, _)| name)).collect();
    let differences: Vec<Difference> = names.iter().filter_map(|name| difference(name, &metrics)).collect();
    let [first, second] = facts;
    let comparison = Comparison {
        same: differences.is_empty() && first.fingerprint == second.fingerprint,
        same_scenario: first.scenario_hash == second.scenario_hash,
        seeds: [first.seed, second.seed],
        fingerprints: [first.fingerprint, second.fingerprint],
        compared: names.len(),
        differences,
    };
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&comparison).map_err(std::io::Error::other)?)?;
    } else {
        print(&comparison, out)?;
    }
    Ok(if comparison.same { Outcome::Done } else { Outcome::No })
}

fn difference(name: &str, [first, second]: &[MetricsSet; 2]) -> Option<Difference> {
    let (a, b) = (first.get(name), second.get(name));
    let value = |metric: Option<&crate::metrics::Metric>| metric.and_then(|metric| metric.value);
    if a.is_some() == b.is_some() && value(a) == value(b) {
        return None;
    }
    let change = value(a).zip(value(b)).map(|(a, b)| b - a);
    let unit = a.or(b).map(|metric| metric.unit.clone()).unwrap_or_default();
    Some(Difference { metric: name.into(), first: value(a), second: value(b), change, unit })
}

fn print(comparison: &Comparison, out: &mut dyn Write) -> Result<(), CliError> {
    if !comparison.same_scenario {
        writeln!(out, "The runs are of different scenarios.")?;
    }
    let [first, second] = comparison.seeds;
    if first != second {
        writeln!(out, "The seeds differ: {first} and {second}.")?;
    }
    let [first, second] = &comparison.fingerprints;
    if first == second {
        writeln!(out, "fingerprint  {first} (the same)")?;
    } else {
        writeln!(out, "fingerprint  {first}\n      differs {second}")?;
    }
    let (compared, differ) = (comparison.compared, comparison.differences.len());
    if comparison.differences.is_empty() {
        writeln!(out, "All {compared} metrics are the same.")?;
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header(["metric", "first", "second", "change", "unit"]);
    let shown = |value: Option<f64>| value.map_or("–".into(), words::number);
    for row in &comparison.differences {
        let change = match (row.change, row.first) {
            (Some(change), Some(first)) if first != 0.0 => format!("{:+.3} %", 100.0 * change / first.abs()),
            (change, _) => shown(change),
        };
        table.add_row([row.metric.clone(), shown(row.first), shown(row.second), change, row.unit.clone()]);
    }
    for column in 1..4 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    writeln!(out, "{table}\n{differ} of {compared} metrics differ.")?;
    Ok(())
}
