//! [`Parser`]: bundles out of a stream that comes in any pieces.

use crate::cbor::BYTES;
use alloc::vec::Vec;

/// The longest head of a CBOR item.
const MAX_HEAD_LEN: usize = 9;

/// Why a stream is given up: after a bad length nobody knows where the next bundle starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MtcpError {
    /// Not a CBOR byte string.
    #[error("first byte {found:#04x} is not that of a byte string of definite length")]
    NotByteString {
        /// The byte found.
        found: u8,
    },
    /// A bundle beyond the limit. Its length is never allocated.
    #[error("bundle of {found} bytes, at most {max} are taken")]
    TooLarge {
        /// Bytes announced.
        found: u64,
        /// Bytes allowed.
        max: u64,
    },
    /// A byte string of no bytes.
    #[error("empty bundle")]
    Empty,
}

impl MtcpError {
    /// A stable word for counters and traces.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NotByteString { .. } => "not_a_byte_string",
            Self::TooLarge { .. } => "bundle_too_large",
            Self::Empty => "empty_bundle",
        }
    }
}

/// Takes bundles out of a stream. Holds at most one head and the bytes of one bundle that came so far.
#[derive(Clone, Debug)]
pub struct Parser {
    max_bundle_bytes: u64,
    head: Vec<u8>,
    /// Bytes of the bundle that are still to come.
    remaining: u64,
    bundle: Vec<u8>,
    failed: Option<MtcpError>,
}

impl Parser {
    /// A parser at the start of a stream that refuses bundles beyond `max_bundle_bytes`.
    #[must_use]
    pub const fn new(max_bundle_bytes: u64) -> Self {
        Self { max_bundle_bytes, head: Vec::new(), remaining: 0, bundle: Vec::new(), failed: None }
    }

    /// Takes bytes from the front of `stream` up to the end of a bundle, and gives that bundle; `None` when all bytes are taken
    /// and the bundle goes on.
    ///
    /// # Errors
    /// When the stream holds something else, or too long a bundle. The same error is given from then on: the connection is to
    /// be closed.
    pub fn take(&mut self, stream: &mut &[u8]) -> Result<Option<Vec<u8>>, MtcpError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        while self.remaining == 0 {
            let Some((&byte, rest)) = stream.split_first() else { return Ok(None) };
            *stream = rest;
            self.head.push(byte);
            if let Some(len) = self.bundle_len().inspect_err(|error| self.failed = Some(*error))? {
                self.remaining = len;
            }
        }
        let taken = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(stream.len());
        let (data, rest) = stream.split_at(taken);
        *stream = rest;
        self.bundle.extend_from_slice(data);
        self.remaining -= taken as u64;
        if self.remaining > 0 {
            return Ok(None);
        }
        self.head.clear();
        Ok(Some(core::mem::take(&mut self.bundle)))
    }

    /// Whether the stream may end here: no bundle was begun.
    #[must_use]
    pub const fn is_between_bundles(&self) -> bool {
        self.head.is_empty() && self.failed.is_none()
    }

    /// The length in the head, once the head is complete. Longer heads than needed are read too: the draft does not ask for the
    /// shortest.
    fn bundle_len(&self) -> Result<Option<u64>, MtcpError> {
        let found = self.head[0];
        let info = found & 0x1f;
        if found >> 5 != BYTES || info > 27 {
            return Err(MtcpError::NotByteString { found });
        }
        let width = if info < 24 { 0 } else { 1 << (info - 24) };
        debug_assert!(self.head.len() <= MAX_HEAD_LEN);
        if self.head.len() < 1 + width {
            return Ok(None);
        }
        let len = match width {
            0 => u64::from(info),
            _ => self.head[1..].iter().fold(0, |value, byte| value << 8 | u64::from(*byte)),
        };
        match len {
            0 => Err(MtcpError::Empty),
            found if found > self.max_bundle_bytes => {
                Err(MtcpError::TooLarge { found, max: self.max_bundle_bytes })
            }
            len => Ok(Some(len)),
        }
    }
}
