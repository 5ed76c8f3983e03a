//! `cosmosmesh privacy`: the price of privacy, flown.

use super::{
    CliError, Outcome,
    flight::{Budget, Request, fly},
    interrupt,
};
use crate::report::{PricePoint, price_of_privacy};
use clap::Args;
use std::{
    fs,
    io::{self, Write},
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

/// Flies a scenario at several budgets of privacy, and draws the plan's gap against ε.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cosmosmesh privacy scenarios/energy_sharing_private.ron
  cosmosmesh privacy scenarios/energy_sharing_private.ron --epsilon 1e3,1e6 --seeds 1 --out runs/price

The scenario's plan has noise (`privacy: Masked(noise: …)`); each run replaces its `epsilon`. One more run adds no noise. The \
folder gets price.csv and price.svg.

Exit codes: 0 done; 1 an oracle found a violation; 2 the scenario cannot be used or the folder cannot be written; \
130 interrupted.")]
pub struct PrivacyArgs {
    /// The scenario file.
    #[arg(value_name = "SCENARIO")]
    scenario: PathBuf,
    /// Budgets ε.
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "1e1,1e2,1e3,1e4,1e5,1e6,1e7",
        value_parser = above_zero
    )]
    epsilon: Vec<f64>,
    /// How many seeds from the scenario's on: each draws other noise.
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// The folder to write [default: runs/NAME-price].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Threads; the result does not depend on it [default: all processors].
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

fn above_zero(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| *number > 0.0 && *number <= 1e7);
    number.ok_or_else(|| format!("`{text}` is no number above 0 and up to 1e7"))
}

/// Flies all of them.
///
/// # Errors
/// As the exit codes say.
pub fn execute(args: &PrivacyArgs) -> Result<Outcome, CliError> {
    let name = args.scenario.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = args.out.clone().unwrap_or_else(|| Path::new("runs").join(format!("{name}-price")));
    let threads = args.threads.or_else(|| std::thread::available_parallelism().ok());
    let (mut points, mut without, mut holds) = (Vec::new(), Vec::new(), true);
    let interrupted = interrupt::watch();
    let mut out = io::stdout().lock();
    writeln!(out, "{:>12}  {:>6}  {:>12}  {:>12}  {:>8}", "budget", "seed", "spent", "gap", "answers")?;
    let budgets = core::iter::once(Budget::NoNoise).chain(args.epsilon.iter().map(|e| Budget::Epsilon(*e)));
    for budget in budgets {
        for shift in 0..args.seeds {
            let request = Request {
                solver: None,
                path: &args.scenario,
                seed: None,
                shift,
                budget: Some(budget),
                threads: threads.unwrap_or(NonZeroUsize::MIN),
                until: None,
                output: None,
            };
            let flown = fly(&request, &mut |_| interrupted.flow())?;
            holds &= flown.oracles.holds();
            let value = |name: &str| flown.metrics.get(name).and_then(|metric| metric.value);
            let gap = value("plan.optimality_gap").unwrap_or(f64::INFINITY);
            let (seed, answers) = (flown.facts.seed, value("privacy.releases").unwrap_or(0.0));
            let spent = value("privacy.epsilon");
            match budget {
                Budget::NoNoise => without.push(gap),
                Budget::Epsilon(budget) => points.push(PricePoint { budget, seed, spent, gap }),
            }
            let told = match budget {
                Budget::NoNoise => "no noise".to_owned(),
                Budget::Epsilon(budget) => format!("{budget:e}"),
            };
            let spent = spent.map_or_else(|| "–".to_owned(), |spent| format!("{spent:.5e}"));
            writeln!(out, "{told:>12}  {seed:>6}  {spent:>12}  {gap:>12.3e}  {answers:>8}")?;
        }
    }
    without.sort_by(f64::total_cmp);
    write(&folder, &points, without[without.len() / 2])?;
    writeln!(out, "picture  {}", folder.join("price.svg").display())?;
    Ok(if holds { Outcome::Done } else { Outcome::No })
}

fn write(folder: &Path, points: &[PricePoint], without: f64) -> Result<(), CliError> {
    let file = |path: PathBuf, text: String| {
        fs::write(&path, text).map_err(|source| CliError::File { path, source })
    };
    fs::create_dir_all(folder).map_err(|source| CliError::File { path: folder.into(), source })?;
    let mut table = String::from("budget,seed,spent,gap\n");
    for point in points {
        let spent = point.spent.map(|spent| spent.to_string()).unwrap_or_default();
        table.push_str(&format!("{},{},{spent},{}\n", point.budget, point.seed, point.gap));
    }
    file(folder.join("price.csv"), table)?;
    file(folder.join("price.svg"), price_of_privacy(points, without))
}
