//! Drives one protocol node: simulated time in, trace records out, persist requests answered.
//!
//! The only folder below `hil` that constructs or drives a [`Node`].

mod adversary;
mod agreed;
mod application;
mod audit;
mod configure;
mod governance;
mod horizon;
mod message;
mod planning;
mod privacy;
mod storage;
mod translate;
mod trust;

pub use adversary::answer_of;
pub use application::Said;
pub use configure::{Fleet, keys_of};
pub use horizon::Carried;
pub use message::{Content, Message};
pub use planning::Done;
pub use storage::Storage;

use crate::{
    engine::{RandomStreams, Record, RecordKind, Stream},
    units::{AssetIndex, SimTime},
    world::{Writing, incarnation_entity},
};
use bevy_ecs::component::Component;
use cosmosmesh_protocol::{
    dtn::contact_plan::ContactPlan,
    node::{Batch, Input, InputError, LinkId, LinkUp, Node, Output, Report, Signatures, Submission},
    sync::{Op, SyncError},
    time::Instant,
};
use std::sync::Arc;

/// An asset's node and what its host does for it.
#[derive(Component)]
pub struct Runtime {
    asset: AssetIndex,
    fleet: Arc<Fleet>,
    node: Option<Node>,
    incarnation: u32,
    /// When the earliest timer event that was scheduled is due.
    armed: Option<SimTime>,
    sync_bytes: u64,
    /// Where it is in the plan.
    carried: Carried,
    agreed: agreed::Agreed,
    /// Whether bundles that leave are to be told.
    watching: bool,
    /// Signatures of earlier incarnations.
    signatures: Signatures,
    /// What it is up to, if its host is an adversary.
    mischief: Option<Box<adversary::Mischief>>,
    /// Its application, if that is outside of the simulation.
    application: Option<Box<application::Application>>,
}

impl Runtime {
    /// The node of `asset`, in its first incarnation, at `start`.
    #[must_use]
    pub fn new(asset: AssetIndex, fleet: Arc<Fleet>, streams: &RandomStreams, start: SimTime) -> Self {
        let seed = streams.seed_256(Stream::NodeSeed, incarnation_entity(asset, 1));
        let mut node =
            Node::new(fleet.config(asset, 1, &Carried::default()), fleet.keys(asset), seed, instant(start));
        let (incarnation, armed, sync_bytes) = (1, None, 0);
        let mischief = adversary::Mischief::new(&fleet, asset);
        if mischief.is_some() {
            adversary::watch(&mut node);
        }
        Self {
            asset,
            fleet,
            node: Some(node),
            incarnation,
            armed,
            sync_bytes,
            carried: Carried::default(),
            agreed: agreed::Agreed::default(),
            watching: false,
            signatures: Signatures::default(),
            mischief,
            application: None,
        }
    }

    /// Of an asset whose node is elsewhere: nothing that it is told has any effect.
    #[must_use]
    pub fn elsewhere(asset: AssetIndex, fleet: Arc<Fleet>) -> Self {
        Self {
            asset,
            fleet,
            node: None,
            incarnation: 1,
            armed: None,
            sync_bytes: 0,
            carried: Carried::default(),
            agreed: agreed::Agreed::default(),
            watching: false,
            signatures: Signatures::default(),
            mischief: None,
            application: None,
        }
    }

    /// Tells the node the time and the contact plan.
    pub fn brief(&mut self, now: SimTime, plan: &ContactPlan, storage: &mut Storage, out: &mut Vec<Record>) {
        let estimate = self.fleet.civil(self.asset, now);
        if let Some(estimate) = estimate {
            self.input(now, Input::Civil(estimate), storage, out);
        }
        if self.fleet.scenario().protocol.plan_known {
            self.input(now, Input::ContactPlan(plan.clone()), storage, out);
        }
    }

