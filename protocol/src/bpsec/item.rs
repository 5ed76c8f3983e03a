//! CBOR items whose form only their owners know: identified parameters and results (RFC 9172 §3.6), kept as their bytes.

use alloc::vec::Vec;

use super::error::BpsecError;
use crate::cbor::{self, Reader};

/// The most levels of nested CBOR in a parameter, a result or a COSE message.
pub(super) const MAX_DEPTH: u8 = 8;
/// The start of the item `null`.
pub(super) const NULL: u8 = 0xf6;

/// A parameter or a result: its identifier, unique within the security context, and its value as one CBOR item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub id: u64,
    /// Its value: one item of deterministic CBOR.
    pub value: Vec<u8>,
}

impl Item {
    /// An item whose value is an unsigned integer.
    #[must_use]
    pub fn uint(id: u64, value: u64) -> Self {
        let mut out = Vec::with_capacity(cbor::head_len(value));
        cbor::put_uint(&mut out, value);
        Self { id, value: out }
    }

    /// An item whose value is a byte string.
    #[must_use]
    pub fn bytes(id: u64, value: &[u8]) -> Self {
        let mut out = Vec::with_capacity(9 + value.len());
        cbor::put_bytes(&mut out, value);
        Self { id, value: out }
    }

    /// The value as an unsigned integer.
    #[must_use]
    pub fn as_uint(&self) -> Option<u64> {
        let mut reader = Reader::new(&self.value);
        let value = reader.uint().ok()?;
        reader.end().ok().map(|()| value)
    }

    /// The value as a byte string.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        let mut reader = Reader::new(&self.value);
        let value = reader.bytes().ok()?;
        reader.end().ok().map(|()| value)
    }
}

/// Appends an integer with sign.
pub(super) fn put_int(out: &mut Vec<u8>, value: i64) {
    match u64::try_from(value) {
        Ok(value) => cbor::put_uint(out, value),
        Err(_) => cbor::put_head(out, cbor::NEGATIVE, !value as u64),
    }
}

/// Reads an integer with sign.
pub(super) fn read_int(reader: &mut Reader<'_>) -> Result<i64, BpsecError> {
    let at = reader.position();
    let (major, argument) = reader.head()?;
    let value = i64::try_from(argument).map_err(|_| BpsecError::Integer { at })?;
    match major {
        cbor::UINT => Ok(value),
        cbor::NEGATIVE => Ok(!value),
        found => Err(cbor::CborError::Type { at, expected: cbor::UINT, found }.into()),
    }
}

/// Reads one item of any type, deterministic and not too deep, and returns its bytes.
pub(super) fn read_any<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], BpsecError> {
    let start = reader.position();
    skip(reader, MAX_DEPTH)?;
    Ok(reader.since(start))
}

/// Each level takes a byte at least, so a length that the input does not hold ends at the input's end.
fn skip(reader: &mut Reader<'_>, levels: u8) -> Result<(), BpsecError> {
    let Some(deeper) = levels.checked_sub(1) else { return Err(BpsecError::TooDeep { max: MAX_DEPTH }) };
    match reader.peek().map(|initial| initial >> 5) {
        Some(cbor::BYTES) => reader.bytes().map(drop)?,
        Some(cbor::TEXT) => reader.text().map(drop)?,
        _ => match reader.head()? {
            (cbor::ARRAY, count) => (0..count).try_for_each(|_| skip(reader, deeper))?,
            (cbor::MAP, count) => skip_map(reader, count, deeper)?,
            (cbor::TAG, _) => skip(reader, deeper)?,
            _ => {}
        },
    }
    Ok(())
}

fn skip_map(reader: &mut Reader<'_>, count: u64, levels: u8) -> Result<(), BpsecError> {
    let mut before: &[u8] = &[];
    for _ in 0..count {
        let start = reader.position();
        skip(reader, levels)?;
        let key = reader.since(start);
        if key <= before {
            return Err(BpsecError::MapOrder { at: reader.position() });
        }
        before = key;
        skip(reader, levels)?;
    }
    Ok(())
}
