//! What a coordinator asks of an asset: [`Request`], and its one encoding.
//!
//! ```cddl
//! request  = [horizon: uint, term: uint, round: uint, accepted: uint, phase: 0..3, unit: float64, prices: [+ float64], question]
//! question = [0, rho: float64, relaxation: float64, shift: [+ float64]]                       ; exchange
//!          / [1, rho: float64, relaxation: float64]                                           ; consensus
//!          / [2, rho: float64, relaxation: float64, memory: uint, weights: [* float64]]       ; anderson
//!          / [3, curvature, others: [* float64]]                                              ; response
//!          / [4, curvature, blend: float64, proximal: float64]                                  ; intercept
//!          / [5, rho: float64, shift: [+ float64]]                                            ; proximal
//!          / [6, wide: bool, bins: uint, filler: uint, [+ bracket]]                            ; whole
//! bracket  = (low: uint, high: uint)
//! curvature = 0..3
//! ```

use alloc::vec::Vec;

use minicbor::{Decoder, Encoder};

use super::layout::{Curvature, Layout, MAX_ENTRIES, MAX_MATRIX};
use crate::planning::{
    integer::{Bracket, TOP},
    message::{MAX_SIGNAL, MessageError, Outcome, float, number},
    problem::MAX_COUPLINGS,
};

/// The most rounds that Anderson acceleration may remember.
pub const MAX_MEMORY: usize = 16;

/// The most prices at which one request may ask for a response.
pub const MAX_TRIALS: usize = 32;

/// The greatest proximal weight that may be asked for, relative to the cost's own curvature.
pub const MAX_PROXIMAL: f64 = 1e6;

/// What an asset is to solve, and to answer with.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// `argmin f + ρ/2 ‖S x − t‖²` with `t' = α s + (1 − α) t − shift`; answer `s`, `‖s‖²` and `‖s − z‖²` with `z = t + λ/ρ`.
    Exchange {
        /// The penalty ρ.
        rho: f64,
        /// The relaxation α.
        relaxation: f64,
        /// What moves the target.
        shift: Vec<f64>,
    },
    /// `argmin f + ρ/2 ‖S x − (s − shift)‖²`; answer `s`. As with `Intercept`, one answer at a time.
    Proximal {
        /// The penalty ρ.
        rho: f64,
        /// What moves the target from the last share.
        shift: Vec<f64>,
    },
    /// The local copy of the prices nearest to λ: see [`super::consensus`].
    Consensus {
        /// The penalty ρ on shares; on prices it is 1/ρ.
        rho: f64,
        /// The relaxation α.
        relaxation: f64,
    },
    /// A step of the exchange from a mixture of remembered steps: see [`super::anderson`].
    Anderson {
        /// The penalty ρ.
        rho: f64,
        /// The relaxation α.
        relaxation: f64,
        /// How many earlier steps are remembered; with each, an inner product is answered.
        memory: usize,
        /// The weights of the remembered steps, newest first; none to start from the prices.
        weights: Vec<f64>,
    },
    /// `argmin f + λᵀS x`; answer `s`, `f + λᵀs` and the slope: at the request's prices, and at others. The plan is the one at
    /// the request's.
    Response {
        /// What of the slope.
        curvature: Curvature,
        /// Other prices to try, one after the other; `m` entries each.
        others: Vec<f64>,
    },
    /// The affine model `a − J λ` of the response, for [`super::asynchronous`]: answer `a` and `J`, and no value. No later question
    /// is answered before this answer is known to be in the sum.
    Intercept {
        /// What of the slope.
        curvature: Curvature,
        /// How far the slope goes from the one on the active set, at 0, to the one without local limits; at 1 the whole answer is
        /// that of the problem without them.
        blend: f64,
        /// The weight, relative to the cost's own, that holds the active set near what the last answer foresaw.
        proximal: f64,
    },
    /// Which requests are taken at these thresholds: answer what is used of each coupling, in bins of keys ([`crate::planning::integer::Offer`]), and
    /// in the filler's first two entries how many requests there are, and how many are taken, in units of 2⁻¹⁰.
    Whole {
        /// For each coupling, from where to where the bins go; the first edge is its threshold.
        brackets: Vec<Bracket>,
        /// How many bins.
        bins: usize,
        /// Entries after the bins, so that answers are as long as those that masks were made for.
        filler: usize,
        /// Whether the masks were made for more than shares.
        wide: bool,
    },
}

