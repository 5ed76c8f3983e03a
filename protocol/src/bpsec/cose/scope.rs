//! [`AadScope`]: what a COSE operation binds to its target (draft-ietf-dtn-bpsec-cose §2.2.2), and the external AAD (§2.5.1).

use alloc::{vec, vec::Vec};

use super::{AAD_SCOPE, ADDITIONAL_PROTECTED, ADDITIONAL_UNPROTECTED};
use crate::{
    bpsec::{
        asb::SecurityBlock,
        error::BpsecError,
        item::{put_int, read_int},
        rules::PRIMARY_NUMBER,
        scope::Header,
    },
    bundle::Bundle,
    cbor::{self, Reader},
};

/// The key that stands for the operation's target.
const TARGET: i64 = -1;
/// The key that stands for the security block.
const SECURITY: i64 = -2;
/// A block's type, number and flags, or the whole primary block.
const METADATA: u64 = 1;
/// A block's data.
const DATA: u64 = 2;
/// The most entries: one for every block that a bundle may have.
const MAX_ENTRIES: usize = 64;

/// Which blocks an operation covers beside its target's data. Entries are in the order of their encoding: block numbers by rising value,
/// then the target, then the security block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AadScope(Vec<(i64, u64)>);

impl Default for AadScope {
    /// The draft's default: the primary block, and the metadata of target and security block.
    fn default() -> Self {
        Self(vec![(0, METADATA), (TARGET, METADATA), (SECURITY, METADATA)])
    }
}

impl AadScope {
    /// Nothing but the target's data and the security source.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Covers the primary block too.
    #[must_use]
    pub fn with_primary(self) -> Self {
        self.with(0, METADATA)
    }

    /// Covers type, number and flags of the target too.
    #[must_use]
    pub fn with_target_metadata(self) -> Self {
        self.with(TARGET, METADATA)
    }

    /// Covers type, number and flags of the security block too.
    #[must_use]
    pub fn with_security_metadata(self) -> Self {
        self.with(SECURITY, METADATA)
    }

    /// Covers another block too: its type, number and flags, and its data. It must not change on the way.
    #[must_use]
    pub fn with_block(self, number: u64) -> Self {
        match i64::try_from(number) {
            Ok(number) => self.with(number, METADATA | DATA),
            Err(_) => self,
        }
    }

    fn with(mut self, key: i64, flags: u64) -> Self {
        match self.0.iter_mut().find(|(other, _)| *other == key) {
            Some((_, old)) => *old |= flags,
            None => self.0.push((key, flags)),
        }
        self.0.sort_by_key(|(key, _)| order(*key));
        self
    }

    /// Appends the map.
    pub(in crate::bpsec) fn put(&self, out: &mut Vec<u8>) {
        cbor::put_head(out, cbor::MAP, self.0.len() as u64);
        for (key, flags) in &self.0 {
            put_int(out, *key);
            cbor::put_uint(out, *flags);
        }
    }

    fn read(bytes: &[u8]) -> Result<Self, BpsecError> {
        let mut reader = Reader::new(bytes);
        let count = reader.map()?;
        if count > MAX_ENTRIES as u64 {
            return Err(BpsecError::TooMany { max: MAX_ENTRIES });
        }
        let mut entries: Vec<(i64, u64)> = Vec::new();
        for _ in 0..count {
            let (key, flags) = (read_int(&mut reader)?, reader.uint()?);
            // Unassigned flags are ignored; an entry must not be without any.
            let known = key >= SECURITY && flags != 0;
            // There is no data of these three that the operation does not have already.
            let allowed = if key > 0 { METADATA | DATA } else { !DATA };
            if !known || flags & DATA & !allowed != 0 {
                return Err(BpsecError::Scope { key });
            }
            entries.push((key, flags));
        }
        reader.end()?;
        Ok(Self(entries))
    }

    /// Whether the operation binds the primary block.
    #[must_use]
    pub fn covers_primary(&self) -> bool {
        self.0.iter().any(|(key, flags)| *key == 0 && flags & METADATA != 0)
    }
}

/// The place of a key in a deterministic map: the numbers from 0 upwards, then those from -1 downwards.
const fn order(key: i64) -> (bool, u64) {
    (key < 0, key.unsigned_abs())
}

/// The parameters of a COSE security block.
pub(in crate::bpsec) struct Context<'a> {
    pub scope: AadScope,
    /// A serialised header map, or nothing.
    pub protected: &'a [u8],
    /// A serialised header map, or nothing.
    pub unprotected: &'a [u8],
}

impl<'a> Context<'a> {
    pub(in crate::bpsec) fn read(security: &'a SecurityBlock) -> Result<Self, BpsecError> {
        let mut found = Self { scope: AadScope::default(), protected: &[], unprotected: &[] };
        for item in security.parameters() {
            let malformed = BpsecError::Parameter { id: item.id };
            match item.id {
                ADDITIONAL_PROTECTED => found.protected = item.as_bytes().ok_or(malformed)?,
                ADDITIONAL_UNPROTECTED => found.unprotected = item.as_bytes().ok_or(malformed)?,
                AAD_SCOPE => found.scope = AadScope::read(&item.value)?,
                _ => return Err(malformed),
            }
        }
        Ok(found)
    }

    /// The external AAD of an operation: security source, scope, the blocks in scope, and the additional protected headers.
    pub(in crate::bpsec) fn external_aad(
        &self,
        bundle: &Bundle,
        source: &[u8],
        security: Header,
        target: u64,
    ) -> Result<Vec<u8>, BpsecError> {
        let mut out = Vec::with_capacity(128);
        out.extend_from_slice(source);
        self.scope.put(&mut out);
        for &(key, flags) in &self.scope.0 {
            let number = match key {
                TARGET => target,
                SECURITY => security.number(),
                key => u64::try_from(key).map_err(|_| BpsecError::Scope { key })?,
            };
            if number == PRIMARY_NUMBER {
                if flags & METADATA != 0 {
                    out.extend_from_slice(&bundle.canonical_primary());
                }
                continue;
            }
            let block = bundle.numbered(number).ok_or(BpsecError::Scope { key })?;
            let by_number = key > 0;
            if by_number && flags & DATA != 0 && (number == target || number == security.number()) {
                return Err(BpsecError::Scope { key });
            }
            if flags & METADATA != 0 {
                Header::of(block).put(&mut out);
            }
            if flags & DATA != 0 {
                cbor::put_bytes(&mut out, &block.data);
            }
        }
        cbor::put_bytes(&mut out, self.protected);
        Ok(out)
    }
}

/// Whether the results cover the security block's number, so that they would not hold in another block.
pub(in crate::bpsec) fn covers_own_header(security: &SecurityBlock) -> bool {
    Context::read(security).is_ok_and(|found| found.scope.0.iter().any(|(key, _)| *key == SECURITY))
}
