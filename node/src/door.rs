//! [`Door`]: how an application gets at a daemon, whether in this process or over HTTP.

mod ledger;
mod state;

use crate::{
    clock::{Clock, monotonic},
    config::Config,
    daemon::Addresses,
    engine::{Accepted, Command, Own, Refusal, Shared},
    inbox::InboxNumber,
    mailbox::{Event, Mailbox, Reply, reply},
    message::Message,
    metrics::{PeerStatus, Snapshot},
    plan::PlanView,
    revocation::Revocation,
    store::Store,
};
use cosmosmesh_protocol::{
    id::{EndpointId, NodeId},
    identity::{Cause, Did, Statement},
    node::{BundleSubmission, Submission},
    time::Instant,
};
use serde::{Deserialize, Serialize};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

/// How long a request may wait for room, and for the disk.
const PATIENCE: Duration = Duration::from_secs(30);
/// An engine that has not been heard of for so long hangs.
const HEARTBEAT_PATIENCE: Duration = Duration::from_secs(5);
/// The service that plain bundles come from: the first one that is an application's.
const APPLICATION: u64 = 2;
/// Most bytes of messages that are told at once.
const MAX_TOLD_BYTES: usize = 2 << 20;
/// Statements of the authority that the engine takes at once.
const MAX_LEARNED: usize = 64;
/// How often it is looked whether anybody waits still.
const SLICE: Duration = Duration::from_millis(250);

/// A daemon, from outside of its engine.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) config: Arc<Config>,
    pub(crate) did: Did,
    pub(crate) addresses: Addresses,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) store: Arc<Store>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) clock: Clock,
    /// Whoever waits by this hold on it.
    pub(crate) waits: Waits,
}

/// How a daemon is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Its number.
    pub node: u64,
    /// The public name of its key.
    pub did: String,
    /// Its version.
    pub version: String,
    /// What is required of transport, signatures and delivery.
    pub preset: String,
    /// Whether it can do its work.
    pub ready: bool,
    /// What keeps it from that.
    pub troubles: Vec<String>,
    /// Where peers reach it, by protocol.
    pub listens: Vec<String>,
}

impl Door {
    /// Sends a message; returns when it is durable here.
    pub(crate) fn submit(&self, submission: Submission) -> Result<Accepted, Refusal> {
        self.ask(|reply| Command::Submit(submission, reply))?
    }

    /// Sends many messages, and returns when each is durable here or refused: they share the disk's commits, and the time that one may take.
    pub(crate) fn submit_all(&self, submissions: Vec<Submission>) -> Vec<Result<Accepted, Refusal>> {
        let begun = monotonic();
        let left = || PATIENCE.saturating_sub(begun.elapsed());
        let asked = submissions.into_iter().map(|submission| {
            let (reply, answer) = reply();
            let posted = self.mailbox.post_command(Command::Submit(submission, reply), left());
            posted.then_some(answer)
        });
        let answers: Vec<_> = asked.collect();
        let given = |answer: Receiver<_>| self.await_answer(&answer, left).unwrap_or_else(Err);
        answers.into_iter().map(|answer| answer.map_or_else(|| Err(busy()), given)).collect()
    }

    /// Sends a plain bundle; returns when this node has it.
    pub(crate) fn send_bundle(&self, submission: BundleSubmission) -> Result<Accepted, Refusal> {
        self.ask(|reply| Command::SendBundle(submission, reply))?
    }

    /// The endpoint that plain bundles to `destination` come from: of the same scheme, so that they can be answered.
    pub(crate) fn own_endpoint(&self, destination: &EndpointId) -> EndpointId {
        match (destination, self.config.names.first()) {
            (EndpointId::Dtn(_), Some(name)) => EndpointId::Dtn(format!("//{name}/out").into()),
            _ => self.config.node.endpoint(APPLICATION),
        }
    }

    /// Messages after `after` that were not taken, the oldest first; waits for one at most for `patience`.
    pub(crate) fn inbox(
        &self,
        after: Option<u64>,
        most: usize,
        patience: Duration,
    ) -> Result<Vec<Message>, Refusal> {
        let (begun, patience) = (monotonic(), patience.min(PATIENCE));
        let entries = loop {
            let left = patience.saturating_sub(begun.elapsed());
            let entries = self.store.inbox(after.map(InboxNumber), most, left.min(SLICE));
            let entries = entries.map_err(|error| Refusal::new("store", error.to_string()))?;
            if !entries.is_empty() || left.is_zero() || self.waits.is_over() {
                break entries;
            }
        };
        let mut bytes = 0;
        let within = |message: &Message| {
            bytes += message.payload.len();
            // One at least, however large.
            bytes <= MAX_TOLD_BYTES || bytes == message.payload.len()
        };
        Ok(entries.into_iter().map(Message::from).take_while(within).collect())
    }

