//! [`StaticRoutes`]: a table of next hops.

use crate::id::NodeId;
use alloc::{collections::BTreeMap, vec::Vec};

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaticRoute {
    /// For bundles to this node; `None`: for all that have no line of their own.
    pub destination: Option<NodeId>,
    /// They go to this neighbour.
    pub next: NodeId,
}

/// The table, ready to be asked. A node that is its own neighbour needs no line: without one, a bundle goes to its destination directly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StaticRoutes {
    next: BTreeMap<NodeId, NodeId>,
    default: Option<NodeId>,
}

impl StaticRoutes {
    /// The table of these lines. Of two for one destination the later holds.
    #[must_use]
    pub fn new(lines: &[StaticRoute]) -> Self {
        let next = lines.iter().filter_map(|line| Some((line.destination?, line.next))).collect();
        let default = lines.iter().rev().find(|line| line.destination.is_none()).map(|line| line.next);
        Self { next, default }
    }

    /// The neighbour that a bundle for `destination` goes to. O(log n).
    #[must_use]
    pub fn next_hop(&self, destination: NodeId) -> NodeId {
        self.next.get(&destination).copied().or(self.default).unwrap_or(destination)
    }

    /// The table as lines, for whoever wants to show it.
    #[must_use]
    pub fn lines(&self) -> Vec<StaticRoute> {
        let named = self.next.iter().map(|(to, next)| StaticRoute { destination: Some(*to), next: *next });
        named.chain(self.default.map(|next| StaticRoute { destination: None, next })).collect()
    }
}
