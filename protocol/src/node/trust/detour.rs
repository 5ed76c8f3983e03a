//! Neighbours that take messages and bring none on: what goes by them is not answered, so others are preferred.
//!
//! Nobody is accused: a link may be one-way, a relay full. A node remembers by which neighbour each of its messages left, and how many in a
//! row were not answered in time. From the first on, its own messages go by others where those bring them as soon as an answer is
//! due; from the second on, other neighbours are preferred for a while whatever it costs, for its own messages and for what it carries; where there
//! is no other way the neighbour is as good as before. When that while is over, what nodes tell each other of their keys and logs, which nobody
//! waits for, goes by the neighbour first: users' messages do when that has been answered, or has not been for as long again.
//!
//! An answer speaks for a neighbour only where no copy of the message went another way: which of two copies was answered cannot be told (the
//! rule of Karn and Partridge, RFC 6298 §3).

use crate::{
    bundle::Bundle,
    dtn::{
        routing::{Route, RouteQuery},
        store::{Priority, StoreKey},
    },
    envelope::Purpose,
    id::NodeId,
    node::{Node, StreamKey, send::ACKNOWLEDGEMENT_BYTES},
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
    /// When the last one was found not to be answered.
    last: Instant,
}

impl Neighbour {
    /// Whether users' messages go by others that are as good: it was silent lately, or nothing has been answered since it was avoided.
    fn is_suspect(&self, now: Instant) -> bool {
        self.silent > 0 && now < self.until.max(self.last).saturating_add(AVOIDED)
    }
}

/// By which neighbour a message left last.
#[derive(Clone, Copy, Debug)]
struct Way {
    neighbour: NodeId,
    /// Whether its answer may still come in time.
    awaited: bool,
    /// Whether copies went different ways: an answer speaks for none of them.
    mixed: bool,
}

/// The ways of this node's messages. At most one for each message that is not acknowledged, and one line for each neighbour that was
/// silent.
#[derive(Debug, Default)]
pub(in crate::node) struct Detours {
    ways: BTreeMap<(StreamKey, u64), Way>,
    /// The neighbour by which the last answer to each member left: who sends again has not heard it.
    answers: BTreeMap<NodeId, NodeId>,
    /// The neighbour that brought what each member sent last: the answer goes back by it, where it is as good as another.
    backs: BTreeMap<NodeId, NodeId>,
    neighbours: BTreeMap<NodeId, Neighbour>,
    /// When an answer to each member was last found not to be heard.
    unheard: BTreeMap<NodeId, Instant>,
}

impl Node {
    /// A message left by a neighbour, which is to bring it on or is its destination.
    pub(in crate::node) fn note_way(&mut self, neighbour: NodeId, stream: StreamKey, sequence: u64) {
        let Some(trusting) = self.trusting.as_mut() else { return };
        match trusting.detours.ways.get_mut(&(stream, sequence)) {
            Some(way) if neighbour == stream.peer => *way = Way { awaited: false, mixed: true, ..*way },
            Some(way) => {
                *way = Way { neighbour, awaited: true, mixed: way.mixed || way.neighbour != neighbour }
            }
            None if neighbour == stream.peer => {}
            None => {
                let way = Way { neighbour, awaited: true, mixed: false };
                trusting.detours.ways.insert((stream, sequence), way);
            }
        }
    }

    /// A message was not answered in time, or is known not to have come.
    pub(in crate::node) fn note_silence(&mut self, stream: StreamKey, sequence: u64) {
        let Some(trusting) = self.trusting.as_mut() else { return };
        let way = trusting.detours.ways.get_mut(&(stream, sequence)).filter(|way| way.awaited);
        if let Some(way) = way {
            way.awaited = false;
            let neighbour = way.neighbour;
            self.doubt(neighbour, MAX_DOUBLINGS);
        }
    }

