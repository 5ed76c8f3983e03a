//! [`Bundle::decode`]: bytes into a bundle, in deterministic form; under [`Policy::Lenient`] with lengths of any kind.

use alloc::vec::Vec;

use super::{
    Bundle,
    block::{Block, BlockKind, PAYLOAD_NUMBER},
    crc::CrcKind,
    endpoint::read_endpoint,
    error::BundleError,
    extension::check_data,
    flags::{BlockFlags, BundleFlags},
    policy::Policy,
    primary::{Fragment, Primary, VERSION, read_creation},
};
use crate::cbor::{self, Array, CborError, Reader};

/// The kinds of which a bundle has at most one (RFC 9171 §4.4.1 to §4.4.3), and which forwarders add.
pub(super) const FORWARDERS: [BlockKind; 3] =
    [BlockKind::PREVIOUS_NODE, BlockKind::BUNDLE_AGE, BlockKind::HOP_COUNT];

/// The most extension blocks that a bundle may have, apart from previous node, age and hop count: a bundle that one node
/// accepts is not refused by the next for what forwarding added.
pub const MAX_BLOCKS: usize = 32;
/// The longest name of the `dtn` scheme, in bytes after `dtn:`.
pub const MAX_ENDPOINT_NAME: usize = 1023;

impl Bundle {
    /// Reads a bundle under [`Policy::Strict`].
    ///
    /// # Errors
    /// When the bytes are not a bundle in deterministic form, a checksum does not hold, or a rule is broken.
    pub fn decode(bytes: &[u8]) -> Result<Self, BundleError> {
        Self::decode_with(bytes, Policy::Strict)
    }

    /// Reads a bundle under `policy`. Memory is taken only for bytes that are there.
    ///
    /// # Errors
    /// As [`Bundle::decode`].
    pub fn decode_with(bytes: &[u8], policy: Policy) -> Result<Self, BundleError> {
        let mut reader = Reader::with(bytes, policy.lengths());
        if !reader.skip_byte(cbor::INDEFINITE_ARRAY) {
            return Err(BundleError::NotABundle);
        }
        let start = reader.position();
        let primary = read_primary(&mut reader)?;
        let primary_wire = reader.since(start).to_vec();
        let (blocks, payload) = read_blocks(&mut reader)?;
        reader.end()?;
        let bundle = Self { primary, primary_wire, blocks, payload, absent: 0 };
        bundle.check_blocks(policy)?;
        bundle.check_fragment()?;
        bundle.check(policy)?;
        Ok(bundle)
    }

    fn check_blocks(&self, policy: Policy) -> Result<(), BundleError> {
        // A confidentiality block makes other blocks' data ciphertext; whose, only its own reader knows.
        let readable = self.block(BlockKind::BLOCK_CONFIDENTIALITY).is_none();
        for (index, block) in self.blocks.iter().enumerate() {
            let before = &self.blocks[..index];
            if block.number <= PAYLOAD_NUMBER || before.iter().any(|other| other.number == block.number) {
                return Err(BundleError::BlockNumber { number: block.number });
            }
            if FORWARDERS.contains(&block.kind) && before.iter().any(|other| other.kind == block.kind) {
                return Err(BundleError::RepeatedKind { kind: block.kind });
            }
            if readable {
                check_data(block, policy.lengths())?;
            }
        }
        Ok(())
    }

    fn check_fragment(&self) -> Result<(), BundleError> {
        let Some(Fragment { offset, total }) = self.primary.fragment else { return Ok(()) };
        let length = self.payload.data.len() as u64;
        match offset.checked_add(length) {
            Some(end) if end <= total => Ok(()),
            _ => Err(BundleError::FragmentRange { offset, length, total }),
        }
    }
}

fn read_primary(reader: &mut Reader<'_>) -> Result<Primary, BundleError> {
    let at = reader.position();
    let array = reader.open()?;
    let found = reader.uint()?;
    if found != VERSION {
        return Err(BundleError::Version { found });
    }
    let flags = BundleFlags(reader.uint()?);
    let crc = read_crc_kind(reader, at)?;
    let is_fragment = flags.contains(BundleFlags::IS_FRAGMENT);
    let items = 8 + 2 * u64::from(is_fragment) + u64::from(!crc.is_empty());
    reader.expect_items(array, items)?;
    let (destination, source) = (read_endpoint(reader)?, read_endpoint(reader)?);
    let report_to = read_endpoint(reader)?;
    let creation = read_creation(reader)?;
    let lifetime_ms = reader.uint()?;
    let fragment =
        if is_fragment { Some(Fragment { offset: reader.uint()?, total: reader.uint()? }) } else { None };
    read_end(reader, array, items, crc, at)?;
    Ok(Primary { flags, crc, destination, source, report_to, creation, lifetime_ms, fragment })
}

fn read_blocks(reader: &mut Reader<'_>) -> Result<(Vec<Block>, Block), BundleError> {
    let (mut blocks, mut others) = (Vec::new(), 0);
    while !reader.skip_byte(cbor::BREAK) {
        let block = read_block(reader)?;
        if block.kind != BlockKind::PAYLOAD {
            others += usize::from(!FORWARDERS.contains(&block.kind));
            if others > MAX_BLOCKS || blocks.len() == MAX_BLOCKS + FORWARDERS.len() {
                return Err(BundleError::TooManyBlocks { max: MAX_BLOCKS });
            }
            blocks.push(block);
            continue;
        }
        if block.number != PAYLOAD_NUMBER {
            return Err(BundleError::BlockNumber { number: block.number });
        }
        // RFC 9171 §4.1: the payload block is the last one.
        let at = reader.position();
        return match reader.peek() {
            Some(cbor::BREAK) => {
                reader.skip_byte(cbor::BREAK);
                Ok((blocks, block))
            }
            Some(_) => Err(BundleError::NoPayload),
            None => Err(CborError::Truncated { at, wanted: 1, left: 0 }.into()),
        };
    }
    Err(BundleError::NoPayload)
}

fn read_block(reader: &mut Reader<'_>) -> Result<Block, BundleError> {
    let at = reader.position();
    let array = reader.open()?;
    let kind = BlockKind(reader.uint()?);
    let number = reader.uint()?;
    let flags = BlockFlags(reader.uint()?);
    let crc = read_crc_kind(reader, at)?;
    let items = 5 + u64::from(!crc.is_empty());
    reader.expect_items(array, items)?;
    let data = reader.bytes()?;
    read_end(reader, array, items, crc, at)?;
    Ok(Block { kind, number, flags, crc, data: data.to_vec(), indefinite: array.is_indefinite() })
}

fn read_crc_kind(reader: &mut Reader<'_>, at: usize) -> Result<CrcKind, BundleError> {
    let found = reader.uint()?;
    CrcKind::from_code(found).ok_or(BundleError::CrcType { at, found })
}

/// Reads the CRC and the end of the block that starts at `at`, and checks the block before its data is copied.
fn read_end(
    reader: &mut Reader<'_>,
    array: Array,
    items: u64,
    crc: CrcKind,
    at: usize,
) -> Result<(), BundleError> {
    if !crc.is_empty() {
        let (found, expected) = (reader.bytes()?.len(), crc.len());
        if found != expected {
            return Err(BundleError::CrcLength { at, found, expected });
        }
    }
    reader.close(array, items)?;
    if crc.is_empty() || crc.holds(reader.since(at)) { Ok(()) } else { Err(BundleError::CrcMismatch { at }) }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
