//! [`Delivered`]: the names of bundles that were delivered, until they expire, so that no second copy is.
//!
//! To forget a name early would be to deliver twice, so when there is no room, nothing is delivered. Whoever could take all the room
//! would shut everybody out for as long as his bundles live. Therefore no neighbour has more than half of it, no source more than a
//! quarter, and what lives for more than a day has at most half of any of these: the other half is free again within the day.

use crate::{
    bundle::{BundleId, CreationTimestamp, Fragment},
    cbor::{self, Reader},
    id::{EndpointId, NodeId, is_dtn_name},
    time::{DtnTime, Instant},
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::time::Duration;

/// What the bundles of one neighbour may take: this part of the memory.
const PEER_PART: usize = 2;
/// What the bundles of one source may take.
const SOURCE_PART: usize = 4;
/// No part is smaller than this many names.
const LEAST_PART: usize = 64;
/// What lives longer is long-lived.
const LONG: Duration = Duration::from_secs(86_400);

/// Names, the neighbour that brought each (`None`: this node itself, or after a restart nobody knows), and when they expire. Every operation is O(log n).
#[derive(Debug, Default)]
pub(super) struct Delivered {
    names: BTreeMap<BundleId, Option<NodeId>>,
    expiries: BTreeSet<(Instant, BundleId)>,
    by_peer: BTreeMap<NodeId, usize>,
    by_source: BTreeMap<EndpointId, usize>,
}

impl Delivered {
    /// Whether a bundle of this name was delivered.
    pub(super) fn knows(&self, id: &BundleId) -> bool {
        self.names.contains_key(id)
    }

    /// Whether one more name fits, of a bundle that `from` brought and that must be remembered for `left`. `max`: names in all.
    pub(super) fn has_room(&self, id: &BundleId, from: Option<NodeId>, left: Duration, max: usize) -> bool {
        let part = |parts: usize| (max / parts).max(LEAST_PART).min(max);
        let bound = |names: usize| if left > LONG { names.div_ceil(2) } else { names };
        let of_peer = from.and_then(|from| self.by_peer.get(&from)).copied().unwrap_or(0);
        let of_source = self.by_source.get(&node_name(&id.source)).copied().unwrap_or(0);
        self.names.len() < bound(max)
            && of_peer < bound(part(PEER_PART))
            && of_source < bound(part(SOURCE_PART))
    }

    /// Remembers a name, whether there is room or not. One that is known stays as it is.
    pub(super) fn remember(&mut self, id: BundleId, expires: Instant, from: Option<NodeId>) {
        if self.knows(&id) {
            return;
        }
        if let Some(from) = from {
            *self.by_peer.entry(from).or_default() += 1;
        }
        *self.by_source.entry(node_name(&id.source)).or_default() += 1;
        self.expiries.insert((expires, id.clone()));
        self.names.insert(id, from);
    }

    /// Forgets the names that have expired at `now`, and returns them.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<BundleId> {
        let mut forgotten = Vec::new();
        while self.expiries.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, id)) = self.expiries.pop_first() else { break };
            if let Some(from) = self.names.remove(&id).flatten() {
                one_less(&mut self.by_peer, &from);
            }
            one_less(&mut self.by_source, &node_name(&id.source));
            forgotten.push(id);
        }
        forgotten
    }

    /// When the next name expires.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.expiries.first().map(|(at, _)| *at)
    }
}

/// The node that an endpoint belongs to, as an endpoint: who floods has one service as well as another.
fn node_name(source: &EndpointId) -> EndpointId {
    match source {
        EndpointId::Null => EndpointId::Null,
        EndpointId::Ipn { node, .. } => node.endpoint(0),
        EndpointId::Dtn(name) => {
            let end = name.strip_prefix("//").and_then(|rest| rest.find('/')).map_or(name.len(), |at| at + 2);
            EndpointId::Dtn(name[..end].into())
        }
    }
}

fn one_less<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// A bundle's name as the key of a record: `scheme, name, time, sequence`, and `offset, total` of a fragment.
pub(super) fn put_name(out: &mut Vec<u8>, id: &BundleId) {
    match &id.source {
        EndpointId::Null => cbor::put_uint(out, 0),
        EndpointId::Dtn(name) => {
            cbor::put_uint(out, 1);
            cbor::put_text(out, name);
        }
        EndpointId::Ipn { node, service } => {
            cbor::put_uint(out, 2);
            cbor::put_uint(out, node.0);
            cbor::put_uint(out, *service);
        }
    }
    cbor::put_uint(out, id.creation.time.0);
    cbor::put_uint(out, id.creation.sequence);
    if let Some(Fragment { offset, total }) = id.fragment {
        cbor::put_uint(out, offset);
        cbor::put_uint(out, total);
    }
}

