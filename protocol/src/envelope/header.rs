//! [`Header`]: what an envelope says about itself under its signature, and its encoding as COSE protected headers.
//!
//! | Label | Value |
//! |---|---|
//! | 1 (`alg`) | -8, EdDSA (RFC 9053 §2.2) |
//! | 4 (`kid`) | the sender's node number, big-endian, without leading zeros: 1 to 8 bytes |
//! | -65537 | array: incarnation (u32), purpose (u8), destination node, sequence, creation time in ms |
//!
//! Labels below -65536 are for private use (RFC 9052 §11.1) and take five bytes each; one label with an array saves twenty.

use alloc::vec::Vec;

use super::error::EnvelopeError;
use crate::{
    cbor::{self, Reader},
    id::NodeId,
    time::DtnTime,
};

const ALG: u64 = 1;
const CRIT: u64 = 2;
const KID: u64 = 4;
/// EdDSA is algorithm -8, in CBOR a negative integer with argument 7.
const EDDSA: (u8, u64) = (cbor::NEGATIVE, 7);
/// Label -65537, in CBOR a negative integer with argument 65536.
const PRIVATE: (u8, u64) = (cbor::NEGATIVE, 0x1_0000);
const HEADERS: u64 = 3;
const FIELDS: u64 = 5;

/// What a message is for. The numbers are on the wire and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Purpose {
    /// A reading that ages: the newest one counts.
    Telemetry = 1,
    /// An order to act.
    Command = 2,
    /// Something that happened, to be kept.
    Event = 3,
    /// Synchronisation of replicated data.
    Sync = 4,
    /// A message of distributed planning.
    Plan = 5,
    /// What has arrived, told to its sender.
    Acknowledgement = 6,
    /// Certificates, revocations and checkpoints of logs.
    Trust = 7,
    /// Proposals, ballots and decisions of the fleet.
    Governance = 8,
    /// Who is there: gossip between neighbours. Not a stream: what is lost is lost.
    Membership = 9,
    /// A group's key for one of its members.
    GroupKey = 10,
}

impl Purpose {
    /// Every purpose, by rising number.
    pub const ALL: [Self; 10] = [
        Self::Telemetry,
        Self::Command,
        Self::Event,
        Self::Sync,
        Self::Plan,
        Self::Acknowledgement,
        Self::Trust,
        Self::Governance,
        Self::Membership,
        Self::GroupKey,
    ];

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The purpose with this number.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| u64::from(purpose.number()) == number)
    }
}

/// The signed facts about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The node that signs.
    pub sender: NodeId,
    /// How often the sender has started afresh, without memory of the numbers that it used.
    pub incarnation: u32,
    /// What the message is for.
    pub purpose: Purpose,
    /// The node that shall act on it.
    pub destination: NodeId,
    /// The message's number within sender, incarnation and purpose.
    pub sequence: u64,
    /// When the sender made it, by the sender's clock.
    pub created: DtnTime,
}

impl Header {
    /// The protected headers as CBOR, without the byte string around them.
    #[cfg(test)]
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(52);
        self.encode_into(&mut out);
        out
    }

    /// Appends the protected headers, at most 52 bytes.
    pub(super) fn encode_into(&self, out: &mut Vec<u8>) {
        cbor::put_head(out, cbor::MAP, HEADERS);
        cbor::put_uint(out, ALG);
        cbor::put_head(out, EDDSA.0, EDDSA.1);
        cbor::put_uint(out, KID);
        let sender = self.sender.0.to_be_bytes();
        cbor::put_bytes(out, &sender[self.sender.0.leading_zeros() as usize / 8..]);
        cbor::put_head(out, PRIVATE.0, PRIVATE.1);
        cbor::put_head(out, cbor::ARRAY, FIELDS);
        cbor::put_uint(out, u64::from(self.incarnation));
        cbor::put_uint(out, u64::from(self.purpose.number()));
        cbor::put_uint(out, self.destination.0);
        cbor::put_uint(out, self.sequence);
        cbor::put_uint(out, self.created.0);
    }

    /// Reads protected headers: exactly the profile's, in deterministic order.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let mut reader = Reader::new(bytes);
        let count = reader.map()?;
        label(&mut reader, (cbor::UINT, ALG))?;
        if reader.head()? != EDDSA {
            return Err(EnvelopeError::Algorithm);
        }
        label(&mut reader, (cbor::UINT, KID))?;
        let sender = node_of(reader.bytes()?)?;
        label(&mut reader, PRIVATE)?;
        reader.array_of(FIELDS)?;
        let incarnation = reader.uint()?;
        let range =
            EnvelopeError::Range { field: "incarnation", found: incarnation, max: u64::from(u32::MAX) };
        let incarnation = u32::try_from(incarnation).map_err(|_| range)?;
        let number = reader.uint()?;
        let purpose = Purpose::from_number(number).ok_or(EnvelopeError::UnknownPurpose { found: number })?;
        let destination = NodeId(reader.uint()?);
        let sequence = reader.uint()?;
        let created = DtnTime(reader.uint()?);
        if count != HEADERS {
            return Err(EnvelopeError::UnknownHeader { at: reader.position() });
        }
        reader.end()?;
        Ok(Self { sender, incarnation, purpose, destination, sequence, created })
    }
}

fn label(reader: &mut Reader<'_>, expected: (u8, u64)) -> Result<(), EnvelopeError> {
    let at = reader.position();
    match reader.head()? {
        found if found == expected => Ok(()),
        (cbor::UINT, CRIT) => Err(EnvelopeError::UnknownCritical),
        _ => Err(EnvelopeError::UnknownHeader { at }),
    }
}

fn node_of(kid: &[u8]) -> Result<NodeId, EnvelopeError> {
    if kid.is_empty() || kid.len() > 8 || kid[0] == 0 {
        return Err(EnvelopeError::KeyId);
    }
    Ok(NodeId(kid.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))))
}
