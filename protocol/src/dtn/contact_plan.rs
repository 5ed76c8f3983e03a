//! The contact plan: who can send to whom, when, how fast, and how far away they are (CCSDS 734.3-B-1 §2.3).
//!
//! A plan is shared: [`ContactPlan`] clones in O(1), and a change copies it only when somebody else holds it too.

mod steps;

pub use steps::Step;

use crate::{id::NodeId, time::Instant};
use alloc::{
    boxed::Box,
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    vec::Vec,
};
use core::time::Duration;

/// A planned contact: `from` can send to `to` during `[start, end]`. Times are on the node's own clock, at the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlannedContact {
    /// The sender.
    pub from: NodeId,
    /// The receiver.
    pub to: NodeId,
    /// When the first bit may leave.
    pub start: Instant,
    /// When the last bit must have left.
    pub end: Instant,
    /// Data rate in bits per second.
    pub rate_bps: u64,
    /// One-way light time.
    pub owlt: Duration,
}

impl PlannedContact {
    /// How long `bytes` take to leave, rounded up to a nanosecond.
    #[must_use]
    pub fn serialisation(&self, bytes: u64) -> Duration {
        Duration::from_nanos(serialisation_ns(bytes, self.rate_bps))
    }

    /// Whether a plan takes it.
    ///
    /// # Errors
    /// Why not: any [`PlanError`] but those about the plan itself.
    pub fn check(&self) -> Result<(), PlanError> {
        check(self)
    }
}

/// A contact's name in one plan: handed out in order, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContactId(pub u32);

/// How likely a contact, or a whole route, is to happen as planned: parts of a million, so that products are exact everywhere.
///
/// CCSDS 734.3-B-1 leaves confidence out; the notion and its default of certainty are ION's (`ionrc(5)`, `a contact`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Confidence(u32);

impl Confidence {
    /// It will happen.
    pub const CERTAIN: Self = Self(1_000_000);
    /// It may or may not happen: the bound that everything meets.
    pub const NONE: Self = Self(0);

    /// From parts of a million; more than a million is certain.
    #[must_use]
    pub const fn from_ppm(ppm: u32) -> Self {
        Self(if ppm > 1_000_000 { 1_000_000 } else { ppm })
    }

    /// Parts of a million.
    #[must_use]
    pub const fn ppm(self) -> u32 {
        self.0
    }

    /// That both happen, when neither depends on the other: the product, rounded down.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self((self.0 as u64 * other.0 as u64 / 1_000_000) as u32)
    }
}

/// Names a plan's content: equal versions mean equal plans, whatever clone they come from.
///
/// A count of changes and a 64-bit fingerprint of their history (not a cryptographic one: a plan's author is trusted).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlanVersion {
    changes: u64,
    fingerprint: u64,
}

/// Why a contact cannot be planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A node needs no contact with itself.
    #[error("contact of node {0} with itself")]
    Loopback(NodeId),
    /// The contact ends before it starts, or at once.
    #[error("contact window [{}, {}] ns is empty", start.as_nanos(), end.as_nanos())]
    EmptyWindow {
        /// The start found.
        start: Instant,
        /// The end found.
        end: Instant,
    },
    /// Nothing can be sent at no rate.
    #[error("contact rate is 0 bit/s")]
    ZeroRate,
    /// The light time is not below [`MAX_OWLT`].
    #[error("one-way light time of {found:?} exceeds {MAX_OWLT:?}")]
    TooFar {
        /// The light time found.
        found: Duration,
    },
    /// The plan holds [`MAX_CONTACTS`], or has handed out every name.
    #[error("contact plan is full: {MAX_CONTACTS} contacts")]
    Full,
    /// A step does not begin where its contact does, or is not in order of time within it.
    #[error("step {place} of a contact at {} ns is out of order", start.as_nanos())]
    Step {
        /// Its place among the steps, from 0.
        place: usize,
        /// When it would begin.
        start: Instant,
    },
    /// There is no such contact.
    #[error("no contact {0:?} in the plan")]
    Unknown(ContactId),
}

