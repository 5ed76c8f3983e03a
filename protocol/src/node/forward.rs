//! Bundles on their way: made, stored, routed, sent on.

use super::{Node, Report, StreamKey, Timer, output::DropReason, route::Booking};
use crate::{
    bpsec::discard_secured,
    bundle::{BlockFlags, BlockKind, Bundle, CreationTimestamp, HopCount, MAX_BLOCKS, Primary, Status},
    dtn::{
        routing::Route,
        store::{Entry, Priority, Queue, StoreKey, StoreMeta},
        strategy::{COPIES_BLOCK, copies_data},
    },
    id::NodeId,
    time::{DtnTime, Instant},
};
use alloc::vec::Vec;
use core::time::Duration;

/// How long creation times stand still where the clock was set back, in milliseconds.
const MAX_STANDSTILL_MS: u64 = 60_000;
/// Service number of a node's administrative endpoint (RFC 9171 §4.2.5.1.2).
pub(super) const ADMINISTRATIVE: u64 = 0;
/// Service number at which nodes take envelopes.
pub(super) const ENVELOPES: u64 = 1;

/// Whose bundle is stored, which decides what brings it back after a crash.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin<'a> {
    /// A message of this node's stream: its record does.
    Message(StreamKey, u64),
    /// An acknowledgement: the peer asks again, nothing need be kept.
    Control,
    /// A record that others' bundles call for, at nobody else's expense.
    Prompted,
    /// Anything else, by its encoding: a record of its own, where bundles are kept.
    Kept(&'a [u8]),
}

/// A bundle in the store.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) bundle: Bundle,
    /// The message of this node that it carries.
    pub(super) own: Option<(StreamKey, u64)>,
    /// Whether the host keeps a record of it.
    pub(super) kept: bool,
    /// Who it came from: the bundle's own block names this node once it was on a link.
    pub(super) previous: Option<NodeId>,
    /// Hop count and age with which it came.
    pub(super) hops: HopCount,
    pub(super) age: Option<Duration>,
    /// What it has taken of contacts, where it has a route.
    pub(super) booking: Option<Booking>,
    /// Whether a link has had it: some of it may have left.
    pub(super) handed: bool,
}

impl Held {
    /// Payload bytes that are counted and not carried.
    pub(super) const fn absent(&self) -> u32 {
        self.bundle.absent()
    }
}

impl Node {
    /// A bundle of this node's own.
    pub(super) fn make_bundle(
        &mut self,
        destination: NodeId,
        priority: Priority,
        lifetime: Duration,
        payload: Vec<u8>,
    ) -> Bundle {
        let creation = self.next_creation();
        let millis = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        let source = self.config.id.endpoint(ENVELOPES);
        let mut primary = Primary::new(source, destination.endpoint(ENVELOPES), creation, millis);
        primary.crc = self.config.crc;
        let mut bundle = Bundle::new(primary, payload);
        bundle.set_hop_count(HopCount { limit: self.config.hop_limit, count: 0 });
        if creation.time == DtnTime::UNKNOWN {
            // RFC 9171 §4.4.2: a bundle without a creation time must tell its age.
            bundle.set_age_ms(0);
        }
        self.compress(&mut bundle, priority);
        self.sign_bundle(&mut bundle);
        bundle
    }

    /// A creation time and a sequence number that no other bundle of this node has, whatever its clock does.
    pub(super) fn next_creation(&mut self) -> CreationTimestamp {
        let (last, sequence) = self.last_creation;
        let (highest, rise) = &mut self.creation_numbers;
        let mut time = self.civil.map_or(DtnTime::UNKNOWN, |estimate| estimate.dtn_time(self.now));
        if time != DtnTime::UNKNOWN && last.0.saturating_sub(time.0) > MAX_STANDSTILL_MS {
            // It was wrong by far, and nobody is to wait until it is right again: from here on, numbers alone tell creations apart.
            *rise = true;
        } else {
            // Where the clock steps back a little, time stands still until it has caught up.
            time = time.max(last);
        }
        // The clock may also be behind that of the incarnation before.
        let epoch =
            if time == DtnTime::UNKNOWN { self.incarnation } else { self.incarnation.saturating_sub(1) };
        let first = u64::from(epoch) << 32;
        let sequence = if *rise {
            first.max(*highest + 1)
        } else if time == last && (sequence, last) != (0, DtnTime::UNKNOWN) {
            sequence + 1
        } else {
            first
        };
        if time != DtnTime::UNKNOWN {
            *highest = sequence.max(*highest);
        }
        self.last_creation = (time, sequence);
        CreationTimestamp { time, sequence }
    }

    /// Puts a bundle into the store and on the queue of its route. `None`: no room.
    pub(super) fn store_bundle(
        &mut self,
        bundle: Bundle,
        priority: Priority,
        left: Duration,
        origin: Origin<'_>,
    ) -> Option<StoreKey> {
        self.store_on(bundle, priority, left, origin, None)
    }

