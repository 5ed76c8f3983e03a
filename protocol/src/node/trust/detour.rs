//! Neighbours that take messages and bring none on: what goes by them is not answered, so others are preferred.
//!
//! Nobody is accused: a link may be one-way, a relay full. A node remembers by which neighbour each of its messages left, and how many in a
//! row were not answered in time. From the second on, other neighbours are preferred for a while, for its own messages and for what it carries;
//! where there is no other way the neighbour is as good as before.

use crate::{
    dtn::store::StoreKey,
    id::NodeId,
    node::{Node, StreamKey},
    time::Instant,
};
use alloc::{collections::BTreeMap, vec::Vec};
use core::time::Duration;

/// So many messages in a row without an answer make a neighbour doubtful.
const DOUBTFUL: u32 = 2;
/// For so long others are preferred; it doubles with each further silence, at most [`MAX_DOUBLINGS`] times.
const AVOIDED: Duration = Duration::from_secs(600);
const MAX_DOUBLINGS: u32 = 6;

/// What became of what left by a neighbour.
#[derive(Clone, Copy, Debug, Default)]
struct Neighbour {
    /// Messages in a row that were not answered in time.
    silent: u32,
    /// Until then others are preferred.
    until: Instant,
}

/// The ways of this node's messages. At most one for each message that is not acknowledged, and one line for each neighbour that was
/// silent.
#[derive(Debug, Default)]
pub(in crate::node) struct Detours {
    ways: BTreeMap<(StreamKey, u64), NodeId>,
    /// The neighbour by which the last answer to each member left: who sends again has not heard it.
    answers: BTreeMap<NodeId, NodeId>,
    neighbours: BTreeMap<NodeId, Neighbour>,
}

impl Node {
    /// A message left by a neighbour that is to bring it on.
    pub(in crate::node) fn note_way(&mut self, neighbour: NodeId, stream: StreamKey, sequence: u64) {
        let Some(trusting) = self.trusting.as_mut().filter(|_| neighbour != stream.peer) else { return };
        trusting.detours.ways.insert((stream, sequence), neighbour);
    }

    /// A message was not answered in time.
    pub(in crate::node) fn note_silence(&mut self, stream: StreamKey, sequence: u64) {
        let Some(trusting) = self.trusting.as_mut() else { return };
        if let Some(neighbour) = trusting.detours.ways.remove(&(stream, sequence)) {
            self.doubt(neighbour);
        }
    }

    /// A bundle of this node's own that is no message left by a neighbour: an acknowledgement, as far as it goes to a member.
    pub(in crate::node) fn note_way_of_answer(&mut self, neighbour: NodeId, key: StoreKey) {
        let Some(trusting) = self.trusting.as_mut() else { return };
        let Some(primary) = self.store.get(key).map(|entry| entry.value.bundle.primary()) else { return };
        let (source, destination) = (primary.source.node(), primary.destination.node());
        let Some(member) = destination.filter(|member| *member != neighbour) else { return };
        if source == Some(self.config.id) && self.config.directory.key(member).is_some() {
            trusting.detours.answers.insert(member, neighbour);
        }
    }

    /// A member sends again what was answered: the answer has not come through.
    pub(in crate::node) fn note_unheard_answer(&mut self, member: NodeId) {
        let Some(trusting) = self.trusting.as_mut() else { return };
        if let Some(neighbour) = trusting.detours.answers.remove(&member) {
            self.doubt(neighbour);
        }
    }

    fn doubt(&mut self, neighbour: NodeId) {
        let now = self.now;
        let Some(trusting) = self.trusting.as_mut() else { return };
        let known = trusting.detours.neighbours.entry(neighbour).or_default();
        known.silent = known.silent.saturating_add(1);
        if let Some(further) = known.silent.checked_sub(DOUBTFUL) {
            let span = AVOIDED.saturating_mul(1 << further.min(MAX_DOUBLINGS));
            known.until = now.saturating_add(span);
        }
    }

    /// A message was acknowledged, or is given up.
    pub(in crate::node) fn note_answer(&mut self, stream: StreamKey, sequence: u64, acknowledged: bool) {
        let Some(trusting) = self.trusting.as_mut() else { return };
        let way = trusting.detours.ways.remove(&(stream, sequence));
        if let Some(neighbour) = way.filter(|_| acknowledged) {
            trusting.detours.neighbours.remove(&neighbour);
        }
    }

    /// Neighbours that others are preferred to now, for what goes to `destination`: the most doubtful first.
    pub(in crate::node) fn doubtful(&self, destination: NodeId) -> Vec<NodeId> {
        let Some(trusting) = &self.trusting else { return Vec::new() };
        let known = trusting.detours.neighbours.iter();
        let doubtful = known.filter(|(node, known)| known.until > self.now && **node != destination);
        let mut doubtful: Vec<(u32, NodeId)> = doubtful.map(|(node, known)| (known.silent, *node)).collect();
        doubtful.sort_unstable_by(|a, b| b.cmp(a));
        doubtful.into_iter().map(|(_, node)| node).collect()
    }
}
