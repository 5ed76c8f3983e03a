//! How a ledger survives a restart: each decision by itself, and the open slot as a whole.

use super::{error::GovernanceError, ledger::Ledger};
use crate::cbor::{self, CborError, Reader};
use alloc::vec::Vec;

/// Most records in an open slot: two proposals of each voter and three for each that voters have made room for, and two ballots of each in each step.
const MAX_KEPT: u64 = (super::MAX_VOTERS * (2 * (super::MAX_STEPS as usize + 1) + 5)) as u64;

impl Ledger {
    /// What lies on the table, as bytes: `[record…]`. The decisions' certificates are kept one by one, in order.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut out = Vec::new();
        cbor::put_head(&mut out, cbor::ARRAY, self.records().count() as u64);
        self.records().for_each(|record| cbor::put_bytes(&mut out, record));
        out
    }

    /// Takes what lay on the table back, all decisions before it. Records of a slot that has been decided since are left out.
    ///
    /// # Errors
    /// [`GovernanceError`] for bytes that [`Ledger::snapshot`] did not write.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), GovernanceError> {
        let mut reader = Reader::new(bytes);
        let (at, found) = (reader.position(), reader.array()?);
        if found > MAX_KEPT {
            return Err(CborError::Items { at, expected: MAX_KEPT, found }.into());
        }
        for _ in 0..found {
            self.put_back(reader.bytes()?)?;
        }
        Ok(reader.end()?)
    }
}