/// A coordinator's message that opens a round, or commits the plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The horizon that is being planned.
    pub horizon: u64,
    /// Which coordinator in a row this is, from 0: of two, the later one counts.
    pub term: u32,
    /// The round, from 1: at a coordinator that never waits, its latest step.
    pub round: u32,
    /// The round of this member's last contribution that is in the coordinator's sum; 0 when there is none.
    pub accepted: u32,
    /// Set when the plan is committed: assets keep what they last answered.
    pub committed: Option<Outcome>,
    /// What squares are relative to: a power of two.
    pub unit: f64,
    /// The prices λ, one per coupling.
    pub prices: Vec<f64>,
    /// What to solve.
    pub question: Question,
}

impl Question {
    /// The blocks of the answer, for `couplings`.
    #[must_use]
    pub fn layout(&self, couplings: usize) -> Layout {
        let none = Layout { couplings, trials: 1, squares: 0, value: false, curvature: Curvature::None };
        match self {
            Self::Exchange { .. } => Layout { squares: 2, ..none },
            Self::Consensus { .. } => Layout { squares: 1, ..none },
            Self::Anderson { memory, .. } => Layout { squares: 2 + memory, ..none },
            Self::Response { curvature, others } => Layout {
                trials: 1 + others.len() / couplings.max(1),
                value: true,
                curvature: *curvature,
                ..none
            },
            Self::Intercept { curvature, .. } => Layout { curvature: *curvature, ..none },
            Self::Proximal { .. } => none,
            Self::Whole { bins, filler, .. } => Layout { trials: *bins, squares: *filler, ..none },
        }
    }

    /// Whether an asset waits until its last answer is in the sum.
    #[must_use]
    pub fn one_at_a_time(&self) -> bool {
        matches!(self, Self::Intercept { .. } | Self::Proximal { .. })
    }

    fn numbers(&self) -> (Option<(f64, f64)>, &[f64]) {
        match self {
            Self::Exchange { rho, relaxation, shift } => (Some((*rho, *relaxation)), shift),
            Self::Proximal { rho, shift } => (Some((*rho, 1.0)), shift),
            Self::Consensus { rho, relaxation } => (Some((*rho, *relaxation)), &[]),
            Self::Anderson { rho, relaxation, weights, .. } => (Some((*rho, *relaxation)), weights),
            Self::Response { others, .. } => (None, others),
            Self::Intercept { .. } | Self::Whole { .. } => (None, &[]),
        }
    }
}

impl Request {
    /// Checks lengths and ranges.
    ///
    /// # Errors
    /// The first [`MessageError`] found.
    pub fn check(&self) -> Result<(), MessageError> {
        let m = self.prices.len();
        let couplings = |found: usize, limit| Err(MessageError::Couplings { found: found as u64, limit });
        if m == 0 || m > MAX_COUPLINGS {
            return couplings(m, MAX_COUPLINGS);
        }
        let (step, numbers) = self.question.numbers();
        let (found, limit) = match &self.question {
            Question::Exchange { shift, .. } | Question::Proximal { shift, .. } if shift.len() != m => {
                (shift.len(), m)
            }
            Question::Anderson { memory, .. } if *memory == 0 || *memory > MAX_MEMORY => {
                (*memory, MAX_MEMORY)
            }
            Question::Anderson { memory, weights, .. } if weights.len() > memory + 1 => {
                (weights.len(), memory + 1)
            }
            Question::Whole { brackets, .. } if brackets.len() != m => (brackets.len(), m),
            Question::Whole { bins: 0, .. } => (0, 1),
            Question::Response { curvature: Curvature::Matrix, .. }
            | Question::Intercept { curvature: Curvature::Matrix, .. }
                if m > MAX_MATRIX =>
            {
                (m, MAX_MATRIX)
            }
            _ => (0, 0),
        };
        if found != limit || limit > 0 {
            return couplings(found, limit);
        }
        if let Question::Response { others, .. } = &self.question
            && (!others.len().is_multiple_of(m) || others.len() >= MAX_TRIALS * m)
        {
            return couplings(others.len(), (MAX_TRIALS - 1) * m);
        }
        if let Question::Whole { brackets, bins, filler, .. } = &self.question {
            if *bins > MAX_ENTRIES || *filler > MAX_ENTRIES {
                return couplings((*bins).max(*filler), MAX_ENTRIES);
            }
            if let Some((low, high)) = brackets.iter().find(|(low, high)| low > high || *high > TOP) {
                return couplings((*low).max(*high) as usize, TOP as usize);
            }
        }
        if self.question.layout(m).entries() > MAX_ENTRIES {
            return couplings(self.question.layout(m).entries(), MAX_ENTRIES);
        }
        if let Some((rho, relaxation)) = step {
            if !(rho > 0.0 && rho <= MAX_SIGNAL) {
                return Err(MessageError::Penalty { found: rho, limit: MAX_SIGNAL });
            }
            if !(1.0..=1.95).contains(&relaxation) {
                return Err(MessageError::Relaxation { found: relaxation });
            }
        }
        if let Question::Intercept { blend, proximal, .. } = &self.question {
            for (found, limit) in [(*blend, 1.0), (*proximal, MAX_PROXIMAL)] {
                if !(0.0..=limit).contains(&found) {
                    return Err(MessageError::Penalty { found, limit });
                }
            }
        }
        if !(self.unit > 0.0 && self.unit <= MAX_SIGNAL) {
            return Err(MessageError::Penalty { found: self.unit, limit: MAX_SIGNAL });
        }
        match self.prices.iter().chain(numbers).position(|value| value.is_nan() || value.abs() > MAX_SIGNAL) {
            Some(index) => Err(MessageError::Magnitude { index, limit: MAX_SIGNAL }),
            None => Ok(()),
        }
    }

