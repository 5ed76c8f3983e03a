//! What travels between a coordinator and its participants, in deterministic CBOR (RFC 8949).
//!
//! ```cddl
//! signal       = [horizon: uint, round: uint, phase: 0..3, rho: float64, relaxation: float64, shift: [* float64]]
//! contribution = [horizon: uint, round: uint, shared: [* int]]
//! ```
//!
//! There is one encoding of each message: definite lengths, shortest integers, 64-bit floats. A decoder refuses others.

use alloc::vec::Vec;

use minicbor::{Decoder, Encoder, data::Type};

use super::problem::MAX_COUPLINGS;

/// Bits after the binary point of a quantised share: one step is 2⁻³⁰.
pub const FRACTION_BITS: u32 = 30;
/// The greatest magnitude of a share. With [`MAX_MEMBERS`] shares, sums stay below 2⁶³ steps, as masking mod 2⁶⁴ needs.
pub const MAX_SHARE: f64 = (1_u64 << 22) as f64;
/// The most participants of one plan.
pub const MAX_MEMBERS: usize = 1024;
/// The greatest magnitude of a number in a signal.
pub const MAX_SIGNAL: f64 = 1e15;

const STEP: f64 = (1_u64 << FRACTION_BITS) as f64;

/// Why the rounds ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Both residuals met their tolerances with fresh contributions of every member.
    Converged,
    /// The limit of rounds was reached first.
    RoundLimit,
    /// Members were missing for longer than the coordinator's patience.
    Absent,
}

impl Outcome {
    /// How it is encoded: 1 to 3, where 0 stands for an open round.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Converged => 1,
            Self::RoundLimit => 2,
            Self::Absent => 3,
        }
    }

    /// A stable word for reports and traces.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Converged => "converged",
            Self::RoundLimit => "round_limit",
            Self::Absent => "absent",
        }
    }

    /// The outcome of a code.
    #[must_use]
    pub const fn from_code(code: u64) -> Option<Self> {
        match code {
            1 => Some(Self::Converged),
            2 => Some(Self::RoundLimit),
            3 => Some(Self::Absent),
            _ => None,
        }
    }
}

/// A coordinator's message that opens a round, or commits the plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// The horizon that is being planned.
    pub horizon: u64,
    /// The round, from 1.
    pub round: u32,
    /// Set when the plan is committed: participants keep what they last answered.
    pub committed: Option<Outcome>,
    /// The penalty ρ, greater than zero.
    pub rho: f64,
    /// The relaxation α in \[1, 1.95\].
    pub relaxation: f64,
    /// `w = u' + α s̄ − (1 − α) u`: all that a participant needs beside its own state (see [`super::participant`]).
    ///
    /// Floating point, since only the coordinator computes it, nobody masks it, and a dual variable has no natural range.
    pub shift: Vec<f64>,
}

/// A participant's answer to a signal: its share `s = S x`, in steps of 2⁻³⁰ (see [`FRACTION_BITS`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contribution {
    /// The horizon.
    pub horizon: u64,
    /// The round that this answers.
    pub round: u32,
    /// The share, one entry per coupling.
    pub shared: Vec<i64>,
}

/// Why bytes or numbers are not a message.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// Not the CBOR of the message.
    #[error("not a planning message: fault at byte {position}")]
    Malformed {
        /// Where decoding stopped.
        position: usize,
    },
    /// The same content has another, deterministic encoding.
    #[error("the encoding is not the deterministic one")]
    NotDeterministic,
    /// More entries than allowed, or none.
    #[error("{found} couplings, allowed are 1..={limit}")]
    Couplings {
        /// The number of entries.
        found: u64,
        /// The limit.
        limit: usize,
    },
    /// An entry is not a number or out of range.
    #[error("entry {index} is not a number or beyond ±{limit}")]
    Magnitude {
        /// The entry.
        index: usize,
        /// The greatest magnitude.
        limit: f64,
    },
    /// The penalty is not positive and finite.
    #[error("penalty {found} is not in (0, {limit}]")]
    Penalty {
        /// The penalty.
        found: f64,
        /// The greatest penalty.
        limit: f64,
    },
    /// The relaxation is not in [1, 1.95].
    #[error("relaxation {found} is not in [1, 1.95]")]
    Relaxation {
        /// The relaxation.
        found: f64,
    },
}

impl Signal {
    /// Checks lengths and ranges.
    ///
    /// # Errors
    /// The first [`MessageError`] found.
    pub fn check(&self) -> Result<(), MessageError> {
        check_couplings(self.shift.len() as u64)?;
        if !(self.rho > 0.0 && self.rho <= MAX_SIGNAL) {
            return Err(MessageError::Penalty { found: self.rho, limit: MAX_SIGNAL });
        }
        if !(1.0..=1.95).contains(&self.relaxation) {
            return Err(MessageError::Relaxation { found: self.relaxation });
        }
        match self.shift.iter().position(|value| !within(*value, MAX_SIGNAL)) {
            Some(index) => Err(MessageError::Magnitude { index, limit: MAX_SIGNAL }),
            None => Ok(()),
        }
    }

