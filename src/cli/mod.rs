//! The command line: one file per command.

pub mod audit;
pub mod bundle;
pub mod catopt;
pub mod check;
pub mod compare;
pub mod completions;
pub mod contacts;
mod flight;
pub mod hil;
mod interrupt;
pub mod new;
pub mod policy;
mod policy_history;
pub mod privacy;
mod progress;
mod reference;
pub mod replay;
pub mod report;
pub mod route;
pub mod run;
pub mod solvers;
pub mod sync;
pub mod validate;

use std::{
    ffi::OsString,
    io::{self, Write},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use crate::{
    report::{BaselineError, ReportError},
    scenario::Diagnostics,
};

/// Flies a fleet with broken links on its real protocol stack.
#[derive(Debug, Parser)]
#[command(
    name = "cosmosmesh",
    version,
    about,
    arg_required_else_help = true,
    after_help = "Examples:
  cosmosmesh new base-camp              write a commented scenario, base-camp.ron
  cosmosmesh validate base-camp.ron     check it
  cosmosmesh run base-camp.ron          simulate it

Exit codes: 0 done; 1 ran, and the answer is no; 2 bad usage, unreadable or invalid input, or an I/O failure; \
130 interrupted."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What the command line can do.
#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArgs),
    Check(check::CheckArgs),
    Compare(compare::CompareArgs),
    Report(report::ReportArgs),
    Validate(validate::ValidateArgs),
    New(new::NewArgs),
    Contacts(contacts::ContactsArgs),
    Bundle(bundle::BundleArgs),
    Route(route::RouteArgs),
    Solvers(solvers::SolversArgs),
    Catopt(catopt::CatoptArgs),
    Audit(audit::AuditArgs),
    Policy(policy::PolicyArgs),
    Privacy(privacy::PrivacyArgs),
    Sync(sync::SyncArgs),
    Hil(hil::HilArgs),
    Replay(replay::ReplayArgs),
    Completions(completions::CompletionsArgs),
    #[cfg(feature = "daemon")]
    #[command(flatten)]
    Daemon(cosmosmesh_node::cli::Command),
}

impl Command {
    fn execute(self) -> Result<Outcome, CliError> {
        match self {
            Self::Run(args) => run::execute(args),
            Self::Check(args) => check(&args),
            Self::Compare(args) => compare::execute(&args, &mut io::stdout().lock()),
            Self::Report(args) => report::execute(&args, &mut io::stdout().lock()),
            Self::Validate(args) => validate::execute(args),
            Self::New(args) => new::execute(args),
            Self::Contacts(args) => contacts::execute(args),
            Self::Bundle(args) => bundle::execute(args),
            Self::Route(args) => route::execute(&args),
            Self::Solvers(args) => solvers::execute(&args),
            Self::Catopt(args) => catopt::execute(&args),
            Self::Audit(args) => audit::execute(&args, &mut io::stdout().lock()),
            Self::Policy(args) => policy::execute(&args, &mut io::stdout().lock()),
            Self::Privacy(args) => privacy::execute(&args),
            Self::Sync(args) => sync::execute(&args),
            Self::Hil(args) => hil::execute(&args),
            Self::Replay(args) => replay::execute(&args),
            Self::Completions(args) => completions::execute(args),
            #[cfg(feature = "daemon")]
            Self::Daemon(command) => match command.execute()? {
                cosmosmesh_node::cli::Outcome::Done => Ok(Outcome::Done),
                cosmosmesh_node::cli::Outcome::No => Ok(Outcome::No),
            },
        }
    }
}

/// How a command that could run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did what was asked: exit code 0.
    Done,
    /// It ran, and the answer is no: exit code 1.
    No,
}

/// Why a command could not run: exit code 2, or 130.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Arguments that do not fit together.
    #[error("{0}")]
    Usage(String),
    /// A scenario with mistakes.
    #[error("{0}")]
    Scenario(Box<Diagnostics>),
    /// Another input that cannot be used.
    #[error("{}: {reason}", path.display())]
    Input {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file or folder that cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Standard output or error cannot be written.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
    /// A run folder that cannot be written or read.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// A baseline that cannot be written or read.
    #[error(transparent)]
    Baseline(#[from] BaselineError),
    /// A command of the daemon.
    #[cfg(feature = "daemon")]
    #[error(transparent)]
    Daemon(#[from] cosmosmesh_node::cli::CliError),
    /// The user interrupted it.
    #[error("interrupted")]
    Interrupted,
}

impl From<Diagnostics> for CliError {
    fn from(diagnostics: Diagnostics) -> Self {
        Self::Scenario(Box::new(diagnostics))
    }
}

impl CliError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Interrupted => 130,
            // The reader had enough, as `head` does: nothing went wrong.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            _ => 2,
        }
    }
}

fn check(args: &check::CheckArgs) -> Result<Outcome, CliError> {
    let threads = NonZeroUsize::new(args.threads as usize).unwrap_or(NonZeroUsize::MIN);
    let interrupted = interrupt::watch();
    let run = |path: &Path| {
        let request = flight::Request {
            path,
            seed: None,
            shift: 0,
            budget: None,
            threads,
            until: None,
            output: None,
            solver: None,
        };
        let flown = flight::fly(&request, &mut |_| interrupted.flow())?;
        let (fingerprint, metrics, tolerances) =
            (flown.fingerprint.to_string(), flown.metrics, flown.tolerances);
        Ok(check::CheckedRun { fingerprint, metrics, tolerances })
    };
    check::execute(args, &run, &mut io::stdout().lock())
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

/// Runs the command line `arguments`, the program's name first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(usage) => {
            // Help and version arrive here too, with code 0. Nothing is left to do if they cannot be printed.
            let _ = usage.print();
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
        }
    };
    match cli.command.execute() {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::No) => ExitCode::from(1),
        Err(error) => {
            let code = error.exit_code();
            if code != 0 {
                let text = error.to_string();
                let prefix = if matches!(error, CliError::Scenario(_)) { "" } else { "error: " };
                // A closed standard error leaves only the exit code to speak.
                let _ = writeln!(io::stderr().lock(), "{prefix}{}", text.trim_end());
            }
            ExitCode::from(code)
        }
    }
}
