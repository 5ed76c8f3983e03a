//! [`Ballot`]: what a voter says in a step of a slot.

use super::error::GovernanceError;
use crate::{
    cbor::{self, CborError, Reader},
    log::Hash,
};
use alloc::vec::Vec;

/// A proposal by its digest; `None`: nothing is to be adopted in this slot.
pub type Choice = Option<Hash>;

/// What a voter signs: once in each step of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ballot {
    /// The slot, from 1.
    pub slot: u64,
    /// The head of the history before it: a ballot counts for the one future of that past.
    pub parent: Hash,
    /// 0: the voter approves; 1 and later: it commits.
    pub step: u32,
    /// What it chooses.
    pub choice: Choice,
}

impl Ballot {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(80);
        cbor::put_head(&mut out, cbor::ARRAY, 4);
        cbor::put_uint(&mut out, self.slot);
        cbor::put_bytes(&mut out, &self.parent);
        cbor::put_uint(&mut out, u64::from(self.step));
        cbor::put_bytes(&mut out, self.choice.as_ref().map_or(&[][..], |digest| &digest[..]));
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, GovernanceError> {
        let mut reader = Reader::new(bytes);
        reader.array_of(4)?;
        let slot = reader.uint()?;
        let parent = read_hash(&mut reader)?.ok_or(GovernanceError::Parent { slot })?;
        let found = reader.uint()?;
        let step = u32::try_from(found).map_err(|_| GovernanceError::Unknown { found })?;
        let choice = read_hash(&mut reader)?;
        reader.end()?;
        Ok(Self { slot, parent, step, choice })
    }
}

/// 32 bytes, or none.
pub(super) fn read_hash(reader: &mut Reader<'_>) -> Result<Option<Hash>, CborError> {
    let (at, bytes) = (reader.position(), reader.bytes()?);
    let found = bytes.len() as u64;
    match bytes.try_into() {
        Ok(hash) => Ok(Some(hash)),
        Err(_) if found == 0 => Ok(None),
        Err(_) => Err(CborError::Items { at, expected: 32, found }),
    }
}
