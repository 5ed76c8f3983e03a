//! [`Spread`]: what all strategies of copies have in common.
//!
//! It knows which bundles the node holds, by name and by store key; of each present neighbour what that one has; and for each
//! neighbour an ordered list of what it gets next, made when the neighbour's summary is in and kept up as bundles come and
//! go. Choosing the next bundle is then O(1) amortised, however many are held.
//!
//! Order: those destined to the neighbour first, then by priority, then by [`SendOrder`].

mod broadcast;
mod telling;

use super::{
    Memory, RoutingConfig, SendOrder, SpreadSettings, Strategy,
    neighbour::{Neighbour, Rank},
};
use crate::{
    bundle::BundleId,
    dtn::store::{Priority, StoreKey},
    id::NodeId,
    time::Instant,
};
use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet, VecDeque},
    vec::Vec,
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

/// A held bundle as strategies see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Its name.
    pub id: BundleId,
    /// Whom it is for.
    pub destination: NodeId,
    /// How urgent it is.
    pub priority: Priority,
    /// From when on it is useless.
    pub expires: Instant,
    /// How many copies it stands for, 1 or more.
    pub copies: u32,
    /// To how many neighbours it was given.
    pub given: u32,
    /// How many more transmissions its hop limit allows.
    pub hops_left: u64,
    /// Who it came from; `None`: it was made here.
    pub from: Option<NodeId>,
    /// To how many neighbours it is on its way.
    pub(super) sending: u32,
    /// To how many neighbours a broadcast of it has still to go.
    pub(super) awaiting: u32,
    /// When it is broadcast, where that is to come.
    pub(super) due: Option<Instant>,
}

impl Carried {
    /// A bundle that was made here.
    #[must_use]
    pub const fn new(id: BundleId, destination: NodeId, priority: Priority, expires: Instant) -> Self {
        let (copies, given, hops_left, from) = (1, 0, u64::MAX, None);
        let (sending, awaiting, due) = (0, 0, None);
        Self { id, destination, priority, expires, copies, given, hops_left, from, sending, awaiting, due }
    }
}

/// What becomes of a bundle after a copy of it has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stays for others.
    Stays,
    /// This node is done with it.
    Done,
}

/// What comes due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Deadline {
    /// This neighbour's summary has been waited for long enough.
    Patience(NodeId),
    /// This bundle is to be broadcast.
    Broadcast(StoreKey),
}

/// The copies of one node.
#[derive(Debug)]
pub struct Spread {
    settings: SpreadSettings,
    strategy: Box<dyn Strategy>,
    ids: BTreeMap<BundleId, StoreKey>,
    carried: BTreeMap<StoreKey, Carried>,
    by_destination: BTreeSet<(NodeId, StoreKey)>,
    neighbours: BTreeMap<NodeId, Neighbour>,
    /// Delivered here; where a strategy broadcasts, all that was heard.
    remembered: Memory,
    /// Known to have reached their destinations.
    acknowledged: Memory,
    deadlines: BTreeSet<(Instant, Deadline)>,
    /// The deadline that the node knows of.
    told_deadline: Option<Instant>,
    /// What the node is to take out of its store.
    done: VecDeque<StoreKey>,
    rng: ChaCha8Rng,
}

impl Spread {
    /// The copies of `node` by the strategy that `config` names; `None` when that keeps one copy and a route. `seed`: of the node's
    /// incarnation, of which a stream of its own is taken.
    #[must_use]
    pub fn new(node: NodeId, config: &RoutingConfig, seed: [u8; 32]) -> Option<Self> {
        let (strategy, settings) = config.strategy(node)?;
        let mut rng = ChaCha8Rng::from_seed(seed);
        rng.set_stream(STREAM);
        Some(Self {
            settings,
            strategy,
            ids: BTreeMap::new(),
            carried: BTreeMap::new(),
            by_destination: BTreeSet::new(),
            neighbours: BTreeMap::new(),
            remembered: Memory::new(settings.max_remembered),
            acknowledged: Memory::new(settings.max_remembered),
            deadlines: BTreeSet::new(),
            told_deadline: None,
            done: VecDeque::new(),
            rng,
        })
    }

    /// Whether bundles tell how many copies they take along.
    #[must_use]
    pub fn counts_copies(&self) -> bool {
        self.strategy.initial_copies() > 1
    }

    /// With how many copies a bundle starts at its source.
    #[must_use]
    pub fn initial_copies(&self) -> u32 {
        self.strategy.initial_copies().max(1)
    }

    /// Whether a bundle of this name is of no use here: it is held, was delivered here, or is known to be delivered.
    #[must_use]
    pub fn knows(&self, id: &BundleId) -> bool {
        self.ids.contains_key(id) || self.remembered.contains(id) || self.acknowledged.contains(id)
    }

