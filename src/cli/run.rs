//! `cosmosmesh run`: simulates a scenario.

use super::{
    CliError, Outcome,
    flight::{Flown, Output, Request, fly},
    interrupt,
    progress::Bar,
};
use crate::{
    report::{summary, words},
    scenario::parse_duration,
    units::SimTime,
};
use clap::Args;
use std::{
    io::{self, Write},
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

/// Simulates a scenario: prints a summary and writes the run folder.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cosmosmesh run scenarios/mars_relay.ron
  cosmosmesh run scenarios/smoke.ron --seed 7 --out runs/smoke-7
  cosmosmesh run scenarios/leo_ground.ron --until \"6 h\" --threads 2
  cosmosmesh run scenarios/smoke.ron --pcap && tshark -r runs/smoke/bundles.pcapng
  cosmosmesh run scenarios/smoke.ron --trace --json | jq '.metrics.\"delivery.ratio\"'

The run folder holds run.json, metrics.json, tables (CSV), plots (SVG) and report.html. The same scenario and seed give \
the same bytes in it on any number of threads; only timing.json differs.

Exit codes: 0 done; 1 an oracle found a violation; 2 the scenario cannot be used or the folder cannot be written; \
130 interrupted.")]
pub struct RunArgs {
    /// The scenario file.
    #[arg(value_name = "SCENARIO")]
    scenario: PathBuf,
    /// Seed in place of the scenario's.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// The run folder [default: runs/NAME]. A run folder that is there is replaced at the end.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Threads; the result does not depend on it [default: all processors].
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Stop after this much simulated time, such as "6 h" or "2 sol".
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    until: Option<SimTime>,
    /// Write the whole trace, one JSON object per line, to trace.jsonl in the run folder.
    #[arg(long)]
    trace: bool,
    /// Write every bundle that was sent, as IPv4/UDP datagrams to port 4556, to bundles.pcapng in the run folder, for Wireshark.
    #[arg(long)]
    pcap: bool,
    /// Print the result as JSON in place of the table.
    #[arg(long)]
    json: bool,
}

fn duration(text: &str) -> Result<SimTime, String> {
    parse_duration(text).filter(|time| *time > SimTime::ZERO).ok_or_else(|| {
        format!("`{text}` is not a duration: write a number above zero and a unit, such as \"90 s\", \"6 h\", \"2 d\" or \"7 sol\"")
    })
}

/// Runs it.
///
/// # Errors
/// As the exit codes say.
pub fn execute(args: RunArgs) -> Result<Outcome, CliError> {
    let folder = match args.out {
        Some(folder) => folder,
        None => Path::new("runs").join(args.scenario.file_stem().unwrap_or(args.scenario.as_os_str())),
    };
    let request = Request {
        path: &args.scenario,
        seed: args.seed,
        shift: 0,
        budget: None,
        threads: args
            .threads
            .or_else(|| std::thread::available_parallelism().ok())
            .unwrap_or(NonZeroUsize::MIN),
        until: args.until,
        output: Some(Output { folder, trace: args.trace, pcap: args.pcap }),
        solver: None,
    };
    let interrupted = interrupt::watch();
    let mut bar = Bar::new();
    let flown = fly(&request, &mut |progress| {
        bar.show(progress);
        interrupted.flow()
    })?;
    bar.finish();
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", json(&flown))?;
    } else {
        print(&mut out, &flown)?;
    }
    Ok(if flown.oracles.holds() { Outcome::Done } else { Outcome::No })
}

fn print(out: &mut impl Write, flown: &Flown) -> io::Result<()> {
    write!(out, "{}", summary(&flown.facts, &flown.metrics))?;
    let timing = &flown.timing;
    let (events, wall, rate) = (
        words::number(timing.events as f64),
        words::duration(timing.wall_s),
        words::number((timing.events_per_s / 1000.0).round()),
    );
    writeln!(out, "wall time    {wall}: {events} events, {rate} thousand per second")?;
    if let Some(folder) = &flown.folder {
        writeln!(out, "report       {}", folder.join("report.html").display())?;
    }
    Ok(())
}

fn json(flown: &Flown) -> String {
    let metrics: serde_json::Value = serde_json::from_str(&flown.metrics.to_json()).unwrap_or_default();
    let value = serde_json::json!({
        "run": flown.facts,
        "fingerprint": flown.fingerprint.to_string(),
        "metrics": metrics,
        "folder": flown.folder,
        "timing": flown.timing,
    });
    format!("{value:#}")
}
