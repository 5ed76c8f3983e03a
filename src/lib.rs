//! CosmosMesh: a deterministic simulator that flies a fleet's real protocol stack.

pub mod astro;
pub mod catopt;
pub mod cli;
pub mod contact;
pub mod engine;
pub mod hil;
pub mod link;
pub mod metrics;
pub mod oracle;
pub mod report;
pub mod runtime;
pub mod scenario;
pub mod sim;
pub mod units;
pub mod world;
