//! The group's keys: who makes them, who gets them, and how one that has none asks.
//!
//! The keeper that the configuration names makes the keys. While it is blocked, the member with the least number that is not takes its place; a
//! keeper that is gone for good is blocked by the fleet. Keys of a keeper that was blocked still open what is under way, and seal nothing.

use super::{Audience, Epoch, Held, Sealing};
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
use alloc::{collections::BTreeSet, vec, vec::Vec};
use core::time::Duration;

/// Epochs whose keys are kept, for what was sealed before the last change and is still under way.
const EPOCHS: usize = 4;
/// The longest wrapped key in bytes.
const MAX_WRAPPED: usize = 256;
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
        let rank = self.group_keeper().map(|(rank, _)| rank);
        let held = self.sealing.as_ref()?.keys.iter().filter(|held| !held.retired).map(|held| &held.key);
        held.max_by_key(|key| (Some(Epoch::of(key.epoch).rank) == rank, key.epoch))
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

    /// Asks the keeper for its newest key, if this node lacks one and has not asked lately.
    pub(super) fn want_group_key(&mut self) {
        let (now, Some((_, keeper))) = (self.now, self.group_keeper()) else { return };
        if !self.lacks_group_key() {
            return;
        }
        let Some(sealing) = self.sealing.as_mut() else { return };
        let next = sealing.asked.map_or(now, |asked| asked.saturating_add(ASKING));
        let lifetime = sealing.lifetime();
        if next > now {
            return self.timers.arm_by(Timer::Sealing, next);
        }
        sealing.asked = Some(now);
        self.timers.arm_by(Timer::Sealing, now.saturating_add(ASKING));
        if self.under_way(keeper) {
            return;
        }
        let newest = self.sealing_key().map_or(0, |key| key.epoch);
        let mut payload = Vec::with_capacity(10);
        cbor::put_head(&mut payload, cbor::ARRAY, 1);
        cbor::put_uint(&mut payload, newest);
        self.send_group(keeper, lifetime, payload);
    }

    /// Whether the last message about keys to a member is not acknowledged yet.
    fn under_way(&self, peer: NodeId) -> bool {
        let stream = StreamKey { peer, purpose: Purpose::GroupKey };
        self.outgoing.get(&stream).is_some_and(|stream| stream.pending().next().is_some())
    }

    fn send_group(&mut self, destination: NodeId, lifetime: Duration, payload: Vec<u8>) {
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
        self.add_group_key(key);
        for node in present.into_iter().filter(|node| *node != own) {
            self.give_group_key(node);
        }
    }

    /// Gives a member the newest key.
    pub(in crate::node) fn give_group_key(&mut self, node: NodeId) {
        let own = self.config.id;
        if self.group_keeper().is_none_or(|(_, keeper)| keeper != own) {
            return;
        }
        let Some(sealing) = self.sealing.as_ref().filter(|it| it.given.contains(&node)) else { return };
        let lifetime = sealing.lifetime();
        let Some(key) = self.sealing_key().cloned() else { return };
        if self.is_blocked(node) {
            return;
        }
        let Some(recipient) = self.config.directory.key(node) else { return };
        let bound = binding(own, Purpose::GroupKey);
        let mut payload = Vec::with_capacity(160);
        cbor::put_head(&mut payload, cbor::ARRAY, 2);
        cbor::put_uint(&mut payload, key.epoch);
        cbor::put_bytes(&mut payload, &seal_to(recipient, &bound, &wrapped(&key), &mut self.rng));
        self.send_group(node, lifetime, payload);
    }

    /// A message about keys was given up.
    pub(in crate::node) fn on_group_message_lost(&mut self, peer: NodeId) {
        self.give_group_key(peer);
        self.want_group_key();
    }

    /// A key of the group came, or a member asks for one.
    pub(in crate::node) fn on_group_key(&mut self, source: NodeId, payload: &[u8]) {
        let mut reader = Reader::new(payload);
        match reader.array() {
            Ok(1) => self.on_group_key_asked(source, reader),
            Ok(2) => self.on_group_key_given(source, reader),
            Ok(_) => self.refuse_sealed("seal_form"),
            Err(error) => self.refuse_sealed(error.reason()),
        }
    }

    /// A member that asks gets the newest key, if it is one that has it, and nothing to it is under way.
    fn on_group_key_asked(&mut self, source: NodeId, mut reader: Reader<'_>) {
        // Which it has does not matter: who says to have the newest has one that it cannot use.
        if let Err(error) = reader.uint().and_then(|_| reader.end()) {
            return self.refuse_sealed(error.reason());
        }
        if !self.under_way(source) {
            self.give_group_key(source);
        }
    }

    fn on_group_key_given(&mut self, source: NodeId, reader: Reader<'_>) {
        let Some((rank, _)) = self.group_keeper().filter(|(_, keeper)| *keeper == source) else {
            return self.refuse_sealed("group_key_of_a_stranger");
        };
        match self.open_group_key(source, rank, reader) {
            Ok(key) => self.add_group_key(key),
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
        mut reader: Reader<'_>,
    ) -> Result<GroupKey, SealError> {
        let epoch = reader.uint()?;
        let (at, sealed) = (reader.position(), reader.bytes()?);
        reader.end()?;
        let (expected, found) = (MAX_WRAPPED as u64, sealed.len() as u64);
        if found > expected {
            return Err(CborError::Items { at, expected, found }.into());
        }
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

    fn add_group_key(&mut self, key: GroupKey) {
        let epoch = key.epoch;
        let Some(sealing) = self.sealing.as_mut() else { return };
        sealing.misses = false;
        if sealing.keys.iter().any(|held| held.key.epoch == epoch && !held.retired) {
            return;
        }
        sealing.keys.retain(|held| held.key.epoch != epoch);
        sealing.keys.push(Held { key, retired: false });
        if sealing.keys.len() > EPOCHS {
            sealing.keys.remove(0);
        }
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

    /// `[[wrapped key, retired]…, [member that has the newest]…, the key before or empty, this node's key's name]`.
    pub(super) fn keep_group_keys(&mut self) {
        let Some(sealing) = &self.sealing else { return };
        let mut value = Vec::new();
        cbor::put_head(&mut value, cbor::ARRAY, 4);
        cbor::put_head(&mut value, cbor::ARRAY, sealing.keys.len() as u64);
        for held in &sealing.keys {
            cbor::put_head(&mut value, cbor::ARRAY, 2);
            cbor::put_bytes(&mut value, &wrapped(&held.key));
            cbor::put_uint(&mut value, u64::from(held.retired));
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

    fn restore_keys(&mut self, value: &[u8]) -> Result<(), CborError> {
        let mut reader = Reader::new(value);
        reader.array_of(4)?;
        for _ in 0..reader.array()? {
            reader.array_of(2)?;
            let at = reader.position();
            let key = unwrapped(reader.bytes()?).ok_or(CborError::NotDeterministic { at })?;
            self.keys.push(Held { key, retired: reader.uint()? == 1 });
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
