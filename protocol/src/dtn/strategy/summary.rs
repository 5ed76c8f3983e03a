//! [`Summary`]: what a node tells a neighbour about the bundles that it has.
//!
//! Ours. A CBOR array of five: version 1, flags (1: forget what I told before, 2: my summary ends here), the names of
//! bundles that the sender has, the names of bundles that reached their destination, and delivery predictabilities.
//! A name is an array of source, creation time and sequence number, and for a fragment its offset and total. A predictability is
//! a node and p · 2^32. Names and nodes ascend, so that a receiver can merge them with its own without sorting.

use super::Probability;
use crate::{
    bundle::{BundleError, BundleId, CreationTimestamp, Fragment, put_endpoint, read_endpoint},
    cbor::{self, CborError, Reader},
    id::NodeId,
    time::DtnTime,
};
use alloc::vec::Vec;

const VERSION: u64 = 1;
const FIRST: u64 = 1;
const LAST: u64 = 2;

/// The shortest name: array, `dtn:none` (never sent, but that is judged later), two numbers.
const MIN_NAME_LEN: usize = 6;
/// The shortest predictability.
const MIN_PREDICTABILITY_LEN: usize = 3;

/// One message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// It begins a new summary: what was told before is void.
    pub first: bool,
    /// The summary is complete with it.
    pub last: bool,
    /// Bundles that the sender has or that were delivered there, ascending.
    pub has: Vec<BundleId>,
    /// Bundles that reached their destination, ascending.
    pub delivered: Vec<BundleId>,
    /// Delivery predictabilities, ascending by node.
    pub predictabilities: Vec<(NodeId, Probability)>,
}

/// Why bytes are not a summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SummaryError {
    /// Not deterministic CBOR of the expected shape.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// A source that is no endpoint, at this byte.
    #[error("no endpoint at byte {at}")]
    Source {
        /// Where.
        at: usize,
    },
    /// Another version.
    #[error("version {found} of a summary, expected {VERSION}")]
    Version {
        /// Which.
        found: u64,
    },
    /// More items announced than bytes follow.
    #[error("{count} items announced, {bytes} bytes follow")]
    Count {
        /// Items announced.
        count: u64,
        /// Bytes that follow.
        bytes: usize,
    },
    /// Names or nodes that do not ascend.
    #[error("item {index} is not greater than the one before")]
    Order {
        /// Which item.
        index: usize,
    },
    /// A probability of 1 or more.
    #[error("predictability {found} / 2^32 is not below 1")]
    Probability {
        /// What was told.
        found: u64,
    },
    /// From a neighbour without a link to it, of whom there are too many.
    #[error("summaries of {max} nodes without a link are remembered already")]
    Strangers {
        /// How many are allowed.
        max: usize,
    },
}

impl SummaryError {
    /// A stable word.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Cbor(_) | Self::Source { .. } => "summary_malformed",
            Self::Version { .. } => "summary_version",
            Self::Count { .. } => "summary_count",
            Self::Order { .. } => "summary_order",
            Self::Probability { .. } => "summary_probability",
            Self::Strangers { .. } => "summary_stranger",
        }
    }
}

impl Summary {
    /// The message's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (has, delivered): (Vec<_>, Vec<_>) = (self.has.iter().collect(), self.delivered.iter().collect());
        encode((self.first, self.last), &has, &delivered, &self.predictabilities)
    }

    /// Reads a message. Takes memory for what is there only.
    ///
    /// # Errors
    /// See [`SummaryError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, SummaryError> {
        let mut reader = Reader::new(bytes);
        reader.array_of(5)?;
        let version = reader.uint()?;
        if version != VERSION {
            return Err(SummaryError::Version { found: version });
        }
        let flags = reader.uint()?;
        let has = read_names(&mut reader, bytes.len())?;
        let delivered = read_names(&mut reader, bytes.len())?;
        let predictabilities = read_predictabilities(&mut reader, bytes.len())?;
        reader.end()?;
        Ok(Self { first: flags & FIRST != 0, last: flags & LAST != 0, has, delivered, predictabilities })
    }
}

