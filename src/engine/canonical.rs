//! The canonical bytes of a trace record, version 1: what the run's fingerprint is a hash of.
//!
//! A record is: time, 8 bytes; asset, 4; the kind's number, 1; then the kind's fields in the order of
//! [`RecordKind::fields`](super::RecordKind::fields). Numbers are little endian. An asset takes 4 bytes; a span and a
//! count 8; a flag 1; a real number 8, as IEEE 754 bits; several reals their number in 4 bytes, then each; a word its
//! length in 2 bytes, then its UTF-8; a text its length in 4, then its UTF-8; pairs their number in 4, then 8 for each number; a digest 32.
//!
//! The kind fixes the fields, and every field says or has a fixed length, so two different records never have the same
//! bytes, and neither have two different sequences of records. The one exception is deliberate: all NaNs are written as
//! one, since their sign and payload differ between machines.

use super::{Field, Record};

const CANONICAL_NAN: u64 = 0x7ff8_0000_0000_0000;

/// Appends the canonical bytes of `record` to `out`.
///
/// # Panics
///
/// If a word is longer than 65,535 bytes, or there are more than 2³² − 1 reals: neither occurs in a record.
#[inline]
pub fn encode_record(record: &Record, out: &mut Vec<u8>) {
    out.extend_from_slice(&record.time.as_nanos().to_le_bytes());
    out.extend_from_slice(&record.asset.0.to_le_bytes());
    out.push(record.kind.tag().0);
    record.kind.fields(&mut |_, field| encode_field(field, out));
}

#[inline]
fn encode_field(field: Field<'_>, out: &mut Vec<u8>) {
    match field {
        Field::Asset(asset) => out.extend_from_slice(&asset.0.to_le_bytes()),
        Field::Span(span) => out.extend_from_slice(&span.as_nanos().to_le_bytes()),
        Field::Count(count) => out.extend_from_slice(&count.to_le_bytes()),
        Field::Flag(flag) => out.push(u8::from(flag)),
        Field::Real(real) => out.extend_from_slice(&real_bits(real).to_le_bytes()),
        Field::Reals(reals) => {
            let count = u32::try_from(reals.len()).expect("a record holds fewer than 2³² reals");
            out.extend_from_slice(&count.to_le_bytes());
            for &real in reals {
                out.extend_from_slice(&real_bits(real).to_le_bytes());
            }
        }
        Field::Word(word) => {
            let length = u16::try_from(word.len()).expect("a word is short");
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(word.as_bytes());
        }
        Field::Text(text) => {
            let length = u32::try_from(text.len()).expect("a text is shorter than 4 GiB");
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(text.as_bytes());
        }
        Field::Pairs(pairs) => {
            let count = u32::try_from(pairs.len()).expect("a record holds fewer than 2³² pairs");
            out.extend_from_slice(&count.to_le_bytes());
            for number in pairs.iter().flat_map(|(first, second)| [first, second]) {
                out.extend_from_slice(&number.to_le_bytes());
            }
        }
        Field::Digest(digest) => out.extend_from_slice(digest),
    }
}

fn real_bits(real: f64) -> u64 {
    if real.is_nan() { CANONICAL_NAN } else { real.to_bits() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::{LossReason, RecordKind},
        units::{AssetIndex, SimTime},
    };

    fn bytes(kind: RecordKind) -> Vec<u8> {
        let mut out = Vec::new();
        encode_record(&Record { time: SimTime(0x0102), asset: AssetIndex(3), kind }, &mut out);
        out
    }

    #[test]
    fn the_bytes_of_a_record_are_as_documented() {
        let lost = RecordKind::FrameLost { peer: AssetIndex(4), bytes: 5, reason: LossReason::Burst };
        let mut expected = vec![2, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 5];
        expected.extend_from_slice(&[4, 0, 0, 0]);
        expected.extend_from_slice(&[5, 0, 0, 0, 0, 0, 0, 0]);
        expected.extend_from_slice(&[5, 0]);
        expected.extend_from_slice(b"burst");
        assert_eq!(bytes(lost), expected);
    }

    #[test]
    fn every_nan_has_the_same_bytes_and_the_zeros_differ() {
        let energy = |value| bytes(RecordKind::Energy { state_of_charge: value, radio_joules: 0.0 });
        assert_eq!(energy(f64::NAN), energy(-f64::NAN));
        assert_ne!(energy(0.0), energy(-0.0));
    }

    #[test]
    fn moving_a_boundary_between_words_or_lists_changes_the_bytes() {
        let two = [
            bytes(RecordKind::InputRefused { reason: "ab" }),
            bytes(RecordKind::InputRefused { reason: "c" }),
        ];
        let other = [
            bytes(RecordKind::InputRefused { reason: "a" }),
            bytes(RecordKind::InputRefused { reason: "bc" }),
        ];
        assert_ne!(two.concat(), other.concat());
        let plan = |values| bytes(RecordKind::PlanLocal { round: 1, values });
        assert_ne!(plan(vec![0.0]), plan(vec![0.0, 0.0]));
    }
}
