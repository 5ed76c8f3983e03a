//! How much of one member's messages a node takes: a member that floods is held to its share, and nobody pays for it but the member.
//!
//! Only what a member has signed counts against its share, so no forger can spend it; and the share is asked before a signature is checked,
//! so that a flood costs no arithmetic. What is above it is not acknowledged: an honest sender sends it again, later.

use crate::{delivery::RateMeter, id::NodeId, node::Node};

impl Node {
    /// Whether so many bytes in the name of a member are within its share.
    pub(in crate::node) fn has_share(&self, source: NodeId, bytes: usize) -> bool {
        let Some(trusting) = &self.trusting else { return true };
        let Some(limit) = trusting.config.share else { return true };
        let mut meter = trusting.shares.get(&source).copied().unwrap_or_else(|| RateMeter::new(limit));
        meter.pass(self.now, bytes as u64).is_ok()
    }

    /// A member has signed so many bytes.
    pub(in crate::node) fn spend_share(&mut self, source: NodeId, bytes: usize) {
        let now = self.now;
        let Some(trusting) = self.trusting.as_mut() else { return };
        let Some(limit) = trusting.config.share else { return };
        let meter = trusting.shares.entry(source).or_insert_with(|| RateMeter::new(limit));
        // It was asked before; what came in between is the same member's.
        let _ = meter.pass(now, bytes as u64);
    }
}
