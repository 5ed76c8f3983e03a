//! Replicated state that merges: delta-state data types over dots that only their actor writes and signs.
//!
//! # How it works
//! A replica is a set of *cells*. A cell belongs to one object, one item in it (a set's member, a map's key) and one
//! actor, and holds that actor's latest write there, named by its [`Dot`]. Only the actor writes its cells, so joining
//! two replicas keeps, per cell, the higher sequence number: commutative, associative and idempotent. Reads combine an
//! item's cells over the actors: a write replaces what its writer had seen, and of concurrent writes the greatest [`Rank`] stands:
//! role, hybrid logical clock, actor. [`Replica::explain`] says which and why.
//!
//! A [`VersionVector`] says which dots a replica *covers*: for each it holds the write itself or a later write of the same
//! actor to the same cell. Hence equal version vectors mean equal replicas. A [`Delta`] carries the cells that a peer
//! lacks, and says what it follows on. A part that follows on what is not here (an earlier delta was lost) is kept out and reported in
//! [`Applied::gaps`], so nothing is ever covered that is not held.
//!
//! # Trust
//! What an actor has written up to its n-th write follows from n, so it signs that, once per push ([`Replica::sign`]), and the
//! signature goes with its cells through any relay. A third party checks the *outcome* of a delta: it can neither be changed, nor
//! lack a write, nor bring back an old one. What does not fit is kept out ([`Applied::reseed`]).
//!
//! # When versions do not help
//! [`Replica::audit`] compares cells themselves, by rateless reconciliation. [`Replica::compact`] drops what everyone has seen replaced.

mod apply;
mod audit;
mod cell;
mod clock;
mod columns;
mod compact;
mod delta;
mod explain;
mod head;
mod limits;
mod look;
mod message;
mod rateless;
mod replica;
mod resolve;
mod siphash;
mod spans;
mod version;
mod wire;

pub use apply::{Applied, News, Trust};
pub use audit::{Audit, Audited, Finding};
pub use cell::{Kind, Op};
pub use clock::{Hlc, Rank, Role, Roles};
pub use delta::Delta;
pub use explain::{Because, Explanation, Write, Written};
pub use limits::{SyncError, SyncLimits};
pub use look::{Item, Look};
pub use message::SyncMessage;
pub use rateless::Symbol;
pub use replica::Replica;
pub use version::{Actor, Dot, VersionVector};

#[cfg(test)]
mod tests;
