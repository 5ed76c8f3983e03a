//! [`Item`]: any CBOR (RFC 8949), read with its places, also when it is not in deterministic form or cut off.
//!
//! The protocol's own reader takes one form only and stops at the first mistake. To explain a bundle that is refused, more must be seen.

use std::fmt::Write as _;

/// Deeper nesting than this is not looked into: no block type that is known nests more than six deep.
const MAX_DEPTH: usize = 24;

/// One data item and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Offset of its first byte.
    pub(super) at: usize,
    /// Offset after its last byte.
    pub(super) end: usize,
    /// Whether its head is the shortest, and its length definite.
    pub(super) deterministic: bool,
    /// What it is.
    pub(super) value: Value,
}

/// What an item is.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Uint(u64),
    Negative(u64),
    Bytes(Vec<u8>),
    Text(String),
    Array(Vec<Item>),
    Map(Vec<Item>),
    Tag(u64, Box<Item>),
    Simple(u64),
    Float(f64),
}

/// Why reading stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stop {
    /// Where.
    pub(super) at: usize,
    /// Why, in a few words.
    pub(super) why: &'static str,
}

/// Reads items one after the other.
pub(super) struct Items<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Items that may still be read: what is made of a long input stays small.
    left: usize,
}

impl<'a> Items<'a> {
    /// At the start of `bytes`; at most `limit` items are read.
    pub(super) const fn new(bytes: &'a [u8], limit: usize) -> Self {
        Self { bytes, at: 0, left: limit }
    }

    /// Offset of the next byte.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// Takes the next byte when it is `byte`.
    pub(super) fn skip(&mut self, byte: u8) -> bool {
        let found = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    /// The next item.
    pub(super) fn next(&mut self) -> Result<Item, Stop> {
        self.item(0)
    }

    /// All items to the end; `None` when the bytes are not whole items.
    pub(super) fn sequence(bytes: &'a [u8], limit: usize) -> Option<Vec<Item>> {
        let mut items = Self::new(bytes, limit);
        let mut found = Vec::new();
        while items.at < bytes.len() {
            found.push(items.next().ok()?);
        }
        Some(found)
    }

    fn stop<T>(&self, at: usize, why: &'static str) -> Result<T, Stop> {
        debug_assert!(at <= self.bytes.len(), "a place in the input");
        Err(Stop { at, why })
    }

    fn item(&mut self, depth: usize) -> Result<Item, Stop> {
        let at = self.at;
        if depth > MAX_DEPTH {
            return self.stop(at, "nested too deep to look into");
        }
        let Some(left) = self.left.checked_sub(1) else { return self.stop(at, "too many items to look at") };
        self.left = left;
        let Some(&initial) = self.bytes.get(at) else { return self.stop(at, "the input ends here") };
        let (major, info) = (initial >> 5, initial & 0x1f);
        let (argument, width) = match info {
            0..=23 => (u64::from(info), 0),
            24..=27 => {
                let width = 1 << (info - 24);
                let Some(field) = self.bytes.get(at + 1..at + 1 + width) else {
                    return self.stop(at, "the input ends inside this head");
                };
                (field.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)), width)
            }
            31 if matches!(major, 2..=5) => return self.indefinite(at, major, depth),
            _ => return self.stop(at, "a head that CBOR does not define"),
        };
        self.at += 1 + width;
        let shortest = match width {
            0 => true,
            1 => argument > 23 || major == 7,
            2 => argument > 0xff || major == 7,
            4 => argument > 0xffff || major == 7,
            _ => argument > 0xffff_ffff || major == 7,
        };
        let (value, inner) = self.value(at, major, argument, width, depth)?;
        Ok(Item { at, end: self.at, deterministic: shortest && inner, value })
    }

    /// The value behind a head, and whether all that is in it is deterministic.
    fn value(
        &mut self,
        at: usize,
        major: u8,
        argument: u64,
        width: usize,
        depth: usize,
    ) -> Result<(Value, bool), Stop> {
        Ok(match major {
            0 => (Value::Uint(argument), true),
            1 => (Value::Negative(argument), true),
            2 => (Value::Bytes(self.content(at, argument)?.to_vec()), true),
            3 => match std::str::from_utf8(self.content(at, argument)?) {
                Ok(text) => (Value::Text(text.into()), true),
                Err(_) => return self.stop(at, "a text that is not UTF-8"),
            },
            4 => {
                let (items, inner) = self.definite(argument, depth)?;
                (Value::Array(items), inner)
            }
            5 => {
                let (items, inner) = self.definite(argument.saturating_mul(2), depth)?;
                (Value::Map(items), inner)
            }
            6 => {
                let inner = self.item(depth + 1)?;
                let deterministic = inner.deterministic;
                (Value::Tag(argument, Box::new(inner)), deterministic)
            }
            _ => (simple(argument, width), true),
        })
    }

    fn content(&mut self, at: usize, length: u64) -> Result<&'a [u8], Stop> {
        let rest = &self.bytes[self.at..];
        match usize::try_from(length).ok().and_then(|length| rest.get(..length)) {
            Some(content) => {
                self.at += content.len();
                Ok(content)
            }
            None => self.stop(at, "this item announces more bytes than are left"),
        }
    }

    fn definite(&mut self, count: u64, depth: usize) -> Result<(Vec<Item>, bool), Stop> {
        // Nothing is taken for what is only announced.
        let (mut items, mut inner) = (Vec::new(), true);
        for _ in 0..count {
            let item = self.item(depth + 1)?;
            inner &= item.deterministic;
            items.push(item);
        }
        Ok((items, inner))
    }

    fn indefinite(&mut self, at: usize, major: u8, depth: usize) -> Result<Item, Stop> {
        self.at += 1;
        let mut items = Vec::new();
        while !self.skip(0xff) {
            items.push(self.item(depth + 1)?);
        }
        let value = match major {
            2 => Value::Bytes(
                items.iter().flat_map(|item| item.bytes().unwrap_or_default()).copied().collect(),
            ),
            3 => Value::Text(items.iter().filter_map(Item::text).collect()),
            4 => Value::Array(items),
            _ => Value::Map(items),
        };
        Ok(Item { at, end: self.at, deterministic: false, value })
    }
}

