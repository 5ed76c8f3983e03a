//! [`Journal`]: a node's own log, in memory that does not grow with it.
//!
//! It keeps the frontier, and the spans between the moments at which others were told of it: enough to go on appending, and to prove to each
//! of them that what is now grew out of what they know. The entries themselves are the host's to keep.

use super::{
    checkpoint::{Checkpoint, LogId},
    hash::{Hash, leaf_hash},
    path::consistency_path,
    span::Span,
};
use crate::{
    cbor::{self, CborError, Reader},
    time::DtnTime,
};
use alloc::{collections::BTreeSet, vec::Vec};

/// Most moments that are remembered: beyond them, those that matter least are joined.
pub const MAX_MARKS: usize = 128;

/// A log that appends in O(log n) and takes O(marks · log n) memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    log: LogId,
    /// Contiguous; the first begins at 0, each other one where somebody was told of the log.
    spans: Vec<Span>,
    frontier: Span,
}

impl Journal {
    /// A log without entries.
    #[must_use]
    pub fn new(log: LogId) -> Self {
        Self { log, spans: alloc::vec![Span::empty(0)], frontier: Span::empty(0) }
    }

    /// Which log.
    #[must_use]
    pub const fn id(&self) -> LogId {
        self.log
    }

    /// Entries in it.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.frontier.end()
    }

    /// The root of the tree over them.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.frontier.root().expect("a frontier begins at 0")
    }

    /// Appends an entry.
    pub fn append(&mut self, entry: &[u8]) {
        let leaf = leaf_hash(entry);
        self.frontier.push(leaf);
        if let Some(last) = self.spans.last_mut() {
            last.push(leaf);
        }
    }

    /// What the log is now. From here on, [`Journal::consistency`] can prove that it has only grown.
    pub fn checkpoint(&mut self, time: DtnTime) -> Checkpoint {
        let size = self.size();
        if self.spans.last().is_some_and(|last| last.begin() < size) {
            self.spans.push(Span::empty(size));
        }
        Checkpoint { log: self.log, size, root: self.root(), time }
    }

    /// Forgets the moments that nobody needs any more: all but those of these sizes, and the last. With more than [`MAX_MARKS`] the oldest go.
    pub fn keep_only(&mut self, sizes: &BTreeSet<u64>) {
        let spans = core::mem::take(&mut self.spans);
        let last = spans.len().saturating_sub(1);
        let mut excess = spans.len().saturating_sub(MAX_MARKS);
        for (place, span) in spans.into_iter().enumerate() {
            let needed = place == last || sizes.contains(&span.begin());
            let keep = place == 0 || (needed && (excess == 0 || place == last));
            if keep {
                self.spans.push(span);
            } else if let Some(before) = self.spans.last_mut() {
                excess = excess.saturating_sub(1);
                let joined = before.join(&span);
                debug_assert!(joined, "spans are contiguous");
            }
        }
    }

    /// The proof that the log grew out of the one with `from` entries (RFC 9162 §2.1.4.1); `None` when that moment is not remembered.
    #[must_use]
    pub fn consistency(&self, from: u64) -> Option<Vec<Hash>> {
        if from == 0 || from == self.size() {
            return Some(Vec::new());
        }
        let cut = self.spans.iter().position(|span| span.begin() == from)?;
        let mut before = Span::empty(0);
        self.spans[..cut].iter().for_each(|span| _ = before.join(span));
        let mut after = Span::empty(from);
        self.spans[cut..].iter().for_each(|span| _ = after.join(span));
        let node = |at: u64, level: u32| {
            let side = if at < from { &before } else { &after };
            side.subtrees().find(|(start, high, _)| (*start, *high) == (at, level)).map(|(.., node)| node)
        };
        consistency_path(from, self.size(), node)
    }

    /// The moments that are remembered: all sizes that [`Journal::consistency`] can prove something about.
    pub fn marks(&self) -> impl Iterator<Item = u64> {
        self.spans.iter().map(Span::begin).filter(|begin| *begin > 0)
    }

    /// The root that the log had with `size` entries; `None` when that moment is not remembered.
    #[must_use]
    pub fn root_at(&self, size: u64) -> Option<Hash> {
        if size == self.size() {
            return Some(self.root());
        }
        let cut = self.spans.iter().position(|span| span.begin() == size)?;
        let mut before = Span::empty(0);
        self.spans[..cut].iter().for_each(|span| _ = before.join(span));
        before.root()
    }

    /// The log as bytes, without its entries: what the host keeps to go on with.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        cbor::put_head(&mut out, cbor::ARRAY, 1 + self.spans.len() as u64);
        cbor::put_uint(&mut out, u64::from(self.log.born));
        self.spans.iter().for_each(|span| span.encode(&mut out));
        out
    }

    /// The log of a snapshot of `node`.
    ///
    /// # Errors
    /// When the bytes are none.
    pub fn restore(node: crate::id::NodeId, bytes: &[u8]) -> Result<Self, CborError> {
        let mut reader = Reader::new(bytes);
        let items = reader.array()?;
        let at = reader.position();
        let born = u32::try_from(reader.uint()?).map_err(|_| CborError::NotDeterministic { at })?;
        if !(2..=MAX_MARKS as u64 + 64).contains(&items) {
            return Err(CborError::Items { at, expected: 2, found: items });
        }
        let (mut spans, mut frontier) = (Vec::new(), Span::empty(0));
        for _ in 1..items {
            let at = reader.position();
            let span = Span::decode(&mut reader)?;
            if !frontier.join(&span) {
                return Err(CborError::NotDeterministic { at });
            }
            spans.push(span);
        }
        reader.end()?;
        Ok(Self { log: LogId { node, born }, spans, frontier })
    }
}
