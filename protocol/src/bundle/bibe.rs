//! Bundle-in-bundle encapsulation: [`Bpdu`], a bundle as the payload of another one, and [`CustodySignal`], the answer to one that asked
//! for custody.
//!
//! After draft-ietf-dtn-bibect-03 (February 2020), the last version with custody transfer that others build: record types 3 and 4, as in
//! HDTN; the shape of the signal as in ION. Ours: bytes in deterministic form only.

use alloc::vec::Vec;

use super::error::BundleError;
use crate::{
    cbor::{self, CborError, Reader},
    time::DtnTime,
};

/// Record type code of an encapsulated bundle.
pub(super) const BPDU: u64 = 3;
/// Record type code of a custody signal.
pub(super) const CUSTODY_SIGNAL: u64 = 4;
/// Most spans in one custody signal.
pub const MAX_SPANS: u64 = 1024;

/// A BIBE protocol data unit: a bundle on its way through a tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bpdu {
    /// The sender's number for it; 0 when it does not ask for custody.
    pub transmission_id: u64,
    /// By when the sender expects an answer; [`DtnTime::UNKNOWN`] when it does not ask for custody or has no clock.
    pub retransmission_time: DtnTime,
    /// The encapsulated bundle, encoded.
    pub bundle: Vec<u8>,
}

impl Bpdu {
    /// The administrative record's bytes: `[3, [transmission ID, retransmission time, bundle]]`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bundle.len() + 32);
        cbor::put_head(&mut out, cbor::ARRAY, 2);
        cbor::put_uint(&mut out, BPDU);
        cbor::put_head(&mut out, cbor::ARRAY, 3);
        cbor::put_uint(&mut out, self.transmission_id);
        cbor::put_uint(&mut out, self.retransmission_time.0);
        cbor::put_bytes(&mut out, &self.bundle);
        out
    }

    /// Reads an administrative record. The encapsulated bundle is not looked into.
    ///
    /// # Errors
    /// When the bytes are not a BPDU in deterministic form.
    pub fn decode(bytes: &[u8]) -> Result<Self, BundleError> {
        let mut reader = record(bytes, BPDU)?;
        reader.array_of(3)?;
        let (transmission_id, retransmission_time) = (reader.uint()?, DtnTime(reader.uint()?));
        let bundle = reader.bytes()?;
        reader.end()?;
        Ok(Self { transmission_id, retransmission_time, bundle: bundle.to_vec() })
    }
}

/// What a custodian did with an encapsulated bundle: the draft's disposition codes. Every number is one; the named ones are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Disposition(pub u64);

impl Disposition {
    /// It took custody.
    pub const ACCEPTED: Self = Self(0);
    /// It had the bundle already.
    pub const REDUNDANT: Self = Self(3);
    /// It has no room.
    pub const DEPLETED_STORAGE: Self = Self(4);
    /// It cannot read the destination.
    pub const UNINTELLIGIBLE_DESTINATION: Self = Self(5);
    /// It knows no route, or nobody to take custody in turn.
    pub const NO_ROUTE: Self = Self(6);
    /// No contact comes in time.
    pub const NO_TIMELY_CONTACT: Self = Self(7);
    /// It cannot read the bundle.
    pub const UNINTELLIGIBLE_BLOCK: Self = Self(8);

    /// Whether the sender may let the bundle go: somebody else answers for it now.
    #[must_use]
    pub const fn releases(self) -> bool {
        matches!(self, Self::ACCEPTED | Self::REDUNDANT)
    }
}

/// Transmission IDs that share an answer: `count` of them from `first` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first ID.
    pub first: u64,
    /// How many.
    pub count: u64,
}

/// The answer to BPDUs that asked for custody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustodySignal {
    /// What became of them.
    pub disposition: Disposition,
    /// Which ones.
    pub spans: Vec<Span>,
}

impl CustodySignal {
    /// A signal over IDs that rise.
    #[must_use]
    pub fn new(disposition: Disposition, ids: impl IntoIterator<Item = u64>) -> Self {
        let mut spans: Vec<Span> = Vec::new();
        for id in ids {
            match spans.last_mut() {
                Some(span) if span.first.checked_add(span.count) == Some(id) => span.count += 1,
                _ => spans.push(Span { first: id, count: 1 }),
            }
        }
        Self { disposition, spans }
    }

