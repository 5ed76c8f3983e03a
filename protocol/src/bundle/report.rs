//! [`StatusReport`]: the administrative record of RFC 9171 §6.1.1, the payload of a bundle with
//! [`super::BundleFlags::ADMINISTRATIVE_RECORD`].

use alloc::vec::Vec;

use super::{
    endpoint::{put_endpoint, read_endpoint},
    error::BundleError,
    primary::{BundleId, CreationTimestamp, Fragment},
};
use crate::{
    cbor::{self, CborError, Reader},
    time::DtnTime,
};

/// The record type code of a status report (RFC 9171 §6.1).
pub(super) const STATUS_REPORT: u64 = 1;
/// Major type 7: `false` and `true`.
const SIMPLE: u8 = 7;
const FALSE: u64 = 20;
const TRUE: u64 = 21;

/// What happened to a bundle, in the order of a report's items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Status {
    /// A node received it.
    Received = 0,
    /// A node forwarded it.
    Forwarded = 1,
    /// A node delivered it.
    Delivered = 2,
    /// A node deleted it.
    Deleted = 3,
}

/// Why it happened (RFC 9171 §9.5). Every number is a reason; the named ones are those of the standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReportReason(pub u64);

impl ReportReason {
    /// Nothing more to say.
    pub const NONE: Self = Self(0);
    /// The lifetime has ended.
    pub const LIFETIME_EXPIRED: Self = Self(1);
    /// Sent over a link without a way back.
    pub const UNIDIRECTIONAL: Self = Self(2);
    /// The transmission was cancelled.
    pub const CANCELLED: Self = Self(3);
    /// The store is full.
    pub const DEPLETED_STORAGE: Self = Self(4);
    /// The destination is not known.
    pub const UNAVAILABLE_DESTINATION: Self = Self(5);
    /// No route is known.
    pub const NO_ROUTE: Self = Self(6);
    /// No contact comes in time.
    pub const NO_TIMELY_CONTACT: Self = Self(7);
    /// A block cannot be read.
    pub const UNINTELLIGIBLE_BLOCK: Self = Self(8);
    /// It went too far.
    pub const HOP_LIMIT_EXCEEDED: Self = Self(9);
    /// There was too much traffic.
    pub const TRAFFIC_PARED: Self = Self(10);
    /// A block is not supported.
    pub const UNSUPPORTED_BLOCK: Self = Self(11);
    /// A security operation that was expected is not there (RFC 9172 §7.1).
    pub const MISSING_SECURITY_OPERATION: Self = Self(12);
    /// A security operation cannot be processed (RFC 9172 §7.1).
    pub const UNKNOWN_SECURITY_OPERATION: Self = Self(13);
    /// A security operation is there that was not expected (RFC 9172 §7.1).
    pub const UNEXPECTED_SECURITY_OPERATION: Self = Self(14);
    /// A security operation failed (RFC 9172 §7.1).
    pub const FAILED_SECURITY_OPERATION: Self = Self(15);
    /// Security operations contradict each other (RFC 9172 §7.1).
    pub const CONFLICTING_SECURITY_OPERATION: Self = Self(16);
}

/// What became of a bundle at one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusReport {
    /// By [`Status`]: whether it happened, and when, if the bundle asked for the time and the node knows it.
    pub items: [Option<Option<DtnTime>>; 4],
    /// Why.
    pub reason: ReportReason,
    /// The bundle that is reported on.
    pub bundle: BundleId,
    /// The length of its payload, if it is a fragment; `bundle.fragment.total` is not on the wire, and 0 here.
    pub fragment_len: Option<u64>,
}

impl StatusReport {
    /// A report that `status` came over `bundle`, whose payload is `payload_len` bytes long.
    ///
    /// `time` is to be given only when the bundle asks for it.
    #[must_use]
    pub fn new(
        bundle: BundleId,
        payload_len: u64,
        status: Status,
        time: Option<DtnTime>,
        reason: ReportReason,
    ) -> Self {
        let mut items = [None; 4];
        items[status as usize] = Some(time);
        let fragment = bundle.fragment.map(|fragment| Fragment { total: 0, ..fragment });
        let fragment_len = fragment.map(|_| payload_len);
        Self { items, reason, bundle: BundleId { fragment, ..bundle }, fragment_len }
    }