    /// A way for a message around neighbours that were silent lately and the one by which its last copy left in vain, if there is one by which it
    /// arrives before an answer by the best way is overdue.
    pub(in crate::node) fn way_around(
        &mut self,
        (stream, sequence): (StreamKey, u64),
        bundle: &Bundle,
        priority: Priority,
        expires: Instant,
    ) -> Option<Route> {
        let now = self.now;
        let detours = &self.trusting.as_ref()?.detours;
        let vain = detours.ways.get(&(stream, sequence)).map(|way| way.neighbour);
        // What nobody waits for tries who was silent.
        let tries = stream.purpose == Purpose::Trust;
        let suspects = detours
            .neighbours
            .iter()
            .filter(|(_, known)| if tries { now < known.until } else { known.is_suspect(now) });
        let mut suspects: Vec<NodeId> = suspects.map(|(node, _)| *node).chain(vain).collect();
        suspects.retain(|node| *node != stream.peer);
        if suspects.is_empty() {
            return None;
        }
        let bytes = bundle.full_len() as u64;
        let overdue = now.saturating_add(self.round_trip(stream.peer, bytes, expires));
        self.find_way(stream.peer, &suspects, bytes, priority, overdue.min(expires))
    }

    /// A member's message came by this neighbour, or from the member itself.
    pub(in crate::node) fn note_way_back(&mut self, member: NodeId, from: Option<NodeId>) {
        let Some(trusting) = self.trusting.as_mut() else { return };
        match from.filter(|from| *from != member) {
            Some(from) => drop(trusting.detours.backs.insert(member, from)),
            None => drop(trusting.detours.backs.remove(&member)),
        }
    }

    /// The way by which the answer to a member goes back: that of its message, which somebody has just shown to bring things on. An answer that a relay
    /// swallows makes the sender doubt the wrong one.
    pub(in crate::node) fn way_back(&mut self, member: NodeId) -> Option<Route> {
        let now = self.now;
        let detours = &self.trusting.as_ref()?.detours;
        let back = *detours.backs.get(&member)?;
        if detours.neighbours.get(&back).is_some_and(|known| known.until > now) {
            return None;
        }
        let best = self.find_way(member, &[], ACKNOWLEDGEMENT_BYTES, Priority::Expedited, Instant::MAX)?;
        if best.neighbour == back {
            return Some(best);
        }
        let others: Vec<NodeId> = self.links.neighbours().filter(|node| *node != back).collect();
        let soon = self.now.saturating_add(self.config.retransmission.min_timeout);
        let route = self.find_way(member, &others, ACKNOWLEDGEMENT_BYTES, Priority::Expedited, soon);
        route.filter(|route| route.neighbour == back)
    }

    /// A route to `member` whose first hop is none of `excluded`, where routes come from the contact plan.
    fn find_way(
        &mut self,
        member: NodeId,
        excluded: &[NodeId],
        bytes: u64,
        priority: Priority,
        deadline: Instant,
    ) -> Option<Route> {
        if self.table.is_some() || self.spread.is_some() {
            return None;
        }
        let waiting = &self.waiting;
        let backlog = |neighbour: NodeId| waiting.backlog(neighbour, priority);
        let query = RouteQuery {
            deadline,
            excluded_neighbours: excluded,
            backlog: &backlog,
            ..RouteQuery::new(self.config.id, member, self.now, bytes)
        };
        self.router.route(&self.plan, &query, priority)
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

    /// A member sends again what was answered, and has signed it: the answer has not come through. `from`: who brought the copy.
    pub(super) fn note_unheard_answer(&mut self, member: NodeId, from: Option<NodeId>) {
        let now = self.now;
        let Some(trusting) = self.trusting.as_mut() else { return };
        if let Some(neighbour) = trusting.detours.answers.remove(&member) {
            trusting.detours.unheard.insert(member, now);
            self.doubt(neighbour, 0);
        }
        self.note_way_back(member, from);
    }

    fn doubt(&mut self, neighbour: NodeId, max_doublings: u32) {
        let now = self.now;
        let Some(trusting) = self.trusting.as_mut() else { return };
        let known = trusting.detours.neighbours.entry(neighbour).or_default();
        known.last = now;
        if known.silent >= DOUBTFUL && known.until.saturating_add(2 * AVOIDED) < now {
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
        if let Some(way) = way.filter(|way| acknowledged && !way.mixed) {
            trusting.detours.neighbours.remove(&way.neighbour);
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
