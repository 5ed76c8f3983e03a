//! Why a handshake over QUIC led to no session.

use crate::tls::Watched;
use quinn::{ConnectionError, VarInt};
use std::fmt;

/// Why a handshake led to nothing.
pub(super) struct Failure {
    pub(super) reason: &'static str,
    pub(super) problem: String,
}

impl Failure {
    pub(super) fn word(reason: &'static str) -> Self {
        Self { reason, problem: reason.to_owned() }
    }

    pub(super) fn setup(error: &dyn fmt::Display) -> Self {
        Self { reason: "setup", problem: error.to_string() }
    }

    /// By what we think of the peer's key, where that was the cause.
    pub(super) fn of(error: &ConnectionError, watched: &Watched) -> Self {
        if let Some(stranger) = watched.found() {
            return Self { reason: stranger.reason(), problem: stranger.to_string() };
        }
        let reason = match error {
            ConnectionError::TransportError(_) => "handshake",
            ConnectionError::ConnectionClosed(_) | ConnectionError::ApplicationClosed(_) => "refused_by_peer",
            ConnectionError::TimedOut | ConnectionError::Reset => "timed_out",
            ConnectionError::VersionMismatch => "version",
            ConnectionError::LocallyClosed | ConnectionError::CidsExhausted => "closed",
        };
        Self { reason, problem: error.to_string() }
    }

    /// Why a connection that looked made ended before there was a session: who connects is done with the handshake before the other side has judged it.
    /// None where it ended as any connection does: what there was to say, the session has said.
    pub(super) fn after(error: &ConnectionError, watched: &Watched) -> Option<Self> {
        match error {
            ConnectionError::LocallyClosed => None,
            ConnectionError::ApplicationClosed(close) if close.error_code == VarInt::from_u32(0) => None,
            error => Some(Self::of(error, watched)),
        }
    }
}