/// The longest one-way light time that a plan takes: a day, four times the distance of the farthest spacecraft in 2026.
pub const MAX_OWLT: Duration = Duration::from_secs(86_400);
/// The most contacts that a plan holds.
pub const MAX_CONTACTS: usize = 1 << 22;

/// An ordered set of planned contacts with an index per sender.
#[derive(Clone, Debug, Default)]
pub struct ContactPlan {
    inner: Arc<Inner>,
}

#[derive(Clone, Debug, Default)]
struct Inner {
    /// The contact with id `first_id + i` is at `i`; contacts that were removed leave `None` until they reach the front.
    contacts: VecDeque<Option<PlannedContact>>,
    first_id: u32,
    count: usize,
    version: PlanVersion,
    /// Contacts that are not certain.
    confidence: BTreeMap<ContactId, Confidence>,
    /// How contacts change within themselves, of those that do.
    steps: BTreeMap<ContactId, Box<[Step]>>,
    node_index: BTreeMap<NodeId, u32>,
    nodes: Vec<Node>,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) id: NodeId,
    /// Contacts from here, by (end, start, receiver, id).
    pub(super) out: Vec<Edge>,
    /// Names of the contacts to here, in no order of time.
    pub(super) incoming: Vec<ContactId>,
}

/// A contact as the search reads it: nanoseconds and dense indices.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub(super) end: u64,
    pub(super) start: u64,
    pub(super) to: u32,
    pub(super) id: ContactId,
    /// 0: the contact has steps, and the rate and light time are theirs ([`ContactPlan::steps`]).
    pub(super) rate_bps: u64,
    pub(super) owlt: u64,
    /// The earliest start among this edge and all that follow: where a search bounded in time can stop.
    pub(super) earliest_start: u64,
}

impl Edge {
    /// A contact to the node at index `to`, on its own.
    pub(super) fn of(id: ContactId, contact: &PlannedContact, to: u32) -> Self {
        let start = contact.start.as_nanos();
        // At most a day by `check`, so it fits.
        let owlt = contact.owlt.as_nanos() as u64;
        let end = contact.end.as_nanos();
        Self { end, start, to, id, rate_bps: contact.rate_bps, owlt, earliest_start: start }
    }

    const fn order(&self) -> (u64, u64, u32, u32) {
        (self.end, self.start, self.to, self.id.0)
    }
}

