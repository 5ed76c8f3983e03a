//! What a host does for a CosmosMesh node: it keeps the node's records durable.
//!
//! The node itself is sans-IO and asks its host to persist (`docs/adr/0001-node-contract.md`); [`Disk`] is the answer on a machine with
//! a file system.

mod disk;
mod inbox;

pub use disk::{Disk, DiskError, Record};
pub use inbox::{InboxEntry, InboxNumber, Received};
