//! A [`ReplayWindow`] as bytes, so that a restart does not make old envelopes new.

use alloc::{boxed::Box, vec::Vec};

use super::{
    header::Purpose,
    replay::{ReplayLimits, ReplayWindow, Sender, Stream},
};
use crate::{
    cbor::{self, CborError, Reader},
    id::NodeId,
};

const VERSION: u64 = 1;

/// Why bytes are not a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Not deterministic CBOR of the expected shape.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// A version that this code does not know.
    #[error("version {found}, expected 1")]
    Version {
        /// The version found.
        found: u64,
    },
    /// A value outside its range, or senders or purposes out of order.
    #[error("value out of range or out of order before byte {at}")]
    Value {
        /// Where the value ends.
        at: usize,
    },
    /// The snapshot was taken with another width.
    #[error("windows of {found} bytes, expected {expected}")]
    Width {
        /// Bytes of a window in the snapshot.
        found: usize,
        /// Bytes of a window with the limits given.
        expected: usize,
    },
    /// More senders than the limits allow.
    #[error("{found} senders, at most {max} are allowed")]
    Senders {
        /// Senders in the snapshot.
        found: u64,
        /// Senders allowed.
        max: usize,
    },
}

impl ReplayWindow {
    /// The window as bytes: the same window always gives the same ones.
    ///
    /// Shape: `[version, [sender, incarnation, [purpose, highest, bitmap]…]…]`, each list flat, in deterministic CBOR.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut out = Vec::new();
        cbor::put_head(&mut out, cbor::ARRAY, 2);
        cbor::put_uint(&mut out, VERSION);
        cbor::put_head(&mut out, cbor::ARRAY, self.senders.len() as u64);
        for (node, sender) in &self.senders {
            cbor::put_head(&mut out, cbor::ARRAY, 2 + sender.streams.len() as u64);
            cbor::put_uint(&mut out, node.0);
            cbor::put_uint(&mut out, u64::from(sender.incarnation));
            for (purpose, stream) in &sender.streams {
                cbor::put_head(&mut out, cbor::ARRAY, 3);
                cbor::put_uint(&mut out, u64::from(purpose.number()));
                cbor::put_uint(&mut out, stream.highest);
                cbor::put_head(&mut out, cbor::BYTES, stream.used.len() as u64 * 8);
                stream.used.iter().for_each(|word| out.extend_from_slice(&word.to_be_bytes()));
            }
        }
        out
    }

    /// The window of a snapshot, under `limits`. Nothing is allocated beyond what the bytes hold.
    ///
    /// # Errors
    /// When the bytes are no snapshot, or one that exceeds `limits` or has another width.
    pub fn restore(bytes: &[u8], limits: ReplayLimits) -> Result<Self, SnapshotError> {
        let mut reader = Reader::new(bytes);
        reader.array_of(2)?;
        let found = reader.uint()?;
        if found != VERSION {
            return Err(SnapshotError::Version { found });
        }
        let found = reader.array()?;
        if found > limits.max_senders as u64 {
            return Err(SnapshotError::Senders { found, max: limits.max_senders });
        }
        let mut window = Self::new(limits);
        for _ in 0..found {
            let (node, sender) = read_sender(&mut reader, &limits)?;
            if window.senders.last_key_value().is_some_and(|(last, _)| *last >= node) {
                return Err(SnapshotError::Value { at: reader.position() });
            }
            window.senders.insert(node, sender);
        }
        reader.end()?;
        Ok(window)
    }
}

fn read_sender(reader: &mut Reader<'_>, limits: &ReplayLimits) -> Result<(NodeId, Sender), SnapshotError> {
    let items = reader.array()?;
    if items < 2 {
        return Err(SnapshotError::Value { at: reader.position() });
    }
    let node = NodeId(reader.uint()?);
    let incarnation =
        u32::try_from(reader.uint()?).map_err(|_| SnapshotError::Value { at: reader.position() })?;
    let mut sender = Sender { incarnation, ..Sender::default() };
    for _ in 2..items {
        reader.array_of(3)?;
        let purpose = Purpose::from_number(reader.uint()?);
        let in_order =
            purpose.filter(|purpose| sender.streams.last_key_value().is_none_or(|(last, _)| last < purpose));
        let purpose = in_order.ok_or(SnapshotError::Value { at: reader.position() })?;
        let highest = reader.uint()?;
        sender.streams.insert(purpose, Stream { highest, used: read_bitmap(reader, limits)? });
    }
    Ok((node, sender))
}

fn read_bitmap(reader: &mut Reader<'_>, limits: &ReplayLimits) -> Result<Box<[u64]>, SnapshotError> {
    let bytes = reader.bytes()?;
    let expected = limits.words() * 8;
    if bytes.len() != expected {
        return Err(SnapshotError::Width { found: bytes.len(), expected });
    }
    let (words, _) = bytes.as_chunks::<8>();
    Ok(words.iter().map(|word| u64::from_be_bytes(*word)).collect())
}
