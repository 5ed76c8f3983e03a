//! [`Entry`]: what is written down, and [`Event`]: what it is about.

use crate::{
    cbor::{self, CborError, Reader},
    envelope::Purpose,
    id::NodeId,
    time::DtnTime,
};
use alloc::{boxed::Box, vec::Vec};
use sha2::{Digest as _, Sha256};

/// Longest entry in bytes.
pub const MAX_ENTRY_LEN: usize = 256;
/// Longest text in an entry, in bytes.
const MAX_TEXT: usize = 64;

/// A short digest that ties an entry to bytes kept elsewhere: the first 8 bytes of SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Brief(pub [u8; 8]);

impl Brief {
    /// Of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::cut(&Sha256::digest(bytes).into())
    }

    /// Of a SHA-256 digest.
    #[must_use]
    pub const fn cut(digest: &[u8; 32]) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = *digest;
        Self([a, b, c, d, e, f, g, h])
    }
}

/// A message's name: by whom, for what, and which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageName {
    /// The other end: who it is for in the sender's log, who it is from in the receiver's.
    pub peer: NodeId,
    /// What for.
    pub purpose: Purpose,
    /// Epoch of its stream.
    pub epoch: u32,
    /// Its number in the stream.
    pub sequence: u64,
}

/// Something that happened at a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The node began to run.
    Started {
        /// Its incarnation.
        incarnation: u32,
    },
    /// It sent a message.
    Sent {
        /// Which.
        message: MessageName,
        /// Of the payload.
        payload: Brief,
    },
    /// It took a message of another whose signature holds.
    Accepted {
        /// Which.
        message: MessageName,
        /// Of the payload.
        payload: Brief,
    },
    /// It refused something. What is refused for one reason again and again is written at counts that are powers of two.
    Refused {
        /// In whose name; node 0 when nobody was named.
        peer: NodeId,
        /// Why: a stable word.
        reason: Box<str>,
        /// How often for this reason, up to now.
        count: u64,
    },
    /// A rule did not let a member do something.
    Denied {
        /// Who.
        subject: NodeId,
        /// What it wanted: a stable word.
        action: Box<str>,
        /// The rule that says so.
        rule: Box<str>,
    },
    /// A version of the plan was committed.
    PlanCommitted {
        /// The horizon.
        horizon: u64,
        /// The term of its coordinator.
        term: u32,
        /// The round that ended it.
        round: u32,
        /// How it ended: a stable word.
        outcome: Box<str>,
        /// Of this node's own part of it.
        values: Brief,
        /// Of the version's digest ([`Version::digest`](crate::planning::Version::digest)): the same for all, or their coordinator lies.
        version: Brief,
    },
    /// Shared state was reconciled with what a peer sent.
    Reconciled {
        /// With whom.
        peer: NodeId,
        /// Cells that were taken.
        writes: u64,
        /// Of what was taken.
        taken: Brief,
    },
    /// A signed statement about identities was taken.
    Learned {
        /// Of what: certificate, succession or revocations.
        what: Box<str>,
        /// About whom; node 0 for the authority.
        about: NodeId,
        /// Of the statement.
        statement: Brief,
    },
    /// Another's checkpoint was seen to grow out of the one before.
    Witnessed {
        /// Whose.
        peer: NodeId,
        /// Entries in its log.
        size: u64,
        /// Its root, in short.
        root: Brief,
    },
    /// A signer was caught: two statements that exclude each other.
    Caught {
        /// Who.
        peer: NodeId,
        /// At what: a stable word.
        at: Box<str>,
        /// Of the first statement.
        first: Brief,
        /// Of the second.
        second: Brief,
    },
    /// Something happened to the fleet's ledger of decisions.
    Governed {
        /// The slot.
        slot: u64,
        /// What: a stable word.
        step: Box<str>,
        /// Whose doing it was; node 0 for nobody's.
        about: NodeId,
        /// Of the proposal; of a decision, of the head of the history with it: who signs a checkpoint of this log signs that, too.
        record: Brief,
    },
}

