//! Minimal TCP convergence layer (draft-ietf-dtn-mtcpcl-01): each bundle is one CBOR byte string, one after another, on a TCP
//! connection that carries bundles one way.
//!
//! There is no acknowledgement: bytes that TCP took may be lost with the connection.

mod parser;

pub use parser::{MtcpError, Parser};

use crate::cbor::{BYTES, head_len, put_head};
use alloc::vec::Vec;

/// What a frame adds to a bundle of `len` bytes.
#[must_use]
pub const fn overhead(len: usize) -> usize {
    head_len(len as u64)
}

/// Appends the frame of `bundle`.
pub fn put_frame(out: &mut Vec<u8>, bundle: &[u8]) {
    out.reserve(overhead(bundle.len()) + bundle.len());
    put_head(out, BYTES, bundle.len() as u64);
    out.extend_from_slice(bundle);
}

#[cfg(test)]
mod tests;
