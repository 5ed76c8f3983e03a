//! What an application outside of the simulation asks of its node, and what it is told, as bytes.
//!
//! | | Bytes, numbers big-endian |
//! |---|---|
//! | [`Asked::Send`] | its number (64 bits, below 2⁵⁶), destination's node number (64), purpose (8), lifetime in milliseconds (64), payload |
//! | all else asked | deterministic CBOR: `[1, number, write…]`, `[2, number, kind, name, key, after]`, `[3]`, `[4, number, first, most]` |
//! | [`Answer::Accepted`] | 1, number of what was asked (64), sequence (64) |
//! | [`Answer::Refused`] | 2, number of what was asked (64), the reason's word |
//! | [`Answer::Message`] | 3, source's node number (64), purpose (8), sequence (64), epoch (32), created (64), payload |
//! | all other answers | deterministic CBOR: `[4, number, sequence]`, `[5, number, items]`, `[6, item]`, `[7, number, size, entries]` |
//!
//! A write is its kind (put, remove, register, add, drop, count from 1 on) and what it writes. What may be missing is an array of none or one.

use cosmosmesh_protocol::{
    cbor::{self, CborError, Reader},
    envelope::Purpose,
    id::NodeId,
    node::Delivery,
    sync::{Item, Kind, Look, Op},
    time::DtnTime,
};
use std::time::Duration;

const ACCEPTED: u8 = 1;
const REFUSED: u8 = 2;
const MESSAGE: u8 = 3;
const WRITTEN: u64 = 4;
const ITEMS: u64 = 5;
const CHANGED: u64 = 6;
const ENTRIES: u64 = 7;
/// Most items, or entries of the log, that are told at once.
pub const MAX_TOLD: usize = 1000;
const KINDS: [Kind; 4] = [Kind::Map, Kind::Register, Kind::Set, Kind::Counter];

/// What an application asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// That a message be sent.
    Send {
        /// Comes back with the answer.
        number: u64,
        /// To whom.
        destination: NodeId,
        /// What for.
        purpose: Purpose,
        /// For how long it is worth delivering.
        lifetime: Duration,
        /// What it says.
        payload: Vec<u8>,
    },
    /// That shared state be written to.
    Write {
        /// Comes back with the answer.
        number: u64,
        /// What: see [`Asked::write`].
        write: Vec<u8>,
    },
    /// What there is in shared state.
    Read {
        /// Comes back with the answer.
        number: u64,
        /// Of this kind only.
        kind: Option<Kind>,
        /// This object, with what is in it; without it, the names of all.
        name: Option<Vec<u8>>,
        /// This key of a map, or member of a set.
        key: Option<Vec<u8>>,
        /// Only what comes after this one.
        after: Option<Vec<u8>>,
    },
    /// That it be told from now on what others write to maps and registers.
    Watch,
    /// Entries of the node's log.
    Entries {
        /// Comes back with the answer.
        number: u64,
        /// From this one on.
        first: u64,
        /// At most so many.
        most: u64,
    },
}

/// What an application is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// What was asked is durable, and on its way.
    Accepted {
        /// The number of what was asked.
        number: u64,
        /// The message's, in its stream.
        sequence: u64,
    },
    /// What was asked is not done.
    Refused {
        /// The number of what was asked.
        number: u64,
        /// A stable word.
        reason: String,
    },
    /// A message came.
    Message(Delivery),
    /// What it wrote to shared state is durable.
    Written {
        /// The number of what was asked.
        number: u64,
        /// That of the write.
        sequence: u64,
    },
    /// What there is in shared state of what was asked for.
    Items {
        /// The number of what was asked.
        number: u64,
        /// All of it, or the first [`MAX_TOLD`].
        items: Vec<Item>,
    },
    /// Another has written to a map or a register: how it reads now.
    Changed(Item),
    /// What the node's log holds of what was asked for.
    Entries {
        /// The number of what was asked.
        number: u64,
        /// How many entries it has.
        size: u64,
        /// Those that were asked for, or the first [`MAX_TOLD`].
        entries: Vec<Vec<u8>>,
    },
}

impl Asked {
    /// A write to shared state.
    #[must_use]
    pub fn write(number: u64, op: &Op<'_>) -> Self {
        let mut write = Vec::new();
        let (kind, parts): (u64, Vec<&[u8]>) = match *op {
            Op::MapPut { name, key, value } => (1, vec![name, key, value]),
            Op::MapRemove { name, key } => (2, vec![name, key]),
            Op::Register { name, value } => (3, vec![name, value]),
            Op::SetAdd { name, member } => (4, vec![name, member]),
            Op::SetRemove { name, member } => (5, vec![name, member]),
            Op::Count { name, .. } => (6, vec![name]),
        };
        cbor::put_uint(&mut write, kind);
        parts.iter().for_each(|part| cbor::put_bytes(&mut write, part));
        if let Op::Count { by, .. } = op {
            cbor::put_uint(&mut write, by.cast_unsigned());
        }
        Self::Write { number, write }
    }

