//! `cosmosmesh check`: runs against baselines.

use super::{CliError, Outcome};
use crate::{
    metrics::MetricsSet,
    report::{Baseline, BaselineError, Finding, Verdict, words},
    scenario::Tolerance,
};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use serde::Serialize;
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

/// Runs scenarios and compares their metrics with the baselines; exit code 1 when something got worse.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cosmosmesh check                                   all scenarios that have a baseline
  cosmosmesh check scenarios/smoke.ron --strict      a changed fingerprint fails as well
  cosmosmesh check --junit target/check.xml
  cosmosmesh check scenarios/smoke.ron --bless --reason \"Acknowledgements are sent sooner\"")]
pub struct CheckArgs {
    /// Scenarios to check; without any, every baseline whose scenario is there.
    pub scenarios: Vec<PathBuf>,
    /// Record what the runs give as the new baselines. Refused when the environment says CI=true.
    #[arg(long, requires = "reason")]
    pub bless: bool,
    /// Why the baselines are renewed; stored in them.
    #[arg(long, value_name = "TEXT", requires = "bless")]
    pub reason: Option<String>,
    /// Write the findings as JUnit XML.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Let a changed fingerprint fail, even with all metrics within their tolerances.
    #[arg(long)]
    pub strict: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Threads per run; the result does not depend on it.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub threads: u32,
    /// Where baselines are.
    #[arg(long, value_name = "DIR", default_value = "reports")]
    pub baselines: PathBuf,
    /// Where the scenarios of baselines are, when none is named.
    #[arg(long, value_name = "DIR", default_value = "scenarios")]
    pub scenario_folder: PathBuf,
}

/// What a run gives to compare.
#[derive(Clone, Debug)]
pub struct CheckedRun {
    /// Hash over its trace, hexadecimal.
    pub fingerprint: String,
    /// Its figures.
    pub metrics: MetricsSet,
    /// How far the scenario lets them be from a baseline.
    pub tolerances: Vec<Tolerance>,
}

/// Runs a scenario.
pub type Runner<'a> = &'a dyn Fn(&Path) -> Result<CheckedRun, CliError>;

/// The comparison of one scenario.
#[derive(Debug, Serialize)]
struct Checked {
    scenario: String,
    /// Whether there is a baseline to compare with.
    baseline: bool,
    fingerprint_changed: bool,
    fingerprint: String,
    #[serde(skip)]
    expected_fingerprint: String,
    holds: bool,
    findings: Vec<Finding>,
}

/// Checks or blesses, printing to `out`. `run` is given every scenario in turn.
///
/// # Errors
/// [`CliError`] when a scenario cannot run, a baseline is malformed, or blessing is refused.
pub fn execute(args: &CheckArgs, run: Runner<'_>, out: &mut dyn Write) -> Result<Outcome, CliError> {
    let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    execute_in(args, ci, run, out)
}

/// As [`execute`], told whether this is continuous integration.
///
/// # Errors
/// As [`execute`].
pub fn execute_in(
    args: &CheckArgs,
    ci: bool,
    run: Runner<'_>,
    out: &mut dyn Write,
) -> Result<Outcome, CliError> {
    let scenarios = chosen(args)?;
    if args.bless {
        return bless(args, ci, &scenarios, run, out);
    }
    let mut checked = Vec::new();
    for scenario in &scenarios {
        let baseline = Baseline::read(&baseline_path(args, scenario)?)?;
        let result = compare(scenario, baseline.as_ref(), run(scenario)?, args.strict);
        if !args.json {
            print(&result, args, out)?;
        }
        checked.push(result);
    }
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&checked).map_err(std::io::Error::other)?)?;
    }
    if let Some(path) = &args.junit {
        write_junit(path, &checked, args.strict)?;
    }
    Ok(if checked.iter().all(|result| result.holds) { Outcome::Done } else { Outcome::No })
}

/// The scenarios named, or those of all baselines, by name.
fn chosen(args: &CheckArgs) -> Result<Vec<PathBuf>, CliError> {
    if !args.scenarios.is_empty() {
        return Ok(args.scenarios.clone());
    }
    let failed = |source| BaselineError::Io { path: args.baselines.clone(), source };
    let mut scenarios = Vec::new();
    for entry in fs::read_dir(&args.baselines).map_err(failed)? {
        let name = PathBuf::from(entry.map_err(failed)?.file_name());
        let scenario = args.scenario_folder.join(&name);
        if name.extension().is_some_and(|extension| extension == "ron") && scenario.is_file() {
            scenarios.push(scenario);
        }
    }
    if scenarios.is_empty() {
        return Err(CliError::Usage(format!(
            "no baseline in {} has a scenario in {}: name a scenario, or record a baseline with --bless --reason TEXT",
            args.baselines.display(),
            args.scenario_folder.display()
        )));
    }
    scenarios.sort();
    Ok(scenarios)
}

fn baseline_path(args: &CheckArgs, scenario: &Path) -> Result<PathBuf, CliError> {
    let Some(name) = scenario.file_stem() else {
        return Err(CliError::Usage(format!("{} names no scenario file", scenario.display())));
    };
    Ok(args.baselines.join(format!("{}.ron", name.to_string_lossy())))
}

