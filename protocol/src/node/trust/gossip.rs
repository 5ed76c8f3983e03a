//! How identities and checkpoints spread: every interval a node tells one other member what it has, and gets what it lacks.

use super::{
    Proof, max_members,
    message::{MAX_HEARD, TrustMessage},
};
use crate::{
    access::Action,
    dtn::store::Priority,
    envelope::Purpose,
    id::NodeId,
    identity::{Statement, TrustError},
    log::{Brief, Checkpoint, Event, Observed, Proven, SignedCheckpoint},
    node::{Node, Report, Submission, Timer},
};
use alloc::vec::Vec;

/// Room for statements in one message, in bytes; a list of revocations comes on top.
const STATEMENTS: usize = 4096;
/// So many members are told of a new key at once; the others in their turn.
const TOLD_AT_ONCE: usize = 16;

impl Node {
    pub(super) fn arm_trust(&mut self) {
        let Some(trusting) = &self.trusting else { return };
        let interval = trusting.config.interval;
        let at = self.now.saturating_add(self.jittered(interval));
        self.timers.arm(Timer::Trust, at);
    }

    pub(in crate::node) fn on_trust_timer(&mut self) {
        self.issue();
        if let Some(partner) = self.next_trust_partner() {
            let own = self.own_credentials();
            self.tell_trust(partner, true, own);
        }
        self.arm_trust();
    }

    /// This node signs with another key: the others cannot check what they get until they know it, so the first of them are told at once.
    pub(super) fn tell_own_key(&mut self) {
        let own = self.config.id;
        let members = self.config.directory.members().map(|(node, _)| node);
        let members = members.filter(|node| *node != own && !self.is_blocked(*node));
        let members: Vec<NodeId> = members.take(TOLD_AT_ONCE).collect();
        for member in members {
            let credentials = self.own_credentials();
            self.tell_trust(member, false, credentials);
        }
    }

    /// Keys were taken back: neighbours that are there hear of it now, and not in their turn; each tells its own.
    pub(super) fn tell_list(&mut self) {
        let Some(trusting) = &self.trusting else { return };
        let (own, number) = (self.config.id, trusting.keyring.list_number());
        let lacks = |node: &NodeId| trusting.lists.get(node).is_none_or(|told| *told < number);
        let members = self.config.directory.members().map(|(node, _)| node);
        let members = members.filter(|node| *node != own && lacks(node) && !self.is_blocked(*node));
        let members: Vec<NodeId> = members.filter(|node| self.is_linked(*node)).take(TOLD_AT_ONCE).collect();
        for member in members {
            let credentials = self.own_credentials();
            self.tell_trust(member, false, credentials);
        }
    }

    fn next_trust_partner(&mut self) -> Option<NodeId> {
        let own = self.config.id;
        let others = self.config.directory.members().map(|(node, _)| node);
        let others = others.filter(|node| *node != own && self.is_worth_telling(*node));
        let others: Vec<NodeId> = others.collect();
        let trusting = self.trusting.as_mut()?;
        trusting.turn = trusting.turn.wrapping_add(1);
        others.get(trusting.turn % others.len().max(1)).copied()
    }

    /// Whether a member is told what this node knows: one that is blocked hears of the list that says so, and no more.
    fn is_worth_telling(&self, node: NodeId) -> bool {
        let Some(trusting) = &self.trusting else { return false };
        let told = trusting.lists.get(&node).copied().unwrap_or(0);
        !self.is_blocked(node) || told < trusting.keyring.list_number()
    }

    /// This node's certificate and the successions on it: without them nobody could verify what it signs now.
    fn own_credentials(&self) -> Vec<Statement> {
        self.keyring().map_or_else(Vec::new, |keyring| keyring.credentials(self.config.id))
    }