/// Reads what [`put_name`] wrote.
pub(super) fn read_name(bytes: &[u8]) -> Option<BundleId> {
    let mut reader = Reader::new(bytes);
    let source = match reader.uint().ok()? {
        0 => EndpointId::Null,
        1 => EndpointId::Dtn(reader.text().ok().filter(|name| is_dtn_name(name))?.into()),
        2 => EndpointId::Ipn { node: NodeId(reader.uint().ok()?), service: reader.uint().ok()? },
        _ => return None,
    };
    let time = DtnTime(reader.uint().ok()?);
    let sequence = reader.uint().ok()?;
    let fragment = match reader.peek() {
        Some(_) => Some(Fragment { offset: reader.uint().ok()?, total: reader.uint().ok()? }),
        None => None,
    };
    reader.end().ok()?;
    Some(BundleId { source, creation: CreationTimestamp { time, sequence }, fragment })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(sequence: u64) -> BundleId {
        let creation = CreationTimestamp { time: DtnTime(5), sequence };
        BundleId { source: NodeId(1).endpoint(7), creation, fragment: None }
    }

    const HOUR: Duration = Duration::from_secs(3600);
    const MONTH: Duration = Duration::from_secs(30 * 86_400);

    /// Fills the memory with what it takes of `source` by `from`; returns how many names that are.
    fn flood(delivered: &mut Delivered, source: u64, from: u64, left: Duration, max: usize) -> usize {
        let before = delivered.names.len();
        for sequence in 0..2 * max as u64 {
            let id = BundleId { source: NodeId(source).endpoint(sequence), ..name(sequence) };
            if delivered.has_room(&id, Some(NodeId(from)), left, max) {
                delivered.remember(id, Instant::ZERO.saturating_add(left), Some(NodeId(from)));
            }
        }
        delivered.names.len() - before
    }

    #[test]
    fn a_full_memory_takes_no_more_until_a_name_expires() {
        let mut delivered = Delivered::default();
        let fits = |delivered: &Delivered, id| delivered.has_room(&id, None, HOUR, 2);
        for (sequence, expires) in [(1, 10), (2, 20)] {
            assert!(fits(&delivered, name(sequence)));
            delivered.remember(name(sequence), Instant::from_nanos(expires), None);
        }
        assert!(!fits(&delivered, name(3)));
        assert!(delivered.knows(&name(1)) && !delivered.knows(&name(3)));
        assert_eq!(delivered.expire(Instant::from_nanos(10)), [name(1)]);
        assert!(fits(&delivered, name(3)));
        assert_eq!(delivered.next_expiry(), Some(Instant::from_nanos(20)));
    }

    #[test]
    fn neither_a_source_nor_a_neighbour_nor_long_lives_take_all_the_room() {
        let mut delivered = Delivered::default();
        assert_eq!(flood(&mut delivered, 1, 7, MONTH, 1024), 128, "half of a source's quarter");
        assert_eq!(flood(&mut delivered, 1, 7, HOUR, 1024), 128, "the other half");
        assert_eq!(flood(&mut delivered, 2, 7, MONTH, 1024), 0, "a neighbour's long-lived quarter is full");
        assert_eq!(flood(&mut delivered, 2, 7, HOUR, 1024), 256, "a neighbour has half");
        assert_eq!(flood(&mut delivered, 3, 7, HOUR, 1024), 0);
        assert_eq!(flood(&mut delivered, 3, 8, MONTH, 1024), 0, "half of all is left for short lives");
        assert_eq!(flood(&mut delivered, 3, 8, HOUR, 1024), 256);
        // An hour later, all but the month's are gone, and those who were full have room.
        delivered.expire(Instant::ZERO.saturating_add(HOUR));
        assert_eq!((delivered.names.len(), flood(&mut delivered, 3, 7, HOUR, 1024)), (128, 256));
        delivered.expire(Instant::ZERO.saturating_add(MONTH));
        assert!(delivered.by_peer.is_empty() && delivered.by_source.is_empty());
    }

    #[test]
    fn a_name_belongs_to_its_node_whatever_the_service() {
        let of = |text: &str| node_name(&text.parse().unwrap());
        assert_eq!(of("dtn://a/b/c"), of("dtn://a/"));
        assert_eq!(of("ipn:4.9"), of("ipn:4.0"));
        assert_ne!(of("dtn://a/b"), of("dtn://b/b"));
    }

    #[test]
    fn every_name_survives_its_record() {
        for source in [NodeId(u64::MAX).endpoint(0), "dtn://a/b".parse().unwrap(), EndpointId::Null] {
            for fragment in [None, Some(Fragment { offset: 7, total: 1 << 40 })] {
                let id = BundleId { source: source.clone(), fragment, ..name(u64::MAX) };
                let mut bytes = Vec::new();
                put_name(&mut bytes, &id);
                assert_eq!(read_name(&bytes), Some(id));
                assert_eq!(read_name(&bytes[..bytes.len() - 1]), None);
            }
        }
    }
}
