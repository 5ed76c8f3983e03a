//! What becomes of what a thief has said: when a key is taken back as blocked or compromised, all that hangs on it goes.
//!
//! Numbers are a node's, not a key's: whoever had the key may have used up the greatest incarnation, moved a stream's floor, left orders waiting
//! behind a gap, or begun logs in the owner's name. So with the key go the member's streams, its control messages' numbers, what waits, and what
//! was seen of its logs under a stolen key. Nothing old can come again for that, since no key is left that signed it. The owner goes on under a newly certified
//! key: it tells what it holds of each stream (a forward), and that is where the stream begins.

use crate::{
    access::Action,
    delivery::{Acknowledgement, Incoming},
    envelope::{Header, Parsed},
    id::NodeId,
    identity::{Cause, Directory, PublicKey},
    log::LogId,
    node::{InputError, Node, Report, StreamKey, Timer, keep},
    sync::Delta,
};
use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    vec,
    vec::Vec,
};

impl Node {
    /// A list has come: what hangs on keys of a member that it takes back for a cause, and none before it did, goes.
    pub(in crate::node) fn forget_taken_back(&mut self) {
        let Some(trusting) = self.trusting.as_mut() else { return };
        let taken_back = trusting.keyring.taken_back_for_cause();
        let mut fresh: BTreeMap<NodeId, bool> = BTreeMap::new();
        for (node, key) in taken_back.difference(&trusting.taken_back) {
            let revoked = trusting.keyring.revoked(*node, *key);
            *fresh.entry(*node).or_default() |=
                revoked.is_some_and(|revoked| revoked.cause == Cause::Compromised);
        }
        trusting.taken_back = taken_back;
        fresh.into_iter().for_each(|(node, stolen)| self.forget_member(node, stolen));
    }

    /// A number far ahead in a stream that this node does not know, or has forgotten: if a member signed it, that is told where it stands here, so that
    /// it says where the stream goes on.
    pub(in crate::node) fn tell_where_a_stream_stands(
        &mut self,
        key: StreamKey,
        header: &Header,
        parsed: Parsed<'_>,
    ) {
        if self.trusting.is_none() || self.incoming.contains_key(&key) || self.verify(parsed).is_err() {
            return;
        }
        let stream = Incoming::restored(self.config.window, header.incarnation, 0);
        self.incoming.insert(key, stream);
        self.keep_incoming_stream(key, header.incarnation, 0);
        self.owe_acknowledgement(key);
    }

    /// A receiver says that it has less of a stream than it had: it took back a key of this node's, and all that hung on it.
    pub(in crate::node) fn begin_again(&mut self, key: StreamKey, acknowledgement: &Acknowledgement) {
        let now = self.now;
        if self.trusting.is_none() {
            return;
        }
        let Some(stream) = self.outgoing.get_mut(&key) else { return };
        if acknowledgement.epoch == stream.epoch() && acknowledgement.through < stream.acknowledged() {
            stream.begin_again(now);
            self.arm_control(key.peer);
        }
    }

    /// After a restart: what is kept may be sealed with the key of before.
    pub(super) fn seal_after_restart(&mut self) {
        if self.trusting.is_none() {
            return;
        }
        let first =
            self.outgoing.values().find_map(|stream| stream.pending().next().map(|(_, message)| message));
        let fits = first.is_none_or(|message| {
            Parsed::parse(&message.sealed).is_ok_and(|parsed| parsed.is_signed_by(self.keys.public()))
        });
        if !fits {
            self.seal_again();
        }
        self.sign_shared_state_again();
    }

    /// Whether this node may write to an object: the others would not take it, and nothing that is signed with it.
    pub(in crate::node) fn may_write(&mut self, object: &[u8]) -> Result<(), InputError> {
        let own = self.config.id;
        let Some(rule) = self.rule_ever(own, Action::Share, core::str::from_utf8(object).ok()) else {
            return Ok(());
        };
        let rule = rule.into();
        self.deny(own, Action::Share, rule);
        Err(InputError::Refused { reason: "denied" })
    }

