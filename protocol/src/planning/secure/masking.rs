//! What lies under an asset's answers: masks, noise, and what of them is counted ([`Masking`]).

use alloc::{vec, vec::Vec};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{MaskedAnswer, MaskedRequest, SecureError};
use crate::{
    cbor::{self, ARRAY, Reader},
    planning::{
        privacy::{
            self, PrivacyError, Receipt, Resolution,
            noise::{Ledger, Mechanism, Release, WhenSpent},
        },
        solver::{Asset, Heading, Request},
    },
};

/// What an asset says under masks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// An answer.
    Answer(MaskedAnswer),
    /// Its privacy budget is spent: it answers no more in this plan.
    Spent,
}

/// Masks under a solver's asset. One answer is outstanding at a time, whatever the method.
#[derive(Clone, Debug)]
pub struct Masking {
    masks: privacy::Asset,
    outstanding: Option<Heading>,
    /// What the sum would hold of this asset without noise, and what the outstanding answer makes of it, in the solver's steps.
    counted: Vec<i64>,
    answered: Vec<i64>,
    noise: Option<Noise>,
}

#[derive(Clone, Debug)]
struct Noise {
    mechanism: Mechanism,
    /// Every release draws from a stream of its own, named by its epoch and count: the same one again gives the same noise.
    seed: Zeroizing<[u8; 32]>,
}

impl Noise {
    fn stream(&self, epoch: u64, sequence: u64) -> ChaCha20Rng {
        let mut hash = Sha256::new();
        hash.update(b"CosmosMesh noise 1");
        hash.update(self.seed.as_ref());
        hash.update(epoch.to_be_bytes());
        hash.update(sequence.to_be_bytes());
        ChaCha20Rng::from_seed(hash.finalize().into())
    }
}

impl Masking {
    /// Masks under which nothing was said yet.
    #[must_use]
    pub fn new(masks: privacy::Asset) -> Self {
        let (counted, answered) = (vec![0; masks.counted().len()], Vec::new());
        Self { masks, outstanding: None, counted, answered, noise: None }
    }

    /// With noise on every entry of every new answer, from a secret seed of the caller's random source. Meant for methods whose answers are shares alone: the
    /// solver goes on as if the noise were not there.
    #[must_use]
    pub fn with_noise(self, mechanism: Mechanism, seed: [u8; 32]) -> Self {
        Self { noise: Some(Noise { mechanism, seed: Zeroizing::new(seed) }), ..self }
    }

    /// The masks of a later epoch: nothing is counted in it yet. What was spent stays spent.
    #[must_use]
    pub fn renewed(self, masks: privacy::Asset) -> Self {
        Self { noise: self.noise, ..Self::new(masks) }
    }

    /// Learns what became of the last answer, and answers what is asked; `None` when there is nothing to say: the plan is committed, the
    /// answer is in the sum, or another one is still outstanding. A repeated request gets the same bytes again.
    ///
    /// # Errors
    /// [`SecureError`] as [`Asset::on_request`], when the receipt is of another epoch, or when the answer is beyond the terms' bound.
    pub fn on_request(
        &mut self,
        asset: &mut Asset,
        asked: &MaskedRequest,
    ) -> Result<Option<Reply>, SecureError> {
        let request = &asked.request;
        self.settle(&asked.receipt)?;
        if let Some(heading) = self.outstanding.filter(|_| request.committed.is_none()) {
            // What is under way counts first: a second answer would be relative to a sum that nobody knows yet. It goes again for a
            // later round too: the coordinator counts it, or says in its next receipt that it never will.
            let again = |masked| Reply::Answer(MaskedAnswer { heading, masked });
            return Ok(self.masks.repeat().map(again));
        }
        if request.accepted == 0 {
            self.masks.restart();
            self.counted.fill(0);
        }
        if request.committed.is_none() && self.noise.as_ref().is_some_and(|noise| noise.mechanism.is_spent())
        {
            return self.stop(request).map(Some);
        }
        let Some(contribution) = asset.on_request(request)? else { return Ok(None) };
        // The whole answer: what the sum holds of this asset, and what is to be added to it.
        let whole = self.counted.iter().zip(&contribution.entries);
        let whole: Vec<i64> = whole.map(|(counted, change)| counted.wrapping_add(*change)).collect();
        let Some(released) = self.release(&whole, request.prices.len())? else {
            return Ok(Some(Reply::Spent));
        };
        let (horizon, round, base) = (contribution.horizon, contribution.round, contribution.base);
        self.say(&released, whole, Heading { horizon, round, base }).map(Some)
    }

    fn say(&mut self, released: &[i64], answered: Vec<i64>, heading: Heading) -> Result<Reply, SecureError> {
        let masked = self.masks.speak(released)?;
        self.answered = answered;
        self.outstanding = Some(heading);
        Ok(Reply::Answer(MaskedAnswer { heading, masked }))
    }

