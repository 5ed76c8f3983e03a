//! [`RunFolder`]: written under a temporary name, renamed when it is whole.

use super::{AssetFacts, ReportError, RunFacts, Tables, Timing, render};
use crate::{
    engine::Record,
    metrics::{DerivedRow, LinkRecorder, MetricsSet},
    oracle::OracleReport,
    units::SimTime,
};
use serde::Serialize;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A run folder in the making. Dropped before [`RunFolder::finish`], it leaves nothing behind.
pub struct RunFolder {
    target: PathBuf,
    partial: PathBuf,
    facts: RunFacts,
    tables: Option<Tables>,
}

/// What a run ends with.
pub struct RunEnd<'a> {
    /// When.
    pub end: SimTime,
    /// Hash over the whole trace, hexadecimal.
    pub fingerprint: String,
    /// The figures.
    pub metrics: &'a MetricsSet,
    /// The last rows of [`crate::metrics::Metrics::derived`].
    pub derived: &'a [DerivedRow],
    /// Sums by pair.
    pub links: &'a LinkRecorder,
    /// What the oracles found.
    pub oracles: &'a OracleReport,
    /// How long it took.
    pub timing: Timing,
}

impl RunFolder {
    /// Starts the folder that will be called `out`; `scenario_text` is kept in it as `scenario.ron`.
    ///
    /// An `out` that exists is replaced at the end if it is a run folder or empty, and refused otherwise.
    ///
    /// # Errors
    /// [`ReportError::Occupied`], [`ReportError::NoName`], and what the operating system refuses.
    pub fn create(out: &Path, facts: RunFacts, scenario_text: &str) -> Result<Self, ReportError> {
        if !is_replaceable(out)? {
            return Err(ReportError::Occupied { path: out.into() });
        }
        let partial = sibling(out, "partial")?;
        if let Some(parent) = partial.parent() {
            fs::create_dir_all(parent).map_err(io(parent))?;
        }
        remove_if_there(&partial)?;
        fs::create_dir(&partial).map_err(io(&partial))?;
        let mut folder = Self { target: out.into(), partial, facts, tables: None };
        write(&folder.partial.join("scenario.ron"), scenario_text.as_bytes())?;
        folder.tables = Some(Tables::create(&folder.partial, &folder.facts)?);
        Ok(folder)
    }

    /// Where the folder is while it grows: for further files such as `trace` and `bundles.pcapng`.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// The assets, by index.
    #[must_use]
    pub fn assets(&self) -> &[AssetFacts] {
        &self.facts.assets
    }

    /// Writes the rows of one record, and those that the metrics derived from it.
    ///
    /// # Errors
    /// [`ReportError::Table`] when a table cannot be written.
    pub fn record(&mut self, record: &Record, derived: &[DerivedRow]) -> Result<(), ReportError> {
        let Some(tables) = &mut self.tables else { return Ok(()) };
        tables.record(record)?;
        tables.derived(derived)
    }

    /// Writes the rest, the plots and the page, and gives the folder its name, which it returns.
    ///
    /// # Errors
    /// [`ReportError`] when something cannot be written; nothing is left then, and what `out` was stays.
    pub fn finish(mut self, run: RunEnd<'_>) -> Result<PathBuf, ReportError> {
        if let Some(mut tables) = self.tables.take() {
            tables.derived(run.derived)?;
            tables.finish(run.end, run.links)?;
        }
        self.facts.fingerprint = run.fingerprint;
        self.facts.oracles = run.oracles.into();
        write_json(&self.partial.join("run.json"), &self.facts)?;
        write_json(&self.partial.join("timing.json"), &run.timing)?;
        write(&self.partial.join("metrics.json"), run.metrics.to_json().as_bytes())?;
        if let Some(text) = super::attacks::attacks_csv(run.metrics) {
            write(&self.partial.join("attacks.csv"), text.as_bytes())?;
        }
        render(&self.partial)?;
        self.replace_target()?;
        Ok(self.target.clone())
    }

    /// Renames; an older folder of that name is moved aside first and removed last.
    fn replace_target(&self) -> Result<(), ReportError> {
        if !self.target.exists() {
            return fs::rename(&self.partial, &self.target).map_err(io(&self.target));
        }
        if !is_replaceable(&self.target)? {
            return Err(ReportError::Occupied { path: self.target.clone() });
        }
        let old = sibling(&self.target, "old")?;
        fs::rename(&self.target, &old).map_err(io(&self.target))?;
        if let Err(source) = fs::rename(&self.partial, &self.target) {
            // Put the old run back; if that fails as well, it is still there under its other name.
            let _ = fs::rename(&old, &self.target);
            return Err(ReportError::Io { path: self.target.clone(), source });
        }
        fs::remove_dir_all(&old).map_err(io(&old))
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        self.tables = None;
        // After a rename it is gone; otherwise it is half a run, which nobody wants.
        let _ = fs::remove_dir_all(&self.partial);
    }
}

/// Reads `run.json`.
///
/// # Errors
/// [`ReportError::NotARun`] when there is none of ours.
pub fn read_facts(folder: &Path) -> Result<RunFacts, ReportError> {
    let not = |reason: String| ReportError::NotARun { path: folder.into(), reason };
    let text = fs::read(folder.join("run.json")).map_err(|error| not(format!("run.json: {error}")))?;
    let facts: RunFacts = serde_json::from_slice(&text).map_err(|error| not(format!("run.json: {error}")))?;
    if facts.format != RunFacts::FORMAT {
        return Err(not(format!(
            "its format is {:?}, this program reads {:?}",
            facts.format,
            RunFacts::FORMAT
        )));
    }
    Ok(facts)
}

/// Reads `metrics.json`.
///
/// # Errors
/// [`ReportError::Io`] and [`ReportError::Json`] when it cannot be read.
pub fn read_metrics(folder: &Path) -> Result<MetricsSet, ReportError> {
    let path = folder.join("metrics.json");
    let text = fs::read(&path).map_err(io(&path))?;
    serde_json::from_slice(&text).map_err(|source| ReportError::Json { path, source })
}

pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    fs::write(path, bytes).map_err(io(path))
}

pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> ReportError {
    let path = path.to_path_buf();
    move |source| ReportError::Io { path, source }
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), ReportError> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|source| ReportError::Json { path: path.into(), source })?;
    write(path, format!("{text}\n").as_bytes())
}

fn is_replaceable(out: &Path) -> Result<bool, ReportError> {
    match fs::read_dir(out) {
        Ok(mut entries) => Ok(entries.next().is_none() || read_facts(out).is_ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => Ok(false),
        Err(source) => Err(ReportError::Io { path: out.into(), source }),
    }
}

/// A hidden name beside `out`, this process's own, on the same file system.
fn sibling(out: &Path, what: &str) -> Result<PathBuf, ReportError> {
    let Some(name) = out.file_name() else { return Err(ReportError::NoName { path: out.into() }) };
    Ok(out.with_file_name(format!(".{}.{what}-{}", name.to_string_lossy(), std::process::id())))
}

fn remove_if_there(path: &Path) -> Result<(), ReportError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io(path)(error)),
        _ => Ok(()),
    }
}