    /// A member is blocked: nothing more is sent to it. What was under way is given up, as if it had never answered; when its key is certified anew
    /// it is told from where on the streams go on.
    pub(in crate::node) fn part_with(&mut self, node: NodeId) {
        let streams = self.outgoing.iter().filter(|(key, _)| key.peer == node);
        let pending =
            streams.flat_map(|(key, stream)| stream.pending().map(|(sequence, _)| (*key, sequence)));
        for (stream, sequence) in pending.collect::<Vec<_>>() {
            self.abandon(stream, sequence);
        }
        self.timers.disarm(Timer::Acknowledge(node));
    }

    /// A member that was blocked is one again, under a key that was certified anew.
    pub(super) fn send_again(&mut self, node: NodeId) {
        if self.outgoing.keys().any(|stream| stream.peer == node) {
            self.arm_control(node);
        }
    }

    fn forget_member(&mut self, node: NodeId, stolen: bool) {
        if self.is_blocked(node) {
            self.part_with(node);
        }
        let streams: Vec<StreamKey> = self.incoming.keys().filter(|key| key.peer == node).copied().collect();
        for key in streams {
            let early: Vec<u64> =
                self.incoming.remove(&key).map_or_else(Vec::new, |stream| stream.early().collect());
            for sequence in early {
                self.delete(keep::key(keep::Kept::EarlyMessage, key, sequence));
            }
            self.delete(keep::key(keep::Kept::IncomingStream, key, 0));
        }
        self.replay.forget(node);
        self.forget_acknowledgements(node);
        self.forget_waiting(node);
        self.retire_group_keys(node);
        let Some(trusting) = self.trusting.as_mut() else { return };
        trusting.taken.retain(|key, _| key.peer != node);
        trusting.shown.remove(&node);
        trusting.cosignatures.remove(&node);
        // Of one that is blocked what it has shown stays on record: it was nobody else.
        let logs = if stolen { trusting.witness.forget(node) } else { Vec::new() };
        for log in logs {
            self.delete(checkpoint_key(log));
        }
    }

    /// Whose signatures count in shared state, and of whom this is asked: of each writer of a delta, whoever brings it, its key must not be taken
    /// back, and its role and scope must allow it to share each object here. Time is not asked: what is equal at two replicas must not depend
    /// on when it came.
    pub(in crate::node) fn writers(&mut self, delta: &Delta) -> Option<Directory> {
        let keyring = self.keyring()?;
        let mut directory = Directory::new();
        let mut denied: Vec<(NodeId, Box<str>)> = Vec::new();
        let writers: BTreeSet<NodeId> = delta.actors().map(|actor| actor.node).collect();
        for writer in writers {
            if let Some(rule) = self.rule_against(writer, delta) {
                denied.push((writer, rule.into()));
            } else if let Some(key) = keyring.key(writer).filter(|_| keyring.blocked(writer).is_none()) {
                directory.insert(writer, key.clone());
            }
        }
        for (writer, rule) in denied {
            let told = self.trusting.as_mut().is_none_or(|trusting| !trusting.unwelcome.insert(writer));
            if told {
                // Others may bring it again and again; it is written down once.
                self.report(Report::ModuleRefused { reason: "denied" });
            } else {
                self.deny(writer, Action::Share, rule);
            }
        }
        Some(directory)
    }

    /// The rule by which a writer may not share what a delta says in its name.
    fn rule_against(&self, writer: NodeId, delta: &Delta) -> Option<&str> {
        let objects = delta.objects_of(writer);
        if objects.is_empty() {
            return self.rule_ever(writer, Action::Share, None);
        }
        objects
            .into_iter()
            .find_map(|name| self.rule_ever(writer, Action::Share, core::str::from_utf8(name).ok()))
    }

    /// Earlier keys of a writer, under which it may have signed what it has not signed again since: the youngest first, none that was taken back.
    pub(in crate::node) fn earlier_keys(&self, writer: NodeId) -> Vec<PublicKey> {
        self.keyring()
            .map_or_else(Vec::new, |keyring| keyring.evidence_keys(writer).skip(1).cloned().collect())
    }
}

/// Under which the newest checkpoint of a log is kept.
pub(super) fn checkpoint_key(log: LogId) -> Vec<u8> {
    let mut key = vec![keep::Kept::Checkpoint as u8];
    key.extend_from_slice(&log.node.0.to_be_bytes());
    key.extend_from_slice(&log.born.to_be_bytes());
    key
}
