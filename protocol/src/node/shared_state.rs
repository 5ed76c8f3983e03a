//! The node's replica of shared state, and how its writes reach the other members.
//!
//! Every member pushes its *own* writes to each other member over a reliable stream, gathered over the push interval. What a peer
//! acknowledged or has on its way is not sent again. As a backstop (a push that was abandoned, a member that lost its
//! disk) each member tells its version to one other member after the other, which answers with what is lacking, whoever wrote it.

use super::{InputError, Node, Report, SharedStateConfig, StreamKey, Timer, input::Submission, keep};
use crate::{
    dtn::store::Priority,
    envelope::Purpose,
    id::NodeId,
    sync::{Delta, Dot, Op, Replica, SyncMessage, VersionVector},
};
use alloc::{collections::BTreeMap, vec::Vec};

/// Most writes that one delta may make visible: each is told to the host.
const MAX_NEWS: u64 = 1 << 16;
/// Log records of the replica between two snapshots.
const SNAPSHOT_EVERY: u64 = 256;

/// Shared state at this node.
#[derive(Debug)]
pub(super) struct Sharing {
    config: SharedStateConfig,
    replica: Replica,
    peers: BTreeMap<NodeId, PeerState>,
    /// Number of the newest log record.
    logged: u64,
    /// Position of the next partner of anti-entropy among the peers.
    partner: usize,
}

/// What a peer has and will have.
#[derive(Debug, Default)]
struct PeerState {
    /// What it acknowledged.
    has: VersionVector,
    /// Deltas on their way, by their number in the stream.
    in_flight: BTreeMap<u64, VersionVector>,
}

impl PeerState {
    fn will_have(&self) -> VersionVector {
        let mut version = self.has.clone();
        self.in_flight.values().for_each(|covers| version.join(covers));
        version
    }
}

impl Sharing {
    pub(super) fn new(id: NodeId, config: SharedStateConfig) -> Self {
        let peers = config.members.iter().filter(|member| **member != id);
        Self {
            replica: Replica::recovering(id, config.limits),
            peers: peers.map(|member| (*member, PeerState::default())).collect(),
            logged: 0,
            partner: 0,
            config,
        }
    }

    fn next_partner(&mut self) -> Option<NodeId> {
        let partner = self.peers.keys().nth(self.partner % self.peers.len().max(1)).copied();
        self.partner = self.partner.wrapping_add(1);
        partner
    }
}

/// Takes a kept log record or snapshot back. `None`: this version did not write it.
pub(super) fn take_back(sharing: &mut Sharing, record_key: &[u8], value: &[u8]) -> Option<()> {
    let number = u64::from_be_bytes(record_key.get(1..9)?.try_into().ok()?);
    if number == 0 {
        let (last, snapshot) = value.split_first_chunk::<8>()?;
        sharing.logged = u64::from_be_bytes(*last);
        sharing.replica = Replica::restore(sharing.replica.actor(), sharing.config.limits, snapshot).ok()?;
        sharing.replica.resume_log();
    } else {
        let SyncMessage::Delta { delta, .. } = SyncMessage::decode(value).ok()? else { return None };
        sharing.replica.apply(&delta).ok()?;
        sharing.logged = number;
    }
    Some(())
}

/// Whether a delta is of members, and no larger than a member's writes can be.
fn check_news(sharing: &Sharing, before: &VersionVector, delta: &Delta) -> Result<(), &'static str> {
    let mut news = 0_u64;
    for (actor, spans) in delta.covers().iter() {
        if !sharing.config.members.contains(&actor) {
            return Err("sync_unknown_actor");
        }
        let lengths =
            spans.without(before.spans(actor)).intervals().iter().map(|(first, last)| last - first + 1).sum();
        news = news.saturating_add(lengths);
    }
    if news > MAX_NEWS { Err("sync_too_many_writes") } else { Ok(()) }
}

