//! The asset's side of planning under masks: [`SecureAsset`].

use alloc::vec::Vec;

use super::{MaskedAnswer, MaskedRequest, SecureError};
use crate::planning::{
    privacy,
    solver::{Asset, Heading},
};

/// A solver's asset that answers under masks. One answer is outstanding at a time, whatever the method.
#[derive(Clone, Debug)]
pub struct SecureAsset {
    asset: Asset,
    masks: privacy::Asset,
    outstanding: Option<Heading>,
}

impl SecureAsset {
    /// An asset that has not yet answered.
    #[must_use]
    pub const fn new(asset: Asset, masks: privacy::Asset) -> Self {
        Self { asset, masks, outstanding: None }
    }

    /// Learns what became of the last answer, and answers what is asked; `None` when there is nothing to say: the plan is committed, the
    /// answer is in the sum, or another one is still outstanding. A repeated request gets the same bytes again.
    ///
    /// # Errors
    /// [`SecureError`] as [`Asset::on_request`], when the receipt is of another epoch, or when the answer is beyond the terms' bound.
    pub fn on_request(&mut self, asked: &MaskedRequest) -> Result<Option<MaskedAnswer>, SecureError> {
        let MaskedRequest { request, receipt } = asked;
        if self.masks.on_receipt(receipt)?.is_some() {
            self.outstanding = None;
        }
        if let Some(heading) = self.outstanding.filter(|_| request.committed.is_none()) {
            // What is under way counts first: a second answer would be relative to a sum that nobody knows yet.
            let same = (heading.horizon, heading.round) == (request.horizon, request.round);
            let repeated = self.masks.repeat().filter(|_| same);
            return Ok(repeated.map(|masked| MaskedAnswer { heading, masked }));
        }
        if request.accepted == 0 {
            self.masks.restart();
        }
        let Some(contribution) = self.asset.on_request(request)? else { return Ok(None) };
        let (horizon, round, base) = (contribution.horizon, contribution.round, contribution.base);
        let heading = Heading { horizon, round, base };
        // The whole answer: what the sum holds of this asset, and what is to be added to it.
        let whole = self.masks.counted().iter().zip(&contribution.entries);
        let whole: Vec<i64> = whole.map(|(counted, change)| counted.wrapping_add(*change)).collect();
        let masked = self.masks.speak(&whole)?;
        self.outstanding = Some(heading);
        Ok(Some(MaskedAnswer { heading, masked }))
    }

    /// The solver's asset.
    #[must_use]
    pub const fn asset(&self) -> &Asset {
        &self.asset
    }

    /// The solver's asset, to give it the problem of a later horizon.
    pub const fn asset_mut(&mut self) -> &mut Asset {
        &mut self.asset
    }

    /// The masks and their count.
    #[must_use]
    pub const fn masks(&self) -> &privacy::Asset {
        &self.masks
    }
}