/// An entry of a log: its number, when, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the log, from 0: an entry that was moved gives itself away.
    pub index: u64,
    /// Milliseconds on the node's own clock, which never runs back within an incarnation.
    pub clock_ms: u64,
    /// Civil time by the node's estimate, [`DtnTime::UNKNOWN`] without one.
    pub time: DtnTime,
    /// What happened.
    pub event: Event,
}

impl Event {
    const fn number(&self) -> u64 {
        match self {
            Self::Started { .. } => 0,
            Self::Sent { .. } => 1,
            Self::Accepted { .. } => 2,
            Self::Refused { .. } => 3,
            Self::Denied { .. } => 4,
            Self::PlanCommitted { .. } => 5,
            Self::Reconciled { .. } => 6,
            Self::Learned { .. } => 7,
            Self::Witnessed { .. } => 8,
            Self::Caught { .. } => 9,
            Self::Governed { .. } => 10,
        }
    }
}

impl Entry {
    /// The entry as bytes: `[index, clock, time, kind, fields…]` in deterministic CBOR. Texts are cut at 64 bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        cbor::put_head(&mut out, cbor::ARRAY, 4 + fields(&self.event));
        cbor::put_uint(&mut out, self.index);
        cbor::put_uint(&mut out, self.clock_ms);
        cbor::put_uint(&mut out, self.time.0);
        cbor::put_uint(&mut out, self.event.number());
        match &self.event {
            Event::Started { incarnation } => cbor::put_uint(&mut out, u64::from(*incarnation)),
            Event::Sent { message, payload } | Event::Accepted { message, payload } => {
                cbor::put_uint(&mut out, message.peer.0);
                cbor::put_uint(&mut out, u64::from(message.purpose.number()));
                cbor::put_uint(&mut out, u64::from(message.epoch));
                cbor::put_uint(&mut out, message.sequence);
                cbor::put_bytes(&mut out, &payload.0);
            }
            Event::Refused { peer, reason, count } => {
                cbor::put_uint(&mut out, peer.0);
                put_cut(&mut out, reason);
                cbor::put_uint(&mut out, *count);
            }
            Event::Denied { subject, action, rule } => {
                cbor::put_uint(&mut out, subject.0);
                put_cut(&mut out, action);
                put_cut(&mut out, rule);
            }
            Event::PlanCommitted { horizon, term, round, outcome, values, version } => {
                cbor::put_uint(&mut out, *horizon);
                cbor::put_uint(&mut out, u64::from(*term));
                cbor::put_uint(&mut out, u64::from(*round));
                put_cut(&mut out, outcome);
                cbor::put_bytes(&mut out, &values.0);
                cbor::put_bytes(&mut out, &version.0);
            }
            Event::Reconciled { peer, writes, taken } => {
                cbor::put_uint(&mut out, peer.0);
                cbor::put_uint(&mut out, *writes);
                cbor::put_bytes(&mut out, &taken.0);
            }
            Event::Learned { what, about, statement } => {
                put_cut(&mut out, what);
                cbor::put_uint(&mut out, about.0);
                cbor::put_bytes(&mut out, &statement.0);
            }
            Event::Witnessed { peer, size, root } => {
                cbor::put_uint(&mut out, peer.0);
                cbor::put_uint(&mut out, *size);
                cbor::put_bytes(&mut out, &root.0);
            }
            Event::Caught { peer, at, first, second } => {
                cbor::put_uint(&mut out, peer.0);
                put_cut(&mut out, at);
                cbor::put_bytes(&mut out, &first.0);
                cbor::put_bytes(&mut out, &second.0);
            }
            Event::Governed { slot, step, about, record } => {
                cbor::put_uint(&mut out, *slot);
                put_cut(&mut out, step);
                cbor::put_uint(&mut out, about.0);
                cbor::put_bytes(&mut out, &record.0);
            }
        }
        out
    }

    /// Reads an entry.
    ///
    /// # Errors
    /// [`CborError`] for anything that [`Entry::encode`] does not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        let mut reader = Reader::new(bytes);
        let items = reader.array()?;
        let (index, clock_ms, time) = (reader.uint()?, reader.uint()?, DtnTime(reader.uint()?));
        let event = read_event(&mut reader)?;
        let expected = 4 + fields(&event);
        if items != expected {
            return Err(CborError::Items { at: 0, expected, found: items });
        }
        reader.end()?;
        Ok(Self { index, clock_ms, time, event })
    }
}

