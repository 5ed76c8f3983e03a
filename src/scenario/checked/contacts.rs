//! Where contacts come from.

use std::path::PathBuf;

use crate::contact::ContactPlan;

/// Where contacts come from.
#[derive(Clone, Debug, PartialEq)]
pub enum ContactSource {
    /// From motion and line of sight.
    Computed,
    /// From a contact plan's file; motion plays no part in them.
    Imported {
        /// The file, as found.
        path: PathBuf,
        /// Its contacts between this scenario's assets.
        plan: ContactPlan,
    },
}
