//! Pictures of a run, as SVG, made from its tables.

mod contacts;
mod convergence;
mod figure;
mod latency;
mod links;
mod per_asset;
mod plan;
mod price;
mod rounds;
mod scale;

pub use price::{PricePoint, price_of_privacy};

pub(super) use scale::power_of_ten;

use super::{ReportError, RunFacts, read::Source};

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plot {
    /// File name without the ending.
    pub name: &'static str,
    /// What it shows, for readers who cannot see it.
    pub caption: String,
    /// How to read it, in a sentence.
    pub reading: &'static str,
    /// The picture.
    pub svg: String,
}

/// All pictures that the tables have data for.
///
/// # Errors
/// [`ReportError`] when a table cannot be read.
pub(super) fn all(source: &Source<'_>, facts: &RunFacts) -> Result<Vec<Plot>, ReportError> {
    let end_s = facts.duration_s;
    let convergence = source.convergence()?;
    let times = source.rounds(facts)?;
    let plots = [
        convergence::plot(&convergence, end_s),
        convergence::by_round(&convergence),
        plan::rounds(&times, facts),
        rounds::waited(&times, facts),
        rounds::bytes(&times, facts),
        plan::prices(&source.prices(facts)?, facts),
        plan::plans(&source.plans(facts)?, facts),
        latency::plot(&source.latencies()?),
        contacts::plot(&source.contacts()?, facts),
        links::plot(source.links()?, facts),
        per_asset::staleness(&source.staleness()?, facts),
        per_asset::energy(&source.energy()?, facts),
    ];
    Ok(plots.into_iter().flatten().collect())
}
