//! Messages out of a byte stream that may begin anywhere and hold anything: a radio prints log lines between them.

use prost::Message;
use std::{collections::BTreeMap, marker::PhantomData};

/// Before each message.
pub const START: [u8; 2] = [0x94, 0xC3];
/// Most bytes of a message.
pub const MAX_MESSAGE: usize = 512;
/// What a program sends first over a serial line: it wakes the radio, and whatever half message the radio has is over after it.
pub const WAKE_UP: [u8; 32] = [START[1]; 32];

const HEADER_LEN: usize = 4;

/// A message of more than [`MAX_MESSAGE`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message of {bytes} bytes; the protocol has at most {MAX_MESSAGE}")]
pub struct MessageTooLong {
    /// Its bytes.
    pub bytes: usize,
}

/// Appends a message with its header.
///
/// # Errors
/// It is too long; nothing was appended.
pub fn put_message(out: &mut Vec<u8>, message: &impl Message) -> Result<(), MessageTooLong> {
    let bytes = message.encoded_len();
    let length =
        u16::try_from(bytes).ok().filter(|_| bytes <= MAX_MESSAGE).ok_or(MessageTooLong { bytes })?;
    out.extend(START);
    out.extend(length.to_be_bytes());
    out.extend(message.encode_to_vec());
    Ok(())
}

/// Reads messages of one kind; holds at most one with its header.
///
/// A header that stands before something else than a message was noise that looked like one: reading goes on one byte after it, so that no
/// message is lost behind it.
#[derive(Clone, Debug)]
pub struct StreamDecoder<M> {
    /// Empty, or begins with what may be a header.
    buffer: Vec<u8>,
    noise: u64,
    refused: BTreeMap<&'static str, u64>,
    kind: PhantomData<M>,
}

impl<M> Default for StreamDecoder<M> {
    fn default() -> Self {
        Self { buffer: Vec::new(), noise: 0, refused: BTreeMap::new(), kind: PhantomData }
    }
}

impl<M: Message + Default> StreamDecoder<M> {
    /// Takes bytes off the front of `rest` until a message is whole or nothing is left. To be called until it gives nothing.
    pub fn take(&mut self, rest: &mut &[u8]) -> Option<M> {
        loop {
            self.align();
            let wanted = self.wanted();
            if self.buffer.len() >= wanted {
                if let Some(message) = self.decode(wanted) {
                    return Some(message);
                }
                continue;
            }
            if self.buffer.is_empty() {
                self.pass_noise(rest);
            }
            if rest.is_empty() {
                return None;
            }
            let (some, others) = rest.split_at(rest.len().min(wanted - self.buffer.len()));
            self.buffer.extend_from_slice(some);
            *rest = others;
        }
    }

    /// Nothing came for a while: what looks like a message that is not whole was noise. What is behind it is read again by the next
    /// [`StreamDecoder::take`]. Says whether there was anything.
    pub fn give_up(&mut self) -> bool {
        let waits = !self.buffer.is_empty();
        if waits {
            self.refuse("cut_off");
        }
        waits
    }

    /// Whether a message has begun and is not whole.
    #[must_use]
    pub const fn is_inside(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Bytes that belonged to no message.
    #[must_use]
    pub const fn noise(&self) -> u64 {
        self.noise
    }

    /// Headers that no message stood behind, by reason: `too_long`, `empty`, `undecodable`, `cut_off`.
    #[must_use]
    pub const fn refused(&self) -> &BTreeMap<&'static str, u64> {
        &self.refused
    }

    /// Drops what cannot be a header, so that the buffer is empty or begins with what may be one.
    fn align(&mut self) {
        loop {
            let header = self.buffer.windows(2).position(|pair| pair == START);
            let begun = self.buffer.len().checked_sub(1).filter(|last| self.buffer[*last] == START[0]);
            let first = header.or(begun).unwrap_or(self.buffer.len());
            self.drop_noise(first);
            if self.buffer.len() < HEADER_LEN {
                return;
            }
            match self.length() {
                0 => self.refuse("empty"),
                length if length > MAX_MESSAGE => self.refuse("too_long"),
                _ => return,
            }
        }
    }

    /// How many bytes the buffer is to hold for the next step: a header, or a message with it.
    fn wanted(&self) -> usize {
        if self.buffer.len() < HEADER_LEN { HEADER_LEN } else { HEADER_LEN + self.length() }
    }

    fn length(&self) -> usize {
        usize::from(u16::from_be_bytes([self.buffer[2], self.buffer[3]]))
    }

    fn decode(&mut self, end: usize) -> Option<M> {
        let decoded = M::decode(&self.buffer[HEADER_LEN..end]).ok();
        match decoded {
            Some(_) => drop(self.buffer.drain(..end)),
            None => self.refuse("undecodable"),
        }
        decoded
    }

    fn refuse(&mut self, reason: &'static str) {
        *self.refused.entry(reason).or_default() += 1;
        self.drop_noise(1);
    }

    fn drop_noise(&mut self, count: usize) {
        self.buffer.drain(..count);
        self.noise += count as u64;
    }

    fn pass_noise(&mut self, rest: &mut &[u8]) {
        let first = rest.iter().position(|byte| *byte == START[0]).unwrap_or(rest.len());
        self.noise += first as u64;
        *rest = &rest[first..];
    }
}
