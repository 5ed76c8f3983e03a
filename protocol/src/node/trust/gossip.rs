//! How identities and checkpoints spread: every interval a node tells one other member what it has, and gets what it lacks.

use super::message::{MAX_HEARD, TrustMessage};
use crate::{
    access::Action,
    dtn::store::Priority,
    envelope::Purpose,
    id::NodeId,
    identity::Statement,
    log::{Brief, Checkpoint, Event, Observed, Proven, SignedCheckpoint},
    node::{Node, Report, Submission, Timer},
};
use alloc::{collections::BTreeSet, vec::Vec};

/// Sizes that were told lately, and may still be asked about.
const MAX_TOLD: usize = 64;
/// Room for statements in one message, in bytes; a list of revocations may take more.
const STATEMENTS: usize = 4096;

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
            let own = self.own_successions();
            self.tell_trust(partner, true, own, Vec::new());
        }
        self.arm_trust();
    }

    fn next_trust_partner(&mut self) -> Option<NodeId> {
        let own = self.config.id;
        let trusting = self.trusting.as_mut()?;
        let others = self.config.directory.members().map(|(node, _)| node).filter(|node| *node != own);
        let others: Vec<NodeId> = others.collect();
        trusting.turn = trusting.turn.wrapping_add(1);
        others.get(trusting.turn % others.len().max(1)).copied()
    }

    /// The successions on this node's certificate: without them nobody could verify what it signs now.
    fn own_successions(&self) -> Vec<Statement> {
        let chain = self.trusting.as_ref().map(|trusting| trusting.keyring.chain(self.config.id));
        chain.into_iter().flatten().map(|link| Statement::Succession(link.clone())).collect()
    }

    /// Tells a peer what this node has, its checkpoint with the proofs that the peer asked for, and what the peer lacks.
    fn tell_trust(&mut self, peer: NodeId, asks: bool, statements: Vec<Statement>, cosignature: Vec<u8>) {
        let time = self.civil_now();
        let Some(trusting) = self.trusting.as_mut() else { return };
        let checkpoint = trusting.journal.checkpoint(time);
        trusting.told.push_back(checkpoint.size);
        if trusting.told.len() > MAX_TOLD {
            trusting.told.pop_front();
        }
        let known = trusting.known_by.values().flatten().chain(&trusting.told);
        let needed: BTreeSet<u64> = known.copied().collect();
        trusting.journal.keep_only(&needed);
        let sizes = trusting.known_by.get(&peer).map_or(&[][..], Vec::as_slice);
        let proofs =
            sizes.iter().filter_map(|size| Some((*size, trusting.journal.consistency(*size)?))).collect();
        // The peer's logs: one that lost its disk has several; the youngest is the one that grows.
        let youngest = trusting.witness.newest(peer).last().map(|proven| proven.checkpoint.log);
        let to_prove = youngest.map_or_else(Vec::new, |log| trusting.witness.to_prove(log));
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
        let members = self.config.directory.len();
        let Ok(message) = TrustMessage::decode(payload, members) else {
            return self.report(Report::ModuleRefused { reason: "trust_malformed" });
        };
        for statement in &message.statements {
            if let Err(error) = self.learn(statement)
                && error != crate::identity::TrustError::Stale
            {
                self.report(Report::ModuleRefused { reason: error.reason() });
            }
        }
        self.on_cosignature(source, &message.cosignature);
        let cosignature = self.on_checkpoint(source, &message);
        for bytes in &message.heard {
            self.on_heard_checkpoint(bytes);
        }
        let Some(trusting) = self.trusting.as_mut() else { return };
        trusting.known_by.insert(source, message.to_prove);
        let lacks =
            trusting.keyring.lacking(&message.summary, STATEMENTS.max(trusting.keyring.list_len() + 8));
        if message.asks || !lacks.is_empty() {
            self.tell_trust(source, false, lacks, cosignature.unwrap_or_default());
        }
    }

    /// The sender's checkpoint, with proofs. Returns this node's signature of it, if it is a witness and the log has only grown.
    fn on_checkpoint(&mut self, source: NodeId, message: &TrustMessage) -> Option<Vec<u8>> {
        let proven = self.prove(&message.checkpoint).filter(|proven| proven.checkpoint.log.node == source)?;
        let checkpoint = proven.checkpoint;
        let trusting = self.trusting.as_mut()?;
        let observed = trusting.witness.observe(proven.clone(), &message.proofs);
        let good = matches!(observed, Observed::First | Observed::Grown | Observed::Known);
        self.on_observed(proven, observed);
        let trusting = self.trusting.as_ref()?;
        if !good || !trusting.config.witness || !self.may_witness() {
            return None;
        }
        self.signatures.made += 1;
        Some(checkpoint.cosign(self.config.id, &self.keys))
    }

    /// A witness signs in a role of its own: a door like any other.
    fn may_witness(&self) -> bool {
        let decision = self.decide(self.config.id, Action::Witness, None);
        decision.is_some_and(|decision| decision.is_ok_and(|decision| decision.allowed))
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
        let clock = self.trust_clock();
        let read = SignedCheckpoint::parse(bytes).ok()?;
        self.signatures.checked += 1;
        let checkpoint: Checkpoint = self.checkpoint_of(&read, clock)?;
        Some(Proven { checkpoint, bytes: bytes.to_vec() })
    }

    fn checkpoint_of(
        &self,
        read: &SignedCheckpoint<'_>,
        clock: crate::identity::Clock,
    ) -> Option<Checkpoint> {
        let keyring = &self.trusting.as_ref()?.keyring;
        let claimed = *read.claimed();
        let signed = |key: &crate::identity::PublicKey| read.verify(key).is_ok();
        keyring.verify(read.signer(), claimed.time, clock, signed).ok()?.map(|_| claimed)
    }

    fn on_observed(&mut self, proven: Proven, observed: Observed) {
        match observed {
            Observed::First | Observed::Grown => {
                let Checkpoint { log, size, root, .. } = proven.checkpoint;
                self.keep_checkpoint(&proven);
                self.write_down(Event::Witnessed { peer: log.node, size, root: Brief::of(&root) });
            }
            Observed::Forked(fork) => {
                let (peer, at) = (fork.first.checkpoint.log.node, fork.kind.word());
                let (first, second) = (Brief::of(&fork.first.bytes), Brief::of(&fork.second.bytes));
                self.keep_proof(peer, &fork.first.bytes, &fork.second.bytes);
                self.write_down(Event::Caught { peer, at: at.into(), first, second });
                *self.refusals.entry(at).or_default() += 1;
                self.report(Report::ModuleRefused { reason: at });
            }
            Observed::Known | Observed::Pending | Observed::Distrusted | Observed::Full => {}
        }
    }

    /// Another's signature of this node's checkpoint.
    fn on_cosignature(&mut self, source: NodeId, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let clock = self.trust_clock();
        let Ok(read) = SignedCheckpoint::parse_cosignature(bytes) else { return };
        let own = self.journal().map(crate::log::Journal::id);
        if read.signer() != source || Some(read.claimed().log) != own {
            return;
        }
        self.signatures.checked += 1;
        if self.checkpoint_of(&read, clock).is_some()
            && let Some(trusting) = self.trusting.as_mut()
        {
            trusting.cosignatures.insert(source, bytes.to_vec());
        }
    }
}
