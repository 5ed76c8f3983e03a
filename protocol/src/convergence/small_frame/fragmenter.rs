//! [`Fragmenter`]: a bundle into frames, one at a time.

use alloc::vec::Vec;

use super::frame::{
    CHECKSUM_LEN, MAX_PARTS, MIN_MTU, PART_HEADER_LEN, PartHeader, WHOLE_HEADER_LEN, checksum,
    put_part_header, put_whole,
};

/// The longest bundle that frames of `mtu` bytes can carry; 0 when not even a header fits.
#[must_use]
pub const fn max_bundle_bytes(mtu: usize) -> usize {
    if mtu < MIN_MTU {
        return mtu.saturating_sub(WHOLE_HEADER_LEN);
    }
    let parts = (mtu - PART_HEADER_LEN).saturating_mul(MAX_PARTS) - CHECKSUM_LEN;
    let whole = mtu - WHOLE_HEADER_LEN;
    if parts > whole { parts } else { whole }
}

/// Why a bundle cannot cross in frames of a given size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FragmenterError {
    /// No bundle is empty.
    #[error("empty bundle")]
    Empty,
    /// The bundle is longer than [`max_bundle_bytes`].
    #[error("bundle of {found} bytes, at most {max} fit")]
    TooLong {
        /// Bytes of the bundle.
        found: usize,
        /// Bytes that fit.
        max: usize,
    },
}

/// The frames of one bundle. Each is made when asked for; one that was lost can be made again.
#[derive(Clone, Debug)]
pub struct Fragmenter<'a> {
    bundle: &'a [u8],
    transfer: u16,
    /// Bytes of data in each part but the last.
    part_len: usize,
    checksum: [u8; CHECKSUM_LEN],
    count: usize,
    next: usize,
}

impl<'a> Fragmenter<'a> {
    /// The frames of `bundle`, each at most `mtu` bytes long.
    ///
    /// `transfer` tells bundles under way to the same peer apart: count it up for each bundle that does not fit in one frame.
    ///
    /// # Errors
    /// When the bundle is empty or longer than [`max_bundle_bytes`].
    pub fn new(bundle: &'a [u8], transfer: u16, mtu: usize) -> Result<Self, FragmenterError> {
        if bundle.is_empty() {
            return Err(FragmenterError::Empty);
        }
        let max = max_bundle_bytes(mtu);
        if bundle.len() > max {
            return Err(FragmenterError::TooLong { found: bundle.len(), max });
        }
        let part_len = mtu.saturating_sub(PART_HEADER_LEN);
        if bundle.len() + WHOLE_HEADER_LEN <= mtu {
            return Ok(Self { bundle, transfer, part_len, checksum: [0; 4], count: 1, next: 0 });
        }
        let count = (bundle.len() + CHECKSUM_LEN).div_ceil(part_len);
        let checksum = checksum(transfer, (count - 1) as u16, bundle);
        Ok(Self { bundle, transfer, part_len, checksum, count, next: 0 })
    }

    /// How many frames there are.
    #[must_use]
    pub const fn frames(&self) -> usize {
        self.count
    }

    /// Appends frame `index` to `out`; nothing when there is no such frame.
    pub fn put_frame(&self, index: usize, out: &mut Vec<u8>) {
        if index >= self.count {
            return;
        }
        if self.count == 1 {
            put_whole(out, self.bundle);
            return;
        }
        put_part_header(
            out,
            PartHeader { transfer: self.transfer, index: index as u16, last: (self.count - 1) as u16 },
        );
        // The checksum follows the bundle, and may be cut like it: it can reach into the last two or more parts.
        let (from, to) = (index * self.part_len, (index + 1) * self.part_len);
        let length = self.bundle.len();
        out.extend_from_slice(&self.bundle[from.min(length)..to.min(length)]);
        let tail = |at: usize| at.saturating_sub(length).min(CHECKSUM_LEN);
        out.extend_from_slice(&self.checksum[tail(from)..tail(to)]);
    }
}

impl Iterator for Fragmenter<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.next == self.count {
            return None;
        }
        let data = self.part_len.min(self.bundle.len() + CHECKSUM_LEN);
        let mut frame = Vec::with_capacity(PART_HEADER_LEN + data);
        self.put_frame(self.next, &mut frame);
        self.next += 1;
        Some(frame)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.count - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Fragmenter<'_> {}