    /// The message's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64 + 9 * (self.prices.len() + self.question.numbers().1.len()));
        self.write(&mut Encoder::new(&mut bytes)).expect("a Vec takes every byte");
        bytes
    }

    fn write(
        &self,
        encoder: &mut Encoder<&mut Vec<u8>>,
    ) -> Result<(), minicbor::encode::Error<core::convert::Infallible>> {
        let phase = self.committed.map_or(0, Outcome::code);
        encoder.array(8)?.u64(self.horizon)?.u32(self.term)?.u32(self.round)?.u32(self.accepted)?;
        encoder.u8(phase)?.f64(self.unit)?;
        write_list(encoder, &self.prices)?;
        match &self.question {
            Question::Exchange { rho, relaxation, shift } => {
                encoder.array(4)?.u8(0)?.f64(*rho)?.f64(*relaxation)?;
                write_list(encoder, shift)
            }
            Question::Consensus { rho, relaxation } => {
                encoder.array(3)?.u8(1)?.f64(*rho)?.f64(*relaxation)?;
                Ok(())
            }
            Question::Anderson { rho, relaxation, memory, weights } => {
                encoder.array(5)?.u8(2)?.f64(*rho)?.f64(*relaxation)?.u64(*memory as u64)?;
                write_list(encoder, weights)
            }
            Question::Proximal { rho, shift } => {
                encoder.array(3)?.u8(5)?.f64(*rho)?;
                write_list(encoder, shift)
            }
            Question::Response { curvature, others } => {
                encoder.array(3)?.u8(3)?.u8(code(*curvature))?;
                write_list(encoder, others)
            }
            Question::Whole { brackets, bins, filler, wide } => {
                encoder.array(5)?.u8(6)?.bool(*wide)?.u64(*bins as u64)?.u64(*filler as u64)?;
                encoder.array(2 * brackets.len() as u64)?;
                for (low, high) in brackets {
                    encoder.u32(*low)?.u32(*high)?;
                }
                Ok(())
            }
            Question::Intercept { curvature, blend, proximal } => {
                encoder.array(4)?.u8(4)?.u8(code(*curvature))?.f64(*blend)?.f64(*proximal)?;
                Ok(())
            }
        }
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`MessageError`] when the bytes are not exactly one valid request.
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        let mut decoder = Decoder::new(bytes);
        head(&mut decoder, 8)?;
        let horizon = number(&mut decoder)?;
        let (term, round, accepted) = (small(&mut decoder)?, small(&mut decoder)?, small(&mut decoder)?);
        let position = decoder.position();
        let committed = match number(&mut decoder)? {
            0 => None,
            phase => Some(Outcome::from_code(phase).ok_or(MessageError::Malformed { position })?),
        };
        let unit = float(&mut decoder)?;
        let prices = read_list(&mut decoder, MAX_COUPLINGS)?;
        let question = read_question(&mut decoder)?;
        let request = Self { horizon, term, round, accepted, committed, unit, prices, question };
        request.check()?;
        if request.encode() == bytes { Ok(request) } else { Err(MessageError::NotDeterministic) }
    }
}

