//! Deterministic CBOR (RFC 8949 §4.2.1) of versions and deltas.
//!
//! ```text
//! version = [* (actor, spans)]            spans = [* (first, last)]             (flat arrays of unsigned integers)
//! delta   = [* [actor, covers: spans, assumes: spans, [* object]]]
//! object  = [kind, name, [* cell]]        cell  = [item, age, content...]       age = the last of covers - sequence
//! content = added: bool, [* (actor, sequence)] | time, value or null | plus, minus
//! ```
//! Actors, objects and items are in ascending order. Decoding reads definite lengths, allocates in proportion to the
//! input, and refuses bytes that do not encode back to themselves.

use super::{
    cell::{Cell, CellKey, Content, Kind},
    delta::{Delta, Run},
    limits::SyncError,
    spans::Spans,
    version::{Actor, VersionVector},
};
use crate::{id::NodeId, time::DtnTime};
use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};
use minicbor::{Decoder, Encoder, data::Type};

pub(super) type Writer<'a> = Encoder<&'a mut Vec<u8>>;

/// The length of an unsigned integer, or of the head of a string or array.
const fn head(value: u64) -> usize {
    match value {
        0..=23 => 1,
        24..=0xff => 2,
        0x100..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

/// The length of what an object adds to its cells, at most.
pub(super) fn object_len(key: &CellKey) -> usize {
    2 + head(key.name.len() as u64) + key.name.len() + 5
}

/// The length of a cell's encoding when `newest` is the last dot covered.
pub(super) fn cell_len(key: &CellKey, cell: &Cell, newest: u64) -> usize {
    let item = head(key.item.len() as u64) + key.item.len();
    let content = match &cell.content {
        Content::Member { removed, .. } => {
            let pairs = removed.iter().map(|(actor, &last)| head(actor.0) + head(last)).sum::<usize>();
            1 + head(2 * removed.len() as u64) + pairs
        }
        Content::Value { time, value } => {
            let value = value.as_ref().map_or(1, |value| head(value.len() as u64) + value.len());
            head(time.as_millis()) + value
        }
        Content::Total { plus, minus } => head(*plus) + head(*minus),
    };
    1 + item + head(newest.saturating_sub(cell.sequence)) + content
}

/// Writing into memory cannot fail.
pub(super) fn into_vec(write: impl FnOnce(&mut Writer<'_>) -> Encoded) -> Vec<u8> {
    let mut bytes = Vec::new();
    let written = write(&mut Encoder::new(&mut bytes));
    debug_assert!(written.is_ok());
    bytes
}

pub(super) type Encoded = Result<(), minicbor::encode::Error<core::convert::Infallible>>;
type Decoded<T> = Result<T, minicbor::decode::Error>;

/// Decodes all of `bytes`, and checks that `encode` gives them back.
pub(super) fn decode_all<T>(
    bytes: &[u8],
    read: impl FnOnce(&mut Decoder<'_>) -> Decoded<T>,
    encode: impl FnOnce(&T) -> Vec<u8>,
) -> Result<T, SyncError> {
    let mut decoder = Decoder::new(bytes);
    let value = read(&mut decoder).map_err(|_| SyncError::Malformed { position: decoder.position() })?;
    if decoder.position() != bytes.len() {
        return Err(SyncError::Malformed { position: decoder.position() });
    }
    if encode(&value) == bytes { Ok(value) } else { Err(SyncError::NotDeterministic) }
}

impl VersionVector {
    /// The deterministic encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        into_vec(|out| write_version(out, self))
    }

    /// Reads [`VersionVector::encode`].
    ///
    /// # Errors
    /// [`SyncError::Malformed`], [`SyncError::NotDeterministic`].
    pub fn decode(bytes: &[u8]) -> Result<Self, SyncError> {
        decode_all(bytes, read_version, Self::encode)
    }
}

impl Delta {
    /// The deterministic encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        into_vec(|out| write_delta(out, self))
    }

    /// Reads [`Delta::encode`]. Limits are checked when it is applied.
    ///
    /// # Errors
    /// [`SyncError::Malformed`], [`SyncError::NotDeterministic`].
    pub fn decode(bytes: &[u8]) -> Result<Self, SyncError> {
        decode_all(bytes, read_delta, Self::encode)
    }
}

pub(super) fn write_version(out: &mut Writer<'_>, version: &VersionVector) -> Encoded {
    out.array(2 * version.iter().len() as u64)?;
    for (actor, spans) in version.iter() {
        out.u64(actor.0)?;
        write_spans(out, spans)?;
    }
    Ok(())
}

pub(super) fn read_version(input: &mut Decoder<'_>) -> Decoded<VersionVector> {
    let mut version = VersionVector::new();
    for _ in 0..pairs(input)? {
        let actor = NodeId(input.u64()?);
        version.cover(actor, &read_spans(input)?);
    }
    Ok(version)
}

fn write_spans(out: &mut Writer<'_>, spans: &Spans) -> Encoded {
    out.array(2 * spans.intervals().len() as u64)?;
    for &(first, last) in spans.intervals() {
        out.u64(first)?.u64(last)?;
    }
    Ok(())
}

fn read_spans(input: &mut Decoder<'_>) -> Decoded<Spans> {
    let mut intervals = Vec::new();
    for _ in 0..pairs(input)? {
        intervals.push((input.u64()?, input.u64()?));
    }
    Spans::from_ordered(intervals).ok_or_else(|| malformed("spans out of order"))
}

pub(super) fn write_delta(out: &mut Writer<'_>, delta: &Delta) -> Encoded {
    out.array(delta.runs.len() as u64)?;
    for (actor, run) in &delta.runs {
        out.array(4)?.u64(actor.0)?;
        write_spans(out, &run.covers)?;
        write_spans(out, &run.assumes)?;
        let same_object = |left: &(CellKey, Cell), right: &(CellKey, Cell)| {
            left.0.kind == right.0.kind && left.0.name == right.0.name
        };
        out.array(run.cells.chunk_by(same_object).count() as u64)?;
        for object in run.cells.chunk_by(same_object) {
            let (key, _) = &object[0];
            out.array(3)?.u8(key.kind as u8)?.bytes(&key.name)?.array(object.len() as u64)?;
            for (key, cell) in object {
                write_cell(out, key, cell, run.covers.last())?;
            }
        }
    }
    Ok(())
}

fn write_cell(out: &mut Writer<'_>, key: &CellKey, cell: &Cell, newest: u64) -> Encoded {
    out.array(4)?.bytes(&key.item)?.u64(newest.saturating_sub(cell.sequence))?;
    match &cell.content {
        Content::Member { added, removed } => {
            out.bool(*added)?.array(2 * removed.len() as u64)?;
            for (actor, last) in removed {
                out.u64(actor.0)?.u64(*last)?;
            }
        }
        Content::Value { time, value } => {
            out.u64(time.as_millis())?;
            match value {
                Some(value) => out.bytes(value)?,
                None => out.null()?,
            };
        }
        Content::Total { plus, minus } => {
            out.u64(*plus)?.u64(*minus)?;
        }
    }
    Ok(())
}

pub(super) fn read_delta(input: &mut Decoder<'_>) -> Decoded<Delta> {
    let mut delta = Delta::default();
    for _ in 0..array(input)? {
        expect_array(input, 4)?;
        let actor = NodeId(input.u64()?);
        let (covers, assumes) = (read_spans(input)?, read_spans(input)?);
        let newest = covers.last();
        let mut cells = Vec::new();
        for _ in 0..array(input)? {
            expect_array(input, 3)?;
            let kind = Kind::from_code(input.u8()?).ok_or_else(|| malformed("kind"))?;
            let name: Arc<[u8]> = input.bytes()?.into();
            for _ in 0..array(input)? {
                cells.push(read_cell(input, kind, &name, actor, newest)?);
            }
        }
        if !cells.is_sorted_by(|left, right| left.0 < right.0) {
            return Err(malformed("cells out of order"));
        }
        delta.runs.insert(actor, Run { covers, assumes, cells });
    }
    Ok(delta)
}

fn read_cell(
    input: &mut Decoder<'_>,
    kind: Kind,
    name: &Arc<[u8]>,
    actor: Actor,
    newest: u64,
) -> Decoded<(CellKey, Cell)> {
    expect_array(input, 4)?;
    let item = input.bytes()?.into();
    let age = input.u64()?;
    let sequence =
        newest.checked_sub(age).filter(|&sequence| sequence > 0).ok_or_else(|| malformed("age"))?;
    let content = match kind {
        Kind::Set => {
            let added = input.bool()?;
            let mut removed = BTreeMap::new();
            for _ in 0..pairs(input)? {
                removed.insert(NodeId(input.u64()?), input.u64()?);
            }
            Content::Member { added, removed }
        }
        Kind::Register | Kind::Map => {
            let time = DtnTime(input.u64()?);
            let value = if input.datatype()? == Type::Null {
                input.null()?;
                None
            } else {
                Some(input.bytes()?.into())
            };
            Content::Value { time, value }
        }
        Kind::Counter => Content::Total { plus: input.u64()?, minus: input.u64()? },
    };
    let key = CellKey { kind, name: name.clone(), item, actor };
    Ok((key, Cell { sequence, content }))
}

/// The length of an array of definite length.
fn array(input: &mut Decoder<'_>) -> Decoded<u64> {
    input.array()?.ok_or_else(|| malformed("indefinite length"))
}

fn pairs(input: &mut Decoder<'_>) -> Decoded<u64> {
    let length = array(input)?;
    if length % 2 == 0 { Ok(length / 2) } else { Err(malformed("odd length")) }
}

pub(super) fn expect_array(input: &mut Decoder<'_>, length: u64) -> Decoded<()> {
    if array(input)? == length { Ok(()) } else { Err(malformed("array length")) }
}

fn malformed(what: &'static str) -> minicbor::decode::Error {
    minicbor::decode::Error::message(what)
}
