//! Deterministic CBOR (RFC 8949 §4.2.1), read strictly: only shortest heads and definite lengths pass.
//!
//! `minicbor` takes any valid encoding, so two byte strings can mean one message; a signed or deduplicated message must
//! have exactly one. This reader takes that one. It borrows, never allocates, and checks every length against what is left.
//! Where a standard leaves indefinite lengths open, [`Lengths::Any`] lets arrays and texts have them, and nothing else.

use alloc::vec::Vec;

/// Major type 0: an unsigned integer.
pub const UINT: u8 = 0;
/// Major type 1: a negative integer, `-1 - n`.
pub const NEGATIVE: u8 = 1;
/// Major type 2: a byte string.
pub const BYTES: u8 = 2;
/// Major type 3: a UTF-8 text.
pub const TEXT: u8 = 3;
/// Major type 4: an array.
pub const ARRAY: u8 = 4;
/// Major type 5: a map.
pub const MAP: u8 = 5;
/// Major type 6: a tag.
pub const TAG: u8 = 6;
/// The start of an indefinite-length array.
pub const INDEFINITE_ARRAY: u8 = 0x9f;
/// The start of an indefinite-length text.
pub const INDEFINITE_TEXT: u8 = 0x7f;
/// The end of an indefinite-length item.
pub const BREAK: u8 = 0xff;

/// Why bytes are not the expected deterministic CBOR. Offsets count from the start of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CborError {
    /// The input ends inside an item.
    #[error("input ends inside the item at byte {at}: {wanted} bytes wanted, {left} left")]
    Truncated {
        /// Where the item starts.
        at: usize,
        /// Bytes that the item's content needs.
        wanted: u64,
        /// Bytes that are left.
        left: usize,
    },
    /// Another major type than the format demands.
    #[error("major type {found} at byte {at}, expected {expected}")]
    Type {
        /// Where the item starts.
        at: usize,
        /// The major type demanded.
        expected: u8,
        /// The major type met.
        found: u8,
    },
    /// An array or map of another length than the format demands.
    #[error("{found} items at byte {at}, expected {expected}")]
    Items {
        /// Where the item starts.
        at: usize,
        /// The number of items demanded.
        expected: u64,
        /// The number of items announced.
        found: u64,
    },
    /// A head that is longer than needed, or of indefinite length (RFC 8949 §4.2.1).
    #[error("not in deterministic form at byte {at}")]
    NotDeterministic {
        /// Where the item starts.
        at: usize,
    },
    /// Additional information 28 to 30, which no version of CBOR defines.
    #[error("reserved head at byte {at}")]
    Reserved {
        /// Where the item starts.
        at: usize,
    },
    /// A text that is not UTF-8.
    #[error("text at byte {at} is not UTF-8")]
    Utf8 {
        /// Where the text's content starts.
        at: usize,
    },
    /// Bytes after the last item.
    #[error("{count} bytes after the end at byte {at}")]
    Trailing {
        /// Where the item ends.
        at: usize,
        /// How many bytes follow.
        count: usize,
    },
}

impl CborError {
    /// A stable word for counters and traces.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NotDeterministic { .. } => "non_canonical",
            Self::Trailing { .. } => "trailing_bytes",
            Self::Truncated { .. } => "truncated",
            Self::Type { .. } | Self::Items { .. } | Self::Reserved { .. } | Self::Utf8 { .. } => "malformed",
        }
    }
}

/// Which lengths a reader takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lengths {
    /// Those of deterministic CBOR.
    #[default]
    Definite,
    /// Indefinite ones of arrays and texts too (RFC 8949 §3.2).
    Any,
}

/// An array that was opened by [`Reader::open`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Array {
    at: usize,
    /// How many items it announced; `None` when it ends with a break.
    items: Option<u64>,
}

impl Array {
    /// Whether it ends with a break.
    #[must_use]
    pub const fn is_indefinite(self) -> bool {
        self.items.is_none()
    }
}

