//! What messages of planning have in common: fixed-point steps, limits, outcomes, and how numbers are read.

use minicbor::{Decoder, data::Type};

/// Bits after the binary point of a quantised share: one step is 2⁻³⁰.
pub const FRACTION_BITS: u32 = 30;
/// The greatest magnitude of a share. With [`MAX_MEMBERS`] shares, sums stay below 2⁶³ steps, as masking mod 2⁶⁴ needs.
pub const MAX_SHARE: f64 = (1_u64 << 22) as f64;
/// The most participants of one plan.
pub const MAX_MEMBERS: usize = 1024;
/// The greatest magnitude of a number in a signal.
pub const MAX_SIGNAL: f64 = 1e15;

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
