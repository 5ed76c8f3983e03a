//! [`Span`]: a stretch of a log as the roots of its complete subtrees, so few that a log of any length is known by some 60 hashes.
//!
//! Known as a *compact range*: the leaves from `begin` to `end` are covered from left to right by the largest complete subtrees that lie
//! within. A span that begins at 0 is the log's frontier: all that is needed to go on appending.

use super::hash::{EMPTY_ROOT, Hash, node_hash};
use crate::cbor::{self, CborError, Reader};
use alloc::vec::Vec;

/// Most hashes in a span: it climbs to the largest subtree and descends again.
const MAX_HASHES: u64 = 126;

/// The leaves `begin..end` of a log, by their complete subtrees from left to right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Span {
    begin: u64,
    end: u64,
    subtrees: Vec<Hash>,
}

impl Span {
    /// No leaves, from `begin` on.
    #[must_use]
    pub const fn empty(begin: u64) -> Self {
        Self { begin, end: begin, subtrees: Vec::new() }
    }

    /// The number of the first leaf.
    #[must_use]
    pub const fn begin(&self) -> u64 {
        self.begin
    }

    /// The number after the last leaf: of a frontier, the log's size.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.end
    }

    /// Appends a leaf. O(1) hashes on average, O(log n) at most.
    pub fn push(&mut self, leaf: Hash) {
        self.push_subtree(leaf, 0);
    }

    /// Appends the subtree over the next `2^level` leaves, and joins what has become complete.
    fn push_subtree(&mut self, mut node: Hash, mut level: u32) {
        debug_assert!(self.end.is_multiple_of(1 << level), "a subtree stands at a multiple of its size");
        let mut start = self.end;
        self.end += 1 << level;
        // A node is a right child when its place at its level is odd; its sibling is here if it lies within the span.
        while start >> level & 1 == 1 && start - (1 << level) >= self.begin {
            let Some(left) = self.subtrees.pop() else { break };
            node = node_hash(&left, &node);
            start -= 1 << level;
            level += 1;
        }
        self.subtrees.push(node);
    }

    /// Appends the span that follows on this one; another changes nothing, and `false` is returned.
    pub fn join(&mut self, next: &Self) -> bool {
        if next.begin != self.end {
            return false;
        }
        for (_, level, node) in next.subtrees() {
            self.push_subtree(node, level);
        }
        true
    }

    /// Its subtrees from left to right: first leaf, level and root of each.
    pub(super) fn subtrees(&self) -> impl Iterator<Item = (u64, u32, Hash)> {
        let mut places = Places { at: self.begin, end: self.end };
        self.subtrees.iter().filter_map(move |node| {
            let (start, level) = places.next()?;
            Some((start, level, *node))
        })
    }

    /// The root of the tree over all leaves (RFC 9162 §2.1.1); `None` for a span that does not begin at 0. O(log n) hashes.
    #[must_use]
    pub fn root(&self) -> Option<Hash> {
        if self.begin != 0 {
            return None;
        }
        Some(
            self.subtrees
                .iter()
                .rev()
                .copied()
                .reduce(|right, left| node_hash(&left, &right))
                .unwrap_or(EMPTY_ROOT),
        )
    }

    /// Appends `[begin, end, subtrees as one byte string]`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        cbor::put_head(out, cbor::ARRAY, 3);
        cbor::put_uint(out, self.begin);
        cbor::put_uint(out, self.end);
        cbor::put_head(out, cbor::BYTES, self.subtrees.len() as u64 * 32);
        self.subtrees.iter().for_each(|node| out.extend_from_slice(node));
    }

    /// Reads what [`Span::encode`] wrote.
    ///
    /// # Errors
    /// When it is something else, or does not hold the number of subtrees that its leaves need.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let at = reader.position();
        reader.array_of(3)?;
        let (begin, end) = (reader.uint()?, reader.uint()?);
        let bytes = reader.bytes()?;
        let (nodes, rest) = bytes.as_chunks::<32>();
        let expected = if begin <= end && end <= 1 << 62 {
            Places { at: begin, end }.count() as u64
        } else {
            MAX_HASHES + 1
        };
        if !rest.is_empty() || nodes.len() as u64 != expected {
            return Err(CborError::Items { at, expected, found: nodes.len() as u64 });
        }
        Ok(Self { begin, end, subtrees: nodes.to_vec() })
    }
}

/// The places of the largest complete subtrees within a stretch of leaves: first leaf and level.
pub(super) struct Places {
    pub(super) at: u64,
    pub(super) end: u64,
}

impl Iterator for Places {
    type Item = (u64, u32);

    fn next(&mut self) -> Option<(u64, u32)> {
        let left = self.end.checked_sub(self.at).filter(|left| *left > 0)?;
        let level = self.at.trailing_zeros().min(left.ilog2());
        let start = self.at;
        self.at += 1 << level;
        Some((start, level))
    }
}
