//! What two replicas say to each other.

use super::{
    columns::{Input, put_varint},
    delta::Delta,
    limits::SyncError,
    rateless::{Symbol, put_symbols, read_symbols},
    version::VersionVector,
    wire::{decode_all, read_delta, read_version, write_delta, write_version},
};
use alloc::vec::Vec;

/// The upper half of a message's first byte. Earlier messages were CBOR arrays, whose first bytes are above 0x80, so that neither is
/// taken for the other.
const FORMAT: u8 = 0x10;

/// A message between replicas: a byte of format and kind, and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncMessage {
    /// What the sender covers: an acknowledgement, and a request for what it lacks.
    Version(VersionVector),
    /// What the receiver lacks, as the sender thinks.
    Delta(Delta),
    /// Coded symbols of what the sender holds, whatever either covers: the receiver finds out wherein it differs.
    Audit {
        /// Names the audit, and keys its hashes.
        nonce: u64,
        /// How many cells the sender holds.
        cells: u64,
        /// The first symbol's number.
        first: u64,
        /// The symbols.
        symbols: Vec<Symbol>,
    },
    /// The symbols do not tell yet: the audited one asks for these.
    More {
        /// Which audit.
        nonce: u64,
        /// The first symbol to send.
        first: u64,
        /// How many.
        count: u64,
    },
    /// What an audit found: the auditor lacks these cells, and is asked for those.
    Repair {
        /// Which audit.
        nonce: u64,
        /// Cells that the receiver lacks.
        delta: Delta,
        /// The short hashes of cells that the sender lacks, in order.
        wanted: Vec<u64>,
    },
}

impl SyncMessage {
    /// The one encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Version(version) => {
                out.push(FORMAT);
                write_version(&mut out, version);
            }
            Self::Delta(delta) => {
                out.push(FORMAT | 1);
                write_delta(&mut out, delta);
            }
            Self::Audit { nonce, cells, first, symbols } => {
                out.push(FORMAT | 2);
                out.extend_from_slice(&nonce.to_be_bytes());
                put_varint(&mut out, *cells);
                put_varint(&mut out, *first);
                put_symbols(&mut out, symbols, *cells, *first);
            }
            Self::More { nonce, first, count } => {
                out.push(FORMAT | 3);
                out.extend_from_slice(&nonce.to_be_bytes());
                put_varint(&mut out, *first);
                put_varint(&mut out, *count);
            }
            Self::Repair { nonce, delta, wanted } => {
                out.push(FORMAT | 4);
                out.extend_from_slice(&nonce.to_be_bytes());
                put_varint(&mut out, wanted.len() as u64);
                wanted.iter().for_each(|hash| out.extend_from_slice(&hash.to_be_bytes()[2..]));
                write_delta(&mut out, delta);
            }
        }
        out
    }

    /// Reads [`SyncMessage::encode`]. Limits are checked when it is acted upon.
    ///
    /// # Errors
    /// [`SyncError::Malformed`], [`SyncError::NotDeterministic`].
    pub fn decode(bytes: &[u8]) -> Result<Self, SyncError> {
        decode_all(bytes, Self::read, Self::encode)
    }

    fn read(input: &mut Input<'_>) -> Result<Self, SyncError> {
        let nonce = |input: &mut Input<'_>| Ok(u64::from_be_bytes(input.array()?));
        match input.byte()? ^ FORMAT {
            0 => Ok(Self::Version(read_version(input)?)),
            1 => Ok(Self::Delta(read_delta(input)?)),
            2 => {
                let (nonce, cells, first) = (nonce(input)?, input.varint()?, input.varint()?);
                Ok(Self::Audit { nonce, cells, first, symbols: read_symbols(input, cells, first)? })
            }
            3 => Ok(Self::More { nonce: nonce(input)?, first: input.varint()?, count: input.varint()? }),
            4 => {
                let nonce = nonce(input)?;
                let count = input.count(input.rest() / 6)?;
                let mut wanted = Vec::with_capacity(count);
                for _ in 0..count {
                    let mut hash = [0; 8];
                    hash[2..].copy_from_slice(&input.array::<6>()?);
                    wanted.push(u64::from_be_bytes(hash));
                }
                Ok(Self::Repair { nonce, delta: read_delta(input)?, wanted })
            }
            _ => Err(input.malformed()),
        }
    }
}