    /// As it comes in.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let out = &mut bytes;
        match self {
            Self::Send { number, destination, purpose, lifetime, payload } => {
                out.extend_from_slice(&number.to_be_bytes());
                out.extend_from_slice(&destination.0.to_be_bytes());
                out.push(purpose.number());
                out.extend_from_slice(&(lifetime.as_millis() as u64).to_be_bytes());
                out.extend_from_slice(payload);
            }
            Self::Write { number, write } => {
                put_numbers(out, 3, &[1, *number]);
                cbor::put_bytes(out, write);
            }
            Self::Read { number, kind, name, key, after } => {
                put_numbers(out, 6, &[2, *number]);
                let kind = kind.and_then(code).into_iter();
                cbor::put_head(out, cbor::ARRAY, kind.len() as u64);
                kind.for_each(|kind| cbor::put_uint(out, kind));
                for part in [name, key, after] {
                    put_maybe(out, part.as_deref());
                }
            }
            Self::Watch => put_numbers(out, 1, &[3]),
            Self::Entries { number, first, most } => put_numbers(out, 4, &[4, *number, *first, *most]),
        }
        bytes
    }

    /// None of what is not one.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if *bytes.first()? != 0 {
            return read_other(bytes).ok().flatten();
        }
        let (number, rest) = number(bytes)?;
        let (destination, rest) = self::number(rest)?;
        let (purpose, rest) = purpose(rest)?;
        let (millis, payload) = self::number(rest)?;
        let (destination, lifetime) = (NodeId(destination), Duration::from_millis(millis));
        Some(Self::Send { number, destination, purpose, lifetime, payload: payload.to_vec() })
    }

    /// What is asked of the replica, of a question about shared state.
    #[must_use]
    pub fn look(&self) -> Option<Look<'_>> {
        let Self::Read { kind, name, key, after, .. } = self else { return None };
        let (name, key, after) = (name.as_deref(), key.as_deref(), after.as_deref());
        Some(Look { kind: *kind, name, key, after, most: MAX_TOLD })
    }
}

/// What the bytes of a write say; none of others.
#[must_use]
pub(super) fn op(write: &[u8]) -> Option<Op<'_>> {
    read_op(write).ok().flatten()
}

fn read_op(write: &[u8]) -> Result<Option<Op<'_>>, CborError> {
    let mut reader = Reader::new(write);
    let (kind, name) = (reader.uint()?, reader.bytes()?);
    let op = match kind {
        1 => Op::MapPut { name, key: reader.bytes()?, value: reader.bytes()? },
        2 => Op::MapRemove { name, key: reader.bytes()? },
        3 => Op::Register { name, value: reader.bytes()? },
        4 => Op::SetAdd { name, member: reader.bytes()? },
        5 => Op::SetRemove { name, member: reader.bytes()? },
        6 => Op::Count { name, by: reader.uint()?.cast_signed() },
        _ => return Ok(None),
    };
    reader.end()?;
    Ok(Some(op))
}

fn read_other(bytes: &[u8]) -> Result<Option<Asked>, CborError> {
    let mut reader = Reader::new(bytes);
    let (items, kind) = (reader.array()?, reader.uint()?);
    let asked = match (kind, items) {
        (1, 3) => Asked::Write { number: reader.uint()?, write: reader.bytes()?.to_vec() },
        (2, 6) => {
            let number = reader.uint()?;
            let kind = match reader.array()? {
                0 => None,
                _ => match kind_of(reader.uint()?) {
                    None => return Ok(None),
                    kind => kind,
                },
            };
            let mut part = || maybe(&mut reader);
            Asked::Read { number, kind, name: part()?, key: part()?, after: part()? }
        }
        (3, 1) => Asked::Watch,
        (4, 4) => Asked::Entries { number: reader.uint()?, first: reader.uint()?, most: reader.uint()? },
        _ => return Ok(None),
    };
    reader.end()?;
    Ok(Some(asked))
}

