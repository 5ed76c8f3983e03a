//! [`Session`]: one TCPCL session, from the contact header to its end (RFC 9174 §3.3).

mod contact;
mod establish;
mod timers;

use super::{
    codes::{RejectReason, TerminationReason, TransferRefusal, kind},
    config::Config,
    error::{Closure, FailureReason, SendError, Violation},
    message::{Message, REPLY, XferSegment, required},
    receive::{Judgement, Reception, UNEXPECTED_SEGMENT},
    transmit::{Answered, SegmentLimits, Transmission},
};
use crate::time::Instant;
use alloc::{
    collections::{BTreeMap, VecDeque},
    string::String,
    vec::Vec,
};
use core::time::Duration;

/// Messages to the peer that may wait, in bytes, before no more of its bytes are taken.
const MAX_CONTROL_BYTES: usize = 16 << 10;
/// Outputs that may wait before no more bytes are taken.
const MAX_OUTPUTS: usize = 256;

/// Who opened the TCP connection (RFC 9174 §2.1): the active entity did. It is also the TLS client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// We connected.
    Active,
    /// We accepted the connection.
    Passive,
}

/// The host's name for a bundle that it sends. The session repeats it and asks nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransferToken(pub u64);

/// What the two sides agreed on (RFC 9174 §4.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Established {
    /// The peer's node ID; empty when it did not tell. Not to be trusted unless `authenticated` (§4.6).
    pub peer_node_id: String,
    /// Whether the peer's certificate proves its node ID.
    pub authenticated: bool,
    /// The interval of keepalives; none when they are off.
    pub keepalive: Option<Duration>,
    /// The longest data of one segment that the peer takes, in bytes.
    pub segment_mtu: u64,
    /// The longest bundle that the peer takes, in bytes.
    pub transfer_mtu: u64,
}

/// What a session tells its driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Write what [`Session::poll_transmit`] gives, then do the TLS handshake (client when active), then call
    /// [`Session::tls_done`]. Bytes that [`Session::handle_bytes`] did not take belong to the handshake.
    StartTls {
        /// Which side of the handshake is ours.
        role: Role,
    },
    /// Bundles may be sent.
    Established(Established),
    /// A whole bundle came. When final acknowledgements are held, [`Session::accept`] or [`Session::refuse`] answers it.
    BundleReceived {
        /// The peer's transfer ID.
        transfer: u64,
        /// The bundle, not looked at.
        bundle: Vec<u8>,
    },
    /// A transfer of the peer will not be finished.
    ReceptionFailed {
        /// The peer's transfer ID.
        transfer: u64,
    },
    /// The peer has the whole bundle.
    TransferAcknowledged {
        /// The bundle.
        token: TransferToken,
    },
    /// The peer does not want the bundle.
    TransferRefused {
        /// The bundle.
        token: TransferToken,
        /// Why. With [`TransferRefusal::COMPLETED`] the peer has it already.
        reason: TransferRefusal,
        /// Bytes that it acknowledged before.
        acknowledged: u64,
    },
    /// The bundle may or may not have come to the peer: it is to be sent again.
    TransferFailed {
        /// The bundle.
        token: TransferToken,
        /// Why.
        reason: FailureReason,
        /// Bytes that the peer acknowledged.
        acknowledged: u64,
    },
    /// No new transfer begins from here on.
    Ending {
        /// Why.
        reason: TerminationReason,
        /// Whether the peer began it.
        by_peer: bool,
    },
    /// The session is over: write what [`Session::poll_transmit`] still gives, and close the TCP connection.
    Closed(Closure),
}

/// How the TLS handshake ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsOutcome {
    /// It failed, or security policy refused the peer's certificate or network name (RFC 9174 §4.4.3, §4.4.4).
    Failed,
    /// It succeeded.
    Done {
        /// The node IDs in the peer's certificate (§4.4.1); may be empty.
        node_ids: Vec<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Waiting for the peer's contact header.
    Contact,
    /// Waiting for the driver's TLS handshake.
    Tls,
    /// Waiting for the peer's SESS_INIT.
    Init,
    Established,
    /// SESS_TERM was sent.
    Ending,
    Closed,
}

