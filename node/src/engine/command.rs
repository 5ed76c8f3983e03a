//! What applications ask of the engine.

use super::Engine;
use crate::{
    config::NextHorizon,
    inbox::InboxNumber,
    mailbox::Reply,
    revocation::Revocation,
    state::{StateDot, StateItem, StateQuery, StateWrite},
};
use cosmosmesh_protocol::{
    bundle::BundleId,
    envelope::Purpose,
    id::NodeId,
    identity::{Cause, Statement},
    node::{BundleSubmission, Input, InputError, Submission},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// A request.
pub(crate) enum Command {
    /// Send a message to a member.
    Submit(Submission, Reply<Result<Accepted, Refusal>>),
    /// Send a bundle without an envelope.
    SendBundle(BundleSubmission, Reply<Result<Accepted, Refusal>>),
    /// The authority has signed these.
    Learn(Vec<Statement>, Reply<Vec<Result<(), Refusal>>>),
    /// The authority takes a member's key back, or this node's own where that is said.
    Revoke(NodeId, Cause, Own, Reply<Result<Revocation, Refusal>>),
    /// The log as it is, signed; nothing where none is kept.
    SignLog(Reply<Option<SignedLog>>),
    /// Write to shared state.
    WriteState(StateWrite, Reply<Result<StateDot, Refusal>>),
    /// Read shared state.
    ReadState(StateQuery, Reply<Result<Vec<StateItem>, Refusal>>),
    /// The plan's next horizon begins, as this file tells it.
    Replan(Box<NextHorizon>, Reply<Result<u64, Refusal>>),
    /// The inbox is dealt with up to here.
    Take(InboxNumber, Reply<()>),
}

impl Command {
    /// About how much memory it takes, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let payload = match self {
            Self::Submit(submission, _) => submission.payload.len(),
            Self::SendBundle(submission, _) => submission.payload.len(),
            Self::Learn(statements, _) => statements.iter().map(|statement| statement.parts().1.len()).sum(),
            Self::WriteState(write, _) => write.bytes(),
            Self::Replan(next, _) => next.whole.len(),
            Self::Revoke(..) | Self::SignLog(_) | Self::ReadState(..) | Self::Take(..) => 0,
        };
        payload + size_of::<Self>()
    }
}

/// Whether the node that takes keys back may take back its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Own {
    /// It goes on.
    Keep,
    /// That is meant.
    TakeBack,
}

/// An answer that is given when all that it says is on the disk.
pub(super) type Told = Box<dyn FnOnce() + Send>;

/// Answers; who asked may have gone.
fn answer<T: Send + 'static>(reply: Reply<T>, answer: T) -> Told {
    Box::new(move || drop(reply.send(answer)))
}

/// The log's state in the node's own words, and in others'.
pub(crate) struct SignedLog {
    /// Its checkpoint.
    pub(crate) checkpoint: Vec<u8>,
    /// Others' checkpoints.
    pub(crate) seen: Vec<Vec<u8>>,
    /// Others' signatures of its own.
    pub(crate) cosignatures: Vec<Vec<u8>>,
}

/// A message or bundle that is durable here, and on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The message's number in its stream; the bundle's in its creation timestamp.
    pub sequence: u64,
    /// The bundle's creation time, in milliseconds since 2000; none for a message.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub created_ms: Option<u64>,
}

/// Why something was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{problem}")]
pub struct Refusal {
    /// A stable word.
    pub reason: String,
    /// In a sentence.
    pub problem: String,
}

impl Refusal {
    pub(crate) fn new(reason: &str, problem: impl Into<String>) -> Self {
        Self { reason: reason.to_owned(), problem: problem.into() }
    }
}

type Pending = VecDeque<Reply<Result<Accepted, Refusal>>>;

/// Requests that wait until what they ask for is durable. Those of a stream are accepted in order.
#[derive(Default)]
pub(super) struct Requests {
    messages: BTreeMap<(NodeId, u8), Pending>,
    bundles: Pending,
}

impl Requests {
    pub(super) fn len(&self) -> usize {
        self.bundles.len() + self.messages.values().map(VecDeque::len).sum::<usize>()
    }

    pub(super) fn message_accepted(&mut self, destination: NodeId, purpose: Purpose, sequence: u64) {
        let waiting = self.messages.get_mut(&(destination, purpose.number()));
        if let Some(reply) = waiting.and_then(VecDeque::pop_front) {
            // Who asked may have gone: the message goes its way.
            let _ = reply.send(Ok(Accepted { sequence, created_ms: None }));
        }
    }

    pub(super) fn bundle_accepted(&mut self, id: &BundleId) {
        if let Some(reply) = self.bundles.pop_front() {
            let created_ms = Some(id.creation.time.as_millis());
            let _ = reply.send(Ok(Accepted { sequence: id.creation.sequence, created_ms }));
        }
    }
}

impl Engine {
    pub(super) fn on_command(&mut self, command: Command) {
        match command {
            Command::Submit(submission, reply) => {
                let stream = (submission.destination, submission.purpose.number());
                match self.input(Input::Submit(submission)) {
                    Ok(()) => self.requests.messages.entry(stream).or_default().push_back(reply),
                    Err(error) => self.refuse_submission(error, &reply),
                }
            }
            Command::SendBundle(submission, reply) => match self.input(Input::SendBundle(submission)) {
                Ok(()) => self.requests.bundles.push_back(reply),
                Err(error) => self.refuse_submission(error, &reply),
            },
            Command::Learn(statements, reply) => {
                let learned = self.learn(statements);
                self.drain_node();
                // What was known may have been learned a moment ago.
                let known = |refusal: &Refusal| refusal.reason == "trust_stale";
                let kept = learned.iter().any(|learned| learned.as_ref().err().is_none_or(known));
                self.tell_as(kept, answer(reply, learned));
            }
            Command::Revoke(node, cause, own, reply) => {
                let revoked = self.revoke(node, cause, own);
                self.drain_node();
                self.tell_as(revoked.is_ok(), answer(reply, revoked));
            }
            Command::SignLog(reply) => {
                let _ = reply.send(self.sign_log());
            }
            Command::WriteState(write, reply) => self.write_state(&write, reply),
            Command::ReadState(query, reply) => {
                let _ = reply.send(self.read_state(&query));
            }
            Command::Replan(next, reply) => {
                let _ = reply.send(self.replan(*next));
            }
            Command::Take(number, reply) => {
                self.taken = self.taken.max(Some(number));
                self.tell_when_kept(answer(reply, ()));
            }
        }
        // What is accepted at once is told now, so that replies keep the order of their requests.
        self.drain_node();
    }

    /// What is to be kept is told when it is, and a refusal at once.
    fn tell_as(&mut self, kept: bool, tell: Told) {
        if kept { self.tell_when_kept(tell) } else { tell() }
    }

    fn sign_log(&self) -> Option<SignedLog> {
        let node = &self.parts.node;
        let seen = node.witness().into_iter().flat_map(|witness| witness.evidence());
        let cosignatures = node.cosignatures().into_iter().flat_map(|known| known.values().cloned());
        Some(SignedLog {
            checkpoint: node.signed_checkpoint()?,
            seen: seen.map(|proven| proven.bytes.clone()).collect(),
            cosignatures: cosignatures.collect(),
        })
    }

    fn refuse_submission(&mut self, error: InputError, reply: &Reply<Result<Accepted, Refusal>>) {
        let reason = match &error {
            InputError::Submit(error) => error.reason(),
            _ => "input",
        };
        self.counts.refuse("application", reason);
        let _ = reply.send(Err(Refusal::new(reason, error.to_string())));
    }
}
