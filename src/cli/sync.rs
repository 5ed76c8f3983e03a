//! `cosmosmesh sync`: what replicas of shared state hold, and why.

use super::{CliError, Outcome};
use crate::report::{Agreement, AgreementError, Fate};
use clap::{Args, Subcommand};
use std::{
    io::{self, Write},
    path::PathBuf,
};

/// Looks into the shared state of a run.
#[derive(Debug, Args)]
pub struct SyncArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Explain(ExplainArgs),
}

/// Says why replicas read an item alike, or differently.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cosmosmesh sync explain runs/mars_relay goal                     the register `goal`, at all replicas
  cosmosmesh sync explain runs/mars_relay status/key-3 mro msl     one key of the map `status`, at two of them
  cosmosmesh sync explain runs/mars_relay goal --json | jq .because

Told are the writes to the item: their ranks (role, hybrid logical clock, writer), what they replace, when each came to each replica, and what \
became of it there: stands, overwritten by its writer, replaced by one who had seen it, outranked by a concurrent one, dropped once \
everyone had seen it replaced. Sets and counters add up instead, so that nothing of them is ranked.

Exit codes: 0 they agree; 1 they differ, or what they hold does not follow from the trail; 2 no such run, item or replica.")]
struct ExplainArgs {
    /// The run folder.
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// A register, or a map, a slash and a key.
    #[arg(value_name = "KEY")]
    key: String,
    /// The replicas; all if none is named.
    #[arg(value_name = "REPLICA")]
    replicas: Vec<String>,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// [`CliError`] when there is no such run, item or replica.
pub fn execute(args: &SyncArgs) -> Result<Outcome, CliError> {
    let Command::Explain(args) = &args.command;
    let agreement = Agreement::of(&args.run, &args.key, &args.replicas).map_err(|error| match error {
        AgreementError::Report(error) => CliError::Report(error),
        error => CliError::Usage(error.to_string()),
    })?;
    let mut out = io::stdout().lock();
    if args.json {
        let text = serde_json::to_string_pretty(&agreement).map_err(io::Error::from)?;
        writeln!(out, "{text}")?;
    } else {
        print(&agreement, &mut out)?;
    }
    Ok(if agreement.agree && agreement.proven { Outcome::Done } else { Outcome::No })
}

fn print(agreement: &Agreement, out: &mut dyn Write) -> io::Result<()> {
    let word = if agreement.agree { "agree" } else { "differ" };
    writeln!(out, "{}: {} replicas {word}: {}", agreement.item, agreement.replicas.len(), agreement.because)?;
    for reading in &agreement.replicas {
        let value = reading.value.as_deref().map_or("nothing".into(), |value| format!("\"{value}\""));
        let stands = reading.stands.as_deref().map_or(String::new(), |stands| format!("   {stands}"));
        writeln!(out, "  {:<16} reads {value}{stands}", reading.replica)?;
        if reading.stands != reading.held {
            let held = reading.held.as_deref().unwrap_or("nothing");
            writeln!(out, "  {:<16} said to hold {held}, which does not follow from the trail", "")?;
        }
    }
    for write in &agreement.writes {
        let value = write.value.as_deref().map_or("removes it".into(), |value| format!("\"{value}\""));
        let clock = format!("{}.{}", write.clock_ms, write.clock_counter);
        writeln!(
            out,
            "\n{}  at {} s, role {}, clock {clock}: {value}",
            write.write, write.time_s, write.role
        )?;
        if !write.replaces.is_empty() {
            writeln!(out, "  had seen {}", write.replaces.join(", "))?;
        }
        for (reading, (time, fate)) in agreement.replicas.iter().zip(&write.at) {
            let time = time.map_or("never".into(), |time| format!("{time} s"));
            writeln!(out, "  {:<16} {time:>16}  {}", reading.replica, words(fate))?;
        }
    }
    Ok(())
}

fn words(fate: &Fate) -> String {
    match fate {
        Fate::NotSeen => "has not come".into(),
        Fate::Stands => "stands".into(),
        Fate::Overwritten { by } => format!("overwritten by its writer with {by}"),
        Fate::Replaced { by } => format!("replaced by {by}, whose writer had seen it"),
        Fate::Outranked { by, in_what: "role" } => {
            format!("concurrent with {by}, which is of a greater role")
        }
        Fate::Outranked { by, in_what: "clock" } => format!("concurrent with {by}, which is later"),
        Fate::Outranked { by, .. } => format!("concurrent with {by}, of the same time and a greater writer"),
        Fate::Dropped { by } => format!("replaced, and dropped with {by} once everyone had seen that"),
    }
}
