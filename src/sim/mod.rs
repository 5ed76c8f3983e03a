//! The simulation: one loop over events, the real protocol at every asset, a trace out.

mod agenda;
mod application;
mod cell;
mod event;
mod ledger;
mod outside;
mod partition;
mod receive;
mod request;
mod run;
mod stretch;
mod transmit;

pub use outside::{Arrival, BindError, Departure, Entrance, Free, Grant, Interface, Outside, Part, Reality};
pub use request::{Answer, Asked, MAX_TOLD};
pub use run::{Options, Progress, SimError, Simulation, Summary};
