//! Confidentiality at a node: the application's messages leave sealed and are opened before they are delivered.
//!
//! To a recipient nothing but its key is needed. For a group, the keeper gives every member a key for each epoch, over HPKE, and a new epoch begins
//! whenever somebody leaves; what comes in an epoch whose key is still on its way waits for it, durably.

use super::{InputError, Node, Report, StreamKey, Submission, SubmitError, keep::Kept};
use crate::{
    cbor::{self, CborError, Reader},
    delivery::Message,
    dtn::store::Priority,
    envelope::{
        Purpose,
        sealing::{GroupKey, SealError, binding, group_epoch, open_sealed, seal_to},
    },
    id::NodeId,
    identity::KeyPair,
    log::{Brief, Event},
    time::DtnTime,
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec,
    vec::Vec,
};
use core::time::Duration;

/// Epochs whose keys are kept, for what was sealed before the last change and is still under way.
const EPOCHS: usize = 4;
/// Most messages that wait for a group's key. With so many, further ones are refused.
const MAX_WAITING: usize = 256;
/// The longest wrapped key in bytes.
const MAX_WRAPPED: usize = 256;

/// What a node seals, and for whom.
#[derive(Clone, Debug)]
pub struct SealingConfig {
    /// The purposes whose messages are sealed, of those that applications have. What comes for one of these and is not sealed is refused.
    pub purposes: BTreeSet<Purpose>,
    /// For whom.
    pub audience: Audience,
}

/// For whose eyes messages are.
#[derive(Clone, Debug)]
pub enum Audience {
    /// For their addressee alone.
    Recipient,
    /// For a group.
    Group {
        /// Who makes the group's keys.
        keeper: NodeId,
        /// Who belongs to it, the keeper included; who is blocked is left out.
        members: BTreeSet<NodeId>,
        /// Lifetime of the messages that bring keys.
        lifetime: Duration,
    },
}

/// Confidentiality at this node.
#[derive(Debug)]
pub(super) struct Sealing {
    config: SealingConfig,
    /// The keys before the last rotation: somebody may have sealed for them.
    former: Option<KeyPair>,
    /// The group's keys by epoch, the newest few.
    keys: BTreeMap<u64, GroupKey>,
    /// Whom the keeper has given the newest one to.
    given: BTreeSet<NodeId>,
    /// Messages that wait for a key.
    waiting: BTreeMap<(StreamKey, u64), (u32, Message)>,
}

impl Sealing {
    pub(super) fn new(config: SealingConfig) -> Self {
        Self { config, former: None, keys: BTreeMap::new(), given: BTreeSet::new(), waiting: BTreeMap::new() }
    }
}

impl Node {
    /// The epoch of the group's key in which this node seals, if it has one.
    #[must_use]
    pub fn group_epoch(&self) -> Option<u64> {
        self.sealing.as_ref()?.keys.keys().next_back().copied()
    }

    /// The keeper begins.
    pub(super) fn start_sealing(&mut self) {
        self.rekey_groups();
    }

    /// This node's key has handed over.
    pub(super) fn keep_former_key(&mut self, former: KeyPair) {
        if let Some(sealing) = self.sealing.as_mut() {
            sealing.former = Some(former);
        }
    }

    /// The submission as it leaves: sealed, if its purpose is.
    pub(super) fn seal_submission(&mut self, submission: Submission) -> Result<Submission, SubmitError> {
        let Submission { destination, purpose, .. } = submission;
        let Some(sealing) = self.sealing.as_ref().filter(|s| s.config.purposes.contains(&purpose)) else {
            return Ok(submission);
        };
        let bound = binding(self.config.id, purpose);
        let payload = match &sealing.config.audience {
            Audience::Recipient => {
                let key = self.config.directory.key(destination);
                let key = key.ok_or(SubmitError::UnknownDestination(destination))?;
                seal_to(key, &bound, &submission.payload, &mut self.rng)
            }
            Audience::Group { .. } => {
                let key = sealing.keys.values().next_back().ok_or(SubmitError::NoGroupKey)?;
                key.seal(self.config.id, &bound, &submission.payload, &mut self.rng)
            }
        };
        Ok(Submission { payload, ..submission })
    }

