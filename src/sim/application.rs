//! Applications outside of the simulation, beside simulated nodes: what they ask for comes in, and what they are told goes out, as bytes.
//!
//! | | Bytes, numbers big-endian |
//! |---|---|
//! | [`Asked`] | its number (64 bits), destination's node number (64), purpose (8), lifetime in milliseconds (64), payload |
//! | [`Answer::Accepted`] | 1, number of what was asked (64), sequence (64) |
//! | [`Answer::Refused`] | 2, number of what was asked (64), the reason's word |
//! | [`Answer::Message`] | 3, source's node number (64), purpose (8), sequence (64), epoch (32), created (64), payload |

use super::{
    cell::{Cell, Surroundings},
    outside::Departure,
};
use crate::{
    runtime::Said,
    units::{AssetIndex, SimTime},
};
use cosmosmesh_protocol::{
    dtn::store::Priority,
    envelope::Purpose,
    id::NodeId,
    node::{Delivery, Submission},
    time::DtnTime,
};
use std::time::Duration;

const ACCEPTED: u8 = 1;
const REFUSED: u8 = 2;
const MESSAGE: u8 = 3;

/// What an application asks for: that a message be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Comes back with the answer.
    pub number: u64,
    /// To whom.
    pub destination: NodeId,
    /// What for.
    pub purpose: Purpose,
    /// For how long it is worth delivering.
    pub lifetime: Duration,
    /// What it says.
    pub payload: Vec<u8>,
}

/// What an application is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// What was asked is durable, and on its way.
    Accepted {
        /// The number of what was asked.
        number: u64,
        /// The message's, in its stream.
        sequence: u64,
    },
    /// What was asked is not done.
    Refused {
        /// The number of what was asked.
        number: u64,
        /// A stable word.
        reason: String,
    },
    /// A message came.
    Message(Delivery),
}

impl Asked {
    /// As it comes in.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(25 + self.payload.len());
        bytes.extend_from_slice(&self.number.to_be_bytes());
        bytes.extend_from_slice(&self.destination.0.to_be_bytes());
        bytes.push(self.purpose.number());
        bytes.extend_from_slice(&(self.lifetime.as_millis() as u64).to_be_bytes());
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// None of what is not one.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (number, rest) = number(bytes)?;
        let (destination, rest) = self::number(rest)?;
        let (purpose, rest) = purpose(rest)?;
        let (millis, payload) = self::number(rest)?;
        let (destination, lifetime) = (NodeId(destination), Duration::from_millis(millis));
        Some(Self { number, destination, purpose, lifetime, payload: payload.to_vec() })
    }
}

impl Answer {
    /// As it goes out.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Self::Accepted { number, sequence } => {
                bytes.push(ACCEPTED);
                bytes.extend_from_slice(&number.to_be_bytes());
                bytes.extend_from_slice(&sequence.to_be_bytes());
            }
            Self::Refused { number, reason } => {
                bytes.push(REFUSED);
                bytes.extend_from_slice(&number.to_be_bytes());
                bytes.extend_from_slice(reason.as_bytes());
            }
            Self::Message(Delivery { source, purpose, epoch, sequence, created, payload }) => {
                bytes.push(MESSAGE);
                bytes.extend_from_slice(&source.0.to_be_bytes());
                bytes.push(purpose.number());
                bytes.extend_from_slice(&sequence.to_be_bytes());
                bytes.extend_from_slice(&epoch.to_be_bytes());
                bytes.extend_from_slice(&created.0.to_be_bytes());
                bytes.extend_from_slice(payload);
            }
        }
        bytes
    }

    /// None of what is not one.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let (first, rest) = number(rest)?;
        match *kind {
            ACCEPTED => Some(Self::Accepted { number: first, sequence: number(rest)?.0 }),
            REFUSED => {
                Some(Self::Refused { number: first, reason: std::str::from_utf8(rest).ok()?.to_owned() })
            }
            MESSAGE => {
                let (purpose, rest) = purpose(rest)?;
                let (sequence, rest) = number(rest)?;
                let (epoch, rest) = rest.split_first_chunk()?;
                let (created, payload) = number(rest)?;
                Some(Self::Message(Delivery {
                    source: NodeId(first),
                    purpose,
                    epoch: u32::from_be_bytes(*epoch),
                    sequence,
                    created: DtnTime(created),
                    payload: payload.to_vec(),
                }))
            }
            _ => None,
        }
    }
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u64::from_be_bytes(*number), rest))
}

fn purpose(bytes: &[u8]) -> Option<(Purpose, &[u8])> {
    let (purpose, rest) = bytes.split_first()?;
    Some((Purpose::from_number(u64::from(*purpose))?, rest))
}

impl Cell<'_> {
    /// The asset's application asks for something.
    pub(super) fn asks(&mut self, around: &mut Surroundings<'_, '_>, now: SimTime, bytes: &[u8]) {
        let Some(asked) = Asked::decode(bytes) else {
            let kind = crate::engine::RecordKind::InputRefused { reason: "outside_no_request" };
            return self.record(around, now, kind);
        };
        let Asked { number, destination, purpose, lifetime, payload } = asked;
        let priority = Priority::Normal;
        let submission = Submission { destination, purpose, priority, lifetime, payload };
        self.runtime.ask(now, number, submission, self.storage, &mut around.records);
    }

    /// Gives the asset's application what its node has told, if one is outside.
    pub(super) fn tell_application(&mut self, around: &mut Surroundings<'_, '_>, now: SimTime) {
        let Some(interface) = self.port.application() else { return };
        for said in self.runtime.take_said() {
            let (from, answer) = match said {
                Said::Accepted { number, sequence } => (self.asset, Answer::Accepted { number, sequence }),
                Said::Refused { number, reason } => {
                    (self.asset, Answer::Refused { number, reason: reason.to_owned() })
                }
                Said::Delivered(from, delivery) => (from, Answer::Message(delivery)),
            };
            around.departures.push(departure(now, interface, from, &answer));
        }
    }
}

fn departure(time: SimTime, interface: u32, from: AssetIndex, answer: &Answer) -> Departure {
    Departure { time, interface, from, snr_db: None, bytes: answer.encode() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_and_answered_is_read_as_it_was_written() {
        let asked = Asked {
            number: 7,
            destination: NodeId(3),
            purpose: Purpose::Command,
            lifetime: Duration::from_secs(60),
            payload: vec![1, 2, 3],
        };
        let bytes = asked.encode();
        assert_eq!(Asked::decode(&bytes), Some(asked));
        assert!((0..25).all(|end| Asked::decode(&bytes[..end]).is_none()));
        let delivery = Delivery {
            source: NodeId(2),
            purpose: Purpose::Event,
            epoch: 3,
            sequence: 4,
            created: DtnTime(5),
            payload: b"x".to_vec(),
        };
        for answer in [
            Answer::Accepted { number: 1, sequence: 2 },
            Answer::Refused { number: 1, reason: "stream_full".to_owned() },
            Answer::Message(delivery),
        ] {
            assert_eq!(Answer::decode(&answer.encode()), Some(answer));
        }
        assert_eq!(Answer::decode(&[9; 40]), None);
    }
}
