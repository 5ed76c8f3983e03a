//! What an asset adds to the coordinator's sum: [`Contribution`].

use alloc::vec::Vec;

use minicbor::{Decoder, Encoder};

use super::{
    layout::MAX_ENTRIES,
    request::{head, length, small},
};
use crate::planning::message::{FRACTION_BITS, MAX_SHARE, MessageError, number};

/// A vector to be added to the coordinator's sum mod 2⁶⁴: what the asset answers, less what it last had in the sum.
///
/// ```cddl
/// contribution = [horizon: uint, term: uint, round: uint, base: uint, entries: [+ int]]
/// ```
///
/// The entries may be masked: nothing but their sum over a window is ever looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contribution {
    /// The horizon.
    pub horizon: u64,
    /// The term of the request that this answers: an answer to one coordinator says nothing to another.
    pub term: u32,
    /// The round of the request that this answers.
    pub round: u32,
    /// The round of the contribution that this one replaces in the sum; 0 when there is none.
    pub base: u32,
    /// The difference, entry by entry, mod 2⁶⁴ ([`super::Layout`]).
    pub entries: Vec<i64>,
}

impl Contribution {
    /// Whether it holds what no answer does: a difference of two shares of at most [`MAX_SHARE`] each.
    #[must_use]
    pub fn is_beyond(&self) -> bool {
        let most = (2 * (MAX_SHARE as u64)) << FRACTION_BITS;
        self.entries.iter().any(|entry| entry.unsigned_abs() > most)
    }

    /// The message's bytes: at most 30 and 9 per entry.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(30 + 9 * self.entries.len());
        self.write(&mut Encoder::new(&mut bytes)).expect("a Vec takes every byte");
        bytes
    }

    fn write(
        &self,
        encoder: &mut Encoder<&mut Vec<u8>>,
    ) -> Result<(), minicbor::encode::Error<core::convert::Infallible>> {
        encoder.array(5)?.u64(self.horizon)?.u32(self.term)?.u32(self.round)?.u32(self.base)?;
        encoder.array(self.entries.len() as u64)?;
        for entry in &self.entries {
            encoder.i64(*entry)?;
        }
        Ok(())
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`MessageError`] when the bytes are not exactly one contribution of 1 to [`MAX_ENTRIES`] entries.
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        let mut decoder = Decoder::new(bytes);
        head(&mut decoder, 5)?;
        let horizon = number(&mut decoder)?;
        let (term, round, base) = (small(&mut decoder)?, small(&mut decoder)?, small(&mut decoder)?);
        let length = length(&mut decoder, MAX_ENTRIES)?;
        if length == 0 {
            return Err(MessageError::Couplings { found: 0, limit: MAX_ENTRIES });
        }
        let mut entries = Vec::with_capacity(length);
        for _ in 0..length {
            let position = decoder.position();
            entries.push(decoder.i64().map_err(|_| MessageError::Malformed { position })?);
        }
        let contribution = Self { horizon, term, round, base, entries };
        if contribution.encode() == bytes { Ok(contribution) } else { Err(MessageError::NotDeterministic) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    #[test]
    fn a_contribution_has_one_encoding() {
        let contribution = Contribution { horizon: 1, term: 3, round: 2, base: 0, entries: vec![-1, 500] };
        assert_eq!(contribution.encode(), [0x85, 0x01, 0x03, 0x02, 0x00, 0x82, 0x20, 0x19, 0x01, 0xf4]);
        for wrong in [
            &[0x85, 0x18, 0x01, 0x03, 0x02, 0x00, 0x82, 0x20, 0x19, 0x01, 0xf4][..],
            &[0x85, 0x01, 0x03, 0x02, 0x00, 0x82, 0x20, 0x19, 0x01, 0xf4, 0x00],
            &[0x85, 0x01, 0x03, 0x02, 0x00, 0x80],
            &[0x85, 0x01, 0x03, 0x02, 0x00, 0x99, 0x10, 0x00, 0x01],
            &[0x85, 0x01, 0x03, 0x02, 0x00, 0x9a, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert!(Contribution::decode(wrong).is_err());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn contributions_survive_a_round_trip(
            horizon: u64, term: u32, round: u32, base: u32, entries in prop::collection::vec(any::<i64>(), 1..40),
            bytes in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let contribution = Contribution { horizon, term, round, base, entries };
            prop_assert_eq!(Contribution::decode(&contribution.encode()), Ok(contribution));
            let _ = Contribution::decode(&bytes);
        }
    }
}
