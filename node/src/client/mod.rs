//! [`Client`]: a daemon for applications, over HTTP or in the same process.

mod http;
mod ledger;
mod revoke;
mod state;

use crate::{
    config::Config,
    credential,
    daemon::{Daemon, StartError},
    door::{Door, Health},
    engine::{Accepted, Refusal, purpose_word},
    message::Message,
    metrics::PeerStatus,
    plan::PlanView,
    token::Token,
};
use cosmosmesh_protocol::{
    convergence::mtcp,
    dtn::store::Priority,
    envelope::Purpose,
    id::{EndpointId, NodeId},
    node::{BundleSubmission, Submission},
};
use http::{Connection, escape};
use serde::de::DeserializeOwned;
use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// The longest that one request waits for a message.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The daemon refused it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The daemon cannot be reached, or went away. What was sent may or may not have been taken.
    #[error("the daemon at {address}: {source}")]
    Connection {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Who answers does not know the token, and was not shown it.
    #[error(
        "who answers at {address} does not know this token: it is another daemon, or was started anew since the token was read"
    )]
    Stranger {
        /// Where.
        address: SocketAddr,
    },
    /// The configuration says no `control` address.
    #[error("the configuration says no `control` address")]
    NoControl,
    /// The token of the daemon's control cannot be read: nobody has started it, or it is somebody else's.
    #[error("{}: {source}", path.display())]
    Token {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The answer is not a daemon's.
    #[error("the daemon at {address} answered with status {status}: {text}")]
    Answer {
        /// Where.
        address: SocketAddr,
        /// The status.
        status: u16,
        /// What it said.
        text: String,
    },
}

enum Way {
    /// Another process.
    Remote(Connection),
    /// This one.
    Embedded(Arc<Daemon>),
}

/// An application's hold on a daemon.
///
/// A message that [`Client::send`] returned for is durable, and delivered once, whatever crashes. A message that [`Client::receive`] gave
/// stays in the daemon's inbox until [`Client::take`]: after a crash in between it is given again, under the same number.
pub struct Client {
    way: Way,
    /// The last message that was given out.
    last: Mutex<Option<u64>>,
}

impl Client {
    /// Connects to the control address of a daemon. Without its token, health and metrics are all that it tells.
    ///
    /// # Errors
    /// When nobody is there.
    pub fn connect(address: SocketAddr, token: Option<&Token>) -> Result<Self, ClientError> {
        let connection = Connection::open(address, token)?;
        Ok(Self { way: Way::Remote(connection), last: Mutex::new(None) })
    }

    /// Connects to the daemon that was started with this configuration, by the token in its state folder.
    ///
    /// # Errors
    /// When nobody is there, the configuration says no control address, or the token cannot be read.
    pub fn connect_to(config: &Config) -> Result<Self, ClientError> {
        let address = config.control.ok_or(ClientError::NoControl)?;
        let path = config.token_file();
        let token = Token::read(&path).map_err(|source| ClientError::Token { path, source })?;
        Self::connect(address, Some(&token))
    }

