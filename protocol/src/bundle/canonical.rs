//! The primary block as security operations cover it (RFC 9172 §4): in deterministic CBOR, whatever lengths it has on the wire.

use alloc::{borrow::Cow, vec::Vec};

use super::Bundle;
use crate::cbor::{self, CborError, Lengths, Reader};

impl Bundle {
    /// The primary block's bytes with all lengths definite. Names keep the form in which they came: two and three elements are different values.
    pub(crate) fn canonical_primary(&self) -> Cow<'_, [u8]> {
        let wire = &self.primary_wire;
        if !wire.iter().any(|byte| [cbor::INDEFINITE_ARRAY, cbor::INDEFINITE_TEXT].contains(byte)) {
            return Cow::Borrowed(wire);
        }
        let (mut reader, mut out) = (Reader::with(wire, Lengths::Any), Vec::with_capacity(wire.len()));
        match put_definite(&mut reader, &mut out) {
            Ok(()) => Cow::Owned(out),
            // It was written here, from names that nobody can read.
            Err(_) => Cow::Borrowed(wire),
        }
    }
}

/// Appends the next item of a primary block, which nests three levels at most.
fn put_definite(reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), CborError> {
    if reader.open_text() {
        let mut text = Vec::new();
        while !reader.skip_byte(cbor::BREAK) {
            text.extend_from_slice(reader.text()?.as_bytes());
        }
        cbor::put_head(out, cbor::TEXT, text.len() as u64);
        out.extend_from_slice(&text);
        return Ok(());
    }
    let start = reader.position();
    match reader.peek().map(|initial| initial >> 5) {
        Some(cbor::ARRAY) => {
            let array = reader.open()?;
            let (mut items, mut count) = (Vec::new(), 0);
            while reader.has_more(array, count) {
                put_definite(reader, &mut items)?;
                count += 1;
            }
            reader.close(array, count)?;
            cbor::put_head(out, cbor::ARRAY, count);
            out.extend_from_slice(&items);
            return Ok(());
        }
        Some(cbor::BYTES) => drop(reader.bytes()?),
        Some(cbor::TEXT) => drop(reader.text()?),
        _ => drop(reader.head()?),
    }
    out.extend_from_slice(reader.since(start));
    Ok(())
}