    /// What a message says, opened; `None` when it waits for a key, or is refused.
    pub(super) fn unseal(&mut self, key: StreamKey, epoch: u32, message: Message) -> Option<Message> {
        let Some(sealing) = self.sealing.as_ref().filter(|s| s.config.purposes.contains(&key.purpose)) else {
            return Some(message);
        };
        let bound = binding(key.peer, key.purpose);
        let opened = match &sealing.config.audience {
            Audience::Recipient => {
                let keys = [Some(&self.keys), sealing.former.as_ref()];
                let mut opened = Err(SealError::Failed);
                for keys in keys.into_iter().flatten() {
                    opened = open_sealed(keys, &bound, &message.payload);
                    if !matches!(opened, Err(SealError::OtherKey { .. })) {
                        break;
                    }
                }
                opened
            }
            Audience::Group { .. } => match group_epoch(&message.payload) {
                Err(error) => Err(error),
                Ok(found) => match sealing.keys.get(&found) {
                    Some(group) => group.open(key.peer, &bound, &message.payload),
                    None if sealing.keys.keys().next_back().is_none_or(|newest| found > *newest) => {
                        self.wait_for_key(key, epoch, message);
                        return None;
                    }
                    None => Err(SealError::Epoch { found }),
                },
            },
        };
        match opened {
            Ok(payload) => Some(Message { payload, ..message }),
            Err(error) => {
                self.refuse_sealed(error.reason());
                None
            }
        }
    }

    fn refuse_sealed(&mut self, reason: &'static str) {
        let _ = self.refuse(reason);
        self.report(Report::ModuleRefused { reason });
    }

    /// Keeps a message until its key comes.
    fn wait_for_key(&mut self, key: StreamKey, epoch: u32, message: Message) {
        let Some(sealing) = self.sealing.as_mut() else { return };
        if sealing.waiting.len() >= MAX_WAITING {
            return self.refuse_sealed("seal_no_room");
        }
        let mut value = epoch.to_be_bytes().to_vec();
        value.extend_from_slice(&message.created.0.to_be_bytes());
        value.extend_from_slice(&message.payload);
        let record = super::keep::key(Kept::Sealed, key, message.sequence);
        sealing.waiting.insert((key, message.sequence), (epoch, message));
        self.put(record, value);
    }

    /// A new epoch begins, if those who belong to the group are others than those who have its key. Only at the keeper.
    pub(super) fn rekey_groups(&mut self) {
        let own = self.config.id;
        let Some(sealing) = &self.sealing else { return };
        let Audience::Group { keeper, members, .. } = &sealing.config.audience else { return };
        if *keeper != own {
            return;
        }
        let here = |node: &NodeId| !self.is_blocked(*node) && self.config.directory.key(*node).is_some();
        let present: BTreeSet<NodeId> = members.iter().copied().filter(here).collect();
        if present == sealing.given {
            return;
        }
        let epoch = self.group_epoch().unwrap_or(0) + 1;
        let key = GroupKey::generate(epoch, &mut self.rng);
        let Some(sealing) = self.sealing.as_mut() else { return };
        sealing.given.clone_from(&present);
        self.add_group_key(key);
        for node in present.into_iter().filter(|node| *node != own) {
            self.give_group_key(node);
        }
    }

    /// Gives a member the newest key.
    pub(super) fn give_group_key(&mut self, node: NodeId) {
        let Some(sealing) = &self.sealing else { return };
        let Audience::Group { keeper, lifetime, .. } = &sealing.config.audience else { return };
        let (Some(key), true) = (sealing.keys.values().next_back(), *keeper == self.config.id) else {
            return;
        };
        let (lifetime, given) = (*lifetime, sealing.given.contains(&node));
        let Some(recipient) = self.config.directory.key(node).filter(|_| given) else { return };
        let bound = binding(self.config.id, Purpose::GroupKey);
        let mut payload = Vec::with_capacity(160);
        cbor::put_head(&mut payload, cbor::ARRAY, 2);
        cbor::put_uint(&mut payload, key.epoch);
        cbor::put_bytes(&mut payload, &seal_to(recipient, &bound, &wrapped(key), &mut self.rng));
        let (purpose, priority) = (Purpose::GroupKey, Priority::Normal);
        if self.send(Submission { destination: node, purpose, priority, lifetime, payload }).is_err() {
            self.report(Report::ModuleRefused { reason: "group_key_not_sent" });
        }
    }

    /// A key of the group came.
    pub(super) fn on_group_key(&mut self, source: NodeId, payload: &[u8]) {
        let is_keeper = self.sealing.as_ref().is_some_and(
            |sealing| matches!(&sealing.config.audience, Audience::Group { keeper, .. } if *keeper == source),
        );
        if !is_keeper {
            return self.refuse_sealed("group_key_of_a_stranger");
        }
        match self.open_group_key(source, payload) {
            Ok(key) => self.add_group_key(key),
            Err(error) => self.refuse_sealed(error.reason()),
        }
    }

