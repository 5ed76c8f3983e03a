//! `cosmosmesh policy history`: what a fleet has decided in a run, as each asset wrote it down.

use super::{CliError, Outcome};
use crate::report::{Logs, audit, read_logs};
use clap::Args;
use cosmosmesh_protocol::log::{Entry, Event};
use std::{collections::BTreeMap, io::Write, path::PathBuf};

/// Tells what the fleet has decided, slot by slot, and when each asset knew.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cosmosmesh policy history runs/governed_camp
  cosmosmesh policy history runs/governed_camp --all
  cosmosmesh policy history runs/governed_camp --json

The logs are held against every checkpoint first, as `cosmosmesh audit` does.
Exit codes: 0 done; 1 the logs lie, or two assets have different histories; 2 there are no logs.")]
pub(super) struct HistoryArgs {
    /// A run folder.
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Proposals and ballots too, not decisions only.
    #[arg(long)]
    all: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A line of an asset's log about the ledger.
#[derive(Debug, serde::Serialize)]
struct Line {
    slot: u64,
    step: String,
    /// Whose doing it was; empty for nobody's.
    by: String,
    /// Who wrote it down.
    asset: String,
    /// By that asset's own clock, in seconds.
    clock_s: f64,
    /// Of the proposal; of a decision, of the head of the history with it.
    record: String,
}

/// Runs the command.
///
/// # Errors
/// [`CliError`] when the run has no logs, or output cannot be written.
pub(super) fn execute(args: &HistoryArgs, out: &mut dyn Write) -> Result<Outcome, CliError> {
    let logs = read_logs(&args.run, None)?;
    let lies = audit(logs.clone()).lies.len();
    let lines = lines(&logs, args.all);
    let mut heads: BTreeMap<u64, &str> = BTreeMap::new();
    let decided = |line: &&Line| line.step == "adopted" || line.step == "closed";
    let split = lines
        .iter()
        .filter(decided)
        .any(|line| *heads.entry(line.slot).or_insert(&line.record) != line.record);
    if args.json {
        let text = serde_json::to_string_pretty(&lines).map_err(std::io::Error::from)?;
        writeln!(out, "{text}")?;
    } else {
        for Line { slot, step, by, asset, clock_s, record } in &lines {
            let by = if by.is_empty() { String::new() } else { format!(" by {by}") };
            writeln!(out, "slot {slot}: {step}{by}, at {asset} after {clock_s:.0} s ({record})")?;
        }
        if split {
            writeln!(out, "Two assets have different histories.")?;
        }
        if lies > 0 {
            writeln!(out, "The logs do not hold: `cosmosmesh audit` tells why.")?;
        }
    }
    Ok(if split || lies > 0 { Outcome::No } else { Outcome::Done })
}

/// By slot, then by time.
fn lines(logs: &Logs, all: bool) -> Vec<Line> {
    let mut lines = Vec::new();
    for (node, file) in &logs.files {
        for entry in file.entries.iter().filter_map(|bytes| Entry::decode(bytes).ok()) {
            let Event::Governed { slot, step, about, record } = entry.event else { continue };
            if all || matches!(&*step, "adopted" | "closed" | "exposed") {
                let by = if about.0 == 0 { String::new() } else { logs.name(about) };
                let record = record.0.iter().map(|byte| format!("{byte:02x}")).collect();
                let (step, clock_s) = (step.into(), entry.clock_ms as f64 / 1000.0);
                lines.push(Line { slot, step, by, asset: logs.name(*node), clock_s, record });
            }
        }
    }
    lines.sort_by_key(|line| (line.slot, line.clock_s.to_bits()));
    lines
}
