//! What travels in a round of secure aggregation, in deterministic CBOR (RFC 8949 §4.2.1).
//!
//! ```cddl
//! message   = masked / survivors / mask-sum / receipt
//! masked    = [0, epoch: uint, generation: uint, sequence: uint, entries: bstr]   ; asset → coordinator
//! survivors = [1, epoch: uint, round: uint, horizon: uint, generation: uint, question: bstr .size 0 / bstr .size 32,
//!              present: bstr, [+ (sequence: uint, step: uint)]]                 ; coordinator → committee
//! mask-sum  = [2, epoch: uint, round: uint, seat: uint, set: bstr .size 32, entries: bstr] ; member → coordinator
//! receipt   = [3, epoch: uint, generation: uint, counted: uint, resolved: uint]   ; coordinator → asset, with each signal
//! ```
//!
//! `entries` are integers of the terms' bits one after the other, the lowest bit first, filled up with zeros to whole bytes. `present` has a bit for each asset of the roster, the lowest of a byte first; the
//! sequence numbers of those present follow in the roster's order, each with how many numbers ago the last one was that is counted in the generation:
//! the number itself when none is. `question` is empty with methods that sum answers to questions of any age. `set` is SHA-256 of the survivors' bytes.

use alloc::{vec, vec::Vec};

use sha2::{Digest as _, Sha256};

use super::{error::PrivacyError, occasion::Occasion, terms::Terms};
use crate::{
    cbor::{self, ARRAY, CborError, Reader},
    id::NodeId,
    planning::message::MAX_MEMBERS,
};

/// An asset's contribution, which only sums of many open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskedContribution {
    /// The epoch.
    pub epoch: u64,
    /// The generation of the sum that it was said for.
    pub generation: u64,
    /// The asset's own count of its contributions in the epoch, from 1.
    pub sequence: u64,
    /// The masked change of its share since what was last counted.
    pub entries: Vec<u8>,
}

/// One asset of a set that is summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Survivor {
    /// Its place in the roster.
    pub place: usize,
    /// The sequence number of the contribution.
    pub sequence: u64,
    /// That of the contribution which it changes: the last one that is counted in the generation; 0 for none.
    pub from: u64,
}

/// Who is summed in a round: published, and answered by each member once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survivors {
    /// The epoch.
    pub epoch: u64,
    /// The round, from 1.
    pub round: u64,
    /// What all of them answer.
    pub occasion: Occasion,
    /// In ascending order of places.
    pub entries: Vec<Survivor>,
}

/// A member's answer: the sum of its masks over a survivor set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskSum {
    /// The epoch.
    pub epoch: u64,
    /// The round.
    pub round: u64,
    /// Whose masks: the sender's, or those of a lost member for whom it stands in.
    pub seat: NodeId,
    /// The digest of the survivors that are summed.
    pub set: [u8; 32],
    /// The sum.
    pub entries: Vec<u8>,
}

/// What became of an asset's contributions: cumulative, so that a lost one does no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The epoch.
    pub epoch: u64,
    /// The generation of the sum that is asked for: the asset begins from nothing when it is a later one.
    pub generation: u64,
    /// The last contribution that is in the running sum; 0 for none.
    pub counted: u64,
    /// The last contribution that is counted or dropped for good.
    pub resolved: u64,
}

impl MaskedContribution {
    /// The message's bytes: at most 33 and those of the entries.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(33 + self.entries.len());
        head(&mut out, 5, 0, &[self.epoch, self.generation, self.sequence]);
        cbor::put_bytes(&mut out, &self.entries);
        out
    }

    /// Reads a message for these terms.
    ///
    /// # Errors
    /// [`PrivacyError`] unless the bytes are exactly one message of the terms' length.
    pub fn decode(bytes: &[u8], terms: &Terms) -> Result<Self, PrivacyError> {
        let mut reader = Reader::new(bytes);
        let [epoch, generation, sequence] = read_head(&mut reader, 5, 0)?;
        let entries = vector(&mut reader, terms)?;
        reader.end()?;
        Ok(Self { epoch, generation, sequence, entries })
    }
}

