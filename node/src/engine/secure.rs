//! Sessions inside of TLS: bytes of the socket on one side, bytes of the session on the other.

use super::{Engine, connection::Connection};
use cosmosmesh_protocol::{
    convergence::tcpcl::{Role, Session, TlsOutcome},
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
                    let peer = self.parts.tls.as_ref().and_then(|setup| setup.peer(&secured.tls));
                    session.tls_done(
                        now,
                        match peer {
                            Some(peer) => TlsOutcome::Done { node_ids: vec![peer.endpoint(0).to_string()] },
                            None => TlsOutcome::Failed,
                        },
                    );
                    secured.feed(now, session);
                }
                taken
            }
            Err(error) => {
                self.counts.refuse("tls", reason(&error));
                if secured.told {
                    session.connection_lost(now);
                } else {
                    session.tls_done(now, TlsOutcome::Failed);
                }
                if let Some(more) = self.may_tell("tls_refused") {
                    tracing::warn!(%from, %error, more, "TLS is refused");
                }
                bytes.len()
            }
        }
    }
}

/// A stable word.
const fn reason(error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::InvalidCertificate(_) => "certificate",
        rustls::Error::NoCertificatesPresented => "no_certificate",
        rustls::Error::AlertReceived(_) => "refused_by_peer",
        rustls::Error::InvalidMessage(_) | rustls::Error::InappropriateMessage { .. } => "not_tls",
        rustls::Error::DecryptError => "decrypt",
        _ => "handshake",
    }
}
