//! The command line: one file per command.

pub mod check;
pub mod compare;
pub mod report;

use crate::report::{BaselineError, ReportError};
use std::path::PathBuf;

/// How a command ended that could do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done: exit code 0.
    Done,
    /// Ran, and the answer is no: exit code 1.
    No,
}

/// Why a command could not do its work: exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// A run folder cannot be read or written.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// A baseline cannot be read or written.
    #[error(transparent)]
    Baseline(#[from] BaselineError),
    /// Output cannot be written.
    #[error("output: {0}")]
    Output(#[from] std::io::Error),
    /// A file cannot be written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The command was used in a way that makes no sense.
    #[error("{0}")]
    Usage(String),
}
