//! [`Moments`]: which sizes of its own log a node has to be able to prove something about.

use crate::{id::NodeId, log::MAX_MARKS};
use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    vec::Vec,
};

/// Sizes that were told lately to whomever: third parties hear of them.
const MAX_TOLD: usize = 64;
/// Sizes that are remembered of those told to one peer since it last said what it knows: the first two and the last two.
const TOLD_TO_ONE: usize = 4;

/// The moments that others know of, or may come to know of. Beyond [`MAX_MARKS`] of them the log itself drops the oldest.
#[derive(Debug, Default)]
pub(super) struct Moments {
    /// The sizes that each peer says to know.
    known_by: BTreeMap<NodeId, Vec<u64>>,
    told_to: BTreeMap<NodeId, Vec<u64>>,
    told: VecDeque<u64>,
    /// Those that the log remembered before a restart, until everybody has said again what it knows.
    pub(super) restored: BTreeSet<u64>,
}

impl Moments {
    /// A peer is told of the log at this size.
    pub(super) fn tell(&mut self, peer: NodeId, size: u64) {
        self.told.push_back(size);
        if self.told.len() > MAX_TOLD {
            self.told.pop_front();
        }
        let sizes = self.told_to.entry(peer).or_default();
        if sizes.last() != Some(&size) {
            if sizes.len() >= TOLD_TO_ONE {
                sizes.remove(TOLD_TO_ONE / 2);
            }
            sizes.push(size);
        }
    }

    /// A peer says what it knows and asks about.
    pub(super) fn hear(&mut self, peer: NodeId, sizes: Vec<u64>) {
        let newest = sizes.iter().max().copied().unwrap_or(0);
        if let Some(told) = self.told_to.get_mut(&peer) {
            // What was told since may still be on its way.
            told.retain(|size| *size > newest);
        }
        self.known_by.insert(peer, sizes);
    }

    /// The sizes that a peer says to know.
    pub(super) fn known_by(&self, peer: NodeId) -> &[u64] {
        self.known_by.get(&peer).map_or(&[], Vec::as_slice)
    }

    /// How many peers have said what they know.
    pub(super) fn peers(&self) -> usize {
        self.known_by.len()
    }

    /// All sizes that are needed.
    pub(super) fn needed(&self) -> BTreeSet<u64> {
        let peers = self.known_by.values().chain(self.told_to.values()).flatten();
        peers.chain(&self.told).chain(&self.restored).copied().collect()
    }

    /// The log came back with what it remembered.
    pub(super) fn restore(&mut self, marks: impl Iterator<Item = u64>) {
        self.restored = marks.take(MAX_MARKS).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_may_still_ask_about_is_needed_however_much_others_are_told() {
        let mut moments = Moments::default();
        moments.tell(NodeId(2), 10);
        for size in 11..200 {
            moments.tell(NodeId(3), size);
        }
        assert!(moments.needed().contains(&10) && moments.needed().contains(&199));
        assert!(moments.needed().len() <= MAX_TOLD + 2 * TOLD_TO_ONE, "{}", moments.needed().len());
        moments.hear(NodeId(2), [5].to_vec());
        assert!(moments.needed().contains(&10), "on its way when the peer wrote");
        moments.hear(NodeId(2), [10].to_vec());
        assert_eq!(moments.known_by(NodeId(2)), [10]);
        moments.restore([1, 2].into_iter());
        assert!(moments.needed().contains(&1));
    }
}
