//! The node's replica of shared state, and how its writes reach the other members.
//!
//! Every member pushes its *own* writes to each other member over a reliable stream, gathered over the push interval and signed as one.
//! What a peer acknowledged or has on its way is not sent again. As a backstop (a push that was abandoned, a member that lost its
//! disk) each member tells its version to one other member after the other, which answers with what is lacking, whoever wrote it.
//! Now and then it audits one instead (`audit.rs`), and drops what all have seen replaced.

use super::{
    InputError, Node, Report, SharedStateConfig, StreamKey, Timer, audit::Audits, input::Submission, keep,
};
use crate::{
    contract::OBJECT,
    dtn::store::Priority,
    envelope::Purpose,
    id::NodeId,
    log::{Brief, Event},
    sync::{Actor, Applied, Delta, Dot, News, Op, Replica, SyncError, SyncMessage, Trust, VersionVector},
    time::{DtnTime, Instant},
};
use alloc::{collections::BTreeMap, vec::Vec};

/// Most writes of one actor that one delta tells the host: the newest ones.
const MAX_NEWS: u64 = 1 << 16;
/// Log records of the replica between two snapshots.
const SNAPSHOT_EVERY: u64 = 256;
/// Most deltas in answer to one version. A peer that lacks more says again what it has.
const MAX_ANSWERS: usize = 64;

/// Shared state at this node.
#[derive(Debug)]
pub(super) struct Sharing {
    pub(super) config: SharedStateConfig,
    pub(super) replica: Replica,
    pub(super) audits: Audits,
    peers: BTreeMap<NodeId, PeerState>,
    /// When this incarnation began.
    since: Instant,
    /// The life that begins when storage was lost. Incarnations rise, and each begins one life at the most, so no number comes twice.
    next_life: u32,
    /// Whether the number of the life is kept.
    life_kept: bool,
    /// How many members are still to be asked in haste for what was lost with the storage.
    catching_up: usize,
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
    /// Deltas on their way, by their number in the stream: per actor, what it follows on and how far it goes.
    in_flight: BTreeMap<u64, Vec<(Actor, u64, u64)>>,
    /// What it said to cover, and when.
    told: Option<(Instant, VersionVector)>,
}

impl PeerState {
    fn will_have(&self) -> VersionVector {
        let mut version = self.has.clone();
        self.in_flight.values().for_each(|steps| step(&mut version, steps));
        version
    }
}

/// What a peer covers after a delta: what does not follow on what it covers, it keeps out.
fn step(version: &mut VersionVector, steps: &[(Actor, u64, u64)]) {
    for &(actor, base, upto) in steps {
        if version.get(actor) >= base {
            version.cover(actor, upto);
        }
    }
}

impl Sharing {
    pub(super) fn new(id: NodeId, config: SharedStateConfig, start: Instant, incarnation: u32) -> Self {
        let peers = config.members.iter().filter(|member| **member != id);
        let peers: BTreeMap<NodeId, PeerState> =
            peers.map(|member| (*member, PeerState::default())).collect();
        // Until something is taken back, the storage is lost.
        let life = incarnation.saturating_sub(1);
        let actor = Actor { node: id, life };
        Self {
            replica: Replica::new(actor, config.limits).with_roles(config.roles.clone()),
            audits: Audits::default(),
            catching_up: if life == 0 { 0 } else { peers.len() },
            peers,
            since: start,
            next_life: life,
            life_kept: life == 0,
            logged: 0,
            partner: 0,
            config,
        }
    }

    fn next_partner(&mut self) -> Option<(usize, NodeId)> {
        let turn = self.partner;
        let partner = self.peers.keys().nth(turn % self.peers.len().max(1)).copied();
        self.partner = turn.wrapping_add(1);
        Some((turn, partner?))
    }

    /// What every member covers. A member that was not heard of for longer than the horizon does not count: it gets everything when it
    /// comes back.
    fn stable(&self, now: Instant) -> Option<VersionVector> {
        let horizon = self.config.horizon;
        let mut told = Vec::new();
        for (peer, state) in &self.peers {
            match &state.told {
                Some((at, version)) if now.saturating_since(*at) <= horizon => told.push((*peer, version)),
                None if now.saturating_since(self.since) <= horizon => return None,
                _ => {}
            }
        }
        self.replica.stable(told)
    }

    /// The storage is there: the life goes on in which it was written.
    fn resume(&mut self, actor: Actor) {
        self.replica = Replica::new(actor, self.config.limits).with_roles(self.config.roles.clone());
        (self.life_kept, self.catching_up) = (true, 0);
    }

