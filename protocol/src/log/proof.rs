//! Proofs and their checks: that an entry is in a log, and that one state of a log grew out of another (RFC 9162 §2.1.3, §2.1.4; the
//! proofs of RFC 6962 are the same bytes).

use super::hash::{EMPTY_ROOT, Hash, node_hash};

/// Why a proof does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The entry would lie beyond the end.
    #[error("entry {index} of a log of {size}")]
    Beyond {
        /// The entry's number.
        index: u64,
        /// The log's size.
        size: u64,
    },
    /// The log would have become shorter.
    #[error("from {from} entries to {to}")]
    Shrunk {
        /// Entries before.
        from: u64,
        /// Entries after.
        to: u64,
    },
    /// More or fewer hashes than the shape of the tree asks for.
    #[error("a proof of {found} hashes has another shape than the tree")]
    Length {
        /// Hashes found.
        found: usize,
    },
    /// The hashes lead to another root.
    #[error("the hashes lead to another root")]
    Root,
}

impl ProofError {
    /// A stable word.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Beyond { .. } => "proof_beyond",
            Self::Shrunk { .. } => "log_shrunk",
            Self::Length { .. } => "proof_length",
            Self::Root => "proof_root",
        }
    }
}

/// Checks that the leaf `index` of the log of `size` entries with `root` is `leaf` (RFC 9162 §2.1.3.2). At most 64 hashes.
///
/// # Errors
/// When it does not follow from the proof.
pub fn verify_inclusion(
    leaf: Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::Beyond { index, size });
    }
    let length = ProofError::Length { found: proof.len() };
    let (mut place, mut last, mut node) = (index, size - 1, leaf);
    for sibling in proof {
        if last == 0 {
            return Err(length);
        }
        if place & 1 == 1 || place == last {
            node = node_hash(sibling, &node);
            let levels = if place & 1 == 1 { 0 } else { place.trailing_zeros() };
            // On the right edge, levels at which the node has no sibling are skipped.
            (place, last) = (place.unbounded_shr(levels), last.unbounded_shr(levels));
        } else {
            node = node_hash(&node, sibling);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    match (last, node == *root) {
        (0, true) => Ok(()),
        (0, false) => Err(ProofError::Root),
        _ => Err(length),
    }
}

/// Checks that the log of `to` entries with `to_root` begins with the log of `from` entries with `from_root` (RFC 9162 §2.1.4.2).
///
/// Every log begins with the empty one, which needs no proof. At most 128 hashes.
///
/// # Errors
/// When it does not follow from the proof.
pub fn verify_consistency(
    (from, from_root): (u64, &Hash),
    (to, to_root): (u64, &Hash),
    proof: &[Hash],
) -> Result<(), ProofError> {
    let length = ProofError::Length { found: proof.len() };
    if from > to {
        return Err(ProofError::Shrunk { from, to });
    }
    if from == 0 && *from_root != EMPTY_ROOT {
        return Err(ProofError::Root);
    }
    if from == 0 || from == to {
        let same = from == 0 && to > 0 || from_root == to_root;
        return match (proof.is_empty(), same) {
            (true, true) => Ok(()),
            (true, false) => Err(ProofError::Root),
            (false, _) => Err(length),
        };
    }
    // Both walks start at the last complete subtree of the shorter log: its root is the first hash, unless it is the whole log.
    let skip = (from - 1).trailing_ones();
    let (mut place, mut last) = ((from - 1) >> skip, (to - 1) >> skip);
    let (start, rest) = if place == 0 {
        (from_root, proof)
    } else {
        let (first, rest) = proof.split_first().ok_or(length)?;
        (first, rest)
    };
    let (mut old, mut new) = (*start, *start);
    for sibling in rest {
        if last == 0 {
            return Err(length);
        }
        if place & 1 == 1 || place == last {
            old = node_hash(sibling, &old);
            new = node_hash(sibling, &new);
            let levels = if place & 1 == 1 { 0 } else { place.trailing_zeros() };
            (place, last) = (place.unbounded_shr(levels), last.unbounded_shr(levels));
        } else {
            new = node_hash(&new, sibling);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    match (last, old == *from_root && new == *to_root) {
        (0, true) => Ok(()),
        (0, false) => Err(ProofError::Root),
        _ => Err(length),
    }
}
