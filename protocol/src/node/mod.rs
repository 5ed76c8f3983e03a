//! The node: the whole stack behind four calls.
//!
//! A driver calls [`Node::handle_input`], drains [`Node::poll_output`] until `None`, offers each free link to
//! [`Node::poll_transmit`], and sleeps until [`Node::poll_timeout`]. Every mutation is followed by a complete drain. The
//! contract is `docs/adr/0001-node-contract.md`.

mod acknowledge;
mod administrative;
mod audit;
mod blocks;
mod bundle_service;
mod config;
mod contracts;
mod convergence;
mod critical;
mod custody;
mod delivered;
mod departure;
mod discovery;
mod forward;
mod fragmentation;
mod governance;
mod ingress;
mod input;
mod keep;
mod links;
mod output;
mod plan;
mod rank;
mod reassembly;
mod refusal;
mod route;
mod sealing;
mod security;
mod send;
mod shared_state;
mod strategy;
mod timer;
mod trust;

pub use administrative::StatusReportSettings;
pub use config::{
    BundleSettings, CompressionSettings, NodeConfig, PlanConfig, PrivacyConfig, Retransmission,
    SharedStateConfig,
};
pub use convergence::{Convergence, LtpLink, Transfer, WholeLink};
pub use custody::CustodySettings;
pub use departure::Departure;
pub use discovery::DiscoveryConfig;
pub use governance::GovernanceConfig;
pub use input::{BundleSubmission, Input, LinkId, LinkUp, Submission};
pub use keep::{Change, Kept};
pub use output::{Batch, BundleDelivery, Delivery, DropReason, GovernanceStep, Output, Report, Ticket};
pub use plan::{PlanHorizon, PlanStatus, Requests};
pub use reassembly::ReassemblySettings;
pub use refusal::{InputError, SubmitError};
pub use sealing::{Audience, SealingConfig};
pub use security::BundleSecurity;
pub use trust::{Issuer, TrustConfig};

use crate::{
    bundle::{BundleId, Disposition, StatusReport},
    convergence::ltp::SessionId,
    delivery::{Acknowledgement, Incoming, Message, Outgoing, RateMeter},
    dtn::{
        contact_plan::ContactPlan,
        routing::{Arrivals, Router, Volumes, Waiting},
        store::{Eviction, Store},
        strategy::{RoutingConfig, Spread, StaticRoutes},
    },
    envelope::{Purpose, ReplayLimits, ReplayWindow},
    id::{EndpointId, NodeId},
    identity::KeyPair,
    time::{DtnTime, Instant, UtcEstimate},
};
use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    vec::Vec,
};
use core::time::Duration;
use forward::Held;
use links::Links;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng as _};
use timer::{Timer, Timers};

/// A stream's name at one of its ends: the peer, and what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StreamKey {
    peer: NodeId,
    purpose: Purpose,
}

/// What to do when the host has answered a persist request.
#[derive(Clone, Debug)]
enum Followup {
    /// Hand a message to the store for its first transmission.
    Launch(StreamKey, u64),
    /// A reception became durable: the stream's state after it may be acknowledged.
    Acknowledge(NodeId, Acknowledgement),
    /// Answer a custodian about a transmission.
    CustodyAnswer(EndpointId, Disposition, u64),
    /// Tell neighbours that a bundle was delivered here, which every copy of it outlives until the given time; and who brought it.
    Delivered(BundleId, Instant, Option<NodeId>),
    /// Send a report of a delivery.
    StatusReport(EndpointId, StatusReport),
    /// Tell the peer of a link that speaks LTP that its block is safe here.
    BlockTaken(LinkId, SessionId),
    /// Tell the driver what became of a frame of a link of whole bundles: whether it was taken.
    FrameDone(LinkId, bool),
}

/// How often a node has done its dearest arithmetic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signatures {
    /// Envelopes signed.
    pub made: u64,
    /// Signatures checked, whether they held or not.
    pub checked: u64,
}

/// One node of the fleet.
pub struct Node {
    config: NodeConfig,
    keys: KeyPair,
    incarnation: u32,
    rng: ChaCha8Rng,
    now: Instant,
    civil: Option<UtcEstimate>,
    last_creation: (DtnTime, u64),
    /// The largest number of a creation so far, and whether each is to have a larger one: since the clock was set far back.
    creation_numbers: (u64, bool),

    links: Links,
    plan: ContactPlan,
    router: Router,
    /// How long others' answers take.
    arrivals: Arrivals,
    store: Store<Held>,
    /// What waits for which contact.
    waiting: Waiting,
    /// Where a table says the next hop.
    table: Option<StaticRoutes>,
    /// Where neighbours get copies.
    spread: Option<Spread>,
    /// Number of the next transfer on a channel that all links share: whoever hears tells transfers apart by it, whichever link they go by.
    channel_transfer: u16,

