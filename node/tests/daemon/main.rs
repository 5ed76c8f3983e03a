//! The daemon from outside: over real sockets, as a process that is killed, before peers that misbehave, on disks that fail.

mod adapter;
mod clocks;
mod control;
mod crash;
mod delivery;
mod discovery;
mod faults;
mod fleet;
mod gossip;
mod guests;
mod hostile;
mod ledger;
mod place;
mod plan;
mod pressure;
#[cfg(feature = "quic")]
mod quic;
#[cfg(feature = "quic")]
mod quic_hostile;
mod radio;
mod revoke;
mod secure;
mod starting;
mod state;
mod store;
mod trust;
