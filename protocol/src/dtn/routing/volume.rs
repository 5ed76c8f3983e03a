//! How much of each contact is promised already (CCSDS 734.3-B-1 §3.2.6.8.8, maximum transmission volume).

use crate::{
    dtn::{
        contact_plan::{ContactId, ContactPlan, MAX_CONTACTS, PlannedContact},
        store::Priority,
    },
    time::Instant,
};
use alloc::vec::Vec;

/// Levels of priority, and their places in the ledger: expedited, normal, bulk.
const LEVELS: usize = 3;

/// The volume that a node's own decisions have taken from contacts, by priority.
///
/// What is left of a contact for a bundle of some priority is what the rest of it carries, less what bundles of that priority *or
/// higher* have taken: a booking lowers what is left for its own level and for all below (§3.2.8.1.2, §3.2.6.8.8). So an
/// expedited bundle may take a contact that is full of bulk, which is then overbooked, and the bulk has to look for another
/// route.
///
/// A booking on a route's first contact holds until the bundle is handed to the link: from then on the time that it took is gone from
/// the rest of the contact, which says the same. Its bookings further on stay, for nothing tells this node when they are used.
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
    /// Takes `bytes` from every contact of `hops`. Contacts that `plan` does not have are passed over.
    pub fn book(&mut self, plan: &ContactPlan, hops: &[ContactId], bytes: u64, priority: Priority) {
        for id in hops {
            if plan.get(*id).is_some()
                && let Some(row) = self.row_mut(*id)
            {
                let level = &mut row[priority as usize];
                *level = level.saturating_add(bytes);
            }
        }
    }

    /// Gives back what [`Volumes::book`] took: the bundle goes another way, or not at all.
    pub fn release(&mut self, hops: &[ContactId], bytes: u64, priority: Priority) {
        for id in hops {
            self.take_off(*id, bytes, priority);
        }
        self.releases += 1;
    }

    /// A bundle that was booked is handed to its first contact, which is `id` and open: as much time of it goes as the bundle takes.
    pub fn spend(&mut self, id: ContactId, bytes: u64, priority: Priority) {
        self.take_off(id, bytes, priority);
    }

    fn take_off(&mut self, id: ContactId, bytes: u64, priority: Priority) {
        if let Some(row) = self.slot(id).and_then(|slot| self.rows.get_mut(slot)) {
            let level = &mut row[priority as usize];
            *level = level.saturating_sub(bytes);
        }
    }

    /// Bytes of `id` that bundles of `priority` or higher have taken.
    #[must_use]
    pub fn booked(&self, id: ContactId, priority: Priority) -> u64 {
        let row = self.slot(id).and_then(|slot| self.rows.get(slot));
        row.map_or(0, |row| row[..=priority as usize].iter().fold(0, |sum, level| sum.saturating_add(*level)))
    }

    /// Bytes that the contact `id` has left from `now` on for `priority`: its maximum transmission volume.
    #[must_use]
    pub fn residual(&self, plan: &ContactPlan, id: ContactId, priority: Priority, now: Instant) -> u64 {
        plan.volume_from(id, now).saturating_sub(self.booked(id, priority))
    }

    /// By how many bytes the bookings of `id` exceed what it carries from `now` on: so much of what waits for it has to be routed anew,
    /// the lowest priority and the latest booking first.
    #[must_use]
    pub fn overbooked(&self, plan: &ContactPlan, id: ContactId, now: Instant) -> u64 {
        self.booked(id, Priority::Bulk).saturating_sub(plan.volume_from(id, now))
    }

    /// Forgets the bookings of contacts before `first`, which the plan no longer has.
    pub fn forget_before(&mut self, first: ContactId) {
        let gone = (first.0.saturating_sub(self.first) as usize).min(self.rows.len());
        self.rows.drain(..gone);
        self.first = self.first.max(first.0);
    }

    /// Forgets the bookings of `id`, which is not the contact that it was.
    pub fn forget(&mut self, id: ContactId) {
        if let Some(row) = self.slot(id).and_then(|slot| self.rows.get_mut(slot)) {
            *row = [0; LEVELS];
            self.releases += 1;
        }
    }

    /// Whether nothing is booked on any contact.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.iter().all(|row| *row == [0; LEVELS])
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

/// Whole bytes that fit into a contact of one rate from start to end.
#[must_use]
pub fn whole_volume(contact: &PlannedContact) -> u64 {
    volume_from(contact, contact.start)
}

/// Whole bytes that fit into what is left of a contact of one rate at `now`; [`ContactPlan::volume_from`] knows those that change.
#[must_use]
pub fn volume_from(contact: &PlannedContact, now: Instant) -> u64 {
    let nanos = contact.end.saturating_since(contact.start.max(now)).as_nanos();
    let bytes = nanos.saturating_mul(u128::from(contact.rate_bps)) / 8_000_000_000;
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
