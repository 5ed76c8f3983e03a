//! [`Life`]: a member's name in the gossip.

use crate::id::NodeId;

/// A node in one of its lives: after a crash, or when it was taken for dead, it begins another one, which wins over all before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Life {
    /// Whose.
    pub node: NodeId,
    /// The node's incarnation, as its host counts.
    pub incarnation: u32,
    /// How often it came back within that.
    pub renewal: u16,
}

impl foca::Identity for Life {
    type Addr = NodeId;

    fn renew(&self) -> Option<Self> {
        self.renewal.checked_add(1).map(|renewal| Self { renewal, ..*self })
    }

    fn addr(&self) -> NodeId {
        self.node
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        (self.incarnation, self.renewal) > (adversary.incarnation, adversary.renewal)
    }
}
