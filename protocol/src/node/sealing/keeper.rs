//! The group's keys: who makes them, who gets them, and how one that has none asks.
//!
//! The keeper that the configuration names makes the keys. While it is blocked, the member with the least number that is not takes its place; a
//! keeper that is gone for good is blocked by the fleet. Keys of a keeper that was blocked still open what is under way, and seal nothing.
//!
//! Whoever made a key gives it, as long as it has it, to a member that was one then and has something to open with it: also when another is keeper
//! now.

use super::{Audience, Epoch, Held, Sealing, message::GroupMessage};
use crate::{
    cbor::{self, CborError, Reader},
    dtn::store::Priority,
    envelope::{
        Purpose,
        sealing::{AgreementKey, GroupKey, SealError, binding, seal_to},
    },
    id::NodeId,
    identity::KeyId,
    log::{Brief, Event},
    node::{InputError, Node, Report, StreamKey, Submission, Timer, keep::Kept},
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec,
    vec::Vec,
};
use core::time::Duration;

/// Epochs whose keys are kept, for what was sealed before the last change and is still under way.
pub(super) const EPOCHS: usize = 4;
/// So often the key is asked for in which a message is sealed.
const MAX_ASKED: u8 = 3;
/// A member that lacks a key asks no more often.
const ASKING: Duration = Duration::from_secs(600);
/// At its very start it waits for so long before it asks: the keeper gives to all.
const FIRST_ASKING: Duration = Duration::from_secs(3600);

impl Node {
    /// Begins: the keeper with an epoch, if none is there; a member with patience.
    pub(in crate::node) fn start_sealing(&mut self) {
        let own = KeyId::of(self.keys.public());
        if let Some(sealing) = self.sealing.as_mut() {
            if sealing.own.is_some_and(|known| known != own) {
                // Another key was given to this node: whoever had the one before may have had the group's.
                sealing.given.clear();
            }
            sealing.own = Some(own);
        }
        self.rekey_groups();
        let pause = if self.incarnation > 1 { Duration::ZERO } else { FIRST_ASKING };
        if self.lacks_group_key() {
            let at = self.now.saturating_add(pause.max(self.config.retransmission.ack_delay));
            self.timers.arm_by(Timer::Sealing, at);
        }
    }

    /// Something is due: a message has waited for long enough, or a key is asked for.
    pub(in crate::node) fn on_sealing_timer(&mut self) {
        self.expire_waiting();
        self.want_group_key();
    }

    /// Who makes the group's keys now, with its rank.
    fn group_keeper(&self) -> Option<(u64, NodeId)> {
        let sealing = self.sealing.as_ref()?;
        let here = |node: &NodeId| !self.is_blocked(*node) && self.config.directory.key(*node).is_some();
        let keepers = sealing.keepers().enumerate().find(|(_, node)| here(node));
        keepers.map(|(rank, node)| (rank as u64, node))
    }

    /// The key in which this node seals: the newest of the present keeper, and until that has come the newest of another one.
    pub(super) fn sealing_key(&self) -> Option<&GroupKey> {
        self.sealing_held().map(|held| &held.key)
    }

    fn sealing_held(&self) -> Option<&Held> {
        let rank = self.group_keeper().map(|(rank, _)| rank);
        let held = self.sealing.as_ref()?.keys.iter().filter(|held| !held.retired);
        held.max_by_key(|held| (Some(Epoch::of(held.key.epoch).rank) == rank, held.key.epoch))
    }

    /// Whether a member is not given the key in which this node seals now: it was blocked, or not known yet, when its keeper began that epoch.
    pub(super) fn is_out_of_epoch(&self, member: NodeId) -> bool {
        self.sealing_held().is_some_and(|held| !held.given.contains(&member))
    }

