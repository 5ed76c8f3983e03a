//! An asset with masks under its answers, as one: [`SecureAsset`].

use super::{MaskedAnswer, MaskedRequest, Masking, Reply, SecureError};
use crate::planning::{
    privacy::{
        self,
        noise::{Ledger, Mechanism},
    },
    solver::Asset,
};

/// A solver's asset that answers under masks.
#[derive(Clone, Debug)]
pub struct SecureAsset {
    asset: Asset,
    masking: Masking,
}

impl SecureAsset {
    /// An asset that has not yet answered.
    #[must_use]
    pub fn new(asset: Asset, masks: privacy::Asset) -> Self {
        Self { asset, masking: Masking::new(masks) }
    }

    /// With noise on every answer ([`Masking::with_noise`]).
    #[must_use]
    pub fn with_noise(self, mechanism: Mechanism, seed: [u8; 32]) -> Self {
        Self { masking: self.masking.with_noise(mechanism, seed), ..self }
    }

    /// As [`Masking::on_request`]; an asset whose budget is spent has no answer.
    ///
    /// # Errors
    /// As [`Masking::on_request`].
    pub fn on_request(&mut self, asked: &MaskedRequest) -> Result<Option<MaskedAnswer>, SecureError> {
        Ok(match self.masking.on_request(&mut self.asset, asked)? {
            Some(Reply::Answer(answer)) => Some(answer),
            Some(Reply::Spent) | None => None,
        })
    }

    /// What the asset has spent of its privacy; `None` without noise.
    #[must_use]
    pub fn ledger(&self) -> Option<&Ledger> {
        self.masking.ledger()
    }

    /// The solver's asset.
    #[must_use]
    pub const fn asset(&self) -> &Asset {
        &self.asset
    }

    /// The masks and their count.
    #[must_use]
    pub const fn masks(&self) -> &privacy::Asset {
        self.masking.masks()
    }
}
