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
        exchange::PlanError,
        privacy::{
            self, Occasion, PrivacyError, Receipt, Resolution,
            noise::{Ledger, Mechanism, Release, WhenSpent},
        },
        solver::{Asset, Heading, Question, Request},
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
///
/// What is told is the change of the whole answer since what is counted *here*, and only while the coordinator says the same of it. So
/// no lie about it brings a whole share out again.
#[derive(Clone, Debug)]
pub struct Masking {
    masks: privacy::Asset,
    outstanding: Option<Heading>,
    /// The round of the answer that is counted; 0 when none is.
    counted: u32,
    noise: Option<Noise>,
    /// What was released last under noise: to the same question it is said again, in whatever generation of the sum, and costs nothing.
    told: Option<Told>,
}

#[derive(Clone, Debug)]
struct Told {
    question: [u8; 32],
    steps: Vec<i64>,
}

#[derive(Clone, Debug)]
struct Noise {
    mechanism: Mechanism,
    /// Whether the mechanism is of the length of shares that are asked for.
    sized: bool,
    /// Every release draws from a stream of its own, named by its epoch and count: the same one again gives the same noise.
    seed: Zeroizing<[u8; 32]>,
}

impl Noise {
    /// Bound to the terms too: after a restart under other terms counts begin anew, and two shares under one noise would show their difference.
    fn stream(&self, terms: &[u8; 32], epoch: u64, sequence: u64) -> ChaCha20Rng {
        let mut hash = Sha256::new();
        hash.update(b"CosmosMesh noise 2");
        hash.update(self.seed.as_ref());
        hash.update(terms);
        hash.update(epoch.to_be_bytes());
        hash.update(sequence.to_be_bytes());
        ChaCha20Rng::from_seed(hash.finalize().into())
    }
}

impl Masking {
    /// Masks under which nothing was said yet.
    #[must_use]
    pub fn new(masks: privacy::Asset) -> Self {
        Self { masks, outstanding: None, counted: 0, noise: None, told: None }
    }

    /// With noise on every share of every new answer, and on the slopes of affine models, from a secret seed of the caller's random source; squares behind them are not told. Meant for
    /// methods that need no more, as exchange without adaptation, asynchronous exchange and the asynchronous method do: the solver goes on as if the noise were not there.
    #[must_use]
    pub fn with_noise(self, mechanism: Mechanism, seed: [u8; 32]) -> Self {
        let (seed, sized) = (Zeroizing::new(seed), false);
        Self { noise: Some(Noise { mechanism, sized, seed }), ..self }
    }

    /// The masks of a later epoch: nothing is counted in it yet. What was spent stays spent; what an answer costs follows from its length.
    #[must_use]
    pub fn renewed(self, masks: privacy::Asset) -> Self {
        Self { noise: self.noise, ..Self::new(masks) }
    }

