//! The start of a connection: contact headers and TLS (RFC 9174 §4.1 to §4.4).

use super::{
    super::{
        codes::TerminationReason,
        config::TlsPolicy,
        error::{Closure, Violation},
        message::{ContactHeader, VERSION},
    },
    Output, Role, Session, State, TlsOutcome,
};
use crate::time::Instant;

impl Session {
    pub(super) fn send_contact_header(&mut self) {
        ContactHeader::new(self.config.tls != TlsPolicy::Refuse).encode(&mut self.control);
    }

    pub(super) fn take_contact_header(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(ContactHeader::LEN - self.head.len());
        self.head.extend_from_slice(&bytes[..taken]);
        match ContactHeader::decode(&self.head) {
            Ok(None) => {}
            Ok(Some(header)) => {
                self.head.clear();
                self.on_contact_header(header);
            }
            // §6.1: no SESS_TERM to one that does not speak TCPCL.
            Err(violation) => self.close(Closure::Violated(violation)),
        }
        taken
    }

    fn on_contact_header(&mut self, header: ContactHeader) {
        if self.role == Role::Passive {
            self.send_contact_header();
        }
        if header.version != VERSION {
            let closure = Closure::Violated(Violation::Version { found: header.version });
            return match self.role {
                Role::Passive => self.abort(TerminationReason::VERSION_MISMATCH, closure),
                Role::Active => self.close(closure),
            };
        }
        let enable_tls = header.can_tls() && self.config.tls != TlsPolicy::Refuse;
        if enable_tls {
            self.state = State::Tls;
            self.outputs.push_back(Output::StartTls { role: self.role });
        } else if self.config.tls == TlsPolicy::Require {
            self.abort(TerminationReason::CONTACT_FAILURE, Closure::Violated(Violation::Tls));
        } else {
            self.begin_messages();
        }
    }

    /// Tells how the TLS handshake ended. Bytes go through TLS from here on.
    pub fn tls_done(&mut self, now: Instant, outcome: TlsOutcome) {
        self.tick(now);
        if self.state != State::Tls {
            return;
        }
        match outcome {
            // §4.4.3: there is no session yet that a SESS_TERM could end.
            TlsOutcome::Failed => self.close(Closure::TlsFailed),
            TlsOutcome::Done { node_ids } => {
                self.proven = Some(node_ids);
                self.begin_messages();
            }
        }
    }

    fn begin_messages(&mut self) {
        self.state = State::Init;
        if self.role == Role::Active {
            self.send_sess_init();
        }
    }
}
