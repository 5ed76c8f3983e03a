//! What members and the coordinator tell each other beside the solver's rounds: [`Notice`], and its one encoding.
//!
//! ```cddl
//! notice = ["join"]                                                        ; member → candidates: ask me too
//!        / ["leave"]                                                       ; member → candidates: plan without me
//!        / ["held", horizon: uint, term: uint, round: uint, digest: bytes .size 32] ; member → coordinator: I hold this version
//!        / ["follows", horizon: uint, term: uint, committed: bool]         ; to one of a lesser term, and to a candidate: this one is followed
//!        / ["stand", horizon: uint, term: uint, tries: uint]               ; candidate → member: do you miss the coordinator too?
//!        / ["vote", horizon: uint, term: uint, round: uint, calling: bool, [* price: float64]] ; member → candidate: yes, and this I heard last
//!        / ["call", horizon: uint, term: uint, round: uint]                ; coordinator → member: bids for requests, please
//!        / ["bids", horizon: uint, term: uint, [* bid], [* use]]           ; member → coordinator
//!        / ["allot", horizon: uint, term: uint, attempt: uint, [* variable: uint]] ; coordinator → member: granted, in the order of rank
//!        / ["taken", horizon: uint, term: uint, attempt: uint, [* variable: uint]] ; member → coordinator: what it declines
//! bid    = [variable: uint, value: float64, worth: float64, [* use]]
//! use    = [coupling: uint, amount: float64]
//! ```
//!
//! The horizon is the solver's. A solver's own messages begin with a number, so that none is taken for a notice. Bids say what
//! an asset's requests are worth to it, one by one: they cannot be summed, and no mask hides them.

use alloc::vec::Vec;

use minicbor::{Decoder, Encoder, data::Type};

use super::{
    message::{MAX_SIGNAL, MessageError, float, number},
    problem::MAX_COUPLINGS,
};

/// The most requests that one asset may have.
pub const MAX_REQUESTS: usize = 1024;

/// A bid as it travels: the sender is its node.
#[derive(Clone, Debug, PartialEq)]
pub struct BidNotice {
    /// The variable.
    pub variable: usize,
    /// The relaxed value, 0 to 1.
    pub value: f64,
    /// What the asset's own cost falls by when it is granted whole.
    pub worth: f64,
    /// What of each coupling it uses when granted.
    pub uses: Vec<(usize, f64)>,
}

/// What a member or the coordinator says.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// A member wants to be asked: it is new, or was away.
    Join,
    /// A member leaves.
    Leave,
    /// A member holds this version of the plan.
    Held {
        /// The solver's horizon.
        horizon: u64,
        /// The coordinator's term.
        term: u32,
        /// The round that ended it.
        round: u32,
        /// The version's digest, of what this member holds ([`Version`](super::Version)).
        digest: [u8; 32],
    },
    /// Which coordinator the sender follows: an answer to one of a lesser term, or to a candidate.
    Follows {
        /// The solver's horizon.
        horizon: u64,
        /// The term of the coordinator that it follows.
        term: u32,
        /// Whether that one has committed a version in the horizon.
        committed: bool,
    },
    /// A candidate misses the coordinator, and would take its place.
    Stand {
        /// The solver's horizon in which it would go on.
        horizon: u64,
        /// The term that would be its own.
        term: u32,
        /// How often it has asked before, without a word of the coordinator since.
        tries: u32,
    },
    /// A member misses the coordinator too, and has heard this of it.
    Vote {
        /// The solver's horizon of the last request it heard.
        horizon: u64,
        /// The candidate's term.
        term: u32,
        /// The round of that request.
        round: u32,
        /// Whether bids were called for after it.
        calling: bool,
        /// The prices of that request.
        prices: Vec<f64>,
    },
    /// The relaxed plan is agreed on; bids are due.
    Call {
        /// The solver's horizon in which requests will be whole.
        horizon: u64,
        /// The coordinator's term.
        term: u32,
        /// The last round.
        round: u32,
    },
    /// What a member's requests are worth.
    Bids {
        /// The solver's horizon of the call.
        horizon: u64,
        /// The term of the call.
        term: u32,
        /// One for each request.
        bids: Vec<BidNotice>,
        /// What the member's other variables put into the couplings that requests use.
        rest: Vec<(usize, f64)>,
    },
    /// Which of a member's requests are granted.
    Allotment {
        /// The solver's horizon of the call.
        horizon: u64,
        /// The coordinator's term.
        term: u32,
        /// The attempt, from 1.
        attempt: u32,
        /// Variables, best ranked first.
        granted: Vec<usize>,
    },
    /// What a member declines of its allotment, because its own constraints exclude it.
    Taken {
        /// The solver's horizon of the call.
        horizon: u64,
        /// The term of the allotment.
        term: u32,
        /// The attempt that it answers.
        attempt: u32,
        /// Variables.
        declined: Vec<usize>,
    },
}