    /// Learns what became of the last answer, and answers what is asked; `None` when there is nothing to say: the plan is committed, the
    /// answer is in the sum, or another one is still outstanding. A repeated request gets the same bytes again.
    ///
    /// # Errors
    /// [`SecureError`] as [`Asset::on_request`], when the receipt is of another epoch or an old generation, when another answer is said to be counted than is,
    /// or when the answer is beyond the terms' bound.
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
            asset.follow(request);
            return Ok(self.masks.repeat().map(again));
        }
        if request.committed.is_some() {
            return asset.on_request(request).map(|_| None).map_err(SecureError::from);
        }
        let (found, expected) = (request.horizon, asset.horizon());
        if found != expected {
            return Err(PlanError::Horizon { found, expected }.into());
        }
        self.begin(request, &asked.receipt)?;
        self.fit(request)?;
        if self.is_spent() && !self.would_repeat(asset, request) {
            return self.stop(request, asked.receipt.generation).map(Some);
        }
        if asset.on_request(request)?.is_none() {
            return Ok(None);
        }
        // What the solver takes as counted is a matter of the plan; what is told is the change since what is counted here.
        let (Some(answered), Some(whole)) = (asset.request().cloned(), asset.answer().map(<[i64]>::to_vec))
        else {
            return Ok(None);
        };
        let question = whatever_is_counted(&answered);
        let again =
            self.told.as_ref().filter(|told| told.question == question).map(|told| told.steps.clone());
        let released = match again {
            Some(steps) => Some(steps),
            None => self.release(&whole, request)?,
        };
        let Some(released) = released else {
            return self.stop(request, asked.receipt.generation).map(Some);
        };
        self.told = self.noise.is_some().then(|| Told { question, steps: released.clone() });
        self.say(&released, &answered, asked.receipt.generation).map(Some)
    }

    /// What an answer costs follows from its length, which a method and a horizon decide.
    fn fit(&mut self, request: &Request) -> Result<(), PrivacyError> {
        let Some(noise) = &mut self.noise else { return Ok(()) };
        let shares = request.prices.len();
        let models = matches!(request.question, Question::Intercept { .. });
        let told = if models { request.question.layout(shares).entries() } else { shares };
        if noise.mechanism.entries() != told {
            noise.mechanism = noise.mechanism.resized(told)?;
        }
        noise.sized = true;
        Ok(())
    }

    /// Whether the answer to a request is one that was released already.
    fn would_repeat(&self, asset: &Asset, request: &Request) -> bool {
        let told = |request: &Request| {
            self.told.as_ref().is_some_and(|told| told.question == whatever_is_counted(request))
        };
        // One at a time, the last answer comes again in a new generation, whatever is asked.
        let last = asset.request().filter(|_| request.question.one_at_a_time() && request.accepted == 0);
        told(request) || last.is_some_and(told)
    }

    /// Follows the sum into its generation. That the asset's answer in it is the one that the coordinator counts keeps it from asking an asset alone to
    /// start from somewhere else.
    fn begin(&mut self, request: &Request, receipt: &Receipt) -> Result<(), PrivacyError> {
        let later = receipt.generation > self.masks.generation();
        let (found, expected) = (request.accepted, if later { 0 } else { self.counted });
        if found != expected {
            let (found, expected) = (found.into(), expected.into());
            return Err(PrivacyError::Base { node: self.masks.node(), found, expected });
        }
        self.masks.begin(request.horizon, receipt.generation)?;
        self.counted = expected;
        Ok(())
    }

    /// Says what was released of the answer to a request.
    fn say(&mut self, released: &[i64], request: &Request, generation: u64) -> Result<Reply, SecureError> {
        let (horizon, question) = (request.horizon, asked_of_all(request));
        let masked = self.masks.speak(released, &Occasion { horizon, generation, question })?;
        let heading = Heading { horizon, round: request.round, base: self.counted };
        self.outstanding = Some(heading);
        Ok(Reply::Answer(MaskedAnswer { heading, masked }))
    }

    fn settle(&mut self, receipt: &Receipt) -> Result<(), PrivacyError> {
        if let Some(resolution) = self.masks.on_receipt(receipt)?
            && let Some(heading) = self.outstanding.take()
            && resolution == Resolution::Counted
        {
            self.counted = heading.round;
        }
        Ok(())
    }

    /// What may be said of an answer, in the terms' steps.
    fn release(&mut self, whole: &[i64], request: &Request) -> Result<Option<Vec<i64>>, SecureError> {
        let shares = request.prices.len();
        let parts = self.masks.terms().parts();
        let (bound, grain) = (parts.bound, u32::from(parts.grain));
        // Squares of all assets together stay within the bits too.
        let limit = i64::try_from(self.masks.terms().total() / parts.roster.len() as u64).unwrap_or(i64::MAX);
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
        // Slopes are told with as much noise as shares, in their own scale. What else follows shares is not told.
        let models = matches!(request.question, Question::Intercept { .. });
        let told = if models { whole.len() } else { shares };
        let bits = noise.mechanism.slope_bits();
        let scaled = |(place, entry): (usize, &i64)| match place < shares {
            true => *entry,
            false => entry.saturating_mul(1 << bits),
        };
        let terms = self.masks.terms().digest();
        let mut rng = noise.stream(terms, parts.epoch, self.masks.sequence() + 1);
        let share: Vec<i64> = whole.iter().take(told).enumerate().map(scaled).collect();
        match noise.mechanism.release(&share, widest, &mut rng)? {
            Release::Noisy(noisy) => {
                let back = |(place, value): (usize, i64)| if place < shares { value } else { value >> bits };
                let noisy = noisy.into_iter().enumerate().map(|one| back(one) >> grain);
                // Squares would tell what the noise hides: they are said to be large whatever they are, which costs nothing and ends no plan early.
                Ok(Some(noisy.chain(vec![limit; whole.len() - told]).collect()))
            }
            Release::Spent(_) => Ok(None),
        }
    }

    /// The budget is spent: the plan here stays as it was last told, or the asset withdraws with zeros, which cost nothing, until they are counted.
    fn stop(&mut self, request: &Request, generation: u64) -> Result<Reply, SecureError> {
        self.told = None;
        let keeps = self.noise.as_ref().is_none_or(|n| n.mechanism.when_spent() == WhenSpent::KeepLast);
        if keeps || self.masks.counted().iter().all(|value| *value == 0) {
            return Ok(Reply::Spent);
        }
        let zeros = vec![0; self.masks.counted().len()];
        self.say(&zeros, request, generation)
    }

    /// What the asset has spent of its privacy; `None` without noise.
    #[must_use]
    pub fn ledger(&self) -> Option<&Ledger> {
        self.noise.as_ref().map(|noise| noise.mechanism.ledger())
    }

    /// Whether the budget covers no further answer; never without noise, and not before it is known how long an answer is.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.noise.as_ref().is_some_and(|noise| noise.sized && noise.mechanism.is_spent())
    }

    /// The masks and their count.
    #[must_use]
    pub const fn masks(&self) -> &privacy::Asset {
        &self.masks
    }

    /// What the host keeps, before an answer leaves: `[2, masks, heading, counted]`. It holds shares: it stays here. The ledger is kept apart
    /// ([`Masking::ledger`]): what was spent stays spent, whatever becomes of the masks.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut out = Vec::new();
        cbor::put_head(&mut out, ARRAY, 4);
        cbor::put_uint(&mut out, 2);
        cbor::put_bytes(&mut out, &self.masks.snapshot());
        let heading = self.outstanding.map_or([0; 3], |h| [h.horizon, h.round.into(), h.base.into()]);
        cbor::put_head(&mut out, ARRAY, 3);
        heading.into_iter().for_each(|value| cbor::put_uint(&mut out, value));
        cbor::put_uint(&mut out, self.counted.into());
        out
    }

    /// Takes a snapshot of the same terms back.
    ///
    /// # Errors
    /// [`PrivacyError`] when the bytes are none: what is held then is of no use.
    pub fn restore(&mut self, snapshot: &[u8]) -> Result<(), PrivacyError> {
        let mut reader = Reader::new(snapshot);
        reader.array_of(4)?;
        let version = reader.uint()?;
        if version != 2 {
            return Err(PrivacyError::Epoch { found: version, expected: self.masks.terms().parts().epoch });
        }
        let masks = reader.bytes()?;
        reader.array_of(3)?;
        let (horizon, round, base) = (reader.uint()?, reader.uint()? as u32, reader.uint()? as u32);
        let counted = reader.uint()? as u32;
        reader.end()?;
        self.masks.restore(masks)?;
        self.outstanding = self.masks.repeat().map(|_| Heading { horizon, round, base });
        self.counted = counted;
        Ok(())
    }

    /// Takes a kept ledger back ([`Ledger::snapshot`]): of these terms or of others.
    ///
    /// # Errors
    /// [`PrivacyError`] when the bytes are none; nothing changes.
    pub fn restore_ledger(&mut self, ledger: &[u8]) -> Result<(), PrivacyError> {
        match &mut self.noise {
            Some(noise) => noise.mechanism.ledger_mut().restore(ledger),
            None => Ok(()),
        }
    }
}

/// The digest of the question that everyone is asked in a round, to which masks are bound. `None` with methods that sum answers to questions of any age.
pub(super) fn asked_of_all(request: &Request) -> Option<[u8; 32]> {
    if request.question.one_at_a_time() {
        return None;
    }
    Some(whatever_is_counted(request))
}

/// The digest of a question: what is counted of one asset, and whether the plan is over, is not of it.
fn whatever_is_counted(request: &Request) -> [u8; 32] {
    let question = Request { accepted: 0, committed: None, ..request.clone() };
    Sha256::digest(question.encode()).into()
}