/// The bytes of a message from names that are borrowed. `flags`: first, last.
pub(super) fn encode(
    flags: (bool, bool),
    has: &[&BundleId],
    delivered: &[&BundleId],
    predictabilities: &[(NodeId, Probability)],
) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + 24 * (has.len() + delivered.len()) + 16 * predictabilities.len());
    cbor::put_head(&mut out, cbor::ARRAY, 5);
    cbor::put_uint(&mut out, VERSION);
    cbor::put_uint(&mut out, u64::from(flags.0) * FIRST + u64::from(flags.1) * LAST);
    for names in [has, delivered] {
        cbor::put_head(&mut out, cbor::ARRAY, names.len() as u64);
        for id in names {
            put_name(&mut out, id);
        }
    }
    cbor::put_head(&mut out, cbor::ARRAY, predictabilities.len() as u64);
    for (node, p) in predictabilities {
        cbor::put_head(&mut out, cbor::ARRAY, 2);
        cbor::put_uint(&mut out, node.0);
        cbor::put_uint(&mut out, u64::from(p.0));
    }
    out
}

fn put_name(out: &mut Vec<u8>, id: &BundleId) {
    cbor::put_head(out, cbor::ARRAY, if id.fragment.is_some() { 5 } else { 3 });
    put_endpoint(out, &id.source);
    cbor::put_uint(out, id.creation.time.0);
    cbor::put_uint(out, id.creation.sequence);
    if let Some(fragment) = id.fragment {
        cbor::put_uint(out, fragment.offset);
        cbor::put_uint(out, fragment.total);
    }
}

fn read_count(reader: &mut Reader<'_>, len: usize, shortest: usize) -> Result<usize, SummaryError> {
    let count = reader.array()?;
    let bytes = len - reader.position();
    match usize::try_from(count) {
        Ok(items) if items <= bytes / shortest => Ok(items),
        _ => Err(SummaryError::Count { count, bytes }),
    }
}

fn read_names(reader: &mut Reader<'_>, len: usize) -> Result<Vec<BundleId>, SummaryError> {
    let count = read_count(reader, len, MIN_NAME_LEN)?;
    let mut names: Vec<BundleId> = Vec::with_capacity(count);
    for index in 0..count {
        let name = read_name(reader)?;
        if names.last().is_some_and(|last| *last >= name) {
            return Err(SummaryError::Order { index });
        }
        names.push(name);
    }
    Ok(names)
}

fn read_name(reader: &mut Reader<'_>) -> Result<BundleId, SummaryError> {
    let at = reader.position();
    let items = reader.array()?;
    if items != 3 && items != 5 {
        return Err(CborError::Items { at, expected: 3, found: items }.into());
    }
    let at = reader.position();
    let source = read_endpoint(reader).map_err(|error| match error {
        BundleError::Cbor(error) => SummaryError::Cbor(error),
        _ => SummaryError::Source { at },
    })?;
    let creation = CreationTimestamp { time: DtnTime(reader.uint()?), sequence: reader.uint()? };
    let fragment = match items {
        3 => None,
        _ => Some(Fragment { offset: reader.uint()?, total: reader.uint()? }),
    };
    Ok(BundleId { source, creation, fragment })
}

fn read_predictabilities(
    reader: &mut Reader<'_>,
    len: usize,
) -> Result<Vec<(NodeId, Probability)>, SummaryError> {
    let count = read_count(reader, len, MIN_PREDICTABILITY_LEN)?;
    let mut told: Vec<(NodeId, Probability)> = Vec::with_capacity(count);
    for index in 0..count {
        reader.array_of(2)?;
        let (node, found) = (NodeId(reader.uint()?), reader.uint()?);
        let p = u32::try_from(found).map_err(|_| SummaryError::Probability { found })?;
        if told.last().is_some_and(|(last, _)| *last >= node) {
            return Err(SummaryError::Order { index });
        }
        told.push((node, Probability(p)));
    }
    Ok(told)
}

#[cfg(test)]
mod tests;