    /// Whether this node belongs to the group and has no key of its present keeper.
    fn lacks_group_key(&self) -> bool {
        let own = self.config.id;
        let (Some(sealing), Some((rank, keeper))) = (&self.sealing, self.group_keeper()) else {
            return false;
        };
        let belongs = sealing.keepers().any(|member| member == own);
        let has = self.sealing_key().is_some_and(|key| Epoch::of(key.epoch).rank == rank);
        belongs && keeper != own && (!has || sealing.misses)
    }

    /// Asks the keeper for its newest key, if this node lacks one, and whoever made them for those in which something waits here. Nobody more often than
    /// every ten minutes, and for one message's key three times.
    pub(super) fn want_group_key(&mut self) {
        for (keeper, lacks) in self.wanted_keys() {
            self.ask_for_keys(keeper, lacks);
        }
    }

    /// Whom this node asks, and for which epochs beside the newest.
    fn wanted_keys(&self) -> BTreeMap<NodeId, Vec<u64>> {
        let mut wanted: BTreeMap<NodeId, Vec<u64>> = BTreeMap::new();
        let Some(sealing) = &self.sealing else { return wanted };
        if let Some((_, keeper)) = self.group_keeper().filter(|_| self.lacks_group_key()) {
            wanted.insert(keeper, Vec::new());
        }
        let waiting = sealing.waiting.values().filter(|waiting| waiting.asked < MAX_ASKED);
        let epochs: BTreeSet<u64> = waiting.map(|waiting| waiting.sealed_in).collect();
        for epoch in epochs {
            let rank = usize::try_from(Epoch::of(epoch).rank).unwrap_or(usize::MAX);
            let keeper = sealing.keepers().nth(rank);
            if let Some(keeper) = keeper.filter(|it| *it != self.config.id && !self.is_blocked(*it)) {
                wanted.entry(keeper).or_default().push(epoch);
            }
        }
        wanted
    }

    fn ask_for_keys(&mut self, keeper: NodeId, mut lacks: Vec<u64>) {
        let now = self.now;
        let under_way = self.under_way(keeper);
        let Some(sealing) = self.sealing.as_mut() else { return };
        let next = sealing.asked.get(&keeper).map_or(now, |asked| asked.saturating_add(ASKING));
        let lifetime = sealing.lifetime();
        if next > now {
            return self.timers.arm_by(Timer::Sealing, next);
        }
        sealing.asked.insert(keeper, now);
        self.timers.arm_by(Timer::Sealing, now.saturating_add(ASKING));
        if under_way {
            return;
        }
        sealing.turn = sealing.turn.wrapping_add(1);
        let turn = sealing.turn.checked_rem(lacks.len()).unwrap_or(0);
        lacks.rotate_left(turn);
        lacks.truncate(EPOCHS);
        for waiting in sealing.waiting.values_mut().filter(|it| lacks.contains(&it.sealed_in)) {
            waiting.asked = waiting.asked.saturating_add(1);
        }
        self.send_group(keeper, lifetime, &GroupMessage::Asks { lacks });
    }

    /// Whether the last message about keys to a member is not acknowledged yet.
    fn under_way(&self, peer: NodeId) -> bool {
        let stream = StreamKey { peer, purpose: Purpose::GroupKey };
        self.outgoing.get(&stream).is_some_and(|stream| stream.pending().next().is_some())
    }

    fn send_group(&mut self, destination: NodeId, lifetime: Duration, message: &GroupMessage<'_>) {
        let payload = message.encode();
        let (purpose, priority) = (Purpose::GroupKey, Priority::Normal);
        if self.send(Submission { destination, purpose, priority, lifetime, payload }).is_err() {
            self.report(Report::ModuleRefused { reason: "group_key_not_sent" });
        }
    }

