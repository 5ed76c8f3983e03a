//! [`Neighbour`]: what is known of a neighbour, and what it gets next.

use crate::{
    bundle::BundleId,
    dtn::store::{Priority, StoreKey},
    time::Instant,
};
use alloc::{
    collections::{BTreeSet, VecDeque},
    vec::Vec,
};

/// The place of a bundle in the order for one neighbour: those destined to it, then by priority, then by arrival or chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) passing: bool,
    pub(super) priority: Priority,
    pub(super) order: u64,
    pub(super) key: StoreKey,
}

/// How far this node's summary has been told to a neighbour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Telling {
    /// From the start.
    Due,
    /// From behind this name.
    Behind(BundleId),
    /// All of it.
    Done,
}

/// One neighbour, from link up to link down.
#[derive(Clone, Debug)]
pub(super) struct Neighbour {
    /// Whether a link to it is up; else it is only heard.
    pub(super) linked: bool,
    /// Whether copies may be offered: its summary is complete, or not waited for.
    pub(super) ready: bool,
    /// What it told that it has, ascending.
    has: Vec<BundleId>,
    /// What it got or told since.
    since: BTreeSet<BundleId>,
    /// What it gets, in order.
    pub(super) work: VecDeque<Rank>,
    /// How far it was told what this node has.
    pub(super) telling: Telling,
    /// What came in since the telling began.
    pub(super) news: BTreeSet<BundleId>,
    /// What turned out to be delivered since.
    pub(super) delivered: BTreeSet<BundleId>,
    /// Chance of this meeting, for the order.
    pub(super) nonce: u64,
    /// When it last began to tell from the start.
    pub(super) began: Option<Instant>,
    /// Until when its summary is waited for.
    pub(super) waits_until: Option<Instant>,
    /// How strongly it was heard last, in dB over the noise, where the host tells.
    pub(super) snr_db: Option<i8>,
}

impl Neighbour {
    /// A neighbour of whom nothing is known.
    pub(super) const fn new(linked: bool, ready: bool, nonce: u64) -> Self {
        Self {
            linked,
            ready,
            has: Vec::new(),
            since: BTreeSet::new(),
            work: VecDeque::new(),
            telling: Telling::Due,
            news: BTreeSet::new(),
            delivered: BTreeSet::new(),
            nonce,
            began: None,
            waits_until: None,
            snr_db: None,
        }
    }

    /// It begins a new summary.
    pub(super) fn forget(&mut self) {
        self.has.clear();
        self.since.clear();
    }

    /// It told that it has these, which ascend. At most `max` are remembered.
    pub(super) fn learn(&mut self, names: Vec<BundleId>, max: usize) {
        if self.has.is_empty() && names.len() <= max {
            self.has = names;
            return;
        }
        for name in names {
            if self.has.last().is_none_or(|last| *last < name) {
                if self.known() < max {
                    self.has.push(name);
                }
            } else {
                self.learn_one(name, max);
            }
        }
    }

    /// It has this one.
    pub(super) fn learn_one(&mut self, name: BundleId, max: usize) {
        if self.known() < max && self.has.binary_search(&name).is_err() {
            self.since.insert(name);
        }
    }

    /// How many names are remembered.
    pub(super) fn known(&self) -> usize {
        self.has.len() + self.since.len()
    }

    /// Whether it has this one, as far as is known. O(log n).
    pub(super) fn has(&self, id: &BundleId) -> bool {
        self.since.contains(id) || self.has.binary_search(id).is_ok()
    }

    /// Of `held`, which ascends, what it does not have. One pass over both.
    pub(super) fn missing<'a>(
        &'a self,
        held: impl Iterator<Item = (&'a BundleId, &'a StoreKey)>,
    ) -> impl Iterator<Item = StoreKey> {
        let mut has = self.has.as_slice();
        held.filter_map(move |(id, key)| {
            while has.first().is_some_and(|first| first < id) {
                has = &has[1..];
            }
            let told = has.first() == Some(id) || (!self.since.is_empty() && self.since.contains(id));
            (!told).then_some(*key)
        })
    }

    /// Puts a bundle at its place in the work. O(log n) for the place, O(n) for the move, which is short at both ends.
    pub(super) fn plan(&mut self, rank: Rank) {
        if let Err(place) = self.work.binary_search(&rank) {
            self.work.insert(place, rank);
        }
    }
}
