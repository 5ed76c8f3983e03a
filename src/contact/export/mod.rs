//! Contact plans for people and for other tools.

mod dtn;
mod listing;

pub use dtn::{Exported, PrecisionLoss, hdtn, ion};
pub use listing::{csv, json, table};

use crate::units::AssetIndex;

/// What an asset is called in a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its name in the scenario.
    pub name: String,
    /// Its number in the `ipn` scheme.
    pub node: u64,
}

/// The label of an asset, from a list in the order of the assets.
fn label(labels: &[Label], asset: AssetIndex) -> &Label {
    &labels[asset.get()]
}