/// One TCPCL session. See the [module](super) for how a driver uses it.
#[derive(Debug)]
pub struct Session {
    role: Role,
    config: Config,
    state: State,
    now: Instant,
    /// When the connection began, or since when the session is ending.
    since: Instant,
    last_sent: Instant,
    last_received: Instant,
    /// The last message received that was not a keepalive.
    last_active: Instant,
    /// Whether bytes of the peer were left to TCP when this was last looked at.
    deaf: bool,
    /// Whether the driver leaves them there.
    held: bool,
    /// A message that came in part.
    head: Vec<u8>,
    /// Messages to the peer, but segments and answers to segments.
    control: Vec<u8>,
    outputs: VecDeque<Output>,
    /// Node IDs that TLS proved; none without TLS.
    proven: Option<Vec<String>>,
    negotiated: Option<Established>,
    term_received: bool,
    term_reason: TerminationReason,
    reception: Reception,
    transmission: Transmission,
    counters: BTreeMap<&'static str, u64>,
}

impl Session {
    /// A session on a TCP connection that was opened at `now`.
    #[must_use]
    pub fn new(role: Role, config: Config, now: Instant) -> Self {
        let mut session = Self {
            role,
            config,
            state: State::Contact,
            now,
            since: now,
            last_sent: now,
            last_received: now,
            last_active: now,
            deaf: false,
            held: false,
            head: Vec::new(),
            control: Vec::new(),
            outputs: VecDeque::new(),
            proven: None,
            negotiated: None,
            term_received: false,
            term_reason: TerminationReason::UNKNOWN,
            reception: Reception::default(),
            transmission: Transmission::default(),
            counters: BTreeMap::new(),
        };
        if role == Role::Active {
            session.send_contact_header();
        }
        session
    }

