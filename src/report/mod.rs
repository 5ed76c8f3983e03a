//! The run folder: tables, plots, page. What is drawn is drawn from the tables, so `run` and `report` share one way.

mod agreement;
mod attacks;
mod baseline;
mod capture;
mod error;
mod facts;
mod folder;
mod ledger;
mod logs;
mod page;
mod plot;
mod read;
mod series;
mod summary;
mod tables;
mod trail;
pub mod words;

pub use agreement::{Agreement, AgreementError, Fate, Reading, WriteFacts};
pub use baseline::{Baseline, BaselineError, Better, Expected, Finding, Tolerance, Verdict};
pub use capture::{Capture, CapturedLink};
pub use error::ReportError;
pub use facts::{AssetFacts, OracleFacts, PlanFacts, RunFacts, Timing};
pub use folder::{RunEnd, RunFolder, read_facts, read_metrics};
pub use ledger::{Audit, Lie, LieKind, Story, audit, purpose_of};
pub use logs::{LogFile, Logs, read_logs, write_log};
pub use plot::{Plot, PricePoint, price_of_privacy};
pub use series::Series;
pub use summary::summary;
pub use tables::{Tables, kind_word};

use std::{fs, path::Path};

/// Draws the plots and the page of a run folder from its tables, replacing older ones.
///
/// # Errors
/// [`ReportError`] when the folder is not a run folder, a table is malformed, or a file cannot be written.
pub fn render(folder: &Path) -> Result<(), ReportError> {
    let facts = read_facts(folder)?;
    let metrics = read_metrics(folder)?;
    let path = folder.join("scenario.ron");
    let scenario = fs::read(&path).map_err(folder::io(&path))?;
    let plots = plot::all(&read::Source::new(folder, &facts), &facts)?;
    let pictures = folder.join("plots");
    fs::create_dir_all(&pictures).map_err(folder::io(&pictures))?;
    for plot in &plots {
        folder::write(&pictures.join(format!("{}.svg", plot.name)), plot.svg.as_bytes())?;
    }
    let page = page::page(&facts, &metrics, &plots, &String::from_utf8_lossy(&scenario));
    folder::write(&folder.join("report.html"), page.as_bytes())
}
