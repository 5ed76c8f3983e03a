//! The way of the bundles that wait: found, booked, and looked for anew when something comes in between.
//!
//! A bundle on the queue of a neighbour has a route of its own, and has taken its volume from every contact of it ([`Booking`]). It gives
//! that back when it goes another way or not at all; when it leaves, the time that it takes is gone instead. Of the bundles for a
//! neighbour, only those whose contact is over, lost, overbooked or changed are routed anew.

use super::{Node, Timer, forward::Held};
use crate::{
    dtn::{
        contact_plan::{ContactId, ContactPlan},
        routing::{Route, RouteQuery},
        store::{Entry, Priority, Queue, StoreKey, StoreMeta},
    },
    id::NodeId,
    time::Instant,
};
use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};

/// Searches that a node's router keeps: priorities times the magnitudes of bundles in use.
pub(super) const SEARCHES: usize = 16;

/// What blocks add to the payload of a fragment, in bytes, as far as routes are concerned.
const FRAGMENT_OVERHEAD: u64 = 256;

/// What a bundle has taken of contacts.
#[derive(Clone, Debug)]
pub(super) struct Booking {
    hops: Arc<[ContactId]>,
    neighbour: NodeId,
    /// So much of each; less than the bundle's own bytes where only a part of it finds room.
    bytes: u64,
    /// Whether it waits for the first contact; if not, it is on the link.
    waits: bool,
}

impl Node {
    /// The queue that a bundle which came from `previous` belongs on now, and its route where it has one.
    pub(super) fn queue_for(
        &mut self,
        meta: &StoreMeta,
        source: Option<NodeId>,
        previous: Option<NodeId>,
    ) -> (Queue, Option<Route>) {
        if self.spread.is_some() {
            return (Queue::Spread, None);
        }
        if let Some(table) = &self.table {
            return (Queue::Hop(table.next_hop(meta.destination)), None);
        }
        if let Some(route) = self.find_route(meta, source, previous) {
            return (Queue::Hop(route.neighbour), Some(route));
        }
        if self.router.was_short() {
            // Nothing tells when others' volume is free again, so it is asked from time to time.
            self.timers.arm_by(Timer::Limbo, self.now.saturating_add(self.config.reroute_after));
        }
        (Queue::Limbo, None)
    }

    fn find_route(
        &mut self,
        meta: &StoreMeta,
        source: Option<NodeId>,
        previous: Option<NodeId>,
    ) -> Option<Route> {
        let mut joined = self.doubtful(meta.destination);
        let worst = joined.first().copied().filter(|_| joined.len() > 1);
        let excluded = if joined.is_empty() {
            previous.as_slice()
        } else {
            joined.extend(previous);
            &joined
        };
        let (waiting, priority) = (&self.waiting, meta.priority);
        let backlog = |neighbour: NodeId| waiting.backlog(neighbour, priority);
        let mut query = RouteQuery {
            deadline: meta.expires,
            excluded_neighbours: excluded,
            avoided: source.filter(|source| *source != self.config.id),
            backlog: &backlog,
            ..RouteQuery::new(self.config.id, meta.destination, self.now, u64::from(meta.bytes))
        };
        let mut route = self.router.route(&self.plan, &query, priority);
        if let Some(worst) = worst.filter(|_| route.is_none()) {
            // All are doubtful: any but the most doubtful one.
            let but_for_it = [Some(worst), previous];
            let but_for_it: Vec<NodeId> = but_for_it.into_iter().flatten().collect();
            let query = RouteQuery { excluded_neighbours: &but_for_it, ..query };
            route = self.router.route(&self.plan, &query, priority);
        }
        route.or_else(|| {
            // The way back is better than no way (but for the way back to the source, which drops what is its own), and a copy that may
            // come too late is better than none.
            query.excluded_neighbours = &[];
            query.deadline = Instant::MAX;
            self.router.route(&self.plan, &query, priority).or_else(|| {
                // What no contact takes whole goes in parts, where it may: the way of the shortest.
                query.bytes = query.bytes.min(self.config.bundles.min_fragment? as u64 + FRAGMENT_OVERHEAD);
                self.router.route(&self.plan, &query, priority)
            })
        })
    }

    /// How much of the contacts of `hops` a bundle of `bytes` takes: at most what the fullest of them has left.
    fn share(&self, hops: &[ContactId], bytes: u64, priority: Priority) -> u64 {
        if self.config.bundles.min_fragment.is_none() {
            return bytes;
        }
        let volumes = self.router.volumes();
        let left = hops.iter().map(|id| volumes.residual(&self.plan, *id, priority, self.now));
        left.fold(bytes, u64::min)
    }

