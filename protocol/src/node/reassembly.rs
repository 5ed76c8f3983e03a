//! Fragments for this node back into bundles (RFC 9171 §5.9), within bounds in number, bytes and time.
//!
//! Without room, the bundle whose time is up first makes way: a flood of fragments costs unfinished bundles, and never memory. Fragments
//! that this node took custody of do not make way: for them, what comes is refused.

use super::{InputError, Node, Timer, ingress::Arrival, output::DropReason};
use crate::{
    bundle::{Bundle, BundleId, Fragment, reassemble},
    time::Instant,
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::time::Duration;

/// What fragments may occupy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReassemblySettings {
    /// Most bundles of which fragments wait.
    pub bundles: usize,
    /// Most bytes of all fragments.
    pub bytes: usize,
    /// Most fragments of one bundle.
    pub fragments: usize,
    /// How long a bundle may go without a new fragment. Its lifetime bounds it too.
    pub timeout: Duration,
}

impl Default for ReassemblySettings {
    fn default() -> Self {
        Self { bundles: 256, bytes: 32 << 20, fragments: 4096, timeout: Duration::from_secs(86_400) }
    }
}

/// The fragments of one bundle, by offset and length.
#[derive(Debug)]
struct Set {
    total: u64,
    parts: BTreeMap<(u64, u64), Part>,
    /// Payload bytes, overlaps counted twice.
    payload: u64,
    /// Encoded bytes.
    bytes: usize,
    deadline: Instant,
    expires: Instant,
    entrusted: bool,
}

#[derive(Debug)]
struct Part {
    bundle: Bundle,
    kept: bool,
}

/// The fragments that wait here. An insertion costs O(log n) and, when enough bytes are there, a walk over the bundle's fragments.
#[derive(Debug, Default)]
pub(super) struct Reassembly {
    sets: BTreeMap<BundleId, Set>,
    bytes: usize,
    deadlines: BTreeSet<(Instant, BundleId)>,
}

impl Set {
    /// Whether the fragments cover the payload without a gap.
    fn is_whole(&self) -> bool {
        if self.payload < self.total {
            return false;
        }
        let mut covered = 0;
        for (offset, length) in self.parts.keys() {
            if *offset > covered {
                return false;
            }
            covered = covered.max(offset + length);
        }
        covered == self.total
    }

    fn covers(&self, offset: u64, length: u64) -> bool {
        self.parts.keys().any(|(from, len)| *from <= offset && from + len >= offset + length)
    }
}

impl Reassembly {
    /// Takes the fragments of a bundle out.
    fn remove(&mut self, id: &BundleId) -> Option<Set> {
        let set = self.sets.remove(id)?;
        self.bytes -= set.bytes;
        self.deadlines.remove(&(set.deadline, id.clone()));
        Some(set)
    }

    fn insert(&mut self, id: &BundleId, part: Part, expires: Instant, until: Instant, entrusted: bool) {
        let Some(Fragment { offset, total }) = part.bundle.primary().fragment else { return };
        let (length, bytes) = (part.bundle.payload().len() as u64, part.bundle.encoded_len());
        let mut set = self.remove(id).unwrap_or_else(|| Set {
            total,
            parts: BTreeMap::new(),
            payload: 0,
            bytes: 0,
            deadline: until,
            expires,
            entrusted: false,
        });
        set.parts.insert((offset, length), part);
        set.payload += length;
        set.bytes += bytes;
        set.expires = set.expires.max(expires);
        set.entrusted |= entrusted;
        set.deadline = if set.entrusted { set.expires } else { until.min(set.expires) };
        self.bytes += set.bytes;
        self.deadlines.insert((set.deadline, id.clone()));
        self.sets.insert(id.clone(), set);
    }

    /// Who makes way next, other than `id`.
    fn victim(&self, id: &BundleId) -> Option<BundleId> {
        let may_go = |other: &&(Instant, BundleId)| {
            other.1 != *id && self.sets.get(&other.1).is_some_and(|set| !set.entrusted)
        };
        self.deadlines.iter().find(may_go).map(|(_, other)| other.clone())
    }

    #[cfg(test)]
    fn len(&self) -> (usize, usize) {
        (self.sets.len(), self.bytes)
    }
}

impl Node {
    /// A fragment for this node. Gives the bundle back when it was the last one missing.
    ///
    /// # Errors
    /// When the fragment is refused: it is known, contradicts others, or is beyond a bound.
    pub(super) fn on_fragment(
        &mut self,
        bundle: Bundle,
        left: Duration,
        arrival: Arrival,
    ) -> Result<Option<Bundle>, InputError> {
        let id = BundleId { fragment: None, ..bundle.id() };
        if let Err(reason) = self.check_fragment(&id, &bundle) {
            return Err(self.refuse(reason));
        }
        if !self.make_room(&id, bundle.encoded_len()) {
            return Err(self.refuse("reassembly_full"));
        }
        let entrusted = arrival.entrusted_by.is_some();
        let kept = entrusted || self.config.keep_bundles;
        if kept {
            self.keep_fragment(&bundle, left, entrusted);
        }
        self.add_fragment(id.clone(), bundle, left, kept, entrusted);
        if !self.reassembly.sets.get(&id).is_some_and(Set::is_whole) {
            self.arm_reassembly();
            return Ok(None);
        }
        let parts = self.forget_fragments(&id);
        self.arm_reassembly();
        match reassemble(&parts) {
            Ok(whole) => Ok(Some(whole)),
            Err(error) => {
                self.drop_bundle(&parts[0], DropReason::Incomplete);
                Err(self.refuse(error.reason()))
            }
        }
    }

