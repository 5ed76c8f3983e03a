//! [`Bundle::encode`]: the one deterministic encoding of a bundle.

use alloc::vec::Vec;

use super::{
    Bundle,
    block::{Block, BlockKind},
};
use crate::cbor::{self, head_len};

/// Room that an encoding has left, in bytes: the header of a frame around it then needs no other memory.
const FRAME_ROOM: usize = 5;

impl Bundle {
    /// The bundle's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_len() + FRAME_ROOM);
        self.encode_into(&mut out);
        out
    }

    /// Appends the bundle's bytes to `out`. The payload is copied once.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        out.reserve(self.encoded_len());
        // RFC 9171 §4.1: the bundle is the one array of indefinite length.
        out.push(cbor::INDEFINITE_ARRAY);
        out.extend_from_slice(&self.primary_wire);
        for block in &self.blocks {
            block.encode_into(out);
        }
        self.payload.encode_into(out);
        out.push(cbor::BREAK);
    }

    /// How many bytes [`Bundle::encode`] gives.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let blocks: usize = self.blocks.iter().map(Block::encoded_len).sum();
        2 + self.primary_wire.len() + blocks + self.payload.encoded_len()
    }
}

impl Block {
    fn encode_into(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let Self { kind: BlockKind(kind), number, flags, crc, data, indefinite } = self;
        if *indefinite {
            out.push(cbor::INDEFINITE_ARRAY);
        } else {
            cbor::put_head(out, cbor::ARRAY, 5 + u64::from(!crc.is_empty()));
        }
        cbor::put_uint(out, *kind);
        cbor::put_uint(out, *number);
        cbor::put_uint(out, flags.0);
        cbor::put_uint(out, u64::from(crc.code()));
        cbor::put_bytes(out, data);
        crc.put(out, start);
    }

    fn encoded_len(&self) -> usize {
        let heads = [self.kind.0, self.number, self.flags.0, self.data.len() as u64].map(head_len);
        let crc = if self.crc.is_empty() { 0 } else { 1 + self.crc.len() };
        2 + usize::from(self.indefinite) + heads.iter().sum::<usize>() + self.data.len() + crc
    }
}