type Written = Result<(), minicbor::encode::Error<core::convert::Infallible>>;

impl Notice {
    /// Whether bytes may be a notice: a list that begins with a text.
    #[must_use]
    pub fn is_one(bytes: &[u8]) -> bool {
        let mut decoder = Decoder::new(bytes);
        matches!(decoder.array(), Ok(Some(_))) && matches!(decoder.datatype(), Ok(Type::String))
    }

    /// The message's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut Encoder::new(&mut bytes)).expect("a Vec takes every byte");
        bytes
    }

    fn write(&self, encoder: &mut Encoder<&mut Vec<u8>>) -> Written {
        let mut head = |fields, word, horizon: u64, term: u32| {
            encoder.array(fields)?.str(word)?.u64(horizon)?.u32(term).map(|_| ())
        };
        match self {
            Self::Join => encoder.array(1)?.str("join").map(|_| ()),
            Self::Leave => encoder.array(1)?.str("leave").map(|_| ()),
            Self::Held { horizon, term, round, digest } => {
                head(5, "held", *horizon, *term)?;
                encoder.u32(*round)?.bytes(digest).map(|_| ())
            }
            Self::Follows { horizon, term, committed } => {
                head(4, "follows", *horizon, *term)?;
                encoder.bool(*committed).map(|_| ())
            }
            Self::Stand { horizon, term, tries } => {
                head(4, "stand", *horizon, *term)?;
                encoder.u32(*tries).map(|_| ())
            }
            Self::Vote { horizon, term, round, calling, prices } => {
                head(6, "vote", *horizon, *term)?;
                encoder.u32(*round)?.bool(*calling)?.array(prices.len() as u64)?;
                for price in prices {
                    encoder.f64(*price)?;
                }
                Ok(())
            }
            Self::Call { horizon, term, round } => {
                head(4, "call", *horizon, *term)?;
                encoder.u32(*round).map(|_| ())
            }
            Self::Bids { horizon, term, bids, rest } => {
                head(5, "bids", *horizon, *term)?;
                encoder.array(bids.len() as u64)?;
                for bid in bids {
                    encoder.array(4)?.u64(bid.variable as u64)?.f64(bid.value)?.f64(bid.worth)?;
                    write_uses(encoder, &bid.uses)?;
                }
                write_uses(encoder, rest)
            }
            Self::Allotment { horizon, term, attempt, granted } => {
                head(5, "allot", *horizon, *term)?;
                write_variables(encoder.u32(*attempt)?, granted)
            }
            Self::Taken { horizon, term, attempt, declined } => {
                head(5, "taken", *horizon, *term)?;
                write_variables(encoder.u32(*attempt)?, declined)
            }
        }
    }

    /// Reads a notice.
    ///
    /// # Errors
    /// [`MessageError`] when the bytes are not exactly one.
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        let mut decoder = Decoder::new(bytes);
        let malformed = MessageError::Malformed { position: 0 };
        let fields = decoder.array().ok().flatten().ok_or(malformed)?;
        let word = decoder.str().map_err(|_| malformed)?;
        let notice = match (word, fields) {
            ("join", 1) => Self::Join,
            ("leave", 1) => Self::Leave,
            (word, 4..=6) => {
                let (horizon, term) = (number(&mut decoder)?, small(&mut decoder)?);
                Self::read(word, fields, horizon, term, &mut decoder)?.ok_or(malformed)?
            }
            _ => return Err(malformed),
        };
        if notice.encode() == bytes { Ok(notice) } else { Err(MessageError::NotDeterministic) }
    }

    fn read(
        word: &str,
        fields: u64,
        horizon: u64,
        term: u32,
        decoder: &mut Decoder<'_>,
    ) -> Result<Option<Self>, MessageError> {
        Ok(Some(match (word, fields) {
            ("held", 5) => {
                let (round, position) = (small(decoder)?, decoder.position());
                let digest = decoder.bytes().ok().and_then(|bytes| bytes.try_into().ok());
                let digest = digest.ok_or(MessageError::Malformed { position })?;
                Self::Held { horizon, term, round, digest }
            }
            ("follows", 4) => Self::Follows { horizon, term, committed: flag(decoder)? },
            ("stand", 4) => Self::Stand { horizon, term, tries: small(decoder)? },
            ("vote", 6) => {
                let (round, calling) = (small(decoder)?, flag(decoder)?);
                Self::Vote { horizon, term, round, calling, prices: read_prices(decoder)? }
            }
            ("call", 4) => Self::Call { horizon, term, round: small(decoder)? },
            ("bids", 5) => {
                let count = length(decoder, MAX_REQUESTS)?;
                let mut bids = Vec::with_capacity(count);
                for _ in 0..count {
                    bids.push(read_bid(decoder)?);
                }
                Self::Bids { horizon, term, bids, rest: read_uses(decoder)? }
            }
            ("allot", 5) => {
                Self::Allotment { horizon, term, attempt: small(decoder)?, granted: read_variables(decoder)? }
            }
            ("taken", 5) => {
                Self::Taken { horizon, term, attempt: small(decoder)?, declined: read_variables(decoder)? }
            }
            _ => return Ok(None),
        }))
    }
}

