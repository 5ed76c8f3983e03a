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
mod hostile;
mod ledger;
mod place;
mod plan;
mod pressure;
#[cfg(feature = "quic")]
mod quic;
mod radio;
mod secure;
mod state;
mod store;
mod trust;
