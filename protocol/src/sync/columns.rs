//! Numbers and texts by columns: what neighbours have in common is written once.
//!
//! ```text
//! column of one   = varint                                     (the number of entries is known from elsewhere)
//! column of more  = width, varint least, entries - least in `width` bits each        width ≤ 64
//!                 | 65, varint each
//!                 | 66 + c                                     all are c, c ≤ 189
//! texts           = column of lengths, 0, all bytes
//!                 | column of lengths, 1, varint p, common first p bytes, for each of the next 16 places the column of bytes there
//!                   (as numbers; of those that are so long), what is behind
//! ```
//! Of several ways the shortest is taken, of equally short ones the first. Bits are filled from the lowest, the last byte with zeros. A
//! decoded message is encoded again and compared, so that each has one form.

use super::limits::SyncError;
use alloc::{vec, vec::Vec};

const LISTED: u8 = 65;
const CONSTANT: u8 = 66;
/// The longest common beginning, and how many places behind it are packed: this bounds what a short message can unfold to.
const MAX_PREFIX: usize = 64;
const PLACES: usize = 16;

/// Bytes that are read from the front.
pub(super) struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) const fn malformed(&self) -> SyncError {
        SyncError::Malformed { position: self.at }
    }

    pub(super) const fn rest(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], SyncError> {
        let taken = self.bytes[self.at..].get(..length).ok_or_else(|| self.malformed())?;
        self.at += length;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, SyncError> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], SyncError> {
        let malformed = self.malformed();
        self.take(N)?.try_into().map_err(|_| malformed)
    }

    /// An unsigned number in groups of seven bits, the lowest first (LEB128).
    pub(super) fn varint(&mut self) -> Result<u64, SyncError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return Err(self.malformed());
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.malformed())
    }

    /// A number of things of which there are at most `max`.
    pub(super) fn count(&mut self, max: usize) -> Result<usize, SyncError> {
        let count = self.varint()?;
        usize::try_from(count).ok().filter(|count| *count <= max).ok_or_else(|| self.malformed())
    }

    pub(super) fn column(&mut self, count: usize) -> Result<Vec<u64>, SyncError> {
        match count {
            0 => return Ok(Vec::new()),
            1 => return Ok(vec![self.varint()?]),
            _ => {}
        }
        let mode = self.byte()?;
        if mode >= CONSTANT {
            return Ok(vec![u64::from(mode - CONSTANT); count]);
        }
        if mode == LISTED {
            return (0..count).map(|_| self.varint()).collect();
        }
        let (width, least) = (u32::from(mode), self.varint()?);
        let bytes = (count as u64 * u64::from(width)).div_ceil(8);
        let packed = self.take(usize::try_from(bytes).map_err(|_| self.malformed())?)?;
        let mut bits = Bits { bytes: packed, at: 0 };
        (0..count).map(|_| least.checked_add(bits.next(width)).ok_or_else(|| self.malformed())).collect()
    }

    /// Texts, none longer than `longest`.
    pub(super) fn texts(&mut self, count: usize, longest: usize) -> Result<Vec<Vec<u8>>, SyncError> {
        let lengths = self.column(count)?;
        let fits = |length: u64| usize::try_from(length).ok().filter(|length| *length <= longest);
        let lengths: Vec<usize> =
            lengths.into_iter().map(fits).collect::<Option<_>>().ok_or_else(|| self.malformed())?;
        if count < 2 || self.byte()? == 0 {
            return lengths.into_iter().map(|length| Ok(self.take(length)?.to_vec())).collect();
        }
        let common = self.count(MAX_PREFIX)?;
        let prefix = self.take(common)?;
        if lengths.iter().any(|length| *length < common) {
            return Err(self.malformed());
        }
        let mut texts = vec![prefix.to_vec(); count];
        for place in common..common + PLACES {
            let long = lengths.iter().filter(|length| **length > place).count();
            let mut column = self.column(long)?.into_iter();
            for (text, _) in texts.iter_mut().zip(&lengths).filter(|(_, length)| **length > place) {
                let byte = column.next().and_then(|byte| u8::try_from(byte).ok());
                text.push(byte.ok_or_else(|| self.malformed())?);
            }
        }
        for (text, length) in texts.iter_mut().zip(lengths) {
            let behind = self.take(length - text.len())?;
            text.extend_from_slice(behind);
        }
        Ok(texts)
    }
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn next(&mut self, width: u32) -> u64 {
        let mut value = 0;
        for bit in 0..width {
            let byte = self.bytes[self.at / 8];
            value |= u64::from(byte >> (self.at % 8) & 1) << bit;
            self.at += 1;
        }
        value
    }
}

pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The length of a varint.
pub(super) const fn varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

