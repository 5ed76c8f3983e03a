//! Messages that wait for the application.

use cosmosmesh_protocol::{envelope::Purpose, id::NodeId, node::Delivery, time::DtnTime};

/// Names an entry of the inbox; rises by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InboxNumber(pub u64);

/// A message that the application has not taken yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxEntry {
    /// Its number.
    pub number: InboxNumber,
    /// The message.
    pub delivery: Delivery,
}

/// `source, purpose, epoch, sequence, created, payload`, big-endian.
pub(crate) fn encode(delivery: &Delivery) -> Vec<u8> {
    let Delivery { source, purpose, epoch, sequence, created, payload } = delivery;
    let mut value = Vec::with_capacity(29 + payload.len());
    value.extend_from_slice(&source.0.to_be_bytes());
    value.push(purpose.number());
    value.extend_from_slice(&epoch.to_be_bytes());
    value.extend_from_slice(&sequence.to_be_bytes());
    value.extend_from_slice(&created.0.to_be_bytes());
    value.extend_from_slice(payload);
    value
}

pub(crate) fn decode(value: &[u8]) -> Option<Delivery> {
    let (source, rest) = value.split_first_chunk()?;
    let (purpose, rest) = rest.split_first()?;
    let (epoch, rest) = rest.split_first_chunk()?;
    let (sequence, rest) = rest.split_first_chunk()?;
    let (created, payload) = rest.split_first_chunk()?;
    Some(Delivery {
        source: NodeId(u64::from_be_bytes(*source)),
        purpose: Purpose::from_number(u64::from(*purpose))?,
        epoch: u32::from_be_bytes(*epoch),
        sequence: u64::from_be_bytes(*sequence),
        created: DtnTime(u64::from_be_bytes(*created)),
        payload: payload.to_vec(),
    })
}
