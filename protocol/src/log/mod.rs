//! A tamper-evident log: one append-only Merkle tree per asset (RFC 6962 §2.1, RFC 9162 §2.1), of which others keep signed checkpoints.
//!
//! Whoever holds a [`Checkpoint`] of a log holds its past: no entry before it can be changed, dropped, added or moved without another root.
//! A node keeps its own log as a [`Journal`], whose memory does not grow with it, and the others' checkpoints as a [`Witness`]. Hosts and
//! auditors, who have all entries, keep a [`Tree`].

mod checkpoint;
mod entry;
mod hash;
mod journal;
mod path;
mod proof;
mod span;
mod tree;
mod witness;

pub use checkpoint::{Checkpoint, CheckpointError, LogId, MAX_CHECKPOINT_LEN, SignedCheckpoint};
pub use entry::{Brief, Entry, Event, MAX_ENTRY_LEN, MessageName};
pub use hash::{EMPTY_ROOT, Hash, leaf_hash, node_hash};
pub use journal::{Journal, MAX_MARKS};
pub use path::{consistency_path, inclusion_path};
pub use proof::{ProofError, verify_consistency, verify_inclusion};
pub use span::Span;
pub use tree::Tree;
pub use witness::{Fork, ForkKind, MAX_LOGS, MAX_PENDING, Observed, Proven, Witness};

#[cfg(test)]
mod log_tests;
#[cfg(test)]
mod witness_tests;