    /// As [`Self::store_bundle`], on `route` where one is given.
    pub(super) fn store_on(
        &mut self,
        bundle: Bundle,
        priority: Priority,
        left: Duration,
        origin: Origin<'_>,
        route: Option<Route>,
    ) -> Option<StoreKey> {
        let destination = self.node_of(&bundle.primary().destination)?;
        let bytes = bundle.full_len() as u32;
        let expires = self.now.saturating_add(left);
        let meta = StoreMeta { destination, priority, expires, bytes, received: self.now };
        let hops = bundle.hop_count().unwrap_or(HopCount { limit: u8::MAX, count: 0 });
        let age = bundle.age_ms().map(Duration::from_millis);
        let previous = bundle.previous_node().and_then(|node| node.node());
        let (queue, route) = match route {
            Some(route) => (Queue::Hop(route.neighbour), Some(route)),
            None => {
                let source = self.node_of(&bundle.primary().source);
                self.queue_for(&meta, source, previous)
            }
        };
        let carried = self.carried(&meta, &bundle);
        let own =
            if let Origin::Message(stream, sequence) = origin { Some((stream, sequence)) } else { None };
        let record = if let Origin::Kept(encoded) = origin { Some(encoded) } else { None };
        let record = record.filter(|_| self.config.keep_bundles);
        let rank = self.rank(&bundle, priority, origin);
        let held =
            Held { bundle, own, kept: record.is_some(), previous, hops, age, booking: None, handed: false };
        match self.store.insert_as(rank, meta, queue, held) {
            Ok(inserted) => {
                if let Some(encoded) = record {
                    self.keep_bundle(inserted.key, &meta, encoded);
                }
                for (key, entry) in inserted.evicted {
                    self.on_dropped(key, entry, DropReason::StoreFull);
                }
                if let Some(route) = route {
                    self.book(inserted.key, &meta, route);
                }
                if let Some(carried) = carried {
                    self.on_carried(inserted.key, carried);
                }
                self.arm_store_expiry();
                Some(inserted.key)
            }
            Err(_) => {
                self.report(Report::BundleDropped { reason: DropReason::StoreFull, bytes });
                None
            }
        }
    }

    /// The bytes of a bundle that leaves now (RFC 9171 §5.4): previous node, hop count and age are this node's to write.
    ///
    /// `copies`: how many copies it takes along, where they are counted.
    pub(super) fn departing(
        &mut self,
        key: StoreKey,
        received: Instant,
        copies: Option<u32>,
    ) -> Option<Vec<u8>> {
        let here = self.config.id.endpoint(ADMINISTRATIVE);
        let stayed = self.now.saturating_since(received);
        let held = self.store.value_mut(key)?;
        discard_secured(&mut held.bundle, BlockKind::PREVIOUS_NODE);
        held.bundle.set_previous_node(&here);
        held.bundle
            .set_hop_count(HopCount { limit: held.hops.limit, count: held.hops.count.saturating_add(1) });
        if let Some(age) = held.age {
            held.bundle.set_age_ms(u64::try_from((age + stayed).as_millis()).unwrap_or(u64::MAX));
        }
        if let Some(copies) = copies {
            set_copies(&mut held.bundle, copies);
        }
        Some(held.bundle.encode())
    }

    pub(super) fn on_store_expiry(&mut self) {
        for (key, entry) in self.store.expire(self.now) {
            self.on_dropped(key, entry, DropReason::Expired);
        }
        self.arm_store_expiry();
    }

    fn arm_store_expiry(&mut self) {
        if let Some(at) = self.store.next_expiry() {
            self.timers.arm_by(Timer::StoreExpiry, at);
        }
    }

    /// A bundle of so many bytes begins to come in: what would have to go when it is here goes now.
    pub(super) fn make_store_room(&mut self, bytes: u32) {
        for (key, entry) in self.store.make_room(self.hearsay_rank(), bytes) {
            self.on_dropped(key, entry, DropReason::StoreFull);
        }
    }

    /// A link takes the bundle: some of it may have left from now on.
    pub(super) fn mark_handed(&mut self, key: StoreKey) {
        if let Some(held) = self.store.value_mut(key) {
            held.handed = true;
        }
    }

    /// Takes a bundle that has left by a link, or is no longer needed, out of the store.
    pub(super) fn release(&mut self, key: StoreKey) {
        let Some(entry) = self.store.remove(key) else { return };
        self.unbook(key, &entry);
        self.forget_carried(key);
        if entry.value.kept {
            self.forget_bundle(key);
        }
    }

    fn on_dropped(&mut self, key: StoreKey, entry: Entry<Held>, reason: DropReason) {
        let given = self.forget_carried(key);
        self.give_back_all(key, &entry);
        if entry.value.kept {
            self.forget_bundle(key);
        }
        self.report(Report::BundleDropped { reason, bytes: entry.meta.bytes });
        self.report_status(&entry.value.bundle, Status::Deleted, reason.status());
        if let Some((stream, sequence)) = entry.value.own {
            if given > 0 {
                // Others have copies: its acknowledgement may still come.
                self.on_message_sent(stream, sequence);
            } else {
                self.on_message_dropped(stream, sequence);
            }
        }
    }
}

/// Says how many copies a bundle takes along. One that is full of blocks says nothing, which means one.
pub(super) fn set_copies(bundle: &mut Bundle, copies: u32) {
    discard_secured(bundle, COPIES_BLOCK);
    bundle.remove_block(COPIES_BLOCK);
    if bundle.blocks().len() < MAX_BLOCKS {
        bundle.push_block(COPIES_BLOCK, BlockFlags::DISCARD_IF_UNPROCESSED, copies_data(copies));
    }
}