    /// Takes bytes from the peer; gives how many. Fewer than all are taken while the driver has outputs to drain, bytes to
    /// write or bundles to accept, and when TLS begins: the rest is to be given again after that, respectively to TLS.
    pub fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) -> usize {
        self.tick(now);
        let mut taken = 0;
        while taken < bytes.len() && self.wants_bytes() {
            self.last_received = self.now;
            let rest = &bytes[taken..];
            taken += match self.state {
                State::Closed | State::Tls => rest.len(),
                State::Contact => self.take_contact_header(rest),
                State::Init | State::Established | State::Ending => self.take_message(rest),
            };
        }
        self.finish_ending();
        self.heed();
        taken
    }

    /// Whether bytes of the peer would be taken now. A driver that does not read while they would not leaves them to TCP,
    /// which slows the peer down.
    #[must_use]
    pub fn wants_bytes(&self) -> bool {
        match self.state {
            State::Closed => true,
            State::Tls => false,
            _ => {
                self.control.len() < MAX_CONTROL_BYTES
                    && self.outputs.len() < MAX_OUTPUTS
                    && self.reception.has_room(self.config.max_held)
            }
        }
    }

    /// Tells that the driver leaves bytes of the peer to TCP for now, or no longer. Meanwhile, silence of an established session is nobody's fault,
    /// and its time begins anew afterwards.
    pub fn hold(&mut self, now: Instant, held: bool) {
        self.now = self.now.max(now);
        self.held = held;
        self.heed();
    }

    /// What happened, oldest first; `None` when nothing is left to tell.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Appends messages for the peer, with one segment at most; gives how many bytes. They are to be written whole and in order.
    /// A driver calls it until it gives 0, or its socket takes no more.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> usize {
        self.tick(now);
        let before = out.len();
        self.reception.transmit(out);
        out.append(&mut self.control);
        if matches!(self.state, State::Established | State::Ending)
            && let Some(negotiated) = &self.negotiated
        {
            let mtu = usize::try_from(negotiated.segment_mtu).unwrap_or(usize::MAX);
            let limits = SegmentLimits {
                max_bytes: mtu.min(self.config.max_segment_bytes),
                max_unacknowledged: self.config.max_unacknowledged_segments,
            };
            self.transmission.transmit(self.now, limits, self.state == State::Established, out);
            if self.transmission.is_exhausted() && self.state == State::Established {
                self.begin_ending(TerminationReason::RESOURCE_EXHAUSTION, false);
            }
        }
        if out.len() > before {
            self.last_sent = self.now;
        }
        self.finish_ending();
        self.heed();
        out.len() - before
    }

    /// Queues a bundle. Its end is told by one output that carries `token`; until then the host keeps the bundle.
    ///
    /// # Errors
    /// When the session is not established, the peer does not take bundles of this length, or too many wait.
    pub fn send(&mut self, token: TransferToken, bundle: Vec<u8>) -> Result<(), SendError> {
        let negotiated = match (&self.negotiated, self.state) {
            (Some(negotiated), State::Established) => negotiated,
            _ => return Err(SendError::NotEstablished),
        };
        let (found, max) = (bundle.len() as u64, negotiated.transfer_mtu);
        if bundle.is_empty() {
            return Err(SendError::Empty);
        }
        if found > max {
            return Err(SendError::TooLarge { found, max });
        }
        self.transmission.enqueue(token, bundle, self.config.max_queued, self.config.max_queued_bytes)
    }

    /// Acknowledges a bundle whose final acknowledgement is held: it is stored. Says whether it was.
    pub fn accept(&mut self, now: Instant, transfer: u64) -> bool {
        self.tick(now);
        let found = self.reception.accept(transfer);
        self.finish_ending();
        self.heed();
        found
    }

    /// Refuses a transfer that is in progress, or a bundle whose final acknowledgement is held. Says whether there was one.
    pub fn refuse(&mut self, now: Instant, transfer: u64, reason: TransferRefusal) -> bool {
        self.tick(now);
        let found = self.reception.refuse(transfer, reason);
        self.finish_ending();
        self.heed();
        found
    }

    /// Ends the session: transfers in progress are finished, queued ones are given back (RFC 9174 §6.1).
    pub fn terminate(&mut self, now: Instant, reason: TerminationReason) {
        self.tick(now);
        match self.state {
            // Nobody has told us who it is; a contact header comes before any SESS_TERM.
            State::Contact if self.role == Role::Active => self.abort(reason, Closure::Aborted(reason)),
            State::Contact | State::Tls => self.close(Closure::Aborted(reason)),
            State::Init | State::Established => {
                self.begin_ending(reason, false);
                self.finish_ending();
            }
            State::Ending | State::Closed => {}
        }
    }

    /// Tells that the TCP connection is gone.
    pub fn connection_lost(&mut self, now: Instant) {
        self.tick(now);
        self.close(Closure::ConnectionLost);
        self.control.clear();
    }

    /// What the two sides agreed on, once established.
    #[must_use]
    pub const fn negotiated(&self) -> Option<&Established> {
        self.negotiated.as_ref()
    }

    /// Whether the session is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// How often each thing went wrong, by its stable word: [`Violation::reason`], [`Closure::reason`] and
    /// `repeated_acknowledgement`.
    #[must_use]
    pub const fn counters(&self) -> &BTreeMap<&'static str, u64> {
        &self.counters
    }

    /// Time is `now`, which may be long after bytes were last taken.
    fn tick(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if self.deaf {
            self.heed();
        }
    }

    /// Sees whether bytes are taken. When they are again, the peer's time starts anew: what it said meanwhile, its acknowledgements too,
    /// may still lie in TCP.
    fn heed(&mut self) {
        let was_deaf = self.deaf;
        self.deaf = self.held || !self.wants_bytes();
        if was_deaf && !self.deaf {
            self.last_received = self.now;
            self.transmission.restart(self.now);
        }
    }

    /// Takes data of a segment, or a part of a message.
    fn take_message(&mut self, bytes: &[u8]) -> usize {
        if self.reception.expects_data() {
            let taken = self.reception.take_data(bytes);
            self.finish_segment();
            return taken;
        }
        let needed = match required(&self.head, self.config.max_extension_bytes) {
            Ok(needed) => needed,
            Err(violation) => {
                self.on_unreadable(violation);
                return bytes.len();
            }
        };
        let taken = (needed - self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..taken]);
        match Message::decode(&self.head, self.config.max_extension_bytes) {
            Ok(None) => {}
            Ok(Some((message, _))) => {
                self.head.clear();
                self.on_message(message);
            }
            Err(violation) => self.on_unreadable(violation),
        }
        taken
    }

    fn on_message(&mut self, message: Message) {
        if message != Message::Keepalive {
            self.last_active = self.now;
        }
        let kind = message.kind();
        match (self.state, message) {
            (_, Message::SessTerm { flags, reason }) => self.on_termination(flags, reason),
            (_, Message::MsgReject { rejected, .. }) => self.on_reject(rejected),
            (State::Init, Message::SessInit(init)) => self.on_sess_init(init),
            // It crossed our SESS_TERM.
            (State::Ending, Message::SessInit(_)) if self.negotiated.is_none() => {}
            (_, Message::XferSegment(head)) => self.on_segment(&head),
            (State::Established | State::Ending, message) if self.negotiated.is_some() => match message {
                Message::XferAck { flags, transfer, acknowledged } => {
                    let how = self.config.acknowledgements;
                    let answer =
                        self.transmission.on_acknowledgement(self.now, how, (flags, transfer, acknowledged));
                    self.on_answer(answer, kind, Violation::Acknowledgement { transfer, acknowledged });
                }
                Message::XferRefuse { reason, transfer } => {
                    let answer = self.transmission.on_refusal(self.now, transfer, reason);
                    self.on_answer(answer, kind, Violation::Acknowledgement { transfer, acknowledged: 0 });
                }
                Message::Keepalive => {}
                _ => self.reject_unexpected(kind),
            },
            _ => self.reject_unexpected(kind),
        }
    }

    fn on_segment(&mut self, head: &XferSegment) {
        let judgement = match (self.state, &self.negotiated) {
            (State::Established, _) => self.reception.on_segment(&self.config, head, false),
            (State::Ending, Some(_)) => self.reception.on_segment(&self.config, head, true),
            _ => self.reception.skip(&self.config, head),
        };
        match judgement {
            Judgement::Kept | Judgement::Refused(None) => {}
            Judgement::Refused(Some(violation)) => self.count(violation.reason()),
            Judgement::Unexpected { given_up } => {
                self.reject_unexpected(kind::XFER_SEGMENT);
                if let Some(transfer) = given_up {
                    self.outputs.push_back(Output::ReceptionFailed { transfer });
                }
            }
            Judgement::Fatal(violation) => {
                self.reject(RejectReason::UNSUPPORTED, kind::XFER_SEGMENT);
                self.abort(TerminationReason::RESOURCE_EXHAUSTION, Closure::Violated(violation));
                return;
            }
        }
        self.finish_segment();
    }

    fn finish_segment(&mut self) {
        if let Some((transfer, bundle)) =
            self.reception.finish_segment(self.config.hold_final_acknowledgement)
        {
            self.outputs.push_back(Output::BundleReceived { transfer, bundle });
        }
    }

    fn on_answer(&mut self, answer: Answered, kind: u8, violation: Violation) {
        match answer {
            Answered::Progress => {}
            Answered::Repeated => self.count("repeated_acknowledgement"),
            Answered::Done(output) => self.outputs.push_back(output),
            Answered::Unknown => self.reject_unexpected(kind),
            Answered::Wrong => {
                self.reject(RejectReason::UNSUPPORTED, kind);
                self.abort(TerminationReason::UNKNOWN, Closure::Violated(violation));
            }
        }
    }

    fn on_termination(&mut self, flags: u8, reason: TerminationReason) {
        if core::mem::replace(&mut self.term_received, true) {
            return self.reject_unexpected(kind::SESS_TERM);
        }
        if self.state != State::Ending {
            // The same content but for REPLY (§6.1), so reserved bits too.
            self.enter_ending(flags | REPLY, reason, true);
        }
        self.finish_ending();
    }

    /// The peer did not take one of our messages. Without a segment or SESS_INIT that we count on, there is no going on.
    fn on_reject(&mut self, rejected: u8) {
        let violation = Violation::Rejected { kind: rejected };
        match rejected {
            kind::XFER_ACK | kind::XFER_REFUSE | kind::KEEPALIVE | kind::SESS_TERM | kind::MSG_REJECT => {
                self.count(violation.reason());
            }
            _ => self.abort(TerminationReason::UNKNOWN, Closure::Violated(violation)),
        }
    }

    /// The stream cannot be read any further.
    fn on_unreadable(&mut self, violation: Violation) {
        match violation {
            Violation::UnknownType { found } => {
                // §5.1.2: rejected, and the TCP connection closed.
                self.reject(RejectReason::TYPE_UNKNOWN, found);
                self.close(Closure::Violated(violation));
            }
            _ => {
                let reason = match self.state {
                    State::Init => TerminationReason::CONTACT_FAILURE,
                    _ => TerminationReason::RESOURCE_EXHAUSTION,
                };
                self.abort(reason, Closure::Violated(violation));
            }
        }
    }

    fn reject(&mut self, reason: RejectReason, rejected: u8) {
        Message::MsgReject { reason, rejected }.encode(&mut self.control);
    }

    fn reject_unexpected(&mut self, found: u8) {
        let violation =
            if found == kind::XFER_SEGMENT { UNEXPECTED_SEGMENT } else { Violation::Unexpected { found } };
        self.count(violation.reason());
        self.reject(RejectReason::UNEXPECTED, found);
    }

    fn count(&mut self, reason: &'static str) {
        let counter = self.counters.entry(reason).or_default();
        *counter = counter.saturating_add(1);
    }

    fn begin_ending(&mut self, reason: TerminationReason, by_peer: bool) {
        self.enter_ending(0, reason, by_peer);
    }

    /// Sends SESS_TERM; from here on no transfer begins.
    fn enter_ending(&mut self, flags: u8, reason: TerminationReason, by_peer: bool) {
        Message::SessTerm { flags, reason }.encode(&mut self.control);
        self.state = State::Ending;
        self.since = self.now;
        self.term_reason = reason;
        self.outputs.push_back(Output::Ending { reason, by_peer });
        self.transmission.give_up_queue(FailureReason::SessionEnded, &mut self.outputs);
    }

    /// Closes a session whose end is agreed and whose transfers are done.
    fn finish_ending(&mut self) {
        if self.state == State::Ending
            && self.term_received
            && self.transmission.is_idle()
            && self.reception.is_idle()
        {
            self.close(Closure::Terminated(self.term_reason));
        }
    }

    /// An unclean end (§6.1): SESS_TERM, and the TCP connection is closed.
    fn abort(&mut self, reason: TerminationReason, closure: Closure) {
        if self.state != State::Ending {
            Message::SessTerm { flags: 0, reason }.encode(&mut self.control);
        }
        self.close(closure);
    }

    fn close(&mut self, closure: Closure) {
        self.close_failing(closure, FailureReason::SessionEnded);
    }

    fn close_failing(&mut self, closure: Closure, reason: FailureReason) {
        if self.state == State::Closed {
            return;
        }
        self.state = State::Closed;
        self.head.clear();
        if !matches!(closure, Closure::Terminated(_)) {
            self.count(closure.reason());
        }
        if let Some(transfer) = self.reception.give_up() {
            self.outputs.push_back(Output::ReceptionFailed { transfer });
        }
        self.transmission.give_up(reason, &mut self.outputs);
        self.outputs.push_back(Output::Closed(closure));
    }

    #[cfg(test)]
    pub(super) fn transmission_mut(&mut self) -> &mut Transmission {
        &mut self.transmission
    }

    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.reception.held_bytes() + self.head.capacity() + self.control.capacity()
    }
}
