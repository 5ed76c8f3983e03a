//! What a committed plan is, for everyone the same: [`Version`].

use super::{message::Outcome, solver::Request};
use alloc::vec::Vec;
use sha2::{Digest as _, Sha256};

/// What a digest of a version begins with, so that it is none of anything else.
const DOMAIN: &[u8] = b"cosmosmesh plan version 1";

/// A committed version of the plan, as its coordinator told it to every member alike: its name, how it ended, and the prices that were
/// agreed on. Each asset's own part follows from its own problem and these prices, and is nobody else's to know.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// The solver's horizon.
    pub horizon: u64,
    /// The coordinator's term.
    pub term: u32,
    /// The round that ended it.
    pub round: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// The prices λ, one per coupling.
    pub prices: Vec<f64>,
}

impl Version {
    /// The version that a request commits; `None` while it asks for answers.
    #[must_use]
    pub fn of(request: &Request) -> Option<Self> {
        let Request { horizon, term, round, committed, prices, .. } = request;
        let (horizon, term, round) = (*horizon, *term, *round);
        Some(Self { horizon, term, round, outcome: (*committed)?, prices: prices.clone() })
    }

    /// SHA-256 of `domain ‖ horizon (8) ‖ term (4) ‖ round (4) ‖ outcome (1) ‖ prices (8 each)`, big-endian, prices as IEEE 754 bits: members that
    /// hold one version under one name have the same, and whoever was told another has not.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(DOMAIN);
        hash.update(self.horizon.to_be_bytes());
        hash.update(self.term.to_be_bytes());
        hash.update(self.round.to_be_bytes());
        hash.update([self.outcome.code()]);
        self.prices.iter().for_each(|price| hash.update(price.to_bits().to_be_bytes()));
        hash.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn whatever_differs_in_a_version_shows_in_its_digest() {
        let (outcome, prices) = (Outcome::Converged, vec![1.0, -0.5]);
        let version = Version { horizon: 256, term: 1, round: 17, outcome, prices };
        let others = [
            Version { horizon: 257, ..version.clone() },
            Version { term: 2, ..version.clone() },
            Version { round: 18, ..version.clone() },
            Version { outcome: Outcome::Absent, ..version.clone() },
            Version { prices: vec![1.0, -0.5000000000000001], ..version.clone() },
            Version { prices: vec![1.0], ..version.clone() },
        ];
        assert_eq!(version.digest(), version.clone().digest());
        for other in &others {
            assert_ne!(version.digest(), other.digest(), "{other:?}");
        }
        // By Python's hashlib and struct, from the layout as it is written down.
        let told: Vec<u8> = version.digest()[..8].to_vec();
        assert_eq!(told, [0x8e, 0x79, 0x2a, 0xb2, 0xac, 0x99, 0x54, 0x60]);
    }
}