    /// Everything that was kept is taken back.
    pub(super) fn came_back(&mut self) {
        if self.replica.actor().life < self.next_life {
            self.replica.came_back(self.next_life);
        }
    }

    /// Assumes of a peer that it has nothing of these actors.
    pub(super) fn suspect(&mut self, peer: NodeId, actors: &[Actor]) {
        if let Some(state) = self.peers.get_mut(&peer) {
            actors.iter().for_each(|actor| state.has.forget(*actor));
            state.in_flight.clear();
        }
    }
}

/// Takes a kept record back: the life, a snapshot or a log record, in this order. `None`: this version did not write it.
pub(super) fn take_back(sharing: &mut Sharing, record_key: &[u8], value: &[u8]) -> Option<()> {
    let node = sharing.replica.actor().node;
    if record_key == LIFE_KEY {
        let life = u32::from_be_bytes(value.try_into().ok()?);
        sharing.resume(Actor { node, life });
        return Some(());
    }
    let number = u64::from_be_bytes(record_key.get(1..9)?.try_into().ok()?);
    if !sharing.life_kept {
        // There is no record of the first life: whoever has others has it.
        sharing.resume(node.into());
    }
    if number == 0 {
        let (last, snapshot) = value.split_first_chunk::<8>()?;
        sharing.logged = u64::from_be_bytes(*last);
        let replica = Replica::restore(sharing.replica.actor(), sharing.config.limits, snapshot).ok()?;
        sharing.replica = replica.with_roles(sharing.config.roles.clone());
    } else {
        let SyncMessage::Delta(delta) = SyncMessage::decode(value).ok()? else { return None };
        sharing.replica.apply_kept(&delta).ok()?;
        sharing.logged = number;
    }
    Some(())
}

