//! Which hashes make a proof, wherever the subtrees of the log come from.

use super::{
    hash::{EMPTY_ROOT, Hash, node_hash},
    span::Places,
};
use alloc::vec::Vec;

/// The proof that leaf `index` is in the log of `size` entries (RFC 9162 §2.1.3.1), nearest sibling first.
///
/// `node` gives the root of the complete subtree of `2^level` leaves from a leaf on. `None` where it cannot, or there is no such leaf.
pub fn inclusion_path(
    index: u64,
    size: u64,
    mut node: impl FnMut(u64, u32) -> Option<Hash>,
) -> Option<Vec<Hash>> {
    if index >= size {
        return None;
    }
    let (mut start, mut end, mut proof) = (0, size, Vec::new());
    // From the root downwards; the RFC lists the nearest sibling first.
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            proof.push(cover(middle, end, &mut node)?);
            end = middle;
        } else {
            proof.push(cover(start, middle, &mut node)?);
            start = middle;
        }
    }
    proof.reverse();
    Some(proof)
}

/// The proof that the log of `to` entries begins with that of `from` (RFC 9162 §2.1.4.1).
///
/// It asks for subtrees on either side of `from` only, the largest complete ones each: the two spans `0..from` and `from..to` have them all.
pub fn consistency_path(
    from: u64,
    to: u64,
    mut node: impl FnMut(u64, u32) -> Option<Hash>,
) -> Option<Vec<Hash>> {
    let mut proof = Vec::new();
    if from > to {
        return None;
    }
    if from == 0 || from == to {
        return Some(proof);
    }
    let (mut start, mut end) = (0, to);
    while end != from {
        let middle = start + split(end - start);
        if from <= middle {
            proof.push(cover(middle, end, &mut node)?);
            end = middle;
        } else {
            proof.push(cover(start, middle, &mut node)?);
            start = middle;
        }
    }
    // What is left is a complete subtree of the shorter log: the verifier knows it only when it is the whole of it.
    if start > 0 {
        proof.push(cover(start, end, &mut node)?);
    }
    proof.reverse();
    Some(proof)
}

/// The root over the leaves `start..end`, where `start` is 0 or a multiple of the largest power of two that is not above the length.
pub(super) fn cover(start: u64, end: u64, node: &mut impl FnMut(u64, u32) -> Option<Hash>) -> Option<Hash> {
    let mut subtrees = Vec::new();
    for (at, level) in (Places { at: start, end }) {
        subtrees.push(node(at, level)?);
    }
    Some(subtrees.into_iter().rev().reduce(|right, left| node_hash(&left, &right)).unwrap_or(EMPTY_ROOT))
}

/// The largest power of two below `size`, which is 2 or more.
const fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}