pub(super) fn put_column(out: &mut Vec<u8>, column: &[u64]) {
    let (Some(&least), Some(&most)) = (column.iter().min(), column.iter().max()) else { return };
    if column.len() == 1 {
        return put_varint(out, least);
    }
    if least == most && least <= u64::from(u8::MAX - CONSTANT) {
        out.push(CONSTANT + least as u8);
        return;
    }
    let width = 64 - (most - least).leading_zeros();
    let packed = varint_len(least) + (column.len() * width as usize).div_ceil(8);
    if column.iter().map(|value| varint_len(*value)).sum::<usize>() < packed {
        out.push(LISTED);
        column.iter().for_each(|value| put_varint(out, *value));
        return;
    }
    out.push(width as u8);
    put_varint(out, least);
    put_bits(out, column.iter().map(|value| value - least), width);
}

fn put_bits(out: &mut Vec<u8>, values: impl Iterator<Item = u64>, width: u32) {
    let (mut held, mut bits) = (0_u128, 0);
    for value in values {
        held |= u128::from(value) << bits;
        bits += width;
        while bits >= 8 {
            out.push(held as u8);
            held >>= 8;
            bits -= 8;
        }
    }
    if bits > 0 {
        out.push(held as u8);
    }
}

pub(super) fn put_texts(out: &mut Vec<u8>, texts: &[&[u8]]) {
    let lengths: Vec<u64> = texts.iter().map(|text| text.len() as u64).collect();
    put_column(out, &lengths);
    let plain: usize = texts.iter().map(|text| text.len()).sum();
    if texts.len() >= 2 {
        let packed = packed_texts(texts);
        if packed.len() < plain {
            out.push(1);
            out.extend_from_slice(&packed);
            return;
        }
        out.push(0);
    }
    texts.iter().for_each(|text| out.extend_from_slice(text));
}

fn packed_texts(texts: &[&[u8]]) -> Vec<u8> {
    let common = common_prefix(texts);
    let mut out = Vec::new();
    put_varint(&mut out, common as u64);
    out.extend_from_slice(&texts[0][..common]);
    for place in common..common + PLACES {
        let column: Vec<u64> =
            texts.iter().filter_map(|text| text.get(place)).map(|byte| u64::from(*byte)).collect();
        put_column(&mut out, &column);
    }
    texts.iter().filter_map(|text| text.get(common + PLACES..)).for_each(|rest| out.extend_from_slice(rest));
    out
}

fn common_prefix(texts: &[&[u8]]) -> usize {
    let shared = |text: &&[u8]| texts[0].iter().zip(*text).take_while(|(left, right)| left == right).count();
    texts.iter().map(shared).min().unwrap_or(0).min(MAX_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn column_bytes(column: &[u64]) -> Vec<u8> {
        let mut out = Vec::new();
        put_column(&mut out, column);
        out
    }

    fn texts_bytes(texts: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        put_texts(&mut out, &texts.iter().map(Vec::as_slice).collect::<Vec<_>>());
        out
    }

    proptest! {
        #[test]
        fn columns_come_back_and_are_short(shift in 0..64u32, column in prop::collection::vec(any::<u64>(), 0..40)) {
            let column: Vec<u64> = column.iter().map(|value| value >> shift).collect();
            let bytes = column_bytes(&column);
            let mut input = Input::new(&bytes);
            prop_assert_eq!(input.column(column.len()), Ok(column.clone()));
            prop_assert_eq!(input.rest(), 0);
            let listed: usize = column.iter().map(|value| varint_len(*value)).sum();
            prop_assert!(bytes.len() <= 1 + listed);
        }

        #[test]
        fn texts_come_back_and_are_short(texts in prop::collection::vec("[a-d]{0,3}k[0-9]{0,20}", 0..20)) {
            let texts: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
            let bytes = texts_bytes(&texts);
            let mut input = Input::new(&bytes);
            prop_assert_eq!(input.texts(texts.len(), 40), Ok(texts.clone()));
            prop_assert_eq!(input.rest(), 0);
            let plain: usize = texts.iter().map(|text| text.len() + 1).sum();
            prop_assert!(bytes.len() <= 2 + plain);
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), count in 0..50usize) {
            let _ = Input::new(&bytes).column(count);
            let _ = Input::new(&bytes).texts(count, 100);
            let _ = Input::new(&bytes).varint();
        }
    }

    use alloc::string::String;

    #[test]
    fn what_is_regular_costs_little() {
        assert_eq!(column_bytes(&[21; 50]).len(), 1);
        assert_eq!(column_bytes(&[100, 101, 102, 103]).len(), 3);
        let keys: Vec<Vec<u8>> = (0..50).map(|n| alloc::format!("k{:03}", n * 19).into_bytes()).collect();
        // Three decimal digits take 4 bits each, of the first one all are there.
        assert!(texts_bytes(&keys).len() <= 4 + 3 * (2 + 25), "{}", texts_bytes(&keys).len());
        assert_eq!([0, 127, 128, u64::MAX].map(varint_len), [1, 1, 2, 10]);
    }
}