    /// A new epoch begins, if those who belong to the group are others than those who have its key. At the keeper; elsewhere the keeper may be another
    /// one now, and is asked.
    pub(in crate::node) fn rekey_groups(&mut self) {
        let own = self.config.id;
        let Some((rank, _)) = self.group_keeper().filter(|(_, keeper)| *keeper == own) else {
            return self.want_group_key();
        };
        let here = |node: &NodeId| !self.is_blocked(*node) && self.config.directory.key(*node).is_some();
        let Some(sealing) = &self.sealing else { return };
        let present: BTreeSet<NodeId> = sealing.keepers().filter(here).collect();
        if present == sealing.given {
            return;
        }
        let own_epochs = sealing.keys.iter().map(|held| held.key.epoch);
        let last = own_epochs.filter(|epoch| Epoch::of(*epoch).rank == rank).max();
        let key = GroupKey::generate(Epoch::next(rank, self.incarnation, last), &mut self.rng);
        let Some(sealing) = self.sealing.as_mut() else { return };
        sealing.given.clone_from(&present);
        self.add_group_key(key, false, present.clone());
        for node in present.into_iter().filter(|node| *node != own) {
            self.give_group_key(node);
        }
    }

    /// Gives a member the newest key, if it is one that has it.
    pub(in crate::node) fn give_group_key(&mut self, node: NodeId) {
        let own = self.config.id;
        if self.group_keeper().is_none_or(|(_, keeper)| keeper != own) {
            return;
        }
        let given = self.sealing.as_ref().is_some_and(|sealing| sealing.given.contains(&node));
        if let Some(epoch) = self.sealing_key().filter(|_| given).map(|key| key.epoch) {
            self.give_key(node, epoch);
        }
    }

    /// Gives a member a key of this node's making.
    fn give_key(&mut self, node: NodeId, epoch: u64) {
        let Some(sealing) = &self.sealing else { return };
        let lifetime = sealing.lifetime();
        if self.is_blocked(node) {
            return;
        }
        let held = sealing.keys.iter().find(|held| held.key.epoch == epoch);
        let (Some(held), Some(recipient)) = (held, self.config.directory.key(node)) else { return };
        let bound = binding(self.config.id, Purpose::GroupKey);
        let sealed = seal_to(recipient, &bound, &wrapped(&held.key), &mut self.rng);
        let given = held.given.clone();
        self.send_group(node, lifetime, &GroupMessage::Gives { epoch, given, sealed: &sealed });
    }

    /// A message about keys was given up.
    pub(in crate::node) fn on_group_message_lost(&mut self, peer: NodeId) {
        self.give_group_key(peer);
        self.want_group_key();
    }

    /// A key of the group came, or a member asks for one.
    pub(in crate::node) fn on_group_key(&mut self, source: NodeId, payload: &[u8]) {
        match GroupMessage::decode(payload) {
            Ok(GroupMessage::Asks { lacks }) => self.on_group_keys_asked(source, &lacks),
            Ok(GroupMessage::Gives { epoch, given, sealed }) => {
                self.on_group_key_given(source, epoch, given, sealed);
            }
            Err(error) => self.refuse_sealed(error.reason()),
        }
    }

    /// A member that asks gets the newest key, if it is one that has it, and those of epochs that this node began when it was a member. Nothing, while
    /// something to it is under way.
    fn on_group_keys_asked(&mut self, source: NodeId, lacks: &[u64]) {
        if self.under_way(source) {
            return;
        }
        self.give_group_key(source);
        let newest = self.sealing_key().map(|key| key.epoch);
        let lacks: BTreeSet<u64> = lacks.iter().copied().filter(|epoch| Some(*epoch) != newest).collect();
        let own = self.config.id;
        let Some(sealing) = &self.sealing else { return };
        let Some(rank) = sealing.keepers().position(|keeper| keeper == own) else { return };
        let wanted = sealing.keys.iter().filter(|held| {
            let epoch = held.key.epoch;
            Epoch::of(epoch).rank == rank as u64 && lacks.contains(&epoch) && held.given.contains(&source)
        });
        let wanted: Vec<u64> = wanted.map(|held| held.key.epoch).collect();
        wanted.into_iter().for_each(|epoch| self.give_key(source, epoch));
    }

