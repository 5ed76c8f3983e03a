//! [`SprayAndWait`]: a bounded number of copies, and the extension block in which they travel.

use super::{Carried, Strategy};
use crate::{
    bundle::BlockKind,
    cbor::{self, Reader},
    id::NodeId,
};
use alloc::vec::Vec;

/// The block with the number of copies that a bundle takes along: one unsigned integer, 1 or more. Ours, in the range for
/// private use (RFC 9171 §9.1: 192 to 255). A node that does not know it discards it, so that the bundle has one copy from
/// there on; and it stays with the first fragment.
pub const COPIES_BLOCK: BlockKind = BlockKind(197);

/// The data of a [`COPIES_BLOCK`].
#[must_use]
pub fn copies_data(copies: u32) -> Vec<u8> {
    let mut data = Vec::with_capacity(5);
    cbor::put_uint(&mut data, u64::from(copies));
    data
}

/// Reads the data of a [`COPIES_BLOCK`]; `None` when it is not a number of copies.
#[must_use]
pub fn read_copies(data: &[u8]) -> Option<u32> {
    let mut reader = Reader::new(data);
    let copies = u32::try_from(reader.uint().ok()?).ok().filter(|copies| *copies > 0)?;
    reader.end().ok().map(|()| copies)
}

/// Copies are given away while there is more than one; the last waits for the destination (Spyropoulos et al. 2005, §3).
///
/// Binary (§3.2, Definition 3.2): of n copies the neighbour gets ⌈n/2⌉. Otherwise the source gives one each.
#[derive(Clone, Copy, Debug)]
pub struct SprayAndWait {
    copies: u32,
    binary: bool,
}

impl SprayAndWait {
    /// At most `copies` of a bundle in all; 0 counts as 1.
    #[must_use]
    pub fn new(copies: u32, binary: bool) -> Self {
        Self { copies: copies.max(1), binary }
    }
}

impl Strategy for SprayAndWait {
    fn initial_copies(&self) -> u32 {
        self.copies
    }

    fn offers(&self, _peer: NodeId, carried: &Carried) -> bool {
        carried.copies > 1
    }

    fn gives(&self, copies: u32) -> u32 {
        match copies {
            0 | 1 => 0,
            _ if self.binary => copies.div_ceil(2),
            _ => 1,
        }
    }
}
