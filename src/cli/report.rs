//! `cosmosmesh report RUN`: plots and page from a run folder.

use super::{CliError, Outcome};
use crate::report::{read_facts, read_metrics, render, summary};
use std::{io::Write, path::PathBuf};

/// Draws the plots and the page of a run folder again, from its tables.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cosmosmesh report runs/mars_relay\n  cosmosmesh report runs/mars_relay --json"
)]
pub struct ReportArgs {
    /// The run folder.
    pub run: PathBuf,
    /// Print the metrics as JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// Renders and prints the summary.
///
/// # Errors
/// [`CliError`] when the folder is no run folder or malformed, or something cannot be written.
pub fn execute(args: &ReportArgs, out: &mut dyn Write) -> Result<Outcome, CliError> {
    render(&args.run)?;
    let (facts, metrics) = (read_facts(&args.run)?, read_metrics(&args.run)?);
    if args.json {
        out.write_all(metrics.to_json().as_bytes())?;
    } else {
        write!(out, "{}", summary(&facts, &metrics))?;
        writeln!(out, "report       {}", args.run.join("report.html").display())?;
    }
    Ok(Outcome::Done)
}
