//! `cosmosmesh solvers SCENARIO`: one scenario, flown once with each method of planning.

use super::{
    CliError, Outcome,
    flight::{Flown, Output, Request, fly},
    interrupt,
    progress::Bar,
};
use clap::Args;
use cosmosmesh_protocol::planning::solver::Kind;
use std::{
    fs,
    io::{self, Write},
    num::NonZeroUsize,
    path::PathBuf,
};

/// The name of the table in the folder of the runs.
const TABLE: &str = "solvers.md";

/// Flies a scenario once with each method of planning and compares them in a table.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cosmosmesh solvers scenarios/mars_convergence.ron
  cosmosmesh solvers scenarios/mars_convergence.ron --out runs/solvers     run folders, and solvers.md beside them

The table is Markdown. Times are simulated, from the start of the plan until every asset's plan stays within the gap; a round of an \
asynchronous method is a step of its coordinator. Bytes are payloads of planning messages; losses of time are summed over rounds.

Exit codes: 0 done; 1 an oracle found a violation; 2 the scenario cannot be used, or plans nothing.")]
pub struct SolversArgs {
    /// The scenario file.
    #[arg(value_name = "SCENARIO")]
    scenario: PathBuf,
    /// Keep the run folders here, one for each method, and the table.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Threads; the result does not depend on it [default: all processors].
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

/// Flies them all.
///
/// # Errors
/// As the exit codes say.
pub fn execute(args: &SolversArgs) -> Result<Outcome, CliError> {
    let threads =
        args.threads.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
    let interrupted = interrupt::watch();
    if let Some(folder) = &args.out {
        fs::create_dir_all(folder).map_err(|source| CliError::File { path: folder.clone(), source })?;
    }
    let mut table = String::from(HEAD);
    let mut holds = true;
    for kind in Kind::ALL {
        let folder = args.out.as_ref().map(|folder| folder.join(kind.word()));
        let request = Request {
            shift: 0,
            budget: None,
            path: &args.scenario,
            seed: None,
            threads,
            until: None,
            output: folder.map(|folder| Output { folder, trace: false, pcap: false }),
            solver: Some(kind),
        };
        let mut bar = Bar::new();
        let flown = fly(&request, &mut |progress| {
            bar.show(progress);
            interrupted.flow()
        })?;
        bar.finish();
        if flown.facts.plan.is_none() {
            return Err(CliError::Usage(format!("{} plans nothing", args.scenario.display())));
        }
        holds &= flown.oracles.holds();
        table.push_str(&row(kind, &flown));
    }
    io::stdout().lock().write_all(table.as_bytes())?;
    if let Some(folder) = &args.out {
        let path = folder.join(TABLE);
        fs::write(&path, &table).map_err(|source| CliError::File { path, source })?;
    }
    Ok(if holds { Outcome::Done } else { Outcome::No })
}

const HEAD: &str = "\
| method | to 1e-3 | rounds | to 1e-6 | rounds | rounds in all | bytes a round | late answers | light time | contacts | computation |
|---|---|---|---|---|---|---|---|---|---|---|
";

fn row(kind: Kind, flown: &Flown) -> String {
    let value = |name: &str| flown.metrics.get(name).and_then(|metric| metric.value);
    let hours = |name: &str| value(name).map_or_else(|| "–".into(), |s| format!("{:.2} h", s / 3600.0));
    let count = |name: &str| value(name).map_or_else(|| "–".into(), |count| format!("{count:.0}"));
    let cells = [
        kind.word().replace('_', " "),
        hours("plan.time_to_gap_1e3_s"),
        count("plan.rounds_to_gap_1e3"),
        hours("plan.time_to_gap_1e6_s"),
        count("plan.rounds_to_gap_1e6"),
        count("plan.rounds"),
        count("plan.bytes_per_round"),
        count("plan.late"),
        hours("plan.lost_to_light_time_s"),
        hours("plan.lost_to_contacts_s"),
        hours("plan.lost_to_computation_s"),
    ];
    format!("| {} |\n", cells.join(" | "))
}