fn code(curvature: Curvature) -> u8 {
    match curvature {
        Curvature::None => 0,
        Curvature::Scalar => 1,
        Curvature::Diagonal => 2,
        Curvature::Matrix => 3,
    }
}

fn read_question(decoder: &mut Decoder<'_>) -> Result<Question, MessageError> {
    let position = decoder.position();
    let malformed = MessageError::Malformed { position };
    let fields = decoder.array().ok().flatten().ok_or(malformed)?;
    match (number(decoder)?, fields) {
        (0, 4) => {
            let (rho, relaxation) = (float(decoder)?, float(decoder)?);
            Ok(Question::Exchange { rho, relaxation, shift: read_list(decoder, MAX_COUPLINGS)? })
        }
        (1, 3) => Ok(Question::Consensus { rho: float(decoder)?, relaxation: float(decoder)? }),
        (2, 5) => {
            let (rho, relaxation) = (float(decoder)?, float(decoder)?);
            let memory = small(decoder)? as usize;
            Ok(Question::Anderson { rho, relaxation, memory, weights: read_list(decoder, MAX_MEMORY + 1)? })
        }
        (3, 3) => {
            let curvature = read_curvature(decoder)?;
            Ok(Question::Response { curvature, others: read_list(decoder, MAX_TRIALS * MAX_COUPLINGS)? })
        }
        (4, 4) => {
            let curvature = read_curvature(decoder)?;
            Ok(Question::Intercept { curvature, blend: float(decoder)?, proximal: float(decoder)? })
        }
        (5, 3) => {
            let rho = float(decoder)?;
            Ok(Question::Proximal { rho, shift: read_list(decoder, MAX_COUPLINGS)? })
        }
        (6, 5) => {
            let wide = decoder.bool().map_err(|_| malformed)?;
            let (bins, filler) = (small(decoder)? as usize, small(decoder)? as usize);
            let words = length(decoder, 2 * MAX_COUPLINGS)?;
            let words = (0..words).map(|_| small(decoder)).collect::<Result<Vec<u32>, _>>()?;
            let brackets = words.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
            Ok(Question::Whole { brackets, bins, filler, wide })
        }
        _ => Err(malformed),
    }
}

fn read_curvature(decoder: &mut Decoder<'_>) -> Result<Curvature, MessageError> {
    let position = decoder.position();
    match number(decoder)? {
        0 => Ok(Curvature::None),
        1 => Ok(Curvature::Scalar),
        2 => Ok(Curvature::Diagonal),
        3 => Ok(Curvature::Matrix),
        _ => Err(MessageError::Malformed { position }),
    }
}

/// The head of an array of exactly `fields`.
pub(super) fn head(decoder: &mut Decoder<'_>, fields: u64) -> Result<(), MessageError> {
    let position = decoder.position();
    match decoder.array() {
        Ok(Some(found)) if found == fields => Ok(()),
        _ => Err(MessageError::Malformed { position }),
    }
}

pub(super) fn small(decoder: &mut Decoder<'_>) -> Result<u32, MessageError> {
    let position = decoder.position();
    u32::try_from(number(decoder)?).map_err(|_| MessageError::Malformed { position })
}

/// The length of a list, checked against `limit` and against the bytes that are left before anything is allocated.
pub(super) fn length(decoder: &mut Decoder<'_>, limit: usize) -> Result<usize, MessageError> {
    let position = decoder.position();
    let found = decoder.array().ok().flatten().ok_or(MessageError::Malformed { position })?;
    if found > limit as u64 {
        return Err(MessageError::Couplings { found, limit });
    }
    let left = decoder.input().len() - decoder.position();
    if found as usize > left { Err(MessageError::Malformed { position }) } else { Ok(found as usize) }
}

fn read_list(decoder: &mut Decoder<'_>, limit: usize) -> Result<Vec<f64>, MessageError> {
    let length = length(decoder, limit)?;
    let mut list = Vec::with_capacity(length);
    for _ in 0..length {
        list.push(float(decoder)?);
    }
    Ok(list)
}