    /// Puts a fragment to the others of its bundle, without a question.
    pub(super) fn add_fragment(
        &mut self,
        id: BundleId,
        bundle: Bundle,
        left: Duration,
        kept: bool,
        entrusted: bool,
    ) {
        let expires = self.now.saturating_add(left);
        let until = self.now.saturating_add(self.config.bundles.reassembly.timeout);
        self.reassembly.insert(&id, Part { bundle, kept }, expires, until, entrusted);
    }

    fn check_fragment(&self, id: &BundleId, bundle: &Bundle) -> Result<(), &'static str> {
        let Some(Fragment { offset, total }) = bundle.primary().fragment else {
            return Err("not_a_fragment");
        };
        let settings = &self.config.bundles.reassembly;
        let length = bundle.payload().len() as u64;
        if total > self.config.bundles.max_payload as u64 {
            return Err("fragment_total_too_large");
        }
        if self.delivered.knows(id) {
            return Err("duplicate_bundle");
        }
        let Some(set) = self.reassembly.sets.get(id) else { return Ok(()) };
        if set.total != total {
            return Err("fragment_foreign");
        }
        if set.covers(offset, length) {
            return Err("duplicate_fragment");
        }
        if set.parts.len() >= settings.fragments {
            return Err("too_many_fragments");
        }
        Ok(())
    }

    fn make_room(&mut self, id: &BundleId, bytes: usize) -> bool {
        let settings = self.config.bundles.reassembly;
        loop {
            let new = usize::from(!self.reassembly.sets.contains_key(id));
            let fits = self.reassembly.bytes + bytes <= settings.bytes
                && self.reassembly.sets.len() + new <= settings.bundles;
            if fits {
                return true;
            }
            let Some(victim) = self.reassembly.victim(id) else { return false };
            self.give_up(&victim, "reassembly_evicted");
        }
    }

    fn give_up(&mut self, id: &BundleId, reason: &'static str) {
        self.count(reason);
        let parts = self.forget_fragments(id);
        for part in parts {
            self.drop_bundle(&part, DropReason::Incomplete);
        }
    }

    fn forget_fragments(&mut self, id: &BundleId) -> Vec<Bundle> {
        let Some(set) = self.reassembly.remove(id) else { return Vec::new() };
        let mut parts = Vec::with_capacity(set.parts.len());
        for part in set.parts.into_values() {
            if part.kept {
                self.forget_fragment(&part.bundle);
            }
            parts.push(part.bundle);
        }
        parts
    }

    /// Bundles whose missing fragments did not come are given up.
    pub(super) fn on_reassembly_timeout(&mut self) {
        while let Some((deadline, id)) = self.reassembly.deadlines.first().cloned() {
            if deadline > self.now {
                break;
            }
            self.give_up(&id, "reassembly_timeout");
        }
        self.arm_reassembly();
    }

    pub(super) fn arm_reassembly(&mut self) {
        match self.reassembly.deadlines.first() {
            Some((deadline, _)) => self.timers.arm(Timer::Reassembly, *deadline),
            None => self.timers.disarm(Timer::Reassembly),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bundle::{CreationTimestamp, Primary},
        id::NodeId,
        time::DtnTime,
    };
    use alloc::vec;

    fn parts(sequence: u64) -> Vec<Bundle> {
        let creation = CreationTimestamp { time: DtnTime(5), sequence };
        let primary = Primary::new(NodeId(1).endpoint(7), NodeId(2).endpoint(7), creation, 60_000);
        Bundle::new(primary, vec![1; 100]).fragment(40).unwrap()
    }

    #[test]
    fn bytes_are_counted_and_the_entrusted_never_make_way() {
        let mut reassembly = Reassembly::default();
        let later = Instant::from_nanos(50);
        let mut ids = Vec::new();
        for (sequence, entrusted) in [(1, true), (2, false), (3, false)] {
            let bundle = parts(sequence).remove(1);
            let id = BundleId { fragment: None, ..bundle.id() };
            let until = Instant::from_nanos(10 + sequence);
            reassembly.insert(&id, Part { bundle, kept: false }, later, until, entrusted);
            ids.push(id);
        }
        let one = parts(1)[1].encoded_len();
        assert_eq!(reassembly.len(), (3, 3 * one));
        assert_eq!(reassembly.victim(&ids[1]), Some(ids[2].clone()));
        assert_eq!(reassembly.victim(&ids[2]), Some(ids[1].clone()));
        reassembly.remove(&ids[1]);
        assert_eq!((reassembly.victim(&ids[2]), reassembly.len()), (None, (2, 2 * one)));
    }

    #[test]
    fn a_set_is_whole_when_no_byte_is_missing() {
        let mut reassembly = Reassembly::default();
        let mut whole = Vec::new();
        for bundle in parts(1).into_iter().rev() {
            let id = BundleId { fragment: None, ..bundle.id() };
            reassembly.insert(&id, Part { bundle, kept: false }, Instant::MAX, Instant::MAX, false);
            whole.push(reassembly.sets[&id].is_whole());
        }
        assert_eq!(whole, [false, false, true]);
    }
}
