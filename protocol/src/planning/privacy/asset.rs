//! An asset's side: it masks the change of its share, and learns whether it was counted.

use alloc::{sync::Arc, vec, vec::Vec};
use core::fmt;

use super::{
    error::PrivacyError,
    keystream::{MaskKey, Sign, pack},
    message::{MaskedContribution, Receipt, Survivors, digest},
    secret::AssetSecret,
    terms::{Policy, Terms},
};
use crate::{
    cbor::{self, ARRAY, Reader},
    id::NodeId,
};

/// What became of the outstanding contribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// It is in the running sum: the next change is measured from it.
    Counted,
    /// It is in no sum and never will be: the next change is measured from what was counted before.
    Dropped,
}

/// An asset that contributes under the terms of one epoch.
///
/// What it sends is the change of its share since what was last counted, under the masks of its own count of contributions. At most one
/// contribution is outstanding, and each count is spoken under once, so that no mask is used twice. Between two crashes the
/// host keeps [`Asset::snapshot`] before it sends.
#[derive(Clone)]
pub struct Asset {
    terms: Arc<Terms>,
    node: NodeId,
    keys: Vec<MaskKey>,
    /// The count of the last contribution.
    sequence: u64,
    /// The share that the running sum holds.
    counted: Vec<i64>,
    outstanding: Option<Vec<i64>>,
}

impl Asset {
    /// An asset that has not yet spoken in this epoch. Costs one X25519 for each seat.
    ///
    /// # Errors
    /// [`PrivacyError`] when the terms ask less than the policy, or do not list this node with this secret's key.
    pub fn new(
        terms: Arc<Terms>,
        node: NodeId,
        secret: &AssetSecret,
        policy: &Policy,
    ) -> Result<Self, PrivacyError> {
        policy.check(&terms)?;
        let listed = terms.position(node).map(|place| terms.parts().roster[place].key);
        if listed != Some(secret.public_key()) {
            return Err(PrivacyError::NotEnrolled { node });
        }
        let keys = secret.mask_keys(&terms, node)?;
        let counted = vec![0; terms.parts().entries];
        Ok(Self { terms, node, keys, sequence: 0, counted, outstanding: None })
    }

    /// Masks the change from what is counted to `share`; zeros withdraw all that is counted.
    ///
    /// # Errors
    /// [`PrivacyError::Outstanding`] until the last contribution is resolved; [`PrivacyError::Entries`] or
    /// [`PrivacyError::Bound`] when the share is not one of the terms'.
    pub fn speak(&mut self, share: &[i64]) -> Result<MaskedContribution, PrivacyError> {
        if self.outstanding.is_some() {
            return Err(PrivacyError::Outstanding { sequence: self.sequence });
        }
        self.terms.check_share(share)?;
        self.sequence += 1;
        self.outstanding = Some(share.to_vec());
        Ok(self.masked(share))
    }

    /// The outstanding contribution again, byte for byte.
    #[must_use]
    pub fn repeat(&self) -> Option<MaskedContribution> {
        self.outstanding.as_ref().map(|share| self.masked(share))
    }

    fn masked(&self, share: &[i64]) -> MaskedContribution {
        let changes = share.iter().zip(&self.counted).map(|(new, old)| new.wrapping_sub(*old) as u64);
        let (mut entries, bits) = (changes.collect::<Vec<u64>>(), self.terms.parts().bits);
        for key in &self.keys {
            key.apply(self.sequence, bits, Sign::Add, &mut entries);
        }
        let (epoch, sequence) = (self.terms.parts().epoch, self.sequence);
        MaskedContribution { epoch, sequence, entries: pack(&entries, bits) }
    }

