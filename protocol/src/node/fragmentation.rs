//! Proactive fragmentation (RFC 9171 §5.8): a bundle that the rest of a contact cannot take leaves in part.

use super::{
    Node, StreamKey,
    forward::{ADMINISTRATIVE, Origin},
    input::LinkUp,
    links::fits,
};
use crate::{
    bpsec::discard_secured,
    bundle::{BlockKind, Bundle, BundleFlags},
    convergence::small_frame::PART_HEADER_LEN,
    delivery::Place,
    dtn::store::{Priority, Queue, StoreKey},
};
use core::time::Duration;

/// What a fragment adds to its part of the payload at the most, beside the blocks of the bundle: fragment fields, and what forwarding writes.
const GROWTH: usize = 96;

impl Node {
    /// The bundle under `key` if the contact of `up` and a transfer of at most `limit` bytes take it, or else a fragment of it that they
    /// do; `None` when nothing of it can leave now.
    pub(super) fn fitting(&mut self, key: StoreKey, up: &LinkUp, limit: usize) -> Option<StoreKey> {
        let bytes = self.store.get(key)?.meta.bytes as usize;
        let fits = fits(up, self.now, bytes as u32);
        if fits && bytes <= limit {
            return Some(key);
        }
        self.first_part(key, up, limit)
    }

    /// Splits a bundle that is too long for a transfer of `limit` bytes with what this node writes on it. False when it stays whole.
    pub(super) fn split_for_transfer(&mut self, key: StoreKey, up: &LinkUp, limit: usize) -> bool {
        self.first_part(key, up, limit).is_some()
    }

    /// Splits a bundle; its first part, which the contact and a transfer of `limit` bytes take, waits for the peer.
    fn first_part(&mut self, key: StoreKey, up: &LinkUp, limit: usize) -> Option<StoreKey> {
        let contact = up.until.map_or(usize::MAX, |until| {
            let nanos = until.saturating_since(self.now).as_nanos();
            let bytes =
                usize::try_from(nanos * u128::from(up.rate_bps) / 8_000_000_000).unwrap_or(usize::MAX);
            // Headers of frames take their share of it; a part that fills the contact to the last bit would be cut with its last frame.
            let frames = bytes.div_ceil((up.mtu as usize).max(1));
            bytes.saturating_sub(frames.saturating_add(1).saturating_mul(PART_HEADER_LEN))
        });
        let least = self.config.bundles.min_fragment?;
        let part = self.split_to_fit(key, contact.min(limit), least)?;
        self.lose_route(part);
        self.store.assign(part, Queue::Hop(up.peer));
        Some(part)
    }

    /// Splits a bundle so that its first part takes at most `room` bytes, and at least `least` of payload. Returns that part's key.
    fn split_to_fit(&mut self, key: StoreKey, room: usize, least: usize) -> Option<StoreKey> {
        let entry = self.store.get(key)?;
        let (meta, held) = (entry.meta, &entry.value);
        if held.bundle.primary().flags.contains(BundleFlags::MUST_NOT_FRAGMENT) {
            return None;
        }
        let payload = held.bundle.payload().len();
        let frame = held.bundle.encoded_len() - payload + GROWTH;
        let at = room.checked_sub(frame).filter(|at| *at >= least && *at < payload)?;
        let limits = self.store.limits();
        if self.store.bytes() + (2 * frame) as u64 > limits.bytes || self.store.len() + 2 > limits.count {
            return None;
        }
        let (head, tail) = held.bundle.split(at).ok()?;
        let (own, kept, hops, previous) = (held.own, held.kept, held.hops, held.previous);
        let age = held.age.map(|age| age + self.now.saturating_since(meta.received));
        let left = meta.expires.saturating_since(self.now);
        self.release(key);
        let mut stored = [None, None];
        for (place, (mut part, is_tail)) in stored.iter_mut().zip([(head, false), (tail, true)]) {
            // Ours: every fragment counts its hops, or a later one could go round until it expires.
            part.set_hop_count(hops);
            discard_secured(&mut part, BlockKind::PREVIOUS_NODE);
            match previous {
                Some(node) => part.set_previous_node(&node.endpoint(ADMINISTRATIVE)),
                None => drop(part.remove_block(BlockKind::PREVIOUS_NODE)),
            }
            if let Some(age) = age {
                part.set_age_ms(u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
            }
            // What carries a message of ours has left when its last part has.
            let carried = own.filter(|_| is_tail);
            *place = self.store_part(part, meta.priority, left, carried, kept);
        }
        stored[0]
    }

    fn store_part(
        &mut self,
        part: Bundle,
        priority: Priority,
        left: Duration,
        own: Option<(StreamKey, u64)>,
        kept: bool,
    ) -> Option<StoreKey> {
        let encoded = if kept { part.encode() } else { alloc::vec::Vec::new() };
        let origin = match own {
            Some((stream, sequence)) => Origin::Message(stream, sequence),
            None if kept => Origin::Kept(&encoded),
            None => Origin::Control,
        };
        let key = self.store_bundle(part, priority, left, origin)?;
        if let Some((stream, sequence)) = own
            && let Some(message) = self.outgoing.get_mut(&stream).and_then(|out| out.pending_mut(sequence))
        {
            message.place = Place::Stored(key);
        }
        Some(key)
    }
}
