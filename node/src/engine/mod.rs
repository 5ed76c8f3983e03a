//! The engine: one thread that owns the node, and everything that tells it something or does something for it.
//!
//! Each turn: events of other threads become inputs, outputs become commits, bundles become bytes; then it sleeps until the next event
//! or deadline. Nothing is answered before the disk has it.

mod command;
mod connection;
mod ending;
mod mtcp;
mod outputs;
mod peers;
mod radio;
mod replan;
mod revoke;
mod secure;
mod state;
mod turn;

pub use command::{Accepted, Refusal};
pub(crate) use command::{Command, Own, SignedLog};
pub(crate) use outputs::purpose_word;
pub(crate) use state::shares_none;

use crate::{
    clock::Clock,
    config::{Config, Plan},
    discovery::Found,
    inbox::InboxNumber,
    mailbox::{Mailbox, Open, Reply},
    metrics::{Counts, Snapshot},
    plan::{PlanNotes, PlanView},
    processor,
    state::{StateChanges, StateDot, StateItem},
    store::{Keeper, Store},
    tls::TlsSetup,
    transport::{ConnectionId, stream::Streams},
};
use command::{Requests, Told};
use connection::{Closing, Connection};
use cosmosmesh_protocol::{
    node::{Batch, Input, InputError, LinkId, Node, Transfer},
    sync::Dot,
    time::{Instant, UtcEstimate},
};
use ending::Ending;
use peers::PeerState;
use radio::RadioState;
use std::{
    collections::{BTreeMap, VecDeque},
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Batches that wait for the disk before nothing more is taken from peers and applications.
const MAX_UNWRITTEN: usize = 4096;
/// The same in bytes: of bundles that came and batches that follow from them, those that are being written included.
const MAX_WAITING_BYTES: usize = 128 << 20;
/// Events that are dealt with before the disk and the sockets get their share.
const EVENTS_PER_TURN: usize = 512;
/// The longest sleep: a heartbeat for those who look.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How old what others see of a busy engine may be.
const TELL_EVERY: Duration = Duration::from_millis(20);
/// How often civil time is asked for anew.
const CIVIL_EVERY: Duration = Duration::from_secs(10);
/// By how much it is off when the clock was set, in milliseconds.
const CIVIL_JUMP_MS: u64 = 200;
/// A turn that comes so late was no turn of ours: the process was stopped, or the machine asleep. What peers said meanwhile is yet to be read.
const STALLED: Duration = Duration::from_secs(3);
/// How long it may take to be read.
const CATCHING_UP: Duration = Duration::from_secs(1);
/// How long what is due on a connection waits for events before it.
const OVERDUE: Duration = Duration::from_secs(2);
/// How often the same mishap is logged.
const SELDOM: Duration = Duration::from_secs(10);
/// How often it is looked whether the peers of sessions still have the authority's word; each heartbeat comes by here.
const LOOK_AT_TRUST: Duration = Duration::from_secs(1);
/// How long an input that took longer than its budget is told of.
const ALARM: Duration = Duration::from_secs(60);
/// Changes of shared state that are remembered for those who ask for them.
const MAX_CHANGES: usize = 1024;
/// Runs whose changes have numbers of their own, 2³² each: below 2⁵³, which every reader of JSON holds exactly.
const RUNS: u32 = 1 << 21;
/// How long a connection that is over may take to write its last words.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What others see of the engine.
#[derive(Default)]
pub(crate) struct Shared {
    snapshot: Mutex<Snapshot>,
    changes: Mutex<Changes>,
    changed: Condvar,
    /// The plan in the horizon that is planned.
    horizon: Mutex<Option<Arc<Plan>>>,
}

/// What others have written to shared state lately.
#[derive(Default)]
struct Changes {
    /// The number of the first one that is remembered. Numbers of another run are none of this one's: each has its own range of them.
    forgotten: u64,
    items: VecDeque<StateItem>,
}

impl Changes {
    fn end(&self) -> u64 {
        self.forgotten + self.items.len() as u64
    }
}

impl Shared {
    /// For a run of the node.
    pub(crate) fn of_run(incarnation: u32) -> Self {
        let forgotten = u64::from(incarnation % RUNS) << 32;
        let changes = Changes { forgotten, items: VecDeque::new() };
        Self { changes: Mutex::new(changes), ..Self::default() }
    }

    /// A copy of what the engine last told.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// When the engine last told something, since its start.
    pub(crate) fn told_at(&self) -> Duration {
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner).at
    }

    /// The plan, as it was last told.
    pub(crate) fn plan(&self) -> Option<Arc<PlanView>> {
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner).plan.clone()
    }

    /// The plan in the horizon that is planned: what comes next is laid out and checked by who asks for it, since that may take seconds.
    pub(crate) fn horizon(&self) -> Option<Arc<Plan>> {
        self.horizon.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn begin_horizon(&self, plan: Arc<Plan>) {
        *self.horizon.lock().unwrap_or_else(PoisonError::into_inner) = Some(plan);
    }

    /// Another has written something.
    fn changed(&self, item: StateItem) {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        if changes.items.len() >= MAX_CHANGES {
            changes.items.pop_front();
            changes.forgotten += 1;
        }
        changes.items.push_back(item);
        drop(changes);
        self.changed.notify_all();
    }

    /// What was written since `after`.
    pub(crate) fn changes(&self, after: Option<u64>, patience: Duration) -> StateChanges {
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(after) = after else {
            return StateChanges { next: changes.end(), missed: false, items: Vec::new() };
        };
        let waited = self.changed.wait_timeout_while(changes, patience, |changes| changes.end() == after);
        let changes = waited.unwrap_or_else(PoisonError::into_inner).0;
        // A number of before this run is below, or above where runs have begun to count anew.
        let missed = after < changes.forgotten || after > changes.end();
        let first = if missed { 0 } else { (after - changes.forgotten) as usize };
        let items = changes.items.iter().skip(first).cloned().collect();
        StateChanges { next: changes.end(), missed, items }
    }
}

