//! Contacts whose rate or light time changes within them: [`Step`].
//!
//! A transmission goes on from one step to the next, and the light time is that of the step in which its last bit leaves, as in
//! A-SABR (`contact_manager/segmentation/mod.rs`, `get_tx_end` and `get_delays`). Where one step ends and the next begins, the earlier
//! one counts. Nothing waits for a step with a shorter light time: a bundle leaves when it can.
//!
//! Contacts without steps pay nothing for them: what tells one from the other is a rate of 0 in its [`Edge`], by which nothing could be
//! divided anyway.

use super::{ContactId, ContactPlan, Edge, Inner, MAX_OWLT, PlanError, PlannedContact, serialisation_ns};
use crate::time::Instant;
use alloc::sync::Arc;
use core::time::Duration;

/// Bits and nanoseconds per byte and second.
const NS_BITS: u128 = 8 * 1_000_000_000;

/// A part of a contact, from its start to that of the next step or the end of the contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    /// When it begins; the first begins with its contact.
    pub start: Instant,
    /// Data rate in bits per second, above 0.
    pub rate_bps: u64,
    /// One-way light time, at most [`MAX_OWLT`].
    pub owlt: Duration,
}

impl ContactPlan {
    /// Says how a contact's rate and light time change within it, in place of its one rate and light time; no steps: they do not. The
    /// contact itself then states the lowest rate and the longest light time, for those who look no closer. Replacing the contact
    /// ([`ContactPlan::update`]) takes its steps away. O(log n), and O(steps).
    ///
    /// # Errors
    /// [`PlanError::Unknown`], [`PlanError::Step`], [`PlanError::ZeroRate`] and [`PlanError::TooFar`]: the plan is then unchanged.
    pub fn set_steps(&mut self, id: ContactId, steps: &[Step]) -> Result<(), PlanError> {
        let contact = *self.get(id).ok_or(PlanError::Unknown(id))?;
        check(&contact, steps)?;
        let mut stated = contact;
        stated.rate_bps = steps.iter().map(|step| step.rate_bps).min().unwrap_or(contact.rate_bps);
        stated.owlt = steps.iter().map(|step| step.owlt).max().unwrap_or(contact.owlt);
        self.update(id, stated)?;
        if !steps.is_empty() {
            let inner = Arc::make_mut(&mut self.inner);
            inner.steps.insert(id, steps.into());
            inner.mark_stepped(id, &stated);
            for step in steps {
                let part =
                    PlannedContact { start: step.start, rate_bps: step.rate_bps, owlt: step.owlt, ..stated };
                inner.changed(3, id, &part);
            }
        }
        Ok(())
    }

    /// The steps of a contact; none where its rate and light time do not change.
    #[must_use]
    pub fn steps(&self, id: ContactId) -> &[Step] {
        if self.inner.steps.is_empty() {
            return &[];
        }
        self.inner.steps.get(&id).map_or(&[], |steps| steps)
    }

    /// Whole bytes that a contact carries from `now` to its end; none when it is not known.
    #[must_use]
    pub fn volume_from(&self, id: ContactId, now: Instant) -> u64 {
        self.get(id).map_or(0, |contact| self.volume_between(id, contact, now, contact.end))
    }

    /// Whole bytes that the contact `id` carries from `now` to `stop`.
    pub(in crate::dtn) fn volume_between(
        &self,
        id: ContactId,
        contact: &PlannedContact,
        now: Instant,
        stop: Instant,
    ) -> u64 {
        let (from, stop) = (contact.start.max(now).as_nanos(), contact.end.min(stop).as_nanos());
        match self.steps(id) {
            [] => plain_volume(from, stop, contact.rate_bps),
            steps => volume(steps, from, stop),
        }
    }

    /// Whole bytes that `edge` carries from `from` on, which is not before its start.
    pub(in crate::dtn) fn capacity(&self, edge: &Edge, from: u64) -> u64 {
        if edge.rate_bps == 0 {
            return volume(self.steps(edge.id), from, edge.end);
        }
        plain_volume(from, edge.end, edge.rate_bps)
    }

    /// When `edge` is free again after `bytes` that begin at `from`, which is not before its start. [`u64::MAX`] when they do not fit and
    /// it has steps.
    pub(in crate::dtn) fn free_after(&self, edge: &Edge, from: u64, bytes: u64) -> u64 {
        if edge.rate_bps == 0 {
            let sent = sent(self.steps(edge.id), edge.end, from, bytes);
            return sent.map_or(u64::MAX, |(sent, _)| sent);
        }
        from.saturating_add(serialisation_ns(bytes, edge.rate_bps))
    }

