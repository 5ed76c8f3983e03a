//! Exactly-once, in-order delivery from end to end, with acknowledgement and retransmission.
//!
//! A *stream* runs from one node to another for one purpose. Its messages are numbered from 1 without gaps; the number
//! is inside the signed envelope. The receiver delivers in order, keeps early messages in a bounded gap buffer, and
//! acknowledges what it has *persisted*: cumulatively, with ranges for what is beyond a gap. The sender keeps a
//! message until it is acknowledged or its lifetime ends; what it abandons it announces by a *forward*, so that
//! a gap never blocks a stream for ever (the idea of FORWARD-TSN, RFC 3758 §3.2).
//!
//! A stream is named by the incarnation in which its sender opened it, its *epoch*. A sender that lost its state starts a new
//! epoch, which the receiver follows; messages of an older epoch are refused.

mod control;
mod incoming;
mod outgoing;
mod rate;

pub use control::{Acknowledgement, Control, ControlError, Forward, MAX_RANGES};
pub use incoming::{Incoming, Message, Standing};
pub use outgoing::{Outgoing, Pending, Place, StreamFull};
pub use rate::{RateExceeded, RateLimit, RateMeter};

/// Most messages of a stream that may be unacknowledged at the sender, and widest gap that a receiver buffers.
pub const MAX_WINDOW: u64 = 1 << 16;