impl ContactPlan {
    /// A plan of these contacts, with ids in the order given. O(n log n).
    ///
    /// # Errors
    /// The first contact that cannot be planned.
    pub fn from_contacts(contacts: impl IntoIterator<Item = PlannedContact>) -> Result<Self, PlanError> {
        let mut inner = Inner::default();
        for contact in contacts {
            inner.append(contact)?;
        }
        inner.rebuild();
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Adds a contact. O(contacts of its sender).
    ///
    /// # Errors
    /// [`PlanError`]: the plan is then unchanged.
    pub fn add(&mut self, contact: PlannedContact) -> Result<ContactId, PlanError> {
        check(&contact)?;
        let inner = Arc::make_mut(&mut self.inner);
        let id = inner.append(contact)?;
        inner.link(id, &contact);
        Ok(id)
    }

    /// Takes a contact out. O(contacts of its sender).
    ///
    /// # Errors
    /// [`PlanError::Unknown`].
    pub fn remove(&mut self, id: ContactId) -> Result<PlannedContact, PlanError> {
        let contact = *self.get(id).ok_or(PlanError::Unknown(id))?;
        let inner = Arc::make_mut(&mut self.inner);
        inner.unlink(id, &contact);
        inner.clear(id);
        inner.changed(1, id, &contact);
        Ok(contact)
    }

    /// Replaces a contact, which keeps its id. O(contacts of its sender).
    ///
    /// # Errors
    /// [`PlanError`]: the plan is then unchanged.
    pub fn update(&mut self, id: ContactId, contact: PlannedContact) -> Result<(), PlanError> {
        check(&contact)?;
        let old = *self.get(id).ok_or(PlanError::Unknown(id))?;
        let inner = Arc::make_mut(&mut self.inner);
        inner.unlink(id, &old);
        inner.steps.remove(&id);
        let slot = (id.0 - inner.first_id) as usize;
        inner.contacts[slot] = Some(contact);
        inner.link(id, &contact);
        inner.changed(2, id, &contact);
        Ok(())
    }

    /// Says how likely a contact is. Contacts are certain until this is called. O(log n).
    ///
    /// # Errors
    /// [`PlanError::Unknown`].
    pub fn set_confidence(&mut self, id: ContactId, confidence: Confidence) -> Result<(), PlanError> {
        let contact = *self.get(id).ok_or(PlanError::Unknown(id))?;
        let inner = Arc::make_mut(&mut self.inner);
        if confidence == Confidence::CERTAIN {
            inner.confidence.remove(&id);
        } else {
            inner.confidence.insert(id, confidence);
        }
        inner.changed(3 + u64::from(confidence.0), id, &contact);
        Ok(())
    }

    /// How likely a contact is.
    #[must_use]
    pub fn confidence(&self, id: ContactId) -> Confidence {
        self.inner.confidence.get(&id).copied().unwrap_or(Confidence::CERTAIN)
    }

    /// Forgets the contacts that ended before `now`, and answers how many. O(n log n) when there are any.
    ///
    /// The version changes with it. Searches skip past contacts by index, so this is for memory only.
    pub fn forget_before(&mut self, now: Instant) -> usize {
        let past: Vec<_> =
            self.iter().filter(|(_, contact)| contact.end < now).map(|(id, c)| (id, *c)).collect();
        if past.is_empty() {
            return 0;
        }
        let inner = Arc::make_mut(&mut self.inner);
        for (id, contact) in &past {
            inner.clear(*id);
            inner.changed(1, *id, contact);
        }
        inner.rebuild();
        past.len()
    }

    /// The contact named `id`.
    #[must_use]
    pub fn get(&self, id: ContactId) -> Option<&PlannedContact> {
        self.inner.get(id)
    }

    /// All contacts by id.
    pub fn iter(&self) -> impl Iterator<Item = (ContactId, &PlannedContact)> {
        let first = self.inner.first_id;
        let slots = self.inner.contacts.iter().zip(first..);
        slots.filter_map(|(slot, id)| Some((ContactId(id), slot.as_ref()?)))
    }

    /// Contacts from `sender` that have not ended at `now`, by end.
    pub fn from_node(
        &self,
        sender: NodeId,
        now: Instant,
    ) -> impl Iterator<Item = (ContactId, &PlannedContact)> {
        let node = self.inner.node_index.get(&sender).map(|&index| &self.inner.nodes[index as usize]);
        let edges = node.map_or(&[][..], |node| open_at(&node.out, now.as_nanos()));
        edges.iter().filter_map(|edge| Some((edge.id, self.get(edge.id)?)))
    }

    /// What names this content.
    #[must_use]
    pub fn version(&self) -> PlanVersion {
        self.inner.version
    }

    /// Number of contacts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.count
    }

    /// Whether there are no contacts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.count == 0
    }

    /// The name of the oldest contact that is left, or of the next one.
    #[must_use]
    pub fn first_id(&self) -> ContactId {
        ContactId(self.inner.first_id)
    }

    /// Whether `other` has the same nodes in the same places, and perhaps more behind them.
    pub(super) fn names_nodes_as(&self, other: &Self) -> bool {
        let (own, others) = (&self.inner.nodes, &other.inner.nodes);
        own.len() <= others.len() && own.iter().zip(others).all(|(own, other)| own.id == other.id)
    }

    pub(super) fn node_index(&self, node: NodeId) -> Option<u32> {
        self.inner.node_index.get(&node).copied()
    }

    pub(super) fn nodes(&self) -> &[Node] {
        &self.inner.nodes
    }
}

/// The part of `edges` (ordered by end) that has not ended at `now`.
pub(super) fn open_at(edges: &[Edge], now: u64) -> &[Edge] {
    &edges[edges.partition_point(|edge| edge.end < now)..]
}

