//! The simulation: one loop over events, the real protocol at every asset, a trace out.

mod agenda;
mod cell;
mod event;
mod ledger;
mod partition;
mod parts;
mod receive;
mod run;
mod transmit;

pub use run::{Options, Progress, SimError, Simulation, Summary};