    fn open_group_key(&self, source: NodeId, payload: &[u8]) -> Result<GroupKey, SealError> {
        let mut reader = Reader::new(payload);
        reader.array_of(2)?;
        let epoch = reader.uint()?;
        let (at, sealed) = (reader.position(), reader.bytes()?);
        reader.end()?;
        let (expected, found) = (MAX_WRAPPED as u64, sealed.len() as u64);
        if found > expected {
            return Err(CborError::Items { at, expected, found }.into());
        }
        let bound = binding(source, Purpose::GroupKey);
        let former = self.sealing.as_ref().and_then(|sealing| sealing.former.as_ref());
        let opened = open_sealed(&self.keys, &bound, sealed).or_else(|error| match former {
            Some(former) => open_sealed(former, &bound, sealed),
            None => Err(error),
        })?;
        // The epoch is inside too: the keeper's word, not that of whoever passed it on.
        let key = unwrapped(&opened).ok_or(SealError::Failed)?;
        if key.epoch == epoch { Ok(key) } else { Err(SealError::Epoch { found: epoch }) }
    }

    fn add_group_key(&mut self, key: GroupKey) {
        let Some(sealing) = self.sealing.as_mut() else { return };
        let epoch = key.epoch;
        if sealing.keys.contains_key(&epoch) {
            return;
        }
        sealing.keys.insert(epoch, key);
        while sealing.keys.len() > EPOCHS {
            sealing.keys.pop_first();
        }
        let waiting = core::mem::take(&mut sealing.waiting);
        let own = self.config.id;
        self.write_down(Event::Learned {
            what: "group-key".into(),
            about: own,
            statement: Brief(epoch.to_be_bytes()),
        });
        self.keep_group_keys();
        for ((stream, sequence), (stream_epoch, message)) in waiting {
            self.delete(super::keep::key(Kept::Sealed, stream, sequence));
            if let Some(message) = self.unseal(stream, stream_epoch, message) {
                self.deliver_opened(stream, stream_epoch, message);
            }
        }
    }

    fn keep_group_keys(&mut self) {
        let Some(sealing) = &self.sealing else { return };
        let mut value = Vec::new();
        cbor::put_head(&mut value, cbor::ARRAY, 2);
        cbor::put_head(&mut value, cbor::ARRAY, sealing.keys.len() as u64);
        sealing.keys.values().for_each(|key| cbor::put_bytes(&mut value, &wrapped(key)));
        cbor::put_head(&mut value, cbor::ARRAY, sealing.given.len() as u64);
        sealing.given.iter().for_each(|node| cbor::put_uint(&mut value, node.0));
        self.put(vec![Kept::GroupKeys as u8], value);
    }

    /// Takes a kept record of sealing back. `None`: this version did not write it.
    pub(super) fn take_back_sealing(
        &mut self,
        kind: u8,
        record_key: &[u8],
        value: &[u8],
    ) -> Result<Option<()>, InputError> {
        let sealing = self.sealing.as_mut().ok_or(InputError::NotConfigured { what: "sealing" })?;
        if kind == Kept::GroupKeys as u8 {
            return Ok(sealing.restore_keys(value).ok());
        }
        let waiting = || {
            let (stream, sequence) = super::keep::parse_key(record_key)?;
            let (epoch, rest) = value.split_first_chunk::<4>()?;
            let (created, payload) = rest.split_first_chunk::<8>()?;
            let created = DtnTime(u64::from_be_bytes(*created));
            let message = Message { sequence, created, payload: payload.to_vec() };
            Some(((stream, sequence), (u32::from_be_bytes(*epoch), message)))
        };
        Ok(waiting().map(|(place, held)| drop(sealing.waiting.insert(place, held))))
    }
}

impl Sealing {
    fn restore_keys(&mut self, value: &[u8]) -> Result<(), CborError> {
        let mut reader = Reader::new(value);
        reader.array_of(2)?;
        for _ in 0..reader.array()? {
            let at = reader.position();
            let key = unwrapped(reader.bytes()?).ok_or(CborError::NotDeterministic { at })?;
            self.keys.insert(key.epoch, key);
        }
        for _ in 0..reader.array()? {
            self.given.insert(NodeId(reader.uint()?));
        }
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