fn simple(argument: u64, width: usize) -> Value {
    match width {
        4 => Value::Float(f64::from(f32::from_bits(argument as u32))),
        8 => Value::Float(f64::from_bits(argument)),
        _ => Value::Simple(argument),
    }
}

impl Item {
    pub(super) fn uint(&self) -> Option<u64> {
        if let Value::Uint(value) = &self.value { Some(*value) } else { None }
    }

    pub(super) fn bytes(&self) -> Option<&[u8]> {
        if let Value::Bytes(bytes) = &self.value { Some(bytes) } else { None }
    }

    pub(super) fn text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    pub(super) fn array(&self) -> Option<&[Self]> {
        if let Value::Array(items) = &self.value { Some(items) } else { None }
    }

    /// The item in diagnostic notation (RFC 8949 §8).
    pub(super) fn notation(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        // Writing to a string cannot fail.
        let _ = match &self.value {
            Value::Uint(value) => write!(out, "{value}"),
            Value::Negative(value) => write!(out, "{}", -1 - i128::from(*value)),
            Value::Bytes(bytes) => write!(out, "h'{}'", super::input::hex(bytes)),
            Value::Text(text) => write!(out, "{text:?}"),
            Value::Array(items) => {
                out.push('[');
                list(items, out, |_| ", ");
                out.push(']');
                Ok(())
            }
            Value::Map(items) => {
                out.push('{');
                list(items, out, |index| if index % 2 == 1 { ": " } else { ", " });
                out.push('}');
                Ok(())
            }
            Value::Tag(tag, inner) => write!(out, "{tag}({})", inner.notation()),
            Value::Simple(20) => write!(out, "false"),
            Value::Simple(21) => write!(out, "true"),
            Value::Simple(22) => write!(out, "null"),
            Value::Simple(value) => write!(out, "simple({value})"),
            Value::Float(value) => write!(out, "{value:?}"),
        };
    }
}

fn list(items: &[Item], out: &mut String, separator: impl Fn(usize) -> &'static str) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push_str(separator(index));
        }
        item.write(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Item, Stop> {
        Items::new(bytes, 1000).next()
    }

    /// From RFC 8949, appendix A.
    #[test]
    fn the_standards_examples_are_shown_in_its_notation() {
        for (bytes, notation) in [
            (&[0x39, 0x03, 0xe7][..], "-1000"),
            (&[0x44, 1, 2, 3, 4], "h'01020304'"),
            (&[0x83, 1, 0x82, 2, 3, 0x82, 4, 5], "[1, [2, 3], [4, 5]]"),
            (&[0xa2, 1, 2, 3, 4], "{1: 2, 3: 4}"),
            (&[0x9f, 0x01, 0x82, 2, 3, 0x9f, 4, 5, 0xff, 0xff], "[1, [2, 3], [4, 5]]"),
            (&[0xc1, 0x1a, 0x51, 0x4b, 0x67, 0xb0], "1(1363896240)"),
            (&[0xf5], "true"),
            (&[0xfb, 0x3f, 0xf1, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a], "1.1"),
        ] {
            assert_eq!(read(bytes).map(|item| item.notation()).as_deref(), Ok(notation));
        }
    }

    #[test]
    fn what_is_not_deterministic_is_read_and_told() {
        assert!(!read(&[0x18, 5]).unwrap().deterministic);
        assert!(!read(&[0x81, 0x9f, 0xff]).unwrap().deterministic);
        assert!(read(&[0x81, 0x18, 24]).unwrap().deterministic);
    }

    #[test]
    fn hostile_input_stops_early() {
        assert_eq!(read(&[0x5b, 0x80, 0, 0, 0, 0, 0, 0, 0]).unwrap_err().at, 0);
        assert_eq!(read(&[0x9f; 100_000]).unwrap_err().why, "nested too deep to look into");
        assert_eq!(read(&[0x9b, 0x80, 0, 0, 0, 0, 0, 0, 0]).unwrap_err().why, "the input ends here");
        let many = [&[0x9f][..], &[0; 5000]].concat();
        assert_eq!(read(&many).unwrap_err().why, "too many items to look at");
    }
}
