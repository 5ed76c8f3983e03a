//! The frames' format: [`Frame`].

use alloc::vec::Vec;

use crate::bundle::{absent_len, crc_32c};

/// What a frame that holds a whole bundle adds to it, in bytes.
pub const WHOLE_HEADER_LEN: usize = 1;
/// What a frame that holds a part of a bundle adds to it, in bytes.
pub const PART_HEADER_LEN: usize = 6;
/// The most parts that a bundle may be split into.
pub const MAX_PARTS: usize = 1 << 12;
/// The smallest frame that parts fit into: one byte of data beside the header.
pub const MIN_MTU: usize = PART_HEADER_LEN + 1;
/// What the last part adds: a CRC-32C over the transfer, in bytes.
pub(super) const CHECKSUM_LEN: usize = 4;

const WHOLE: u8 = 0x40;
const PART: u8 = 0x41;
const COUNTED: u8 = 0x42;
/// What a frame whose payload is counted adds to its bundle, in bytes. None of them but the first is on air.
const COUNTED_HEADER_LEN: usize = 5;

/// Why a frame is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A frame without a byte.
    #[error("empty frame")]
    Empty,
    /// A version or kind that is not known.
    #[error("unknown first byte {found:#04x}")]
    Kind {
        /// The first byte.
        found: u8,
    },
    /// A frame that ends before its data starts.
    #[error("frame of {found} bytes holds no data")]
    Short {
        /// Bytes found.
        found: usize,
    },
    /// An index above the last one, or a transfer of a single part.
    #[error("part {index} of a transfer whose last part is {last}")]
    Index {
        /// The part's index.
        index: u16,
        /// The last index.
        last: u16,
    },
    /// A part of another length than the transfer's others.
    #[error("part of {found} bytes, expected {expected}")]
    Length {
        /// Bytes found.
        found: usize,
        /// Bytes that the other parts have.
        expected: usize,
    },
    /// A transfer that would take more memory than a peer may have.
    #[error("transfer of {found} bytes, at most {max} are allowed")]
    TooLarge {
        /// Bytes that the transfer may come to.
        found: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// All parts are there, and the checksum does not hold.
    #[error("checksum of transfer {transfer} does not hold")]
    Checksum {
        /// The transfer.
        transfer: u16,
    },
}

impl FrameError {
    /// A stable word for counters and traces.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Empty | Self::Short { .. } => "short_frame",
            Self::Kind { .. } => "unknown_frame",
            Self::Index { .. } => "bad_part_index",
            Self::Length { .. } => "bad_part_length",
            Self::TooLarge { .. } => "transfer_too_large",
            Self::Checksum { .. } => "transfer_checksum",
        }
    }
}

/// A part's place in its bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PartHeader {
    pub(super) transfer: u16,
    pub(super) index: u16,
    pub(super) last: u16,
}

/// A frame, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    Whole(&'a [u8]),
    /// A bundle, and the bytes of its payload, which is counted and not carried.
    Counted(&'a [u8], u32),
    Part(PartHeader, &'a [u8]),
}

impl<'a> Frame<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let short = FrameError::Short { found: bytes.len() };
        let (kind, rest) = bytes.split_first().ok_or(FrameError::Empty)?;
        match *kind {
            WHOLE if rest.is_empty() => Err(short),
            WHOLE => Ok(Self::Whole(rest)),
            PART => {
                let (&[high, low, a, b, c], data) = rest.split_first_chunk::<5>().ok_or(short)?;
                let transfer = u16::from_be_bytes([high, low]);
                let index = u16::from(a) << 4 | u16::from(b) >> 4;
                let last = u16::from(b & 0x0f) << 8 | u16::from(c);
                if data.is_empty() {
                    return Err(short);
                }
                if index > last || last == 0 {
                    return Err(FrameError::Index { index, last });
                }
                Ok(Self::Part(PartHeader { transfer, index, last }, data))
            }
            COUNTED => match rest.split_first_chunk::<4>() {
                Some((absent, bundle)) if !bundle.is_empty() => {
                    Ok(Self::Counted(bundle, u32::from_be_bytes(*absent)))
                }
                _ => Err(short),
            },
            found => Err(FrameError::Kind { found }),
        }
    }
}

pub(super) fn put_whole(out: &mut Vec<u8>, bundle: &[u8]) {
    out.push(WHOLE);
    out.extend_from_slice(bundle);
}

/// A frame with a whole bundle whose payload of `absent` bytes is counted and not carried.
#[must_use]
pub fn counted_frame(mut bundle: Vec<u8>, absent: u32) -> Vec<u8> {
    let [a, b, c, d] = absent.to_be_bytes();
    bundle.extend_from_slice(&[COUNTED, a, b, c, d]);
    bundle.rotate_right(COUNTED_HEADER_LEN);
    bundle
}

/// A frame with a whole bundle, in the bundle's own memory.
#[must_use]
pub fn whole_frame(mut bundle: Vec<u8>) -> Vec<u8> {
    bundle.insert(0, WHOLE);
    bundle
}

/// How many bytes a frame has on air: as many as it is long, unless its payload is counted.
#[must_use]
pub fn on_air_len(frame: &[u8]) -> usize {
    match Frame::parse(frame) {
        Ok(Frame::Counted(bundle, absent)) => WHOLE_HEADER_LEN + bundle.len() + absent_len(absent),
        _ => frame.len(),
    }
}

pub(super) fn put_part_header(out: &mut Vec<u8>, PartHeader { transfer, index, last }: PartHeader) {
    let [high, low] = transfer.to_be_bytes();
    out.extend_from_slice(&[
        PART,
        high,
        low,
        (index >> 4) as u8,
        (index << 4) as u8 | (last >> 8) as u8,
        last as u8,
    ]);
}

/// The checksum of a transfer, big-endian.
pub(super) fn checksum(transfer: u16, last: u16, bundle: &[u8]) -> [u8; CHECKSUM_LEN] {
    crc_32c(&[&transfer.to_be_bytes(), &last.to_be_bytes(), bundle]).to_be_bytes()
}
