//! Contact windows and contact plans.

mod plan;

pub use plan::{Contact, ContactPlan, RangeSample};