    /// When `bytes` that begin at `from` have left over `edge`, and are there; `None` when not enough of it is left. `from` is not before
    /// its start.
    #[inline]
    pub(in crate::dtn) fn crossing(&self, edge: &Edge, from: u64, bytes: u64) -> Option<(u64, u64)> {
        if edge.rate_bps == 0 {
            return self.stepped_crossing(edge, from, bytes);
        }
        let sent = from.checked_add(serialisation_ns(bytes, edge.rate_bps))?;
        if sent > edge.end {
            return None;
        }
        Some((sent, sent.checked_add(edge.owlt)?))
    }

    #[cold]
    fn stepped_crossing(&self, edge: &Edge, from: u64, bytes: u64) -> Option<(u64, u64)> {
        let (sent, owlt) = sent(self.steps(edge.id), edge.end, from, bytes)?;
        Some((sent, sent.checked_add(owlt)?))
    }

    /// The contact `id` as the search reads it, to the node at index `to`.
    pub(in crate::dtn) fn edge_of(&self, id: ContactId, contact: &PlannedContact, to: u32) -> Edge {
        let edge = Edge::of(id, contact, to);
        if self.steps(id).is_empty() { edge } else { Edge { rate_bps: 0, ..edge } }
    }
}

impl Inner {
    /// Marks the edge of a contact that has steps.
    fn mark_stepped(&mut self, id: ContactId, contact: &PlannedContact) {
        let (from, edge) = self.edge(id, contact);
        let out = &mut self.nodes[from as usize].out;
        if let Ok(place) = out.binary_search_by_key(&edge.order(), Edge::order) {
            out[place].rate_bps = 0;
        }
    }
}

fn check(contact: &PlannedContact, steps: &[Step]) -> Result<(), PlanError> {
    for (place, step) in steps.iter().enumerate() {
        let after = place.checked_sub(1).and_then(|before| steps.get(before));
        let in_order = match after {
            None => step.start == contact.start,
            Some(before) => step.start > before.start && step.start < contact.end,
        };
        if !in_order {
            return Err(PlanError::Step { place, start: step.start });
        }
        if step.rate_bps == 0 {
            return Err(PlanError::ZeroRate);
        }
        if step.owlt > MAX_OWLT {
            return Err(PlanError::TooFar { found: step.owlt });
        }
    }
    Ok(())
}

/// Each step with its end, from the one that holds until `from` on.
fn parts(steps: &[Step], end: u64, from: u64) -> impl Iterator<Item = (u64, u64, &Step)> {
    let first = steps.get(1..).unwrap_or_default().partition_point(|step| step.start.as_nanos() < from);
    let stops = steps.iter().skip(1).map(|step| step.start.as_nanos()).chain([end]);
    let parts = steps.iter().zip(stops).skip(first);
    parts.map(move |(step, stop)| (step.start.as_nanos().max(from), stop, step))
}

/// When `bytes` that begin at `from` have left, and the light time then, in nanoseconds.
fn sent(steps: &[Step], end: u64, from: u64, bytes: u64) -> Option<(u64, u64)> {
    let mut left = u128::from(bytes) * NS_BITS;
    for (start, stop, step) in parts(steps, end, from) {
        let rate = u128::from(step.rate_bps);
        let room = u128::from(stop.checked_sub(start)?) * rate;
        if left <= room {
            // At most the length of the step, so it fits.
            let sent = start + left.div_ceil(rate) as u64;
            return Some((sent, step.owlt.as_nanos() as u64));
        }
        left -= room;
    }
    None
}

/// Whole bytes from `from` to `stop`.
fn volume(steps: &[Step], from: u64, stop: u64) -> u64 {
    let bits = parts(steps, stop, from).fold(0_u128, |sum, (start, end, step)| {
        let length = end.min(stop).saturating_sub(start);
        sum.saturating_add(u128::from(length) * u128::from(step.rate_bps))
    });
    u64::try_from(bits / NS_BITS).unwrap_or(u64::MAX)
}