    /// A bundle that this node [knows](Self::knows) was heard from `from`.
    pub fn on_duplicate(&mut self, now: Instant, id: &BundleId, from: Option<NodeId>) {
        let Some(from) = from else { return };
        if let Some(neighbour) = self.neighbours.get_mut(&from) {
            neighbour.learn_one(id.clone(), self.settings.max_names);
        }
        if let Some(key) = self.ids.get(id).copied() {
            self.overhear(now, key, from);
        }
    }

    /// How strongly `peer` is heard, in dB over the noise.
    pub fn on_signal(&mut self, peer: NodeId, snr_db: i8) {
        if let Some(neighbour) = self.neighbours.get_mut(&peer) {
            neighbour.snr_db = Some(snr_db);
        }
    }

    /// Whether every neighbour in range hears what goes to one of them.
    #[must_use]
    pub fn shares_channel(&self) -> bool {
        self.strategy.shares_channel()
    }

    /// A bundle was delivered here.
    pub fn on_delivered(&mut self, now: Instant, id: BundleId, expires: Instant, from: Option<NodeId>) {
        if let Some(neighbour) = from.and_then(|from| self.neighbours.get_mut(&from)) {
            neighbour.learn_one(id.clone(), self.settings.max_names);
        }
        self.announce(&id, from);
        if self.settings.purge_delivered {
            self.acknowledge(now, &id, expires, from);
        }
        self.remembered.insert(now, id, expires);
    }

    /// A bundle is held now.
    pub fn insert(&mut self, now: Instant, key: StoreKey, mut carried: Carried) {
        carried.copies = carried.copies.clamp(1, self.initial_copies());
        if let Some(from) = carried.from {
            if let Some(neighbour) = self.neighbours.get_mut(&from) {
                neighbour.learn_one(carried.id.clone(), self.settings.max_names);
            }
            // What is made here the others get from nobody else first.
            self.announce(&carried.id, Some(from));
        }
        if self.strategy.broadcasts() {
            self.remembered.insert(now, carried.id.clone(), carried.expires);
        }
        self.ids.insert(carried.id.clone(), key);
        self.by_destination.insert((carried.destination, key));
        self.carried.insert(key, carried);
        if self.strategy.broadcasts() {
            self.schedule_broadcast(now, key);
        } else {
            self.plan_for_all(now, key);
        }
    }

    /// A bundle is not held any more.
    ///
    /// Returns to how many neighbours it was given.
    pub fn remove(&mut self, key: StoreKey) -> u32 {
        let Some(carried) = self.carried.remove(&key) else { return 0 };
        self.ids.remove(&carried.id);
        self.by_destination.remove(&(carried.destination, key));
        if let Some(due) = carried.due {
            self.deadlines.remove(&(due, Deadline::Broadcast(key)));
        }
        // Work lists drop it when its turn comes.
        carried.given
    }

    /// A link to `peer` is up. A second one to the same peer changes nothing.
    pub fn link_up(&mut self, now: Instant, peer: NodeId) {
        let ready = !self.strategy.exchanges();
        let nonce = self.rng.next_u64();
        let neighbour = self.neighbours.entry(peer).or_insert_with(|| Neighbour::new(false, ready, nonce));
        if core::mem::replace(&mut neighbour.linked, true) {
            return;
        }
        let ready = neighbour.ready;
        self.strategy.on_encounter(now, peer);
        if ready {
            self.make_work(peer);
        } else if !self.carried.is_empty() {
            self.be_patient(now, peer);
        }
        if self.strategy.broadcasts() {
            self.broadcast_to(peer);
        }
    }

    /// The last link to `peer` is down: what is known of it is void.
    pub fn link_down(&mut self, peer: NodeId) {
        let Some(neighbour) = self.neighbours.remove(&peer) else { return };
        self.strategy.on_parting(peer);
        if let Some(until) = neighbour.waits_until {
            self.deadlines.remove(&(until, Deadline::Patience(peer)));
        }
        if self.strategy.broadcasts() {
            for rank in neighbour.work {
                let unsent = |carried: &Carried| carried.given == 0 && carried.sending == 0;
                match self.carried.get_mut(&rank.key).filter(|carried| unsent(carried)) {
                    // Of all who hear the channel this one was chosen: another one is, where there is one.
                    Some(carried) if self.strategy.shares_channel() => {
                        carried.awaiting = carried.awaiting.saturating_sub(1);
                        self.broadcast(rank.key);
                    }
                    _ => self.broadcast_ended(rank.key),
                }
            }
        }
    }