fn write_list(
    encoder: &mut Encoder<&mut Vec<u8>>,
    list: &[f64],
) -> Result<(), minicbor::encode::Error<core::convert::Infallible>> {
    encoder.array(list.len() as u64)?;
    for value in list {
        encoder.f64(*value)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn request(question: Question) -> Request {
        let prices = vec![1.0, -2.0];
        Request { horizon: 1, term: 0, round: 2, accepted: 1, committed: None, unit: 0.5, prices, question }
    }

    fn questions() -> Vec<Question> {
        vec![
            Question::Exchange { rho: 1.0, relaxation: 1.5, shift: vec![0.5, 0.25] },
            Question::Consensus { rho: 2.0, relaxation: 1.0 },
            Question::Anderson { rho: 2.0, relaxation: 1.0, memory: 4, weights: vec![0.75, 0.25] },
            Question::Response { curvature: Curvature::Diagonal, others: vec![0.5, 1.5] },
            Question::Intercept { curvature: Curvature::Matrix, blend: 0.25, proximal: 3.0 },
            Question::Proximal { rho: 0.5, shift: vec![-1.0, 0.0] },
            Question::Whole { brackets: vec![(4096, TOP), (70_000, 70_000)], bins: 3, filler: 2, wide: true },
        ]
    }

    #[test]
    fn every_question_survives_a_round_trip() {
        for question in questions() {
            let request = request(question);
            let bytes = request.encode();
            assert_eq!(Request::decode(&bytes), Ok(request));
            assert!(Request::decode(&bytes[..bytes.len() - 1]).is_err());
            assert!(Request::decode(&[bytes, vec![0]].concat()).is_err());
        }
    }

    #[test]
    fn requests_out_of_range_are_refused() {
        let wrong = [
            Question::Exchange { rho: 1.0, relaxation: 1.5, shift: vec![0.5] },
            Question::Exchange { rho: 0.0, relaxation: 1.5, shift: vec![0.5; 2] },
            Question::Consensus { rho: 1.0, relaxation: 2.0 },
            Question::Anderson { rho: 1.0, relaxation: 1.0, memory: MAX_MEMORY + 1, weights: vec![] },
            Question::Anderson { rho: 1.0, relaxation: 1.0, memory: 1, weights: vec![0.5; 3] },
            Question::Anderson { rho: 1.0, relaxation: 1.0, memory: 1, weights: vec![f64::NAN] },
            Question::Whole { brackets: vec![(0, 1)], bins: 1, filler: 0, wide: false },
            Question::Whole { brackets: vec![(0, 1); 2], bins: 0, filler: 2, wide: false },
            Question::Whole { brackets: vec![(2, 1); 2], bins: 1, filler: 0, wide: false },
            Question::Whole { brackets: vec![(0, TOP + 1); 2], bins: 1, filler: 0, wide: false },
            Question::Whole { brackets: vec![(0, 1); 2], bins: MAX_ENTRIES, filler: 0, wide: false },
            Question::Whole { brackets: vec![(0, 1); 2], bins: 1, filler: 1 << 20, wide: false },
        ];
        for question in wrong {
            let bytes = request(question.clone()).encode();
            assert!(Request::decode(&bytes).is_err(), "{question:?}");
        }
        let many = Request { prices: vec![0.0; MAX_MATRIX + 1], ..request(questions().remove(4)) };
        assert!(Request::decode(&many.encode()).is_err());
        let nan = Request { unit: f64::NAN, ..request(questions().remove(4)) };
        assert!(Request::decode(&nan.encode()).is_err());
    }

    #[test]
    fn a_list_without_its_bytes_is_refused_before_allocation() {
        let mut bytes = request(questions().remove(1)).encode();
        // The list of two prices follows 1 + 5 + 9 bytes: now it claims 4,096.
        assert_eq!(bytes[15], 0x82);
        bytes.truncate(15);
        bytes.extend_from_slice(&[0x99, 0x10, 0x00, 0xfb]);
        assert_eq!(Request::decode(&bytes), Err(MessageError::Malformed { position: 15 }));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), which in 0..7_usize, at in 0..64_usize) {
            let _ = Request::decode(&bytes);
            let mut mutated = request(questions().remove(which)).encode();
            let at = at % mutated.len();
            mutated[at] = bytes.first().copied().unwrap_or(0);
            if let Ok(request) = Request::decode(&mutated) {
                prop_assert_eq!(request.encode(), mutated);
            }
        }
    }
}