fn write_uses(encoder: &mut Encoder<&mut Vec<u8>>, uses: &[(usize, f64)]) -> Written {
    encoder.array(uses.len() as u64)?;
    for (coupling, amount) in uses {
        encoder.array(2)?.u64(*coupling as u64)?.f64(*amount)?;
    }
    Ok(())
}

fn write_variables(encoder: &mut Encoder<&mut Vec<u8>>, variables: &[usize]) -> Written {
    encoder.array(variables.len() as u64)?;
    for variable in variables {
        encoder.u64(*variable as u64)?;
    }
    Ok(())
}

fn small(decoder: &mut Decoder<'_>) -> Result<u32, MessageError> {
    let position = decoder.position();
    u32::try_from(number(decoder)?).map_err(|_| MessageError::Malformed { position })
}

fn flag(decoder: &mut Decoder<'_>) -> Result<bool, MessageError> {
    let position = decoder.position();
    decoder.bool().map_err(|_| MessageError::Malformed { position })
}

fn place(decoder: &mut Decoder<'_>) -> Result<usize, MessageError> {
    Ok(small(decoder)? as usize)
}

fn fields(decoder: &mut Decoder<'_>, expected: u64) -> Result<(), MessageError> {
    let position = decoder.position();
    match decoder.array() {
        Ok(Some(found)) if found == expected => Ok(()),
        _ => Err(MessageError::Malformed { position }),
    }
}

/// A list's length, checked against `limit` and the bytes that are left before anything is allocated.
fn length(decoder: &mut Decoder<'_>, limit: usize) -> Result<usize, MessageError> {
    let position = decoder.position();
    let found = decoder.array().ok().flatten().ok_or(MessageError::Malformed { position })?;
    if found > limit as u64 {
        return Err(MessageError::Couplings { found, limit });
    }
    let left = decoder.input().len() - decoder.position();
    if found as usize > left { Err(MessageError::Malformed { position }) } else { Ok(found as usize) }
}