    outgoing: BTreeMap<StreamKey, Outgoing>,
    /// Streams whose application was refused for want of room.
    blocked: BTreeSet<StreamKey>,
    submissions: Option<RateMeter>,
    incoming: BTreeMap<StreamKey, Incoming>,
    replay: ReplayWindow,
    peers: BTreeMap<NodeId, acknowledge::Peer>,
    delivered: delivered::Delivered,
    reporting: administrative::Reporting,
    reassembly: reassembly::Reassembly,
    custody: custody::Custody,
    critical: critical::Seen,
    shared: Option<shared_state::Sharing>,
    /// The schemas that are known, where something is held against them.
    contracts: Option<contracts::Contracts>,
    planning: Option<plan::Planning>,
    trusting: Option<trust::Trusting>,
    governing: Option<governance::Governing>,
    sealing: Option<sealing::Sealing>,
    discovering: Option<discovery::Discovering>,

    timers: Timers,
    outputs: VecDeque<Output>,
    batch: Batch,
    followups: Vec<Followup>,
    unanswered: VecDeque<(Ticket, Vec<Followup>)>,
    next_ticket: u64,
    refusals: BTreeMap<&'static str, u64>,
    signatures: Signatures,
    due: Vec<Message>,
    departures: departure::Departures,
}

impl Node {
    /// A node that starts from nothing, in incarnation 1. `seed`: fresh for every incarnation.
    #[must_use]
    pub fn new(config: NodeConfig, keys: KeyPair, seed: [u8; 32], start: Instant) -> Self {
        let mut node = Self::incarnate(config, keys, seed, start, 1);
        node.start_log();
        node.arm_governance();
        node.start_sealing();
        node.start_discovery();
        node
    }

    /// A node that comes back after a crash with what its host kept, in the order of the keys.
    ///
    /// `incarnation` is greater than every earlier one; `seed` is fresh; `civil` lets it age what it kept.
    ///
    /// # Errors
    /// [`InputError::Kept`] names the first record that this version did not write.
    pub fn restore<'a>(
        config: NodeConfig,
        keys: KeyPair,
        seed: [u8; 32],
        start: Instant,
        incarnation: u32,
        civil: Option<UtcEstimate>,
        kept: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<Self, InputError> {
        let mut node = Self::incarnate(config, keys, seed, start, incarnation);
        node.civil = civil;
        for (key, value) in kept {
            node.take_back(key, value)?;
        }
        if let Some(sharing) = &mut node.shared {
            sharing.came_back();
        }
        node.refresh_contracts();
        node.restore_acknowledgements();
        node.relaunch();
        node.arm_anti_entropy();
        node.start_log();
        node.restore_decisions();
        node.start_sealing();
        node.start_discovery();
        Ok(node)
    }

    fn incarnate(
        config: NodeConfig,
        keys: KeyPair,
        seed: [u8; 32],
        start: Instant,
        incarnation: u32,
    ) -> Self {
        let table = match &config.routing {
            RoutingConfig::Static(lines) => Some(StaticRoutes::new(lines)),
            _ => None,
        };
        let spread = Spread::new(config.id, &config.routing, seed);
        let eviction = if spread.is_some() { Eviction::OldestReceived } else { Eviction::default() };
        let mut node = Self {
            incarnation,
            rng: ChaCha8Rng::from_seed(seed),
            now: start,
            civil: None,
            last_creation: (DtnTime::UNKNOWN, 0),
            creation_numbers: (0, false),
            links: Links::default(),
            plan: ContactPlan::default(),
            router: Router::new(config.route_slack, route::SEARCHES),
            arrivals: Arrivals::new(config.route_slack, config.directory.len()),
            store: Store::with_eviction(config.store, eviction),
            waiting: Waiting::default(),
            table,
            spread,
            channel_transfer: 0,
            outgoing: BTreeMap::new(),
            blocked: BTreeSet::new(),
            submissions: config.submission_rate.map(RateMeter::new),
            incoming: BTreeMap::new(),
            replay: ReplayWindow::new(ReplayLimits {
                width: config.replay_window,
                max_senders: config.directory.len(),
                ..ReplayLimits::default()
            }),
            peers: BTreeMap::new(),
            delivered: delivered::Delivered::default(),
            reporting: administrative::Reporting::default(),
            reassembly: reassembly::Reassembly::default(),
            custody: custody::Custody::default(),
            critical: critical::Seen::default(),
            shared: config
                .shared_state
                .clone()
                .map(|shared| shared_state::Sharing::new(config.id, shared, start, incarnation)),
            contracts: (config.shared_state.is_some() || config.contracts)
                .then(|| contracts::Contracts::new(config.contracts)),
            planning: config.plan.clone().map(|plan| plan::Planning::new(config.id, plan)),
            trusting: config
                .trust
                .clone()
                .map(|trust| trust::Trusting::new(config.id, trust, incarnation, config.directory.len())),
            governing: config.governance.clone().map(governance::Governing::new),
            sealing: config.sealing.clone().map(sealing::Sealing::new),
            discovering: config.discovery.map(|discovery| {
                let members = config.directory.len();
                discovery::Discovering::new(config.id, incarnation, discovery, members, seed)
            }),
            timers: Timers::default(),
            outputs: VecDeque::new(),
            batch: Batch::default(),
            followups: Vec::new(),
            unanswered: VecDeque::new(),
            next_ticket: 0,
            refusals: BTreeMap::new(),
            signatures: Signatures::default(),
            due: Vec::new(),
            departures: departure::Departures::default(),
            keys,
            config,
        };
        node.arm_anti_entropy();
        node
    }

