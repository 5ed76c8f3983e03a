//! The simulation: one loop over events, the real protocol at every asset, a trace out.

mod agenda;
mod cell;
mod event;
mod known;
mod ledger;
mod options;
mod outside;
mod partition;
mod receive;
mod run;
mod transmit;

pub use options::{Options, Progress, SimError, Summary};
pub use outside::{Arrival, BindError, Departure, Entrance, Free, Grant, Interface, Outside, Part, Reality};
pub use run::Simulation;