    /// Starts a daemon in this process.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn embed(config: Config) -> Result<Self, StartError> {
        Ok(Self::of(Arc::new(Daemon::start(config)?)))
    }

    /// Takes hold of a daemon of this process.
    #[must_use]
    pub fn of(daemon: Arc<Daemon>) -> Self {
        Self { way: Way::Embedded(daemon), last: Mutex::new(None) }
    }

    /// Sends a message to a member: signed, acknowledged end to end, delivered once and in order. Returns when it is durable here.
    ///
    /// # Errors
    /// [`ClientError`]; with reason `stream_full` it is to be tried again later.
    pub fn send(
        &self,
        to: NodeId,
        purpose: Purpose,
        lifetime: Duration,
        payload: &[u8],
    ) -> Result<Accepted, ClientError> {
        match &self.way {
            Way::Embedded(daemon) => {
                let (priority, payload) = (Priority::Normal, payload.to_vec());
                let submission = Submission { destination: to, purpose, priority, lifetime, payload };
                Ok(daemon.door().submit(submission)?)
            }
            Way::Remote(connection) => {
                let seconds = lifetime.as_secs().max(1);
                let target =
                    format!("/v1/send?to={}&purpose={}&lifetime_s={seconds}", to.0, purpose_word(purpose));
                ask(connection, "POST", &target, payload)
            }
        }
    }

    /// The same for many payloads at once, which share the disk's commits: an answer for each, in order. Empty payloads are refused.
    ///
    /// # Errors
    /// [`ClientError`] when nothing was sent, or nobody knows what was.
    pub fn send_many(
        &self,
        to: NodeId,
        purpose: Purpose,
        lifetime: Duration,
        payloads: &[&[u8]],
    ) -> Result<Vec<Result<Accepted, Refusal>>, ClientError> {
        if payloads.iter().any(|payload| payload.is_empty()) {
            return Err(Refusal::new("bad_body", "an empty payload").into());
        }
        match &self.way {
            Way::Embedded(daemon) => {
                let submission = |payload: &&[u8]| Submission {
                    destination: to,
                    purpose,
                    priority: Priority::Normal,
                    lifetime,
                    payload: payload.to_vec(),
                };
                Ok(daemon.door().submit_all(payloads.iter().map(submission).collect()))
            }
            Way::Remote(connection) => {
                let mut body = Vec::new();
                payloads.iter().for_each(|payload| mtcp::put_frame(&mut body, payload));
                let (seconds, purpose) = (lifetime.as_secs().max(1), purpose_word(purpose));
                let target = format!("/v1/send_many?to={}&purpose={purpose}&lifetime_s={seconds}", to.0);
                ask(connection, "POST", &target, &body)
            }
        }
    }

    /// Sends a bundle without an envelope to any endpoint: at most once, acknowledged by nobody. Returns when this node has it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn send_bundle(
        &self,
        to: &EndpointId,
        lifetime: Duration,
        payload: &[u8],
    ) -> Result<Accepted, ClientError> {
        match &self.way {
            Way::Embedded(daemon) => {
                let source = daemon.door().own_endpoint(to);
                let submission = BundleSubmission::new(source, to.clone(), lifetime, payload.to_vec());
                Ok(daemon.door().send_bundle(submission)?)
            }
            Way::Remote(connection) => {
                let seconds = lifetime.as_secs().max(1);
                let target = format!("/v1/bundle?to={}&lifetime_s={seconds}", escape(&to.to_string()));
                ask(connection, "POST", &target, payload)
            }
        }
    }

    /// The next message that was not given out by this client yet; waits for one at most for `timeout`. It stays in the inbox until
    /// [`Client::take`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn receive(&self, timeout: Duration) -> Result<Option<Message>, ClientError> {
        let begun = crate::clock::monotonic();
        loop {
            let left = timeout.saturating_sub(begun.elapsed());
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            let found = self.inbox(*last, 1, left.min(LONGEST_WAIT))?.pop();
            if let Some(message) = &found {
                *last = Some(message.number);
            }
            if found.is_some() || begun.elapsed() >= timeout {
                return Ok(found);
            }
        }
    }

    /// Messages after the one with number `after`, at most `most`, the oldest first; waits for one at most for `patience`, of which a daemon
    /// grants half a minute.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn inbox(
        &self,
        after: Option<u64>,
        most: usize,
        patience: Duration,
    ) -> Result<Vec<Message>, ClientError> {
        match &self.way {
            Way::Embedded(daemon) => Ok(daemon.door().inbox(after, most, patience)?),
            Way::Remote(connection) => {
                let after = after.map_or(String::new(), |after| format!("&after={after}"));
                let target = format!("/v1/inbox?most={most}&wait_ms={}{after}", patience.as_millis());
                ask(connection, "GET", &target, &[])
            }
        }
    }

    /// The application has dealt with the message, and with all before it: none of them comes again. Durable when it returns.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn take(&self, message: &Message) -> Result<(), ClientError> {
        self.take_through(message.number)
    }

    /// The same by the message's number in the inbox.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn take_through(&self, number: u64) -> Result<(), ClientError> {
        match &self.way {
            Way::Embedded(daemon) => Ok(daemon.door().take(number)?),
            Way::Remote(connection) => {
                request(connection, "POST", &format!("/v1/take?through={number}"), &[]).map(drop)
            }
        }
    }

    /// Tells the daemon what the authority has signed, in the lines of a file of statements; what became of each.
    ///
    /// # Errors
    /// [`ClientError`]; with reason `bad_body` when a line holds no statement.
    pub fn learn(&self, statements: &str) -> Result<Vec<Result<(), Refusal>>, ClientError> {
        match &self.way {
            Way::Embedded(daemon) => {
                let parsed = credential::parse(statements)
                    .map_err(|line| Refusal::new("bad_body", format!("line {line} holds no statement")))?;
                Ok(daemon.door().learn(parsed))
            }
            Way::Remote(connection) => ask(connection, "POST", "/v1/learn", statements.as_bytes()),
        }
    }

    /// How the daemon is.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn health(&self) -> Result<Health, ClientError> {
        match &self.way {
            Way::Embedded(daemon) => Ok(daemon.door().health()),
            Way::Remote(connection) => ask(connection, "GET", "/v1/status", &[]),
        }
    }

    /// The daemon's peers, and whether they can be reached.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn peers(&self) -> Result<Vec<PeerStatus>, ClientError> {
        match &self.way {
            Way::Embedded(daemon) => Ok(daemon.door().peers()),
            Way::Remote(connection) => ask(connection, "GET", "/v1/peers", &[]),
        }
    }

    /// The plan, as the daemon knows it; none without one, and before it began.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn plan(&self) -> Result<Option<PlanView>, ClientError> {
        match &self.way {
            Way::Embedded(daemon) => Ok(daemon.door().plan()),
            Way::Remote(connection) => ask(connection, "GET", "/v1/plan", &[]),
        }
    }

    /// The plan's next horizon begins at the daemon, as the text of a horizon's file tells it (`docs/DAEMON.md`). Everyone who takes part is told,
    /// the coordinator last. Gives its number.
    ///
    /// # Errors
    /// [`ClientError`]; with reason `horizon` where the text does not fit the plan.
    pub fn next_horizon(&self, text: &str) -> Result<u64, ClientError> {
        match &self.way {
            Way::Embedded(daemon) => Ok(daemon.door().replan(text)?),
            Way::Remote(connection) => ask(connection, "POST", "/v1/plan/next", text.as_bytes()),
        }
    }

    /// The daemon's counters as OpenMetrics text.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn metrics(&self) -> Result<String, ClientError> {
        match &self.way {
            Way::Embedded(daemon) => Ok(daemon.door().snapshot().open_metrics()),
            Way::Remote(connection) => {
                let body = request(connection, "GET", "/metrics", &[])?;
                Ok(String::from_utf8_lossy(&body).into_owned())
            }
        }
    }

    /// Asks the daemon to shut down in order. One of this process is waited for.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn shutdown(self) -> Result<(), ClientError> {
        match &self.way {
            Way::Embedded(daemon) => {
                let door: &Door = daemon.door();
                door.stop();
                daemon.wait();
                Ok(())
            }
            Way::Remote(connection) => request(connection, "POST", "/v1/shutdown", &[]).map(drop),
        }
    }
}

fn request(connection: &Connection, method: &str, target: &str, body: &[u8]) -> Result<Vec<u8>, ClientError> {
    let address = connection.address();
    let (status, body) = connection.request(method, target, body)?;
    if status == 200 {
        return Ok(body);
    }
    if let Ok(refusal) = serde_json::from_slice::<Refusal>(&body) {
        return Err(refusal.into());
    }
    Err(ClientError::Answer { address, status, text: String::from_utf8_lossy(&body).trim().to_owned() })
}

fn ask<T: DeserializeOwned>(
    connection: &Connection,
    method: &str,
    target: &str,
    body: &[u8],
) -> Result<T, ClientError> {
    let answer = request(connection, method, target, body)?;
    serde_json::from_slice(&answer).map_err(|error| {
        let address = connection.address();
        ClientError::Answer { address, status: 200, text: error.to_string() }
    })
}