fn record_key(number: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(9);
    key.push(keep::Kept::SharedState as u8);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

impl Node {
    /// The replica of shared state, if this node is a member.
    #[must_use]
    pub fn replica(&self) -> Option<&Replica> {
        self.shared.as_ref().map(|sharing| &sharing.replica)
    }

    pub(super) fn write(&mut self, operation: Op<'_>) -> Result<(), InputError> {
        let time = self.civil_now();
        let sharing = self.shared.as_mut().ok_or(InputError::NotConfigured { what: "shared state" })?;
        let before = sharing.replica.version().clone();
        let dot = sharing.replica.write(operation, time).map_err(InputError::Write)?;
        let interval = sharing.config.push_interval;
        if let Some(delta) = sharing.replica.delta_since(&before, usize::MAX) {
            let message = SyncMessage::Delta { version: VersionVector::new(), delta };
            self.log(&message.encode());
        }
        self.report_durable(Report::Visible { dot });
        let at = self.now.saturating_add(self.jittered(interval));
        self.timers.arm_by(Timer::Push, at);
        Ok(())
    }

    /// Sends each peer those of our own writes that it neither has nor is about to get.
    pub(super) fn push_shared_state(&mut self) {
        let Some(sharing) = &self.shared else { return };
        let peers: Vec<NodeId> = sharing.peers.keys().copied().collect();
        for peer in peers {
            while self.push_to(peer).is_some() {}
        }
    }

    /// One delta of our own writes; `None` when there is nothing to send.
    fn push_to(&mut self, peer: NodeId) -> Option<()> {
        let sharing = self.shared.as_ref()?;
        let own = sharing.replica.actor();
        let mut assumed = sharing.peers.get(&peer)?.will_have();
        for (actor, spans) in sharing.replica.version().iter().filter(|(actor, _)| *actor != own) {
            assumed.cover(actor, spans);
        }
        self.send_delta(peer, &assumed)
    }

    fn send_delta(&mut self, peer: NodeId, assumed: &VersionVector) -> Option<()> {
        let sharing = self.shared.as_ref()?;
        let delta = sharing.replica.delta_since(assumed, sharing.config.max_delta)?;
        let covers = delta.covers();
        // The receiver needs no version of ours: what it has, it says itself.
        let message = SyncMessage::Delta { version: VersionVector::new(), delta };
        let sequence = self.send_sync(peer, &message)?;
        let state = self.shared.as_mut()?.peers.get_mut(&peer)?;
        state.in_flight.insert(sequence, covers);
        Some(())
    }

    fn send_sync(&mut self, destination: NodeId, message: &SyncMessage) -> Option<u64> {
        let lifetime = self.shared.as_ref()?.config.lifetime;
        let (purpose, priority) = (Purpose::Sync, Priority::Normal);
        let submission = Submission { destination, purpose, priority, lifetime, payload: message.encode() };
        match self.send(submission) {
            Ok(sequence) => Some(sequence),
            Err(_) => {
                // The stream is full: what is unsent goes with a later push.
                self.report(Report::ModuleRefused { reason: "sync_not_sent" });
                self.arm_push();
                None
            }
        }
    }

    pub(super) fn arm_push(&mut self) {
        let Some(sharing) = &self.shared else { return };
        let interval = sharing.config.push_interval;
        let at = self.now.saturating_add(self.jittered(interval));
        self.timers.arm_by(Timer::Push, at);
    }

    pub(super) fn arm_anti_entropy(&mut self) {
        let Some(sharing) = &self.shared else { return };
        let interval = sharing.config.anti_entropy_interval;
        let at = self.now.saturating_add(self.jittered(interval));
        self.timers.arm(Timer::AntiEntropy, at);
    }

    pub(super) fn on_anti_entropy(&mut self) {
        if let Some(partner) = self.shared.as_mut().and_then(Sharing::next_partner) {
            self.tell_version(partner);
        }
        self.arm_anti_entropy();
    }

    fn tell_version(&mut self, peer: NodeId) {
        let Some(sharing) = &self.shared else { return };
        let message = SyncMessage::Version { version: sharing.replica.version().clone() };
        self.send_sync(peer, &message);
    }

    /// A verified message of another member.
    pub(super) fn on_sync_message(&mut self, source: NodeId, payload: &[u8]) {
        if !self.shared.as_ref().is_some_and(|sharing| sharing.peers.contains_key(&source)) {
            return self.report(Report::ModuleRefused { reason: "sync_not_member" });
        }
        match SyncMessage::decode(payload) {
            Ok(SyncMessage::Delta { delta, .. }) => self.on_delta(source, &delta, payload),
            Ok(SyncMessage::Version { version }) => self.on_version(source, &version),
            Err(_) => self.report(Report::ModuleRefused { reason: "sync_malformed" }),
        }
    }

    fn on_delta(&mut self, source: NodeId, delta: &Delta, payload: &[u8]) {
        let Some(sharing) = self.shared.as_mut() else { return };
        let before = sharing.replica.version().clone();
        if let Err(reason) = check_news(sharing, &before, delta) {
            return self.report(Report::ModuleRefused { reason });
        }
        let applied = match sharing.replica.apply_from(source, delta) {
            Ok(applied) => applied,
            Err(_) => return self.report(Report::ModuleRefused { reason: "sync_refused" }),
        };
        let after = sharing.replica.version();
        let news: Vec<_> =
            after.iter().map(|(actor, spans)| (actor, spans.without(before.spans(actor)))).collect();
        if after != &before {
            self.log(payload);
        }
        for (actor, spans) in news {
            for &(first, last) in spans.intervals() {
                for sequence in first..=last {
                    self.report_durable(Report::Visible { dot: Dot { actor, sequence } });
                }
            }
        }
        if !applied.gaps.is_empty() {
            // An earlier delta was given up on its way.
            self.tell_version(source);
        }
    }

    /// A peer says what it has: it gets what it lacks.
    fn on_version(&mut self, source: NodeId, version: &VersionVector) {
        let Some(state) = self.shared.as_mut().and_then(|sharing| sharing.peers.get_mut(&source)) else {
            return;
        };
        state.has = version.clone();
        let assumed = state.will_have();
        // What does not fit follows when the peer says again what it has.
        self.send_delta(source, &assumed);
    }

    /// The peer has a message of ours.
    pub(super) fn on_module_message_acknowledged(&mut self, stream: StreamKey, sequence: u64) {
        if stream.purpose != Purpose::Sync {
            return;
        }
        let state = self.shared.as_mut().and_then(|sharing| sharing.peers.get_mut(&stream.peer));
        if let Some(state) = state
            && let Some(covers) = state.in_flight.remove(&sequence)
        {
            state.has.join(&covers);
        }
    }

    /// A message of ours was given up.
    pub(super) fn on_module_message_lost(&mut self, stream: StreamKey, sequence: u64) {
        if stream.purpose != Purpose::Sync {
            return;
        }
        if let Some(state) = self.shared.as_mut().and_then(|sharing| sharing.peers.get_mut(&stream.peer)) {
            state.in_flight.remove(&sequence);
        }
        self.arm_push();
    }

    /// Keeps a delta, and now and then everything at once in place of the deltas.
    fn log(&mut self, delta_message: &[u8]) {
        let Some(sharing) = self.shared.as_mut() else { return };
        sharing.logged += 1;
        let logged = sharing.logged;
        if logged % SNAPSHOT_EVERY != 0 {
            self.put(record_key(logged), delta_message.to_vec());
            return;
        }
        let mut value = logged.to_be_bytes().to_vec();
        value.extend_from_slice(&sharing.replica.snapshot());
        self.put(record_key(0), value);
        for number in logged + 1 - SNAPSHOT_EVERY..logged {
            self.delete(record_key(number));
        }
    }
}
