//! Bundles over small frames. The format is ours; no standard covers frames of some 233 bytes.
//!
//! | Frame | Bytes |
//! |---|---|
//! | whole bundle | `0x40`, bundle |
//! | part | `0x41`, transfer (16 bits), index (12 bits), last index (12 bits), data |
//! | bundle with a counted payload | `0x42`, payload bytes (32 bits), bundle with an empty payload |
//!
//! The upper four bits of the first byte are the version, 4; the lower ones the kind, of which 3 to 15 are free for other
//! traffic. Numbers are big-endian. All parts of a transfer but the last one hold equally many bytes. The last one ends
//! with a CRC-32C over transfer number, last index and bundle: a part that comes from another transfer (an old one with
//! the same number, another sender on the same channel) makes the checksum fail, and the transfer is dropped whole.
//! A counted payload is for studies of routing: a simulator reckons with [`on_air_len`] bytes, and nothing carries them. A node takes
//! such frames only when it is told to.
//! A whole bundle has no checksum here: the link's own and the bundle's blocks guard it.

mod fragmenter;
mod frame;
mod reassembler;

pub use fragmenter::{Fragmenter, FragmenterError, max_bundle_bytes};
pub use frame::{
    FrameError, MAX_PARTS, MIN_MTU, PART_HEADER_LEN, WHOLE_HEADER_LEN, counted_frame, on_air_len, whole_frame,
};
pub use reassembler::{Accepted, Counters, Reassembler, ReassemblyLimits};

#[cfg(test)]
mod tests;
