//! What leaves by a link next, and the node's side of the strategies of copies.
//!
//! With one copy and a route, the queue of the neighbour says; with copies, [`Spread`] does, and the bundle stays in the
//! store. The summaries that neighbours exchange are bundles too, from and to [`SUMMARIES`]: signed and checked as others are, taken
//! only from the neighbour at the other end of the link, not stored, and not forwarded.

use super::{Followup, InputError, LinkUp, Node, StreamKey, Timer, forward::ADMINISTRATIVE, links::fits};
use crate::{
    bpsec::discard_secured,
    bundle::{BlockKind, Bundle, BundleId, HopCount, Primary},
    dtn::{
        store::{Queue, StoreKey, StoreMeta},
        strategy::{COPIES_BLOCK, Carried, Fate, read_copies},
    },
    id::{EndpointId, NodeId},
    time::{DtnTime, Instant},
};
use alloc::vec::Vec;
use core::time::Duration;

/// Service number at which nodes take their neighbours' summaries. Ours.
pub(super) const SUMMARIES: u64 = 127;

/// What is on a link.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cargo {
    /// The one copy of a bundle, and the message of this node that it carries.
    Bundle(StoreKey, Option<(StreamKey, u64)>),
    /// A copy of a bundle, and how many copies it takes along.
    Copy(StoreKey, u32),
    /// A summary: nothing in the store.
    Summary,
}

impl Node {
    /// The next bundle for the link, of at most `largest` bytes, and its bytes.
    pub(super) fn next_departure(&mut self, up: &LinkUp, largest: usize) -> Option<(Cargo, Vec<u8>)> {
        let next = if self.spread.is_some() {
            self.next_summary(up).or_else(|| self.next_copy(up))
        } else {
            self.next_bundle(up, largest)
        };
        if let Some((_, wire)) = &next {
            self.note_departure(up.link, wire);
        }
        next
    }

    fn next_copy(&mut self, up: &LinkUp) -> Option<(Cargo, Vec<u8>)> {
        let (now, store) = (self.now, &self.store);
        let spread = self.spread.as_mut()?;
        let key =
            spread.select(up.peer, |key| store.get(key).is_some_and(|entry| fits(up, now, entry.meta.bytes)));
        self.finish_done();
        let key = key?;
        let received = self.store.get(key)?.meta.received;
        let spread = self.spread.as_mut()?;
        let gives = spread.begin(key);
        let copies = spread.counts_copies().then_some(gives.max(1));
        let wire = self.departing(key, received, copies)?;
        self.store.assign(key, Queue::Sending(up.peer));
        self.mark_handed(key);
        Some((Cargo::Copy(key, gives), wire))
    }

    /// A summary for the peer, wrapped.
    fn next_summary(&mut self, up: &LinkUp) -> Option<(Cargo, Vec<u8>)> {
        let payload = self.spread.as_mut()?.next_summary(self.now, up.peer)?;
        let creation = self.next_creation();
        let lifetime = u64::try_from(self.config.control_lifetime.as_millis()).unwrap_or(u64::MAX);
        let (source, destination) = (self.config.id.endpoint(SUMMARIES), up.peer.endpoint(SUMMARIES));
        let mut primary = Primary::new(source, destination, creation, lifetime);
        primary.crc = self.config.crc;
        let mut bundle = Bundle::new(primary, payload);
        bundle.set_previous_node(&self.config.id.endpoint(ADMINISTRATIVE));
        bundle.set_hop_count(HopCount { limit: 1, count: 1 });
        if creation.time == DtnTime::UNKNOWN {
            bundle.set_age_ms(0);
        }
        self.sign_bundle(&mut bundle);
        Some((Cargo::Summary, bundle.encode()))
    }

    /// Payload bytes of it that are counted and not carried.
    pub(super) fn absent(&self, cargo: &Cargo) -> u32 {
        match cargo {
            Cargo::Bundle(key, _) | Cargo::Copy(key, _) => {
                self.store.get(*key).map_or(0, |entry| entry.value.absent())
            }
            Cargo::Summary => 0,
        }
    }

