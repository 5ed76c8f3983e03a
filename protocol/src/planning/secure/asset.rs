//! The asset's side of planning under masks: [`SecureAsset`].

use alloc::{vec, vec::Vec};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::{MaskedAnswer, MaskedRequest, SecureError};
use crate::planning::{
    privacy::{
        self, Resolution,
        noise::{Ledger, Mechanism, Release, WhenSpent},
    },
    solver::{Asset, Heading, Request},
};

/// A solver's asset that answers under masks. One answer is outstanding at a time, whatever the method.
#[derive(Clone, Debug)]
pub struct SecureAsset {
    asset: Asset,
    masks: privacy::Asset,
    outstanding: Option<Heading>,
    /// What the sum would hold of this asset without noise, and what the outstanding answer makes of it.
    counted: Vec<i64>,
    answered: Vec<i64>,
    noise: Option<Noise>,
}

#[derive(Clone, Debug)]
struct Noise {
    mechanism: Mechanism,
    rng: ChaCha20Rng,
    /// Whether it has withdrawn: what it says next, and last, is zeros.
    left: bool,
}

impl SecureAsset {
    /// An asset that has not yet answered.
    #[must_use]
    pub fn new(asset: Asset, masks: privacy::Asset) -> Self {
        let (counted, answered) = (vec![0; masks.counted().len()], Vec::new());
        Self { asset, masks, outstanding: None, counted, answered, noise: None }
    }

    /// With noise on every entry of every new answer, from a secret seed of the caller's random source. Meant for methods whose answers are shares alone: the solver goes on as
    /// if the noise were not there.
    #[must_use]
    pub fn with_noise(self, mechanism: Mechanism, seed: [u8; 32]) -> Self {
        let noise = Noise { mechanism, rng: ChaCha20Rng::from_seed(seed), left: false };
        Self { noise: Some(noise), ..self }
    }

    /// Learns what became of the last answer, and answers what is asked; `None` when there is nothing to say: the plan is committed, the
    /// answer is in the sum, or another one is still outstanding. A repeated request gets the same bytes again.
    ///
    /// # Errors
    /// [`SecureError`] as [`Asset::on_request`], when the receipt is of another epoch, or when the answer is beyond the terms' bound.
    pub fn on_request(&mut self, asked: &MaskedRequest) -> Result<Option<MaskedAnswer>, SecureError> {
        let MaskedRequest { request, receipt } = asked;
        if let Some(resolution) = self.masks.on_receipt(receipt)? {
            self.outstanding = None;
            if resolution == Resolution::Counted {
                self.counted.clone_from(&self.answered);
            }
        }
        if let Some(heading) = self.outstanding.filter(|_| request.committed.is_none()) {
            // What is under way counts first: a second answer would be relative to a sum that nobody knows yet. It goes again for a
            // later round too: the coordinator counts it, or says in its next receipt that it never will.
            return Ok(self.masks.repeat().map(|masked| MaskedAnswer { heading, masked }));
        }
        if request.accepted == 0 {
            self.masks.restart();
            self.counted.fill(0);
        }
        if request.committed.is_none() && self.noise.as_ref().is_some_and(|noise| noise.mechanism.is_spent())
        {
            return self.stop(request);
        }
        let Some(contribution) = self.asset.on_request(request)? else { return Ok(None) };
        // The whole answer: what the sum holds of this asset, and what is to be added to it.
        let whole = self.counted.iter().zip(&contribution.entries);
        let whole: Vec<i64> = whole.map(|(counted, change)| counted.wrapping_add(*change)).collect();
        let Some(released) = self.release(&whole)? else { return Ok(None) };
        let (horizon, round, base) = (contribution.horizon, contribution.round, contribution.base);
        let heading = Heading { horizon, round, base };
        let masked = self.masks.speak(&released)?;
        self.answered = whole;
        self.outstanding = Some(heading);
        Ok(Some(MaskedAnswer { heading, masked }))
    }

    /// What may be said of an answer.
    fn release(&mut self, whole: &[i64]) -> Result<Option<Vec<i64>>, SecureError> {
        let Some(noise) = &mut self.noise else { return Ok(Some(whole.to_vec())) };
        let bound = self.masks.terms().parts().bound;
        match noise.mechanism.release(whole, bound, &mut noise.rng)? {
            Release::Noisy(noisy) => Ok(Some(noisy)),
            Release::Spent(_) => Ok(None),
        }
    }

    /// The budget is spent: the plan here stays as it was last told, or the asset withdraws with zeros, once, and says no more.
    fn stop(&mut self, request: &Request) -> Result<Option<MaskedAnswer>, SecureError> {
        let Some(noise) = &mut self.noise else { return Ok(None) };
        if noise.left || noise.mechanism.when_spent() == WhenSpent::KeepLast {
            return Ok(None);
        }
        let zeros = vec![0; self.counted.len()];
        let masked = self.masks.speak(&zeros)?;
        noise.left = true;
        self.answered = zeros;
        let (horizon, round, base) = (request.horizon, request.round, request.accepted);
        let heading = Heading { horizon, round, base };
        self.outstanding = Some(heading);
        Ok(Some(MaskedAnswer { heading, masked }))
    }

    /// What the asset has spent of its privacy; `None` without noise.
    #[must_use]
    pub fn ledger(&self) -> Option<&Ledger> {
        self.noise.as_ref().map(|noise| noise.mechanism.ledger())
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