/// A number in a signal's range.
fn real(decoder: &mut Decoder<'_>) -> Result<f64, MessageError> {
    let found = float(decoder)?;
    let good = found.abs() <= MAX_SIGNAL;
    if good { Ok(found) } else { Err(MessageError::Magnitude { index: 0, limit: MAX_SIGNAL }) }
}

fn read_bid(decoder: &mut Decoder<'_>) -> Result<BidNotice, MessageError> {
    fields(decoder, 4)?;
    let (variable, value, worth) = (place(decoder)?, real(decoder)?, real(decoder)?);
    Ok(BidNotice { variable, value, worth, uses: read_uses(decoder)? })
}

fn read_uses(decoder: &mut Decoder<'_>) -> Result<Vec<(usize, f64)>, MessageError> {
    let count = length(decoder, MAX_COUPLINGS)?;
    let mut uses = Vec::with_capacity(count);
    for _ in 0..count {
        fields(decoder, 2)?;
        uses.push((place(decoder)?, real(decoder)?));
    }
    Ok(uses)
}

fn read_prices(decoder: &mut Decoder<'_>) -> Result<Vec<f64>, MessageError> {
    let count = length(decoder, MAX_COUPLINGS)?;
    let mut prices = Vec::with_capacity(count);
    for _ in 0..count {
        prices.push(real(decoder)?);
    }
    Ok(prices)
}

fn read_variables(decoder: &mut Decoder<'_>) -> Result<Vec<usize>, MessageError> {
    let count = length(decoder, MAX_REQUESTS)?;
    let mut variables = Vec::with_capacity(count);
    for _ in 0..count {
        variables.push(place(decoder)?);
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn notices() -> Vec<Notice> {
        let bid = BidNotice { variable: 3, value: 0.5, worth: -1.5, uses: vec![(0, 1.0), (7, 2.0)] };
        vec![
            Notice::Join,
            Notice::Leave,
            Notice::Held { horizon: 256, term: 1, round: 17, digest: [7; 32] },
            Notice::Follows { horizon: 256, term: 2, committed: true },
            Notice::Stand { horizon: 256, term: 4, tries: 1 },
            Notice::Vote { horizon: 257, term: 4, round: 18, calling: true, prices: vec![0.5, -2.0] },
            Notice::Call { horizon: 1, term: 0, round: 30 },
            Notice::Bids { horizon: 1, term: 0, bids: vec![bid], rest: vec![(7, 0.25)] },
            Notice::Allotment { horizon: 1, term: 0, attempt: 2, granted: vec![9, 3] },
            Notice::Taken { horizon: 1, term: 0, attempt: 2, declined: vec![] },
        ]
    }

    #[test]
    fn every_notice_has_one_encoding() {
        for notice in notices() {
            let bytes = notice.encode();
            assert!(Notice::is_one(&bytes));
            assert_eq!(Notice::decode(&bytes), Ok(notice));
            assert!(Notice::decode(&bytes[..bytes.len() - 1]).is_err());
            assert!(Notice::decode(&[bytes, vec![0]].concat()).is_err());
        }
        assert_eq!(Notice::Join.encode(), [0x81, 0x64, b'j', b'o', b'i', b'n']);
        assert!(!Notice::is_one(&[0x88, 0x00]), "a request");
    }

    #[test]
    fn lists_without_their_bytes_are_refused_before_allocation() {
        let mut bytes = notices()[8].encode();
        let end = bytes.len() - 3;
        assert_eq!(bytes[end], 0x82);
        bytes.truncate(end);
        bytes.extend_from_slice(&[0x99, 0x03, 0xff, 0x00]);
        assert!(matches!(Notice::decode(&bytes), Err(MessageError::Malformed { .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), which in 0..10_usize, at in 0..64_usize) {
            let _ = Notice::decode(&bytes);
            let mut mutated = notices()[which].encode();
            let at = at % mutated.len();
            mutated[at] = bytes.first().copied().unwrap_or(0);
            if let Ok(notice) = Notice::decode(&mutated) {
                prop_assert_eq!(notice.encode(), mutated);
            }
        }
    }
}
