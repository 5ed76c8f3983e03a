//! [`Primary`]: the primary block (RFC 9171 §4.3.1), and the names that it gives a bundle.

use alloc::vec::Vec;

use super::{
    crc::CrcKind,
    endpoint::{put_endpoint, read_endpoint},
    error::BundleError,
    flags::BundleFlags,
};
use crate::{
    cbor::{self, Lengths, Reader},
    id::EndpointId,
    time::DtnTime,
};

/// The version of the Bundle Protocol.
pub(super) const VERSION: u64 = 7;

/// When and as which one of that moment a bundle was made (RFC 9171 §4.2.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CreationTimestamp {
    /// The time by the source's clock; [`DtnTime::UNKNOWN`] when it had none.
    pub time: DtnTime,
    /// Tells bundles of the same time apart.
    pub sequence: u64,
}

/// Which part of a payload a fragment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fragment {
    /// Where the part starts in the whole payload, in bytes.
    pub offset: u64,
    /// The length of the whole payload, in bytes.
    pub total: u64,
}

/// The name of a bundle, or of a fragment of it (RFC 9171 §4.3.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BundleId {
    /// The endpoint that made the bundle.
    pub source: EndpointId,
    /// When it was made.
    pub creation: CreationTimestamp,
    /// Which part of the payload it holds; `None` for the whole.
    pub fragment: Option<Fragment>,
}

/// The primary block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Primary {
    /// How the bundle is to be treated. [`BundleFlags::IS_FRAGMENT`] follows from `fragment` and is ignored here.
    pub flags: BundleFlags,
    /// The checksum over the primary block.
    pub crc: CrcKind,
    /// Whom the bundle is for.
    pub destination: EndpointId,
    /// Who made it.
    pub source: EndpointId,
    /// Who gets the reports.
    pub report_to: EndpointId,
    /// When it was made.
    pub creation: CreationTimestamp,
    /// How long it is of use, from its creation, in ms.
    pub lifetime_ms: u64,
    /// Which part of the payload it holds; `None` for the whole.
    pub fragment: Option<Fragment>,
}

impl Primary {
    /// A primary block with CRC-32C, no flags and no reports.
    #[must_use]
    pub fn new(
        source: EndpointId,
        destination: EndpointId,
        creation: CreationTimestamp,
        lifetime_ms: u64,
    ) -> Self {
        Self {
            flags: BundleFlags::default(),
            crc: CrcKind::Castagnoli,
            destination,
            source,
            report_to: EndpointId::Null,
            creation,
            lifetime_ms,
            fragment: None,
        }
    }

    /// The name that this block gives its bundle.
    #[must_use]
    pub fn id(&self) -> BundleId {
        BundleId { source: self.source.clone(), creation: self.creation, fragment: self.fragment }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        self.frame(false, |out| {
            put_endpoint(out, &self.destination);
            put_endpoint(out, &self.source);
            put_endpoint(out, &self.report_to);
            cbor::put_head(out, cbor::ARRAY, 2);
            cbor::put_uint(out, self.creation.time.0);
            cbor::put_uint(out, self.creation.sequence);
            cbor::put_uint(out, self.lifetime_ms);
        })
    }

    /// The block's bytes with names, creation time and lifetime as they stand in `wire`, the block of the same bundle in whole or in part.
    ///
    /// A name has several forms (RFC 9758 §6.1), and what security covers is the form that the source chose.
    pub(super) fn encode_as(&self, wire: &[u8]) -> Vec<u8> {
        match identity(wire) {
            Ok((indefinite, identity)) => self.frame(indefinite, |out| out.extend_from_slice(identity)),
            // It was written here, from names that nobody can read.
            Err(_) => self.encode(),
        }
    }

    /// The block around what `identity` appends: names, creation time and lifetime.
    fn frame(&self, indefinite: bool, identity: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        if indefinite {
            out.push(cbor::INDEFINITE_ARRAY);
        } else {
            let items = 8 + 2 * u64::from(self.fragment.is_some()) + u64::from(!self.crc.is_empty());
            cbor::put_head(&mut out, cbor::ARRAY, items);
        }
        cbor::put_uint(&mut out, VERSION);
        let flags = self.flags.without(BundleFlags::IS_FRAGMENT);
        cbor::put_uint(&mut out, flags.0 | u64::from(self.fragment.is_some()));
        cbor::put_uint(&mut out, u64::from(self.crc.code()));
        identity(&mut out);
        if let Some(fragment) = self.fragment {
            cbor::put_uint(&mut out, fragment.offset);
            cbor::put_uint(&mut out, fragment.total);
        }
        self.crc.put(&mut out, 0);
        out
    }
}

/// Whether the array of a primary block is of indefinite length, and its items from the destination to the lifetime.
fn identity(wire: &[u8]) -> Result<(bool, &[u8]), BundleError> {
    let mut reader = Reader::with(wire, Lengths::Any);
    reader.open()?;
    for _ in 0..3 {
        // Version, flags and CRC type.
        reader.uint()?;
    }
    let start = reader.position();
    for _ in 0..3 {
        read_endpoint(&mut reader)?;
    }
    read_creation(&mut reader)?;
    reader.uint()?;
    Ok((wire.first() == Some(&cbor::INDEFINITE_ARRAY), reader.since(start)))
}

/// Reads a creation timestamp (RFC 9171 §4.2.7).
pub(super) fn read_creation(reader: &mut Reader<'_>) -> Result<CreationTimestamp, BundleError> {
    let array = reader.open()?;
    let creation = CreationTimestamp { time: DtnTime(reader.uint()?), sequence: reader.uint()? };
    reader.close(array, 2)?;
    Ok(creation)
}
