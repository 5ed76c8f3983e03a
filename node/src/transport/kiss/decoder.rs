//! Frames out of a byte stream that may begin anywhere and hold anything.

use super::{Command, FEND, FESC, TFEND, TFESC};
use std::collections::BTreeMap;

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KissFrame {
    /// The modem's port, 0 to 15.
    pub port: u8,
    /// What it is.
    pub command: Command,
    /// What it holds; never empty.
    pub payload: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Until the next FEND, nothing counts.
    Skipping,
    Inside,
    Escaped,
}

/// Reads frames; holds one of at most so many bytes as it was told. What is not a frame is dropped to the next [`FEND`] and counted.
#[derive(Clone, Debug)]
pub struct KissDecoder {
    max_payload: usize,
    state: State,
    /// Command byte and payload.
    gathered: Vec<u8>,
    refused: BTreeMap<&'static str, u64>,
}

impl KissDecoder {
    /// A decoder for frames with at most so many bytes of payload.
    #[must_use]
    pub const fn new(max_payload: usize) -> Self {
        Self { max_payload, state: State::Skipping, gathered: Vec::new(), refused: BTreeMap::new() }
    }

    /// The stream begins anew: what was gathered is forgotten.
    pub fn begin_anew(&mut self) {
        self.gathered.clear();
        self.state = State::Skipping;
    }

    /// Takes bytes off the front of `rest` until a frame is whole or nothing is left.
    pub fn take(&mut self, rest: &mut &[u8]) -> Option<KissFrame> {
        while let Some((byte, tail)) = rest.split_first() {
            *rest = tail;
            if let Some(frame) = self.push(*byte) {
                return Some(frame);
            }
        }
        None
    }

    /// What was refused, by reason: `too_long`, `bad_escape`, `unknown_command`, `empty`, and `return` for the command that ends KISS,
    /// which a host never obeys.
    #[must_use]
    pub const fn refused(&self) -> &BTreeMap<&'static str, u64> {
        &self.refused
    }

    fn push(&mut self, byte: u8) -> Option<KissFrame> {
        match (self.state, byte) {
            (State::Skipping, FEND) => self.state = State::Inside,
            (State::Skipping, _) => {}
            (State::Inside, FEND) => return self.finish(),
            (State::Inside, FESC) => self.state = State::Escaped,
            (State::Inside, _) => self.gather(byte),
            (State::Escaped, TFEND) => self.unescape(FEND),
            (State::Escaped, TFESC) => self.unescape(FESC),
            // The frame is over, and so is the fault.
            (State::Escaped, FEND) => {
                self.refuse("bad_escape");
                self.state = State::Inside;
            }
            (State::Escaped, _) => self.refuse("bad_escape"),
        }
        None
    }

    fn unescape(&mut self, byte: u8) {
        self.state = State::Inside;
        self.gather(byte);
    }

    fn gather(&mut self, byte: u8) {
        if self.gathered.len() > self.max_payload {
            return self.refuse("too_long");
        }
        self.gathered.push(byte);
    }

    fn refuse(&mut self, reason: &'static str) {
        *self.refused.entry(reason).or_default() += 1;
        self.gathered.clear();
        self.state = State::Skipping;
    }

    fn finish(&mut self) -> Option<KissFrame> {
        let (first, payload) = self.gathered.split_first()?;
        let (first, payload) = (*first, payload.to_vec());
        self.gathered.clear();
        let reason = match Command::of(first & 0x0F) {
            Some(_) if payload.is_empty() => "empty",
            Some(command) => return Some(KissFrame { port: first >> 4, command, payload }),
            None if first == 0xFF => "return",
            None => "unknown_command",
        };
        *self.refused.entry(reason).or_default() += 1;
        None
    }
}
