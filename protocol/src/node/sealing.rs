//! Confidentiality at a node: the application's messages leave sealed and are opened before they are delivered.
//!
//! To a recipient nothing but its key is needed. For a group, the keeper gives every member a key for each epoch, over HPKE, and a new epoch begins
//! whenever somebody leaves; what comes in an epoch whose key is still on its way waits for it, durably.

mod epoch;
mod keeper;
mod message;
mod waiting;

use super::{Node, Report, StreamKey, Submission, SubmitError, keep::Kept};
use crate::{
    delivery::Message,
    envelope::{
        Purpose,
        sealing::{AgreementKey, GroupKey, SealError, binding, group_epoch, open_sealed, seal_to},
    },
    id::NodeId,
    identity::{KeyId, KeyPair},
    time::Instant,
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::time::Duration;
use epoch::Epoch;

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
        /// Who makes the group's keys. While it is blocked, the member with the least number that is not.
        keeper: NodeId,
        /// Who belongs to it, the keeper included; who is blocked is left out.
        members: BTreeSet<NodeId>,
        /// Lifetime of the messages that bring keys.
        lifetime: Duration,
    },
}

/// A group's key that this node has.
#[derive(Debug)]
struct Held {
    key: GroupKey,
    /// Its keeper was blocked, or it was asked for to open something: it opens what is under way, and seals nothing.
    retired: bool,
    /// Those who were members when it was made, and are given it.
    given: BTreeSet<NodeId>,
}

/// Confidentiality at this node.
#[derive(Debug)]
pub(super) struct Sealing {
    config: SealingConfig,
    /// The key before the last rotation: somebody may have sealed for it.
    former: Option<AgreementKey>,
    /// The name of this node's key when that was last looked at.
    own: Option<KeyId>,
    /// The group's keys in the order in which they came, the last few.
    keys: Vec<Held>,
    /// Whom this node, as the keeper, has given the newest one to.
    given: BTreeSet<NodeId>,
    /// Messages that wait for a key.
    waiting: BTreeMap<waiting::Place, waiting::Waiting>,
    /// Whether this node has heard of an epoch whose key it has not.
    misses: bool,
    /// When each keeper was last asked for keys.
    asked: BTreeMap<NodeId, Instant>,
    /// Counts questions, so that with many epochs to ask for each has its turn.
    turn: usize,
}

impl Sealing {
    pub(super) fn new(config: SealingConfig) -> Self {
        Self {
            config,
            former: None,
            own: None,
            keys: Vec::new(),
            given: BTreeSet::new(),
            waiting: BTreeMap::new(),
            misses: false,
            asked: BTreeMap::new(),
            turn: 0,
        }
    }
}

impl Node {
    /// The epoch of the group's key in which this node seals, if it has one.
    #[must_use]
    pub fn group_epoch(&self) -> Option<u64> {
        self.sealing_key().map(|key| key.epoch)
    }

    /// This node's key has handed over; `certified`: the authority put another in its place.
    pub(super) fn keep_former_key(&mut self, former: &KeyPair, certified: bool) {
        let own = KeyId::of(self.keys.public());
        let Some(sealing) = self.sealing.as_mut() else { return };
        sealing.former = Some(AgreementKey::of(former));
        sealing.own = Some(own);
        if certified {
            // Who had the key before may have had the group's.
            sealing.given.clear();
        }
        self.keep_group_keys();
        self.rekey_groups();
    }

    /// The submission as it leaves: sealed, if its purpose is.
    pub(super) fn seal_submission(&mut self, submission: Submission) -> Result<Submission, SubmitError> {
        let Submission { destination, purpose, .. } = submission;
        if self.is_blocked(destination) {
            return Err(SubmitError::Blocked(destination));
        }
        let Some(sealing) = self.sealing.as_ref().filter(|s| s.config.purposes.contains(&purpose)) else {
            return Ok(submission);
        };
        let bound = binding(self.config.id, purpose);
        let payload = match &sealing.config.audience {
            Audience::Recipient => self.seal_for(destination, &bound, &submission.payload)?,
            Audience::Group { .. } if self.is_out_of_epoch(destination) => {
                // The group's key of the moment is not for it, and what is for it shall not wait for the next.
                self.seal_for(destination, &bound, &submission.payload)?
            }
            Audience::Group { .. } => {
                let key = self.sealing_key().cloned().ok_or(SubmitError::NoGroupKey)?;
                key.seal(self.config.id, &bound, &submission.payload, &mut self.rng)
            }
        };
        Ok(Submission { payload, ..submission })
    }

    fn seal_for(
        &mut self,
        destination: NodeId,
        bound: &[u8],
        payload: &[u8],
    ) -> Result<Vec<u8>, SubmitError> {
        let key = self.config.directory.key(destination);
        let key = key.ok_or(SubmitError::UnknownDestination(destination))?;
        Ok(seal_to(key, bound, payload, &mut self.rng))
    }

    /// What a message says, opened; `None` when it waits for a key, or is refused.
    pub(super) fn unseal(&mut self, key: StreamKey, epoch: u32, message: Message) -> Option<Message> {
        let Some(sealing) = self.sealing.as_ref().filter(|s| s.config.purposes.contains(&key.purpose)) else {
            return Some(message);
        };
        let bound = binding(key.peer, key.purpose);
        let opened = match &sealing.config.audience {
            Audience::Recipient => self.open_for_own(&bound, &message.payload),
            Audience::Group { .. } => match group_epoch(&message.payload) {
                // For this node alone: it came back while its sender had a key of the time without it.
                Err(SealError::Algorithm { .. }) => self.open_for_own(&bound, &message.payload),
                Err(error) => Err(error),
                Ok(found) => match sealing.keys.iter().find(|held| held.key.epoch == found) {
                    Some(held) => held.key.open(key.peer, &bound, &message.payload),
                    None if sealing.may_come(found) => {
                        self.miss_group_key();
                        self.wait_for_key(key, epoch, found, message);
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

    /// Opens what was sealed for this node's key, or for the one before.
    fn open_for_own(&self, bound: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let former = self.sealing.as_ref().and_then(|sealing| sealing.former.as_ref());
        match (open_sealed(&self.keys, bound, sealed), former) {
            (Err(SealError::OtherKey { .. }), Some(former)) => former.open(bound, sealed),
            (opened, _) => opened,
        }
    }

    fn miss_group_key(&mut self) {
        if let Some(sealing) = self.sealing.as_mut() {
            sealing.misses = true;
        }
    }

    fn refuse_sealed(&mut self, reason: &'static str) {
        let _ = self.refuse(reason);
        self.report(Report::ModuleRefused { reason });
    }
}

impl Sealing {
    /// Whether the key of an epoch that somebody seals in may be on its way.
    fn may_come(&self, found: u64) -> bool {
        let epoch = Epoch::of(found);
        let known = self.keys.iter().map(|held| Epoch::of(held.key.epoch));
        let newest = known.filter(|known| known.rank == epoch.rank).max();
        epoch.may_come(newest, self.keepers().count() as u64)
    }
}