/// How long `bytes` take at `rate_bps`, in nanoseconds, rounded up; `u64::MAX` when that is longer.
pub(super) fn serialisation_ns(bytes: u64, rate_bps: u64) -> u64 {
    const NS_BITS: u64 = 8 * 1_000_000_000;
    match bytes.checked_mul(NS_BITS) {
        Some(scaled) => scaled.div_ceil(rate_bps),
        None => {
            let ns = (u128::from(bytes) * u128::from(NS_BITS)).div_ceil(u128::from(rate_bps));
            u64::try_from(ns).unwrap_or(u64::MAX)
        }
    }
}

fn check(contact: &PlannedContact) -> Result<(), PlanError> {
    if contact.from == contact.to {
        return Err(PlanError::Loopback(contact.from));
    }
    if contact.end <= contact.start {
        return Err(PlanError::EmptyWindow { start: contact.start, end: contact.end });
    }
    if contact.rate_bps == 0 {
        return Err(PlanError::ZeroRate);
    }
    if contact.owlt > MAX_OWLT {
        return Err(PlanError::TooFar { found: contact.owlt });
    }
    Ok(())
}

impl Inner {
    fn get(&self, id: ContactId) -> Option<&PlannedContact> {
        self.contacts.get(id.0.checked_sub(self.first_id)? as usize)?.as_ref()
    }

    fn append(&mut self, contact: PlannedContact) -> Result<ContactId, PlanError> {
        check(&contact)?;
        if self.contacts.len() >= MAX_CONTACTS {
            return Err(PlanError::Full);
        }
        let offset = u32::try_from(self.contacts.len()).map_err(|_| PlanError::Full)?;
        let id = ContactId(self.first_id.checked_add(offset).ok_or(PlanError::Full)?);
        self.contacts.push_back(Some(contact));
        self.count += 1;
        self.changed(0, id, &contact);
        Ok(id)
    }

    /// Empties a slot. Empty slots at the front go, so memory follows the span of living ids.
    fn clear(&mut self, id: ContactId) {
        let slot = (id.0 - self.first_id) as usize;
        if self.contacts[slot].take().is_some() {
            self.count -= 1;
            self.confidence.remove(&id);
            self.steps.remove(&id);
        }
        while let Some(None) = self.contacts.front() {
            self.contacts.pop_front();
            self.first_id += 1;
        }
    }

    fn node(&mut self, id: NodeId) -> u32 {
        let nodes = &mut self.nodes;
        *self.node_index.entry(id).or_insert_with(|| {
            nodes.push(Node { id, out: Vec::new(), incoming: Vec::new() });
            nodes.len() as u32 - 1
        })
    }

    fn edge(&mut self, id: ContactId, contact: &PlannedContact) -> (u32, Edge) {
        let (from, to) = (self.node(contact.from), self.node(contact.to));
        let edge = Edge::of(id, contact, to);
        (from, if self.steps.contains_key(&id) { Edge { rate_bps: 0, ..edge } } else { edge })
    }

    fn link(&mut self, id: ContactId, contact: &PlannedContact) {
        let (from, edge) = self.edge(id, contact);
        self.nodes[edge.to as usize].incoming.push(id);
        let out = &mut self.nodes[from as usize].out;
        let at = out.partition_point(|other| other.order() < edge.order());
        out.insert(at, edge);
        let later = out.get(at + 1).map_or(u64::MAX, |edge| edge.earliest_start);
        mark_starts(&mut out[..=at], later);
    }

    fn unlink(&mut self, id: ContactId, contact: &PlannedContact) {
        let (from, to) = (self.node(contact.from), self.node(contact.to));
        self.nodes[to as usize].incoming.retain(|other| *other != id);
        let out = &mut self.nodes[from as usize].out;
        out.retain(|edge| edge.id != id);
        mark_starts(out, u64::MAX);
    }

    fn rebuild(&mut self) {
        self.node_index.clear();
        self.nodes.clear();
        for slot in 0..self.contacts.len() {
            if let Some(contact) = self.contacts[slot] {
                let (from, edge) = self.edge(ContactId(self.first_id + slot as u32), &contact);
                self.nodes[from as usize].out.push(edge);
                self.nodes[edge.to as usize].incoming.push(edge.id);
            }
        }
        for node in &mut self.nodes {
            node.out.sort_unstable_by_key(Edge::order);
            mark_starts(&mut node.out, u64::MAX);
        }
    }