/// Who is told what became of a frame, in the order of the frames of a link.
enum Answer {
    /// A session that holds its final acknowledgement.
    Session(ConnectionId, u64),
    /// Another daemon of this process.
    Process(Arc<Mailbox>, Transfer),
    /// Nobody: the protocol has no answers.
    Nobody,
}

/// Frames of a link that wait for their answer.
#[derive(Default)]
struct Unanswered {
    frames: VecDeque<(Answer, usize)>,
    bytes: usize,
}

impl Unanswered {
    fn push(&mut self, answer: Answer, bytes: usize) {
        self.frames.push_back((answer, bytes));
        self.bytes += bytes;
    }

    fn pop(&mut self) -> Option<(Answer, usize)> {
        let (answer, bytes) = self.frames.pop_front()?;
        self.bytes -= bytes;
        Some((answer, bytes))
    }
}

/// What the engine is made of.
pub(crate) struct Parts {
    pub(crate) config: Arc<Config>,
    pub(crate) node: Node,
    pub(crate) clock: Clock,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) store: Arc<Store>,
    pub(crate) keeper: Keeper,
    pub(crate) streams: Streams,
    pub(crate) socket: Option<UdpSocket>,
    /// Peers that are found by what they say of themselves in shared state, by their places in the configuration.
    pub(crate) told: Vec<(usize, Arc<Found>)>,
    /// Where the radios' clients begin to count their packets.
    pub(crate) radio_seeds: Vec<u32>,
    pub(crate) datagrams_dropped: Arc<AtomicU64>,
    pub(crate) shared: Arc<Shared>,
    /// For sessions that are protected.
    pub(crate) tls: Option<Arc<TlsSetup>>,
    /// Where it listens: to wake those who wait for a connection.
    pub(crate) listeners: Vec<SocketAddr>,
}

