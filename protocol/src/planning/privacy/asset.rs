//! An asset's side: it masks the change of its share, and learns whether it was counted.

use alloc::{sync::Arc, vec, vec::Vec};
use core::fmt;

use super::{
    error::PrivacyError,
    keystream::{MaskKey, Sign, pack},
    message::{MaskedContribution, Receipt, digest},
    occasion::Occasion,
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
/// contribution is outstanding, and each count is spoken under once, so that no mask is used twice. Masks are those of the occasion and of what is
/// counted here: whoever was told something else than the others, or was lied to about what is counted, opens with nobody.
/// Between two crashes the host keeps [`Asset::snapshot`] before it sends.
#[derive(Clone)]
pub struct Asset {
    terms: Arc<Terms>,
    node: NodeId,
    keys: Vec<MaskKey>,
    /// The count of the last contribution.
    sequence: u64,
    /// The horizon and generation of the sum.
    ground: (u64, u64),
    /// The share that the running sum holds, and the count of the contribution that brought it there; 0 for none in this generation.
    counted: Vec<i64>,
    from: u64,
    outstanding: Option<Outstanding>,
}

/// A contribution on its way.
#[derive(Clone)]
struct Outstanding {
    share: Vec<i64>,
    /// From what was counted when it was said.
    change: Vec<i64>,
    from: u64,
    occasion: Occasion,
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
        let (ground, from, outstanding) = ((0, 0), 0, None);
        Ok(Self { terms, node, keys, sequence: 0, ground, counted, from, outstanding })
    }

    /// Follows the sum into a generation: in a later one nothing is counted yet. What is outstanding stays so until a receipt resolves it.
    ///
    /// # Errors
    /// [`PrivacyError::Generation`] when it is over, or of another horizon than it was.
    pub fn begin(&mut self, horizon: u64, generation: u64) -> Result<(), PrivacyError> {
        let last = self.ground.1;
        if generation < last || generation == last && horizon != self.ground.0 || horizon < self.ground.0 {
            return Err(PrivacyError::Generation { found: generation, last });
        }
        if generation > last {
            self.ground = (horizon, generation);
            self.counted.fill(0);
            self.from = 0;
        }
        Ok(())
    }

    /// Masks the change from what is counted to `share`; zeros withdraw all that is counted.
    ///
    /// # Errors
    /// [`PrivacyError::Outstanding`] until the last contribution is resolved; [`PrivacyError::Generation`] as [`Asset::begin`];
    /// [`PrivacyError::Entries`] or [`PrivacyError::Bound`] when the share is not one of the terms'.
    pub fn speak(&mut self, share: &[i64], occasion: &Occasion) -> Result<MaskedContribution, PrivacyError> {
        if self.outstanding.is_some() {
            return Err(PrivacyError::Outstanding { sequence: self.sequence });
        }
        self.terms.check_share(share)?;
        self.begin(occasion.horizon, occasion.generation)?;
        self.sequence += 1;
        let change = share.iter().zip(&self.counted).map(|(new, old)| new.wrapping_sub(*old)).collect();
        let said = Outstanding { share: share.to_vec(), change, from: self.from, occasion: *occasion };
        let masked = self.masked(&said);
        self.outstanding = Some(said);
        Ok(masked)
    }

    /// The outstanding contribution again, byte for byte.
    #[must_use]
    pub fn repeat(&self) -> Option<MaskedContribution> {
        self.outstanding.as_ref().map(|said| self.masked(said))
    }

    fn masked(&self, said: &Outstanding) -> MaskedContribution {
        let changes = said.change.iter().map(|change| *change as u64);
        let (mut entries, bits) = (changes.collect::<Vec<u64>>(), self.terms.parts().bits);
        let occasion = said.occasion.digest();
        for key in &self.keys {
            key.bound(&occasion, said.from).apply(self.sequence, bits, Sign::Add, &mut entries);
        }
        let (epoch, sequence) = (self.terms.parts().epoch, self.sequence);
        let generation = said.occasion.generation;
        MaskedContribution { epoch, generation, sequence, entries: pack(&entries, bits) }
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

    fn resolve(&mut self, counted: bool) -> Option<Resolution> {
        let said = self.outstanding.take()?;
        // What was said for a generation that is over is in no sum.
        if counted && said.occasion.generation == self.ground.1 {
            (self.counted, self.from) = (said.share, self.sequence);
            Some(Resolution::Counted)
        } else {
            Some(Resolution::Dropped)
        }
    }

    /// The share that the running sum holds, as far as this asset knows.
    #[must_use]
    pub fn counted(&self) -> &[i64] {
        &self.counted
    }

    /// The share that is on its way.
    #[cfg(test)]
    pub(in crate::planning) fn outstanding(&self) -> Option<&[i64]> {
        self.outstanding.as_ref().map(|said| said.share.as_slice())
    }

    /// The generation of the sum that it is counted in; 0 before the first.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.ground.1
    }

    /// The count of the last contribution; 0 before the first.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The node.
    #[must_use]
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// The terms.
    #[must_use]
    pub const fn terms(&self) -> &Arc<Terms> {
        &self.terms
    }

    /// What the host keeps, before a contribution leaves: `[2, terms, sequence, horizon, generation, from, counted, [share, change, from, horizon,
    /// generation, question]]`, the last of what is outstanding. It holds the share: it stays here.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128 + 24 * self.counted.len());
        cbor::put_head(&mut out, ARRAY, 8);
        cbor::put_uint(&mut out, 2);
        cbor::put_bytes(&mut out, self.terms.digest());
        for value in [self.sequence, self.ground.0, self.ground.1, self.from] {
            cbor::put_uint(&mut out, value);
        }
        put_shares(&mut out, &self.counted);
        let Some(said) = &self.outstanding else {
            cbor::put_head(&mut out, ARRAY, 0);
            return out;
        };
        cbor::put_head(&mut out, ARRAY, 6);
        put_shares(&mut out, &said.share);
        put_shares(&mut out, &said.change);
        for value in [said.from, said.occasion.horizon, said.occasion.generation] {
            cbor::put_uint(&mut out, value);
        }
        cbor::put_bytes(&mut out, said.occasion.question.as_ref().map_or(&[][..], |question| question));
        out
    }

    /// Takes a snapshot of the same terms back.
    ///
    /// # Errors
    /// [`PrivacyError`] when the snapshot is not one of these terms; nothing changes.
    pub fn restore(&mut self, snapshot: &[u8]) -> Result<(), PrivacyError> {
        let mut reader = Reader::new(snapshot);
        reader.array_of(8)?;
        let version = reader.uint()?;
        if version != 2 || digest(&mut reader)? != *self.terms.digest() {
            return Err(PrivacyError::Epoch { found: version, expected: self.terms.parts().epoch });
        }
        let sequence = reader.uint()?;
        let (ground, from) = ((reader.uint()?, reader.uint()?), reader.uint()?);
        let counted = self.shares(&mut reader)?;
        let outstanding = match reader.array()? {
            0 => None,
            _ => Some(self.read_outstanding(&mut reader)?),
        };
        reader.end()?;
        (self.sequence, self.ground, self.from) = (sequence, ground, from);
        (self.counted, self.outstanding) = (counted, outstanding);
        Ok(())
    }

    fn read_outstanding(&self, reader: &mut Reader<'_>) -> Result<Outstanding, PrivacyError> {
        let (share, change) = (self.shares(reader)?, self.shares(reader)?);
        let (from, horizon, generation) = (reader.uint()?, reader.uint()?, reader.uint()?);
        let question = reader.bytes()?;
        let wrong = PrivacyError::Entries { found: question.len(), expected: 32 };
        let question = match question {
            [] => None,
            found => Some(found.try_into().map_err(|_| wrong)?),
        };
        Ok(Outstanding { share, change, from, occasion: Occasion { horizon, generation, question } })
    }

    fn shares(&self, reader: &mut Reader<'_>) -> Result<Vec<i64>, PrivacyError> {
        let (bytes, expected) = (reader.bytes()?, self.counted.len());
        let found = bytes.len() / 8;
        if bytes.len() != 8 * expected {
            return Err(PrivacyError::Entries { found, expected });
        }
        let whole = bytes.chunks_exact(8);
        Ok(whole.map(|value| i64::from_le_bytes(value.try_into().expect("eight bytes"))).collect())
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

fn put_shares(out: &mut Vec<u8>, shares: &[i64]) {
    let bytes: Vec<u8> = shares.iter().flat_map(|value| value.to_le_bytes()).collect();
    cbor::put_bytes(out, &bytes);
}