    /// Tells a peer what this node has, its checkpoint with the proofs that the peer asked for, and what the peer lacks.
    fn tell_trust(&mut self, peer: NodeId, asks: bool, mut statements: Vec<Statement>) {
        let time = self.civil_now();
        let cosignature = self.cosign(peer).unwrap_or_default();
        let Some(trusting) = self.trusting.as_mut() else { return };
        let checkpoint = trusting.journal.checkpoint(time);
        trusting.moments.tell(peer, checkpoint.size);
        // A list goes to everybody once without being asked for: also to those whose questions are not taken any more.
        let known = trusting.lists.insert(peer, trusting.keyring.list_number()).unwrap_or(0);
        if !statements.iter().any(|statement| matches!(statement, Statement::Revocations(_))) {
            statements.extend(trusting.keyring.lists_after(known));
        }
        if asks {
            trusting.asked.insert(peer);
        }
        trusting.journal.keep_only(&trusting.moments.needed());
        let sizes = trusting.moments.known_by(peer);
        let proofs =
            sizes.iter().filter_map(|size| Some((*size, trusting.journal.consistency(*size)?))).collect();
        // A peer that lost its disk has several logs: the one that it showed itself last is the one that grows.
        let shown = trusting.shown.get(&peer).copied();
        let log = shown.or_else(|| trusting.witness.newest(peer).last().map(|proven| proven.checkpoint.log));
        let to_prove = log.map_or_else(Vec::new, |log| trusting.witness.to_prove(log));
        let message = TrustMessage {
            asks,
            summary: trusting.keyring.summary(),
            checkpoint: checkpoint.sign(&self.keys),
            proofs,
            to_prove,
            heard: if asks { self.passed_on(peer) } else { Vec::new() },
            statements,
            cosignature,
        };
        self.signatures.made += 1;
        self.unsaved_marks();
        self.send_trust(peer, &message);
    }

    /// Marks are kept with the journal: a restart must not forget what others were told.
    fn unsaved_marks(&mut self) {
        if let Some(trusting) = self.trusting.as_mut() {
            trusting.unsaved = true;
        }
    }

    /// Third parties' checkpoints for a peer: proofs of forks first, then one after the other.
    fn passed_on(&self, peer: NodeId) -> Vec<Vec<u8>> {
        let Some(trusting) = &self.trusting else { return Vec::new() };
        let mut heard: Vec<Vec<u8>> = Vec::new();
        for (log, fork) in trusting.witness.forks() {
            if log.node != peer && heard.len() + 2 <= MAX_HEARD {
                heard.extend([fork.first.bytes.clone(), fork.second.bytes.clone()]);
            }
        }
        let others: Vec<&Proven> =
            trusting.witness.all().filter(|proven| proven.checkpoint.log.node != peer).collect();
        for offset in 0..others.len().min(2) {
            let next = &others[(trusting.turn + offset) % others.len()].bytes;
            if heard.len() < MAX_HEARD && !heard.contains(next) {
                heard.push(next.clone());
            }
        }
        heard
    }

    fn send_trust(&mut self, destination: NodeId, message: &TrustMessage) {
        let Some(trusting) = &self.trusting else { return };
        let lifetime = trusting.config.lifetime;
        let (purpose, priority) = (Purpose::Trust, Priority::Normal);
        let submission = Submission { destination, purpose, priority, lifetime, payload: message.encode() };
        if self.send(submission).is_err() {
            // The next interval tells another, and this one again in its turn.
            self.report(Report::ModuleRefused { reason: "trust_not_sent" });
        }
    }

    /// A verified message of another member.
    pub(in crate::node) fn on_trust_message(&mut self, source: NodeId, payload: &[u8]) {
        if self.trusting.is_none() {
            return self.report(Report::ModuleRefused { reason: "trust_not_configured" });
        }
        let members = max_members(self.config.directory.len());
        let Ok(message) = TrustMessage::decode(payload, members) else {
            return self.report(Report::ModuleRefused { reason: "trust_malformed" });
        };
        if let Some(trusting) = self.trusting.as_mut() {
            // What it has it need not be told.
            trusting.lists.insert(source, message.summary.list);
        }
        let mut taught = false;
        for statement in &message.statements {
            match self.learn(statement) {
                Ok(_) => taught = true,
                Err(TrustError::Stale) => {}
                Err(error) => self.report(Report::ModuleRefused { reason: error.reason() }),
            }
        }
        self.on_cosignature(source, &message.cosignature);
        self.on_checkpoint(source, &message);
        for bytes in &message.heard {
            self.on_heard_checkpoint(bytes);
        }
        let Some(trusting) = self.trusting.as_mut() else { return };
        trusting.moments.hear(source, message.to_prove);
        if self.config.directory.len() <= 1 + trusting.moments.peers() {
            // Everybody has said since the restart what it knows.
            trusting.moments.restored.clear();
        }
        let lacks = trusting.keyring.lacking(&message.summary, self.config.id, STATEMENTS);
        // Two that refuse each other's statements would answer each other without end: an answer is answered once, and on as long as it teaches.
        let answers = trusting.asked.remove(&source);
        if message.asks || ((answers || taught) && !lacks.is_empty()) {
            self.tell_trust(source, false, lacks);
        }
    }