    /// The last frame of it has left for `peer`.
    pub(super) fn departed(&mut self, peer: NodeId, cargo: Cargo) {
        match cargo {
            Cargo::Bundle(key, own) => {
                self.on_forwarded(key);
                if own.is_none() {
                    self.note_way_of_answer(peer, key);
                }
                self.release(key);
                if let Some((stream, sequence)) = own {
                    self.note_way(peer, stream, sequence);
                    self.on_message_sent(stream, sequence);
                }
            }
            Cargo::Copy(key, _) => {
                self.on_forwarded(key);
                let Some(spread) = self.spread.as_mut() else { return };
                let fate = spread.sent(peer, key);
                self.stop_sending(key);
                if fate == Fate::Done {
                    self.finish_bundle(key);
                }
                self.finish_done();
            }
            Cargo::Summary => {}
        }
    }

    /// It did not get through to `peer`: the link is down.
    pub(super) fn not_departed(&mut self, peer: NodeId, cargo: Cargo) {
        match cargo {
            // Back to the queue, for another link to the peer or another way.
            Cargo::Bundle(key, _) => {
                self.store.assign(key, Queue::Hop(peer));
                self.come_back(key);
            }
            Cargo::Copy(key, gives) => {
                let Some(spread) = self.spread.as_mut() else { return };
                spread.failed(peer, key, gives);
                self.stop_sending(key);
                self.finish_done();
            }
            Cargo::Summary => {}
        }
    }

    /// No frame sequence of the link can hold it.
    pub(super) fn cannot_depart(&mut self, peer: NodeId, cargo: Cargo) {
        match cargo {
            Cargo::Bundle(key, _) => {
                self.lose_route(key);
                self.store.assign(key, Queue::Limbo);
            }
            // As if it had been given: it is not offered again while this meeting lasts.
            Cargo::Copy(key, gives) => {
                let Some(spread) = self.spread.as_mut() else { return };
                spread.refused(peer, key, gives);
                self.stop_sending(key);
                self.finish_done();
            }
            Cargo::Summary => {}
        }
    }

    fn stop_sending(&mut self, key: StoreKey) {
        if self.spread.as_ref().is_some_and(|spread| !spread.is_sending(key)) {
            self.store.assign(key, Queue::Spread);
        }
    }

    /// A link to `peer` came up.
    pub(super) fn meet(&mut self, peer: NodeId) {
        let now = self.now;
        let Some(spread) = self.spread.as_mut() else { return };
        spread.link_up(now, peer);
        self.finish_done();
    }

    /// The last link to `peer` went down.
    pub(super) fn part(&mut self, peer: NodeId) {
        let Some(spread) = self.spread.as_mut() else { return };
        spread.link_down(peer);
        self.finish_done();
    }

    pub(super) fn on_spread_deadline(&mut self) {
        let now = self.now;
        let Some(spread) = self.spread.as_mut() else { return };
        spread.on_deadline(now);
        self.finish_done();
    }

    /// What a bundle that is to be stored is to its strategy; `None` without copies.
    pub(super) fn carried(&self, meta: &StoreMeta, bundle: &Bundle) -> Option<Carried> {
        let spread = self.spread.as_ref()?;
        let mut carried = Carried::new(bundle.id(), meta.destination, meta.priority, meta.expires);
        // One of this node's own that comes back after a crash says how many copies it may still give.
        let told = bundle.block(COPIES_BLOCK).and_then(|block| read_copies(&block.data));
        if bundle.primary().source.node() == Some(self.config.id) && told.is_none() {
            carried.copies = spread.initial_copies();
        } else {
            carried.copies = told.unwrap_or(1);
            // Where nobody can tell who gave it, its source is known to have had it.
            carried.from = previous(bundle).or_else(|| bundle.primary().source.node());
        }
        if let Some(hops) = bundle.hop_count() {
            carried.hops_left = u64::from(hops.limit).saturating_sub(hops.count);
        }
        Some(carried)
    }

    /// A bundle was stored.
    pub(super) fn on_carried(&mut self, key: StoreKey, carried: Carried) {
        let now = self.now;
        let Some(spread) = self.spread.as_mut() else { return };
        spread.insert(now, key, carried);
        self.finish_done();
    }

    /// A bundle is not stored any more. Returns to how many neighbours it was given.
    pub(super) fn forget_carried(&mut self, key: StoreKey) -> u32 {
        self.spread.as_mut().map_or(0, |spread| spread.remove(key))
    }

