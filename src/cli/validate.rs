//! `cosmosmesh validate`: checks scenarios without running them.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::Args;
use serde::Serialize;

use super::{CliError, Outcome};
use crate::scenario::{Diagnostic, Diagnostics, Mistake, Scenario};

/// Checks scenarios without running them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cosmosmesh validate scenarios/smoke.ron
  cosmosmesh validate scenarios/*.ron
  cosmosmesh validate --json my.ron | jq '.[].mistakes[].field'

Exit codes: 0 all are right; 1 at least one has mistakes; 2 at least one cannot be read.")]
pub struct ValidateArgs {
    /// Scenario files.
    #[arg(required = true, value_name = "SCENARIO")]
    scenarios: Vec<PathBuf>,
    /// Print a JSON list with one object per file on standard output.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Verdict {
    file: String,
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    mistakes: Vec<Diagnostic>,
}

/// Checks every file, and goes on after mistakes.
///
/// # Errors
/// When a file cannot be read or standard output cannot be written.
pub fn execute(args: ValidateArgs) -> Result<Outcome, CliError> {
    let mut verdicts = Vec::new();
    let mut unread: Option<(PathBuf, String)> = None;
    for path in args.scenarios {
        let file = path.display().to_string();
        match Scenario::load(&path) {
            Ok(scenario) => {
                if !args.json {
                    summary(&file, &scenario)?;
                }
                verdicts.push(Verdict {
                    file,
                    valid: true,
                    hash: Some(hex(&scenario.hash)),
                    mistakes: Vec::new(),
                });
            }
            Err(diagnostics) => {
                if let Some(first) = diagnostics.list().first().filter(|d| d.mistake == Mistake::Unreadable) {
                    unread = unread.or(Some((path, first.found.clone())));
                } else if !args.json {
                    excerpts(&file, &diagnostics)?;
                }
                verdicts.push(Verdict {
                    file,
                    valid: false,
                    hash: None,
                    mistakes: diagnostics.list().to_vec(),
                });
            }
        }
    }
    if args.json {
        let text = serde_json::to_string_pretty(&verdicts).map_err(io::Error::from)?;
        writeln!(io::stdout().lock(), "{text}")?;
    }
    if let Some((path, reason)) = unread {
        return Err(CliError::Input { path, reason });
    }
    Ok(if verdicts.iter().all(|verdict| verdict.valid) { Outcome::Done } else { Outcome::No })
}

fn summary(file: &str, scenario: &Scenario) -> io::Result<()> {
    let (assets, classes) = (scenario.assets.len(), scenario.classes.len());
    let days = scenario.duration.as_secs_f64() / 86_400.0;
    let flows = scenario.traffic.len();
    writeln!(
        io::stdout().lock(),
        "{file}: valid: {assets} assets, {classes} link classes, {flows} traffic flows, {days:.3} days"
    )
}

fn excerpts(file: &str, diagnostics: &Diagnostics) -> io::Result<()> {
    let count = diagnostics.list().len();
    let plural = if count == 1 { "mistake" } else { "mistakes" };
    write!(io::stderr().lock(), "{}{file}: {count} {plural}\n", diagnostics.render())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