    fn on_group_key_given(&mut self, source: NodeId, epoch: u64, given: BTreeSet<NodeId>, sealed: &[u8]) {
        let present = self.group_keeper().is_some_and(|(_, keeper)| keeper == source);
        let made_by = |sealing: &Sealing| {
            let rank = sealing.keepers().position(|keeper| keeper == source)?;
            let waits = sealing.waiting.values().any(|waiting| waiting.sealed_in == epoch);
            (present || waits).then_some(rank as u64)
        };
        let Some(rank) = self.sealing.as_ref().and_then(made_by) else {
            return self.refuse_sealed("group_key_of_a_stranger");
        };
        match self.open_group_key(source, rank, epoch, sealed) {
            Ok(key) => {
                let later = |held: &Held| {
                    let found = held.key.epoch;
                    !held.retired && Epoch::of(found).rank == rank && found > epoch
                };
                let passed = self.sealing.as_ref().is_some_and(|sealing| sealing.keys.iter().any(later));
                self.add_group_key(key, !present || passed, given);
            }
            Err(error) => {
                self.refuse_sealed(error.reason());
                self.miss_group_key();
                self.want_group_key();
            }
        }
    }

    fn open_group_key(
        &self,
        source: NodeId,
        rank: u64,
        epoch: u64,
        sealed: &[u8],
    ) -> Result<GroupKey, SealError> {
        let bound = binding(source, Purpose::GroupKey);
        let opened = self.open_for_own(&bound, sealed)?;
        // The epoch is inside too: the keeper's word, not that of whoever passed it on. And it is one of the keeper's own.
        let key = unwrapped(&opened).ok_or(SealError::Failed)?;
        if key.epoch == epoch && Epoch::of(epoch).rank == rank {
            Ok(key)
        } else {
            Err(SealError::Epoch { found: epoch })
        }
    }

    /// `retired`: it opens what waits, and seals nothing. `given`: for whom its keeper made it.
    fn add_group_key(&mut self, key: GroupKey, retired: bool, given: BTreeSet<NodeId>) {
        let epoch = key.epoch;
        let Some(sealing) = self.sealing.as_mut() else { return };
        if !retired {
            sealing.misses = false;
        }
        if sealing.keys.iter().any(|held| held.key.epoch == epoch && (retired || !held.retired)) {
            return;
        }
        sealing.keys.retain(|held| held.key.epoch != epoch);
        sealing.keys.push(Held { key, retired, given });
        sealing.forget_earlier_keys();
        let own = self.config.id;
        self.write_down(Event::Learned {
            what: "group-key".into(),
            about: own,
            statement: Brief(epoch.to_be_bytes()),
        });
        self.keep_group_keys();
        for place in self.waiting_for(epoch) {
            let Some(message) = self.end_waiting(place) else { continue };
            let (stream, life, _) = place;
            // It came when its sender might say it. Whether it still may is asked again.
            if self.is_blocked(stream.peer) || !self.admits(stream.peer, stream.purpose) {
                continue;
            }
            if let Some(message) = self.unseal(stream, life, message) {
                self.deliver_opened(stream, life, message);
            }
        }
    }

    /// A member's key is taken back: the keys that it gave as a keeper are good for what is under way, and for nothing else. Where that is told to
    /// the keeper itself, whose key may have been certified anew before it heard of it, it begins another epoch with the next look at the group.
    pub(in crate::node) fn retire_group_keys(&mut self, node: NodeId) {
        let own = self.config.id;
        let Some(sealing) = self.sealing.as_mut() else { return };
        let Some(rank) = sealing.keepers().position(|keeper| keeper == node) else { return };
        let mut changed = false;
        for held in &mut sealing.keys {
            let given = Epoch::of(held.key.epoch).rank == rank as u64;
            changed |= given && !held.retired;
            held.retired |= given;
        }
        if node == own && !sealing.given.is_empty() {
            sealing.given.clear();
            changed = true;
        }
        if changed {
            self.keep_group_keys();
        }
    }

