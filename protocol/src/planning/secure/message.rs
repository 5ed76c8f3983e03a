//! A solver's messages with what secure aggregation adds to them, in deterministic CBOR (RFC 8949 §4.2.1).
//!
//! ```cddl
//! masked-answer  = [7, horizon: uint, round: uint, base: uint, epoch: uint, sequence: uint, entries: bstr]
//! masked-request = [8, epoch: uint, counted: uint, resolved: uint, request: bstr]   ; holds a solver's request
//! ```

use alloc::vec::Vec;

use super::SecureError;
use crate::{
    cbor::{self, ARRAY, CborError, Reader},
    planning::{
        privacy::{MaskedContribution, PrivacyError, Receipt, Terms},
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

impl MaskedAnswer {
    /// The message's bytes: at most 40 and those of the entries.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(40 + self.masked.entries.len());
        cbor::put_head(&mut out, ARRAY, 7);
        let Heading { horizon, round, base } = self.heading;
        for value in [7, horizon, round.into(), base.into(), self.masked.epoch, self.masked.sequence] {
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
        reader.array_of(7)?;
        number(&mut reader, 7)?;
        let (horizon, round, base) = (reader.uint()?, small(&mut reader)?, small(&mut reader)?);
        let (epoch, sequence) = (reader.uint()?, reader.uint()?);
        let entries = reader.bytes()?;
        reader.end()?;
        terms.check_vector(entries)?;
        let masked = MaskedContribution { epoch, sequence, entries: entries.to_vec() };
        Ok(Self { heading: Heading { horizon, round, base }, masked })
    }
}

impl MaskedRequest {
    /// The message's bytes: at most 34 and those of the request.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let request = self.request.encode();
        let mut out = Vec::with_capacity(34 + request.len());
        cbor::put_head(&mut out, ARRAY, 5);
        for value in [8, self.receipt.epoch, self.receipt.counted, self.receipt.resolved] {
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
        reader.array_of(5).map_err(malformed)?;
        number(&mut reader, 8)?;
        let mut uint = || reader.uint().map_err(malformed);
        let receipt = Receipt { epoch: uint()?, counted: uint()?, resolved: uint()? };
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