/// The engine.
pub(crate) struct Engine {
    parts: Parts,
    peers: Vec<PeerState>,
    radios: Vec<RadioState>,
    connections: BTreeMap<ConnectionId, Connection>,
    closing: Vec<Closing>,
    answers: BTreeMap<LinkId, Unanswered>,
    /// Bytes of all frames that wait for their answer.
    unanswered_bytes: usize,
    unwritten: Vec<Batch>,
    /// Bytes of these batches, and of the group that is being written.
    unwritten_bytes: usize,
    writing_bytes: usize,
    /// Since when the disk has been writing a group.
    writing: Option<Instant>,
    taken: Option<InboxNumber>,
    /// What is answered when the next group is durable, and the one that is being written.
    kept: Vec<Told>,
    kept_written: Vec<Told>,
    requests: Requests,
    /// Writes to shared state that wait for the disk.
    state_writes: VecDeque<(Dot, Reply<Result<StateDot, Refusal>>)>,
    /// Messages for the application on the disk, and their bytes.
    inbox: u64,
    inbox_bytes: u64,
    store_failing: Option<String>,
    /// What is the matter with sockets that speak QUIC.
    quic_troubles: BTreeMap<SocketAddr, String>,
    /// Why the plan does not begin.
    plan_trouble: Option<String>,
    counts: Counts,
    plan: PlanNotes,
    /// When messages were accepted whose acknowledgement is not here.
    accepted_at: BTreeMap<(u64, u8, u64), Instant>,
    /// When an input last took longer than its budget.
    over_budget_at: Option<Instant>,
    civil_due: Instant,
    /// What the node was told of civil time.
    civil: Option<UtcEstimate>,
    trust_due: Instant,
    /// The version of the list of keys taken back that sessions were last judged by.
    list_looked_at: u64,
    published: Instant,
    stopping: Option<Instant>,
    /// Until when peers are not judged by what they have not said.
    catching_up: Instant,
    /// What connections brought waits in the mailbox.
    behind: bool,
    /// Mishaps that were logged lately, and how often they have happened since.
    told: BTreeMap<&'static str, (Instant, u64)>,
    turned_away: u64,
}

impl Engine {
    /// Tells the node its links.
    pub(crate) fn new(parts: Parts) -> Self {
        let peers = parts.config.peers.iter().map(|_| PeerState::default()).collect();
        let radios = parts.config.radios.iter().zip(&parts.radio_seeds);
        let radios = radios.map(|(radio, seed)| RadioState::new(radio, *seed)).collect();
        let (inbox, inbox_bytes) = parts.store.inbox_size().unwrap_or((0, 0));
        parts.config.plan.iter().for_each(|plan| parts.shared.begin_horizon(Arc::new(plan.clone())));
        let mut engine = Self {
            parts,
            peers,
            radios,
            connections: BTreeMap::new(),
            closing: Vec::new(),
            answers: BTreeMap::new(),
            unanswered_bytes: 0,
            unwritten: Vec::new(),
            unwritten_bytes: 0,
            writing_bytes: 0,
            writing: None,
            taken: None,
            kept: Vec::new(),
            kept_written: Vec::new(),
            requests: Requests::default(),
            state_writes: VecDeque::new(),
            inbox,
            inbox_bytes,
            store_failing: None,
            quic_troubles: BTreeMap::new(),
            plan_trouble: None,
            counts: Counts::default(),
            plan: PlanNotes::default(),
            accepted_at: BTreeMap::new(),
            over_budget_at: None,
            civil_due: Instant::ZERO,
            civil: None,
            trust_due: Instant::ZERO,
            list_looked_at: 0,
            published: Instant::ZERO,
            stopping: None,
            catching_up: Instant::ZERO,
            behind: false,
            told: BTreeMap::new(),
            turned_away: 0,
        };
        engine.introduce_peers();
        engine.begin_plan();
        engine.announce();
        engine.publish();
        engine
    }

