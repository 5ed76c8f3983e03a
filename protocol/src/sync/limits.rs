//! The most that a replica takes, and why it refuses.

use super::version::Actor;
use crate::time::DtnTime;

/// The most that a replica takes. Beyond it, writes and deltas are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncLimits {
    /// Number of cells: items times the actors that wrote them.
    pub cells: usize,
    /// Length of an object's name, in bytes.
    pub name_bytes: usize,
    /// Length of a set's member or a map's key, in bytes.
    pub item_bytes: usize,
    /// Length of a value, in bytes.
    pub value_bytes: usize,
    /// Sum of the cells' sizes, in bytes.
    pub total_bytes: usize,
    /// Number of actors.
    pub actors: usize,
    /// Number of intervals of one actor's dots that are covered out of order.
    pub spans: usize,
    /// The highest sequence number, and how far a delta may move an actor's beyond what is known.
    pub sequence: u64,
    /// How far a delta may move an actor's highest sequence number.
    pub jump: u64,
    /// The highest sum of one actor's increments, and of its decrements, of a counter.
    pub counter: u64,
    /// The latest time that a write may claim.
    pub latest: DtnTime,
}

impl Default for SyncLimits {
    /// 64 Ki cells and 16 MiB in all; names to 64 bytes, items to 256, values to 4096; 1024 actors; times before 2100.
    fn default() -> Self {
        Self {
            cells: 1 << 16,
            name_bytes: 64,
            item_bytes: 256,
            value_bytes: 4_096,
            total_bytes: 16 << 20,
            actors: 1_024,
            spans: 64,
            sequence: 1 << 48,
            jump: 1 << 24,
            counter: 1 << 62,
            latest: DtnTime(3_155_760_000_000),
        }
    }
}

/// Why a write or a delta is refused. The replica is then unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyncError {
    /// A name, item or value is too long.
    #[error("{what} of {found} bytes exceeds {max}")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// Its length in bytes.
        found: usize,
        /// The longest allowed.
        max: usize,
    },
    /// There would be too many of something.
    #[error("{found} {what} exceed {max}")]
    TooMany {
        /// Too many of what.
        what: &'static str,
        /// How many there would be.
        found: usize,
        /// The most allowed.
        max: usize,
    },
    /// A sequence number is 0, too high, or too far beyond what is known.
    #[error("sequence {found} of actor {actor} is not in 1..={max}")]
    Sequence {
        /// Whose.
        actor: Actor,
        /// The number found.
        found: u64,
        /// The highest allowed here.
        max: u64,
    },
    /// A peer has writes of this replica that it never made: they are forged, or it lost its storage
    /// (see [`Replica::recovering`](super::Replica::recovering)).
    #[error("peer has write {found} of this replica, which made {made}")]
    OwnDots {
        /// The highest sequence number found.
        found: u64,
        /// The highest made here.
        made: u64,
    },
    /// A counter's sum exceeds the limit.
    #[error("counter total {found} of actor {actor} exceeds {max}")]
    Counter {
        /// Whose.
        actor: Actor,
        /// The sum found.
        found: u64,
        /// The highest allowed.
        max: u64,
    },
    /// A time is later than allowed.
    #[error("time {} ms of actor {actor} is after {} ms", found.as_millis(), max.as_millis())]
    Time {
        /// Whose.
        actor: Actor,
        /// The time found.
        found: DtnTime,
        /// The latest allowed.
        max: DtnTime,
    },
    /// There is nothing there to remove.
    #[error("nothing to remove")]
    Absent,
    /// The bytes are not a message of this kind.
    #[error("malformed at byte {position}")]
    Malformed {
        /// Where decoding stopped.
        position: usize,
    },
    /// The bytes decode, but are not the deterministic encoding (RFC 8949 §4.2.1).
    #[error("not in deterministic encoding")]
    NotDeterministic,
    /// A delta names a dot that it does not cover, or one twice.
    #[error("delta carries write {sequence} of actor {actor} outside of what it covers")]
    Inconsistent {
        /// Whose.
        actor: Actor,
        /// The dot's sequence number.
        sequence: u64,
    },
}
