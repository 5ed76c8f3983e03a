//! Sending once to all who hear.

use super::{
    super::{Broadcast, Overheard},
    Deadline, Spread,
};
use crate::{dtn::store::StoreKey, id::NodeId, time::Instant};
use alloc::vec::Vec;
use core::time::Duration;
use rand_chacha::rand_core::Rng as _;

impl Spread {
    /// A new bundle waits for its turn, if it gets one.
    pub(super) fn schedule_broadcast(&mut self, now: Instant, key: StoreKey) {
        let draw = self.rng.next_u32();
        let Some(carried) = self.carried.get(&key) else { return };
        let own = carried.from.is_none();
        let giver = carried.from.and_then(|from| self.neighbours.get(&from));
        match self.strategy.broadcast_delay(own, giver.and_then(|giver| giver.snr_db), draw) {
            Broadcast::After(delay) if delay == Duration::ZERO => self.broadcast(key),
            Broadcast::After(delay) if carried.hops_left > 0 => self.postpone(key, now.saturating_add(delay)),
            Broadcast::After(_) | Broadcast::Never => self.done.push_back(key),
        }
    }

    /// Another neighbour was heard sending a bundle.
    pub(super) fn overhear(&mut self, now: Instant, key: StoreKey, from: NodeId) {
        let draw = self.rng.next_u32();
        let Some(carried) = self.carried.get(&key) else { return };
        // On a channel, a bundle whose turn has come and that is not on its way yet still listens: the radio may have been busy.
        let queued = self.strategy.shares_channel() && carried.awaiting > 0 && carried.sending == 0;
        let own = carried.from.is_none();
        if (carried.due.is_none() && (!queued || own)) || carried.from == Some(from) {
            return;
        }
        match self.strategy.on_overheard(draw) {
            Overheard::Ignore => {}
            Overheard::Suppress => self.done.push_back(key),
            // What has its place in a queue keeps it.
            Overheard::Postpone(_) if queued => {}
            Overheard::Postpone(delay) => self.postpone(key, now.saturating_add(delay)),
        }
    }

    fn postpone(&mut self, key: StoreKey, due: Instant) {
        let Some(carried) = self.carried.get_mut(&key) else { return };
        if let Some(earlier) = carried.due.replace(due) {
            self.deadlines.remove(&(earlier, Deadline::Broadcast(key)));
        }
        self.deadlines.insert((due, Deadline::Broadcast(key)));
    }

    /// The turn of a bundle has come: all who are linked and did not send it get it. What nobody hears is gone, unless it was made
    /// here: that waits for somebody.
    pub(super) fn broadcast(&mut self, key: StoreKey) {
        let Some(carried) = self.carried.get_mut(&key) else { return };
        carried.due = None;
        let (own, id, destination) = (carried.from.is_none(), carried.id.clone(), carried.destination);
        let linked = self.neighbours.iter().filter(|(_, neighbour)| neighbour.linked);
        let mut hearers: Vec<NodeId> =
            linked.filter(|(_, neighbour)| !neighbour.has(&id)).map(|(peer, _)| *peer).collect();
        if self.strategy.shares_channel() {
            // One transmission, by the link to one of them, which all hear; its destination is the best witness that it got there.
            let best = hearers.iter().position(|peer| *peer == destination).unwrap_or(0);
            hearers = hearers.get(best).copied().into_iter().collect();
        }
        for peer in &hearers {
            self.give(*peer, key);
        }
        if hearers.is_empty() && !own {
            self.done.push_back(key);
        }
    }

    /// A neighbour appeared: what was made here and nobody heard yet goes to it.
    pub(super) fn broadcast_to(&mut self, peer: NodeId) {
        let unheard = self.carried.iter().filter(|(_, carried)| {
            let unsent = carried.given == 0 && carried.awaiting == 0 && carried.due.is_none();
            unsent && carried.from.is_none()
        });
        let unheard: Vec<StoreKey> = unheard.map(|(key, _)| *key).collect();
        for key in unheard {
            self.give(peer, key);
        }
    }

    fn give(&mut self, peer: NodeId, key: StoreKey) {
        let Some(rank) = self.rank(peer, key) else { return };
        if let Some(carried) = self.carried.get_mut(&key) {
            carried.awaiting += 1;
        }
        if let Some(neighbour) = self.neighbours.get_mut(&peer) {
            neighbour.plan(rank);
        }
    }

    /// One neighbour less to send a bundle to. After the last it is done with; unless it was made here and nobody got it.
    pub(super) fn broadcast_ended(&mut self, key: StoreKey) {
        let Some(carried) = self.carried.get_mut(&key) else { return };
        carried.awaiting = carried.awaiting.saturating_sub(1);
        if carried.awaiting == 0 && (carried.given > 0 || carried.from.is_some()) {
            self.done.push_back(key);
        }
    }
}