fn bless(
    args: &CheckArgs,
    ci: bool,
    scenarios: &[PathBuf],
    run: Runner<'_>,
    out: &mut dyn Write,
) -> Result<Outcome, CliError> {
    if ci {
        return Err(CliError::Usage(
            "--bless is refused when CI=true: a baseline is renewed by a person".into(),
        ));
    }
    let reason = args.reason.as_deref().map_or("", str::trim);
    if reason.is_empty() {
        return Err(CliError::Usage("--bless needs --reason TEXT, and the text must say something".into()));
    }
    for scenario in scenarios {
        let path = baseline_path(args, scenario)?;
        let before = Baseline::read(&path)?;
        let result = run(scenario)?;
        let renewed =
            Baseline::of(before.as_ref(), &result.tolerances, &result.fingerprint, &result.metrics, reason);
        renewed.write(&path)?;
        if !args.json {
            print(&compare(scenario, before.as_ref(), result, false), args, out)?;
            writeln!(out, "  recorded in {}", path.display())?;
        }
    }
    Ok(Outcome::Done)
}

fn compare(scenario: &Path, baseline: Option<&Baseline>, run: CheckedRun, strict: bool) -> Checked {
    let findings = baseline.map(|baseline| baseline.compare(&run.metrics)).unwrap_or_default();
    let fingerprint_changed = baseline.is_some_and(|baseline| baseline.fingerprint != run.fingerprint);
    let worse = findings.iter().any(|finding| is_failure(finding.verdict));
    Checked {
        scenario: scenario.display().to_string(),
        baseline: baseline.is_some(),
        fingerprint_changed,
        fingerprint: run.fingerprint,
        expected_fingerprint: baseline.map(|baseline| baseline.fingerprint.clone()).unwrap_or_default(),
        holds: baseline.is_some() && !worse && !(strict && fingerprint_changed),
        findings,
    }
}

const fn is_failure(verdict: Verdict) -> bool {
    match verdict {
        Verdict::Worse | Verdict::Gone => true,
        Verdict::Within | Verdict::Improved | Verdict::New => false,
    }
}

/// One line: what a metric was and is.
fn describe(finding: &Finding) -> String {
    let shown = |value: Option<f64>| value.map_or("none".into(), words::number);
    let Finding { name, expected, found, verdict } = finding;
    let change = match (expected, found) {
        (Some(expected), Some(found)) if *expected != 0.0 => {
            format!(" ({:+.2} %)", 100.0 * (found - expected) / expected.abs())
        }
        _ => String::new(),
    };
    match verdict {
        Verdict::Gone => format!("gone      {name}: was {}", shown(*expected)),
        Verdict::New => format!("new       {name}: {}", shown(*found)),
        verdict => {
            let word = match verdict {
                Verdict::Worse => "worse",
                Verdict::Improved => "improved",
                _ => "moved",
            };
            format!("{word:<9} {name}: {} → {}{change}", shown(*expected), shown(*found))
        }
    }
}

fn print(result: &Checked, args: &CheckArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let word = if result.holds { "ok" } else { "FAILED" };
    let word = if args.bless { "bless" } else { word };
    writeln!(out, "{word} {}", result.scenario)?;
    if !result.baseline {
        writeln!(out, "  there is no baseline yet: record one with --bless --reason TEXT")?;
        return Ok(());
    }
    for finding in &result.findings {
        // What stayed exactly is not worth a line.
        if finding.verdict != Verdict::Within || finding.expected != finding.found {
            writeln!(out, "  {}", describe(finding))?;
        }
    }
    if result.fingerprint_changed {
        let weight = if args.strict { "error" } else { "warning" };
        writeln!(
            out,
            "  {weight}: the fingerprint changed from {} to {}",
            result.expected_fingerprint, result.fingerprint
        )?;
    }
    Ok(())
}

/// A suite per scenario, a case per metric and one for the fingerprint. No times: equal results give equal files.
fn write_junit(path: &Path, checked: &[Checked], strict: bool) -> Result<(), CliError> {
    let mut report = Report::new("cosmosmesh check");
    for result in checked {
        let mut suite = TestSuite::new(result.scenario.as_str());
        if !result.baseline {
            suite.add_test_case(case("baseline", Some("there is no baseline".into())));
        }
        for finding in &result.findings {
            let failure = is_failure(finding.verdict).then(|| describe(finding));
            suite.add_test_case(case(&finding.name, failure));
        }
        if result.baseline {
            let text = format!(
                "the fingerprint changed from {} to {}",
                result.expected_fingerprint, result.fingerprint
            );
            let mut fingerprint =
                case("fingerprint", (strict && result.fingerprint_changed).then(|| text.clone()));
            if result.fingerprint_changed && !strict {
                fingerprint.set_system_out(format!("warning: {text}"));
            }
            suite.add_test_case(fingerprint);
        }
        report.add_test_suite(suite);
    }
    let failed = |source| CliError::File { path: path.into(), source };
    let text = report.to_string().map_err(|error| failed(std::io::Error::other(error)))?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    fs::write(path, text).map_err(failed)
}

fn case(name: &str, failure: Option<String>) -> TestCase {
    let Some(text) = failure else { return TestCase::new(name, TestCaseStatus::success()) };
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_message(text);
    TestCase::new(name, status)
}