    /// Takes out of the store what the strategy is done with, and sets the strategy's next deadline.
    fn finish_done(&mut self) {
        while let Some(key) = self.spread.as_mut().and_then(|spread| spread.take_done()) {
            self.finish_bundle(key);
        }
        match self.spread.as_mut().and_then(|spread| spread.deadline_change()) {
            Some(Some(at)) => self.timers.arm(Timer::Spread, at),
            Some(None) => self.timers.disarm(Timer::Spread),
            None => {}
        }
    }

    fn finish_bundle(&mut self, key: StoreKey) {
        let own = self.store.get(key).and_then(|entry| entry.value.own);
        self.release(key);
        if let Some((stream, sequence)) = own {
            self.on_message_sent(stream, sequence);
        }
    }

    /// Whether a bundle came in that this node has or had, where neighbours get copies. Then it is counted, and of no more use.
    pub(super) fn is_duplicate(&mut self, bundle: &Bundle) -> bool {
        let now = self.now;
        let Some(spread) = self.spread.as_mut() else { return false };
        if bundle.primary().source == EndpointId::Null {
            return false;
        }
        let id = bundle.id();
        if !spread.knows(&id) {
            return false;
        }
        spread.on_duplicate(now, &id, previous(bundle));
        self.finish_done();
        true
    }

    /// A bundle was delivered here. Neighbours hear of it, and may drop their copies, when that is durable.
    pub(super) fn note_delivered(&mut self, bundle: &Bundle, left: Duration) {
        let until = self.now.saturating_add(left);
        self.after_durable(Followup::Delivered(bundle.id(), until, previous(bundle)));
    }

    pub(super) fn on_delivery_durable(&mut self, id: BundleId, until: Instant, previous: Option<NodeId>) {
        let now = self.now;
        let Some(spread) = self.spread.as_mut() else { return };
        spread.on_delivered(now, id, until, previous);
        self.finish_done();
    }

    /// The neighbour whose summary a bundle is.
    pub(super) fn summary_from(&self, bundle: &Bundle) -> Option<NodeId> {
        self.spread.as_ref()?;
        let EndpointId::Ipn { node, service: SUMMARIES } = bundle.primary().destination else { return None };
        match bundle.primary().source {
            EndpointId::Ipn { node: peer, service: SUMMARIES } if node == self.config.id => Some(peer),
            _ => None,
        }
    }

    /// Makes a bundle that came from `peer` name that one as its previous node, where copies depend on it: what the bundle says of
    /// itself anybody can write. `None`: whoever it names may not have had it, so it names nobody.
    pub(super) fn attribute(&self, bundle: &mut Bundle, peer: Option<NodeId>) {
        if self.spread.is_none() {
            return;
        }
        let previous = bundle.previous_node();
        let is_right = peer.is_some() && previous.as_ref().and_then(|node| self.node_of(node)) == peer;
        if !is_right {
            discard_secured(bundle, BlockKind::PREVIOUS_NODE);
        }
        match (previous, peer) {
            _ if is_right => {}
            (_, Some(peer)) => bundle.set_previous_node(&peer.endpoint(ADMINISTRATIVE)),
            (Some(_), None) => drop(bundle.remove_block(BlockKind::PREVIOUS_NODE)),
            (None, None) => {}
        }
    }

    /// A bundle that came from `peer` is a summary of `teller`.
    pub(super) fn take_summary(
        &mut self,
        bundle: Bundle,
        teller: NodeId,
        peer: Option<NodeId>,
    ) -> Result<(), InputError> {
        // On a link that has never been up, what a neighbour says first may come before its driver says who it is.
        if peer.is_some_and(|peer| peer != teller) {
            return Err(self.refuse("summary_not_of_the_neighbour"));
        }
        let bundle = self.check_security(bundle)?;
        self.on_summary(teller, bundle.payload())
    }

    /// A neighbour tells what it has.
    fn on_summary(&mut self, peer: NodeId, bytes: &[u8]) -> Result<(), InputError> {
        let now = self.now;
        let Some(spread) = self.spread.as_mut() else { return Ok(()) };
        if let Err(error) = spread.on_summary(now, peer, bytes) {
            return Err(self.refuse(error.reason()));
        }
        self.finish_done();
        Ok(())
    }
}

fn previous(bundle: &Bundle) -> Option<NodeId> {
    bundle.previous_node().and_then(|node| node.node())
}
