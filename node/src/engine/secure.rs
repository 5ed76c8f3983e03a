//! Sessions inside of TLS: bytes of the socket on one side, bytes of the session on the other.

use super::{Engine, connection::Connection};
use crate::{tls, transport::ConnectionId};
use cosmosmesh_protocol::{
    convergence::tcpcl::{Role, Session, TlsOutcome},
    id::NodeId,
    identity::Statement,
    node::Input,
    time::Instant,
};
use std::io::{Read as _, Write as _};

/// Bytes that are read out of TLS at once.
const PLAIN_BYTES: usize = 16 << 10;

/// TLS under a session.
pub(super) struct Secured {
    tls: Box<rustls::Connection>,
    /// The session has been told how the handshake ended.
    told: bool,
    /// What the session has not taken.
    plain: Vec<u8>,
}

impl Secured {
    /// Whether the handshake has shown who the peer is.
    pub(super) const fn is_done(&self) -> bool {
        self.told
    }

    /// Puts the session's bytes, and those of TLS itself, into what the socket is to be given.
    pub(super) fn seal(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(piece.len() + 64);
        // Without a limit of its own, TLS takes all that it is given; the session gives no more than it may.
        let _ = self.tls.writer().write_all(piece);
        while self.tls.wants_write() && self.tls.write_tls(&mut out).is_ok_and(|written| written > 0) {}
        out
    }

    /// The last words of TLS.
    pub(super) fn end(&mut self) -> Vec<u8> {
        self.tls.send_close_notify();
        self.seal(&[])
    }

    /// Gives the session what it takes of the plain bytes; says whether that was all.
    fn feed(&mut self, now: Instant, session: &mut Session) -> bool {
        let taken = session.handle_bytes(now, &self.plain);
        self.plain.drain(..taken);
        self.plain.is_empty()
    }

    /// Takes bytes of the socket; gives how many. Fewer than all are taken while the session has enough.
    fn open(&mut self, now: Instant, session: &mut Session, bytes: &[u8]) -> Result<usize, rustls::Error> {
        if !self.feed(now, session) {
            return Ok(0);
        }
        let mut rest = bytes;
        // From a slice, only a full buffer makes it fail: the records in it are read first.
        let _ = self.tls.read_tls(&mut rest);
        self.tls.process_new_packets()?;
        let mut buffer = [0; PLAIN_BYTES];
        while let Ok(count @ 1..) = self.tls.reader().read(&mut buffer) {
            self.plain.extend_from_slice(&buffer[..count]);
        }
        self.feed(now, session);
        Ok(bytes.len() - rest.len())
    }
}

impl Engine {
    /// The session wants TLS from here on.
    pub(super) fn start_tls(&mut self, connection: &mut Connection, role: Role) {
        let now = self.now();
        let begun = match (&self.parts.tls, role) {
            (Some(setup), Role::Active) => setup.connect(connection.from().ip()),
            (Some(setup), Role::Passive) => setup.accept(),
            (None, _) => return,
        };
        match begun {
            Ok(mut tls) => {
                tls.set_buffer_limit(None);
                connection.secured = Some(Secured { tls: Box::new(tls), told: false, plain: Vec::new() });
            }
            Err(error) => {
                tracing::error!(%error, "TLS cannot begin");
                if let Some(session) = connection.session() {
                    session.tls_done(now, TlsOutcome::Failed);
                }
            }
        }
    }

    /// Gives bytes of the socket to a session inside of TLS; gives how many were taken.
    pub(super) fn open_tls(&mut self, connection: &mut Connection, bytes: &[u8]) -> usize {
        let now = self.now();
        let from = connection.from();
        let Some((session, Some(secured))) = connection.session_and_tls() else { return 0 };
        match secured.open(now, session, bytes) {
            Ok(taken) => {
                if !secured.told && !secured.tls.is_handshaking() {
                    secured.told = true;
                    let peer = self.parts.tls.as_ref().map(|setup| setup.peer(&secured.tls));
                    let outcome = match &peer {
                        Some(Ok((peer, _))) => {
                            TlsOutcome::Done { node_ids: vec![peer.endpoint(0).to_string()] }
                        }
                        Some(Err(_)) | None => TlsOutcome::Failed,
                    };
                    session.tls_done(now, outcome);
                    secured.feed(now, session);
                    if let Some(Ok((peer, shown))) = peer {
                        self.learn_of_peer(peer, shown);
                    }
                }
                taken
            }
            Err(error) => {
                self.counts.refuse("tls", tls::reason(&error));
                if secured.told {
                    session.connection_lost(now);
                } else {
                    session.tls_done(now, TlsOutcome::Failed);
                }
                if let Some(more) = self.may_tell("tls_refused") {
                    let why = tls::why(&error);
                    tracing::warn!(%from, why, more, "TLS is refused");
                }
                bytes.len()
            }
        }
    }

    /// The version of the list of keys taken back; 0 without one.
    pub(super) fn list_number(&self) -> u64 {
        self.parts.node.keyring().map_or(0, |keyring| keyring.list_number())
    }

    /// What the node knows of the authority's word is what sessions are judged by. Each heartbeat, and when somebody brings something new: not for
    /// each stranger that connects.
    fn tell_trust_to_tls(&self) {
        if let (Some(setup), Some(keyring)) = (&self.parts.tls, self.parts.node.keyring()) {
            setup.learn(keyring);
        }
    }

    /// What a peer has shown of its authority's word in a handshake that held: without it the node could not judge what it signs.
    pub(super) fn learn_of_peer(&mut self, peer: NodeId, shown: Vec<Statement>) {
        let Some(keyring) = self.parts.node.keyring() else { return };
        let known = keyring.credentials(peer);
        for statement in shown.into_iter().filter(|statement| !known.contains(statement)) {
            // One that is older than what is known is no news.
            let _ = self.input(Input::Learn(statement));
        }
    }

    /// Ends sessions whose peers the authority's word does not cover any more.
    pub(super) fn look_at_trust(&mut self) {
        if self.parts.tls.is_none() || self.parts.node.keyring().is_none() {
            return;
        }
        self.tell_trust_to_tls();
        self.list_looked_at = self.list_number();
        let Some(setup) = &self.parts.tls else { return };
        let mut over: Vec<(ConnectionId, &'static str, &'static str)> = Vec::new();
        for (id, connection) in &self.connections {
            let judged = match (&connection.secured, connection.proven()) {
                (Some(secured), _) if secured.told => setup.peer(&secured.tls).map(drop),
                (None, Some(proven)) => setup.holds(proven),
                _ => continue,
            };
            if let Err(stranger) = judged {
                tracing::warn!(from = %connection.from(), %stranger, "a session ends: its peer may have none any more");
                let door = if connection.proven().is_some() { "quic" } else { "tls" };
                over.push((*id, door, stranger.reason()));
            }
        }
        for (id, door, reason) in over {
            self.counts.refuse(door, reason);
            self.break_off(id);
        }
    }
}
