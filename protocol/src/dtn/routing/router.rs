//! The router of a node: candidate routes, bookings, and what a change of the plan leaves standing.

use super::{
    Limits, Route, RouteQuery, RouteScratch, Volumes, earliest_arrival::fewest_hops, earliest_arrival_within,
    tree::Tree, walk::time,
};
use crate::{
    dtn::{
        contact_plan::{Confidence, ContactId, ContactPlan, PlanError, PlanVersion, PlannedContact},
        store::Priority,
    },
    id::NodeId,
    time::Instant,
};
use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};
use core::time::Duration;

/// How many times its slack a candidate is reused by the time that it takes, rather than by when it arrives.
pub const AGES: u32 = 60;

/// Schedule-aware bundle routing (CCSDS 734.3-B-1) as one node does it.
///
/// One search finds a candidate route to *every* destination, and a bound on each: before it nothing arrives. A bundle takes the
/// candidate, timed anew with the bookings and queues of the moment; when that arrives at most `slack` after the bound,
/// nothing is searched. So with a slack of zero every answer arrives as early as the best route does, and with some slack at
/// most so much later. Where queues make the candidate late, the search that knows them decides ([`earliest_arrival_within`]).
///
/// While a contact is open, bundles that take it arrive later one after the other, though nothing better came up. So a candidate
/// younger than [`AGES`] times the slack is also taken when the bundle at hand is under way for at most `slack` longer than the
/// bound says. That is a route without waiting, for one with waiting arrives when it did before; so what a better route that opened
/// meanwhile would have saved is a matter of light time and serialisation.
///
/// Bounds hold as long as things only get worse: later questions, larger bundles, more bookings. When a contact is lost or
/// changed, only the nodes behind it are searched anew; one that is added, or works again, is carried into the candidates that it
/// improves. Volume that is given back is looked for where volume was short.
#[derive(Clone, Debug)]
pub struct Router {
    slack: Duration,
    capacity: usize,
    queue_delay: bool,
    min_confidence: Confidence,
    version: PlanVersion,
    volumes: Volumes,
    /// Contacts that do not keep what the plan promises, in ascending order.
    lost: Vec<ContactId>,
    trees: BTreeMap<Kind, Kept>,
    scratch: RouteScratch,
    /// Whether the last question would have had an answer without bookings and queues.
    short: bool,
    counts: RouterCounts,
}

/// What a [`Router`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouterCounts {
    /// Questions answered without a search.
    pub reused: u64,
    /// Searches that found candidates for all destinations.
    pub grown: u64,
    /// Searches for one bundle, in view of queues and deadlines.
    pub searched: u64,
}

/// How one plan differs from another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanChange {
    /// Contacts that are not there any more, or not as they were, in ascending order: what was to take them needs another way.
    pub gone: Vec<ContactId>,
    /// Whether there is anything that was not there before, so that what waits may have a better way.
    pub better: bool,
}

/// Questions that share candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    from: NodeId,
    /// The magnitude of the bundle: the position of its size's highest bit, from 1.
    bits: u32,
    priority: Priority,
    /// The neighbour that may not come first, where the others' candidate leads over it.
    barred: Option<NodeId>,
}

#[derive(Clone, Debug, Default)]
struct Kept {
    tree: Tree,
    /// How often volume had been given back when it was begun, or first found a contact full.
    releases: u64,
    /// Candidates that were asked for, by their destination's index.
    candidates: Vec<Option<Arc<[ContactId]>>>,
}

/// What candidates say to a question.
enum Answer {
    Route(Route),
    /// Nothing arrives, or nothing in time.
    Never,
    /// The candidate leads over this neighbour, which may not come first.
    Barred(NodeId),
    /// Queues, exclusions or the deadline are in the candidate's way.
    Late,
}