    /// Takes one input at `now`.
    ///
    /// # Errors
    /// See [`InputError`]: misuse by the driver, or bytes that deserve no answer. Nothing but a counter changed.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) -> Result<(), InputError> {
        if now < self.now {
            return Err(InputError::ClockSteppedBack { now, last: self.now });
        }
        self.now = now;
        let result = self.dispatch(input);
        self.flush();
        result
    }

    fn dispatch(&mut self, input: Input<'_>) -> Result<(), InputError> {
        match input {
            Input::Frame { link, bytes } => self.on_frame(link, bytes),
            Input::LinkUp(up) => {
                self.on_link_up(up);
                Ok(())
            }
            Input::LinkDown { link } => self.on_link_down(link),
            Input::Transmitted { link, transfer } => self.on_transfer(link, transfer, true),
            Input::TransmissionFailed { link, transfer } => self.on_transfer(link, transfer, false),
            Input::Sent { link } => self.on_sent(link),
            Input::Heard { link, snr_db } => {
                self.on_heard(link, snr_db);
                Ok(())
            }
            Input::Incoming { bytes } => {
                self.make_store_room(bytes);
                Ok(())
            }
            Input::ContactPlan(plan) => {
                self.on_contact_plan(plan);
                Ok(())
            }
            Input::Submit(submission) => self.submit(submission).map_err(InputError::Submit),
            Input::SendBundle(submission) => self.send_bundle(submission).map_err(InputError::Submit),
            Input::Write(operation) => self.write(operation),
            Input::AuditSharedState { peer } => self.audit_shared_state(peer),
            Input::StartPlan => self.start_plan(),
            Input::PlanHorizon(next) => self.replan(*next),
            Input::Learn(statement) => match self.learn(&statement) {
                Ok(_) => Ok(()),
                Err(error) => Err(self.refuse(error.reason())),
            },
            Input::ReadLog { reader } => self.read_log(reader),
            Input::RotateKey(next) => self.rotate_key(*next),
            Input::Revoke { node, cause } => self.revoke(node, cause),
            Input::Propose(content) => self.propose(*content),
            Input::Opinion { content, approves } => self.take_opinion(content, approves),
            Input::JoinPlan => self.join_plan(),
            Input::LeavePlan => self.leave_plan(),
            Input::Civil(estimate) => {
                self.civil = Some(estimate);
                Ok(())
            }
            Input::Persisted(ticket) => self.on_persisted(ticket),
            Input::Timeout => {
                self.on_timeout();
                Ok(())
            }
        }
    }

    /// The next output, until `None`.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When the node wants [`Input::Timeout`] at the latest. Changes nothing.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// This node's number.
    #[must_use]
    pub const fn id(&self) -> NodeId {
        self.config.id
    }

    /// Bundles in the store.
    #[must_use]
    pub fn stored(&self) -> usize {
        self.store.len()
    }

    /// What bundles that wait here, and those that left, have taken of contacts.
    #[must_use]
    pub const fn volumes(&self) -> &Volumes {
        self.router.volumes()
    }

    /// Refused inputs by reason since the incarnation began.
    #[must_use]
    pub const fn refusals(&self) -> &BTreeMap<&'static str, u64> {
        &self.refusals
    }

    /// Signatures made and checked since the incarnation began.
    #[must_use]
    pub const fn signatures(&self) -> Signatures {
        self.signatures
    }

    fn on_timeout(&mut self) {
        while let Some(timer) = self.timers.pop_due(self.now) {
            match timer {
                Timer::Retransmit(stream, sequence) => self.on_retransmit(stream, sequence),
                Timer::Acknowledge(peer) => self.send_control(peer),
                Timer::Reroute(neighbour) => self.on_reroute(neighbour),
                Timer::Limbo => self.reroute_limbo(),
                Timer::Spread => self.on_spread_deadline(),
                Timer::StoreExpiry => self.on_store_expiry(),
                Timer::Push => self.push_shared_state(),
                Timer::AntiEntropy => self.on_anti_entropy(),
                Timer::Trust => self.on_trust_timer(),
                Timer::Governance => self.on_governance_timer(),
                Timer::Patience => self.advance_governance(true),
                Timer::Membership => self.on_membership_timer(),
                Timer::Sealing => self.on_sealing_timer(),
                Timer::PlanRound => self.on_plan_round(),
                Timer::PlanSuccession => self.on_plan_succession(),
                Timer::PlanJoin => self.on_plan_join(),
                Timer::ForgetDelivered => self.on_forget_delivered(),
                Timer::Reassembly => self.on_reassembly_timeout(),
                Timer::StatusReports => self.on_status_reports_due(),
                Timer::Custody(transmission) => self.on_custody_timeout(transmission),
                Timer::CustodySignals => self.on_custody_signals_due(),
                Timer::ForgetCustody => self.on_forget_custody(),
                Timer::Convergence(link) => self.on_convergence_timer(link),
                Timer::Retry(link) => self.on_retry(link),
            }
        }
    }

    fn on_persisted(&mut self, ticket: Ticket) -> Result<(), InputError> {
        match self.unanswered.front() {
            Some((expected, _)) if *expected == ticket => {}
            _ => return Err(InputError::UnknownTicket(ticket)),
        }
        let (_, followups) = self.unanswered.pop_front().expect("looked at just above");
        for followup in followups {
            self.follow_up(followup);
        }
        Ok(())
    }

    fn follow_up(&mut self, followup: Followup) {
        match followup {
            Followup::Launch(stream, sequence) => self.transmit_message(stream, sequence),
            Followup::Acknowledge(peer, state) => self.on_reception_durable(peer, state),
            Followup::CustodyAnswer(source, disposition, transmission) => {
                self.on_answer_durable(source, disposition, transmission);
            }
            Followup::Delivered(id, until, previous) => self.on_delivery_durable(id, until, previous),
            Followup::StatusReport(report_to, report) => self.queue_report(report_to, report),
            Followup::BlockTaken(link, session) => self.on_block_durable(link, session),
            Followup::FrameDone(link, true) => self.report(Report::FrameTaken { link }),
            Followup::FrameDone(link, false) => self.report(Report::FrameRefused { link }),
        }
    }

    /// Does something once all that has changed so far is durable: at once when it is already.
    fn after_durable(&mut self, followup: Followup) {
        if !self.batch.is_empty() {
            self.followups.push(followup);
        } else if let Some((_, followups)) = self.unanswered.back_mut() {
            followups.push(followup);
        } else {
            self.follow_up(followup);
        }
    }

    /// Turns what this input changed into one persist request.
    fn flush(&mut self) {
        self.keep_ballots();
        self.keep_journal();
        if self.batch.is_empty() {
            debug_assert!(self.followups.is_empty(), "a followup waits for a change");
            self.outputs.extend(self.batch.reports.drain(..).map(Output::Report));
            return;
        }
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        let mut batch = core::mem::take(&mut self.batch);
        batch.ticket = ticket;
        self.unanswered.push_back((ticket, core::mem::take(&mut self.followups)));
        self.outputs.push_back(Output::Persist(batch));
    }

    fn report(&mut self, report: Report) {
        self.outputs.push_back(Output::Report(report));
    }

    /// Reports what this input's changes make true, as soon as they are durable.
    fn report_durable(&mut self, report: Report) {
        self.batch.reports.push(report);
    }

    fn refuse(&mut self, reason: &'static str) -> InputError {
        let count = self.refusals.entry(reason).or_default();
        *count += 1;
        let count = *count;
        self.note_refusal(reason, count);
        InputError::Refused { reason }
    }

    /// Civil time by the host's estimate, [`DtnTime::UNKNOWN`] without one.
    fn civil_now(&self) -> DtnTime {
        self.civil.map_or(DtnTime::UNKNOWN, |estimate| estimate.dtn_time(self.now))
    }

    /// `span` stretched by up to a quarter, so that nodes which heard the same frame do not answer in the same moment.
    fn jittered(&mut self, span: Duration) -> Duration {
        use rand_chacha::rand_core::Rng as _;
        let share = u64::from(self.rng.next_u32());
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX / 4).min(u64::MAX / 4);
        // nanos / 4 · share / 2^32, without overflow
        Duration::from_nanos(nanos + ((u128::from(nanos / 4) * u128::from(share)) >> 32) as u64)
    }
}
