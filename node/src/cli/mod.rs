//! The command line of the daemon: `node`, `ctl`, `certify`, `up`, `down`.

mod certify;
mod ctl;
mod fleet;
mod ledger;
mod node;
mod revoke;
mod state;

use crate::{
    adapter::AttachError, client::ClientError, config::ConfigErrors, credential::CredentialError,
    daemon::StartError, key::KeyError,
};
use clap::Subcommand;
use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

/// What the command line can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs a node until it is told to stop.
    Node(node::NodeArgs),
    /// Asks something of a node that runs.
    Ctl(ctl::CtlArgs),
    /// Makes an authority, and signs who speaks for whom.
    Certify(certify::CertifyArgs),
    /// Starts a fleet of nodes on this machine.
    Up(fleet::UpArgs),
    /// Stops the fleet that `up` started.
    Down(fleet::DownArgs),
}

/// How a command that could run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did what was asked: exit code 0.
    Done,
    /// It ran, and the answer is no: exit code 1.
    No,
}

/// Why a command could not run: exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The configuration has mistakes.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// The private key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// What an authority has signed.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The node does not start.
    #[error(transparent)]
    Start(#[from] Box<StartError>),
    /// The node that is asked.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The program that is the node's application.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// Arguments that do not fit together.
    #[error("{0}")]
    Usage(String),
    /// A node has less of its log than it has signed.
    #[error("the log ends at {found} of {size} entries")]
    LogEnds {
        /// Entries that there are.
        found: u64,
        /// Those that were signed.
        size: u64,
    },
    /// A file that cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Standard output cannot be written.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// [`CliError`].
    pub fn execute(self) -> Result<Outcome, CliError> {
        match self {
            Self::Node(args) => node::execute(&args),
            Self::Ctl(args) => ctl::execute(&args),
            Self::Certify(args) => certify::execute(&args),
            Self::Up(args) => fleet::up(&args),
            Self::Down(args) => fleet::down(&args),
        }
    }
}

/// Tells an error on standard error, and gives the process's exit code.
#[must_use]
pub fn exit_code(result: Result<Outcome, CliError>) -> ExitCode {
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::No) => ExitCode::from(1),
        Err(error) => {
            // A closed standard error leaves only the exit code to speak.
            let _ = writeln!(io::stderr().lock(), "error: {error}");
            ExitCode::from(2)
        }
    }
}
