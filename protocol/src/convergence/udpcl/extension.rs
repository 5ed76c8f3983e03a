//! Extension maps (draft-ietf-dtn-udpcl-03, UDPCL Extension Items).

use super::packet::UdpclError;
use crate::cbor::{BYTES, MAP, NEGATIVE, TEXT, UINT, put_head, put_text, put_uint};
use alloc::vec::Vec;

const TRANSFER: u64 = 2;
const SENDER_LISTEN: u64 = 3;
const SENDER_NODE_ID: u64 = 4;
const DTLS_INITIATION: u64 = 5;
const NULL: u8 = 0xf6;
/// Items within items that are passed over; deeper ones are refused.
const MAX_DEPTH: u32 = 8;

/// What an extension map says. Items of other kinds are passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtensionMap<'a> {
    /// A bundle with a name, so that a datagram that comes twice is told.
    pub transfer: Option<Transfer<'a>>,
    /// For how many milliseconds the sender listens on its source port.
    pub sender_listen_ms: Option<u64>,
    /// The sender's node ID, not authenticated.
    pub sender_node_id: Option<&'a str>,
    /// Whether a DTLS handshake begins.
    pub starts_dtls: bool,
}

/// An identified transfer of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer<'a> {
    /// Its number, from this source address and port.
    pub id: u64,
    /// The bundle.
    pub bundle: &'a [u8],
}

impl<'a> ExtensionMap<'a> {
    /// Reads the map at the start of `bytes`; gives what follows it.
    pub(super) fn read(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), UdpclError> {
        let mut reader = Items { rest: bytes };
        let pairs = match reader.head()? {
            (MAP, Some(pairs)) => pairs,
            _ => return Err(UdpclError::Extensions),
        };
        let mut map = Self::default();
        // Each pair takes two bytes at least, so a huge count ends where the datagram does.
        for _ in 0..pairs {
            match reader.head()? {
                (UINT, Some(key)) => map.read_item(key, &mut reader)?,
                (NEGATIVE, Some(_)) => reader.skip(MAX_DEPTH)?,
                _ => return Err(UdpclError::Extensions),
            }
        }
        Ok((map, reader.rest))
    }

    fn read_item(&mut self, key: u64, reader: &mut Items<'a>) -> Result<(), UdpclError> {
        match key {
            TRANSFER if self.transfer.is_none() => self.transfer = Some(read_transfer(reader)?),
            SENDER_LISTEN if self.sender_listen_ms.is_none() => {
                self.sender_listen_ms = Some(reader.value(UINT)?);
            }
            SENDER_NODE_ID if self.sender_node_id.is_none() => {
                let len = reader.value(TEXT)?;
                let text = core::str::from_utf8(reader.take(len)?).map_err(|_| UdpclError::Extensions)?;
                self.sender_node_id = Some(text);
            }
            DTLS_INITIATION if !self.starts_dtls => {
                if reader.take(1)? != [NULL] {
                    return Err(UdpclError::Extensions);
                }
                self.starts_dtls = true;
            }
            // A key that is there twice.
            TRANSFER..=DTLS_INITIATION => return Err(UdpclError::Extensions),
            _ => reader.skip(MAX_DEPTH)?,
        }
        Ok(())
    }
}

fn read_transfer<'a>(reader: &mut Items<'a>) -> Result<Transfer<'a>, UdpclError> {
    let items = reader.value(crate::cbor::ARRAY)?;
    let id = reader.value(UINT)?;
    let total = match items {
        2 => None,
        4 => {
            let total = reader.value(UINT)?;
            reader.value(UINT)?;
            Some(total)
        }
        _ => return Err(UdpclError::Extensions),
    };
    let len = reader.value(BYTES)?;
    let bundle = reader.take(len)?;
    match total {
        // Four items for a transfer that is whole all the same: the draft asks for two, and nothing is lost by reading it.
        Some(total) if total != bundle.len() as u64 => Err(UdpclError::Segmented { transfer: id, total }),
        _ => Ok(Transfer { id, bundle }),
    }
}

/// CBOR items of any encoding: the draft does not ask for the deterministic one.
#[derive(Debug)]
struct Items<'a> {
    rest: &'a [u8],
}

impl<'a> Items<'a> {
    fn take(&mut self, len: u64) -> Result<&'a [u8], UdpclError> {
        let len = usize::try_from(len).map_err(|_| UdpclError::Extensions)?;
        let (head, rest) = self.rest.split_at_checked(len).ok_or(UdpclError::Extensions)?;
        self.rest = rest;
        Ok(head)
    }

    /// Major type and argument; no argument for indefinite length.
    fn head(&mut self) -> Result<(u8, Option<u64>), UdpclError> {
        let initial = self.take(1)?[0];
        let argument = match initial & 0x1f {
            info @ 0..=23 => Some(u64::from(info)),
            info @ 24..=27 => {
                let bytes = self.take(1 << (info - 24))?;
                Some(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
            }
            31 => None,
            _ => return Err(UdpclError::Extensions),
        };
        Ok((initial >> 5, argument))
    }

    fn value(&mut self, major: u8) -> Result<u64, UdpclError> {
        match self.head()? {
            (found, Some(value)) if found == major => Ok(value),
            _ => Err(UdpclError::Extensions),
        }
    }

    /// Passes over one item. Indefinite lengths in items that nobody knows are refused.
    fn skip(&mut self, depth: u32) -> Result<(), UdpclError> {
        let (major, argument) = self.head()?;
        let (Some(argument), true) = (argument, depth > 0) else { return Err(UdpclError::Extensions) };
        let items = match major {
            2 | 3 => {
                self.take(argument)?;
                0
            }
            4 => argument,
            5 => argument.saturating_mul(2),
            6 => 1,
            _ => 0,
        };
        // Each takes a byte at least, so the datagram bounds the loop.
        for _ in 0..items {
            self.skip(depth - 1)?;
        }
        Ok(())
    }
}

pub(super) fn put_sender_listen(out: &mut Vec<u8>, node_id: &str, interval_ms: u64) {
    put_head(out, MAP, 2);
    put_uint(out, SENDER_LISTEN);
    put_uint(out, interval_ms);
    put_uint(out, SENDER_NODE_ID);
    put_text(out, node_id);
}