    /// Takes what the coordinator says became of this asset's contributions; `None` while the last one is open.
    ///
    /// # Errors
    /// [`PrivacyError::Epoch`], or [`PrivacyError::Replayed`] when the receipt resolves what was never said.
    pub fn on_receipt(&mut self, receipt: &Receipt) -> Result<Option<Resolution>, PrivacyError> {
        self.terms.check_epoch(receipt.epoch)?;
        let (found, floor) = (receipt.resolved.max(receipt.counted), self.sequence);
        if found > floor {
            return Err(PrivacyError::Replayed { node: self.node, found, floor });
        }
        if receipt.resolved < self.sequence {
            return Ok(None);
        }
        Ok(self.resolve(receipt.counted == self.sequence))
    }

    /// Takes a survivor set that was opened: the asset reads in it whether it was counted. A set without it decides nothing, since what comes late is
    /// summed in a later round.
    ///
    /// # Errors
    /// [`PrivacyError::Epoch`].
    pub fn on_opened(&mut self, survivors: &Survivors) -> Result<Option<Resolution>, PrivacyError> {
        self.terms.check_epoch(survivors.epoch)?;
        match survivors.sequence_of(&self.terms, self.node) {
            Some(sequence) if sequence == self.sequence => Ok(self.resolve(true)),
            _ => Ok(None),
        }
    }

    fn resolve(&mut self, counted: bool) -> Option<Resolution> {
        let share = self.outstanding.take()?;
        if counted {
            self.counted = share;
            Some(Resolution::Counted)
        } else {
            Some(Resolution::Dropped)
        }
    }

    /// Begins a new horizon, in which nothing is counted yet. What is outstanding is resolved by the next receipt.
    pub fn restart(&mut self) {
        self.counted.fill(0);
    }

    /// The share that the running sum holds, as far as this asset knows.
    #[must_use]
    pub fn counted(&self) -> &[i64] {
        &self.counted
    }

    /// The count of the last contribution; 0 before the first.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The terms.
    #[must_use]
    pub const fn terms(&self) -> &Arc<Terms> {
        &self.terms
    }

    /// What the host keeps, before a contribution leaves: `[1, terms, sequence, counted, outstanding]`. It holds the share: it stays here.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + 16 * self.counted.len());
        cbor::put_head(&mut out, ARRAY, 5);
        cbor::put_uint(&mut out, 1);
        cbor::put_bytes(&mut out, self.terms.digest());
        cbor::put_uint(&mut out, self.sequence);
        for share in [Some(&self.counted), self.outstanding.as_ref()] {
            let bytes = share.into_iter().flatten().flat_map(|value| value.to_le_bytes());
            cbor::put_bytes(&mut out, &bytes.collect::<Vec<u8>>());
        }
        out
    }

    /// Takes a snapshot of the same terms back.
    ///
    /// # Errors
    /// [`PrivacyError`] when the snapshot is not one of these terms; nothing changes.
    pub fn restore(&mut self, snapshot: &[u8]) -> Result<(), PrivacyError> {
        let mut reader = Reader::new(snapshot);
        reader.array_of(5)?;
        let version = reader.uint()?;
        if version != 1 || digest(&mut reader)? != *self.terms.digest() {
            return Err(PrivacyError::Epoch { found: version, expected: self.terms.parts().epoch });
        }
        let sequence = reader.uint()?;
        let (counted, outstanding) = (shares(reader.bytes()?), shares(reader.bytes()?));
        reader.end()?;
        let expected = self.counted.len();
        for found in [counted.len(), if outstanding.is_empty() { expected } else { outstanding.len() }] {
            if found != expected {
                return Err(PrivacyError::Entries { found, expected });
            }
        }
        self.sequence = sequence;
        self.counted = counted;
        self.outstanding = Some(outstanding).filter(|share| !share.is_empty());
        Ok(())
    }
}

impl fmt::Debug for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outstanding = self.outstanding.is_some();
        let mut debug = f.debug_struct("Asset");
        debug.field("node", &self.node).field("sequence", &self.sequence).field("outstanding", &outstanding);
        debug.finish_non_exhaustive()
    }
}

fn shares(bytes: &[u8]) -> Vec<i64> {
    let whole = bytes.chunks_exact(8);
    whole.map(|value| i64::from_le_bytes(value.try_into().expect("eight bytes"))).collect()
}
