//! [`Anatomy`]: a bundle's parts as they stand on the wire, as far as they can be read, and what is wrong with their form.

use std::collections::BTreeSet;

use cosmosmesh_protocol::{
    bundle::{BlockKind, BundleError, BundleFlags, CrcKind, PAYLOAD_NUMBER},
    cbor::CborError,
};
use serde::Serialize;
use serde_json::Value as Json;

use super::{
    decoded,
    input::hex,
    item::{Item, Items, Stop, Value},
    names,
};

/// Items that are looked at: a bundle of more is shown in part.
const MAX_ITEMS: usize = 200_000;
/// Bytes of a block's data that are shown.
const PREVIEW: usize = 48;

/// A bundle's parts.
#[derive(Debug, Serialize)]
pub(super) struct Anatomy {
    /// Length of the input.
    pub(super) bytes: usize,
    pub(super) primary: Option<PrimaryPart>,
    /// In their order on the wire; the payload block among them.
    pub(super) blocks: Vec<BlockPart>,
    /// Where reading stopped before the end, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stopped: Option<Stopped>,
}

#[derive(Debug, Serialize)]
pub(super) struct Stopped {
    pub(super) at: usize,
    pub(super) why: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct PrimaryPart {
    pub(super) at: usize,
    pub(super) bytes: usize,
    pub(super) version: Option<u64>,
    pub(super) flags: Option<Flags>,
    pub(super) crc: Option<Crc>,
    pub(super) destination: Option<String>,
    pub(super) source: Option<String>,
    pub(super) report_to: Option<String>,
    pub(super) creation: Option<Creation>,
    pub(super) lifetime_ms: Option<u64>,
    pub(super) fragment: Option<FragmentPart>,
}

#[derive(Debug, Serialize)]
pub(super) struct Flags {
    pub(super) value: u64,
    pub(super) names: Vec<&'static str>,
    /// Bits that the standard does not assign: kept, and ignored.
    pub(super) unassigned: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Crc {
    pub(super) code: u64,
    pub(super) name: &'static str,
    pub(super) value: Option<String>,
    /// `null` where there is nothing to check.
    pub(super) holds: Option<bool>,
}

#[derive(Debug, Serialize)]
pub(super) struct Creation {
    pub(super) time_ms: u64,
    /// `null`: the source had no clock.
    pub(super) utc: Option<String>,
    pub(super) sequence: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct FragmentPart {
    pub(super) offset: u64,
    pub(super) total: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct BlockPart {
    pub(super) at: usize,
    pub(super) bytes: usize,
    pub(super) kind: Option<u64>,
    pub(super) name: &'static str,
    pub(super) number: Option<u64>,
    pub(super) flags: Option<Flags>,
    pub(super) crc: Option<Crc>,
    pub(super) data_bytes: Option<usize>,
    /// What the data says; `null` when it is malformed or says nothing that can be told.
    pub(super) data: Json,
    /// The first bytes of the data.
    pub(super) data_hex: Option<String>,
}

/// Takes `bytes` apart.
pub(super) fn dissect(bytes: &[u8]) -> (Anatomy, Vec<BundleError>) {
    let mut findings = Vec::new();
    let (items, stopped) = blocks_of(bytes, &mut findings);
    let mut items = items.iter();
    let primary = items.next().map(|item| primary(bytes, item, &mut findings));
    let flags = primary.as_ref().and_then(|primary| primary.flags.as_ref()).map_or(0, |flags| flags.value);
    let is_record = BundleFlags(flags).contains(BundleFlags::ADMINISTRATIVE_RECORD);
    let blocks: Vec<BlockPart> = items.map(|item| block(bytes, item, is_record, &mut findings)).collect();
    check_together(&blocks, stopped.is_none() && primary.is_some(), &mut findings);
    let stopped = stopped.map(|Stop { at, why }| Stopped { at, why });
    (Anatomy { bytes: bytes.len(), primary, blocks, stopped }, findings)
}

/// The items that should be blocks.
fn blocks_of(bytes: &[u8], findings: &mut Vec<BundleError>) -> (Vec<Item>, Option<Stop>) {
    let mut items = Items::new(bytes, MAX_ITEMS);
    let (mut found, mut stopped) = (Vec::new(), None);
    if items.skip(0x9f) {
        while !items.skip(0xff) {
            match items.next() {
                Ok(item) => found.push(item),
                Err(stop) => {
                    stopped = Some(stop);
                    break;
                }
            }
        }
    } else {
        findings.push(BundleError::NotABundle);
        match items.next() {
            // A definite array of blocks is not a bundle, but can be shown like one.
            Ok(Item { value: Value::Array(blocks), .. }) => found = blocks,
            Ok(_) => return (found, None),
            Err(stop) => stopped = Some(stop),
        }
    }
    if stopped.is_none() && items.at() < bytes.len() {
        let trailing = CborError::Trailing { at: items.at(), count: bytes.len() - items.at() };
        findings.push(trailing.into());
    }
    findings.extend(found.iter().filter_map(longer_than_needed));
    (found, stopped)
}

/// The first place in `item` that is not in deterministic form.
fn longer_than_needed(item: &Item) -> Option<BundleError> {
    if item.deterministic {
        return None;
    }
    let inside = match &item.value {
        Value::Array(items) | Value::Map(items) => items.iter().find_map(longer_than_needed),
        Value::Tag(_, inner) => longer_than_needed(inner),
        _ => None,
    };
    Some(inside.unwrap_or(CborError::NotDeterministic { at: item.at }.into()))
}

fn primary(bytes: &[u8], item: &Item, findings: &mut Vec<BundleError>) -> PrimaryPart {
    let fields = item.array().unwrap_or_default();
    let uint = |index: usize| fields.get(index).and_then(Item::uint);
    let version = uint(0);
    if let Some(found) = version.filter(|version| *version != 7) {
        findings.push(BundleError::Version { found });
    }
    let flags = uint(1).map(|value| flags(value, names::bundle_flags(value)));
    let is_fragment = flags.as_ref().is_some_and(|flags| flags.value & 1 != 0);
    let mut name = |index: usize| {
        let item = fields.get(index)?;
        let name = decoded::endpoint(item);
        if name.is_none() {
            findings.push(BundleError::Endpoint { at: item.at });
        }
        name
    };
    let (destination, source, report_to) = (name(3), name(4), name(5));
    let creation = fields.get(6).and_then(Item::array).and_then(|pair| match pair {
        [time, sequence] => {
            let (time_ms, sequence) = (time.uint()?, sequence.uint()?);
            let utc = if time_ms == 0 { None } else { names::utc(time_ms) };
            Some(Creation { time_ms, utc, sequence })
        }
        _ => None,
    });
    let fragment = uint(8).zip(uint(9)).filter(|_| is_fragment);
    let fragment = fragment.map(|(offset, total)| FragmentPart { offset, total });
    let crc =
        uint(2).map(|code| crc(bytes, item, code, fields.get(8 + 2 * usize::from(is_fragment)), findings));
    PrimaryPart {
        at: item.at,
        bytes: item.end - item.at,
        version,
        flags,
        crc,
        destination,
        source,
        report_to,
        creation,
        lifetime_ms: uint(7),
        fragment,
    }
}

fn block(bytes: &[u8], item: &Item, is_record: bool, findings: &mut Vec<BundleError>) -> BlockPart {
    let fields = item.array().unwrap_or_default();
    let uint = |index: usize| fields.get(index).and_then(Item::uint);
    let (kind, number) = (uint(0), uint(1));
    let crc = uint(3).map(|code| crc(bytes, item, code, fields.get(5), findings));
    let content = fields.get(4).and_then(Item::bytes);
    let decoded = kind.zip(content).map(|(kind, content)| decoded::data(BlockKind(kind), content, is_record));
    if let (Some(kind), Some(number), Some(None)) = (kind, number, &decoded) {
        findings.push(BundleError::BlockData { kind: BlockKind(kind), number });
    }
    BlockPart {
        at: item.at,
        bytes: item.end - item.at,
        kind,
        name: kind.map_or("not a block", names::block_type),
        number,
        flags: uint(2).map(|value| flags(value, names::block_flags(value))),
        crc,
        data_bytes: content.map(<[u8]>::len),
        data: decoded.flatten().unwrap_or_default(),
        data_hex: content.map(|content| hex(&content[..content.len().min(PREVIEW)])),
    }
}

fn flags(value: u64, (names, unassigned): (Vec<&'static str>, u64)) -> Flags {
    Flags { value, names, unassigned }
}

/// The CRC of the block `item`, which `field` should hold.
fn crc(bytes: &[u8], item: &Item, code: u64, field: Option<&Item>, findings: &mut Vec<BundleError>) -> Crc {
    let found = field.and_then(Item::bytes);
    let holds = match CrcKind::from_code(code) {
        None => {
            findings.push(BundleError::CrcType { at: item.at, found: code });
            None
        }
        Some(CrcKind::None) => None,
        Some(kind) => found.map(|found| {
            if found.len() != kind.len() {
                let (found, expected) = (found.len(), kind.len());
                findings.push(BundleError::CrcLength { at: item.at, found, expected });
                return false;
            }
            let holds = kind.holds(&bytes[item.at..item.end]);
            if !holds {
                findings.push(BundleError::CrcMismatch { at: item.at });
            }
            holds
        }),
    };
    Crc { code, name: names::crc_type(code), value: found.map(hex), holds }
}

/// What blocks must not be beside each other (RFC 9171 §4.1, §4.4).
fn check_together(blocks: &[BlockPart], whole: bool, findings: &mut Vec<BundleError>) {
    let (mut numbers, mut kinds) = (BTreeSet::new(), BTreeSet::new());
    let payload = Some(BlockKind::PAYLOAD.0);
    for block in blocks {
        if let Some(number) = block.number {
            let reserved = number == 0 || (number == PAYLOAD_NUMBER) != (block.kind == payload);
            if !numbers.insert(number) || reserved {
                findings.push(BundleError::BlockNumber { number });
            }
        }
        if let Some(kind @ (6 | 7 | 10)) = block.kind
            && !kinds.insert(kind)
        {
            findings.push(BundleError::RepeatedKind { kind: BlockKind(kind) });
        }
    }
    if whole && blocks.last().and_then(|block| block.kind) != payload {
        findings.push(BundleError::NoPayload);
    }
}
