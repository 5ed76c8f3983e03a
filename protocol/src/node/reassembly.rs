//! Fragments for this node back into bundles (RFC 9171 §5.9), within bounds in number, bytes and time.
//!
//! Without room, the bundle whose time is up first makes way: a flood of fragments costs unfinished bundles, and never memory. Fragments
//! that this node took custody of do not make way: for them, what comes is refused.

use super::{
    InputError, Node, Timer,
    ingress::{Arrival, Fate},
    output::DropReason,
};
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
    /// Whether this node took custody of it.
    entrusted: bool,
}

/// The fragments of a bundle that is whole. The one that came last has no record any more; the others go only when the whole is safe.
#[derive(Debug)]
pub(super) struct Joined {
    id: BundleId,
    parts: Vec<Bundle>,
    /// Of each: whether it is kept, and whether this node took custody of it.
    marks: Vec<(bool, bool)>,
    /// Which one came last.
    last: usize,
    expires: Instant,
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

    /// The fragment here that has all the bytes of another's place.
    fn covering(&self, offset: u64, length: u64) -> Option<(u64, u64)> {
        let covers = |(from, len): &&(u64, u64)| *from <= offset && from + len >= offset + length;
        self.parts.keys().find(covers).copied()
    }

    /// Whether the fragment at `place`, which covers `bundle`, says the same.
    fn agrees(&self, place: (u64, u64), bundle: &Bundle) -> bool {
        let offset = bundle.primary().fragment.map_or(0, |fragment| fragment.offset);
        let start = offset.saturating_sub(place.0) as usize;
        let end = start + bundle.payload().len();
        self.parts.get(&place).and_then(|part| part.bundle.payload().get(start..end))
            == Some(bundle.payload())
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

    fn insert(&mut self, id: &BundleId, part: Part, expires: Instant, until: Instant) {
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
        set.entrusted |= part.entrusted;
        set.parts.insert((offset, length), part);
        set.payload += length;
        set.bytes += bytes;
        set.expires = set.expires.max(expires);
        set.deadline = if set.entrusted { set.expires } else { until.min(set.expires) };
        self.bytes += set.bytes;
        self.deadlines.insert((set.deadline, id.clone()));
        self.sets.insert(id.clone(), set);
    }

    /// Takes one fragment out of a bundle's. The deadline stays, though it was set for all of them.
    fn take_part(&mut self, id: &BundleId, place: (u64, u64)) -> Option<Part> {
        let set = self.sets.get_mut(id)?;
        let part = set.parts.remove(&place)?;
        let bytes = part.bundle.encoded_len();
        set.payload -= place.1;
        set.bytes -= bytes;
        self.bytes -= bytes;
        if set.parts.is_empty() {
            self.remove(id);
        }
        Some(part)
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
    /// A fragment for this node. Gives the bundle back when it was the last one missing; then [`Self::settle_fragments`] must follow.
    ///
    /// # Errors
    /// When the fragment is refused: it is known, contradicts others, or is beyond a bound.
    pub(super) fn on_fragment(
        &mut self,
        bundle: Bundle,
        left: Duration,
        arrival: Arrival,
    ) -> Result<Option<(Bundle, Joined)>, InputError> {
        let id = BundleId { fragment: None, ..bundle.id() };
        let entrusted = arrival.entrusted_by.is_some();
        if let Err(reason) = self.check_fragment(&id, &bundle) {
            return Err(self.refuse(reason));
        }
        if let Some(reason) = self.refuses_covered(&id, &bundle, left, entrusted) {
            return Err(self.refuse(reason));
        }
        let many = self.config.bundles.reassembly.fragments;
        if self.reassembly.sets.get(&id).is_some_and(|set| set.parts.len() >= many) {
            return Err(self.refuse("too_many_fragments"));
        }
        if !self.make_room(&id, bundle.encoded_len()) {
            return Err(self.refuse("reassembly_full"));
        }
        let kept = entrusted || self.config.keep_bundles;
        if kept {
            self.keep_fragment(&bundle, left, entrusted);
        }
        let place = (bundle.primary().fragment.map_or(0, |part| part.offset), bundle.payload().len() as u64);
        self.add_fragment(id.clone(), bundle, left, kept, entrusted);
        let joined = match self.reassembly.sets.get(&id) {
            Some(set) if set.is_whole() => self.join(id, place),
            _ => None,
        };
        self.arm_reassembly();
        let Some(joined) = joined else { return Ok(None) };
        let last = &joined.parts[joined.last];
        let (reason, word) = match reassemble(&joined.parts) {
            Ok(_) if self.lacks_memory_for(last, left, arrival.from) => {
                (DropReason::StoreFull, "delivered_memory_full")
            }
            Ok(whole) => return Ok(Some((whole, joined))),
            Err(error) => (DropReason::Incomplete, error.reason()),
        };
        self.turn_away(last, reason, arrival);
        let refused = Err(self.refuse(word));
        self.settle_fragments(joined, &refused);
        refused.map(|_| None)
    }

    /// Whether the fragment has bytes that a bundle of which others wait here lacks.
    pub(super) fn lacks_part(&self, bundle: &Bundle) -> bool {
        let Some(Fragment { offset, .. }) = bundle.primary().fragment else { return false };
        let id = BundleId { fragment: None, ..bundle.id() };
        let length = bundle.payload().len() as u64;
        self.reassembly.sets.get(&id).is_some_and(|set| set.covering(offset, length).is_none())
    }

    /// Takes the fragments of a whole bundle out, and leaves their records.
    fn join(&mut self, id: BundleId, last: (u64, u64)) -> Option<Joined> {
        let set = self.reassembly.remove(&id)?;
        let last = set.parts.keys().position(|place| *place == last)?;
        let (mut parts, mut marks) =
            (Vec::with_capacity(set.parts.len()), Vec::with_capacity(set.parts.len()));
        for Part { bundle, kept, entrusted } in set.parts.into_values() {
            if kept && parts.len() == last {
                self.forget_fragment(&bundle);
            }
            parts.push(bundle);
            marks.push((kept, entrusted));
        }
        Some(Joined { id, parts, marks, last, expires: set.expires })
    }

    /// What became of the whole bundle decides over its fragments. When it was refused, the last one is as if it had never come, so that
    /// its sender keeps it; this node keeps those that it has custody of, and where only room was wanting, the others too.
    pub(super) fn settle_fragments(&mut self, joined: Joined, result: &Result<Fate, InputError>) {
        let (entrusted_stay, others_stay) = match result {
            Ok(Fate::Taken) => (false, false),
            Ok(Fate::Dropped(DropReason::StoreFull)) => (true, true),
            Err(InputError::Refused { reason }) => match *reason {
                "duplicate" | "duplicate_bundle" | "duplicate_fragment" | "custody_redundant" => {
                    (false, false)
                }
                "delivered_memory_full" | "reassembly_full" => (true, true),
                _ => (true, false),
            },
            Ok(Fate::Dropped(_)) | Err(_) => (true, false),
        };
        let Joined { id, parts, marks, last, expires } = joined;
        let until = self.now.saturating_add(self.config.bundles.reassembly.timeout);
        for (index, (bundle, (kept, entrusted))) in parts.into_iter().zip(marks).enumerate() {
            let stays = if entrusted { entrusted_stay } else { others_stay };
            if index == last {
                continue;
            } else if stays {
                self.reassembly.insert(&id, Part { bundle, kept, entrusted }, expires, until);
            } else if kept {
                self.forget_fragment(&bundle);
            }
        }
        self.arm_reassembly();
    }

    /// Why a fragment whose bytes are all here is of no use; `None` when it is, or some are not.
    ///
    /// Whoever is told "redundant" lets the last copy go, so a fragment that comes with its custody makes the one here what it would have
    /// been itself: durable, and out of the way of evictions. One that says something else takes the place of one without a custodian.
    fn refuses_covered(
        &mut self,
        id: &BundleId,
        bundle: &Bundle,
        left: Duration,
        entrusted: bool,
    ) -> Option<&'static str> {
        let Fragment { offset, .. } = bundle.primary().fragment?;
        let length = bundle.payload().len() as u64;
        while let Some((place, agrees, known)) = self.reassembly.sets.get(id).and_then(|set| {
            let place = set.covering(offset, length)?;
            Some((place, set.agrees(place, bundle), set.parts.get(&place)?.entrusted))
        }) {
            if !entrusted || (agrees && known) {
                return Some("duplicate_fragment");
            }
            if !agrees && known {
                return Some("fragment_conflict");
            }
            let part = self.reassembly.take_part(id, place)?;
            if agrees {
                self.keep_fragment(&part.bundle, left, true);
                self.add_fragment(id.clone(), part.bundle, left, true, true);
                self.arm_reassembly();
                return Some("duplicate_fragment");
            }
            if part.kept {
                self.forget_fragment(&part.bundle);
            }
        }
        None
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
        self.reassembly.insert(&id, Part { bundle, kept, entrusted }, expires, until);
    }

    fn check_fragment(&self, id: &BundleId, bundle: &Bundle) -> Result<(), &'static str> {
        let Some(Fragment { total, .. }) = bundle.primary().fragment else {
            return Err("not_a_fragment");
        };
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
            self.give_up(&victim, "reassembly_evicted", DropReason::StoreFull);
        }
    }

    fn give_up(&mut self, id: &BundleId, word: &'static str, reason: DropReason) {
        self.count(word);
        let parts = self.forget_fragments(id);
        for part in parts {
            self.drop_bundle(&part, reason);
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
            self.give_up(&id, "reassembly_timeout", DropReason::Incomplete);
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
            reassembly.insert(&id, Part { bundle, kept: false, entrusted }, later, until);
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
            let part = Part { bundle, kept: false, entrusted: false };
            reassembly.insert(&id, part, Instant::MAX, Instant::MAX);
            whole.push(reassembly.sets[&id].is_whole());
        }
        assert_eq!(whole, [false, false, true]);
    }
}