impl Answer {
    /// As it goes out.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let out = &mut bytes;
        match self {
            Self::Accepted { number, sequence } => {
                out.push(ACCEPTED);
                out.extend_from_slice(&number.to_be_bytes());
                out.extend_from_slice(&sequence.to_be_bytes());
            }
            Self::Refused { number, reason } => {
                out.push(REFUSED);
                out.extend_from_slice(&number.to_be_bytes());
                out.extend_from_slice(reason.as_bytes());
            }
            Self::Message(Delivery { source, purpose, epoch, sequence, created, payload }) => {
                out.push(MESSAGE);
                out.extend_from_slice(&source.0.to_be_bytes());
                out.push(purpose.number());
                out.extend_from_slice(&sequence.to_be_bytes());
                out.extend_from_slice(&epoch.to_be_bytes());
                out.extend_from_slice(&created.0.to_be_bytes());
                out.extend_from_slice(payload);
            }
            Self::Written { number, sequence } => put_numbers(out, 3, &[WRITTEN, *number, *sequence]),
            Self::Items { number, items } => {
                put_numbers(out, 3, &[ITEMS, *number]);
                cbor::put_head(out, cbor::ARRAY, items.len() as u64);
                items.iter().for_each(|item| put_item(out, item));
            }
            Self::Changed(item) => {
                put_numbers(out, 2, &[CHANGED]);
                put_item(out, item);
            }
            Self::Entries { number, size, entries } => {
                put_numbers(out, 4, &[ENTRIES, *number, *size]);
                cbor::put_head(out, cbor::ARRAY, entries.len() as u64);
                entries.iter().for_each(|entry| cbor::put_bytes(out, entry));
            }
        }
        bytes
    }

    /// None of what is not one.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        if *kind > MESSAGE {
            return read_answer(bytes).ok().flatten();
        }
        let (first, rest) = number(rest)?;
        match *kind {
            ACCEPTED => Some(Self::Accepted { number: first, sequence: number(rest)?.0 }),
            REFUSED => {
                Some(Self::Refused { number: first, reason: std::str::from_utf8(rest).ok()?.to_owned() })
            }
            MESSAGE => {
                let (purpose, rest) = purpose(rest)?;
                let (sequence, rest) = number(rest)?;
                let (epoch, rest) = rest.split_first_chunk()?;
                let (created, payload) = number(rest)?;
                Some(Self::Message(Delivery {
                    source: NodeId(first),
                    purpose,
                    epoch: u32::from_be_bytes(*epoch),
                    sequence,
                    created: DtnTime(created),
                    payload: payload.to_vec(),
                }))
            }
            _ => None,
        }
    }
}

fn read_answer(bytes: &[u8]) -> Result<Option<Answer>, CborError> {
    let mut reader = Reader::new(bytes);
    let (_, kind) = (reader.array()?, reader.uint()?);
    let answer = match kind {
        WRITTEN => Answer::Written { number: reader.uint()?, sequence: reader.uint()? },
        ITEMS => {
            let number = reader.uint()?;
            let items = (0..reader.array()?.min(MAX_TOLD as u64)).map(|_| item(&mut reader));
            let Some(items) = items.collect::<Result<Option<Vec<Item>>, CborError>>()? else {
                return Ok(None);
            };
            Answer::Items { number, items }
        }
        CHANGED => match item(&mut reader)? {
            Some(item) => Answer::Changed(item),
            None => return Ok(None),
        },
        ENTRIES => {
            let (number, size) = (reader.uint()?, reader.uint()?);
            let entries = (0..reader.array()?.min(MAX_TOLD as u64)).map(|_| Ok(reader.bytes()?.to_vec()));
            Answer::Entries { number, size, entries: entries.collect::<Result<_, CborError>>()? }
        }
        _ => return Ok(None),
    };
    reader.end()?;
    Ok(Some(answer))
}

/// `[kind, name, key, value, count, [node, time] or [], rivals]`
fn put_item(out: &mut Vec<u8>, item: &Item) {
    cbor::put_head(out, cbor::ARRAY, 7);
    cbor::put_uint(out, code(item.kind).unwrap_or_default());
    cbor::put_bytes(out, &item.name);
    put_maybe(out, item.key.as_deref());
    put_maybe(out, item.value.as_deref());
    let count = item.count.map(i64::cast_unsigned);
    put_numbers(out, count.iter().len() as u64, count.as_slice());
    match item.written {
        Some((node, time)) => put_numbers(out, 2, &[node.0, time.0]),
        None => put_numbers(out, 0, &[]),
    }
    cbor::put_uint(out, item.rivals as u64);
}

fn item(reader: &mut Reader<'_>) -> Result<Option<Item>, CborError> {
    reader.array_of(7)?;
    let (kind, name) = (kind_of(reader.uint()?), reader.bytes()?.to_vec());
    let (key, value) = (maybe(reader)?, maybe(reader)?);
    let count = match reader.array()? {
        0 => None,
        _ => Some(reader.uint()?.cast_signed()),
    };
    let written = match reader.array()? {
        0 => None,
        _ => Some((NodeId(reader.uint()?), DtnTime(reader.uint()?))),
    };
    let rivals = reader.uint()? as usize;
    Ok(kind.map(|kind| Item { kind, name, key, value, count, written, rivals }))
}