impl Router {
    /// A router that keeps up to `capacity` searches, each with candidates for all destinations: one per source, priority,
    /// power of two of bundle sizes in use, and neighbour that may not come first where it matters. When it is full the oldest goes; it
    /// keeps one at least.
    #[must_use]
    pub fn new(slack: Duration, capacity: usize) -> Self {
        Self {
            slack,
            capacity,
            queue_delay: false,
            min_confidence: Confidence::NONE,
            version: PlanVersion::default(),
            volumes: Volumes::default(),
            lost: Vec::new(),
            trees: BTreeMap::new(),
            scratch: RouteScratch::default(),
            short: false,
            counts: RouterCounts::default(),
        }
    }

    /// The same router, which takes no route that is less likely than this as a whole.
    #[must_use]
    pub fn with_min_confidence(mut self, least: Confidence) -> Self {
        self.min_confidence = least;
        self.trees.clear();
        self
    }

    /// The same router, which lets what it booked on contacts further on go first there ([`Limits::queue_delay`]).
    #[must_use]
    pub fn with_queue_delay(mut self) -> Self {
        self.queue_delay = true;
        self.trees.clear();
        self
    }

    /// The route for a bundle of this priority, or `None` when it cannot arrive in time. Allocates nothing where a candidate that was
    /// taken before is taken again.
    pub fn route(&mut self, plan: &ContactPlan, query: &RouteQuery<'_>, priority: Priority) -> Option<Route> {
        self.follow(plan);
        self.short = false;
        let target = plan.node_index(query.to)?;
        if query.from == query.to {
            return None;
        }
        let bits = query.bytes.checked_ilog2().map_or(0, |bit| bit + 1);
        let mut kind = Kind { from: query.from, bits, priority, barred: None };
        let mut answer = self.ask(plan, query, kind, target);
        if let Answer::Barred(neighbour) = answer {
            kind.barred = Some(neighbour);
            answer = self.ask(plan, query, kind, target);
        }
        match answer {
            Answer::Route(route) => Some(route),
            Answer::Never => None,
            Answer::Barred(_) | Answer::Late => self.search(plan, query, priority),
        }
    }

    /// As [`Router::route`], searched for this bundle alone: for questions that no other shares.
    pub fn search(
        &mut self,
        plan: &ContactPlan,
        query: &RouteQuery<'_>,
        priority: Priority,
    ) -> Option<Route> {
        self.follow(plan);
        self.counts.searched += 1;
        let settings = (self.queue_delay, self.min_confidence);
        let limits = limits(&self.volumes, &self.lost, priority, settings);
        let found = earliest_arrival_within(plan, query, &limits, &mut self.scratch);
        self.short = found.is_none();
        found
    }

    /// Whether bookings and queues may be why [`Router::route`] has just answered `None`: later there may be an answer.
    #[must_use]
    pub const fn was_short(&self) -> bool {
        self.short
    }

    /// Takes the bundle's volume from the contacts of its route. Answers by how many bytes the first contact is now overbooked from
    /// `now` on: so much of what waits for it, lowest priority first, is to be released and routed anew.
    pub fn book(
        &mut self,
        plan: &ContactPlan,
        hops: &[ContactId],
        bytes: u64,
        priority: Priority,
        now: Instant,
    ) -> u64 {
        self.volumes.book(plan, hops, bytes, priority);
        hops.first().map_or(0, |first| self.volumes.overbooked(plan, *first, now))
    }

    /// Gives a bundle's volume back: it goes another way, or not at all.
    pub fn release(&mut self, hops: &[ContactId], bytes: u64, priority: Priority) {
        self.volumes.release(hops, bytes, priority);
    }

    /// A bundle that was booked is handed to its first contact, which is open: the time that it takes is gone from there.
    pub fn spend(&mut self, first: ContactId, bytes: u64, priority: Priority) {
        self.volumes.spend(first, bytes, priority);
    }

    /// What is booked.
    #[must_use]
    pub const fn volumes(&self) -> &Volumes {
        &self.volumes
    }

    /// A contact does not keep what the plan promises. Candidates over it are replaced, all others stand. Contacts that were lost and
    /// are over at `now` are forgotten.
    pub fn lose(&mut self, plan: &ContactPlan, id: ContactId, now: Instant) {
        self.follow(plan);
        let Some(contact) = plan.get(id) else { return };
        self.lost.retain(|lost| plan.get(*lost).is_some_and(|contact| contact.end > now));
        if let Err(place) = self.lost.binary_search(&id) {
            self.lost.insert(place, id);
            self.mend(plan, id, contact);
        }
    }

