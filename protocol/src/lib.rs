//! The CosmosMesh protocol stack: sans-IO, no clock, no sockets, no threads.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod access;
pub mod bpsec;
pub mod bundle;
pub mod cbor;
pub mod contract;
pub mod convergence;
pub mod delivery;
pub mod discovery;
pub mod dtn;
pub mod envelope;
pub mod governance;
pub mod id;
pub mod identity;
pub mod log;
pub mod node;
pub mod planning;
pub mod sync;
pub mod time;