    fn changed(&mut self, what: u64, id: ContactId, contact: &PlannedContact) {
        let PlannedContact { from, to, start, end, rate_bps, owlt } = contact;
        let facts = [from.0, to.0, start.as_nanos(), end.as_nanos(), *rate_bps, owlt.as_nanos() as u64];
        let mut print = mix(self.version.fingerprint ^ what);
        for fact in [u64::from(id.0)].into_iter().chain(facts) {
            print = mix(print ^ fact);
        }
        self.version = PlanVersion { changes: self.version.changes + 1, fingerprint: print };
    }
}

fn mark_starts(edges: &mut [Edge], mut earliest: u64) {
    for edge in edges.iter_mut().rev() {
        earliest = earliest.min(edge.start);
        edge.earliest_start = earliest;
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014) after its increment.
const fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(from: u64, to: u64, start: u64, end: u64) -> PlannedContact {
        let at = |s: u64| Instant::from_nanos(s * 1_000_000_000);
        let (start, end) = (at(start), at(end));
        PlannedContact { from: NodeId(from), to: NodeId(to), start, end, rate_bps: 8, owlt: Duration::ZERO }
    }

    #[test]
    fn single_changes_index_like_a_fresh_plan() {
        let mut plan = ContactPlan::from_contacts([contact(1, 2, 0, 9), contact(1, 3, 4, 5)]).unwrap();
        let added = plan.add(contact(1, 2, 3, 7)).unwrap();
        plan.update(ContactId(1), contact(1, 3, 8, 20)).unwrap();
        plan.remove(ContactId(0)).unwrap();
        let open: Vec<_> = plan.from_node(NodeId(1), Instant::ZERO).map(|(id, _)| id).collect();
        assert_eq!(open, [added, ContactId(1)]);
        let starts: Vec<_> =
            plan.nodes()[0].out.iter().map(|edge| edge.earliest_start / 1_000_000_000).collect();
        assert_eq!(starts, [3, 8]);
    }

    #[test]
    fn a_clone_does_not_see_later_changes_and_versions_tell() {
        let mut plan = ContactPlan::from_contacts([contact(1, 2, 0, 9)]).unwrap();
        let shared = plan.clone();
        assert_eq!(plan.version(), shared.version());
        plan.add(contact(2, 1, 0, 9)).unwrap();
        assert_eq!((plan.len(), shared.len()), (2, 1));
        let mut other = shared.clone();
        other.add(contact(2, 3, 0, 9)).unwrap();
        assert_ne!(plan.version(), other.version());
    }

    #[test]
    fn past_contacts_are_forgotten_and_their_names_are_not_reused() {
        let mut plan = ContactPlan::from_contacts([contact(1, 2, 0, 9), contact(1, 2, 20, 30)]).unwrap();
        assert_eq!(plan.forget_before(Instant::from_nanos(10_000_000_000)), 1);
        assert_eq!(plan.get(ContactId(0)), None);
        assert_eq!(plan.add(contact(1, 2, 40, 50)), Ok(ContactId(2)));
        assert_eq!(plan.iter().count(), 2);
    }

    #[test]
    fn impossible_contacts_are_refused() {
        let mut plan = ContactPlan::default();
        assert_eq!(plan.add(contact(1, 1, 0, 9)), Err(PlanError::Loopback(NodeId(1))));
        assert!(matches!(plan.add(contact(1, 2, 9, 9)), Err(PlanError::EmptyWindow { .. })));
        assert_eq!(plan.add(PlannedContact { rate_bps: 0, ..contact(1, 2, 0, 9) }), Err(PlanError::ZeroRate));
        assert_eq!(plan.version(), PlanVersion::default());
    }

    #[test]
    fn serialisation_rounds_up_and_saturates() {
        assert_eq!(serialisation_ns(1, 3), 2_666_666_667);
        assert_eq!(serialisation_ns(0, 1), 0);
        assert_eq!(serialisation_ns(u64::MAX, 1), u64::MAX);
        assert_eq!(serialisation_ns(u64::MAX, u64::MAX), 8_000_000_000);
    }
}
