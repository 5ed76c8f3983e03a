//! Replicated state that merges: delta-state data types over dots that only their actor writes.
//!
//! # How it works
//! A replica is a set of *cells*. A cell belongs to one object, one item in it (a set's member, a map's key) and one
//! actor, and holds that actor's latest write there, named by its [`Dot`]. Only the actor writes its cells, so joining
//! two replicas keeps, per cell, the higher sequence number: commutative, associative and idempotent. Reads combine an
//! item's cells over the actors.
//!
//! A [`VersionVector`] says which dots a replica *covers*: for each it holds the write itself or a later write of the same
//! actor to the same cell. Hence equal version vectors mean equal replicas. A [`Delta`] carries the cells that a peer
//! lacks, the newest first, and says what it covers and what it assumes that the receiver covers already. A part whose
//! assumption does not hold (an earlier delta was lost) is kept out and reported in [`Applied::gaps`], so nothing is
//! ever covered that is not held.
//!
//! # Trust
//! Dots of other actors may be relayed by any member: the envelope authenticates who relays, and
//! [`Replica::apply_from`] reports whose dots came. A later issue signs the dots themselves; until then a member can
//! forge another's writes, though never those of the receiving replica.

mod cell;
mod delta;
mod limits;
mod message;
mod progress;
mod replica;
mod spans;
mod version;
mod wire;

pub use cell::{Kind, Op};
pub use delta::{Applied, Delta, Gap};
pub use limits::{SyncError, SyncLimits};
pub use message::SyncMessage;
pub use progress::{PeerProgress, PushId};
pub use replica::Replica;
pub use spans::Spans;
pub use version::{Actor, Dot, VersionVector};

#[cfg(test)]
mod tests;