    /// Whether the node is running.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.node.is_some()
    }

    /// The node, while it is running: to look at.
    #[must_use]
    pub const fn node(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    /// The node stops, and forgets what was not kept; a batch that the disk was writing may be torn.
    pub fn crash(
        &mut self,
        now: SimTime,
        streams: &RandomStreams,
        storage: &mut Storage,
        out: &mut Vec<Record>,
    ) {
        let entity = incarnation_entity(self.asset, self.incarnation);
        for batch in storage.tear(&mut streams.stream(Stream::TornWrites, entity)) {
            // Durable, though the node never learned it: the application finds them when it comes back.
            self.publish(now, batch, out);
        }
        self.signatures = self.signatures();
        self.node = None;
        self.armed = None;
        self.forget_asked();
    }

    /// The node comes back from what was kept.
    ///
    /// # Panics
    /// When the records are not the node's own, which would be a defect.
    pub fn restart(
        &mut self,
        now: SimTime,
        streams: &RandomStreams,
        plan: &ContactPlan,
        storage: &mut Storage,
        out: &mut Vec<Record>,
    ) {
        self.incarnation += 1;
        let seed = streams.seed_256(Stream::NodeSeed, incarnation_entity(self.asset, self.incarnation));
        let config = self.fleet.config(self.asset, self.incarnation, &self.carried);
        let keys = self.fleet.keys(self.asset);
        let civil = self.fleet.civil(self.asset, now);
        let kept = storage.records().iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
        let mut node = Node::restore(config, keys, seed, instant(now), self.incarnation, civil, kept)
            .expect("a node reads its own records");
        if self.mischief.is_some() {
            adversary::watch(&mut node);
        }
        self.node = Some(node);
        if self.watching {
            self.watch_departures();
        }
        self.brief(now, plan, storage, out);
        if self.fleet.has_lost_masks(self.asset, self.incarnation) {
            let kind = RecordKind::InputRefused { reason: "plan_masks_lost" };
            return out.push(Record { time: now, asset: self.asset, kind });
        }
        self.resume_presence(now, storage, out);
    }

    /// How strongly the peer of a link is heard.
    pub fn signal(
        &mut self,
        now: SimTime,
        link: u32,
        snr_db: i8,
        storage: &mut Storage,
        out: &mut Vec<Record>,
    ) {
        self.input(now, Input::Heard { link: LinkId(link), snr_db }, storage, out);
    }

    /// A frame came in.
    pub fn frame(
        &mut self,
        now: SimTime,
        link: u32,
        bytes: &[u8],
        storage: &mut Storage,
        out: &mut Vec<Record>,
    ) {
        self.tell_swallowed(now, out);
        self.input(now, Input::Frame { link: LinkId(link), bytes }, storage, out);
    }

    /// A transfer of so many bytes begins to come in, on a link with sessions.
    pub fn incoming(&mut self, now: SimTime, bytes: u32, storage: &mut Storage, out: &mut Vec<Record>) {
        self.input(now, Input::Incoming { bytes }, storage, out);
    }

    /// What was put on a link with sessions has left.
    pub fn sent(&mut self, now: SimTime, link: u32, storage: &mut Storage, out: &mut Vec<Record>) {
        self.input(now, Input::Sent { link: LinkId(link) }, storage, out);
    }

    /// A link came up.
    pub fn link_up(&mut self, now: SimTime, up: LinkUp, storage: &mut Storage, out: &mut Vec<Record>) {
        if let Some(mischief) = &mut self.mischief {
            mischief.link_up(&up);
        }
        self.input(now, Input::LinkUp(up), storage, out);
    }

    /// A link went down.
    pub fn link_down(&mut self, now: SimTime, link: u32, storage: &mut Storage, out: &mut Vec<Record>) {
        if let Some(mischief) = &mut self.mischief {
            mischief.link_down(link);
        }
        self.input(now, Input::LinkDown { link: LinkId(link) }, storage, out);
    }

    /// The node's timer is due; whether it really is, the node knows.
    pub fn timeout(&mut self, now: SimTime, storage: &mut Storage, out: &mut Vec<Record>) {
        if self.armed.is_some_and(|armed| armed <= now) {
            self.armed = None;
        }
        self.answer_commits(now, storage, out);
        let due = self.node.as_ref().and_then(Node::poll_timeout);
        if due.is_some_and(|due| due <= instant(now)) {
            self.input(now, Input::Timeout, storage, out);
        }
    }

    /// The application sends a message.
    pub fn submit(
        &mut self,
        now: SimTime,
        submission: Submission,
        storage: &mut Storage,
        out: &mut Vec<Record>,
    ) {
        self.submit_for(now, None, submission, storage, out);
    }

    /// The application writes to shared state.
    pub fn write(&mut self, now: SimTime, writing: &Writing, storage: &mut Storage, out: &mut Vec<Record>) {
        let (set, register, map, counter) = (b"crew".as_slice(), b"goal", b"status", b"samples");
        let operation = match writing {
            Writing::SetAdd(member) => Op::SetAdd { name: set, member },
            Writing::SetRemove(member) => Op::SetRemove { name: set, member },
            Writing::Register(value) => Op::Register { name: register, value },
            Writing::MapPut(key, value) => Op::MapPut { name: map, key, value },
            Writing::Count(by) => Op::Count { name: counter, by: *by },
            Writing::Record(contract, key, seed) => {
                return self.write_record(now, (contract, key), *seed, storage, out);
            }
        };
        self.input_write(now, operation, storage, out);
    }

    /// The plan begins: its coordinator opens it, and the others wait for that.
    pub fn start_plan(&mut self, now: SimTime, storage: &mut Storage, out: &mut Vec<Record>) {
        self.input(now, Input::StartPlan, storage, out);
    }

    /// The next frame for a link that is free.
    pub fn poll_transmit(&mut self, now: SimTime, link: u32) -> Option<Vec<u8>> {
        if self.mischief.is_some() {
            return self.poll_mischief(now, link);
        }
        self.node.as_mut()?.poll_transmit(instant(now), LinkId(link))
    }

    /// From now on, [`Runtime::departed`] tells which bundles leave.
    pub fn watch_departures(&mut self) {
        self.watching = true;
        if let Some(node) = &mut self.node {
            node.watch_departures();
        }
    }

    /// The bundle whose transfer the last frame began, if it began one and departures are watched.
    pub fn departed(&mut self) -> Option<Vec<u8>> {
        if self.mischief.is_some() {
            return self.mischief_departed().filter(|_| self.watching);
        }
        let node = self.node.as_mut().filter(|_| self.watching)?;
        // One at a time: it is asked for after each frame.
        node.poll_departure().map(|departure| departure.bundle)
    }

    /// When a timer event must be scheduled: earlier than any that already is.
    pub fn next_timer(&mut self, storage: &Storage) -> Option<SimTime> {
        let timeout = self.node.as_ref()?.poll_timeout();
        let timeout = timeout.map(|due| i64::try_from(due.as_nanos()).map_or(SimTime::MAX, SimTime));
        let due = timeout.into_iter().chain(storage.next_commit()).min()?;
        if due == SimTime::MAX || self.armed.is_some_and(|armed| armed <= due) {
            return None;
        }
        self.armed = Some(due);
        Some(due)
    }

    /// Signatures made and checked in all incarnations.
    #[must_use]
    pub fn signatures(&self) -> Signatures {
        let now = self.node.as_ref().map_or_else(Signatures::default, Node::signatures);
        Signatures { made: self.signatures.made + now.made, checked: self.signatures.checked + now.checked }
    }

    /// What the replica holds at the end of the run, and what it cost.
    pub fn finish(&self, now: SimTime, out: &mut Vec<Record>) {
        let Some(replica) = self.node.as_ref().and_then(Node::replica) else { return };
        let mut push = |kind| out.push(Record { time: now, asset: self.asset, kind });
        push(RecordKind::ReplicaDigest { digest: replica.digest() });
        self.held(replica).into_iter().for_each(&mut push);
        push(RecordKind::SyncBytes { bytes: self.sync_bytes });
    }

    fn input(&mut self, now: SimTime, input: Input<'_>, storage: &mut Storage, out: &mut Vec<Record>) {
        if let Err(error) = self.try_input(now, input, storage, out) {
            let reason = match error {
                InputError::Refused { reason } => reason,
                // The workload removes without looking first, as an application may.
                InputError::Write(SyncError::Absent) => "nothing_to_remove",
                InputError::Write(_) => "write",
                InputError::Contract { reason } => reason,
                InputError::NotConfigured { .. } => "not_configured",
                error => panic!("the runtime misused its node: {error}"),
            };
            out.push(Record { time: now, asset: self.asset, kind: RecordKind::InputRefused { reason } });
        }
    }

    fn try_input(
        &mut self,
        now: SimTime,
        input: Input<'_>,
        storage: &mut Storage,
        out: &mut Vec<Record>,
    ) -> Result<(), InputError> {
        let Some(node) = self.node.as_mut() else { return Ok(()) };
        let result = node.handle_input(instant(now), input);
        self.drain(now, storage, out);
        result
    }

    /// Takes every output; a disk that takes no time answers before the next one.
    fn drain(&mut self, now: SimTime, storage: &mut Storage, out: &mut Vec<Record>) {
        while let Some(output) = self.node.as_mut().and_then(Node::poll_output) {
            match output {
                Output::Persist(batch) => {
                    storage.write(now, batch);
                    self.answer(now, storage, out);
                }
                Output::Report(report) => self.record(now, report, out),
            }
        }
        self.publish_plan(now, storage, out);
    }

    /// Tells the node of every batch that is durable by now, and drains it.
    fn answer_commits(&mut self, now: SimTime, storage: &mut Storage, out: &mut Vec<Record>) {
        while self.answer(now, storage, out) {
            self.drain(now, storage, out);
        }
    }

    /// Tells the node of the next batch if it is durable by now.
    fn answer(&mut self, now: SimTime, storage: &mut Storage, out: &mut Vec<Record>) -> bool {
        let Some(batch) = storage.commit(now) else { return false };
        let ticket = batch.ticket;
        self.publish(now, batch, out);
        if let Some(node) = self.node.as_mut() {
            node.handle_input(instant(now), Input::Persisted(ticket)).expect("tickets are answered in order");
        }
        true
    }

    /// What a durable batch brings to the application and to the trace.
    fn publish(&mut self, now: SimTime, batch: Batch, out: &mut Vec<Record>) {
        for report in batch.reports {
            self.record(now, report, out);
        }
        if self.application.is_some() {
            batch.deliveries.iter().for_each(|delivery| self.note_delivery(delivery));
        }
        out.extend(batch.deliveries.iter().map(|delivery| {
            let kind = translate::delivery(&self.fleet, delivery);
            Record { time: now, asset: self.asset, kind }
        }));
        let bundles = batch.bundles.iter().filter_map(|delivery| self.datagram_delivered(delivery));
        out.extend(bundles.map(|kind| Record { time: now, asset: self.asset, kind }));
    }

    fn record(&mut self, now: SimTime, report: Report, out: &mut Vec<Record>) {
        if let Report::Accepted { purpose, bytes, .. } = report
            && translate::kind(purpose) == crate::engine::MessageKind::Sync
        {
            self.sync_bytes += bytes as u64;
        }
        if let Report::PlanLocal { horizon, whole, values, .. } = &report
            && self.carried.hold(*horizon, values, *whole)
        {
            let kind = RecordKind::PlanWhole { horizon: *horizon };
            out.push(Record { time: now, asset: self.asset, kind });
        }
        self.agreed.note(&report);
        self.note_accepted(&report);
        self.note_visible(&report);
        let kind = match report {
            Report::BundleAccepted { id, destination, bytes } => {
                self.datagram_accepted(id.creation, &destination, bytes)
            }
            report => translate::report(&self.fleet, (self.asset, self.incarnation), report),
        };
        let dropped = self.dropped(kind.as_ref());
        out.extend(kind.map(|kind| Record { time: now, asset: self.asset, kind }));
        out.extend(dropped.map(|kind| Record { time: now, asset: self.asset, kind }));
    }
}

/// Simulated time on the node's clock, whose origin is the scenario's epoch.
fn instant(now: SimTime) -> Instant {
    Instant::from_nanos(u64::try_from(now.as_nanos()).expect("a run starts at its epoch"))
}