    fn settle(&mut self, receipt: &Receipt) -> Result<(), PrivacyError> {
        if let Some(resolution) = self.masks.on_receipt(receipt)? {
            self.outstanding = None;
            if resolution == Resolution::Counted {
                self.counted.clone_from(&self.answered);
            }
        }
        Ok(())
    }

    /// What may be said of an answer, in the terms' steps.
    fn release(&mut self, whole: &[i64], shares: usize) -> Result<Option<Vec<i64>>, SecureError> {
        let parts = self.masks.terms().parts();
        let (bound, grain) = (parts.bound, u32::from(parts.grain));
        let limit = i64::try_from(bound).unwrap_or(i64::MAX);
        let Some(noise) = &mut self.noise else {
            let half = (1_i64 << grain) >> 1;
            let steps = whole.iter().enumerate().map(|(place, value)| {
                let steps = value.saturating_add(half) >> grain;
                // Squares behind the share saturate: above their limit they only say "large".
                if place < shares { steps } else { steps.clamp(-limit, limit) }
            });
            return Ok(Some(steps.collect()));
        };
        let widest = bound.saturating_mul(1 << grain).min(i64::MAX as u64);
        let mut rng = noise.stream(parts.epoch, self.masks.sequence() + 1);
        match noise.mechanism.release(whole, widest, &mut rng)? {
            Release::Noisy(noisy) => Ok(Some(noisy.into_iter().map(|value| value >> grain).collect())),
            Release::Spent(_) => Ok(None),
        }
    }

    /// The budget is spent: the plan here stays as it was last told, or the asset withdraws with zeros, which cost nothing, until they are counted.
    fn stop(&mut self, request: &Request) -> Result<Reply, SecureError> {
        let keeps = self.noise.as_ref().is_none_or(|n| n.mechanism.when_spent() == WhenSpent::KeepLast);
        if keeps || self.masks.counted().iter().all(|value| *value == 0) {
            return Ok(Reply::Spent);
        }
        let zeros = vec![0; self.counted.len()];
        let (horizon, round, base) = (request.horizon, request.round, request.accepted);
        self.say(&zeros.clone(), zeros, Heading { horizon, round, base })
    }

    /// What the asset has spent of its privacy; `None` without noise.
    #[must_use]
    pub fn ledger(&self) -> Option<&Ledger> {
        self.noise.as_ref().map(|noise| noise.mechanism.ledger())
    }

    /// Whether the budget covers no further answer; never without noise.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.noise.as_ref().is_some_and(|noise| noise.mechanism.is_spent())
    }

    /// The masks and their count.
    #[must_use]
    pub const fn masks(&self) -> &privacy::Asset {
        &self.masks
    }

    /// What the host keeps, before an answer leaves: `[1, masks, heading, counted, answered, ledger]`. It holds shares: it stays here.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut out = Vec::new();
        cbor::put_head(&mut out, ARRAY, 6);
        cbor::put_uint(&mut out, 1);
        cbor::put_bytes(&mut out, &self.masks.snapshot());
        let heading = self.outstanding.map_or([0; 3], |h| [h.horizon, h.round.into(), h.base.into()]);
        cbor::put_head(&mut out, ARRAY, 3);
        heading.into_iter().for_each(|value| cbor::put_uint(&mut out, value));
        for list in [&self.counted, &self.answered] {
            let bytes: Vec<u8> = list.iter().flat_map(|value| value.to_le_bytes()).collect();
            cbor::put_bytes(&mut out, &bytes);
        }
        cbor::put_bytes(&mut out, &self.ledger().map(Ledger::snapshot).unwrap_or_default());
        out
    }

    /// Takes a snapshot of the same terms back.
    ///
    /// # Errors
    /// [`PrivacyError`] when the bytes are none: what is held then is of no use.
    pub fn restore(&mut self, snapshot: &[u8]) -> Result<(), PrivacyError> {
        let mut reader = Reader::new(snapshot);
        reader.array_of(6)?;
        reader.uint()?;
        self.masks.restore(reader.bytes()?)?;
        reader.array_of(3)?;
        let (horizon, round, base) = (reader.uint()?, reader.uint()? as u32, reader.uint()? as u32);
        let (counted, answered) = (steps(reader.bytes()?), steps(reader.bytes()?));
        let ledger = reader.bytes()?;
        reader.end()?;
        let (found, expected) = (counted.len(), self.counted.len());
        if found != expected || ![0, expected].contains(&answered.len()) {
            return Err(PrivacyError::Entries { found, expected });
        }
        if let (Some(noise), false) = (&mut self.noise, ledger.is_empty()) {
            noise.mechanism.ledger_mut().restore(ledger)?;
        }
        self.outstanding = self.masks.repeat().map(|_| Heading { horizon, round, base });
        (self.counted, self.answered) = (counted, answered);
        Ok(())
    }
}

fn steps(bytes: &[u8]) -> Vec<i64> {
    let whole = bytes.chunks_exact(8);
    whole.map(|value| i64::from_le_bytes(value.try_into().expect("eight bytes"))).collect()
}
