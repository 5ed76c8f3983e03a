//! [`SecurityBlock`]: the abstract security block (RFC 9172 §3.6), the data of integrity and confidentiality blocks.

use alloc::vec::Vec;

use super::{
    error::BpsecError,
    item::{Item, put_int, read_any, read_int},
};
use crate::{
    bundle::{BundleError, MAX_TARGETS, put_endpoint, read_endpoint},
    cbor::{self, Reader},
    id::EndpointId,
};

/// The most parameters of a security block, and the most results for one target.
pub const MAX_ITEMS: usize = 16;
/// Security context flags (RFC 9172 §3.6): parameters are present.
const PARAMETERS_PRESENT: u64 = 1;

/// A security context identifier (RFC 9172 §11.3). Every number is a context; the named ones are understood here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContextId(pub i64);

impl ContextId {
    /// BIB-HMAC-SHA2 (RFC 9173 §3).
    pub const BIB_HMAC_SHA2: Self = Self(1);
    /// BCB-AES-GCM (RFC 9173 §4).
    pub const BCB_AES_GCM: Self = Self(2);
    /// COSE (draft-ietf-dtn-bpsec-cose §2).
    pub const COSE: Self = Self(3);
}

/// Who added a security block. Its encoding is kept, because check values may cover it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecuritySource {
    endpoint: EndpointId,
    wire: Vec<u8>,
}

impl SecuritySource {
    /// A source in the encoding that this implementation writes.
    #[must_use]
    pub fn new(endpoint: EndpointId) -> Self {
        let mut wire = Vec::with_capacity(24);
        put_endpoint(&mut wire, &endpoint);
        Self { endpoint, wire }
    }

    /// Who it is.
    #[must_use]
    pub const fn endpoint(&self) -> &EndpointId {
        &self.endpoint
    }

    /// Its encoding.
    pub(super) fn wire(&self) -> &[u8] {
        &self.wire
    }
}

/// An abstract security block: one security operation for each target, by one context with one set of parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityBlock {
    /// The numbers of the blocks that are protected, each once.
    pub targets: Vec<u64>,
    /// How they are protected.
    pub context: ContextId,
    /// Security context flags without the one that says whether there are parameters; reserved ones are kept.
    pub reserved_flags: u64,
    /// Who protects them.
    pub source: SecuritySource,
    /// The context's parameters; `None` when the block has no such field.
    pub parameters: Option<Vec<Item>>,
    /// The results for each target, in the order of the targets.
    pub results: Vec<Vec<Item>>,
}

impl SecurityBlock {
    /// A block without targets yet.
    pub(super) fn new(context: ContextId, source: EndpointId, parameters: Vec<Item>) -> Self {
        Self {
            targets: Vec::new(),
            context,
            reserved_flags: 0,
            source: SecuritySource::new(source),
            parameters: Some(parameters).filter(|parameters| !parameters.is_empty()),
            results: Vec::new(),
        }
    }

    /// Reads the data of a security block. Memory is taken only for bytes that are there.
    ///
    /// # Errors
    /// When the bytes are not an abstract security block in deterministic form, or a rule of RFC 9172 §3.6 is broken.
    pub fn decode(data: &[u8]) -> Result<Self, BpsecError> {
        let mut reader = Reader::new(data);
        let targets = read_targets(&mut reader)?;
        let context = ContextId(read_int(&mut reader)?);
        let flags = reader.uint()?;
        let start = reader.position();
        let endpoint = read_endpoint(&mut reader).map_err(|error| match error {
            BundleError::Cbor(error) => BpsecError::Cbor(error),
            _ => BpsecError::Source,
        })?;
        if endpoint == EndpointId::Null {
            return Err(BpsecError::NullSource);
        }
        let source = SecuritySource { endpoint, wire: reader.since(start).to_vec() };
        let present = flags & PARAMETERS_PRESENT != 0;
        let parameters = if present { Some(read_items(&mut reader)?) } else { None };
        let sets = reader.array()?;
        if sets != targets.len() as u64 {
            return Err(BpsecError::ResultSets { targets: targets.len(), results: sets });
        }
        let results = targets.iter().map(|_| read_items(&mut reader)).collect::<Result<Vec<_>, _>>()?;
        reader.end()?;
        let reserved_flags = flags & !PARAMETERS_PRESENT;
        Ok(Self { targets, context, reserved_flags, source, parameters, results })
    }

    /// The block's data: the one deterministic encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        cbor::put_head(&mut out, cbor::ARRAY, self.targets.len() as u64);
        self.targets.iter().for_each(|target| cbor::put_uint(&mut out, *target));
        put_int(&mut out, self.context.0);
        cbor::put_uint(&mut out, self.reserved_flags | u64::from(self.parameters.is_some()));
        out.extend_from_slice(&self.source.wire);
        if let Some(parameters) = &self.parameters {
            put_items(&mut out, parameters);
        }
        cbor::put_head(&mut out, cbor::ARRAY, self.results.len() as u64);
        self.results.iter().for_each(|results| put_items(&mut out, results));
        out
    }

    /// The parameters; none when the field is absent.
    #[must_use]
    pub fn parameters(&self) -> &[Item] {
        self.parameters.as_deref().unwrap_or_default()
    }

    /// The results for `target`; `None` when it is no target.
    #[must_use]
    pub fn results_for(&self, target: u64) -> Option<&[Item]> {
        let index = self.targets.iter().position(|other| *other == target)?;
        self.results.get(index).map(Vec::as_slice)
    }

    /// Takes the operation on `target` out, with its results.
    pub(super) fn take_operation(&mut self, target: u64) -> Option<Vec<Item>> {
        let index = self.targets.iter().position(|other| *other == target)?;
        self.targets.remove(index);
        Some(self.results.remove(index))
    }

    /// Appends an operation on `target`.
    pub(super) fn push_operation(&mut self, target: u64, results: Vec<Item>) {
        self.targets.push(target);
        self.results.push(results);
    }
}

fn read_targets(reader: &mut Reader<'_>) -> Result<Vec<u64>, BpsecError> {
    let count = reader.array()?;
    if count == 0 {
        return Err(BpsecError::NoTargets);
    }
    if count > MAX_TARGETS as u64 {
        return Err(BpsecError::TooMany { max: MAX_TARGETS });
    }
    let mut targets = Vec::new();
    for _ in 0..count {
        let target = reader.uint()?;
        if targets.contains(&target) {
            return Err(BpsecError::DuplicateTarget { target });
        }
        targets.push(target);
    }
    Ok(targets)
}

fn read_items(reader: &mut Reader<'_>) -> Result<Vec<Item>, BpsecError> {
    let count = reader.array()?;
    if count > MAX_ITEMS as u64 {
        return Err(BpsecError::TooMany { max: MAX_ITEMS });
    }
    let mut items: Vec<Item> = Vec::new();
    for _ in 0..count {
        reader.array_of(2)?;
        let id = reader.uint()?;
        if items.iter().any(|item| item.id == id) {
            return Err(BpsecError::DuplicateId { id });
        }
        items.push(Item { id, value: read_any(reader)?.to_vec() });
    }
    Ok(items)
}

fn put_items(out: &mut Vec<u8>, items: &[Item]) {
    cbor::put_head(out, cbor::ARRAY, items.len() as u64);
    for Item { id, value } in items {
        cbor::put_head(out, cbor::ARRAY, 2);
        cbor::put_uint(out, *id);
        out.extend_from_slice(value);
    }
}

#[cfg(test)]
#[path = "asb_tests.rs"]
mod tests;