    /// The plan begins, or goes on after a restart: what was kept tells the node where it is.
    fn begin_plan(&mut self) {
        if self.parts.config.plan.is_some()
            && let Err(error) = self.input(Input::StartPlan)
        {
            tracing::error!(%error, "the plan does not begin");
            self.plan_trouble = Some(error.to_string());
        }
    }

    /// Runs until it was told to stop, and has.
    pub(crate) fn run(self) {
        let _ending = Ending {
            mailbox: self.parts.mailbox.clone(),
            streams: self.parts.streams.clone(),
            listeners: self.parts.listeners.clone(),
        };
        // Given away, so that it is dropped first, also in a panic: its connections end with it.
        self.turn_over();
    }

    fn turn_over(mut self) {
        if let Some(cpu) = self.parts.config.cpu
            && let Err(error) = processor::pin(cpu)
        {
            tracing::error!(cpu, %error, "the engine runs on any processor");
        }
        let (mut told, mut before) = (true, self.now());
        while !self.is_finished() {
            let now = self.now();
            if now.saturating_since(before) >= STALLED {
                self.catching_up = now.saturating_add(CATCHING_UP);
            }
            before = now;
            let longest = if told { HEARTBEAT } else { TELL_EVERY };
            let patience = self.next_deadline(now).saturating_since(now).min(longest);
            let (events, behind) = self.parts.mailbox.take(patience, self.open(), EVENTS_PER_TURN);
            self.behind = behind;
            let idle = events.is_empty();
            for event in events {
                self.on_event(event);
            }
            self.on_time();
            self.turn();
            self.hand_over();
            // A burst is told at its end, or now and then.
            told = idle || self.now().saturating_since(self.published) >= TELL_EVERY;
            if told {
                self.publish();
            }
        }
        self.finish();
    }

    fn now(&self) -> Instant {
        self.parts.clock.now()
    }

    /// Who is listened to: nobody while the disk is behind, no peer while the application leaves too much lying.
    fn open(&self) -> Open {
        Open { traffic: !self.is_shut(), commands: !self.is_behind() }
    }

    /// Whether the disk has more to write than it should.
    fn is_behind(&self) -> bool {
        let bytes = self.unanswered_bytes + self.unwritten_bytes + self.writing_bytes;
        self.unwritten.len() >= MAX_UNWRITTEN || bytes >= MAX_WAITING_BYTES
    }

    /// Whether no bundle is taken from peers.
    fn is_shut(&self) -> bool {
        let limits = &self.parts.config.limits;
        let full = self.inbox >= limits.inbox || self.inbox_bytes >= limits.inbox_bytes;
        // Who is asked to end says so behind what it has sent.
        self.is_behind() || full && self.stopping.is_none()
    }

    /// Whether a mishap is to be logged now, and how often it has happened since it last was: peers cause as many as they like.
    fn may_tell(&mut self, what: &'static str) -> Option<u64> {
        let now = self.now();
        match self.told.get_mut(what) {
            Some((at, since)) if now.saturating_since(*at) < SELDOM => {
                *since += 1;
                None
            }
            before => {
                let since = before.map_or(0, |(_, since)| *since);
                self.told.insert(what, (now, 0));
                Some(since)
            }
        }
    }

    fn is_finished(&self) -> bool {
        let Some(deadline) = self.stopping else { return false };
        let quiet = self.connections.is_empty() && self.unwritten.is_empty() && self.writing.is_none();
        quiet || self.now() >= deadline
    }

    /// Gives the node one input, and takes the time.
    fn input(&mut self, input: Input<'_>) -> Result<(), InputError> {
        let begun = self.now();
        let result = self.parts.node.handle_input(begun, input);
        let taken = self.now().saturating_since(begun);
        self.counts.input.record(taken);
        if taken > Duration::from_millis(u64::from(self.parts.config.limits.budget_ms)) {
            self.counts.over_budget += 1;
            self.over_budget_at = Some(begun);
            tracing::warn!(micros = taken.as_micros() as u64, "an input took longer than its budget");
        }
        result
    }