    /// The message's bytes: at most 44 and 9 per coupling.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(44 + 9 * self.shift.len());
        write_signal(&mut Encoder::new(&mut bytes), self).expect("a Vec takes every byte");
        bytes
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`MessageError`] when the bytes are not exactly one valid signal.
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        let mut decoder = Decoder::new(bytes);
        let (horizon, round) = read_head(&mut decoder, 6)?;
        let committed = match number(&mut decoder)? {
            0 => None,
            1 => Some(Outcome::Converged),
            2 => Some(Outcome::RoundLimit),
            3 => Some(Outcome::Absent),
            _ => return Err(MessageError::Malformed { position: decoder.position() }),
        };
        let (rho, relaxation) = (float(&mut decoder)?, float(&mut decoder)?);
        let length = read_length(&mut decoder)?;
        let mut shift = Vec::with_capacity(length);
        for _ in 0..length {
            shift.push(float(&mut decoder)?);
        }
        let signal = Self { horizon, round, committed, rho, relaxation, shift };
        signal.check()?;
        if signal.encode() == bytes { Ok(signal) } else { Err(MessageError::NotDeterministic) }
    }
}

impl Contribution {
    /// Quantises a share to the nearest step.
    ///
    /// # Errors
    /// [`MessageError`] when an entry is not a number or beyond [`MAX_SHARE`], or there are too many.
    pub fn quantise(horizon: u64, round: u32, share: &[f64]) -> Result<Self, MessageError> {
        check_couplings(share.len() as u64)?;
        if let Some(index) = share.iter().position(|value| !within(*value, MAX_SHARE)) {
            return Err(MessageError::Magnitude { index, limit: MAX_SHARE });
        }
        Ok(Self {
            horizon,
            round,
            shared: share.iter().map(|value| libm::rint(value * STEP) as i64).collect(),
        })
    }

    /// Checks lengths and ranges.
    ///
    /// # Errors
    /// The first [`MessageError`] found.
    pub fn check(&self) -> Result<(), MessageError> {
        check_couplings(self.shared.len() as u64)?;
        let limit = (MAX_SHARE * STEP) as u64;
        match self.shared.iter().position(|value| value.unsigned_abs() > limit) {
            Some(index) => Err(MessageError::Magnitude { index, limit: MAX_SHARE }),
            None => Ok(()),
        }
    }

    /// The share in the problem's units.
    pub fn share(&self) -> impl Iterator<Item = f64> + '_ {
        self.shared.iter().map(|&value| value as f64 / STEP)
    }

    /// The message's bytes: at most 20 and 9 per coupling.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(20 + 9 * self.shared.len());
        write_contribution(&mut Encoder::new(&mut bytes), self).expect("a Vec takes every byte");
        bytes
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`MessageError`] when the bytes are not exactly one valid contribution.
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        let mut decoder = Decoder::new(bytes);
        let (horizon, round) = read_head(&mut decoder, 3)?;
        let length = read_length(&mut decoder)?;
        let mut shared = Vec::with_capacity(length);
        for _ in 0..length {
            let position = decoder.position();
            shared.push(decoder.i64().map_err(|_| MessageError::Malformed { position })?);
        }
        let contribution = Self { horizon, round, shared };
        contribution.check()?;
        if contribution.encode() == bytes { Ok(contribution) } else { Err(MessageError::NotDeterministic) }
    }
}

type Written = Result<(), minicbor::encode::Error<core::convert::Infallible>>;

fn write_signal(encoder: &mut Encoder<&mut Vec<u8>>, signal: &Signal) -> Written {
    let phase = match signal.committed {
        None => 0,
        Some(Outcome::Converged) => 1,
        Some(Outcome::RoundLimit) => 2,
        Some(Outcome::Absent) => 3,
    };
    encoder.array(6)?.u64(signal.horizon)?.u32(signal.round)?.u8(phase)?;
    encoder.f64(signal.rho)?.f64(signal.relaxation)?.array(signal.shift.len() as u64)?;
    for value in &signal.shift {
        encoder.f64(*value)?;
    }
    Ok(())
}

fn write_contribution(encoder: &mut Encoder<&mut Vec<u8>>, contribution: &Contribution) -> Written {
    encoder.array(3)?.u64(contribution.horizon)?.u32(contribution.round)?;
    encoder.array(contribution.shared.len() as u64)?;
    for value in &contribution.shared {
        encoder.i64(*value)?;
    }
    Ok(())
}

/// Whether `value` is a number in ±`limit`.
fn within(value: f64, limit: f64) -> bool {
    value.abs() <= limit
}

fn check_couplings(found: u64) -> Result<(), MessageError> {
    if found == 0 || found > MAX_COUPLINGS as u64 {
        return Err(MessageError::Couplings { found, limit: MAX_COUPLINGS });
    }
    Ok(())
}

