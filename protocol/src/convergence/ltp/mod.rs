//! The Licklider Transmission Protocol (RFC 5326; CCSDS 734.1-B): blocks over a link whose round trip is long and which is often
//! down.
//!
//! A block is cut into segments of the link's frame size. Its first part may be red: the segment at its end is a *checkpoint*, for
//! which the receiver sends a *report* of what came in, and what is missing is sent again. What is green is sent once. A report
//! is acknowledged, and sent again until it is; a checkpoint is sent again until its report is here. Both wait for light time there
//! and back, for the peer's next contact, and not at all while the link is down.
//!
//! [`Engine`] is one end of a link. Its sessions, buffers and memories are bounded by [`Limits`].

mod config;
mod engine;
mod error;
mod export;
mod import;
mod ranges;
mod sdnv;
mod segment;
mod timers;

pub use config::{BUNDLE_SERVICE, Config, Counters, Event, Limits, LinkPath, MIN_MTU, SendError, Windows};
pub use engine::Engine;
pub use error::{CancelReason, SegmentError};
pub use segment::{
    CheckpointTag, Claims, Color, Content, DataSegment, Extensions, ReportSegment, Segment, SessionId,
};

#[cfg(test)]
mod codec_tests;
#[cfg(test)]
mod engine_tests;
#[cfg(test)]
mod pair_tests;
