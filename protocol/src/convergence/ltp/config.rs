//! How an engine is set up, and what bounds it.

use super::error::CancelReason;
use super::segment::SessionId;
use crate::time::Instant;
use alloc::vec::Vec;
use core::time::Duration;

/// The smallest frame that holds every segment of this engine with some data, in bytes.
pub const MIN_MTU: usize = 96;

/// Client service number of the Bundle Protocol (IANA, Licklider Transmission Protocol parameters).
pub const BUNDLE_SERVICE: u64 = 1;

/// What an engine is told before it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Its engine number.
    pub engine: u64,
    /// The engine at the other end; segments of others' sessions are refused. `None`: whoever sends.
    pub peer: Option<u64>,
    /// The client service that is here.
    pub client_service: u64,
    /// Fresh for every incarnation: session and serial numbers start from it (RFC 5326 §3.1.1, §3.2.1).
    pub seed: u64,
    /// What bounds it.
    pub limits: Limits,
}

/// What bounds an engine: memory, and how often it tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sessions of ours at a time.
    pub sessions_out: usize,
    /// Sessions of the peer's at a time. Beyond it, segments of new ones are refused; the peer sends them again.
    pub sessions_in: usize,
    /// Largest block, in bytes. A peer's session beyond it is cancelled.
    pub block: usize,
    /// Bytes received and not yet handed over, in all sessions. Beyond it, segments are refused and so reported as missing.
    pub buffer: usize,
    /// Separate pieces of a block behind a gap. Beyond it, segments are refused.
    pub pieces: usize,
    /// Times that a checkpoint, a report or a cancellation is sent again before its session is given up.
    pub retransmissions: u32,
    /// Reports with gaps that a session of ours answers before it is given up.
    pub cycles: u32,
    /// Reports that are made for a session of the peer's before it is cancelled.
    pub reports: usize,
    /// Reports, acknowledgements and cancellations that wait for the link. Beyond it, none is made; the peer asks again.
    pub control: usize,
    /// Closed sessions of the peer's that are remembered, so that late segments do not open them anew.
    pub closed: usize,
    /// A session of the peer's that is silent for this long, light time there and back added, is given up.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions_out: 32,
            sessions_in: 128,
            block: 1 << 22,
            buffer: 1 << 23,
            pieces: 1024,
            retransmissions: 8,
            cycles: 64,
            reports: 1024,
            control: 512,
            closed: 1024,
            idle: Duration::from_secs(600),
        }
    }
}

/// What is true of the link while it is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkPath {
    /// Largest segment in bytes, at least [`MIN_MTU`].
    pub mtu: usize,
    /// One-way light time.
    pub light_time: Duration,
    /// What an answer takes beyond light time there and back: queues, airtime, processing.
    pub margin: Duration,
}

/// What became of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A block's red part is here, whole (RFC 5326 §7.3). The driver answers with [`super::Engine::accept`] once it is safe, or with
    /// [`super::Engine::refuse`].
    Block {
        /// Its session.
        session: SessionId,
        /// The red part.
        data: Vec<u8>,
    },
    /// Green data is here (§7.2).
    Green {
        /// Its session.
        session: SessionId,
        /// Where it starts in the block.
        offset: u64,
        /// Whether the block ends with it.
        last: bool,
        /// The data.
        data: Vec<u8>,
    },
    /// The peer has our block's red part; or a block without one has left (§7.4, §7.7).
    Delivered {
        /// As given with the block.
        token: u64,
    },
    /// Our block was given up (§7.5).
    Cancelled {
        /// As given with the block.
        token: u64,
        /// Why.
        reason: CancelReason,
        /// Whether the peer did it.
        by_peer: bool,
    },
    /// The peer's block was given up (§7.6).
    ReceptionCancelled {
        /// Its session.
        session: SessionId,
        /// Why.
        reason: CancelReason,
    },
}

/// Why a block is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No block is empty, nor ends within its red part.
    #[error("block of {block} bytes with a red part of {red}")]
    Extent {
        /// Bytes of the block.
        block: usize,
        /// Bytes of its red part.
        red: usize,
    },
    /// The block is longer than [`Limits::block`].
    #[error("block of {found} bytes, at most {max} are allowed")]
    TooLong {
        /// Its length.
        found: usize,
        /// The limit.
        max: usize,
    },
    /// As many sessions as [`Limits::sessions_out`] are open.
    #[error("{limit} sessions are open")]
    Full {
        /// The limit.
        limit: usize,
    },
}

/// What an engine counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Data segments sent, first transmissions and others.
    pub data_sent: u64,
    /// Data segments among them that were sent again.
    pub data_again: u64,
    /// Checkpoints whose timer ran out.
    pub checkpoint_timeouts: u64,
    /// Reports whose timer ran out.
    pub report_timeouts: u64,
    /// Reports made.
    pub reports: u64,
    /// Segments of closed sessions, answered or ignored.
    pub late: u64,
    /// Data that was here already.
    pub duplicates: u64,
    /// Segments refused because a buffer was full.
    pub overflows: u64,
    /// Answers not made because too many waited for the link.
    pub unanswered: u64,
}

/// When the peer can send to us, by start: from and to, at the peer.
pub type Windows = Vec<(Instant, Instant)>;
