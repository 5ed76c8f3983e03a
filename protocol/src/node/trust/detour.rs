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

/// Answers that were not heard say little, since anybody can bring a copy of what a member sent: they count once in this time for each member, and
/// never make a neighbour avoided for longer than [`AVOIDED`].
const HEARD_OF: Duration = Duration::from_secs(60);

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
    /// When an answer to each member was last found not to be heard.
    unheard: BTreeMap<NodeId, Instant>,
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
            self.doubt(neighbour, MAX_DOUBLINGS);
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

    /// Whether it would count that an answer to a member was not heard: it left by a neighbour, and none was found so lately.
    pub(super) fn may_doubt_way_of(&self, member: NodeId) -> bool {
        let Some(trusting) = &self.trusting else { return false };
        let lately = trusting.detours.unheard.get(&member).map(|at| at.saturating_add(HEARD_OF));
        trusting.detours.answers.contains_key(&member) && lately.is_none_or(|until| until <= self.now)
    }

    /// A member sends again what was answered, and has signed it: the answer has not come through.
    pub(super) fn note_unheard_answer(&mut self, member: NodeId) {
        let now = self.now;
        let Some(trusting) = self.trusting.as_mut() else { return };
        if let Some(neighbour) = trusting.detours.answers.remove(&member) {
            trusting.detours.unheard.insert(member, now);
            self.doubt(neighbour, 0);
        }
    }

    fn doubt(&mut self, neighbour: NodeId, max_doublings: u32) {
        let now = self.now;
        let Some(trusting) = self.trusting.as_mut() else { return };
        let known = trusting.detours.neighbours.entry(neighbour).or_default();
        if known.silent >= DOUBTFUL && known.until.saturating_add(AVOIDED) < now {
            // Long since tried again: what was is no reason to avoid it for ever longer.
            known.silent = DOUBTFUL - 1;
        }
        let further = (known.silent + 1).saturating_sub(DOUBTFUL).min(max_doublings);
        if known.silent < DOUBTFUL + further {
            known.silent += 1;
        }
        if known.silent >= DOUBTFUL {
            let until = now.saturating_add(AVOIDED.saturating_mul(1 << further));
            known.until = known.until.max(until);
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