    /// Takes the next bundle for `peer` off its list: the first of the next few that `fits`. Call [`Spread::begin`] for it, or put it back by [`Spread::failed`].
    pub fn select(&mut self, peer: NodeId, mut fits: impl FnMut(StoreKey) -> bool) -> Option<StoreKey> {
        let mut neighbour = self.neighbours.get_mut(&peer)?;
        if !neighbour.ready || !neighbour.linked {
            return None;
        }
        let mut place = 0;
        while place < LOOK_AHEAD {
            let rank = *neighbour.work.get(place)?;
            let wanted = self.carried.get(&rank.key).is_some_and(|carried| {
                !neighbour.has(&carried.id)
                    && (carried.destination == peer || self.strategy.offers(peer, carried))
            });
            if !wanted {
                neighbour.work.remove(place);
                if self.strategy.broadcasts() {
                    self.broadcast_ended(rank.key);
                    neighbour = self.neighbours.get_mut(&peer)?;
                }
            } else if fits(rank.key) {
                neighbour.work.remove(place);
                return Some(rank.key);
            } else {
                place += 1;
            }
        }
        None
    }

    /// A selected bundle is being sent to `peer`. Returns how many copies go along; they are taken off at once, so that two links
    /// cannot give the same copies away.
    pub fn begin(&mut self, key: StoreKey) -> u32 {
        let Some(carried) = self.carried.get_mut(&key) else { return 0 };
        let gives = self.strategy.gives(carried.copies).min(carried.copies.saturating_sub(1));
        carried.copies -= gives;
        carried.sending += 1;
        gives
    }

    /// Whether a copy of this bundle is being sent.
    #[must_use]
    pub fn is_sending(&self, key: StoreKey) -> bool {
        self.carried.get(&key).is_some_and(|carried| carried.sending > 0)
    }

    /// The last of a copy has left for `peer`.
    pub fn sent(&mut self, peer: NodeId, key: StoreKey) -> Fate {
        let Some(carried) = self.carried.get_mut(&key) else { return Fate::Stays };
        carried.sending = carried.sending.saturating_sub(1);
        carried.given = carried.given.saturating_add(1);
        let (id, delivered) = (carried.id.clone(), carried.destination == peer);
        if let Some(neighbour) = self.neighbours.get_mut(&peer) {
            neighbour.learn_one(id.clone(), self.settings.max_names);
        }
        if delivered && self.settings.delete_delivered {
            // That it left is no proof that it arrived: this copy goes, and nobody else's.
            return Fate::Done;
        }
        if self.strategy.broadcasts() {
            self.broadcast_ended(key);
        }
        Fate::Stays
    }

    /// A copy that took `gives` copies along did not get through to `peer`.
    pub fn failed(&mut self, peer: NodeId, key: StoreKey, gives: u32) {
        let Some(carried) = self.carried.get_mut(&key) else { return };
        carried.sending = carried.sending.saturating_sub(1);
        carried.copies = carried.copies.saturating_add(gives);
        match self.rank(peer, key) {
            Some(rank) if self.neighbours.get(&peer).is_some_and(|neighbour| neighbour.linked) => {
                self.neighbours.get_mut(&peer).expect("looked at just above").plan(rank);
            }
            _ if self.strategy.broadcasts() => self.broadcast_ended(key),
            _ => {}
        }
    }

    /// The link to `peer` cannot hold a bundle that was begun: it is not offered to that one again while this meeting lasts.
    pub fn refused(&mut self, peer: NodeId, key: StoreKey, gives: u32) {
        let Some(carried) = self.carried.get_mut(&key) else { return };
        carried.sending = carried.sending.saturating_sub(1);
        carried.copies = carried.copies.saturating_add(gives);
        if self.strategy.broadcasts() {
            self.broadcast_ended(key);
        }
        let Some(carried) = self.carried.get(&key) else { return };
        if let Some(neighbour) = self.neighbours.get_mut(&peer) {
            neighbour.learn_one(carried.id.clone(), self.settings.max_names);
        }
    }

    /// When [`Spread::on_deadline`] is to be called.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// The same, once each time that it has changed.
    pub fn deadline_change(&mut self) -> Option<Option<Instant>> {
        let next = self.next_deadline();
        (core::mem::replace(&mut self.told_deadline, next) != next).then_some(next)
    }

    /// Does what is due at `now`.
    pub fn on_deadline(&mut self, now: Instant) {
        self.told_deadline = None;
        while let Some(&(at, what)) = self.deadlines.first() {
            if at > now {
                break;
            }
            self.deadlines.pop_first();
            match what {
                Deadline::Patience(peer) => self.make_ready(peer),
                Deadline::Broadcast(key) => self.broadcast(key),
            }
        }
    }

    /// A bundle that this node is done with, to be taken out of the store.
    pub fn take_done(&mut self) -> Option<StoreKey> {
        self.done.pop_front()
    }