/// A cursor over deterministic CBOR.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    lengths: Lengths,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self::with(bytes, Lengths::Definite)
    }

    /// A reader at the start of `bytes` that takes these lengths.
    #[must_use]
    pub const fn with(bytes: &'a [u8], lengths: Lengths) -> Self {
        Self { bytes, at: 0, lengths }
    }

    /// The offset of the next item.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// The input from `from` up to the cursor.
    #[must_use]
    pub fn since(&self, from: usize) -> &'a [u8] {
        self.bytes.get(from..self.at).unwrap_or_default()
    }

    /// The next byte, without taking it.
    #[must_use]
    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Takes the next byte when it is `byte`.
    pub fn skip_byte(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// The next item's major type and argument, in shortest form.
    ///
    /// # Errors
    /// When the head is cut off, longer than needed, indefinite or reserved. The cursor does not move.
    #[inline]
    pub fn head(&mut self) -> Result<(u8, u64), CborError> {
        // Most heads are one byte, and need no more than this look.
        if let Some(&initial) = self.bytes.get(self.at)
            && initial & 0x1f < 24
        {
            self.at += 1;
            return Ok((initial >> 5, u64::from(initial & 0x1f)));
        }
        self.long_head()
    }

    fn long_head(&mut self) -> Result<(u8, u64), CborError> {
        let at = self.at;
        let Some(&initial) = self.bytes.get(at) else {
            return Err(CborError::Truncated { at, wanted: 1, left: 0 });
        };
        let info = initial & 0x1f;
        let (value, width) = match info {
            0..=23 => (u64::from(info), 0),
            24 => (u64::from(self.argument::<1>()?[0]), 1),
            25 => (u64::from(u16::from_be_bytes(self.argument()?)), 2),
            26 => (u64::from(u32::from_be_bytes(self.argument()?)), 4),
            27 => (u64::from_be_bytes(self.argument()?), 8),
            31 => return Err(CborError::NotDeterministic { at }),
            _ => return Err(CborError::Reserved { at }),
        };
        if head_len(value) != 1 + width {
            return Err(CborError::NotDeterministic { at });
        }
        self.at = at + 1 + width;
        Ok((initial >> 5, value))
    }

    fn argument<const N: usize>(&self) -> Result<[u8; N], CborError> {
        let rest = self.bytes.get(self.at + 1..).unwrap_or_default();
        let short = CborError::Truncated { at: self.at, wanted: N as u64, left: rest.len() };
        rest.first_chunk::<N>().copied().ok_or(short)
    }

    #[inline]
    fn expect(&mut self, expected: u8) -> Result<u64, CborError> {
        let at = self.at;
        let (found, value) = self.head()?;
        if found == expected { Ok(value) } else { Err(CborError::Type { at, expected, found }) }
    }

    /// An unsigned integer.
    ///
    /// # Errors
    /// When the next item is something else.
    pub fn uint(&mut self) -> Result<u64, CborError> {
        self.expect(UINT)
    }

    /// A byte string, borrowed.
    ///
    /// # Errors
    /// When the next item is something else, or announces more bytes than are left.
    pub fn bytes(&mut self) -> Result<&'a [u8], CborError> {
        let at = self.at;
        let length = self.expect(BYTES)?;
        self.content(at, length)
    }

    /// A text, borrowed.
    ///
    /// # Errors
    /// When the next item is something else, announces more bytes than are left, or is not UTF-8.
    pub fn text(&mut self) -> Result<&'a str, CborError> {
        let at = self.at;
        let length = self.expect(TEXT)?;
        let content = self.content(at, length)?;
        core::str::from_utf8(content).map_err(|_| CborError::Utf8 { at: self.at - content.len() })
    }

    fn content(&mut self, at: usize, length: u64) -> Result<&'a [u8], CborError> {
        let rest = &self.bytes[self.at..];
        let short = CborError::Truncated { at, wanted: length, left: rest.len() };
        let length = usize::try_from(length).map_err(|_| short)?;
        let content = rest.get(..length).ok_or(short)?;
        self.at += length;
        Ok(content)
    }

    /// The length of a definite array. The items follow one by one; nothing is allocated for them.
    ///
    /// # Errors
    /// When the next item is something else.
    pub fn array(&mut self) -> Result<u64, CborError> {
        self.expect(ARRAY)
    }

    /// The head of an array of exactly `expected` items.
    ///
    /// # Errors
    /// When the next item is something else, or of another length.
    pub fn array_of(&mut self, expected: u64) -> Result<(), CborError> {
        let at = self.at;
        let found = self.array()?;
        if found == expected { Ok(()) } else { Err(CborError::Items { at, expected, found }) }
    }

    /// The head of an array, of indefinite length too where this reader takes those.
    ///
    /// # Errors
    /// When the next item is something else.
    pub fn open(&mut self) -> Result<Array, CborError> {
        let at = self.at;
        let indefinite = self.lengths == Lengths::Any && self.skip_byte(INDEFINITE_ARRAY);
        Ok(Array { at, items: if indefinite { None } else { Some(self.array()?) } })
    }

    /// Refuses an array that announced another number of items. One of indefinite length announces none.
    ///
    /// # Errors
    /// When it did.
    pub fn expect_items(&self, array: Array, expected: u64) -> Result<(), CborError> {
        match array {
            Array { at, items: Some(found) } if found != expected => {
                Err(CborError::Items { at, expected, found })
            }
            _ => Ok(()),
        }
    }

    /// Whether an array of which `read` items were read has another one.
    #[must_use]
    pub fn has_more(&self, array: Array, read: u64) -> bool {
        array.items.map_or_else(|| self.peek() != Some(BREAK), |items| read < items)
    }

    /// The end of an array of which `expected` items were read.
    ///
    /// # Errors
    /// When it announced another number of items, or goes on.
    pub fn close(&mut self, array: Array, expected: u64) -> Result<(), CborError> {
        let Array { at, items } = array;
        match items {
            Some(found) if found == expected => Ok(()),
            Some(found) => Err(CborError::Items { at, expected, found }),
            None if self.skip_byte(BREAK) => Ok(()),
            None if self.peek().is_none() => Err(CborError::Truncated { at, wanted: 1, left: 0 }),
            None => Err(CborError::Items { at, expected, found: expected + 1 }),
        }
    }

    /// Takes the head of a text of indefinite length, where this reader takes those: texts follow, and a break.
    pub fn open_text(&mut self) -> bool {
        self.lengths == Lengths::Any && self.skip_byte(INDEFINITE_TEXT)
    }

    /// The length of a definite map in pairs.
    ///
    /// # Errors
    /// When the next item is something else.
    pub fn map(&mut self) -> Result<u64, CborError> {
        self.expect(MAP)
    }

    /// A tag's number.
    ///
    /// # Errors
    /// When the next item is something else.
    pub fn tag(&mut self) -> Result<u64, CborError> {
        self.expect(TAG)
    }

    /// Asserts that the input ends here.
    ///
    /// # Errors
    /// When bytes follow.
    pub fn end(&self) -> Result<(), CborError> {
        let count = self.bytes.len() - self.at;
        if count == 0 { Ok(()) } else { Err(CborError::Trailing { at: self.at, count }) }
    }
}

