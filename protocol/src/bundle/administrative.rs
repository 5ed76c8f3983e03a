//! [`AdministrativeRecord`]: the payload of a bundle with [`super::BundleFlags::ADMINISTRATIVE_RECORD`] (RFC 9171 §6.1).

use alloc::vec::Vec;

use super::{
    bibe::{self, Bpdu, CustodySignal},
    error::BundleError,
    report::{self, StatusReport},
};
use crate::cbor::Reader;

/// A record for a node's administrative element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdministrativeRecord {
    /// What became of a bundle (RFC 9171 §6.1.1).
    StatusReport(StatusReport),
    /// A bundle within the bundle (draft-ietf-dtn-bibect).
    Encapsulated(Bpdu),
    /// Who took custody of encapsulated bundles, or why nobody did (draft-ietf-dtn-bibect).
    CustodySignal(CustodySignal),
}

impl AdministrativeRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::StatusReport(report) => report.encode(),
            Self::Encapsulated(bpdu) => bpdu.encode(),
            Self::CustodySignal(signal) => signal.encode(),
        }
    }

    /// Reads a record. Memory is taken only for bytes that are there.
    ///
    /// # Errors
    /// [`BundleError::RecordType`] for other types of record, else what is wrong with the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, BundleError> {
        let mut reader = Reader::new(bytes);
        reader.array_of(2)?;
        match reader.uint()? {
            report::STATUS_REPORT => StatusReport::decode(bytes).map(Self::StatusReport),
            bibe::BPDU => Bpdu::decode(bytes).map(Self::Encapsulated),
            bibe::CUSTODY_SIGNAL => CustodySignal::decode(bytes).map(Self::CustodySignal),
            found => Err(BundleError::RecordType { found }),
        }
    }
}