impl Survivors {
    /// The message's bytes: a bit and about three bytes for each asset.
    ///
    /// # Panics
    /// When a place is beyond [`MAX_MEMBERS`]: survivors are made by an aggregator or by [`Survivors::decode`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut present = vec![0_u8; self.entries.last().map_or(0, |last| last.place / 8 + 1)];
        self.entries.iter().for_each(|one| present[one.place / 8] |= 1 << (one.place % 8));
        let mut out = Vec::with_capacity(84 + present.len() + 4 * self.entries.len());
        let Occasion { horizon, generation, question } = self.occasion;
        head(&mut out, 8, 1, &[self.epoch, self.round, horizon, generation]);
        cbor::put_bytes(&mut out, question.as_ref().map_or(&[][..], |question| question));
        cbor::put_bytes(&mut out, &present);
        cbor::put_head(&mut out, ARRAY, 2 * self.entries.len() as u64);
        for one in &self.entries {
            cbor::put_uint(&mut out, one.sequence);
            cbor::put_uint(&mut out, one.sequence.saturating_sub(one.from));
        }
        out
    }

    /// Reads a message. That its assets are in the roster is the reader's to check.
    ///
    /// # Errors
    /// [`PrivacyError`] unless the bytes are exactly one message.
    pub fn decode(bytes: &[u8]) -> Result<Self, PrivacyError> {
        let mut reader = Reader::new(bytes);
        let [epoch, round, horizon, generation] = read_head(&mut reader, 8, 1)?;
        let question = match reader.bytes()? {
            [] => None,
            found => Some(found.try_into().map_err(|_| wrong_length(found, 32))?),
        };
        let at = reader.position();
        let present = reader.bytes()?;
        // One encoding: no bytes without a bit after the last.
        if present.len() > MAX_MEMBERS.div_ceil(8) || present.last() == Some(&0) {
            return Err(CborError::NotDeterministic { at }.into());
        }
        let places = (0..8 * present.len()).filter(|place| present[place / 8] & (1 << (place % 8)) != 0);
        let expected: u32 = present.iter().map(|byte| byte.count_ones()).sum();
        reader.array_of(2 * u64::from(expected))?;
        let survivor = |place| {
            let (sequence, at) = (reader.uint()?, reader.position());
            let step = reader.uint()?;
            match sequence.checked_sub(step).filter(|_| step > 0) {
                Some(from) => Ok(Survivor { place, sequence, from }),
                None => Err(CborError::Items { at, expected: sequence, found: step }),
            }
        };
        let entries = places.map(survivor).collect::<Result<_, CborError>>()?;
        reader.end()?;
        Ok(Self { epoch, round, occasion: Occasion { horizon, generation, question }, entries })
    }

    /// SHA-256 of the message's bytes: what members attest to.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.encode()).into()
    }

    /// The asset at a place of the roster, if it is in this set.
    #[must_use]
    pub fn at(&self, place: usize) -> Option<&Survivor> {
        let index = self.entries.binary_search_by_key(&place, |one| one.place).ok()?;
        self.entries.get(index)
    }
}

impl MaskSum {
    /// The message's bytes: at most 70 and those of the entries.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(70 + self.entries.len());
        head(&mut out, 6, 2, &[self.epoch, self.round, self.seat.0]);
        cbor::put_bytes(&mut out, &self.set);
        cbor::put_bytes(&mut out, &self.entries);
        out
    }

    /// Reads a message for these terms.
    ///
    /// # Errors
    /// [`PrivacyError`] unless the bytes are exactly one message of the terms' length.
    pub fn decode(bytes: &[u8], terms: &Terms) -> Result<Self, PrivacyError> {
        let mut reader = Reader::new(bytes);
        let [epoch, round, seat] = read_head(&mut reader, 6, 2)?;
        let set = digest(&mut reader)?;
        let entries = vector(&mut reader, terms)?;
        reader.end()?;
        Ok(Self { epoch, round, seat: NodeId(seat), set, entries })
    }
}

impl Receipt {
    /// The message's bytes: at most 38.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(38);
        head(&mut out, 5, 3, &[self.epoch, self.generation, self.counted, self.resolved]);
        out
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`PrivacyError`] unless the bytes are exactly one message.
    pub fn decode(bytes: &[u8]) -> Result<Self, PrivacyError> {
        let mut reader = Reader::new(bytes);
        let [epoch, generation, counted, resolved] = read_head(&mut reader, 5, 3)?;
        reader.end()?;
        Ok(Self { epoch, generation, counted, resolved })
    }
}

/// The array's head, the message's number, and its first integers.
pub(super) fn head(out: &mut Vec<u8>, items: u64, number: u64, integers: &[u64]) {
    cbor::put_head(out, ARRAY, items);
    cbor::put_uint(out, number);
    integers.iter().for_each(|value| cbor::put_uint(out, *value));
}

pub(super) fn read_head<const N: usize>(
    reader: &mut Reader<'_>,
    items: u64,
    number: u64,
) -> Result<[u64; N], PrivacyError> {
    reader.array_of(items)?;
    let at = reader.position();
    let found = reader.uint()?;
    if found != number {
        return Err(CborError::Items { at, expected: number, found }.into());
    }
    let mut integers = [0; N];
    for value in &mut integers {
        *value = reader.uint()?;
    }
    Ok(integers)
}

pub(super) fn digest(reader: &mut Reader<'_>) -> Result<[u8; 32], PrivacyError> {
    let bytes = reader.bytes()?;
    bytes.try_into().map_err(|_| wrong_length(bytes, 32))
}

fn wrong_length(bytes: &[u8], expected: usize) -> PrivacyError {
    PrivacyError::Entries { found: bytes.len(), expected }
}

fn vector(reader: &mut Reader<'_>, terms: &Terms) -> Result<Vec<u8>, PrivacyError> {
    let bytes = reader.bytes()?;
    terms.check_vector(bytes)?;
    Ok(bytes.to_vec())
}