    /// It does so again.
    pub fn regain(&mut self, plan: &ContactPlan, id: ContactId) {
        self.follow(plan);
        let Ok(place) = self.lost.binary_search(&id) else { return };
        self.lost.remove(place);
        if let Some(contact) = plan.get(id) {
            self.improve(plan, id, contact);
        }
    }

    /// The contacts that are lost, in ascending order.
    #[must_use]
    pub fn lost(&self) -> &[ContactId] {
        &self.lost
    }

    /// Takes a contact that will not happen out of the plan. Candidates over it are replaced, all others stand.
    ///
    /// # Errors
    /// [`PlanError::Unknown`]: nothing changed then.
    pub fn contact_lost(
        &mut self,
        plan: &mut ContactPlan,
        id: ContactId,
    ) -> Result<PlannedContact, PlanError> {
        self.follow(plan);
        let contact = plan.remove(id)?;
        self.mend(plan, id, &contact);
        self.version = plan.version();
        Ok(contact)
    }

    /// Replaces a contact, which keeps its name and its bookings: cut short, moved, slower, faster.
    ///
    /// # Errors
    /// [`PlanError`]: nothing changed then.
    pub fn contact_changed(
        &mut self,
        plan: &mut ContactPlan,
        id: ContactId,
        contact: PlannedContact,
    ) -> Result<(), PlanError> {
        self.follow(plan);
        let before = *plan.get(id).ok_or(PlanError::Unknown(id))?;
        let had_steps = !plan.steps(id).is_empty();
        plan.update(id, contact)?;
        self.mend(plan, id, &before);
        if had_steps || !is_part_of(&contact, &before) {
            self.improve(plan, id, &contact);
        }
        self.version = plan.version();
        Ok(())
    }

    /// Adds a contact, and carries it into the candidates that it improves.
    ///
    /// # Errors
    /// [`PlanError`]: nothing changed then.
    pub fn contact_added(
        &mut self,
        plan: &mut ContactPlan,
        contact: PlannedContact,
    ) -> Result<ContactId, PlanError> {
        self.follow(plan);
        let id = plan.add(contact)?;
        self.improve(plan, id, &contact);
        self.version = plan.version();
        Ok(id)
    }

    /// Goes over from one plan to another, and answers how they differ. Where few contacts do, candidates that use none of them stand.
    /// A contact that still joins the same nodes keeps its bookings. O(contacts).
    pub fn update(&mut self, old: &ContactPlan, new: &ContactPlan) -> PlanChange {
        self.follow(old);
        if old.version() == new.version() {
            return PlanChange::default();
        }
        let (gone, better) = difference(old, new);
        let few = (gone.len() + better.len()) * FEW < new.len() && old.names_nodes_as(new);
        if !few {
            self.trees.clear();
        }
        for id in &gone {
            let Some(before) = old.get(*id) else { continue };
            self.mend(new, *id, before);
            if new.get(*id).is_none_or(|now| (now.from, now.to) != (before.from, before.to)) {
                self.volumes.forget(*id);
            }
        }
        // A contact that was lost is another one now.
        let mut mended = Vec::new();
        self.lost.retain(|id| {
            let is_gone = gone.binary_search(id).is_ok();
            if is_gone {
                mended.push(*id);
            }
            !is_gone
        });
        for id in better.iter().chain(&mended) {
            if let Some(contact) = new.get(*id) {
                self.improve(new, *id, contact);
            }
        }
        self.version = new.version();
        self.volumes.forget_before(new.first_id());
        PlanChange { gone, better: !better.is_empty() }
    }

