//! Compressed payloads: Zstandard (RFC 8878), marked by an extension block of our own.
//!
//! The block has type [`BlockKind::COMPRESSION`], of the range for private use (RFC 9171 §9.1), and the data `[algorithm, length]`: 1 for
//! Zstandard, and the payload's length before. It is in every fragment. A node that does not know it deletes the bundle, since an
//! application would take the compressed bytes for the payload; so only traffic between nodes of our kind is to be compressed.
//!
//! A payload is compressed by its source after an envelope was sealed around the content, and restored at the destination before the
//! envelope is opened: a signature covers what was said, whichever encoder ran, and envelopes keep their one encoding. The price is
//! that a relay cannot read a compressed envelope's purpose, so what is expedited stays as it is.

use alloc::vec::Vec;
use ruzstd::{
    decoding::{BlockDecodingStrategy, FrameDecoder},
    encoding::{CompressionLevel, compress_to_vec},
};

use super::{
    Bundle,
    block::{Block, BlockKind},
    decode::{FORWARDERS, MAX_BLOCKS},
    error::CompressionError,
    flags::BlockFlags,
};
use crate::cbor::{self, Reader};

/// Zstandard.
const ZSTD: u64 = 1;
/// Bytes after which the output so far is looked at.
const STEP: usize = 1 << 16;
/// The window that the encoder asks for, whatever it encodes.
const ENCODER_WINDOW: u64 = 1 << 17;
/// The largest window that is taken from a peer, as RFC 8878 §3.1.1.1.2 recommends.
const MAX_WINDOW: u64 = 8 << 20;

impl Bundle {
    /// Compresses the payload when that makes the bundle smaller by `margin_percent` of the payload, and says whether it did.
    ///
    /// For a source only: fragments, encapsulated and encrypted payloads, and bundles with all blocks that are allowed stay as they are.
    pub fn compress(&mut self, margin_percent: u8) -> bool {
        let others = self.blocks.iter().filter(|block| !FORWARDERS.contains(&block.kind)).count();
        let secured = [BlockKind::COMPRESSION, BlockKind::BLOCK_INTEGRITY, BlockKind::BLOCK_CONFIDENTIALITY];
        if self.primary.fragment.is_some()
            || others >= MAX_BLOCKS
            || secured.iter().any(|kind| self.block(*kind).is_some())
        {
            return false;
        }
        let length = self.payload.data.len();
        let compressed = compress_to_vec(&self.payload.data[..], CompressionLevel::Fastest);
        let allowed = length - (length / 100).saturating_mul(usize::from(margin_percent.min(100)));
        if compressed.len() + MARK_BYTES >= allowed {
            return false;
        }
        let mut mark = Vec::with_capacity(12);
        cbor::put_head(&mut mark, cbor::ARRAY, 2);
        cbor::put_uint(&mut mark, ZSTD);
        cbor::put_uint(&mut mark, length as u64);
        let flags = BlockFlags::REPLICATE.with(BlockFlags::DELETE_BUNDLE_IF_UNPROCESSED);
        self.push_block(BlockKind::COMPRESSION, flags, mark);
        self.payload.data = compressed;
        true
    }

    /// Restores a compressed payload of at most `max` bytes; a bundle without the mark stays as it is.
    ///
    /// The length is judged before memory is taken, and the output grows by steps, so that a few bytes never become gigabytes.
    ///
    /// # Errors
    /// When the mark is malformed or repeated, tells another algorithm or more than `max` bytes, or the payload is not what it tells. The
    /// bundle is then unchanged.
    pub fn decompress(&mut self, max: usize) -> Result<(), CompressionError> {
        let mut marks = self.blocks.iter().filter(|block| block.kind == BlockKind::COMPRESSION);
        let Some(mark) = marks.next() else { return Ok(()) };
        if marks.next().is_some() {
            return Err(CompressionError::Mark);
        }
        let length = read_mark(mark)?;
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length <= max)
            .ok_or(CompressionError::TooLarge { found: length, max })?;
        self.payload.data = expand(&self.payload.data, length)?;
        self.remove_block(BlockKind::COMPRESSION);
        Ok(())
    }
}

/// What the mark takes on the wire, with its checksum, nearly.
const MARK_BYTES: usize = 24;

fn read_mark(mark: &Block) -> Result<u64, CompressionError> {
    let read = || {
        let mut reader = Reader::new(&mark.data);
        reader.array_of(2)?;
        let fields = (reader.uint()?, reader.uint()?);
        reader.end().map(|()| fields)
    };
    match read() {
        Ok((ZSTD, length)) => Ok(length),
        Ok((found, _)) => Err(CompressionError::Algorithm { found }),
        Err(_) => Err(CompressionError::Mark),
    }
}

/// The `length` bytes that one Zstandard frame holds, no more and no fewer.
fn expand(frame: &[u8], length: usize) -> Result<Vec<u8>, CompressionError> {
    let mut rest = frame;
    let mut decoder = FrameDecoder::new();
    decoder.set_max_window_size((length as u64).clamp(ENCODER_WINDOW, MAX_WINDOW).next_power_of_two());
    decoder.init(&mut rest).map_err(|_| CompressionError::Frame)?;
    let mut out = Vec::new();
    loop {
        let done = decoder
            .decode_blocks(&mut rest, BlockDecodingStrategy::UptoBytes(STEP))
            .map_err(|_| CompressionError::Frame)?;
        if let Some(part) = decoder.collect() {
            out.extend_from_slice(&part);
        }
        if out.len() + decoder.can_collect() > length {
            return Err(CompressionError::Length { at_least: out.len(), expected: length });
        }
        if done {
            break;
        }
    }
    if out.len() != length {
        return Err(CompressionError::Length { at_least: out.len(), expected: length });
    }
    if rest.is_empty() { Ok(out) } else { Err(CompressionError::Frame) }
}

#[cfg(test)]
#[path = "compression_tests.rs"]
mod tests;
