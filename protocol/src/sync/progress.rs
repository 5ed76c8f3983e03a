//! What each peer has, as far as we know, and what to push to it next.

use super::{
    delta::Delta,
    limits::SyncLimits,
    replica::Replica,
    version::{Actor, VersionVector},
};
use crate::time::Instant;
use alloc::{collections::BTreeMap, vec::Vec};
use core::time::Duration;

/// Names a push to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PushId(pub u64);

/// Per peer: what it has said to cover, and what is on its way to it.
///
/// Dots on their way count as had until the peer's version covers them, they are reported lost, or their time is over.
/// Peers beyond `max_peers` are not remembered: they get what they lack against nothing known. A peer has at most
/// `max_in_flight` pushes on their way; beyond that there is nothing to push.
#[derive(Clone, Debug)]
pub struct PeerProgress {
    max_peers: usize,
    max_in_flight: usize,
    max_actors: usize,
    max_spans: usize,
    peers: BTreeMap<Actor, Peer>,
    next_push: u64,
}

#[derive(Clone, Debug, Default)]
struct Peer {
    has: VersionVector,
    in_flight: Vec<InFlight>,
}

#[derive(Clone, Debug)]
struct InFlight {
    id: PushId,
    until: Instant,
    covers: VersionVector,
}

impl PeerProgress {
    /// Knows no peer.
    #[must_use]
    pub const fn new(max_peers: usize, max_in_flight: usize, limits: &SyncLimits) -> Self {
        let SyncLimits { actors: max_actors, spans: max_spans, .. } = *limits;
        Self { max_peers, max_in_flight, max_actors, max_spans, peers: BTreeMap::new(), next_push: 0 }
    }

    /// The next delta for `peer`, or `None` when it has or will have all, or too much is on its way.
    ///
    /// The dots count as had until `now + patience`; give the round trip and some more.
    pub fn push_for(
        &mut self,
        replica: &Replica,
        peer: Actor,
        now: Instant,
        patience: Duration,
        max_bytes: usize,
    ) -> Option<(PushId, Delta)> {
        if self.peers.len() >= self.max_peers && !self.peers.contains_key(&peer) {
            let delta = replica.delta_since(&VersionVector::new(), max_bytes)?;
            return Some((self.next_id(), delta));
        }
        let state = self.peers.entry(peer).or_default();
        state.in_flight.retain(|push| push.until > now);
        if state.in_flight.len() >= self.max_in_flight {
            return None;
        }
        let mut assumed = state.has.clone();
        state.in_flight.iter().for_each(|push| assumed.join(&push.covers));
        let delta = replica.delta_since(&assumed, max_bytes)?;
        let id = PushId(self.next_push);
        state.in_flight.push(InFlight { id, until: now.saturating_add(patience), covers: delta.covers() });
        self.next_push += 1;
        Some((id, delta))
    }

    /// `peer` has said that it covers `version`. Of what it says, as many actors and intervals are remembered as a replica
    /// may have; the rest counts as not had.
    pub fn peer_has(&mut self, peer: Actor, version: &VersionVector) {
        if self.peers.len() >= self.max_peers && !self.peers.contains_key(&peer) {
            return;
        }
        let state = self.peers.entry(peer).or_default();
        for (actor, spans) in version.iter() {
            let mut joined = state.has.spans(actor).clone();
            joined.join(spans);
            let room = state.has.iter().len() < self.max_actors || !state.has.spans(actor).is_empty();
            if room && joined.intervals().len() <= self.max_spans {
                state.has.cover(actor, spans);
            }
        }
        let has = &state.has;
        state.in_flight.retain(|push| !has.covers(&push.covers));
    }

    /// A push did not arrive: its dots are due again. Later pushes that assumed it are kept out by the peer, so they are
    /// due again too.
    pub fn on_lost(&mut self, peer: Actor, push: PushId) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.in_flight.retain(|other| other.id < push);
        }
    }

    /// Forgets what `peer` has, such as when it lost its storage.
    pub fn forget(&mut self, peer: Actor) {
        self.peers.remove(&peer);
    }

    /// What `peer` has said to cover.
    #[must_use]
    pub fn known(&self, peer: Actor) -> Option<&VersionVector> {
        self.peers.get(&peer).map(|state| &state.has)
    }

    /// When dots that are on their way to any peer are due again.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.peers.values().flat_map(|peer| &peer.in_flight).map(|push| push.until).min()
    }

    /// Whether all known peers cover `version`.
    #[must_use]
    pub fn all_have(&self, version: &VersionVector) -> bool {
        self.peers.values().all(|peer| peer.has.covers(version))
    }

    fn next_id(&mut self) -> PushId {
        self.next_push += 1;
        PushId(self.next_push - 1)
    }
}
