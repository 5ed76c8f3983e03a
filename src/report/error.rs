//! [`ReportError`].

use std::path::PathBuf;

/// Why a run folder cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The output exists and is something else: it is not replaced.
    #[error("{} exists and is not a run folder: choose another --out or remove it", path.display())]
    Occupied {
        /// The output path.
        path: PathBuf,
    },
    /// The output path has no last component.
    #[error("{} names no folder", path.display())]
    NoName {
        /// The output path.
        path: PathBuf,
    },
    /// A folder without a `run.json` of ours.
    #[error("{} is not a run folder: {reason}", path.display())]
    NotARun {
        /// The folder.
        path: PathBuf,
        /// What is wrong with its `run.json`.
        reason: String,
    },
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Its reason.
        source: std::io::Error,
    },
    /// A table cannot be read or written.
    #[error("{}: {source}", path.display())]
    Table {
        /// The table.
        path: PathBuf,
        /// What the CSV reader or writer says, with the line.
        source: csv::Error,
    },
    /// A table holds a value that it cannot hold.
    #[error("{} line {line}: {field} is {found}; allowed is {allowed}", path.display())]
    Value {
        /// The table.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The column.
        field: &'static str,
        /// What stands there.
        found: String,
        /// What may.
        allowed: &'static str,
    },
    /// A JSON file cannot be read.
    #[error("{}: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What the reader says, with line and column.
        source: serde_json::Error,
    },
}