/// Under which the number of the life is kept: before all others of its kind.
const LIFE_KEY: [u8; 1] = [keep::Kept::SharedState as u8];

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
        self.admit_write(&operation)?;
        let publishes = matches!(operation, Op::MapPut { name: OBJECT, .. });
        let time = self.civil_now();
        let sharing = self.shared.as_mut().ok_or(InputError::NotConfigured { what: "shared state" })?;
        let before = sharing.replica.version().clone();
        let dot = sharing.replica.write(operation, time).map_err(InputError::Write)?;
        self.wrote(&before, dot);
        if publishes {
            self.refresh_contracts();
        }
        Ok(())
    }

    /// Keeps what was written since `before`, and gets it on its way.
    fn wrote(&mut self, before: &VersionVector, dot: Dot) {
        let delta = self.shared.as_ref().and_then(|sharing| sharing.replica.delta_since(before, usize::MAX));
        if let Some(delta) = delta {
            self.log(&SyncMessage::Delta(delta).encode());
        }
        self.report_durable(Report::Visible { dot });
        self.arm_push();
    }

    /// Signs what this node has written, once for all peers.
    pub(super) fn sign_shared_state(&mut self) {
        if let Some(sharing) = &mut self.shared
            && sharing.replica.sign(&self.keys)
        {
            self.signatures.made += 1;
        }
    }

    /// Sends each peer those of our own writes that it neither has nor is about to get.
    pub(super) fn push_shared_state(&mut self) {
        self.sign_shared_state();
        let Some(sharing) = &self.shared else { return };
        let peers: Vec<NodeId> =
            sharing.peers.keys().copied().filter(|peer| !self.is_blocked(*peer)).collect();
        for peer in peers {
            while self.push_to(peer).is_some() {}
        }
    }

    /// One delta of our own writes; `None` when there is nothing to send.
    fn push_to(&mut self, peer: NodeId) -> Option<()> {
        let sharing = self.shared.as_ref()?;
        let own = sharing.replica.actor();
        let mut assumed = sharing.peers.get(&peer)?.will_have();
        for (actor, last) in sharing.replica.version().iter().filter(|(actor, _)| *actor != own) {
            assumed.cover(actor, last);
        }
        self.send_delta(peer, &assumed)
    }

    fn send_delta(&mut self, peer: NodeId, assumed: &VersionVector) -> Option<()> {
        let sharing = self.shared.as_ref()?;
        let delta = sharing.replica.delta_since(assumed, sharing.config.max_delta)?;
        let steps = delta.steps().collect();
        let sequence = self.send_sync(peer, &SyncMessage::Delta(delta))?;
        let state = self.shared.as_mut()?.peers.get_mut(&peer)?;
        state.in_flight.insert(sequence, steps);
        Some(())
    }

    /// Sends a peer all that it neither has nor is about to get, whoever wrote it.
    pub(super) fn send_lacking(&mut self, peer: NodeId) {
        self.sign_shared_state();
        for _ in 0..MAX_ANSWERS {
            let state = self.shared.as_ref().and_then(|sharing| sharing.peers.get(&peer));
            let Some(assumed) = state.map(PeerState::will_have) else { return };
            if self.send_delta(peer, &assumed).is_none() {
                return;
            }
        }
    }

    pub(super) fn send_sync(&mut self, destination: NodeId, message: &SyncMessage) -> Option<u64> {
        let lifetime = self.shared.as_ref().filter(|_| !self.is_blocked(destination))?.config.lifetime;
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
        let SharedStateConfig { anti_entropy_interval, push_interval, .. } = sharing.config;
        let interval = if sharing.catching_up == 0 { anti_entropy_interval } else { push_interval };
        let at = self.now.saturating_add(self.jittered(interval));
        self.timers.arm(Timer::AntiEntropy, at);
    }

    pub(super) fn on_anti_entropy(&mut self) {
        self.compact_shared_state();
        if let Some(sharing) = &mut self.shared {
            sharing.catching_up = sharing.catching_up.saturating_sub(1);
        }
        if let Some((turn, partner)) = self.shared.as_mut().and_then(Sharing::next_partner) {
            let every = self.shared.as_ref().map_or(0, |sharing| sharing.config.audit_every as usize);
            if every > 0 && turn % every == every - 1 {
                self.start_audit(partner);
            }
            self.tell_version(partner, &[]);
        }
        self.arm_anti_entropy();
    }

    /// Drops what all members have seen replaced.
    fn compact_shared_state(&mut self) {
        let now = self.now;
        let Some(sharing) = self.shared.as_mut() else { return };
        let Some(stable) = sharing.stable(now) else { return };
        let before = sharing.replica.version().clone();
        match sharing.replica.compact(&stable) {
            Ok(Some(dot)) => self.wrote(&before, dot),
            Ok(None) => {}
            Err(error) => self.report(Report::ModuleRefused { reason: error.reason() }),
        }
    }

    /// Tells a peer what is covered, as if nothing were of some actors: it answers with what lacks.
    pub(super) fn tell_version(&mut self, peer: NodeId, without: &[Actor]) {
        let Some(sharing) = &self.shared else { return };
        let mut version = sharing.replica.version().clone();
        without.iter().for_each(|actor| version.forget(*actor));
        self.send_sync(peer, &SyncMessage::Version(version));
    }

    /// A verified message of another member.
    pub(super) fn on_sync_message(&mut self, source: NodeId, payload: &[u8]) {
        if !self.shared.as_ref().is_some_and(|sharing| sharing.peers.contains_key(&source)) {
            return self.report(Report::ModuleRefused { reason: "sync_not_member" });
        }
        match SyncMessage::decode(payload) {
            Ok(SyncMessage::Delta(delta)) => self.on_delta(source, &delta),
            Ok(SyncMessage::Version(version)) => self.on_version(source, version),
            Ok(SyncMessage::Audit { nonce, cells, first, symbols }) => {
                self.on_audit(source, (nonce, cells, first), symbols);
            }
            Ok(SyncMessage::More { nonce, first, count }) => {
                self.on_more_symbols(source, nonce, first, count)
            }
            Ok(SyncMessage::Repair { nonce, delta, wanted }) => {
                self.on_repair(source, nonce, &delta, &wanted);
            }
            Err(error) => self.report(Report::ModuleRefused { reason: error.reason() }),
        }
    }

    pub(super) fn on_delta(&mut self, source: NodeId, delta: &Delta) {
        let now = self.civil_now();
        let Some(sharing) = self.shared.as_ref() else { return };
        if delta.actors().any(|actor| !sharing.config.members.contains(&actor.node)) {
            return self.report(Report::ModuleRefused { reason: "sync_unknown_actor" });
        }
        let applied = match self.apply_delta(source, delta, now) {
            Ok(applied) => applied,
            Err(error) => return self.report(Report::ModuleRefused { reason: error.reason() }),
        };
        self.signatures.checked += applied.checked;
        if !applied.joined.is_empty() {
            self.judge_delta(&applied.joined);
        }
        let Some(sharing) = self.shared.as_mut() else { return };
        if applied.life.is_some() {
            sharing.life_kept = false;
        }
        if !applied.joined.is_empty() {
            let writes = applied.joined.cells() as u64;
            let message = SyncMessage::Delta(applied.joined).encode();
            if source != self.config.id && self.journal().is_some() {
                let taken = Brief::of(&message);
                self.write_down(Event::Reconciled { peer: source, writes, taken });
            }
            self.log(&message);
        }
        applied.news.into_iter().for_each(|news| self.report_news(news));
        for (_, error) in applied.refused {
            self.report(Report::ModuleRefused { reason: error.reason() });
        }
        if !applied.reseed.is_empty() {
            self.report(Report::ModuleRefused { reason: "sync_does_not_fit" });
        }
        if applied.life.is_some() {
            self.report(Report::ModuleRefused { reason: "sync_storage_was_old" });
            self.arm_push();
        }
        if !applied.gaps.is_empty() || !applied.reseed.is_empty() {
            // An earlier delta was given up on its way, or what is here is not what the writer signed.
            self.tell_version(source, &applied.reseed);
        }
    }

    /// Joins what its writers may say here, by the keys under which they may have signed it.
    fn apply_delta(&mut self, source: NodeId, delta: &Delta, now: DtnTime) -> Result<Applied, SyncError> {
        let writers = self.writers(delta);
        let directory = writers.as_ref().unwrap_or(&self.config.directory);
        let Some(sharing) = self.shared.as_mut() else { return Ok(Applied::default()) };
        let mut applied = sharing.replica.apply_from(source, delta, Trust { directory, now })?;
        if writers.is_none() {
            return Ok(applied);
        }
        let refused = applied
            .refused
            .iter()
            .filter_map(|(actor, error)| matches!(error, SyncError::Signature { .. }).then_some(*actor));
        let unfit: Vec<Actor> = refused.chain(applied.reseed.iter().copied()).collect();
        for actor in unfit {
            // Whoever has written nothing since its key changed is still known by the signature of before.
            for key in self.earlier_keys(actor.node) {
                let directory = [(actor.node, key)].into_iter().collect();
                let trust = Trust { directory: &directory, now };
                let Some(sharing) = self.shared.as_mut() else { break };
                let again = sharing.replica.apply_from(source, &delta.only(actor), trust)?;
                applied.checked += again.checked;
                if again.refused.is_empty() && again.reseed.is_empty() {
                    applied.refused.retain(|(refused, _)| *refused != actor);
                    applied.reseed.retain(|reseed| *reseed != actor);
                    applied.news.extend(again.news);
                    applied.gaps.extend(again.gaps);
                    applied.joined.add(again.joined);
                    break;
                }
            }
        }
        Ok(applied)
    }

    /// What this node has written is to be signed again: its key has changed.
    pub(super) fn sign_shared_state_again(&mut self) {
        if let Some(sharing) = &mut self.shared {
            sharing.replica.forget_own_signature();
            self.arm_push();
        }
    }

    fn report_news(&mut self, news: News) {
        let first = news.first.max(news.last.saturating_sub(MAX_NEWS - 1));
        for sequence in first..=news.last {
            self.report_durable(Report::Visible { dot: Dot { actor: news.actor, sequence } });
        }
    }

    /// A peer says what it has: it gets what it lacks.
    fn on_version(&mut self, source: NodeId, version: VersionVector) {
        let now = self.now;
        let Some(state) = self.shared.as_mut().and_then(|sharing| sharing.peers.get_mut(&source)) else {
            return;
        };
        state.has = version.clone();
        state.told = Some((now, version));
        self.send_lacking(source);
    }

    /// The peer has a message of ours.
    pub(super) fn on_module_message_acknowledged(&mut self, stream: StreamKey, sequence: u64) {
        if stream.purpose != Purpose::Sync {
            return;
        }
        let state = self.shared.as_mut().and_then(|sharing| sharing.peers.get_mut(&stream.peer));
        if let Some(state) = state
            && let Some(steps) = state.in_flight.remove(&sequence)
        {
            step(&mut state.has, &steps);
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
        if !sharing.life_kept {
            sharing.life_kept = true;
            let life = sharing.replica.actor().life;
            self.put(LIFE_KEY.to_vec(), life.to_be_bytes().to_vec());
        }
        let Some(sharing) = self.shared.as_ref() else { return };
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
