//! [`Directory`]: which key speaks for which node.

use alloc::collections::BTreeMap;

use super::key::PublicKey;
use crate::id::NodeId;

/// The provisioned members of the fleet with their keys. Lookups cost O(log n).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory(BTreeMap<NodeId, PublicKey>);

impl Directory {
    /// A directory without members.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Makes `key` speak for `node`; the key that did so before is returned.
    pub fn insert(&mut self, node: NodeId, key: PublicKey) -> Option<PublicKey> {
        self.0.insert(node, key)
    }

    /// Takes `node` out: its envelopes are refused from now on.
    pub fn remove(&mut self, node: NodeId) -> Option<PublicKey> {
        self.0.remove(&node)
    }

    /// The key that speaks for `node`.
    #[must_use]
    pub fn key(&self, node: NodeId) -> Option<&PublicKey> {
        self.0.get(&node)
    }

    /// The members, by rising node number.
    pub fn members(&self) -> impl Iterator<Item = (NodeId, &PublicKey)> {
        self.0.iter().map(|(node, key)| (*node, key))
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(NodeId, PublicKey)> for Directory {
    fn from_iter<I: IntoIterator<Item = (NodeId, PublicKey)>>(members: I) -> Self {
        Self(members.into_iter().collect())
    }
}
