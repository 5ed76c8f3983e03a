//! What waits for the application.

use cosmosmesh_protocol::{
    bundle::{BundleFlags, CreationTimestamp},
    envelope::Purpose,
    id::{EndpointId, NodeId},
    node::{BundleDelivery, Delivery},
    time::DtnTime,
};

/// Names an entry of the inbox; rises by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InboxNumber(pub u64);

/// What the application has not taken yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxEntry {
    /// Its number.
    pub number: InboxNumber,
    /// What came.
    pub received: Received,
}

/// What came for the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A message of a member of the fleet.
    Message(Delivery),
    /// A plain bundle.
    Bundle(BundleDelivery),
}

const MESSAGE: u8 = 1;
const BUNDLE: u8 = 2;

/// `1, source, purpose, epoch, sequence, created, payload`, big-endian.
pub(crate) fn encode_message(delivery: &Delivery) -> Vec<u8> {
    let Delivery { source, purpose, epoch, sequence, created, payload } = delivery;
    let mut value = Vec::with_capacity(30 + payload.len());
    value.push(MESSAGE);
    value.extend_from_slice(&source.0.to_be_bytes());
    value.push(purpose.number());
    value.extend_from_slice(&epoch.to_be_bytes());
    value.extend_from_slice(&sequence.to_be_bytes());
    value.extend_from_slice(&created.0.to_be_bytes());
    value.extend_from_slice(payload);
    value
}

/// `2, creation time, creation sequence, flags, length and text of source, of destination, payload`, big-endian.
pub(crate) fn encode_bundle(delivery: &BundleDelivery) -> Vec<u8> {
    let BundleDelivery { source, destination, creation, flags, payload } = delivery;
    let mut value = Vec::with_capacity(100 + payload.len());
    value.push(BUNDLE);
    value.extend_from_slice(&creation.time.0.to_be_bytes());
    value.extend_from_slice(&creation.sequence.to_be_bytes());
    value.extend_from_slice(&flags.0.to_be_bytes());
    for endpoint in [source, destination] {
        let text = endpoint.to_string();
        // The codec refuses longer names than 64 kB by far.
        value.extend_from_slice(&(text.len() as u32).to_be_bytes());
        value.extend_from_slice(text.as_bytes());
    }
    value.extend_from_slice(payload);
    value
}

pub(crate) fn decode(value: &[u8]) -> Option<Received> {
    let (kind, rest) = value.split_first()?;
    match *kind {
        MESSAGE => decode_message(rest).map(Received::Message),
        BUNDLE => decode_bundle(rest).map(Received::Bundle),
        _ => None,
    }
}

fn decode_message(value: &[u8]) -> Option<Delivery> {
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

fn decode_bundle(value: &[u8]) -> Option<BundleDelivery> {
    let (time, rest) = value.split_first_chunk()?;
    let (sequence, rest) = rest.split_first_chunk()?;
    let (flags, rest) = rest.split_first_chunk()?;
    let (source, rest) = split_endpoint(rest)?;
    let (destination, payload) = split_endpoint(rest)?;
    Some(BundleDelivery {
        source,
        destination,
        creation: CreationTimestamp {
            time: DtnTime(u64::from_be_bytes(*time)),
            sequence: u64::from_be_bytes(*sequence),
        },
        flags: BundleFlags(u64::from_be_bytes(*flags)),
        payload: payload.to_vec(),
    })
}

fn split_endpoint(value: &[u8]) -> Option<(EndpointId, &[u8])> {
    let (length, rest) = value.split_first_chunk()?;
    let (text, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    Some((std::str::from_utf8(text).ok()?.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_is_read_as_it_was_written() {
        let message = Delivery {
            source: NodeId(7),
            purpose: Purpose::Command,
            epoch: 3,
            sequence: 9,
            created: DtnTime(12),
            payload: vec![1, 2, 3],
        };
        assert_eq!(decode(&encode_message(&message)), Some(Received::Message(message)));
        let bundle = BundleDelivery {
            source: "dtn://rover/out".parse().unwrap(),
            destination: "ipn:977000.5.2".parse().unwrap(),
            creation: CreationTimestamp { time: DtnTime(5), sequence: 6 },
            flags: BundleFlags(0x20),
            payload: vec![0; 300],
        };
        let encoded = encode_bundle(&bundle);
        assert_eq!(decode(&encoded), Some(Received::Bundle(bundle)));
        assert!((0..encoded.len() - 300).all(|end| decode(&encoded[..end]).is_none()));
    }
}