    /// A held bundle.
    #[must_use]
    pub fn carried(&self, key: StoreKey) -> Option<&Carried> {
        self.carried.get(&key)
    }

    /// How many neighbours, names of what they have, and names of what is gone are remembered.
    #[must_use]
    pub fn remembered(&self) -> (usize, usize, usize) {
        let names = self.neighbours.values().map(Neighbour::known).sum();
        (self.neighbours.len(), names, self.remembered.len() + self.acknowledged.len())
    }

    /// Waits for the summary of `peer`, once there is something to offer.
    fn be_patient(&mut self, now: Instant, peer: NodeId) {
        let until = now.saturating_add(self.settings.patience);
        let Some(neighbour) = self.neighbours.get_mut(&peer) else { return };
        neighbour.waits_until = Some(until);
        self.deadlines.insert((until, Deadline::Patience(peer)));
    }

    fn make_ready(&mut self, peer: NodeId) {
        let Some(neighbour) = self.neighbours.get_mut(&peer) else { return };
        neighbour.ready = true;
        if let Some(until) = neighbour.waits_until.take() {
            self.deadlines.remove(&(until, Deadline::Patience(peer)));
        }
        self.make_work(peer);
    }

    /// Makes the list of what `peer` gets. O(n + k log k) for n held and k missing there.
    fn make_work(&mut self, peer: NodeId) {
        if self.strategy.broadcasts() {
            return;
        }
        let Some(neighbour) = self.neighbours.get(&peer).filter(|neighbour| neighbour.linked) else { return };
        let mut work: Vec<Rank> = Vec::new();
        if self.strategy.spreads() {
            let missing = neighbour.missing(self.ids.iter());
            work.extend(missing.filter_map(|key| self.offered(peer, neighbour, key)));
        } else {
            let (first, last) = ((peer, StoreKey(0)), (peer, StoreKey(u64::MAX)));
            let destined = self.by_destination.range(first..=last);
            work.extend(destined.filter_map(|(_, key)| self.wanted(peer, neighbour, *key)));
        }
        work.sort_unstable();
        self.neighbours.get_mut(&peer).expect("looked at just above").work = work.into();
    }

    /// A new bundle goes onto the lists of the neighbours that should get it.
    fn plan_for_all(&mut self, now: Instant, key: StoreKey) {
        let mut waiting: Vec<NodeId> = Vec::new();
        let mut ranks: Vec<Rank> = Vec::new();
        let mut peers: Vec<NodeId> = Vec::new();
        for (peer, neighbour) in self.neighbours.iter().filter(|(_, neighbour)| neighbour.linked) {
            if !neighbour.ready {
                if neighbour.waits_until.is_none() {
                    waiting.push(*peer);
                }
            } else if let Some(rank) = self.wanted(*peer, neighbour, key) {
                peers.push(*peer);
                ranks.push(rank);
            }
        }
        for (peer, rank) in peers.into_iter().zip(ranks) {
            self.neighbours.get_mut(&peer).expect("iterated just above").plan(rank);
        }
        for peer in waiting {
            self.be_patient(now, peer);
        }
    }

    /// The place of a bundle on the list of `peer`, if it should get it.
    fn wanted(&self, peer: NodeId, neighbour: &Neighbour, key: StoreKey) -> Option<Rank> {
        let carried = self.carried.get(&key)?;
        if neighbour.has(&carried.id) { None } else { self.offered(peer, neighbour, key) }
    }

    /// The place of a bundle that `peer` does not have on its list, if it should get it.
    fn offered(&self, peer: NodeId, neighbour: &Neighbour, key: StoreKey) -> Option<Rank> {
        let carried = self.carried.get(&key)?;
        let offered = carried.destination == peer
            || (carried.hops_left > 1
                && carried.id.source.node() != Some(peer)
                && self.strategy.offers(peer, carried));
        offered.then(|| self.rank_of(peer, neighbour.nonce, key, carried))
    }

    fn rank(&self, peer: NodeId, key: StoreKey) -> Option<Rank> {
        Some(self.rank_of(peer, self.neighbours.get(&peer)?.nonce, key, self.carried.get(&key)?))
    }

    fn rank_of(&self, peer: NodeId, nonce: u64, key: StoreKey, carried: &Carried) -> Rank {
        let order = match self.settings.order {
            SendOrder::Received => key.0,
            SendOrder::Random => mixed(nonce ^ key.0),
        };
        Rank { passing: carried.destination != peer, priority: carried.priority, order, key }
    }
}

/// The stream of the incarnation's generator that strategies draw from.
const STREAM: u64 = 0x726f_7574;
/// How many bundles are looked at that do not fit into what is left of a contact.
const LOOK_AHEAD: usize = 16;

/// The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): a bijection that scatters.
const fn mixed(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests;
