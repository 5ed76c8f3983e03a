//! COSE headers (RFC 9052 §3): those that the context uses are read, the rest is passed over.

use alloc::vec::Vec;

use crate::{
    bpsec::{
        error::BpsecError,
        item::{put_int, read_any, read_int},
        operation::Operation,
    },
    cbor::{self, Reader},
};

use super::Context;

const ALGORITHM: i64 = 1;
const CRITICAL: i64 = 2;
const KEY_IDENTIFIER: i64 = 4;
const INITIALISATION_VECTOR: i64 = 5;
const PARTIAL_IV: i64 = 6;
const SALT: i64 = -20;
/// The parties' context of key derivation, which must not be there (draft-ietf-dtn-bpsec-cose §3.3).
const PARTIES: core::ops::RangeInclusive<i64> = -26..=-21;
/// The most headers in a map.
const MAX_HEADERS: u64 = 32;

/// The headers of one layer of a message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Headers<'a> {
    /// The protected headers' bytes.
    pub protected: &'a [u8],
    algorithm: Option<i64>,
    kid: Option<&'a [u8]>,
    iv: Option<&'a [u8]>,
    salt: Option<&'a [u8]>,
}

impl<'a> Headers<'a> {
    /// Reads the first two items of a layer: protected headers as a byte string, unprotected ones as a map.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, BpsecError> {
        let mut found = Self { protected: reader.bytes()?, ..Self::default() };
        let mut labels = Vec::new();
        found.take(found.protected, &mut labels, true)?;
        found.take(read_any(reader)?, &mut labels, false)?;
        Ok(found)
    }

    /// Adds those of the parameters' headers that the layer does not have (draft-ietf-dtn-bpsec-cose §2.2.1).
    pub(super) fn with_additional(mut self, context: &Context<'a>) -> Result<Self, BpsecError> {
        let mut additional = Self::default();
        let mut labels = Vec::new();
        additional.take(context.protected, &mut labels, false)?;
        additional.take(context.unprotected, &mut labels, false)?;
        self.kid = self.kid.or(additional.kid);
        self.iv = self.iv.or(additional.iv);
        self.salt = self.salt.or(additional.salt);
        Ok(self)
    }

    /// Takes a map in, or nothing from no bytes. No label may be there twice, in whichever map.
    fn take(
        &mut self,
        map: &'a [u8],
        labels: &mut Vec<&'a [u8]>,
        is_protected: bool,
    ) -> Result<(), BpsecError> {
        if map.is_empty() {
            return Ok(());
        }
        let mut reader = Reader::new(map);
        // Form and order of the whole map.
        read_any(&mut reader)?;
        reader.end()?;
        let mut reader = Reader::new(map);
        let count = reader.map()?;
        if count > MAX_HEADERS {
            return Err(BpsecError::TooMany { max: MAX_HEADERS as usize });
        }
        for _ in 0..count {
            let start = reader.position();
            let is_text = reader.peek().is_some_and(|initial| initial >> 5 == cbor::TEXT);
            let label = if is_text { reader.text().map(|_| None)? } else { Some(read_int(&mut reader)?) };
            let raw = reader.since(start);
            let Some(label) = label else {
                read_any(&mut reader)?;
                continue;
            };
            if labels.contains(&raw) {
                return Err(BpsecError::Header { label });
            }
            labels.push(raw);
            self.take_value(label, &mut reader, is_protected)?;
        }
        Ok(())
    }

    fn take_value(
        &mut self,
        label: i64,
        reader: &mut Reader<'a>,
        is_protected: bool,
    ) -> Result<(), BpsecError> {
        match label {
            ALGORITHM => self.algorithm = Some(read_int(reader)?),
            KEY_IDENTIFIER => self.kid = Some(reader.bytes()?),
            INITIALISATION_VECTOR => self.iv = Some(reader.bytes()?),
            SALT => self.salt = Some(reader.bytes()?),
            CRITICAL if is_protected => check_critical(reader)?,
            CRITICAL | PARTIAL_IV => return Err(BpsecError::Header { label }),
            label if PARTIES.contains(&label) => return Err(BpsecError::Header { label }),
            _ => read_any(reader).map(drop)?,
        }
        Ok(())
    }

    /// The algorithm, which must be there (draft-ietf-dtn-bpsec-cose §3.1).
    pub(super) fn algorithm(&self) -> Result<i64, BpsecError> {
        self.algorithm.ok_or(BpsecError::Header { label: ALGORITHM })
    }

    /// The key identifier; empty when the key follows from the security source.
    pub(super) fn kid(&self) -> &'a [u8] {
        self.kid.unwrap_or_default()
    }

    pub(super) fn iv(&self) -> Result<&'a [u8], BpsecError> {
        self.iv.ok_or(BpsecError::Header { label: INITIALISATION_VECTOR })
    }

    pub(super) fn salt(&self) -> Result<&'a [u8], BpsecError> {
        self.salt.ok_or(BpsecError::Header { label: SALT })
    }
}

/// Headers that must be understood (RFC 9052 §3.1): those that are read here.
fn check_critical(reader: &mut Reader<'_>) -> Result<(), BpsecError> {
    let count = reader.array()?;
    for _ in 0..count {
        match read_int(reader)? {
            ALGORITHM | KEY_IDENTIFIER | INITIALISATION_VECTOR | SALT => {}
            label => return Err(BpsecError::Header { label }),
        }
    }
    if count == 0 { Err(BpsecError::Header { label: CRITICAL }) } else { Ok(()) }
}

/// Protected headers that hold an algorithm.
pub(super) fn protected(algorithm: i64) -> Vec<u8> {
    let mut out = Vec::with_capacity(4);
    cbor::put_head(&mut out, cbor::MAP, 1);
    put_int(&mut out, ALGORITHM);
    put_int(&mut out, algorithm);
    out
}

/// A header map of those values that are given.
pub(super) fn put_map(
    out: &mut Vec<u8>,
    algorithm: Option<i64>,
    kid: &[u8],
    iv: Option<&[u8]>,
    salt: Option<&[u8]>,
) {
    let count = [algorithm.is_some(), !kid.is_empty(), iv.is_some(), salt.is_some()];
    cbor::put_head(out, cbor::MAP, count.iter().filter(|there| **there).count() as u64);
    if let Some(algorithm) = algorithm {
        put_int(out, ALGORITHM);
        put_int(out, algorithm);
    }
    // In the order of their encodings: 4, 5, -20.
    let byte_strings = [
        (KEY_IDENTIFIER, Some(kid).filter(|kid| !kid.is_empty())),
        (INITIALISATION_VECTOR, iv),
        (SALT, salt),
    ];
    for (label, value) in byte_strings {
        if let Some(value) = value {
            put_int(out, label);
            cbor::put_bytes(out, value);
        }
    }
}

/// A header map with a key identifier, as the parameter for additional protected headers holds it.
pub(in crate::bpsec) fn kid_map(kid: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + kid.len());
    put_map(&mut out, None, kid, None, None);
    out
}

/// The external AAD of an operation that is checked.
pub(super) fn external_aad(operation: &Operation<'_>, context: &Context<'_>) -> Result<Vec<u8>, BpsecError> {
    let source = operation.security.source.wire();
    context.external_aad(operation.bundle, source, operation.header, operation.target)
}
