//! Two sessions joined by two byte streams on simulated time, and a session whose peer is the test.

use super::{Closure, Config, Message, Output, Role, SessInit, Session};
use crate::time::Instant;
use alloc::{collections::VecDeque, string::String, vec::Vec};
use core::time::Duration;

pub(super) const T0: Instant = Instant::from_nanos(1_000_000_000);

pub(super) fn after(span_s: u64) -> Instant {
    T0.saturating_add(Duration::from_secs(span_s))
}

pub(super) fn config(node_id: &str) -> Config {
    Config::new(String::from(node_id))
}

/// What a session gave.
#[derive(Debug)]
pub(super) struct End {
    pub(super) session: Session,
    pub(super) outputs: Vec<Output>,
    /// Bytes on the way to this session.
    inbox: VecDeque<u8>,
}

impl End {
    fn new(role: Role, config: Config) -> Self {
        Self { session: Session::new(role, config, T0), outputs: Vec::new(), inbox: VecDeque::new() }
    }

    pub(super) fn drain(&mut self) {
        while let Some(output) = self.session.poll_output() {
            self.outputs.push(output);
        }
    }

    pub(super) fn bundles(&self) -> Vec<Vec<u8>> {
        let bundle = |output: &Output| match output {
            Output::BundleReceived { bundle, .. } => Some(bundle.clone()),
            _ => None,
        };
        self.outputs.iter().filter_map(bundle).collect()
    }

    pub(super) fn closure(&self) -> Option<Closure> {
        self.outputs.iter().find_map(|output| match output {
            Output::Closed(closure) => Some(*closure),
            _ => None,
        })
    }
}

/// Two sessions, and the streams between them in pieces of any size.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) active: End,
    pub(super) passive: End,
    pub(super) now: Instant,
    pieces: Vec<usize>,
    turn: usize,
}

impl Pair {
    pub(super) fn new(active: Config, passive: Config, pieces: &[usize]) -> Self {
        let pieces = if pieces.is_empty() { Vec::from([usize::MAX]) } else { pieces.to_vec() };
        let (active, passive) = (End::new(Role::Active, active), End::new(Role::Passive, passive));
        Self { active, passive, now: T0, pieces, turn: 0 }
    }

    pub(super) fn established(active: Config, passive: Config) -> Self {
        let mut pair = Self::new(active, passive, &[]);
        pair.run();
        assert!(pair.active.session.negotiated().is_some() && pair.passive.session.negotiated().is_some());
        pair
    }

    /// Moves bytes until none move.
    pub(super) fn run(&mut self) {
        for _ in 0..1_000_000 {
            let piece = self.pieces[self.turn % self.pieces.len()].max(1);
            self.turn += 1;
            let moved = step(self.now, &mut self.active, &mut self.passive, piece)
                | step(self.now, &mut self.passive, &mut self.active, piece);
            if !moved {
                return;
            }
        }
        panic!("bytes move without end");
    }
}

/// `from` writes, and `to` reads a piece. Says whether anything moved.
fn step(now: Instant, from: &mut End, to: &mut End, piece: usize) -> bool {
    let mut out = Vec::new();
    let wrote = from.session.poll_transmit(now, &mut out);
    assert_eq!(wrote, out.len());
    to.inbox.extend(out);
    from.drain();
    let bytes: Vec<u8> = to.inbox.iter().copied().take(piece).collect();
    let taken = to.session.handle_bytes(now, &bytes);
    to.inbox.drain(..taken);
    to.drain();
    wrote > 0 || taken > 0
}

/// A session whose peer is the test.
#[derive(Debug)]
pub(super) struct Lone {
    pub(super) end: End,
    pub(super) now: Instant,
}

impl Lone {
    pub(super) fn new(role: Role, config: Config) -> Self {
        Self { end: End::new(role, config), now: T0 }
    }

    /// Past contact headers and SESS_INIT, with `init` from the peer.
    pub(super) fn established_with(role: Role, config: Config, init: SessInit) -> Self {
        let mut lone = Self::new(role, config);
        lone.give(b"dtn!\x04\x00");
        lone.say(&Message::SessInit(init));
        assert!(lone.end.session.negotiated().is_some(), "{:?}", lone.end.outputs);
        lone.sent();
        lone
    }

    pub(super) fn established(config: Config) -> Self {
        Self::established_with(Role::Passive, config, sess_init())
    }

    pub(super) fn give(&mut self, bytes: &[u8]) {
        let taken = self.end.session.handle_bytes(self.now, bytes);
        assert_eq!(taken, bytes.len(), "all bytes are taken");
        self.end.drain();
    }

    pub(super) fn say(&mut self, message: &Message) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        self.give(&bytes);
    }

    /// What the session wrote since the last call: bytes.
    pub(super) fn sent_bytes(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while self.end.session.poll_transmit(self.now, &mut out) > 0 {}
        self.end.drain();
        out
    }

    /// What the session wrote since the last call: messages, without the data of segments.
    pub(super) fn sent(&mut self) -> Vec<Message> {
        let bytes = self.sent_bytes();
        let mut rest = bytes.strip_prefix(b"dtn!\x04").map_or(bytes.as_slice(), |rest| &rest[1..]);
        let mut messages = Vec::new();
        while !rest.is_empty() {
            let (message, len) =
                Message::decode(rest, u32::MAX).expect("we write messages").expect("whole ones");
            rest = &rest[len..];
            if let Message::XferSegment(segment) = &message {
                rest = &rest[segment.data_len as usize..];
            }
            messages.push(message);
        }
        messages
    }

    pub(super) fn wait_until(&mut self, now: Instant) {
        self.now = now;
        self.end.session.handle_timeout(now);
        self.end.drain();
    }
}

pub(super) fn sess_init() -> SessInit {
    SessInit {
        keepalive_s: 60,
        segment_mru: 1000,
        transfer_mru: 1 << 20,
        node_id: b"ipn:9.0".to_vec(),
        extensions: Vec::new(),
    }
}