const fn fields(event: &Event) -> u64 {
    match event {
        Event::Started { .. } => 1,
        Event::Refused { .. } | Event::Denied { .. } | Event::Reconciled { .. } => 3,
        Event::Learned { .. } | Event::Witnessed { .. } => 3,
        Event::Caught { .. } | Event::Governed { .. } => 4,
        Event::Sent { .. } | Event::Accepted { .. } => 5,
        Event::PlanCommitted { .. } => 6,
    }
}

fn read_event(reader: &mut Reader<'_>) -> Result<Event, CborError> {
    let at = reader.position();
    Ok(match reader.uint()? {
        0 => Event::Started { incarnation: small(reader)? },
        1 => Event::Sent { message: message(reader)?, payload: brief(reader)? },
        2 => Event::Accepted { message: message(reader)?, payload: brief(reader)? },
        3 => Event::Refused { peer: NodeId(reader.uint()?), reason: text(reader)?, count: reader.uint()? },
        4 => Event::Denied { subject: NodeId(reader.uint()?), action: text(reader)?, rule: text(reader)? },
        5 => Event::PlanCommitted {
            horizon: reader.uint()?,
            term: small(reader)?,
            round: small(reader)?,
            outcome: text(reader)?,
            values: brief(reader)?,
            version: brief(reader)?,
        },
        6 => {
            Event::Reconciled { peer: NodeId(reader.uint()?), writes: reader.uint()?, taken: brief(reader)? }
        }
        7 => Event::Learned { what: text(reader)?, about: NodeId(reader.uint()?), statement: brief(reader)? },
        8 => Event::Witnessed { peer: NodeId(reader.uint()?), size: reader.uint()?, root: brief(reader)? },
        9 => Event::Caught {
            peer: NodeId(reader.uint()?),
            at: text(reader)?,
            first: brief(reader)?,
            second: brief(reader)?,
        },
        10 => Event::Governed {
            slot: reader.uint()?,
            step: text(reader)?,
            about: NodeId(reader.uint()?),
            record: brief(reader)?,
        },
        found => return Err(CborError::Items { at, expected: 10, found }),
    })
}

fn message(reader: &mut Reader<'_>) -> Result<MessageName, CborError> {
    let (peer, at) = (NodeId(reader.uint()?), reader.position());
    let number = reader.uint()?;
    let purpose = Purpose::from_number(number).ok_or(CborError::Items { at, expected: 1, found: number })?;
    Ok(MessageName { peer, purpose, epoch: small(reader)?, sequence: reader.uint()? })
}

fn small(reader: &mut Reader<'_>) -> Result<u32, CborError> {
    let at = reader.position();
    u32::try_from(reader.uint()?).map_err(|_| CborError::NotDeterministic { at })
}

fn brief(reader: &mut Reader<'_>) -> Result<Brief, CborError> {
    let (at, bytes) = (reader.position(), reader.bytes()?);
    let found = bytes.len() as u64;
    bytes.try_into().map(Brief).map_err(|_| CborError::Items { at, expected: 8, found })
}

fn text(reader: &mut Reader<'_>) -> Result<Box<str>, CborError> {
    let (at, text) = (reader.position(), reader.text()?);
    if text.len() > MAX_TEXT {
        return Err(CborError::Items { at, expected: MAX_TEXT as u64, found: text.len() as u64 });
    }
    Ok(text.into())
}

fn put_cut(out: &mut Vec<u8>, text: &str) {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    cbor::put_text(out, &text[..end]);
}
