//! [`Delivered`]: the names of bundles that were delivered, until they expire, so that no second copy is.

use crate::{
    bundle::{BundleId, CreationTimestamp},
    cbor::{self, Reader},
    id::{EndpointId, NodeId, is_dtn_name},
    time::{DtnTime, Instant},
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

/// The memory is full of names that have not expired. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MemoryFull;

/// Names and when they expire. Every operation is O(log n).
#[derive(Debug, Default)]
pub(super) struct Delivered {
    names: BTreeMap<BundleId, Instant>,
    expiries: BTreeSet<(Instant, BundleId)>,
}

impl Delivered {
    /// Whether a bundle of this name was delivered.
    pub(super) fn knows(&self, id: &BundleId) -> bool {
        self.names.contains_key(id)
    }

    /// Remembers a name that is not known yet. With `max` names already, the answer is an error, and the bundle must not be
    /// delivered: to forget a name early would be to deliver twice.
    pub(super) fn remember(&mut self, id: BundleId, expires: Instant, max: usize) -> Result<(), MemoryFull> {
        if self.names.len() >= max {
            return Err(MemoryFull);
        }
        self.expiries.insert((expires, id.clone()));
        self.names.insert(id, expires);
        Ok(())
    }

    /// Forgets the names that have expired at `now`, and returns them.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<BundleId> {
        let mut forgotten = Vec::new();
        while self.expiries.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, id)) = self.expiries.pop_first() else { break };
            self.names.remove(&id);
            forgotten.push(id);
        }
        forgotten
    }

    /// When the next name expires.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.expiries.first().map(|(at, _)| *at)
    }
}

/// A bundle's name as the key of a record: `scheme, name, time, sequence`.
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
    reader.end().ok()?;
    Some(BundleId { source, creation: CreationTimestamp { time, sequence }, fragment: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(sequence: u64) -> BundleId {
        let creation = CreationTimestamp { time: DtnTime(5), sequence };
        BundleId { source: NodeId(1).endpoint(7), creation, fragment: None }
    }

    #[test]
    fn a_full_memory_takes_no_more_until_a_name_expires() {
        let mut delivered = Delivered::default();
        assert_eq!(delivered.remember(name(1), Instant::from_nanos(10), 2), Ok(()));
        assert_eq!(delivered.remember(name(2), Instant::from_nanos(20), 2), Ok(()));
        assert_eq!(delivered.remember(name(3), Instant::from_nanos(30), 2), Err(MemoryFull));
        assert!(delivered.knows(&name(1)) && !delivered.knows(&name(3)));
        assert_eq!(delivered.expire(Instant::from_nanos(10)), [name(1)]);
        assert_eq!(delivered.remember(name(3), Instant::from_nanos(30), 2), Ok(()));
        assert_eq!(delivered.next_expiry(), Some(Instant::from_nanos(20)));
    }

    #[test]
    fn every_name_survives_its_record() {
        for source in [NodeId(u64::MAX).endpoint(0), "dtn://a/b".parse().unwrap(), EndpointId::Null] {
            let id = BundleId { source, ..name(u64::MAX) };
            let mut bytes = Vec::new();
            put_name(&mut bytes, &id);
            assert_eq!(read_name(&bytes), Some(id));
            assert_eq!(read_name(&bytes[..bytes.len() - 1]), None);
        }
    }
}