    /// The sender's checkpoint, with proofs.
    fn on_checkpoint(&mut self, source: NodeId, message: &TrustMessage) {
        let proven = self.prove(&message.checkpoint).filter(|proven| proven.checkpoint.log.node == source);
        let Some((proven, trusting)) = proven.zip(self.trusting.as_mut()) else { return };
        trusting.shown.insert(source, proven.checkpoint.log);
        let observed = trusting.witness.observe(proven.clone(), &message.proofs);
        self.on_observed(proven, observed);
    }

    /// This node's signature of a peer's log, if it is a witness and has seen that the log has only grown: a proof must have led to it, and to all
    /// that was known before. Once for each checkpoint.
    fn cosign(&mut self, peer: NodeId) -> Option<Vec<u8>> {
        let trusting = self.trusting.as_ref()?;
        let log = *trusting.shown.get(&peer)?;
        let newest = trusting.witness.newest(peer).find(|proven| proven.checkpoint.log == log)?.checkpoint;
        let told = trusting.cosigned.get(&peer) == Some(&(log, newest.size));
        if told
            || !trusting.config.witness
            || !trusting.witness.vouches(log)
            || !self.may_witness(self.config.id)
        {
            return None;
        }
        self.trusting.as_mut()?.cosigned.insert(peer, (log, newest.size));
        self.signatures.made += 1;
        Some(newest.cosign(self.config.id, &self.keys))
    }

    /// A witness signs in a role of its own: a door like any other, at both ends.
    fn may_witness(&self, witness: NodeId) -> bool {
        self.would_admit(witness, Action::Witness, None)
    }

    fn on_heard_checkpoint(&mut self, bytes: &[u8]) {
        let Some(proven) = self.prove(bytes) else { return };
        if proven.checkpoint.log.node == self.config.id {
            // Others' knowledge of this node's own log: it knows better.
            return;
        }
        let Some(trusting) = self.trusting.as_mut() else { return };
        let observed = trusting.witness.hear(proven.clone());
        self.on_observed(proven, observed);
    }

    /// A signed checkpoint whose signature holds.
    fn prove(&mut self, bytes: &[u8]) -> Option<Proven> {
        let read = SignedCheckpoint::parse(bytes).ok()?;
        let checkpoint = self.checkpoint_of(&read)?;
        Some(Proven { checkpoint, bytes: bytes.to_vec() })
    }

    /// Evidence is not an order: it stands under every late key of its signer, whatever times it or the keys' successions tell.
    fn checkpoint_of(&mut self, read: &SignedCheckpoint<'_>) -> Option<Checkpoint> {
        let trusting = self.trusting.as_ref()?;
        let mut checked = 0;
        let signed = trusting.keyring.evidence_keys(read.signer()).any(|key| {
            checked += 1;
            read.verify(key).is_ok()
        });
        self.signatures.checked += checked;
        signed.then(|| *read.claimed())
    }

    fn on_observed(&mut self, proven: Proven, observed: Observed) {
        match observed {
            Observed::First | Observed::Grown | Observed::Resumed => {
                let Checkpoint { log, size, root, .. } = proven.checkpoint;
                self.keep_checkpoint(&proven);
                self.write_down(Event::Witnessed { peer: log.node, size, root: Brief::of(&root) });
            }
            Observed::Forked(fork) => {
                let (peer, at) = (fork.first.checkpoint.log.node, fork.kind.word());
                let (first, second) = (Brief::of(&fork.first.bytes), Brief::of(&fork.second.bytes));
                let born = fork.first.checkpoint.log.born;
                self.keep_proof(peer, Proof::Log { born }, &fork.first.bytes, &fork.second.bytes);
                self.write_down(Event::Caught { peer, at: at.into(), first, second });
                *self.refusals.entry(at).or_default() += 1;
                self.report(Report::ModuleRefused { reason: at });
            }
            Observed::Known | Observed::Pending | Observed::Distrusted | Observed::Full => {}
        }
    }

    /// Another's signature of this node's checkpoint: kept only from who may witness, and of what this log was. What somebody makes up is not
    /// this node's to keep, for nobody could tell later that it did not sign that itself.
    fn on_cosignature(&mut self, source: NodeId, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let Ok(read) = SignedCheckpoint::parse_cosignature(bytes) else { return };
        let Checkpoint { log, size, root, .. } = *read.claimed();
        let Some(journal) = self.journal() else { return };
        let own = log == journal.id() && journal.root_at(size) == Some(root);
        if read.signer() != source || !own || !self.may_witness(source) {
            return self.report(Report::ModuleRefused { reason: "cosignature_refused" });
        }
        if self.checkpoint_of(&read).is_some()
            && let Some(trusting) = self.trusting.as_mut()
        {
            trusting.cosignatures.insert(source, bytes.to_vec());
        }
    }
}
