//! What the node writes down, and how that and its keyring survive a restart.

use super::{Proof, Trusting, clock_ms, max_members, revoked::checkpoint_key};
use crate::{
    cbor::{self, Reader},
    id::NodeId,
    identity::Keyring,
    log::{Checkpoint, Entry, Event, Journal, Proven, SignedCheckpoint, Witness},
    node::{InputError, Node, keep::Kept},
};
use alloc::{collections::BTreeMap, vec, vec::Vec};

impl Node {
    /// Appends to the log, if this node keeps one.
    pub(in crate::node) fn write_down(&mut self, event: Event) {
        let (clock_ms, time) = (clock_ms(self.now), self.civil_now());
        let Some(trusting) = self.trusting.as_mut() else { return };
        let index = trusting.journal.size();
        let entry = Entry { index, clock_ms, time, event }.encode();
        trusting.journal.append(&entry);
        trusting.unsaved = true;
        self.put(entry_key(index), entry);
    }

    /// Writes a refusal down, at counts that are powers of two: who floods a node does not fill its log.
    pub(in crate::node) fn note_refusal(&mut self, reason: &'static str, count: u64) {
        // Copies are the network's everyday, not somebody's doing.
        let everyday = matches!(reason, "duplicate" | "duplicate_bundle");
        if count.is_power_of_two() && !everyday {
            self.write_down(Event::Refused { peer: NodeId(0), reason: reason.into(), count });
        }
    }

    /// Before a batch leaves: the state of the log and of the keyring after it, once for all that was written and learned.
    pub(in crate::node) fn keep_journal(&mut self) {
        if let Some(trusting) = self.trusting.as_mut().filter(|trusting| trusting.keyring_unsaved) {
            trusting.keyring_unsaved = false;
            let snapshot = trusting.keyring.snapshot();
            self.put(vec![Kept::Keyring as u8], snapshot);
        }
        let Some(trusting) = self.trusting.as_mut().filter(|trusting| trusting.unsaved) else { return };
        trusting.unsaved = false;
        let snapshot = trusting.journal.snapshot();
        self.put(vec![Kept::LogHead as u8], snapshot);
    }

    pub(in crate::node) fn keep_keyring(&mut self) {
        if let Some(trusting) = &mut self.trusting {
            trusting.keyring_unsaved = true;
        }
    }

    pub(super) fn keep_checkpoint(&mut self, proven: &Proven) {
        self.put(checkpoint_key(proven.checkpoint.log), proven.bytes.clone());
    }

    /// Keeps two signed statements that exclude each other: the last such pair of each kind and peer, and of each log.
    pub(in crate::node) fn keep_proof(&mut self, peer: NodeId, proof: Proof, first: &[u8], second: &[u8]) {
        let mut key = vec![Kept::Proof as u8];
        key.extend_from_slice(&peer.0.to_be_bytes());
        match proof {
            Proof::Payloads => key.push(0),
            Proof::Succession => key.push(1),
            Proof::Ballots => key.push(3),
            Proof::Split { slot } => {
                key.push(4);
                key.extend_from_slice(&slot.to_be_bytes());
            }
            Proof::Log { born } => {
                key.push(2);
                key.extend_from_slice(&born.to_be_bytes());
            }
        }
        let mut value = Vec::with_capacity(first.len() + second.len() + 8);
        cbor::put_head(&mut value, cbor::ARRAY, 2);
        cbor::put_bytes(&mut value, first);
        cbor::put_bytes(&mut value, second);
        self.put(key, value);
    }