    /// Shows others what there is to see.
    fn publish(&mut self) {
        self.published = self.now();
        let mut counts = self.counts.clone();
        for (reason, count) in self.parts.node.refusals() {
            counts.refused.insert(("node", reason), *count);
        }
        let room = &self.parts.streams.room;
        let (away, shown_out) = (room.count_turned_away(), room.count_shown_out());
        for (reason, count) in [("too_many_connections", away), ("guest_gave_way", shown_out)] {
            if count > 0 {
                counts.refused.insert(("connection", reason), count);
            }
        }
        let away = away + shown_out;
        if away > std::mem::replace(&mut self.turned_away, away) && self.may_tell("turned_away").is_some() {
            tracing::warn!(
                away,
                "connections were turned away, or guests gave way: as many as allowed are open"
            );
        }
        let dropped = self.parts.datagrams_dropped.load(Ordering::Relaxed);
        if dropped > 0 {
            counts.refused.insert(("udp", "too_many_datagrams"), dropped);
        }
        self.radio_refusals(|door, reason, count| {
            *counts.refused.entry((door, reason)).or_default() += count
        });
        let signatures = self.parts.node.signatures();
        let queues = BTreeMap::from([
            ("store", self.parts.node.stored() as u64),
            ("inbox", self.inbox),
            ("inbox_bytes", self.inbox_bytes),
            ("unwritten", self.unwritten.len() as u64),
            ("unwritten_bytes", (self.unwritten_bytes + self.writing_bytes) as u64),
            ("unanswered_bytes", self.unanswered_bytes as u64),
            ("connections", self.connections.len() as u64),
            ("connection_places", self.parts.streams.room.taken() as u64),
            ("closing", self.closing.len() as u64),
            ("radio_again", self.radios.iter().map(|radio| radio.waiting() as u64).sum()),
            ("requests", (self.requests.len() + self.state_writes.len()) as u64),
            ("unacknowledged", self.accepted_at.len() as u64),
        ]);
        let since = self.over_budget_at.map(|at| self.published.saturating_since(at));
        let snapshot = Snapshot {
            over_budget_lately: since.is_some_and(|since| since < ALARM),
            counts,
            peers: self.peer_status(),
            plan: self.plan.shown(self.parts.shared.horizon().as_deref(), &self.parts.node, self.published),
            radios: self.parts.config.radios.iter().map(|radio| radio.name.clone()).collect(),
            troubles: self.troubles(),
            queues,
            log_entries: self.parts.node.journal().map(|journal| journal.size()),
            shared_cells: self.parts.node.replica().map(|replica| replica.cells() as u64),
            signatures: [signatures.made, signatures.checked],
            budget: Duration::from_millis(u64::from(self.parts.config.limits.budget_ms)),
            at: self.published.saturating_since(Instant::ZERO),
        };
        *self.parts.shared.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = snapshot;
    }

    fn troubles(&self) -> Vec<String> {
        let mut troubles = Vec::new();
        if let Some(why) = &self.store_failing {
            troubles.push(format!("the store cannot be written, and nothing is acknowledged: {why}"));
        }
        let limits = &self.parts.config.limits;
        if self.inbox >= limits.inbox || self.inbox_bytes >= limits.inbox_bytes {
            let (messages, bytes) = (self.inbox, self.inbox_bytes);
            troubles.push(format!(
                "the inbox is full: {messages} messages of {bytes} bytes wait for the application"
            ));
        }
        let quic = self.quic_troubles.iter();
        troubles.extend(quic.map(|(at, why)| format!("nothing speaks QUIC at {at}: {why}")));
        troubles.extend(self.plan_trouble.iter().map(|why| format!("the plan does not begin: {why}")));
        if self.stopping.is_some() {
            troubles.push("shutting down".to_owned());
        }
        troubles
    }
}
