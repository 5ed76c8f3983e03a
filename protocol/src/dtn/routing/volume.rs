//! How much of each contact is promised already (CCSDS 734.3-B-1 §3.2.6.8.8, maximum transmission volume).

use super::Route;
use crate::dtn::{
    contact_plan::{ContactId, ContactPlan, MAX_CONTACTS, PlannedContact},
    store::Priority,
};
use alloc::vec::Vec;

/// Levels of priority, and their places in the ledger: expedited, normal, bulk.
const LEVELS: usize = 3;

/// The volume that a node's own decisions have taken from contacts, by priority.
///
/// What is left of a contact for a bundle of some priority is its whole volume less what bundles of that priority *or
/// higher* have taken: a booking lowers what is left for its own level and for all below (§3.2.8.1.2, §3.2.6.8.8). So an
/// expedited bundle may take a contact that is full of bulk, which is then overbooked, and the bulk has to look for another
/// route.
///
/// Bookings are what *this* node decided: other nodes' bundles on contacts further away are not known here, as in every
/// implementation of SABR.
#[derive(Clone, Debug, Default)]
pub struct Volumes {
    /// The name of the contact in the first row.
    first: u32,
    /// Bytes booked per contact and level; rows that were never booked are zero.
    rows: Vec<[u64; LEVELS]>,
    releases: u64,
}

impl Volumes {
    /// Takes `bytes` from every contact of `route`, and answers by how many bytes its first contact is now overbooked.
    ///
    /// Contacts that `plan` does not have are passed over.
    pub fn book(&mut self, plan: &ContactPlan, route: &Route, bytes: u64, priority: Priority) -> u64 {
        for id in &route.hops {
            if plan.get(*id).is_some()
                && let Some(row) = self.row_mut(*id)
            {
                let level = &mut row[priority as usize];
                *level = level.saturating_add(bytes);
            }
        }
        self.overbooked(plan, route.first)
    }

    /// Gives back what [`Volumes::book`] took: the bundle goes another way, or not at all. A bundle that was sent keeps its
    /// booking, for the time that it took is gone.
    pub fn release(&mut self, route: &Route, bytes: u64, priority: Priority) {
        for id in &route.hops {
            if let Some(row) = self.slot(*id).and_then(|slot| self.rows.get_mut(slot)) {
                let level = &mut row[priority as usize];
                *level = level.saturating_sub(bytes);
            }
        }
        self.releases += 1;
    }

    /// Bytes of `id` that bundles of `priority` or higher have taken.
    #[must_use]
    pub fn booked(&self, id: ContactId, priority: Priority) -> u64 {
        let row = self.slot(id).and_then(|slot| self.rows.get(slot));
        row.map_or(0, |row| row[..=priority as usize].iter().fold(0, |sum, level| sum.saturating_add(*level)))
    }

    /// Bytes that `contact` (named `id`) has left for `priority`: its maximum transmission volume.
    #[must_use]
    pub fn residual(&self, id: ContactId, contact: &PlannedContact, priority: Priority) -> u64 {
        whole_volume(contact).saturating_sub(self.booked(id, priority))
    }

    /// By how many bytes the bookings of `id` exceed its volume: so much of what waits for it has to be routed anew, the
    /// lowest priority and the latest booking first.
    #[must_use]
    pub fn overbooked(&self, plan: &ContactPlan, id: ContactId) -> u64 {
        let volume = plan.get(id).map_or(0, whole_volume);
        self.booked(id, Priority::Bulk).saturating_sub(volume)
    }

    /// Forgets the bookings of contacts before `first`, which the plan no longer has.
    pub fn forget_before(&mut self, first: ContactId) {
        let gone = (first.0.saturating_sub(self.first) as usize).min(self.rows.len());
        self.rows.drain(..gone);
        self.first = self.first.max(first.0);
    }

    /// How often volume was given back: before the next time, what is left only shrinks.
    #[must_use]
    pub const fn releases(&self) -> u64 {
        self.releases
    }

    fn slot(&self, id: ContactId) -> Option<usize> {
        id.0.checked_sub(self.first).map(|slot| slot as usize)
    }

    fn row_mut(&mut self, id: ContactId) -> Option<&mut [u64; LEVELS]> {
        if self.rows.is_empty() {
            self.first = id.0;
        } else if id.0 < self.first {
            let missing = (self.first - id.0) as usize;
            if missing + self.rows.len() > MAX_CONTACTS {
                return None;
            }
            self.rows.splice(0..0, core::iter::repeat_n([0; LEVELS], missing));
            self.first = id.0;
        }
        let slot = self.slot(id).filter(|slot| *slot < MAX_CONTACTS)?;
        if slot >= self.rows.len() {
            self.rows.resize(slot + 1, [0; LEVELS]);
        }
        self.rows.get_mut(slot)
    }
}

/// Whole bytes that fit into a contact from start to end.
#[must_use]
pub fn whole_volume(contact: &PlannedContact) -> u64 {
    let nanos = contact.end.saturating_since(contact.start).as_nanos();
    let bytes = nanos.saturating_mul(u128::from(contact.rate_bps)) / 8_000_000_000;
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