    /// Takes one kept record of trust back. `None`: this version did not write it.
    pub(in crate::node) fn take_back_trust(
        &mut self,
        kind: u8,
        value: &[u8],
    ) -> Result<Option<()>, InputError> {
        let (id, members) = (self.config.id, max_members(self.config.directory.len()));
        let missing = InputError::NotConfigured { what: "trust by certificates" };
        let trusting = self.trusting.as_mut().ok_or(missing)?;
        Ok(if kind == Kept::LogHead as u8 {
            Journal::restore(id, value).ok().map(|journal| {
                trusting.moments.restore(journal.marks());
                trusting.journal = journal;
            })
        } else if kind == Kept::Keyring as u8 {
            let (authority, rule) = (trusting.config.authority.clone(), trusting.config.rule);
            Keyring::restore(authority, rule, members, value).ok().map(|keyring| {
                trusting.keyring = keyring;
            })
        } else if kind == Kept::Checkpoint as u8 {
            SignedCheckpoint::parse(value).ok().map(|read| {
                let proven = Proven { checkpoint: *read.claimed(), bytes: value.to_vec() };
                trusting.witness.hear(proven);
            })
        } else {
            if kind == Kept::Proof as u8
                && let Some((first, second)) = fork_of(value)
            {
                // Who was caught stays caught.
                trusting.witness.restore_fork(first, second);
            }
            // Entries and other proofs are the host's to show.
            Some(())
        })
    }

    /// Begins, or goes on with, the log.
    pub(in crate::node) fn start_log(&mut self) {
        let (incarnation, clock) = (self.incarnation, self.trust_clock());
        if let Some(trusting) = self.trusting.as_mut() {
            // What the host has provisioned for this restart came after what was kept.
            let restarted = incarnation > 1;
            for statement in trusting.config.statements.iter().filter(|_| restarted) {
                trusting.keyring_unsaved |= trusting.keyring.learn(statement, clock).is_ok();
            }
            trusting.taken_back = trusting.keyring.taken_back_for_cause();
        }
        self.seal_after_restart();
        if let Some(Trusting { keyring, .. }) = &self.trusting {
            let keys: Vec<_> = keyring
                .summary()
                .members
                .into_keys()
                .filter_map(|node| Some((node, keyring.key(node)?.clone())))
                .collect();
            let directory = alloc::sync::Arc::make_mut(&mut self.config.directory);
            keys.into_iter().for_each(|(node, key)| _ = directory.insert(node, key));
        }
        self.write_down(Event::Started { incarnation });
        self.arm_trust();
    }

    /// The log's own state, if this node keeps one.
    #[must_use]
    pub fn journal(&self) -> Option<&Journal> {
        self.trusting.as_ref().map(|trusting| &trusting.journal)
    }

    /// What is known of the others' logs.
    #[must_use]
    pub fn witness(&self) -> Option<&Witness> {
        self.trusting.as_ref().map(|trusting| &trusting.witness)
    }

    /// Others' signatures of this node's checkpoints, the newest of each.
    #[must_use]
    pub fn cosignatures(&self) -> Option<&BTreeMap<NodeId, Vec<u8>>> {
        self.trusting.as_ref().map(|trusting| &trusting.cosignatures)
    }

    /// The log as it is now, signed: for whoever takes a copy of it. It may hold entries that are not durable yet.
    #[must_use]
    pub fn signed_checkpoint(&self) -> Option<Vec<u8>> {
        let journal = self.journal()?;
        let (log, size, root) = (journal.id(), journal.size(), journal.root());
        Some(Checkpoint { log, size, root, time: self.civil_now() }.sign(&self.keys))
    }
}

/// The two checkpoints of a log's fork, if a kept proof is one.
fn fork_of(value: &[u8]) -> Option<(Proven, Proven)> {
    let mut reader = Reader::new(value);
    reader.array_of(2).ok()?;
    let mut half = || {
        let bytes = reader.bytes().ok()?;
        let checkpoint = *SignedCheckpoint::parse(bytes).ok()?.claimed();
        Some(Proven { checkpoint, bytes: bytes.to_vec() })
    };
    let (first, second) = (half()?, half()?);
    (first.checkpoint.log == second.checkpoint.log).then_some((first, second))
}

fn entry_key(index: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(9);
    key.push(Kept::LogEntry as u8);
    key.extend_from_slice(&index.to_be_bytes());
    key
}