fn read_head(decoder: &mut Decoder<'_>, fields: u64) -> Result<(u64, u32), MessageError> {
    if decoder.array().ok().flatten() != Some(fields) {
        return Err(MessageError::Malformed { position: 0 });
    }
    let horizon = number(decoder)?;
    let position = decoder.position();
    let round = u32::try_from(number(decoder)?).map_err(|_| MessageError::Malformed { position })?;
    Ok((horizon, round))
}

/// The length of the last list, checked against the limit and against the bytes that are left before anything is allocated.
fn read_length(decoder: &mut Decoder<'_>) -> Result<usize, MessageError> {
    let position = decoder.position();
    let found = decoder.array().ok().flatten().ok_or(MessageError::Malformed { position })?;
    check_couplings(found)?;
    let length = found as usize;
    if length > decoder.input().len() - decoder.position() {
        return Err(MessageError::Malformed { position });
    }
    Ok(length)
}

pub(super) fn number(decoder: &mut Decoder<'_>) -> Result<u64, MessageError> {
    let position = decoder.position();
    decoder.u64().map_err(|_| MessageError::Malformed { position })
}

pub(super) fn float(decoder: &mut Decoder<'_>) -> Result<f64, MessageError> {
    let position = decoder.position();
    match decoder.datatype() {
        Ok(Type::F64) => decoder.f64().map_err(|_| MessageError::Malformed { position }),
        _ => Err(MessageError::Malformed { position }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn signal() -> Signal {
        Signal { horizon: 1, round: 2, committed: None, rho: 1.0, relaxation: 1.5, shift: vec![0.5] }
    }

    #[test]
    fn a_contribution_has_one_encoding() {
        let contribution = Contribution { horizon: 1, round: 2, shared: vec![-1, 500] };
        assert_eq!(contribution.encode(), [0x83, 0x01, 0x02, 0x82, 0x20, 0x19, 0x01, 0xf4]);
        let longer = [0x83, 0x18, 0x01, 0x02, 0x82, 0x20, 0x19, 0x01, 0xf4];
        assert_eq!(Contribution::decode(&longer), Err(MessageError::NotDeterministic));
        let trailing = [0x83, 0x01, 0x02, 0x82, 0x20, 0x19, 0x01, 0xf4, 0x00];
        assert_eq!(Contribution::decode(&trailing), Err(MessageError::NotDeterministic));
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for value in [f64::NAN, f64::INFINITY, -1e300] {
            let bytes = Signal { shift: vec![0.0, value], ..signal() }.encode();
            assert_eq!(Signal::decode(&bytes), Err(MessageError::Magnitude { index: 1, limit: MAX_SIGNAL }));
            assert!(Signal::decode(&Signal { rho: value, ..signal() }.encode()).is_err());
            assert!(Signal::decode(&Signal { relaxation: value, ..signal() }.encode()).is_err());
            assert!(Contribution::quantise(0, 1, &[value]).is_err());
        }
        let bytes = Contribution { horizon: 0, round: 1, shared: vec![i64::MIN] }.encode();
        assert_eq!(Contribution::decode(&bytes), Err(MessageError::Magnitude { index: 0, limit: MAX_SHARE }));
    }

    #[test]
    fn a_length_without_its_bytes_is_refused_before_allocation() {
        let claims_4096 = [0x83, 0x01, 0x02, 0x99, 0x10, 0x00, 0x01];
        assert_eq!(Contribution::decode(&claims_4096), Err(MessageError::Malformed { position: 3 }));
        let claims_2_to_32 = [0x83, 0x01, 0x02, 0x9a, 0xff, 0xff, 0xff, 0xff];
        assert!(matches!(Contribution::decode(&claims_2_to_32), Err(MessageError::Couplings { .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn signals_survive_a_round_trip(
            horizon: u64, round: u32, phase in 0..4_u8, rho in 1e-6..1e6, relaxation in 1.0..1.95,
            shift in prop::collection::vec(-1e9..1e9, 1..40),
        ) {
            let committed = match phase {
                0 => None,
                1 => Some(Outcome::Converged),
                2 => Some(Outcome::RoundLimit),
                _ => Some(Outcome::Absent),
            };
            let signal = Signal { horizon, round, committed, rho, relaxation, shift };
            prop_assert_eq!(Signal::decode(&signal.encode()), Ok(signal));
        }

        #[test]
        fn contributions_survive_a_round_trip(
            horizon: u64, round: u32, share in prop::collection::vec(-4e6..4e6, 1..40),
        ) {
            let contribution = Contribution::quantise(horizon, round, &share).expect("in range");
            for (value, expected) in contribution.share().zip(&share) {
                prop_assert!((value - expected).abs() <= 0.5 / STEP);
            }
            prop_assert_eq!(Contribution::decode(&contribution.encode()), Ok(contribution));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), at in 0..64_usize) {
            let _ = Signal::decode(&bytes);
            let _ = Contribution::decode(&bytes);
            let mut mutated = signal().encode();
            let at = at % mutated.len();
            mutated[at] = bytes.first().copied().unwrap_or(0);
            if let Ok(signal) = Signal::decode(&mutated) {
                prop_assert_eq!(signal.encode(), mutated);
            }
        }
    }
}
