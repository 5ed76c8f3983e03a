//! What a contribution is said for: [`Occasion`]. Masks are derived with it, so that what was said for one never opens with what was said for another.

use sha2::{Digest as _, Sha256};

use super::error::PrivacyError;
use crate::cbor::Reader;

/// The low bits of a horizon's number tell stages of one horizon apart: what is asked in them differs, what assets want does not.
pub const STAGE_BITS: u32 = 8;

/// A generation of the sum, and the question that is answered in it.
///
/// A coordinator that asks one asset something else than the others, or asks it alone to begin anew, gets a contribution whose masks do not cancel with
/// theirs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occasion {
    /// What the shares are of: the solvers' horizon.
    pub horizon: u64,
    /// How often the sum was begun in the epoch, from 1: in each generation whatever is summed is summed from nothing.
    pub generation: u64,
    /// SHA-256 of the question that all of a set answer; `None` with methods that sum answers to questions of any age.
    pub question: Option<[u8; 32]>,
}

impl Occasion {
    /// The plan's horizon: its requests are fixed in stages, each of which is a horizon of the solvers.
    #[must_use]
    pub const fn plan_horizon(&self) -> u64 {
        self.horizon >> STAGE_BITS
    }

    /// Whether the solvers' `horizon` is of a later horizon of the plan.
    #[must_use]
    pub const fn is_over(&self, horizon: u64) -> bool {
        horizon >> STAGE_BITS > self.plan_horizon()
    }

    /// Whether it is a stage after the first of the plan's horizon.
    #[must_use]
    pub const fn is_later_stage(&self) -> bool {
        self.horizon.trailing_zeros() < STAGE_BITS
    }

    /// Reads a question: 32 bytes, or none.
    pub(super) fn read_question(reader: &mut Reader<'_>) -> Result<Option<[u8; 32]>, PrivacyError> {
        let found = reader.bytes()?;
        let wrong = PrivacyError::Entries { found: found.len(), expected: 32 };
        match found {
            [] => Ok(None),
            found => found.try_into().map(Some).map_err(|_| wrong),
        }
    }

    /// SHA-256 over all of it.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"CosmosMesh occasion 1");
        hash.update(self.horizon.to_be_bytes());
        hash.update(self.generation.to_be_bytes());
        // Absent and present differ in length, and nothing follows.
        if let Some(question) = &self.question {
            hash.update(question);
        }
        hash.finalize().into()
    }
}