    /// `[[wrapped key, retired, [member that was given it]…]…, [member that has the newest]…, the key before or empty, this node's key's name]`.
    pub(super) fn keep_group_keys(&mut self) {
        let Some(sealing) = &self.sealing else { return };
        let mut value = Vec::new();
        cbor::put_head(&mut value, cbor::ARRAY, 4);
        cbor::put_head(&mut value, cbor::ARRAY, sealing.keys.len() as u64);
        for held in &sealing.keys {
            cbor::put_head(&mut value, cbor::ARRAY, 3);
            cbor::put_bytes(&mut value, &wrapped(&held.key));
            cbor::put_uint(&mut value, u64::from(held.retired));
            cbor::put_head(&mut value, cbor::ARRAY, held.given.len() as u64);
            held.given.iter().for_each(|node| cbor::put_uint(&mut value, node.0));
        }
        cbor::put_head(&mut value, cbor::ARRAY, sealing.given.len() as u64);
        sealing.given.iter().for_each(|node| cbor::put_uint(&mut value, node.0));
        let former = sealing.former.as_ref().map(AgreementKey::to_bytes);
        cbor::put_bytes(&mut value, former.as_ref().map_or(&[][..], |bytes| &bytes[..]));
        cbor::put_bytes(&mut value, &KeyId::of(self.keys.public()).0);
        self.put(vec![Kept::GroupKeys as u8], value);
    }

    /// Takes a kept record of sealing back. `None`: this version did not write it.
    pub(in crate::node) fn take_back_sealing(
        &mut self,
        kind: u8,
        record: &[u8],
        value: &[u8],
    ) -> Result<Option<()>, InputError> {
        let sealing = self.sealing.as_mut().ok_or(InputError::NotConfigured { what: "sealing" })?;
        if kind == Kept::GroupKeys as u8 {
            return Ok(sealing.restore_keys(value).ok());
        }
        Ok(self.take_back_waiting(record, value))
    }
}

impl Sealing {
    /// Who may make the group's keys, in this order; all its members.
    pub(super) fn keepers(&self) -> impl Iterator<Item = NodeId> {
        let (keeper, members) = match &self.config.audience {
            Audience::Recipient => (None, None),
            Audience::Group { keeper, members, .. } => (Some(*keeper), Some(members)),
        };
        let others = members.into_iter().flatten().copied().filter(move |node| Some(*node) != keeper);
        keeper.into_iter().chain(others)
    }

    /// Of the keys that seal, and of those that only open, the last few are kept.
    fn forget_earlier_keys(&mut self) {
        for retired in [false, true] {
            while self.keys.iter().filter(|held| held.retired == retired).count() > EPOCHS {
                let first = self.keys.iter().position(|held| held.retired == retired);
                first.map(|first| self.keys.remove(first));
            }
        }
    }

    fn restore_keys(&mut self, value: &[u8]) -> Result<(), CborError> {
        let mut reader = Reader::new(value);
        reader.array_of(4)?;
        for _ in 0..reader.array()? {
            reader.array_of(3)?;
            let at = reader.position();
            let key = unwrapped(reader.bytes()?).ok_or(CborError::NotDeterministic { at })?;
            let retired = reader.uint()? == 1;
            let count = reader.array()?;
            let given = (0..count).map(|_| reader.uint().map(NodeId)).collect::<Result<_, _>>()?;
            self.keys.push(Held { key, retired, given });
        }
        for _ in 0..reader.array()? {
            self.given.insert(NodeId(reader.uint()?));
        }
        self.former = AgreementKey::from_bytes(reader.bytes()?);
        self.own = reader.bytes()?.try_into().ok().map(KeyId);
        reader.end()
    }
}

/// A key as it is wrapped: epoch and secret.
fn wrapped(key: &GroupKey) -> Vec<u8> {
    [&key.epoch.to_be_bytes()[..], key.as_bytes()].concat()
}

fn unwrapped(bytes: &[u8]) -> Option<GroupKey> {
    let (epoch, secret) = bytes.split_first_chunk::<8>()?;
    Some(GroupKey::from_bytes(u64::from_be_bytes(*epoch), secret.try_into().ok()?))
}