    /// How many searches are kept, at most the capacity.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.trees.len()
    }

    /// What was done so far.
    #[must_use]
    pub const fn counts(&self) -> RouterCounts {
        self.counts
    }

    /// A plan that changed without being told here is another plan: candidates go, bookings of contacts that it still has
    /// stay.
    fn follow(&mut self, plan: &ContactPlan) {
        if self.version != plan.version() {
            self.version = plan.version();
            self.trees.clear();
            self.volumes.forget_before(plan.first_id());
        }
    }

    /// What the candidate says, searched anew where it is too old.
    fn ask(&mut self, plan: &ContactPlan, query: &RouteQuery<'_>, kind: Kind, target: u32) -> Answer {
        let mut fresh = false;
        if !self.trees.get(&kind).is_some_and(|kept| self.holds(kept, query)) {
            fresh = true;
            self.grow(plan, query, kind);
        }
        loop {
            let Some(kept) = self.trees.get_mut(&kind) else { return Answer::Never };
            let settings = (self.queue_delay, self.min_confidence);
            let limits = limits(&self.volumes, &self.lost, kind.priority, settings);
            kept.settle(plan, &limits, target);
            let bound = kept.tree.bound(target).map(Instant::from_nanos);
            let Some(bound) = bound.filter(|bound| *bound <= query.deadline) else {
                self.counts.reused += u64::from(!fresh);
                self.short = kept.tree.refused;
                return Answer::Never;
            };
            let age = query.now.saturating_since(Instant::from_nanos(kept.tree.asked));
            let latest = bound.saturating_add(self.slack);
            let latest = if age < self.slack * AGES { latest.saturating_add(age) } else { latest };
            let hops = kept.candidate(plan, query, (target, bound), &limits, &mut self.scratch);
            let first = hops.first().and_then(|first| plan.get(*first));
            if let Some(first) = first.filter(|first| query.excluded_neighbours.contains(&first.to)) {
                return if kind.barred.is_none() { Answer::Barred(first.to) } else { Answer::Late };
            }
            let in_time = |query: &RouteQuery<'_>| {
                time(plan, hops, query, &limits).filter(|timed| timed.arrival <= latest)
            };
            if let Some(timed) = in_time(query) {
                self.counts.reused += u64::from(!fresh);
                return Answer::Route(timed.over(hops.clone()));
            }
            // Searched anew, the candidate would be the same where only queues, the source or the deadline are in its way.
            let free = RouteQuery {
                deadline: Instant::MAX,
                backlog: &|_| 0,
                excluded: &[],
                avoided: None,
                ..*query
            };
            if fresh || in_time(&free).is_some() {
                return Answer::Late;
            }
            fresh = true;
            self.grow(plan, query, kind);
        }
    }

    /// Whether the question is no easier than the one that the candidates were found for.
    fn holds(&self, kept: &Kept, query: &RouteQuery<'_>) -> bool {
        let tree = &kept.tree;
        let loaded = tree.refused || self.queue_delay;
        query.now.as_nanos() >= tree.asked
            && query.bytes >= tree.bytes
            && (!loaded || kept.releases == self.volumes.releases())
    }

    /// Begins a search for candidates to all destinations.
    fn grow(&mut self, plan: &ContactPlan, query: &RouteQuery<'_>, kind: Kind) {
        // Grown for a somewhat smaller bundle, a tree also answers for those that are a little smaller than this one. Without
        // slack its arrivals would not do for this one.
        let rounded = if kind.bits == 0 { 0 } else { 1 << (kind.bits - 1) };
        let bytes = if self.slack.is_zero() { query.bytes } else { rounded };
        let mut kept = self.trees.remove(&kind).unwrap_or_default();
        if !kept.tree.plant(plan, query, bytes, kind.barred) {
            return;
        }
        self.counts.grown += 1;
        if self.trees.len() >= self.capacity.max(1) {
            let oldest = self.trees.iter().min_by_key(|(_, kept)| kept.tree.asked).map(|(kind, _)| *kind);
            oldest.and_then(|oldest| self.trees.remove(&oldest));
        }
        kept.releases = self.volumes.releases();
        kept.candidates.clear();
        self.trees.insert(kind, kept);
    }

    fn mend(&mut self, plan: &ContactPlan, id: ContactId, contact: &PlannedContact) {
        for (kind, kept) in &mut self.trees {
            let settings = (self.queue_delay, self.min_confidence);
            let limits = limits(&self.volumes, &self.lost, kind.priority, settings);
            if kept.tree.mend(plan, id, contact, &limits) {
                kept.candidates.clear();
            }
        }
    }

    fn improve(&mut self, plan: &ContactPlan, id: ContactId, contact: &PlannedContact) {
        for (kind, kept) in &mut self.trees {
            let settings = (self.queue_delay, self.min_confidence);
            let limits = limits(&self.volumes, &self.lost, kind.priority, settings);
            kept.tree.improve(plan, id, contact, &limits);
            kept.candidates.clear();
        }
    }
}