fn code(kind: Kind) -> Option<u64> {
    KINDS.iter().position(|known| *known == kind).map(|place| place as u64)
}

fn kind_of(code: u64) -> Option<Kind> {
    KINDS.get(usize::try_from(code).ok()?).copied()
}

/// The head of an array of so many, and the numbers that it begins with.
fn put_numbers(out: &mut Vec<u8>, items: u64, numbers: &[u64]) {
    cbor::put_head(out, cbor::ARRAY, items);
    numbers.iter().for_each(|number| cbor::put_uint(out, *number));
}

fn put_maybe(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    cbor::put_head(out, cbor::ARRAY, bytes.iter().len() as u64);
    bytes.iter().for_each(|bytes| cbor::put_bytes(out, bytes));
}

fn maybe(reader: &mut Reader<'_>) -> Result<Option<Vec<u8>>, CborError> {
    match reader.array()? {
        0 => Ok(None),
        _ => Ok(Some(reader.bytes()?.to_vec())),
    }
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u64::from_be_bytes(*number), rest))
}

fn purpose(bytes: &[u8]) -> Option<(Purpose, &[u8])> {
    let (purpose, rest) = bytes.split_first()?;
    Some((Purpose::from_number(u64::from(*purpose))?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_read_as_it_was_written_and_nothing_shorter() {
        let some = |text: &str| Some(text.as_bytes().to_vec());
        let send = Asked::Send {
            number: 7,
            destination: NodeId(3),
            purpose: Purpose::Command,
            lifetime: Duration::from_secs(60),
            payload: vec![1, 2, 3],
        };
        assert!((0..25).all(|end| Asked::decode(&send.encode()[..end]).is_none()));
        let (name, key, value, member) = (b"a".as_slice(), b"b".as_slice(), b"".as_slice(), b"d".as_slice());
        let ops = [
            Op::MapPut { name, key, value },
            Op::MapRemove { name, key },
            Op::Register { name, value },
            Op::SetAdd { name, member },
            Op::SetRemove { name, member },
            Op::Count { name, by: -3 },
        ];
        let mut all = vec![
            send,
            Asked::Watch,
            Asked::Entries { number: 4, first: 5, most: 6 },
            Asked::Read { number: 8, kind: None, name: None, key: None, after: None },
            Asked::Read { number: 9, kind: Some(Kind::Set), name: some("x"), key: None, after: some("") },
        ];
        for written in &ops {
            let asked = Asked::write(300, written);
            let Asked::Write { write, .. } = &asked else { panic!("a write") };
            assert_eq!(op(write).as_ref(), Some(written));
            assert!((0..write.len()).all(|end| op(&write[..end]).is_none()));
            all.push(asked);
        }
        for asked in all {
            let bytes = asked.encode();
            assert_eq!(Asked::decode(&bytes).as_ref(), Some(&asked));
            let shorter = |end: usize| Asked::decode(&bytes[..end]).is_some();
            assert!(matches!(asked, Asked::Send { .. }) || !(0..bytes.len()).any(shorter), "{asked:?}");
        }
        assert_eq!(Asked::decode(&[0x82, 3, 3]), None);
        assert_eq!(Asked::decode(&[]), None);
    }

    #[test]
    fn what_is_answered_is_read_as_it_was_written() {
        let delivery = Delivery {
            source: NodeId(2),
            purpose: Purpose::Event,
            epoch: 3,
            sequence: 4,
            created: DtnTime(5),
            payload: b"x".to_vec(),
        };
        let item = Item {
            kind: Kind::Map,
            name: b"site".to_vec(),
            key: Some(b"door".to_vec()),
            value: Some(b"open".to_vec()),
            count: None,
            written: Some((NodeId(4), DtnTime(1 << 40))),
            rivals: 2,
        };
        let sum = Item {
            kind: Kind::Counter,
            key: None,
            value: None,
            count: Some(-7),
            written: None,
            ..item.clone()
        };
        for answer in [
            Answer::Accepted { number: 1, sequence: 2 },
            Answer::Refused { number: 1, reason: "stream_full".to_owned() },
            Answer::Message(delivery),
            Answer::Written { number: 1, sequence: 1 << 33 },
            Answer::Items { number: 1, items: vec![item.clone(), sum] },
            Answer::Items { number: 2, items: Vec::new() },
            Answer::Changed(item),
            Answer::Entries { number: 1, size: 9, entries: vec![vec![1, 2], Vec::new()] },
        ] {
            assert_eq!(Answer::decode(&answer.encode()), Some(answer));
        }
        assert_eq!(Answer::decode(&[9; 40]), None);
        assert_eq!(Answer::decode(&[0x82, 6, 0]), None);
    }
}