    /// The administrative record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        cbor::put_head(&mut out, cbor::ARRAY, 2);
        cbor::put_uint(&mut out, STATUS_REPORT);
        let fragment = self.bundle.fragment.zip(self.fragment_len);
        cbor::put_head(&mut out, cbor::ARRAY, if fragment.is_some() { 6 } else { 4 });
        cbor::put_head(&mut out, cbor::ARRAY, 4);
        for item in self.items {
            cbor::put_head(&mut out, cbor::ARRAY, if matches!(item, Some(Some(_))) { 2 } else { 1 });
            cbor::put_head(&mut out, SIMPLE, if item.is_some() { TRUE } else { FALSE });
            if let Some(Some(time)) = item {
                cbor::put_uint(&mut out, time.0);
            }
        }
        cbor::put_uint(&mut out, self.reason.0);
        put_endpoint(&mut out, &self.bundle.source);
        cbor::put_head(&mut out, cbor::ARRAY, 2);
        cbor::put_uint(&mut out, self.bundle.creation.time.0);
        cbor::put_uint(&mut out, self.bundle.creation.sequence);
        if let Some((Fragment { offset, .. }, length)) = fragment {
            cbor::put_uint(&mut out, offset);
            cbor::put_uint(&mut out, length);
        }
        out
    }

    /// Reads an administrative record.
    ///
    /// # Errors
    /// When the bytes are not a status report in deterministic form.
    pub fn decode(bytes: &[u8]) -> Result<Self, BundleError> {
        let mut reader = Reader::new(bytes);
        reader.array_of(2)?;
        let found = reader.uint()?;
        if found != STATUS_REPORT {
            return Err(BundleError::RecordType { found });
        }
        let at = reader.position();
        let count = reader.array()?;
        reader.array_of(4)?;
        let mut items = [None; 4];
        for item in &mut items {
            *item = read_item(&mut reader)?;
        }
        let reason = ReportReason(reader.uint()?);
        let source = read_endpoint(&mut reader)?;
        reader.array_of(2)?;
        let creation = CreationTimestamp { time: DtnTime(reader.uint()?), sequence: reader.uint()? };
        let (fragment, fragment_len) = match count {
            4 => (None, None),
            6 => (Some(Fragment { offset: reader.uint()?, total: 0 }), Some(reader.uint()?)),
            found => return Err(CborError::Items { at, expected: 4, found }.into()),
        };
        reader.end()?;
        Ok(Self { items, reason, bundle: BundleId { source, creation, fragment }, fragment_len })
    }
}

fn read_item(reader: &mut Reader<'_>) -> Result<Option<Option<DtnTime>>, BundleError> {
    let at = reader.position();
    let count = reader.array()?;
    let value = reader.head()?;
    match (value, count) {
        ((SIMPLE, FALSE), 1) => Ok(None),
        ((SIMPLE, TRUE), 1) => Ok(Some(None)),
        ((SIMPLE, TRUE), 2) => Ok(Some(Some(DtnTime(reader.uint()?)))),
        ((SIMPLE, _), found) => Err(CborError::Items { at, expected: 1, found }.into()),
        ((found, _), _) => Err(CborError::Type { at, expected: SIMPLE, found }.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::NodeId;
    use proptest::prelude::*;

    fn id(fragment: Option<Fragment>) -> BundleId {
        let creation = CreationTimestamp { time: DtnTime(800_000_000_000), sequence: 3 };
        BundleId { source: NodeId(5).endpoint(1), creation, fragment }
    }

    #[test]
    fn our_reports_are_those_of_bp7() {
        use bp7::administrative_record::{AdministrativeRecord, BundleStatusItem, StatusReport as Theirs};
        for (offset, length) in [(None, 0), (Some(40), 20)] {
            let fragment = offset.map(|offset| Fragment { offset, total: 100 });
            let time = DtnTime(800_000_000_500);
            let ours = StatusReport::new(
                id(fragment),
                length,
                Status::Deleted,
                Some(time),
                ReportReason::HOP_LIMIT_EXCEEDED,
            );
            let item = |asserted| BundleStatusItem { asserted, time: time.0, status_requested: asserted };
            let theirs = AdministrativeRecord::BundleStatusReport(Theirs {
                status_information: [false, false, false, true].map(item).to_vec(),
                report_reason: bp7::administrative_record::HOP_LIMIT_EXCEEDED,
                source_node: bp7::EndpointID::with_ipn(5, 1).unwrap(),
                timestamp: bp7::CreationTimestamp::with_time_and_seq(800_000_000_000, 3),
                frag_offset: offset.unwrap_or(0),
                frag_len: length,
            });
            let payload = theirs.to_payload();
            let bytes = payload.payload_data().unwrap();
            assert_eq!(&ours.encode(), bytes);
            assert_eq!(StatusReport::decode(bytes), Ok(ours));
        }
    }

    #[test]
    fn other_records_are_refused() {
        assert_eq!(StatusReport::decode(&[0x82, 2, 0x80]), Err(BundleError::RecordType { found: 2 }));
        let good = StatusReport::new(id(None), 0, Status::Received, None, ReportReason::NONE).encode();
        let mut time_of_nothing = good.clone();
        // [[true], …] becomes [[false, …]: an item that says when something did not happen.
        time_of_nothing.splice(4..6, [0x82, 0xf4, 0x01]);
        assert!(StatusReport::decode(&good).is_ok());
        assert!(StatusReport::decode(&time_of_nothing).is_err());
    }

    proptest! {
        #[test]
        fn every_report_survives_a_round_trip(
            items: [Option<Option<u64>>; 4], reason: u64, offset: Option<u64>, length: u64,
        ) {
            let report = StatusReport {
                items: items.map(|item| item.map(|time| time.map(DtnTime))),
                reason: ReportReason(reason),
                bundle: id(offset.map(|offset| Fragment { offset, total: 0 })),
                fragment_len: offset.map(|_| length),
            };
            prop_assert_eq!(StatusReport::decode(&report.encode()), Ok(report));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = StatusReport::decode(&bytes);
        }
    }
}