    /// Tells the node what the authority has signed; what becomes of each statement, once that is durable.
    pub(crate) fn learn(&self, statements: Vec<Statement>) -> Vec<Result<(), Refusal>> {
        let (begun, mut statements) = (monotonic(), statements.into_iter().peekable());
        let mut learned = Vec::new();
        while statements.peek().is_some() {
            let some: Vec<Statement> = statements.by_ref().take(MAX_LEARNED).collect();
            let (count, left) = (some.len(), PATIENCE.saturating_sub(begun.elapsed()));
            match self.ask_within(left, |reply| Command::Learn(some, reply)) {
                Ok(answers) => learned.extend(answers),
                Err(refusal) => learned.extend((0..count).map(|_| Err(refusal.clone()))),
            }
        }
        learned
    }

    /// Takes back the key in force of a member, if the node holds the authority's key; returns when that is durable.
    pub(crate) fn revoke(&self, node: NodeId, cause: Cause, own: Own) -> Result<Revocation, Refusal> {
        self.ask(|reply| Command::Revoke(node, cause, own, reply))?
    }

    /// The plan's next horizon begins here, as this text tells it. Gives its number.
    pub(crate) fn replan(&self, text: &str) -> Result<u64, Refusal> {
        let none = || Refusal::new("not_configured", "this node takes part in no plan");
        let plan = self.shared.horizon().ok_or_else(none)?;
        let next = plan.next(self.config.node, text);
        let next = Box::new(next.map_err(|error| Refusal::new("horizon", error.to_string()))?);
        self.ask(|reply| Command::Replan(next, reply))?
    }

    /// The inbox is dealt with up to `through`; returns when that is durable.
    pub(crate) fn take(&self, through: u64) -> Result<(), Refusal> {
        self.ask(|reply| Command::Take(InboxNumber(through), reply))
    }

    /// How it is.
    pub(crate) fn health(&self) -> Health {
        let snapshot = self.shared.snapshot();
        let mut troubles = snapshot.troubles;
        if !self.is_alive() {
            troubles.push("the engine does not answer".to_owned());
        }
        let addresses = self.addresses;
        let listens = [
            ("tcpcl", addresses.tcpcl),
            ("mtcp", addresses.mtcp),
            ("udp", addresses.udp),
            ("quic", addresses.quic),
        ];
        let listens = listens.iter().filter_map(|(what, at)| at.map(|at| format!("{what} {at}")));
        Health {
            node: self.config.node.0,
            did: self.did.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            preset: format!("{:?}", self.config.preset).to_lowercase(),
            ready: troubles.is_empty(),
            troubles,
            listens: listens.collect(),
        }
    }

    /// Whether the engine has been heard of.
    pub(crate) fn is_alive(&self) -> bool {
        let now = self.clock.now().saturating_since(Instant::ZERO);
        now.saturating_sub(self.shared.told_at()) < HEARTBEAT_PATIENCE
    }

    /// The peers, and whether they can be reached.
    pub(crate) fn peers(&self) -> Vec<PeerStatus> {
        self.shared.snapshot().peers
    }

    /// The plan, as the node knows it.
    pub(crate) fn plan(&self) -> Option<PlanView> {
        self.shared.plan().as_deref().cloned()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.shared.snapshot()
    }

    /// Asks it to shut down.
    pub(crate) fn stop(&self) {
        self.mailbox.post_urgent(Event::Stop);
    }

    fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, Refusal> {
        self.ask_within(PATIENCE, command)
    }

    fn ask_within<T>(
        &self,
        patience: Duration,
        command: impl FnOnce(Reply<T>) -> Command,
    ) -> Result<T, Refusal> {
        let (begun, (reply, answer)) = (monotonic(), reply());
        if !self.mailbox.post_command(command(reply), patience) {
            return Err(busy());
        }
        self.await_answer(&answer, || patience.saturating_sub(begun.elapsed()))
    }

    /// Waits for an answer as long as there is time `left`, and somebody who waits for it.
    fn await_answer<T>(&self, answer: &Receiver<T>, left: impl Fn() -> Duration) -> Result<T, Refusal> {
        loop {
            match answer.recv_timeout(left().min(SLICE)) {
                Err(RecvTimeoutError::Timeout) if !left().is_zero() && !self.waits.is_over() => {}
                other => return other.map_err(|_| unanswered()),
            }
        }
    }
}

/// Whether anybody waits for an answer still.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waits(Arc<AtomicBool>);

impl Waits {
    /// Nobody does any more.
    pub(crate) fn end(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_over(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

fn busy() -> Refusal {
    Refusal::new("busy", "too many requests wait, or it is shutting down")
}

fn unanswered() -> Refusal {
    Refusal::new("unanswered", "no answer in time: it may have been taken, and may yet be done")
}