/// Beyond one change in so many contacts, a search from scratch is cheaper than to mend what is known.
const FEW: usize = 16;

/// What is gone from `old` or not as it was, and what is new in `new` or better than it was.
fn difference(old: &ContactPlan, new: &ContactPlan) -> (Vec<ContactId>, Vec<ContactId>) {
    let (mut gone, mut better) = (Vec::new(), Vec::new());
    for (id, before) in old.iter() {
        let surer = new.confidence(id).cmp(&old.confidence(id));
        let same_steps = new.steps(id) == old.steps(id);
        match new.get(id) {
            Some(now) if now == before && same_steps && surer.is_eq() => {}
            Some(now) => {
                gone.push(id);
                let changes = !(new.steps(id).is_empty() && old.steps(id).is_empty());
                if surer.is_gt() || changes || !is_part_of(now, before) {
                    better.push(id);
                }
            }
            None => gone.push(id),
        }
    }
    better.extend(new.iter().map(|(id, _)| id).filter(|id| old.get(*id).is_none()));
    (gone, better)
}

impl Kept {
    /// Searches on until the earliest arrival at `target` is known.
    fn settle(&mut self, plan: &ContactPlan, limits: &Limits<'_>, target: u32) {
        let was_refused = self.tree.refused;
        self.tree.settle(plan, limits, target);
        if self.tree.refused && !was_refused {
            // What was given back before has been seen.
            self.releases = limits.volumes.map_or(0, Volumes::releases);
        }
    }

    /// The contacts to `target`, which is reached: of the routes that arrive first, one of the fewest contacts.
    fn candidate(
        &mut self,
        plan: &ContactPlan,
        query: &RouteQuery<'_>,
        (target, arrival): (u32, Instant),
        limits: &Limits<'_>,
        scratch: &mut RouteScratch,
    ) -> &Arc<[ContactId]> {
        let place = target as usize;
        if self.candidates.len() <= place {
            self.candidates.resize(place + 1, None);
        }
        let tree = &self.tree;
        self.candidates[place].get_or_insert_with(|| {
            let traced = tree.trace(target);
            if traced.len() <= 2 {
                // The label of the destination itself has seen whether a single contact does.
                return traced.into();
            }
            // A node on the way that is reached later may save a contact, which one label per node does not tell.
            let now = Instant::from_nanos(tree.asked);
            let barred = tree.barred.as_slice();
            let query = RouteQuery {
                excluded_neighbours: barred,
                ..RouteQuery::new(query.from, query.to, now, tree.bytes)
            };
            let arrival = (target, arrival.as_nanos());
            fewest_hops(plan, &query, limits, arrival, scratch).unwrap_or(traced).into()
        })
    }
}

const fn limits<'a>(
    volumes: &'a Volumes,
    lost: &'a [ContactId],
    priority: Priority,
    (queue_delay, min_confidence): (bool, Confidence),
) -> Limits<'a> {
    Limits { volumes: Some(volumes), lost, priority, queue_delay, min_confidence }
}

/// Whether nothing can be done with `new` that could not be done with `old`, neither of which has steps.
fn is_part_of(new: &PlannedContact, old: &PlannedContact) -> bool {
    (new.from, new.to) == (old.from, old.to)
        && new.start >= old.start
        && new.end <= old.end
        && new.rate_bps <= old.rate_bps
        && new.owlt >= old.owlt
}
