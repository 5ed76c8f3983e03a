//! Contact windows and contact plans.
//!
//! [`find()`] computes every window of a fleet from its motions; [`import()`](import::import) reads plans of ION, HDTN and
//! A-SABR; [`export`] writes plans for people and for other tools.

pub mod export;
mod find;
pub mod import;
mod plan;
mod scene;
mod search;
mod sightline;
mod track;
mod window;

pub use find::{FindError, Terminal, find, find_between};
pub use plan::{Contact, ContactPlan, RangeSample};
