//! The most that a replica takes, and why it refuses.

use super::{clock::Role, version::Actor};
use crate::time::DtnTime;
use core::time::Duration;

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
    /// Sum of the sizes of cells that came in parts and wait for the rest, in bytes. When it is reached, what other senders began is
    /// forgotten: they are asked again.
    pub staged_bytes: usize,
    /// Number of actors.
    pub actors: usize,
    /// Number of lives of one member: how often its storage may be lost, and once more. What it writes in further ones is refused by all as
    /// `sync_lives`, until it comes back under another number (`docs/adr/0009-lives.md`).
    pub lives: usize,
    /// Number of intervals of an actor's dots that it names as dropped at a time.
    pub dropped: usize,
    /// An actor drops its own cells that nobody needs any more when there are as many.
    pub compact_min: usize,
    /// The highest sequence number.
    pub sequence: u64,
    /// How far a delta may move an actor's highest sequence number.
    pub jump: u64,
    /// The highest sum of one actor's increments, and of its decrements, of a counter.
    pub counter: u64,
    /// The latest time that a write may claim.
    pub latest: DtnTime,
    /// How far a write's clock may be ahead of the receiver's civil time. Beyond it the write is refused; it comes again, and is taken
    /// when that time has come.
    pub drift: Duration,
    /// Number of coded symbols in one audit. A difference that they do not tell is mended by the whole state.
    pub symbols: usize,
}

impl Default for SyncLimits {
    /// 64 Ki cells and 16 MiB in all; names to 64 bytes, items to 256, values to 4096; 1024 actors, 16 lives of each; times before 2100, clocks up to 10
    /// minutes ahead; 4096 symbols.
    fn default() -> Self {
        Self {
            cells: 1 << 16,
            name_bytes: 64,
            item_bytes: 256,
            value_bytes: 4_096,
            total_bytes: 16 << 20,
            staged_bytes: 1 << 20,
            actors: 1_024,
            lives: 16,
            dropped: 1_024,
            compact_min: 64,
            sequence: 1 << 48,
            jump: 1 << 24,
            counter: 1 << 62,
            latest: DtnTime(3_155_760_000_000),
            drift: Duration::from_secs(600),
            symbols: 4_096,
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
        /// The latest allowed: of all times, or now with the allowed drift.
        max: DtnTime,
    },
    /// A write claims a role that its writer was not granted.
    #[error("role {} of actor {actor} exceeds the granted {}", found.0, max.0)]
    Role {
        /// Whose.
        actor: Actor,
        /// The role claimed.
        found: Role,
        /// The role granted.
        max: Role,
    },
    /// Nobody knows the actor's key.
    #[error("actor {actor} has no key")]
    Stranger {
        /// Who.
        actor: Actor,
    },
    /// The writer's signature is missing, or is of something else.
    #[error("the signature of actor {actor} does not fit")]
    Signature {
        /// Whose.
        actor: Actor,
    },
    /// Somebody else signs as this replica's own actor.
    #[error("somebody else writes as actor {actor}")]
    Twin {
        /// Who.
        actor: Actor,
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
    /// The bytes decode, but another encoding of the same is the right one.
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

impl SyncError {
    /// A stable word for counters.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "sync_too_long",
            // Of a member whose storage is lost again and again: it has to come back under another number.
            Self::TooMany { what: "lives", .. } => "sync_lives",
            Self::TooMany { .. } => "sync_too_many",
            Self::Sequence { .. } => "sync_sequence",
            Self::Counter { .. } => "sync_counter",
            Self::Time { .. } => "sync_time",
            Self::Role { .. } => "sync_role",
            Self::Stranger { .. } => "sync_unknown_actor",
            Self::Signature { .. } => "sync_bad_signature",
            Self::Twin { .. } => "sync_twin",
            Self::Absent => "sync_absent",
            Self::Malformed { .. } => "sync_malformed",
            Self::NotDeterministic => "sync_not_deterministic",
            Self::Inconsistent { .. } => "sync_inconsistent",
        }
    }
}