/// The length in bytes of a head whose argument is `value`: 1, 2, 3, 5 or 9.
#[must_use]
pub const fn head_len(value: u64) -> usize {
    match value {
        0..=23 => 1,
        24..=0xff => 2,
        0x100..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

/// Appends a head in shortest form.
#[inline]
pub fn put_head(out: &mut Vec<u8>, major: u8, value: u64) {
    if value < 24 {
        out.push(major << 5 | value as u8);
    } else {
        put_long_head(out, major << 5, value);
    }
}

fn put_long_head(out: &mut Vec<u8>, major: u8, value: u64) {
    match value {
        0..=23 => out.push(major | value as u8),
        24..=0xff => out.extend_from_slice(&[major | 24, value as u8]),
        0x100..=0xffff => {
            out.push(major | 25);
            out.extend_from_slice(&(value as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(major | 26);
            out.extend_from_slice(&(value as u32).to_be_bytes());
        }
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&value.to_be_bytes());
        }
    }
}

/// Appends an unsigned integer.
pub fn put_uint(out: &mut Vec<u8>, value: u64) {
    put_head(out, UINT, value);
}

/// Appends a byte string.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_head(out, BYTES, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a text.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    put_head(out, TEXT, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_integer_is_read_as_written_and_as_minicbor_writes_it(value: u64) {
            let mut out = Vec::new();
            put_uint(&mut out, value);
            prop_assert_eq!(&out, &minicbor::to_vec(value).unwrap());
            prop_assert_eq!(out.len(), head_len(value));
            prop_assert_eq!(Reader::new(&out).uint(), Ok(value));
        }
    }

    #[test]
    fn longer_heads_than_needed_are_refused() {
        for bytes in [
            &[0x18, 23][..],
            &[0x19, 0, 255],
            &[0x1a, 0, 0, 255, 255],
            &[0x1b, 0, 0, 0, 0, 255, 255, 255, 255],
        ] {
            assert_eq!(Reader::new(bytes).head(), Err(CborError::NotDeterministic { at: 0 }));
        }
        assert_eq!(Reader::new(&[0x9f]).head(), Err(CborError::NotDeterministic { at: 0 }));
        assert_eq!(Reader::new(&[0x1c]).head(), Err(CborError::Reserved { at: 0 }));
    }

    #[test]
    fn a_length_beyond_the_input_is_refused() {
        for length in [3, u64::from(u32::MAX) + 1, 1 << 63, u64::MAX] {
            let mut out = Vec::new();
            put_head(&mut out, BYTES, length);
            out.extend_from_slice(&[0, 0]);
            let error = CborError::Truncated { at: 0, wanted: length, left: 2 };
            assert_eq!(Reader::new(&out).bytes(), Err(error));
        }
    }
}
