//! [`Tree`]: a whole log's hashes, for whoever proves things about it.

use super::{
    hash::{Hash, node_hash},
    path::{consistency_path, cover, inclusion_path},
};
use alloc::vec::Vec;

/// All complete subtrees of a log, level by level: about two hashes for each entry. Hosts and auditors keep it; a node keeps a
/// [`super::Span`] instead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// The tree of a log without entries.
    #[must_use]
    pub const fn new() -> Self {
        Self { levels: Vec::new() }
    }

    /// How many leaves there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.len() as u64)
    }

    /// Appends a leaf. O(1) hashes on average, O(log n) at most.
    pub fn push(&mut self, leaf: Hash) {
        let mut node = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let row = &mut self.levels[level];
            row.push(node);
            if row.len() % 2 == 1 {
                return;
            }
            node = node_hash(&row[row.len() - 2], &row[row.len() - 1]);
        }
    }

    /// The leaf with this number.
    #[must_use]
    pub fn leaf(&self, index: u64) -> Option<&Hash> {
        self.levels.first()?.get(usize::try_from(index).ok()?)
    }

    /// The root when the log had `size` entries (RFC 9162 §2.1.1); `None` when it has fewer. O(log n) hashes.
    #[must_use]
    pub fn root(&self, size: u64) -> Option<Hash> {
        cover(0, size, &mut |at, level| self.subtree(at, level))
    }

    /// The proof that leaf `index` is in the log of `size` entries (RFC 9162 §2.1.3.1), nearest sibling first. O(log n) hashes.
    #[must_use]
    pub fn inclusion(&self, index: u64, size: u64) -> Option<Vec<Hash>> {
        inclusion_path(index, size, |at, level| self.subtree(at, level))
    }

    /// The proof that the log of `to` entries begins with that of `from` (RFC 9162 §2.1.4.1). Empty when there is nothing to prove.
    /// O(log n) hashes.
    #[must_use]
    pub fn consistency(&self, from: u64, to: u64) -> Option<Vec<Hash>> {
        consistency_path(from, to, |at, level| self.subtree(at, level))
    }

    /// The root of the complete subtree of `2^level` leaves from leaf `at` on, a multiple of that; `None` when it is not complete.
    #[must_use]
    pub fn subtree(&self, at: u64, level: u32) -> Option<Hash> {
        self.levels.get(level as usize)?.get(usize::try_from(at >> level).ok()?).copied()
    }
}

impl FromIterator<Hash> for Tree {
    fn from_iter<I: IntoIterator<Item = Hash>>(leaves: I) -> Self {
        let mut tree = Self::new();
        leaves.into_iter().for_each(|leaf| tree.push(leaf));
        tree
    }
}
