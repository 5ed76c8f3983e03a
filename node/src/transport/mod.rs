//! What carries bytes: each socket has threads of its own, which do nothing but move bytes between it and the engine.
//!
//! What is spoken on them is apart, without sockets and clocks: [`kiss`] with packet-radio modems, [`meshtastic`] with LoRa radios.

pub(crate) mod datagram;
pub(crate) mod endpoints;
pub mod kiss;
pub mod meshtastic;
#[cfg(feature = "quic")]
pub(crate) mod quic;
#[cfg(not(feature = "quic"))]
#[path = "quic_absent.rs"]
pub(crate) mod quic;
pub(crate) mod room;
pub(crate) mod stream;
pub mod wire;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Names a connection; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConnectionId(pub(crate) u64);

/// Numbers for connections.
#[derive(Debug, Default)]
pub(crate) struct ConnectionIds(AtomicU64);

impl ConnectionIds {
    pub(crate) fn next(&self) -> ConnectionId {
        ConnectionId(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// What is spoken on a byte stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamKind {
    /// TCPCLv4, both ways.
    Tcpcl,
    /// MTCP, from who connected to who accepted.
    Mtcp,
}

/// What a writer has still to write, and whether it has said since that it wrote something.
#[derive(Debug, Default)]
pub(crate) struct Outstanding {
    bytes: AtomicUsize,
    chunks_written: AtomicU64,
    told: AtomicBool,
    given_up: AtomicBool,
}

impl Outstanding {
    /// The engine hands over so many bytes.
    pub(crate) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Acquire)
    }

    /// Whether nothing more will be written: all is, or the writer has failed.
    pub(crate) fn is_over(&self) -> bool {
        self.has_failed() || self.bytes() == 0
    }

    /// Whether the writer has failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.given_up.load(Ordering::Acquire)
    }

    /// The writer has failed: what is left is never written.
    fn give_up(&self) {
        self.given_up.store(true, Ordering::Release);
    }

    /// Pieces that were written in all.
    pub(crate) fn chunks_written(&self) -> u64 {
        self.chunks_written.load(Ordering::Acquire)
    }

    /// The writer has written a piece of so many bytes; says whether the engine is to be told.
    fn written(&self, bytes: usize) -> bool {
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.chunks_written.fetch_add(1, Ordering::AcqRel);
        !self.told.swap(true, Ordering::AcqRel)
    }

    /// The engine was told, and looks.
    pub(crate) fn heard(&self) {
        self.told.store(false, Ordering::Release);
    }
}