    /// When `bytes` that leave `from` at `at` reach `to` by the plan.
    pub(super) fn arrival(&mut self, from: NodeId, to: NodeId, at: Instant, bytes: u64) -> Option<Instant> {
        if from != self.config.id {
            return self.arrivals.arrival(&self.plan, from, to, at, bytes);
        }
        let query = RouteQuery::new(from, to, at, bytes);
        self.router.route(&self.plan, &query, Priority::Normal).map(|route| route.arrival)
    }

    /// A stored bundle waits for the first contact of `route`. What is less urgent makes way there (overbooking, as in ION).
    pub(super) fn book(&mut self, key: StoreKey, meta: &StoreMeta, route: Route) {
        let Route { first, neighbour, departure, hops, .. } = route;
        let priority = meta.priority;
        let bytes = self.share(&hops, u64::from(meta.bytes), priority);
        let Some(held) = self.store.value_mut(key) else { return };
        held.booking = Some(Booking { hops: hops.clone(), neighbour, bytes, waits: true });
        let over = self.router.book(&self.plan, &hops, bytes, priority, self.now);
        self.waiting.insert(neighbour, first, priority, key, bytes);
        let overdue = departure.saturating_add(self.config.reroute_after);
        self.timers.arm_by(Timer::Reroute(neighbour), overdue);
        if over > 0 {
            self.displace(neighbour, first, priority, over);
        }
    }

    /// Routes bundles of `over` bytes anew that wait for `first` and are less urgent than `priority`: the least urgent, the newest first.
    fn displace(&mut self, neighbour: NodeId, first: ContactId, priority: Priority, over: u64) {
        let (store, mut freed) = (&self.store, 0);
        let lower = self.waiting.lower(neighbour, first, priority);
        let mut displaced: Vec<StoreKey> = lower
            .take_while(|key| {
                let enough = freed >= over;
                freed += store.get(*key).map_or(0, |entry| u64::from(entry.meta.bytes));
                !enough
            })
            .collect();
        displaced.reverse();
        self.reroute(&displaced);
    }

    /// A bundle that was taken out of the store gives back what it has booked, unless it has left.
    pub(super) fn unbook(&mut self, key: StoreKey, entry: &Entry<Held>) {
        if let Some(booking) = entry.value.booking.as_ref().filter(|booking| booking.waits) {
            self.give_back(key, &entry.meta, booking);
        }
    }

    /// A bundle that was dropped gives back what it has booked; of one that was on its way out, the rest of its route.
    pub(super) fn give_back_all(&mut self, key: StoreKey, entry: &Entry<Held>) {
        if let Some(booking) = &entry.value.booking {
            self.give_back(key, &entry.meta, booking);
        }
    }

    fn give_back(&mut self, key: StoreKey, meta: &StoreMeta, booking: &Booking) {
        let Booking { hops, neighbour, bytes, waits } = booking;
        if *waits {
            self.waiting.remove(*neighbour, hops[0], meta.priority, key, *bytes);
            self.router.release(hops, *bytes, meta.priority);
        } else {
            self.router.release(&hops[1..], *bytes, meta.priority);
        }
    }

    /// A bundle that stays in the store has no route any more.
    pub(super) fn lose_route(&mut self, key: StoreKey) {
        let Some(booking) = self.store.value_mut(key).and_then(|held| held.booking.take()) else { return };
        let Some(meta) = self.store.get(key).map(|entry| entry.meta) else { return };
        self.give_back(key, &meta, &booking);
    }

    /// A bundle is handed to a link: it does not wait any more.
    pub(super) fn set_out(&mut self, key: StoreKey, meta: &StoreMeta) {
        let Some(booking) = self.store.value_mut(key).and_then(|held| held.booking.as_mut()) else { return };
        if !core::mem::replace(&mut booking.waits, false) {
            return;
        }
        let (first, bytes) = (booking.hops[0], booking.bytes);
        self.waiting.remove(booking.neighbour, first, meta.priority, key, bytes);
        let now = self.now;
        if self.plan.get(first).is_some_and(|contact| contact.start <= now && now <= contact.end) {
            self.router.spend(first, bytes, meta.priority);
        } else {
            // It leaves by an earlier contact than planned.
            self.router.release(&[first], bytes, meta.priority);
        }
    }

    /// A bundle that was handed to a link comes back: others may have taken its place meanwhile, so it is routed anew.
    pub(super) fn come_back(&mut self, key: StoreKey) {
        if self.table.is_none() {
            self.reroute(&[key]);
        }
    }