fn plain_volume(from: u64, stop: u64, rate_bps: u64) -> u64 {
    let bits = u128::from(stop.saturating_sub(from)) * u128::from(rate_bps);
    u64::try_from(bits / NS_BITS).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dtn::routing::{Limits, RouteQuery, RouteScratch, Router, Volumes, earliest_arrival, volume_limit},
        dtn::store::Priority,
        id::NodeId,
    };
    use alloc::{vec, vec::Vec};
    use proptest::prelude::*;

    fn at(s: u64) -> Instant {
        Instant::from_nanos(s * 1_000_000_000)
    }

    fn contact(start: u64, end: u64, bytes_per_s: u64, owlt: u64) -> PlannedContact {
        let (from, to) = (NodeId(1), NodeId(2));
        let owlt = Duration::from_secs(owlt);
        PlannedContact { from, to, start: at(start), end: at(end), rate_bps: bytes_per_s * 8, owlt }
    }

    fn step(start: u64, bytes_per_s: u64, owlt: u64) -> Step {
        Step { start: at(start), rate_bps: bytes_per_s * 8, owlt: Duration::from_secs(owlt) }
    }

    /// 10 B/s and 5 s of light for 10 s, then 20 B/s and 7 s for 10 s.
    fn plan() -> ContactPlan {
        let mut plan = ContactPlan::from_contacts([contact(10, 30, 10, 5)]).unwrap();
        plan.set_steps(ContactId(0), &[step(10, 10, 5), step(20, 20, 7)]).unwrap();
        plan
    }

    fn arrival(plan: &ContactPlan, now: u64, bytes: u64) -> Option<Instant> {
        let query = RouteQuery::new(NodeId(1), NodeId(2), at(now), bytes);
        let found = earliest_arrival(plan, &query, &mut RouteScratch::default());
        let routed = Router::new(Duration::ZERO, 4).route(plan, &query, Priority::Normal);
        assert_eq!(found.as_ref().map(|route| route.arrival), routed.map(|route| route.arrival));
        found.map(|route| route.arrival)
    }

    #[test]
    fn a_transmission_goes_on_across_steps_with_the_light_time_of_its_end() {
        let plan = plan();
        assert_eq!(arrival(&plan, 0, 100), Some(at(10 + 10 + 5)), "to the change itself");
        assert_eq!(arrival(&plan, 0, 120), Some(at(10 + 10 + 1 + 7)));
        assert_eq!(arrival(&plan, 18, 60), Some(at(18 + 2 + 2 + 7)));
        assert_eq!(arrival(&plan, 0, 300), Some(at(37)));
        assert_eq!(arrival(&plan, 0, 301), None);
        assert_eq!(arrival(&plan, 20, 0), Some(at(25)), "at the change the earlier step counts");
    }

    #[test]
    fn volumes_and_queues_count_every_step() {
        let plan = plan();
        assert_eq!(plan.volume_from(ContactId(0), at(0)), 300);
        assert_eq!(plan.volume_from(ContactId(0), at(15)), 250);
        let query = RouteQuery::new(NodeId(1), NodeId(2), at(0), 1);
        let route = earliest_arrival(&plan, &query, &mut RouteScratch::default()).unwrap();
        assert_eq!(volume_limit(&plan, &route, &query, &Limits::NONE), 300);
        // 140 bytes wait: 10 s and 2 s more.
        let behind = RouteQuery { backlog: &|_| 140, bytes: 60, ..query };
        let route = earliest_arrival(&plan, &behind, &mut RouteScratch::default()).unwrap();
        assert_eq!((route.departure, route.arrival), (at(22), at(22 + 3 + 7)));
        let mut volumes = Volumes::default();
        volumes.book(&plan, &[ContactId(0)], 250, Priority::Normal);
        assert_eq!(volumes.residual(&plan, ContactId(0), Priority::Normal, at(0)), 50);
        assert_eq!(volumes.overbooked(&plan, ContactId(0), at(25)), 150);
    }

    #[test]
    fn a_contact_states_the_least_that_its_steps_do_and_loses_them_when_it_is_replaced() {
        let mut plan = plan();
        let before = plan.version();
        let stated = *plan.get(ContactId(0)).unwrap();
        assert_eq!((stated.rate_bps, stated.owlt), (80, Duration::from_secs(7)));
        assert_eq!(plan.steps(ContactId(0)).len(), 2);
        plan.update(ContactId(0), stated).unwrap();
        assert_eq!((plan.steps(ContactId(0)), arrival(&plan, 0, 201)), (&[][..], None));
        assert_ne!(plan.version(), before);
        plan.set_steps(ContactId(0), &[step(10, 10, 5), step(20, 20, 7)]).unwrap();
        plan.add(contact(40, 50, 1, 1)).unwrap();
        plan.forget_before(at(31));
        assert_eq!((plan.len(), plan.steps(ContactId(0))), (1, &[][..]));
    }

    #[test]
    fn a_router_goes_over_to_other_steps() {
        let old = plan();
        let query = RouteQuery::new(NodeId(1), NodeId(2), at(0), 120);
        let mut router = Router::new(Duration::ZERO, 4);
        assert_eq!(router.route(&old, &query, Priority::Normal).unwrap().arrival, at(28));
        let mut new = old.clone();
        new.set_steps(ContactId(0), &[step(10, 10, 5), step(15, 70, 7)]).unwrap();
        let change = router.update(&old, &new);
        assert!(change.better && change.gone == [ContactId(0)], "{change:?}");
        assert_eq!(router.route(&new, &query, Priority::Normal).unwrap().arrival, at(15 + 1 + 7));
    }

    #[test]
    fn steps_that_cannot_be_are_refused() {
        let mut plan = plan();
        let before = plan.version();
        let wrong: [&[Step]; 6] = [
            &[step(11, 1, 1)],
            &[step(10, 1, 1), step(10, 1, 1)],
            &[step(10, 1, 1), step(30, 1, 1)],
            &[step(10, 0, 1)],
            &[step(10, 1, 86_401)],
            &[step(10, 1, 1), step(20, 1, 1), step(15, 1, 1)],
        ];
        for steps in wrong {
            assert!(plan.set_steps(ContactId(0), steps).is_err(), "{steps:?}");
        }
        assert_eq!(plan.set_steps(ContactId(7), &[]), Err(PlanError::Unknown(ContactId(7))));
        assert_eq!(plan.version(), before);
    }

    proptest! {
        /// Cut into steps that are all alike, a contact is what it was; and what steps carry is what leaves at their end.
        #[test]
        fn equal_steps_change_nothing(
            cuts in prop::collection::btree_set(1u64..1_000, 0..5), rate in 1u64..1_000_000, now in 0u64..1_200, bytes in 0u64..2_000_000,
        ) {
            let (start, end) = (Instant::from_nanos(0), Instant::from_nanos(1_000));
            let one = PlannedContact { start, end, rate_bps: rate * 8_000, ..contact(0, 1, 1, 3) };
            let plain = ContactPlan::from_contacts([one]).unwrap();
            let mut stepped = plain.clone();
            let starts = [0].into_iter().chain(cuts);
            let steps: Vec<Step> = starts
                .map(|s| Step { start: Instant::from_nanos(s), rate_bps: one.rate_bps, owlt: one.owlt })
                .collect();
            stepped.set_steps(ContactId(0), &steps).unwrap();
            let query = RouteQuery::new(NodeId(1), NodeId(2), Instant::from_nanos(now), bytes / 1_000);
            let [a, b] = [&plain, &stepped].map(|plan| earliest_arrival(plan, &query, &mut RouteScratch::default()));
            prop_assert_eq!(a, b);
            let now = Instant::from_nanos(now);
            prop_assert_eq!(plain.volume_from(ContactId(0), now), stepped.volume_from(ContactId(0), now));
        }

        /// What is left of a contact just fits, and a byte more does not.
        #[test]
        fn the_volume_of_steps_is_the_most_that_fits(
            lengths in prop::collection::vec((1u64..50, 1u64..9_000_000_000, 0u64..9), 1..6), skip in 0u64..60,
        ) {
            let (mut time, mut steps) = (0, vec![]);
            for (length, rate_bps, owlt) in lengths {
                let start = Instant::from_nanos(time);
                steps.push(Step { start, rate_bps, owlt: Duration::from_secs(owlt) });
                time += length;
            }
            let one = PlannedContact { start: at(0), end: Instant::from_nanos(time), ..contact(0, 1, 1, 1) };
            let mut plan = ContactPlan::from_contacts([one]).unwrap();
            plan.set_steps(ContactId(0), &steps).unwrap();
            let now = Instant::from_nanos(skip);
            let volume = plan.volume_from(ContactId(0), now);
            let fits = |bytes| {
                let query = RouteQuery::new(NodeId(1), NodeId(2), now, bytes);
                earliest_arrival(&plan, &query, &mut RouteScratch::default()).is_some()
            };
            prop_assert_eq!(fits(volume), skip <= time);
            prop_assert!(!fits(volume + 1));
        }
    }
}