    /// The administrative record's bytes: `[4, [disposition, [[first, count], …]]]`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + 19 * self.spans.len());
        cbor::put_head(&mut out, cbor::ARRAY, 2);
        cbor::put_uint(&mut out, CUSTODY_SIGNAL);
        cbor::put_head(&mut out, cbor::ARRAY, 2);
        cbor::put_uint(&mut out, self.disposition.0);
        cbor::put_head(&mut out, cbor::ARRAY, self.spans.len() as u64);
        for span in &self.spans {
            cbor::put_head(&mut out, cbor::ARRAY, 2);
            cbor::put_uint(&mut out, span.first);
            cbor::put_uint(&mut out, span.count);
        }
        out
    }

    /// Reads an administrative record.
    ///
    /// # Errors
    /// When the bytes are not a custody signal in deterministic form, or it has more than [`MAX_SPANS`] spans.
    pub fn decode(bytes: &[u8]) -> Result<Self, BundleError> {
        let mut reader = record(bytes, CUSTODY_SIGNAL)?;
        reader.array_of(2)?;
        let disposition = Disposition(reader.uint()?);
        let at = reader.position();
        let found = reader.array()?;
        if found > MAX_SPANS {
            return Err(CborError::Items { at, expected: MAX_SPANS, found }.into());
        }
        let mut spans = Vec::new();
        for _ in 0..found {
            reader.array_of(2)?;
            spans.push(Span { first: reader.uint()?, count: reader.uint()? });
        }
        reader.end()?;
        Ok(Self { disposition, spans })
    }
}

/// A reader behind the head of a record of this type.
fn record(bytes: &[u8], kind: u64) -> Result<Reader<'_>, BundleError> {
    let mut reader = Reader::new(bytes);
    reader.array_of(2)?;
    match reader.uint()? {
        found if found == kind => Ok(reader),
        found => Err(BundleError::RecordType { found }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::AdministrativeRecord;
    use alloc::vec;
    use proptest::prelude::*;

    #[test]
    fn records_have_the_bytes_of_the_draft() {
        let bpdu = Bpdu { transmission_id: 24, retransmission_time: DtnTime(256), bundle: vec![0x9f, 0xff] };
        assert_eq!(bpdu.encode(), [0x82, 3, 0x83, 0x18, 24, 0x19, 1, 0, 0x42, 0x9f, 0xff]);
        let signal = CustodySignal::new(Disposition::ACCEPTED, [1, 2, 3, 7]);
        assert_eq!(signal.encode(), [0x82, 4, 0x82, 0, 0x82, 0x82, 1, 3, 0x82, 7, 1]);
    }

    #[test]
    fn more_spans_than_there_can_be_are_refused_before_memory_is_taken() {
        let mut bytes = vec![0x82, 4, 0x82, 0];
        cbor::put_head(&mut bytes, cbor::ARRAY, u64::MAX);
        let error = CborError::Items { at: 4, expected: MAX_SPANS, found: u64::MAX };
        assert_eq!(CustodySignal::decode(&bytes), Err(error.into()));
    }

    proptest! {
        #[test]
        fn every_record_survives_a_round_trip(
            transmission_id: u64, time: u64, bundle: Vec<u8>, disposition: u64, spans: Vec<(u64, u64)>,
        ) {
            let bpdu = Bpdu { transmission_id, retransmission_time: DtnTime(time), bundle };
            let record = AdministrativeRecord::Encapsulated(bpdu);
            prop_assert_eq!(AdministrativeRecord::decode(&record.encode()), Ok(record));
            let spans = spans.into_iter().map(|(first, count)| Span { first, count }).collect();
            let signal = CustodySignal { disposition: Disposition(disposition), spans };
            let record = AdministrativeRecord::CustodySignal(signal);
            prop_assert_eq!(AdministrativeRecord::decode(&record.encode()), Ok(record));
        }

        #[test]
        fn a_signal_names_each_id_once(ids in prop::collection::btree_set(any::<u64>(), 0..40)) {
            let signal = CustodySignal::new(Disposition::ACCEPTED, ids.iter().copied());
            let named: Vec<u64> = signal.spans.iter().flat_map(|span| (0..span.count).map(|n| span.first + n)).collect();
            prop_assert_eq!(named, ids.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = AdministrativeRecord::decode(&bytes);
        }
    }
}