    /// Bundles that should have gone to `neighbour` are still here.
    pub(super) fn on_reroute(&mut self, neighbour: NodeId) {
        if self.is_linked(neighbour) {
            // They are on their way; the link's end is the next time to ask.
            self.arm_overdue(neighbour);
            return;
        }
        self.mark_broken(neighbour);
        self.reroute_stale(neighbour);
    }

    /// A contact with `neighbour` that the plan has open now does not work: it is not used until it ends, or a link comes up.
    pub(super) fn mark_broken(&mut self, neighbour: NodeId) {
        let now = self.now;
        for (id, contact) in self.plan.from_node(self.config.id, now) {
            if contact.to == neighbour && contact.start <= now && contact.end > now {
                self.router.lose(&self.plan, id, now);
            }
        }
    }

    /// A link to `neighbour` came up: what was thought broken works again.
    pub(super) fn mark_mended(&mut self, neighbour: NodeId) {
        let leads_there = |id: &ContactId| self.plan.get(*id).is_some_and(|contact| contact.to == neighbour);
        let mended: Vec<ContactId> = self.router.lost().iter().copied().filter(leads_there).collect();
        for id in mended {
            self.router.regain(&self.plan, id);
        }
    }

    /// Routes anew what waits for contacts with `neighbour` that are over or lost. All else for it waits on.
    pub(super) fn reroute_stale(&mut self, neighbour: NodeId) {
        let (now, plan, lost) = (self.now, &self.plan, self.router.lost());
        let is_stale = |id: &ContactId| {
            lost.binary_search(id).is_ok() || plan.get(*id).is_none_or(|contact| contact.end <= now)
        };
        let contacts = self.waiting.contacts(neighbour).filter(is_stale);
        let stale: Vec<StoreKey> = contacts.flat_map(|id| self.waiting.bundles(neighbour, id)).collect();
        self.reroute(&stale);
        self.arm_overdue(neighbour);
    }

    /// Sets the time at which the next contact with `neighbour` that something waits for should have begun.
    fn arm_overdue(&mut self, neighbour: NodeId) {
        let starts = self.waiting.contacts(neighbour).filter_map(|id| Some(self.plan.get(id)?.start));
        if let Some(start) = starts.filter(|start| *start > self.now).min() {
            self.timers.arm_by(Timer::Reroute(neighbour), start.saturating_add(self.config.reroute_after));
        }
    }

    /// Routes anew what has no route.
    pub(super) fn reroute_limbo(&mut self) {
        if self.store.load(Queue::Limbo).count == 0 {
            return;
        }
        let keys: Vec<StoreKey> = self.store.queued(Queue::Limbo).map(|(key, _)| key).collect();
        self.reroute(&keys);
    }

    /// A new plan: what uses a contact that is not as it was is routed anew, and all when there is something new.
    pub(super) fn on_contact_plan(&mut self, plan: ContactPlan) {
        let old = core::mem::replace(&mut self.plan, plan);
        let change = self.router.update(&old, &self.plan);
        let concerns = |key: &StoreKey| {
            let booking = self.store.get(*key).and_then(|entry| entry.value.booking.as_ref());
            let uses =
                |booking: &Booking| booking.hops.iter().any(|id| change.gone.binary_search(id).is_ok());
            change.better || booking.is_some_and(uses)
        };
        let mut keys: Vec<(Priority, StoreKey)> =
            self.waiting.iter().filter(|(_, key)| concerns(key)).collect();
        keys.sort_unstable();
        let keys: Vec<StoreKey> = keys.into_iter().map(|(_, key)| key).collect();
        self.reroute(&keys);
        self.reroute_limbo();
    }

    /// Gives back what these bundles have booked, and routes them anew in this order.
    pub(super) fn reroute(&mut self, keys: &[StoreKey]) {
        for key in keys {
            self.lose_route(*key);
        }
        // Where one found no way, one that is as large and not more urgent finds none: there is not more room than before.
        let mut full: BTreeMap<(NodeId, Priority, Option<NodeId>), u32> = BTreeMap::new();
        for key in keys {
            let Some(entry) = self.store.get(*key) else { continue };
            let (meta, previous) = (entry.meta, entry.value.previous);
            let source = self.node_of(&entry.value.bundle.primary().source);
            let towards = (meta.destination, meta.priority, source);
            if full.get(&towards).is_some_and(|bytes| meta.bytes >= *bytes) {
                self.store.assign(*key, Queue::Limbo);
                continue;
            }
            let (queue, route) = self.queue_for(&meta, source, previous);
            self.store.assign(*key, queue);
            match route {
                Some(route) => self.book(*key, &meta, route),
                None if queue == Queue::Limbo => drop(full.insert(towards, meta.bytes)),
                None => {}
            }
        }
    }
}
