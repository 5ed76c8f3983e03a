//! A solver's messages with what secure aggregation adds to them, in deterministic CBOR (RFC 8949 §4.2.1).
//!
//! ```cddl
//! masked-answer  = [7, horizon: uint, round: uint, base: uint, epoch: uint, generation: uint, sequence: uint, entries: bstr]
//! masked-request = [8, epoch: uint, generation: uint, counted: uint, resolved: uint, request: bstr]   ; holds a solver's request
//! opening        = [9, epoch: uint, entries: uint, width: 0..1]              ; coordinator → committee
//! spent          = [10, epoch: uint]                                         ; asset → coordinator
//! ```

use alloc::vec::Vec;

use super::SecureError;
use crate::{
    cbor::{self, ARRAY, CborError, Reader},
    planning::{
        privacy::{MAX_ENTRIES, MaskedContribution, PrivacyError, Receipt, Terms},
        solver::{Heading, Request},
    },
};

/// A contribution whose entries are masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskedAnswer {
    /// What it answers and replaces.
    pub heading: Heading,
    /// What it adds.
    pub masked: MaskedContribution,
}

/// A request, and what became of the asset's contributions.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskedRequest {
    /// What is asked.
    pub request: Request,
    /// What became of the asset's contributions.
    pub receipt: Receipt,
}

/// An epoch begins: which of the terms that everybody can make are in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The epoch.
    pub epoch: u64,
    /// Entries of an answer to the coordinator's method.
    pub entries: usize,
    /// How wide they are.
    pub width: Width,
}

/// How wide the entries of answers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// As wide as shares of the published problems may be.
    Shares,
    /// As wide as a solver allows.
    Any,
}

/// An asset answers no more: its privacy budget is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// The epoch.
    pub epoch: u64,
}

impl Opening {
    /// The message's bytes: at most 15.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(15);
        cbor::put_head(&mut out, ARRAY, 4);
        for value in [9, self.epoch, self.entries as u64, u64::from(self.width == Width::Any)] {
            cbor::put_uint(&mut out, value);
        }
        out
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`PrivacyError`] unless the bytes are exactly one message of 1 to [`MAX_ENTRIES`] entries.
    pub fn decode(bytes: &[u8]) -> Result<Self, PrivacyError> {
        let mut reader = Reader::new(bytes);
        reader.array_of(4)?;
        number(&mut reader, 9)?;
        let (epoch, entries) = (reader.uint()?, reader.uint()?);
        let at = reader.position();
        let width = match reader.uint()? {
            0 => Width::Shares,
            1 => Width::Any,
            found => return Err(CborError::Items { at, expected: 1, found }.into()),
        };
        reader.end()?;
        let most = MAX_ENTRIES as u64;
        if !(1..=most).contains(&entries) {
            return Err(PrivacyError::Terms { field: "entries", found: entries, least: 1, most });
        }
        Ok(Self { epoch, entries: entries as usize, width })
    }
}

impl Spent {
    /// The message's bytes: at most 11.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(11);
        cbor::put_head(&mut out, ARRAY, 2);
        cbor::put_uint(&mut out, 10);
        cbor::put_uint(&mut out, self.epoch);
        out
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`PrivacyError`] unless the bytes are exactly one message.
    pub fn decode(bytes: &[u8]) -> Result<Self, PrivacyError> {
        let mut reader = Reader::new(bytes);
        reader.array_of(2)?;
        number(&mut reader, 10)?;
        let epoch = reader.uint()?;
        reader.end()?;
        Ok(Self { epoch })
    }
}

impl MaskedAnswer {
    /// The message's bytes: at most 49 and those of the entries.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(49 + self.masked.entries.len());
        cbor::put_head(&mut out, ARRAY, 8);
        let Heading { horizon, round, base } = self.heading;
        let MaskedContribution { epoch, generation, sequence, .. } = self.masked;
        for value in [7, horizon, round.into(), base.into(), epoch, generation, sequence] {
            cbor::put_uint(&mut out, value);
        }
        cbor::put_bytes(&mut out, &self.masked.entries);
        out
    }

    /// Reads a message for these terms.
    ///
    /// # Errors
    /// [`PrivacyError`] unless the bytes are exactly one message of the terms' length.
    pub fn decode(bytes: &[u8], terms: &Terms) -> Result<Self, PrivacyError> {
        let mut reader = Reader::new(bytes);
        reader.array_of(8)?;
        number(&mut reader, 7)?;
        let (horizon, round, base) = (reader.uint()?, small(&mut reader)?, small(&mut reader)?);
        let (epoch, generation, sequence) = (reader.uint()?, reader.uint()?, reader.uint()?);
        let entries = reader.bytes()?;
        reader.end()?;
        terms.check_vector(entries)?;
        let masked = MaskedContribution { epoch, generation, sequence, entries: entries.to_vec() };
        Ok(Self { heading: Heading { horizon, round, base }, masked })
    }
}

impl MaskedRequest {
    /// The message's bytes: at most 43 and those of the request.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let request = self.request.encode();
        let mut out = Vec::with_capacity(43 + request.len());
        cbor::put_head(&mut out, ARRAY, 6);
        let Receipt { epoch, generation, counted, resolved } = self.receipt;
        for value in [8, epoch, generation, counted, resolved] {
            cbor::put_uint(&mut out, value);
        }
        cbor::put_bytes(&mut out, &request);
        out
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`SecureError`] unless the bytes are exactly one message.
    pub fn decode(bytes: &[u8]) -> Result<Self, SecureError> {
        let mut reader = Reader::new(bytes);
        let malformed = PrivacyError::Malformed;
        reader.array_of(6).map_err(malformed)?;
        number(&mut reader, 8)?;
        let mut uint = || reader.uint().map_err(malformed);
        let receipt = Receipt { epoch: uint()?, generation: uint()?, counted: uint()?, resolved: uint()? };
        let request = reader.bytes().map_err(malformed)?;
        reader.end().map_err(malformed)?;
        Ok(Self { request: Request::decode(request)?, receipt })
    }
}

fn number(reader: &mut Reader<'_>, expected: u64) -> Result<(), PrivacyError> {
    let at = reader.position();
    let found = reader.uint()?;
    if found == expected { Ok(()) } else { Err(CborError::Items { at, expected, found }.into()) }
}

fn small(reader: &mut Reader<'_>) -> Result<u32, PrivacyError> {
    let at = reader.position();
    let found = reader.uint()?;
    let error = CborError::Items { at, expected: u32::MAX.into(), found };
    u32::try_from(found).map_err(|_| error.into())
}
